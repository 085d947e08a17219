/* common/policy/networks.h -- a list of client networks, as smtpd's options name them: CIDR networks, @table for a table
 * whose values stand in the configuration, and the word relay-clients for those of router { relay-clients }. */
#ifndef POSTERN_COMMON_POLICY_NETWORKS_H
#define POSTERN_COMMON_POLICY_NETWORKS_H

#include "common/conf.h"
#include "common/policy/table.h"

/* RC_OK: a table that table_has_ip() asks; free it with table_free(). Else words in why (which may be NULL), and no table.
 * A table of relay-clients that is in a file is passed over: its networks are not in the result. */
enum rc networks_compile(const struct conf *conf, const struct conf_list *list, struct table **ret_table, struct buf *why);

#endif
