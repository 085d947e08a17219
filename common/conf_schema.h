/* common/conf_schema.h -- every option of postern.conf(5), once.
 *
 * From these lists come the structs of conf.h, the parser and its checks (master/conf_file.c), the form in which the
 * configuration travels to the rooms (conf.c), `posternctl config show`, and the manual page. To add an option: one
 * row here, and use it.
 *
 * Kinds: BOOL yes/no. U32 a number. SIZE bytes (suffix K, M, G). TIME (suffix ms, s, m, h, d; milliseconds inside).
 * STR one string. LIST strings. Defaults, minimum and maximum are written as a person would write them; NULL: no limit.
 * Help is one or two sentences in the manual's voice.
 *
 *	KIND(c_name, "option-name", "default", "min", "max", "help")						*/
#ifndef POSTERN_COMMON_CONF_SCHEMA_H
#define POSTERN_COMMON_CONF_SCHEMA_H

#define CONF_GLOBAL(BOOL, U32, SIZE, TIME, STR, LIST)								\
	STR(hostname, "hostname", "", NULL, NULL,								\
	    "The name of this host in greetings, trace fields and bounces: a fully qualified domain name. Empty: the system's " \
	    "host name, with .localdomain behind it if it has no dot; other servers may refuse mail from such a name.") \
	STR(state_dir, "state-dir", "", NULL, NULL,								\
	    "Where the spool lives. Empty: /var/spool/postern, or BASE/spool under postern --base.")		\
	STR(run_dir, "run-dir", "", NULL, NULL,									\
	    "Where the admin socket and the empty root of the rooms live. Empty: /run/postern, or BASE/run.")	\
	U32(uid_base, "uid-base", "0", "0", "2000000000",							\
	    "Run each room under uid-base plus its number instead of the accounts that the package made. For laboratories; 0: " \
	    "use the accounts.") \
	STR(sandbox, "sandbox", "enforce", NULL, NULL,								\
	    "enforce: a room that cannot be locked as planned refuses to run. best-effort: it runs with what the kernel " \
	    "offers, and says what is missing.") \
	STR(postmaster, "postmaster", "postmaster", NULL, NULL,							\
	    "Where mail for postmaster, and for mailer-daemon (answers to reports), goes when no local user has that name, " \
	    "and where double bounces go: a local user or an " \
	    "address. With an address elsewhere double bounces leave this host, over SMTP like other mail; when that address " \
	    "itself cannot be reached, nobody is told, and the log says so.") \
	TIME(stop_grace, "stop-grace", "30s", "0s", "1h",							\
	    "How long sessions and deliveries may take to end when Postern is stopped. Under systemd TimeoutStopSec of its " \
	    "unit must be longer by half a minute (60 seconds as it comes): systemd ends by force what takes longer.") \
	STR(admin_group, "admin-group", "", NULL, NULL,								\
	    "Members of this group may use posternctl beside root. Empty: root only.")

#define CONF_LOG(BOOL, U32, SIZE, TIME, STR, LIST)								\
	STR(to, "to", "stderr", NULL, NULL,									\
	    "Where the log goes: stderr, syslog, or the path of a file.")					\
	STR(format, "format", "text", NULL, NULL,								\
	    "text: one line an event, key=value; values with blanks stand in quotes, single ones where they hold double ones; " \
	    "\\xNN is a character that cannot be printed. json: one object a line.")					\
	BOOL(debug, "debug", "no", NULL, NULL, "Also log events of severity debug.")				\
	SIZE(ring, "ring", "4M", "64K", "1G",									\
	    "Memory for events that the destination has not taken yet; what does not fit is dropped and counted.")

