/* What the elementwise steps share: the shape of a feature, and functions of one number.
 *
 * A feature has C channels, ordered by l; the first S are true scalars, all others have a gate. Tensors of m = 0 are
 * (rows, C), of m > 0 (rows, 2, C - first[m]), where first[m] counts the channels of l < m. */

#ifndef SLEMBENCH_ROWS_H
#define SLEMBENCH_ROWS_H

#include <math.h>
#include <stdint.h>
#include <string.h>

typedef int64_t i64;

typedef struct {
    i64 rows, threads, top, scalars, channels;
    const i64 *first; /* [top + 1] */
} Shape;

/* exp to 2e-7 relative: powers of two and a polynomial (Cephes, expf) */
static inline float exponential(float x) {
    x = x > 88.0f ? 88.0f : (x < -87.0f ? -87.0f : x);
    float n = rintf(x * 1.44269504088896341f);
    float r = fmaf(n, -0.693359375f, x);
    r = fmaf(n, 2.12194440e-4f, r);
    float p = 1.9875691500e-4f;
    p = fmaf(p, r, 1.3981999507e-3f);
    p = fmaf(p, r, 8.3334519073e-3f);
    p = fmaf(p, r, 4.1665795894e-2f);
    p = fmaf(p, r, 1.6666665459e-1f);
    p = fmaf(p, r, 5.0000001201e-1f);
    p = fmaf(p * r, r, r + 1.0f);
    int32_t bits = ((int32_t)n + 127) << 23;
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    return p * scale;
}

static inline float sigmoid(float x) { return 1.0f / (1.0f + exponential(-x)); }

#endif
