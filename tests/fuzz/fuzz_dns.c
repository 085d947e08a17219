/* tests/fuzz/fuzz_dns.c -- DNS answers from the wire: any bytes. */
#include "common/wire/dns_message.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_name(const struct dns_name *name)
{
	char text[DNS_NAME_TEXT_MAX + 1];
	struct dns_name again;
	size_t n = 0;

	if (name->n == 0 || name->wire[name->n - 1] != 0)
		abort();
	if (dns_name_text(name, text, &n) != RC_OK)
		return;
	/* What has a text is that text again. */
	if (n > DNS_NAME_TEXT_MAX || dns_name_from_text(slice_of((const uint8_t *)text, n), &again) != RC_OK ||
	    !dns_name_eq(name, &again))
		abort();
}

static void
check_record(const struct dns_answer *a, const struct dns_record *r)
{
	switch ((enum dns_type)a->type) {
	case DNS_TYPE_A:
	case DNS_TYPE_AAAA:
		if (r->ip.family != 4 && r->ip.family != 6)
			abort();
		break;
	case DNS_TYPE_MX:
	case DNS_TYPE_PTR:
	case DNS_TYPE_CNAME:
		check_name(&r->name);
		break;
	case DNS_TYPE_SOA:
		abort();	/* never kept */
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct dns_answer a;
	struct dns_name name;
	size_t after;

	if (dns_answer_parse(slice_of(data, size), &a) == RC_OK) {
		check_name(&a.question);
		check_name(&a.owner);
		if (a.n_records > DNS_RECORDS_MAX || a.n_aliases > DNS_ALIASES_MAX || a.ttl > DNS_TTL_MAX)
			abort();
		for (size_t i = 0; i < a.n_records; i++)
			check_record(&a, &a.records[i]);
	} else if (a.n_records != 0) {
		abort();
	}
	for (size_t at = 0; at < size && at < 64; at++)
		if (dns_name_read(slice_of(data, size), at, &name, &after) == RC_OK) {
			check_name(&name);
			if (after <= at || after > size)
				abort();
		}
	if (dns_name_from_text(slice_of(data, size), &name) == RC_OK)
		check_name(&name);
	return 0;
}
