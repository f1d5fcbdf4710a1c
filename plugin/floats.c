/* Floating-point samples as the integers of an image, and back.
 * SPDX-License-Identifier: BSD-3-Clause */
#include <float.h>
#include <math.h>
#include <string.h>

#include "floats.h"

/* ---- bit patterns ---- */

/* IEEE 754 binary16 or binary32. */
typedef struct float_format {
    uint32_t size;          /* bytes */
    uint32_t mantissa_bits; /* stored ones */
    uint32_t sign;          /* the sign's bit */
    uint32_t infinity;      /* its pattern, and the mask of the exponent */
    int lowest;             /* exponent of the last place of subnormal numbers */
} float_format;

static const float_format binary16 = {2, 10, 0x8000, 0x7C00, -24};
static const float_format binary32 = {4, 23, 0x80000000, 0x7F800000, -149};

static const float_format *format_of(uint32_t sample_size) {
    return sample_size == 2 ? &binary16 : &binary32;
}

static uint32_t load_bits(const uint8_t *data, size_t index, uint32_t size, bool swapped) {
    if (size == 2) {
        uint16_t v;
        memcpy(&v, data + 2 * index, sizeof v);
        return swapped ? (uint16_t)(v >> 8 | v << 8) : v;
    }
    uint32_t v;
    memcpy(&v, data + 4 * index, sizeof v);
    return swapped ? v >> 24 | (v >> 8 & 0xFF00) | (v << 8 & 0xFF0000) | v << 24 : v;
}

static void store_bits(uint8_t *data, size_t index, uint32_t size, bool swapped, uint32_t bits) {
    if (size == 2) {
        uint16_t v = swapped ? (uint16_t)(bits >> 8 | bits << 8) : (uint16_t)bits;
        memcpy(data + 2 * index, &v, sizeof v);
        return;
    }
    uint32_t v = swapped ? bits >> 24 | (bits >> 8 & 0xFF00) | (bits << 8 & 0xFF0000) | bits << 24 : bits;
    memcpy(data + 4 * index, &v, sizeof v);
}

static bool is_finite(const float_format *f, uint32_t bits) {
    return (bits & f->infinity) != f->infinity;
}

/* Magnitude of a finite number: the integer returned times 2^*exponent. */
static uint32_t split(const float_format *f, uint32_t bits, int *exponent) {
    uint32_t fraction = bits & ((1u << f->mantissa_bits) - 1);
    uint32_t biased = (bits & f->infinity) >> f->mantissa_bits;
    *exponent = f->lowest + (biased ? (int)biased - 1 : 0);
    return biased ? fraction | 1u << f->mantissa_bits : fraction;
}

static double value_of(const float_format *f, uint32_t bits) {
    if (f->size == 4) {
        float v;
        memcpy(&v, &bits, sizeof v);
        return v;
    }
    int exponent;
    double magnitude = split(f, bits, &exponent);
    magnitude = ldexp(magnitude, exponent);
    return bits & f->sign ? -magnitude : magnitude;
}

/* The pattern nearest to a value, halves to even, of finite numbers only: lossy coding must not make an
 * infinity of the largest one. */
static uint32_t bits_of(const float_format *f, double value) {
    double magnitude = fabs(value);
    uint32_t sign = value < 0 ? f->sign : 0;
    if (f->size == 4) {
        if (!(magnitude <= FLT_MAX))
            return (f->infinity - 1) | sign;
        float v = (float)value;
        uint32_t bits;
        memcpy(&bits, &v, sizeof bits);
        return bits;
    }
    if (magnitude == 0)
        return 0;
    int exponent = 0;
    (void)frexp(magnitude, &exponent); /* magnitude is below 2^exponent, at least half of it */
    int last = exponent - 11 > f->lowest ? exponent - 11 : f->lowest;
    double places = nearbyint(ldexp(magnitude, -last)); /* of the last place of this binade: at most 2^11 */
    uint32_t bits = f->infinity - 1;
    if (places <= 2048 && last - f->lowest < 31) /* a carry into the next binade adds up */
        bits = ((uint32_t)(last - f->lowest) << f->mantissa_bits) + (uint32_t)places;
    return (bits < f->infinity ? bits : f->infinity - 1) | sign;
}

/* Patterns in the order of the numbers; -NaN comes first and NaN last. */
static uint32_t to_ordered(const float_format *f, uint32_t bits) {
    uint32_t all = f->sign | (f->sign - 1);
    return bits & f->sign ? ~bits & all : bits | f->sign;
}

