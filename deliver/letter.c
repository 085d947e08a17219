/* deliver/letter.c -- see letter.h. */
#include "deliver/letter.h"

enum { AT_LINE, NAME, VALUE, MAYBE_END, BODY };

static const struct slice return_path = SLICE("Return-Path"), delivered_to = SLICE("Delivered-To");

void
letter_init(struct letter *l, struct letter_rcpt *rcpts, size_t n_rcpts)
{
	*l = (struct letter){ .rcpts = rcpts, .n_rcpts = n_rcpts, .state = AT_LINE };
	buf_init(&l->value, LETTER_VALUE_MAX);
}

void
letter_free(struct letter *l)
{
	buf_free(&l->value);
}

/* --- CRLF to LF, across pieces --- */

static void
put_lines(struct letter *l, struct slice s, struct buf *to)
{
	if (l->plain) {
		(void)buf_put_slice(to, s);
		return;
	}
	while (s.n > 0) {
		size_t cr;

		if (l->cr) {
			l->cr = false;
			if (s.p[0] != '\n')
				(void)buf_put_byte(to, '\r');
		}
		cr = slice_find(s, '\r');
		(void)buf_put(to, s.p, cr);
		l->cr = cr < s.n;
		s = slice_from(s, cr + l->cr);
	}
}

/* --- the header, a byte at a time --- */

static void
check_loop(struct letter *l)
{
	struct buf line = BUF_INIT(LETTER_VALUE_MAX);
	struct slice value;

	if (!l->capturing)
		return;
	l->capturing = false;
	if (!l->value.failed && header_value_put(&line, slice_from(buf_slice(&l->value), 1), LETTER_VALUE_MAX)) {
		value = buf_slice(&line);
		for (size_t i = 0; i < l->n_rcpts; i++)
			if (slice_caseeq(value, l->rcpts[i].address))
				l->rcpts[i].loops = true;
	}
	buf_free(&line);
	buf_clear(&l->value);
}

static void
put_name(struct letter *l, struct buf *to)
{
	put_lines(l, slice_of(l->name, l->name_len), to);
	l->name_len = 0;
}

static void
begin_body(struct letter *l, struct buf *to)
{
	check_loop(l);
	put_name(l, to);
	l->state = BODY;
}

static void
at_line(struct letter *l, uint8_t c, struct buf *to)
{
	if (c == '\r') {
		l->state = MAYBE_END;
	} else if ((c == ' ' || c == '\t') && l->seen > 0) {
		l->state = VALUE;
	} else {
		check_loop(l);
		l->dropping = false;
		if (c <= ' ' || c >= 0x7f || c == ':') {
			begin_body(l, to);	/* no field: the header ends before it (common/wire/header.h) */
		} else {
			l->name[0] = c;
			l->name_len = 1;
			l->state = NAME;
		}
	}
}

static void
in_name(struct letter *l, uint8_t c, struct buf *to)
{
	struct slice name = { l->name, l->name_len };

	if (c == ':') {
		while (name.n > 0 && (name.p[name.n - 1] == ' ' || name.p[name.n - 1] == '\t'))
			name.n--;	/* RFC 5322 4.5 allows white space before the colon */
		l->dropping = slice_caseeq(name, return_path);
		l->capturing = slice_caseeq(name, delivered_to);
		l->state = VALUE;
		if (l->dropping)
			l->name_len = 0;
		put_name(l, to);
	} else if (c < ' ' && c != '\t') {
		begin_body(l, to);
	} else if (l->name_len == sizeof l->name) {
		put_name(l, to);
		l->state = VALUE;	/* longer than any name that matters here */
	} else {
		l->name[l->name_len++] = c;
	}
}

/* Returns false when the byte belongs to the body, and was not taken. */
static bool
header_byte(struct letter *l, uint8_t c, struct buf *to)
{
	switch (l->state) {
	case AT_LINE:
		at_line(l, c, to);
		break;
	case NAME:
		in_name(l, c, to);
		break;
	case MAYBE_END:
		begin_body(l, to);
		put_lines(l, S("\r"), to);
		return false;
	}
	if (l->state == BODY)
		return false;
	l->seen++;
	if (l->state == VALUE) {
		if (l->capturing)
			(void)buf_put_byte(&l->value, c);
		if (!l->dropping)
			put_lines(l, slice_of(&c, 1), to);
		if (c == '\n')
			l->state = AT_LINE;
	}
	if (l->seen >= HEADER_BYTES_MAX && (l->state == VALUE || l->state == AT_LINE)) {
		l->dropping = false;
		begin_body(l, to);
	}
	return true;
}

bool
letter_feed(struct letter *l, struct slice piece, struct buf *to)
{
	size_t i = 0;

	while (i < piece.n && l->state != BODY && header_byte(l, piece.p[i], to))
		i++;
	put_lines(l, slice_from(piece, i), to);
	return !to->failed;
}

bool
letter_end(struct letter *l, struct buf *to)
{
	if (l->state != BODY) {
		bool held = l->state == MAYBE_END;

		begin_body(l, to);
		if (held)
			put_lines(l, S("\r"), to);
	}
	if (l->cr)
		(void)buf_put_byte(to, '\r');
	l->cr = false;
	return !to->failed;
}

bool
letter_head(struct buf *to, struct slice sender, struct slice rcpt)
{
	(void)buf_put_str(to, "Return-Path: <");
	(void)buf_put_slice(to, sender);
	(void)buf_put_str(to, ">\nDelivered-To: ");
	(void)buf_put_slice(to, rcpt);
	(void)buf_put_byte(to, '\n');
	return !to->failed;
}

bool
letter_address_valid(struct slice address)
{
	if (address.n > LETTER_ADDRESS_MAX)
		return false;
	for (size_t i = 0; i < address.n; i++)
		if (address.p[i] < 0x20 || address.p[i] == 0x7f)
			return false;
	return true;
}
