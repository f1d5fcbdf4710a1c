/* Profiles: what a codestream may be that claims to follow one (T.800 A.10).
 * SPDX-License-Identifier: BSD-3-Clause */
#include "profiles.h"

#include <stdio.h>
#include <string.h>

#include "geometry.h"

/* ---- the tables ---- */

typedef enum tile_rule {
    TILES_ANY,
    TILES_ONE,
    TILES_128,           /* one, or 128 x 128 */
    TILES_1024,          /* one, or square of at most 1024 samples of the least subsampled component */
    TILES_FOUR,          /* one or four equal ones, at most two across */
    TILES_1024_OR_LARGER /* one, or square with a side of 1024, 2048 or 4096 up to the profile's largest */
} tile_rule;

typedef enum sampling_rule {
    SAMPLING_ANY,
    SAMPLING_124,  /* 1, 2 or 4 */
    SAMPLING_NONE, /* no subsampling */
    SAMPLING_VIDEO /* 4:4:4, or 4:2:2 with the second and third component halved */
} sampling_rule;

enum { LEVELS_NONE, LEVELS_BROADCAST, LEVELS_IMF };
enum { ANY = -1 };

/* Fields that are 0, or ANY, do not constrain. */
typedef struct profile {
    uint16_t rsiz; /* without levels */
    const char *name;
    uint32_t max_width, max_height;
    uint8_t min_components, max_components;
    uint8_t min_depth, max_depth; /* unsigned ones */
    tile_rule tiles;
    uint32_t max_tile; /* TILES_1024_OR_LARGER */
    sampling_rule sampling;
    int8_t min_levels, max_levels; /* decompositions */
    bool small_ll;                 /* of a single tile at most 128 x 128 samples in the lowest resolution */
    bool one_layer;
    int8_t irreversible;
    uint8_t min_block, max_block_w, max_block_h; /* log2 */
    bool square_blocks;
    uint8_t styles; /* code-block styles allowed */
    bool video;     /* precincts 128 x 128 in the lowest resolution and 256 x 256 above, CPRL, a tile-part for
                       each component, TLM, no region of interest */
    bool no_offsets; /* image and tile grid begin at (0, 0) */
    uint8_t guard_bits;
    uint8_t levels; /* LEVELS_* */
} profile;

/* Tables A.45 (profiles 0 and 1), A.46 (digital cinema; guard bits as in the DCI specification, 4.4), A.48
 * (broadcast), A.51 and A.52 (IMF). Of the scalable cinema profiles only what they share with the others is
 * enforced; the profile for long-term storage is only signalled. */
#define PART_1_STYLES (J2K_STYLE_TERMALL | J2K_STYLE_PTERM | J2K_STYLE_SEGMENTATION)
#define CINEMA(rsiz_, name_, width, height, low, high, layer, guard)                                         \
    {                                                                                                        \
        .rsiz = rsiz_, .name = name_, .max_width = width, .max_height = height, .min_components = 3,         \
        .max_components = 3, .min_depth = 12, .max_depth = 12, .tiles = TILES_ONE,                           \
        .sampling = SAMPLING_NONE, .min_levels = low, .max_levels = high, .one_layer = layer,                \
        .irreversible = 1, .min_block = 5, .max_block_w = 5, .max_block_h = 5, .video = true,                \
        .no_offsets = true, .guard_bits = guard                                                              \
    }
#define BROADCAST(rsiz_, name_, tiles_, irreversible_)                                                       \
    {                                                                                                        \
        .rsiz = rsiz_, .name = name_, .min_components = 1, .max_components = 4, .min_depth = 8,              \
        .max_depth = 12, .tiles = tiles_, .sampling = SAMPLING_VIDEO, .min_levels = 1, .max_levels = 5,      \
        .one_layer = true, .irreversible = irreversible_, .min_block = 5, .max_block_w = 7,                  \
        .max_block_h = 6, .video = true, .no_offsets = true, .levels = LEVELS_BROADCAST                      \
    }
