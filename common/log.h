/* common/log.h -- what every room calls to say that something happened.
 *
 * Each event is declared once, in LOG_EVENTS: its name, its severity, the keys it may carry and a line of help. An event
 * is one line in the log: `postern/smtpd[pid]: QUEUEID: event key=value ...` or a JSON object. It goes to the log room
 * as a frame and never blocks: when the line is full or down, a bounded backlog holds it, then it is dropped and
 * counted, and the count is logged when the line works again. Escaping of outside bytes is the log room's. */
#ifndef POSTERN_COMMON_LOG_H
#define POSTERN_COMMON_LOG_H

#include "common/ip.h"
#include "common/ipc/role.h"
#include "common/queue_id.h"
#include "common/slice.h"

enum severity { SEV_DEBUG, SEV_INFO, SEV_NOTICE, SEV_WARNING, SEV_ERROR, SEV_ALARM };

/*	NAME			"name"			severity	keys					help */
#define LOG_EVENTS(X)												\
	X(STARTED,		"started",		INFO,		"version config pid generation",	\
	    "a room is ready for work")										\
	X(STOPPING,		"stopping",		INFO,		"reason",					\
	    "a room ends gracefully")										\
	X(ROOM_DIED,		"room-died",		ERROR,		"room index cause restart_in",		\
	    "a process ended unasked; it will be started again")						\
	X(ROOM_STARTED,		"room-started",		INFO,		"room index pid",				\
	    "the master started a process")									\
	X(CONFIG_REFUSED,	"config-refused",	ERROR,		"why",						\
	    "a reload was asked for and the new configuration is broken; the old one stays")			\
	X(CONFIG_ADOPTED,	"config-adopted",	NOTICE,		"generation",					\
	    "a new configuration is in use")									\
	X(PEER_DROPPED,		"peer-dropped",		ERROR,		"room index why",				\
	    "another room broke the rules of the line between us, and was cut off")				\
	X(LOG_DROPPED,		"log-dropped",		WARNING,	"count room",					\
	    "so many events were lost because the log could not keep up")					\
	X(CONNECT,		"connect",		INFO,		"client listener",				\
	    "a client connected")										\
	X(DISCONNECT,		"disconnect",		INFO,		"client messages rejected commands errors reason ms",	\
	    "an SMTP session ended")										\
	X(TLS_ESTABLISHED,	"tls-established",	INFO,		"client protocol cipher bits group sni resumed " \
	    "fingerprint subject verified", \
	    "a TLS handshake with a client is complete; fingerprint, subject and verified are of its certificate")	\
	X(TLS_FAILED,		"tls-failed",		NOTICE,		"client listener why ms",			\
	    "a TLS handshake with a client failed, and the connection was closed")				\
	X(SESSION_REFUSED,	"session-refused",	NOTICE,		"client listener why",				\
	    "a connection was turned away at the door")								\
	X(STRESS,		"stress",		WARNING,	"sessions max",					\
	    "sessions run out: clients that are not exempt get less time (smtpd { stress-... })")		\
	X(STRESS_OVER,		"stress-over",		NOTICE,		"sessions",					\
	    "there is room again")										\
	X(INTRODUCED,		"introduced",		INFO,		"client by name",				\
	    "a proxy said by XCLIENT whom it speaks for")							\
	X(PREGREET,		"pregreet",		NOTICE,		"client listener bytes ms",			\
	    "a client talked before it was greeted, and was cut off")						\
	X(LIMIT_REACHED,	"limit-reached",	NOTICE,		"client network what count limit",		\
	    "a client network has done something as often as it may in an interval (section limits)")		\
	X(REJECT,		"reject",		NOTICE,		"client helo from to command code enhanced text rule " \
	    "priority proto user", \
	    "a client's command was refused")									\
	X(PROTOCOL_ERROR,	"protocol-error",	NOTICE,		"client what command",				\
	    "a client broke the protocol")									\
	X(AUTH_OK,		"auth-ok",		INFO,		"client user mechanism listener",		\
	    "a client has shown who it is")									\
	X(AUTH_FAILED,		"auth-failed",		NOTICE,		"client user mechanism listener why code",	\
	    "a client could not show who it is; it is never told why. fail2ban counts these")			\
	X(DOVECOT_UP,		"dovecot-up",		NOTICE,		"path mechanisms",				\
	    "Dovecot is there to say who users are; mechanisms are all that it has")				\
	X(DOVECOT_DOWN,		"dovecot-down",		WARNING,	"path why",					\
	    "Dovecot cannot be asked: until it can, logins are told 454")					\
	X(AUTH_FOLDED,		"auth-failed-more",	NOTICE,		"client count",					\
	    "so many more failed logins of a client network in a minute, of which nothing was said " \
	    "(limits { failed-logins-logged })") \
	X(ACCEPTED,		"accepted",		INFO,		"client helo from size nrcpt proto tls user priority " \
	    "message_id ms", \
	    "a message is durable in the queue and was acknowledged")						\
	X(ABORTED,		"aborted",		NOTICE,		"client from why user",			\
	    "a transaction ended before the queue had its message: the client keeps it")			\
	X(UNACKNOWLEDGED,	"unacknowledged",	NOTICE,		"client from why user",			\
	    "a client was gone before it could be told what became of its message: if it was taken, queued of this id says so, " \
	    "and the client may send it again") \
	X(QUEUED,		"queued",		INFO,		"from size nrcpt cause",			\
	    "a message entered the queue (bounces name their cause)")						\
	X(ATTEMPT,		"attempt",		DEBUG,		"destination nrcpt",				\
	    "a message was handed to a delivery process")							\
	X(DELIVERED,		"delivered",		INFO,		"to orig_to relay delay delays dsn status text tls",	\
	    "a recipient's copy was taken by the next hop or mailbox")						\
	X(DEFERRED,		"deferred",		NOTICE,		"to orig_to relay delay delays dsn status text next",	\
	    "a recipient's copy has to wait for another attempt")						\
	X(BOUNCED,		"bounced",		NOTICE,		"to orig_to relay delay dsn status text bounce",\
	    "a recipient failed for good; the sender is told by the message named in bounce")			\
	X(EXPIRED,		"expired",		NOTICE,		"to delay text bounce",				\
	    "a recipient could not be reached in time")								\
	X(REMOVED,		"removed",		INFO,		"cause",					\
	    "a message is done and has left the queue")								\
	X(DESTINATION_DOWN,	"destination-down",	NOTICE,		"destination text retry_in waiting",		\
	    "a destination cannot be reached; its mail waits")							\
	X(DESTINATION_UP,	"destination-up",	INFO,		"destination",					\
	    "a destination answers again")									\
	X(SPOOL_OPENED,		"spool-opened",		NOTICE,		"messages recipients segments ms damaged torn",	\
	    "the spool was read")										\
	X(SPOOL_DAMAGE,		"spool-damage",		ALARM,		"segment offset length why file",		\
	    "bytes of the spool fail their checksum and were set aside; everything else is served")		\
	X(SPOOL_FULL,		"spool-full",		ALARM,		"why free",					\
	    "no room for new mail; clients are told to try later")						\
	X(SPOOL_FAILED,		"spool-failed",		ALARM,		"why error",					\
	    "the disk failed; nothing is accepted or delivered until it works again")				\
	X(SPOOL_RECOVERED,	"spool-recovered",	NOTICE,		"why",						\
	    "the spool takes mail again")									\
	X(DNS,			"dns",			DEBUG,		"name kind status secure ms why",		\
	    "a name was looked up")										\
	X(DNS_TROUBLE,		"dns-trouble",		WARNING,	"name kind status why",				\
	    "a look-up failed for a reason that is not the name's")						\
	X(SESSION_OPENED,	"session-opened",	DEBUG,		"destination relay",				\
	    "a delivery session is up")										\
	X(SESSION_FAILED,	"session-failed",	NOTICE,		"destination relay stage text",			\
	    "a delivery session could not be used")								\
	X(TABLE_LOADED,		"table-loaded",		INFO,		"table path entries",				\
	    "a table was read")											\
	X(TABLE_REFUSED,	"table-refused",	ERROR,		"table why",					\
	    "a table is malformed; the last good one stays")							\
	X(CERTIFICATE_LOADED,	"certificate-loaded",	NOTICE,		"certificate names until file",		\
	    "a certificate and its key are in use from now on")							\
	X(CERTIFICATE_REFUSED,	"certificate-refused",	ERROR,		"certificate why",				\
	    "a certificate or its key cannot be used; the last good one stays")					\
	X(CERTIFICATE_EXPIRES,	"certificate-expires",	WARNING,	"certificate until days file what",		\
	    "a certificate ends soon, has ended or is not valid yet; said once a day")				\
	X(VAULT_REFUSED,	"vault-refused",	WARNING,	"room index status why",			\
	    "the vault did not sign for a room")								\
	X(ADMIN,		"admin",		NOTICE,		"verb user arg",			\
	    "somebody used the admin line to change something")							\
	X(TROUBLE,		"trouble",		WARNING,	"what error listener path",			\
	    "something failed that has no event of its own")							\
	X(SPOOL_UNREAD,		"spool-unread",		ALARM,		"count",					\
	    "the disk refused so many times to read a message since the last such event; the messages are tried again") \
	X(CONFIG_WARNING,	"config-warning",	WARNING,	"what",						\
	    "something in the configuration is allowed and can hardly be meant")

