/* tests/sim/letters.c -- see letters.h. */
#include "tests/sim/letters.h"

#include "common/buf.h"
#include "common/rc.h"
#include "tests/sim/house.h"
#include "tests/sim/internet.h"
#include "tests/sim/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LETTERS_MAX = 4096 };

static struct {
	struct letter *all[LETTERS_MAX];
	unsigned n;
	uint64_t expire;
	bool is_clock_wrong, is_postmaster_told;
} ledger;

void
letters_begin(void)
{
	memset(&ledger, 0, sizeof ledger);
}

void
letters_end(void)
{
	for (unsigned i = 0; i < ledger.n; i++) {
		free(ledger.all[i]->text);
		free(ledger.all[i]);
	}
	ledger.n = 0;
}

void
letters_set_expiry(uint64_t us)
{
	ledger.expire = us;
}

void
letters_clock_is_wrong(void)
{
	ledger.is_clock_wrong = true;
}

unsigned letters_count(void) { return ledger.n; }

/* --- making one --- */

static void
put_line(struct buf *b, uint32_t no, unsigned line)
{
	static const char *const odd[] = { "", ".", "..", ".\t.", "From here", "-- ", ".leading dot" };
	size_t n = (size_t)world_spread(1, 700);

	if (world_chance(4)) {
		(void)buf_printf(b, "%s\r\n", odd[world_below(sizeof odd / sizeof odd[0])]);
		return;
	}
	(void)buf_printf(b, "letter %u line %u ", no, line);
	for (size_t i = 0; i < n; i++)
		(void)buf_put_byte(b, (uint8_t)(' ' + world_below(95)));
	(void)buf_put_str(b, "\r\n");
}

static void
write_text(struct letter *l)
{
	uint64_t size = world_chance(30) ? world_spread(1000, 300000) : world_spread(100, 5000);
	struct buf b = BUF_INIT(1 << 20);
	struct slice s;

	(void)buf_printf(&b, "X-Letter: %u\r\nSubject: letter number %u\r\n\r\n", l->no, l->no);
	for (unsigned line = 1; buf_len(&b) < size; line++)
		put_line(&b, l->no, line);
	s = buf_slice(&b);
	l->text = malloc(s.n);
	BUG_ON(l->text == NULL || b.failed);
	memcpy(l->text, s.p, s.n);
	l->n = s.n;
	buf_free(&b);
}

struct letter *
letter_new(void)
{
	struct letter *l = calloc(1, sizeof *l);

	BUG_ON(l == NULL || ledger.n == LETTERS_MAX);
	l->no = ledger.n;
	ledger.all[ledger.n++] = l;
	l->born = world_now();
	l->written_to = -1;
	if (!world_chance(12))
		internet_address(l->sender, "sender", l->no, false);
	l->n_rcpts = world_chance(2) ? 1 : 1 + (unsigned)world_below(LETTER_RCPTS_MAX);
	for (unsigned i = 0; i < l->n_rcpts; i++)
		internet_address(l->rcpts[i].address, world_chance(15) ? "nobody" : "rcpt", l->no * 10 + i, world_chance(15));
	write_text(l);
	return l;
}

/* --- seeing one again --- */

static size_t
find(struct slice in, struct slice what)
{
	for (size_t i = 0; i + what.n <= in.n; i++) {
		const uint8_t *at = memchr(in.p + i, what.p[0], in.n - what.n - i + 1);

		if (at == NULL)
			break;
		i = (size_t)(at - in.p);
		if (memcmp(at, what.p, what.n) == 0)
			return i;
	}
	return in.n;
}

static struct letter *
letter_in(struct slice content, size_t *ret_at)
{
	static const struct slice mark = SLICE("X-Letter: ");
	size_t at = find(content, mark), no = 0;

	*ret_at = at;
	for (at += mark.n; at < content.n && content.p[at] >= '0' && content.p[at] <= '9'; at++)
		no = no * 10 + (size_t)(content.p[at] - '0');
	return *ret_at < content.n && no < ledger.n ? ledger.all[no] : NULL;
}

static struct letter_rcpt *
rcpt_of(struct letter *l, struct slice address)
{
	for (unsigned i = 0; i < l->n_rcpts; i++)
		if (slice_caseeq(slice_str(l->rcpts[i].address), address))
			return &l->rcpts[i];
	return NULL;
}

void
letters_written(int fd, struct slice bytes)
{
	size_t at;

	while (bytes.n > 0) {
		struct letter *l = letter_in(bytes, &at);

		if (l != NULL)
			l->written_to = fd;
		bytes = slice_from(bytes, at + 1);
	}
}

void
letters_synced(int fd)
{
	for (unsigned i = 0; i < ledger.n; i++)
		if (ledger.all[i]->written_to == fd) {
			ledger.all[i]->written_to = -1;
			ledger.all[i]->durable = true;
		}
}

void
letters_cut(void)
{
	for (unsigned i = 0; i < ledger.n; i++)
		ledger.all[i]->written_to = -1;
}

/* Whatever the clock says, mail is given up only when it has been tried for a while (queue/schedule.h). */
static uint64_t
tried_at_least(void)
{
	const uint64_t hour = 60 * MINUTE;

	return ledger.expire / 20 < hour ? ledger.expire / 20 : hour;
}

