/* tests/sim/world.c -- see world.h. */
#include "tests/sim/world.h"

#include "common/log.h"
#include "common/loop.h"
#include "common/queue_id.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static struct {
	uint64_t seed, now, order, random, hash;
	int64_t wall_offset;
	struct slot **heap;
	size_t n, max;
	bool verbose;
	char failure[512];
	struct block *machine;		/* memory of no process */
} w;

struct proc *world_current;
bool world_blackout;

/* Functions that the real code calls and the linker brings here; the __real_ ones are those of libc. */
/* A process that is killed takes along what OpenSSL made for it. Here it stays behind: OpenSSL's memory is not of its arena. */
const char *__lsan_default_suppressions(void);
const char *
__lsan_default_suppressions(void)
{
	return "leak:libcrypto.so\nleak:libssl.so\n";
}

void *__real_malloc(size_t n);
void *__real_realloc(void *p, size_t n);
void *__real_aligned_alloc(size_t alignment, size_t n);
void __real_free(void *p);
int __real_clock_gettime(clockid_t clock, struct timespec *ts);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t n);
void __wrap_free(void *p);
char *__wrap_strdup(const char *text);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ts);
time_t __wrap_time(time_t *t);
ssize_t __wrap_getrandom(void *to, size_t n, unsigned flags);
void __wrap_randombytes_buf(void *to, size_t n);
void __wrap_log_event(enum log_event event, const struct msgid *id, const struct log_field *fields, size_t n);

/* --- memory: each process has its own --- */

struct block {
	struct block *next, **link;
	struct proc *owner;
	size_t n;
	uint64_t space[4];
};
_Static_assert(sizeof(struct block) == 64, "what follows a block is aligned as it would be without it");

static struct block **
heap_of(struct proc *p)
{
	return p == NULL ? &w.machine : &p->heap;
}

static void
block_in(struct block *b, struct proc *p, size_t n)
{
	struct block **head = heap_of(p);

	*b = (struct block){ .next = *head, .link = head, .owner = p, .n = n };
	if (b->next != NULL)
		b->next->link = &b->next;
	*head = b;
	if (p != NULL) {
		p->heap_bytes += n;
		p->heap_blocks++;
	}
}

static void
block_out(struct block *b)
{
	*b->link = b->next;
	if (b->next != NULL)
		b->next->link = b->link;
	if (b->owner != NULL) {
		b->owner->heap_bytes -= b->n;
		b->owner->heap_blocks--;
	}
}

void *
__wrap_malloc(size_t n)
{
	struct block *b = n > SIZE_MAX / 2 ? NULL : __real_malloc(sizeof *b + n);

	if (b == NULL)
		return NULL;
	block_in(b, world_current, n);
	return b + 1;
}

void *
__wrap_calloc(size_t n, size_t size)
{
	size_t all;
	void *p;

	if (__builtin_mul_overflow(n, size, &all))
		return NULL;
	p = __wrap_malloc(all);
	if (p != NULL)
		memset(p, 0, all);
	return p;
}

void *
__wrap_realloc(void *p, size_t n)
{
	struct block *b = p == NULL ? NULL : (struct block *)p - 1, *bigger;
	struct proc *owner;
	size_t before;

	if (b == NULL)
		return __wrap_malloc(n);
	owner = b->owner;
	before = b->n;
	block_out(b);
	bigger = n > SIZE_MAX / 2 ? NULL : __real_realloc(b, sizeof *b + n);
	if (bigger == NULL) {
		block_in(b, owner, before);
		return NULL;
	}
	block_in(bigger, owner, n);
	return bigger + 1;
}

void *
__wrap_reallocarray(void *p, size_t n, size_t size)
{
	size_t all;

	return __builtin_mul_overflow(n, size, &all) ? NULL : __wrap_realloc(p, all);
}

/* A block is as long as the widest alignment that anybody asks for. */
void *
__wrap_aligned_alloc(size_t alignment, size_t n)
{
	size_t all = (n + sizeof(struct block) - 1) / sizeof(struct block) * sizeof(struct block) + sizeof(struct block);
	struct block *b = alignment > sizeof(struct block) || all < n ? NULL : __real_aligned_alloc(sizeof(struct block), all);

	if (b == NULL)
		return NULL;
	block_in(b, world_current, n);
	return b + 1;
}

void
__wrap_free(void *p)
{
	if (p == NULL)
		return;
	block_out((struct block *)p - 1);
	__real_free((struct block *)p - 1);
}

char *
__wrap_strdup(const char *text)
{
	size_t n = strlen(text) + 1;
	char *copy = __wrap_malloc(n);

	if (copy != NULL)
		memcpy(copy, text, n);
	return copy;
}