#define CONF_SMTPD(BOOL, U32, SIZE, TIME, STR, LIST)								\
	U32(processes, "processes", "0", "0", "256", "Number of smtpd processes. 0: one for each processor.")	\
	U32(max_sessions, "max-sessions", "10000", "1", "1000000",						\
	    "Sessions one process holds at most, as far as it may open descriptors; further clients are told 421, unless " \
	    "somebody who matters less can make room.") \
	U32(max_sessions_per_client, "max-sessions-per-client", "50", "1", "1000000",				\
	    "Sessions of one client network at most, in all processes together; see limits for what a network is and which are " \
	    "exempt.") \
	SIZE(max_header_size, "max-header-size", "256K", "4K", "256K",							\
	    "Largest header of a message accepted. On listeners of kind submission a field of it is held in memory while it is " \
	    "read.") \
	U32(max_recipients, "max-recipients", "1000", "100", "50000",						\
	    "Recipients of one message at most (RFC 5321 4.5.3.1.8 asks for 100), those that are named again counted again; " \
	    "then 452. Whatever is set here, all of them together have 112 KiB of memory, which is enough for about a thousand " \
	    "addresses of common length.") \
	U32(max_recipient_domains, "max-recipient-domains", "0", "0", "100",					\
	    "Different domains that the recipients of one session may have, announced as RCPTDOMAINMAX (RFC 9422 4.3); then " \
	    "452. Set it where what takes the mail from here serves so many customers at a time. 0: any number.") \
	SIZE(max_message_size, "max-message-size", "50M", "64K", "4G",						\
	    "Largest message accepted; announced by SIZE (RFC 1870).")						\
	SIZE(max_command_line, "max-command-line", "2048", "2048", "64K",						\
	    "Longest command line accepted, with its CRLF (RFC 5321 4.5.3.1.4 asks for 512, and each extension for more in " \
	    "MAIL and RCPT).") \
	SIZE(max_text_line, "max-text-line", "1000", "1000", "1M",						\
	    "Longest line of message text accepted, with its CRLF (RFC 5321 4.5.3.1.6 asks for 1000).")		\
	U32(max_commands, "max-commands", "100000", "10", "100000000", "Commands of one session at most.")	\
	U32(max_errors, "max-errors", "20", "1", "100000",							\
	    "Refused or malformed commands of one session at most; then 421. The first 100 recipients that are refused do not " \
	    "count: a list has some dead addresses.") \
	U32(max_messages, "max-messages", "10000", "1", "100000000", "Messages of one session at most; then 421.")	\
	U32(max_hops, "max-hops", "100", "10", "1000",								\
	    "Received fields that make a message a loop (RFC 5321 6.3 asks for 100 at least).") \
	TIME(timeout_command, "timeout-command", "5m", "1s", "1h",						\
	    "How long a client may take for a whole command (RFC 5321 4.5.3.2.7).")				\
	TIME(timeout_tls, "timeout-tls", "10s", "1s", "10m",							\
	    "How long a TLS handshake may take.")								\
	U32(stranger_handshakes, "stranger-handshakes", "10", "0", "1000000",					\
	    "TLS handshakes a second that one smtpd process begins for clients that are neither exempt from limits nor known " \
	    "for good mail; more of them wait, the latest is served first. 0: any number.") \
	U32(stress_sessions, "stress-sessions", "80", "1", "101",						\
	    "Per cent of max-sessions at which clients that are not exempt from limits get the times of stress. 101: never.") \
	TIME(stress_timeout_command, "stress-timeout-command", "10s", "1s", "1h",				\
	    "timeout-command while sessions run out: shorter than the five minutes of RFC 5321 4.5.3.2.7, so that others get " \
	    "in. A login that it ends is an error of the client network, and no failed one.") \
	TIME(stress_timeout_data, "stress-timeout-data", "30s", "1s", "1h",					\
	    "timeout-data while sessions run out.")								\
	U32(delay_errors, "delay-errors", "10", "0", "100000",							\
	    "After so many errors of a session each reply to an error comes late; not for clients that are exempt from limits, " \
	    "and not while sessions run out. 0: from the first error on.") \
	TIME(error_delay, "error-delay", "1s", "0s", "1m", "How late. 0s: not at all.")				\
	TIME(timeout_data, "timeout-data", "10m", "1s", "1h",							\
	    "How long a client may be silent while it sends a message.")					\
	TIME(timeout_message, "timeout-message", "1h", "1s", "1d", "How long a client may take for a whole message.") \
	SIZE(min_data_rate, "min-data-rate", "100", "0", "1G",							\
	    "Bytes a second that a client must reach on average while it sends a message, after the first minute. 0: any.") \
	TIME(timeout_session, "timeout-session", "2h", "10s", "7d", \
	    "How long a session may last. A message that is under way is not cut off by it.") \
	STR(bare_newline, "bare-newline", "reject", NULL, NULL,							\
	    "reject: a bare CR or LF refuses the message and ends the session (SMTP smuggling). normalise: from " \
	    "bare-newline-networks a bare LF is taken for CRLF, but never for a part of the end of a message. None is ever " \
	    "passed on.") \
	LIST(bare_newline_networks, "bare-newline-networks", "", NULL, NULL,					\
	    "With bare-newline = normalise: networks whose programs end lines in LF. As in limits { exempt }.")	\
	BOOL(helo_underscore, "helo-underscore", "no", NULL, NULL,						\
	    "Take underscores in the name that a client says in EHLO or HELO. RFC 5321 4.1.2 forbids them; some old hosts have " \
	    "them.") \
	BOOL(local_time, "local-time", "yes", NULL, NULL,							\
	    "Date trace fields in local time with its offset, as RFC 5321 4.4 asks for. no: in UTC, which does not tell where " \
	    "this host is.") \
	TIME(greet_pause, "greet-pause", "0s", "0s", "5m",							\
	    "Let clients that are not exempt from limits wait so long for the greeting, and cut off those that talk meanwhile. " \
	    "No pause on listeners that begin with TLS.") \
	LIST(vrfy, "vrfy", "relay-clients", NULL, NULL,								\
	    "Clients whose VRFY and EXPN are answered: networks, @table, and the word relay-clients for those of " \
	    "router { relay-clients }. All others are told 252, which says nothing (RFC 5321 7.3).") \
	BOOL(banner_version, "banner-version", "no", NULL, NULL, "Tell the version in the greeting.")		\
	LIST(etrn_clients, "etrn-clients", "", NULL, NULL,							\
	    "Client networks (CIDR, @table or relay-clients) that may ask by ETRN (RFC 1985) for the mail that waits for a " \
	    "domain. Empty: ETRN is not offered.") \
	LIST(priority_clients, "priority-clients", "127.0.0.0/8, ::1/128", NULL, NULL,					\
	    "Client networks that may raise the priority of their mail (MT-PRIORITY, RFC 6710): CIDR networks, @table or " \
	    "relay-clients. Everybody may lower it.") \
	TIME(max_future_release, "max-future-release", "30d", "0s", "365d",						\
	    "How long a mail client may have a message held back (RFC 4865), on listeners of kind submission. 0: that is not " \
	    "offered.") \
	TIME(min_deliver_by, "min-deliver-by", "1m", "1s", "1d",							\
	    "The shortest time that a client may set for a message to be delivered or else returned (BY with R, RFC 2852). It " \
	    "is announced.") \
	LIST(report_clients, "report-clients", "relay-clients", NULL, NULL,						\
	    "Clients for whose mail reports of success and of delay are written (RFC 3461): networks, @table, relay-clients; " \
	    "users that logged in belong to them. Senders of others may be forged, so that a report would go to somebody who " \
	    "sent nothing; DELIVERBY is not offered to them either. Failures are told in any case.") \
	LIST(disable, "disable", "", NULL, NULL,									\
	    "Extensions that are not offered, by their EHLO keywords, as in {\"CHUNKING\", \"DSN\"}. A listener can switch off " \
	    "more.") \
	U32(max_table_networks, "max-table-networks", "65536", "1", "250000",					\
	    "Networks at most in a table file that is named by lists of networks in smtpd, limits and listeners (as " \
	    "relay-clients is, by exempt): each list that names it costs each smtpd process some hundred bytes a network.") \
	BOOL(client_names, "client-names", "yes", NULL, NULL,							\
	    "Look up the names of clients for trace fields, the log, and rules with client-name.")

