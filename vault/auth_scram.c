/* vault/auth_scram.c -- SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677), channel bindings tls-exporter (RFC 9266)
 * and tls-server-end-point (RFC 5929). */
#include "vault/auth_exchange.h"

#include "common/wire/base64.h"
#include "common/wire/scram.h"

#include <sodium.h>
#include <stdlib.h>

enum {
	NONCE_BYTES = 18,		/* of ours, before base64: no padding, which is not needed, and no comma */
	FIRST_MAX = 2048,		/* bytes of the client's first message */
};

struct scram {
	struct scram_verifier verifier;
	bool known;			/* else the verifier is nobody's */
	struct buf signed_so_far;	/* client-first-message-bare "," server-first-message */
	struct buf binding;		/* what c= must decode to */
	struct buf nonce;		/* of both */
	struct buf final;		/* the client's final message, while it waits */
};

void
scram_free(struct exchange *x)
{
	struct scram *s = x->scram;

	if (s == NULL)
		return;
	buf_free(&s->signed_so_far);
	buf_free(&s->binding);
	buf_free(&s->nonce);
	buf_free(&s->final);
	sodium_memzero(s, sizeof *s);
	free(s);
	x->scram = NULL;
}

static bool
make(struct exchange *x)
{
	struct scram *s = calloc(1, sizeof *s);

	if (s == NULL) {
		exchange_no(x, AUTH_TEMPORARY, "out of memory");
		return false;
	}
	buf_init(&s->signed_so_far, FIRST_MAX * 2);
	buf_init(&s->binding, FIRST_MAX + AUTH_BINDING_MAX);
	buf_init(&s->nonce, SCRAM_NONCE_MAX * 2);
	buf_init(&s->final, AUTH_RESPONSE_MAX);
	x->scram = s;
	return true;
}

/* RFC 5802 6: what the client says about channel binding must agree with the mechanism that it chose and with what it was
 * offered; otherwise somebody between us has changed one of them. False: it has said no. */
static bool
check_binding(struct exchange *x, const struct scram_first *f)
{
	bool plus = (x->mechanism->flags & NEEDS_BINDING) != 0;
	struct slice data = S("");

	if (plus != (f->flag == 'p')) {
		exchange_no(x, AUTH_WRONG, plus ? "no channel binding in a -PLUS mechanism" : "channel binding without -PLUS");
		return false;
	}
	if (f->flag == 'y' && x->plus) {
		exchange_no(x, AUTH_WRONG, "the client was not shown our -PLUS mechanism: somebody is between us");
		return false;
	}
	if (plus && slice_eq(f->binding, S("tls-exporter")))
		data = slice_of(x->exporter, x->exporter_n);
	else if (plus && slice_eq(f->binding, S("tls-server-end-point")))
		data = slice_of(x->end_point, x->end_point_n);
	if (plus && data.n == 0) {
		exchange_no(x, AUTH_WRONG, "a channel binding that this connection does not have");
		return false;
	}
	(void)buf_put_slice(&x->scram->binding, f->gs2);
	(void)buf_put_slice(&x->scram->binding, data);
	return true;
}

/* Who does not exist has a salt too, always the same one. */
static void
find_verifier(struct exchange *x)
{
	const struct user *user = users_find(x->auth->users, exchange_user(x));
	struct scram *s = x->scram;

	s->known = user != NULL && user->has_scram;
	if (s->known)
		s->verifier = user->scram;
	else
		users_scram_decoy(x->auth->users, exchange_user(x), &s->verifier);
}

static void
answer_first(struct exchange *x, const struct scram_first *f)
{
	struct buf answer = BUF_INIT(FIRST_MAX);
	uint8_t ours[NONCE_BYTES];
	struct scram *s = x->scram;

	randombytes_buf(ours, sizeof ours);
	(void)buf_put_slice(&s->nonce, f->nonce);
	(void)base64_put(&s->nonce, slice_of(ours, sizeof ours));
	(void)buf_put_str(&answer, "r=");
	(void)buf_put_slice(&answer, buf_slice(&s->nonce));
	(void)buf_put_str(&answer, ",s=");
	(void)base64_put(&answer, slice_of(s->verifier.salt, s->verifier.salt_n));
	(void)buf_printf(&answer, ",i=%u", s->verifier.iterations);
	(void)buf_put_slice(&s->signed_so_far, f->bare);
	(void)buf_put_byte(&s->signed_so_far, ',');
	(void)buf_put_slice(&s->signed_so_far, buf_slice(&answer));
	if (s->nonce.failed || answer.failed || s->signed_so_far.failed || s->binding.failed)
		exchange_no(x, AUTH_TEMPORARY, "out of memory");
	else
		exchange_challenge(x, buf_slice(&answer));
	buf_free(&answer);
}

