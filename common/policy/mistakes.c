/* common/policy/mistakes.c -- see mistakes.h. */
#include "common/policy/mistakes.h"

#include "common/escape.h"
#include "common/policy/rules.h"

enum {
	TOLD_MAX = 100,			/* one by one */
	MISTAKE_MAX = 64 * 1024,	/* bytes of one: those of a table's file come together */
	TITLE_QUOTE_MAX = 80,
};

struct mistakes
mistakes_begin(enum mistakes_mode mode, const struct policy_places *places, struct buf *why)
{
	return (struct mistakes){ .mode = mode, .places = places, .why = why, .one = BUF_INIT(MISTAKE_MAX), .rc = RC_OK };
}

enum rc
mistakes_end(struct mistakes *m)
{
	buf_free(&m->one);
	if (m->n == 0)
		return RC_OK;
	if (m->n > TOLD_MAX && m->mode == MISTAKES_ALL)
		(void)buf_printf(m->why, "and %zu more; mend these first\n", m->n - TOLD_MAX);
	if (buf_len(m->why) == 0)
		(void)buf_printf(m->why, "%s%s", rc_name(m->rc), m->mode == MISTAKES_ALL ? "\n" : "");
	return m->rc;
}

void
mistakes_enter(struct mistakes *m, const void *section, const char *name)
{
	const struct conf_section_head *head = section;

	m->head = head;
	m->file = head == NULL ? NULL : head->conf_file;
	m->line = head == NULL ? 0 : head->conf_line;
	m->section = name;
	m->title = head == NULL ? NULL : head->title;
	m->option = NULL;
}

/* The line of the option, when it was written, else that of the section. */
void
mistake_start(struct mistakes *m)
{
	const char *file = m->file;
	uint32_t line = m->line;

	buf_clear(&m->one);
	if (m->option != NULL && m->head != NULL && m->places != NULL)
		m->places->find(m->places->ctx, m->head, m->option, &file, &line);
	if (file != NULL && *file != '\0')
		(void)buf_printf(&m->one, "%s:%u: ", file, line);
	if (m->section != NULL && m->title == NULL)
		(void)buf_printf(&m->one, "%s: ", m->section);
	else if (m->section != NULL) {
		(void)buf_printf(&m->one, "%s \"", m->section);
		(void)escape_put(&m->one, slice_str(m->title), TITLE_QUOTE_MAX);
		(void)buf_put_str(&m->one, "\": ");
	}
	if (m->option != NULL)
		(void)buf_printf(&m->one, "%s: ", m->option);
}

void
mistake_told(struct mistakes *m, enum rc rc)
{
	struct slice words = buf_slice(&m->one);

	if (m->n == 0)
		m->rc = rc;
	if (m->mode == MISTAKES_FIRST && m->n == 0)
		(void)buf_put_slice(m->why, slice_first(words, slice_find(words, '\n')));
	else if (m->mode == MISTAKES_ALL && m->n < TOLD_MAX) {
		(void)buf_put_slice(m->why, words);
		(void)buf_put_byte(m->why, '\n');
	}
	m->n++;
}

void
mistake_say(struct mistakes *m, enum rc rc, const char *words)
{
	mistake_start(m);
	(void)buf_put_str(&m->one, words);
	mistake_told(m, rc);
}

void
mistakes_out_of_memory(struct mistakes *m)
{
	if (m->n == 0)
		m->rc = RC_NOMEM;
	m->n++;
}
