/*
 * translate.c - what ALTER TABLE of the other engine of the family says of columns, in this server's words; carry.c runs it as in the source's session.
 *
 * Rows show that a column has come; only the statement tells what it gave the rows that were there, and that a column is another one of the same name. A type that
 * does not simply grow is left to the rows.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "schema/expression.h"
#include "sinks/mysql/apply.h"

struct translation {
    struct tr_mysql_sink *sink;
    const struct tr_event *event;
    const struct tr_my_table *table;
    struct tr_buffer *out;
    bool any;
    bool unkeyed, left; /* the primary key goes; it is said */
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

static int add_computed(struct translation *t, const struct tr_column *column, struct tr_error *err);
static int define_computed(struct translation *t, int at, const struct tr_column *column,
                           struct tr_error *err);

static int
add(struct translation *t, const struct tr_column *column, struct tr_error *err)
{
    bool left_over = drops(t->event, column->name);
    if (tr_my_table_column(t->table, column->name) >= 0 && !passed_on(t->event, column->name)) {
        int at = tr_my_table_column(t->table, column->name);
        if (column->generated && t->table->columns[at].generated && !left_over)
            return define_computed(t, at, column, err);
        int rc = left_over ? 0 : tr_my_is_dropped(t->sink->meta, t->table, column->name, &left_over, err);
        if (rc < 0 || !left_over)
            return rc; /* made by the operator, or with a load that read a later catalogue */
        return refuse(t, column, "DROP COLUMN",
                      " and has dropped one that the target still has: the source has a new one of this name",
                      err);
    }
    if (column->generated)
        return add_computed(t, column, err);
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

/* A column that is dropped leaves its key, which has nothing to tell rows by then. */
static void
leave_key(struct translation *t, int at)
{
    for (uint16_t u = 0; !t->unkeyed && u < t->table->nuniques; u++)
        for (uint16_t i = 0; t->table->uniques[u].primary && i < t->table->uniques[u].ncolumns; i++)
            t->unkeyed = t->unkeyed || t->table->uniques[u].columns[i] == at;
    if (!t->unkeyed || t->left)
        return;
    t->left = true;
    tr_buffer_text(t->out, t->any ? ", DROP PRIMARY KEY" : " DROP PRIMARY KEY");
    t->any = true;
    if (t->table->columns[at].auto_increment)
        clause(t, "ADD KEY (", t->table->columns[at].name);
    if (t->table->columns[at].auto_increment)
        tr_buffer_byte(t->out, ')');
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
    leave_key(t, at);
    clause(t, "MODIFY COLUMN", column);
    tr_buffer_byte(t->out, ' ');
    return tr_my_write_dropped(t->sink->meta, t->table, column, t->out, err);
}

/* ------------------------------------------------------------------------------------------- generated columns */

/* What it gave the rows that are there is in no log. A column that computes itself here, by another expression, has to go first; one that is too narrow is widened. */
static int
refuse_computed(struct translation *t, const struct tr_my_column *here, const struct tr_column *column,
                struct tr_error *err)
{
    const struct tr_ddl_table *of = &t->event->ddl.tables[0];
    struct tr_buffer type, first;
    tr_buffer_init(&type, (size_t)1 << 20);
    tr_buffer_init(&first, (size_t)1 << 20);
    tr_my_write_type(t->sink, column, &type);
    bool widens = tr_my_type_widens(here->type, type.data);
    if (here->generated || widens) {
        tr_buffer_text(&first, "run at the target: ALTER TABLE ");
        tr_mysql_qualified(&first, t->table->database, t->table->name);
        tr_buffer_text(&first, here->generated ? " DROP COLUMN " : " MODIFY COLUMN ");
        tr_mysql_identifier(&first, here->name);
        tr_buffer_printf(&first, here->generated ? ", ADD COLUMN " : " %s; ", type.data);
    }
    if (here->generated) {
        tr_mysql_identifier(&first, column->name);
        tr_buffer_printf(&first, " %s; ", type.data);
    }
    tr_fail(
        err, TR_REFUSED,
        "table %s.%s: the source computes column \"%s\" anew (%.200s), and what that gave the rows that are there is in no log",
        t->table->database, t->table->name, column->name, column->generation);
    tr_error_hint(err, "%sorder `tailrace reload --table %s.%s` and start again",
                  first.len > 0 ? first.data : "", of->schema, of->name);
    tr_buffer_fini(&first);
    tr_buffer_fini(&type);
    return -TR_REFUSED;
}

/* "name type GENERATED ALWAYS AS (...) STORED": as in tables that are made. False when the target may not know its functions. */
static bool
write_computed(struct translation *t, const struct tr_column *column, struct tr_buffer *out)
{
    if (!tr_expression_is_shared(column->generation, t->sink->target.mariadb))
        return false;
    struct tr_arena arena;
    tr_arena_init(&arena);
    tr_mysql_identifier(out, column->name);
    tr_buffer_byte(out, ' ');
    tr_my_write_type(t->sink, column, out);
    tr_buffer_printf(out, " GENERATED ALWAYS AS (%s) %s", tr_expression_bare(&arena, column->generation),
                     column->stored ? "STORED" : "VIRTUAL");
    tr_arena_fini(&arena);
    return true;
}

static int
add_computed(struct translation *t, const struct tr_column *column, struct tr_error *err)
{
    struct tr_buffer definition;
    bool rows = true;
    int rc = 0;
    tr_buffer_init(&definition, TR_BUFFER_MAX);
    bool known = write_computed(t, column, &definition);
    if (!known)
        rc = tr_my_has_rows(t->sink, t->table, &rows, err);
    if (rc == 0 && (known || !rows)) {
        tr_buffer_text(t->out, t->any ? ", ADD COLUMN " : " ADD COLUMN ");
        t->any = true;
        if (known) {
            tr_buffer_add(t->out, definition.data, definition.len);
        } else {
            tr_mysql_identifier(t->out, column->name);
            tr_buffer_byte(t->out, ' ');
            tr_my_write_type(t->sink, column, t->out);
        }
    } else if (rc == 0) {
        tr_log(
            t->sink->base.env->log, TR_LOG_WARNING, "sink",
            "table %s.%s: the source's new column \"%s\" is generated as %.200s, whose functions the target may not know, and what it gave the rows that are there is in no log: it is not added",
            t->table->database, t->table->name, column->name, column->generation);
    }
    tr_buffer_fini(&definition);
    return rc;
}

/* at: the target's column of the name before the statement. */
static int
define_computed(struct translation *t, int at, const struct tr_column *column, struct tr_error *err)
{
    struct tr_buffer definition;
    const struct tr_my_column *here = &t->table->columns[at];
    bool refused = false;
    int rc = 0;
    tr_buffer_init(&definition, TR_BUFFER_MAX);
    if (!column->generated) {
        tr_mysql_identifier(&definition, column->name);
        tr_my_write_definition(t->sink, column, &definition);
    } else if (!here->generated) {
        rc = tr_my_has_rows(t->sink, t->table, &refused, err);
    } else {
        refused = !write_computed(t, column, &definition);
    }
    if (rc == 0 && refused) {
        rc = refuse_computed(t, here, column, err);
    } else if (rc == 0 && definition.len > 0) {
        clause(t, "CHANGE COLUMN", here->name);
        tr_buffer_byte(t->out, ' ');
        tr_buffer_add(t->out, definition.data, definition.len);
    }
    tr_buffer_fini(&definition);
    return rc;
}

/* Is the renaming part of what define_computed() writes? */
static bool
is_redefined(const struct translation *t, const char *from)
{
    const struct tr_relation *defined = t->event->ddl.defined;
    int at = tr_my_table_column(t->table, from);
    for (uint16_t i = 0; at >= 0 && defined != NULL && i < defined->ncolumns; i++)
        if (t->event->ddl.columns[i].action == TR_DDL_DEFINE &&
            strcasecmp(t->event->ddl.columns[i].from, from) == 0)
            return t->table->columns[at].generated;
    return false;
}

/* Is NULL a value from now on, and not of the target's column yet? What says nothing of NULL may be a timestamp that is NOT NULL all the same. */
static bool
takes_null(const struct translation *t, int at, const struct tr_column *column)
{
    bool free = !column->not_null && !column->auto_increment && column->logical != TR_TIMESTAMPTZ &&
                t->table->columns[at].not_null && !t->table->columns[at].auto_increment;
    for (uint16_t u = 0; free && u < t->table->nuniques; u++)
        for (uint16_t i = 0; t->table->uniques[u].primary && i < t->table->uniques[u].ncolumns; i++)
            free = free && t->table->uniques[u].columns[i] != at;
    return free;
}

/* Of types that a statement says in full. */
static bool
is_plain(const struct tr_column *column)
{
    bool number = column->logical >= TR_INT8 && column->logical <= TR_DECIMAL;
    return number || (column->logical >= TR_CHAR && column->logical <= TR_BIT && column->charset == NULL) ||
           column->logical == TR_DATE || column->logical == TR_TIME || column->logical == TR_TIMESTAMP ||
           column->logical == TR_TIMESTAMPTZ || column->logical == TR_YEAR || column->logical == TR_ENUM ||
           column->logical == TR_SET;
}

/* Has the column values that the shorter fraction of the type cannot hold? One server rounds them, the other cuts. */
static int
loses_fraction(struct translation *t, int at, const struct tr_column *column, bool *loses,
               struct tr_error *err)
{
    struct tr_buffer sql;
    const struct tr_my_column *here = &t->table->columns[at];
    char *answer = NULL;
    const char *to = column->logical == TR_TIME ? "TIME" : "DATETIME";
    bool moment = column->logical == TR_TIME
                      ? strncasecmp(here->type, "time", 4) == 0 &&
                            strncasecmp(here->type, "timestamp", 9) != 0
                      : strncasecmp(here->type, column->logical == TR_TIMESTAMP ? "datetime" : "timestamp",
                                    8) == 0;
    *loses = true;
    if (!moment || column->scale < 0)
        return 0;
    tr_buffer_init(&sql, (size_t)1 << 16);
    tr_buffer_text(&sql, "SELECT 1 FROM ");
    tr_mysql_qualified(&sql, t->table->database, t->table->name);
    tr_buffer_text(&sql, " WHERE ");
    tr_mysql_identifier(&sql, here->name);
    tr_buffer_printf(&sql, " <> CAST(");
    tr_mysql_identifier(&sql, here->name);
    tr_buffer_printf(&sql, " AS %s(%d)) LIMIT 1", to, column->scale);
    int rc = tr_mysql_query_text(t->sink->meta, sql.data, &answer, err);
    *loses = answer != NULL;
    free(answer);
    tr_buffer_fini(&sql);
    return rc;
}

static int
refuse_type(struct translation *t, int at, const struct tr_column *column, const char *type,
            struct tr_error *err)
{
    struct tr_buffer sql;
    tr_buffer_init(&sql, (size_t)1 << 20);
    tr_buffer_text(&sql, "ALTER TABLE ");
    tr_mysql_qualified(&sql, t->table->database, t->table->name);
    tr_buffer_text(&sql, " MODIFY COLUMN ");
    tr_mysql_identifier(&sql, t->table->columns[at].name);
    tr_buffer_byte(&sql, ' ');
    int rc = tr_my_write_retyped(t->sink->meta, t->table, t->table->columns[at].name, type, &sql, err);
    if (rc == 0) {
        tr_fail(
            err, TR_REFUSED,
            "table %s.%s: the source made column \"%s\" %s; what that made of the rows that are there is in no log",
            t->table->database, t->table->name, column->name, column->native);
        rc = tr_error_hint(err,
                           "run at the target: %s; order `tailrace reload --table %s.%s` and start again",
                           sql.data, t->event->ddl.tables[0].schema, t->event->ddl.tables[0].name);
    }
    tr_buffer_fini(&sql);
    return rc;
}

/* A type that does not simply grow, in a table that the task has made. *run: both servers make the same of the rows, or this one, which is strict, refuses it. */
static int
judge_type(struct translation *t, int at, const struct tr_column *column, const char *type, bool *run,
           struct tr_error *err)
{
    const struct tr_my_column *here = &t->table->columns[at];
    bool made = false, any = true;
    *run = false;
    if (tr_my_types_alike(here->type, type) || !is_plain(column) || column->target_type != NULL)
        return 0;
    int rc = tr_my_was_made(t->sink, t->event->ddl.defined, &made, err);
    if (rc < 0 || !made)
        return rc;
    *run = tr_my_type_converts(here->type, type);
    if (!*run)
        rc = tr_my_has_rows(t->sink, t->table, &any, err);
    if (rc == 0 && !*run && any)
        rc = loses_fraction(t, at, column, &any, err);
    *run = rc == 0 && (*run || !any);
    return rc < 0 || *run ? rc : refuse_type(t, at, column, type, err);
}

/* A new name and a new type at once: the name comes now, the type with the rows. */
static int
define(struct translation *t, const char *from, const struct tr_column *column, struct tr_error *err)
{
    struct tr_buffer type;
    int at = tr_my_table_column(t->table, from), rc = 0;
    if (at < 0 && column->generated && tr_my_table_column(t->table, column->name) < 0)
        return add_computed(t, column, err);
    if (at >= 0 && (column->generated || t->table->columns[at].generated))
        return define_computed(t, at, column, err);
    if (at < 0 || strcmp(from, column->name) != 0)
        return 0;
    tr_buffer_init(&type, (size_t)1 << 20);
    tr_my_write_type(t->sink, column, &type);
    bool widens = tr_my_type_widens(t->table->columns[at].type, type.data), null = takes_null(t, at, column);
    struct tr_buffer line;
    tr_buffer_init(&line, TR_BUFFER_MAX);
    if (!widens)
        rc = judge_type(t, at, column, type.data, &widens, err);
    if (rc == 0 && (widens || null)) {
        clause(t, "MODIFY COLUMN", column->name);
        tr_buffer_byte(t->out, ' ');
        rc = tr_my_write_retyped(t->sink->meta, t->table, column->name,
                                 widens ? type.data : t->table->columns[at].type, &line, err);
    }
    if (rc == 0 && null)
        tr_my_write_nullable_line(line.data, t->out);
    else if (rc == 0 && widens)
        tr_buffer_text(t->out, line.data);
    tr_buffer_fini(&line);
    tr_buffer_fini(&type);
    return rc;
}

/* Onto a column that the target keeps of one that was dropped: its values are not those of the renamed one. */
static int
rename_column(struct translation *t, const struct tr_ddl_rename *rename, struct tr_error *err)
{
    int from = tr_my_table_column(t->table, rename->from), to = tr_my_table_column(t->table, rename->to);
    bool left_over = false;
    if (from < 0 || is_redefined(t, rename->from))
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
    struct translation t = { .sink = sink, .event = event, .table = table, .out = out };
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
