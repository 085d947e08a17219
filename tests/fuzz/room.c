/* tests/fuzz/room.c -- see room.h. The functions of common/room.h are defined here, for a room that has no process. */
#include "tests/fuzz/room.h"

#include "common/envelope.h"
#include "common/job.h"
#include "common/mail_route.h"
#include "tests/fuzz/clock.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	STEPS_MAX = 400,
	TURNS_MAX = 200,	/* until the room is quiet: one that never is spins */
	FRAMES_MAX = 20000,	/* that one program may make it send */
	TEXT_SPACE = 64 * 1024,
};

/* --- common/room.h, for a room that is played --- */

static struct fuzz_world *world;
int fuzz_folder = -1;

int room_file(struct room *room, enum file_purpose purpose, struct slice name)
{ (void)room, (void)purpose, (void)name; return -1; }
int room_take_file(struct room *room, enum file_purpose purpose, struct slice name) { return room_file(room, purpose, name); }
struct slice room_user(const struct room *room) { (void)room; return S("alice"); }
void room_become(struct room *room, uint32_t uid, uint32_t gid, const char *folder)
{ (void)room, (void)uid, (void)gid, (void)folder; }
int room_folder(const struct room *room) { (void)room; return fuzz_folder; }
struct peer *room_log(const struct room *room) { (void)room; return NULL; }
void room_exit(struct room *room) { (void)room; world->exited = true; }
void room_log_drop(struct peer *p, const char *why) { (void)p, (void)why; }

int
room_main(int argc, char **argv, const struct room_ops *ops, void *ctx)
{
	(void)argc, (void)argv, (void)ops, (void)ctx;
	abort();
}

/* --- the schema as a table: the fields of each message, one letter each --- */

#define LETTER_u8	"1"
#define LETTER_u16	"2"
#define LETTER_u32	"4"
#define LETTER_u64	"8"
#define LETTER_str	"s"
#define LETTER_ip	"i"
#define LETTER_msgid	"m"
#define LETTER(type, name) LETTER_##type

static const char *const fields_of[IPC_TYPE_MAX] = {
#define FIELDS(NAME, lower, no, from, to, fds) [NAME] = "" NAME##_FIELDS(LETTER),
	IPC_MESSAGES(FIELDS)
#undef FIELDS
};

/* --- what the room sends --- */

static void
remember_text(struct fuzz_world *w, struct slice s)
{
	memmove(&w->texts[1], &w->texts[0], sizeof w->texts - sizeof w->texts[0]);
	s = slice_first(s, FUZZ_TEXT_MAX);
	w->texts[0].n = s.n;
	if (s.n > 0)
		memcpy(w->texts[0].bytes, s.p, s.n);
}

static void
remember_number(uint32_t ring[FUZZ_SEEN_MAX], uint32_t n)
{
	memmove(&ring[1], &ring[0], (FUZZ_SEEN_MAX - 1) * sizeof ring[0]);
	ring[0] = n;
}

static void
remember_id(struct fuzz_world *w, struct msgid id)
{
	memmove(&w->ids[1], &w->ids[0], sizeof w->ids - sizeof w->ids[0]);
	w->ids[0] = id;
}

static void
check_frame(const char *fields, struct rd *r)
{
	for (; *fields != '\0'; fields++)
		switch (*fields) {
		case '1': (void)rd_u8(r); break;
		case '2': (void)rd_u16(r); break;
		case '4': (void)rd_u32(r); break;
		case '8': (void)rd_u64(r); break;
		case 's': (void)rd_str(r); break;
		case 'i': (void)rd_ip(r); break;
		default: (void)rd_msgid(r); break;
		}
	if (!rd_end(r))
		abort();
}

/* A frame from a room that behaves is one that may go this way, and whole. */
static void
take_frame(struct fuzz_world *w, struct fuzz_end *e, unsigned type, uint32_t handle, struct slice body)
{
	struct rd r = { body, false };

	if (type >= IPC_TYPE_MAX || ipc_info[type].name == NULL || (ipc_info[type].from & ROLE_BIT(w->def->role)) == 0 ||
	    (ipc_info[type].to & ROLE_BIT(e->role)) == 0)
		abort();
	if (e == &w->log) {	/* of no use to neighbours */
		check_frame(fields_of[type], &r);
		return;
	}
	remember_number(e->handles, handle);
	for (const char *f = fields_of[type]; *f != '\0'; f++)
		switch (*f) {
		case '1': (void)rd_u8(&r); break;
		case '2': (void)rd_u16(&r); break;
		case '4': remember_number(w->numbers, rd_u32(&r)); break;
		case '8': (void)rd_u64(&r); break;
		case 's': remember_text(w, rd_str(&r)); break;
		case 'i': (void)rd_ip(&r); break;
		default: remember_id(w, rd_msgid(&r)); break;
		}
	if (!rd_end(&r) || ++w->n_frames > FRAMES_MAX)
		abort();
	if (w->watching && w->def->frame != NULL)
		w->def->frame(w, e, type, handle, body);
}

