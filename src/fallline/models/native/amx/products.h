/* The sums of products by AMX, and how maps are split into its tiles.
 *
 * The 16 rows of a tile are 16 images' values of one cell, so that another tap of a filter is
 * another cell's tiles, one beyond the edge is left out instead of multiplied by zeros, and
 * nothing is laid out anew before it is multiplied.
 *
 * Channels come in blocks, of a size that divides them (`part`): k of those that are summed over,
 * PAIR at most, and n of those that are a tile's columns, TILE at most. */
#pragma once
#include "../shared.h"

/* Largest even part of `channels` that divides them and is at most `most`. */
static inline int part(int channels, int most) {
    int size = most;
    while (size > 2 && channels % size) size -= 2;
    return size;
}

/* What a core's tiles are laid out for. */
struct layout {
    uint8_t palette, start, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
} __attribute__((packed, aligned(64)));

/* The compiler is told that memory is read or written: the headers of GCC 12 do not say so. */
#define SETTLED(memory) __asm__ volatile("" : : "r"(memory) : "memory")

/* Lays out a thread's tiles for sum_cells and for add_portion; returns what the thread had. */
struct layout begin_cells(int n, int k);
struct layout begin_portions(int m, int n);
void end_products(const struct layout *before);

/* A tile's images of a map (rows, columns), from its first cell on; the next is `cell` elements
 * further. It may begin within a larger one, if no sums are wanted of its first row. */
struct map {
    const bf16 *x;
    long cell;
    int rows, columns, ins;
};

/* The sums of a tile's images and n outputs for `wide` cells side by side to `sums`, (wide, TILE,
 * PAIR): the convolution of the cells around them with weights as `kernel_pack` has them. */
void sum_cells(const struct map *map, int row, int column, int wide, const bf16 *weight, int n,
               float *sums);

/* The gradient of weights (outs, 3, 3, ins) by x and y, laid out anew: (channels / n, blocks,
 * cells, tile), in tiles (16, n, 2) of x, images by channels, and (16, 32) of y, channels by
 * images: outs are a multiple of 16. */
struct correlation {
    const bf16 *x, *y;
    float *gradient;
    int blocks, rows, columns, out_rows, out_columns, ins, outs, threads;
};

/* What is summed at a time: blocks of 32 images `first` to `last`, rows `top` to `bottom` of y. */
struct portion {
    int first, last, top, bottom;
};

/* Adds a portion's sums of a row of taps, `shift`, of a block of y's channels, `o`, and of x's,
 * `i`; the first portion's are set. */
void add_portion(const struct correlation *c, struct portion p, int o, int i, int shift);