#define IMF(rsiz_, name_, width, height, levels_, tiles_, max_tile_, irreversible_)                          \
    {                                                                                                        \
        .rsiz = rsiz_, .name = name_, .max_width = width, .max_height = height, .min_components = 1,         \
        .max_components = 3, .min_depth = 8, .max_depth = 16, .tiles = tiles_, .max_tile = max_tile_,        \
        .sampling = SAMPLING_VIDEO, .min_levels = 1, .max_levels = levels_, .one_layer = true,               \
        .irreversible = irreversible_, .min_block = 5, .max_block_w = 5, .max_block_h = 5, .video = true,    \
        .no_offsets = true, .levels = LEVELS_IMF                                                             \
    }

enum {
    RSIZ_CINEMA_2K = 3,
    RSIZ_CINEMA_4K = 4,
    RSIZ_CINEMA_S4K = 6,
    RSIZ_BROADCAST_REVERSIBLE = 0x300,
    RSIZ_IMF = 0x400
};

static const profile profiles[] = {
    {.rsiz = 0x001,
     .name = "0",
     .tiles = TILES_128,
     .sampling = SAMPLING_124,
     .max_levels = 32,
     .small_ll = true,
     .irreversible = ANY,
     .min_block = 5,
     .max_block_w = 6,
     .max_block_h = 6,
     .square_blocks = true,
     .styles = PART_1_STYLES,
     .no_offsets = true},
    {.rsiz = 0x002,
     .name = "1",
     .tiles = TILES_1024,
     .max_levels = 32,
     .small_ll = true,
     .irreversible = ANY,
     .min_block = 2,
     .max_block_w = 6,
     .max_block_h = 6,
     .styles = PART_1_STYLES | J2K_STYLE_BYPASS | J2K_STYLE_RESET | J2K_STYLE_CAUSAL},
    CINEMA(RSIZ_CINEMA_2K, "Cinema 2K", 2048, 1080, 0, 5, true, 1),
    CINEMA(RSIZ_CINEMA_4K, "Cinema 4K", 4096, 2160, 1, 6, true, 2),
    CINEMA(0x005, "Scalable cinema 2K", 2048, 1080, 0, 5, false, 0),
    CINEMA(RSIZ_CINEMA_S4K, "Scalable cinema 4K", 4096, 2160, 1, 6, false, 0),
    BROADCAST(0x100, "Broadcast single tile", TILES_ONE, 1),
    BROADCAST(0x200, "Broadcast multi-tile", TILES_FOUR, 1),
    BROADCAST(RSIZ_BROADCAST_REVERSIBLE, "Broadcast multi-tile reversible", TILES_FOUR, 0),
    IMF(RSIZ_IMF, "IMF 2K", 2048, 1556, 5, TILES_ONE, 0, 1),
    IMF(0x500, "IMF 4K", 4096, 3112, 6, TILES_ONE, 0, 1),
    IMF(0x600, "IMF 8K", 8192, 6224, 7, TILES_ONE, 0, 1),
    IMF(0x700, "IMF 2K reversible", 2048, 1556, 5, TILES_1024_OR_LARGER, 1024, 0),
    IMF(0x800, "IMF 4K reversible", 4096, 3112, 6, TILES_1024_OR_LARGER, 2048, 0),
    IMF(0x900, "IMF 8K reversible", 8192, 6224, 7, TILES_1024_OR_LARGER, 4096, 0),
};

/* Tables A.49, A.50 and A.53, A.54: the most samples a second, in millions, and Mbit/s, by level. A broadcast
 * level gives both; of IMF the main level gives the first and the sublevel the second. */
enum { MAX_LEVEL = 11, MAX_SUBLEVEL = 9 };
static const uint16_t sample_rates[MAX_LEVEL + 1] = {0,    65,   130,  195,  260,   520,
                                                     1200, 2400, 4800, 9600, 19200, 38400};
static const uint16_t broadcast_rates[MAX_LEVEL + 1] = {0,    200,  200,  200,   400,   800,
                                                        1600, 3200, 6400, 12800, 25600, 51200};

