/*
 * decoder.h - the contract of a decoder: bytes in, events out.
 *
 * No I/O, no clock, no globals; the same bytes give the same events, and any bytes give events or an error, never a crash: that is
 * what the fuzz targets try. What the log does not tell comes from hooks.
 */
#ifndef TR_DECODERS_DECODER_H
#define TR_DECODERS_DECODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/batch.h"
#include "core/error.h"

struct tr_decoder;

/* Fills in the shape of a relation that the log only sketches. Implemented by the source (or NULL: the sketch stands). */
struct tr_catalog {
    void *arg;
    /* `relation` has id, schema, name and columns with name, type_id, type_mod, identity; complete the rest. May query the server. */
    int (*complete)(void *arg, struct tr_relation *relation, struct tr_error *err);
    /* What a time zone of the server's ("SYSTEM", "Europe/Berlin") was off UTC at that moment: "+02:00". Empty = not known. May be NULL. */
    int (*offset)(void *arg, const char *zone, int64_t unix_us, char out[8], struct tr_error *err);
};

/* What the pipeline wants to be asked. All called on the decoding thread. */
struct tr_decoder_hooks {
    void *arg;
    /* A new version of a relation, complete, before any row of it: sets number, skip, guarded, target names. */
    int (*relation)(void *arg, struct tr_relation *relation, const struct tr_relation *previous,
                    struct tr_error *err);
    /* Does the task want changes of this guarded relation in this transaction (not yet contained in the table's own cut)? */
    bool (*wanted)(void *arg, const struct tr_relation *relation, const struct tr_txn *txn);
};

struct tr_decoder_config {
    struct tr_catalog catalog;
    struct tr_decoder_hooks hooks;
    size_t max_value; /* ceiling for one value off the wire */
    const void *
        source_format; /* what the source negotiated (protocol version, checksum...); the connector pair's own struct */
};

/* What a frame is for the assembler, told without decoding it. */
enum tr_frame_role {
    TR_ROLE_PLAIN = 0,     /* decode now, in order */
    TR_ROLE_STREAM_START,  /* a chunk of the open transaction `xid` begins */
    TR_ROLE_STREAM_CHANGE, /* belongs to the chunk that is open; `subxid` names its (sub)transaction */
    TR_ROLE_STREAM_STOP,   /* the chunk ends */
    TR_ROLE_STREAM_ABORT, /* the open transaction `xid` (subxid == xid) or its subtransaction `subxid` was rolled back */
    TR_ROLE_STREAM_COMMIT, /* the open transaction `xid` committed here */
    TR_ROLE_STREAM_PREPARE, /* the open transaction `xid` was prepared under `gid`: hold it until commit or rollback prepared */
    TR_ROLE_PREPARED_BEGIN, /* a prepared transaction (not streamed) begins: hold until COMMIT_PREPARED */
    TR_ROLE_PREPARED_END,
    TR_ROLE_COMMIT_PREPARED,
    TR_ROLE_ROLLBACK_PREPARED,
    TR_ROLE_PREPARED_WHOLE, /* a prepared transaction in a single frame */
    TR_ROLE_PREPARED_LOST, /* inside a prepared transaction: it has no end (a crash of the server cut it); the frame is a plain one */
};

struct tr_frame_peek {
    enum tr_frame_role role;
    uint64_t xid;
    uint64_t subxid;
    bool
        shape; /* tells a table's shape: kept even when its subtransaction is rolled back, for the server tells it only once */
    char gid[304]; /* prepared transactions */
    /*
     * Of a frame that is held (of a prepared transaction): how many of its bytes to keep; what is behind them, a checksum, has been verified.
     * 0 = not told: all.
     */
    size_t keep;
};

/* Returned by decode: what the frame brought. */
#define TR_DECODED_ROW 1    /* at least one event */
#define TR_DECODED_BEGIN 2  /* a transaction was opened in the batch */
#define TR_DECODED_COMMIT 4 /* the open transaction of the batch is complete */

struct tr_decoder_class {
    const char *name;
    int (*open)(const struct tr_decoder_config *config, struct tr_decoder **decoder, struct tr_error *err);
    void (*close)(struct tr_decoder *decoder);
    /* The connection was made anew: forget what the server will tell again. Relations keep their versions. */
    void (*reset)(struct tr_decoder *decoder);
    /* Say what a frame is. Fails on a truncated or unknown one. in_stream: it stands in a streamed chunk, or in a prepared transaction that has begun. */
    int (*peek)(struct tr_decoder *decoder, const uint8_t *data, size_t len, bool in_stream,
                struct tr_frame_peek *peek, struct tr_error *err);
    /*
     * Decode one frame, append to the batch. `order` is the frame's place in the log. in_stream: the frame comes from a streamed chunk
     * (its messages carry xids), or was held (peek told how many of its bytes were to be kept). Returns TR_DECODED_* flags or a negative error class;
     * -TR_RETRY when rows are undone that an earlier batch took along: the log must be read again from before the transaction, in larger batches.
     * Law: when a batch ends inside a transaction the next batch's first tr_txn continues it (begins = false); the decoder calls
     * tr_decoder_continue for that, see continue_txn.
     */
    int (*decode)(struct tr_decoder *decoder, const uint8_t *data, size_t len, uint64_t order, bool in_stream,
                  struct tr_batch *batch, struct tr_error *err);
    /* A new batch begins in the middle of the open transaction: append its continuation tr_txn. No-op when none is open. */
    void (*continue_txn)(struct tr_decoder *decoder, struct tr_batch *batch);
    /* Open a transaction whose commit message was read ahead of its changes (a spooled stream): fields from the stream-commit frame. */
    int (*begin_from_commit)(struct tr_decoder *decoder, const uint8_t *commit_frame, size_t len,
                             struct tr_batch *batch, struct tr_error *err);
    /* Inside a transaction? */
    bool (*in_transaction)(const struct tr_decoder *decoder);
};

/* First member of every decoder's context. */
struct tr_decoder {
    const struct tr_decoder_class *class;
    struct tr_decoder_config config;
};

#endif
