/*
 * internal.h - what the files of this folder share.
 */
#ifndef TR_DECODERS_PGOUTPUT_INTERNAL_H
#define TR_DECODERS_PGOUTPUT_INTERNAL_H

#include "core/cursor.h"
#include "decoders/pgoutput/pgoutput.h"

/* PostgreSQL counts microseconds since 2000-01-01, we since 1970-01-01. */
#define TR_PG_EPOCH_SHIFT_US INT64_C(946684800000000)

#define LSN_FMT "%X/%X"
#define LSN_ARG(lsn) (unsigned)((lsn) >> 32), (unsigned)(lsn)

/* A table the server has described. Lives as long as the decoder: versions count over reconnections. */
struct described {
    uint32_t oid;
    uint32_t slot;                /* where the batch in hand keeps its reference, a guess that is checked */
    bool announced;               /* described in this session: rows before that are refused */
    struct tr_relation *relation; /* one reference; NULL after a failure to complete it */
    struct tr_relation *used;     /* of the last row, one reference; NULL before the first */
    uint8_t *wire;                /* the Relation message it was built from, behind tag and xid */
    size_t wire_len;
};

/* oid -> pointer, open addressing; oid 0 is not a valid key. */
struct oid_map {
    struct oid_slot {
        uint32_t oid;
        void *item;
    } * slots;
    uint32_t capacity; /* a power of two, or 0 */
    uint32_t count;
};

/* A streamed transaction that is decoded while it is open: its events so far. */
struct open_stream {
    uint32_t xid;
    uint64_t events;
};

struct pgoutput {
    struct tr_decoder base;
    struct tr_pgoutput_format format;
    struct oid_map relations; /* struct described */
    struct oid_map types;     /* struct named_type */
    struct described *last;   /* the relation of the last row: runs of one table skip the map */

    bool in_txn;
    struct tr_txn txn; /* of the open transaction; its strings are NULL here */
    char *origin;      /* of the open transaction, or NULL */
    uint64_t events;   /* of the open transaction so far */

    uint32_t peeked_stream; /* the chunk that peek() is in */
    struct open_stream *streams;
    uint32_t nstreams, streams_cap;
};

/* The frame in hand. */
struct frame {
    struct tr_cursor cur;
    const struct message *message;
    struct tr_batch *batch;
    uint64_t order;
    uint32_t xid; /* in a streamed chunk: of the (sub)transaction; else 0 */
    bool in_stream;
};

/* Reads one message behind its tag and xid; returns TR_DECODED_* or an error. */
typedef int reader(struct pgoutput *d, struct frame *f, struct tr_error *err);

struct message {
    const char *name;
    reader *read;
    enum tr_frame_role role;
    bool streamed; /* allowed in a chunk, and then with an xid behind the tag */
};

/* oidmap.c */
void *oid_map_get(const struct oid_map *map, uint32_t oid);
void oid_map_put(struct oid_map *map, uint32_t oid, void *item); /* the oid must be new and not 0 */

/* decoder.c */
/* "pgoutput: insert message at 0/1A2B: ..." */
int frame_fail(const struct frame *f, struct tr_error *err, const char *fmt, ...) TR_PRINTF(3, 4);
/* The whole frame was read, no byte more or less: 0, or an error. Called before a reader acts on what it
 * read. */
int frame_whole(const struct frame *f, struct tr_error *err);

/* transaction.c */
reader read_begin, read_commit, read_origin, read_stream_start, read_stream_stop, read_stream_commit,
    read_stream_abort, read_begin_prepare, read_prepare, read_stream_prepare, read_commit_prepared,
    read_rollback_prepared;
int peek_transaction(struct pgoutput *d, struct frame *f, uint8_t tag, struct tr_frame_peek *peek,
                     struct tr_error *err);
int begin_from_commit(struct tr_decoder *decoder, const uint8_t *data, size_t len, struct tr_batch *batch,
                      struct tr_error *err);
void continue_txn(struct tr_decoder *decoder, struct tr_batch *batch);
void forget_transaction(struct pgoutput *d);
/* The open transaction's place in the batch; fails when none is open. */
int current_txn(struct pgoutput *d, struct frame *f, struct tr_txn **txn, struct tr_error *err);

/* relation.c */
reader read_relation, read_type;
void forget_relations(struct pgoutput *d);  /* reset: the server will describe them again */
void release_relations(struct pgoutput *d); /* close */
void use_relation(struct pgoutput *d, struct frame *f, struct described *known); /* before each row's event */
struct described *find_relation(struct pgoutput *d, uint32_t oid);

/* row.c */
reader read_insert, read_update, read_delete, read_truncate, read_message;
/* One more event of the open transaction, with position and subtransaction filled in. */
struct tr_event *add_event(struct pgoutput *d, struct frame *f, enum tr_event_kind kind);
void hold_relation(struct frame *f, struct described *known);

#endif
