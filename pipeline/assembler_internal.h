/*
 * assembler_internal.h - the assembler from inside: what assembler.c and streamed.c share. Everybody else finds its functions in internal.h. thread: capture.
 */
#ifndef TR_PIPELINE_ASSEMBLER_INTERNAL_H
#define TR_PIPELINE_ASSEMBLER_INTERNAL_H

#include "pipeline/internal.h"
#include "pipeline/prepared.h"

#define TR_BATCH_BYTES ((size_t)256 << 10) /* a batch is pushed at the first commit past this */

struct tr_assembler {
    struct tr_task *task;
    const struct tr_source_class *source;
    struct tr_decoder *decoder;
    const struct tr_decoder_class *decode;
    struct tr_spool *spool;
    struct tr_prepared *prepared; /* NULL = the source sends none ahead of their decision */
    struct tr_batch *batch;       /* committed transactions being collected; NULL = none */
    struct tr_batch
        *open_batch;      /* slice of the open transaction whose chunk is being read, for an eager sink */
    uint64_t stream_xid;  /* of the chunk being read, 0 = none */
    bool eager;           /* that chunk goes ahead to the sink */
    uint64_t *eager_xids; /* open transactions of which slices went ahead */
    size_t neager, eager_cap;
    size_t slice_bytes;   /* SLICE_BYTES, or more when transactions have to stay whole */
    uint64_t stop_order;  /* UINT64_MAX = never */
    int64_t stop_time_us; /* 0 = never */
    int64_t pushed_us;    /* monotonic, of the last checkpoint pushed */
    uint64_t pushed_order;
    uint64_t
        read_order; /* the server has said that it has read its log up to here, and nothing is on its way */
    char *reached;  /* the newest checkpoint pushed, or the start: none that follows may be before it */
};

/* assembler.c, for streamed.c. The batch being collected, made when there is none. */
struct tr_batch *tr_assembler_batch(struct tr_assembler *assembler);
/* Hand a batch over, waiting for room; it is taken over even on failure. */
int tr_assembler_push(struct tr_assembler *assembler, struct tr_batch *batch, struct tr_error *err);
/* The batch being collected ends at a commit: hand it over with its checkpoint. */
int tr_assembler_push_committed(struct tr_assembler *assembler, struct tr_error *err);
/* Decode what the spool holds of a transaction into the batch, slice by slice. */
int tr_assembler_replay(struct tr_assembler *assembler, struct tr_spool_txn *txn, struct tr_error *err);
/* A frame was decoded (`decoded`: TR_DECODED_*): hand over what is large enough. */
int tr_assembler_decoded(struct tr_assembler *assembler, int decoded, struct tr_error *err);
/* Is this transaction beyond where the task is to stop? */
bool tr_assembler_beyond_stop(const struct tr_assembler *assembler, const struct tr_txn *txn);

/* streamed.c: the frames of streamed transactions, by their role. Each returns 0, 1 = the stop is reached, or an error. */
int tr_assembler_stream_start(struct tr_assembler *assembler, const struct tr_frame *frame, uint64_t xid,
                              struct tr_error *err);
int tr_assembler_stream_change(struct tr_assembler *assembler, const struct tr_frame *frame,
                               const struct tr_frame_peek *peek, struct tr_error *err);
int tr_assembler_stream_stop(struct tr_assembler *assembler, const struct tr_frame *frame,
                             struct tr_error *err);
int tr_assembler_stream_abort(struct tr_assembler *assembler, const struct tr_frame *frame,
                              const struct tr_frame_peek *peek, struct tr_error *err);
int tr_assembler_stream_commit(struct tr_assembler *assembler, const struct tr_frame *frame, uint64_t xid,
                               struct tr_error *err);
/* Hand the open transaction's slice over. */
int tr_assembler_push_open(struct tr_assembler *assembler, struct tr_error *err);

#endif
