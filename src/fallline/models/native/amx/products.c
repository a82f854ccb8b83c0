/* The products by AMX: eight tiles of a core, and one instruction for 16 x 16 x 32 products.
 *
 * Loads of tiles take as long as products and do not overlap with them where another program
 * shares the core, so a tile is loaded once for all that it meets. Four cells side by side are
 * summed at a time: a tile of x meets up to three taps of a row, 9 loads for 12 products, where
 * blocks of 2x2 tiles need 12. For weights' gradients rows of cells are walked along: a tile of x
 * is loaded once for the three taps of a row, one of y once. */
#define _GNU_SOURCE /* syscall */
#include "products.h"
#include <sys/syscall.h>
#include <unistd.h>

int ask_for_products(void) {
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    return (int)syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA);
}

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

struct layout begin_cells(int n, int k) {
    struct layout before = stored_layout();
    lay_out(TILE, n, k, "ssssrrrl");
    return before;
}

struct layout begin_portions(int m, int n) {
    struct layout before = stored_layout();
    lay_out(m, n, PAIR, "sssrrrll");
    return before;
}

void end_products(const struct layout *before) {
    _tile_release();
    if (before->palette) load_layout(before);
}

/* Brings a tile's rows into the first cache before they are loaded. Loads of tiles do not look
 * ahead, and where another program shares the core, waiting for them takes as long as all the
 * rest. */
static inline __attribute__((always_inline)) void expect(const void *tile, long bytes) {
    for (int row = 0; row < TILE; row++)
        _mm_prefetch((const char *)tile + row * bytes, _MM_HINT_T0);
}

/* For at most 4 cells. Each tile of x is multiplied by the weights of all taps that it meets. */
static inline __attribute__((always_inline)) void span(const struct map *map, int row, int column,
                                                       const int wide, const bf16 *weight, int n,
                                                       float *sums) {
    int k = part(map->ins, PAIR);
    long cell = map->cell;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    long bytes = 2 * map->ins, line = 4 * n;
    int deep = map->ins / k, rest = map->columns - column;
    int left = column > 0, second = rest > 1, third = wide > 1 && rest > 2,
        fourth = wide > 2 && rest > 3, fifth = wide > 3 && rest > 4;
    for (int down = row == 0; down < 3 && row + down <= map->rows; down++) {
        const bf16 *at = map->x + ((long)(row + down - 1) * map->columns + column) * cell;
        const bf16 *w = weight + (long)down * 3 * n * map->ins;
        const bf16 *below = at + map->columns * cell;
        for (int i = 0; i < deep; i++, at += k, w += 3 * k * n) {
            const bf16 *next = i + 1 < deep ? at + k : below, *next_w = w + 3 * k * n;
            _tile_loadd(4, w, line);
            if (left) {
                _tile_loadd(7, at - cell, bytes);
                expect(next - cell, bytes);
                _tile_dpbf16ps(0, 7, 4);
            }
            expect(next_w, line);
            _tile_loadd(5, w + k * n, line);
            if (rest > 0) {
                _tile_loadd(7, at, bytes);
                _tile_dpbf16ps(0, 7, 5);
                expect(next, bytes);
                if (wide > 1) _tile_dpbf16ps(1, 7, 4);
            }
            expect(next_w + k * n, line);
            _tile_loadd(6, w + 2 * k * n, line);
            if (second) {
                _tile_loadd(7, at + cell, bytes);
                _tile_dpbf16ps(0, 7, 6);
                expect(next + cell, bytes);
                if (wide > 1) _tile_dpbf16ps(1, 7, 5);
                if (wide > 2) _tile_dpbf16ps(2, 7, 4);
            }
            expect(next_w + 2 * k * n, line);
            if (third) {
                _tile_loadd(7, at + 2 * cell, bytes);
                _tile_dpbf16ps(1, 7, 6);
                expect(next + 2 * cell, bytes);
                if (wide > 2) _tile_dpbf16ps(2, 7, 5);
                if (wide > 3) _tile_dpbf16ps(3, 7, 4);
            }
            if (fourth) {
                _tile_loadd(7, at + 3 * cell, bytes);
                _tile_dpbf16ps(2, 7, 6);
                expect(next + 3 * cell, bytes);
                if (wide > 3) _tile_dpbf16ps(3, 7, 5);
            }
            if (fifth) {
                _tile_loadd(7, at + 4 * cell, bytes);
                expect(next + 4 * cell, bytes);
                _tile_dpbf16ps(3, 7, 6);
            }
        }
    }
    _tile_stored(0, sums, 4 * PAIR);
    if (wide > 1) _tile_stored(1, sums + TILE * PAIR, 4 * PAIR);
    if (wide > 2) _tile_stored(2, sums + 2 * TILE * PAIR, 4 * PAIR);
    if (wide > 3) _tile_stored(3, sums + 3 * TILE * PAIR, 4 * PAIR);
}

