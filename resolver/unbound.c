/* resolver/unbound.c -- the only file that names libunbound, see unbound.h.
 *
 * Answers come in the middle of the library's own work, out of its buffers, sometimes before ub_resolve_event() has
 * returned. They are copied and handed on by a chore at the end of the turn, so nobody above is ever called from below
 * and no look-up starts inside another's callback. The library cannot cancel (ub_cancel() only keeps the answer from us): an
 * abandoned look-up stays until its answer, counts until then, and keeps the place of its network (turns.h). */
#include "resolver/unbound.h"

#include "resolver/turns.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unbound-event.h>
#include <unbound.h>
#include <unistd.h>

enum {
	CLASS_IN = 1,
	SEC_BOGUS = 1, SEC_SECURE = 2,
	WHY_MAX = 512,
	SOCKETS_MIN = 16, SOCKETS_MAX = 1024,	/* queries over UDP under way; the library queues the rest */
};

struct lookup_list {
	struct lookup *first, *last;
	size_t n;
};

struct lookup {
	struct lookup *next, *prev;
	struct lookup_list *list;	/* of its unbound: waiting, in_turn, asked or done */
	struct turn turn;		/* of a stranger's */
	struct unbound *unbound;
	lookup_fn *fn;			/* NULL: cancelled */
	void *ctx;
	enum dns_type type;
	/* Once it is done: */
	int rcode;
	bool bogus, secure;
	char *why;
	uint8_t *packet;
	size_t n_packet;
	char name[DNS_NAME_TEXT_MAX + 1];
};

struct unbound {
	struct ub_ctx *ctx;
	struct chore chore;
	struct lookup_list waiting, in_turn, asked, done;
	struct turns turns;		/* of those in_turn, and of strangers' that are asked */
	size_t max_for_mail;		/* of the asked, those that are no stranger's */
	bool dying;
	struct dns_answer answer;	/* the one being handed on */
};

/* --- lists --- */

static void
list_add(struct lookup_list *list, struct lookup *l)
{
	l->list = list;
	l->next = NULL;
	l->prev = list->last;
	if (list->last != NULL)
		list->last->next = l;
	else
		list->first = l;
	list->last = l;
	list->n++;
}

static void
list_remove(struct lookup *l)
{
	struct lookup_list *list = l->list;

	if (l->next != NULL)
		l->next->prev = l->prev;
	else
		list->last = l->prev;
	if (l->prev != NULL)
		l->prev->next = l->next;
	else
		list->first = l->next;
	list->n--;
	l->list = NULL;
}

static void
lookup_free(struct lookup *l)
{
	list_remove(l);
	turns_leave(&l->unbound->turns, &l->turn);
	free(l->why);
	free(l->packet);
	free(l);
}

/* --- answers --- */

static void
lookup_done(struct lookup *l)
{
	list_remove(l);
	turns_leave(&l->unbound->turns, &l->turn);
	list_add(&l->unbound->done, l);
	chore_queue(&l->unbound->chore);
}

static void
on_answer(void *data, int rcode, void *packet, int n_packet, int sec, char *why, int ratelimited)
{
	struct lookup *l = data;

	(void)ratelimited;
	if (l->unbound->dying)
		return;
	l->rcode = rcode;
	l->bogus = sec == SEC_BOGUS;
	l->secure = sec == SEC_SECURE;
	l->why = why == NULL ? NULL : strndup(why, WHY_MAX);
	if (packet != NULL && n_packet > 0)
		l->packet = malloc((size_t)n_packet);
	if (l->packet != NULL) {
		memcpy(l->packet, packet, (size_t)n_packet);
		l->n_packet = (size_t)n_packet;
	}
	lookup_done(l);
}

