/* tests/fuzz/fuzz_command.c -- bytes of a client: cut into lines, whole and in pieces with the same result, and parsed. */
#include "common/wire/date.h"
#include "common/wire/smtp_command.h"
#include "common/wire/smtp_line.h"
#include "common/wire/smtp_param.h"
#include "common/wire/unitext.h"
#include "common/wire/utf8.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LIMIT = 64, EVENTS_MAX = 1024 };

struct event {
	enum smtp_line_result result;
	struct slice line;
};

/* The values of parameters: whatever is taken must be what the grammar allows. */
static void
parse_values(struct slice v)
{
	struct buf text = BUF_INIT(1 << 16), back = BUF_INIT(1 << 18);
	struct slice type, xtext;
	struct smtp_by by;
	enum smtp_ret ret;
	uint32_t seconds;
	int8_t priority;
	int64_t when;
	uint8_t bits;
	uint64_t n;
	bool last;

	(void)smtp_bdat_parse(v, &n, &last);
	(void)smtp_ret_parse(v, &ret);
	(void)smtp_auth_parse(v);
	if (smtp_envid_parse(v) == RC_OK && (v.n == 0 || v.n > SMTP_ENVID_MAX))
		abort();
	if (smtp_orcpt_parse(v, &type, &xtext) == RC_OK && type.n + 1 + xtext.n != v.n)
		abort();
	if (smtp_notify_parse(v, &bits) == RC_OK && (bits == 0 || (bits & SMTP_NOTIFY_NEVER && bits != SMTP_NOTIFY_NEVER)))
		abort();
	if (smtp_by_parse(v, &by) == RC_OK && !by.notify && by.seconds <= 0)
		abort();
	if (smtp_holdfor_parse(v, &seconds) == RC_OK && (seconds == 0 || seconds > 999999999))
		abort();
	if (smtp_priority_parse(v, &priority) == RC_OK && (priority < -9 || priority > 9))
		abort();
	(void)date_rfc3339_parse(v, &when);
	(void)date_rfc5322_is_valid(v);
	/* No line of a report can begin in what xtext stands for. */
	if (smtp_envid_parse(v) == RC_OK && (!smtp_xtext_decode(&text, v) || slice_find(buf_slice(&text), '\n') < buf_len(&text)))
		abort();
	buf_clear(&text);
	/* To ASCII, back, and to ASCII again: nothing is lost on the way. */
	if (v.n < 1000 && smtp_orcpt_parse(v, &type, &xtext) == RC_OK) {
		struct buf again = BUF_INIT(1 << 18);

		if (!unitext_put_ascii(&text, v, "", SIZE_MAX) || !slice_is_ascii(buf_slice(&text)) ||
		    !unitext_put_utf8(&back, buf_slice(&text)) || !utf8_is_visible(buf_slice(&back)) ||
		    !unitext_put_ascii(&again, buf_slice(&back), "", SIZE_MAX) || buf_len(&again) > buf_len(&text))
			abort();
		buf_free(&again);
	}
	buf_free(&text);
	buf_free(&back);
}

static void
parse_line(struct slice line)
{
	struct smtp_command c;
	struct smtp_path path;
	struct smtp_verify verify;
	struct smtp_param param;
	enum smtp_body body;
	uint64_t n;

	if (smtp_command_parse(line, &c) != RC_OK)
		return;
	if (c.verb.n == 0 || c.verb.n + c.arg.n > line.n)
		abort();
	if (smtp_mail_parse(c.arg, &path) == RC_OK || smtp_rcpt_parse(c.arg, &path) == RC_OK) {
		struct slice rest = path.params;
		size_t count = 0;

		while (smtp_param_next(&rest, &param)) {
			parse_values(param.value);
			if (++count > SMTP_PARAMS_MAX || param.keyword.n == 0 || (param.has_value && param.value.n == 0))
				abort();
		}
		if (slice_find(path.params, ' ') == 0 && rest.n > 0 && slice_find(rest, ' ') != 0)
			abort();
	}
	if (smtp_verify_parse(c.arg, &verify) == RC_OK && (verify.name.n == 0 || verify.name.n > c.arg.n))
		abort();
	(void)smtp_size_parse(c.arg, &n);
	(void)smtp_body_parse(c.arg, &body);
	parse_values(c.arg);
}

/* step 0: everything is there at once. The buffer holds LIMIT bytes beyond what is asked for, as a session's does. */
static size_t
scan(struct slice all, size_t step, struct event *events)
{
	struct smtp_line_scan s = { 0 };
	size_t start = 0, end = step == 0 ? all.n : 0, n = 0, used;

	for (;;) {
		struct slice line = { NULL, 0 };
		enum smtp_line_result r = smtp_line_next(&s, slice_of(all.p + start, end - start), LIMIT, &line, &used);

		if (used > end - start)
			abort();
		start += used;
		if (r == SMTP_LINE_MORE) {
			if (end == all.n)
				return n;
			end = all.n - end < step ? all.n : end + step;
			continue;
		}
		if ((r == SMTP_LINE_OK || r == SMTP_LINE_NUL) && line.n + 2 > LIMIT)
			abort();
		if (n < EVENTS_MAX)
			events[n++] = (struct event){ r, line };
		if (r == SMTP_LINE_BARE_CR || r == SMTP_LINE_BARE_LF || r == SMTP_LINE_ENDLESS || n == EVENTS_MAX)
			return n;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct event whole[EVENTS_MAX], pieces[EVENTS_MAX];
	struct slice all = slice_of(data, size);
	size_t n = scan(all, 0, whole);

	for (size_t step = 1; step <= 3; step++) {
		if (scan(all, step, pieces) != n)
			abort();
		for (size_t i = 0; i < n; i++)
			if (whole[i].result != pieces[i].result || !slice_eq(whole[i].line, pieces[i].line))
				abort();
	}
	for (size_t i = 0; i < n; i++)
		if (whole[i].result == SMTP_LINE_OK)
			parse_line(whole[i].line);
	parse_line(all);
	return 0;
}
