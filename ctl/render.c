/* ctl/render.c -- tables, JSON lines and mailq, see render.h. */
#include "ctl/render.h"

#include <jansson.h>
#include <string.h>
#include <time.h>

void
render_text(FILE *to, struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		/* U+0080 to U+009F are control characters too: a terminal may take the last for an ESC [. */
		bool high = s.p[i] == 0xc2 && i + 1 < s.n && s.p[i + 1] >= 0x80 && s.p[i + 1] < 0xa0;

		(void)fputc(s.p[i] < 0x20 || s.p[i] == 0x7f || high ? '?' : s.p[i], to);
		i += high;
	}
}

static void
put_safe(FILE *to, const char *s)
{
	render_text(to, slice_str(s));
}

static size_t
put_value(FILE *to, const json_t *v)
{
	char number[64] = "";
	const char *s = number;

	if (json_is_string(v))
		s = json_string_value(v);
	else if (json_is_integer(v))
		(void)snprintf(number, sizeof number, "%lld", (long long)json_integer_value(v));
	else if (json_is_boolean(v))
		s = json_is_true(v) ? "yes" : "no";
	put_safe(to, s);
	return strlen(s);
}

static const json_t *
member(const json_t *row, const char *path)
{
	char part[64];

	while (row != NULL) {
		size_t n = strcspn(path, ".");

		if (n >= sizeof part)
			return NULL;
		memcpy(part, path, n);
		part[n] = '\0';
		row = json_object_get(row, part);
		if (path[n] == '\0')
			break;
		path += n + 1;
	}
	return row;
}

static const char *
text_of(const json_t *row, const char *key)
{
	const char *s = json_string_value(member(row, key));

	return s == NULL ? "" : s;
}

static long long
number_of(const json_t *row, const char *key)
{
	return (long long)json_integer_value(member(row, key));
}

static void
pad(FILE *to, int n)
{
	while (n-- > 0)
		(void)fputc(' ', to);
}

static void
table_head(struct render *r)
{
	for (const struct column *c = r->view->columns; c->head != NULL; c++)
		(void)fprintf(r->to, "%*s%s", c[1].head == NULL ? 0 : c->width, c->head, c[1].head == NULL ? "" : "  ");
	(void)fputc('\n', r->to);
}

static int
value_width(const json_t *v)
{
	char number[64];

	if (json_is_string(v))
		return (int)json_string_length(v);
	if (json_is_integer(v))
		return snprintf(number, sizeof number, "%lld", (long long)json_integer_value(v));
	return json_is_true(v) ? 3 : json_is_boolean(v) ? 2 : 0;
}

static void
table_row(struct render *r, const json_t *row)
{
	for (const struct column *c = r->view->columns; c->head != NULL; c++) {
		const json_t *v = member(row, c->key);
		int width = value_width(v), gap = (c->width < 0 ? -c->width : c->width) - width;
		bool last = c[1].head == NULL;

		if (c->width > 0)
			pad(r->to, gap);
		(void)put_value(r->to, v);
		if (!last)
			pad(r->to, (c->width < 0 && gap > 0 ? gap : 0) + 2);
	}
	(void)fputc('\n', r->to);
}

enum { PAIR_WIDTH = 16 };

static void
pairs_row(struct render *r, const json_t *row)
{
	const char *key;
	json_t *v;

	/* The macro's iteration casts away const of a value that it only reads. */
	json_object_foreach((json_t *)(uintptr_t)row, key, v) {
		if (json_is_array(v) || json_is_object(v))
			continue;
		put_safe(r->to, key);
		pad(r->to, PAIR_WIDTH - (int)strnlen(key, PAIR_WIDTH));
		(void)fputc(' ', r->to);
		(void)put_value(r->to, v);
		(void)fputc('\n', r->to);
	}
}

/* --- status: a process a row, then the queue and the summary in words --- */

static void
status_row(struct render *r, const json_t *row)
{
	if (json_object_get(row, "role") == NULL) {
		pairs_row(r, row);
		return;
	}
	if (r->rows == 0)
		table_head(r);
	table_row(r, row);
}

static const struct column status_columns[] = {
	{ "ROOM", "role", -10 }, { "#", "index", 2 }, { "PID", "pid", 7 }, { "UID", "uid", 6 }, { "STATE", "state", -9 },
	{ "RESTARTS", "restarts", 8 }, { "UPTIME", "uptime", 9 }, { "GEN", "generation", 3 }, { NULL, NULL, 0 },
};
const struct view view_status = { .columns = status_columns, .row = status_row };

