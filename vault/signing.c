/* vault/signing.c -- see signing.h. */
#include "vault/signing.h"

#include "vault/tls_input.h"

#include <stdlib.h>

enum {
	SIGNATURES_A_TURN = 16,		/* before the lines are read again, and what the threads have signed is sent */
	JOBS_A_THREAD = 2,		/* one that it signs, and the next, so that it need not wait for the loop */
	BURST_MS = 100,			/* a quiet smtpd may have so much of its rate at once */
	REFILL_MS = 5,			/* how long to wait when everybody has used up his rate */
	REFUSALS_LOGGED = 100,		/* the first, and then one in so many */
};

/* What a thread signs. */
struct job {
	struct work work;
	struct job *next;		/* idle ones */
	struct vault *vault;
	struct asker *asker;		/* NULL: gone; or the job is idle */
	struct request request;
	struct signer signer;
	enum vault_status status;
	size_t n;
	uint8_t signature[VAULT_SIGNATURE_MAX];
};

/* --- answers --- */

static void
answer(struct asker *c, uint32_t handle, enum vault_status status, struct slice signature)
{
	struct k_signed m = { (uint8_t)status, signature };

	(void)k_signed_send(c->peer, handle, &m);
}

static void
refuse(struct asker *c, uint32_t handle, enum vault_status status, const char *why)
{
	if (status == VAULT_REFUSED && c->refused++ % REFUSALS_LOGGED == 0)
		log_say(LOG_VAULT_REFUSED, NULL, F_TEXT("room", role_name(peer_role(c->peer))),
		    F_U64("index", peer_index(c->peer)), F_TEXT("why", why));
	answer(c, handle, status, S(""));
}

static struct slice
message_of(const struct request *q)
{
	return slice_of(q->message, q->n);
}

static void
sign_now(struct asker *c, const struct request *q, struct signer *signer)
{
	uint8_t signature[VAULT_SIGNATURE_MAX];
	size_t n = 0;
	enum vault_status status = signer_sign(signer, message_of(q), signature, &n);

	signer_release(signer);
	answer(c, q->handle, status, slice_of(signature, n));
}

/* --- threads --- */

static void
run(struct work *work)
{
	struct job *job = (struct job *)work;

	job->status = signer_sign(&job->signer, message_of(&job->request), job->signature, &job->n);
}

static void
done(struct work *work)
{
	struct job *job = (struct job *)work;
	struct vault *v = job->vault;

	signer_release(&job->signer);
	if (job->asker != NULL)
		answer(job->asker, job->request.handle, job->status, slice_of(job->signature, job->n));
	job->asker = NULL;
	job->next = v->idle;
	v->idle = job;
	chore_queue(&v->work);
}

/* The job has what signer holds from now on. */
static void
hand_out(struct asker *c, const struct request *q, const struct signer *signer)
{
	struct vault *v = c->vault;
	struct job *job = v->idle;

	v->idle = job->next;
	*job = (struct job){ .work = { .run = run, .done = done }, .vault = v, .asker = c, .request = *q, .signer = *signer };
	/* There are no more jobs than may wait. */
	if (workers_submit(v->workers, &job->work, v->n_jobs) != RC_OK)
		BUG("more signatures under way than there are places for");
}

enum rc
signing_make_threads(struct vault *v, unsigned threads)
{
	static const struct workers_kind kind = { .warm_up = keys_warm_up };

	enum rc rc;

	v->jobs = calloc((size_t)threads * JOBS_A_THREAD, sizeof *v->jobs);
	if (v->jobs == NULL)
		return RC_NOMEM;
	v->n_jobs = threads * JOBS_A_THREAD;
	rc = workers_start(&kind, threads, &v->workers);
	for (unsigned i = 0; rc == RC_OK && i < v->n_jobs; i++) {
		v->jobs[i].next = v->idle;
		v->idle = &v->jobs[i];
	}
	return rc;
}

void
signing_attach(struct vault *v)
{
	if (v->workers != NULL)
		workers_attach(v->workers, v->loop);
}

void
signing_forget(const struct asker *c)
{
	struct vault *v = c->vault;

	for (unsigned i = 0; i < v->n_jobs; i++)
		if (v->jobs[i].asker == c)
			v->jobs[i].asker = NULL;
	v->n_waiting -= c->n;
}

/* --- turns --- */

