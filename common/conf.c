/* common/conf.c -- the option table made of conf_schema.h, and what walks over it: defaults, copies, the wire form. */
#include "common/conf.h"

#include "common/text.h"

#include <stdlib.h>

/* --- tables --- */

#define ROW(kind_, c_, struct_, name_, fallback_, min_, max_, help_) \
	{ name_, fallback_, min_, max_, help_, kind_, offsetof(struct struct_, c_) },

/* Six row makers a section, since the preprocessor cannot pass the section along. */
#define B_global(c, ...)	ROW(CONF_BOOL, c, conf_global, __VA_ARGS__)
#define N_global(c, ...)	ROW(CONF_U32, c, conf_global, __VA_ARGS__)
#define Z_global(c, ...)	ROW(CONF_SIZE, c, conf_global, __VA_ARGS__)
#define T_global(c, ...)	ROW(CONF_TIME, c, conf_global, __VA_ARGS__)
#define S_global(c, ...)	ROW(CONF_STR, c, conf_global, __VA_ARGS__)
#define L_global(c, ...)	ROW(CONF_LIST, c, conf_global, __VA_ARGS__)
#define B_log(c, ...)	ROW(CONF_BOOL, c, conf_log, __VA_ARGS__)
#define N_log(c, ...)	ROW(CONF_U32, c, conf_log, __VA_ARGS__)
#define Z_log(c, ...)	ROW(CONF_SIZE, c, conf_log, __VA_ARGS__)
#define T_log(c, ...)	ROW(CONF_TIME, c, conf_log, __VA_ARGS__)
#define S_log(c, ...)	ROW(CONF_STR, c, conf_log, __VA_ARGS__)
#define L_log(c, ...)	ROW(CONF_LIST, c, conf_log, __VA_ARGS__)
#define B_smtpd(c, ...)	ROW(CONF_BOOL, c, conf_smtpd, __VA_ARGS__)
#define N_smtpd(c, ...)	ROW(CONF_U32, c, conf_smtpd, __VA_ARGS__)
#define Z_smtpd(c, ...)	ROW(CONF_SIZE, c, conf_smtpd, __VA_ARGS__)
#define T_smtpd(c, ...)	ROW(CONF_TIME, c, conf_smtpd, __VA_ARGS__)
#define S_smtpd(c, ...)	ROW(CONF_STR, c, conf_smtpd, __VA_ARGS__)
#define L_smtpd(c, ...)	ROW(CONF_LIST, c, conf_smtpd, __VA_ARGS__)
#define B_limits(c, ...)	ROW(CONF_BOOL, c, conf_limits, __VA_ARGS__)
#define N_limits(c, ...)	ROW(CONF_U32, c, conf_limits, __VA_ARGS__)
#define Z_limits(c, ...)	ROW(CONF_SIZE, c, conf_limits, __VA_ARGS__)
#define T_limits(c, ...)	ROW(CONF_TIME, c, conf_limits, __VA_ARGS__)
#define S_limits(c, ...)	ROW(CONF_STR, c, conf_limits, __VA_ARGS__)
#define L_limits(c, ...)	ROW(CONF_LIST, c, conf_limits, __VA_ARGS__)
#define B_queue(c, ...)	ROW(CONF_BOOL, c, conf_queue, __VA_ARGS__)
#define N_queue(c, ...)	ROW(CONF_U32, c, conf_queue, __VA_ARGS__)
#define Z_queue(c, ...)	ROW(CONF_SIZE, c, conf_queue, __VA_ARGS__)
#define T_queue(c, ...)	ROW(CONF_TIME, c, conf_queue, __VA_ARGS__)
#define S_queue(c, ...)	ROW(CONF_STR, c, conf_queue, __VA_ARGS__)
#define L_queue(c, ...)	ROW(CONF_LIST, c, conf_queue, __VA_ARGS__)
#define B_deliver(c, ...)	ROW(CONF_BOOL, c, conf_deliver, __VA_ARGS__)
#define N_deliver(c, ...)	ROW(CONF_U32, c, conf_deliver, __VA_ARGS__)
#define Z_deliver(c, ...)	ROW(CONF_SIZE, c, conf_deliver, __VA_ARGS__)
#define T_deliver(c, ...)	ROW(CONF_TIME, c, conf_deliver, __VA_ARGS__)
#define S_deliver(c, ...)	ROW(CONF_STR, c, conf_deliver, __VA_ARGS__)
#define L_deliver(c, ...)	ROW(CONF_LIST, c, conf_deliver, __VA_ARGS__)
#define B_local(c, ...)	ROW(CONF_BOOL, c, conf_local, __VA_ARGS__)
#define N_local(c, ...)	ROW(CONF_U32, c, conf_local, __VA_ARGS__)
#define Z_local(c, ...)	ROW(CONF_SIZE, c, conf_local, __VA_ARGS__)
#define T_local(c, ...)	ROW(CONF_TIME, c, conf_local, __VA_ARGS__)
#define S_local(c, ...)	ROW(CONF_STR, c, conf_local, __VA_ARGS__)
#define L_local(c, ...)	ROW(CONF_LIST, c, conf_local, __VA_ARGS__)
#define B_resolver(c, ...)	ROW(CONF_BOOL, c, conf_resolver, __VA_ARGS__)
#define N_resolver(c, ...)	ROW(CONF_U32, c, conf_resolver, __VA_ARGS__)
#define Z_resolver(c, ...)	ROW(CONF_SIZE, c, conf_resolver, __VA_ARGS__)
#define T_resolver(c, ...)	ROW(CONF_TIME, c, conf_resolver, __VA_ARGS__)
#define S_resolver(c, ...)	ROW(CONF_STR, c, conf_resolver, __VA_ARGS__)
#define L_resolver(c, ...)	ROW(CONF_LIST, c, conf_resolver, __VA_ARGS__)
#define B_router(c, ...)	ROW(CONF_BOOL, c, conf_router, __VA_ARGS__)
#define N_router(c, ...)	ROW(CONF_U32, c, conf_router, __VA_ARGS__)
#define Z_router(c, ...)	ROW(CONF_SIZE, c, conf_router, __VA_ARGS__)
#define T_router(c, ...)	ROW(CONF_TIME, c, conf_router, __VA_ARGS__)
#define S_router(c, ...)	ROW(CONF_STR, c, conf_router, __VA_ARGS__)
#define L_router(c, ...)	ROW(CONF_LIST, c, conf_router, __VA_ARGS__)
#define B_vault(c, ...)	ROW(CONF_BOOL, c, conf_vault, __VA_ARGS__)
#define N_vault(c, ...)	ROW(CONF_U32, c, conf_vault, __VA_ARGS__)
#define Z_vault(c, ...)	ROW(CONF_SIZE, c, conf_vault, __VA_ARGS__)
#define T_vault(c, ...)	ROW(CONF_TIME, c, conf_vault, __VA_ARGS__)
#define S_vault(c, ...)	ROW(CONF_STR, c, conf_vault, __VA_ARGS__)
#define L_vault(c, ...)	ROW(CONF_LIST, c, conf_vault, __VA_ARGS__)
#define B_tls(c, ...)	ROW(CONF_BOOL, c, conf_tls, __VA_ARGS__)
#define N_tls(c, ...)	ROW(CONF_U32, c, conf_tls, __VA_ARGS__)
#define Z_tls(c, ...)	ROW(CONF_SIZE, c, conf_tls, __VA_ARGS__)
#define T_tls(c, ...)	ROW(CONF_TIME, c, conf_tls, __VA_ARGS__)
#define S_tls(c, ...)	ROW(CONF_STR, c, conf_tls, __VA_ARGS__)
#define L_tls(c, ...)	ROW(CONF_LIST, c, conf_tls, __VA_ARGS__)
#define B_auth(c, ...)	ROW(CONF_BOOL, c, conf_auth, __VA_ARGS__)
#define N_auth(c, ...)	ROW(CONF_U32, c, conf_auth, __VA_ARGS__)
#define Z_auth(c, ...)	ROW(CONF_SIZE, c, conf_auth, __VA_ARGS__)
#define T_auth(c, ...)	ROW(CONF_TIME, c, conf_auth, __VA_ARGS__)
#define S_auth(c, ...)	ROW(CONF_STR, c, conf_auth, __VA_ARGS__)
#define L_auth(c, ...)	ROW(CONF_LIST, c, conf_auth, __VA_ARGS__)
#define B_listener(c, ...)	ROW(CONF_BOOL, c, conf_listener, __VA_ARGS__)
#define N_listener(c, ...)	ROW(CONF_U32, c, conf_listener, __VA_ARGS__)
#define Z_listener(c, ...)	ROW(CONF_SIZE, c, conf_listener, __VA_ARGS__)
#define T_listener(c, ...)	ROW(CONF_TIME, c, conf_listener, __VA_ARGS__)
#define S_listener(c, ...)	ROW(CONF_STR, c, conf_listener, __VA_ARGS__)
#define L_listener(c, ...)	ROW(CONF_LIST, c, conf_listener, __VA_ARGS__)
#define B_table(c, ...)	ROW(CONF_BOOL, c, conf_table, __VA_ARGS__)
#define N_table(c, ...)	ROW(CONF_U32, c, conf_table, __VA_ARGS__)
#define Z_table(c, ...)	ROW(CONF_SIZE, c, conf_table, __VA_ARGS__)
#define T_table(c, ...)	ROW(CONF_TIME, c, conf_table, __VA_ARGS__)
#define S_table(c, ...)	ROW(CONF_STR, c, conf_table, __VA_ARGS__)
#define L_table(c, ...)	ROW(CONF_LIST, c, conf_table, __VA_ARGS__)
#define B_rule(c, ...)	ROW(CONF_BOOL, c, conf_rule, __VA_ARGS__)
#define N_rule(c, ...)	ROW(CONF_U32, c, conf_rule, __VA_ARGS__)
#define Z_rule(c, ...)	ROW(CONF_SIZE, c, conf_rule, __VA_ARGS__)
#define T_rule(c, ...)	ROW(CONF_TIME, c, conf_rule, __VA_ARGS__)
#define S_rule(c, ...)	ROW(CONF_STR, c, conf_rule, __VA_ARGS__)
#define L_rule(c, ...)	ROW(CONF_LIST, c, conf_rule, __VA_ARGS__)
#define B_route(c, ...)	ROW(CONF_BOOL, c, conf_route, __VA_ARGS__)
#define N_route(c, ...)	ROW(CONF_U32, c, conf_route, __VA_ARGS__)
#define Z_route(c, ...)	ROW(CONF_SIZE, c, conf_route, __VA_ARGS__)
#define T_route(c, ...)	ROW(CONF_TIME, c, conf_route, __VA_ARGS__)
#define S_route(c, ...)	ROW(CONF_STR, c, conf_route, __VA_ARGS__)
#define L_route(c, ...)	ROW(CONF_LIST, c, conf_route, __VA_ARGS__)
#define B_transport(c, ...)	ROW(CONF_BOOL, c, conf_transport, __VA_ARGS__)
#define N_transport(c, ...)	ROW(CONF_U32, c, conf_transport, __VA_ARGS__)
#define Z_transport(c, ...)	ROW(CONF_SIZE, c, conf_transport, __VA_ARGS__)
#define T_transport(c, ...)	ROW(CONF_TIME, c, conf_transport, __VA_ARGS__)
#define S_transport(c, ...)	ROW(CONF_STR, c, conf_transport, __VA_ARGS__)
#define L_transport(c, ...)	ROW(CONF_LIST, c, conf_transport, __VA_ARGS__)
#define B_certificate(c, ...)	ROW(CONF_BOOL, c, conf_certificate, __VA_ARGS__)
#define N_certificate(c, ...)	ROW(CONF_U32, c, conf_certificate, __VA_ARGS__)
#define Z_certificate(c, ...)	ROW(CONF_SIZE, c, conf_certificate, __VA_ARGS__)
#define T_certificate(c, ...)	ROW(CONF_TIME, c, conf_certificate, __VA_ARGS__)
#define S_certificate(c, ...)	ROW(CONF_STR, c, conf_certificate, __VA_ARGS__)
#define L_certificate(c, ...)	ROW(CONF_LIST, c, conf_certificate, __VA_ARGS__)

