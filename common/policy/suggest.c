/* common/policy/suggest.c -- Levenshtein's distance over short words. */
#include "common/policy/suggest.h"

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static size_t
distance(struct slice a, struct slice b)
{
	size_t row[SUGGEST_WORD_MAX + 1];

	for (size_t k = 0; k <= b.n; k++)
		row[k] = k;
	for (size_t i = 0; i < a.n; i++) {
		size_t corner = row[0];

		row[0] = i + 1;
		for (size_t k = 0; k < b.n; k++) {
			size_t above = row[k + 1], swap = corner + (ascii_lower(a.p[i]) != ascii_lower(b.p[k]));

			row[k + 1] = least(swap, least(above, row[k]) + 1);
			corner = above;
		}
	}
	return row[b.n];
}

void
suggest_init(struct suggest *s, struct slice word)
{
	*s = (struct suggest){ word, { NULL, 0 }, SIZE_MAX };
}

void
suggest_offer(struct suggest *s, struct slice known)
{
	size_t d;

	if (s->word.n > SUGGEST_WORD_MAX || known.n > SUGGEST_WORD_MAX)
		return;
	d = distance(s->word, known);
	if (d < s->distance) {
		s->distance = d;
		s->best = known;
	}
}

void
suggest_put(const struct suggest *s, struct buf *to)
{
	/* A third of the letters wrong is still a typing error; more is another word. */
	if (s->best.n == 0 || s->distance > 1 + s->word.n / 3)
		return;
	(void)buf_put_str(to, "; did you mean ");
	(void)buf_put_slice(to, s->best);
	(void)buf_put_byte(to, '?');
}
