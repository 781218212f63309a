/* Matrix products of float32 numbers with many rows and few columns, for any number of rows. */

#ifndef SLEMBENCH_PRODUCTS_H
#define SLEMBENCH_PRODUCTS_H

#include <stdint.h>

typedef int64_t i64;

/* Rows from one thread's first to the next one's */
#define FIRST_ROW(rows, thread, threads) ((rows) * (thread) / (threads))

static inline i64 least(i64 a, i64 b) { return a < b ? a : b; }

/* Numbers that a packed matrix takes. */
i64 packed_size(i64 inner, i64 columns);

/* Matrix b[k * row + n * column], (inner, columns), to panels of whole vectors. */
void pack(i64 inner, i64 columns, const float *b, i64 row, i64 column, float *packed);

/* c = a b, or added to c where `add`: (rows, inner) times a packed (inner, columns). Each number is summed in order of
 * the inner index, whatever the rows. */
void rows_by_packed(i64 rows, i64 inner, i64 columns, const float *a, i64 step_a, const float *packed, float *c,
                    i64 step_c, int add);

/* c = x^T y, or added to c where `add`: (rows, height) and (rows, width) to (height, width). */
void sum_of_outer(i64 rows, i64 height, i64 width, const float *x, i64 step_x, const float *y, i64 step_y, float *c,
                  i64 step_c, int add);

#endif