enum log_event {
	LOG_NONE,
#define LOG_ENUM(NAME, name, severity, keys, help) LOG_##NAME,
	LOG_EVENTS(LOG_ENUM)
#undef LOG_ENUM
	LOG_EVENT_COUNT
};

struct log_event_info {
	const char *name;
	const char *keys;	/* separated by one space */
	const char *help;
	enum severity severity;
};
extern const struct log_event_info log_event_info[LOG_EVENT_COUNT];

/* One key and its value, on the stack of the caller. */
enum log_kind { LOG_STR = 1, LOG_U64, LOG_IP };
struct log_field {
	const char *key;	/* a literal, one of the event's keys */
	enum log_kind kind;
	struct slice str;
	uint64_t u64;
	struct ip ip;
};
#define F_STR(k, slice)	((struct log_field){ .key = (k), .kind = LOG_STR, .str = (slice) })
#define F_TEXT(k, s)	((struct log_field){ .key = (k), .kind = LOG_STR, .str = slice_str(s) })
#define F_U64(k, v)	((struct log_field){ .key = (k), .kind = LOG_U64, .u64 = (v) })
#define F_IP(k, address) ((struct log_field){ .key = (k), .kind = LOG_IP, .ip = (address) })

/* log_say(LOG_ACCEPTED, &id, F_STR("from", sender), F_U64("size", n)); id may be NULL. */
#define log_say(event, id, ...)									\
	log_event((event), (id), (const struct log_field[]){ __VA_ARGS__ },			\
	    sizeof((const struct log_field[]){ __VA_ARGS__ }) / sizeof(struct log_field))

enum {
	LOG_VALUE_MAX = 1024,		/* bytes of one value; the rest is cut and marked */
	LOG_EVENT_BYTES_MAX = 8 * 1024,	/* the fields of one event, encoded; further ones are left out */
	LOG_BACKLOG_MAX = 256 * 1024,	/* bytes of events that wait for a line */
};

/* id NULL: not about a message. Never blocks, never fails. */
void log_event(enum log_event event, const struct msgid *id, const struct log_field *fields, size_t n);

/* The logger of this process: the one file-level variable that there is in all rooms. Until a line is attached, events of
 * severity WARNING and up go to stderr, and all of them wait in the backlog. debug: also send SEV_DEBUG events. */
struct peer;
struct peer_ops;
void log_open(enum role role, unsigned index);
void log_attach(struct peer *line);	/* borrowed; NULL when it went down */
void log_set_debug(bool debug);

#endif
