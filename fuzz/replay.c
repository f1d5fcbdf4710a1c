/* A fuzz target's inputs again, without libFuzzer: the files and folders given, or the folder of the target's
 * name in fuzz/corpus. SPDX-License-Identifier: BSD-3-Clause */
#if !defined(_DEFAULT_SOURCE)
#define _DEFAULT_SOURCE
#endif
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned long replayed;
static double slowest;

static int replay_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return 1;
    }
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    uint8_t *data = malloc(size > 0 ? (size_t)size : 1);
    rewind(file);
    if (!data || size < 0 || fread(data, 1, (size_t)size, file) != (size_t)size) {
        fprintf(stderr, "%s: cannot be read\n", path);
        exit(1);
    }
    fclose(file);
    clock_t start = clock();
    LLVMFuzzerTestOneInput(data, (size_t)size);
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    slowest = seconds > slowest ? seconds : slowest;
    free(data);
    replayed++;
    return 0;
}

static int replay(const char *path) {
    DIR *folder = opendir(path);
    if (!folder)
        return replay_file(path);
    int failed = 0;
    for (struct dirent *entry; (entry = readdir(folder));) {
        char name[1024];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(name, sizeof name, "%.700s/%s", path, entry->d_name);
        failed |= replay_file(name);
    }
    closedir(folder);
    return failed;
}

int main(int argc, char **argv) {
    int failed = 0;
    if (argc > 1) {
        for (int i = 1; i < argc; i++)
            failed |= replay(argv[i]);
    } else {
        const char *name = strrchr(argv[0], '/');
        char folder[1024];
        snprintf(folder, sizeof folder, "fuzz/corpus/%s", name ? name + 1 : argv[0]);
        failed = replay(folder);
    }
    printf("%lu inputs, the slowest took %.3f s\n", replayed, slowest);
    return failed || !replayed;
}
