/* BatchNorm and activation in one, forward and backward, on rows of channels.
 *
 * Rows come in PIECES. Sums over rows are of float32 for RUN rows, then of doubles, a piece's
 * after another's: they have one order, whatever the number of threads. */
#include "shared.h"
#include <string.h>

enum activation { RELU, SILU, GELU };
enum { PIECES = 32 };

static inline __m512 widened(const bf16 *x) {
    return _mm512_castsi512_ps(
        _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)x)), 16));
}

static inline void narrowed(bf16 *y, __m512 value) {
    _mm256_storeu_si256((void *)y, (__m256i)_mm512_cvtneps_pbh(value));
}

/* e^x for x in -87..88, and at their ends beyond them; NaN stays. */
static inline __m512 exponential(__m512 x) {
    x = _mm512_min_ps(_mm512_set1_ps(88), _mm512_max_ps(_mm512_set1_ps(-87), x));
    __m512 power = _mm512_mul_ps(x, _mm512_set1_ps(1.44269504f));
    __m512 whole = _mm512_roundscale_ps(power, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m512 t = _mm512_sub_ps(power, whole), p = _mm512_set1_ps(1.3333558e-3f);
    static const float terms[] = {9.6181291e-3f, 5.5504109e-2f, 2.4022651e-1f, 6.9314718e-1f, 1};
    for (int i = 0; i < 5; i++) p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(terms[i]));
    return _mm512_scalef_ps(p, whole);
}

static inline __m512 inverse(__m512 x) {
    __m512 r = _mm512_rcp14_ps(x);
    return _mm512_mul_ps(r, _mm512_fnmadd_ps(x, r, _mm512_set1_ps(2)));
}

/* The activation of x, and what it passes on of a gradient. */
static inline __attribute__((always_inline)) __m512 activated(__m512 x, enum activation kind,
                                                              __m512 *slope) {
    const __m512 one = _mm512_set1_ps(1), half = _mm512_set1_ps(.5f);
    if (kind == RELU) {
        *slope = _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_NLE_UQ), one);
        return _mm512_max_ps(_mm512_setzero_ps(), x);
    }
    if (kind == SILU) {
        __m512 gate =
            inverse(_mm512_add_ps(one, exponential(_mm512_sub_ps(_mm512_setzero_ps(), x))));
        __m512 y = _mm512_mul_ps(x, gate);
        *slope = _mm512_fmadd_ps(y, _mm512_sub_ps(one, gate), gate);
        return y;
    }
    /* x Phi(x); erf by Abramowitz and Stegun 7.1.26, to 1.5e-7 */
    __m512 size = _mm512_mul_ps(_mm512_abs_ps(x), _mm512_set1_ps(.70710678f));
    size = _mm512_min_ps(_mm512_set1_ps(100), size); /* infinity has no inverse here; NaN stays */
    __m512 bell = exponential(_mm512_mul_ps(_mm512_mul_ps(x, x), _mm512_set1_ps(-.5f)));
    __m512 t = inverse(_mm512_fmadd_ps(size, _mm512_set1_ps(.3275911f), one)),
           p = _mm512_set1_ps(1.061405429f);
    static const float terms[] = {-1.453152027f, 1.421413741f, -.284496736f, .254829592f, 0};
    for (int i = 0; i < 5; i++) p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(terms[i]));
    __m512 tail = _mm512_mul_ps(_mm512_mul_ps(p, bell), half); /* Phi(-|x|) */
    __mmask16 above = _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_GE_OQ);
    __m512 share = _mm512_mask_sub_ps(tail, above, one, tail);
    *slope = _mm512_fmadd_ps(_mm512_mul_ps(x, bell), _mm512_set1_ps(.39894228f), share);
    return _mm512_mul_ps(x, share);
}

struct norm {
    const bf16 *x, *plus, *gradient;
    bf16 *y, *of_sum, *of_x;
    const float *mean, *inverse_deviation, *scale, *shift; /* of x */
    const float *of_gradient, *of_value, *constant; /* x's gradient by these of of_sum and x */
    double *totals;                                 /* (PIECES, 2, channels) */
    long rows;
    int channels;
    enum activation activation;
};

enum { RUN = 32 }; /* rows that are summed in float32 */

static inline long start(const struct norm *n, long piece) { return n->rows * piece / PIECES; }

