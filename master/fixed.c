/* master/fixed.c -- see fixed.h. */
#include "master/fixed.h"

#include "master/run_lock.h"

bool
fixed_put(struct buf *to, const struct conf_global *conf, const struct paths *paths)
{
	return buf_printf(to, "state-dir = %s\nrun-dir = %s\nuid-base = %u\nsandbox = %s\n", paths->state_dir, paths->run_dir,
	    conf->uid_base, conf->sandbox);
}

static struct slice
next_line(struct slice *rest)
{
	struct slice line = slice_first(*rest, slice_find(*rest, '\n'));

	*rest = slice_from(*rest, line.n + (line.n < rest->n));
	return line;
}

static void
say(struct buf *why, struct slice now, struct slice wanted)
{
	struct slice name = slice_first(wanted, slice_find(wanted, ' '));

	(void)buf_printf(why, "%.*s: the running Postern has %.*s; stop and start it to change that", (int)wanted.n,
	    (const char *)wanted.p, (int)now.n, (const char *)now.p);
	if (slice_eq(name, S("state-dir")))
		(void)buf_put_str(why, ", and move the spool, or its mail stays behind");
	else if (slice_eq(name, S("uid-base")))
		(void)buf_put_str(why, ", and give the spool to the new account of the queue (chown)");
	(void)buf_put_str(why, "\n");
}

enum rc
fixed_check(struct slice running, const struct conf_global *conf, const struct paths *paths, struct buf *why)
{
	struct buf wanted = BUF_INIT(64 * 1024);
	enum rc rc = fixed_put(&wanted, conf, paths) ? RC_OK : RC_NOMEM;
	struct slice rest = buf_slice(&wanted);

	while (rc != RC_NOMEM && rest.n > 0 && running.n > 0) {
		struct slice is = next_line(&running), will = next_line(&rest);

		if (!slice_eq(is, will)) {
			say(why, is, will);
			rc = RC_UNSUPPORTED;
		}
	}
	buf_free(&wanted);
	return rc;
}

void
fixed_warn(const struct conf_global *conf, const struct paths *paths, const char *run_dir, struct buf *notes)
{
	struct buf lock = BUF_INIT(64 * 1024), why = BUF_INIT(64 * 1024);
	struct slice rest;

	if (run_lock_read(run_dir == NULL ? paths->run_dir : run_dir, &lock)) {
		rest = buf_slice(&lock);
		(void)next_line(&rest);		/* the number of the process */
		(void)fixed_check(rest, conf, paths, &why);
		for (rest = buf_slice(&why); rest.n > 0;) {
			struct slice line = next_line(&rest);

			(void)buf_printf(notes, "warning: %.*s\n", (int)line.n, (const char *)line.p);
		}
	}
	buf_free(&lock);
	buf_free(&why);
}
