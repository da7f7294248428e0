/*
 * statement.c - DDL on its way through the assembler: names are mapped, and the statement begins a batch of its own.
 *
 * MySQL's DDL commits by itself. A sink that runs it needs everything before it committed and nothing behind it begun, so no row
 * before a statement shares a batch with it.
 */
#include <stdio.h>
#include <string.h>

#include "pipeline/internal.h"

/* Is the target a database of another engine? It does not run the statements. */
static bool
is_elsewhere(const struct tr_task *task)
{
    const char *dialect = task->config.sink->dialect;
    return dialect != NULL && strcmp(dialect, task->config.source->dialect) != 0;
}

/* Has a table of the task a cut of its own that has seen the statement already? If not, it is wanted. */
static bool
is_wanted(struct tr_task *task, const struct tr_relation *relation, const struct tr_txn *txn)
{
    /* the list of tables may move as the number is given */
    uint32_t number = tr_task_table_number(task, relation->schema, relation->name);
    const struct tr_table_state *table = &task->tables[number - 1];
    return table->cut == NULL || !task->config.source->covers(task->source, table->cut, txn);
}

/* A table gets the name of one whose load was cut short, and which is gone: what that load held is void, and this one comes by the log. */
static void
replace_lost(struct tr_task *task, const struct tr_event *event)
{
    for (uint32_t i = 1; event->ddl.verb == TR_VERB_RENAME_TABLE && i < event->ddl.ntables; i += 2) {
        uint32_t number = tr_task_table_number(task, event->ddl.tables[i].schema, event->ddl.tables[i].name);
        struct tr_table_state *table = &task->tables[number - 1];
        if (table->cut != NULL && table->cut_short)
            tr_table_unguard(task, table);
    }
}

static void
route(struct tr_task *task, struct tr_batch *batch, struct tr_ddl_table *table, const struct tr_txn *txn)
{
    struct tr_relation *relation = tr_relation_new();
    relation->schema = relation->target_schema = table->schema;
    relation->name = relation->target_name = table->name;
    tr_mapping_route(task->mapping, relation);
    table->ours = !relation->skip && tr_mapping_wants(task->mapping, relation->schema, relation->name);
    table->wanted = table->ours && !table->left_out && is_wanted(task, relation, txn);
    table->target_schema = tr_arena_strdup(&batch->arena, relation->target_schema);
    table->target_name = tr_arena_strdup(&batch->arena, relation->target_name);
    tr_relation_unref(relation);
}

static const struct tr_ddl_settings *
copy_settings(struct tr_arena *arena, const struct tr_ddl_settings *from)
{
    if (from == NULL)
        return NULL;
    struct tr_ddl_settings *settings = tr_arena_alloc(arena, sizeof *settings);
    *settings = *from;
    settings->collations = tr_arena_strdup(arena, from->collations);
    return settings;
}

/* The last transaction, which is the statement and nothing else, into a batch of its own. */
static struct tr_batch *
split(struct tr_batch *batch)
{
    struct tr_batch *own = tr_batch_new();
    struct tr_arena *arena = &own->arena;
    const struct tr_txn *from = &batch->txns[batch->ntxns - 1];
    const struct tr_event *statement = &batch->events[batch->nevents - 1];
    struct tr_txn *txn = tr_batch_txn(own);
    *txn = *from;
    txn->first_event = txn->nevents = 0;
    txn->gtid = tr_arena_strdup(arena, from->gtid);
    txn->file = tr_arena_strdup(arena, from->file);
    txn->origin = tr_arena_strdup(arena, from->origin);
    struct tr_event *event = tr_batch_event(own);
    *event = *statement;
    event->ddl.database = tr_arena_strdup(arena, statement->ddl.database);
    event->ddl.text = tr_arena_strdup(arena, statement->ddl.text);
    event->ddl.time_zone = tr_arena_strdup(arena, statement->ddl.time_zone);
    event->ddl.settings = copy_settings(arena, statement->ddl.settings);
    event->ddl.tables = tr_arena_alloc(arena, (statement->ddl.ntables + 1) * sizeof *event->ddl.tables);
    for (uint32_t i = 0; i < statement->ddl.ntables; i++) {
        struct tr_ddl_table *table = &event->ddl.tables[i];
        *table = statement->ddl.tables[i];
        table->schema = table->target_schema = tr_arena_strdup(arena, table->schema);
        table->name = table->target_name = tr_arena_strdup(arena, table->name);
    }
    struct tr_ddl_rename *renames = tr_arena_alloc(arena, (statement->ddl.nrenames + 1) * sizeof *renames);
    for (uint32_t i = 0; i < statement->ddl.nrenames; i++)
        renames[i] = (struct tr_ddl_rename){ tr_arena_strdup(arena, statement->ddl.renames[i].from),
                                             tr_arena_strdup(arena, statement->ddl.renames[i].to) };
    event->ddl.renames = renames;
    event->ddl.offset = tr_arena_strdup(arena, statement->ddl.offset);
    if (statement->ddl.defined != NULL)
        tr_batch_hold(own, statement->ddl.defined);
    own->received_us = batch->received_us;
    batch->nevents--;
    batch->ntxns--;
    return own;
}

