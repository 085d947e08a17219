/* common/wire/smtp_reply.c -- see smtp_reply.h. */
#include "common/wire/smtp_reply.h"

#include "common/wire/chars.h"

enum { CODE_LEN = 3, HEAD_LEN = 4 };	/* "250" and "250-" */

/* ---- reader -------------------------------------------------------------------------------------------------------*/

/* A line without its CRLF: code, then "-" or a space or nothing (RFC 5321 4.2: text may be missing). */
static bool
line_head(struct slice line, uint16_t *ret_code, bool *ret_last)
{
	if (line.n < CODE_LEN || line.p[0] < '2' || line.p[0] > '5' || !char_is_digit(line.p[1]) ||
	    !char_is_digit(line.p[2]))
		return false;
	if (line.n > CODE_LEN && line.p[CODE_LEN] != ' ' && line.p[CODE_LEN] != '-')
		return false;
	*ret_code = (uint16_t)((line.p[0] - '0') * 100 + (line.p[1] - '0') * 10 + (line.p[2] - '0'));
	*ret_last = line.n == CODE_LEN || line.p[CODE_LEN] == ' ';
	return true;
}

bool
smtp_reply_line_next(struct slice *rest, struct slice *ret_text)
{
	size_t lf = slice_find(*rest, '\n');
	struct slice line = slice_first(*rest, lf);

	if (rest->n == 0)
		return false;
	*rest = slice_from(*rest, lf + 1);
	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	*ret_text = slice_from(line, HEAD_LEN);
	return true;
}

/* One line of [scan->line, lf]; *ret_last: it ends the reply. */
static enum rc
take_line(struct smtp_reply_scan *scan, struct slice buffered, size_t lf, bool *ret_last)
{
	struct slice line = slice_first(slice_from(buffered, scan->line), lf - scan->line);
	uint16_t code;

	if (line.n + 1 > SMTP_REPLY_LINE_MAX || lf + 1 > SMTP_REPLY_BYTES_MAX)
		return RC_RANGE;
	if (line.n == 0 || line.p[line.n - 1] != '\r')
		return RC_SYNTAX;
	if (!line_head(slice_first(line, line.n - 1), &code, ret_last) || (scan->n_lines > 0 && code != scan->code))
		return RC_SYNTAX;
	if (++scan->n_lines > SMTP_REPLY_LINES_MAX)
		return RC_RANGE;
	scan->code = code;
	scan->line = scan->seen = lf + 1;
	return RC_OK;
}

static void
fill_reply(const struct smtp_reply_scan *scan, struct slice whole, struct smtp_reply *r)
{
	struct slice rest = whole, first = { NULL, 0 };

	*r = (struct smtp_reply){ .code = scan->code, .n_lines = scan->n_lines, .lines = whole };
	if (!smtp_reply_line_next(&rest, &first) || enhanced_prefix(first, &r->enhanced) == 0 ||
	    !enhanced_agrees(r->enhanced, r->code))
		r->enhanced = ENHANCED_NONE;
}

enum rc
smtp_reply_parse(struct smtp_reply_scan *scan, struct slice buffered, struct smtp_reply *ret_reply, size_t *ret_used)
{
	bool last = false;
	enum rc rc;

	while (!last) {
		size_t lf = scan->seen + slice_find(slice_from(buffered, scan->seen), '\n');

		if (lf >= buffered.n) {
			scan->seen = buffered.n;
			return buffered.n - scan->line >= SMTP_REPLY_LINE_MAX || buffered.n >= SMTP_REPLY_BYTES_MAX ?
			    RC_RANGE : RC_MORE;
		}
		rc = take_line(scan, buffered, lf, &last);
		if (rc != RC_OK)
			return rc;
	}
	*ret_used = scan->line;
	fill_reply(scan, slice_first(buffered, scan->line), ret_reply);
	*scan = (struct smtp_reply_scan){ 0 };
	return RC_OK;
}

/* Appends s with `?` for everything that is not printable ASCII. */
static void
put_printable(struct buf *to, struct slice s)
{
	uint8_t *at = s.n == 0 ? NULL : buf_reserve(to, s.n);

	if (at == NULL)
		return;
	for (size_t i = 0; i < s.n; i++)
		at[i] = char_is_print(s.p[i]) ? s.p[i] : s.p[i] == '\t' ? ' ' : '?';
	buf_advance(to, s.n);
}

static struct slice
trim(struct slice s)
{
	while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
		s = slice_from(s, 1);
	while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t' || s.p[s.n - 1] == '\r'))
		s.n--;
	return s;
}

/* Does the enhanced code at the front of a line say no more than reply->enhanced? One of X.0.0 in a refusal stays in the words:
 * by itself it could not be told from that of a server which has none (RFC 3461 9.2, queue/dsn.c). */
static bool
is_told(struct enhanced e, const struct smtp_reply *reply)
{
	return enhanced_eq(e, reply->enhanced) && (e.class == 2 || e.subject != 0 || e.detail != 0);
}

bool
smtp_reply_text_put(struct buf *to, const struct smtp_reply *reply, size_t max)
{
	static const struct slice mark = SLICE("...");
	struct slice rest = reply->lines, text;
	size_t used = 0;

	while (smtp_reply_line_next(&rest, &text)) {
		struct enhanced e;
		size_t code = enhanced_prefix(text, &e), room;

		if (code > 0 && is_told(e, reply))
			text = slice_from(text, code);
		text = trim(text);
		if (text.n == 0)
			continue;
		if (used > 0) {
			(void)buf_put_byte(to, ' ');
			used++;
		}
		room = max - used;
		if (text.n >= room && (text.n > room || rest.n > 0)) {
			put_printable(to, slice_first(text, room > mark.n ? room - mark.n : 0));
			return buf_put_slice(to, slice_first(mark, room));
		}
		put_printable(to, text);
		used += text.n;
	}
	return !to->failed;
}

static bool
ehlo_line_parse(struct slice text, struct smtp_ehlo_line *ret_line)
{
	size_t n = 0;

	text = trim(text);
	while (n < text.n && char_is_ldh(text.p[n]))
		n++;
	if (n == 0 || !char_is_alnum(text.p[0]) || (n < text.n && text.p[n] != ' ' && text.p[n] != '='))
		return false;
	for (size_t i = n; i < text.n; i++)
		if (!char_is_print(text.p[i]))
			return false;
	ret_line->keyword = slice_first(text, n);
	ret_line->params = trim(slice_from(text, n + 1));
	return true;
}

bool
smtp_ehlo_next(struct slice *rest, bool *first, struct smtp_ehlo_line *ret_line)
{
	struct slice text;

	while (smtp_reply_line_next(rest, &text)) {
		if (*first)
			*first = false;
		else if (ehlo_line_parse(text, ret_line))
			return true;
	}
	return false;
}

