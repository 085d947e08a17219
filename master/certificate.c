/* master/certificate.c -- see certificate.h. */
#include "master/certificate.h"

#include "common/file.h"
#include "common/wire/domain.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	FILE_MAX = 256 * 1024,		/* a chain of ten certificates has 20 KB */
	RSA_BITS_MIN = 2048,		/* RFC 9325 4.5 */
	RSA_BITS_MAX = 8192,		/* VAULT_SIGNATURE_MAX; each signature would take a tenth of a second */
	DAY = 24 * 60 * 60,
};

/* What has been read so far. */
struct reading {
	const struct conf_certificate *conf;
	struct certificate *c;
	struct buf *why;
	X509 *leaf;
	STACK_OF(X509) *above;
	EVP_PKEY *key;
	struct buf names;		/* a run of strings, see common/identity.h */
	unsigned n_names;
};

static enum rc __attribute__((format(printf, 3, 4)))
complain(struct reading *r, const char *option, const char *format, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	if (r->conf->conf_file != NULL)
		(void)buf_printf(r->why, "%s:%u: ", r->conf->conf_file, r->conf->conf_line);
	(void)buf_printf(r->why, "certificate \"%s\": %s%s%s", r->conf->title, option, *option == '\0' ? "" : ": ", text);
	return RC_SYNTAX;
}

/* --- files --- */

static void
look_from(const struct stat *st, struct file_look *ret_look)
{
	*ret_look = (struct file_look){ st->st_dev, st->st_ino, st->st_size, st->st_ctim, st->st_mtim };
}

bool
certificate_look(const char *chain, const char *key, struct file_look ret_look[2])
{
	struct stat st[2];

	if (stat(chain, &st[0]) == -1 || stat(key, &st[1]) == -1)
		return false;
	look_from(&st[0], &ret_look[0]);
	look_from(&st[1], &ret_look[1]);
	return true;
}

static bool
same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool
file_looks_equal(const struct file_look a[2], const struct file_look b[2])
{
	for (unsigned i = 0; i < 2; i++)
		if (a[i].dev != b[i].dev || a[i].ino != b[i].ino || a[i].size != b[i].size ||
		    !same_time(a[i].changed, b[i].changed) || !same_time(a[i].modified, b[i].modified))
			return false;
	return true;
}

static int
open_file(struct reading *r, const char *option, const char *path, struct stat *ret_st)
{
	int fd;

	if (*path != '/') {
		(void)complain(r, option, "%s", *path == '\0' ? "is missing; name the PEM file" :
		    "must be a whole path, beginning with /");
		return -1;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd == -1 || fstat(fd, ret_st) == -1 || !S_ISREG(ret_st->st_mode)) {
		(void)complain(r, option, "%s: %s", path, fd == -1 ? strerror(errno) : "is not a regular file");
		if (fd != -1)
			(void)close(fd);
		return -1;
	}
	return fd;
}

/* The whole file as a BIO over *ret_bytes, which is the caller's to wipe and free (FILE_MAX bytes). */
static BIO *
read_file(struct reading *r, const char *option, const char *path, int fd, uint8_t **ret_bytes)
{
	uint8_t *bytes = OPENSSL_malloc(FILE_MAX);
	size_t n;

	*ret_bytes = bytes;
	if (bytes == NULL || file_read(fd, bytes, FILE_MAX, &n) != RC_OK)
		(void)complain(r, option, "%s: %s", path, strerror(errno));
	else if (n == FILE_MAX)
		(void)complain(r, option, "%s: is larger than %d KB; is it the right file?", path, FILE_MAX / 1024);
	else
		return BIO_new_mem_buf(bytes, (int)n);
	return NULL;
}

/* --- the chain --- */

