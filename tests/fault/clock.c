/* tests/fault/clock.c -- a clock that a test can move: preloaded into every room, it adds what a shared file says to what the
 * kernel says. The file is mapped before the sandbox closes, so no system call is made for it afterwards. */
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#ifndef CLOCK_FILE
#error "CLOCK_FILE: the path of the file that holds the seconds to add, as a 64-bit integer"
#endif

static const volatile int64_t *jump;

/* The resolver keeps the real time: signatures would expire, and the zones of the lab are signed in real time. */
__attribute__((constructor)) static void
map_file(void)
{
	char name[16] = "";
	int fd = open("/proc/self/comm", O_RDONLY | O_CLOEXEC);
	void *p;

	if (fd != -1) {
		(void)!read(fd, name, sizeof name - 1);
		(void)close(fd);
	}
	if (strncmp(name, "postern-", 8) != 0 || strncmp(name, "postern-resolv", 14) == 0)
		return;
	fd = open(CLOCK_FILE, O_RDONLY | O_CLOEXEC);
	p = fd == -1 ? MAP_FAILED : mmap(NULL, sizeof *jump, PROT_READ, MAP_SHARED, fd, 0);

	if (fd != -1)
		(void)close(fd);
	if (p != MAP_FAILED)
		jump = p;
}

/* Only the wall clock can be set on a real machine. */
int
clock_gettime(clockid_t id, struct timespec *t)
{
	int rc = (int)syscall(SYS_clock_gettime, id, t);

	if (rc == 0 && jump != NULL && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		t->tv_sec += *jump;
	return rc;
}

int
gettimeofday(struct timeval *restrict t, void *restrict zone)
{
	struct timespec now;

	(void)zone;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	t->tv_sec = now.tv_sec;
	t->tv_usec = now.tv_nsec / 1000;
	return 0;
}

time_t
time(time_t *ret)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	if (ret != NULL)
		*ret = now.tv_sec;
	return now.tv_sec;
}
