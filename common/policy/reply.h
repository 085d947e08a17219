/* common/policy/reply.h -- the reply option of a rule. For rules.c. */
#ifndef POSTERN_COMMON_POLICY_REPLY_H
#define POSTERN_COMMON_POLICY_REPLY_H

#include "common/policy/rules.h"

/* "550 5.7.1 Not welcome" into code, enhanced and text of a rule whose action is set; the parts that are not written
 * have defaults. The text must be printable ASCII, at most POLICY_TEXT_MAX, and live as long as the rule. RC_SYNTAX,
 * also when a code is not of the action's class, or when it is 421 or 521, which would end the session. */
enum rc policy_reply_parse(const char *text, struct policy_rule *rule);

#endif
