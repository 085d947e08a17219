/* common/policy/address.h -- an address of a query in canonical text, taken apart for matching. For check.c. */
#ifndef POSTERN_COMMON_POLICY_ADDRESS_H
#define POSTERN_COMMON_POLICY_ADDRESS_H

#include "common/policy/rules.h"
#include "common/wire/address.h"

enum { SUBJECT_LOCAL_MAX = 3 * ADDRESS_LOCAL_MAX };	/* NFC can be that much longer */

/* Slices point into the struct itself: it must not be copied. */
struct subject {
	struct pattern_address parts;
	unsigned flags;			/* of struct address */
	struct slice meaning;		/* the local part without quotes */
	struct slice whole;		/* as it is written; parts and meaning are as they are compared (nfc_put()) */
	uint8_t text[ADDRESS_TEXT_MAX + DOMAIN_LITERAL_MAX];
	uint8_t compared[SUBJECT_LOCAL_MAX];
	uint8_t unquoted[SUBJECT_LOCAL_MAX];
};

/* May be <> (as "" or "<>"), or the bare word postmaster when bare is set. False: neither these nor an address. */
bool subject_read(const struct policy *p, struct slice s, bool bare, struct subject *ret_s);

static inline struct slice
subject_text(const struct subject *s)
{
	if (s->parts.null)
		return S("<>");
	return s->whole;
}

#endif
