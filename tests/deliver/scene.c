/* tests/deliver/scene.c -- see scene.h. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/deliver/scene.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* ---- servers ------------------------------------------------------------------------------------------------------*/

struct stream {
	int fd;
	struct buf in;
};

static bool
fill(struct stream *st, int ms)
{
	struct pollfd p = { st->fd, POLLIN, 0 };
	char space[4096];
	ssize_t n;

	if (poll(&p, 1, ms) <= 0)
		return false;
	n = recv(st->fd, space, sizeof space, 0);
	return n > 0 && buf_put(&st->in, space, (size_t)n);
}

/* The next line with its CRLF; empty when the connection ended. */
static struct slice
read_line(struct stream *st)
{
	for (;;) {
		struct slice s = buf_slice(&st->in);
		size_t lf = slice_find(s, '\n');

		if (lf < s.n)
			return slice_first(s, lf + 1);
		if (!fill(st, 5000))
			return S("");
	}
}

static void
complain(struct server *server, const char *step, struct slice got)
{
	if (server->error[0] == '\0')
		(void)snprintf(server->error, sizeof server->error, "connection %u: step \"%s\", got \"%.*s\"",
		    server->n_connections, step, (int)got.n, got.n == 0 ? "" : (const char *)got.p);
}

static void
read_content(struct server *server, struct stream *st)
{
	for (;;) {
		struct slice line = read_line(st);
		bool end = slice_eq(line, S(".\r\n"));

		if (line.n == 0)
			complain(server, "D", line);
		else
			(void)buf_put_slice(&server->content, end ? S("") : line);
		buf_consume(&st->in, line.n);
		if (end || line.n == 0)
			return;
	}
}

static bool
read_bytes(struct server *server, struct stream *st, const char *step)
{
	size_t n = strtoul(step + 2, NULL, 10);

	while (buf_len(&st->in) < n)
		if (!fill(st, 5000)) {
			complain(server, step, buf_slice(&st->in));
			return false;
		}
	(void)buf_put_slice(&server->content, slice_first(buf_slice(&st->in), n));
	buf_consume(&st->in, n);
	return true;
}

static bool
send_text(struct stream *st, const char *text, const char *end)
{
	char line[8192];
	int n = snprintf(line, sizeof line, "%s%s", text, end);

	return send(st->fd, line, (size_t)n, MSG_NOSIGNAL) == n;
}

/* Lines in one segment, so that they are read together. */
static void
send_block(struct stream *st, const char *text)
{
	struct buf lines = BUF_INIT(8192);

	for (; *text != '\0'; text++)
		(void)(*text == '|' ? buf_put_str(&lines, "\r\n") : buf_put_byte(&lines, (uint8_t)*text));
	(void)send(st->fd, buf_slice(&lines).p, buf_len(&lines), MSG_NOSIGNAL);
	buf_free(&lines);
}

static void
pause_ms(long ms)
{
	const struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	(void)nanosleep(&t, NULL);
}

/* False: the connection is to be closed. */
static bool
play(struct server *server, struct stream *st, const char *step)
{
	struct slice line;

	switch (step[0]) {
	case 'S':
		(void)send_text(st, step + 2, "\r\n");
		return true;
	case 'R':
		(void)send_text(st, step + 2, "");
		return true;
	case 'B':
		send_block(st, step + 2);
		return true;
	case 'C':
		line = read_line(st);
		if (!slice_starts(line, slice_str(step + 2))) {
			complain(server, step, line);
			return false;
		}
		(void)buf_put_slice(&server->lines, line);
		buf_consume(&st->in, line.n);
		return true;
	case 'D':
		read_content(server, st);
		return true;
	case 'N':
		return read_bytes(server, st, step);
	case 'Q':
		if (buf_len(&st->in) > 0 || fill(st, 50))
			complain(server, step, buf_slice(&st->in));
		return true;
	case 'W':
		pause_ms(strtol(step + 2, NULL, 10));
		return true;
	case 'H':
		while (fill(st, 10000))
			;
		return false;
	default:
		return false;
	}
}

