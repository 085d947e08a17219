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

/* Is there something in it to be read, that is no longer than a domain may be, and comes back as the same name? */
static bool
is_readable(struct slice unicode, struct slice ascii)
{
	struct buf again = BUF_INIT(DOMAIN_MAX);
	bool same = !slice_is_ascii(unicode) && unicode.n <= DOMAIN_MAX && idn_domain_put(&again, unicode) == RC_OK &&
	    slice_caseeq(buf_slice(&again), ascii);

	buf_free(&again);
	return same;
}

bool
idn_unicode_put(struct buf *to, struct slice domain)
{
	char text[DOMAIN_MAX + 1], *unicode = NULL;

	if (domain.n <= DOMAIN_MAX && slice_find(domain, '\0') == domain.n) {
		for (size_t i = 0; i < domain.n; i++)
			text[i] = (char)ascii_lower(domain.p[i]);
		text[domain.n] = '\0';
		if (idn2_to_unicode_8z8z(text, &unicode, 0) == IDN2_OK && is_readable(slice_str(unicode), domain))
			domain = slice_str(unicode);
	}
	(void)buf_put_slice(to, domain);
	idn2_free(unicode);
	return !to->failed;
}
