/* ctl/clients.c -- see clients.h. What stands in the table comes from rooms that talk to strangers: numbers, and addresses,
 * which ip_net_format() alone writes. */
#include "ctl/clients.h"

#include "common/admin.h"
#include "common/json.h"
#include "common/log.h"
#include "common/policy/networks.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROW_MAX = 2048, BY_SESSIONS = COUNT_KINDS, GOOD_SECONDS = 24 * 3600 };

void
client_counts_map(struct client_counts *c, struct room *room)
{
	int fd = room_take_file(room, FILE_COUNTS, S("read"));
	struct stat st;
	void *all = MAP_FAILED;

	if (fd == -1)
		return;
	if (fstat(fd, &st) == 0)
		all = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (all == MAP_FAILED || counts_look(&c->counts, all, (size_t)st.st_size) != RC_OK)
		log_say(LOG_TROUBLE, NULL, F_TEXT("what", "posternctl clients cannot see the counts of smtpd"));
	(void)close(fd);
}

/* --- the best of all rows --- */

struct best {
	struct counts_view rows[ADMIN_PAGE_MAX];
	size_t n, max;
	unsigned by;
	uint64_t left_out;
};

static uint32_t
value(const struct counts_view *v, unsigned by)
{
	return by == BY_SESSIONS ? v->sessions : v->rates[by];
}

/* Does a stand before b? What the order is by, then sessions, then connections, then the address: always the same order. */
static bool
is_before(const struct counts_view *a, const struct counts_view *b, unsigned by)
{
	const unsigned keys[] = { by, BY_SESSIONS, COUNT_CONNECTION };

	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		if (value(a, keys[i]) != value(b, keys[i]))
			return value(a, keys[i]) > value(b, keys[i]);
	if (a->net.ip.family != b->net.ip.family)
		return a->net.ip.family < b->net.ip.family;
	return memcmp(a->net.ip.b, b->net.ip.b, sizeof a->net.ip.b) < 0;
}

/* Keeps the best ones in order. A page is short: what is inserted moves few. */
static void
keep(struct best *best, const struct counts_view *v)
{
	size_t at = best->n;

	if (best->n == best->max) {
		best->left_out++;
		if (!is_before(v, &best->rows[best->n - 1], best->by))
			return;
		at = --best->n;
	}
	while (at > 0 && is_before(v, &best->rows[at - 1], best->by)) {
		best->rows[at] = best->rows[at - 1];
		at--;
	}
	best->rows[at] = *v;
	best->n++;
}

/* A network that several processes have seen is taken at the first of them, with what all of them say. */
static void
gather(const struct client_counts *c, struct counts_time t, struct best *best)
{
	struct counts_view v;

	for (uint32_t table = 0; table < c->counts.n_tables; table++)
		for (uint32_t row = 0; row < c->counts.n_rows; row++)
			if (counts_view(&c->counts, table, row, t, &v) && counts_sum(&c->counts, table, t, &v))
				keep(best, &v);
}

/* --- rows --- */

static void
key_count(struct json *j, const char *key, const char *limit_key, uint32_t n, uint32_t limit)
{
	json_key_u64(j, key, n);
	if (limit != 0)
		json_key_u64(j, limit_key, limit);
}

