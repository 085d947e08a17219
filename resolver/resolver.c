/* resolver/resolver.c -- the room: lines, questions, generations. See resolver.h. */
#include "resolver/resolver.h"

#include "common/file.h"
#include "common/wire/domain.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

/* One frame that waits for its answer. */
struct question {
	struct hash_entry entry;	/* of its asker's names, when it is named */
	struct question *next, **at;	/* of its asker */
	struct asker *asker;
	uint32_t handle;
	uint64_t since;
	enum route_kind kind;		/* 0: of an address */
	bool named;			/* found by its handle */
	struct route_ask route;
	struct ptr_ask ptr;
	struct ip ip;
	size_t n_name;
	char name[ROUTE_NAME_MAX];
};

/* --- the log --- */

static void
log_answer(struct resolver *r, const struct question *q, enum dns_status status, bool secure, const char *why)
{
	char text[IP_TEXT_MAX];
	struct slice name = slice_of(q->name, q->n_name);
	const char *kind = q->kind == ROUTE_MX ? "mx" : q->kind == ROUTE_HOST ? "host" : "name";
	uint64_t now = loop_now(r->room->loop);

	if (q->kind == 0)
		name = slice_of(text, ip_format(q->ip, text));
	log_say(LOG_DNS, NULL, F_STR("name", name), F_TEXT("kind", kind), F_TEXT("status", dns_status_name(status)),
	    F_U64("secure", secure), F_U64("ms", now - q->since), F_TEXT("why", why));
	if (status != DNS_TEMPORARY && status != DNS_BOGUS)
		return;
	/* A network that is down would fill the log. */
	if (now - r->trouble_since >= TROUBLE_PERIOD_MS) {
		r->trouble_since = now;
		r->n_trouble = 0;
	}
	if (r->n_trouble++ < TROUBLE_BURST)
		log_say(LOG_DNS_TROUBLE, NULL, F_STR("name", name), F_TEXT("kind", kind),
		    F_TEXT("status", dns_status_name(status)), F_TEXT("why", why));
}

/* --- questions --- */

static struct question *
question_new(struct asker *a, uint32_t handle)
{
	struct question *q = a->n_questions >= ASKER_OPEN_MAX ? NULL : calloc(1, sizeof *q);

	if (q == NULL)
		return NULL;
	q->asker = a;
	q->handle = handle;
	q->since = loop_now(a->resolver->room->loop);
	q->next = a->questions;
	q->at = &a->questions;
	if (q->next != NULL)
		q->next->at = &q->next;
	a->questions = q;
	a->n_questions++;
	return q;
}

static uint64_t
hash_of(const struct asker *a, uint32_t handle)
{
	return keyed_hash(&a->names.key, slice_of(&handle, sizeof handle));
}

/* NULL: there is none. */
static struct question *
name_find(const struct asker *a, uint32_t handle)
{
	struct hash_entry *e = hash_table_find(&a->names, hash_of(a, handle));

	for (; e != NULL; e = hash_entry_next(e)) {
		struct question *q = (struct question *)e;

		if (q->handle == handle)
			return q;
	}
	return NULL;
}

static void
question_free(struct question *q)
{
	route_ask_cancel(&q->route);
	ptr_ask_cancel(&q->ptr);
	if (q->named)
		hash_table_remove(&q->asker->names, &q->entry);
	*q->at = q->next;
	if (q->next != NULL)
		q->next->at = q->at;
	q->asker->n_questions--;
	free(q);
}

static struct question *
name_new(struct asker *a, uint32_t handle)
{
	struct question *q = question_new(a, handle);

	if (q == NULL)
		return NULL;
	q->named = true;
	hash_table_add(&a->names, &q->entry, hash_of(a, handle));
	return q;
}

/* An asker that does not read its answers has broken down: it is cut off rather than left waiting for ever. */
static void
sent(struct asker *a, enum rc rc)
{
	if (rc != RC_OK && peer_alive(a->peer))
		peer_drop(a->peer, "does not read its answers");
}

static void
send_hosts(struct asker *a, uint32_t handle, enum dns_status status, const char *why)
{
	struct v_hosts m = { (uint8_t)status, 0, 0, S(""), slice_str(why) };

	sent(a, v_hosts_send(a->peer, handle, &m));
}

