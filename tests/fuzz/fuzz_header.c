/* tests/fuzz/fuzz_header.c -- headers: the reader in memory, whole and growing, and the watch that streams agree. */
#include "tests/fields.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
watch(struct header_watch *w, struct slice all, size_t step)
{
	header_watch_init(w);
	for (size_t at = 0; at < all.n; at += step)
		header_watch_feed(w, slice_first(slice_from(all, at), step));
	header_watch_end(w);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct header_watch whole, slow;
	struct slice all = slice_of(data, size);
	struct header_iter it, growing;
	struct header_field f, g;
	struct buf value = BUF_INIT(1 << 20);
	size_t n = 0, upto = 0;
	enum rc rc;

	watch(&whole, all, size + 1);
	watch(&slow, all, 1);
	if (whole.n_fields != slow.n_fields || whole.received != slow.received || whole.malformed != slow.malformed ||
	    whole.bytes != slow.bytes || whole.too_long != slow.too_long || whole.message_id != slow.message_id ||
	    whole.utf8 != slow.utf8 ||
	    !slice_eq(header_watch_id(&whole), header_watch_id(&slow)))
		abort();
	header_begin(&it, all, true);
	header_begin(&growing, slice_of(data, 0), false);
	while ((rc = header_next(&it, &f)) == RC_OK) {
		enum rc slowly;

		n++;
		if (f.name.n == 0 || f.raw.n < f.name.n + 1)
			abort();
		buf_clear(&value);
		if (!header_value_put(&value, f.value, 300) || buf_len(&value) > 300)
			abort();
		while ((slowly = header_next(&growing, &g)) == RC_MORE && upto < size) {
			growing.in = slice_of(data, ++upto);
			growing.whole = upto == size;
		}
		if (slowly != RC_OK || !slice_eq(f.raw, g.raw))
			abort();
	}
	if (rc == RC_NOTFOUND && it.body > size)
		abort();
	if (rc == RC_NOTFOUND && !whole.too_long) {
		if (n != whole.n_fields || it.malformed != whole.malformed)
			abort();
		if (fields_count(all, S("Received")) != whole.received)
			abort();
	}
	buf_free(&value);
	return 0;
}
