/*
 * internal.h - what the files of capture/postgres share. Nothing outside this folder includes it.
 *
 * Threads: the source belongs to the capture thread. Table readers (snapshot.c) run in threads of their own; of this struct they may read
 * what open() filled in and nobody changes later: base, url, server_version, slot, publication, interrupt_fd; and take from the pool `readers`.
 */
#ifndef TR_CAPTURE_POSTGRES_INTERNAL_H
#define TR_CAPTURE_POSTGRES_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "capture/postgres/postgres.h"
#include "clients/postgres/connection.h"
#include "clients/postgres/pool.h"
#include "decoders/pgoutput/pgoutput.h"

#define TR_PG_NAME_MAX 64 /* NAMEDATALEN */

struct tr_postgres_type;

/* How far the server is, and what that means for reading in bursts. */
enum {
    TR_POSTGRES_UNIX, /* a Unix socket */
    TR_POSTGRES_LOOPBACK,
    TR_POSTGRES_NEAR, /* the same rack */
    TR_POSTGRES_FAR,
};
struct tr_postgres_way {
    int64_t nap_us;      /* the longest nap in a backlog */
    uint64_t full_bytes; /* what a nap may bring at most */
    int receive_buffer;  /* bytes; 0 = the kernel's choice */
};

/* How the reading of the replication socket goes: replication.c. */
struct tr_postgres_reading {
    const struct tr_postgres_way *way;
    char *message;  /* the frame that the caller holds, to be freed by the next read */
    int64_t dry_us; /* when the socket was last found empty */
    uint64_t taken; /* bytes of messages handed out since the last read from the socket */
    uint64_t burst; /* the same since the socket was last found empty */
    bool judged;    /* it is empty, and what came before was judged */
    int quick;      /* times in a row that it did not stay empty */
    int poor;       /* naps in a row that brought next to nothing */
    bool behind;    /* the server sends what was committed a while ago: a nap costs nobody anything */
    int64_t nap_us; /* 0 = block in poll() until something comes */
};

/* A table by the name that the log called it last. */
struct tr_postgres_named {
    uint32_t oid;
    char *name; /* "schema.table" */
};

struct tr_postgres_source {
    struct tr_source base;
    const char *url;
    int server_version; /* server_version_num */
    bool in_recovery;   /* a standby (16 and later can decode there) */
    uint64_t system_id;
    uint32_t timeline;
    uint32_t database_oid;
    char database[TR_PG_NAME_MAX];
    char role[TR_PG_NAME_MAX];
    char slot[TR_PG_NAME_MAX];
    char publication[TR_PG_NAME_MAX];
    int interrupt_event; /* eventfd; readable once interrupt() was called */
    int interrupt_fd; /* epoll of it and of the order to stop: readable when whoever waits for the server is to give up */

    PGconn *query;             /* ordinary connection: catalogue, WAL position. Through tr_postgres_query() */
    PGconn *repl;              /* walsender that streams, from start() on */
    struct tr_pg_pool readers; /* for table readers, between two tables; emptied by cut_release() */
    PGconn *cut; /* walsender that made a slot, temporary or not, and holds the snapshot exported with it */
    bool slot_made;        /* by prepare(), now */
    bool publication_made; /* by prepare(), now */
    bool resuming;         /* identity_check() saw a checkpoint: the slot must exist */
    bool streaming;
    struct tr_postgres_named *named;
    size_t nnamed;
    bool told_unlogged; /* the warning about unlogged tables was given */
    struct tr_pgoutput_format format;

    struct tr_postgres_reading reading;
    uint64_t acknowledged; /* last position sent */
    uint64_t wanted_ack;   /* last position asked for */
    uint64_t server_end;   /* the furthest end of log that the server mentioned */
    int64_t status_us;     /* when the last status was sent */
    int64_t status_interval_us;
    bool reply_requested;
    int64_t busy_since_us; /* the slot was found held by another process since; 0 = not */

    struct tr_postgres_type *types; /* cache by oid: catalog.c */
    size_t ntypes;
    uint64_t lag_end; /* lag_bytes(): the server's end and when it was asked */
    int64_t lag_asked_us;
};

/* Down from the base, which is the first member. */
static inline struct tr_postgres_source *
tr_postgres(struct tr_source *source)
{
    return (struct tr_postgres_source *)source;
}

/* ---- source.c */

/* An ordinary or a walsender connection of its own to the source; `purpose` ends the application name. thread: any. */
int tr_postgres_connect(const struct tr_postgres_source *source, const char *purpose, bool replication,
                        PGconn **conn, struct tr_error *err);

/* The query connection, made anew when it was lost. */
int tr_postgres_query(struct tr_postgres_source *source, const char *sql, int nparams,
                      const char *const *params, PGresult **res, struct tr_error *err);

/* ---- replication.c: the stream */
/* Fills source->format from the options and the server's version. */
int tr_postgres_negotiate(struct tr_postgres_source *source, struct tr_error *err);
int tr_postgres_start(struct tr_source *source, const char *position, struct tr_error *err);
int tr_postgres_read(struct tr_source *source, struct tr_frame *frame, int64_t wait_us, struct tr_error *err);
int tr_postgres_acknowledge(struct tr_source *source, const char *position, bool urgent,
                            struct tr_error *err);
void tr_postgres_stream_end(struct tr_postgres_source *source);

