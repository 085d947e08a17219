/* master/counts_memory.c -- see counts_memory.h. */
#include "master/counts_memory.h"

#include "common/counts.h"
#include "common/processors.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

enum {
	TABLES_MIN = 16,
	TABLES_STEP = 8,	/* more smtpd processes than there are now may be asked for at a reload */
};

static uint32_t
tables_for(const struct conf *c)
{
	uint32_t n = c->smtpd.processes != 0 ? c->smtpd.processes : processors_online();

	n = n < TABLES_MIN ? TABLES_MIN : n;
	n = (n + TABLES_STEP - 1) / TABLES_STEP * TABLES_STEP;
	return n > COUNTS_TABLES_MAX ? COUNTS_TABLES_MAX : n;
}

static bool
format(int fd, uint32_t n_rows, uint32_t n_tables)
{
	struct hash_key key;
	size_t first = counts_offset(n_rows, 0);
	void *memory;

	if (getrandom(key.b, sizeof key.b, 0) != sizeof key.b)
		return false;
	memory = mmap(NULL, first, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return false;
	counts_format(memory, n_rows, n_tables, &key);
	explicit_bzero(&key, sizeof key);
	(void)munmap(memory, first);
	return true;
}

enum rc
counts_memory_make(const struct conf *c, int *ret_write, int *ret_read, struct buf *why)
{
	uint32_t n_rows = counts_rows_for(c->smtpd.max_sessions), n_tables = tables_for(c);
	int fd = memfd_create("counts", MFD_CLOEXEC | MFD_ALLOW_SEALING), read_only = -1;
	char path[64];

	/* Whoever could make it shorter would kill those who look at its end. */
	if (fd != -1 && ftruncate(fd, (off_t)counts_size(n_rows, n_tables)) == 0 && format(fd, n_rows, n_tables) &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0) {
		(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		read_only = open(path, O_RDONLY | O_CLOEXEC);
	}
	if (read_only == -1) {
		(void)buf_printf(why, "the memory for counts of clients: %m");
		if (fd != -1)
			(void)close(fd);
		return RC_IO;
	}
	*ret_write = fd;
	*ret_read = read_only;
	return RC_OK;
}
