/* smtpd/doors.c -- see doors.h. */
#include "smtpd/doors.h"

#include <stdlib.h>

void
doors_free(struct doors *d)
{
	for (size_t i = 0; d->v != NULL && i < d->conf->n_listeners; i++) {
		table_free(d->v[i].proxy);
		table_free(d->v[i].xclient);
	}
	free(d->v);
	table_free(d->lenient);
	conf_unref(d->conf);
	*d = (struct doors){ NULL, NULL, NULL };
}

static struct table *
compile(const struct conf *conf, const struct conf_list *list)
{
	struct table *t;

	/* What is wrong with it the master has said; without memory nobody is trusted. */
	return list->n > 0 && networks_compile(conf, list, &t, NULL) == RC_OK ? t : NULL;
}

void
doors_adopt(struct doors *d, struct conf *conf)
{
	doors_free(d);
	d->conf = conf_ref(conf);
	if (strcmp(conf->smtpd.bare_newline, "normalise") == 0)
		d->lenient = compile(conf, &conf->smtpd.bare_newline_networks);
	d->v = calloc(conf->n_listeners + 1, sizeof *d->v);
	for (size_t i = 0; d->v != NULL && i < conf->n_listeners; i++) {
		d->v[i].proxy = compile(conf, &conf->listeners[i].proxy);
		d->v[i].xclient = compile(conf, &conf->listeners[i].xclient);
	}
}

static const struct door *
find(const struct doors *d, struct slice listener)
{
	for (size_t i = 0; d->v != NULL && i < d->conf->n_listeners; i++)
		if (slice_eq(slice_str(d->conf->listeners[i].title), listener))
			return &d->v[i];
	return NULL;
}

static bool
holds(const struct table *t, struct ip ip)
{
	struct table_hit hit;

	return t != NULL && table_has_ip(t, ip, &hit);
}

bool
door_is_proxy(const struct doors *d, struct slice listener, struct ip ip)
{
	const struct door *door = find(d, listener);

	return door != NULL && holds(door->proxy, ip);
}

bool
door_is_lenient(const struct doors *d, struct ip ip)
{
	return holds(d->lenient, ip);
}

bool
door_has_xclient(const struct doors *d, struct slice listener, struct ip ip)
{
	const struct door *door = find(d, listener);

	return door != NULL && holds(door->xclient, ip);
}
