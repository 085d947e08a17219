/* tests/fuzz/fuzz_room_resolver.c -- the resolver: askers that ask anything, and a DNS that answers anything: packets of any
 * bytes, in any order, parsed and judged as those of the library are. */
#include "tests/fuzz/room.h"
#include "tests/fuzz/clock.h"

#include "resolver/resolver.h"

#include <sodium.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PENDING_MAX = 2048, PACKET_MAX = 4096 };

struct lookup {
	struct slice name;
	char text[256];
	enum dns_type type;
	lookup_fn *fn;
	void *ctx;
};

static struct lookup *pending[PENDING_MAX];
static size_t n_pending;

static struct lookup *
lookup_start(struct lookup_source *source, struct slice name, enum dns_type type, struct ip whose, lookup_fn *fn, void *ctx)
{
	struct lookup *l = n_pending == PENDING_MAX ? NULL : calloc(1, sizeof *l);

	(void)source, (void)whose;
	if (l == NULL)
		return NULL;
	if (name.n == 0 || name.n >= sizeof l->text)
		abort();	/* no name of the DNS */
	memcpy(l->text, name.p, name.n);
	*l = (struct lookup){ .type = type, .fn = fn, .ctx = ctx };
	memcpy(l->text, name.p, name.n);
	l->name = slice_of(l->text, name.n);
	pending[n_pending++] = l;
	return l;
}

static void
forget(size_t i)
{
	memmove(&pending[i], &pending[i + 1], (--n_pending - i) * sizeof pending[0]);
}

static void
lookup_cancel(struct lookup_source *source, struct lookup *lookup)
{
	(void)source;
	for (size_t i = 0; i < n_pending; i++)
		if (pending[i] == lookup) {
			forget(i);
			free(lookup);
			return;
		}
	abort();	/* cancelled twice, or never started */
}

static const struct lookup_ops fake_lookups = { lookup_start, lookup_cancel };

static struct conf *
conf(void)
{
	struct conf *c = conf_new();

	if (c == NULL || sodium_init() == -1)
		abort();
	return c;
}

static void
no_sweep(struct timer *t, void *ctx)
{
	(void)t, (void)ctx;
}

/* What prepare() does, with another library below. */
static void
begin(struct fuzz_world *w)
{
	struct resolver *r = calloc(1, sizeof *r);
	struct generation *g = calloc(1, sizeof *g);

	if (r == NULL || g == NULL)
		abort();
	w->room.ctx = r;
	r->room = &w->room;
	r->now = g;
	buf_init(&r->why, 1024);
	timer_setup(&r->sweep, w->room.loop, no_sweep, r);
	routes_init(&g->routes, w->room.loop, &fake_lookups, NULL, w->room.conf->resolver.timeout);
	ptrs_init(&g->ptrs, w->room.loop, &fake_lookups, NULL, w->room.conf->resolver.timeout);
	n_pending = 0;
}

/* --- packets --- */

static void
put_name(struct fuzz_world *w, struct wr *p, struct slice asked)
{
	struct dns_name name;
	uint8_t how = rd_u8(&w->in);
	struct slice text = (how & 3) == 0 ? fuzz_text(w) : asked;

	if (how >= 0xf0)
		wr_bytes(p, "\xc0\x0c", 2);
	else if (dns_name_from_text(text, &name) == RC_OK)
		wr_bytes(p, name.wire, name.n);
	else
		wr_u8(p, 0);
}

static void
wr_u16_be(struct wr *p, unsigned v)
{
	wr_u8(p, (uint8_t)(v >> 8));
	wr_u8(p, (uint8_t)v);
}

