/* tests/fuzz/replay.c -- the main() of a fuzz target built without libFuzzer: replays its corpus once, as a TAP test.
 * The corpus of program fuzz_X is the folder tests/fuzz/X.in; files named as arguments are replayed instead. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 16 * 1024 * 1024 };

static int
replay_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = malloc(INPUT_MAX);
	size_t n;

	if (f == NULL || data == NULL) {
		(void)fprintf(stderr, "cannot replay %s\n", path);
		free(data);
		if (f != NULL)
			(void)fclose(f);
		return 1;
	}
	n = fread(data, 1, INPUT_MAX, f);
	(void)fclose(f);
	/* A copy of exactly this size, so that a read past its end is seen. */
	uint8_t *exact = malloc(n == 0 ? 1 : n);
	if (exact == NULL)
		abort();
	memcpy(exact, data, n);
	(void)LLVMFuzzerTestOneInput(exact, n);
	free(exact);
	free(data);
	return 0;
}

int
main(int argc, char **argv)
{
	const char *src = getenv("srcdir"), *name = strrchr(argv[0], '/');
	char folder[4096], path[8192];
	int bad = 0, count = 0;
	struct dirent *e;
	DIR *d;

	if (argc > 1) {
		for (int i = 1; i < argc; i++)
			bad |= replay_file(argv[i]);
		return bad;
	}
	name = name == NULL ? argv[0] : name + 1;
	if (strncmp(name, "fuzz_", 5) == 0)
		name += 5;
	(void)snprintf(folder, sizeof folder, "%s/tests/fuzz/%s.in", src == NULL ? "." : src, name);
	d = opendir(folder);
	if (d != NULL) {
		while ((e = readdir(d)) != NULL) {
			if (e->d_name[0] == '.')
				continue;
			(void)snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
			bad |= replay_file(path);
			count++;
		}
		(void)closedir(d);
	}
	if (count == 0)
		bad = 1;
	printf("1..1\n%s 1 - corpus %s replayed (%d inputs)\n", bad ? "not ok" : "ok", name, count);
	return bad;
}
