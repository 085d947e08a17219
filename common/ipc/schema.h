/* common/ipc/schema.h -- every message that one room may send to another, once.
 *
 * IPC_MESSAGES lists name, number, senders, receivers and how many descriptors ride along (0 or 1; only master sends
 * any). The FIELDS list of a message gives its struct, its encoder and its decoder. Both ends include this and nothing
 * else of each other. A decoder refuses truncated bodies and trailing bytes. Slices in a decoded struct borrow from
 * the frame and die when the handler returns.
 *
 * Every frame also carries a request handle (u32), chosen by whoever starts an exchange and echoed in every answer;
 * what it names is said per message. Handles belong to one line: the same number on another line is another thing.
 *
 * To add a message: a FIELDS list, a row in IPC_MESSAGES with the next free number, a handler in the receiver's table.
 * Numbers are never reused; rooms of different versions are never wired together (the master starts them all). */
#ifndef POSTERN_COMMON_IPC_SCHEMA_H
#define POSTERN_COMMON_IPC_SCHEMA_H

#include "common/ip.h"
#include "common/ipc/role.h"
#include "common/queue_id.h"
#include "common/slice.h"

/* A frame: u32 length of the whole frame, u16 type, u16 zero, u32 handle, body. Little-endian. */
enum {
	IPC_HEADER = 12,
	IPC_FRAME_MAX = 128 * 1024,	/* header included */
	IPC_BODY_MAX = IPC_FRAME_MAX - IPC_HEADER,
	IPC_CONTENT_CHUNK = 32 * 1024,	/* message content carried by one frame, at most */
	IPC_CONTENT_WINDOW = 256 * 1024,/* content in flight per message before the receiver grants credit */
};

/* ---- master and every room ------------------------------------------------------------------------------------ */

/* The configuration, encoded by conf_encode(), in as many parts as it needs: total is the size of the whole, at the
 * offset of this part. Comes first. handle 0. */
#define M_CONFIG_FIELDS(F)	F(u32, generation) F(u32, total) F(u32, offset) F(str, part)
/* One end of a line to another room (the descriptor). A newer line to the same role and index replaces the older. */
#define M_LINE_FIELDS(F)	F(u8, role) F(u16, index)
/* A descriptor that the room may use: what for is enum file_purpose; name says which (listener, table). The files of a
 * generation come after its M_CONFIG and before its M_GO. */
#define M_FILE_FIELDS(F)	F(u32, generation) F(u8, purpose) F(str, name) F(str, path)
/* All of this generation has been sent: the first time enter the sandbox (as uid and gid, in the empty folder root) and
 * run, later switch over at once. mailbox: these three come from the recipient's account instead. */
#define M_GO_FIELDS(F)		F(u32, generation) F(u32, uid) F(u32, gid) F(str, root)
/* Before its first M_GO, to a mailbox process: whose mailbox. */
#define M_MAILBOX_FIELDS(F)	F(str, user)
/* room to master: the generation is in use (status RC_OK), or refused with a reason in words. report is the sandbox
 * report in lines, the first time only. */
#define M_READY_FIELDS(F)	F(u32, generation) F(u8, status) F(str, why) F(str, report)
/* Finish gracefully: take no new work, end what runs, exit 0 when done or at the latest after grace_ms. */
#define M_STOP_FIELDS(F)	F(u32, grace_ms)
/* Self-test: try the forbidden thing number probe (common/sandbox/probe.h) and answer, or die of it. One that comes
 * before the first M_GO only says that the process is there for nothing else: it prepares nothing and serves nobody. */
#define M_PROBE_FIELDS(F)	F(u32, probe)
#define M_PROBED_FIELDS(F)	F(u32, probe) F(u8, verdict) F(str, text)
/* local to master: a mailbox process for this user, please; handle names the request. */
#define M_SPAWN_FIELDS(F)	F(str, user)
/* The line to it (descriptor). The process answers for its own failures with a D_CLOSED. */
#define M_SPAWNED_FIELDS(F)	F(u32, pid)
/* No process: status is an enum rc (RC_NOTFOUND: no such user). */
#define M_SPAWN_FAILED_FIELDS(F) F(u8, status) F(str, why)

/* ---- log ------------------------------------------------------------------------------------------------------- */

/* One event: fields is a run of {str8 key, u8 kind, value}, see common/log.h. when is wall time in microseconds. */
#define L_EVENT_FIELDS(F)	F(u16, event) F(u64, when) F(u32, pid) F(str, qid) F(str, fields)
/* The sender had to drop this many events since it last said so. */
#define L_DROPPED_FIELDS(F)	F(u32, pid) F(u64, count)

/* ---- smtpd, queue and router ------------------------------------------------------------------------------------*/

