/* Parameters of C programs written for Grok: grk_cparameters to the table's values.
 * SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#define BLOSC2_GROK_NO_BLOSC2
#include "blosc2_grok.h"
#include "params_table.h"

static j2k_status take_layers(params *p, const grk_cparameters *g, diagnosis *why) {
    if (!g->allocationByRateDistoration && !g->allocationByQuality)
        return J2K_OK;
    if (g->allocationByRateDistoration && g->allocationByQuality)
        return fail(why, J2K_ERROR_ARGUMENT,
                    "allocationByRateDistoration and allocationByQuality exclude each other");
    if (g->numlayers < 1 || g->numlayers > J2K_MAX_LAYERS)
        return fail(why, J2K_ERROR_ARGUMENT, "numlayers: %d is not allowed; allowed: 1 to %d", g->numlayers,
                    (int)J2K_MAX_LAYERS);
    p->quality_mode = g->allocationByQuality ? QUALITY_DB : QUALITY_RATES;
    p->num_quality_layers = g->numlayers;
    memcpy(p->quality_layers, g->allocationByQuality ? g->layer_distortion : g->layer_rate,
           g->numlayers * sizeof g->layer_rate[0]);
    return J2K_OK;
}

static j2k_status take_precincts(params *p, const grk_cparameters *g, diagnosis *why) {
    if (g->res_spec > J2K_MAX_RESOLUTIONS)
        return fail(why, J2K_ERROR_ARGUMENT, "res_spec: %u is not allowed; allowed: 0 to 33",
                    (unsigned)g->res_spec);
    for (uint32_t i = 0; i < g->res_spec; i++) {
        uint32_t width = g->prcw_init[i], height = g->prch_init[i];
        if (!is_power_of_two(width) || !is_power_of_two(height) || width > 32768 || height > 32768)
            return fail(why, J2K_ERROR_ARGUMENT,
                        "prcw_init, prch_init: %u x %u is not allowed; allowed: powers of two up to "
                        "32768",
                        (unsigned)width, (unsigned)height);
        p->precincts.count_and_values[1 + 2 * i] = width;
        p->precincts.count_and_values[2 + 2 * i] = height;
    }
    p->precincts.count_and_values[0] = g->res_spec;
    return J2K_OK;
}

static j2k_status refuse(const grk_cparameters *g, diagnosis *why) {
    if (g->signature != BLOSC2_GROK_CPARAMETERS_SIGNATURE)
        return fail(
            why, J2K_ERROR_ARGUMENT,
            "codec_params is not a blosc2_grok_params initialised with grk_compress_set_default_params "
            "(or the program was compiled against another grok.h)");
    if (g->numpocs)
        return fail(why, J2K_ERROR_UNSUPPORTED, "numpocs: progression order changes are not supported");
    if (g->mct_data || g->mct == 2)
        return fail(why, J2K_ERROR_UNSUPPORTED,
                    "mct: custom transforms are not supported; allowed: -1, 0 or 1");
    if (g->subsampling_dx > 1 || g->subsampling_dy > 1)
        return fail(why, J2K_ERROR_UNSUPPORTED, "subsampling_dx, subsampling_dy: only 1 is supported");
    uint8_t divider = g->newTilePartProgressionDivider;
    if (divider && divider != 'R' && divider != 'L' && divider != 'C')
        return fail(why, J2K_ERROR_ARGUMENT, "newTilePartProgressionDivider: allowed: 0, 'R', 'L' or 'C'");
    return J2K_OK;
}

static j2k_status take_comment(params *p, const grk_cparameters *g, diagnosis *why) {
    if (g->num_comments < 1 || !g->comment[0])
        return J2K_OK;
    if (g->num_comments > 1)
        return fail(why, J2K_ERROR_UNSUPPORTED, "num_comments: %zu is not supported; at most 1 is",
                    g->num_comments);
    if (g->is_binary_comment[0] || memchr(g->comment[0], 0, g->comment_len[0]))
        return fail(why, J2K_ERROR_UNSUPPORTED, "comment: binary comments are not supported");
    if (g->comment_len[0] >= sizeof p->comment)
        return fail(why, J2K_ERROR_ARGUMENT, "comment_len: %u is not allowed; allowed: 0 to %d",
                    (unsigned)g->comment_len[0], COMMENT_CAPACITY - 1);
    memcpy(p->comment, g->comment[0], g->comment_len[0]);
    p->comment[g->comment_len[0]] = 0;
    return J2K_OK;
}

j2k_status params_from_grok(params *p, const grk_cparameters *g, diagnosis *why) {
    j2k_status status = refuse(g, why);
    if (status != J2K_OK)
        return status;
    params_set_defaults(p);
    if (g->tile_size_on) {
        p->tile_size[0] = g->t_width;
        p->tile_size[1] = g->t_height;
    }
    p->tile_offset[0] = g->tx0;
    p->tile_offset[1] = g->ty0;
    p->sop = (g->csty & 2) != 0;
    p->eph = (g->csty & 4) != 0;
    p->numgbits = g->numgbits;
    p->progression = g->prog_order;
    p->num_resolutions = g->numresolution;
    p->codeblock_size[0] = g->cblockw_init;
    p->codeblock_size[1] = g->cblockh_init;
    p->mode = g->cblk_sty;
    p->irreversible = g->irreversible;
    p->roi_compno = g->roi_compno;
    p->roi_shift = g->roi_shift;
    p->offset[0] = g->image_offset_x0;
    p->offset[1] = g->image_offset_y0;
    p->decod_format = g->decod_format;
    p->cod_format = g->cod_format;
    if (g->enableTilePartGeneration)
        p->tile_parts = g->newTilePartProgressionDivider ? g->newTilePartProgressionDivider : 'R';
    p->mct = g->mct == 255 ? AUTOMATIC : g->mct;
    p->max_cs_size = (int64_t)(g->max_cs_size & INT64_MAX);
    p->max_comp_size = (int64_t)(g->max_comp_size & INT64_MAX);
    p->rsiz = g->rsiz;
    p->framerate = g->framerate;
    p->plt = g->writePLT;
    p->tlm = g->writeTLM;
    p->num_threads = g->numThreads;
    p->verbose = g->verbose;
    status = take_comment(p, g, why);
    if (status == J2K_OK)
        status = take_layers(p, g, why);
    if (status == J2K_OK)
        status = take_precincts(p, g, why);
    return status == J2K_OK ? params_check_rows(p, why) : status;
}
