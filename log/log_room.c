/* log/log_room.c -- see log_room.h. */
#include "log/log_room.h"

#include "common/admin.h"
#include "common/clock.h"
#include "common/json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	GATHER_MS = 4,		/* lines of so long are written together; what a room has sent is safe when it dies */
	QUIET_MS = 100,		/* while stopping: so long without an event, and there is none to come */
	REPORT_MS = 1000,	/* drops are reported at the next event, or after so long */
	STATUS_ROW_MAX = 1024,
};

/* --- events --- */

static void
put_line(struct log_room *l, enum role from, const struct l_event *m)
{
	buf_clear(&l->line);
	if (log_format(&l->line, &l->form, from, m)) {
		(void)ring_put(&l->ring, buf_slice(&l->line));
		return;
	}
	/* No memory for the line. */
	l->ring.dropped++;
	l->ring.untold++;
}

/* {count, room} as the fields of a LOG_DROPPED. */
static void
put_drops(struct log_room *l, enum role whose, uint32_t pid, uint64_t count)
{
	struct slice name = slice_str(role_name(whose));
	uint8_t space[128];
	struct wr w = { space, 0, sizeof space, false };
	struct l_event m = { .event = LOG_LOG_DROPPED, .when = (uint64_t)clock_wall_us(), .pid = pid };

	wr_u8(&w, 5);
	wr_bytes(&w, "count", 5);
	wr_u8(&w, LOG_U64);
	wr_u64(&w, count);
	wr_u8(&w, 4);
	wr_bytes(&w, "room", 4);
	wr_u8(&w, LOG_STR);
	wr_str(&w, name);
	m.fields = slice_of(space, w.n);
	put_line(l, ROLE_LOG, &m);
}

static void
report_drops(struct log_room *l)
{
	uint64_t n = ring_take_untold(&l->ring);

	if (n > 0)
		put_drops(l, ROLE_LOG, (uint32_t)getpid(), n);
	if (l->ring.untold > 0 && !timer_pending(&l->report))
		timer_start(&l->report, REPORT_MS);
}

static void
on_report(struct timer *t, void *ctx)
{
	struct log_room *l = ctx;

	(void)t;
	report_drops(l);
	sink_wake(&l->sink);
}

/* An event that came from that room, into the ring. NULL, or why it is malformed. */
static const char *
log_room_take(struct log_room *l, enum role from, const struct l_event *m)
{
	const char *why = log_event_check(m);

	if (why != NULL)
		return why;
	if (l->ring.untold > 0)
		report_drops(l);
	put_line(l, from, m);
	if (l->ring.untold > 0 && !timer_pending(&l->report))
		timer_start(&l->report, REPORT_MS);
	l->events++;
	return NULL;
}

static const char *
on_event(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct log_room *l = ctx;
	struct l_event m;
	const char *why;

	(void)handle, (void)fd;
	if (!l_event_get(body, &m))
		return "malformed L_EVENT";
	why = log_room_take(l, peer_role(p), &m);
	sink_wake(&l->sink);
	return why;
}

static const char *
on_dropped(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct log_room *l = ctx;
	struct l_dropped m;

	(void)handle, (void)fd;
	if (!l_dropped_get(body, &m))
		return "malformed L_DROPPED";
	put_drops(l, peer_role(p), m.pid, m.count);
	l->events++;
	sink_wake(&l->sink);
	return NULL;
}

/* --- the admin line --- */

static void
put_status(struct log_room *l, struct json *j)
{
	const char *to = l->room->conf->log.to;

	json_object(j);
	json_key_text(j, "log-to", to);
	json_key_text(j, "log-destination", sink_kind_name(l->sink.kind));
	json_key_u64(j, "log-queued", l->ring.lines);
	json_key_u64(j, "log-queued-bytes", l->ring.n);
	json_key_u64(j, "log-written", l->ring.written);
	json_key_u64(j, "log-dropped", l->ring.dropped);
	json_key_text(j, "log-trouble", l->sink.error == 0 ? "" : rc_name(rc_from_errno(l->sink.error)));
	json_end(j);
}

static const char *
on_request(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct log_room *l = ctx;
	struct buf row = BUF_INIT(STATUS_ROW_MAX + LOG_HOST_MAX + 4096);
	struct a_request m;
	struct a_end end = { RC_OK, S(""), 0, 0 };
	struct json j;

	(void)fd;
	if (!a_request_get(body, &m))
		return "malformed A_REQUEST";
	if (m.verb != ADMIN_LOG_STATUS)
		return "a request that is not the log's";
	json_init(&j, &row);
	put_status(l, &j);
	if (!json_ok(&j))
		end = (struct a_end){ RC_NOMEM, S("out of memory"), 0, 0 };
	else if (a_row_send(p, handle, &(struct a_row){ ADMIN_ROW_JSON, buf_slice(&row) }) != RC_OK)
		end = (struct a_end){ RC_AGAIN, S("control does not read"), 0, 0 };
	(void)a_end_send(p, handle, &end);
	buf_free(&row);
	return NULL;
}

/* --- lines --- */

static void
line_closed(void *ctx, struct peer *p, const char *why)
{
	(void)ctx;
	room_log_drop(p, why);
	peer_free(p);
}

static const struct peer_ops line_ops = {
	.on = { [L_EVENT] = on_event, [L_DROPPED] = on_dropped, [A_REQUEST] = on_request },
	.closed = line_closed,
};

