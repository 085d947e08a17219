/* master/conf_check.c -- checks of the configuration beyond types and ranges, see conf_check.h. */
#include "master/conf_check.h"

#include "common/extension.h"
#include "common/ip.h"
#include "common/tls_settings.h"
#include "common/policy/networks.h"
#include "common/policy/suggest.h"
#include "common/wire/domain.h"
#include "master/dovecot.h"
#include "master/listen.h"

#include <errno.h>
#include <grp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

struct checking {
	const struct conf_source *source;
	const struct conf *c;
	struct buf *errors;
	bool failed;
	bool relay_clients_failed;	/* other lists may name them: said once, where they stand */
};

/* --- complaints --- */

static const struct conf_option *
option_at(const struct conf_section *s, size_t offset)
{
	for (size_t i = 0; i < s->n_options; i++)
		if (s->options[i].offset == offset)
			return &s->options[i];
	return NULL;
}

/* field: the wrong one, an address inside its section's struct. */
static void __attribute__((format(printf, 3, 4)))
complain(struct checking *k, const void *field, const char *format, ...)
{
	char text[1024];
	va_list ap;

	k->failed = true;
	for (size_t i = 0; i < n_conf_sections; i++) {
		const struct conf_section *s = &conf_sections[i];

		for (size_t n = 0; n < conf_section_count(k->c, s); n++) {
			const char *at = conf_section_at(k->c, s, n), *f = field;
			const struct conf_option *o;
			const struct conf_origin *origin;
			const struct conf_section_head *head;

			if (f < at || f >= at + s->size)
				continue;
			o = option_at(s, (size_t)(f - at));
			origin = conf_origin_find(k->source, s, n, o);
			head = conf_section_at(k->c, s, n);
			if (origin != NULL && origin->file != NULL)
				(void)buf_printf(k->errors, "%s:%u: ", origin->file, origin->line);
			else if (origin == NULL && head->conf_file != NULL)	/* a default is wrong there */
				(void)buf_printf(k->errors, "%s:%u: ", head->conf_file, head->conf_line);
			if (*s->name != '\0')
				(void)buf_printf(k->errors, "%s%s%s%s: ", s->name, s->multi ? " \"" : "",
				    s->multi ? conf_section_title(k->c, s, n) : "", s->multi ? "\"" : "");
			if (o != NULL)
				(void)buf_printf(k->errors, "%s: ", o->name);
		}
	}
	va_start(ap, format);
	(void)vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	(void)buf_printf(k->errors, "%s\n", text);
}

static void
check_word(struct checking *k, char *const *field, const char *const *words, size_t n)
{
	char list[256];
	size_t at = 0;

	for (size_t i = 0; i < n; i++)
		if (strcmp(*field, words[i]) == 0)
			return;
	for (size_t i = 0; i < n; i++)
		at += (size_t)snprintf(list + at, sizeof list - at, "%s%s", i == 0 ? "" : i + 1 == n ? " or " : ", ", words[i]);
	complain(k, field, "'%s' makes no sense; write %s", *field, list);
}

