/* common/admin.h -- the verbs of the admin line, and how posternctl speaks to the control room.
 *
 * On the admin socket (a stream socket, peer credentials checked) both ends speak the frames of common/ipc: the client
 * sends A_REQUEST, the daemon answers with A_ROWs and one A_END for each. Control passes the request on to the room
 * that knows and the answers back. Rows are JSON objects (one a row), so that tables and --json come from the same
 * data; queue cat sends raw bytes. Long listings come in pages: A_END.more and A_END.cursor. */
#ifndef POSTERN_COMMON_ADMIN_H
#define POSTERN_COMMON_ADMIN_H

/*	 VERB			"words"			answered by	changes? */
#define ADMIN_VERBS(X)								\
	X(STATUS,		"status",		MASTER,		0)	\
	X(QUEUE_STATUS,		"queue status",		QUEUE,		0)	\
	X(QUEUE_LIST,		"queue list",		QUEUE,		0)	\
	X(QUEUE_SHOW,		"queue show",		QUEUE,		0)	\
	X(QUEUE_CAT,		"queue cat",		QUEUE,		0)	\
	X(QUEUE_FLUSH,		"queue flush",		QUEUE,		1)	\
	X(QUEUE_REMOVE,		"queue remove",		QUEUE,		1)	\
	X(CONFIG_SHOW,		"config show",		MASTER,		0)	\
	X(EXPLAIN,		"explain",		ROUTER,		0)	\
	X(STOP,			"stop",			MASTER,		1)	\
	X(RELOAD,		"reload",		MASTER,		1)	\
	X(SELFTEST,		"selftest",		MASTER,		1)	\
	X(LOG_STATUS,		"log status",		LOG,		0)	\
	X(TLS_SHOW,		"tls show",		MASTER,		0)	\
	X(USERS,		"users",		AUTH,		0)	\
	X(CLIENTS,		"clients",		CONTROL,	0)

enum admin_verb {
	ADMIN_NONE,
#define ADMIN_ENUM(VERB, words, room, changes) ADMIN_##VERB,
	ADMIN_VERBS(ADMIN_ENUM)
#undef ADMIN_ENUM
	ADMIN_VERB_COUNT
};

enum admin_row { ADMIN_ROW_JSON = 1, ADMIN_ROW_RAW };

enum {
	ADMIN_PAGE_MAX = 256,		/* rows in one page, whatever the asker says */
	ADMIN_ARG_MAX = 4096,
};

#endif
