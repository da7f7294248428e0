/*
 * apply.h - the stream's way into MySQL and MariaDB: target tables, groups of transactions, and the connections that apply them.
 *
 * The order of it all is sinks/sql/apply.h; here is what MySQL and MariaDB do their own way. A worker sends the steps of a group as statements of many rows, and reads
 * the answers without blocking (worker.c). What fails goes through conflict.c, one change at a time. The rules are in docs/parallel-apply.md.
 */
#ifndef TR_SINKS_MYSQL_APPLY_H
#define TR_SINKS_MYSQL_APPLY_H

#include "sinks/mysql/internal.h"
#include "sinks/mysql/shape.h"
#include "sinks/sql/apply.h"
#include "sinks/sql/cascade.h"
#include "sinks/sql/maps.h"

/* ------------------------------------------------------------------------------------------- target.c: the target's tables */

/* What a column of the target holds, as far as the form of a value depends on it. */
enum tr_my_kind {
    TR_MY_TEXT = 0, /* char, text, enum, set, uuid, inet: characters */
    TR_MY_INTEGER,  /* year too */
    TR_MY_DECIMAL,
    TR_MY_FLOAT,
    TR_MY_BIT,
    TR_MY_BINARY,
    TR_MY_DATE,
    TR_MY_TIME,
    TR_MY_DATETIME, /* timestamp too */
    TR_MY_JSON,
    TR_MY_GEOMETRY,
    TR_MY_VECTOR, /* bytes of floats, low byte first */
};

struct tr_my_column {
    const char *name;
    const char *type; /* as DDL spells it */
    enum tr_my_kind kind;
    int64_t length;       /* characters, bytes or bits; -1 = not limited */
    bool recoded;         /* characters in another set than UTF-8: bytes are not to be taken as they are */
    int precision, scale; /* decimals; `scale` also the digits of a fraction of a second */
    int64_t minimum;
    uint64_t maximum;                              /* integers */
    bool not_null, generated, has_default, single; /* single: FLOAT, of 32 bits */
    bool auto_increment;
    bool touches; /* ON UPDATE CURRENT_TIMESTAMP: changes by itself where an UPDATE does not name it */
    bool year, three_bytes;     /* YEAR; a text in utf8mb3 */
    const char *last_timestamp; /* TIMESTAMP: its last second, in UTC */
    bool fills_null;  /* NOT NULL, and the server puts something of its own where it is given NULL */
    bool last_second; /* TIME: fractions of the last second, 838:59:59, fit (MariaDB) */
};

struct tr_my_unique {
    const uint16_t *columns; /* indexes into the table's columns */
    uint16_t ncolumns;
    const char *name;
    bool primary;
    bool addresses; /* no prefix, no expression, all columns NOT NULL: names one row */
    bool partial;   /* a prefix or an expression: its keys cannot be computed here */
};

struct tr_my_table {
    struct tr_sql_table plan; /* the first member */
    char *database, *name;
    struct tr_my_column *columns;
    uint16_t ncolumns;
    struct tr_my_unique *uniques;
    uint16_t nuniques;
    bool has_triggers;  /* they cannot be kept from firing here */
    bool transactional; /* InnoDB */
    const char *engine;
    struct tr_arena arena;
};

/* One version of a source relation, laid over its target table. */
struct tr_my_map {
    struct tr_sql_map plan;       /* the first member: steps name it */
    struct tr_relation *relation; /* one reference */
    struct tr_my_table *table;
    char *label;       /* database.name for messages */
    int32_t *target;   /* per source column: index of the target's column, -1 = not written */
    uint16_t *key;     /* source columns that name the row */
    uint16_t nkey;     /* 0: rows are found by their whole old image */
    bool key_unique;   /* the target has a unique index over the key */
    const char *index; /* its name */
    bool
        upserts; /* that index is the table's only unique one: an INSERT ... ON DUPLICATE KEY UPDATE can only meet the row that is meant */
    bool from_postgresql;
    bool json_decimals; /* MySQL at both ends: documents may hold decimals (json.c) */
    const char *exact;  /* " COLLATE x", under which texts are equal that are the same */
};

/* Read a table's shape from the catalogue; *table is NULL when there is no such table. thread: that of `conn`. */
int tr_my_table_read(MYSQL *conn, const char *database, const char *name, struct tr_my_table **table,
                     struct tr_error *err);
