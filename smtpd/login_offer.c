/* smtpd/login_offer.c -- whether AUTH is offered, and by which mechanisms, see login.h. */
#include "smtpd/login.h"

bool
login_listener_offers(const struct session *s)
{
	if (s->listener_conf == NULL || (s->extensions_off & (UINT32_C(1) << EXT_AUTH)) != 0)
		return false;
	return *s->listener_conf->auth == '\0' ? s->submission : strcmp(s->listener_conf->auth, "yes") == 0;
}

bool
login_is_private(const struct session *s)
{
	return stream_is_tls(&s->stream) || (s->listener_conf != NULL && s->listener_conf->auth_without_tls);
}

/* Could this client use it? */
static bool
fits(const struct session *s, struct slice mechanism)
{
	static const struct slice plus = SLICE("-PLUS");

	if (slice_eq(mechanism, S("EXTERNAL")))
		return stream_client_certificate(&s->stream) != NULL;
	/* RFC 7628 3: a bearer token never crosses the line in the clear, whatever the listener allows otherwise. */
	if (slice_eq(mechanism, S("OAUTHBEARER")) || slice_eq(mechanism, S("XOAUTH2")))
		return stream_is_tls(&s->stream);
	if (mechanism.n > plus.n && slice_eq(slice_from(mechanism, mechanism.n - plus.n), plus))
		return stream_is_tls(&s->stream);
	return true;
}

static struct slice
mechanisms_of(const struct session *s)
{
	return s->smtpd->mechanisms == NULL ? S("") : slice_str(s->smtpd->mechanisms);
}

bool
login_has_mechanism(const struct session *s, struct slice name)
{
	struct slice rest = mechanisms_of(s), word;

	while (slice_word(&rest, S(" "), &word))
		if (fits(s, word) && slice_caseeq(word, name))
			return true;
	return false;
}

bool
login_has_plus(const struct session *s)
{
	struct slice rest = mechanisms_of(s), word;

	while (slice_word(&rest, S(" "), &word))
		if (fits(s, word) && word.n > 5 && slice_eq(slice_from(word, word.n - 5), S("-PLUS")))
			return true;
	return false;
}

bool
login_mechanisms_put(struct buf *to, const struct session *s)
{
	struct slice rest = mechanisms_of(s), word;
	bool first = true;

	while (slice_word(&rest, S(" "), &word)) {
		if (!fits(s, word))
			continue;
		if (!first)
			(void)buf_put_byte(to, ' ');
		(void)buf_put_slice(to, word);
		first = false;
	}
	return !to->failed && !first;
}

bool
login_is_offered(const struct session *s)
{
	struct buf text = BUF_INIT(LOGIN_MECHANISMS_MAX);
	bool any = s->user == NULL && login_listener_offers(s) && login_is_private(s) && login_mechanisms_put(&text, s);

	buf_free(&text);
	return any;
}
