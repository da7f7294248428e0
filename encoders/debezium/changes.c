/* changes.c - a changed table in the records of schema changes: how Debezium's reader of MySQL's statements would describe it. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "encoders/common/write.h"
#include "encoders/debezium/internal.h"

/* java.sql.Types, as that reader gives them out. */
static const struct {
    const char *name;
    int code;
} jdbc_types[] = {
    { "tinyint", 5 },       { "smallint", 5 },     { "mediumint", 4 },   { "int", 4 },
    { "bigint", -5 },       { "float", 6 },        { "double", 8 },      { "decimal", 3 },
    { "bit", -7 },          { "year", 4 },         { "date", 91 },       { "time", 92 },
    { "datetime", 93 },     { "timestamp", 2014 }, { "char", 1 },        { "varchar", 12 },
    { "tinytext", 12 },     { "text", 12 },        { "mediumtext", 12 }, { "longtext", 12 },
    { "binary", -2 },       { "varbinary", -3 },   { "tinyblob", 2004 }, { "blob", 2004 },
    { "mediumblob", 2004 }, { "longblob", 2004 },  { "enum", 1 },        { "set", 1 },
};

#define OTHER 1111 /* json, geometry, uuid, inet6, vector ... */

static int
jdbc_type(const char *name)
{
    for (size_t i = 0; i < sizeof(jdbc_types) / sizeof(jdbc_types[0]); i++)
        if (strcmp(jdbc_types[i].name, name) == 0)
            return jdbc_types[i].code;
    return OTHER;
}

static void
flag(struct tr_buffer *out, bool set)
{
    tr_buffer_text(out, set ? "true" : "false");
}

/* INT UNSIGNED ZEROFILL */
static void
type_name(const struct tr_column *column, struct tr_buffer *out)
{
    tr_buffer_byte(out, '"');
    for (const char *c = column->type_name; *c != '\0'; c++)
        tr_buffer_byte(out, toupper((unsigned char)*c));
    tr_buffer_text(out, column->is_unsigned ? " UNSIGNED" : "");
    tr_buffer_text(out,
                   column->is_unsigned && strstr(column->native, " zerofill") != NULL ? " ZEROFILL" : "");
    tr_buffer_byte(out, '"');
}

/* "decimal(12,3)": what stands between the parentheses, -1 = nothing. Labels have no length of their own. */
static void
lengths(const struct tr_column *column, int64_t *length, int64_t *scale)
{
    const char *open = strchr(column->native, '(');
    char *end = NULL;
    *length = *scale = -1;
    if (column->logical == TR_ENUM) {
        *length = 1;
    } else if (column->logical == TR_SET) {
        *length = column->nlabels > 0 ? 2 * (int64_t)column->nlabels - 1 : 0;
    } else if (open != NULL && isdigit((unsigned char)open[1])) {
        *length = strtol(open + 1, &end, 10);
        if (*end == ',')
            *scale = strtol(end + 1, NULL, 10);
    }
}

static void
number_or_null(struct tr_buffer *out, int64_t number)
{
    if (number < 0)
        json_literal(out, "null");
    else
        tr_buffer_int(out, number);
}

static bool
is_now(const char *text)
{
    return strncasecmp(text, "current_timestamp", 17) == 0 || strncasecmp(text, "now(", 4) == 0 ||
           strncasecmp(text, "localtime", 9) == 0;
}

/* 'it''s' -> it's; MySQL tells a default without quotes, MariaDB with. */
static void
default_expression(const struct tr_column *column, struct tr_buffer *out)
{
    const char *text = column->default_expression;
    size_t len = text != NULL ? strlen(text) : 0;
    struct tr_buffer plain;
    if (text == NULL || strcmp(text, "NULL") == 0) {
        json_literal(out, "null");
        return;
    }
    if (is_now(text)) { /* what Debezium shows for it */
        json_literal(out, "\"1970-01-01 00:00:00\"");
        return;
    }
    if (column->logical == TR_BIT && len > 3 && text[0] == 'b' && text[1] == '\'') { /* b'1010' */
        tr_json_string(out, text + 2, len - 3);
        return;
    }
    if (len < 2 || text[0] != '\'' || text[len - 1] != '\'') {
        json_text(out, text);
        return;
    }
    tr_buffer_init(&plain, TR_BUFFER_MAX);
    for (const char *c = text + 1; c < text + len - 1; c++) {
        c += c[0] == '\'' && c[1] == '\'' && c + 1 < text + len - 1;
        tr_buffer_byte(&plain, *c);
    }
    tr_json_string(out, plain.len > 0 ? plain.data : "", plain.len);
    tr_buffer_fini(&plain);
}

/* As they stand in the statement, between quotes. */
static void
labels(const struct tr_column *column, struct tr_buffer *out)
{
    struct tr_buffer label;
    if (column->logical != TR_ENUM && column->logical != TR_SET) {
        json_literal(out, "null");
        return;
    }
    tr_buffer_init(&label, TR_BUFFER_MAX);
    tr_buffer_byte(out, '[');
    for (uint32_t i = 0; i < column->nlabels; i++) {
        tr_buffer_reset(&label);
        tr_buffer_byte(&label, '\'');
        for (const char *c = column->labels[i]; *c != '\0'; c++) {
            tr_buffer_text(&label, *c == '\'' ? "'" : "");
            tr_buffer_byte(&label, *c);
        }
        tr_buffer_byte(&label, '\'');
        tr_buffer_text(out, i > 0 ? "," : "");
        tr_json_string(out, label.data, label.len);
    }
    tr_buffer_byte(out, ']');
    tr_buffer_fini(&label);
}

