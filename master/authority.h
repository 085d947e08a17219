/* master/authority.h -- who signs the certificates of a listener's clients: the file of client-ca, read, checked and kept.
 *
 * smtpd is given a sealed copy of what was checked. The files are looked at like those of certificates: one that has changed
 * and then stood still is read, and one that has become bad leaves the last good copy in use. */
#ifndef POSTERN_MASTER_AUTHORITY_H
#define POSTERN_MASTER_AUTHORITY_H

#include "common/conf.h"

#include <sys/stat.h>
#include <time.h>

enum { AUTHORITY_FILE_MAX = 1024 * 1024 };	/* smtpd takes no more of it */

struct authority {
	char *title;		/* of the listener */
	char *path;
	int fd;			/* the sealed copy */
	char *subjects;		/* "a, b" */
	unsigned n;
	time_t not_after;	/* of the one that ends first */
	time_t since;		/* when it was read */
	char *trouble;		/* why a newer file was refused; NULL: none was */
	struct stat seen, tried; /* at the last look, and as last read, for better or worse */
};

struct authorities {
	struct authority *v;
	size_t n;
};

/* Of every listener that has client-ca. One that is bad is an error, but stays as it is in old (NULL: none), with a line in
 * notes. */
enum rc authorities_open(const struct conf *c, const struct authorities *old, struct authorities *ret_set, struct buf *notes,
    struct buf *errors);
void authorities_free(struct authorities *set);

/* Have files changed? True: some were read, and are in use. */
bool authorities_renew(struct authorities *set);

const struct authority *authorities_find(const struct authorities *set, const char *title);	/* NULL: none */

#endif
