/*
 * logical.h - the closed list of logical types.
 *
 * A decoder's or catalogue's table says native type -> logical type; an encoder's or SQL dialect's table says logical type -> output.
 * Each such table is declared with [TR_LOGICAL_COUNT] and designated initialisers and checked by TR_LOGICAL_COMPLETE or a
 * unit test, so that a new type cannot be forgotten.
 */
#ifndef TR_CORE_LOGICAL_H
#define TR_CORE_LOGICAL_H

enum tr_logical {
    TR_OTHER = 0, /* anything else: carried as the server prints it */
    TR_BOOL,
    TR_INT8,
    TR_UINT8,
    TR_INT16,
    TR_UINT16,
    TR_INT24, /* MySQL MEDIUMINT */
    TR_UINT24,
    TR_INT32,
    TR_UINT32,
    TR_INT64,
    TR_UINT64,
    TR_FLOAT32,
    TR_FLOAT64,
    TR_DECIMAL, /* precision and scale in the column; -1 = unbounded */
    TR_MONEY,
    TR_CHAR, /* blank padded, length in characters */
    TR_TEXT, /* varchar(n) when length >= 0 */
    TR_BYTES,
    TR_BIT, /* fixed bit string of `length` bits */
    TR_VARBIT,
    TR_DATE,
    TR_TIME, /* scale = digits of the fraction */
    TR_TIMETZ,
    TR_TIMESTAMP, /* without time zone */
    TR_TIMESTAMPTZ,
    TR_INTERVAL,
    TR_YEAR,
    TR_UUID,
    TR_JSON,
    TR_JSONB,
    TR_XML,
    TR_ENUM, /* labels in the column */
    TR_SET,
    TR_INET,
    TR_CIDR,
    TR_MACADDR,
    TR_OID,
    TR_ARRAY, /* element type in the column */
    TR_RANGE,
    TR_MULTIRANGE,
    TR_COMPOSITE,
    TR_HSTORE,
    TR_LTREE,
    TR_TSVECTOR,
    TR_POINT,
    TR_GEOMETRY,
    TR_GEOGRAPHY,
    TR_VECTOR,
    TR_LOGICAL_COUNT
};

/* "int32", "timestamptz", ... for messages and reports. */
const char *tr_logical_name(enum tr_logical logical);

#endif
