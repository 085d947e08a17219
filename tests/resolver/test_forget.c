/* tests/resolver/test_forget.c -- questions for the names of clients that are taken back: V_FORGET over real lines, a made-up DNS
 * below. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "resolver/resolver.h"
#include "tests/resolver/fake_dns.h"

#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LINES = 2 };

/* A line to the room, as smtpd or deliver has it. */
struct line {
	struct peer *peer;	/* NULL: the room has closed it */
	unsigned n_names, n_hosts;
	uint32_t last;		/* handle of the last answer */
	enum dns_status status;
};

struct world {
	struct fake_dns dns;
	struct resolver resolver;
	struct generation generation;
	struct room room;
	struct line smtpd[LINES], deliver;
};

static const struct fake_row zone[] = {
	{ "1.2.0.192.in-addr.arpa", DNS_TYPE_PTR, DNS_OK, true, "one.test", 60, false },
	{ "one.test", DNS_TYPE_A, DNS_OK, true, "192.0.2.1", 60, false },
};

/* --- the rooms that ask --- */

static const char *
on_name(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct line *line = ctx;
	struct v_name m = { 0 };

	(void)p, (void)fd;
	assert_true(v_name_get(body, &m));
	line->n_names++;
	line->last = handle;
	line->status = (enum dns_status)m.status;
	return NULL;
}

static const char *
on_hosts(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct line *line = ctx;
	struct v_hosts m = { 0 };

	(void)p, (void)fd;
	assert_true(v_hosts_get(body, &m));
	line->n_hosts++;
	line->last = handle;
	line->status = (enum dns_status)m.status;
	return NULL;
}

static void
on_closed(void *ctx, struct peer *p, const char *why)
{
	struct line *line = ctx;

	assert_null(why);
	line->peer = NULL;
	peer_free(p);
}

static const struct peer_ops line_ops = { .on = { [V_NAME] = on_name, [V_HOSTS] = on_hosts }, .closed = on_closed };

static void
wire(struct world *w, struct line *line, enum role role, unsigned index)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	*line = (struct line){ .peer = peer_new(w->room.loop, pair[1], role, ROLE_RESOLVER, index, &line_ops, line) };
	assert_non_null(line->peer);
	resolver_ops.line(&w->room, role, index, pair[0]);
}

static void
settle(struct world *w)
{
	for (int i = 0; i < 50; i++)
		loop_turn(w->room.loop, false);
}

static void
begin(struct world *w)
{
	struct lookup_source *source = (struct lookup_source *)(void *)&w->dns;

	memset(w, 0, sizeof *w);
	w->dns.rows = zone;
	w->dns.n_rows = sizeof zone / sizeof zone[0];
	w->room = (struct room){ .ctx = &w->resolver, .loop = loop_new() };
	assert_non_null(w->room.loop);
	w->resolver.room = &w->room;
	w->resolver.now = &w->generation;
	routes_init(&w->generation.routes, w->room.loop, &fake_ops, source, 60000);
	ptrs_init(&w->generation.ptrs, w->room.loop, &fake_ops, source, 60000);
	for (unsigned i = 0; i < LINES; i++)
		wire(w, &w->smtpd[i], ROLE_SMTPD, i);
	wire(w, &w->deliver, ROLE_DELIVER, 0);
}

static void
hang_up(struct line *line)
{
	peer_free(line->peer);
	line->peer = NULL;
}

static void
end(struct world *w)
{
	for (unsigned i = 0; i < LINES; i++)
		hang_up(&w->smtpd[i]);
	hang_up(&w->deliver);
	settle(w);
	assert_null(w->resolver.askers);
	routes_end(&w->generation.routes, "over");
	assert_int_equal(w->generation.ptrs.n, 0);
	assert_int_equal(w->dns.n_pending, 0);
	loop_free(w->room.loop);
}

static void
ask(struct world *w, struct line *line, uint32_t handle, uint8_t host)
{
	struct v_ptr m = { { 4, { 192, 0, 2, host } } };

	(void)w;
	assert_int_equal(v_ptr_send(line->peer, handle, &m), RC_OK);
}

static void
forget(struct world *w, struct line *line, uint32_t handle)
{
	const struct v_forget m = { 0 };

	(void)w;
	assert_int_equal(v_forget_send(line->peer, handle, &m), RC_OK);
}

static void
answer_all(struct world *w)
{
	settle(w);
	fake_answer_all(&w->dns);
	settle(w);
}

/* --- tests --- */

static void
a_question_that_is_forgotten_ends(void **state)
{
	struct world w;
	struct line *us = &w.smtpd[0];

	(void)state;
	begin(&w);
	ask(&w, us, 5, 1);
	ask(&w, us, 6, 1);
	settle(&w);
	assert_int_equal(w.dns.n_pending, 2);
	forget(&w, us, 5);
	settle(&w);
	assert_int_equal(w.dns.n_pending, 1);
	assert_int_equal(w.generation.ptrs.n, 1);
	answer_all(&w);
	assert_int_equal(us->n_names, 1);
	assert_int_equal(us->last, 6);
	/* Also while the name is being confirmed. */
	ask(&w, us, 7, 1);
	settle(&w);
	assert_true(fake_answer(&w.dns, 0));
	assert_int_equal(w.dns.n_pending, 1);
	forget(&w, us, 7);
	answer_all(&w);
	assert_int_equal(us->n_names, 1);
	/* The number names another question afterwards. */
	ask(&w, us, 5, 2);
	answer_all(&w);
	assert_int_equal(us->n_names, 2);
	assert_int_equal(us->last, 5);
	assert_int_equal(us->status, DNS_NXDOMAIN);
	end(&w);
}

