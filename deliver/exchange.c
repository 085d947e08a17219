/* deliver/exchange.c -- see exchange.h. */
#include "deliver/exchange.h"

#include "common/wire/chars.h"

#include <stddef.h>

void
exchange_init(struct exchange *x)
{
	*x = (struct exchange){ .resting = STAGE_IDLE };
	buf_init(&x->out, EXCHANGE_OUT_MAX);
	buf_init(&x->in, EXCHANGE_IN_MAX);
}

void
exchange_free(struct exchange *x)
{
	buf_free(&x->out);
	buf_free(&x->in);
	exchange_init(x);
}

void
exchange_expect(struct exchange *x, enum stage stage)
{
	unsigned last = (x->first + x->n_runs + EXCHANGE_RUNS - 1) % EXCHANGE_RUNS;

	x->n_due++;
	if (x->n_runs > 0 && x->due[last].stage == stage) {
		x->due[last].n++;
		return;
	}
	BUG_ON(x->n_runs == EXCHANGE_RUNS);
	last = (x->first + x->n_runs++) % EXCHANGE_RUNS;
	x->due[last].stage = stage;
	x->due[last].n = 1;
}

bool
exchange_may_send(const struct exchange *x)
{
	return (x->caps.pipelining || x->n_due == 0) && buf_room(&x->out) >= EXCHANGE_COMMAND_MAX;
}

void
exchange_command(struct exchange *x, enum stage stage, const char *verb, struct slice argument)
{
	(void)buf_put_str(&x->out, verb);
	if (argument.n > 0) {
		(void)buf_put_byte(&x->out, ' ');
		(void)buf_put_slice(&x->out, argument);
	}
	(void)buf_put_str(&x->out, "\r\n");
	exchange_expect(x, stage);
}

enum stage
exchange_stage(const struct exchange *x)
{
	return x->n_runs > 0 ? x->due[x->first].stage : x->resting;
}

enum rc
exchange_feed(struct exchange *x, struct slice bytes)
{
	buf_consume(&x->in, x->used);
	x->used = 0;
	return buf_put_slice(&x->in, bytes) ? RC_OK : RC_NOMEM;
}

static void
take_due(struct exchange *x)
{
	if (x->n_runs == 0)
		return;
	x->n_due--;
	if (--x->due[x->first].n == 0) {
		x->first = (x->first + 1) % EXCHANGE_RUNS;
		x->n_runs--;
	}
}

enum rc
exchange_reply(struct exchange *x, enum stage *ret_stage, struct smtp_reply *ret_reply)
{
	enum rc rc;

	buf_consume(&x->in, x->used);
	x->used = 0;
	if (buf_len(&x->in) == 0)
		return RC_MORE;
	rc = smtp_reply_parse(&x->scan, buf_slice(&x->in), ret_reply, &x->used);
	if (rc != RC_OK)
		return rc;
	*ret_stage = exchange_stage(x);
	take_due(x);
	return RC_OK;
}

bool
exchange_has_input(const struct exchange *x)
{
	return buf_len(&x->in) > x->used;
}

bool
exchange_is_out_of_step(const struct exchange *x)
{
	struct slice said = slice_from(buf_slice(&x->in), x->used);

	return x->n_due == 0 && said.n > 0 && !slice_starts(said, S("421"));
}

/* The first parameter of SIZE; 0, absent or nonsense: no limit known (RFC 1870 4). */
static uint64_t
size_param(struct slice params)
{
	uint64_t n = 0;

	for (size_t i = 0; i < params.n && params.p[i] != ' ' && params.p[i] != ','; i++)
		if (!char_is_digit(params.p[i]) || __builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(params.p[i] - '0'), &n))
			return 0;
	return n;
}

/* Those that say no more than that they are there. */
static const struct {
	struct slice keyword;
	size_t offset;
} flags[] = {
	{ SLICE("PIPELINING"), offsetof(struct peer_caps, pipelining) },
	{ SLICE("8BITMIME"), offsetof(struct peer_caps, eight_bit) },
	{ SLICE("CHUNKING"), offsetof(struct peer_caps, chunking) },
	{ SLICE("BINARYMIME"), offsetof(struct peer_caps, binary) },
	{ SLICE("DSN"), offsetof(struct peer_caps, dsn) },
	{ SLICE("MT-PRIORITY"), offsetof(struct peer_caps, priority) },
	{ SLICE("SMTPUTF8"), offsetof(struct peer_caps, utf8) },
	{ SLICE("SIZE"), offsetof(struct peer_caps, size) },
	{ SLICE("DELIVERBY"), offsetof(struct peer_caps, deliver_by) },
};

void
exchange_learn(struct exchange *x, const struct smtp_reply *ehlo)
{
	struct slice rest = ehlo->lines;
	struct smtp_ehlo_line line;
	bool first = true;

	x->caps = (struct peer_caps){ .size_max = 0 };
	while (smtp_ehlo_next(&rest, &first, &line)) {
		for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
			if (slice_caseeq(line.keyword, flags[i].keyword))
				*(bool *)((char *)&x->caps + flags[i].offset) = true;
		if (slice_caseeq(line.keyword, S("SIZE")))
			x->caps.size_max = size_param(line.params);
		else if (slice_caseeq(line.keyword, S("DELIVERBY")))
			x->caps.min_by = size_param(line.params);	/* RFC 2852 2 */
	}
}
