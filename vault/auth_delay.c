/* vault/auth_delay.c -- see auth_delay.h. */
#include "vault/auth_delay.h"

#include "common/prepare.h"

#include <stdlib.h>

enum what { NETWORK = 1, ACCOUNT, FRIEND };

enum { FOLDED_MAX = 4 * PREPARE_USER_MAX };	/* folding may make a name longer */
enum { FRIEND_MS = 7 * 24 * 3600 * 1000 };	/* how long a network is known to be an account's */

bool
delays_init(struct delays *d)
{
	hash_key_make(&d->hash_key);
	d->sets = calloc(DELAY_SETS + FRIEND_SETS, sizeof *d->sets);
	return d->sets != NULL;
}

void
delays_free(struct delays *d)
{
	free(d->sets);
	d->sets = NULL;
}

/* The account's name in a form of fixed size. Whoever decides about it may see no difference between letters of either case, or
 * between two ways to write one (Dovecot's auth_username_format): all of these are one account here. */
static uint64_t
digest(const struct delays *d, struct slice user)
{
	struct buf folded = BUF_INIT(FOLDED_MAX);
	bool ok = prepare_folded(user, &folded);
	uint64_t hash = keyed_hash(&d->hash_key, ok ? buf_slice(&folded) : user);

	buf_free(&folded);
	return hash;
}

static uint64_t
key_of(const struct delays *d, enum what what, struct ip client, struct slice user)
{
	struct ip_net net = ip_client_network(client, 32, 64);
	uint64_t account = what == NETWORK ? 0 : digest(d, user), key;
	uint8_t in[1 + 1 + sizeof net.ip.b + sizeof account] = { (uint8_t)what };
	size_t n = 1;

	if (what != ACCOUNT) {
		in[n++] = net.ip.family;
		memcpy(in + n, net.ip.b, sizeof net.ip.b);
		n += sizeof net.ip.b;
	}
	if (what != NETWORK) {
		memcpy(in + n, &account, sizeof account);
		n += sizeof account;
	}
	key = keyed_hash(&d->hash_key, slice_of(in, n));
	return key == 0 ? 1 : key;
}

static struct delay_entry *
set_of(struct delays *d, enum what what, uint64_t key)
{
	return d->sets[what == FRIEND ? DELAY_SETS + key % FRIEND_SETS : key % DELAY_SETS];
}

static struct delay_entry *
find(struct delays *d, enum what what, struct ip client, struct slice user)
{
	uint64_t key = key_of(d, what, client, user);
	struct delay_entry *set = set_of(d, what, key);

	for (size_t i = 0; i < DELAY_WAYS; i++)
		if (set[i].key == key)
			return &set[i];
	return NULL;
}

/* In the place of a free one, or of the one whose last failure is longest ago. */
static struct delay_entry *
make(struct delays *d, enum what what, struct ip client, struct slice user, uint64_t now)
{
	uint64_t key = key_of(d, what, client, user);
	struct delay_entry *set = set_of(d, what, key), *e = find(d, what, client, user);

	if (e != NULL)
		return e;
	e = set;
	for (size_t i = 0; i < DELAY_WAYS; i++)
		if (set[i].key == 0 || (e->key != 0 && set[i].since < e->since))
			e = &set[i];
	*e = (struct delay_entry){ .key = key, .since = now };
	return e;
}

static void
forget(struct delay_entry *e, const struct conf_auth *conf, uint64_t now)
{
	uint64_t times = (now - e->since) / conf->failure_forget;

	if (times == 0)
		return;
	e->since += times * conf->failure_forget;
	e->failures = times >= e->failures ? 0 : e->failures - (uint32_t)times;
}

static uint64_t
step_of(const struct delay_entry *e, const struct conf_auth *conf, uint64_t max)
{
	uint64_t step = conf->failure_delay * e->failures;

	return step < max ? step : max;
}

static uint64_t
left_of(const struct delay_entry *e, uint64_t now)
{
	return e == NULL || e->failures == 0 || e->next <= now ? 0 : e->next - now;
}

static void
queue_up(struct delay_entry *e, const struct conf_auth *conf, uint64_t max, uint64_t at)
{
	if (e != NULL && e->failures > 0)
		e->next = (e->next > at ? e->next : at) + step_of(e, conf, max);
}

bool
delays_is_friend(struct delays *d, struct ip client, struct slice user, uint64_t now)
{
	const struct delay_entry *e = find(d, FRIEND, client, user);

	return e != NULL && now - e->since < FRIEND_MS;
}

bool
delays_wait(struct delays *d, const struct conf_auth *conf, struct ip client, struct slice user, uint64_t now,
    uint64_t *ret_ms)
{
	struct delay_entry *network = find(d, NETWORK, client, user);
	struct delay_entry *account = delays_is_friend(d, client, user, now) ? NULL : find(d, ACCOUNT, client, user);
	uint64_t wait, more;

	if (network != NULL)
		forget(network, conf, now);
	if (account != NULL)
		forget(account, conf, now);
	wait = left_of(network, now);
	if (wait > conf->failure_delay_max)
		return false;
	more = left_of(account, now);
	queue_up(network, conf, conf->failure_delay_max, now);
	if (more > conf->account_delay_max)
		more = conf->account_delay_max;
	else
		queue_up(account, conf, conf->account_delay_max, now);
	*ret_ms = wait > more ? wait : more;
	return true;
}

static void
count(struct delay_entry *e, const struct conf_auth *conf, uint64_t max, uint64_t now)
{
	uint64_t next;

	forget(e, conf, now);
	if (e->failures == 0)
		e->since = now;
	if (e->failures < UINT32_MAX)
		e->failures++;
	next = now + step_of(e, conf, max);
	if (e->next < next)
		e->next = next;
}

void
delays_failed(struct delays *d, const struct conf_auth *conf, struct ip client, struct slice user, uint64_t now)
{
	count(make(d, NETWORK, client, user, now), conf, conf->failure_delay_max, now);
	if (user.n > 0)
		count(make(d, ACCOUNT, client, user, now), conf, conf->account_delay_max, now);
}

/* The network's own failures stay: one good account is no licence to guess others. */
void
delays_passed(struct delays *d, const struct conf_auth *conf, struct ip client, struct slice user, uint64_t now)
{
	struct delay_entry *account = find(d, ACCOUNT, client, user);

	(void)conf;
	if (account != NULL)
		account->key = 0;
	make(d, FRIEND, client, user, now)->since = now;
}
