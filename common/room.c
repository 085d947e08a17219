/* common/room.c -- the life of a room, see room.h. */
#include "common/room.h"

#include "common/sandbox/probe.h"
#include "common/sandbox/sandbox.h"
#include "common/text.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	MASTER_FD = 3,			/* where master leaves the line to itself */
	CONFIG_BYTES_MAX = 16 * 1024 * 1024,
	BENEATH_MAX = 4,
	ARRIVALS_MAX = 4096,		/* lines and files before the first M_GO */
	LARGE = 128 * 1024,		/* what is at least so large comes from the system, and goes back to it */
	TIDY_MS = 15 * 1000,
	TIDY_FROM = 1024 * 1024,	/* free bytes in the heap that are worth a look */
	CARRIES_CONTENT = ROLE_BIT(ROLE_SMTPD) | ROLE_BIT(ROLE_QUEUE) | ROLE_BIT(ROLE_DELIVER),
};

/* A line or a file that came before the room could take it. */
struct arrival {
	struct arrival *next;
	bool is_line;
	enum role role;
	unsigned index;
	struct m_file file;
	char *name, *path;
	int fd;
};

struct room_private {
	struct buf config;		/* parts of the generation being received */
	struct arrival *first, **last;
	size_t n_arrivals;
	struct conf *next_conf;
	struct m_go go;
	char *root;
	char *user;
	char *folder;			/* room_become */
	int folder_fd;
	bool became;
	bool probing;			/* started for the self-test alone */
	uint32_t uid, gid;
	struct peer_ops master_ops;
	struct peer_ops log_ops;
	struct peer *log;
	struct timer grace;
	struct timer tidy;
};

static void
refuse(const struct room *room, enum rc rc, const char *what, struct buf *why)
{
	const char *text = why == NULL ? NULL : buf_cstr(why);
	struct m_ready m = { 0, (uint8_t)rc, slice_str(text == NULL || *text == '\0' ? what : text), S("") };
	uint8_t space[2048];
	struct wr w = { space, 0, sizeof space, false };

	m.why = slice_first(m.why, 1024);
	/* The master tells the administrator; when it cannot be told, we do. */
	if (m_ready_put(&w, &m) && frame_write_blocking(MASTER_FD, M_READY, 0, slice_of(space, w.n), -1) == RC_OK)
		return;
	(void)fprintf(stderr, "%s: cannot start: %s%s%s\n", role_program(room->ops->role), what,
	    text == NULL ? "" : ": ", text == NULL ? "" : text);
}

/* --- arrivals --- */

static char *
copy_text(struct slice s)
{
	char *copy = text_copy(s);

	if (copy == NULL)
		BUG("out of memory at start-up");
	return copy;
}

static void
arrival_keep(struct room_private *pr, const struct arrival *what)
{
	struct arrival *a = malloc(sizeof *a);

	if (a == NULL || pr->n_arrivals++ == ARRIVALS_MAX)
		BUG("too much from master before the start");
	*a = *what;
	a->next = NULL;
	*pr->last = a;
	pr->last = &a->next;
}

static void
arrival_free(struct arrival *a)
{
	free(a->name);
	free(a->path);
	free(a);
}

static void keep_log_line(struct room *room, int fd);

static void
hand_out_line(struct room *room, enum role them, unsigned index, int fd)
{
	if (them == ROLE_LOG)
		keep_log_line(room, fd);
	else if (room->ops->line != NULL)
		room->ops->line(room, them, index, fd);
	else
		(void)close(fd);
}

static void
hand_out_file(struct room *room, const struct m_file *m, int fd)
{
	if (room->ops->file != NULL)
		room->ops->file(room, m, fd);
	else
		(void)close(fd);
}

