/* tests/sim/smtp_model.c -- see smtp_model.h. */
#include "tests/sim/smtp_model.h"

#include <stdio.h>
#include <string.h>

/* What a MAIL or RCPT is refused for by itself. */
static const unsigned broken[SAID_KINDS] = { [SAID_BAD_MAIL] = 501, [SAID_MAIL_PARAM] = 555, [SAID_MAIL_BIG] = 552,
	[SAID_MAIL_LONG] = 553, [SAID_BAD_RCPT] = 501, [SAID_RCPT_PARAM] = 501, [SAID_RCPT_LONG] = 553 };
/* And content. */
static const unsigned spoiled[CONTENT_KINDS] = { [CONTENT_NUL] = 554, [CONTENT_LONG_LINE] = 554, [CONTENT_LOOP] = 554,
	[CONTENT_TOO_BIG] = 552, [CONTENT_BARE_LF] = 550 };

/* RFC 5321 4.3.2: what each command may be told; the codes of a line belong to all commands from first to last. 451 to DATA
 * is ours: the queue was lost since MAIL, which is none of the usual circumstances that the table is about. */
static const struct {
	enum said first, last;
	unsigned codes[16];
} sequences[] = {
	{ SAID_EHLO, SAID_BAD_EHLO, { 250, 504, 550, 502 } },
	{ SAID_MAIL, SAID_MAIL_LONG, { 250, 552, 451, 452, 550, 553, 503, 455, 555 } },
	{ SAID_RCPT, SAID_RCPT_LONG, { 250, 251, 550, 551, 552, 553, 450, 451, 452, 503, 455, 555 } },
	{ SAID_DATA, SAID_DATA_ARG, { 354, 503, 554, 451 } },
	{ SAID_BDAT, SAID_BDAT_LAST, { 250, 503, 554, 451, 452 } },	/* RFC 3030 2 */
	{ SAID_RSET, SAID_RSET_ARG, { 250 } },
	{ SAID_NOOP, SAID_NOOP, { 250 } },
	{ SAID_VRFY, SAID_VRFY_BARE, { 250, 251, 252, 550, 551, 553, 502, 504 } },
	{ SAID_EXPN, SAID_EXPN, { 250, 252, 550, 502, 504 } },
	{ SAID_HELP, SAID_HELP, { 211, 214, 502, 504 } },
	{ SAID_NOT_OFFERED, SAID_NOT_OFFERED, { 502 } },
	{ SAID_QUIT_ARG, SAID_QUIT, { 221 } },
	{ SAID_HTTP, SAID_HTTP, { 421 } },	/* no command of SMTP, and no client of it */
};

bool
model_may(enum said said, unsigned code)
{
	if (code == 500 || code == 501 || code == 421)
		return true;
	for (size_t i = 0; i < sizeof sequences / sizeof sequences[0]; i++)
		for (size_t k = 0; said >= sequences[i].first && said <= sequences[i].last && sequences[i].codes[k] != 0; k++)
			if (sequences[i].codes[k] == code)
				return true;
	return false;
}

bool
model_may_content(unsigned code)
{
	static const unsigned codes[] = { 250, 552, 554, 451, 452, 450, 550 };

	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
		if (codes[i] == code)
			return true;
	return false;
}

/* The one thing that ends a transaction, however it ends. */
static void
forget(struct model *m)
{
	m->mail = m->rcpt_seen = m->chunks = false;
	m->sender[0] = '\0';
	m->n_rcpts = m->n_named = 0;
}

static unsigned
ends(struct model *m, unsigned code)
{
	forget(m);
	m->over = true;
	return code;
}

static bool
is_stale(const struct model *m)
{
	return !m->queue_up || m->epoch != m->queue_epoch;
}

static unsigned
mail(struct model *m, enum said said, const char *address)
{
	if (!m->greeted || m->mail)
		return 503;
	if (broken[said] != 0)
		return broken[said];
	if (!m->queue_up)
		return 451;
	if (!m->queue_takes)
		return 452;
	m->mail = true;
	m->epoch = m->queue_epoch;
	(void)snprintf(m->sender, sizeof m->sender, "%s", address);
	return 250;
}

static bool
is_named(const struct model *m, const char *address)
{
	for (size_t i = 0; i < m->n_rcpts; i++)
		if (strcmp(m->rcpts[i], address) == 0)
			return true;
	return false;
}

