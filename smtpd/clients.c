/* smtpd/clients.c -- see clients.h. */
#include "smtpd/clients.h"

#include "smtpd/session.h"

#include <stdlib.h>

enum { GOOD_SECONDS = 24 * 3600 };	/* how long an accepted message speaks for its sender */

void
clients_init(struct clients *c, struct loop *loop)
{
	struct hash_key key;

	*c = (struct clients){ .loop = loop };
	hash_table_init(&c->table);
	hash_key_make(&key);
	for (size_t i = 0; i < CLIENT_SIZES; i++)
		c->sizes_end[i] = &c->sizes[i];
	/* Without memory nothing is counted but sessions; a process so poor will end soon. */
	(void)counts_alone(&c->counts, CLIENT_ROWS_ALONE, &key);
}

static void
client_free(struct hash_entry *e)
{
	free(e);
}

void
clients_free(struct clients *c)
{
	hash_table_clear(&c->table, client_free);
	table_free(c->exempt);
	c->exempt = NULL;
	counts_close(&c->counts);
}

enum rc
clients_share(struct clients *c, void *own, const void *all, size_t size, uint32_t index)
{
	struct counts shared;
	enum rc rc = counts_open(&shared, own, all, size, index);

	if (rc != RC_OK)
		return rc;
	counts_close(&c->counts);
	c->counts = shared;
	return RC_OK;
}

/* --- time --- */

static uint32_t
seconds(const struct clients *c)
{
	return (uint32_t)(loop_now(c->loop) / 1000);
}

static struct counts_time
time_of(const struct clients *c, const struct conf *conf)
{
	return counts_time(loop_now(c->loop), conf->limits.interval);
}

void
clients_adopt(struct clients *c, const struct conf *conf)
{
	networks_renew(conf, &conf->limits.exempt, &c->exempt);
}

/* --- by size --- */

static unsigned
size_class(uint32_t n)
{
	return n == 0 ? 0 : 31U - (unsigned)__builtin_clz(n);
}

static void
size_remove(struct clients *c, struct client *client)
{
	unsigned class = size_class(client->n_sessions);

	*client->size_link = client->size_next;
	if (client->size_next != NULL)
		client->size_next->size_link = client->size_link;
	else
		c->sizes_end[class] = client->size_link;
}

static void
size_insert(struct clients *c, struct client *client)
{
	unsigned class = size_class(client->n_sessions);

	client->size_next = NULL;
	client->size_link = c->sizes_end[class];
	*client->size_link = client;
	c->sizes_end[class] = &client->size_next;
}

static void
resize(struct clients *c, struct client *client, uint32_t n)
{
	if (size_class(n) == size_class(client->n_sessions)) {
		client->n_sessions = n;
	} else {
		size_remove(c, client);
		client->n_sessions = n;
		size_insert(c, client);
	}
	if (client->row != NULL)
		counts_sessions(&c->counts, client->row, n);
}

/* --- coming and going --- */

static struct client *
client_new(struct clients *c, struct ip_net net, uint64_t place)
{
	struct client *client = calloc(1, sizeof *client);

	if (client == NULL)
		return NULL;
	client->net = net;
	if (c->counts.own != NULL) {
		client->hash = counts_hash(&c->counts, net);
		client->row = counts_row(&c->counts, net, client->hash, seconds(c));
	}
	client->n_sessions = 1;
	if (client->row != NULL)
		counts_sessions(&c->counts, client->row, 1);
	size_insert(c, client);
	hash_table_add(&c->table, &client->entry, place);
	return client;
}

static struct client *
find(const struct clients *c, struct ip_net net, uint64_t place)
{
	for (struct hash_entry *e = hash_table_find(&c->table, place); e != NULL; e = hash_entry_next(e)) {
		struct client *client = (struct client *)e;

		if (client->net.ip.family == net.ip.family && client->net.bits == net.bits && ip_eq(client->net.ip, net.ip))
			return client;
	}
	return NULL;
}

struct client *
client_enter(struct clients *c, const struct conf *conf, struct ip ip)
{
	struct ip_net net = ip_client_network(ip, conf->limits.ipv4_prefix, conf->limits.ipv6_prefix);
	uint64_t place = keyed_hash_net(&c->table.key, net);
	struct client *client = find(c, net, place);
	struct table_hit hit;

	if (client == NULL)
		client = client_new(c, net, place);
	else
		resize(c, client, client->n_sessions + 1);
	if (client != NULL)
		client->exempt = c->exempt != NULL && table_has_ip(c->exempt, ip, &hit);
	return client;
}

