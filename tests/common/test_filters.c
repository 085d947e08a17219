/* tests/common/test_filters.c -- what each room's filter says, against its tables: the exported filter is emulated over every
 * system call, machine and edge of every argument; and the text that people review is the text of the tables. */
#include <config.h>

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "common/sandbox/profile.h"
#include "common/sandbox/walls.h"
#include "tests/common/filters.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	SYSCALLS_TRIED = 1024,
	X32_BIT = 0x40000000,
};

/* --- the filter as BPF, emulated --- */

struct program {
	struct sock_filter ins[8192];
	size_t n;
};

static void
export_filter(const struct sandbox_profile *p, struct program *prog)
{
	int fd = memfd_create("filter", 0);
	ssize_t n;

	assert_true(fd >= 0);
	assert_int_equal(seccomp_export(p, fd), RC_OK);
	n = pread(fd, prog->ins, sizeof prog->ins, 0);
	assert_true(n > 0 && (size_t)n < sizeof prog->ins);
	prog->n = (size_t)n / sizeof prog->ins[0];
	(void)close(fd);
}

static uint32_t
alu(uint16_t code, uint32_t a, uint32_t k)
{
	switch (BPF_OP(code)) {
	case BPF_AND:
		return a & k;
	case BPF_OR:
		return a | k;
	case BPF_LSH:
		return a << k;
	case BPF_RSH:
		return a >> k;
	default:
		fail_msg("unknown ALU instruction %x", code);
		return 0;
	}
}

static bool
jump(uint16_t code, uint32_t a, uint32_t k)
{
	switch (BPF_OP(code)) {
	case BPF_JEQ:
		return a == k;
	case BPF_JGT:
		return a > k;
	case BPF_JGE:
		return a >= k;
	case BPF_JSET:
		return (a & k) != 0;
	default:
		fail_msg("unknown jump %x", code);
		return false;
	}
}

static uint32_t
emulate(const struct program *prog, const struct seccomp_data *d)
{
	uint32_t a = 0, memory[16] = { 0 };

	for (size_t pc = 0; pc < prog->n; pc++) {
		const struct sock_filter *i = &prog->ins[pc];

		switch (BPF_CLASS(i->code)) {
		case BPF_LD:
			if (BPF_MODE(i->code) == BPF_ABS)
				memcpy(&a, (const uint8_t *)d + i->k, sizeof a);
			else if (BPF_MODE(i->code) == BPF_MEM)
				a = memory[i->k & 15];
			else
				a = i->k;
			break;
		case BPF_ST:
			memory[i->k & 15] = a;
			break;
		case BPF_ALU:
			a = alu(i->code, a, i->k);
			break;
		case BPF_JMP:
			if (BPF_OP(i->code) == BPF_JA)
				pc += i->k;
			else
				pc += jump(i->code, a, i->k) ? i->jt : i->jf;
			break;
		case BPF_RET:
			return i->k;
		default:
			fail_msg("unknown instruction %x", i->code);
		}
	}
	fail_msg("the program runs off its end");
	return 0;
}

static bool
row_matches(const struct sc_rule *r, const struct seccomp_data *d)
{
	if (r->nr != d->nr)
		return false;
	for (size_t i = 0; i < SC_ARGS_MAX && r->args[i].mask != 0; i++)
		if ((d->args[r->args[i].index] & r->args[i].mask) != r->args[i].value)
			return false;
	return true;
}

static uint32_t
verdict_action(enum sc_verdict v)
{
	return v == SC_ALLOW ? SECCOMP_RET_ALLOW :
	    SECCOMP_RET_ERRNO | (uint32_t)(v == SC_EACCES ? EACCES : ENOSYS);
}

/* The rows of a room, by number: its own, then those of threads. NULL: no more. */
static const struct sc_rule *
row_of(const struct sandbox_profile *p, size_t i)
{
	if (i < p->n_rules)
		return &p->rules[i];
	i -= p->n_rules;
	return p->threads && i < n_thread_rules ? &thread_rules[i] : NULL;
}

