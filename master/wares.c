/* master/wares.c -- opens what the rooms are given, see wares.h. */
#include "master/wares.h"

#include "common/policy/rules.h"
#include "master/counts_memory.h"
#include "master/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct opening {
	const struct conf *conf;
	const struct paths *paths;
	const struct account *rooms;
	const struct wares *old;
	struct wares *to;
	struct buf *why;
};

/* Takes fd over. */
static enum rc
ware_add(struct opening *o, enum role role, enum file_purpose purpose, const char *name, const char *path, int fd)
{
	struct ware *w = calloc(1, sizeof *w), **last = &o->to->first;

	if (w != NULL) {
		w->name = strdup(name);
		w->path = strdup(path);
	}
	if (w == NULL || w->name == NULL || w->path == NULL) {
		(void)close(fd);
		if (w != NULL) {
			free(w->name);
			free(w->path);
		}
		free(w);
		(void)buf_put_str(o->why, "out of memory");
		return RC_NOMEM;
	}
	w->role = role;
	w->purpose = purpose;
	w->fd = fd;
	while (*last != NULL)
		last = &(*last)->next;
	*last = w;
	return RC_OK;
}

/* --- listeners --- */

static int
shared_listener(const struct wares *old, const char *place)
{
	for (const struct ware *w = old == NULL ? NULL : old->first; w != NULL; w = w->next)
		if (w->purpose == FILE_LISTENER && strcmp(w->path, place) == 0)
			return fcntl(w->fd, F_DUPFD_CLOEXEC, 0);
	return -1;
}

static enum rc
open_listener(struct opening *o, const struct conf_listener *l, const char *address)
{
	char text[IP_TEXT_MAX], place[IP_TEXT_MAX + 16];
	struct buf b = BUF_INIT(sizeof place);
	struct ip ip;
	enum rc rc;
	int fd;

	if (listen_address_parse(address, &ip) != RC_OK) {
		(void)buf_printf(o->why, "%s:%u: listener \"%s\": '%s' is no IP address; write 192.0.2.1, ::1, * or ::",
		    l->conf_file == NULL ? "" : l->conf_file, l->conf_line, l->title, address);
		return RC_SYNTAX;
	}
	(void)ip_format(ip, text);
	(void)buf_printf(&b, "%s@%u", text, l->port);
	fd = shared_listener(o->old, buf_cstr(&b));
	if (fd == -1)
		fd = listen_tcp(ip, (uint16_t)l->port, l->backlog);
	if (fd == -1 && ip.family == 6 && (errno == EADDRNOTAVAIL || errno == EAFNOSUPPORT) && l->address.n > 1) {
		buf_free(&b);	/* a machine without IPv6: the listener's other addresses do */
		return RC_OK;
	}
	if (fd == -1) {
		rc = rc_from_errno(errno);
		(void)buf_printf(o->why, "listener \"%s\": cannot listen on %s port %u: ", l->title, text, l->port);
		if (errno == EADDRNOTAVAIL)
			(void)buf_put_str(o->why, "no interface of this machine has this address; ip address shows which there"
			    " are");
		else if (errno == EADDRINUSE)
			(void)buf_printf(o->why, "%m; see who does with: ss -ltnp 'sport = :%u'", l->port);
		else
			(void)buf_printf(o->why, "%m");
	} else
		rc = ware_add(o, ROLE_SMTPD, FILE_LISTENER, l->title, buf_cstr(&b), fd);
	buf_free(&b);
	return rc;
}

static enum rc
open_listeners(struct opening *o)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; i < o->conf->n_listeners && rc == RC_OK; i++)
		for (size_t k = 0; k < o->conf->listeners[i].address.n && rc == RC_OK; k++)
			rc = open_listener(o, &o->conf->listeners[i], o->conf->listeners[i].address.v[k]);
	return rc;
}

/* --- counts --- */

static int
shared_counts(const struct wares *old, const char *name)
{
	for (const struct ware *w = old == NULL ? NULL : old->first; w != NULL; w = w->next)
		if (w->purpose == FILE_COUNTS && strcmp(w->name, name) == 0)
			return fcntl(w->fd, F_DUPFD_CLOEXEC, 0);
	return -1;
}

/* The same memory as long as we live. */
static enum rc
open_counts(struct opening *o)
{
	int write = shared_counts(o->old, "write"), read = shared_counts(o->old, "read"), look;
	enum rc rc = write != -1 && read != -1 ? RC_OK : counts_memory_make(o->conf, &write, &read, o->why);

	if (rc != RC_OK)
		return rc;
	rc = ware_add(o, ROLE_SMTPD, FILE_COUNTS, "write", "", write);
	if (rc != RC_OK) {
		(void)close(read);
		return rc;
	}
	rc = ware_add(o, ROLE_SMTPD, FILE_COUNTS, "read", "", read);
	/* What posternctl clients shows. */
	look = rc == RC_OK ? fcntl(read, F_DUPFD_CLOEXEC, 0) : -1;
	return rc != RC_OK ? rc : look == -1 ? RC_IO : ware_add(o, ROLE_CONTROL, FILE_COUNTS, "read", "", look);
}

