/* vault/signing.h -- requests for signatures: whose turn it is, and who makes them.
 *
 * All who have something to sign are served in turns, one signature each, and at their rate. When several wait, those that take
 * long (RSA) go to threads, a few at a time, so that the turns are kept and all processors sign. */
#ifndef POSTERN_VAULT_SIGNING_H
#define POSTERN_VAULT_SIGNING_H

#include "vault/vault.h"

void signing_setup(struct vault *v);
/* Before the filter: the threads. Without them everything is signed at once. RC_NOMEM, RC_AGAIN, RC_UNSUPPORTED. */
enum rc signing_make_threads(struct vault *v, unsigned threads);
void signing_attach(struct vault *v);		/* the loop hears of what they have signed */
void signing_close(struct vault *v);

/* K_SIGN, whose ctx is the struct asker. */
const char *signing_on_request(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd);
void signing_forget(const struct asker *c);	/* its line is closed: what it asked is nobody's */

#endif
