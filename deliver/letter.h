/* deliver/letter.h -- the content of a message on its way into a mailbox. Pure: chunks in, bytes out.
 *
 * Lines end in LF, as every program that reads mailboxes expects. Return-Path fields of earlier deliveries go (RFC 5321
 * 4.4: there is one, the last); nothing else is touched. Delivered-To fields that name one of the recipients show a
 * loop: the message has been in that mailbox before. */
#ifndef POSTERN_DELIVER_LETTER_H
#define POSTERN_DELIVER_LETTER_H

#include "common/buf.h"
#include "common/wire/header.h"

enum {
	LETTER_VALUE_MAX = 1024,	/* of a Delivered-To; a longer one names no recipient */
	LETTER_ADDRESS_MAX = 512,
};

struct letter_rcpt {
	uint16_t index;			/* the queue's number */
	struct slice address;
	bool loops;			/* set when the header says so */
};

struct letter {
	struct letter_rcpt *rcpts;	/* borrowed */
	size_t n_rcpts;
	uint8_t state;
	bool dropping;			/* the field that streams by is a Return-Path */
	bool capturing;			/* it is a Delivered-To */
	bool cr;			/* a CR is held until the next byte */
	bool plain;			/* set behind letter_init: binary content, no byte of which may change (RFC 3030 3) */
	uint64_t seen;			/* bytes of the header */
	uint8_t name[HEADER_NAME_MAX];
	size_t name_len;
	struct buf value;		/* its value so far, with the colon */
};

void letter_init(struct letter *l, struct letter_rcpt *rcpts, size_t n_rcpts);
void letter_free(struct letter *l);

/* The next bytes of content; what they become is appended to `to` (never longer than piece, and what was held back:
 * LETTER_HELD_MAX). False: `to` is full. */
enum { LETTER_HELD_MAX = HEADER_NAME_MAX + 2 };
bool letter_feed(struct letter *l, struct slice piece, struct buf *to);
/* The content is over. */
bool letter_end(struct letter *l, struct buf *to);

/* What a mailbox has on top of the content (RFC 5321 4.4). sender: without <>. */
bool letter_head(struct buf *to, struct slice sender, struct slice rcpt);

/* May this stand in a header: no control characters, not too long. */
bool letter_address_valid(struct slice address);

#endif
