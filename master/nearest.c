/* master/nearest.c -- did you mean, see nearest.h. */
#include "master/nearest.h"

#include <stdint.h>
#include <string.h>

enum { WORD_MAX = 64 };	/* longer words are not compared: no option is that long */

static unsigned
least(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

/* Edit distance where swapped neighbours count once. */
static unsigned
distance(const char *a, size_t na, const char *b, size_t nb)
{
	unsigned rows[3][WORD_MAX + 1];
	unsigned *before = rows[0], *last = rows[1], *now = rows[2];

	for (size_t j = 0; j <= nb; j++)
		last[j] = (unsigned)j;
	for (size_t i = 1; i <= na; i++) {
		unsigned *spare = before;

		now[0] = (unsigned)i;
		for (size_t j = 1; j <= nb; j++) {
			now[j] = least(last[j] + 1, now[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < now[j])
				now[j] = before[j - 2] + 1;
		}
		before = last;
		last = now;
		now = spare;
	}
	return last[nb];
}

const char *
nearest_word(const char *typed, const char *const *words, size_t n)
{
	size_t length = strlen(typed);
	const char *best = NULL;
	unsigned best_distance = (unsigned)(length / 3) + 1;

	if (length > WORD_MAX)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		size_t other = strlen(words[i]);
		unsigned d;

		if (other > WORD_MAX)
			continue;
		d = distance(typed, length, words[i], other);
		if (d < best_distance || (d == best_distance && best == NULL)) {
			best = words[i];
			best_distance = d;
		}
	}
	return best;
}
