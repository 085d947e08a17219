/* common/wire/proxy_header.h -- who the client of a proxy in front of us is: the PROXY protocol, versions 1 and 2
 * (haproxy.org, proxy-protocol.txt). Pure. */
#ifndef POSTERN_COMMON_WIRE_PROXY_HEADER_H
#define POSTERN_COMMON_WIRE_PROXY_HEADER_H

#include "common/ip.h"
#include "common/rc.h"
#include "common/slice.h"

enum {
	PROXY_V1_MAX = 107,		/* section 2.1, with CRLF */
	PROXY_HEADER_MAX = 4096,	/* version 2 could hold 64 KiB of additions; proxies send a few hundred bytes */
};

struct proxy_header {
	bool local;			/* no client behind it: the proxy itself, or one of whom it says nothing */
	struct ip from, to;		/* family 0 when local */
	uint16_t from_port, to_port;
};

/* The header at the front of `in`. RC_OK: *ret_used bytes of it are the header. RC_MORE: all of `in` is header, and not yet
 * the whole. RC_SYNTAX: no header, or a bad one: drop the connection. RC_RANGE: larger than PROXY_HEADER_MAX. */
enum rc proxy_header_parse(struct slice in, struct proxy_header *ret_header, size_t *ret_used);

#endif
