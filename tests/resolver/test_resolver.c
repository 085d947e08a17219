/* tests/resolver/test_resolver.c -- the real postern-resolver, sandboxed, between a test that plays master and deliver
 * and a Knot that serves a signed root. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/folder.h"

#include "common/buf.h"
#include "common/conf.h"
#include "common/ipc/peer.h"
#include "common/mail_route.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct dns {
	char folder[64];
	pid_t pid;
};

struct world {
	int master, line, smtpd;	/* our ends; line: of a deliver */
	pid_t pid;
	char root[64];
	struct buf from_master, from_line, from_smtpd;
};

/* What V_HOSTS said, with the run taken apart. */
struct answer {
	enum dns_status status;
	bool secure;
	uint32_t ttl;
	char why[256];
	struct {
		char name[ROUTE_NAME_MAX + 1];
		struct route_host h;
	} hosts[ROUTE_HOSTS_MAX];
	size_t n_hosts;
};

static struct dns dns;

/* --- the DNS --- */

/* A network of our own, where port 53 is free: libunbound asks servers that it was referred to at no other. */
static bool
own_network(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd;
	bool up;

	if (unshare(CLONE_NEWNET) == -1)
		return false;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	up = fd != -1 && ioctl(fd, SIOCSIFFLAGS, &lo) == 0;
	(void)close(fd);
	return up;
}

static bool
exists(const char *folder, const char *file)
{
	char path[256];

	(void)snprintf(path, sizeof path, "%s/%s", folder, file);
	return access(path, F_OK) == 0;
}

static int
start_dns(void **state)
{
	const char *src = getenv("srcdir");
	char script[4096];

	(void)state;
	if (geteuid() != 0 || access("/usr/sbin/knotd", X_OK) != 0 || !own_network())
		return 0;
	(void)snprintf(script, sizeof script, "%s/tests/resolver/lab_dns.sh", src == NULL ? "." : src);
	folder_template(dns.folder, sizeof dns.folder, "dns");
	assert_non_null(mkdtemp(dns.folder));
	dns.pid = fork();
	assert_true(dns.pid >= 0);
	if (dns.pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
		(void)dup2(2, 1);
		(void)execl("/bin/sh", "sh", script, dns.folder, "53", (char *)NULL);
		_exit(127);
	}
	for (int i = 0; i < 200 && !exists(dns.folder, "ready"); i++)
		(void)usleep(100000);
	return exists(dns.folder, "ready") ? 0 : -1;
}

static int
stop_dns(void **state)
{
	pid_t pid;

	(void)state;
	if (dns.pid == 0)
		return 0;
	(void)kill(dns.pid, SIGTERM);
	(void)waitpid(dns.pid, NULL, 0);
	pid = fork();
	if (pid == 0) {
		(void)execl("/bin/rm", "rm", "-rf", dns.folder, (char *)NULL);
		_exit(127);
	}
	(void)waitpid(pid, NULL, 0);
	return 0;
}

/* --- configuration --- */

static void
set(struct conf *c, const char *option, const char *value)
{
	for (size_t i = 0; i < n_conf_sections; i++)
		for (size_t j = 0; strcmp(conf_sections[i].name, "resolver") == 0 && j < conf_sections[i].n_options; j++)
			if (strcmp(conf_sections[i].options[j].name, option) == 0) {
				assert_int_equal(conf_set(&c->resolver, &conf_sections[i].options[j], value), RC_OK);
				return;
			}
	fail_msg("no option %s", option);
}

static struct conf *
make_conf(uint32_t generation, bool recursive, bool validate)
{
	struct conf *c = conf_new();

	assert_non_null(c);
	c->generation = generation;
	set(c, "mode", recursive ? "recursive" : "forward");
	set(c, "timeout", "8s");
	set(c, "trust-anchor", validate ? "anchor" : "none");
	set(c, "root-hints", recursive ? "hints" : "");
	set(c, "allow-private-servers", "yes");
	if (!recursive)
		assert_int_equal(conf_list_add(&c->resolver.forwarders, S("127.0.0.1")), RC_OK);
	return c;
}

