/* ddl_mysql_keys.c - indexes, checks and counters of a MySQL or MariaDB target. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/memory.h"
#include "schema/ddl_mysql.h"
#include "schema/expression.h"
#include "schema/names.h"
#include "schema/own_column.h"

#define PREFIX "(191)" /* characters of a long text that an ordinary index holds */
#define PARTS_MAX 16   /* columns of an index */
#define COMMENT_CHARACTERS 1024

static bool
makes_own(const struct tr_ddl_builder *b, const struct tr_table *table)
{
    return tr_my_ddl_is_same(b) && table->create != NULL && !tr_my_ddl_has_chosen_type(table->relation);
}

/* ---- checks */

static bool
names_column(const char *text, const char *column)
{
    struct tr_buffer name;
    tr_buffer_init(&name, 4096);
    tr_my_ddl_identifier(&name, column);
    bool named = strstr(text, name.data) != NULL;
    tr_buffer_fini(&name);
    return named;
}

static bool
changes_rows(const char *action, bool cascade)
{
    return action != NULL && (strncmp(action, "SET", 3) == 0 || (cascade && strcmp(action, "CASCADE") == 0));
}

/* Neither server takes a check of a column that a foreign key's action changes. */
static const char *
acted_upon(const struct tr_table *table, const char *text)
{
    for (uint32_t i = 0; i < table->nobjects; i++) {
        const struct tr_object *key = &table->objects[i];
        if (key->kind != TR_OBJECT_FOREIGN_KEY ||
            (!changes_rows(key->on_update, true) && !changes_rows(key->on_delete, false)))
            continue;
        for (uint16_t c = 0; c < key->ncolumns; c++)
            if (names_column(text, table->relation->columns[key->columns[c]].name))
                return key->name;
    }
    return NULL;
}

static void
lose_check(struct tr_ddl_builder *b, const struct tr_table *table, const char *name, const char *text,
           const char *why)
{
    tr_ddl_note(b, table->relation, NULL, "check constraint %s is not carried: CHECK (%s), for %s", name,
                tr_ddl_short(b, text), why);
}

static void
add_check(struct tr_ddl_builder *b, uint32_t index, const char *name, const char *text, const char *tail)
{
    const struct tr_table *table = &b->schema->tables[index];
    struct tr_arena *arena = &b->ddl->arena;
    const char *key = acted_upon(table, text), *made;
    if (key != NULL) {
        tr_ddl_note(
            b, table->relation, NULL,
            "check constraint %s is not carried: CHECK (%s), for foreign key %s changes a column of it", name,
            tr_ddl_short(b, text), key);
        return;
    }
    /* one to a database in MySQL */
    made = tr_name_alone(arena, b->schema, table->relation, TR_OBJECT_CHECK, name, TR_NAME_MYSQL);
    tr_buffer_text(&b->text, "ALTER TABLE ");
    tr_my_ddl_table_name(b, table);
    tr_buffer_text(&b->text, " ADD CONSTRAINT ");
    tr_my_ddl_identifier(&b->text, made);
    tr_buffer_printf(&b->text, " CHECK (%s)%s",
                     tr_my_ddl_is_family(b) ? tr_expression_bare(arena, text) : text, tail);
    tr_ddl_add(b, (struct tr_ddl_statement){ .phase = TR_DDL_BEFORE,
                                             .kind = TR_OBJECT_CHECK,
                                             .schema = tr_my_ddl_database(b, table->relation->target_schema),
                                             .name = made,
                                             .other_name = name,
                                             .optional = true,
                                             .table = index });
}

static void
own_check(struct tr_ddl_builder *b, uint32_t index, const char *name, const char *text, const char *tail)
{
    const struct tr_table *table = &b->schema->tables[index];
    bool idle = strstr(tail, "NOT ENFORCED") != NULL;
    if (!tr_expression_is_shared(text, b->target.mariadb))
        lose_check(b, table, name, text, "the target may not know its functions");
    else if (idle && b->target.mariadb)
        lose_check(b, table, name, text, "it is not enforced at the source");
    else
        add_check(b, index, name, text, idle ? " NOT ENFORCED" : "");
}

