/* smtpd/pressure.c -- see pressure.h. */
#include "smtpd/pressure.h"

#include "smtpd/deadline.h"
#include "smtpd/session.h"

static uint64_t
connections(const struct smtpd *smtpd)
{
	return (uint64_t)smtpd->n_sessions + smtpd->n_callers;
}

bool
pressure_is_full(const struct smtpd *smtpd)
{
	return connections(smtpd) >= smtpd->sessions_max;
}

void
pressure_check(struct smtpd *smtpd)
{
	uint64_t begins = (uint64_t)smtpd->sessions_max * smtpd->conf->smtpd.stress_sessions / 100;
	uint64_t n = connections(smtpd);

	/* It ends well below where it began, or it would begin and end with every client. */
	if (!smtpd->stressed && n >= begins && smtpd->conf->smtpd.stress_sessions <= 100) {
		smtpd->stressed = true;
		log_say(LOG_STRESS, NULL, F_U64("sessions", n), F_U64("max", smtpd->sessions_max));
		/* Timers stand at the times of before. */
		for (struct session *s = smtpd->sessions; s != NULL; s = s->next)
			deadline_arm(s);
	} else if (smtpd->stressed && n < begins - begins / 8) {
		smtpd->stressed = false;
		log_say(LOG_STRESS_OVER, NULL, F_U64("sessions", n));
	}
}

/* How easily is it given up? The smaller the easier; 0: not at all. */
static unsigned
worth(const struct session *s, bool for_good)
{
	if (s->exempt)
		return 0;
	switch (s->phase) {
	case PH_LAST:
	case PH_LINGER:
		return 1;	/* it ends anyway */
	case PH_HELLO:
	case PH_SHAKE:
		return 2;
	case PH_READY:
	case PH_AUTH:
	case PH_MAIL:
		return 3;
	case PH_CHUNKS:
	case PH_SKIP:
	case PH_DATA:
		return for_good ? 4 : 0;
	case PH_COMMIT:		/* the queue may have the message already */
	case PH_DEAD:
	case PHASE_COUNT:
		break;
	}
	return 0;
}

struct choice {
	struct session *session;	/* NULL: none yet */
	unsigned worth;
	bool for_good;
};

/* The least worthy session, of those the one that was idle for longest. */
static void
consider(struct choice *best, struct session *s)
{
	unsigned w = worth(s, best->for_good);

	if (w != 0 && (best->session == NULL || w < best->worth || (w == best->worth && s->since < best->session->since)))
		*best = (struct choice){ s, w, best->for_good };
}

static void
consider_client(struct choice *best, const struct client *c)
{
	unsigned n = 0;

	for (struct session *s = c->sessions; s != NULL && n < PRESSURE_SESSIONS; s = s->client_next, n++)
		consider(best, s);
}

/* A newcomer of no name may have a place of a network that has more of them, and a good one any that is not a good one's.
 * Good ones share among themselves as the others do. */
static bool
gives_way(const struct clients *all, const struct client *c, const struct client *newcomer, bool good)
{
	bool more = c->n_sessions > newcomer->n_sessions;

	if (c == newcomer || c->exempt || (!good && !more))
		return false;
	return client_is_good(all, c) ? good && more : true;
}

bool
pressure_make_room(struct smtpd *smtpd, const struct client *newcomer)
{
	struct clients *all = &smtpd->clients;
	struct choice best = { NULL, 0, client_is_good(all, newcomer) };
	unsigned looked_at = 0;

	/* The largest networks first. */
	for (size_t size = CLIENT_SIZES; size-- > 0 && best.session == NULL;)
		for (struct client *c = all->sizes[size]; c != NULL && looked_at < PRESSURE_CLIENTS;
		    c = c->size_next, looked_at++)
			if (gives_way(all, c, newcomer, best.for_good))
				consider_client(&best, c);
	if (best.session == NULL)
		return false;
	session_evict(best.session);
	return true;
}