static void
converse(struct server *server, int fd, const char *script)
{
	struct stream st = { fd, BUF_INIT(1 << 24) };
	char *copy = strdup(script), *save = NULL;

	for (char *step = strtok_r(copy, "\n", &save); step != NULL; step = strtok_r(NULL, "\n", &save))
		if (!play(server, &st, step))
			break;
	free(copy);
	buf_free(&st.in);
	(void)close(fd);
}

static void *
serve(void *ctx)
{
	struct server *server = ctx;

	for (const char *const *script = server->scripts; *script != NULL; script++) {
		struct pollfd p = { server->listener, POLLIN, 0 };
		int fd = poll(&p, 1, 5000) == 1 ? accept(server->listener, NULL, NULL) : -1;

		if (fd == -1) {
			complain(server, "accept", S(""));
			return NULL;
		}
		server->n_connections++;
		converse(server, fd, *script);
	}
	return NULL;
}

void
server_start(struct scene *s, struct server *server, unsigned n, const char *const *scripts)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(s->port),
	    .sin_addr.s_addr = htonl(0x7f000000 + n) };
	socklen_t len = sizeof address;
	int on = 1;

	*server = (struct server){ .scripts = scripts, .content = BUF_INIT(1 << 26), .lines = BUF_INIT(1 << 20) };
	server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)setsockopt(server->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	assert_int_equal(bind(server->listener, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(server->listener, 16), 0);
	assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &len), 0);
	s->port = ntohs(address.sin_port);
	s->conf->deliver.port = s->port;
	assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

void
server_end(struct server *server)
{
	(void)pthread_join(server->thread, NULL);
	(void)close(server->listener);
	buf_free(&server->content);
	buf_free(&server->lines);
	if (server->error[0] != '\0')
		fail_msg("%s", server->error);
}

/* ---- the resolver -------------------------------------------------------------------------------------------------*/

void
scene_host(struct scene *s, uint16_t preference, const char *name, unsigned n, uint8_t status)
{
	struct route_host h = { .preference = preference, .status = status, .name = slice_str(name) };

	if (n > 0) {
		h.n_addresses = 1;
		h.addresses[0] = (struct ip){ 4, { 127, 0, 0, (uint8_t)n } };
	}
	assert_true(route_host_put(&s->hosts, &h));
}

static const char *
on_route(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct scene *s = ctx;
	struct v_route m;
	struct v_hosts answer = { s->dns_status, 0, 60, buf_slice(&s->hosts), S("") };

	(void)fd;
	if (!v_route_get(body, &m))
		return "malformed";
	s->n_asked++;
	(void)v_hosts_send(p, handle, &answer);
	return NULL;
}

/* ---- the queue ----------------------------------------------------------------------------------------------------*/

static void
keep(char *to, size_t max, struct slice text)
{
	text = slice_first(text, max - 1);
	if (text.n > 0)
		memcpy(to, text.p, text.n);
	to[text.n] = '\0';
}

static const char *
on_pull(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct scene *s = ctx;

	(void)p, (void)handle, (void)body, (void)fd;
	s->n_pulls++;
	return NULL;
}

static const char *
on_credit(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct scene *s = ctx;
	struct d_credit m;

	(void)p, (void)handle, (void)fd;
	if (!d_credit_get(body, &m))
		return "malformed";
	s->credit += m.bytes;
	return NULL;
}

