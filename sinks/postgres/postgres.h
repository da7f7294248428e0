/* postgres.h - the PostgreSQL sink: changes applied in commit order, exactly once, over several connections. */
#ifndef TR_SINKS_POSTGRES_POSTGRES_H
#define TR_SINKS_POSTGRES_POSTGRES_H

#include "sinks/sink.h"

extern const struct tr_sink_class tr_postgres_sink;

#endif
