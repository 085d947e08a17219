/* tests/fuzz/fuzz_conf_file.c -- postern.conf of any bytes: read and checked, or refused with words. */
#include "master/conf_check.h"
#include "master/conf_complete.h"
#include "master/conf_file.h"
#include "master/conf_warn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf errors = BUF_INIT(1024 * 1024);
	struct buf notes = BUF_INIT(64 * 1024);
	struct conf_source s;
	char path[64];
	int fd;

	/* What an include brings in is the administrator's file system, not this input. */
	if (memmem(data, size, "include", 7) != NULL)
		return 0;
	fd = memfd_create("postern.conf", MFD_CLOEXEC);
	if (fd == -1 || write(fd, data, size) != (ssize_t)size)
		abort();
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (conf_file_read(path, NULL, 0, &s, &errors) != RC_OK) {
		if (buf_len(&errors) == 0)
			abort();
	} else {
		struct buf blob = BUF_INIT(16 * 1024 * 1024);
		struct conf *copy;

		if (conf_complete(s.conf, false, &errors) == RC_OK && conf_check(&s, &errors) != RC_OK && buf_len(&errors) == 0)
			abort();
		/* Whatever was read travels to the rooms and arrives. */
		if (!conf_encode(s.conf, &blob) || conf_decode(buf_slice(&blob), &copy) != RC_OK)
			abort();
		conf_unref(copy);
		buf_free(&blob);
		conf_warn_text(&s, &notes);
		conf_warn(s.conf, &notes);
		buf_free(&notes);
		conf_source_free(&s);
	}
	buf_free(&errors);
	(void)close(fd);
	return 0;
}