/* Checks that stand with a column have no name of their own; that of MariaDB's json is part of its type. */
static void
column_checks(struct tr_ddl_builder *b, uint32_t index)
{
    const struct tr_table *table = &b->schema->tables[index];
    for (uint16_t c = 0; c < table->relation->ncolumns; c++) {
        struct tr_own_column own;
        bool json;
        tr_ddl_plain_column(&b->ddl->arena, table, c, &json);
        if (json || !tr_own_column(&b->ddl->arena, table, table->relation->columns[c].name, &own) ||
            own.check == NULL)
            continue;
        own_check(b, index,
                  tr_name_joined(&b->ddl->arena, b->schema, table->relation, table->relation->columns[c].name,
                                 TR_NAME_MYSQL - 4),
                  own.check, "");
    }
}

static void
translated_check(struct tr_ddl_builder *b, uint32_t index, const struct tr_object *object)
{
    const struct tr_table *table = &b->schema->tables[index];
    struct tr_expression e = {
        .relation = table->relation, .from = "postgresql", .to = "mysql", .use = TR_EXPRESSION_CHECK
    };
    struct tr_buffer out;
    const char *tail = "", *text = tr_ddl_check_text(b, object->native, &tail);
    tr_buffer_init(&out, (size_t)1 << 20);
    if (text == NULL)
        lose_check(b, table, object->name, object->native != NULL ? object->native : "",
                   "its form is not known");
    else if (!object->in_create || strstr(tail, "NOT VALID") != NULL)
        lose_check(b, table, object->name, text, "it is NOT VALID at the source: old rows may break it");
    else if (!tr_expression_translate(&e, text, &out))
        lose_check(b, table, object->name, text, e.reason);
    else
        add_check(b, index, object->name, out.data, "");
    tr_buffer_fini(&out);
}

void
tr_my_ddl_checks(struct tr_ddl_builder *b, uint32_t index)
{
    const struct tr_table *table = &b->schema->tables[index];
    if (makes_own(b, table))
        return;
    for (uint32_t i = 0; i < table->nobjects; i++) {
        const struct tr_object *object = &table->objects[i];
        const char *tail = "", *text;
        if (object->kind != TR_OBJECT_CHECK)
            continue;
        if (!tr_my_ddl_is_family(b))
            translated_check(b, index, object);
        else if ((text = tr_ddl_check_text(b, object->native, &tail)) != NULL)
            own_check(b, index, object->name, text, tail);
    }
    if (tr_my_ddl_is_family(b))
        column_checks(b, index);
}

/* ---- indexes of PostgreSQL, taken apart */

struct part {
    int column; /* or -1: an expression */
    bool descending;
    const char *expression;
};

struct key {
    struct part parts[PARTS_MAX];
    uint16_t count;
    const char *method; /* behind USING, or "" */
    const char *tail;   /* behind the columns: INCLUDE, WHERE, DEFERRABLE */
    bool nulls_same, collated;
};

static bool
ends(const char *text, size_t *len, const char *end)
{
    size_t n = strlen(end);
    if (*len < n || strncmp(text + *len - n, end, n) != 0)
        return false;
    *len -= n;
    return true;
}

