/* tests/sim/net.c -- see net.h. */
#include "tests/sim/net.h"

#include "common/loop.h"
#include "common/rc.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
	FD_FIRST = 1000,	/* below are the real ones */
	FDS_MAX = 8192,
	LINE_ROOM = 200 * 1024,	/* bytes that a line between rooms holds */
	STREAM_ROOM = 64 * 1024,
	BACKLOG_MAX = 128,
	LINE_DELAY = 200,	/* microseconds at most, most of the time */
	STREAM_DELAY = 20 * MS,
	SLOW_DELAY = 30 * SECOND,
};

enum kind { LINE, STREAM, LISTENER };
enum news { NEWS_DATA, NEWS_EOF, NEWS_RESET, NEWS_CONNECTED };

struct packet {
	struct packet *next;
	uint64_t at;
	enum news what;
	int error;
	size_t n;
	uint8_t bytes[];
};

struct sock {
	struct sock *next, **link;	/* of all */
	enum kind kind;
	int fd;				/* -1: an actor's */
	struct proc *owner;
	struct sock *other;
	struct ip ip;			/* whom it is connected to */
	uint16_t port;
	struct watch *watch;
	struct net_actor actor;
	struct slot arrival;
	struct packet *first, **last;	/* on its way to us */
	size_t under_way;
	struct buf in;
	size_t room;
	int error;			/* of connect */
	bool connecting, eof, reset, shut, blocked, linger_none;
	struct sock *waiting[BACKLOG_MAX];	/* a listener's */
	unsigned n_waiting;
	struct sock *listener;			/* in whose queue it waits */
};

static struct {
	struct sock *all;
	struct sock *fds[FDS_MAX];
	net_door_fn *door;
} net;

ssize_t __real_read(int fd, void *to, size_t n);
ssize_t __real_write(int fd, const void *from, size_t n);
int __real_close(int fd);
int __real_fcntl(int fd, int what, ...);
ssize_t __wrap_read(int fd, void *to, size_t n);
ssize_t __wrap_recv(int fd, void *to, size_t n, int flags);
ssize_t __wrap_write(int fd, const void *from, size_t n);
ssize_t __wrap_send(int fd, const void *from, size_t n, int flags);
int __wrap_close(int fd);
int __wrap_fcntl(int fd, int what, ...);
int __wrap_accept4(int fd, struct sockaddr *from, socklen_t *len, int flags);
int __wrap_shutdown(int fd, int how);
int __wrap_socket(int family, int type, int protocol);
int __wrap_connect(int fd, const struct sockaddr *to, socklen_t len);
int __wrap_bind(int fd, const struct sockaddr *at, socklen_t len);
int __wrap_getsockopt(int fd, int level, int option, void *to, socklen_t *len);
int __wrap_setsockopt(int fd, int level, int option, const void *from, socklen_t len);
int __wrap_getsockname(int fd, struct sockaddr *to, socklen_t *len);

/* --- descriptors --- */

static bool
is_ours(int fd)
{
	return fd >= FD_FIRST && fd < FD_FIRST + FDS_MAX;
}

static struct sock *
sock_of(int fd)
{
	struct sock *s = is_ours(fd) ? net.fds[fd - FD_FIRST] : NULL;

	/* In one process a descriptor used after its close may be somebody else's: that is always a fault. */
	if (s == NULL || (s->owner != world_current && s->kind != LISTENER))
		BUG("a descriptor that is not open, or another process's, is used");
	return s;
}

static int
take_fd(struct sock *s, struct proc *owner)
{
	for (int i = 0; i < FDS_MAX; i++)
		if (net.fds[i] == NULL) {
			net.fds[i] = s;
			s->owner = owner;
			s->fd = FD_FIRST + i;
			return s->fd;
		}
	BUG("the simulation ran out of descriptors");
}