static inline void add_to(double *totals, __m512 sums) {
    _mm512_storeu_pd(totals, _mm512_add_pd(_mm512_loadu_pd(totals),
                                           _mm512_cvtps_pd(_mm512_castps512_ps256(sums))));
    _mm512_storeu_pd(totals + 8, _mm512_add_pd(_mm512_loadu_pd(totals + 8),
                                               _mm512_cvtps_pd(_mm512_extractf32x8_ps(sums, 1))));
}

static void add_moments(const struct norm *n, long piece) {
    double *sums = n->totals + 2 * piece * n->channels, *squares = sums + n->channels;
    for (long row = start(n, piece), end = start(n, piece + 1); row < end; row += RUN)
        for (int c = 0; c < n->channels; c += TILE) {
            __m512 sum = _mm512_setzero_ps(), square = _mm512_setzero_ps();
            for (long r = row; r < row + RUN && r < end; r++) {
                __m512 x = widened(n->x + r * n->channels + c);
                sum = _mm512_add_ps(sum, x);
                square = _mm512_fmadd_ps(x, x, square);
            }
            add_to(sums + c, sum);
            add_to(squares + c, square);
        }
}

static void moments_of_some(void *job, struct queue *queue) {
    for (long piece; (piece = take(queue, PIECES)) >= 0;) add_moments(job, piece);
}

static inline __attribute__((always_inline)) __m512 normed(const struct norm *n, long at, int c) {
    __m512 x = _mm512_fmadd_ps(widened(n->x + at), _mm512_loadu_ps(n->scale + c),
                               _mm512_loadu_ps(n->shift + c));
    return n->plus ? _mm512_add_ps(x, widened(n->plus + at)) : x;
}

/* Does `work` to pieces of rows, compiled once for each activation. */
static inline __attribute__((always_inline)) void
each_piece(const struct norm *n, struct queue *queue,
           void (*work)(const struct norm *, long, enum activation)) {
    for (long piece; (piece = take(queue, PIECES)) >= 0;) switch (n->activation) {
        case RELU:
            work(n, piece, RELU);
            break;
        case SILU:
            work(n, piece, SILU);
            break;
        case GELU:
            work(n, piece, GELU);
            break;
        }
}

static inline __attribute__((always_inline)) void apply(const struct norm *n, long piece,
                                                        enum activation kind) {
    for (long row = start(n, piece), end = start(n, piece + 1); row < end; row++)
        for (int c = 0; c < n->channels; c += TILE) {
            __m512 slope;
            narrowed(n->y + row * n->channels + c,
                     activated(normed(n, row * n->channels + c, c), kind, &slope));
        }
}

static void apply_to_some(void *job, struct queue *queue) { each_piece(job, queue, apply); }

static inline __attribute__((always_inline)) void pass_back(const struct norm *n, long piece,
                                                            enum activation kind) {
    double *sums = n->totals + 2 * piece * n->channels, *products = sums + n->channels;
    for (long row = start(n, piece), end = start(n, piece + 1); row < end; row += RUN)
        for (int c = 0; c < n->channels; c += TILE) {
            __m512 sum = _mm512_setzero_ps(), product = _mm512_setzero_ps();
            for (long r = row; r < row + RUN && r < end; r++) {
                long at = r * n->channels + c;
                __m512 slope;
                activated(normed(n, at, c), kind, &slope);
                __m512 of_sum = _mm512_mul_ps(widened(n->gradient + at), slope);
                narrowed(n->of_sum + at, of_sum);
                sum = _mm512_add_ps(sum, of_sum);
                product = _mm512_fmadd_ps(of_sum, widened(n->x + at), product);
            }
            add_to(sums + c, sum);
            add_to(products + c, product);
        }
}

static void pass_back_some(void *job, struct queue *queue) { each_piece(job, queue, pass_back); }

static void add_of_x(const struct norm *n, long piece) {
    for (long row = start(n, piece), end = start(n, piece + 1); row < end; row++)
        for (int c = 0; c < n->channels; c += TILE) {
            long at = row * n->channels + c;
            __m512 rest = _mm512_fmadd_ps(widened(n->x + at), _mm512_loadu_ps(n->of_value + c),
                                          _mm512_loadu_ps(n->constant + c));
            narrowed(n->of_x + at, _mm512_fmadd_ps(widened(n->of_sum + at),
                                                   _mm512_loadu_ps(n->of_gradient + c), rest));
        }
}

