/* tests/smtpd/test_tls_identity.c -- who is who over TLS: certificates by name, client certificates, channel bindings,
 * and the tls section of the configuration. What a session says: test_tls.c. Tickets: test_tls_ticket.c. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/smtpd/tls_scene.h"

#include "common/tls_settings.h"
#include "smtpd/session.h"

#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>

/* --- certificates by name --- */

struct pick {
	const char *name;		/* NULL: none is asked for */
	const char *algorithms;		/* that the client can check; NULL: all */
	const struct tls_made *shown;
	const char *told;		/* what the log says of it */
};

/* shows: RFC9325 3.7/1 */
static void
the_name_chooses_the_certificate(void **state)
{
	char longest[256], longer[300], text[300];
	const struct pick picks[] = {
		{ NULL, "RSA+SHA256:RSA-PSS+SHA256", &made_rsa, "" },
		{ NULL, "ECDSA+SHA256", &made_ec, "" },
		{ "mx.example.org", "RSA+SHA256:RSA-PSS+SHA256", &made_rsa, "mx.example.org" },
		{ "mx.example.org", "ECDSA+SHA256", &made_ec, "mx.example.org" },
		{ "MX.Example.ORG", "ECDSA+SHA256", &made_ec, "mx.example.org" },
		{ "other.example", NULL, &made_other, "other.example" },
		{ "a.wild.example", NULL, &made_wild, "a.wild.example" },
		{ "a.b.wild.example", "ECDSA+SHA256", &made_ec, "a.b.wild.example" },
		{ "wild.example", "ECDSA+SHA256", &made_ec, "wild.example" },
		{ "nobody.example", "ECDSA+SHA256", &made_ec, "nobody.example" },
		{ "not_a_name!", "ECDSA+SHA256", &made_ec, "" },
		{ "*.wild.example", "ECDSA+SHA256", &made_ec, "" },
		{ "..", "ECDSA+SHA256", &made_ec, "" },
		{ "other.example.", "ECDSA+SHA256", &made_ec, "" },
		{ longest, "ECDSA+SHA256", &made_ec, longest },
		{ longer, "ECDSA+SHA256", &made_ec, "" },
	};

	(void)state;
	memset(longest, 'a', sizeof longest);
	for (size_t i = 50; i < 253; i += 50)
		longest[i] = '.';
	longest[253] = '\0';
	(void)snprintf(longer, sizeof longer, "%s.a", longest);
	for (size_t i = 0; i < sizeof picks / sizeof picks[0]; i++) {
		struct scene s;
		X509 *shown;

		scene_start(&s, NULL);
		if (picks[i].algorithms != NULL)
			assert_int_equal(SSL_CTX_set1_sigalgs_list(s.c.ctx, strcpy(text, picks[i].algorithms)), 1);
		up_to_starttls(&s);
		if (picks[i].name != NULL)
			assert_int_equal(SSL_set_tlsext_host_name(s.c.ssl, strcpy(text, picks[i].name)), 1);
		if (!tls_client_shake(&s.c, &s.f))
			fail_msg("no handshake for %s", picks[i].name);
		shown = SSL_get0_peer_certificate(s.c.ssl);
		if (X509_cmp(shown, picks[i].shown->certificate) != 0)
			fail_msg("%s gets another certificate", picks[i].name == NULL ? "nobody" : picks[i].name);
		assert_string_equal(facts(&s)->sni, picks[i].told);
		scene_end(&s);
	}
}

/* --- client certificates --- */

static void
show(struct scene *s, const struct tls_made *m)
{
	assert_int_equal(SSL_CTX_use_certificate(s->c.ctx, m->certificate), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(s->c.ctx, m->key), 1);
}

static struct conf *
asking(const char *how, bool with_ca)
{
	struct conf *conf = tls_conf();
	struct conf_listener *l = tls_conf_listener(conf, "mx");

	if (how != NULL) {
		free(l->client_certificate);
		l->client_certificate = strdup(how);
	}
	if (with_ca) {
		free(l->client_ca);
		l->client_ca = strdup("ca.pem");
	}
	return conf;
}

