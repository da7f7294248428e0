/* convert_mysql.c - logical types as types of MySQL and MariaDB. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/collation.h"
#include "schema/convert.h"

#define INDEX_BYTES \
    2912 /* for the texts of an index: InnoDB's 3,072 less what ten numbers or times beside them may take */
#define UTF8_BYTES 4     /* of a character in utf8mb4, for limits */
#define FRACTION_MAX 30  /* digits of a decimal of MySQL's behind the point */
#define LABEL_MAX 63     /* bytes of a label of PostgreSQL */
#define VARCHAR_MAX 4095 /* characters: longer ones are stored apart, as TEXT */

/* Types that need no thought; the others have functions. */
static const char *const fixed[TR_LOGICAL_COUNT] = {
    [TR_BOOL] = "TINYINT(1)",
    [TR_INT8] = "TINYINT",
    [TR_UINT8] = "TINYINT UNSIGNED",
    [TR_INT16] = "SMALLINT",
    [TR_UINT16] = "SMALLINT UNSIGNED",
    [TR_INT24] = "MEDIUMINT",
    [TR_UINT24] = "MEDIUMINT UNSIGNED",
    [TR_INT32] = "INT",
    [TR_UINT32] = "INT UNSIGNED",
    [TR_INT64] = "BIGINT",
    [TR_UINT64] = "BIGINT UNSIGNED",
    [TR_FLOAT32] = "FLOAT",
    [TR_FLOAT64] = "DOUBLE",
    [TR_MONEY] = "DECIMAL(19,2)",
    [TR_DATE] = "DATE",
    [TR_YEAR] = "YEAR",
    [TR_JSON] = "JSON",
    [TR_JSONB] = "JSON",
    [TR_OID] = "INT UNSIGNED",
    [TR_ARRAY] = "JSON",
    [TR_HSTORE] = "JSON",
    [TR_GEOMETRY] = "GEOMETRY",
    [TR_GEOGRAPHY] = "GEOMETRY",
};

/* Texts that are short by their nature, in ASCII: their longest form. */
static const uint16_t ascii[TR_LOGICAL_COUNT] = {
    [TR_TIMETZ] = 32, [TR_INTERVAL] = 128, [TR_UUID] = 36,   [TR_INET] = 50,
    [TR_CIDR] = 50,   [TR_MACADDR] = 23,   [TR_POINT] = 100,
};

static const char *const notes[TR_LOGICAL_COUNT] = {
    [TR_FLOAT32] = "NaN and infinity have no form in the target",
    [TR_FLOAT64] = "NaN and infinity have no form in the target",
    [TR_MONEY] = "the currency is not carried",
    [TR_DATE] = "infinity and years before 0 or after 9999 have no form in the target",
    [TR_TIMESTAMP] = "infinity and years before 0 or after 9999 have no form in the target",
    [TR_TIMESTAMPTZ] =
        "stored as the time in UTC; infinity and years before 0 or after 9999 have no form in the target",
    [TR_TIMETZ] = "kept as text, for the target has no time with a zone",
    [TR_INTERVAL] = "kept as text, for the target has no intervals",
    [TR_INET] = "kept as text",
    [TR_CIDR] = "kept as text",
    [TR_MACADDR] = "kept as text",
    [TR_ARRAY] = "becomes a JSON array; the type of its elements and its lower bounds are not kept",
    [TR_HSTORE] = "becomes a JSON object",
    [TR_RANGE] = "kept as text",
    [TR_MULTIRANGE] = "kept as text",
    [TR_COMPOSITE] = "kept as text",
    [TR_LTREE] = "kept as text",
    [TR_TSVECTOR] = "kept as text; full-text search needs an index of the target's own",
    [TR_XML] = "kept as text: the target does not check it",
    [TR_POINT] = "kept as text",
    [TR_VECTOR] = "kept as text",
    [TR_OTHER] = "kept as the text that the source prints",
    [TR_GEOGRAPHY] = "stored as geometry: distances are no longer on the sphere",
};

static bool
same_family(const char *dialect)
{
    return strcmp(dialect, "mysql") == 0 || strcmp(dialect, "mariadb") == 0;
}

static bool
holds(const char *text, const char *word)
{
    return text != NULL && strstr(text, word) != NULL;
}

