/* common/nfc.c -- see nfc.h. */
#include "common/nfc.h"

#include "common/wire/utf8.h"

#include <stdlib.h>
#include <uninorm.h>

bool
nfc_put(struct buf *to, struct slice text)
{
	uint8_t *composed = NULL;
	size_t n = 0;

	if (!slice_is_ascii(text))
		composed = u8_normalize(UNINORM_NFC, text.p, text.n, NULL, &n);
	(void)buf_put_slice(to, composed == NULL ? text : slice_of(composed, n));
	free(composed);
	return !to->failed;
}
