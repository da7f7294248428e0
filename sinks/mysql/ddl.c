/*
 * ddl.c - changes of a table's shape, carried over as the difference of two shapes; statements of the same engine are run as such (carry.c).
 *
 * DDL commits by itself in MySQL, so it cannot stand in the middle of a group's transaction. It is run before the group, and only such changes are carried under
 * which the rows that came before it still fit: new columns, wider types, new names. Run twice after a crash, each finds itself done.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/failpoint.h"
#include "core/memory.h"
#include "sinks/mysql/apply.h"

struct change {
    struct tr_mysql_sink *sink;
    const struct tr_relation *relation;
    struct tr_my_table *table;
    bool unloaded; /* the indexes come behind the rows that it is yet to get */
    struct tr_buffer sql, type, note;
};

static void
change_init(struct change *c, struct tr_mysql_sink *sink, const struct tr_relation *relation,
            struct tr_my_table *table)
{
    *c = (struct change){ .sink = sink, .relation = relation, .table = table };
    tr_buffer_init(&c->sql, (size_t)1 << 20);
    tr_buffer_init(&c->type, (size_t)1 << 20);
    tr_buffer_init(&c->note, (size_t)1 << 16);
}

static void
change_fini(struct change *c)
{
    tr_buffer_fini(&c->sql);
    tr_buffer_fini(&c->type);
    tr_buffer_fini(&c->note);
}

static void
alter(struct change *c, const char *what, const char *column)
{
    tr_buffer_reset(&c->sql);
    tr_buffer_text(&c->sql, "ALTER TABLE ");
    tr_mysql_qualified(&c->sql, c->table->database, c->table->name);
    tr_buffer_printf(&c->sql, " %s ", what);
    tr_mysql_identifier(&c->sql, column);
}

static void
write_type(struct change *c, const struct tr_column *column)
{
    const char *dialect = c->sink->base.env->source_dialect;
    unsigned share = c->relation != NULL && c->relation->nkeys > 1 ? c->relation->nkeys : 1;
    tr_buffer_reset(&c->type);
    tr_buffer_reset(&c->note);
    tr_convert_to_mysql(dialect != NULL ? dialect : "postgresql", column, &c->sink->target,
                        column->key > 0 ? TR_CONVERT_KEYED : TR_CONVERT_PLAIN, share, &c->type, &c->note);
}

/* Did earlier slices of the open transaction write this table? Of one that goes change by change that is not known. */
static bool
is_written(const struct change *c)
{
    const struct tr_my_apply *apply = c->sink->apply;
    if (apply == NULL || apply->open == NULL)
        return false;
    const struct tr_sql_table *known = tr_sql_maps_table(&apply->maps, c->table->database, c->table->name);
    return apply->open->careful || (known != NULL && known->last_any == apply->open->plan.number);
}

/* Slices of a large transaction that are written but not committed hold locks that a change of shape would wait for. */
static int
give_way(struct tr_my_apply *apply, struct tr_error *err)
{
    if (apply == NULL || apply->open == NULL || apply->gave_way)
        return 0;
    apply->gave_way = true;
    return tr_my_worker_ask((struct tr_my_worker *)apply->open->worker, "ROLLBACK", err);
}

static int
refuse_within(struct tr_error *err)
{
    tr_fail(err, TR_REFUSED,
            "the source changed a table's shape inside a transaction that is too large to be held");
    return tr_error_hint(
        err, "raise `memory`, or change the target's table by hand and start again with ddl: ignore");
}

int
tr_my_run_change(struct tr_mysql_sink *sink, const struct tr_my_table *table, const char *sql,
                 struct tr_error *err)
{
    TR_FAILPOINT("sink.mysql.shape");
    int rc = give_way(sink->apply, err);
    if (rc == 0)
        rc = tr_mysql_query(sink->meta, sql, NULL, err);
    if (rc == 0) {
        tr_log(sink->base.env->log, TR_LOG_INFO, "sink", "the source changed table %s.%s: %s",
               table->database, table->name, sql);
    } else {
        err->class = err->class == TR_RETRY ? TR_RETRY : TR_REFUSED;
        tr_error_prefix(err, "carrying a change of table %s.%s (%s)", table->database, table->name, sql);
        rc = -(int)err->class;
    }
    return rc;
}

