#include "kernels.h"

/* Weights (outputs, inputs) to panels: PANEL outputs side by side for each input; absent outputs are 0. */
EXPORT(pack) void pack(const float *weights, int outputs, int inputs, float *packed) {
    for (int first = 0; first < outputs; first += PANEL) {
        for (int input = 0; input < inputs; input++) {
            for (int o = first; o < first + PANEL; o++) {
                *packed++ = o < outputs ? weights[o * inputs + input] : 0.0f;
            }
        }
    }
}

void panel_sums(const struct rows *a, const float *panel, v128_t sums[2 * ROWS]) {
    v128_t s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];
    v128_t s4 = sums[4], s5 = sums[5], s6 = sums[6], s7 = sums[7];
    for (int segment = 0; segment < a->segments; segment++) {
        const float *r0 = a->data + segment * a->segment;
        const float *r1 = r0 + a->row, *r2 = r1 + a->row, *r3 = r2 + a->row;
        for (int k = 0; k < a->length; k++, panel += PANEL) {
            v128_t left = wasm_v128_load(panel), right = wasm_v128_load(panel + 4), x;
            x = wasm_v128_load32_splat(r0 + k);
            s0 = wasm_f32x4_add(s0, wasm_f32x4_mul(x, left));
            s1 = wasm_f32x4_add(s1, wasm_f32x4_mul(x, right));
            x = wasm_v128_load32_splat(r1 + k);
            s2 = wasm_f32x4_add(s2, wasm_f32x4_mul(x, left));
            s3 = wasm_f32x4_add(s3, wasm_f32x4_mul(x, right));
            x = wasm_v128_load32_splat(r2 + k);
            s4 = wasm_f32x4_add(s4, wasm_f32x4_mul(x, left));
            s5 = wasm_f32x4_add(s5, wasm_f32x4_mul(x, right));
            x = wasm_v128_load32_splat(r3 + k);
            s6 = wasm_f32x4_add(s6, wasm_f32x4_mul(x, left));
            s7 = wasm_f32x4_add(s7, wasm_f32x4_mul(x, right));
        }
    }
    sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3;
    sums[4] = s4, sums[5] = s5, sums[6] = s6, sums[7] = s7;
}

/* `count` rows, a multiple of ROWS, times packed weights: out = (more ? out : 0) + rows * weights + bias. */
static void multiply(struct rows a, int count, const float *packed, const float *bias, int outputs, float *out,
                     int more) {
    const float *first = a.data;
    for (int panel = 0; panel < outputs; panel += PANEL) {
        const float *weights = packed + panel * a.segments * a.length;
        v128_t left = wasm_v128_load(bias + panel), right = wasm_v128_load(bias + panel + 4);
        for (int row = 0; row < count; row += ROWS) {
            float *to = out + row * outputs + panel;
            v128_t sums[2 * ROWS];
            for (int r = 0; r < ROWS; r++) {
                sums[2 * r] = more ? wasm_f32x4_add(left, wasm_v128_load(to + r * outputs)) : left;
                sums[2 * r + 1] = more ? wasm_f32x4_add(right, wasm_v128_load(to + r * outputs + 4)) : right;
            }
            a.data = first + row * a.row;
            panel_sums(&a, weights, sums);
            for (int r = 0; r < ROWS; r++) {
                wasm_v128_store(to + r * outputs, sums[2 * r]);
                wasm_v128_store(to + r * outputs + 4, sums[2 * r + 1]);
            }
        }
    }
}

/* A linear layer: `outputs` a multiple of PANEL, `count` of ROWS. */
EXPORT(linear)
void linear(const float *x, int count, int inputs, const float *packed, const float *bias, int outputs, float *out,
            int more) {
    struct rows a = {x, inputs, 1, 0, inputs};
    multiply(a, count, packed, bias, outputs, out, more);
}

/* An image (side, side, channels) with a frame of zeros one pixel wide, through GELU if wanted. */
EXPORT(frame) void frame(const float *image, int side, int channels, int through_gelu, float *framed) {
    int line = (side + 2) * channels;
    __builtin_memset(framed, 0, sizeof(float) * line * (side + 2));
    for (int row = 0; row < side; row++) {
        float *to = framed + (row + 1) * line + channels;
        const float *from = image + row * side * channels;
        for (int i = 0; i < side * channels; i += 4) {
            v128_t x = wasm_v128_load(from + i);
            wasm_v128_store(to + i, through_gelu ? gelu4(x) : x);
        }
    }
}

/* A 3 x 3 convolution of a framed image; weights are (outputs, 3 rows, 3 columns, channels), packed. */
EXPORT(convolve)
void convolve(const float *framed, int side, int channels, const float *packed, const float *bias, int outputs,
              float *out, int more) {
    int line = (side + 2) * channels;
    for (int row = 0; row < side; row++) {
        struct rows a = {framed + row * line, channels, 3, line, 3 * channels};
        multiply(a, side, packed, bias, outputs, out + row * side * outputs, more);
    }
}

/* (side, side, 4 C) to (2 side, 2 side, C): channel 4 c + 2 i + j goes to row 2 r + i, column 2 s + j. */
EXPORT(shuffle) void shuffle(const float *image, int side, int channels, float *out) {
    for (int row = 0; row < side; row++) {
        for (int column = 0; column < side; column++) {
            for (int c = 0; c < channels; c++) {
                for (int part = 0; part < 4; part++) {
                    int pixel = (2 * row + (part >> 1)) * 2 * side + 2 * column + (part & 1);
                    out[pixel * channels + c] = *image++;
                }
            }
        }
    }
}
