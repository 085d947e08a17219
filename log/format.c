/* log/format.c -- see format.h. */
#include "log/format.h"

#include "common/escape.h"
#include "common/json.h"
#include "common/wire/date.h"

enum { FACILITY_MAIL = 2 };	/* RFC 5424 6.2.1 */

/* RFC 5424 6.2.1: a smaller number is worse. */
static const struct {
	const char *name;
	unsigned syslog;
} severities[] = {
	[SEV_DEBUG] = { "debug", 7 },
	[SEV_INFO] = { "info", 6 },
	[SEV_NOTICE] = { "notice", 5 },
	[SEV_WARNING] = { "warning", 4 },
	[SEV_ERROR] = { "error", 3 },
	[SEV_ALARM] = { "alarm", 1 },
};

/* Keys of the json object that a field may not take. */
static const struct slice own_keys[] = {
	SLICE("time"), SLICE("host"), SLICE("program"), SLICE("process"), SLICE("severity"), SLICE("event"), SLICE("id"),
};

/* --- fields: a run of {str8 key, u8 kind, value} --- */

struct field {
	struct slice key;
	enum log_kind kind;
	struct slice str;
	uint64_t u64;
	struct ip ip;
};

static bool
key_valid(struct slice key)
{
	if (key.n == 0 || key.n > LOG_KEY_MAX)
		return false;
	for (size_t i = 0; i < key.n; i++) {
		uint8_t c = key.p[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '_')
			return false;
	}
	for (size_t i = 0; i < sizeof own_keys / sizeof own_keys[0]; i++)
		if (slice_eq(key, own_keys[i]))
			return false;
	return true;
}

/* False at the end; r->bad tells a malformed run. */
static bool
field_next(struct rd *r, struct field *ret_f)
{
	struct field f = { 0 };

	if (r->s.n == 0 || r->bad)
		return false;
	f.key = rd_take(r, rd_u8(r));
	f.kind = (enum log_kind)rd_u8(r);
	switch (f.kind) {
	case LOG_STR:
		f.str = rd_str(r);
		break;
	case LOG_U64:
		f.u64 = rd_u64(r);
		break;
	case LOG_IP:
		f.ip = rd_ip(r);
		break;
	default:	/* a number from outside may be none of the three */
		r->bad = true;
	}
	if (!key_valid(f.key))
		r->bad = true;
	if (r->bad)
		return false;
	*ret_f = f;
	return true;
}

const char *
log_event_check(const struct l_event *m)
{
	struct rd r = { m->fields, false };
	struct msgid id;
	struct field f;

	if (m->event == LOG_NONE || m->event >= LOG_EVENT_COUNT)
		return "no such event";
	if (m->when > INT64_MAX)
		return "an event outside of time";
	if (m->qid.n != 0 && (m->qid.n != QUEUE_ID_LEN || queue_id_parse(m->qid, &id) != RC_OK))
		return "an event with a malformed queue id";
	if (m->fields.n > LOG_EVENT_BYTES_MAX)
		return "an event that is too long";
	while (field_next(&r, &f))
		;
	return r.bad ? "an event with malformed fields" : NULL;
}

/* --- text --- */

static void
put_text_fields(struct buf *to, struct slice fields)
{
	struct rd r = { fields, false };
	struct field f;

	while (field_next(&r, &f)) {
		(void)buf_put_byte(to, ' ');
		(void)buf_put_slice(to, f.key);
		(void)buf_put_byte(to, '=');
		switch (f.kind) {
		case LOG_STR:
			(void)escape_value_put(to, f.str, LOG_VALUE_MAX);
			break;
		case LOG_U64:
			(void)buf_printf(to, "%llu", (unsigned long long)f.u64);
			break;
		case LOG_IP:
			(void)ip_put(to, f.ip);
			break;
		}
	}
}

static void
put_text(struct buf *to, const struct l_event *m)
{
	if (m->qid.n > 0) {
		(void)buf_put_slice(to, m->qid);
		(void)buf_put_str(to, ": ");
	}
	(void)buf_put_str(to, log_event_info[m->event].name);
	put_text_fields(to, m->fields);
}

/* --- json --- */

static void
put_json_fields(struct json *j, struct slice fields)
{
	struct rd r = { fields, false };
	char key[LOG_KEY_MAX + 1], ip[IP_TEXT_MAX];
	struct field f;

	while (field_next(&r, &f)) {
		memcpy(key, f.key.p, f.key.n);
		key[f.key.n] = '\0';
		switch (f.kind) {
		case LOG_STR:
			json_key_str(j, key, slice_first(f.str, LOG_VALUE_MAX));
			break;
		case LOG_U64:
			json_key_u64(j, key, f.u64);
			break;
		case LOG_IP:
			json_key_str(j, key, slice_of(ip, ip_format(f.ip, ip)));
			break;
		}
	}
}

static void
put_json(struct buf *to, const struct log_form *form, enum role from, const struct l_event *m)
{
	const struct log_event_info *info = &log_event_info[m->event];
	char time[DATE_ISO8601_MAX];
	struct json j;

	json_init(&j, to);
	json_object(&j);
	json_key_str(&j, "time", slice_of(time, date_iso8601(time, (int64_t)m->when, 0)));
	json_key_text(&j, "host", form->host);
	json_key_text(&j, "program", role_name(from));
	json_key_u64(&j, "process", m->pid);
	json_key_text(&j, "severity", severities[info->severity].name);
	json_key_text(&j, "event", info->name);
	if (m->qid.n > 0)
		json_key_str(&j, "id", m->qid);
	put_json_fields(&j, m->fields);
	json_end(&j);
}

/* --- the line --- */

static void
put_head(struct buf *to, const struct log_form *form, enum role from, const struct l_event *m)
{
	char time[DATE_ISO8601_MAX];

	if (form->syslog)
		(void)buf_printf(to, "<%u>", FACILITY_MAIL * 8 + severities[log_event_info[m->event].severity].syslog);
	else if (!form->json) {
		(void)buf_put(to, time, date_iso8601(time, (int64_t)m->when, 0));
		(void)buf_printf(to, " %s ", form->host);
	}
	if (form->syslog || !form->json)
		(void)buf_printf(to, "postern/%s[%u]: ", role_name(from), (unsigned)m->pid);
}

bool
log_format(struct buf *to, const struct log_form *form, enum role from, const struct l_event *m)
{
	size_t before = buf_len(to);

	put_head(to, form, from, m);
	if (form->json)
		put_json(to, form, from, m);
	else
		put_text(to, m);
	(void)buf_put_byte(to, '\n');
	if (!to->failed)
		return true;
	to->end = to->start + before;
	to->failed = false;
	return false;
}
