/* values.c - rows and values as DMS writes them, but with all digits of a number. */
#include <string.h>
#include <time.h>

#include "core/clock.h"
#include "core/text.h"
#include "encoders/common/write.h"
#include "encoders/dms/internal.h"

enum form { FORM_TEXT, FORM_NUMBER, FORM_BOOL, FORM_BYTES, FORM_MOMENT };

/* What is not here is the text of its value. */
static const unsigned char forms[TR_LOGICAL_COUNT] = {
    [TR_BOOL] = FORM_BOOL,          [TR_INT8] = FORM_NUMBER,    [TR_UINT8] = FORM_NUMBER,
    [TR_INT16] = FORM_NUMBER,       [TR_UINT16] = FORM_NUMBER,  [TR_INT24] = FORM_NUMBER,
    [TR_UINT24] = FORM_NUMBER,      [TR_INT32] = FORM_NUMBER,   [TR_UINT32] = FORM_NUMBER,
    [TR_INT64] = FORM_NUMBER,       [TR_UINT64] = FORM_NUMBER,  [TR_FLOAT32] = FORM_NUMBER,
    [TR_FLOAT64] = FORM_NUMBER,     [TR_DECIMAL] = FORM_NUMBER, [TR_OID] = FORM_NUMBER,
    [TR_YEAR] = FORM_NUMBER,        [TR_BYTES] = FORM_BYTES,    [TR_TIMESTAMP] = FORM_MOMENT,
    [TR_TIMESTAMPTZ] = FORM_MOMENT,
};

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "2024-02-29 12:34:56.789+00" to "2024-02-29T12:34:56.789Z"; infinities and years before 1 stay as they are. */
static void
add_moment_text(const char *text, size_t len, struct tr_buffer *out)
{
    const char *blank = memchr(text, ' ', len);
    if (len == 0 || !is_digit(text[0]) || blank == NULL || text[len - 1] == 'C') {
        tr_json_string(out, text, len);
        return;
    }
    if (len > 3 && memcmp(text + len - 3, "+00", 3) == 0)
        len -= 3;
    tr_buffer_byte(out, '"');
    json_escape(out, text, (size_t)(blank - text));
    tr_buffer_byte(out, 'T');
    json_escape(out, blank + 1, (size_t)(text + len - blank - 1));
    json_literal(out, "Z\"");
}

static void
add_raw_bytes(const struct dms_encoder *enc, const char *bytes, size_t len, struct tr_buffer *out)
{
    tr_buffer_text(out, enc->hex_prefix ? "\"0x" : "\"");
    tr_buffer_hex(out, bytes, len);
    tr_buffer_byte(out, '"');
}

static void
add_value(const struct dms_encoder *enc, enum form form, const char *text, size_t len, struct tr_buffer *out)
{
    switch (form) {
    case FORM_NUMBER:
        if (tr_text_is_number(text, len)) /* NaN, infinities and the year 0000 are none */
            tr_buffer_add(out, text, len);
        else
            tr_json_string(out, text, len);
        return;
    case FORM_BOOL: {
        const char *word = len > 0 && (text[0] == 't' || text[0] == '1') ? "true" : "false";
        tr_buffer_printf(out, enc->booleans ? "%s" : "\"%s\"", word);
        return;
    }
    case FORM_BYTES:
        if (len >= 2 && text[0] == '\\' && text[1] == 'x') {
            tr_buffer_text(out, enc->hex_prefix ? "\"0x" : "\"");
            json_escape(out, text + 2, len - 2);
            tr_buffer_byte(out, '"');
        } else {
            add_raw_bytes(enc, text, len, out);
        }
        return;
    case FORM_MOMENT: add_moment_text(text, len, out); return;
    default: tr_json_string(out, text, len);
    }
}

