/* smtpd/shared_counts.h -- the memory in which all smtpd processes count their clients. */
#ifndef POSTERN_SMTPD_SHARED_COUNTS_H
#define POSTERN_SMTPD_SHARED_COUNTS_H

struct smtpd;

/* In prepare(), before the sandbox: maps what master sent, our own table to be written and the rest to be read. The
 * descriptors are gone before anybody from outside can be here. Without them we count for ourselves, and say so. */
void shared_counts_map(struct smtpd *smtpd);

#endif
