/* master/conf_networks.c -- see conf_networks.h. */
#include "master/conf_networks.h"

#include "common/policy/networks.h"
#include "master/conf_tables.h"

/* In front of a message: where the table is declared. */
static enum rc
refuse(const struct conf_table *section, enum rc rc, struct buf *what, struct buf *errors)
{
	if (section->conf_file != NULL && *section->conf_file != '\0')
		(void)buf_printf(errors, "%s:%u: ", section->conf_file, section->conf_line);
	(void)buf_printf(errors, "table \"%s\": ", section->title);
	(void)buf_put_slice(errors, rc == RC_NOMEM ? S("out of memory") : buf_slice(what));
	(void)buf_put_byte(errors, '\n');
	return rc;
}

static enum rc
check(const struct conf *c, const struct conf_table *section, const struct table *t, struct buf *why)
{
	struct table_hit bad;

	if (!table_holds_only(t, TABLE_FOR_CLIENTS, &bad)) {
		(void)buf_printf(why, "%s:%u: '%.*s' is no network, and lists of networks name this table; write one such as "
		    "192.0.2.0/24", section->file, bad.line, (int)bad.pattern.n, (const char *)bad.pattern.p);
		return RC_SYNTAX;
	}
	if (table_count(t) <= c->smtpd.max_table_networks)
		return RC_OK;
	(void)buf_printf(why, "%s holds %zu networks, more than smtpd { max-table-networks }; raise it, write larger networks, "
	    "or name the table in rules and router { } alone (and not by the word relay-clients)", section->file, table_count(t));
	return RC_RANGE;
}

static enum rc
keep(struct conf *c, const struct table *t, const char *title)
{
	struct conf_networks *to = conf_add_networks(c, title);
	enum rc rc = to == NULL ? RC_NOMEM : RC_OK;
	struct table_hit hit;
	size_t at = 0;

	while (rc == RC_OK && table_next(t, &at, &hit))
		rc = conf_list_add(&to->v, hit.pattern);
	return rc;
}

static enum rc
read_one(struct conf *c, const struct conf_table *section, struct buf *why)
{
	struct buf bytes = BUF_INIT(0);
	struct table *t = table_new(section->title);
	enum rc rc = t == NULL ? RC_NOMEM : conf_table_read(section->file, c->router.max_table_size, &bytes, why);

	if (rc == RC_OK)
		rc = table_load_text(t, buf_slice(&bytes), section->file, why);
	if (rc == RC_OK)
		rc = check(c, section, t, why);
	if (rc == RC_OK)
		rc = keep(c, t, section->title);
	buf_free(&bytes);
	table_free(t);
	return rc;
}

enum rc
conf_networks_read(struct conf *c, struct buf *errors)
{
	struct buf why = BUF_INIT(64 * 1024);
	enum rc first = RC_OK;

	for (size_t i = 0; i < c->n_tables; i++) {
		const struct conf_table *section = &c->tables[i];
		enum rc rc;

		if (*section->file != '/' || !networks_name_table(c, section->title))
			continue;	/* a path that is none is said by conf_check() */
		if (strcmp(section->format, "text") != 0) {
			(void)buf_put_str(&why,
			    "is a file of users, and lists of networks name it; name a table of networks there");
			rc = RC_SYNTAX;
		} else
			rc = read_one(c, section, &why);
		if (rc != RC_OK)
			(void)refuse(section, rc, &why, errors);
		if (first == RC_OK)
			first = rc;
		buf_clear(&why);
	}
	buf_free(&why);
	return first;
}