/* May this client send from this address to that one, and where does it go? handle: the asker's request. tls: 1 when it
 * came over TLS; the fingerprints (SHA-256, hexadecimal) of its certificate and of the key in it, empty without one. user: who it
 * has shown to be, empty for nobody. name_failed: 1 when client_name is empty because it cannot be looked up now. no_sender: 1
 * when it is asked of the recipient alone (VRFY). */
#define R_CHECK_FIELDS(F)	F(str, listener) F(ip, client) F(str, client_name) F(str, helo) F(str, from) F(str, to) \
				F(u8, tls) F(str, fingerprint) F(str, key_fingerprint) F(str, user) F(u8, name_failed) \
				F(u8, no_sender)
/* Where does mail for this recipient go (delivery time; no policy)? Answered with R_VERDICT too. */
#define R_ROUTE_FIELDS(F)	F(str, from) F(str, to)
/* action: enum verdict_action. code, enhanced ("5.1.1") and text are the reply when not accepted. rcpt: the final
 * recipient when rewritten, else empty. transport and nexthop make the destination (see D_OPEN). rule: which decided. */
#define R_VERDICT_FIELDS(F)	F(u8, action) F(u16, code) F(str, enhanced) F(str, text) F(str, rule) F(str, rcpt) \
				F(str, transport) F(str, nexthop) F(u32, generation)

/* May this user say in the header that a message is from these (RFC 6409 6.3)? from: the addresses in From, sender: that in
 * Sender, or empty; separated by LF. handle: smtpd's transaction. */
#define R_AUTHORS_FIELDS(F)	F(str, user) F(str, from) F(str, sender)
#define R_AUTHORED_FIELDS(F)	F(u8, from_ok) F(u8, sender_ok)

/* ---- smtpd and queue --------------------------------------------------------------------------------------------*/

/* A block of message ids for this smtpd: first and the count-1 that follow in seq. Sent unasked when the line comes up
 * and again on Q_IDS_WANT. */
#define Q_IDS_FIELDS(F)		F(msgid, first) F(u32, count)
#define Q_IDS_WANT_FIELDS(F)	F(u32, left)
/* Will the queue take mail now? Sent when the line comes up and whenever it changes; with accepting 0 smtpd answers
 * MAIL with code/enhanced/text at once. room: the largest message (bytes) that fits, 0 = no opinion. */
#define Q_STATE_FIELDS(F)	F(u8, accepting) F(u16, code) F(str, enhanced) F(str, text) F(u64, room)
/* A whole small message in one frame: envelope encoded by envelope_encode(), content with our trace header on top,
 * CRLF lines, dots unstuffed. Answered by Q_ACCEPTED or Q_REFUSED. handle: smtpd's transaction. */
#define Q_SUBMIT_FIELDS(F)	F(msgid, id) F(str, envelope) F(str, content)
/* A larger one: begin, chunks within the window, commit (or abort: no answer). size_hint 0 = unknown. flags: those of
 * common/envelope.h that nobody knew before all content had come; they join the envelope's. */
#define Q_BEGIN_FIELDS(F)	F(msgid, id) F(str, envelope) F(u64, size_hint)
#define Q_CHUNK_FIELDS(F)	F(str, content)
#define Q_COMMIT_FIELDS(F)	F(u64, size) F(u32, flags)
#define Q_ABORT_FIELDS(F)	F(u8, reason)
/* May send so many more bytes of content for this handle. */
#define Q_CREDIT_FIELDS(F)	F(u32, bytes)
/* Durable: on disk and synced. Only now may smtpd say 250. */
#define Q_ACCEPTED_FIELDS(F)	F(msgid, id)
/* Not kept, nothing remains of it; may come at any time after Q_BEGIN. */
#define Q_REFUSED_FIELDS(F)	F(u16, code) F(str, enhanced) F(str, text)

/* A host asks for its mail (ETRN, RFC 1985): what waits for this domain over SMTP is tried now. handle: smtpd's request. */
#define Q_FLUSH_FIELDS(F)	F(str, domain)
/* status: RC_OK, or RC_AGAIN: too soon after the last one. waiting: recipients that it is about. */
#define Q_FLUSHED_FIELDS(F)	F(u8, status) F(u32, waiting)

/* ---- queue and deliver, queue and local, local and mailbox -----------------------------------------------------*/

/* Open a session to this destination; handle names the session on this line until D_CLOSED. transport is the name of
 * a transport of the configuration ("smtp", "local", ...); nexthop a domain (MX rules), "[host]" or "[host]:port" (no
 * MX rules), or for local the user name. */
