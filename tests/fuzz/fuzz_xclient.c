/* tests/fuzz/fuzz_xclient.c -- what a proxy says by XCLIENT: printable and bounded. */
#include "common/wire/xclient.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const struct xclient_text *t)
{
	if (t->n > XCLIENT_VALUE_MAX || strlen(t->text) != t->n || (t->n > 0 && !t->given))
		abort();
	for (size_t i = 0; i < t->n; i++)
		if (t->text[i] < 0x20 || t->text[i] > 0x7e)
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct xclient x;

	if (xclient_parse(slice_of(data, size), &x) != RC_OK)
		return 0;
	check(&x.name);
	check(&x.helo);
	check(&x.login);
	if (x.addr.family != 0 && !x.addr_given)
		abort();
	return 0;
}
