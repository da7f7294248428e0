/*
 * catalog.c - the shapes of tables from information_schema: a query for the tables, one for their columns, one for their keys.
 *
 * The same reading serves the full load and the decoder, so that a column has one description, whoever asks.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "capture/mysql/internal.h"
#include "core/memory.h"
#include "decoders/binlog/types.h"

enum {
    C_SCHEMA,
    C_TABLE,
    C_NAME,
    C_NUMBER,
    C_DEFAULT,
    C_NULLABLE,
    C_DATA_TYPE,
    C_CHARSET,
    C_COLLATION,
    C_TYPE,
    C_EXTRA,
    C_GENERATION
};

static const char columns_query[] =
    "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, ORDINAL_POSITION, COLUMN_DEFAULT, IS_NULLABLE, DATA_TYPE, CHARACTER_SET_NAME,"
    " COLLATION_NAME, COLUMN_TYPE, EXTRA, GENERATION_EXPRESSION"
    " FROM information_schema.COLUMNS WHERE ";
/* MariaDB's catalogue takes letters of either case for the same: rows of "Orders" and "orders" would come mixed. */
#define BY_NAME "CAST(TABLE_SCHEMA AS BINARY), CAST(TABLE_NAME AS BINARY)"
static const char keys_query[] =
    "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, SEQ_IN_INDEX FROM information_schema.STATISTICS WHERE INDEX_NAME = 'PRIMARY' AND ";

/* MariaDB computes a virtual column for the log only where all of a row is to be in it. */
static enum tr_logged
logged(const struct tr_mysql_source *source, const char *extra)
{
    if (!source->mariadb || strcasestr(extra, "VIRTUAL GENERATED") == NULL)
        return TR_LOGGED_ALWAYS;
    return source->row_images_full ? TR_LOGGED_IN_FULL : TR_LOGGED_NEVER;
}

static void
describe(const struct tr_mysql_source *source, struct tr_arena *arena, struct tr_column *column, char **row)
{
    const char *extra = row[C_EXTRA] != NULL ? row[C_EXTRA] : "";
    column->name = tr_arena_strdup(arena, row[C_NAME]);
    if (!tr_binlog_describe_type(arena, column, row[C_TYPE]))
        column->type_name = tr_arena_strdup(arena, row[C_DATA_TYPE]);
    column->charset = tr_arena_strdup(arena, row[C_CHARSET]);
    column->collation = tr_arena_strdup(arena, row[C_COLLATION]);
    column->not_null = strcasecmp(row[C_NULLABLE], "NO") == 0;
    column->generated = strcasestr(extra, "VIRTUAL GENERATED") != NULL ||
                        strcasestr(extra, "STORED GENERATED") != NULL ||
                        strcasestr(extra, "PERSISTENT") != NULL ||
                        (row[C_GENERATION] != NULL && row[C_GENERATION][0] != '\0');
    column->logged = logged(source, extra);
    column->stored = strcasestr(extra, "STORED") != NULL || strcasestr(extra, "PERSISTENT") != NULL;
    if (column->generated)
        column->generation = tr_arena_strdup(arena, row[C_GENERATION]);
    column->auto_increment = strcasestr(extra, "auto_increment") != NULL;
    column->invisible = strcasestr(extra, "INVISIBLE") != NULL;
    column->row_end = row[C_GENERATION] != NULL && strcasecmp(row[C_GENERATION], "ROW END") == 0;
    if (!column->generated)
        column->default_expression = tr_arena_strdup(arena, row[C_DEFAULT]);
}

/* ----------------------------------------------------------------------------------------------------------- reading */

/* The condition that picks one table, or all of the task's databases. */
static void
add_filter(const struct tr_mysql_source *source, const char *database, const char *table,
           struct tr_buffer *sql)
{
    if (database == NULL)
        database = source->database;
    if (database == NULL) {
        tr_buffer_text(
            sql,
            "TABLE_SCHEMA NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys', 'tailrace')");
        return;
    }
    tr_buffer_text(sql, "TABLE_SCHEMA = ");
    tr_mysql_literal(sql, database, strlen(database));
    if (table != NULL) {
        tr_buffer_text(sql, " AND TABLE_NAME = ");
        tr_mysql_literal(sql, table, strlen(table));
    }
}

