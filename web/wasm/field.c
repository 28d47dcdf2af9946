#include "kernels.h"

#define WIDTH 128 /* units of a hidden layer */
#define BLOCK 32  /* points whose first layer stays in a core's cache */

/* The field on one grid. The first layer is linear in what the planes hold, so the planes hold its sums. */
struct field {
    const float *planes;    /* (3, side, side, WIDTH) */
    const float *positions; /* (3, points, WIDTH): what a coordinate adds to the first layer */
    const float *shares;    /* (3, points) of the further texel */
    const int *texels;      /* (3, points) the nearer texel */
    int side, points;
    const float *second, *second_bias; /* packed */
    const float *last;
    float last_bias;
};

/* Adds one plane's bilinear value at a point to the sums of the first layer. */
static void add_plane(const struct field *f, int plane, int i, int j, v128_t *sums) {
    int a = plane, b = (plane + 1) % 3, side = f->side;
    int row = f->texels[a * f->points + i], column = f->texels[b * f->points + j];
    float down = f->shares[a * f->points + i], right = f->shares[b * f->points + j];
    int below = row + 1 < side ? row + 1 : row, beside = column + 1 < side ? column + 1 : column;
    const float *base = f->planes + plane * side * side * WIDTH;
    const float *corners[4] = {base + (row * side + column) * WIDTH, base + (row * side + beside) * WIDTH,
                               base + (below * side + column) * WIDTH, base + (below * side + beside) * WIDTH};
    v128_t w0 = wasm_f32x4_splat((1 - down) * (1 - right)), w1 = wasm_f32x4_splat((1 - down) * right);
    v128_t w2 = wasm_f32x4_splat(down * (1 - right)), w3 = wasm_f32x4_splat(down * right);
    for (int c = 0; c < WIDTH / 4; c++) {
        v128_t upper = wasm_f32x4_add(wasm_f32x4_mul(w0, wasm_v128_load(corners[0] + 4 * c)),
                                      wasm_f32x4_mul(w1, wasm_v128_load(corners[1] + 4 * c)));
        v128_t lower = wasm_f32x4_add(wasm_f32x4_mul(w2, wasm_v128_load(corners[2] + 4 * c)),
                                      wasm_f32x4_mul(w3, wasm_v128_load(corners[3] + 4 * c)));
        sums[c] = wasm_f32x4_add(sums[c], wasm_f32x4_add(upper, lower));
    }
}

static void first_layer(const struct field *f, u32 key, float *hidden) {
    int n = f->points;
    int index[3] = {(int)(key / n) / n, (int)(key / n) % n, (int)(key % n)};
    v128_t sums[WIDTH / 4];
    for (int c = 0; c < WIDTH / 4; c++) {
        sums[c] = wasm_v128_load(f->positions + index[0] * WIDTH + 4 * c);
        for (int axis = 1; axis < 3; axis++) {
            const float *part = f->positions + (axis * n + index[axis]) * WIDTH + 4 * c;
            sums[c] = wasm_f32x4_add(sums[c], wasm_v128_load(part));
        }
    }
    for (int plane = 0; plane < 3; plane++) add_plane(f, plane, index[plane], index[(plane + 1) % 3], sums);
    for (int c = 0; c < WIDTH / 4; c++) wasm_v128_store(hidden + 4 * c, gelu4(sums[c]));
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
