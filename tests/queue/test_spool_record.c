/* tests/queue/test_spool_record.c -- frames and scans: what verifies, what does not, and where a segment ends. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "queue/spool_record.h"
#include "queue/spool_scan.h"

#include <stdlib.h>

static const uint8_t nonce[SPOOL_NONCE_BYTES] = "0123456789abcde";

/* A segment in memory, written as the committer would. */
struct image {
	uint8_t bytes[64 * 1024];
	size_t end, start;
	struct spool_key key;
	uint64_t sequence, batch, digest;
	uint32_t frames;
};

static void
image_init(struct image *m)
{
	struct spool_segment s = { .format = SPOOL_FORMAT, .boot = 3, .spool = 77, .number = 5, .made_at = 9 };

	memset(m, 0, sizeof *m);
	memcpy(s.nonce, nonce, sizeof nonce);
	spool_key_make(&m->key, nonce);
	spool_segment_frame(m->bytes, &s);
	m->end = m->start = SPOOL_FIRST_FRAME;
}

static size_t
image_add(struct image *m, uint8_t type, uint16_t flags, const void *payload, uint32_t n)
{
	struct spool_header h = { .type = type, .version = 1, .flags = flags, .length = n, .sequence = ++m->sequence,
		.id = { 77, 3, 42 } };
	size_t at = m->end;

	assert_true(m->end + spool_frame_bytes(n) <= sizeof m->bytes);
	if (n > 0)
		memcpy(m->bytes + at + SPOOL_HEADER_BYTES, payload, n);
	spool_frame_finish(&m->key, m->bytes + at, &h);
	m->end += spool_frame_bytes(n);
	m->digest = spool_digest(&m->key, m->digest, m->bytes + at);
	m->frames++;
	return at;
}

static size_t
image_commit(struct image *m)
{
	struct spool_commit c = { ++m->batch, m->digest, (uint32_t)m->start, m->frames };
	uint8_t payload[SPOOL_COMMIT_PAYLOAD];
	struct wr w = { payload, 0, sizeof payload, false };
	size_t at;

	spool_commit_put(&w, &c);
	at = image_add(m, SPOOL_COMMIT, 0, payload, sizeof payload);
	m->start = m->end;
	m->digest = 0;
	m->frames = 0;
	return at;
}

static enum rc
image_scan(const struct image *m, struct spool_scan *s, uint32_t end, bool later)
{
	return spool_scan(s, &m->key, slice_of(m->bytes, sizeof m->bytes), (struct spool_limit){ end, later });
}

static void
test_frame_round_trip(void **state)
{
	struct spool_key key, other;
	struct spool_header h = { .type = SPOOL_DONE, .version = 1, .flags = 0x0102, .length = 5, .sequence = 7,
		.id = { UINT64_C(0xffffffffffff), 65535, UINT64_C(1) << 39 } }, back;
	uint8_t frame[64];

	(void)state;
	spool_key_make(&key, nonce);
	spool_key_none(&other);
	memcpy(frame + SPOOL_HEADER_BYTES, "hello", 5);
	spool_frame_finish(&key, frame, &h);
	assert_int_equal(spool_frame_bytes(5), 56);
	assert_int_equal(frame[SPOOL_HEADER_BYTES + 5], 0);
	assert_int_equal(spool_header_parse(&key, slice_of(frame, 56), &back), RC_OK);
	assert_int_equal(back.type, h.type);
	assert_int_equal(back.flags, h.flags);
	assert_int_equal(back.length, 5);
	assert_int_equal(back.sequence, 7);
	assert_true(msgid_eq(back.id, h.id));
	assert_true(spool_payload_ok(&key, &back, slice_of(frame + SPOOL_HEADER_BYTES, 5)));
	/* The same bytes under another nonce are nothing. */
	assert_int_equal(spool_header_parse(&other, slice_of(frame, 56), &back), RC_CORRUPT);
	assert_int_equal(spool_header_parse(&key, slice_of(frame, 47), &back), RC_CORRUPT);
}

