/*
 * translate.c - what ALTER TABLE of the other engine of the family says of columns, in this server's words; carry.c runs it as in the source's session.
 *
 * Rows show that a column has come; only the statement tells what it gave the rows that were there, and that a column is another one of the same name. A type that
 * does not simply grow is left to the rows.
 */
#include <string.h>
#include <strings.h>

#include "sinks/mysql/apply.h"

struct translation {
    struct tr_mysql_sink *sink;
    const struct tr_event *event;
    const struct tr_my_table *table;
    struct tr_buffer *out;
    bool any;
};

static void
clause(struct translation *t, const char *what, const char *column)
{
    tr_buffer_printf(t->out, "%s%s ", t->any ? ", " : " ", what);
    tr_mysql_identifier(t->out, column);
    t->any = true;
}

bool
tr_my_is_volatile(const char *expression)
{
    static const char *const calls[] = { "uuid",         "rand",          "sys_guid",      "nextval",
                                         "next value",   "sysdate",       "connection_id", "user",
                                         "database",     "schema",        "version",       "last_insert",
                                         "random_bytes", "unix_timestamp" };
    if (expression == NULL || expression[0] == '\'')
        return false;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (strcasestr(expression, calls[i]) != NULL)
            return true;
    return false;
}

bool
tr_my_is_evaluated(const char *expression)
{
    static const char *const clocks[] = { "current_", "now(", "localtime", "utc_", "curdate", "curtime" };
    if (expression == NULL || expression[0] == '\'')
        return false;
    for (size_t i = 0; i < sizeof clocks / sizeof *clocks; i++)
        if (strcasestr(expression, clocks[i]) != NULL)
            return true;
    return tr_my_is_volatile(expression);
}

/* `then`: "DROP COLUMN", or "ADD COLUMN" and the type. */
static int
refuse(struct translation *t, const struct tr_column *column, const char *then, const char *why,
       struct tr_error *err)
{
    bool adds = strncmp(then, "ADD", 3) == 0;
    struct tr_buffer sql;
    tr_buffer_init(&sql, (size_t)1 << 20);
    tr_buffer_text(&sql, "ALTER TABLE ");
    tr_mysql_qualified(&sql, t->table->database, t->table->name);
    tr_buffer_printf(&sql, " %s ", then);
    tr_mysql_identifier(&sql, column->name);
    struct tr_column bare = *column; /* the server may refuse to give such values, too */
    bare.default_expression = NULL;
    bare.not_null = false;
    if (adds)
        tr_my_write_definition(t->sink, &bare, &sql);
    tr_fail(err, TR_REFUSED, "table %s.%s: the source has a new column \"%s\"%s", t->table->database,
            t->table->name, column->name, why);
    tr_error_hint(err, "run at the target: %s; then start again%s", sql.data,
                  adds ? ". Rows that were there before need a reload of the table" : "");
    tr_buffer_fini(&sql);
    return -TR_REFUSED;
}

static bool
drops(const struct tr_event *event, const char *column)
{
    const struct tr_relation *defined = event->ddl.defined;
    for (uint16_t i = 0; defined != NULL && i < defined->ncolumns; i++)
        if (event->ddl.columns[i].action == TR_DDL_DROP && strcmp(defined->columns[i].name, column) == 0)
            return true;
    return false;
}

static bool
passed_on(const struct tr_event *event, const char *column)
{
    for (uint32_t i = 0; i < event->ddl.nrenames; i++)
        if (strcmp(event->ddl.renames[i].from, column) == 0)
            return true;
    return false;
}

static int
add(struct translation *t, const struct tr_column *column, struct tr_error *err)
{
    bool left_over = drops(t->event, column->name);
    if (tr_my_table_column(t->table, column->name) >= 0 && !passed_on(t->event, column->name)) {
        int rc = left_over ? 0 : tr_my_is_dropped(t->sink->meta, t->table, column->name, &left_over, err);
        if (rc < 0 || !left_over)
            return rc; /* made by the operator, or with a load that read a later catalogue */
        return refuse(t, column, "DROP COLUMN",
                      " and has dropped one that the target still has: the source has a new one of this name",
                      err);
    }
    if (tr_my_is_volatile(column->default_expression)) {
        bool rows = true;
        int rc = tr_my_has_rows(t->sink, t->table, &rows, err);
        if (rc < 0 || !rows)
            return rc; /* it comes with the first of them: MySQL may call such a statement unsafe */
        return refuse(t, column, "ADD COLUMN",
                      "; only the source knows what its default gave the rows that were there", err);
    }
    clause(t, "ADD COLUMN", column->name);
    tr_my_write_definition(t->sink, column, t->out);
    return 0;
}

