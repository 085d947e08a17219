/* ctl/posternctl.c -- the command: words to requests, rows to the screen. */
#include "ctl/posternctl.h"

#include "common/buf.h"
#include "common/policy/suggest.h"
#include "ctl/ask.h"
#include "ctl/passwd.h"
#include "ctl/render.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum {
	STATUS_PATIENCE = 5,	/* seconds for a room to say how it is */
	CLIENTS_SHOWN = 50,	/* without --limit */
};

struct options {
	const char *socket, *base;
	bool json;
	/* explain */
	const char *client, *from, *to, *listener, *helo, *client_name, *tls, *fingerprint, *user;
	bool client_name_failed;
	const char *limit;	/* of clients */
	const char *of_explain;	/* one of those above that was given */
	bool all;		/* of queue remove */
};

static const char usage[] =
    "usage: posternctl [--socket PATH | --base DIR] [--json] COMMAND\n"
    "\n"
    "  status                      the processes, the queue and the log\n"
    "  queue list                  every message in the queue\n"
    "  queue show ID               one message: envelope, recipients, reasons\n"
    "  queue cat ID                its content\n"
    "  queue flush [ID | DEST]     try deferred mail now: all of it, one message, or one destination\n"
    "  queue remove ID | --all     drop from the queue, without a bounce\n"
    "  config check [FILE]         is the configuration right? (postern -n); that of the running server, or FILE\n"
    "  config show                 every option, its value and where it was set\n"
    "  users                       who has sent how much in the last hour and day, his limits, his logins\n"
    "  clients [WHAT] [--limit N]  who is connected and has done what lately, beside the limits; most of WHAT first: sessions,\n"
    "                              connections, messages, recipients, errors, unknown-recipients, tls-handshakes, failed-logins\n"
    "  tls show                    certificates: names, keys, how long they last, and what is wrong\n"
    "  explain --client IP --from ADDRESS --to ADDRESS [--listener NAME] [--helo NAME]\n"
    "          [--client-name NAME | --client-name-failed] [--tls yes|no] [--fingerprint SHA256] [--user NAME]\n"
    "                              what would be decided, and which rule decides\n"
    "  passwd USER                 add a user, or change a password; --remove, --lock, --check, --list\n"
    "  reload                      take a changed configuration over\n"
    "  stop                        end gracefully\n"
    "  selftest [sandbox]          every room tries what it must not be able to do\n"
    "\n"
    "  --socket PATH               the admin socket, if it is not " POSTERN_RUNSTATEDIR "/control\n"
    "  --base DIR                  the laboratory of postern --base DIR\n"
    "  -j, --json                  one JSON object a line instead of a table\n"
    "  -h, --help                  print this; passwd --help tells more of passwd\n"
    "mailq prints the queue in the form that postqueue -p has.\n";

/* What to do for a verb's words; arg says whether it takes one. */
struct command {
	const char *word, *word2;	/* word2 NULL: none */
	enum admin_verb verb;
	enum { ARG_NONE, ARG_MAY, ARG_MUST } arg;
	bool pages;
	const struct view *view;
};

static const struct command commands[] = {
	{ "queue", "list", ADMIN_QUEUE_LIST, ARG_NONE, true, &view_queue_list },
	{ "queue", "show", ADMIN_QUEUE_SHOW, ARG_MUST, false, &view_queue_show },
	{ "queue", "cat", ADMIN_QUEUE_CAT, ARG_MUST, true, &view_cat },
	{ "queue", "flush", ADMIN_QUEUE_FLUSH, ARG_MAY, true, &view_done },
	{ "queue", "remove", ADMIN_QUEUE_REMOVE, ARG_MUST, true, &view_done },
	{ "config", "show", ADMIN_CONFIG_SHOW, ARG_NONE, true, &view_config },
	{ "tls", "show", ADMIN_TLS_SHOW, ARG_NONE, false, &view_tls },
	{ "users", NULL, ADMIN_USERS, ARG_NONE, true, &view_users },
	{ "clients", NULL, ADMIN_CLIENTS, ARG_MAY, false, &view_clients },
	{ "explain", NULL, ADMIN_EXPLAIN, ARG_NONE, true, &view_explain },
	{ "reload", NULL, ADMIN_RELOAD, ARG_NONE, false, &view_done },
	{ "stop", NULL, ADMIN_STOP, ARG_NONE, false, &view_done },
	{ "selftest", NULL, ADMIN_SELFTEST, ARG_MAY, true, &view_selftest },
	{ "status", NULL, ADMIN_STATUS, ARG_NONE, true, &view_status },
};

