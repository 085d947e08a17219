/* common/policy/rules.c -- from a struct conf and the bytes of its tables to a struct policy; every refusal says where
 * the line stands and what to do. See rules.h. */
#include "common/policy/rules.h"

#include "common/escape.h"
#include "common/policy/address.h"
#include "common/policy/mistakes.h"
#include "common/policy/reply.h"
#include "common/policy/senders.h"
#include "common/policy/suggest.h"

#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
static const char passwd_path[] = "/etc/passwd";
static const char passwd_name[] = "@passwd";

/* What is being compiled. A mistake does not end it: all of them are told. */
struct work {
	struct policy *p;
	struct mistakes m;
};

static void
put_quoted(struct buf *to, const char *word)
{
	enum { QUOTE_MAX = 80 };

	(void)buf_put_byte(to, '"');
	(void)escape_put(to, slice_str(word), QUOTE_MAX);
	(void)buf_put_byte(to, '"');
}

/* --- tables --- */

static const struct table *
find_table(void *ctx, struct slice name, struct buf *why)
{
	const struct work *w = ctx;
	struct suggest close;

	suggest_init(&close, name);
	for (size_t i = 0; i < w->p->n_tables; i++) {
		struct slice have = slice_str(table_name(w->p->tables[i]));

		if (slice_eq(have, name))
			return w->p->tables[i];
		suggest_offer(&close, have);
	}
	(void)buf_put_str(why, "there is no table \"");
	(void)escape_put(why, name, POLICY_TITLE_MAX);
	(void)buf_put_str(why, "\"; declare it in a table section");
	suggest_put(&close, why);
	return NULL;
}

static bool
list_names(const struct conf_list *l, const char *word)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->v[i], word) == 0)
			return true;
	return false;
}

bool
policy_uses_passwd(const struct conf *conf)
{
	const struct conf_router *r = &conf->router;
	bool uses = list_names(&r->local_users, passwd_name);

	for (size_t i = 0; i < conf->n_rules; i++)
		uses |= list_names(&conf->rules[i].to_user, passwd_name);
	return uses;
}

static void
load_file(struct work *w, struct table *t, const char *name, const char *path, bool passwd, const struct policy_files *files)
{
	const struct conf *c = w->p->conf;
	struct buf what = BUF_INIT(1024);
	struct slice bytes;
	enum rc rc = files->load(files->ctx, slice_str(name), path, &bytes, &what);

	if (rc != RC_OK || bytes.n > c->router.max_table_size) {
		w->m.option = passwd && w->m.section == NULL ? NULL : "file";
		mistake_start(&w->m);
		if (rc == RC_OK)
			(void)buf_printf(&w->m.one, "%s %s", path, table_too_large);
		else
			(void)buf_printf(&w->m.one, "%s: ", path);
		(void)buf_put_slice(&w->m.one, buf_slice(&what));
		mistake_told(&w->m, rc == RC_OK ? RC_RANGE : rc);
	} else {
		buf_clear(&w->m.one);
		rc = passwd ? table_load_passwd(t, bytes, c->local.min_uid, path, &w->m.one) :
		    table_load_text(t, bytes, path, &w->m.one);
		if (rc != RC_OK)
			mistake_told(&w->m, rc);
	}
	buf_free(&what);
}

static void
load_values(struct work *w, struct table *t, const struct conf_list *values)
{
	struct buf what = BUF_INIT(1024);

	w->m.option = "values";
	for (size_t i = 0; i < values->n; i++) {
		struct slice word = slice_str(values->v[i]);
		size_t end = slice_find(word, '"') < word.n ? word.n : slice_find(word, ' ');
		enum rc rc = table_add(t, slice_first(word, end), slice_from(word, end + 1), 0, &what);

		if (rc != RC_OK) {
			mistake_start(&w->m);
			(void)buf_put_slice(&w->m.one, buf_slice(&what));
			mistake_told(&w->m, rc);
			buf_clear(&what);
		}
	}
	buf_free(&what);
}

