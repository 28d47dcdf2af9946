#include "kernels.h"

#define MOST 128 /* cells of a slab, at most */

/* Where cell i of slab `slab` of axis `axis` lies: first the row of one plane, then the column of another. */
static int cell_of(int axis, int slab, int i, int side) {
    if (i < side) return (axis * side + slab) * side + i;
    return ((axis + 2) % 3 * side + i - side) * side + slab;
}

static float dot(const float *x, const float *y, int n) {
    v128_t total = wasm_f32x4_splat(0);
    for (int i = 0; i < n; i += 4) {
        total = wasm_f32x4_add(total, wasm_f32x4_mul(wasm_v128_load(x + i), wasm_v128_load(y + i)));
    }
    return wasm_f32x4_extract_lane(total, 0) + wasm_f32x4_extract_lane(total, 1) +
           wasm_f32x4_extract_lane(total, 2) + wasm_f32x4_extract_lane(total, 3);
}

/* Scores of a query with n keys to shares that add up to 1. */
static void soften(float *scores, int n) {
    float largest = scores[0], total = 0;
    for (int i = 1; i < n; i++) largest = scores[i] > largest ? scores[i] : largest;
    for (int i = 0; i < n; i += 4) {
        v128_t x = exp4(wasm_f32x4_sub(wasm_v128_load(scores + i), wasm_f32x4_splat(largest)));
        wasm_v128_store(scores + i, x);
    }
    for (int i = 0; i < n; i++) total += scores[i];
    for (int i = 0; i < n; i++) scores[i] /= total;
}

/* One head of one slab; keys, queries and values are parts of the rows of qkv. */
static void attend_slab(const float *qkv, const int *cells, const int *parts, int n, int width, int channels,
                        float scale, float *out) {
    float scores[MOST] __attribute__((aligned(16)));
    for (int i = 0; i < n; i++) {
        const float *query = qkv + cells[i] * 3 * width + parts[i];
        for (int j = 0; j < n; j++) {
            scores[j] = scale * dot(query, qkv + cells[j] * 3 * width + width + parts[j], channels);
        }
        soften(scores, n);
        float *to = out + cells[i] * width + parts[i];
        for (int c = 0; c < channels; c += 4) {
            v128_t total = wasm_f32x4_splat(0);
            for (int j = 0; j < n; j++) {
                v128_t value = wasm_v128_load(qkv + cells[j] * 3 * width + 2 * width + parts[j] + c);
                total = wasm_f32x4_add(total, wasm_f32x4_mul(wasm_f32x4_splat(scores[j]), value));
            }
            wasm_v128_store(to + c, total);
        }
    }
}

/* Slab attention: qkv (3 side^2, 3 width) to (3 side^2, width). The cells that share a coordinate attend to each
   other: along a plane's first axis with the first half of the heads, along its second with the other half. */
EXPORT(attend) void attend(const float *qkv, int side, int heads, int channels, float *out) {
    int width = heads * channels, cells[MOST], parts[MOST];
    float scale = 1.0f / __builtin_sqrtf((float)channels);
    for (int axis = 0; axis < 3; axis++) {
        for (int slab = 0; slab < side; slab++) {
            for (int head = 0; head < heads / 2; head++) {
                for (int i = 0; i < 2 * side; i++) {
                    cells[i] = cell_of(axis, slab, i, side);
                    parts[i] = (i < side ? head : heads / 2 + head) * channels;
                }
                attend_slab(qkv, cells, parts, 2 * side, width, channels, scale, out);
            }
        }
    }
}