#define CONF_LIMITS(BOOL, U32, SIZE, TIME, STR, LIST)								\
	TIME(interval, "interval", "1m", "1s", "1d",								\
	    "What connections, messages and the other counts below are counted over, failed-logins-logged excepted.")	\
	U32(connections, "connections", "600", "0", "100000000",							\
	    "Connections of one client network in an interval at most; further ones are told 421. 0: no limit.")		\
	U32(messages, "messages", "0", "0", "100000000",								\
	    "Transactions (MAIL) of one client network in an interval at most; then 451. 0: no limit.")			\
	U32(recipients, "recipients", "0", "0", "100000000",							\
	    "Recipients (RCPT) of one client network in an interval at most; then 450. 0: no limit.")			\
	U32(errors, "errors", "200", "0", "100000000",								\
	    "Refused or malformed commands of one client network in an interval at most; then 421 at once and at the door. " \
	    "0: no limit.") \
	U32(unknown_recipients, "unknown-recipients", "200", "0", "100000000",					\
	    "Refused recipients of one client network in an interval at most; then 421 as for errors. 0: no limit.")		\
	U32(tls_handshakes, "tls-handshakes", "600", "0", "100000000",						\
	    "TLS handshakes of one client network in an interval at most; then STARTTLS is told 454, and where TLS comes first " \
	    "the connection ends. 0: no limit.")					\
	U32(failed_logins, "failed-logins", "20", "0", "100000000",						\
	    "Failed logins of one client network in an interval at most; then it may not try any more. 0: no limit.")	\
	U32(failed_logins_logged, "failed-logins-logged", "10", "1", "100000000",				\
	    "Failed logins of one client network in a minute that have a line of their own in the log, at most, in each smtpd " \
	    "process: so many with a wrong password, and so many for other reasons; how many more there were is said in one " \
	    "line.") \
	U32(ipv4_prefix, "ipv4-prefix", "32", "8", "32", "Bits of an IPv4 address that make a client network.")	\
	U32(ipv6_prefix, "ipv6-prefix", "64", "16", "128", "Bits of an IPv6 address that make a client network.") \
	LIST(exempt, "exempt", "relay-clients", NULL, NULL,							\
	    "Clients without these limits: networks, @table, and the word relay-clients for those of router { relay-clients }.")

