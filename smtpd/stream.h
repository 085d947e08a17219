/* smtpd/stream.h -- a session's bytes, in and out: plain, or over TLS, and the same for whoever reads and writes them.
 *
 * The descriptor is non-blocking and belongs to the stream. Plain or not, one event costs one system call. Everything
 * that is known of a TLS connection (cipher, client certificate, channel bindings) is asked for here; before the
 * handshake is complete there is nothing to know. */
#ifndef POSTERN_SMTPD_STREAM_H
#define POSTERN_SMTPD_STREAM_H

#include "common/buf.h"
#include "common/slice.h"
#include "smtpd/tls.h"

enum stream_status {
	STREAM_OK,
	STREAM_AGAIN,	/* nothing now: wait for the descriptor */
	STREAM_END,	/* the other side has closed its half */
	STREAM_LOST,	/* the connection is of no use any more */
};

struct stream {
	int fd;
	bool more;		/* the last read was cut short by its landing: no event will tell of what is left */
	bool writes_to_read;	/* TLS has something of its own to write before it reads on */
	bool secure;		/* the handshake is complete: bytes go through tls */
	struct tls *tls;	/* NULL: plain */
};

void stream_init(struct stream *st, int fd);
void stream_free(struct stream *st);	/* closes the descriptor, without a word */

/* At most max bytes; *ret_n > 0 when STREAM_OK. */
enum stream_status stream_read(struct stream *st, uint8_t *to, size_t max, size_t *ret_n);
/* As much of bytes (not empty) as goes now. last: the end follows at once (stream_close_write, stream_free), and what is
 * written may wait for it: goodbye, last words and the end are one packet. */
enum stream_status stream_write(struct stream *st, struct slice bytes, bool last, size_t *ret_n);

/* Has the other side sent anything that was not read? Asks the system. */
bool stream_has_more(const struct stream *st);
/* Is the connection known to be broken? One whose client has closed its half is not: it may still listen. */
bool stream_is_lost(const struct stream *st);
/* Is there more to read that no event will tell of? */
static inline bool stream_pending(const struct stream *st) { return st->more; }

/* Says goodbye (close_notify) and closes our half; what comes now is only thrown away, with stream_drain. TLS is over.
 * False: there is no half to close, the connection is gone. */
bool stream_close_write(struct stream *st);
/* Bytes thrown away in *ret_n. */
enum stream_status stream_drain(struct stream *st, uint8_t *landing, size_t max, size_t *ret_n);

/* --- TLS --- */

/* Makes ready for a handshake as the server of this listener: bytes stay plain until stream_shake is called first. woken
 * is called with ctx when the handshake can go on that waited for something other than the descriptor. RC_NOMEM. */
enum rc stream_prepare_tls(struct stream *st, struct tls_listener *listener, void (*woken)(void *ctx),
    void *ctx);
/* The handshake, as far as it goes now: TLS_DONE, or what it waits for, or that it failed (stream_tls_trouble says why). */
enum tls_status stream_shake(struct stream *st);
const char *stream_tls_trouble(const struct stream *st);

static inline bool stream_is_tls(const struct stream *st) { return st->secure; }

/* What is known of it; NULL: plain. Borrowed, and lives as long as the stream is not closed. */
const struct tls_facts *stream_tls(const struct stream *st);

/* The client's certificate; NULL: plain, or it showed none. `verified` in it says whether it was signed by one of the
 * listener's client-ca: without that it proves possession of a key, and its names prove nothing. */
const struct tls_certificate *stream_client_certificate(const struct stream *st);

/* Appends the bytes of a channel binding (RFC 5056). False, and nothing is appended: plain, or this connection has none
 * of that type. */
bool stream_channel_binding(const struct stream *st, enum tls_binding type, struct buf *out);

#endif