static void
take_first(struct exchange *x, struct slice message)
{
	struct buf name = BUF_INIT(PREPARE_USER_MAX), authzid = BUF_INIT(PREPARE_USER_MAX);
	struct scram_first f;
	enum rc rc = message.n > FIRST_MAX ? RC_SYNTAX : scram_first_parse(message, &f);
	bool go_on = false;

	if (rc == RC_OK)
		rc = scram_name_decode(f.user, &name);
	if (rc == RC_OK)
		rc = scram_name_decode(f.authzid, &authzid);
	if (rc != RC_OK)
		exchange_no(x, AUTH_MALFORMED, "malformed first message");
	else
		go_on = exchange_claims(x, buf_slice(&name)) && exchange_acts_as(x, buf_slice(&authzid)) && make(x) &&
		    check_binding(x, &f);
	if (go_on) {
		find_verifier(x);
		answer_first(x, &f);
	}
	buf_free(&name);
	buf_free(&authzid);
}

/* Does the client know the password? H(ClientProof XOR ClientSignature) is the stored key (RFC 5802 3). */
static bool
proves(const struct scram *s, struct slice unproven, const uint8_t proof[SCRAM_KEY_BYTES])
{
	const struct slice parts[] = { buf_slice(&s->signed_so_far), S(","), unproven };
	uint8_t key[SCRAM_KEY_BYTES], hash[SCRAM_KEY_BYTES];

	hmac_sha256(slice_of(s->verifier.stored_key, SCRAM_KEY_BYTES), parts, 3, key);
	for (size_t i = 0; i < sizeof key; i++)
		key[i] ^= proof[i];
	(void)crypto_hash_sha256(hash, key, sizeof key);
	return (sodium_memcmp(hash, s->verifier.stored_key, sizeof hash) == 0) & s->known;
}

/* RFC 4954 has no place for data beside a success: it goes as a challenge, to which the client has nothing to say. */
static void
show_ourselves(struct exchange *x, struct slice unproven)
{
	const struct slice parts[] = { buf_slice(&x->scram->signed_so_far), S(","), unproven };
	struct buf answer = BUF_INIT(64);
	uint8_t mac[SCRAM_KEY_BYTES];

	hmac_sha256(slice_of(x->scram->verifier.server_key, SCRAM_KEY_BYTES), parts, 3, mac);
	(void)buf_put_str(&answer, "v=");
	(void)base64_put(&answer, slice_of(mac, sizeof mac));
	if (answer.failed)
		exchange_no(x, AUTH_TEMPORARY, "out of memory");
	else
		exchange_challenge(x, buf_slice(&answer));
	buf_free(&answer);
}

/* After the wait. */
static void
check_final(struct exchange *x)
{
	struct scram *s = x->scram;
	struct buf binding = BUF_INIT(FIRST_MAX + AUTH_BINDING_MAX), proof = BUF_INIT(SCRAM_KEY_BYTES);
	struct scram_final f = { 0 };
	bool ok = scram_final_parse(buf_slice(&s->final), &f) == RC_OK && base64_decode(f.binding, &binding) == RC_OK &&
	    base64_decode(f.proof, &proof) == RC_OK && buf_len(&proof) == SCRAM_KEY_BYTES;

	if (!ok)
		exchange_no(x, AUTH_MALFORMED, "malformed final message");
	else if (!slice_eq(buf_slice(&binding), buf_slice(&s->binding)))
		exchange_no(x, AUTH_WRONG, "the channel binding is another");
	else if (!slice_eq(f.nonce, buf_slice(&s->nonce)))
		exchange_no(x, AUTH_WRONG, "the nonce is another");
	else if (!proves(s, f.unproven, buf_slice(&proof).p))
		exchange_no(x, AUTH_WRONG, users_say_why(x->auth->users, exchange_user(x), true));
	else
		show_ourselves(x, f.unproven);
	buf_free(&binding);
	buf_free(&proof);
}

void
scram_respond(struct exchange *x, struct slice response)
{
	switch (x->step++) {
	case 0:
		take_first(x, response);
		break;
	case 1:
		if (buf_put_slice(&x->scram->final, response))
			exchange_wait(x, check_final);
		else
			exchange_no(x, AUTH_TEMPORARY, "out of memory");
		break;
	default:
		if (response.n == 0)
			exchange_yes(x);
		else
			exchange_no(x, AUTH_MALFORMED, "a response after the last one");
	}
}
