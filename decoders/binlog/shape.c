/*
 * shape.c - a table map into a relation, and a relation into the steps by which its rows are walked.
 *
 * Table map behind id and flags: uint8 length, database, NUL, uint8 length, table, NUL, packed number of
 * columns, a type code for each, packed length of the metadata, that, a bit for each column that may be
 * null, then the optional fields: uint8 kind, packed length, value.
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/memory.h"
#include "decoders/binlog/internal.h"
#include "decoders/binlog/text.h"
#include "decoders/binlog/types.h"

enum field {
    FIELD_SIGNEDNESS = 1,
    FIELD_DEFAULT_CHARSET = 2,
    FIELD_COLUMN_CHARSET = 3,
    FIELD_COLUMN_NAME = 4,
    FIELD_SET_LABELS = 5,
    FIELD_ENUM_LABELS = 6,
    FIELD_GEOMETRY_TYPE = 7,
    FIELD_PRIMARY_KEY = 8,
    FIELD_PRIMARY_KEY_PREFIX = 9,
    FIELD_LABELS_DEFAULT_CHARSET = 10,
    FIELD_LABELS_COLUMN_CHARSET = 11,
    FIELD_VISIBILITY = 12,
    FIELD_VECTOR_DIMENSIONS = 13,
};

/* A relation on its way: columns and their storage side by side. */
struct shape {
    struct binlog *d;
    struct tr_arena *arena;
    struct tr_column *columns;
    struct storage *storage;
    size_t **label_sizes; /* of each column, until its labels are converted: UCS-2 has zeros inside */
    uint16_t n;
    bool named;
};

typedef bool picks(const struct shape *s, uint16_t column);

static bool
is_numeric(const struct shape *s, uint16_t i)
{
    return binlog_types[s->storage[i].type].numeric;
}

/* Columns that are counted in the fields of character sets: MariaDB counts geometry among them. */
static bool
is_character(const struct shape *s, uint16_t i)
{
    uint8_t type = s->storage[i].type;
    return binlog_types[type].character ||
           (type == TYPE_GEOMETRY && s->d->format.flavour == TR_BINLOG_MARIADB);
}

static bool
has_labels(const struct shape *s, uint16_t i)
{
    return s->storage[i].type == TYPE_ENUM || s->storage[i].type == TYPE_SET;
}

static bool
is_set(const struct shape *s, uint16_t i)
{
    return s->storage[i].type == TYPE_SET;
}

static bool
is_enum(const struct shape *s, uint16_t i)
{
    return s->storage[i].type == TYPE_ENUM;
}

static bool
is_geometry(const struct shape *s, uint16_t i)
{
    return s->storage[i].type == TYPE_GEOMETRY;
}

static bool
is_vector(const struct shape *s, uint16_t i)
{
    return s->storage[i].type == TYPE_VECTOR;
}

/* ---------------------------------------------------------------- types and their metadata */

/*
 * STRING's two bytes: the real type (enum, set, char), and the size in bytes, whose bits 8 and 9 hide
 * inverted in bits 4 and 5 of the type.
 */
static void
read_string_meta(struct storage *st, uint8_t first, uint8_t second)
{
    if ((first & 0x30) != 0x30) {
        st->size = (uint16_t)(second | (((first & 0x30) ^ 0x30) << 4));
        st->type = (uint8_t)(first | 0x30);
    } else {
        st->size = second;
        st->type = first;
    }
}

static bool
read_meta(struct storage *st, struct tr_cursor *cur)
{
    const struct type_info *info = &binlog_types[st->type];
    if (info->meta == 0)
        return true;
    uint8_t first = tr_cursor_u8(cur), second = info->meta > 1 ? tr_cursor_u8(cur) : 0;
    st->meta = (uint16_t)(first | second << 8);
    if (st->type == TYPE_STRING || st->type == TYPE_ENUM || st->type == TYPE_SET)
        read_string_meta(st, first, second);
    return binlog_types[st->type].layout != LAYOUT_UNKNOWN;
}

