/* smtpd/trace.h -- the Received field that we put on top of a message (RFC 5321 4.4). */
#ifndef POSTERN_SMTPD_TRACE_H
#define POSTERN_SMTPD_TRACE_H

#include "common/buf.h"

#include <stdint.h>

struct session;
struct transaction;

enum { TRACE_MAX = 2048 };	/* more than its longest parts together */

/* Appends the field. now: wall clock, seconds. False: `to` is full. */
bool trace_put(struct buf *to, const struct transaction *tx, int64_t now);

/* Appends such a time as a Date field has it, too. */
void trace_date_put(struct buf *to, const struct session *s, int64_t now);

/* Does the field name a recipient in UTF-8? It names one where there is only one (RFC 6531 3.7.3). */
bool trace_is_utf8(const struct transaction *tx);

#endif