static void
take_frames(struct fuzz_world *w, struct fuzz_end *e)
{
	for (;;) {
		struct rd r = { buf_slice(&e->in), false };
		uint32_t len = rd_u32(&r), handle;
		uint16_t type = rd_u16(&r);

		(void)rd_u16(&r);
		handle = rd_u32(&r);
		if (r.bad)
			return;
		if (len < IPC_HEADER || len > IPC_FRAME_MAX)
			abort();
		if (buf_len(&e->in) < len)
			return;
		take_frame(w, e, type, handle, slice_of(r.s.p, len - IPC_HEADER));
		buf_consume(&e->in, len);
	}
}

void
fuzz_hang_up(struct fuzz_end *e)
{
	if (e->fd != -1)
		(void)close(e->fd);
	e->fd = -1;
	buf_free(&e->in);
}

/* True: something came. */
static bool
listen_to(struct fuzz_world *w, struct fuzz_end *e)
{
	bool came = false;

	while (e->fd != -1) {
		uint8_t *at = buf_reserve(&e->in, IPC_FRAME_MAX);
		ssize_t n = at == NULL ? -1 : recv(e->fd, at, IPC_FRAME_MAX, MSG_DONTWAIT);

		if (n < 0)
			break;
		came = true;
		if (n == 0) {
			fuzz_hang_up(e);
			break;
		}
		buf_advance(&e->in, (size_t)n);
		take_frames(w, e);
	}
	return came;
}

void
fuzz_settle(struct fuzz_world *w)
{
	unsigned turns = 0;

	for (unsigned quiet = 0; quiet < 3; quiet++) {
		loop_turn(w->room.loop, false);
		if (w->def->turn != NULL)
			w->def->turn(w);
		for (size_t i = 0; i < FUZZ_ENDS_MAX; i++)
			if (listen_to(w, &w->ends[i]))
				quiet = 0;
		(void)listen_to(w, &w->log);
		if (++turns > TURNS_MAX)
			abort();
	}
}

/* --- fields of what we send --- */

static const struct slice words[] = {
	SLICE(""), SLICE("smtp"), SLICE("local"), SLICE("lmtp"), SLICE("sink.test"), SLICE("other.test"), SLICE("[192.0.2.1]"),
	SLICE("[192.0.2.1]:2525"), SLICE("alice"), SLICE("bob"), SLICE("alice@house.test"), SLICE("bob@house.test"),
	SLICE("x@sink.test"), SLICE("y@other.test"), SLICE("postmaster"), SLICE("postmaster@house.test"), SLICE("house.test"),
	SLICE("5.1.1"), SLICE("4.2.1"), SLICE("2.1.5"), SLICE("5.7.1"), SLICE("4.4.1"), SLICE("a text"), SLICE("mx.sink.test"),
	SLICE("\"quoted part\"@house.test"), SLICE("x@sink.test\n"), SLICE("no address"), SLICE("mx"), SLICE("--all"),
	SLICE("smtp:sink.test"), SLICE("local:alice"), SLICE("queue"), SLICE("TLSv1.3"), SLICE("two\r\nlines"),
	SLICE("From: a\r\nTo: b\r\n\r\nbody\r\n"), SLICE("\r\n.\r\n"), SLICE("no end of line"), SLICE("MIME-Version: 1.0\r\n"),
	SLICE("client.example.net"), SLICE("000100000001"), SLICE("<>"), SLICE("192.0.2.7"),
};
enum { N_WORDS = sizeof words / sizeof words[0] };

static const uint16_t codes[] = { 0, 200, 220, 250, 354, 421, 450, 451, 452, 550, 552, 554, 599, 600, 65535, 1 };
static const uint64_t sizes[] = { UINT64_MAX, INT64_MAX, 1 << 20, UINT64_C(1) << 40, 65536, 32768, 262144, 100, 4096, 1000000,
	UINT32_MAX, UINT64_C(1) << 32, 0, 1, 12, 128 };

