/* master/conf_warn.c -- see conf_warn.h. */
#include "master/conf_warn.h"

#include "common/ip.h"
#include "common/log.h"

#include <stdlib.h>
#include <strings.h>

static bool
checks_passwords(const struct conf_auth *a)
{
	return *a->users_file != '\0' || *a->dovecot != '\0';
}

static bool
permits(const struct conf_auth *a, const char *mechanism)
{
	for (size_t i = 0; i < a->mechanisms.n; i++)
		if (strcasecmp(a->mechanisms.v[i], mechanism) == 0)
			return true;
	return false;
}

/* EXTERNAL takes the certificates of clients, which the listener has to ask for. */
static bool
can_take_certificates(const struct conf *c, const struct conf_listener *l)
{
	return *c->auth.certificates_file != '\0' && permits(&c->auth, "EXTERNAL") && strcmp(l->client_certificate, "none") != 0;
}

static bool
permits_passwords(const struct conf_auth *a)
{
	for (size_t i = 0; i < a->mechanisms.n; i++)
		if (strcasecmp(a->mechanisms.v[i], "EXTERNAL") != 0)
			return true;
	return false;
}

/* NULL: somebody can. */
static const char *
why_nobody_logs_in(const struct conf *c, const struct conf_listener *l)
{
	bool tls = strcmp(l->tls, "none") != 0 && c->n_certificates > 0;

	if (!conf_uses_auth(c))
		return "there is nothing to log in by; set auth { users-file } (posternctl passwd makes it), auth { dovecot } or"
		    " auth { certificates-file }";
	if (!tls && !l->auth_without_tls)
		return strcmp(l->tls, "none") == 0 ?
		    "logins are taken inside TLS only, and tls = none; take that away, or set auth-without-tls = yes" :
		    "logins are taken inside TLS only, and there is no certificate section; add one, or set"
		    " auth-without-tls = yes";
	if (can_take_certificates(c, l) || (checks_passwords(&c->auth) && permits_passwords(&c->auth)))
		return NULL;
	if (checks_passwords(&c->auth))
		return "auth { mechanisms } leaves none that takes a password";
	return "certificates alone say who users are (auth { certificates-file }); set client-certificate = request, and leave"
	    " EXTERNAL in auth { mechanisms }";
}

static bool
is_submission(const struct conf_listener *l)
{
	return strcmp(l->kind, "submission") == 0;
}

static bool
takes_logins(const struct conf_listener *l)
{
	return *l->auth == '\0' ? is_submission(l) : strcmp(l->auth, "yes") == 0;
}

static void
put_listener(const struct conf_listener *l, struct buf *notes)
{
	if (l->conf_file != NULL)
		(void)buf_printf(notes, "%s:%u: ", l->conf_file, l->conf_line);
	(void)buf_printf(notes, "warning: listener \"%s\": ", l->title);
}

static void
warn_of_logins(const struct conf *c, const struct conf_listener *l, struct buf *notes)
{
	const char *why = why_nobody_logs_in(c, l);

	if ((!is_submission(l) && !takes_logins(l)) || why == NULL)
		return;
	put_listener(l, notes);
	(void)buf_printf(notes, "nobody can log in here%s: %s\n", is_submission(l) ? ", and so nobody can send" : "", why);
}

/* Does a rule for this listener ask who the certificate says that the client is? */
static bool
rules_look_at_certificates(const struct conf *c, const struct conf_listener *l)
{
	for (size_t i = 0; i < c->n_rules; i++) {
		const struct conf_rule *r = &c->rules[i];
		bool here = r->listener.n == 0;

		for (size_t k = 0; k < r->listener.n; k++)
			here = here || strcmp(r->listener.v[k], l->title) == 0;
		if (here && r->client_certificate.n > 0)
			return true;
	}
	return false;
}

/* RFC 8314 4.2: clients are not asked for certificates that are of no use. That whoever client-ca did not sign is kept out, is
 * one. */
static void
warn_of_certificates(const struct conf *c, const struct conf_listener *l, struct buf *notes)
{
	bool gate = strcmp(l->client_certificate, "require") == 0 && *l->client_ca != '\0';

	if (strcmp(l->client_certificate, "none") == 0 || gate || c->router.relay_certificates.n > 0 ||
	    rules_look_at_certificates(c, l) || (takes_logins(l) && can_take_certificates(c, l)))
		return;
	put_listener(l, notes);
	(void)buf_printf(notes, "client-certificate = %s, and nothing here looks at the certificates: no rule has"
	    " client-certificate, there is no router { relay-certificates }, and nobody logs in by one (auth {"
	    " certificates-file }); leave it out, since some clients trouble their users about it\n", l->client_certificate);
}

