/* queue/reason.c -- why recipients wait, see reason.h. */
#include "queue/reason.h"

#include "common/wire/enhanced.h"
#include "queue/destination.h"

#include <stdlib.h>

struct reason {
	struct tree_node node;		/* first */
	uint64_t priority;
	uint32_t refs;
	uint32_t n;
	char text[];
};

static const char host_word[] = "host ", said_word[] = " said: ";

static bool
is_general(struct enhanced e)
{
	return e.subject == 0 && e.detail == 0;
}

/* Does text begin with a status code that a reader could take for the reply's own? X.0.0 alone is left in the words of a reply
 * that has it (smtp_reply_text_put()). */
static bool
is_ambiguous(struct slice text)
{
	struct enhanced e;
	size_t n = enhanced_prefix(text, &e);

	return n > 0 && (!is_general(e) || enhanced_prefix(slice_from(text, n), &e) > 0);
}

/* X.0.0 stands for a reply without a status code, and is not written: it would be no word of the server's, or be there twice. */
static void
put_status(struct buf *to, struct slice enhanced, struct slice text)
{
	struct enhanced e;

	if (enhanced_parse(enhanced, &e) == RC_OK && is_general(e) && !is_ambiguous(text))
		return;
	(void)buf_put_slice(to, enhanced);
	(void)buf_put_byte(to, ' ');
}

void
reason_put(struct buf *to, struct slice relay, uint16_t code, struct slice enhanced, struct slice text)
{
	if (code == 0) {
		(void)buf_put_slice(to, text);
		return;
	}
	if (!slice_eq(relay, S("none")) && !slice_eq(relay, S("local"))) {
		(void)buf_put_str(to, host_word);
		(void)buf_put_slice(to, relay);
		(void)buf_put_str(to, said_word);
	}
	(void)buf_printf(to, "%u ", code);
	put_status(to, enhanced, text);
	(void)buf_put_slice(to, text);
}

/* Up to the first of these bytes; *rest goes on behind it. */
static struct slice
up_to(struct slice *rest, uint8_t byte)
{
	struct slice part = slice_first(*rest, slice_find(*rest, byte));

	*rest = slice_from(*rest, part.n + 1);
	return part;
}

/* What put_status() wrote before text, or X.0.0 for nothing. */
static void
take_status(struct slice rest, struct reason_reply *r)
{
	struct slice text = rest, word = up_to(&text, ' ');
	struct enhanced e;

	r->enhanced = word;
	r->text = text;
	if (enhanced_parse(word, &e) == RC_OK && (!is_general(e) || is_ambiguous(text)))
		return;
	r->enhanced = S("4.0.0");
	r->text = rest;
}

bool
reason_reply(struct slice words, struct reason_reply *ret_reply)
{
	struct slice rest = slice_from(words, sizeof host_word - 1), host, relay, code;
	struct reason_reply r = { .code = 0 };

	if (!slice_eq(slice_first(words, sizeof host_word - 1), S("host ")))
		return false;
	relay = up_to(&rest, ' ');
	host = relay;
	r.relay = relay;
	r.host = up_to(&host, '[');
	if (r.host.n == 0)	/* no name: RFC 3461 9.3 takes a literal too */
		r.host = slice_first(relay, slice_find(relay, ']') + 1);
	if (!slice_eq(slice_first(rest, sizeof said_word - 2), S("said: ")))
		return false;
	rest = slice_from(rest, sizeof said_word - 2);
	code = up_to(&rest, ' ');
	for (size_t i = 0; i < code.n && i < 3 && code.p[i] >= '0' && code.p[i] <= '9'; i++)
		r.code = (uint16_t)(r.code * 10 + code.p[i] - '0');
	take_status(rest, &r);
	if (code.n != 3 || r.code < 200 || r.code > 599)
		return false;
	*ret_reply = r;
	return true;
}

static const struct reason *
of_node(const struct tree_node *node)
{
	return (const struct reason *)(const void *)node;
}

static int
compare(const void *key, const struct tree_node *node)
{
	const struct slice *k = key;
	const struct reason *r = of_node(node);

	return k->n != r->n ? (k->n < r->n ? -1 : 1) : memcmp(k->p, r->text, r->n);
}

static uint64_t
priority(const struct tree_node *node)
{
	return of_node(node)->priority;
}

static const struct tree_ops texts_ops = { compare, priority };

void
reasons_init(struct reasons *all, uint64_t seed)
{
	*all = (struct reasons){ .random = seed | 1 };
	tree_init(&all->texts, &texts_ops);
}

void
reasons_free(struct reasons *all)
{
	struct tree_node *n;

	while ((n = tree_drain(&all->texts)) != NULL)
		free(n);
}

static struct reason *
get(struct reasons *all, struct slice text)
{
	struct reason *r = (struct reason *)(void *)tree_find(&all->texts, &text);

	if (r != NULL) {
		r->refs++;
		return r;
	}
	if (all->bytes + sizeof *r + text.n > REASON_BYTES_MAX || (r = malloc(sizeof *r + text.n)) == NULL)
		return NULL;
	r->priority = random_next(&all->random);
	r->refs = 1;
	r->n = (uint32_t)text.n;
	memcpy(r->text, text.p, text.n);
	all->bytes += sizeof *r + text.n;
	(void)tree_add(&all->texts, &r->node, &text);
	return r;
}

static void
put(struct reasons *all, struct reason *r)
{
	struct slice text;

	if (r == NULL || --r->refs > 0)
		return;
	text = slice_of(r->text, r->n);
	tree_remove(&all->texts, &r->node, &text);
	all->bytes -= sizeof *r + r->n;
	free(r);
}

void
reason_set(struct reasons *all, struct message *m, uint32_t i, struct slice text)
{
	struct reason *old;

	text = slice_first(text, REASON_TEXT_MAX);
	if (m->reasons == NULL) {
		if (text.n == 0)
			return;
		m->reasons = calloc(m->n_rcpts, sizeof(struct reason *));
		if (m->reasons == NULL)
			return;
	}
	old = m->reasons[i];
	m->reasons[i] = text.n == 0 ? NULL : get(all, text);
	put(all, old);
}

struct slice
reason_of(const struct message *m, uint32_t i)
{
	const struct reason *r = m->reasons == NULL ? NULL : m->reasons[i];

	return r == NULL ? S("") : slice_of(r->text, r->n);
}

void
reasons_drop(struct reasons *all, struct message *m)
{
	if (m->reasons == NULL)
		return;
	for (uint32_t i = 0; i < m->n_rcpts; i++)
		put(all, m->reasons[i]);
	free(m->reasons);
	m->reasons = NULL;
}
