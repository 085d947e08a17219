/* tests/queue/test_store.c -- the store on a real directory, with its threads: put, change, read, close, start again. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "queue/draft.h"
#include "queue/spool_io.h"
#include "queue/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KEPT_MAX = 4096 };

struct kept {
	struct msgid id;
	struct store_where where;
	uint64_t size;
	uint32_t flags;
	struct store_rcpt rcpts[2];
	char text[64];
	char envelope[64];
};

struct world {
	char folder[64];
	int dir;
	struct spool_io *io;
	struct loop *loop;
	struct store *store;
	struct store_stats stats;
	enum store_state state;
	struct kept kept[KEPT_MAX];
	unsigned n_kept;
	unsigned waiting;
	enum rc rc;
	struct store_where where;
	char read[2 * 1024 * 1024];
	size_t n_read;
};

static void
on_state(void *ctx, enum store_state state, const char *why)
{
	struct world *w = ctx;

	assert_non_null(why);
	w->state = state;
}

static const struct store_ops ops = { on_state, NULL };

static void
on_visit(void *arg, const struct store_message *m)
{
	struct world *w = arg;
	struct kept *k = &w->kept[w->n_kept++];

	assert_true(w->n_kept < KEPT_MAX);
	memset(k, 0, sizeof *k);
	k->id = m->id;
	k->where = m->where;
	k->size = m->size;
	k->flags = m->flags;
	assert_true(m->envelope.n < sizeof k->envelope);
	memcpy(k->envelope, m->envelope.p, m->envelope.n);
	for (uint32_t i = 0; i < m->n_rcpts && i < 2; i++) {
		k->rcpts[i] = m->rcpts[i];
		if (m->rcpts[i].text.n > 0)
			memcpy(k->text, m->rcpts[i].text.p, m->rcpts[i].text.n);
	}
}

/* Batches written: only they consist of several pieces, the last of which is the COMMIT. */
static atomic_uint batches;
static ssize_t (*real_pwritev)(struct spool_io *io, int fd, const struct iovec *v, int n, uint64_t at);

static ssize_t
counting_pwritev(struct spool_io *io, int fd, const struct iovec *v, int n, uint64_t at)
{
	if (n > 1)
		atomic_fetch_add(&batches, 1);
	return real_pwritev(io, fd, v, n, at);
}

/* So many of the next reads fail. */
static atomic_int failing_reads;
static ssize_t (*real_pread)(struct spool_io *io, int fd, void *to, size_t n, uint64_t at);

static ssize_t
failing_pread(struct spool_io *io, int fd, void *to, size_t n, uint64_t at)
{
	if (atomic_load(&failing_reads) > 0 && atomic_fetch_sub(&failing_reads, 1) > 0)
		return -EIO;
	return real_pread(io, fd, to, n, at);
}

static void
make_store(struct world *w)
{
	static struct spool_io_ops counting;
	struct store_params params = { .segment_size = 256 * 1024, .big_message = 16 * 1024, .allow_unsafe_fs = true };

	w->loop = loop_new();
	w->io = spool_io_real(w->dir);
	counting = *w->io->ops;
	real_pwritev = counting.pwritev;
	counting.pwritev = counting_pwritev;
	real_pread = counting.pread;
	counting.pread = failing_pread;
	w->io->ops = &counting;
	w->store = store_new(w->loop, w->io, &params, &ops, w);
	assert_non_null(w->store);
	assert_int_equal(store_threads_start(w->store), RC_OK);
	w->n_kept = 0;
}

static void
open_store(struct world *w)
{
	const char *why = "";
	enum rc rc;

	make_store(w);
	rc = store_recover(w->store, on_visit, w, &w->stats, &why);
	if (rc != RC_OK)
		print_error("%s\n", why);
	assert_int_equal(rc, RC_OK);
}