static const profile *find_profile(uint16_t rsiz) {
    uint16_t base = rsiz < 0x100 ? rsiz : rsiz & 0xF00;
    for (size_t i = 0; i < sizeof profiles / sizeof profiles[0]; i++)
        if (profiles[i].rsiz == base)
            return &profiles[i];
    return NULL;
}

static unsigned main_level(uint16_t rsiz) {
    return rsiz & 15;
}
static unsigned sublevel(uint16_t rsiz) {
    return rsiz >= RSIZ_IMF ? rsiz >> 4 & 15 : 0;
}

void j2k_profile_describe(uint16_t rsiz, char *text, size_t capacity) {
    const profile *p = find_profile(rsiz);
    snprintf(text, capacity, "profile %s (rsiz %u)", p ? p->name : "", rsiz);
}

unsigned j2k_profile_guard_bits(uint16_t rsiz) {
    const profile *p = find_profile(rsiz);
    return p ? p->guard_bits : 0;
}

bool j2k_profile_fixes_precincts(uint16_t rsiz) {
    const profile *p = find_profile(rsiz);
    return p && p->video;
}

bool j2k_profile_splits_resolutions(uint16_t rsiz) {
    return rsiz == RSIZ_CINEMA_4K || rsiz == RSIZ_CINEMA_S4K;
}

/* Long-term storage: signalled only. */
static bool is_known(uint16_t rsiz) {
    return rsiz == 0 || rsiz == 7 || find_profile(rsiz);
}

/* ---- defaults ---- */

/* Decomposition levels that an IMF profile allows for a tile of this width (table A.52). */
static unsigned max_levels(const profile *p, uint32_t tile_width) {
    unsigned levels = (unsigned)p->max_levels;
    if (p->tiles != TILES_1024_OR_LARGER || !tile_width)
        return levels;
    for (uint32_t width = p->max_width; width > tile_width && width > 1024; width /= 2)
        levels--;
    return levels;
}

static uint32_t tile_width(const j2k_encode_options *o, uint32_t image_width) {
    return o->tile_width ? o->tile_width : image_width;
}

static unsigned log2_of(uint32_t v) {
    unsigned n = 0;
    while (v >>= 1)
        n++;
    return n;
}

j2k_status j2k_encode_options_set_profile(j2k_encode_options *o, uint16_t rsiz, uint32_t width,
                                          uint32_t height) {
    const profile *p = find_profile(rsiz);
    if (!is_known(rsiz))
        return J2K_ERROR_ARGUMENT;
    o->rsiz = rsiz;
    if (!p)
        return J2K_OK;
    uint32_t block_w = min_u32(log2_of(o->codeblock_width), p->max_block_w);
    uint32_t block_h = min_u32(log2_of(o->codeblock_height), p->max_block_h);
    o->codeblock_width = 1u << max_u32(block_w, p->min_block);
    o->codeblock_height = 1u << max_u32(block_h, p->min_block);
    o->num_resolutions = min_u32(o->num_resolutions, max_levels(p, tile_width(o, max_u32(width, 1))) + 1);
    while (p->small_ll && !o->tile_width && o->num_resolutions < J2K_MAX_RESOLUTIONS &&
           ceil_shift(max_u32(width, height), o->num_resolutions - 1) > 128)
        o->num_resolutions++;
    if (p->irreversible != ANY)
        o->irreversible = p->irreversible;
    if (p->guard_bits)
        o->guard_bits = p->guard_bits;
    if (p->video) {
        o->progression = J2K_CPRL;
        o->tile_parts = 'C';
        o->tlm = true;
    }
    return J2K_OK;
}

/* ---- limits ---- */

/* Digital cinema: 250 Mbit/s, of which one component may take 200 (DCI specification, 4.4). */
void j2k_profile_limits(const j2k_encode_options *o, uint64_t *bytes, uint64_t *component_bytes) {
    uint32_t rate = o->frame_rate;
    *bytes = *component_bytes = 0;
    if (o->rsiz == RSIZ_CINEMA_2K || o->rsiz == RSIZ_CINEMA_4K) {
        rate = rate ? rate : 24;
        *bytes = 31250000 / rate;
        *component_bytes = 25000000 / rate;
    } else if (rate && o->rsiz >= RSIZ_IMF && sublevel(o->rsiz)) {
        *bytes = (UINT64_C(25000000) << (sublevel(o->rsiz) - 1)) / rate;
    } else if (rate && o->rsiz >= 0x100 && o->rsiz < RSIZ_IMF) {
        *bytes = UINT64_C(125000) * broadcast_rates[main_level(o->rsiz)] / rate;
    }
}

