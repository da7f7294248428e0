/*
 * internal.h - what the files of capture/mysql share. Nothing outside this folder includes it.
 *
 * Threads: the source belongs to the capture thread. Table readers (reader.c) run in threads of their own; of this struct they read what open()
 * filled in and nobody changes later, and they take connections from the cut's pool under its lock.
 */
#ifndef TR_CAPTURE_MYSQL_INTERNAL_H
#define TR_CAPTURE_MYSQL_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "capture/mysql/gtid.h"
#include "capture/mysql/mysql.h"
#include "clients/mysql/connection.h"
#include "decoders/binlog/binlog.h"

#define TR_MYSQL_FILE_MAX 256

/* ---- position.c: "gtid=SET;file=NAME;pos=N", "gtid=SET" or "file=NAME;pos=N" */
struct tr_mysql_position {
    struct tr_gtid_set set;
    bool has_gtid; /* an empty set is a set: nothing has happened yet */
    bool has_file;
    char file[TR_MYSQL_FILE_MAX];
    uint64_t offset;
};

bool tr_mysql_position_parse(const char *text,
                             struct tr_mysql_position *position); /* fini after either answer */
void tr_mysql_position_fini(struct tr_mysql_position *position);
void tr_mysql_position_text(const struct tr_mysql_position *position, struct tr_buffer *out);

static inline uint64_t
tr_mysql_position_order(const struct tr_mysql_position *position)
{
    return position->has_file ? TR_BINLOG_ORDER(tr_binlog_file_number(position->file), position->offset) : 0;
}

/* A GTID that was read from the log and whose transaction is not known to have ended yet. */
struct tr_mysql_pending {
    uint64_t order;
    char gtid[96];
};

/* How far the log has been read: filled by stream.c, folded by position.c. */
struct tr_mysql_progress {
    struct tr_gtid_set set; /* all that checkpoint() has folded */
    bool gtid;              /* positions carry a set */
    struct tr_mysql_pending *pending;
    size_t first, count, capacity; /* a ring */
    char file[TR_MYSQL_FILE_MAX];
    uint64_t file_number;
    uint64_t offset;   /* behind the last event */
    bool between;      /* no transaction is known to be open at `offset` */
    bool in_group;     /* a BEGIN was seen since the last GTID */
    uint64_t begin;    /* what lies before it is passed over; 0 = nothing */
    int64_t looked_us; /* monotonic: when the file was last looked for */
    uint64_t told;     /* the last keepalive that was made up here */
    int64_t commit_us; /* of the last GTID: when its transaction was committed, where it came from */
    struct tr_gtid_set stop_set; /* stop: gtid:SET */
    bool stop_wanted;
};

struct tr_mysql_dump; /* dump.c */

/* A connection that sees the cut. */
struct tr_mysql_snapshot {
    MYSQL *conn;
    bool taken;
};

struct tr_mysql_pool {
    pthread_mutex_t lock;
    pthread_cond_t freed;
    struct tr_mysql_snapshot *items;
    size_t count;
    uint64_t number; /* of the cut, as its token says */
};

struct tr_mysql_source {
    struct tr_source base;
    const char *url;
    bool mariadb;
    unsigned long version; /* 101106, 80036 */
    char version_text[64];
    bool gtid;            /* the server writes GTIDs, and the user lets us use them */
    char server_uuid[40]; /* MySQL, or MariaDB's server_uid where it has one; else empty */
    bool clustered;       /* a node of a Galera cluster */
    uint64_t server_id;   /* the server's */
    uint32_t own_id; /* ours, as a replica, when the user gave one; else 0: each connection draws its own */
    char *database;  /* the URL's; NULL = all databases */
    char *user;      /* CURRENT_USER() */
    bool row_metadata_full;
    bool row_images_full; /* binlog_row_image, of sessions that begin now */
    int lower_case;       /* lower_case_table_names */
    int64_t heartbeat_us, lock_wait_us;
    int64_t part_bytes;
    int interrupt_fd;
    struct tr_mysql_group *group;
    MYSQL *query; /* through tr_mysql_ask() */
    struct tr_binlog_format format;
    struct tr_mysql_dump *dump;
    struct tr_mysql_progress progress;
    struct tr_mysql_pool pool;
    char *covers_text; /* what covers_position was parsed from */
    struct tr_mysql_position covers_position;
    bool told_no_lock;
    bool heeds_others;              /* the target is a database, whose changes may be led back */
    bool saw_state;                 /* the log has named tailrace.checkpoint */
    struct tr_mysql_bounds *bounds; /* of tables that are split by values; under the pool's lock */
    bool carry_shadows;             /* shadow_tables: carry */
    char **shadows;                 /* those that were spoken of */
    size_t nshadows;
};

