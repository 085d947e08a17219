/* common/log.c -- events into frames for the log room, without ever waiting for it. */
#include "common/log.h"

#include "common/buf.h"
#include "common/clock.h"
#include "common/escape.h"
#include "common/ipc/peer.h"

#include <stdio.h>
#include <unistd.h>

const struct log_event_info log_event_info[LOG_EVENT_COUNT] = {
#define LOG_ROW(NAME, name, severity, keys, help) [LOG_##NAME] = { name, keys, help, SEV_##severity },
	LOG_EVENTS(LOG_ROW)
#undef LOG_ROW
};

static struct {
	struct peer *line;
	struct buf waiting;	/* {u32 length, encoded l_event}, while there is no line */
	enum role role;
	unsigned index;
	uint32_t pid;
	uint64_t untold;	/* that were dropped, not yet reported to the log room */
	bool debug;
	bool open;
	bool had_line;
} logger;

void
log_open(enum role role, unsigned index)
{
	logger.role = role;
	logger.index = index;
	logger.pid = (uint32_t)getpid();
	logger.open = true;
	buf_init(&logger.waiting, LOG_BACKLOG_MAX);
}

void
log_set_debug(bool debug)
{
	logger.debug = debug;
}

static void
drop_event(void)
{
	logger.untold++;
}

static void
put_field(struct wr *w, const struct log_field *f)
{
	size_t start = w->n, key_len = strlen(f->key);

	wr_u8(w, (uint8_t)key_len);
	wr_bytes(w, f->key, key_len & 0xff);
	wr_u8(w, (uint8_t)f->kind);
	switch (f->kind) {
	case LOG_STR:
		/* One byte too many tells the log room to mark that there was more. */
		wr_str(w, slice_first(f->str, LOG_VALUE_MAX + 1));
		break;
	case LOG_U64:
		wr_u64(w, f->u64);
		break;
	case LOG_IP:
		wr_ip(w, f->ip);
		break;
	}
	if (w->bad) {
		w->n = start;
		w->bad = false;
	}
}

/* Before there is a log room, or when it is down, a person at a terminal must still see trouble: as log/format.c would say it. */
static void
tell_stderr(const struct log_event_info *info, const struct log_field *fields, size_t n)
{
	struct buf line = BUF_INIT(LOG_EVENT_BYTES_MAX * 4);
	struct slice text;

	(void)buf_printf(&line, "postern/%s[%u]: %s", role_name(logger.role), (unsigned)logger.pid, info->name);
	for (size_t i = 0; i < n; i++) {
		(void)buf_printf(&line, " %s=", fields[i].key);
		switch (fields[i].kind) {
		case LOG_STR:
			(void)escape_value_put(&line, fields[i].str, LOG_VALUE_MAX);
			break;
		case LOG_U64:
			(void)buf_printf(&line, "%llu", (unsigned long long)fields[i].u64);
			break;
		case LOG_IP:
			(void)ip_put(&line, fields[i].ip);
			break;
		}
	}
	(void)buf_put_byte(&line, '\n');
	text = buf_slice(&line);
	(void)fwrite(text.p, 1, text.n, stderr);
	buf_free(&line);
}

static void
report_drops(void)
{
	struct l_dropped m = { logger.pid, logger.untold };

	if (logger.untold > 0 && l_dropped_send(logger.line, 0, &m) == RC_OK)
		logger.untold = 0;
}

static void
keep_waiting(const struct l_event *m)
{
	size_t n = l_event_size(m);
	uint8_t *at = buf_reserve(&logger.waiting, 4 + n);
	struct wr w = { at, 0, 4 + n, false };

	if (at == NULL) {
		logger.waiting.failed = false;
		drop_event();
		return;
	}
	wr_u32(&w, (uint32_t)n);
	(void)l_event_put(&w, m);
	buf_advance(&logger.waiting, w.n);
}

void
log_event(enum log_event event, const struct msgid *id, const struct log_field *fields, size_t n)
{
	const struct log_event_info *info = &log_event_info[event];
	uint8_t space[LOG_EVENT_BYTES_MAX];
	struct wr w = { space, 0, sizeof space, false };
	char qid[QUEUE_ID_LEN];
	struct l_event m = { .event = (uint16_t)event, .when = (uint64_t)clock_wall_us(), .pid = logger.pid };

	if (!logger.open || (info->severity == SEV_DEBUG && !logger.debug))
		return;
	for (size_t i = 0; i < n; i++)
		put_field(&w, &fields[i]);
	m.fields = slice_of(space, w.n);
	if (id != NULL) {
		queue_id_format(*id, qid);
		m.qid = slice_of(qid, sizeof qid);
	}
	if (logger.line == NULL) {
		/* Only at start-up: later a stopped terminal or journal behind stderr could stop us. */
		if (info->severity >= SEV_WARNING && !logger.had_line)
			tell_stderr(info, fields, n);
		keep_waiting(&m);
		return;
	}
	if (peer_backlog(logger.line) > LOG_BACKLOG_MAX) {
		drop_event();
		return;
	}
	report_drops();
	if (l_event_send(logger.line, 0, &m) != RC_OK)
		drop_event();
}

void
log_attach(struct peer *line)
{
	logger.line = line;
	if (line == NULL)
		return;
	logger.had_line = true;
	while (buf_len(&logger.waiting) > 0) {
		struct rd r = { buf_slice(&logger.waiting), false };
		uint32_t len = rd_u32(&r);
		struct rd body = { rd_take(&r, len), false };
		struct l_event m;

		if (!l_event_get(&body, &m))
			BUG("the log backlog is malformed");
		if (l_event_send(line, 0, &m) != RC_OK)
			drop_event();
		buf_consume(&logger.waiting, 4 + (size_t)len);
	}
	buf_free(&logger.waiting);
	report_drops();
}