static void
test_every_flip_is_seen(void **state)
{
	struct spool_key key;
	struct spool_header h = { .type = SPOOL_FLAGS, .version = 1, .length = 4, .sequence = 7, .id = { 1, 2, 3 } }, back;
	uint8_t frame[SPOOL_HEADER_BYTES + 8];

	(void)state;
	spool_key_make(&key, nonce);
	memcpy(frame + SPOOL_HEADER_BYTES, "abcd", 4);
	spool_frame_finish(&key, frame, &h);
	for (size_t bit = 0; bit < (SPOOL_HEADER_BYTES + 4) * 8; bit++) {
		frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(spool_header_parse(&key, slice_of(frame, sizeof frame), &back) == RC_OK &&
		    spool_payload_ok(&key, &back, slice_of(frame + SPOOL_HEADER_BYTES, 4)));
		frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void
test_payloads_round_trip(void **state)
{
	struct spool_seal_record seal = { 9, 4096, 12, 34, SPOOL_SEAL_FAILED }, seal2;
	struct spool_end end = { 1, 2, 3, 4, 5 }, end2;
	struct spool_deferred d = { 1, 2, 451, -3, 4, SLICE("busy") }, d2;
	struct spool_identity i = { 1, 65535, 0, UINT64_C(0xabcdef012345) }, i2;
	uint8_t room[128], id[SPOOL_ID_BYTES];
	struct wr w = { room, 0, sizeof room, false };

	(void)state;
	spool_seal_put(&w, &seal);
	assert_int_equal(w.n, SPOOL_SEAL_PAYLOAD);
	assert_int_equal(spool_seal_get(slice_of(room, w.n), &seal2), RC_OK);
	assert_int_equal(seal2.digest, 34);
	assert_int_equal(spool_seal_get(slice_of(room, w.n - 1), &seal2), RC_CORRUPT);
	w.n = 0;
	spool_end_put(&w, &end);
	assert_int_equal(w.n, SPOOL_END_PAYLOAD);
	assert_int_equal(spool_end_get(slice_of(room, w.n), &end2), RC_OK);
	assert_int_equal(end2.digest, 5);
	w.n = 0;
	spool_deferred_put(&w, &d);
	assert_int_equal(w.n, spool_deferred_bytes(4));
	assert_int_equal(spool_deferred_get(slice_of(room, w.n), &d2), RC_OK);
	assert_true(slice_eq(d2.text, d.text));
	assert_int_equal(d2.next, -3);
	spool_identity_put(id, &i);
	assert_int_equal(spool_identity_parse(slice_of(id, sizeof id), &i2), RC_OK);
	assert_int_equal(i2.boot, 65535);
	id[9] ^= 1;
	assert_int_equal(spool_identity_parse(slice_of(id, sizeof id), &i2), RC_CORRUPT);
}

static void
test_scan_clean(void **state)
{
	struct image *m = malloc(sizeof *m);
	struct spool_scan s;

	(void)state;
	image_init(m);
	assert_int_equal(image_scan(m, &s, 0, false), RC_OK);
	assert_true(s.empty);
	assert_int_equal(s.batch, 0);
	spool_scan_free(&s);
	(void)image_add(m, SPOOL_DROP, 0, NULL, 0);
	(void)image_add(m, SPOOL_FLAGS, 0, "abcd", 4);
	(void)image_commit(m);
	(void)image_add(m, SPOOL_DROP, 0, NULL, 0);
	(void)image_commit(m);
	assert_int_equal(image_scan(m, &s, 0, false), RC_OK);
	assert_int_equal(s.n_entries, 3);
	assert_int_equal(s.n_bad, 0);
	assert_int_equal(s.end, m->end);
	assert_int_equal(s.batch, 2);
	assert_false(s.torn);
	spool_scan_free(&s);
	free(m);
}

/* The power went while a batch was written: it never counted, whatever of it is there. */
static void
test_scan_torn(void **state)
{
	struct image *m = malloc(sizeof *m);
	struct spool_scan s;
	size_t first, second, end;

	(void)state;
	image_init(m);
	(void)image_add(m, SPOOL_DROP, 0, NULL, 0);
	(void)image_commit(m);
	end = m->end;
	first = image_add(m, SPOOL_FLAGS, 0, "abcd", 4);
	/* no COMMIT */
	assert_int_equal(image_scan(m, &s, 0, false), RC_OK);
	assert_int_equal(s.n_entries, 1);
	assert_int_equal(s.end, end);
	assert_true(s.torn);
	spool_scan_free(&s);
	/* COMMIT, but a hole in front of it */
	second = image_add(m, SPOOL_FLAGS, 0, "abcd", 4);
	(void)image_commit(m);
	memset(m->bytes + first, 0, second - first);
	assert_int_equal(image_scan(m, &s, 0, false), RC_OK);
	assert_int_equal(s.n_entries, 1);
	assert_int_equal(s.n_bad, 0);
	assert_int_equal(s.end, end);
	assert_int_equal(s.batch, 1);
	assert_true(s.torn);
	spool_scan_free(&s);
	/* A later segment has a batch: then this one was durable, and the hole is damage. */
	assert_int_equal(image_scan(m, &s, 0, true), RC_OK);
	assert_int_equal(s.n_entries, 2);
	assert_int_equal(s.n_bad, 1);
	assert_int_equal(s.bad[0].offset, first);
	assert_int_equal(s.end, m->end);
	spool_scan_free(&s);
	free(m);
}

static void
test_scan_damage(void **state)
{
	struct image *m = malloc(sizeof *m);
	struct spool_scan s;
	size_t at;

	(void)state;
	image_init(m);
	(void)image_add(m, SPOOL_DROP, 0, NULL, 0);
	at = image_add(m, SPOOL_FLAGS, 0, "abcd", 4);
	(void)image_add(m, SPOOL_DROP, 0, NULL, 0);
	(void)image_commit(m);
	(void)image_add(m, SPOOL_DROP, 0, NULL, 0);
	(void)image_commit(m);
	m->bytes[at + SPOOL_HEADER_BYTES] ^= 1;
	/* A later batch was written, so the first one was durable. */
	assert_int_equal(image_scan(m, &s, 0, false), RC_OK);
	assert_int_equal(s.n_entries, 3);
	assert_int_equal(s.n_bad, 1);
	assert_int_equal(s.bad[0].offset, at);
	assert_int_equal(s.bad[0].length, spool_frame_bytes(4));
	assert_int_equal(s.end, m->end);
	spool_scan_free(&s);
	/* A seal: nothing before it may be cut, nothing behind it counts. */
	assert_int_equal(image_scan(m, &s, (uint32_t)at, true), RC_OK);
	assert_int_equal(s.n_entries, 1);
	assert_int_equal(s.end, at);
	spool_scan_free(&s);
	free(m);
}

/* THREATS 58: a body that looks like records, under a nonce that its author cannot know. */
static void
test_body_imitates_records(void **state)
{
	struct image *m = malloc(sizeof *m), *evil = malloc(sizeof *evil);
	static const uint8_t guess[SPOOL_NONCE_BYTES] = "guess";
	struct spool_scan s;
	size_t at;

	(void)state;
	image_init(evil);
	spool_key_make(&evil->key, guess);
	evil->end = 0;
	(void)image_add(evil, SPOOL_DROP, 0, NULL, 0);
	(void)image_commit(evil);
	image_init(m);
	at = image_add(m, SPOOL_MESSAGE, 0, evil->bytes, (uint32_t)evil->end);
	(void)image_commit(m);
	(void)image_add(m, SPOOL_FLAGS, 0, "abcd", 4);
	(void)image_commit(m);
	m->bytes[at + 20] ^= 1;		/* the scan has to find its way through the body */
	assert_int_equal(image_scan(m, &s, 0, false), RC_OK);
	assert_int_equal(s.n_entries, 1);
	assert_int_equal(s.entries[0].header.type, SPOOL_FLAGS);
	assert_int_equal(s.n_bad, 1);
	spool_scan_free(&s);
	free(m);
	free(evil);
}

static void
test_unknown_types(void **state)
{
	struct image *m = malloc(sizeof *m);
	struct spool_scan s;

	(void)state;
	image_init(m);
	(void)image_add(m, 99, SPOOL_FLAG_OPTIONAL, NULL, 0);
	(void)image_commit(m);
	assert_int_equal(image_scan(m, &s, 0, false), RC_OK);
	spool_scan_free(&s);
	(void)image_add(m, 99, 0, NULL, 0);
	(void)image_commit(m);
	assert_int_equal(image_scan(m, &s, 0, false), RC_UNSUPPORTED);
	free(m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frame_round_trip),
		cmocka_unit_test(test_every_flip_is_seen),
		cmocka_unit_test(test_payloads_round_trip),
		cmocka_unit_test(test_scan_clean),
		cmocka_unit_test(test_scan_torn),
		cmocka_unit_test(test_scan_damage),
		cmocka_unit_test(test_body_imitates_records),
		cmocka_unit_test(test_unknown_types),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
