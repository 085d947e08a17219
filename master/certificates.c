/* master/certificates.c -- see certificates.h. */
#include "master/certificates.h"

#include "common/json.h"
#include "common/log.h"
#include "master/admin.h"
#include "master/child.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	DAY = 24 * 60 * 60,
	WHY_MAX = 4096,
	ROW_MAX = 64 * 1024,
};

/* --- sets --- */

static void
kept_free(struct kept *k)
{
	certificate_unref(k->in_use);
	free(k->trouble);
}

void
certificates_free(struct certificates *set)
{
	for (size_t i = 0; i < set->n; i++)
		kept_free(&set->v[i]);
	free(set->v);
	authorities_free(&set->authorities);
	*set = (struct certificates){ 0 };
}

static const struct kept *
find(const struct certificates *set, const char *title)
{
	for (size_t i = 0; set != NULL && i < set->n; i++)
		if (strcmp(set->v[i].in_use->title, title) == 0)
			return &set->v[i];
	return NULL;
}

/* In front of words about a certificate: where it stands. */
static void
put_place(struct buf *to, const struct conf_certificate *conf, const char *kind)
{
	if (conf->conf_file != NULL)
		(void)buf_printf(to, "%s:%u: ", conf->conf_file, conf->conf_line);
	(void)buf_printf(to, "%scertificate \"%s\": %s ", kind, conf->title, conf->chain);
}

/* Read, and not worse than the one in use (NULL: there is none). *ret_ripe: when it will not be worse any more; 0: never. */
static enum rc
read_better(const struct conf_certificate *conf, const struct certificate *old, struct certificate **ret_fresh, time_t *ret_ripe,
    struct buf *why)
{
	time_t now = time(NULL);
	struct certificate *fresh;
	enum certificate_state state;
	enum rc rc = certificate_read(conf, &fresh, why);

	*ret_ripe = 0;
	if (rc != RC_OK)
		return rc;
	state = certificate_state(fresh, now);
	if (old == NULL || certificate_is_good(state) || !certificate_is_good(certificate_state(old, now))) {
		*ret_fresh = fresh;
		return RC_OK;
	}
	put_place(why, conf, "");
	certificate_put_state(fresh, now, why);
	if (state == CERTIFICATE_NOT_YET)
		*ret_ripe = fresh->not_before;
	certificate_unref(fresh);
	return RC_RANGE;
}

static void
put_warning(struct buf *notes, const struct conf_certificate *conf, const struct certificate *c)
{
	time_t now = time(NULL);

	if (certificate_state(c, now) == CERTIFICATE_VALID)
		return;
	put_place(notes, conf, "warning: ");
	certificate_put_state(c, now, notes);
	(void)buf_put_byte(notes, '\n');
}

static enum rc
open_one(const struct conf_certificate *conf, const struct kept *old, struct kept *ret_kept, struct buf *notes,
    struct buf *errors)
{
	struct kept k = { 0 };
	struct buf why = BUF_INIT(WHY_MAX);
	enum rc rc = read_better(conf, old == NULL ? NULL : old->in_use, &k.in_use, &k.ripe, &why);
	const char *text = buf_cstr(&why);

	if (rc == RC_OK)
		memcpy(k.tried, k.in_use->look, sizeof k.tried);
	else if (old != NULL) {
		k.in_use = certificate_ref(old->in_use);
		k.trouble = strdup(text == NULL ? "out of memory" : text);
		/* Not tried again before the files change once more. */
		if (!certificate_look(conf->chain, conf->key, k.tried))
			memset(k.tried, 0, sizeof k.tried);
		(void)buf_printf(notes, "%s; the last good one stays in use\n", text == NULL ? "?" : text);
		log_say(LOG_CERTIFICATE_REFUSED, NULL, F_TEXT("certificate", conf->title),
		    F_TEXT("why", text == NULL ? "?" : text));
		rc = RC_OK;
	} else
		(void)buf_printf(errors, "%s\n", text == NULL ? "?" : text);
	buf_free(&why);
	memcpy(k.seen, k.tried, sizeof k.seen);
	if (rc != RC_OK)
		return rc;
	k.state = certificate_state(k.in_use, time(NULL));
	put_warning(notes, conf, k.in_use);
	*ret_kept = k;
	return RC_OK;
}

enum rc
certificates_open(const struct conf *c, const struct certificates *old, struct certificates *ret_set, struct buf *notes,
    struct buf *errors)
{
	struct certificates set = { 0 };
	enum rc rc = RC_OK;

