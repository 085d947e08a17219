/* tests/fuzz/fuzz_room_router.c -- the router between smtpds, a queue and a control that ask anything. */
#include "tests/fuzz/room.h"
#include "tests/router/house.h"

#include "router/router.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct policy *policy;

static struct conf *
conf(void)
{
	static const struct house_line lines[] = {
		{ "listener", "mx", "address", "198.51.100.1" },
		{ "router", "", "local-domains", "house.test" },
		{ "router", "", "local-users", "@users" },
		{ "rule", "to-sink", "to", "sink.test" },
		{ "rule", "to-sink", "action", "accept" },
		{ "router", "", "relay-clients", "10.0.0.0/8" },
		{ "table", "users", "file", "/etc/postern/users" },
		{ "rule", "no-spam", "from", "spam.test" },
		{ "rule", "no-spam", "action", "reject" },
	};
	static const struct house_file file = { "users", "alice\nbob\n" };
	static const struct house_files files = { &file, 1 };
	struct conf *c = house_conf(lines, sizeof lines / sizeof lines[0]);
	struct buf why = BUF_INIT(4096);

	if (policy_new(c, house_load, (void *)(uintptr_t)&files, &policy, &why) != RC_OK) {
		(void)fprintf(stderr, "%s\n", buf_cstr(&why));
		abort();
	}
	return c;
}

static void
begin(struct fuzz_world *w)
{
	struct router *r = calloc(1, sizeof *r);

	if (r == NULL)
		abort();
	w->room.ctx = r;
	r->room = &w->room;
	r->policy = policy;
	buf_init(&r->why, 4096);
}

static void
end(struct fuzz_world *w)
{
	struct router *r = w->room.ctx;

	for (size_t i = 0; i < ROUTER_SMTPDS_MAX; i++)
		if (r->smtpds[i] != NULL)
			abort();	/* its line is closed: it must have been forgotten */
	if (r->queue != NULL || r->control != NULL)
		abort();
	buf_free(&r->why);
	free(r);
}

static const struct room_ops *
ops(void)
{
	static struct room_ops all;

	/* A new generation comes with files, which is master's affair. */
	all = router_ops;
	all.adopt = NULL;
	return &all;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz_room def = { .role = ROLE_ROUTER, .conf = conf, .start = begin, .end = end,
		.lines = { ROLE_SMTPD, ROLE_SMTPD, ROLE_QUEUE, ROLE_CONTROL } };

	def.ops = ops();
	return fuzz_room_run(&def, data, size);
}
