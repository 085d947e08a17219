/* tests/fuzz/fuzz_complete.c -- what a user submits: any content, in chunks of any size. What is accepted has every byte that
 * was sent, and what had to be added stands at one place of its header.
 *
 * The first byte says how large a chunk is (0: all), the second what else there is: senders that are somebody's, SMTPUTF8, a
 * router that answers late. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/fields.h"
#include "tests/smtpd/fakes.h"

#include "common/wire/header.h"
#include "smtpd/session.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SENDERS = 1, UTF8 = 2, LATE = 4, ADD_SENDER = 8 };

static void
set(struct conf *c, const char *section, size_t offset_of_struct, const char *option, const char *value)
{
	for (size_t i = 0; i < n_conf_sections; i++)
		for (size_t k = 0; strcmp(conf_sections[i].name, section) == 0 && k < conf_sections[i].n_options; k++)
			if (strcmp(conf_sections[i].options[k].name, option) == 0 &&
			    conf_set((char *)c + offset_of_struct, &conf_sections[i].options[k], value) != RC_OK)
				abort();
}

static struct fakes *
world(void)
{
	static struct fakes f;
	static bool ready;
	void *listener;

	if (ready)
		return &f;
	(void)signal(SIGPIPE, SIG_IGN);
	fakes_start(&f, fakes_conf());
	f.conf->smtpd.error_delay = 0;
	f.conf->smtpd.max_header_size = 8192;
	for (size_t i = 0; i < n_conf_sections; i++)
		if (strcmp(conf_sections[i].name, "listener") == 0) {
			if (conf_add(f.conf, &conf_sections[i], "mx", &listener) != RC_OK)
				abort();
			set((struct conf *)listener, "listener", 0, "kind", "submission");
		}
	ready = true;
	return &f;
}

static void
prepare(struct fakes *f, uint8_t how)
{
	conf_list_clear(&f->conf->router.senders);
	if ((how & SENDERS) != 0 && conf_list_add(&f->conf->router.senders, S("@x")) != RC_OK)
		abort();
	set(f->conf, "router", offsetof(struct conf, router), "header-from", (how & ADD_SENDER) != 0 ? "sender" : "reject");
	f->router_holds = false;
	(void)fakes_connect(f, "192.0.2.7");
	f->smtpd.sessions->user = strdup("alice");
}

static void
say(struct fakes *f, const char *text)
{
	fakes_send(f, slice_str(text), SIZE_MAX);
	fakes_settle(f);
}

static void
converse(struct fakes *f, uint8_t how, struct slice content, size_t piece)
{
	char head[64];

	say(f, "EHLO a.example\r\nMAIL FROM:<alice@example.org>");
	say(f, (how & UTF8) != 0 ? " SMTPUTF8 BODY=8BITMIME\r\nRCPT TO:<bob@example.org>\r\n" :
	    "\r\nRCPT TO:<bob@example.org>\r\n");
	f->router_holds = (how & LATE) != 0;
	do {
		struct slice chunk = slice_first(content, piece);

		content = slice_from(content, chunk.n);
		(void)snprintf(head, sizeof head, "BDAT %zu%s\r\n", chunk.n, content.n == 0 ? " LAST" : "");
		fakes_send(f, slice_str(head), SIZE_MAX);
		fakes_send(f, chunk, SIZE_MAX);
	} while (content.n > 0);
	fakes_settle(f);
	fakes_router_answer(f, false);
	fakes_settle(f);
}

/* What was sent is there: its beginning, then what was added, then its end. A Message-ID or Date may have been replaced. */
static void
compare(struct slice sent, struct slice got)
{
	size_t same = 0, end = 0;

	if (fields_count(sent, S("Message-ID")) > 0 || fields_count(sent, S("Date")) > 0)
		return;
	while (same < sent.n && same < got.n && sent.p[same] == got.p[same])
		same++;
	while (end < sent.n - same && sent.p[sent.n - 1 - end] == got.p[got.n - 1 - end])
		end++;
	if (same + end != sent.n)
		abort();
}

static void
judge(struct fakes *f, struct slice sent)
{
	struct header_field field;
	struct header_iter it;
	struct slice content;

	for (unsigned i = 0; i < f->n_messages; i++) {
		if (!f->messages[i].answered)
			continue;
		content = buf_slice(&f->messages[i].content);
		header_begin(&it, content, true);
		if (header_next(&it, &field) != RC_OK || !slice_eq(field.name, S("Received")))
			abort();
		content = slice_from(content, field.raw.n);
		if (fields_count(content, S("Date")) != 1 || fields_count(content, S("Message-ID")) != 1 ||
		    fields_count(content, S("From")) != 1 || fields_count(content, S("Sender")) > 1)
			abort();
		compare(sent, content);
	}
}

static void
forget(struct fakes *f)
{
	(void)close(f->client);
	fakes_settle(f);
	while (f->smtpd.sessions != NULL)
		session_free(f->smtpd.sessions);
	if (f->smtpd.authors.used != 0 || f->smtpd.messages.used != 0)
		abort();
	fakes_settle(f);
	for (unsigned i = 0; i < f->n_messages; i++) {
		buf_free(&f->messages[i].envelope);
		buf_free(&f->messages[i].content);
	}
	memset(f->messages, 0, sizeof f->messages);
	f->n_messages = 0;
	buf_free(&f->replies);
	f->closed = false;
	f->client = -1;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fakes *f = world();

	if (size < 2 || size > 100000 || (data[0] != 0 && size / data[0] > 2000))
		return 0;
	prepare(f, data[1]);
	f->impatient = true;
	converse(f, data[1], slice_of(data + 2, size - 2), data[0] == 0 ? SIZE_MAX : data[0]);
	judge(f, slice_of(data + 2, size - 2));
	forget(f);
	return 0;
}