static struct table *
add_table(struct work *w, const char *name)
{
	struct policy *p = w->p;
	struct table **grown = reallocarray(p->tables, p->n_tables + 1, sizeof *grown), *t = NULL;

	if (grown != NULL) {
		p->tables = grown;
		t = table_new(name);
	}
	if (t == NULL)
		mistakes_out_of_memory(&w->m);
	else
		p->tables[p->n_tables++] = t;
	return t;
}

/* False, and said: of this one nothing can be loaded. */
static bool
check_table(struct work *w, const struct conf_table *section)
{
	bool passwd = strcmp(section->format, "passwd") == 0, has_file = section->file[0] != '\0';
	size_t before = w->m.n;

	if (!passwd && strcmp(section->format, "text") != 0) {
		w->m.option = "format";
		mistake_say(&w->m, RC_SYNTAX, "the format of a table is text or passwd");
	}
	w->m.option = has_file ? "file" : NULL;
	if (has_file == (section->values.n > 0))
		mistake_say(&w->m, RC_SYNTAX, has_file ? "a table has a file or values, not both; remove one" :
		    "a table needs a file or values; add one of them");
	w->m.option = "format";
	if (passwd && !has_file)
		mistake_say(&w->m, RC_SYNTAX, "the format passwd is for files; remove it");
	w->m.option = NULL;
	return w->m.n == before;
}

static void
compile_table(struct work *w, const struct conf_table *section, const struct policy_files *files)
{
	struct table *t;
	bool fit;

	mistakes_enter(&w->m, section, "table");
	for (size_t i = 0; i < w->p->n_tables; i++)
		if (strcmp(table_name(w->p->tables[i]), section->title) == 0) {
			mistake_say(&w->m, RC_EXISTS, "a table of this name stands above; give it another name");
			return;
		}
	if (strcmp(section->title, passwd_name + 1) == 0) {
		mistake_say(&w->m, RC_EXISTS, "\"passwd\" is the name of the system's users; give the table another name");
		return;
	}
	fit = check_table(w, section);
	/* One that is unfit is there all the same: lists that name it make no mistake of their own. */
	t = add_table(w, section->title);
	if (!fit || t == NULL)
		return;
	if (section->file[0] != '\0')
		load_file(w, t, section->title, section->file, strcmp(section->format, "passwd") == 0, files);
	else
		load_values(w, t, &section->values);
}

static void
compile_passwd(struct work *w, const struct policy_files *files)
{
	const struct conf_local *local = &w->p->conf->local;
	struct table *t = add_table(w, passwd_name + 1);
	struct buf what = BUF_INIT(1024);

	if (t == NULL)
		return;
	mistakes_enter(&w->m, NULL, NULL);
	load_file(w, t, passwd_name, passwd_path, true, files);
	mistakes_enter(&w->m, local, "local");
	w->m.option = "users";
	for (size_t i = 0; i < local->users.n; i++) {
		enum rc rc = table_add_account(t, slice_str(local->users.v[i]), local->min_uid, &what);

		if (rc != RC_OK) {
			mistake_start(&w->m);
			(void)buf_put_slice(&w->m.one, buf_slice(&what));
			mistake_told(&w->m, rc);
			buf_clear(&what);
		}
	}
	buf_free(&what);
}

static void
compile_tables(struct work *w, const struct policy_files *files)
{
	const struct conf *c = w->p->conf;

	for (size_t i = 0; i < c->n_tables; i++)
		compile_table(w, &c->tables[i], files);
	if (policy_uses_passwd(c))
		compile_passwd(w, files);
}

/* --- lists --- */

static enum rc
compile_words(struct work *w, const struct conf_list *list, unsigned kinds, const char *wanted, struct patterns *ret_p, bool say)
{
	struct buf what = BUF_INIT(1024);
	enum rc rc = patterns_compile(list, kinds, wanted, find_table, w, ret_p, &what);

	if (rc != RC_OK && say) {
		mistake_start(&w->m);
		(void)buf_put_slice(&w->m.one, rc == RC_NOMEM ? S("out of memory") : buf_slice(&what));
		mistake_told(&w->m, rc);
	}
	buf_free(&what);
	return rc;
}

