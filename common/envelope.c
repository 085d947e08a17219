/* common/envelope.c -- the tagged form of envelope.h. */
#include "common/envelope.h"

enum tag {		/* never reused: they stand in spools */
	TAG_FLAGS = 1, TAG_RECEIVED_AT = 2, TAG_SENDER = 3, TAG_CLIENT = 4, TAG_CLIENT_NAME = 5, TAG_HELO = 6,
	TAG_LISTENER = 7, TAG_PROTO = 8, TAG_MESSAGE_ID = 9, TAG_CAUSE = 10, TAG_RCPT = 11,
	TAG_ENVID = 20, TAG_DELIVER_BY = 21, TAG_HOLD_UNTIL = 22, TAG_PRIORITY = 23, TAG_HOLD_REQUEST = 24, TAG_USER = 25,
	/* inside a recipient */
	TAG_ADDRESS = 1, TAG_ORIGINAL = 2, TAG_TRANSPORT = 3, TAG_NEXTHOP = 4, TAG_GENERATION = 5, TAG_NOTIFY = 6,
	TAG_ORCPT = 7,
};

enum { FIELD_HEAD = 5 };

static void
put_field(struct buf *to, enum tag tag, struct slice value)
{
	uint8_t head[FIELD_HEAD];
	struct wr w = { head, 0, sizeof head, false };

	wr_u8(&w, (uint8_t)tag);
	wr_u32(&w, (uint32_t)value.n);
	(void)buf_put(to, head, sizeof head);
	(void)buf_put_slice(to, value);
}

static void
put_text(struct buf *to, enum tag tag, struct slice value)
{
	if (value.n > 0)
		put_field(to, tag, value);
}

static void
put_number(struct buf *to, enum tag tag, uint64_t v, size_t width)
{
	uint8_t b[8];
	struct wr w = { b, 0, sizeof b, false };

	wr_uint(&w, v, width);
	put_field(to, tag, slice_of(b, w.n));
}

/* Most messages have none of them: they cost nothing then. */
static void
put_extensions(struct buf *to, const struct envelope *e)
{
	put_text(to, TAG_ENVID, e->envid);
	if (e->deliver_by != 0)
		put_number(to, TAG_DELIVER_BY, (uint64_t)e->deliver_by, 8);
	if (e->hold_until != 0)
		put_number(to, TAG_HOLD_UNTIL, (uint64_t)e->hold_until, 8);
	put_text(to, TAG_HOLD_REQUEST, e->hold_request);
	put_text(to, TAG_USER, e->user);
	if (e->priority != 0)
		put_number(to, TAG_PRIORITY, (uint8_t)e->priority, 1);
}

bool
envelope_put(struct buf *to, const struct envelope *e)
{
	put_number(to, TAG_FLAGS, e->flags, 4);
	put_number(to, TAG_RECEIVED_AT, (uint64_t)e->received_at, 8);
	put_field(to, TAG_SENDER, e->sender);
	if (e->client.family != 0) {
		uint8_t b[1 + sizeof e->client.b];

		b[0] = e->client.family;
		memcpy(b + 1, e->client.b, sizeof e->client.b);
		put_field(to, TAG_CLIENT, slice_of(b, sizeof b));
	}
	put_text(to, TAG_CLIENT_NAME, e->client_name);
	put_text(to, TAG_HELO, e->helo);
	put_text(to, TAG_LISTENER, e->listener);
	put_text(to, TAG_PROTO, e->proto);
	put_text(to, TAG_MESSAGE_ID, e->message_id);
	put_text(to, TAG_CAUSE, e->cause);
	put_extensions(to, e);
	return !to->failed;
}

static size_t
text_size(struct slice s)
{
	return s.n == 0 ? 0 : FIELD_HEAD + s.n;
}