static int
exit_code(enum rc rc)
{
	switch (rc) {
	case RC_OK:
		return EX_OK;
	case RC_NOTFOUND:
		return 1;
	case RC_SYNTAX:
	case RC_RANGE:
		return EX_DATAERR;
	case RC_DENIED:
		return EX_NOPERM;
	case RC_AGAIN:
	case RC_CLOSED:
	case RC_TIMEOUT:
		return EX_TEMPFAIL;
	case RC_MORE:
	case RC_EXISTS:
	case RC_NOMEM:
	case RC_IO:
	case RC_NOSPACE:
	case RC_CORRUPT:
	case RC_UNSUPPORTED:
		break;
	}
	return EX_SOFTWARE;
}

static int
run_request(const struct options *o, int fd, const struct request *q, const struct view *view)
{
	struct render r = { .to = stdout, .view = view, .json = o->json };
	enum rc rc = ask(fd, q, render_row, &r);

	if (rc == RC_OK)
		render_end(&r);
	if (rc == RC_OK && r.failures > 0)
		return 1;
	/* A configuration that is refused: what postern -n and a start say of it, whatever is wrong. */
	if (rc == RC_SYNTAX && q->verb == ADMIN_RELOAD)
		return EX_CONFIG;
	return exit_code(rc);
}

static bool
explain_arg(const struct options *o, struct buf *to)
{
	const struct {
		const char *key, *value;
	} lines[] = {
		{ "client", o->client }, { "from", o->from }, { "to", o->to }, { "listener", o->listener }, { "helo", o->helo },
		{ "client_name", o->client_name }, { "tls", o->tls }, { "fingerprint", o->fingerprint },
		{ "user", o->user }, { "client_name_failed", o->client_name_failed ? "yes" : NULL },
	};

	if (o->client_name != NULL && o->client_name_failed) {
		(void)fprintf(stderr, "posternctl: --client-name and --client-name-failed exclude each other: a name that"
		    " cannot be looked up is not known\n");
		return false;
	}
	if (o->to == NULL || o->from == NULL || o->client == NULL) {
		(void)fprintf(stderr, "posternctl: explain needs --client IP, --from ADDRESS and --to ADDRESS\n");
		return false;
	}
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
		if (lines[i].value != NULL)
			(void)buf_printf(to, "%s=%s\n", lines[i].key, lines[i].value);
	return !to->failed;
}

static const char *
socket_path(const struct options *o, struct buf *space)
{
	if (o->socket != NULL)
		return o->socket;
	(void)buf_printf(space, "%s/control", o->base == NULL ? POSTERN_RUNSTATEDIR : o->base);
	if (o->base != NULL) {
		buf_clear(space);
		(void)buf_printf(space, "%s/run/control", o->base);
	}
	return buf_cstr(space);
}

/* An option of another command is a mistake about what this one does. c NULL: a command without options of its own. */
static bool
options_fit(const struct options *o, const struct command *c)
{
	const char *wrong = NULL, *home = "explain";

	if (o->of_explain != NULL && (c == NULL || c->verb != ADMIN_EXPLAIN))
		wrong = o->of_explain;
	else if (o->all && (c == NULL || c->verb != ADMIN_QUEUE_REMOVE)) {
		wrong = "--all";
		home = "queue remove";
	} else if (o->limit != NULL && (c == NULL || c->verb != ADMIN_CLIENTS)) {
		wrong = "--limit";
		home = "clients";
	}
	if (wrong != NULL)
		(void)fprintf(stderr, "posternctl: %s goes with %s; posternctl --help tells how\n", wrong, home);
	return wrong == NULL;
}

