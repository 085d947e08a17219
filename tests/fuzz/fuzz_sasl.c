/* tests/fuzz/fuzz_sasl.c -- the server's side of every SASL mechanism, with a client of any bytes.
 *
 * An input is a byte for the mechanism, a byte for what the connection has (TLS, -PLUS offered, bindings, a certificate), and
 * then responses, each with its length in two octets; the first is the initial one. Each exchange ends with one answer and
 * leaves nothing behind. */
#include "tests/fuzz/auth_house.h"
#include "tests/fuzz/clock.h"
#include "tests/fuzz/workers_at_once.h"


#include "common/ipc/peer.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SECURE = 1, PLUS = 2, EXPORTER = 4, END_POINT = 8, CERTIFICATE = 16, STRANGE_CERTIFICATE = 32, NO_INITIAL = 64 };

static const char *const names[] = { "PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "EXTERNAL" };

struct sasl {
	struct loop *loop;
	struct auth auth;
	int fd;
	struct buf in;
	unsigned n_answers;
	bool challenged;
};

static void
send_frame(struct sasl *s, uint16_t type, const struct wr *w, const uint8_t *space)
{
	if (w->bad || frame_write_blocking(s->fd, type, 1, slice_of(space, w->n), -1) != RC_OK)
		abort();
}

static void
hear(struct sasl *s)
{
	struct au_ok ok;
	struct frame f;
	struct rd r;

	if (frame_read_blocking(s->fd, ROLE_SMTPD, ROLE_AUTH, &s->in, &f) != RC_OK)
		abort();		/* nothing that a client says may cost smtpd its line */
	r = (struct rd){ f.body, false };
	s->challenged |= f.type == AU_CHALLENGE;
	s->n_answers += f.type == AU_OK || f.type == AU_FAIL;
	if (f.type == AU_OK) {
		if (!au_ok_get(&r, &ok))
			abort();
		auth_house_check(ok.user);
	}
}

static void
settle(struct sasl *s)
{
	uint8_t byte;

	for (unsigned quiet = 0; quiet < 3; quiet++) {
		loop_turn(s->loop, false);
		workers_turn(s->auth.workers);
		while (recv(s->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1) {
			hear(s);
			quiet = 0;
		}
	}
}

static bool
next_response(struct slice *rest, struct slice *ret_s)
{
	size_t n;

	if (rest->n < 2)
		return false;
	n = (size_t)rest->p[0] | (size_t)rest->p[1] << 8;
	*ret_s = slice_first(slice_from(*rest, 2), n < AUTH_RESPONSE_MAX ? n : AUTH_RESPONSE_MAX);
	*rest = slice_from(*rest, 2 + ret_s->n);
	return true;
}

static void
begin(struct sasl *s, const char *name, unsigned how, struct slice *rest)
{
	static uint8_t space[IPC_FRAME_MAX];
	struct wr w = { space, 0, sizeof space, false };
	struct au_begin m = { .mechanism = slice_str(name), .secure = (how & SECURE) != 0, .plus = (how & PLUS) != 0 };

	(void)ip_parse(S("192.0.2.1"), &m.client);
	if ((how & EXPORTER) != 0)
		m.exporter = S("EEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEE");
	if ((how & END_POINT) != 0)
		m.end_point = S("PPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPP");
	if ((how & CERTIFICATE) != 0)
		m.fingerprint = S("CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC");
	if ((how & STRANGE_CERTIFICATE) != 0)
		m.fingerprint = S("DDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDD");
	m.has_initial = (how & NO_INITIAL) == 0 && next_response(rest, &m.initial);
	(void)au_begin_put(&w, &m);
	send_frame(s, AU_BEGIN, &w, space);
}

static void
respond(struct sasl *s, struct slice response)
{
	static uint8_t space[IPC_FRAME_MAX];
	struct wr w = { space, 0, sizeof space, false };
	const struct au_continue m = { response };

	(void)au_continue_put(&w, &m);
	send_frame(s, AU_CONTINUE, &w, space);
}

/* The end of the server's patience, at the latest. */
static void
pass_time(struct sasl *s, const struct conf *conf)
{
	for (unsigned i = 0; i < 10 && s->n_answers == 0; i++) {
		fuzz_clock_pass(conf->auth.timeout);
		settle(s);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct conf *conf;
	struct slice rest = slice_of(data, size), response;
	struct sasl s = { .in = BUF_INIT(IPC_FRAME_MAX) };
	int pair[2];

	if (size < 2)
		return 0;
	if (conf == NULL) {
		auth_house_prepare();
		conf = auth_house_conf();
	}
	auth_house_reset();
	fuzz_clock_reset();
	s.loop = loop_new();
	if (s.loop == NULL || auth_init(&s.auth, s.loop, conf) != RC_OK ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		abort();
	auth_use(&s.auth, auth_house_users(), conf);
	auth_take_line(&s.auth, ROLE_SMTPD, 0, pair[0]);
	s.fd = pair[1];
	settle(&s);
	auth_house_reset();
	rest = slice_from(rest, 2);
	begin(&s, names[data[0] % (sizeof names / sizeof names[0])], data[1], &rest);
	settle(&s);
	while (s.n_answers == 0 && s.challenged && next_response(&rest, &response)) {
		s.challenged = false;
		respond(&s, response);
		settle(&s);
	}
	pass_time(&s, conf);
	if (s.n_answers != 1 || s.auth.exchanges.n != 0)
		abort();
	(void)close(s.fd);
	auth_free(&s.auth);
	loop_free(s.loop);
	buf_free(&s.in);
	return 0;
}
