/*
 * json.c - MySQL's binary JSON as text.
 *
 * Layout: MySQL sql-common/json_binary.h. A document is a type and a value; objects and arrays hold tables
 * of offsets, counted from their own beginning, so a damaged one may point anywhere: every look is
 * bounded, depth has a cap, and no document yields more values and bytes of strings than it has bytes
 * itself.
 */
#include <math.h>
#include <string.h>

#include "core/cursor.h"
#include "core/text.h"
#include "decoders/binlog/text.h"
#include "decoders/binlog/types.h"

#define MAX_DEPTH 120 /* MySQL's own is 100 */

enum json_type {
    JSON_SMALL_OBJECT = 0,
    JSON_LARGE_OBJECT = 1,
    JSON_SMALL_ARRAY = 2,
    JSON_LARGE_ARRAY = 3,
    JSON_LITERAL = 4,
    JSON_INT16 = 5,
    JSON_UINT16 = 6,
    JSON_INT32 = 7,
    JSON_UINT32 = 8,
    JSON_INT64 = 9,
    JSON_UINT64 = 10,
    JSON_DOUBLE = 11,
    JSON_STRING = 12,
    JSON_OPAQUE = 15,
};

struct json {
    struct tr_buffer *out;
    uint64_t budget; /* values and bytes of strings still allowed */
};

static bool write_value(struct json *j, uint8_t type, const uint8_t *at, const uint8_t *end, int depth);

/* Seven bits a byte, low ones first, the high bit says that more follows. */
static bool
read_length(struct tr_cursor *cur, size_t *len)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < 5; i++) {
        uint8_t byte = tr_cursor_u8(cur);
        n |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (!(byte & 0x80)) {
            *len = (size_t)n;
            return !cur->failed && n <= tr_cursor_left(cur);
        }
    }
    return false;
}

/* As the server prints it, so that a row of the load and one of the log have one text. */
static void
write_escaped(struct tr_buffer *out, const char *text, size_t len)
{
    static const char plain[] = "\b\t\n\f\r\"\\", escape[] = "btnfr\"\\";
    for (size_t i = 0; i < len;) {
        size_t n = tr_utf8_length(text + i, len - i);
        const char *found = n == 1 && text[i] != '\0' ? strchr(plain, text[i]) : NULL;
        if (n == 0)
            tr_buffer_add(out, "\xEF\xBF\xBD", 3);
        else if (found != NULL)
            tr_buffer_printf(out, "\\%c", escape[found - plain]);
        else if (n == 1 && (unsigned char)text[i] < 0x20)
            tr_buffer_printf(out, "\\u%04x", (unsigned char)text[i]);
        else
            tr_buffer_add(out, text + i, n);
        i += n == 0 ? 1 : n;
    }
}

static bool
write_string(struct json *j, const char *text, size_t len)
{
    if (len > j->budget)
        return false;
    j->budget -= len;
    tr_buffer_byte(j->out, '"');
    write_escaped(j->out, text, len);
    tr_buffer_byte(j->out, '"');
    return true;
}

static void
write_base64(struct tr_buffer *out, const uint8_t *b, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < len; i += 3) {
        uint32_t n = (uint32_t)b[i] << 16 | (i + 1 < len ? (uint32_t)b[i + 1] << 8 : 0) |
                     (i + 2 < len ? b[i + 2] : 0);
        char four[4] = { digits[n >> 18], digits[n >> 12 & 63], i + 1 < len ? digits[n >> 6 & 63] : '=',
                         i + 2 < len ? digits[n & 63] : '=' };
        tr_buffer_add(out, four, 4);
    }
}

