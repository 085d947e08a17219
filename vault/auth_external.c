/* vault/auth_external.c -- EXTERNAL (RFC 4422 appendix A): the client is whom its TLS certificate belongs to. */
#include "vault/auth_exchange.h"

void
external_respond(struct exchange *x, struct slice response)
{
	struct slice user = x->has_certificate ? users_of_certificate(x->auth->users, x->fingerprint) : S("");

	if (slice_find(response, 0) < response.n) {
		exchange_no(x, AUTH_MALFORMED, "malformed EXTERNAL response");
		return;
	}
	if (user.n == 0) {
		exchange_no(x, AUTH_WRONG, x->has_certificate ? "the certificate is nobody's" : "no client certificate");
		return;
	}
	if (exchange_claims(x, user) && exchange_acts_as(x, response))
		exchange_yes(x);
}
