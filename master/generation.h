/* master/generation.h -- a configuration from the file to something that rooms can be given: read, completed, checked,
 * and everything opened that it names. Used for the start, for reloads and for postern -n. */
#ifndef POSTERN_MASTER_GENERATION_H
#define POSTERN_MASTER_GENERATION_H

#include "master/master.h"

struct generation {
	struct conf_source source;
	struct wares wares;
	struct buf encoded;
	struct certificates certificates;
	struct buf notes;		/* what was kept as it is, though the administrator has asked for something else */
};

/* Reads the file and checks what can be checked without opening anything. errors: a line per complaint; notes: a line for each
 * thing that is allowed and can hardly be meant. Certificates and keys, which the reload of a running house need not all be
 * good: certificates_open(). */
enum rc generation_read(const struct options *o, struct conf_source *ret_source, struct buf *notes, struct buf *errors);

/* The same, and opens: number becomes the generation's. old: the wares in use, NULL at the start. */
enum rc generation_prepare(struct master *m, uint32_t number, const struct wares *old, struct generation *ret_g,
    struct buf *errors);

/* Makes it the one in use; the old one is released. */
void generation_adopt(struct master *m, struct generation *g);
void generation_free(struct generation *g);

/* As many smtpd and deliver processes as the configuration says; starts missing ones, stops surplus ones. */
void generation_processes(struct master *m);

#endif
