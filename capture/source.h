/*
 * source.h - the contract of a source: a server whose log is read and whose tables can be copied.
 *
 * A source reads frames (bytes with a position); its decoder turns them into events. Everything called from the capture thread
 * unless said otherwise. Functions return 0 or a count, or a negative enum tr_error_class with *err filled; TR_RETRY means that the
 * pipeline closes the source and opens it again after a back-off, from the last saved checkpoint.
 */
#ifndef TR_CAPTURE_SOURCE_H
#define TR_CAPTURE_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/batch.h"
#include "core/error.h"
#include "core/finding.h"
#include "core/log.h"
#include "core/option.h"
#include "decoders/decoder.h"

struct tr_source; /* the connector's own context begins with struct tr_source_base */
struct tr_schema; /* schema/schema.h */

enum tr_frame_kind {
    TR_FRAME_LOG = 1,   /* bytes for the decoder */
    TR_FRAME_KEEPALIVE, /* nothing but "the log has been read up to `end` and holds nothing more for you" */
};

struct tr_frame {
    enum tr_frame_kind kind;
    const uint8_t *data; /* borrowed until the next read */
    size_t len;
    uint64_t order;  /* place of the frame in the log, as struct tr_txn counts it */
    uint64_t end;    /* the log's end as the server knew it when it sent this */
    int64_t sent_us; /* wall time of the server, microseconds since 1970; 0 = not told */
};

/* What tells this source apart from any other server with the same positions; compared before a checkpoint is believed. */
struct tr_identity {
    char text
        [256]; /* "system=7301...;database=16384;timeline=1;slot=..." ; made and compared by the source alone */
};

/* A consistent cut of all tables: readers that import `snapshot` see exactly what was committed before `position`. */
#define TR_POSITION_MAX 16384 /* a GTID set of many servers is long */

struct tr_cut {
    char position[TR_POSITION_MAX];
    char snapshot[128]; /* token for table_reader_open; lives as long as the cut is held */
    uint64_t place;     /* the position as events show it: LSN; offset in `file` */
    char file[256];     /* binlog file, or "" */
    int64_t taken_us;   /* the server's clock at the cut, microseconds since 1970; 0 = not asked */
};

/* Which tables the task wants; the answer of mapping/. Pure; any thread. */
struct tr_table_filter {
    void *arg;
    bool (*wants)(void *arg, const char *schema, const char *table);
};

/* Which tables the target has as of the checkpoint that the stream goes on from: a change of theirs that does not come is lost. thread: the one that calls prepare(). NULL = none. */
struct tr_table_memory {
    void *arg;
    bool (*follows)(void *arg, const char *schema, const char *table);
};

/* What the pipeline tells a source when it opens it. Borrowed for the life of the source. */
struct tr_source_env {
    const char *task;
    const struct tr_settings *settings;
    struct tr_log *log;
    struct tr_table_filter filter;
    struct tr_table_memory memory;
    int stop_fd; /* eventfd: readable once the task is to stop: whatever waits for a server gives up; 0 = none */
};

/* A task of any process that carries something to this server (struct tr_sink_class.announce). */
struct tr_other {
    char *task;
    char *position;      /* where it stands; NULL = it has not begun */
    char *scope;         /* what it carries: tr_mapping_in_scope() */
    uint64_t connection; /* the number of the connection by which it is here now; 0 = none is seen */
};

struct tr_others {
    struct tr_other *items;
    size_t count;
    bool hidden; /* there may be some, but this login may not read of them */
};

struct tr_relation_list {
    struct tr_relation **items; /* one reference each */
    size_t count;
};

/* A part of a table for one reader. */
struct tr_table_part {
    uint64_t from,
        to; /* the source's own units (block numbers, chunk indexes); from 0 to UINT64_MAX = the whole table */
    uint64_t rows;  /* estimate, for progress */
    uint64_t bytes; /* estimate */
};

struct tr_table_reader;

/* Takes frames of a part of the log that is read again. A negative answer ends the reading. */
struct tr_log_visitor {
    void *arg;
    int (*frame)(void *arg, const struct tr_frame *frame, struct tr_error *err);
};

enum tr_start_kind { TR_START_CHECKPOINT, TR_START_NOW, TR_START_POSITION, TR_START_TIME, TR_START_FILE };

struct tr_source_class {
    const char *name;                /* "postgresql" */
    const char *schemes;             /* "postgresql|postgres" */
    const char *dialect;             /* of its SQL: "postgresql", "mysql", "mariadb" */
    const char *hidden;              /* the SQL that lets its login read of others() */
    const struct tr_option *options; /* section "source" */
    const struct tr_decoder_class *decoder;

