/*
 * schema.c - the catalogue as a schema: tables with their relations, keys, indexes, foreign keys and checks, and the server's own statement.
 *
 * SHOW CREATE TABLE is the truth; its lines are told apart: columns, the primary key and generated parts stay in the CREATE TABLE, other indexes and
 * foreign keys become objects of their own, made after the rows.
 */
#include "schema/schema.h"

#include <stdlib.h>
#include <string.h>

#include "capture/mysql/internal.h"
#include "core/memory.h"

#define STATEMENT_MAX ((size_t)16 << 20)

struct builder {
    struct tr_mysql_source *source;
    struct tr_schema *schema;
    struct tr_table *table;
    struct tr_object *objects;
    uint32_t nobjects, capacity;
    struct tr_buffer create; /* the lines that stay */
};

static struct tr_object *
add_object(struct builder *b, enum tr_object_kind kind, const char *name)
{
    if (b->nobjects == b->capacity) {
        b->capacity = b->capacity > 0 ? b->capacity * 2 : 8;
        b->objects = tr_realloc(b->objects, b->capacity * sizeof *b->objects);
    }
    struct tr_object *object = &b->objects[b->nobjects++];
    *object = (struct tr_object){ .kind = kind, .schema = b->table->relation->schema, .name = name };
    return object;
}

/* A name between back-ticks, from *p on; *p is left behind it. NULL when none begins there. */
static const char *
read_name(struct builder *b, const char **p)
{
    struct tr_buffer name;
    const char *at = *p, *copy;
    if (*at++ != '`')
        return NULL;
    tr_buffer_init(&name, 4096);
    for (; *at != '\0' && !(at[0] == '`' && at[1] != '`'); at++) {
        at += at[0] == '`';
        tr_buffer_byte(&name, *at);
    }
    *p = *at == '`' ? at + 1 : at;
    copy = tr_arena_copy(&b->schema->arena, name.data != NULL ? name.data : "", name.len);
    tr_buffer_fini(&name);
    return copy;
}

/* "(`a`,`b`(10) DESC)" into column indexes; an expression makes the index one of its own kind. *p is left behind the parenthesis. */
static void
read_columns(struct builder *b, struct tr_object *object, const char **p)
{
    uint16_t columns[64], n = 0;
    const char *at = strchr(*p, '(');
    int depth = 0;
    if (at == NULL)
        return;
    for (; *at != '\0'; at++) {
        if (*at == '`' && depth == 1) {
            const char *name = read_name(b, &at);
            int c = tr_relation_column(b->table->relation, name);
            if (c >= 0 && n < 64 && !b->table->relation->columns[c].row_end)
                columns[n++] = (uint16_t)c;
            at--;
        } else if (*at == '(') {
            object->has_expression = object->has_expression ||
                                     (depth == 1 && (at[-1] == '(' || at[-1] == ','));
            depth++;
        } else if (*at == ')' && --depth == 0) {
            break;
        }
    }
    *p = *at != '\0' ? at + 1 : at;
    uint16_t *kept = tr_arena_alloc(&b->schema->arena, (size_t)n * sizeof *kept);
    memcpy(kept, columns, (size_t)n * sizeof *kept);
    object->columns = kept;
    object->ncolumns = n;
}

/* Names of the referenced columns. */
static void
read_ref_columns(struct builder *b, struct tr_object *object, const char **p)
{
    const char *names[64] = { NULL };
    uint16_t n = 0;
    const char *at = strchr(*p, '(');
    while (at != NULL && *at != ')' && *at != '\0') {
        const char *before = at;
        if (*at == '`' && n < 64)
            names[n++] = read_name(b, &at);
        at += at == before;
    }
    const char **kept = tr_arena_alloc(&b->schema->arena, (size_t)n * sizeof *kept);
    memcpy(kept, names, (size_t)n * sizeof *kept);
    object->ref_columns = kept;
    *p = at != NULL && *at == ')' ? at + 1 : *p;
}

