/* tests/smtpd/tls_scene.h -- one house with certificates and one client of it that may speak TLS, and the words of a test
 * about them. The vault and everybody else beside smtpd are fakes. */
#ifndef POSTERN_TESTS_SMTPD_TLS_SCENE_H
#define POSTERN_TESTS_SMTPD_TLS_SCENE_H

#include "smtpd/session.h"
#include "tests/smtpd/tls_fixture.h"

enum { PATIENCE_MS = 5000 };

#define NAMES(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* mx.example.org by RSA and by ECDSA, other.example and *.wild.example by ECDSA alone. */
struct scene {
	struct fakes f;
	struct tls_made rsa, ec, other, wild;
	struct tls_identities *ids;
	struct tls_client c;
};

/* Once for a program: keys take their time. */
extern struct tls_made made_rsa, made_ec, made_other, made_wild;

int scene_make_keys(void **state);
int scene_free_keys(void **state);

void scene_start(struct scene *s, struct conf *conf);
void scene_end(struct scene *s);
void say(struct scene *s, const char *text);
void hear(struct scene *s, const char *pattern);
/* All lines of a reply; true when one of them matches. */
bool hears(struct scene *s, const char *pattern);
/* The connection is over: what was still to be heard is heard. */
void expect_closed(struct scene *s);
/* As far as the handshake. */
void up_to_starttls(struct scene *s);
void starttls(struct scene *s);
/* The same client again, on a new connection. */
void hang_up(struct scene *s);
struct session *the_session(struct scene *s);
const struct tls_facts *facts(struct scene *s);
void send_message(struct scene *s);

#endif