void
client_leave(struct clients *c, struct client *client)
{
	if (client->n_sessions > 1) {
		resize(c, client, client->n_sessions - 1);
		return;
	}
	if (client->row != NULL)
		counts_sessions(&c->counts, client->row, 0);
	size_remove(c, client);
	hash_table_remove(&c->table, &client->entry);
	free(client);
}

void
client_join(struct session *s)
{
	struct client *client = s->client;

	s->client_next = client->sessions;
	if (s->client_next != NULL)
		s->client_next->client_link = &s->client_next;
	s->client_link = &client->sessions;
	client->sessions = s;
}

void
client_part(struct session *s)
{
	*s->client_link = s->client_next;
	if (s->client_next != NULL)
		s->client_next->client_link = s->client_link;
}

/* --- what they have done --- */

uint32_t
client_sessions(const struct clients *c, const struct client *client)
{
	uint32_t all;

	if (client->row == NULL)
		return client->n_sessions;
	all = counts_all_sessions(&c->counts, client->net, client->hash);
	return all < client->n_sessions ? client->n_sessions : all;
}

void
client_note_at(struct clients *c, const struct conf *conf, struct client *client, enum client_event event, uint32_t n)
{
	if (client->row != NULL)
		counts_add(client->row, (enum count_kind)event, n, time_of(c, conf).interval);
}

void
client_note(struct session *s, enum client_event event, uint32_t n)
{
	if (s->client != NULL)
		client_note_at(&s->smtpd->clients, s->conf, s->client, event, n);
}

static uint32_t
limit_of(const struct conf_limits *l, enum client_event event)
{
	switch (event) {
	case CLIENT_CONNECTION:
		return l->connections;
	case CLIENT_MESSAGE:
		return l->messages;
	case CLIENT_RECIPIENT:
		return l->recipients;
	case CLIENT_ERROR:
		return l->errors;
	case CLIENT_UNKNOWN_RECIPIENT:
		return l->unknown_recipients;
	case CLIENT_TLS_HANDSHAKE:
		return l->tls_handshakes;
	case CLIENT_FAILED_LOGIN:
		return l->failed_logins;
	}
	return 0;
}

/* A client that goes on and on should not fill the log too. */
static void
tell(struct client *client, enum client_event event, uint32_t count, uint32_t limit, uint32_t interval)
{
	struct ip_net net = client->net;
	char text[IP_NET_TEXT_MAX];

	if (client->told_interval != interval)
		client->told = 0;
	client->told_interval = interval;
	if ((client->told & 1U << event) != 0)
		return;
	client->told |= 1U << event;
	(void)ip_net_format(net, text);
	log_say(LOG_LIMIT_REACHED, NULL, F_IP("client", net.ip), F_TEXT("network", text),
	    F_TEXT("what", count_kind_name((enum count_kind)event)), F_U64("count", count), F_U64("limit", limit));
}

bool
client_over_at(struct clients *c, const struct conf *conf, struct client *client, enum client_event event)
{
	uint32_t limit = limit_of(&conf->limits, event), rate;
	struct counts_time now = time_of(c, conf);

	if (limit == 0 || client->exempt || client->row == NULL)
		return false;
	rate = counts_rate(&c->counts, client->net, client->hash, (enum count_kind)event, now);
	if (rate < limit)
		return false;
	tell(client, event, rate, limit, now.interval);
	return true;
}

bool
client_over(struct session *s, enum client_event event)
{
	return s->client != NULL && !s->exempt && client_over_at(&s->smtpd->clients, s->conf, s->client, event);
}

void
client_note_good(struct session *s)
{
	if (s->client != NULL && s->client->row != NULL)
		counts_good(s->client->row, seconds(&s->smtpd->clients));
}

bool
client_is_good(const struct clients *c, const struct client *client)
{
	uint32_t last;

	if (client->exempt)
		return true;
	if (client->row == NULL)
		return false;
	last = counts_last_good(&c->counts, client->net, client->hash);
	return last != 0 && seconds(c) - last < GOOD_SECONDS;
}
