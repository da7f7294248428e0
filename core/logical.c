/* logical.c - names of the logical types. */
#include "core/logical.h"

static const char *const names[TR_LOGICAL_COUNT] = {
    [TR_OTHER] = "other",         [TR_BOOL] = "bool",           [TR_INT8] = "int8",
    [TR_UINT8] = "uint8",         [TR_INT16] = "int16",         [TR_UINT16] = "uint16",
    [TR_INT24] = "int24",         [TR_UINT24] = "uint24",       [TR_INT32] = "int32",
    [TR_UINT32] = "uint32",       [TR_INT64] = "int64",         [TR_UINT64] = "uint64",
    [TR_FLOAT32] = "float32",     [TR_FLOAT64] = "float64",     [TR_DECIMAL] = "decimal",
    [TR_MONEY] = "money",         [TR_CHAR] = "char",           [TR_TEXT] = "text",
    [TR_BYTES] = "bytes",         [TR_BIT] = "bit",             [TR_VARBIT] = "varbit",
    [TR_DATE] = "date",           [TR_TIME] = "time",           [TR_TIMETZ] = "timetz",
    [TR_TIMESTAMP] = "timestamp", [TR_TIMESTAMPTZ] = "timestamptz", [TR_INTERVAL] = "interval",
    [TR_YEAR] = "year",           [TR_UUID] = "uuid",           [TR_JSON] = "json",
    [TR_JSONB] = "jsonb",         [TR_XML] = "xml",             [TR_ENUM] = "enum",
    [TR_SET] = "set",             [TR_INET] = "inet",           [TR_CIDR] = "cidr",
    [TR_MACADDR] = "macaddr",     [TR_OID] = "oid",             [TR_ARRAY] = "array",
    [TR_RANGE] = "range",         [TR_MULTIRANGE] = "multirange", [TR_COMPOSITE] = "composite",
    [TR_HSTORE] = "hstore",       [TR_LTREE] = "ltree",         [TR_TSVECTOR] = "tsvector",
    [TR_POINT] = "point",         [TR_GEOMETRY] = "geometry",   [TR_GEOGRAPHY] = "geography",
    [TR_VECTOR] = "vector",
};

const char *
tr_logical_name(enum tr_logical logical)
{
    return (unsigned)logical < TR_LOGICAL_COUNT && names[logical] ? names[logical] : "unknown";
}
