/* The 3x3 convolution padded with zeros, its max-pooling, and its inputs' gradient.
 *
 * That gradient is a convolution too, of unpooled gradients with flipped weights. Sums have one
 * order, whatever the number of threads. */
#include "products.h"

struct pack {
    const float *weight;
    bf16 *packed;
    int outs, ins, flipped;
};

static void pack_some(void *job, struct queue *queue) {
    const struct pack *p = job;
    int k = part(p->ins, PAIR), n = part(p->outs, TILE), deep = p->ins / k;
    long row = p->flipped ? (long)TAPS * p->outs : 1, items = (long)(p->outs / n) * 3;
    __mmask16 outs = (1u << n) - 1, low = k >= 16 ? 0xffff : (1u << k) - 1,
              high = k > 16 ? (1u << (k - 16)) - 1 : 0;
    for (long item; (item = take(queue, items)) >= 0;) {
        long first = item / 3 * n;
        bf16 *into = p->packed + item * deep * 3 * k * n;
        for (int d = 0; d < deep; d++)
            for (int column = 0; column < 3; column++, into += k * n) {
                int tap = 3 * (int)(item % 3) + column;
                if (p->flipped) {
                    const float *w = p->weight + (TAPS - 1l - tap) * p->outs + first + d * k * row;
                    for (int i = 0; i < k; i += 2, w += 2 * row)
                        _mm512_mask_storeu_epi32(
                            into + i * n, outs,
                            rounded_in_turn(_mm512_maskz_loadu_ps(outs, w),
                                            _mm512_maskz_loadu_ps(outs, w + row)));
                    continue;
                }
                __m512i pairs[16];
                for (int o = 0; o < 16; o++) {
                    const float *w = p->weight +
                                     ((first + (o < n ? o : 0)) * TAPS + tap) * p->ins +
                                     (long)d * k;
                    pairs[o] = (__m512i)_mm512_cvtne2ps_pbh(_mm512_maskz_loadu_ps(high, w + 16),
                                                            _mm512_maskz_loadu_ps(low, w));
                }
                turn(pairs);
                for (int i = 0; i < k / 2; i++)
                    _mm512_mask_storeu_epi32(into + 2 * i * n, outs, pairs[i]);
            }
    }
}

/* The elements of so many filters, packed. */
EXPORTED long kernel_packed(int out_rows, int out_columns, int outs, int ins) {
    (void)out_rows, (void)out_columns; /* they count where products are by vectors */
    return (long)outs * TAPS * ins;
}

/* Weights float32 (outs, 3, 3, ins) as `kernel_convolve` takes them:
 * (outs / n, 3, ins / k, 3, k / 2, n, 2). Flipped ones, of weights (ins, 3, 3, outs), lead from a
 * gradient of outputs, `ins`, to that of inputs, `outs`. */
EXPORTED void kernel_pack(const float *weight, bf16 *packed, int out_rows, int out_columns,
                          int outs, int ins, int flipped, int threads) {
    (void)out_rows, (void)out_columns;
    struct pack p = {weight, packed, outs, ins, flipped};
    run(pack_some, &p, threads);
}

enum { WIDE = 8 }; /* cells whose sums are kept until they are pooled and rounded */

struct convolution {
    const bf16 *x, *weight;
    bf16 *y;
    uint8_t *chosen;       /* of pooling y, or NULL */
    const uint8_t *spread; /* of unpooling x, or NULL */
    int images, rows, columns, out_rows, out_columns, ins, outs, threads;
};

/* Of a tile's block; the last one has some images a second time, with the same values to the bit,
 * maybe by another thread. */
static long first_image(const struct convolution *c, int block) {
    return least(block * TILE, c->images - TILE);
}

/* Rows `top` to `bottom` of a tile's images of an unpooled x, (rows, columns, TILE, ins): a value
 * is where its maximum was, beside it are zeros. */
static void unpool(const struct convolution *c, long first, int top, int bottom, bf16 *space) {
    for (int row = top; row < bottom; row++)
        for (int column = 0; column < c->columns; column++, space += TILE * c->ins) {
            long pooled = (long)(row / 2) * (c->columns / 2) + column / 2;
            const bf16 *x = c->x + (pooled * c->images + first) * c->ins;
            const uint8_t *spread = c->spread + (pooled * c->images + first) * c->ins;
            __m128i here = _mm_set1_epi8(2 * (row % 2) + column % 2);
            for (int i = 0; i < TILE * c->ins; i += TILE) {
                __m128i which = _mm_loadu_si128((const void *)(spread + i));
                __m256i value = _mm256_maskz_loadu_epi16(_mm_cmpeq_epi8_mask(which, here), x + i);
                _mm256_storeu_si256((void *)(space + i), value);
            }
        }
}

/* Of four cells' sums the largest, and which it was. */
static inline void largest(const float *sums, __m512 *best, __m128i *which) {
    __m512i at = _mm512_setzero_si512();
    *best = _mm512_load_ps(sums);
    for (int i = 1; i < 4; i++)
        larger(best, &at, _mm512_load_ps(sums + (i / 2 * WIDE + i % 2) * TILE * PAIR), i);
    *which = _mm512_cvtepi32_epi8(at);
}