/* Bytes of a value of fixed length; false when the metadata is out of range. */
static bool
read_size(struct storage *st)
{
    const struct type_info *info = &binlog_types[st->type];
    switch (info->layout) {
    case LAYOUT_FIXED: st->size = info->size; return true;
    case LAYOUT_FRACTION: st->size = (uint16_t)(info->size + (st->meta + 1) / 2); return st->meta <= 6;
    case LAYOUT_DECIMAL:
        st->size = (uint16_t)binlog_decimal_size(st->meta & 0xff, st->meta >> 8);
        return st->size > 0;
    case LAYOUT_BIT:
        st->size = (uint16_t)((st->meta >> 8) + ((st->meta & 0xff) > 0));
        return st->size >= 1 && st->size <= 8;
    case LAYOUT_LABELS: return st->size >= 1 && st->size <= 8;
    case LAYOUT_BLOB: return st->meta >= 1 && st->meta <= 4;
    case LAYOUT_STRING:
        if (st->type != TYPE_STRING)
            st->size = st->meta;
        return true;
    default: return false;
    }
}

static int
read_types(struct shape *s, struct binlog_frame *f, struct tr_cursor *cur, const char *table,
           struct tr_error *err)
{
    const uint8_t *types = tr_cursor_bytes(cur, s->n);
    size_t meta_len = binlog_packed(cur);
    const uint8_t *meta = tr_cursor_bytes(cur, meta_len);
    const uint8_t *nullable = tr_cursor_bytes(cur, (s->n + 7U) / 8);
    if (cur->failed)
        return binlog_fail(s->d, f, err, "it ends too early");
    struct tr_cursor at = tr_cursor(meta, meta_len);
    for (uint16_t i = 0; i < s->n; i++) {
        struct storage *st = &s->storage[i];
        st->type = types[i];
        if (binlog_types[st->type].layout == LAYOUT_UNKNOWN || !read_meta(st, &at) || at.failed ||
            !read_size(st)) {
            binlog_refuse(s->d, f, err, "table %s, column %u: type %u with metadata 0x%04x is not known",
                          table, i + 1U, types[i], st->meta);
            return tr_error_hint(err, "exclude the table, or change the type of the column");
        }
        s->columns[i].not_null = !(nullable[i / 8] >> (i % 8) & 1);
    }
    return 0;
}

/* ---------------------------------------------------------------- optional fields */

/* A bit for each column that is picked, from the highest of the first byte on. */
static bool
read_bits(struct shape *s, struct tr_cursor *cur, picks *pick,
          void (*set)(struct tr_column *column, bool bit))
{
    uint8_t byte = 0;
    uint32_t k = 0;
    for (uint16_t i = 0; i < s->n; i++) {
        if (pick != NULL && !pick(s, i))
            continue;
        if (k % 8 == 0)
            byte = tr_cursor_u8(cur);
        set(&s->columns[i], byte >> (7 - k % 8) & 1);
        k++;
    }
    return !cur->failed;
}

static void
set_unsigned(struct tr_column *column, bool bit)
{
    column->is_unsigned = bit;
}

static void
set_visible(struct tr_column *column, bool bit)
{
    column->invisible = !bit;
}

static void
set_collation(struct storage *st, uint64_t collation)
{
    if (st->type == TYPE_GEOMETRY)
        return;
    st->collation = (uint32_t)collation;
    st->charset = binlog_charset((uint32_t)collation);
}

/* Packed collation of most columns, then pairs: packed index among the columns picked, packed collation. */
static bool
read_default_charset(struct shape *s, struct tr_cursor *cur, picks *pick)
{
    uint64_t usual = binlog_packed(cur);
    for (uint16_t i = 0; i < s->n; i++)
        if (pick(s, i))
            set_collation(&s->storage[i], usual);
    while (!cur->failed && tr_cursor_left(cur) > 0) {
        uint64_t index = binlog_packed(cur), collation = binlog_packed(cur);
        uint16_t i = 0;
        for (uint64_t k = 0; i < s->n; i++)
            if (pick(s, i) && k++ == index)
                break;
        if (i == s->n)
            return false;
        set_collation(&s->storage[i], collation);
    }
    return !cur->failed;
}

static bool
read_column_charset(struct shape *s, struct tr_cursor *cur, picks *pick)
{
    for (uint16_t i = 0; i < s->n; i++)
        if (pick(s, i))
            set_collation(&s->storage[i], binlog_packed(cur));
    return !cur->failed;
}

