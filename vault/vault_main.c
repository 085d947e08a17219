/* vault/vault_main.c -- postern-vault: the process. */
#include "vault/vault.h"

int
main(int argc, char **argv)
{
	static struct vault vault;

	return room_main(argc, argv, &vault_ops, &vault);
}
