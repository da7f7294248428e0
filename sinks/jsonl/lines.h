/* lines.h - batches in, lines of JSON out: what files and standard output share. */
#ifndef TR_SINKS_JSONL_LINES_H
#define TR_SINKS_JSONL_LINES_H

#include "core/buffer.h"
#include "encoders/encoder.h"
#include "sinks/sink.h"

struct lines {
    struct tr_encoder_env env;
    struct tr_encoder *encoder;
    struct tr_buffer out; /* lines not yet taken away */
    struct tr_emit emit;
    /* Called between events when `out` has passed `high` bytes, so that a large batch needs no large buffer. NULL = let it grow. */
    int (*drain)(void *arg, struct tr_error *err);
    void *arg;
    size_t high;
};

/* env->encoder makes the messages; they must be JSON. */
int lines_open(struct lines *lines, const struct tr_sink_env *env, struct tr_error *err);
void lines_close(struct lines *lines);

/* Append the lines of all events of the batch; the batch stays the caller's. */
int lines_batch(struct lines *lines, const struct tr_batch *batch, struct tr_error *err);

#endif
