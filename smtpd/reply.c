/* smtpd/reply.c -- see reply.h. */
#include "smtpd/reply.h"

#include "common/wire/chars.h"
#include "common/wire/enhanced.h"
#include "common/wire/utf8.h"

#include <stdio.h>

static void
put_harmless(struct buf *out, struct slice text)
{
	uint8_t *to = buf_reserve(out, text.n);

	if (to == NULL)
		return;
	for (size_t i = 0; i < text.n; i++)
		to[i] = char_is_print(text.p[i]) ? text.p[i] : '?';
	buf_advance(out, text.n);
}

bool
reply_line(struct buf *out, unsigned code, struct slice enhanced, struct slice text, bool more)
{
	(void)buf_printf(out, "%03u%c", code % 1000, more ? '-' : ' ');
	if (enhanced.n > 0) {
		put_harmless(out, slice_first(enhanced, ENHANCED_TEXT_MAX - 1));
		(void)buf_put_byte(out, ' ');
	}
	put_harmless(out, slice_first(text, REPLY_TEXT_MAX));
	(void)buf_put(out, "\r\n", 2);
	return !out->failed;
}

bool
reply_mailbox(struct buf *out, struct slice mailbox)
{
	if (!utf8_is_visible(mailbox) || mailbox.n > REPLY_TEXT_MAX - 2)
		return reply_line(out, 252, S("2.0.0"), S("It cannot be shown"), false);
	(void)buf_put_str(out, "250 2.1.5 <");
	for (size_t i = 0; i < mailbox.n; i++)
		(void)buf_put_byte(out, char_is_print(mailbox.p[i]) || mailbox.p[i] > 0x7f ? mailbox.p[i] : '?');
	(void)buf_put_str(out, ">\r\n");
	return !out->failed;
}

bool
reply_challenge(struct buf *out, struct slice text)
{
	(void)buf_put_str(out, "334 ");
	(void)buf_put_slice(out, text);
	(void)buf_put(out, "\r\n", 2);
	return !out->failed;
}

static void
copy_text(char *to, size_t size, struct slice s)
{
	size_t n = s.n < size ? s.n : size - 1;

	for (size_t i = 0; i < n; i++)
		to[i] = (char)(char_is_print(s.p[i]) ? s.p[i] : '?');
	to[n] = '\0';
}

void
refusal_set(struct refusal *r, unsigned code, const char *enhanced, const char *text)
{
	r->code = code;
	copy_text(r->enhanced, sizeof r->enhanced, slice_str(enhanced));
	copy_text(r->text, sizeof r->text, slice_str(text));
}

void
refusal_from_room(struct refusal *r, unsigned code, struct slice enhanced, struct slice text)
{
	struct enhanced e = ENHANCED_NONE;

	if (code < 400 || code > 599) {
		refusal_set(r, 451, "4.3.0", "Local trouble, try again later");
		return;
	}
	if (enhanced_parse(enhanced, &e) != RC_OK || !enhanced_agrees(e, code))
		e = enhanced_of_code(code);
	r->code = code;
	(void)enhanced_format(e, r->enhanced);
	copy_text(r->text, sizeof r->text, text.n == 0 ? S("Refused") : text);
}