static void
send_body(int fd, enum ipc_type type, const uint8_t *p, size_t n, int send_fd)
{
	assert_int_equal(frame_write_blocking(fd, type, 0, slice_of(p, n), send_fd), RC_OK);
}

static void
send_file(struct world *w, uint32_t generation, const char *name, const char *file)
{
	uint8_t space[256];
	struct wr out = { space, 0, sizeof space, false };
	struct m_file m = { generation, FILE_HINTS, slice_str(name), S("") };
	char path[256];
	int fd;

	(void)snprintf(path, sizeof path, "%s/%s", dns.folder, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_true(m_file_put(&out, &m));
	send_body(w->master, M_FILE, space, out.n, fd);
	(void)close(fd);
}

/* Configuration, files and M_GO; takes c over. */
static void
send_generation(struct world *w, struct conf *c)
{
	struct buf blob = BUF_INIT(1 << 20);
	uint8_t *space = malloc(1 << 20);
	struct wr out = { space, 0, 1 << 20, false };

	assert_true(conf_encode(c, &blob));
	assert_true(m_config_put(&out, &(struct m_config){ c->generation, (uint32_t)buf_len(&blob), 0, buf_slice(&blob) }));
	send_body(w->master, M_CONFIG, space, out.n, -1);
	send_file(w, c->generation, "root-hints", "hints");
	send_file(w, c->generation, "trust-anchor", "anchor");
	send_file(w, c->generation, "resolv.conf", "resolv.conf");
	out = (struct wr){ space, 0, 1 << 20, false };
	assert_true(m_go_put(&out, &(struct m_go){ c->generation, 64322, 64322, slice_str(w->root) }));
	send_body(w->master, M_GO, space, out.n, -1);
	free(space);
	buf_free(&blob);
	conf_unref(c);
}

/* --- the room --- */

/* words NULL: they are anything. */
static enum rc
next_ready_saying(struct world *w, const char *words)
{
	struct m_ready ready = { 0 };
	struct frame f;
	struct rd r;

	assert_int_equal(frame_read_blocking(w->master, ROLE_MASTER, ROLE_RESOLVER, &w->from_master, &f), RC_OK);
	assert_int_equal(f.type, M_READY);
	r = (struct rd){ f.body, false };
	assert_true(m_ready_get(&r, &ready));
	if (ready.status != RC_OK)
		print_message("# not ready: %.*s\n", (int)ready.why.n, (const char *)ready.why.p);
	assert_true(words == NULL || slice_eq(ready.why, slice_str(words)));
	return (enum rc)ready.status;
}

static enum rc
next_ready(struct world *w)
{
	return next_ready_saying(w, NULL);
}

/* Our end of a line of that room. */
static int
new_line(struct world *w, enum role them)
{
	uint8_t space[64];
	struct wr out = { space, 0, sizeof space, false };
	int line[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, line), 0);
	assert_true(m_line_put(&out, &(struct m_line){ (uint8_t)them, 0 }));
	send_body(w->master, M_LINE, space, out.n, line[1]);
	(void)close(line[1]);
	return line[0];
}