static const char *
action(const char *tail, const char *event)
{
    static const char *const names[] = { "CASCADE", "SET NULL", "SET DEFAULT", "RESTRICT", "NO ACTION" };
    const char *at = strstr(tail, event);
    for (size_t i = 0; at != NULL && i < sizeof names / sizeof names[0]; i++)
        if (strncmp(at + strlen(event) + 1, names[i], strlen(names[i])) == 0)
            return names[i];
    return "NO ACTION";
}

/* CONSTRAINT `n` FOREIGN KEY (`a`) REFERENCES `db`.`t` (`x`) ON DELETE CASCADE */
static bool
foreign_key(struct builder *b, const char *line)
{
    const char *p = line + strlen("CONSTRAINT "), *name = read_name(b, &p);
    if (name == NULL || strncmp(p, " FOREIGN KEY ", 13) != 0)
        return false;
    struct tr_object *object = add_object(b, TR_OBJECT_FOREIGN_KEY, name);
    object->is_constraint = true;
    read_columns(b, object, &p);
    if (strncmp(p, " REFERENCES ", 12) == 0)
        p += 12;
    const char *first = read_name(b, &p);
    object->ref_schema = b->table->relation->schema;
    object->ref_table = first;
    if (*p == '.') {
        p++;
        object->ref_schema = first;
        object->ref_table = read_name(b, &p);
    }
    object->native = tr_arena_strdup(&b->schema->arena, *p == ' ' ? p + 1 : p);
    read_ref_columns(b, object, &p);
    object->on_delete = action(p, "ON DELETE");
    object->on_update = action(p, "ON UPDATE");
    return true;
}

/* KEY `n` (`a`,`b`) USING BTREE COMMENT 'x', and UNIQUE KEY, FULLTEXT KEY, SPATIAL KEY, VECTOR KEY. */
static bool
index_line(struct builder *b, const char *line)
{
    static const char *const starts[] = { "KEY ", "UNIQUE KEY ", "FULLTEXT KEY ", "SPATIAL KEY ",
                                          "VECTOR KEY " };
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        size_t len = strlen(starts[i]);
        if (strncmp(line, starts[i], len) != 0)
            continue;
        const char *p = line + len, *name = read_name(b, &p);
        struct tr_object *object = add_object(b, i == 1 ? TR_OBJECT_UNIQUE : TR_OBJECT_INDEX, name);
        object->native = tr_arena_strdup(&b->schema->arena, line);
        read_columns(b, object, &p);
        return true;
    }
    return false;
}

/* An index that AUTO_INCREMENT needs must be there from the beginning. */
static bool
serves_auto_increment(const struct builder *b, const struct tr_object *object)
{
    return object->ncolumns > 0 && b->table->relation->columns[object->columns[0]].auto_increment;
}

static void
take_line(struct builder *b, char *line)
{
    uint32_t before = b->nobjects;
    size_t len = strlen(line);
    if (len > 0 && line[len - 1] == ',')
        line[--len] = '\0';
    const char *p = line;
    bool stays = true;
    if (strncmp(line, "PRIMARY KEY ", 12) == 0) {
        struct tr_object *object = add_object(b, TR_OBJECT_PRIMARY_KEY, "PRIMARY");
        object->is_constraint = object->in_create = true;
        object->native = tr_arena_strdup(&b->schema->arena, line);
        read_columns(b, object, &p);
    } else if (index_line(b, line)) {
        stays = b->objects[before].in_create = serves_auto_increment(b, &b->objects[before]);
    } else if (strncmp(line, "CONSTRAINT ", 11) == 0 && foreign_key(b, line)) {
        stays = false;
    } else if (strncmp(line, "CONSTRAINT ", 11) == 0) {
        p += 11;
        struct tr_object *object = add_object(b, TR_OBJECT_CHECK, read_name(b, &p));
        object->is_constraint = object->in_create = true;
        object->native = object->expression = tr_arena_strdup(&b->schema->arena, *p == ' ' ? p + 1 : p);
    }
    if (stays)
        tr_buffer_printf(&b->create, "%s\n  %s", b->create.len > 1 ? "," : "", line);
}