/* ---- checks ---- */

typedef struct checker {
    const profile *p;
    const j2k_encode_options *o;
    const j2k_image *image; /* may be NULL */
    diagnostics *diag;
} checker;

#define REFUSE(...)                                                                                          \
    do {                                                                                                     \
        char what_[160];                                                                                     \
        snprintf(what_, sizeof what_, __VA_ARGS__);                                                          \
        return refuse(c, what_);                                                                             \
    } while (0)

static j2k_status refuse(const checker *c, const char *what) {
    char name[80];
    j2k_profile_describe(c->o->rsiz, name, sizeof name);
    return j2k_fail(c->diag, J2K_ERROR_ARGUMENT, "%s: %s", name, what);
}

static j2k_status check_levels(const checker *c) {
    unsigned rsiz = c->o->rsiz, level = main_level(c->o->rsiz), sub = sublevel(c->o->rsiz);
    if (c->p->levels == LEVELS_NONE)
        return J2K_OK;
    if (level > MAX_LEVEL || (rsiz < RSIZ_IMF && (rsiz & 0xF0)))
        REFUSE("rsiz: level %u is not in 0 to %d", rsiz & 0xFF, MAX_LEVEL);
    if (c->p->rsiz == RSIZ_BROADCAST_REVERSIBLE && level && level != 6 && level != 7)
        REFUSE("rsiz: level %u is not 6 or 7", level);
    unsigned most = level == 0 ? MAX_SUBLEVEL : level <= 3 ? 1 : level - 2; /* table A.53 */
    if (c->p->levels == LEVELS_IMF && sub > most)
        REFUSE("rsiz: sublevel %u is not in 0 to %u, as main level %u wants it", sub, most, level);
    return J2K_OK;
}

static j2k_status check_coding(const checker *c) {
    const profile *p = c->p;
    const j2k_encode_options *o = c->o;
    unsigned w = log2_of(o->codeblock_width), h = log2_of(o->codeblock_height);
    if (w < p->min_block || h < p->min_block || w > p->max_block_w || h > p->max_block_h ||
        (p->square_blocks && w != h))
        REFUSE("codeblock_size must be %s%u x %u to %u x %u, not %u x %u",
               p->square_blocks ? "square and " : "", 1u << p->min_block, 1u << p->min_block,
               1u << p->max_block_w, 1u << p->max_block_h, o->codeblock_width, o->codeblock_height);
    if (o->codeblock_style & ~(unsigned)p->styles)
        REFUSE("mode: code-block style %u is not allowed", o->codeblock_style & ~(unsigned)p->styles);
    bool lossless = o->quality == J2K_QUALITY_LOSSLESS && o->irreversible < 0;
    int irreversible = lossless ? 0 : o->irreversible < 0 ? 1 : o->irreversible;
    if (p->irreversible != ANY && irreversible != p->irreversible)
        REFUSE("irreversible must be %s: it has the %s wavelet only", p->irreversible ? "true" : "false",
               p->irreversible ? "9/7" : "5/3");
    if (p->one_layer && o->num_layers != 1)
        REFUSE("quality_layers: %u layers; one is allowed", o->num_layers);
    unsigned least = (unsigned)p->min_levels + 1u;
    unsigned most = max_levels(p, tile_width(o, c->image ? c->image->x1 : 0)) + 1;
    if (o->num_resolutions < least || o->num_resolutions > most)
        REFUSE("num_resolutions must be %u to %u, not %u", least, most, o->num_resolutions);
    if (p->guard_bits && o->guard_bits != p->guard_bits)
        REFUSE("numgbits: guard bits must be %u, not %u", p->guard_bits, o->guard_bits);
    return J2K_OK;
}