	if (c->n_certificates > IDENTITIES_MAX) {
		(void)buf_printf(errors, "there are more than %d certificate sections\n", IDENTITIES_MAX);
		return RC_RANGE;
	}
	set.v = calloc(c->n_certificates + 1, sizeof *set.v);
	if (set.v == NULL)
		return RC_NOMEM;
	/* All of them are read: every complaint at once. */
	for (size_t i = 0; i < c->n_certificates; i++) {
		enum rc one = open_one(&c->certificates[i], find(old, c->certificates[i].title), &set.v[set.n], notes, errors);

		if (one == RC_OK)
			set.n++;
		else
			rc = one;
	}
	if (authorities_open(c, old == NULL ? NULL : &old->authorities, &set.authorities, notes, errors) != RC_OK)
		rc = RC_SYNTAX;
	if (rc != RC_OK)
		certificates_free(&set);
	else
		*ret_set = set;
	return rc;
}

/* --- to the rooms --- */

static void
send_file(struct child *c, const struct certificate *cert)
{
	bool vault = c->role == ROLE_VAULT;
	struct m_file m = { c->master->tls.serial, vault ? FILE_KEY : FILE_CHAIN,
	    vault ? slice_of(cert->id, sizeof cert->id) : slice_str(cert->title), slice_str(vault ? cert->key : cert->chain) };
	uint8_t space[8192];
	struct wr w = { space, 0, sizeof space, false };
	int copy = fcntl(vault ? cert->key_fd : cert->chain_fd, F_DUPFD_CLOEXEC, 0);

	if (copy != -1 && m_file_put(&w, &m))
		(void)outbox_put(&c->outbox, M_FILE, 0, slice_of(space, w.n), copy);
	else {
		log_say(LOG_TROUBLE, NULL, F_TEXT("what", "a certificate for a room"), F_TEXT("error", cert->title));
		if (copy != -1)
			(void)close(copy);
	}
}

static bool
is_tls_room(const struct child *c)
{
	return c->kind == CHILD_ROOM && (c->role == ROLE_VAULT || c->role == ROLE_SMTPD);
}

void
certificates_send_first(struct child *c)
{
	if (!is_tls_room(c))
		return;
	for (size_t i = 0; i < c->master->tls.now.n; i++)
		send_file(c, c->master->tls.now.v[i].in_use);
	c->certificates = c->master->tls.serial;
}

static void
send_set(struct child *c)
{
	struct m_certificates m = { c->master->tls.serial };
	uint8_t space[16];
	struct wr w = { space, 0, sizeof space, false };

	if (c->certificates == m.serial || !child_running(c) || c->state == CHILD_STOPPING)
		return;
	certificates_send_first(c);
	child_send_authorities(c);
	(void)m_certificates_put(&w, &m);
	(void)outbox_put(&c->outbox, M_CERTIFICATES, 0, slice_of(space, w.n), -1);
}

static void
send_to_all(struct master *m, enum role role)
{
	for (struct child *c = m->children; c != NULL; c = c->next)
		if (c->role == role && is_tls_room(c))
			send_set(c);
}

static void
vault_has(struct master *m, uint32_t serial)
{
	m->tls.vault_has = serial;
	if (serial == m->tls.serial)
		send_to_all(m, ROLE_SMTPD);
}

void
certificates_ready(struct child *c)
{
	if (c->kind == CHILD_ROOM && c->role == ROLE_VAULT)
		vault_has(c->master, c->certificates);
}

const char *
certificates_on_taken(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct child *c = ctx;
	struct m_certificates_taken m;

	(void)p, (void)handle, (void)fd;
	if (!m_certificates_taken_get(body, &m))
		return "malformed M_CERTIFICATES_TAKEN";
	if (m.status != RC_OK)
		log_say(LOG_TROUBLE, NULL, F_TEXT("what", "certificates were not taken"), F_TEXT("error", role_program(c->role)));
	else if (c->role == ROLE_VAULT)
		vault_has(c->master, m.serial);
	return NULL;
}

/* --- a new set --- */

static void
log_loaded(const struct certificate *c)
{
	char until[32];
	struct tm tm;

	if (gmtime_r(&c->not_after, &tm) == NULL || strftime(until, sizeof until, "%Y-%m-%d", &tm) == 0)
		until[0] = '\0';
	log_say(LOG_CERTIFICATE_LOADED, NULL, F_TEXT("certificate", c->title), F_TEXT("names", c->names), F_TEXT("until", until),
	    F_TEXT("file", c->chain));
}