static uint32_t from_ordered(const float_format *f, uint32_t pattern) {
    uint32_t all = f->sign | (f->sign - 1);
    return pattern & f->sign ? pattern & ~f->sign : ~pattern & all;
}

/* ---- looking at a block ---- */

typedef struct float_scan {
    uint64_t nonfinite;
    bool minus_zero;
    uint32_t lowest_pattern, highest_pattern; /* of all samples, in order */
    double lowest, highest;                   /* of the finite ones; lowest > highest when there is none */
    int last_place; /* all finite samples are multiples of 2 to this; INT32_MAX when all are zero */
} float_scan;

static void scan_finite(const float_format *f, uint32_t bits, float_scan *s) {
    int exponent;
    uint32_t magnitude = split(f, bits, &exponent);
    if (magnitude == 0) {
        s->minus_zero |= (bits & f->sign) != 0;
    } else if (exponent < s->last_place) {
        int gap = s->last_place > exponent + 31 ? 31 : s->last_place - exponent;
        if (s->last_place == INT32_MAX || (magnitude & ((1u << gap) - 1))) {
            for (; !(magnitude & 1); magnitude >>= 1)
                exponent++;
            if (exponent < s->last_place)
                s->last_place = exponent;
        }
    }
}

static void scan(const layout *l, const void *data, float_scan *s) {
    const float_format *f = format_of(l->sample_size);
    size_t count = layout_samples(l);
    *s = (float_scan){0, false, UINT32_MAX, 0, 0, 0, INT32_MAX};
    uint32_t low = UINT32_MAX, high = 0; /* patterns of finite samples */
    for (size_t i = 0; i < count; i++) {
        uint32_t bits = load_bits(data, i, f->size, l->byte_swapped), pattern = to_ordered(f, bits);
        s->lowest_pattern = pattern < s->lowest_pattern ? pattern : s->lowest_pattern;
        s->highest_pattern = pattern > s->highest_pattern ? pattern : s->highest_pattern;
        if (!is_finite(f, bits)) {
            s->nonfinite++;
            continue;
        }
        low = pattern < low ? pattern : low;
        high = pattern > high ? pattern : high;
        scan_finite(f, bits, s);
    }
    if (low <= high) {
        s->lowest = value_of(f, from_ordered(f, low));
        s->highest = value_of(f, from_ordered(f, high));
    }
}

static uint8_t bits_for(uint64_t largest) {
    uint8_t bits = 0;
    for (; largest; largest >>= 1)
        bits++;
    return bits;
}

/* A few bits more than needed cost nothing, and viewers like 8. */
static uint8_t depth_for(uint64_t largest) {
    uint8_t bits = bits_for(largest);
    return bits < 8 ? 8 : bits;
}

/* ---- mappings ---- */

static const double EXACT_INTEGERS = 4503599627370496.0; /* 2^52, so that halves can be added */

static double step_of(const float_map *map) {
    return ldexp((double)map->mantissa, map->exponent);
}

static void set_step(float_map *map, double step) {
    int exponent;
    int64_t mantissa = (int64_t)ldexp(frexp(step, &exponent), 53);
    exponent -= 53;
    for (; mantissa && !(mantissa & 1); mantissa /= 2)
        exponent++;
    map->mantissa = mantissa;
    map->exponent = exponent;
}

static int64_t nearest_multiple(double value, double step) {
    return (int64_t)floor(value / step + 0.5);
}

/* The mapping without loss that needs fewer bits: multiples of the last place that the numbers use, where
 * these show the picture as it is, or bit patterns. Returns the depth. */
static uint8_t lossless_map(const float_scan *s, float_map *map) {
    *map = (float_map){FLOATS_ORDERED, s->lowest_pattern, 0, 0, false};
    uint8_t depth = depth_for(s->highest_pattern - s->lowest_pattern);
    if (s->nonfinite || s->minus_zero)
        return depth;
    int place = s->last_place == INT32_MAX ? 0 : s->last_place;
    double low = ldexp(s->lowest, -place), high = ldexp(s->highest, -place);
    if (fabs(low) >= EXACT_INTEGERS || fabs(high) >= EXACT_INTEGERS || high - low > UINT32_MAX)
        return depth;
    uint8_t scaled_depth = depth_for((uint64_t)(high - low));
    if (scaled_depth > depth)
        return depth;
    *map = (float_map){FLOATS_SCALED, (int64_t)low, 1, place, false};
    return scaled_depth;
}