#define D_OPEN_FIELDS(F)	F(str, transport) F(str, nexthop)
/* The session is ready for a message (sent once when it is up; afterwards D_RESULT.pull asks for the next). */
#define D_PULL_FIELDS(F)	F(u32, served)
/* One message. flags are those of its envelope, as are envid, deliver_by and priority. rcpts is a run (see common/job.h). size is
 * that of the whole content; content holds its first part, and the rest comes as D_CHUNKs, at most IPC_CONTENT_WINDOW ahead of
 * the credit. */
#define D_JOB_FIELDS(F)		F(u32, job) F(msgid, id) F(u32, flags) F(str, sender) F(str, rcpts) F(u64, size) \
				F(str, content) F(str, envid) F(u64, deliver_by) F(u8, priority)
#define D_CHUNK_FIELDS(F)	F(u32, job) F(str, content)
#define D_CREDIT_FIELDS(F)	F(u32, job) F(u32, bytes)
/* Nothing more for this destination now: end the session. Answered by D_CLOSED. */
#define D_IDLE_FIELDS(F)	F(u8, reason)
/* The outcome of a job: results is a run per recipient (common/job.h); host, ip, port and tls say who answered. A
 * recipient without a row was not delivered. pull: and give me the next message. passed: what the next server has been asked to
 * see to (enum job_passed). */
#define D_RESULT_FIELDS(F)	F(u32, job) F(str, results) F(str, host) F(ip, ip) F(u16, port) F(str, tls) F(u8, pull) \
				F(u8, passed)
/* The session is over (handle free again). A job without D_RESULT was not delivered. status: enum session_end; the rest
 * is for the log and the bounce. host: which host said it, empty when none was reached. */
#define D_CLOSED_FIELDS(F)	F(u8, status) F(u16, code) F(str, enhanced) F(str, text) F(str, host) F(ip, ip)
/* The content of this job cannot be read (damaged on disk): give the job up, no result is awaited. */
#define D_REVOKE_FIELDS(F)	F(u32, job)

/* ---- resolver ---------------------------------------------------------------------------------------------------*/

/* The hosts for mail to this domain (kind: enum route_kind). handle: the asker's request. */
#define V_ROUTE_FIELDS(F)	F(u8, kind) F(str, name)
/* status: enum dns_status. secure: the whole chain was validated. hosts is a run (common/mail_route.h) in the order to
 * try, preferences sorted and equal ones shuffled. why: words for the log when status is not DNS_OK. */
#define V_HOSTS_FIELDS(F)	F(u8, status) F(u8, secure) F(u32, ttl) F(str, hosts) F(str, why)
/* The name of an address, confirmed forward (the name's A/AAAA hold the address again). */
#define V_PTR_FIELDS(F)		F(ip, ip)
#define V_NAME_FIELDS(F)	F(u8, status) F(u8, secure) F(str, name)
/* Nobody waits any longer for the answer to the V_PTR of this handle; none comes, unless it is under way already. */
#define V_FORGET_FIELDS(F)	F(u8, reason)

/* ---- vault -----------------------------------------------------------------------------------------------------*/

/* smtpd: sign this with that key. key: common/identity.h, IDENTITY_KEY_ID. scheme: enum vault_scheme. message: the whole
 * input of the signature, which the vault looks at (vault/tls_input.h). handle: the asker's handshake. */
#define K_SIGN_FIELDS(F)	F(u16, scheme) F(str, key) F(str, message)
/* status: enum vault_status; signature is empty unless VAULT_OK. */
#define K_SIGNED_FIELDS(F)	F(u8, status) F(str, signature)
/* The secrets that session tickets are made of, 32 bytes each, newest first; sent when the line comes up (it says that the
 * vault is there, too) and whenever there is a new one. */
#define K_TICKETS_FIELDS(F)	F(str, secrets)
/* From master to vault and smtpd: all files (FILE_KEY, FILE_CHAIN) of this set of certificates have come: use them, and
 * forget those that the set does not have. The generation of such a file is the serial of its set. The set that comes with
 * the first M_GO needs no such frame. */
#define M_CERTIFICATES_FIELDS(F)	F(u32, serial)
#define M_CERTIFICATES_TAKEN_FIELDS(F)	F(u32, serial) F(u8, status) F(str, why)
/* To auth: the files of users (M_FILE with FILE_USERS and this number as their generation) have changed, and come as
 * a whole. It answers whether it uses them; if not, what it had before stays. */
#define M_USERS_FIELDS(F)	F(u32, serial)
#define M_USERS_TAKEN_FIELDS(F)	F(u32, serial) F(u8, status)

/* ---- administration: control to any room, room to control ------------------------------------------------------*/

/* verb: enum admin_verb (common/admin.h); arg, arg2: its arguments; cursor: 0, or what the last A_END of the same
 * listing said; limit: rows at most in this page. handle: the request. */