/* "a", "\"A b\" COLLATE x DESC NULLS LAST", "lower(x)", "((a + 1))" */
static bool
read_part(struct tr_ddl_builder *b, const struct tr_table *table, const char *text, size_t len,
          struct key *key)
{
    struct part *part = &key->parts[key->count++];
    while (len > 0 && *text == ' ') {
        text++;
        len--;
    }
    (void)(ends(text, &len, " NULLS FIRST") || ends(text, &len, " NULLS LAST"));
    part->descending = ends(text, &len, " DESC");
    const char *end = text + len, *group = memchr(text, '(', len), *space = memchr(text, ' ', len);
    if (*text == '"') {
        char *name = tr_arena_zalloc(&b->ddl->arena, len + 1), *to = name;
        const char *p = text + 1;
        for (; p < end && !(*p == '"' && p[1] != '"'); p++) {
            p += *p == '"';
            *to++ = *p;
        }
        part->column = p + 1 < end && p[1] == '(' ? -1 : tr_relation_column(table->relation, name);
        space = p + 1;
    } else if (group == NULL || (space != NULL && space < group)) {
        size_t n = space != NULL ? (size_t)(space - text) : len;
        part->column = tr_relation_column(table->relation, tr_arena_copy(&b->ddl->arena, text, n));
    } else {
        part->column = -1;
    }
    key->collated = key->collated ||
                    (space != NULL && space < end && strstr(space, "COLLATE") != NULL && part->column >= 0);
    if (part->column >= 0)
        return true;
    const char *close = group != NULL ? tr_own_group_end(group, end) : NULL;
    if (close == NULL)
        return false;
    bool bare = group == text;
    part->expression = tr_arena_copy(&b->ddl->arena, text + bare, (size_t)(close - text) - 2u * bare);
    return true;
}

/* The columns, between the parentheses. */
static bool
read_parts(struct tr_ddl_builder *b, const struct tr_table *table, const char *text, const char *end,
           struct key *key)
{
    const char *start = text;
    for (const char *p = text; p <= end; p++) {
        if (p < end && (*p == '(' || *p == '"' || *p == '\'')) {
            const char *close = tr_own_group_end(p, end);
            if (close == NULL)
                return false;
            p = close - 1;
        } else if (p == end || *p == ',') {
            if (key->count == PARTS_MAX || !read_part(b, table, start, (size_t)(p - start), key))
                return false;
            start = p + 1;
        }
    }
    return key->count > 0;
}

static bool
read_key(struct tr_ddl_builder *b, const struct tr_table *table, const struct tr_object *object,
         struct key *key)
{
    const char *native = object->native != NULL ? object->native : "", *open = strchr(native, '(');
    const char *close = open != NULL ? tr_own_group_end(open, open + strlen(open)) : NULL;
    *key = (struct key){ .method = strncmp(native, "USING ", 6) == 0 ? native + 6 : "", .tail = "" };
    if (close != NULL && read_parts(b, table, open + 1, close - 1, key)) {
        key->tail = close;
        key->nulls_same = strstr(close, "NULLS NOT DISTINCT") != NULL ||
                          strncmp(native, "UNIQUE NULLS NOT DISTINCT", 25) == 0;
        return true;
    }
    key->count = 0;
    for (uint16_t i = 0; i < object->ncolumns && i < PARTS_MAX && !object->has_expression; i++)
        key->parts[key->count++].column = object->columns[i];
    return key->count > 0 && object->ncolumns <= PARTS_MAX;
}

/* ---- indexes */

/* PostgreSQL's other index methods have no counterpart. */
static bool
is_tree(const struct key *key)
{
    return key->method[0] == '\0' || strncmp(key->method, "btree", 5) == 0 ||
           strncmp(key->method, "hash", 4) == 0;
}

static bool
needs_prefix(const char *type)
{
    if (strncmp(type, "VARCHAR(", 8) == 0)
        return strtoul(type + 8, NULL, 10) > 768;
    return strncasecmp(type, "LONG", 4) == 0 || strncasecmp(type, "TEXT", 4) == 0 ||
           strncasecmp(type, "MEDIUM", 6) == 0 || strncasecmp(type, "BLOB", 4) == 0;
}

