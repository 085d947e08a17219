/* master/certificate.h -- one certificate with its key, read from the administrator's files and checked.
 *
 * The key is parsed only to see that it belongs to the certificate, and forgotten: the vault reads the file for itself by
 * the descriptor that is kept here. The chain is copied, since what was checked is what must be used. All OpenSSL of the
 * master is in certificate.c and authority.c. */
#ifndef POSTERN_MASTER_CERTIFICATE_H
#define POSTERN_MASTER_CERTIFICATE_H

#include "common/conf.h"
#include "common/identity.h"

#include <sys/types.h>
#include <time.h>

/* How a file looked: it is another one, or was written to, when any of it differs. */
struct file_look {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec changed, modified;
};

struct certificate {
	unsigned refs;
	char *title;
	char *chain, *key;		/* paths */
	struct file_look look[2];	/* of chain and key, as they were read */

	int chain_fd;			/* a sealed memory file with what common/identity.h says */
	int key_fd;			/* the key's file, open for reading */
	char key_id[2 * IDENTITY_KEY_ID + 1]; /* in hexadecimal, for people */
	uint8_t id[IDENTITY_KEY_ID];

	/* for tls show and the log */
	char *names;			/* "a, b" */
	char *subject, *issuer;
	char *type;			/* "RSA", "EC prime256v1", "ED25519" */
	unsigned bits, n_chain;
	char fingerprint[2 * 32 + 1];	/* SHA-256 of the certificate */
	time_t not_before, not_after;
	time_t since;			/* when it was read */
};

/* First of all, in main(): from then on what OpenSSL gives back is wiped, so that no key that was looked at stays in the memory
 * of the master. False: OpenSSL has been at work already. */
bool certificate_prepare(void);

/* RC_OK, or in why "file:line: certificate "title": what, and what to do", without a newline. */
enum rc certificate_read(const struct conf_certificate *conf, struct certificate **ret_certificate, struct buf *why);
struct certificate *certificate_ref(struct certificate *c);
void certificate_unref(struct certificate *c);	/* NULL is fine */

/* How the files look now. False: one of them is not there. */
bool certificate_look(const char *chain, const char *key, struct file_look ret_look[2]);
bool file_looks_equal(const struct file_look a[2], const struct file_look b[2]);

int certificate_days(const struct certificate *c, time_t now);	/* left; negative: it has ended */

enum certificate_state {
	CERTIFICATE_VALID,
	CERTIFICATE_ENDS_SOON,		/* valid, for CERTIFICATE_WARN_DAYS at most */
	CERTIFICATE_EXPIRED,
	CERTIFICATE_NOT_YET,
};
enum { CERTIFICATE_WARN_DAYS = 14 };	/* what is renewed by a program is renewed before */

enum certificate_state certificate_state(const struct certificate *c, time_t now);
const char *certificate_state_name(enum certificate_state state);
static inline bool
certificate_is_good(enum certificate_state state)
{
	return state == CERTIFICATE_VALID || state == CERTIFICATE_ENDS_SOON;
}
/* "has expired on 2026-01-31; renew it" and the like; nothing for what is valid. */
void certificate_put_state(const struct certificate *c, time_t now, struct buf *to);

#endif
