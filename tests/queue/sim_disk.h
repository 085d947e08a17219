/* tests/queue/sim_disk.h -- a disk in memory that forgets: what was not synced may be there after a power cut, or not, or
 * in part, sector by sector; so may names whose folder was not synced. Also fails, fills up and rots on demand. */
#ifndef POSTERN_TESTS_SIM_DISK_H
#define POSTERN_TESTS_SIM_DISK_H

#include "queue/spool_io.h"

enum { SIM_SECTOR = 512 };

enum sim_op {	/* the operations that a cut or a fault can be put before */
	SIM_ANY,
	SIM_CREATE,
	SIM_WRITE,
	SIM_SYNC,
	SIM_SYNC_FOLDER,
	SIM_RENAME,
	SIM_UNLINK,
	SIM_TRUNCATE,
	SIM_RESERVE,
};

/* What of the unsynced things a cut leaves. */
enum sim_cut {
	SIM_CUT_NOTHING,	/* the least that was promised */
	SIM_CUT_ALL,		/* everything had reached the disk anyway */
	SIM_CUT_NAMES,		/* all names, no data */
	SIM_CUT_DATA,		/* all data, no names */
	SIM_CUT_PREFIX,		/* in order, up to somewhere */
	SIM_CUT_RANDOM,		/* sectors and names at random */
	SIM_CUT_GARBAGE,	/* the same, and lost sectors hold garbage where the file had grown */
	SIM_CUTS,
};

struct sim_disk;

struct sim_disk *sim_disk_new(uint64_t seed);
void sim_disk_free(struct sim_disk *d);
struct spool_io *sim_disk_io(struct sim_disk *d);

/* The next n operations work; at the one after, the power goes: it and everything later returns -EIO. */
void sim_disk_cut_after(struct sim_disk *d, uint64_t n);
bool sim_disk_is_dead(const struct sim_disk *d);
uint64_t sim_disk_operations(const struct sim_disk *d);	/* so far */
/* The process that used it is gone, the machine is not: its descriptors are closed, and a cut that was to come, or came,
 * is taken back. What was not synced is still there for the next process to see. */
void sim_disk_reopen(struct sim_disk *d);
/* The disk as it is found after the cut (or a cut right now). d stays as it is. */
struct sim_disk *sim_disk_after_cut(const struct sim_disk *d, enum sim_cut how, uint64_t seed);

/* Operations of this kind fail with -error: the nth from now (1: the next), and when sticky all that follow. */
void sim_disk_fail(struct sim_disk *d, enum sim_op op, uint64_t nth, int error, bool sticky);
uint64_t sim_disk_failures(const struct sim_disk *d);	/* so far */
void sim_disk_heal(struct sim_disk *d);
/* Bytes that files may use in all. */
void sim_disk_capacity(struct sim_disk *d, uint64_t bytes);
uint64_t sim_disk_used(const struct sim_disk *d);
void sim_disk_set_now(struct sim_disk *d, int64_t now);

/* A file's bytes as they are now, to be changed by a test; NULL: there is none. Valid until the next operation. */
uint8_t *sim_disk_file(struct sim_disk *d, const char *path, uint64_t *ret_bytes);
/* Puts a file there, durable. */
void sim_disk_put(struct sim_disk *d, const char *path, const void *bytes, size_t n);
/* The nth name that starts with prefix, or NULL. */
const char *sim_disk_name(struct sim_disk *d, const char *prefix, unsigned n);

#endif
