/* deliver/deliver.c -- the lines of the room, see deliver.h. */
#include "deliver/deliver.h"

#include "deliver/session.h"

#include <unistd.h>

static struct session *
by_handle(const struct deliver *d, uint32_t handle)
{
	struct id_node *n = id_find(&d->by_handle, handle);

	return n == NULL ? NULL : (struct session *)((char *)n - offsetof(struct session, by_handle));
}

static struct session *
by_query(const struct deliver *d, uint32_t query)
{
	struct id_node *n = id_find(&d->by_query, query);

	return n == NULL ? NULL : (struct session *)((char *)n - offsetof(struct session, by_query));
}

/* ---- frames of the queue ------------------------------------------------------------------------------------------*/

static const char *
on_open(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct deliver *d = ctx;
	struct d_open m;

	(void)p, (void)fd;
	if (!d_open_get(body, &m))
		return "malformed D_OPEN";
	if (by_handle(d, handle) != NULL)
		return "a session is opened twice";
	session_open(d, handle, &m);
	return NULL;
}

/* A frame for a session that has ended meanwhile is nobody's: the queue has, or will have, its D_CLOSED. */
static const char *
on_job(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct session *s = by_handle(ctx, handle);
	struct d_job m;

	(void)p, (void)fd;
	if (!d_job_get(body, &m))
		return "malformed D_JOB";
	return s == NULL ? NULL : session_job(s, &m);
}

static const char *
on_chunk(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct session *s = by_handle(ctx, handle);
	struct d_chunk m;

	(void)p, (void)fd;
	if (!d_chunk_get(body, &m))
		return "malformed D_CHUNK";
	return s == NULL ? NULL : session_chunk(s, &m);
}

static const char *
on_revoke(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct session *s = by_handle(ctx, handle);
	struct d_revoke m;

	(void)p, (void)fd;
	if (!d_revoke_get(body, &m))
		return "malformed D_REVOKE";
	if (s != NULL)
		session_revoke(s, m.job);
	return NULL;
}

static const char *
on_idle(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct session *s = by_handle(ctx, handle);
	struct d_idle m;

	(void)p, (void)fd;
	if (!d_idle_get(body, &m))
		return "malformed D_IDLE";
	if (s != NULL)
		session_idle(s);
	return NULL;
}

/* Nobody to deliver for: what was under way counts as not delivered with the queue, and goes on when it is back. */
static void
orphan_all(struct deliver *d)
{
	for (struct session *s = d->sessions, *next; s != NULL; s = next) {
		next = s->next;
		session_orphan(s);
	}
}

static void
queue_closed(void *ctx, struct peer *p, const char *why)
{
	struct deliver *d = ctx;

	room_log_drop(p, why);
	if (d->queue == p) {
		d->queue = NULL;
		orphan_all(d);
	}
	peer_free(p);
}

static const struct peer_ops queue_ops = {
	.on = {
		[D_OPEN] = on_open,
		[D_JOB] = on_job,
		[D_CHUNK] = on_chunk,
		[D_REVOKE] = on_revoke,
		[D_IDLE] = on_idle,
	},
	.closed = queue_closed,
};

void
deliver_queue_sent(struct deliver *d, enum rc rc)
{
	/* RC_CLOSED: closed() follows by itself. */
	if (rc != RC_OK && rc != RC_CLOSED && d->queue != NULL)
		peer_drop(d->queue, "does not take its results");
}

/* ---- frames of the resolver ---------------------------------------------------------------------------------------*/

static const char *
on_hosts(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct session *s = by_query(ctx, handle);
	struct v_hosts m;

	(void)p, (void)fd;
	if (!v_hosts_get(body, &m))
		return "malformed V_HOSTS";
	return s == NULL ? NULL : session_route(s, &m);
}

static void
resolver_closed(void *ctx, struct peer *p, const char *why)
{
	struct deliver *d = ctx;

	room_log_drop(p, why);
	if (d->resolver == p)
		d->resolver = NULL;
	peer_free(p);
}

static const struct peer_ops resolver_ops = {
	.on = { [V_HOSTS] = on_hosts },
	.closed = resolver_closed,
};

/* ---- lines and life -----------------------------------------------------------------------------------------------*/

void
deliver_init(struct deliver *d, struct loop *loop, struct conf *conf)
{
	*d = (struct deliver){ .loop = loop, .conf = conf_ref(conf) };
	if (gethostname(d->hostname, sizeof d->hostname - 1) == -1 || d->hostname[0] == '\0')
		memcpy(d->hostname, "localhost", sizeof "localhost");
}

struct slice
deliver_hostname(const struct deliver *d, const struct conf *conf)
{
	return slice_str(conf->global.hostname[0] != '\0' ? conf->global.hostname : d->hostname);
}

void
deliver_take_line(struct deliver *d, enum role them, unsigned index, int fd)
{
	if (them == ROLE_QUEUE) {
		orphan_all(d);
		peer_free(d->queue);
		d->queue = peer_new(d->loop, fd, ROLE_DELIVER, them, index, &queue_ops, d);
	} else if (them == ROLE_RESOLVER) {
		peer_free(d->resolver);
		d->resolver = peer_new(d->loop, fd, ROLE_DELIVER, them, index, &resolver_ops, d);
		for (struct session *s = d->sessions; s != NULL; s = s->next)
			session_ask(s);
	} else {
		(void)close(fd);
	}
}

void
deliver_adopt(struct deliver *d, struct conf *conf)
{
	struct conf *old = d->conf;

	d->conf = conf_ref(conf);
	conf_unref(old);
}

void
deliver_stop(struct deliver *d, void (*stopped)(void *ctx), void *ctx)
{
	d->stopping = true;
	d->stopped = stopped;
	d->stopped_ctx = ctx;
	if (d->n_sessions == 0) {
		stopped(ctx);
		return;
	}
	for (struct session *s = d->sessions, *next; s != NULL; s = next) {
		next = s->next;
		session_idle(s);
	}
}

void
deliver_free(struct deliver *d)
{
	d->stopped = NULL;
	orphan_all(d);
	peer_free(d->queue);
	peer_free(d->resolver);
	conf_unref(d->conf);
}