static enum rc
take_chain(struct reading *r, BIO *bio)
{
	const char *path = r->conf->chain;
	X509 *x;

	r->above = sk_X509_new_null();
	if (r->above == NULL)
		return RC_NOMEM;
	while ((x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		if (r->leaf == NULL)
			r->leaf = x;
		else if (sk_X509_num(r->above) + 1 < IDENTITY_CHAIN_MAX && sk_X509_push(r->above, x) > 0)
			continue;
		else {
			X509_free(x);
			return complain(r, "chain",
			    "%s: has more than %d certificates; leave those out that do not lead to the root", path,
			    IDENTITY_CHAIN_MAX);
		}
	}
	if (r->leaf == NULL)
		return complain(r, "chain", "%s: has no certificate in PEM form (-----BEGIN CERTIFICATE-----)", path);
	if (X509_get0_pubkey(r->leaf) == NULL)
		return complain(r, "chain", "%s: the first certificate has no key that OpenSSL knows", path);
	for (int i = 0; i < sk_X509_num(r->above); i++)
		if (X509_check_issued(sk_X509_value(r->above, i), i == 0 ? r->leaf : sk_X509_value(r->above, i - 1)) != X509_V_OK)
			return complain(r, "chain",
			    "%s: certificate %d has not signed the one before it; put the server's first, then"
			    " each signer's", path, i + 2);
	return RC_OK;
}

static enum rc
read_chain(struct reading *r)
{
	struct stat st;
	uint8_t *bytes;
	int fd = open_file(r, "chain", r->conf->chain, &st);
	BIO *bio = fd == -1 ? NULL : read_file(r, "chain", r->conf->chain, fd, &bytes);
	enum rc rc = RC_IO;

	if (bio != NULL) {
		look_from(&st, &r->c->look[0]);
		rc = take_chain(r, bio);
	}
	BIO_free(bio);
	if (fd != -1) {
		OPENSSL_free(bytes);
		(void)close(fd);
	}
	return rc;
}

/* --- the key --- */

/* Never a question on a terminal. */
static int
/* NOLINTNEXTLINE(readability-non-const-parameter): OpenSSL says what it is like */
no_passphrase(char *to, int max, int writing, void *ctx)
{
	bool *asked = ctx;

	(void)to, (void)max, (void)writing;
	*asked = true;
	return -1;
}

static enum rc
check_key(struct reading *r)
{
	unsigned char *der = NULL;
	const char *path = r->conf->key;
	char group[64] = "";
	int n;

	if (X509_check_private_key(r->leaf, r->key) != 1)
		return complain(r, "key", "%s: does not belong to the certificate in %s; name the two that were made together",
		    path, r->conf->chain);
	r->c->bits = (unsigned)EVP_PKEY_get_bits(r->key);
	if (EVP_PKEY_is_a(r->key, "RSA") && (r->c->bits < RSA_BITS_MIN || r->c->bits > RSA_BITS_MAX))
		return complain(r, "key", "%s: an RSA key must have %d to %d bits, and this one has %u (RFC 9325 4.5)", path,
		    RSA_BITS_MIN, RSA_BITS_MAX, r->c->bits);
	if (EVP_PKEY_is_a(r->key, "EC"))
		(void)EVP_PKEY_get_group_name(r->key, group, sizeof group, NULL);
	if (!EVP_PKEY_is_a(r->key, "RSA") && !EVP_PKEY_is_a(r->key, "ED25519") && strcmp(group, "prime256v1") != 0 &&
	    strcmp(group, "secp384r1") != 0 && strcmp(group, "secp521r1") != 0)
		return complain(r, "key", "%s: is of a kind that is not used here; make an RSA key, or an EC key with P-256",
		    path);
	r->c->type = *group == '\0' ? strdup(EVP_PKEY_is_a(r->key, "RSA") ? "RSA" : "ED25519") : NULL;
	if (*group != '\0' && asprintf(&r->c->type, "EC %s", group) == -1)
		r->c->type = NULL;
	n = i2d_PUBKEY(r->key, &der);
	if (r->c->type == NULL || n <= 0 || EVP_Digest(der, (size_t)n, r->c->id, NULL, EVP_sha256(), NULL) != 1)
		return RC_NOMEM;
	OPENSSL_free(der);
	return RC_OK;
}

static enum rc
read_key(struct reading *r)
{
	const char *path = r->conf->key;
	bool asked = false;
	struct stat st;
	uint8_t *bytes;
	BIO *bio;
	int fd = open_file(r, "key", path, &st);

	if (fd == -1)
		return RC_IO;
	r->c->key_fd = fd;
	if ((st.st_mode & S_IRWXO) != 0)
		return complain(r, "key",
		    "%s: everybody on this machine may read or change it; chmod o= %s, and if others have accounts"
		    " here, make a new key", path, path);
	bio = read_file(r, "key", path, fd, &bytes);
	if (bio != NULL) {
		look_from(&st, &r->c->look[1]);
		r->key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &asked);
	}
	BIO_free(bio);
	OPENSSL_clear_free(bytes, FILE_MAX);
	if (bio == NULL)
		return RC_IO;
	if (r->key == NULL && asked)
		return complain(r, "key",
		    "%s: has a passphrase, and nobody is there to type it; write it without: openssl pkey -in %s"
		    " -out NEW", path, path);
	if (r->key == NULL)
		return complain(r, "key", "%s: has no private key in PEM form (-----BEGIN PRIVATE KEY-----)", path);
	return check_key(r);
}