/* MySQL indexes no expression that gives a text of no limit. */
static const char *
unlimited_text(struct tr_ddl_builder *b, const struct tr_table *table, const char *expression)
{
    const struct tr_relation *relation = table->relation;
    const char *found = NULL;
    struct tr_buffer type, note;
    tr_buffer_init(&type, (size_t)1 << 20);
    tr_buffer_init(&note, (size_t)1 << 16);
    for (uint16_t c = 0; c < relation->ncolumns && found == NULL; c++) {
        tr_my_ddl_column_type(b, table, c, false, &type, &note);
        if (names_column(expression, relation->columns[c].name) && needs_prefix(type.data))
            found = relation->columns[c].name;
    }
    tr_buffer_fini(&type);
    tr_buffer_fini(&note);
    return found;
}

/* False, with `why`, when it cannot stand in an index of the target. */
static bool
write_expression(struct tr_ddl_builder *b, const struct tr_table *table, const struct part *part, bool unique,
                 struct tr_buffer *why)
{
    struct tr_expression e = { .relation = table->relation,
                               .from = "postgresql",
                               .to = "mysql",
                               .use = unique ? TR_EXPRESSION_GENERATED : TR_EXPRESSION_INDEX };
    struct tr_buffer out;
    bool known = false;
    tr_buffer_init(&out, (size_t)1 << 20);
    if (b->target.mariadb)
        tr_buffer_text(why, "the target has no indexes on expressions");
    else if (!tr_expression_translate(&e, part->expression, &out))
        tr_buffer_text(why, e.reason);
    else if (unlimited_text(b, table, out.data) != NULL)
        tr_buffer_printf(why, "the target indexes no expression of %s, a text without limit",
                         unlimited_text(b, table, out.data));
    else
        known = true;
    if (known)
        tr_buffer_printf(&b->text, "(%s)", out.data);
    tr_buffer_fini(&out);
    return known;
}

static bool
write_column(struct tr_ddl_builder *b, const struct tr_table *table, const struct part *part, bool whole,
             bool many, struct tr_buffer *why)
{
    struct tr_buffer type, note;
    tr_buffer_init(&type, (size_t)1 << 20);
    tr_buffer_init(&note, (size_t)1 << 16);
    uint16_t c = (uint16_t)part->column;
    tr_my_ddl_column_type(b, table, c, false, &type, &note);
    bool possible = strncmp(type.data, "JSON", 4) != 0 && strncmp(type.data, "GEOMETRY", 8) != 0;
    tr_my_ddl_identifier(&b->text, table->relation->columns[c].name);
    bool cut = needs_prefix(type.data) ||
               (many && strncmp(type.data, "VARCHAR", 7) == 0 && strtoul(type.data + 8, NULL, 10) > 191);
    tr_buffer_text(&b->text, !whole && cut ? PREFIX : "");
    if (!possible)
        tr_buffer_printf(why, "column %s becomes %s, which cannot be indexed",
                         table->relation->columns[c].name, type.data);
    tr_buffer_fini(&type);
    tr_buffer_fini(&note);
    return possible;
}

static bool
write_parts(struct tr_ddl_builder *b, const struct tr_table *table, const struct key *key, bool unique,
            struct tr_buffer *why)
{
    bool possible = true;
    tr_buffer_text(&b->text, " (");
    for (uint16_t i = 0; i < key->count && possible; i++) {
        const struct part *part = &key->parts[i];
        tr_buffer_text(&b->text, i > 0 ? ", " : "");
        possible = part->column >= 0 ? write_column(b, table, part, unique, key->count > 2, why)
                                     : write_expression(b, table, part, unique, why);
        tr_buffer_text(&b->text, part->descending ? " DESC" : "");
    }
    tr_buffer_byte(&b->text, ')');
    return possible;
}

static void
add_index(struct tr_ddl_builder *b, uint32_t index, const struct tr_object *object, const char *name,
          bool optional)
{
    tr_ddl_add(b, (struct tr_ddl_statement){
                      .phase = TR_DDL_TABLE_AFTER,
                      .kind = object->kind,
                      .name = name,
                      .table = index,
                      .optional = optional,
                      .schema = tr_my_ddl_database(b, b->schema->tables[index].relation->target_schema) });
}