static void
lookup_ask(struct lookup *l)
{
	struct unbound *u = l->unbound;
	int error;

	list_remove(l);
	list_add(&u->asked, l);
	error = ub_resolve_event(u->ctx, l->name, (int)l->type, CLASS_IN, l, on_answer, NULL);
	if (error == 0)
		return;		/* l may be done already */
	l->rcode = DNS_RCODE_SERVFAIL;
	l->why = strdup(ub_strerror(error));
	lookup_done(l);
}

static void
ask_waiting(struct unbound *u)
{
	struct turn *turn;

	while (u->waiting.first != NULL && u->asked.n - u->turns.taken < u->max_for_mail)
		lookup_ask(u->waiting.first);
	while ((turn = turns_next(&u->turns)) != NULL)
		lookup_ask(turn->what);
}

static void
hand_on(struct unbound *u, struct lookup *l)
{
	struct lookup_result result = lookup_judge(slice_str(l->name), l->type, l->rcode, slice_of(l->packet, l->n_packet),
	    l->bogus, l->secure, l->why, &u->answer);

	if (result.status == DNS_TEMPORARY || result.status == DNS_BOGUS)
		result.answer = NULL;
	l->fn(l->ctx, &result);
}

/* Only those that were done when this began: a source that always knew the answer would keep us here for ever. */
static void
hand_on_all(struct chore *c, void *ctx)
{
	struct unbound *u = ctx;
	size_t n = u->done.n;

	(void)c;
	while (n-- > 0 && u->done.first != NULL) {
		struct lookup *l = u->done.first;

		/* Out of the way of a cancel from inside; freed in any case. */
		if (l->fn != NULL)
			hand_on(u, l);
		lookup_free(l);
	}
	ask_waiting(u);
	if (u->done.n > 0)
		chore_queue(&u->chore);
}

/* --- lookup_ops --- */

static struct lookup *
start(struct lookup_source *source, struct slice name, enum dns_type type, struct ip whose, lookup_fn *fn, void *ctx)
{
	struct unbound *u = (struct unbound *)(void *)source;
	struct lookup_list *list = whose.family == 0 ? &u->waiting : &u->in_turn;
	struct lookup *l;

	if (name.n > DNS_NAME_TEXT_MAX || list->n >= UNBOUND_WAITING_MAX)
		return NULL;
	l = calloc(1, sizeof *l);
	if (l == NULL)
		return NULL;
	l->unbound = u;
	l->fn = fn;
	l->ctx = ctx;
	l->type = type;
	if (name.n > 0)
		memcpy(l->name, name.p, name.n);
	l->turn.what = l;
	if (whose.family != 0 && !turns_enter(&u->turns, &l->turn, whose)) {
		free(l);
		return NULL;
	}
	list_add(list, l);
	ask_waiting(u);
	return l;
}

static void
cancel(struct lookup_source *source, struct lookup *l)
{
	struct unbound *u = (struct unbound *)(void *)source;

	if (l->list == &u->waiting || l->list == &u->in_turn)
		lookup_free(l);
	else
		l->fn = NULL;
}

const struct lookup_ops unbound_lookups = { start, cancel };

struct lookup_source *
unbound_source(struct unbound *u)
{
	return (struct lookup_source *)(void *)u;
}

size_t
unbound_in_flight(const struct unbound *u)
{
	return u->asked.n + u->waiting.n + u->in_turn.n + u->done.n;
}

/* --- the context --- */