uint32_t
fuzz_number(struct fuzz_world *w)
{
	uint8_t how = rd_u8(&w->in);

	if (how < 0xe0)
		return how;
	if (how < 0xf0)
		return w->numbers[how & 15];
	return how == 0xff ? rd_u32(&w->in) : (uint32_t)sizes[how & 15];
}

static uint32_t
get_handle(struct fuzz_world *w, const struct fuzz_end *e)
{
	uint8_t how = rd_u8(&w->in);

	if (how < 0xe0)
		return how;
	return how < 0xf0 ? e->handles[how & 15] : rd_u32(&w->in);
}

static uint16_t
get_u16(struct fuzz_world *w)
{
	uint8_t how = rd_u8(&w->in);

	if (how < 0xe0)
		return how;
	return how < 0xf0 ? codes[how & 15] : rd_u16(&w->in);
}

static uint64_t
get_u64(struct fuzz_world *w)
{
	uint8_t how = rd_u8(&w->in);

	if (how < 0xd0)
		return how;
	if (how < 0xe0)
		return w->content;
	return how < 0xf0 ? sizes[how & 15] : rd_u64(&w->in);
}

struct ip
fuzz_ip(struct fuzz_world *w)
{
	static const struct ip some[] = {
		{ 0, { 0 } }, { 4, { 5, 9, 1, 1 } }, { 4, { 127, 0, 0, 1 } }, { 4, { 192, 0, 2, 7 } },
		{ 6, { 0x20, 0x01, 0x0d, 0xb8, 1 } }, { 6, { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 } },
		{ 4, { 10, 1, 2, 3 } }, { 4, { 0, 0, 0, 0 } },
	};
	uint8_t how = rd_u8(&w->in);
	struct ip ip = some[how & 7];

	if (how >= 0xc0) {
		struct slice b = rd_take(&w->in, sizeof ip.b);

		ip.family = (how & 1) != 0 ? 6 : 4;
		if (b.n > 0)
			memcpy(ip.b, b.p, b.n);
	}
	return ip;
}

static struct msgid
get_id(struct fuzz_world *w)
{
	uint8_t how = rd_u8(&w->in);
	struct msgid id = w->ids[how & 15];

	if (how >= 0xf0)
		return rd_msgid(&w->in);
	id.seq += how < 0x80 ? 0 : rd_u8(&w->in);
	return id;
}

/* Short texts, for what is nested: never nested again. */
static struct slice
plain_text(struct fuzz_world *w)
{
	uint8_t how = rd_u8(&w->in);

	if (how < 0x80)
		return words[how % N_WORDS];
	if (how < 0x90) {
		size_t i = how & 15;

		return slice_of(w->texts[i].bytes, w->texts[i].n);
	}
	return rd_take(&w->in, how - 0x90);
}

static void
put_envelope(struct fuzz_world *w, struct buf *to)
{
	uint8_t flags = rd_u8(&w->in), n = rd_u8(&w->in) & 7;
	struct envelope e = { .flags = flags & 15, .received_at = (flags & 16) != 0 ? INT64_MAX : 1, .listener = S("mx"),
		.proto = S("ESMTP") };

	e.sender = plain_text(w);
	if ((flags & 32) != 0) {
		e.client = fuzz_ip(w);
		e.client_name = plain_text(w);
		e.helo = plain_text(w);
		e.message_id = plain_text(w);
		e.cause = plain_text(w);
	}
	(void)envelope_put(to, &e);
	while (n-- > 0) {
		struct envelope_rcpt r = { .generation = 1 };

		r.address = plain_text(w);
		r.transport = plain_text(w);
		r.nexthop = plain_text(w);
		if ((flags & 64) != 0) {
			r.original = plain_text(w);
			r.generation = fuzz_number(w);
		}
		(void)envelope_put_rcpt(to, &r);
	}
}

static void
put_results(struct fuzz_world *w, struct buf *to)
{
	for (uint8_t n = rd_u8(&w->in) & 7; n > 0; n--) {
		struct job_result r = { .index = rd_u8(&w->in) & 7, .status = rd_u8(&w->in) & 3, .code = get_u16(w) };

		r.enhanced = plain_text(w);
		r.text = plain_text(w);
		(void)job_result_put(to, &r);
	}
}

static void
put_rcpts(struct fuzz_world *w, struct buf *to)
{
	for (uint8_t n = rd_u8(&w->in) & 7; n > 0; n--) {
		struct job_rcpt r = { .index = rd_u8(&w->in) };

		r.address = plain_text(w);
		r.notify = r.index & NOTIFY_ALL;
		if (r.notify == NOTIFY_ALL)
			r.orcpt = r.address;
		(void)job_rcpt_put(to, &r);
	}
}

