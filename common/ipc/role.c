/* common/ipc/role.c -- names of the rooms. */
#include "common/ipc/role.h"

#include <stddef.h>
#include <string.h>

static const struct {
	const char *program;
	const char *user;
} roles[ROLE_COUNT] = {
#define ROLE_ROW(name, prog, usr) [ROLE_##name] = { prog, usr },
	ROLES(ROLE_ROW)
#undef ROLE_ROW
};

static int
known(enum role role)
{
	return (unsigned)role < ROLE_COUNT && roles[role].program != NULL;
}

const char *
role_program(enum role role)
{
	return known(role) ? roles[role].program : "?";
}

const char *
role_name(enum role role)
{
	if (role == ROLE_MASTER)
		return "master";
	if (role == ROLE_CLIENT)
		return "client";
	return known(role) ? roles[role].program + strlen("postern-") : "?";
}

const char *
role_user(enum role role)
{
	return known(role) ? roles[role].user : NULL;
}
