/* ctl/control.c -- the admin line, see control.h. */
#include "ctl/control.h"

#include "common/admin.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct control_client {
	struct control_client *next;
	struct control *control;
	struct peer *peer;
	uid_t uid;
	uint32_t asked_handle;	/* the client's own, echoed */
	uint32_t room_handle;	/* ours, on the line to the room; 0: nothing under way */
	enum role room;
	enum admin_verb verb;
};

static const struct {
	enum role room;
	bool changes;
	const char *words;
} verbs[ADMIN_VERB_COUNT] = {
#define VERB_ROW(VERB, words_, room_, changes_) [ADMIN_##VERB] = { ROLE_##room_, changes_, words_ },
	ADMIN_VERBS(VERB_ROW)
#undef VERB_ROW
};

bool
control_admits(uid_t uid, const gid_t *groups, size_t n_groups, bool has_admin_gid, gid_t admin_gid)
{
	if (uid == 0)
		return true;
	if (!has_admin_gid)
		return false;
	for (size_t i = 0; i < n_groups; i++)
		if (groups[i] == admin_gid)
			return true;
	return false;
}

/* --- answers --- */

static void
end_request(struct control_client *c, enum rc status, const char *text)
{
	struct a_end m = { (uint8_t)status, slice_str(text), 0, 0 };

	c->room_handle = 0;
	(void)a_end_send(c->peer, c->asked_handle, &m);
}

static struct control_client *
client_of(struct control *control, struct peer *line, uint32_t handle)
{
	for (struct control_client *c = control->clients; c != NULL; c = c->next)
		if (c->room_handle == handle && handle != 0 && c->room == peer_role(line))
			return c;
	return NULL;	/* it hung up meanwhile: the answer is nobody's */
}

static const char *
on_row(void *ctx, struct peer *line, uint32_t handle, struct rd *body, int fd)
{
	struct control_client *c = client_of(ctx, line, handle);
	struct a_row m;

	(void)fd;
	if (!a_row_get(body, &m))
		return "malformed A_ROW";
	/* A page fits the backlog; a client that does not read it is not worth more memory. */
	if (c != NULL && a_row_send(c->peer, c->asked_handle, &m) != RC_OK)
		peer_drop(c->peer, "does not read its answers");
	return NULL;
}

static const char *
on_end(void *ctx, struct peer *line, uint32_t handle, struct rd *body, int fd)
{
	struct control_client *c = client_of(ctx, line, handle);
	struct a_end m;

	(void)fd;
	if (!a_end_get(body, &m))
		return "malformed A_END";
	if (c == NULL)
		return NULL;
	c->room_handle = 0;
	(void)a_end_send(c->peer, c->asked_handle, &m);
	return NULL;
}

/* The lines to master and log are the room's own, so their handlers get the room. */
static const char *
on_own_row(void *ctx, struct peer *line, uint32_t handle, struct rd *body, int fd)
{
	struct room *room = ctx;

	return on_row(room->ctx, line, handle, body, fd);
}

static const char *
on_own_end(void *ctx, struct peer *line, uint32_t handle, struct rd *body, int fd)
{
	struct room *room = ctx;

	return on_end(room->ctx, line, handle, body, fd);
}

/* --- requests --- */

static struct peer *
line_to(struct control *control, enum role room)
{
	struct peer *p = room == ROLE_MASTER ? control->room->master :
	    room == ROLE_LOG ? room_log(control->room) : control->lines[room];

	return p != NULL && peer_alive(p) ? p : NULL;
}

static uint32_t
new_handle(struct control *control)
{
	if (++control->last_handle == 0)
		control->last_handle = 1;
	return control->last_handle;
}

static const char *
on_request(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct control *control = ctx;
	struct control_client *c = peer_data(p);
	struct a_request m;
	struct peer *line;

	(void)fd;
	if (!a_request_get(body, &m) || m.verb == ADMIN_NONE || m.verb >= ADMIN_VERB_COUNT ||
	    m.arg.n > ADMIN_ARG_MAX || m.arg2.n > ADMIN_ARG_MAX)
		return "malformed A_REQUEST";
	if (c->room_handle != 0)
		return "a second request before the first was answered";
	c->asked_handle = handle;
	c->verb = (enum admin_verb)m.verb;
	c->room = verbs[c->verb].room;
	if (verbs[c->verb].changes && m.cursor == 0)
		log_say(LOG_ADMIN, NULL, F_TEXT("verb", verbs[c->verb].words), F_U64("user", c->uid), F_STR("arg", m.arg));
	if (m.limit == 0 || m.limit > ADMIN_PAGE_MAX)
		m.limit = ADMIN_PAGE_MAX;
	if (c->verb == ADMIN_CLIENTS) {
		client_counts_list(&control->counts, control->room->conf, loop_now(control->room->loop), c->peer, handle, &m);
		return NULL;
	}
	line = line_to(control, c->room);
	c->room_handle = new_handle(control);
	if (line == NULL || a_request_send(line, c->room_handle, &m) != RC_OK)
		end_request(c, RC_CLOSED, "the room that answers this is being started again; try once more in a moment");
	return NULL;
}

