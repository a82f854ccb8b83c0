/* What the kernels share: torch's threads, and the eight tiles of a core.
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

struct layout {
    uint8_t palette, start, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
} __attribute__((packed, aligned(64)));

/* The compiler is told that memory is read or written: the headers of GCC 12 do not say so. */
#define SETTLED(memory) __asm__ volatile("" : : "r"(memory) : "memory")

static inline void load_layout(const struct layout *tiles) {
    SETTLED(tiles);
    _tile_loadconfig(tiles);
}

/* The layout that the thread has: oneDNN's, which counts on finding it again; not what its tiles
 * hold. */
static inline struct layout stored_layout(void) {
    struct layout tiles;
    _tile_storeconfig(&tiles);
    SETTLED(&tiles);
    return tiles;
}

static inline void restore_layout(const struct layout *tiles) {
    _tile_release();
    if (tiles->palette) load_layout(tiles);
}

/* Lays out the eight tiles by their kinds: 's' are sums (m, n) of float32, 'l' left factors (m, k)
 * and 'r' right ones (k / 2, n, 2) of bfloat16. */
static inline void lay_out(int m, int n, int k, const char *kinds) {
    struct layout tiles = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        tiles.rows[i] = kinds[i] == 'r' ? k / 2 : m;
        tiles.bytes[i] = kinds[i] == 'l' ? 2 * k : 4 * n;
    }
    load_layout(&tiles);
}

/* Brings a tile's rows into the first cache before they are loaded. Loads of tiles do not look
 * ahead, and where another program shares the core, waiting for them takes as long as all the
 * rest. */
static inline __attribute__((always_inline)) void expect(const void *tile, long bytes) {
    for (int row = 0; row < TILE; row++)
        _mm_prefetch((const char *)tile + row * bytes, _MM_HINT_T0);
}

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