static struct sock *
sock_new(enum kind kind)
{
	struct proc *before = world_enter(NULL);
	struct sock *s = calloc(1, sizeof *s);

	(void)world_enter(before);
	BUG_ON(s == NULL);
	s->kind = kind;
	s->fd = -1;
	s->room = kind == LINE ? LINE_ROOM : STREAM_ROOM;
	buf_init(&s->in, SIZE_MAX / 2);
	s->last = &s->first;
	s->next = net.all;
	if (s->next != NULL)
		s->next->link = &s->next;
	s->link = &net.all;
	net.all = s;
	return s;
}

static void
sock_free(struct sock *s)
{
	struct packet *p;

	slot_clear(&s->arrival);
	while ((p = s->first) != NULL) {
		s->first = p->next;
		free(p);
	}
	if (s->fd != -1)
		net.fds[s->fd - FD_FIRST] = NULL;
	if (s->other != NULL)
		s->other->other = NULL;
	buf_free(&s->in);
	*s->link = s->next;
	if (s->next != NULL)
		s->next->link = s->link;
	free(s);
}

/* --- who hears of what --- */

static void
wake(struct sock *s)
{
	if (s->actor.heard != NULL)
		s->actor.heard(s->actor.ctx);
	else if (s->watch != NULL)
		loop_kick(s->watch->loop, world_below(20));
}

static void arrive(void *ctx);

static void
plan_arrival(struct sock *s)
{
	if (s->first != NULL)
		slot_set(&s->arrival, s->first->at > world_now() ? s->first->at - world_now() : 0, arrive, s);
}

static void
arrive(void *ctx)
{
	struct sock *s = ctx;
	struct packet *p = s->first;
	bool ok = true;

	s->first = p->next;
	if (s->first == NULL)
		s->last = &s->first;
	switch (p->what) {
	case NEWS_DATA:
		ok = buf_put(&s->in, p->bytes, p->n);
		s->under_way -= p->n;
		break;
	case NEWS_EOF:
		s->eof = true;
		break;
	case NEWS_RESET:
		s->reset = true;
		buf_clear(&s->in);
		break;
	case NEWS_CONNECTED:
		s->connecting = false;
		s->error = p->error;
		s->reset = p->error != 0;
		break;
	}
	BUG_ON(!ok);
	free(p);
	plan_arrival(s);
	wake(s);
}

static uint64_t
delay_of(const struct sock *s)
{
	if (s->kind == LINE)
		return world_chance(500) ? world_below(SECOND) : 1 + world_below(LINE_DELAY);
	return world_chance(2000) ? world_below(SLOW_DELAY) : 1 + world_below(STREAM_DELAY);
}

/* Puts it on its way to s. Nothing overtakes what was sent before. */
static void
post(struct sock *s, enum news what, const void *bytes, size_t n, int error, uint64_t delay)
{
	struct proc *before = world_enter(NULL);
	struct packet *p = calloc(1, sizeof *p + n);
	uint64_t at = world_now() + delay;

	(void)world_enter(before);
	BUG_ON(p == NULL);
	for (struct packet *q = s->first; q != NULL; q = q->next)
		if (q->at > at)
			at = q->at;
	p->at = at;
	p->what = what;
	p->error = error;
	p->n = n;
	if (n > 0)
		memcpy(p->bytes, bytes, n);
	s->under_way += n;
	*s->last = p;
	s->last = &p->next;
	if (s->first == p)
		plan_arrival(s);
}

static size_t
room_to(const struct sock *s)
{
	size_t used = s->other == NULL ? 0 : s->other->under_way + buf_len(&s->other->in);

	return s->other == NULL || used >= s->other->room ? 0 : s->other->room - used;
}

static void
consume(struct sock *s, size_t n)
{
	buf_consume(&s->in, n);
	if (buf_len(&s->in) == 0)
		buf_free(&s->in);
	if (s->other != NULL && s->other->blocked && room_to(s->other) > s->room / 3) {
		s->other->blocked = false;
		wake(s->other);
	}
}