static void
client_certificates_are_known_by_fingerprint(void **state)
{
	struct tls_made client = tls_make("EC", NAMES("client \"one\" (x)", "user@client.example"), NULL);
	const struct tls_certificate *shown;
	uint8_t digest[TLS_DIGEST];
	char text[4096];
	struct slice content;
	struct scene s;

	(void)state;
	scene_start(&s, asking("request", false));
	show(&s, &client);
	starttls(&s);
	shown = stream_client_certificate(&the_session(&s)->stream);
	assert_non_null(shown);
	assert_int_equal(X509_digest(client.certificate, EVP_sha256(), digest, NULL), 1);
	assert_memory_equal(shown->fingerprint, digest, sizeof digest);
	assert_string_equal(shown->common_name, "client \"one\" (x)");
	assert_string_equal(shown->address, "user@client.example");
	assert_false(shown->verified);
	say(&s, "EHLO x.example\r\n");
	(void)hears(&s, "");
	send_message(&s);
	content = buf_slice(&fakes_last(&s.f)->content);
	memcpy(text, content.p, content.n);
	text[content.n] = '\0';
	/* What would end the comment does not stand in it. */
	assert_non_null(strstr(text, "(Client CN \"client ?one? ?x?\", Issuer \"client ?one? ?x?\" (not verified))\r\n"));
	hang_up(&s);
	/* A session that is resumed knows it, too. */
	starttls(&s);
	assert_int_equal(SSL_session_reused(s.c.ssl), 1);
	shown = stream_client_certificate(&the_session(&s)->stream);
	assert_non_null(shown);
	assert_memory_equal(shown->fingerprint, digest, sizeof digest);
	scene_end(&s);
	tls_made_free(&client);
}

/* shows: RFC3207 4.1/1, RFC8314 4.2/1 */
static void
a_client_without_a_certificate(void **state)
{
	/* NULL: what the configuration says of itself */
	static const struct { const char *how; bool good, asked; } cases[] = { { NULL, true, false }, { "none", true, false },
		{ "request", true, true }, { "require", false, true } };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct scene s;

		scene_start(&s, asking(cases[i].how, false));
		up_to_starttls(&s);
		/* In TLS 1.3 the client has finished before the server looks. */
		(void)tls_client_shake(&s.c, &s.f);
		fakes_settle(&s.f);
		assert_int_equal(s.f.smtpd.n_sessions == 1 && stream_is_tls(&the_session(&s)->stream), cases[i].good);
		if (cases[i].good)
			assert_int_equal(stream_tls(&the_session(&s)->stream)->asked, cases[i].asked);
		scene_end(&s);
	}
}

static void
an_authority_verifies_clients(void **state)
{
	struct tls_made ca = tls_make("EC", NAMES("authority"), NULL), good = tls_make("EC", NAMES("good.example"), &ca);
	struct tls_made stranger = tls_make("EC", NAMES("stranger.example"), NULL);
	const struct { const char *how; const struct tls_made *shown; bool in, verified; } cases[] = {
		{ "request", &good, true, true }, { "request", &stranger, true, false },
		{ "require", &good, true, true }, { "require", &stranger, false, false },
	};
	struct buf pem = tls_pem(&ca);

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		bool in;
		struct scene s;

		scene_start(&s, asking(cases[i].how, true));
		tls_serve(&s.f, s.ids, buf_slice(&pem));
		show(&s, cases[i].shown);
		up_to_starttls(&s);
		(void)tls_client_shake(&s.c, &s.f);
		fakes_settle(&s.f);
		in = s.f.smtpd.n_sessions == 1 && stream_is_tls(&the_session(&s)->stream);
		assert_int_equal(in, cases[i].in);
		if (in)
			assert_int_equal(stream_client_certificate(&the_session(&s)->stream)->verified, cases[i].verified);
		scene_end(&s);
	}
	buf_free(&pem);
	tls_made_free(&ca);
	tls_made_free(&good);
	tls_made_free(&stranger);
}

/* --- channel bindings --- */

