/*
 * state.c - the task's state in a compacted topic of one partition: what exactly_once commits together with the rows.
 *
 * Keys and values are plain text: "position", "identity", "phase", "owner", "part" (a source transaction committed in parts),
 * "table:schema.name" with "done POSITION" or "begun POSITION", and for doubt.c "rows" and "closing". The newest committed value of a key holds; no
 * value = removed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/memory.h"
#include "sinks/kafka/internal.h"

#define READ_US (30 * TR_US_PER_S)

void
state_fini(struct kafka_state *state)
{
    tr_checkpoint_fini(&state->checkpoint);
    free(state->owner);
    free(state->rows);
    memset(state, 0, sizeof(*state));
}

int
state_make(struct kafka_sink *sink, struct tr_error *err)
{
    /* Small segments: only closed ones are compacted, and a start reads all that is left. */
    static const char *const config[] = { "cleanup.policy=compact", "segment.bytes=4194304",
                                          "min.cleanable.dirty.ratio=0.1" };
    int64_t replication = tr_setting_int(sink->base.env->settings, "topic_replication");
    if (topic_exists(sink, sink->state_topic))
        return 0;
    if (!sink->create_topics) {
        tr_fail(err, TR_REFUSED, "topic %s, for the task's state, does not exist, and create_topics is off",
                sink->state_topic);
        return tr_error_hint(
            err, "make it with one partition and cleanup.policy=compact, or set create_topics: true");
    }
    return topic_create(sink, sink->state_topic, 1, replication > 0 ? (int)replication : -1, config,
                        sizeof(config) / sizeof(config[0]), err);
}

static void
set_text(char **to, const char *text)
{
    free(*to);
    *to = tr_strdup(text);
}

static bool
take_table(struct kafka_state *state, const char *table, const char *value)
{
    bool done = value != NULL && strncmp(value, "done ", 5) == 0;
    if (value == NULL)
        return false;
    if (!done && strncmp(value, "begun ", 6) != 0)
        return false;
    tr_checkpoint_set_table(&state->checkpoint, table, value + (done ? 5 : 6), done);
    return true;
}

/* One record; false when it is none of ours. */
static bool
take_record(struct kafka_state *state, const char *key, const char *value)
{
    if (strcmp(key, "position") == 0)
        set_text(&state->checkpoint.position, value);
    else if (strcmp(key, "identity") == 0)
        set_text(&state->checkpoint.identity, value);
    else if (strcmp(key, "phase") == 0)
        set_text(&state->checkpoint.phase, value);
    else if (strcmp(key, "owner") == 0)
        set_text(&state->owner, value);
    else if (strcmp(key, "rows") == 0)
        set_text(&state->rows, value != NULL ? value : "");
    else if (strcmp(key, "closing") == 0)
        return true;
    else if (strncmp(key, "table:", 6) == 0)
        return take_table(state, key + 6, value);
    else if (strcmp(key, "part") == 0) {
        state->part_order = state->part_events = 0;
        state->part_gtid[0] = '\0';
        return value == NULL || sscanf(value, "%" SCNu64 " %" SCNu64 " %127s", &state->part_order,
                                       &state->part_events, state->part_gtid) >= 2;
    } else
        return false;
    return true;
}

struct reading {
    struct kafka_sink *sink;
    struct kafka_state *state;
    int64_t seen; /* offset of the newest record */
};

static int
read_record(void *arg, const char *key, const char *value, int64_t offset, struct tr_error *err)
{
    struct reading *reading = arg;
    reading->seen = offset;
    if (strcmp(key, "rows") == 0)
        reading->state->rows_offset = offset;
    if (take_record(reading->state, key, value))
        return 0;
    tr_fail(err, TR_REFUSED, "topic %s holds a record that no task wrote (offset %" PRId64 ")",
            reading->sink->state_topic, offset);
    return tr_error_hint(err, "name another one with checkpoint_topic");
}

int
state_read(struct kafka_sink *sink, int64_t up_to, struct kafka_state *state, struct tr_error *err)
{
    struct reading reading = { .sink = sink, .state = state, .seen = -1 };
    struct tr_kafka_reader reader;
    memset(state, 0, sizeof(*state));
    state->rows_offset = -1;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, tr_kafka_no_log);
    int rc = kafka_configure(sink, conf, false, err);
    if (rc < 0) {
        rd_kafka_conf_destroy(conf);
        return rc;
    }
    rc = tr_kafka_reader_open(&sink->client, conf, sink->state_topic, &reader, err);
    if (rc < 0)
        return rc;
    int64_t deadline = tr_clock_us() + READ_US;
    do
        rc = tr_kafka_read_on(&reader, true, deadline, read_record, &reading, err);
    while (rc == 0 && reading.seen < up_to);
    tr_kafka_reader_close(&reader);
    if (rc < 0)
        state_fini(state);
    return rc;
}

int
state_write_table(struct kafka_sink *sink, const char *table, const char *position, bool done,
                  struct tr_error *err)
{
    char *key = tr_asprintf("table:%s", table),
         *value = tr_asprintf("%s %s", done ? "done" : "begun", position);
    int rc = produce_state(sink, key, value, err);
    free(key);
    free(value);
    return rc;
}
