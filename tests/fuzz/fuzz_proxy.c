/* tests/fuzz/fuzz_proxy.c -- headers of the PROXY protocol: bounded, and the same in pieces. */
#include "common/wire/proxy_header.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxy_header h, slow;
	size_t used = 0, slow_used = 0;
	enum rc rc = proxy_header_parse(slice_of(data, size), &h, &used), slow_rc = RC_MORE;

	for (size_t n = 0; n <= size && slow_rc == RC_MORE; n++)
		slow_rc = proxy_header_parse(slice_of(data, n), &slow, &slow_used);
	if (slow_rc != rc)
		abort();
	if (rc != RC_OK)
		return 0;
	if (used != slow_used || used > size || used > PROXY_HEADER_MAX || h.local != slow.local || !ip_eq(h.from, slow.from))
		abort();
	if (h.local != (h.from.family == 0) || h.local != (h.to.family == 0))
		abort();
	return 0;
}