/* Straight from the tables, with none of the code under test. */
static uint32_t
expected(const struct sandbox_profile *p, const struct seccomp_data *d)
{
	const struct sc_rule *r;
	bool own = false;

	for (size_t i = 0; (r = row_of(p, i)) != NULL; i++) {
		own = own || r->nr == d->nr;
		if (row_matches(r, d))
			return verdict_action(r->verdict);
	}
	for (size_t i = 0; !own && i < n_base_rules; i++)
		if (row_matches(&base_rules[i], d))
			return verdict_action(base_rules[i].verdict);
	return SECCOMP_RET_KILL_PROCESS;
}

static void
compare(const struct program *prog, const struct sandbox_profile *p, const struct seccomp_data *d)
{
	uint32_t got = emulate(prog, d), want = expected(p, d);

	if (got != want)
		fail_msg("call %d (%llx %llx %llx %llx): filter says %x, table %x", d->nr, (unsigned long long)d->args[0],
		    (unsigned long long)d->args[1], (unsigned long long)d->args[2], (unsigned long long)d->args[3], got, want);
}

/* The neighbours of a row: it matches, misses by one bit under the mask, and differs where the mask does not look. */
static void
compare_around(const struct program *prog, const struct sandbox_profile *p, const struct sc_rule *r)
{
	struct seccomp_data d = { .nr = r->nr, .arch = AUDIT_ARCH_X86_64 };

	if (r->nr < 0)
		return;
	for (unsigned fill = 0; fill < 2; fill++) {
		for (unsigned k = 0; k < 6; k++)
			d.args[k] = fill == 0 ? 0 : UINT64_MAX;
		for (unsigned i = 0; i < SC_ARGS_MAX && r->args[i].mask != 0; i++)
			d.args[r->args[i].index] = r->args[i].value | (fill == 0 ? 0 : ~r->args[i].mask);
		compare(prog, p, &d);
		for (unsigned i = 0; i < SC_ARGS_MAX && r->args[i].mask != 0; i++)
			for (unsigned bit = 0; bit < 64; bit++) {
				struct seccomp_data other = d;

				other.args[r->args[i].index] ^= UINT64_C(1) << bit;
				compare(prog, p, &other);
			}
	}
}

/* --- every value that could matter, at every argument --- */

enum { CANDIDATES_MAX = 8192, ARGS = 6 };

struct candidates {
	uint64_t values[CANDIDATES_MAX];
	size_t n;
};

static void
add_candidate(struct candidates *c, uint64_t v)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->values[i] == v)
			return;
	assert_true(c->n < CANDIDATES_MAX);
	c->values[c->n++] = v;
}

/* Zero, one, minus one and the ends of int and long, each as 32 bits, as 64, and with something in the half that the kernel
 * does not look at. */
static void
add_edges(struct candidates *c)
{
	static const uint64_t edges[] = { 0, 1, 2, 0x7ffffffe, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff,
	    0x7fffffffffffffff, 0x8000000000000000, UINT64_MAX - 1, UINT64_MAX };

	for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++)
		add_candidate(c, edges[i]);
	add_candidate(c, UINT64_C(1) << 32);
	add_candidate(c, UINT64_C(1) << 32 | 1);
}

/* A constant of a table and what is beside it: one more, one less, rubbish outside the mask, one bit of the mask too many. */
static void
add_constant(struct candidates *c, const struct sc_arg *a)
{
	add_candidate(c, a->value);
	add_candidate(c, a->value + 1);
	add_candidate(c, a->value - 1);
	add_candidate(c, a->value | ~a->mask);
	add_candidate(c, a->value | UINT64_C(1) << 32);
	add_candidate(c, a->value | UINT64_C(0xffffffff00000000));
}

static void
add_bits(struct candidates *c, const struct sc_arg *a)
{
	for (unsigned bit = 0; bit < 64; bit++) {
		add_candidate(c, UINT64_C(1) << bit);
		add_candidate(c, a->value ^ UINT64_C(1) << bit);
	}
}

