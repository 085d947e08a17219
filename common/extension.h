/* common/extension.h -- the ESMTP extensions that an operator can switch off, by the keyword that EHLO announces. */
#ifndef POSTERN_COMMON_EXTENSION_H
#define POSTERN_COMMON_EXTENSION_H

#include "common/slice.h"

/*	 NAME			keyword			*/
#define EXTENSIONS(X)					\
	X(EXT_PIPELINING,	"PIPELINING")		\
	X(EXT_SIZE,		"SIZE")			\
	X(EXT_8BITMIME,		"8BITMIME")		\
	X(EXT_ENHANCED,		"ENHANCEDSTATUSCODES")	\
	X(EXT_CHUNKING,		"CHUNKING")		\
	X(EXT_BINARYMIME,	"BINARYMIME")		\
	X(EXT_DSN,		"DSN")			\
	X(EXT_SMTPUTF8,		"SMTPUTF8")		\
	X(EXT_DELIVERBY,	"DELIVERBY")		\
	X(EXT_FUTURERELEASE,	"FUTURERELEASE")	\
	X(EXT_PRIORITY,		"MT-PRIORITY")		\
	X(EXT_LIMITS,		"LIMITS")		\
	X(EXT_REQUIRETLS,	"REQUIRETLS")		\
	X(EXT_ETRN,		"ETRN")			\
	X(EXT_STARTTLS,		"STARTTLS")		\
	X(EXT_AUTH,		"AUTH")			\
	X(EXT_VRFY,		"VRFY")			\
	X(EXT_EXPN,		"EXPN")			\
	X(EXT_XCLIENT,		"XCLIENT")		\
	X(EXT_HELP,		"HELP")

enum extension {
#define EXTENSION_ENUM(NAME, keyword) NAME,
	EXTENSIONS(EXTENSION_ENUM)
#undef EXTENSION_ENUM
	EXT_COUNT
};

static inline const char *
extension_keyword(enum extension e)
{
	static const char *const of[] = {
#define EXTENSION_KEYWORD(NAME, keyword) keyword,
		EXTENSIONS(EXTENSION_KEYWORD)
#undef EXTENSION_KEYWORD
	};

	return of[e];
}

/* EXT_COUNT: there is no such extension. */
static inline enum extension
extension_find(struct slice keyword)
{
	unsigned e = 0;

	while (e < EXT_COUNT && !slice_caseeq(keyword, slice_str(extension_keyword((enum extension)e))))
		e++;
	return (enum extension)e;
}

#endif