/* --- the queue --- */

static const struct column list_columns[] = {
	{ "QUEUE ID", "id", -12 }, { "SIZE", "size", 9 }, { "ARRIVED", "arrived", -27 }, { "STATE", "state", -8 },
	{ "RCPTS", "n_rcpts", 5 }, { "SENDER", "sender", -24 }, { "DESTINATION", "destination", -10 }, { NULL, NULL, 0 },
};

static void
list_end(struct render *r)
{
	if (r->rows == 0)
		(void)fputs("The queue is empty.\n", r->to);
}

const struct view view_queue_list = { .columns = list_columns, .end = list_end };

static void
show_row(struct render *r, const json_t *row)
{
	const json_t *rcpts = json_object_get(row, "rcpts"), *one;
	size_t i;

	pairs_row(r, row);
	json_array_foreach(rcpts, i, one) {
		(void)fputs("recipient        ", r->to);
		put_safe(r->to, text_of(one, "to"));
		(void)fputs("  ", r->to);
		put_safe(r->to, text_of(one, "state"));
		if (*text_of(one, "next") != '\0') {
			(void)fputs("  next ", r->to);
			put_safe(r->to, text_of(one, "next"));
		}
		if (*text_of(one, "reason") != '\0') {
			(void)fputs("\n                 ", r->to);
			put_safe(r->to, text_of(one, "reason"));
		}
		(void)fputc('\n', r->to);
	}
}

const struct view view_queue_show = { .row = show_row };

/* --- mailq: the form of postqueue -p, which scripts parse --- */

enum { MAILQ_INDENT = 41 };

static void
mailq_time(FILE *to, const char *iso)
{
	struct tm tm = { 0 };
	time_t t;
	char out[64];

	if (strptime(iso, "%Y-%m-%dT%H:%M:%S", &tm) == NULL) {
		(void)fprintf(to, "%-19s", "");
		return;
	}
	t = timegm(&tm);
	if (localtime_r(&t, &tm) == NULL || strftime(out, sizeof out, "%a %b %e %H:%M:%S", &tm) == 0)
		out[0] = '\0';
	(void)fprintf(to, "%19s", out);
}

static void
mailq_row(struct render *r, const json_t *row)
{
	const json_t *rcpts = json_object_get(row, "rcpts"), *one;
	const char *sender = text_of(row, "sender"), *state = text_of(row, "state"), *said = "";
	size_t i;

	if (r->rows == 0)
		(void)fprintf(r->to, "%-12s %8s %-19s %s\n", "-Queue ID--", "--Size--", "---Arrival Time----",
		    "--Sender/Recipient------");
	put_safe(r->to, text_of(row, "id"));
	(void)fprintf(r->to, "%c %8lld ", strcmp(state, "active") == 0 ? '*' : ' ', number_of(row, "size"));
	mailq_time(r->to, text_of(row, "arrived"));
	(void)fputs("  ", r->to);
	put_safe(r->to, *sender == '\0' ? "MAILER-DAEMON" : sender);
	(void)fputc('\n', r->to);
	json_array_foreach(rcpts, i, one) {
		const char *reason = text_of(one, "reason");

		if (strcmp(text_of(one, "state"), "done") == 0)
			continue;
		/* One reason stands above all the recipients that share it. */
		if (*reason != '\0' && strcmp(reason, said) != 0) {
			(void)fputc('(', r->to);
			put_safe(r->to, reason);
			(void)fputs(")\n", r->to);
			said = reason;
		}
		pad(r->to, MAILQ_INDENT + 2);
		put_safe(r->to, text_of(one, "to"));
		(void)fputc('\n', r->to);
	}
	(void)fputc('\n', r->to);
	r->bytes += (unsigned long long)number_of(row, "size");
}

static void
mailq_end(struct render *r)
{
	if (r->rows == 0)
		(void)fputs("Mail queue is empty\n", r->to);
	else
		(void)fprintf(r->to, "-- %llu Kbytes in %lu Request%s.\n", (r->bytes + 1023) / 1024, r->rows,
		    r->rows == 1 ? "" : "s");
}

const struct view view_mailq = { .row = mailq_row, .end = mailq_end };

/* --- configuration: as it would be written --- */

