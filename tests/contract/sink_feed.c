/* sink_feed.c - see sink_feed.h. */
#include "tests/contract/sink_feed.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/postgres/connection.h"
#include "core/clock.h"
#include "core/memory.h"
#include "pipeline/task.h"
#include "sinks/postgres/postgres.h"

static void
die(const struct feed *feed, const char *what)
{
    fprintf(stderr, "%s: %s (%s)\n", what, feed->error.text, feed->error.hint);
    abort();
}

static void
on_durable(void *arg, uint64_t sequence, const char *state)
{
    struct feed *feed = arg;
    (void)state;
    if (sequence <= feed->durable)
        abort();
    feed->durable = sequence;
}

static void
on_misfit(void *arg, uint64_t count)
{
    (void)arg;
    (void)count;
}

static void
on_conflict(void *arg, const char *table, const char *what)
{
    struct feed *feed = arg;
    (void)table;
    feed->conflicts++;
    snprintf(feed->last_conflict, sizeof feed->last_conflict, "%s", what);
}

void
feed_open(struct feed *feed, const char *url, int workers, ...)
{
    char number[16];
    va_list args;
    memset(feed, 0, sizeof *feed);
    feed->url = url;
    feed->settings = tr_settings_new();
    if (tr_settings_add_table(feed->settings, tr_task_options, &feed->error) < 0 ||
        tr_settings_add_table(feed->settings, tr_postgres_sink.options, &feed->error) < 0)
        die(feed, "options");
    snprintf(number, sizeof number, "%d", workers);
    tr_settings_set(feed->settings, "", "workers", number, false, "test", &feed->error);
    tr_settings_set(feed->settings, "target", "target", url, false, "test", &feed->error);
    va_start(args, workers);
    for (const char *name; (name = va_arg(args, const char *)) != NULL;)
        if (tr_settings_set(feed->settings, NULL, name, va_arg(args, const char *), false, "test",
                            &feed->error) < 0)
            die(feed, name);
    va_end(args);
    tr_log_init(&feed->log, 2, getenv("FEED_LOG") != NULL ? TR_LOG_DEBUG : TR_LOG_ERROR, TR_LOG_TEXT, "test");
    feed->env = (struct tr_sink_env){ .task = "test",
                                      .settings = feed->settings,
                                      .log = &feed->log,
                                      .source_name = "postgresql",
                                      .source_dialect = "postgresql",
                                      .memory = 64 << 20,
                                      .wake_fd = -1,
                                      .arg = feed,
                                      .durable = on_durable,
                                      .conflict = on_conflict,
                                      .misfit = on_misfit };
    feed->next_sequence = 1;
    if (tr_postgres_sink.open(&feed->env, &feed->sink, &feed->error) < 0)
        die(feed, "open");
    struct tr_checkpoint checkpoint;
    if (tr_postgres_sink.load_checkpoint(feed->sink, &checkpoint, &feed->error) < 0)
        die(feed, "load_checkpoint");
    feed->lsn = 0x1000;
    if (checkpoint.position != NULL)
        tr_pg_lsn_parse(checkpoint.position, &feed->lsn);
    tr_checkpoint_fini(&checkpoint);
    feed->conn = PQconnectdb(url);
    if (PQstatus(feed->conn) != CONNECTION_OK)
        abort();
}

void
feed_close(struct feed *feed)
{
    tr_postgres_sink.close(feed->sink);
    tr_settings_free(feed->settings);
    PQfinish(feed->conn);
}

void
feed_sql(struct feed *feed, const char *sql)
{
    PGresult *res = PQexec(feed->conn, sql);
    ExecStatusType status = PQresultStatus(res);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        fprintf(stderr, "%s: %s", sql, PQerrorMessage(feed->conn));
        abort();
    }
    PQclear(res);
}

char *
feed_ask(struct feed *feed, const char *sql)
{
    PGresult *res = PQexec(feed->conn, sql);
    if (PQresultStatus(res) != PGRES_TUPLES_OK) {
        fprintf(stderr, "%s: %s", sql, PQerrorMessage(feed->conn));
        abort();
    }
    char *text = tr_strdup(PQntuples(res) > 0 && !PQgetisnull(res, 0, 0) ? PQgetvalue(res, 0, 0) : "");
    PQclear(res);
    return text;
}

