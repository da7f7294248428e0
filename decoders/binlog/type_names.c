/* type_names.c - a column's type as the catalogue and DDL spell it. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "decoders/binlog/types.h"

static const struct type_name {
    const char *name;
    uint8_t code;
    enum tr_logical logical, unsigned_logical;
} type_names[] = {
    { "tinyint", TYPE_TINY, TR_INT8, TR_UINT8 },
    { "smallint", TYPE_SHORT, TR_INT16, TR_UINT16 },
    { "mediumint", TYPE_INT24, TR_INT24, TR_UINT24 },
    { "int", TYPE_LONG, TR_INT32, TR_UINT32 },
    { "bigint", TYPE_LONGLONG, TR_INT64, TR_UINT64 },
    { "float", TYPE_FLOAT, TR_FLOAT32, TR_FLOAT32 },
    { "double", TYPE_DOUBLE, TR_FLOAT64, TR_FLOAT64 },
    { "decimal", TYPE_NEWDECIMAL, TR_DECIMAL, TR_DECIMAL },
    { "bit", TYPE_BIT, TR_BIT, TR_BIT },
    { "year", TYPE_YEAR, TR_YEAR, TR_YEAR },
    { "date", TYPE_DATE, TR_DATE, TR_DATE },
    { "time", TYPE_TIME2, TR_TIME, TR_TIME },
    { "timestamp", TYPE_TIMESTAMP2, TR_TIMESTAMPTZ, TR_TIMESTAMPTZ },
    { "datetime", TYPE_DATETIME2, TR_TIMESTAMP, TR_TIMESTAMP },
    { "enum", TYPE_ENUM, TR_ENUM, TR_ENUM },
    { "set", TYPE_SET, TR_SET, TR_SET },
    { "json", TYPE_JSON, TR_JSON, TR_JSON },
    { "char", TYPE_STRING, TR_CHAR, TR_CHAR },
    { "varchar", TYPE_VARCHAR, TR_TEXT, TR_TEXT },
    { "tinytext", TYPE_BLOB, TR_TEXT, TR_TEXT },
    { "text", TYPE_BLOB, TR_TEXT, TR_TEXT },
    { "mediumtext", TYPE_BLOB, TR_TEXT, TR_TEXT },
    { "longtext", TYPE_BLOB, TR_TEXT, TR_TEXT },
    { "binary", TYPE_STRING, TR_BYTES, TR_BYTES },
    { "varbinary", TYPE_VARCHAR, TR_BYTES, TR_BYTES },
    { "tinyblob", TYPE_BLOB, TR_BYTES, TR_BYTES },
    { "blob", TYPE_BLOB, TR_BYTES, TR_BYTES },
    { "mediumblob", TYPE_BLOB, TR_BYTES, TR_BYTES },
    { "longblob", TYPE_BLOB, TR_BYTES, TR_BYTES },
    { "vector", TYPE_VECTOR, TR_VECTOR, TR_VECTOR },
    { "uuid", TYPE_STRING, TR_UUID, TR_UUID },
    { "inet4", TYPE_STRING, TR_INET, TR_INET },
    { "inet6", TYPE_STRING, TR_INET, TR_INET },
    { "xmltype", TYPE_BLOB, TR_XML, TR_XML },
    { "geometry", TYPE_GEOMETRY, TR_GEOMETRY, TR_GEOMETRY },
    { "point", TYPE_GEOMETRY, TR_GEOMETRY, TR_GEOMETRY },
    { "linestring", TYPE_GEOMETRY, TR_GEOMETRY, TR_GEOMETRY },
    { "polygon", TYPE_GEOMETRY, TR_GEOMETRY, TR_GEOMETRY },
    { "multipoint", TYPE_GEOMETRY, TR_GEOMETRY, TR_GEOMETRY },
    { "multilinestring", TYPE_GEOMETRY, TR_GEOMETRY, TR_GEOMETRY },
    { "multipolygon", TYPE_GEOMETRY, TR_GEOMETRY, TR_GEOMETRY },
    { "geometrycollection", TYPE_GEOMETRY, TR_GEOMETRY, TR_GEOMETRY },
    { "geomcollection", TYPE_GEOMETRY, TR_GEOMETRY, TR_GEOMETRY },
};

static const struct type_name *
find_type(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof type_names / sizeof type_names[0]; i++)
        if (strncasecmp(type_names[i].name, name, len) == 0 && type_names[i].name[len] == '\0')
            return &type_names[i];
    return NULL;
}

/* The labels of "enum('a','it''s')": quotes are doubled, some control bytes are escaped by a backslash. */
static const char *
read_label(const char *p, struct tr_buffer *label)
{
    tr_buffer_reset(label);
    for (p++; *p != '\0'; p++) {
        if (*p == '\'' && p[1] != '\'')
            return p + 1;
        if (*p == '\'')
            p++;
        else if (*p == '\\' && strchr("0nr\\", p[1]) != NULL && p[1] != '\0')
            p++;
        else {
            tr_buffer_byte(label, *p);
            continue;
        }
        char c = p[-1] == '\\' ? (*p == '0' ? '\0' : *p == 'n' ? '\n' : *p == 'r' ? '\r' : '\\') : '\'';
        tr_buffer_byte(label, c);
    }
    return p;
}

