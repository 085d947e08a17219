/* vault/auth_share.c -- see auth_share.h. */
#include "vault/auth_share.h"

#include "vault/auth_exchange.h"

#include <stdlib.h>

/* --- networks, by how many they have --- */

static uint64_t
hash_of(const struct auth *auth, unsigned smtpd, struct ip_net net)
{
	uint8_t in[2 + 1 + sizeof net.ip.b] = { (uint8_t)smtpd, (uint8_t)(smtpd >> 8), net.ip.family };

	memcpy(in + 3, net.ip.b, sizeof net.ip.b);
	return keyed_hash(&auth->shares.key, slice_of(in, sizeof in));
}

static struct share *
find(const struct auth *auth, unsigned smtpd, struct ip_net net)
{
	struct hash_entry *e = hash_table_find(&auth->shares, hash_of(auth, smtpd, net));

	for (; e != NULL; e = hash_entry_next(e)) {
		struct share *s = (struct share *)e;

		if (s->smtpd == smtpd && ip_eq(s->net.ip, net.ip))
			return s;
	}
	return NULL;
}

static void
rank(struct asker *a, struct share *s)
{
	s->newer = NULL;
	s->older = a->ranks[s->n].newest;
	*(s->older == NULL ? &a->ranks[s->n].oldest : &s->older->newer) = s;
	a->ranks[s->n].newest = s;
	if (s->n > a->top)
		a->top = s->n;
}

static void
unrank(struct asker *a, struct share *s)
{
	*(s->older == NULL ? &a->ranks[s->n].oldest : &s->older->newer) = s->newer;
	*(s->newer == NULL ? &a->ranks[s->n].newest : &s->newer->older) = s->older;
	while (a->top > 0 && a->ranks[a->top].oldest == NULL)
		a->top--;
}

static struct share *
make(struct auth *auth, unsigned smtpd, struct ip_net net)
{
	struct share *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	s->smtpd = smtpd;
	s->net = net;
	hash_table_add(&auth->shares, &s->entry, hash_of(auth, smtpd, net));
	rank(auth->askers[smtpd], s);
	return s;
}

static void
unmake(struct auth *auth, struct share *s)
{
	unrank(auth->askers[s->smtpd], s);
	hash_table_remove(&auth->shares, &s->entry);
	free(s);
}

static void
set_count(struct auth *auth, struct share *s, unsigned n)
{
	struct asker *a = auth->askers[s->smtpd];

	unrank(a, s);
	a->n = a->n - s->n + n;
	s->n = n;
	rank(a, s);
}

/* --- who goes --- */

static struct exchange *
oldest_in(const struct share *s, enum exchange_state state)
{
	struct exchange *x = s->oldest;

	while (x != NULL && x->state != state)
		x = x->newer;
	return x;
}

/* NULL: there is none. Work that is under way would be done for nobody, and a network that always has more than its places would
 * never see one of its logins end: among its own, only one that waits for its client makes room. */
static struct exchange *
victim_of(const struct share *s, bool for_its_own)
{
	struct exchange *x = oldest_in(s, EX_CLIENT);

	if (x == NULL && !for_its_own)
		x = oldest_in(s, EX_DELAYED);
	/* Dovecot's work is not ours. */
	return x == NULL && !for_its_own ? oldest_in(s, EX_REMOTE) : x;
}

/* Whose place does this smtpd get, now that all are taken? */
static const struct asker *
gives_way(const struct auth *auth, unsigned smtpd)
{
	const struct asker *most = auth->askers[smtpd];
	unsigned lines = 0;

	for (size_t i = 0; i < AUTH_SMTPDS_MAX; i++)
		lines += auth->smtpds[i] != NULL;
	/* Where there are more smtpds than places, an even part is none at all: it can only be somebody else's. */
	if (lines == 0 || (most->n > 0 && most->n >= auth->conf->auth.max_exchanges / lines))
		return most;
	for (size_t i = 0; i < AUTH_SMTPDS_MAX; i++)
		if (auth->askers[i] != NULL && auth->askers[i]->n > most->n)
			most = auth->askers[i];
	return most;
}

/* Of the network that has most; where all of its are being computed, of the next one: or whoever keeps us computing would shut
 * out all others. But nobody takes it of one that has less than itself. */
static struct exchange *
find_victim(const struct asker *a, unsigned smtpd, struct ip_net net)
{
	unsigned tries = 0;

	for (unsigned n = a->top; n > 0; n--)
		for (const struct share *s = a->ranks[n].oldest; s != NULL; s = s->newer) {
			bool own = s->smtpd == smtpd && ip_eq(s->net.ip, net.ip);
			struct exchange *victim = victim_of(s, own);

			if (victim != NULL || own || ++tries == SHARE_TRIES_MAX)
				return victim;
		}
	return NULL;
}

static bool
make_room(const struct auth *auth, unsigned smtpd, struct ip_net net)
{
	struct exchange *victim = find_victim(gives_way(auth, smtpd), smtpd, net);

	if (victim != NULL)
		exchange_no(victim, AUTH_TEMPORARY, "too many logins are under way: this one made room");
	return victim != NULL;
}

static bool
make_room_in_network(struct auth *auth, const struct exchange *x, unsigned smtpd, struct ip_net net)
{
	/* An exempt one has the places that there are in ranks[]. */
	unsigned max = x->exempt ? SHARE_MAX : auth->conf->auth.max_exchanges_network;
	struct exchange *victim;
	const struct share *s;

	/* More than one when a reload has made the number smaller. */
	while ((s = find(auth, smtpd, net)) != NULL && s->n >= max) {
		victim = victim_of(s, true);
		if (victim == NULL)
			return false;
		exchange_no(victim, AUTH_TEMPORARY, "too many logins of this network are under way: this one made room");
	}
	return true;
}

const char *
share_enter(struct auth *auth, struct exchange *x)
{
	const struct conf *conf = auth->conf;
	struct ip_net net = ip_client_network(x->client, conf->limits.ipv4_prefix, conf->limits.ipv6_prefix);
	unsigned smtpd = peer_index(x->peer);
	struct share *s;

	if (auth->askers[smtpd] == NULL && (auth->askers[smtpd] = calloc(1, sizeof *auth->askers[smtpd])) == NULL)
		return "out of memory";
	if (!make_room_in_network(auth, x, smtpd, net))
		return "too many logins of this network are under way";
	while (auth->exchanges.n >= conf->auth.max_exchanges)
		if (!make_room(auth, smtpd, net))
			return "too many logins are under way";
	/* It may have gone with its last one. */
	s = find(auth, smtpd, net);
	if (s == NULL && (s = make(auth, smtpd, net)) == NULL)
		return "out of memory";
	set_count(auth, s, s->n + 1);
	x->share = s;
	x->newer = NULL;
	x->older = s->newest;
	*(x->older == NULL ? &s->oldest : &x->older->newer) = x;
	s->newest = x;
	return NULL;
}

void
share_leave(struct auth *auth, struct exchange *x)
{
	struct share *s = x->share;

	if (s == NULL)
		return;
	x->share = NULL;
	*(x->older == NULL ? &s->oldest : &x->older->newer) = x->newer;
	*(x->newer == NULL ? &s->newest : &x->newer->older) = x->older;
	set_count(auth, s, s->n - 1);
	if (s->n == 0)
		unmake(auth, s);
}

void
shares_free(struct auth *auth)
{
	hash_table_clear(&auth->shares, NULL);
	for (size_t i = 0; i < AUTH_SMTPDS_MAX; i++) {
		free(auth->askers[i]);
		auth->askers[i] = NULL;
	}
}
