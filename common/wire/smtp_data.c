/* common/wire/smtp_data.c -- see smtp_data.h. Scans with memchr and copies whole runs between stuffed dots: this is the
 * path that every message byte takes. */
#include "common/wire/smtp_data.h"

enum {
	AT_LINE_START,
	AFTER_BARE_LF,	/* normalised: the start of a line, whose dot is stuffed but never the end of the message */
	IN_LINE,
	AFTER_CR,
	AFTER_DOT,	/* of a line that starts with it; the dot is not content */
	AFTER_DOT_CR,	/* the CR is held back: content only if no LF follows */
	AT_END,
	REFUSED,	/* encoder: the content is not canonical */
};

/* ---- decoder ------------------------------------------------------------------------------------------------------*/

struct decoding {
	struct smtp_data_decoder *d;
	const uint8_t *p, *end;
	const uint8_t *run;	/* content up to p that is not copied yet */
	uint8_t *out;		/* NULL: thrown away */
	size_t out_n;
};

void
smtp_data_decoder_init(struct smtp_data_decoder *d, size_t line_limit)
{
	*d = (struct smtp_data_decoder){ .line_limit = line_limit, .state = AT_LINE_START };
}

void
smtp_data_decoder_init_plain(struct smtp_data_decoder *d, size_t line_limit)
{
	*d = (struct smtp_data_decoder){ .line_limit = line_limit, .plain = true, .state = AT_LINE_START };
}

void
smtp_data_decoder_end(struct smtp_data_decoder *d)
{
	if (d->state == AFTER_CR)
		d->bare_cr++;
	d->state = AT_END;
}

static bool
has_high_bit(const uint8_t *p, size_t n)
{
	uint64_t all = 0, word;
	size_t i = 0;

	for (; i + sizeof word <= n; i += sizeof word) {
		memcpy(&word, p + i, sizeof word);
		all |= word;
	}
	for (; i < n; i++)
		all |= p[i];
	return (all & UINT64_C(0x8080808080808080)) != 0;
}

static uint64_t
count_nul(const uint8_t *p, const uint8_t *end)
{
	uint64_t n = 0;

	while (p < end && (p = memchr(p, 0, (size_t)(end - p))) != NULL) {
		n++;
		p++;
	}
	return n;
}

/* Appends content; everything that is counted by the byte is counted here, so nothing behind the end is. */
static void
emit(struct decoding *c, const uint8_t *p, size_t n)
{
	if (n == 0)
		return;
	c->d->size += n;
	c->d->nul += count_nul(p, p + n);
	if (!c->d->eight_bit)
		c->d->eight_bit = has_high_bit(p, n);
	if (c->out != NULL)
		memcpy(c->out + c->out_n, p, n);
	c->out_n += n;
}

static void
emit_run(struct decoding *c)
{
	emit(c, c->run, (size_t)(c->p - c->run));
	c->run = c->p;
}

static void
add_to_line(struct smtp_data_decoder *d, size_t n)
{
	bool was_long = d->line > d->line_limit;

	d->line += n;
	if (d->line > d->longest_line)
		d->longest_line = d->line;
	if (!was_long && d->line > d->line_limit)
		d->long_lines++;
}

static void
end_line(struct smtp_data_decoder *d)
{
	d->line = 0;
	d->state = AT_LINE_START;
}

/* c->p is behind a bare LF. */
static void
mend_line(struct decoding *c)
{
	c->p--;
	emit_run(c);
	emit(c, (const uint8_t *)"\r\n", 2);
	add_to_line(c->d, 1);
	c->run = ++c->p;
	end_line(c->d);
	c->d->state = AFTER_BARE_LF;
}

/* From anywhere in a line to behind its LF, or to the end of the input. */
static void
decode_line(struct decoding *c)
{
	struct smtp_data_decoder *d = c->d;
	const uint8_t *lf = memchr(c->p, '\n', (size_t)(c->end - c->p));
	const uint8_t *stop = lf == NULL ? c->end : lf;
	const uint8_t *cr = memchr(c->p, '\r', (size_t)(stop - c->p));

	while (cr != NULL && cr + 1 < stop) {
		d->bare_cr++;
		cr = memchr(cr + 1, '\r', (size_t)(stop - cr - 1));
	}
	add_to_line(d, (size_t)(stop - c->p));
	c->p = stop;
	if (lf == NULL) {
		d->state = cr == NULL ? IN_LINE : AFTER_CR;
		return;
	}
	add_to_line(d, 1);
	c->p++;
	if (cr != NULL)
		end_line(d);
	else if (d->normalise)
		mend_line(c);
	else {
		d->bare_lf++;
		d->state = IN_LINE;
	}
}

/* One step: at least one byte is consumed, or the state moves towards one that consumes. */
static void
decode_step(struct decoding *c)
{
	struct smtp_data_decoder *d = c->d;

	switch (d->state) {
	case AT_LINE_START:
		if (*c->p != '.' || d->plain) {
			decode_line(c);
			break;
		}
		emit_run(c);
		c->run = ++c->p;
		d->state = AFTER_DOT;
		break;
	case AFTER_BARE_LF:
		d->state = IN_LINE;
		if (*c->p == '.' && !d->plain) {
			emit_run(c);
			c->run = ++c->p;
		}
		break;
	case AFTER_CR:
		d->state = IN_LINE;
		if (*c->p != '\n') {
			d->bare_cr++;
			break;
		}
		c->p++;
		add_to_line(d, 1);
		end_line(d);
		break;
	case AFTER_DOT:
		d->state = IN_LINE;
		if (*c->p == '\r') {
			c->run = ++c->p;
			d->state = AFTER_DOT_CR;
		}
		break;
	case AFTER_DOT_CR:
		if (*c->p == '\n') {
			c->run = ++c->p;
			d->state = AT_END;
			break;
		}
		d->bare_cr++;
		add_to_line(d, 1);
		emit(c, (const uint8_t *)"\r", 1);
		d->state = IN_LINE;
		break;
	default:
		decode_line(c);
		break;
	}
}

