/*
 * connection.h - how every part of tailrace talks to PostgreSQL: one way to connect, ask, quote and fail.
 *
 * The only header outside capture/postgres and sinks/postgres that includes libpq. A connection belongs to one thread at a time; only its
 * interrupt may come from another.
 */
#ifndef TR_CLIENTS_POSTGRES_CONNECTION_H
#define TR_CLIENTS_POSTGRES_CONNECTION_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/buffer.h"
#include "core/error.h"

struct tr_pg_config {
    const char *url;              /* postgresql://...; secrets already resolved */
    const char *application_name; /* "tailrace shop apply 2" */
    bool replication;             /* replication=database: walsender */
    int interrupt_fd;             /* readable = give up waiting (eventfd); -1 = none */
    int64_t connect_timeout_us;   /* 0 = 15 s */
    const char *extra_options;    /* more "-c name=value" for the startup packet, or NULL */
};

/*
 * Connect, never longer than the timeout or an interrupt. The session is pinned by the startup packet (law 4): DateStyle ISO, IntervalStyle postgres, TimeZone UTC, extra_float_digits 3,
 * bytea_output hex, client_encoding UTF8, lc_monetary C, search_path pg_catalog only, statement/lock/idle timeouts off, row_security off, and is checked after it. Environment PG* variables and service and password
 * files are not used. TLS: sslmode verify-full unless the URL says otherwise or the host is local. TCP keep-alives and user timeout are set.
 * Wrong password, unknown database, missing privilege: TR_FATAL with a hint; refused or lost or starting up: TR_RETRY.
 */
int tr_pg_connect(const struct tr_pg_config *config, PGconn **conn, struct tr_error *err);
void tr_pg_close(PGconn *conn); /* NULL is allowed */

/*
 * Ask the server to end the statement at work, and wait for it to have heard that, but not for long: the request is a connection of its own and may hang where the first one
 * does. It is then left to itself and may still arrive, so conn must not be used for another statement afterwards.
 */
void tr_pg_cancel(PGconn *conn);

/* Wait until the socket is readable (and writable if asked), the interrupt fd fires (returns -TR_RETRY "interrupted") or wait_us passed (returns 0). 1 = ready. */
int tr_pg_wait(PGconn *conn, bool for_write, int interrupt_fd, int64_t wait_us, struct tr_error *err);

/* Run one statement, wait for its result without blocking an interrupt. Fails unless the result is OK (tuples, command, copy, single tuple). Caller PQclears *res; res may be NULL. */
int tr_pg_exec(PGconn *conn, int interrupt_fd, const char *sql, PGresult **res, struct tr_error *err);
/* With text parameters ($1...; NULL = SQL NULL), text results. */
int tr_pg_exec_params(PGconn *conn, int interrupt_fd, const char *sql, int nparams, const char *const *params,
                      PGresult **res, struct tr_error *err);

/*
 * Turn the failure of a result or of the connection into an error: text "PREFIX: server's primary message (SQLSTATE)", the DETAIL is left out because it carries row values; class by SQLSTATE (08*, 57P0*, 53*, 40*, 55P03 retry; 28*, 42*,
 * 3D000 fatal; 23*, 22* conflict).
 */
int tr_pg_fail(struct tr_error *err, PGconn *conn, const PGresult *res, const char *fmt, ...) TR_PRINTF(4, 5);
enum tr_error_class tr_pg_classify(const char *sqlstate);

/* "name" with every quote doubled; always quoted. */
void tr_pg_identifier(struct tr_buffer *buf, const char *name);
/* "schema"."name" */
void tr_pg_qualified(struct tr_buffer *buf, const char *schema, const char *name);
/* 'text' as a standard literal (E'' when it holds a backslash). For places that take no parameters. */
void tr_pg_literal(struct tr_buffer *buf, const char *text);

/* X/X text of a log sequence number (pg_lsn_out). out needs 24 bytes. */
void tr_pg_lsn_text(uint64_t lsn, char *out);
/* Whole text must be an LSN. */
bool tr_pg_lsn_parse(const char *text, uint64_t *lsn);

/*
 * Which server and database this is, for as long as it runs: one text. A copy of the server's files, and the server it was copied from, give different ones.
 */
#define TR_PG_SERVER_SQL                                                                                \
    "SELECT format('postgresql system=%s;started=%s;database=%s', s.system_identifier,"                 \
    " extract(epoch FROM pg_postmaster_start_time()), d.oid) FROM pg_control_system() s, pg_database d" \
    " WHERE d.datname = current_database()"
/* The advisory lock that a task's process holds at its target, by SQL for the task and its epoch: whoever reads the target's catalogue sees that it is there. */
#define TR_PG_PRESENCE_SQL(task, epoch) "hashtextextended('tailrace/' || " task " || '/' || " epoch ", 0)"

/* postgres epoch (2000-01-01) microseconds to Unix microseconds. */
#define TR_PG_EPOCH_US INT64_C(946684800000000)

#endif