void tr_my_table_free(struct tr_my_table *table);
int tr_my_table_column(const struct tr_my_table *table, const char *name);
/* Two of the task's tables would be one here. Returns -TR_REFUSED. */
int tr_my_refuse_folded(const char *database, const char *name, const char *other, struct tr_error *err);
int tr_my_find_folded(const struct tr_mysql_sink *sink, const struct tr_schema *schema, struct tr_error *err);

/* A map by itself, over a table that the caller owns and keeps: for loaders. Refuses when a column is missing. */
int tr_my_map_over(const struct tr_mysql_sink *sink, struct tr_relation *relation, struct tr_my_table *table,
                   struct tr_my_map **map, struct tr_error *err);
void tr_my_map_free(struct tr_my_map *map);

/* The map of a relation, made at first use. Refuses when the target lacks the table or a column. */
int tr_my_map_get(struct tr_mysql_sink *sink, struct tr_relation *relation, struct tr_my_map **map,
                  struct tr_error *err);
/* Forget what is known of a table (its shape changed); maps of it are made anew at their next use. */
void tr_my_map_forget(struct tr_my_apply *apply, const char *database, const char *name);
void tr_my_maps_free(struct tr_my_apply *apply);

/* ------------------------------------------------------------------------------------------- value.c: values as the target takes them */

struct tr_my_values {
    enum tr_my_value_policy policy;
    struct tr_buffer canonical, converted; /* scratch */
    uint64_t misfits;                      /* values that were stored otherwise, by the policy */
};

/* Scratch buffers, empty. */
void tr_my_values_init(struct tr_my_values *values, enum tr_my_value_policy policy);
void tr_my_values_fini(struct tr_my_values *values);

/* Append a value of source column `column` as an SQL literal, or as a field of LOAD DATA (`load`). -TR_CONFLICT when the target's column cannot hold it. */
int tr_my_value_write(struct tr_my_values *values, const struct tr_my_map *map, uint16_t column,
                      const struct tr_value *value, bool load, struct tr_buffer *out, struct tr_error *err);
/* A PostgreSQL array, whose elements that character stands between, as a JSON array; hstore as a JSON object. False when the text is not one. */
bool tr_my_array_json(const char *text, size_t len, char delimiter, enum tr_logical element,
                      struct tr_buffer *out);
bool tr_my_hstore_json(const char *text, size_t len, struct tr_buffer *out);
/* json.c: has the document numbers that MySQL would not read from its text as they are? As calls of functions, which keep them; false, and nothing, for what is no document. */
bool tr_my_json_has_decimals(const char *text, size_t len);
bool tr_my_json_calls(const char *text, size_t len, struct tr_buffer *out);
/* PostGIS's EWKB in hex as the server's own form: the SRID, then WKB. False for a third dimension and for anything else. */
bool tr_my_geometry(const char *hex, size_t len, struct tr_buffer *out);

/* ------------------------------------------------------------------------------------------- statement.c: SQL of many rows */

/* How the answers to a call are checked. */
enum tr_my_count {
    TR_MY_COUNT_NONE,
    TR_MY_COUNT_AFFECTED, /* all rows were inserted or deleted by the one statement */
    TR_MY_COUNT_UPSERTED, /* none was inserted */
    TR_MY_COUNT_EACH,     /* a statement for each row, which found it */
};

/*
 * One call for as many of the rows as fit: at most `limit` bytes and the op's own number. The SQL is appended to `out`. Returns how many rows it takes
 * (at least 1), or an error.
 */
int tr_my_statement(struct tr_my_values *values, const struct tr_my_map *map, enum tr_sql_op op,
                    const struct tr_net_row *const *rows, uint32_t nrows, size_t limit, struct tr_buffer *out,
                    enum tr_my_count *count, struct tr_error *err);
/* "INSERT INTO t (columns)" of the columns that `row` brings. */
void tr_my_insert_head(const struct tr_my_map *map, const struct tr_value *row, struct tr_buffer *out);
/* "`a` = 1 AND `b` = 2" of the key. */
int tr_my_key_condition(struct tr_my_values *values, const struct tr_my_map *map,
                        const struct tr_value *image, struct tr_buffer *out, struct tr_error *err);
