/* master/main.c -- postern(8): from the command line to the running house. */
#include "common/log.h"
#include "master/child.h"
#include "master/conf_warn.h"
#include "master/fixed.h"
#include "master/generation.h"
#include "master/notify.h"
#include "master/privileges.h"
#include "master/reload.h"
#include "master/run_lock.h"
#include "master/stop.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

enum { ERRORS_MAX = 256 * 1024 };

/* --- signals, read from a descriptor like everything else --- */

static void
reap(struct master *m)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		children_reaped(m, pid, status);
}

static void
on_signal(struct watch *w, bool readable, bool writable, void *ctx)
{
	struct master *m = ctx;
	struct signalfd_siginfo info;

	(void)readable, (void)writable;
	while (read(w->fd, &info, sizeof info) == (ssize_t)sizeof info) {
		switch (info.ssi_signo) {
		case SIGCHLD:
			reap(m);
			break;
		case SIGHUP:
			reload_begin(m, NULL, 0);
			break;
		default:
			stop_begin(m, info.ssi_signo == SIGINT ? "interrupted" : "asked to end");
			break;
		}
	}
}

static bool
watch_signals(struct master *m, struct watch *w)
{
	sigset_t set;
	int fd;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigaddset(&set, SIGHUP);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL) == -1 || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return false;
	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd == -1)
		return false;
	watch_init(w, m->loop, fd, on_signal, m);
	watch_set(w, true, false);
	return true;
}

/* --- background --- */

static void
copy_words(int from)
{
	char text[4096];
	ssize_t n = read(from, text, sizeof text);

	if (n > 0)
		(void)!write(STDERR_FILENO, text, (size_t)n);
}

/* Stays until the house is ready or has given up, passes on what it says meanwhile, and tells by its exit status. */
static _Noreturn void
wait_for_house(int ready, int words)
{
	struct pollfd fds[] = { { .fd = ready, .events = POLLIN }, { .fd = words, .events = POLLIN } };
	char byte;

	while (poll(fds, 2, -1) > 0 || errno == EINTR) {
		if ((fds[1].revents & POLLIN) != 0)
			copy_words(words);
		else if (fds[0].revents != 0)
			_exit(read(ready, &byte, 1) == 1 ? 0 : EX_CONFIG);
	}
	_exit(EX_OSERR);
}

/* In the child: the descriptor to say "ready" on; -1: cannot. The parent does not return. */
static int
go_to_background(void)
{
	int ready[2], words[2], null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null == -1 || pipe2(ready, O_CLOEXEC) == -1 || pipe2(words, O_CLOEXEC) == -1)
		return -1;
	switch (fork()) {
	case -1:
		return -1;
	case 0:
		(void)setsid();
		(void)dup2(null, STDIN_FILENO);
		(void)dup2(words[1], STDOUT_FILENO);
		(void)dup2(words[1], STDERR_FILENO);
		(void)close(null);
		(void)close(ready[0]);
		(void)close(words[0]);
		(void)close(words[1]);
		return ready[1];
	default:
		(void)close(ready[1]);
		(void)close(words[1]);
		wait_for_house(ready[0], words[0]);
	}
}

/* --- start --- */

/* Each line with the program's name in front. */
static int
say(const struct buf *text, int status)
{
	for (struct slice rest = buf_slice(text); rest.n > 0;) {
		struct slice line = slice_first(rest, slice_find(rest, '\n'));

		(void)fputs("postern: ", stderr);
		(void)fwrite(line.p, 1, line.n, stderr);
		(void)fputc('\n', stderr);
		rest = slice_from(rest, line.n + 1);
	}
	return status;
}

static int
cannot(const char *what)
{
	(void)fprintf(stderr, "postern: cannot %s: %s\n", what, strerror(errno));
	return EX_OSERR;
}

/* Where it is to run: whether the queue could open its spool, and whether a Postern that runs could take it. */
static enum rc
check_place(const struct options *o, const struct conf_global *conf, struct buf *notes)
{
	struct account rooms[ROLE_COUNT];
	struct buf unused = BUF_INIT(ERRORS_MAX);
	struct paths paths;
	enum rc rc = paths_choose(conf, o->base, &paths);

	if (rc != RC_OK)
		return rc;
	fixed_warn(conf, &paths, o->running, notes);
	/* That there are no accounts yet is no fault of the file: it may be checked on another machine. */
	if (accounts_find(conf->uid_base, rooms, &unused) == RC_OK)
		rc = paths_check_spool(&paths, rooms[ROLE_QUEUE].uid, rooms[ROLE_QUEUE].gid, notes);
	if (rc != RC_OK)
		(void)buf_put_str(notes, "\n");
	buf_free(&unused);
	paths_free(&paths);
	return rc;
}

