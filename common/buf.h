/* common/buf.h -- a byte buffer that grows up to a ceiling given at birth.
 *
 * Bytes are appended at the end and consumed from the front. An append that would pass the ceiling, or finds no
 * memory, leaves the buffer as it was, returns false and sets failed, which sticks until buf_clear: a run of appends
 * needs one check at its end. The memory is kept across buf_clear and given back by buf_free. */
#ifndef POSTERN_COMMON_BUF_H
#define POSTERN_COMMON_BUF_H

#include "common/slice.h"

struct buf {
	uint8_t *p;
	size_t start;	/* consumed bytes in front */
	size_t end;
	size_t cap;
	size_t max;	/* ceiling for end - start */
	bool failed;
};

/* A buf on the stack or in a struct; owns nothing until the first append. */
#define BUF_INIT(ceiling) { NULL, 0, 0, 0, (ceiling), false }

static inline void
buf_init(struct buf *b, size_t max)
{
	*b = (struct buf)BUF_INIT(max);
}

void buf_free(struct buf *b);	/* gives the memory back; the buf is empty and usable again */

static inline size_t buf_len(const struct buf *b) { return b->end - b->start; }
static inline size_t buf_room(const struct buf *b) { return b->max - buf_len(b); }

/* Borrowed: valid until the next call that appends or frees. */
static inline struct slice
buf_slice(const struct buf *b)
{
	return (struct slice){ b->p == NULL ? NULL : b->p + b->start, b->end - b->start };
}

static inline void
buf_clear(struct buf *b)
{
	b->start = b->end = 0;
	b->failed = false;
}

void buf_consume(struct buf *b, size_t n);	/* n <= buf_len */

/* At least n writable bytes at the end (then buf_advance), or NULL. Counts n against the ceiling. */
uint8_t *buf_reserve(struct buf *b, size_t n);
void buf_advance(struct buf *b, size_t n);	/* n <= what was reserved */

bool buf_put(struct buf *b, const void *p, size_t n);
static inline bool buf_put_slice(struct buf *b, struct slice s) { return buf_put(b, s.p, s.n); }
bool buf_put_str(struct buf *b, const char *s);
bool buf_put_byte(struct buf *b, uint8_t c);
bool buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What stands in the buffer as a NUL-terminated string of our own; NULL when memory ran out. Borrowed. */
const char *buf_cstr(struct buf *b);
/* For people to read: what stands in the buffer, also when not all of it fitted; otherwise, when nothing does. Borrowed. */
const char *buf_words(struct buf *b, const char *otherwise);

#endif
