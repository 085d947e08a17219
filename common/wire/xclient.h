/* common/wire/xclient.h -- the argument of XCLIENT: what a proxy says about the client that it speaks for (Postfix,
 * XCLIENT_README). Pure. */
#ifndef POSTERN_COMMON_WIRE_XCLIENT_H
#define POSTERN_COMMON_WIRE_XCLIENT_H

#include "common/ip.h"
#include "common/rc.h"
#include "common/slice.h"

enum {
	XCLIENT_VALUE_MAX = 255,
	XCLIENT_KEYWORDS_MAX = 8,
};

struct xclient_text {
	bool given;
	size_t n;		/* 0: not available, or said to be nothing */
	char text[XCLIENT_VALUE_MAX + 1];	/* decoded, printable ASCII, NUL behind it */
};

struct xclient {
	struct xclient_text name, helo, login;
	bool name_failed;	/* the proxy cannot look it up now: name is given, and empty */
	bool addr_given;
	struct ip addr;		/* family 0: not available */
};

/* "ADDR=192.0.2.1 NAME=mail.example.org": attributes in any order and case, each once, values in xtext (RFC 3461 4). NAME
 * ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT are known; those that we have no use for are checked and passed over.
 * RC_SYNTAX; RC_UNSUPPORTED for an attribute that is none of these. */
enum rc xclient_parse(struct slice arg, struct xclient *ret_xclient);

#endif
