/* tests/fuzz/auth_house.h -- who there is in the fuzz targets of the auth room: alice with the password "secret" by hash and
 * verifier, bob who is locked out, carol by her certificate (32 bytes of C). Salts are fixed and chance is none, so that an input
 * that is a right SCRAM exchange stays one. */
#ifndef POSTERN_TESTS_FUZZ_AUTH_HOUSE_H
#define POSTERN_TESTS_FUZZ_AUTH_HOUSE_H

#include "vault/auth.h"

/* Once a process, before anything is random. */
void auth_house_prepare(void);
/* For each input. */
void auth_house_reset(void);
struct conf *auth_house_conf(void);
struct users *auth_house_users(void);
/* Aborts unless this one may have got in. */
void auth_house_check(struct slice user);

#endif
