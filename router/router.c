/* router/router.c -- the life of the room: lines, table files, generations. See router.h. */
#include "router/router.h"

#include <stdlib.h>
#include <unistd.h>

/* --- lines --- */

static struct peer **
place_of(struct router *router, enum role them, unsigned index)
{
	if (them == ROLE_SMTPD && index < ROUTER_SMTPDS_MAX)
		return &router->smtpds[index];
	if (them == ROLE_QUEUE)
		return &router->queue;
	if (them == ROLE_CONTROL)
		return &router->control;
	return NULL;
}

/* While smtpd and queue finish, they may still have questions. */
static bool
has_askers(const struct router *router)
{
	for (size_t i = 0; i < ROUTER_SMTPDS_MAX; i++)
		if (router->smtpds[i] != NULL)
			return true;
	return router->queue != NULL;
}

static void
line_closed(void *ctx, struct peer *p, const char *why)
{
	struct router *router = ctx;
	struct peer **place = place_of(router, peer_role(p), peer_index(p));

	room_log_drop(p, why);
	if (place != NULL && *place == p)
		*place = NULL;
	peer_free(p);
	if (router->room->stopping && !has_askers(router))
		room_exit(router->room);
}

/* Which of these may come from whom is checked before they are handed out (IPC_MESSAGES). */
static const struct peer_ops line_ops = {
	.on = { [R_CHECK] = router_on_check, [R_ROUTE] = router_on_route, [R_AUTHORS] = router_on_authors,
	    [A_REQUEST] = router_on_request },
	.closed = line_closed,
};

static void
take_line(struct room *room, enum role them, unsigned index, int fd)
{
	struct router *router = room->ctx;
	struct peer **place = place_of(router, them, index);

	if (place == NULL) {
		(void)close(fd);
		return;
	}
	peer_free(*place);
	*place = peer_new(room->loop, fd, ROLE_ROUTER, them, index, &line_ops, router);
}

/* --- table files of the coming generation --- */

static void
forget_files(struct router *router)
{
	while (router->files != NULL) {
		struct router_file *f = router->files;

		router->files = f->next;
		(void)close(f->fd);
		free(f->name);
		free(f);
	}
	router->n_files = 0;
}

static void
take_file(struct room *room, const struct m_file *m, int fd)
{
	struct router *router = room->ctx;
	struct router_file *f;

	/* Of a generation that never came to its end. */
	if (router->files != NULL && router->files->generation != m->generation)
		forget_files(router);
	f = m->purpose == FILE_TABLE && router->n_files < ROUTER_FILES_MAX ? calloc(1, sizeof *f) : NULL;
	if (f != NULL)
		f->name = strndup((const char *)m->name.p, m->name.n);
	if (f == NULL || f->name == NULL) {
		free(f);
		(void)close(fd);
		return;
	}
	f->generation = m->generation;
	f->fd = fd;
	f->next = router->files;
	router->files = f;
	router->n_files++;
}

static int
kept_descriptor(void *ctx, struct slice name)
{
	const struct router *router = ctx;

	for (const struct router_file *f = router->files; f != NULL; f = f->next)
		if (slice_eq(slice_str(f->name), name))
			return f->fd;
	return -1;
}

static int
room_descriptor(void *ctx, struct slice name)
{
	return room_file(ctx, FILE_TABLE, name);
}

/* --- generations --- */

static void
log_policy(const struct policy *p)
{
	for (size_t i = 0; i < p->n_tables; i++) {
		const char *path = i < p->conf->n_tables ? p->conf->tables[i].file : "/etc/passwd";

		log_say(LOG_TABLE_LOADED, NULL, F_TEXT("table", table_name(p->tables[i])), F_TEXT("path", path),
		    F_U64("entries", table_count(p->tables[i])));
	}
	if (!policy_has_postmaster(p))
		log_say(LOG_TROUBLE, NULL, F_TEXT("what", "mail for postmaster is accepted and nobody can read it: "
		    "make a local user postmaster, or set the option postmaster"));
}

static enum rc
prepare(struct room *room, struct buf *why)
{
	struct router *router = room->ctx;

	router->room = room;
	buf_init(&router->why, 4096);
	return router_compile(room->conf, room_descriptor, room, &router->policy, why);
}

static const char *
adopt(struct room *room, const struct conf *old)
{
	struct router *router = room->ctx;
	struct policy *p;
	const char *why;
	enum rc rc;

	if (old == NULL) {
		/* prepare() has read these. */
		forget_files(router);
		log_policy(router->policy);
		return NULL;
	}
	buf_clear(&router->why);
	rc = router_compile(room->conf, kept_descriptor, router, &p, &router->why);
	forget_files(router);
	if (rc == RC_OK) {
		policy_free(router->policy);
		router->policy = p;
		log_policy(p);
		return NULL;
	}
	why = buf_words(&router->why, rc_name(rc));
	log_say(LOG_TABLE_REFUSED, NULL, F_TEXT("why", why));
	return why;
}

static void
stop(struct room *room, uint32_t grace_ms)
{
	(void)grace_ms;
	if (!has_askers(room->ctx))
		room_exit(room);
}

const struct room_ops router_ops = {
	.role = ROLE_ROUTER,
	.prepare = prepare,
	.line = take_line,
	.file = take_file,
	.adopt = adopt,
	.stop = stop,
};
