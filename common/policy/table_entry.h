/* common/policy/table_entry.h -- between table.c (the set) and table_load.c (its written forms); for nobody else. */
#ifndef POSTERN_COMMON_POLICY_TABLE_ENTRY_H
#define POSTERN_COMMON_POLICY_TABLE_ENTRY_H

#include "common/policy/table.h"

/* Adds a pattern in its one written form: RC_OK, RC_EXISTS (there already, with another value), RC_NOMEM. */
enum rc table_entry_add(struct table *t, enum table_kind kind, struct slice pattern, struct slice value, uint32_t line);

/* The canonical literal of an address, with brackets; 0 for family 0. */
size_t table_literal_text(struct ip ip, uint8_t out[IP_TEXT_MAX + 8]);

#endif
