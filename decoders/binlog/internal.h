/*
 * internal.h - what the files of this folder share.
 */
#ifndef TR_DECODERS_BINLOG_INTERNAL_H
#define TR_DECODERS_BINLOG_INTERNAL_H

#include "core/cursor.h"
#include "decoders/binlog/binlog.h"
#include "decoders/binlog/charset.h"

#define HEADER_SIZE 19
#define CHECKSUM_SIZE 4

/* Bits of the header's flags. */
#define EVENT_IN_USE 0x01     /* format description: the file was not closed */
#define EVENT_ARTIFICIAL 0x20 /* made by the dump thread, not part of the file */
#define EVENT_IGNORABLE 0x80  /* a reader that does not know the event may pass over it */

enum binlog_event_type {
    EVENT_QUERY = 2,
    EVENT_ROTATE = 4,
    EVENT_FORMAT_DESCRIPTION = 15,
    EVENT_TABLE_MAP = 19,
    EVENT_WRITE_ROWS_V1 = 23,
    EVENT_UPDATE_ROWS_V1 = 24,
    EVENT_DELETE_ROWS_V1 = 25,
    EVENT_WRITE_ROWS = 30,
    EVENT_UPDATE_ROWS = 31,
    EVENT_DELETE_ROWS = 32,
    EVENT_XA_PREPARE = 38,
    EVENT_PAYLOAD = 40,
    EVENT_MARIADB_GTID = 162,
    EVENT_QUERY_COMPRESSED = 165,
    EVENT_WRITE_ROWS_COMPRESSED_V1 = 166,
    EVENT_DELETE_ROWS_COMPRESSED_V1 = 168,
    EVENT_WRITE_ROWS_COMPRESSED = 169,
    EVENT_DELETE_ROWS_COMPRESSED = 171,
};

/* How the bytes of a column's value are found in a row image. */
enum step_kind {
    STEP_FIXED, /* `size` bytes */
    STEP_LEN1,  /* a length of 1, 2, 3 or 4 bytes, then the bytes */
    STEP_LEN2,
    STEP_LEN3,
    STEP_LEN4,
    STEP_PADDED1, /* the same of BINARY(size): the server cut the zeros at the end off */
    STEP_PADDED2,
    STEP_PACKED1, /* the same of a MariaDB COMPRESSED column */
    STEP_PACKED2,
    STEP_PACKED3,
    STEP_PACKED4,
};

struct step {
    uint8_t kind;
    uint8_t codec; /* enum tr_codec_id of the value */
    uint16_t size;
};

/* tr_column.detail: what the log says of a column's storage. */
struct storage {
    uint8_t type; /* MYSQL_TYPE_*; ENUM and SET taken out of STRING */
    uint16_t meta;
    uint16_t size; /* bytes of a fixed length, or the declared bytes of STRING */
    const struct charset
        *charset;       /* of text, and of the labels of enum and set; NULL elsewhere, or not told */
    uint32_t collation; /* 0 = not told */
};

/* A table, by name; lives as long as the decoder. */
struct table {
    struct table *next; /* in its bucket */
    uint64_t hash;
    char *database;
    char *name;
    uint8_t *wire; /* the table map behind id and flags, that `relation` was or will be built from */
    size_t wire_len;
    bool stale;                   /* wire is newer than relation */
    bool unwanted;                /* the task does not want it: nothing is known of it */
    uint32_t slot;                /* where the batch in hand keeps its reference, a guess that is checked */
    struct tr_relation *relation; /* one reference; NULL until a row of it came */
    struct tr_relation *used; /* another one: the shape of the last row that was wanted; NULL = none yet */
    struct step *steps;       /* `logged` of them */
    uint16_t
        logged; /* columns of its rows in the log: those of the relation, and those that MariaDB has for itself (history.c) */
    uint16_t row_end; /* 1 + the column that tells until when a row held; 0 = the table keeps no history */
};

/*
 * Table ids of the log file in hand: a direct-mapped cache over a small list, since ids are handed out in
 * a row.
 */
struct table_ids {
    struct table_id {
        uint64_t id;
        struct table *table;
    } * items;
    uint32_t count, capacity;
    uint32_t last; /* where the last look-up ended */
    bool over;     /* the statement that they were told for has ended */
};

/* A GTID event announces the transaction that follows. */
struct announced {
    bool set;
    char gtid[128]; /* empty = anonymous */
    int64_t commit_us;
    uint64_t order;
    uint32_t server_id;
    bool undecided; /* MariaDB: the ALTER that follows has only begun, or was rolled back */
};

