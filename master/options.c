/* master/options.c -- the command line, see options.h. */
#include "master/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

static const char usage[] =
    "usage: postern [-d] [-c FILE] [--base DIR] [-o SECTION.OPTION=VALUE]...\n"
    "       postern -n [-c FILE] [--base DIR] [-o ...] [--running DIR]\n"
    "\n"
    "Runs the Postern mail server: in the foreground, or with -d as a daemon.\n"
    "\n"
    "  -c, --config FILE   the configuration (default: " POSTERN_SYSCONFDIR "/postern.conf)\n"
    "      --base DIR      keep everything below DIR: the spool in DIR/spool, the\n"
    "                      admin socket in DIR/run/control\n"
    "  -o NAME=VALUE       an option that wins over the file, as smtpd.max-errors=5 or\n"
    "                      hostname=mail.example.org\n"
    "  -n, --check         check the configuration and its tables, and end: status 0 or 78\n"
    "      --running DIR   with -n: the run-dir of the Postern that is to take it by a\n"
    "                      reload (default: that of the configuration)\n"
    "  -d, --daemon        go to the background once everything is ready\n"
    "  -V, --version       print the version\n"
    "  -h, --help          print this\n"
    "\n"
    "Signals: TERM stops gracefully, HUP reads the configuration again.\n"
    "See postern(8), postern.conf(5), posternctl(8).\n";

enum { OPT_BASE = 256, OPT_RUNNING };

static const struct option long_options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "base", required_argument, NULL, OPT_BASE },
	{ "running", required_argument, NULL, OPT_RUNNING },
	{ "check", no_argument, NULL, 'n' },
	{ "daemon", no_argument, NULL, 'd' },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

/* optopt: the letter, when it is one. */
static void
say_wrong(int what, const char *word)
{
	const char letter[] = { '-', (char)optopt, '\0' };

	if (what == ':')
		(void)fprintf(stderr, "postern: %s needs a value; --help tells the options\n", word);
	else
		(void)fprintf(stderr, "postern: %s is no option; --help tells the options\n",
		    optopt > 0 && optopt < 128 ? letter : word);
}

int
options_parse(int argc, char **argv, struct options *ret_options)
{
	struct options o = { .overrides = calloc((size_t)argc, sizeof(char *)) };
	int c;

	if (o.overrides == NULL)
		return EX_OSERR;
	while ((c = getopt_long(argc, argv, ":c:o:ndVh", long_options, NULL)) != -1) {
		switch (c) {
		case 'c': o.file = optarg; break;
		case OPT_BASE: o.base = optarg; break;
		case OPT_RUNNING: o.running = optarg; break;
		case 'o': o.overrides[o.n_overrides++] = optarg; break;
		case 'n': o.check = true; break;
		case 'd': o.daemon = true; break;
		case 'V':
			(void)puts("postern " POSTERN_VERSION);
			options_free(&o);
			return 0;
		case 'h':
			(void)fputs(usage, stdout);
			options_free(&o);
			return 0;
		default:
			say_wrong(c, argv[optind - 1]);
			options_free(&o);
			return EX_USAGE;
		}
	}
	if (optind < argc) {
		(void)fprintf(stderr, "postern: '%s' is one word too many; --help tells the options\n", argv[optind]);
		options_free(&o);
		return EX_USAGE;
	}
	if (o.base != NULL && *o.base != '/') {
		(void)fprintf(stderr, "postern: --base %s: write the whole path, from / on\n", o.base);
		options_free(&o);
		return EX_USAGE;
	}
	/* With --base alone everything is at its default: the embedded configuration. */
	if (o.file == NULL && o.base == NULL)
		o.file = POSTERN_SYSCONFDIR "/postern.conf";
	*ret_options = o;
	return -1;
}

void
options_free(struct options *o)
{
	free(o->overrides);
	o->overrides = NULL;
}
