/* common/policy/reply.c -- see reply.h. */
#include "common/policy/reply.h"

#include "common/wire/chars.h"
#include "common/wire/enhanced.h"

static const char *
skip_blanks(const char *s)
{
	while (*s == ' ')
		s++;
	return s;
}

static bool
text_is_fine(const char *s)
{
	size_t n = 0;

	for (; s[n] != '\0'; n++)
		if (!char_is_print((uint8_t)s[n]))
			return false;
	return n <= POLICY_TEXT_MAX;
}

/* The three digits at *at, if they stand there; moves past them. False: they stand there and are wrong. */
static bool
take_code(const char **at, struct policy_rule *rule)
{
	const char *s = *at, class = rule->action == VERDICT_REJECT ? '5' : '4';

	if (!char_is_digit((uint8_t)s[0]) || s[1] == '.')
		return true;
	if (!char_is_digit((uint8_t)s[1]) || !char_is_digit((uint8_t)s[2]) || (s[3] != ' ' && s[3] != '\0'))
		return false;
	rule->code = (uint16_t)((s[0] - '0') * 100 + (s[1] - '0') * 10 + (s[2] - '0'));
	*at = skip_blanks(s + 3);
	return s[0] == class && s[1] <= '5' && rule->code != 421 && rule->code != 521;
}

enum rc
policy_reply_parse(const char *text, struct policy_rule *rule)
{
	bool reject = rule->action == VERDICT_REJECT;
	const char *at = skip_blanks(text);
	struct enhanced e = ENHANCED(reject ? 5 : 4, 7, 1);
	size_t used;

	rule->code = reject ? 550 : 450;
	if (!take_code(&at, rule))
		return RC_SYNTAX;
	used = enhanced_prefix(slice_str(at), &e);
	if (!enhanced_agrees(e, rule->code))
		return RC_SYNTAX;
	at += used;
	if (!text_is_fine(at))
		return RC_SYNTAX;
	(void)enhanced_format(e, rule->enhanced);
	rule->text = *at != '\0' ? at : reject ? "Refused by policy" : "Deferred by policy; try again later";
	return RC_OK;
}
