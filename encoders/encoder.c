/* encoder.c - what every encoder is asked for, in the order of the batch. */
#include "encoders/encoder.h"

#include <stddef.h>

#include "encoders/common/topic.h"

static void
edge(const struct tr_emit *emit, const struct tr_txn *txn, uint64_t place)
{
    if (emit->edge != NULL)
        emit->edge(emit->arg, txn, place);
}

static int
encode_txn(struct tr_encoder *encoder, const struct tr_batch *batch, const struct tr_txn *txn,
           const struct tr_emit *emit, struct tr_error *err)
{
    const struct tr_encoder_class *class = encoder->class;
    int rc = 0;
    if (txn->begins) {
        encoder->place = 0;
        edge(emit, txn, 0);
        rc = class->begin != NULL ? class->begin(encoder, batch, txn, emit, err) : 0;
    }
    for (uint32_t i = 0; rc == 0 && i < txn->nevents; i++) {
        const struct tr_event *event = &batch->events[txn->first_event + i];
        edge(emit, txn, encoder->place + 1);
        encoder->place += event->kind != TR_SCHEMA;
        rc = class->event(encoder, batch, txn, event, emit, err);
    }
    if (rc < 0 || !txn->ends)
        return rc;
    edge(emit, txn, TR_PLACE_END);
    return class->commit != NULL ? class->commit(encoder, batch, txn, emit, err) : 0;
}

int
tr_encode_batch(struct tr_encoder *encoder, const struct tr_batch *batch, const struct tr_emit *emit,
                struct tr_error *err)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < batch->ntxns; i++)
        rc = encode_txn(encoder, batch, &batch->txns[i], emit, err);
    /* Rows of the full load belong to no transaction. */
    if (batch->ntxns == 0 && batch->nevents > 0)
        edge(emit, NULL, 0);
    for (uint32_t i = 0; rc == 0 && batch->ntxns == 0 && i < batch->nevents; i++)
        rc = encoder->class->event(encoder, batch, NULL, &batch->events[i], emit, err);
    return rc;
}

const char *
tr_encoder_topic(const struct tr_encoder_env *env, struct tr_arena *arena, const struct tr_relation *relation,
                 struct tr_error *err)
{
    struct topic_namer namer;
    return topic_namer_init(&namer, env, err) < 0 ? NULL : topic_of_table(&namer, arena, relation);
}
