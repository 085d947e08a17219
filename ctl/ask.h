/* ctl/ask.h -- posternctl's side of the admin line: blocking, one request at a time. */
#ifndef POSTERN_CTL_ASK_H
#define POSTERN_CTL_ASK_H

#include "common/admin.h"
#include "common/rc.h"
#include "common/slice.h"

#include <stdbool.h>

struct request {
	enum admin_verb verb;
	const char *arg, *arg2;	/* NULL: empty */
	bool all_pages;		/* follow A_END.cursor to the end */
	uint32_t limit;		/* rows of a page; 0: as many as fit */
};

/* A row has come: JSON text or raw bytes. False stops the listing. */
typedef bool row_fn(void *ctx, enum admin_row kind, struct slice row);

/* Connects to the socket; prints what to do and returns -1 when that fails. */
int ask_connect(const char *path);
int ask_try(const char *path);	/* prints nothing; errno says why it failed */
/* From now on so many seconds without an answer end a request. Without this it waits for ever: some take long. */
void ask_patience(int fd, unsigned seconds);

/* RC_OK, or the daemon's status with its words printed to stderr; RC_CLOSED when the line broke. */
enum rc ask(int fd, const struct request *q, row_fn *fn, void *ctx);

#endif
