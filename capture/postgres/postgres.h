/* postgres.h - the PostgreSQL source (13 to 18): logical replication through pgoutput, snapshots through COPY. See docs/source-postgresql.md. */
#ifndef TR_CAPTURE_POSTGRES_POSTGRES_H
#define TR_CAPTURE_POSTGRES_POSTGRES_H

#include "capture/source.h"

extern const struct tr_source_class tr_postgres_source;

#endif