/* Multiples of a step from the lowest number to the highest one; false when these are too many. */
static bool scaled_map(const layout *l, const float_scan *s, double step, float_map *map, uint8_t *depth) {
    double low = s->lowest / step, high = s->highest / step;
    if (!(step >= DBL_MIN) || fabs(low) >= EXACT_INTEGERS || fabs(high) >= EXACT_INTEGERS)
        return false;
    *map = (float_map){FLOATS_SCALED, nearest_multiple(s->lowest, step), 0, 0, false};
    set_step(map, step);
    *depth = depth_for((uint64_t)(nearest_multiple(s->highest, step) - map->first));
    return *depth <= 8 * l->sample_size;
}

static int64_t sample_of(const float_map *map, double step, const float_format *f, uint32_t bits) {
    if (map->kind == FLOATS_ORDERED)
        return (int64_t)to_ordered(f, bits) - map->first;
    return nearest_multiple(value_of(f, bits), step) - map->first;
}

static uint32_t bits_of_sample(const float_map *map, double step, const float_format *f, int64_t sample) {
    if (map->kind == FLOATS_ORDERED)
        return from_ordered(f, (uint32_t)((uint64_t)map->first + (uint64_t)sample));
    return bits_of(f, (double)(map->first + sample) * step);
}

/* The largest and the root mean square difference that a mapping leaves. */
typedef struct map_error {
    double largest, root_mean_square;
} map_error;

static map_error measure(const layout *l, const float_map *map, const void *data) {
    const float_format *f = format_of(l->sample_size);
    double step = step_of(map), sum = 0, largest = 0;
    size_t count = layout_samples(l), finite = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits = load_bits(data, i, f->size, l->byte_swapped);
        if (!is_finite(f, bits))
            continue;
        uint32_t back = bits_of_sample(map, step, f, sample_of(map, step, f, bits));
        double error = fabs(value_of(f, back) - value_of(f, bits));
        largest = error > largest ? error : largest;
        sum += error * error;
        finite++;
    }
    return (map_error){largest, finite ? sqrt(sum / (double)finite) : 0};
}

void floats_to_integers(const layout *l, const float_map *map, const void *data, void *integers,
                        uint8_t *mask) {
    const float_format *f = format_of(l->sample_size);
    double step = step_of(map);
    size_t count = layout_samples(l);
    uint32_t before = 0;
    for (size_t i = 0; mask && i < count; i++) { /* what the first samples take, when they are not finite */
        uint32_t bits = load_bits(data, i, f->size, l->byte_swapped);
        if (is_finite(f, bits)) {
            before = (uint32_t)sample_of(map, step, f, bits);
            break;
        }
    }
    for (size_t i = 0; i < count; i++) {
        uint32_t bits = load_bits(data, i, f->size, l->byte_swapped);
        bool keep = !mask || is_finite(f, bits);
        if (keep)
            before = (uint32_t)sample_of(map, step, f, bits);
        store_bits(integers, i, f->size, false, before);
        if (mask)
            mask[i] = keep                              ? MASK_FINITE
                      : (bits & ~f->sign) > f->infinity ? MASK_NAN
                      : bits & f->sign                  ? MASK_MINUS_INFINITY
                                                        : MASK_INFINITY;
    }
}

void integers_to_floats(const float_map *map, uint32_t sample_size, bool swapped, void *samples, size_t count,
                        const uint8_t *mask) {
    const float_format *f = format_of(sample_size);
    const uint32_t quiet_nan = f->infinity | 1u << (f->mantissa_bits - 1);
    const uint32_t special[] = {0, quiet_nan, f->infinity, f->infinity | f->sign};
    double step = step_of(map);
    for (size_t i = 0; i < count; i++) {
        uint32_t sample = load_bits(samples, i, f->size, false);
        bool finite = !mask || mask[i] == MASK_FINITE || mask[i] > MASK_MINUS_INFINITY;
        store_bits(samples, i, f->size, swapped,
                   finite ? bits_of_sample(map, step, f, sample) : special[mask[i]]);
    }
}

/* ---- what is to be coded ---- */

/* Bits that span the range of a block so that they are no matter: 7 beyond what a PSNR resolves, 10 beyond
 * what a ratio leaves of the float's bits. 24 bits are what a float's fraction, and the 9/7 wavelet's, can
 * hold. */
static uint8_t wanted_depth(const layout *l, const params *p) {
    double most = l->sample_size == 2 ? 16 : 24, bits = most;
    double target = p->quality_mode == QUALITY_NONE ? 0 : p->quality_layers[p->num_quality_layers - 1];
    if (target > 0) /* 0: everything */
        bits = p->quality_mode == QUALITY_DB ? target / 6.02 + 7 : 8.0 * l->sample_size / target + 10;
    return (uint8_t)(bits < 12 ? 12 : bits > most ? most : ceil(bits));
}

