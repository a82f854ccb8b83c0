/* What the kernels share: torch's threads, the maps, and how values are moved within vectors.
 *
 * Maps lie cell by cell, (H, W, B, C), in bfloat16: 16 images' values of a cell are a tile. */
#pragma once
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

typedef uint16_t bf16;

#define EXPORTED __attribute__((visibility("default")))

enum {
    TILE = 16,     /* images of a cell, rows of a tile; columns of 32 bits, a vector's */
    PAIR = 32,     /* values of bfloat16 in a row of a tile, or a vector */
    TAPS = 9,      /* of a filter */
    NEAR = 800000, /* bytes that stay in the second cache while they are used */
    SHARES = 4,    /* items for a thread, at least, so that none waits long for the others */
};

/* Work is split into items. Each of torch's threads has a share of them, the same in each call, so
 * that it finds near what it left; then it helps the others: where another program shares a core,
 * that core is up to half as fast. No item's result depends on who takes it. */
struct queue;
void run(void (*work)(void *job, struct queue *queue), void *job, int threads);

/* The next of so many items, or -1. */
long take(struct queue *queue, long items);

/* Memory of a thread, kept from call to call until the thread ends: no more than the most that it
 * asked for. */
void *thread_space(size_t bytes);

/* Asks Linux for the use of what products are computed with; returns 0 if it grants it. */
int ask_for_products(void);

static inline int least(int a, int b) { return a < b ? a : b; }
static inline int quotient_up(int all, int size) { return (all + size - 1) / size; }

/* Takes `other`, the i-th, where it is larger than the best; NaN is larger than all. */
static inline void larger(__m512 *best, __m512i *which, __m512 other, int i) {
    __mmask16 number = _mm512_cmp_ps_mask(*best, *best, _CMP_ORD_Q);
    __mmask16 is_larger = _mm512_mask_cmp_ps_mask(number, other, *best, _CMP_NLE_UQ);
    *best = _mm512_mask_mov_ps(*best, is_larger, other);
    *which = _mm512_mask_mov_epi32(*which, is_larger, _mm512_set1_epi32(i));
}

/* The first 16 and the last 16 values in turn: a0 b0 a1 b1 and so on. */
static inline __m512i in_turn(__m512i both) {
    const __m512i order =
        _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22,
                         6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return _mm512_permutexvar_epi16(order, both);
}

/* Two rows' values in turn, rounded. */
static inline __m512i rounded_in_turn(__m512 a, __m512 b) {
    return in_turn((__m512i)_mm512_cvtne2ps_pbh(b, a));
}

/* 16 rows of 16 values of 32 bits, turned. */
static inline void turn(__m512i r[16]) {
    __m512i t[16];
    for (int i = 0; i < 8; i++) {
        t[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
    }
    for (int i = 0; i < 4; i++) {
        r[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
        r[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
        r[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
        r[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
    }
    for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
    }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
        r[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
        r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
        r[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
    }
}