static inline struct tr_mysql_source *
tr_mysql(struct tr_source *source)
{
    return (struct tr_mysql_source *)source;
}

/* ---- source.c */
/* A connection of its own to the source; `purpose` ends the program's name. thread: any. */
int tr_mysql_source_connect(const struct tr_mysql_source *source, const char *purpose, MYSQL **conn,
                            struct tr_error *err);
/* On the query connection, made anew when it was lost. */
int tr_mysql_ask(struct tr_mysql_source *source, const char *sql, MYSQL_RES **res, struct tr_error *err);
int tr_mysql_ask_text(struct tr_mysql_source *source, const char *sql, char **text, struct tr_error *err);
/* A statement about a table that was listed has failed: when it, or a column of it, has been dropped or renamed since, the next list does not have it. Returns the error, by its class. */
int tr_mysql_vanished(struct tr_error *err);
/* Is the table of this source (its database, not the server's own) and of the task? */
bool tr_mysql_wants(void *arg, const char *database, const char *table);

/* ---- shadow.c */
/* Does an online schema change of another table that is there make such a one? Asks the server when the name is of that kind. */
bool tr_mysql_is_shadow(struct tr_mysql_source *source, const char *database, const char *table);
void tr_mysql_shadows_fini(struct tr_mysql_source *source);

/* ---- options.c */
extern const struct tr_option tr_mysql_options[];

/* ---- dump.c: the bytes of the dump thread */
struct tr_mysql_packet {
    const uint8_t *data; /* the event, borrowed until the next call */
    size_t len;
};
/* Ask for the log from the position on. second: beside the stream's own, under an id that is drawn. */
int tr_mysql_dump_open(struct tr_mysql_source *source, const struct tr_mysql_position *from,
                       int64_t heartbeat_us, bool second, struct tr_mysql_dump **dump, struct tr_error *err);
void tr_mysql_dump_close(struct tr_mysql_source *source, struct tr_mysql_dump *dump); /* NULL is allowed */
/* 1 = an event, 0 = none within wait_us. */
int tr_mysql_dump_next(struct tr_mysql_source *source, struct tr_mysql_dump *dump,
                       struct tr_mysql_packet *packet, int64_t wait_us, struct tr_error *err);

/* ---- stream.c: events into frames, and what they say about the position */
int tr_mysql_start(struct tr_source *source, const char *position, struct tr_error *err);
int tr_mysql_read(struct tr_source *source, struct tr_frame *frame, int64_t wait_us, struct tr_error *err);
int tr_mysql_acknowledge(struct tr_source *source, const char *position, bool urgent, struct tr_error *err);
void tr_mysql_stream_end(struct tr_mysql_source *source);
/* One event: the place where it begins in *order. Pure but for the progress; also for tests. Returns 1 = for the decoder, 0 = a heartbeat. */
int tr_mysql_follow(struct tr_mysql_progress *progress, const uint8_t *event, size_t len, bool checksum,
                    uint64_t *order, struct tr_error *err);
void tr_mysql_progress_fini(struct tr_mysql_progress *progress);

/* ---- reread.c: files of the log once more, on a connection of their own */
struct tr_mysql_visitor {
    void *arg;
    /* One event, whole, and where it begins. 1 = enough, negative = failed. */
    int (*event)(void *arg, const struct tr_mysql_packet *packet, uint64_t order, struct tr_error *err);
};
/*
 * One file from its beginning up to `end`, or to its own end. `progress` follows it, and is empty before (its set may be in use); the caller
 * finis it. Returns 1 when the visitor had enough, else 0.
 */
int tr_mysql_walk(struct tr_mysql_source *source, const char *file, uint64_t end,
                  struct tr_mysql_progress *progress, const struct tr_mysql_visitor *visitor,
                  struct tr_error *err);
int tr_mysql_reread(struct tr_source *source, uint64_t *before, const struct tr_log_visitor *visitor,
                    struct tr_error *err);

/* ---- position.c */
int tr_mysql_checkpoint(struct tr_source *source, struct tr_batch *batch, const char **position,
                        struct tr_error *err);
