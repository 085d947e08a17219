/* log/ring.h -- the lines that the destination has not taken yet, in a bounded ring of bytes.
 *
 * A line ends in '\n' and holds no other. When a line does not fit, it and those after it are dropped and counted until
 * half of the ring is free again: one gap in the log, with its size, rather than many. */
#ifndef POSTERN_LOG_RING_H
#define POSTERN_LOG_RING_H

#include "common/rc.h"
#include "common/slice.h"

struct ring {
	uint8_t *p;
	size_t size;
	size_t at;		/* the first byte waiting */
	size_t n;		/* bytes waiting */
	uint64_t lines;		/* lines waiting; one that was taken in part counts */
	uint64_t written;	/* lines taken since the start */
	uint64_t dropped;	/* since the start */
	uint64_t untold;	/* of these, since ring_take_untold */
	bool shut;		/* dropping until there is room again */
};

/* RC_NOMEM. */
enum rc ring_init(struct ring *r, size_t size);
void ring_free(struct ring *r);

/* The same lines in a ring of another size; what does not fit, the newest, is dropped and counted. RC_NOMEM: as it was. */
enum rc ring_resize(struct ring *r, size_t size);

/* One whole line with its '\n'. False: dropped and counted. */
bool ring_put(struct ring *r, struct slice line);

/* May drops be reported now? How many there were since the last report, 0: none or not now. Resets the count: the
 * caller puts a line about it. */
uint64_t ring_take_untold(struct ring *r);

/* The oldest bytes, as far as they lie in one piece. */
struct slice ring_peek(const struct ring *r);
/* The oldest line without its '\n', copied to space (cut to max). Empty ring: false. */
bool ring_peek_line(const struct ring *r, uint8_t *space, size_t max, size_t *ret_n, size_t *ret_whole);
/* n oldest bytes are done. n <= ring->n. */
void ring_consume(struct ring *r, size_t n);

#endif
