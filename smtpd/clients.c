/* smtpd/clients.c -- see clients.h. */
#include "smtpd/clients.h"

#include <sodium.h>
#include <stdlib.h>

enum { CHAINS_FIRST = 64 };
_Static_assert(sizeof ((struct clients *)0)->key == crypto_shorthash_KEYBYTES, "a SipHash key");

void
clients_init(struct clients *c)
{
	*c = (struct clients){ 0 };
	randombytes_buf(c->key, sizeof c->key);
}

void
clients_free(struct clients *c)
{
	for (size_t i = 0; i < c->n_chains; i++)
		while (c->chains[i] != NULL) {
			struct client *gone = c->chains[i];

			c->chains[i] = gone->next;
			free(gone);
		}
	free(c->chains);
	c->chains = NULL;
	c->n_chains = c->n = 0;
}

static struct client **
chain_of(const struct clients *c, struct ip_net net)
{
	uint8_t in[1 + sizeof net.ip.b];
	union {
		uint8_t b[crypto_shorthash_BYTES];
		uint64_t n;
	} hash;

	in[0] = net.ip.family;
	memcpy(in + 1, net.ip.b, sizeof net.ip.b);
	(void)crypto_shorthash(hash.b, in, sizeof in, c->key);
	return &c->chains[hash.n & (c->n_chains - 1)];
}

/* Keeps chains short. Without memory they get longer, and all goes on. */
static bool
grow(struct clients *c)
{
	size_t n = c->n_chains == 0 ? CHAINS_FIRST : c->n_chains * 2;
	struct clients bigger = *c;

	if (c->n < c->n_chains)
		return true;
	bigger.chains = calloc(n, sizeof *bigger.chains);
	if (bigger.chains == NULL)
		return c->chains != NULL;
	bigger.n_chains = n;
	for (size_t i = 0; i < c->n_chains; i++)
		while (c->chains[i] != NULL) {
			struct client *moved = c->chains[i], **to = chain_of(&bigger, moved->net);

			c->chains[i] = moved->next;
			moved->next = *to;
			*to = moved;
		}
	free(c->chains);
	*c = bigger;
	return true;
}

struct client *
client_enter(struct clients *c, struct ip ip, uint32_t max, bool *ret_full)
{
	struct ip_net net = ip_client_network(ip, 32, 64);
	struct client **chain, *client;

	*ret_full = false;
	if (!grow(c))
		return NULL;
	chain = chain_of(c, net);
	for (client = *chain; client != NULL; client = client->next)
		if (client->net.ip.family == net.ip.family && ip_eq(client->net.ip, net.ip))
			break;
	if (client != NULL && client->n_sessions >= max) {
		*ret_full = true;
		return NULL;
	}
	if (client == NULL) {
		client = calloc(1, sizeof *client);
		if (client == NULL)
			return NULL;
		client->net = net;
		client->next = *chain;
		*chain = client;
		c->n++;
	}
	client->n_sessions++;
	return client;
}

void
client_leave(struct clients *c, struct client *client)
{
	struct client **at;

	if (--client->n_sessions > 0)
		return;
	at = chain_of(c, client->net);
	while (*at != client)
		at = &(*at)->next;
	*at = client->next;
	c->n--;
	free(client);
}