static int
text_of(struct dms_encoder *enc, const struct dms_table *table, uint16_t i, const struct tr_value *value,
        const char **text, size_t *len, struct tr_error *err)
{
    *text = value->data;
    *len = value->len;
    if (value->codec == TR_CODEC_TEXT)
        return 0;
    return tr_value_text(table->relation, &table->relation->columns[i], value, &enc->text, text, len, err);
}

/* A large object, as DMS understands it. */
static bool
is_lob(const struct tr_column *column)
{
    switch (column->logical) {
    case TR_BYTES:
    case TR_TEXT: return column->length < 0;
    case TR_JSON:
    case TR_JSONB:
    case TR_XML: return true;
    default: return false;
    }
}

static bool
is_key(const struct dms_table *table, uint16_t column)
{
    for (uint16_t k = 0; k < table->nkeys; k++)
        if (table->keys[k] == column)
            return true;
    return false;
}

static bool
is_wanted(const struct dms_table *table, uint16_t column, enum before_columns only)
{
    return only == BEFORE_ALL ||
           (only == BEFORE_KEY ? is_key(table, column) : !is_lob(&table->relation->columns[column]));
}

/* The value of a column, with its name before it; nothing for one that is not to be shown. */
static int
add_column(struct dms_encoder *enc, const struct dms_table *table, uint16_t i, const struct tr_value *value,
           struct tr_buffer *out, struct tr_error *err)
{
    enum form form = (enum form)forms[table->relation->columns[i].logical];
    const char *text = NULL;
    size_t len = 0;
    if (value->state == TR_ABSENT || (value->state == TR_NULL && !enc->nulls))
        return 0;
    bool raw = value->codec == TR_CODEC_RAW && form == FORM_BYTES;
    if (value->state == TR_PRESENT) {
        int rc = raw ? 0 : text_of(enc, table, i, value, &text, &len, err);
        if (rc < 0)
            return rc;
        bool empty = raw ? value->len == 0 : len == 0 || (form == FORM_BYTES && len == 2 && text[0] == '\\');
        if (empty && !enc->nulls)
            return 0;
    }
    if (out->data[out->len - 1] != '{')
        tr_buffer_byte(out, ',');
    tr_buffer_text(out, table->names[i]);
    if (value->state == TR_NULL)
        json_literal(out, "null");
    else if (raw)
        add_raw_bytes(enc, value->data, value->len, out);
    else
        add_value(enc, form, text, len, out);
    return 0;
}

int
dms_write_row(struct dms_encoder *enc, const struct dms_table *table, const struct tr_value *row,
              const struct tr_value *other, enum before_columns only, struct tr_buffer *out,
              struct tr_error *err)
{
    tr_buffer_byte(out, '{');
    for (uint16_t i = 0; i < table->relation->ncolumns; i++) {
        const struct tr_value *value = &row[i];
        if (!is_wanted(table, i, only))
            continue;
        if (value->state == TR_ABSENT && other != NULL)
            value = &other[i];
        int rc = add_column(enc, table, i, value, out, err);
        if (rc < 0)
            return rc;
    }
    tr_buffer_byte(out, '}');
    return 0;
}

int
dms_add_text(struct dms_encoder *enc, const struct dms_table *table, uint16_t column,
             const struct tr_value *value, struct tr_buffer *out, struct tr_error *err)
{
    const char *text;
    size_t len;
    if (value->state != TR_PRESENT)
        return 0;
    int rc = text_of(enc, table, column, value, &text, &len, err);
    if (rc == 0)
        tr_buffer_add(out, text, len);
    return rc;
}

void
dms_add_moment(struct tr_buffer *out, int64_t us)
{
    int64_t fraction = us % TR_US_PER_S;
    time_t seconds = (time_t)(us / TR_US_PER_S) - (fraction < 0);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    tr_buffer_printf(out, "\"%04d-%02d-%02dT%02d:%02d:%02d.%06dZ\"", tm.tm_year + 1900, tm.tm_mon + 1,
                     tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                     (int)(fraction < 0 ? fraction + TR_US_PER_S : fraction));
}
