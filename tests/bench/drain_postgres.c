/*
 * drain_postgres.c - how fast a slot's backlog is read: by tailrace's source, and by a reader that blocks for each message.
 *
 *     drain_postgres URL SLOT PUBLICATION burst|plain [decode]
 *
 * Nothing is acknowledged, so the same backlog can be read again and again. Prints frames, bytes, seconds and the CPU seconds of the
 * walsender and of itself.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "capture/postgres/internal.h"
#include "core/clock.h"

static const struct tr_option base_options[] = {
    { .name = "source", .section = "source", .type = TR_OPTION_STRING, .help = "URL" },
    { .name = NULL },
};

struct drained {
    uint64_t frames, bytes, rows;
};

static void
die(const char *what, const struct tr_error *err)
{
    fprintf(stderr, "%s: %s%s%s\n", what, err->text, err->hint[0] != '\0' ? "\nhint: " : "", err->hint);
    exit(1);
}

/* Seconds of CPU of a process: fields 14 and 15 of its stat file, after the name in brackets. */
static double
cpu_of(int pid)
{
    char path[64], text[1024];
    unsigned long user = 0, kernel = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    size_t n = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[n] = '\0';
    const char *after = strrchr(text, ')');
    if (after == NULL ||
        sscanf(after + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel) != 2)
        return 0;
    return (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
}

static void
count(struct drained *sum, const uint8_t *data, size_t len)
{
    sum->frames++;
    sum->bytes += len;
    sum->rows += len > 0 && strchr("IUD", data[0]) != NULL;
}

static struct tr_decoder *decoder;
static struct tr_batch *batch;

static void
decode_frame(const struct tr_frame *frame)
{
    struct tr_error err;
    if (decoder->class->decode(decoder, frame->data, frame->len, frame->order, false, batch, &err) < 0)
        die("decode", &err);
    if (batch->arena.used > (1 << 20) && !decoder->class->in_transaction(decoder)) {
        tr_batch_free(batch);
        batch = tr_batch_new();
    }
}

static void
drain_burst(struct tr_source *source, uint64_t end, struct drained *sum)
{
    struct tr_error err;
    struct tr_frame frame;
    for (;;) {
        int rc = source->class->read(source, &frame, 0, &err);
        if (rc == 0)
            rc = source->class->read(source, &frame, 1000000, &err);
        if (rc < 0)
            die("read", &err);
        if (rc > 0 && frame.kind == TR_FRAME_LOG) {
            count(sum, frame.data, frame.len);
            if (decoder != NULL)
                decode_frame(&frame);
        } else if (rc > 0 && frame.end >= end) {
            return;
        }
        if (source->class->acknowledge(source, NULL, rc == 0, &err) < 0)
            die("acknowledge", &err);
    }
}

static void
drain_plain(struct tr_postgres_source *source, uint64_t end, struct drained *sum)
{
    char *message;
    PQsetnonblocking(source->repl, 0);
    for (;;) {
        int n = PQgetCopyData(source->repl, &message, 0);
        if (n < 0) {
            fprintf(stderr, "plain: %s\n", PQerrorMessage(source->repl));
            exit(1);
        }
        uint64_t at;
        memcpy(&at, message + 1, sizeof at);
        at = __builtin_bswap64(at);
        if (message[0] == 'w')
            count(sum, (const uint8_t *)message + 25, (size_t)n - 25);
        bool last = message[0] == 'k' && at >= end;
        PQfreemem(message);
        if (last)
            return;
    }
}

static struct tr_settings *
settings_for(char **argv)
{
    struct tr_error err;
    struct tr_settings *settings = tr_settings_new();
    if (tr_settings_add_table(settings, base_options, &err) < 0 ||
        tr_settings_add_table(settings, tr_postgres_source.options, &err) < 0 ||
        tr_settings_set(settings, "source", "source", argv[1], false, "argument", &err) < 0 ||
        tr_settings_set(settings, "source", "slot", argv[2], false, "argument", &err) < 0 ||
        tr_settings_set(settings, "source", "publication", argv[3], false, "argument", &err) < 0 ||
        tr_settings_set(settings, "source", "streaming", "off", false, "argument", &err) < 0)
        die("settings", &err);
    return settings;
}

static void
report(const char *mode, const struct drained *sum, double seconds, double server)
{
    struct rusage own;
    getrusage(RUSAGE_SELF, &own);
    double cpu = (double)own.ru_utime.tv_sec + (double)own.ru_stime.tv_sec +
                 1e-6 * (double)(own.ru_utime.tv_usec + own.ru_stime.tv_usec);
    printf("%-6s %9llu rows %9llu frames %7.1f MB %7.2f s %9.0f rows/s  walsender %5.2f s  reader %5.2f s\n",
           mode, (unsigned long long)sum->rows, (unsigned long long)sum->frames, (double)sum->bytes / 1e6,
           seconds, (double)sum->rows / seconds, server, cpu);
}

int
main(int argc, char **argv)
{
    if (argc < 5) {
        fprintf(stderr, "usage: drain_postgres URL SLOT PUBLICATION burst|plain [decode]\n");
        return 2;
    }
    struct tr_error err;
    struct tr_log log;
    tr_log_init(&log, 2, TR_LOG_INFO, TR_LOG_TEXT, "drain");
    struct tr_settings *settings = settings_for(argv);
    struct tr_source_env env = { .task = "drain", .settings = settings, .log = &log };
    struct tr_source *source;
    if (tr_postgres_source.open(&env, &source, &err) < 0)
        die("open", &err);
    char position[256];
    struct tr_postgres_slot slot;
    uint64_t end;
    if (tr_postgres_slot_look(tr_postgres(source), &slot, &err) < 0 ||
        tr_postgres_slot_fit(tr_postgres(source), &slot, &err) < 0 ||
        tr_postgres_server_end(tr_postgres(source), &end, &err) < 0)
        die("slot", &err);
    tr_pg_lsn_text(slot.confirmed_lsn, position);
    if (argc > 5) {
        struct tr_decoder_config config = { .max_value = 1 << 30, .source_format = source->decoder_format };
        if (source->class->decoder->open(&config, &decoder, &err) < 0)
            die("decoder", &err);
        batch = tr_batch_new();
    }
    if (source->class->start(source, position, &err) < 0)
        die("start", &err);
    if (tr_postgres_slot_look(tr_postgres(source), &slot, &err) < 0)
        die("slot", &err);
    double server = cpu_of(slot.active_pid);
    int64_t began = tr_clock_us();
    struct drained sum = { 0 };
    if (strcmp(argv[4], "plain") == 0)
        drain_plain(tr_postgres(source), end, &sum);
    else
        drain_burst(source, end, &sum);
    double seconds = (double)(tr_clock_us() - began) / 1e6;
    report(argv[4], &sum, seconds, cpu_of(slot.active_pid) - server);
    if (decoder != NULL) {
        decoder->class->close(decoder);
        tr_batch_free(batch);
    }
    tr_postgres_source.close(source);
    tr_settings_free(settings);
    return 0;
}