/* A record of the answer: the type asked for mostly, with data of the kind. */
static void
put_record(struct fuzz_world *w, struct wr *p, const struct lookup *l)
{
	static const uint8_t types[] = { DNS_TYPE_A, DNS_TYPE_CNAME, DNS_TYPE_PTR, DNS_TYPE_MX, DNS_TYPE_AAAA, DNS_TYPE_SOA, 46,
	    16 };
	uint8_t how = rd_u8(&w->in);
	unsigned type = how < 0xa0 ? (unsigned)l->type : types[how & 7];
	uint8_t space[1024];
	struct wr data = { space, 0, sizeof space, false };
	struct ip ip;

	put_name(w, p, l->name);
	wr_u16_be(p, type);
	wr_u16_be(p, how == 0xff ? 3 : 1);
	wr_u16_be(p, 0);
	wr_u16_be(p, rd_u8(&w->in) * 16u);
	if (type == DNS_TYPE_A || type == DNS_TYPE_AAAA) {
		ip = fuzz_ip(w);
		wr_bytes(&data, ip.b, type == DNS_TYPE_A ? 4 : 16);
	} else {
		if (type == DNS_TYPE_MX)
			wr_u16_be(&data, rd_u8(&w->in));
		put_name(w, &data, slice_of(w->texts[0].bytes, w->texts[0].n));
	}
	wr_u16_be(p, (unsigned)data.n);
	wr_bytes(p, space, data.n);
}

static struct slice
packet(struct fuzz_world *w, const struct lookup *l, uint8_t how)
{
	static uint8_t space[PACKET_MAX];
	struct wr p = { space, 0, sizeof space, false };
	uint8_t n = how & 7;
	struct dns_name question;

	if ((how & 0x18) == 0x18)
		return rd_take(&w->in, rd_u8(&w->in));
	wr_bytes(&p, "\x12\x34\x81", 3);
	wr_u8(&p, 0x80 | (n == 0 && (how & 8) != 0 ? DNS_RCODE_NXDOMAIN : 0));
	wr_u16_be(&p, 1);
	wr_u16_be(&p, n);
	wr_u16_be(&p, 0);
	wr_u16_be(&p, 0);
	if (dns_name_from_text(l->name, &question) == RC_OK)
		wr_bytes(&p, question.wire, question.n);
	wr_u16_be(&p, (unsigned)l->type);
	wr_u16_be(&p, 1);
	while (n-- > 0)
		put_record(w, &p, l);
	return p.bad ? S("") : slice_of(space, p.n);
}

/* A look-up gets its answer. */
static void
special(struct fuzz_world *w)
{
	static struct dns_answer answer;
	uint8_t which = rd_u8(&w->in), how = rd_u8(&w->in);
	struct lookup_result result;
	struct lookup *l;
	struct slice bytes;

	if (n_pending == 0)
		return;
	l = pending[which % n_pending];
	bytes = packet(w, l, how);
	result = lookup_judge(l->name, l->type, bytes.n > 3 ? bytes.p[3] & 15 : 2, bytes, how == 0xe0, (how & 0x20) != 0,
	    (how & 0x40) != 0 ? "a reason" : NULL, &answer);
	forget(which % n_pending);
	l->fn(l->ctx, &result);
	free(l);
}

static void
end(struct fuzz_world *w)
{
	struct resolver *r = w->room.ctx;
	struct generation *g = r->now;

	if (r->askers != NULL)
		abort();
	/* Questions that nobody waits for end with their time. */
	for (unsigned i = 0; i < 4; i++) {
		fuzz_clock_pass(w->room.conf->resolver.timeout + 1000);
		fuzz_settle(w);
	}
	if (g->routes.n != 0 || g->ptrs.n != 0 || n_pending != 0)
		abort();
	timer_cancel(&r->sweep);
	buf_free(&r->why);
	free(g);
	free(r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz_room def = { .role = ROLE_RESOLVER, .conf = conf, .start = begin, .special = special, .end = end,
		.lines = { ROLE_SMTPD, ROLE_DELIVER, ROLE_DELIVER } };
	static struct room_ops ops;

	ops = resolver_ops;
	ops.adopt = NULL;
	def.ops = &ops;
	return fuzz_room_run(&def, data, size);
}
