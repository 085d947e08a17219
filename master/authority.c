/* master/authority.c -- see authority.h. */
#include "master/authority.h"

#include "common/file.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	WHY_MAX = 4096,
	SUBJECTS_MAX = 8192,	/* of these the first are told */
};

static void
authority_free(struct authority *a)
{
	free(a->title);
	free(a->path);
	free(a->subjects);
	free(a->trouble);
	if (a->fd != -1)
		(void)close(a->fd);
}

void
authorities_free(struct authorities *set)
{
	for (size_t i = 0; i < set->n; i++)
		authority_free(&set->v[i]);
	free(set->v);
	*set = (struct authorities){ 0 };
}

const struct authority *
authorities_find(const struct authorities *set, const char *title)
{
	for (size_t i = 0; set != NULL && i < set->n; i++)
		if (strcmp(set->v[i].title, title) == 0)
			return &set->v[i];
	return NULL;
}

/* --- one file --- */

/* NULL: why says so. To be freed. */
static uint8_t *
read_whole(int fd, size_t *ret_n, struct buf *why)
{
	uint8_t *bytes = malloc(AUTHORITY_FILE_MAX + 1);
	size_t n = 0;
	enum rc rc = bytes == NULL ? RC_NOMEM : file_read(fd, bytes, AUTHORITY_FILE_MAX + 1, &n);

	if (rc == RC_OK && n <= AUTHORITY_FILE_MAX) {
		*ret_n = n;
		return bytes;
	}
	(void)buf_put_str(why, rc != RC_OK ? strerror(errno) : "is larger than 1 MB; is it the right file?");
	free(bytes);
	return NULL;
}

static void
note_subject(struct buf *to, X509 *x)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;
	long n;

	/* Escaped and in one line, whatever is in it (RFC 2253). What finds no room is not told. */
	if (bio != NULL && X509_NAME_print_ex(bio, X509_get_subject_name(x), 0, XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB) >= 0 &&
	    (n = BIO_get_mem_data(bio, &text)) > 0)
		(void)buf_printf(to, "%s%.*s", buf_len(to) == 0 ? "" : ", ", (int)n, text);
	BIO_free(bio);
}

static void
note_end(struct authority *a, X509 *x)
{
	struct tm tm;
	time_t end = ASN1_TIME_to_tm(X509_get0_notAfter(x), &tm) == 1 ? timegm(&tm) : 0;

	if (a->n == 0 || end < a->not_after)
		a->not_after = end;
}