static void
send_name(struct asker *a, uint32_t handle, enum dns_status status, bool secure, struct slice name)
{
	struct v_name m = { (uint8_t)status, secure, name };

	sent(a, v_name_send(a->peer, handle, &m));
}

static void
on_route(struct route_ask *ask, const struct route_answer *answer)
{
	struct question *q = ask->ctx;
	struct v_hosts m = { (uint8_t)answer->status, answer->secure, answer->ttl, answer->hosts, slice_str(answer->why) };

	log_answer(q->asker->resolver, q, answer->status, answer->secure, answer->why);
	sent(q->asker, v_hosts_send(q->asker->peer, q->handle, &m));
	question_free(q);
}

static void
on_name(struct ptr_ask *ask, enum dns_status status, bool secure, struct slice name, const char *why)
{
	struct question *q = ask->ctx;

	log_answer(q->asker->resolver, q, status, secure, why);
	send_name(q->asker, q->handle, status, secure, name);
	question_free(q);
}

static const char *
on_v_route(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct asker *a = ctx;
	struct question *q;
	struct v_route m;

	(void)p, (void)fd;
	if (!v_route_get(body, &m) || (m.kind != ROUTE_MX && m.kind != ROUTE_HOST))
		return "malformed V_ROUTE";
	if (domain_check(m.name) != RC_OK || !domain_is_dns_usable(m.name)) {
		send_hosts(a, handle, DNS_NXDOMAIN, "that is no name of the DNS");
		return NULL;
	}
	q = question_new(a, handle);
	if (q == NULL) {
		send_hosts(a, handle, DNS_TEMPORARY, "too many look-ups");
		return NULL;
	}
	q->kind = (enum route_kind)m.kind;
	q->n_name = m.name.n;
	memcpy(q->name, m.name.p, m.name.n);
	q->route.fn = on_route;
	q->route.ctx = q;
	if (routes_ask(&a->resolver->now->routes, &q->route, q->kind, m.name) != RC_OK) {
		send_hosts(a, handle, DNS_TEMPORARY, "too many look-ups");
		question_free(q);
	}
	return NULL;
}

static const char *
on_v_ptr(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct asker *a = ctx;
	struct question *q;
	struct v_ptr m;

	(void)p, (void)fd;
	if (!v_ptr_get(body, &m))
		return "malformed V_PTR";
	if (m.ip.family == 0) {
		send_name(a, handle, DNS_NXDOMAIN, false, S(""));
		return NULL;
	}
	q = name_find(a, handle);
	if (q != NULL)		/* a V_FORGET found no room on the line: whoever asks anew waits for the new answer alone */
		question_free(q);
	q = name_new(a, handle);
	if (q == NULL) {
		send_name(a, handle, DNS_TEMPORARY, false, S(""));
		return NULL;
	}
	q->ip = m.ip;
	q->ptr.fn = on_name;
	q->ptr.ctx = q;
	if (ptrs_ask(&a->resolver->now->ptrs, &q->ptr, m.ip) != RC_OK) {
		send_name(a, handle, DNS_TEMPORARY, false, S(""));
		question_free(q);
	}
	return NULL;
}

/* The answer may have crossed it: then there is nothing left to end. */
static const char *
on_v_forget(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct question *q = name_find(ctx, handle);
	struct v_forget m;

	(void)p, (void)fd;
	if (!v_forget_get(body, &m))
		return "malformed V_FORGET";
	if (q != NULL)
		question_free(q);
	return NULL;
}

/* --- lines --- */

static void
asker_closed(void *ctx, struct peer *p, const char *why)
{
	struct asker *a = ctx, **at = &a->resolver->askers;
	struct resolver *r = a->resolver;

	room_log_drop(p, why);
	while (a->questions != NULL)
		question_free(a->questions);
	hash_table_clear(&a->names, NULL);
	while (*at != a)
		at = &(*at)->next;
	*at = a->next;
	peer_free(p);
	free(a);
	if (r->stopping && r->askers == NULL)
		room_exit(r->room);
}

static const struct peer_ops asker_ops = {
	.on = { [V_ROUTE] = on_v_route, [V_PTR] = on_v_ptr, [V_FORGET] = on_v_forget },
	.closed = asker_closed,
};

