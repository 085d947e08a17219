/* master/options.h -- the command line of postern(8). */
#ifndef POSTERN_MASTER_OPTIONS_H
#define POSTERN_MASTER_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

struct options {
	const char *file;	/* -c, or the default, or NULL when there is none and --base was given */
	const char *base;	/* --base, or NULL */
	char **overrides;	/* -o, borrowed from argv */
	size_t n_overrides;
	const char *running;	/* --running, or NULL */
	bool check;		/* -n */
	bool daemon;		/* -d */
};

/* Parses argv. Returns -1 to go on, or the exit status (after --help, --version, or a complaint on stderr). */
int options_parse(int argc, char **argv, struct options *ret_options);
void options_free(struct options *o);

#endif
