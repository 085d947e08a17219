/* common/wire/enhanced.h -- enhanced status codes, class.subject.detail (RFC 3463, RFC 2034). */
#ifndef POSTERN_COMMON_WIRE_ENHANCED_H
#define POSTERN_COMMON_WIRE_ENHANCED_H

#include "common/buf.h"
#include "common/rc.h"
#include "common/slice.h"

struct enhanced {
	uint8_t class;		/* 2, 4 or 5; 0: there is none */
	uint16_t subject;	/* 0..999 */
	uint16_t detail;	/* 0..999 */
};
#define ENHANCED(class, subject, detail) ((struct enhanced){ (class), (subject), (detail) })
#define ENHANCED_NONE ENHANCED(0, 0, 0)

enum { ENHANCED_TEXT_MAX = 10 };	/* "5.999.999" and a NUL */

/* The whole slice. RFC 3463 2: no leading zeros, no white space. RC_SYNTAX. */
enum rc enhanced_parse(struct slice text, struct enhanced *ret_e);

/* The code at the start of a reply's text, which must be followed by a space or the end (RFC 2034 3). Returns the bytes
 * that it and the spaces behind it take, 0 (output untouched) when there is none. */
size_t enhanced_prefix(struct slice text, struct enhanced *ret_e);

/* NUL-terminated; returns the length, 0 for none. */
size_t enhanced_format(struct enhanced e, char out[ENHANCED_TEXT_MAX]);

static inline bool
enhanced_eq(struct enhanced a, struct enhanced b)
{
	return a.class == b.class && a.subject == b.subject && a.detail == b.detail;
}

/* RFC 2034 4: the class must be the first digit of the reply code. */
static inline bool
enhanced_agrees(struct enhanced e, unsigned code)
{
	return e.class != 0 && e.class == code / 100;
}

/* What a reply without an enhanced code means: X.0.0 of its class; none for 3xx (RFC 2034 3). */
struct enhanced enhanced_of_code(unsigned code);

#endif