static int
drop(struct translation *t, const char *column, struct tr_error *err)
{
    int at = tr_my_table_column(t->table, column);
    bool done = false;
    if (at < 0 || t->table->columns[at].generated)
        return 0;
    int rc = tr_my_is_dropped(t->sink->meta, t->table, column, &done, err);
    if (rc < 0 || done)
        return rc;
    tr_log(t->sink->base.env->log, TR_LOG_WARNING, "sink",
           "the source dropped column \"%s\" of %s.%s; the target keeps it", column, t->table->database,
           t->table->name);
    clause(t, "MODIFY COLUMN", column);
    tr_buffer_byte(t->out, ' ');
    return tr_my_write_dropped(t->sink->meta, t->table, column, t->out, err);
}

/* A new name and a new type at once: the name comes now, the type with the rows. */
static int
define(struct translation *t, const char *from, const struct tr_column *column, struct tr_error *err)
{
    struct tr_buffer type;
    int at = tr_my_table_column(t->table, from), rc = 0;
    if (at < 0 || strcmp(from, column->name) != 0)
        return 0;
    tr_buffer_init(&type, (size_t)1 << 20);
    tr_my_write_type(t->sink, column, &type);
    if (tr_my_type_widens(t->table->columns[at].type, type.data)) {
        clause(t, "MODIFY COLUMN", column->name);
        tr_buffer_byte(t->out, ' ');
        rc = tr_my_write_retyped(t->sink->meta, t->table, column->name, type.data, t->out, err);
    }
    tr_buffer_fini(&type);
    return rc;
}

/* Onto a column that the target keeps of one that was dropped: its values are not those of the renamed one. */
static int
rename_column(struct translation *t, const struct tr_ddl_rename *rename, struct tr_error *err)
{
    int from = tr_my_table_column(t->table, rename->from), to = tr_my_table_column(t->table, rename->to);
    bool left_over = false;
    if (from < 0)
        return 0; /* done by the operator or by a process that died, or not carried */
    for (uint32_t i = 0; to >= 0 && i < t->event->ddl.nrenames; i++) /* itself, in other letters, too */
        to = tr_my_table_column(t->table, t->event->ddl.renames[i].from) == to ? -1 : to;
    if (to >= 0)
        left_over = drops(t->event, rename->to);
    int rc = to >= 0 && !left_over
                 ? tr_my_is_dropped(t->sink->meta, t->table, t->table->columns[to].name, &left_over, err)
                 : 0;
    if (rc == 0 && left_over) {
        const struct tr_column column = { .name = rename->to };
        return refuse(t, &column, "DROP COLUMN",
                      ", renamed to this name, and has dropped one that the target still has", err);
    }
    if (rc < 0)
        return rc;
    clause(t, "RENAME COLUMN", rename->from);
    tr_buffer_text(t->out, " TO ");
    tr_mysql_identifier(t->out, rename->to);
    return 0;
}

int
tr_my_translate(struct tr_mysql_sink *sink, const struct tr_event *event, const struct tr_my_table *table,
                struct tr_buffer *out, bool *any, struct tr_error *err)
{
    struct translation t = { sink, event, table, out, false };
    const struct tr_relation *defined = event->ddl.defined;
    int rc = 0;
    for (uint16_t i = 0; defined != NULL && rc == 0 && i < defined->ncolumns; i++) {
        const struct tr_column *column = &defined->columns[i];
        switch (event->ddl.columns[i].action) {
        case TR_DDL_ADD: rc = add(&t, column, err); break;
        case TR_DDL_DROP: rc = drop(&t, column->name, err); break;
        default: rc = define(&t, event->ddl.columns[i].from, column, err); break;
        }
    }
    for (uint32_t i = 0; rc == 0 && i < event->ddl.nrenames; i++)
        rc = rename_column(&t, &event->ddl.renames[i], err);
    *any = t.any;
    return rc;
}
