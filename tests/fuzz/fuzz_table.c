/* tests/fuzz/fuzz_table.c -- table files of any bytes: loaded or refused with a line, and what was loaded is found. */
#include "common/policy/table.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte chooses the format; the first line is looked up in every way. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice bytes = slice_of(data, size);
	struct table *t = table_new("t");
	struct buf why = BUF_INIT(4096);
	struct table_hit hit;
	struct slice first;
	struct ip ip;
	enum rc rc;

	if (t == NULL || size == 0) {
		table_free(t);
		return 0;
	}
	bytes = slice_from(bytes, 1);
	first = slice_first(bytes, slice_find(bytes, '\n'));
	rc = data[0] == 'p' ? table_load_passwd(t, bytes, 1000, "f", &why) : table_load_text(t, bytes, "f", &why);
	if ((rc != RC_OK) != (buf_len(&why) > 0))
		abort();
	for (size_t i = 0; i < buf_len(&why); i++)
		if (buf_slice(&why).p[i] != '\n' && (buf_slice(&why).p[i] < 0x20 || buf_slice(&why).p[i] > 0x7e))
			abort();
	buf_clear(&why);
	table_warn_text(bytes, "f", &why);
	for (size_t i = 0; i < buf_len(&why); i++)
		if (buf_slice(&why).p[i] != '\n' && (buf_slice(&why).p[i] < 0x20 || buf_slice(&why).p[i] > 0x7e))
			abort();
	(void)table_has_name(t, first, &hit);
	(void)table_has_user(t, first, &hit);
	(void)table_has_mailbox(t, first, first, &hit);
	(void)table_has_null(t, &hit);
	if (ip_parse(first, &ip) == RC_OK && rc == RC_OK && data[0] != 'p' && !table_has_ip(t, ip, &hit))
		abort();
	(void)table_holds_only(t, TABLE_FOR_USERS, &hit);
	buf_clear(&why);
	(void)table_add_account(t, first, 1000, &why);
	buf_free(&why);
	table_free(t);
	return 0;
}