/* Once a day. */
static void
warn_of_time(struct kept *k)
{
	time_t now = time(NULL), today = now / DAY;
	struct buf what = BUF_INIT(256);
	char until[32], left[16];
	struct tm tm;

	if (certificate_state(k->in_use, now) == CERTIFICATE_VALID || k->day_warned == today)
		return;
	k->day_warned = today;
	if (gmtime_r(&k->in_use->not_after, &tm) == NULL || strftime(until, sizeof until, "%Y-%m-%d", &tm) == 0)
		until[0] = '\0';
	(void)snprintf(left, sizeof left, "%d", certificate_days(k->in_use, now));
	certificate_put_state(k->in_use, now, &what);
	log_say(LOG_CERTIFICATE_EXPIRES, NULL, F_TEXT("certificate", k->in_use->title), F_TEXT("until", until),
	    F_TEXT("days", left),
	    F_TEXT("file", k->in_use->chain), F_TEXT("what", buf_cstr(&what) == NULL ? "?" : buf_cstr(&what)));
	buf_free(&what);
}

/* smtpd shows what is valid before what is not, and looks at that when a set comes. */
static bool
state_changed(struct kept *k)
{
	enum certificate_state before = k->state;

	k->state = certificate_state(k->in_use, time(NULL));
	return certificate_is_good(before) != certificate_is_good(k->state);
}

static void
announce(struct master *m)
{
	m->tls.serial++;
	send_to_all(m, ROLE_VAULT);
}

static bool
same_certificates(const struct certificates *a, const struct certificates *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		const struct certificate *x = a->v[i].in_use, *y = b->v[i].in_use;

		if (strcmp(x->title, y->title) != 0 || strcmp(x->fingerprint, y->fingerprint) != 0 ||
		    strcmp(x->names, y->names) != 0 || x->n_chain != y->n_chain || !file_looks_equal(x->look, y->look))
			return false;
	}
	return true;
}

void
certificates_use_next(struct master *m)
{
	struct certificates old = m->tls.now;
	bool same;

	if (!m->tls.has_next)
		return;
	m->tls.now = m->tls.next;
	m->tls.has_next = false;
	m->tls.next = (struct certificates){ 0 };
	same = same_certificates(&old, &m->tls.now);
	for (size_t i = 0; i < m->tls.now.n && !same; i++) {
		const struct kept *before = find(&old, m->tls.now.v[i].in_use->title);

		if (before == NULL || before->in_use != m->tls.now.v[i].in_use)
			log_loaded(m->tls.now.v[i].in_use);
	}
	certificates_free(&old);
	if (!same || m->tls.serial == 0)
		announce(m);
}

void
certificates_drop_next(struct master *m)
{
	if (m->tls.has_next)
		certificates_free(&m->tls.next);
	m->tls.has_next = false;
}

const struct authority *
certificates_authority(const struct master *m, const char *listener)
{
	const struct authority *a = m->tls.has_next ? authorities_find(&m->tls.next.authorities, listener) : NULL;

	return a != NULL ? a : authorities_find(&m->tls.now.authorities, listener);
}

/* --- files that change --- */

/* The section that it came from, as the configuration in use has it. */
static const struct conf_certificate *
section_of(const struct master *m, const char *title)
{
	const struct conf *c = m->source.conf;

	for (size_t i = 0; i < c->n_certificates; i++)
		if (strcmp(c->certificates[i].title, title) == 0)
			return &c->certificates[i];
	return NULL;
}

static bool
renew(struct master *m, struct kept *k)
{
	const struct conf_certificate *conf = section_of(m, k->in_use->title);
	struct buf why = BUF_INIT(WHY_MAX);
	struct certificate *fresh;
	const char *text;
	bool ok;

	memcpy(k->tried, k->seen, sizeof k->tried);
	k->ripe = 0;
	if (conf == NULL)
		return false;
	ok = read_better(conf, k->in_use, &fresh, &k->ripe, &why) == RC_OK;
	free(k->trouble);
	k->trouble = NULL;
	if (ok) {
		certificate_unref(k->in_use);
		k->in_use = fresh;
		k->day_warned = 0;
		log_loaded(fresh);
	} else {
		text = buf_cstr(&why);
		k->trouble = strdup(text == NULL ? "out of memory" : text);
		log_say(LOG_CERTIFICATE_REFUSED, NULL, F_TEXT("certificate", k->in_use->title),
		    F_TEXT("why", text == NULL ? "?" : text));
	}
	buf_free(&why);
	return ok;
}

