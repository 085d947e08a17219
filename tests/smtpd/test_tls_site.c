/* tests/smtpd/test_tls_site.c -- which certificates are shown for a name, when some have expired or are not valid yet. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "smtpd/tls_site.h"
#include "tests/smtpd/tls_fixture.h"

#define NAMES(...) ((const char *const[]){ __VA_ARGS__, NULL })

enum { DAY = 24 * 60 * 60 };

/* Valid from and until, in seconds from now. */
static struct tls_made
made(const char *type, const char *name, long from, long until)
{
	struct tls_made m = tls_make(type, NAMES(name), NULL);

	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(m.certificate), from));
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(m.certificate), until));
	assert_true(X509_sign(m.certificate, m.key, EVP_sha256()) > 0);
	return m;
}

static enum rc
no_setup(SSL_CTX *ctx, void *arg, struct buf *why)
{
	(void)ctx, (void)arg, (void)why;
	return RC_OK;
}

static bool
shows(SSL_CTX *ctx, const struct tls_made *m)
{
	assert_non_null(ctx);
	if (SSL_CTX_set_current_cert(ctx, SSL_CERT_SET_FIRST) != 1)
		return false;
	do {
		if (SSL_CTX_get0_certificate(ctx) == m->certificate)
			return true;
	} while (SSL_CTX_set_current_cert(ctx, SSL_CERT_SET_NEXT) == 1);
	return false;
}

static struct tls_sites *
sites_of(struct tls_identities *ids)
{
	struct buf why = BUF_INIT(1024);
	struct tls_sites *sites = NULL;

	assert_int_equal(tls_sites_new(ids, no_setup, NULL, &sites, &why), RC_OK);
	buf_free(&why);
	return sites;
}

/* An expired one stands first, and one of another kind that is not valid yet: clients could choose either. */
static void
test_what_is_valid_comes_alone(void **state)
{
	struct tls_made old = made("EC", "mx.example.org", -30 * DAY, -1), good = made("EC", "mx.example.org", -DAY, DAY);
	struct tls_made early = made("RSA", "mx.example.org", 3600, DAY), wild = made("RSA", "*.example.org", -DAY, DAY);
	struct tls_identities *ids = tls_identities_new();
	struct tls_sites *sites;

	(void)state;
	tls_identities_add(ids, &old, NAMES("mx.example.org", "old.example.org", "only.example.net"));
	tls_identities_add(ids, &early, NAMES("mx.example.org"));
	tls_identities_add(ids, &good, NAMES("mx.example.org"));
	tls_identities_add(ids, &wild, NAMES("*.example.org"));
	sites = sites_of(ids);
	assert_true(shows(tls_sites_find(sites, S("mx.example.org")), &good));
	assert_false(shows(tls_sites_find(sites, S("mx.example.org")), &old));
	assert_false(shows(tls_sites_find(sites, S("mx.example.org")), &early));
	assert_true(shows(tls_sites_find(sites, S("mx.example.org")), &wild));	/* valid, and of a kind of its own */
	/* A wildcard that is valid goes before the name itself in one that is not. */
	assert_true(shows(tls_sites_find(sites, S("old.example.org")), &wild));
	assert_false(shows(tls_sites_find(sites, S("old.example.org")), &old));
	/* Better an expired one than none: most servers do not look. */
	assert_true(shows(tls_sites_find(sites, S("only.example.net")), &old));
	/* Clients that name no host get what is shown for the first certificate's name. */
	assert_true(shows(tls_sites_first(sites), &good));
	assert_false(shows(tls_sites_first(sites), &old));
	tls_sites_free(sites);
	identities_unref(ids);
	tls_made_free(&old);
	tls_made_free(&good);
	tls_made_free(&early);
	tls_made_free(&wild);
}

static void
test_nothing_is_valid(void **state)
{
	struct tls_made old = made("EC", "mx.example.org", -30 * DAY, -1), early = made("RSA", "mx.example.org", 3600, DAY);
	struct tls_identities *ids = tls_identities_new();
	struct tls_sites *sites;

	(void)state;
	tls_identities_add(ids, &old, NAMES("mx.example.org"));
	tls_identities_add(ids, &early, NAMES("mx.example.org"));
	sites = sites_of(ids);
	assert_true(shows(tls_sites_first(sites), &old));
	assert_true(shows(tls_sites_first(sites), &early));
	assert_ptr_equal(tls_sites_find(sites, S("mx.example.org")), tls_sites_first(sites));
	tls_sites_free(sites);
	identities_unref(ids);
	tls_made_free(&old);
	tls_made_free(&early);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_valid_comes_alone),
		cmocka_unit_test(test_nothing_is_valid),
	};

	return cmocka_run_group_tests_name("tls_site", tests, NULL, NULL);
}
