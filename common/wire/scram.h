/* common/wire/scram.h -- the two messages of a SCRAM client (RFC 5802 7), taken apart. Pure; slices borrow. */
#ifndef POSTERN_COMMON_WIRE_SCRAM_H
#define POSTERN_COMMON_WIRE_SCRAM_H

#include "common/buf.h"
#include "common/rc.h"

enum { SCRAM_NONCE_MAX = 256 };	/* of the client; RFC 5802 has no limit, and no client needs more than 32 */

struct scram_first {
	uint8_t flag;		/* 'n': no channel binding, 'y': it thinks that we have none, 'p': with it */
	struct slice binding;	/* with 'p': its type, such as tls-exporter */
	struct slice authzid;	/* still encoded; empty: none */
	struct slice gs2;	/* all before bare: comes back, in base64, in the final message */
	struct slice bare;	/* what is signed */
	struct slice user;	/* still encoded */
	struct slice nonce;
};

struct scram_final {
	struct slice binding;	/* base64 of gs2 and the channel's data */
	struct slice nonce;
	struct slice unproven;	/* all before ",p=": what is signed */
	struct slice proof;	/* base64 */
};

/* RC_SYNTAX; RC_UNSUPPORTED: it has a mandatory extension (m=). */
enum rc scram_first_parse(struct slice message, struct scram_first *ret_first);
enum rc scram_final_parse(struct slice message, struct scram_final *ret_final);

/* Appends the name that a saslname encodes: =2C is a comma, =3D an equals sign, no other = may stand there. */
enum rc scram_name_decode(struct slice name, struct buf *to);

#endif