static void
shut_store(struct world *w, bool gracefully)
{
	if (gracefully)
		store_close(w->store);
	store_free(w->store);
	spool_io_real_free(w->io);
	loop_free(w->loop);
}

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof *w);

	(void)snprintf(w->folder, sizeof w->folder, "test_store.XXXXXX");
	assert_non_null(mkdtemp(w->folder));
	w->dir = open(w->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	open_store(w);
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;
	char command[128];

	shut_store(w, true);
	close(w->dir);
	(void)snprintf(command, sizeof command, "rm -rf %s", w->folder);
	free(w);
	return getenv("KEEP") != NULL ? 0 : system(command);
}

static void
on_done(void *arg, enum rc rc, struct store_where where)
{
	struct world *w = arg;

	w->waiting--;
	w->rc = rc;
	w->where = where;
}

static void
wait_all(struct world *w)
{
	while (w->waiting > 0)
		loop_turn(w->loop, true);
}

static struct msgid
id_of(struct world *w, uint64_t seq)
{
	struct msgid id = store_first_id(w->store);

	id.seq = seq;
	return id;
}

static struct store_where
put(struct world *w, struct msgid id, const char *envelope, struct slice content)
{
	struct store_mail m = { id, 2, slice_str(envelope), &content, 1 };

	w->waiting++;
	store_put(w->store, &m, on_done, w);
	wait_all(w);
	assert_int_equal(w->rc, RC_OK);
	return w->where;
}

static void
on_read(void *arg, enum rc rc, struct slice bytes)
{
	struct world *w = arg;

	w->waiting--;
	w->rc = rc;
	w->n_read = bytes.n;
	if (bytes.n > 0)
		memcpy(w->read, bytes.p, bytes.n);
}

static struct slice
read_back(struct world *w, struct msgid id, struct store_where where, uint64_t offset, size_t n)
{
	w->waiting++;
	store_read(w->store, id, where, offset, n, on_read, w);
	wait_all(w);
	assert_int_equal(w->rc, RC_OK);
	return slice_of(w->read, w->n_read);
}

static void
change(struct world *w, struct store_change c)
{
	w->waiting++;
	store_change(w->store, &c, on_done, w);
	wait_all(w);
	assert_int_equal(w->rc, RC_OK);
}

static void
test_put_read(void **state)
{
	struct world *w = *state;
	struct store_where where = put(w, id_of(w, 1), "envelope", S("Subject: one\r\n\r\nbody\r\n"));

	assert_int_not_equal(where.segment, 0);
	assert_true(slice_eq(read_back(w, id_of(w, 1), where, 0, 1000), S("Subject: one\r\n\r\nbody\r\n")));
	assert_true(slice_eq(read_back(w, id_of(w, 1), where, 9, 3), S("one")));
	assert_true(slice_eq(read_back(w, id_of(w, 1), where, 1000, 3), S("")));
	w->waiting++;
	store_read_envelope(w->store, id_of(w, 1), where, on_read, w);
	wait_all(w);
	assert_true(slice_eq(slice_of(w->read, w->n_read), S("envelope")));
	/* Another's place */
	w->waiting++;
	store_read(w->store, id_of(w, 2), where, 0, 100, on_read, w);
	wait_all(w);
	assert_int_equal(w->rc, RC_CORRUPT);
}

