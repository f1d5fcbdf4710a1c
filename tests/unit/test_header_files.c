/* Headers of real files against the manifests that come with them: every file of the collection beside the
 * repository (../shared or $J2K_SHARED) is parsed, and geometry and coding parameters are compared.
 * SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>

#include "jp2.h"
#include "markers.h"
#include "stream_builder.h"

static arena memory;
static diagnostics diag;
static jp2_file file;
static codestream cs;
static const char *shared;
static unsigned failures;

static void fail(const char *name, const char *format, ...) J2K_PRINTF(2, 3);

static void fail(const char *name, const char *format, ...) {
    va_list arguments;
    fprintf(stderr, "%s: ", name);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n");
    failures++;
}

/* ---- files and CSV ---- */

static uint8_t *load(const char *folder, const char *name, size_t *size) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s/%s", shared, folder, name);
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    CHECK(!fseek(f, 0, SEEK_END));
    long end = ftell(f);
    CHECK(end >= 0);
    rewind(f);
    *size = (size_t)end;
    uint8_t *data = malloc(*size + 1);
    CHECK(data && fread(data, 1, *size, f) == *size);
    data[*size] = 0;
    fclose(f);
    return data;
}

enum { MAX_FIELDS = 24 };

typedef struct csv {
    char *text, *next;
    char *fields[MAX_FIELDS]; /* of the current row */
    char *names[MAX_FIELDS];
    int num_names;
} csv;

/* Split one row in place (RFC 4180 quoting); false at the end. */
static bool csv_split(csv *c, char **fields, int *count) {
    char *p = c->next;
    if (!*p)
        return false;
    *count = 0;
    for (bool more = true; more;) {
        char *out = p;
        CHECK(*count < MAX_FIELDS);
        fields[(*count)++] = out;
        for (bool quoted = false; *p && (quoted || (*p != ',' && *p != '\n' && *p != '\r')); p++) {
            if (*p == '"' && quoted && p[1] == '"')
                *out++ = *p++;
            else if (*p == '"')
                quoted = !quoted;
            else
                *out++ = *p;
        }
        more = *p == ',';
        bool cr = *p == '\r';
        if (*p)
            p++;
        if (cr && *p == '\n')
            p++;
        *out = 0;
    }
    c->next = p;
    return true;
}

static bool csv_open(csv *c, const char *folder, const char *name) {
    size_t size;
    c->text = c->next = (char *)load(folder, name, &size);
    return c->text && csv_split(c, c->names, &c->num_names);
}

static bool csv_row(csv *c) {
    int count;
    if (!csv_split(c, c->fields, &count))
        return false;
    CHECK(count == c->num_names);
    return true;
}

static const char *field(const csv *c, const char *name) {
    for (int i = 0; i < c->num_names; i++)
        if (!strcmp(c->names[i], name))
            return c->fields[i];
    fprintf(stderr, "no column %s\n", name);
    exit(1);
}

static long number(const csv *c, const char *name) {
    return strtol(field(c, name), NULL, 10);
}

/* ---- reading ---- */

/* The data are a block of their own size, so that the sanitizer sees any byte read beyond them. */
static j2k_status parse(const uint8_t *data, size_t size, bool tolerant) {
    size_t sot;
    j2k_arena_reset(&memory);
    memset(&diag, 0, sizeof diag);
    TRY(j2k_jp2_read(data, size, tolerant, &memory, &file, &diag));
    byte_span s = file.codestream;
    TRY(j2k_codestream_read_main(s.data, s.size, &memory, &cs, &sot, &diag));
    TRY(j2k_jp2_check(&file, &cs.siz, tolerant, &diag));
    return j2k_codestream_read_tiles(s.data, s.size, sot, tolerant, &memory, &cs, &diag);
}

/* Parse `name` in either mode, strict last; returns its data. */
static uint8_t *open_file(const char *folder, const char *name, j2k_status *status) {
    size_t size;
    uint8_t *padded = load(folder, name, &size);
    if (!padded)
        return NULL;
    uint8_t *data = malloc(size ? size : 1);
    CHECK(data);
    memcpy(data, padded, size);
    free(padded);
    j2k_status tolerant = parse(data, size, true);
    *status = parse(data, size, false);
    CHECK(*status != J2K_ERROR_MEMORY && *status != J2K_ERROR_INTERNAL);
    CHECK(*status != J2K_OK || tolerant == J2K_OK);
    CHECK(*status == J2K_OK || diag.message[0]);
    return data;
}

