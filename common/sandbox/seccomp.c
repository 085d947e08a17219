/* common/sandbox/seccomp.c -- from the tables of the profiles to a filter. Default: kill the process. A call made the
 * 32-bit or x32 way kills too, since the same numbers mean other calls there. */
#include "common/sandbox/walls.h"

#include <errno.h>
#include <seccomp.h>
#include <string.h>

static uint32_t
action_of(enum sc_verdict v)
{
	switch (v) {
	case SC_ALLOW:
		return SCMP_ACT_ALLOW;
	case SC_EACCES:
		return SCMP_ACT_ERRNO(EACCES);
	case SC_ENOSYS:
		return SCMP_ACT_ERRNO(ENOSYS);
	}
	return SCMP_ACT_KILL_PROCESS;
}

static int
add_rule(scmp_filter_ctx filter, const struct sc_rule *r, unsigned *ret_rows)
{
	struct scmp_arg_cmp args[SC_ARGS_MAX];
	unsigned n = 0;

	if (r->nr < 0)
		return 0;
	while (n < SC_ARGS_MAX && r->args[n].mask != 0) {
		args[n] = (struct scmp_arg_cmp){ r->args[n].index, SCMP_CMP_MASKED_EQ, r->args[n].mask,
		    r->args[n].value };
		n++;
	}
	++*ret_rows;
	return seccomp_rule_add_array(filter, action_of(r->verdict), r->nr, n, args);
}

/* NULL and *ret_error on failure. */
static scmp_filter_ctx
make_filter(const struct sandbox_profile *p, unsigned *ret_rows, int *ret_error)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int error = filter == NULL ? -ENOMEM : 0;

	*ret_rows = 0;
	if (error == 0)
		error = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (error == 0)
		error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	for (size_t i = 0; i < p->n_rules && error == 0; i++)
		error = add_rule(filter, &p->rules[i], ret_rows);
	for (size_t i = 0; i < n_thread_rules && p->threads && error == 0; i++)
		error = add_rule(filter, &thread_rules[i], ret_rows);
	for (size_t i = 0; i < n_base_rules && error == 0; i++)
		if (base_rule_applies(p, i))
			error = add_rule(filter, &base_rules[i], ret_rows);
	if (error == 0)
		return filter;
	if (filter != NULL)
		seccomp_release(filter);
	*ret_error = error;
	return NULL;
}

enum rc
seccomp_apply(const struct sandbox_profile *p, struct buf *report)
{
	unsigned rows;
	int error = 0;
	scmp_filter_ctx filter = make_filter(p, &rows, &error);

	if (filter != NULL) {
		error = seccomp_load(filter);
		seccomp_release(filter);
	}
	if (error != 0) {
		(void)buf_printf(report, "seccomp: %s\n", strerror(-error));
		return RC_UNSUPPORTED;
	}
	(void)buf_printf(report, "seccomp: %u rules, all threads, default kill\n", rows);
	return RC_OK;
}

enum rc
seccomp_export(const struct sandbox_profile *p, int fd)
{
	unsigned rows;
	int error = 0;
	scmp_filter_ctx filter = make_filter(p, &rows, &error);

	if (filter != NULL) {
		error = seccomp_export_bpf(filter, fd);
		seccomp_release(filter);
	}
	return error == 0 ? RC_OK : RC_UNSUPPORTED;
}
