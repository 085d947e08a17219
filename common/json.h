/* common/json.h -- a JSON (RFC 8259) writer into a buf.
 *
 * Commas, colons and escapes are the writer's business. It allocates nothing of its own. Wrong use (a value without a
 * key in an object, an end without a begin, nesting beyond JSON_DEPTH_MAX) sets bad and writes nothing more; json_ok
 * at the end tells. Bytes that are not UTF-8 become U+FFFD, one for each.
 *
 *	struct json j;
 *	json_init(&j, &out);
 *	json_object(&j);
 *	json_key_str(&j, "from", sender);
 *	json_key_u64(&j, "size", n);
 *	json_end(&j);
 *	if (!json_ok(&j)) ...						*/
#ifndef POSTERN_COMMON_JSON_H
#define POSTERN_COMMON_JSON_H

#include "common/buf.h"

enum { JSON_DEPTH_MAX = 31 };	/* open objects and arrays; one bit each */

struct json {
	struct buf *to;		/* borrowed */
	uint32_t objects;	/* bit d: level d is an object */
	uint32_t filled;	/* bit d: level d has a member already */
	unsigned depth;
	bool keyed;		/* a key was written, its value comes next */
	bool bad;
};

void json_init(struct json *j, struct buf *to);

void json_object(struct json *j);
void json_array(struct json *j);
void json_end(struct json *j);		/* of the innermost object or array */

void json_key(struct json *j, const char *key);
void json_str(struct json *j, struct slice s);
void json_u64(struct json *j, uint64_t v);
void json_i64(struct json *j, int64_t v);
void json_bool(struct json *j, bool v);

/* Key and value in one. */
void json_key_str(struct json *j, const char *key, struct slice s);
void json_key_text(struct json *j, const char *key, const char *s);	/* a C string of our own */
void json_key_u64(struct json *j, const char *key, uint64_t v);
void json_key_i64(struct json *j, const char *key, int64_t v);
void json_key_bool(struct json *j, const char *key, bool v);
void json_key_array(struct json *j, const char *key);

/* Everything that was opened is closed, nothing was misused, everything fitted. */
bool json_ok(const struct json *j);

#endif
