/* tests/deliver/scene.h -- the SMTP client between a queue and a resolver that a test plays, and scripted servers.
 *
 * The sessions under test run in the test's own loop; each server is a thread with a blocking socket on 127.0.0.N. */
#ifndef POSTERN_TESTS_DELIVER_SCENE_H
#define POSTERN_TESTS_DELIVER_SCENE_H

#include "common/job.h"
#include "common/mail_route.h"
#include "deliver/deliver.h"
#include "tests/play_master.h"

#include <pthread.h>

/* One line a step:
 *	S:TEXT	send TEXT CRLF		C:TEXT	read a line, which must start with TEXT
 *	N:BYTES	read so many bytes of content
 *	D	read content to the final dot	Q	nothing must come for 50 ms
 *	W:MS	wait			R:TEXT	send TEXT without CRLF
 *	B:TEXT	send TEXT at once, where | is CRLF
 *	X	close			H	hang until the other side closes
 * At its end the connection is closed. */
struct server {
	int listener;
	pthread_t thread;
	const char *const *scripts;	/* one a connection, NULL at the end */
	unsigned n_connections;
	struct buf content;		/* of all D steps, dots as they came */
	struct buf lines;		/* of all C steps */
	char error[256];
};

enum { ROWS_MAX = 64, RESULTS_MAX = 16 };

struct row {
	uint16_t index;
	uint8_t status;
	uint16_t code;
	char enhanced[16];
	char text[JOB_TEXT_MAX + 1];
};

struct result {
	uint32_t job;
	bool pull;
	uint8_t passed;
	size_t n;
	struct row rows[ROWS_MAX];
	char host[256];
};

struct scene {
	struct loop *loop;
	struct conf *conf;
	struct deliver deliver;
	struct peer *queue, *resolver;	/* our ends */
	uint16_t port;
	/* the resolver's answer */
	uint8_t dns_status;
	struct buf hosts;
	unsigned n_asked;
	/* what the queue heard */
	unsigned n_pulls, n_closed, n_results;
	uint64_t credit;
	struct result results[RESULTS_MAX];
	struct { uint8_t status; uint16_t code; char enhanced[16]; char text[JOB_TEXT_MAX + 1]; char host[256]; } closed;
	/* what the next job carries beside the usual */
	const char *sender;		/* NULL: sender@a.test */
	const char *envid, *orcpt;	/* NULL: none */
	uint8_t notify;
	int8_t priority;
	int64_t deliver_by;
	bool queue_gone;
	bool in_room;
};

void scene_open(struct scene *s);	/* conf may be changed until scene_start */
void scene_start(struct scene *s);
/* Instead of scene_start: the sessions live in the real, sandboxed program. Needs root. */
void scene_start_room(struct scene *s, struct played *room);
void scene_close(struct scene *s);

/* On 127.0.0.N and the scene's port (chosen by the first server). */
void server_start(struct scene *s, struct server *server, unsigned n, const char *const *scripts);
/* Waits for its end and fails the test on what it found wrong. */
void server_end(struct server *server);

/* A host of the answer, at 127.0.0.N (0: no address, this dns_status). */
void scene_host(struct scene *s, uint16_t preference, const char *name, unsigned n, uint8_t status);

void scene_send_open(struct scene *s, uint32_t handle, const char *nexthop);
/* rcpts: addresses, NULL at the end. content: what D_JOB carries of size bytes. */
void scene_send_job(struct scene *s, uint32_t handle, uint32_t job, uint32_t flags, const char *const *rcpts, uint64_t size,
    struct slice content);
void scene_send_idle(struct scene *s, uint32_t handle);

/* Runs the loop until *counter >= want, or fails after five seconds. */
void scene_until(struct scene *s, const unsigned *counter, unsigned want);
/* Runs the loop for so long. */
void scene_run(struct scene *s, unsigned ms);

/* --- what most sessions are about --- */

#define EHLO_PIPE "S:220 mx.test ESMTP\nC:EHLO client.test\r\nS:250-mx.test hello\nS:250-SIZE 1000000\nS:250-8BITMIME\n" \
    "S:250 PIPELINING\n"
#define EHLO_PLAIN "S:220 mx.test\nC:EHLO client.test\nS:250 mx.test\n"
#define MAIL_OK "S:250 2.1.0 ok\nS:250 2.1.5 ok\nS:354 go\nD\nS:250 2.0.0 queued as 7\n"
#define BYE "C:QUIT\nS:221 bye\n"
#define SCENE_SMALL S("Subject: x\r\n\r\n.dot\r\n")

extern const char *const scene_one[], *const scene_three[];	/* so many recipients */

enum { SCENE_LINE = 100, SCENE_BIG = 900 * 1000 };

/* Opens a session to one server at 127.0.0.2 that plays these scripts. */
void scene_open_one(struct scene *s, struct server *server, const char *const *scripts);
/* The same, and its first job, with number 1: SCENE_SMALL for these recipients. */
void scene_open_job(struct scene *s, struct server *server, const char *const *scripts, const char *const *rcpts);
/* SCENE_SMALL for these recipients. */
void scene_small_job(struct scene *s, uint32_t job, const char *const *rcpts);
/* The queue has no more; the session, its server and the scene end. */
void scene_close_idle(struct scene *s, struct server *server);
/* Fills p with SCENE_BIG octets of lines that begin with a dot; their number. */
size_t scene_big(uint8_t *p);

#endif