static void
fill_state(struct world *w)
{
	struct store_where one = put(w, id_of(w, 1), "first", S("content one")), two, three;
	struct store_change changes[2];
	struct slice dsn = SLICE("bounce");

	change(w, (struct store_change){ .kind = STORE_CHANGE_DONE, .id = id_of(w, 1), .where = one, .rcpt = 0 });
	change(w, (struct store_change){ .kind = STORE_CHANGE_DEFERRED, .id = id_of(w, 1), .where = one, .rcpt = 1,
	    .attempts = 3, .code = 451, .next = 12345, .first_failure = 99, .text = S("come back later") });
	change(w, (struct store_change){ .kind = STORE_CHANGE_NOTICED, .id = id_of(w, 1), .where = one, .rcpt = 1 });
	change(w, (struct store_change){ .kind = STORE_CHANGE_FLAGS, .id = id_of(w, 1), .where = one, .flags = 5 });
	two = put(w, id_of(w, 2), "second", S("content two"));
	change(w, (struct store_change){ .kind = STORE_CHANGE_DROP, .id = id_of(w, 2), .where = two });
	/* A bounce and what it is about, in one. */
	three = put(w, id_of(w, 3), "third", S("content three"));
	changes[0] = (struct store_change){ .kind = STORE_CHANGE_BOUNCED, .id = id_of(w, 3), .where = three, .rcpt = 0 };
	changes[1] = (struct store_change){ .kind = STORE_CHANGE_BOUNCED, .id = id_of(w, 3), .where = three, .rcpt = 1 };
	w->waiting++;
	store_commit(w->store, &(struct store_mail){ id_of(w, 4), 1, S("dsn"), &dsn, 1 }, changes, 2, on_done, w);
	wait_all(w);
	assert_int_equal(w->rc, RC_OK);
}

static void
check_state(struct world *w)
{
	assert_int_equal(w->n_kept, 3);
	assert_int_equal(w->kept[0].id.seq, 1);
	assert_string_equal(w->kept[0].envelope, "first");
	assert_int_equal(w->kept[0].size, 11);
	assert_int_equal(w->kept[0].flags, 5);
	assert_int_equal(w->kept[0].rcpts[0].state, STORE_DONE);
	assert_int_equal(w->kept[0].rcpts[1].state, STORE_DEFERRED);
	assert_int_equal(w->kept[0].rcpts[1].attempts, 3);
	assert_int_equal(w->kept[0].rcpts[1].code, 451);
	assert_int_equal(w->kept[0].rcpts[1].next, 12345);
	assert_int_equal(w->kept[0].rcpts[1].first_failure, 99);
	assert_true(w->kept[0].rcpts[1].noticed);
	assert_string_equal(w->kept[0].text, "come back later");
	assert_int_equal(w->kept[1].id.seq, 3);
	assert_int_equal(w->kept[1].rcpts[1].state, STORE_BOUNCED);
	assert_int_equal(w->kept[2].id.seq, 4);
	assert_string_equal(w->kept[2].envelope, "dsn");
	assert_int_equal(w->stats.messages, 3);
	assert_int_equal(w->stats.recipients, 2);
	assert_int_equal(w->stats.damaged, 0);
	assert_int_equal(w->stats.torn, 0);
	assert_true(slice_eq(read_back(w, w->kept[1].id, w->kept[1].where, 0, 100), S("content three")));
}

static void
test_start_again(void **state)
{
	struct world *w = *state;
	struct msgid first = store_first_id(w->store), second;

	fill_state(w);
	shut_store(w, true);
	open_store(w);
	check_state(w);
	second = store_first_id(w->store);
	assert_int_equal(second.spool, first.spool);
	assert_int_equal(second.boot, first.boot + 1);
	/* and without a farewell */
	shut_store(w, false);
	open_store(w);
	check_state(w);
	shut_store(w, false);
	open_store(w);
	check_state(w);
}

static void
test_second_queue_is_refused(void **state)
{
	struct world *w = *state;
	struct store_params params = { .segment_size = 256 * 1024, .big_message = 16 * 1024, .allow_unsafe_fs = true };
	struct store *other = store_new(w->loop, w->io, &params, &ops, w);
	struct store_stats stats;
	const char *why;

	assert_int_equal(store_recover(other, on_visit, w, &stats, &why), RC_EXISTS);
	store_free(other);
}

