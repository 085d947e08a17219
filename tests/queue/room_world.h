/* tests/queue/room_world.h -- the real postern-queue, sandboxed, on a real spool, and the words of a test that plays master
 * and the rooms around it, each on a blocking descriptor. */
#ifndef POSTERN_TESTS_QUEUE_ROOM_WORLD_H
#define POSTERN_TESTS_QUEUE_ROOM_WORLD_H

#include "common/envelope.h"
#include "common/ipc/peer.h"
#include "common/job.h"

#include <sys/types.h>

enum { UID = 64323, PATIENCE = 20 };

struct world {
	int master, smtpd, router, deliver, local, control;	/* our ends */
	pid_t pid;
	char folder[64], spool[96];
	struct msgid next_id;
	struct buf in;
	uint32_t max_messages;		/* 0: the default */
	uint64_t delay_notice;		/* milliseconds; 0: the default */
};

/* SEND(fd, M_GO, 0, -1, m_go, generation, uid, ...) */
#define SEND(fd, TYPE, handle, send_fd, lower, ...)					\
	do {										\
		struct lower m_ = { __VA_ARGS__ };					\
		static uint8_t space_[IPC_BODY_MAX];					\
		struct wr w_ = { space_, 0, sizeof space_, false };			\
		(void)lower##_put(&w_, &m_);						\
		send_frame((fd), TYPE, (handle), &w_, (send_fd));			\
	} while (0)

#define GET(frame, lower, ret_m)							\
	do {										\
		struct rd r_ = { (frame).body, false };					\
		memset((ret_m), 0, sizeof *(ret_m));					\
		assert_true(lower##_get(&r_, (ret_m)));					\
	} while (0)

#define NEEDS_ROOT(world)			\
	do {					\
		if ((world)->pid == 0)		\
			skip();			\
	} while (0)

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

void send_frame(int fd, enum ipc_type type, uint32_t handle, const struct wr *w, int send_fd);
/* What comes unasked is passed over, unless it is what we wait for. */
struct frame next_frame(struct world *world, int fd, enum role us, enum ipc_type type);
void expect_eof(int fd);
int make_line(struct world *world, enum role role, unsigned index);
void start(struct world *world);
/* Leaves the spool. */
void end(struct world *world, int signal_number);
int world_setup(void **state);
int world_teardown(void **state);

/* --- smtpd --- */

void learn_ids(struct world *world, int smtpd);
void make_envelope(struct buf *b, const char *sender, const char *rcpt);
struct msgid submit_from(struct world *world, int smtpd, uint32_t handle, const char *sender, const char *rcpt,
    const char *content);
struct msgid submit(struct world *world, int smtpd, uint32_t handle, const char *content);
void expect_accepted(struct world *world, int smtpd, uint32_t handle, struct msgid id);

/* --- carriers --- */

uint32_t expect_session(struct world *world, int carrier, enum role us, const char *nexthop);
uint32_t expect_job(struct world *world, int carrier, enum role us, uint32_t session, struct d_job *ret_m);
/* Both, at the carrier of this role. */
uint32_t expect_first_job(struct world *world, enum role us, const char *nexthop, uint32_t *ret_session, struct d_job *ret_m);
void answer(int carrier, uint32_t session, uint32_t job, enum job_status status, uint16_t code, const char *enhanced,
    const char *text);
/* The same; passed: what the server sees to from now on (enum job_passed). */
void answer_passed(int carrier, uint32_t session, uint32_t job, enum job_status status, uint16_t code, const char *enhanced,
    const char *text, uint8_t passed);
void answer_route_as(struct world *world, const char *to, const char *transport, const char *nexthop, const char *as);
void answer_route(struct world *world, const char *to, const char *transport, const char *nexthop);

/* --- operators --- */

/* Rows of a listing; *ret_row holds the last one. */
unsigned list(struct world *world, struct buf *ret_row);
void expect_empty(struct world *world);

#endif
