/* tests/fuzz/fuzz_ask.c -- posternctl's end of the admin line: a daemon that answers anything, shown in every view. What reaches
 * the terminal has no control characters. The first byte chooses the view; then frames follow, or steps that make them. */
#include "ctl/ask.h"
#include "ctl/render.h"

#include "common/ipc/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ANSWER_MAX = 128 * 1024 };

/* Steps: 0..0x7f a row of kind JSON with so many times two bytes, 0x80..0xbf raw bytes of the line, 0xc0.. an end. */
static size_t
make_answer(struct rd *in, uint8_t *to)
{
	struct wr w = { to, 0, ANSWER_MAX, false };

	while (in->s.n > 0 && w.n < ANSWER_MAX / 2) {
		uint8_t what = rd_u8(in);
		struct slice bytes = slice_first(in->s, what < 0x80 ? what * 2u : what & 0x3fu);

		in->s = slice_from(in->s, bytes.n);
		if (what >= 0x80 && what < 0xc0) {
			wr_bytes(&w, bytes.p, bytes.n);
			continue;
		}
		if (what < 0x80) {
			struct a_row row = { (what & 1) != 0 ? 2 : 1, bytes };

			wr_u32(&w, (uint32_t)(IPC_HEADER + a_row_size(&row)));
			wr_u16(&w, A_ROW);
			wr_u16(&w, 0);
			wr_u32(&w, 1);
			(void)a_row_put(&w, &row);
		} else {
			struct a_end end = { (what & 0x20) != 0 ? 4 : 0, bytes, what >> 4 & 1, what };

			wr_u32(&w, (uint32_t)(IPC_HEADER + a_end_size(&end)));
			wr_u16(&w, A_END);
			wr_u16(&w, 0);
			wr_u32(&w, 1);
			(void)a_end_put(&w, &end);
		}
	}
	return w.n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct view *const views[] = { &view_status, &view_queue_list, &view_queue_show, &view_mailq, &view_config,
		&view_explain, &view_selftest, &view_done };
	static uint8_t answer[ANSWER_MAX];
	static FILE *quiet;
	struct rd in = { slice_of(data, size), false };
	uint8_t how = rd_u8(&in);
	struct request request = { ADMIN_QUEUE_LIST, NULL, NULL, (how & 0x10) != 0, 0 };
	struct render render = { .view = views[how & 7], .json = (how & 8) != 0 };
	char *shown = NULL;
	size_t shown_n = 0, n;
	int pair[2], big = 2 * ANSWER_MAX;

	/* Its complaints are not ours. */
	if (quiet == NULL)
		stderr = quiet = fopen("/dev/null", "w");
	if (quiet == NULL || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1)
		abort();
	(void)setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &big, sizeof big);
	n = make_answer(&in, answer);
	(void)send(pair[1], answer, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)shutdown(pair[1], SHUT_WR);
	render.to = open_memstream(&shown, &shown_n);
	if (render.to == NULL)
		abort();
	if (ask(pair[0], &request, render_row, &render) == RC_OK)
		render_end(&render);
	(void)fclose(render.to);
	/* Raw bytes of queue cat are the mail itself, and JSON is what the daemon's writer made of it. */
	for (size_t i = 0; i < shown_n && !render.json && render.bytes == 0; i++)
		if (((uint8_t)shown[i] < 0x20 && shown[i] != '\n' && shown[i] != '\t') || shown[i] == 0x7f)
			abort();
	free(shown);
	(void)close(pair[0]);
	(void)close(pair[1]);
	return 0;
}
