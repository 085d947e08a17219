/* tests/fuzz/fuzz_conf_blob.c -- the configuration as it travels: refused, or encoded again to something that stays. */
#include "common/conf.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf once = BUF_INIT(1 << 22), twice = BUF_INIT(1 << 22);
	struct conf *c = NULL, *d = NULL;
	uint64_t v;

	(void)conf_time_parse(slice_of(data, size), &v);
	(void)conf_size_parse(slice_of(data, size), &v);
	if (conf_decode(slice_of(data, size), &c) != RC_OK)
		return 0;
	if (!conf_encode(c, &once) || conf_decode(buf_slice(&once), &d) != RC_OK || !conf_encode(d, &twice) ||
	    !slice_eq(buf_slice(&once), buf_slice(&twice)))
		abort();
	conf_unref(c);
	conf_unref(d);
	buf_free(&once);
	buf_free(&twice);
	return 0;
}