static bool
is_json(struct tr_ddl_builder *b, const struct tr_table *table, const struct tr_object *object)
{
    bool json = false;
    for (uint16_t i = 0; i < object->ncolumns && !json; i++)
        tr_ddl_plain_column(&b->ddl->arena, table, object->columns[i], &json);
    return json;
}

static bool
lacks_column(const struct tr_ddl_builder *b, const struct tr_table *table, const struct tr_object *object)
{
    bool lacks = false;
    for (uint16_t i = 0; i < object->ncolumns && !lacks && !makes_own(b, table); i++)
        lacks = tr_my_ddl_lacks(b, table, object->columns[i]);
    return lacks;
}

/* MariaDB has unique keys over whole long texts, by their hash. */
static bool
is_hashed(const struct tr_object *object)
{
    return strncmp(object->native, "UNIQUE", 6) == 0 && strstr(object->native, "USING HASH") != NULL;
}

static bool
has_long_text(const struct tr_table *table, const struct tr_object *object)
{
    bool has = false;
    for (uint16_t i = 0; i < object->ncolumns && !has; i++) {
        const char *native = table->relation->columns[object->columns[i]].native;
        has = native != NULL && (strcasestr(native, "text") != NULL || strcasestr(native, "blob") != NULL);
    }
    return has;
}

/* The line of the source's own CREATE TABLE: "KEY `n` (`a`(20)) USING BTREE". */
static void
build_own_index(struct tr_ddl_builder *b, uint32_t index, const struct tr_object *object)
{
    const struct tr_table *table = &b->schema->tables[index];
    bool same = tr_my_ddl_is_same(b);
    const char *why = NULL;
    if (object->in_create && makes_own(b, table))
        return;
    if (!same && strncmp(object->native, "VECTOR", 6) == 0)
        why = "the target has no vector indexes of this form";
    else if (object->has_expression && b->target.mariadb)
        why = "the target has no indexes on expressions";
    else if (object->has_expression &&
             !tr_expression_is_shared(object->native + strcspn(object->native, "("), b->target.mariadb))
        why = "the target may not know its functions";
    else if (!b->target.mariadb && is_json(b, table, object))
        why = "a column of it becomes JSON, which cannot be indexed";
    else if (!b->target.mariadb && is_hashed(object) && has_long_text(table, object))
        why = "the target has no unique keys over whole long texts";
    else if (lacks_column(b, table, object))
        why = "a column of it is not made";
    if (why != NULL) {
        tr_ddl_note(b, table->relation, NULL, "%s %s is not made: %s, for %s",
                    tr_object_kind_name(object->kind), object->name, tr_ddl_short(b, object->native), why);
        return;
    }
    tr_buffer_text(&b->text, "ALTER TABLE ");
    tr_my_ddl_table_name(b, table);
    size_t len = strlen(object->native);
    if (!b->target.mariadb && ends(object->native, &len, " IGNORED")) /* by the optimizer; MariaDB's word */
        tr_buffer_printf(&b->text, " ADD %.*s INVISIBLE", (int)len, object->native);
    else
        tr_buffer_printf(&b->text, " ADD %s", object->native);
    add_index(b, index, object, object->name,
              !same && (object->has_expression || strncmp(object->native, "FULLTEXT", 8) == 0 ||
                        strncmp(object->native, "SPATIAL", 7) == 0 || is_hashed(object)));
}