/* --limit, for the one command that has it. */
static bool
take_limit(const struct options *o, const struct command *c, uint32_t *ret_limit)
{
	char *rest;
	unsigned long n;

	*ret_limit = c->verb == ADMIN_CLIENTS ? CLIENTS_SHOWN : 0;
	if (o->limit == NULL)
		return true;
	n = strtoul(o->limit, &rest, 10);
	if (*o->limit < '1' || *o->limit > '9' || *rest != '\0' || n > ADMIN_PAGE_MAX) {
		(void)fprintf(stderr, "posternctl: --limit takes a number from 1 to %d\n", ADMIN_PAGE_MAX);
		return false;
	}
	*ret_limit = (uint32_t)n;
	return true;
}

static int
run_command(const struct options *o, const struct command *c, const char *arg)
{
	struct buf path = BUF_INIT(4096), explain = BUF_INIT(ADMIN_ARG_MAX);
	struct request q = { .verb = c->verb, .arg = arg, .all_pages = c->pages };
	int fd, status;

	if (!take_limit(o, c, &q.limit))
		return EX_USAGE;
	if (c->verb == ADMIN_EXPLAIN) {
		if (!explain_arg(o, &explain))
			return EX_USAGE;
		if (o->user != NULL && !passwd_knows(socket_path(o, &path), o->user))
			return EX_DATAERR;
		buf_clear(&path);
		q.arg = buf_cstr(&explain);
	}
	fd = ask_connect(socket_path(o, &path));
	if (fd == -1)
		return EX_UNAVAILABLE;
	status = run_request(o, fd, &q, c->view);
	if (status == EX_OK && c->verb == ADMIN_STATUS) {
		const struct request queue = { .verb = ADMIN_QUEUE_STATUS }, log = { .verb = ADMIN_LOG_STATUS };

		/* Who asks for the status may do so because a room stands still. That of the log is no failure of mail. */
		ask_patience(fd, STATUS_PATIENCE);
		status = run_request(o, fd, &queue, &view_status);
		if (status == EX_OK && run_request(o, fd, &log, &view_status) != EX_OK)
			(void)fputs("posternctl: the log room does not answer\n", stderr);
	}
	(void)close(fd);
	buf_free(&path);
	buf_free(&explain);
	return status;
}

static const struct command *
find_command(int argc, char **argv, int *ret_used)
{
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
		const struct command *c = &commands[i];

		if (argc < 1 || strcmp(argv[0], c->word) != 0)
			continue;
		if (c->word2 != NULL && (argc < 2 || strcmp(argv[1], c->word2) != 0))
			continue;
		*ret_used = c->word2 == NULL ? 1 : 2;
		return c;
	}
	return NULL;
}

/* An option that stands by itself. */
static bool
take_flag(struct options *o, const char *word)
{
	if (strcmp(word, "--json") == 0 || strcmp(word, "-j") == 0)
		o->json = true;
	else if (strcmp(word, "--all") == 0)
		o->all = true;
	else if (strcmp(word, "--client-name-failed") == 0) {
		o->client_name_failed = true;
		o->of_explain = "--client-name-failed";
	} else
		return false;
	return true;
}