static void
test_big(void **state)
{
	struct world *w = *state;
	size_t n = 300 * 1000 + 7;
	uint8_t *bytes = malloc(n);
	struct store_where where;

	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 251);
	where = put(w, id_of(w, 1), "big", slice_of(bytes, n));
	assert_true(store_where_is_big(where));
	assert_true(slice_eq(read_back(w, id_of(w, 1), where, 0, n), slice_of(bytes, n)));
	assert_true(slice_eq(read_back(w, id_of(w, 1), where, 65530, 70000), slice_of(bytes + 65530, 70000)));
	assert_true(slice_eq(read_back(w, id_of(w, 1), where, n - 3, 70000), slice_of(bytes + n - 3, 3)));
	shut_store(w, false);
	open_store(w);
	assert_int_equal(w->n_kept, 1);
	assert_int_equal(w->kept[0].size, n);
	assert_int_equal(w->stats.damaged, 0);
	assert_true(slice_eq(read_back(w, w->kept[0].id, w->kept[0].where, 0, n), slice_of(bytes, n)));
	change(w, (struct store_change){ .kind = STORE_CHANGE_DROP, .id = w->kept[0].id, .where = w->kept[0].where });
	shut_store(w, true);
	open_store(w);
	assert_int_equal(w->n_kept, 0);
	free(bytes);
}

static void
on_stream(void *arg, enum rc rc)
{
	(void)arg;
	assert_int_equal(rc, RC_OK);
}

static void
stream_one(struct world *w, uint64_t seq, size_t pieces)
{
	static const uint8_t piece[50000] = "piece";
	struct store_mail m = { id_of(w, seq), 1, S("streamed"), NULL, 0 };
	struct store_stream *st;

	assert_int_equal(store_stream_begin(w->store, &m, 0, on_stream, w, &st), RC_OK);
	for (size_t i = 0; i < pieces; i++) {
		while (store_stream_window(st) < 5000)
			loop_turn(w->loop, true);
		assert_int_equal(store_stream_append(st, slice_of(piece, 5000)), RC_OK);
	}
	w->waiting++;
	store_stream_commit(&st, on_done, w);
	assert_null(st);
	wait_all(w);
	assert_int_equal(w->rc, RC_OK);
	assert_int_equal(store_where_is_big(w->where), pieces * 5000 > 16 * 1024);
	if (pieces > 0)
		assert_int_equal(read_back(w, id_of(w, seq), w->where, 5000 * (pieces - 1), 100000).n, 5000);
}

static void
test_streams(void **state)
{
	struct world *w = *state;
	struct store_mail m = { id_of(w, 50), 1, S("never"), NULL, 0 };
	struct store_stream *st;
	static const uint8_t piece[40000];

	stream_one(w, 1, 0);
	stream_one(w, 2, 2);
	stream_one(w, 3, 600);
	assert_int_equal(store_stream_begin(w->store, &m, 0, on_stream, w, &st), RC_OK);
	assert_int_equal(store_stream_append(st, slice_of(piece, sizeof piece)), RC_OK);
	store_stream_abort(&st);
	shut_store(w, true);
	open_store(w);
	assert_int_equal(w->n_kept, 3);
	assert_int_equal(w->kept[2].size, 600 * 5000);
}