/* What the index loses, though it is made. */
static void
note_losses(struct tr_ddl_builder *b, const struct tr_table *table, const struct tr_object *object,
            const struct key *key)
{
    const char *kind = tr_object_kind_name(object->kind), *where = strstr(key->tail, " WHERE ");
    if (where != NULL)
        tr_ddl_note(b, table->relation, NULL, "%s %s has all rows: its condition %s is not carried", kind,
                    object->name, tr_ddl_short(b, where + 1));
    if (strstr(key->tail, "INCLUDE (") != NULL)
        tr_ddl_note(b, table->relation, NULL, "%s %s is made without the columns that it includes", kind,
                    object->name);
    if (key->nulls_same)
        tr_ddl_note(b, table->relation, NULL, "%s %s takes several NULLs: NULLS NOT DISTINCT is not carried",
                    kind, object->name);
    if (object->deferrable)
        tr_ddl_note(b, table->relation, NULL, "%s %s is checked at once, not at the end of a transaction",
                    kind, object->name);
    if (strncmp(key->method, "hash", 4) == 0)
        tr_ddl_note(b, table->relation, NULL, "%s %s becomes a tree: the target has no hash indexes", kind,
                    object->name);
    if (key->collated)
        tr_ddl_note(b, table->relation, NULL,
                    "%s %s has the order of its columns, not of a collation of its own", kind, object->name);
}

static void
lose_index(struct tr_ddl_builder *b, const struct tr_table *table, const struct tr_object *object,
           const char *why)
{
    tr_ddl_note(b, table->relation, NULL, "%s %s is not made: %s, for %s", tr_object_kind_name(object->kind),
                object->name, object->native != NULL ? tr_ddl_short(b, object->native) : "", why);
}

static void
build_index(struct tr_ddl_builder *b, uint32_t index, const struct tr_object *object)
{
    const struct tr_table *table = &b->schema->tables[index];
    bool unique = object->kind == TR_OBJECT_UNIQUE, optional = false;
    struct key key;
    struct tr_buffer why;
    if (tr_my_ddl_is_family(b)) {
        build_own_index(b, index, object);
        return;
    }
    if (!read_key(b, table, object, &key) || !is_tree(&key) ||
        (unique && strstr(key.tail, " WHERE ") != NULL)) {
        lose_index(b, table, object,
                   key.count == 0   ? "its columns are too many or not known"
                   : !is_tree(&key) ? "its method has no counterpart"
                                    : "a unique index with a condition has no counterpart");
        return;
    }
    for (uint16_t i = 0; i < key.count; i++)
        optional = optional || key.parts[i].column < 0;
    const char *name = strcasecmp(object->name, "PRIMARY") == 0
                           ? tr_name_joined(&b->ddl->arena, b->schema, table->relation, object->name,
                                            TR_NAME_MYSQL)
                           : object->name;
    tr_buffer_text(&b->text, "ALTER TABLE ");
    tr_my_ddl_table_name(b, table);
    tr_buffer_text(&b->text, unique ? " ADD UNIQUE KEY " : " ADD KEY ");
    tr_my_ddl_identifier(&b->text, name);
    tr_buffer_init(&why, 4096);
    if (write_parts(b, table, &key, unique, &why)) {
        tr_my_ddl_comment(b, table->relation, NULL, " COMMENT ", object->comment, COMMENT_CHARACTERS);
        add_index(b, index, object, name, optional);
        note_losses(b, table, object, &key);
    } else {
        tr_buffer_reset(&b->text);
        lose_index(b, table, object, why.data);
    }
    tr_buffer_fini(&why);
}

/* The primary key has been made with the table. */
static void
note_primary(struct tr_ddl_builder *b, const struct tr_table *table, const struct tr_object *object)
{
    if (tr_my_ddl_is_family(b))
        return;
    if (object->native != NULL && strstr(object->native, "INCLUDE (") != NULL)
        tr_ddl_note(b, table->relation, NULL, "primary key %s is made without the columns that it includes",
                    object->name);
    if (object->deferrable)
        tr_ddl_note(b, table->relation, NULL,
                    "primary key %s is checked at once, not at the end of a transaction", object->name);
}