/* The same of any row: of a table without a key its whole image, and one row of those that are equal. */
int tr_my_row_condition(struct tr_my_values *values, const struct tr_my_map *map,
                        const struct tr_value *image, struct tr_buffer *out, struct tr_error *err);

/* ------------------------------------------------------------------------------------------- plan.c: what is done together */

static inline struct tr_my_map *
tr_my_step_map(const struct tr_sql_step *step)
{
    return (struct tr_my_map *)step->map;
}

/* Is it a change of shape, or a statement that makes one? */
bool tr_my_changes_shape(const struct tr_event *event);
/* Turn its batches into steps. May ask the catalogue. */
int tr_my_plan(struct tr_mysql_sink *sink, struct tr_sql_group *group, struct tr_error *err);
/* "DELETE FROM t" of each table: TRUNCATE would commit by itself. */
int tr_my_truncate_statement(struct tr_mysql_sink *sink, struct tr_relation *relation, struct tr_buffer *out,
                             struct tr_error *err);

/* ------------------------------------------------------------------------------------------- worker.c: one connection */

enum tr_my_io { TR_MY_IO_NONE, TR_MY_IO_QUERY, TR_MY_IO_NEXT };

struct tr_my_worker {
    struct tr_sql_worker base;
    struct tr_my_apply *apply;
    MYSQL *conn;
    unsigned long id; /* of the connection at the server */
    bool lost_all;    /* the server rolled the whole transaction back by itself (deadlock) */
    /* the call under way */
    enum tr_my_io io;
    int wait;             /* MYSQL_WAIT_* of a suspended function of the library */
    struct tr_buffer sql; /* must stay as it is while the call is under way */
    enum tr_my_count count;
    uint32_t expected;   /* rows */
    uint32_t statements; /* before the counted ones: START TRANSACTION and the like */
    uint32_t seen;       /* answers so far */
    bool call_failed;
    const struct tr_sql_step *called;
};

/* Connect; waits for the server. To be closed also after an error. */
int tr_my_worker_open(struct tr_my_apply *apply, struct tr_my_worker *worker, struct tr_error *err);
void tr_my_worker_close(struct tr_my_worker *worker);
/* Go on with what came (`ready`: MYSQL_WAIT_* of what poll saw), send what can be sent. *moved is set when anything changed. Fails when the connection is lost. */
int tr_my_worker_turn(struct tr_my_worker *worker, int ready, bool *moved, struct tr_error *err);
/* Roll back a group that is not the head. */
void tr_my_worker_yield(struct tr_my_apply *apply, struct tr_my_worker *worker);
/* Send the checkpoint and COMMIT; the group is the head and READY. */
int tr_my_worker_commit(struct tr_my_worker *worker, struct tr_error *err);
/* Waiting for the answer: one statement; the checkpoint and COMMIT. Nothing may be under way. */
int tr_my_worker_ask(struct tr_my_worker *worker, const char *sql, struct tr_error *err);
int tr_my_worker_commit_now(struct tr_my_worker *worker, struct tr_error *err);
/* Is this failure one that goes away by itself: a deadlock, a lock not had in time? */
bool tr_my_passing(const struct tr_error *failure);

/* ------------------------------------------------------------------------------------------- conflict.c: one change at a time */

/*
 * Apply the head's batches change by change on its worker, which has nothing under way: the conflict policy is consulted here and nowhere else. in_transaction: a
 * slice of a large transaction, after ROLLBACK TO. Commits (with the checkpoint) unless the group's end has not come yet.
 */
int tr_my_apply_carefully(struct tr_mysql_sink *sink, struct tr_my_worker *worker, bool in_transaction,
                          struct tr_error *err);

/* ------------------------------------------------------------------------------------------- cascade.c: foreign keys that act */

/* Learn the target's foreign keys that act on their children, unless they are known. */
int tr_my_cascades_load(struct tr_my_apply *apply, struct tr_error *err);
/* Once, when a group needs them: where the server is known to get them wrong. */
int tr_my_cascades_warn(struct tr_my_apply *apply, struct tr_error *err);
/* Has the target to do to children what the log does not tell of this change? */
bool tr_my_cascades(const struct tr_my_apply *apply, const struct tr_event *event);

