/*
 * gone.c - tables that a source of another engine has dropped: the target keeps them, and their rows are not those of a table that gets the name later.
 *
 * CREATE TABLE says so by itself; CREATE TABLE IF NOT EXISTS may have done nothing. So the dropping is remembered until the table is loaded again, beside the tables that the task has made
 * (tailrace.table_made).
 */
#include <stdlib.h>

#include "core/memory.h"
#include "sinks/mysql/apply.h"

/* The name under which it is remembered. */
static struct tr_relation
gone(char **label, const char *schema, const char *name)
{
    *label = tr_asprintf("dropped: %s", schema);
    return (struct tr_relation){ .schema = *label, .name = name };
}

static int
refuse(const struct tr_ddl_table *table, struct tr_error *err)
{
    tr_fail(err, TR_REFUSED,
            "the source dropped table %s.%s and made it anew; the target's holds the rows of the old one",
            table->schema, table->name);
    return tr_error_hint(
        err,
        "drop the target's table %s.%s, order `tailrace reload --table %s.%s` and start again: it is then loaded",
        table->target_schema, table->target_name, table->schema, table->name);
}

int
tr_my_note_gone(struct tr_mysql_sink *sink, const struct tr_event *event, struct tr_error *err)
{
    bool drop = event->ddl.verb == TR_VERB_DROP_TABLE, create = event->ddl.verb == TR_VERB_CREATE_TABLE;
    uint32_t count = drop ? event->ddl.ntables : create ? 1 : 0;
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < count; i++) {
        const struct tr_ddl_table *table = &event->ddl.tables[i];
        char *label;
        struct tr_relation named = gone(&label, table->schema, table->name);
        bool is = false;
        if (table->wanted && drop)
            rc = tr_my_is_loaded(sink, table->schema, table->name, &is, err);
        else if (table->wanted)
            rc = tr_my_was_made(sink, &named, &is, err);
        if (rc == 0 && is)
            rc = drop ? tr_my_mark_made(sink, &named, err) : refuse(table, err);
        free(label);
    }
    return rc;
}

int
tr_my_forget_gone(struct tr_mysql_sink *sink, const struct tr_relation *relation, struct tr_error *err)
{
    char *label;
    bool is = false;
    struct tr_relation named = gone(&label, relation->schema, relation->name);
    int rc = tr_my_was_made(sink, &named, &is, err);
    if (rc == 0 && is)
        rc = tr_my_unmark_made(sink, &named, err);
    free(label);
    return rc;
}