#define CHECK_WORD(k, field, ...) \
	check_word((k), &(field), (const char *const[]){ __VA_ARGS__ }, \
	    sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

/* --- the sections --- */

static void
check_global(struct checking *k)
{
	const struct conf_global *g = &k->c->global;

	CHECK_WORD(k, g->sandbox, "enforce", "best-effort");
	if (domain_check(slice_str(g->hostname)) != RC_OK)
		complain(k, &g->hostname, "'%s' is no domain name; write a name such as mail.example.org", g->hostname);
	else if (strchr(g->hostname, '.') == NULL)
		complain(k, &g->hostname,
		    "'%s' has no dot, and other servers refuse such names (RFC 5321 2.3.5); write a full domain name",
		    g->hostname);
	if (*g->admin_group != '\0' && getgrnam(g->admin_group) == NULL)
		complain(k, &g->admin_group, "there is no group %s; make it with groupadd, or leave the option empty",
		    g->admin_group);
	if (*g->postmaster == '\0')
		complain(k, &g->postmaster, "must not be empty: mail for postmaster has to go somewhere (RFC 5321 4.5.1)");
}

/* A start finds it out too, but -n is what people ask before a reload. */
static void
check_log_folder(struct checking *k, char *const *path)
{
	const char *slash = strrchr(*path, '/');
	char *folder = slash == *path ? strdup("/") : strndup(*path, (size_t)(slash - *path));
	struct stat st;

	/* What this user may not look at, others may. */
	if (folder != NULL && (stat(folder, &st) == 0 ? !S_ISDIR(st.st_mode) : errno == ENOENT || errno == ENOTDIR))
		complain(k, path, "there is no folder %s; make it", folder);
	free(folder);
}

static void
check_log(struct checking *k)
{
	const struct conf_log *l = &k->c->log;

	CHECK_WORD(k, l->format, "text", "json");
	if (strcmp(l->to, "stderr") != 0 && strcmp(l->to, "syslog") != 0 && *l->to != '/')
		complain(k, &l->to, "'%s' makes no sense; write stderr, syslog, or the whole path of a file", l->to);
	else if (*l->to == '/')
		check_log_folder(k, &l->to);
}

static void
check_queue(struct checking *k)
{
	const struct conf_queue *q = &k->c->queue;

	if (q->retry_first > q->retry_max)
		complain(k, &q->retry_first, "is longer than retry-max; lower it or raise retry-max");
	if (q->concurrency_first > q->concurrency_max)
		complain(k, &q->concurrency_first, "is more than concurrency-max; lower it or raise concurrency-max");
	if (q->big_message > q->segment_size / 4)
		complain(k, &q->big_message, "is more than a quarter of segment-size; lower it or raise segment-size");
}

static bool
names_relay_clients(const struct conf_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->v[i], "relay-clients") == 0)
			return true;
	return false;
}

static void
check_networks(struct checking *k, const struct conf_list *list)
{
	struct buf why = BUF_INIT(1024);
	struct table *t = NULL;

	if (k->relay_clients_failed && names_relay_clients(list))
		return;
	if (networks_compile(k->c, list, &t, &why) != RC_OK)
		complain(k, list, "%s", buf_cstr(&why) == NULL ? "out of memory" : buf_cstr(&why));
	table_free(t);
	buf_free(&why);
}

/* The file of a table that only the router asks has not been read yet: conf_tables_check() looks into it. */
static bool
is_for_router_alone(const struct conf *c, const char *word)
{
	for (size_t i = 0; i < c->n_tables && *word == '@'; i++)
		if (strcmp(c->tables[i].title, word + 1) == 0)
			return *c->tables[i].file != '\0' && !networks_name_table(c, word + 1);
	return false;
}

static void
check_relay_clients(struct checking *k)
{
	const struct conf_list *all = &k->c->router.relay_clients;

	for (size_t i = 0; i < all->n && !k->relay_clients_failed; i++) {
		const struct conf_list one = { .v = &all->v[i], .n = 1 };
		struct buf why = BUF_INIT(1024);
		struct table *t = NULL;

		if (!is_for_router_alone(k->c, all->v[i]) && networks_compile(k->c, &one, &t, &why) != RC_OK) {
			complain(k, all, "%s", buf_cstr(&why) == NULL ? "out of memory" : buf_cstr(&why));
			k->relay_clients_failed = true;
		}
		table_free(t);
		buf_free(&why);
	}
}

static void
check_disable(struct checking *k, const struct conf_list *names)
{
	for (size_t i = 0; i < names->n; i++)
		if (extension_find(slice_str(names->v[i])) == EXT_COUNT)
			complain(k, names, "'%s' is no extension that can be switched off; write its EHLO keyword", names->v[i]);
}

static void
check_smtpd(struct checking *k)
{
	check_networks(k, &k->c->limits.exempt);
	check_networks(k, &k->c->smtpd.vrfy);
	CHECK_WORD(k, k->c->smtpd.bare_newline, "reject", "normalise");
	check_networks(k, &k->c->smtpd.bare_newline_networks);
	check_disable(k, &k->c->smtpd.disable);
	check_networks(k, &k->c->smtpd.priority_clients);
	check_networks(k, &k->c->smtpd.etrn_clients);
	check_networks(k, &k->c->smtpd.report_clients);
}

