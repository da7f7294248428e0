/*
 * fuzz_pgoutput.c - any sequence of frames gives events or an error. Input: frames, each behind an Int16
 * length. Streamed chunks are decoded at once or held and replayed behind their commit, as the first byte
 * says.
 */
#include <stdlib.h>
#include <string.h>

#include "core/cursor.h"
#include "core/memory.h"
#include "decoders/pgoutput/pgoutput.h"

struct fuzz {
    struct tr_decoder *decoder;
    struct tr_batch *batch;
    struct {
        const uint8_t *data;
        size_t len;
    } held[64];
    size_t nheld;
    bool hold;
    bool in_stream;
    uint64_t order;
    uint64_t read; /* keeps the reading of values alive */
};

/* Every byte that an event points to is there, and what is said of it is possible. */
static void
touch_row(struct fuzz *f, const struct tr_relation *relation, const struct tr_value *row)
{
    struct tr_buffer scratch;
    struct tr_error err;
    tr_buffer_init(&scratch, 1 << 20);
    for (uint16_t i = 0; row != NULL && i < relation->ncolumns; i++) {
        const char *text;
        size_t len;
        if (row[i].state != TR_PRESENT)
            continue;
        if (row[i].data[row[i].len] != '\0')
            abort();
        if (tr_value_text(relation, &relation->columns[i], &row[i], &scratch, &text, &len, &err) == 0)
            f->read += len + (len > 0 ? (uint8_t)text[len - 1] : 0);
    }
    tr_buffer_fini(&scratch);
}

static void
touch_batch(struct fuzz *f)
{
    for (uint32_t i = 0; i < f->batch->nevents; i++) {
        const struct tr_event *event = &f->batch->events[i];
        if (event->kind == TR_INSERT || event->kind == TR_UPDATE || event->kind == TR_DELETE) {
            touch_row(f, event->relation, event->before);
            touch_row(f, event->relation, event->after);
        } else if (event->kind == TR_MESSAGE) {
            f->read += strlen(event->message.prefix) + event->message.len;
        }
    }
    for (uint32_t i = 0; i < f->batch->ntxns; i++) {
        const struct tr_txn *txn = &f->batch->txns[i];
        if ((uint64_t)txn->first_event + txn->nevents > f->batch->nevents)
            abort();
    }
}

/* A batch may end anywhere. */
static void
next_batch(struct fuzz *f)
{
    touch_batch(f);
    tr_batch_free(f->batch);
    f->batch = tr_batch_new();
    f->decoder->class->continue_txn(f->decoder, f->batch);
}

static int
decode(struct fuzz *f, const uint8_t *data, size_t len, bool in_stream)
{
    struct tr_error err;
    int rc = f->decoder->class->decode(f->decoder, data, len, ++f->order, in_stream, f->batch, &err);
    if (f->order % 7 == 0)
        next_batch(f);
    return rc;
}

static int
replay(struct fuzz *f, const uint8_t *commit, size_t len)
{
    struct tr_error err;
    int rc = f->decoder->class->begin_from_commit(f->decoder, commit, len, f->batch, &err);
    for (size_t i = 0; rc >= 0 && i < f->nheld; i++)
        rc = decode(f, f->held[i].data, f->held[i].len, true);
    f->nheld = 0;
    return rc < 0 ? rc : decode(f, commit, len, false);
}

static int
take_frame(struct fuzz *f, const uint8_t *data, size_t len)
{
    struct tr_frame_peek p;
    struct tr_error err;
    int rc = f->decoder->class->peek(f->decoder, data, len, f->in_stream, &p, &err);
    if (rc < 0)
        return rc;
    bool inside = f->in_stream;
    if (p.role == TR_ROLE_STREAM_START || p.role == TR_ROLE_STREAM_STOP)
        f->in_stream = p.role == TR_ROLE_STREAM_START;
    if (f->hold && p.role == TR_ROLE_STREAM_COMMIT)
        return replay(f, data, len);
    if (!f->hold ||
        (p.role != TR_ROLE_STREAM_CHANGE && p.role != TR_ROLE_STREAM_START && p.role != TR_ROLE_STREAM_STOP))
        return decode(f, data, len, inside);
    if (p.role == TR_ROLE_STREAM_CHANGE && f->nheld < 64) {
        f->held[f->nheld].data = data;
        f->held[f->nheld++].len = len;
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct tr_pgoutput_format format = { 4, true, true };
    struct tr_decoder_config config = { .max_value = 1 << 16, .source_format = &format };
    struct tr_error err;
    struct fuzz f = { .batch = tr_batch_new() };
    if (tr_pgoutput_decoder.open(&config, &f.decoder, &err) < 0)
        abort();
    struct tr_cursor cur = tr_cursor(data, size);
    f.hold = (tr_cursor_u8(&cur) & 1) != 0;
    while (tr_cursor_left(&cur) > 0) {
        uint16_t len = tr_cursor_u16be(&cur);
        const uint8_t *frame = tr_cursor_bytes(&cur, len);
        if (frame == NULL || take_frame(&f, frame, len) < 0)
            break;
    }
    touch_batch(&f);
    f.decoder->class->reset(f.decoder);
    f.decoder->class->close(f.decoder);
    tr_batch_free(f.batch);
    return 0;
}