/* --- clients --- */

static void
client_closed(void *ctx, struct peer *p, const char *why)
{
	struct control *control = ctx;
	struct control_client *c = peer_data(p), **at = &control->clients;

	if (why != NULL)
		room_log_drop(p, why);
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	control->n_clients--;
	peer_free(p);
	free(c);
}

static const struct peer_ops client_ops = {
	.on = { [A_REQUEST] = on_request },
	.closed = client_closed,
};

static bool
may_enter(const struct control *control, int fd, uid_t *ret_uid)
{
	struct ucred who;
	socklen_t len = sizeof who;
	gid_t *groups;
	size_t n = 0;
	bool ok;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == -1)
		return false;
	groups = calloc(CONTROL_GROUPS_MAX + 1, sizeof *groups);
	if (groups == NULL)
		return false;
	len = CONTROL_GROUPS_MAX * sizeof *groups;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) == 0)
		n = len / sizeof *groups;
	groups[n++] = who.gid;
	ok = control_admits(who.uid, groups, n, control->has_admin_gid, control->admin_gid);
	free(groups);
	*ret_uid = who.uid;
	return ok;
}

static void
client_new(struct control *control, int fd)
{
	struct control_client *c;
	uid_t uid = (uid_t)-1;

	if (control->n_clients >= CONTROL_CLIENTS_MAX || !may_enter(control, fd, &uid)) {
		(void)close(fd);
		return;
	}
	c = calloc(1, sizeof *c);
	if (c == NULL) {
		(void)close(fd);
		return;
	}
	c->control = control;
	c->uid = uid;
	c->peer = peer_new(control->room->loop, fd, ROLE_CONTROL, ROLE_CLIENT, 0, &client_ops, control);
	if (c->peer == NULL) {
		free(c);
		return;
	}
	peer_set_data(c->peer, c);
	c->next = control->clients;
	control->clients = c;
	control->n_clients++;
}

static void
on_connection(struct watch *w, bool readable, bool writable, void *ctx)
{
	struct control *control = ctx;
	int fd;

	(void)readable, (void)writable;
	fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd != -1)
		client_new(control, fd);
	else if (errno == EMFILE || errno == ENFILE)
		/* Clients that hang on are the likely cause: dropping one frees a descriptor, and we do not spin. */
		if (control->clients != NULL)
			peer_drop(control->clients->peer, "descriptors have run out");
}

/* --- the room --- */

static void
end_requests_to(struct control *control, enum role role)
{
	for (struct control_client *c = control->clients; c != NULL; c = c->next)
		if (c->room_handle != 0 && c->room == role)
			end_request(c, RC_CLOSED, "the room that was answering died; it is being started again");
}

static void
line_closed(void *ctx, struct peer *p, const char *why)
{
	struct control *control = ctx;
	enum role role = peer_role(p);

	room_log_drop(p, why);
	if (control->lines[role] == p)
		control->lines[role] = NULL;
	end_requests_to(control, role);
	peer_free(p);
}

static void
log_lost(struct room *room)
{
	end_requests_to(room->ctx, ROLE_LOG);
}

static const struct peer_ops line_ops = {
	.on = { [A_ROW] = on_row, [A_END] = on_end },
	.closed = line_closed,
};

static void
take_line(struct room *room, enum role them, unsigned index, int fd)
{
	struct control *control = room->ctx;

	if ((unsigned)them >= ROLE_COUNT) {
		(void)close(fd);
		return;
	}
	peer_free(control->lines[them]);
	control->lines[them] = peer_new(room->loop, fd, ROLE_CONTROL, them, index, &line_ops, control);
}

static void
take_file(struct room *room, const struct m_file *m, int fd)
{
	struct control *control = room->ctx;

	if (m->purpose != FILE_CONTROL || fcntl(fd, F_SETFL, O_NONBLOCK) == -1) {
		(void)close(fd);
		return;
	}
	if (control->listener.fd != -1) {
		watch_stop(&control->listener);
		(void)close(control->listener.fd);
	}
	watch_init(&control->listener, room->loop, fd, on_connection, control);
	watch_set(&control->listener, true, false);
}

static enum rc
prepare(struct room *room, struct buf *why)
{
	struct control *control = room->ctx;
	const char *name = room->conf->global.admin_group;
	struct group *group;

	control->room = room;
	control->listener.fd = -1;
	client_counts_map(&control->counts, room);
	if (name[0] == '\0')
		return RC_OK;
	group = getgrnam(name);
	if (group == NULL) {
		(void)buf_printf(why, "admin-group: there is no group %s", name);
		return RC_NOTFOUND;
	}
	control->admin_gid = group->gr_gid;
	control->has_admin_gid = true;
	return RC_OK;
}

const struct room_ops control_ops = {
	.role = ROLE_CONTROL,
	.prepare = prepare,
	.line = take_line,
	.file = take_file,
	.on_master = { [A_ROW] = on_own_row, [A_END] = on_own_end },
	.on_log = { [A_ROW] = on_own_row, [A_END] = on_own_end },
	.log_lost = log_lost,
};
