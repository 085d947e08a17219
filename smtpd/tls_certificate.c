/* smtpd/tls_certificate.c -- see tls_certificate.h. */
#include "smtpd/tls_certificate.h"

#include "common/wire/chars.h"

#include <openssl/evp.h>
#include <openssl/x509v3.h>

_Static_assert(TLS_ENDPOINT_MAX >= EVP_MAX_MD_SIZE, "any digest");

/* What is no printable ASCII becomes `?`: it goes into the log, a header field and rules. */
static void
take_text(char to[TLS_NAME_MAX + 1], const ASN1_STRING *s)
{
	unsigned char *utf8 = NULL;
	int n = s == NULL ? 0 : ASN1_STRING_to_UTF8(&utf8, s);
	size_t at = 0;

	for (int i = 0; i < n && at < TLS_NAME_MAX; i++)
		to[at++] = (char)(char_is_print(utf8[i]) ? utf8[i] : '?');
	to[at] = '\0';
	OPENSSL_free(utf8);
}

/* The last one of its kind is the most specific. False: there is none. */
static bool
take_part(char to[TLS_NAME_MAX + 1], const X509_NAME *name, int nid)
{
	int at = -1, last = -1;

	while ((at = X509_NAME_get_index_by_NID(name, nid, at)) >= 0)
		last = at;
	if (last < 0)
		return false;
	take_text(to, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, last)));
	return true;
}

static void
take_address(const X509 *certificate, char to[TLS_NAME_MAX + 1])
{
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type != GEN_EMAIL)
			continue;
		take_text(to, name->d.rfc822Name);
		break;
	}
	GENERAL_NAMES_free(names);
}

static bool
digest_key(const X509 *certificate, uint8_t digest[TLS_DIGEST])
{
	unsigned char *der = NULL;
	int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
	bool done = n > 0 && EVP_Digest(der, (size_t)n, digest, NULL, EVP_sha256(), NULL) == 1;

	OPENSSL_free(der);
	return done;
}

void
tls_fingerprint_format(const uint8_t digest[TLS_DIGEST], char text[TLS_FINGERPRINT_TEXT + 1])
{
	static const char hex[] = "0123456789abcdef";

	for (size_t i = 0; i < TLS_DIGEST; i++) {
		text[2 * i] = hex[digest[i] >> 4];
		text[2 * i + 1] = hex[digest[i] & 15];
	}
	text[TLS_FINGERPRINT_TEXT] = '\0';
}

bool
tls_certificate_read(X509 *certificate, struct tls_certificate *ret_c)
{
	const X509_NAME *issuer = X509_get_issuer_name(certificate);

	*ret_c = (struct tls_certificate){ 0 };
	if (X509_digest(certificate, EVP_sha256(), ret_c->fingerprint, NULL) != 1 ||
	    !digest_key(certificate, ret_c->key_fingerprint))
		return false;
	(void)take_part(ret_c->common_name, X509_get_subject_name(certificate), NID_commonName);
	if (!take_part(ret_c->issuer, issuer, NID_commonName))
		(void)take_part(ret_c->issuer, issuer, NID_organizationName);
	take_address(certificate, ret_c->address);
	return true;
}

size_t
tls_certificate_end_point(const X509 *certificate, uint8_t digest[TLS_ENDPOINT_MAX])
{
	int nid = NID_undef;
	const EVP_MD *md;
	unsigned n = 0;

	if (X509_get_signature_info((X509 *)(uintptr_t)certificate, &nid, NULL, NULL, NULL) != 1 || nid == NID_undef)
		return 0;
	md = nid == NID_md5 || nid == NID_sha1 ? EVP_sha256() : EVP_get_digestbynid(nid);
	if (md == NULL || X509_digest(certificate, md, digest, &n) != 1)
		return 0;
	return n;
}