void sum_cells(const struct map *map, int row, int column, int wide, const bf16 *weight, int n,
               float *sums) {
    while (wide > 0) {
        int now = wide > 7 ? 4 : wide > 4 ? (wide + 1) / 2 : wide; /* 7 as 4 + 3, 6 as 3 + 3 */
        if (now == 4)
            span(map, row, column, 4, weight, n, sums);
        else if (now == 3)
            span(map, row, column, 3, weight, n, sums);
        else if (now == 2)
            span(map, row, column, 2, weight, n, sums);
        else
            span(map, row, column, 1, weight, n, sums);
        column += now, wide -= now, sums += now * TILE * PAIR;
    }
}

/* Adds the products of a row of y, tiles of `y_tile` elements, and a row of x to the sums of the
 * three taps; `wide` cells of y, of x one more if `more`. Each tile is loaded once. */
static inline void three_taps(const bf16 *y, long y_tile, const bf16 *x, long x_tile, long line,
                              int wide, int more) {
    int last = wide - !more, column = 0; /* before `last` there is a cell of x to the right */
#define STEP(left, middle, right, here)                                                           \
    {                                                                                             \
        _tile_loadd(here, y + column * y_tile, 2 * PAIR);                                         \
        if (column) _tile_dpbf16ps(0, here, left);                                                \
        expect(y + (column + 1) * y_tile, 2 * PAIR);                                              \
        _tile_dpbf16ps(1, here, middle);                                                          \
        if (column < last) {                                                                      \
            _tile_loadd(right, x + (column + 1) * x_tile, line);                                  \
            expect(x + (column + 2) * x_tile, line);                                              \
            _tile_dpbf16ps(2, here, right);                                                       \
        }                                                                                         \
        if (++column == wide) return;                                                             \
    }
    _tile_loadd(4, x, line);
    for (;;) {
        STEP(3, 4, 5, 6)
        STEP(4, 5, 3, 7)
        STEP(5, 3, 4, 6)
    }
#undef STEP
}

void add_portion(const struct correlation *c, struct portion p, int o, int i, int shift) {
    int m = part(c->outs, TILE), n = part(c->ins, TILE);
    long cells = (long)c->rows * c->columns, y_cells = (long)c->out_rows * c->out_columns;
    long x_tile = (long)n * PAIR, y_tile = (long)m * PAIR, line = 4l * TAPS * c->ins;
    float *sums = c->gradient + ((long)o * m * TAPS + 3 * shift) * c->ins + i * n;
    if (p.first == 0 && p.top == 0) {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
    } else {
        _tile_loadd(0, sums, line);
        _tile_loadd(1, sums + c->ins, line);
        _tile_loadd(2, sums + 2 * c->ins, line);
    }
    for (int block = p.first; block < p.last; block++) {
        const bf16 *y = c->y + ((long)o * c->blocks + block) * y_cells * y_tile;
        const bf16 *x = c->x + ((long)i * c->blocks + block) * cells * x_tile;
        for (int row = p.top; row < p.bottom; row++) {
            int x_row = row + shift - 1;
            if (x_row < 0 || x_row >= c->rows) continue;
            three_taps(y + (long)row * c->out_columns * y_tile, y_tile,
                       x + (long)x_row * c->columns * x_tile, x_tile, 4 * n, c->out_columns,
                       c->columns > c->out_columns);
        }
    }
    _tile_stored(0, sums, line);
    _tile_stored(1, sums + c->ins, line);
    _tile_stored(2, sums + 2 * c->ins, line);
}
