/* smtpd/smtpd.h -- the room that speaks SMTP with the outside: its one context, and its lines to the other rooms.
 *
 * What arrives here is hostile. The room holds no file, no key and no mail: a message leaves it towards the queue as
 * it arrives, and is acknowledged only when the queue has said that it is durable. */
#ifndef POSTERN_SMTPD_SMTPD_H
#define POSTERN_SMTPD_SMTPD_H

#include "common/keyed_hash.h"
#include "common/room.h"
#include "smtpd/clients.h"
#include "smtpd/doors.h"
#include "smtpd/handles.h"
#include "smtpd/login_log.h"
#include "smtpd/reply.h"
#include "smtpd/tls_room.h"
#include "smtpd/turnstile.h"
#include "smtpd/vault.h"

struct caller;
struct session;
struct listener;
struct tls_identities;
struct table;

enum {
	ID_BLOCKS_MAX = 8,	/* blocks of message ids held */
	IDS_LOW = 128,		/* ids left at which more are asked for */
	IDS_RETURNED_MAX = 1024, /* unused ids kept: a client that resets and resets uses none up */
	IDS_BLOCK_MAX = 1 << 20,	/* ids of one block, at most */
	HOSTNAME_MAX = 255,
	DESCRIPTORS_SPARE = 128, /* beside one for each session: lines, listeners, the log */
	LAST_CALL_MS = 1000,	/* before the room is ended by force, when stop-grace is over */
};

/* Message ids that the queue has given us, taken at MAIL. */
struct id_block {
	struct msgid next;
	uint32_t left;
};

struct smtpd {
	struct room *room;		/* NULL in tests */
	struct loop *loop;
	struct conf *conf;		/* for new sessions; counted */
	char hostname[HOSTNAME_MAX + 1]; /* of the system: when the configuration names none */

	struct peer *router, *resolver, *queue, *auth;	/* NULL: down */
	struct hash_key rcpt_key;	/* transaction.h */
	struct handles checks;		/* R_CHECK: struct rcpt */
	struct handles authors;		/* R_AUTHORS: struct transaction */
	struct handles verifications;	/* R_CHECK too: struct session */
	struct handles names;		/* V_PTR: struct session */
	struct handles flushes;		/* Q_FLUSH: struct session */
	struct handles messages;	/* Q_SUBMIT, Q_BEGIN: struct transaction */
	struct handles logins;		/* AU_BEGIN: struct login */
	struct handles spends;		/* AU_SPEND: struct rcpt */
	char *mechanisms;		/* of the last AU_STATE, separated by spaces; NULL: none has come */

	/* What the queue has said since its line came up. */
	uint32_t queue_epoch;		/* counts its lines: a transaction ends with the line that it began on */
	bool queue_known;		/* a Q_STATE has come */
	bool queue_accepting;
	struct refusal queue_refusal;
	uint64_t queue_room;
	struct id_block ids[ID_BLOCKS_MAX];
	unsigned n_ids;
	struct msgid returned[IDS_RETURNED_MAX]; /* taken, and given back unused */
	unsigned n_returned;
	bool ids_asked;

	struct vault_line vault;
	struct tls_identities *identities;	/* identity.h; NULL: none has come */
	struct tls_identities *identities_next;	/* on their way */
	void (*identities_changed)(struct smtpd *smtpd); /* a new set is in use; may be NULL */
	struct tls_room tls;
	struct turnstile turnstile;

	struct listener *listeners;
	unsigned n_listeners;
	struct timer breather;		/* pauses them when the system has nothing left */
	int spare_fd;			/* given up to turn a client away when descriptors have run out; -1 */
	struct session *sessions;
	unsigned n_sessions;
	uint32_t sessions_max;		/* max-sessions, or what there are descriptors for */
	uint32_t descriptors;		/* that we may have; 0: not known */
	bool stressed;			/* nearly as many as there may be: see pressure.h */
	struct timer last_call;		/* the room stops: sessions that have not ended then are told so */
	struct clients clients;
	struct login_log login_log;
	struct doors doors;
	struct caller *callers;		/* not sessions yet */
	unsigned n_callers;
	struct table *verifiers;	/* clients that VRFY and EXPN answer, of the present configuration; NULL: none */
	struct table *priority_clients;	/* smtpd { priority-clients }; or NULL */
	struct table *etrn_clients;	/* smtpd { etrn-clients }; or NULL */
	struct table *report_clients;	/* smtpd { report-clients }; or NULL */
	bool stopping;
};

extern const struct room_ops smtpd_ops;

/* For the room and for tests that play the other rooms: a working context. conf is counted; loop is borrowed. */
void smtpd_init(struct smtpd *smtpd, struct loop *loop, struct conf *conf);
void smtpd_free(struct smtpd *smtpd);	/* ends all sessions at once */
void smtpd_take_line(struct smtpd *smtpd, enum role them, unsigned index, int fd);
void smtpd_adopt(struct smtpd *smtpd, struct conf *conf);
/* No new clients; sessions without a transaction end with 421. */
void smtpd_stop(struct smtpd *smtpd);
/* After so long, those that still have one too. */
void smtpd_last_call(struct smtpd *smtpd, uint64_t ms);
/* The last session may have gone: ends the room when it is stopping. */
void smtpd_check_done(struct smtpd *smtpd);

/* Our name as of this configuration. Borrowed. */
struct slice smtpd_name(const struct smtpd *smtpd, const struct conf *conf);

#endif