/* ------------------------------------------------------------------------------------------- ddl.c */

/* Carry the changes of shape of a group to the target, before its rows: DDL commits by itself here, so each is such that the old rows fit too. */
int tr_my_apply_shapes(struct tr_mysql_sink *sink, const struct tr_sql_group *group, struct tr_error *err);
/* One statement of it; an open large transaction gives way to it. */
int tr_my_run_change(struct tr_mysql_sink *sink, const struct tr_my_table *table, const char *sql,
                     struct tr_error *err);
/* carry.c: a statement that begins the group's first batch, when it is for this engine and the policy allows it. Run at most once, over crashes too. */
int tr_my_carry_statement(struct tr_mysql_sink *sink, const struct tr_sql_group *group,
                          const struct tr_event *event, struct tr_error *err);
/* gone.c: a source of another engine drops a table that the target keeps, or makes one where it has done so: that is refused. Forgotten when the table is loaded again. */
int tr_my_note_gone(struct tr_mysql_sink *sink, const struct tr_event *event, struct tr_error *err);
int tr_my_forget_gone(struct tr_mysql_sink *sink, const struct tr_relation *relation, struct tr_error *err);
/*
 * session.c: the connection for statements takes the settings of the source's session, as far as they change what the statement means, and gets its own back. Where one that `sql` needs
 * cannot be had, that is refused.
 */
int tr_my_take_session(struct tr_mysql_sink *sink, const struct tr_event *event, const char *sql,
                       struct tr_error *err);
int tr_my_leave_session(struct tr_mysql_sink *sink, const struct tr_event *event, struct tr_error *err);
/* look.c: a hash of how the event's tables look at the target, without their counters; where tables are exchanged, of which they are as well. */
int tr_my_look(struct tr_mysql_sink *sink, const struct tr_event *event, uint64_t *shape,
               struct tr_error *err);
/*
 * copies.c: what ALTER TABLE does to an online schema change's copy is kept until the exchange of names, which does it to the table. For every statement that begins a
 * group's first batch.
 */
int tr_my_copies(struct tr_mysql_sink *sink, const struct tr_sql_group *group, const struct tr_event *event,
                 struct tr_error *err);
/*
 * ALTER TABLE `of` and the clauses, under its target's name, in the session of `session`, at most once like a statement of the source. part: tells several at one
 * place of the log apart.
 */
int tr_my_carry_clauses(struct tr_mysql_sink *sink, const struct tr_sql_group *group,
                        const struct tr_event *session, const struct tr_ddl_table *of, const char *clauses,
                        uint32_t part, struct tr_error *err);
/* Do the source's statements come along? Then shapes that differ in the log have been brought together by them. */
bool tr_my_carries_statements(const struct tr_mysql_sink *sink);
/*
 * For a relation that is used for the first time: columns that the target lacks are added when that is safe, and types that are too narrow by now are widened in tables that the
 * task has made, if the policy allows it. loaded: the table has the indexes that it is to have. *changed tells.
 */
int tr_my_reach_shape(struct tr_mysql_sink *sink, const struct tr_relation *relation,
                      const struct tr_my_table *table, bool loaded, bool *changed, struct tr_error *err);
/* rekey.c: has the source another primary key, of columns that the target has? Exchange it, in a table whose key was that of `before` (or NULL) or that the task has made. */
bool tr_my_key_differs(const struct tr_mysql_sink *sink, const struct tr_relation *relation,
                       const struct tr_my_table *table);
int tr_my_follow_key(struct tr_mysql_sink *sink, const struct tr_relation *before,
                     const struct tr_relation *relation, bool *changed, struct tr_error *err);
/* Is a type of the target's narrower than the source's, or its key another? */
bool tr_my_falls_short(struct tr_mysql_sink *sink, const struct tr_relation *relation,
                       const struct tr_my_table *table);
/* Has the target's table any? */
int tr_my_has_rows(struct tr_mysql_sink *sink, const struct tr_my_table *table, bool *any,
                   struct tr_error *err);
/* The column's type here; "type NOT NULL DEFAULT 5" as the source's statement has it. */
void tr_my_write_type(struct tr_mysql_sink *sink, const struct tr_column *column, struct tr_buffer *out);
void tr_my_write_definition(struct tr_mysql_sink *sink, const struct tr_column *column,
                            struct tr_buffer *out);

