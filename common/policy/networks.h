/* common/policy/networks.h -- a list of client networks, as smtpd's options name them: CIDR networks, @table, and the word
 * relay-clients for those of router { relay-clients }. What is in a table's file stands in conf->networks. */
#ifndef POSTERN_COMMON_POLICY_NETWORKS_H
#define POSTERN_COMMON_POLICY_NETWORKS_H

#include "common/conf.h"
#include "common/policy/table.h"

/* RC_OK: a table that table_has_ip() asks; free it with table_free(). Else words in why (which may be NULL), and no table. */
enum rc networks_compile(const struct conf *conf, const struct conf_list *list, struct table **ret_table, struct buf *why);

/* The same in the place of *at, which stays what it is when that fails: what is wrong with the list the master has said. */
void networks_renew(const struct conf *conf, const struct conf_list *list, struct table **at);

/* Does some list of smtpd { }, limits { } or a listener name this table, itself or by relay-clients? */
bool networks_name_table(const struct conf *conf, const char *title);

#endif
