/* The update of pair states (nn/fused_update.py has the formula), some rows after the others, in both directions: what
 * is between the product and the result stays in the cache, and backward all of it is computed again. Sums over rows,
 * the gradients of matrices and biases, are kept for each thread. nn/kernels/update.py fills in `Update`. */

#include "pointwise.h"
#include "products.h"

#include <stdlib.h>

#define ROWS 84 /* of a block: a multiple of all heights of a tile, and little enough for the second cache */

/* Channels of a feature: how many, those of l < 0, 1, ...; and which l are mixed at once, from end to end */
typedef struct {
    i64 channels, groups;
    const i64 *first, *ends; /* [.. lmax + 1], [groups + 1] */
} Feature;

typedef struct {
    i64 rows, threads, top, scalars, states, old, hidden; /* tensors of both states; width of the radial network or 0 */
    i64 bias, old_bias, numbers;                          /* whether there are biases; sums that a thread keeps */
    float eps;
    Feature output, before; /* of the result, and of the old state */
    /* matrices of the states, bias, network of the radial weights (6), mixing (2), channel weights, residual (1 or 2):
     * values, shapes, and where their gradients stand among the sums */
    const float *const *parameters;
    const i64 *inner, *columns, *places;
    float *const *state, *const *old_state, *const *product, *const *latents, *const *result, *kept;
    /* gradients: of the inputs, written; of the result, `grad_kept` null where there is none; sums of every thread */
    float *const *grad_state, *const *grad_old_state, *const *grad_product, *const *grad_latents;
    float *const *grad, *grad_kept, *sums;
} Update;

/* A matrix, or a block of it */
typedef struct {
    i64 inner, columns, from, to; /* its shape; first columns of what it reads and of what it writes */
    i64 step, place;              /* from row to row; where its gradient stands */
    const float *values;
    float *there, *back; /* packed as it is, and transposed */
} Map;

typedef struct {
    i64 maps, radial, weights, width; /* columns of radial and channel weights; numbers of a pair's state */
    Map *all, *states, *first, *last, *channels, *mixing, *residual;
    i64 bias, norm, last_bias, mixing_bias, old_bias; /* which parameters they are */
    float *packed;
} Plan;

/* What is computed for some rows. Forward ends before `grad_first`. */
typedef struct {
    Shape shape;
    i64 row;
    float *first, *hidden, *radial, *weights, **product, **gated, **mixed;
    float *grad_first, *grad_hidden, *grad_radial, *grad_weights, **grad_product, **grad_gated;
} Block;

static i64 most(i64 a, i64 b) { return a > b ? a : b; }

static i64 parts(i64 m) { return m ? 2 : 1; }

static i64 width(const Feature *f, i64 m) { return f->channels - f->first[m]; }

/* Rows of a state for each pair: matrices of m > 0 act on both parts at once, or on each */
static i64 turns(const Update *u, const Map *map, i64 m) { return m && map->columns == width(&u->output, m) ? 2 : 1; }

static void apply(const Map *map, i64 rows, const float *from, i64 step, float *to, i64 step_to, int add) {
    rows_by_packed(rows, map->inner, map->columns, from + map->from, step, map->there, to + map->to, step_to, add);
}

/* Gradient of what `apply` reads, written, and of the matrix, added to the sums */
static void apply_back(const Map *map, i64 rows, const float *from, i64 step, const float *grad, i64 step_to,
                       float *grad_from, float *sums) {
    rows_by_packed(rows, map->columns, map->inner, grad + map->to, step_to, map->back, grad_from + map->from, step, 0);
    sum_of_outer(rows, map->inner, map->columns, from + map->from, step, grad + map->to, step_to, sums + map->place,
                 map->step, 1);
}

static Map whole(const Update *u, i64 k) {
    return (Map){u->inner[k], u->columns[k], 0, 0, u->columns[k], u->places[k], u->parameters[k], 0, 0};
}

/* Blocks of a mixing for one m, one for each range of l */
static void mixing_blocks(const Update *u, const Feature *in, i64 m, i64 k, Map *maps) {
    const Feature *out = &u->output;
    for (i64 g = 0; g < in->groups; g++) {
        i64 a = most(in->first[in->ends[g]], in->first[m]), b = most(in->first[in->ends[g + 1]], in->first[m]);
        i64 c = most(out->first[in->ends[g]], out->first[m]), d = most(out->first[in->ends[g + 1]], out->first[m]);
        i64 place = a * out->channels + c;
        maps[g] = (Map){b - a, d - c, a - in->first[m], c - out->first[m], out->channels, u->places[k] + place,
                        u->parameters[k] + place, 0, 0};
    }
}

