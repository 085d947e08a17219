/* common/ip.h -- an IP address as a value. */
#ifndef POSTERN_COMMON_IP_H
#define POSTERN_COMMON_IP_H

#include <stdint.h>

struct ip {
	uint8_t family;		/* 4, 6, or 0 for none */
	uint8_t b[16];		/* network order; IPv4 uses the first four */
};

#endif
