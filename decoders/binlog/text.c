/*
 * text.c - the codec: TR_CODEC_NATIVE values as canonical text. It runs when somebody asks for the text,
 * on any thread.
 */
#include "decoders/binlog/text.h"

#include <arpa/inet.h>
#include <string.h>

#include "decoders/binlog/internal.h"
#include "decoders/binlog/types.h"

static bool
text_integer(const struct tr_column *column, const uint8_t *b, size_t len, struct tr_buffer *out)
{
    uint64_t n = binlog_load_le(b, len);
    if (len == 0 || len > 8)
        return false;
    if (column->logical == TR_BOOL) {
        tr_buffer_byte(out, n == 1 ? 't' : 'f');
        return n <= 1;
    }
    if (column->is_unsigned) {
        tr_buffer_uint(out, n);
        return true;
    }
    unsigned shift = (unsigned)(8 - len) * 8;
    tr_buffer_int(out, (int64_t)(n << shift) >> shift);
    return true;
}

static bool
text_float(const uint8_t *b, size_t len, struct tr_buffer *out)
{
    uint64_t bits = binlog_load_le(b, len);
    if (len == 4) {
        uint32_t half = (uint32_t)bits;
        float value;
        memcpy(&value, &half, sizeof value);
        binlog_write_float(out, value);
        return true;
    }
    double value;
    memcpy(&value, &bits, sizeof value);
    if (len == 8)
        binlog_write_double(out, value);
    return len == 8;
}

static bool
text_bits(const struct tr_column *column, const uint8_t *b, size_t len, struct tr_buffer *out)
{
    if (len == 0 || len > 8 || column->length < 1 || (size_t)column->length > len * 8)
        return false;
    uint64_t n = binlog_load_be(b, len);
    if (column->logical == TR_BOOL) {
        tr_buffer_byte(out, n != 0 ? 't' : 'f');
        return n <= 1;
    }
    for (int32_t i = column->length; i > 0; i--)
        tr_buffer_byte(out, (char)('0' + (n >> (i - 1) & 1)));
    return true;
}

/* 0 is what MySQL keeps for a value that was none of the labels: the empty text. */
static bool
text_enum(const struct tr_column *column, const uint8_t *b, size_t len, struct tr_buffer *out)
{
    uint64_t n = binlog_load_le(b, len);
    if (len > 2 || n > column->nlabels)
        return false;
    if (n > 0)
        tr_buffer_text(out, column->labels[n - 1]);
    return true;
}

static bool
text_set(const struct tr_column *column, const uint8_t *b, size_t len, struct tr_buffer *out)
{
    if (len > 8)
        return false;
    uint64_t n = binlog_load_le(b, len);
    bool first = true;
    for (uint32_t i = 0; i < 64 && n >> i != 0; i++) {
        if (!(n >> i & 1))
            continue;
        if (i >= column->nlabels)
            return false;
        if (!first)
            tr_buffer_byte(out, ',');
        tr_buffer_text(out, column->labels[i]);
        first = false;
    }
    return true;
}

/* float32 each. */
static bool
text_vector(const uint8_t *b, size_t len, struct tr_buffer *out)
{
    tr_buffer_byte(out, '[');
    for (size_t i = 0; i + 4 <= len; i += 4) {
        if (i > 0)
            tr_buffer_byte(out, ',');
        text_float(b + i, 4, out);
    }
    tr_buffer_byte(out, ']');
    return len % 4 == 0;
}

/* In the log its sixteen bytes stand in the order of the text, whatever their order in the table's pages. */
static bool
text_uuid(const uint8_t *b, size_t len, struct tr_buffer *out)
{
    if (len != 16)
        return false;
    for (size_t i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            tr_buffer_byte(out, '-');
        tr_buffer_hex(out, &b[i], 1);
    }
    return true;
}

static bool
text_inet(const uint8_t *b, size_t len, struct tr_buffer *out)
{
    char text[INET6_ADDRSTRLEN];
    if ((len != 4 && len != 16) || inet_ntop(len == 4 ? AF_INET : AF_INET6, b, text, sizeof text) == NULL)
        return false;
    tr_buffer_text(out, text);
    return true;
}

/*
 * A string in the log; what it is the catalogue has said. The zeros at the end of fixed binary types are
 * not in the log.
 */
static int
text_string(const struct tr_column *column, const struct storage *st, const uint8_t *b, size_t len,
            struct tr_buffer *out, struct tr_error *err)
{
    uint8_t full[16] = { 0 };
    switch (column->logical) {
    case TR_UUID:
        memcpy(full, b, len < 16 ? len : 16);
        return text_uuid(full, len <= 16 ? 16 : len, out) ? 1 : 0;
    case TR_INET:
        memcpy(full, b, len < 16 ? len : 16);
        return text_inet(full, st->size == 4 ? 4 : 16, out) ? 1 : 0;
    case TR_VECTOR: return text_vector(b, len, out) ? 1 : 0;
    default: break;
    }
    if (st->charset == NULL)
        return 0;
    int rc = binlog_to_utf8(st->charset, (const char *)b, len, out, err);
    return rc < 0 ? rc : 1;
}

static bool
text_year(const uint8_t *b, size_t len, struct tr_buffer *out)
{
    if (len != 1)
        return false;
    tr_buffer_printf(out, "%04u", b[0] == 0 ? 0 : 1900U + b[0]);
    return true;
}

/* 1 = written, 0 = the bytes are not a value of the type, negative = *err says it. */
static int
text_of(const struct tr_column *column, const struct storage *st, const uint8_t *b, size_t len,
        struct tr_buffer *out, struct tr_error *err)
{
    switch (st->type) {
    case TYPE_TINY:
    case TYPE_SHORT:
    case TYPE_INT24:
    case TYPE_LONG:
    case TYPE_LONGLONG: return text_integer(column, b, len, out);
    case TYPE_FLOAT:
    case TYPE_DOUBLE: return text_float(b, len, out);
    case TYPE_NEWDECIMAL: return binlog_write_decimal(out, b, len, st->meta & 0xff, st->meta >> 8);
    case TYPE_YEAR: return text_year(b, len, out);
    case TYPE_BIT: return text_bits(column, b, len, out);
    case TYPE_ENUM: return text_enum(column, b, len, out);
    case TYPE_SET: return text_set(column, b, len, out);
    case TYPE_VECTOR: return text_vector(b, len, out);
    case TYPE_JSON: {
        int rc = binlog_text_json(out, b, len, err);
        return rc < 0 ? rc : 1;
    }
    default: break;
    }
    if (binlog_types[st->type].character)
        return text_string(column, st, b, len, out, err);
    return binlog_text_temporal(out, st->type, b, len, st->meta);
}

static int
text(const struct tr_column *column, const struct tr_value *value, struct tr_buffer *out,
     struct tr_error *err)
{
    const struct storage *st = column->detail;
    if (st == NULL)
        return tr_fail(err, TR_FATAL, "nothing is known of its storage");
    int rc = text_of(column, st, (const uint8_t *)value->data, value->len, out, err);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    tr_fail(err, TR_REFUSED, "the %u bytes of a value are not a %s%s", value->len, column->native,
            column->labels == NULL && (st->type == TYPE_ENUM || st->type == TYPE_SET)
                ? ", whose labels are not known"
                : "");
    return tr_error_hint(
        err, "SET GLOBAL binlog_row_metadata = 'FULL' on the source, so that the log tells the shape of "
             "its tables");
}

const struct tr_codec tr_binlog_codec = { .name = "binlog", .text = text };
