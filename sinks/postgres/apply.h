/*
 * apply.h - the stream's way into PostgreSQL: target tables, groups of transactions, and the connections that apply them.
 *
 * The order of it all is sinks/sql/apply.h; here is what PostgreSQL does its own way. A step is a run of rows for one statement; a worker sends the steps and reads
 * the answers in pipeline mode (worker.c). What fails goes through conflict.c, one change at a time. The rules are in docs/parallel-apply.md.
 */
#ifndef TR_SINKS_POSTGRES_APPLY_H
#define TR_SINKS_POSTGRES_APPLY_H

#include "sinks/postgres/fit.h"
#include "sinks/postgres/internal.h"
#include "sinks/sql/apply.h"
#include "sinks/sql/cascade.h"
#include "sinks/sql/maps.h"

/* ------------------------------------------------------------------------------------------- target.c: the target's tables */

/* How a value travels in a parameter: the element type of the array that a column's values form. */
enum tr_pg_carry {
    TR_PG_CARRY_TEXT = 0, /* canonical text in a text[], cast to the column's type by the statement */
    TR_PG_CARRY_STRING,   /* text, varchar: the same bytes, no cast */
    TR_PG_CARRY_BOOL,
    TR_PG_CARRY_INT2,
    TR_PG_CARRY_INT4,
    TR_PG_CARRY_INT8,
    TR_PG_CARRY_OID,
    TR_PG_CARRY_BYTEA,
    TR_PG_CARRY_UUID,
    TR_PG_CARRY_DATE,
    TR_PG_CARRY_TIMESTAMP,
    TR_PG_CARRY_TIMESTAMPTZ,
};

struct tr_pg_column {
    const char *name;
    const char *type;   /* format_type without modifier: fit for a cast that neither rounds nor cuts */
    const char *native; /* format_type with its modifier */
    const char *input_open,
        *input_close; /* around a text, where a cast of it would not read what the type prints; or NULL */
    Oid type_oid;
    struct tr_pg_target_type holds; /* for fit.h */
    uint16_t number;                /* attnum */
    bool not_null, generated, identity, identity_always;
    bool
        comparable; /* = of pg_catalog finds exactly the equal rows and no text is needed (integers, text, dates...) */
};

struct tr_pg_unique {
    const uint16_t *columns; /* indexes into the table's columns */
    const char **equals;     /* OPERATOR(schema.=) of each column's operator class */
    uint16_t ncolumns;
    Oid oid;
    bool primary;
    bool addresses; /* not partial, no expression, immediate, all columns NOT NULL: names one row */
    bool expression;
    bool nulls_equal;
};

struct tr_pg_table {
    struct tr_sql_table plan; /* the first member */
    char *schema, *name;
    Oid oid;
    char relkind;
    struct tr_pg_column *columns;
    uint16_t ncolumns;
    struct tr_pg_unique *uniques;
    uint16_t nuniques;
    struct tr_arena arena;
};

/* One version of a source relation, laid over its target table. */
struct tr_pg_map {
    struct tr_sql_map plan;       /* the first member: steps name it */
    struct tr_relation *relation; /* one reference */
    struct tr_pg_table *table;
    char *label;            /* schema.name for messages */
    int32_t *target;        /* per source column: index of the target's column, -1 = not written */
    struct tr_pg_fit *fits; /* per source column; NULL = none needs one */
    uint16_t *key;          /* source columns that name the row */
    const char **equals;    /* operator per key column, NULL = compared as text */
    uint16_t nkey;          /* 0: rows are found by their whole old image */
    bool key_unique;        /* the target has a unique index over the key */
    bool override;          /* OVERRIDING SYSTEM VALUE */
    struct tr_pg_statement **statements;
    uint16_t nstatements;
};

/* Read a table's shape from the catalogue; *table is NULL when there is no such table. */
int tr_pg_table_read(struct tr_postgres_sink *sink, const char *schema, const char *name,
                     struct tr_pg_table **table, struct tr_error *err);