static void
what_is_not_asked_can_be_forgotten(void **state)
{
	const struct v_route route = { ROUTE_HOST, S("one.test") };
	struct world w;
	struct line *us = &w.smtpd[0];

	(void)state;
	begin(&w);
	forget(&w, us, 1);
	ask(&w, us, 1, 1);
	answer_all(&w);
	assert_int_equal(us->n_names, 1);
	forget(&w, us, 1);	/* has crossed the answer */
	forget(&w, us, 1);
	forget(&w, us, 0);
	forget(&w, us, UINT32_MAX);
	/* Handles belong to a line. */
	ask(&w, &w.smtpd[1], 2, 1);
	assert_int_equal(v_route_send(w.deliver.peer, 2, &route), RC_OK);
	forget(&w, us, 2);
	answer_all(&w);
	assert_int_equal(w.deliver.n_hosts, 1);
	assert_int_equal(w.smtpd[1].n_names, 1);
	assert_non_null(us->peer);
	end(&w);
}

/* Whoever asks anew under a number has forgotten what it was before, also where the line had no room to say so. */
static void
a_number_that_is_used_again_has_one_answer(void **state)
{
	struct world w;
	struct line *us = &w.smtpd[0];

	(void)state;
	begin(&w);
	ask(&w, us, 9, 1);
	settle(&w);
	ask(&w, us, 9, 2);
	settle(&w);
	assert_int_equal(w.generation.ptrs.n, 1);
	answer_all(&w);
	assert_int_equal(us->n_names, 1);
	assert_int_equal(us->status, DNS_NXDOMAIN);
	end(&w);
}

static void
send_raw(struct line *line, size_t n_body)
{
	struct wr w;

	assert_int_equal(peer_begin(line->peer, V_FORGET, 3, n_body, &w), RC_OK);
	for (size_t i = 0; i < n_body; i++)
		wr_u8(&w, 0);
}

static void
nonsense_costs_the_line(void **state)
{
	static const size_t sizes[] = { 0, 2, 40 };
	struct world w;

	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		begin(&w);
		ask(&w, &w.smtpd[0], 3, 1);
		ask(&w, &w.smtpd[1], 3, 1);
		settle(&w);
		send_raw(&w.smtpd[0], sizes[i]);
		settle(&w);
		assert_null(w.smtpd[0].peer);
		assert_int_equal(w.generation.ptrs.n, 1);
		answer_all(&w);
		assert_int_equal(w.smtpd[1].n_names, 1);
		end(&w);
	}
}

/* deliver has no clients, and smtpd no mail to route: what one of them would ask as the other costs its line. */
static void
only_smtpd_forgets(void **state)
{
	uint8_t frame[IPC_HEADER + 1] = { 0 };
	struct wr out = { frame, 0, sizeof frame, false };
	struct world w;
	int pair[2];

	(void)state;
	assert_int_equal(ipc_info[V_FORGET].from, ROLE_BIT(ROLE_SMTPD));
	assert_int_equal(ipc_info[V_FORGET].to, ROLE_BIT(ROLE_RESOLVER));
	assert_int_equal(ipc_info[V_PTR].from, ROLE_BIT(ROLE_SMTPD));
	assert_int_equal(ipc_info[V_NAME].to, ROLE_BIT(ROLE_SMTPD));
	assert_int_equal(ipc_info[V_ROUTE].from, ROLE_BIT(ROLE_DELIVER));
	assert_int_equal(ipc_info[V_HOSTS].to, ROLE_BIT(ROLE_DELIVER));
	begin(&w);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	resolver_ops.line(&w.room, ROLE_DELIVER, 1, pair[0]);
	wr_u32(&out, sizeof frame);
	wr_u16(&out, V_FORGET);
	wr_u16(&out, 0);
	wr_u32(&out, 3);
	assert_int_equal(send(pair[1], frame, sizeof frame, 0), (ssize_t)sizeof frame);
	settle(&w);
	assert_int_equal(recv(pair[1], frame, sizeof frame, MSG_DONTWAIT), 0);
	(void)close(pair[1]);
	end(&w);
}

/* A line can have so many questions under way; what is forgotten leaves its place to others. */
static void
what_is_forgotten_makes_room(void **state)
{
	struct world w;
	struct line *us = &w.smtpd[0];

	(void)state;
	begin(&w);
	for (uint32_t round = 0; round < 4; round++) {
		us->n_names = 0;
		for (uint32_t i = 0; i < ASKER_OPEN_MAX; i++)
			ask(&w, us, round << 20 | (i + 1), 1);
		settle(&w);
		assert_int_equal(us->n_names, 0);
		ask(&w, us, 77 << 20, 1);
		settle(&w);
		assert_int_equal(us->n_names, 1);
		assert_int_equal(us->status, DNS_TEMPORARY);
		for (uint32_t i = 0; i < ASKER_OPEN_MAX; i++)
			forget(&w, us, round << 20 | (i % 2 == 0 ? i + 1 : ASKER_OPEN_MAX + 1 - i));
		settle(&w);
		assert_int_equal(w.generation.ptrs.n, 0);
		ask(&w, us, 78 << 20, 1);
		answer_all(&w);
		assert_int_equal(us->n_names, 2);
		assert_int_equal(us->status, DNS_OK);
	}
	assert_int_equal(w.dns.n_pending, 0);
	end(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_question_that_is_forgotten_ends),
		cmocka_unit_test(what_is_not_asked_can_be_forgotten),
		cmocka_unit_test(a_number_that_is_used_again_has_one_answer),
		cmocka_unit_test(nonsense_costs_the_line),
		cmocka_unit_test(only_smtpd_forgets),
		cmocka_unit_test(what_is_forgotten_makes_room),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
