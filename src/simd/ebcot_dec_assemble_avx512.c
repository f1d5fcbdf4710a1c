/* Bit-planes of a decoded code-block to integers, by transposing 8 x 8 bits at a time:
 * ebcot_dec_kernels.assemble for AVX-512. SPDX-License-Identifier: BSD-3-Clause */
#include "../ebcot_dec.h"

#if defined(__GNUC__) && defined(__x86_64__)
#include <immintrin.h>

#include "target_avx512.h"

/* Bytes of 16 bit-planes of a chunk, 4 each (a nibble a column): for each of 32 bytes of samples the bytes of
 * 8 planes, the highest first, as GF2P8AFFINEQB wants the rows of a matrix that it is to transpose. The same
 * for the other 8 planes. */
static const uint8_t planes_to_matrices[64] = {
    28, 24, 20, 16, 12, 8,  4,  0,  29, 25, 21, 17, 13, 9,  5,  1,  30, 26, 22, 18, 14, 10,
    6,  2,  31, 27, 23, 19, 15, 11, 7,  3,  60, 56, 52, 48, 44, 40, 36, 32, 61, 57, 53, 49,
    45, 41, 37, 33, 62, 58, 54, 50, 46, 42, 38, 34, 63, 59, 55, 51, 47, 43, 39, 35};

/* From there to 32-bit samples of two rows: byte 4 * column + row has bits 0 to 7 of a sample, 32 more bits 8
 * to 15, 64 and 96 more (of a second vector) the rest. */
static const uint8_t bytes_to_rows[64] = {0,  32, 64, 96,  4,  36, 68, 100, 8,  40, 72, 104, 12, 44, 76, 108,
                                          16, 48, 80, 112, 20, 52, 84, 116, 24, 56, 88, 120, 28, 60, 92, 124,
                                          1,  33, 65, 97,  5,  37, 69, 101, 9,  41, 73, 105, 13, 45, 77, 109,
                                          17, 49, 81, 113, 21, 53, 85, 117, 25, 57, 89, 121, 29, 61, 93, 125};

/* 16 planes, from `planes` on, of a chunk to bytes of samples. */
J2K_INLINE __m512i transpose(const uint32_t planes[16]) {
    __m512i x = _mm512_permutexvar_epi8(_mm512_loadu_si512(planes_to_matrices), _mm512_loadu_si512(planes));
    return _mm512_gf2p8affine_epi64_epi8(_mm512_set1_epi64((long long)0x8040201008040201), x, 0);
}

static void assemble(block_state *b, unsigned lowest, unsigned highest) {
    const size_t width = (size_t)b->chunks * CHUNK_COLUMNS;
    const __m512i rows = _mm512_loadu_si512(bytes_to_rows), two = _mm512_set1_epi8(2);
    uint32_t planes[32] = {0};
    for (unsigned stripe = 0; stripe < b->stripes; stripe++) {
        for (unsigned chunk = 0; chunk < b->chunks; chunk++) {
            size_t i = (size_t)(stripe + 1) * b->pitch + 1 + chunk;
            int32_t *out = b->samples + stripe * STRIPE_ROWS * width + chunk * CHUNK_COLUMNS;
            for (unsigned q = lowest; q <= highest; q++)
                planes[q] = (uint32_t)_pext_u64(b->planes[(size_t)q * b->slot + i], WINDOW_OWN);
            __m512i low = transpose(planes), high = _mm512_setzero_si512();
            if (highest >= 16)
                high = transpose(planes + 16);
            uint64_t negative = b->negative[i];
            for (unsigned row = 0; row < STRIPE_ROWS; row += 2, out += 2 * width) {
                __m512i index = row ? _mm512_add_epi8(rows, two) : rows;
                __m512i x = _mm512_permutex2var_epi8(low, index, high);
                __mmask16 minus = (__mmask16)(_pext_u64(negative >> (row + 1), WINDOW_OWN0) |
                                              _pext_u64(negative >> (row + 2), WINDOW_OWN0) << 8);
                x = _mm512_mask_sub_epi32(x, minus, _mm512_setzero_si512(), x);
                _mm256_storeu_si256((__m256i *)out, _mm512_castsi512_si256(x));
                _mm256_storeu_si256((__m256i *)(out + width), _mm512_extracti64x4_epi64(x, 1));
            }
        }
    }
}

void j2k_ebcot_dec_assemble_avx512(ebcot_dec_kernels *kernels) {
    kernels->assemble = assemble;
}

#include "target_end.h"

#else

void j2k_ebcot_dec_assemble_avx512(ebcot_dec_kernels *kernels) {
    (void)kernels;
}

#endif
