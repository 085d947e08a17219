/* router/admin.c -- EXPLAIN: the decision on a made-up client, with every rule that was looked at on the way. */
#include "router/router.h"

#include "common/admin.h"
#include "common/escape.h"
#include "common/idn.h"
#include "common/json.h"
#include "common/policy/suggest.h"
#include "common/wire/address.h"

enum { ROW_MAX = 8192 };	/* bytes of one row; JSON makes six of one byte at worst */

/* One page of rows is sent, the others are counted. */
struct page {
	struct peer *to;
	uint32_t handle;
	uint64_t cursor, limit;
	uint64_t rows;		/* so far, in all */
	bool failed;
};

static void
end_request(struct peer *p, uint32_t handle, enum rc status, const char *text, bool more, uint64_t cursor)
{
	const struct a_end m = { (uint8_t)status, slice_str(text), more, cursor };

	(void)a_end_send(p, handle, &m);
}

static void
put_row(struct page *page, struct json *j, struct buf *row)
{
	const struct a_row m = { ADMIN_ROW_JSON, buf_slice(row) };

	if (!json_ok(j) || a_row_send(page->to, page->handle, &m) != RC_OK)
		page->failed = true;
}

/* Is the next row one of this page? */
static bool
next_row(struct page *page)
{
	uint64_t number = page->rows++;

	return number >= page->cursor && number - page->cursor < page->limit;
}

static void
on_rule(void *ctx, const char *rule, bool matched, const char *why)
{
	struct page *page = ctx;
	struct buf row = BUF_INIT(ROW_MAX);
	struct json j;

	if (!next_row(page))
		return;
	json_init(&j, &row);
	json_object(&j);
	json_key_text(&j, "rule", rule);
	json_key_bool(&j, "matched", matched);
	json_key_text(&j, "why", why);
	json_end(&j);
	put_row(page, &j, &row);
	buf_free(&row);
}

static void
key_unless_empty(struct json *j, const char *key, const char *text)
{
	if (*text != '\0')
		json_key_text(j, key, text);
}

static void
put_final(struct page *page, const struct policy_verdict *v, uint32_t generation)
{
	static const char *const actions[] = { [VERDICT_ACCEPT] = "accept", [VERDICT_REJECT] = "reject",
	    [VERDICT_DEFER] = "defer" };
	struct buf row = BUF_INIT(ROW_MAX), at = BUF_INIT(ROW_MAX);
	struct json j;

	if (!next_row(page))
		return;
	if (v->rule_file != NULL)
		(void)buf_printf(&at, "%s:%u", v->rule_file, v->rule_line);
	json_init(&j, &row);
	json_object(&j);
	json_key_text(&j, "action", actions[v->action]);
	json_key_text(&j, "rule", v->rule);
	if (buf_len(&at) > 0)
		json_key_str(&j, "at", buf_slice(&at));
	json_key_u64(&j, "code", v->code);
	json_key_text(&j, "enhanced", v->enhanced);
	json_key_text(&j, "text", v->text);
	key_unless_empty(&j, "rcpt", v->rcpt);
	key_unless_empty(&j, "transport", v->transport);
	key_unless_empty(&j, "nexthop", v->nexthop);
	json_key_u64(&j, "generation", generation);
	json_end(&j);
	put_row(page, &j, &row);
	buf_free(&row);
	buf_free(&at);
}

/* False: another word than these. */
static bool
read_yes_no(struct slice value, bool *ret_yes)
{
	*ret_yes = slice_eq(value, S("yes"));
	return *ret_yes || slice_eq(value, S("no"));
}

/* "key=value" lines into a query. NULL, or what is wrong. */
static const char *
read_arg(struct slice arg, struct policy_query *q)
{
	const struct {
		struct slice key;
		struct slice *to;
	} keys[] = {
		{ S("from"), &q->from }, { S("to"), &q->to }, { S("listener"), &q->listener }, { S("helo"), &q->helo },
		{ S("client_name"), &q->client_name }, { S("user"), &q->user }, { S("fingerprint"), &q->fingerprint },
	};

	while (arg.n > 0) {
		struct slice line = slice_first(arg, slice_find(arg, '\n'));
		size_t equals = slice_find(line, '='), i;
		struct slice key = slice_first(line, equals), value = slice_from(line, equals + 1);

		arg = slice_from(arg, line.n + 1);
		if (value.n > ROUTER_FIELD_MAX)
			return "a value is too long";
		if (slice_eq(key, S("client"))) {
			if (ip_parse(value, &q->client) != RC_OK)
				return "the client is no IP address";
			continue;
		}
		if (slice_eq(key, S("tls"))) {
			if (!read_yes_no(value, &q->tls))
				return "tls is yes or no";
			continue;
		}
		if (slice_eq(key, S("client_name_failed"))) {
			if (!read_yes_no(value, &q->name_failed))
				return "client_name_failed is yes or no";
			continue;
		}
		for (i = 0; i < sizeof keys / sizeof keys[0] && !slice_eq(key, keys[i].key); i++)
			;
		if (i == sizeof keys / sizeof keys[0])
			return "explain knows client, from, to, listener, helo, client_name, client_name_failed, tls, fingerprint"
			    " and user";
		*keys[i].to = value;
	}
	if (q->name_failed && q->client_name.n > 0)
		return "a client whose name could not be looked up has none";
	return q->client.family == 0 ? "the client is missing" : NULL;
}

/* An operator may write a domain in UTF-8, as clients may under SMTPUTF8: smtpd asks for it in ASCII, and so is it asked here.
 * Anything else stays as it is. space has to outlive the query. False: no domain of the DNS has this form (RFC 5890 2.3.2.1), and
 * smtpd would not have asked. */