/* Dates and times inside JSON: a packed number of 64 bits. */
static bool
write_moment(struct json *j, uint8_t type, const uint8_t *b, size_t len)
{
    if (len != 8)
        return false;
    int64_t packed = (int64_t)binlog_load_le(b, 8);
    struct moment m = { .negative = packed < 0 };
    uint64_t n = packed < 0 ? 0 - (uint64_t)packed : (uint64_t)packed;
    m.us = n & 0xffffff;
    uint64_t hms = n >> 24, ymd = hms >> 17, ym = ymd >> 5;
    m.second = hms & 63, m.minute = hms >> 6 & 63, m.hour = hms >> 12 & (type == TYPE_TIME ? 1023 : 31);
    m.day = ymd & 31, m.month = ym % 13, m.year = (uint32_t)(ym / 13);
    if (m.us > 999999 || m.year > 9999 || (m.negative && type != TYPE_TIME))
        return false;
    tr_buffer_byte(j->out, '"');
    if (type != TYPE_TIME)
        binlog_write_date(j->out, &m);
    if (type == TYPE_DATETIME || type == TYPE_TIMESTAMP)
        tr_buffer_byte(j->out, ' ');
    if (type != TYPE_DATE) {
        binlog_write_time(j->out, &m);
        tr_buffer_printf(j->out, ".%06u", m.us);
    }
    tr_buffer_byte(j->out, '"');
    return true;
}

/* A value of an SQL type: uint8 type, length, bytes. */
static bool
write_opaque(struct json *j, const uint8_t *at, const uint8_t *end)
{
    struct tr_cursor cur = tr_cursor(at, (size_t)(end - at));
    uint8_t type = tr_cursor_u8(&cur);
    size_t len;
    if (!read_length(&cur, &len))
        return false;
    const uint8_t *b = tr_cursor_bytes(&cur, len);
    switch (type) {
    case TYPE_NEWDECIMAL: return len > 2 && binlog_write_decimal(j->out, b + 2, len - 2, b[0], b[1]);
    case TYPE_DATE:
    case TYPE_TIME:
    case TYPE_DATETIME:
    case TYPE_TIMESTAMP: return write_moment(j, type, b, len);
    default:
        tr_buffer_printf(j->out, "\"base64:type%u:", type);
        write_base64(j->out, b, len);
        tr_buffer_byte(j->out, '"');
        return true;
    }
}

static bool
write_literal(struct json *j, uint8_t value)
{
    static const char *const names[] = { "null", "true", "false" };
    if (value > 2)
        return false;
    tr_buffer_text(j->out, names[value]);
    return true;
}

/* No server writes a number that JSON does not have. */
static bool
write_number(struct json *j, const uint8_t *b)
{
    uint64_t bits = binlog_load_le(b, 8);
    double value;
    memcpy(&value, &bits, sizeof value);
    if (!isfinite(value))
        return false;
    binlog_write_json_double(j->out, value);
    return true;
}

static bool
write_scalar(struct json *j, uint8_t type, const uint8_t *at, const uint8_t *end)
{
    size_t left = (size_t)(end - at), len;
    struct tr_cursor cur = tr_cursor(at, left);
    switch (type) {
    case JSON_LITERAL: return left >= 1 && write_literal(j, at[0]);
    case JSON_INT16: tr_buffer_int(j->out, (int16_t)tr_cursor_le(&cur, 2)); break;
    case JSON_UINT16: tr_buffer_uint(j->out, tr_cursor_le(&cur, 2)); break;
    case JSON_INT32: tr_buffer_int(j->out, (int32_t)tr_cursor_le(&cur, 4)); break;
    case JSON_UINT32: tr_buffer_uint(j->out, tr_cursor_le(&cur, 4)); break;
    case JSON_INT64: tr_buffer_int(j->out, (int64_t)tr_cursor_le(&cur, 8)); break;
    case JSON_UINT64: tr_buffer_uint(j->out, tr_cursor_le(&cur, 8)); break;
    case JSON_DOUBLE: return left >= 8 && write_number(j, at);
    case JSON_STRING:
        if (!read_length(&cur, &len))
            return false;
        return write_string(j, (const char *)cur.at, len);
    case JSON_OPAQUE: return write_opaque(j, at, end);
    default: return false;
    }
    return !cur.failed;
}

/* Does the table of values hold the value itself, not its offset? */
static bool
is_inlined(uint8_t type, bool large)
{
    return type == JSON_LITERAL || type == JSON_INT16 || type == JSON_UINT16 ||
           (large && (type == JSON_INT32 || type == JSON_UINT32));
}

/*
 * An object or array: number of elements, size in bytes, [object: for each key its offset and uint16
 * length], for each value uint8 type and offset or the value itself; numbers and offsets have 2 bytes, in
 * large ones 4.
 */