static void
check_deliver(struct checking *k)
{
	const struct conf_deliver *d = &k->c->deliver;
	unsigned n4 = 0, n6 = 0;

	for (size_t i = 0; i < d->source.n; i++) {
		struct ip ip;

		if (ip_parse(slice_str(d->source.v[i]), &ip) != RC_OK)
			complain(k, &d->source, "'%s' is no IP address", d->source.v[i]);
		else if (ip.family == 4)
			n4++;
		else
			n6++;
	}
	if (n4 > 1 || n6 > 1)
		complain(k, &d->source, "one IPv4 and one IPv6 address at most");
	if (!d->ipv4 && !d->ipv6)
		complain(k, &d->ipv4, "and ipv6 are both off: nothing could be delivered; switch one on");
	if (*d->helo != '\0' && domain_check(slice_str(d->helo)) != RC_OK)
		complain(k, &d->helo, "'%s' is no domain name", d->helo);
}

/* A start opens it, and finds out too; but -n is what people ask before. What this user may not look at, others may. */
static void
check_file(struct checking *k, char *const *path)
{
	struct stat st;

	if (stat(*path, &st) == 0 ? !S_ISREG(st.st_mode) : errno == ENOENT || errno == ENOTDIR)
		complain(k, path, "there is no file %s; make it, or leave the option out", *path);
}

static void
check_resolver(struct checking *k)
{
	const struct conf_resolver *r = &k->c->resolver;

	CHECK_WORD(k, r->mode, "auto", "recursive", "forward");
	if (strcmp(r->mode, "forward") == 0 && r->forwarders.n == 0)
		complain(k, &r->mode, "forward needs forwarders = {\"192.0.2.53\"}");
	if (*r->root_hints != '\0')
		check_file(k, &r->root_hints);
	if (*r->trust_anchor != '\0' && strcmp(r->trust_anchor, "none") != 0)
		check_file(k, &r->trust_anchor);
	for (size_t i = 0; i < r->forwarders.n; i++) {
		struct slice s = slice_str(r->forwarders.v[i]);
		size_t at = slice_find(s, '@');
		char *end = NULL;
		unsigned long port = at == s.n ? 53 : strtoul(r->forwarders.v[i] + at + 1, &end, 10);
		struct ip ip;

		if (ip_parse(slice_first(s, at), &ip) != RC_OK || (end != NULL && *end != '\0') || port == 0 || port > 65535)
			complain(k, &r->forwarders, "'%s' is no name server; write an address, or address@port",
			    r->forwarders.v[i]);
	}
}

/* name:uid:gid:home */
static void
check_users(struct checking *k)
{
	const struct conf_local *l = &k->c->local;

	for (size_t i = 0; i < l->users.n; i++) {
		const char *text = l->users.v[i], *colon = strchr(text, ':');
		char *end = NULL;
		unsigned long uid = colon == NULL ? 0 : strtoul(colon + 1, &end, 10);
		bool ok = colon != NULL && colon != text && end != colon + 1 && *end == ':';

		if (ok) {
			const char *gid = end + 1;

			(void)strtoul(gid, &end, 10);
			ok = end != gid && end[0] == ':' && end[1] == '/';
		}
		if (!ok)
			complain(k, &l->users, "'%s' is no user; write name:uid:gid:/home/name", text);
		else if (uid < l->min_uid)
			complain(k, &l->users, "'%s' has a uid below min-uid (%u) and would get no mail", text, l->min_uid);
	}
	if (strncmp(l->maildir, "~/", 2) != 0 && *l->maildir != '/')
		complain(k, &l->maildir, "'%s' must begin with ~/ or /", l->maildir);
}

static void
check_tls(struct checking *k)
{
	const struct conf_tls *t = &k->c->tls;
	struct buf why = BUF_INIT(1024);
	const char *option = "";
	enum rc rc = tls_settings_check(t, &option, &why);

	for (size_t i = 0; i < n_conf_sections && rc != RC_OK; i++)
		for (size_t o = 0; o < conf_sections[i].n_options; o++)
			if (strcmp(conf_sections[i].name, "tls") == 0 && strcmp(conf_sections[i].options[o].name, option) == 0)
				complain(k, (const char *)t + conf_sections[i].options[o].offset, "%s",
				    buf_words(&why, "out of memory"));
	buf_free(&why);
}

