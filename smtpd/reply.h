/* smtpd/reply.h -- how a reply is written: code, enhanced code, text (RFC 5321 4.2, RFC 2034).
 *
 * Replies gather in the session's output buffer and leave in one write (RFC 2920 3.2). A text from another room is made
 * harmless here: whatever is not printable ASCII becomes `?`, so no text can forge a second reply. */
#ifndef POSTERN_SMTPD_REPLY_H
#define POSTERN_SMTPD_REPLY_H

#include "common/buf.h"
#include "common/slice.h"

enum {
	REPLY_LINE_MAX = 512,		/* with CRLF, RFC 5321 4.5.3.1.5; longer texts are cut */
	REPLY_TEXT_MAX = REPLY_LINE_MAX - 4 - 10 - 2,	/* without code, enhanced code and CRLF */
	REPLY_HIGH = 16 * 1024,		/* unsent bytes at which a session handles no further command */
	REPLY_BUFFER_MAX = 96 * 1024,	/* that, and what one turn can add: a whole batch of RCPT replies */
};

/* Appends one line. more: another line of the same reply follows (`-` behind the code). enhanced may be empty. False:
 * `out` is full. */
bool reply_line(struct buf *out, unsigned code, struct slice enhanced, struct slice text, bool more);

/* 250 with a mailbox, which may be in UTF-8: the only reply that may hold it, and only to a client that said SMTPUTF8 with VRFY
 * or EXPN (RFC 6531 3.7.4.2). */
bool reply_mailbox(struct buf *out, struct slice mailbox);

/* A refusal as a value: what another room or a check decided, to be said later. */
struct refusal {
	unsigned code;		/* 400..599; 0: there is none */
	char enhanced[10];
	char text[320];
};

void refusal_set(struct refusal *r, unsigned code, const char *enhanced, const char *text);

/* From another room. One that makes no sense (not 4xx or 5xx, class of another code) becomes a plain 451 4.3.0. */
void refusal_from_room(struct refusal *r, unsigned code, struct slice enhanced, struct slice text);

/* A challenge of AUTH, whose text is base64 of any length (RFC 4954 4). */
bool reply_challenge(struct buf *out, struct slice text);

#endif
