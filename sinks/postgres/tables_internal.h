/* tables_internal.h - shared by tables.c (making), compare.c (comparing, emptying) and finish.c (after the rows). */
#ifndef TR_SINKS_POSTGRES_TABLES_INTERNAL_H
#define TR_SINKS_POSTGRES_TABLES_INTERNAL_H

#include "schema/ddl.h"
#include "sinks/postgres/internal.h"

#define STATEMENTS_AT_ONCE 100 /* one transaction: well below max_locks_per_transaction * max_connections */

#define TR_PG_REQUIRED_HINT \
    "make it at the target first (pg_dump --schema-only shows its definition), or make the tables yourself and run with schema: expect"

/* A finding for each function, collation and base type that tables to be made use, and that the target lacks: they cannot be made from here. */
int tr_pg_check_required(struct tr_postgres_sink *sink, const struct tr_schema *schema,
                         const struct tr_findings *findings, struct tr_error *err);

/* A string setting, "" when unset. */
const char *tr_pg_setting(const struct tr_postgres_sink *sink, const char *name);

/* A text[] literal, element by element; end closes it and returns the text. */
void tr_pg_array_add(struct tr_buffer *array, const char *text);
const char *tr_pg_array_end(struct tr_buffer *array);

/* Some statements as one transaction; on failure the error names the one that failed. */
int tr_pg_run_statements(const struct tr_postgres_sink *sink, PGconn *conn,
                         const struct tr_ddl_statement *const *statements, size_t count,
                         struct tr_error *err);

int tr_pg_analyze(const struct tr_postgres_sink *sink, PGconn *conn, const struct tr_relation *relation,
                  struct tr_error *err);

/*
 * compare.c: tables that this task made and has not loaded in full since are dropped when they no longer take the source's rows, to be made anew. Others are left alone.
 */
int tr_pg_drop_outgrown(struct tr_postgres_sink *sink, const struct tr_schema *schema, struct tr_error *err);
/* compare.c: do the target's tables take the source's rows? Refuses with each difference. Those that are loaded are not compared. */
int tr_pg_compare_tables(struct tr_postgres_sink *sink, const struct tr_schema *schema, struct tr_error *err);
/* compare.c, for `tailrace check`: each difference of a table that exists is a finding. */
int tr_pg_check_shapes(struct tr_postgres_sink *sink, const struct tr_schema *schema,
                       const struct tr_findings *findings, struct tr_error *err);
/* on_existing: rows in tables that this task has not begun to load stop the task, are removed, or stay. */
int tr_pg_existing_rows(struct tr_postgres_sink *sink, const struct tr_schema *schema, struct tr_error *err);

#endif
