/* vault/auth_usage.c -- see auth_usage.h. */
#include "vault/auth_usage.h"

#include <stdlib.h>

static void
on_timer(struct timer *t, void *ctx)
{
	(void)t;
	usage_save(ctx);
}

void
usage_init(struct usage *u, struct loop *loop)
{
	*u = (struct usage){ .fds = { -1, -1 } };
	hash_table_init(&u->users);
	timer_setup(&u->timer, loop, on_timer, u);
}

/* --- who is kept --- */

static void
unlink_age(struct usage *u, struct usage_user *user)
{
	if (u->next_kept == user)
		u->next_kept = user->newer;
	*(user->older != NULL ? &user->older->newer : &u->oldest) = user->newer;
	*(user->newer != NULL ? &user->newer->older : &u->newest) = user->older;
}

static void
link_newest(struct usage *u, struct usage_user *user)
{
	user->older = u->newest;
	user->newer = NULL;
	*(u->newest != NULL ? &u->newest->newer : &u->oldest) = user;
	u->newest = user;
}

static void
forget_oldest(struct usage *u)
{
	struct usage_user *user = u->oldest;

	hash_table_remove(&u->users, &user->entry);
	unlink_age(u, user);
	*(user->made_before != NULL ? &user->made_before->made_after : &u->first) = user->made_after;
	*(user->made_after != NULL ? &user->made_after->made_before : &u->last) = user->made_before;
	free(user);
}

void
usage_clear(struct usage *u)
{
	while (u->oldest != NULL)
		forget_oldest(u);
}

void
usage_free(struct usage *u)
{
	if (u->gathers)
		usage_give_up(u);
	usage_clear(u);
	hash_table_clear(&u->users, NULL);
	timer_cancel(&u->timer);
}

static struct usage_user *
find(const struct usage *u, struct slice name, uint64_t hash)
{
	for (struct hash_entry *e = hash_table_find(&u->users, hash); e != NULL; e = hash_entry_next(e)) {
		struct usage_user *user = (struct usage_user *)e;

		if (slice_eq(slice_of(user->name, user->n), name))
			return user;
	}
	return NULL;
}

const struct usage_user *
usage_find(const struct usage *u, struct slice user)
{
	return find(u, user, keyed_hash(&u->users.key, user));
}

/* The user, made when he is new. NULL: no memory, or no name. */
static struct usage_user *
touch(struct usage *u, const struct conf_auth *conf, struct slice name)
{
	uint64_t hash = keyed_hash(&u->users.key, name);
	struct usage_user *user;

	if (name.n == 0 || name.n > PREPARE_USER_MAX)
		return NULL;
	user = find(u, name, hash);
	if (user != NULL) {
		usage_keep(u, user);
		unlink_age(u, user);
		link_newest(u, user);
		return user;
	}
	while (u->users.n > 0 && u->users.n >= conf->max_counted_users)
		forget_oldest(u);
	user = calloc(1, sizeof *user + name.n);
	if (user == NULL)
		return NULL;
	user->key = ++u->last_key;
	user->kept = u->gathers ? u->serial : 0;
	user->n = name.n;
	memcpy(user->name, name.p, name.n);
	hash_table_add(&u->users, &user->entry, hash);
	user->made_before = u->last;
	*(u->last != NULL ? &u->last->made_after : &u->first) = user;
	u->last = user;
	link_newest(u, user);
	return user;
}

const struct usage_user *
usage_after(const struct usage *u, uint64_t key)
{
	const struct usage_user *user = u->first;

	while (user != NULL && user->key <= key)
		user = user->made_after;
	return user;
}

bool
usage_is_unlimited(const struct conf_auth *conf, struct slice user)
{
	for (size_t i = 0; i < conf->unlimited_users.n; i++)
		if (slice_eq(slice_str(conf->unlimited_users.v[i]), user))
			return true;
	return false;
}

/* --- windows --- */

/* The window at this time: what is older than it is dropped. A clock that was set back moves nothing: what was counted stays
 * counted. */
static struct usage_window
moved(const struct usage_window *w, unsigned parts, int64_t now)
{
	struct usage_window new = { .now = now };

	for (unsigned i = 0; i < parts; i++) {
		int64_t part = (w->now > now ? now : w->now) - i;	/* as it counts from now on */

		if (part <= now - (int64_t)parts || part < 0 || w->now < i)
			break;
		new.messages[part % parts] = w->messages[(w->now - i) % parts];
		new.rcpts[part % parts] = w->rcpts[(w->now - i) % parts];
	}
	return new;
}

static void
move(struct usage_user *user, int64_t now)
{
	if (user->hour.now != now / USAGE_HOUR_PART)
		user->hour = moved(&user->hour, USAGE_HOUR_PARTS, now / USAGE_HOUR_PART);
	if (user->day.now != now / USAGE_DAY_PART)
		user->day = moved(&user->day, USAGE_DAY_PARTS, now / USAGE_DAY_PART);
}

static uint64_t
sum(const uint32_t *v, unsigned parts)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < parts; i++)
		n += v[i];
	return n;
}

struct usage_sums
usage_sums(const struct usage_user *user, int64_t now)
{
	struct usage_window hour = moved(&user->hour, USAGE_HOUR_PARTS, now / USAGE_HOUR_PART);
	struct usage_window day = moved(&user->day, USAGE_DAY_PARTS, now / USAGE_DAY_PART);

	return (struct usage_sums){ sum(hour.messages, USAGE_HOUR_PARTS), sum(hour.rcpts, USAGE_HOUR_PARTS),
	    sum(day.messages, USAGE_DAY_PARTS), sum(day.rcpts, USAGE_DAY_PARTS) };
}