static void
hand_out_arrivals(struct room *room)
{
	struct room_private *pr = room->private;

	while (pr->first != NULL) {
		struct arrival *a = pr->first;

		pr->first = a->next;
		if (a->is_line)
			hand_out_line(room, a->role, a->index, a->fd);
		else if (a->fd != -1)
			hand_out_file(room, &a->file, a->fd);
		arrival_free(a);
	}
	pr->last = &pr->first;
	pr->n_arrivals = 0;
}

static struct arrival *
find_file(const struct room *room, enum file_purpose purpose, struct slice name)
{
	for (struct arrival *a = room->private->first; a != NULL; a = a->next)
		if (!a->is_line && a->fd != -1 && a->file.purpose == purpose && slice_eq(a->file.name, name))
			return a;
	return NULL;
}

int
room_file(struct room *room, enum file_purpose purpose, struct slice name)
{
	struct arrival *a = find_file(room, purpose, name);

	return a == NULL ? -1 : a->fd;
}

int
room_take_file(struct room *room, enum file_purpose purpose, struct slice name)
{
	struct arrival *a = find_file(room, purpose, name);
	int fd = -1;

	if (a != NULL) {
		fd = a->fd;
		a->fd = -1;
	}
	return fd;
}

struct slice
room_user(const struct room *room)
{
	return slice_str(room->private->user == NULL ? "" : room->private->user);
}

void
room_become(struct room *room, uint32_t uid, uint32_t gid, const char *folder)
{
	struct room_private *pr = room->private;

	pr->became = true;
	pr->uid = uid;
	pr->gid = gid;
	free(pr->folder);
	pr->folder = copy_text(slice_str(folder));
}

int
room_folder(const struct room *room)
{
	return room->private->folder_fd;
}

struct peer *
room_log(const struct room *room)
{
	return room->private->log;
}

/* --- configuration --- */

static const char *
take_config_part(struct room_private *pr, const struct m_config *m)
{
	if (m->offset == 0)
		buf_clear(&pr->config);
	if (m->total > CONFIG_BYTES_MAX || m->offset != buf_len(&pr->config) || m->part.n > m->total - m->offset)
		return "configuration parts out of order";
	if (!buf_put_slice(&pr->config, m->part))
		return "out of memory";
	if (buf_len(&pr->config) < m->total)
		return NULL;
	conf_unref(pr->next_conf);
	pr->next_conf = NULL;
	return conf_decode(buf_slice(&pr->config), &pr->next_conf) == RC_OK ? NULL : "malformed configuration";
}

/* --- start-up, blocking --- */

static const char *
startup_frame(struct room *room, struct frame *f, bool *ret_go)
{
	struct room_private *pr = room->private;
	struct rd r = { f->body, false };
	struct m_config config;
	struct m_line line;
	struct m_file file;
	struct m_mailbox mailbox;

	if (f->type == M_CONFIG && m_config_get(&r, &config))
		return take_config_part(pr, &config);
	if (f->type == M_LINE && m_line_get(&r, &line)) {
		arrival_keep(pr, &(struct arrival){ .is_line = true, .role = (enum role)line.role, .index = line.index,
		    .fd = f->fd });
		return NULL;
	}
	if (f->type == M_FILE && m_file_get(&r, &file)) {
		struct arrival a = { .file = file, .fd = f->fd, .name = copy_text(file.name), .path = copy_text(file.path) };

		a.file.name = slice_of(a.name, file.name.n);
		a.file.path = slice_of(a.path, file.path.n);
		arrival_keep(pr, &a);
		return NULL;
	}
	if (f->type == M_MAILBOX && m_mailbox_get(&r, &mailbox)) {
		free(pr->user);
		pr->user = copy_text(mailbox.user);
		return NULL;
	}
	if (f->type == M_PROBE) {
		pr->probing = true;
		return NULL;
	}
	if (f->type == M_GO && m_go_get(&r, &pr->go)) {
		free(pr->root);
		pr->root = copy_text(pr->go.root);
		*ret_go = true;
		return pr->next_conf == NULL ? "no configuration came" : NULL;
	}
	return "malformed or unexpected frame from master";
}