static int
run(struct change *c, struct tr_error *err)
{
    return tr_my_run_change(c->sink, c->table, c->sql.data, err);
}

static const struct tr_my_shape *
shape_of(const struct change *c)
{
    const struct tr_my_apply *apply = c->sink->apply;
    return apply != NULL ? tr_my_shape_find(&apply->shapes, c->relation) : NULL;
}

/* Where the target has the source's column, or -1. */
static int
place_of(const struct change *c, const struct tr_column *column)
{
    return tr_my_shape_column(shape_of(c), c->table, column);
}

/* Has it to come? Not one that was replaced. */
static bool
is_lacking(const struct change *c, const struct tr_column *column)
{
    return !column->generated && place_of(c, column) < 0 && !tr_my_shape_lost(shape_of(c), column);
}

static int
refuse(struct change *c, const char *what, const char *column, struct tr_error *err)
{
    tr_fail(err, TR_REFUSED,
            "table %s.%s: the source has %s column \"%s\"; carrying that over could lose or falsify data",
            c->table->database, c->table->name, what, column);
    return tr_error_hint(
        err,
        "run at the target: %s; then start again. Rows that the source rewrote need a reload of the table",
        c->sql.data);
}

/* Of a source of the family: constants with their quotes, expressions in parentheses. */
static void
own_default(struct change *c, const struct tr_column *column, struct tr_buffer *out)
{
    struct tr_arena arena;
    tr_arena_init(&arena);
    const char *text = tr_convert_quoted_default(&arena, c->sink->base.env->source_dialect, column);
    bool call = text != NULL && text[0] != '\'' && text[0] != '(' && strchr(text, '(') != NULL &&
                strncasecmp(text, "current_timestamp", 17) != 0;
    tr_buffer_printf(out, call ? "(%s)" : "%s", text != NULL ? text : "NULL");
    tr_arena_fini(&arena);
}

/* The source's default as this server says it; false when it has none, or one that cannot be said. */
static bool
write_default(struct change *c, const struct tr_column *column, struct tr_buffer *out)
{
    if (column->default_expression == NULL)
        return false;
    if (c->sink->from_postgresql)
        return tr_convert_default_to_mysql(column, c->type.data, &c->sink->target, out);
    own_default(c, column, out);
    return true;
}

/* The value that older rows hold, by way of a default that says it. */
static bool
write_older(struct change *c, const struct tr_column *column, struct tr_buffer *out)
{
    struct tr_column constant = *column;
    struct tr_buffer text;
    tr_buffer_init(&text, (size_t)1 << 20);
    if (column->logical == TR_BOOL) {
        tr_buffer_text(&text, column->older_value[0] == 't' ? "true" : "false");
    } else {
        tr_buffer_byte(&text, '\'');
        for (const char *p = column->older_value; *p != '\0'; p++)
            tr_buffer_printf(&text, *p == '\'' ? "''" : "%c", *p);
        tr_buffer_byte(&text, '\'');
    }
    constant.default_expression = text.data;
    bool known = write_default(c, &constant, out);
    tr_buffer_fini(&text);
    return known;
}

/* A column's definition behind its name. NOT NULL without a default: the table was empty, or is filled by the rows that come. */
static void
define(struct change *c, const struct tr_column *column, bool filled, const char *value)
{
    tr_buffer_printf(&c->sql, " %s%s", c->type.data, column->not_null && filled ? " NOT NULL" : " NULL");
    if (value != NULL)
        tr_buffer_printf(&c->sql, " DEFAULT %s", value);
}

