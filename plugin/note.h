/* What a stream says, in a COM segment of its own, of the array that it was made from.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef NOTE_H
#define NOTE_H

#include "floats.h"

/* The text is "blosc2-grok: " and then, each only where it is needed:
 *   byteorder=big (or little)           the array's byte order, when it is not that of the machine that coded
 * it dtype=float32                       NumPy's name, when depth and sign do not tell it values=ordered;
 * first=F             floats, see float_mapping values=scaled; first=F; step=M*2^E nonfinite=uuid a box of
 * type uuid behind the codestream has the mask all separated by "; ". */
typedef struct note {
    bool big_endian, little_endian;
    char dtype[16]; /* "": not said */
    float_map floats;
} note;

enum { NOTE_CAPACITY = 200 };

/* Write the text, "" when there is nothing to say. */
void note_format(const note *n, char text[NOTE_CAPACITY]);

/* Find and parse the note in the main header of a codestream. *n is all zero when there is none. CORRUPT when
 * it makes no sense, UNSUPPORTED when a later version wrote it. */
j2k_status note_read(const void *codestream, size_t size, note *n, diagnosis *why);

/* What the components say must agree with the dtype of a note: sign, and depth up to its size. The size in
 * bytes, 0 when they do not agree, or no dtype is noted. */
uint32_t note_sample_size(const note *n, const j2k_header *header);

/* Whether the array's byte order is not this machine's. */
bool note_swapped(const note *n);

#endif