/* Of a list with a mistake nothing remains. Every word that is wrong by itself is told; else what is wrong with all of it. */
static void
compile_list(struct work *w, const char *option, const struct conf_list *list, unsigned kinds, const char *wanted,
    struct patterns *ret_p)
{
	size_t before = w->m.n;

	w->m.option = option;
	if (compile_words(w, list, kinds, wanted, ret_p, false) == RC_OK)
		return;
	for (size_t i = 0; i < list->n; i++) {
		const struct conf_list word = { &list->v[i], 1 };
		struct patterns alone;

		if (compile_words(w, &word, kinds, wanted, &alone, true) == RC_OK)
			patterns_free(&alone);
	}
	if (w->m.n == before)
		(void)compile_words(w, list, kinds, wanted, ret_p, true);
}

static const char wanted_nets[] = "a network such as 192.0.2.0/24";
static const char wanted_names[] = "a domain such as example.org or *.example.org";
static const char wanted_domains[] = "a domain such as example.org or *.example.org, or a literal such as [192.0.2.1]";
static const char wanted_addresses[] = "an address, a domain, user@ or <>";
static const char wanted_users[] = "the name of a user";
static const char wanted_accounts[] = "the name of an account, in ASCII";
static const char wanted_logins[] = "the name of a user, which may be an address, or the domain of such names";
static const char wanted_prints[] = "the SHA-256 fingerprint of a certificate: 64 hexadecimal digits";

/* --- routes --- */

static const struct conf_transport *
find_transport(const struct work *w, const char *name, struct suggest *close)
{
	const struct conf *c = w->p->conf;

	for (size_t i = 0; i < c->n_transports; i++) {
		if (strcmp(c->transports[i].title, name) == 0)
			return &c->transports[i];
		suggest_offer(close, slice_str(c->transports[i].title));
	}
	return NULL;
}

static void
compile_transport(struct work *w, const char *name, struct policy_route *route)
{
	const struct conf_transport *t;
	struct suggest close;

	route->transport = name;
	suggest_init(&close, slice_str(name));
	t = find_transport(w, name, &close);
	if (t != NULL) {
		route->local = strcmp(t->kind, "local") == 0;
		return;
	}
	route->local = strcmp(name, "local") == 0;
	if (route->local || *name == '\0' || strcmp(name, "smtp") == 0)
		return;
	w->m.option = "transport";
	mistake_start(&w->m);
	(void)buf_put_str(&w->m.one, "there is no transport ");
	put_quoted(&w->m.one, name);
	(void)buf_put_str(&w->m.one, "; declare it in a transport section");
	suggest_offer(&close, S("smtp"));
	suggest_offer(&close, S("local"));
	suggest_put(&close, &w->m.one);
	mistake_told(&w->m, RC_NOTFOUND);
}

static void
compile_route(struct work *w, const char *transport, const char *relay_host, struct policy_route *route)
{
	struct buf text = BUF_INIT(POLICY_NEXTHOP_MAX);
	enum rc rc;

	compile_transport(w, transport, route);
	if (*relay_host == '\0')
		return;
	w->m.option = "relay-host";
	if (route->local)
		mistake_say(&w->m, RC_SYNTAX, "mail for mailboxes on this host has no relay host; remove it or the transport");
	rc = policy_nexthop_put(&text, slice_str(relay_host));
	if (rc == RC_OK)
		memcpy(route->nexthop, buf_slice(&text).p, buf_len(&text));
	buf_free(&text);
	if (rc == RC_OK)
		return;
	mistake_start(&w->m);
	put_quoted(&w->m.one, relay_host);
	(void)buf_put_str(&w->m.one, " is no next hop; write example.org (its MX), [host.example.org], [192.0.2.1] or one "
	    "of these with :port");
	mistake_told(&w->m, rc);
}