/* --- ends --- */

static void
leave_backlog(struct sock *s)
{
	struct sock *l = s->listener;

	for (unsigned i = 0; l != NULL && i < l->n_waiting; i++)
		if (l->waiting[i] == s) {
			memmove(&l->waiting[i], &l->waiting[i + 1], (l->n_waiting - i - 1) * sizeof l->waiting[0]);
			l->n_waiting--;
			break;
		}
	s->listener = NULL;
}

static void
hang_up(struct sock *s, bool reset)
{
	struct sock *other = s->other;

	leave_backlog(s);
	if (other != NULL) {
		if (other->connecting)
			other->error = ECONNRESET;
		/* TCP forgets what was not read, and says so (RFC 1122 4.2.2.13). */
		reset |= s->kind == STREAM && buf_len(&s->in) + s->under_way > 0;
		post(other, reset ? NEWS_RESET : NEWS_EOF, NULL, 0, 0, delay_of(s));
	}
	sock_free(s);
}

void
net_close_all(struct proc *p)
{
	for (int i = 0; i < FDS_MAX; i++) {
		struct sock *s = net.fds[i];

		if (s == NULL || s->owner != p)
			continue;
		if (s->kind != LISTENER) {
			hang_up(s, false);
			continue;
		}
		net.fds[i] = NULL;
		s->fd = -1;
		s->watch = NULL;
		s->owner = NULL;
	}
}

size_t
net_open_fds(const struct proc *p)
{
	size_t n = 0;

	for (int i = 0; i < FDS_MAX; i++)
		n += net.fds[i] != NULL && net.fds[i]->owner == p;
	return n;
}

void
net_begin(void)
{
	net.all = NULL;
	memset(net.fds, 0, sizeof net.fds);
	net.door = NULL;
}

void
net_end(void)
{
	while (net.all != NULL)
		sock_free(net.all);
}

/* --- for the loop --- */

static struct sock *
peek(int fd)
{
	return is_ours(fd) ? net.fds[fd - FD_FIRST] : NULL;
}

bool
net_readable(int fd)
{
	const struct sock *s = peek(fd);

	return s != NULL && (s->kind == LISTENER ? s->n_waiting > 0 : buf_len(&s->in) > 0 || s->eof || s->reset);
}

bool
net_writable(int fd)
{
	struct sock *s = peek(fd);

	if (s == NULL || s->kind == LISTENER || s->connecting)
		return false;
	if (s->reset || s->error != 0 || s->other == NULL || room_to(s) > 0)
		return true;
	s->blocked = true;
	return false;
}

void
net_watch(int fd, struct watch *w)
{
	struct sock *s = peek(fd);

	BUG_ON(s == NULL);
	s->watch = w;
}

struct watch *
net_watched(int fd, const struct loop *loop)
{
	const struct sock *s = peek(fd);

	return s != NULL && s->watch != NULL && s->watch->loop == loop ? s->watch : NULL;
}

/* --- for the house and the actors --- */

static void
join(struct sock *a, struct sock *b)
{
	a->other = b;
	b->other = a;
}

void
net_pair(struct proc *a, struct proc *b, int fds[2])
{
	struct sock *sa = sock_new(LINE), *sb = sock_new(LINE);

	join(sa, sb);
	fds[0] = take_fd(sa, a);
	fds[1] = take_fd(sb, b);
}

struct sock *
net_listener(struct ip ip, uint16_t port)
{
	struct sock *s = sock_new(LISTENER);

	s->ip = ip;
	s->port = port;
	return s;
}

int
net_listener_fd(struct sock *listener, struct proc *p)
{
	BUG_ON(listener->fd != -1);
	return take_fd(listener, p);
}

