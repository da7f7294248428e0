/*
 * internal.h - the context of a MySQL or MariaDB sink, shared by the files of this folder.
 *
 * The stream is applied by the one sink thread, which drives all connections without blocking (worker.c). Loaders have connections and threads of
 * their own and read only what is constant after open.
 */
#ifndef TR_SINKS_MYSQL_INTERNAL_H
#define TR_SINKS_MYSQL_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "clients/mysql/connection.h"
#include "schema/convert.h"
#include "sinks/sink.h"
#include "sinks/sql/careful.h"

struct tr_my_apply;

enum tr_my_value_policy { TR_MY_VALUE_STOP, TR_MY_VALUE_NULL, TR_MY_VALUE_CLAMP };
enum tr_my_ddl_policy { TR_MY_DDL_APPLY, TR_MY_DDL_IGNORE, TR_MY_DDL_STOP };

enum tr_my_flush {
    TR_MY_FLUSH_NONE,
    TR_MY_FLUSH_STATEMENT, /* FLUSH ENGINE LOGS */
    TR_MY_FLUSH_WATCH, /* MariaDB: that does nothing where commits are not flushed; the server tells how far its log is on disk */
};

struct tr_mysql_sink {
    struct tr_sink base;
    const char *url;                 /* borrowed from the settings */
    char *database;                  /* of the URL, or NULL */
    struct tr_mysql_group *group;    /* all connections: an order to stop ends what they wait for */
    MYSQL *meta;                     /* catalogue, checkpoint, who blocks whom; the sink thread's */
    struct tr_convert_target target; /* what the server is */
    size_t packet;                   /* max_allowed_packet */
    bool from_postgresql;
    bool folds_names;  /* lower_case_table_names: tables whose names differ in case alone are one */
    bool local_infile; /* the server takes LOAD DATA LOCAL */
    bool
        commits_are_safe; /* innodb_flush_log_at_trx_commit = 1, and sync_binlog = 1 where there is a binary log, without which a recovery undoes them */
    enum tr_my_flush flush; /* else: what to do about it */
    bool locks_are_shown;   /* information_schema or performance_schema tells who blocks whom */
    bool state_tables;      /* tailrace.checkpoint and tailrace.table_cut are known to exist */
    bool made_table;        /* tailrace.table_made too */
    bool fresh_table;       /* and tailrace.table_fresh */
    bool ddl_table;         /* and tailrace.ddl_step */
    bool shape_table;       /* and tailrace.column_place */
    bool keeps_shapes;      /* the source numbers its columns, and changes of them are carried */
    bool shapes_are_lost;   /* that table cannot be made: they are kept as long as the process */
    uint64_t epoch; /* of this process's ownership of the task; 0 until load_checkpoint or save_checkpoint */
    enum tr_sql_conflict_policy on_conflict;
    enum tr_my_value_policy on_value;
    enum tr_my_ddl_policy ddl;
    struct tr_my_apply *apply; /* NULL until the first write */
};

/* "mysql" or "mariadb": what the server is, whatever the URL calls it. */
const char *tr_my_dialect(const struct tr_mysql_sink *sink);
/* The database in which a relation's target table lies. */
const char *tr_my_database(const struct tr_mysql_sink *sink, const struct tr_relation *relation);

/* A connection for work of this sink: pinned session, READ COMMITTED, no foreign key checks. `purpose` ("load public.t") is part of the program's name. thread: any. */
int tr_my_sink_connect(const struct tr_mysql_sink *sink, const char *purpose, bool local_infile, MYSQL **conn,
                       struct tr_error *err);

/* claims.c. The connection can be told from those that were lost; end those. A server that will not is let be. */
void tr_my_claim(const struct tr_mysql_sink *sink, MYSQL *conn); /* thread: any */
void tr_my_end_lost(struct tr_mysql_sink *sink);                 /* before the first change of an attempt */

/* A TIMESTAMP is what its words say, and no more. Some servers do not let that be set for a session: they are let be. */
void tr_my_explicit_timestamps(MYSQL *conn);

/* How many rows the last UPDATE found, changed or not: the server's own "Rows matched". */
uint64_t tr_my_matched(MYSQL *conn);

/* presence.c */
int tr_my_server(struct tr_sink *sink, char *text, size_t size, struct tr_error *err);
int tr_my_announce(struct tr_sink *sink, const char *server, const char *scope, struct tr_error *err);
const char *tr_my_moved(const struct tr_sink *sink);

/* checkpoint.c. The state tables are made when missing. thread: sink, but for record_cut and check_epoch. */
int tr_my_state_tables(struct tr_mysql_sink *sink, struct tr_error *err);
/* Tables that this task has made at the target: tailrace.table_made. */
int tr_my_mark_made(struct tr_mysql_sink *sink, const struct tr_relation *relation, struct tr_error *err);
int tr_my_was_made(struct tr_mysql_sink *sink, const struct tr_relation *relation, bool *made,
                   struct tr_error *err);
int tr_my_unmark_made(struct tr_mysql_sink *sink, const struct tr_relation *relation, struct tr_error *err);
/*
 * Of those the ones that have not been loaded in full since: tailrace.table_fresh, hashes of the statements that made it and of what the server shows of it. fresh_tables: rows of name, both
 * hashes, and whether the load was begun; NULL where nothing is known.
 */
int tr_my_mark_fresh(struct tr_mysql_sink *sink, const struct tr_relation *relation, uint64_t statement,
                     uint64_t shown, struct tr_error *err);
int tr_my_fresh_tables(struct tr_mysql_sink *sink, MYSQL_RES **res, struct tr_error *err);
/* Is the load of the source's table complete? */
int tr_my_is_loaded(struct tr_mysql_sink *sink, const char *schema, const char *name, bool *loaded,
                    struct tr_error *err);
/* tailrace.ddl_step, made when a statement is carried for the first time. */
int tr_my_state_table_ddl(struct tr_mysql_sink *sink, struct tr_error *err);
int tr_my_load_checkpoint(struct tr_sink *sink, struct tr_checkpoint *checkpoint, struct tr_error *err);
int tr_my_save_checkpoint(struct tr_sink *sink, const struct tr_checkpoint *checkpoint, struct tr_error *err);
int tr_my_drop(struct tr_sink *sink, struct tr_error *err);
/* Record a table's cut inside the open transaction of `conn` (a loader's last statement). thread: any. */
int tr_my_record_cut(const struct tr_mysql_sink *sink, MYSQL *conn, const struct tr_table_cut *cut,
                     struct tr_error *err);
/* A table that the source has renamed keeps its cut, under its new name; inside the open transaction of `conn`. */
int tr_my_move_cut(struct tr_mysql_sink *sink, MYSQL *conn, const struct tr_ddl_table *from,
                   const struct tr_ddl_table *to, struct tr_error *err);
/* Is the task still ours? Holds the checkpoint row until this transaction ends, so that a younger process waits for it. */
int tr_my_check_epoch(const struct tr_mysql_sink *sink, MYSQL *conn, struct tr_error *err);
/* "UPDATE checkpoint; fail unless it was ours; COMMIT" as one packet of three statements. */
void tr_my_commit_sql(const struct tr_mysql_sink *sink, const char *position, struct tr_buffer *out);
int tr_my_taken_over(const struct tr_mysql_sink *sink, struct tr_error *err);

/* check.c */
int tr_my_sink_check(struct tr_sink *sink, const struct tr_schema *schema, const struct tr_findings *findings,
                     struct tr_error *err);

#endif
