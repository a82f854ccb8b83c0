/* The gradient of a 3x3 convolution's weights.
 *
 * It is the convolution's adjoint: factors of inputs, as there, times factors of the outputs'
 * gradient, summed over images and patches, are the gradients of all forms of the filters, and
 * those together that of the weights. What is summed over has to lie in pairs, so factors are laid
 * out for that, as many at a time as stay in the caches. Sums have one order, whatever the number
 * of threads. */
#include "winograd.h"

enum {
    CELL = TILE * PAIR, /* elements of 16 channels' factors of 32 images */
    CHUNK = 4 << 20,    /* bytes of factors that are laid out at a time: about so many, or more */
};

struct correlation {
    struct maps x, y;
    float *gradient; /* of the weights */
    float *sums;     /* those of all their forms, (forms, outs, ins), filled up to blocks */
    bf16 *x_space, *y_space;
    int threads;
    struct forms forms;
    int first, blocks, top, bottom; /* of the chunk: blocks of 32 images, rows of patches */
    long before[FILTERS];           /* patches of all filters before that one */
};

static int channel_blocks(const struct maps *m) { return quotient_up(m->channels, TILE); }

static int rows_of(const struct correlation *c, int form) {
    return count_of(form, c->top, c->bottom, c->y.rows);
}

static int columns_of(const struct correlation *c, int form) {
    return count_of(form, 0, quotient_up(c->y.columns, OUTS), c->y.columns);
}

/* Patches of a chunk that a filter is used for. */
static long patches_of(const struct correlation *c, int filter) {
    return (long)rows_of(c, filter / FORMS) * columns_of(c, filter % FORMS);
}

/* Rounds the factors of two images, 16 channels, and puts them in turn at element `at` of cells.
 */
ALL_INLINE void put(int down, int across, const __m512 *one, const __m512 *two, bf16 *const *cells,
                    int at) {
    for (int i = 0; i < down; i++)
        for (int j = 0; j < across; j++)
            _mm512_storeu_si512(cells[SIDE * i + j] + at,
                                rounded_in_turn(one[SIDE * i + j], two[SIDE * i + j]));
}

/* 16 channels, from `channel` on, of 32 images, from `first` on. */
struct block {
    const struct maps *maps;
    struct window window;
    long first;
    int channel;
};

/* Where an image's channels begin in a cell, and which of them there are. */
ALL_INLINE long element_of(const struct block *b, int image) {
    return (b->first + image) * b->maps->channels + b->channel;
}

ALL_INLINE __mmask16 present_of(const struct block *b, int image) {
    return b->first + image < b->maps->images ? first_of(b->maps->channels - b->channel) : 0;
}

ALL_INLINE void enter_columns(const int down, __m512 *d, int across) {
    for (int j = 0; j < across; j++) enter(down, d + j, SIDE);
}

static void enter_inputs(int down, int across, const struct block *b, bf16 *const *cells) {
    for (int image = 0; image < PAIR; image += 2) {
        __m512 d[2][FACTORS];
        for (int i = 0; i < 2; i++) {
            FOR_PRODUCTS(across, enter_rows, b->maps, &b->window, element_of(b, image + i),
                         present_of(b, image + i), seen_by(down), d[i]);
            FOR_PRODUCTS(down, enter_columns, d[i], across);
        }
        put(down, across, d[0], d[1], cells, image * TILE);
    }
}

/* The gradients of outputs, `step` apart, as those of their products. */
ALL_INLINE void spread_out(const int products, __m512 *d, const int step) {
    if (products == 2) d[step] = d[0];
    if (products <= 2) return;
    __m512 first = d[0], second = d[step];
    if (products == 4) {
        d[step] = plus(first, A, second);
        d[2 * step] = plus(first, -A, second);
        d[3 * step] = second;
        return;
    }
    __m512 third = d[2 * step], even_a = plus(first, A2, third), even_b = plus(first, B2, third);
    __m512 last = third, odd_a = second, odd_b = second;
    if (products == 6) {
        last = d[3 * step];
        odd_a = plus(second, A2, last), odd_b = plus(second, B2, last);
    }
    d[step] = plus(even_a, A, odd_a);
    d[2 * step] = plus(even_a, -A, odd_a);
    d[3 * step] = plus(even_b, B, odd_b);
    if (products == 6) d[4 * step] = plus(even_b, -B, odd_b);
    d[(products - 1) * step] = last;
}