#define A_REQUEST_FIELDS(F)	F(u8, verb) F(str, arg) F(str, arg2) F(u64, cursor) F(u32, limit)
/* kind: enum admin_row: one JSON object, or raw bytes (queue cat). */
#define A_ROW_FIELDS(F)		F(u8, kind) F(str, row)
/* status: enum rc. more: there is another page, from cursor. text: the error, or empty. */
#define A_END_FIELDS(F)		F(u8, status) F(str, text) F(u8, more) F(u64, cursor)

/* ---- smtpd and auth ---------------------------------------------------------------------------------------------*/

/* A client asks for a SASL exchange; handle: the exchange, until AU_OK or AU_FAIL. initial counts when has_initial.
 * secure: the connection is encrypted. The channel bindings and the fingerprint of the client's certificate (SHA-256, 32
 * bytes) are empty when there are none; plus: mechanisms with channel binding were offered to this client. */
#define AU_BEGIN_FIELDS(F)	F(str, mechanism) F(u8, has_initial) F(str, initial) F(ip, client) F(u8, secure) F(u8, plus) \
				F(str, exporter) F(str, end_point) F(str, fingerprint) F(u8, exempt)
/* Its next response. */
#define AU_CONTINUE_FIELDS(F)	F(str, response)
/* It gives up, or has gone: no answer. */
#define AU_ABORT_FIELDS(F)	F(u8, reason)
#define AU_CHALLENGE_FIELDS(F)	F(str, challenge)
#define AU_OK_FIELDS(F)		F(str, user)
/* kind: enum auth_failure. user: whom it claimed to be, for the log; may be empty. why: words for the log. */
#define AU_FAIL_FIELDS(F)	F(u8, kind) F(str, user) F(str, why)
/* The mechanisms that can be had, separated by one space. Sent when the line comes up, and when it changes. */
#define AU_STATE_FIELDS(F)	F(str, mechanisms)
/* auth to master: a connection to auth { dovecot } of this generation, please; handle names the request. */
#define M_CONNECT_FIELDS(F)	F(u32, generation)
/* Here it is (descriptor). */
#define M_CONNECTED_FIELDS(F)	F(u32, generation)
/* There is none to be had now; status is an enum rc. */
#define M_CONNECT_FAILED_FIELDS(F) F(u8, status) F(str, why)

/* A user is about to send: messages (0 or 1) and rcpts more than what he has spent already in this transaction. handle: smtpd's
 * recipient. Answered by AU_SPENT; ok 0: no, and text says so to him. */
#define AU_SPEND_FIELDS(F)	F(str, user) F(u8, messages) F(u32, rcpts)
#define AU_SPENT_FIELDS(F)	F(u8, ok) F(str, text)
/* Without an answer: so much was sent without asking, and so much of what was spent, the first of it `age` seconds ago, was not
 * used. */
#define AU_COUNT_FIELDS(F)	F(str, user) F(u32, messages) F(u32, rcpts) F(u32, messages_back) F(u32, rcpts_back) F(u32, age)

#define TO_ANY		(~UINT32_C(0))
#define FROM_ROOMS	(~ROLE_BIT(ROLE_MASTER))
#define CARRIERS	(ROLE_BIT(ROLE_DELIVER) | ROLE_BIT(ROLE_LOCAL) | ROLE_BIT(ROLE_MAILBOX))
#define DISPATCHERS	(ROLE_BIT(ROLE_QUEUE) | ROLE_BIT(ROLE_LOCAL))
#define ADMIN_ROOMS	(ROLE_BIT(ROLE_MASTER) | ROLE_BIT(ROLE_QUEUE) | ROLE_BIT(ROLE_ROUTER) | ROLE_BIT(ROLE_LOG) | \
			 ROLE_BIT(ROLE_CONTROL) | ROLE_BIT(ROLE_AUTH))
#define TLS_ROOMS	(ROLE_BIT(ROLE_SMTPD) | ROLE_BIT(ROLE_VAULT))
#define ADMIN_ASKERS	(ROLE_BIT(ROLE_CONTROL) | ROLE_BIT(ROLE_CLIENT))

