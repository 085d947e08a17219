/* common/wire/dns_message.c -- reads DNS answers, see dns_message.h. */
#include "common/wire/dns_message.h"

#include "common/wire/chars.h"

enum {
	HEADER = 12,
	CLASS_IN = 1,
	LABEL_MAX = 63,
	FLAG_QR = 0x8000,
	FLAG_TC = 0x0200,
	RCODE_MASK = 0x000f,
	POINTER = 0xc0,
};

/* --- numbers in network order; the caller has checked the length --- */

static uint16_t
be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t
be32(const uint8_t *p)
{
	return (uint32_t)be16(p) << 16 | be16(p + 2);
}

/* --- names --- */

enum rc
dns_name_read(struct slice packet, size_t at, struct dns_name *ret_name, size_t *ret_after)
{
	struct dns_name name = { .n = 0 };
	size_t i = at, after = 0, floor = at;
	bool jumped = false;

	/* Each round eats a label or jumps to in front of where it last jumped to, so this ends. */
	for (;;) {
		uint8_t length;

		if (i >= packet.n)
			return RC_SYNTAX;
		length = packet.p[i];
		if ((length & POINTER) == POINTER) {
			size_t target;

			if (packet.n - i < 2)
				return RC_SYNTAX;
			target = be16(packet.p + i) & 0x3fff;
			if (!jumped)
				after = i + 2;
			jumped = true;
			if (target >= floor || target < HEADER)
				return RC_SYNTAX;
			floor = i = target;
			continue;
		}
		if (length > LABEL_MAX || packet.n - i - 1 < length || DNS_NAME_MAX - name.n < length + 1)
			return RC_SYNTAX;
		name.wire[name.n++] = length;
		for (size_t j = 0; j < length; j++)
			name.wire[name.n++] = ascii_lower(packet.p[i + 1 + j]);
		i += 1 + (size_t)length;
		if (length == 0)
			break;
		/* Room for the root byte must remain. */
		if (name.n == DNS_NAME_MAX)
			return RC_SYNTAX;
	}
	*ret_name = name;
	*ret_after = jumped ? after : i;
	return RC_OK;
}

static bool
has_text(uint8_t c)
{
	return char_is_graph(c) && c != '.' && c != '\\';
}

enum rc
dns_name_from_text(struct slice text, struct dns_name *ret_name)
{
	struct dns_name name = { .n = 0 };

	if (text.n > DNS_NAME_TEXT_MAX)
		return RC_RANGE;
	while (text.n > 0) {
		size_t length = slice_find(text, '.');

		if (length == 0 || length + 1 == text.n)
			return RC_SYNTAX;
		if (length > LABEL_MAX)
			return RC_RANGE;
		name.wire[name.n++] = (uint8_t)length;
		for (size_t j = 0; j < length; j++) {
			if (!has_text(text.p[j]))
				return RC_SYNTAX;
			name.wire[name.n++] = ascii_lower(text.p[j]);
		}
		text = slice_from(text, length + 1);
	}
	name.wire[name.n++] = 0;
	*ret_name = name;
	return RC_OK;
}

enum rc
dns_name_text(const struct dns_name *name, char out[DNS_NAME_TEXT_MAX + 1], size_t *ret_n)
{
	char text[DNS_NAME_TEXT_MAX + 1];
	size_t n = 0;

	for (size_t i = 0; i < name->n && name->wire[i] != 0; i += 1 + (size_t)name->wire[i]) {
		if (n > 0)
			text[n++] = '.';
		for (size_t j = 0; j < name->wire[i]; j++) {
			uint8_t c = name->wire[i + 1 + j];

			if (!has_text(c))
				return RC_SYNTAX;
			text[n++] = (char)c;
		}
	}
	text[n] = '\0';
	memcpy(out, text, n + 1);
	*ret_n = n;
	return RC_OK;
}

/* --- records --- */

struct rr {
	struct dns_name owner;
	uint16_t type, class;
	uint32_t ttl;
	size_t rdata;		/* offset in the packet */
	uint16_t n_rdata;
};