/* The PSNRs that the integers must have so that the floats have theirs, whose peak is the range of the block,
 * when the errors of the mapping and of the coder are independent. False when the mapping alone takes all
 * that is allowed. */
static bool raise_targets(const float_scan *s, double map_rms, float_plan *plan) {
    params *coding = &plan->coding;
    double peak = ldexp(1, plan->depth) - 1, step = step_of(&plan->map);
    for (int64_t i = 0; i < coding->num_quality_layers; i++) {
        double target = coding->quality_layers[i];
        if (target <= 0) /* everything */
            continue;
        plan->allowed = (s->highest - s->lowest) * pow(10, -target / 20);
        if (!(plan->allowed > 1.01 * map_rms))
            return false;
        double rms = sqrt(plan->allowed * plan->allowed - map_rms * map_rms) / step;
        coding->quality_layers[i] = fmax(20 * log10(peak / rms), 0.1 * (double)(i + 1));
    }
    return true;
}

double floats_error(const layout *l, const void *data, const void *decoded, bool swapped) {
    const float_format *f = format_of(l->sample_size);
    size_t count = layout_samples(l), finite = 0;
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits = load_bits(data, i, f->size, l->byte_swapped);
        if (!is_finite(f, bits))
            continue;
        double error = value_of(f, load_bits(decoded, i, f->size, swapped)) - value_of(f, bits);
        sum += error * error;
        finite++;
    }
    return finite ? sqrt(sum / (double)finite) : 0;
}

/* Lossy coding of integers that span the range. False: a lossless mapping is no worse. */
static bool plan_range(const layout *l, const float_scan *s, const void *data, float_plan *plan) {
    double range = s->highest - s->lowest;
    uint8_t wanted = wanted_depth(l, &plan->coding);
    float_map exact;
    float_scan finite = *s;
    finite.nonfinite = 0;
    uint8_t exact_depth = lossless_map(&finite, &exact);
    if (!(range > 0))
        return false;
    double rms = 0;
    if (exact.kind == FLOATS_SCALED && exact_depth <= wanted) {
        plan->map = exact;
        plan->depth = exact_depth;
    } else {
        if (!scaled_map(l, s, range / (ldexp(1, wanted) - 2), &plan->map, &plan->depth))
            return false;
        rms = measure(l, &plan->map, data).root_mean_square;
    }
    return plan->coding.quality_mode != QUALITY_DB || raise_targets(s, rms, plan);
}

/* Integers that are coded without loss, none further from its number than the bound. False: a lossless
 * mapping is no worse. */
static bool plan_bound(const layout *l, const float_scan *s, const void *data, double bound,
                       float_plan *plan) {
    float_map exact;
    uint8_t exact_depth = lossless_map(s, &exact);
    /* Rounding to the dtype can add half a unit in the last place of the largest number. */
    int exponent;
    (void)frexp(fmax(fabs(s->lowest), fabs(s->highest)), &exponent);
    double unit = ldexp(1, exponent - (int)format_of(l->sample_size)->mantissa_bits - 1);
    const double steps[] = {2 * bound, 2 * bound - unit};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        if (!scaled_map(l, s, steps[i], &plan->map, &plan->depth) || plan->depth >= exact_depth)
            return false;
        if (measure(l, &plan->map, data).largest <= bound)
            return true;
    }
    return false;
}

j2k_status floats_plan(const layout *l, const params *p, const void *data, float_plan *plan, diagnosis *why) {
    float_scan s;
    scan(l, data, &s);
    memset(plan, 0, sizeof *plan);
    plan->coding = *p;
    double bound = params_max_error(p);
    bool lossy = params_lossy(p);
    if (p->quantization_step > 0)
        return fail(why, J2K_ERROR_UNSUPPORTED,
                    "quantization_step: not for floats, which are coded as integers on a scale of their own");
    if (lossy && s.nonfinite && p->nan_policy == NAN_REFUSE)
        return fail(
            why, J2K_ERROR_ARGUMENT,
            "nan: %llu values of a block are NaN or infinite, which lossy coding cannot keep; allowed: "
            "nan=mask, or lossless coding",
            (unsigned long long)s.nonfinite);
    if (bound > 0 ? plan_bound(l, &s, data, bound, plan) : lossy && plan_range(l, &s, data, plan)) {
        plan->map.masked = s.nonfinite > 0;
        if (bound > 0)
            params_make_lossless(&plan->coding);
        return J2K_OK;
    }
    plan->depth = lossless_map(&s, &plan->map);
    plan->allowed = 0;
    if (lossy)
        params_make_lossless(&plan->coding);
    return J2K_OK;
}