ALL_INLINE void spread_rows(const int across, const struct block *b, int image, int rows,
                            __m512 *d) {
    for (int i = 0; i < rows; i++) {
        __m512 row[SIDE];
#pragma GCC unroll 4
        for (int j = 0; j < outs_of(across); j++)
            row[j] = look(b->maps, &b->window, element_of(b, image), present_of(b, image), i + 1,
                          j + 1);
        spread_out(across, row, 1);
#pragma GCC unroll 6
        for (int j = 0; j < across; j++) d[SIDE * i + j] = row[j];
    }
}

ALL_INLINE void spread_columns(const int down, __m512 *d, int across) {
    for (int j = 0; j < across; j++) spread_out(down, d + j, SIDE);
}

static void enter_outputs(int down, int across, const struct block *b, bf16 *const *cells) {
    for (int image = 0; image < PAIR; image += 2) {
        __m512 d[2][FACTORS];
        for (int i = 0; i < 2; i++) {
            FOR_PRODUCTS(across, spread_rows, b, image + i, outs_of(down), d[i]);
            FOR_PRODUCTS(down, spread_columns, d[i], across);
        }
        put(down, across, d[0], d[1], cells, image * TILE);
    }
}

/* Lays out a chunk's factors: (filter, channels / 16, patch, block, CELL), in cells of two images'
 * values in turn, (16, 16, 2). */
static void lay_out_some(void *job, struct queue *queue) {
    const struct correlation *c = job;
    int wide = quotient_up(c->y.columns, OUTS), high = c->bottom - c->top;
    int x_blocks = channel_blocks(&c->x), y_blocks = channel_blocks(&c->y);
    int both = x_blocks + y_blocks;
    long items = (long)wide * high * c->blocks * both;
    for (long item; (item = take(queue, items)) >= 0;) {
        int channels = (int)(item % both), is_y = channels >= x_blocks;
        int block = (int)(item / both % c->blocks), patch = (int)(item / both / c->blocks);
        int i = c->top + patch / wide, j = patch % wide;
        int down = products_of(i, c->y.rows), across = products_of(j, c->y.columns);
        const struct maps *maps = is_y ? &c->y : &c->x;
        struct block b = {maps, window_at(maps, OUTS * i, OUTS * j),
                          (long)(c->first + block) * PAIR,
                          (channels - (is_y ? x_blocks : 0)) * TILE};
        bf16 *space = is_y ? c->y_space : c->x_space, *cells[FACTORS];
        for (int r = 0; r < down; r++)
            for (int s = 0; s < across; s++) {
                int row = form_of(r, down), column = form_of(s, across);
                int filter = FORMS * row + column;
                long place = (row == ALONE ? 0 : i - c->top) * columns_of(c, column) +
                             (column == ALONE ? 0 : j);
                long cell = c->before[filter] * (is_y ? y_blocks : x_blocks) +
                            b.channel / TILE * patches_of(c, filter) + place;
                cells[SIDE * r + s] = space + (cell * c->blocks + block) * CELL;
            }
        if (is_y)
            enter_outputs(down, across, &b, cells);
        else
            enter_inputs(down, across, &b, cells);
    }
}