/*	 NAME		struct		  no.	senders			receivers		fds */
#define IPC_MESSAGES(X)												\
	X(M_CONFIG,	m_config,	  1,	ROLE_BIT(ROLE_MASTER),	TO_ANY,			0)		\
	X(M_LINE,	m_line,		  2,	ROLE_BIT(ROLE_MASTER),	TO_ANY,			1)		\
	X(M_FILE,	m_file,		  3,	ROLE_BIT(ROLE_MASTER),	TO_ANY,			1)		\
	X(M_GO,		m_go,		  4,	ROLE_BIT(ROLE_MASTER),	TO_ANY,			0)		\
	X(M_READY,	m_ready,	  5,	FROM_ROOMS,		ROLE_BIT(ROLE_MASTER),	0)		\
	X(M_STOP,	m_stop,		  6,	ROLE_BIT(ROLE_MASTER),	TO_ANY,			0)		\
	X(M_PROBE,	m_probe,	  7,	ROLE_BIT(ROLE_MASTER),	TO_ANY,			0)		\
	X(M_PROBED,	m_probed,	  8,	FROM_ROOMS,		ROLE_BIT(ROLE_MASTER),	0)		\
	X(M_SPAWN,	m_spawn,	  9,	ROLE_BIT(ROLE_LOCAL),	ROLE_BIT(ROLE_MASTER),	0)		\
	X(M_SPAWNED,	m_spawned,	 10,	ROLE_BIT(ROLE_MASTER),	ROLE_BIT(ROLE_LOCAL),	1)		\
	X(M_SPAWN_FAILED, m_spawn_failed, 11,	ROLE_BIT(ROLE_MASTER),	ROLE_BIT(ROLE_LOCAL),	0)		\
	X(M_MAILBOX,	m_mailbox,	 12,	ROLE_BIT(ROLE_MASTER),	ROLE_BIT(ROLE_MAILBOX),	0)		\
	X(L_EVENT,	l_event,	 20,	TO_ANY,			ROLE_BIT(ROLE_LOG),	0)		\
	X(L_DROPPED,	l_dropped,	 21,	TO_ANY,			ROLE_BIT(ROLE_LOG),	0)		\
	X(R_CHECK,	r_check,	 30,	ROLE_BIT(ROLE_SMTPD),	ROLE_BIT(ROLE_ROUTER),	0)		\
	X(R_ROUTE,	r_route,	 31,	ROLE_BIT(ROLE_QUEUE),	ROLE_BIT(ROLE_ROUTER),	0)		\
	X(R_VERDICT,	r_verdict,	 32,	ROLE_BIT(ROLE_ROUTER),	ROLE_BIT(ROLE_SMTPD) | ROLE_BIT(ROLE_QUEUE), 0) \
	X(R_AUTHORS,	r_authors,	 33,	ROLE_BIT(ROLE_SMTPD),	ROLE_BIT(ROLE_ROUTER),	0)		\
	X(R_AUTHORED,	r_authored,	 34,	ROLE_BIT(ROLE_ROUTER),	ROLE_BIT(ROLE_SMTPD),	0)		\
	X(Q_IDS,	q_ids,		 40,	ROLE_BIT(ROLE_QUEUE),	ROLE_BIT(ROLE_SMTPD),	0)		\
	X(Q_IDS_WANT,	q_ids_want,	 41,	ROLE_BIT(ROLE_SMTPD),	ROLE_BIT(ROLE_QUEUE),	0)		\
	X(Q_STATE,	q_state,	 42,	ROLE_BIT(ROLE_QUEUE),	ROLE_BIT(ROLE_SMTPD),	0)		\
	X(Q_SUBMIT,	q_submit,	 43,	ROLE_BIT(ROLE_SMTPD),	ROLE_BIT(ROLE_QUEUE),	0)		\
	X(Q_BEGIN,	q_begin,	 44,	ROLE_BIT(ROLE_SMTPD),	ROLE_BIT(ROLE_QUEUE),	0)		\
	X(Q_CHUNK,	q_chunk,	 45,	ROLE_BIT(ROLE_SMTPD),	ROLE_BIT(ROLE_QUEUE),	0)		\
	X(Q_COMMIT,	q_commit,	 46,	ROLE_BIT(ROLE_SMTPD),	ROLE_BIT(ROLE_QUEUE),	0)		\
	X(Q_ABORT,	q_abort,	 47,	ROLE_BIT(ROLE_SMTPD),	ROLE_BIT(ROLE_QUEUE),	0)		\
	X(Q_CREDIT,	q_credit,	 48,	ROLE_BIT(ROLE_QUEUE),	ROLE_BIT(ROLE_SMTPD),	0)		\
	X(Q_ACCEPTED,	q_accepted,	 49,	ROLE_BIT(ROLE_QUEUE),	ROLE_BIT(ROLE_SMTPD),	0)		\
	X(Q_REFUSED,	q_refused,	 50,	ROLE_BIT(ROLE_QUEUE),	ROLE_BIT(ROLE_SMTPD),	0)		\
	X(Q_FLUSH,	q_flush,	120,	ROLE_BIT(ROLE_SMTPD),	ROLE_BIT(ROLE_QUEUE),	0)		\
	X(Q_FLUSHED,	q_flushed,	121,	ROLE_BIT(ROLE_QUEUE),	ROLE_BIT(ROLE_SMTPD),	0)		\
	X(D_OPEN,	d_open,		 60,	DISPATCHERS,		CARRIERS,		0)		\
	X(D_PULL,	d_pull,		 61,	CARRIERS,		DISPATCHERS,		0)		\
	X(D_JOB,	d_job,		 62,	DISPATCHERS,		CARRIERS,		0)		\
	X(D_CHUNK,	d_chunk,	 63,	DISPATCHERS,		CARRIERS,		0)		\
	X(D_CREDIT,	d_credit,	 64,	CARRIERS,		DISPATCHERS,		0)		\
	X(D_IDLE,	d_idle,		 65,	DISPATCHERS,		CARRIERS,		0)		\
	X(D_RESULT,	d_result,	 66,	CARRIERS,		DISPATCHERS,		0)		\
	X(D_CLOSED,	d_closed,	 67,	CARRIERS,		DISPATCHERS,		0)		\
	X(D_REVOKE,	d_revoke,	 68,	DISPATCHERS,		CARRIERS,		0)		\
	X(V_ROUTE,	v_route,	 80,	ROLE_BIT(ROLE_DELIVER),	ROLE_BIT(ROLE_RESOLVER), 0)		\
	X(V_HOSTS,	v_hosts,	 81,	ROLE_BIT(ROLE_RESOLVER), ROLE_BIT(ROLE_DELIVER), 0)		\
	X(V_PTR,	v_ptr,		 82,	ROLE_BIT(ROLE_SMTPD),	ROLE_BIT(ROLE_RESOLVER), 0)		\
	X(V_NAME,	v_name,		 83,	ROLE_BIT(ROLE_RESOLVER), ROLE_BIT(ROLE_SMTPD),	0)		\
	X(V_FORGET,	v_forget,	 84,	ROLE_BIT(ROLE_SMTPD),	ROLE_BIT(ROLE_RESOLVER), 0)		\
	X(A_REQUEST,	a_request,	 90,	ADMIN_ASKERS,		ADMIN_ROOMS,			0)		\
	X(A_ROW,	a_row,		 91,	ADMIN_ROOMS,		ADMIN_ASKERS,		0)		\
	X(A_END,	a_end,		 92,	ADMIN_ROOMS,		ADMIN_ASKERS,		0)		\
	X(K_SIGN,	k_sign,		100,	ROLE_BIT(ROLE_SMTPD),	ROLE_BIT(ROLE_VAULT),	0)		\
	X(K_SIGNED,	k_signed,	101,	ROLE_BIT(ROLE_VAULT),	ROLE_BIT(ROLE_SMTPD),	0)		\
	X(K_TICKETS,	k_tickets,	102,	ROLE_BIT(ROLE_VAULT),	ROLE_BIT(ROLE_SMTPD),	0)		\
	X(M_CERTIFICATES, m_certificates, 103,	ROLE_BIT(ROLE_MASTER),	TLS_ROOMS,		0)		\
	X(M_CERTIFICATES_TAKEN, m_certificates_taken, 104, TLS_ROOMS,	ROLE_BIT(ROLE_MASTER),	0)		\
	X(M_USERS,	m_users,	 108,	ROLE_BIT(ROLE_MASTER),	ROLE_BIT(ROLE_AUTH),	0)		\
	X(M_USERS_TAKEN, m_users_taken,	 109,	ROLE_BIT(ROLE_AUTH),	ROLE_BIT(ROLE_MASTER),	0)		\
	X(AU_BEGIN,	au_begin,	 110,	ROLE_BIT(ROLE_SMTPD),	ROLE_BIT(ROLE_AUTH),	0)		\
	X(AU_CONTINUE,	au_continue,	 111,	ROLE_BIT(ROLE_SMTPD),	ROLE_BIT(ROLE_AUTH),	0)		\
	X(AU_ABORT,	au_abort,	 112,	ROLE_BIT(ROLE_SMTPD),	ROLE_BIT(ROLE_AUTH),	0)		\
	X(AU_CHALLENGE,	au_challenge,	 113,	ROLE_BIT(ROLE_AUTH),	ROLE_BIT(ROLE_SMTPD),	0)		\
	X(AU_OK,	au_ok,	 114,	ROLE_BIT(ROLE_AUTH),	ROLE_BIT(ROLE_SMTPD),	0)		\
	X(AU_FAIL,	au_fail,	 115,	ROLE_BIT(ROLE_AUTH),	ROLE_BIT(ROLE_SMTPD),	0)		\
	X(AU_STATE,	au_state,	 116,	ROLE_BIT(ROLE_AUTH),	ROLE_BIT(ROLE_SMTPD),	0)		\
	X(M_CONNECT,	m_connect,	 117,	ROLE_BIT(ROLE_AUTH),	ROLE_BIT(ROLE_MASTER),	0)		\
	X(M_CONNECTED,	m_connected,	 118,	ROLE_BIT(ROLE_MASTER),	ROLE_BIT(ROLE_AUTH),	1)		\
	X(M_CONNECT_FAILED, m_connect_failed, 119, ROLE_BIT(ROLE_MASTER), ROLE_BIT(ROLE_AUTH),	0)		\
	X(AU_SPEND,	au_spend,	 122,	ROLE_BIT(ROLE_SMTPD),	ROLE_BIT(ROLE_AUTH),	0)		\
	X(AU_SPENT,	au_spent,	 123,	ROLE_BIT(ROLE_AUTH),	ROLE_BIT(ROLE_SMTPD),	0)		\
	X(AU_COUNT,	au_count,	 124,	ROLE_BIT(ROLE_SMTPD),	ROLE_BIT(ROLE_AUTH),	0)

