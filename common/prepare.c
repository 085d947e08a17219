/* common/prepare.c -- see prepare.h. */
#include "common/prepare.h"

#include <sodium.h>
#include <stdlib.h>
#include <unicase.h>
#include <unictype.h>
#include <uninorm.h>
#include <unistr.h>

static bool
is_plain(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < 0x20 || s.p[i] > 0x7e)
			return false;
	return true;
}

/* RFC 3454 B.1, commonly mapped to nothing. */
static bool
is_nothing(ucs4_t c)
{
	return c == 0xad || c == 0x34f || c == 0x1806 || (c >= 0x180b && c <= 0x180d) || (c >= 0x200b && c <= 0x200d) ||
	    c == 0x2060 || c == 0xfeff || (c >= 0xfe00 && c <= 0xfe0f);
}

/* RFC 3454 C.2 to C.9, by what the characters are. */
static bool
is_refused(ucs4_t c)
{
	return uc_is_general_category_withtable(c, UC_CATEGORY_MASK_Cc | UC_CATEGORY_MASK_Cf | UC_CATEGORY_MASK_Cs |
	    UC_CATEGORY_MASK_Co | UC_CATEGORY_MASK_Cn | UC_CATEGORY_MASK_Zl | UC_CATEGORY_MASK_Zp) ||
	    c == 0x340 || c == 0x341 || (c >= 0xfff9 && c <= 0xfffd) || (c >= 0x2ff0 && c <= 0x2ffb);
}

/* Maps; *to has room for all of the text: nothing becomes longer. False: no UTF-8. */
static bool
map(struct slice text, uint8_t *to, size_t *ret_n)
{
	size_t n = 0;

	while (text.n > 0) {
		ucs4_t c;
		int used = u8_mbtoucr(&c, text.p, text.n);

		if (used <= 0)
			return false;
		/* RFC 3454 C.1.2, spaces that are not ASCII. */
		if (c > 0x7f && uc_is_general_category_withtable(c, UC_CATEGORY_MASK_Zs))
			to[n++] = ' ';
		else if (!is_nothing(c)) {
			memcpy(to + n, text.p, (size_t)used);
			n += (size_t)used;
		}
		text = slice_from(text, (size_t)used);
	}
	*ret_n = n;
	return true;
}

static bool
is_allowed(struct slice text)
{
	while (text.n > 0) {
		ucs4_t c;
		int used = u8_mbtoucr(&c, text.p, text.n);

		if (used <= 0 || is_refused(c))
			return false;
		text = slice_from(text, (size_t)used);
	}
	return true;
}

static enum rc
prepare_unicode(struct slice text, size_t max, struct buf *to)
{
	uint8_t *mapped = malloc(text.n), *folded = NULL;
	size_t n = 0, n_folded = 0;
	enum rc rc = RC_OK;

	if (mapped == NULL)
		return RC_NOMEM;
	if (!map(text, mapped, &n) || n == 0)
		rc = RC_SYNTAX;
	if (rc == RC_OK) {
		folded = u8_normalize(UNINORM_NFKC, mapped, n, NULL, &n_folded);
		if (folded != NULL && !is_allowed(slice_of(folded, n_folded)))
			rc = RC_SYNTAX;
		else if (folded != NULL && n_folded > max)
			rc = RC_RANGE;
		else if (folded == NULL || !buf_put(to, folded, n_folded))
			rc = RC_NOMEM;
	}
	sodium_memzero(mapped, text.n);
	if (folded != NULL)
		sodium_memzero(folded, n_folded);
	free(mapped);
	free(folded);
	return rc;
}

static enum rc
prepare(struct slice text, size_t max, struct buf *to)
{
	if (text.n == 0)
		return RC_SYNTAX;
	if (text.n > max)
		return RC_RANGE;
	if (is_plain(text))
		return buf_put_slice(to, text) ? RC_OK : RC_NOMEM;
	return prepare_unicode(text, max, to);
}

enum rc
prepare_user(struct slice text, struct buf *to)
{
	struct buf name = BUF_INIT(PREPARE_USER_MAX);
	enum rc rc = prepare(text, PREPARE_USER_MAX, &name);

	if (rc == RC_OK && slice_find(buf_slice(&name), ':') < buf_len(&name))
		rc = RC_SYNTAX;
	if (rc == RC_OK && !buf_put_slice(to, buf_slice(&name)))
		rc = RC_NOMEM;
	buf_free(&name);
	return rc;
}

enum rc
prepare_password(struct slice text, struct buf *to)
{
	return prepare(text, PREPARE_PASSWORD_MAX, to);
}

bool
prepare_folded(struct slice text, struct buf *to)
{
	uint8_t *folded = NULL;
	size_t n = 0;

	if (!is_plain(text))
		folded = u8_casefold(text.p, text.n, NULL, UNINORM_NFKC, NULL, &n);
	for (size_t i = 0; folded == NULL && i < text.n; i++)
		(void)buf_put_byte(to, ascii_lower(text.p[i]));
	if (folded != NULL)
		(void)buf_put_slice(to, slice_of(folded, n));
	free(folded);
	return !to->failed;
}
