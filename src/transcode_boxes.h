/* The boxes of a JP2 or JPH file around another codestream.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef J2K_TRANSCODE_BOXES_H
#define J2K_TRANSCODE_BOXES_H

#include "jp2.h"

/* Write all boxes up to the codestream's: those of the file, with the brand of `format` in ftyp, or new ones
 * when it is a bare codestream. Returns the offset of the jp2c box. */
size_t j2k_boxes_begin(byte_sink *sink, const jp2_file *file, const codestream *cs, j2k_format format);

/* End the jp2c box and write the boxes that follow it. The only error is UNSUPPORTED: a codestream of 4 GiB
 * with boxes behind it. */
j2k_status j2k_boxes_end(byte_sink *sink, const jp2_file *file, size_t jp2c_offset, diagnostics *diag);

#endif