static void
warn_of_listener(const struct conf *c, const struct conf_listener *l, struct buf *notes)
{
	warn_of_logins(c, l, notes);
	warn_of_certificates(c, l, notes);
}

/* Does anybody say what clients are called? */
static bool
has_client_names(const struct conf *c)
{
	bool told = c->smtpd.client_names;

	for (size_t i = 0; i < c->n_listeners; i++)
		told = told || c->listeners[i].xclient.n > 0;
	return told;
}

/* One that refuses would let everybody pass. */
static void
warn_of_names(const struct conf *c, const struct conf_rule *r, struct buf *notes)
{
	if (r->client_name.n == 0 || has_client_names(c))
		return;
	if (r->conf_file != NULL)
		(void)buf_printf(notes, "%s:%u: ", r->conf_file, r->conf_line);
	(void)buf_printf(notes, "warning: rule \"%s\": client-name matches nobody, since smtpd { client-names } is no; set it to"
	    " yes, or take the rule away\n", r->title);
}

/* What conf_complete() makes of a host without a domain, and what some installers write into /etc/hosts. */
static void
warn_of_hostname(const struct conf *c, struct buf *notes)
{
	static const struct slice nowhere = SLICE(".localdomain");
	struct slice name = slice_str(c->global.hostname);

	if (name.n < nowhere.n || !slice_caseeq(slice_from(name, name.n - nowhere.n), nowhere))
		return;
	(void)buf_printf(notes, "warning: hostname: this server calls itself %s, which is no name in the DNS, and others may"
	    " refuse its mail for it; set hostname to the full domain name of this host\n", c->global.hostname);
}

void
conf_warn(const struct conf *c, struct buf *notes)
{
	warn_of_hostname(c, notes);
	for (size_t i = 0; i < c->n_listeners; i++)
		warn_of_listener(c, &c->listeners[i], notes);
	for (size_t i = 0; i < c->n_rules; i++)
		warn_of_names(c, &c->rules[i], notes);
}

/* --- how it is written --- */

static void
put_option(const struct conf_source *s, const struct conf_origin *o, struct buf *notes)
{
	const char *title = conf_section_title(s->conf, o->section, o->nth);

	if (o->file != NULL)
		(void)buf_printf(notes, "%s:%u: ", o->file, o->line);
	(void)buf_put_str(notes, "warning: ");
	if (*o->section->name != '\0' && title != NULL)
		(void)buf_printf(notes, "%s \"%s\": ", o->section->name, title);
	else if (*o->section->name != '\0')
		(void)buf_printf(notes, "%s: ", o->section->name);
	(void)buf_printf(notes, "%s: ", o->option->name);
}

/* 10.0.0.1/8 is read as 10.0.0.0/8, which may be much more than was meant. */
static void
warn_of_networks(const struct conf_source *s, const struct conf_origin *o, struct buf *notes)
{
	const struct conf_list *l = (const struct conf_list *)(const void *)((const char *)conf_section_at(s->conf, o->section,
	    o->nth) + o->option->offset);

	for (size_t i = 0; i < l->n; i++) {
		struct slice word = slice_str(l->v[i]);
		char text[IP_NET_TEXT_MAX];
		struct ip_net net;

		if (!ip_net_is_wide(word, &net))
			continue;
		(void)ip_net_format(net, text);
		put_option(s, o, notes);
		(void)buf_printf(notes, "%s means all of %s; write that, or the address alone\n", l->v[i], text);
	}
}

void
conf_warn_text(const struct conf_source *s, struct buf *notes)
{
	for (size_t i = 0; i < s->n_origins; i++) {
		const struct conf_origin *o = &s->origins[i];

		if (o->again != 0 && o->file == NULL) {
			put_option(s, o, notes);
			(void)buf_put_str(notes, "stands twice behind -o, and only the last counts; leave one of them out\n");
		} else if (o->again != 0) {
			put_option(s, o, notes);
			(void)buf_printf(notes, "stands a second time, in line %u, and only what it says there counts; leave one"
			    " of them out\n", o->again);
		}
		if (o->option->kind == CONF_LIST && conf_origin_find(s, o->section, o->nth, o->option) == o)
			warn_of_networks(s, o, notes);
	}
}

void
conf_warn_log(const struct conf *c)
{
	struct buf notes = BUF_INIT(64 * 1024);
	struct slice rest;

	conf_warn(c, &notes);
	for (rest = buf_slice(&notes); rest.n > 0;) {
		struct slice line = slice_first(rest, slice_find(rest, '\n'));

		log_say(LOG_CONFIG_WARNING, NULL, F_STR("what", line));
		rest = slice_from(rest, line.n + 1);
	}
	buf_free(&notes);
}