static const struct {
	const char *option, *value;
} fixed_options[] = {
	/* No file, no log, no thread. */
	{ "chroot:", "" },
	{ "pidfile:", "" },
	{ "use-syslog:", "no" },
	{ "val-log-level:", "2" },		/* the reason of a bogus answer, in words */
	/* Answers too long for one unfragmented datagram come over TCP: fragments can be forged. */
	{ "edns-buffer-size:", "1232" },
	{ "qname-minimisation:", "yes" },	/* RFC 9156 */
	{ "harden-glue:", "yes" },
	{ "harden-below-nxdomain:", "yes" },	/* RFC 8020 */
	{ "harden-referral-path:", "no" },
	{ "aggressive-nsec:", "yes" },		/* RFC 8198 */
	{ "use-caps-for-id:", "no" },		/* breaks with too many servers; ports and ids are random */
	{ "unwanted-reply-threshold:", "100000" },
	{ "rrset-roundrobin:", "no" },		/* we shuffle by ourselves */
	{ "serve-expired:", "no" },
	{ "cache-max-ttl:", "86400" },
	{ "cache-max-negative-ttl:", "900" },
	{ "val-bogus-ttl:", "60" },
	/* A server that was down is asked again soon: mail is patient, but not for a quarter of an hour. */
	{ "infra-host-ttl:", "60" },
	{ "infra-keep-probing:", "yes" },
	{ "prefer-ip4:", "yes" },		/* hosts without IPv6 still have AF_INET6 sockets, which lead nowhere */
	/* Zones that RFC 6303 blocks are asked for here: private networks have names, and laboratories use test. */
	{ "unblock-lan-zones:", "yes" },
	{ "insecure-lan-zones:", "yes" },
	{ "local-zone:", "test. transparent" },
	{ "outgoing-num-tcp:", "32" },
};

/* Where name servers of the world have no business to be; a referral must not make us knock there. */
static const char *const private_nets[] = {
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",
	"224.0.0.0/3", "::/127", "fc00::/7", "fe80::/9", "ff00::/8",
};

static bool
option(struct unbound *u, const char *name, const char *value, struct buf *why)
{
	int error = ub_ctx_set_option(u->ctx, name, value);

	if (error != 0)
		(void)buf_printf(why, "libunbound refuses %s %s: %s", name, value, ub_strerror(error));
	return error == 0;
}

static bool
option_number(struct unbound *u, const char *name, uint64_t value, struct buf *why)
{
	char text[24];

	(void)snprintf(text, sizeof text, "%llu", (unsigned long long)value);
	return option(u, name, text, why);
}

static bool
set_fixed(struct unbound *u, struct buf *why)
{
	for (size_t i = 0; i < sizeof fixed_options / sizeof fixed_options[0]; i++)
		if (!option(u, fixed_options[i].option, fixed_options[i].value, why))
			return false;
	return true;
}

static uint64_t
sockets(void)
{
	struct rlimit r;
	rlim_t n = SOCKETS_MIN;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0)
		n = r.rlim_cur / 2;
	return n < SOCKETS_MIN ? SOCKETS_MIN : n > SOCKETS_MAX ? SOCKETS_MAX : n;
}

static bool
has_family(int family)
{
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd == -1)
		return false;
	(void)close(fd);
	return true;
}

/* How setup { cache } is split: the records of all answers, the answers that point to them, keys, and denials. */
static bool
set_sizes(struct unbound *u, const struct setup *s, struct buf *why)
{
	return option_number(u, "rrset-cache-size:", s->cache / 2, why) &&
	    option_number(u, "msg-cache-size:", s->cache / 4, why) &&
	    option_number(u, "key-cache-size:", s->cache / 8, why) &&
	    option_number(u, "neg-cache-size:", s->cache / 8, why) &&
	    option_number(u, "outgoing-range:", sockets(), why) &&
	    option_number(u, "num-queries-per-thread:", s->max_queries, why);
}

static bool
set_reach(struct unbound *u, const struct setup *s, struct buf *why)
{
	bool ip6 = s->ipv6 && has_family(AF_INET6);

	if (!option(u, "do-ip4:", s->ipv4 ? "yes" : "no", why) || !option(u, "do-ip6:", ip6 ? "yes" : "no", why) ||
	    !option(u, "harden-dnssec-stripped:", s->strict ? "yes" : "no", why) ||
	    !option(u, "do-not-query-localhost:", s->recursive && !s->private_servers ? "yes" : "no", why))
		return false;
	if (!s->recursive || s->private_servers)
		return true;
	for (size_t i = 0; i < sizeof private_nets / sizeof private_nets[0]; i++)
		if (!option(u, "do-not-query-address:", private_nets[i], why))
			return false;
	return true;
}