static void
take_line(struct room *room, enum role them, unsigned index, int fd)
{
	struct resolver *r = room->ctx;
	struct asker *a;

	if (them != ROLE_SMTPD && them != ROLE_DELIVER) {
		(void)close(fd);
		return;
	}
	a = calloc(1, sizeof *a);
	if (a == NULL) {
		(void)close(fd);
		return;
	}
	a->resolver = r;
	hash_table_init(&a->names);
	a->peer = peer_new(room->loop, fd, ROLE_RESOLVER, them, index, &asker_ops, a);
	if (a->peer == NULL) {
		free(a);
		return;
	}
	a->next = r->askers;
	r->askers = a;
}

/* --- files --- */

static struct buf *
file_buf(struct resolver *r, struct slice name)
{
	if (slice_eq(name, S("resolv.conf")))
		return &r->resolv_conf;
	if (slice_eq(name, S("root-hints")))
		return &r->root_hints;
	if (slice_eq(name, S("trust-anchor")))
		return &r->trust_anchor;
	return NULL;
}

/* False: it cannot be read, or it is not of a sensible size; errno says why. */
static bool
take_bytes(int fd, struct buf *to)
{
	buf_clear(to);
	return file_read_buf(fd, to) == RC_OK;
}

static void
take_file(struct room *room, const struct m_file *m, int fd)
{
	struct resolver *r = room->ctx;
	struct buf *to = file_buf(r, m->name);

	if (m->purpose == FILE_HINTS && to != NULL && !take_bytes(fd, to)) {
		log_say(LOG_TROUBLE, NULL, F_TEXT("what", "a file of resolver { } cannot be read"), F_STR("path", m->path),
		    F_TEXT("error", strerror(errno)));
		buf_clear(to);
	}
	(void)close(fd);
}

static bool
take_first_files(struct resolver *r, struct buf *why)
{
	const struct conf_resolver *c = &r->room->conf->resolver;
	const struct {
		struct slice name;
		const char *path;
	} files[] = {
		{ SLICE("resolv.conf"), "/etc/resolv.conf" },
		{ SLICE("root-hints"), c->root_hints },
		{ SLICE("trust-anchor"), c->trust_anchor },
	};

	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		int fd = room_take_file(r->room, FILE_HINTS, files[i].name);
		bool ok = fd == -1 || take_bytes(fd, file_buf(r, files[i].name));

		if (!ok)
			(void)buf_printf(why, "resolver { }: %s cannot be read: %m", files[i].path);
		if (fd != -1)
			(void)close(fd);
		if (!ok)
			return false;
	}
	return true;
}

/* --- generations --- */

static void
generation_free(struct generation *g)
{
	routes_end(&g->routes, "the configuration has changed");
	ptrs_end(&g->ptrs, "the configuration has changed");
	unbound_free(g->unbound);
	setup_free(&g->setup);
	free(g);
}

/* What the configuration and the files ask for. */
static bool
wanted_setup(const struct resolver *r, const struct conf *conf, struct setup *ret_setup, struct buf *why)
{
	struct setup_files files = { buf_slice(&r->resolv_conf), buf_slice(&r->root_hints), buf_slice(&r->trust_anchor) };

	return setup_make(&conf->resolver, &files, ret_setup, why) == RC_OK;
}

/* Takes the setup over, in any case. */
static struct generation *
generation_new(struct resolver *r, struct setup *setup, struct buf *why)
{
	struct generation *g = calloc(1, sizeof *g);
	struct loop *loop = r->room->loop;

	if (g == NULL) {
		setup_free(setup);
		return NULL;
	}
	g->setup = *setup;
	g->unbound = unbound_new(loop, &g->setup, why);
	if (g->unbound == NULL) {
		setup_free(&g->setup);
		free(g);
		return NULL;
	}
	routes_init(&g->routes, loop, &unbound_lookups, unbound_source(g->unbound), 0);
	ptrs_init(&g->ptrs, loop, &unbound_lookups, unbound_source(g->unbound), 0);
	return g;
}

