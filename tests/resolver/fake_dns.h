/* tests/resolver/fake_dns.h -- a made-up DNS behind struct lookup_ops: a table of names and what is said of them.
 *
 * Answers come when the test says so (fake_answer_all, or one by one), never from inside start(). A name that is not in
 * the table does not exist. */
#ifndef POSTERN_TESTS_RESOLVER_FAKE_DNS_H
#define POSTERN_TESTS_RESOLVER_FAKE_DNS_H

#include "resolver/lookup.h"

#include <stdlib.h>

enum { FAKE_PENDING_MAX = 16384 };

struct fake_row {
	const char *name;
	enum dns_type type;
	enum dns_status status;
	bool secure;
	const char *data;	/* records, separated by spaces: addresses, names, or preference:name */
	uint32_t ttl;
	bool mute;		/* never answered */
};

struct lookup {
	char name[256];
	enum dns_type type;
	struct ip whose;
	lookup_fn *fn;
	void *ctx;
};

struct fake_dns {
	const struct fake_row *rows;
	size_t n_rows;
	struct lookup *pending[FAKE_PENDING_MAX];
	size_t n_pending;
	unsigned started, cancelled;
	bool refuse;		/* start() fails */
};

static inline struct fake_dns *
fake_of(struct lookup_source *source)
{
	return (struct fake_dns *)(void *)source;
}

static struct lookup *
fake_start(struct lookup_source *source, struct slice name, enum dns_type type, struct ip whose, lookup_fn *fn, void *ctx)
{
	struct fake_dns *f = fake_of(source);
	struct lookup *l;

	if (f->refuse || f->n_pending == FAKE_PENDING_MAX)
		return NULL;
	l = calloc(1, sizeof *l);
	assert_non_null(l);
	assert_true(name.n < sizeof l->name);
	memcpy(l->name, name.p, name.n);
	l->type = type;
	l->whose = whose;
	l->fn = fn;
	l->ctx = ctx;
	f->pending[f->n_pending++] = l;
	f->started++;
	return l;
}

static void
fake_take(struct fake_dns *f, size_t i)
{
	f->n_pending--;
	memmove(&f->pending[i], &f->pending[i + 1], (f->n_pending - i) * sizeof f->pending[0]);
}

static void
fake_cancel(struct lookup_source *source, struct lookup *l)
{
	struct fake_dns *f = fake_of(source);

	for (size_t i = 0; i < f->n_pending; i++)
		if (f->pending[i] == l) {
			fake_take(f, i);
			free(l);
			f->cancelled++;
			return;
		}
	fail_msg("cancelled twice, or never started");
}

static const struct lookup_ops fake_ops = { fake_start, fake_cancel };

static void
fake_record(struct dns_answer *a, struct slice text)
{
	struct dns_record *r;

	assert_true(a->n_records < DNS_RECORDS_MAX);
	r = &a->records[a->n_records++];
	if (a->type == DNS_TYPE_A || a->type == DNS_TYPE_AAAA) {
		assert_int_equal(ip_parse(text, &r->ip), RC_OK);
		return;
	}
	if (a->type == DNS_TYPE_MX) {
		size_t colon = slice_find(text, ':');

		for (size_t i = 0; i < colon; i++)
			r->preference = (uint16_t)(r->preference * 10 + (text.p[i] - '0'));
		text = slice_from(text, colon + 1);
	}
	assert_int_equal(dns_name_from_text(text, &r->name), RC_OK);
}

static const struct fake_row *
fake_row(const struct fake_dns *f, const struct lookup *l)
{
	for (size_t i = 0; i < f->n_rows; i++)
		if (f->rows[i].type == l->type && slice_eq(slice_str(f->rows[i].name), slice_str(l->name)))
			return &f->rows[i];
	return NULL;
}

/* Has the table any row of that name? Then what it does not say is NODATA. */
static bool
fake_exists(const struct fake_dns *f, const struct lookup *l)
{
	for (size_t i = 0; i < f->n_rows; i++)
		if (slice_eq(slice_str(f->rows[i].name), slice_str(l->name)))
			return true;
	return false;
}

/* Answers the pending look-up number i; false: it is mute. */
static bool
fake_answer(struct fake_dns *f, size_t i)
{
	static struct dns_answer answer;
	struct lookup *l = f->pending[i];
	const struct fake_row *row = fake_row(f, l);
	struct lookup_result result = { .status = fake_exists(f, l) ? DNS_NODATA : DNS_NXDOMAIN, .why = "", .answer = &answer };

	if (row != NULL && row->mute)
		return false;
	memset(&answer, 0, sizeof answer);
	answer.type = (uint16_t)l->type;
	if (row != NULL) {
		struct slice data = slice_str(row->data);

		result.status = row->status;
		result.secure = row->secure;
		answer.ttl = row->ttl;
		while (data.n > 0 && row->status == DNS_OK) {
			size_t n = slice_find(data, ' ');

			fake_record(&answer, slice_first(data, n));
			data = slice_from(data, n + 1);
		}
		if (row->status == DNS_TEMPORARY || row->status == DNS_BOGUS) {
			result.answer = NULL;
			result.why = row->data;
		}
	}
	fake_take(f, i);
	l->fn(l->ctx, &result);
	free(l);
	return true;
}

static void
fake_answer_all(struct fake_dns *f)
{
	size_t i = 0;

	while (i < f->n_pending)
		if (!fake_answer(f, i))
			i++;
}

#endif
