/* resolver/route.c -- see route.h. */
#include "resolver/route.h"

#include "common/buf.h"
#include "common/wire/domain.h"

#include <sodium.h>
#include <stdlib.h>

enum {
	FAMILIES = 2,		/* AAAA, A: also the order in which addresses alternate */
	HOSTS_BYTES_MAX = ROUTE_HOSTS_MAX * (16 + ROUTE_NAME_MAX + ROUTE_ADDRESSES_MAX * 17),
};

static const enum dns_type family_type[FAMILIES] = { DNS_TYPE_AAAA, DNS_TYPE_A };

struct host;
/* The addresses of one family of one host. */
struct family {
	struct host *host;
	struct lookup *lookup;		/* NULL: not under way */
	enum dns_status status;		/* DNS_TEMPORARY until it is known */
	bool secure;
	struct ip addresses[ROUTE_ADDRESSES_MAX];
	size_t n;
};

struct host {
	struct route *route;
	uint16_t preference;
	char name[ROUTE_NAME_MAX + 1];
	size_t n_name;
	struct family families[FAMILIES];
};

struct route {
	struct route *next;		/* in its bucket */
	struct routes *all;
	struct route_ask *asks;
	struct timer deadline;
	struct lookup *mx;		/* under way */
	struct host *hosts;
	size_t n_hosts;
	size_t pending;			/* look-ups of hosts under way */
	enum route_kind kind;
	bool secure;			/* so far */
	uint32_t ttl;			/* so far */
	bool any_ttl;
	const char *why;		/* the first trouble; a constant or why_text */
	char why_text[512];
	char name[ROUTE_NAME_MAX + 1];	/* lower case */
	size_t n_name;
};

/* --- the table of questions --- */

static size_t
bucket_of(const struct routes *r, enum route_kind kind, struct slice name)
{
	uint8_t text[ROUTE_NAME_MAX + 1];

	text[0] = (uint8_t)kind;
	memcpy(text + 1, name.p, name.n);
	return (size_t)(keyed_hash(&r->hash_key, slice_of(text, name.n + 1)) % ROUTES_BUCKETS);
}

static struct route *
route_find(struct routes *r, enum route_kind kind, struct slice name)
{
	for (struct route *q = r->buckets[bucket_of(r, kind, name)]; q != NULL; q = q->next)
		if (q->kind == kind && slice_eq(slice_of(q->name, q->n_name), name))
			return q;
	return NULL;
}

static void
route_unlist(struct route *q)
{
	struct route **at = &q->all->buckets[bucket_of(q->all, q->kind, slice_of(q->name, q->n_name))];

	while (*at != q)
		at = &(*at)->next;
	*at = q->next;
	q->all->n--;
}

/* Cancels what is under way. Out of the table, and the asks have been told or taken away. */
static void
route_free(struct route *q)
{
	const struct lookup_ops *ops = q->all->ops;
	struct lookup_source *source = q->all->source;

	timer_cancel(&q->deadline);
	if (q->mx != NULL)
		ops->cancel(source, q->mx);
	for (size_t i = 0; i < q->n_hosts; i++)
		for (size_t f = 0; f < FAMILIES; f++)
			if (q->hosts[i].families[f].lookup != NULL)
				ops->cancel(source, q->hosts[i].families[f].lookup);
	free(q->hosts);
	free(q);
}

/* --- what was learnt --- */

static void
ttl_lower(struct route *q, const struct dns_answer *answer)
{
	if (answer == NULL || (answer->ttl == 0 && answer->n_records == 0))
		return;		/* a denial without SOA says nothing */
	if (!q->any_ttl || answer->ttl < q->ttl)
		q->ttl = answer->ttl;
	q->any_ttl = true;
}

