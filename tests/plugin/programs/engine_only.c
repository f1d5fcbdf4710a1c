/* The engine alone, as -lblosc2_grok offers it: encode, read the header, decode.
 * SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "j2k.h"

int main(void) {
    static unsigned char in[50 * 60], out[50 * 60], data[10000];
    for (unsigned i = 0; i < sizeof in; i++)
        in[i] = (unsigned char)(i / 60 + i % 60);
    j2k_component component;
    memset(&component, 0, sizeof component);
    component.data = in;
    component.row_stride = 60;
    component.sample_step = 1;
    component.depth = 8;
    component.dx = component.dy = 1;
    component.width = 60;
    component.height = 50;
    j2k_image image = {0, 0, 60, 50, 1, &component, J2K_COLOUR_GREY};
    j2k_encode_options options;
    j2k_encode_options_init(&options);
    j2k_context *context = j2k_context_create(1, J2K_CPU_ALL);
    size_t size;
    if (j2k_encode(context, &image, &options, data, sizeof data, &size) != J2K_OK)
        return 1;
    j2k_header header;
    memset(&header, 0, sizeof header);
    header.struct_size = sizeof header;
    if (j2k_read_header(context, data, size, NULL, &header) != J2K_OK || header.components[0].width != 60)
        return 2;
    component.data = out;
    if (j2k_decode(context, data, size, NULL, &image) != J2K_OK)
        return 3;
    j2k_context_destroy(context);
    puts(memcmp(in, out, sizeof in) == 0 ? "same" : "different");
    return 0;
}
