/* master/certificates.h -- all certificates of the configuration: read, kept, renewed, and given to vault and smtpd.
 *
 * They are a set with a serial of its own, beside the generations of the configuration, because certificate files change
 * without anybody asking for a reload: they are looked at now and then, and what has changed (and then stood still) is
 * read. A new set goes to the vault first; smtpd gets it when the vault has it. A certificate that has become bad stays
 * as it was, and tls show says why; bad is also one that has expired, or is not valid yet, in the place of one that is. */
#ifndef POSTERN_MASTER_CERTIFICATES_H
#define POSTERN_MASTER_CERTIFICATES_H

#include "common/ipc/peer.h"
#include "common/loop.h"
#include "master/authority.h"
#include "master/certificate.h"

struct child;
struct master;

struct kept {
	struct certificate *in_use;	/* never NULL */
	char *trouble;			/* why a newer one was refused; NULL: none was */
	struct file_look seen[2];	/* at the last look; */
	struct file_look tried[2];	/* as last read, for better or worse */
	time_t ripe;			/* when the refused one becomes valid and is tried again; 0: it was refused for good */
	enum certificate_state state;	/* as smtpd has seen it when the set was sent */
	time_t day_warned;		/* of the last warning about its time: since 1970 */
};

struct certificates {
	struct kept *v;
	size_t n;
	struct authorities authorities;	/* of clients' certificates: client-ca */
};

/* What stands in the master's context. */
struct tls_ware {
	struct certificates now;
	struct certificates next;	/* of a generation that is not in use for sure yet */
	bool has_next;
	uint32_t serial;
	uint32_t vault_has;		/* the serial that the vault has confirmed */
	struct timer timer;
	struct buf notes;		/* of the last certificates_open(): what was kept though it is not what was asked for */
};

/* Reads what c names. One that is bad is an error, but stays as it is in old (NULL: none), with a line in notes. */
enum rc certificates_open(const struct conf *c, const struct certificates *old, struct certificates *ret_set, struct buf *notes,
    struct buf *errors);
void certificates_free(struct certificates *set);

/* A generation has been adopted (its set was put into master->tls.next), or given up. */
void certificates_use_next(struct master *m);
void certificates_drop_next(struct master *m);

void certificates_start(struct master *m);	/* the loop is there: begin to look at the files */
void certificates_stop(struct master *m);

/* For a process that is being started: the files of the present set. */
void certificates_send_first(struct child *c);
/* It is ready, or says that it has taken a set. */
void certificates_ready(struct child *c);
ipc_fn certificates_on_taken;

/* Who signs the certificates of this listener's clients, as of the newest generation. NULL: it has no client-ca. */
const struct authority *certificates_authority(const struct master *m, const char *listener);

/* tls show */
void certificates_show(struct child *control, uint32_t handle);

#endif