void
tr_my_ddl_after(struct tr_ddl_builder *b, uint32_t index)
{
    static const enum tr_object_kind order[] = { TR_OBJECT_UNIQUE, TR_OBJECT_INDEX };
    const struct tr_table *table = &b->schema->tables[index];
    for (size_t k = 0; tr_my_ddl_is_made(table) && k < sizeof order / sizeof *order; k++)
        for (uint32_t i = 0; i < table->nobjects; i++)
            if (table->objects[i].kind == order[k])
                build_index(b, index, &table->objects[i]);
}

/* ---- counters, and what has no counterpart */

static int64_t
next_number(const struct tr_ddl_builder *b, const struct tr_table *table, const struct tr_column *column)
{
    if (tr_my_ddl_is_family(b))
        return tr_ddl_own_counter(table);
    for (uint32_t i = 0; i < table->nobjects; i++) {
        const struct tr_object *sequence = &table->objects[i];
        if (sequence->kind == TR_OBJECT_SEQUENCE && sequence->value_known && sequence->owned_column != NULL &&
            sequence->increment > 0 && strcmp(sequence->owned_column, column->name) == 0)
            return sequence->is_called && sequence->last_value < INT64_MAX - sequence->increment
                       ? sequence->last_value + sequence->increment
                       : sequence->last_value;
    }
    return 0;
}

static void
build_counter(struct tr_ddl_builder *b, uint32_t index)
{
    const struct tr_table *table = &b->schema->tables[index];
    int counting = tr_my_ddl_counting_column(b, table->relation);
    int64_t number = counting >= 0 ? next_number(b, table, &table->relation->columns[counting]) : 0;
    if (number <= 1)
        return;
    tr_buffer_text(&b->text, "ALTER TABLE ");
    tr_my_ddl_table_name(b, table);
    tr_buffer_printf(&b->text, " AUTO_INCREMENT = %lld", (long long)number);
    tr_ddl_add(b, (struct tr_ddl_statement){ .phase = TR_DDL_END,
                                             .kind = TR_OBJECT_SEQUENCE,
                                             .schema = tr_my_ddl_database(b, table->relation->target_schema),
                                             .name = table->relation->target_name,
                                             .counter = number,
                                             .optional = true,
                                             .table = index });
}

/* Sequences, and domains, of which the base types remain. */
static void
note_objects(struct tr_ddl_builder *b)
{
    struct tr_relation nowhere = { .schema = "" };
    for (uint32_t i = 0; i < b->schema->nobjects; i++) {
        const struct tr_object *object = &b->schema->objects[i];
        nowhere.schema = object->schema;
        nowhere.name = object->name;
        if (object->kind == TR_OBJECT_DOMAIN && object->native != NULL &&
            (strstr(object->native, "CHECK") != NULL || strstr(object->native, "NOT NULL") != NULL))
            tr_ddl_note(b, &nowhere, NULL, "domain becomes its base type, without what it demands: %s",
                        tr_ddl_short(b, object->native));
        else if (object->kind == TR_OBJECT_SEQUENCE)
            tr_my_ddl_sequence_end(b, object);
    }
}

void
tr_my_ddl_end(struct tr_ddl_builder *b)
{
    const struct tr_schema *schema = b->schema;
    for (uint32_t t = 0; t < schema->ntables; t++) {
        for (uint32_t i = 0; i < schema->tables[t].nobjects && tr_my_ddl_is_made(&schema->tables[t]); i++) {
            const struct tr_object *object = &schema->tables[t].objects[i];
            if (object->kind == TR_OBJECT_FOREIGN_KEY)
                tr_my_ddl_foreign_key(b, t, object);
            else if (object->kind == TR_OBJECT_PRIMARY_KEY)
                note_primary(b, &schema->tables[t], object);
            else if (object->kind == TR_OBJECT_EXCLUSION)
                tr_ddl_note(b, schema->tables[t].relation, NULL, "exclusion constraint %s is not carried: %s",
                            object->name, object->native != NULL ? tr_ddl_short(b, object->native) : "");
        }
        if (tr_my_ddl_is_made(&schema->tables[t]))
            build_counter(b, t);
    }
    note_objects(b);
}