/* NULL, or why not. */
static const char *
wait_for_go(struct room *room)
{
	struct buf b = BUF_INIT(IPC_FRAME_MAX);
	const char *why = NULL;
	bool go = false;

	while (why == NULL && !go) {
		struct frame f;

		if (frame_read_blocking(MASTER_FD, room->ops->role, ROLE_MASTER, &b, &f) != RC_OK)
			why = "master went away";
		else
			why = startup_frame(room, &f, &go);
	}
	buf_free(&b);
	return why;
}

static enum rc
make_threads(void *ctx, struct buf *why)
{
	struct room *room = ctx;

	return room->ops->threads(room, why);
}

static enum rc
enter_sandbox(struct room *room, struct buf *report)
{
	struct room_private *pr = room->private;
	int beneath[BENEATH_MAX];
	struct sandbox_params params = {
		.role = room->ops->role,
		.uid = pr->became ? pr->uid : pr->go.uid,
		.gid = pr->became ? pr->gid : pr->go.gid,
		.root = pr->root,
		.folder = pr->folder,
		.beneath = beneath,
		.enforce = strcmp(room->conf->global.sandbox, "best-effort") != 0,
		.make_threads = room->ops->threads == NULL || pr->probing ? NULL : make_threads,
		.ctx = room,
	};

	for (struct arrival *a = pr->first; a != NULL; a = a->next)
		if (!a->is_line && a->fd != -1 && (a->file.purpose == FILE_SPOOL || a->file.purpose == FILE_LOG) &&
		    params.n_beneath < BENEATH_MAX)
			beneath[params.n_beneath++] = a->fd;
	return sandbox_enter(&params, report, &pr->folder_fd);
}

/* --- the line to master, afterwards --- */

static void
send_ready(struct room *room, uint32_t generation, enum rc status, struct slice why, struct slice report)
{
	struct m_ready m = { generation, (uint8_t)status, slice_first(why, 4096), slice_first(report, 32 * 1024) };

	(void)m_ready_send(room->master, 0, &m);
}

static const char *
on_config(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct room *room = ctx;
	struct m_config m;

	(void)p, (void)handle, (void)fd;
	return m_config_get(body, &m) ? take_config_part(room->private, &m) : "malformed M_CONFIG";
}

static const char *
on_line(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct room *room = ctx;
	struct m_line m;

	(void)p, (void)handle;
	if (!m_line_get(body, &m)) {
		(void)close(fd);
		return "malformed M_LINE";
	}
	hand_out_line(room, (enum role)m.role, m.index, fd);
	return NULL;
}

static const char *
on_file(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct room *room = ctx;
	struct m_file m;

	(void)p, (void)handle;
	if (!m_file_get(body, &m)) {
		(void)close(fd);
		return "malformed M_FILE";
	}
	hand_out_file(room, &m, fd);
	return NULL;
}

static const char *
on_go(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct room *room = ctx;
	struct room_private *pr = room->private;
	struct conf *old = room->conf;
	const char *why = NULL;
	struct m_go m;

	(void)p, (void)handle, (void)fd;
	if (!m_go_get(body, &m) || pr->next_conf == NULL)
		return "malformed or unexpected M_GO";
	room->conf = pr->next_conf;
	pr->next_conf = NULL;
	log_set_debug(room->conf->log.debug);
	if (room->ops->adopt != NULL)
		why = room->ops->adopt(room, old);
	if (why != NULL) {
		conf_unref(room->conf);
		room->conf = old;
		log_set_debug(old->log.debug);
		send_ready(room, m.generation, RC_SYNTAX, slice_str(why), S(""));
		return NULL;
	}
	conf_unref(old);
	send_ready(room, m.generation, RC_OK, S(""), S(""));
	return NULL;
}

static void
grace_over(struct timer *t, void *ctx)
{
	(void)t;
	room_exit(ctx);
}