static void find_maps(const Update *u, Plan *p) {
    i64 k = u->states, groups = u->output.groups;
    p->states = p->all, p->first = p->all + u->states, p->last = p->first + 1, p->channels = p->first + 2;
    p->mixing = p->first + 3, p->residual = p->mixing + (u->top + 1) * groups;
    for (i64 m = 0; m < u->states; m++) p->states[m] = whole(u, m);
    p->bias = k;
    k += u->bias;
    *p->first = u->hidden ? whole(u, k) : (Map){0};
    *p->last = u->hidden ? whole(u, k + 4) : (Map){0};
    p->norm = k + 1, p->last_bias = k + 5;
    k += u->hidden ? 6 : 0;
    for (i64 m = 0; m <= u->top; m++) mixing_blocks(u, &u->output, m, k, p->mixing + m * groups);
    p->mixing_bias = k + 1;
    *p->channels = whole(u, k + 2);
    for (i64 m = 0; m < u->old; m++) mixing_blocks(u, &u->before, m, k + 3, p->residual + m * u->before.groups);
    p->old_bias = k + 4;
    p->radial = p->last->columns, p->weights = p->channels->columns, p->width = 0;
    for (i64 m = 0; m <= u->top; m++) p->width += parts(m) * width(&u->output, m);
}

/* Finds and packs all matrices, `back` their transposes too; false where there is no memory. */
static int make_plan(const Update *u, Plan *p, int back) {
    p->maps = u->states + 3 + (u->top + 1) * u->output.groups + u->old * u->before.groups;
    p->all = malloc((size_t)p->maps * sizeof(Map));
    if (!p->all) return 0;
    find_maps(u, p);
    i64 size = 1;
    for (Map *map = p->all; map < p->all + p->maps; map++)
        size += packed_size(map->inner, map->columns) + (back ? packed_size(map->columns, map->inner) : 0);
    float *next = p->packed = malloc((size_t)size * sizeof(float));
    if (!next) return 0;
    for (Map *map = p->all; map < p->all + p->maps; map++) {
        pack(map->inner, map->columns, map->values, map->step, 1, map->there = next);
        next += packed_size(map->inner, map->columns);
        if (!back) continue;
        pack(map->columns, map->inner, map->values, 1, map->step, map->back = next);
        next += packed_size(map->columns, map->inner);
    }
    return 1;
}

static i64 scratch_size(const Update *u, const Plan *p, int back) {
    i64 numbers = 2 * u->hidden + p->radial + p->weights + 2 * p->width;
    return ROWS * (numbers + (back ? 2 * u->hidden + p->radial + p->weights + p->width : 0));
}

static float *cut(float **free_numbers, i64 count) {
    float *found = *free_numbers;
    *free_numbers += count * ROWS;
    return found;
}

/* Divides the scratch of a thread among what a block holds. */
static void lay_out(const Update *u, const Plan *p, Block *b, float *scratch, int back) {
    b->first = cut(&scratch, u->hidden), b->hidden = cut(&scratch, u->hidden);
    b->radial = cut(&scratch, p->radial), b->weights = cut(&scratch, p->weights);
    for (i64 m = 0; m <= u->top; m++) b->gated[m] = cut(&scratch, parts(m) * width(&u->output, m));
    for (i64 m = 0; m <= u->top; m++) b->mixed[m] = cut(&scratch, parts(m) * width(&u->output, m));
    if (!back) return;
    b->grad_first = cut(&scratch, u->hidden), b->grad_hidden = cut(&scratch, u->hidden);
    b->grad_radial = cut(&scratch, p->radial), b->grad_weights = cut(&scratch, p->weights);
    for (i64 m = 0; m <= u->top; m++) b->grad_gated[m] = cut(&scratch, parts(m) * width(&u->output, m));
}

/* Numbers of the product for one pair and m: gates stand in front of m = 0 */
static i64 product_width(const Update *u, i64 m) {
    return parts(m) * width(&u->output, m) + (m ? 0 : u->output.channels - u->scalars);
}

