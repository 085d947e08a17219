/* queue/unread.c -- see unread.h. */
#include "queue/unread.h"

void
unread_failed(struct unread *u, uint64_t now_ms)
{
	u->n++;
	u->failed_ms = now_ms;
}

uint64_t
unread_due(struct unread *u, uint64_t now_ms)
{
	bool over = now_ms - u->failed_ms >= UNREAD_OVER_MS;
	uint64_t n = u->n;

	if (n > 0 && (over || now_ms - u->told_ms >= u->wait_ms)) {
		u->n = 0;
		u->told_ms = now_ms;
		u->wait_ms = u->wait_ms == 0 ? UNREAD_FIRST_MS : u->wait_ms < UNREAD_MAX_MS / 2 ? u->wait_ms * 2 : UNREAD_MAX_MS;
	} else {
		n = 0;
	}
	if (over)
		u->wait_ms = 0;
	return n;
}