void tr_pg_table_free(struct tr_pg_table *table);
int tr_pg_table_column(const struct tr_pg_table *table, const char *name);

/* The relation's table as it is known; refuses when the target lacks it. Valid until it is forgotten. */
int tr_pg_table_get(struct tr_postgres_sink *sink, const struct tr_relation *relation,
                    struct tr_pg_table **table, struct tr_error *err);

/* The map of a relation, made at first use. Refuses when the target lacks the table or a column. */
int tr_pg_map_get(struct tr_postgres_sink *sink, struct tr_relation *relation, struct tr_pg_map **map,
                  struct tr_error *err);
/* Forget what is known of a table (its shape changed); maps of it are made anew at their next use. */
void tr_pg_map_forget(struct tr_pg_apply *apply, const char *schema, const char *name);
void tr_pg_maps_free(struct tr_pg_apply *apply);

/* ------------------------------------------------------------------------------------------- statement.c: SQL and its parameters */

#define TR_PG_TAKE_ROW \
    ((enum tr_sql_op)(TR_SQL_DELETE_ROW + 1)) /* one more: delete a row and give back what it held */

#define TR_PG_NO_COLUMN UINT16_MAX

struct tr_pg_param {
    uint16_t
        column; /* of the source relation; TR_PG_NO_COLUMN: NULLs, which only say how many rows there are */
    bool old;   /* from the key image, else from the row */
    uint8_t carry; /* enum tr_pg_carry */
};

struct tr_pg_statement {
    uint32_t number; /* its name on every connection is s<number> */
    enum tr_sql_op op;
    bool as_text; /* every value carried as text: for values that the fast forms do not know */
    uint8_t *present, *old_present; /* the column set it was made for */
    char *sql;
    struct tr_pg_param *params;
    Oid *types;
    uint16_t nparams;
};

/*
 * The statement for an operation on rows with this set of present columns; kept by the map. The rows of one call of it are any number, except for
 * the *_ROW operations, which find a row by its whole old image and take one row at a time.
 */
const struct tr_pg_statement *tr_pg_statement_get(struct tr_pg_apply *apply, struct tr_pg_map *map,
                                                  enum tr_sql_op op, const struct tr_value *key,
                                                  const struct tr_value *row, bool as_text);
/* "s12" */
void tr_pg_statement_name(const struct tr_pg_statement *statement, char out[16]);
void tr_pg_statement_free(struct tr_pg_statement *statement);

/*
 * Binary arrays of the rows' values, one after the other in `out`, with their lengths. Returns 0; 1 when a value has no fast form (take the as_text statement);
 * or an error.
 */
int tr_pg_statement_bind(const struct tr_pg_statement *statement, const struct tr_pg_map *map,
                         const struct tr_net_row *const *rows, uint32_t nrows, struct tr_pg_values *values,
                         struct tr_buffer *out, int *lengths, struct tr_error *err);

/* "COPY t (columns) FROM STDIN" for the columns present in `row`; and one row of it. */
void tr_pg_copy_statement(const struct tr_pg_map *map, const struct tr_value *row, struct tr_buffer *out);
int tr_pg_copy_row(const struct tr_pg_map *map, const struct tr_value *row, struct tr_pg_values *values,
                   struct tr_buffer *out, struct tr_error *err);

/* One value in the binary form of its carry. 0; 1 = no fast form; or an error. */
int tr_pg_value_bind(const struct tr_relation *relation, uint16_t column, const struct tr_value *value,
                     enum tr_pg_carry carry, struct tr_buffer *scratch, struct tr_buffer *out,
                     struct tr_error *err);
enum tr_pg_carry tr_pg_carry_of(Oid type);

/* TRUNCATE of exactly these tables; false when none of them is at the target. */
int tr_pg_truncate_statement(struct tr_postgres_sink *sink, const struct tr_event *event,
                             struct tr_buffer *out, struct tr_error *err);

/* ------------------------------------------------------------------------------------------- plan.c: what is done together */