    /* Connect and learn who the server is. No change is made to it. *source is NULL after a failure. */
    int (*open)(const struct tr_source_env *env, struct tr_source **source, struct tr_error *err);
    /* Every connection closed, threads of the source ended. NULL is allowed. */
    void (*close)(struct tr_source *source);
    /* Wake a blocking read, now and for good. thread: any; never blocks. */
    void (*interrupt)(struct tr_source *source);

    /* Who this is. Valid after open (the slot part after prepare). */
    int (*identity)(struct tr_source *source, struct tr_identity *identity, struct tr_error *err);
    /* Is a checkpoint taken under `saved` good here? Refuses (TR_REFUSED) with the reason otherwise. */
    int (*identity_check)(struct tr_source *source, const struct tr_identity *saved, const char *position,
                          struct tr_error *err);
    /*
     * After identity_check: was the checkpoint taken from another server than this one? Then true, and `out` is what of the position holds here, to be saved with this server's
     * identity before the stream begins. NULL = positions mean the same wherever they are good.
     */
    bool (*portable)(struct tr_source *source, const struct tr_identity *saved, const char *position,
                     char *out, size_t size);
    /* Which server (and database) this is while it runs: the text that a sink gives for the same one. */
    int (*server)(struct tr_source *source, char *text, size_t size, struct tr_error *err);
    /* The tasks whose target is this source and whose source is `server`: what comes by them comes from there. Cheap; the caller frees the list. */
    int (*others)(struct tr_source *source, const char *server, struct tr_others *others,
                  struct tr_error *err);
    /* All items of the check catalogue. Errors only when the server cannot be asked. */
    int (*check)(struct tr_source *source, const struct tr_findings *findings, struct tr_error *err);

    /* The tables of the task with their full shape, in a stable order. The caller frees the list. */
    int (*relations)(struct tr_source *source, struct tr_relation_list *list, struct tr_error *err);
    /* Is there what the URL names? Refuses (TR_CONFIG) otherwise. Asked at a task's very first start. NULL = open() has looked. */
    int (*exists)(struct tr_source *source, struct tr_error *err);
    /*
     * One table as it is now; *relation is the caller's reference, or NULL when there is no such table. thread: the one that reads the log. NULL = not
     * needed, since the log has no DDL statements.
     */
    int (*describe)(struct tr_source *source, const char *schema, const char *name,
                    struct tr_relation **relation, struct tr_error *err);
    /*
     * The statements that would make these tables (in the order of relations()), as TR_DDL events of the batch with their shapes, for an encoder that tells of them. whole:
     * they are all tables of the task, and their databases are made, too. thread: the one that loads. NULL = the log has no DDL statements.
     */
    int (*definitions)(struct tr_source *source, struct tr_relation *const *tables, size_t ntables,
                       bool whole, struct tr_batch *batch, struct tr_error *err);
    /* The full description for making the target's tables: constraints, indexes, sequences, types. Caller owns *schema. */
    int (*schema)(struct tr_source *source, struct tr_schema **schema, struct tr_error *err);

    /* Do its foreign keys change rows (CASCADE, SET NULL) without a word in the log? NULL = never. */
    bool (*hides_cascades)(struct tr_source *source);

    /*
     * The values of the schema's sequences, as they are now: the log does not tell them. Returns 1 when one has changed, else 0. The schema is one that this source has
     * made; nobody else looks at it meanwhile. NULL = its values are known by schema() only.
     */
    int (*sequences)(struct tr_source *source, struct tr_schema *schema, struct tr_error *err);

    /*
     * What must stand at the server before the stream (slot, publication) is made when missing, or checked. When a slot was made now and
     * `cut` is not NULL, *cut is the cut of its exported snapshot, held open until cut_release; cut->position is empty when everything existed already.
     */
    int (*prepare)(struct tr_source *source, struct tr_cut *cut, struct tr_error *err);
    /* Remove what prepare() of this very source has made: the start was refused. NULL = it makes nothing. */
    int (*unprepare)(struct tr_source *source, struct tr_error *err);
    /* Another cut at any later time (a temporary slot). Held until cut_release. */
    int (*cut)(struct tr_source *source, struct tr_cut *cut, struct tr_error *err);
    void (*cut_release)(struct tr_source *source);

