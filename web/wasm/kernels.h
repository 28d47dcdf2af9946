/* What the decoder's arithmetic is made of. Arrays are float32, row by row; pointers are 16-byte aligned. */
#pragma once

#include <wasm_simd128.h>

typedef unsigned int u32;
#define EXPORT(name) __attribute__((export_name(#name)))
#define PANEL 8 /* outputs of a panel of packed weights */
#define ROWS 4  /* rows that are multiplied at once */

/* A matrix whose rows are sums over segments: row r, segment s begins at data + r * row + s * segment. */
struct rows {
    const float *data;
    int row, segments, segment, length;
};

/* GELU, x / 2 (1 + erf(x / sqrt 2)), to 1e-7 times its argument. */
v128_t gelu4(v128_t x);

/* e^x, x <= 0, to 1e-7 of it. */
v128_t exp4(v128_t x);

/* Sums of ROWS rows times a panel, two vectors for each row. */
void panel_sums(const struct rows *a, const float *panel, v128_t sums[2 * ROWS]);