#define CONF_QUEUE(BOOL, U32, SIZE, TIME, STR, LIST)								\
	SIZE(segment_size, "segment-size", "64M", "1M", "1G", "Size of one segment of the spool.")		\
	SIZE(big_message, "big-message", "256K", "4K", "64M", "Content above this size is kept in a file of its own.") \
	U32(max_messages, "max-messages", "10000000", "1", "100000000", "Messages in the queue at most; then 452.") \
	SIZE(min_free, "min-free", "64M", "0", "1024G",								\
	    "Free space that must remain on the spool's file system; below it new mail is told 452.")		\
	BOOL(allow_unsafe_fs, "allow-unsafe-fs", "no", NULL, NULL,						\
	    "Allow a spool on a file system that cannot keep the promise behind 250 (tmpfs, overlay, network).") \
	TIME(retry_first, "retry-first", "5m", "1s", "1d", \
	    "Wait before the second attempt; later waits grow with the age of the message. RFC 5321 4.5.4.1 asks for 30 " \
	    "minutes; most refusals of today (greylisting) pass sooner.") \
	TIME(retry_max, "retry-max", "1h", "1s", "7d", "Longest wait between two attempts.")			\
	TIME(retry_jitter, "retry-jitter", "20s", "0s", "1h", \
	    "Random part added to each wait at most, beside a tenth of it.") \
	TIME(expire, "expire", "5d", "1s", "60d", \
	    "How long a message is tried before it is returned (RFC 5321 4.5.4.1). Mail that was there at a start is tried for " \
	    "another hour (a twentieth of this, if that is less), since the clock may be wrong then.") \
	TIME(expire_bounce, "expire-bounce", "1d", "1s", "60d", "The same for bounces.")			\
	TIME(delay_notice, "delay-notice", "4h", "0s", "60d",							\
	    "When the sender of a message that waits is told so, once, unless his NOTIFY says otherwise (RFC 3461) or his BY " \
	    "names the time for it (RFC 2852, mode N); of mail from smtpd { report-clients } and from users only. 0: never.") \
	U32(delay_notices_max, "delay-notices-max", "600", "1", "1000000",					\
	    "Notices of delay written in a minute at most; the others wait for a later minute.")		\
	U32(reports_per_sender, "reports-per-sender", "100", "1", "1000000",					\
	    "Reports of success and of delay that one sender is written in an hour at most; further ones are left out. " \
	    "Failures are always told.") \
	U32(concurrency_first, "concurrency-first", "5", "1", "1000", "Sessions to a new destination at first.") \
	U32(concurrency_max, "concurrency-max", "20", "1", "10000", "Sessions to one destination at most.")	\
	U32(concurrency_total, "concurrency-total", "1000", "1", "100000", "Delivery sessions at most.")	\
	U32(messages_per_session, "messages-per-session", "1000", "1", "1000000", \
	    "Messages one delivery session carries at most.") \
	U32(recipients_per_job, "recipients-per-job", "100", "1", "50000", \
	    "Recipients given to a peer in one transaction at most.") \
	TIME(idle_session, "idle-session", "2s", "0s", "5m", "How long a delivery session with nothing to do is kept open.") \
	SIZE(bounce_header_max, "bounce-header-max", "64K", "1K", "1M", \
	    "Bytes of the original header returned in a bounce at most.") \
	SIZE(bounce_full_max, "bounce-full-max", "256K", "0", "1M",						\
	    "Largest message returned whole when its sender asked for that (RET=FULL, RFC 3461); of a larger one only the " \
	    "header is returned.")

#define CONF_DELIVER(BOOL, U32, SIZE, TIME, STR, LIST)								\
	U32(processes, "processes", "0", "0", "256", "Number of deliver processes. 0: one for each processor.")	\
	U32(max_sessions, "max-sessions", "5000", "1", "100000", "Sessions one process holds at most.")		\
	U32(port, "port", "25", "1", "65535", "Port of mail exchangers. Only laboratories change it.")		\
	STR(helo, "helo", "", NULL, NULL, "Name given in EHLO. Empty: the hostname.")				\
	LIST(source, "source", "", NULL, NULL, \
	    "Local addresses to connect from, one for IPv4 and one for IPv6 at most. Empty: the system chooses.") \
	BOOL(ipv4, "ipv4", "yes", NULL, NULL, "Connect over IPv4.")						\
	BOOL(ipv6, "ipv6", "yes", NULL, NULL, "Connect over IPv6.")						\
	BOOL(allow_private_hosts, "allow-private-hosts", "no", NULL, NULL,						\
	    "Connect to MX hosts with loopback or private addresses too. Without it such an MX is a permanent failure (5.4.6): " \
	    "it would let strangers reach into this network.") \
	U32(max_hosts, "max-hosts", "10", "1", "100", "Hosts tried for one session at most.")			\
	U32(max_addresses, "max-addresses", "20", "1", "200", \
	    "Addresses tried for one session at most (RFC 5321 5.1 asks for two at least).") \
	TIME(timeout_connect, "timeout-connect", "30s", "1s", "10m", "Connecting to one address.")		\
	TIME(timeout_banner, "timeout-banner", "5m", "1s", "1h", "The greeting (RFC 5321 4.5.3.2.1).")		\
	TIME(timeout_helo, "timeout-helo", "5m", "1s", "1h", "The reply to EHLO or HELO.")			\
	TIME(timeout_mail, "timeout-mail", "5m", "1s", "1h", "The reply to MAIL (RFC 5321 4.5.3.2.2).")		\
	TIME(timeout_rcpt, "timeout-rcpt", "5m", "1s", "1h", "The reply to RCPT (RFC 5321 4.5.3.2.3).")		\
	TIME(timeout_data, "timeout-data", "2m", "1s", "1h", "The reply to DATA (RFC 5321 4.5.3.2.4).")		\
	TIME(timeout_block, "timeout-block", "3m", "1s", "1h", "Sending one block of content (RFC 5321 4.5.3.2.5).") \
	TIME(timeout_dot, "timeout-dot", "10m", "1s", "2h", "The reply to the end of the message (RFC 5321 4.5.3.2.6).") \
	TIME(timeout_quit, "timeout-quit", "10s", "1s", "10m", "The reply to QUIT; the mail has been delivered by then.")