/* What a stream holds is told to the byte; it can be sent to its file early; an aborted one counts until it is gone. */
static void
test_streams_tell_what_they_hold(void **state)
{
	struct world *w = *state;
	struct store_mail m = { id_of(w, 1), 1, S("streamed"), NULL, 0 };
	struct store_stream *st;
	static const uint8_t piece[9000];
	uint64_t empty;

	assert_int_equal(store_stream_begin(w->store, &m, 0, on_stream, w, &st), RC_OK);
	empty = store_stream_held(st);
	assert_int_equal(empty, DRAFT_SHARE_MIN - IPC_CONTENT_WINDOW);
	assert_int_equal(store_stream_append(st, slice_of(piece, sizeof piece)), RC_OK);
	assert_int_equal(store_stream_held(st), empty + sizeof piece);
	store_stream_to_file(st);
	assert_int_equal(store_stream_append(st, slice_of(piece, sizeof piece)), RC_OK);
	assert_int_equal(store_stream_held(st), empty + 2 * sizeof piece);
	while (store_stream_held(st) > empty)
		loop_turn(w->loop, true);
	w->waiting++;
	store_stream_commit(&st, on_done, w);
	wait_all(w);
	assert_int_equal(w->rc, RC_OK);
	assert_true(store_where_is_big(w->where));
	assert_int_equal(read_back(w, m.id, w->where, 0, 100000).n, 2 * sizeof piece);
	m.id = id_of(w, 2);
	assert_int_equal(store_stream_begin(w->store, &m, 0, on_stream, w, &st), RC_OK);
	store_stream_abort(&st);
	assert_int_equal(store_forsaken_bytes(w->store), 0);
	assert_int_equal(store_stream_begin(w->store, &m, 0, on_stream, w, &st), RC_OK);
	assert_int_equal(store_stream_append(st, slice_of(piece, sizeof piece)), RC_OK);
	store_stream_to_file(st);
	store_stream_abort(&st);
	assert_int_equal(store_forsaken_bytes(w->store), empty + sizeof piece);
	while (store_forsaken_bytes(w->store) > 0)
		loop_turn(w->loop, true);
}

static unsigned
count_files(struct world *w)
{
	char command[128], line[32] = "";
	FILE *f;

	(void)snprintf(command, sizeof command, "ls %s/seg | wc -l", w->folder);
	f = popen(command, "r");
	assert_non_null(fgets(line, sizeof line, f));
	pclose(f);
	return (unsigned)strtoul(line, NULL, 10);
}

/* Segments fill, roll, and go when nothing in them is alive. */
static void
test_roll_and_delete(void **state)
{
	struct world *w = *state;
	static struct store_where where[600];
	static const uint8_t body[5000];
	unsigned before;

	for (uint64_t i = 0; i < 600; i++)
		where[i] = put(w, id_of(w, i + 1), "rolling", slice_of(body, sizeof body));
	assert_true(where[599].segment > where[0].segment + 8);
	before = count_files(w);
	assert_true(before > 8);
	for (uint64_t i = 0; i < 590; i++)
		change(w, (struct store_change){ .kind = STORE_CHANGE_DROP, .id = id_of(w, i + 1), .where = where[i] });
	shut_store(w, true);
	open_store(w);
	assert_int_equal(w->n_kept, 10);
	assert_int_equal(w->kept[0].id.seq, 591);
	assert_int_equal(w->stats.damaged, 0);
	put(w, id_of(w, 1000), "last", S("y"));
	shut_store(w, true);
	assert_true(count_files(w) < 8);
	open_store(w);
	assert_int_equal(w->n_kept, 11);
}

/* Many at once: one sync for all. */
static void
test_batches(void **state)
{
	struct world *w = *state;
	struct slice body = SLICE("small");

	for (uint64_t i = 1; i <= 2000; i++) {
		struct store_mail m = { id_of(w, i), 1, S("many"), &body, 1 };

		w->waiting++;
		store_put(w->store, &m, on_done, w);
	}
	wait_all(w);
	shut_store(w, false);
	open_store(w);
	assert_int_equal(w->n_kept, 2000);
}

static void
on_told(void *arg, const struct store_stats *stats)
{
	struct world *w = arg;

	w->stats = *stats;
	w->waiting--;
}

/* Everything that is told is finished at once, while the rest is still being told. */
static void
drop_when_told(void *arg, const struct store_message *m)
{
	struct world *w = arg;

	w->n_kept++;
	w->waiting++;
	store_drop(w->store, m->id, m->where, on_done, w);
}