static bool
in_ascii(struct slice *address, struct buf *space)
{
	struct buf domain = BUF_INIT(DOMAIN_MAX);
	struct address a;
	bool ok = true;

	if (address_mailbox_parse(*address, &a) == RC_OK && (a.flags & ADDRESS_U_LABELS) != 0) {
		ok = idn_domain_put(&domain, a.domain) == RC_OK;
		a.domain = buf_slice(&domain);
		if (ok && address_put(space, &a))
			*address = buf_slice(space);
	}
	buf_free(&domain);
	return ok;
}

/* What smtpd answers before it asks for a decision, by the listener alone (smtpd/command.c). False: *ret_v is the end. */
static bool
pass_listener(struct page *page, const struct conf_listener *l, struct policy_query *q, struct policy_verdict *ret_v)
{
	bool is_submission = strcmp(l->kind, "submission") == 0;

	*ret_v = (struct policy_verdict){ .action = VERDICT_REJECT, .code = 530, .enhanced = "5.7.0", .transport = "" };
	q->tls = q->tls || strcmp(l->tls, "implicit") == 0;
	if (l->require_tls)
		on_rule(page, "builtin:tls", !q->tls, q->tls ? "it came over TLS" :
		    "the listener has require-tls, and it did not come over TLS");
	if (l->require_tls && !q->tls) {
		ret_v->rule = "builtin:tls";
		ret_v->text = "Must issue a STARTTLS command first";
		return false;
	}
	if (is_submission)
		on_rule(page, "builtin:login", q->user.n == 0, q->user.n > 0 ? "the client has logged in" :
		    "the listener is of kind submission, and nobody has logged in (--user)");
	ret_v->rule = "builtin:login";
	ret_v->text = "Authentication required";
	return !is_submission || q->user.n > 0;
}

/* A rule may name listeners: of one that there is not, every answer would be wrong. False: the request has been answered.
 * *ret_listener: NULL when none was named. */
static bool
check_listener(const struct router *router, struct peer *p, uint32_t handle, struct slice name,
    const struct conf_listener **ret_listener)
{
	const struct conf *c = router->room->conf;
	struct buf text = BUF_INIT(4096);
	struct suggest close;

	*ret_listener = NULL;
	if (name.n == 0)
		return true;
	suggest_init(&close, name);
	(void)buf_put_str(&text, "there is no listener \"");
	(void)escape_put(&text, name, POLICY_TITLE_MAX);
	(void)buf_put_str(&text, "\"; there are: ");
	for (size_t i = 0; i < c->n_listeners; i++) {
		if (slice_eq(slice_str(c->listeners[i].title), name)) {
			*ret_listener = &c->listeners[i];
			buf_free(&text);
			return true;
		}
		suggest_offer(&close, slice_str(c->listeners[i].title));
		(void)buf_printf(&text, "%s%s", i == 0 ? "" : ", ", c->listeners[i].title);
	}
	suggest_put(&close, &text);
	end_request(p, handle, RC_SYNTAX, buf_cstr(&text) == NULL ? "there is no such listener" : buf_cstr(&text), false, 0);
	buf_free(&text);
	return false;
}

static void
decide(const struct router *router, struct page *page, const struct conf_listener *listener, struct policy_query *q)
{
	struct policy_verdict v;

	if (listener == NULL || pass_listener(page, listener, q, &v))
		policy_check(router->policy, q, on_rule, page, &v);
	put_final(page, &v, router->room->conf->generation);
}

static void
explain(struct router *router, struct peer *p, uint32_t handle, const struct a_request *m)
{
	struct page page = { .to = p, .handle = handle, .cursor = m->cursor, .limit = m->limit };
	struct buf from = BUF_INIT(ADDRESS_TEXT_MAX), to = BUF_INIT(ADDRESS_TEXT_MAX);
	struct policy_query q = { .from = S("") };
	const char *wrong = read_arg(m->arg, &q);
	const struct conf_listener *listener;
	bool more;

	if (wrong != NULL) {
		end_request(p, handle, RC_SYNTAX, wrong, false, 0);
		return;
	}
	if (!check_listener(router, p, handle, q.listener, &listener))
		return;
	if (page.limit == 0 || page.limit > ADMIN_PAGE_MAX)
		page.limit = ADMIN_PAGE_MAX;
	if (!in_ascii(&q.from, &from))
		wrong = "the domain of from is no valid name; clients are told 501";
	else if (!in_ascii(&q.to, &to))
		wrong = "the domain of to is no valid name; clients are told 501";
	else
		decide(router, &page, listener, &q);
	buf_free(&from);
	buf_free(&to);
	if (wrong != NULL) {
		end_request(p, handle, RC_SYNTAX, wrong, false, 0);
		return;
	}
	more = page.rows > page.cursor && page.rows - page.cursor > page.limit;
	end_request(p, handle, page.failed ? RC_AGAIN : RC_OK, page.failed ? "not all rows could be sent" : "", more,
	    more ? page.cursor + page.limit : 0);
}

const char *
router_on_request(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct a_request m;

	(void)fd;
	if (!a_request_get(body, &m) || m.arg.n > ADMIN_ARG_MAX)
		return "malformed A_REQUEST";
	if (m.verb == ADMIN_EXPLAIN)
		explain(ctx, p, handle, &m);
	else
		end_request(p, handle, RC_UNSUPPORTED, "the router does not answer this", false, 0);
	return NULL;
}
