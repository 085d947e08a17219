/* router/router_main.c -- postern-router: the process. */
#include "router/router.h"

int
main(int argc, char **argv)
{
	static struct router router;

	return room_main(argc, argv, &router_ops, &router);
}
