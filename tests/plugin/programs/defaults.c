/* Parameters of the process from C: blosc2_grok_set_default_params, the text form, errors. It needs Blosc2's
 * headers, not its library.
 * SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "blosc2_grok.h"
#include "j2k.h"

static const int64_t zero[2] = {0, 0};
static const int64_t block[2] = {32, 32};

static void set(char *mode, double target, int resolutions, char *progression) {
    blosc2_grok_set_default_params(zero, zero, mode ? 1 : 0, mode, &target, 2, progression, resolutions,
                                   block, 0, false, -1, 0, zero, zero, GRK_FMT_UNK, GRK_FMT_J2K, false, 0, 0,
                                   0, 0, 0, false, GRK_RATE_CONTROL_BISECT, 0, 0, 0, 1, false);
}

static void show(const char *what) {
    unsigned char image[64 * 64];
    char text[2000], error[500];
    void *data = NULL;
    size_t size = 0;
    int64_t shape[2] = {64, 64};
    for (unsigned i = 0; i < sizeof image; i++)
        image[i] = (unsigned char)(i % 64 * 3 + i / 64 * i % 7);
    int status = blosc2_grok_encode_array(image, "|u1", 2, shape, NULL, &data, &size, error, sizeof error);
    blosc2_grok_get_defaults(text, sizeof text);
    printf("%s|%d|%zu|%s|%s\n", what, status, size, status ? error : "", text);
    blosc2_grok_free(data);
}

int main(void) {
    blosc2_grok_parameter_info row;
    int rows = 0;
    while (blosc2_grok_parameter(rows, &row))
        rows++;
    printf("%s|%d|%d\n", j2k_version(), rows, blosc2_grok_parameter(-1, &row));
    char rates[] = "rates", lrcp[] = "LRCP", bad[] = "LCRP", odd[] = "loss";
    show("fresh");
    set(NULL, 0, 3, lrcp);
    show("set");
    set(rates, 10, 5, lrcp);
    show("rates");
    set(rates, 10, 99, lrcp);
    show("bad resolutions");
    set(NULL, 0, 5, bad);
    show("bad progression");
    set(odd, 10, 5, lrcp);
    show("bad mode");
    printf("%d\n", blosc2_grok_set_defaults("num_resolutions=2; codeblock_size=16,16"));
    show("text");
    printf("%d\n", blosc2_grok_set_defaults("num_resolutions=0"));
    char message[300];
    size_t length = blosc2_grok_last_error(message, sizeof message);
    printf("%d|%s\n", length == strlen(message), message);
    char small[8];
    printf("%d|%s\n", blosc2_grok_last_error(small, sizeof small) == length, small);
    blosc2_grok_init(3, false);
    show("init");
    printf("%d\n", blosc2_grok_set_defaults(NULL));
    show("reset");
    blosc2_grok_destroy();
    show("after destroy");
    return 0;
}
