/*
 * decoder_binlog.c - how fast log files become batches: rows per second of the decoder alone, the file in
 * memory.
 *
 * decoder_binlog [--text] [--rounds N] FILE...
 *
 * --text also renders every value. Prints one line a round: rows, transactions, seconds, rows per second.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "decoders/binlog/binlog.h"
#include "tests/golden/binlog/dump.h"

#define BATCH_BYTES ((size_t)256 << 10)

struct run {
    struct tr_decoder *decoder;
    struct tr_batch *batch;
    struct tr_buffer scratch;
    struct tr_error err;
    uint64_t rows, txns, bytes;
    bool text;
};

static void
fail(const struct tr_error *err)
{
    fprintf(stderr, "%s\n", err->text);
    exit(1);
}

static void
render(struct run *run, const struct tr_relation *relation, const struct tr_value *row)
{
    for (uint16_t i = 0; row != NULL && i < relation->ncolumns; i++) {
        const char *text;
        size_t len;
        if (row[i].state != TR_PRESENT)
            continue;
        if (tr_value_text(relation, &relation->columns[i], &row[i], &run->scratch, &text, &len, &run->err) <
            0)
            fail(&run->err);
        run->bytes += len;
    }
}

static void
take_batch(struct run *run)
{
    struct tr_batch *batch = run->batch;
    for (uint32_t i = 0; run->text && i < batch->nevents; i++) {
        const struct tr_event *event = &batch->events[i];
        if (event->kind > TR_DELETE)
            continue;
        render(run, event->relation, event->before);
        render(run, event->relation, event->after);
    }
    run->rows += batch->rows;
    run->txns += batch->ntxns;
    tr_batch_free(batch);
    run->batch = tr_batch_new();
}

static void
decode_file(struct run *run, const uint8_t *file, size_t len)
{
    uint32_t n;
    for (size_t at = 4; at + 19 <= len; at += n) {
        memcpy(&n, file + at + 9, sizeof n);
        if (n < 19 || n > len - at)
            break;
        if (tr_binlog_decoder.decode(run->decoder, file + at, n, TR_BINLOG_ORDER(1, at), false, run->batch,
                                     &run->err) < 0)
            fail(&run->err);
        if (tr_batch_bytes(run->batch) >= BATCH_BYTES)
            take_batch(run);
    }
    take_batch(run);
}

static void
one_round(bool text, const uint8_t *file, size_t len)
{
    struct tr_decoder_config config = { 0 };
    struct run run = { .text = text };
    tr_buffer_init(&run.scratch, TR_BUFFER_MAX);
    run.batch = tr_batch_new();
    if (tr_binlog_decoder.open(&config, &run.decoder, &run.err) < 0)
        fail(&run.err);
    int64_t start = tr_clock_us();
    decode_file(&run, file, len);
    double seconds = (double)(tr_clock_us() - start) / 1e6;
    printf("%llu rows, %llu transactions, %.3f s, %.0f rows/s, %.0f MB/s\n", (unsigned long long)run.rows,
           (unsigned long long)run.txns, seconds, (double)run.rows / seconds, (double)len / seconds / 1e6);
    tr_binlog_decoder.close(run.decoder);
    tr_batch_free(run.batch);
    tr_buffer_fini(&run.scratch);
}

int
main(int argc, char **argv)
{
    bool text = false;
    int rounds = 3;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--text") == 0) {
            text = true;
        } else if (strcmp(argv[i], "--rounds") == 0 && i + 1 < argc) {
            rounds = atoi(argv[++i]);
        } else {
            size_t len;
            uint8_t *file = binlog_dump_load(argv[i], &len);
            if (file == NULL) {
                fprintf(stderr, "%s cannot be read\n", argv[i]);
                return 1;
            }
            for (int k = 0; k < rounds; k++)
                one_round(text, file, len);
            free(file);
        }
    }
    return 0;
}
