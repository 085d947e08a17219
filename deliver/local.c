/* deliver/local.c -- the planner's sessions and their processes, see local.h. */
#include "deliver/local.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void start_next(struct local *l);

/* --- the table --- */

static struct local_session **
bucket_of(struct local *l, uint32_t handle)
{
	return &l->buckets[handle % LOCAL_BUCKETS];
}

struct local_session *
local_find(struct local *l, uint32_t handle)
{
	struct local_session *s = *bucket_of(l, handle);

	while (s != NULL && s->handle != handle)
		s = s->next_bucket;
	return s;
}

static unsigned
slot_of(const struct local_session *s)
{
	return s->spawn % LOCAL_SESSIONS_MAX;
}

static void
wait_in_line(struct local *l, struct local_session *s)
{
	s->prev = l->last;
	if (l->last == NULL)
		l->first = s;
	else
		l->last->next = s;
	l->last = s;
}

static void
leave_line(struct local *l, struct local_session *s)
{
	if (s->prev == NULL)
		l->first = s->next;
	else
		s->prev->next = s->next;
	if (s->next == NULL)
		l->last = s->prev;
	else
		s->next->prev = s->prev;
	s->prev = s->next = NULL;
}

/* --- a session --- */

static void
time_over(struct timer *t, void *ctx)
{
	(void)t;
	local_session_end(ctx, SESSION_TEMPORARY, 451, "4.3.0", "the mailbox did not answer in time");
}

void
local_session_clock(struct local_session *s)
{
	timer_start(&s->timer, s->local->room->conf->local.timeout);
}

struct local_session *
local_session_new(struct local *l, uint32_t handle, struct slice user)
{
	struct local_session *s, **bucket = bucket_of(l, handle);
	unsigned slot;

	if (l->n_sessions == LOCAL_SESSIONS_MAX)
		return NULL;
	s = calloc(1, sizeof *s);
	if (s == NULL)
		return NULL;
	slot = l->free_slots[l->n_sessions++];
	s->local = l;
	s->handle = handle;
	/* Different each time, so that an answer of master for a session that is gone finds nobody. */
	s->spawn = ++l->spawns * LOCAL_SESSIONS_MAX + slot;
	memcpy(s->user, user.p, user.n);
	timer_setup(&s->timer, l->room->loop, time_over, s);
	s->next_bucket = *bucket;
	*bucket = s;
	l->slots[slot] = s;
	wait_in_line(l, s);
	return s;
}

static void
session_free(struct local_session *s)
{
	struct local *l = s->local;
	struct local_session **at = bucket_of(l, s->handle);

	while (*at != s)
		at = &(*at)->next_bucket;
	*at = s->next_bucket;
	l->slots[slot_of(s)] = NULL;
	l->free_slots[--l->n_sessions] = slot_of(s);
	if (s->state == LOCAL_WAITING)
		leave_line(l, s);
	else
		l->n_processes--;
	timer_cancel(&s->timer);
	peer_free(s->child);
	free(s->indexes);
	free(s);
}

void
local_queue_sent(struct local *l, enum rc rc)
{
	if (rc != RC_OK && rc != RC_CLOSED && l->queue != NULL)
		peer_drop(l->queue, "does not take its results");
}

static void
log_failure(const struct local_session *s, const char *text)
{
	static const char *const stages[] = {
		[LOCAL_WAITING] = "wait", [LOCAL_SPAWNING] = "start", [LOCAL_STARTING] = "open", [LOCAL_READY] = "idle",
		[LOCAL_JOB] = "delivery", [LOCAL_ENDING] = "end",
	};

	log_say(LOG_SESSION_FAILED, NULL, F_TEXT("destination", s->user), F_TEXT("relay", "local"),
	    F_TEXT("stage", stages[s->state]), F_TEXT("text", text));
}

void
local_session_end(struct local_session *s, enum session_end status, uint16_t code, const char *enhanced,
    const char *text)
{
	struct local *l = s->local;
	struct d_closed m = { .status = (uint8_t)status, .code = code, .enhanced = slice_str(enhanced),
	    .text = slice_str(text) };

	if (status != SESSION_DONE && status != SESSION_BUSY)
		log_failure(s, text);
	if (l->queue != NULL)
		local_queue_sent(l, d_closed_send(l->queue, s->handle, &m));
	session_free(s);
	local_start_waiting(l);
	if (l->room->stopping && l->n_sessions == 0) {
		if (l->queue != NULL)
			peer_flush(l->queue);
		room_exit(l->room);
	}
}

/* --- processes --- */

void
local_start_waiting(struct local *l)
{
	const struct room *room = l->room;

	if (l->queue == NULL || room->stopping)
		return;
	while (l->first != NULL && l->n_processes < room->conf->local.processes_max && peer_room(room->master) > 0)
		start_next(l);
}