static bool
ends_with_statement(const struct tr_batch *batch)
{
    if (batch == NULL || batch->ntxns == 0 || batch->nevents == 0)
        return false;
    const struct tr_txn *last = &batch->txns[batch->ntxns - 1];
    const struct tr_event *event = &batch->events[batch->nevents - 1];
    return event->kind == TR_DDL && event->ddl.ntables > 0 && last->begins && last->nevents == 1;
}

bool
tr_statement_shapes_wanted(const struct tr_task *task)
{
    const struct tr_encoder_class *encoder = task->config.encoder;
    return encoder != NULL && encoder->wants_shapes != NULL && encoder->wants_shapes(task->config.settings) &&
           task->config.source->describe != NULL && task->config.source->definitions != NULL;
}

/* Does it define a generated column for a database of another engine? What its expression means there depends on the types of all columns. */
static bool
computes(const struct tr_task *task, const struct tr_event *event)
{
    const struct tr_relation *defined = event->ddl.defined;
    bool any = false;
    for (uint16_t i = 0; defined != NULL && !any && i < defined->ncolumns; i++)
        any = defined->columns[i].generated;
    return any && is_elsewhere(task) && task->config.source->describe != NULL && event->ddl.tables[0].wanted;
}

/* The statement's tables as the catalogue has them, where they are asked for: the log itself has no shape before the next row. */
static int
describe(struct tr_task *task, struct tr_batch *own, struct tr_event *event, struct tr_error *err)
{
    bool all = tr_statement_shapes_wanted(task) && event->ddl.verb != TR_VERB_DROP_TABLE;
    uint32_t count = all ? event->ddl.ntables : computes(task, event) ? 1 : 0;
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < count; i++) {
        struct tr_ddl_table *table = &event->ddl.tables[i];
        struct tr_relation *shape = NULL;
        if (table->ours)
            rc = task->config.source->describe(task->source, table->schema, table->name, &shape, err);
        if (shape == NULL)
            continue;
        tr_mapping_route(task->mapping, shape);
        tr_batch_hold(own, shape);
        tr_relation_unref(shape);
        table->shape = shape;
    }
    return rc;
}

/* Rows that move with their partition are in the log by the statement alone, which only a target of the same engine runs. */
static void
tell_moved(const struct tr_task *task, const struct tr_event *event)
{
    const struct tr_ddl_table *table = &event->ddl.tables[0];
    if (event->ddl.moves_rows && table->wanted && is_elsewhere(task))
        tr_log(
            task->config.log, TR_LOG_WARNING, "pipeline",
            "the source moved rows of %s.%s of which the log tells nothing, and the target's stay as they are (do the same there, or tailrace reload the table): %.200s",
            table->schema, table->name, event->ddl.text);
}

/* Has the target the table's rows by a load of this task? */
static bool
is_held(struct tr_task *task, const struct tr_ddl_table *table)
{
    if (!table->wanted)
        return false;
    const struct tr_table_state
        *state = &task->tables[tr_task_table_number(task, table->schema, table->name) - 1];
    return state->known && !state->cut_short && !state->pending;
}

/* Another engine's target keeps a table that is dropped. */
static void
tell_gone(struct tr_task *task, const struct tr_event *event)
{
    for (uint32_t i = 0; event->ddl.verb == TR_VERB_DROP_TABLE && i < event->ddl.ntables; i++)
        if (is_elsewhere(task) && is_held(task, &event->ddl.tables[i]))
            tr_log(task->config.log, TR_LOG_WARNING, "pipeline",
                   "the source dropped table %s.%s; the target keeps it, and its rows",
                   event->ddl.tables[i].schema, event->ddl.tables[i].name);
}

/* Under `ddl: ignore` it is only said. */
static int
refuse_unless_ignored(struct tr_task *task, struct tr_error *err)
{
    const char *ddl = tr_setting_string(task->config.settings, "ddl");
    if (ddl == NULL || strcmp(ddl, "ignore") != 0)
        return -TR_REFUSED;
    tr_log_error(task->config.log, TR_LOG_WARNING, "pipeline", err);
    tr_error_clear(err);
    return 0;
}

