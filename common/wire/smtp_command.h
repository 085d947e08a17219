/* common/wire/smtp_command.h -- what a command line says: verb and argument, the paths and parameters of MAIL and RCPT.
 *
 * Grammar: RFC 5321 4.1.1 and 4.1.2. Lines come without their CRLF, from smtp_line. Pure; slices borrow. */
#ifndef POSTERN_COMMON_WIRE_SMTP_COMMAND_H
#define POSTERN_COMMON_WIRE_SMTP_COMMAND_H

#include "common/rc.h"
#include "common/slice.h"
#include "common/wire/address.h"

enum { SMTP_PARAMS_MAX = 32 };	/* of one command; all registered ones together are fewer */

struct smtp_command {
	struct slice verb;	/* as written; compare with slice_caseeq */
	struct slice arg;	/* without white space around it; empty when there is none */
	bool utf8;		/* there is more than ASCII in it, in well-formed UTF-8 */
};

/* White space at the end is tolerated (RFC 5321 4.1.1). RC_SYNTAX: no verb of letters, digits and hyphens at the start,
 * or a control byte or one above 126 anywhere that is no part of a visible character in UTF-8. */
enum rc smtp_command_parse(struct slice line, struct smtp_command *ret_command);

/* The argument of MAIL or RCPT: FROM:<path> or TO:<path>, and parameters. */
struct smtp_path {
	struct address address;
	struct slice params;	/* well-formed; iterate with smtp_param_next */
};

/* RC_SYNTAX, also for more than SMTP_PARAMS_MAX parameters; RC_RANGE: an over-long path (address.h). Every parameter is
 * checked here: a keyword that comes twice is RC_SYNTAX. Which ones exist is the caller's to know (555). */
enum rc smtp_mail_parse(struct slice arg, struct smtp_path *ret_path);
enum rc smtp_rcpt_parse(struct slice arg, struct smtp_path *ret_path);

/* The argument of VRFY or EXPN: String [SP "SMTPUTF8"] (RFC 6531 3.7.4.2). RC_SYNTAX: there is no String, or the parameter has a
 * value. */
struct smtp_verify {
	struct slice name;
	bool utf8;
};
enum rc smtp_verify_parse(struct slice arg, struct smtp_verify *ret_verify);

struct smtp_param {
	struct slice keyword;	/* compare with slice_caseeq */
	struct slice value;	/* not empty when has_value; may hold visible characters of UTF-8 (RFC 6531 3.3) */
	bool has_value;
};

/* The next parameter; false at the end. Start with *rest = path.params. */
bool smtp_param_next(struct slice *rest, struct smtp_param *ret_param);

#endif