/* ADD COLUMN with the default that gives the rows that are there what they hold at the source; false when that is not known, or cannot be said. */
static bool
write_add(struct change *c, const struct tr_column *column)
{
    struct tr_buffer value;
    bool known = true, filled = column->older == TR_OLDER_VALUE;
    tr_buffer_init(&value, (size_t)1 << 20);
    write_type(c, column);
    if (filled) {
        known = write_older(c, column, &value);
    } else if (column->older == TR_OLDER_UNKNOWN && column->default_expression != NULL) {
        known = filled = write_default(c, column, &value) && !tr_my_is_evaluated(value.data);
    } else if (column->older == TR_OLDER_UNKNOWN) {
        known = !column->default_unknown && !column->auto_increment;
    }
    alter(c, "ADD COLUMN", column->name);
    define(c, column, filled && known, filled && value.len > 0 ? value.data : NULL);
    tr_buffer_fini(&value);
    return known && !column->generated;
}

/* The default from then on, where it is another one than ADD COLUMN had. */
static int
settle_default(struct change *c, const struct tr_column *column, struct tr_error *err)
{
    struct tr_buffer older, own;
    int rc = 0;
    tr_buffer_init(&older, (size_t)1 << 20);
    tr_buffer_init(&own, (size_t)1 << 20);
    bool has_older = column->older == TR_OLDER_VALUE && write_older(c, column, &older);
    bool has_own = write_default(c, column, &own);
    bool same = has_own == has_older && (!has_own || strcmp(own.data, older.data) == 0);
    if (!has_own && column->default_expression != NULL)
        tr_log(c->sink->base.env->log, TR_LOG_WARNING, "sink",
               "the default of the source's new column %s.%s.%s cannot be said here and is left out: %.200s",
               c->table->database, c->table->name, column->name, column->default_expression);
    if (column->older != TR_OLDER_UNKNOWN && !same) {
        alter(c, "MODIFY COLUMN", column->name);
        define(c, column, has_older, has_own ? own.data : NULL);
        rc = run(c, err);
    }
    tr_buffer_fini(&older);
    tr_buffer_fini(&own);
    return rc;
}

static int
has_rows(struct change *c, bool *any, struct tr_error *err)
{
    char *answer = NULL;
    *any = true;
    if (is_written(c))
        return 0;
    tr_buffer_reset(&c->sql);
    tr_buffer_text(&c->sql, "SELECT EXISTS (SELECT 1 FROM ");
    tr_mysql_qualified(&c->sql, c->table->database, c->table->name);
    tr_buffer_byte(&c->sql, ')');
    int rc = tr_mysql_query_text(c->sink->meta, c->sql.data, &answer, err);
    *any = answer == NULL || strcmp(answer, "0") != 0;
    free(answer);
    return rc;
}

int
tr_my_has_rows(struct tr_mysql_sink *sink, const struct tr_my_table *table, bool *any, struct tr_error *err)
{
    struct change c;
    change_init(&c, sink, NULL, (struct tr_my_table *)(uintptr_t)table);
    int rc = has_rows(&c, any, err);
    change_fini(&c);
    return rc;
}

enum age { AGE_UNKNOWN, CAME_LATER, WAS_THERE };

/* Did the column come after all that were there before? Numbers of PostgreSQL only grow. */
static enum age
age_of(const struct change *c, const struct tr_relation *before, const struct tr_column *column)
{
    bool all = before != NULL && c->sink->from_postgresql && column->number > 0;
    for (uint16_t i = 0; all && i < before->ncolumns; i++) {
        if (before->columns[i].number > column->number)
            return WAS_THERE;
        all = before->columns[i].number > 0;
    }
    return all ? CAME_LATER : AGE_UNKNOWN;
}

/* before: the table without the column, or NULL when that is not known. */
static int
add_column(struct change *c, const struct tr_relation *before, const struct tr_column *source,
           struct tr_error *err)
{
    struct tr_column column = *source;
    enum age age = age_of(c, before, source);
    bool any = true;
    int rc = 0;
    if (column.older == TR_OLDER_NULL && age != CAME_LATER)
        column.older = TR_OLDER_UNKNOWN; /* it may have come with its table */
    bool known = write_add(c, &column) && age != WAS_THERE;
    if (!known)
        rc = has_rows(c, &any, err);
    if (rc == 0 && !any)
        column.older = TR_OLDER_NULL;
    if (rc == 0 && !known)
        known = write_add(c, &column) && !any;
    if (rc == 0 && !known)
        return refuse(c, age == WAS_THERE ? "published for the first time" : "a new", column.name, err);
    if (rc == 0)
        rc = run(c, err);
    return rc < 0 ? rc : settle_default(c, &column, err);
}