/* --- names --- */

/* A name for SNI: a domain, or *.domain. Others are passed over in a certificate, and refused in the configuration. */
static bool
is_name(struct slice name)
{
	if (slice_starts(name, S("*.")))
		name = slice_from(name, 2);
	return domain_check(name) == RC_OK;
}

static bool
add_name(struct reading *r, struct buf *shown, struct slice name)
{
	struct buf lower = BUF_INIT(DOMAIN_MAX + 2);
	bool ok;

	if (r->n_names == IDENTITY_NAMES_MAX)
		return true;
	ok = domain_lower_put(&lower, name) && identity_put_item(&r->names, buf_slice(&lower)) &&
	    (r->n_names == 0 || buf_put_str(shown, ", ")) && buf_put_slice(shown, buf_slice(&lower));
	r->n_names++;
	buf_free(&lower);
	return ok;
}

static bool
names_of_certificate(struct reading *r, struct buf *shown)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(r->leaf, NID_subject_alt_name, NULL, NULL);
	bool ok = true;

	for (int i = 0; i < sk_GENERAL_NAME_num(all) && ok; i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(all, i);
		struct slice name;

		if (g->type != GEN_DNS)
			continue;
		name = slice_of(ASN1_STRING_get0_data(g->d.dNSName), (size_t)ASN1_STRING_length(g->d.dNSName));
		if (is_name(name))
			ok = add_name(r, shown, name);
	}
	GENERAL_NAMES_free(all);
	return ok;
}

static enum rc
take_names(struct reading *r)
{
	const struct conf_list *given = &r->conf->names;
	struct buf shown = BUF_INIT(IDENTITY_BYTES_MAX);
	const char *text;
	enum rc rc = RC_OK;

	for (size_t i = 0; i < given->n && rc == RC_OK; i++) {
		if (!is_name(slice_str(given->v[i])))
			rc = complain(r, "names", "'%s' is no host name; write mail.example.org, or *.example.org", given->v[i]);
		else if (!add_name(r, &shown, slice_str(given->v[i])))
			rc = RC_NOMEM;
	}
	if (given->n == 0 && !names_of_certificate(r, &shown))
		rc = RC_NOMEM;
	text = buf_cstr(&shown);
	r->c->names = strdup(text == NULL ? "" : text);
	buf_free(&shown);
	return r->c->names == NULL ? RC_NOMEM : rc;
}

/* --- what the rooms and people get --- */

static bool
put_certificate(struct buf *to, X509 *x)
{
	unsigned char *der = NULL;
	int n = i2d_X509(x, &der);
	bool ok = n > 0 && identity_put_item(to, slice_of(der, (size_t)n));

	OPENSSL_free(der);
	return ok;
}

