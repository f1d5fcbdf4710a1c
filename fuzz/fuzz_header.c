/* Fuzz target: any bytes as headers, and everything that these point at.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "harness.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    j2k_context *context = j2k_context_create(1, 0);
    if (!context)
        return 0;
    for (int tolerant = 0; tolerant < 2; tolerant++) {
        j2k_decode_options options;
        fuzz_limits(&options);
        options.tolerant = tolerant;
        j2k_header header;
        memset(&header, 0, sizeof header);
        header.struct_size = sizeof header;
        j2k_status status = j2k_read_header(context, data, size, &options, &header);
        REQUIRE(status != J2K_ERROR_INTERNAL);
        REQUIRE((status == J2K_OK) == (j2k_context_message(context)[0] == 0));
        if (status != J2K_OK)
            continue;
        uint64_t samples = 0;
        for (uint32_t c = 0; c < header.num_components; c++) {
            const j2k_component_info *info = &header.components[c];
            REQUIRE(info->depth >= 1 && info->depth <= 38 && info->dx && info->dy);
            samples += (uint64_t)info->width * info->height;
        }
        REQUIRE(samples <= FUZZ_PIXELS);
        REQUIRE(header.codestream_offset <= size &&
                header.codestream_size <= size - header.codestream_offset);
        volatile unsigned sum = fuzz_touch(header.icc_profile, header.icc_profile_size) +
                                fuzz_touch(header.comment, header.comment_size) +
                                (unsigned)strlen(j2k_context_warning(context));
        (void)sum;
    }
    j2k_context_destroy(context);
    return 0;
}