static const struct tr_column *
column_of(const struct change *c, const struct tr_relation *relation, const struct tr_column *like)
{
    for (uint16_t i = 0; i < relation->ncolumns; i++) {
        const struct tr_column *column = &relation->columns[i];
        /* PostgreSQL numbers a column for life; MySQL's number is its place */
        bool numbered = like->number > 0 && column->number > 0 && c->sink->from_postgresql;
        if (numbered ? column->number == like->number : strcmp(column->name, like->name) == 0)
            return column;
    }
    return NULL;
}

static int
carry_new(struct change *c, const struct tr_relation *before, const struct tr_column *column,
          struct tr_error *err)
{
    return is_lacking(c, column) ? add_column(c, before, column, err) : 0;
}

static void
remember_name(struct tr_my_apply *apply, const struct tr_my_table *table, const char *from, const char *to)
{
    apply->renamed = tr_realloc(apply->renamed, (apply->nrenamed + 1) * sizeof(*apply->renamed));
    apply->renamed[apply->nrenamed++] = (struct tr_my_renamed){
        tr_asprintf("%s.%s", table->database, table->name), tr_strdup(from), tr_strdup(to)
    };
}

static int
carry_name(struct change *c, const struct tr_column *before, const struct tr_column *after,
           struct tr_error *err)
{
    int rc = 0;
    bool here = tr_my_table_column(c->table, before->name) >= 0;
    bool followed = c->sink->keeps_shapes && after->number > 0; /* follow.c has done it, or will */
    if (strcmp(before->name, after->name) == 0 || (followed && here))
        return 0;
    if (here && tr_my_table_column(c->table, after->name) < 0) {
        if (is_written(c)) /* read again, its first rows would not find the column by its old name */
            return refuse_within(err);
        alter(c, "RENAME COLUMN", before->name);
        tr_buffer_text(&c->sql, " TO ");
        tr_mysql_identifier(&c->sql, after->name);
        rc = run(c, err);
    }
    if (rc == 0)
        remember_name(c->sink->apply, c->table, before->name, after->name);
    return rc;
}

static bool
same_type(struct change *c, const struct tr_column *before, const struct tr_column *after)
{
    write_type(c, before);
    char *old = tr_strdup(c->type.data);
    write_type(c, after);
    bool same = strcmp(old, c->type.data) == 0;
    free(old);
    return same;
}

/* Has the target's column the type that the source's had? A width that is only for show may be missing, and a character set may follow. */
static bool
is_still(struct change *c, int at, const struct tr_column *before)
{
    const char *here = c->table->columns[at].type, *then;
    bool integer = before->logical >= TR_INT8 && before->logical <= TR_UINT64;
    write_type(c, before);
    for (then = c->type.data; *here != '\0'; here++, then++) {
        if (integer && *here == '(')
            here += strcspn(here, ")") + 1;
        if (integer && *then == '(')
            then += strcspn(then, ")") + 1;
        if (strncasecmp(here, then, 1) != 0)
            return false;
        if (*here == '\0')
            break;
    }
    return *then == '\0' || *then == ' ';
}

static int
carry_changed(struct change *c, const struct tr_column *before, const struct tr_column *after,
              struct tr_error *err)
{
    int rc = carry_name(c, before, after, err);
    if (rc < 0 || after->generated || !tr_my_is_retyped(before, after) || same_type(c, before, after))
        return rc;
    int at = c->sink->keeps_shapes ? place_of(c, after) : tr_my_table_column(c->table, before->name);
    at = at >= 0 ? at : tr_my_table_column(c->table, after->name);
    if (at < 0 || (tr_my_carries_statements(c->sink) && !is_still(c, at, before)))
        return 0; /* the statement has done it */
    write_type(c, after);
    if (tr_my_types_alike(c->table->columns[at].type, c->type.data))
        return 0; /* a statement or the operator has done it */
    const char *name = c->sink->keeps_shapes ? c->table->columns[at].name : after->name;
    alter(c, "MODIFY COLUMN", name);
    tr_buffer_byte(&c->sql, ' ');
    rc = tr_my_write_retyped(c->sink->meta, c->table, name, c->type.data, &c->sql, err);
    if (rc < 0)
        return rc;
    return tr_my_widens(before, after) ? run(c, err) : refuse(c, "another type for", after->name, err);
}