/* MariaDB has no gb18030, and none of MySQL's newer collations; MySQL has none of those that MariaDB has added. */
static bool
is_foreign(const struct tr_column *column, const struct tr_convert_target *target)
{
    const char *collation = column->collation;
    if (target->mariadb)
        return holds(column->charset, "gb18030") || holds(collation, "_0900_");
    return holds(collation, "1400") || holds(collation, "nopad") || holds(collation, "_myanmar_") ||
           holds(collation, "_thai_520_") || holds(collation, "_mysql561_");
}

/* Its nearest in the same character set, if the target has that one. */
static void
collate_foreign(const struct tr_column *column, const struct tr_convert_target *target,
                enum tr_convert_use use, struct tr_buffer *type, struct tr_buffer *note)
{
    const char *charset = column->charset;
    const char *was = column->collation != NULL ? column->collation : charset;
    bool binary = holds(column->collation, "_bin");
    if (charset == NULL || strcmp(charset, "utf8mb4") == 0 ||
        (target->mariadb && holds(charset, "gb18030"))) {
        char nearest[64];
        tr_collation_nearest(column->collation, target, nearest, sizeof nearest);
        tr_buffer_printf(type, "%s COLLATE %s", charset != NULL ? " CHARACTER SET utf8mb4" : "", nearest);
        tr_buffer_printf(note, "collation %s is not known to the target and becomes %s", was, nearest);
    } else if (binary) {
        tr_buffer_printf(type, " CHARACTER SET %s COLLATE %s_bin", charset, charset);
        tr_buffer_printf(note, "collation %s is not known to the target and becomes %s_bin",
                         column->collation, charset);
    } else {
        tr_buffer_printf(type, " CHARACTER SET %s", charset);
        tr_buffer_printf(
            note, "collation %s is not known to the target and becomes that of its character set", was);
    }
    if (!binary && use == TR_CONVERT_KEYED)
        tr_buffer_text(note, "; where that takes two keys of the source for one, the second is refused");
}

/* The source's own collation where the target knows it; a PostgreSQL text compares by its bytes, unless it is citext. */
static void
collate(const char *dialect, const struct tr_column *column, const struct tr_convert_target *target,
        enum tr_convert_use use, struct tr_buffer *type, struct tr_buffer *note)
{
    const char *collation = column->collation;
    if (!same_family(dialect)) {
        bool folded = column->type_name != NULL && strcmp(column->type_name, "citext") == 0;
        tr_buffer_printf(type, " CHARACTER SET utf8mb4 COLLATE %s",
                         folded ? tr_collation_folded(target) : tr_collation_binary(target));
        if (folded)
            tr_buffer_printf(
                note, "%scompares without case by %s%s", note->len > 0 ? "; " : "",
                tr_collation_folded(target),
                holds(tr_collation_folded(target), "_as_") ? "" : ", which takes accents for nothing too");
        else if (collation != NULL && strcmp(collation, "C") != 0 && strcmp(collation, "POSIX") != 0)
            tr_buffer_printf(note, "%scollation %s is not carried: the target compares and orders by bytes",
                             note->len > 0 ? "; " : "", collation);
        return;
    }
    if (is_foreign(column, target)) {
        collate_foreign(column, target, use, type, note);
        return;
    }
    if (column->charset != NULL)
        tr_buffer_printf(type, " CHARACTER SET %s", column->charset);
    if (collation != NULL)
        tr_buffer_printf(type, " COLLATE %s", collation);
}

/* Characters (or bytes) that an index leaves to this column. */
static unsigned
index_room(unsigned share, unsigned width)
{
    unsigned room = INDEX_BYTES / width / (share > 0 ? share : 1);
    return room;
}

static void
text_type(const char *dialect, const struct tr_column *column, const struct tr_convert_target *target,
          enum tr_convert_use use, unsigned share, struct tr_buffer *type, struct tr_buffer *note)
{
    int32_t length = column->length;
    unsigned room = index_room(share, UTF8_BYTES);
    if (use == TR_CONVERT_KEYED && (length < 0 || (unsigned)length > room)) {
        tr_buffer_printf(type, "VARCHAR(%u)", room);
        tr_buffer_printf(note, "part of a key: longer texts than %u characters are refused", room);
    } else if (column->logical == TR_CHAR && length >= 0 && length <= 255) {
        tr_buffer_printf(type, "CHAR(%d)", length);
    } else if (length >= 0 && length <= VARCHAR_MAX && use != TR_CONVERT_CROWDED) {
        tr_buffer_printf(type, "VARCHAR(%d)", length);
    } else {
        tr_buffer_text(type, length >= 0 && length <= 65535 / UTF8_BYTES ? "TEXT" : "LONGTEXT");
        if (length >= 0)
            tr_buffer_printf(note, "the target does not hold it to %d characters", length);
    }
    collate(dialect, column, target, use, type, note);
}

