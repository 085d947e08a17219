/* common/mail_route.h -- the nested run of V_HOSTS: the hosts of a mail route, in the order to try them. */
#ifndef POSTERN_COMMON_MAIL_ROUTE_H
#define POSTERN_COMMON_MAIL_ROUTE_H

#include "common/buf.h"
#include "common/ip.h"
#include "common/ipc/schema.h"
#include "common/slice.h"

enum {
	ROUTE_HOSTS_MAX = 32,		/* what one answer carries at most; the least preferred are left out */
	ROUTE_ADDRESSES_MAX = 16,	/* per host */
	ROUTE_NAME_MAX = 253,
};

/* status: enum dns_status of the host's own address look-up; n_addresses is 0 unless DNS_OK. */
struct route_host {
	uint16_t preference;
	uint8_t status;
	uint8_t secure;		/* its addresses were validated */
	struct slice name;
	struct ip addresses[ROUTE_ADDRESSES_MAX];
	size_t n_addresses;
};

static inline bool
route_host_put(struct buf *to, const struct route_host *h)
{
	uint8_t space[16 + ROUTE_NAME_MAX + ROUTE_ADDRESSES_MAX * 17];
	struct wr w = { space, 0, sizeof space, false };

	wr_u16(&w, h->preference);
	wr_u8(&w, h->status);
	wr_u8(&w, h->secure);
	wr_str(&w, h->name);
	wr_u8(&w, (uint8_t)h->n_addresses);
	for (size_t i = 0; i < h->n_addresses; i++)
		wr_ip(&w, h->addresses[i]);
	return !w.bad && buf_put(to, space, w.n);
}

/* False at the end or when malformed (r->bad). */
static inline bool
route_host_next(struct rd *r, struct route_host *ret_h)
{
	if (r->s.n == 0 || r->bad)
		return false;
	ret_h->preference = rd_u16(r);
	ret_h->status = rd_u8(r);
	ret_h->secure = rd_u8(r);
	ret_h->name = rd_str(r);
	ret_h->n_addresses = rd_u8(r);
	if (ret_h->name.n > ROUTE_NAME_MAX || ret_h->n_addresses > ROUTE_ADDRESSES_MAX)
		r->bad = true;
	for (size_t i = 0; i < ret_h->n_addresses && !r->bad; i++) {
		ret_h->addresses[i] = rd_ip(r);
		if (ret_h->addresses[i].family == 0)
			r->bad = true;
	}
	return !r->bad;
}

#endif
