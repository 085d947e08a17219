/* tests/fuzz/fuzz_mailbox_list.c -- the addresses in a header field: each that is found is one that MAIL would take, and is
 * found again when it is written by itself. */
#include "common/wire/mailbox_list.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const struct address *a)
{
	struct buf text = BUF_INIT(ADDRESS_TEXT_MAX + DOMAIN_LITERAL_MAX);
	struct mailbox_list again;
	struct address b;

	if (a->domain.n == 0)
		abort();
	if ((a->flags & ADDRESS_U_LABELS) == 0) {
		if (!address_put(&text, a))
			abort();
		mailbox_list_begin(&again, buf_slice(&text));
		if (mailbox_list_next(&again, &b) != RC_OK || mailbox_list_next(&again, &b) != RC_NOTFOUND)
			abort();
	}
	buf_free(&text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mailbox_list list;
	struct address a;
	size_t n = 0;

	mailbox_list_begin(&list, slice_of(data, size));
	while (mailbox_list_next(&list, &a) == RC_OK) {
		if (++n > size)
			abort();
		check(&a);
	}
	return 0;
}
