/* smtpd/tls_site.c -- see tls_site.h. */
#include "smtpd/tls_site.h"

#include <openssl/err.h>
#include <stdlib.h>

/* The kinds of keys that a context has room for, each once. */
enum kind { KIND_RSA, KIND_EC, KIND_ED25519, KIND_COUNT, KIND_OTHER };

struct site {
	SSL_CTX *ctx;
	const struct tls_identity *shows[KIND_COUNT];	/* NULL: none of that kind */
};

struct name {
	const char *text;		/* borrowed from the identities */
	size_t site;
};

struct tls_sites {
	struct tls_identities *ids;	/* counted */
	struct site *v;			/* the first one is for clients that name no host */
	size_t n;
	struct name *names;		/* in order, each once */
	size_t n_names;
};

static enum kind
kind_of(const struct tls_identity *id)
{
	switch (EVP_PKEY_get_base_id(X509_get0_pubkey(id->leaf))) {
	case EVP_PKEY_RSA:
		return KIND_RSA;
	case EVP_PKEY_EC:
		return KIND_EC;
	case EVP_PKEY_ED25519:
		return KIND_ED25519;
	default:
		return KIND_OTHER;
	}
}

/* --- names --- */

/* What stands behind the first label, with its dot; empty: nothing. */
static struct slice
below_first_label(struct slice name)
{
	return slice_from(name, slice_find(name, '.'));
}

static bool
is_wildcard_for(const char *pattern, struct slice name)
{
	struct slice p = slice_str(pattern);

	return slice_starts(p, S("*.")) && name.n > 0 && name.p[0] != '*' && slice_eq(slice_from(p, 1), below_first_label(name));
}

static bool
has_name(const struct tls_identity *id, struct slice name, bool by_wildcard)
{
	for (size_t i = 0; i < id->n_names; i++)
		if (by_wildcard ? is_wildcard_for(id->names[i], name) : slice_eq(slice_str(id->names[i]), name))
			return true;
	return false;
}

/* By the clock of this moment: the master sends the set anew when that changes. */
static bool
is_valid(const struct tls_identity *id)
{
	return X509_cmp_current_time(X509_get0_notBefore(id->leaf)) < 0 &&
	    X509_cmp_current_time(X509_get0_notAfter(id->leaf)) > 0;
}

static bool
is_empty(const struct site *site)
{
	for (int k = 0; k < KIND_COUNT; k++)
		if (site->shows[k] != NULL)
			return false;
	return true;
}

/* One identity for each kind of key: an exact name first, then wildcards. Clients choose by the kind of key and not by the
 * date: what is not valid comes in only where nothing valid of any kind is. */
static void
gather(const struct tls_sites *sites, struct slice name, struct site *site)
{
	for (int valid = 1; valid >= 0 && is_empty(site); valid--)
		for (int by_wildcard = 0; by_wildcard <= 1; by_wildcard++)
			for (size_t i = 0; i < sites->ids->n; i++) {
				const struct tls_identity *id = &sites->ids->v[i];
				enum kind kind = kind_of(id);

				if (kind < KIND_COUNT && site->shows[kind] == NULL && is_valid(id) == (valid != 0) &&
				    has_name(id, name, by_wildcard != 0))
					site->shows[kind] = id;
			}
}

/* --- contexts --- */

static enum rc
add_identity(SSL_CTX *ctx, const struct tls_identity *id, struct buf *why)
{
	if (SSL_CTX_use_cert_and_key(ctx, id->leaf, id->key, id->chain, 1) == 1)
		return RC_OK;
	(void)buf_printf(why, "certificate \"%s\" cannot be used: %s", id->title, ERR_reason_error_string(ERR_peek_error()));
	ERR_clear_error();
	return RC_SYNTAX;
}

static enum rc
context_new(struct site *site, tls_site_fn *setup, void *arg, struct buf *why)
{
	enum rc rc;

	site->ctx = SSL_CTX_new(TLS_server_method());
	rc = site->ctx == NULL ? RC_NOMEM : setup(site->ctx, arg, why);
	for (int k = 0; k < KIND_COUNT && rc == RC_OK; k++)
		if (site->shows[k] != NULL)
			rc = add_identity(site->ctx, site->shows[k], why);
	if (rc != RC_OK) {
		SSL_CTX_free(site->ctx);
		site->ctx = NULL;
	}
	return rc;
}

