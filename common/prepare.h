/* common/prepare.h -- names and passwords of users in the one form in which they are stored and compared.
 *
 * RFC 4013 (SASLprep), which SCRAM, PLAIN and RFC 4954 ask for, by the tables of today's Unicode: spaces of other
 * scripts become the space, what is commonly mapped to nothing goes, compatibility forms are folded (NFKC). Refused:
 * what is not UTF-8, control characters, private use, code points without a meaning, and characters that steer the
 * direction of text. Plain ASCII passes through unchanged. The rules on mixing directions (RFC 3454 6) are not checked:
 * they protect eyes, and nothing is shown here. Letter case counts. */
#ifndef POSTERN_COMMON_PREPARE_H
#define POSTERN_COMMON_PREPARE_H

#include "common/buf.h"
#include "common/rc.h"

enum {
	PREPARE_USER_MAX = 255,		/* bytes of a user's name */
	PREPARE_PASSWORD_MAX = 1024,	/* bytes of a password */
};

/* Appends the prepared form. RC_SYNTAX: refused, or nothing is left; RC_RANGE: over the maximum; RC_NOMEM. A name may
 * hold no colon: it stands before one in the users file. */
enum rc prepare_user(struct slice text, struct buf *to);
enum rc prepare_password(struct slice text, struct buf *to);

/* Appends the form in which names are the same that somebody may take for the same: without case, compatibility forms folded.
 * For names that others decide about; what is no UTF-8 has the case of ASCII letters alone folded. False: `to` is full. */
bool prepare_folded(struct slice text, struct buf *to);

#endif
