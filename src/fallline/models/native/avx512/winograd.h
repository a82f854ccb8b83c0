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
 * first, too, d1 w1. So three taps along a side have FORMS forms. By rows and columns 2x2 outputs,
 * a patch, have 16 products instead of 36.
 *
 * Of a layer's channels the inputs are a multiple of 8, the outputs of 16; for the inputs'
 * gradient they change places. */
#pragma once
#include "../tiles.h"

#define ALL_INLINE static inline __attribute__((always_inline))

enum {
    FORMS = 5, /* of a filter along a side: those four and w1 */
    FILTERS = FORMS * FORMS,
    FACTORS = 16, /* of a patch */
};

/* The number of products, 4, 2 or 1, of the i-th pair of a side's outputs. */
ALL_INLINE int products_of(int i, int outs) { return 2 * i + 1 < outs ? 4 : i > 0 ? 2 : 1; }

/* The form of the filter that the j-th of them takes: the last of fewer than four takes w1. */
ALL_INLINE int form_of(int j, int products) {
    return products == 4 ? j : j < products - 1 ? 0 : 4;
}

/* Calls a function for a patch of so many products down and across, which are constants in the
 * usual cases, so that its loops over them are unrolled. */
#define FOR_PATCH(function, down, across, ...)                                                    \
    do {                                                                                          \
        if ((down) == 4 && (across) == 4)                                                         \
            function(4, 4, __VA_ARGS__);                                                          \
        else if ((down) == 4 && (across) == 2)                                                    \
            function(4, 2, __VA_ARGS__);                                                          \
        else if ((down) == 2 && (across) == 4)                                                    \
            function(2, 4, __VA_ARGS__);                                                          \
        else if ((down) == 2 && (across) == 2)                                                    \
            function(2, 2, __VA_ARGS__);                                                          \
        else                                                                                      \
            function((down), (across), __VA_ARGS__);                                              \
    } while (0)

/* Maps (rows, columns, images, channels), or with `spread` their maxima of 2x2 cells and which of
 * the four each was; such maps have even sides. */
struct maps {
    const bf16 *x;
    const uint8_t *spread;
    int rows, columns, images, channels;
};

/* 4x4 cells, the second of the second row at an even row and column; or the 3x3 maxima which they
 * are spread from. The element at which each cell's first image begins, and whether it exists. */
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

/* 16 channels, from element `at` of each cell on, of a window's cells in rows and columns `first`
 * to before `end`, to d[4 * row + column]. */
ALL_INLINE void look(const struct maps *m, const struct window *w, long at, __mmask16 present,
                     const int first, const int end, __m512 *d) {
    if (!m->spread) {
#pragma GCC unroll 4
        for (int i = first; i < end; i++)
#pragma GCC unroll 4
            for (int j = first; j < end; j++)
                d[4 * i + j] = value(m->x + w->at[4 * i + j] + at, present & w->there[4 * i + j]);
        return;
    }
    __m512 maxima[9];
    __m128i which[9];
    const int top = (first + 1) / 2, bottom = end / 2;
#pragma GCC unroll 3
    for (int r = top; r <= bottom; r++)
#pragma GCC unroll 3
        for (int s = top; s <= bottom; s++) {
            long element = w->at[3 * r + s] + at;
            __mmask16 there = present & w->there[3 * r + s];
            maxima[3 * r + s] = value(m->x + element, there);
            which[3 * r + s] = _mm_maskz_loadu_epi8(there, m->spread + element);
        }
#pragma GCC unroll 4
    for (int i = first; i < end; i++)
#pragma GCC unroll 4
        for (int j = first; j < end; j++) {
            int k = 3 * ((i + 1) / 2) + (j + 1) / 2, place = (i + 1) % 2 * 2 + (j + 1) % 2;
            __mmask16 here = _mm_cmpeq_epi8_mask(which[k], _mm_set1_epi8((char)place));
            d[4 * i + j] = _mm512_maskz_mov_ps(here, maxima[k]);
        }
}

/* The factors of so many products from four inputs, `step` apart. */
ALL_INLINE void enter(__m512 *d, const int step, const int products) {
    if (products == 4) {
        __m512 sum = _mm512_add_ps(d[step], d[2 * step]);
        d[0] = _mm512_sub_ps(d[0], d[2 * step]);
        d[3 * step] = _mm512_sub_ps(d[step], d[3 * step]);
        d[2 * step] = _mm512_sub_ps(d[2 * step], d[step]);
        d[step] = sum;
    } else if (products == 1) {
        d[0] = d[step];
    }
}

/* The factors of a window's inputs, 4 i + j for the i-th of its rows and j-th of its columns. */
ALL_INLINE void enter_window(const int down, const int across, const struct maps *m,
                             const struct window *w, long at, __mmask16 present, __m512 *d) {
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

/* A left factor, 16 rows of what is summed over, two neighbouring values at a time: the next two
 * are `step` elements further, the next row's `row`. */
struct left {
    const bf16 *x;
    long row, step;
};

/* A right factor, blocks of 16 columns of it, `next` elements apart: (pairs, 16, 2). */
struct right {
    const bf16 *x;
    long next;
};

/* Sums (16, 16), rows `line` apart, those of the next block `next`. */
struct sums {
    float *x;
    long line, next;
};

/* Adds the products of so many pairs for 16 rows and `wide` blocks of columns; fresh sums are
 * set. */
ALL_INLINE void multiply(struct left left, struct right right, long pairs, const int wide,
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
        for (long k = 0; k < pairs; k++, l += left.step, r += 2 * TILE) {
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