static void
start(struct world *w, struct conf *c)
{
	const char *build = getenv("builddir");
	char program[4096];
	int pair[2];

	*w = (struct world){ .from_master = BUF_INIT(IPC_FRAME_MAX), .from_line = BUF_INIT(IPC_FRAME_MAX),
		.from_smtpd = BUF_INIT(IPC_FRAME_MAX) };
	(void)snprintf(program, sizeof program, "%s/resolver/postern-resolver", build == NULL ? "." : build);
	folder_template(w->root, sizeof w->root, "resolver");
	assert_non_null(mkdtemp(w->root));
	assert_int_equal(chmod(w->root, 0555), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	w->pid = fork();
	assert_true(w->pid >= 0);
	if (w->pid == 0) {
		if (dup2(pair[1], 3) == 3)
			(void)execl(program, "postern-resolver", "0", (char *)NULL);
		_exit(127);
	}
	(void)close(pair[1]);
	w->master = pair[0];
	w->line = new_line(w, ROLE_DELIVER);
	w->smtpd = new_line(w, ROLE_SMTPD);
	send_generation(w, c);
}

/* With which status it ends. */
static int
end(struct world *w)
{
	int status;

	(void)close(w->line);
	(void)close(w->smtpd);
	(void)close(w->master);
	assert_int_equal(waitpid(w->pid, &status, 0), w->pid);
	(void)rmdir(w->root);
	buf_free(&w->from_master);
	buf_free(&w->from_line);
	buf_free(&w->from_smtpd);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
stop(struct world *w)
{
	assert_int_equal(end(w), 0);
}

static void
ask(struct world *w, uint32_t handle, enum route_kind kind, const char *name)
{
	uint8_t space[512];
	struct wr out = { space, 0, sizeof space, false };

	assert_true(v_route_put(&out, &(struct v_route){ (uint8_t)kind, slice_str(name) }));
	assert_int_equal(frame_write_blocking(w->line, V_ROUTE, handle, slice_of(space, out.n), -1), RC_OK);
}

static struct frame
next_answer(struct world *w, enum ipc_type type)
{
	bool name = type == V_NAME;
	struct pollfd p = { .fd = name ? w->smtpd : w->line, .events = POLLIN };
	struct frame f;

	assert_int_equal(poll(&p, 1, 20000), 1);
	assert_int_equal(frame_read_blocking(p.fd, name ? ROLE_SMTPD : ROLE_DELIVER, ROLE_RESOLVER,
	    name ? &w->from_smtpd : &w->from_line, &f), RC_OK);
	assert_int_equal(f.type, type);
	return f;
}

static uint32_t
take_hosts(struct world *w, struct answer *a)
{
	struct frame f = next_answer(w, V_HOSTS);
	struct rd r = { f.body, false };
	struct v_hosts m = { 0 };
	struct route_host h;

	memset(a, 0, sizeof *a);
	assert_true(v_hosts_get(&r, &m));
	a->status = (enum dns_status)m.status;
	a->secure = m.secure;
	a->ttl = m.ttl;
	(void)snprintf(a->why, sizeof a->why, "%.*s", (int)m.why.n, (const char *)m.why.p);
	r = (struct rd){ m.hosts, false };
	while (route_host_next(&r, &h)) {
		assert_true(a->n_hosts < ROUTE_HOSTS_MAX);
		memcpy(a->hosts[a->n_hosts].name, h.name.p, h.name.n);
		a->hosts[a->n_hosts++].h = h;
	}
	assert_true(rd_end(&r));
	return f.handle;
}

static struct answer
route(struct world *w, enum route_kind kind, const char *name)
{
	struct answer a;

	ask(w, 7, kind, name);
	assert_int_equal(take_hosts(w, &a), 7);
	print_message("# %s: status %d secure %d ttl %u hosts %zu %s\n", name, a.status, a.secure, a.ttl, a.n_hosts, a.why);
	return a;
}

static enum dns_status
name_of(struct world *w, const char *address, char out[ROUTE_NAME_MAX + 1], bool *ret_secure)
{
	uint8_t space[64];
	struct wr o = { space, 0, sizeof space, false };
	struct v_ptr ask_for = { 0 };
	struct v_name m = { 0 };
	struct frame f;
	struct rd r;

	assert_int_equal(ip_parse(slice_str(address), &ask_for.ip), RC_OK);
	assert_true(v_ptr_put(&o, &ask_for));
	assert_int_equal(frame_write_blocking(w->smtpd, V_PTR, 9, slice_of(space, o.n), -1), RC_OK);
	f = next_answer(w, V_NAME);
	assert_int_equal(f.handle, 9);
	r = (struct rd){ f.body, false };
	assert_true(v_name_get(&r, &m));
	(void)snprintf(out, ROUTE_NAME_MAX + 1, "%.*s", (int)m.name.n, (const char *)m.name.p);
	*ret_secure = m.secure;
	return (enum dns_status)m.status;
}

#define NEED_DNS()	do { if (dns.pid == 0) skip(); } while (0)

/* --- tests --- */

static void
check_zone(struct world *w, bool validate)
{
	struct answer a = route(w, ROUTE_MX, "good.test");

	assert_int_equal(a.status, DNS_OK);
	assert_int_equal(a.secure, validate);
	assert_int_equal(a.n_hosts, 2);
	assert_string_equal(a.hosts[0].name, "mx1.good.test");
	assert_int_equal(a.hosts[0].h.preference, 10);
	assert_int_equal(a.hosts[0].h.n_addresses, 2);
	assert_int_equal(a.hosts[0].h.addresses[0].family, 6);
	assert_int_equal(a.hosts[0].h.addresses[1].family, 4);
	assert_int_equal(a.hosts[0].h.secure, validate);
	assert_string_equal(a.hosts[1].name, "mx2.good.test");
	assert_true(a.ttl > 0 && a.ttl <= 300);

	a = route(w, ROUTE_MX, "IMPLICIT.Good.test");
	assert_int_equal(a.status, DNS_OK);
	assert_int_equal(a.secure, validate);
	assert_string_equal(a.hosts[0].name, "implicit.good.test");
	a = route(w, ROUTE_MX, "alias.good.test");
	assert_int_equal(a.status, DNS_OK);
	assert_int_equal(a.n_hosts, 2);
	assert_int_equal(route(w, ROUTE_MX, "null.good.test").status, DNS_NULL_MX);
	assert_int_equal(route(w, ROUTE_MX, "empty.good.test").status, DNS_NODATA);
	assert_int_equal(route(w, ROUTE_MX, "nowhere.good.test").status, DNS_NXDOMAIN);
	assert_int_equal(route(w, ROUTE_MX, "nowhere.test").status, DNS_NXDOMAIN);
	assert_int_equal(route(w, ROUTE_MX, "broken.good.test").status, DNS_NODATA);
	a = route(w, ROUTE_MX, "mixed.good.test");
	assert_int_equal(a.status, DNS_OK);
	assert_false(a.secure);
	assert_false(a.hosts[0].h.secure);
	a = route(w, ROUTE_MX, "plain.test");
	assert_int_equal(a.status, DNS_OK);
	assert_false(a.secure);
	a = route(w, ROUTE_HOST, "mx2.good.test");
	assert_int_equal(a.status, DNS_OK);
	assert_int_equal(a.secure, validate);
	assert_int_equal(a.n_hosts, 1);
	assert_int_equal(route(w, ROUTE_HOST, "nowhere.good.test").status, DNS_NXDOMAIN);
	assert_int_equal(route(w, ROUTE_MX, "bogus.test").status, validate ? DNS_BOGUS : DNS_OK);
	assert_int_equal(route(w, ROUTE_MX, "badmx.good.test").status, validate ? DNS_BOGUS : DNS_OK);
}

static void
forward_answers(void **state)
{
	struct world w;

	(void)state;
	NEED_DNS();
	start(&w, make_conf(1, false, false));
	assert_int_equal(next_ready(&w), RC_OK);
	check_zone(&w, false);
	stop(&w);
}

static void
forward_validates(void **state)
{
	struct world w;

	(void)state;
	NEED_DNS();
	start(&w, make_conf(1, false, true));
	assert_int_equal(next_ready(&w), RC_OK);
	check_zone(&w, true);
	stop(&w);
}

static void
recursion_validates(void **state)
{
	struct world w;

	(void)state;
	NEED_DNS();
	start(&w, make_conf(1, true, true));
	assert_int_equal(next_ready(&w), RC_OK);
	check_zone(&w, true);
	stop(&w);
}

static void
auto_uses_resolv_conf(void **state)
{
	struct conf *c;
	struct world w;

	(void)state;
	NEED_DNS();
	c = make_conf(1, false, true);
	set(c, "mode", "auto");
	start(&w, c);
	assert_int_equal(next_ready(&w), RC_OK);
	check_zone(&w, true);
	stop(&w);
}

static void
ipv6_and_tcp_work(void **state)
{
	struct conf *c;
	struct world w;
	struct answer a;

	(void)state;
	NEED_DNS();
	c = make_conf(1, false, true);
	conf_list_clear(&c->resolver.forwarders);
	assert_int_equal(conf_list_add(&c->resolver.forwarders, S("::1@53")), RC_OK);
	start(&w, c);
	assert_int_equal(next_ready(&w), RC_OK);
	assert_int_equal(route(&w, ROUTE_MX, "good.test").status, DNS_OK);
	a = route(&w, ROUTE_MX, "big.good.test");	/* the answer comes over TCP */
	assert_int_equal(a.status, DNS_OK);
	assert_true(a.secure);
	assert_int_equal(a.n_hosts, ROUTE_HOSTS_MAX);
	for (uint16_t i = 0; i < ROUTE_HOSTS_MAX; i++) {
		assert_int_equal(a.hosts[i].h.preference, i + 1);
		assert_int_equal(a.hosts[i].h.n_addresses, 1);
	}
	stop(&w);
	start(&w, make_conf(1, true, true));
	assert_int_equal(next_ready(&w), RC_OK);
	a = route(&w, ROUTE_MX, "big.good.test");
	assert_int_equal(a.status, DNS_OK);
	assert_true(a.secure);
	stop(&w);
}

static void
names_are_confirmed(void **state)
{
	char name[ROUTE_NAME_MAX + 1];
	struct world w;
	bool secure;

	(void)state;
	NEED_DNS();
	start(&w, make_conf(1, false, true));
	assert_int_equal(next_ready(&w), RC_OK);
	assert_int_equal(name_of(&w, "192.0.2.1", name, &secure), DNS_OK);
	assert_string_equal(name, "mx1.good.test");
	/* Says that it is mx1, which says no. */
	assert_int_equal(name_of(&w, "192.0.2.2", name, &secure), DNS_NODATA);
	assert_string_equal(name, "");
	assert_int_equal(name_of(&w, "192.0.2.3", name, &secure), DNS_NODATA);
	assert_int_equal(name_of(&w, "192.0.2.4", name, &secure), DNS_NXDOMAIN);
	assert_int_equal(name_of(&w, "127.0.0.1", name, &secure), DNS_OK);
	assert_string_equal(name, "localhost");
	stop(&w);
}

static void
names_that_are_none_are_refused(void **state)
{
	struct world w;

	(void)state;
	NEED_DNS();
	start(&w, make_conf(1, false, false));
	assert_int_equal(next_ready(&w), RC_OK);
	assert_int_equal(route(&w, ROUTE_MX, "").status, DNS_NXDOMAIN);
	assert_int_equal(route(&w, ROUTE_MX, "a b.test").status, DNS_NXDOMAIN);
	assert_int_equal(route(&w, ROUTE_MX, "good.test.").status, DNS_NXDOMAIN);
	assert_int_equal(route(&w, ROUTE_MX, "10.0.0.1").status, DNS_NXDOMAIN);
	stop(&w);
}

static void
garbage_costs_only_the_line(void **state)
{
	uint8_t space[64];
	struct world w;

	(void)state;
	NEED_DNS();
	start(&w, make_conf(1, false, false));
	assert_int_equal(next_ready(&w), RC_OK);
	ask(&w, 1, (enum route_kind)9, "good.test");
	assert_int_equal(read(w.line, space, sizeof space), 0);
	(void)close(w.line);
	w.line = new_line(&w, ROLE_DELIVER);
	assert_int_equal(route(&w, ROUTE_MX, "good.test").status, DNS_OK);
	stop(&w);
}

static void
many_questions_at_once(void **state)
{
	enum { N = 500 };
	bool seen[N] = { false };
	struct world w;
	struct answer a;

	(void)state;
	NEED_DNS();
	start(&w, make_conf(1, false, true));
	assert_int_equal(next_ready(&w), RC_OK);
	for (uint32_t i = 0; i < N; i++) {
		char name[64];

		(void)snprintf(name, sizeof name, i % 2 == 0 ? "good.test" : "n%u.good.test", i);
		ask(&w, i, ROUTE_MX, name);
	}
	for (uint32_t i = 0; i < N; i++) {
		uint32_t handle = take_hosts(&w, &a);

		assert_true(handle < N && !seen[handle]);
		seen[handle] = true;
		assert_int_equal(a.status, handle % 2 == 0 ? DNS_OK : DNS_NXDOMAIN);
	}
	stop(&w);
}

/* A new context inside the sandbox, while the old one still has questions. */
static void
generations_change_over(void **state)
{
	struct world w;
	struct answer a;

	(void)state;
	NEED_DNS();
	start(&w, make_conf(1, false, false));
	assert_int_equal(next_ready(&w), RC_OK);
	assert_false(route(&w, ROUTE_MX, "good.test").secure);
	for (uint32_t g = 2; g < 10; g++) {
		ask(&w, g, ROUTE_MX, "implicit.good.test");
		send_generation(&w, make_conf(g, g % 4 >= 2, g % 2 == 0));
		assert_int_equal(next_ready(&w), RC_OK);
		assert_int_equal(take_hosts(&w, &a), g);
		assert_int_equal(a.status, DNS_OK);
		assert_int_equal(route(&w, ROUTE_MX, "good.test").secure, g % 2 == 0);
	}
	(void)poll(NULL, 0, 1500);	/* the sweep */
	/* What makes no sense is refused, and the old one stays. */
	struct conf *c = make_conf(10, false, true);
	set(c, "mode", "sideways");
	send_generation(&w, c);
	assert_int_equal(next_ready(&w), RC_SYNTAX);
	assert_int_equal(route(&w, ROUTE_MX, "good.test").status, DNS_OK);
	stop(&w);
}

/* The path as the configuration has it, and the reason. */
static void
a_file_that_cannot_be_read_is_told(void **state)
{
	char hints[96], aside[96];
	struct world w;

	(void)state;
	NEED_DNS();
	(void)snprintf(hints, sizeof hints, "%s/hints", dns.folder);
	(void)snprintf(aside, sizeof aside, "%s/hints.aside", dns.folder);
	assert_int_equal(rename(hints, aside), 0);
	assert_int_equal(mkdir(hints, 0700), 0);
	start(&w, make_conf(1, true, true));
	assert_int_equal(next_ready_saying(&w, "resolver { }: hints cannot be read: Is a directory"), RC_IO);
	assert_int_not_equal(end(&w), 0);
	assert_int_equal(rmdir(hints), 0);
	assert_int_equal(rename(aside, hints), 0);
}

static void
silence_is_temporary(void **state)
{
	struct conf *c;
	struct world w;
	struct answer a;
	int deaf = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof at;
	char address[32];

	(void)state;
	NEED_DNS();
	assert_int_equal(bind(deaf, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(getsockname(deaf, (struct sockaddr *)&at, &len), 0);
	(void)snprintf(address, sizeof address, "127.0.0.1@%u", ntohs(at.sin_port));
	c = make_conf(1, false, false);
	conf_list_clear(&c->resolver.forwarders);
	assert_int_equal(conf_list_add(&c->resolver.forwarders, slice_str(address)), RC_OK);
	set(c, "timeout", "1s");
	start(&w, c);
	assert_int_equal(next_ready(&w), RC_OK);
	a = route(&w, ROUTE_MX, "good.test");
	assert_int_equal(a.status, DNS_TEMPORARY);
	assert_true(a.why[0] != '\0');
	stop(&w);
	(void)close(deaf);
}

static pid_t
start_liar(const char *address)
{
	const char *src = getenv("srcdir");
	char script[4096];
	pid_t pid;

	(void)snprintf(script, sizeof script, "%s/tests/resolver/liar.py", src == NULL ? "." : src);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);	/* also when a test fails half-way */
		(void)dup2(2, 1);
		(void)execlp("python3", "python3", script, address, (char *)NULL);
		_exit(127);
	}
	return pid;
}

/* THREATS 25: whatever the server says, the room lives, answers in time, and believes nothing that it should not. */
static void
lies_are_not_believed(void **state)
{
	static const char *const lies[] = { "silent", "wrongid", "wrongq", "garbage", "short", "servfail", "refused", "notimp",
	    "formerr", "truncated", "loop", "loop2", "chain", "pointer" };
	enum { LIES = sizeof lies / sizeof lies[0] };
	struct conf *c;
	struct world w;
	struct answer a;
	pid_t liar;

	(void)state;
	NEED_DNS();
	liar = start_liar("127.0.0.2");
	c = make_conf(1, false, false);
	conf_list_clear(&c->resolver.forwarders);
	assert_int_equal(conf_list_add(&c->resolver.forwarders, S("127.0.0.2")), RC_OK);
	set(c, "timeout", "5s");
	start(&w, c);
	assert_int_equal(next_ready(&w), RC_OK);
	/* Also the wait for Python. */
	for (int i = 0; i < 10 && (a = route(&w, ROUTE_HOST, "honest.liar.test")).status != DNS_OK; i++)
		(void)usleep(100000);
	assert_int_equal(a.status, DNS_OK);
	a = route(&w, ROUTE_MX, "evil.liar.test");
	assert_int_equal(a.status, DNS_OK);
	assert_string_equal(a.hosts[0].name, "honest.liar.test");
	a = route(&w, ROUTE_HOST, "victim.liar.test");
	assert_int_equal(a.status, DNS_OK);
	assert_int_equal(a.hosts[0].h.addresses[0].b[0], 192);
	a = route(&w, ROUTE_MX, "many.liar.test");
	assert_int_equal(a.status, DNS_OK);
	assert_int_equal(a.n_hosts, ROUTE_HOSTS_MAX);
	assert_int_equal(a.hosts[0].h.preference, 0);
	assert_int_equal(route(&w, ROUTE_MX, "odd.liar.test").status, DNS_NODATA);
	for (uint32_t i = 0; i < LIES; i++) {
		char name[64];

		(void)snprintf(name, sizeof name, "%s.liar.test", lies[i]);
		ask(&w, i, ROUTE_MX, name);
	}
	for (uint32_t i = 0; i < LIES; i++) {
		uint32_t handle = take_hosts(&w, &a);

		assert_true(handle < LIES);
		print_message("# %s: status %d %s\n", lies[handle], a.status, a.why);
		assert_int_equal(a.status, DNS_TEMPORARY);
	}
	assert_int_equal(route(&w, ROUTE_MX, "honest.liar.test").status, DNS_OK);
	stop(&w);
	(void)kill(liar, SIGKILL);
	(void)waitpid(liar, NULL, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forward_answers),
		cmocka_unit_test(forward_validates),
		cmocka_unit_test(recursion_validates),
		cmocka_unit_test(auto_uses_resolv_conf),
		cmocka_unit_test(ipv6_and_tcp_work),
		cmocka_unit_test(names_are_confirmed),
		cmocka_unit_test(names_that_are_none_are_refused),
		cmocka_unit_test(garbage_costs_only_the_line),
		cmocka_unit_test(many_questions_at_once),
		cmocka_unit_test(generations_change_over),
		cmocka_unit_test(a_file_that_cannot_be_read_is_told),
		cmocka_unit_test(silence_is_temporary),
		cmocka_unit_test(lies_are_not_believed),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, start_dns, stop_dns);
}