static void
start_next(struct local *l)
{
	struct local_session *s = l->first;

	leave_line(l, s);
	s->state = LOCAL_SPAWNING;
	l->n_processes++;
	local_session_clock(s);
	(void)m_spawn_send(l->room->master, s->spawn, &(struct m_spawn){ slice_str(s->user) });
}

static struct local_session *
find_spawn(struct local *l, uint32_t spawn)
{
	struct local_session *s = l->slots[spawn % LOCAL_SESSIONS_MAX];

	return s != NULL && s->spawn == spawn && s->state == LOCAL_SPAWNING ? s : NULL;
}

static const char *
on_spawned(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct room *room = ctx;
	struct local_session *s = find_spawn(room->ctx, handle);
	struct m_spawned m;

	(void)p;
	if (!m_spawned_get(body, &m) || s == NULL) {
		(void)close(fd);
		return NULL;	/* the session is over: the process sees its line close */
	}
	s->child = peer_new(room->loop, fd, ROLE_LOCAL, ROLE_MAILBOX, 0, &local_child_ops, s);
	if (s->child == NULL) {
		local_session_end(s, SESSION_TEMPORARY, 451, "4.3.0", "out of memory");
		return NULL;
	}
	s->state = LOCAL_STARTING;
	log_say(LOG_SESSION_OPENED, NULL, F_TEXT("destination", s->user), F_TEXT("relay", "local"));
	(void)d_open_send(s->child, 1, &(struct d_open){ S("local"), slice_str(s->user) });
	return NULL;
}

/* The report of a sandbox has many lines; a reply has one. */
static void
copy_text(char to[JOB_TEXT_MAX + 1], struct slice from)
{
	size_t n = from.n < JOB_TEXT_MAX ? from.n : JOB_TEXT_MAX;

	for (size_t i = 0; i < n; i++)
		to[i] = (char)(from.p[i] >= 0x20 && from.p[i] < 0x7f ? from.p[i] : ' ');
	to[n] = '\0';
}

static const char *
on_spawn_failed(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct room *room = ctx;
	struct local_session *s = find_spawn(room->ctx, handle);
	char text[JOB_TEXT_MAX + 1];
	struct m_spawn_failed m;

	(void)p, (void)fd;
	if (!m_spawn_failed_get(body, &m))
		return "malformed M_SPAWN_FAILED";
	if (s == NULL)
		return NULL;
	copy_text(text, m.why);
	if (m.status == RC_NOTFOUND)
		local_session_end(s, SESSION_PERMANENT, 550, "5.1.1", text);
	else
		local_session_end(s, SESSION_TEMPORARY, 451, "4.3.0", text);
	return NULL;
}

/* --- the room --- */

static enum rc
prepare(struct room *room, struct buf *why)
{
	struct local *l = room->ctx;

	(void)why;
	l->room = room;
	for (unsigned i = 0; i < LOCAL_SESSIONS_MAX; i++)
		l->free_slots[i] = i;
	return RC_OK;
}

static void
take_line(struct room *room, enum role them, unsigned index, int fd)
{
	struct local *l = room->ctx;
	struct peer *old = l->queue;

	if (them != ROLE_QUEUE) {
		(void)close(fd);
		return;
	}
	/* A new queue knows nothing of the sessions of the old one. */
	if (old != NULL)
		local_queue_ops.closed(l, old, NULL);
	l->queue = peer_new(room->loop, fd, ROLE_LOCAL, them, index, &local_queue_ops, l);
}

static const char *
adopt(struct room *room, const struct conf *old)
{
	(void)old;
	local_start_waiting(room->ctx);	/* more processes may be allowed now */
	return NULL;
}

/* Deliveries that run are finished; nothing else is begun. */
static void
stop(struct room *room, uint32_t grace_ms)
{
	struct local *l = room->ctx;

	(void)grace_ms;
	if (l->n_sessions == 0)
		room_exit(room);
	for (size_t i = 0; i < LOCAL_SESSIONS_MAX; i++) {
		struct local_session *s = l->slots[i];

		if (s == NULL)
			continue;
		if (s->state == LOCAL_WAITING || s->state == LOCAL_SPAWNING) {
			local_session_end(s, SESSION_BUSY, 0, "", "");
		} else if (s->state == LOCAL_READY || s->state == LOCAL_STARTING) {
			s->state = LOCAL_ENDING;
			local_session_clock(s);
			(void)d_idle_send(s->child, 1, &(struct d_idle){ 0 });
		}
	}
}

const struct room_ops local_ops = {
	.role = ROLE_LOCAL,
	.prepare = prepare,
	.line = take_line,
	.adopt = adopt,
	.stop = stop,
	.on_master = { [M_SPAWNED] = on_spawned, [M_SPAWN_FAILED] = on_spawn_failed },
};
