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
    CHUNK = 4 << 20,    /* bytes of factors that are laid out at a time, about */
};

struct correlation {
    struct maps x, y;
    float *gradient; /* of the weights */
    float *sums;     /* those of all their forms, (FILTERS, outs, ins filled up to blocks) */
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

/* Factors of an image, 16 channels, are rounded to a row of `rows`, (FACTORS, PAIR, TILE). */
ALL_INLINE void round_off(const __m512 *d, const int down, const int across, int image,
                          bf16 *rows) {
#pragma GCC unroll 4
    for (int i = 0; i < down; i++)
#pragma GCC unroll 4
        for (int j = 0; j < across; j++)
            _mm256_store_si256((void *)(rows + (4 * i + j) * CELL + image * TILE),
                               (__m256i)_mm512_cvtneps_pbh(d[4 * i + j]));
}

ALL_INLINE void enter_inputs(const struct maps *x, const struct window *w, long first, int channel,
                             const int down, const int across, bf16 *rows) {
    __mmask16 channels = first_of(x->channels - channel);
    for (int image = 0; image < PAIR; image++) {
        __m512 d[FACTORS];
        factors_of_inputs(x, w, (first + image) * x->channels + channel,
                          first + image < x->images ? channels : 0, down, across, d);
        round_off(d, down, across, image, rows);
    }
}

/* An output's gradient, or two, `step` apart, as those of its products; the fourth's sign is left
 * to the end. */
ALL_INLINE void spread_out(__m512 *d, const int step, const int factors) {
    if (factors == 4) {
        d[3 * step] = d[step];
        d[2 * step] = _mm512_sub_ps(d[0], d[3 * step]);
        d[step] = _mm512_add_ps(d[0], d[3 * step]);
    } else if (factors == 2) {
        d[step] = d[0];
    }
}

ALL_INLINE void enter_outputs(const struct maps *y, const struct window *w, long first,
                              int channel, const int down, const int across, bf16 *rows) {
    __mmask16 channels = first_of(y->channels - channel);
    for (int image = 0; image < PAIR; image++) {
        __m512 seen[FACTORS], d[FACTORS] = {_mm512_setzero_ps()};
        look(y, w, (first + image) * y->channels + channel,
             first + image < y->images ? channels : 0, 1, 3, seen);
        d[0] = seen[5], d[1] = seen[6], d[4] = seen[9], d[5] = seen[10];
        spread_out(d, 1, across);
        spread_out(d + 4, 1, across);
#pragma GCC unroll 4
        for (int j = 0; j < across; j++) spread_out(d + j, 4, down);
        round_off(d, down, across, image, rows);
    }
}

/* Lays out a chunk's factors: (filter, channels / 16, patch, block, CELL), in cells of two images'
 * values in turn, (16, 16, 2). */
static void lay_out_some(void *job, struct queue *queue) {
    const struct correlation *c = job;
    int wide = quotient_up(c->y.columns, 2), high = c->bottom - c->top;
    int x_blocks = channel_blocks(&c->x), y_blocks = channel_blocks(&c->y);
    long patches = (long)wide * high * c->blocks;
    bf16 rows[FACTORS * CELL] __attribute__((aligned(64)));
    for (long item; (item = take(queue, patches * (x_blocks + y_blocks))) >= 0;) {
        int side = (int)(item / patches) >= x_blocks, block = (int)(item % c->blocks);
        int channel = (int)(item / patches) - (side ? x_blocks : 0);
        int i = c->top + (int)(item % patches / c->blocks) / wide,
            j = (int)(item % patches / c->blocks) % wide;
        int down = factors_of(i, c->y.rows), across = factors_of(j, c->y.columns);
        long first = (long)(c->first + block) * PAIR;
        const struct maps *m = side ? &c->y : &c->x;
        struct window w = window_at(m, 2 * i, 2 * j);
        if (side && down == 4 && across == 4)
            enter_outputs(m, &w, first, channel * TILE, 4, 4, rows);
        else if (side)
            enter_outputs(m, &w, first, channel * TILE, down, across, rows);
        else if (down == 4 && across == 4)
            enter_inputs(m, &w, first, channel * TILE, 4, 4, rows);
        else
            enter_inputs(m, &w, first, channel * TILE, down, across, rows);
        for (int r = 0; r < down; r++)
            for (int s = 0; s < across; s++) {
                int row = form_of(r, down), column = form_of(s, across),
                    filter = FORMS * row + column;
                long patch =
                    (row == 4 ? 0 : i - c->top) * columns_of(c, column) + (column == 4 ? 0 : j);
                long cell = c->before[filter] * (side ? y_blocks : x_blocks) +
                            channel * patches_of(c, filter) + patch;
                bf16 *into = (side ? c->y_space : c->x_space) + (cell * c->blocks + block) * CELL;
                for (int k = 0; k < CELL; k += PAIR) {
                    __m512i two = _mm512_load_si512(rows + (4 * r + s) * CELL + k);
                    _mm512_storeu_si512(into + k, in_turn(two));
                }
            }
    }
}

enum { SIDE = 4 }; /* blocks of channels of both, whose products are summed at a time */

static void multiply_some(void *job, struct queue *queue) {
    const struct correlation *c = job;
    int x_blocks = channel_blocks(&c->x), y_blocks = channel_blocks(&c->y);
    int wide = quotient_up(x_blocks, SIDE), high = quotient_up(y_blocks, SIDE);
    int is_first = c->first == 0 && c->top == 0;
    long line = (long)x_blocks * TILE, near = NEAR / (2 * SIDE * 2 * CELL);
    for (long item; (item = take(queue, (long)FILTERS * wide * high)) >= 0;) {
        int filter = (int)(item / (wide * high)), square = (int)(item % (wide * high));
        int i_from = square % wide * SIDE, i_to = least(i_from + SIDE, x_blocks);
        int o_from = square / wide * SIDE, o_to = least(o_from + SIDE, y_blocks);
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
                    float *at =
                        c->sums + ((long)filter * c->y.channels + o * TILE) * line + i * TILE;
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
    long line = (long)channel_blocks(&c->x) * TILE;
    for (long out; (out = take(queue, c->y.channels)) >= 0;)
        for (int in = 0; in < ins; in += TILE) {
            __m512 f[FILTERS];
            for (int i = 0; i < FILTERS; i++)
                f[i] = _mm512_loadu_ps(c->sums + ((long)i * c->y.channels + out) * line + in);
            for (int j = 0; j < FORMS; j++) gather(f + j, FORMS);
            for (int i = 0; i < 3; i++) gather(f + FORMS * i, 1);
            for (int tap = 0; tap < TAPS; tap++)
                _mm512_mask_storeu_ps(c->gradient + (out * TAPS + tap) * ins + in,
                                      first_of(ins - in), f[FORMS * (tap / 3) + tap % 3]);
        }
}

/* Factors of a side of so many outputs. */
static long factors_along(int outs) { return outs / 2 * 4l + (outs % 2 ? least(outs, 2) : 0); }

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
    /* The sums pass through the caches once for each chunk, so it is no smaller than they are. */
    long of_cell = 2l * CELL * (x_blocks + y_blocks), twice = 2 * size_of_sums(x_blocks, y_blocks);
    long bytes = twice > CHUNK ? twice : CHUNK;
    long row = 4 * factors_along(out_columns) * of_cell, rows = quotient_up(out_rows, 2);
    long map = factors_along(out_rows) * factors_along(out_columns) * of_cell;
    struct chunk chunk = {1, (int)rows, 0};
    if (map > bytes)
        chunk.rows = least((int)rows, (int)(bytes / row) + 1);
    else
        chunk.blocks = least((int)(bytes / map), quotient_up(images, PAIR));
    chunk.cells = 4l * chunk.rows * factors_along(out_columns) * chunk.blocks;
    return chunk;
}

/* Bytes of room that `tiles_correlate` needs. */
EXPORTED long tiles_correlated(int images, int rows, int columns, int out_rows, int out_columns,
                               int ins, int outs) {
    (void)rows, (void)columns;
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
