/* types.c - the one table of PostgreSQL's types. */
#include "decoders/pgoutput/types.h"

#include <string.h>

/* Most frequent first: both look-ups are linear, and run once per column of a new relation. */
static const struct tr_pg_type types[] = {
    /* name, oid, array, logical, binary, element, sql */
    { "int4", 23, 1007, TR_INT32, true, 0, "integer" },
    { "int8", 20, 1016, TR_INT64, true, 0, "bigint" },
    { "text", 25, 1009, TR_TEXT, true, 0, NULL },
    { "varchar", 1043, 1015, TR_TEXT, true, 0, "character varying" },
    { "timestamptz", 1184, 1185, TR_TIMESTAMPTZ, true, 0, "timestamp with time zone" },
    { "timestamp", 1114, 1115, TR_TIMESTAMP, true, 0, "timestamp without time zone" },
    { "numeric", 1700, 1231, TR_DECIMAL, true, 0, NULL },
    { "bool", 16, 1000, TR_BOOL, true, 0, "boolean" },
    { "jsonb", 3802, 3807, TR_JSONB, true, 0, NULL },
    { "uuid", 2950, 2951, TR_UUID, true, 0, NULL },
    { "date", 1082, 1182, TR_DATE, true, 0, NULL },
    { "float8", 701, 1022, TR_FLOAT64, true, 0, "double precision" },
    { "float4", 700, 1021, TR_FLOAT32, true, 0, "real" },
    { "int2", 21, 1005, TR_INT16, true, 0, "smallint" },
    { "bytea", 17, 1001, TR_BYTES, true, 0, NULL },
    { "bpchar", 1042, 1014, TR_CHAR, true, 0, "character" },
    { "json", 114, 199, TR_JSON, true, 0, NULL },
    { "time", 1083, 1183, TR_TIME, true, 0, "time without time zone" },
    { "timetz", 1266, 1270, TR_TIMETZ, true, 0, "time with time zone" },
    { "interval", 1186, 1187, TR_INTERVAL, true, 0, NULL },
    { "oid", 26, 1028, TR_OID, true, 0, NULL },
    { "money", 790, 791, TR_MONEY, false, 0, NULL },
    { "bit", 1560, 1561, TR_BIT, true, 0, NULL },
    { "varbit", 1562, 1563, TR_VARBIT, true, 0, "bit varying" },
    { "name", 19, 1003, TR_TEXT, true, 0, NULL },
    { "char", 18, 1002, TR_OTHER, false, 0, "\"char\"" },
    { "xml", 142, 143, TR_XML, false, 0, NULL },
    { "inet", 869, 1041, TR_INET, false, 0, NULL },
    { "cidr", 650, 651, TR_CIDR, false, 0, NULL },
    { "macaddr", 829, 1040, TR_MACADDR, true, 0, NULL },
    { "macaddr8", 774, 775, TR_MACADDR, true, 0, NULL },
    { "tsvector", 3614, 3643, TR_TSVECTOR, false, 0, NULL },
    { "tsquery", 3615, 3645, TR_OTHER, false, 0, NULL },
    { "point", 600, 1017, TR_POINT, false, 0, NULL },
    { "lseg", 601, 1018, TR_OTHER, false, 0, NULL },
    { "path", 602, 1019, TR_OTHER, false, 0, NULL },
    { "box", 603, 1020, TR_OTHER, false, 0, NULL },
    { "polygon", 604, 1027, TR_OTHER, false, 0, NULL },
    { "line", 628, 629, TR_OTHER, false, 0, NULL },
    { "circle", 718, 719, TR_OTHER, false, 0, NULL },
    { "int4range", 3904, 3905, TR_RANGE, false, 23, NULL },
    { "int8range", 3926, 3927, TR_RANGE, false, 20, NULL },
    { "numrange", 3906, 3907, TR_RANGE, false, 1700, NULL },
    { "tsrange", 3908, 3909, TR_RANGE, false, 1114, NULL },
    { "tstzrange", 3910, 3911, TR_RANGE, false, 1184, NULL },
    { "daterange", 3912, 3913, TR_RANGE, false, 1082, NULL },
    { "int4multirange", 4451, 6150, TR_MULTIRANGE, false, 23, NULL },
    { "int8multirange", 4536, 6157, TR_MULTIRANGE, false, 20, NULL },
    { "nummultirange", 4532, 6151, TR_MULTIRANGE, false, 1700, NULL },
    { "tsmultirange", 4533, 6152, TR_MULTIRANGE, false, 1114, NULL },
    { "tstzmultirange", 4534, 6153, TR_MULTIRANGE, false, 1184, NULL },
    { "datemultirange", 4535, 6155, TR_MULTIRANGE, false, 1082, NULL },
    { "pg_lsn", 3220, 3221, TR_OTHER, false, 0, NULL },
    { "txid_snapshot", 2970, 2949, TR_OTHER, false, 0, NULL },
    { "pg_snapshot", 5038, 5039, TR_OTHER, false, 0, NULL },
    { "xid", 28, 1011, TR_OTHER, false, 0, NULL },
    { "xid8", 5069, 271, TR_OTHER, false, 0, NULL },
    { "cid", 29, 1012, TR_OTHER, false, 0, NULL },
    { "tid", 27, 1010, TR_OTHER, false, 0, NULL },
    { "jsonpath", 4072, 4073, TR_OTHER, false, 0, NULL },
    { "refcursor", 1790, 2201, TR_TEXT, true, 0, NULL },
    { "regproc", 24, 1008, TR_OTHER, false, 0, NULL },
    { "regprocedure", 2202, 2207, TR_OTHER, false, 0, NULL },
    { "regoper", 2203, 2208, TR_OTHER, false, 0, NULL },
    { "regoperator", 2204, 2209, TR_OTHER, false, 0, NULL },
    { "regclass", 2205, 2210, TR_OTHER, false, 0, NULL },
    { "regtype", 2206, 2211, TR_OTHER, false, 0, NULL },
    { "regrole", 4096, 4097, TR_OTHER, false, 0, NULL },
    { "regnamespace", 4089, 4090, TR_OTHER, false, 0, NULL },
    { "regcollation", 4191, 4192, TR_OTHER, false, 0, NULL },
    { "regconfig", 3734, 3735, TR_OTHER, false, 0, NULL },
    { "regdictionary", 3769, 3770, TR_OTHER, false, 0, NULL },
    /* category A in the catalogue, but printed without braces */
    { "int2vector", 22, 1006, TR_OTHER, false, 0, NULL },
    { "oidvector", 30, 1013, TR_OTHER, false, 0, NULL },
    /* extensions; citext and ltree send their text behind no, or one, version byte: only the first is read as
       binary */
    { "citext", 0, 0, TR_TEXT, true, 0, NULL },
    { "hstore", 0, 0, TR_HSTORE, false, 0, NULL },
    { "ltree", 0, 0, TR_LTREE, false, 0, NULL },
    { "geometry", 0, 0, TR_GEOMETRY, false, 0, NULL },
    { "geography", 0, 0, TR_GEOGRAPHY, false, 0, NULL },
    { "vector", 0, 0, TR_VECTOR, false, 0, NULL },
};

