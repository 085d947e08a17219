/* ctl/passwd.h -- posternctl passwd: users and their passwords. */
#ifndef POSTERN_CTL_PASSWD_H
#define POSTERN_CTL_PASSWD_H

#include <stdbool.h>

/* argv[0] is the word passwd; at the socket a running Postern may answer. Returns the exit status. */
int passwd_main(int argc, char **argv, const char *socket);

/* Is this a user of the Postern that runs at the socket, as far as its files say? False: somebody else, after a complaint that
 * names those who are. True as well when that cannot be known (Dovecot, no right to read the files). */
bool passwd_knows(const char *socket, const char *user);

#endif
