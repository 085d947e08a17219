/* common/wire/header.h -- the header of a message (RFC 5322 2.2), read only: Postern never repairs what it relays.
 *
 * Two readers. header_next walks over the fields of a header that stands in memory, whole or as a prefix that grows.
 * struct header_watch takes content as it streams by and keeps only what a relay asks: how long, how many Received,
 * which of the required fields are there, the Message-ID. Both agree on where the header ends:
 *	- at an empty line, which belongs to neither header nor body; or
 *	- before the first line that is no field and continues none: there the body starts, so that a message whose
 *	  first line is malformed has no header at all.
 * Lines end in CRLF only. Pure; slices borrow. */
#ifndef POSTERN_COMMON_WIRE_HEADER_H
#define POSTERN_COMMON_WIRE_HEADER_H

#include "common/buf.h"
#include "common/rc.h"
#include "common/slice.h"

enum {
	HEADER_BYTES_MAX = 256 * 1024,	/* THREATS 38 */
	HEADER_FIELDS_MAX = 1000,	/* THREATS 38 */
	HEADER_NAME_BYTES_MAX = 998,	/* up to the colon: RFC 5322 2.1.1 has no longer lines */
	HEADER_NAME_MAX = 76,		/* the watch tells names apart up to this; registered ones are shorter */
	HEADER_ID_MAX = 255,		/* of a Message-ID, what the watch keeps */
};

/* ---- fields in memory ---------------------------------------------------------------------------------------------*/

struct header_field {
	struct slice name;	/* without the colon */
	struct slice value;	/* after the colon, with folding, without the last CRLF: header_value_put unfolds it */
	struct slice raw;	/* the whole field, with its last CRLF when it is there */
};

struct header_iter {
	struct slice in;	/* what is there so far; may be replaced by a longer one with the same beginning */
	bool whole;		/* nothing will follow `in` */
	size_t at;		/* where the next field starts */
	size_t seen;		/* looked at so far; and from `at` on: */
	size_t named;		/* for a name and the white space behind it, */
	size_t name, colon;	/* their lengths; colon 0: not reached */
	size_t n_fields;
	size_t body;		/* after RC_NOTFOUND: where the body starts */
	bool malformed;		/* after RC_NOTFOUND: the header ended before a line that is no field */
	bool ended;
};

void header_begin(struct header_iter *it, struct slice in, bool whole);

/* RC_OK: a field. RC_NOTFOUND: the header is over, see body and malformed. RC_MORE: the field or the end is not all
 * there; set a longer it->in, or whole, and call again. RC_RANGE: over HEADER_BYTES_MAX or HEADER_FIELDS_MAX. */
enum rc header_next(struct header_iter *it, struct header_field *ret_field);

/* Appends the value in one line: unfolded (RFC 5322 2.2.3), without white space around it, at most max bytes of it.
 * Other control bytes stay: escape it for logs. False: `to` is full. */
bool header_value_put(struct buf *to, struct slice value, size_t max);

/* ---- fields that stream by ----------------------------------------------------------------------------------------*/

struct header_watch {
	uint64_t bytes;		/* of the header so far, without the empty line */
	uint32_t n_fields;
	uint32_t received;	/* RFC 5321 6.3: loop detection */
	uint32_t delivered_to;
	uint32_t from;		/* how many of each of the fields that RFC 5322 3.6 bounds */
	uint32_t date;
	uint32_t message_id;
	bool ended;		/* the empty line, or a malformed one, was seen */
	bool malformed;
	bool not_text;		/* a bare CR, a bare LF or a NUL stands in a field: others may see a line end in it */
	bool utf8;		/* some field holds UTF-8 that is not ASCII, and nothing above 127 that is none (RFC 6532 3.1) */
	bool too_long;		/* passed HEADER_BYTES_MAX or HEADER_FIELDS_MAX: watching has ended */
	uint8_t id[HEADER_ID_MAX]; /* first Message-ID, unfolded and trimmed, perhaps cut */
	size_t id_len;
	/* The rest is the watch's own. */
	uint8_t state;
	uint8_t letter[4];	/* of the field: bytes above 127, as far as they may be one character */
	uint8_t letter_len;
	bool field_utf8, field_other; /* it holds UTF-8 above ASCII; it holds bytes above 127 that are none */
	bool keep_id, keep_tls;
	uint8_t tls[3];		/* TLS-Required, without white space, perhaps cut */
	uint8_t tls_len;
	bool tls_seen;
	bool keep_type, type_seen;
	uint8_t type[10];	/* Content-Type, without white space, perhaps cut */
	uint8_t type_len;
	uint8_t name[HEADER_NAME_MAX];
	size_t name_len, name_bytes;
};

void header_watch_init(struct header_watch *w);

/* The next bytes of content. Does nothing once the header has ended. */
void header_watch_feed(struct header_watch *w, struct slice content);

/* The content is over; a header without a body ends here. */
void header_watch_end(struct header_watch *w);

/* Does it say TLS-Required: No (RFC 8689 3)? */
static inline bool
header_watch_tls_optional(const struct header_watch *w)
{
	return slice_caseeq(slice_of(w->tls, w->tls_len), S("No"));
}

/* May the body have parts with header fields of their own (RFC 2046 5)? A comment may hide the type. */
static inline bool
header_watch_has_parts(const struct header_watch *w)
{
	struct slice type = slice_of(w->type, w->type_len);

	return slice_caseeq(slice_first(type, 10), S("multipart/")) || slice_caseeq(slice_first(type, 8), S("message/")) ||
	    slice_starts(type, S("("));
}

static inline struct slice
header_watch_id(const struct header_watch *w)
{
	return slice_of(w->id, w->id_len);
}

#endif
