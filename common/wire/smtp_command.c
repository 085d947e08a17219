/* common/wire/smtp_command.c -- see smtp_command.h. */
#include "common/wire/smtp_command.h"

#include "common/wire/chars.h"
#include "common/wire/utf8.h"

enum rc
smtp_command_parse(struct slice line, struct smtp_command *ret_command)
{
	size_t verb = 0;

	while (line.n > 0 && (line.p[line.n - 1] == ' ' || line.p[line.n - 1] == '\t'))
		line.n--;
	for (size_t i = 0; i < line.n; i++)
		if (!char_is_print(line.p[i]) && line.p[i] < 0x80)
			return RC_SYNTAX;
	while (verb < line.n && char_is_ldh(line.p[verb]))
		verb++;
	if (verb == 0 || !char_is_alpha(line.p[0]) || (verb < line.n && line.p[verb] != ' '))
		return RC_SYNTAX;
	ret_command->utf8 = !slice_is_ascii(line);
	if (ret_command->utf8 && !utf8_is_visible(line))
		return RC_SYNTAX;
	ret_command->verb = slice_first(line, verb);
	ret_command->arg = slice_trim(slice_from(line, verb), S(" "));
	return RC_OK;
}

/* esmtp-keyword ["=" esmtp-value] (RFC 5321 4.1.2), and nothing else. */
static bool
param_parse(struct slice word, struct smtp_param *p)
{
	size_t equals = slice_find(word, '=');

	p->keyword = slice_first(word, equals);
	p->has_value = equals < word.n;
	p->value = slice_from(word, equals + 1);
	if (p->keyword.n == 0 || !char_is_alnum(p->keyword.p[0]) || (p->has_value && p->value.n == 0))
		return false;
	for (size_t i = 0; i < p->keyword.n; i++)
		if (!char_is_ldh(p->keyword.p[i]))
			return false;
	/* RFC 6531 3.3 adds UTF-8. */
	for (size_t i = 0; i < p->value.n; i++)
		if (p->value.p[i] == '=' || !(char_is_graph(p->value.p[i]) || p->value.p[i] > 0x7f))
			return false;
	return utf8_is_visible(p->value);
}

bool
smtp_param_next(struct slice *rest, struct smtp_param *ret_param)
{
	struct slice word;

	return slice_word(rest, S(" "), &word) && param_parse(word, ret_param);
}

static enum rc
params_check(struct slice params)
{
	struct slice rest = params, seen[SMTP_PARAMS_MAX], word;
	struct smtp_param p;
	size_t n = 0;
	bool too_many = false;

	while (slice_word(&rest, S(" "), &word)) {
		if (!param_parse(word, &p))
			return RC_SYNTAX;
		for (size_t i = 0; i < n; i++)
			if (slice_caseeq(seen[i], p.keyword))
				return RC_SYNTAX;
		if (n < SMTP_PARAMS_MAX)
			seen[n++] = p.keyword;
		else
			too_many = true;
	}
	return too_many ? RC_SYNTAX : RC_OK;
}

static enum rc
path_parse(struct slice arg, struct slice word, enum address_path kind, struct smtp_path *ret_path)
{
	struct smtp_path path;
	size_t used;
	enum rc rc;

	if (!slice_caseeq(slice_first(arg, word.n), word))
		return RC_SYNTAX;
	arg = slice_from(arg, word.n);
	rc = address_path_parse(arg, kind, &path.address, &used);
	if (rc != RC_OK)
		return rc;
	path.params = slice_from(arg, used);
	if (path.params.n > 0 && path.params.p[0] != ' ')
		return RC_SYNTAX;
	rc = params_check(path.params);
	if (rc == RC_OK)
		*ret_path = path;
	return rc;
}

enum rc
smtp_mail_parse(struct slice arg, struct smtp_path *ret_path)
{
	return path_parse(arg, S("FROM:"), ADDRESS_REVERSE, ret_path);
}

enum rc
smtp_rcpt_parse(struct slice arg, struct smtp_path *ret_path)
{
	return path_parse(arg, S("TO:"), ADDRESS_FORWARD, ret_path);
}

enum rc
smtp_verify_parse(struct slice arg, struct smtp_verify *ret_verify)
{
	static const struct slice keyword = SLICE("SMTPUTF8");
	struct slice name = slice_first(arg, slice_rfind(arg, ' ')), last = slice_from(arg, name.n + 1);

	if (arg.n == 0)
		return RC_SYNTAX;
	/* A word alone is the name, whatever it is. */
	if (name.n == arg.n || !slice_caseeq(slice_first(last, slice_find(last, '=')), keyword)) {
		*ret_verify = (struct smtp_verify){ arg, false };
		return RC_OK;
	}
	if (last.n > keyword.n)
		return RC_SYNTAX;
	*ret_verify = (struct smtp_verify){ slice_trim(name, S(" ")), true };
	return RC_OK;
}
