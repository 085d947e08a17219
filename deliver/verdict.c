/* deliver/verdict.c -- see verdict.h. */
#include "deliver/verdict.h"

#include "common/wire/chars.h"
#include "deliver/reply_policy.h"

#include <stdarg.h>
#include <stdio.h>

void
verdict_add(struct verdict *v, struct slice words)
{
	if (words.n == 0 || v->n + 2 >= sizeof v->text)
		return;
	if (v->n > 0) {
		v->text[v->n++] = ':';
		v->text[v->n++] = ' ';
	}
	for (size_t i = 0; i < words.n && v->n < sizeof v->text; i++)
		v->text[v->n++] = (char)(char_is_print(words.p[i]) ? words.p[i] : '?');
}

void
verdict_say(struct verdict *v, enum session_end end, uint16_t code, struct enhanced enhanced, const char *format, ...)
{
	char words[JOB_TEXT_MAX + 1];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(words, sizeof words, format, args);
	va_end(args);
	*v = (struct verdict){ .end = end, .code = code, .enhanced = enhanced };
	if (n > 0)
		verdict_add(v, slice_of(words, (size_t)n < sizeof words ? (size_t)n : sizeof words - 1));
}

void
verdict_quote(struct verdict *v, enum session_end end, const struct smtp_reply *reply)
{
	struct buf words = BUF_INIT(JOB_TEXT_MAX);

	*v = (struct verdict){ .end = end, .code = reply->code };
	v->enhanced = reply_enhanced(reply, end == SESSION_PERMANENT ? JOB_FAILED : JOB_DEFERRED);
	(void)smtp_reply_text_put(&words, reply, JOB_TEXT_MAX);
	verdict_add(v, buf_slice(&words));
	buf_free(&words);
}