/* None given means those that the profile prescribes. */
static bool video_precincts(const j2k_encode_options *o) {
    for (uint32_t i = 0, w = 0, h = 0; o->num_precincts && i < o->num_resolutions; i++) {
        uint32_t wanted = i + 1 < o->num_resolutions ? 256 : 128;
        w = i < o->num_precincts ? o->precinct_width[i] : w / 2;
        h = i < o->num_precincts ? o->precinct_height[i] : h / 2;
        if (w != wanted || h != wanted)
            return false;
    }
    return true;
}

static j2k_status check_video(const checker *c) {
    static const char *const orders[] = {"LRCP", "RLCP", "RPCL", "PCRL", "CPRL"};
    const j2k_encode_options *o = c->o;
    if (!c->p->video)
        return J2K_OK;
    if (o->progression != J2K_CPRL)
        REFUSE("progression must be CPRL, not %s",
               (unsigned)o->progression <= J2K_CPRL ? orders[o->progression] : "unknown");
    if (o->num_changes)
        REFUSE("progression_changes are not allowed");
    if (!video_precincts(o))
        REFUSE("precinct_size must be 256 x 256, and 128 x 128 in the lowest resolution");
    if (o->tile_parts != 'C')
        REFUSE("enableTilePartGeneration must be C: a tile-part for each component");
    if (!o->tlm)
        REFUSE("write_tlm must be true");
    if (o->roi_component >= 0 || o->num_roi_rects || o->roi_mask)
        REFUSE("roi_compno, roi_rects: no region of interest is allowed");
    return J2K_OK;
}

static j2k_status check_frame_rate(const checker *c) {
    uint32_t rate = c->o->frame_rate;
    if (!rate)
        return J2K_OK;
    if (c->o->rsiz == RSIZ_CINEMA_2K && rate != 24 && rate != 25 && rate != 30 && rate != 48 && rate != 50 &&
        rate != 60)
        REFUSE("framerate must be 24, 25, 30, 48, 50 or 60, not %u", rate);
    if (c->o->rsiz == RSIZ_CINEMA_4K && rate != 24 && rate != 25 && rate != 30)
        REFUSE("framerate must be 24, 25 or 30, not %u", rate);
    return J2K_OK;
}

static j2k_status check_components(const checker *c) {
    const profile *p = c->p;
    const j2k_image *image = c->image;
    uint32_t n = image->num_components;
    if (p->max_components && (n < p->min_components || n > p->max_components))
        REFUSE("%u components; %u to %u are allowed", n, p->min_components, p->max_components);
    for (uint32_t i = 0; i < n; i++) {
        const j2k_component *component = &image->components[i];
        if (p->max_depth &&
            (component->is_signed || component->depth < p->min_depth || component->depth > p->max_depth))
            REFUSE("component %u has %u-bit %s samples; %u to %u bits, unsigned, are allowed", i,
                   component->depth, component->is_signed ? "signed" : "unsigned", p->min_depth,
                   p->max_depth);
        uint32_t dx = component->dx, dy = component->dy;
        bool halved = i > 0 && i < 3 && dx == 2 && dy == 1 && n > 2 && image->components[3 - i].dx == 2;
        bool fits = p->sampling == SAMPLING_ANY || (dx == 1 && dy == 1) ||
                    (p->sampling == SAMPLING_124 && (dx == 1 || dx == 2 || dx == 4) &&
                     (dy == 1 || dy == 2 || dy == 4)) ||
                    (p->sampling == SAMPLING_VIDEO && halved);
        if (!fits)
            REFUSE("component %u is subsampled by %u x %u", i, dx, dy);
    }
    return J2K_OK;
}

