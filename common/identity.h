/* common/identity.h -- what FILE_CHAIN holds: a certificate, the chain above it, and which key of the vault is its own.
 *
 * Made by the master (master/certificate.c) out of files that it has checked, read by smtpd (smtpd/identity.c). The run is
 * a struct identity_head, then its names, then its certificates: the leaf first, each DER (RFC 5280). Nothing secret. */
#ifndef POSTERN_COMMON_IDENTITY_H
#define POSTERN_COMMON_IDENTITY_H

#include "common/buf.h"
#include "common/slice.h"

enum {
	IDENTITY_KEY_ID = 32,		/* bytes: SHA-256 of the SubjectPublicKeyInfo, the name of a key on all lines */
	IDENTITY_BYTES_MAX = 256 * 1024, /* of the whole run */
	IDENTITY_NAMES_MAX = 1000,	/* names of one certificate; certification authorities stop at 100 */
	IDENTITY_CHAIN_MAX = 10,	/* certificates, the leaf included: a handshake has to carry them all */
	IDENTITIES_MAX = 1000,		/* certificates of a configuration */
};

struct identity_head {
	struct slice key_id;
	uint16_t n_names, n_certificates;
};

/* The names and certificates follow with identity_put_item(). */
static inline bool
identity_put_head(struct buf *to, const struct identity_head *h)
{
	uint8_t space[4 + IDENTITY_KEY_ID + 4];
	struct wr w = { space, 0, sizeof space, false };

	wr_str(&w, h->key_id);
	wr_uint(&w, h->n_names, 2);
	wr_uint(&w, h->n_certificates, 2);
	return !w.bad && buf_put(to, space, w.n);
}

static inline bool
identity_put_item(struct buf *to, struct slice item)
{
	uint8_t space[4];
	struct wr w = { space, 0, sizeof space, false };

	wr_u32(&w, (uint32_t)item.n);
	return item.n <= IDENTITY_BYTES_MAX && buf_put(to, space, w.n) && buf_put_slice(to, item);
}

/* False when malformed; then the reader is bad. The items are read with rd_str(). */
static inline bool
identity_get_head(struct rd *r, struct identity_head *ret_head)
{
	struct identity_head h;

	h.key_id = rd_str(r);
	h.n_names = rd_u16(r);
	h.n_certificates = rd_u16(r);
	if (h.key_id.n != IDENTITY_KEY_ID || h.n_names > IDENTITY_NAMES_MAX || h.n_certificates == 0 ||
	    h.n_certificates > IDENTITY_CHAIN_MAX)
		r->bad = true;
	if (!r->bad)
		*ret_head = h;
	return !r->bad;
}

#endif