static void multiply_some(void *job, struct queue *queue) {
    const struct correlation *c = job;
    int x_blocks = channel_blocks(&c->x), y_blocks = channel_blocks(&c->y);
    /* Items are squares of blocks of both: the larger, the more often what is near is used. */
    int side = 4;
    while (side > 1 && FACTORS * quotient_up(x_blocks, side) * quotient_up(y_blocks, side) <
                           SHARES * c->threads)
        side /= 2;
    int wide = quotient_up(x_blocks, side), high = quotient_up(y_blocks, side);
    int is_first = c->first == 0 && c->top == 0;
    long line = (long)x_blocks * TILE, near = NEAR / (2 * side * 2 * CELL);
    for (long item; (item = take(queue, (long)FILTERS * wide * high)) >= 0;) {
        int filter = (int)(item / (wide * high)), square = (int)(item % (wide * high));
        int place = c->forms.place[filter];
        int i_from = square % wide * side, i_to = least(i_from + side, x_blocks);
        int o_from = square / wide * side, o_to = least(o_from + side, y_blocks);
        long cells = patches_of(c, filter) * c->blocks, before = c->before[filter] * c->blocks;
        /* Without a patch in the first chunk a filter has its sums set to zeros there. */
        if (place < 0 || (!cells && !is_first)) continue;
        for (long from = 0; from == 0 || from < cells; from += near) {
            long count = from + near < cells ? near : cells - from;
            int fresh = is_first && from == 0;
            for (int o = o_from; o < o_to; o++)
                for (int i = i_from; i < i_to; i += WIDE) {
                    struct left y = {c->y_space + (before * y_blocks + o * cells + from) * CELL, 2,
                                     2 * TILE};
                    struct right x = {c->x_space + (before * x_blocks + i * cells + from) * CELL,
                                      cells * CELL};
                    float *at = c->sums + ((long)place * y_blocks + o) * TILE * line + i * TILE;
                    struct sums sums = {at, line, TILE};
                    if (i + WIDE <= i_to)
                        multiply(y, x, count * TILE, WIDE, fresh, sums);
                    else
                        multiply(y, x, count * TILE, 1, fresh, sums);
                }
        }
    }
}

/* The gradients of three taps from those of their forms, `step` apart. */
ALL_INLINE void gather(__m512 *f, const int step) {
    __m512 even_a = times(AT_A, _mm512_add_ps(f[step], f[2 * step]));
    __m512 odd_a = times(AT_A, _mm512_sub_ps(f[step], f[2 * step]));
    __m512 even_b = times(AT_B, _mm512_add_ps(f[3 * step], f[4 * step]));
    __m512 odd_b = times(AT_B, _mm512_sub_ps(f[3 * step], f[4 * step]));
    f[0] = plus(_mm512_add_ps(even_a, even_b), 1 / (A2 * B2), f[0]);
    f[step] = plus(plus(f[6 * step], A, odd_a), B, odd_b);
    f[2 * step] = plus(plus(f[5 * step], A2, even_a), B2, even_b);
}

static void gather_some(void *job, struct queue *queue) {
    const struct correlation *c = job;
    int ins = c->x.channels;
    long line = (long)channel_blocks(&c->x) * TILE, rows = (long)channel_blocks(&c->y) * TILE;
    for (long out; (out = take(queue, c->y.channels)) >= 0;)
        for (int in = 0; in < ins; in += TILE) {
            __m512 f[FILTERS];
            for (int i = 0; i < FILTERS; i++) {
                long place = c->forms.place[i];
                f[i] = place < 0 ? _mm512_setzero_ps()
                                 : _mm512_loadu_ps(c->sums + (place * rows + out) * line + in);
            }
            for (int j = 0; j < FORMS; j++) gather(f + j, FORMS);
            for (int i = 0; i < 3; i++) gather(f + FORMS * i, 1);
            for (int tap = 0; tap < TAPS; tap++)
                _mm512_mask_storeu_ps(c->gradient + (out * TAPS + tap) * ins + in,
                                      first_of(ins - in), f[FORMS * (tap / 3) + tap % 3]);
        }
}

/* Products of a side of so many outputs. */
static long products_along(int outs) {
    return outs / OUTS * (long)SIDE + (outs % OUTS ? products_of(outs / OUTS, outs) : 0);
}

