/* resolver/setup.c -- see setup.h. */
#include "resolver/setup.h"

#include "common/text.h"

#include <stdlib.h>

/* The keys of the root zone: those of 2017 and 2024, from https://data.iana.org/root-anchors/root-anchors.xml. */
static const char *const root_anchors[] = {
	". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D",
	". IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16",
};

/* --- lines and words --- */

static bool
line_next(struct slice *text, struct slice *ret_line)
{
	size_t n;

	if (text->n == 0)
		return false;
	n = slice_find(*text, '\n');
	*ret_line = slice_first(*text, n);
	*text = slice_from(*text, n + 1);
	return true;
}

/* Cuts the line where a comment begins. */
static struct slice
without_comment(struct slice line, const char *marks)
{
	for (; *marks != '\0'; marks++)
		line = slice_first(line, slice_find(line, (uint8_t)*marks));
	return line;
}

static struct slice
word_next(struct slice *line)
{
	struct slice word;

	(void)slice_word(line, S(" \t\r"), &word);
	return word;
}

static bool
number(struct slice text, uint32_t max, uint32_t *ret)
{
	uint32_t v = 0;

	if (text.n == 0 || text.n > 9)
		return false;
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] < '0' || text.p[i] > '9')
			return false;
		v = v * 10 + (text.p[i] - '0');
	}
	if (v > max)
		return false;
	*ret = v;
	return true;
}

/* --- servers --- */

static enum rc
server_add(struct setup *s, struct ip ip, uint16_t port, struct buf *why)
{
	if (s->n_servers == SETUP_SERVERS_MAX) {
		(void)buf_printf(why, "more than %d name servers", SETUP_SERVERS_MAX);
		return RC_SYNTAX;
	}
	s->servers[s->n_servers++] = (struct setup_server){ ip, port };
	return RC_OK;
}

static enum rc
forwarder_add(struct setup *s, const char *text, struct buf *why)
{
	struct slice whole = slice_str(text), port = slice_from(whole, slice_find(whole, '@') + 1);
	uint32_t number_of_port = 53;
	struct ip ip;

	if (ip_parse(slice_first(whole, slice_find(whole, '@')), &ip) != RC_OK ||
	    (slice_find(whole, '@') < whole.n && (!number(port, 65535, &number_of_port) || number_of_port == 0))) {
		(void)buf_printf(why, "resolver { forwarders }: %s is not an address, or an address@port", text);
		return RC_SYNTAX;
	}
	return server_add(s, ip, (uint16_t)number_of_port, why);
}

/* resolv.conf(5): the nameserver lines. Those that we cannot ask (with a zone: fe80::1%eth0) are passed over, and with
 * none left it is the server on this host, as the C library has it. */
static enum rc
servers_of_resolv_conf(struct setup *s, struct slice text, struct buf *why)
{
	struct slice line;

	while (line_next(&text, &line)) {
		struct ip ip;

		line = without_comment(line, "#;");
		if (slice_eq(word_next(&line), S("nameserver")) && ip_parse(word_next(&line), &ip) == RC_OK &&
		    s->n_servers < SETUP_SERVERS_MAX)
			s->servers[s->n_servers++] = (struct setup_server){ ip, 53 };
	}
	if (s->n_servers > 0)
		return RC_OK;
	return server_add(s, (struct ip){ 4, { 127, 0, 0, 1 } }, 53, why);
}

/* A zone file of the root's NS records and their addresses: the last word of each A and AAAA record. */
static enum rc
servers_of_hints(struct setup *s, struct slice text, struct buf *why)
{
	struct slice line;

	while (line_next(&text, &line)) {
		bool address = false;
		struct slice word, last = S("");
		struct ip ip;
		enum rc rc;

		line = without_comment(line, ";");
		while ((word = word_next(&line)).n > 0) {
			if (slice_caseeq(last, S("A")) || slice_caseeq(last, S("AAAA")))
				address = true;
			last = word;
		}
		if (!address)
			continue;
		if (ip_parse(last, &ip) != RC_OK) {
			(void)buf_put_str(why, "resolver { root-hints }: the file has a record that is no address");
			return RC_SYNTAX;
		}
		rc = server_add(s, ip, s->port, why);
		if (rc != RC_OK)
			return rc;
	}
	if (s->n_servers > 0)
		return RC_OK;
	(void)buf_put_str(why, "resolver { root-hints }: the file names no root server's address");
	return RC_SYNTAX;
}

/* --- trust anchors --- */

static enum rc
anchor_add(struct setup *s, struct slice record, struct buf *why)
{
	char *copy;

	if (s->n_anchors == SETUP_ANCHORS_MAX || record.n > SETUP_ANCHOR_MAX) {
		(void)buf_put_str(why, "resolver { trust-anchor }: too many records, or one too long");
		return RC_SYNTAX;
	}
	copy = text_copy(record);
	if (copy == NULL)
		return RC_NOMEM;
	s->anchors[s->n_anchors++] = copy;
	return RC_OK;
}