/* The first trouble is the one to tell. */
static void
trouble(struct route *q, struct slice name, enum dns_type type, const char *why)
{
	struct buf text = BUF_INIT(sizeof q->why_text - 1);

	if (q->why_text[0] != '\0')
		return;
	if (buf_put_slice(&text, name) && buf_printf(&text, " %s: ", dns_type_name(type)))
		(void)buf_put_slice(&text, slice_first(slice_str(why), buf_room(&text)));
	memcpy(q->why_text, buf_slice(&text).p == NULL ? (const uint8_t *)"" : buf_slice(&text).p, buf_len(&text));
	q->why_text[buf_len(&text)] = '\0';
	buf_free(&text);
}

/* --- the end --- */

/* Out of the table first: who asks again from fn begins anew. */
static void
finish(struct route *q, const struct route_answer *answer)
{
	route_unlist(q);
	while (q->asks != NULL) {
		struct route_ask *ask = q->asks;

		route_ask_cancel(ask);	/* idle from here on: fn may free it */
		ask->fn(ask, answer);
	}
	route_free(q);
}

static void
finish_without(struct route *q, enum dns_status status, const char *why)
{
	struct route_answer answer = {
		.status = status,
		.secure = q->secure && status != DNS_TEMPORARY && status != DNS_BOGUS,
		.ttl = q->ttl,
		.why = why,
	};

	finish(q, &answer);
}

static enum dns_status
host_status(const struct host *h)
{
	const struct family *six = &h->families[0], *four = &h->families[1];

	if (six->n + four->n > 0)
		return DNS_OK;
	if (six->status == DNS_BOGUS || four->status == DNS_BOGUS)
		return DNS_BOGUS;
	if (six->status == DNS_TEMPORARY || four->status == DNS_TEMPORARY)
		return DNS_TEMPORARY;
	return six->status == DNS_NXDOMAIN && four->status == DNS_NXDOMAIN ? DNS_NXDOMAIN : DNS_NODATA;
}

/* The families take turns, IPv6 first (RFC 8305 4), so that two tries see both. */
static void
host_addresses(const struct host *h, struct route_host *to)
{
	bool secure = true;

	for (size_t i = 0; i < ROUTE_ADDRESSES_MAX; i++)
		for (size_t f = 0; f < FAMILIES; f++) {
			const struct family *family = &h->families[f];

			if (i < family->n && to->n_addresses < ROUTE_ADDRESSES_MAX)
				to->addresses[to->n_addresses++] = family->addresses[i];
			secure &= family->n == 0 || family->secure;
		}
	to->secure = secure && to->n_addresses > 0;
}

static void
finish_with_hosts(struct route *q)
{
	struct buf hosts = BUF_INIT(HOSTS_BYTES_MAX);
	struct route_answer answer = { .status = DNS_OK, .secure = q->secure, .ttl = q->ttl, .why = "" };
	bool fits = true;

	for (size_t i = 0; i < q->n_hosts; i++) {
		struct route_host h = {
			.preference = q->hosts[i].preference,
			.status = (uint8_t)host_status(&q->hosts[i]),
			.name = slice_of(q->hosts[i].name, q->hosts[i].n_name),
		};

		host_addresses(&q->hosts[i], &h);
		answer.secure &= h.n_addresses == 0 || h.secure;
		fits &= route_host_put(&hosts, &h);
	}
	answer.hosts = buf_slice(&hosts);
	if (fits)
		finish(q, &answer);
	else
		finish_without(q, DNS_TEMPORARY, "out of memory");
	buf_free(&hosts);
}

