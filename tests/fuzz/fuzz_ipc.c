/* tests/fuzz/fuzz_ipc.c -- bodies of every message between rooms, and the runs nested in them: refused, or encoded back
 * to the same bytes. The first byte chooses the type. */
#include "common/ipc/schema.h"
#include "common/job.h"
#include "common/mail_route.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_runs(struct slice s)
{
	struct rd r = { s, false };
	struct job_rcpt rcpt;
	struct job_result result;
	static struct route_host host;

	while (job_rcpt_next(&r, &rcpt))
		;
	r = (struct rd){ s, false };
	while (job_result_next(&r, &result))
		;
	r = (struct rd){ s, false };
	while (route_host_next(&r, &host))
		if (host.n_addresses > ROUTE_ADDRESSES_MAX || host.name.n > ROUTE_NAME_MAX)
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t space[1 << 20];
	struct slice body;

	if (size == 0 || size > sizeof space)
		return 0;
	body = slice_of(data + 1, size - 1);
#define FUZZ_CODEC(NAME, lower, no, from, to, fds)						\
	if (data[0] == (no)) {									\
		struct rd r = { body, false };							\
		struct wr w = { space, 0, sizeof space, false };				\
		struct lower m;									\
												\
		if (lower##_get(&r, &m) && (lower##_size(&m) != body.n || !lower##_put(&w, &m) ||	\
		    !slice_eq(slice_of(space, w.n), body)))					\
			abort();								\
	}
	IPC_MESSAGES(FUZZ_CODEC)
	check_runs(body);
	return 0;
}
