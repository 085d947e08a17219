/* vault/auth_files.h -- the files of a generation, from the descriptors that master sent to a struct users. */
#ifndef POSTERN_VAULT_AUTH_FILES_H
#define POSTERN_VAULT_AUTH_FILES_H

#include "vault/auth.h"

void auth_files_take(struct auth *auth, const struct m_file *m, int fd);	/* takes fd over */
void auth_files_forget(struct auth *auth);
bool auth_files_are_of(const struct auth *auth, uint8_t purpose, uint32_t generation);	/* those that are kept, if any */

/* Those kept by auth_files_take(), as conf names them. Blocks: the files are local, and read when they change, at start and
 * reload only. Anything but RC_OK: words in why. */
enum rc auth_files_read(struct auth *auth, const struct conf *conf, struct users **ret_users, struct buf *why);
/* In prepare(): those that room still holds. */
enum rc auth_files_read_first(struct auth *auth, struct room *room, struct users **ret_users, struct buf *why);

#endif