static j2k_status check_tiles(const checker *c) {
    const profile *p = c->p;
    const j2k_encode_options *o = c->o;
    const j2k_image *image = c->image;
    uint32_t w = o->tile_width, h = o->tile_height;
    bool one = !w || (w >= image->x1 - o->tile_x0 && h >= image->y1 - o->tile_y0);
    if (one && p->small_ll &&
        ceil_shift(max_u32(image->x1 - image->x0, image->y1 - image->y0), o->num_resolutions - 1) > 128)
        REFUSE("num_resolutions: with %u, the lowest resolution of a single tile is larger than 128 x 128",
               o->num_resolutions);
    if (one)
        return J2K_OK;
    uint32_t least = 255;
    for (uint32_t i = 0; i < image->num_components; i++)
        least = min_u32(least, min_u32(image->components[i].dx, image->components[i].dy));
    uint32_t across = ceil_div(image->x1, w), down = ceil_div(image->y1, h);
    switch (p->tiles) {
    case TILES_ANY:
        return J2K_OK;
    case TILES_ONE:
        REFUSE("tile_size %u x %u: one tile is allowed", w, h);
    case TILES_128:
        if (w != 128 || h != 128)
            REFUSE("tile_size must be 128 x 128, or one tile, not %u x %u", w, h);
        return J2K_OK;
    case TILES_1024:
        if (w != h || w / least > 1024)
            REFUSE("tile_size must be square and at most 1024 x 1024, or one tile, not %u x %u", w, h);
        return J2K_OK;
    case TILES_FOUR:
        if (across > 2 || across * down != 4 || image->x1 % across || image->y1 % down)
            REFUSE("tile_size %u x %u: one tile or four of equal size are allowed", w, h);
        return J2K_OK;
    case TILES_1024_OR_LARGER:
        if (w != h || w < 1024 || w > p->max_tile || (w & (w - 1)))
            REFUSE("tile_size must be square with a side of 1024 to %u, a power of two, or one tile, not "
                   "%u x %u",
                   p->max_tile, w, h);
        return J2K_OK;
    }
    return J2K_OK;
}

static j2k_status check_image(const checker *c) {
    const profile *p = c->p;
    const j2k_encode_options *o = c->o;
    const j2k_image *image = c->image;
    if (p->no_offsets && (image->x0 || image->y0 || (o->tile_width && (o->tile_x0 || o->tile_y0))))
        REFUSE("offset, tile_offset: image and tiles must begin at (0, 0)");
    if (image->x1 > INT32_MAX || image->y1 > INT32_MAX)
        REFUSE("the image is too large");
    if (p->max_width && (image->x1 > p->max_width || image->y1 > p->max_height))
        REFUSE("an image of %u x %u; at most %u x %u is allowed", image->x1, image->y1, p->max_width,
               p->max_height);
    if (p->min_levels > 0 && max_u32(image->x1, image->y1) < 2)
        REFUSE("an image of %u x %u has no lower resolution", image->x1, image->y1);
    TRY(check_components(c));
    TRY(check_tiles(c));
    double samples = 0;
    for (uint32_t i = 0; i < image->num_components; i++)
        samples += (double)image->components[i].width * image->components[i].height;
    unsigned most = p->levels ? sample_rates[main_level(o->rsiz)] : 0;
    if (o->frame_rate && most && samples * o->frame_rate > 1e6 * most)
        REFUSE("framerate %u makes %.1f million samples a second; level %u allows %u", o->frame_rate,
               samples * o->frame_rate / 1e6, main_level(o->rsiz), most);
    return J2K_OK;
}

j2k_status j2k_profile_check(const j2k_encode_options *options, const j2k_image *image, diagnostics *diag) {
    checker checker = {find_profile(options->rsiz), options, image, diag};
    if (!is_known(options->rsiz))
        return j2k_fail(diag, J2K_ERROR_ARGUMENT, "rsiz %u is no profile of Part 1", options->rsiz);
    if (!checker.p)
        return J2K_OK;
    TRY(check_levels(&checker));
    TRY(check_coding(&checker));
    TRY(check_video(&checker));
    TRY(check_frame_rate(&checker));
    return image ? check_image(&checker) : J2K_OK;
}

j2k_status j2k_check_profile(const j2k_encode_options *options, const j2k_image *image, char *message,
                             size_t capacity) {
    diagnostics diag = {0};
    j2k_status status = j2k_profile_check(options, image, &diag);
    if (message && capacity)
        snprintf(message, capacity, "%s", status == J2K_OK ? "" : diag.message);
    return status;
}
