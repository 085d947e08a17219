/* common/wire/smtp_data.h -- the one dot decoder of the house, and its encoder (THREATS 1).
 *
 * RFC 5321 4.5.2 and 2.3.8. Content inside Postern is what stood between DATA and the final dot, dots unstuffed, byte
 * for byte: lines end in CRLF. Only CRLF "." CRLF ends a message (at its start, "." CRLF: the CRLF of the DATA command
 * counts). Bare CR, bare LF and NUL never end or begin a line; they are counted, and the caller refuses the message.
 * The result does not depend on how the bytes were split on their way. */
#ifndef POSTERN_COMMON_WIRE_SMTP_DATA_H
#define POSTERN_COMMON_WIRE_SMTP_DATA_H

#include "common/buf.h"
#include "common/rc.h"
#include "common/slice.h"

/* ---- decoder ------------------------------------------------------------------------------------------------------*/

/* A value of the caller's; the counters may be read at any time and are about what was decoded so far. */
struct smtp_data_decoder {
	uint64_t size;		/* bytes of content */
	uint64_t bare_cr;	/* CRs without a LF: THREATS 1, refuse with 550 and close */
	uint64_t bare_lf;	/* LFs without a CR: the same */
	uint64_t nul;		/* RFC 5321 2.3.8 and RFC 6152 know no NULs */
	uint64_t long_lines;	/* lines over the limit (RFC 5321 4.5.3.1.6), counted when they pass it */
	uint64_t longest_line;	/* bytes with CRLF, without a stuffed dot */
	uint64_t line;		/* bytes of the line that is being read */
	size_t line_limit;
	bool normalise;	/* the caller's, after init: a bare LF becomes CRLF instead; what follows it never ends the message */
	bool eight_bit;		/* a byte above 127 came by: RFC 6152 */
	bool plain;		/* dots mean nothing */
	uint8_t state;
};

/* line_limit counts the CRLF: 1000 at least (RFC 5321 4.5.3.1.6). */
void smtp_data_decoder_init(struct smtp_data_decoder *d, size_t line_limit);
/* For content whose length is known (BDAT, RFC 3030): counts the same, dots are content, and only the caller knows the end. */
void smtp_data_decoder_init_plain(struct smtp_data_decoder *d, size_t line_limit);
/* Then the end: a CR that waits for its LF was a bare one. */
void smtp_data_decoder_end(struct smtp_data_decoder *d);

/* Decodes from `in`, appends content to `to`; with to NULL the content is thrown away and only counted. *ret_used is
 * set for every result: bytes of `in` that were consumed.
 * RC_OK: the end of the message is reached; what follows in `in` is the next command. RC_MORE: all of `in` is consumed.
 * RC_AGAIN: `to` has no room for the rest; empty it and go on. RC_NOMEM: nothing was consumed. */
enum rc smtp_data_decode(struct smtp_data_decoder *d, struct slice in, struct buf *to, size_t *ret_used);

/* ---- encoder ------------------------------------------------------------------------------------------------------*/

struct smtp_data_encoder {
	uint8_t state;
};

void smtp_data_encoder_init(struct smtp_data_encoder *e);

/* Appends the content in its stuffed form. It must be canonical: every CR and LF part of a CRLF; a CR at the end of
 * `content` is held back until its LF comes. *ret_used is set for every result.
 * RC_OK: all of `content` is consumed. RC_AGAIN: `to` has no room for the rest; empty it and go on. RC_NOMEM: nothing
 * was consumed. RC_SYNTAX: a bare CR or LF (not written): drop the connection, the message cannot be sent; every
 * further call says the same. */
enum rc smtp_data_encode(struct smtp_data_encoder *e, struct slice content, struct buf *to, size_t *ret_used);

/* The end of the message: completes the last line when it has no CRLF, and adds "." CRLF. RC_AGAIN: `to` has no room,
 * nothing written. RC_SYNTAX as above, also for a content that ends in a bare CR. RC_NOMEM. */
enum rc smtp_data_encode_end(struct smtp_data_encoder *e, struct buf *to);

#endif