/* A report: about which recipients? */
static void
report_seen(struct slice content, bool sure)
{
	static const struct slice mark = SLICE("Final-Recipient: rfc822;"), expired = SLICE("Status: 4.4.7"),
	    delayed = SLICE("Action: delayed");
	size_t at;
	struct letter *l = letter_in(content, &at);
	bool is_expiry = find(content, expired) < content.n, is_delay = find(content, delayed) < content.n;

	if (l == NULL) {
		world_fail("a report about nothing that was ever sent");
		return;
	}
	if (is_expiry && world_now() - l->born < (ledger.is_clock_wrong ? tried_at_least() : ledger.expire))
		world_fail("letter %u was given up as too old after %llu s", l->no,
		    (unsigned long long)(world_now() - l->born) / SECOND);
	while ((at = find(content, mark)) < content.n) {
		struct letter_rcpt *r;
		struct slice address;

		content = slice_from(content, at + mark.n);
		while (content.n > 0 && content.p[0] == ' ')
			content = slice_from(content, 1);
		address = slice_first(content, slice_find(content, '\r'));
		r = rcpt_of(l, address);
		if (r == NULL) {
			world_fail("letter %u: a report about somebody else", l->no);
			return;
		}
		if (is_delay) {
			r->delays++;
			r->unsure_delays += !sure;
			world_trace("report: letter %u for %s waits", l->no, r->address);
			continue;
		}
		r->reports++;
		r->unsure_reports += !sure;
		world_trace("report: letter %u for %s failed%s", l->no, r->address, is_expiry ? " (expired)" : "");
	}
}

void
letters_seen(struct slice sender, const char (*rcpts)[LETTER_ADDRESS_MAX], unsigned n, struct slice content, bool sure)
{
	size_t at;
	struct letter *l = letter_in(content, &at);

	/* A report that grew too old itself: whom it was for cannot be seen any more. Only a wrong clock makes one old here. */
	if (sender.n == 0 && l == NULL && ledger.is_clock_wrong && n == 1 &&
	    slice_eq(slice_str(rcpts[0]), internet_postmaster())) {
		world_trace("the postmaster is told");
		ledger.is_postmaster_told = true;
		return;
	}
	if (sender.n == 0 && n == 1 && (l == NULL || rcpt_of(l, slice_str(rcpts[0])) == NULL)) {
		report_seen(content, sure);
		return;
	}
	if (l == NULL) {
		world_fail("something was delivered that nobody sent");
		return;
	}
	if (!slice_eq(slice_from(content, at), slice_of((const uint8_t *)l->text, l->n)))
		world_fail("letter %u was changed on its way (%zu bytes came, %zu were sent)", l->no, content.n - at, l->n);
	if (!slice_eq(sender, slice_str(l->sender)))
		world_fail("letter %u came from another sender", l->no);
	for (unsigned i = 0; i < n; i++) {
		struct letter_rcpt *r = rcpt_of(l, slice_str(rcpts[i]));

		if (r == NULL) {
			world_fail("letter %u went to somebody else: %s", l->no, rcpts[i]);
			continue;
		}
		r->taken++;
		r->unsure += !sure;
		world_trace("letter %u is at %s%s", l->no, r->address, sure ? "" : " (not acknowledged)");
	}
}

/* --- the promises --- */

static bool
is_open(const struct letter *l, const struct letter_rcpt *r)
{
	/* A bounce of a message from <> goes to nobody who could be seen here. */
	return !ledger.is_postmaster_told && l->fate == LETTER_ACCEPTED && r->accepted && r->taken == 0 && r->reports == 0 &&
	    l->sender[0] != '\0';
}

unsigned
letters_open(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < ledger.n; i++)
		for (unsigned k = 0; k < ledger.all[i]->n_rcpts; k++)
			n += is_open(ledger.all[i], &ledger.all[i]->rcpts[k]);
	return n;
}

unsigned
letters_accepted(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < ledger.n; i++)
		n += ledger.all[i]->fate == LETTER_ACCEPTED;
	return n;
}

static void
check_rcpt(const struct letter *l, const struct letter_rcpt *r)
{
	uint64_t crashes = house_crashes() - l->crashes;

	if (is_open(l, r))
		world_fail("letter %u for %s is lost: it was accepted, and is neither delivered nor reported", l->no, r->address);
	if (!r->accepted && r->taken + r->reports > 0)
		world_fail("letter %u for %s was delivered or reported, though the recipient was refused", l->no, r->address);
	if ((l->fate == LETTER_UNSENT || l->fate == LETTER_REFUSED) && r->taken + r->reports > 0)
		world_fail("letter %u for %s was delivered or reported, though it was %s", l->no, r->address,
		    l->fate == LETTER_REFUSED ? "refused" : "never sent");
	/* After a 4xx the client comes again: what is kept beside that is a copy too many, for which somebody must have died. */
	if (l->fate == LETTER_PUT_OFF && r->taken > 0 && crashes == 0)
		world_fail("letter %u for %s was delivered, though it was put off and nothing had crashed", l->no, r->address);
	if (r->taken > 1 + r->unsure + crashes)
		world_fail("letter %u for %s was delivered %u times, with %llu crashes", l->no, r->address, r->taken,
		    (unsigned long long)crashes);
	if (r->delays > 1 + r->unsure_delays + crashes)
		world_fail("the sender of letter %u was told %u times that %s waits, with %llu crashes", l->no, r->delays,
		    r->address, (unsigned long long)crashes);
	if (r->reports > 1 + r->unsure_reports + crashes)
		world_fail("letter %u for %s was reported %u times, with %llu crashes", l->no, r->address, r->reports,
		    (unsigned long long)crashes);
	if (r->taken > r->unsure && r->reports > 0 && crashes == 0)
		world_fail("letter %u for %s was delivered, and reported as failed", l->no, r->address);
}

void
letters_check(void)
{
	for (unsigned i = 0; i < ledger.n; i++)
		for (unsigned k = 0; k < ledger.all[i]->n_rcpts; k++)
			check_rcpt(ledger.all[i], &ledger.all[i]->rcpts[k]);
}
