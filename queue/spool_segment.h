/* queue/spool_segment.h -- one segment file that is open for writing: made, appended to, sealed. */
#ifndef POSTERN_QUEUE_SPOOL_SEGMENT_H
#define POSTERN_QUEUE_SPOOL_SEGMENT_H

#include "common/buf.h"
#include "queue/spool_io.h"
#include "queue/spool_pool.h"
#include "queue/spool_record.h"

struct spool_file {
	struct spool_work work;		/* for whoever passes it between threads */
	struct spool_file *next;	/* in a list of spares */
	void *owner;			/* for work's functions */
	struct spool_io *io;
	int fd;
	uint32_t number;
	uint64_t size;			/* set aside on disk */
	uint64_t end;			/* of the last durable batch; SPOOL_FIRST_FRAME at first */
	uint64_t batch, digest;		/* of the last durable COMMIT */
	uint64_t sequence;		/* the last durable one */
	uint8_t nonce[SPOOL_NONCE_BYTES];
	struct spool_key key;
	struct buf footer;		/* entries so far; failed: it grew too large, there will be none */
};

struct spool_ident {
	uint64_t spool;
	uint16_t boot;
};

void spool_segment_path(char out[SPOOL_PATH_MAX], uint32_t number);
void spool_big_path(char out[SPOOL_PATH_MAX], struct msgid id);

/* Makes segment number, durable with its name. zeros: written through, not only set aside. Blocks. -errno in *ret_error
 * when it returns NULL; nothing remains then (but for what a dying disk does not let go). */
struct spool_file *spool_file_make(struct spool_io *io, struct spool_ident ident, uint32_t number, uint64_t size,
    bool zeros, int *ret_error);
/* Writes FOOTER and END, cuts the file there and syncs it. Blocks. A failure costs only a slower start. */
int spool_file_seal(struct spool_file *f);
void spool_file_free(struct spool_file *f);	/* closes it */

#endif
