/*
 * fuzz_binlog.c - any bytes as events of a binary log: events or an error come out, never a crash, and
 * every value can be rendered or refused.
 *
 * Input: uint8 (bit 0: checksums are on and not mended), then events as uint8 type, uint16 length of the
 * body, body. Lengths in the header are right, for a wrong one is refused at once and would hide the rest.
 */
#include <stdlib.h>
#include <string.h>

#include "decoders/binlog/binlog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
complete(void *arg, struct tr_relation *relation, struct tr_error *err)
{
    (void)arg, (void)relation, (void)err;
    return 0;
}

static void
render_row(const struct tr_relation *relation, const struct tr_value *row, struct tr_buffer *scratch)
{
    struct tr_error err = { 0 };
    for (uint16_t i = 0; row != NULL && i < relation->ncolumns; i++) {
        const char *text;
        size_t len;
        if (row[i].state == TR_PRESENT)
            (void)!tr_value_text(relation, &relation->columns[i], &row[i], scratch, &text, &len, &err);
    }
}

static void
render_batch(const struct tr_batch *batch)
{
    struct tr_buffer scratch;
    tr_buffer_init(&scratch, 1 << 22);
    for (uint32_t i = 0; i < batch->nevents; i++) {
        if (batch->events[i].kind > TR_DELETE)
            continue;
        render_row(batch->events[i].relation, batch->events[i].before, &scratch);
        render_row(batch->events[i].relation, batch->events[i].after, &scratch);
    }
    tr_buffer_fini(&scratch);
}

static uint8_t *
frame_of(uint8_t type, const uint8_t *body, size_t len)
{
    uint8_t *frame = calloc(1, 19 + len);
    uint32_t total = (uint32_t)(19 + len);
    frame[4] = type;
    memcpy(frame + 9, &total, sizeof total);
    memcpy(frame + 19, body, len);
    return frame;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tr_binlog_format format = { .checksum = size > 0 && (data[0] & 1), .max_payload = 1 << 22 };
    struct tr_decoder_config config = { .catalog = { .complete = complete },
                                        .max_value = 1 << 20,
                                        .source_format = &format };
    struct tr_decoder *decoder;
    struct tr_error err = { 0 };
    struct tr_batch *batch = tr_batch_new();
    if (tr_binlog_decoder.open(&config, &decoder, &err) < 0)
        abort();
    uint64_t order = TR_BINLOG_ORDER(1, 4);
    for (size_t at = 1; at + 3 <= size;) {
        uint8_t type = data[at];
        size_t len = data[at + 1] | (size_t)data[at + 2] << 8;
        at += 3;
        if (len > size - at)
            len = size - at;
        struct tr_frame_peek peek;
        uint8_t *frame = frame_of(type, data + at, len);
        (void)!tr_binlog_decoder.peek(decoder, frame, 19 + len, false, &peek, &err);
        int rc = tr_binlog_decoder.decode(decoder, frame, 19 + len, order, false, batch, &err);
        free(frame);
        if (rc < 0)
            break;
        at += len;
        order += 19 + len;
    }
    render_batch(batch);
    tr_batch_free(batch);
    tr_binlog_decoder.close(decoder);
    return 0;
}