static void
config_row(struct render *r, const json_t *row)
{
	const char *section = text_of(row, "section"), *title = text_of(row, "title"), *source = text_of(row, "source");

	if (*section != '\0') {
		put_safe(r->to, section);
		if (*title != '\0') {
			(void)fputs(" \"", r->to);
			put_safe(r->to, title);
			(void)fputc('"', r->to);
		}
		(void)fputc('.', r->to);
	}
	put_safe(r->to, text_of(row, "option"));
	(void)fputs(" = ", r->to);
	put_safe(r->to, text_of(row, "value"));
	if (*source != '\0') {
		(void)fputs("\t# ", r->to);
		put_safe(r->to, source);
	}
	(void)fputc('\n', r->to);
}

const struct view view_config = { .row = config_row };

/* --- explain: every rule that was looked at, then the verdict --- */

enum { RULE_WIDTH = 28 };

static void
explain_row(struct render *r, const json_t *row)
{
	if (json_object_get(row, "rule") != NULL && json_object_get(row, "action") == NULL) {
		const char *rule = text_of(row, "rule");

		(void)fprintf(r->to, "%-10s ", json_is_true(json_object_get(row, "matched")) ? "matches" : "passes by");
		put_safe(r->to, rule);
		pad(r->to, RULE_WIDTH + 1 - (int)strnlen(rule, RULE_WIDTH));
		put_safe(r->to, text_of(row, "why"));
		(void)fputc('\n', r->to);
		return;
	}
	pairs_row(r, row);
}

const struct view view_explain = { .row = explain_row };

/* --- certificates --- */

static const struct column tls_columns[] = {
	{ "CERTIFICATE", "certificate", -14 }, { "KEY", "type", -14 }, { "BITS", "bits", 4 }, { "DAYS", "days", 5 },
	{ "STATE", "state", -13 }, { "UNTIL", "not_after", -20 }, { "SINCE", "since", -20 }, { "NAMES", "names", -1 },
	{ NULL, NULL, 0 },
};

/* Who signs clients' certificates, for one listener. */
static void
authority_row(struct render *r, const json_t *row)
{
	(void)fputs("client-ca of listener ", r->to);
	put_safe(r->to, text_of(row, "client_ca"));
	(void)fputs(": ", r->to);
	put_safe(r->to, text_of(row, "names"));
	(void)fputs("\n  until        ", r->to);
	put_safe(r->to, text_of(row, "not_after"));
	(void)fputs("\n  since        ", r->to);
	put_safe(r->to, text_of(row, "since"));
}

static void
certificate_row(struct render *r, const json_t *row)
{
	if (r->rows == 0)
		table_head(r);
	table_row(r, row);
	(void)fputs("  issuer       ", r->to);
	put_safe(r->to, text_of(row, "issuer"));
	(void)fputs("\n  fingerprint  ", r->to);
	put_safe(r->to, text_of(row, "fingerprint"));
}

static void
tls_row(struct render *r, const json_t *row)
{
	if (*text_of(row, "client_ca") != '\0')
		authority_row(r, row);
	else
		certificate_row(r, row);
	(void)fputs("\n  file         ", r->to);
	put_safe(r->to, text_of(row, "file"));
	(void)fputc('\n', r->to);
	if (*text_of(row, "warning") != '\0') {
		(void)fputs("  WARNING      ", r->to);
		put_safe(r->to, text_of(row, "warning"));
		(void)fputc('\n', r->to);
	}
	if (*text_of(row, "trouble") != '\0') {
		(void)fputs("  NOT RENEWED  ", r->to);
		put_safe(r->to, text_of(row, "trouble"));
		(void)fputc('\n', r->to);
	}
}

static void
tls_end(struct render *r)
{
	if (r->rows == 0)
		(void)fputs("No certificate is configured.\n", r->to);
}

/* A number, and behind it what it may be at most, if anything. */
static const struct column users_columns[] = {
	{ "USER", "user", -24 }, { "MSGS/HOUR", "messages_hour", 9 }, { "OF", "messages_hour_max", 6 },
	{ "RCPTS/HOUR", "recipients_hour", 10 }, { "OF", "recipients_hour_max", 6 },
	{ "MSGS/DAY", "messages_day", 8 }, { "OF", "messages_day_max", 6 }, { "RCPTS/DAY", "recipients_day", 9 },
	{ "OF", "recipients_day_max", 6 }, { "LAST LOGIN", "last_login", -20 }, { "LAST WRONG LOGIN", "last_wrong_login", -20 },
	{ NULL, NULL, 0 },
};

static void
users_end(struct render *r)
{
	if (r->rows == 0)
		(void)fputs("No user has logged in or sent anything that is remembered.\n", r->to);
}

const struct view view_users = { .columns = users_columns, .end = users_end };