#define NTYPES (sizeof types / sizeof types[0])

const struct tr_pg_type *
tr_pg_type_by_oid(uint32_t oid)
{
    for (size_t i = 0; oid != 0 && i < NTYPES; i++) {
        if (types[i].oid == oid)
            return &types[i];
    }
    return NULL;
}

const struct tr_pg_type *
tr_pg_type_by_name(const char *name)
{
    for (size_t i = 0; name != NULL && i < NTYPES; i++) {
        if (strcmp(types[i].name, name) == 0)
            return &types[i];
    }
    return NULL;
}

const struct tr_pg_type *
tr_pg_array_element(uint32_t array_oid)
{
    for (size_t i = 0; array_oid != 0 && i < NTYPES; i++) {
        if (types[i].array_oid == array_oid)
            return &types[i];
    }
    return NULL;
}

enum tr_logical
tr_pg_logical(const char *type_name, char typtype, char typcategory)
{
    switch (typtype) {
    case 'e': return TR_ENUM;
    case 'c': return TR_COMPOSITE;
    case 'r': return TR_RANGE;
    case 'm': return TR_MULTIRANGE;
    default: break;
    }
    const struct tr_pg_type *type = tr_pg_type_by_name(type_name);
    if (type != NULL)
        return type->logical;
    return typcategory == 'A' ? TR_ARRAY : TR_OTHER;
}

