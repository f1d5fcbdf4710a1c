/* The quantiser step for a PSNR target, and a first guess at that for a ratio.
 * SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>
#include <string.h>

#include "encode.h"

/* Embedded coding is at its best where a bit-plane is complete: between two planes it pays up to 0.5 dB (10%
 * of the bytes) more than a quantiser whose own step leaves just the error wanted. So the step is chosen such
 * that coding everything meets the target, from a histogram of the coefficients' magnitudes. */

enum {
    MANTISSA_BITS = 4, /* bins of 1/16 octave */
    NUM_BINS = 1 << (8 + MANTISSA_BITS),
    SAMPLED_ROWS = 4,   /* every fourth row of a subband, when it has enough of them */
    SAMPLED_TILES = 16, /* tiles looked at, at most */
};

typedef struct histogram {
    double bins[NUM_BINS]; /* coefficients, by the leading bits of their magnitude as a float */
} histogram;

static float bin_edge(unsigned bin) {
    uint32_t bits = (uint32_t)bin << (23 - MANTISSA_BITS);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static unsigned bin_of_value(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits >> (23 - MANTISSA_BITS);
}

/* Count a subband's coefficients, scaled so that a unit of error in any of them is a unit of error in the
 * image. */
static void count_band(const subband *band, bool wide, double share, histogram *h) {
    const plane *p = &band->coefficients;
    uint32_t width = rect_width(p->area), height = rect_height(p->area);
    uint32_t every = height >= 16 * SAMPLED_ROWS ? SAMPLED_ROWS : 1;
    float scale = (float)(sqrt(band->weight) / band->step);
    for (uint32_t y = 0; y < height; y += every) {
        const float *row = (const float *)p->data + (ptrdiff_t)y * p->stride;
        const double *wide_row = (const double *)p->data + (ptrdiff_t)y * p->stride;
        for (uint32_t x = 0; x < width; x++) {
            h->bins[bin_of_value(fabsf(wide ? (float)wide_row[x] : row[x]) * scale)] += share * every;
        }
    }
}

static j2k_status count_tiles(encoder *e, histogram *h) {
    j2k_context *context = e->context;
    uint32_t tiles = e->cs.siz.tiles_x * e->cs.siz.tiles_y;
    uint32_t every = (tiles + SAMPLED_TILES - 1) / SAMPLED_TILES;
    for (uint32_t i = 0; i < tiles; i += every) {
        tile t;
        j2k_arena_reset(&context->work);
        TRY(j2k_encode_load_tile(e, i, &context->work, &t));
        for (uint32_t c = 0; c < t.num_components; c++)
            for (unsigned r = 0; r < t.components[c].num_resolutions; r++)
                for (unsigned b = 0; b < t.components[c].resolutions[r].num_bands; b++)
                    count_band(&t.components[c].resolutions[r].bands[b], t.components[c].wide, every, h);
    }
    return J2K_OK;
}

/* Integral from 0 to u of the squared error of a quantiser of step 1 with midpoint reconstruction: below 1 a
 * value becomes 0. */
static double error_integral(double u) {
    if (u < 1)
        return u * u * u / 3;
    double whole = floor(u), f = u - whole - 0.5;
    return 1.0 / 3 + (whole - 1) / 12 + (f * f * f + 0.125) / 3;
}

static double quantiser_error(const histogram *h, double step) {
    double sum = 0;
    for (unsigned i = 0; i + 1 < NUM_BINS; i++) {
        if (h->bins[i] == 0)
            continue;
        double from = bin_edge(i) / step, to = bin_edge(i + 1) / step;
        double mean = to > 1e6 ? 1.0 / 12 : (error_integral(to) - error_integral(from)) / (to - from);
        sum += h->bins[i] * mean * step * step;
    }
    return sum;
}

j2k_status j2k_encode_choose_step(encoder *e, double squared_error, double *step) {
    histogram *h = ARENA_ALLOC_ZERO(&e->context->memory, histogram, 1);
    RETURN_IF(!h, J2K_ERROR_MEMORY);
    TRY(count_tiles(e, h));
    double low = -20, high = 20; /* log2 */
    while (high - low > 1e-3) {
        double middle = (low + high) / 2;
        if (quantiser_error(h, exp2(middle)) <= squared_error)
            low = middle;
        else
            high = middle;
    }
    /* With a coarser step than the largest coefficient nothing is left, whatever the estimate says of that.
     */
    unsigned top = NUM_BINS - 2;
    while (top > 0 && h->bins[top] == 0)
        top--;
    *step = top > 0 ? fmin(exp2(low), bin_edge(top + 1)) : exp2(low);
    return J2K_OK;
}

/* Finer steps change no sample any more; and of deep samples they would need more bit-planes than there are.
 */
double j2k_encode_finest_step(const encoder *e) {
    unsigned depth = 0;
    for (uint32_t c = 0; c < e->image->num_components; c++)
        depth = max_u32(depth, e->image->components[c].depth);
    return ldexp(1, depth > 21 ? (int)depth - 26 : -5);
}

/* Bits that a quantiser of this step leaves to code: a coefficient that is not zero takes a nearly constant
 * number of them for its place and sign (He and Mitra, "Optimum bit allocation and accurate rate control for
 * video coding via rho-domain source modeling", 2002), and one more for each further octave of its magnitude.
 */
static double quantised_bits(const histogram *h, double step) {
    static const double FIRST_BITS = 4.6;
    double bits = 0;
    for (unsigned i = bin_of_value((float)step); i + 1 < NUM_BINS; i++)
        if (h->bins[i] != 0)
            bits += h->bins[i] * (FIRST_BITS + fmax(log2(bin_edge(i) / step), 0));
    return bits;
}

j2k_status j2k_encode_guess_step(encoder *e, double bytes, double *step) {
    histogram *h = ARENA_ALLOC_ZERO(&e->context->memory, histogram, 1);
    RETURN_IF(!h, J2K_ERROR_MEMORY);
    TRY(count_tiles(e, h));
    double low = -20, high = 20; /* log2 */
    while (high - low > 1e-2) {
        double middle = (low + high) / 2;
        if (quantised_bits(h, exp2(middle)) > 8 * bytes)
            low = middle;
        else
            high = middle;
    }
    /* Where most coefficients are coded, their zeros cost something too. */
    double bits = 8 * bytes / (double)e->num_samples;
    *step = exp2(high) * 1.06 / (1 + 0.13 * bits);
    return J2K_OK;
}
