/* tests/queue/test_draft.c -- what is taken from an smtpd, which ids it may use, and what is kept in memory. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "queue/draft.h"
#include "queue/ids.h"

#include <stdlib.h>

static void
an_smtpd_uses_only_its_own_ids_and_each_once(void **state)
{
	struct ids ids = { { 7, 3, 1 } };
	struct granted_ids a = { .n = 0 }, b = { .n = 0 };
	struct msgid first_a, first_b, id;

	(void)state;
	assert_int_equal(granted_ids_more(&a, &ids, &first_a), RC_OK);
	assert_int_equal(granted_ids_more(&b, &ids, &first_b), RC_OK);
	assert_int_equal(first_b.seq, first_a.seq + IDS_BLOCK);
	id = first_a;
	assert_false(granted_ids_use(&b, id));
	assert_true(granted_ids_use(&a, id));
	assert_false(granted_ids_use(&a, id));
	id.seq += IDS_BLOCK - 1;
	assert_true(granted_ids_use(&a, id));
	id.seq++;
	assert_false(granted_ids_use(&a, id));
	assert_true(granted_ids_use(&b, id));
	id = (struct msgid){ 8, 3, 5 };
	assert_false(granted_ids_use(&a, id));
	id = (struct msgid){ 7, 4, 5 };
	assert_false(granted_ids_use(&a, id));
	id = (struct msgid){ 7, 3, 0 };
	assert_false(granted_ids_use(&a, id));
	granted_ids_free(&a);
	granted_ids_free(&b);
}

static void
old_blocks_go_and_the_ring_keeps_order(void **state)
{
	struct ids ids = { { 7, 3, 1 } };
	struct granted_ids g = { .n = 0 };
	struct msgid first, last = { 0, 0, 0 };

	(void)state;
	for (unsigned i = 0; i < IDS_BLOCKS_MAX + 10; i++)
		assert_int_equal(granted_ids_more(&g, &ids, &last), RC_OK);
	first = (struct msgid){ 7, 3, 1 + 9 * IDS_BLOCK };
	assert_false(granted_ids_use(&g, first));
	first.seq += IDS_BLOCK;
	assert_true(granted_ids_use(&g, first));
	assert_true(granted_ids_use(&g, last));
	granted_ids_free(&g);
}

static void
ids_run_out_instead_of_coming_twice(void **state)
{
	struct ids ids = { { 7, 3, QUEUE_ID_SEQ_MAX - IDS_BLOCK } };
	struct own_ids own = { .left = 0 };
	struct msgid id;

	(void)state;
	for (unsigned i = 0; i < IDS_BLOCK; i++) {
		assert_int_equal(own_ids_next(&own, &ids, &id), RC_OK);
		assert_int_equal(id.seq, QUEUE_ID_SEQ_MAX - IDS_BLOCK + i);
	}
	assert_int_equal(own_ids_next(&own, &ids, &id), RC_RANGE);
}

static struct envelope_rcpt
rcpt(struct slice address)
{
	return (struct envelope_rcpt){ .address = address, .transport = S("smtp"), .nexthop = S("sink.test"), .generation = 1 };
}

static const char *
check(const struct envelope *e, const struct envelope_rcpt *r)
{
	struct buf b = BUF_INIT(1 << 20);
	struct envelope out;
	const char *why;

	assert_true(envelope_put(&b, e));
	if (r != NULL)
		assert_true(envelope_put_rcpt(&b, r));
	why = draft_check_envelope(buf_slice(&b), &out);
	buf_free(&b);
	return why;
}

static void
envelopes_from_a_broken_smtpd_are_refused(void **state)
{
	struct envelope good = { .sender = S("alice@postern.test") }, e = good;
	struct envelope_rcpt r = rcpt(S("x@sink.test"));
	struct envelope out;

	(void)state;
	assert_null(check(&good, &r));
	e.sender = S("");
	assert_null(check(&e, &r));
	e.flags = ENVELOPE_8BITMIME;
	assert_null(check(&e, &r));
	e.flags = ENVELOPE_BOUNCE;
	assert_non_null(check(&e, &r));
	assert_non_null(check(&good, NULL));
	e = good;
	e.sender = S("alice@postern.test>\r\nRCPT TO:<victim@x.test");
	assert_non_null(check(&e, &r));
	r = rcpt(S("no address"));
	assert_non_null(check(&good, &r));
	r = rcpt(S("x@sink.test\n"));
	assert_non_null(check(&good, &r));
	r = rcpt(S("x@sink.test"));
	r.nexthop = S("");
	assert_non_null(check(&good, &r));
	r.nexthop = S("a\nb");
	assert_non_null(check(&good, &r));
	assert_non_null(draft_check_envelope(S("\1\2\3"), &out));
	assert_non_null(draft_check_envelope(S(""), &out));
}

static void
recent_bytes_stay_within_the_budget(void **state)
{
	enum { N = 400 };
	struct message *m[N];
	struct recents all;
	uint8_t *big = calloc(1, RECENT_ONE_MAX);
	struct slice envelope, content;

	(void)state;
	assert_non_null(big);
	recents_init(&all);
	for (unsigned i = 0; i < N; i++) {
		m[i] = message_new((struct msgid){ 1, 1, i }, 1);
		recent_keep(&all, m[i], S("envelope"), slice_of(big, RECENT_ONE_MAX));
		assert_true(all.bytes <= RECENT_BYTES_MAX);
		assert_true(recent_get(m[i], &envelope, &content));
		assert_int_equal(content.n, RECENT_ONE_MAX);
		assert_true(slice_eq(envelope, S("envelope")));
	}
	assert_false(recent_get(m[0], &envelope, &content));
	recent_drop(&all, m[N - 1]);
	assert_false(recent_get(m[N - 1], &envelope, &content));
	recents_free(&all);
	assert_int_equal(all.bytes, 0);
	for (unsigned i = 0; i < N; i++)
		free(m[i]);
	free(big);
}

static void
reasons_are_kept_once(void **state)
{
	struct message *a = message_new((struct msgid){ 1, 1, 1 }, 2), *b = message_new((struct msgid){ 1, 1, 2 }, 1);
	struct reasons all;
	size_t bytes;

	(void)state;
	reasons_init(&all, 3);
	reason_set(&all, a, 0, S("greylisted"));
	bytes = all.bytes;
	reason_set(&all, a, 1, S("greylisted"));
	reason_set(&all, b, 0, S("greylisted"));
	assert_int_equal(all.bytes, bytes);
	assert_true(slice_eq(reason_of(b, 0), S("greylisted")));
	reason_set(&all, b, 0, reason_of(b, 0));
	assert_true(slice_eq(reason_of(b, 0), S("greylisted")));
	reason_set(&all, a, 1, S(""));
	assert_int_equal(reason_of(a, 1).n, 0);
	reasons_drop(&all, a);
	reasons_drop(&all, b);
	assert_int_equal(all.bytes, 0);
	free(a);
	free(b);
	reasons_free(&all);
}

/* Many drafts whose disk writes one piece now and then: their bytes never pass the limit, and none of them is stuck. */
static void
drafts_stay_within_their_bytes_and_get_on(void **state)
{
	enum { N = 20, BASE = DRAFT_SHARE_MIN - IPC_CONTENT_WINDOW };
	const uint64_t max = (N + 2) * DRAFT_SHARE_MIN, window = IPC_CONTENT_WINDOW;
	struct { uint64_t held, ahead, taken; bool file; } d[N];
	uint64_t used = N * DRAFT_SHARE_MIN, least = UINT64_MAX;
	unsigned dice = 1;

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		memset(&d[i], 0, sizeof d[i]);
		d[i].held = BASE;
		d[i].ahead = window;
		assert_int_equal(draft_share(d[i].held, d[i].ahead), DRAFT_SHARE_MIN);
	}
	for (unsigned turn = 0; turn < 200000; turn++) {
		unsigned i;
		uint64_t n, credit;

		dice = dice * 1103515245 + 12345;
		i = (dice >> 8) % N;
		used -= draft_share(d[i].held, d[i].ahead);
		if ((dice >> 24) % 2 == 0) {
			n = d[i].ahead < 32768 ? d[i].ahead : 32768;
			d[i].held += n;
			d[i].ahead -= n;
			d[i].taken += n;
		} else if (d[i].file)
			d[i].held = BASE;
		used += draft_share(d[i].held, d[i].ahead);
		assert_true(used <= max);
		credit = draft_credit(window, d[i].held, d[i].ahead, max - used);
		if (credit == 0 && window >= d[i].ahead + DRAFT_CREDIT_STEP)
			d[i].file = true;
		used -= draft_share(d[i].held, d[i].ahead);
		d[i].ahead += credit;
		used += draft_share(d[i].held, d[i].ahead);
		assert_true(used <= max);
		assert_true(d[i].ahead <= window);
	}
	for (unsigned i = 0; i < N; i++)
		least = d[i].taken < least ? d[i].taken : least;
	assert_true(least > 20 * window);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_smtpd_uses_only_its_own_ids_and_each_once),
		cmocka_unit_test(old_blocks_go_and_the_ring_keeps_order),
		cmocka_unit_test(ids_run_out_instead_of_coming_twice),
		cmocka_unit_test(envelopes_from_a_broken_smtpd_are_refused),
		cmocka_unit_test(recent_bytes_stay_within_the_budget),
		cmocka_unit_test(reasons_are_kept_once),
		cmocka_unit_test(drafts_stay_within_their_bytes_and_get_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
