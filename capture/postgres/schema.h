/* schema.h - the catalogue read into struct tr_schema: what a target needs to make the tables. */
#ifndef TR_CAPTURE_POSTGRES_SCHEMA_H
#define TR_CAPTURE_POSTGRES_SCHEMA_H

#include "capture/source.h"

/* The schema function of struct tr_source_class. A fixed number of queries, however many tables there are. */
int tr_postgres_schema(struct tr_source *source, struct tr_schema **schema, struct tr_error *err);
/* The sequences function of struct tr_source_class. */
int tr_postgres_sequences(struct tr_source *source, struct tr_schema *schema, struct tr_error *err);

#endif