bool
envelope_put_rcpt(struct buf *to, const struct envelope_rcpt *r)
{
	uint8_t head[FIELD_HEAD];
	struct wr w = { head, 0, sizeof head, false };
	size_t n = FIELD_HEAD + r->address.n + text_size(r->original) + text_size(r->transport) +
	    text_size(r->nexthop) + FIELD_HEAD + 4 + (r->notify == 0 ? 0 : FIELD_HEAD + 1) + text_size(r->orcpt);

	wr_u8(&w, TAG_RCPT);
	wr_u32(&w, (uint32_t)n);
	(void)buf_put(to, head, sizeof head);
	put_field(to, TAG_ADDRESS, r->address);
	put_text(to, TAG_ORIGINAL, r->original);
	put_text(to, TAG_TRANSPORT, r->transport);
	put_text(to, TAG_NEXTHOP, r->nexthop);
	put_number(to, TAG_GENERATION, r->generation, 4);
	if (r->notify != 0)
		put_number(to, TAG_NOTIFY, r->notify, 1);
	put_text(to, TAG_ORCPT, r->orcpt);
	return !to->failed;
}

static uint64_t
number_of(struct slice value, size_t width, bool *bad)
{
	struct rd r = { value, false };
	uint64_t v = rd_uint(&r, width);

	if (!rd_end(&r))
		*bad = true;
	return v;
}

bool
envelope_text_fits(struct slice text)
{
	if (text.n > ENVELOPE_TEXT_MAX)
		return false;
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] == '\r' || text.p[i] == '\n' || text.p[i] == 0)
			return false;
	return true;
}

static struct slice
text_of(struct slice value, bool *bad)
{
	if (!envelope_text_fits(value))
		*bad = true;
	return value;
}

static struct ip
client_of(struct slice value, bool *bad)
{
	struct ip ip = { 0, { 0 } };

	if (value.n != 1 + sizeof ip.b || (value.p[0] != 4 && value.p[0] != 6)) {
		*bad = true;
		return ip;
	}
	ip.family = value.p[0];
	memcpy(ip.b, value.p + 1, sizeof ip.b);
	return ip;
}

/* NEVER stands alone (RFC 3461 4.1). */
static uint8_t
notify_of(struct slice value, bool *bad)
{
	uint64_t v = number_of(value, 1, bad);

	if (v > NOTIFY_ALL || ((v & NOTIFY_NEVER) != 0 && v != NOTIFY_NEVER))
		*bad = true;
	return (uint8_t)v;
}

static int8_t
priority_of(struct slice value, bool *bad)
{
	int8_t v = (int8_t)number_of(value, 1, bad);

	if (v < PRIORITY_MIN || v > PRIORITY_MAX)
		*bad = true;
	return v;
}

static bool
rcpt_parse(struct slice bytes, struct envelope_rcpt *ret_r)
{
	struct rd r = { bytes, false };
	bool bad = false;

	*ret_r = (struct envelope_rcpt){ .generation = 0 };
	while (r.s.n > 0 && !r.bad) {
		uint8_t tag = rd_u8(&r);
		struct slice value = rd_str(&r);

		if (r.bad)
			break;
		switch (tag) {
		case TAG_ADDRESS:
			ret_r->address = text_of(value, &bad);
			break;
		case TAG_ORIGINAL:
			ret_r->original = text_of(value, &bad);
			break;
		case TAG_TRANSPORT:
			ret_r->transport = text_of(value, &bad);
			break;
		case TAG_NEXTHOP:
			ret_r->nexthop = text_of(value, &bad);
			break;
		case TAG_GENERATION:
			ret_r->generation = (uint32_t)number_of(value, 4, &bad);
			break;
		case TAG_NOTIFY:
			ret_r->notify = notify_of(value, &bad);
			break;
		case TAG_ORCPT:
			ret_r->orcpt = text_of(value, &bad);
			break;
		default:
			break;
		}
	}
	return !r.bad && !bad && ret_r->address.n > 0;
}

