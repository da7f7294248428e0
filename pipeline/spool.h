/*
 * spool.h - the frames of open streamed transactions, kept until their commit, in memory and beyond that on disk, encrypted.
 *
 * Frames are kept as they came off the wire and decoded only when their transaction commits, so a rolled back (sub)transaction costs nothing
 * but its bytes. Memory past the limit goes to a file without a name (it vanishes with the process), sealed with AES-256-GCM under
 * a key that never leaves this process. thread: capture.
 */
#ifndef TR_PIPELINE_SPOOL_H
#define TR_PIPELINE_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

struct tr_spool;
struct tr_spool_txn;

struct tr_spool_frame {
    const uint8_t *data; /* borrowed until the next call */
    size_t len;
    uint64_t order;
    uint64_t subxid;
    bool shape; /* see struct tr_frame_peek */
};

/* `directory` for the spill file; memory_limit in bytes over all transactions. */
struct tr_spool *tr_spool_new(const char *directory, size_t memory_limit);
void tr_spool_free(struct tr_spool *spool); /* NULL is allowed */

/* The transaction of that id, made when missing. */
struct tr_spool_txn *tr_spool_begin(struct tr_spool *spool, uint64_t xid);
struct tr_spool_txn *tr_spool_find(struct tr_spool *spool, uint64_t xid); /* NULL = unknown */
int tr_spool_add(struct tr_spool *spool, struct tr_spool_txn *txn, const struct tr_spool_frame *frame,
                 struct tr_error *err);
/* The subtransaction was rolled back: its frames (but not shapes) are passed over when read. */
void tr_spool_abort_subxid(struct tr_spool_txn *txn, uint64_t subxid);
/* Start to read from the first frame; then next until it returns 0. 1 = a frame. */
void tr_spool_rewind(struct tr_spool_txn *txn);
int tr_spool_next(struct tr_spool *spool, struct tr_spool_txn *txn, struct tr_spool_frame *frame,
                  struct tr_error *err);
/* Forget the transaction and give its room back. */
void tr_spool_drop(struct tr_spool *spool, struct tr_spool_txn *txn);
/* Forget all: the connection was lost and everything open will come again. */
void tr_spool_clear(struct tr_spool *spool);

size_t tr_spool_memory(const struct tr_spool *spool);
uint64_t tr_spool_spilled(const struct tr_spool *spool); /* bytes written to disk since it was made */

#endif
