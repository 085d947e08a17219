/* ctl/passwd_check.c -- would Postern take this users file? One line that it does not understand, and it takes none of it,
 * while passwd itself passes such lines over. */
#include "common/users_file.h"
#include "ctl/passwd_file.h"

#include <stdio.h>

bool
passwd_file_check(const struct passwd_file *f, uint64_t memory_max)
{
	struct slice rest = buf_slice(&f->bytes), line;
	struct buf why = BUF_INIT(512);
	struct users_check u;
	enum rc rc = RC_OK;

	users_check_init(&u, memory_max);
	while (rc == RC_OK && users_line_next(&rest, &line))
		rc = users_check_line(&u, line, &why);
	if (rc != RC_OK)
		(void)fprintf(stderr, "posternctl: warning: %s:%u: this line %s; Postern takes the file only when it is mended\n",
		    f->path, u.line, buf_cstr(&why));
	users_check_free(&u);
	buf_free(&why);
	return rc == RC_OK;
}