static bool
read_names(struct shape *s, struct tr_cursor *cur)
{
    for (uint16_t i = 0; i < s->n; i++) {
        size_t len = binlog_packed(cur);
        const uint8_t *name = tr_cursor_bytes(cur, len);
        if (name == NULL || len == 0 || memchr(name, 0, len) != NULL)
            return false;
        s->columns[i].name = tr_arena_copy(s->arena, name, len);
    }
    s->named = true;
    return true;
}

/* For each column picked: packed number of labels, then packed length and bytes of each. */
static bool
read_labels(struct shape *s, struct tr_cursor *cur, picks *pick)
{
    for (uint16_t i = 0; i < s->n; i++) {
        if (!pick(s, i))
            continue;
        uint64_t n = binlog_packed(cur);
        if (cur->failed || n > tr_cursor_left(cur))
            return false;
        const char **labels = tr_arena_zalloc(s->arena, (size_t)n * sizeof(char *) + 1);
        size_t *sizes = s->label_sizes[i] = tr_arena_zalloc(s->arena, (size_t)n * sizeof *sizes + 1);
        for (uint64_t k = 0; k < n; k++) {
            sizes[k] = binlog_packed(cur);
            const uint8_t *label = tr_cursor_bytes(cur, sizes[k]);
            if (label == NULL)
                return false;
            labels[k] = tr_arena_copy(s->arena, label, sizes[k]);
        }
        s->columns[i].labels = labels;
        s->columns[i].nlabels = (uint32_t)n;
    }
    return true;
}

/* Packed index of each column of the key, with a prefix also its packed length. */
static bool
read_key(struct shape *s, struct tr_cursor *cur, bool prefix)
{
    for (uint16_t place = 1; tr_cursor_left(cur) > 0; place++) {
        uint64_t i = binlog_packed(cur);
        if (prefix)
            binlog_packed(cur);
        if (cur->failed || i >= s->n || s->columns[i].key != 0)
            return false;
        s->columns[i].key = place;
        s->columns[i].not_null = true;
    }
    return true;
}

static const char *
geometry_name(uint64_t type)
{
    static const char *const names[] = {
        "geometry",   "point",           "linestring",   "polygon",
        "multipoint", "multilinestring", "multipolygon", "geometrycollection"
    };
    return type < sizeof names / sizeof *names ? names[type] : names[0];
}

static bool
read_geometry_types(struct shape *s, struct tr_cursor *cur)
{
    for (uint16_t i = 0; i < s->n; i++)
        if (is_geometry(s, i))
            s->columns[i].native = s->columns[i].type_name = geometry_name(binlog_packed(cur));
    return !cur->failed;
}

static bool
read_dimensions(struct shape *s, struct tr_cursor *cur)
{
    for (uint16_t i = 0; i < s->n; i++)
        if (is_vector(s, i))
            s->columns[i].length = (int32_t)(binlog_packed(cur) & INT32_MAX);
    return !cur->failed;
}

static bool
read_field(struct shape *s, uint8_t kind, struct tr_cursor *cur)
{
    switch (kind) {
    case FIELD_SIGNEDNESS: return read_bits(s, cur, is_numeric, set_unsigned);
    case FIELD_DEFAULT_CHARSET: return read_default_charset(s, cur, is_character);
    case FIELD_COLUMN_CHARSET: return read_column_charset(s, cur, is_character);
    case FIELD_COLUMN_NAME: return read_names(s, cur);
    case FIELD_SET_LABELS: return read_labels(s, cur, is_set);
    case FIELD_ENUM_LABELS: return read_labels(s, cur, is_enum);
    case FIELD_GEOMETRY_TYPE: return read_geometry_types(s, cur);
    case FIELD_PRIMARY_KEY: return read_key(s, cur, false);
    case FIELD_PRIMARY_KEY_PREFIX: return read_key(s, cur, true);
    case FIELD_LABELS_DEFAULT_CHARSET: return read_default_charset(s, cur, has_labels);
    case FIELD_LABELS_COLUMN_CHARSET: return read_column_charset(s, cur, has_labels);
    case FIELD_VISIBILITY: return read_bits(s, cur, NULL, set_visible);
    case FIELD_VECTOR_DIMENSIONS: return read_dimensions(s, cur);
    default: return true; /* later servers may say more; nothing here depends on it */
    }
}