#define CONF_LOCAL(BOOL, U32, SIZE, TIME, STR, LIST)								\
	STR(maildir, "maildir", "~/Maildir", NULL, NULL,							\
	    "The Maildir of a recipient: ~ is the home folder, %u the user's name.")				\
	U32(min_uid, "min-uid", "1000", "1", "2000000000", "Users with a smaller uid get no mail (root above all).") \
	U32(processes_max, "processes-max", "20", "1", "1000", "Mailbox processes at a time.")			\
	LIST(users, "users", "", NULL, NULL,									\
	    "Users beside those of the system, each name:uid:gid:home. For laboratories and virtual users.")	\
	STR(recipient_delimiter, "recipient-delimiter", "+", NULL, NULL,							\
	    "Characters that separate a user from an extension in a local part (user+list). Empty: none.")	\
	TIME(timeout, "timeout", "5m", "1s", "1h",								\
	    "How long one delivery to a mailbox may take. A process that stays twice as long is killed.")

#define CONF_RESOLVER(BOOL, U32, SIZE, TIME, STR, LIST)								\
	STR(mode, "mode", "auto", NULL, NULL,									\
	    "auto: forward to the servers of /etc/resolv.conf. recursive: ask the root servers and down. forward: ask " \
	    "forwarders.") \
	LIST(forwarders, "forwarders", "", NULL, NULL, "Addresses, with @port where it is not 53, for mode forward.") \
	STR(root_hints, "root-hints", "", NULL, NULL, "File of root hints for mode recursive. Empty: those built in.") \
	STR(trust_anchor, "trust-anchor", "", NULL, NULL,							\
	    "File with DS or DNSKEY records of the root. Empty: the root keys built in. none: DNSSEC is not checked.") \
	U32(port, "port", "53", "1", "65535", "Port of the servers asked in mode recursive. Only laboratories change it.") \
	BOOL(allow_private_servers, "allow-private-servers", "no", NULL, NULL,						\
	    "Ask name servers at loopback and private addresses in mode recursive. For laboratories.")		\
	BOOL(ipv4, "ipv4", "yes", NULL, NULL, "Ask over IPv4.")							\
	BOOL(ipv6, "ipv6", "yes", NULL, NULL, "Ask over IPv6.")							\
	SIZE(cache, "cache", "32M", "1M", "4G", "Memory for answers.")						\
	TIME(timeout, "timeout", "20s", "1s", "2m", "How long one look-up may take in all.")			\
	U32(max_queries, "max-queries", "2000", "10", "100000", "Look-ups under way at most; further ones wait. Half of "	\
	    "them, 512 at most, are for names of clients and shared out among client networks (limits { ipv4-prefix, " \
	    "ipv6-prefix }), the others for routes of mail.")

#define CONF_ROUTER(BOOL, U32, SIZE, TIME, STR, LIST)								\
	LIST(local_domains, "local-domains", "", NULL, NULL,							\
	    "Domains delivered on this host: names, *.names, or @table. Empty: the hostname and localhost.")	\
	LIST(local_users, "local-users", "@passwd", NULL, NULL,							\
	    "Local parts that exist in the local domains: names of accounts (ASCII) or @table. @passwd: the system's users " \
	    "(/etc/passwd) and local { users }.") \
	LIST(relay_clients, "relay-clients", "127.0.0.0/8, ::1/128", NULL, NULL,				\
	    "Client networks that may send anywhere: CIDR networks or @table.")					\
	LIST(relay_certificates, "relay-certificates", "", NULL, NULL,						\
	    "Clients whose certificate has one of these fingerprints (as in a rule's client-certificate) may send anywhere.") \
	STR(relay_host, "relay-host", "", NULL, NULL,								\
	    "Smart host for everything that is not local: a domain (its MX), [host] or [host]:port. Empty: the recipient's MX.") \
	LIST(senders, "senders", "", NULL, NULL,								\
	    "Which sender addresses users who logged in may use: @table, with a user and behind it addresses, domains, " \
	    "*.domains, @table or *, separated by commas. A user who is not in it may use the address that is its name, or has " \
	    "its name in a local domain. Empty: any.") \
	STR(header_from, "header-from", "reject", NULL, NULL,							\
	    "What becomes of a message whose From or Sender has an address that senders does not allow to the user who submits " \
	    "it. reject: it is refused. sender: it is refused only because of Sender; because of From it gets a field Sender " \
	    "with the envelope's sender, if it has none (RFC 6409 8.1). ignore: it is taken as it is. Without senders any " \
	    "address may stand there.") \
	SIZE(max_table_size, "max-table-size", "64M", "4K", "4G", "Largest table file.")

#define CONF_VAULT(BOOL, U32, SIZE, TIME, STR, LIST)								\
	U32(max_rate, "max-rate", "20000", "1", "1000000",							\
	    "Signatures a second that one smtpd process may ask for; more have to wait.")			\
	U32(threads, "threads", "0", "0", "64",									\
	    "Threads that help with signatures that take long (RSA, P-384) when several wait. 0: one for each processor, 64 " \
	    "at most, and none when there is only one. A change is taken at the next start.")			\
	TIME(ticket_rotation, "ticket-rotation", "12h", "1m", "2d",						\
	    "How often the secret of session tickets is changed. Tickets of the two secrets before are still honoured.") \
	TIME(check_interval, "check-interval", "10s", "1s", "1d",						\
	    "How often certificate files are looked at: a changed one is used without a reload.")