static void
gather_from(struct candidates c[ARGS], bool looked_at[ARGS], int nr, const struct sc_rule *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; rows[i].nr == nr && k < SC_ARGS_MAX && rows[i].args[k].mask != 0; k++) {
			const struct sc_arg *a = &rows[i].args[k];

			if (!looked_at[a->index])
				add_bits(&c[a->index], a);
			add_constant(&c[a->index], a);
			looked_at[a->index] = true;
		}
}

/* From the tables of every room: what one may, another must not get by accident. */
static void
gather(struct candidates c[ARGS], bool looked_at[ARGS], int nr)
{
	for (unsigned k = 0; k < ARGS; k++) {
		c[k].n = 0;
		looked_at[k] = false;
		add_edges(&c[k]);
	}
	gather_from(c, looked_at, nr, base_rules, n_base_rules);
	gather_from(c, looked_at, nr, thread_rules, n_thread_rules);
	for (enum role role = ROLE_LOG; role < ROLE_COUNT; role++)
		if (sandbox_profile(role) != NULL)
			gather_from(c, looked_at, nr, sandbox_profile(role)->rules, sandbox_profile(role)->n_rules);
}

/* All pairs of arguments that some table looks at, all values of each; of the others each value, beside rubbish. */
static unsigned long
compare_all(const struct program *prog, const struct sandbox_profile *p, int nr)
{
	static struct candidates c[ARGS];
	bool looked_at[ARGS];
	unsigned long tried = 0;

	gather(c, looked_at, nr);
	for (unsigned fill = 0; fill < 2; fill++)
		for (unsigned one = 0; one < ARGS; one++)
			for (unsigned two = one; two < ARGS; two++) {
				struct seccomp_data d = { .nr = nr, .arch = AUDIT_ARCH_X86_64 };

				if (one != two && (!looked_at[one] || !looked_at[two]))
					continue;
				for (unsigned k = 0; k < ARGS; k++)
					d.args[k] = fill == 0 ? 0 : UINT64_MAX;
				for (size_t i = 0; i < c[one].n; i++)
					for (size_t j = 0; j < (one == two ? 1 : c[two].n); j++) {
						d.args[one] = c[one].values[i];
						if (one != two)
							d.args[two] = c[two].values[j];
						compare(prog, p, &d);
						tried++;
					}
			}
	return tried;
}

/* Nothing that the table does not allow, and everything that it does, at every number that a call can have. */
static void
filter_says_what_the_table_says(void **state)
{
	static const int odd[] = { -1, -2, INT32_MIN, INT32_MIN + 1, INT32_MAX, X32_BIT - 1, X32_BIT, X32_BIT + 512,
	    X32_BIT + 547, X32_BIT + 1023, 4096, 65535, 65536 };
	static struct program prog;
	unsigned long tried = 0;

	(void)state;
	for (enum role role = ROLE_LOG; role < ROLE_COUNT; role++) {
		const struct sandbox_profile *p = sandbox_profile(role);

		if (p == NULL)
			continue;
		export_filter(p, &prog);
		for (int nr = 0; nr < SYSCALLS_TRIED; nr++)
			tried += compare_all(&prog, p, nr);
		for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
			tried += compare_all(&prog, p, odd[i]);
		for (size_t i = 0; i < p->n_rules; i++)
			compare_around(&prog, p, &p->rules[i]);
		for (size_t i = 0; i < n_thread_rules; i++)
			compare_around(&prog, p, &thread_rules[i]);
		for (size_t i = 0; i < n_base_rules; i++)
			compare_around(&prog, p, &base_rules[i]);
	}
	print_message("# %lu calls emulated\n", tried);
}

