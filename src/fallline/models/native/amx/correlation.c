/* The gradient of a 3x3 convolution's weights.
 *
 * For each tap the products of the outputs' gradient with the inputs one cell aside, summed over
 * images and cells. What is summed over has to be a tile's inner side, so both are laid out anew
 * first, 32 images of a cell at a time. Sums have one order, whatever the number of threads. */
#include "products.h"
#include <stddef.h>

struct gather {
    const bf16 *x;
    const uint8_t *spread;
    bf16 *packed;
    int rows, columns, images, channels, turned;
};

/* Some channels of an image at a cell, or zeros where the maximum of its four was not this one, at
 * `place`. */
static inline __m512i values(const struct gather *g, long at, int place, __mmask32 present) {
    if (g->spread)
        present = _mm256_mask_cmpeq_epi8_mask(
            present, _mm256_maskz_loadu_epi8(present, g->spread + at), _mm256_set1_epi8(place));
    return _mm512_maskz_loadu_epi16(present, g->x + at);
}

static void gather_some(void *job, struct queue *queue) {
    const struct gather *g = job;
    int n = part(g->channels, TILE);
    long blocks = (g->images + PAIR - 1) / PAIR, cells = (long)g->rows * g->columns,
         items = blocks * cells;
    __mmask16 columns = n == TILE ? 0xffff : (1u << n) - 1;
    uint16_t order[2][32];
    for (int half = 0; half < 2; half++)
        for (int i = 0; i < 32; i++)
            order[half][i] = (uint16_t)(((i / 2 + half * n) & 31) + (i % 2) * 32);
    __m512i low = _mm512_loadu_si512(order[0]), high = _mm512_loadu_si512(order[1]);
    for (long item; (item = take(queue, items)) >= 0;) {
        long block = item / cells, cell = item % cells, first = block * PAIR,
             row = cell / g->columns, column = cell % g->columns;
        int place = (int)(2 * (row % 2) + column % 2);
        long source = g->spread ? row / 2 * (g->columns / 2) + column / 2 : cell;
        for (int c = 0; c < g->channels; c += 2 * n) {
            int width = least(2 * n, g->channels - c);
            __mmask32 present = width == PAIR ? ~0u : (1u << width) - 1;
            long at = (source * g->images + first) * g->channels + c;
            bf16 *into = g->packed + ((c / n * blocks + block) * cells + cell) * n * PAIR;
            long next = blocks * cells * n * PAIR; /* channels n to 2n */
            __m512i pairs[2][16];
            for (int i = 0; i < 16; i++) {
                __mmask32 one = first + 2 * i < g->images ? present : 0,
                          two = first + 2 * i + 1 < g->images ? present : 0;
                __m512i a = values(g, at + 2 * i * (long)g->channels, place, one);
                __m512i b = values(g, at + (2 * i + 1) * (long)g->channels, place, two);
                pairs[0][i] = _mm512_permutex2var_epi16(a, low, b);
                pairs[1][i] = _mm512_permutex2var_epi16(a, high, b);
            }
            for (int half = 0; half < width / n; half++) {
                if (g->turned) {
                    turn(pairs[half]);
                    for (int i = 0; i < n; i++)
                        _mm512_storeu_si512(into + half * next + i * PAIR, pairs[half][i]);
                } else {
                    for (int i = 0; i < 16; i++)
                        _mm512_mask_storeu_epi32(into + half * next + i * 2 * n, columns,
                                                 pairs[half][i]);
                }
            }
        }
    }
}

/* x (rows, columns, images, channels), or pooled with its `spread`, as (channels / n, images / 32,
 * cells, tile), images filled up with zeros; tiles are (16, n, 2), images by channels, or turned
 * (n, 32), channels by images. */
static void gather(const bf16 *x, const uint8_t *spread, bf16 *packed, int rows, int columns,
                   int images, int channels, int turned, int threads) {
    struct gather g = {x, spread, packed, rows, columns, images, channels, turned};
    run(gather_some, &g, threads);
}

static void correlate_some(void *job, struct queue *queue) {
    const struct correlation *c = job;
    int m = part(c->outs, TILE), n = part(c->ins, TILE);
    int outs = c->outs / m, ins = c->ins / n;
    /* Items are squares of blocks: the larger, the more often what is near is used. */
    int side = 4;
    while (side > 1 && quotient_up(outs, side) * quotient_up(ins, side) < SHARES * c->threads)
        side /= 2;
    /* Cells of both whose blocks of 32 images stay near, as rows of a map or as whole maps. */
    int near = NEAR / (2 * side * 2 * TILE * PAIR);
    int band = near / c->columns > 1 ? least(near / c->columns, c->out_rows) : 1;
    int together = near / (c->rows * c->columns) > 1 ? near / (c->rows * c->columns) : 1;
    struct layout before = begin_portions(m, n);
    long items = (long)quotient_up(outs, side) * quotient_up(ins, side);
    for (long item; (item = take(queue, items)) >= 0;) {
        int i_from = (int)(item / quotient_up(outs, side)) * side,
            i_to = least(i_from + side, ins);
        int o_from = (int)(item % quotient_up(outs, side)) * side,
            o_to = least(o_from + side, outs);
        for (int first = 0; first < c->blocks; first += together)
            for (int top = 0; top < c->out_rows; top += band) {
                struct portion p = {first, least(first + together, c->blocks), top,
                                    least(top + band, c->out_rows)};
                for (int i = i_from; i < i_to; i++)
                    for (int o = o_from; o < o_to; o++)
                        for (int shift = 0; shift < 3; shift++) add_portion(c, p, o, i, shift);
            }
    }
    end_products(&before);
}

/* Bytes of room that `kernel_correlate` needs: for both maps, unpooled, with images filled up to a
 * multiple of 32. */
EXPORTED long kernel_correlated(int images, int rows, int columns, int out_rows, int out_columns,
                                int ins, int outs) {
    long of_x = (long)rows * columns * ins, of_y = (long)out_rows * out_columns * outs;
    return 2 * (of_x + of_y) * quotient_up(images, PAIR) * PAIR;
}

/* The gradient (outs, 3, 3, ins), float32, of the weights between x (rows, columns, images, ins)
 * and the gradient y of the outputs (out_rows, out_columns, images, outs), or pooled with its
 * `spread`. The space has room for `kernel_correlated` bytes. No map of y is larger than that of
 * x. */
EXPORTED void kernel_correlate(const bf16 *x, const bf16 *y, const uint8_t *spread,
                               float *gradient, void *space, int images, int rows, int columns,
                               int out_rows, int out_columns, int ins, int outs, int threads) {
    int blocks = quotient_up(images, PAIR);
    bf16 *x_space = space, *y_space = x_space + (long)rows * columns * ins * blocks * PAIR;
    gather(x, NULL, x_space, rows, columns, images, ins, 0, threads);
    gather(y, spread, y_space, out_rows, out_columns, images, outs, 1, threads);
    struct correlation c = {
        .x = x_space,
        .y = y_space,
        .gradient = gradient,
        .blocks = blocks,
        .rows = rows,
        .columns = columns,
        .out_rows = out_rows,
        .out_columns = out_columns,
        .ins = ins,
        .outs = outs,
        .threads = threads,
    };
    run(correlate_some, &c, threads);
}
