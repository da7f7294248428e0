/*
 * event.h - what happened, in the one format that all sources speak and all sinks understand.
 *
 * Begin and commit are not events in the list: they are the edges of a struct tr_txn, which names its slice of the batch's events.
 */
#ifndef TR_CORE_EVENT_H
#define TR_CORE_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/relation.h"

enum tr_event_kind {
    TR_INSERT = 1,
    TR_UPDATE,
    TR_DELETE,
    TR_READ,     /* a row of the full load */
    TR_TRUNCATE, /* several tables at once */
    TR_MESSAGE,  /* pg_logical_emit_message, transactional or not */
    TR_SCHEMA, /* a table's shape changed: `relation` is the new version, `previous` the old one (NULL = first seen and not a change) */
    TR_DDL,    /* the source logged the statement itself (MySQL) */
};

enum tr_before_kind {
    TR_BEFORE_NONE = 0,
    TR_BEFORE_KEY = 1,  /* only the replica identity's columns are present, the rest is TR_ABSENT */
    TR_BEFORE_FULL = 2, /* the whole old row */
};

enum tr_snapshot_mark { /* Debezium's marker of a snapshot row */
                        TR_SNAPSHOT_FALSE = 0,
                        TR_SNAPSHOT_FIRST,
                        TR_SNAPSHOT_FIRST_IN_TABLE,
                        TR_SNAPSHOT_TRUE,
                        TR_SNAPSHOT_LAST_IN_TABLE,
                        TR_SNAPSHOT_LAST,
};

enum tr_ddl_verb { /* what a statement does to tables */
                   TR_VERB_OTHER = 0,
                   TR_VERB_ALTER_TABLE,
                   TR_VERB_CREATE_TABLE,
                   TR_VERB_DROP_TABLE,
                   TR_VERB_RENAME_TABLE, /* pairs: old name, new name */
                   TR_VERB_CREATE_INDEX,
                   TR_VERB_DROP_INDEX,
                   TR_VERB_CREATE_SEQUENCE, /* MariaDB: named like a table */
                   TR_VERB_ALTER_SEQUENCE,
                   TR_VERB_DROP_SEQUENCE,
};

/* ALTER TABLE ... RENAME COLUMN a TO b, CHANGE a b ...; all of one statement at once: a name may be passed on or exchanged. */
struct tr_ddl_rename {
    const char *from, *to;
};

/* What a TIMESTAMP of few words is: one that is NOT NULL and changes by itself (implicit), or what its words say. */
enum tr_ddl_timestamps { TR_TIMESTAMPS_NOT_TOLD = 0, TR_TIMESTAMPS_IMPLICIT, TR_TIMESTAMPS_EXPLICIT };

/* What else of its session changes what a statement means. */
struct tr_ddl_settings {
    /* numbers of the collations that it gave their character sets by itself, "45,33"; NULL = not told */
    const char *collations;
    uint16_t increment, increment_offset; /* auto_increment_...; 0 = not told, 1 */
    uint16_t locale;                      /* lc_time_names, as the server's number */
    uint8_t timestamps;                   /* explicit_defaults_for_timestamp: enum tr_ddl_timestamps */
};

/* What ALTER TABLE does to a column. */
enum tr_ddl_action {
    TR_DDL_ADD,
    TR_DDL_DEFINE, /* MODIFY, CHANGE: another type, perhaps, and another name */
    TR_DDL_DROP,
};

struct tr_ddl_column {
    uint8_t action;   /* enum tr_ddl_action */
    const char *from; /* TR_DDL_DEFINE: its name before the statement */
};

/* A table that a DDL statement names. */
struct tr_ddl_table {
    const char *schema, *name;
    const char *target_schema, *target_name; /* mapping's answer; the source's names until then */
    uint32_t at, len;                        /* where the name stands in the text, with its database */
    bool ours;                               /* part of the task */
    bool left_out;                           /* the source hands on none of its rows */
    bool wanted;  /* ours, not left out, and not contained in the table's own cut */
    bool renamed; /* ALTER TABLE ... RENAME TO this */
    const struct tr_relation *
        shape; /* what the table is behind the statement, where the encoder asks for it; borrowed: the batch holds a reference. NULL = not known, or gone */
};

