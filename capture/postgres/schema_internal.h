/* schema_internal.h - the reading of the catalogue for struct tr_schema, shared by schema.c, schema_keys.c and schema_objects.c. */
#ifndef TR_CAPTURE_POSTGRES_SCHEMA_INTERNAL_H
#define TR_CAPTURE_POSTGRES_SCHEMA_INTERNAL_H

#include "capture/postgres/internal.h"
#include "schema/schema.h"

struct tr_object_list {
    struct tr_object *items;
    uint32_t count, capacity;
};

struct tr_oid_index {
    uint32_t oid;
    uint32_t table;
};

struct tr_schema_read {
    struct tr_postgres_source *source;
    struct tr_schema *schema;
    struct tr_buffer oids;      /* "{16385,16390}": the tables, partitions included */
    struct tr_oid_index *index; /* sorted by oid */
    struct tr_object_list objects;
    struct tr_object_list *table_objects; /* per table */
    struct tr_schema_note *notes;
    uint32_t nnotes, notes_capacity;
    struct tr_error *err;
};

/* One query with the tables' oids as $1. */
int tr_schema_query(struct tr_schema_read *read, const char *sql, PGresult **res);

/* A cell copied into the schema's arena; NULL for SQL NULL. */
const char *tr_schema_cell(struct tr_schema_read *read, const PGresult *res, int row, int column);
/* The same without a copy, valid as long as the result. */
const char *tr_schema_peek(const PGresult *res, int row, int column);
uint32_t tr_schema_oid(const PGresult *res, int row, int column); /* 0 for NULL */
bool tr_schema_bool(const PGresult *res, int row, int column);

/* 1 + index of the table with this oid; 0 = not in the schema. */
uint32_t tr_schema_table_of(const struct tr_schema_read *read, uint32_t oid);

void tr_schema_push(struct tr_object_list *list, const struct tr_object *object);
void tr_schema_note(struct tr_schema_read *read, const char *object, const char *fmt, ...) TR_PRINTF(3, 4);
/* "schema.name" of a table, for notes; in the schema's arena. */
const char *tr_schema_name_of(struct tr_schema_read *read, uint32_t table);

/* schema_keys.c: constraints and indexes; what is not carried. */
int tr_schema_read_constraints(struct tr_schema_read *read);
int tr_schema_read_indexes(struct tr_schema_read *read);
int tr_schema_read_not_carried(struct tr_schema_read *read);
/* schema_objects.c: what tables need to be there before them. */
int tr_schema_read_schemas(struct tr_schema_read *read);
int tr_schema_read_extensions(struct tr_schema_read *read);
int tr_schema_read_required(struct tr_schema_read *read);
int tr_schema_read_types(struct tr_schema_read *read);
int tr_schema_read_sequences(struct tr_schema_read *read);

#endif