static enum rc
rr_read(struct slice packet, size_t *at, struct rr *ret_rr)
{
	size_t i;
	enum rc rc = dns_name_read(packet, *at, &ret_rr->owner, &i);

	if (rc != RC_OK)
		return rc;
	if (packet.n - i < 10)
		return RC_SYNTAX;
	ret_rr->type = be16(packet.p + i);
	ret_rr->class = be16(packet.p + i + 2);
	ret_rr->ttl = be32(packet.p + i + 4);
	/* RFC 2181 8: a TTL with its top bit set is zero. */
	if (ret_rr->ttl & UINT32_C(0x80000000))
		ret_rr->ttl = 0;
	if (ret_rr->ttl > DNS_TTL_MAX)
		ret_rr->ttl = DNS_TTL_MAX;
	ret_rr->n_rdata = be16(packet.p + i + 8);
	ret_rr->rdata = i + 10;
	if (packet.n - ret_rr->rdata < ret_rr->n_rdata)
		return RC_SYNTAX;
	*at = ret_rr->rdata + ret_rr->n_rdata;
	return RC_OK;
}

/* A name that fills the rest of the record's data, from `skip` bytes into it. */
static enum rc
rdata_name(struct slice packet, const struct rr *rr, size_t skip, struct dns_name *ret_name)
{
	size_t after, end = rr->rdata + rr->n_rdata;
	struct dns_name name;

	/* Cut at the end of the record: what is behind it is no part of the name, what is in front of it may be. */
	if (rr->n_rdata <= skip || dns_name_read(slice_first(packet, end), rr->rdata + skip, &name, &after) != RC_OK ||
	    after != end)
		return RC_SYNTAX;
	*ret_name = name;
	return RC_OK;
}

static enum rc
record_read(struct slice packet, const struct rr *rr, struct dns_record *ret_record)
{
	struct dns_record record = { .preference = 0 };
	const uint8_t *data = packet.p + rr->rdata;
	enum rc rc = RC_OK;

	switch (rr->type) {
	case DNS_TYPE_A:
		if (rr->n_rdata != 4)
			return RC_SYNTAX;
		record.ip.family = 4;
		memcpy(record.ip.b, data, 4);
		break;
	case DNS_TYPE_AAAA:
		if (rr->n_rdata != 16)
			return RC_SYNTAX;
		record.ip.family = 6;
		memcpy(record.ip.b, data, 16);
		break;
	case DNS_TYPE_MX:
		if (rr->n_rdata < 3)
			return RC_SYNTAX;
		record.preference = be16(data);
		rc = rdata_name(packet, rr, 2, &record.name);
		break;
	case DNS_TYPE_PTR:
	case DNS_TYPE_CNAME:
		rc = rdata_name(packet, rr, 0, &record.name);
		break;
	default:
		return RC_UNSUPPORTED;
	}
	if (rc == RC_OK)
		*ret_record = record;
	return rc;
}

/* A v4-mapped AAAA (::ffff:a.b.c.d) is an IPv4 address in disguise: family 4 everywhere (common/ip.h). */
static struct ip
ip_plain(struct ip ip)
{
	static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
	struct ip plain = { 4, { 0 } };

	if (ip.family != 6 || memcmp(ip.b, mapped, sizeof mapped) != 0)
		return ip;
	memcpy(plain.b, ip.b + sizeof mapped, 4);
	return plain;
}

static void
record_keep(struct dns_answer *a, const struct dns_record *record)
{
	size_t worst = 0;

	if (a->n_records < DNS_RECORDS_MAX) {
		a->records[a->n_records++] = *record;
		return;
	}
	for (size_t i = 1; i < a->n_records; i++)
		if (a->records[i].preference > a->records[worst].preference)
			worst = i;
	if (record->preference < a->records[worst].preference)
		a->records[worst] = *record;
}

/* --- the answer --- */

static void
ttl_lower(struct dns_answer *a, bool *any, uint32_t ttl)
{
	if (!*any || ttl < a->ttl)
		a->ttl = ttl;
	*any = true;
}

/* One pass over the answer section: a CNAME of a->owner moves it on (*ret_moved), or the records of a->owner are kept. */
static enum rc
answer_pass(struct slice packet, size_t at, size_t n_rrs, struct dns_answer *a, bool *any_ttl, bool *ret_moved)
{
	struct dns_name owner = a->owner;

	*ret_moved = false;
	for (size_t i = 0; i < n_rrs; i++) {
		struct dns_record record;
		struct rr rr;
		enum rc rc = rr_read(packet, &at, &rr);

		if (rc != RC_OK)
			return rc;
		if (rr.class != CLASS_IN || !dns_name_eq(&rr.owner, &owner))
			continue;
		if (rr.type != a->type && rr.type != DNS_TYPE_CNAME)
			continue;
		rc = record_read(packet, &rr, &record);
		if (rc != RC_OK)
			return rc;
		record.ip = ip_plain(record.ip);
		ttl_lower(a, any_ttl, rr.ttl);
		if (rr.type == a->type) {
			record_keep(a, &record);
		} else if (!*ret_moved) {	/* two CNAMEs of one name: the first counts (RFC 2181 10.1) */
			a->owner = record.name;
			*ret_moved = true;
		}
	}
	/* Where records stand beside a CNAME, the records are the answer. */
	if (a->n_records > 0)
		*ret_moved = false;
	return RC_OK;
}

