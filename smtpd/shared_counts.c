/* smtpd/shared_counts.c -- see shared_counts.h. */
#include "smtpd/shared_counts.h"

#include "smtpd/smtpd.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

void
shared_counts_map(struct smtpd *smtpd)
{
	struct room *room = smtpd->room;
	int write_fd = room_take_file(room, FILE_COUNTS, S("write")), read_fd = room_take_file(room, FILE_COUNTS, S("read"));
	uint32_t n_rows, n_tables;
	struct stat st;
	void *all = MAP_FAILED, *own = MAP_FAILED;
	size_t size = 0;

	if (read_fd == -1 && write_fd == -1)
		return;		/* a process that only tries the sandbox */
	if (read_fd != -1 && write_fd != -1 && fstat(read_fd, &st) == 0) {
		size = (size_t)st.st_size;
		all = mmap(NULL, size, PROT_READ, MAP_SHARED, read_fd, 0);
	}
	if (all != MAP_FAILED && counts_shape(all, size, &n_rows, &n_tables) && room->index < n_tables)
		own = mmap(NULL, counts_table_size(n_rows), PROT_READ | PROT_WRITE, MAP_SHARED, write_fd,
		    (off_t)counts_offset(n_rows, room->index));
	if (own == MAP_FAILED || clients_share(&smtpd->clients, own, all, size, room->index) != RC_OK)
		log_say(LOG_TROUBLE, NULL, F_TEXT("what", "limits of clients hold for each smtpd process by itself"),
		    F_TEXT("error", own == MAP_FAILED ? "no shared memory for counts, or more processes than at the start" :
		    "its form"));
	if (read_fd != -1)
		(void)close(read_fd);
	if (write_fd != -1)
		(void)close(write_fd);
}
