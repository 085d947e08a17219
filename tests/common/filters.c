/* tests/common/filters.c -- the tables as text, see filters.h. */
#include "tests/common/filters.h"

#include "common/sandbox/profile.h"

#include <inttypes.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_MAX = 512, ROW_MAX = 256 };

static const char *
verdict_text(enum sc_verdict v)
{
	return v == SC_ALLOW ? "allow" : v == SC_EACCES ? "EACCES" : "ENOSYS";
}

static void
put_row(char out[ROW_MAX], const struct sc_rule *r)
{
	char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, r->nr);
	struct buf b = BUF_INIT(ROW_MAX);

	(void)buf_printf(&b, "%s %s", name == NULL ? "?" : name, verdict_text(r->verdict));
	for (size_t i = 0; i < SC_ARGS_MAX && r->args[i].mask != 0; i++)
		(void)buf_printf(&b, "%s arg%u & 0x%" PRIx64 " == 0x%" PRIx64, i == 0 ? " if" : " and", r->args[i].index,
		    r->args[i].mask, r->args[i].value);
	memcpy(out, buf_cstr(&b), buf_len(&b) + 1);
	buf_free(&b);
	free(name);
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void
put_room(struct buf *to, enum role role, const struct sandbox_profile *p)
{
	static char rows[ROWS_MAX][ROW_MAX];
	size_t n = 0;

	for (size_t i = 0; i < p->n_rules && n < ROWS_MAX; i++)
		if (p->rules[i].nr >= 0)
			put_row(rows[n++], &p->rules[i]);
	for (size_t i = 0; i < n_thread_rules && p->threads && n < ROWS_MAX; i++)
		if (thread_rules[i].nr >= 0)
			put_row(rows[n++], &thread_rules[i]);
	for (size_t i = 0; i < n_base_rules && n < ROWS_MAX; i++) {
		bool own = base_rules[i].nr < 0;

		for (size_t k = 0; k < p->n_rules; k++)
			own = own || p->rules[k].nr == base_rules[i].nr;
		for (size_t k = 0; k < n_thread_rules && p->threads; k++)
			own = own || thread_rules[k].nr == base_rules[i].nr;
		if (!own)
			put_row(rows[n++], &base_rules[i]);
	}
	qsort(rows, n, sizeof rows[0], by_text);
	(void)buf_printf(to, "\n%s: descriptors %" PRIu64 ", address space %" PRIu64 " MiB, wall 0x%x, network %s, threads %s\n",
	    role_name(role), p->nofile, p->address_space >> 20, p->wall, p->net ? "yes" : "no", p->threads ? "yes" : "no");
	for (size_t i = 0; i < n; i++)
		(void)buf_printf(to, "\t%s\n", rows[i]);
}

bool
filters_put(struct buf *to)
{
	(void)buf_printf(to, "# What each room may call; everything else kills it. Written by `make filters`: read the "
	    "difference.\n");
	for (enum role role = ROLE_LOG; role < ROLE_COUNT; role++)
		if (sandbox_profile(role) != NULL)
			put_room(to, role, sandbox_profile(role));
	return !to->failed;
}