/* ------------------------------------------------------------------------------------------- translate.c */

/* What the server makes of a default that says so differs from call to call: what it was at the source is in no log. */
bool tr_my_is_volatile(const char *expression);
/* The same, or the clock: rows that are there would get a value of their own, unless the statement is run in its session. */
bool tr_my_is_evaluated(const char *expression);
/* Appends the clauses of ALTER TABLE that do here what the other engine's statement does to columns; *any: there are some. */
int tr_my_translate(struct tr_mysql_sink *sink, const struct tr_event *event, const struct tr_my_table *table,
                    struct tr_buffer *out, bool *any, struct tr_error *err);

/* ------------------------------------------------------------------------------------------- retype.c */

/* By the types' texts as DDL has them; behind a type anything may stand. Is it the same type; does each of its values fit, unchanged? */
bool tr_my_types_alike(const char *one, const char *other);
bool tr_my_type_widens(const char *from, const char *to);
/* Do both servers of the family make the same of every value, or does this one, which is strict, refuse it? */
bool tr_my_type_converts(const char *from, const char *to);
/* Has the column another type, sign or labels; are the two, these included, the same? */
bool tr_my_is_retyped(const struct tr_column *before, const struct tr_column *after);
bool tr_my_same_shape(const struct tr_relation *before, const struct tr_relation *after);
/* Does every value of the source's older type keep its meaning in the new one? */
bool tr_my_widens(const struct tr_column *from, const struct tr_column *to);
/* What the target's column is, behind its name; the same with another type; the same as one that is no more at the source: it may be NULL, and says so. */
int tr_my_column_line(MYSQL *conn, const struct tr_my_table *table, const char *column,
                      struct tr_buffer *line, struct tr_error *err);
int tr_my_write_retyped(MYSQL *conn, const struct tr_my_table *table, const char *column, const char *type,
                        struct tr_buffer *out, struct tr_error *err);
int tr_my_write_dropped(MYSQL *conn, const struct tr_my_table *table, const char *column,
                        struct tr_buffer *out, struct tr_error *err);
/* A column's line as tr_my_column_line() has it, without NOT NULL. */
void tr_my_write_nullable_line(char *line, struct tr_buffer *out);
/* The last, of the line as tr_my_column_line() has it; it is cut up. */
void tr_my_write_dropped_line(char *line, struct tr_buffer *out);
/* Has it been written so? */
int tr_my_is_dropped(MYSQL *conn, const struct tr_my_table *table, const char *column, bool *dropped,
                     struct tr_error *err);

/* ------------------------------------------------------------------------------------------- apply.c: what sinks/sql/apply.h asks of MySQL and MariaDB */

struct tr_my_renamed { /* a column that was renamed while older shapes of it were still under way */
    char *table, *from, *to;
};

struct tr_my_apply {
    struct tr_sql_apply base;
    struct tr_mysql_sink *sink;
    struct tr_my_worker *workers;
    size_t call_bytes; /* of one statement */
    struct tr_sql_maps maps;
    struct tr_my_shapes shapes;
    struct tr_my_renamed *renamed;
    uint32_t nrenamed;
    uint64_t watched_log;      /* the server's log is to be on disk up to here, or 0 */
    uint64_t watched_sequence; /* then this group is */
    int64_t asked_flush_us;
    struct tr_cascades cascades;
    bool cascades_warned;
    struct tr_my_values values;      /* of whoever writes a statement just now */
    const struct tr_sql_group *open; /* whose earlier slices hold locks while shapes are changed, or NULL */
    bool gave_way;                   /* and were undone for it */
};

/* Ends all connections; the servers roll back what was not committed. NULL is allowed. */
void tr_my_apply_close(struct tr_my_apply *apply);
/* sinks/sink.h's write, poll and flush; the first of them opens the apply. */
int tr_my_apply_write(struct tr_sink *sink, struct tr_batch *batch, struct tr_error *err);
int tr_my_apply_poll(struct tr_sink *sink, int64_t wait_us, struct tr_error *err);
int tr_my_apply_flush(struct tr_sink *sink, int64_t deadline_us, struct tr_error *err);

#endif
