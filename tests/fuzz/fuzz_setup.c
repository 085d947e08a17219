/* tests/fuzz/fuzz_setup.c -- the files of resolver { }: resolv.conf, root hints, trust anchors, of any bytes. The first byte
 * chooses the mode, the rest is three texts with a NUL between them. Read, or refused with words; the same again is the same. */
#include "resolver/setup.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct slice
text_next(struct slice *rest)
{
	size_t n = slice_find(*rest, '\0');
	struct slice s = slice_first(*rest, n);

	*rest = slice_from(*rest, n + 1);
	return s;
}

static void
check(const struct setup *s)
{
	if (s->n_servers > SETUP_SERVERS_MAX || s->n_anchors > SETUP_ANCHORS_MAX)
		abort();
	for (size_t i = 0; i < s->n_servers; i++)
		if (s->servers[i].ip.family == 0 || s->servers[i].port == 0)
			abort();
	/* One record a line: what libunbound takes for a second one is none of ours. */
	for (size_t i = 0; i < s->n_anchors; i++) {
		struct slice a = slice_str(s->anchors[i]);

		if (a.n == 0 || a.n > SETUP_ANCHOR_MAX || slice_find(a, '\n') < a.n)
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const modes[] = { "auto", "recursive", "forward", "auto" };
	static struct conf *conf;
	struct slice rest = slice_of(data, size);
	struct buf why = BUF_INIT(4096);
	struct setup first, second;
	struct setup_files files;

	if (conf == NULL && (conf = conf_new()) == NULL)
		abort();
	if (size == 0)
		return 0;
	free(conf->resolver.mode);
	free(conf->resolver.trust_anchor);
	free(conf->resolver.root_hints);
	conf->resolver.mode = strdup(modes[data[0] & 3]);
	conf->resolver.trust_anchor = strdup((data[0] & 4) != 0 ? "/etc/anchor" : "");
	conf->resolver.root_hints = strdup((data[0] & 8) != 0 ? "/etc/hints" : "");
	rest = slice_from(rest, 1);
	files.resolv_conf = text_next(&rest);
	files.root_hints = text_next(&rest);
	files.trust_anchor = text_next(&rest);
	if (setup_make(&conf->resolver, &files, &first, &why) == RC_OK) {
		check(&first);
		if (setup_make(&conf->resolver, &files, &second, &why) != RC_OK || !setup_equal(&first, &second))
			abort();
		setup_free(&second);
		setup_free(&first);
	} else if (buf_len(&why) == 0)
		abort();
	buf_free(&why);
	return 0;
}