/* Takes the options out of argv, wherever they stand; returns how many words are left, -1 when one is wrong. */
static int
take_options(struct options *o, int argc, char **argv)
{
	const struct {
		const char *name;
		const char **to;
		bool of_explain;
	} with_value[] = {
		{ "--socket", &o->socket, false }, { "--base", &o->base, false }, { "--limit", &o->limit, false },
		{ "--client", &o->client, true }, { "--from", &o->from, true }, { "--to", &o->to, true },
		{ "--listener", &o->listener, true }, { "--helo", &o->helo, true }, { "--client-name", &o->client_name, true },
		{ "--user", &o->user, true }, { "--tls", &o->tls, true }, { "--fingerprint", &o->fingerprint, true },
	};
	int left = 0;

	for (int i = 0; i < argc; i++) {
		size_t k;

		if (take_flag(o, argv[i]))
			continue;
		for (k = 0; k < sizeof with_value / sizeof with_value[0]; k++)
			if (strcmp(argv[i], with_value[k].name) == 0)
				break;
		if (k < sizeof with_value / sizeof with_value[0]) {
			if (i + 1 == argc) {
				(void)fprintf(stderr, "posternctl: %s needs a value\n", argv[i]);
				return -1;
			}
			if (with_value[k].of_explain)
				o->of_explain = with_value[k].name;
			*with_value[k].to = argv[++i];
		} else if (argv[i][0] == '-' && argv[i][1] != '\0') {
			(void)fprintf(stderr, "posternctl: unknown option %s; see posternctl --help\n", argv[i]);
			return -1;
		} else
			argv[left++] = argv[i];
	}
	return left;
}

/* --socket and --base, taken out of argv wherever they stand: passwd reads its other options itself. False: a value is
 * missing. */
static bool
take_place(struct options *o, int *argc, char **argv)
{
	int left = 1;

	for (int i = 1; i < *argc; i++) {
		const char **to = strcmp(argv[i], "--socket") == 0 ? &o->socket :
		    strcmp(argv[i], "--base") == 0 ? &o->base : NULL;

		if (to == NULL)
			argv[left++] = argv[i];
		else if (i + 1 == *argc)
			return false;
		else
			*to = argv[++i];
	}
	argv[left] = NULL;
	*argc = left;
	return true;
}

/* What comes first beside --socket PATH and --base DIR. */
static bool
is_passwd(int argc, char **argv)
{
	int i = 1;

	while (i + 1 < argc && (strcmp(argv[i], "--socket") == 0 || strcmp(argv[i], "--base") == 0))
		i += 2;
	return i < argc && strcmp(argv[i], "passwd") == 0;
}

/* The first of two words alone: which can follow? False: it is no such word. */
static bool
say_second_words(const char *first)
{
	const char *between = "";

	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
		if (commands[i].word2 != NULL && strcmp(commands[i].word, first) == 0) {
			if (*between == '\0')
				(void)fprintf(stderr, "posternctl: %s needs one of: %s", first,
				    strcmp(first, "config") == 0 ? "check, " : "");
			(void)fprintf(stderr, "%s%s", between, commands[i].word2);
			between = ", ";
		}
	if (*between != '\0')
		(void)fputs("\nposternctl --help tells what they do\n", stderr);
	return *between != '\0';
}

/* Nothing that we know: what could be meant? */
static int
unknown_command(int n, char **argv)
{
	char names[sizeof commands / sizeof commands[0] + 2][32], typed[SUGGEST_WORD_MAX + 1];
	struct buf words = BUF_INIT(256);
	struct suggest close;
	size_t i;

	if (n == 1 && say_second_words(argv[0]))
		return EX_USAGE;
	if (strcmp(argv[0], "passwd") == 0) {
		(void)fputs("posternctl: passwd has no --json, and its options stand behind it; posternctl passwd --help tells"
		    " how\n", stderr);
		return EX_USAGE;
	}
	(void)snprintf(typed, sizeof typed, "%s%s%s", argv[0], n > 1 ? " " : "", n > 1 ? argv[1] : "");
	for (i = 0; i < sizeof commands / sizeof commands[0]; i++)
		(void)snprintf(names[i], sizeof names[i], "%s%s%s", commands[i].word, commands[i].word2 == NULL ? "" : " ",
		    commands[i].word2 == NULL ? "" : commands[i].word2);
	(void)snprintf(names[i++], sizeof names[0], "config check");
	(void)snprintf(names[i++], sizeof names[0], "passwd");
	suggest_init(&close, slice_str(typed));
	for (size_t k = 0; k < i; k++)
		suggest_offer(&close, slice_str(names[k]));
	suggest_put(&close, &words);
	if (buf_len(&words) == 0) {	/* perhaps the first word alone: "statsu all" */
		suggest_init(&close, slice_str(argv[0]));
		for (size_t k = 0; k < i; k++)
			suggest_offer(&close, slice_str(names[k]));
		suggest_put(&close, &words);
	}
	(void)fputs("posternctl: there is no command '", stderr);
	render_text(stderr, slice_str(typed));
	(void)fputs("'", stderr);
	render_text(stderr, buf_slice(&words));
	(void)fputs("\nposternctl --help lists them\n", stderr);
	buf_free(&words);
	return EX_USAGE;
}