/* shows: RFC9325 3.5/2, RFC9325 3.5/3 */
static void
both_sides_have_the_same_bindings(void **state)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	struct buf none = BUF_INIT(256);

	(void)state;
	for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
		struct buf ours = BUF_INIT(256), point = BUF_INIT(256);
		uint8_t theirs[32], digest[TLS_DIGEST];
		struct scene s;

		scene_start(&s, NULL);
		assert_int_equal(SSL_CTX_set_max_proto_version(s.c.ctx, versions[i]), 1);
		up_to_starttls(&s);
		assert_false(stream_channel_binding(&the_session(&s)->stream, TLS_BINDING_EXPORTER, &none));
		assert_true(tls_client_shake(&s.c, &s.f));
		if (versions[i] == TLS1_2_VERSION) {
			assert_int_equal(SSL_get_extms_support(s.c.ssl), 1);
			assert_int_equal(SSL_get_secure_renegotiation_support(s.c.ssl), 1);
		}
		assert_true(stream_channel_binding(&the_session(&s)->stream, TLS_BINDING_EXPORTER, &ours));
		assert_int_equal(SSL_export_keying_material(s.c.ssl, theirs, sizeof theirs, "EXPORTER-Channel-Binding", 24,
		    (const uint8_t *)"", 0, 1), 1);
		assert_true(slice_eq(buf_slice(&ours), slice_of(theirs, sizeof theirs)));
		assert_true(stream_channel_binding(&the_session(&s)->stream, TLS_BINDING_SERVER_END_POINT, &point));
		assert_int_equal(X509_digest(SSL_get0_peer_certificate(s.c.ssl), EVP_sha256(), digest, NULL), 1);
		assert_true(slice_eq(buf_slice(&point), slice_of(digest, sizeof digest)));
		say(&s, "NOOP\r\n");
		hear(&s, "250 *");
		hang_up(&s);
		/* On resumption no certificate is shown: it is that of the first time (RFC 5929 4). */
		starttls(&s);
		assert_int_equal(SSL_session_reused(s.c.ssl), 1);
		buf_clear(&point);
		assert_true(stream_channel_binding(&the_session(&s)->stream, TLS_BINDING_SERVER_END_POINT, &point));
		assert_true(slice_eq(buf_slice(&point), slice_of(digest, sizeof digest)));
		buf_clear(&ours);
		assert_true(stream_channel_binding(&the_session(&s)->stream, TLS_BINDING_EXPORTER, &ours));
		assert_false(slice_eq(buf_slice(&ours), slice_of(theirs, sizeof theirs)));
		scene_end(&s);
		buf_free(&ours);
		buf_free(&point);
	}
	assert_int_equal(buf_len(&none), 0);
}

/* --- the tls section --- */

