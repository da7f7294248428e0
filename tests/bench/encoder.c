/*
 * encoder.c - an encoder alone: events of pgbench's TPC-B transactions on one core.
 *
 *   encoder json|avro [seconds]      prints events/s, bytes per event and nanoseconds per event
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "encoders/avro/avro.h"
#include "encoders/debezium/debezium.h"
#include "tests/unit/encoders/fake_registry.h"
#include "tests/unit/encoders/sample.h"

#define TXNS 500

struct total {
    unsigned long long messages, bytes;
};

static int
count(void *arg, const struct tr_message *message, struct tr_error *err)
{
    struct total *total = arg;
    (void)err;
    total->messages++;
    total->bytes += message->key_len + message->value_len;
    return 0;
}

static void
fill(struct tr_batch *batch, struct tr_relation *const *tables)
{
    static const char pad[] =
        "                                                                                    ";
    for (int i = 0; i < TXNS; i++) {
        char aid[16], tid[16], bid[16], balance[16];
        struct tr_txn *txn = sample_txn(batch);
        txn->xid = 1000 + (uint64_t)i;
        txn->commit_order = 100000 + (uint64_t)i * 700;
        snprintf(aid, sizeof(aid), "%d", 1234567 + i * 31);
        snprintf(tid, sizeof(tid), "%d", i % 200);
        snprintf(bid, sizeof(bid), "%d", i % 20);
        snprintf(balance, sizeof(balance), "%d", i * 37 - 5000);
        sample_event(batch, TR_UPDATE, tables[0], NULL,
                     sample_row(batch, 4, (const char *[]){ aid, bid, balance, pad }));
        sample_event(batch, TR_UPDATE, tables[1], NULL,
                     sample_row(batch, 4, (const char *[]){ tid, bid, balance, NULL }));
        sample_event(batch, TR_UPDATE, tables[2], NULL,
                     sample_row(batch, 3, (const char *[]){ bid, balance, NULL }));
        sample_event(
            batch, TR_INSERT, tables[3], NULL,
            sample_row(batch, 6,
                       (const char *[]){ tid, bid, aid, balance, "2024-02-29 12:34:56.789012", NULL }));
    }
}

static int
encode(struct tr_encoder *encoder, const struct tr_batch *batch, const struct tr_emit *emit)
{
    struct tr_error err;
    const struct tr_encoder_class *class = encoder->class;
    for (uint32_t t = 0; t < batch->ntxns; t++) {
        const struct tr_txn *txn = &batch->txns[t];
        class->begin(encoder, batch, txn, emit, &err);
        for (uint32_t i = 0; i < txn->nevents; i++)
            if (class->event(encoder, batch, txn, &batch->events[txn->first_event + i], emit, &err) < 0)
                return fprintf(stderr, "%s\n", err.text), -1;
        class->commit(encoder, batch, txn, emit, &err);
    }
    return 0;
}

static int
open_encoder(const struct tr_encoder_class *class, const struct tr_encoder_env *env,
             struct tr_settings *settings, struct fake_registry *registry, struct tr_encoder **encoder)
{
    struct tr_error err;
    int rc = tr_settings_add_table(settings, class->options, &err);
    if (rc == 0 && registry != NULL)
        rc = tr_settings_add_table(settings, class->more_options, &err);
    if (rc == 0 && registry != NULL)
        rc = tr_settings_set(settings, "target", "schema_registry", fake_registry_url(registry), false,
                             "bench", &err);
    if (rc == 0)
        rc = class->open(env, encoder, &err);
    if (rc < 0)
        fprintf(stderr, "%s\n", err.text);
    return rc;
}

int
main(int argc, char **argv)
{
    bool avro = argc > 1 && strcmp(argv[1], "avro") == 0;
    double seconds = argc > 2 ? atof(argv[2]) : 3;
    if (argc < 2 || (!avro && strcmp(argv[1], "json") != 0) || seconds <= 0)
        return fprintf(stderr, "usage: encoder json|avro [seconds]\n"), 2;
    struct tr_relation *tables[] = {
        sample_relation(1, "public", "pgbench_accounts", 4,
                        (const char *[]){ "aid:int32:k", "bid:int32", "abalance:int32", "filler:char" }),
        sample_relation(2, "public", "pgbench_tellers", 4,
                        (const char *[]){ "tid:int32:k", "bid:int32", "tbalance:int32", "filler:char" }),
        sample_relation(3, "public", "pgbench_branches", 3,
                        (const char *[]){ "bid:int32:k", "bbalance:int32", "filler:char" }),
        sample_relation(4, "public", "pgbench_history", 6,
                        (const char *[]){ "tid:int32", "bid:int32", "aid:int32", "delta:int32",
                                          "mtime:timestamp", "filler:char" }),
    };
    struct tr_batch *batch = tr_batch_new();
    struct fake_registry *registry = avro ? fake_registry_start(1) : NULL;
    struct tr_settings *settings = tr_settings_new();
    const struct tr_encoder_env env = {
        .settings = settings, .connector = "postgresql", .prefix = "bench", .database = "bench"
    };
    struct tr_encoder *encoder;
    struct total total = { 0, 0 };
    const struct tr_emit emit = { .arg = &total, .message = count };
    fill(batch, tables);
    if (open_encoder(avro ? &tr_debezium_avro_encoder : &tr_debezium_json_encoder, &env, settings, registry,
                     &encoder) < 0)
        return 1;
    int64_t start = tr_clock_us(), used = 0;
    for (; (double)used < seconds * 1e6; used = tr_clock_us() - start)
        if (encode(encoder, batch, &emit) < 0)
            return 1;
    printf("%.0f events/s, %llu bytes/event, %.0f ns/event\n", (double)total.messages * 1e6 / (double)used,
           total.bytes / total.messages, (double)used * 1e3 / (double)total.messages);
    encoder->class->close(encoder);
    tr_batch_free(batch);
    tr_settings_free(settings);
    if (registry != NULL)
        fake_registry_stop(registry);
    for (size_t i = 0; i < 4; i++)
        tr_relation_unref(tables[i]);
    return 0;
}
