/*
 * A fuzz target as a plain test: runs LLVMFuzzerTestOneInput() over every file of the directories given, and
 * over every prefix and single-byte change of the small ones, so that the corpus is worth more than its
 * files.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define INPUT_MAX (4u << 20)
#define SMALL_MAX 512 /* inputs up to this many bytes are also cut and changed */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy of exactly the right size, so that the sanitizer sees a read past the end. */
static void run(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);

	memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static void run_around(uint8_t *data, size_t size)
{
	for (size_t n = 0; n < size; n++)
		run(data, n);
	for (size_t i = 0; i < size; i++) {
		static const uint8_t masks[] = { 0x01, 0x80, 0xff };
		for (size_t m = 0; m < sizeof(masks); m++) {
			data[i] ^= masks[m];
			run(data, size);
			data[i] ^= masks[m];
		}
	}
}

static int run_file(const char *path)
{
	FILE *f = fopen(path, "rb");

	if (!f) {
		perror(path);
		return 1;
	}
	uint8_t *data = malloc(INPUT_MAX);
	size_t size = fread(data, 1, INPUT_MAX, f);
	fclose(f);
	run(data, size);
	if (size <= SMALL_MAX)
		run_around(data, size);
	free(data);
	return 0;
}

int main(int argc, char **argv)
{
	size_t files = 0;

	for (int i = 1; i < argc; i++) {
		DIR *d = opendir(argv[i]);
		struct dirent *de;
		if (!d) {
			perror(argv[i]);
			return 1;
		}
		while ((de = readdir(d))) {
			char path[4096];
			struct stat st;
			snprintf(path, sizeof(path), "%s/%s", argv[i], de->d_name);
			if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
				continue;
			if (run_file(path))
				return 1;
			files++;
		}
		closedir(d);
	}
	printf("%zu corpus files\n", files);
	return files == 0;
}