/* A record that is DS or DNSKEY of the root is an anchor; other records (dig prints some) are not. */
static enum rc
anchor_consider(struct setup *s, struct slice record, struct buf *why)
{
	struct slice rest = record, word = word_next(&rest);

	if (word.n == 0)
		return RC_OK;
	for (size_t i = 0; i < 4 && word.n > 0; i++, word = word_next(&rest))
		if (slice_caseeq(word, S("DS")) || slice_caseeq(word, S("DNSKEY")))
			return anchor_add(s, record, why);
	return RC_OK;
}

/* Records may go over several lines in parentheses (RFC 1035 5.1). */
static enum rc
anchors_of_file(struct setup *s, struct slice text, struct buf *why)
{
	struct buf record = BUF_INIT(SETUP_FILE_MAX);
	struct slice line;
	size_t depth = 0;
	enum rc rc = RC_OK;

	while (rc == RC_OK && line_next(&text, &line)) {
		line = without_comment(line, ";#");
		for (size_t i = 0; i < line.n; i++) {
			uint8_t c = line.p[i];

			depth += c == '(';
			depth -= c == ')' && depth > 0;
			(void)buf_put_byte(&record, slice_has(S("() \t\r"), c) ? ' ' : c);
		}
		(void)buf_put_byte(&record, ' ');
		if (depth > 0)
			continue;
		rc = record.failed ? RC_NOMEM : anchor_consider(s, buf_slice(&record), why);
		buf_clear(&record);
	}
	buf_free(&record);
	if (rc == RC_OK && s->n_anchors == 0) {
		(void)buf_put_str(why, "resolver { trust-anchor }: the file has no DS or DNSKEY record");
		rc = RC_SYNTAX;
	}
	return rc;
}

static enum rc
anchors_make(struct setup *s, const char *option, struct slice file, struct buf *why)
{
	enum rc rc = RC_OK;

	if (strcmp(option, "none") == 0)
		return RC_OK;
	if (option[0] != '\0')
		return anchors_of_file(s, file, why);
	for (size_t i = 0; rc == RC_OK && i < sizeof root_anchors / sizeof root_anchors[0]; i++)
		rc = anchor_add(s, slice_str(root_anchors[i]), why);
	return rc;
}

/* --- all of it --- */

static enum rc
servers_make(struct setup *s, const struct conf_resolver *conf, const struct setup_files *files, struct buf *why)
{
	enum rc rc = RC_OK;

	if (strcmp(conf->mode, "auto") == 0)
		return servers_of_resolv_conf(s, files->resolv_conf, why);
	if (strcmp(conf->mode, "recursive") == 0) {
		s->recursive = true;
		return conf->root_hints[0] == '\0' ? RC_OK : servers_of_hints(s, files->root_hints, why);
	}
	if (strcmp(conf->mode, "forward") != 0) {
		(void)buf_printf(why, "resolver { mode }: %s is none of auto, recursive, forward", conf->mode);
		return RC_SYNTAX;
	}
	for (size_t i = 0; rc == RC_OK && i < conf->forwarders.n; i++)
		rc = forwarder_add(s, conf->forwarders.v[i], why);
	if (rc == RC_OK && s->n_servers == 0) {
		(void)buf_put_str(why, "resolver { mode = forward } needs forwarders");
		rc = RC_SYNTAX;
	}
	return rc;
}

enum rc
setup_make(const struct conf_resolver *conf, const struct setup_files *files, struct setup *ret_setup, struct buf *why)
{
	/* In mode auto the forwarder is what the network gave us, and many of those lose signatures: without its help we
	 * cannot validate, but mail must go. Whoever names servers is held to them. */
	struct setup s = {
		.strict = strcmp(conf->mode, "auto") != 0,
		.private_servers = conf->allow_private_servers,
		.ipv4 = conf->ipv4,
		.ipv6 = conf->ipv6,
		.port = (uint16_t)conf->port,
		.cache = conf->cache,
		.max_queries = conf->max_queries,
	};
	enum rc rc = servers_make(&s, conf, files, why);

	if (rc == RC_OK)
		rc = anchors_make(&s, conf->trust_anchor, files->trust_anchor, why);
	if (rc == RC_OK && !s.ipv4 && !s.ipv6) {
		(void)buf_put_str(why, "resolver { ipv4, ipv6 }: one of them must be yes");
		rc = RC_SYNTAX;
	}
	if (rc != RC_OK) {
		setup_free(&s);
		return rc;
	}
	*ret_setup = s;
	return RC_OK;
}

void
setup_free(struct setup *s)
{
	for (size_t i = 0; i < s->n_anchors; i++)
		free(s->anchors[i]);
	s->n_anchors = 0;
}

bool
setup_equal(const struct setup *a, const struct setup *b)
{
	if (a->recursive != b->recursive || a->strict != b->strict || a->private_servers != b->private_servers ||
	    a->ipv4 != b->ipv4 || a->ipv6 != b->ipv6 || a->port != b->port || a->cache != b->cache ||
	    a->max_queries != b->max_queries || a->n_servers != b->n_servers || a->n_anchors != b->n_anchors)
		return false;
	for (size_t i = 0; i < a->n_servers; i++)
		if (!ip_eq(a->servers[i].ip, b->servers[i].ip) || a->servers[i].port != b->servers[i].port)
			return false;
	for (size_t i = 0; i < a->n_anchors; i++)
		if (strcmp(a->anchors[i], b->anchors[i]) != 0)
			return false;
	return true;
}
