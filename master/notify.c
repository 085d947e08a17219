/* master/notify.c -- sd_notify without libsystemd, see notify.h. */
#include "master/notify.h"

#include "common/clock.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void
notify(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t n = path == NULL ? 0 : strlen(path);
	int fd;

	/* A path, or with @ a name in the abstract space, as sd_notify(3) says. */
	if (n == 0 || n >= sizeof to.sun_path || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(to.sun_path, path, n);
	if (to.sun_path[0] == '@')
		to.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return;
	(void)sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&to,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
	(void)close(fd);
}

void
notify_ready(const char *status)
{
	char text[256];

	(void)snprintf(text, sizeof text, "READY=1\nSTATUS=%s\nMAINPID=%ld", status, (long)getpid());
	notify(text);
}

void
notify_reloading(void)
{
	char text[96];

	(void)snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld",
	    (long long)clock_us(CLOCK_MONOTONIC));
	notify(text);
}

void
notify_stopping(void)
{
	notify("STOPPING=1");
}

static uint64_t
watchdog_ms(void)
{
	const char *usec = getenv("WATCHDOG_USEC");

	return usec == NULL ? 0 : strtoull(usec, NULL, 10) / 2000;
}

static void
on_watchdog(struct timer *t, void *ctx)
{
	(void)ctx;
	notify("WATCHDOG=1");
	timer_start(t, watchdog_ms());
}

void
notify_watchdog(struct timer *t, struct loop *loop)
{
	if (watchdog_ms() == 0)
		return;
	timer_setup(t, loop, on_watchdog, NULL);
	on_watchdog(t, NULL);
}
