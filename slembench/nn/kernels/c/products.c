/* Matrix products of float32 numbers on a CPU, for tensors with thousands of rows and tens to hundreds of columns.
 *
 * A tile of the result, some rows by two vectors, is summed up in registers: per step of the sum two vectors of the one
 * operand are loaded and numbers of the other are broadcast. The small matrix of `rows_by_packed` is packed into panels
 * two vectors wide first; what has many rows is read where it stands. No code is made at run time, so that structures
 * with any numbers of pairs cost the same. nn/kernels/matmul.py calls the two functions at the end, update.c the others. */

#include "products.h"

#include <stdlib.h>
#include <string.h>

#if defined(__AVX512F__)
#include <immintrin.h>
#define WIDTH 16
#define TALL 14 /* 28 sums, two vectors, one broadcast number: 31 of 32 registers */
#elif defined(__AVX2__) && defined(__FMA__)
#define WIDTH 8
#define TALL 6 /* 12 sums in 16 registers */
#elif defined(__aarch64__) && defined(__ARM_NEON)
#define WIDTH 4
#define TALL 14
#else
#error "no vectors with a fused multiply-add: torch has the better products"
#endif

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")
#define BLOCK 112 /* rows of the first operand that stay in the cache while the panels go by */
#define CHUNK 168 /* rows of both operands that stay in the cache while the tiles of a sum over rows go by */

typedef float vec __attribute__((vector_size(4 * WIDTH)));
typedef float loose __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));

INLINE vec load(const float *p) { return *(const loose *)p; }
INLINE void store(float *p, vec v) { *(loose *)p = v; }

/* The first n numbers of a vector */
#if defined(__AVX512F__)
INLINE vec load_some(const float *p, i64 n) { return (vec)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p); }
INLINE void store_some(float *p, vec v, i64 n) { _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v); }
#else
INLINE vec load_some(const float *p, i64 n) {
    vec v = {0};
    memcpy(&v, p, (size_t)n * sizeof(float));
    return v;
}
INLINE void store_some(float *p, vec v, i64 n) { memcpy(p, &v, (size_t)n * sizeof(float)); }
#endif

/* One tile: c[r, :] = (add ? c[r, :] : 0) + sum over k of a[r * row_a + k * step_a] * b[k * step_b + :], for `rows` rows
 * and `vectors` vectors, of which the last has `last` numbers; b is as long as its vectors unless it is `ragged`. */
INLINE void tile(const int rows, const int vectors, const int ragged, i64 inner, const float *a, i64 row_a, i64 step_a,
                 const float *b, i64 step_b, float *c, i64 step_c, i64 last, int add) {
    vec sum[TALL][2], right[2];
    UNROLL for (int r = 0; r < rows; r++) {
        UNROLL for (int v = 0; v < vectors; v++) sum[r][v] = (vec){0};
    }
    for (i64 k = 0; k < inner; k++) {
        UNROLL for (int v = 0; v < vectors; v++) {
            right[v] = ragged && v == vectors - 1 ? load_some(b + v * WIDTH, last) : load(b + v * WIDTH);
        }
        UNROLL for (int r = 0; r < rows; r++) {
            UNROLL for (int v = 0; v < vectors; v++) sum[r][v] += a[r * row_a] * right[v];
        }
        a += step_a;
        b += step_b;
    }
    UNROLL for (int r = 0; r < rows; r++) {
        UNROLL for (int v = 0; v < vectors; v++) {
            float *to = c + r * step_c + v * WIDTH;
            if (v == vectors - 1 && last < WIDTH) {
                if (add) sum[r][v] += load_some(to, last);
                store_some(to, sum[r][v], last);
            } else {
                if (add) sum[r][v] += load(to);
                store(to, sum[r][v]);
            }
        }
    }
}

#define ARGUMENTS \
    i64 inner, const float *a, i64 step_a, const float *b, i64 step_b, float *c, i64 step_c, i64 last, int add
