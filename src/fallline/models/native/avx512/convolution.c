/* The 3x3 convolution padded with zeros, its max-pooling, and its inputs' gradient.
 *
 * That gradient is a convolution too, of unpooled gradients with flipped weights. Factors are
 * rounded to bfloat16, products summed in float32 in one order, whatever the number of threads. */
#include "winograd.h"

int ask_for_products(void) { return 0; }

struct pack {
    const float *weight;
    bf16 *packed;
    int outs, ins, flipped;
    struct forms forms;
};

/* The forms of three taps, each to be found `step` apart. */
ALL_INLINE void forms(__m512 *w, const int step) {
    __m512 first = w[0], middle = w[step], last = w[2 * step];
    __m512 even_a = times(AT_A, plus(first, A2, last));
    __m512 even_b = times(AT_B, plus(first, B2, last));
    w[0] = times(1 / (A2 * B2), first);
    w[step] = plus(even_a, A * AT_A, middle);
    w[2 * step] = plus(even_a, -A * AT_A, middle);
    w[3 * step] = plus(even_b, B * AT_B, middle);
    w[4 * step] = plus(even_b, -B * AT_B, middle);
    w[5 * step] = last;
    w[6 * step] = middle;
}

/* All forms of 16 filters, whose taps are `tap` apart. */
ALL_INLINE void filters(const float *weight, long tap, __mmask16 present, __m512 *w) {
    for (int i = 0; i < TAPS; i++)
        w[FORMS * (i / 3) + i % 3] = _mm512_maskz_loadu_ps(present, weight + i * tap);
    for (int i = 0; i < 3; i++) forms(w + FORMS * i, 1);
    for (int j = 0; j < FORMS; j++) forms(w + j, FORMS);
}

static void pack_some(void *job, struct queue *queue) {
    const struct pack *p = job;
    int blocks = quotient_up(p->outs, TILE), deep = quotient_up(p->ins, PAIR);
    for (long item; (item = take(queue, (long)blocks * deep)) >= 0;) {
        int out = (int)(item / deep) * TILE, in = (int)(item % deep) * PAIR;
        int count = least(PAIR, p->ins - in);
        __mmask16 outs = first_of(p->outs - out);
        long of_filter = (long)p->ins * TILE;
        bf16 *into = p->packed + (long)out / TILE * p->forms.count * of_filter + in * TILE;
        if (p->flipped) {
            for (int i = 0; i < count; i += 2) {
                __m512 one[FILTERS], two[FILTERS];
                const float *w = p->weight + (long)(in + i) * TAPS * p->outs + out;
                filters(w + (TAPS - 1l) * p->outs, -p->outs, outs, one);
                filters(w + (2l * TAPS - 1) * p->outs, -p->outs, outs, two);
                for (int f = 0; f < FILTERS; f++)
                    if (p->forms.place[f] >= 0)
                        _mm512_storeu_si512(into + p->forms.place[f] * of_filter + i * TILE,
                                            rounded_in_turn(one[f], two[f]));
            }
            continue;
        }
        __m512i pairs[FILTERS][TILE];
        for (int o = 0; o < TILE; o++) {
            __m512 low[FILTERS], high[FILTERS];
            const float *w = p->weight + (long)least(out + o, p->outs - 1) * TAPS * p->ins + in;
            filters(w, p->ins, first_of(count), low);
            filters(w + TILE, p->ins, count > TILE ? first_of(count - TILE) : 0, high);
            for (int f = 0; f < FILTERS; f++)
                pairs[f][o] = (__m512i)_mm512_cvtne2ps_pbh(high[f], low[f]);
        }
        for (int f = 0; f < FILTERS; f++) {
            if (p->forms.place[f] < 0) continue;
            turn(pairs[f]);
            for (int i = 0; i < count / 2; i++)
                _mm512_storeu_si512(into + p->forms.place[f] * of_filter + 2 * i * TILE,
                                    pairs[f][i]);
        }
    }
}

/* The elements of all forms of so many filters. */
EXPORTED long kernel_packed(int out_rows, int out_columns, int outs, int ins) {
    struct forms f = forms_of(out_rows, out_columns);
    return (long)quotient_up(outs, TILE) * TILE * ins * f.count;
}

/* Weights float32 (outs, 3, 3, ins) as `kernel_convolve` takes them for outputs of that size,
 * (outs / 16, forms, ins / 2, 16, 2). Flipped ones, of weights (ins, 3, 3, outs), lead from a
 * gradient of outputs, `ins`, to that of inputs, `outs`. */
EXPORTED void kernel_pack(const float *weight, bf16 *packed, int out_rows, int out_columns,
                          int outs, int ins, int flipped, int threads) {
    struct pack p = {weight, packed, outs, ins, flipped, forms_of(out_rows, out_columns)};
    run(pack_some, &p, threads);
}

struct convolution {
    struct maps x;
    const bf16 *weight;
    bf16 *y;
    uint8_t *chosen; /* of pooling y, or NULL */
    int out_rows, out_columns, outs, threads;
    struct forms forms;
};

