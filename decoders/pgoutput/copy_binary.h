/*
 * copy_binary.h - the stream of COPY ... TO STDOUT (FORMAT binary).
 *
 * PostgreSQL manual, COPY, "Binary Format". The server's CopyData messages are not trusted to hold one row
 * each: the stream may be cut into pieces anywhere.
 */
#ifndef TR_DECODERS_PGOUTPUT_COPY_BINARY_H
#define TR_DECODERS_PGOUTPUT_COPY_BINARY_H

#include <stdbool.h>

#include "core/batch.h"
#include "core/buffer.h"
#include "core/error.h"

struct tr_pg_copy_binary {
    struct tr_buffer rest; /* what is not a whole header or row yet */
    bool header;           /* has been read */
    bool trailer;          /* has been read: nothing may follow */
};

/* max_row: ceiling for one row, header included. */
void tr_pg_copy_binary_init(struct tr_pg_copy_binary *copy, size_t max_row);
void tr_pg_copy_binary_fini(struct tr_pg_copy_binary *copy);

/*
 * Append the complete rows as TR_READ events (TR_CODEC_PG_BINARY, a NUL behind each value) to the batch,
 * which takes its reference. The COPY must have named exactly the relation's columns in their order. Returns
 * the number of rows.
 */
int tr_pg_copy_binary_feed(struct tr_pg_copy_binary *copy, struct tr_relation *relation, const char *data,
                           size_t len, struct tr_batch *batch, struct tr_error *err) TR_MUST_CHECK;

/* The stream is over: fails when its trailer has not come. */
int tr_pg_copy_binary_end(struct tr_pg_copy_binary *copy, const struct tr_relation *relation,
                          struct tr_error *err) TR_MUST_CHECK;

#endif