int tr_mysql_keepalive_checkpoint(struct tr_source *source, const struct tr_frame *frame,
                                  struct tr_batch *batch, const char **position, struct tr_error *err);
bool tr_mysql_covers(struct tr_source *source, const char *position, const struct tr_txn *txn);
int tr_mysql_compare(const char *a, const char *b);
/* GTIDs of transactions that began before `order` are done. */
void tr_mysql_fold(struct tr_mysql_progress *progress, uint64_t order);

/* ---- start.c: where to begin and to end */
int tr_mysql_start_position(struct tr_source *source, const char *start, char *out, size_t size,
                            struct tr_error *err);
int tr_mysql_stop_at(struct tr_source *source, const char *stop, uint64_t *order, int64_t *time_us,
                     struct tr_error *err);
int64_t tr_mysql_lag_bytes(struct tr_source *source, const char *position);
/*
 * The end of the log now, with the GTIDs of all that is in it. `conn` NULL = the query connection; with another one, which may hold locks, MariaDB's
 * come without GTIDs, since they must be read from the log. The caller finis it.
 */
int tr_mysql_server_end(struct tr_mysql_source *source, MYSQL *conn, struct tr_mysql_position *end,
                        struct tr_error *err);
/* Into a text of at most `size` bytes; without the GTIDs when they do not fit. */
int tr_mysql_position_fit(struct tr_mysql_source *source, const struct tr_mysql_position *position, char *out,
                          size_t size, struct tr_error *err);
/*
 * The GTIDs of a place that has none yet, where the server can tell them: a task that was begun before the server wrote GTIDs, or without them, follows a
 * failover from then on. The position stays as it is when they cannot be told, or would not fit a cut.
 */
void tr_mysql_learn_gtids(struct tr_mysql_source *source, struct tr_mysql_position *position);
/* UINT64_MAX: there is no such file. */
int tr_mysql_file_size(struct tr_mysql_source *source, const char *file, uint64_t *size,
                       struct tr_error *err);
/* Does the server still have the log from there? Refuses with the reason otherwise. */
int tr_mysql_log_reaches(struct tr_mysql_source *source, const struct tr_mysql_position *position,
                         struct tr_error *err);

/* ---- same_log.c */
/* Does a transaction begin at the position's file and offset, or nothing yet? Refuses when the server's log has another history there than the task has read. */
int tr_mysql_same_log(struct tr_mysql_source *source, const struct tr_mysql_position *position,
                      struct tr_error *err);
/*
 * Refuses when transactions without a GTID were written behind the position: the server leaves them out for who goes on by GTIDs. Nothing is said where the server may not be asked.
 */
int tr_mysql_all_named(struct tr_mysql_source *source, const struct tr_mysql_position *position,
                       struct tr_error *err);
/* The refusal. Returns its class. */
int tr_mysql_nameless(struct tr_error *err, const char *why);
/* Is an event of this type, by its name in SHOW BINLOG EVENTS, never the first of a transaction that has a GTID? Pure. */
bool tr_mysql_inside_transaction(const char *event_type);

/* ---- place.c: places in the log that are told otherwise */
/* The first transaction that was committed at that time or later; the log's end when there is none. MariaDB's log has seconds: the first one of that second. */
int tr_mysql_place_of_time(struct tr_mysql_source *source, int64_t unix_us,
                           struct tr_mysql_position *position, struct tr_error *err);
/* MySQL: the GTIDs of all that lies before the position's file and offset. Without them when the log does not tell. */
int tr_mysql_gtids_before(struct tr_mysql_source *source, struct tr_mysql_position *position,
                          struct tr_error *err);
/* MariaDB: the same, counted in the log as BINLOG_GTID_POS() does. Without them when there is no such file, or no event begins there. */
int tr_mysql_count_gtids(struct tr_mysql_source *source, struct tr_mysql_position *position,
                         struct tr_error *err);

/* ---- loaders.c: what other tools leave behind */
int tr_mysql_loader_position(struct tr_mysql_source *source, const char *start,
                             struct tr_mysql_position *position, struct tr_error *err);
bool tr_mysql_time_parse(const char *text, int64_t *unix_us);

/* ---- identity.c, check.c */
int tr_mysql_identity(struct tr_source *source, struct tr_identity *identity, struct tr_error *err);
int tr_mysql_identity_check(struct tr_source *source, const struct tr_identity *saved, const char *position,
                            struct tr_error *err);