static bool
send_row(const struct conf *conf, struct table *exempt, uint64_t now_ms, const struct counts_view *v, struct peer *to,
    uint32_t handle)
{
	struct table_hit hit;
	bool is_exempt = exempt != NULL && table_has_ip(exempt, v->net.ip, &hit);
	const struct conf_limits none = { 0 }, *l = is_exempt ? &none : &conf->limits;
	uint32_t sessions_max = is_exempt ? 0 : conf->smtpd.max_sessions_per_client, seconds = (uint32_t)(now_ms / 1000);
	struct buf row = BUF_INIT(ROW_MAX);
	struct a_row m = { .kind = ADMIN_ROW_JSON };
	char net[IP_NET_TEXT_MAX];
	struct json j;
	bool ok;

	/* A network of one address is called by it. */
	if (v->net.bits == (v->net.ip.family == 4 ? 32 : 128))
		(void)ip_format(v->net.ip, net);
	else
		(void)ip_net_format(v->net, net);
	json_init(&j, &row);
	json_object(&j);
	json_key_str(&j, "network", slice_str(net));
	key_count(&j, "sessions", "sessions_max", v->sessions, sessions_max);
	key_count(&j, "connections", "connections_max", v->rates[COUNT_CONNECTION], l->connections);
	key_count(&j, "messages", "messages_max", v->rates[COUNT_MESSAGE], l->messages);
	key_count(&j, "recipients", "recipients_max", v->rates[COUNT_RECIPIENT], l->recipients);
	key_count(&j, "errors", "errors_max", v->rates[COUNT_ERROR], l->errors);
	key_count(&j, "unknown_recipients", "unknown_recipients_max", v->rates[COUNT_UNKNOWN_RECIPIENT], l->unknown_recipients);
	key_count(&j, "tls_handshakes", "tls_handshakes_max", v->rates[COUNT_TLS_HANDSHAKE], l->tls_handshakes);
	key_count(&j, "failed_logins", "failed_logins_max", v->rates[COUNT_FAILED_LOGIN], l->failed_logins);
	json_key_bool(&j, "exempt", is_exempt);
	json_key_bool(&j, "good", v->good != 0 && seconds - v->good < GOOD_SECONDS);
	json_end(&j);
	m.row = buf_slice(&row);
	ok = json_ok(&j) && a_row_send(to, handle, &m) == RC_OK;
	buf_free(&row);
	return ok;
}

static bool
order_of(struct slice name, unsigned *ret_by)
{
	if (name.n == 0 || slice_eq(name, S("sessions"))) {
		*ret_by = BY_SESSIONS;
		return true;
	}
	for (unsigned i = 0; i < COUNT_KINDS; i++)
		if (slice_eq(name, slice_str(count_kind_name((enum count_kind)i)))) {
			*ret_by = i;
			return true;
		}
	return false;
}

static void
end(struct peer *to, uint32_t handle, enum rc status, const char *text)
{
	const struct a_end m = { (uint8_t)status, slice_str(text), 0, 0 };

	(void)a_end_send(to, handle, &m);
}

static void
send_all(const struct conf *conf, uint64_t now_ms, const struct best *best, struct peer *to, uint32_t handle)
{
	struct table *exempt = NULL;
	char text[64] = "";
	bool ok = true;

	(void)networks_compile(conf, &conf->limits.exempt, &exempt, NULL);
	for (size_t i = 0; i < best->n && ok; i++)
		ok = send_row(conf, exempt, now_ms, &best->rows[i], to, handle);
	table_free(exempt);
	if (best->left_out > 0)
		(void)snprintf(text, sizeof text, "%llu more", (unsigned long long)best->left_out);
	end(to, handle, ok ? RC_OK : RC_AGAIN, ok ? text : "not all clients could be sent");
}

void
client_counts_list(const struct client_counts *c, const struct conf *conf, uint64_t now_ms, struct peer *to, uint32_t handle,
    const struct a_request *m)
{
	struct best *best = calloc(1, sizeof *best);

	if (best == NULL)
		end(to, handle, RC_NOMEM, "out of memory");
	else if (!order_of(m->arg, &best->by))
		end(to, handle, RC_SYNTAX, "clients can be ordered by sessions, connections, messages, recipients, errors, "
		    "unknown-recipients, tls-handshakes or failed-logins");
	else if (c->counts.others == NULL)
		end(to, handle, RC_UNSUPPORTED, "what clients do is counted by each smtpd for itself here");
	else {
		best->max = m->limit == 0 || m->limit > ADMIN_PAGE_MAX ? ADMIN_PAGE_MAX : m->limit;
		gather(c, counts_time(now_ms, conf->limits.interval), best);
		send_all(conf, now_ms, best, to, handle);
	}
	free(best);
}