static bool
set_servers(struct unbound *u, const struct setup *s, struct buf *why)
{
	for (size_t i = 0; i < s->n_servers; i++) {
		char ip[IP_TEXT_MAX], text[IP_TEXT_MAX + 8];
		int error;

		(void)ip_format(s->servers[i].ip, ip);
		(void)snprintf(text, sizeof text, "%s@%u", ip, s->servers[i].port);
		/* Roots of one's own are what the file says, not what they would say themselves: nothing to prime. */
		error = s->recursive ? ub_ctx_set_stub(u->ctx, ".", text, 0) : ub_ctx_set_fwd(u->ctx, text);
		if (error != 0) {
			(void)buf_printf(why, "libunbound refuses the server %s: %s", text, ub_strerror(error));
			return false;
		}
	}
	return true;
}

static bool
set_anchors(struct unbound *u, const struct setup *s, struct buf *why)
{
	for (size_t i = 0; i < s->n_anchors; i++)
		if (ub_ctx_add_ta(u->ctx, s->anchors[i]) != 0) {
			(void)buf_printf(why, "libunbound refuses the trust anchor %s", s->anchors[i]);
			return false;
		}
	return true;
}

static void
/* NOLINTNEXTLINE(readability-non-const-parameter): the type is libunbound's */
on_first(void *data, int rcode, void *packet, int n_packet, int sec, char *why, int ratelimited)
{
	(void)data, (void)rcode, (void)packet, (void)n_packet, (void)sec, (void)why, (void)ratelimited;
}

/* The first look-up ends configuration: caches are made, random numbers drawn, trust anchors parsed. localhost is a zone
 * that the library answers by itself. */
static bool
complete(struct unbound *u, struct buf *why)
{
	int error = ub_resolve_event(u->ctx, "localhost", DNS_TYPE_A, CLASS_IN, NULL, on_first, NULL);

	if (error != 0)
		(void)buf_printf(why, "libunbound cannot start: %s (is a trust anchor malformed?)", ub_strerror(error));
	return error == 0;
}

struct unbound *
unbound_new(struct loop *loop, const struct setup *s, struct buf *why)
{
	struct unbound *u = calloc(1, sizeof *u);

	if (u == NULL)
		return NULL;
	chore_setup(&u->chore, loop, hand_on_all, u);
	/* Half of what can be under way, and of the sockets for it: then mail finds its way whatever clients are called. */
	turns_init(&u->turns, (s->max_queries < sockets() ? s->max_queries : sockets()) / 2);
	u->max_for_mail = s->max_queries - u->turns.places;
	u->ctx = ub_ctx_create_event(loop_event_base(loop));
	if (u->ctx == NULL) {
		(void)buf_put_str(why, "libunbound: out of memory");
		free(u);
		return NULL;
	}
	/* What it has to say comes back with answers; it must not write to standard error. */
	(void)ub_ctx_debugout(u->ctx, NULL);
	if (!set_fixed(u, why) || !set_sizes(u, s, why) || !set_reach(u, s, why) || !set_servers(u, s, why) ||
	    !set_anchors(u, s, why) || !complete(u, why)) {
		unbound_free(u);
		return NULL;
	}
	return u;
}

void
unbound_free(struct unbound *u)
{
	if (u == NULL)
		return;
	u->dying = true;
	chore_cancel(&u->chore);
	ub_ctx_delete(u->ctx);
	while (u->waiting.first != NULL)
		lookup_free(u->waiting.first);
	while (u->in_turn.first != NULL)
		lookup_free(u->in_turn.first);
	while (u->asked.first != NULL)
		lookup_free(u->asked.first);
	while (u->done.first != NULL)
		lookup_free(u->done.first);
	turns_free(&u->turns);
	free(u);
}
