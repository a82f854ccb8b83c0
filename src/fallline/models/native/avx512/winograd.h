/* The convolution by fewer products: Winograd's F(4x4, 3x3).
 *
 * After Lavin and Gray 2015 (arXiv 1509.09308). Along a side outputs come in fours, for which six
 * products are enough instead of twelve, one for each point p of 0, A, -A, B, -B and infinity:
 *
 *     w(p) = (w0 + w1 p + w2 p^2) / (the product of p - q for the other points q), of the taps w
 *     d(p) = the sum of c_k d_k over the inputs d0 to d5 that they see, where the polynomial of
 *            the c_k is the product of x - q for the other points q
 *     y_i  = the sum of p^i w(p) d(p)
 *
 * Infinity is no factor of those products, its w is w2, and it counts in y3 alone, once. By these
 * points bfloat16 rounds less than half as much as by the usual 0, 1, -1, 2 and -2 (docs/log.md).
 * What is left of a side, three or two outputs, has five or four products, without -B, or without
 * B and -B, and the same forms of the filter. A last output without a partner sees nothing beyond
 * itself: d0 w0 + d1 w1, or where it is the first, too, d1 w1. So three taps along a side have
 * FORMS forms. By rows and columns 4x4 outputs, a patch, have 36 products instead of 144.
 *
 * Of a layer's channels the inputs are a multiple of 8, the outputs of 16; for the inputs'
 * gradient they change places. */
#pragma once
#include "../shared.h"

#define ALL_INLINE static inline __attribute__((always_inline))

enum {
    OUTS = 4,  /* of a patch along a side, at most */
    SIDE = 6,  /* inputs that they see, and products that they have */
    FORMS = 7, /* of a filter along a side: by those six points, and w1, */
    ALONE = 6, /* which is the last of them, of a single output */
    FILTERS = FORMS * FORMS,
    FACTORS = SIDE * SIDE, /* of a patch */
};

#define A 0.75f
#define B 1.5f
#define A2 (A * A)
#define B2 (B * B)
/* What forms of the filter are multiplied by: at A and -A, and at B and -B. */
#define AT_A (1 / (2 * A2 * (A2 - B2)))
#define AT_B (1 / (2 * B2 * (B2 - A2)))

/* The number of products of the i-th piece of a side's outputs: 6, 5, 4 or, of a single one, 2 or
 * 1. */
ALL_INLINE int products_of(int i, int outs) {
    int left = outs - OUTS * i;
    return left >= OUTS ? SIDE : left > 1 ? left + 2 : i > 0 ? 2 : 1;
}

/* The outputs that have so many products. */
ALL_INLINE int outs_of(int products) { return products > 2 ? products - 2 : 1; }

/* The form of the filter that the j-th of so many products takes. */
ALL_INLINE int form_of(int j, int products) {
    return j < products - 1 ? j : products > 2 ? 5 : ALONE;
}

/* Whether one of so many products takes a form. */
ALL_INLINE int takes(int products, int form) {
    return form >= 5 ? (form == 5) == (products > 2) : form < products - 1;
}

/* How many of the pieces of a side's outputs, from `from` to `to`, take a form. */
static inline int count_of(int form, int from, int to, int outs) {
    int fours = least(to, outs / OUTS) - least(from, outs / OUTS);
    int rest = outs % OUTS && to > outs / OUTS;
    return fours * takes(SIDE, form) + (rest && takes(products_of(outs / OUTS, outs), form));
}

/* The forms that filters take for maps of outputs of some size, in their order. */
struct forms {
    int count;
    int place[FILTERS]; /* of a form in that order, or -1 */
};

static inline struct forms forms_of(int out_rows, int out_columns) {
    struct forms f = {0, {0}};
    int high = quotient_up(out_rows, OUTS), wide = quotient_up(out_columns, OUTS);
    for (int i = 0; i < FILTERS; i++) {
        int is_taken =
            count_of(i / FORMS, 0, high, out_rows) && count_of(i % FORMS, 0, wide, out_columns);
        f.place[i] = is_taken ? f.count++ : -1;
    }
    return f;
}

/* Calls a function for so many products, which are a constant to it. */
#define FOR_PRODUCTS(products, function, ...)                                                     \
    do {                                                                                          \
        if ((products) == 6)                                                                      \
            function(6, __VA_ARGS__);                                                             \
        else if ((products) == 5)                                                                 \
            function(5, __VA_ARGS__);                                                             \
        else if ((products) == 4)                                                                 \
            function(4, __VA_ARGS__);                                                             \
        else if ((products) == 2)                                                                 \
            function(2, __VA_ARGS__);                                                             \
        else                                                                                      \
            function(1, __VA_ARGS__);                                                             \
    } while (0)

