/* tests/sim/net.h -- simulated sockets: between rooms, from clients, to servers. Streams with a delay, a limited room, and
 * all the ways in which they end. The room's calls (read, send, connect, ...) come here through --wrap; actors, which are
 * no processes, use the functions below. */
#ifndef POSTERN_TESTS_SIM_NET_H
#define POSTERN_TESTS_SIM_NET_H

#include "common/buf.h"
#include "common/ip.h"
#include "tests/sim/world.h"

struct loop;
struct watch;
struct sock;

void net_begin(void);
void net_end(void);

/* --- for the simulated loop --- */
bool net_readable(int fd);
bool net_writable(int fd);
void net_watch(int fd, struct watch *w);		/* NULL: no more */
struct watch *net_watched(int fd, const struct loop *loop);	/* NULL: not by this loop */
void loop_kick(struct loop *loop, uint64_t in);		/* its next turn comes that soon */
void loop_quiet(struct loop *loop);			/* and this: no more turns */
void loop_sleep(struct loop *loop);			/* none until loop_wake: SIGSTOP */
void loop_wake(struct loop *loop);
bool loop_is_stopped(const struct loop *loop);
void loop_turned(struct proc *p);			/* house.c: after each turn */

/* --- for the house --- */
void net_pair(struct proc *a, struct proc *b, int fds[2]);	/* a line between two rooms */
struct sock *net_listener(struct ip ip, uint16_t port);	/* stays when processes die */
int net_listener_fd(struct sock *listener, struct proc *p);
void net_close_all(struct proc *p);
size_t net_open_fds(const struct proc *p);

/* --- for actors: what happens to their end of a connection --- */
struct net_actor {
	void (*heard)(void *ctx);	/* something can be read, or the end has come */
	void *ctx;
};
/* A client comes to a listener. */
struct sock *net_call(struct sock *listener, struct ip from, const struct net_actor *actor);
/* Who answers when a room connects. A server gives an actor for its new end, or says what happens instead. */
enum net_welcome { NET_TAKEN, NET_REFUSED, NET_SILENT };
typedef enum net_welcome net_door_fn(struct ip to, uint16_t port, struct sock *s, struct net_actor *ret_actor);
void net_set_door(net_door_fn *door);

struct slice net_heard(struct sock *s);		/* what can be read */
void net_take(struct sock *s, size_t n);	/* read that much of it */
bool net_is_over(const struct sock *s);		/* the other side has closed, all is read */
void net_say(struct sock *s, const void *bytes, size_t n);	/* all of it, whatever the room */
void net_close(struct sock *s);			/* our end; s is gone */
void net_reset(struct sock *s);			/* so that what is under way is lost */

#endif
