/* common/wire/unitext.h -- addresses of type utf-8 in ORCPT and in reports (RFC 6533 3): as they are, or in ASCII with
 * what is not written as \x{E4}. Pure. */
#ifndef POSTERN_COMMON_WIRE_UNITEXT_H
#define POSTERN_COMMON_WIRE_UNITEXT_H

#include "common/buf.h"
#include "common/slice.h"

/* Appends text in ASCII (utf-8-addr-xtext): escaped is what is not ASCII, and each character of special. Controls and what is no
 * UTF-8 become question marks. Ends behind the character that makes it max bytes or more. False: to is full. */
bool unitext_put_ascii(struct buf *to, struct slice text, const char *special, size_t max);

/* Appends text with visible characters that were escaped as they are (utf-8-addr-unitext); ASCII stays escaped, and so does
 * what is no character. False: to is full. */
bool unitext_put_utf8(struct buf *to, struct slice text);

#endif