/* Two looks that agree: whoever replaces two files does it one after the other. */
static bool
has_settled(struct kept *k, const char *chain, const char *key)
{
	struct file_look look[2] = { 0 };
	bool there = certificate_look(chain, key, look);
	bool ripe = k->ripe != 0 && time(NULL) >= k->ripe;
	bool settled = there && file_looks_equal(look, k->seen) && (ripe || !file_looks_equal(look, k->tried));

	memcpy(k->seen, look, sizeof k->seen);
	return settled;
}

static void
on_timer(struct timer *t, void *ctx)
{
	struct master *m = ctx;
	bool renewed = false;

	for (size_t i = 0; i < m->tls.now.n; i++) {
		struct kept *k = &m->tls.now.v[i];
		const struct conf_certificate *conf = section_of(m, k->in_use->title);

		/* A reload is about to put another set in place. */
		if (conf != NULL && !m->tls.has_next && has_settled(k, conf->chain, conf->key))
			renewed |= renew(m, k);
		renewed |= !m->tls.has_next && state_changed(k);
		warn_of_time(k);
	}
	if (!m->tls.has_next)
		renewed |= authorities_renew(&m->tls.now.authorities);
	if (renewed)
		announce(m);
	timer_start(t, m->source.conf->vault.check_interval);
}

void
certificates_start(struct master *m)
{
	timer_setup(&m->tls.timer, m->loop, on_timer, m);
	on_timer(&m->tls.timer, m);
}

void
certificates_stop(struct master *m)
{
	timer_cancel(&m->tls.timer);
	certificates_drop_next(m);
	certificates_free(&m->tls.now);
	buf_free(&m->tls.notes);
}

/* --- tls show --- */

static void
key_time(struct json *j, const char *key, time_t t)
{
	char text[32];
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL || strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		text[0] = '\0';
	json_key_text(j, key, text);
}

static void
show_one(struct child *control, uint32_t handle, const struct kept *k)
{
	const struct certificate *c = k->in_use;
	struct buf b = BUF_INIT(ROW_MAX), warning = BUF_INIT(256);
	time_t now = time(NULL);
	struct json j;

	certificate_put_state(c, now, &warning);

	json_init(&j, &b);
	json_object(&j);
	json_key_text(&j, "certificate", c->title);
	json_key_text(&j, "names", c->names);
	json_key_text(&j, "type", c->type);
	json_key_u64(&j, "bits", c->bits);
	json_key_text(&j, "subject", c->subject);
	json_key_text(&j, "issuer", c->issuer);
	key_time(&j, "not_before", c->not_before);
	key_time(&j, "not_after", c->not_after);
	json_key_i64(&j, "days", certificate_days(c, now));
	json_key_text(&j, "state", certificate_state_name(certificate_state(c, now)));
	json_key_u64(&j, "chain_length", c->n_chain);
	json_key_text(&j, "fingerprint", c->fingerprint);
	json_key_text(&j, "key_id", c->key_id);
	json_key_text(&j, "file", c->chain);
	key_time(&j, "since", c->since);
	json_key_text(&j, "warning", buf_cstr(&warning) == NULL ? "" : buf_cstr(&warning));
	json_key_text(&j, "trouble", k->trouble == NULL ? "" : k->trouble);
	json_end(&j);
	if (json_ok(&j))
		admin_row(control, handle, &b);
	buf_free(&b);
	buf_free(&warning);
}

static void
show_authority(struct child *control, uint32_t handle, const struct authority *a)
{
	struct buf b = BUF_INIT(ROW_MAX);
	struct json j;

	json_init(&j, &b);
	json_object(&j);
	json_key_text(&j, "client_ca", a->title);
	json_key_text(&j, "names", a->subjects);
	json_key_u64(&j, "certificates", a->n);
	key_time(&j, "not_after", a->not_after);
	json_key_i64(&j, "days", (a->not_after - time(NULL)) / (24 * 60 * 60));
	json_key_text(&j, "file", a->path);
	key_time(&j, "since", a->since);
	json_key_text(&j, "trouble", a->trouble == NULL ? "" : a->trouble);
	json_end(&j);
	if (json_ok(&j))
		admin_row(control, handle, &b);
	buf_free(&b);
}

void
certificates_show(struct child *control, uint32_t handle)
{
	const struct certificates *set = &control->master->tls.now;

	for (size_t i = 0; i < set->n; i++)
		show_one(control, handle, &set->v[i]);
	for (size_t i = 0; i < set->authorities.n; i++)
		show_authority(control, handle, &set->authorities.v[i]);
	admin_end(control, handle, RC_OK, "");
}
