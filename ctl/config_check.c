/* ctl/config_check.c -- posternctl config check: the daemon itself is asked, by running `postern -n`.
 *
 * No second reader of the configuration: what this says is what a start would say. */
#include "ctl/posternctl.h"

#include "ctl/server.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

static _Noreturn void
run_check(const struct server *s, int out)
{
	const char *program = getenv("POSTERN_PROGRAM"), **argv = calloc(9 + 2 * s->n_overrides, sizeof *argv);
	size_t n = 0;

	if (argv == NULL)
		_exit(EX_OSERR);
	if (program == NULL)
		program = POSTERN_SBINDIR "/postern";
	argv[n++] = program;
	argv[n++] = "-n";
	if (s->base != NULL) {
		argv[n++] = "--base";
		argv[n++] = s->base;
	}
	if (s->run_dir != NULL) {
		argv[n++] = "--running";
		argv[n++] = s->run_dir;
	}
	if (s->config != NULL) {
		argv[n++] = "-c";
		argv[n++] = s->config;
	}
	for (size_t i = 0; i < s->n_overrides; i++) {
		argv[n++] = "-o";
		argv[n++] = s->overrides[i];
	}
	if (out != -1 && (dup2(out, STDOUT_FILENO) == -1 || dup2(out, STDERR_FILENO) == -1))
		_exit(EX_OSERR);
	/* execv takes a vector of writable strings for historical reasons and does not write to them. */
	(void)execv(program, (char *const *)(uintptr_t)argv);
	(void)fprintf(stderr, "posternctl: cannot run %s\n", program);
	_exit(EX_OSFILE);
}

/* "postern: file:line: words" or just words. */
static void
print_json_line(char *line)
{
	static const char by[] = "postern: ";
	char *colon, *end = NULL;
	long number;
	json_t *row;
	char *text;

	if (strncmp(line, by, sizeof by - 1) == 0)
		line += sizeof by - 1;
	colon = strchr(line, ':');
	number = colon == NULL ? 0 : strtol(colon + 1, &end, 10);
	line[strcspn(line, "\n")] = '\0';
	if (colon != NULL && number > 0 && end != NULL && *end == ':') {
		*colon = '\0';
		row = json_pack("{s:s, s:i, s:s}", "file", line, "line", (int)number, "message", end + 1 + (end[1] == ' '));
	} else
		row = json_pack("{s:s}", "message", line);
	text = row == NULL ? NULL : json_dumps(row, JSON_COMPACT);
	if (text != NULL)
		(void)puts(text);
	free(text);
	json_decref(row);
}

static int
check(const struct server *s, bool json)
{
	int fds[2] = { -1, -1 }, status;
	char *line = NULL;
	size_t cap = 0;
	pid_t pid;

	if (json && pipe2(fds, O_CLOEXEC) == -1)
		return EX_OSERR;
	pid = fork();
	if (pid == -1)
		return EX_OSERR;
	if (pid == 0)
		run_check(s, fds[1]);
	if (json) {
		FILE *from;

		(void)close(fds[1]);
		from = fdopen(fds[0], "r");
		while (from != NULL && getline(&line, &cap, from) > 0)
			print_json_line(line);
		free(line);
		if (from != NULL)
			(void)fclose(from);
	}
	if (waitpid(pid, &status, 0) == -1 || !WIFEXITED(status))
		return EX_SOFTWARE;
	return WEXITSTATUS(status);
}

int
config_check(const char *file, const char *socket, const char *base, bool json)
{
	struct server s = { .reached = false };
	int status;

	if (file == NULL)
		server_find(socket, &s);
	if (!s.reached) {
		s.config = file == NULL ? NULL : strdup(file);
		s.base = base == NULL ? NULL : strdup(base);
	}
	status = check(&s, json);
	server_free(&s);
	return status;
}
