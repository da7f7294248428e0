/* fake_registry.h - a schema registry for C tests: one thread, one answer for each request. */
#ifndef TR_TESTS_UNIT_ENCODERS_FAKE_REGISTRY_H
#define TR_TESTS_UNIT_ENCODERS_FAKE_REGISTRY_H

#include "core/buffer.h"

struct fake_registry;

/* Listens on a port of its own choice. Each schema gets the next id, from `first_id` on. */
struct fake_registry *fake_registry_start(unsigned first_id);
void fake_registry_stop(struct fake_registry *fake);
const char *fake_registry_url(const struct fake_registry *fake);

/* From now on every answer is this; NULL = ids again. Borrowed. An empty text breaks the connection off. */
void fake_registry_say(struct fake_registry *fake, const char *response);

/* How many requests came, and the path of the last and its schema's text (JSON unescaped). Valid until the next request. */
unsigned fake_registry_count(const struct fake_registry *fake);
const char *fake_registry_path(const struct fake_registry *fake);
/* The schema that got this id, or NULL. */
const char *fake_registry_schema(const struct fake_registry *fake, unsigned id);

#endif
