#include "kernels.h"

v128_t exp4(v128_t x) {
    x = wasm_f32x4_max(x, wasm_f32x4_splat(-87.0f));
    v128_t n = wasm_f32x4_nearest(wasm_f32x4_mul(x, wasm_f32x4_splat(1.44269504f)));
    /* ln 2 in two parts, so that the product with a whole number is exact. */
    v128_t r = wasm_f32x4_sub(x, wasm_f32x4_mul(n, wasm_f32x4_splat(0.693359375f)));
    r = wasm_f32x4_add(r, wasm_f32x4_mul(n, wasm_f32x4_splat(2.12194440e-4f)));
    v128_t p = wasm_f32x4_splat(1.0f / 720);
    const float factors[] = {1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f};
    for (int i = 0; i < 6; i++) p = wasm_f32x4_add(wasm_f32x4_mul(p, r), wasm_f32x4_splat(factors[i]));
    v128_t power = wasm_i32x4_shl(wasm_i32x4_add(wasm_i32x4_trunc_sat_f32x4(n), wasm_i32x4_splat(127)), 23);
    return wasm_f32x4_mul(p, power);
}

v128_t gelu4(v128_t x) {
    const v128_t one = wasm_f32x4_splat(1.0f);
    v128_t z = wasm_f32x4_mul(wasm_f32x4_abs(x), wasm_f32x4_splat(0.70710678f));
    v128_t t = wasm_f32x4_div(one, wasm_f32x4_add(one, wasm_f32x4_mul(z, wasm_f32x4_splat(0.3275911f))));
    v128_t p = wasm_f32x4_splat(1.061405429f);
    const float factors[] = {-1.453152027f, 1.421413741f, -0.284496736f, 0.254829592f};
    for (int i = 0; i < 4; i++) p = wasm_f32x4_add(wasm_f32x4_mul(p, t), wasm_f32x4_splat(factors[i]));
    v128_t square = wasm_f32x4_mul(z, z);
    p = wasm_f32x4_mul(wasm_f32x4_mul(p, t), exp4(wasm_f32x4_neg(square)));
    /* Beyond that it would become a denormal number, which is slow to multiply, and adds nothing. */
    p = wasm_v128_and(p, wasm_f32x4_lt(square, wasm_f32x4_splat(60.0f)));
    /* x / 2 (1 + erf x) = max(x, 0) - |x| / 2 (1 - erf |x|) */
    v128_t half = wasm_f32x4_mul(wasm_f32x4_abs(x), wasm_f32x4_splat(0.5f));
    return wasm_f32x4_sub(wasm_f32x4_max(x, wasm_f32x4_splat(0.0f)), wasm_f32x4_mul(half, p));
}

/* GELU of n numbers, a multiple of 4, in place. */
EXPORT(gelu) void gelu(float *x, int n) {
    for (int i = 0; i < n; i += 4) wasm_v128_store(x + i, gelu4(wasm_v128_load(x + i)));
}

/* x += y, n numbers, a multiple of 4. */
EXPORT(add) void add(float *x, const float *y, int n) {
    for (int i = 0; i < n; i += 4) {
        wasm_v128_store(x + i, wasm_f32x4_add(wasm_v128_load(x + i), wasm_v128_load(y + i)));
    }
}

static float sum4(v128_t x) {
    return wasm_f32x4_extract_lane(x, 0) + wasm_f32x4_extract_lane(x, 1) + wasm_f32x4_extract_lane(x, 2) +
           wasm_f32x4_extract_lane(x, 3);
}

/* Each of the rows with mean 0 and variance 1, times a weight, plus a bias; width a multiple of 4. */
EXPORT(normalize)
void normalize(const float *x, int rows, int width, const float *weight, const float *bias, float *out) {
    for (int row = 0; row < rows; row++, x += width, out += width) {
        v128_t total = wasm_f32x4_splat(0), squares = wasm_f32x4_splat(0);
        for (int i = 0; i < width; i += 4) total = wasm_f32x4_add(total, wasm_v128_load(x + i));
        v128_t mean = wasm_f32x4_splat(sum4(total) / width);
        for (int i = 0; i < width; i += 4) {
            v128_t d = wasm_f32x4_sub(wasm_v128_load(x + i), mean);
            squares = wasm_f32x4_add(squares, wasm_f32x4_mul(d, d));
        }
        v128_t by = wasm_f32x4_splat(1.0f / __builtin_sqrtf(sum4(squares) / width + 1e-5f));
        for (int i = 0; i < width; i += 4) {
            v128_t d = wasm_f32x4_mul(wasm_f32x4_sub(wasm_v128_load(x + i), mean), by);
            d = wasm_f32x4_add(wasm_f32x4_mul(d, wasm_v128_load(weight + i)), wasm_v128_load(bias + i));
            wasm_v128_store(out + i, d);
        }
    }
}