/* Each row is what lets its call through: without the row the table would refuse it. A row that another covers says nothing. */
static void
no_row_is_idle(void **state)
{
	const struct sc_rule *r, *other;

	(void)state;
	for (enum role role = ROLE_LOG; role < ROLE_COUNT; role++) {
		const struct sandbox_profile *p = sandbox_profile(role);

		for (size_t i = 0; p != NULL && (r = row_of(p, i)) != NULL; i++) {
			struct seccomp_data d = { .nr = r->nr, .arch = AUDIT_ARCH_X86_64 };

			for (size_t k = 0; k < SC_ARGS_MAX && r->args[k].mask != 0; k++)
				d.args[r->args[k].index] = r->args[k].value;
			for (size_t k = 0; (other = row_of(p, k)) != NULL; k++)
				if (k != i && d.nr >= 0 && row_matches(other, &d))
					fail_msg("%s: rows %zu and %zu of call %d let the same through", role_name(role), i, k,
					    d.nr);
		}
	}
}

static void
foreign_calls_kill(void **state)
{
	static const uint32_t machines[] = { AUDIT_ARCH_I386, AUDIT_ARCH_ARM, AUDIT_ARCH_AARCH64, AUDIT_ARCH_RISCV64, 0,
	    UINT32_MAX, AUDIT_ARCH_X86_64 & ~(uint32_t)__AUDIT_ARCH_64BIT, AUDIT_ARCH_X86_64 & ~(uint32_t)__AUDIT_ARCH_LE };
	static struct program prog;

	(void)state;
	for (enum role role = ROLE_LOG; role < ROLE_COUNT; role++) {
		if (sandbox_profile(role) == NULL)
			continue;
		export_filter(sandbox_profile(role), &prog);
		for (int nr = 0; nr < SYSCALLS_TRIED; nr++) {
			struct seccomp_data x32 = { .nr = nr | X32_BIT, .arch = AUDIT_ARCH_X86_64 };

			assert_int_equal(emulate(&prog, &x32), SECCOMP_RET_KILL_PROCESS);
			for (size_t i = 0; i < sizeof machines / sizeof machines[0]; i++) {
				struct seccomp_data foreign = { .nr = nr, .arch = machines[i] };

				assert_int_equal(emulate(&prog, &foreign), SECCOMP_RET_KILL_PROCESS);
			}
		}
	}
}

/* The text that people review is the text of these tables. */
static void
filters_are_as_reviewed(void **state)
{
	struct buf now = BUF_INIT(1024 * 1024), kept = BUF_INIT(1024 * 1024);
	const char *top = getenv("srcdir");
	char path[512], line[512];
	FILE *f;

	(void)state;
	(void)snprintf(path, sizeof path, "%s/tests/common/filters.txt", top == NULL ? "." : top);
	f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof line, f) != NULL)
		assert_true(buf_put_str(&kept, line));
	(void)fclose(f);
	assert_true(filters_put(&now));
	if (!slice_eq(buf_slice(&now), buf_slice(&kept)))
		fail_msg("tests/common/filters.txt is not what the tables say: make filters, and read the difference");
	buf_free(&now);
	buf_free(&kept);
}

static void
tables_are_sound(void **state)
{
	const struct sc_rule *r, *other;

	(void)state;
	for (enum role role = ROLE_LOG; role < ROLE_COUNT; role++) {
		const struct sandbox_profile *p = sandbox_profile(role);

		for (size_t i = 0; p != NULL && (r = row_of(p, i)) != NULL; i++) {
			assert_non_null(r->why);
			/* One verdict a call; and a row without condition stands alone. */
			for (size_t k = 0; (other = row_of(p, k)) != NULL; k++)
				if (k != i && other->nr == r->nr) {
					assert_int_equal(other->verdict, r->verdict);
					assert_true(r->args[0].mask != 0);
				}
			for (size_t k = 0; k < SC_ARGS_MAX; k++)
				assert_true((r->args[k].value & ~r->args[k].mask) == 0);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_are_sound),
		cmocka_unit_test(no_row_is_idle),
		cmocka_unit_test(filters_are_as_reviewed),
		cmocka_unit_test(filter_says_what_the_table_says),
		cmocka_unit_test(foreign_calls_kill),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