static void
put_hosts(struct fuzz_world *w, struct buf *to)
{
	for (uint8_t n = rd_u8(&w->in) & 7; n > 0; n--) {
		uint8_t how = rd_u8(&w->in);
		struct route_host h = { .preference = how >> 4, .status = DNS_OK, .secure = how & 1,
		    .n_addresses = how >> 1 & 3 };

		if ((how & 8) != 0)
			h.status = rd_u8(&w->in);
		h.name = plain_text(w);
		for (size_t i = 0; i < h.n_addresses; i++)
			h.addresses[i] = fuzz_ip(w);
		(void)route_host_put(to, &h);
	}
}

static void
put_log_fields(struct fuzz_world *w, struct buf *to)
{
	for (uint8_t n = rd_u8(&w->in) & 7; n > 0; n--) {
		struct slice key = plain_text(w), text;
		uint8_t kind = rd_u8(&w->in) & 3, space[64];
		struct wr head = { space, 0, sizeof space, false };

		key = slice_first(key, 255);
		(void)buf_put_byte(to, (uint8_t)key.n);
		(void)buf_put_slice(to, key);
		wr_u8(&head, kind);
		if (kind == LOG_U64)
			wr_u64(&head, get_u64(w));
		else if (kind == LOG_IP)
			wr_ip(&head, fuzz_ip(w));
		text = kind == LOG_STR ? plain_text(w) : S("");
		if (kind == LOG_STR)
			wr_u32(&head, (uint32_t)text.n);
		(void)buf_put(to, space, head.n);
		(void)buf_put_slice(to, text);
	}
}

/* Borrowed until the next one. */
struct slice
fuzz_text(struct fuzz_world *w)
{
	static struct buf made = BUF_INIT(TEXT_SPACE);
	uint8_t how = rd_u8(&w->in);

	buf_clear(&made);
	switch (how) {
	case 0xf0: put_envelope(w, &made); break;
	case 0xf1: put_results(w, &made); break;
	case 0xf2: put_rcpts(w, &made); break;
	case 0xf3: put_hosts(w, &made); break;
	case 0xf4: put_log_fields(w, &made); break;
	case 0xf5: {		/* much of the same */
		uint8_t c = rd_u8(&w->in);

		for (size_t n = rd_u8(&w->in) * (size_t)200; n > 0; n--)
			(void)buf_put_byte(&made, c);
		break;
	}
	case 0xf6: return rd_take(&w->in, rd_u16(&w->in) & 0x0fff);
	default: {
		struct rd back = w->in;

		if (how > 0xf6)
			return words[(how & 7) + 30];
		back.s.p--;
		back.s.n++;
		w->in = w->in.bad ? w->in : back;
		return plain_text(w);
	}
	}
	return buf_slice(&made);
}

/* --- steps --- */

static void
put_fields(struct fuzz_world *w, const char *fields, struct wr *body)
{
	for (; *fields != '\0'; fields++)
		switch (*fields) {
		case '1': wr_u8(body, rd_u8(&w->in)); break;
		case '2': wr_u16(body, get_u16(w)); break;
		case '4': wr_u32(body, fuzz_number(w)); break;
		case '8': wr_u64(body, get_u64(w)); break;
		case 's': {
			struct slice s = fuzz_text(w);

			w->content += s.n;
			wr_str(body, s);
			break;
		}
		case 'i': wr_ip(body, fuzz_ip(w)); break;
		default: wr_msgid(body, get_id(w)); break;
		}
}

/* What does not fit the socket is lost, and with it the line: a room that stopped reading is not waited for. */
static void
send_bytes(struct fuzz_end *e, struct slice bytes, int with_fd)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)bytes.p, bytes.n };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (with_fd != -1) {
		struct cmsghdr *c;

		m.msg_control = control.space;
		m.msg_controllen = sizeof control.space;
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &with_fd, sizeof(int));
	}
	n = e->fd == -1 ? 0 : sendmsg(e->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (e->fd != -1 && n != (ssize_t)bytes.n && !(n == -1 && errno == EAGAIN))
		fuzz_hang_up(e);
}

