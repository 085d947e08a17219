/* tests/resolver/test_turns.c -- places are shared out among networks: none has so many that others find none. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "resolver/turns.h"

#include <stdlib.h>
#include <string.h>

enum { PLACES = 512, MANY = 60 };

struct world {
	struct turns turns;
	struct turn turn[1000][MANY];
	unsigned placed[1000];	/* of each network */
};

static struct ip
net(unsigned n)
{
	struct ip ip = { 6, { 0x20, 0x01, 0x0d, 0xb8 } };

	ip.b[6] = (uint8_t)(n >> 8);
	ip.b[7] = (uint8_t)n;
	return ip;
}

static struct world *
begin(size_t places)
{
	struct world *w = calloc(1, sizeof *w);

	assert_non_null(w);
	turns_init(&w->turns, places);
	return w;
}

static void
end(struct world *w)
{
	for (size_t i = 0; i < sizeof w->turn / sizeof w->turn[0]; i++)
		for (size_t k = 0; k < MANY; k++) {
			turns_leave(&w->turns, &w->turn[i][k]);
			turns_leave(&w->turns, &w->turn[i][k]);
		}
	assert_int_equal(w->turns.taken, 0);
	assert_int_equal(w->turns.networks.n, 0);
	assert_null(w->turns.ring);
	turns_free(&w->turns);
	free(w);
}

static void
come(struct world *w, unsigned n, size_t k)
{
	w->turn[n][k].what = &w->placed[n];
	assert_true(turns_enter(&w->turns, &w->turn[n][k], net(n)));
}

/* All who can have a place get one; gives how many. */
static size_t
place(struct world *w)
{
	struct turn *turn;
	size_t n = 0;

	while ((turn = turns_next(&w->turns)) != NULL) {
		assert_true(turn->placed);
		++*(unsigned *)turn->what;
		n++;
	}
	assert_true(w->turns.taken <= w->turns.places);
	return n;
}

static void
one_network_has_a_part(void **state)
{
	struct world *w = begin(PLACES);

	(void)state;
	for (size_t k = 0; k < MANY; k++)
		come(w, 1, k);
	assert_int_equal(place(w), PLACES / (TURNS_PART + 1) + 1);
	assert_int_equal(place(w), 0);
	/* One that is given back is taken by the next, in the order in which they came. */
	turns_leave(&w->turns, &w->turn[1][0]);
	assert_int_equal(place(w), 1);
	assert_true(w->turn[1][PLACES / (TURNS_PART + 1) + 1].placed);
	end(w);
}

/* However many they are, and however much they want, whoever comes afterwards finds a place. */
static void
many_networks_leave_places(void **state)
{
	static const unsigned crowds[] = { 1, 8, 50, 100, 250, 400 };

	(void)state;
	for (size_t i = 0; i < sizeof crowds / sizeof crowds[0]; i++) {
		struct world *w = begin(PLACES);
		unsigned least = UINT32_MAX, most = 0;

		for (size_t k = 0; k < MANY; k++)
			for (unsigned n = 0; n < crowds[i]; n++)
				come(w, n, k);
		(void)place(w);
		for (unsigned n = 0; n < crowds[i]; n++) {
			least = w->placed[n] < least ? w->placed[n] : least;
			most = w->placed[n] > most ? w->placed[n] : most;
		}
		assert_in_range(most - least, 0, 1);
		assert_true(least >= 1);
		print_message("# %u networks have %u to %u each, %zu are left\n", crowds[i], least, most,
		    PLACES - w->turns.taken);
		assert_true(PLACES - w->turns.taken >= PLACES * TURNS_PART / (TURNS_PART + crowds[i]) / 2);
		come(w, 900, 0);
		assert_int_equal(place(w), 1);
		assert_int_equal(w->placed[900], 1);
		end(w);
	}
}

/* When there are more networks than places they take turns. */
static void
a_place_that_falls_free_is_the_next_network_s(void **state)
{
	struct world *w = begin(10);

	(void)state;
	for (unsigned n = 0; n < 30; n++)
		for (size_t k = 0; k < 3; k++)
			come(w, n, k);
	assert_int_equal(place(w), 10);
	for (unsigned n = 0; n < 10; n++)
		assert_int_equal(w->placed[n], 1);
	for (unsigned n = 0; n < 20; n++) {
		turns_leave(&w->turns, &w->turn[n][0]);
		assert_int_equal(place(w), 1);
		assert_int_equal(w->placed[n + 10], 1);
	}
	turns_leave(&w->turns, &w->turn[29][0]);
	assert_int_equal(place(w), 1);
	assert_int_equal(w->placed[0], 2);
	end(w);
}

static void
whoever_waits_can_leave(void **state)
{
	struct world *w = begin(2);

	(void)state;
	come(w, 1, 0);
	come(w, 2, 0);
	assert_int_equal(place(w), 2);
	for (size_t k = 1; k < 5; k++)
		come(w, 1, k);
	come(w, 3, 0);
	turns_leave(&w->turns, &w->turn[1][2]);	/* from the middle, the front and the end */
	turns_leave(&w->turns, &w->turn[1][1]);
	turns_leave(&w->turns, &w->turn[1][4]);
	assert_int_equal(place(w), 0);
	turns_leave(&w->turns, &w->turn[2][0]);
	assert_int_equal(place(w), 1);
	assert_true(w->turn[3][0].placed);	/* not the one that has a place */
	turns_leave(&w->turns, &w->turn[1][0]);
	assert_int_equal(place(w), 1);
	assert_true(w->turn[1][3].placed);
	/* A network that nobody waits for any more is not in the way. */
	come(w, 4, 0);
	turns_leave(&w->turns, &w->turn[4][0]);
	assert_null(w->turns.ring);
	end(w);
}

/* As it is: come, wait, have, leave in any order; nobody waits while he could have a place. */
static void
any_order(void **state)
{
	struct world *w = begin(40);

	(void)state;
	srandom(7);
	for (unsigned i = 0; i < 200000; i++) {
		unsigned n = (unsigned)random() % 100;
		size_t k = (size_t)random() % MANY;

		if (w->turn[n][k].network == NULL)
			come(w, n, k);
		else
			turns_leave(&w->turns, &w->turn[n][k]);
		if (i % 3 == 0) {
			(void)place(w);
			assert_true(w->turns.taken == w->turns.places || turns_next(&w->turns) == NULL);
		}
	}
	end(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_network_has_a_part),
		cmocka_unit_test(many_networks_leave_places),
		cmocka_unit_test(a_place_that_falls_free_is_the_next_network_s),
		cmocka_unit_test(whoever_waits_can_leave),
		cmocka_unit_test(any_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
