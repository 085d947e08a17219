/* common/policy/rules.h -- the configuration's rules, routes and tables, compiled: everything that a decision needs.
 *
 * One struct policy belongs to one generation of the configuration. The router room makes one to decide by; the master's
 * check makes one to see whether it can be made. Pure: the bytes of table files are the caller's to read. */
#ifndef POSTERN_COMMON_POLICY_RULES_H
#define POSTERN_COMMON_POLICY_RULES_H

#include "common/conf.h"
#include "common/ipc/schema.h"
#include "common/policy/pattern.h"

enum {
	POLICY_TEXT_MAX = 400,		/* of a rule's reply: it fits a reply line (RFC 5321 4.5.3.1.5) with its codes */
	POLICY_NEXTHOP_MAX = 270,	/* [host of 253]:65535 */
	POLICY_TRANSPORT_MAX = 64,
	POLICY_TITLE_MAX = 128,		/* of rules, tables, transports */
	POLICY_FINGERPRINT = 64,	/* SHA-256, in hexadecimal */
};

/* Where mail goes: parts that are empty leave it to the next stage (rule, route, router, MX). */
struct policy_route {
	const char *transport;		/* borrowed from the configuration; "" */
	bool local;			/* the transport's kind is local */
	char nexthop[POLICY_NEXTHOP_MAX + 1];	/* canonical; "" */
};

struct policy_rule {
	const struct conf_rule *conf;	/* its title, listeners, and where it stands */
	struct patterns client, client_name, client_certificate, from, to, to_user, user;
	enum verdict_action action;
	uint16_t code;
	char enhanced[10];
	const char *text;		/* borrowed from the configuration, or a constant */
	bool refuses_postmaster;	/* it names clients or postmaster: RFC 5321 4.5.1 allows narrow refusals only */
	struct policy_route route;
};

struct policy_way {			/* one route section */
	const struct conf_route *conf;
	struct patterns from, to;
	struct policy_route route;
};

struct policy {
	struct conf *conf;		/* counted */
	struct table **tables;		/* one for each table section, in their order, then @passwd when it is used */
	size_t n_tables;
	struct patterns local_domains, local_users, senders, relay_clients, relay_certificates;
	struct policy_rule *rules;
	size_t n_rules;
	struct policy_way *ways;
	size_t n_ways;
	struct policy_route last;	/* router { relay-host } */
	struct ip *own;			/* addresses of the listeners: their literals are local domains */
	size_t n_own;
};

/* The bytes of a table file: path is where it stands; name is the table's title, or "@passwd". They must stay until the
 * next call or the end of policy_new. Anything but RC_OK: words in why, without the place. */
typedef enum rc policy_load_fn(void *ctx, struct slice name, const char *path, struct slice *ret_bytes, struct buf *why);

/* Compiles. On anything but RC_OK why says "file:line: what, and what to do" of the first mistake. Keeps a reference to conf. */
enum rc policy_new(struct conf *conf, policy_load_fn *load, void *ctx, struct policy **ret_policy, struct buf *why);
void policy_free(struct policy *p);	/* NULL is fine */

struct policy_files {
	policy_load_fn *load;
	void *ctx;
};

/* Where an option of a section was written: sets *file (NULL: on the command line) and *line, or leaves them, which are those
 * of the section: the option stands at its default. */
struct policy_places {
	void (*find)(void *ctx, const void *section, const char *option, const char **file, uint32_t *line);
	void *ctx;
};

/* Can a policy be made of this? For the master, before it sends the configuration to anybody. why: a line for each mistake,
 * each with its end. notes: a line for each thing that is allowed and can hardly be meant. */
enum rc policy_check_conf(struct conf *conf, const struct policy_files *files, const struct policy_places *places,
    struct buf *notes, struct buf *why);

/* Does the configuration use the system's users (@passwd)? Then the router needs /etc/passwd. */
bool policy_uses_passwd(const struct conf *conf);

/* Does anything stand for postmaster: a local user of that name, or what the option names? If not, its mail is accepted
 * (RFC 5321 4.5.1) and cannot be delivered, which is worth a warning. */
bool policy_has_postmaster(const struct policy *p);

/* The local user that a local part (its meaning, no quotes) names: as a whole, else without its extension, which starts
 * at one of local { recipient-delimiter }. *ret_user is as the table writes it. */
bool policy_find_user(const struct policy *p, struct slice local, struct slice *ret_user, bool *ret_exact);

/* "example.org", "[host]", "[host]:port", as the relay-host options take them; appended in the form of D_OPEN. */
enum rc policy_nexthop_put(struct buf *to, struct slice text);

#endif
