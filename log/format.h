/* log/format.h -- an event as one line.
 *
 * text:	2026-11-24T09:00:00.123456Z HOST postern/smtpd[pid]: QUEUEID: event key=value key="quoted value"
 * json:	{"time":..,"host":..,"program":..,"process":..,"severity":..,"event":..,"id":..,"key":"value",..}
 * syslog:	<pri> before postern/smtpd[pid]: and no time or host, which the system log adds by itself
 *
 * Whatever the bytes of an event are, the line is one line: text is printable ASCII (common/escape.h); json has no
 * control character, and what is not UTF-8 becomes U+FFFD. Pure. */
#ifndef POSTERN_LOG_FORMAT_H
#define POSTERN_LOG_FORMAT_H

#include "common/buf.h"
#include "common/ipc/schema.h"
#include "common/log.h"

enum {
	LOG_KEY_MAX = 32,
	/* A byte becomes six at most (\u0001), keys and quotes included, and the head of the line is short. */
	LOG_LINE_MAX = 6 * LOG_EVENT_BYTES_MAX + 1024,
};

struct log_form {
	bool json;
	bool syslog;
	const char *host;
};

/* NULL, or why the event is malformed: number, queue id, fields. Must be asked before log_format. */
const char *log_event_check(const struct l_event *m);

/* Appends the event, which passed the check and came from that room, with its '\n'. False: `to` is full, and then it is
 * as it was before. */
bool log_format(struct buf *to, const struct log_form *form, enum role from, const struct l_event *m);

#endif