static int
check_only(const struct options *o)
{
	struct buf errors = BUF_INIT(ERRORS_MAX);
	struct conf_source source;
	struct certificates certificates = { 0 };
	enum rc rc = generation_read(o, &source, &errors, &errors);

	if (rc == RC_OK) {
		rc = check_place(o, &source.conf->global, &errors);
		if (rc == RC_OK)
			rc = certificates_open(source.conf, NULL, &certificates, &errors, &errors);
		if (rc != RC_OK)
			conf_source_free(&source);
	}
	certificates_free(&certificates);
	(void)say(&errors, 0);
	if (rc == RC_OK) {
		(void)printf("%s: the configuration is good\n", o->file == NULL ? "(embedded)" : o->file);
		conf_source_free(&source);
	}
	buf_free(&errors);
	return rc == RC_OK ? 0 : EX_CONFIG;
}

/* Everything that can fail for the administrator's reasons, before the first process starts. */
static enum rc
prepare(struct master *m, struct buf *why)
{
	struct buf notes = BUF_INIT(ERRORS_MAX);	/* generation_prepare() has them again */
	struct conf_source source;
	struct generation g;
	enum rc rc;

	if (geteuid() != 0) {
		(void)buf_put_str(why, "must be started as root: the rooms drop to accounts of their own");
		return RC_DENIED;
	}
	rc = generation_read(&m->options, &source, &notes, why);
	buf_free(&notes);
	if (rc != RC_OK)
		return rc;
	if (m->options.daemon && strcmp(source.conf->log.to, "stderr") == 0) {
		(void)buf_put_str(why, "in the background the log cannot go to stderr: write log { to = syslog }, or the path of "
		    "a file");
		conf_source_free(&source);
		return RC_SYNTAX;
	}
	rc = accounts_find(source.conf->global.uid_base, m->accounts, why);
	if (rc == RC_OK)
		rc = paths_choose(&source.conf->global, m->options.base, &m->paths);
	if (rc == RC_OK)
		rc = paths_check_spool(&m->paths, m->accounts[ROLE_QUEUE].uid, m->accounts[ROLE_QUEUE].gid, why);
	if (rc == RC_OK)
		rc = paths_make(&m->paths, m->accounts[ROLE_QUEUE].uid, m->accounts[ROLE_QUEUE].gid, why);
	conf_source_free(&source);
	if (rc == RC_OK)
		rc = run_lock_take(m->paths.run_dir, &m->lock, why);
	if (rc == RC_OK)
		rc = privileges_reduce(why);
	if (rc == RC_OK)
		rc = generation_prepare(m, 1, NULL, &g, why);
	if (rc == RC_OK) {
		generation_adopt(m, &g);
		certificates_use_next(m);
	}
	return rc;
}

/* What later configurations cannot change, for whoever checks one. In the background the process is another, so not before. */
static enum rc
tell_what_is_fixed(const struct master *m, struct buf *why)
{
	struct buf fixed = BUF_INIT(ERRORS_MAX);
	enum rc rc = fixed_put(&fixed, &m->source.conf->global, &m->paths) ? run_lock_tell(m->lock, buf_slice(&fixed), why) :
	    RC_NOMEM;

	if (rc != RC_OK && buf_len(why) == 0)
		(void)buf_put_str(why, rc_name(rc));
	buf_free(&fixed);
	return rc;
}

static void
clean_up(struct master *m)
{
	if (m->log != NULL)
		peer_flush(m->log);
	log_attach(NULL);
	peer_free(m->log);
	if (m->paths.control != NULL)
		(void)unlink(m->paths.control);
	certificates_stop(m);
	users_watch_stop(m);
	wares_close(&m->wares);
	buf_free(&m->encoded);
	conf_source_free(&m->source);
	conf_source_free(&m->previous);
	paths_free(&m->paths);
	options_free(&m->options);
}

int
main(int argc, char **argv)
{
	static struct master m = { .ready_fd = -1 };
	struct buf why = BUF_INIT(ERRORS_MAX);
	struct watch signals;
	int status = options_parse(argc, argv, &m.options);
	enum rc rc;

	if (status != -1)
		return status;
	if (m.options.check)
		return check_only(&m.options);
	(void)umask(022);
	log_open(ROLE_MASTER, 0);
	if (!certificate_prepare())
		BUG("OpenSSL was at work before main()");
	if ((rc = prepare(&m, &why)) != RC_OK && buf_len(&why) == 0)
		(void)buf_put_str(&why, rc_name(rc));
	if (rc != RC_OK)
		return say(&why, EX_CONFIG);
	if (m.options.daemon && (m.ready_fd = go_to_background()) == -1)
		return cannot("go to the background");
	if (tell_what_is_fixed(&m, &why) != RC_OK)
		return say(&why, EX_CONFIG);
	m.loop = loop_new();
	if (m.loop == NULL || !watch_signals(&m, &signals))
		return cannot("wait for events");
	m.since = loop_now(m.loop);
	log_set_debug(m.source.conf->log.debug);
	certificates_start(&m);
	users_watch_start(&m);
	conf_warn_log(m.source.conf);
	generation_processes(&m);
	loop_run(m.loop);
	clean_up(&m);
	return m.exit_status;
}