static void of_x_of_some(void *job, struct queue *queue) {
    for (long piece; (piece = take(queue, PIECES)) >= 0;) add_of_x(job, piece);
}

/* Runs a work that leaves each piece's sums in its place of the totals, and adds those in the
 * first's. */
static void run_total(void (*work)(void *, struct queue *), struct norm *n, int threads) {
    memset(n->totals, 0, sizeof(double) * 2 * PIECES * n->channels);
    run(work, n, threads);
    for (long piece = 1; piece < PIECES; piece++)
        for (int c = 0; c < 2 * n->channels; c++)
            n->totals[c] += n->totals[2 * piece * n->channels + c];
}

/* What `kept` (4, channels) holds of a norm: mean, 1 / deviation, scale and shift. */
static struct norm norm_of(const float *kept, long rows, int channels, int activation) {
    return (struct norm){.mean = kept,
                         .inverse_deviation = kept + channels,
                         .scale = kept + 2 * channels,
                         .shift = kept + 3 * channels,
                         .rows = rows,
                         .channels = channels,
                         .activation = activation};
}

/* Takes the statistics of x (rows, channels) into `kept`, and into the running ones with a weight
 * of `momentum`, unless they are NULL. `totals` has room for
 * (PIECES, 2, channels). Channels are multiples of 16 here and below. */
EXPORTED void kernel_statistics(const bf16 *x, const float *weight, const float *bias,
                                float *running_mean, float *running_variance, double momentum,
                                double eps, float *kept, double *totals, long rows, int channels,
                                int threads) {
    struct norm n = norm_of(kept, rows, channels, 0);
    n.x = x, n.totals = totals;
    run_total(moments_of_some, &n, threads);
    for (int c = 0; c < channels; c++) {
        double mean = totals[c] / rows, variance = totals[channels + c] / rows - mean * mean;
        if (variance < 0) variance = 0; /* rounding; NaN stays */
        double inverse_deviation = 1 / __builtin_sqrt(variance + eps),
               scale = weight[c] * inverse_deviation;
        kept[c] = (float)mean;
        kept[channels + c] = (float)inverse_deviation;
        kept[2 * channels + c] = (float)scale;
        kept[3 * channels + c] = (float)(bias[c] - mean * scale);
        if (!running_mean) continue;
        running_mean[c] += (float)(momentum * (mean - running_mean[c]));
        running_variance[c] +=
            (float)(momentum * (variance * rows / (rows - 1.) - running_variance[c]));
    }
}

/* y = activation(scale x + shift + plus), all (rows, channels); `plus` may be NULL. */
EXPORTED void kernel_activate(const bf16 *x, const bf16 *plus, bf16 *y, const float *kept,
                              long rows, int channels, int activation, int threads) {
    struct norm n = norm_of(kept, rows, channels, activation);
    n.x = x, n.plus = plus, n.y = y;
    run(apply_to_some, &n, threads);
}

/* Of the gradient of that y, where `kept` is of x itself, those of what was activated, `of_sum`,
 * of x, of the norm's weight and of its bias. `of_x` may be `of_sum` itself. `space` has room for
 * (3, channels). */
EXPORTED void kernel_norm_gradient(const bf16 *x, const bf16 *plus, const bf16 *gradient,
                                   const float *kept, bf16 *of_sum, bf16 *of_x, float *of_weight,
                                   float *of_bias, double *totals, float *space, long rows,
                                   int channels, int activation, int threads) {
    float *of_gradient = space, *of_value = space + channels, *constant = space + 2 * channels;
    struct norm n = norm_of(kept, rows, channels, activation);
    n.x = x, n.plus = plus, n.gradient = gradient, n.of_sum = of_sum, n.of_x = of_x,
    n.totals = totals;
    n.of_gradient = of_gradient, n.of_value = of_value, n.constant = constant;
    run_total(pass_back_some, &n, threads);
    for (int c = 0; c < channels; c++) {
        double sum = totals[c],
               product = (totals[channels + c] - n.mean[c] * sum) * n.inverse_deviation[c];
        double along = n.scale[c] * n.inverse_deviation[c] * product / rows;
        of_bias[c] = (float)sum;
        of_weight[c] = (float)product;
        of_gradient[c] = n.scale[c];
        of_value[c] = (float)-along;
        constant[c] = (float)(n.mean[c] * along - n.scale[c] * sum / rows);
    }
    run(of_x_of_some, &n, threads);
}
