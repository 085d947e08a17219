/* smtpd/vault_ask.h -- between the provider and the line to the vault. */
#ifndef POSTERN_SMTPD_VAULT_ASK_H
#define POSTERN_SMTPD_VAULT_ASK_H

#include "smtpd/vault.h"

/* Inside of an ASYNC job: asks, and lets the job stand still until the answer. RC_CLOSED: there is none, or no. */
enum rc vault_ask(struct vault_line *v, enum vault_scheme scheme, struct slice key, struct slice message,
    uint8_t *signature, size_t max, size_t *ret_n);

#endif