/* No host has an address: the worst thing that was said of one decides, since it might have one after all. */
static void
finish_without_hosts(struct route *q)
{
	enum dns_status worst = DNS_NXDOMAIN;

	for (size_t i = 0; i < q->n_hosts; i++) {
		enum dns_status status = host_status(&q->hosts[i]);

		for (size_t f = 0; f < FAMILIES; f++)
			q->secure &= q->hosts[i].families[f].secure;
		if (status == DNS_BOGUS || worst == DNS_BOGUS)
			worst = DNS_BOGUS;
		else if (status == DNS_TEMPORARY || worst == DNS_TEMPORARY)
			worst = DNS_TEMPORARY;
		else if (status == DNS_NODATA)
			worst = DNS_NODATA;
	}
	if (worst == DNS_BOGUS || worst == DNS_TEMPORARY) {
		finish_without(q, worst, q->why_text[0] != '\0' ? q->why_text : "no answer in time");
	} else if (q->kind == ROUTE_HOST) {
		finish_without(q, worst, worst == DNS_NXDOMAIN ? "there is no such host" : "the host has no address");
	} else {
		/* The domain exists: it is its mail exchangers that do not. */
		finish_without(q, DNS_NODATA, q->hosts[0].n_name == q->n_name &&
		    memcmp(q->hosts[0].name, q->name, q->n_name) == 0 ?
		    "the domain has neither MX nor address" : "no mail exchanger of the domain has an address");
	}
}

static void
finish_hosts(struct route *q)
{
	for (size_t i = 0; i < q->n_hosts; i++)
		if (host_status(&q->hosts[i]) == DNS_OK) {
			finish_with_hosts(q);
			return;
		}
	finish_without_hosts(q);
}

/* --- the second step: addresses --- */

static void
shuffle_addresses(struct ip *a, size_t n)
{
	for (size_t i = n; i > 1; i--) {
		size_t j = randombytes_uniform((uint32_t)i);
		struct ip swap = a[i - 1];

		a[i - 1] = a[j];
		a[j] = swap;
	}
}

static void
keep_addresses(struct family *f, const struct dns_answer *answer)
{
	for (size_t i = 0; i < answer->n_records && f->n < ROUTE_ADDRESSES_MAX; i++)
		f->addresses[f->n++] = answer->records[i].ip;
	/* The owner has no way to order them (RFC 5321 5.1): spread the load. */
	shuffle_addresses(f->addresses, f->n);
}

static void
on_addresses(void *ctx, const struct lookup_result *result)
{
	struct family *f = ctx;
	struct host *h = f->host;
	struct route *q = h->route;

	f->lookup = NULL;
	f->status = result->status;
	f->secure = result->secure;
	if (result->status == DNS_OK)
		keep_addresses(f, result->answer);
	else if (result->status == DNS_TEMPORARY || result->status == DNS_BOGUS)
		trouble(q, slice_of(h->name, h->n_name), family_type[f - h->families], result->why);
	ttl_lower(q, result->answer);
	if (--q->pending == 0)
		finish_hosts(q);
}

static void
ask_addresses(struct route *q)
{
	struct routes *all = q->all;

	q->pending = q->n_hosts * FAMILIES;
	for (size_t i = 0; i < q->n_hosts; i++)
		for (size_t f = 0; f < FAMILIES; f++) {
			struct host *h = &q->hosts[i];
			struct family *family = &h->families[f];

			*family = (struct family){ .host = h, .status = DNS_TEMPORARY };
			family->lookup = all->ops->start(all->source, slice_of(h->name, h->n_name), family_type[f],
			    (struct ip){ 0 }, on_addresses, family);
			if (family->lookup == NULL) {
				trouble(q, slice_of(h->name, h->n_name), family_type[f], "too many look-ups");
				q->pending--;
			}
		}
	/* At once only when not one could be started; a timer's turn keeps the promise that fn comes later. */
	if (q->pending == 0)
		timer_start(&q->deadline, 0);
}

static enum rc
hosts_make(struct route *q, size_t n)
{
	q->hosts = calloc(n, sizeof *q->hosts);
	if (q->hosts == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < n; i++)
		q->hosts[i].route = q;
	return RC_OK;
}

/* The only host is the name itself. */
static enum rc
host_itself(struct route *q)
{
	if (hosts_make(q, 1) != RC_OK)
		return RC_NOMEM;
	memcpy(q->hosts[0].name, q->name, q->n_name);
	q->hosts[0].n_name = q->n_name;
	q->n_hosts = 1;
	return RC_OK;
}

