/* types.c - the one table of types: storage, metadata and logical type of each. */
#include "decoders/binlog/types.h"

#define NUMBER(name, layout, size, meta, is, uns)      \
    {                                                  \
        name, layout, size, meta, is, uns, true, false \
    }
#define TEXT(name, layout, meta)                             \
    {                                                        \
        name, layout, 0, meta, TR_TEXT, TR_TEXT, false, true \
    }
#define PLAIN(name, layout, size, meta, is)            \
    {                                                  \
        name, layout, size, meta, is, is, false, false \
    }

const struct type_info binlog_types[256] = {
    [TYPE_TINY] = NUMBER("tinyint", LAYOUT_FIXED, 1, 0, TR_INT8, TR_UINT8),
    [TYPE_SHORT] = NUMBER("smallint", LAYOUT_FIXED, 2, 0, TR_INT16, TR_UINT16),
    [TYPE_INT24] = NUMBER("mediumint", LAYOUT_FIXED, 3, 0, TR_INT24, TR_UINT24),
    [TYPE_LONG] = NUMBER("int", LAYOUT_FIXED, 4, 0, TR_INT32, TR_UINT32),
    [TYPE_LONGLONG] = NUMBER("bigint", LAYOUT_FIXED, 8, 0, TR_INT64, TR_UINT64),
    [TYPE_FLOAT] = NUMBER("float", LAYOUT_FIXED, 4, 1, TR_FLOAT32, TR_FLOAT32),
    [TYPE_DOUBLE] = NUMBER("double", LAYOUT_FIXED, 8, 1, TR_FLOAT64, TR_FLOAT64),
    [TYPE_NEWDECIMAL] = NUMBER("decimal", LAYOUT_DECIMAL, 0, 2, TR_DECIMAL, TR_DECIMAL),
    [TYPE_NULL] = PLAIN("null", LAYOUT_FIXED, 0, 0, TR_OTHER),
    [TYPE_BIT] = PLAIN("bit", LAYOUT_BIT, 0, 2, TR_BIT),
    [TYPE_YEAR] = NUMBER("year", LAYOUT_FIXED, 1, 0, TR_YEAR, TR_YEAR),
    [TYPE_DATE] = PLAIN("date", LAYOUT_FIXED, 3, 0, TR_DATE),
    [TYPE_NEWDATE] = PLAIN("date", LAYOUT_FIXED, 3, 0, TR_DATE),
    [TYPE_TIME] = PLAIN("time", LAYOUT_FIXED, 3, 0, TR_TIME),
    [TYPE_TIMESTAMP] = PLAIN("timestamp", LAYOUT_FIXED, 4, 0, TR_TIMESTAMPTZ),
    [TYPE_DATETIME] = PLAIN("datetime", LAYOUT_FIXED, 8, 0, TR_TIMESTAMP),
    [TYPE_TIME2] = PLAIN("time", LAYOUT_FRACTION, 3, 1, TR_TIME),
    [TYPE_TIMESTAMP2] = PLAIN("timestamp", LAYOUT_FRACTION, 4, 1, TR_TIMESTAMPTZ),
    [TYPE_DATETIME2] = PLAIN("datetime", LAYOUT_FRACTION, 5, 1, TR_TIMESTAMP),
    [TYPE_ENUM] = PLAIN("enum", LAYOUT_LABELS, 0, 2, TR_ENUM),
    [TYPE_SET] = PLAIN("set", LAYOUT_LABELS, 0, 2, TR_SET),
    [TYPE_JSON] = PLAIN("json", LAYOUT_BLOB, 0, 1, TR_JSON),
    [TYPE_GEOMETRY] = PLAIN("geometry", LAYOUT_BLOB, 0, 1, TR_GEOMETRY),
    [TYPE_VECTOR] = PLAIN("vector", LAYOUT_BLOB, 0, 1, TR_VECTOR),
    [TYPE_VARCHAR] = TEXT("varchar", LAYOUT_STRING, 2),
    [TYPE_VAR_STRING] = TEXT("varchar", LAYOUT_STRING, 2),
    [TYPE_STRING] = TEXT("char", LAYOUT_STRING, 2),
    [TYPE_TINY_BLOB] = TEXT("tinytext", LAYOUT_BLOB, 1),
    [TYPE_BLOB] = TEXT("text", LAYOUT_BLOB, 1),
    [TYPE_MEDIUM_BLOB] = TEXT("mediumtext", LAYOUT_BLOB, 1),
    [TYPE_LONG_BLOB] = TEXT("longtext", LAYOUT_BLOB, 1),
    [TYPE_VARCHAR_COMPRESSED] = TEXT("varchar", LAYOUT_STRING, 2),
    [TYPE_BLOB_COMPRESSED] = TEXT("text", LAYOUT_BLOB, 1),
};

uint32_t
binlog_decimal_size(uint32_t precision, uint32_t scale)
{
    static const uint8_t bytes[10] = { 0, 1, 1, 2, 2, 3, 3, 4, 4, 4 };
    if (precision == 0 || precision > 65 || scale > precision)
        return 0;
    uint32_t whole = precision - scale;
    return whole / 9 * 4 + bytes[whole % 9] + scale / 9 * 4 + bytes[scale % 9];
}
