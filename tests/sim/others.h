/* tests/sim/others.h -- the rooms that are played: a router and a resolver for the simulated internet of internet.h. */
#ifndef POSTERN_TESTS_SIM_OTHERS_H
#define POSTERN_TESTS_SIM_OTHERS_H

#include "common/room.h"

extern const struct room_ops other_router_ops, other_resolver_ops;

/* How often they fail, are slow, or say nothing: once in so many questions; 0: never. */
void others_trouble(unsigned in);

#endif
