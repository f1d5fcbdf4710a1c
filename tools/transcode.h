/* j2k transcode: rewrite a JPEG 2000 file without decoding it to samples.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef TRANSCODE_H
#define TRANSCODE_H

/* The arguments behind "transcode". Returns the program's exit status. */
int transcode_main(int argc, char **argv);

#endif