static void
bytes_type(const struct tr_column *column, enum tr_convert_use use, unsigned share, struct tr_buffer *type,
           struct tr_buffer *note)
{
    unsigned room = index_room(share, 1);
    if (use == TR_CONVERT_KEYED && (column->length < 0 || (unsigned)column->length > room)) {
        tr_buffer_printf(type, "VARBINARY(%u)", room);
        tr_buffer_printf(note, "part of a key: longer values than %u bytes are refused", room);
    } else {
        tr_buffer_text(type, "LONGBLOB");
    }
}

static void
decimal_type(const struct tr_column *column, struct tr_buffer *type, struct tr_buffer *note)
{
    int32_t precision = column->precision, scale = column->scale < 0 ? 0 : column->scale;
    if (precision > 0 && precision <= 65 && scale <= FRACTION_MAX && scale <= precision) {
        tr_buffer_printf(type, "DECIMAL(%d,%d)", precision, scale);
        return;
    }
    tr_buffer_text(type, "DECIMAL(65,30)");
    tr_buffer_text(
        note,
        "a value with more than 35 digits before the point or 30 behind it, NaN or infinity is refused");
}

static void
bit_type(const struct tr_column *column, struct tr_buffer *type, struct tr_buffer *note)
{
    if (column->logical == TR_BIT && column->length >= 1 && column->length <= 64) {
        tr_buffer_printf(type, "BIT(%d)", column->length);
        return;
    }
    tr_buffer_printf(type,
                     column->length >= 0 && column->length <= VARCHAR_MAX ? "VARCHAR(%d) CHARACTER SET ascii"
                                                                          : "LONGTEXT CHARACTER SET ascii",
                     column->length);
    tr_buffer_text(note, "kept as a text of 0 and 1");
}

/* An ENUM cuts blanks at the end of its labels, and of the values that it is given. */
static bool
loses_labels(const struct tr_column *column)
{
    for (uint32_t i = 0; column->logical == TR_ENUM && i < column->nlabels; i++) {
        size_t len = strlen(column->labels[i]);
        if (len > 0 && column->labels[i][len - 1] == ' ')
            return true;
    }
    return false;
}

/* A text in its place. */
static void
label_text(const char *dialect, const struct tr_column *column, const struct tr_convert_target *target,
           enum tr_convert_use use, unsigned share, struct tr_buffer *type, struct tr_buffer *note)
{
    struct tr_column text = *column;
    text.logical = TR_TEXT;
    text.length = LABEL_MAX;
    tr_buffer_text(note, "kept as text: an ENUM loses the blank at a label's end");
    text_type(dialect, &text, target, use, share, type, note);
}

static void
labels_type(const struct tr_column *column, const char *word, struct tr_buffer *type)
{
    tr_buffer_printf(type, "%s(", word);
    for (uint32_t i = 0; i < column->nlabels; i++) {
        tr_buffer_text(type, i > 0 ? ",'" : "'");
        for (const char *p = column->labels[i]; *p != '\0'; p++) {
            if (*p == '\'' || *p == '\\')
                tr_buffer_byte(type, *p);
            tr_buffer_byte(type, *p);
        }
        tr_buffer_byte(type, '\'');
    }
    tr_buffer_byte(type, ')');
}

/* The rest: texts of some form. */
static void
other_type(const char *dialect, const struct tr_column *column, const struct tr_convert_target *target,
           enum tr_convert_use use, unsigned share, struct tr_buffer *type, struct tr_buffer *note)
{
    if (ascii[column->logical] > 0) {
        tr_buffer_printf(type, "VARCHAR(%u) CHARACTER SET ascii COLLATE ascii_bin", ascii[column->logical]);
    } else {
        struct tr_column text = *column;
        struct tr_buffer unused;
        tr_buffer_init(&unused, 4096);
        text.logical = TR_TEXT;
        text.length = -1;
        text_type(dialect, &text, target, use, share, type, use == TR_CONVERT_KEYED ? note : &unused);
        tr_buffer_fini(&unused);
    }
}