/* "CREATE TABLE `t` (\n  line,\n  line\n) ENGINE=..." */
static void
take_statement(struct builder *b, char *statement)
{
    char *body = strstr(statement, " (\n"), *next;
    if (body == NULL)
        return;
    tr_buffer_reset(&b->create);
    tr_buffer_byte(&b->create, '(');
    for (char *line = body + 3; line != NULL && *line != ')' && *line != '\0'; line = next) {
        char *end = strchr(line, '\n');
        next = end != NULL ? end + 1 : NULL;
        if (end != NULL)
            *end = '\0';
        while (*line == ' ')
            line++;
        take_line(b, line);
        if (next == NULL || *next == ')') {
            tr_buffer_printf(&b->create, "\n%s", next != NULL ? next : ")");
            break;
        }
    }
    b->table->create = tr_arena_copy(&b->schema->arena, b->create.data, b->create.len);
}

static int
read_create(struct builder *b, struct tr_error *err)
{
    const struct tr_relation *relation = b->table->relation;
    struct tr_buffer sql;
    MYSQL_RES *res;
    tr_buffer_init(&sql, 8192);
    tr_buffer_text(&sql, "SHOW CREATE TABLE ");
    tr_mysql_qualified(&sql, relation->schema, relation->name);
    int rc = tr_mysql_ask(b->source, sql.data, &res, err);
    tr_buffer_fini(&sql);
    if (rc < 0) {
        tr_mysql_vanished(err);
        return tr_error_prefix(err, "source: reading the definition of %s.%s", relation->schema,
                               relation->name);
    }
    MYSQL_ROW row = mysql_fetch_row(res);
    if (row != NULL && row[1] != NULL)
        take_statement(b, row[1]);
    mysql_free_result(res);
    struct tr_object *objects = tr_arena_alloc(&b->schema->arena, b->nobjects * sizeof *objects);
    if (b->nobjects > 0)
        memcpy(objects, b->objects, b->nobjects * sizeof *objects);
    b->table->objects = objects;
    b->table->nobjects = b->nobjects;
    b->nobjects = 0;
    return 0;
}

/* ------------------------------------------------------------------------------------------------- sizes and comments */

static int
read_sizes(struct tr_mysql_source *source, struct tr_schema *schema, struct tr_error *err)
{
    MYSQL_RES *res;
    MYSQL_ROW row;
    int rc = tr_mysql_ask(
        source,
        "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_ROWS, DATA_LENGTH, TABLE_COMMENT, EXISTS (SELECT 1 FROM information_schema.TRIGGERS g"
        " WHERE g.EVENT_OBJECT_SCHEMA = t.TABLE_SCHEMA AND g.EVENT_OBJECT_TABLE = t.TABLE_NAME) FROM information_schema.TABLES t"
        " WHERE TABLE_SCHEMA NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys', 'tailrace')",
        &res, err);
    if (rc < 0)
        return rc;
    while ((row = mysql_fetch_row(res)) != NULL) {
        struct tr_table *table = (struct tr_table *)(uintptr_t)tr_schema_table(schema, row[0], row[1]);
        if (table == NULL)
            continue;
        table->rows = row[2] != NULL ? strtoull(row[2], NULL, 10) : 0;
        table->bytes = row[3] != NULL ? strtoull(row[3], NULL, 10) : 0;
        table->comment = row[4] != NULL && row[4][0] != '\0' ? tr_arena_strdup(&schema->arena, row[4]) : NULL;
        table->has_triggers = row[5] != NULL && row[5][0] == '1';
    }
    mysql_free_result(res);
    return 0;
}

static int
read_comments(struct tr_mysql_source *source, struct tr_schema *schema, struct tr_error *err)
{
    MYSQL_RES *res;
    MYSQL_ROW row;
    int rc = tr_mysql_ask(
        source,
        "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, COLUMN_COMMENT FROM information_schema.COLUMNS WHERE COLUMN_COMMENT <> ''",
        &res, err);
    if (rc < 0)
        return rc;
    while ((row = mysql_fetch_row(res)) != NULL) {
        struct tr_table *table = (struct tr_table *)(uintptr_t)tr_schema_table(schema, row[0], row[1]);
        int c = table != NULL ? tr_relation_column(table->relation, row[2]) : -1;
        if (c < 0)
            continue;
        const char **comments = (const char **)(uintptr_t)table->column_comments;
        if (comments == NULL)
            comments = tr_arena_zalloc(&schema->arena, table->relation->ncolumns * sizeof *comments);
        comments[c] = tr_arena_strdup(&schema->arena, row[3]);
        table->column_comments = comments;
    }
    mysql_free_result(res);
    return 0;
}

