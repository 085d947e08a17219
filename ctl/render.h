/* ctl/render.h -- rows of the admin line as tables for people, as JSON lines, or as mailq prints them.
 *
 * Everything is printed as it comes: a listing of a million rows needs no memory. Outside bytes arrive inside JSON and
 * leave with control characters replaced, so that no address can write to the terminal. */
#ifndef POSTERN_CTL_RENDER_H
#define POSTERN_CTL_RENDER_H

#include "ctl/ask.h"

#include <stdio.h>

struct render;
struct json_t;	/* jansson's */

struct column {
	const char *head;
	const char *key;	/* of the row's JSON object; "a.b" for a member of a member */
	int width;		/* at least; negative: aligned to the left */
};

/* How a verb's rows are shown. */
struct view {
	const struct column *columns;	/* ends with a NULL head; NULL: key and value, one a line */
	void (*row)(struct render *r, const struct json_t *row);	/* instead of columns, may be NULL */
	void (*end)(struct render *r);				/* after the last row, may be NULL */
	bool raw;						/* rows may be bytes of mail, which are shown as they are */
};

struct render {
	FILE *to;
	const struct view *view;
	bool json;		/* rows as they came, one a line */
	unsigned long rows;
	unsigned long failures;	/* rows that say "verdict": "FAIL" */
	unsigned long long bytes;
};

extern const struct view view_status, view_queue_list, view_queue_show, view_mailq, view_config, view_explain,
    view_selftest, view_tls, view_users, view_clients, view_done, view_cat;

/* Bytes that a terminal would act on become '?'; UTF-8 above them passes. Whatever is shown goes through here, names as well
 * as values: a room that has been broken into may have written them. */
void render_text(FILE *to, struct slice s);

/* A row_fn; ctx is a struct render. */
bool render_row(void *ctx, enum admin_row kind, struct slice row);
void render_end(struct render *r);

#endif