static int
ask_filtered(struct tr_mysql_source *source, const char *query, const char *database, const char *table,
             const char *order, MYSQL_RES **res, struct tr_error *err)
{
    struct tr_buffer sql;
    tr_buffer_init(&sql, (size_t)1 << 16);
    tr_buffer_text(&sql, query);
    add_filter(source, database, table, &sql);
    tr_buffer_printf(&sql, " ORDER BY %s", order);
    int rc = tr_mysql_ask(source, sql.data, res, err);
    tr_buffer_fini(&sql);
    return rc < 0 ? tr_error_prefix(err, "source: cannot read the catalogue") : 0;
}

static uint64_t
table_id(const char *database, const char *table)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (const char *p = database; *p != '\0'; p++)
        h = (h ^ (uint8_t)*p) * UINT64_C(0x100000001b3);
    h = (h ^ 0xff) * UINT64_C(0x100000001b3);
    for (const char *p = table; *p != '\0'; p++)
        h = (h ^ (uint8_t)*p) * UINT64_C(0x100000001b3);
    return h;
}

static struct tr_relation *
add_relation(struct tr_relation_list *list, const char *database, const char *table)
{
    struct tr_relation *relation = tr_relation_new();
    relation->id = table_id(database, table);
    relation->schema = relation->target_schema = tr_arena_strdup(&relation->arena, database);
    relation->name = relation->target_name = tr_arena_strdup(&relation->arena, table);
    relation->replica_identity = 'f';
    relation->codec = &tr_binlog_codec;
    list->items = tr_realloc(list->items, (list->count + 1) * sizeof *list->items);
    list->items[list->count++] = relation;
    return relation;
}

/* Rows come by table, then by column. */
static void
read_columns(const struct tr_mysql_source *source, MYSQL_RES *res, struct tr_relation_list *list)
{
    MYSQL_ROW row = mysql_fetch_row(res);
    while (row != NULL) {
        struct tr_relation *relation = add_relation(list, row[C_SCHEMA], row[C_TABLE]);
        struct tr_column *columns = NULL;
        uint16_t count = 0, capacity = 0;
        do {
            if (count == capacity) {
                capacity = (uint16_t)(capacity > 0 ? capacity * 2 : 8);
                struct tr_column *more = tr_arena_zalloc(&relation->arena, capacity * sizeof *more);
                if (columns != NULL)
                    memcpy(more, columns, count * sizeof *more);
                columns = more;
            }
            describe(source, &relation->arena, &columns[count++], row);
            row = mysql_fetch_row(res);
        } while (row != NULL && strcmp(row[C_SCHEMA], relation->schema) == 0 &&
                 strcmp(row[C_TABLE], relation->name) == 0);
        relation->columns = columns;
        relation->ncolumns = count;
    }
}

static struct tr_relation *
find(const struct tr_relation_list *list, size_t *hint, const char *database, const char *table)
{
    for (size_t k = 0; k < list->count; k++) {
        size_t i = (*hint + k) % list->count;
        if (strcmp(list->items[i]->name, table) == 0 && strcmp(list->items[i]->schema, database) == 0) {
            *hint = i;
            return list->items[i];
        }
    }
    return NULL;
}

static void
read_keys(MYSQL_RES *res, const struct tr_relation_list *list)
{
    MYSQL_ROW row;
    size_t hint = 0;
    while ((row = mysql_fetch_row(res)) != NULL) {
        struct tr_relation *relation = find(list, &hint, row[0], row[1]);
        int c = relation != NULL ? tr_relation_column(relation, row[2]) : -1;
        if (c < 0)
            continue;
        struct tr_column *column = (struct tr_column *)(uintptr_t)&relation->columns[c]; /* not shared yet */
        column->key = column->row_end ? 0 : (uint16_t)strtoul(row[3], NULL, 10);
    }
}

static void
finish(struct tr_relation *relation)
{
    bool keyed = false;
    for (uint16_t i = 0; i < relation->ncolumns; i++)
        keyed = keyed || relation->columns[i].key > 0;
    for (uint16_t i = 0; i < relation->ncolumns; i++) {
        struct tr_column *column = (struct tr_column *)(uintptr_t)&relation->columns[i];
        column->identity = keyed ? column->key : (uint16_t)(i + 1);
    }
    tr_relation_index_keys(relation);
}