/* The line before it, if there was one, may still hold the last words of a room that died: it is read to its end. */
static void
take_line(struct room *room, enum role them, unsigned index, int fd)
{
	struct log_room *l = room->ctx;

	(void)peer_new(room->loop, fd, ROLE_LOG, them, index, &line_ops, l);
}

/* --- destination --- */

static void
take_file(struct room *room, const struct m_file *m, int fd)
{
	struct log_room *l = room->ctx;
	struct slice name = slice_from(m->path, slice_rfind(m->path, '/') == m->path.n ? 0 : slice_rfind(m->path, '/') + 1);

	if (m->purpose == FILE_LOG) {
		char *file = strndup((const char *)name.p, name.n);

		if (file == NULL) {
			(void)close(fd);
			return;
		}
		if (l->folder != -1)
			(void)close(l->folder);
		free(l->file);
		l->folder = fd;
		l->file = file;
	} else if (m->purpose == FILE_SYSLOG) {
		if (l->syslog != -1)
			(void)close(l->syslog);
		l->syslog = fd;
	} else
		(void)close(fd);
}

static const char *
open_file(struct log_room *l)
{
	enum rc rc;

	if (l->folder == -1)
		return "log { to }: the file's folder did not come";
	rc = sink_to_file(&l->sink, l->folder, l->file);
	if (rc == RC_OK)
		return NULL;
	if (rc == RC_UNSUPPORTED)
		return "log { to }: not a regular file";
	if (rc == RC_NOSPACE)
		return "log { to }: no space for the file";
	/* The wall around this room was built at the start, and cannot be moved. */
	if (rc == RC_DENIED)
		return "log { to }: the log room may not write there (another folder than at the start needs a restart)";
	return "log { to }: the file cannot be opened";
}

static const char *
open_syslog(struct log_room *l)
{
	int fd = l->syslog;

	l->syslog = -1;
	if (fd != -1)
		return sink_to_syslog(&l->sink, fd) == RC_OK ? NULL : "log { to }: the system log cannot be used";
	return l->sink.kind == SINK_SYSLOG ? NULL : "log { to }: the socket of the system log did not come";
}

static const char *
open_destination(struct log_room *l, const struct conf_log *c)
{
	if (strcmp(c->to, "syslog") == 0)
		return open_syslog(l);
	if (strcmp(c->to, "stderr") != 0)
		return open_file(l);
	return sink_to_stderr(&l->sink) == RC_OK ? NULL : "log { to }: standard error is closed";
}

static const char *
adopt(struct room *room, const struct conf *old)
{
	struct log_room *l = room->ctx;
	const struct conf *c = room->conf;
	const char *why = open_destination(l, &c->log);

	/* The first generation cannot be refused, and a log without a destination helps nobody. */
	if (why != NULL && old == NULL) {
		(void)sink_to_stderr(&l->sink);
		log_say(LOG_TROUBLE, NULL, F_TEXT("what", why), F_TEXT("error", "logging to standard error"));
	} else if (why != NULL)
		return why;
	l->form.json = strcmp(c->log.format, "json") == 0;
	l->form.syslog = l->sink.kind == SINK_SYSLOG;
	if (c->global.hostname[0] != '\0')
		(void)snprintf(l->host, sizeof l->host, "%s", c->global.hostname);
	if (ring_resize(&l->ring, c->log.ring) != RC_OK)
		log_say(LOG_TROUBLE, NULL, F_TEXT("what", "no memory for log { ring }; it keeps its size"));
	sink_wake(&l->sink);
	return NULL;
}

/* --- the room --- */

static enum rc
prepare(struct room *room, struct buf *why)
{
	struct log_room *l = room->ctx;

	l->room = room;
	l->folder = l->syslog = -1;
	buf_init(&l->line, LOG_LINE_MAX);
	l->form.host = l->host;
	if (gethostname(l->host, sizeof l->host) == -1)
		l->host[0] = '\0';
	l->host[sizeof l->host - 1] = '\0';
	sink_ask_terminal(&l->sink);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, l->own) == -1) {
		(void)buf_put_str(why, "socketpair");
		return rc_from_errno(errno);
	}
	if (ring_init(&l->ring, room->conf->log.ring) != RC_OK) {
		(void)buf_put_str(why, "no memory for log { ring }");
		return RC_NOMEM;
	}
	return RC_OK;
}

static const struct peer_ops own_ops = { .closed = line_closed };

static void
quiet(struct timer *t, void *ctx)
{
	struct log_room *l = ctx;

	if (l->events == l->events_then && l->ring.n == 0) {
		room_exit(l->room);
		return;
	}
	l->events_then = l->events;
	timer_start(t, QUIET_MS);
}

static void
start(struct room *room)
{
	struct log_room *l = room->ctx;

	loop_gather(room->loop, GATHER_MS);
	sink_init(&l->sink, room->loop, &l->ring);
	timer_setup(&l->report, room->loop, on_report, l);
	timer_setup(&l->last, room->loop, quiet, l);
	log_attach(peer_new(room->loop, l->own[0], ROLE_LOG, ROLE_LOG, 0, &own_ops, l));
	take_line(room, ROLE_LOG, 0, l->own[1]);
}

/* The others are told to stop at about the same time, and their last words are worth waiting for. */
static void
stop(struct room *room, uint32_t grace_ms)
{
	struct log_room *l = room->ctx;

	(void)grace_ms;
	l->events_then = l->events;
	timer_start(&l->last, QUIET_MS);
}

const struct room_ops log_room_ops = {
	.role = ROLE_LOG,
	.prepare = prepare,
	.start = start,
	.line = take_line,
	.file = take_file,
	.adopt = adopt,
	.stop = stop,
};
