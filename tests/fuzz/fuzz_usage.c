/* tests/fuzz/fuzz_usage.c -- the file of what users have sent: whatever stands in it, with a hash that fits. What is taken is
 * written again as the same users with the same counts. */
#include "vault/auth_usage.h"

#include <sodium.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum rc
read_with_hash(struct usage *u, struct slice s)
{
	struct buf bytes = BUF_INIT(1 << 20);
	uint8_t hash[32];
	enum rc rc;

	(void)crypto_generichash(hash, sizeof hash, s.p, s.n, NULL, 0);
	if (!buf_put_slice(&bytes, s) || !buf_put(&bytes, hash, sizeof hash))
		abort();
	rc = usage_read(u, buf_slice(&bytes));
	buf_free(&bytes);
	return rc;
}

static void
compare(const struct usage *a, const struct usage *b)
{
	if (a->users.n != b->users.n)
		abort();
	for (const struct usage_user *user = usage_after(a, 0); user != NULL; user = user->made_after) {
		const struct usage_user *other = usage_find(b, slice_of(user->name, user->n));
		int64_t now = user->day.now < INT64_MAX / USAGE_DAY_PART ? user->day.now * USAGE_DAY_PART : 0;
		struct usage_sums n = usage_sums(user, now), m;

		if (other == NULL || other->login != user->login || other->failure != user->failure)
			abort();
		m = usage_sums(other, now);
		if (n.hour_messages != m.hour_messages || n.hour_rcpts != m.hour_rcpts || n.day_messages != m.day_messages ||
		    n.day_rcpts != m.day_rcpts)
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct usage u, again;
	static struct loop *loop;
	struct buf bytes = BUF_INIT(1 << 20), why = BUF_INIT(USAGE_TEXT_MAX);
	const struct au_count more = { S("somebody"), 1, 1, 5, 5, 1000 };
	const struct conf_auth conf = { .max_counted_users = 3, .user_recipients_hour = 1, .user_messages_day = 1 };

	if (size > 100000)
		return 0;
	if (loop == NULL && (sodium_init() == -1 || (loop = loop_new()) == NULL))
		abort();
	usage_init(&u, loop);
	usage_init(&again, loop);
	if (read_with_hash(&u, slice_of(data, size)) == RC_OK) {
		if (!usage_put(&u, &bytes) || usage_read(&again, buf_slice(&bytes)) != RC_OK)
			abort();
		compare(&u, &again);
		for (const struct usage_user *user = usage_after(&u, 0); user != NULL; user = user->made_after) {
			(void)usage_sums(user, 0);
			(void)usage_sums(user, 1800000000);
		}
		if (u.newest != NULL)
			(void)usage_spend(&u, &conf, slice_of(u.newest->name, u.newest->n), 1, 1, 1800000000, &why);
		usage_count(&u, &conf, &more, 1800000000);
		if (u.users.n > 3)
			abort();
	}
	buf_free(&bytes);
	buf_free(&why);
	usage_free(&u);
	usage_free(&again);
	return 0;
}
