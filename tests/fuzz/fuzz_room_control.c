/* tests/fuzz/fuzz_room_control.c -- the daemon's end of the admin line: clients that say anything, and rooms that answer what
 * was never asked. */
#include "tests/fuzz/room.h"

#include "ctl/control.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sockaddr_un address;
static socklen_t address_len;

static struct conf *
conf(void)
{
	struct conf *c = conf_new();

	if (c == NULL)
		abort();
	return c;
}

static void
begin(struct fuzz_world *w)
{
	struct control *c = calloc(1, sizeof *c);
	struct m_file file = { 1, FILE_CONTROL, S(""), S("") };
	struct buf why = BUF_INIT(1024);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	w->room.ctx = c;
	/* A name of the kernel's choice, in no file system. */
	address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	address_len = sizeof address;
	if (c == NULL || control_ops.prepare(&w->room, &why) != RC_OK ||
	    bind(fd, (struct sockaddr *)&address, sizeof(sa_family_t)) == -1 ||
	    listen(fd, 8) == -1 || getsockname(fd, (struct sockaddr *)&address, &address_len) == -1)
		abort();
	control_ops.file(&w->room, &file, fd);
}

/* One more client; when nobody is let in and the line before the door is full, it goes away again. */
static void
special(struct fuzz_world *w)
{
	for (size_t i = 1; i < FUZZ_ENDS_MAX; i++) {
		struct fuzz_end *e = &w->ends[i];

		if (e->fd != -1 || (w->def->lines[i] != ROLE_NONE))
			continue;
		*e = (struct fuzz_end){ .role = ROLE_CLIENT,
		    .fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) };
		buf_init(&e->in, 2 * IPC_FRAME_MAX);
		if (connect(e->fd, (struct sockaddr *)&address, address_len) == -1) {
			(void)close(e->fd);
			e->fd = -1;
		}
		return;
	}
}

static void
end(struct fuzz_world *w)
{
	struct control *c = w->room.ctx;

	/* Those that had not come in yet do, one a turn, and find that nobody is there. */
	for (size_t i = 0; i < FUZZ_ENDS_MAX; i++)
		fuzz_settle(w);
	if (c->n_clients != 0 || c->clients != NULL)
		abort();
	for (size_t i = 0; i < ROLE_COUNT; i++)
		if (c->lines[i] != NULL)
			abort();
	watch_stop(&c->listener);
	(void)close(c->listener.fd);
	free(c);
}

static const struct fuzz_room def = {
	.role = ROLE_CONTROL, .ops = &control_ops, .conf = conf, .start = begin, .special = special, .end = end,
	.lines = { ROLE_MASTER, ROLE_QUEUE, ROLE_ROUTER },
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_room_run(&def, data, size);
}
