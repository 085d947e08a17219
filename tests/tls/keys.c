/* tests/tls/keys.c -- see keys.h. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/tls/keys.h"

#include <openssl/pem.h>
#include <sys/mman.h>
#include <unistd.h>

EVP_PKEY *
test_make_key(const char *kind)
{
	EVP_PKEY *key = strcmp(kind, "RSA") == 0 ? EVP_RSA_gen(2048) : strcmp(kind, "ED25519") == 0 ?
	    EVP_PKEY_Q_keygen(NULL, NULL, "ED25519") : EVP_EC_gen(kind);

	assert_non_null(key);
	return key;
}

X509 *
test_make_certificate(EVP_PKEY *key, const char *name)
{
	X509 *x = X509_new();

	assert_non_null(x);
	assert_int_equal(X509_set_version(x, 2), 1);
	assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(x), 1), 1);
	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(x), -60));
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(x), 86400));
	assert_int_equal(X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)name, -1,
	    -1, 0), 1);
	assert_int_equal(X509_set_issuer_name(x, X509_get_subject_name(x)), 1);
	assert_int_equal(X509_set_pubkey(x, key), 1);
	assert_true(X509_sign(x, key, EVP_PKEY_is_a(key, "ED25519") ? NULL : EVP_sha256()) > 0);
	return x;
}

void
test_key_id(EVP_PKEY *key, uint8_t id[IDENTITY_KEY_ID])
{
	unsigned char *der = NULL;
	int n = i2d_PUBKEY(key, &der);

	assert_true(n > 0);
	assert_int_equal(EVP_Digest(der, (size_t)n, id, NULL, EVP_sha256(), NULL), 1);
	OPENSSL_free(der);
}

int
test_memory_file(struct slice s)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_int_not_equal(fd, -1);
	assert_int_equal(write(fd, s.p, s.n), (ssize_t)s.n);
	return fd;
}

int
test_key_file(EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;
	long n;
	int fd;

	assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
	n = BIO_get_mem_data(bio, &text);
	fd = test_memory_file(slice_of(text, (size_t)n));
	BIO_free(bio);
	return fd;
}
