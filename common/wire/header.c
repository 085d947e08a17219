/* common/wire/header.c -- see header.h. */
#include "common/wire/header.h"

#include "common/wire/chars.h"
#include "common/wire/utf8.h"

static bool
is_wsp(uint8_t c)
{
	return c == ' ' || c == '\t';
}

/* RFC 5322 3.6.8: ftext. */
static bool
is_ftext(uint8_t c)
{
	return char_is_graph(c) && c != ':';
}

/* ---- fields in memory ---------------------------------------------------------------------------------------------*/

void
header_begin(struct header_iter *it, struct slice in, bool whole)
{
	*it = (struct header_iter){ .in = in, .whole = whole };
}

/* Where the CRLF is that ends the line at or behind `from`; in.n when there is none. */
static size_t
find_crlf(struct slice in, size_t from)
{
	for (;;) {
		size_t lf = from + slice_find(slice_from(in, from), '\n');

		if (lf >= in.n)
			return in.n;
		if (lf > 0 && in.p[lf - 1] == '\r')
			return lf - 1;
		from = lf + 1;
	}
}

/* The end of the field at it->at, behind its last CRLF. RC_MORE: not all of it is there. */
static enum rc
field_end(struct header_iter *it, size_t *ret_end)
{
	struct slice in = it->in;
	size_t from = it->seen > it->at + it->colon ? it->seen : it->at + it->colon;

	for (;;) {
		size_t crlf = find_crlf(in, from);

		if (crlf == in.n || (crlf + 2 == in.n && !it->whole)) {
			/* A CR may be the last byte, and what follows a CRLF decides: look at them again. */
			it->seen = crlf == in.n ? (in.n > it->at ? in.n - 1 : in.n) : crlf;
			*ret_end = in.n;
			return it->whole ? RC_OK : RC_MORE;
		}
		from = crlf + 2;
		if (from == in.n || !is_wsp(in.p[from])) {
			*ret_end = from;
			return RC_OK;
		}
	}
}

static enum rc
end_header(struct header_iter *it, size_t body, bool malformed)
{
	it->ended = true;
	it->body = body;
	it->malformed = malformed;
	return RC_NOTFOUND;
}

/* Does a field name start here, in s? it->name: its length; it->colon: behind the colon, which white space may precede
 * (RFC 5322 4.5). RC_MORE: cannot be told yet; what was looked at is not looked at again. */
static enum rc
field_name(struct header_iter *it, struct slice s)
{
	size_t at = it->named;

	if (it->colon > 0)
		return RC_OK;
	for (; at == it->name && at < s.n && at <= HEADER_NAME_BYTES_MAX && is_ftext(s.p[at]); at++)
		it->name++;
	while (at < s.n && at <= HEADER_NAME_BYTES_MAX && is_wsp(s.p[at]))
		at++;
	it->named = at;
	if (at > HEADER_NAME_BYTES_MAX)
		return RC_SYNTAX;
	if (at == s.n)
		return RC_MORE;
	if (it->name == 0 || s.p[at] != ':')
		return RC_SYNTAX;
	it->colon = at + 1;
	return RC_OK;
}

/* The field is over: the next one's name starts at `end`. */
static void
take_field(struct header_iter *it, size_t end, struct header_field *ret_field)
{
	struct slice raw = slice_first(slice_from(it->in, it->at), end - it->at);

	ret_field->raw = raw;
	ret_field->name = slice_first(raw, it->name);
	ret_field->value = slice_from(raw, it->colon);
	if (ret_field->value.n >= 2 && raw.p[raw.n - 1] == '\n' && raw.p[raw.n - 2] == '\r')
		ret_field->value.n -= 2;
	it->at = it->seen = end;
	it->name = it->named = it->colon = 0;
	it->n_fields++;
}

/* No field name starts here, or not all of it is there. */
static enum rc
end_without_name(struct header_iter *it, struct slice rest, enum rc rc)
{
	if (rc == RC_MORE && !it->whole)
		return rest.n > HEADER_BYTES_MAX - it->at ? RC_RANGE : RC_MORE;
	if (rest.n == 0)
		return end_header(it, it->at, false);
	if (!it->whole && rest.n == 1 && rest.p[0] == '\r')
		return RC_MORE;
	return end_header(it, it->at, true);
}

