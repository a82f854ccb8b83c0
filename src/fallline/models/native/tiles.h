/* What the kernels share: torch's threads, and how maps are split into tiles.
 *
 * Maps lie cell by cell, (H, W, B, C), in bfloat16. The 16 rows of a tile are 16 images' values of
 * one cell, so that another tap of a filter is another cell's tiles, one beyond the edge is left
 * out instead of multiplied by zeros, and nothing is laid out anew before it is multiplied.
 *
 * Channels come in blocks, of a size that divides them (`part`): k of those that are summed over,
 * PAIR at most, and n of those that are a tile's columns, TILE at most. */
#pragma once
#include <immintrin.h>
#include <stdint.h>

typedef uint16_t bf16;

#define EXPORTED __attribute__((visibility("default")))

enum {
    TILE = 16,     /* rows, and columns of 32 bits */
    PAIR = 32,     /* values of bfloat16 in a row of a tile */
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

static inline int least(int a, int b) { return a < b ? a : b; }
static inline int quotient_up(int all, int size) { return (all + size - 1) / size; }

/* Largest even part of `channels` that divides them and is at most `most`. */
static inline int part(int channels, int most) {
    int size = most;
    while (size > 2 && channels % size) size -= 2;
    return size;
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
