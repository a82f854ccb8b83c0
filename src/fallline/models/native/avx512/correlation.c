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
    float *sums;     /* those of all their forms, (FILTERS, outs, ins), filled up to blocks */
    bf16 *x_space, *y_space;
    int threads;
    int first, blocks, top, bottom; /* of the chunk: blocks of 32 images, rows of patches */
    long before[FILTERS];           /* patches of all filters before that one */
};

static int channel_blocks(const struct maps *m) { return quotient_up(m->channels, TILE); }

/* How many of the twos of outputs from `from` to `to` along a side take a form of the filter. */
static int count_of(int form, int from, int to, int outs) {
    int pairs = least(to, outs / 2) - least(from, outs / 2), alone = outs % 2 && to > outs / 2;
    if (form == 4) return alone;
    return pairs + (form == 0 && alone && outs > 1);
}

static int rows_of(const struct correlation *c, int form) {
    return count_of(form, c->top, c->bottom, c->y.rows);
}

static int columns_of(const struct correlation *c, int form) {
    return count_of(form, 0, quotient_up(c->y.columns, 2), c->y.columns);
}

/* Patches of a chunk that a filter is used for. */
static long patches_of(const struct correlation *c, int filter) {
    return (long)rows_of(c, filter / FORMS) * columns_of(c, filter % FORMS);
}

/* Rounds the factors of two images, 16 channels, and puts them in turn at element `at` of cells.
 */