enum ipc_type {
/* NOLINTNEXTLINE(bugprone-macro-parentheses): a name that is declared cannot stand in parentheses */
#define IPC_ENUM(NAME, lower, no, from, to, fds) NAME = no,
	IPC_MESSAGES(IPC_ENUM)
#undef IPC_ENUM
	IPC_TYPE_MAX = 128
};

/* What a type is called, who may send it to whom, and whether a descriptor comes with it. */
struct ipc_info {
	const char *name;	/* NULL: no such message */
	uint32_t from, to;	/* ROLE_BITs */
	int fds;
};
extern const struct ipc_info ipc_info[IPC_TYPE_MAX];

/* ---- structs, sizes, encoders, decoders ------------------------------------------------------------------------*/

#define IPC_C_u8	uint8_t
#define IPC_C_u16	uint16_t
#define IPC_C_u32	uint32_t
#define IPC_C_u64	uint64_t
#define IPC_C_str	struct slice
#define IPC_C_ip	struct ip
#define IPC_C_msgid	struct msgid

#define IPC_SIZE_u8(v)	((void)(v), (size_t)1)
#define IPC_SIZE_u16(v)	((void)(v), (size_t)2)
#define IPC_SIZE_u32(v)	((void)(v), (size_t)4)
#define IPC_SIZE_u64(v)	((void)(v), (size_t)8)
#define IPC_SIZE_str(v)	(4 + (v).n)
#define IPC_SIZE_ip(v)	((void)(v), (size_t)17)
#define IPC_SIZE_msgid(v) ((void)(v), (size_t)MSGID_WIRE)