/* --- files --- */

static int
open_regular(const struct opening *o, const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd != -1 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	(void)buf_printf(o->why, "%s: %s", path, fd == -1 ? strerror(errno) : "not a regular file");
	if (fd != -1)
		(void)close(fd);
	return -1;
}

static enum rc
open_file(struct opening *o, enum role role, enum file_purpose purpose, const char *name, const char *path)
{
	int fd = open_regular(o, path);

	return fd == -1 ? RC_IO : ware_add(o, role, purpose, name, path, fd);
}

int
ware_copy(int fd, const char *name, uint64_t max)
{
	enum { STEP = 1024 * 1024 };
	int to = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING), saved;
	ssize_t n = to == -1 ? -1 : 1;
	uint64_t total = 0;

	while (n > 0) {
		n = sendfile(to, fd, NULL, STEP);
		if (n > 0)
			total += (uint64_t)n;
		else if (n == -1 && errno == EINTR)
			n = 1;
		if (total > max) {
			errno = EFBIG;
			n = -1;
		}
	}
	if (n == 0 && fcntl(to, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == -1)
		n = -1;
	saved = errno;
	(void)close(fd);
	if (n == -1 && to != -1)
		(void)close(to);
	errno = saved;
	return n == -1 ? -1 : to;
}

/* Tables and files of users are edited in place: a room that is started again must not find half of one. */
static enum rc
open_copy(struct opening *o, enum role role, enum file_purpose purpose, const char *name, const char *path)
{
	int fd = open_regular(o, path);

	if (fd == -1)
		return RC_IO;
	fd = ware_copy(fd, name, role == ROLE_AUTH ? WARE_AUTH_FILE_MAX : o->conf->router.max_table_size);
	if (fd != -1)
		return ware_add(o, role, purpose, name, path, fd);
	(void)buf_printf(o->why, "%s: cannot be copied: %m", path);
	return RC_IO;
}

static enum rc
open_tables(struct opening *o)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; i < o->conf->n_tables && rc == RC_OK; i++)
		if (*o->conf->tables[i].file != '\0')
			rc = open_copy(o, ROLE_ROUTER, FILE_TABLE, o->conf->tables[i].title, o->conf->tables[i].file);
	if (rc == RC_OK && policy_uses_passwd(o->conf))
		rc = open_copy(o, ROLE_ROUTER, FILE_TABLE, "@passwd", "/etc/passwd");
	return rc;
}

static enum rc
open_hints(struct opening *o)
{
	const struct conf_resolver *r = &o->conf->resolver;
	enum rc rc = RC_OK;

	if (*r->root_hints != '\0')
		rc = open_file(o, ROLE_RESOLVER, FILE_HINTS, "root-hints", r->root_hints);
	if (rc == RC_OK && *r->trust_anchor != '\0' && strcmp(r->trust_anchor, "none") != 0)
		rc = open_file(o, ROLE_RESOLVER, FILE_HINTS, "trust-anchor", r->trust_anchor);
	if (rc == RC_OK && strcmp(r->mode, "auto") == 0)
		rc = open_file(o, ROLE_RESOLVER, FILE_HINTS, "resolv.conf", "/etc/resolv.conf");
	return rc;
}

static enum rc
open_auth(struct opening *o)
{
	const struct conf_auth *a = &o->conf->auth;
	const struct { const char *name, *path; } files[] = {
		{ "users", a->users_file }, { "certificates", a->certificates_file },
	};
	enum rc rc = RC_OK;

	for (size_t i = 0; i < sizeof files / sizeof files[0] && rc == RC_OK; i++)
		if (*files[i].path != '\0')
			rc = open_copy(o, ROLE_AUTH, FILE_AUTH, files[i].name, files[i].path);
	return rc;
}

/* What users have sent, beside the spool. Made for the auth room, which may open no file itself. */
static enum rc
open_usage(struct opening *o)
{
	static const char *const names[] = { "0", "1" };
	const struct account *a = &o->rooms[ROLE_AUTH];
	int folder = conf_uses_auth(o->conf) ? paths_open_folder(o->paths->state_dir, o->why) : -1;
	enum rc rc = RC_OK;

	if (folder == -1)
		return conf_uses_auth(o->conf) ? RC_IO : RC_OK;
	for (size_t i = 0; i < sizeof names / sizeof names[0] && rc == RC_OK; i++) {
		char name[] = "users.0";
		int fd;

		name[sizeof name - 2] = *names[i];
		fd = openat(folder, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
		if (fd == -1 || fchown(fd, a->uid, a->gid) == -1) {
			rc = rc_from_errno(errno);
			(void)buf_printf(o->why, "%s/%s: %m", o->paths->state_dir, name);
			if (fd != -1)
				(void)close(fd);
		} else
			rc = ware_add(o, ROLE_AUTH, FILE_USAGE, names[i], name, fd);
	}
	(void)close(folder);
	return rc;
}

static enum rc
open_syslog(struct opening *o)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX, .sun_path = "/dev/log" };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd == -1 || connect(fd, (const struct sockaddr *)&to, sizeof to) == -1) {
		(void)buf_put_str(o->why,
		    "log { to = syslog }: /dev/log cannot be reached: is a syslog daemon running? Or write the path of a file");
		if (fd != -1)
			(void)close(fd);
		return RC_IO;
	}
	return ware_add(o, ROLE_LOG, FILE_SYSLOG, "syslog", "/dev/log", fd);
}

