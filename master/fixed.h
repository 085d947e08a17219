/* master/fixed.h -- what cannot change while the house runs: its folders, its accounts, its sandbox.
 *
 * The master writes them beside its number into run-dir/lock, so that postern -n can say of a configuration whether the Postern
 * that runs could take it. */
#ifndef POSTERN_MASTER_FIXED_H
#define POSTERN_MASTER_FIXED_H

#include "common/buf.h"
#include "common/conf.h"
#include "common/rc.h"
#include "master/paths.h"

/* One line each, "state-dir = /var/spool/postern\n", as they are in force. */
bool fixed_put(struct buf *to, const struct conf_global *conf, const struct paths *paths);

/* The values of a new configuration against what runs. RC_UNSUPPORTED: why says of each what is in the way. */
enum rc fixed_check(struct slice running, const struct conf_global *conf, const struct paths *paths, struct buf *why);

/* For postern -n: against the Postern that runs with run_dir; NULL: with that of paths. Nothing is said when there is none. */
void fixed_warn(const struct conf_global *conf, const struct paths *paths, const char *run_dir, struct buf *notes);

#endif