/* Every certificate in it, in PEM. False: there is none, or something that is none. */
static bool
parse(struct authority *a, const uint8_t *bytes, size_t n, struct buf *why)
{
	struct buf subjects = BUF_INIT(SUBJECTS_MAX);
	BIO *bio = BIO_new_mem_buf(bytes, (int)n);
	const char *text;
	unsigned long e;
	X509 *x;
	bool ok;

	ERR_clear_error();
	while (bio != NULL && (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		note_subject(&subjects, x);
		note_end(a, x);
		a->n++;
		X509_free(x);
	}
	e = ERR_peek_last_error();
	ok = a->n > 0 && ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE;
	ERR_clear_error();
	BIO_free(bio);
	text = buf_cstr(&subjects);
	a->subjects = strdup(text == NULL ? "" : text);
	buf_free(&subjects);
	if (!ok)
		(void)buf_put_str(why, a->n == 0 ? "holds no certificates in PEM" : "holds a malformed certificate");
	return ok && a->subjects != NULL;
}

/* A copy that nobody can change. -1. */
static int
seal(const uint8_t *bytes, size_t n)
{
	int fd = memfd_create("postern-client-ca", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	while (fd != -1 && n > 0) {
		ssize_t wrote = write(fd, bytes, n);

		if (wrote == -1 && errno == EINTR)
			continue;
		if (wrote <= 0)
			break;
		bytes += wrote;
		n -= (size_t)wrote;
	}
	if (fd != -1 && n == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != -1)
		return fd;
	if (fd != -1)
		(void)close(fd);
	return -1;
}

/* False: why says what is wrong, and nothing is to be freed. */
static bool
authority_read(const char *title, const char *path, struct authority *ret_authority, struct buf *why)
{
	struct authority a = { .fd = -1, .since = time(NULL) };
	int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	uint8_t *bytes = NULL;
	size_t n = 0;
	bool ok = false;

	(void)buf_printf(why, "listener \"%s\": client-ca: %s: ", title, path);
	if (file == -1 || fstat(file, &a.tried) == -1)
		(void)buf_put_str(why, strerror(errno));
	else if (!S_ISREG(a.tried.st_mode))
		(void)buf_put_str(why, "is not a regular file");
	else if ((bytes = read_whole(file, &n, why)) != NULL && parse(&a, bytes, n, why)) {
		a.title = strdup(title);
		a.path = strdup(path);
		a.fd = seal(bytes, n);
		ok = a.title != NULL && a.path != NULL && a.fd != -1;
		if (!ok)
			(void)buf_put_str(why, "cannot be kept");
	}
	if (file != -1)
		(void)close(file);
	free(bytes);
	a.seen = a.tried;
	if (ok)
		*ret_authority = a;
	else
		authority_free(&a);
	return ok;
}

static void
refuse(struct authority *a, struct buf *why)
{
	const char *text = buf_cstr(why);

	free(a->trouble);
	a->trouble = strdup(text == NULL ? "out of memory" : text);
	log_say(LOG_CERTIFICATE_REFUSED, NULL, F_TEXT("certificate", a->title), F_TEXT("why", text == NULL ? "?" : text));
}

/* --- all of them --- */

/* The last good one of that listener, for as long as its file is bad. */
static bool
keep(const struct authority *old, const char *path, struct authority *ret_authority)
{
	struct authority a = { .title = strdup(old->title), .path = strdup(path), .subjects = strdup(old->subjects), .n = old->n,
	    .not_after = old->not_after, .since = old->since, .fd = fcntl(old->fd, F_DUPFD_CLOEXEC, 0) };
	bool ok = a.title != NULL && a.path != NULL && a.subjects != NULL && a.fd != -1;

	/* Not tried again before it changes once more. */
	(void)stat(path, &a.tried);
	a.seen = a.tried;
	if (ok)
		*ret_authority = a;
	else
		authority_free(&a);
	return ok;
}

static bool
open_one(const struct conf_listener *l, const struct authority *old, struct authority *ret_authority, struct buf *notes,
    struct buf *errors)
{
	struct buf why = BUF_INIT(WHY_MAX);
	bool ok = authority_read(l->title, l->client_ca, ret_authority, &why);

	if (!ok && old != NULL && keep(old, l->client_ca, ret_authority)) {
		ok = true;
		(void)buf_put_slice(notes, buf_slice(&why));
		(void)buf_put_str(notes, "; the last good one stays in use\n");
		refuse(ret_authority, &why);
	} else if (!ok) {
		(void)buf_put_slice(errors, buf_slice(&why));
		(void)buf_put_str(errors, "\n");
	}
	buf_free(&why);
	return ok;
}

enum rc
authorities_open(const struct conf *c, const struct authorities *old, struct authorities *ret_set, struct buf *notes,
    struct buf *errors)
{
	struct authorities set = { calloc(c->n_listeners + 1, sizeof *set.v), 0 };
	bool ok = set.v != NULL;

	/* All of them are read: every complaint at once. */
	for (size_t i = 0; i < c->n_listeners && set.v != NULL; i++) {
		const struct conf_listener *l = &c->listeners[i];

		if (*l->client_ca == '\0')
			continue;
		if (open_one(l, authorities_find(old, l->title), &set.v[set.n], notes, errors))
			set.n++;
		else
			ok = false;
	}
	if (ok)
		*ret_set = set;
	else
		authorities_free(&set);
	return ok ? RC_OK : RC_SYNTAX;
}

/* --- files that change --- */

static bool
same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool
same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	    same_time(a->st_ctim, b->st_ctim) && same_time(a->st_mtim, b->st_mtim);
}

static bool
renew(struct authority *a)
{
	struct buf why = BUF_INIT(WHY_MAX);
	struct authority fresh;
	bool ok = authority_read(a->title, a->path, &fresh, &why);

	a->tried = a->seen;
	if (ok) {
		log_say(LOG_CERTIFICATE_LOADED, NULL, F_TEXT("certificate", fresh.title), F_TEXT("names", fresh.subjects),
		    F_TEXT("until", ""), F_TEXT("file", fresh.path));
		authority_free(a);
		*a = fresh;
	} else
		refuse(a, &why);
	buf_free(&why);
	return ok;
}

bool
authorities_renew(struct authorities *set)
{
	bool renewed = false;

	for (size_t i = 0; i < set->n; i++) {
		struct authority *a = &set->v[i];
		struct stat now = { 0 };
		/* Two looks that agree: whoever writes it may not be done. */
		bool settled = stat(a->path, &now) == 0 && same(&now, &a->seen) && !same(&now, &a->tried);

		a->seen = now;
		if (settled)
			renewed |= renew(a);
	}
	return renewed;
}
