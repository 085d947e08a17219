/* common/buf.c -- the growing buffer of buf.h. */
#include "common/buf.h"

#include "common/rc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	BUF_FIRST = 256,		/* first allocation; doubles from there */
	BUF_TIGHT = 128 * 1024,		/* one with a lower ceiling never has more memory than that */
};

void
buf_free(struct buf *b)
{
	free(b->p);
	*b = (struct buf)BUF_INIT(b->max);
}

void
buf_consume(struct buf *b, size_t n)
{
	BUG_ON(n > buf_len(b));
	b->start += n;
	if (b->start == b->end)
		b->start = b->end = 0;
}

static void
slide_to_front(struct buf *b)
{
	if (b->start == 0)
		return;
	memmove(b->p, b->p + b->start, buf_len(b));
	b->end -= b->start;
	b->start = 0;
}

/* Room for n bytes behind end, not counting the ceiling. */
static bool
grow(struct buf *b, size_t n)
{
	size_t need, cap = b->cap == 0 ? BUF_FIRST : b->cap;
	uint8_t *p;

	if (n <= b->cap - b->end)
		return true;
	if (__builtin_add_overflow(buf_len(b), n, &need))
		return false;
	/* Sliding is cheap only when it frees at least half: else repeated small consumes would copy quadratically. */
	if (need <= b->cap && b->start >= b->cap / 2) {
		slide_to_front(b);
		return true;
	}
	while (cap < need)
		if (__builtin_mul_overflow(cap, 2, &cap))
			return false;
	/* More is never needed, but for the NUL of vsnprintf, and there may be thousands of them. In a large one the slack saves
	 * sliding, which costs more than memory there. */
	if (cap > b->max && b->max <= BUF_TIGHT)
		cap = need > b->max ? need : b->max;
	slide_to_front(b);
	if (cap == b->cap)
		return true;
	p = realloc(b->p, cap);
	if (p == NULL)
		return false;
	b->p = p;
	b->cap = cap;
	return true;
}

uint8_t *
buf_reserve(struct buf *b, size_t n)
{
	if (b->failed || n > buf_room(b) || !grow(b, n)) {
		b->failed = true;
		return NULL;
	}
	return b->p + b->end;
}

void
buf_advance(struct buf *b, size_t n)
{
	BUG_ON(n > b->cap - b->end);
	b->end += n;
}

bool
buf_put(struct buf *b, const void *p, size_t n)
{
	uint8_t *to;

	if (n == 0)
		return !b->failed;
	to = buf_reserve(b, n);
	if (to == NULL)
		return false;
	memcpy(to, p, n);
	b->end += n;
	return true;
}

bool
buf_put_str(struct buf *b, const char *s)
{
	return buf_put(b, s, strlen(s));
}

bool
buf_put_byte(struct buf *b, uint8_t c)
{
	return buf_put(b, &c, 1);
}

bool
buf_printf(struct buf *b, const char *format, ...)
{
	va_list args;
	int n;
	uint8_t *to;

	va_start(args, format);
	n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (n < 0) {
		b->failed = true;
		return false;
	}
	/* vsnprintf wants room for its NUL, which is not counted as content. */
	if (b->failed || (size_t)n > buf_room(b) || !grow(b, (size_t)n + 1)) {
		b->failed = true;
		return false;
	}
	to = b->p + b->end;
	va_start(args, format);
	(void)vsnprintf((char *)to, (size_t)n + 1, format, args);
	va_end(args);
	b->end += (size_t)n;
	return true;
}

const char *
buf_cstr(struct buf *b)
{
	if (b->failed || !grow(b, 1))
		return NULL;
	b->p[b->end] = '\0';
	return (const char *)b->p + b->start;
}

const char *
buf_words(struct buf *b, const char *otherwise)
{
	const char *words;

	b->failed = false;
	words = buf_cstr(b);
	return words == NULL || *words == '\0' ? otherwise : words;
}
