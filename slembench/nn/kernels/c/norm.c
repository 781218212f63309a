/* The norm of pair states for float32 on a CPU, one row after the other; layers.SeparableNorm has it in torch. */

#include "rows.h"

#define ROWS _Pragma("omp parallel for schedule(static) num_threads(s->threads) if (s->threads > 1)")

/* scalars centred and divided by their norm, all others by one root of the weighted squares; divisors are kept */
void norm_forward(const Shape *s, const float **values, const float *weight, float eps, float **result,
                  float *divisors) {
    i64 S = s->scalars, C = s->channels;
    ROWS
    for (i64 row = 0; row < s->rows; row++) {
        const float *x = values[0] + row * C;
        float *restrict out = result[0] + row * C;
        float sum = 0.0f, length = 0.0f, square = 0.0f;
#pragma omp simd reduction(+ : sum)
        for (i64 c = 0; c < S; c++) sum += x[c];
        float mean = sum / (float)S;
#pragma omp simd reduction(+ : length)
        for (i64 c = 0; c < S; c++) length += (x[c] - mean) * (x[c] - mean);
#pragma omp simd reduction(+ : square)
        for (i64 c = S; c < C; c++) square += x[c] * x[c] * weight[c];
        for (i64 m = 1; m <= s->top; m++) {
            i64 M = C - s->first[m];
            const float *z = values[m] + row * 2 * M, *w = weight + s->first[m];
#pragma omp simd reduction(+ : square)
            for (i64 c = 0; c < M; c++) square += (z[c] * z[c] + z[M + c] * z[M + c]) * w[c];
        }
        float norm = 1.0f / (sqrtf(length) + eps), factor = 1.0f / sqrtf(square + eps);
        divisors[2 * row] = sqrtf(length);
        divisors[2 * row + 1] = factor;
        for (i64 c = 0; c < S; c++) out[c] = (x[c] - mean) * norm;
        for (i64 c = S; c < C; c++) out[c] = x[c] * factor;
        for (i64 m = 1; m <= s->top; m++) {
            i64 M = 2 * (C - s->first[m]);
            const float *z = values[m] + row * M;
            float *restrict o = result[m] + row * M;
            for (i64 c = 0; c < M; c++) o[c] = z[c] * factor;
        }
    }
}

void norm_backward(const Shape *s, const float **values, const float *weight, float eps, const float *divisors,
                   const float **grad, float **grad_values) {
    i64 S = s->scalars, C = s->channels;
    ROWS
    for (i64 row = 0; row < s->rows; row++) {
        const float *x = values[0] + row * C, *d = grad[0] + row * C;
        float *restrict out = grad_values[0] + row * C;
        float length = divisors[2 * row], norm = 1.0f / (length + eps), factor = divisors[2 * row + 1];
        float sum = 0.0f, total = 0.0f, inner = 0.0f, along = 0.0f;
#pragma omp simd reduction(+ : sum, total)
        for (i64 c = 0; c < S; c++) sum += x[c], total += d[c];
        float mean = sum / (float)S, mean_grad = total / (float)S;
#pragma omp simd reduction(+ : inner)
        for (i64 c = 0; c < S; c++) inner += (x[c] - mean) * d[c];
        float back = length > 0.0f ? inner * norm * norm / length : 0.0f;
        for (i64 c = 0; c < S; c++) out[c] = (d[c] - mean_grad) * norm - (x[c] - mean) * back;
#pragma omp simd reduction(+ : along)
        for (i64 c = S; c < C; c++) along += x[c] * d[c];
        for (i64 m = 1; m <= s->top; m++) {
            i64 M = 2 * (C - s->first[m]);
            const float *z = values[m] + row * M, *e = grad[m] + row * M;
#pragma omp simd reduction(+ : along)
            for (i64 c = 0; c < M; c++) along += z[c] * e[c];
        }
        float bend = -factor * factor * factor * along;
        for (i64 c = S; c < C; c++) out[c] = d[c] * factor + x[c] * weight[c] * bend;
        for (i64 m = 1; m <= s->top; m++) {
            i64 M = C - s->first[m];
            const float *z = values[m] + row * 2 * M, *e = grad[m] + row * 2 * M, *w = weight + s->first[m];
            float *restrict even = grad_values[m] + row * 2 * M, *restrict odd = even + M;
            for (i64 c = 0; c < M; c++) even[c] = e[c] * factor + z[c] * w[c] * bend;
            for (i64 c = 0; c < M; c++) odd[c] = e[M + c] * factor + z[M + c] * w[c] * bend;
        }
    }
}
