/* deliver/verdict.h -- why a host was given up or a session ended: what D_CLOSED says. */
#ifndef POSTERN_DELIVER_VERDICT_H
#define POSTERN_DELIVER_VERDICT_H

#include "common/ipc/schema.h"
#include "common/job.h"
#include "common/wire/smtp_reply.h"

struct verdict {
	enum session_end end;
	uint16_t code;			/* 0: no reply was involved */
	struct enhanced enhanced;
	size_t n;
	char text[JOB_TEXT_MAX];	/* n bytes of printable ASCII */
};

/* In our own words. */
void verdict_say(struct verdict *v, enum session_end end, uint16_t code, struct enhanced enhanced, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* Appends words of somebody else, made printable, after ": ". Nothing for an empty slice. */
void verdict_add(struct verdict *v, struct slice words);

/* In the words of a server. The enhanced code gets the class of the end: 5 for SESSION_PERMANENT, else 4. */
void verdict_quote(struct verdict *v, enum session_end end, const struct smtp_reply *reply);

static inline struct slice
verdict_text(const struct verdict *v)
{
	return slice_of(v->text, v->n);
}

#endif