static void component_geometry(uint32_t c, unsigned reduce, uint32_t *width, uint32_t *height) {
    const component_siz *siz = &cs.siz.components[c];
    rect area = rect_ceil_shift(rect_ceil_div(cs.siz.area, siz->dx, siz->dy), reduce);
    *width = rect_width(area);
    *height = rect_height(area);
}

/* ---- features: a set of words ---- */

typedef struct words {
    char word[96][24];
    int count;
} words;

static bool has_word(const words *w, const char *word) {
    for (int i = 0; i < w->count; i++)
        if (!strcmp(w->word[i], word))
            return true;
    return false;
}

static void add_word(words *w, const char *format, ...) J2K_PRINTF(2, 3);

static void add_word(words *w, const char *format, ...) {
    char word[24];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(word, sizeof word, format, arguments);
    va_end(arguments);
    if (has_word(w, word))
        return;
    CHECK(w->count < 96);
    memcpy(w->word[w->count++], word, sizeof word);
}

static void split_words(words *w, const char *text) {
    w->count = 0;
    while (*text) {
        size_t n = strcspn(text, " ");
        if (n)
            add_word(w, "%.*s", (int)n, text);
        text += n;
        text += *text == ' ';
    }
}

static void add_style_words(words *w, const tile_style *style, const component_style *components) {
    static const char *const orders[] = {"LRCP", "RLCP", "RPCL", "PCRL", "CPRL"};
    static const char *const kinds[] = {"qnone", "qderived", "qexpounded"};
    static const char *const styles[] = {"BYPASS", "RESET", "TERMALL", "VSC", "PTERM", "SEGSYM", "HT"};
    add_word(w, "%s", orders[style->order]);
    if (style->num_layers > 1)
        add_word(w, "layers=%u", style->num_layers);
    if (style->colour_transform)
        add_word(w, "MCT");
    if (style->sop)
        add_word(w, "SOP");
    if (style->eph)
        add_word(w, "EPH");
    if (style->num_changes)
        add_word(w, "POC");
    for (uint32_t c = 0; c < cs.siz.num_components; c++) {
        const coding_style *coding = &components[c].coding;
        add_word(w, "%s", coding->reversible ? "5/3" : "9/7");
        add_word(w, "levels=%u", coding->levels);
        add_word(w, "cblk=%ux%u", 1u << coding->codeblock_w_exp, 1u << coding->codeblock_h_exp);
        add_word(w, "%s", kinds[components[c].quant.kind]);
        if (coding->user_precincts)
            add_word(w, "precincts");
        for (int bit = 0; bit < 7; bit++)
            if (coding->codeblock_style >> bit & 1)
                add_word(w, "%s", styles[bit]);
        if (components[c].roi_shift)
            add_word(w, "RGN");
    }
}

/* What the headers say, in the words of the manifest. */
static void own_words(words *w) {
    w->count = 0;
    size_t tiles = (size_t)cs.siz.tiles_x * cs.siz.tiles_y;
    const component_siz *siz = cs.siz.components;
    bool subsampled = false, is_signed = false, parts = false;
    unsigned low = 99, high = 0;
    for (uint32_t c = 0; c < cs.siz.num_components; c++) {
        subsampled = subsampled || siz[c].dx > 1 || siz[c].dy > 1;
        is_signed = is_signed || siz[c].is_signed;
        low = siz[c].depth < low ? siz[c].depth : low;
        high = siz[c].depth > high ? siz[c].depth : high;
    }
    if (low == high)
        add_word(w, "bits=%u", low);
    add_word(w, "ncomp=%u", (unsigned)cs.siz.num_components);
    if (tiles > 1)
        add_word(w, "tiles=%u", (unsigned)tiles);
    if (subsampled)
        add_word(w, "subsampled");
    if (is_signed)
        add_word(w, "signed");
    if (cs.siz.area.x0 || cs.siz.area.y0)
        add_word(w, "imgoffset");
    if (cs.siz.tile_x0 || cs.siz.tile_y0)
        add_word(w, "tileoffset");
    if (cs.has_cap)
        add_word(w, "CAP");
    if (cs.siz.rsiz & 0x4000)
        add_word(w, "Rsiz-HT");
    if (cs.has_ppm)
        add_word(w, "PPM");
    add_style_words(w, &cs.style, cs.components);
    for (size_t i = 0; i < tiles; i++) {
        const tile_header *t = &cs.tiles[i];
        parts = parts || t->num_parts > 1;
        if (t->num_packed_headers && !cs.has_ppm)
            add_word(w, "PPT");
        if (t->own_styles || t->style.num_changes)
            add_style_words(w, &t->style, t->components);
    }
    if (parts)
        add_word(w, "tileparts");
    if (file.format != J2K_FORMAT_CODESTREAM)
        add_word(w, "JP2");
    if (file.num_channels)
        add_word(w, "cdef");
    if (file.has_palette) {
        add_word(w, "pclr");
        add_word(w, "cmap");
    }
    if (file.icc_profile.size)
        add_word(w, "colr:icc");
    for (uint32_t i = 0; i < file.num_boxes; i++) {
        uint32_t type = file.boxes[i].type;
        if (type == JP2_BOX_TYPE('u', 'u', 'i', 'd'))
            add_word(w, "uuid");
        if (type == JP2_BOX_TYPE('x', 'm', 'l', ' '))
            add_word(w, "xml");
        if (type == JP2_BOX_TYPE('r', 'r', 'e', 'q'))
            add_word(w, "rreq");
    }
}

