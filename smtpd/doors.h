/* smtpd/doors.h -- what a listener grants to some networks: to tell us who the client is (PROXY protocol, XCLIENT). Made
 * from the sections of the present configuration, and asked when a client comes. */
#ifndef POSTERN_SMTPD_DOORS_H
#define POSTERN_SMTPD_DOORS_H

#include "common/conf.h"
#include "common/policy/networks.h"

struct door {
	struct table *proxy, *xclient;	/* NULL: nobody */
};

struct doors {
	struct door *v;			/* for each listener of conf, in their order */
	struct table *lenient;		/* smtpd { bare-newline-networks }; NULL: nobody */
	struct conf *conf;		/* counted */
};

void doors_adopt(struct doors *d, struct conf *conf);
void doors_free(struct doors *d);

/* listener: its title. */
bool door_is_proxy(const struct doors *d, struct slice listener, struct ip ip);
bool door_is_lenient(const struct doors *d, struct ip ip);
bool door_has_xclient(const struct doors *d, struct slice listener, struct ip ip);

#endif