static inline struct tr_pg_map *
tr_pg_step_map(const struct tr_sql_step *step)
{
    return (struct tr_pg_map *)step->map;
}

/* Is it a change of shape, or a rename of columns? */
bool tr_pg_changes_shape(const struct tr_event *event);
/* Turn its batches into steps. May ask the catalogue. 1: the shape of a table must be changed first, so the group goes change by change. */
int tr_pg_plan(struct tr_postgres_sink *sink, struct tr_sql_group *group, struct tr_error *err);

/* ------------------------------------------------------------------------------------------- worker.c: one connection */

enum tr_pg_expect {
    TR_PG_EXPECT_OK,
    TR_PG_EXPECT_ROWS,
    TR_PG_EXPECT_PREPARE,
    TR_PG_EXPECT_COMMIT,
    TR_PG_EXPECT_LSN,
    TR_PG_EXPECT_SYNC
};

struct tr_pg_answer {
    enum tr_pg_expect kind;
    uint32_t count; /* rows expected; or the statement's number */
    const struct tr_sql_step *step;
};

#define TR_PG_ANSWERS 64 /* a power of two: answers outstanding on one connection */

struct tr_pg_worker {
    struct tr_sql_worker base;
    struct tr_pg_apply *apply;
    PGconn *conn;
    int pid;
    bool unsent;   /* libpq holds bytes that the socket did not take */
    bool answered; /* the first outstanding answer has come, its end has not */
    enum { TR_PG_NO_COPY, TR_PG_COPY_STARTING, TR_PG_COPY_ROWS, TR_PG_COPY_ENDING } copy;
    struct tr_pg_answer answers[TR_PG_ANSWERS];
    uint32_t first_answer, nanswers;
    uint8_t *prepared; /* by statement number */
    uint32_t prepared_cap, nprepared;
    uint64_t commit_lsn;
    bool committed;
};

/* Connect; waits for the server. To be closed also after an error. */
int tr_pg_worker_open(struct tr_pg_apply *apply, struct tr_pg_worker *worker, struct tr_error *err);
void tr_pg_worker_close(struct tr_pg_worker *worker);
/* Read what came, send what can be sent. *moved is set when anything changed. Fails when the connection is lost. */
int tr_pg_worker_turn(struct tr_pg_worker *worker, bool *moved, struct tr_error *err);
/* Roll back a group that is not the head. */
void tr_pg_worker_yield(struct tr_pg_apply *apply, struct tr_pg_worker *worker);
/* Send the checkpoint and COMMIT; the group is the head and READY. */
int tr_pg_worker_commit(struct tr_pg_worker *worker, struct tr_error *err);

/* The connection is gone: TR_RETRY, with its own words. */
int tr_pg_worker_lost(const struct tr_pg_worker *worker, struct tr_error *err);

/* ------------------------------------------------------------------------------------------- call.c: prepared statements, and waiting for one */

/* Is the statement of this number prepared on the worker's connection, or on its way there? */
bool tr_pg_is_prepared(const struct tr_pg_worker *worker, uint32_t number);
void tr_pg_set_prepared(struct tr_pg_worker *worker, uint32_t number, bool prepared);

/* The parameters of one execution; their bytes are in apply->params, until the next is made. */
struct tr_pg_call {
    const char **values;
    int *lengths, *formats;
};

/* The parameters for `n` of the step's rows, and the statement that takes them. To be freed also after an error. */
int tr_pg_call_make(struct tr_pg_worker *worker, const struct tr_sql_step *step,
                    const struct tr_net_row *const *rows, uint32_t n, struct tr_pg_call *call,
                    const struct tr_pg_statement **statement, struct tr_error *err);
/* 1: queued with libpq. */
int tr_pg_call_send(struct tr_pg_worker *worker, const struct tr_pg_statement *statement,
                    const struct tr_pg_call *call);
void tr_pg_call_free(struct tr_pg_call *call);

