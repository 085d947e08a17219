/* smtpd/listener.c -- see listener.h. */
#include "smtpd/listener.h"

#include "smtpd/porch.h"
#include "smtpd/pressure.h"
#include "smtpd/session.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BREATHER_MS = 100 };

struct listener {
	struct listener *next;
	struct smtpd *smtpd;
	struct watch watch;
	uint32_t generation;
	size_t n;
	uint8_t name[];
};

static struct slice
name_of(const struct listener *l)
{
	return slice_of(l->name, l->n);
}

/* TLS from the first byte on: nothing can be said in the clear (RFC 8314 3.3). */
static bool
is_implicit(const struct smtpd *smtpd, struct slice listener)
{
	for (size_t i = 0; i < smtpd->conf->n_listeners; i++)
		if (slice_eq(slice_str(smtpd->conf->listeners[i].title), listener))
			return strcmp(smtpd->conf->listeners[i].tls, "implicit") == 0;
	return false;
}

/* One line, if it fits the empty socket buffer, which it does; the client reads it after our end has gone. Our name comes
 * first (RFC 5321 4.2.2, 4.3.1). */
static void
turn_away(const struct smtpd *smtpd, struct slice listener, int fd, struct ip ip, const char *reply, const char *why)
{
	struct buf line = BUF_INIT(REPLY_LINE_MAX), text = BUF_INIT(REPLY_TEXT_MAX);

	(void)buf_put_slice(&text, smtpd_name(smtpd, smtpd->conf));
	(void)buf_printf(&text, " %s", why);
	log_say(LOG_SESSION_REFUSED, NULL, F_IP("client", ip), F_STR("listener", listener), F_TEXT("why", why));
	if (!is_implicit(smtpd, listener) && reply_line(&line, 421, slice_str(reply), buf_slice(&text), false))
		(void)send(fd, buf_slice(&line).p, buf_len(&line), MSG_NOSIGNAL);
	buf_free(&line);
	buf_free(&text);
	(void)close(fd);
}

const char *
listener_objection(struct smtpd *smtpd, struct client *client)
{
	struct clients *c = &smtpd->clients;
	const struct conf *conf = smtpd->conf;
	bool often = client_over_at(c, conf, client, CLIENT_CONNECTION);

	/* One that is turned away has come all the same: it is let in again when it has calmed down. */
	client_note_at(c, conf, client, CLIENT_CONNECTION, 1);
	if (client->exempt)
		return NULL;
	if (client_sessions(c, client) > conf->smtpd.max_sessions_per_client)
		return "Too many sessions from your network, try again later";
	if (often)
		return "Too many connections from your network, try again later";
	if (client_over_at(c, conf, client, CLIENT_ERROR) || client_over_at(c, conf, client, CLIENT_UNKNOWN_RECIPIENT))
		return "Too many errors from your network, try again later";
	return NULL;
}

void
listener_greet(struct smtpd *smtpd, struct slice listener, int fd, struct ip ip, struct client *client)
{
	if (session_new(smtpd, fd, listener, ip, client) == NULL) {
		client_leave(&smtpd->clients, client);
		turn_away(smtpd, listener, fd, ip, "4.3.0", "Out of memory, try again later");
	}
}

/* A client that does TLS first waits for nothing. */
static bool
pauses(const struct smtpd *smtpd, struct slice listener, const struct client *client)
{
	return smtpd->conf->smtpd.greet_pause > 0 && !client->exempt && !is_implicit(smtpd, listener);
}

void
listener_let_in(struct smtpd *smtpd, struct slice listener, int fd, struct ip ip)
{
	struct client *client = client_enter(&smtpd->clients, smtpd->conf, ip);
	const char *why;

	if (client == NULL) {
		turn_away(smtpd, listener, fd, ip, "4.3.0", "Out of memory, try again later");
		return;
	}
	why = listener_objection(smtpd, client);
	if (why != NULL) {
		client_leave(&smtpd->clients, client);
		turn_away(smtpd, listener, fd, ip, "4.7.0", why);
		return;
	}
	if (pressure_is_full(smtpd) && !pressure_make_room(smtpd, client)) {
		client_leave(&smtpd->clients, client);
		turn_away(smtpd, listener, fd, ip, "4.3.2", "Too many sessions, try again later");
		return;
	}
	if (!pauses(smtpd, listener, client) || !porch_pause(smtpd, listener, fd, ip, client))
		listener_greet(smtpd, listener, fd, ip, client);
}

void
listener_admit(struct smtpd *smtpd, struct slice listener, int fd, struct ip ip)
{
	if (!door_is_proxy(&smtpd->doors, listener, ip))
		listener_let_in(smtpd, listener, fd, ip);
	else if (pressure_is_full(smtpd) && smtpd->n_callers >= PROXIED_WHEN_FULL)
		turn_away(smtpd, listener, fd, ip, "4.3.2", "Too many sessions, try again later");
	else if (!porch_wait_for_proxy(smtpd, listener, fd, ip))
		turn_away(smtpd, listener, fd, ip, "4.3.0", "Out of memory, try again later");
}

static void
listen_now(struct smtpd *smtpd, bool yes)
{
	for (struct listener *l = smtpd->listeners; l != NULL; l = l->next)
		if (l->generation == smtpd->conf->generation)
			watch_set(&l->watch, yes, false);
}