static void
settings_are_checked(void **state)
{
	static const struct { const char *option, *value; bool good; } cases[] = {
		{ "min-version", "TLSv1.3", true }, { "min-version", "TLSv1.1", false }, { "min-version", "", false },
		{ "ciphers", "ECDHE-RSA-AES128-GCM-SHA256", true }, { "ciphers", "ECDHE+AESGCM:!aNULL", true },
		{ "ciphers", "ECDHE-RSA-AES128-GCM-SHA265", false }, { "ciphers", "ECDHE-RSA-AES128-GCM-SHA256:typo", false },
		{ "ciphers", "ALL", false }, { "ciphers", "AES256-GCM-SHA384", false },
		{ "ciphers", "DHE-RSA-AES256-GCM-SHA384", false },
		{ "ciphers", "ECDHE-RSA-AES256-SHA", false }, { "ciphers", "", false },
		{ "ciphers", "ECDHE+AESGCM:@SECLEVEL=0", false }, { "ciphers", "@SECLEVEL=1 ECDHE+AESGCM", false },
		{ "ciphers", "ECDHE+AESGCM:@STRENGTH", false }, { "ciphers", "ECDHE+AESGCM,+@SECLEVEL=0", false },
		{ "ciphersuites", "TLS_AES_128_GCM_SHA256", true }, { "ciphersuites", "TLS_NO_SUCH", false },
		{ "groups", "X25519", true }, { "groups", "P-256:X25519", true }, { "groups", "ffdhe2048", false },
		{ "groups", "X25519:FFDHE3072", false }, { "groups", "nonsense", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct conf *c = conf_new();
		struct buf why = BUF_INIT(512);
		const char *option = "";
		enum rc rc;

		for (size_t k = 0; k < n_conf_sections; k++)
			for (size_t o = 0; strcmp(conf_sections[k].name, "tls") == 0 && o < conf_sections[k].n_options; o++)
				if (strcmp(conf_sections[k].options[o].name, cases[i].option) == 0)
					assert_int_equal(conf_set((char *)c + conf_sections[k].offset,
					    &conf_sections[k].options[o], cases[i].value), RC_OK);
		rc = tls_settings_check(&c->tls, &option, &why);
		if ((rc == RC_OK) != cases[i].good)
			fail_msg("%s = %s: %s", cases[i].option, cases[i].value, buf_cstr(&why));
		if (rc != RC_OK)
			assert_string_equal(option, cases[i].option);
		buf_free(&why);
		conf_unref(c);
	}
}

/* What nobody asks for by accident. shows: RFC9325 3.3/1, RFC9325 3.10/1, RFC9325 4.5/1, RFC9325 4.5/3 */
static void
nothing_weak_is_agreed_upon(void **state)
{
	static const char *const curves[] = { "secp192r1", "secp160r1", "sect163k1" };
	static const char *const digests[] = { "SHA1", "SHA256" };	/* the last one is good */
	struct scene s;

	(void)state;
	scene_start(&s, NULL);
	(void)SSL_CTX_clear_options(s.c.ctx, SSL_OP_NO_COMPRESSION);
	starttls(&s);
	assert_null(SSL_get_current_compression(s.c.ssl));
	say(&s, "NOOP\r\n");
	hear(&s, "250 *");
	assert_non_null(s.c.ticket);
	assert_int_equal(SSL_SESSION_get_max_early_data(s.c.ticket), 0);
	scene_end(&s);
	for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++) {
		char text[32];

		scene_start(&s, NULL);
		assert_int_equal(SSL_CTX_set_max_proto_version(s.c.ctx, TLS1_2_VERSION), 1);
		(void)snprintf(text, sizeof text, "%s", curves[i]);
		if (SSL_CTX_set1_groups_list(s.c.ctx, text) == 1) {
			up_to_starttls(&s);
			assert_false(tls_client_shake(&s.c, &s.f));
		}
		scene_end(&s);
	}
	for (size_t i = 0; i < sizeof digests / sizeof digests[0]; i++) {
		char text[64];

		scene_start(&s, NULL);
		assert_int_equal(SSL_CTX_set_max_proto_version(s.c.ctx, TLS1_2_VERSION), 1);
		(void)snprintf(text, sizeof text, "RSA+%s:ECDSA+%s", digests[i], digests[i]);
		assert_int_equal(SSL_CTX_set1_sigalgs_list(s.c.ctx, text), 1);
		up_to_starttls(&s);
		assert_int_equal(tls_client_shake(&s.c, &s.f), i > 0);
		scene_end(&s);
	}
	ERR_clear_error();
}

/* shows: RFC9325 4.5/2 */
static void
small_keys_are_not_taken(void **state)
{
	struct tls_made small = { X509_dup(made_rsa.certificate), EVP_RSA_gen(1024) };
	const struct tls_source source = { NULL, NULL, NULL };
	struct tls_identities *ids = tls_identities_new();
	struct tls_listeners *set = NULL;
	struct buf why = BUF_INIT(1024);
	struct conf *conf = tls_conf();

	(void)state;
	assert_int_equal(X509_set_pubkey(small.certificate, small.key), 1);
	assert_true(X509_sign(small.certificate, small.key, EVP_sha256()) > 0);
	tls_identities_add(ids, &small, NAMES("mx.example.org"));
	assert_int_not_equal(tls_listeners_new(conf, ids, &source, NULL, NULL, &set, &why), RC_OK);
	assert_non_null(strstr(buf_cstr(&why), "certificate \"made\" cannot be used: ee key too small"));
	buf_free(&why);
	identities_unref(ids);
	conf_unref(conf);
	tls_made_free(&small);
}

static void
the_library_shakes_hands_with_itself(void **state)
{
	struct buf why = BUF_INIT(512);

	(void)state;
	assert_int_equal(tls_warm_up(&why), RC_OK);
	buf_free(&why);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_name_chooses_the_certificate),
		cmocka_unit_test(client_certificates_are_known_by_fingerprint),
		cmocka_unit_test(a_client_without_a_certificate),
		cmocka_unit_test(an_authority_verifies_clients),
		cmocka_unit_test(both_sides_have_the_same_bindings),
		cmocka_unit_test(settings_are_checked),
		cmocka_unit_test(nothing_weak_is_agreed_upon),
		cmocka_unit_test(small_keys_are_not_taken),
		cmocka_unit_test(the_library_shakes_hands_with_itself),
	};

	return cmocka_run_group_tests(tests, scene_make_keys, scene_free_keys);
}