enum rc
header_next(struct header_iter *it, struct header_field *ret_field)
{
	struct slice rest = slice_from(it->in, it->at);
	size_t end;
	enum rc rc;

	if (it->ended)
		return RC_NOTFOUND;
	if (it->named == 0 && slice_starts(rest, S("\r\n")))
		return end_header(it, it->at + 2, false);
	if (it->at >= HEADER_BYTES_MAX || it->n_fields >= HEADER_FIELDS_MAX)
		return rest.n == 0 && it->whole ? end_header(it, it->at, false) : RC_RANGE;
	rc = field_name(it, rest);
	if (rc != RC_OK)
		return end_without_name(it, rest, rc);
	rc = field_end(it, &end);
	if (end > HEADER_BYTES_MAX)
		return RC_RANGE;
	if (rc == RC_OK)
		take_field(it, end, ret_field);
	return rc;
}

bool
header_value_put(struct buf *to, struct slice value, size_t max)
{
	while (value.n > 0 && (is_wsp(value.p[0]) || value.p[0] == '\r' || value.p[0] == '\n'))
		value = slice_from(value, 1);
	while (value.n > 0 && (is_wsp(value.p[value.n - 1]) || value.p[value.n - 1] == '\r' ||
	    value.p[value.n - 1] == '\n'))
		value.n--;
	while (value.n > 0 && max > 0) {
		size_t crlf = find_crlf(value, 0);
		struct slice part = slice_first(slice_first(value, crlf), max);

		(void)buf_put_slice(to, part);
		max -= part.n;
		value = slice_from(value, crlf + 2);
	}
	return !to->failed;
}

/* ---- fields that stream by ----------------------------------------------------------------------------------------*/

enum {
	W_LINE_START,
	W_START_CR,	/* the line began with CR */
	W_NAME,
	W_BEFORE_COLON,	/* white space between name and colon */
	W_VALUE,
	W_VALUE_CR,
};

void
header_watch_init(struct header_watch *w)
{
	*w = (struct header_watch){ .state = W_LINE_START };
}

/* What was gathered is one character, or none. */
static void
end_letter(struct header_watch *w)
{
	if (w->letter_len > 0 && utf8_len(slice_of(w->letter, w->letter_len), 0) == w->letter_len)
		w->field_utf8 = true;
	else if (w->letter_len > 0)
		w->field_other = true;
	w->letter_len = 0;
}

static void
watch_letters(struct header_watch *w, struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		bool goes_on = (s.p[i] & 0xc0) == 0x80;

		if (!goes_on)
			end_letter(w);
		if (s.p[i] > 127 && w->letter_len < sizeof w->letter && (w->letter_len > 0 || !goes_on))
			w->letter[w->letter_len++] = s.p[i];
		else if (s.p[i] > 127)
			w->field_other = true;
	}
}

static void
end_field(struct header_watch *w)
{
	end_letter(w);
	w->utf8 = w->utf8 || (w->field_utf8 && !w->field_other);
	w->field_utf8 = w->field_other = false;
}

static void
watch_end(struct header_watch *w, bool malformed)
{
	end_field(w);
	w->ended = true;
	w->malformed = malformed;
	while (w->id_len > 0 && is_wsp(w->id[w->id_len - 1]))
		w->id_len--;
}

/* A name and its colon were read. */
static void
count_field(struct header_watch *w)
{
	static const struct slice id_name = SLICE("Message-ID");
	const struct { struct slice name; uint32_t *count; } counted[] = {
		{ S("Received"), &w->received },
		{ S("Delivered-To"), &w->delivered_to },
		{ S("From"), &w->from },
		{ S("Date"), &w->date },
		{ id_name, &w->message_id },
	};
	struct slice name = slice_of(w->name, w->name_len);

	end_field(w);
	if (++w->n_fields > HEADER_FIELDS_MAX) {
		w->too_long = true;
		watch_end(w, false);
		return;
	}
	w->keep_id = w->message_id == 0 && slice_caseeq(name, id_name);
	w->keep_tls = !w->tls_seen && slice_caseeq(name, S("TLS-Required"));
	w->tls_seen = w->tls_seen || w->keep_tls;
	w->keep_type = !w->type_seen && slice_caseeq(name, S("Content-Type"));
	w->type_seen = w->type_seen || w->keep_type;
	for (size_t i = 0; i < sizeof counted / sizeof counted[0]; i++)
		if (slice_caseeq(name, counted[i].name))
			++*counted[i].count;
}