static void
read_labels(struct tr_arena *arena, struct tr_column *column, const char *type)
{
    const char *p = strchr(type, '(');
    const char **labels = NULL;
    uint32_t count = 0, capacity = 0;
    struct tr_buffer label;
    tr_buffer_init(&label, 1 << 20);
    while (p != NULL && *p != '\0' && *++p == '\'') {
        p = read_label(p, &label);
        if (count == capacity) {
            const char **more = tr_arena_alloc(arena,
                                               (capacity = capacity > 0 ? capacity * 2 : 8) * sizeof *more);
            if (count > 0)
                memcpy(more, labels, count * sizeof *more);
            labels = more;
        }
        labels[count++] = tr_arena_copy(arena, label.data != NULL ? label.data : "", label.len);
    }
    tr_buffer_fini(&label);
    column->labels = labels;
    column->nlabels = count;
}

static int32_t
number(const char *text)
{
    if (text == NULL)
        return -1;
    long long n = strtoll(text, NULL, 10);
    return n > INT32_MAX ? -1 : (int32_t)n;
}

static bool
is_text(enum tr_logical logical)
{
    return logical == TR_CHAR || logical == TR_TEXT;
}

/* "(10,2)": one of the numbers, or -1. */
static int32_t
size_of(const char *spelled, int place)
{
    const char *p = strchr(spelled, '(');
    for (; p != NULL && place > 0; place--)
        p = strchr(p + 1, ',');
    return p != NULL ? number(p + 1) : -1;
}

bool
tr_binlog_describe_type(struct tr_arena *arena, struct tr_column *column, const char *spelled)
{
    const struct type_name *type = find_type(spelled, strcspn(spelled, "( "));
    column->native = tr_arena_strdup(arena, spelled);
    column->is_unsigned = strstr(spelled, "unsigned") != NULL;
    column->type_mod = column->length = column->precision = column->scale = -1;
    column->logical = TR_OTHER;
    if (type == NULL)
        return false;
    column->type_name = type->name;
    column->type_id = column->base_type_id = type->code;
    column->logical = column->is_unsigned ? type->unsigned_logical : type->logical;
    bool sized = is_text(column->logical) || column->logical == TR_BYTES || column->logical == TR_BIT ||
                 column->logical == TR_VECTOR;
    if (sized && type->code != TYPE_BLOB)
        column->length = size_of(spelled, 0);
    if (column->logical == TR_DECIMAL) {
        column->precision = size_of(spelled, 0);
        column->scale = size_of(spelled, 1);
    }
    if (column->logical == TR_TIME || column->logical == TR_TIMESTAMP || column->logical == TR_TIMESTAMPTZ)
        column->scale = strchr(spelled, '(') != NULL ? size_of(spelled, 0) : 0;
    if (column->logical == TR_ENUM || column->logical == TR_SET)
        read_labels(arena, column, spelled);
    return true;
}
