/*
 * internal.h - the context of a PostgreSQL sink, shared by the files of this folder.
 *
 * The stream is applied by the one sink thread, which drives all connections without blocking (worker.c). Loaders have connections and
 * threads of their own and read only what is constant after open: env, url, server_version, replica_role; and take from the pool `loaders`.
 */
#ifndef TR_SINKS_POSTGRES_INTERNAL_H
#define TR_SINKS_POSTGRES_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "clients/postgres/connection.h"
#include "clients/postgres/pool.h"
#include "sinks/postgres/fit.h"
#include "sinks/sink.h"
#include "sinks/sql/careful.h"

struct tr_pg_apply;

enum tr_pg_ddl_policy { TR_PG_DDL_APPLY, TR_PG_DDL_IGNORE, TR_PG_DDL_STOP };

struct tr_postgres_sink {
    struct tr_sink base;
    const char *url; /* borrowed from the settings */
    PGconn *meta;    /* catalogue, checkpoint, who blocks whom; the sink thread's */
    PGconn
        *reader; /* where the catalogue is asked: meta, or the connection whose open transaction changes it */
    int server_version; /* PQserverVersion: 150004 */
    bool
        replica_role; /* session_replication_role = replica is permitted: no trigger and no foreign key fires */
    bool state_tables; /* the tables of schema tailrace are known to exist */
    bool
        keeps_shapes; /* and tailrace.relation_shape is one of them, and worth it: the source numbers its columns */
    bool from_postgresql; /* the source speaks our dialect */
    int64_t stop_us;      /* monotonic: when the order to stop was seen; 0 = not yet. Sink thread */
    uint64_t epoch; /* of this process's ownership of the task; 0 until load_checkpoint or save_checkpoint */
    enum tr_sql_conflict_policy on_conflict;
    enum tr_pg_ddl_policy ddl;
    enum tr_pg_value_policy on_value;
    struct tr_pg_pool
        loaders; /* for loaders and index builders, between two tables; emptied by finish_tables */
    struct tr_pg_jobs *jobs;   /* indexes that wait for a thread (jobs.h) */
    struct tr_pg_apply *apply; /* NULL until the first write */
};

/*
 * A connection for work of this sink: pinned session, replica role when permitted. `purpose` ("load public.t") becomes part of the application's
 * name. synchronous: commits wait for the flush; otherwise synchronous_commit is off. thread: any.
 */
int tr_pg_sink_connect(const struct tr_postgres_sink *sink, const char *purpose, bool synchronous,
                       PGconn **conn, struct tr_error *err);

/* loader.c: a connection for loading or building indexes, from the pool or new; given back with tr_pg_pool_give. *conn is set even on failure. thread: any. */
int tr_pg_take_loader(struct tr_postgres_sink *sink, PGconn **conn, struct tr_error *err);
/* The descriptor that interrupts loading, or -1. */
int tr_pg_stop_fd(const struct tr_postgres_sink *sink);

/*
 * ask.c: one statement, waiting for its result; fails with TR_RETRY some time after the task was told to stop. *res is the caller's to clear and may be left out.
 * thread: sink.
 */
int tr_pg_ask(struct tr_postgres_sink *sink, PGconn *conn, const char *sql, PGresult **res,
              struct tr_error *err);
int tr_pg_ask_params(struct tr_postgres_sink *sink, PGconn *conn, const char *sql, int nparams,
                     const char *const *params, PGresult **res, struct tr_error *err);
/* Until a result can be taken from the connection. */
int tr_pg_await(struct tr_postgres_sink *sink, PGconn *conn, struct tr_error *err);
/* Has the task been told to stop? thread: sink. */
bool tr_pg_stopping(struct tr_postgres_sink *sink);
/* wait_us, or what is left of the time after the order to stop when that is less; 0 = give up. */
int64_t tr_pg_patience(struct tr_postgres_sink *sink, int64_t wait_us);
int tr_pg_give_up(struct tr_error *err);
/* Close a connection that may be at work, without waiting for a silent network. */
void tr_pg_let_go(struct tr_postgres_sink *sink, PGconn *conn);

/* checkpoint.c. The state tables are made when missing. thread: sink, but for record_cut. */
int tr_pg_state_tables(struct tr_postgres_sink *sink, struct tr_error *err);
int tr_pg_load_checkpoint(struct tr_sink *sink, struct tr_checkpoint *checkpoint, struct tr_error *err);
int tr_pg_save_checkpoint(struct tr_sink *sink, const struct tr_checkpoint *checkpoint, struct tr_error *err);
int tr_pg_drop(struct tr_sink *sink, struct tr_error *err);
/* Record a table's cut inside the open transaction of `conn` (a loader's last statement). thread: any. */
int tr_pg_record_cut(const struct tr_postgres_sink *sink, PGconn *conn, const struct tr_table_cut *cut,
                     struct tr_error *err);

/* presence.c */
int tr_pg_server(struct tr_sink *sink, char *text, size_t size, struct tr_error *err);
int tr_pg_announce(struct tr_sink *sink, const char *server, const char *scope, struct tr_error *err);

/* check.c */
int tr_pg_sink_check(struct tr_sink *sink, const struct tr_schema *schema, const struct tr_findings *findings,
                     struct tr_error *err);

#endif
