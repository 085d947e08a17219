/* tests/fuzz/fuzz_smtpd.c -- a whole session of the SMTP server, among fake rooms: any bytes from the client.
 *
 * The first byte says what the rooms do, the second in which pieces the rest arrives. Afterwards nothing may be left. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/smtpd/fakes.h"

#include "smtpd/session.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROUTER_HOLDS = 1, QUEUE_HOLDS = 2, NO_CREDIT = 4, QUEUE_DIES = 8, ROUTER_DIES = 16 };

/* VRFY and EXPN are answered for everybody, so that the router is asked. */
static void
answer_vrfy(struct conf *c)
{
	for (size_t i = 0; i < n_conf_sections; i++)
		for (size_t k = 0; strcmp(conf_sections[i].name, "smtpd") == 0 && k < conf_sections[i].n_options; k++)
			if (strcmp(conf_sections[i].options[k].name, "vrfy") == 0 && conf_set((char *)c + conf_sections[i].offset,
			    &conf_sections[i].options[k], "0.0.0.0/0, ::/0") != RC_OK)
				abort();
}

static struct fakes *
world(void)
{
	static struct fakes f;
	static bool ready;

	if (!ready) {
		struct conf *conf = fakes_conf();

		(void)signal(SIGPIPE, SIG_IGN);
		answer_vrfy(conf);
		conf->smtpd.error_delay = 0;	/* a session that is late with a reply does not see its client go */
		conf->smtpd.max_recipients = 5;
		conf->smtpd.max_hops = 10;
		conf->smtpd.max_message_size = 64 * 1024;
		fakes_start(&f, conf);
		ready = true;
	}
	return &f;
}

static void
forget(struct fakes *f)
{
	for (unsigned i = 0; i < f->n_messages; i++) {
		buf_free(&f->messages[i].envelope);
		buf_free(&f->messages[i].content);
	}
	memset(f->messages, 0, sizeof f->messages);
	f->n_messages = 0;
	f->n_held = 0;
	buf_free(&f->replies);
	f->closed = false;
	f->client = -1;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fakes *f = world();
	struct slice in;
	uint8_t how;
	size_t piece;

	if (size < 2 || size > 100000)
		return 0;
	how = data[0];
	piece = data[1] == 0 ? SIZE_MAX : data[1];
	in = slice_of(data + 2, size - 2);
	if (f->queue == NULL)
		fakes_queue(f, true);
	if (f->router == NULL)
		fakes_router(f, true);
	fakes_settle(f);
	f->impatient = true;
	f->router_holds = (how & ROUTER_HOLDS) != 0;
	f->queue_holds = (how & QUEUE_HOLDS) != 0;
	f->queue_no_credit = (how & NO_CREDIT) != 0;
	(void)fakes_connect(f, "192.0.2.7");
	fakes_send(f, in, piece);
	fakes_settle(f);
	if ((how & QUEUE_DIES) != 0)
		fakes_queue(f, false);
	if ((how & ROUTER_DIES) != 0)
		fakes_router(f, false);
	fakes_settle(f);
	if (f->router_holds && f->router != NULL)
		fakes_router_answer(f, true);
	fakes_settle(f);
	if (f->queue != NULL)
		fakes_queue_answer(f);
	(void)close(f->client);
	fakes_settle(f);
	/* What waited is over with the answers above, and the client has gone. */
	if (f->smtpd.n_sessions != 0 && f->queue != NULL && !f->queue_no_credit && !f->router_holds && !f->queue_holds)
		abort();
	while (f->smtpd.sessions != NULL)
		session_free(f->smtpd.sessions);
	if (f->smtpd.checks.used != 0 || f->smtpd.messages.used != 0 || f->smtpd.names.used != 0)
		abort();
	fakes_settle(f);
	forget(f);
	return 0;
}