/* The file is made for the log room, whose account may not make files in /var/log. */
static enum rc
make_log(struct opening *o, int folder, const char *name)
{
	const struct account *a = &o->rooms[ROLE_LOG];
	int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0640);

	if (fd == -1 && errno == EEXIST)
		return RC_OK;
	if (fd == -1 || fchown(fd, a->uid, a->gid) == -1) {
		(void)buf_printf(o->why, "log { to = \"%s\" }: %m", o->conf->log.to);
		if (fd != -1)
			(void)close(fd);
		return RC_IO;
	}
	(void)close(fd);
	return RC_OK;
}

/* The log room gets the folder, to open the file again when somebody has rotated it. */
static enum rc
open_log(struct opening *o)
{
	const char *path = o->conf->log.to, *slash = strrchr(path, '/');
	char *folder;
	enum rc rc;
	int fd;

	if (strcmp(path, "syslog") == 0)
		return open_syslog(o);
	if (slash == NULL)
		return RC_OK;	/* stderr, which every process has */
	folder = slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
	if (folder == NULL)
		return RC_NOMEM;
	fd = paths_open_folder(folder, o->why);
	if (fd == -1)
		(void)buf_put_str(o->why, ": the folder that log { to } names");
	rc = fd == -1 ? RC_IO : make_log(o, fd, slash + 1);
	if (rc == RC_OK)
		rc = ware_add(o, ROLE_LOG, FILE_LOG, "log", slash + 1, fd);
	else if (fd != -1)
		(void)close(fd);
	free(folder);
	return rc;
}

/* --- the installation's own --- */

static enum rc
open_control(struct opening *o)
{
	const char *name = o->conf->global.admin_group;
	const struct group *g = *name == '\0' ? NULL : getgrnam(name);
	int fd = -1;

	for (const struct ware *w = o->old == NULL ? NULL : o->old->first; w != NULL; w = w->next)
		if (w->purpose == FILE_CONTROL)
			fd = fcntl(w->fd, F_DUPFD_CLOEXEC, 0);
	if (*name != '\0' && g == NULL) {
		(void)buf_printf(o->why, "admin-group: there is no group %s; make it with groupadd, or leave the option empty",
		    name);
		if (fd != -1)
			(void)close(fd);
		return RC_NOTFOUND;
	}
	if (fd == -1)
		fd = listen_control(o->paths->control, g == NULL ? 0 : g->gr_gid, o->why);
	else if (chown(o->paths->control, 0, g == NULL ? 0 : g->gr_gid) == -1 ||
	    chmod(o->paths->control, g == NULL ? 0600 : 0660) == -1)
		(void)buf_printf(o->why, "%s: %m", o->paths->control);
	return fd == -1 ? RC_IO : ware_add(o, ROLE_CONTROL, FILE_CONTROL, "control", o->paths->control, fd);
}

static enum rc
open_spool(struct opening *o)
{
	int fd = paths_open_folder(o->paths->state_dir, o->why);

	return fd == -1 ? RC_IO : ware_add(o, ROLE_QUEUE, FILE_SPOOL, "spool", o->paths->state_dir, fd);
}

enum rc
wares_open(const struct conf *c, const struct paths *paths, const struct account *rooms, const struct wares *old,
    struct wares *ret_wares, struct buf *why)
{
	struct wares w = { NULL };
	struct opening o = { c, paths, rooms, old, &w, why };
	static enum rc (*const steps[])(struct opening *) = {
		open_tables, open_hints, open_auth, open_usage, open_log, open_spool, open_listeners, open_counts, open_control,
	};

	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		enum rc rc = steps[i](&o);

		if (rc != RC_OK) {
			wares_close(&w);
			return rc;
		}
	}
	*ret_wares = w;
	return RC_OK;
}

void
wares_close(struct wares *w)
{
	while (w->first != NULL) {
		struct ware *one = w->first;

		w->first = one->next;
		(void)close(one->fd);
		free(one->name);
		free(one->path);
		free(one);
	}
}

const struct ware *
wares_next(const struct wares *w, enum role role, const struct ware *after)
{
	for (after = after == NULL ? w->first : after->next; after != NULL; after = after->next)
		if (after->role == role)
			return after;
	return NULL;
}