bool
tr_pg_binary_known(const struct tr_column *column)
{
    if (column->logical == TR_ENUM)
        return true;
    const struct tr_pg_type *type = tr_pg_type_by_oid(column->base_type_id);
    if (type == NULL && column->base_type_id >= 16384) /* the first oid that is not the system's own */
        type = tr_pg_type_by_name(column->type_name);
    return type != NULL && type->binary;
}

/* Digits of the fraction: all six unless the modifier says fewer. */
static int32_t
fraction_digits(int32_t type_mod)
{
    return type_mod >= 0 && type_mod <= 6 ? type_mod : 6;
}

/* numerictypmodin(): precision << 16 | scale (11 bits, signed since 15), plus the size of a varlena header.
 */
static void
numeric_modifier(struct tr_column *column, int32_t type_mod)
{
    if (type_mod < 4)
        return;
    uint32_t bits = (uint32_t)type_mod - 4;
    column->precision = (int32_t)(bits >> 16 & 0xffff);
    column->scale = (int32_t)((bits & 0x7ff) ^ 1024) - 1024;
}

void
tr_pg_apply_modifier(struct tr_column *column)
{
    int32_t mod = column->type_mod;
    column->length = column->precision = column->scale = -1;
    switch (column->logical) {
    case TR_DECIMAL: numeric_modifier(column, mod); break;
    case TR_CHAR:
    case TR_TEXT: column->length = mod >= 4 ? mod - 4 : -1; break;
    case TR_BIT:
    case TR_VARBIT: column->length = mod > 0 ? mod : -1; break;
    case TR_TIME:
    case TR_TIMETZ:
    case TR_TIMESTAMP:
    case TR_TIMESTAMPTZ: column->scale = fraction_digits(mod); break;
    case TR_INTERVAL: column->scale = mod < 0 ? 6 : fraction_digits(mod & 0xffff); break;
    default: break;
    }
}

static const char *
join(struct tr_arena *arena, const char *before, const char *name, const char *after)
{
    size_t nb = strlen(before), nn = strlen(name), na = strlen(after);
    char *text = tr_arena_alloc(arena, nb + nn + na + 1);
    memcpy(text, before, nb);
    memcpy(text + nb, name, nn);
    memcpy(text + nb + nn, after, na + 1);
    return text;
}

void
tr_pg_describe(struct tr_column *column, struct tr_arena *arena)
{
    column->base_type_id = column->type_id;
    column->logical = TR_OTHER;
    const struct tr_pg_type *type = tr_pg_type_by_oid(column->type_id);
    const struct tr_pg_type *element = type == NULL ? tr_pg_array_element(column->type_id) : NULL;
    if (type != NULL) {
        column->logical = type->logical;
        column->type_name = type->name;
        column->native = type->sql != NULL ? type->sql : type->name;
        element = tr_pg_type_by_oid(type->element);
    } else if (element != NULL) {
        column->logical = TR_ARRAY;
        column->type_name = join(arena, "_", element->name, "");
        column->native = join(arena, "", element->sql != NULL ? element->sql : element->name, "[]");
    }
    if (element != NULL) {
        column->element = element->logical;
        column->element_name = element->name;
    }
    if (column->type_name != NULL)
        column->type_schema = "pg_catalog";
    tr_pg_apply_modifier(column);
}