/* A start that finds much takes new mail before all of it has been told; no segment goes before its time. */
static void
test_takes_mail_while_it_tells(void **state)
{
	struct world *w = *state;
	char text[600];
	struct slice body = slice_of((uint8_t *)memset(text, 'x', sizeof text), sizeof text);
	struct store_mail m = { { 0, 0, 0 }, 1, S("new"), &body, 1 };
	struct store_stats stats;
	const char *why = "";

	for (uint64_t i = 1; i <= 2000; i++) {
		m.id = id_of(w, i);
		w->waiting++;
		store_put(w->store, &m, on_done, w);
	}
	wait_all(w);
	shut_store(w, false);
	make_store(w);
	assert_int_equal(store_open(w->store, &stats, &why), RC_OK);
	assert_int_equal(stats.messages, 0);
	w->waiting = 1;
	assert_int_equal(store_tell(w->store, drop_when_told, on_told, w), RC_OK);
	m.id = id_of(w, 1);
	w->waiting++;
	store_put(w->store, &m, on_done, w);
	assert_int_equal(w->n_kept, 0);
	wait_all(w);
	assert_int_equal(w->n_kept, 2000);
	assert_int_equal(w->stats.messages, 2000);
	shut_store(w, true);
	open_store(w);
	assert_int_equal(w->n_kept, 1);
}

/* A disk that does not want to read says nothing about what is on it: nothing is given up for it. */
static void
test_a_start_believes_no_failed_read(void **state)
{
	struct world *w = *state;
	struct store_stats stats;
	const char *why = "";

	for (uint64_t i = 1; i <= 20; i++)
		(void)put(w, id_of(w, i), "envelope", S("kept"));
	shut_store(w, false);
	/* spool.id is read last; the first frame of a segment is the first read. */
	make_store(w);
	atomic_store(&failing_reads, 1);
	assert_int_equal(store_open(w->store, &stats, &why), RC_IO);
	assert_string_equal(why, "cannot read a segment");
	shut_store(w, false);
	/* Then while the envelopes are read: it is tried again. */
	make_store(w);
	assert_int_equal(store_open(w->store, &stats, &why), RC_OK);
	atomic_store(&failing_reads, 2);
	w->waiting = 1;
	assert_int_equal(store_tell(w->store, on_visit, on_told, w), RC_OK);
	wait_all(w);
	assert_int_equal(w->n_kept, 20);
	assert_int_equal(w->stats.damaged, 0);
	shut_store(w, true);
	open_store(w);
	assert_int_equal(w->n_kept, 20);
}

/* What became of mail waits a moment for new mail, whose sync it shares; mail of one client waits for nothing. */
static void
test_results_share_the_sync_of_mail(void **state)
{
	struct world *w = *state;
	struct store_where where = put(w, id_of(w, 1), "envelope", S("first"));
	struct slice body = SLICE("second");
	struct store_mail m = { id_of(w, 2), 1, S("envelope"), &body, 1 };
	unsigned before = atomic_load(&batches);

	w->waiting = 2;
	store_drop(w->store, id_of(w, 1), where, on_done, w);
	store_put(w->store, &m, on_done, w);
	wait_all(w);
	assert_int_equal(atomic_load(&batches), before + 1);
	/* And without any mail they are written all the same. */
	where = w->where;
	w->waiting = 1;
	store_drop(w->store, id_of(w, 2), where, on_done, w);
	wait_all(w);
	assert_int_equal(w->rc, RC_OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_put_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_start_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_second_queue_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_big, setup, teardown),
		cmocka_unit_test_setup_teardown(test_streams, setup, teardown),
		cmocka_unit_test_setup_teardown(test_streams_tell_what_they_hold, setup, teardown),
		cmocka_unit_test_setup_teardown(test_roll_and_delete, setup, teardown),
		cmocka_unit_test_setup_teardown(test_batches, setup, teardown),
		cmocka_unit_test_setup_teardown(test_takes_mail_while_it_tells, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_start_believes_no_failed_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_results_share_the_sync_of_mail, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
