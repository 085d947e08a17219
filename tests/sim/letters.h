/* tests/sim/letters.h -- the ledger: every message that a client sent, what it was told, and where it was seen again. */
#ifndef POSTERN_TESTS_SIM_LETTERS_H
#define POSTERN_TESTS_SIM_LETTERS_H

#include "common/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum { LETTER_RCPTS_MAX = 4, LETTER_ADDRESS_MAX = 64 };

enum letter_fate {
	LETTER_UNSENT,		/* no final dot was sent: nobody may ever see it */
	LETTER_ASKED,		/* the dot was sent, no answer came: either is right */
	LETTER_PUT_OFF,		/* 4xx */
	LETTER_REFUSED,		/* 5xx */
	LETTER_ACCEPTED,	/* 250: it must not be lost */
};

struct letter_rcpt {
	char address[LETTER_ADDRESS_MAX];
	bool accepted;		/* its RCPT was */
	unsigned taken;		/* copies that a server has taken */
	unsigned unsure;	/* of these, without having said so, or not in a way that must have been heard */
	unsigned reports, unsure_reports;	/* that it failed, at the sender's server */
	unsigned delays, unsure_delays;		/* that it waits */
};

struct letter {
	uint32_t no;
	enum letter_fate fate;
	char sender[LETTER_ADDRESS_MAX];	/* empty: <> */
	struct letter_rcpt rcpts[LETTER_RCPTS_MAX];
	unsigned n_rcpts;
	char *text;		/* with CRLF, not dot-stuffed */
	size_t n;
	uint64_t born;
	uint64_t crashes;	/* before its final dot */
	int written_to;		/* descriptor of the disk, while it is not synced; -1 */
	bool durable;
};

void letters_begin(void);
void letters_end(void);
struct letter *letter_new(void);	/* with recipients, sender and text */
unsigned letters_count(void);
unsigned letters_accepted(void);

/* A server has taken this content, for these recipients (addresses, n of them). sure: it said 250. */
void letters_seen(struct slice sender, const char (*rcpts)[LETTER_ADDRESS_MAX], unsigned n, struct slice content, bool sure);

/* The queue wrote these bytes, synced that file; or the power went. */
void letters_written(int fd, struct slice bytes);
void letters_synced(int fd);
void letters_cut(void);

/* Of all accepted ones, how many are neither delivered nor reported yet. */
unsigned letters_open(void);
/* At the end: every promise, letter by letter. */
void letters_check(void);
/* When mail may be returned as too old. */
void letters_set_expiry(uint64_t us);
/* From now on ages across a restart are known badly: mail must still be tried for a twentieth of the time. */
void letters_clock_is_wrong(void);

#endif