static bool
encode(struct reading *r, struct buf *to)
{
	struct identity_head h = { slice_of(r->c->id, sizeof r->c->id), (uint16_t)r->n_names,
	    (uint16_t)(sk_X509_num(r->above) + 1) };
	bool ok = identity_put_head(to, &h) && buf_put_slice(to, buf_slice(&r->names)) && put_certificate(to, r->leaf);

	for (int i = 0; i < sk_X509_num(r->above) && ok; i++)
		ok = put_certificate(to, sk_X509_value(r->above, i));
	return ok;
}

static enum rc
make_chain_file(struct reading *r)
{
	struct buf run = BUF_INIT(IDENTITY_BYTES_MAX);
	struct slice s;
	int fd = memfd_create("postern-chain", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	bool ok = fd != -1 && encode(r, &run);

	r->c->chain_fd = fd;
	for (s = buf_slice(&run); ok && s.n > 0;) {
		ssize_t n = write(fd, s.p, s.n);

		if (n > 0)
			s = slice_from(s, (size_t)n);
		else if (errno != EINTR)
			ok = false;
	}
	buf_free(&run);
	if (ok && fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != -1)
		return RC_OK;
	return complain(r, "", "cannot be kept: %s", strerror(errno));
}

static char *
name_text(const X509_NAME *name)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL, *copy = NULL;
	long n;

	/* Escaped and in one line, whatever a stranger has signed (RFC 2253). */
	if (bio != NULL && X509_NAME_print_ex(bio, name, 0, XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB) >= 0 &&
	    (n = BIO_get_mem_data(bio, &text)) >= 0)
		copy = strndup(text == NULL ? "" : text, (size_t)n);
	BIO_free(bio);
	return copy;
}

static time_t
time_of(const ASN1_TIME *t)
{
	struct tm tm;

	return ASN1_TIME_to_tm(t, &tm) == 1 ? timegm(&tm) : 0;
}

static void
hex(const uint8_t *from, size_t n, char *to)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		*to++ = digits[from[i] >> 4];
		*to++ = digits[from[i] & 15];
	}
	*to = '\0';
}

static enum rc
describe(struct reading *r)
{
	struct certificate *c = r->c;
	uint8_t print[32];

	c->subject = name_text(X509_get_subject_name(r->leaf));
	c->issuer = name_text(X509_get_issuer_name(r->leaf));
	c->not_before = time_of(X509_get0_notBefore(r->leaf));
	c->not_after = time_of(X509_get0_notAfter(r->leaf));
	c->n_chain = (unsigned)sk_X509_num(r->above) + 1;
	c->since = time(NULL);
	if (c->subject == NULL || c->issuer == NULL || X509_digest(r->leaf, EVP_sha256(), print, NULL) != 1)
		return RC_NOMEM;
	hex(print, sizeof print, c->fingerprint);
	hex(c->id, sizeof c->id, c->key_id);
	return RC_OK;
}

/* --- memory --- */

/* OpenSSL wipes the numbers of a key, but not all that it was parsed from. */
static void
wipe_and_free(void *p, const char *file, int line)
{
	(void)file, (void)line;
	if (p != NULL)
		OPENSSL_cleanse(p, malloc_usable_size(p));
	free(p);
}

static void *
allocate(size_t n, const char *file, int line)
{
	(void)file, (void)line;
	return n == 0 ? NULL : malloc(n);
}

static void *
allocate_again(void *p, size_t n, const char *file, int line)
{
	size_t before = p == NULL ? 0 : malloc_usable_size(p);
	void *fresh;

	if (n == 0) {
		wipe_and_free(p, file, line);
		return NULL;
	}
	if (n <= before)
		return p;
	fresh = malloc(n);
	if (fresh != NULL && p != NULL) {
		memcpy(fresh, p, before);
		wipe_and_free(p, file, line);
	}
	return fresh;
}

