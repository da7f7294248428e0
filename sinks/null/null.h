/* null.h - the sink that counts and forgets, for measuring. */
#ifndef TR_SINKS_NULL_NULL_H
#define TR_SINKS_NULL_NULL_H

#include "sinks/sink.h"

extern const struct tr_sink_class tr_null_sink;

#endif
