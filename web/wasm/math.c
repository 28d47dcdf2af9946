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

/* c[0] + c[1] t + ... + c[5] t^5 */
static inline v128_t polynomial(v128_t t, const float *c) {
    v128_t sum = wasm_f32x4_splat(c[5]);
    for (int i = 4; i >= 0; i--) sum = wasm_f32x4_add(wasm_f32x4_mul(sum, t), wasm_f32x4_splat(c[i]));
    return sum;
}

v128_t gelu4(v128_t x) {
    /* erf z = z P(z^2) / Q(z^2) up to 3.9, by least squares with weights that even out the error: 2e-8. */
    static const float P[] = {1.128378987f, 0.1919409633f, 0.05296691880f, 0.003836876014f, 2.874575439e-4f, 2.050390776e-6f};
    static const float Q[] = {1.0f, 0.5034350157f, 0.1147581860f, 0.01510920282f, 0.001181734959f, 3.823079533e-5f};
    const v128_t limit = wasm_f32x4_splat(3.9f);
    v128_t z = wasm_f32x4_mul(x, wasm_f32x4_splat(0.70710678f));
    z = wasm_f32x4_pmax(wasm_f32x4_neg(limit), wasm_f32x4_pmin(limit, z));
    v128_t t = wasm_f32x4_mul(z, z);
    v128_t erf = wasm_f32x4_div(wasm_f32x4_mul(z, polynomial(t, P)), polynomial(t, Q));
    v128_t half = wasm_f32x4_mul(x, wasm_f32x4_splat(0.5f));
    return wasm_f32x4_add(half, wasm_f32x4_mul(half, erf));
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