struct savepoint {
    char *name;
    uint64_t events; /* of the transaction, when it was set */
};

struct binlog {
    struct tr_decoder base;
    struct tr_binlog_format format;
    bool checksum;         /* of the file in hand */
    uint8_t table_id_size; /* 6, or 4 in very old logs */
    char file[512];
    char server_version[51];

    struct table **buckets;
    uint32_t nbuckets, ntables;
    struct table_ids ids;

    struct announced announced;
    bool in_txn;
    bool held;         /* opened by begin_from_commit: an XA branch whose decision is known */
    struct tr_txn txn; /* of the open transaction; its strings are NULL here */
    char gtid[128];    /* of the open transaction, or empty */
    uint64_t events;   /* of the open transaction so far */
    struct savepoint *savepoints;
    uint32_t nsavepoints, savepoints_cap;
    struct ZSTD_DCtx_s *zstd; /* made when first needed */
};

struct event;

/* The frame in hand, or an event inside of it. */
struct binlog_frame {
    struct tr_cursor cur; /* behind the header, without the checksum */
    const struct event *event;
    struct tr_batch *batch;
    uint64_t order;
    uint64_t end_order;
    uint32_t timestamp;
    uint32_t server_id;
    uint32_t log_pos;
    uint16_t flags;
    uint8_t type;
    bool nested; /* inside a compressed transaction */
    bool bare;   /* its checksum was verified and cut off before */
};

/* Reads one event behind its header; returns TR_DECODED_* or an error. */
typedef int event_reader(struct binlog *d, struct binlog_frame *f, struct tr_error *err);

struct event {
    const char *name;
    event_reader *read;
};

/* decoder.c */
extern const struct event binlog_events[256];
/* "binlog: update rows event at bin.000001:1234: ..."; classes TR_FATAL and TR_REFUSED. */
int binlog_fail(const struct binlog *d, const struct binlog_frame *f, struct tr_error *err, const char *fmt,
                ...) TR_PRINTF(4, 5);
int binlog_refuse(const struct binlog *d, const struct binlog_frame *f, struct tr_error *err, const char *fmt,
                  ...) TR_PRINTF(4, 5);
/* One event of a compressed transaction: no checksum, the place of `outer`. */
int binlog_decode_nested(struct binlog *d, const uint8_t *data, size_t len, const struct binlog_frame *outer,
                         struct tr_error *err);
/* The integer of 1, 3, 4 or 9 bytes of MySQL's protocol. */
uint64_t binlog_packed(struct tr_cursor *cur);

/* format.c */
event_reader binlog_read_format, binlog_read_rotate, binlog_read_incident, binlog_read_encryption,
    binlog_read_ignored, binlog_read_statement_data, binlog_read_load_query;

/* gtid.c */
event_reader binlog_read_gtid, binlog_read_tagged_gtid, binlog_read_mariadb_gtid;
int binlog_peek_mariadb_gtid(struct binlog_frame *f, struct tr_frame_peek *peek);

/* transaction.c */
event_reader binlog_read_xid, binlog_read_xa_prepare;
int binlog_begin(struct binlog *d, struct binlog_frame *f, struct tr_error *err);
int binlog_commit(struct binlog *d, struct binlog_frame *f, struct tr_error *err);
/* Everything since the savepoint (NULL = since the begin) is taken out of the batch. */
int binlog_undo(struct binlog *d, struct binlog_frame *f, const char *savepoint, struct tr_error *err);
void binlog_savepoint(struct binlog *d, const char *name);
void binlog_forget_transaction(struct binlog *d);
/* The open transaction's place in the batch; fails when none is open. */
int binlog_current(struct binlog *d, struct binlog_frame *f, struct tr_txn **txn, struct tr_error *err);
struct tr_event *binlog_add_event(struct binlog *d, struct binlog_frame *f, enum tr_event_kind kind);
void binlog_continue(struct tr_decoder *decoder, struct tr_batch *batch);
int binlog_begin_from_commit(struct tr_decoder *decoder, const uint8_t *data, size_t len,
                             struct tr_batch *batch, struct tr_error *err);
int binlog_peek_xa_prepare(struct binlog_frame *f, struct tr_frame_peek *peek);
void binlog_xid_text(struct tr_frame_peek *peek, uint32_t format, const uint8_t *gtrid, size_t gtrid_len,
                     const uint8_t *bqual, size_t bqual_len);