#define FUNCTION(name, rows, vectors, ragged, row, step) \
    static void name##_##rows##_##vectors(ARGUMENTS) { \
        tile(rows, vectors, ragged, inner, a, row, step, b, step_b, c, step_c, last, add); \
    }
/* `along`: sums along the rows of a; `down` and `ragged`: down its columns */
#define FUNCTIONS(rows) \
    FUNCTION(along, rows, 1, 0, step_a, 1) FUNCTION(along, rows, 2, 0, step_a, 1) \
    FUNCTION(down, rows, 1, 0, 1, step_a) FUNCTION(down, rows, 2, 0, 1, step_a) \
    FUNCTION(ragged, rows, 1, 1, 1, step_a) FUNCTION(ragged, rows, 2, 1, 1, step_a)
#define NAMES(name, rows) {name##_##rows##_1, name##_##rows##_2}
#if TALL == 14
#define ALL(what) \
    what(1) what(2) what(3) what(4) what(5) what(6) what(7) what(8) what(9) what(10) what(11) what(12) what(13) what(14)
#define TABLE(n) \
    {NAMES(n, 1), NAMES(n, 2), NAMES(n, 3), NAMES(n, 4), NAMES(n, 5), NAMES(n, 6), NAMES(n, 7), \
     NAMES(n, 8), NAMES(n, 9), NAMES(n, 10), NAMES(n, 11), NAMES(n, 12), NAMES(n, 13), NAMES(n, 14)}
#else
#define ALL(what) what(1) what(2) what(3) what(4) what(5) what(6)
#define TABLE(n) {NAMES(n, 1), NAMES(n, 2), NAMES(n, 3), NAMES(n, 4), NAMES(n, 5), NAMES(n, 6)}
#endif
ALL(FUNCTIONS)
typedef void (*Tile)(ARGUMENTS);
static const Tile ALONG[TALL][2] = TABLE(along), DOWN[TALL][2] = TABLE(down), RAGGED[TALL][2] = TABLE(ragged);

/* Vectors of the panel that begins at column n, two or the last one, and numbers in the last of them */
INLINE i64 panel_vectors(i64 columns, i64 n) { return columns - n > WIDTH ? 2 : 1; }
INLINE i64 panel_last(i64 columns, i64 n, i64 vectors) { return least(WIDTH, columns - n - (vectors - 1) * WIDTH); }

i64 packed_size(i64 inner, i64 columns) { return inner * ((columns + WIDTH - 1) / WIDTH) * WIDTH; }

void pack(i64 inner, i64 columns, const float *b, i64 row, i64 column, float *packed) {
    for (i64 n = 0; n < columns; n += 2 * WIDTH) {
        i64 width = panel_vectors(columns, n) * WIDTH, there = least(width, columns - n);
        for (i64 k = 0; k < inner; k++, packed += width) {
            for (i64 j = 0; j < there; j++) packed[j] = b[k * row + (n + j) * column];
            for (i64 j = there; j < width; j++) packed[j] = 0.0f;
        }
    }
}

void rows_by_packed(i64 rows, i64 inner, i64 columns, const float *a, i64 step_a, const float *packed, float *c,
                    i64 step_c, int add) {
    for (i64 start = 0; start < rows; start += BLOCK) {
        i64 end = least(rows, start + BLOCK);
        const float *panel = packed;
        for (i64 n = 0; n < columns; n += 2 * WIDTH) {
            i64 vectors = panel_vectors(columns, n), last = panel_last(columns, n, vectors);
            for (i64 r = start; r < end; r += TALL) {
                Tile run = ALONG[least(TALL, end - r) - 1][vectors - 1];
                run(inner, a + r * step_a, step_a, panel, vectors * WIDTH, c + r * step_c + n, step_c, last, add);
            }
            panel += inner * vectors * WIDTH;
        }
    }
}

