/* encoder.c - what every encoder is asked for, in the order of the batch. */
#include "encoders/encoder.h"

static int
encode_txn(struct tr_encoder *encoder, const struct tr_batch *batch, const struct tr_txn *txn,
           const struct tr_emit *emit, struct tr_error *err)
{
    const struct tr_encoder_class *class = encoder->class;
    int rc = txn->begins && class->begin != NULL ? class->begin(encoder, batch, txn, emit, err) : 0;
    for (uint32_t i = 0; rc == 0 && i < txn->nevents; i++)
        rc = class->event(encoder, batch, txn, &batch->events[txn->first_event + i], emit, err);
    if (rc == 0 && txn->ends && class->commit != NULL)
        rc = class->commit(encoder, batch, txn, emit, err);
    return rc;
}

int
tr_encode_batch(struct tr_encoder *encoder, const struct tr_batch *batch, const struct tr_emit *emit,
                struct tr_error *err)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < batch->ntxns; i++)
        rc = encode_txn(encoder, batch, &batch->txns[i], emit, err);
    /* Rows of the full load belong to no transaction. */
    for (uint32_t i = 0; rc == 0 && batch->ntxns == 0 && i < batch->nevents; i++)
        rc = encoder->class->event(encoder, batch, NULL, &batch->events[i], emit, err);
    return rc;
}
