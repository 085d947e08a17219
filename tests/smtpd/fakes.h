/* tests/smtpd/fakes.h -- the rooms around smtpd, played by the test in the same loop, and a client on a socket pair.
 *
 * The router knows example.org: alice, Alice, bob, carol, "full name", user0..user9999 and postmaster are there; alias becomes
 * alice; defer is told 450, evil gets a reply that tries to forge another, wordy one of 900 octets; everybody else is unknown
 * there (550 5.1.1), and other domains are relaying denied (550 5.7.1). Every user may send as anybody of example.org. The
 * resolver calls every client client.example.net. The queue accepts what it gets whole. All can be told otherwise. */
#ifndef POSTERN_TESTS_SMTPD_FAKES_H
#define POSTERN_TESTS_SMTPD_FAKES_H

#include "common/envelope.h"
#include "smtpd/smtpd.h"

enum { FAKE_HELD_MAX = 4096 };

struct fake_message {
	uint32_t handle;
	struct msgid id;
	struct buf envelope;
	struct buf content;
	bool begun;		/* came by Q_BEGIN */
	bool committed, aborted, answered;
	uint32_t flags;		/* of Q_COMMIT */
	unsigned chunks;
};

struct fakes {
	struct loop *loop;
	struct conf *conf;
	struct smtpd smtpd;
	struct peer *router, *resolver, *queue;

	/* the router */
	bool router_holds;
	struct { uint32_t handle; char to[320]; } held[FAKE_HELD_MAX];
	size_t n_held;
	struct { uint32_t handle; struct r_authored answer; } held_authors; /* handle 0: none */
	unsigned n_checks;
	char last_name[256];	/* client_name and helo of the last question */
	char last_helo[256];
	bool last_name_failed;

	/* the resolver */
	bool resolver_silent;
	bool resolver_knows_nothing;
	enum dns_status resolver_fails;	/* with this; 0: it does not */
	uint32_t last_ptr, last_forgotten;	/* handles */
	unsigned n_forgotten;

	/* the queue */
	bool queue_holds;
	bool queue_no_credit;
	bool impatient;			/* fakes_send gives up on a session that takes nothing more */
	unsigned refuse_code;	/* the next message; 0: accept */
	char refuse_enhanced[16], refuse_text[128];
	uint64_t next_seq;
	uint32_t ids_a_block;	/* 0: gives none */
	unsigned n_wants;
	struct fake_message messages[64];
	unsigned n_messages;

	const char *listener;	/* where clients come in: "mx" */
	struct timer tick;	/* so that a turn of the loop ends */
	int client;		/* our end of the client's connection */
	struct buf replies;	/* what it has been told and not looked at */
	char goes_on[4];	/* the code of a reply that has more lines; else "" */
	bool closed;		/* by the server */
};

/* All three lines up, no client yet. conf is taken over; NULL: defaults, with mx.example.org as our name. */
void fakes_start(struct fakes *f, struct conf *conf);
void fakes_stop(struct fakes *f);
struct conf *fakes_conf(void);

void fakes_router(struct fakes *f, bool up);
void fakes_resolver(struct fakes *f, bool up);
void fakes_queue(struct fakes *f, bool up);
void fakes_queue_state(struct fakes *f, bool accepting, unsigned code, const char *enhanced, const char *text, uint64_t room);
void fakes_queue_give_ids(struct fakes *f, uint32_t count);
void fakes_queue_answer(struct fakes *f);	/* accepts what it held back */
void fakes_queue_credit(struct fakes *f, uint32_t bytes);	/* to the last message */
void fakes_router_answer(struct fakes *f, bool reverse);

/* A client comes in. Returns our end of its connection, non-blocking; the first becomes f->client. */
int fakes_connect(struct fakes *f, const char *ip);
/* Through listener_admit(), with its limits. */
int fakes_knock(struct fakes *f, const char *ip);

void fakes_turn(struct fakes *f);		/* one turn of the loop, 5 ms at most */
void fakes_settle(struct fakes *f);		/* turns until nothing has happened for a few of them */
void fakes_send(struct fakes *f, struct slice bytes, size_t piece);	/* all of it, piece bytes a write */
/* The next reply line into line (without CRLF, NUL-terminated). False: none within ms, or closed. */
bool fakes_line(struct fakes *f, char *line, size_t size, unsigned ms);
bool fakes_closed(struct fakes *f, unsigned ms);	/* has the server closed? */

struct fake_message *fakes_last(struct fakes *f);	/* NULL: none */

/* Does text match pattern, where * stands for anything? */
bool fakes_match(const char *pattern, const char *text);

/* --- what most tests say and hear --- */

enum { FAKES_PATIENCE_MS = 5000 };

void fakes_say(struct fakes *f, const char *text);
/* The next line is like this (fakes_match), within FAKES_PATIENCE_MS. */
void fakes_hear(struct fakes *f, const char *pattern);
void fakes_hear_nothing(struct fakes *f);
/* Starts with this configuration, and a client that has said HELO. */
void fakes_begin(struct fakes *f, struct conf *conf);
/* MAIL, RCPT and DATA, all of them taken. */
void fakes_transaction(struct fakes *f);

#endif