/* Words of the manifest that this test can tell from the structures. */
static bool known_word(const char *word) {
    static const char *const plain[] = {
        "LRCP",     "RLCP",   "RPCL",       "PCRL", "CPRL",       "MCT",       "SOP",       "EPH",
        "POC",      "5/3",    "9/7",        "HT",   "BYPASS",     "RESET",     "TERMALL",   "VSC",
        "PTERM",    "SEGSYM", "RGN",        "CAP",  "subsampled", "signed",    "imgoffset", "tileoffset",
        "PPM",      "PPT",    "JP2",        "cdef", "pclr",       "cmap",      "qnone",     "qderived",
        "colr:icc", "uuid",   "qexpounded", "rreq", "tileparts",  "precincts", "Rsiz-HT"};
    static const char *const prefixes[] = {"levels=", "layers=", "cblk=", "ncomp=", "tiles="};
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        if (!strcmp(word, plain[i]))
            return true;
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
        if (!strncmp(word, prefixes[i], strlen(prefixes[i])))
            return true;
    return !strncmp(word, "bits=", 5) && !strchr(word, '/');
}

static void features_of_valid_files(void) {
    csv c;
    unsigned checked = 0;
    if (!csv_open(&c, "valid", "features.csv")) {
        printf("SKIP features of valid files: no manifest below %s\n", shared);
        return;
    }
    while (csv_row(&c)) {
        const char *name = field(&c, "file");
        j2k_status status;
        uint8_t *data = open_file("valid", name, &status);
        if (!data)
            continue;
        if (status != J2K_OK) {
            fail(name, "%s", diag.message);
        } else {
            words expected, found;
            split_words(&expected, field(&c, "features"));
            own_words(&found);
            for (int i = 0; i < expected.count; i++)
                if (known_word(expected.word[i]) && !has_word(&found, expected.word[i]))
                    fail(name, "%s is not found", expected.word[i]);
            for (int i = 0; i < found.count; i++)
                if (known_word(found.word[i]) && !has_word(&expected, found.word[i]))
                    fail(name, "%s is found", found.word[i]);
            if (cs.comment &&
                !has_word(&expected, "COM")) /* it also stands for binary ones, and for those of tiles */
                fail(name, "a comment is found");
            if (has_word(&found, "xml") && !has_word(&expected, "xml")) /* likewise for boxes inside others */
                fail(name, "xml is found");
        }
        checked++;
        free(data);
    }
    printf("features of %u valid files\n", checked);
    CHECK(checked);
    free(c.text);
}

static void components_of_valid_files(void) {
    csv c;
    unsigned checked = 0;
    if (!csv_open(&c, "valid", "manifest.csv")) {
        printf("SKIP components of valid files: no manifest below %s\n", shared);
        return;
    }
    while (csv_row(&c)) {
        const char *name = field(&c, "file");
        j2k_status status;
        if (strcmp(field(&c, "mapping"), "codestream") != 0)
            continue;
        uint8_t *data = open_file("valid", name, &status);
        if (!data)
            continue;
        uint32_t i = (uint32_t)number(&c, "component"), width, height;
        CHECK(status == J2K_OK && i < cs.siz.num_components);
        const component_siz *siz = &cs.siz.components[i];
        component_geometry(i, 0, &width, &height);
        if (width != (uint32_t)number(&c, "width") || height != (uint32_t)number(&c, "height") ||
            siz->depth != number(&c, "precision") || siz->is_signed != number(&c, "signed") ||
            siz->dx != number(&c, "dx") || siz->dy != number(&c, "dy"))
            fail(name, "component %u is %ux%u, %u bits, step %ux%u", (unsigned)i, (unsigned)width,
                 (unsigned)height, siz->depth, siz->dx, siz->dy);
        checked++;
        free(data);
    }
    printf("%u components of valid files\n", checked);
    CHECK(checked);
    free(c.text);
}

