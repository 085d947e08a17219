/* master/conf_braces.c -- see conf_braces.h. */
#include "master/conf_braces.h"

#include <stdio.h>
#include <string.h>

struct scan {
	FILE *f;
	struct buf *text;	/* what is passed on */
	bool in_comment;
	int c;			/* the character that we are at; EOF behind the last */
	unsigned line;		/* where it stands */
	unsigned open;		/* braces */
	unsigned open_line;	/* of the outermost */
	const char *unclosed;	/* what else does not end */
	unsigned unclosed_line;
};

static void
step(struct scan *s)
{
	if (s->c == '\n')
		s->line++;
	if (s->c != EOF)
		(void)buf_put_byte(s->text, s->in_comment && s->c != '\n' ? ' ' : (uint8_t)s->c);
	s->c = getc(s->f);
}

/* The last n characters were the beginning of a comment. */
static void
blank(struct scan *s, size_t n)
{
	for (size_t i = 0; i < n && i < buf_len(s->text); i++)
		s->text->p[s->text->end - 1 - i] = ' ';
}

static void
does_not_end(struct scan *s, const char *what, unsigned begin)
{
	if (s->unclosed == NULL)
		s->unclosed_line = begin;
	if (s->unclosed == NULL)
		s->unclosed = what;
}

static void
skip_line(struct scan *s)
{
	s->in_comment = true;
	while (s->c != '\n' && s->c != EOF)
		step(s);
	s->in_comment = false;
}

/* At the star of its beginning. */
static void
skip_comment(struct scan *s)
{
	unsigned begin = s->line;
	int before;

	s->in_comment = true;
	step(s);
	do {
		before = s->c;
		step(s);
	} while (s->c != EOF && (before != '*' || s->c != '/'));
	if (s->c == EOF)
		does_not_end(s, "comment", begin);
	step(s);
	s->in_comment = false;
}

/* At a dollar sign: ${NAME} is one thing, whatever is in it. */
static void
skip_variable(struct scan *s)
{
	unsigned begin = s->line;

	step(s);
	if (s->c != '{')
		return;
	while (s->c != '}' && s->c != EOF)
		step(s);
	if (s->c == EOF)
		does_not_end(s, "variable", begin);
	step(s);
}

static void
skip_string(struct scan *s)
{
	int quote = s->c;
	unsigned begin = s->line;

	step(s);
	while (s->c != quote && s->c != EOF) {
		if (s->c == '$' && quote == '"') {
			skip_variable(s);
			continue;
		}
		if (s->c == '\\')
			step(s);
		step(s);
	}
	if (s->c == EOF)
		does_not_end(s, "string", begin);
	step(s);
}

static bool
is_word(int c)
{
	return c != EOF && c != '\0' && strchr(" #\"'\t\n\r={}()+,*", c) == NULL;
}

/* Slashes are letters of words, unless they stand alone or a star follows the first. */
static void
skip_word(struct scan *s)
{
	unsigned n = 0, slashes = 0;

	for (; is_word(s->c); n++) {
		slashes += s->c == '/';
		step(s);
	}
	if (n == 1 && slashes == 1 && s->c == '*') {
		blank(s, n);
		skip_comment(s);
	} else if (n == slashes && n > 1) {
		blank(s, n);
		skip_line(s);
	}
}

/* Takes blanks and then this character off the end. */
static bool
ends_with(struct slice *text, uint8_t c)
{
	while (text->n > 0 && slice_find(S(" \t\r\n"), text->p[text->n - 1]) < 4)
		text->n--;
	if (text->n == 0 || text->p[text->n - 1] != c)
		return false;
	text->n--;
	return true;
}

/* At a closing brace: of "NAME = {}"? What += adds nothing to stays as it is. */
static bool
ends_empty_list(const struct scan *s)
{
	struct slice text = buf_slice(s->text);

	return ends_with(&text, '{') && ends_with(&text, '=') && (text.n == 0 || text.p[text.n - 1] != '+');
}

static void
take(struct scan *s)
{
	switch (s->c) {
	case '{':
		if (s->open++ == 0)
			s->open_line = s->line;
		break;
	case '}':
		if (s->open > 0)
			s->open--;	/* of one too many libconfuse complains */
		if (ends_empty_list(s))
			(void)buf_put_str(s->text, "\"" CONF_EMPTY_LIST "\"");
		break;
	case '#':
		skip_line(s);
		return;
	case '"':
	case '\'':
		skip_string(s);
		return;
	case '$':
		skip_variable(s);
		return;
	default:
		if (is_word(s->c)) {
			skip_word(s);
			return;
		}
	}
	step(s);
}

enum rc
conf_braces_read(const char *file, struct buf *ret_text, struct buf *errors)
{
	struct scan s = { .f = fopen(file, "re"), .text = ret_text, .line = 1 };
	enum rc rc = RC_OK;

	if (s.f == NULL) {
		(void)buf_printf(errors, "%s: cannot be opened: %m\n", file);
		return RC_IO;
	}
	for (s.c = getc(s.f); s.c != EOF && !ret_text->failed;)
		take(&s);
	if (ferror(s.f) != 0 || ret_text->failed)
		rc = ret_text->failed ? RC_RANGE : RC_IO;
	(void)fclose(s.f);
	if (rc != RC_OK) {
		(void)buf_printf(errors, "%s: %s\n", file, rc == RC_IO ? "cannot be read" :
		    "is larger than 16 MiB (or there is no memory for it); is it the right file?");
		return rc;
	}
	if (s.unclosed != NULL) {
		(void)buf_printf(errors, "%s:%u: the %s that begins here does not end\n", file, s.unclosed_line, s.unclosed);
		return RC_SYNTAX;
	}
	if (s.open == 0)
		return RC_OK;
	(void)buf_printf(errors, "%s:%u: the section that begins here is not closed; write } behind its last option\n", file,
	    s.open_line);
	return RC_SYNTAX;
}
