/* convert_postgresql.c - columns of MySQL and MariaDB as columns of PostgreSQL. */
#include <string.h>

#include "schema/convert.h"

static const char *const types[TR_LOGICAL_COUNT] = {
    [TR_BOOL] = "boolean",
    [TR_INT8] = "smallint",
    [TR_UINT8] = "smallint",
    [TR_INT16] = "smallint",
    [TR_UINT16] = "integer",
    [TR_INT24] = "integer",
    [TR_UINT24] = "integer",
    [TR_INT32] = "integer",
    [TR_UINT32] = "bigint",
    [TR_INT64] = "bigint",
    [TR_UINT64] = "numeric(20,0)",
    [TR_FLOAT32] = "real",
    [TR_FLOAT64] = "double precision",
    [TR_MONEY] = "money",
    [TR_BYTES] = "bytea",
    [TR_DATE] = "date",
    [TR_YEAR] = "smallint",
    [TR_UUID] = "uuid",
    [TR_JSON] = "jsonb",
    [TR_JSONB] = "jsonb",
    [TR_XML] = "xml",
    [TR_SET] = "text",
    [TR_INET] = "inet",
    [TR_CIDR] = "cidr",
    [TR_MACADDR] = "macaddr",
    [TR_OID] = "oid",
    [TR_INTERVAL] = "interval",
    [TR_POINT] = "bytea",
    [TR_GEOMETRY] = "bytea",
    [TR_GEOGRAPHY] = "bytea",
    [TR_VECTOR] = "text",
};

static const char *const notes[TR_LOGICAL_COUNT] = {
    [TR_TEXT] = NULL,
    [TR_DATE] = "zero and part-zero dates have no form in the target",
    [TR_TIMESTAMP] = "zero and part-zero dates have no form in the target",
    [TR_TIMESTAMPTZ] = "zero dates have no form in the target",
    [TR_TIME] = "a time below 0 or above 24 hours has no form in the target",
    [TR_SET] = "becomes the text of its labels, separated by commas",
    [TR_POINT] = "kept as the bytes of PostGIS's EWKB",
    [TR_GEOMETRY] = "kept as the bytes of PostGIS's EWKB",
    [TR_VECTOR] = "kept as text",
};

static void
sized(struct tr_buffer *type, const char *name, int32_t size)
{
    if (size >= 0)
        tr_buffer_printf(type, "%s(%d)", name, size);
    else
        tr_buffer_text(type, name);
}

static void
scaled(struct tr_buffer *type, const char *name, int32_t scale, const char *zone)
{
    sized(type, name, scale >= 0 && scale <= 6 ? scale : 0);
    tr_buffer_text(type, zone);
}

static bool
is_text_type(const struct tr_column *column)
{
    return column->type_name != NULL && strstr(column->type_name, "text") != NULL;
}

void
tr_convert_to_postgresql(const struct tr_column *column, const char *enum_type, struct tr_buffer *type,
                         struct tr_buffer *note)
{
    enum tr_logical logical = column->logical;
    if (column->target_type != NULL) {
        tr_buffer_text(type, column->target_type);
        tr_buffer_printf(note, "becomes %s, as the task says", column->target_type);
        return;
    }
    if (logical == TR_ENUM && enum_type != NULL)
        tr_buffer_text(type, enum_type);
    else if (types[logical] != NULL)
        tr_buffer_text(type, types[logical]);
    else if (logical == TR_CHAR)
        sized(type, "char", column->length > 0 ? column->length : 1);
    else if (logical == TR_TEXT)
        sized(type, is_text_type(column) || column->length < 1 ? "text" : "varchar",
              is_text_type(column) || column->length < 1 ? -1 : column->length);
    else if (logical == TR_DECIMAL && column->precision > 0)
        tr_buffer_printf(type, "numeric(%d,%d)", column->precision, column->scale > 0 ? column->scale : 0);
    else if (logical == TR_DECIMAL)
        tr_buffer_text(type, "numeric");
    else if (logical == TR_BIT)
        sized(type, "bit", column->length > 0 ? column->length : 1);
    else if (logical == TR_TIME)
        scaled(type, "time", column->scale, "");
    else if (logical == TR_TIMESTAMP)
        scaled(type, "timestamp", column->scale, "");
    else if (logical == TR_TIMESTAMPTZ)
        scaled(type, "timestamp", column->scale, " with time zone");
    else
        tr_buffer_text(type, "text");
    if (notes[logical] != NULL)
        tr_buffer_text(note, notes[logical]);
    else if (column->type_name != NULL && logical == TR_INT8 && column->native != NULL &&
             strcmp(column->native, "tinyint(1)") == 0)
        tr_buffer_text(note, "stays a number: tinyint(1) holds more than true and false");
    else if ((logical == TR_TEXT || logical == TR_CHAR) && column->collation != NULL &&
             strstr(column->collation, "_ci") != NULL)
        tr_buffer_printf(note, "collation %s is not carried: the target compares exactly", column->collation);
}
