/* inspect.c - the commands that look at a task's two ends, or forget it, without running it. */
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "pipeline/internal.h"
#include "schema/ddl.h"
#include "schema/schema.h"

static int
open_source(struct tr_task *task, struct tr_error *err)
{
    int r = task->config.source->open(&task->source_env, &task->source, err);
    return r;
}

static int
open_sink(struct tr_task *task, struct tr_error *err)
{
    task->sink_env.wake_fd = -1;
    int r = task->config.sink->open(&task->sink_env, &task->sink, err);
    return r;
}

static void
close_both(struct tr_task *task)
{
    if (task->sink != NULL)
        task->config.sink->close(task->sink);
    if (task->source != NULL)
        task->config.source->close(task->source);
    task->sink = NULL;
    task->source = NULL;
    tr_task_free(task);
}

/* A server that cannot be reached is a finding like any other; a wrong configuration is not. */
static int
as_finding(const struct tr_findings *findings, const char *id, int result, const struct tr_error *err)
{
    if (result == 0 || result == -TR_CONFIG)
        return result;
    findings->add(findings->arg, TR_FINDING_ERROR, id, NULL, err->text,
                  err->hint[0] != '\0' ? err->hint : NULL);
    return 0;
}

static void
add_unmatched(void *arg, const char *pattern)
{
    const struct tr_findings *findings = arg;
    findings->add(findings->arg, TR_FINDING_WARNING, "tables-unmatched", pattern,
                  "no table of the source fits this pattern, or the source's user may not see it", NULL);
}

/* The task's tables and nothing else of them, for a sink that makes none but looks at their names. */
static struct tr_schema *
only_tables(struct tr_task *task, const struct tr_relation_list *list)
{
    struct tr_schema *schema = tr_schema_new("");
    schema->tables = tr_arena_zalloc(&schema->arena, (list->count + 1) * sizeof(*schema->tables));
    for (size_t i = 0; i < list->count; i++) {
        tr_mapping_route(task->mapping, list->items[i]);
        if (!list->items[i]->skip)
            schema->tables[schema->ntables++].relation = tr_relation_ref(list->items[i]);
    }
    return schema;
}

static int
check_patterns(struct tr_task *task, const struct tr_findings *findings, struct tr_schema **schema,
               struct tr_error *err)
{
    struct tr_relation_list list = { 0 };
    int r = task->config.source->relations(task->source, &list, err);
    if (r == 0)
        tr_mapping_unmatched(task->mapping, list.items, list.count, add_unmatched,
                             (void *)(uintptr_t)findings);
    if (r == 0 && task->config.sink->dialect == NULL)
        *schema = only_tables(task, &list);
    tr_relation_list_free(&list);
    return r;
}

static int
check_source(struct tr_task *task, const struct tr_findings *findings, struct tr_schema **schema,
             struct tr_error *err)
{
    const struct tr_source_class *source = task->config.source;
    int r = open_source(task, err);
    if (r == 0 && source->check != NULL)
        r = source->check(task->source, findings, err);
    if (r == 0)
        r = check_patterns(task, findings, schema, err);
    if (r == 0 && task->config.sink->dialect != NULL && source->schema != NULL)
        r = source->schema(task->source, schema, err);
    return as_finding(findings, "source", r, err);
}

/* What the start would refuse; tables that are to be there already have names that the target takes. */
static void
check_names(struct tr_task *task, const struct tr_findings *findings, struct tr_schema *schema)
{
    const struct tr_settings *settings = task->config.settings;
    const char *dialect = task->config.sink->dialect;
    struct tr_error err;
    if (schema == NULL || dialect == NULL || strcmp(tr_setting_string(settings, "schema"), "create") != 0 ||
        strcmp(tr_setting_string(settings, "mode"), "cdc") == 0)
        return;
    tr_task_route_schema(task, schema);
    for (uint32_t t = 0; t < schema->ntables; t++) {
        if (schema->tables[t].parent != 0 || tr_ddl_names_fit(schema, dialect, t, &err) == 0)
            continue;
        char *object = tr_asprintf("%s.%s", schema->tables[t].relation->schema,
                                   schema->tables[t].relation->name);
        findings->add(findings->arg, TR_FINDING_ERROR, "target-names", object, err.text, err.hint);
        free(object);
    }
}

static int
check_sink(struct tr_task *task, const struct tr_findings *findings, const struct tr_schema *schema,
           struct tr_error *err)
{
    int r = open_sink(task, err);
    if (r == 0 && task->config.sink->check != NULL)
        r = task->config.sink->check(task->sink, schema, findings, err);
    if (r == 0 && task->source != NULL)
        r = tr_loop_check(task, findings, err);
    return as_finding(findings, "target", r, err);
}

int
tr_task_check(const struct tr_task_config *config, const struct tr_findings *findings, struct tr_error *err)
{
    struct tr_task *task;
    struct tr_schema *schema = NULL;
    int r = tr_task_new(config, &task, err);
    if (r < 0)
        return r;
    r = check_source(task, findings, &schema, err);
    if (r == 0)
        check_names(task, findings, schema);
    if (r == 0)
        r = check_sink(task, findings, schema, err);
    tr_schema_free(schema);
    close_both(task);
    return r;
}

int
tr_task_schema(const struct tr_task_config *config, struct tr_schema **schema, struct tr_error *err)
{
    struct tr_task *task;
    *schema = NULL;
    int r = tr_task_new(config, &task, err);
    if (r < 0)
        return r;
    r = open_source(task, err);
    if (r == 0)
        r = config->source->schema(task->source, schema, err);
    if (r == 0)
        tr_task_route_schema(task, *schema);
    close_both(task);
    return r;
}

int
tr_task_tables(const struct tr_task_config *config, void (*each)(void *arg, const char *table), void *arg,
               struct tr_error *err)
{
    struct tr_task *task;
    struct tr_relation_list list = { 0 };
    if (tr_task_loads(config->settings, err) < 0)
        return -(int)err->class;
    int r = tr_task_new(config, &task, err);
    if (r < 0)
        return r;
    r = open_source(task, err);
    if (r == 0)
        r = config->source->relations(task->source, &list, err);
    for (size_t i = 0; r == 0 && i < list.count; i++) {
        struct tr_buffer name;
        tr_mapping_route(task->mapping, list.items[i]);
        if (list.items[i]->skip)
            continue;
        tr_buffer_init(&name, 4096);
        tr_buffer_printf(&name, "%s.%s", list.items[i]->schema, list.items[i]->name);
        each(arg, name.data);
        tr_buffer_fini(&name);
    }
    tr_relation_list_free(&list);
    close_both(task);
    return r;
}

/* The store is locked first: a task that runs cannot be dropped under its feet. */
static int
drop_both(struct tr_task *task, struct tr_error *err)
{
    int r = open_source(task, err);
    if (r == 0 && task->config.source->drop != NULL)
        r = task->config.source->drop(task->source, err);
    if (r == 0)
        r = open_sink(task, err);
    if (r == 0 && task->config.sink->drop != NULL)
        r = task->config.sink->drop(task->sink, err);
    return r;
}

int
tr_task_drop(const struct tr_task_config *config, struct tr_error *err)
{
    struct tr_task *task;
    struct tr_offset_store *store = NULL;
    int r = tr_task_new(config, &task, err);
    if (r < 0)
        return r;
    r = config->store->open(tr_task_store_place(config->settings), task->name, NULL, &store, err);
    if (r == 0)
        r = drop_both(task, err);
    if (r == 0)
        r = config->store->drop(store, err);
    if (store != NULL)
        config->store->close(store);
    close_both(task);
    return r;
}
