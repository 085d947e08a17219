/* smtpd/porch.c -- see porch.h. */
#include "smtpd/porch.h"

#include "common/wire/proxy_header.h"
#include "smtpd/listener.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct caller {
	struct caller *next, **link;
	struct smtpd *smtpd;
	struct conf *conf;		/* that of its arrival; counted */
	struct client *client;		/* in the pause: counted already */
	struct ip ip;
	struct watch watch;
	struct timer timer;
	struct buf header;		/* of its proxy, so far */
	uint64_t began;
	size_t n;
	uint8_t name[];			/* of the listener */
};

static struct slice
name_of(const struct caller *c)
{
	return slice_of(c->name, c->n);
}

/* The connection is somebody else's now. */
static void
forget(struct caller *c)
{
	struct smtpd *smtpd = c->smtpd;

	watch_stop(&c->watch);
	timer_cancel(&c->timer);
	*c->link = c->next;
	if (c->next != NULL)
		c->next->link = c->link;
	smtpd->n_callers--;
	buf_free(&c->header);
	conf_unref(c->conf);
	free(c);
}

static void
hang_up(struct caller *c)
{
	struct smtpd *smtpd = c->smtpd;

	if (c->client != NULL)
		client_leave(&smtpd->clients, c->client);
	(void)close(c->watch.fd);
	forget(c);
	smtpd_check_done(smtpd);
}

static void
refuse(struct caller *c, const char *why)
{
	log_say(LOG_SESSION_REFUSED, NULL, F_IP("client", c->ip), F_STR("listener", name_of(c)), F_TEXT("why", why));
	hang_up(c);
}

static struct caller *
caller_new(struct smtpd *smtpd, struct slice listener, int fd, struct ip ip, watch_fn *heard, timer_fn *over, uint64_t ms)
{
	struct caller *c = calloc(1, sizeof *c + listener.n);

	if (c == NULL)
		return NULL;
	c->smtpd = smtpd;
	c->conf = conf_ref(smtpd->conf);
	c->ip = ip;
	c->began = loop_now(smtpd->loop);
	c->n = listener.n;
	if (listener.n > 0)
		memcpy(c->name, listener.p, listener.n);
	buf_init(&c->header, PROXY_HEADER_MAX);
	watch_init(&c->watch, smtpd->loop, fd, heard, c);
	timer_setup(&c->timer, smtpd->loop, over, c);
	c->next = smtpd->callers;
	if (c->next != NULL)
		c->next->link = &c->next;
	c->link = &smtpd->callers;
	smtpd->callers = c;
	smtpd->n_callers++;
	watch_set(&c->watch, true, false);
	timer_start(&c->timer, ms);
	return c;
}

/* --- the proxy's header --- */

/* Takes n bytes that were looked at; they are there. */
static bool
take(const struct caller *c, size_t n)
{
	uint8_t space[PROXY_HEADER_MAX];

	return n <= sizeof space && (n == 0 || recv(c->watch.fd, space, n, 0) == (ssize_t)n);
}

static void
introduced(struct caller *c, const struct proxy_header *h)
{
	struct smtpd *smtpd = c->smtpd;
	struct slice name = name_of(c);
	int fd = c->watch.fd;

	/* Both are in c, which goes last. */
	watch_stop(&c->watch);
	listener_let_in(smtpd, name, fd, h->local ? c->ip : h->from);
	forget(c);
}

static void
on_header(struct watch *w, bool readable, bool writable, void *ctx)
{
	struct caller *c = ctx;
	uint8_t space[PROXY_HEADER_MAX];
	size_t had = buf_len(&c->header), used = 0;
	ssize_t n = recv(w->fd, space, sizeof space - had, MSG_PEEK);
	struct proxy_header h;
	enum rc rc;

	(void)readable, (void)writable;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || !buf_put(&c->header, space, (size_t)n)) {
		refuse(c, "the proxy left before it said who the client is");
		return;
	}
	rc = proxy_header_parse(buf_slice(&c->header), &h, &used);
	if (rc == RC_MORE && take(c, (size_t)n))
		return;
	if (rc == RC_OK && take(c, used - had))
		introduced(c, &h);
	else
		refuse(c, "not a header of the PROXY protocol");
}

static void
on_no_header(struct timer *t, void *ctx)
{
	(void)t;
	refuse(ctx, "the proxy did not say who the client is in time");
}

bool
porch_wait_for_proxy(struct smtpd *smtpd, struct slice listener, int fd, struct ip ip)
{
	return caller_new(smtpd, listener, fd, ip, on_header, on_no_header, PROXY_PATIENCE_MS) != NULL;
}

/* --- the pause before the greeting --- */

/* It talks before it was greeted: a program that does not listen, and so no mail server. */
static void
on_early_word(struct watch *w, bool readable, bool writable, void *ctx)
{
	struct buf reply = BUF_INIT(REPLY_LINE_MAX), text = BUF_INIT(REPLY_TEXT_MAX);
	struct caller *c = ctx;
	ssize_t n = recv(w->fd, loop_scratch(c->smtpd->loop), LOOP_SCRATCH, 0);

	(void)readable, (void)writable;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		log_say(LOG_PREGREET, NULL, F_IP("client", c->ip), F_STR("listener", name_of(c)), F_U64("bytes", (uint64_t)n),
		    F_U64("ms", loop_now(c->smtpd->loop) - c->began));
		client_note_at(&c->smtpd->clients, c->conf, c->client, CLIENT_ERROR, 1);
		/* Not 554: who is greeted with that may say QUIT before we hang up (RFC 5321 3.1). */
		(void)buf_put_slice(&text, smtpd_name(c->smtpd, c->conf));
		(void)buf_put_str(&text, " You must wait for the greeting");
		if (reply_line(&reply, 421, S("4.7.0"), buf_slice(&text), false))
			(void)send(w->fd, buf_slice(&reply).p, buf_len(&reply), MSG_NOSIGNAL);
		(void)shutdown(w->fd, SHUT_WR);
		buf_free(&reply);
		buf_free(&text);
	}
	hang_up(c);
}

static void
on_pause_over(struct timer *t, void *ctx)
{
	struct caller *c = ctx;
	struct smtpd *smtpd = c->smtpd;
	struct client *client = c->client;

	(void)t;
	watch_stop(&c->watch);
	listener_greet(smtpd, name_of(c), c->watch.fd, c->ip, client);
	forget(c);
}

bool
porch_pause(struct smtpd *smtpd, struct slice listener, int fd, struct ip ip, struct client *client)
{
	struct caller *c = caller_new(smtpd, listener, fd, ip, on_early_word, on_pause_over, smtpd->conf->smtpd.greet_pause);

	if (c != NULL)
		c->client = client;
	return c != NULL;
}

void
porch_clear(struct smtpd *smtpd)
{
	while (smtpd->callers != NULL) {
		struct caller *c = smtpd->callers;

		if (c->client != NULL)
			client_leave(&smtpd->clients, c->client);
		(void)close(c->watch.fd);
		forget(c);
	}
}