static void
compile_transports(struct work *w)
{
	const struct conf *c = w->p->conf;

	for (size_t i = 0; i < c->n_transports; i++) {
		const struct conf_transport *t = &c->transports[i];
		bool known = strcmp(t->kind, "smtp") == 0 || strcmp(t->kind, "local") == 0;

		mistakes_enter(&w->m, t, "transport");
		if (t->title[0] == '\0' || strlen(t->title) > POLICY_TRANSPORT_MAX)
			mistake_say(&w->m, RC_RANGE, "a transport has a name of 1 to 64 bytes");
		for (size_t k = 0; k < i; k++)
			if (strcmp(c->transports[k].title, t->title) == 0) {
				mistake_say(&w->m, RC_EXISTS, "a transport of this name stands above; give it another name");
				break;
			}
		w->m.option = "kind";
		if (!known)
			mistake_say(&w->m, RC_SYNTAX, "the kind of a transport is smtp or local");
		else if ((strcmp(t->title, "local") == 0) != (strcmp(t->kind, "local") == 0) &&
		    (strcmp(t->title, "local") == 0 || strcmp(t->title, "smtp") == 0))
			mistake_say(&w->m, RC_SYNTAX, "the transports smtp and local have the kind of their name");
	}
}

static void
compile_way(struct work *w, const struct conf_route *section, struct policy_way *way)
{
	mistakes_enter(&w->m, section, "route");
	way->conf = section;
	compile_list(w, "from", &section->from, TABLE_FOR_ADDRESSES, wanted_addresses, &way->from);
	compile_list(w, "to", &section->to, TABLE_FOR_ADDRESSES, wanted_addresses, &way->to);
	compile_route(w, section->transport, section->relay_host, &way->route);
}

/* --- rules --- */

static void
check_listeners(struct work *w, const struct conf_list *names)
{
	const struct conf *c = w->p->conf;

	for (size_t i = 0; i < names->n; i++) {
		struct suggest close;
		size_t k;

		suggest_init(&close, slice_str(names->v[i]));
		for (k = 0; k < c->n_listeners && strcmp(c->listeners[k].title, names->v[i]) != 0; k++)
			suggest_offer(&close, slice_str(c->listeners[k].title));
		if (k < c->n_listeners)
			continue;
		w->m.option = "listener";
		mistake_start(&w->m);
		(void)buf_put_str(&w->m.one, "there is no listener ");
		put_quoted(&w->m.one, names->v[i]);
		suggest_put(&close, &w->m.one);
		mistake_told(&w->m, RC_NOTFOUND);
	}
}

static void
compile_refusal(struct work *w, struct policy_rule *rule)
{
	const struct conf_rule *c = rule->conf;

	w->m.option = c->transport[0] != '\0' ? "transport" : "relay-host";
	if (c->transport[0] != '\0' || c->relay_host[0] != '\0')
		mistake_say(&w->m, RC_SYNTAX, "a rule that refuses sends nothing anywhere; remove this, or accept");
	w->m.option = "reply";
	if (policy_reply_parse(c->reply, rule) != RC_OK)
		mistake_say(&w->m, RC_SYNTAX, rule->action == VERDICT_REJECT ?
		    "cannot be the reply of a refusal; write a code, an enhanced code and a text, as in \"550 5.7.1 Not"
		    " welcome\"" :
		    "cannot be the reply of a deferral; write a code, an enhanced code and a text, as in \"450 4.7.1 Try again"
		    " later\"");
}

static void
compile_action(struct work *w, struct policy_rule *rule)
{
	static const struct {
		const char *name;
		enum verdict_action action;
	} actions[] = { { "accept", VERDICT_ACCEPT }, { "reject", VERDICT_REJECT }, { "defer", VERDICT_DEFER } };
	const struct conf_rule *c = rule->conf;
	size_t i;

	for (i = 0; i < COUNT(actions) && strcmp(actions[i].name, c->action) != 0; i++)
		;
	w->m.option = "action";
	if (i == COUNT(actions)) {
		mistake_say(&w->m, RC_SYNTAX, "the action of a rule is accept, reject or defer");
		return;
	}
	rule->action = actions[i].action;
	if (rule->action != VERDICT_ACCEPT)
		compile_refusal(w, rule);
	else if (c->reply[0] != '\0') {
		w->m.option = "reply";
		mistake_say(&w->m, RC_SYNTAX, "a rule that accepts has no reply to give; remove it");
	}
}