/* The command is known, the words behind it are too many or too few. */
static int
wrong_words(const struct command *c, const char *arg)
{
	(void)fprintf(stderr, "posternctl: %s%s%s %s; posternctl --help tells how\n", c->word, c->word2 == NULL ? "" : " ",
	    c->word2 == NULL ? "" : c->word2, arg == NULL ? "needs to know which one" :
	    c->arg == ARG_NONE ? "takes no argument" : "takes one argument");
	return EX_USAGE;
}

static const char usage_mailq[] =
    "usage: mailq [--socket PATH | --base DIR] [--json]\n";

static int
mailq(const struct options *o, int n_words)
{
	static const struct command command = { "mailq", NULL, ADMIN_QUEUE_LIST, ARG_NONE, true, &view_mailq };

	if (n_words != 0 || o->of_explain != NULL || o->limit != NULL || o->all) {
		(void)fputs(usage_mailq, stderr);
		return EX_USAGE;
	}
	return run_command(o, &command, NULL);
}

bool
asks_for_help(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;
	return false;
}

int
main(int argc, char **argv)
{
	const char *name = strrchr(argv[0], '/');
	const struct command *c;
	struct options o = { .socket = NULL };
	struct buf path = BUF_INIT(4096);
	const char *arg = NULL;
	int used = 0, n;

	name = name == NULL ? argv[0] : name + 1;
	if (asks_for_help(argc, argv) && (strcmp(name, "mailq") == 0 || !is_passwd(argc, argv))) {
		(void)fputs(strcmp(name, "mailq") == 0 ? usage_mailq : usage, stdout);
		return EX_OK;
	}
	if (strcmp(name, "mailq") != 0 && is_passwd(argc, argv)) {
		if (!take_place(&o, &argc, argv)) {
			(void)fputs("posternctl: --socket and --base need a value\n", stderr);
			return EX_USAGE;
		}
		return passwd_main(argc - 1, argv + 1, socket_path(&o, &path));
	}
	n = take_options(&o, argc - 1, argv + 1);
	if (n == -1)
		return EX_USAGE;
	argv++;
	if (strcmp(name, "mailq") == 0)
		return mailq(&o, n);
	if (n >= 2 && n <= 3 && strcmp(argv[0], "config") == 0 && strcmp(argv[1], "check") == 0)
		return !options_fit(&o, NULL) ? EX_USAGE :
		    config_check(n > 2 ? argv[2] : NULL, socket_path(&o, &path), o.base, o.json);
	if (n == 0) {
		(void)fputs(usage, stderr);
		return EX_USAGE;
	}
	c = find_command(n, argv, &used);
	if (c == NULL)
		return unknown_command(n, argv);
	if (!options_fit(&o, c))
		return EX_USAGE;
	if (n > used)
		arg = argv[used];
	/* --all counts as a word: beside an ID, nobody knows which of the two was meant. */
	if (n > used + (o.all ? 0 : 1))
		return wrong_words(c, arg);
	if (o.all)
		arg = "--all";
	if ((c->arg == ARG_NONE && arg != NULL) || (c->arg == ARG_MUST && arg == NULL))
		return wrong_words(c, arg);
	return run_command(&o, c, arg);
}
