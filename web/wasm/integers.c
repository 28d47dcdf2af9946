/* Layers of whole numbers: int16 times int16 in sums of 32 bits. The caller has checked that no sum is larger. */
#include "kernels.h"

typedef short i16;

/* Weights (inputs, outputs) to groups of 8 outputs: for each pair of inputs both weights of each output, side by
   side; absent inputs and outputs are 0. */
EXPORT(pack_integers) void pack_integers(const i16 *weights, int inputs, int pairs, int outputs, i16 *packed) {
    for (int first = 0; first < outputs; first += PANEL) {
        for (int input = 0; input < 2 * pairs; input += 2) {
            for (int o = first; o < first + PANEL; o++) {
                *packed++ = o < outputs && input < inputs ? weights[input * outputs + o] : 0;
                *packed++ = o < outputs && input + 1 < inputs ? weights[(input + 1) * outputs + o] : 0;
            }
        }
    }
}

/* Sums of ROWS rows for 8 outputs; `pairs` of inputs, rows `row` pairs apart. */
static void group_sums(const int *x, int row, int pairs, const i16 *weights, v128_t sums[2 * ROWS]) {
    v128_t s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];
    v128_t s4 = sums[4], s5 = sums[5], s6 = sums[6], s7 = sums[7];
    const int *x1 = x + row, *x2 = x1 + row, *x3 = x2 + row;
    for (int k = 0; k < pairs; k++, weights += 2 * PANEL) {
        v128_t left = wasm_v128_load(weights), right = wasm_v128_load(weights + PANEL), pair;
        pair = wasm_v128_load32_splat(x + k);
        s0 = wasm_i32x4_add(s0, wasm_i32x4_dot_i16x8(pair, left));
        s1 = wasm_i32x4_add(s1, wasm_i32x4_dot_i16x8(pair, right));
        pair = wasm_v128_load32_splat(x1 + k);
        s2 = wasm_i32x4_add(s2, wasm_i32x4_dot_i16x8(pair, left));
        s3 = wasm_i32x4_add(s3, wasm_i32x4_dot_i16x8(pair, right));
        pair = wasm_v128_load32_splat(x2 + k);
        s4 = wasm_i32x4_add(s4, wasm_i32x4_dot_i16x8(pair, left));
        s5 = wasm_i32x4_add(s5, wasm_i32x4_dot_i16x8(pair, right));
        pair = wasm_v128_load32_splat(x3 + k);
        s6 = wasm_i32x4_add(s6, wasm_i32x4_dot_i16x8(pair, left));
        s7 = wasm_i32x4_add(s7, wasm_i32x4_dot_i16x8(pair, right));
    }
    sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3;
    sums[4] = s4, sums[5] = s5, sums[6] = s6, sums[7] = s7;
}

/* A layer of `count` rows, a multiple of ROWS, of `pairs` of int16; `outputs` a multiple of 8. `most` is the largest
   hidden unit, and what is written are int16; for the last layer it is 0, and what is written are int32. */
EXPORT(integer_layer)
void integer_layer(const int *x, int count, int pairs, const i16 *packed, const int *bias, int outputs, int shift,
                   int most, void *out) {
    v128_t zero = wasm_i32x4_splat(0), limit = wasm_i32x4_splat(most);
    for (int group = 0; group < outputs; group += PANEL) {
        v128_t left = wasm_v128_load(bias + group), right = wasm_v128_load(bias + group + 4);
        for (int row = 0; row < count; row += ROWS) {
            v128_t sums[2 * ROWS] = {left, right, left, right, left, right, left, right};
            group_sums(x + row * pairs, pairs, pairs, packed + 2 * group * pairs, sums);
            for (int r = 0; r < ROWS; r++) {
                v128_t one = wasm_i32x4_shr(sums[2 * r], shift), other = wasm_i32x4_shr(sums[2 * r + 1], shift);
                if (most) {
                    one = wasm_i32x4_min(wasm_i32x4_max(one, zero), limit);
                    other = wasm_i32x4_min(wasm_i32x4_max(other, zero), limit);
                    wasm_v128_store((i16 *)out + (row + r) * outputs + group, wasm_i16x8_narrow_i32x4(one, other));
                } else {
                    wasm_v128_store((int *)out + (row + r) * outputs + group, one);
                    wasm_v128_store((int *)out + (row + r) * outputs + group + 4, other);
                }
            }
        }
    }
}
