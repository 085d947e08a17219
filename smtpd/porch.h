/* smtpd/porch.h -- where a connection waits before it becomes a session: until its proxy has said who the client is
 * (PROXY protocol), and through the pause before the greeting, in which a client has nothing to say (RFC 5321 3.1, 4.3.1).
 *
 * A struct caller is small, and has a deadline. What is read here is the proxy's header and not one byte more: what comes
 * behind it is the session's, or the TLS library's. */
#ifndef POSTERN_SMTPD_PORCH_H
#define POSTERN_SMTPD_PORCH_H

#include "smtpd/smtpd.h"

enum {
	PROXY_PATIENCE_MS = 5000,	/* for a proxy's header: it comes with the connection */
};

/* All take fd over. false: no memory; then it stays the caller's. */
bool porch_wait_for_proxy(struct smtpd *smtpd, struct slice listener, int fd, struct ip ip);
bool porch_pause(struct smtpd *smtpd, struct slice listener, int fd, struct ip ip, struct client *client);

/* The room stops, or is freed: without a word, there was none yet. */
void porch_clear(struct smtpd *smtpd);

#endif