enum rc
smtp_data_decode(struct smtp_data_decoder *d, struct slice in, struct buf *to, size_t *ret_used)
{
	struct decoding c = { .d = d };
	size_t take = in.n;

	*ret_used = 0;
	if (d->state == AT_END)
		return RC_OK;
	if (in.n == 0)
		return RC_MORE;
	if (to != NULL) {
		/* Content is never longer than its stuffed form, but for a CR held back from an earlier call; and twice as
		 * long where it is LFs that become CRLF. */
		size_t grow = d->normalise ? 2 : 1;

		if (buf_room(to) < 1 + grow)
			return RC_AGAIN;
		if (take > (buf_room(to) - 1) / grow)
			take = (buf_room(to) - 1) / grow;
		c.out = buf_reserve(to, take * grow + 1);
		if (c.out == NULL)
			return RC_NOMEM;
	}
	c.p = c.run = in.p;
	c.end = in.p + take;
	while (c.p < c.end && d->state != AT_END)
		decode_step(&c);
	emit_run(&c);
	if (to != NULL)
		buf_advance(to, c.out_n);
	*ret_used = (size_t)(c.p - in.p);
	if (d->state == AT_END)
		return RC_OK;
	return take < in.n ? RC_AGAIN : RC_MORE;
}

/* ---- encoder ------------------------------------------------------------------------------------------------------*/

void
smtp_data_encoder_init(struct smtp_data_encoder *e)
{
	e->state = AT_LINE_START;
}

/* How much content surely fits into room: a line that needs a dot has three bytes at least, the first and the last
 * line of a piece perhaps fewer, and a CR may have been held back. */
static size_t
fitting(size_t room, size_t n)
{
	size_t max = room < 8 ? 0 : (room - 4) / 4 * 3;

	return n < max ? n : max;
}

static size_t
copy(uint8_t *out, const uint8_t *from, const uint8_t *to)
{
	memcpy(out, from, (size_t)(to - from));
	return (size_t)(to - from);
}

/* Encodes [p, end) to out, which has room for the worst. Stops at what is not canonical. Returns where it stopped. */
static const uint8_t *
encode_piece(struct smtp_data_encoder *e, const uint8_t *p, const uint8_t *end, uint8_t *out, size_t *ret_n)
{
	const uint8_t *run = p, *lf, *stop;
	size_t n = 0;

	if (p < end && e->state == AFTER_CR) {
		if (*p != '\n') {
			e->state = REFUSED;
			*ret_n = 0;
			return p;
		}
		out[n++] = '\r';
		p++;
		e->state = AT_LINE_START;
	}
	while (p < end) {
		if (e->state == AT_LINE_START && *p == '.') {
			n += copy(out + n, run, p);
			run = p;
			out[n++] = '.';
		}
		lf = memchr(p, '\n', (size_t)(end - p));
		stop = lf == NULL ? end : lf;
		const uint8_t *cr = memchr(p, '\r', (size_t)(stop - p));

		if (cr != NULL ? cr + 1 != stop : lf != NULL) {
			p = cr != NULL ? cr : stop;
			e->state = REFUSED;
			break;
		}
		if (lf == NULL) {
			e->state = cr == NULL ? IN_LINE : AFTER_CR;
			n += copy(out + n, run, cr == NULL ? end : cr);
			*ret_n = n;
			return end;
		}
		e->state = AT_LINE_START;
		p = lf + 1;
	}
	n += copy(out + n, run, p);
	*ret_n = n;
	return p;
}

enum rc
smtp_data_encode(struct smtp_data_encoder *e, struct slice content, struct buf *to, size_t *ret_used)
{
	size_t take = fitting(buf_room(to), content.n), n;
	const uint8_t *at;
	uint8_t *out;

	*ret_used = 0;
	if (e->state == REFUSED || e->state == AT_END)
		return RC_SYNTAX;
	if (content.n == 0)
		return RC_OK;
	if (take == 0)
		return RC_AGAIN;
	out = buf_reserve(to, take + (take + 2) / 3 + 2);
	if (out == NULL)
		return RC_NOMEM;
	at = encode_piece(e, content.p, content.p + take, out, &n);
	buf_advance(to, n);
	*ret_used = (size_t)(at - content.p);
	if (e->state == REFUSED)
		return RC_SYNTAX;
	return take < content.n ? RC_AGAIN : RC_OK;
}

enum rc
smtp_data_encode_end(struct smtp_data_encoder *e, struct buf *to)
{
	static const struct slice end = SLICE("\r\n.\r\n");
	struct slice s = end;

	if (e->state != AT_LINE_START && e->state != IN_LINE) {
		e->state = REFUSED;
		return RC_SYNTAX;
	}
	if (e->state == AT_LINE_START)
		s = slice_from(end, 2);
	if (buf_room(to) < s.n)
		return RC_AGAIN;
	if (!buf_put_slice(to, s))
		return RC_NOMEM;
	e->state = AT_END;
	return RC_OK;
}