/* A patch of outputs, 16 images' from `first` on, at `row` and `column`: it has so many products
 * down and across. */
struct patch {
    int row, column, down, across;
    long first;
};

static struct patch patch_at(const struct convolution *c, long index) {
    int wide = quotient_up(c->out_columns, OUTS), high = quotient_up(c->out_rows, OUTS);
    int i = (int)(index % (wide * high)) / wide, j = (int)(index % wide);
    long block = index / (wide * high);
    /* The last block has some images a second time, with the same values to the bit, maybe by
     * another thread. */
    return (struct patch){OUTS * i, OUTS * j, products_of(i, c->out_rows),
                          products_of(j, c->out_columns),
                          least((int)block * TILE, c->x.images - TILE)};
}

enum { LINE = 32 }; /* values in a line of the cache */

/* Elements of 16 images' factors, and a line more, so that a patch's do not meet in one place of
 * the cache. */
static long of_factor(int ins) { return (long)TILE * ins + LINE; }

/* Rounds the factors of so many products down a window, from those of its rows, and puts them at
 * `space`, so many elements apart. */
ALL_INLINE void enter_columns(const int down, const __m512 *d, int across, __mmask16 present,
                              bf16 *space, long apart) {
    for (int j = 0; j < across; j++) {
        __m512 column[SIDE];
#pragma GCC unroll 6
        for (int i = 0; i < seen_by(down); i++) column[i] = d[SIDE * i + j];
        enter(down, column, 1);
#pragma GCC unroll 6
        for (int i = 0; i < down; i++)
            _mm256_mask_storeu_epi16(space + (SIDE * i + j) * apart, present,
                                     (__m256i)_mm512_cvtneps_pbh(column[i]));
    }
}

static void enter_patch(const struct convolution *c, struct patch p, bf16 *space) {
    const struct maps *x = &c->x;
    struct window w = window_at(x, p.row, p.column);
    long apart = of_factor(x->channels);
    for (int image = 0; image < TILE; image++)
        for (int in = 0; in < x->channels; in += TILE) {
            long at = (p.first + image) * x->channels + in;
            bf16 *into = space + image * x->channels + in;
            __mmask16 present = first_of(x->channels - in);
            __m512 d[FACTORS];
            FOR_PRODUCTS(p.across, enter_rows, x, &w, at, present, seen_by(p.down), d);
            FOR_PRODUCTS(p.down, enter_columns, d, p.across, present, into, apart);
        }
}

/* Outputs from their products, `step` apart. */
ALL_INLINE void leave(const int products, __m512 *m, const int step) {
    if (products == 2) m[0] = _mm512_add_ps(m[0], m[step]);
    if (products <= 2) return;
    __m512 even = _mm512_add_ps(m[step], m[2 * step]);
    __m512 odd = _mm512_sub_ps(m[step], m[2 * step]);
    __m512 at_b = m[3 * step], odd_b = at_b, last = m[(products - 1) * step];
    if (products == 6) {
        at_b = _mm512_add_ps(m[3 * step], m[4 * step]);
        odd_b = _mm512_sub_ps(m[3 * step], m[4 * step]);
    }
    m[0] = _mm512_add_ps(m[0], even);
    m[step] = times(A, odd);
    if (products == 4) m[step] = _mm512_add_ps(m[step], last);
    if (products == 4) return;
    m[0] = _mm512_add_ps(m[0], at_b);
    m[step] = plus(m[step], B, odd_b);
    m[2 * step] = plus(times(A2, even), B2, at_b);
    if (products == 5) m[2 * step] = _mm512_add_ps(m[2 * step], last);
    if (products == 6) m[3 * step] = plus(plus(last, A * A2, odd), B * B2, odd_b);
}

/* Those of products down a patch, of which there are so many, from products (FACTORS, ...). */
ALL_INLINE void leave_columns(const int down, const float *products, int across, __m512 *m) {
    for (int j = 0; j < across; j++) {
        __m512 column[SIDE];
#pragma GCC unroll 6
        for (int i = 0; i < down; i++)
            column[i] = _mm512_loadu_ps(products + (SIDE * i + j) * TILE * TILE);
        leave(down, column, 1);
#pragma GCC unroll 4
        for (int i = 0; i < outs_of(down); i++) m[SIDE * i + j] = column[i];
    }
}

ALL_INLINE void leave_rows(const int across, __m512 *m, int rows) {
    for (int i = 0; i < rows; i++) leave(across, m + SIDE * i, 1);
}