static void
compile_conditions(struct work *w, struct policy_rule *r)
{
	const struct conf_rule *c = r->conf;
	const struct {
		const char *option;
		const struct conf_list *list;
		unsigned kinds;
		const char *wanted;
		struct patterns *to;
	} lists[] = {
		{ "client", &c->client, TABLE_FOR_CLIENTS, wanted_nets, &r->client },
		{ "client-name", &c->client_name, TABLE_FOR_NAMES, wanted_names, &r->client_name },
		{ "client-certificate", &c->client_certificate, TABLE_FOR_PRINTS, wanted_prints, &r->client_certificate },
		{ "from", &c->from, TABLE_FOR_ADDRESSES, wanted_addresses, &r->from },
		{ "to", &c->to, TABLE_FOR_ADDRESSES, wanted_addresses, &r->to },
		{ "to-user", &c->to_user, TABLE_FOR_USERS, wanted_users, &r->to_user },
		{ "user", &c->user, TABLE_FOR_LOGINS, wanted_logins, &r->user },
	};

	check_listeners(w, &c->listener);
	for (size_t i = 0; i < COUNT(lists); i++)
		compile_list(w, lists[i].option, lists[i].list, lists[i].kinds, lists[i].wanted, lists[i].to);
	w->m.option = "tls";
	if (*c->tls != '\0' && strcmp(c->tls, "yes") != 0 && strcmp(c->tls, "no") != 0)
		mistake_say(&w->m, RC_SYNTAX, "is yes or no, or left out");
}

static bool
names_postmaster(const struct policy_rule *r)
{
	static const struct slice word = SLICE("postmaster");
	struct pattern_hit hit;
	struct table_hit in;

	if (patterns_have_user(&r->to_user, word, &hit))
		return true;
	for (size_t i = 0; i < r->conf->to.n; i++) {
		struct slice s = slice_str(r->conf->to.v[i]);

		if (s.n > word.n && s.p[word.n] == '@' && slice_caseeq(slice_first(s, word.n), word))
			return true;
	}
	for (size_t i = 0; i < r->to.n_refs; i++)
		if (table_has_mailbox(r->to.refs[i], word, S(""), &in))
			return true;
	return false;
}

/* A rule that lets everybody send everywhere is a typing error, always. */
static void
check_open_relay(struct work *w, const struct policy_rule *r)
{
	bool any_client = patterns_empty(&r->client) || patterns_have_everywhere(&r->client);

	w->m.option = NULL;
	if (r->action != VERDICT_ACCEPT || !any_client || r->conf->listener.n > 0 || !patterns_empty(&r->client_name) ||
	    !patterns_empty(&r->client_certificate) || !patterns_empty(&r->user) || !patterns_empty(&r->to))
		return;
	mistake_say(&w->m, RC_DENIED, "this rule makes an open relay: anybody could send anywhere (a sender is easily forged); "
	    "limit it by client, client-name, client-certificate, listener or to");
}

static void
compile_rule(struct work *w, const struct conf_rule *section, struct policy_rule *r)
{
	size_t before = w->m.n;

	mistakes_enter(&w->m, section, "rule");
	r->conf = section;
	if (section->title[0] == '\0' || strlen(section->title) > POLICY_TITLE_MAX)
		mistake_say(&w->m, RC_RANGE, "a rule has a name of 1 to 128 bytes");
	if (slice_starts(slice_str(section->title), S("builtin:")))
		mistake_say(&w->m, RC_EXISTS, "names with builtin: in front are Postern's own; give the rule another name");
	compile_action(w, r);
	compile_conditions(w, r);
	compile_route(w, section->transport, section->relay_host, &r->route);
	/* A list with a mistake is empty, which has a meaning: nothing can be told from that. */
	if (w->m.n > before)
		return;
	r->refuses_postmaster = !patterns_empty(&r->client) || !patterns_empty(&r->client_name) ||
	    !patterns_empty(&r->client_certificate) || names_postmaster(r);
	check_open_relay(w, r);
}

