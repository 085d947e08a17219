/* common/ipc/role.h -- the rooms of the house, as the lines between them know them. */
#ifndef POSTERN_COMMON_IPC_ROLE_H
#define POSTERN_COMMON_IPC_ROLE_H

#include <stdint.h>

/*	   ROLE		 program		 uid name		 */
#define ROLES(X)							\
	X(MASTER,	"postern",		"root")			\
	X(LOG,		"postern-log",		"postern-log")		\
	X(CONTROL,	"postern-control",	"postern-control")	\
	X(ROUTER,	"postern-router",	"postern-router")	\
	X(RESOLVER,	"postern-resolver",	"postern-resolver")	\
	X(QUEUE,	"postern-queue",	"postern-queue")	\
	X(SMTPD,	"postern-smtpd",	"postern-smtpd")	\
	X(DELIVER,	"postern-deliver",	"postern-deliver")	\
	X(LOCAL,	"postern-local",	"postern-local")	\
	X(MAILBOX,	"postern-mailbox",	NULL /* the recipient */) \
	X(CLIENT,	"posternctl",		NULL /* who types it */) \
	X(VAULT,	"postern-vault",	"postern-vault") \
	X(AUTH,		"postern-auth",		"postern-auth")

enum role {
	ROLE_NONE,
#define ROLE_ENUM(name, program, user) ROLE_##name,
	ROLES(ROLE_ENUM)
#undef ROLE_ENUM
	ROLE_COUNT
};

#define ROLE_BIT(role) (UINT32_C(1) << (role))

const char *role_program(enum role role);	/* "postern-smtpd"; "?" when out of range */
const char *role_name(enum role role);		/* "smtpd" */
const char *role_user(enum role role);		/* NULL: no account of its own */

#endif