bool
envelope_rcpt_next(struct slice *rest, struct envelope_rcpt *ret_r)
{
	struct rd r = { *rest, false };

	while (r.s.n > 0 && !r.bad) {
		uint8_t tag = rd_u8(&r);
		struct slice value = rd_str(&r);

		if (!r.bad && tag == TAG_RCPT && rcpt_parse(value, ret_r)) {
			*rest = r.s;
			return true;
		}
	}
	*rest = slice_of(NULL, 0);
	return false;
}

static void
parse_extension(uint8_t tag, struct slice value, struct envelope *e, bool *bad)
{
	switch (tag) {
	case TAG_ENVID:
		e->envid = text_of(value, bad);
		break;
	case TAG_DELIVER_BY:
		e->deliver_by = (int64_t)number_of(value, 8, bad);
		break;
	case TAG_HOLD_UNTIL:
		e->hold_until = (int64_t)number_of(value, 8, bad);
		break;
	case TAG_HOLD_REQUEST:
		e->hold_request = text_of(value, bad);
		break;
	case TAG_USER:
		e->user = text_of(value, bad);
		break;
	default:
		e->priority = priority_of(value, bad);
		break;
	}
}

bool
envelope_add_flags(uint8_t *bytes, size_t n, uint32_t flags)
{
	struct rd r = { slice_of(bytes, n), false };

	while (r.s.n > 0 && !r.bad) {
		uint8_t tag = rd_u8(&r);
		struct slice value = rd_str(&r);

		if (!r.bad && tag == TAG_FLAGS && value.n == 4) {
			struct wr w = { bytes + (value.p - bytes), 0, 4, false };
			bool bad = false;

			wr_u32(&w, (uint32_t)number_of(value, 4, &bad) | flags);
			return true;
		}
	}
	return false;
}

enum rc
envelope_parse(struct slice bytes, struct envelope *ret_e)
{
	struct envelope e = { .flags = 0 };
	struct rd r = { bytes, false };
	struct envelope_rcpt rcpt;
	bool bad = false, sender = false;

	if (bytes.n > ENVELOPE_BYTES_MAX)
		return RC_RANGE;
	while (r.s.n > 0 && !r.bad) {
		const uint8_t *start = r.s.p;
		uint8_t tag = rd_u8(&r);
		struct slice value = rd_str(&r);

		if (r.bad)
			break;
		switch (tag) {
		case TAG_FLAGS:
			e.flags = (uint32_t)number_of(value, 4, &bad);
			break;
		case TAG_RECEIVED_AT:
			e.received_at = (int64_t)number_of(value, 8, &bad);
			break;
		case TAG_SENDER:
			e.sender = text_of(value, &bad);
			sender = true;
			break;
		case TAG_CLIENT:
			e.client = client_of(value, &bad);
			break;
		case TAG_CLIENT_NAME:
			e.client_name = text_of(value, &bad);
			break;
		case TAG_HELO:
			e.helo = text_of(value, &bad);
			break;
		case TAG_LISTENER:
			e.listener = text_of(value, &bad);
			break;
		case TAG_PROTO:
			e.proto = text_of(value, &bad);
			break;
		case TAG_MESSAGE_ID:
			e.message_id = text_of(value, &bad);
			break;
		case TAG_CAUSE:
			e.cause = text_of(value, &bad);
			break;
		case TAG_ENVID:
		case TAG_DELIVER_BY:
		case TAG_HOLD_UNTIL:
		case TAG_PRIORITY:
		case TAG_HOLD_REQUEST:
		case TAG_USER:
			parse_extension(tag, value, &e, &bad);
			break;
		case TAG_RCPT:
			if (!rcpt_parse(value, &rcpt))
				bad = true;
			if (e.n_rcpts++ == 0)
				e.rcpts.p = start;
			e.rcpts.n = (size_t)(r.s.p - e.rcpts.p);
			break;
		default:
			break;
		}
	}
	if (r.bad || bad || !sender)
		return RC_SYNTAX;
	*ret_e = e;
	return RC_OK;
}