static int
read_fields(struct shape *s, struct binlog_frame *f, struct tr_cursor *cur, const char *table,
            struct tr_error *err)
{
    while (tr_cursor_left(cur) > 0) {
        uint8_t kind = tr_cursor_u8(cur);
        size_t len = binlog_packed(cur);
        const uint8_t *value = tr_cursor_bytes(cur, len);
        struct tr_cursor field = tr_cursor(value != NULL ? value : (const uint8_t *)"",
                                           value != NULL ? len : 0);
        if (value == NULL || !read_field(s, kind, &field))
            return binlog_fail(s->d, f, err, "table %s: its optional field %u is damaged", table, kind);
    }
    return 0;
}

/* ---------------------------------------------------------------- what follows from it */

/* Labels come in the character set of their column. */
static int
convert_labels(struct shape *s, uint16_t i, const struct storage *st, struct tr_error *err)
{
    struct tr_column *column = &s->columns[i];
    if (column->nlabels == 0 || st->charset == NULL || st->charset->kind == CHARSET_UTF8 ||
        st->charset->kind == CHARSET_BINARY)
        return 0;
    struct tr_buffer text;
    tr_buffer_init(&text, 1 << 20);
    const char **labels = (const char **)(uintptr_t)column->labels; /* just made by read_labels() */
    int rc = 0;
    for (uint32_t k = 0; k < column->nlabels && rc == 0; k++) {
        tr_buffer_reset(&text);
        rc = binlog_to_utf8(st->charset, labels[k], s->label_sizes[i][k], &text, err);
        labels[k] = tr_arena_copy(s->arena, text.data != NULL ? text.data : "", text.len);
    }
    tr_buffer_fini(&text);
    return rc;
}

static const char *
binary_name(uint8_t type, uint16_t meta)
{
    switch (type) {
    case TYPE_STRING: return "binary";
    case TYPE_VARCHAR:
    case TYPE_VAR_STRING:
    case TYPE_VARCHAR_COMPRESSED: return "varbinary";
    default: return meta == 1 ? "tinyblob" : meta == 2 ? "blob" : meta == 3 ? "mediumblob" : "longblob";
    }
}

static void
describe_string(struct tr_column *column, const struct storage *st)
{
    bool blob = binlog_types[st->type].layout == LAYOUT_BLOB;
    column->charset = st->charset != NULL ? st->charset->name : NULL;
    if (st->charset != NULL && st->charset->kind == CHARSET_BINARY) {
        column->logical = TR_BYTES;
        column->type_name = binary_name(st->type, st->meta);
        column->length = blob ? -1 : st->size;
        column->charset = NULL;
        return;
    }
    if (blob)
        column->type_name = st->meta == 1   ? "tinytext"
                            : st->meta == 2 ? "text"
                            : st->meta == 3 ? "mediumtext"
                                            : "longtext";
    else
        column->length = st->size / (st->charset != NULL ? st->charset->max_bytes : 1);
    if (st->type == TYPE_STRING)
        column->logical = TR_CHAR;
}

static bool
is_old_temporal(const struct storage *st)
{
    return st->type == TYPE_TIME || st->type == TYPE_TIMESTAMP || st->type == TYPE_DATETIME;
}

static void
describe_numbers(struct tr_column *column, const struct storage *st)
{
    switch (binlog_types[st->type].layout) {
    case LAYOUT_DECIMAL:
        column->precision = st->meta & 0xff;
        column->scale = st->meta >> 8;
        break;
    case LAYOUT_FRACTION: column->scale = st->meta; break;
    case LAYOUT_BIT: column->length = (st->meta >> 8) * 8 + (st->meta & 0xff); break;
    default:
        if (is_old_temporal(st))
            column->scale = 0;
        break;
    }
}

/* The type as DDL spells it. */
static const char *
spell(struct tr_arena *arena, const struct tr_column *column, const struct storage *st)
{
    char text[96];
    const char *sign = column->is_unsigned ? " unsigned" : "";
    switch (column->logical) {
    case TR_DECIMAL:
        snprintf(text, sizeof text, "decimal(%d,%d)%s", column->precision, column->scale, sign);
        break;
    case TR_TIME:
    case TR_TIMESTAMP:
    case TR_TIMESTAMPTZ:
        if (column->scale == 0)
            return column->type_name;
        snprintf(text, sizeof text, "%s(%d)", column->type_name, column->scale);
        break;
    case TR_ENUM:
    case TR_SET:
    case TR_JSON:
    case TR_GEOMETRY: return column->type_name;
    default:
        if (column->length >= 0)
            snprintf(text, sizeof text, "%s(%d)", column->type_name, column->length);
        else
            snprintf(text, sizeof text, "%s%s", column->type_name,
                     binlog_types[st->type].numeric ? sign : "");
    }
    return tr_arena_strdup(arena, text);
}