static int
carry_dropped(struct change *c, const struct tr_column *column, struct tr_error *err)
{
    int at = place_of(c, column);
    if (at < 0)
        return 0;
    tr_log(c->sink->base.env->log, TR_LOG_WARNING, "sink",
           "the source dropped column \"%s\" of %s.%s; the target keeps it", column->name, c->table->database,
           c->table->name);
    if (!c->table->columns[at].not_null || c->table->columns[at].has_default)
        return 0;
    alter(c, "MODIFY COLUMN", c->table->columns[at].name);
    tr_buffer_printf(&c->sql, " %s NULL", c->table->columns[at].type);
    return run(c, err);
}

/* One column is gone and another has come, and no number tells whether they are the same one. */
static int
refuse_doubt(struct change *c, const struct tr_relation *before, const struct tr_relation *after,
             struct tr_error *err)
{
    const struct tr_column *gone = NULL, *come = NULL;
    for (uint16_t i = 0; i < before->ncolumns; i++)
        if (column_of(c, after, &before->columns[i]) == NULL &&
            (before->columns[i].number == 0 || !c->sink->from_postgresql))
            gone = &before->columns[i];
    for (uint16_t i = 0; i < after->ncolumns; i++)
        if (column_of(c, before, &after->columns[i]) == NULL &&
            tr_my_table_column(c->table, after->columns[i].name) < 0)
            come = &after->columns[i];
    if (gone == NULL || come == NULL || tr_my_table_column(c->table, gone->name) < 0)
        return 0;
    tr_fail(
        err, TR_REFUSED,
        "table %s.%s: the source has no column \"%s\" any more and a new one \"%s\"; whether it was renamed cannot be known",
        c->table->database, c->table->name, gone->name, come->name);
    struct tr_buffer hint;
    tr_buffer_init(&hint, 4096);
    tr_buffer_text(&hint, "run at the target: ALTER TABLE ");
    tr_mysql_qualified(&hint, c->table->database, c->table->name);
    tr_buffer_text(&hint, " ADD COLUMN ");
    tr_mysql_identifier(&hint, come->name);
    tr_buffer_text(&hint,
                   " ...; if it is a new one. If it was renamed: add it so, fill it by UPDATE ... SET ");
    tr_mysql_identifier(&hint, come->name);
    tr_buffer_text(&hint, " = ");
    tr_mysql_identifier(&hint, gone->name);
    tr_error_hint(err, "%s, and start again", hint.data);
    tr_buffer_fini(&hint);
    return -TR_REFUSED;
}

static int
carry(struct change *c, const struct tr_relation *before, const struct tr_relation *after,
      struct tr_error *err)
{
    int rc = refuse_doubt(c, before, after, err);
    for (uint16_t i = 0; rc == 0 && i < before->ncolumns; i++) {
        const struct tr_column *column = column_of(c, after, &before->columns[i]);
        rc = column != NULL ? carry_changed(c, &before->columns[i], column, err)
                            : carry_dropped(c, &before->columns[i], err);
    }
    for (uint16_t i = 0; rc == 0 && i < after->ncolumns; i++)
        if (column_of(c, before, &after->columns[i]) == NULL)
            rc = carry_new(c, before, &after->columns[i], err);
    return rc;
}