ALL_INLINE void put(const int down, const int across, const __m512 *one, const __m512 *two,
                    bf16 *const *cells, int at) {
#pragma GCC unroll 4
    for (int i = 0; i < down; i++)
#pragma GCC unroll 4
        for (int j = 0; j < across; j++)
            _mm512_storeu_si512(cells[4 * i + j] + at,
                                rounded_in_turn(one[4 * i + j], two[4 * i + j]));
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

ALL_INLINE void enter_inputs(const int down, const int across, const struct block *b,
                             bf16 *const *cells) {
    for (int image = 0; image < PAIR; image += 2) {
        __m512 d[2][FACTORS];
#pragma GCC unroll 2
        for (int i = 0; i < 2; i++)
            enter_window(down, across, b->maps, &b->window, element_of(b, image + i),
                         present_of(b, image + i), d[i]);
        put(down, across, d[0], d[1], cells, image * TILE);
    }
}

/* An output's gradient, or two, `step` apart, as those of its products; the fourth's sign is left
 * to the end. */
ALL_INLINE void spread_out(__m512 *d, const int step, const int products) {
    if (products == 4) {
        d[3 * step] = d[step];
        d[2 * step] = _mm512_sub_ps(d[0], d[3 * step]);
        d[step] = _mm512_add_ps(d[0], d[3 * step]);
    } else if (products == 2) {
        d[step] = d[0];
    }
}

ALL_INLINE void enter_outputs(const int down, const int across, const struct block *b,
                              bf16 *const *cells) {
    for (int image = 0; image < PAIR; image += 2) {
        __m512 d[2][FACTORS] = {{_mm512_setzero_ps()}};
#pragma GCC unroll 2
        for (int i = 0; i < 2; i++) {
            __m512 seen[FACTORS];
            look(b->maps, &b->window, element_of(b, image + i), present_of(b, image + i), 1, 3,
                 seen);
            d[i][0] = seen[5], d[i][1] = seen[6], d[i][4] = seen[9], d[i][5] = seen[10];
            spread_out(d[i], 1, across);
            spread_out(d[i] + 4, 1, across);
#pragma GCC unroll 4
            for (int j = 0; j < across; j++) spread_out(d[i] + j, 4, down);
        }
        put(down, across, d[0], d[1], cells, image * TILE);
    }
}

/* Lays out a chunk's factors: (filter, channels / 16, patch, block, CELL), in cells of two images'
 * values in turn, (16, 16, 2). */
static void lay_out_some(void *job, struct queue *queue) {
    const struct correlation *c = job;
    int wide = quotient_up(c->y.columns, 2), high = c->bottom - c->top;
    int x_blocks = channel_blocks(&c->x), y_blocks = channel_blocks(&c->y);
    int both = x_blocks + y_blocks;
    long items = (long)wide * high * c->blocks * both;
    for (long item; (item = take(queue, items)) >= 0;) {
        int channels = (int)(item % both), is_y = channels >= x_blocks;
        int block = (int)(item / both % c->blocks), patch = (int)(item / both / c->blocks);
        int i = c->top + patch / wide, j = patch % wide;
        int down = products_of(i, c->y.rows), across = products_of(j, c->y.columns);
        const struct maps *maps = is_y ? &c->y : &c->x;
        struct block b = {maps, window_at(maps, 2 * i, 2 * j), (long)(c->first + block) * PAIR,
                          (channels - (is_y ? x_blocks : 0)) * TILE};
        bf16 *space = is_y ? c->y_space : c->x_space, *cells[FACTORS];
        for (int r = 0; r < down; r++)
            for (int s = 0; s < across; s++) {
                int row = form_of(r, down), column = form_of(s, across);
                int filter = FORMS * row + column;
                long place =
                    (row == 4 ? 0 : i - c->top) * columns_of(c, column) + (column == 4 ? 0 : j);
                long cell = c->before[filter] * (is_y ? y_blocks : x_blocks) +
                            b.channel / TILE * patches_of(c, filter) + place;
                cells[4 * r + s] = space + (cell * c->blocks + block) * CELL;
            }
        if (is_y)
            FOR_PATCH(enter_outputs, down, across, &b, cells);
        else
            FOR_PATCH(enter_inputs, down, across, &b, cells);
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
        int i_from = square % wide * side, i_to = least(i_from + side, x_blocks);
        int o_from = square / wide * side, o_to = least(o_from + side, y_blocks);
        long cells = patches_of(c, filter) * c->blocks, before = c->before[filter] * c->blocks;
        if (!cells && !is_first) continue;
        for (long from = 0; from == 0 || from < cells; from += near) {
            long count = from + near < cells ? near : cells - from;
            int fresh = is_first && from == 0;
            for (int o = o_from; o < o_to; o++)
                for (int i = i_from; i < i_to; i += WIDE) {
                    struct left y = {c->y_space + (before * y_blocks + o * cells + from) * CELL, 2,
                                     2 * TILE};
                    struct right x = {c->x_space + (before * x_blocks + i * cells + from) * CELL,
                                      cells * CELL};
                    float *at = c->sums + ((long)filter * y_blocks + o) * TILE * line + i * TILE;
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
    const __m512 half = _mm512_set1_ps(0.5f);
    __m512 both = _mm512_mul_ps(half, _mm512_add_ps(f[step], f[2 * step]));
    __m512 apart = _mm512_mul_ps(half, _mm512_sub_ps(f[step], f[2 * step]));
    f[0] = _mm512_add_ps(f[0], both);
    f[step] = _mm512_add_ps(apart, f[4 * step]);
    f[2 * step] = _mm512_sub_ps(both, f[3 * step]);
}

static void gather_some(void *job, struct queue *queue) {
    const struct correlation *c = job;
    int ins = c->x.channels;
    long line = (long)channel_blocks(&c->x) * TILE, rows = (long)channel_blocks(&c->y) * TILE;
    for (long out; (out = take(queue, c->y.channels)) >= 0;)
        for (int in = 0; in < ins; in += TILE) {
            __m512 f[FILTERS];
            for (int i = 0; i < FILTERS; i++)
                f[i] = _mm512_loadu_ps(c->sums + (i * rows + out) * line + in);
            for (int j = 0; j < FORMS; j++) gather(f + j, FORMS);
            for (int i = 0; i < 3; i++) gather(f + FORMS * i, 1);
            for (int tap = 0; tap < TAPS; tap++)
                _mm512_mask_storeu_ps(c->gradient + (out * TAPS + tap) * ins + in,
                                      first_of(ins - in), f[FORMS * (tap / 3) + tap % 3]);
        }
}

/* Products of a side of so many outputs. */
static long products_along(int outs) { return outs / 2 * 4l + (outs % 2 ? least(outs, 2) : 0); }

static long size_of_sums(int x_blocks, int y_blocks) {
    return 4l * FILTERS * TILE * TILE * x_blocks * y_blocks;
}

/* How much is laid out at a time: blocks of images, or rows of patches of one of them. */
struct chunk {
    int blocks, rows;
    long cells; /* of a block of channels */
};

static struct chunk chunk_of(int images, int out_rows, int out_columns, int x_blocks,
                             int y_blocks) {
    /* The sums pass through the caches once for each chunk, so it is no smaller than they are: it
     * may be half of `bytes`, rounded down to whole maps. */
    long of_cell = 2l * CELL * (x_blocks + y_blocks), twice = 2 * size_of_sums(x_blocks, y_blocks);
    long bytes = twice > CHUNK ? twice : CHUNK;
    long row = 4 * products_along(out_columns) * of_cell, rows = quotient_up(out_rows, 2);
    long map = products_along(out_rows) * products_along(out_columns) * of_cell;
    struct chunk chunk = {1, (int)rows, 0};
    if (map > bytes)
        chunk.rows = least((int)rows, (int)(bytes / row) + 1);
    else
        chunk.blocks = least((int)(bytes / map), quotient_up(images, PAIR));
    chunk.cells = (chunk.rows == rows ? products_along(out_rows) : 4l * chunk.rows) *
                  products_along(out_columns) * chunk.blocks;
    return chunk;
}

/* Bytes of room that `tiles_correlate` needs. */
EXPORTED long tiles_correlated(int images, int rows, int columns, int out_rows, int out_columns,
                               int ins, int outs) {
    (void)rows, (void)columns; /* they count where products are by tiles */
    int x_blocks = quotient_up(ins, TILE), y_blocks = quotient_up(outs, TILE);
    struct chunk chunk = chunk_of(images, out_rows, out_columns, x_blocks, y_blocks);
    return size_of_sums(x_blocks, y_blocks) + 2l * CELL * chunk.cells * (x_blocks + y_blocks);
}

/* The gradient (outs, 3, 3, ins), float32, of the weights between x (rows, columns, images, ins)
 * and the gradient y of the outputs (out_rows, out_columns, images, outs), or pooled with its
 * `spread`. The space has room for `tiles_correlated` bytes. No map of y is larger than that of x;
 * an odd side is the same. */
EXPORTED void tiles_correlate(const bf16 *x, const bf16 *y, const uint8_t *spread, float *gradient,
                              void *space, int images, int rows, int columns, int out_rows,
                              int out_columns, int ins, int outs, int threads) {
    struct correlation c = {
        .x = {x, NULL, rows, columns, images, ins},
        .y = {y, spread, out_rows, out_columns, images, outs},
        .gradient = gradient,
        .sums = space,
        .threads = threads,
    };
    int x_blocks = channel_blocks(&c.x), y_blocks = channel_blocks(&c.y);
    struct chunk chunk = chunk_of(images, out_rows, out_columns, x_blocks, y_blocks);
    c.x_space = (bf16 *)((char *)space + size_of_sums(x_blocks, y_blocks));
    c.y_space = c.x_space + chunk.cells * x_blocks * CELL;
    int all = quotient_up(images, PAIR), high = quotient_up(out_rows, 2);
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
