/* Quality targets as bytes and as squared errors.
 * SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>

#include "encode.h"
#include "image.h"

double j2k_encode_layer_bytes(const encoder *e, uint32_t layer) {
    double bytes = floor((double)e->raw_bytes / e->options.layer_quality[layer]);
    return e->options.max_bytes ? fmin(bytes, (double)e->options.max_bytes) : bytes;
}

j2k_status j2k_encode_find_range(encoder *e) {
    int64_t low = INT64_MAX, high = INT64_MIN;
    for (uint32_t c = 0; c < e->image->num_components; c++) {
        const j2k_component *component = &e->image->components[c];
        int64_t middle = component->is_signed ? 0 : (int64_t)1 << (component->depth - 1);
        j2k_arena_reset(&e->context->work);
        int32_t *row = ARENA_ALLOC(&e->context->work, int32_t, component->width);
        RETURN_IF(!row, J2K_ERROR_MEMORY);
        for (uint32_t y = 0; y < component->height; y++) {
            j2k_load_row_int(e->context->dsp, component, 0, y, component->width, row);
            for (uint32_t x = 0; x < component->width; x++) {
                low = row[x] + middle < low ? row[x] + middle : low;
                high = row[x] + middle > high ? row[x] + middle : high;
            }
        }
    }
    e->range = fmax((double)(high - low), 1);
    return J2K_OK;
}

double j2k_encode_allowed_error(const encoder *e, double psnr) {
    double error = 0;
    for (uint32_t c = 0; c < e->image->num_components; c++) {
        const j2k_component *component = &e->image->components[c];
        double peak = e->range > 0 ? e->range : exp2(component->depth) - 1;
        error += peak * peak * (double)component->width * component->height;
    }
    return error * pow(10, -psnr / 10);
}

/* Squared error of a normally distributed value of this deviation after rounding to integers: the sum over k
 * of (2k + 1) times the probability of being rounded to more than k. */
static double rounded_error(double deviation) {
    double sum = 0;
    for (int k = 0; k < 64; k++) {
        double more = (2 * k + 1) * erfc((k + 0.5) / (deviation * 1.4142135623730951));
        sum += more;
        if (more < 1e-9 * sum)
            break;
    }
    return sum;
}

/* Large errors grow by the 1/12 a sample that rounding adds; small ones mostly vanish by it. */
double j2k_encode_wavelet_error(const encoder *e, double allowed) {
    double samples = (double)e->num_samples, target = allowed / samples;
    if (target > 16)
        return allowed - samples / 12;
    double low = 0.05, high = 5;
    for (int i = 0; i < 30; i++) {
        double middle = (low + high) / 2;
        if (rounded_error(middle) <= target)
            low = middle;
        else
            high = middle;
    }
    return low * low * samples;
}