/* Rows of one index are together, in the order in which the server keeps the indexes. Marks the first that tells every row apart. */
static void
read_unique(MYSQL_RES *res, struct tr_relation *relation)
{
    enum { I_NON_UNIQUE = 1, I_NAME, I_SEQUENCE, I_COLUMN, I_NULLABLE = 9 };
    char name[256] = "";
    bool good = false;
    MYSQL_ROW row = mysql_fetch_row(res);
    while (row != NULL) {
        if (strcmp(name, row[I_NAME]) != 0) {
            if (good)
                return;
            for (uint16_t i = 0; i < relation->ncolumns; i++)
                ((struct tr_column *)(uintptr_t)&relation->columns[i])->unique = 0;
            snprintf(name, sizeof name, "%s", row[I_NAME]);
            good = strcmp(row[I_NON_UNIQUE], "0") == 0;
        }
        int c = row[I_COLUMN] != NULL ? tr_relation_column(relation, row[I_COLUMN]) : -1;
        /* Where the beginnings of values differ, so do the values. */
        good = good && c >= 0 && (row[I_NULLABLE] == NULL || strcmp(row[I_NULLABLE], "YES") != 0);
        if (c >= 0)
            ((struct tr_column *)(uintptr_t)&relation->columns[c])->unique = (uint16_t)strtoul(
                row[I_SEQUENCE], NULL, 10);
        row = mysql_fetch_row(res);
    }
    for (uint16_t i = 0; !good && i < relation->ncolumns; i++)
        ((struct tr_column *)(uintptr_t)&relation->columns[i])->unique = 0;
}

/* What stands for a key where a table has no primary one. */
static int
find_unique(struct tr_mysql_source *source, struct tr_relation *relation, struct tr_error *err)
{
    struct tr_buffer sql;
    MYSQL_RES *res;
    if (relation->nkeys > 0)
        return 0;
    tr_buffer_init(&sql, (size_t)1 << 16);
    tr_buffer_text(&sql, "SHOW INDEX FROM ");
    tr_mysql_identifier(&sql, relation->schema);
    tr_buffer_byte(&sql, '.');
    tr_mysql_identifier(&sql, relation->name);
    int rc = tr_mysql_ask(source, sql.data, &res, err);
    tr_buffer_fini(&sql);
    if (rc < 0 && strcmp(err->sqlstate, "42S02") == 0)
        return 0; /* dropped a moment ago */
    if (rc < 0)
        return tr_error_prefix(err, "source: cannot read the catalogue");
    if (mysql_num_fields(res) > 9)
        read_unique(res, relation);
    mysql_free_result(res);
    return 0;
}

/* By name, byte by byte, whatever the server's collation. */
static int
compare_names(const void *a, const void *b)
{
    const struct tr_relation *x = *(struct tr_relation *const *)a, *y = *(struct tr_relation *const *)b;
    int order = strcmp(x->schema, y->schema);
    return order != 0 ? order : strcmp(x->name, y->name);
}

/* Columns and keys of one table, or of all in the task's databases. */
static int
read_shapes(struct tr_mysql_source *source, const char *database, const char *table,
            struct tr_relation_list *list, struct tr_error *err)
{
    MYSQL_RES *columns = NULL, *keys = NULL;
    *list = (struct tr_relation_list){ 0 };
    int rc = ask_filtered(source, columns_query, database, table, BY_NAME ", ORDINAL_POSITION", &columns,
                          err);
    if (rc == 0)
        rc = ask_filtered(source, keys_query, database, table, BY_NAME ", SEQ_IN_INDEX", &keys, err);
    if (rc == 0) {
        read_columns(source, columns, list);
        read_keys(keys, list);
        for (size_t i = 0; i < list->count; i++)
            finish(list->items[i]);
    }
    mysql_free_result(columns);
    mysql_free_result(keys);
    if (rc == 0 && table != NULL && list->count == 1)
        rc = find_unique(source, list->items[0], err);
    return rc;
}

/* Views and sequences have columns too. */
static int
keep_tables(struct tr_mysql_source *source, struct tr_relation_list *list, struct tr_error *err)
{
    MYSQL_RES *res;
    MYSQL_ROW row;
    size_t hint = 0, kept = 0;
    int rc = ask_filtered(
        source,
        "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') AND ",
        NULL, NULL, BY_NAME, &res, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < list->count; i++)
        list->items[i]->skip = true;
    while ((row = mysql_fetch_row(res)) != NULL) {
        struct tr_relation *relation = tr_mysql_wants(source, row[0], row[1])
                                           ? find(list, &hint, row[0], row[1])
                                           : NULL;
        if (relation != NULL)
            relation->skip = false;
    }
    mysql_free_result(res);
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i]->skip)
            tr_relation_unref(list->items[i]);
        else
            list->items[kept++] = list->items[i];
    }
    list->count = kept;
    return 0;
}

