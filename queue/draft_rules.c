/* queue/draft_rules.c -- which envelopes may come in, and how far a message in pieces may run ahead. Pure, see draft.h. */
#include "queue/draft.h"

#include "common/wire/address.h"

static bool
address_fits(struct slice text)
{
	struct address a;

	if (text.n > ADDRESS_TEXT_MAX)
		return false;
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] < 0x20 || text.p[i] == 0x7f)
			return false;
	return slice_caseeq(text, S("postmaster")) || address_parse(text, &a) == RC_OK;
}

bool
draft_name_fits(struct slice text)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] <= 0x20 || text.p[i] > 0x7e)
			return false;
	return text.n > 0 && text.n <= DESTINATION_NAME_MAX;
}

const char *
draft_check_envelope(struct slice bytes, struct envelope *ret_e)
{
	struct envelope_rcpt r;
	struct slice rest;

	if (envelope_parse(bytes, ret_e) != RC_OK)
		return "malformed envelope";
	if (ret_e->n_rcpts == 0 || ret_e->n_rcpts > MESSAGE_RCPTS_MAX)
		return "an envelope without recipients, or with too many";
	if ((ret_e->flags & ~(uint32_t)ENVELOPE_FROM_CLIENT) != 0)
		return "an envelope with flags that are ours";
	if (ret_e->sender.n > 0 && !address_fits(ret_e->sender))
		return "malformed sender";
	rest = ret_e->rcpts;
	while (envelope_rcpt_next(&rest, &r))
		if (!address_fits(r.address) || !draft_name_fits(r.transport) || !draft_name_fits(r.nexthop))
			return "malformed recipient";
	return NULL;
}

uint64_t
draft_share(uint64_t held, uint64_t ahead)
{
	return held + ahead > DRAFT_SHARE_MIN ? held + ahead : DRAFT_SHARE_MIN;
}

uint64_t
draft_credit(uint64_t window, uint64_t held, uint64_t ahead, uint64_t spare)
{
	uint64_t most = draft_share(held, ahead) + spare;

	most = most > held ? most - held : 0;
	if (most > window)
		most = window;
	return most < ahead + DRAFT_CREDIT_STEP ? 0 : most - ahead;
}