/* What a client network did, and behind a slash what it may do. */
static const struct {
	const char *head, *key, *limit;
	int width;
} client_columns[] = {
	{ "SESSIONS", "sessions", "sessions_max", 10 },
	{ "CONNECTS", "connections", "connections_max", 10 },
	{ "MESSAGES", "messages", "messages_max", 10 },
	{ "RCPTS", "recipients", "recipients_max", 10 },
	{ "ERRORS", "errors", "errors_max", 8 },
	{ "UNKNOWN", "unknown_recipients", "unknown_recipients_max", 8 },
	{ "TLS", "tls_handshakes", "tls_handshakes_max", 8 },
	{ "BAD LOGINS", "failed_logins", "failed_logins_max", 10 },
};
enum { N_CLIENT_COLUMNS = sizeof client_columns / sizeof client_columns[0], NETWORK_WIDTH = 24 };

static void
clients_row(struct render *r, const json_t *row)
{
	const char *net = text_of(row, "network");

	if (r->rows == 0) {
		(void)fprintf(r->to, "%-*s", NETWORK_WIDTH, "NETWORK");
		for (size_t i = 0; i < N_CLIENT_COLUMNS; i++)
			(void)fprintf(r->to, "  %*s", client_columns[i].width, client_columns[i].head);
		(void)fputs("  NOTE\n", r->to);
	}
	put_safe(r->to, net);
	pad(r->to, NETWORK_WIDTH - (int)strlen(net));
	for (size_t i = 0; i < N_CLIENT_COLUMNS; i++) {
		char text[64];
		int n = snprintf(text, sizeof text, "%lld", number_of(row, client_columns[i].key));

		if (member(row, client_columns[i].limit) != NULL)
			(void)snprintf(text + n, sizeof text - (size_t)n, "/%lld", number_of(row, client_columns[i].limit));
		(void)fprintf(r->to, "  %*s", client_columns[i].width, text);
	}
	if (json_is_true(member(row, "exempt")))
		(void)fputs("  exempt", r->to);
	if (json_is_true(member(row, "good")))
		(void)fputs("  good", r->to);
	(void)fputc('\n', r->to);
}

static void
clients_end(struct render *r)
{
	if (r->rows == 0)
		(void)fputs("No client is connected or has done anything lately.\n", r->to);
}

const struct view view_clients = { .row = clients_row, .end = clients_end };

const struct view view_tls = { .columns = tls_columns, .row = tls_row, .end = tls_end };

static const struct column selftest_columns[] = {
	{ "ROOM", "room", -10 }, { "PROBE", "probe", -22 }, { "VERDICT", "verdict", -8 }, { "DETAIL", "detail", -1 },
	{ NULL, NULL, 0 },
};

static void
selftest_end(struct render *r)
{
	(void)fprintf(r->to, "%lu probes, %lu failed\n", r->rows, r->failures);
}

const struct view view_selftest = { .columns = selftest_columns, .end = selftest_end };
const struct view view_done = { .raw = false };
const struct view view_cat = { .raw = true };

/* --- all of them --- */

static void
render_object(struct render *r, const json_t *row)
{
	if (r->view->row != NULL)
		r->view->row(r, row);
	else if (r->view->columns != NULL) {
		if (r->rows == 0)
			table_head(r);
		table_row(r, row);
	} else
		pairs_row(r, row);
}

bool
render_row(void *ctx, enum admin_row kind, struct slice row)
{
	struct render *r = ctx;
	json_error_t error;
	json_t *object;

	if (kind == ADMIN_ROW_RAW && !r->view->raw) {
		(void)fprintf(stderr, "posternctl: the daemon sent bytes that were not asked for\n");
		return false;
	}
	if (kind == ADMIN_ROW_RAW)
		return fwrite(row.p, 1, row.n, r->to) == row.n;
	object = json_loadb((const char *)row.p, row.n, 0, &error);
	if (object == NULL) {
		(void)fprintf(stderr, "posternctl: the daemon sent a row that is no JSON: %s\n", error.text);
		return false;
	}
	if (strcmp(text_of(object, "verdict"), "FAIL") == 0)
		r->failures++;
	if (r->json)
		(void)fprintf(r->to, "%.*s\n", (int)row.n, (const char *)row.p);
	else
		render_object(r, object);
	r->rows++;
	json_decref(object);
	return !ferror(r->to);
}

void
render_end(struct render *r)
{
	if (!r->json && r->view->end != NULL)
		r->view->end(r);
	(void)fflush(r->to);
}