/* --- the router section, and all of it --- */

static void
own_literals(struct work *w)
{
	struct policy *p = w->p;

	for (size_t i = 0; i < p->conf->n_listeners; i++) {
		const struct conf_list *l = &p->conf->listeners[i].address;
		struct ip *grown = reallocarray(p->own, p->n_own + l->n + 1, sizeof *grown);

		if (grown == NULL) {
			mistakes_out_of_memory(&w->m);
			return;
		}
		p->own = grown;
		for (size_t k = 0; k < l->n; k++) {
			struct ip ip;

			if (ip_parse(slice_str(l->v[k]), &ip) == RC_OK && !ip_is_unspecified(ip))
				p->own[p->n_own++] = ip;
		}
	}
}

static void
compile_local_domains(struct work *w)
{
	struct policy *p = w->p;
	const struct conf_list *given = &p->conf->router.local_domains;
	char localhost[] = "localhost", *names[] = { localhost, p->conf->global.hostname };
	const struct conf_list usual = { names, p->conf->global.hostname[0] == '\0' ? 1 : 2 };

	compile_list(w, "local-domains", given->n > 0 ? given : &usual, TABLE_FOR_DOMAINS, wanted_domains,
	    &p->local_domains);
}

static void
compile_senders(struct work *w)
{
	struct buf what = BUF_INIT(2048);
	size_t before = w->m.n;
	enum rc rc;

	compile_list(w, "senders", &w->p->conf->router.senders, TABLE_FOR_LOGINS, wanted_logins, &w->p->senders);
	if (w->m.n > before)
		return;
	/* A name alone says nothing of what it may send: every sender of that user's would be refused, his own too. */
	if (w->p->senders.own != NULL) {
		mistake_say(&w->m, RC_SYNTAX, "only tables can stand here, for behind a user stand his addresses; write "
		    "senders = {\"@name\"}, and a table \"name\" with lines such as: bob bob@example.org");
		return;
	}
	rc = senders_check(w->p, &what);
	if (rc != RC_OK) {
		mistake_start(&w->m);
		(void)buf_put_slice(&w->m.one, buf_slice(&what));
		mistake_told(&w->m, rc);
	}
	buf_free(&what);
}

static void
compile_router(struct work *w)
{
	struct policy *p = w->p;
	const struct conf_router *r = &p->conf->router;

	mistakes_enter(&w->m, r, "router");
	compile_local_domains(w);
	compile_list(w, "local-users", &r->local_users, TABLE_FOR_ACCOUNTS, wanted_accounts, &p->local_users);
	compile_senders(w);
	compile_list(w, "relay-clients", &r->relay_clients, TABLE_FOR_CLIENTS, wanted_nets, &p->relay_clients);
	if (patterns_have_everywhere(&p->relay_clients))
		mistake_say(&w->m, RC_DENIED, "a network that holds every address makes an open relay; name your own networks");
	compile_list(w, "relay-certificates", &r->relay_certificates, TABLE_FOR_PRINTS, wanted_prints, &p->relay_certificates);
	compile_route(w, "", r->relay_host, &p->last);
}

/* An address is routed like any other; a user must be there, unless it is the name that always is. */
static void
check_postmaster(struct work *w)
{
	const struct conf_global *g = &w->p->conf->global;
	struct policy *p = w->p;
	struct slice name = slice_str(g->postmaster), user;
	struct pattern_hit hit;
	struct subject a;
	bool exact;

	mistakes_enter(&w->m, g, NULL);
	w->m.option = "postmaster";
	if (slice_find(name, '@') < name.n) {
		if (!subject_read(p, name, true, &a)) {
			mistake_say(&w->m, RC_SYNTAX, "is no address; write user@example.org or the name of a user");
			return;
		}
		if (!patterns_have_domain(&p->local_domains, &a.parts, &hit))
			return;
		name = a.meaning;
	} else if (slice_caseeq(name, S("postmaster"))) {
		return;
	}
	if (!policy_find_user(p, name, &user, &exact))
		mistake_say(&w->m, RC_NOTFOUND, "is no local user; write the name of one, or an address elsewhere");
}