bool
certificate_prepare(void)
{
	return CRYPTO_set_mem_functions(allocate, allocate_again, wipe_and_free) == 1;
}

/* --- all of it --- */

enum rc
certificate_read(const struct conf_certificate *conf, struct certificate **ret_certificate, struct buf *why)
{
	struct reading r = { .conf = conf, .why = why, .names = BUF_INIT(IDENTITY_BYTES_MAX) };
	static enum rc (*const steps[])(struct reading *) = { read_chain, read_key, take_names, make_chain_file, describe };
	enum rc rc = RC_OK;

	r.c = calloc(1, sizeof *r.c);
	if (r.c == NULL)
		return RC_NOMEM;
	r.c->refs = 1;
	r.c->chain_fd = r.c->key_fd = -1;
	r.c->title = strdup(conf->title);
	r.c->chain = strdup(conf->chain);
	r.c->key = strdup(conf->key);
	if (r.c->title == NULL || r.c->chain == NULL || r.c->key == NULL)
		rc = RC_NOMEM;
	for (size_t i = 0; i < sizeof steps / sizeof steps[0] && rc == RC_OK; i++)
		rc = steps[i](&r);
	if (rc == RC_NOMEM)
		(void)complain(&r, "", "out of memory");
	X509_free(r.leaf);
	sk_X509_pop_free(r.above, X509_free);
	EVP_PKEY_free(r.key);
	buf_free(&r.names);
	if (rc == RC_OK)
		*ret_certificate = r.c;
	else
		certificate_unref(r.c);
	return rc;
}

struct certificate *
certificate_ref(struct certificate *c)
{
	c->refs++;
	return c;
}

void
certificate_unref(struct certificate *c)
{
	if (c == NULL || --c->refs > 0)
		return;
	if (c->chain_fd != -1)
		(void)close(c->chain_fd);
	if (c->key_fd != -1)
		(void)close(c->key_fd);
	free(c->title);
	free(c->chain);
	free(c->key);
	free(c->names);
	free(c->subject);
	free(c->issuer);
	free(c->type);
	free(c);
}

int
certificate_days(const struct certificate *c, time_t now)
{
	time_t left = c->not_after - now;

	return (int)(left >= 0 ? left / DAY : (left - DAY + 1) / DAY);
}

enum certificate_state
certificate_state(const struct certificate *c, time_t now)
{
	if (now < c->not_before)
		return CERTIFICATE_NOT_YET;
	if (now > c->not_after)
		return CERTIFICATE_EXPIRED;
	return certificate_days(c, now) < CERTIFICATE_WARN_DAYS ? CERTIFICATE_ENDS_SOON : CERTIFICATE_VALID;
}

const char *
certificate_state_name(enum certificate_state state)
{
	static const char *const names[] = {
		[CERTIFICATE_VALID] = "valid", [CERTIFICATE_ENDS_SOON] = "ends-soon", [CERTIFICATE_EXPIRED] = "expired",
		[CERTIFICATE_NOT_YET] = "not-yet-valid",
	};

	return names[state];
}

void
certificate_put_state(const struct certificate *c, time_t now, struct buf *to)
{
	enum certificate_state state = certificate_state(c, now);
	time_t t = state == CERTIFICATE_NOT_YET ? c->not_before : c->not_after;
	char day[32] = "?";
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL || strftime(day, sizeof day, "%Y-%m-%d", &tm) == 0)
		day[0] = '\0';
	switch (state) {
	case CERTIFICATE_VALID:
		break;
	case CERTIFICATE_ENDS_SOON:
		(void)buf_printf(to, "expires in %d days, on %s; renew it", certificate_days(c, now), day);
		break;
	case CERTIFICATE_EXPIRED:
		(void)buf_printf(to, "has expired on %s; renew it", day);
		break;
	case CERTIFICATE_NOT_YET:
		(void)buf_printf(to, "is not valid before %s; wait, or look at the clock of this host", day);
		break;
	}
}