/* --- the first step: MX --- */

/* One usable MX record. */
struct exchanger {
	uint16_t preference;
	uint32_t lot;		/* order among equals */
	char name[DNS_NAME_TEXT_MAX + 1];
	size_t n_name;
};

static bool
exchanger_before(const struct exchanger *x, const struct exchanger *y)
{
	return x->preference != y->preference ? x->preference < y->preference : x->lot < y->lot;
}

/* By insertion: they are few, and qsort() of the C library asks the kernel for its memory first. */
static void
exchangers_sort(struct exchanger *list, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		struct exchanger moving = list[i];
		size_t j = i;

		for (; j > 0 && exchanger_before(&moving, &list[j - 1]); j--)
			list[j] = list[j - 1];
		list[j] = moving;
	}
}

/* A name that can be a host: the underscore passes, since some use it and the name is only asked for. */
static bool
exchanger_name(const struct dns_name *name, struct exchanger *to)
{
	struct ip literal;
	struct slice text;

	if (dns_name_text(name, to->name, &to->n_name) != RC_OK)
		return false;
	text = slice_of(to->name, to->n_name);
	return domain_ehlo_parse(text, &literal) == RC_OK && literal.family == 0 && domain_is_dns_usable(text);
}

/* Sorted by preference, equals in random order (RFC 5321 5.1: MUST), each name once. Returns how many. */
static size_t
exchangers_of(const struct dns_answer *answer, struct exchanger to[DNS_RECORDS_MAX])
{
	size_t n = 0, kept = 0;

	for (size_t i = 0; i < answer->n_records; i++)
		if (exchanger_name(&answer->records[i].name, &to[n])) {
			to[n].preference = answer->records[i].preference;
			to[n++].lot = randombytes_random();
		}
	exchangers_sort(to, n);
	for (size_t i = 0; i < n; i++) {
		size_t j = 0;

		while (j < kept && !slice_eq(slice_of(to[i].name, to[i].n_name), slice_of(to[j].name, to[j].n_name)))
			j++;
		if (j == kept)
			to[kept++] = to[i];
	}
	return kept < ROUTE_HOSTS_MAX ? kept : ROUTE_HOSTS_MAX;
}

static void
take_exchangers(struct route *q, const struct dns_answer *answer)
{
	struct exchanger list[DNS_RECORDS_MAX];
	size_t n;

	/* RFC 7505 3. Whatever its preference: the root is no host, and nothing else is offered. */
	if (answer->n_records == 1 && dns_name_is_root(&answer->records[0].name)) {
		finish_without(q, DNS_NULL_MX, "the domain accepts no mail (null MX)");
		return;
	}
	n = exchangers_of(answer, list);
	if (n == 0) {
		/* RFC 5321 5.1: MX records that cannot be used are an error; the address record does not step in. */
		finish_without(q, DNS_NODATA, "no MX record of the domain names a host");
		return;
	}
	if (hosts_make(q, n) != RC_OK) {
		finish_without(q, DNS_TEMPORARY, "out of memory");
		return;
	}
	for (size_t i = 0; i < n; i++) {
		q->hosts[i].preference = list[i].preference;
		q->hosts[i].n_name = list[i].n_name;
		memcpy(q->hosts[i].name, list[i].name, list[i].n_name);
	}
	q->n_hosts = n;
	ask_addresses(q);
}

