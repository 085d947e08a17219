/* tests/sim/internet.h -- everybody else: domains, their servers, and clients that bring mail. */
#ifndef POSTERN_TESTS_SIM_INTERNET_H
#define POSTERN_TESTS_SIM_INTERNET_H

#include "common/buf.h"
#include "common/slice.h"
#include "tests/sim/letters.h"

#include <stdbool.h>

void internet_begin(unsigned domains);
/* How much goes wrong: once in so many commands of a session; 0: nothing does. */
void internet_trouble(unsigned in);
void internet_outage(void);		/* a domain is not to be reached for a while */
void internet_calm(void);		/* all of it works from now on */

/* An address of some domain; gone: of one that has no mail. */
void internet_address(char to[LETTER_ADDRESS_MAX], const char *who, unsigned no, bool gone);
struct slice internet_domain_of(struct slice address);
struct slice internet_postmaster(void);
bool internet_refuses(struct slice address);	/* our router knows that there is no such recipient */
bool internet_is_gone(struct slice domain);
void internet_hosts(struct slice domain, struct buf *to);	/* the run of V_HOSTS */

/* clients.c: one comes, now, and brings a letter or a few. */
void client_comes(void);
void clients_begin(void);
void clients_trouble(unsigned in);
unsigned clients_here(void);

#endif
