/* deliver/local_main.c -- postern-local: the process. */
#include "deliver/local.h"

int
main(int argc, char **argv)
{
	static struct local local;

	return room_main(argc, argv, &local_ops, &local);
}
