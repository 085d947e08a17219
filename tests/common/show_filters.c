/* tests/common/show_filters.c -- prints what each room may call: `make filters` keeps it in tests/common/filters.txt. */
#include "tests/common/filters.h"

#include <stdio.h>

int
main(void)
{
	struct buf text = BUF_INIT(1024 * 1024);

	if (!filters_put(&text))
		return 1;
	return fwrite(buf_slice(&text).p, 1, buf_len(&text), stdout) == buf_len(&text) ? 0 : 1;
}
