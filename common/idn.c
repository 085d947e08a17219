/* common/idn.c -- see idn.h: the one file that knows libidn2. */
#include "common/idn.h"

#include "common/wire/domain.h"
#include "common/wire/utf8.h"

#include <idn2.h>

/* libidn2 wants a C string, and knows no limit of its own. */
enum { IDN_TEXT_MAX = 4 * DOMAIN_MAX };

enum rc
idn_domain_put(struct buf *to, struct slice domain)
{
	char text[IDN_TEXT_MAX + 1];
	uint8_t *ascii = NULL;
	enum rc rc;
	int error;

	if (slice_is_ascii(domain))
		return domain_put(to, domain);
	if (domain.n > IDN_TEXT_MAX)
		return RC_RANGE;
	if (!utf8_is_visible(domain) || slice_find(domain, '\0') < domain.n)
		return RC_SYNTAX;
	memcpy(text, domain.p, domain.n);
	text[domain.n] = '\0';
	error = idn2_lookup_u8((const uint8_t *)text, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
	if (error == IDN2_MALLOC)
		return RC_NOMEM;
	if (error == IDN2_TOO_BIG_DOMAIN || error == IDN2_TOO_BIG_LABEL || error == IDN2_PUNYCODE_BIG_OUTPUT)
		return RC_RANGE;
	if (error != IDN2_OK)
		return RC_SYNTAX;
	rc = domain_put(to, slice_str((const char *)ascii));
	idn2_free(ascii);
	return rc;
}
