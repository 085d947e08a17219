/* smtpd/rcpt_domains.c -- see rcpt_domains.h. */
#include "smtpd/rcpt_domains.h"

#include "common/buf.h"
#include "common/wire/domain.h"

#include <stdlib.h>

/* A canonical domain or literal, and the length before it. */
enum { ENTRY_MAX = 1 + DOMAIN_MAX };

struct rcpt_domains {
	uint32_t n;
	struct buf list;	/* entries */
};

static bool
has(const struct rcpt_domains *d, struct slice domain)
{
	struct slice rest = buf_slice(&d->list);

	while (rest.n > 0) {
		struct slice have = slice_first(slice_from(rest, 1), rest.p[0]);

		if (slice_eq(have, domain))
			return true;
		rest = slice_from(rest, 1 + have.n);
	}
	return false;
}

enum rc
rcpt_domains_take(struct rcpt_domains **at, struct slice domain, uint32_t max)
{
	struct rcpt_domains *d = *at;

	if (domain.n == 0)
		return RC_OK;
	if (domain.n > DOMAIN_MAX)
		return RC_RANGE;
	if (d != NULL && has(d, domain))
		return RC_OK;
	if (d == NULL) {
		d = calloc(1, sizeof *d);
		if (d == NULL)
			return RC_NOMEM;
		buf_init(&d->list, (size_t)max * ENTRY_MAX);
		*at = d;
	}
	if (d->n >= max)
		return RC_RANGE;
	if (buf_reserve(&d->list, 1 + domain.n) == NULL)
		return RC_NOMEM;
	(void)buf_put_byte(&d->list, (uint8_t)domain.n);
	(void)buf_put_slice(&d->list, domain);
	d->n++;
	return RC_OK;
}

void
rcpt_domains_free(struct rcpt_domains *d)
{
	if (d == NULL)
		return;
	buf_free(&d->list);
	free(d);
}
