/* resolver/lookup.c -- from what the library says to what the DNS says, see lookup.h. */
#include "resolver/lookup.h"

static struct lookup_result
temporary(const char *why)
{
	return (struct lookup_result){ .status = DNS_TEMPORARY, .why = why };
}

struct lookup_result
lookup_judge(struct slice name, enum dns_type type, int rcode, struct slice packet, bool bogus, bool secure,
    const char *why, struct dns_answer *answer)
{
	struct lookup_result result = { .status = DNS_OK, .secure = secure, .why = "", .answer = answer };
	struct dns_name asked;

	if (bogus)
		return (struct lookup_result){ .status = DNS_BOGUS, .why = why == NULL ? "validation failed" : why };
	if (packet.n == 0 || (rcode != DNS_RCODE_NOERROR && rcode != DNS_RCODE_NXDOMAIN))
		return temporary(why != NULL && *why != '\0' ? why : "the name servers do not answer, or not sensibly");
	if (dns_answer_parse(packet, answer) != RC_OK)
		return temporary("the answer is malformed");
	if (dns_name_from_text(name, &asked) != RC_OK || !dns_name_eq(&asked, &answer->question) || answer->type != type)
		return temporary("the answer is to another question");
	/* RFC 6604 3: after a chain of CNAMEs the code is about its end. */
	if (answer->n_records > 0)
		return result;
	if (answer->rcode == DNS_RCODE_NXDOMAIN)
		result.status = DNS_NXDOMAIN;
	else if (answer->rcode == DNS_RCODE_NOERROR)
		result.status = DNS_NODATA;
	else
		return temporary("the name servers failed");
	return result;
}

const char *
dns_type_name(enum dns_type type)
{
	switch (type) {
	case DNS_TYPE_A:
		return "A";
	case DNS_TYPE_CNAME:
		return "CNAME";
	case DNS_TYPE_SOA:
		return "SOA";
	case DNS_TYPE_PTR:
		return "PTR";
	case DNS_TYPE_MX:
		return "MX";
	case DNS_TYPE_AAAA:
		return "AAAA";
	}
	return "?";
}

const char *
dns_status_name(enum dns_status status)
{
	switch (status) {
	case DNS_OK:
		return "ok";
	case DNS_NXDOMAIN:
		return "nxdomain";
	case DNS_NODATA:
		return "nodata";
	case DNS_NULL_MX:
		return "null-mx";
	case DNS_TEMPORARY:
		return "temporary";
	case DNS_BOGUS:
		return "bogus";
	}
	return "?";
}
