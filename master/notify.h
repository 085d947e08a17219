/* master/notify.h -- what the service manager is told (sd_notify's protocol: datagrams to $NOTIFY_SOCKET). */
#ifndef POSTERN_MASTER_NOTIFY_H
#define POSTERN_MASTER_NOTIFY_H

#include "common/loop.h"

void notify_ready(const char *status);
void notify_reloading(void);
void notify_stopping(void);
/* When the manager asked for signs of life ($WATCHDOG_USEC): sends one twice an interval from now on. */
void notify_watchdog(struct timer *t, struct loop *loop);

#endif