int
tr_mysql_relations(struct tr_source *base, struct tr_relation_list *list, struct tr_error *err)
{
    struct tr_mysql_source *source = tr_mysql(base);
    int rc = read_shapes(source, NULL, NULL, list, err);
    if (rc == 0)
        rc = keep_tables(source, list, err);
    if (rc == 0 && list->count > 1)
        qsort(list->items, list->count, sizeof(*list->items), compare_names);
    for (size_t i = 0; rc == 0 && i < list->count; i++)
        rc = find_unique(source, list->items[i], err);
    if (rc < 0)
        tr_relation_list_free(list);
    return rc;
}

int
tr_mysql_exists(struct tr_source *base, struct tr_error *err)
{
    struct tr_mysql_source *source = tr_mysql(base);
    struct tr_buffer sql;
    char *there = NULL;
    if (source->database == NULL)
        return 0;
    tr_buffer_init(&sql, 4096);
    tr_buffer_printf(&sql, "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE %s = ",
                     source->lower_case != 0 ? "SCHEMA_NAME" : "CAST(SCHEMA_NAME AS BINARY)");
    tr_mysql_literal(&sql, source->database, strlen(source->database));
    int rc = tr_mysql_ask_text(source, sql.data, &there, err);
    tr_buffer_fini(&sql);
    if (rc == 0 && there == NULL) {
        tr_fail(err, TR_CONFIG, "source: there is no database \"%s\", or its user may not see it",
                source->database);
        rc = tr_error_hint(err, "name an existing database in the URL, or none for all of them");
    }
    free(there);
    return rc;
}

/* ------------------------------------------------------------------------------------- what the log does not tell */

static bool
is_placeholder(const struct tr_column *column, uint16_t i)
{
    char name[16];
    snprintf(name, sizeof name, "@%u", i + 1U);
    return strcmp(column->name, name) == 0;
}

/* The log keeps every blob under one code, and a uuid as a binary string. */
static bool
types_agree(const struct tr_column *log, const struct tr_column *catalog)
{
    uint32_t a = log->type_id, b = catalog->type_id;
    if (a == TYPE_BLOB_COMPRESSED || a == TYPE_TINY_BLOB || a == TYPE_MEDIUM_BLOB || a == TYPE_LONG_BLOB)
        a = TYPE_BLOB;
    if (a == TYPE_VARCHAR_COMPRESSED || a == TYPE_VAR_STRING)
        a = TYPE_VARCHAR;
    if (a == TYPE_TIMESTAMP || a == TYPE_DATETIME || a == TYPE_TIME)
        a = a == TYPE_TIMESTAMP ? TYPE_TIMESTAMP2 : a == TYPE_DATETIME ? TYPE_DATETIME2 : TYPE_TIME2;
    if (a == TYPE_NEWDATE)
        a = TYPE_DATE;
    return a == b || b == 0 || (catalog->logical == TR_VECTOR && a == TYPE_VARCHAR) ||
           (catalog->logical == TR_XML && a == TYPE_BLOB);
}

/* Types that the log keeps as strings. */
static bool
hidden_in_a_string(enum tr_logical logical)
{
    return logical == TR_UUID || logical == TR_INET || logical == TR_VECTOR || logical == TR_XML;
}

