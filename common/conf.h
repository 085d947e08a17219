/* common/conf.h -- the configuration as the rooms see it.
 *
 * The master reads postern.conf into a struct conf and sends it to every room as one encoded blob; a room decodes it
 * and keeps it until the next generation. A struct conf is counted: sessions hold the one they began with. There are no
 * secrets in it. Strings are our own (from the administrator), so they are C strings. */
#ifndef POSTERN_COMMON_CONF_H
#define POSTERN_COMMON_CONF_H

#include "common/buf.h"
#include "common/conf_schema.h"
#include "common/rc.h"
#include "common/slice.h"

struct conf_list {
	char **v;
	size_t n;
};

/* How the struct of every section begins. */
struct conf_section_head {
	char *title;		/* NULL for a section that stands once */
	char *conf_file;	/* where the section stands: for messages */
	uint32_t conf_line;
};

/* The networks of a table that is in a file, for the lists of smtpd, which may open nothing: the master has read it. */
struct conf_networks {
	char *table;
	struct conf_list v;
};

#define CONF_F_BOOL(c, ...)	bool c;
#define CONF_F_U32(c, ...)	uint32_t c;
#define CONF_F_SIZE(c, ...)	uint64_t c;
#define CONF_F_TIME(c, ...)	uint64_t c;	/* milliseconds */
#define CONF_F_STR(c, ...)	char *c;
#define CONF_F_LIST(c, ...)	struct conf_list c;
#define CONF_STRUCT(c, name, FIELDS)							\
	struct conf_##c {								\
		char *title;		/* NULL for a section that stands once */		\
		char *conf_file;	/* where the section stands: for messages */		\
		uint32_t conf_line;							\
		FIELDS(CONF_F_BOOL, CONF_F_U32, CONF_F_SIZE, CONF_F_TIME, CONF_F_STR, CONF_F_LIST) \
	};
CONF_STRUCT(global, "", CONF_GLOBAL)
CONF_SECTIONS(CONF_STRUCT, CONF_STRUCT)

struct conf {
	unsigned refs;
	uint32_t generation;
	struct conf_global global;
#define CONF_ONE(c, name, FIELDS)	struct conf_##c c;
#define CONF_MANY(c, name, FIELDS)	struct conf_##c *c##s; size_t n_##c##s;
	CONF_SECTIONS(CONF_ONE, CONF_MANY)
	struct conf_networks *networks;
	size_t n_networks;
#undef CONF_ONE
#undef CONF_MANY
};

/* Is there anything to check credentials by? Then the house has an auth room. */
static inline bool
conf_uses_auth(const struct conf *c)
{
	return *c->auth.users_file != '\0' || *c->auth.certificates_file != '\0' || *c->auth.dovecot != '\0';
}

/* Everything at its default, no titled section. refs is 1. NULL: no memory. */
struct conf *conf_new(void);
struct conf *conf_ref(struct conf *c);
void conf_unref(struct conf *c);	/* NULL is fine */

/* --- the options as data, for the parser, the manual and config show --- */

enum conf_kind { CONF_BOOL, CONF_U32, CONF_SIZE, CONF_TIME, CONF_STR, CONF_LIST };
struct conf_option {
	const char *name, *fallback, *min, *max, *help;
	enum conf_kind kind;
	size_t offset;		/* in the section's struct */
};
struct conf_section {
	const char *name;	/* "" for the options outside any section */
	const struct conf_option *options;
	size_t n_options;
	size_t size;		/* of the section's struct */
	size_t offset;		/* in struct conf: of the struct, or of the pointer when multi */
	size_t offset_count;	/* in struct conf: of the size_t count, when multi */
	bool multi;
};
extern const struct conf_section conf_sections[];
extern const size_t n_conf_sections;	/* conf_sections[0] is the global one */

/* Appends a titled section, all defaults; *ret_at points to its struct, until the next append. */
enum rc conf_add(struct conf *c, const struct conf_section *s, const char *title, void **ret_at);

/* Sets one option of a section struct from its written form. RC_SYNTAX, RC_RANGE, RC_NOMEM. A LIST is appended to with
 * conf_list_add, after conf_list_clear. */
enum rc conf_set(void *section, const struct conf_option *o, const char *text);
enum rc conf_list_add(struct conf_list *l, struct slice item);
void conf_list_clear(struct conf_list *l);
/* The written form of an option's value ("5m", "64M", "yes"); a list as "a, b". */
bool conf_get(const void *section, const struct conf_option *o, struct buf *to);

/* Appends the networks of a table file, none yet; valid until the next append. NULL: no memory. */
struct conf_networks *conf_add_networks(struct conf *c, const char *table);

/* "5m", "1h30m", "250ms" to milliseconds; "64K" to bytes. */
enum rc conf_time_parse(struct slice text, uint64_t *ret_ms);
enum rc conf_size_parse(struct slice text, uint64_t *ret_bytes);

/* --- on the line from master --- */
bool conf_encode(const struct conf *c, struct buf *to);
enum rc conf_decode(struct slice blob, struct conf **ret_conf);

#endif