static const char *
on_result(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct scene *s = ctx;
	struct result *result = &s->results[s->n_results];
	struct job_result row;
	struct d_result m;
	struct rd r;

	(void)p, (void)handle, (void)fd;
	if (!d_result_get(body, &m))
		return "malformed";
	assert_true(s->n_results < RESULTS_MAX);
	*result = (struct result){ .job = m.job, .pull = m.pull != 0, .passed = m.passed };
	keep(result->host, sizeof result->host, m.host);
	r = (struct rd){ m.results, false };
	while (result->n < ROWS_MAX && job_result_next(&r, &row)) {
		struct row *to = &result->rows[result->n++];

		to->index = row.index;
		to->status = row.status;
		to->code = row.code;
		keep(to->enhanced, sizeof to->enhanced, row.enhanced);
		keep(to->text, sizeof to->text, row.text);
	}
	assert_false(r.bad);
	s->n_results++;
	return NULL;
}

static const char *
on_closed(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct scene *s = ctx;
	struct d_closed m;

	(void)p, (void)handle, (void)fd;
	if (!d_closed_get(body, &m))
		return "malformed";
	s->closed.status = m.status;
	s->closed.code = m.code;
	keep(s->closed.enhanced, sizeof s->closed.enhanced, m.enhanced);
	keep(s->closed.text, sizeof s->closed.text, m.text);
	keep(s->closed.host, sizeof s->closed.host, m.host);
	s->n_closed++;
	return NULL;
}

static void
line_gone(void *ctx, struct peer *p, const char *why)
{
	struct scene *s = ctx;

	(void)why;
	if (p == s->queue)
		s->queue_gone = true;
}

static const struct peer_ops queue_ops = {
	.on = { [D_PULL] = on_pull, [D_CREDIT] = on_credit, [D_RESULT] = on_result, [D_CLOSED] = on_closed },
	.closed = line_gone,
};
static const struct peer_ops resolver_ops = {
	.on = { [V_ROUTE] = on_route },
	.closed = line_gone,
};

void
scene_send_open(struct scene *s, uint32_t handle, const char *nexthop)
{
	struct d_open m = { S("smtp"), slice_str(nexthop) };

	assert_int_equal(d_open_send(s->queue, handle, &m), RC_OK);
}

void
scene_send_job(struct scene *s, uint32_t handle, uint32_t job, uint32_t flags, const char *const *rcpts, uint64_t size,
    struct slice content)
{
	struct buf run = BUF_INIT(65536);
	struct d_job m = { job, { 1, 1, job }, flags, slice_str(s->sender == NULL ? "sender@a.test" : s->sender), S(""), size,
	    content, s->envid == NULL ? S("") : slice_str(s->envid), (uint64_t)s->deliver_by, (uint8_t)s->priority };

	for (uint16_t i = 0; rcpts[i] != NULL; i++) {
		struct job_rcpt r = { .index = (uint16_t)(i + 10), .address = slice_str(rcpts[i]), .notify = s->notify,
		    .orcpt = s->orcpt == NULL ? S("") : slice_str(s->orcpt) };

		assert_true(job_rcpt_put(&run, &r));
	}
	m.rcpts = buf_slice(&run);
	assert_int_equal(d_job_send(s->queue, handle, &m), RC_OK);
	buf_free(&run);
}

void
scene_send_idle(struct scene *s, uint32_t handle)
{
	struct d_idle m = { 0 };

	assert_int_equal(d_idle_send(s->queue, handle, &m), RC_OK);
}

/* ---- the scene ----------------------------------------------------------------------------------------------------*/

void
scene_open(struct scene *s)
{
	*s = (struct scene){ .dns_status = DNS_OK, .hosts = BUF_INIT(65536) };
	s->loop = loop_new();
	s->conf = conf_new();
	assert_non_null(s->loop);
	assert_non_null(s->conf);
	assert_int_equal(conf_set(&s->conf->global, &conf_sections[0].options[0], "client.test"), RC_OK);
	s->conf->deliver.allow_private_hosts = true;
}

