/* vault/auth_dovecot_link.c -- the connection to Dovecot: asked for, greeted, read, lost, asked for again. See auth_dovecot.h. */
#include "vault/auth_dovecot.h"

#include "common/log.h"
#include "vault/auth.h"
#include "vault/auth_exchange.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

enum { MAJOR = 1, MINOR = 2 };	/* since 1.3 Dovecot lists mechanisms that want channel binding, which is described nowhere */

static void ask(struct auth *auth);

static void
go(struct auth *auth, enum dovecot_state state)
{
	auth->dovecot.state = state;
}

static void
hang_up(struct dovecot *d)
{
	if (d->fd != -1) {
		watch_stop(&d->watch);
		(void)close(d->fd);
	}
	d->fd = -1;
	chore_cancel(&d->flush);
	timer_cancel(&d->timer);
	if (d->out.p != NULL)
		sodium_memzero(d->out.p, d->out.cap);
	buf_free(&d->out);
	buf_clear(&d->in);
	d->versioned = false;
	d->coming = 0;
}

static void
rest(struct auth *auth)
{
	struct dovecot *d = &auth->dovecot;

	d->rest = d->rest == 0 ? DOVECOT_REST_FIRST_MS : d->rest * 2;
	if (d->rest > DOVECOT_REST_MAX_MS)
		d->rest = DOVECOT_REST_MAX_MS;
	go(auth, DOVECOT_RESTING);
	timer_start(&d->timer, d->rest);
}

static void
say_down(struct dovecot *d, const char *why)
{
	/* Once, however often it is tried. */
	if (!d->failing)
		log_say(LOG_DOVECOT_DOWN, NULL, F_TEXT("path", d->path), F_TEXT("why", why));
	d->failing = true;
}

void
dovecot_lost(struct auth *auth, const char *why)
{
	struct dovecot *d = &auth->dovecot;
	bool was_up = d->state == DOVECOT_UP;

	say_down(d, why);
	hang_up(d);
	/* It may have been restarted: then it is there again at once, and who comes meanwhile waits. */
	if (was_up)
		ask(auth);
	else
		rest(auth);
	dovecot_requests_fail(auth, d->state == DOVECOT_RESTING, "Dovecot is away");
}

void
dovecot_failed(struct auth *auth, const char *why)
{
	if (auth->dovecot.state == DOVECOT_ASKED)
		dovecot_lost(auth, why);
}

static void
ask(struct auth *auth)
{
	struct dovecot *d = &auth->dovecot;
	const struct m_connect m = { auth->conf->generation };

	go(auth, DOVECOT_ASKED);
	timer_start(&d->timer, auth->conf->auth.dovecot_timeout);
	if (++d->asked == 0)
		d->asked = 1;
	if (auth->room != NULL && m_connect_send(auth->room->master, d->asked, &m) != RC_OK)
		rest(auth);
}

static void
on_timer(struct timer *t, void *ctx)
{
	struct auth *auth = ctx;

	(void)t;
	if (auth->dovecot.state == DOVECOT_RESTING)
		ask(auth);
	else
		dovecot_lost(auth, "no greeting came in time");
}

/* --- out --- */

bool
dovecot_send(struct auth *auth, const struct buf *line)
{
	struct dovecot *d = &auth->dovecot;

	if (line->failed || d->fd == -1 || buf_len(line) > buf_room(&d->out) || !buf_put_slice(&d->out, buf_slice(line))) {
		d->out.failed = false;
		return false;
	}
	chore_queue(&d->flush);
	return true;
}

static void
flush(struct auth *auth)
{
	struct dovecot *d = &auth->dovecot;
	ssize_t n = 1;

	while (buf_len(&d->out) > 0 && n > 0) {
		n = write(d->fd, buf_slice(&d->out).p, buf_len(&d->out));
		if (n > 0)
			buf_consume(&d->out, (size_t)n);
		else if (n == -1 && errno == EINTR)
			n = 1;
	}
	if (n == -1 && errno != EAGAIN) {
		dovecot_lost(auth, "the connection was closed");
		return;
	}
	/* There are passwords in it. */
	if (buf_len(&d->out) == 0 && d->out.p != NULL) {
		sodium_memzero(d->out.p, d->out.cap);
		buf_free(&d->out);
	}
	watch_set(&d->watch, true, buf_len(&d->out) > 0);
}

static void
on_flush(struct chore *c, void *ctx)
{
	const struct auth *auth = ctx;

	(void)c;
	if (auth->dovecot.fd != -1)
		flush(ctx);
}

/* --- in --- */

static const char *
on_done(struct auth *auth)
{
	struct dovecot *d = &auth->dovecot;
	struct buf text = BUF_INIT(512);

	if (!d->versioned)
		return "a handshake without a version";
	timer_cancel(&d->timer);
	go(auth, DOVECOT_UP);
	d->rest = 0;
	d->failing = false;
	d->known = true;
	d->mechanisms = d->coming;
	for (size_t i = 0; dovecot_mechanism(i) != NULL; i++)
		if (dovecot_has(auth, i)) {
			(void)buf_put_str(&text, buf_len(&text) == 0 ? "" : " ");
			(void)buf_put_slice(&text, dovecot_mechanism(i)->name);
		}
	log_say(LOG_DOVECOT_UP, NULL, F_TEXT("path", d->path), F_STR("mechanisms", buf_slice(&text)));
	buf_free(&text);
	auth_tell_state(auth);
	dovecot_requests_send(auth);
	return NULL;
}

