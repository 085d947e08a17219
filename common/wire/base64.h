/* common/wire/base64.h -- base64 with the standard alphabet (RFC 4648 4), read strictly.
 *
 * Nothing is passed over: a byte that is not of the alphabet, padding anywhere but at the end, missing padding, and bits
 * behind the last byte that are not zero are all refused (RFC 4954 4, RFC 4648 3.3 and 3.5). So a value has one form. */
#ifndef POSTERN_COMMON_WIRE_BASE64_H
#define POSTERN_COMMON_WIRE_BASE64_H

#include "common/buf.h"
#include "common/rc.h"

/* Appends what the text stands for. RC_SYNTAX; RC_NOMEM: `to` is full. `to` is as before unless RC_OK. */
enum rc base64_decode(struct slice text, struct buf *to);

/* Appends the text for these bytes. False: to failed. */
bool base64_put(struct buf *to, struct slice bytes);

#endif