#define CONF_TLS(BOOL, U32, SIZE, TIME, STR, LIST)								\
	STR(min_version, "min-version", "TLSv1.2", NULL, NULL, "TLSv1.2 or TLSv1.3.")				\
	STR(ciphers, "ciphers", "ECDHE+AESGCM:ECDHE+CHACHA20", NULL, NULL,					\
	    "Cipher suites for TLS 1.2, in OpenSSL's form. Only suites with ECDHE and authenticated encryption are taken (RFC " \
	    "9325 4.2).") \
	STR(ciphersuites, "ciphersuites", "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256", NULL, \
	    NULL, \
	    "Cipher suites for TLS 1.3. The first is the one that everybody has (RFC 8446 9.1); its key is as strong as the " \
	    "groups of the key exchange, and SHA-256 costs half of SHA-384, which is a tenth of a resumed handshake.") \
	STR(groups, "groups", "X25519:P-256:P-384", NULL, NULL,							\
	    "Groups of the key exchange, the best first. Finite-field groups are not taken.")			\
	BOOL(prefer_server_ciphers, "prefer-server-ciphers", "yes", NULL, NULL,						\
	    "Of the suites that both sides have, the server's order decides; ChaCha20 goes first for clients that put it first.")

#define CONF_AUTH(BOOL, U32, SIZE, TIME, STR, LIST)								\
	STR(users_file, "users-file", "", NULL, NULL,								\
	    "The users and what their passwords are checked by: a file that posternctl passwd writes, see postern-passwd(5). " \
	    "Empty: none.") \
	LIST(mechanisms, "mechanisms", "PLAIN, LOGIN, SCRAM-SHA-256, SCRAM-SHA-256-PLUS, EXTERNAL, OAUTHBEARER, XOAUTH2", NULL, \
	    NULL, \
	    "SASL mechanisms that may be offered. One that cannot work is not: SCRAM-SHA-256-PLUS needs TLS and a users file, " \
	    "EXTERNAL needs a client certificate, OAUTHBEARER and XOAUTH2 need TLS and Dovecot.") \
	STR(dovecot, "dovecot", "", NULL, NULL,								\
	    "Ask Dovecot who users are, instead of a users file: the socket of its auth service for clients, such as " \
	    "/run/dovecot/auth-client. Mechanisms are those that Dovecot lists and mechanisms permits; EXTERNAL stays ours. " \
	    "The master connects, as root: the mode of the socket does not matter. While Dovecot is away, logins are told 454.") \
	TIME(dovecot_timeout, "dovecot-timeout", "30s", "1s", "10m",						\
	    "How long Dovecot may take for one step of a login, and for its greeting. Dovecot itself holds back answers to " \
	    "clients that failed before, for 17 seconds at most. Later the client is told 454, and a Dovecot that has said " \
	    "nothing at all meanwhile is connected to anew.") \
	SIZE(dovecot_max_line, "dovecot-max-line", "8K", "1K", "64K",						\
	    "The longest line that Dovecot takes: 8K up to version 2.3, 16K since 2.4. A response of a client that does not " \
	    "fit is refused with 501, for Dovecot would close the connection on which all logins are.") \
	STR(certificates_file, "certificates-file", "", NULL, NULL,						\
	    "For EXTERNAL: a file with one client certificate a line, its SHA-256 fingerprint in hexadecimal digits (colons do " \
	    "not matter), white space, and the user whose it is.") \
	U32(workers, "workers", "2", "1", "64",									\
	    "Threads that check passwords; each takes the memory that the hash asks for. A change is taken at the next start.") \
	U32(max_waiting, "max-waiting", "64", "1", "10000",							\
	    "Passwords that may wait for a worker; while so many do, further clients are told 454. One client network may have " \
	    "4 passwords waiting or being checked at a time; further ones are told 454, and each is an error of the network. " \
	    "Networks of limits { exempt } may have more. A user who has logged in from the network in the last week goes " \
	    "before the others and has 4 places for himself; of such users max-waiting may wait beside the others.") \
	SIZE(max_hash_memory, "max-hash-memory", "64M", "8M", "1G",							\
	    "Memory that checking one password may take at most; a users file that asks for more is refused.")	\
	U32(max_exchanges, "max-exchanges", "2000", "10", "100000",							\
	    "Logins under way at most. When there are so many, the next one takes the place of the oldest of the client "	\
	    "network that has most of them, which is told 454; each smtpd process keeps its even part of the places. A login "	\
	    "whose password is being checked stays; where there are only such, the next one is told 454.")	\
	U32(max_exchanges_network, "max-exchanges-network", "50", "1", "1000",					\
	    "Logins of one client network that may be under way at one smtpd process. The next one takes the place of the " \
	    "oldest one that waits for its client, and that one is told 454. When none waits for its client, the next one is " \
	    "told 454 itself. Networks of limits { exempt } may have 1000. limits { ipv4-prefix, ipv6-prefix } say what a " \
	    "network is.") \
	TIME(timeout, "timeout", "2m", "1s", "1h",									\
	    "How long a login may take in all. Letting it run out counts as a failed login of the client network.")	\
	TIME(failure_delay, "failure-delay", "1s", "0s", "1m",							\
	    "After a failed login the next one from the same client network or for the same user has to wait this long, after " \
	    "a second failure twice as long, and so on. 0: no delay.") \
	TIME(failure_delay_max, "failure-delay-max", "30s", "0s", "10m",					\
	    "The longest such wait for what a client network has done itself. One that would have to wait longer is told 454.") \
	TIME(account_delay_max, "account-delay-max", "5s", "0s", "10m",						\
	    "The longest wait for what others have done to a user's account. Short, because whoever guesses at an account " \
	    "makes its owner wait too, when he comes from a network that he has not logged in from in the last week; networks " \
	    "from which he has do not wait for others. 0: guesses delay only the network that they come from.") \
	U32(user_messages_hour, "user-messages-hour", "0", "0", "100000000",					\
	    "Messages that one user may send in an hour; then 450. 0: any number. The hour moves, in steps of five minutes. " \
	    "What a transaction has taken of it and did not use is given back when it ends, unless the hour has passed " \
	    "meanwhile.") \
	U32(user_recipients_hour, "user-recipients-hour", "0", "0", "100000000",					\
	    "Recipients, of all messages together, that one user may have in an hour; then 450. 0: any number.") \
	U32(user_messages_day, "user-messages-day", "0", "0", "100000000", \
	    "The same for messages in 24 hours, in steps of one hour.") \
	U32(user_recipients_day, "user-recipients-day", "0", "0", "100000000", "The same for recipients in 24 hours.") \
	LIST(unlimited_users, "unlimited-users", "", NULL, NULL, "Users whom these limits do not bind: their names, no tables.") \
	U32(max_counted_users, "max-counted-users", "20000", "100", "1000000",					\
	    "Users whose messages are counted at a time, about half a KiB of memory each. Of more those are forgotten who have " \
	    "done nothing for longest.") \
	TIME(failure_forget, "failure-forget", "5m", "1s", "1d", "After this time one failure is forgotten.")

