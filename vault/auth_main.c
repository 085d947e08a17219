/* vault/auth_main.c -- postern-auth: the process. */
#include "vault/auth.h"

int
main(int argc, char **argv)
{
	static struct auth auth;

	return room_main(argc, argv, &auth_ops, &auth);
}