struct sock *
net_call(struct sock *listener, struct ip from, const struct net_actor *actor)
{
	struct sock *ours, *theirs;

	if (listener->n_waiting == BACKLOG_MAX)
		return NULL;
	ours = sock_new(STREAM);
	theirs = sock_new(STREAM);
	join(ours, theirs);
	ours->actor = *actor;
	theirs->ip = from;
	theirs->port = (uint16_t)(1024 + world_below(60000));
	theirs->listener = listener;
	if (world_chance(20))
		ours->room = 512;	/* replies back up */
	listener->waiting[listener->n_waiting++] = theirs;
	wake(listener);
	return ours;
}

void
net_set_door(net_door_fn *door)
{
	net.door = door;
}

struct slice
net_heard(struct sock *s)
{
	return buf_slice(&s->in);
}

void
net_take(struct sock *s, size_t n)
{
	consume(s, n);
}

bool
net_is_over(const struct sock *s)
{
	return s->reset || (s->eof && buf_len(&s->in) == 0);
}

void
net_say(struct sock *s, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;

	/* Now and then in pieces that come one by one. */
	while (s->other != NULL && n > 0) {
		size_t part = world_chance(8) ? 1 + (size_t)world_below(n) : n;

		post(s->other, NEWS_DATA, p, part, 0, delay_of(s));
		p += part;
		n -= part;
	}
}

void net_close(struct sock *s) { hang_up(s, false); }
void net_reset(struct sock *s) { hang_up(s, true); }

/* --- the calls of the rooms --- */

static bool
is_dying(const struct sock *s)
{
	return world_blackout || (s->owner != NULL && s->owner->dying);
}

static int
fails(int error)
{
	errno = error;
	return -1;
}

ssize_t
__wrap_recv(int fd, void *to, size_t n, int flags)
{
	struct sock *s = sock_of(fd);
	size_t have = buf_len(&s->in);

	(void)flags;
	if (have == 0)
		return s->reset ? fails(ECONNRESET) : s->eof ? 0 : fails(EAGAIN);
	if (n > have)
		n = have;
	if (n > 1 && world_chance(30))
		n = 1 + (size_t)world_below(n);
	memcpy(to, buf_slice(&s->in).p, n);
	consume(s, n);
	return (ssize_t)n;
}

ssize_t
__wrap_read(int fd, void *to, size_t n)
{
	return is_ours(fd) ? __wrap_recv(fd, to, n, 0) : __real_read(fd, to, n);
}

ssize_t
__wrap_send(int fd, const void *from, size_t n, int flags)
{
	struct sock *s = sock_of(fd);
	size_t room;

	(void)flags;
	if (is_dying(s))
		return (ssize_t)n;
	if (s->owner != NULL && s->owner->dies_at_write > 0 && --s->owner->dies_at_write == 0) {
		/* Killed here: before this write or behind it. */
		s->owner->dying = true;
		if (world_chance(2))
			return (ssize_t)n;
	}
	if (s->reset || s->shut || s->other == NULL)
		return fails(s->reset ? ECONNRESET : EPIPE);
	room = room_to(s);
	if (room == 0) {
		s->blocked = true;
		return fails(EAGAIN);
	}
	if (n > room)
		n = room;
	if (n > 1 && world_chance(30))
		n = 1 + (size_t)world_below(n);
	post(s->other, NEWS_DATA, from, n, 0, delay_of(s));
	return (ssize_t)n;
}

ssize_t
__wrap_write(int fd, const void *from, size_t n)
{
	return is_ours(fd) ? __wrap_send(fd, from, n, 0) : __real_write(fd, from, n);
}

int
__wrap_close(int fd)
{
	struct sock *s;

	if (!is_ours(fd))
		return __real_close(fd);
	s = sock_of(fd);
	if (s->kind == LISTENER) {
		net.fds[fd - FD_FIRST] = NULL;
		s->fd = -1;
		s->owner = NULL;
		s->watch = NULL;
	} else
		hang_up(s, s->linger_none);
	return 0;
}

