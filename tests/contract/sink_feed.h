/* sink_feed.h - hand-made relations and batches, and a PostgreSQL sink to write them to. */
#ifndef TR_TESTS_SINK_FEED_H
#define TR_TESTS_SINK_FEED_H

#include <libpq-fe.h>

#include "core/batch.h"
#include "sinks/sink.h"

struct feed {
    const char *url;
    struct tr_settings *settings;
    struct tr_log log;
    struct tr_sink_env env;
    struct tr_sink *sink;
    uint64_t next_sequence, durable;
    uint64_t lsn;
    unsigned conflicts;
    char last_conflict[64];
    PGconn *conn; /* to look with */
    struct tr_error error;
};

/* workers, then name=value settings, NULL at the end. The sink is open and its checkpoint loaded. */
void feed_open(struct feed *feed, const char *url, int workers, ...);
void feed_close(struct feed *feed);
void feed_sql(struct feed *feed, const char *sql);
/* One text; the caller frees it. */
char *feed_ask(struct feed *feed, const char *sql);

/* A relation of text-coded columns: "id:int4:key", "v:text", ... NULL at the end. */
struct tr_relation *feed_relation(const char *table, uint32_t number, int identity, ...);

/* begin a transaction in the batch; changes; end. A value is text, or NULL, or FEED_ABSENT. */
#define FEED_ABSENT ((const char *)-1)
void feed_begin(struct feed *feed, struct tr_batch *batch, bool begins);
void feed_end(struct feed *feed, struct tr_batch *batch);
void feed_change(struct feed *feed, struct tr_batch *batch, enum tr_event_kind kind,
                 struct tr_relation *relation, const char *const *before, const char *const *after);
/* Gives the batch its sequence (and its checkpoint when it ends at a commit) and writes it. */
int feed_write(struct feed *feed, struct tr_batch *batch, bool at_commit);
int feed_flush(struct feed *feed);

/* For tests: a row's texts; a query's one text; a call that must succeed. */
#define ROW(...) ((const char *const[]){ __VA_ARGS__ })

#define assert_sql(feed, sql, expected)         \
    do {                                        \
        char *answer_ = feed_ask(feed, sql);    \
        assert_string_equal(answer_, expected); \
        free(answer_);                          \
    } while (0)

#define assert_ok(feed, call)                              \
    do {                                                   \
        int rc_ = (call);                                  \
        if (rc_ < 0)                                       \
            fail_msg("%s: %s", #call, (feed)->error.text); \
    } while (0)

#endif