static void
on_mech(struct dovecot *d, const struct dovecot_line *l)
{
	int i = l->private_mech || l->binding ? -1 : dovecot_find_mechanism(l->text);

	if (i >= 0)
		d->coming |= 1U << (unsigned)i;
}

/* NULL, or why the connection must be given up. */
static const char *
on_line(struct auth *auth, struct slice text)
{
	struct dovecot *d = &auth->dovecot;
	struct dovecot_line l;

	if (dovecot_line_parse(text, &l) != RC_OK)
		return "it says what cannot be understood";
	if (l.kind == DOVECOT_OTHER)
		return NULL;
	if (d->state == DOVECOT_UP)
		return l.kind == DOVECOT_OK || l.kind == DOVECOT_CONT || l.kind == DOVECOT_FAIL ? dovecot_on_result(auth, &l) :
		    "a second handshake";
	if (l.kind == DOVECOT_VERSION) {
		d->versioned = l.number == MAJOR;
		return d->versioned ? NULL : "it speaks another version of the protocol";
	}
	if (l.kind == DOVECOT_MECH) {
		on_mech(d, &l);
		return NULL;
	}
	return l.kind == DOVECOT_DONE ? on_done(auth) : "an answer before the handshake is complete";
}

static void
on_readable(struct auth *auth)
{
	struct dovecot *d = &auth->dovecot;
	uint8_t *at = buf_reserve(&d->in, 4096 < buf_room(&d->in) ? 4096 : buf_room(&d->in));
	ssize_t n = at == NULL ? -1 : read(d->fd, at, 4096 < buf_room(&d->in) ? 4096 : buf_room(&d->in));
	const char *why = NULL;

	if (n == -1 && at != NULL && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		dovecot_lost(auth, at == NULL ? "out of memory" : "the connection was closed");
		return;
	}
	buf_advance(&d->in, (size_t)n);
	d->heard = loop_now(auth->loop);
	while (why == NULL) {
		struct slice in = buf_slice(&d->in);
		size_t end = slice_find(in, '\n');

		if (end == in.n)
			break;
		why = on_line(auth, slice_first(in, end));
		if (why == NULL)
			buf_consume(&d->in, end + 1);
	}
	if (why == NULL && buf_room(&d->in) == 0)
		why = "a line without end";
	if (why != NULL)
		dovecot_lost(auth, why);
}

static void
on_watch(struct watch *w, bool readable, bool writable, void *ctx)
{
	struct auth *auth = ctx;

	(void)w;
	if (readable)
		on_readable(auth);
	if (writable && auth->dovecot.fd != -1)
		flush(auth);
}

/* --- from outside --- */

void
dovecot_take(struct auth *auth, int fd)
{
	struct dovecot *d = &auth->dovecot;
	struct buf hello = BUF_INIT(64);

	if (d->state != DOVECOT_ASKED) {
		(void)close(fd);
		return;
	}
	go(auth, DOVECOT_GREETING);
	d->fd = fd;
	watch_init(&d->watch, auth->loop, fd, on_watch, auth);
	watch_set(&d->watch, true, false);
	timer_start(&d->timer, auth->conf->auth.dovecot_timeout);
	(void)buf_printf(&hello, "VERSION\t%d\t%d\nCPID\t%ld\n", MAJOR, MINOR, (long)getpid());
	if (!dovecot_send(auth, &hello))
		dovecot_lost(auth, "out of memory");
	buf_free(&hello);
}

void
dovecot_setup(struct auth *auth)
{
	struct dovecot *d = &auth->dovecot;

	d->fd = -1;
	hash_table_init(&d->requests);
	buf_init(&d->in, DOVECOT_LINE_MAX);
	buf_init(&d->out, DOVECOT_OUT_MAX);
	timer_setup(&d->timer, auth->loop, on_timer, auth);
	chore_setup(&d->flush, auth->loop, on_flush, auth);
}

static void
stop(struct auth *auth)
{
	struct dovecot *d = &auth->dovecot;

	go(auth, DOVECOT_OFF);
	hang_up(d);
	dovecot_requests_fail(auth, true, "Dovecot is not asked any more");
	free(d->path);
	d->path = NULL;
	d->known = d->failing = false;
	d->mechanisms = 0;
	d->rest = 0;
}

void
dovecot_adopt(struct auth *auth)
{
	struct dovecot *d = &auth->dovecot;
	const char *path = auth->conf->auth.dovecot;

	if (strcmp(d->path == NULL ? "" : d->path, path) == 0)
		return;
	stop(auth);
	if (*path == '\0')
		return;
	d->path = strdup(path);
	if (d->path != NULL)
		ask(auth);
}

void
dovecot_free(struct auth *auth)
{
	if (auth->loop == NULL)
		return;
	stop(auth);
	hash_table_clear(&auth->dovecot.requests, NULL);
	buf_free(&auth->dovecot.in);
}
