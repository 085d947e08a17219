/* ctl/passwd.c -- posternctl passwd: the users file, by hand (postern-passwd(5)).
 *
 * Of a running Postern it asks which file is its users file and how much memory a password may take there; it need not run.
 * The file is replaced as a whole, by one that is complete and on disk, so that nobody ever reads half
 * of one; who changes it at the same time waits. */
#include "ctl/passwd.h"

#include "common/conf.h"
#include "common/credential.h"
#include "ctl/passwd_file.h"
#include "ctl/posternctl.h"
#include "ctl/server.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <termios.h>
#include <unistd.h>

enum {
	INTERRUPT = 3,		/* Ctrl-C, as a byte */
	MEMORY_MIN = 8,		/* MiB, as for auth { max-hash-memory } */
	MEMORY_MAX = 1024,
};

static const char usage[] =
    "usage: posternctl passwd [--file FILE] [--memory MIB] [--iterations N] USER    add a user, or change a password\n"
    "       posternctl passwd [--file FILE] --remove USER\n"
    "       posternctl passwd [--file FILE] --lock USER       keep it, and let it in no more\n"
    "       posternctl passwd [--file FILE] --check USER      is this the password?\n"
    "       posternctl passwd [--file FILE] --list\n"
    "FILE: that of auth { users-file } when Postern runs, else " POSTERN_SYSCONFDIR "/users.\n"
    "MIB: 8 to 1024 for a hash, 64 if max-hash-memory allows it. N: 4096 to 10000000, 20000 if it is not given.\n"
    "The password is asked for at a terminal, else it is the first line of standard input.\n";

enum what { PASSWD_SET, PASSWD_REMOVE, PASSWD_LOCK, PASSWD_CHECK, PASSWD_LIST };

struct passwd {
	enum what what;
	const char *file;
	const char *user;
	uint64_t memory;	/* 0: as much as may be, up to the usual */
	uint32_t iterations;
};

/* What matters of the configuration of a running Postern. */
struct house {
	bool runs;
	struct buf users_file;	/* empty: none */
	uint64_t memory_max;	/* of one password */
};

static int
complain(const char *what, int status)
{
	(void)fprintf(stderr, "posternctl: %s\n", what);
	return status;
}

/* --- the password --- */

/* One line of standard input, without its end. False: none, too long, or interrupted. */
static bool
read_line(struct buf *to)
{
	uint8_t c;

	buf_clear(to);
	for (;;) {
		ssize_t n = read(STDIN_FILENO, &c, 1);

		if (n != 1 || c == '\n')
			return n == 1 || (n == 0 && buf_len(to) > 0);
		if (c == INTERRUPT || !buf_put_byte(to, c))
			return false;
	}
}

/* A handler for signals could not bring the echo back safely: Ctrl-C is read as a byte instead. */
static bool
ask(const char *question, struct buf *to)
{
	struct termios before, quiet;
	bool ok;

	if (tcgetattr(STDIN_FILENO, &before) == -1)
		return read_line(to);
	quiet = before;
	quiet.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
	(void)fputs(question, stderr);
	if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet) == -1)
		return false;
	ok = read_line(to);
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	(void)fputc('\n', stderr);
	return ok;
}

static void
wipe(struct buf *b)
{
	if (b->p != NULL)
		sodium_memzero(b->p, b->cap);
	buf_free(b);
}

/* 0, or an exit status after a complaint. */
static int
get_password(bool twice, struct buf *ret_password)
{
	struct buf first = BUF_INIT(PREPARE_PASSWORD_MAX), second = BUF_INIT(PREPARE_PASSWORD_MAX);
	int status = 0;

	if (!ask("Password: ", &first))
		status = complain("no password was given, or it is too long", EX_NOINPUT);
	else if (twice && isatty(STDIN_FILENO) && (!ask("Again: ", &second) || !slice_eq(buf_slice(&first), buf_slice(&second))))
		status = complain("the two passwords differ; nothing was changed", EX_DATAERR);
	else if (prepare_password(buf_slice(&first), ret_password) != RC_OK)
		status = complain("no password can look like this: it is empty, holds control characters, or is not UTF-8",
		    EX_DATAERR);
	wipe(&first);
	wipe(&second);
	return status;
}

/* --- what is to be done --- */

static int
set_password(const struct passwd *p, struct slice user, struct passwd_file *f)
{
	struct buf password = BUF_INIT(PREPARE_PASSWORD_MAX), line = BUF_INIT(CREDENTIAL_LINE_MAX);
	char argon2[ARGON2_TEXT_MAX + 1];
	struct credential c;
	int status = get_password(true, &password);

	if (status == 0 && (credential_make(user, buf_slice(&password), p->memory, p->iterations, argon2, &c) != RC_OK ||
	    !credential_put(&line, &c)))
		status = complain("out of memory; a smaller --memory may help", EX_OSERR);
	if (status == 0)
		status = passwd_file_replace(f, user, buf_slice(&line)) ? EX_OK : EX_IOERR;
	wipe(&password);
	buf_free(&line);
	return status;
}

