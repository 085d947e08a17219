/* smtpd/tls_room.c -- see tls_room.h. */
#include "smtpd/tls_room.h"

#include "common/file.h"
#include "smtpd/smtpd.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { CA_FILES_MAX = 1024 };		/* as many as there may be listeners */

/* What client-ca holds, for one listener. */
struct ca_file {
	struct ca_file *next;
	uint32_t generation;
	char *title;
	size_t n;
	uint8_t pem[];
};

/* --- files --- */

static void
ca_free(struct ca_file *f)
{
	if (f == NULL)
		return;
	free(f->title);
	free(f);
}

/* NULL: it is too large, cannot be read, or there is no memory; errno says which. */
static struct ca_file *
ca_read(const struct m_file *m, int fd)
{
	struct ca_file *f = malloc(sizeof *f + TLS_CLIENT_CA_MAX + 1);
	int reason = 0;

	if (f == NULL)
		return NULL;
	*f = (struct ca_file){ .generation = m->generation };
	if (file_read(fd, f->pem, TLS_CLIENT_CA_MAX + 1, &f->n) != RC_OK)
		reason = errno;
	else if (f->n > TLS_CLIENT_CA_MAX)
		reason = EFBIG;
	else if ((f->title = strndup((const char *)m->name.p, m->name.n)) == NULL)
		reason = ENOMEM;
	if (reason == 0)
		return f;
	ca_free(f);
	errno = reason;
	return NULL;
}

/* The file has changed: what it held before is forgotten. */
static void
replaced(struct tls_room *room, const struct ca_file *by)
{
	for (struct ca_file **at = &room->files; *at != NULL; at = &(*at)->next) {
		struct ca_file *f = *at;

		if (f->generation == by->generation && strcmp(f->title, by->title) == 0) {
			*at = f->next;
			ca_free(f);
			return;
		}
	}
}

void
tls_room_file(struct smtpd *smtpd, const struct m_file *m, int fd)
{
	struct tls_room *room = &smtpd->tls;
	struct ca_file *f = NULL, *fit;
	const char *error = "";
	unsigned n = 0;

	for (const struct ca_file *at = room->files; at != NULL; at = at->next)
		n++;
	if (m->name.n == 0)
		error = "of no listener";
	else if (n >= CA_FILES_MAX)
		error = "there are too many";
	else if ((f = ca_read(m, fd)) == NULL)
		error = strerror(errno);
	(void)close(fd);
	if (f == NULL) {
		log_say(LOG_TROUBLE, NULL, F_TEXT("what", "a client-ca file cannot be used"), F_STR("path", m->path),
		    F_TEXT("error", error));
		return;
	}
	replaced(room, f);
	fit = realloc(f, sizeof *f + f->n);
	if (fit != NULL)
		f = fit;
	f->next = room->files;
	room->files = f;
}

static struct slice
find_ca(void *ctx, struct slice title)
{
	const struct smtpd *smtpd = ctx;

	for (const struct ca_file *f = smtpd->tls.files; f != NULL; f = f->next)
		if (f->generation == smtpd->conf->generation && slice_eq(slice_str(f->title), title))
			return slice_of(f->pem, f->n);
	return S("");
}

/* Those of other generations: a newer one is never on its way while one is adopted. */
static void
forget_files(struct tls_room *room, uint32_t but)
{
	struct ca_file **at = &room->files;

	while (*at != NULL) {
		struct ca_file *f = *at;

		if (f->generation == but) {
			at = &f->next;
			continue;
		}
		*at = f->next;
		ca_free(f);
	}
}

/* --- the set --- */

static unsigned
ticket_keys(void *ctx, struct slice listener, struct vault_ticket_key keys[VAULT_SECRETS_MAX])
{
	const struct smtpd *smtpd = ctx;

	return vault_ticket_keys(&smtpd->vault, listener, keys);
}

/* A listener with client-ca whose file has not come must not be open to everybody. */
static bool
lacks_ca(struct smtpd *smtpd, struct buf *why)
{
	for (size_t i = 0; i < smtpd->conf->n_listeners; i++) {
		const struct conf_listener *l = &smtpd->conf->listeners[i];

		if (*l->client_ca == '\0' || find_ca(smtpd, slice_str(l->title)).n > 0)
			continue;
		(void)buf_printf(why, "listener \"%s\": client-ca: %s is empty, or was not read", l->title, l->client_ca);
		return true;
	}
	return false;
}

void
tls_room_renew(struct smtpd *smtpd)
{
	const struct tls_source source = { &smtpd->vault, ticket_keys, smtpd };
	struct buf why = BUF_INIT(1024);
	struct tls_listeners *set = NULL;
	enum rc rc = RC_SYNTAX;

	if (!lacks_ca(smtpd, &why))
		rc = tls_listeners_new(smtpd->conf, smtpd->identities, &source, find_ca, smtpd, &set, &why);
	if (rc != RC_OK)
		log_say(LOG_TROUBLE, NULL, F_TEXT("what", "no TLS"),
		    F_STR("error", rc == RC_NOMEM ? S("out of memory") : buf_slice(&why)));
	buf_free(&why);
	tls_listeners_free(smtpd->tls.set);
	smtpd->tls.set = set;
	forget_files(&smtpd->tls, smtpd->conf->generation);
}

void
tls_room_free(struct smtpd *smtpd)
{
	tls_listeners_free(smtpd->tls.set);
	smtpd->tls.set = NULL;
	while (smtpd->tls.files != NULL) {
		struct ca_file *f = smtpd->tls.files;

		smtpd->tls.files = f->next;
		ca_free(f);
	}
}

struct tls_listener *
tls_room_listener(const struct smtpd *smtpd, struct slice title)
{
	struct tls_listener *l = tls_listeners_find(smtpd->tls.set, title);
	const struct vault_line *vault = l == NULL ? NULL : tls_listener_vault(l);

	return vault == NULL || vault_ready(vault) ? l : NULL;
}