/* session.c: what a query event says of the session that ran its statement. */
struct binlog_session {
    uint32_t collation; /* of the client, 0 = not told */
    uint32_t micros;    /* of the second in which it began */
    uint32_t flags;     /* what they mean differs between servers */
    int64_t sql_mode;   /* -1 = not told */
    const char *time_zone;
    size_t time_zone_len;
    const uint8_t *collations; /* MariaDB: of character sets, pairs of uint16 */
    uint8_t ncollations;
    uint8_t timestamps;         /* MySQL: enum tr_ddl_timestamps */
    uint16_t utf8mb4_collation; /* MySQL; 0 = not told */
    uint16_t increment, increment_offset, locale;
};
void binlog_read_session(struct binlog_session *s, struct tr_cursor cur);
/* Into a TR_DDL event of the frame's batch. */
void binlog_give_session(const struct binlog *d, struct binlog_frame *f, const struct binlog_session *s,
                         struct tr_event *event);

/* query.c */
event_reader binlog_read_query;
int binlog_peek_query(struct binlog *d, struct binlog_frame *f, struct tr_frame_peek *peek,
                      struct tr_error *err);

/* statement.c: verb, tables and columns of a TR_DDL event, from its text. The reference to event->ddl.defined is the caller's. */
void binlog_read_tables(struct tr_arena *arena, struct tr_event *event);

/* history.c: columns that MariaDB has for itself (of system versioning, hashes of unique keys) are taken out of the table's relation, and remembered in the table. */
void binlog_leave_hidden_out(const struct binlog *d, struct table *table, struct tr_relation *relation);
/* Of a table that keeps history: false when the change is one of rows that are over. Else *kind is what it is for those that are there, and *after NULL when the row goes. */
bool binlog_is_of_present(const struct table *table, const struct tr_value *before,
                          const struct tr_value **after, enum tr_event_kind *kind);

/* table_map.c */
event_reader binlog_read_table_map;
void binlog_forget_ids(struct binlog *d);
/* No rows follow by the table ids that were told: the next table map begins another statement. */
void binlog_end_statement(struct binlog *d);
void binlog_release_tables(struct binlog *d);
struct table *binlog_find_id(struct binlog *d, uint64_t id);
/*
 * A statement changed tables: their next rows are looked at anew, even when the log describes them as before (it may not name columns or labels). Refused when the catalogue
 * had this change in it already as it named the columns of rows from before.
 */
int binlog_reshaped(struct binlog *d, const struct binlog_frame *f, const struct tr_event *statement,
                    struct tr_error *err);
struct table *binlog_table(struct binlog *d, const char *database, size_t database_len, const char *name,
                           size_t name_len);
/* The relation is made to fit the last table map. */
int binlog_refresh(struct binlog *d, struct binlog_frame *f, struct table *table, struct tr_error *err);
/*
 * A row of it is wanted: when the last such row had another shape, a schema event says so first, and *flags gets TR_DECODED_ROW. Not said of rows that a table's own
 * cut contains: the target was loaded with what they led to.
 */
void binlog_use(struct binlog *d, struct binlog_frame *f, struct table *table, int *flags);
/* A relation without columns for a table of which no row was seen. */
int binlog_relation_by_name(struct binlog *d, struct table *table, struct tr_error *err);
void binlog_hold(struct binlog_frame *f, struct table *table);

/* shape.c: a table map into a relation. */
int binlog_fill_relation(struct binlog *d, struct binlog_frame *f, struct table *table,
                         struct tr_relation *relation, struct tr_error *err);
/* After the catalogue had its say. */
int binlog_plan(struct binlog *d, struct table *table, const struct tr_relation *relation,
                struct step **steps, struct tr_error *err);

/* row.c */
event_reader binlog_read_rows, binlog_read_partial_rows;

/* payload.c */
event_reader binlog_read_payload;
/* Is it an XA branch as a whole? */
int binlog_peek_payload(struct binlog *d, struct binlog_frame *f, struct tr_frame_peek *peek,
                        struct tr_error *err);
/* MariaDB: the rest of the event, uncompressed into malloc'ed bytes of *len. */
int binlog_uncompress(struct binlog *d, struct binlog_frame *f, uint8_t **bytes, size_t *len,
                      struct tr_error *err);
/* One value of a COMPRESSED column, into the arena. False when it is not what it should be. */
bool binlog_unpack_value(struct tr_arena *arena, const uint8_t *bytes, size_t len, size_t max,
                         const char **out, size_t *out_len);

static inline size_t
binlog_max_payload(const struct binlog *d)
{
    return d->format.max_payload > 0 ? d->format.max_payload : (size_t)1 << 30;
}

#endif