struct tr_event {
    uint8_t kind;        /* enum tr_event_kind */
    uint8_t before_kind; /* enum tr_before_kind */
    uint8_t snapshot;    /* enum tr_snapshot_mark */
    uint8_t
        flags; /* TR_TRUNCATE: TR_TRUNCATE_*; TR_MESSAGE: TR_MESSAGE_TRANSACTIONAL; TR_UPDATE, TR_DELETE: TR_ROW_CASCADES */
    uint32_t row;    /* index of the row within its log event (binlog), else 0 */
    uint32_t subxid; /* PostgreSQL: the subtransaction of a streamed change, 0 = the top one */
    uint64_t
        position; /* of this change in the source's log (LSN; offset in the binlog file); shown, never used to resume */
    struct tr_relation *relation; /* borrowed: the batch holds a reference. NULL for messages and for DDL */
    union {
        struct {
            const struct tr_value *before; /* relation->ncolumns values, or NULL */
            const struct tr_value *after;  /* relation->ncolumns values, or NULL */
        };
        struct {
            struct tr_relation *const *relations; /* borrowed */
            uint32_t nrelations;
        } truncate;
        struct {
            const char *prefix; /* NUL-terminated */
            const char *content;
            uint32_t len;
        } message;
        struct {
            struct tr_relation *previous; /* borrowed, or NULL */
        } schema;
        struct {
            const char *database;  /* the default database of the statement */
            const char *text;      /* NUL-terminated */
            const char *time_zone; /* of its session, as the server spells it; NULL = not told */
            int64_t began_us;      /* what CURRENT_TIMESTAMP was to it, microseconds since 1970 */
            int64_t sql_mode;      /* of its session, as the server's number; -1 = not told */
            const struct tr_ddl_settings *settings; /* of its session; NULL = not told */
            struct tr_ddl_table
                *tables; /* whose names stand in the text, in its order; the one that changes first */
            uint32_t ntables;
            const struct tr_ddl_rename *renames; /* of columns of the first table */
            uint32_t nrenames;
            /* the first table, with the columns that the statement adds, defines anew or drops, as far as its words were understood; borrowed. NULL = none */
            struct tr_relation *defined;
            const struct tr_ddl_column *columns; /* for each of its columns */
            const char *offset;                  /* of time_zone at that moment: "+02:00"; NULL = not known */
            const char *drops; /* the database that it drops, with its tables; NULL = none */
            bool moves_rows;   /* with a partition, or a table's file: the log has no events of them */
            /* a new column's default asks a sequence, or makes another value for each row: only the source knows what the rows that are there got */
            bool numbers;
            bool
                counts; /* a new column is AUTO_INCREMENT: rows that are there are numbered in the order of their key, and without one in the order in which they were written */
            bool reshapes; /* which column stands where, or is of which type, may be another than before */
            uint8_t verb;  /* enum tr_ddl_verb; TR_VERB_OTHER: nothing is known of its tables */
        } ddl;
    };
};

#define TR_TRUNCATE_CASCADE 1
#define TR_TRUNCATE_RESTART_IDENTITY 2
#define TR_MESSAGE_TRANSACTIONAL 1
#define TR_ROW_CASCADES 1 /* what foreign keys of the source did on account of it is not in the log */

/* One source transaction, or the part of one that this batch holds. */
struct tr_txn {
    uint64_t xid; /* PostgreSQL's; 0 where there is none */
    uint64_t
        commit_order; /* grows with each commit of the source: LSN of the commit record; file number << 40 | offset. 0 = not known yet (open) */
    uint64_t
        begin_order; /* binlog: of the event that begins it, which stands behind the one that names it; else 0 */
    uint64_t end_order;    /* where the log goes on after the commit (PostgreSQL: end LSN) */
    int64_t commit_us;     /* wall time of the commit at the source, microseconds since 1970; 0 = not known */
    const char *gtid;      /* text of the transaction's own GTID, or NULL */
    const char *file;      /* binlog file, or NULL */
    const char *origin;    /* replication origin, or NULL */
    uint64_t origin_order; /* LSN at the origin */
    uint32_t server_id;    /* MySQL */
    uint32_t thread_id;    /* MySQL, 0 = not known */
    uint32_t first_event;  /* index in batch->events */
    uint32_t nevents;
    uint64_t events_before; /* of this transaction in earlier batches */
    bool begins;            /* its first event is in this batch */
    bool ends;              /* its commit is in this batch */
};

#endif