static int
check_password(struct slice user, const struct passwd_file *f)
{
	struct buf password = BUF_INIT(PREPARE_PASSWORD_MAX);
	char argon2[ARGON2_TEXT_MAX + 1] = "";
	struct credential c;
	int status;

	if (!passwd_file_find(f, user, &c))
		return complain("there is no such user", 1);
	if (c.locked || c.argon2.n == 0)
		return complain(c.locked ? "this user is locked out" : "this user has no password hash", 1);
	status = get_password(false, &password);
	if (status == 0) {
		memcpy(argon2, c.argon2.p, c.argon2.n);
		if (crypto_pwhash_str_verify(argon2, (const char *)buf_slice(&password).p, buf_len(&password)) == -1)
			status = complain("this is not the password", 1);
	}
	wipe(&password);
	return status;
}

static int
lock_out(struct slice user, struct passwd_file *f)
{
	struct buf line = BUF_INIT(CREDENTIAL_LINE_MAX);
	struct credential c;
	int status = EX_OK;

	if (!passwd_file_find(f, user, &c))
		return complain("there is no such user", 1);
	c = (struct credential){ .user = user, .locked = true };
	if (!credential_put(&line, &c) || !passwd_file_replace(f, user, buf_slice(&line)))
		status = EX_IOERR;
	buf_free(&line);
	return status;
}

static int
list(const struct passwd_file *f)
{
	struct slice rest = buf_slice(&f->bytes);
	struct credential c;

	while (passwd_file_next(&rest, &c))
		(void)fprintf(stdout, "%.*s%s%s%s\n", (int)c.user.n, (const char *)c.user.p, c.locked ? " locked" : "",
		    c.argon2.n > 0 ? " password" : "", c.has_scram ? " scram-sha-256" : "");
	return EX_OK;
}

static int
act(const struct passwd *p, struct slice user, struct passwd_file *f)
{
	struct credential c;

	switch (p->what) {
	case PASSWD_SET:
		return set_password(p, user, f);
	case PASSWD_REMOVE:
		if (!passwd_file_find(f, user, &c))
			return complain("there is no such user", 1);
		return passwd_file_replace(f, user, S("")) ? EX_OK : EX_IOERR;
	case PASSWD_LOCK:
		return lock_out(user, f);
	case PASSWD_CHECK:
		return check_password(user, f);
	case PASSWD_LIST:
		return list(f);
	}
	return EX_SOFTWARE;
}

/* --- the words --- */

/* The number behind an option. */
static bool
number(const char *option, const char *text, unsigned long min, unsigned long max, unsigned long *ret_n)
{
	char *end = NULL;
	unsigned long n = text == NULL ? 0 : strtoul(text, &end, 10);

	if (text == NULL || *text < '0' || *text > '9' || *end != '\0' || n < min || n > max) {
		(void)fprintf(stderr, "posternctl: %s takes a number from %lu to %lu\n", option, min, max);
		return false;
	}
	*ret_n = n;
	return true;
}

/* --memory, --iterations. False: wrong, and said so. */
static bool
take_cost(struct passwd *p, const char *option, const char *text)
{
	bool memory = strcmp(option, "--memory") == 0;
	unsigned long n;

	if (!number(option, text, memory ? MEMORY_MIN : SCRAM_ITERATIONS_MIN, memory ? MEMORY_MAX : SCRAM_ITERATIONS_MAX, &n))
		return false;
	if (memory)
		p->memory = (uint64_t)n << 20;
	else
		p->iterations = (uint32_t)n;
	return true;
}

static bool
take_words(struct passwd *p, int argc, char **argv)
{
	static const struct { const char *word; enum what what; } whats[] = {
		{ "--remove", PASSWD_REMOVE }, { "--lock", PASSWD_LOCK }, { "--check", PASSWD_CHECK }, { "--list", PASSWD_LIST },
	};

	for (int i = 1; i < argc; i++) {
		const char *next = i + 1 < argc ? argv[i + 1] : NULL;
		size_t k = 0;

		while (k < sizeof whats / sizeof whats[0] && strcmp(argv[i], whats[k].word) != 0)
			k++;
		if (k < sizeof whats / sizeof whats[0]) {
			p->what = whats[k].what;
		} else if (strcmp(argv[i], "--file") == 0 && next != NULL) {
			p->file = argv[++i];
		} else if (strcmp(argv[i], "--memory") == 0 || strcmp(argv[i], "--iterations") == 0) {
			if (!take_cost(p, argv[i], next))
				return false;
			i++;
		} else if (argv[i][0] != '-' && p->user == NULL) {
			p->user = argv[i];
		} else {
			(void)fprintf(stderr, "posternctl: %s %s\n", argv[i], argv[i][0] == '-' ?
			    "is no option of passwd, or lacks its value" : "is one word too many");
			return false;
		}
	}
	return (p->user == NULL) == (p->what == PASSWD_LIST);
}

/* --- the running Postern --- */