static void
keep_id_byte(struct header_watch *w, uint8_t c)
{
	if (w->id_len < HEADER_ID_MAX && (w->id_len > 0 || !is_wsp(c)))
		w->id[w->id_len++] = c;
}

/* A byte of a line's beginning, up to the colon. */
static void
watch_name_byte(struct header_watch *w, uint8_t c)
{
	if (w->state == W_LINE_START && c == '\r') {
		w->state = W_START_CR;
	} else if (w->state == W_LINE_START && is_wsp(c) && w->n_fields > 0) {
		w->state = W_VALUE;
		if (w->keep_id)
			keep_id_byte(w, c);
	} else if (is_ftext(c) && w->state != W_BEFORE_COLON) {
		if (w->state == W_LINE_START)
			w->name_len = w->name_bytes = 0;
		w->state = W_NAME;
		/* One byte more than fits would match no name that is asked for; it is told by its length. */
		if (w->name_len < HEADER_NAME_MAX)
			w->name[w->name_len++] = c;
	} else if (is_wsp(c) && w->state != W_LINE_START) {
		w->state = W_BEFORE_COLON;
	} else if (c == ':' && w->state != W_LINE_START) {
		w->state = W_VALUE;
		count_field(w);
	} else {
		watch_end(w, true);
	}
	if ((w->state == W_NAME || w->state == W_BEFORE_COLON) && ++w->name_bytes > HEADER_NAME_BYTES_MAX && !w->ended)
		watch_end(w, true);
}

/* Of s without white space, what fits. */
static void
keep_word(uint8_t *word, uint8_t *len, size_t max, struct slice s)
{
	for (size_t i = 0; i < s.n && *len < max; i++)
		if (!is_wsp(s.p[i]))
			word[(*len)++] = s.p[i];
}

/* Of a value: everything up to the next CR at one go. Returns the bytes taken. */
static size_t
watch_value(struct header_watch *w, struct slice s)
{
	size_t n = slice_find(s, '\r');

	w->not_text = w->not_text || slice_find(slice_first(s, n), '\n') < n || slice_find(slice_first(s, n), '\0') < n;
	if (w->keep_id)
		for (size_t i = 0; i < n && w->id_len < HEADER_ID_MAX; i++)
			keep_id_byte(w, s.p[i]);
	if (w->keep_tls)
		keep_word(w->tls, &w->tls_len, sizeof w->tls, slice_first(s, n));
	if (w->keep_type)
		keep_word(w->type, &w->type_len, sizeof w->type, slice_first(s, n));
	if (n < s.n) {
		w->state = W_VALUE_CR;
		n++;
	}
	return n;
}

/* Takes bytes in the present state; returns how many, 1 at least. */
static size_t
watch_step(struct header_watch *w, struct slice s)
{
	uint8_t c = s.p[0];

	switch (w->state) {
	case W_VALUE:
		return watch_value(w, s);
	case W_VALUE_CR:
		if (c == '\n')
			w->state = W_LINE_START;
		else
			w->not_text = true;
		if (c != '\n' && c != '\r')
			w->state = W_VALUE;
		return 1;
	case W_START_CR:
		watch_end(w, c != '\n');
		return 1;
	default:
		watch_name_byte(w, c);
		return 1;
	}
}

void
header_watch_feed(struct header_watch *w, struct slice content)
{
	while (content.n > 0 && !w->ended) {
		bool at_start = w->state == W_LINE_START;
		size_t n = watch_step(w, content);

		if (w->ended)
			return;
		watch_letters(w, slice_first(content, n));
		/* The empty line is not counted: its CR waits for the LF that ends the watch. */
		if (!(at_start && w->state == W_START_CR))
			w->bytes += n;
		if (w->bytes > HEADER_BYTES_MAX) {
			w->too_long = true;
			watch_end(w, false);
			return;
		}
		content = slice_from(content, n);
	}
}

void
header_watch_end(struct header_watch *w)
{
	if (!w->ended)
		watch_end(w, w->state == W_START_CR || w->state == W_NAME || w->state == W_BEFORE_COLON);
}