/* Pools sums where y is pooled, and rounds those of a cell to y, from element `at` on. */
static inline void put(const struct convolution *c, const float *sums, long at, int width) {
    __mmask32 wide = width == PAIR ? ~0u : (1u << width) - 1;
    for (int i = 0; i < TILE; i++, sums += PAIR, at += c->outs) {
        __m512 low = _mm512_load_ps(sums), high = _mm512_load_ps(sums + TILE);
        if (c->chosen) {
            __m128i low_at, high_at;
            largest(sums, &low, &low_at);
            largest(sums + TILE, &high, &high_at);
            __m256i which = _mm256_inserti128_si256(_mm256_castsi128_si256(low_at), high_at, 1);
            _mm256_mask_storeu_epi8(c->chosen + at, wide, which);
        }
        _mm512_mask_storeu_epi16(c->y + at, wide, (__m512i)_mm512_cvtne2ps_pbh(high, low));
    }
}

/* Rows `top` to `bottom` of y, a tile's images from `first` on, `width` outputs from `out` on; x
 * are those images' cells from row `above` on, `cell` elements apart. */
static void convolve_band(const struct convolution *c, const bf16 *x, long cell, long first,
                          int above, int out, int width, int top, int bottom) {
    const struct map map = {x, cell, c->rows - above, c->columns, c->ins};
    int n = part(c->outs, TILE), step = c->chosen ? 2 : 1;
    float sums[2 * WIDE * TILE * PAIR] __attribute__((aligned(64)));
    for (int row = top; row + step <= bottom; row += step)
        for (int column = 0; column + step <= c->out_columns; column += WIDE) {
            int count = least(c->out_columns - column, WIDE);
            for (int r = 0; r < step; r++)
                for (int at = 0; at < width; at += n)
                    sum_cells(&map, row - above + r, column, count,
                              c->weight + (long)(out + at) * TAPS * c->ins, n,
                              sums + r * WIDE * TILE * PAIR + at);
            for (int i = 0; i + step <= count; i += step) {
                long place = (long)(row / step) * (c->out_columns / step) + (column + i) / step;
                put(c, sums + i * TILE * PAIR, (place * c->images + first) * c->outs + out, width);
            }
        }
}

static void convolve_some(void *job, struct queue *queue) {
    const struct convolution *c = job;
    int step = c->chosen ? 2 : 1, n = part(c->outs, TILE);
    /* Rows of y at a time, so that those of x they need and a block's weights stay near. */
    long of_row = 2l * c->columns * TILE * c->ins, of_weights = 2l * TAPS * c->ins * 2 * n;
    int band = (int)((NEAR - of_weights) / of_row) - 2;
    band = band > c->out_rows ? c->out_rows : band < step ? step : band / step * step;
    int bands = quotient_up(c->out_rows, band), blocks = quotient_up(c->images, TILE);
    /* Or some blocks of images, where their maps are so small that all weights weigh more. */
    int together = bands > 1 ? 1 : (int)((NEAR - of_weights) / (of_row * c->rows));
    together = least(together > 1 ? together : 1, quotient_up(blocks, SHARES * c->threads));
    long cell = (long)(c->spread ? TILE : c->images) * c->ins;
    long items = (long)quotient_up(blocks, together) * bands;
    struct layout before = begin_cells(n, part(c->ins, PAIR));
    for (long item; (item = take(queue, items)) >= 0;) {
        int top = (int)(item % bands) * band, bottom = least(top + band, c->out_rows);
        int above = top > 0 ? top - 1 : 0, below = least(bottom + 1, c->rows);
        int block = (int)(item / bands) * together, count = least(together, blocks - block);
        long space_of_block = cell * c->columns * (below - above);
        bf16 *space = c->spread ? thread_space(2 * space_of_block * count) : NULL;
        for (int b = 0; space && b < count; b++)
            unpool(c, first_image(c, block + b), above, below, space + b * space_of_block);
        SETTLED(space);
        for (int out = 0; out < c->outs; out += 2 * n)
            for (int b = 0; b < count; b++) {
                long first = first_image(c, block + b);
                const bf16 *x = space ? space + b * space_of_block
                                      : c->x + first * c->ins + above * c->columns * cell;
                convolve_band(c, x, cell, first, above, out, least(2 * n, c->outs - out), top,
                              bottom);
            }
    }
    end_products(&before);
}

/* x (rows, columns, images, ins) -> y (out_rows, out_columns, images, outs), padded with zeros.
 * The maps may differ in size: what is beyond x is zeros. At least TILE images.
 *
 * With `chosen`, y is pooled: the largest of 2x2 cells, (out_rows / 2, out_columns / 2, images,
 * outs), and `chosen` of that shape says which it was. With `spread`, which another call's
 * `chosen` was, x is (rows / 2, columns / 2, images, ins) and is unpooled first. */
EXPORTED void kernel_convolve(const bf16 *x, const uint8_t *spread, const bf16 *weight, bf16 *y,
                              uint8_t *chosen, int images, int rows, int columns, int out_rows,
                              int out_columns, int ins, int outs, int threads) {
    struct convolution c = {
        .x = x,
        .spread = spread,
        .weight = weight,
        .y = y,
        .chosen = chosen,
        .images = images,
        .rows = rows,
        .columns = columns,
        .out_rows = out_rows,
        .out_columns = out_columns,
        .ins = ins,
        .outs = outs,
        .threads = threads,
    };
    run(convolve_some, &c, threads);
}
