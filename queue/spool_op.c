/* queue/spool_op.c -- one atomic group on its way to the disk: built in the loop, finished by the committer. */
#include "queue/committer.h"

#include <stdlib.h>

static void
drop_op(struct spool_work *w)
{
	spool_op_free((struct spool_op *)(void *)w);
}

struct spool_op *
spool_op_new(struct store *store, size_t bytes)
{
	struct spool_op *op = calloc(1, sizeof *op);

	if (op == NULL)
		return NULL;
	op->store = store;
	op->work.drop = drop_op;
	op->frames = malloc(bytes == 0 ? 1 : bytes);
	if (op->frames == NULL) {
		free(op);
		return NULL;
	}
	op->cap = bytes;
	return op;
}

static bool
make_room(struct spool_op *op, size_t more)
{
	size_t cap = op->cap < 512 ? 512 : op->cap;
	uint8_t *p;

	if (more <= op->cap - op->bytes)
		return true;
	while (cap - op->bytes < more)
		if (__builtin_mul_overflow(cap, 2, &cap))
			return false;
	p = realloc(op->frames, cap);
	if (p == NULL)
		return false;
	op->frames = p;
	op->cap = cap;
	return true;
}

uint8_t *
spool_op_frame(struct spool_op *op, uint8_t type, struct msgid id, uint32_t length)
{
	size_t whole = spool_frame_bytes(length);
	uint8_t *frame;

	if (!make_room(op, whole))
		return NULL;
	frame = op->frames + op->bytes;
	spool_header_draft(frame, type, id, length);
	op->bytes += whole;
	op->n_frames++;
	return frame + SPOOL_HEADER_BYTES;
}

bool
spool_op_refer(struct spool_op *op, struct msgid id, uint32_t segment, bool drop, bool big)
{
	struct op_ref *last = op->n_refs == 0 ? NULL : &op->refs[op->n_refs - 1];

	if (!drop && last != NULL && last->segment == segment)
		return true;
	if (op->n_refs == op->max_refs) {
		size_t max = op->max_refs == 0 ? 1 : op->max_refs * 2;
		struct op_ref *refs = reallocarray(op->refs, max, sizeof *refs);

		if (refs == NULL)
			return false;
		op->refs = refs;
		op->max_refs = max;
	}
	op->refs[op->n_refs++] = (struct op_ref){ id, segment, drop, big };
	return true;
}

void
spool_op_free(struct spool_op *op)
{
	if (op == NULL)
		return;
	free(op->frames);
	free(op->refs);
	free(op);
}