static const char *
on_stop(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct room *room = ctx;
	struct m_stop m;

	(void)p, (void)handle, (void)fd;
	if (!m_stop_get(body, &m))
		return "malformed M_STOP";
	if (room->stopping)
		return NULL;
	room->stopping = true;
	log_say(LOG_STOPPING, NULL, F_TEXT("reason", "asked by master"));
	timer_start(&room->private->grace, m.grace_ms);
	if (room->ops->stop != NULL)
		room->ops->stop(room, m.grace_ms);
	else
		room_exit(room);
	return NULL;
}

/* The self-test: whoever asks for it has started this process only to be tried. */
static const char *
on_probe(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct room *room = ctx;
	struct buf text = BUF_INIT(1024);
	struct m_probed answer;
	struct m_probe m;

	(void)fd;
	if (!m_probe_get(body, &m))
		return "malformed M_PROBE";
	answer.probe = m.probe;
	answer.verdict = (uint8_t)probe_run(m.probe, room->ops->role, &text);
	answer.text = buf_slice(&text);
	(void)m_probed_send(p, handle, &answer);
	buf_free(&text);
	return NULL;
}

static void
master_closed(void *ctx, struct peer *p, const char *why)
{
	(void)p;
	if (why != NULL)
		log_say(LOG_PEER_DROPPED, NULL, F_TEXT("room", "master"), F_TEXT("why", why));
	/* Without master nobody rewires us: leave at once, whatever is half done was never acknowledged. */
	room_exit(ctx);
}

static void
log_closed(void *ctx, struct peer *p, const char *why)
{
	struct room *room = ctx;

	(void)why;
	if (room->private->log == p) {
		room->private->log = NULL;
		log_attach(NULL);
	}
	if (room->ops->log_lost != NULL)
		room->ops->log_lost(room);
	peer_free(p);
}

static void
keep_log_line(struct room *room, int fd)
{
	struct room_private *pr = room->private;
	struct peer *old = pr->log;

	pr->log = peer_new(room->loop, fd, room->ops->role, ROLE_LOG, 0, &pr->log_ops, room);
	log_attach(pr->log);
	peer_free(old);
}

static void
make_master_ops(struct room *room)
{
	struct peer_ops *ops = &room->private->master_ops;

	memcpy(ops->on, room->ops->on_master, sizeof ops->on);
	ops->on[M_CONFIG] = on_config;
	ops->on[M_LINE] = on_line;
	ops->on[M_FILE] = on_file;
	ops->on[M_GO] = on_go;
	ops->on[M_STOP] = on_stop;
	ops->on[M_PROBE] = on_probe;
	ops->closed = master_closed;
	memcpy(room->private->log_ops.on, room->ops->on_log, sizeof room->private->log_ops.on);
	room->private->log_ops.closed = log_closed;
}

void
room_exit(struct room *room)
{
	loop_stop(room->loop);
}

void
room_log_drop(struct peer *p, const char *why)
{
	if (why != NULL)
		log_say(LOG_PEER_DROPPED, NULL, F_TEXT("room", role_name(peer_role(p))),
		    F_U64("index", peer_index(p)), F_TEXT("why", why));
}

/* --- all of it --- */

/* The report has a line for each step; the one that failed is the last. */
static struct slice
last_line(struct slice report)
{
	size_t at;

	while (report.n > 0 && report.p[report.n - 1] == '\n')
		report.n--;
	for (at = report.n; at > 0 && report.p[at - 1] != '\n'; at--)
		;
	return slice_from(report, at);
}

