/* vault/auth_dovecot_name.c -- whom a client claims to be, read off what passes through to Dovecot: failures are counted by it.
 * Nothing is decided here; a message that cannot be read has no name. */
#include "vault/auth_dovecot.h"

#include "common/wire/scram.h"

static const struct slice scram = SLICE("SCRAM-SHA-256");

/* The value of a saslname in a GS2 header (RFC 5801 4): "n,a=NAME,". */
static struct slice
gs2_name(struct slice message)
{
	struct slice rest = slice_from(message, slice_find(message, ',') + 1);
	struct slice name = slice_first(rest, slice_find(rest, ','));

	return slice_starts(name, S("a=")) ? slice_from(name, 2) : S("");
}

/* "user=NAME" 0x01 "auth=Bearer TOKEN" 0x01 0x01 */
static struct slice
xoauth2_name(struct slice message)
{
	struct slice first = slice_first(message, slice_find(message, 1));

	return slice_starts(first, S("user=")) ? slice_from(first, 5) : S("");
}

/* RFC 4616: [authzid] NUL authcid NUL passwd */
static struct slice
plain_name(struct slice message)
{
	struct slice rest = slice_from(message, slice_find(message, 0) + 1);

	return slice_first(rest, slice_find(rest, 0));
}

static void
put_scram_name(struct buf *to, struct slice message)
{
	struct scram_first f;

	if (scram_first_parse(message, &f) == RC_OK)
		(void)scram_name_decode(f.user, to);
}

void
dovecot_name_put(struct buf *to, struct slice mechanism, unsigned n, struct slice response)
{
	if (n > 0)
		return;
	if (slice_starts(mechanism, scram))
		put_scram_name(to, response);
	else if (slice_eq(mechanism, S("OAUTHBEARER")))
		(void)scram_name_decode(gs2_name(response), to);
	else if (slice_eq(mechanism, S("XOAUTH2")))
		(void)buf_put_slice(to, xoauth2_name(response));
	else if (slice_eq(mechanism, S("PLAIN")))
		(void)buf_put_slice(to, plain_name(response));
	else
		(void)buf_put_slice(to, response);	/* LOGIN */
}

bool
dovecot_name_is_proof(struct slice mechanism, unsigned n)
{
	return n == (slice_starts(mechanism, scram) || slice_eq(mechanism, S("LOGIN")) ? 1 : 0);
}
