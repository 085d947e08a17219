/* resolver/resolver_main.c -- postern-resolver: the process. */
#include "resolver/resolver.h"

int
main(int argc, char **argv)
{
	static struct resolver resolver;

	return room_main(argc, argv, &resolver_ops, &resolver);
}