/* Sections with a title, any number of each. Order in the file counts for rules and routes: first match wins. */
#define CONF_LISTENER(BOOL, U32, SIZE, TIME, STR, LIST)								\
	LIST(address, "address", "127.0.0.1, ::1", NULL, NULL, "Addresses to listen on; * and :: for all.")	\
	U32(port, "port", "25", "1", "65535", "Port to listen on.")						\
	STR(kind, "kind", "relay", NULL, NULL,									\
	    "relay: mail from other servers (port 25). submission: mail from users (port 587 or 465), who must log in first.") \
	STR(auth, "auth", "", NULL, NULL, "Offer AUTH (RFC 4954): yes or no. Empty: yes for submission, no for relay.") \
	BOOL(auth_without_tls, "auth-without-tls", "no", NULL, NULL,						\
	    "Offer AUTH on connections that are not encrypted too. For the loopback interface and laboratories: passwords " \
	    "cross the line for everybody to read.") \
	BOOL(hide_client, "hide-client", "no", NULL, NULL,							\
	    "Leave the client's name and address out of the trace field of mail from users who logged in.") \
	LIST(proxy, "proxy", "", NULL, NULL,									\
	    "Networks of proxies (CIDR, @table or relay-clients) that begin each connection with a header of the PROXY " \
	    "protocol (version 1 or 2), which says who the client is. From other networks clients come directly.") \
	LIST(xclient, "xclient", "", NULL, NULL,								\
	    "Networks (CIDR, @table or relay-clients) whose clients may say by XCLIENT on whose behalf they speak.") \
	LIST(disable, "disable", "", NULL, NULL,									\
	    "Extensions that this listener does not offer, beside those of smtpd { disable }.")			\
	U32(backlog, "backlog", "1024", "1", "65535", "Connections that may wait to be accepted.")		\
	STR(tls, "tls", "starttls", NULL, NULL,									\
	    "starttls: clients may switch to TLS (RFC 3207), when there is a certificate section. implicit: TLS from the first " \
	    "byte on, as on port 465 (RFC 8314 3.3). none: no TLS.") \
	BOOL(require_tls, "require-tls", "no", NULL, NULL,							\
	    "Clients have to switch to TLS first. Not for the MX of a domain, which must take mail without it, too (RFC 3207 " \
	    "4).") \
	STR(client_certificate, "client-certificate", "none", NULL, NULL,					\
	    "none: clients are not asked. request: they are asked for a certificate, for rules that name its fingerprint, " \
	    "router { relay-certificates } or logins by EXTERNAL. require: those without one are refused in the handshake, as " \
	    "are those that client-ca did not sign, if it is set. postern -n warns where nothing looks at it (RFC 8314 4.2).") \
	STR(client_ca, "client-ca", "", NULL, NULL,								\
	    "PEM file with the authorities that sign clients' certificates. Empty: they are known by their fingerprints alone. " \
	    "A changed file is used without a reload; a bad one is not, see posternctl tls show.")

#define CONF_TABLE(BOOL, U32, SIZE, TIME, STR, LIST)								\
	STR(file, "file", "", NULL, NULL, \
	    "A text file: one pattern a line, with a value behind white space where the table maps; # starts a comment.") \
	STR(format, "format", "text", NULL, NULL, "text, or passwd for a file in the form of /etc/passwd.")	\
	LIST(values, "values", "", NULL, NULL, "The patterns themselves, instead of a file.")