int
__wrap_fcntl(int fd, int what, ...)
{
	va_list args;
	long arg;

	va_start(args, what);
	arg = va_arg(args, long);
	va_end(args);
	if (!is_ours(fd))
		return __real_fcntl(fd, what, arg);
	(void)sock_of(fd);
	if (what == F_DUPFD_CLOEXEC)
		return take_fd(sock_new(LINE), world_current);	/* a spare one: only ever closed */
	return what == F_GETFL ? O_RDWR : 0;
}

int
__wrap_accept4(int fd, struct sockaddr *from, socklen_t *len, int flags)
{
	struct sock *l = sock_of(fd), *s;
	struct sockaddr_storage address;

	(void)flags;
	if (l->n_waiting == 0)
		return fails(EAGAIN);
	s = l->waiting[0];
	leave_backlog(s);
	if (from != NULL) {
		*len = ip_to_sockaddr(s->ip, s->port, &address);
		memcpy(from, &address, *len);
	}
	return take_fd(s, world_current);
}

int
__wrap_shutdown(int fd, int how)
{
	struct sock *s = sock_of(fd);

	(void)how;
	if (s->reset || s->other == NULL)
		return fails(ENOTCONN);
	if (!s->shut && !is_dying(s))
		post(s->other, NEWS_EOF, NULL, 0, 0, delay_of(s));
	s->shut = true;
	return 0;
}

int
__wrap_socket(int family, int type, int protocol)
{
	(void)family, (void)type, (void)protocol;
	return take_fd(sock_new(STREAM), world_current);
}

int
__wrap_connect(int fd, const struct sockaddr *to, socklen_t len)
{
	struct sock *s = sock_of(fd), *theirs;
	struct sockaddr_storage address;
	struct net_actor actor = { NULL, NULL };
	struct proc *before;
	enum net_welcome welcome;

	memset(&address, 0, sizeof address);
	memcpy(&address, to, len < sizeof address ? len : sizeof address);
	(void)ip_from_sockaddr(&address, len, &s->ip, &s->port);
	s->connecting = true;
	if (is_dying(s))
		return fails(EINPROGRESS);
	theirs = sock_new(STREAM);
	if (world_chance(20))
		theirs->room = 2048;
	before = world_enter(NULL);
	welcome = net.door(s->ip, s->port, theirs, &actor);
	(void)world_enter(before);
	if (welcome == NET_TAKEN) {
		theirs->actor = actor;
		join(s, theirs);
		post(s, NEWS_CONNECTED, NULL, 0, 0, delay_of(s));
	} else {
		sock_free(theirs);
		post(s, NEWS_CONNECTED, NULL, 0, welcome == NET_REFUSED ? ECONNREFUSED : ETIMEDOUT,
		    welcome == NET_REFUSED ? delay_of(s) : 127 * SECOND);
	}
	return fails(EINPROGRESS);
}

int
__wrap_bind(int fd, const struct sockaddr *at, socklen_t len)
{
	(void)fd, (void)at, (void)len;
	return 0;
}

int
__wrap_getsockopt(int fd, int level, int option, void *to, socklen_t *len)
{
	struct sock *s = sock_of(fd);

	BUG_ON(level != SOL_SOCKET || option != SO_ERROR || *len != sizeof s->error);
	memcpy(to, &s->error, sizeof s->error);
	s->error = 0;
	return 0;
}

int
__wrap_setsockopt(int fd, int level, int option, const void *from, socklen_t len)
{
	(void)from, (void)len;
	if (level == SOL_SOCKET && option == SO_LINGER)
		sock_of(fd)->linger_none = true;
	return 0;
}

int
__wrap_getsockname(int fd, struct sockaddr *to, socklen_t *len)
{
	struct ip ours = { 4, { 100, 0, 0, 1 } };
	struct sockaddr_storage address;

	(void)sock_of(fd);
	*len = ip_to_sockaddr(ours, 40000, &address);
	memcpy(to, &address, *len);
	return 0;
}
