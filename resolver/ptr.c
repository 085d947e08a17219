/* resolver/ptr.c -- see ptr.h. */
#include "resolver/ptr.h"

#include "common/wire/domain.h"

#include <stdlib.h>

/* A name that the PTR record gave. */
struct candidate {
	struct ptr *ptr;
	struct lookup *lookup;		/* under way */
	enum dns_status status;		/* DNS_OK: confirmed */
	bool secure;
	char name[DNS_NAME_TEXT_MAX + 1];
	size_t n_name;
};

struct ptr {
	struct ptr *next, **at;
	struct ptrs *all;
	struct ptr_ask *ask;
	struct timer deadline;
	struct lookup *lookup;		/* of the PTR record */
	struct ip ip;
	bool secure;
	struct candidate names[PTR_NAMES_MAX];
	size_t n_names, pending;
};

/* Whose place it takes. One customer's site has 65536 networks of the usual size (RFC 6177), each with name servers that he
 * chooses, and places are few. */
static struct ip
whose(const struct ptr *p)
{
	enum { SITE = 48 };
	uint32_t v6 = p->all->ipv6_prefix;

	return ip_client_network(p->ip, p->all->ipv4_prefix, v6 < SITE ? v6 : SITE).ip;
}

static void
ptr_free(struct ptr *p)
{
	timer_cancel(&p->deadline);
	if (p->lookup != NULL)
		p->all->ops->cancel(p->all->source, p->lookup);
	for (size_t i = 0; i < p->n_names; i++)
		if (p->names[i].lookup != NULL)
			p->all->ops->cancel(p->all->source, p->names[i].lookup);
	*p->at = p->next;
	if (p->next != NULL)
		p->next->at = p->at;
	p->all->n--;
	free(p);
}

static void
finish(struct ptr *p, enum dns_status status, bool secure, struct slice name, const char *why)
{
	struct ptr_ask *ask = p->ask;

	ask->ptr = NULL;
	ask->fn(ask, status, secure, name, why);
	ptr_free(p);
}

static void
finish_without(struct ptr *p, enum dns_status status, const char *why)
{
	finish(p, status, p->secure && status != DNS_TEMPORARY && status != DNS_BOGUS, S(""), why);
}

/* Every name has been looked at, or time is up: the first that was confirmed, in the order of the record. */
static void
finish_names(struct ptr *p)
{
	bool temporary = false, bogus = false;

	for (size_t i = 0; i < p->n_names; i++) {
		const struct candidate *c = &p->names[i];

		if (c->status == DNS_OK) {
			finish(p, DNS_OK, p->secure && c->secure, slice_of(c->name, c->n_name), "");
			return;
		}
		temporary |= c->status == DNS_TEMPORARY;
		bogus |= c->status == DNS_BOGUS;
	}
	if (bogus)
		finish_without(p, DNS_BOGUS, "the address of the name fails validation");
	else if (temporary)
		finish_without(p, DNS_TEMPORARY, "the address of the name cannot be found now");
	else
		finish_without(p, DNS_NODATA, "no name of the address leads back to it");
}

static void
on_addresses(void *ctx, const struct lookup_result *result)
{
	struct candidate *c = ctx;
	struct ptr *p = c->ptr;

	c->lookup = NULL;
	c->secure = result->secure;
	c->status = result->status;
	if (result->status == DNS_OK) {
		c->status = DNS_NODATA;
		for (size_t i = 0; i < result->answer->n_records; i++)
			if (ip_eq(result->answer->records[i].ip, p->ip))
				c->status = DNS_OK;
	}
	if (--p->pending == 0)
		finish_names(p);
}

static void
take_names(struct ptr *p, const struct dns_answer *answer)
{
	for (size_t i = 0; i < answer->n_records && p->n_names < PTR_NAMES_MAX; i++) {
		struct candidate *c = &p->names[p->n_names];
		struct slice name;

		/* What goes into the log, the trace field and the rules is a domain, or nothing. */
		if (dns_name_text(&answer->records[i].name, c->name, &c->n_name) != RC_OK)
			continue;
		name = slice_of(c->name, c->n_name);
		if (domain_check(name) != RC_OK || !domain_is_dns_usable(name))
			continue;
		c->ptr = p;
		c->status = DNS_TEMPORARY;
		p->n_names++;
	}
}

static void
on_ptr(void *ctx, const struct lookup_result *result)
{
	struct ptr *p = ctx;

	p->lookup = NULL;
	p->secure = result->secure;
	if (result->status != DNS_OK) {
		finish_without(p, result->status, result->status == DNS_NXDOMAIN || result->status == DNS_NODATA ?
		    "the address has no name" : result->why);
		return;
	}
	take_names(p, result->answer);
	if (p->n_names == 0) {
		finish_without(p, DNS_NODATA, "the address has no name that could be a host's");
		return;
	}
	for (size_t i = 0; i < p->n_names; i++) {
		struct candidate *c = &p->names[i];

		c->lookup = p->all->ops->start(p->all->source, slice_of(c->name, c->n_name),
		    p->ip.family == 4 ? DNS_TYPE_A : DNS_TYPE_AAAA, whose(p), on_addresses, c);
		p->pending += c->lookup != NULL;
	}
	if (p->pending == 0)
		finish_names(p);
}

static void
on_deadline(struct timer *t, void *ctx)
{
	struct ptr *p = ctx;

	(void)t;
	if (p->n_names == 0)
		finish_without(p, DNS_TEMPORARY, "no answer in time");
	else
		finish_names(p);
}

enum rc
ptrs_ask(struct ptrs *all, struct ptr_ask *ask, struct ip ip)
{
	char name[DNS_REVERSE_TEXT_MAX];
	size_t n_name = dns_reverse_name(ip, name);
	struct ptr *p;

	BUG_ON(n_name == 0 || ask->ptr != NULL);
	if (all->n >= PTRS_MAX)
		return RC_AGAIN;
	p = calloc(1, sizeof *p);
	if (p == NULL)
		return RC_NOMEM;
	p->all = all;
	p->ask = ask;
	p->ip = ip;
	p->next = all->first;
	p->at = &all->first;
	if (p->next != NULL)
		p->next->at = &p->next;
	all->first = p;
	all->n++;
	timer_setup(&p->deadline, all->loop, on_deadline, p);
	p->lookup = all->ops->start(all->source, slice_of(name, n_name), DNS_TYPE_PTR, whose(p), on_ptr, p);
	if (p->lookup == NULL) {
		ptr_free(p);
		return RC_AGAIN;
	}
	timer_start(&p->deadline, all->timeout_ms);
	ask->ptr = p;
	return RC_OK;
}

void
ptr_ask_cancel(struct ptr_ask *ask)
{
	struct ptr *p = ask->ptr;

	ask->ptr = NULL;
	if (p != NULL)
		ptr_free(p);
}

void
ptrs_init(struct ptrs *all, struct loop *loop, const struct lookup_ops *ops, struct lookup_source *source,
    uint64_t timeout_ms)
{
	*all = (struct ptrs){ .loop = loop, .ops = ops, .source = source, .timeout_ms = timeout_ms, .ipv4_prefix = 32,
		.ipv6_prefix = 64 };
}

void
ptrs_end(struct ptrs *all, const char *why)
{
	while (all->first != NULL)
		finish_without(all->first, DNS_TEMPORARY, why);
}