/* The other end of the descriptor becomes a line of its own: a mailbox process, that may say what it likes. */
static int
bear_line(struct fuzz_world *w)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1)
		abort();
	for (size_t i = 0; i < FUZZ_ENDS_MAX; i++) {
		struct fuzz_end *e = &w->ends[i];

		if (e->fd == -1 && w->def->lines[i] == ROLE_NONE && i > 0) {
			*e = (struct fuzz_end){ .role = ROLE_MAILBOX, .fd = pair[1], .born = true };
			buf_init(&e->in, 2 * IPC_FRAME_MAX);
			return pair[0];
		}
	}
	(void)close(pair[1]);
	return pair[0];
}

/* The nth type that they may send to us, 0: there is none. */
static unsigned
type_for(const struct fuzz_world *w, enum role them, unsigned nth)
{
	unsigned types[IPC_TYPE_MAX], n = 0;

	for (unsigned t = 1; t < IPC_TYPE_MAX; t++)
		if (ipc_info[t].name != NULL && (ipc_info[t].from & ROLE_BIT(them)) != 0 &&
		    (ipc_info[t].to & ROLE_BIT(w->def->role)) != 0 &&
		    (them != ROLE_MASTER || w->def->ops->on_master[t] != NULL))
			types[n++] = t;
	return n == 0 ? 0 : types[nth % n];
}

static uint8_t frame_space[IPC_FRAME_MAX];

struct wr
fuzz_body(void)
{
	return (struct wr){ frame_space + IPC_HEADER, 0, IPC_BODY_MAX, false };
}

static void
send_with(struct fuzz_end *e, unsigned type, uint32_t handle, const struct wr *body, int fd)
{
	struct wr head = { frame_space, 0, IPC_HEADER, false };

	if (body->bad)
		return;
	wr_u32(&head, (uint32_t)(IPC_HEADER + body->n));
	wr_u16(&head, (uint16_t)type);
	wr_u16(&head, 0);
	wr_u32(&head, handle);
	send_bytes(e, slice_of(frame_space, IPC_HEADER + body->n), fd);
}

void
fuzz_send(struct fuzz_end *e, unsigned type, uint32_t handle, const struct wr *body)
{
	send_with(e, type, handle, body, -1);
}

static void
send_frame(struct fuzz_world *w, struct fuzz_end *e)
{
	struct wr body = fuzz_body();
	unsigned type = type_for(w, e->role, rd_u8(&w->in));
	uint32_t handle = get_handle(w, e);
	int fd = -1;

	if (type == 0 || e->fd == -1)
		return;
	if (type == D_JOB)
		w->content = 0;
	put_fields(w, fields_of[type], &body);
	if (type == Q_BEGIN)
		w->content = 0;
	if (ipc_info[type].fds != 0)
		fd = bear_line(w);
	send_with(e, type, handle, &body, fd);
	if (fd != -1)
		(void)close(fd);
}

struct fuzz_end *
fuzz_wire(struct fuzz_world *w, size_t i)
{
	struct fuzz_end *e = &w->ends[i];
	int pair[2];

	fuzz_hang_up(e);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1)
		abort();
	*e = (struct fuzz_end){ .role = w->def->lines[i], .fd = pair[1] };
	buf_init(&e->in, 2 * IPC_FRAME_MAX);
	w->def->ops->line(&w->room, e->role, (unsigned)i, pair[0]);
	return e;
}

static struct fuzz_end *
an_end(struct fuzz_world *w, unsigned which)
{
	struct fuzz_end *live[FUZZ_ENDS_MAX];
	size_t n = 0;

	for (size_t i = 0; i < FUZZ_ENDS_MAX; i++)
		if (w->ends[i].fd != -1)
			live[n++] = &w->ends[i];
	return n == 0 ? &w->ends[0] : live[which % n];
}

static void
wire_one(struct fuzz_world *w, unsigned which)
{
	size_t n = 0;

	while (n < FUZZ_ENDS_MAX && w->def->lines[n] != ROLE_NONE)
		n++;
	if (n > 0 && w->def->lines[which % n] != ROLE_MASTER)
		(void)fuzz_wire(w, which % n);
}

static void
stop_room(struct fuzz_world *w)
{
	if (w->room.stopping)
		return;
	w->room.stopping = true;
	if (w->def->ops->stop != NULL)
		w->def->ops->stop(&w->room, 1000);
}

