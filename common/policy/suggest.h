/* common/policy/suggest.h -- "did you mean": the known word that is closest to a mistyped one. */
#ifndef POSTERN_COMMON_POLICY_SUGGEST_H
#define POSTERN_COMMON_POLICY_SUGGEST_H

#include "common/buf.h"
#include "common/slice.h"

enum { SUGGEST_WORD_MAX = 64 };	/* longer words are not compared */

struct suggest {
	struct slice word;	/* the mistyped one */
	struct slice best;	/* the closest so far */
	size_t distance;
};

void suggest_init(struct suggest *s, struct slice word);
void suggest_offer(struct suggest *s, struct slice known);	/* borrowed */
/* Appends "; did you mean X?" when one of those offered is close enough to be meant. */
void suggest_put(const struct suggest *s, struct buf *to);

#endif