static void
check_listener_tls(struct checking *k, const struct conf_listener *l)
{
	bool asks = strcmp(l->client_certificate, "none") != 0, none = strcmp(l->tls, "none") == 0;

	CHECK_WORD(k, l->tls, "none", "starttls", "implicit");
	CHECK_WORD(k, l->client_certificate, "none", "request", "require");
	if (k->c->n_certificates == 0 && strcmp(l->tls, "implicit") == 0)
		complain(k, &l->tls, "implicit needs a certificate section");
	if (l->require_tls && (none || k->c->n_certificates == 0))
		complain(k, &l->require_tls, none ? "cannot stand beside tls = none; leave one of them out" :
		    "needs a certificate section: nobody could send anything");
	if (asks && none)
		complain(k, &l->client_certificate, "cannot stand beside tls = none; leave one of them out");
	if (*l->client_ca != '\0' && !asks)
		complain(k, &l->client_ca, "is of no use without client-certificate = request or require");
	if (*l->client_ca != '\0' && *l->client_ca != '/')
		complain(k, &l->client_ca, "'%s' must be a whole path", l->client_ca);
}

static void
check_path(struct checking *k, char *const *field)
{
	if (**field != '\0' && **field != '/')
		complain(k, field, "'%s' must be a whole path", *field);
}

static void
check_auth(struct checking *k)
{
	static const char *const known[] = { "PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "EXTERNAL", "OAUTHBEARER",
		"XOAUTH2" };
	const struct conf_auth *a = &k->c->auth;

	check_path(k, &a->users_file);
	check_path(k, &a->certificates_file);
	if (*a->certificates_file == '/')
		check_file(k, &a->certificates_file);
	check_path(k, &a->dovecot);
	if (strlen(a->dovecot) > DOVECOT_PATH_MAX)
		complain(k, &a->dovecot, "is longer than the path of a socket can be");
	if (*a->dovecot != '\0' && *a->users_file != '\0')
		complain(k, &a->dovecot, "cannot stand beside users-file, since one of them says who users are; leave one out");
	if (a->failure_delay > a->failure_delay_max)
		complain(k, &a->failure_delay, "is longer than failure-delay-max; lower it or raise failure-delay-max");
	for (size_t i = 0; i < a->unlimited_users.n; i++)
		if (*a->unlimited_users.v[i] == '@')
			complain(k, &a->unlimited_users, "'%s': no table can stand here; write the names of the users themselves",
			    a->unlimited_users.v[i]);
	for (size_t i = 0; i < a->mechanisms.n; i++) {
		size_t n = 0;

		while (n < sizeof known / sizeof known[0] && strcasecmp(a->mechanisms.v[i], known[n]) != 0)
			n++;
		if (n == sizeof known / sizeof known[0])
			complain(k, &a->mechanisms, "there is no mechanism '%s'", a->mechanisms.v[i]);
	}
}

static bool
switches_off(const struct conf_list *disable, enum extension e)
{
	for (size_t i = 0; i < disable->n; i++)
		if (extension_find(slice_str(disable->v[i])) == e)
			return true;
	return false;
}

/* What is switched off here or for all listeners, and nobody could send mail without. */
static void
check_needed(struct checking *k, const struct conf_listener *l, const struct conf_list *disable)
{
	if (strcmp(l->kind, "submission") == 0 && switches_off(disable, EXT_AUTH))
		complain(k, disable, "AUTH must be left on: nobody could send mail to listener \"%s\", which is of kind "
		    "submission and wants a login first", l->title);
	if (l->require_tls && strcmp(l->tls, "starttls") == 0 && switches_off(disable, EXT_STARTTLS))
		complain(k, disable, "STARTTLS must be left on: nobody could send mail to listener \"%s\", which has require-tls",
		    l->title);
}

static void
check_listener(struct checking *k, const struct conf_listener *l)
{
	CHECK_WORD(k, l->kind, "relay", "submission");
	if (*l->auth != '\0')
		CHECK_WORD(k, l->auth, "yes", "no");
	if (strcmp(l->kind, "submission") == 0 && strcmp(l->auth, "no") == 0)
		complain(k, &l->auth, "must not be no: nobody could send mail here, for a listener of kind submission wants a "
		    "login first");
	check_networks(k, &l->proxy);
	check_networks(k, &l->xclient);
	check_listener_tls(k, l);
	check_disable(k, &l->disable);
	check_needed(k, l, &l->disable);
	check_needed(k, l, &k->c->smtpd.disable);
	if (l->address.n == 0)
		complain(k, &l->address, "is empty; name an address, or leave the section out");
	for (size_t i = 0; i < l->address.n; i++) {
		struct ip ip;

		if (listen_address_parse(l->address.v[i], &ip) != RC_OK)
			complain(k, &l->address, "'%s' is no IP address; write 192.0.2.1, ::1, * or ::", l->address.v[i]);
	}
}

