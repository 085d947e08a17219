/* ctl/passwd.h -- posternctl passwd: users and their passwords. */
#ifndef POSTERN_CTL_PASSWD_H
#define POSTERN_CTL_PASSWD_H

/* argv[0] is the word passwd. Returns the exit status. */
int passwd_main(int argc, char **argv);

#endif