void sum_of_outer(i64 rows, i64 height, i64 width, const float *x, i64 step_x, const float *y, i64 step_y, float *c,
                  i64 step_c, int add) {
    i64 tiles = (height + TALL - 1) / TALL, start = 0;
    do { /* once without rows, too: a sum that is not added to anything is zero then */
        i64 count = least(CHUNK, rows - start);
        for (i64 n = 0; n < width; n += 2 * WIDTH) {
            i64 vectors = panel_vectors(width, n), last = panel_last(width, n, vectors);
            const Tile(*table)[2] = last < WIDTH ? RAGGED : DOWN;
            for (i64 t = 0; t < tiles; t++) {
                i64 k = FIRST_ROW(height, t, tiles), tall = FIRST_ROW(height, t + 1, tiles) - k;
                const float *left = x + start * step_x + k, *right = y + start * step_y + n;
                table[tall - 1][vectors - 1](count, left, step_x, right, step_y, c + k * step_c + n, step_c, last,
                                             add || start);
            }
        }
        start += CHUNK;
    } while (start < rows);
}

/* A matrix of a batch: its numbers, and how far apart rows, columns and matrices stand */
typedef struct {
    float *values;
    i64 row, column, batch;
} Matrix;

#define MATRIX(name) float *name##_values, i64 name##_row, i64 name##_column, i64 name##_batch
#define OF(name) {name##_values, name##_row, name##_column, name##_batch}

/* c = a b, or added to c, for `batch` matrices (rows, inner) and (inner, columns); a and c have their columns side by
 * side. Returns whether there was memory for it. */
int matmul(i64 threads, i64 batch, i64 rows, i64 inner, i64 columns, i64 add, MATRIX(a), MATRIX(b), MATRIX(c)) {
    const Matrix left = OF(a), right = OF(b), result = OF(c), *a = &left, *b = &right, *c = &result;
    i64 size = packed_size(inner, columns), blocks = (rows + BLOCK - 1) / BLOCK;
    float *packed = malloc((size_t)(batch * size + 1) * sizeof(float));
    if (!packed) return 0;
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
#pragma omp for schedule(static)
        for (i64 i = 0; i < batch; i++)
            pack(inner, columns, b->values + i * b->batch, b->row, b->column, packed + i * size);
#pragma omp for schedule(static)
        for (i64 block = 0; block < batch * blocks; block++) {
            i64 i = block / blocks, start = block % blocks * BLOCK;
            rows_by_packed(least(BLOCK, rows - start), inner, columns, a->values + i * a->batch + start * a->row, a->row,
                           packed + i * size, c->values + i * c->batch + start * c->row, c->row, add);
        }
    }
    free(packed);
    return 1;
}

/* c = x^T y, or added to c, for `batch` matrices (rows, height) and (rows, width) with their columns side by side. Each
 * thread takes some of the rows, or of the matrices, and the threads' sums are added in order. Returns whether there
 * was memory for it. */
int matmul_t(i64 threads, i64 batch, i64 rows, i64 height, i64 width, i64 add, MATRIX(x), MATRIX(y), MATRIX(c)) {
    const Matrix first = OF(x), second = OF(y), result = OF(c), *x = &first, *y = &second, *c = &result;
    i64 parts = batch == 1 ? threads : 1, size = height * width;
    float *sums = malloc((size_t)((parts - 1) * size + 1) * sizeof(float));
    if (!sums) return 0;
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
    for (i64 task = 0; task < batch * parts; task++) {
        i64 i = task / parts, part = task % parts, start = FIRST_ROW(rows, part, parts);
        i64 count = FIRST_ROW(rows, part + 1, parts) - start;
        const float *left = x->values + i * x->batch + start * x->row, *right = y->values + i * y->batch + start * y->row;
        if (part)
            sum_of_outer(count, height, width, left, x->row, right, y->row, sums + (part - 1) * size, width, 0);
        else
            sum_of_outer(count, height, width, left, x->row, right, y->row, c->values + i * c->batch, c->row, add);
    }
    for (i64 part = 1; part < parts; part++)
        for (i64 k = 0; k < height; k++)
            for (i64 n = 0; n < width; n++) c->values[k * c->row + n] += sums[(part - 1) * size + k * width + n];
    free(sums);
    return 1;
}