/* What can be changed without a new context. */
static void
generation_adjust(struct generation *g, const struct conf *conf)
{
	g->routes.timeout_ms = g->ptrs.timeout_ms = conf->resolver.timeout;
	g->ptrs.ipv4_prefix = conf->limits.ipv4_prefix;
	g->ptrs.ipv6_prefix = conf->limits.ipv6_prefix;
}

static bool
generation_is_dry(const struct generation *g, uint64_t now)
{
	return (g->routes.n == 0 && g->ptrs.n == 0 && unbound_in_flight(g->unbound) == 0) ||
	    now - g->retired_at >= GENERATION_DRAIN_MS;
}

/* Old contexts that nobody waits for are let go; by a timer, since an abandoned look-up ends without a word. */
static void
sweep(struct timer *t, void *ctx)
{
	struct resolver *r = ctx;
	uint64_t now = loop_now(r->room->loop);

	for (struct generation **at = &r->old; *at != NULL;) {
		struct generation *g = *at;

		if (generation_is_dry(g, now)) {
			*at = g->next;
			generation_free(g);
		} else {
			at = &g->next;
		}
	}
	if (r->old != NULL)
		timer_start(t, SWEEP_MS);
}

static void
retire(struct resolver *r, struct generation *g)
{
	struct generation **at = &r->old;
	size_t n = 1;

	g->retired_at = loop_now(r->room->loop);
	g->next = r->old;
	r->old = g;
	for (; *at != NULL; at = &(*at)->next)
		if (n++ > GENERATIONS_OLD_MAX) {
			(*at)->retired_at -= GENERATION_DRAIN_MS;	/* the sweep takes it */
			break;
		}
	timer_start(&r->sweep, SWEEP_MS);
}

static void
forget_files(struct resolver *r)
{
	buf_free(&r->resolv_conf);
	buf_free(&r->root_hints);
	buf_free(&r->trust_anchor);
}

/* A new context only for a new setup: the cache is worth keeping. */
static bool
switch_over(struct resolver *r, struct setup *setup)
{
	struct generation *g;

	if (setup_equal(setup, &r->now->setup)) {
		setup_free(setup);
		return true;
	}
	g = generation_new(r, setup, &r->why);
	if (g == NULL)
		return false;
	retire(r, r->now);
	r->now = g;
	return true;
}

static const char *
adopt(struct room *room, const struct conf *old)
{
	struct resolver *r = room->ctx;
	struct setup setup;
	const char *why;
	bool ok;

	if (old == NULL)
		return NULL;	/* made in prepare() */
	buf_clear(&r->why);
	ok = wanted_setup(r, room->conf, &setup, &r->why) && switch_over(r, &setup);
	forget_files(r);
	if (ok) {
		generation_adjust(r->now, room->conf);
		return NULL;
	}
	why = buf_cstr(&r->why);
	return why == NULL || *why == '\0' ? "out of memory" : why;
}

/* --- the room --- */

static enum rc
prepare(struct room *room, struct buf *why)
{
	struct resolver *r = room->ctx;
	struct setup setup;

	r->room = room;
	buf_init(&r->resolv_conf, SETUP_FILE_MAX);
	buf_init(&r->root_hints, SETUP_FILE_MAX);
	buf_init(&r->trust_anchor, SETUP_FILE_MAX);
	buf_init(&r->why, 1024);
	if (sodium_init() == -1)
		return RC_IO;
	timer_setup(&r->sweep, room->loop, sweep, r);
	if (!take_first_files(r, why))
		return RC_IO;
	if (wanted_setup(r, room->conf, &setup, why))
		r->now = generation_new(r, &setup, why);
	forget_files(r);
	if (r->now == NULL)
		return RC_SYNTAX;
	generation_adjust(r->now, room->conf);
	return RC_OK;
}

/* Sessions that are ending may still ask: stay until the last line is gone, or the grace is over. */
static void
stop(struct room *room, uint32_t grace_ms)
{
	struct resolver *r = room->ctx;

	(void)grace_ms;
	r->stopping = true;
	if (r->askers == NULL)
		room_exit(room);
}

const struct room_ops resolver_ops = {
	.role = ROLE_RESOLVER,
	.prepare = prepare,
	.line = take_line,
	.file = take_file,
	.adopt = adopt,
	.stop = stop,
};
