/* Elementwise steps of the update of pair states; see pointwise.c. */

#ifndef SLEMBENCH_POINTWISE_H
#define SLEMBENCH_POINTWISE_H

#include "rows.h"

void gate_forward(const Shape *s, const float **product, const float *radial, const float *bias, i64 radial_width,
                  float **gated);

void gate_backward(const Shape *s, const float **product, const float *radial, const float *bias, i64 radial_width,
                   const float **grad, float **grad_product, float *grad_radial, float *sums);

void weigh_forward(const Shape *s, const float **mixed, const float *bias, const float *weights, const float *constant,
                   float **result, float *scalars);

void weigh_backward(const Shape *s, const float **grad, const float *kept, float **mixed, const float *bias,
                    const float *weights, float *grad_weights);

void hidden_forward(i64 rows, const float *values, const float *bias, const float *gain, const float *offset, i64 width,
                    float eps, float *result);

void hidden_backward(i64 rows, const float *values, const float *bias, const float *gain, const float *offset,
                     i64 width, float eps, const float *grad, float *grad_values, float *sums);

#endif
