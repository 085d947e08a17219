/* common/wire/smtp_reply.h -- the replies of servers, read as a client.
 *
 * RFC 5321 4.2. The reader works on buffered bytes of a server that may be hostile (THREATS 7, 15): lines, their number
 * and the whole are bounded, and text goes on only as printable ASCII. Only CRLF ends a line. Pure; slices borrow. */
#ifndef POSTERN_COMMON_WIRE_SMTP_REPLY_H
#define POSTERN_COMMON_WIRE_SMTP_REPLY_H

#include "common/buf.h"
#include "common/rc.h"
#include "common/slice.h"
#include "common/wire/enhanced.h"

enum {
	SMTP_REPLY_LINE_MAX = 2048,	/* with CRLF; RFC 5321 4.5.3.1.5 asks for 512, some servers send more */
	SMTP_REPLY_LINES_MAX = 256,	/* EHLO replies have about 20, bounce explanations 10 */
	SMTP_REPLY_BYTES_MAX = 32 * 1024, /* a whole reply: what the client must be able to buffer */
};

/* ---- reader -------------------------------------------------------------------------------------------------------*/

/* Between calls; zero at the start of a session. */
struct smtp_reply_scan {
	size_t line;		/* where the unfinished line starts */
	size_t seen;		/* bytes that were looked at */
	unsigned n_lines;
	uint16_t code;
};

struct smtp_reply {
	uint16_t code;			/* 200..599 */
	unsigned n_lines;
	struct enhanced enhanced;	/* of the first line, when its class agrees with the code; else class 0 */
	struct slice lines;		/* the whole reply as it came: iterate with smtp_reply_line_next */
};

/* Looks for a whole reply at the front of `buffered`, whose bytes the caller keeps until they are reported used.
 * RC_OK: *ret_reply and *ret_used are set, scan is ready for the next reply. RC_MORE: not complete yet.
 * RC_SYNTAX: not a reply (no code of 200..599, codes that differ between lines, a line without its CR): RFC 5321 4.2
 * says fatal. RC_RANGE: over a limit. After an error the connection must be dropped. */
enum rc smtp_reply_parse(struct smtp_reply_scan *scan, struct slice buffered, struct smtp_reply *ret_reply,
    size_t *ret_used);

/* The text of the next line, after code and separator, without its CRLF; may be empty and may hold any byte but CRLF.
 * False at the end. Start with *rest = reply.lines. */
bool smtp_reply_line_next(struct slice *rest, struct slice *ret_text);

/* Appends the text of all lines, joined by single spaces, without the enhanced code that reply->enhanced tells, as
 * printable ASCII (any other byte becomes `?`), cut to max bytes with "..." at the end. For results, logs and bounces.
 * False: `to` is full. */
bool smtp_reply_text_put(struct buf *to, const struct smtp_reply *reply, size_t max);

/* A line of an EHLO reply (RFC 5321 4.1.1.1). The first line greets and is no keyword. */
struct smtp_ehlo_line {
	struct slice keyword;	/* compare with slice_caseeq */
	struct slice params;	/* words of printable ASCII, may be empty */
};

/* Start with *rest = reply.lines and *first = true. Lines that follow no grammar are passed over; "AUTH=..." of old
 * servers reads as AUTH. False at the end. */
bool smtp_ehlo_next(struct slice *rest, bool *first, struct smtp_ehlo_line *ret_line);

#endif
