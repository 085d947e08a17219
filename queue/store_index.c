/* queue/store_index.c -- while the spool is read: which messages there are and what became of their recipients. */
#include "queue/store_index.h"

#include <stdlib.h>
#include <string.h>

void
index_init(struct store_index *index, uint64_t seed)
{
	*index = (struct store_index){ .seed = seed };
}

static void
forget_rcpts(struct index_message *m)
{
	for (uint32_t i = 0; m->rcpts != NULL && i < m->head.n_rcpts; i++)
		free((void *)(uintptr_t)m->rcpts[i].text.p);
	free(m->rcpts);
	m->rcpts = NULL;
}

void
index_free(struct store_index *index)
{
	for (size_t i = 0; i < index->cap; i++)
		forget_rcpts(&index->slots[i]);
	free(index->slots);
	*index = (struct store_index){ .n = 0 };
}

static size_t
slot_of(const struct store_index *index, struct msgid id)
{
	uint64_t h = index->seed ^ id.seq * UINT64_C(0x9e3779b97f4a7c15) ^
	    (id.spool << 16 | id.boot) * UINT64_C(0xbf58476d1ce4e5b9);

	h ^= h >> 31;
	h *= UINT64_C(0x94d049bb133111eb);
	h ^= h >> 29;
	return (size_t)h & (index->cap - 1);
}

static struct index_message *
place_of(struct store_index *index, struct msgid id)
{
	size_t i = slot_of(index, id);

	while (index->slots[i].used && !msgid_eq(index->slots[i].id, id))
		i = (i + 1) & (index->cap - 1);
	return &index->slots[i];
}

struct index_message *
index_find(struct store_index *index, struct msgid id)
{
	struct index_message *m = index->cap == 0 ? NULL : place_of(index, id);

	return m != NULL && m->used ? m : NULL;
}

static bool
grow(struct store_index *index)
{
	struct store_index bigger = { NULL, index->n, index->cap == 0 ? 1024 : index->cap * 2, index->seed };

	if (index->n + 1 <= index->cap / 4 * 3)
		return true;
	bigger.slots = calloc(bigger.cap, sizeof *bigger.slots);
	if (bigger.slots == NULL)
		return false;
	for (size_t i = 0; i < index->cap; i++)
		if (index->slots[i].used)
			*place_of(&bigger, index->slots[i].id) = index->slots[i];
	free(index->slots);
	*index = bigger;
	return true;
}

/* The same id again: the higher sequence is the one that counts. */
static enum rc
apply_mail(struct store_index *index, uint32_t segment, const struct spool_entry *e)
{
	struct index_message *m;
	struct spool_head head;

	if (spool_head_get(e->payload, &head) != RC_OK || head.envelope > e->header.length - SPOOL_HEAD_BYTES ||
	    head.n_rcpts > head.envelope)
		return RC_CORRUPT;
	if (e->header.type == SPOOL_MESSAGE ? head.content != e->header.length - SPOOL_HEAD_BYTES - head.envelope :
	    e->header.length != SPOOL_HEAD_BYTES + head.envelope + SPOOL_DIGEST_BYTES)
		return RC_CORRUPT;
	if (!grow(index))
		return RC_NOMEM;
	m = place_of(index, e->header.id);
	if (m->used && m->sequence > e->header.sequence)
		return RC_OK;
	if (m->used)
		forget_rcpts(m);
	else
		index->n++;
	*m = (struct index_message){ .id = e->header.id, .head = head, .sequence = e->header.sequence, .used = true };
	m->where.segment = segment;
	m->where.offset = e->offset / SPOOL_ALIGN;
	m->where.length = (uint32_t)spool_frame_bytes(e->header.length);
	if (e->header.type == SPOOL_BIG)
		m->where.length |= UINT32_C(1) << 31;
	return RC_OK;
}

static struct store_rcpt *
rcpt_of(struct index_message *m, uint32_t i)
{
	if (i >= m->head.n_rcpts)
		return NULL;
	if (m->rcpts == NULL)
		m->rcpts = calloc(m->head.n_rcpts, sizeof *m->rcpts);
	return m->rcpts == NULL ? NULL : &m->rcpts[i];
}

static enum rc
apply_deferred(struct index_message *m, struct slice payload)
{
	struct spool_deferred d;
	struct store_rcpt *r;
	uint8_t *text;

	if (spool_deferred_get(payload, &d) != RC_OK || d.rcpt >= m->head.n_rcpts)
		return RC_CORRUPT;
	r = rcpt_of(m, d.rcpt);
	text = malloc(d.text.n == 0 ? 1 : d.text.n);
	if (r == NULL || text == NULL) {
		free(text);
		return RC_NOMEM;
	}
	if (d.text.n > 0)
		memcpy(text, d.text.p, d.text.n);
	free((void *)(uintptr_t)r->text.p);
	r->text = slice_of(text, d.text.n);
	r->attempts = d.attempts;
	r->code = d.code;
	r->next = d.next;
	r->first_failure = d.first_failure;
	if (r->state == STORE_PENDING)
		r->state = STORE_DEFERRED;
	return RC_OK;
}

static enum rc
apply_list(struct index_message *m, uint8_t type, struct slice payload)
{
	struct rd rd = { payload, false };
	uint32_t n = rd_u32(&rd);

	if (rd.bad || rd.s.n != (size_t)n * 4)
		return RC_CORRUPT;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = rd_u32(&rd);
		struct store_rcpt *r = rcpt_of(m, at);

		if (r == NULL)
			return at >= m->head.n_rcpts ? RC_CORRUPT : RC_NOMEM;
		if (type == SPOOL_NOTICED)
			r->noticed = true;
		else
			r->state = type == SPOOL_DONE ? STORE_DONE : STORE_BOUNCED;
	}
	return RC_OK;
}

enum rc
index_apply(struct store_index *index, uint32_t segment, const struct spool_entry *e, uint32_t *ret_about)
{
	struct rd rd = { e->payload, false };
	struct index_message *m;
	enum rc rc = RC_OK;

	*ret_about = 0;
	if (spool_is_mail(e->header.type))
		return apply_mail(index, segment, e);
	if (e->header.type < SPOOL_DONE || e->header.type > SPOOL_DROP)
		return RC_OK;
	m = index_find(index, e->header.id);
	if (m == NULL)
		return RC_OK;	/* its message is gone, and this will be gone soon */
	*ret_about = m->where.segment;
	if (e->header.type == SPOOL_DROP)
		m->dropped = true;
	else if (e->header.type == SPOOL_FLAGS)
		m->flags = rd_u32(&rd);
	else if (e->header.type == SPOOL_DEFERRED)
		rc = apply_deferred(m, e->payload);
	else
		rc = apply_list(m, e->header.type, e->payload);
	return rd.bad ? RC_CORRUPT : rc;
}

static int
by_place(const void *a, const void *b)
{
	const struct store_where *x = &(*(struct index_message *const *)a)->where;
	const struct store_where *y = &(*(struct index_message *const *)b)->where;

	if (x->segment != y->segment)
		return x->segment < y->segment ? -1 : 1;
	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

struct index_message **
index_sorted(struct store_index *index, size_t *ret_n)
{
	struct index_message **list = calloc(index->n == 0 ? 1 : index->n, sizeof *list);
	size_t n = 0;

	if (list == NULL)
		return NULL;
	for (size_t i = 0; i < index->cap; i++)
		if (index->slots[i].used && !index->slots[i].dropped)
			list[n++] = &index->slots[i];
	qsort(list, n, sizeof list[0], by_place);
	*ret_n = n;
	return list;
}
