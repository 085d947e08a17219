/* common/wire/dovecot_auth.h -- the lines of Dovecot's authentication protocol, version 1, between an auth client (we) and
 * its auth service. A line is a command and parameters with a TAB between two; in a parameter \001 escapes NUL, TAB, CR,
 * LF and itself. Parameters and commands that are not known are passed over, as its description asks. */
#ifndef POSTERN_COMMON_WIRE_DOVECOT_AUTH_H
#define POSTERN_COMMON_WIRE_DOVECOT_AUTH_H

#include "common/buf.h"
#include "common/rc.h"

enum {
	DOVECOT_LINE_MAX = 16384,	/* bytes of one from Dovecot, with its LF: what its description expects to suffice */
	DOVECOT_MECHANISM_MAX = 20,	/* RFC 4422 3.1 */
};

enum dovecot_kind {
	DOVECOT_OTHER,		/* nothing that concerns us */
	DOVECOT_VERSION,	/* number: the major version */
	DOVECOT_MECH,		/* text: the name; private_mech, binding */
	DOVECOT_DONE,		/* the handshake is complete */
	DOVECOT_CONT,		/* number: the request; text: the challenge in base64 */
	DOVECOT_OK,		/* number: the request; user, and the rest */
	DOVECOT_FAIL,
};

/* Slices borrow from the line. user and reason are still escaped: dovecot_unescape(). */
struct dovecot_line {
	enum dovecot_kind kind;
	uint32_t number;
	struct slice text;
	struct slice user;	/* empty: not given */
	struct slice reason;	/* FAIL: words for people, or empty */
	struct slice code;	/* FAIL: temp_fail, user_disabled and the like, or empty */
	struct slice resp;	/* base64 of what the mechanism says along with the result */
	bool has_resp;
	bool temporary;		/* FAIL: Dovecot could not find out */
	bool denied;		/* OK: the credentials are right, and the user must not be let in all the same */
	bool private_mech;	/* MECH: not to be offered */
	bool binding;		/* MECH: wants channel binding, for which version 1.2 has no words */
};

/* One line without its LF. RC_SYNTAX: no such line can be; nothing of it is to be believed. */
enum rc dovecot_line_parse(struct slice line, struct dovecot_line *ret_line);

/* Appends what an escaped value stands for. RC_SYNTAX: an escape at its end; RC_NOMEM: `to` is full. `to` may have grown. */
enum rc dovecot_unescape(struct slice value, struct buf *to);

#endif
