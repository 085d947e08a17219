/* vault/auth_password.c -- the mechanisms that show us the password: PLAIN (RFC 4616) and LOGIN. */
#include "vault/auth_exchange.h"

#include <sodium.h>
#include <stdlib.h>

enum { JOBS_EACH_MAX = 4 };	/* passwords that the threads have of one network's strangers, or of one friend */

/* What a thread is given. The exchange may end before it comes back: then nobody wants the answer, but a wrong password
 * counts all the same, or hanging up early would be the way to have as many computed as one likes. */
struct hash_job {
	struct work work;
	struct hash_job *next, **link;	/* of all that the threads have */
	struct exchange *exchange;	/* NULL: gone */
	struct auth *auth;
	struct ip client;
	struct ip_net net;
	bool is_friend;
	uint8_t user[PREPARE_USER_MAX];
	size_t user_n;
	bool known;			/* the user exists, and this is its hash */
	bool matches;
	char hash[ARGON2_TEXT_MAX + 1];
	size_t n;
	uint8_t password[PREPARE_PASSWORD_MAX];
};

static void
job_free(struct hash_job *job)
{
	if (job->link != NULL) {
		*job->link = job->next;
		if (job->next != NULL)
			job->next->link = job->link;
	}
	sodium_memzero(job, sizeof *job);
	free(job);
}

/* In a thread. */
static void
job_run(struct work *w)
{
	struct hash_job *job = (struct hash_job *)(void *)w;

	job->matches = crypto_pwhash_str_verify(job->hash, (const char *)job->password, job->n) == 0;
	sodium_memzero(job->password, sizeof job->password);
}

static void
job_done(struct work *w)
{
	struct hash_job *job = (struct hash_job *)(void *)w;
	struct exchange *x = job->exchange;
	bool ok = job->matches && job->known;

	if (x != NULL)
		x->job = NULL;
	else if (!ok)
		delays_failed(&job->auth->delays, &job->auth->conf->auth, job->client, slice_of(job->user, job->user_n),
		    loop_now(job->auth->loop));
	job_free(job);
	if (x == NULL)
		return;
	if (ok)
		exchange_yes(x);
	else
		exchange_no(x, AUTH_WRONG, users_say_why(x->auth->users, exchange_user(x), false));
}

void
password_forget(struct exchange *x)
{
	if (x->job == NULL)
		return;
	if (x->state == EX_HASHING)
		x->job->exchange = NULL;
	else
		job_free(x->job);
	x->job = NULL;
}

void
passwords_free(struct auth *auth)
{
	while (auth->jobs != NULL)
		job_free(auth->jobs);
}

/* Has whoever asks as many waiting as may be? Strangers of a network together, or a dozen addresses would fill the queue and shut
 * every user out; each friend for himself: whoever has an account is no better a guest than they, and an office has many. Those
 * whose client has hung up count too. */
static bool
has_its_part(const struct hash_job *job)
{
	unsigned n = 0;

	for (const struct hash_job *o = job->auth->jobs; o != NULL && n < JOBS_EACH_MAX; o = o->next)
		n += o->is_friend == job->is_friend && ip_eq(o->net.ip, job->net.ip) &&
		    (!job->is_friend || slice_eq(slice_of(o->user, o->user_n), slice_of(job->user, job->user_n)));
	return n >= JOBS_EACH_MAX;
}

static void
hand_over(struct exchange *x)
{
	struct hash_job *job = x->job;
	unsigned max = x->auth->conf->auth.max_waiting;
	bool full = has_its_part(job);
	enum rc rc;

	if (full && !x->exempt) {
		exchange_no(x, job->is_friend ? AUTH_TEMPORARY : AUTH_BUSY,
		    "too many passwords of this network wait to be checked");
		return;
	}
	if (job->is_friend && !full)
		rc = workers_submit_early(x->auth->workers, &job->work, max);
	else
		rc = workers_submit(x->auth->workers, &job->work, max);
	if (rc != RC_OK) {
		exchange_no(x, AUTH_TEMPORARY, "too many passwords wait to be checked");
		return;
	}
	x->state = EX_HASHING;
	job->next = x->auth->jobs;
	if (job->next != NULL)
		job->next->link = &job->next;
	job->link = &x->auth->jobs;
	x->auth->jobs = job;
}

/* The hash is looked up after the wait: it may have changed. Who does not exist costs what others cost. */
static void
submit(struct exchange *x)
{
	const struct conf_limits *limits = &x->auth->conf->limits;
	const struct user *user = users_find(x->auth->users, exchange_user(x));
	const char *hash;

	x->job->known = user != NULL && *user->argon2 != '\0';
	hash = x->job->known ? user->argon2 : users_decoy(x->auth->users, exchange_user(x));
	memcpy(x->job->hash, hash, sizeof x->job->hash);
	x->job->work.run = job_run;
	x->job->work.done = job_done;
	x->job->exchange = x;
	x->job->auth = x->auth;
	x->job->client = x->client;
	x->job->net = ip_client_network(x->client, limits->ipv4_prefix, limits->ipv6_prefix);
	x->job->is_friend = delays_is_friend(&x->auth->delays, x->client, exchange_user(x), loop_now(x->auth->loop));
	memcpy(x->job->user, x->user, x->user_n);
	x->job->user_n = x->user_n;
	hand_over(x);
}

/* False: it has said no. */
static bool
keep_password(struct exchange *x, struct slice password)
{
	struct buf text = BUF_INIT(PREPARE_PASSWORD_MAX);
	enum rc rc = prepare_password(password, &text);

	if (rc == RC_OK) {
		x->job = calloc(1, sizeof *x->job);
		if (x->job == NULL)
			rc = RC_NOMEM;
	}
	if (rc == RC_OK) {
		x->job->n = buf_len(&text);
		memcpy(x->job->password, buf_slice(&text).p, buf_len(&text));
	}
	if (text.p != NULL)
		sodium_memzero(text.p, text.cap);
	buf_free(&text);
	if (rc != RC_OK)
		exchange_no(x, rc == RC_NOMEM ? AUTH_TEMPORARY : AUTH_WRONG, "no password can look like this");
	return rc == RC_OK;
}

static void
check(struct exchange *x, struct slice password)
{
	if (keep_password(x, password))
		exchange_wait(x, submit);
}

/* message = [authzid] NUL authcid NUL passwd */
void
plain_respond(struct exchange *x, struct slice response)
{
	size_t first = slice_find(response, 0);
	struct slice rest = slice_from(response, first + 1), password;
	size_t second = slice_find(rest, 0);

	password = slice_from(rest, second + 1);
	if (first == response.n || second == rest.n || slice_find(password, 0) < password.n || second == 0 || password.n == 0) {
		exchange_no(x, AUTH_MALFORMED, "malformed PLAIN response");
		return;
	}
	if (exchange_claims(x, slice_first(rest, second)) && exchange_acts_as(x, slice_first(response, first)))
		check(x, password);
}

/* Never written down but by draft-murchison-sasl-login: the server asks for a name, then for a password. Clients also send
 * the name along with AUTH; that is not held against them (RFC 4954 4 would: this mechanism is no standard one). */
void
login_respond(struct exchange *x, struct slice response)
{
	switch (x->step++) {
	case 0:
		exchange_challenge(x, S("Username:"));
		break;
	case 1:
		if (exchange_claims(x, response))
			exchange_challenge(x, S("Password:"));
		break;
	default:
		check(x, response);
	}
}
