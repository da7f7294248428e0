/*
 * connection.h - how every part of tailrace talks to MySQL and MariaDB: one way to connect, ask, quote and fail.
 *
 * A connection belongs to one thread at a time; only tr_mysql_interrupt() may come from another. Calls block, with the network timeouts
 * of the configuration; an interrupt shuts the sockets down, so that a blocked call ends with TR_RETRY. Connecting in a group ends at an interrupt too, whatever it waits
 * for: it is done in a thread of its own, which is left behind.
 */
#ifndef TR_CLIENTS_MYSQL_CONNECTION_H
#define TR_CLIENTS_MYSQL_CONNECTION_H

#include <mysql.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/buffer.h"
#include "core/error.h"

/* Connections that an interrupt ends together. */
struct tr_mysql_group;

/* stop_fd: readable once the task is to stop (borrowed; 0 = none): the group is then interrupted. A thread watches it. */
struct tr_mysql_group *tr_mysql_group_new(int stop_fd);
/* From now on what runs may go on for so long after the order to stop. thread: any. */
void tr_mysql_group_linger(struct tr_mysql_group *group, int64_t linger_us);
void tr_mysql_group_free(struct tr_mysql_group *group); /* no connection of it may be left; NULL is allowed */
/* End what blocks on any connection of the group, now and for good: later connects fail at once. thread: any; never blocks for long. */
void tr_mysql_interrupt(struct tr_mysql_group *group);
bool tr_mysql_interrupted(struct tr_mysql_group *group);

struct tr_mysql_config {
    const char
        *url; /* mysql:// or mariadb://user:password@host:port/database?...; secrets already resolved */
    const char *program_name;     /* "tailrace shop apply 2": shown in performance_schema */
    struct tr_mysql_group *group; /* or NULL; outlives the connection */
    int64_t connect_timeout_us;   /* 0 = 15 s */
    int64_t read_timeout_us; /* longest silence of the server; 0 = none: TCP keep-alive finds dead peers */
    const char *sql_mode;    /* NULL = TR_MYSQL_SQL_MODE */
    bool local_infile;       /* LOAD DATA LOCAL: the caller installs its handler */
    bool no_database;        /* do not select the URL's database */
    bool
        writable; /* of several hosts one that takes changes is wanted: those that are read-only are passed over */
};

/* Strict, and exact in both directions: 0 stays 0 in an AUTO_INCREMENT column, and any date that a source held can be written. */
#define TR_MYSQL_SQL_MODE \
    "STRICT_TRANS_TABLES,STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION,ALLOW_INVALID_DATES"

/*
 * Connect; the hosts of the URL are tried in turn. The session is pinned (law 4): utf8mb4, time_zone +00:00, sql_mode, autocommit, no
 * statement time limits, wide network timeouts. No option files and no environment variables are used. TLS: sslmode verify-full unless the
 * URL says otherwise (sslmode, sslrootcert, sslcert, sslkey; MySQL's ssl-mode, ssl-ca, ssl-cert, ssl-key) or the host is local.
 * Wrong password, unknown database, missing privilege: TR_FATAL with a hint; refused or lost or starting up: TR_RETRY.
 */
int tr_mysql_connect(const struct tr_mysql_config *config, MYSQL **conn, struct tr_error *err);
void tr_mysql_close(struct tr_mysql_group *group,
                    MYSQL *conn); /* the group it was made with; conn NULL is allowed */

/* MariaDB, or MySQL and its kin? */
bool tr_mysql_is_mariadb(MYSQL *conn);
/* 100611 for MariaDB 10.6.11, 80036 for MySQL 8.0.36. */
unsigned long tr_mysql_version(MYSQL *conn);

/* Run one statement; its rows, stored, in *res (NULL when it has none; the caller frees them by mysql_free_result). res may be NULL. */
int tr_mysql_query(MYSQL *conn, const char *sql, MYSQL_RES **res, struct tr_error *err);
/* The first column of the first row, copied (the caller frees it); NULL without a row or when it is NULL. */
int tr_mysql_query_text(MYSQL *conn, const char *sql, char **text, struct tr_error *err);

/* Turn the connection's last failure into an error: "PREFIX: message (number, SQLSTATE)"; the class by the number. Row values the server quotes
 * are taken out of duplicate-key and truncation messages. */
int tr_mysql_fail(struct tr_error *err, MYSQL *conn, const char *fmt, ...) TR_PRINTF(3, 4);
/* The same of what was read off the wire. */
int tr_mysql_fail_with(struct tr_error *err, unsigned number, const char *sqlstate, const char *message,
                       const char *fmt, ...) TR_PRINTF(5, 6);
enum tr_error_class tr_mysql_classify(unsigned number, const char *sqlstate);
/* What to do about a login that failed with this number and message, or NULL; `encrypted`: by TLS, or by a unix socket. login.c */
const char *tr_mysql_login_hint(unsigned number, const char *message, bool encrypted);

/* Which server this is: its answer to TR_MYSQL_SERVER_SQL as one text. The same on each connection to it, by whatever name it was reached. */
#define TR_MYSQL_SERVER_SQL \
    "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('hostname', 'port', 'server_id', 'server_uid', 'server_uuid')"
void tr_mysql_server_text(MYSQL_RES *res, char *text, size_t size);
/* The name of the lock that a task's process holds at its target, by SQL for the task and its epoch: anybody may ask whether it is taken. */
#define TR_MYSQL_PRESENCE_SQL(task, epoch) \
    "CONCAT('tailrace.', LEFT(SHA2(CONCAT(" task ", '/', " epoch "), 256), 40))"

/* `name` with every back-tick doubled; always quoted. */
void tr_mysql_identifier(struct tr_buffer *buf, const char *name);
/* `database`.`name` */
void tr_mysql_qualified(struct tr_buffer *buf, const char *database, const char *name);
/* The table that a name of gh-ost's or pt-online-schema-change's kind ("_t_gho", "__t_new") says it is the copy of; false when it is none. */
bool tr_mysql_copied_table(const char *name, char *table, size_t size);
/* 'text' with backslash escapes, for a session whose sql_mode lacks NO_BACKSLASH_ESCAPES (ours do). */
void tr_mysql_literal(struct tr_buffer *buf, const char *text, size_t len);

#endif
