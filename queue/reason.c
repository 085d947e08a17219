/* queue/reason.c -- why recipients wait, see reason.h. */
#include "queue/reason.h"

#include "queue/destination.h"

#include <stdlib.h>

struct reason {
	struct tree_node node;		/* first */
	uint64_t priority;
	uint32_t refs;
	uint32_t n;
	char text[];
};

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
