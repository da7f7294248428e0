/* plan.c - what the planner (sinks/sql/plan.h) asks of a target of MySQL's family: maps of tables, and truncates. */
#include "core/memory.h"
#include "sinks/mysql/apply.h"

static int
map(void *arg, struct tr_relation *relation, struct tr_sql_map **out, struct tr_error *err)
{
    struct tr_my_map *map;
    int rc = tr_my_map_get(arg, relation, &map, err);
    if (rc == 0)
        *out = &map->plan;
    return rc;
}

int
tr_my_truncate_statement(struct tr_mysql_sink *sink, struct tr_relation *relation, struct tr_buffer *out,
                         struct tr_error *err)
{
    struct tr_my_map *map;
    int rc = tr_my_map_get(sink, relation, &map, err);
    if (rc < 0)
        return rc;
    tr_buffer_text(out, "DELETE FROM ");
    tr_mysql_qualified(out, map->table->database, map->table->name);
    return 0;
}

static int
truncate_tables(void *arg, struct tr_sql_plan *plan, const struct tr_event *event, struct tr_error *err)
{
    struct tr_buffer sql;
    int rc = 0;
    tr_buffer_init(&sql, TR_BUFFER_MAX);
    for (uint32_t i = 0; rc == 0 && i < event->truncate.nrelations; i++) {
        if (event->truncate.relations[i]->skip)
            continue;
        tr_buffer_reset(&sql);
        rc = tr_my_truncate_statement(arg, event->truncate.relations[i], &sql, err);
        if (rc == 0)
            tr_sql_plan_statement(plan, sql.data, event);
    }
    tr_buffer_fini(&sql);
    return rc;
}

static int
cascades(void *arg, const struct tr_event *event, struct tr_error *err)
{
    struct tr_my_apply *apply = ((struct tr_mysql_sink *)arg)->apply;
    if ((event->flags & TR_ROW_CASCADES) == 0)
        return 0;
    int rc = tr_my_cascades_load(apply, err);
    return rc < 0 ? rc : tr_my_cascades(apply, event);
}

int
tr_my_plan(struct tr_mysql_sink *sink, struct tr_sql_group *group, struct tr_error *err)
{
    struct tr_my_apply *apply = sink->apply;
    const struct tr_sql_target target = {
        .arg = sink, .map = map, .truncate = truncate_tables, .cascades = cascades
    };
    return tr_sql_plan(&apply->base.planner, &group->plan, group->first, tr_sql_oldest(&apply->base), &target,
                       err);
}
