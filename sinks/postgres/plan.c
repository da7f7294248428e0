/* plan.c - what the planner (sinks/sql/plan.h) asks of a PostgreSQL target: maps of tables whose shapes are known, and truncates. */
#include "core/memory.h"
#include "sinks/postgres/shape.h"

struct asked {
    struct tr_postgres_sink *sink;
    uint64_t group;
    bool learnt; /* something of a table's shape is to be stored with this group */
};

/* A relation that is new to the sink: is the target's table of its shape? */
static int
map(void *arg, struct tr_relation *relation, struct tr_sql_map **out, struct tr_error *err)
{
    struct asked *asked = arg;
    struct tr_pg_map *map;
    int rc = 0;
    if (!tr_pg_map_known(asked->sink->apply, relation))
        rc = tr_pg_shape_first_use(asked->sink, relation, asked->group, &asked->learnt, err);
    if (rc == 0)
        rc = tr_pg_map_get(asked->sink, relation, &map, err);
    if (rc == 0)
        *out = &map->plan;
    return rc;
}

static int
truncate_tables(void *arg, struct tr_sql_plan *plan, const struct tr_event *event, struct tr_error *err)
{
    const struct asked *asked = arg;
    struct tr_buffer sql;
    tr_buffer_init(&sql, TR_BUFFER_MAX);
    int rc = tr_pg_truncate_statement(asked->sink, event, &sql, err);
    if (rc == 0)
        tr_sql_plan_statement(plan, sql.data, event);
    tr_buffer_fini(&sql);
    return rc;
}

static int
cascades(void *arg, const struct tr_event *event, struct tr_error *err)
{
    return tr_pg_cascades(((struct asked *)arg)->sink, event, err);
}

/* What was learnt is stored in the group's own transaction. */
static void
plan_shapes(const struct tr_postgres_sink *sink, struct tr_sql_plan *plan)
{
    const struct tr_pg_apply *apply = sink->apply;
    struct tr_buffer sql;
    tr_buffer_init(&sql, TR_BUFFER_MAX);
    for (uint32_t i = 0; i < apply->nshapes; i++) {
        if (apply->shapes[i]->writer != plan->number)
            continue;
        tr_buffer_reset(&sql);
        tr_pg_shape_statement(sink, apply->shapes[i], &sql);
        tr_sql_step_add(&plan->free)->sql = tr_arena_strdup(&plan->arena, sql.data);
    }
    tr_buffer_fini(&sql);
}

int
tr_pg_plan(struct tr_postgres_sink *sink, struct tr_sql_group *group, struct tr_error *err)
{
    struct tr_pg_apply *apply = sink->apply;
    struct asked asked = { .sink = sink, .group = group->plan.number };
    const struct tr_sql_target target = { .arg = &asked,
                                          .map = map,
                                          .truncate = truncate_tables,
                                          .cascades = cascades,
                                          .fire = TR_PG_FIRE,
                                          .hold_fire = TR_PG_HOLD_FIRE };
    int rc = tr_sql_plan(&apply->base.planner, &group->plan, group->first, tr_sql_oldest(&apply->base),
                         &target, err);
    if (rc == 0 && asked.learnt && sink->keeps_shapes)
        plan_shapes(sink, &group->plan);
    if (rc == 1)
        group->ddl = true;
    return rc;
}
