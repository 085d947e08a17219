/* tests/fuzz/fuzz_envelope.c -- envelopes from smtpd or the disk: refused, or every recipient of them readable. */
#include "common/envelope.h"
#include "common/queue_id.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
no_line_ends(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '\r' || s.p[i] == '\n' || s.p[i] == 0)
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf again = BUF_INIT(1 << 22);
	struct envelope e, back;
	struct envelope_rcpt r;
	struct slice rest;
	struct msgid id;
	uint32_t n = 0;

	if (queue_id_parse(slice_of(data, size), &id) == RC_OK) {
		char text[QUEUE_ID_LEN];

		queue_id_format(id, text);
		if (!slice_caseeq(slice_of(text, sizeof text), slice_of(data, size)))
			abort();
	}
	if (envelope_parse(slice_of(data, size), &e) != RC_OK)
		return 0;
	no_line_ends(e.sender);
	no_line_ends(e.helo);
	no_line_ends(e.message_id);
	if (!envelope_put(&again, &e))
		abort();
	for (rest = e.rcpts; envelope_rcpt_next(&rest, &r); n++) {
		no_line_ends(r.address);
		no_line_ends(r.nexthop);
		if (r.address.n == 0 || !envelope_put_rcpt(&again, &r))
			abort();
	}
	if (n != e.n_rcpts)
		abort();
	if (envelope_parse(buf_slice(&again), &back) != RC_OK || back.n_rcpts != n || !slice_eq(back.sender, e.sender) ||
	    back.received_at != e.received_at || !ip_eq(back.client, e.client))
		abort();
	buf_free(&again);
	return 0;
}
