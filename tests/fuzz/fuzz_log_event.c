/* tests/fuzz/fuzz_log_event.c -- any bytes as an event: refused, or one harmless line in each form. */
#include "log/format.h"

#include <stdlib.h>

static void
check_line(struct slice line, bool json)
{
	if (line.n == 0 || slice_find(line, '\n') != line.n - 1)
		abort();
	for (size_t i = 0; i + 1 < line.n; i++)
		if (line.p[i] < 0x20 || line.p[i] == 0x7f || (!json && line.p[i] > 0x7e))
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd r = { slice_of(data, size), false };
	static struct buf b = BUF_INIT(LOG_LINE_MAX);
	struct l_event m;

	if (!l_event_get(&r, &m) || log_event_check(&m) != NULL)
		return 0;
	for (int form = 0; form < 4; form++) {
		const struct log_form f = { (form & 1) != 0, (form & 2) != 0, "host" };

		buf_clear(&b);
		if (!log_format(&b, &f, ROLE_SMTPD, &m))
			abort();	/* LOG_LINE_MAX is said to be enough */
		check_line(buf_slice(&b), f.json);
	}
	return 0;
}
