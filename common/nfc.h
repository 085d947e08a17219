/* common/nfc.h -- local parts in the one form in which they are compared: NFC, so that one name is one name however its letters
 * were composed (RFC 6532 3.1). Never for the wire: what goes on is what came. */
#ifndef POSTERN_COMMON_NFC_H
#define POSTERN_COMMON_NFC_H

#include "common/buf.h"
#include "common/slice.h"

/* Appends that form, which is three times as long at most. What is not UTF-8 stays as it is, and so does all of it when there is
 * no memory. False: to is full. */
bool nfc_put(struct buf *to, struct slice text);

#endif
