/* common/wire/smtp_line.c -- see smtp_line.h. */
#include "common/wire/smtp_line.h"

/* A CR in [from, to) of s that is followed by anything but LF; SIZE_MAX: none. A CR that is s's last byte is undecided. */
static size_t
bare_cr(struct slice s, size_t from, size_t to)
{
	while (from < to) {
		size_t cr = from + slice_find(slice_first(slice_from(s, from), to - from), '\r');

		if (cr == to || cr + 1 == s.n)
			return SIZE_MAX;
		if (s.p[cr + 1] != '\n')
			return cr;
		from = cr + 1;
	}
	return SIZE_MAX;
}

/* No LF in sight: keep the bytes, or pass them over when they are too many already. */
static enum smtp_line_result
wait_for_more(struct smtp_line_scan *scan, struct slice s, size_t limit, size_t *ret_used)
{
	size_t keep = s.n > 0 && s.p[s.n - 1] == '\r' ? 1 : 0;

	scan->seen = s.n - keep;
	*ret_used = 0;
	/* What is still to come is a CRLF at least, or its LF. */
	if (scan->discarded == 0 && s.n + 2 - keep <= limit)
		return SMTP_LINE_MORE;
	scan->discarded += s.n - keep;
	scan->seen = 0;
	*ret_used = s.n - keep;
	return scan->discarded > SMTP_LINE_DISCARD_MAX ? SMTP_LINE_ENDLESS : SMTP_LINE_MORE;
}

enum smtp_line_result
smtp_line_next(struct smtp_line_scan *scan, struct slice buffered, size_t limit, struct slice *ret_line,
    size_t *ret_used)
{
	size_t from = scan->seen < buffered.n ? scan->seen : buffered.n;
	size_t lf = from + slice_find(slice_from(buffered, from), '\n');
	size_t cr = bare_cr(buffered, from, lf), end;
	bool nul, is_long;

	if (cr != SIZE_MAX) {
		*ret_used = cr + 1;
		return SMTP_LINE_BARE_CR;
	}
	scan->nul |= slice_find(slice_first(slice_from(buffered, from), lf - from), 0) < lf - from;
	if (lf == buffered.n)
		return wait_for_more(scan, buffered, limit, ret_used);
	*ret_used = lf + 1;
	if ((lf == 0 || buffered.p[lf - 1] != '\r') && !scan->lenient)
		return SMTP_LINE_BARE_LF;
	end = lf == 0 || buffered.p[lf - 1] != '\r' ? lf : lf - 1;
	nul = scan->nul;
	is_long = scan->discarded > 0 || end + 2 > limit;
	*scan = (struct smtp_line_scan){ .lenient = scan->lenient };
	if (is_long)
		return SMTP_LINE_LONG;
	*ret_line = slice_first(buffered, end);
	return nul ? SMTP_LINE_NUL : SMTP_LINE_OK;
}