static const struct {
    const char *name;
    const char *native;
    uint32_t oid;
    enum tr_logical logical;
} types[] = {
    { "int4", "integer", 23, TR_INT32 },
    { "int8", "bigint", 20, TR_INT64 },
    { "text", "text", 25, TR_TEXT },
    { "numeric", "numeric", 1700, TR_DECIMAL },
    { "json", "json", 114, TR_JSON },
    { "timestamp", "timestamp without time zone", 1114, TR_TIMESTAMP },
    { "bpchar", "character(22)", 1042, TR_CHAR },
    { "varchar3", "character varying(3)", 1043, TR_TEXT },
    { "intarray", "integer[]", 1007, TR_ARRAY },
    { "point", "point", 600, TR_POINT },
};

static void
set_column(struct tr_relation *relation, struct tr_column *column, const char *spec, char identity)
{
    char *copy = tr_arena_strdup(&relation->arena, spec), *type, *key = NULL;
    column->name = copy;
    type = strchr(copy, ':');
    *type++ = '\0';
    if ((key = strchr(type, ':')) != NULL)
        *key++ = '\0';
    column->type_mod = column->length = column->precision = column->scale = -1;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcmp(types[i].name, type) != 0)
            continue;
        column->native = types[i].native;
        column->type_id = column->base_type_id = types[i].oid;
        column->logical = types[i].logical;
    }
    if (column->native == NULL)
        abort();
    column->key = key != NULL ? 1 : 0;
    column->identity = identity == 'f' || key != NULL ? 1 : 0;
}

struct tr_relation *
feed_relation(const char *table, uint32_t number, int identity, ...)
{
    struct tr_relation *relation = tr_relation_new();
    struct tr_column *columns = tr_arena_zalloc(&relation->arena, 16 * sizeof *columns);
    va_list args;
    va_start(args, identity);
    for (const char *spec; (spec = va_arg(args, const char *)) != NULL;) {
        set_column(relation, &columns[relation->ncolumns], spec, (char)identity);
        columns[relation->ncolumns].number = (uint16_t)(relation->ncolumns + 1);
        relation->ncolumns++;
    }
    va_end(args);
    relation->columns = columns;
    relation->number = number;
    relation->version = 1;
    relation->id = 1000 + number;
    relation->kind = 'r';
    relation->replica_identity = (char)identity;
    relation->schema = relation->target_schema = "public";
    relation->name = relation->target_name = tr_arena_strdup(&relation->arena, table);
    tr_relation_index_keys(relation);
    return relation;
}

void
feed_begin(struct feed *feed, struct tr_batch *batch, bool begins)
{
    struct tr_txn *txn = tr_batch_txn(batch);
    txn->xid = feed->lsn;
    txn->begins = begins;
}

void
feed_end(struct feed *feed, struct tr_batch *batch)
{
    struct tr_txn *txn = &batch->txns[batch->ntxns - 1];
    feed->lsn += 8;
    txn->commit_order = txn->end_order = feed->lsn;
    txn->ends = true;
}

static struct tr_value *
image(struct tr_batch *batch, const struct tr_relation *relation, const char *const *texts)
{
    if (texts == NULL)
        return NULL;
    struct tr_value *row = tr_arena_zalloc(&batch->arena, relation->ncolumns * sizeof *row);
    for (uint16_t i = 0; i < relation->ncolumns; i++) {
        if (texts[i] == FEED_ABSENT)
            continue;
        row[i].state = texts[i] != NULL ? TR_PRESENT : TR_NULL;
        if (texts[i] == NULL)
            continue;
        row[i].len = (uint32_t)strlen(texts[i]);
        row[i].data = tr_arena_copy(&batch->arena, texts[i], row[i].len);
    }
    return row;
}

void
feed_change(struct feed *feed, struct tr_batch *batch, enum tr_event_kind kind, struct tr_relation *relation,
            const char *const *before, const char *const *after)
{
    struct tr_event *event = tr_batch_event(batch);
    event->kind = (uint8_t)kind;
    event->relation = relation;
    event->position = ++feed->lsn;
    event->before = image(batch, relation, before);
    event->after = image(batch, relation, after);
    event->before_kind = before != NULL ? TR_BEFORE_KEY : TR_BEFORE_NONE;
    tr_batch_hold(batch, relation);
    batch->rows++;
}

int
feed_write(struct feed *feed, struct tr_batch *batch, bool at_commit)
{
    char lsn[24];
    batch->sequence = feed->next_sequence++;
    tr_pg_lsn_text(feed->lsn, lsn);
    if (at_commit)
        batch->checkpoint = tr_arena_strdup(&batch->arena, lsn);
    return tr_postgres_sink.write(feed->sink, batch, &feed->error);
}

int
feed_flush(struct feed *feed)
{
    return tr_postgres_sink.flush(feed->sink, tr_clock_us() + 60 * TR_US_PER_S, &feed->error);
}
