/* registry.h - which connectors this program has. The one place outside their folders that names concrete ones. */
#ifndef TR_APP_REGISTRY_H
#define TR_APP_REGISTRY_H

#include <stddef.h>

#include "capture/source.h"
#include "encoders/encoder.h"
#include "offsets/offset_store.h"
#include "sinks/sink.h"

/* Each list ends with NULL. A test may make its own registry. */
struct tr_registry {
    const struct tr_source_class *const *sources;
    const struct tr_sink_class *const *sinks;
    const struct tr_offset_store_class *const *stores; /* the first is the default, embedded one */
    const struct tr_encoder_class *const *encoders;    /* may be NULL when no sink publishes */
    const struct tr_option
        *format; /* a table of one row, whose choices are the encoders' names; of sinks that publish */
};

/* The registry of this program. thread: any. */
const struct tr_registry *tr_registry(void);

/* The class for the scheme of a URL ("postgresql"), or NULL. */
const struct tr_source_class *tr_registry_source(const struct tr_registry *registry, const char *scheme);
const struct tr_sink_class *tr_registry_sink(const struct tr_registry *registry, const char *scheme);

/* The store that a URL of `offsets` means, or NULL. */
const struct tr_offset_store_class *tr_registry_store(const struct tr_registry *registry, const char *scheme);

/* The encoder of that name, or NULL. */
const struct tr_encoder_class *tr_registry_encoder(const struct tr_registry *registry, const char *name);

/* Is `scheme` one of "a|b|c"? */
bool tr_registry_has_scheme(const char *schemes, const char *scheme);

#endif