/* enum('a','it''s'): the catalogue may not know the column any more. */
static const char *
spell_labels(struct tr_arena *arena, const struct tr_column *column)
{
    struct tr_buffer text;
    tr_buffer_init(&text, TR_BUFFER_MAX);
    tr_buffer_printf(&text, "%s(", column->type_name);
    for (uint32_t i = 0; i < column->nlabels; i++) {
        tr_buffer_text(&text, i > 0 ? ",'" : "'");
        for (const char *p = column->labels[i]; *p != '\0'; p++) {
            if (*p == '\'' || *p == '\\')
                tr_buffer_byte(&text, *p);
            tr_buffer_byte(&text, *p);
        }
        tr_buffer_byte(&text, '\'');
    }
    tr_buffer_byte(&text, ')');
    const char *spelled = tr_arena_copy(arena, text.data, text.len);
    tr_buffer_fini(&text);
    return spelled;
}

static int
describe(struct shape *s, uint16_t i, struct tr_error *err)
{
    struct tr_column *column = &s->columns[i];
    const struct storage *st = &s->storage[i];
    const struct type_info *info = &binlog_types[st->type];
    column->type_id = column->base_type_id = st->type;
    column->type_mod = st->meta;
    column->is_unsigned &= st->type != TYPE_YEAR; /* it has its bit, and no sign */
    column->logical = column->is_unsigned ? info->unsigned_logical : info->logical;
    column->detail = st;
    if (column->type_name == NULL)
        column->type_name = info->name;
    if (info->character)
        describe_string(column, st);
    else if (has_labels(s, i))
        column->charset = st->charset != NULL ? st->charset->name : NULL;
    describe_numbers(column, st);
    column->native = spell(s->arena, column, st);
    int rc = convert_labels(s, i, st, err);
    if (rc == 0 && column->nlabels > 0)
        column->native = spell_labels(s->arena, column);
    return rc;
}

/* An old image has the key, or everything when there is none: that holds for every binlog_row_image. */
static void
set_identity(struct shape *s)
{
    bool keyed = false;
    for (uint16_t i = 0; i < s->n; i++)
        keyed = keyed || s->columns[i].key > 0;
    for (uint16_t i = 0; i < s->n; i++)
        s->columns[i].identity = keyed ? s->columns[i].key : (uint16_t)(i + 1);
}

static int
read_shape(struct shape *s, struct binlog_frame *f, struct tr_cursor *cur, const char *table,
           struct tr_error *err)
{
    int rc = read_types(s, f, cur, table, err);
    if (rc < 0 || (rc = read_fields(s, f, cur, table, err)) < 0)
        return rc;
    if (!s->named && (s->d->format.full_metadata || s->d->base.config.catalog.complete == NULL)) {
        binlog_refuse(s->d, f, err, "table %s: the log does not tell the names of its columns", table);
        return tr_error_hint(
            err, "SET GLOBAL binlog_row_metadata = 'FULL' on the source, and end the sessions that were "
                 "open before");
    }
    for (uint16_t i = 0; i < s->n; i++) {
        if (!s->named) { /* until the catalogue says better */
            char name[16];
            snprintf(name, sizeof name, "@%u", i + 1U);
            s->columns[i].name = tr_arena_strdup(s->arena, name);
        }
        if ((rc = describe(s, i, err)) < 0)
            return tr_error_prefix(err, "table %s column %s", table, s->columns[i].name);
    }
    set_identity(s);
    return 0;
}

