/* The products by AVX-512: each instruction adds 16 x 2 products to the sums of 16 columns.
 *
 * Sums stay in registers, 16 or 24 of 32, for all of a cell's taps or for a portion. Of the left
 * factor a value of 32 bits, two of bfloat16, is read and repeated: 17 loads for 16 products, 11
 * for 24, which take no time beside them. */
#include "products.h"
#include <string.h>

int ask_for_products(void) { return 0; }

struct layout begin_cells(int n, int k) {
    (void)n, (void)k;
    return (struct layout){0};
}

struct layout begin_portions(int m, int n) {
    (void)m, (void)n;
    return (struct layout){0};
}

void end_products(const struct layout *before) { (void)before; }

#define ALL_INLINE static inline __attribute__((always_inline))

/* Two values of bfloat16, repeated. */
ALL_INLINE __m512bh repeated(const bf16 *values) {
    int both;
    memcpy(&both, values, 4);
    return (__m512bh)_mm512_set1_epi32(both);
}

ALL_INLINE __m512bh pairs(__mmask16 present, const bf16 *row) {
    return (__m512bh)_mm512_maskz_loadu_epi32(present, row);
}

/* One cell's. */
static void sum_cell(const struct map *map, int row, int column, const bf16 *weight, int n,
                     float *sums) {
    int k = part(map->ins, PAIR), deep = map->ins / k;
    __mmask16 outs = n == TILE ? 0xffff : (1u << n) - 1;
    __m512 sum[TILE];
#pragma GCC unroll 16
    for (int i = 0; i < TILE; i++) sum[i] = _mm512_setzero_ps();
    for (int down = row == 0; down < 3 && row + down <= map->rows; down++)
        for (int right = column == 0; right < 3 && column + right <= map->columns; right++) {
            const bf16 *w = weight + (long)(3 * deep * down + right) * k * n;
            long at = (long)(row + down - 1) * map->columns + column + right - 1;
            const bf16 *x = map->x + at * map->cell;
            for (int d = 0; d < deep; d++, x += k, w += 3l * k * n)
                for (int i = 0; i < k; i += 2) {
                    __m512bh factor = pairs(outs, w + i * n);
#pragma GCC unroll 16
                    for (int image = 0; image < TILE; image++)
                        sum[image] = _mm512_dpbf16_ps(sum[image],
                                                      repeated(x + image * map->ins + i), factor);
                }
        }
#pragma GCC unroll 16
    for (int i = 0; i < TILE; i++) _mm512_mask_storeu_ps(sums + i * PAIR, outs, sum[i]);
}

void sum_cells(const struct map *map, int row, int column, int wide, const bf16 *weight, int n,
               float *sums) {
    for (int i = 0; i < wide; i++)
        sum_cell(map, row, column + i, weight, n, sums + i * TILE * PAIR);
}

enum { HIGH = 8 }; /* channels of y whose sums for three taps are in registers */

/* Adds the products of a cell of y and those of x to its left, here and to its right. */
ALL_INLINE void add_cell(__m512 sums[HIGH][3], const bf16 *y, const bf16 *x, long tile,
                         const int from, const int to, int n, __mmask16 ins) {
    for (int i = 0; i < PAIR; i += 2) {
        __m512bh factor[3];
#pragma GCC unroll 3
        for (int tap = from; tap < to; tap++)
            factor[tap] = pairs(ins, x + (tap - 1) * tile + i * n);
#pragma GCC unroll 8
        for (int channel = 0; channel < HIGH; channel++) {
            __m512bh both = repeated(y + channel * PAIR + i);
#pragma GCC unroll 3
            for (int tap = from; tap < to; tap++)
                sums[channel][tap] = _mm512_dpbf16_ps(sums[channel][tap], both, factor[tap]);
        }
    }
}

/* HIGH channels' part of a portion. */
static void add_channels(const struct correlation *c, struct portion p, const bf16 *y_block,
                         const bf16 *x_block, int shift, float *gradient) {
    int m = part(c->outs, TILE), n = part(c->ins, TILE), wide = c->out_columns;
    long tile = (long)n * PAIR, y_tile = (long)m * PAIR, line = (long)TAPS * c->ins;
    __mmask16 ins = n == TILE ? 0xffff : (1u << n) - 1;
    __m512 sums[HIGH][3];
#pragma GCC unroll 8
    for (int i = 0; i < HIGH; i++)
#pragma GCC unroll 3
        for (int tap = 0; tap < 3; tap++)
            sums[i][tap] = p.first == 0 && p.top == 0
                               ? _mm512_setzero_ps()
                               : _mm512_maskz_loadu_ps(ins, gradient + i * line + tap * c->ins);
    for (int block = p.first; block < p.last; block++)
        for (int row = p.top; row < p.bottom; row++) {
            int x_row = row + shift - 1;
            if (x_row < 0 || x_row >= c->rows) continue;
            const bf16 *y = y_block + ((long)block * c->out_rows + row) * wide * y_tile;
            const bf16 *x = x_block + ((long)block * c->rows + x_row) * c->columns * tile;
            if (c->columns == 1) {
                add_cell(sums, y, x, tile, 1, 2, n, ins);
                continue;
            }
            add_cell(sums, y, x, tile, 1, 3, n, ins);
            for (int column = 1; column < wide; column++) {
                y += y_tile, x += tile;
                if (column + 1 < c->columns)
                    add_cell(sums, y, x, tile, 0, 3, n, ins);
                else
                    add_cell(sums, y, x, tile, 0, 2, n, ins);
            }
        }
#pragma GCC unroll 8
    for (int i = 0; i < HIGH; i++)
#pragma GCC unroll 3
        for (int tap = 0; tap < 3; tap++)
            _mm512_mask_storeu_ps(gradient + i * line + tap * c->ins, ins, sums[i][tap]);
}

void add_portion(const struct correlation *c, struct portion p, int o, int i, int shift) {
    int m = part(c->outs, TILE), n = part(c->ins, TILE);
    const bf16 *y = c->y + (long)o * c->blocks * c->out_rows * c->out_columns * m * PAIR;
    const bf16 *x = c->x + (long)i * c->blocks * c->rows * c->columns * n * PAIR;
    float *gradient = c->gradient + ((long)o * m * TAPS + 3 * shift) * c->ins + i * n;
    for (int channel = 0; channel < m; channel += HIGH)
        add_channels(c, p, y + channel * PAIR, x, shift, gradient + (long)channel * TAPS * c->ins);
}