/* The site that shows these, which may be there already. */
static enum rc
find_or_add(struct tls_sites *sites, struct site *wanted, tls_site_fn *setup, void *arg, size_t *ret_at, struct buf *why)
{
	struct site *grown;
	enum rc rc;

	for (size_t i = 0; i < sites->n; i++)
		if (memcmp(sites->v[i].shows, wanted->shows, sizeof wanted->shows) == 0) {
			*ret_at = i;
			return RC_OK;
		}
	grown = reallocarray(sites->v, sites->n + 1, sizeof *grown);
	if (grown == NULL)
		return RC_NOMEM;
	sites->v = grown;
	rc = context_new(wanted, setup, arg, why);
	if (rc == RC_OK) {
		*ret_at = sites->n;
		sites->v[sites->n++] = *wanted;
	}
	return rc;
}

/* --- the whole --- */

static int
by_text(const void *a, const void *b)
{
	const struct name *x = a, *y = b;

	return strcmp(x->text, y->text);
}

static enum rc
collect_names(struct tls_sites *sites)
{
	size_t n = 0, kept = 0;

	for (size_t i = 0; i < sites->ids->n; i++)
		n += sites->ids->v[i].n_names;
	sites->names = calloc(n + 1, sizeof *sites->names);
	if (sites->names == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < sites->ids->n; i++)
		for (size_t k = 0; k < sites->ids->v[i].n_names; k++)
			sites->names[sites->n_names++].text = sites->ids->v[i].names[k];
	qsort(sites->names, sites->n_names, sizeof *sites->names, by_text);
	for (size_t i = 0; i < sites->n_names; i++)
		if (kept == 0 || strcmp(sites->names[i].text, sites->names[kept - 1].text) != 0)
			sites->names[kept++] = sites->names[i];
	sites->n_names = kept;
	return RC_OK;
}

/* The first of the configuration, and beside it those of other kinds that have its first name, too. */
static enum rc
add_first(struct tls_sites *sites, tls_site_fn *setup, void *arg, struct buf *why)
{
	const struct tls_identity *first = &sites->ids->v[0];
	struct site site = { 0 };
	size_t at;

	if (kind_of(first) == KIND_OTHER) {
		(void)buf_printf(why, "certificate \"%s\" has a kind of key that is not used in TLS here", first->title);
		return RC_UNSUPPORTED;
	}
	if (first->n_names > 0)
		gather(sites, slice_str(first->names[0]), &site);
	if (is_valid(first) || is_empty(&site))
		site.shows[kind_of(first)] = first;
	return find_or_add(sites, &site, setup, arg, &at, why);
}

enum rc
tls_sites_new(struct tls_identities *ids, tls_site_fn *setup, void *arg, struct tls_sites **ret_sites, struct buf *why)
{
	struct tls_sites *sites = calloc(1, sizeof *sites);
	enum rc rc;

	if (sites == NULL)
		return RC_NOMEM;
	sites->ids = identities_ref(ids);
	rc = add_first(sites, setup, arg, why);
	if (rc == RC_OK)
		rc = collect_names(sites);
	for (size_t i = 0; i < sites->n_names && rc == RC_OK; i++) {
		struct site site = { 0 };

		gather(sites, slice_str(sites->names[i].text), &site);
		/* A key of a kind that nobody knows: whoever asks for that name gets the first certificate. */
		if (is_empty(&site))
			continue;
		rc = find_or_add(sites, &site, setup, arg, &sites->names[i].site, why);
	}
	if (rc == RC_OK)
		*ret_sites = sites;
	else
		tls_sites_free(sites);
	return rc;
}

void
tls_sites_free(struct tls_sites *sites)
{
	if (sites == NULL)
		return;
	for (size_t i = 0; i < sites->n; i++)
		SSL_CTX_free(sites->v[i].ctx);
	free(sites->v);
	free(sites->names);
	identities_unref(sites->ids);
	free(sites);
}

SSL_CTX *
tls_sites_first(const struct tls_sites *sites)
{
	return sites->v[0].ctx;
}

static SSL_CTX *
find_exact(const struct tls_sites *sites, const char *text)
{
	const struct name key = { text, 0 };
	const struct name *found = bsearch(&key, sites->names, sites->n_names, sizeof *sites->names, by_text);

	return found == NULL ? NULL : sites->v[found->site].ctx;
}

SSL_CTX *
tls_sites_find(const struct tls_sites *sites, struct slice name)
{
	struct slice rest = below_first_label(name);
	char text[TLS_SITE_NAME_MAX + 2];
	SSL_CTX *found;

	if (name.n == 0 || name.n > TLS_SITE_NAME_MAX)
		return NULL;
	memcpy(text, name.p, name.n);
	text[name.n] = '\0';
	found = find_exact(sites, text);
	if (found != NULL || rest.n < 2)
		return found;
	text[0] = '*';
	memcpy(text + 1, rest.p, rest.n);
	text[1 + rest.n] = '\0';
	return find_exact(sites, text);
}
