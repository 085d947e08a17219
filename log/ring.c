/* log/ring.c -- see ring.h. */
#include "log/ring.h"

#include <stdlib.h>

enum rc
ring_init(struct ring *r, size_t size)
{
	*r = (struct ring){ .size = size };
	r->p = malloc(size);
	return r->p == NULL ? RC_NOMEM : RC_OK;
}

void
ring_free(struct ring *r)
{
	free(r->p);
	*r = (struct ring){ 0 };
}

static size_t
count_lines(struct slice s)
{
	size_t n = 0;

	for (size_t at; (at = slice_find(s, '\n')) < s.n; s = slice_from(s, at + 1))
		n++;
	return n;
}

struct slice
ring_peek(const struct ring *r)
{
	size_t to_end = r->size - r->at;

	return slice_of(r->p + r->at, r->n < to_end ? r->n : to_end);
}

static void
store(struct ring *r, struct slice s)
{
	size_t end = (r->at + r->n) % r->size, to_end = r->size - end;
	struct slice first = slice_first(s, to_end), rest = slice_from(s, first.n);

	memcpy(r->p + end, first.p, first.n);
	if (rest.n > 0)
		memcpy(r->p, rest.p, rest.n);
	r->n += s.n;
}

bool
ring_put(struct ring *r, struct slice line)
{
	if (r->shut && r->n <= r->size / 2)
		r->shut = false;
	if (r->shut || line.n > r->size - r->n) {
		r->shut = r->n > r->size / 2;
		r->dropped++;
		r->untold++;
		return false;
	}
	if (line.n > 0)
		store(r, line);
	r->lines++;
	return true;
}

uint64_t
ring_take_untold(struct ring *r)
{
	uint64_t n = r->n <= r->size / 2 ? r->untold : 0;

	r->untold -= n;
	return n;
}

bool
ring_peek_line(const struct ring *r, uint8_t *space, size_t max, size_t *ret_n, size_t *ret_whole)
{
	struct slice first = ring_peek(r);
	size_t at = slice_find(first, '\n'), n, kept;
	struct slice rest = { r->p, 0 };

	if (r->n == 0)
		return false;
	n = at;
	if (at == first.n) {
		rest = slice_first(slice_of(r->p, r->n - first.n), slice_find(slice_of(r->p, r->n - first.n), '\n'));
		n += rest.n;
	}
	kept = at < max ? at : max;
	memcpy(space, first.p, kept);
	rest = slice_first(rest, max - kept);
	if (rest.n > 0)
		memcpy(space + kept, rest.p, rest.n);
	*ret_n = kept + rest.n;
	*ret_whole = n < r->n ? n + 1 : n;
	return true;
}

void
ring_consume(struct ring *r, size_t n)
{
	BUG_ON(n > r->n);
	while (n > 0) {
		struct slice s = slice_first(ring_peek(r), n);
		size_t lines = count_lines(s);

		r->lines -= lines;
		r->written += lines;
		r->at = (r->at + s.n) % r->size;
		r->n -= s.n;
		n -= s.n;
	}
	if (r->n == 0)
		r->at = 0;	/* the same warm memory again, and no line in two pieces */
}

enum rc
ring_resize(struct ring *r, size_t size)
{
	struct ring to;
	uint8_t *space;
	size_t n, whole;

	if (size == r->size)
		return RC_OK;
	if (ring_init(&to, size) != RC_OK)
		return RC_NOMEM;
	space = malloc(r->n + 1);
	if (space == NULL) {
		ring_free(&to);
		return RC_NOMEM;
	}
	to.written = r->written;
	to.dropped = r->dropped;
	to.untold = r->untold;
	while (ring_peek_line(r, space, r->n, &n, &whole)) {
		space[n] = '\n';
		(void)ring_put(&to, slice_of(space, whole));
		ring_consume(r, whole);
	}
	free(space);
	free(r->p);
	*r = to;
	return RC_OK;
}
