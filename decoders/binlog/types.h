/* types.h - the types of columns as table maps number them. */
#ifndef TR_DECODERS_BINLOG_TYPES_H
#define TR_DECODERS_BINLOG_TYPES_H

#include <stdbool.h>
#include <stdint.h>

#include "core/relation.h"

enum mysql_type {
    TYPE_DECIMAL = 0, /* before MySQL 5.0: not supported */
    TYPE_TINY = 1,
    TYPE_SHORT = 2,
    TYPE_LONG = 3,
    TYPE_FLOAT = 4,
    TYPE_DOUBLE = 5,
    TYPE_NULL = 6,
    TYPE_TIMESTAMP = 7,
    TYPE_LONGLONG = 8,
    TYPE_INT24 = 9,
    TYPE_DATE = 10,
    TYPE_TIME = 11,
    TYPE_DATETIME = 12,
    TYPE_YEAR = 13,
    TYPE_NEWDATE = 14,
    TYPE_VARCHAR = 15,
    TYPE_BIT = 16,
    TYPE_TIMESTAMP2 = 17,
    TYPE_DATETIME2 = 18,
    TYPE_TIME2 = 19,
    TYPE_BLOB_COMPRESSED = 140,
    TYPE_VARCHAR_COMPRESSED = 141,
    TYPE_VECTOR = 242,
    TYPE_JSON = 245,
    TYPE_NEWDECIMAL = 246,
    TYPE_ENUM = 247,
    TYPE_SET = 248,
    TYPE_TINY_BLOB = 249,
    TYPE_MEDIUM_BLOB = 250,
    TYPE_LONG_BLOB = 251,
    TYPE_BLOB = 252,
    TYPE_VAR_STRING = 253,
    TYPE_STRING = 254,
    TYPE_GEOMETRY = 255,
};

enum type_layout {
    LAYOUT_UNKNOWN = 0,
    LAYOUT_FIXED,    /* `size` bytes */
    LAYOUT_FRACTION, /* `size` bytes and those of the fraction, whose digits are the metadata */
    LAYOUT_DECIMAL,
    LAYOUT_BIT,
    LAYOUT_LABELS, /* enum and set: as many bytes as the metadata says */
    LAYOUT_STRING, /* a length of 1 or 2 bytes, by the declared size */
    LAYOUT_BLOB,   /* a length of as many bytes as the metadata says */
};

struct type_info {
    const char *name; /* as DDL spells it */
    enum type_layout layout;
    uint8_t size;
    uint8_t meta; /* bytes of metadata in the table map */
    enum tr_logical logical, unsigned_logical;
    bool numeric;   /* has a bit in the signedness field */
    bool character; /* has a collation in the charset fields */
};

/* By type code; name NULL = not known. */
extern const struct type_info binlog_types[256];

/*
 * What the type says of a column, spelled as the catalogue does ("int(10) unsigned", "enum('a','it''s')", "datetime(3)"): native, type codes, logical type, length,
 * precision, scale, labels. False when the type is not known: then TR_OTHER. Pure.
 */
bool tr_binlog_describe_type(struct tr_arena *arena, struct tr_column *column, const char *spelled);

/* Bytes of a decimal(precision, scale), or 0 when there is no such. */
uint32_t binlog_decimal_size(uint32_t precision, uint32_t scale);

#endif
