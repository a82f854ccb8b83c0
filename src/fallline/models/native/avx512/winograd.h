/* The convolution by fewer products: Winograd's F(2x2, 3x3).
 *
 * After Lavin and Gray 2015 (arXiv 1509.09308). Along a side outputs come in pairs, for which four
 * products are enough instead of six. Of the four inputs d that they see, of a filter's taps w and
 * of their products m:
 *
 *     d0 - d2   d1 + d2             d2 - d1             d1 - d3
 *     w0        (w0 + w1 + w2) / 2  (w0 - w1 + w2) / 2  w2
 *     y0 = m0 + m1 + m2             y1 = m1 - m2 - m3
 *
 * A last output without a partner sees nothing beyond itself: d0 w0 + d1 w1, or where it is the
 * first, too, d1 w1. So a side has FORMS of a tap. By rows and columns 2x2 outputs, a patch, have
 * 16 products instead of 36. */
#pragma once
#include "../tiles.h"

#define ALL_INLINE static inline __attribute__((always_inline))

enum {
    FORMS = 5, /* of a filter along a side: those four and w1 */
    FILTERS = FORMS * FORMS,
    FACTORS = 16, /* of a patch */
};

/* Outputs of a side, two by two: the number of products of the i-th two of them, 4, 2 or 1. */
ALL_INLINE int factors_of(int i, int outs) { return 2 * i + 1 < outs ? 4 : i > 0 ? 2 : 1; }

/* The form of the filter that their j-th product takes. */
ALL_INLINE int form_of(int j, int factors) { return factors == 4 ? j : factors - 1 - j ? 0 : 4; }

/* Maps (rows, columns, images, channels), or with `spread` their maxima of 2x2 cells and which of
 * the four each was. */
struct maps {
    const bf16 *x;
    const uint8_t *spread;
    int rows, columns, images, channels;
};

/* 4x4 cells, the second of the second row at an even row and column; or the 3x3 maxima which they
 * are spread from. Where each is, and whether. */
struct window {
    long at[FACTORS];
    __mmask16 there[FACTORS];
};

/* The window that the patch of outputs at `row` and `column` sees. */
ALL_INLINE struct window window_at(const struct maps *m, int row, int column) {
    struct window w;
    int size = m->spread ? 2 : 1, side = m->spread ? 3 : 4;
    row = row / size - 1, column = column / size - 1;
    for (int i = 0; i < side; i++)
        for (int j = 0; j < side; j++) {
            int r = row + i, c = column + j;
            int inside = r >= 0 && r < m->rows / size && c >= 0 && c < m->columns / size;
            long cell = inside ? (long)r * (m->columns / size) + c : 0;
            w.at[side * i + j] = cell * m->images * m->channels;
            w.there[side * i + j] = inside ? 0xffff : 0;
        }
    return w;
}

ALL_INLINE __m512 value(const bf16 *x, __mmask16 present) {
    __m512i values = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(present, x));
    return (__m512)_mm512_slli_epi32(values, 16);
}

/* 16 channels of a window's cells from row and column `from` to before `to`, from element `at` of
 * a cell on. */
ALL_INLINE void look(const struct maps *m, const struct window *w, long at, __mmask16 present,
                     const int from, const int to, __m512 *d) {
    if (!m->spread) {
#pragma GCC unroll 4
        for (int i = from; i < to; i++)
#pragma GCC unroll 4
            for (int j = from; j < to; j++)
                d[4 * i + j] = value(m->x + w->at[4 * i + j] + at, present & w->there[4 * i + j]);
        return;
    }
    __m512 maxima[9];
    __m128i which[9];
    const int first = (from + 1) / 2, last = to / 2;
#pragma GCC unroll 3
    for (int r = first; r <= last; r++)
#pragma GCC unroll 3
        for (int s = first; s <= last; s++) {
            long element = w->at[3 * r + s] + at;
            __mmask16 there = present & w->there[3 * r + s];
            maxima[3 * r + s] = value(m->x + element, there);
            which[3 * r + s] = _mm_maskz_loadu_epi8(there, m->spread + element);
        }
#pragma GCC unroll 4
    for (int i = from; i < to; i++)
#pragma GCC unroll 4
        for (int j = from; j < to; j++) {
            int k = 3 * ((i + 1) / 2) + (j + 1) / 2, place = (i + 1) % 2 * 2 + (j + 1) % 2;
            __mmask16 here = _mm_cmpeq_epi8_mask(which[k], _mm_set1_epi8((char)place));
            d[4 * i + j] = _mm512_maskz_mov_ps(here, maxima[k]);
        }
}

