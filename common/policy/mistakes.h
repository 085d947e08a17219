/* common/policy/mistakes.h -- what is wrong in the rules, routes and tables of a configuration: each mistake with its place,
 * "file:line: section "title": option: what, and what to do". For rules.c. */
#ifndef POSTERN_COMMON_POLICY_MISTAKES_H
#define POSTERN_COMMON_POLICY_MISTAKES_H

#include "common/buf.h"
#include "common/rc.h"

#include <stddef.h>
#include <stdint.h>

struct policy_places;

enum mistakes_mode {
	MISTAKES_FIRST,		/* of all that there are the first is told, without the end of its line */
	MISTAKES_ALL,		/* each in a line of its own */
};

struct mistakes {
	enum mistakes_mode mode;
	const struct policy_places *places;	/* NULL: an option stands where its section does */
	struct buf *why;
	struct buf one;			/* the mistake that is being told */
	enum rc rc;			/* of the first */
	size_t n;
	const void *head;		/* of the section that is being looked at */
	const char *file;
	uint32_t line;
	const char *section, *title;	/* NULL: a section has none */
	const char *option;		/* set by whoever looks at one; NULL: at none */
};

/* why is told all of them; mistakes_end() has to follow. */
struct mistakes mistakes_begin(enum mistakes_mode mode, const struct policy_places *places, struct buf *why);
/* The rc of the first; RC_OK: there was none. */
enum rc mistakes_end(struct mistakes *m);

/* What comes next stands in this section, whose struct begins as conf_section_head says; NULL: in none. */
void mistakes_enter(struct mistakes *m, const void *section, const char *name);

/* A mistake: its place goes to m->one, what is wrong is put behind it, and then it is told. */
void mistake_start(struct mistakes *m);
void mistake_told(struct mistakes *m, enum rc rc);
void mistake_say(struct mistakes *m, enum rc rc, const char *words);	/* all three */
/* No place, and no sense in going on. */
void mistakes_out_of_memory(struct mistakes *m);

#endif