static void
on_mx(void *ctx, const struct lookup_result *result)
{
	struct route *q = ctx;

	q->mx = NULL;
	q->secure = result->secure;
	ttl_lower(q, result->answer);
	switch (result->status) {
	case DNS_OK:
		take_exchangers(q, result->answer);
		return;
	case DNS_NODATA:
		/* RFC 5321 5.1: the implicit MX. */
		if (host_itself(q) == RC_OK)
			ask_addresses(q);
		else
			finish_without(q, DNS_TEMPORARY, "out of memory");
		return;
	case DNS_NXDOMAIN:
		finish_without(q, DNS_NXDOMAIN, "there is no such domain");
		return;
	case DNS_NULL_MX:
	case DNS_TEMPORARY:
	case DNS_BOGUS:
		break;
	}
	trouble(q, slice_of(q->name, q->n_name), DNS_TYPE_MX, result->why);
	finish_without(q, result->status, q->why_text);
}

/* --- questions --- */

static void
on_deadline(struct timer *t, void *ctx)
{
	struct route *q = ctx;

	(void)t;
	if (q->hosts == NULL)
		finish_without(q, DNS_TEMPORARY, "no answer in time");
	else
		finish_hosts(q);
}

static struct route *
route_new(struct routes *r, enum route_kind kind, struct slice name)
{
	struct route *q = calloc(1, sizeof *q);
	size_t bucket = bucket_of(r, kind, name);

	if (q == NULL)
		return NULL;
	q->all = r;
	q->kind = kind;
	q->n_name = name.n;
	memcpy(q->name, name.p, name.n);
	q->next = r->buckets[bucket];
	r->buckets[bucket] = q;
	r->n++;
	timer_setup(&q->deadline, r->loop, on_deadline, q);
	timer_start(&q->deadline, r->timeout_ms);
	return q;
}

static enum rc
route_begin(struct route *q)
{
	struct routes *all = q->all;

	if (q->kind == ROUTE_HOST) {
		q->secure = true;	/* nothing but the addresses counts */
		if (host_itself(q) != RC_OK)
			return RC_NOMEM;
		ask_addresses(q);
		return RC_OK;
	}
	q->mx = all->ops->start(all->source, slice_of(q->name, q->n_name), DNS_TYPE_MX, (struct ip){ 0 },
	    on_mx, q);
	return q->mx == NULL ? RC_AGAIN : RC_OK;
}

enum rc
routes_ask(struct routes *r, struct route_ask *ask, enum route_kind kind, struct slice name)
{
	uint8_t lower[ROUTE_NAME_MAX];
	struct slice key = slice_of(lower, name.n);
	struct route *q;

	BUG_ON(name.n == 0 || name.n > ROUTE_NAME_MAX || ask->route != NULL);
	for (size_t i = 0; i < name.n; i++)
		lower[i] = ascii_lower(name.p[i]);
	q = route_find(r, kind, key);
	if (q == NULL) {
		enum rc rc;

		if (r->n >= ROUTES_MAX)
			return RC_AGAIN;
		q = route_new(r, kind, key);
		if (q == NULL)
			return RC_NOMEM;
		rc = route_begin(q);
		if (rc != RC_OK) {
			route_unlist(q);
			route_free(q);
			return rc;
		}
	}
	ask->route = q;
	ask->next = q->asks;
	ask->at = &q->asks;
	if (ask->next != NULL)
		ask->next->at = &ask->next;
	q->asks = ask;
	return RC_OK;
}

void
route_ask_cancel(struct route_ask *ask)
{
	if (ask->route == NULL)
		return;
	*ask->at = ask->next;
	if (ask->next != NULL)
		ask->next->at = ask->at;
	ask->route = NULL;
}

void
routes_init(struct routes *r, struct loop *loop, const struct lookup_ops *ops, struct lookup_source *source,
    uint64_t timeout_ms)
{
	*r = (struct routes){ .loop = loop, .ops = ops, .source = source, .timeout_ms = timeout_ms };
	hash_key_make(&r->hash_key);
}

void
routes_end(struct routes *r, const char *why)
{
	for (size_t i = 0; i < ROUTES_BUCKETS; i++)
		while (r->buckets[i] != NULL)
			finish_without(r->buckets[i], DNS_TEMPORARY, why);
}