#define OPTIONS(c, name, FIELDS)									\
	static const struct conf_option options_##c[] = {						\
		FIELDS(B_##c, N_##c, Z_##c, T_##c, S_##c, L_##c)					\
	};
OPTIONS(global, "", CONF_GLOBAL)
CONF_SECTIONS(OPTIONS, OPTIONS)

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define ONE(c, name, FIELDS)										\
	{ name, options_##c, COUNT(options_##c), sizeof(struct conf_##c), offsetof(struct conf, c), 0, false },
#define MANY(c, name, FIELDS)										\
	{ name, options_##c, COUNT(options_##c), sizeof(struct conf_##c), offsetof(struct conf, c##s),	\
	  offsetof(struct conf, n_##c##s), true },
const struct conf_section conf_sections[] = {
	ONE(global, "", CONF_GLOBAL)
	CONF_SECTIONS(ONE, MANY)
};
const size_t n_conf_sections = COUNT(conf_sections);

static void *
at(void *base, size_t offset)
{
	return (char *)base + offset;
}

static const void *
at_const(const void *base, size_t offset)
{
	return (const char *)base + offset;
}

/* --- written forms --- */

enum { TEXT_MAX = 4096 };	/* one value as written */

static enum rc
number_parse(struct slice *s, uint64_t *ret_n)
{
	uint64_t n = 0;
	size_t i = 0;

	for (; i < s->n && s->p[i] >= '0' && s->p[i] <= '9'; i++)
		if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, s->p[i] - '0', &n))
			return RC_RANGE;
	if (i == 0)
		return RC_SYNTAX;
	*s = slice_from(*s, i);
	*ret_n = n;
	return RC_OK;
}

enum rc
conf_size_parse(struct slice text, uint64_t *ret_bytes)
{
	uint64_t n, unit = 1;
	enum rc rc = number_parse(&text, &n);

	if (rc != RC_OK)
		return rc;
	if (slice_caseeq(text, S("k")))
		unit = 1024;
	else if (slice_caseeq(text, S("m")))
		unit = 1024 * 1024;
	else if (slice_caseeq(text, S("g")))
		unit = 1024 * 1024 * 1024;
	else if (text.n != 0)
		return RC_SYNTAX;
	return __builtin_mul_overflow(n, unit, ret_bytes) ? RC_RANGE : RC_OK;
}

static const struct {
	struct slice name;
	uint64_t ms;
} time_units[] = {	/* largest first, ms before m */
	{ SLICE("d"), 86400000 }, { SLICE("h"), 3600000 }, { SLICE("ms"), 1 }, { SLICE("m"), 60000 }, { SLICE("s"), 1000 },
};

enum rc
conf_time_parse(struct slice text, uint64_t *ret_ms)
{
	uint64_t total = 0;

	if (text.n == 0)
		return RC_SYNTAX;
	if (slice_eq(text, S("0")))
		text = slice_from(text, 1);	/* the one number that means the same in every unit */
	while (text.n > 0) {
		uint64_t n;
		size_t u;
		enum rc rc = number_parse(&text, &n);

		if (rc != RC_OK)
			return rc;
		for (u = 0; u < COUNT(time_units); u++)
			if (slice_starts(text, time_units[u].name))
				break;
		if (u == COUNT(time_units))
			return RC_SYNTAX;	/* a bare number would be anybody's guess */
		text = slice_from(text, time_units[u].name.n);
		if (__builtin_mul_overflow(n, time_units[u].ms, &n) || __builtin_add_overflow(total, n, &total))
			return RC_RANGE;
	}
	*ret_ms = total;
	return RC_OK;
}

static enum rc
u64_parse(enum conf_kind kind, struct slice s, uint64_t *ret_v)
{
	enum rc rc;

	if (kind == CONF_TIME)
		return conf_time_parse(s, ret_v);
	if (kind == CONF_SIZE)
		return conf_size_parse(s, ret_v);
	rc = number_parse(&s, ret_v);
	return rc == RC_OK && s.n > 0 ? RC_SYNTAX : rc;
}

static enum rc
bounded_parse(const struct conf_option *o, struct slice text, uint64_t *ret_v)
{
	uint64_t v, limit;
	enum rc rc = u64_parse(o->kind, text, &v);

	if (rc != RC_OK)
		return rc;
	if (o->min != NULL && u64_parse(o->kind, slice_str(o->min), &limit) == RC_OK && v < limit)
		return RC_RANGE;
	if (o->max != NULL && u64_parse(o->kind, slice_str(o->max), &limit) == RC_OK && v > limit)
		return RC_RANGE;
	*ret_v = v;
	return RC_OK;
}

static enum rc
bool_parse(struct slice s, bool *ret_v)
{
	if (slice_caseeq(s, S("yes")) || slice_caseeq(s, S("true")) || slice_caseeq(s, S("on")))
		*ret_v = true;
	else if (slice_caseeq(s, S("no")) || slice_caseeq(s, S("false")) || slice_caseeq(s, S("off")))
		*ret_v = false;
	else
		return RC_SYNTAX;
	return RC_OK;
}

void
conf_list_clear(struct conf_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
	*l = (struct conf_list){ NULL, 0 };
}

enum rc
conf_list_add(struct conf_list *l, struct slice item)
{
	char **v = reallocarray(l->v, l->n + 1, sizeof *v);
	char *copy;

	if (v == NULL)
		return RC_NOMEM;
	l->v = v;
	copy = text_copy(item);
	if (copy == NULL)
		return RC_NOMEM;
	l->v[l->n++] = copy;
	return RC_OK;
}

/* "a, b" as written in conf_schema.h and by conf_get. */
static enum rc
list_parse(struct conf_list *l, struct slice text)
{
	while (text.n > 0) {
		size_t comma = slice_find(text, ',');
		struct slice item = slice_trim(slice_first(text, comma), S(" \t"));
		enum rc rc = item.n == 0 ? RC_OK : conf_list_add(l, item);

		if (rc != RC_OK)
			return rc;
		text = slice_from(text, comma + 1);
	}
	return RC_OK;
}

enum rc
conf_set(void *section, const struct conf_option *o, const char *text)
{
	void *to = at(section, o->offset);
	struct slice s = slice_str(text);
	uint64_t v;
	enum rc rc;
	char *copy;

	switch (o->kind) {
	case CONF_BOOL:
		return bool_parse(s, to);
	case CONF_U32:
		rc = bounded_parse(o, s, &v);
		if (rc == RC_OK && v > UINT32_MAX)
			rc = RC_RANGE;
		if (rc == RC_OK)
			*(uint32_t *)to = (uint32_t)v;
		return rc;
	case CONF_SIZE:
	case CONF_TIME:
		rc = bounded_parse(o, s, &v);
		if (rc == RC_OK)
			*(uint64_t *)to = v;
		return rc;
	case CONF_STR:
		copy = strdup(text);
		if (copy == NULL)
			return RC_NOMEM;
		free(*(char **)to);
		*(char **)to = copy;
		return RC_OK;
	case CONF_LIST:
		conf_list_clear(to);
		return list_parse(to, s);
	}
	return RC_SYNTAX;
}

static bool
put_scaled(struct buf *to, uint64_t v, const char *const names[], const uint64_t units[], size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (v != 0 && v % units[i] == 0)
			return buf_printf(to, "%llu%s", (unsigned long long)(v / units[i]), names[i]);
	return buf_printf(to, "0%s", names[n - 1]);
}

bool
conf_get(const void *section, const struct conf_option *o, struct buf *to)
{
	static const char *const time_names[] = { "d", "h", "m", "s", "ms" };
	static const uint64_t time_sizes[] = { 86400000, 3600000, 60000, 1000, 1 };
	static const char *const size_names[] = { "G", "M", "K", "" };
	static const uint64_t size_sizes[] = { 1 << 30, 1 << 20, 1 << 10, 1 };
	const void *from = at_const(section, o->offset);
	const struct conf_list *l;

	switch (o->kind) {
	case CONF_BOOL:
		return buf_put_str(to, *(const bool *)from ? "yes" : "no");
	case CONF_U32:
		return buf_printf(to, "%u", *(const uint32_t *)from);
	case CONF_SIZE:
		return put_scaled(to, *(const uint64_t *)from, size_names, size_sizes, COUNT(size_sizes));
	case CONF_TIME:
		return put_scaled(to, *(const uint64_t *)from, time_names, time_sizes, COUNT(time_sizes));
	case CONF_STR:
		return buf_put_str(to, *(char *const *)from);
	case CONF_LIST:
		l = from;
		for (size_t i = 0; i < l->n; i++)
			if ((i > 0 && !buf_put_str(to, ", ")) || !buf_put_str(to, l->v[i]))
				return false;
		return true;
	}
	return false;
}

/* --- life --- */

static bool
section_init(void *section, const struct conf_section *s)
{
	for (size_t i = 0; i < s->n_options; i++)
		if (conf_set(section, &s->options[i], s->options[i].fallback) != RC_OK)
			return false;
	return true;
}

static void
section_free(void *section, const struct conf_section *s)
{
	struct conf_section_head *head = section;

	free(head->title);
	free(head->conf_file);
	for (size_t i = 0; i < s->n_options; i++) {
		void *field = at(section, s->options[i].offset);

		if (s->options[i].kind == CONF_STR)
			free(*(char **)field);
		else if (s->options[i].kind == CONF_LIST)
			conf_list_clear(field);
	}
}

struct conf *
conf_new(void)
{
	struct conf *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	c->refs = 1;
	for (size_t i = 0; i < n_conf_sections; i++)
		if (!conf_sections[i].multi && !section_init(at(c, conf_sections[i].offset), &conf_sections[i])) {
			conf_unref(c);
			return NULL;
		}
	return c;
}

struct conf *
conf_ref(struct conf *c)
{
	c->refs++;
	return c;
}

void
conf_unref(struct conf *c)
{
	if (c == NULL || --c->refs > 0)
		return;
	for (size_t i = 0; i < n_conf_sections; i++) {
		const struct conf_section *s = &conf_sections[i];
		size_t n = s->multi ? *(size_t *)at(c, s->offset_count) : 1;
		char *first = s->multi ? *(char **)at(c, s->offset) : at(c, s->offset);

		for (size_t k = 0; k < n; k++)
			section_free(first + k * s->size, s);
		if (s->multi)
			free(first);
	}
	for (size_t i = 0; i < c->n_networks; i++) {
		free(c->networks[i].table);
		conf_list_clear(&c->networks[i].v);
	}
	free(c->networks);
	free(c);
}

enum rc
conf_add(struct conf *c, const struct conf_section *s, const char *title, void **ret_at)
{
	size_t *n = at(c, s->offset_count);
	char **array = at(c, s->offset), *grown;
	struct conf_section_head *head;

	grown = reallocarray(*array, *n + 1, s->size);
	if (grown == NULL)
		return RC_NOMEM;
	*array = grown;
	memset(grown + *n * s->size, 0, s->size);
	head = (struct conf_section_head *)(void *)(grown + *n * s->size);
	head->title = strdup(title);
	if (head->title == NULL)
		return RC_NOMEM;
	(*n)++;
	if (!section_init(head, s))
		return RC_NOMEM;
	*ret_at = head;
	return RC_OK;
}

struct conf_networks *
conf_add_networks(struct conf *c, const char *table)
{
	struct conf_networks *grown = reallocarray(c->networks, c->n_networks + 1, sizeof *grown), *added;

	if (grown == NULL)
		return NULL;
	c->networks = grown;
	added = &grown[c->n_networks];
	*added = (struct conf_networks){ .table = strdup(table) };
	if (added->table == NULL)
		return NULL;
	c->n_networks++;
	return added;
}

/* --- the wire form: u32 generation, then per section u32 count and its options in the order of the table; behind them the
 * networks of table files: u32 count, and for each the table's name and a list --- */

static void
put_u32(struct buf *to, uint32_t v)
{
	uint8_t b[4];
	struct wr w = { b, 0, sizeof b, false };

	wr_u32(&w, v);
	(void)buf_put(to, b, sizeof b);
}

static void
put_text(struct buf *to, const char *s)
{
	struct slice text = slice_str(s == NULL ? "" : s);

	put_u32(to, (uint32_t)text.n);
	(void)buf_put_slice(to, text);
}

static void
put_list(struct buf *to, const struct conf_list *l)
{
	put_u32(to, (uint32_t)l->n);
	for (size_t i = 0; i < l->n; i++)
		put_text(to, l->v[i]);
}

static void
section_encode(const void *section, const struct conf_section *s, struct buf *to)
{
	const struct conf_section_head *head = section;

	put_text(to, head->title);
	put_text(to, head->conf_file);
	put_u32(to, head->conf_line);
	for (size_t i = 0; i < s->n_options; i++) {
		const void *from = at_const(section, s->options[i].offset);
		uint8_t b[8];
		struct wr w = { b, 0, sizeof b, false };

		switch (s->options[i].kind) {
		case CONF_BOOL:
			wr_u8(&w, *(const bool *)from);
			break;
		case CONF_U32:
			wr_u32(&w, *(const uint32_t *)from);
			break;
		case CONF_SIZE:
		case CONF_TIME:
			wr_u64(&w, *(const uint64_t *)from);
			break;
		case CONF_STR:
			put_text(to, *(char *const *)from);
			break;
		case CONF_LIST:
			put_list(to, from);
			break;
		}
		(void)buf_put(to, b, w.n);
	}
}

bool
conf_encode(const struct conf *c, struct buf *to)
{
	put_u32(to, c->generation);
	for (size_t i = 0; i < n_conf_sections; i++) {
		const struct conf_section *s = &conf_sections[i];
		size_t n = s->multi ? *(const size_t *)at_const(c, s->offset_count) : 1;
		const char *first = s->multi ? *(char *const *)at_const(c, s->offset) : at_const(c, s->offset);

		put_u32(to, (uint32_t)n);
		for (size_t k = 0; k < n; k++)
			section_encode(first + k * s->size, s, to);
	}
	put_u32(to, (uint32_t)c->n_networks);
	for (size_t i = 0; i < c->n_networks; i++) {
		put_text(to, c->networks[i].table);
		put_list(to, &c->networks[i].v);
	}
	return !to->failed;
}

static char *
get_text(struct rd *r)
{
	struct slice s = rd_str(r);
	char *copy = NULL;

	if (!r->bad && (s.n == 0 || memchr(s.p, 0, s.n) == NULL))
		copy = text_copy(s);
	if (copy == NULL)
		r->bad = true;
	return copy;
}

static void
list_decode(struct rd *r, struct conf_list *l)
{
	uint32_t n = rd_u32(r);

	conf_list_clear(l);
	for (uint32_t k = 0; k < n && !r->bad; k++)
		if (conf_list_add(l, rd_str(r)) != RC_OK)
			r->bad = true;
}

static void
section_decode(struct rd *r, void *section, const struct conf_section *s)
{
	for (size_t i = 0; i < s->n_options && !r->bad; i++) {
		void *to = at(section, s->options[i].offset);
		char *text;

		switch (s->options[i].kind) {
		case CONF_BOOL:
			*(bool *)to = rd_u8(r) != 0;
			break;
		case CONF_U32:
			*(uint32_t *)to = rd_u32(r);
			break;
		case CONF_SIZE:
		case CONF_TIME:
			*(uint64_t *)to = rd_u64(r);
			break;
		case CONF_STR:
			text = get_text(r);
			if (text != NULL) {
				free(*(char **)to);
				*(char **)to = text;
			}
			break;
		case CONF_LIST:
			list_decode(r, to);
			break;
		}
	}
}

static void
titled_decode(struct rd *r, struct conf *c, const struct conf_section *s)
{
	char *title = get_text(r), *file = get_text(r);
	uint32_t line = rd_u32(r);
	struct conf_section_head *head = NULL;
	void *section = NULL;

	if (r->bad || (s->multi && conf_add(c, s, title, &section) != RC_OK)) {
		r->bad = true;
		free(file);
	} else {
		head = s->multi ? section : at(c, s->offset);
		free(head->conf_file);
		head->conf_file = file;
		head->conf_line = line;
		section_decode(r, head, s);
	}
	free(title);
}

static void
networks_decode(struct rd *r, struct conf *c)
{
	char *table = get_text(r);
	struct conf_networks *to = table == NULL ? NULL : conf_add_networks(c, table);

	if (to == NULL)
		r->bad = true;
	else
		list_decode(r, &to->v);
	free(table);
}

enum rc
conf_decode(struct slice blob, struct conf **ret_conf)
{
	struct rd r = { blob, false };
	struct conf *c = conf_new();

	if (c == NULL)
		return RC_NOMEM;
	c->generation = rd_u32(&r);
	for (size_t i = 0; i < n_conf_sections && !r.bad; i++) {
		uint32_t n = rd_u32(&r);

		if (!conf_sections[i].multi && n != 1)
			r.bad = true;
		for (uint32_t k = 0; k < n && !r.bad; k++)
			titled_decode(&r, c, &conf_sections[i]);
	}
	for (uint32_t n = rd_u32(&r); n > 0 && !r.bad; n--)
		networks_decode(&r, c);
	if (!rd_end(&r)) {
		conf_unref(c);
		return RC_SYNTAX;
	}
	*ret_conf = c;
	return RC_OK;
}
