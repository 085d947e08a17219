/* smtpd/login_log.c -- see login_log.h. */
#include "smtpd/login_log.h"

#include "common/log.h"

static bool
is_free(const struct login_log_row *r)
{
	return r->said[LOGIN_LOG_WRONG] == 0 && r->said[LOGIN_LOG_OTHER] == 0 && r->more == 0;
}

static void
say(const struct login_log_row *r)
{
	if (r->more > 0)
		log_say(LOG_AUTH_FOLDED, NULL, F_IP("client", r->net.ip), F_U64("count", r->more));
}

void
login_log_flush(struct login_log *l)
{
	for (size_t i = 0; i < LOGIN_LOG_NETWORKS && l->n > 0; i++)
		if (!is_free(&l->rows[i])) {
			say(&l->rows[i]);
			l->rows[i] = (struct login_log_row){ 0 };
			l->n--;
		}
	say(&l->others);
	l->others = (struct login_log_row){ 0 };
}

static void
on_timer(struct timer *t, void *ctx)
{
	struct login_log *l = ctx;

	(void)t;
	l->runs = false;
	login_log_flush(l);
}

void
login_log_init(struct login_log *l, struct loop *loop)
{
	*l = (struct login_log){ .loop = loop };
	hash_key_make(&l->key);
	timer_setup(&l->timer, loop, on_timer, l);
}

void
login_log_free(struct login_log *l)
{
	login_log_flush(l);
	timer_cancel(&l->timer);
}

/* Open addressing; rows are given up all at once, so that there are no gaps. */
static struct login_log_row *
row_of(struct login_log *l, struct ip_net net)
{
	size_t at = (size_t)keyed_hash_net(&l->key, net) % LOGIN_LOG_NETWORKS;

	for (size_t i = 0; i < LOGIN_LOG_NETWORKS; i++) {
		struct login_log_row *r = &l->rows[(at + i) % LOGIN_LOG_NETWORKS];

		if (is_free(r)) {
			r->net = net;
			l->n++;
			return r;
		}
		if (ip_eq(r->net.ip, net.ip))
			return r;
	}
	return &l->others;
}

bool
login_log_says(struct login_log *l, struct ip_net net, enum login_log_kind kind, unsigned most)
{
	struct login_log_row *r = row_of(l, net);

	if (!l->runs)
		timer_start(&l->timer, LOGIN_LOG_MS);
	l->runs = true;
	/* No address stands for all of those that share a row: they are counted and not named. */
	if (r == &l->others || r->said[kind] >= most) {
		r->more++;
		return false;
	}
	r->said[kind]++;
	return true;
}