/* What the stream's tables take where they do not say. */
static int
read_databases(struct tr_mysql_source *source, struct tr_schema *schema, struct tr_error *err)
{
    MYSQL_RES *res;
    MYSQL_ROW row;
    int rc = tr_mysql_ask(
        source,
        "SELECT SCHEMA_NAME, CONCAT('CHARACTER SET ', DEFAULT_CHARACTER_SET_NAME, ' COLLATE ', DEFAULT_COLLATION_NAME) FROM information_schema.SCHEMATA",
        &res, err);
    if (rc < 0)
        return tr_error_prefix(err, "source: cannot read the catalogue");
    while ((row = mysql_fetch_row(res)) != NULL) {
        const char *text = tr_arena_strdup(&schema->arena, row[1]);
        for (uint32_t i = 0; i < schema->ntables; i++)
            if (strcmp(schema->tables[i].relation->schema, row[0]) == 0)
                schema->tables[i].database = text;
    }
    mysql_free_result(res);
    return 0;
}

static void
link_references(struct tr_schema *schema)
{
    for (uint32_t i = 0; i < schema->ntables; i++)
        for (uint32_t k = 0; k < schema->tables[i].nobjects; k++) {
            struct tr_object *object = (struct tr_object *)(uintptr_t)&schema->tables[i].objects[k];
            const struct tr_table *other = object->ref_table != NULL
                                               ? tr_schema_table(schema, object->ref_schema,
                                                                 object->ref_table)
                                               : NULL;
            object->ref = other != NULL ? (uint32_t)(other - schema->tables) + 1 : 0;
        }
}

/* MySQL logs them from 9.6 on, unless it leaves them to InnoDB. */
bool
tr_mysql_hides_cascades(struct tr_source *base)
{
    struct tr_mysql_source *source = tr_mysql(base);
    struct tr_error ignored;
    char *native = NULL;
    if (source->mariadb || source->version < 90600)
        return true;
    bool hides = tr_mysql_ask_text(source, "SELECT @@global.innodb_native_foreign_keys", &native, &ignored) ==
                     0 &&
                 native != NULL && strcmp(native, "1") == 0;
    free(native);
    return hides;
}

int
tr_mysql_schema(struct tr_source *base, struct tr_schema **out, struct tr_error *err)
{
    struct builder b = { .source = tr_mysql(base), .schema = tr_schema_new(base->class->dialect) };
    struct tr_relation_list list;
    *out = NULL;
    tr_buffer_init(&b.create, STATEMENT_MAX);
    int rc = tr_mysql_relations(base, &list, err);
    if (rc == 0)
        b.schema->tables = tr_arena_zalloc(&b.schema->arena, list.count * sizeof *b.schema->tables);
    for (size_t i = 0; rc == 0 && i < list.count; i++) {
        b.table = &b.schema->tables[b.schema->ntables++];
        b.table->relation = tr_relation_ref(list.items[i]);
        rc = read_create(&b, err);
    }
    if (rc == 0)
        rc = read_sizes(b.source, b.schema, err);
    if (rc == 0)
        rc = read_comments(b.source, b.schema, err);
    if (rc == 0)
        rc = read_databases(b.source, b.schema, err);
    if (rc == 0 && b.source->mariadb)
        rc = tr_mysql_read_sequences(b.source, b.schema, err);
    if (rc == 0)
        link_references(b.schema);
    tr_relation_list_free(&list);
    tr_buffer_fini(&b.create);
    free(b.objects);
    if (rc < 0)
        tr_schema_free(b.schema);
    else
        *out = b.schema;
    return rc;
}
