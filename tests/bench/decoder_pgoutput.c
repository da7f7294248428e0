/*
 * decoder_pgoutput.c - nanoseconds per row of the pgoutput decoder, from bytes in memory to events in a
 * batch.
 *
 *     make BUILD=build lib && gcc -O2 -D_GNU_SOURCE -I. tests/bench/decoder_pgoutput.c build/libtailrace.a -o
 * build/decoder_pgoutput
 *
 * The batch is as large as in a catch-up (about 1000 rows), and is made and freed within the time that is
 * measured.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "decoders/pgoutput/pgoutput.h"

#define ROWS_PER_BATCH 1000
#define BATCHES 2000

struct bench {
    struct tr_decoder *decoder;
    struct tr_error err;
};

static void
decode(struct bench *b, const struct tr_buffer *frame, struct tr_batch *batch)
{
    if (b->decoder->class->decode(b->decoder, (const uint8_t *)frame->data, frame->len, 1, false, batch,
                                  &b->err) < 0) {
        fprintf(stderr, "%s\n", b->err.text);
        exit(1);
    }
}

static void
add_tuple(struct tr_buffer *frame, char kind, int ncolumns, int width)
{
    tr_buffer_byte(frame, kind);
    tr_buffer_u16be(frame, (uint16_t)ncolumns);
    for (int i = 0; i < ncolumns; i++) {
        tr_buffer_byte(frame, 't');
        tr_buffer_u32be(frame, (uint32_t)width);
        for (int c = 0; c < width; c++)
            tr_buffer_byte(frame, (char)('0' + c % 10));
    }
}

static void
describe(struct bench *b, int ncolumns, struct tr_batch *batch)
{
    struct tr_buffer frame;
    tr_buffer_init(&frame, 1 << 20);
    tr_buffer_add(&frame, "R\0\0\0\1public\0t\0f", 15);
    tr_buffer_u16be(&frame, (uint16_t)ncolumns);
    for (int i = 0; i < ncolumns; i++)
        tr_buffer_add(&frame, "\1c\0\0\0\0\31\377\377\377\377", 11);
    decode(b, &frame, batch);
    tr_buffer_fini(&frame);
}

static void
edge(struct bench *b, struct tr_batch *batch, bool begin)
{
    struct tr_buffer frame;
    tr_buffer_init(&frame, 1 << 20);
    tr_buffer_add(&frame, begin ? "B" : "C\0", begin ? 1 : 2);
    for (int i = 0; i < (begin ? 2 : 3); i++)
        tr_buffer_u64be(&frame, 7);
    if (begin)
        tr_buffer_u32be(&frame, 9);
    decode(b, &frame, batch);
    tr_buffer_fini(&frame);
}

static void
measure(const char *name, bool update, int ncolumns, int width)
{
    struct bench b;
    struct tr_decoder_config config = { .max_value = 1 << 20 };
    struct tr_buffer frame;
    if (tr_pgoutput_decoder.open(&config, &b.decoder, &b.err) < 0)
        exit(1);
    tr_buffer_init(&frame, 1 << 20);
    tr_buffer_add(&frame, update ? "U\0\0\0\1" : "I\0\0\0\1", 5);
    if (update)
        add_tuple(&frame, 'O', ncolumns, width);
    add_tuple(&frame, 'N', ncolumns, width);
    int64_t start = tr_clock_us();
    for (int i = 0; i < BATCHES; i++) {
        struct tr_batch *batch = tr_batch_new();
        edge(&b, batch, true);
        describe(&b, ncolumns, batch);
        for (int row = 0; row < ROWS_PER_BATCH; row++)
            decode(&b, &frame, batch);
        edge(&b, batch, false);
        tr_batch_free(batch);
    }
    double us = (double)(tr_clock_us() - start), rows = (double)BATCHES * ROWS_PER_BATCH;
    printf("%-36s %7.1f ns/row %8.1f MB/s\n", name, us * 1000 / rows, (double)frame.len * rows / us);
    tr_buffer_fini(&frame);
    b.decoder->class->close(b.decoder);
}

int
main(void)
{
    measure("insert, 4 columns of 6 bytes", false, 4, 6);
    measure("update with old row, 4 columns", true, 4, 6);
    measure("insert, 10 columns of 20 bytes", false, 10, 20);
    measure("insert, 100 columns of 8 bytes", false, 100, 8);
    measure("insert, 2 columns of 1000 bytes", false, 2, 1000);
    return 0;
}
