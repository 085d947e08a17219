/* master/conf_complete.c -- what the administrator left out, see conf_complete.h. */
#include "master/conf_complete.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

static const struct conf_section *
listeners(void)
{
	for (size_t i = 0; i < n_conf_sections; i++)
		if (strcmp(conf_sections[i].name, "listener") == 0)
			return &conf_sections[i];
	BUG("no section for listeners");
}

static enum rc
add_listener(struct conf *c, bool embedded)
{
	void *at;
	enum rc rc = conf_add(c, listeners(), "smtp", &at);

	if (rc == RC_OK && embedded)
		((struct conf_listener *)at)->port = EMBEDDED_PORT;
	return rc;
}

/* The name of the host as the kernel knows it. One without a dot is made a domain that cannot be anybody's
 * (RFC 6762 reserves .local for the link; .localdomain is custom), and conf_warn() tells about it. */
static enum rc
find_hostname(struct conf *c, struct buf *errors)
{
	struct utsname u;
	struct buf name = BUF_INIT(256);
	const char *text;

	if (uname(&u) == -1) {
		(void)buf_printf(errors, "hostname: the system does not tell its own (%m); write it into the file\n");
		return rc_from_errno(errno);
	}
	(void)buf_put_str(&name, u.nodename);
	if (strchr(u.nodename, '.') == NULL)
		(void)buf_put_str(&name, ".localdomain");
	text = buf_cstr(&name);
	free(c->global.hostname);
	c->global.hostname = text == NULL ? NULL : strdup(text);
	buf_free(&name);
	return c->global.hostname == NULL ? RC_NOMEM : RC_OK;
}

enum rc
conf_complete(struct conf *c, bool embedded, struct buf *errors)
{
	enum rc rc = RC_OK;

	if (*c->global.hostname == '\0')
		rc = find_hostname(c, errors);
	if (rc == RC_OK && c->n_listeners == 0)
		rc = add_listener(c, embedded);
	if (rc == RC_NOMEM)
		(void)buf_put_str(errors, "out of memory\n");
	return rc;
}
