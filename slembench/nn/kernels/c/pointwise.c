/* Elementwise steps of the update of pair states for float32 on a CPU, one row after the other: each number is read
 * and written once, and what is in between stays in registers and the first cache. update.c calls them for some rows at
 * a time; nn/fused_update.py has the same formulas in torch.
 *
 * The product has its C - S gates in front of m = 0; the radial weights are those of all m one after the other. */

#include "pointwise.h"

/* m = 0 of the product times its radial weights, and the opened gates */
static inline void start_row(const Shape *s, i64 row, const float *product, const float *radial, const float *bias,
                             i64 radial_width, float *restrict value, float *restrict open) {
    i64 gates = s->channels - s->scalars, width = gates + s->channels;
    const float *p = product + row * width;
    if (radial) {
        const float *r = radial + row * radial_width;
        for (i64 c = 0; c < width; c++) value[c] = p[c] * (r[c] + bias[c]);
    } else {
        for (i64 c = 0; c < width; c++) value[c] = p[c];
    }
    for (i64 c = 0; c < gates; c++) open[c] = sigmoid(value[c]);
}

void gate_forward(const Shape *s, const float **product, const float *radial, const float *bias, i64 radial_width,
                  float **gated) {
    i64 S = s->scalars, C = s->channels, G = C - S;
    for (i64 row = 0; row < s->rows; row++) {
        float value[G + C], open[G + 1], factor[G + 1];
        start_row(s, row, product[0], radial, bias, radial_width, value, open);
        float *restrict out = gated[0] + row * C;
        for (i64 c = 0; c < S; c++) out[c] = value[G + c] * sigmoid(value[G + c]);
        for (i64 c = 0; c < G; c++) out[S + c] = value[G + S + c] * open[c];
        const float *r = radial ? radial + row * radial_width + G + C : 0, *b = bias ? bias + G + C : 0;
        for (i64 m = 1; m <= s->top; m++) {
            i64 M = C - s->first[m];
            const float *o = open + s->first[m] - S, *p = product[m] + row * 2 * M;
            float *restrict even = gated[m] + row * 2 * M, *restrict odd = even + M;
            if (r) {
                for (i64 c = 0; c < M; c++) factor[c] = o[c] * (r[c] + b[c]);
                r += M, b += M;
            } else {
                for (i64 c = 0; c < M; c++) factor[c] = o[c];
            }
            for (i64 c = 0; c < M; c++) even[c] = p[c] * factor[c];
            for (i64 c = 0; c < M; c++) odd[c] = p[M + c] * factor[c];
        }
    }
}

void gate_backward(const Shape *s, const float **product, const float *radial, const float *bias, i64 radial_width,
                   const float **grad, float **grad_product, float *grad_radial, float *sums) {
    i64 S = s->scalars, C = s->channels, G = C - S;
    for (i64 row = 0; row < s->rows; row++) {
        float value[G + C], open[G + 1], grad_open[G + 1], grad_value[G + C];
        start_row(s, row, product[0], radial, bias, radial_width, value, open);
        const float *d = grad[0] + row * C;
        for (i64 c = 0; c < G; c++) grad_open[c] = d[S + c] * value[G + S + c];
        for (i64 c = 0; c < G; c++) grad_value[G + S + c] = d[S + c] * open[c];
        for (i64 c = 0; c < S; c++) {
            float x = value[G + c], y = sigmoid(x);
            grad_value[G + c] = d[c] * y * (1.0f + x * (1.0f - y));
        }
        const float *r = radial ? radial + row * radial_width + G + C : 0, *b = bias ? bias + G + C : 0;
        float *restrict grad_r = radial ? grad_radial + row * radial_width + G + C : 0;
        for (i64 m = 1; m <= s->top; m++) {
            i64 M = C - s->first[m];
            const float *o = open + s->first[m] - S, *p = product[m] + row * 2 * M, *e = grad[m] + row * 2 * M;
            float *restrict grad_o = grad_open + s->first[m] - S, *restrict even = grad_product[m] + row * 2 * M;
            float *restrict odd = even + M;
            if (r) {
                for (i64 c = 0; c < M; c++) {
                    float weight = r[c] + b[c], factor = o[c] * weight, both = e[c] * p[c] + e[M + c] * p[M + c];
                    even[c] = e[c] * factor;
                    odd[c] = e[M + c] * factor;
                    grad_r[c] = both * o[c];
                    grad_o[c] += both * weight;
                }
                r += M, b += M, grad_r += M;
            } else {
                for (i64 c = 0; c < M; c++) {
                    grad_o[c] += e[c] * p[c] + e[M + c] * p[M + c];
                    even[c] = e[c] * o[c];
                    odd[c] = e[M + c] * o[c];
                }
            }
        }
        for (i64 c = 0; c < G; c++) grad_value[c] = grad_open[c] * open[c] * (1.0f - open[c]);
        float *restrict grad_p = grad_product[0] + row * (G + C);
        if (radial) {
            const float *p = product[0] + row * (G + C), *w = radial + row * radial_width;
            float *restrict grad_w = grad_radial + row * radial_width;
            for (i64 c = 0; c < G + C; c++) grad_p[c] = grad_value[c] * (w[c] + bias[c]);
            for (i64 c = 0; c < G + C; c++) grad_w[c] = grad_value[c] * p[c];
            for (i64 c = 0; c < radial_width; c++) sums[c] += grad_w[c];
        } else {
            memcpy(grad_p, grad_value, (G + C) * sizeof(float));
        }
    }
}