static int
apply_shape(struct tr_mysql_sink *sink, const struct tr_event *event, struct tr_error *err)
{
    const struct tr_relation *before = event->schema.previous;
    struct tr_relation *after = event->relation;
    struct tr_my_table *table = NULL;
    int rc = 0;
    if (before == NULL || after->skip || tr_my_same_shape(before, after))
        return 0;
    if (sink->ddl == TR_MY_DDL_STOP) {
        tr_fail(err, TR_REFUSED, "the source changed the columns of table %s.%s", after->schema, after->name);
        return tr_error_hint(err,
                             "change the target's table to match and start again with ddl: apply or ignore");
    }
    /* of the same engine, too: a table that an online schema change has exchanged is left alone by the statements */
    if (sink->ddl == TR_MY_DDL_APPLY)
        rc = tr_my_table_read(sink->meta, tr_my_database(sink, after), after->target_name, &table, err);
    if (rc == 0 && table != NULL)
        rc = tr_my_shape_follow(sink, before, after, table, err);
    if (rc == 0 && table != NULL) {
        struct change c;
        change_init(&c, sink, after, table);
        rc = carry(&c, before, after, err);
        change_fini(&c);
    }
    if (rc == 0 && table != NULL)
        rc = tr_my_follow_key(sink, before, after, &(bool){ false }, err);
    tr_my_table_free(table);
    tr_my_map_forget(sink->apply, tr_my_database(sink, after), after->target_name);
    return rc;
}

int
tr_my_apply_shapes(struct tr_mysql_sink *sink, const struct tr_sql_group *group, struct tr_error *err)
{
    int rc = 0;
    for (const struct tr_batch *batch = group->first; rc == 0 && batch != NULL; batch = batch->next)
        for (uint32_t i = 0; rc == 0 && i < batch->nevents; i++)
            if (batch->events[i].kind == TR_SCHEMA)
                rc = apply_shape(sink, &batch->events[i], err);
            else if (tr_my_changes_shape(&batch->events[i]))
                rc = group->worker != NULL ? refuse_within(err)
                                           : tr_my_carry_statement(sink, group, &batch->events[i], err);
    return rc;
}

/*
 * Nothing is remembered of the table, and the target has a column that PostgreSQL's has not: renamed to the one that is lacking, or dropped before that came? Columns of the other
 * engines are renamed by their statements.
 */
static int
refuse_unseen(struct change *c, const struct tr_column *come, struct tr_error *err)
{
    const struct tr_my_shape *shape = shape_of(c);
    const char *gone = NULL;
    for (uint16_t i = 0; i < c->table->ncolumns && gone == NULL; i++)
        if (!c->table->columns[i].generated &&
            (come->number == 0 || tr_my_shape_owner(shape, c->table->columns[i].name) == NULL) &&
            tr_relation_column(c->relation, c->table->columns[i].name) < 0)
            gone = c->table->columns[i].name;
    if (gone == NULL || !c->sink->from_postgresql)
        return 0;
    tr_fail(
        err, TR_REFUSED,
        "table %s.%s: the source has no column \"%s\" and has \"%s\", which the target lacks; whether it was renamed cannot be known",
        c->table->database, c->table->name, gone, come->name);
    write_add(c, come);
    char *add = tr_strdup(c->sql.data);
    alter(c, "RENAME COLUMN", gone);
    tr_buffer_text(&c->sql, " TO ");
    tr_mysql_identifier(&c->sql, come->name);
    tr_error_hint(err, "if it was renamed, run at the target: %s; if it is a new one: %s; then start again",
                  c->sql.data, add);
    free(add);
    return -TR_REFUSED;
}

/* Has the column a wider type at the source than here? What a boolean became there is in no log. */
static bool
has_grown(struct change *c, const struct tr_column *column)
{
    int at = column->generated ? -1 : place_of(c, column);
    if (at < 0 ||
        (c->sink->from_postgresql && strncasecmp(c->table->columns[at].type, "tinyint(1)", 10) == 0))
        return false;
    write_type(c, column);
    /* made short for its index, which is not there yet */
    bool kept_short = c->unloaded && strncasecmp(c->table->columns[at].type, "var", 3) == 0 &&
                      (strcasestr(c->type.data, "text") != NULL || strcasestr(c->type.data, "blob") != NULL);
    return !kept_short && tr_my_type_widens(c->table->columns[at].type, c->type.data);
}

bool
tr_my_falls_short(struct tr_mysql_sink *sink, const struct tr_relation *relation,
                  const struct tr_my_table *table)
{
    struct change c;
    bool any = false;
    if (sink->ddl != TR_MY_DDL_APPLY)
        return false;
    change_init(&c, sink, relation, (struct tr_my_table *)(uintptr_t)table);
    any = tr_my_key_differs(sink, relation, table);
    for (uint16_t i = 0; !any && i < relation->ncolumns; i++)
        any = has_grown(&c, &relation->columns[i]);
    change_fini(&c);
    return any;
}