/* Outside the pipeline, waiting for the result: one statement; one statement of the map's with its rows. */
int tr_pg_worker_ask(struct tr_pg_worker *worker, const char *sql, PGresult **res, struct tr_error *err);
int tr_pg_worker_ask_rows(struct tr_pg_worker *worker, const struct tr_sql_step *step,
                          const struct tr_net_row *const *rows, uint32_t n, PGresult **res,
                          struct tr_error *err);
/* The checkpoint's own statement: task, position, epoch. A division by zero (22012): another process owns the task. */
extern const char tr_pg_checkpoint_sql[];
/* The checkpoint and COMMIT, outside the pipeline. */
int tr_pg_worker_commit_now(struct tr_pg_worker *worker, struct tr_error *err);

/* ------------------------------------------------------------------------------------------- conflict.c: one change at a time */

/*
 * Apply the head's batches change by change on its worker, which has nothing outstanding: the conflict policy is consulted here and nowhere else. in_transaction: a
 * slice of a large transaction, after ROLLBACK TO. Commits (with the checkpoint) unless the group's end has not come yet.
 */
int tr_pg_apply_carefully(struct tr_postgres_sink *sink, struct tr_pg_worker *worker, bool in_transaction,
                          struct tr_error *err);

/* ------------------------------------------------------------------------------------------- labels.c */

enum tr_pg_labels { TR_PG_LABELS_FIT, TR_PG_LABEL_ADDED, TR_PG_LABEL_UNKNOWN };

/* A row was refused: because of a label that the target's enum lacks? One that the source is known to have is added. */
int tr_pg_add_labels(struct tr_postgres_sink *sink, const struct tr_pg_map *map, const struct tr_value *row,
                     enum tr_pg_labels *found, struct tr_error *err);

/* ------------------------------------------------------------------------------------------- apply.c: what sinks/sql/apply.h asks of PostgreSQL */

struct tr_pg_durable { /* a committed group whose flush is not known yet */
    uint64_t lsn;
    uint64_t sequence;
};

struct tr_pg_apply {
    struct tr_sql_apply base;
    struct tr_postgres_sink *sink;
    struct tr_pg_worker *workers;
    struct tr_sql_maps maps;
    struct tr_pg_shape **shapes; /* what is remembered of the source's tables (shape.h) */
    uint32_t nshapes;
    uint32_t next_statement;
    struct tr_pg_durable *durables;
    uint32_t first_durable, ndurables, durables_cap;
    int64_t asked_flush_us, committed_us;
    unsigned window, window_early; /* of the last groups: all, and those that had to run again */
    struct tr_cascades cascades;
    struct tr_pg_values values; /* of whoever binds a statement just now, */
    struct tr_buffer params;    /* and its parameters */
};

/* Around a change on which foreign keys of the target are to act; for the transaction at most. */
#define TR_PG_FIRE "SET LOCAL session_replication_role = origin"
#define TR_PG_HOLD_FIRE "SET LOCAL session_replication_role = replica"
/* cascade.c: has the target to do to children what the log does not tell of this change? 1 = yes; may ask the catalogue. */
int tr_pg_cascades(struct tr_postgres_sink *sink, const struct tr_event *event, struct tr_error *err);

static inline bool
tr_pg_map_known(const struct tr_pg_apply *apply, const struct tr_relation *relation)
{
    return tr_sql_maps_get(&apply->maps, relation) != NULL;
}

/* Ends all connections; the servers roll back what was not committed. NULL is allowed. */
void tr_pg_apply_close(struct tr_pg_apply *apply);
/* sinks/sink.h's write, poll and flush; the first of them opens the apply. */
int tr_pg_apply_write(struct tr_sink *sink, struct tr_batch *batch, struct tr_error *err);
int tr_pg_apply_poll(struct tr_sink *sink, int64_t wait_us, struct tr_error *err);
int tr_pg_apply_flush(struct tr_sink *sink, int64_t deadline_us, struct tr_error *err);

#endif
