#include "kernels.h"

#define WIDTH 128 /* units of a hidden layer */
#define BLOCK 32  /* points whose first layer stays in a core's cache */

/* The field on one grid. The first layer is linear in what the planes and a point's position say, so there is a table
   of its sums for each plane: the row of a pair of grid indices has what the plane says there, and the position of
   the first of them. */
struct field {
    const float *planes;    /* (3, side, side, WIDTH): what the planes say, through the first layer */
    const float *positions; /* (3, points, WIDTH): what a coordinate adds to the first layer */
    const float *shares;    /* (3, points) of the further texel */
    const int *texels;      /* (3, points) the nearer texel */
    int side, points;
    float *tables;                     /* (3, points, points, WIDTH) */
    const float *second, *second_bias; /* packed */
    const float *last;
    float last_bias;
};

/* A row of a table: one plane's bilinear value, and a coordinate. */
static void fill_row(const struct field *f, int plane, int i, int j, float *row) {
    int a = plane, b = (plane + 1) % 3, side = f->side;
    int above = f->texels[a * f->points + i], left = f->texels[b * f->points + j];
    float down = f->shares[a * f->points + i], along = f->shares[b * f->points + j];
    int below = above + 1 < side ? above + 1 : above, right = left + 1 < side ? left + 1 : left;
    const float *base = f->planes + plane * side * side * WIDTH;
    const float *corners[4] = {base + (above * side + left) * WIDTH, base + (above * side + right) * WIDTH,
                               base + (below * side + left) * WIDTH, base + (below * side + right) * WIDTH};
    const float weights[4] = {(1 - down) * (1 - along), (1 - down) * along, down * (1 - along), down * along};
    const float *position = f->positions + (a * f->points + i) * WIDTH;
    for (int c = 0; c < WIDTH; c += 4) {
        v128_t sum = wasm_v128_load(position + c);
        for (int k = 0; k < 4; k++) {
            v128_t part = wasm_f32x4_mul(wasm_f32x4_splat(weights[k]), wasm_v128_load(corners[k] + c));
            sum = wasm_f32x4_add(sum, part);
        }
        wasm_v128_store(row + c, sum);
    }
}

/* Fills the tables. */
EXPORT(tabulate) void tabulate(const struct field *f) {
    int n = f->points;
    for (int plane = 0; plane < 3; plane++) {
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < n; j++) fill_row(f, plane, i, j, f->tables + ((plane * n + i) * n + j) * WIDTH);
        }
    }
}

static void first_layer(const struct field *f, u32 key, float *hidden) {
    u32 n = f->points, xy = key / n, x = xy / n, y = xy % n, z = key % n;
    const float *one = f->tables + xy * WIDTH;
    const float *two = f->tables + (n * n + y * n + z) * WIDTH;
    const float *three = f->tables + (2 * n * n + z * n + x) * WIDTH;
    for (int c = 0; c < WIDTH; c += 4) {
        v128_t sum = wasm_f32x4_add(wasm_v128_load(one + c), wasm_v128_load(two + c));
        wasm_v128_store(hidden + c, gelu4(wasm_f32x4_add(sum, wasm_v128_load(three + c))));
    }
}

/* Distances at `count` points, by their keys (i * points + j) * points + k. */
EXPORT(distances) void distances(const struct field *f, const u32 *keys, int count, float *out) {
    float hidden[BLOCK * WIDTH] __attribute__((aligned(16)));
    for (int start = 0; start < count; start += BLOCK) {
        int block = count - start < BLOCK ? count - start : BLOCK;
        for (int p = 0; p < block; p++) first_layer(f, keys[start + p], hidden + p * WIDTH);
        v128_t totals[BLOCK];
        for (int p = 0; p < BLOCK; p++) totals[p] = wasm_f32x4_splat(0);
        for (int panel = 0; panel < WIDTH; panel += PANEL) {
            v128_t left = wasm_v128_load(f->second_bias + panel);
            v128_t right = wasm_v128_load(f->second_bias + panel + 4);
            v128_t last_left = wasm_v128_load(f->last + panel), last_right = wasm_v128_load(f->last + panel + 4);
            for (int p = 0; p < block; p += ROWS) {
                struct rows a = {hidden + p * WIDTH, WIDTH, 1, 0, WIDTH};
                v128_t sums[2 * ROWS] = {left, right, left, right, left, right, left, right};
                panel_sums(&a, f->second + panel * WIDTH, sums);
                for (int r = 0; r < ROWS; r++) {
                    v128_t one = wasm_f32x4_mul(gelu4(sums[2 * r]), last_left);
                    v128_t other = wasm_f32x4_mul(gelu4(sums[2 * r + 1]), last_right);
                    totals[p + r] = wasm_f32x4_add(totals[p + r], wasm_f32x4_add(one, other));
                }
            }
        }
        for (int p = 0; p < block; p++) {
            out[start + p] = wasm_f32x4_extract_lane(totals[p], 0) + wasm_f32x4_extract_lane(totals[p], 1) +
                             wasm_f32x4_extract_lane(totals[p], 2) + wasm_f32x4_extract_lane(totals[p], 3) +
                             f->last_bias;
        }
    }
}