/* result = mixed * weights, offsets (the last S weights) and a constant added to the scalars */
void weigh_forward(const Shape *s, const float **mixed, const float *bias, const float *weights, const float *constant,
                   float **result, float *scalars) {
    i64 S = s->scalars, C = s->channels;
    for (i64 row = 0; row < s->rows; row++) {
        const float *y = mixed[0] + row * C, *w = weights + row * (C + S);
        float *restrict out = result[0] + row * C, *restrict kept = scalars + row * S;
        for (i64 c = 0; c < S; c++) {
            kept[c] = y[c] + bias[c];
            out[c] = kept[c] * w[c] + w[C + c];
        }
        if (constant)
            for (i64 c = 0; c < S; c++) out[c] += constant[c];
        for (i64 c = S; c < C; c++) out[c] = y[c] * w[c];
        for (i64 m = 1; m <= s->top; m++) {
            i64 M = C - s->first[m];
            const float *v = w + s->first[m], *z = mixed[m] + row * 2 * M;
            float *restrict even = result[m] + row * 2 * M, *restrict odd = even + M;
            for (i64 c = 0; c < M; c++) even[c] = z[c] * v[c];
            for (i64 c = 0; c < M; c++) odd[c] = z[M + c] * v[c];
        }
    }
}

/* gradients of the weights, and of the mixed state in place of it; `kept` is the gradient of the scalars or null */
void weigh_backward(const Shape *s, const float **grad, const float *kept, float **mixed, const float *bias,
                    const float *weights, float *grad_weights) {
    i64 S = s->scalars, C = s->channels;
    for (i64 row = 0; row < s->rows; row++) {
        const float *d = grad[0] + row * C, *w = weights + row * (C + S);
        float *restrict y = mixed[0] + row * C, *restrict grad_w = grad_weights + row * (C + S);
        for (i64 c = 0; c < S; c++) grad_w[C + c] = d[c];
        for (i64 c = 0; c < S; c++) grad_w[c] = d[c] * (y[c] + bias[c]);
        for (i64 c = S; c < C; c++) grad_w[c] = d[c] * y[c];
        for (i64 c = 0; c < C; c++) y[c] = d[c] * w[c];
        if (kept)
            for (i64 c = 0; c < S; c++) y[c] += kept[row * S + c];
        for (i64 m = 1; m <= s->top; m++) {
            i64 M = C - s->first[m];
            const float *v = w + s->first[m], *e = grad[m] + row * 2 * M;
            float *restrict even = mixed[m] + row * 2 * M, *restrict odd = even + M;
            float *restrict grad_v = grad_w + s->first[m];
            for (i64 c = 0; c < M; c++) {
                grad_v[c] += e[c] * even[c] + e[M + c] * odd[c];
                even[c] = e[c] * v[c];
                odd[c] = e[M + c] * v[c];
            }
        }
    }
}

/* x: a row plus bias, less its mean; returns the factor that gives it unit variance */
static inline float centre(i64 width, const float *row, const float *bias, float eps, float *restrict x) {
    float sum = 0.0f, square = 0.0f;
#pragma omp simd reduction(+ : sum)
    for (i64 c = 0; c < width; c++) x[c] = row[c] + bias[c], sum += x[c];
    float mean = sum / (float)width;
#pragma omp simd reduction(+ : square)
    for (i64 c = 0; c < width; c++) x[c] -= mean, square += x[c] * x[c];
    return 1.0f / sqrtf(square / (float)width + eps);
}

/* SiLU of the layer norm of (values + bias), `width` numbers a row */
void hidden_forward(i64 rows, const float *values, const float *bias, const float *gain, const float *offset,
                    i64 width, float eps, float *result) {
    for (i64 row = 0; row < rows; row++) {
        float *restrict out = result + row * width;
        float x[width], factor = centre(width, values + row * width, bias, eps, x);
        for (i64 c = 0; c < width; c++) {
            float y = x[c] * factor * gain[c] + offset[c];
            out[c] = y * sigmoid(y);
        }
    }
}

/* sums: of the gradients of bias, gain and offset, 3 * width numbers */
void hidden_backward(i64 rows, const float *values, const float *bias, const float *gain, const float *offset,
                     i64 width, float eps, const float *grad, float *grad_values, float *sums) {
    float *restrict grad_bias = sums, *restrict grad_gain = sums + width, *restrict grad_offset = sums + 2 * width;
    for (i64 row = 0; row < rows; row++) {
        const float *d = grad + row * width;
        float *restrict out = grad_values + row * width;
        float x[width], e[width], factor = centre(width, values + row * width, bias, eps, x);
        float total = 0.0f, along = 0.0f;
        for (i64 c = 0; c < width; c++) {
            x[c] *= factor;
            float y = x[c] * gain[c] + offset[c], open = sigmoid(y), f = d[c] * open * (1.0f + y * (1.0f - open));
            grad_gain[c] += f * x[c];
            grad_offset[c] += f;
            e[c] = f * gain[c];
        }
#pragma omp simd reduction(+ : total, along)
        for (i64 c = 0; c < width; c++) total += e[c], along += e[c] * x[c];
        total /= (float)width, along /= (float)width;
        for (i64 c = 0; c < width; c++) {
            out[c] = factor * (e[c] - total - x[c] * along);
            grad_bias[c] += out[c];
        }
    }
}