/* Everything that the log cannot know, and what it did not say this time. Storage stays as the log has it. */
static void
take_from_catalog(struct tr_relation *relation, struct tr_column *to, const struct tr_column *from,
                  bool named)
{
    struct tr_arena *arena = &relation->arena;
    if (hidden_in_a_string(from->logical) && to->logical != from->logical) {
        to->logical = from->logical;
        to->type_name = tr_arena_strdup(arena, from->type_name);
        to->charset = to->charset != NULL ? to->charset : tr_arena_strdup(arena, from->charset);
        to->native = tr_arena_strdup(arena, from->native);
    }
    if (!named) {
        to->name = tr_arena_strdup(arena, from->name);
        to->is_unsigned = from->is_unsigned;
        to->logical = from->logical;
        to->length = from->length;
        to->charset = tr_arena_strdup(arena, from->charset);
        to->type_name = tr_arena_strdup(arena, from->type_name);
    }
    if (!named || strcmp(to->type_name, from->type_name) == 0)
        to->native = tr_arena_strdup(arena, from->native);
    if ((to->logical == TR_ENUM || to->logical == TR_SET) && to->nlabels == 0) {
        const char **labels = tr_arena_alloc(arena, (from->nlabels + 1) * sizeof *labels);
        for (uint32_t i = 0; i < from->nlabels; i++)
            labels[i] = tr_arena_strdup(arena, from->labels[i]);
        to->labels = labels;
        to->nlabels = from->nlabels;
    }
    if ((to->type_id == TYPE_TIMESTAMP || to->type_id == TYPE_DATETIME || to->type_id == TYPE_TIME) &&
        from->scale > 0)
        to->scale = from->scale; /* MariaDB's own storage of fractions (mysql56_temporal_format = OFF) */
    to->collation = tr_arena_strdup(arena, from->collation);
    to->default_expression = tr_arena_strdup(arena, from->default_expression);
    to->generated = from->generated;
    to->generation = tr_arena_strdup(arena, from->generation);
    to->stored = from->stored;
    to->logged = from->logged;
    to->row_end = from->row_end;
    to->auto_increment = from->auto_increment;
    to->invisible = to->invisible || from->invisible;
    to->not_null = from->not_null;
}

static void
take_keys(struct tr_relation *relation, const struct tr_relation *catalog, bool named)
{
    bool keyed = false;
    for (uint16_t i = 0; i < relation->ncolumns; i++)
        keyed = keyed || relation->columns[i].key > 0;
    for (uint16_t i = 0; i < relation->ncolumns && !keyed; i++) {
        int c = named ? tr_relation_column(catalog, relation->columns[i].name) : i;
        struct tr_column *column = (struct tr_column *)(uintptr_t)&relation->columns[i];
        column->key = c >= 0 && c < catalog->ncolumns ? catalog->columns[c].key : 0;
        column->unique = c >= 0 && c < catalog->ncolumns ? catalog->columns[c].unique : 0;
    }
    finish(relation);
}

static int
altered(const struct tr_relation *relation, struct tr_error *err, const char *how)
{
    tr_fail(err, TR_REFUSED,
            "table %s.%s %s since its rows were logged, and the log does not name its columns",
            relation->schema, relation->name, how);
    return tr_error_hint(
        err,
        "SET GLOBAL binlog_row_metadata = 'FULL' on the source, end the sessions that were open before, and load the table "
        "again (tailrace reload)");
}

/* Without names, columns are told by their places, and any doubt is a refusal. */
static int
complete_by_place(struct tr_relation *relation, const struct tr_relation *catalog, struct tr_error *err)
{
    if (catalog->ncolumns != relation->ncolumns)
        return altered(relation, err, "gained or lost columns");
    for (uint16_t i = 0; i < relation->ncolumns; i++) {
        struct tr_column *column = (struct tr_column *)(uintptr_t)&relation->columns[i];
        if (!types_agree(column, &catalog->columns[i]))
            return altered(relation, err, "changed the type of a column");
        take_from_catalog(relation, column, &catalog->columns[i], false);
    }
    take_keys(relation, catalog, false);
    return 0;
}

static int
complete_by_name(struct tr_relation *relation, const struct tr_relation *catalog)
{
    for (uint16_t i = 0; i < relation->ncolumns; i++) {
        struct tr_column *column = (struct tr_column *)(uintptr_t)&relation->columns[i];
        int c = tr_relation_column(catalog, column->name);
        if (c >= 0 && types_agree(column, &catalog->columns[c]))
            take_from_catalog(relation, column, &catalog->columns[c], true);
        else
            column->default_unknown = true; /* it is gone by now, or another one */
    }
    take_keys(relation, catalog, true);
    return 0;
}

/* Statements up to here may have changed what the catalogue has just told; the decoder meets them later. */
static int
note_end(struct tr_mysql_source *source, struct tr_relation *relation, struct tr_error *err)
{
    struct tr_mysql_position end;
    int rc = tr_mysql_server_end(source, NULL, &end, err);
    if (rc < 0)
        return rc;
    relation->named_at = tr_mysql_position_order(&end);
    tr_mysql_position_fini(&end);
    return 0;
}