static void
compile(struct work *w, const struct policy_files *files)
{
	struct policy *p = w->p;
	const struct conf *c = p->conf;

	compile_tables(w, files);
	compile_router(w);
	own_literals(w);
	/* Who is a user can be told only when all that says so could be read. */
	if (w->m.n == 0)
		check_postmaster(w);
	compile_transports(w);
	p->rules = calloc(c->n_rules + 1, sizeof *p->rules);
	p->ways = calloc(c->n_routes + 1, sizeof *p->ways);
	if (p->rules == NULL || p->ways == NULL) {
		mistakes_out_of_memory(&w->m);
		return;
	}
	for (; p->n_rules < c->n_rules; p->n_rules++)
		compile_rule(w, &c->rules[p->n_rules], &p->rules[p->n_rules]);
	for (; p->n_ways < c->n_routes; p->n_ways++)
		compile_way(w, &c->routes[p->n_ways], &p->ways[p->n_ways]);
}

static enum rc
make(struct conf *conf, const struct policy_files *files, struct mistakes m, struct policy **ret_policy)
{
	struct policy *p = calloc(1, sizeof *p);
	struct work w = { p, m };
	enum rc rc;

	if (p == NULL)
		return RC_NOMEM;
	p->conf = conf_ref(conf);
	compile(&w, files);
	rc = mistakes_end(&w.m);
	if (rc == RC_OK)
		*ret_policy = p;
	else
		policy_free(p);
	return rc;
}

enum rc
policy_new(struct conf *conf, policy_load_fn *load, void *ctx, struct policy **ret_policy, struct buf *why)
{
	const struct policy_files files = { load, ctx };

	return make(conf, &files, mistakes_begin(MISTAKES_FIRST, NULL, why), ret_policy);
}

void
policy_free(struct policy *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < p->n_rules; i++) {
		patterns_free(&p->rules[i].client);
		patterns_free(&p->rules[i].client_name);
		patterns_free(&p->rules[i].client_certificate);
		patterns_free(&p->rules[i].from);
		patterns_free(&p->rules[i].to);
		patterns_free(&p->rules[i].to_user);
		patterns_free(&p->rules[i].user);
	}
	for (size_t i = 0; i < p->n_ways; i++) {
		patterns_free(&p->ways[i].from);
		patterns_free(&p->ways[i].to);
	}
	patterns_free(&p->local_domains);
	patterns_free(&p->local_users);
	patterns_free(&p->senders);
	patterns_free(&p->relay_clients);
	patterns_free(&p->relay_certificates);
	for (size_t i = 0; i < p->n_tables; i++)
		table_free(p->tables[i]);
	free(p->tables);
	free(p->rules);
	free(p->ways);
	free(p->own);
	conf_unref(p->conf);
	free(p);
}

enum rc
policy_check_conf(struct conf *conf, const struct policy_files *files, const struct policy_places *places, struct buf *notes,
    struct buf *why)
{
	struct policy *p = NULL;
	enum rc rc = make(conf, files, mistakes_begin(MISTAKES_ALL, places, why), &p);

	if (rc != RC_OK)
		return rc;
	if (!policy_has_postmaster(p)) {
		if (conf->global.conf_file != NULL)
			(void)buf_printf(notes, "%s:%u: ", conf->global.conf_file, conf->global.conf_line);
		(void)buf_put_str(notes, "warning: postmaster: mail for postmaster is accepted (RFC 5321 4.5.1) and nobody"
		    " can read it: there is no local user of that name; write the name of a user, or an address\n");
	}
	policy_free(p);
	return RC_OK;
}