static long size_of_sums(int forms, int x_blocks, int y_blocks) {
    return 4l * forms * TILE * TILE * x_blocks * y_blocks;
}

/* How much is laid out at a time: blocks of images, or rows of patches of one of them. */
struct chunk {
    int blocks, rows;
    long cells; /* of a block of channels */
};

static struct chunk chunk_of(int images, int out_rows, int out_columns, int x_blocks, int y_blocks,
                             long of_sums) {
    /* The sums pass through the caches once for each chunk, so it is no smaller than they are: it
     * may be half of `bytes`, rounded down to whole maps. */
    long of_cell = 2l * CELL * (x_blocks + y_blocks);
    long bytes = 2 * of_sums > CHUNK ? 2 * of_sums : CHUNK;
    long row = SIDE * products_along(out_columns) * of_cell, rows = quotient_up(out_rows, OUTS);
    long map = products_along(out_rows) * products_along(out_columns) * of_cell;
    struct chunk chunk = {1, (int)rows, 0};
    if (map > bytes)
        chunk.rows = least((int)rows, (int)(bytes / row) + 1);
    else
        chunk.blocks = least((int)(bytes / map), quotient_up(images, PAIR));
    chunk.cells = (chunk.rows == rows ? products_along(out_rows) : (long)SIDE * chunk.rows) *
                  products_along(out_columns) * chunk.blocks;
    return chunk;
}

/* Bytes of room that `kernel_correlate` needs. */
EXPORTED long kernel_correlated(int images, int rows, int columns, int out_rows, int out_columns,
                                int ins, int outs) {
    (void)rows, (void)columns; /* they count where products are by tiles */
    int x_blocks = quotient_up(ins, TILE), y_blocks = quotient_up(outs, TILE);
    long of_sums = size_of_sums(forms_of(out_rows, out_columns).count, x_blocks, y_blocks);
    struct chunk chunk = chunk_of(images, out_rows, out_columns, x_blocks, y_blocks, of_sums);
    return of_sums + 2l * CELL * chunk.cells * (x_blocks + y_blocks);
}

/* The gradient (outs, 3, 3, ins), float32, of the weights between x (rows, columns, images, ins)
 * and the gradient y of the outputs (out_rows, out_columns, images, outs), or pooled with its
 * `spread`. The space has room for `kernel_correlated` bytes. No map of y is larger than that of
 * x; an odd side is the same. */
EXPORTED void kernel_correlate(const bf16 *x, const bf16 *y, const uint8_t *spread,
                               float *gradient, void *space, int images, int rows, int columns,
                               int out_rows, int out_columns, int ins, int outs, int threads) {
    struct correlation c = {
        .x = {x, NULL, rows, columns, images, ins},
        .y = {y, spread, out_rows, out_columns, images, outs},
        .gradient = gradient,
        .sums = space,
        .threads = threads,
        .forms = forms_of(out_rows, out_columns),
    };
    int x_blocks = channel_blocks(&c.x), y_blocks = channel_blocks(&c.y);
    long of_sums = size_of_sums(c.forms.count, x_blocks, y_blocks);
    struct chunk chunk = chunk_of(images, out_rows, out_columns, x_blocks, y_blocks, of_sums);
    c.x_space = (bf16 *)((char *)space + of_sums);
    c.y_space = c.x_space + chunk.cells * x_blocks * CELL;
    int all = quotient_up(images, PAIR), high = quotient_up(out_rows, OUTS);
    for (c.first = 0; c.first < all; c.first += chunk.blocks)
        for (c.top = 0; c.top < high; c.top += chunk.rows) {
            c.blocks = least(chunk.blocks, all - c.first);
            c.bottom = least(c.top + chunk.rows, high);
            for (int f = 1; f < FILTERS; f++)
                c.before[f] = c.before[f - 1] + patches_of(&c, f - 1);
            run(lay_out_some, &c, threads);
            run(multiply_some, &c, threads);
        }
    run(gather_some, &c, threads);
}
