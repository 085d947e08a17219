/* master/gen_man.c -- writes postern.conf(5) and postern-events(7) from the tables that the programs themselves use.
 *
 * Runs while Postern is built, never afterwards. The option and the event list have one home each, and the manual cannot
 * fall behind them. */
#include "common/conf.h"
#include "common/log.h"

#include <stdio.h>
#include <string.h>

/* Text as roff: a dash is a minus where a person would copy it, a leading dot or quote is no request. */
static void
put(const char *s)
{
	for (; *s != '\0'; s++) {
		if (*s == '-')
			(void)fputs("\\-", stdout);
		else if (*s == '\\')
			(void)fputs("\\e", stdout);
		else if (*s == '\'')
			(void)fputs("\\(aq", stdout);
		else
			(void)putchar(*s);
	}
}

static void
head(const char *name, const char *section, const char *what)
{
	(void)printf(".\\\" Written by master/gen_man.c from the tables in common/: change it there.\n"
	    ".TH %s %s \"\" \"Postern " POSTERN_VERSION "\" \"Postern\"\n.SH NAME\n", name, section);
	put(what);
	(void)puts("");
}

static const char *
kind_name(enum conf_kind k)
{
	static const char *const names[] = {
		[CONF_BOOL] = "yes or no", [CONF_U32] = "number", [CONF_SIZE] = "bytes (suffix K, M, G)",
		[CONF_TIME] = "time (suffix ms, s, m, h, d)", [CONF_STR] = "string", [CONF_LIST] = "list of strings",
	};

	return names[k];
}

static void
put_option(const struct conf_option *o)
{
	(void)fputs(".TP\n.B ", stdout);
	put(o->name);
	(void)fputs("\n", stdout);
	put(o->help);
	(void)fputs("\n.br\n", stdout);
	(void)printf("%s", kind_name(o->kind));
	if (*o->fallback != '\0') {
		(void)fputs("; default ", stdout);
		put(o->fallback);
	} else
		(void)fputs("; default empty", stdout);
	if (o->min != NULL && o->max != NULL)
		(void)printf("; from %s to %s", o->min, o->max);
	(void)fputs(".\n", stdout);
}

static void
conf_page(void)
{
	head("POSTERN.CONF", "5", "postern.conf - configuration of the Postern mail server");
	(void)fputs(".SH DESCRIPTION\n"
	    "The file is read by\n.BR postern (8)\nwhen it starts and when it is told to reload; a mistake in it names file and\n"
	    "line, and a reload with mistakes changes nothing. Check it with\n.BR \"postern \\-n\" .\n"
	    "See what is in use, and where each value comes from, with\n.BR \"posternctl config show\" .\n.PP\n"
	    "Options are written as\n.IR \"name = value\" ;\nlists in braces:\n.IR \"name = {\\(dqa\\(dq, \\(dqb\\(dq}\" .\n"
	    ".I +=\nadds to what the file has given the list before; the default of a list is not kept.\n"
	    "Values with white space, braces, commas, equals or quotes stand in quotes. In double ones\n.I \\e\n"
	    "begins what it begins in C; in single ones only\n.I \\e\\(aq\nand\n.I \\e\\e\nstand for something else.\n"
	    ".IR ${NAME} ,\nalone or in double quotes, is the environment variable of this name, empty where there is none, and\n"
	    ".I ${NAME:\\-text}\nthe text in its place.\n"
	    "Instead of yes one may write true or on, instead of no false or off.\n"
	    "Sections are written as\n.IR \"section { ... }\" ;\nthose with a title as\n"
	    ".IR \"section \\(dqtitle\\(dq { ... }\" .\n"
	    "# and // start a comment that ends with the line, /* one that ends with */.\n"
	    ".I include(\\(dqfile\\(dq)\nreads another file.\n"
	    ".SH EXAMPLE\n.nf\n.RS\n"
	    "hostname = \"mail.example.org\"\n"
	    "listener \"smtp\" {\n    address = {\"*\", \"::\"}\n    port = 25\n}\n"
	    "router {\n    local\\-domains = {\"example.org\", \"*.example.org\"}\n}\n"
	    "route \"partner\" {\n    to = {\"partner.example\"}\n    relay\\-host = \"[192.0.2.9]:2525\"\n}\n.RE\n.fi\n",
	    stdout);
	for (size_t i = 0; i < n_conf_sections; i++) {
		const struct conf_section *s = &conf_sections[i];

		if (*s->name == '\0')
			(void)puts(".SH OUTSIDE ANY SECTION");
		else
			(void)printf(".SH SECTION %s%s\n", s->name, s->multi ? " \\(dqtitle\\(dq (any number)" : "");
		for (size_t k = 0; k < s->n_options; k++)
			put_option(&s->options[k]);
	}
	(void)fputs(".SH RULES AND ROUTES\n"
	    "Before all of them stands\n.I senders\nof section\n.IR router :\na user who may not use the sender's address is "
	    "refused, whatever the rules say.\n"
	    "For each recipient the rules are tried in the order of the file, and the first that matches decides. Behind them\n"
	    "stand rules that are always there: mail for postmaster is accepted; mail for a user of a local domain is accepted,\n"
	    "for any other name in it refused (550 5.1.1); clients in relay\\-clients, clients whose certificate is in\n"
	    "relay\\-certificates and users who have logged in may send anywhere; everything else is refused (550 5.7.1).\n"
	    ".B posternctl explain\nshows the way of a decision.\n"
	    ".SH SEE ALSO\n.BR postern (8),\n.BR posternctl (8),\n.BR mailq (1),\n.BR postern\\-events (7)\n", stdout);
}

static void
events_page(void)
{
	static const char *const severities[] = {
		[SEV_DEBUG] = "debug", [SEV_INFO] = "info", [SEV_NOTICE] = "notice", [SEV_WARNING] = "warning",
		[SEV_ERROR] = "error", [SEV_ALARM] = "alarm",
	};

	head("POSTERN-EVENTS", "7", "postern-events - what Postern writes to its log");
	(void)fputs(".SH DESCRIPTION\n"
	    "Every event is one line:\n.PP\n.RS\n.nf\npostern/room[pid]: QUEUEID: event key=value key=\\(dqvalue with "
	    "spaces\\(dq\n.fi\n.RE\n.PP\nwith time and host in front when it goes to a file or standard error;\n"
	    "or, with\n.IR \"log { format = json }\" ,\none JSON object. The queue id stands there when the event is about a "
	    "message.\n"
	    "delay is in seconds since the message was accepted; delays has four parts: before the queue, in the queue, "
	    "connecting,\nand the attempt itself. ms is in milliseconds.\n"
	    "Bytes from outside are escaped: no value can end a line or begin another key.\n.SH EVENTS\n", stdout);
	for (unsigned e = LOG_NONE + 1; e < LOG_EVENT_COUNT; e++) {
		(void)fputs(".TP\n.B ", stdout);
		put(log_event_info[e].name);
		(void)printf("\n(%s) ", severities[log_event_info[e].severity]);
		put(log_event_info[e].help);
		(void)fputs(".\n.br\nKeys: ", stdout);
		put(log_event_info[e].keys);
		(void)fputs("\n", stdout);
	}
	(void)fputs(".SH SEE ALSO\n.BR postern.conf (5),\n.BR postern (8)\n", stdout);
}

int
main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "conf") == 0)
		conf_page();
	else if (argc == 2 && strcmp(argv[1], "events") == 0)
		events_page();
	else {
		(void)fputs("usage: gen_man conf|events\n", stderr);
		return 64;	/* EX_USAGE */
	}
	return ferror(stdout) || fflush(stdout) != 0;
}
