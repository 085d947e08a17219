/* common/wire/smtp_line.h -- cuts buffered bytes of a client into command lines.
 *
 * Only CRLF ends a line (RFC 5321 2.3.8). Nothing is copied, and no byte is looked at twice however it trickles in. A
 * line that is too long is passed over and reported once, at its end; there is an end to that patience too. */
#ifndef POSTERN_COMMON_WIRE_SMTP_LINE_H
#define POSTERN_COMMON_WIRE_SMTP_LINE_H

#include "common/slice.h"

/* What is thrown away of one over-long line before the peer is given up (THREATS 7). */
enum { SMTP_LINE_DISCARD_MAX = 64 * 1024 };

enum smtp_line_result {
	SMTP_LINE_OK,		/* a line; its text is without the CRLF */
	SMTP_LINE_MORE,		/* no whole line yet */
	SMTP_LINE_NUL,		/* a whole line, with NULs in it */
	SMTP_LINE_LONG,		/* the end of an over-long line: answer 500 (RFC 5321 4.5.3.1.9) */
	SMTP_LINE_BARE_LF,	/* smuggling or a broken client: answer and close (THREATS 1) */
	SMTP_LINE_BARE_CR,
	SMTP_LINE_ENDLESS,	/* passed SMTP_LINE_DISCARD_MAX: close */
};

/* Between calls; zero at the start of a session. The caller's buffer keeps its bytes until they are reported used. */
struct smtp_line_scan {
	size_t seen;		/* bytes at the front of the buffer that were looked at */
	size_t discarded;	/* of the over-long line that is being passed over */
	bool nul;
	bool lenient;		/* the caller's: a LF alone ends a line too */
};

/* Looks for the next line at the front of `buffered`. limit counts the CRLF (RFC 5321 4.5.3.1.4: 512 at least, at most
 * what the caller can buffer). *ret_line is set for SMTP_LINE_OK and SMTP_LINE_NUL. *ret_used is set for every result:
 * bytes to drop from the front of the buffer before the next call (with SMTP_LINE_MORE too, while a line is passed
 * over). After BARE_LF, BARE_CR and ENDLESS the session cannot go on. */
enum smtp_line_result smtp_line_next(struct smtp_line_scan *scan, struct slice buffered, size_t limit,
    struct slice *ret_line, size_t *ret_used);

#endif