/* Maps (rows, columns, images, channels), or with `spread` their maxima of 2x2 cells and which of
 * the four each was; such maps have even sides. */
struct maps {
    const bf16 *x;
    const uint8_t *spread;
    int rows, columns, images, channels;
};

/* 6x6 cells, the second of the second row at a row and column that are even; or the 4x4 maxima
 * which they are spread from. The element at which each cell's first image begins, and whether it
 * exists. */
struct window {
    long at[FACTORS];
    __mmask16 there[FACTORS];
};

enum { MAXIMA = SIDE / 2 + 1 }; /* along a side of a window */

/* The window that the patch of outputs at `row` and `column` sees. */
ALL_INLINE struct window window_at(const struct maps *m, int row, int column) {
    struct window w;
    int size = m->spread ? 2 : 1, side = m->spread ? MAXIMA : SIDE;
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

/* 16 channels, from element `at` of each cell on, of a window's cell. */
ALL_INLINE __m512 look(const struct maps *m, const struct window *w, long at, __mmask16 present,
                       int row, int column) {
    int k = SIDE * row + column;
    if (!m->spread) return value(m->x + w->at[k] + at, present & w->there[k]);
    k = MAXIMA * ((row + 1) / 2) + (column + 1) / 2;
    int place = (row + 1) % 2 * 2 + (column + 1) % 2;
    __m128i which = _mm_maskz_loadu_epi8(present & w->there[k], m->spread + w->at[k] + at);
    __mmask16 here = _mm_cmpeq_epi8_mask(which, _mm_set1_epi8((char)place));
    return value(m->x + w->at[k] + at, present & w->there[k] & here);
}

/* a + factor b */
ALL_INLINE __m512 plus(__m512 a, const float factor, __m512 b) {
    return _mm512_fmadd_ps(_mm512_set1_ps(factor), b, a);
}

ALL_INLINE __m512 times(const float factor, __m512 a) {
    return _mm512_mul_ps(_mm512_set1_ps(factor), a);
}

/* The inputs that the outputs with so many products see. */
ALL_INLINE int seen_by(int products) { return products > 2 ? products : 2; }

/* The factors d(p) of so many products from the inputs, `step` apart. For 0, A, -A and infinity
 * they are those of two outputs from z, in which the points of B are factored out. Those of fewer
 * than six products are multiplied by what the forms, which are the same for all, are divided by
 * too often. */
ALL_INLINE void enter(const int products, __m512 *d, const int step) {
    if (products == 1) d[0] = d[step];
    if (products == 2) d[0] = times(A2 * B2, d[0]);
    if (products <= 2) return;
    __m512 z[4], of_b = d[0], of_minus_b = d[0];
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++)
        z[k] = products == 6   ? plus(d[(k + 2) * step], -B2, d[k * step])
               : products == 5 ? plus(d[(k + 1) * step], -B, d[k * step])
                               : d[k * step];
    if (products == 6) {
        __m512 even = plus(d[4 * step], -A2, d[2 * step]);
        __m512 odd = plus(d[3 * step], -A2, d[step]);
        of_b = plus(even, B, odd), of_minus_b = plus(even, -B, odd);
    } else if (products == 5) {
        of_b = times(2 * B, plus(d[3 * step], -A2, d[step]));
    }
    d[0] = plus(z[2], -A2, z[0]);
    d[step] = plus(z[2], A, z[1]);
    d[2 * step] = plus(z[2], -A, z[1]);
    d[(products - 1) * step] = plus(z[3], -A2, z[1]);
    if (products == 6) {
        d[3 * step] = of_b, d[4 * step] = of_minus_b;
    } else if (products == 5) {
        d[0] = times(B, d[0]), d[step] = times(A + B, d[step]);
        d[2 * step] = times(B - A, d[2 * step]), d[3 * step] = of_b;
    } else {
        d[0] = times(-B2, d[0]), d[step] = times(A2 - B2, d[step]);
        d[2 * step] = times(A2 - B2, d[2 * step]);
    }
}

/* Those of a window's rows, for so many products across each, SIDE i + j for the j-th of the i-th.
 */
ALL_INLINE void enter_rows(const int across, const struct maps *m, const struct window *w, long at,
                           __mmask16 present, int rows, __m512 *d) {
    for (int i = 0; i < rows; i++) {
        __m512 row[SIDE];
#pragma GCC unroll 6
        for (int j = 0; j < seen_by(across); j++) row[j] = look(m, w, at, present, i, j);
        enter(across, row, 1);
#pragma GCC unroll 6
        for (int j = 0; j < across; j++) d[SIDE * i + j] = row[j];
    }
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
