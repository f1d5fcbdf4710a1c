/* Reading and writing PGM, PPM, PGX and raw sample files as j2k_image views: file bytes are used in place.
 * SPDX-License-Identifier: BSD-3-Clause */
#ifndef IMAGE_FILE_H
#define IMAGE_FILE_H

#include "j2k.h"

#include <stdarg.h>

typedef enum image_kind {
    IMAGE_UNKNOWN = 0,
    IMAGE_PNM, /* PGM (P5) or PPM (P6), interleaved, big endian */
    IMAGE_PGX, /* one file a component: "PG ML|LM [+|-]depth width height" */
    IMAGE_RAW  /* samples only, 1, 2 or 4 bytes each */
} image_kind;

/* Layout of a raw file. */
typedef struct raw_layout {
    uint32_t width, height, num_components, depth;
    bool is_signed;
    bool big_endian;
    bool interleaved; /* component after component otherwise */
} raw_layout;

/* An image with the memory behind its components. */
typedef struct image_file {
    j2k_image image;
    void **buffers; /* what the components point into, in the form of the file */
    size_t *buffer_sizes;
    uint32_t num_buffers;
} image_file;

/* Print "j2k: ..." to stderr; always false. */
#if defined(__GNUC__)
__attribute__((format(printf, 1, 2)))
#endif
bool complain(const char *format, ...);

/* Kind by the extension of the name (.pgm .ppm .pnm .pgx .raw .rawl .bin); IMAGE_UNKNOWN for others. */
image_kind image_kind_of(const char *path);

/* Read a whole file ("-": standard input). *data belongs to the caller. */
bool read_file(const char *path, unsigned char **data, size_t *size);

/* Write a file under a temporary name and rename it when it is complete ("-": standard output). */
bool write_file(const char *path, const void *data, size_t size);

/* Read an image: one PNM or raw file, or one PGX file a component. subsampling holds (dx, dy) pairs for the
 * components, the last one standing for the rest; (x0, y0) is the image offset. raw is used for raw files. */
bool image_read(const char *const *paths, size_t num_paths, const raw_layout *raw, uint32_t (*subsampling)[2],
                size_t num_subsampling, uint32_t x0, uint32_t y0, image_file *file);

/* Prepare an image that takes what j2k_decode gives for the header, in the form that a file of the kind has.
 */
bool image_prepare(const j2k_header *header, image_kind kind, const raw_layout *raw, image_file *file);

/* Write the image to path; PGX with several components goes to NAME_0.pgx, NAME_1.pgx, ... */
bool image_write(const image_file *file, image_kind kind, const raw_layout *raw, const char *path);

void image_release(image_file *file);

#endif