static struct house
look_at_house(const char *socket)
{
	struct house h = { .users_file = BUF_INIT(4096), .memory_max = 0 };
	struct buf memory = BUF_INIT(64);
	struct conf *usual;

	h.runs = server_option(socket, "auth", "users-file", &h.users_file) &&
	    server_option(socket, "auth", "max-hash-memory", &memory) &&
	    conf_size_parse(buf_slice(&memory), &h.memory_max) == RC_OK;
	buf_free(&memory);
	if (h.runs)
		return h;
	buf_clear(&h.users_file);
	usual = conf_new();
	h.memory_max = usual == NULL ? crypto_pwhash_MEMLIMIT_INTERACTIVE : usual->auth.max_hash_memory;
	conf_unref(usual);
	return h;
}

static bool
is_users_file(const struct house *h, const char *file)
{
	return buf_len(&h->users_file) > 0 && slice_eq(buf_slice(&h->users_file), slice_str(file));
}

/* A users file that asks for more memory than Postern gives is refused as a whole. False: this one would be. */
static bool
choose_memory(struct passwd *p, const struct house *h)
{
	unsigned long long wanted = p->memory >> 20, most = h->memory_max >> 20;

	if (p->memory == 0) {
		p->memory = crypto_pwhash_MEMLIMIT_INTERACTIVE;
		if (p->memory > h->memory_max)
			p->memory = h->memory_max;
		return true;
	}
	if (p->memory <= h->memory_max)
		return true;
	if (h->runs && is_users_file(h, p->file)) {
		(void)fprintf(stderr, "posternctl: --memory %llu is more than auth { max-hash-memory } of the running Postern"
		    " (%llu MiB), and it would refuse the file; raise that first, or write --memory %llu\n", wanted, most, most);
		return false;
	}
	(void)fprintf(stderr, "posternctl: warning: --memory %llu is more than %s (%llu MiB): raise auth { max-hash-memory }"
	    " where this file is to be used\n", wanted, h->runs ? "the running Postern takes" : "Postern takes by default", most);
	return true;
}

/* A user whom nobody will know is what is noticed last. */
static void
say_if_unused(const struct passwd *p, const struct house *h)
{
	if (p->what != PASSWD_SET || !h->runs || is_users_file(h, p->file))
		return;
	if (buf_len(&h->users_file) == 0)
		(void)fprintf(stderr, "posternctl: note: the running Postern reads no users file yet; write auth { users-file ="
		    " \"%s\" } and reload\n", p->file);
	else
		(void)fprintf(stderr, "posternctl: note: the running Postern reads %.*s, not this file\n",
		    (int)buf_len(&h->users_file), (const char *)buf_slice(&h->users_file).p);
}

/* What others wrote into the file may keep Postern from taking it, and with it what was changed now. */
static void
look_again(const struct passwd *p, const struct house *h)
{
	uint64_t most = h->memory_max;
	struct passwd_file f;

	/* Of a password that takes more has been said so already. */
	if (!is_users_file(h, p->file) && p->memory > most)
		most = p->memory;
	if (!passwd_file_open(&f, p->file, false, false))
		return;
	(void)passwd_file_check(&f, most);
	passwd_file_close(&f);
}

static int
run(struct passwd *p, const struct house *h)
{
	struct buf user = BUF_INIT(PREPARE_USER_MAX);
	struct passwd_file f;
	int status;

	if (p->what == PASSWD_SET && !choose_memory(p, h))
		return EX_USAGE;
	if (p->user != NULL && prepare_user(slice_str(p->user), &user) != RC_OK)
		return complain("no user can have this name: it holds a colon or control characters, or is too long", EX_DATAERR);
	if (!passwd_file_open(&f, p->file, p->what != PASSWD_CHECK && p->what != PASSWD_LIST, p->what == PASSWD_SET))
		return EX_NOINPUT;
	status = act(p, buf_slice(&user), &f);
	passwd_file_close(&f);
	buf_free(&user);
	if (status == EX_OK && p->what != PASSWD_CHECK && p->what != PASSWD_LIST)
		look_again(p, h);
	if (status == EX_OK)
		say_if_unused(p, h);
	return status;
}

int
passwd_main(int argc, char **argv, const char *socket)
{
	struct passwd p = { PASSWD_SET, NULL, NULL, 0, SCRAM_ITERATIONS };
	struct house h;
	int status;

	if (asks_for_help(argc, argv)) {
		(void)fputs(usage, stdout);
		return EX_OK;
	}
	if (!take_words(&p, argc, argv)) {
		(void)fputs(usage, stderr);
		return EX_USAGE;
	}
	if (sodium_init() == -1)
		return complain("no random numbers", EX_OSERR);
	h = look_at_house(socket);
	if (p.file == NULL)
		p.file = buf_len(&h.users_file) > 0 ? buf_cstr(&h.users_file) : POSTERN_SYSCONFDIR "/users";
	status = p.file == NULL ? complain("out of memory", EX_OSERR) : run(&p, &h);
	buf_free(&h.users_file);
	return status;
}