void
listeners_breathe_again(struct timer *t, void *ctx)
{
	struct smtpd *smtpd = ctx;

	(void)t;
	if (smtpd->spare_fd == -1 && smtpd->listeners != NULL)
		smtpd->spare_fd = fcntl(smtpd->listeners->watch.fd, F_DUPFD_CLOEXEC, 0);
	listen_now(smtpd, true);
}

void
listeners_hold(struct smtpd *smtpd)
{
	listen_now(smtpd, false);
	timer_start(&smtpd->breather, OPENING_MS);
}

/* The system has nothing left for another client. The sockets stay readable: without a pause the loop would spin. */
static void
take_a_breath(struct smtpd *smtpd)
{
	listen_now(smtpd, false);
	timer_start(&smtpd->breather, BREATHER_MS);
}

/* No descriptor is left: with the spare one the client is let in and shown out. */
static void
shed(struct listener *l)
{
	struct smtpd *smtpd = l->smtpd;
	struct ip none = { 0, { 0 } };
	int fd;

	if (smtpd->spare_fd == -1) {
		take_a_breath(smtpd);
		return;
	}
	(void)close(smtpd->spare_fd);
	fd = accept4(l->watch.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd != -1)
		turn_away(smtpd, name_of(l), fd, none, "4.3.2", "Too many connections, try again later");
	smtpd->spare_fd = fcntl(l->watch.fd, F_DUPFD_CLOEXEC, 0);
}

/* False: nobody else waits, or this turn is over. */
static bool
accept_one(struct listener *l)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof from;
	struct ip ip = { 0, { 0 } };
	int fd = accept4(l->watch.fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd != -1) {
		(void)ip_from_sockaddr(&from, len, &ip, NULL);
		listener_admit(l->smtpd, name_of(l), fd, ip);
		return true;
	}
	if (errno == EMFILE || errno == ENFILE) {
		shed(l);
		return false;
	}
	if (errno == ENOMEM || errno == ENOBUFS) {
		take_a_breath(l->smtpd);
		return false;
	}
	/* The rest is about one connection that died while it waited (accept(2), "Error handling"). */
	return errno != EAGAIN && errno != EWOULDBLOCK;
}

static void
on_connections(struct watch *w, bool readable, bool writable, void *ctx)
{
	struct listener *l = ctx;

	(void)w, (void)readable, (void)writable;
	for (int i = 0; i < ACCEPTS_A_TURN; i++)
		if (!accept_one(l))
			break;
}

void
listener_add(struct smtpd *smtpd, uint32_t generation, struct slice name, int fd)
{
	struct listener *l = NULL;
	int flags = fcntl(fd, F_GETFL), one = 1;

	/* Every connection that is accepted inherits these from the socket that listens. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);

	if (smtpd->n_listeners < LISTENERS_MAX && !smtpd->stopping && flags != -1 &&
	    fcntl(fd, F_SETFL, flags | O_NONBLOCK) != -1)
		l = calloc(1, sizeof *l + name.n);
	if (l == NULL) {
		const char *error = smtpd->n_listeners >= LISTENERS_MAX ? "there are too many" :
		    smtpd->stopping ? "this process is about to end" : strerror(errno);

		(void)close(fd);
		log_say(LOG_TROUBLE, NULL, F_TEXT("what", "a listener cannot be used"), F_TEXT("error", error),
		    F_STR("listener", name));
		return;
	}
	l->smtpd = smtpd;
	l->generation = generation;
	l->n = name.n;
	if (name.n > 0)
		memcpy(l->name, name.p, name.n);
	watch_init(&l->watch, smtpd->loop, fd, on_connections, l);
	l->next = smtpd->listeners;
	smtpd->listeners = l;
	smtpd->n_listeners++;
	if (smtpd->spare_fd == -1)
		smtpd->spare_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

static void
listener_free(struct listener *l)
{
	watch_stop(&l->watch);
	(void)close(l->watch.fd);
	l->smtpd->n_listeners--;
	free(l);
}

void
listeners_adopt(struct smtpd *smtpd, uint32_t generation)
{
	struct listener **at = &smtpd->listeners;

	while (*at != NULL) {
		struct listener *l = *at;

		if (l->generation == generation) {
			watch_set(&l->watch, true, false);
			at = &l->next;
			continue;
		}
		*at = l->next;
		listener_free(l);
	}
	/* The spare one may be of a socket that is no longer ours: it would keep the port. */
	if (smtpd->spare_fd != -1)
		(void)close(smtpd->spare_fd);
	smtpd->spare_fd = smtpd->listeners == NULL ? -1 : fcntl(smtpd->listeners->watch.fd, F_DUPFD_CLOEXEC, 0);
}

void
listeners_close(struct smtpd *smtpd)
{
	while (smtpd->listeners != NULL) {
		struct listener *l = smtpd->listeners;

		smtpd->listeners = l->next;
		listener_free(l);
	}
	timer_cancel(&smtpd->breather);
	if (smtpd->spare_fd != -1)
		(void)close(smtpd->spare_fd);
	smtpd->spare_fd = -1;
}