void
scene_start(struct scene *s)
{
	int pair[2];

	deliver_init(&s->deliver, s->loop, s->conf);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	deliver_take_line(&s->deliver, ROLE_QUEUE, 0, pair[0]);
	s->queue = peer_new(s->loop, pair[1], ROLE_QUEUE, ROLE_DELIVER, 0, &queue_ops, s);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	deliver_take_line(&s->deliver, ROLE_RESOLVER, 0, pair[0]);
	s->resolver = peer_new(s->loop, pair[1], ROLE_RESOLVER, ROLE_DELIVER, 0, &resolver_ops, s);
}

void
scene_start_room(struct scene *s, struct played *room)
{
	int queue[2], resolver[2];

	s->in_room = true;
	play_pair(queue);
	play_pair(resolver);
	play_start(room, ROLE_DELIVER, "deliver/postern-deliver", s->conf, -1);
	play_line(room, ROLE_QUEUE, 0, queue[1]);
	play_line(room, ROLE_RESOLVER, 0, resolver[1]);
	assert_int_equal(play_go(room), RC_OK);
	s->queue = peer_new(s->loop, queue[0], ROLE_QUEUE, ROLE_DELIVER, 0, &queue_ops, s);
	s->resolver = peer_new(s->loop, resolver[0], ROLE_RESOLVER, ROLE_DELIVER, 0, &resolver_ops, s);
}

void
scene_close(struct scene *s)
{
	if (!s->in_room)
		deliver_free(&s->deliver);
	loop_turn(s->loop, false);
	peer_free(s->queue);
	peer_free(s->resolver);
	conf_unref(s->conf);
	buf_free(&s->hosts);
	loop_free(s->loop);
}

static uint64_t
now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void
scene_until(struct scene *s, const unsigned *counter, unsigned want)
{
	uint64_t end = now_ms() + 5000;

	while (*counter < want && now_ms() < end) {
		loop_turn(s->loop, false);
		pause_ms(1);
	}
	if (*counter < want)
		fail_msg("waited in vain: pulls %u results %u closed %u (%s)", s->n_pulls, s->n_results, s->n_closed,
		    s->closed.text);
}

void
scene_run(struct scene *s, unsigned ms)
{
	uint64_t end = now_ms() + ms;

	while (now_ms() < end) {
		loop_turn(s->loop, false);
		pause_ms(1);
	}
}

/* --- what most sessions are about --- */

const char *const scene_one[] = { "r@b.test", NULL };
const char *const scene_three[] = { "r1@b.test", "r2@b.test", "r3@b.test", NULL };

void
scene_open_one(struct scene *s, struct server *server, const char *const *scripts)
{
	scene_open(s);
	server_start(s, server, 2, scripts);
	scene_start(s);
	scene_host(s, 10, "mx.b.test", 2, DNS_OK);
	scene_send_open(s, 5, "b.test");
}

void
scene_small_job(struct scene *s, uint32_t job, const char *const *rcpts)
{
	scene_send_job(s, 5, job, 0, rcpts, SCENE_SMALL.n, SCENE_SMALL);
}

void
scene_open_job(struct scene *s, struct server *server, const char *const *scripts, const char *const *rcpts)
{
	scene_open_one(s, server, scripts);
	scene_until(s, &s->n_pulls, 1);
	scene_small_job(s, 1, rcpts);
}

void
scene_close_idle(struct scene *s, struct server *server)
{
	scene_send_idle(s, 5);
	scene_until(s, &s->n_closed, 1);
	assert_int_equal(s->closed.status, SESSION_DONE);
	scene_run(s, 50);
	server_end(server);
	scene_close(s);
}

size_t
scene_big(uint8_t *p)
{
	for (size_t i = 0; i < SCENE_BIG; i++)
		p[i] = i % SCENE_LINE == SCENE_LINE - 2 ? '\r' : i % SCENE_LINE == SCENE_LINE - 1 ? '\n' :
		    i % SCENE_LINE == 0 ? '.' : (uint8_t)('a' + i / SCENE_LINE % 26);
	return SCENE_BIG;
}
