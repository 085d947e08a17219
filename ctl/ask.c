/* ctl/ask.c -- requests over the admin socket. */
#include "ctl/ask.h"

#include "common/buf.h"
#include "common/ipc/peer.h"
#include "ctl/render.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

int
ask_try(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd, saved;

	if (strlen(path) >= sizeof a.sun_path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(a.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd != -1 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
		return fd;
	saved = errno;
	if (fd != -1)
		(void)close(fd);
	errno = saved;
	return -1;
}

int
ask_connect(const char *path)
{
	int fd = ask_try(path);

	if (fd == -1) {
		const char *hint = errno == ENOENT || errno == ECONNREFUSED ?
		    "is Postern running? start it with: systemctl start postern" :
		    errno == EACCES ? "only root and the admin-group may use it" : "";

		(void)fprintf(stderr, "posternctl: cannot reach %s: %s%s%s\n", path, strerror(errno), *hint ? "; " : "", hint);
	}
	return fd;
}

void
ask_patience(int fd, unsigned seconds)
{
	const struct timeval patience = { .tv_sec = seconds };

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
}

static enum rc
send_request(int fd, const struct request *q, uint64_t cursor)
{
	struct a_request m = { (uint8_t)q->verb, slice_str(q->arg == NULL ? "" : q->arg),
	    slice_str(q->arg2 == NULL ? "" : q->arg2), cursor,
	    q->limit == 0 ? ADMIN_PAGE_MAX : q->limit };
	uint8_t space[64 + 2 * ADMIN_ARG_MAX];
	struct wr w = { space, 0, sizeof space, false };

	if (m.arg.n > ADMIN_ARG_MAX || m.arg2.n > ADMIN_ARG_MAX || !a_request_put(&w, &m))
		return RC_RANGE;
	return frame_write_blocking(fd, A_REQUEST, 1, slice_of(space, w.n), -1);
}

/* Reads one page. *ret_end is what closed it; its text has been printed when it is an error. */
static enum rc
read_page(int fd, struct buf *b, row_fn *fn, void *ctx, struct a_end *ret_end)
{
	bool wanted = true;

	for (;;) {
		struct frame f;
		struct rd r;
		struct a_row row;
		enum rc rc = frame_read_blocking(fd, ROLE_CLIENT, ROLE_CONTROL, b, &f);

		if (rc != RC_OK) {
			(void)fprintf(stderr, "posternctl: %s\n", rc == RC_AGAIN ? "no answer in time" :
			    "the daemon closed the line");
			return RC_CLOSED;
		}
		r = (struct rd){ f.body, false };
		if (f.type == A_ROW && a_row_get(&r, &row)) {
			if (wanted)
				wanted = fn(ctx, (enum admin_row)row.kind, row.row);
		} else if (f.type == A_END && a_end_get(&r, ret_end)) {
			if (!wanted)
				ret_end->more = 0;
			return RC_OK;
		} else {
			(void)fprintf(stderr,
			    "posternctl: the daemon speaks another version; use the posternctl that came with it\n");
			return RC_SYNTAX;
		}
	}
}

/* Refusals of a configuration have many lines, each of which is ours to say. */
static void
say(struct slice text)
{
	while (text.n > 0) {
		size_t n = slice_find(text, '\n');

		(void)fputs("posternctl: ", stderr);
		render_text(stderr, slice_first(text, n));
		(void)fputc('\n', stderr);
		text = slice_from(text, n + 1);
	}
}

enum rc
ask(int fd, const struct request *q, row_fn *fn, void *ctx)
{
	struct buf b = BUF_INIT(IPC_FRAME_MAX);
	struct a_end end = { .more = 1 };
	enum rc rc = RC_OK;

	while (rc == RC_OK && end.more) {
		rc = send_request(fd, q, end.cursor);
		if (rc != RC_OK) {
			(void)fprintf(stderr, "posternctl: %s\n", rc == RC_RANGE ? "the argument is too long" :
			    "the daemon closed the line");
			break;
		}
		rc = read_page(fd, &b, fn, ctx, &end);
		if (rc != RC_OK)
			break;
		if (end.status != RC_OK) {
			rc = (enum rc)end.status;
			say(end.text.n > 0 ? end.text : S("refused"));
		} else if (end.text.n > 0)
			say(end.text);
		if (!q->all_pages)
			break;
	}
	buf_free(&b);
	return rc;
}
