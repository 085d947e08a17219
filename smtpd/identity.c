/* smtpd/identity.c -- see identity.h. */
#include "smtpd/identity.h"

#include "common/file.h"
#include "common/identity.h"
#include "common/log.h"
#include "common/text.h"
#include "smtpd/smtpd.h"

#include <stdlib.h>
#include <unistd.h>

static void
identity_free(struct tls_identity *id)
{
	free(id->title);
	X509_free(id->leaf);
	sk_X509_pop_free(id->chain, X509_free);
	EVP_PKEY_free(id->key);
	for (size_t i = 0; i < id->n_names; i++)
		free(id->names[i]);
	free(id->names);
}

struct tls_identities *
identities_ref(struct tls_identities *set)
{
	set->refs++;
	return set;
}

void
identities_unref(struct tls_identities *set)
{
	if (set == NULL || --set->refs > 0)
		return;
	for (size_t i = 0; i < set->n; i++)
		identity_free(&set->v[i]);
	free(set->v);
	free(set);
}

/* --- reading one --- */

static bool
read_names(struct rd *r, size_t n, struct tls_identity *id)
{
	id->names = calloc(n == 0 ? 1 : n, sizeof *id->names);
	if (id->names == NULL)
		return false;
	for (size_t i = 0; i < n; i++) {
		struct slice name = rd_str(r);

		if (r->bad || (id->names[i] = text_copy(name)) == NULL)
			return false;
		id->n_names++;
	}
	return true;
}

static X509 *
read_certificate(struct rd *r)
{
	struct slice der = rd_str(r);
	const unsigned char *p = der.p;
	X509 *x = r->bad || der.n > IDENTITY_BYTES_MAX ? NULL : d2i_X509(NULL, &p, (long)der.n);

	if (x != NULL && p != der.p + der.n) {
		X509_free(x);
		x = NULL;
	}
	return x;
}

static bool
read_chain(struct rd *r, size_t n, struct tls_identity *id)
{
	id->chain = sk_X509_new_null();
	id->leaf = read_certificate(r);
	if (id->chain == NULL || id->leaf == NULL)
		return false;
	for (size_t i = 1; i < n; i++) {
		X509 *x = read_certificate(r);

		if (x == NULL || sk_X509_push(id->chain, x) == 0) {
			X509_free(x);
			return false;
		}
	}
	return rd_end(r);
}

static bool
identity_parse(struct vault_line *v, struct slice title, struct slice bytes, struct tls_identity *ret_id)
{
	struct tls_identity id = { .title = text_copy(title) };
	struct rd r = { bytes, false };
	struct identity_head head;
	EVP_PKEY *public;

	if (id.title != NULL && identity_get_head(&r, &head) && read_names(&r, head.n_names, &id) &&
	    read_chain(&r, head.n_certificates, &id) && (public = X509_get0_pubkey(id.leaf)) != NULL &&
	    (id.key = vault_key(v, public, head.key_id)) != NULL) {
		*ret_id = id;
		return true;
	}
	identity_free(&id);
	return false;
}

/* --- sets --- */

static struct tls_identities *
arriving(struct smtpd *smtpd, uint32_t serial)
{
	struct tls_identities *set = smtpd->identities_next;

	/* One that was never finished: master has started over. */
	if (set != NULL && set->serial != serial) {
		identities_unref(set);
		set = NULL;
	}
	if (set == NULL && (set = calloc(1, sizeof *set)) != NULL) {
		set->refs = 1;
		set->serial = serial;
	}
	smtpd->identities_next = set;
	return set;
}

void
identity_file(struct smtpd *smtpd, const struct m_file *m, int fd)
{
	struct tls_identities *set = arriving(smtpd, m->generation);
	struct buf bytes = BUF_INIT(IDENTITY_BYTES_MAX);
	struct tls_identity *v;

	v = set == NULL || set->n == IDENTITIES_MAX ? NULL : reallocarray(set->v, set->n + 1, sizeof *v);
	if (v != NULL) {
		set->v = v;
		if (file_read_buf(fd, &bytes) == RC_OK && identity_parse(&smtpd->vault, m->name, buf_slice(&bytes), &v[set->n]))
			set->n++;
		else
			v = NULL;
	}
	if (v == NULL)
		log_say(LOG_CERTIFICATE_REFUSED, NULL, F_STR("certificate", m->name),
		    F_TEXT("why", "smtpd cannot read what master made of it"));
	buf_free(&bytes);
	(void)close(fd);
}

const char *
identities_adopt(struct smtpd *smtpd, uint32_t serial)
{
	struct tls_identities *set = arriving(smtpd, serial);

	if (set == NULL)
		return "out of memory";
	smtpd->identities_next = NULL;
	identities_unref(smtpd->identities);
	smtpd->identities = set;
	if (smtpd->identities_changed != NULL)
		smtpd->identities_changed(smtpd);
	return NULL;
}

void
identities_free(struct smtpd *smtpd)
{
	identities_unref(smtpd->identities);
	identities_unref(smtpd->identities_next);
	smtpd->identities = smtpd->identities_next = NULL;
}
