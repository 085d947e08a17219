/* ctl/posternctl.h -- what the files of the command share. */
#ifndef POSTERN_CTL_POSTERNCTL_H
#define POSTERN_CTL_POSTERNCTL_H

#include <stdbool.h>

/* `posternctl config check [FILE]`: runs `postern -n`; its exit status. Without a file that of the server that runs at the
 * socket, read as it has read it; if none runs, postern's own default. base: a laboratory, or NULL. */
int config_check(const char *file, const char *socket, const char *base, bool json);

/* Is --help or -h one of the words? Then nothing is done, whatever the others say. */
bool asks_for_help(int argc, char **argv);

#endif