static bool
room_begin(struct room *room, struct buf *report)
{
	struct buf why = BUF_INIT(4096);
	const char *problem;
	enum rc rc;

	if (sandbox_begin(room->ops->role) != RC_OK) {
		refuse(room, RC_IO, "cannot set limits", NULL);
		return false;
	}
	problem = wait_for_go(room);
	if (problem != NULL) {
		refuse(room, RC_IO, problem, NULL);
		return false;
	}
	room->conf = room->private->next_conf;
	room->private->next_conf = NULL;
	log_set_debug(room->conf->log.debug);
	room->loop = loop_new();
	if (room->loop == NULL) {
		refuse(room, RC_NOMEM, "no event loop", NULL);
		return false;
	}
	if (!room->private->probing && room->ops->prepare != NULL &&
	    (rc = room->ops->prepare(room, &why)) != RC_OK) {
		refuse(room, rc, "preparation failed", &why);
		buf_free(&why);
		return false;
	}
	if (enter_sandbox(room, report) != RC_OK) {
		(void)buf_put_slice(&why, last_line(buf_slice(report)));
		refuse(room, RC_IO, "the sandbox cannot be entered", &why);
		buf_free(&why);
		return false;
	}
	buf_free(&why);
	return true;
}

/* What a burst of large messages needed goes back to the system. Left to itself glibc takes the first large buffer that is freed
 * as a sign that there will be more, keeps up to 64 MB from then on, and a heap for each thread. */
static void
tame_allocator(void)
{
	(void)mallopt(M_MMAP_THRESHOLD, LARGE);
	(void)mallopt(M_TRIM_THRESHOLD, LARGE);
	(void)mallopt(M_ARENA_MAX, 1);
}

/* And what lies free between small things that stay. */
static void
on_tidy(struct timer *t, void *ctx)
{
	(void)ctx;
	if (mallinfo2().fordblks > TIDY_FROM)
		(void)malloc_trim(LARGE);
	timer_start(t, TIDY_MS);
}

static void
room_run(struct room *room, struct buf *report)
{
	struct room_private *pr = room->private;

	make_master_ops(room);
	timer_setup(&pr->grace, room->loop, grace_over, room);
	room->master = peer_new(room->loop, MASTER_FD, room->ops->role, ROLE_MASTER, 0, &pr->master_ops, room);
	if (room->master == NULL)
		BUG("no memory for the line to master");
	timer_setup(&pr->tidy, room->loop, on_tidy, NULL);
	if (!pr->probing) {
		if ((CARRIES_CONTENT & ROLE_BIT(room->ops->role)) != 0)
			timer_start(&pr->tidy, TIDY_MS);
		if (room->ops->start != NULL)
			room->ops->start(room);
		hand_out_arrivals(room);
		if (room->ops->adopt != NULL)
			(void)room->ops->adopt(room, NULL);
	}
	send_ready(room, room->conf->generation, RC_OK, S(""), buf_slice(report));
	buf_free(report);
	/* A mailbox process lives for a delivery or two: their lines in the log are enough. */
	if (!pr->probing && room->ops->role != ROLE_MAILBOX)
		log_say(LOG_STARTED, NULL, F_U64("generation", room->conf->generation));
	loop_run(room->loop);
	if (pr->log != NULL)
		peer_flush(pr->log);
	if (peer_alive(room->master))
		peer_flush(room->master);
}

int
room_main(int argc, char **argv, const struct room_ops *ops, void *ctx)
{
	struct room_private private = { .folder_fd = -1 };
	struct room room = { .ops = ops, .ctx = ctx, .private = &private };
	struct buf report = BUF_INIT(64 * 1024);

	if (argc != 2) {
		(void)fprintf(stderr, "%s: started by postern(8), never by hand\n", role_program(ops->role));
		return 64;	/* EX_USAGE */
	}
	tame_allocator();
	room.index = (unsigned)strtoul(argv[1], NULL, 10);
	private.last = &private.first;
	buf_init(&private.config, CONFIG_BYTES_MAX);
	log_open(ops->role, room.index);
	if (!room_begin(&room, &report))
		return 78;	/* EX_CONFIG */
	room_run(&room, &report);
	return 0;
}