static void
check_table(struct checking *k, const struct conf_table *t)
{
	CHECK_WORD(k, t->format, "text", "passwd");
	if (*t->file != '\0' && t->values.n > 0)
		complain(k, &t->file, "cannot stand beside values; leave one of them out");
	if (*t->file != '\0' && *t->file != '/')
		complain(k, &t->file, "'%s' must be a whole path", t->file);
}

static void
check_transport(struct checking *k, char *const *name)
{
	static const char *const always[] = { "smtp", "local" };
	const size_t n_always = sizeof always / sizeof always[0];
	struct buf meant = BUF_INIT(256);
	const char *hint;
	struct suggest near;

	suggest_init(&near, slice_str(*name));
	for (size_t i = 0; i < n_always + k->c->n_transports; i++) {
		const char *have = i < n_always ? always[i] : k->c->transports[i - n_always].title;

		if (strcmp(have, *name) == 0)
			return;
		suggest_offer(&near, slice_str(have));
	}
	suggest_put(&near, &meant);
	hint = buf_cstr(&meant);
	complain(k, name, "there is no transport \"%s\"; declare one, or use smtp or local%s", *name, hint == NULL ? "" : hint);
	buf_free(&meant);
}

/* Is what comes to the one a case for the other, too? "::" takes no IPv4 here. */
static bool
same_place(struct ip a, struct ip b)
{
	return a.family == b.family && (ip_eq(a, b) || ip_is_unspecified(a) || ip_is_unspecified(b));
}

/* Of the first n addresses of a listener the one that is at this place; NULL: none. */
static const char *
address_at(const struct conf_listener *l, size_t n, struct ip wanted)
{
	struct ip ip;

	for (size_t i = 0; i < n; i++)
		if (listen_address_parse(l->address.v[i], &ip) == RC_OK && same_place(ip, wanted))
			return l->address.v[i];
	return NULL;
}

/* Of two at one place the kernel would know one only, and refuses an address below one that stands for all. */
static void
check_places(struct checking *k, size_t at)
{
	const struct conf_listener *l = &k->c->listeners[at], *other = k->c->listeners;
	const char *taken;
	struct ip ip;

	for (; other <= l; other++)
		for (size_t i = 0; l->port == other->port && i < l->address.n; i++) {
			if (listen_address_parse(l->address.v[i], &ip) != RC_OK)
				continue;
			taken = address_at(other, other == l ? i : other->address.n, ip);
			if (taken == NULL)
				continue;
			if (other == l)
				complain(k, &l->address, "%s and %s overlap; leave one of them out", taken,
				    l->address.v[i]);
			else
				complain(k, &l->port, "port %u of %s is listener \"%s\"'s too (%s, line %u); give one of them"
				    " another", l->port, l->address.v[i], other->title, taken, other->conf_line);
			return;
		}
}

static void
check_multi(struct checking *k)
{
	const struct conf *c = k->c;

	for (size_t i = 0; i < c->n_listeners; i++) {
		check_listener(k, &c->listeners[i]);
		check_places(k, i);
	}
	for (size_t i = 0; i < c->n_tables; i++)
		check_table(k, &c->tables[i]);
	for (size_t i = 0; i < c->n_transports; i++)
		CHECK_WORD(k, c->transports[i].kind, "smtp", "local");
	for (size_t i = 0; i < c->n_rules; i++) {
		CHECK_WORD(k, c->rules[i].action, "accept", "reject", "defer");
		if (*c->rules[i].transport != '\0')
			check_transport(k, &c->rules[i].transport);
	}
	for (size_t i = 0; i < c->n_routes; i++)
		check_transport(k, &c->routes[i].transport);
}

enum rc
conf_check(const struct conf_source *s, struct buf *errors)
{
	struct checking k = { s, s->conf, errors, false, false };

	check_global(&k);
	check_relay_clients(&k);
	check_log(&k);
	check_smtpd(&k);
	check_queue(&k);
	check_deliver(&k);
	check_resolver(&k);
	CHECK_WORD(&k, s->conf->router.header_from, "reject", "sender", "ignore");
	check_users(&k);
	check_tls(&k);
	check_auth(&k);
	check_multi(&k);
	return k.failed ? RC_SYNTAX : RC_OK;
}