static float *at(float *const *tensors, i64 m, i64 row, i64 numbers) { return tensors[m] + row * numbers; }

/* The product's part of the states, and from there to the mixed state and the channel weights. */
static void compute(const Update *u, const Plan *p, Block *b) {
    i64 n = b->shape.rows, groups = u->output.groups;
    for (i64 m = 0; m < u->states; m++) {
        const Map *map = p->states + m;
        i64 r = turns(u, map, m);
        apply(map, r * n, at(u->state, m, b->row, r * map->inner), map->inner,
              at(u->product, m, b->row, r * map->columns), map->columns, 1);
    }
    const float **bias = (const float **)u->parameters + p->norm, *last_bias = 0;
    for (i64 m = 0; m <= u->top; m++) b->product[m] = at(u->product, m, b->row, product_width(u, m));
    if (u->hidden) {
        apply(p->first, n, at(u->latents, 0, b->row, p->first->inner), p->first->inner, b->first, u->hidden, 0);
        hidden_forward(n, b->first, bias[0], bias[1], bias[2], u->hidden, u->eps, b->hidden);
        apply(p->last, n, b->hidden, u->hidden, b->radial, p->radial, 0);
        last_bias = u->parameters[p->last_bias];
    }
    const float *radial = u->hidden ? b->radial : 0;
    gate_forward(&b->shape, (const float **)b->product, radial, last_bias, p->radial, b->gated);
    for (i64 m = 0; m <= u->top; m++) {
        i64 step = width(&u->output, m);
        for (i64 g = 0; g < groups; g++)
            apply(p->mixing + m * groups + g, parts(m) * n, b->gated[m], step, b->mixed[m], step, 0);
    }
    i64 latent = p->channels->inner;
    apply(p->channels, n, at(u->latents, 1, b->row, latent), latent, b->weights, p->weights, 0);
}

static void forward_block(const Update *u, const Plan *p, Block *b) {
    i64 n = b->shape.rows;
    compute(u, p, b);
    float *target[u->top + 1];
    for (i64 m = 0; m <= u->top; m++) target[m] = at(u->result, m, b->row, parts(m) * width(&u->output, m));
    const float *constant = u->old_bias ? u->parameters[p->old_bias] : 0;
    weigh_forward(&b->shape, (const float **)b->mixed, u->parameters[p->mixing_bias], b->weights, constant, target,
                  u->kept + b->row * u->scalars);
    for (i64 m = 0; m < u->old; m++) {
        i64 step = width(&u->before, m);
        for (i64 g = 0; g < u->before.groups; g++)
            apply(p->residual + m * u->before.groups + g, parts(m) * n, at(u->old_state, m, b->row, parts(m) * step),
                  step, target[m], width(&u->output, m), 1);
    }
}

/* Adds the first columns of some rows to the sums. */
static void add_rows(i64 rows, const float *values, i64 step, i64 columns, float *restrict sums) {
    for (i64 r = 0; r < rows; r++)
        for (i64 c = 0; c < columns; c++) sums[c] += values[r * step + c];
}

/* Gradients of the old state and its map. */
static void residual_back(const Update *u, const Plan *p, const Block *b, float *const *grad, float *sums) {
    i64 n = b->shape.rows;
    for (i64 m = 0; m < u->old; m++) {
        i64 step = width(&u->before, m), row = parts(m) * step;
        for (i64 g = 0; g < u->before.groups; g++)
            apply_back(p->residual + m * u->before.groups + g, parts(m) * n, at(u->old_state, m, b->row, row), step,
                       grad[m], width(&u->output, m), at(u->grad_old_state, m, b->row, row), sums);
    }
    if (u->old_bias) add_rows(n, grad[0], u->output.channels, u->scalars, sums + u->places[p->old_bias]);
}

/* Gradients of the network of the radial weights from those of its values. */
static void radial_back(const Update *u, const Plan *p, const Block *b, float *sums) {
    i64 n = b->shape.rows, latent = p->first->inner, *places = (i64 *)u->places + p->norm;
    const float *const *norm = u->parameters + p->norm;
    apply_back(p->last, n, b->hidden, u->hidden, b->grad_radial, p->radial, b->grad_hidden, sums);
    hidden_backward(n, b->first, norm[0], norm[1], norm[2], u->hidden, u->eps, b->grad_hidden, b->grad_first,
                    sums + places[0]);
    apply_back(p->first, n, at(u->latents, 0, b->row, latent), latent, b->grad_first, u->hidden,
               at(u->grad_latents, 0, b->row, latent), sums);
}

