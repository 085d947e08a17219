/* smtpd/cmd_bdat.c -- BDAT: so many bytes of content follow (RFC 3030 2).
 *
 * Whatever is said against it, the bytes of the chunk come: they are read away before the reply, so that no content is ever
 * taken for commands. Only when their number cannot be known, or is absurd, does the session end. */
#include "common/wire/smtp_param.h"
#include "smtpd/command.h"
#include "smtpd/offer.h"
#include "smtpd/receive.h"
#include "smtpd/submit.h"

/* False: refused, and why. */
static bool
may_come(const struct session *s, uint64_t size, struct skip *ret_skip)
{
	const struct transaction *tx = s->tx;

	*ret_skip = (struct skip){ .left = size, .code = 503, .enhanced = "5.5.1", .text = "Say RCPT first" };
	if (command_lacks_tls(s))
		*ret_skip = (struct skip){ .left = size, .code = 530, .enhanced = "5.7.0",
		    .text = "Must issue a STARTTLS command first" };
	else if (s->phase != PH_MAIL && s->phase != PH_CHUNKS)
		ret_skip->text = s->phase == PH_HELLO ? "Say EHLO or HELO first" : "Say MAIL first";
	else if (tx->n_rcpts == 0 && tx->rcpt_seen)
		*ret_skip = (struct skip){ .left = size, .code = 554, .enhanced = "5.5.1", .text = "No valid recipients" };
	else if (tx->n_rcpts > 0)
		return true;
	return false;
}

/* RFC 3030 2 would have it read away first; but that would take hours, for nothing (THREATS 7). */
static bool
is_absurd(const struct session *s, uint64_t size)
{
	return size > BDAT_SKIP_MIN && size / BDAT_SKIP_FACTOR > s->conf->smtpd.max_message_size;
}

void
cmd_bdat(struct session *s, struct slice arg)
{
	struct skip skip;
	uint64_t size;
	bool last;
	enum rc rc;

	if (!offers(s, EXT_CHUNKING)) {
		session_cut_off(s, 502, "5.5.1", "Command not implemented", "BDAT, which is not offered");
		return;
	}
	rc = smtp_bdat_parse(arg, &size, &last);
	if (rc == RC_SYNTAX) {
		session_cut_off(s, 501, "5.5.4", "Syntax: BDAT size [LAST]", "malformed BDAT");
		return;
	}
	if (rc != RC_OK || is_absurd(s, size)) {
		session_cut_off(s, 552, "5.3.4", "Chunk exceeds the size limit by far", "endless chunk");
		return;
	}
	if (!may_come(s, size, &skip)) {
		session_skip(s, &skip);
	} else if (s->tx->receive == NULL && (!submit_alive(s->tx) || receive_begin(s->tx, true) != RC_OK)) {
		skip.code = 451;
		skip.enhanced = "4.3.0";
		skip.text = "The message cannot be taken now, try again later";
		session_skip(s, &skip);
	} else {
		receive_chunk(s, size, last);
	}
}