/* Seconds until so much of it has dropped out that `more` fit below the limit. */
static int64_t
wait_for(const uint32_t *v, unsigned parts, int64_t seconds, uint64_t limit, uint64_t more, int64_t now)
{
	int64_t part = now / seconds;
	uint64_t n = sum(v, parts);

	for (int64_t oldest = part - (int64_t)parts + 1; oldest <= part; oldest++) {
		n -= oldest < 0 ? 0 : v[oldest % parts];
		if (n + more <= limit)
			return (oldest + (int64_t)parts) * seconds - now;
	}
	return (int64_t)parts * seconds;
}

struct limit {
	const uint32_t *counted;
	unsigned parts;
	int64_t part;
	uint32_t limit, more;
	const char *what, *time;
};

/* Is this more than he may? Says so. */
static bool
is_over(const struct limit *l, int64_t now, struct buf *why)
{
	int64_t wait;

	if (l->limit == 0 || l->more == 0 || sum(l->counted, l->parts) + l->more <= l->limit)
		return false;
	wait = wait_for(l->counted, l->parts, l->part, l->limit, l->more, now);
	(void)buf_printf(why, "You may send %u %s%s %s; next in %lld minute%s", l->limit, l->what, l->limit == 1 ? "" : "s",
	    l->time, (long long)(wait + 59) / 60, wait <= 60 ? "" : "s");
	return true;
}

/* --- counting --- */

static void
add(uint32_t *v, uint32_t more)
{
	if (__builtin_add_overflow(*v, more, v))
		*v = UINT32_MAX;
}

/* Out of the parts from the one in which the first of it was spent, that one first: what stays is what stays longest. When it
 * has dropped out, so may have any of it, and nothing is taken. */
static void
take_back(uint32_t *v, int64_t parts, int64_t now, int64_t first, uint32_t n)
{
	if (first <= now - parts)
		return;
	for (int64_t part = first < 0 ? 0 : first; part <= now && n > 0; part++) {
		uint32_t *at = &v[part % parts];
		uint32_t some = *at < n ? *at : n;

		*at -= some;
		n -= some;
	}
}

static void
changed(struct usage *u)
{
	u->dirty = true;
	if (u->workers != NULL && !timer_pending(&u->timer))
		timer_start(&u->timer, USAGE_SAVE_MS);
}

static void
count(struct usage_user *user, uint32_t messages, uint32_t rcpts)
{
	add(&user->hour.messages[user->hour.now % USAGE_HOUR_PARTS], messages);
	add(&user->hour.rcpts[user->hour.now % USAGE_HOUR_PARTS], rcpts);
	add(&user->day.messages[user->day.now % USAGE_DAY_PARTS], messages);
	add(&user->day.rcpts[user->day.now % USAGE_DAY_PARTS], rcpts);
}

void
usage_login(struct usage *u, const struct conf_auth *conf, struct slice name, bool ok, int64_t now)
{
	struct usage_user *user = touch(u, conf, name);

	if (user == NULL)
		return;
	*(ok ? &user->login : &user->failure) = now;
	changed(u);
}

enum rc
usage_spend(struct usage *u, const struct conf_auth *conf, struct slice name, uint32_t messages, uint32_t rcpts, int64_t now,
    struct buf *why)
{
	struct usage_user *user = touch(u, conf, name);

	if (user == NULL)
		return RC_NOMEM;
	move(user, now);
	if (!usage_is_unlimited(conf, name)) {
		const struct limit limits[] = {
			{ user->hour.messages, USAGE_HOUR_PARTS, USAGE_HOUR_PART, conf->user_messages_hour, messages, "message",
			    "an hour" },
			{ user->hour.rcpts, USAGE_HOUR_PARTS, USAGE_HOUR_PART, conf->user_recipients_hour, rcpts, "recipient",
			    "an hour" },
			{ user->day.messages, USAGE_DAY_PARTS, USAGE_DAY_PART, conf->user_messages_day, messages, "message",
			    "a day" },
			{ user->day.rcpts, USAGE_DAY_PARTS, USAGE_DAY_PART, conf->user_recipients_day, rcpts, "recipient",
			    "a day" },
		};

		/* The last one that says no is the one that lasts longest. */
		for (size_t i = sizeof limits / sizeof limits[0]; i > 0; i--)
			if (is_over(&limits[i - 1], now, why))
				return RC_RANGE;
	}
	count(user, messages, rcpts);
	changed(u);
	return RC_OK;
}

void
usage_count(struct usage *u, const struct conf_auth *conf, const struct au_count *m, int64_t now)
{
	struct usage_user *user = touch(u, conf, m->user);
	int64_t first = now - m->age;

	if (user == NULL)
		return;
	move(user, now);
	count(user, m->messages, m->rcpts);
	take_back(user->hour.messages, USAGE_HOUR_PARTS, user->hour.now, first / USAGE_HOUR_PART, m->messages_back);
	take_back(user->hour.rcpts, USAGE_HOUR_PARTS, user->hour.now, first / USAGE_HOUR_PART, m->rcpts_back);
	take_back(user->day.messages, USAGE_DAY_PARTS, user->day.now, first / USAGE_DAY_PART, m->messages_back);
	take_back(user->day.rcpts, USAGE_DAY_PARTS, user->day.now, first / USAGE_DAY_PART, m->rcpts_back);
	changed(u);
}