/* The outputs of a patch, 16 from `out` on, from its products (FACTORS, 16 images, 16). */
static void leave_patch(const struct convolution *c, struct patch p, const float *products,
                        int out) {
    const int high = outs_of(p.down), wide = outs_of(p.across);
    __mmask16 outs = first_of(c->outs - out);
    for (int image = 0; image < TILE; image++, products += TILE) {
        __m512 m[FACTORS];
        FOR_PRODUCTS(p.down, leave_columns, products, p.across, m);
        FOR_PRODUCTS(p.across, leave_rows, m, high);
        long element = (p.first + image) * c->outs + out, images = (long)c->x.images * c->outs;
        if (c->chosen) {
            int columns = c->out_columns / 2;
            element += ((long)p.row / 2 * columns + p.column / 2) * images;
            for (int i = 0; i < high; i += 2)
                for (int j = 0; j < wide; j += 2) {
                    __m512 best = m[SIDE * i + j];
                    __m512i which = _mm512_setzero_si512();
                    larger(&best, &which, m[SIDE * i + j + 1], 1);
                    larger(&best, &which, m[SIDE * (i + 1) + j], 2);
                    larger(&best, &which, m[SIDE * (i + 1) + j + 1], 3);
                    long at = element + ((long)i / 2 * columns + j / 2) * images;
                    _mm_mask_storeu_epi8(c->chosen + at, outs, _mm512_cvtepi32_epi8(which));
                    _mm256_mask_storeu_epi16(c->y + at, outs, (__m256i)_mm512_cvtneps_pbh(best));
                }
            continue;
        }
        element += ((long)p.row * c->out_columns + p.column) * images;
        for (int i = 0; i < high; i++)
            for (int j = 0; j < wide; j++)
                _mm256_mask_storeu_epi16(c->y + element + ((long)i * c->out_columns + j) * images,
                                         outs, (__m256i)_mm512_cvtneps_pbh(m[SIDE * i + j]));
    }
}

static void convolve_some(void *job, struct queue *queue) {
    const struct convolution *c = job;
    int ins = c->x.channels;
    long of_patch = FACTORS * of_factor(ins);
    long patches = (long)quotient_up(c->x.images, TILE) * quotient_up(c->out_rows, OUTS) *
                   quotient_up(c->out_columns, OUTS);
    /* So many patches at a time that their factors stay near. */
    long together = NEAR / (2 * of_patch), share = patches / (SHARES * c->threads);
    together = together > share ? share : together;
    together = together < 1 ? 1 : together;
    bf16 *space = thread_space(2 * of_patch * together);
    float products[WIDE * FACTORS * TILE * TILE] __attribute__((aligned(64)));
    long next = (long)c->forms.count * TILE * ins;
    for (long item; (item = take(queue, (patches + together - 1) / together)) >= 0;) {
        long from = item * together, to = from + together < patches ? from + together : patches;
        for (long i = from; i < to; i++) {
            struct patch p = patch_at(c, i);
            bf16 *into = space + (i - from) * of_patch;
            enter_patch(c, p, into);
        }
        for (int out = 0; out < c->outs; out += WIDE * TILE) {
            const bf16 *weight = c->weight + out / TILE * next;
            int wide = c->outs - out > TILE ? WIDE : 1;
            for (long i = from; i < to; i++) {
                struct patch p = patch_at(c, i);
                const bf16 *x = space + (i - from) * of_patch;
                for (int r = 0; r < p.down; r++)
                    for (int s = 0; s < p.across; s++) {
                        int filter = FORMS * form_of(r, p.down) + form_of(s, p.across);
                        long place = c->forms.place[filter];
                        struct left left = {x + (SIDE * r + s) * of_factor(ins), ins, 2};
                        struct right right = {weight + place * TILE * ins, next};
                        struct sums sums = {products + (SIDE * r + s) * TILE * TILE, TILE,
                                            FACTORS * TILE * TILE};
                        if (wide == WIDE)
                            multiply(left, right, ins / 2, WIDE, 1, sums);
                        else
                            multiply(left, right, ins / 2, 1, 1, sums);
                    }
                for (int o = 0; o < wide; o++) {
                    const float *sums = products + o * FACTORS * TILE * TILE;
                    leave_patch(c, p, sums, out + o * TILE);
                }
            }
        }
    }
}

/* x (rows, columns, images, ins) -> y (out_rows, out_columns, images, outs), padded with zeros.
 * The maps may differ in size: what is beyond x is zeros; an odd side of y is no smaller than that
 * of x. At least TILE images. NaN comes to the outputs that see it and may come to others of their
 * patches; of infinite inputs it may come, too.
 *
 * With `chosen`, y is pooled, and its sides are even: the largest of 2x2 cells, (out_rows / 2,
 * out_columns / 2, images, outs), and `chosen` of that shape says which it was. With `spread`,
 * which another call's `chosen` was, x is (rows / 2, columns / 2, images, ins) and is unpooled
 * first. */
EXPORTED void kernel_convolve(const bf16 *x, const uint8_t *spread, const bf16 *weight, bf16 *y,
                              uint8_t *chosen, int images, int rows, int columns, int out_rows,
                              int out_columns, int ins, int outs, int threads) {
    struct convolution c = {
        .x = {x, spread, rows, columns, images, ins},
        .weight = weight,
        .y = y,
        .chosen = chosen,
        .out_rows = out_rows,
        .out_columns = out_columns,
        .outs = outs,
        .threads = threads,
        .forms = forms_of(out_rows, out_columns),
    };
    run(convolve_some, &c, threads);
}