static void backward_block(const Update *u, const Plan *p, Block *b, float *sums) {
    i64 n = b->shape.rows, groups = u->output.groups, latent = p->channels->inner;
    float *grad[u->top + 1];
    compute(u, p, b);
    for (i64 m = 0; m <= u->top; m++) {
        grad[m] = at(u->grad, m, b->row, parts(m) * width(&u->output, m));
        b->grad_product[m] = at(u->grad_product, m, b->row, product_width(u, m));
    }
    residual_back(u, p, b, grad, sums);
    const float *grad_kept = u->grad_kept ? u->grad_kept + b->row * u->scalars : 0;
    weigh_backward(&b->shape, (const float **)grad, grad_kept, b->mixed, u->parameters[p->mixing_bias], b->weights,
                   b->grad_weights);
    apply_back(p->channels, n, at(u->latents, 1, b->row, latent), latent, b->grad_weights, p->weights,
               at(u->grad_latents, 1, b->row, latent), sums);
    add_rows(n, b->mixed[0], u->output.channels, u->scalars, sums + u->places[p->mixing_bias]);
    for (i64 m = 0; m <= u->top; m++) {
        i64 step = width(&u->output, m);
        for (i64 g = 0; g < groups; g++)
            apply_back(p->mixing + m * groups + g, parts(m) * n, b->gated[m], step, b->mixed[m], step, b->grad_gated[m],
                       sums);
    }
    const float *radial = u->hidden ? b->radial : 0, *last_bias = u->hidden ? u->parameters[p->last_bias] : 0;
    gate_backward(&b->shape, (const float **)b->product, radial, last_bias, p->radial, (const float **)b->grad_gated,
                  b->grad_product, b->grad_radial, u->hidden ? sums + u->places[p->last_bias] : 0);
    if (u->hidden) radial_back(u, p, b, sums);
    if (u->bias) add_rows(n, b->grad_product[0], product_width(u, 0), product_width(u, 0), sums + u->places[p->bias]);
    for (i64 m = 0; m < u->states; m++) {
        const Map *map = p->states + m;
        i64 r = turns(u, map, m), row = r * map->inner;
        apply_back(map, r * n, at(u->state, m, b->row, row), map->inner, b->grad_product[m], map->columns,
                   at(u->grad_state, m, b->row, row), sums);
    }
}

/* All rows, each thread's in blocks. */
static int run(const Update *u, int back) {
    Plan plan = {0};
    i64 size = 0;
    float *scratch = 0;
    int ready = make_plan(u, &plan, back);
    if (ready) {
        size = scratch_size(u, &plan, back);
        scratch = malloc((size_t)(u->threads * size + 1) * sizeof(float));
    }
    if (scratch) {
#pragma omp parallel for schedule(static, 1) num_threads(u->threads) if (u->threads > 1)
        for (i64 thread = 0; thread < u->threads; thread++) {
            float *lists[5][u->top + 1];
            Block b = {.product = lists[0], .gated = lists[1], .mixed = lists[2], .grad_product = lists[3],
                       .grad_gated = lists[4]};
            lay_out(u, &plan, &b, scratch + thread * size, back);
            i64 end = FIRST_ROW(u->rows, thread + 1, u->threads);
            for (b.row = FIRST_ROW(u->rows, thread, u->threads); b.row < end; b.row += ROWS) {
                b.shape = (Shape){least(ROWS, end - b.row), 1, u->top, u->scalars, u->output.channels, u->output.first};
                if (back)
                    backward_block(u, &plan, &b, u->sums + thread * u->numbers);
                else
                    forward_block(u, &plan, &b);
            }
        }
    }
    free(scratch);
    free(plan.packed);
    free(plan.all);
    return scratch != 0;
}

/* Both take the product with the parts of ends and bias, and add that of the states. This one writes result and kept
 * scalars. Returns whether there was memory for it. */
int update_forward(const Update *u) { return run(u, 0); }

/* Gradients of all inputs; those of parameters are added to the sums. Returns whether there was memory for it. */
int update_backward(const Update *u) { return run(u, 1); }
