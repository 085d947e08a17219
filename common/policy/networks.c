/* common/policy/networks.c -- see networks.h. */
#include "common/policy/networks.h"

struct work {
	const struct conf *conf;
	struct table *t;
	struct buf *why;
};

static enum rc
refuse(const struct work *w, enum rc rc, const char *word, const char *text)
{
	if (w->why != NULL)
		(void)buf_printf(w->why, "'%s' %s", word, text);
	return rc;
}

static enum rc
add_word(struct work *w, const char *word)
{
	struct buf why = BUF_INIT(1024);
	enum rc rc = table_add(w->t, slice_str(word), S(""), 0, &why);

	if (rc != RC_OK && w->why != NULL) {
		(void)buf_put_slice(w->why, buf_slice(&why));
		if (rc != RC_NOMEM)
			(void)buf_put_str(w->why, "; only networks and @table can stand here");
	}
	buf_free(&why);
	return rc;
}

static enum rc
add_words(struct work *w, const struct conf_list *words)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; i < words->n && rc == RC_OK; i++)
		rc = add_word(w, words->v[i]);
	return rc;
}

static enum rc
add_file(struct work *w, const char *name)
{
	for (size_t i = 0; i < w->conf->n_networks; i++)
		if (strcmp(w->conf->networks[i].table, name + 1) == 0)
			return add_words(w, &w->conf->networks[i].v);
	return refuse(w, RC_NOTFOUND, name, "is a file that was not read");
}

static enum rc
add_table(struct work *w, const char *name)
{
	for (size_t i = 0; i < w->conf->n_tables; i++) {
		const struct conf_table *t = &w->conf->tables[i];

		if (strcmp(t->title, name + 1) == 0)
			return *t->file != '\0' ? add_file(w, name) : add_words(w, &t->values);
	}
	return refuse(w, RC_NOTFOUND, name, "is no table; declare it");
}

static enum rc
add_entry(struct work *w, const char *word)
{
	return *word == '@' ? add_table(w, word) : add_word(w, word);
}

static enum rc
add_relay_clients(struct work *w)
{
	const struct conf_list *list = &w->conf->router.relay_clients;
	enum rc rc = RC_OK;

	for (size_t i = 0; i < list->n && rc == RC_OK; i++)
		rc = add_entry(w, list->v[i]);
	return rc;
}

static enum rc
add_list(struct work *w, const struct conf_list *list)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; i < list->n && rc == RC_OK; i++)
		rc = strcmp(list->v[i], "relay-clients") == 0 ? add_relay_clients(w) : add_entry(w, list->v[i]);
	return rc;
}

enum rc
networks_compile(const struct conf *conf, const struct conf_list *list, struct table **ret_table, struct buf *why)
{
	struct work w = { conf, table_new("networks"), why };
	struct table_hit bad;
	enum rc rc = w.t == NULL ? RC_NOMEM : add_list(&w, list);

	if (rc == RC_OK && !table_holds_only(w.t, TABLE_FOR_CLIENTS, &bad)) {
		if (why != NULL)
			(void)buf_printf(why, "'%.*s' is no network; write one such as 192.0.2.0/24", (int)bad.pattern.n,
			    (const char *)bad.pattern.p);
		rc = RC_SYNTAX;
	}
	if (rc == RC_OK)
		*ret_table = w.t;
	else
		table_free(w.t);
	return rc;
}

/* --- which tables there are to read --- */

static bool
list_has(const struct conf_list *list, const char *title)
{
	for (size_t i = 0; i < list->n; i++)
		if (*list->v[i] == '@' && strcmp(list->v[i] + 1, title) == 0)
			return true;
	return false;
}

static bool
list_names(const struct conf *conf, const struct conf_list *list, const char *title)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->v[i], "relay-clients") == 0 && list_has(&conf->router.relay_clients, title))
			return true;
	return list_has(list, title);
}

void
networks_renew(const struct conf *conf, const struct conf_list *list, struct table **at)
{
	struct table *t;

	if (networks_compile(conf, list, &t, NULL) != RC_OK)
		return;
	table_free(*at);
	*at = t;
}

bool
networks_name_table(const struct conf *conf, const char *title)
{
	const struct conf_list *const lists[] = {
		&conf->limits.exempt, &conf->smtpd.vrfy, &conf->smtpd.bare_newline_networks, &conf->smtpd.etrn_clients,
		&conf->smtpd.priority_clients, &conf->smtpd.report_clients,
	};
	bool named = false;

	for (size_t i = 0; i < sizeof lists / sizeof lists[0] && !named; i++)
		named = list_names(conf, lists[i], title);
	for (size_t i = 0; i < conf->n_listeners && !named; i++)
		named = list_names(conf, &conf->listeners[i].proxy, title) ||
		    list_names(conf, &conf->listeners[i].xclient, title);
	return named;
}