static void
converted(const char *dialect, const struct tr_column *column, const struct tr_convert_target *target,
          enum tr_convert_use use, unsigned share, struct tr_buffer *type, struct tr_buffer *note)
{
    int scale = column->scale >= 0 && column->scale <= 6 ? column->scale : 6;
    enum tr_logical logical = column->logical;
    if ((logical == TR_JSON || logical == TR_JSONB || logical == TR_ARRAY || logical == TR_HSTORE) &&
        use == TR_CONVERT_KEYED)
        other_type(dialect, column, target, use, share, type, note); /* JSON cannot be a key */
    else if (fixed[logical] != NULL)
        tr_buffer_text(type, fixed[logical]);
    else if (logical == TR_TEXT || logical == TR_CHAR)
        text_type(dialect, column, target, use, share, type, note);
    else if (logical == TR_BYTES)
        bytes_type(column, use, share, type, note);
    else if (logical == TR_DECIMAL)
        decimal_type(column, type, note);
    else if (logical == TR_BIT || logical == TR_VARBIT)
        bit_type(column, type, note);
    else if (logical == TR_TIME)
        tr_buffer_printf(type, "TIME(%d)", scale);
    else if (logical == TR_TIMESTAMP || logical == TR_TIMESTAMPTZ)
        tr_buffer_printf(type, "DATETIME(%d)", scale);
    else if (logical == TR_UUID && target->mariadb && target->version >= 100700)
        tr_buffer_text(type, "UUID");
    else if (loses_labels(column))
        label_text(dialect, column, target, use, share, type, note);
    else if ((logical == TR_ENUM || logical == TR_SET) && column->nlabels > 0) {
        labels_type(column, logical == TR_ENUM ? "ENUM" : "SET", type);
        collate(dialect, column, target, use, type, note);
    } else
        other_type(dialect, column, target, use, share, type, note);
}

/* Is the native type of the one server unknown to the other? */
static bool
unknown_native(const struct tr_column *column, const struct tr_convert_target *target)
{
    static const char *const mariadb_only[] = { "uuid", "inet4", "inet6", "xmltype" };
    const char *name = column->type_name != NULL ? column->type_name : column->native;
    if (target->mariadb)
        return strncasecmp(name, "vector", 6) == 0 && target->version < 110700;
    if (column->logical == TR_DECIMAL && column->scale > FRACTION_MAX)
        return true; /* MariaDB's have up to 38 digits behind the point */
    for (size_t i = 0; i < sizeof mariadb_only / sizeof *mariadb_only; i++)
        if (strcasecmp(name, mariadb_only[i]) == 0)
            return true;
    return false;
}

void
tr_convert_to_mysql(const char *dialect, const struct tr_column *column,
                    const struct tr_convert_target *target, enum tr_convert_use use, unsigned share,
                    struct tr_buffer *type, struct tr_buffer *note)
{
    if (column->target_type != NULL) {
        tr_buffer_text(type, column->target_type);
        tr_buffer_printf(note, "becomes %s, as the task says", column->target_type);
        return;
    }
    if (same_family(dialect) && column->native != NULL && !unknown_native(column, target)) {
        bool collection = strcasecmp(column->native, "geomcollection") == 0; /* MySQL's short name for it */
        tr_buffer_text(type, collection ? "geometrycollection" : column->native);
        if ((column->charset != NULL && strcmp(column->charset, "binary") != 0) || column->collation != NULL)
            if (column->charset == NULL || strcmp(column->charset, "binary") != 0)
                collate(dialect, column, target, use, type, note);
        return;
    }
    converted(dialect, column, target, use, share, type, note);
    if (notes[column->logical] != NULL && note->len == 0)
        tr_buffer_text(note, notes[column->logical]);
}

uint32_t
tr_convert_row_bytes(const char *type)
{
    uint32_t width = strstr(type, "ascii") != NULL ? 1 : UTF8_BYTES;
    if (strncmp(type, "VARCHAR(", 8) == 0)
        return (uint32_t)strtoul(type + 8, NULL, 10) * width + 2;
    if (strncmp(type, "VARBINARY(", 10) == 0)
        return (uint32_t)strtoul(type + 10, NULL, 10) + 2;
    if (strncmp(type, "CHAR(", 5) == 0)
        return (uint32_t)strtoul(type + 5, NULL, 10) * width;
    return strncmp(type, "DECIMAL", 7) == 0 ? 30 : 12;
}
