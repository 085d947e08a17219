/* master/listen.c -- listening sockets, see listen.h. */
#include "master/listen.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum rc
listen_address_parse(const char *text, struct ip *ret_ip)
{
	if (strcmp(text, "*") == 0)
		return ip_parse(S("0.0.0.0"), ret_ip);
	return ip_parse(slice_str(text), ret_ip);
}

int
listen_tcp(struct ip ip, uint16_t port, unsigned backlog)
{
	struct sockaddr_storage to;
	socklen_t len = ip_to_sockaddr(ip, port, &to);
	int on = 1, saved;
	int fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd == -1)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
	    (ip.family != 6 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0) &&
	    bind(fd, (const struct sockaddr *)&to, len) == 0 && listen(fd, (int)backlog) == 0)
		return fd;
	saved = errno;
	(void)close(fd);
	errno = saved;
	return -1;
}

int
listen_control(const char *path, gid_t group, struct buf *why)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t n = strlen(path);
	mode_t old;
	int fd;

	if (n >= sizeof to.sun_path) {
		(void)buf_printf(why, "%s: a socket's path has %zu bytes at most; choose a shorter run-dir", path,
		    sizeof to.sun_path - 1);
		return -1;
	}
	memcpy(to.sun_path, path, n + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1) {
		(void)buf_printf(why, "%s: %m", path);
		return -1;
	}
	(void)unlink(path);
	/* Never open to everybody, not even between bind and chmod. */
	old = umask(0177);
	if (bind(fd, (const struct sockaddr *)&to, sizeof to) == -1 || listen(fd, 64) == -1 ||
	    lchown(path, 0, group) == -1 || chmod(path, group == 0 ? 0600 : 0660) == -1) {
		(void)buf_printf(why, "%s: %m", path);
		(void)close(fd);
		fd = -1;
	}
	(void)umask(old);
	return fd;
}