static unsigned
rcpt(struct model *m, enum said said, const char *address, enum verdict what)
{
	if (!m->mail || m->chunks)
		return 503;
	m->rcpt_seen = true;
	if (broken[said] != 0)
		return broken[said];
	if (is_stale(m))
		return 451;
	if (m->n_named >= m->rcpts_max)
		return 452;
	if (!m->router_up)
		return 451;
	if (what != VERDICT_YES)
		return what == VERDICT_NEVER ? 550 : 450;
	m->n_named++;
	if (!is_named(m, address))
		(void)snprintf(m->rcpts[m->n_rcpts++], MODEL_TEXT_MAX, "%s", address);
	return 250;
}

static unsigned
data(struct model *m, bool argument)
{
	m->content_may_come = true;
	if (!m->mail)
		return 503;
	if (argument)
		return 501;
	if (m->chunks)
		return 503;
	if (m->n_rcpts == 0)
		return m->rcpt_seen ? 554 : 503;
	m->content_may_come = is_stale(m);
	return is_stale(m) ? 451 : 354;
}

/* A chunk of plain text, smaller than what smtpd gathers before it turns to the queue. */
static unsigned
bdat(struct model *m, bool last)
{
	bool stale = is_stale(m);
	unsigned refusal = !m->mail ? 503 : m->n_rcpts == 0 && m->rcpt_seen ? 554 : m->n_rcpts == 0 ? 503 : stale && !m->chunks ?
	    451 : 0;

	/* What follows a chunk that is missing is no message. */
	if (refusal != 0) {
		forget(m);
		return refusal;
	}
	m->chunks = true;
	if (last)
		forget(m);
	return last && stale ? 451 : 250;
}

bool
model_bdat_hands_over(const struct model *m, enum said said)
{
	return said == SAID_BDAT_LAST && m->mail && m->n_rcpts > 0 && !is_stale(m);
}

unsigned
model_command(struct model *m, enum said said, const char *address, enum verdict what)
{
	bool content = m->content_may_come;

	m->content_may_come = false;
	switch (said) {
	case SAID_EHLO:
	case SAID_HELO:
		forget(m);
		m->greeted = true;
		return 250;
	case SAID_BAD_EHLO:
		return 501;
	case SAID_MAIL:
	case SAID_BAD_MAIL:
	case SAID_MAIL_PARAM:
	case SAID_MAIL_BIG:
	case SAID_MAIL_LONG:
		return mail(m, said, address);
	case SAID_RCPT:
	case SAID_BAD_RCPT:
	case SAID_RCPT_PARAM:
	case SAID_RCPT_LONG:
		return rcpt(m, said, address, what);
	case SAID_DATA:
		return data(m, false);
	case SAID_BDAT:
	case SAID_BDAT_LAST:
		return bdat(m, said == SAID_BDAT_LAST);
	case SAID_DATA_ARG:
		return data(m, true);
	case SAID_RSET:
		forget(m);
		return 250;
	case SAID_RSET_ARG:
	case SAID_QUIT_ARG:
	case SAID_VRFY_BARE:
		return 501;
	case SAID_NOOP:
		return 250;
	case SAID_VRFY:
	case SAID_EXPN:
		return 252;
	case SAID_HELP:
		return 214;
	case SAID_NOT_OFFERED:
		return 502;
	case SAID_UNKNOWN:
	case SAID_LONG:
		return content ? ends(m, 421) : 500;
	case SAID_NUL:
		return content ? ends(m, 421) : 501;
	case SAID_QUIT:
		return ends(m, 221);
	case SAID_HTTP:
		return ends(m, 421);
	case SAID_BARE_LF:
		return ends(m, content ? 421 : 500);	/* and 421 */
	case SAID_KINDS:
		break;
	}
	return 0;
}

bool
model_hands_over(const struct model *m, enum content content)
{
	return spoiled[content] == 0 && !is_stale(m);
}

unsigned
model_content(struct model *m, enum content content, unsigned queue, unsigned *ret_second)
{
	unsigned fault = spoiled[content];
	bool stale = is_stale(m);

	*ret_second = 0;
	forget(m);
	if (content == CONTENT_BARE_LF)
		*ret_second = ends(m, 421);
	return fault != 0 ? fault : queue != 0 ? queue : stale ? 451 : 0;
}
