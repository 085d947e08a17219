/* common/slice.h -- borrowed bytes, and a reader and a writer that cannot run past them.
 *
 * Every byte from outside travels as a slice: pointer and length, NUL is just a byte. A slice never owns and never
 * outlives the call it was given to, unless it is copied into a buf. */
#ifndef POSTERN_COMMON_SLICE_H
#define POSTERN_COMMON_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
	const uint8_t *p;
	size_t n;
};

/* A slice of a string literal, usable in static tables. */
#define SLICE(literal) { (const uint8_t *)("" literal), sizeof("" literal) - 1 }
/* The same as an expression. */
#define S(literal) ((struct slice)SLICE(literal))

static inline struct slice
slice_of(const void *p, size_t n)
{
	return (struct slice){ p, n };
}

/* Of a C string of our own (configuration, constants); never of wire data. */
static inline struct slice
slice_str(const char *s)
{
	return (struct slice){ (const uint8_t *)s, strlen(s) };
}

static inline bool
slice_eq(struct slice a, struct slice b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* v below 1000 in decimal; returns its digits, three at most. */
static inline size_t
put_decimal(char *out, unsigned v)
{
	size_t n = 0;

	if (v >= 100)
		out[n++] = (char)('0' + v / 100 % 10);
	if (v >= 10)
		out[n++] = (char)('0' + v / 10 % 10);
	out[n++] = (char)('0' + v % 10);
	return n;
}

/* ASCII only, on purpose: protocol words and domain names (RFC 5321 2.4, RFC 4343). */
static inline uint8_t
ascii_lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

static inline bool
slice_caseeq(struct slice a, struct slice b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
			return false;
	return true;
}

static inline bool
slice_starts(struct slice s, struct slice prefix)
{
	return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

/* From offset to the end; empty when offset is past it. */
static inline struct slice
slice_from(struct slice s, size_t offset)
{
	if (offset > s.n)
		offset = s.n;
	return (struct slice){ s.n == 0 ? s.p : s.p + offset, s.n - offset };
}

/* The first n bytes, or all when there are fewer. */
static inline struct slice
slice_first(struct slice s, size_t n)
{
	return (struct slice){ s.p, n < s.n ? n : s.n };
}

/* Index of the first byte c, or s.n. */
static inline size_t
slice_find(struct slice s, uint8_t c)
{
	const uint8_t *at = s.n == 0 ? NULL : memchr(s.p, c, s.n);

	return at == NULL ? s.n : (size_t)(at - s.p);
}

/* Index of the last byte c, or s.n. */
static inline size_t
slice_rfind(struct slice s, uint8_t c)
{
	for (size_t i = s.n; i > 0; i--)
		if (s.p[i - 1] == c)
			return i - 1;
	return s.n;
}

static inline bool
slice_has(struct slice s, uint8_t c)
{
	return slice_find(s, c) < s.n;
}

/* Without what is in set, such as S(" \t"), at both ends. */
static inline struct slice
slice_trim(struct slice s, struct slice set)
{
	while (s.n > 0 && slice_has(set, s.p[0]))
		s = slice_from(s, 1);
	while (s.n > 0 && slice_has(set, s.p[s.n - 1]))
		s.n--;
	return s;
}

/* Takes the next word off *rest: what stands between any number of what is in set. False: there is none left, and the word is
 * empty. */
static inline bool
slice_word(struct slice *rest, struct slice set, struct slice *ret_word)
{
	size_t n = 0;

	while (rest->n > 0 && slice_has(set, rest->p[0]))
		*rest = slice_from(*rest, 1);
	while (n < rest->n && !slice_has(set, rest->p[n]))
		n++;
	*ret_word = slice_first(*rest, n);
	*rest = slice_from(*rest, n);
	return n > 0;
}

/* Reads typed fields off a slice; little-endian. bad sticks: check once, at the end. */
struct rd {
	struct slice s;
	bool bad;
};

static inline struct slice
rd_take(struct rd *r, size_t n)
{
	struct slice out = { r->s.p, n };

	if (r->bad || n > r->s.n) {
		r->bad = true;
		return (struct slice){ NULL, 0 };
	}
	if (n > 0)
		r->s.p += n;
	r->s.n -= n;
	return out;
}

static inline bool
rd_end(const struct rd *r)
{
	return !r->bad && r->s.n == 0;
}

static inline uint64_t
rd_uint(struct rd *r, size_t width)
{
	struct slice b = rd_take(r, width);
	uint64_t v = 0;

	for (size_t i = b.n; i > 0; i--)
		v = v << 8 | b.p[i - 1];
	return v;
}

static inline uint8_t rd_u8(struct rd *r) { return (uint8_t)rd_uint(r, 1); }
static inline uint16_t rd_u16(struct rd *r) { return (uint16_t)rd_uint(r, 2); }
static inline uint32_t rd_u32(struct rd *r) { return (uint32_t)rd_uint(r, 4); }
static inline uint64_t rd_u64(struct rd *r) { return rd_uint(r, 8); }
static inline int64_t rd_i64(struct rd *r) { return (int64_t)rd_uint(r, 8); }

/* A u32 length and that many bytes. */
static inline struct slice
rd_str(struct rd *r)
{
	uint32_t n = rd_u32(r);

	return rd_take(r, n);
}

/* Writes typed fields into a caller's array; little-endian. bad sticks when something did not fit. */
struct wr {
	uint8_t *p;
	size_t n;	/* used */
	size_t max;
	bool bad;
};

static inline void
wr_bytes(struct wr *w, const void *p, size_t n)
{
	if (w->bad || n > w->max - w->n) {
		w->bad = true;
		return;
	}
	if (n > 0)
		memcpy(w->p + w->n, p, n);
	w->n += n;
}

static inline void
wr_uint(struct wr *w, uint64_t v, size_t width)
{
	uint8_t b[8];

	for (size_t i = 0; i < width; i++)
		b[i] = (uint8_t)(v >> (8 * i));
	wr_bytes(w, b, width);
}

static inline void wr_u8(struct wr *w, uint8_t v) { wr_uint(w, v, 1); }
static inline void wr_u16(struct wr *w, uint16_t v) { wr_uint(w, v, 2); }
static inline void wr_u32(struct wr *w, uint32_t v) { wr_uint(w, v, 4); }
static inline void wr_u64(struct wr *w, uint64_t v) { wr_uint(w, v, 8); }
static inline void wr_i64(struct wr *w, int64_t v) { wr_uint(w, (uint64_t)v, 8); }

static inline void
wr_str(struct wr *w, struct slice s)
{
	if (s.n > UINT32_MAX) {
		w->bad = true;
		return;
	}
	wr_u32(w, (uint32_t)s.n);
	wr_bytes(w, s.p, s.n);
}

#endif