static void
step(struct fuzz_world *w)
{
	uint8_t what = rd_u8(&w->in);

	if (what < 0x80)
		send_frame(w, an_end(w, what));
	else if (what < 0x90)
		send_bytes(an_end(w, what & 15), rd_take(&w->in, rd_u8(&w->in)), -1);
	else if (what < 0x98) {
		struct fuzz_end *e = an_end(w, what & 7);

		if (e->role != ROLE_MASTER)
			fuzz_hang_up(e);
	} else if (what < 0xa0)
		wire_one(w, what & 7);
	else if (what < 0xb0)
		fuzz_clock_pass(UINT64_C(16) << (what & 15));
	else if (what < 0xc0)
		fuzz_clock_pass(UINT64_C(16000) << (what & 15));
	else if (what < 0xe8) {
		if (w->def->special != NULL)
			w->def->special(w);
	} else if (what < 0xf0)
		w->batch = (what & 1) != 0;
	else if (what == 0xf1)
		stop_room(w);
	else if (w->def->ops->adopt != NULL && what == 0xf2) {
		w->room.conf->generation++;
		(void)w->def->ops->adopt(&w->room, w->room.conf);
	}
	if (!w->batch)
		fuzz_settle(w);
}

/* --- the line to master --- */

static void
master_closed(void *ctx, struct peer *p, const char *why)
{
	(void)ctx, (void)p, (void)why;
	world->exited = true;
}

static void
wire_master(struct fuzz_world *w, struct peer_ops *ops)
{
	struct fuzz_end *e = NULL;
	int pair[2];

	for (size_t i = 0; i < FUZZ_ENDS_MAX; i++)
		if (w->def->lines[i] == ROLE_MASTER)
			e = &w->ends[i];
	if (e == NULL)
		return;
	memcpy(ops->on, w->def->ops->on_master, sizeof ops->on);
	ops->closed = master_closed;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1)
		abort();
	*e = (struct fuzz_end){ .role = ROLE_MASTER, .fd = pair[1] };
	buf_init(&e->in, 2 * IPC_FRAME_MAX);
	w->room.master = peer_new(w->room.loop, pair[0], w->def->role, ROLE_MASTER, 0, ops, &w->room);
}

/* --- the line to log --- */

static void
log_closed(void *ctx, struct peer *p, const char *why)
{
	(void)ctx, (void)p, (void)why;
	abort();	/* nobody closes it */
}

static struct peer *
wire_log(struct fuzz_world *w)
{
	static const struct peer_ops ops = { .closed = log_closed };
	struct peer *p;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1)
		abort();
	w->log = (struct fuzz_end){ .role = ROLE_LOG, .fd = pair[1] };
	buf_init(&w->log.in, 2 * IPC_FRAME_MAX);
	p = peer_new(w->room.loop, pair[0], w->def->role, ROLE_LOG, 0, &ops, w);
	log_attach(p);
	return p;
}

/* --- the whole --- */

int
fuzz_room_run(const struct fuzz_room *def, const uint8_t *data, size_t size)
{
	static struct fuzz_world w;
	static struct conf *conf;
	struct peer_ops master_ops = { .drained = NULL };
	struct peer *log;

	if (conf == NULL) {
		(void)signal(SIGPIPE, SIG_IGN);
		conf = def->conf();
		log_open(def->role, 0);
		log_set_debug(true);
	}
	fuzz_clock_reset();
	conf->generation = 1;
	w = (struct fuzz_world){ .def = def, .in = { slice_of(data, size), false } };
	w.room = (struct room){ .ops = def->ops, .loop = loop_new(), .conf = conf };
	if (w.room.loop == NULL)
		abort();
	for (size_t i = 0; i < FUZZ_ENDS_MAX; i++)
		w.ends[i].fd = -1;
	world = &w;
	log = wire_log(&w);
	wire_master(&w, &master_ops);
	def->start(&w);
	for (size_t i = 0; i < FUZZ_ENDS_MAX && def->lines[i] != ROLE_NONE; i++)
		if (def->lines[i] != ROLE_MASTER)
			(void)fuzz_wire(&w, i);
	fuzz_settle(&w);
	for (unsigned n = 0; n < STEPS_MAX && w.in.s.n > 0 && !w.in.bad && !w.exited; n++)
		step(&w);
	for (size_t i = 0; i < FUZZ_ENDS_MAX; i++)
		if (w.ends[i].role != ROLE_MASTER)
			fuzz_hang_up(&w.ends[i]);
	fuzz_settle(&w);
	def->end(&w);
	log_attach(NULL);
	peer_free(log);
	fuzz_hang_up(&w.log);
	peer_free(w.room.master);
	for (size_t i = 0; i < FUZZ_ENDS_MAX; i++)
		fuzz_hang_up(&w.ends[i]);
	loop_free(w.room.loop);
	return 0;
}