/* A name that the target has goes to another table: the target's rows are those of the one that had it before, and no log tells which ones the other has. What an online schema change puts in its place has the same. */
static int
check_renamed(struct tr_task *task, const struct tr_event *event, struct tr_error *err)
{
    const struct tr_ddl_table *tables = event->ddl.tables;
    int rc = 0;
    for (uint32_t i = 1; rc == 0 && is_elsewhere(task) && i < event->ddl.ntables; i++) {
        bool pair = event->ddl.verb == TR_VERB_RENAME_TABLE && i % 2 == 1;
        bool alone = event->ddl.verb == TR_VERB_ALTER_TABLE && tables[i].renamed;
        const struct tr_ddl_table *from = &tables[pair ? i - 1 : 0], *to = &tables[i];
        if ((!pair && !alone) || from->left_out || !is_held(task, to))
            continue;
        tr_fail(
            err, TR_REFUSED,
            "the source gave the name %s.%s to another table (%s.%s), and the target's has the rows of the one before",
            to->schema, to->name, from->schema, from->name);
        tr_error_hint(
            err,
            "order `tailrace reload --table %s.%s` and start again: it is then loaded. Where it has other columns, drop the target's table %s.%s before",
            to->schema, to->name, to->target_schema, to->target_name);
        rc = refuse_unless_ignored(task, err);
    }
    return rc;
}

/* CREATE TABLE IF NOT EXISTS, which may have done nothing? */
static bool
may_be_there(const struct tr_event *event)
{
    char head[256];
    uint32_t n = event->ddl.tables[0].at;
    snprintf(head, sizeof head, "%.*s", (int)(n < sizeof head ? n : sizeof head - 1), event->ddl.text);
    return strcasestr(head, "EXISTS") != NULL;
}

/* DROP DATABASE takes tables with it without naming them: the target keeps its own. */
static void
tell_dropped(struct tr_task *task, const struct tr_batch *batch)
{
    const struct tr_event *event = batch != NULL && batch->nevents > 0 ? &batch->events[batch->nevents - 1]
                                                                       : NULL;
    if (event == NULL || event->kind != TR_DDL || event->ddl.drops == NULL)
        return;
    const struct tr_txn *txn = &batch->txns[batch->ntxns - 1];
    size_t len = strlen(event->ddl.drops);
    uint32_t count = 0;
    for (uint32_t i = 0; i < task->ntables; i++) {
        const struct tr_table_state *table = &task->tables[i];
        bool inside = strncmp(table->name, event->ddl.drops, len) == 0 && table->name[len] == '.';
        bool held = table->known && !table->cut_short && !table->pending;
        count += inside && held &&
                 (table->cut == NULL || !task->config.source->covers(task->source, table->cut, txn));
    }
    if (count > 0)
        tr_log(
            task->config.log, TR_LOG_WARNING, "pipeline",
            "the source dropped database %s with %u tables of the task; the target keeps them, and their rows",
            event->ddl.drops, count);
}

/* A statement that makes a table which the target has says that the source's was dropped: what the target holds are the old one's rows, and nothing of the log removes them. */
static int
check_made_anew(struct tr_task *task, const struct tr_event *event, struct tr_error *err)
{
    const struct tr_ddl_table *table = &event->ddl.tables[0];
    if (event->ddl.verb != TR_VERB_CREATE_TABLE || !is_elsewhere(task) || !is_held(task, table) ||
        may_be_there(event))
        return 0;
    tr_fail(err, TR_REFUSED,
            "the source dropped table %s.%s and made it anew; the target's holds the rows of the old one",
            table->schema, table->name);
    tr_error_hint(
        err,
        "drop the target's table %s.%s, order `tailrace reload --table %s.%s` and start again: it is then loaded",
        table->target_schema, table->target_name, table->schema, table->name);
    return refuse_unless_ignored(task, err);
}

int
tr_statement_batch(struct tr_task *task, struct tr_batch *batch, struct tr_batch **out, struct tr_error *err)
{
    *out = NULL;
    tell_dropped(task, batch);
    if (!ends_with_statement(batch))
        return 0;
    struct tr_batch *own = batch->ntxns > 1 ? split(batch) : batch;
    struct tr_event *event = &own->events[0];
    replace_lost(task, event);
    for (uint32_t i = 0; i < event->ddl.ntables; i++)
        route(task, own, &event->ddl.tables[i], &own->txns[0]);
    if (event->ddl.defined != NULL)
        tr_mapping_route(task->mapping, event->ddl.defined);
    tell_moved(task, event);
    tell_gone(task, event);
    int rc = check_renamed(task, event, err);
    if (rc == 0)
        rc = check_made_anew(task, event, err);
    if (rc == 0)
        rc = describe(task, own, event, err);
    if (rc < 0 && own != batch)
        tr_batch_free(own);
    else
        *out = own;
    return rc;
}

bool
tr_statement_leads(const struct tr_batch *batch)
{
    return batch->nevents > 0 && batch->events[0].kind == TR_DDL && batch->events[0].ddl.ntables > 0;
}
