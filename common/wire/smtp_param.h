/* common/wire/smtp_param.h -- the values of the parameters that extensions add to MAIL and RCPT, and the argument of BDAT.
 *
 * Pure; slices borrow. Everywhere RC_SYNTAX: not what the RFC's grammar allows; RC_RANGE: well-formed, and more than a number
 * of ours holds. Outputs are written on RC_OK only. */
#ifndef POSTERN_COMMON_WIRE_SMTP_PARAM_H
#define POSTERN_COMMON_WIRE_SMTP_PARAM_H

#include "common/buf.h"
#include "common/rc.h"
#include "common/slice.h"

/* RFC 1870 4: size-value = 1*20DIGIT. RC_RANGE: 20 digits that no 64-bit number holds. */
enum rc smtp_size_parse(struct slice value, uint64_t *ret_size);

/* RFC 6152 2, RFC 3030 3. RC_SYNTAX for any other word. */
enum smtp_body { SMTP_BODY_7BIT, SMTP_BODY_8BITMIME, SMTP_BODY_BINARYMIME };
enum rc smtp_body_parse(struct slice value, enum smtp_body *ret_body);

/* BDAT (RFC 3030 2): chunk-size [SP "LAST"]. */
enum rc smtp_bdat_parse(struct slice arg, uint64_t *ret_size, bool *ret_last);

/* ---- DSN (RFC 3461) ---- */

enum {
	SMTP_ENVID_MAX = 100,		/* RFC 3461 4.4 */
	SMTP_ORCPT_MAX = 500,		/* RFC 3461 4.2 */
};

/* RFC 3461 4: printable ASCII without "+" and "=", or "+" and two hexadecimal digits in upper case. Appends
 * what it stands for. False: to is full. text must be valid; UTF-8 in it stands for itself. */
bool smtp_xtext_decode(struct buf *to, struct slice text);

enum smtp_ret { SMTP_RET_NONE, SMTP_RET_FULL, SMTP_RET_HDRS };
enum rc smtp_ret_parse(struct slice value, enum smtp_ret *ret_ret);
/* What it stands for must be printable ASCII (RFC 3461 4.4): no line of a report can begin in it. RC_RANGE: too long. */
enum rc smtp_envid_parse(struct slice value);
/* As NOTIFY_ bits of common/envelope.h. */
enum { SMTP_NOTIFY_NEVER = 1, SMTP_NOTIFY_SUCCESS = 2, SMTP_NOTIFY_FAILURE = 4, SMTP_NOTIFY_DELAY = 8 };
enum rc smtp_notify_parse(struct slice value, uint8_t *ret_bits);
/* addr-type ";" xtext; the address must be printable ASCII. Of type utf-8 it may be UTF-8, written as it is, as xtext, or escaped
 * (RFC 6533 3; see unitext.h). RC_RANGE: too long. */
enum rc smtp_orcpt_parse(struct slice value, struct slice *ret_type, struct slice *ret_xtext);

/* ---- AUTH (RFC 4954 5) ---- */

/* The AUTH parameter of MAIL: "<>" or an address, as xtext; in UTF-8 too, as it is or as xtext. */
enum rc smtp_auth_parse(struct slice value);

/* ---- when, and how urgently ---- */

/* BY (RFC 2852 4): by-time ";" by-mode [by-trace]. RC_SYNTAX also for a time that is not in the future with mode R. */
struct smtp_by {
	int32_t seconds;
	bool notify;			/* mode N; else R */
	bool trace;
};
enum rc smtp_by_parse(struct slice value, struct smtp_by *ret_by);
/* HOLDFOR (RFC 4865 3): seconds, 1 to 999999999. HOLDUNTIL is date_rfc3339_parse() of date.h. */
enum rc smtp_holdfor_parse(struct slice value, uint32_t *ret_seconds);
/* MT-PRIORITY (RFC 6710 5): -9 to 9. */
enum rc smtp_priority_parse(struct slice value, int8_t *ret_priority);

#endif