static void
append_column(const struct tr_column *column, unsigned position, struct tr_buffer *out)
{
    int64_t length, scale;
    lengths(column, &length, &scale);
    json_literal(out, "{\"name\":");
    json_text(out, column->name);
    json_literal(out, ",\"jdbcType\":");
    tr_buffer_int(out, jdbc_type(column->type_name));
    json_literal(out, ",\"nativeType\":null,\"typeName\":");
    type_name(column, out);
    json_literal(out, ",\"typeExpression\":");
    type_name(column, out);
    json_literal(out, ",\"charsetName\":");
    json_text(out, column->charset);
    json_literal(out, ",\"length\":");
    number_or_null(out, length);
    json_literal(out, ",\"scale\":");
    number_or_null(out, scale);
    json_literal(out, ",\"position\":");
    tr_buffer_int(out, position);
    json_literal(out, ",\"optional\":");
    flag(out, !column->not_null);
    json_literal(out, ",\"autoIncremented\":");
    flag(out, column->auto_increment);
    json_literal(out, ",\"generated\":");
    flag(out, column->generated || column->auto_increment);
    json_literal(out, ",\"comment\":null,\"defaultValueExpression\":");
    default_expression(column, out);
    json_literal(out, ",\"enumValues\":");
    labels(column, out);
    tr_buffer_byte(out, '}');
}

/* The primary key, or what stands for one. */
static void
key_names(const struct tr_relation *relation, struct tr_buffer *out)
{
    for (uint16_t i = 0; i < relation->nkeys; i++) {
        tr_buffer_text(out, i > 0 ? "," : "");
        json_text(out, relation->columns[relation->keys[i]].name);
    }
    for (uint16_t place = 1; relation->nkeys == 0 && place <= relation->ncolumns; place++)
        for (uint16_t i = 0; i < relation->ncolumns; i++)
            if (relation->columns[i].unique == place) {
                tr_buffer_text(out, place > 1 ? "," : "");
                json_text(out, relation->columns[i].name);
            }
}

static void
append_table(const struct tr_relation *relation, struct tr_buffer *out)
{
    json_literal(out, "{\"defaultCharsetName\":");
    json_text(out, relation->charset);
    json_literal(out, ",\"primaryKeyColumnNames\":[");
    key_names(relation, out);
    json_literal(out, "],\"columns\":[");
    for (uint16_t i = 0; i < relation->ncolumns; i++) {
        tr_buffer_text(out, i > 0 ? "," : "");
        append_column(&relation->columns[i], i + 1u, out);
    }
    json_literal(out, "],\"comment\":null}");
}

/* "db"."table" */
static void
append_id(const struct tr_ddl_table *table, struct tr_buffer *id)
{
    const char *const parts[] = { table->schema, table->name };
    for (int i = 0; i < 2; i++) {
        tr_buffer_text(id, i > 0 ? ".\"" : "\"");
        for (const char *c = parts[i]; *c != '\0'; c++) {
            tr_buffer_text(id, *c == '"' ? "\"" : "");
            tr_buffer_byte(id, *c);
        }
        tr_buffer_byte(id, '"');
    }
}

/* The table that the statement changes, under the name that it has behind it. */
static uint32_t
changed_one(const struct tr_event *event)
{
    for (uint32_t i = 1; event->ddl.verb == TR_VERB_ALTER_TABLE && i < event->ddl.ntables; i++)
        if (event->ddl.tables[i].renamed)
            return i;
    return 0;
}

bool
change_next(const struct tr_event *event, uint32_t *at)
{
    bool begins = *at == CHANGE_FIRST;
    switch (event->ddl.verb) {
    case TR_VERB_RENAME_TABLE: *at = begins ? 1 : *at + 2; break; /* of a pair the new name */
    case TR_VERB_DROP_TABLE: *at = begins ? 0 : *at + 1; break;
    case TR_VERB_CREATE_TABLE: /* the others are only mentioned */
    case TR_VERB_ALTER_TABLE: *at = begins ? changed_one(event) : event->ddl.ntables; break;
    default: return false; /* an index is no part of what is told of a table */
    }
    return *at < event->ddl.ntables;
}

void
changes_append(const struct tr_event *event, uint32_t at, struct tr_buffer *out)
{
    const char *type = event->ddl.verb == TR_VERB_CREATE_TABLE ? "CREATE"
                       : event->ddl.verb == TR_VERB_DROP_TABLE ? "DROP"
                                                               : "ALTER";
    struct tr_buffer id;
    tr_buffer_byte(out, '[');
    if (at < event->ddl.ntables && event->ddl.tables[at].ours) {
        const struct tr_ddl_table *table = &event->ddl.tables[at];
        tr_buffer_init(&id, TR_BUFFER_MAX);
        append_id(table, &id);
        tr_buffer_printf(out, "{\"type\":\"%s\",\"id\":", type);
        tr_json_string(out, id.data, id.len);
        json_literal(out, ",\"table\":");
        if (table->shape != NULL)
            append_table(table->shape, out);
        else
            json_literal(out, "null");
        tr_buffer_byte(out, '}');
        tr_buffer_fini(&id);
    }
    tr_buffer_byte(out, ']');
}