int
binlog_fill_relation(struct binlog *d, struct binlog_frame *f, struct table *table,
                     struct tr_relation *relation, struct tr_error *err)
{
    struct tr_cursor cur = tr_cursor(table->wire, table->wire_len);
    tr_cursor_bytes(&cur, tr_cursor_u8(&cur) + 1U);
    tr_cursor_bytes(&cur, tr_cursor_u8(&cur) + 1U);
    uint64_t n = binlog_packed(&cur);
    if (cur.failed || n == 0 || n > 4096 || n > tr_cursor_left(&cur))
        return binlog_fail(d, f, err, "table %s.%s: %llu columns cannot be", table->database, table->name,
                           (unsigned long long)n);
    struct shape s = { .d = d, .arena = &relation->arena, .n = (uint16_t)n };
    s.columns = tr_arena_zalloc(s.arena, n * sizeof *s.columns);
    s.storage = tr_arena_zalloc(s.arena, n * sizeof *s.storage);
    s.label_sizes = tr_arena_zalloc(s.arena, n * sizeof *s.label_sizes);
    for (uint64_t i = 0; i < n; i++)
        s.columns[i].length = s.columns[i].precision = s.columns[i].scale = -1;
    char name[540];
    snprintf(name, sizeof name, "%s.%s", table->database, table->name);
    int rc = read_shape(&s, f, &cur, name, err);
    if (rc < 0)
        return rc;
    relation->columns = s.columns;
    relation->ncolumns = s.n;
    return 0;
}

/* ---------------------------------------------------------------- steps */

static enum tr_codec_id
codec_of(const struct tr_column *column, const struct storage *st)
{
    const struct charset *charset = st->charset;
    if (st->type == TYPE_GEOMETRY)
        return TR_CODEC_RAW;
    if (!binlog_types[st->type].character)
        return TR_CODEC_NATIVE;
    if (column->logical == TR_BYTES || column->logical == TR_GEOMETRY)
        return TR_CODEC_RAW;
    bool text = column->logical == TR_TEXT || column->logical == TR_CHAR || column->logical == TR_JSON ||
                column->logical == TR_XML;
    return text && charset != NULL && charset->kind == CHARSET_UTF8 ? TR_CODEC_TEXT : TR_CODEC_NATIVE;
}

static struct step
step_of(const struct tr_column *column, const struct storage *st)
{
    const struct type_info *info = &binlog_types[st->type];
    struct step step = { STEP_FIXED, (uint8_t)codec_of(column, st), st->size };
    if (info->layout == LAYOUT_STRING) {
        bool padded = st->type == TYPE_STRING && st->charset != NULL && st->charset->kind == CHARSET_BINARY;
        int two = st->size > 255;
        step.kind = (uint8_t)(st->type == TYPE_VARCHAR_COMPRESSED ? STEP_PACKED1 + two
                              : padded                            ? STEP_PADDED1 + two
                                                                  : STEP_LEN1 + two);
    } else if (info->layout == LAYOUT_BLOB) {
        step.kind = (uint8_t)((st->type == TYPE_BLOB_COMPRESSED ? STEP_PACKED1 : STEP_LEN1) + st->meta - 1);
    }
    return step;
}

int
binlog_plan(struct binlog *d, struct table *table, const struct tr_relation *relation, struct step **steps,
            struct tr_error *err)
{
    (void)d;
    *steps = tr_calloc(relation->ncolumns, sizeof **steps);
    for (uint16_t i = 0; i < relation->ncolumns; i++) {
        struct tr_column *column = (struct tr_column *)(uintptr_t)&relation->columns[i]; /* not shared yet */
        struct storage *st = (struct storage *)(uintptr_t)column->detail;
        if (st->charset == NULL && column->charset != NULL)
            st->charset = binlog_charset_named(column->charset);
        if (binlog_types[st->type].character && column->logical == TR_BYTES && st->charset == NULL)
            st->charset = binlog_charset(BINARY_COLLATION);
        if (is_old_temporal(st) && column->scale > 0 &&
            column->scale <= 6) { /* the log does not tell, the catalogue does */
            st->meta = (uint16_t)column->scale;
            st->size = (uint16_t)binlog_hires_size(st->type, st->meta);
        }
        if (binlog_types[st->type].character && st->charset == NULL) {
            tr_fail(err, TR_REFUSED, "table %s.%s, column %s: its character set (collation %u) is not known",
                    table->database, table->name, column->name, st->collation);
            return tr_error_hint(
                err, "SET GLOBAL binlog_row_metadata = 'FULL' on the source, or exclude the table");
        }
        (*steps)[i] = step_of(column, st);
    }
    return 0;
}