    /* Split a table for parallel readers: fills at most max parts, returns how many (at least 1). */
    int (*table_parts)(struct tr_source *source, const struct tr_relation *relation,
                       struct tr_table_part *parts, int max, struct tr_error *err);
    /*
     * A connection of its own that copies one part as of the cut. `format`: "copy-binary" or "copy-text" for a loader that takes the bytes as they are; "rows" = decoded
     * into batches by reader_rows. threads: each reader belongs to the thread that opened it; several at once.
     */
    int (*reader_open)(struct tr_source *source, const struct tr_cut *cut, const struct tr_relation *relation,
                       const struct tr_table_part *part, const char *format, struct tr_table_reader **reader,
                       struct tr_error *err);
    /* The next piece of the copy stream, borrowed until the next call; 0 bytes and return 0 = the end. Returns 1 for data. */
    int (*reader_read)(struct tr_table_reader *reader, const char **data, size_t *len, struct tr_error *err);
    /* Rows that reader_read has handed out so far; NULL = not counted. */
    uint64_t (*reader_count)(const struct tr_table_reader *reader);
    /* format "rows": append TR_READ events until about max_bytes are in the batch. Returns 1, or 0 when the part is finished. */
    int (*reader_rows)(struct tr_table_reader *reader, struct tr_batch *batch, size_t max_bytes,
                       struct tr_error *err);
    void (*reader_close)(struct tr_table_reader *reader);

    /* Resolve a start that is not a checkpoint into a position text (into out, TR_POSITION_MAX bytes): now, slot (the oldest the server keeps for us), time:T, an own syntax (lsn:, gtid:, binlog:, mydumper:). */
    int (*start_position)(struct tr_source *source, const char *start, char *out, size_t size,
                          struct tr_error *err);
    /* Begin to stream from a position. Refuses when the log no longer reaches back to it. */
    int (*start)(struct tr_source *source, const char *position, struct tr_error *err);
    /*
     * The next frame. Returns 1 with *frame, 0 when nothing is there now. wait_us 0 = do not wait; otherwise wait at most that long.
     * Reading in bursts (see docs/performance.md) is the source's own matter.
     */
    int (*read)(struct tr_source *source, struct tr_frame *frame, int64_t wait_us, struct tr_error *err);
    /*
     * Read the last part of the log (a file of it) before `*before` once more, on a connection of its own, oldest frame first, without checksums;
     * *before becomes the part's own beginning. Returns 1, or 0 when the server has none. NULL = the source does not log prepared
     * transactions before their decision.
     */
    int (*reread)(struct tr_source *source, uint64_t *before, const struct tr_log_visitor *visitor,
                  struct tr_error *err);
    /*
     * Tell the server: `position` is saved (it never goes backwards), and that we are alive. Cheap; called often, also while the sink stalls.
     * position NULL = only alive. `urgent` = send now.
     */
    int (*acknowledge)(struct tr_source *source, const char *position, bool urgent, struct tr_error *err);

    /* The checkpoint text for the end of the last transaction of the batch, allocated in the batch's arena; called once per batch in commit order. */
    int (*checkpoint)(struct tr_source *source, struct tr_batch *batch, const char **position,
                      struct tr_error *err);
    /* The checkpoint text for a keepalive frame with nothing in flight; into the batch's arena. */
    int (*keepalive_checkpoint)(struct tr_source *source, const struct tr_frame *frame,
                                struct tr_batch *batch, const char **position, struct tr_error *err);
    /* Is this transaction contained in (committed before) the position? Pure. */
    bool (*covers)(struct tr_source *source, const char *position, const struct tr_txn *txn);
    /* <0, 0, >0. Pure; any thread. INT_MIN when a text is not a position of this source. */
    int (*compare)(const char *a, const char *b);
    /* stop: drained, lsn:X, time:T ... compiled once to an order to stop at (UINT64_MAX = never) or a commit time (0 = none). */
    int (*stop_at)(struct tr_source *source, const char *stop, uint64_t *order, int64_t *time_us,
                   struct tr_error *err);
    /* Bytes of log between the position and the server's end, for lag figures; -1 = not known. */
    int64_t (*lag_bytes)(struct tr_source *source, const char *position);

    /* Remove what prepare made (slot, publication). */
    int (*drop)(struct tr_source *source, struct tr_error *err);
};

/* First member of every source's context. */
struct tr_source {
    const struct tr_source_class *class;
    const struct tr_source_env *env;
    /* For the decoder: fills in what the log does not tell about a relation (type names, labels, NOT NULL, keys) from the catalogue. */
    struct tr_catalog catalog;
    const char *database; /* the one database that the source reads (PostgreSQL), or NULL */
    const char *only;     /* the one schema whose tables it reads (MySQL, a database in the URL), or NULL */
    const void *decoder_format; /* what start() negotiated, for struct tr_decoder_config.source_format */
};

void tr_relation_list_free(struct tr_relation_list *list);
void tr_others_add(struct tr_others *others, const struct tr_other *other); /* copies the texts */
void tr_others_free(struct tr_others *others);

#endif