/* A checkpoint that another server took: what of it holds here, too. */
bool tr_mysql_portable(struct tr_source *source, const struct tr_identity *saved, const char *position,
                       char *out, size_t size);
int tr_mysql_check(struct tr_source *source, const struct tr_findings *findings, struct tr_error *err);

/* ---- others.c */
int tr_mysql_server(struct tr_source *source, char *text, size_t size, struct tr_error *err);
int tr_mysql_others(struct tr_source *source, const char *server, struct tr_others *others,
                    struct tr_error *err);

void tr_mysql_saw_state(struct tr_mysql_source *source);

/* ---- catalog.c */
/* Is there the database of the URL? */
int tr_mysql_exists(struct tr_source *source, struct tr_error *err);
int tr_mysql_relations(struct tr_source *source, struct tr_relation_list *list, struct tr_error *err);
int tr_mysql_describe(struct tr_source *source, const char *schema, const char *name,
                      struct tr_relation **relation, struct tr_error *err);
int tr_mysql_complete(void *arg, struct tr_relation *relation, struct tr_error *err);
int tr_mysql_offset(void *arg, const char *zone, int64_t unix_us, char out[8], struct tr_error *err);

/* ---- definitions.c */
int tr_mysql_definitions(struct tr_source *source, struct tr_relation *const *tables, size_t ntables,
                         bool whole, struct tr_batch *batch, struct tr_error *err);

/* ---- cut.c */
int tr_mysql_prepare(struct tr_source *source, struct tr_cut *cut, struct tr_error *err);
int tr_mysql_cut(struct tr_source *source, struct tr_cut *cut, struct tr_error *err);
void tr_mysql_cut_release(struct tr_source *source);
/* One of the cut's connections, waiting for one to become free; back with put. A broken one is closed. thread: any. */
int tr_mysql_pool_get(struct tr_mysql_source *source, const struct tr_cut *cut, MYSQL **conn,
                      struct tr_error *err);
void tr_mysql_pool_put(struct tr_mysql_source *source, MYSQL *conn, bool broken);

/* ---- reader.c */
int tr_mysql_table_parts(struct tr_source *source, const struct tr_relation *relation,
                         struct tr_table_part *parts, int max, struct tr_error *err);
int tr_mysql_reader_open(struct tr_source *source, const struct tr_cut *cut,
                         const struct tr_relation *relation, const struct tr_table_part *part,
                         const char *format, struct tr_table_reader **reader, struct tr_error *err);
int tr_mysql_reader_read(struct tr_table_reader *reader, const char **data, size_t *len,
                         struct tr_error *err);
int tr_mysql_reader_rows(struct tr_table_reader *reader, struct tr_batch *batch, size_t max_bytes,
                         struct tr_error *err);
void tr_mysql_reader_close(struct tr_table_reader *reader);

/* ---- sequences.c: MariaDB's, into the schema: those that fit the task's tables, or that a default of its tables asks */
int tr_mysql_read_sequences(struct tr_mysql_source *source, struct tr_schema *schema, struct tr_error *err);
/* The sequences function of struct tr_source_class. */
int tr_mysql_sequences(struct tr_source *source, struct tr_schema *schema, struct tr_error *err);
/* Is what the log describes no table, but the row of a sequence? named: the log has the names of its columns. */
int tr_mysql_is_sequence(struct tr_mysql_source *source, const struct tr_relation *relation, bool named,
                         bool *is, struct tr_error *err);

/* ---- schema.c */
int tr_mysql_schema(struct tr_source *source, struct tr_schema **schema, struct tr_error *err);
bool tr_mysql_hides_cascades(struct tr_source *source);

/* ---- parts.c: tables that are split by the values of an index */

/* Fill at most `wanted` parts, each naming its bounds by number; returns how many (1: the table cannot be split). thread: capture or control. */
int tr_mysql_split(struct tr_mysql_source *source, const struct tr_relation *relation,
                   struct tr_table_part *parts, int wanted, struct tr_error *err);
/* " WHERE ..." for such a part; nothing for the whole table. thread: any. */
void tr_mysql_write_part(struct tr_mysql_source *source, const struct tr_relation *relation,
                         const struct tr_table_part *part, struct tr_buffer *sql);
void tr_mysql_bounds_free(struct tr_mysql_source *source);

#endif