/* The size in a PGX or PNM header; false when there is no such file. */
static bool reference_size(const char *name, uint32_t *width, uint32_t *height) {
    size_t size;
    char *text = (char *)load("conformance", name, &size);
    if (!text)
        return false;
    char *p = text;
    int depth;
    unsigned w = 0, h = 0;
    if (text[0] == 'P' && text[1] == 'G') {
        CHECK(sscanf(text, "PG %*s %d %u %u", &depth, &w, &h) == 3 ||
              sscanf(text, "PG %*s %*[+-] %d %u %u", &depth, &w, &h) == 3);
    } else { /* P5 or P6, with comments */
        for (p += 2;; p += strcspn(p, "\n")) {
            p += strspn(p, " \t\r\n");
            if (*p != '#')
                break;
        }
        CHECK(sscanf(p, "%u %u", &w, &h) == 2);
    }
    *width = w;
    *height = h;
    free(text);
    return true;
}

static void sizes_of_conformance_files(void) {
    csv c;
    unsigned checked = 0;
    if (!csv_open(&c, "conformance", "manifest.csv")) {
        printf("SKIP sizes of conformance files: no manifest below %s\n", shared);
        return;
    }
    while (csv_row(&c)) {
        const char *name = field(&c, "file");
        j2k_status status;
        uint32_t width, height, expected_width, expected_height;
        uint8_t *data = open_file("conformance", name, &status);
        if (!data)
            continue;
        if (status != J2K_OK) {
            fail(name, "%s", diag.message);
        } else if (!strcmp(field(&c, "render"), "codestream") &&
                   reference_size(field(&c, "reference"), &expected_width, &expected_height)) {
            uint32_t i = (uint32_t)number(&c, "component");
            CHECK(i < cs.siz.num_components);
            component_geometry(i, (unsigned)number(&c, "reduce"), &width, &height);
            if (width != expected_width || height != expected_height)
                fail(name, "component %u is %ux%u, not %ux%u", (unsigned)i, (unsigned)width, (unsigned)height,
                     (unsigned)expected_width, (unsigned)expected_height);
            checked++;
        }
        free(data);
    }
    printf("%u components of conformance files\n", checked);
    CHECK(checked);
    free(c.text);
}

/* Files that are damaged or irregular: no harm is done, and those that must decode pass with the right
 * geometry. */
static void robustness_files(void) {
    csv c;
    unsigned checked = 0, refused = 0;
    if (!csv_open(&c, "robustness", "manifest.csv")) {
        printf("SKIP robustness files: no manifest below %s\n", shared);
        return;
    }
    while (csv_row(&c)) {
        const char *name = field(&c, "file");
        j2k_status status;
        uint8_t *data = open_file("robustness", name, &status);
        if (!data)
            continue;
        checked++;
        refused += status != J2K_OK;
        if (!strcmp(field(&c, "kind"), "must_decode")) {
            const char *dims = field(&c, "dims"); /* of the first six components */
            if (status != J2K_OK)
                fail(name, "%s", diag.message);
            else if (cs.siz.num_components != (uint32_t)number(&c, "ncomp"))
                fail(name, "%u components", (unsigned)cs.siz.num_components);
            for (uint32_t i = 0; status == J2K_OK && *dims; i++) {
                char text[32];
                uint32_t width, height;
                CHECK(i < cs.siz.num_components);
                component_geometry(i, 0, &width, &height);
                snprintf(text, sizeof text, "%ux%u:%u%c", (unsigned)width, (unsigned)height,
                         cs.siz.components[i].depth, cs.siz.components[i].is_signed ? 's' : 'u');
                size_t n = strcspn(dims, " ");
                if (n != strlen(text) || strncmp(dims, text, n) != 0)
                    fail(name, "component %u is %s, not %.*s", (unsigned)i, text, (int)n, dims);
                dims += n;
                dims += *dims == ' ';
            }
        }
        free(data);
    }
    printf("%u robustness files, %u of them refused by their headers\n", checked, refused);
    CHECK(checked && refused);
    free(c.text);
}

int main(void) {
    shared = getenv("J2K_SHARED");
    if (!shared)
        shared = "../shared";
    features_of_valid_files();
    components_of_valid_files();
    sizes_of_conformance_files();
    robustness_files();
    j2k_arena_free(&memory);
    CHECK(failures == 0);
    return 0;
}