bool
binlog_json_container(uint8_t type, const uint8_t *at, const uint8_t *end, struct json_container *c)
{
    *c = (struct json_container){ .at = at };
    if (type > JSON_LARGE_ARRAY)
        return false;
    c->object = type == JSON_SMALL_OBJECT || type == JSON_LARGE_OBJECT;
    c->large = type == JSON_LARGE_OBJECT || type == JSON_LARGE_ARRAY;
    size_t width = c->large ? 4 : 2, entry = (c->object ? width + 2 : 0) + 1 + width,
           left = (size_t)(end - at);
    if (left < 2 * width)
        return false;
    c->count = binlog_load_le(at, width);
    c->size = binlog_load_le(at + width, width);
    return c->size <= left && c->count * entry + 2 * width <= c->size;
}

bool
binlog_json_key(const struct json_container *c, uint64_t i, const char **key, uint32_t *len)
{
    size_t width = c->large ? 4 : 2;
    const uint8_t *entry = c->at + 2 * width + i * (width + 2);
    uint64_t offset = binlog_load_le(entry, width);
    *len = (uint32_t)binlog_load_le(entry + width, 2);
    *key = (const char *)c->at + offset;
    return offset <= c->size && *len <= c->size - offset;
}

bool
binlog_json_element(const struct json_container *c, uint64_t i, uint8_t *type, const uint8_t **at,
                    const uint8_t **end)
{
    size_t width = c->large ? 4 : 2;
    const uint8_t *entry = c->at + 2 * width + (c->object ? c->count * (width + 2) : 0) + i * (1 + width);
    uint64_t offset = binlog_load_le(entry + 1, width);
    bool inlined = is_inlined(entry[0], c->large);
    *type = entry[0];
    *at = inlined ? entry + 1 : c->at + offset;
    *end = inlined ? entry + 1 + width : c->at + c->size;
    return inlined || offset < c->size;
}

static bool
write_container(struct json *j, uint8_t type, const uint8_t *at, const uint8_t *end, int depth)
{
    struct json_container c;
    if (!binlog_json_container(type, at, end, &c))
        return false;
    tr_buffer_byte(j->out, c.object ? '{' : '[');
    for (uint64_t i = 0; i < c.count; i++) {
        const char *key;
        uint32_t len;
        const uint8_t *value, *value_end;
        uint8_t value_type;
        if (i > 0)
            tr_buffer_add(j->out, ", ", 2);
        if (c.object) {
            if (!binlog_json_key(&c, i, &key, &len) || !write_string(j, key, len))
                return false;
            tr_buffer_add(j->out, ": ", 2);
        }
        if (!binlog_json_element(&c, i, &value_type, &value, &value_end) ||
            !write_value(j, value_type, value, value_end, depth + 1))
            return false;
    }
    tr_buffer_byte(j->out, c.object ? '}' : ']');
    return true;
}

static bool
write_value(struct json *j, uint8_t type, const uint8_t *at, const uint8_t *end, int depth)
{
    if (depth > MAX_DEPTH || j->budget == 0 || j->out->overflow)
        return false;
    j->budget--;
    return type <= JSON_LARGE_ARRAY ? write_container(j, type, at, end, depth)
                                    : write_scalar(j, type, at, end);
}

bool
binlog_json_value(struct tr_buffer *out, uint8_t type, const uint8_t *at, const uint8_t *end)
{
    struct json j = { out, (uint64_t)(end - at) + 1 };
    return write_value(&j, type, at, end, 0);
}

void
binlog_json_string(struct tr_buffer *out, const char *text, size_t len)
{
    struct json j = { out, len };
    write_string(&j, text, len);
}

int
binlog_text_json(struct tr_buffer *out, const uint8_t *bytes, size_t len, struct tr_error *err)
{
    if (len == 0) { /* what INSERT IGNORE may leave behind; MySQL reads it as null */
        tr_buffer_text(out, "null");
        return 0;
    }
    struct json j = { out, len };
    if (write_value(&j, bytes[0], bytes + 1, bytes + len, 0) || out->overflow)
        return 0;
    return tr_fail(err, TR_FATAL, "a JSON document of %zu bytes is damaged", len);
}