static void
free_all(struct block **head)
{
	struct block *b;

	while ((b = *head) != NULL) {
		*head = b->next;
		__real_free(b);
	}
}

void
proc_free_memory(struct proc *p)
{
	free_all(&p->heap);
	p->heap_bytes = p->heap_blocks = 0;
}

struct proc *
world_enter(struct proc *p)
{
	struct proc *before = world_current;

	world_current = p;
	return before;
}

/* --- chance --- */

uint64_t
world_random(void)
{
	uint64_t z = (w.random += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

uint64_t
world_below(uint64_t n)
{
	return n == 0 ? 0 : world_random() % n;
}

bool
world_chance(unsigned in)
{
	return in != 0 && world_random() % in == 0;
}

uint64_t
world_spread(uint64_t min, uint64_t max)
{
	unsigned doublings = 0;
	uint64_t low = min == 0 ? 1 : min, n;

	while (low << doublings < max && doublings < 62)
		doublings++;
	n = low << world_below(doublings + 1);
	n += world_below(n);
	return n > max ? max : n < min ? min : n;
}

ssize_t
__wrap_getrandom(void *to, size_t n, unsigned flags)
{
	uint8_t *p = to;

	(void)flags;
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)world_random();
	return (ssize_t)n;
}

void
__wrap_randombytes_buf(void *to, size_t n)
{
	(void)__wrap_getrandom(to, n, 0);
}

/* --- time --- */

uint64_t
world_now(void)
{
	return w.now;
}

int64_t
world_wall(void)
{
	return w.wall_offset + (int64_t)w.now;
}

void
world_jump(int64_t us)
{
	w.wall_offset += us;
}

void
world_advance(uint64_t us)
{
	w.now += us;
}

int
__wrap_clock_gettime(clockid_t clock, struct timespec *ts)
{
	int64_t t = clock == CLOCK_REALTIME ? world_wall() : (int64_t)w.now;

	ts->tv_sec = t / SECOND;
	ts->tv_nsec = t % SECOND * 1000;
	return 0;
}

time_t
__wrap_time(time_t *t)
{
	time_t now = world_wall() / SECOND;

	if (t != NULL)
		*t = now;
	return now;
}

/* --- what happens next: a heap by time, and by age where the time is the same --- */

static bool
before(const struct slot *a, const struct slot *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void
put(size_t at, struct slot *s)
{
	w.heap[at - 1] = s;
	s->index = at;
}

static void
rise(struct slot *s)
{
	size_t at = s->index;

	for (; at > 1 && before(s, w.heap[at / 2 - 1]); at /= 2)
		put(at, w.heap[at / 2 - 1]);
	put(at, s);
}

static void
sink(struct slot *s)
{
	size_t at = s->index, child;

	for (; (child = at * 2) <= w.n; at = child) {
		if (child < w.n && before(w.heap[child], w.heap[child - 1]))
			child++;
		if (!before(w.heap[child - 1], s))
			break;
		put(at, w.heap[child - 1]);
	}
	put(at, s);
}

void
slot_clear(struct slot *s)
{
	size_t at = s->index;
	struct slot *last;

	if (at == 0)
		return;
	s->index = 0;
	last = w.heap[--w.n];
	if (last == s)
		return;
	put(at, last);
	rise(last);
	sink(last);
}

void
slot_set(struct slot *s, uint64_t in, slot_fn *fn, void *ctx)
{
	slot_clear(s);
	s->at = w.now + in;
	s->order = w.order++;
	s->fn = fn;
	s->ctx = ctx;
	if (w.n == w.max) {
		w.max = w.max == 0 ? 256 : w.max * 2;
		w.heap = __real_realloc(w.heap, w.max * sizeof *w.heap);
		if (w.heap == NULL)
			abort();
	}
	s->index = ++w.n;
	w.heap[w.n - 1] = s;
	rise(s);
}

uint64_t
world_next(void)
{
	return w.n == 0 ? UINT64_MAX : w.heap[0]->at;
}

bool
world_step(void)
{
	struct slot *s;

	if (w.n == 0)
		return false;
	s = w.heap[0];
	slot_clear(s);
	if (s->at > w.now)
		w.now = s->at;
	s->fn(s->ctx);
	return true;
}

static void
on_signal(int sig)
{
	char text[96];
	int n = snprintf(text, sizeof text, "# seed %" PRIu64 " ended with signal %d\n", w.seed, sig);

	(void)!write(1, text, n > 0 ? (size_t)n : 0);
	(void)signal(sig, SIG_DFL);
	(void)raise(sig);
}

void
world_tell_signals(void)
{
	(void)signal(SIGABRT, on_signal);
	(void)signal(SIGSEGV, on_signal);
}

double
world_real_seconds(void)
{
	struct timeval tv;

	(void)gettimeofday(&tv, NULL);
	return (double)tv.tv_sec + (double)tv.tv_usec / 1e6;
}

bool
world_number(const char *word, uint64_t *ret)
{
	char *end;

	if (*word < '0' || *word > '9')
		return false;
	*ret = strtoull(word, &end, 10);
	return *end == '\0';
}

void
world_begin(uint64_t seed, bool verbose)
{
	w.seed = seed;
	w.now = SECOND;
	w.wall_offset = INT64_C(1700000000) * SECOND;
	w.random = seed * UINT64_C(0xd1342543de82ef95) + 1;
	w.hash = UINT64_C(0xcbf29ce484222325);
	w.order = 0;
	w.verbose = verbose;
	w.failure[0] = '\0';
	world_blackout = false;
	world_current = NULL;
}

void
world_end(void)
{
	while (w.n > 0)
		slot_clear(w.heap[0]);
	free_all(&w.machine);
	__real_free(w.heap);
	w.heap = NULL;
	w.max = 0;
}

/* --- what happened --- */

void
world_note(const void *bytes, size_t n)
{
	const uint8_t *p = bytes;

	for (size_t i = 0; i < n; i++)
		w.hash = (w.hash ^ p[i]) * UINT64_C(0x100000001b3);
}

uint64_t
world_hash(void)
{
	return w.hash;
}

bool
world_verbose(void)
{
	return w.verbose;
}

static void
say(const char *who, const char *text)
{
	(void)printf("%4" PRIu64 "d %02" PRIu64 ":%02" PRIu64 ":%02" PRIu64 ".%06" PRIu64 " %-10s %s\n",
	    w.now / (uint64_t)DAY, w.now / (uint64_t)HOUR % 24, w.now / (uint64_t)MINUTE % 60, w.now / SECOND % 60,
	    w.now % SECOND, who, text);
}

void
world_trace(const char *format, ...)
{
	char text[1024];
	va_list args;

	if (world_blackout)
		return;
	va_start(args, format);
	(void)vsnprintf(text, sizeof text, format, args);
	va_end(args);
	world_note(&w.now, sizeof w.now);
	world_note(text, strlen(text));
	if (w.verbose)
		say(world_current == NULL ? "-" : world_current->name, text);
}

void
world_fail(const char *format, ...)
{
	char text[sizeof w.failure];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof text, format, args);
	va_end(args);
	world_trace("BROKEN: %s", text);
	if (w.failure[0] == '\0')
		memcpy(w.failure, text, sizeof text);
}

const char *
world_failure(void)
{
	return w.failure[0] == '\0' ? NULL : w.failure;
}

static void
show_event(enum log_event event, const struct msgid *id, const struct log_field *fields, size_t n)
{
	char text[2048], qid[QUEUE_ID_LEN];
	size_t at = (size_t)snprintf(text, sizeof text, "log: %s", log_event_info[event].name);

	if (id != NULL) {
		queue_id_format(*id, qid);
		at += (size_t)snprintf(text + at, sizeof text - at, " %.*s", (int)sizeof qid, qid);
	}
	for (size_t i = 0; i < n && at < sizeof text; i++)
		if (fields[i].kind == LOG_U64)
			at += (size_t)snprintf(text + at, sizeof text - at, " %s=%" PRIu64, fields[i].key, fields[i].u64);
		else if (fields[i].kind == LOG_STR && fields[i].str.n > 0)
			at += (size_t)snprintf(text + at, sizeof text - at, " %s=\"%.*s\"", fields[i].key,
			    (int)fields[i].str.n, (const char *)fields[i].str.p);
	say(world_current == NULL ? "-" : world_current->name, text);
}

/* The log of all rooms is part of what happened. */
void
__wrap_log_event(enum log_event event, const struct msgid *id, const struct log_field *fields, size_t n)
{
	if (world_blackout || log_event_info[event].severity == SEV_DEBUG)
		return;
	world_note(&w.now, sizeof w.now);
	world_note(log_event_info[event].name, strlen(log_event_info[event].name));
	for (size_t i = 0; i < n; i++)
		if (fields[i].kind == LOG_U64)
			world_note(&fields[i].u64, sizeof fields[i].u64);
		else if (fields[i].kind == LOG_STR && fields[i].str.n > 0)
			world_note(fields[i].str.p, fields[i].str.n);
	if (id != NULL)
		world_note(&id->seq, sizeof id->seq);
	if (w.verbose)
		show_event(event, id, fields, n);
}
