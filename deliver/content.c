/* deliver/content.c -- see content.h. */
#include "deliver/content.h"

void
content_init(struct content *c, uint64_t size)
{
	*c = (struct content){ .size = size };
	smtp_data_encoder_init(&c->encoder);
	buf_init(&c->waiting, CONTENT_WAITING_MAX);
}

void
content_free(struct content *c)
{
	buf_free(&c->waiting);
}

enum rc
content_add(struct content *c, struct slice piece)
{
	if (piece.n > c->size - c->arrived || piece.n > buf_room(&c->waiting))
		return RC_RANGE;
	if (!buf_put_slice(&c->waiting, piece))
		return RC_NOMEM;
	c->arrived += piece.n;
	return RC_OK;
}

/* As smtp_data_encode, without encoding. */
static enum rc
copy(struct slice content, struct buf *out, size_t *ret_used)
{
	struct slice part = slice_first(content, buf_room(out));

	if (!buf_put_slice(out, part))
		return RC_NOMEM;
	*ret_used = part.n;
	return part.n < content.n ? RC_AGAIN : RC_OK;
}

enum rc
content_pump(struct content *c, struct buf *out)
{
	size_t used = 0;
	enum rc rc = c->plain ? copy(buf_slice(&c->waiting), out, &used) :
	    smtp_data_encode(&c->encoder, buf_slice(&c->waiting), out, &used);

	buf_consume(&c->waiting, used);
	if (c->arrived < c->size)
		c->earned += (uint32_t)used;
	if (rc != RC_OK)
		return rc;
	if (c->arrived < c->size)
		return RC_MORE;
	return c->plain ? RC_OK : smtp_data_encode_end(&c->encoder, out);
}

uint32_t
content_grant(struct content *c)
{
	uint32_t grant = c->earned;

	if (grant < CONTENT_GRANT_MIN || c->arrived == c->size)
		return 0;
	c->earned = 0;
	return grant;
}