/* Four inputs, `step` apart, as factors. */
ALL_INLINE void enter(__m512 *d, const int step, const int factors) {
    if (factors == 4) {
        __m512 sum = _mm512_add_ps(d[step], d[2 * step]);
        d[0] = _mm512_sub_ps(d[0], d[2 * step]);
        d[3 * step] = _mm512_sub_ps(d[step], d[3 * step]);
        d[2 * step] = _mm512_sub_ps(d[2 * step], d[step]);
        d[step] = sum;
    } else if (factors == 1) {
        d[0] = d[step];
    }
}

/* The factors of a window's inputs, 4 i + j for the i-th of its rows and the j-th of its
 * columns. */
ALL_INLINE void factors_of_inputs(const struct maps *m, const struct window *w, long at,
                                  __mmask16 present, const int down, const int across, __m512 *d) {
    look(m, w, at, present, 0, 4, d);
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) enter(d + 4 * i, 1, across);
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) enter(d + j, 4, down);
}

/* Two values of bfloat16, repeated. */
ALL_INLINE __m512bh repeated(const bf16 *values) {
    int both;
    __builtin_memcpy(&both, values, 4);
    return (__m512bh)_mm512_set1_epi32(both);
}

enum {
    HIGH = 8, /* rows of a left factor whose sums are in registers, */
    WIDE = 2, /* for so many blocks of 16 columns of a right one: 10 loads for 16 products */
};

/* A left factor's two values of a row, of those that are summed over, are the next `step` further,
 * those of the next row `row`. */
struct left {
    const bf16 *x;
    long row, step;
};

/* A right factor's are (sums, 16, 2), those of the next block of columns `next` further. */
struct right {
    const bf16 *x;
    long next;
};

/* Sums (16, 16), rows `line` apart, those of the next block `next`. */
struct sums {
    float *x;
    long line, next;
};

/* Adds so many products of two values for each of 16 rows and `wide` blocks of columns; fresh sums
 * are set. */
ALL_INLINE void multiply(struct left left, struct right right, long products, const int wide,
                         int fresh, struct sums sums) {
    for (int half = 0; half < TILE; half += HIGH) {
        const bf16 *l = left.x + half * left.row, *r = right.x;
        float *into = sums.x + half * sums.line;
        __m512 sum[HIGH][WIDE];
#pragma GCC unroll 8
        for (int i = 0; i < HIGH; i++)
#pragma GCC unroll 2
            for (int o = 0; o < wide; o++)
                sum[i][o] = fresh ? _mm512_setzero_ps()
                                  : _mm512_loadu_ps(into + i * sums.line + o * sums.next);
        for (long k = 0; k < products; k++, l += left.step, r += 2 * TILE) {
            __m512bh factor[WIDE];
#pragma GCC unroll 2
            for (int o = 0; o < wide; o++)
                factor[o] = (__m512bh)_mm512_loadu_si512(r + o * right.next);
#pragma GCC unroll 8
            for (int i = 0; i < HIGH; i++) {
                __m512bh both = repeated(l + i * left.row);
#pragma GCC unroll 2
                for (int o = 0; o < wide; o++)
                    sum[i][o] = _mm512_dpbf16_ps(sum[i][o], both, factor[o]);
            }
        }
#pragma GCC unroll 8
        for (int i = 0; i < HIGH; i++)
#pragma GCC unroll 2
            for (int o = 0; o < wide; o++)
                _mm512_storeu_ps(into + i * sums.line + o * sums.next, sum[i][o]);
    }
}

ALL_INLINE __mmask16 first_of(int count) { return count >= TILE ? 0xffff : (1u << count) - 1; }