static void
refill(struct asker *c)
{
	uint64_t now = loop_now(c->vault->loop), rate = c->vault->conf->vault.max_rate;
	uint64_t most = rate * BURST_MS < 1000 ? 1000 : rate * BURST_MS, ms = now - c->filled;

	c->filled = now;
	/* A long silence fills it up, whatever the product would be. */
	c->tokens = ms >= BURST_MS ? most : c->tokens + ms * rate;
	if (c->tokens > most)
		c->tokens = most;
}

/* The first after the one who was served last. NULL: none; *wait then tells that somebody waits for his rate. */
static struct asker *
next_asker(struct vault *v, bool *wait)
{
	*wait = false;
	for (unsigned i = 1; i <= VAULT_PEERS_MAX; i++) {
		struct asker *c = v->askers[(v->turn + i) % VAULT_PEERS_MAX];

		if (c == NULL || c->n == 0)
			continue;
		refill(c);
		if (c->tokens >= 1000)
			return c;
		*wait = true;
	}
	return NULL;
}

static void
forward(struct asker *c)
{
	c->tokens -= 1000;
	c->first = (c->first + 1) % VAULT_QUEUE_MAX;
	c->n--;
	c->vault->n_waiting--;
	c->vault->turn = peer_index(c->peer);
}

/* The oldest request of c. A slow one goes to the threads when others wait behind it; alone, and when they have enough to do,
 * the loop signs as well: handing it over and hearing of it costs more than the wait. True: that took long. */
static bool
serve(struct asker *c)
{
	const struct request *q = &c->queue[c->first];
	struct vault *v = c->vault;
	bool slow = false;
	struct signer signer;
	enum vault_status status = keys_find(&v->keys, slice_of(q->key, sizeof q->key), q->scheme,
	    tls_input_kind(message_of(q)) == TLS_INPUT_13, &signer);

	if (status != VAULT_OK) {
		refuse(c, q->handle, status, "asked for a signature that this key does not make");
	} else if (!signer_is_quick(&signer) && v->idle != NULL && v->n_waiting > 1) {
		hand_out(c, q, &signer);
	} else {
		slow = !signer_is_quick(&signer);
		sign_now(c, q, &signer);
	}
	forward(c);
	return slow;
}

static void
on_work(struct chore *chore, void *ctx)
{
	struct vault *v = ctx;
	bool wait, slow = false;
	struct asker *c;

	for (unsigned i = 0; i < SIGNATURES_A_TURN && !slow; i++) {
		c = next_asker(v, &wait);
		if (c == NULL) {
			if (wait)
				timer_start(&v->later, REFILL_MS);
			return;
		}
		slow = serve(c);
	}
	if (v->n_waiting > 0)
		chore_queue(chore);
}

static void
on_later(struct timer *t, void *ctx)
{
	struct vault *v = ctx;

	(void)t;
	chore_queue(&v->work);
}

const char *
signing_on_request(void *ctx, struct peer *p, uint32_t handle, struct rd *body, int fd)
{
	struct asker *c = ctx;
	struct request *q;
	struct k_sign m;

	(void)p, (void)fd;
	if (!k_sign_get(body, &m) || m.key.n != IDENTITY_KEY_ID || handle == 0)
		return "malformed K_SIGN";
	if (m.message.n > VAULT_MESSAGE_MAX || tls_input_kind(m.message) == TLS_INPUT_NONE) {
		refuse(c, handle, VAULT_REFUSED, "asked to sign what is no TLS handshake");
		return NULL;
	}
	if (c->n == VAULT_QUEUE_MAX) {
		refuse(c, handle, VAULT_BUSY, "");
		return NULL;
	}
	q = &c->queue[(c->first + c->n++) % VAULT_QUEUE_MAX];
	c->vault->n_waiting++;
	q->handle = handle;
	q->scheme = m.scheme;
	q->n = (uint16_t)m.message.n;
	memcpy(q->key, m.key.p, sizeof q->key);
	memcpy(q->message, m.message.p, m.message.n);
	chore_queue(&c->vault->work);
	return NULL;
}

/* --- life --- */

void
signing_setup(struct vault *v)
{
	chore_setup(&v->work, v->loop, on_work, v);
	timer_setup(&v->later, v->loop, on_later, v);
}

void
signing_close(struct vault *v)
{
	chore_cancel(&v->work);
	timer_cancel(&v->later);
	/* A job that runs belongs to its thread until the thread has ended. */
	workers_stop(v->workers);
	for (unsigned i = 0; i < v->n_jobs; i++)
		if (v->jobs[i].signer.key != NULL)
			signer_release(&v->jobs[i].signer);
	free(v->jobs);
}