#define CONF_RULE(BOOL, U32, SIZE, TIME, STR, LIST)								\
	LIST(listener, "listener", "", NULL, NULL, "Matches mail that came in by one of these listeners. Empty: any.") \
	LIST(client, "client", "", NULL, NULL, "Matches clients in these networks (CIDR or @table). Empty: any.")	\
	LIST(client_name, "client-name", "", NULL, NULL, \
	    "Matches clients whose confirmed name is one of these (domain patterns or @table). Empty: any. While the name of a " \
	    "client cannot be looked up, because a name server fails or is silent, nobody knows whether such a rule matches: " \
	    "what it might refuse or send elsewhere, and what only it might accept, is told 450 then, but neither postmaster " \
	    "nor users and clients that may relay are kept waiting for a rule that might refuse them.") \
	LIST(client_certificate, "client-certificate", "", NULL, NULL,						\
	    "Matches clients whose certificate, or the key in it, has one of these fingerprints: SHA-256 in 64 hexadecimal " \
	    "digits, with or without colons, or @table. The listener has to ask for certificates. Empty: any.") \
	STR(tls, "tls", "", NULL, NULL, "yes: matches clients that came over TLS. no: those that did not. Empty: any.") \
	LIST(from, "from", "", NULL, NULL, "Matches these senders: addresses, domains, *.domains, <> or @table. Empty: any.") \
	LIST(to, "to", "", NULL, NULL, "Matches these recipients: addresses, domains, *.domains, user@ or @table. Empty: any.") \
	LIST(to_user, "to-user", "", NULL, NULL, \
	    "Matches recipients whose local part (without its extension) is one of these. Empty: any.") \
	LIST(user, "user", "", NULL, NULL, \
	    "Matches clients that logged in as one of these users (names, addresses, domains of such names, @table). Empty: " \
	    "any client.") \
	STR(action, "action", "accept", NULL, NULL, "accept, reject or defer.")					\
	STR(reply, "reply", "", NULL, NULL, \
	    "The reply to refuse with: a code, an enhanced code and a text, as in \"550 5.7.1 Not welcome\".") \
	STR(transport, "transport", "", NULL, NULL, "For accept: the transport. Empty: as the routes say.")	\
	STR(relay_host, "relay-host", "", NULL, NULL, "For accept: the next hop instead of the recipient's MX.")

#define CONF_ROUTE(BOOL, U32, SIZE, TIME, STR, LIST)								\
	LIST(from, "from", "", NULL, NULL, "As in a rule.")							\
	LIST(to, "to", "", NULL, NULL, "As in a rule.")								\
	STR(transport, "transport", "smtp", NULL, NULL, "The transport for what matches.")			\
	STR(relay_host, "relay-host", "", NULL, NULL, \
	    "The next hop: a domain (its MX), [host] or [host]:port. Empty: the recipient's domain.")

#define CONF_TRANSPORT(BOOL, U32, SIZE, TIME, STR, LIST)							\
	STR(kind, "kind", "smtp", NULL, NULL, "smtp: to other servers. local: to mailboxes on this host.")	\
	U32(port, "port", "0", "0", "65535", "Port of the hosts. 0: that of deliver { port }.")			\
	U32(concurrency_max, "concurrency-max", "0", "0", "10000", \
	    "Sessions to one destination at most. 0: that of queue { concurrency-max }.")

#define CONF_CERTIFICATE(BOOL, U32, SIZE, TIME, STR, LIST)							\
	STR(chain, "chain", "", NULL, NULL,									\
	    "PEM file with the certificate and, below it, those that lead to its root (certbot's fullchain.pem).") \
	STR(key, "key", "", NULL, NULL,										\
	    "PEM file with the private key, without a passphrase. Refused when everybody on the machine may read it.") \
	LIST(names, "names", "", NULL, NULL,									\
	    "Names of this host for which the certificate is used when a client asks for them (SNI). Empty: those in the " \
	    "certificate.")

/* SECTION(c_name, "name", LIST) once; MULTI(c_name, "name", LIST) any number, each with a title. */
#define CONF_SECTIONS(SECTION, MULTI)		\
	SECTION(log, "log", CONF_LOG)		\
	SECTION(smtpd, "smtpd", CONF_SMTPD)	\
	SECTION(limits, "limits", CONF_LIMITS)	\
	SECTION(queue, "queue", CONF_QUEUE)	\
	SECTION(deliver, "deliver", CONF_DELIVER) \
	SECTION(local, "local", CONF_LOCAL)	\
	SECTION(resolver, "resolver", CONF_RESOLVER) \
	SECTION(router, "router", CONF_ROUTER)	\
	SECTION(vault, "vault", CONF_VAULT)	\
	SECTION(tls, "tls", CONF_TLS)		\
	SECTION(auth, "auth", CONF_AUTH)	\
	MULTI(listener, "listener", CONF_LISTENER) \
	MULTI(table, "table", CONF_TABLE)	\
	MULTI(rule, "rule", CONF_RULE)		\
	MULTI(route, "route", CONF_ROUTE)	\
	MULTI(transport, "transport", CONF_TRANSPORT) \
	MULTI(certificate, "certificate", CONF_CERTIFICATE)

#endif
