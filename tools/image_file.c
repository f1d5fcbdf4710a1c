/* Reading and writing PGM, PPM, PGX and raw sample files as j2k_image views: file bytes are used in place.
 * SPDX-License-Identifier: BSD-3-Clause */
#include "image_file.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(_WIN32)
#include <fcntl.h>
#include <io.h>
#endif

bool complain(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("j2k: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return false;
}

static bool has_extension(const char *path, const char *extension) {
    size_t n = strlen(path), m = strlen(extension);
    if (n < m)
        return false;
    for (size_t i = 0; i < m; i++)
        if (tolower((unsigned char)path[n - m + i]) != extension[i])
            return false;
    return true;
}

image_kind image_kind_of(const char *path) {
    static const struct {
        const char *extension;
        image_kind kind;
    } table[] = {{".pgm", IMAGE_PNM}, {".ppm", IMAGE_PNM},  {".pnm", IMAGE_PNM}, {".pgx", IMAGE_PGX},
                 {".raw", IMAGE_RAW}, {".rawl", IMAGE_RAW}, {".bin", IMAGE_RAW}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (has_extension(path, table[i].extension))
            return table[i].kind;
    return IMAGE_UNKNOWN;
}

static bool host_is_big_endian(void) {
    const uint16_t one = 1;
    unsigned char first;
    memcpy(&first, &one, 1);
    return first == 0;
}

/* ---- whole files
 * ------------------------------------------------------------------------------------------------ */

static void use_binary_mode(FILE *stream) {
#if defined(_WIN32)
    _setmode(_fileno(stream), _O_BINARY);
#else
    (void)stream;
#endif
}

bool read_file(const char *path, unsigned char **data, size_t *size) {
    bool standard = strcmp(path, "-") == 0;
    FILE *stream = standard ? stdin : fopen(path, "rb");
    size_t capacity = 0, used = 0;
    unsigned char *buffer = NULL;
    if (stream == NULL)
        return complain("%s: %s", path, strerror(errno));
    if (standard)
        use_binary_mode(stdin);
    for (;;) {
        if (used == capacity) {
            size_t larger = capacity == 0 ? 65536 : capacity * 2;
            unsigned char *grown = larger > capacity ? realloc(buffer, larger) : NULL;
            if (grown == NULL) {
                complain("%s: out of memory", path);
                goto fail;
            }
            buffer = grown;
            capacity = larger;
        }
        size_t got = fread(buffer + used, 1, capacity - used, stream);
        used += got;
        if (got == 0)
            break;
    }
    if (ferror(stream)) {
        complain("%s: %s", path, strerror(errno));
        goto fail;
    }
    if (!standard)
        fclose(stream);
    /* Shrink to the exact size, so that tools which watch memory see any access past the end. */
    unsigned char *exact = realloc(buffer, used > 0 ? used : 1);
    *data = exact != NULL ? exact : buffer;
    *size = used;
    return true;
fail:
    if (!standard)
        fclose(stream);
    free(buffer);
    return false;
}

/* A header, if any, and the samples; both under a temporary name until everything is written. */
static bool write_parts(const char *path, const char *header, const void *data, size_t size) {
    size_t header_size = strlen(header);
    bool standard = strcmp(path, "-") == 0;
    char *temporary = malloc(strlen(path) + 10);
    if (temporary == NULL)
        return complain("out of memory");
    sprintf(temporary, "%s.partial", path);
    FILE *stream = standard ? stdout : fopen(temporary, "wb");
    if (standard)
        use_binary_mode(stdout);
    bool ok = stream != NULL && fwrite(header, 1, header_size, stream) == header_size &&
              (size == 0 || fwrite(data, 1, size, stream) == size) && fflush(stream) == 0;
    int code = errno;
    if (stream != NULL && !standard) {
        if (fclose(stream) != 0 && ok) {
            ok = false;
            code = errno;
        }
#if defined(_WIN32)
        if (ok)
            remove(path); /* rename does not replace there */
#endif
        if (ok && rename(temporary, path) != 0) {
            ok = false;
            code = errno;
        }
        if (!ok)
            remove(temporary);
    }
    free(temporary);
    return ok ? true : complain("%s: cannot write: %s", path, strerror(code));
}

bool write_file(const char *path, const void *data, size_t size) {
    return write_parts(path, "", data, size);
}

/* ---- memory
 * ----------------------------------------------------------------------------------------------------- */

void image_release(image_file *file) {
    for (uint32_t i = 0; i < file->num_buffers; i++)
        free(file->buffers[i]);
    free(file->buffers);
    free(file->buffer_sizes);
    free(file->image.components);
    memset(file, 0, sizeof *file);
}

static bool image_reserve(image_file *file, uint32_t num_components, uint32_t num_buffers) {
    memset(file, 0, sizeof *file);
    file->image.components = calloc(num_components, sizeof *file->image.components);
    file->buffers = calloc(num_buffers, sizeof *file->buffers);
    file->buffer_sizes = calloc(num_buffers, sizeof *file->buffer_sizes);
    if (file->image.components == NULL || file->buffers == NULL || file->buffer_sizes == NULL) {
        image_release(file);
        return complain("out of memory");
    }
    file->image.num_components = num_components;
    file->num_buffers = num_buffers;
    return true;
}

static uint32_t bytes_of_depth(uint32_t depth) {
    return depth <= 8 ? 1 : depth <= 16 ? 2 : 4;
}

static j2k_sample_type type_of(uint32_t bytes, bool is_signed) {
    if (bytes == 1)
        return is_signed ? J2K_INT8 : J2K_UINT8;
    if (bytes == 2)
        return is_signed ? J2K_INT16 : J2K_UINT16;
    return is_signed ? J2K_INT32 : J2K_UINT32;
}

/* Describe samples of a file's memory; step and stride are set by the caller. */
static void describe(j2k_component *component, uint32_t width, uint32_t height, uint32_t depth,
                     bool is_signed, bool big_endian) {
    uint32_t bytes = bytes_of_depth(depth);
    component->type = type_of(bytes, is_signed);
    component->byte_swapped = bytes > 1 && big_endian != host_is_big_endian();
    component->is_signed = is_signed;
    component->depth = (uint8_t)depth;
    component->dx = component->dy = 1;
    component->width = width;
    component->height = height;
    component->sample_step = (ptrdiff_t)bytes;
    component->row_stride = (ptrdiff_t)bytes * (ptrdiff_t)width;
}

/* width * height * each, or false when that does not fit. */
static bool checked_size(uint64_t width, uint64_t height, uint64_t each, size_t *size) {
    if (width != 0 && height > UINT64_MAX / width)
        return false;
    if (width * height != 0 && each > (uint64_t)PTRDIFF_MAX / (width * height))
        return false;
    *size = (size_t)(width * height * each);
    return true;
}

/* ---- readers
 * ---------------------------------------------------------------------------------------------------- */

/* Cursor over the text header of a PNM or PGX file. */
typedef struct cursor {
    const unsigned char *at, *end;
} cursor;

static bool read_number(cursor *c, bool comments, uint32_t *value) {
    while (c->at < c->end && (isspace(*c->at) || (comments && *c->at == '#'))) {
        if (*c->at == '#')
            while (c->at < c->end && *c->at != '\n')
                c->at++;
        else
            c->at++;
    }
    uint64_t number = 0;
    const unsigned char *start = c->at;
    while (c->at < c->end && isdigit(*c->at) && number <= UINT32_MAX)
        number = number * 10 + (uint64_t)(*c->at++ - '0');
    *value = (uint32_t)number;
    return c->at > start && number <= UINT32_MAX;
}

static uint32_t bits_of(uint32_t value) {
    uint32_t bits = 0;
    for (; value != 0; value >>= 1)
        bits++;
    return bits;
}

static bool parse_pnm(const char *path, image_file *file) {
    unsigned char *data = file->buffers[0];
    size_t size = file->buffer_sizes[0], need;
    cursor c = {data + 2, data + size};
    uint32_t width, height, maximum;
    if (size < 2 || data[0] != 'P' || (data[1] != '5' && data[1] != '6'))
        return complain("%s: not a binary PGM (P5) or PPM (P6) file", path);
    uint32_t channels = data[1] == '6' ? 3 : 1;
    if (!read_number(&c, true, &width) || !read_number(&c, true, &height) ||
        !read_number(&c, true, &maximum) || c.at >= c.end || width == 0 || height == 0 || maximum == 0 ||
        maximum > 65535)
        return complain("%s: bad PNM header", path);
    c.at++; /* the single white-space character after the maximum */
    uint32_t depth = bits_of(maximum), bytes = bytes_of_depth(depth);
    if (!checked_size(width, height, (uint64_t)channels * bytes, &need) || (size_t)(c.end - c.at) < need)
        return complain("%s: the file ends before its %" PRIu32 " x %" PRIu32 " samples", path, width,
                        height);
    file->image.num_components = channels;
    for (uint32_t i = 0; i < channels; i++) {
        j2k_component *component = &file->image.components[i];
        describe(component, width, height, depth, false, true);
        component->data = data + (c.at - data) + (size_t)i * bytes;
        component->sample_step = (ptrdiff_t)(channels * bytes);
        component->row_stride = component->sample_step * (ptrdiff_t)width;
    }
    return true;
}

static bool parse_pgx(const char *path, image_file *file, uint32_t index) {
    unsigned char *data = file->buffers[index];
    size_t size = file->buffer_sizes[index], need;
    uint32_t depth, width, height;
    bool is_signed = false;
    if (size < 6 || data[0] != 'P' || data[1] != 'G')
        return complain("%s: not a PGX file", path);
    cursor c = {data + 2, data + size};
    while (c.at < c.end && *c.at == ' ')
        c.at++;
    if (c.end - c.at < 2 || !((c.at[0] == 'M' && c.at[1] == 'L') || (c.at[0] == 'L' && c.at[1] == 'M')))
        return complain("%s: bad PGX byte order", path);
    bool big_endian = c.at[0] == 'M';
    c.at += 2;
    while (c.at < c.end && (*c.at == ' ' || *c.at == '+' || *c.at == '-'))
        is_signed = *c.at++ == '-' || is_signed;
    if (!read_number(&c, false, &depth) || !read_number(&c, false, &width) ||
        !read_number(&c, false, &height) || depth == 0 || depth > 32 || width == 0 || height == 0)
        return complain("%s: bad PGX header", path);
    if (c.at < c.end && *c.at == '\r')
        c.at++;
    if (c.at < c.end)
        c.at++;
    if (!checked_size(width, height, bytes_of_depth(depth), &need) || (size_t)(c.end - c.at) < need)
        return complain("%s: the file ends before its %" PRIu32 " x %" PRIu32 " samples", path, width,
                        height);
    describe(&file->image.components[index], width, height, depth, is_signed, big_endian);
    file->image.components[index].data = data + (c.at - data);
    return true;
}

/* Point the components at their places in one buffer of raw samples. */
static void place_raw(image_file *file, const raw_layout *raw, uint32_t width, uint32_t height,
                      uint32_t depth, bool is_signed) {
    uint32_t bytes = bytes_of_depth(depth), n = file->image.num_components;
    size_t plane = (size_t)width * height * bytes;
    for (uint32_t i = 0; i < n; i++) {
        j2k_component *component = &file->image.components[i];
        describe(component, width, height, depth, is_signed, raw->big_endian);
        component->data =
            (unsigned char *)file->buffers[0] + (raw->interleaved ? (size_t)i * bytes : i * plane);
        if (raw->interleaved) {
            component->sample_step = (ptrdiff_t)bytes * (ptrdiff_t)n;
            component->row_stride = component->sample_step * (ptrdiff_t)width;
        }
    }
}

static bool parse_raw(const char *path, const raw_layout *raw, image_file *file) {
    size_t need = 0;
    if (raw->width == 0)
        return complain("%s: raw input needs --raw WIDTH,HEIGHT,COMPONENTS,DEPTH,u|s", path);
    if (!checked_size(raw->width, raw->height, (uint64_t)raw->num_components * bytes_of_depth(raw->depth),
                      &need))
        return complain("%s: --raw describes too large an image", path);
    if (file->buffer_sizes[0] != need)
        return complain("%s: %zu bytes, but --raw describes %zu", path, file->buffer_sizes[0], need);
    place_raw(file, raw, raw->width, raw->height, raw->depth, raw->is_signed);
    return true;
}

/* The samples must fit the depth; the engine trusts its caller in that. */
static bool check_range(const char *path, const j2k_component *c) {
    uint32_t bytes = bytes_of_depth(c->depth), unused = bytes * 8 - c->depth;
    for (uint32_t y = 0; unused > 0 && y < c->height; y++) {
        const unsigned char *row = (const unsigned char *)c->data + (ptrdiff_t)y * c->row_stride;
        for (uint32_t x = 0; x < c->width; x++) {
            const unsigned char *p = row + (ptrdiff_t)x * c->sample_step;
            bool big = c->byte_swapped != host_is_big_endian();
            uint32_t value = 0;
            for (uint32_t b = 0; b < bytes; b++)
                value = value << 8 | p[big ? b : bytes - 1 - b];
            uint32_t high = c->is_signed ? value >> (c->depth - 1) : value >> c->depth;
            uint32_t ones = (c->is_signed ? UINT32_MAX >> (32 - bytes * 8) >> (c->depth - 1) : 0);
            if (high != 0 && (high != ones || !c->is_signed))
                return complain("%s: the sample at column %" PRIu32 ", row %" PRIu32 " does not fit %u bits",
                                path, x, y, (unsigned)c->depth);
        }
    }
    return true;
}

/* Find the far edge of the reference grid on one axis: component i has n = ceil(x1 / d) - ceil(x0 / d)
 * samples, so x1 lies in ((k - 1) d, k d] with k = ceil(x0 / d) + n. The largest x1 that suits every
 * component is taken. */
static bool grid_edge(const j2k_image *image, bool vertical, uint32_t origin, uint32_t *edge) {
    uint64_t low = 0, high = UINT32_MAX;
    for (uint32_t i = 0; i < image->num_components; i++) {
        const j2k_component *c = &image->components[i];
        uint64_t d = vertical ? c->dy : c->dx, n = vertical ? c->height : c->width;
        uint64_t k = ((uint64_t)origin + d - 1) / d + n;
        if ((k - 1) * d + 1 > low)
            low = (k - 1) * d + 1;
        if (k * d < high)
            high = k * d;
    }
    *edge = (uint32_t)high;
    return low <= high && high > origin;
}

bool image_read(const char *const *paths, size_t num_paths, const raw_layout *raw, uint32_t (*subsampling)[2],
                size_t num_subsampling, uint32_t x0, uint32_t y0, image_file *file) {
    image_kind kind = image_kind_of(paths[0]);
    if (kind == IMAGE_UNKNOWN && raw->width != 0)
        kind = IMAGE_RAW;
    if (kind == IMAGE_UNKNOWN)
        return complain("%s: unknown kind of image (known: .pgm .ppm .pgx .raw)", paths[0]);
    if (num_paths > 1 && kind != IMAGE_PGX)
        return complain("several input files must all be PGX, one a component");
    if (num_paths > J2K_MAX_COMPONENTS)
        return complain("too many input files");
    uint32_t count = kind == IMAGE_RAW ? raw->num_components : kind == IMAGE_PNM ? 3 : (uint32_t)num_paths;
    if (!image_reserve(file, count > 0 ? count : 1, (uint32_t)num_paths))
        return false;
    for (uint32_t i = 0; i < (uint32_t)num_paths; i++) {
        unsigned char *data;
        if (kind == IMAGE_PGX && image_kind_of(paths[i]) != IMAGE_PGX) {
            complain("several input files must all be PGX, one a component");
            goto fail;
        }
        if (!read_file(paths[i], &data, &file->buffer_sizes[i]))
            goto fail;
        file->buffers[i] = data;
        if (!(kind == IMAGE_PNM   ? parse_pnm(paths[i], file)
              : kind == IMAGE_PGX ? parse_pgx(paths[i], file, i)
                                  : parse_raw(paths[i], raw, file)))
            goto fail;
    }
    for (uint32_t i = 0; i < file->image.num_components; i++) {
        j2k_component *c = &file->image.components[i];
        const uint32_t *pair = subsampling[i < num_subsampling ? i : num_subsampling - 1];
        c->dx = pair[0];
        c->dy = pair[1];
        if (!check_range(paths[i < num_paths ? i : 0], c))
            goto fail;
    }
    file->image.x0 = x0;
    file->image.y0 = y0;
    if (!grid_edge(&file->image, false, x0, &file->image.x1) ||
        !grid_edge(&file->image, true, y0, &file->image.y1)) {
        complain("the sizes of the components do not fit the subsampling");
        goto fail;
    }
    return true;
fail:
    image_release(file);
    return false;
}

/* ---- writers
 * ---------------------------------------------------------------------------------------------------- */

/* The components to write must look alike for PNM and interleaved raw files. */
static bool alike(const j2k_header *header, uint32_t *first, uint32_t *wanted) {
    *wanted = 0;
    *first = 0;
    bool same = true;
    for (uint32_t i = 0; i < header->num_components; i++) {
        const j2k_component_info *c = &header->components[i];
        if (!c->wanted)
            continue;
        if ((*wanted)++ == 0)
            *first = i;
        const j2k_component_info *f = &header->components[*first];
        same = same && c->width == f->width && c->height == f->height && c->depth == f->depth &&
               c->is_signed == f->is_signed;
    }
    return same;
}

static bool reserve_buffer(image_file *file, uint32_t index, uint64_t width, uint64_t height, uint64_t each) {
    size_t size;
    if (!checked_size(width, height, each, &size))
        return complain("the image is too large");
    file->buffers[index] = calloc(size > 0 ? size : 1, 1);
    file->buffer_sizes[index] = size;
    return file->buffers[index] != NULL ? true : complain("out of memory (%zu bytes)", size);
}

/* One buffer for all components, which are alike; PNM is raw, big endian, interleaved. */
static bool prepare_single(const j2k_header *header, uint32_t first, uint32_t wanted,
                           const raw_layout *layout, image_file *file) {
    const j2k_component_info *info = &header->components[first];
    uint32_t bytes = bytes_of_depth(info->depth), index = 0;
    if (!reserve_buffer(file, 0, info->width, info->height, (uint64_t)bytes * wanted))
        return false;
    unsigned char *base = file->buffers[0];
    size_t plane = (size_t)info->width * info->height * bytes;
    for (uint32_t i = 0; i < header->num_components; i++) {
        if (!header->components[i].wanted)
            continue;
        j2k_component *c = &file->image.components[i];
        describe(c, info->width, info->height, info->depth, info->is_signed, layout->big_endian);
        c->data = base + (layout->interleaved ? (size_t)index * bytes : index * plane);
        if (layout->interleaved) {
            c->sample_step = (ptrdiff_t)bytes * (ptrdiff_t)wanted;
            c->row_stride = c->sample_step * (ptrdiff_t)info->width;
        }
        index++;
    }
    return true;
}

bool image_prepare(const j2k_header *header, image_kind kind, const raw_layout *raw, image_file *file) {
    static const raw_layout pnm_layout = {.big_endian = true, .interleaved = true};
    uint32_t first, wanted;
    bool same = alike(header, &first, &wanted);
    bool single = kind == IMAGE_PNM || (kind == IMAGE_RAW && raw->interleaved);
    if (wanted == 0)
        return complain("no component to decode");
    if (single && !same)
        return complain(
            "the components differ in size, depth or sign: write PGX (.pgx) or planar raw (.raw)");
    if (kind == IMAGE_PNM && (header->components[first].is_signed || header->components[first].depth > 16 ||
                              (wanted != 1 && wanted != 3)))
        return complain(
            "PNM holds 1 or 3 unsigned components of up to 16 bits: write PGX (.pgx) or raw (.raw)");
    if (!image_reserve(file, header->num_components, single ? 1 : header->num_components))
        return false;
    if (single) {
        if (!prepare_single(header, first, wanted, kind == IMAGE_PNM ? &pnm_layout : raw, file))
            goto fail;
    } else {
        for (uint32_t i = 0; i < header->num_components; i++) {
            const j2k_component_info *info = &header->components[i];
            if (!info->wanted)
                continue;
            if (!reserve_buffer(file, i, info->width, info->height, bytes_of_depth(info->depth)))
                goto fail;
            describe(&file->image.components[i], info->width, info->height, info->depth, info->is_signed,
                     kind == IMAGE_PGX || raw->big_endian);
            file->image.components[i].data = file->buffers[i];
        }
    }
    for (uint32_t i = 0; i < header->num_components; i++) {
        file->image.components[i].dx = header->components[i].dx;
        file->image.components[i].dy = header->components[i].dy;
    }
    file->image.x0 = header->x0;
    file->image.y0 = header->y0;
    file->image.x1 = header->x1;
    file->image.y1 = header->y1;
    return true;
fail:
    image_release(file);
    return false;
}

static bool write_pnm(const image_file *file, const char *path) {
    char header[64];
    uint32_t wanted = 0;
    const j2k_component *c = NULL;
    for (uint32_t i = 0; i < file->image.num_components; i++)
        if (file->image.components[i].data != NULL && wanted++ == 0)
            c = &file->image.components[i];
    if (c == NULL)
        return complain("nothing to write");
    snprintf(header, sizeof header, "P%c\n%" PRIu32 " %" PRIu32 "\n%lu\n", wanted == 3 ? '6' : '5', c->width,
             c->height, (1ul << c->depth) - 1);
    return write_parts(path, header, file->buffers[0], file->buffer_sizes[0]);
}

static bool write_pgx(const image_file *file, const char *path) {
    char *name = malloc(strlen(path) + 16);
    bool ok = true;
    uint32_t wanted = 0;
    if (name == NULL)
        return complain("out of memory");
    for (uint32_t i = 0; i < file->image.num_components; i++)
        wanted += file->buffers[i] != NULL;
    for (uint32_t i = 0; ok && i < file->image.num_components; i++) {
        const j2k_component *c = &file->image.components[i];
        char header[64];
        if (file->buffers[i] == NULL)
            continue;
        int stem = has_extension(path, ".pgx") ? (int)strlen(path) - 4 : (int)strlen(path);
        if (wanted == 1)
            strcpy(name, path);
        else
            sprintf(name, "%.*s_%" PRIu32 ".pgx", stem, path, i);
        snprintf(header, sizeof header, "PG ML %c %u %" PRIu32 " %" PRIu32 "\n", c->is_signed ? '-' : '+',
                 (unsigned)c->depth, c->width, c->height);
        ok = write_parts(name, header, file->buffers[i], file->buffer_sizes[i]);
    }
    free(name);
    return ok;
}

/* Planar raw: the components one after the other. */
static bool write_planes(const image_file *file, const char *path) {
    size_t total = 0, at = 0;
    for (uint32_t i = 0; i < file->num_buffers; i++)
        total += file->buffer_sizes[i];
    unsigned char *all = malloc(total > 0 ? total : 1);
    if (all == NULL)
        return complain("out of memory (%zu bytes)", total);
    for (uint32_t i = 0; i < file->num_buffers; i++) {
        if (file->buffers[i] != NULL)
            memcpy(all + at, file->buffers[i], file->buffer_sizes[i]);
        at += file->buffer_sizes[i];
    }
    bool ok = write_parts(path, "", all, total);
    free(all);
    return ok;
}

bool image_write(const image_file *file, image_kind kind, const raw_layout *raw, const char *path) {
    if (kind == IMAGE_PNM)
        return write_pnm(file, path);
    if (kind == IMAGE_PGX)
        return write_pgx(file, path);
    return raw->interleaved ? write_parts(path, "", file->buffers[0], file->buffer_sizes[0])
                            : write_planes(file, path);
}
