/* queue/recent.c -- the bytes of messages that were just accepted, see recent.h. */
#include "queue/recent.h"

#include <stdlib.h>

struct recent {
	struct link link;		/* first */
	struct message *message;
	size_t envelope, content;
	uint8_t bytes[];
};

void
recents_init(struct recents *all)
{
	link_init(&all->all);
	all->bytes = 0;
}

static size_t
cost(const struct recent *r)
{
	return sizeof *r + r->envelope + r->content;
}

void
recent_drop(struct recents *all, struct message *m)
{
	struct recent *r = m->recent;

	if (r == NULL)
		return;
	link_remove(&r->link);
	all->bytes -= cost(r);
	m->recent = NULL;
	free(r);
}

void
recents_free(struct recents *all)
{
	while (!link_alone(&all->all))
		recent_drop(all, ((struct recent *)(void *)all->all.next)->message);
}

void
recent_keep(struct recents *all, struct message *m, struct slice envelope, struct slice content)
{
	struct recent *r;

	if (m->recent != NULL || envelope.n > RECENT_ONE_MAX || content.n > RECENT_ONE_MAX)
		return;
	r = malloc(sizeof *r + envelope.n + content.n);
	if (r == NULL)
		return;
	r->message = m;
	r->envelope = envelope.n;
	r->content = content.n;
	if (envelope.n > 0)
		memcpy(r->bytes, envelope.p, envelope.n);
	if (content.n > 0)
		memcpy(r->bytes + envelope.n, content.p, content.n);
	m->recent = r;
	link_before(&all->all, &r->link);
	all->bytes += cost(r);
	while (all->bytes > RECENT_BYTES_MAX)
		recent_drop(all, ((struct recent *)(void *)all->all.next)->message);
}

bool
recent_get(const struct message *m, struct slice *ret_envelope, struct slice *ret_content)
{
	const struct recent *r = m->recent;

	if (r == NULL)
		return false;
	*ret_envelope = slice_of(r->bytes, r->envelope);
	*ret_content = slice_of(r->bytes + r->envelope, r->content);
	return true;
}