/*
 * Types that grew while nobody looked: at the next value that does not fit it would be too late. Only in tables that the task has made; in others the types are the
 * operator's. One that cannot be wider here (a text in a key) stays as it is, until a value says otherwise.
 */
static int
widen_types(struct change *c, bool *changed, struct tr_error *err)
{
    bool made = false;
    int rc = tr_my_was_made(c->sink, c->relation, &made, err);
    for (uint16_t i = 0; rc == 0 && made && i < c->relation->ncolumns; i++) {
        const struct tr_column *column = &c->relation->columns[i];
        if (!has_grown(c, column))
            continue;
        const char *name = c->table->columns[place_of(c, column)].name;
        alter(c, "MODIFY COLUMN", name);
        tr_buffer_byte(&c->sql, ' ');
        rc = tr_my_write_retyped(c->sink->meta, c->table, name, c->type.data, &c->sql, err);
        if (rc == 0)
            rc = run(c, err);
        *changed = *changed || rc == 0;
        if (rc == -TR_REFUSED) {
            tr_log(c->sink->base.env->log, TR_LOG_INFO, "sink", "%s", err->text);
            tr_error_clear(err);
            rc = 0;
        }
    }
    return rc;
}

void
tr_my_write_type(struct tr_mysql_sink *sink, const struct tr_column *column, struct tr_buffer *out)
{
    struct change c;
    change_init(&c, sink, NULL, NULL);
    write_type(&c, column);
    tr_buffer_text(out, c.type.data);
    change_fini(&c);
}

void
tr_my_write_definition(struct tr_mysql_sink *sink, const struct tr_column *column, struct tr_buffer *out)
{
    struct change c;
    struct tr_buffer value;
    change_init(&c, sink, NULL, NULL);
    tr_buffer_init(&value, (size_t)1 << 20);
    write_type(&c, column);
    /* types that have another zero here */
    bool zero = column->older == TR_OLDER_VALUE && column->default_expression == NULL &&
                (column->logical == TR_UUID || column->logical == TR_INET ||
                 (column->logical == TR_JSON && sink->target.mariadb));
    bool filled = zero ? write_older(&c, column, &value) : write_default(&c, column, &value);
    tr_buffer_printf(out, " %s%s", c.type.data, column->not_null ? " NOT NULL" : " NULL");
    if (filled)
        tr_buffer_printf(out, " DEFAULT %s", value.data);
    tr_buffer_fini(&value);
    change_fini(&c);
}

int
tr_my_reach_shape(struct tr_mysql_sink *sink, const struct tr_relation *relation,
                  const struct tr_my_table *table, bool loaded, bool *changed, struct tr_error *err)
{
    struct change c;
    int rc = 0;
    *changed = false;
    if (sink->ddl != TR_MY_DDL_APPLY)
        return 0;
    /* Groups in flight may hold the table: rather begin anew than wait for ourselves. */
    rc = tr_mysql_query(sink->meta, "SET SESSION lock_wait_timeout = 2", NULL, err);
    change_init(&c, sink, relation, (struct tr_my_table *)table);
    c.unloaded = !loaded;
    for (uint16_t i = 0; rc == 0 && i < relation->ncolumns; i++) {
        const struct tr_column *column = &relation->columns[i];
        if (!is_lacking(&c, column))
            continue;
        rc = refuse_unseen(&c, column, err);
        if (rc == 0)
            rc = add_column(&c, NULL, column, err);
        *changed = *changed || rc == 0;
    }
    if (rc == 0 && tr_my_falls_short(sink, relation, table))
        rc = widen_types(&c, changed, err);
    if (rc == 0)
        rc = tr_my_follow_key(sink, NULL, relation, changed, err);
    change_fini(&c);
    return rc < 0 ? rc : tr_mysql_query(sink->meta, "SET SESSION lock_wait_timeout = 86400", NULL, err);
}