/* ---- slot.c: slots, cuts */
struct tr_postgres_slot {
    bool exists;
    bool logical;
    bool temporary;
    bool active;
    bool invalid; /* lost, conflicting, invalidated: never to be used again */
    int active_pid;
    char plugin[TR_PG_NAME_MAX];
    char database[TR_PG_NAME_MAX];
    char reason[64]; /* of its invalidation */
    uint64_t restart_lsn;
    uint64_t confirmed_lsn;
    int64_t retained_bytes; /* -1 = not known */
};
int tr_postgres_slot_look(struct tr_postgres_source *source, struct tr_postgres_slot *slot,
                          struct tr_error *err);
/* Is it one that can be streamed from? Refuses with the reason and the remedy. */
int tr_postgres_slot_fit(const struct tr_postgres_source *source, const struct tr_postgres_slot *slot,
                         struct tr_error *err);
int tr_postgres_prepare(struct tr_source *source, struct tr_cut *cut, struct tr_error *err);
/* Remove the slot and the publication again, where prepare() has just made them. */
int tr_postgres_unprepare(struct tr_source *source, struct tr_error *err);
int tr_postgres_cut(struct tr_source *source, struct tr_cut *cut, struct tr_error *err);
void tr_postgres_cut_release(struct tr_source *source);
int tr_postgres_slot_drop(struct tr_postgres_source *source, struct tr_error *err);

/* ---- publication.c */
struct tr_postgres_publication {
    bool exists;
    bool ours; /* carries our comment */
    bool all_tables;
    bool via_root;
    bool insert, update, delete_, truncate;
    char generated; /* 18: 's' = stored generated columns are published */
};
int tr_postgres_publication_look(struct tr_postgres_source *source,
                                 struct tr_postgres_publication *publication, struct tr_error *err);
/* An existing one: has it all of the task's tables, or may they be added? Changes nothing. Refuses otherwise. */
int tr_postgres_publication_fit(struct tr_postgres_source *source,
                                const struct tr_postgres_publication *publication, struct tr_error *err);
/* Made, extended, or found complete; refused otherwise. */
int tr_postgres_publication_prepare(struct tr_postgres_source *source, struct tr_error *err);
int tr_postgres_publication_drop(struct tr_postgres_source *source, struct tr_error *err);

/* ---- catalog.c */
int tr_postgres_relations(struct tr_source *source, struct tr_relation_list *list, struct tr_error *err);
int tr_postgres_complete(void *arg, struct tr_relation *relation, struct tr_error *err);

/* ---- types.c: make sure that these types and all they consist of are in the cache; fill a column's type fields from it */
int tr_postgres_types_load(struct tr_postgres_source *source, const uint32_t *oids, size_t count,
                           struct tr_error *err);
void tr_postgres_type_fill(const struct tr_postgres_source *source, struct tr_arena *arena,
                           struct tr_column *column);
void tr_postgres_types_free(struct tr_postgres_source *source);

/* The tables the task takes, as oids, before their columns are read. The caller frees the array. */
struct tr_postgres_table {
    uint32_t oid;
    char schema[TR_PG_NAME_MAX];
    char name[TR_PG_NAME_MAX];
    char kind;     /* 'r', 'p' root, 'l' leaf published as itself */
    char identity; /* pg_class.relreplident */
    bool has_key;  /* a primary key */
};
int tr_postgres_tables(struct tr_postgres_source *source, struct tr_postgres_table **tables, size_t *count,
                       struct tr_error *err);

/* ---- identity.c, position.c, check.c */
int tr_postgres_identity(struct tr_source *source, struct tr_identity *identity, struct tr_error *err);
int tr_postgres_identity_check(struct tr_source *source, const struct tr_identity *saved,
                               const char *position, struct tr_error *err);
int tr_postgres_start_position(struct tr_source *source, const char *start, char *out, size_t size,
                               struct tr_error *err);
int tr_postgres_checkpoint(struct tr_source *source, struct tr_batch *batch, const char **position,
                           struct tr_error *err);
int tr_postgres_keepalive_checkpoint(struct tr_source *source, const struct tr_frame *frame,
                                     struct tr_batch *batch, const char **position, struct tr_error *err);
bool tr_postgres_covers(struct tr_source *source, const char *position, const struct tr_txn *txn);
int tr_postgres_compare(const char *a, const char *b);
int tr_postgres_stop_at(struct tr_source *source, const char *stop, uint64_t *order, int64_t *time_us,
                        struct tr_error *err);
int64_t tr_postgres_lag_bytes(struct tr_source *source, const char *position);
/* The end of the server's log now: flushed, or replayed on a standby. */
int tr_postgres_server_end(struct tr_postgres_source *source, uint64_t *lsn, struct tr_error *err);
/* "2026-01-31T12:00:00Z", "2026-01-31 12:00:00.5+02", a count of seconds since 1970. Pure. */
bool tr_postgres_time_parse(const char *text, int64_t *unix_us);
int tr_postgres_check(struct tr_source *source, const struct tr_findings *findings, struct tr_error *err);

/* ---- others.c */
int tr_postgres_server(struct tr_source *source, char *text, size_t size, struct tr_error *err);
int tr_postgres_others(struct tr_source *source, const char *server, struct tr_others *others,
                       struct tr_error *err);

/* ---- snapshot.c, schema.c: the full load (see their headers) */

#endif
