/* tests/fuzz/fuzz_address.c -- addresses, paths, domains, literals: what is accepted has one canonical form, which is
 * accepted again and is its own canonical form. */
#include "common/idn.h"
#include "common/wire/address.h"
#include "common/wire/utf8.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_canonical(const struct address *a)
{
	struct buf once = BUF_INIT(4096), twice = BUF_INIT(4096), local = BUF_INIT(4096);
	struct address again;

	if (!address_put(&once, a) || !address_local_put(&local, a))
		abort();
	if ((a->flags & (ADDRESS_NULL | ADDRESS_POSTMASTER)) == 0) {
		if (address_parse(buf_slice(&once), &again) != RC_OK || !address_put(&twice, &again) ||
		    !slice_eq(buf_slice(&once), buf_slice(&twice)))
			abort();
		if (buf_len(&once) > ADDRESS_TEXT_MAX || buf_len(&local) > ADDRESS_LOCAL_MAX)
			abort();
		/* A trick cannot be hidden by writing it in another way. */
		if ((again.flags & ADDRESS_RELAY_TRICK) != (a->flags & ADDRESS_RELAY_TRICK))
			abort();
	}
	for (size_t i = 0; i < buf_len(&once); i++)
		if (buf_slice(&once).p[i] < 0x20 || buf_slice(&once).p[i] == 0x7f ||
		    (buf_slice(&once).p[i] > 0x7f && (a->flags & ADDRESS_UTF8) == 0))
			abort();
	if (!utf8_is_visible(buf_slice(&once)))
		abort();
	buf_free(&once);
	buf_free(&twice);
	buf_free(&local);
}

/* A domain in U-labels is made ASCII before anybody writes it; the same A-labels come out of those again. */
static void
check_ascii(struct address *a)
{
	struct buf domain = BUF_INIT(DOMAIN_MAX), again = BUF_INIT(DOMAIN_MAX);

	if ((a->flags & ADDRESS_U_LABELS) == 0) {
		check_canonical(a);
	} else if (idn_domain_put(&domain, a->domain) == RC_OK) {
		if (domain_check(buf_slice(&domain)) != RC_OK || idn_domain_put(&again, buf_slice(&domain)) != RC_OK ||
		    !slice_eq(buf_slice(&again), buf_slice(&domain)))
			abort();
		a->domain = buf_slice(&domain);
		check_canonical(a);
	}
	buf_free(&domain);
	buf_free(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice s = slice_of(data, size);
	struct domain_pattern pattern;
	struct address a;
	struct ip ip;
	size_t used = 0;

	if (address_parse(s, &a) == RC_OK)
		check_canonical(&a);
	for (int kind = ADDRESS_REVERSE; kind <= ADDRESS_FORWARD; kind++)
		if (address_path_parse(s, (enum address_path)kind, &a, &used) == RC_OK) {
			if (used > size || used < 2 || data[used - 1] != '>' || used > ADDRESS_PATH_MAX + 1)
				abort();
			check_ascii(&a);
		}
	if (domain_check(s) == RC_OK && (size > DOMAIN_MAX || domain_ehlo_parse(s, &ip) != RC_OK))
		abort();
	(void)domain_literal_parse(s, &ip);
	if (domain_pattern_parse(s, &pattern) == RC_OK && domain_check(pattern.name) != RC_OK)
		abort();
	return 0;
}
