/* smtpd/tls_room.h -- the TLS of this smtpd process as it is now: made anew whenever configuration or certificates change. */
#ifndef POSTERN_SMTPD_TLS_ROOM_H
#define POSTERN_SMTPD_TLS_ROOM_H

#include "common/conf.h"
#include "common/ipc/schema.h"
#include "smtpd/tls_listener.h"

struct smtpd;
struct ca_file;

struct tls_room {
	struct tls_listeners *set;	/* NULL: none yet, or none that works */
	struct ca_file *files;		/* client-ca, by generation and listener */
};

/* A FILE_CLIENT_CA; fd is taken over. */
void tls_room_file(struct smtpd *smtpd, const struct m_file *m, int fd);
/* For smtpd->conf and smtpd->identities, whichever has changed. What cannot be used is said in the log, and then there is
 * no TLS; sessions go on with what they have. */
void tls_room_renew(struct smtpd *smtpd);
void tls_room_free(struct smtpd *smtpd);

/* NULL: no TLS at this listener now: not configured, no certificate, or nobody to sign with it. */
struct tls_listener *tls_room_listener(const struct smtpd *smtpd, struct slice title);

#endif