/* How long a denial holds: the lower of the SOA's own TTL and its MINIMUM (RFC 2308 5). */
static enum rc
denial_ttl(struct slice packet, size_t at, size_t n_rrs, struct dns_answer *a, bool *any_ttl)
{
	for (size_t i = 0; i < n_rrs; i++) {
		struct rr rr;
		enum rc rc = rr_read(packet, &at, &rr);
		uint32_t minimum;

		if (rc != RC_OK)
			return rc;
		if (rr.class != CLASS_IN || rr.type != DNS_TYPE_SOA || rr.n_rdata < 22)
			continue;
		minimum = be32(packet.p + rr.rdata + rr.n_rdata - 4);
		ttl_lower(a, any_ttl, minimum < rr.ttl ? minimum : rr.ttl);
		return RC_OK;
	}
	return RC_OK;
}

static enum rc
skip_rrs(struct slice packet, size_t *at, size_t n_rrs)
{
	for (size_t i = 0; i < n_rrs; i++) {
		struct rr rr;
		enum rc rc = rr_read(packet, at, &rr);

		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

static enum rc
question_read(struct slice packet, struct dns_answer *a, size_t *ret_after)
{
	uint16_t flags;
	size_t at;
	enum rc rc;

	if (packet.n < HEADER)
		return RC_SYNTAX;
	flags = be16(packet.p + 2);
	if ((flags & FLAG_QR) == 0 || (flags & FLAG_TC) != 0 || be16(packet.p + 4) != 1)
		return RC_SYNTAX;
	a->rcode = flags & RCODE_MASK;
	rc = dns_name_read(packet, HEADER, &a->question, &at);
	if (rc != RC_OK)
		return rc;
	if (packet.n - at < 4 || be16(packet.p + at + 2) != CLASS_IN)
		return RC_SYNTAX;
	a->type = be16(packet.p + at);
	a->owner = a->question;
	*ret_after = at + 4;
	return RC_OK;
}

enum rc
dns_answer_parse(struct slice packet, struct dns_answer *ret_answer)
{
	bool any_ttl = false, moved = true;
	size_t answers, authorities, answer_at, authority_at;
	enum rc rc;

	/* Written in place, since it is large: but n_records, which callers loop over, is right only on RC_OK. */
	memset(ret_answer, 0, sizeof *ret_answer);
	rc = question_read(packet, ret_answer, &answer_at);
	if (rc != RC_OK)
		return rc;
	answers = be16(packet.p + 6);
	authorities = be16(packet.p + 8);
	if (answers > DNS_RRS_MAX || authorities > DNS_RRS_MAX)
		return RC_RANGE;
	authority_at = answer_at;
	rc = skip_rrs(packet, &authority_at, answers);
	while (rc == RC_OK && moved) {
		rc = answer_pass(packet, answer_at, answers, ret_answer, &any_ttl, &moved);
		if (rc == RC_OK && moved && ret_answer->n_aliases++ == DNS_ALIASES_MAX)
			rc = RC_RANGE;
	}
	if (rc == RC_OK && ret_answer->n_records == 0)
		rc = denial_ttl(packet, authority_at, authorities, ret_answer, &any_ttl);
	if (rc != RC_OK)
		ret_answer->n_records = 0;
	return rc;
}

/* --- reverse names --- */

size_t
dns_reverse_name(struct ip ip, char out[DNS_REVERSE_TEXT_MAX])
{
	static const char hex[] = "0123456789abcdef";
	static const char v4[] = "in-addr.arpa", v6[] = "ip6.arpa";
	size_t n = 0;

	if (ip.family == 4) {
		for (size_t i = 4; i > 0; i--) {
			n += put_decimal(out + n, ip.b[i - 1]);
			out[n++] = '.';
		}
		memcpy(out + n, v4, sizeof v4);
		return n + sizeof v4 - 1;
	}
	if (ip.family != 6)
		return 0;
	for (size_t i = 16; i > 0; i--) {
		out[n++] = hex[ip.b[i - 1] & 0xf];
		out[n++] = '.';
		out[n++] = hex[ip.b[i - 1] >> 4];
		out[n++] = '.';
	}
	memcpy(out + n, v6, sizeof v6);
	return n + sizeof v6 - 1;
}
