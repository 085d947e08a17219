/* tests/sim/smtp_model.h -- what a session of the server must say, and what it must have handed to the queue: RFC 5321 and
 * our own limits, written down a second time and as simply as can be, to be compared with smtpd (THREATS 4). Pure. */
#ifndef POSTERN_TESTS_SIM_SMTP_MODEL_H
#define POSTERN_TESTS_SIM_SMTP_MODEL_H

#include <stdbool.h>
#include <stddef.h>

enum { MODEL_RCPTS_MAX = 100, MODEL_TEXT_MAX = 64 };

/* What a client may say. For each: does it fit the grammar, and which rule does it break if not? */
enum said {
	SAID_EHLO, SAID_HELO, SAID_BAD_EHLO,
	SAID_MAIL, SAID_BAD_MAIL, SAID_MAIL_PARAM, SAID_MAIL_BIG, SAID_MAIL_LONG,
	SAID_RCPT, SAID_BAD_RCPT, SAID_RCPT_PARAM, SAID_RCPT_LONG,
	SAID_DATA, SAID_DATA_ARG, SAID_BDAT, SAID_BDAT_LAST,
	SAID_RSET, SAID_RSET_ARG, SAID_NOOP, SAID_VRFY, SAID_VRFY_BARE, SAID_EXPN, SAID_HELP,
	SAID_NOT_OFFERED, SAID_UNKNOWN, SAID_NUL, SAID_LONG, SAID_QUIT_ARG,
	SAID_QUIT, SAID_HTTP, SAID_BARE_LF,
	SAID_KINDS
};

/* And as content. */
enum content { CONTENT_GOOD, CONTENT_EMPTY, CONTENT_NUL, CONTENT_LONG_LINE, CONTENT_TOO_BIG, CONTENT_LOOP, CONTENT_BARE_LF,
	CONTENT_KINDS };

/* The router's word for a recipient. */
enum verdict { VERDICT_YES, VERDICT_NEVER, VERDICT_LATER };

struct model {
	/* The rooms around it. */
	bool router_up, queue_up, queue_takes;
	unsigned queue_epoch;		/* counts its lines */
	size_t rcpts_max;
	/* The session. */
	bool greeted, over;
	bool content_may_come;		/* DATA was refused just now */
	/* The transaction. */
	bool mail;
	char sender[MODEL_TEXT_MAX];
	char rcpts[MODEL_RCPTS_MAX][MODEL_TEXT_MAX];
	size_t n_rcpts;
	size_t n_named;			/* those that were named again too */
	bool rcpt_seen;
	bool chunks;			/* some BDAT was taken */
	unsigned epoch;			/* of the line that it began on */
};

/* May this be the reply to that? RFC 5321 4.3.2. */
bool model_may(enum said said, unsigned code);
bool model_may_content(unsigned code);	/* the same of what follows 354 */
/* The reply that is due (its code). address: of MAIL and RCPT; what: the router's word for it. */
unsigned model_command(struct model *m, enum said said, const char *address, enum verdict what);
/* Is the whole message to reach the queue with this BDAT? To be asked before model_command. */
bool model_bdat_hands_over(const struct model *m, enum said said);
/* Content was sent after 354. Is it to reach the queue? */
bool model_hands_over(const struct model *m, enum content content);
/* And the reply; queue: the code that the queue gave, when it was asked. A second reply may follow: 0 for none. */
unsigned model_content(struct model *m, enum content content, unsigned queue, unsigned *ret_second);

#endif