static inline void
wr_ip(struct wr *w, struct ip ip)
{
	wr_u8(w, ip.family);
	wr_bytes(w, ip.b, sizeof ip.b);
}

/* Only families 0 (none), 4 and 6 exist. */
static inline struct ip
rd_ip(struct rd *r)
{
	struct ip ip = { 0, { 0 } };
	uint8_t family = rd_u8(r);
	struct slice b = rd_take(r, sizeof ip.b);

	if (family != 0 && family != 4 && family != 6)
		r->bad = true;
	if (r->bad)
		return ip;
	ip.family = family;
	memcpy(ip.b, b.p, sizeof ip.b);
	return ip;
}

#define IPC_FIELD(type, name)	IPC_C_##type name;
/* NOLINTNEXTLINE(bugprone-macro-parentheses): a term of a sum that other fields go on with */
#define IPC_SIZE(type, name)	+ IPC_SIZE_##type(m->name)
#define IPC_PUT(type, name)	wr_##type(w, m->name);
#define IPC_GET(type, name)	out.name = rd_##type(r);

/* struct x; x_size: bytes of the encoded body; x_put: false when it did not fit; x_get: false when malformed, and
 * then *m is untouched. x_send is made in common/ipc/peer.h. */
#define IPC_CODEC(NAME, lower, no, from, to, fds)			\
	struct lower { NAME##_FIELDS(IPC_FIELD) };			\
	static inline size_t lower##_size(const struct lower *m)	\
	{ return 0 NAME##_FIELDS(IPC_SIZE); }				\
	static inline bool lower##_put(struct wr *w, const struct lower *m) \
	{ NAME##_FIELDS(IPC_PUT) return !w->bad; }			\
	static inline bool lower##_get(struct rd *r, struct lower *m)	\
	{								\
		struct lower out;					\
		NAME##_FIELDS(IPC_GET)					\
		if (!rd_end(r))						\
			return false;					\
		*m = out;						\
		return true;						\
	}
IPC_MESSAGES(IPC_CODEC)
#undef IPC_CODEC

/* ---- values that fields hold ----------------------------------------------------------------------------------- */

enum file_purpose {		/* M_FILE */
	FILE_LISTENER = 1,	/* smtpd: a listening socket; name is the listener's */
	FILE_TABLE,		/* router: a table, open for reading; name is the table's, path for error messages */
	FILE_SPOOL,		/* queue: the spool directory */
	FILE_LOG,		/* log: the log's directory (path: the file's name in it) */
	FILE_SYSLOG,		/* log: a datagram socket connected to the system log */
	FILE_CONTROL,		/* control: the listening admin socket */
	FILE_HINTS,		/* resolver: root hints, trust anchor or resolv.conf, open for reading; name says which */
	FILE_KEY,		/* vault: a private key (PEM), open for reading; name is its key id (common/identity.h) */
	FILE_CHAIN,		/* smtpd: a certificate and its chain, as in common/identity.h; name is the title */
	FILE_COUNTS = 20,	/* when they start only, memory for common/counts.h: smtpd ("write", "read"), control ("read") */
	FILE_CLIENT_CA,		/* smtpd: who signs clients' certificates (PEM), open for reading; name is the listener's */
	FILE_AUTH,		/* auth: open for reading; name is "users" or "certificates" */
	FILE_USERS,		/* auth: the same, for M_USERS; generation is its serial */
	FILE_USAGE = 30,	/* auth, when it starts only: what users have sent, to read and write; name is "0" or "1" */
};

enum verdict_action { VERDICT_ACCEPT = 1, VERDICT_REJECT, VERDICT_DEFER };

enum session_end {		/* D_CLOSED */
	SESSION_DONE = 1,	/* in peace: idle, or asked to stop */
	SESSION_TEMPORARY,	/* destination cannot be used now: back off, keep everything */
	SESSION_PERMANENT,	/* destination never will (null MX, no such domain): bounce what is queued for it */
	SESSION_LOST,		/* connection lost or reset mid-way, after it had worked: retry soon */
	SESSION_BUSY,		/* this process has no room for another session: ask elsewhere or later */
};

enum dns_status {		/* V_HOSTS, V_NAME */
	DNS_OK = 1,
	DNS_NXDOMAIN,		/* the name does not exist */
	DNS_NODATA,		/* it exists, but has neither MX nor address */
	DNS_NULL_MX,		/* RFC 7505: accepts no mail */
	DNS_TEMPORARY,		/* SERVFAIL, timeout: try later */
	DNS_BOGUS,		/* validation failed: try later, never believe */
};

/* K_SIGN: the SignatureScheme of RFC 8446 4.2.3; in TLS 1.2 the same number is hash and algorithm (RFC 5246 7.4.1.4.1). */
enum vault_scheme {
	VAULT_RSA_PKCS1_SHA256 = 0x0401, VAULT_RSA_PKCS1_SHA384 = 0x0501, VAULT_RSA_PKCS1_SHA512 = 0x0601,
	VAULT_ECDSA_SHA256 = 0x0403, VAULT_ECDSA_SHA384 = 0x0503, VAULT_ECDSA_SHA512 = 0x0603,
	VAULT_RSA_PSS_SHA256 = 0x0804, VAULT_RSA_PSS_SHA384 = 0x0805, VAULT_RSA_PSS_SHA512 = 0x0806,
	VAULT_ED25519 = 0x0807,
};
enum {
	VAULT_MESSAGE_MAX = 256,	/* K_SIGN: what a handshake signs is shorter */
	VAULT_SIGNATURE_MAX = 1024,	/* K_SIGNED: RSA with 8192 bits */
	VAULT_SECRET_BYTES = 32,	/* of one secret of K_TICKETS */
	VAULT_SECRETS_MAX = 3,		/* the one in use, and those before it that are still good */
	VAULT_QUEUE_MAX = 256,		/* requests of one smtpd that wait at a time */
};
enum vault_status {		/* K_SIGNED */
	VAULT_OK = 1,
	VAULT_REFUSED,		/* no handshake input, or not with this key */
	VAULT_NO_KEY,
	VAULT_BUSY,		/* too many requests wait already */
	VAULT_FAILED,
};

enum auth_failure {		/* AU_FAIL */
	AUTH_WRONG = 1,		/* the credentials are not right, or not of this user */
	AUTH_TEMPORARY,		/* nothing can be said now */
	AUTH_MALFORMED,		/* a response that the mechanism does not know */
	AUTH_NO_MECHANISM,	/* not offered, or not to this client */
	AUTH_IDLE,		/* the client did not answer in time */
	AUTH_BUSY,		/* its network asks for more at a time than is done for one */
	AUTH_FAILURES,
};

enum route_kind { ROUTE_MX = 1, ROUTE_HOST };	/* V_ROUTE: MX rules of RFC 5321 5.1, or addresses of a host only */

#endif