int
tr_mysql_complete(void *arg, struct tr_relation *relation, struct tr_error *err)
{
    struct tr_mysql_source *source = arg;
    struct tr_relation_list list;
    if (relation->ncolumns == 0 || !tr_mysql_wants(source, relation->schema, relation->name))
        return 0;
    bool named = !is_placeholder(&relation->columns[0], 0), sequence = false;
    int rc = tr_mysql_is_sequence(source, relation, named, &sequence, err);
    relation->skip = sequence;
    if (rc < 0 || sequence)
        return rc;
    rc = read_shapes(source, relation->schema, relation->name, &list, err);
    if (rc == 0 && list.count == 1)
        rc = named ? complete_by_name(relation, list.items[0])
                   : complete_by_place(relation, list.items[0], err);
    else if (rc == 0 && !named)
        rc = altered(relation, err, "was dropped or renamed");
    if (rc == 0 && !named)
        rc = note_end(source, relation, err);
    tr_relation_list_free(&list);
    return rc;
}

/* The character set is the first word of the collation's name. */
static int
read_table_charset(struct tr_mysql_source *source, struct tr_relation *relation, struct tr_error *err)
{
    struct tr_buffer sql;
    char *charset;
    tr_buffer_init(&sql, (size_t)1 << 16);
    tr_buffer_text(&sql,
                   "SELECT SUBSTRING_INDEX(TABLE_COLLATION, '_', 1) FROM information_schema.TABLES WHERE ");
    add_filter(source, relation->schema, relation->name, &sql);
    int rc = tr_mysql_ask_text(source, sql.data, &charset, err);
    tr_buffer_fini(&sql);
    if (rc < 0)
        return tr_error_prefix(err, "source: cannot read the catalogue");
    relation->charset = tr_arena_strdup(&relation->arena, charset);
    free(charset);
    return 0;
}

/*
 * MySQL's log has a statement a moment before its server is done with it, and until then the catalogue is that of before. Whoever asks for the table's lock waits for it; one
 * that is held for longer is somebody else's.
 */
static void
let_it_finish(struct tr_mysql_source *source, const char *schema, const char *name)
{
    struct tr_error ignored;
    struct tr_buffer sql;
    MYSQL_RES *res = NULL;
    tr_buffer_init(&sql, 4096);
    tr_buffer_text(&sql, "SELECT 1 FROM ");
    tr_mysql_qualified(&sql, schema, name);
    tr_buffer_text(&sql, " LIMIT 0");
    if (tr_mysql_ask(source, "SET SESSION lock_wait_timeout = 2", NULL, &ignored) == 0 &&
        tr_mysql_ask(source, sql.data, &res, &ignored) == 0)
        mysql_free_result(res);
    tr_mysql_ask(source, "SET SESSION lock_wait_timeout = DEFAULT", NULL, &ignored);
    tr_buffer_fini(&sql);
}

int
tr_mysql_describe(struct tr_source *base, const char *schema, const char *name, struct tr_relation **relation,
                  struct tr_error *err)
{
    struct tr_mysql_source *source = (struct tr_mysql_source *)base;
    struct tr_relation_list list;
    *relation = NULL;
    let_it_finish(source, schema, name);
    int rc = read_shapes(source, schema, name, &list, err);
    if (rc == 0 && list.count == 1)
        rc = read_table_charset(source, list.items[0], err);
    if (rc == 0 && list.count == 1)
        *relation = tr_relation_ref(list.items[0]);
    tr_relation_list_free(&list);
    return rc;
}

int
tr_mysql_offset(void *arg, const char *zone, int64_t unix_us, char out[8], struct tr_error *err)
{
    struct tr_buffer sql;
    char *minutes = NULL;
    out[0] = '\0';
    tr_buffer_init(&sql, 4096);
    tr_buffer_text(&sql, "SELECT TIMESTAMPDIFF(MINUTE, u, CONVERT_TZ(u, '+00:00', ");
    tr_mysql_literal(&sql, zone, strlen(zone));
    tr_buffer_printf(&sql, ")) FROM (SELECT TIMESTAMP '1970-01-01 00:00:00' + INTERVAL %lld SECOND AS u) t",
                     (long long)(unix_us / 1000000));
    int rc = tr_mysql_ask_text(arg, sql.data, &minutes, err);
    tr_buffer_fini(&sql);
    if (rc == 0 && minutes != NULL) {
        int m = atoi(minutes), size = m < 0 ? -m : m;
        snprintf(out, 8, "%c%02d:%02d", m < 0 ? '-' : '+', size / 60 % 100, size % 60);
    }
    free(minutes);
    return rc < 0 ? tr_error_prefix(err, "source: asking for the time zone %s", zone) : 0;
}
