/* value.c - values in the binary form that a parameter's array type wants; formats: PostgreSQL's *_recv functions. */
#include "sinks/postgres/apply.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    Oid type;
    enum tr_pg_carry carry;
} carries[] = {
    { 16, TR_PG_CARRY_BOOL },        { 17, TR_PG_CARRY_BYTEA },    { 20, TR_PG_CARRY_INT8 },
    { 21, TR_PG_CARRY_INT2 },        { 23, TR_PG_CARRY_INT4 },     { 25, TR_PG_CARRY_STRING },
    { 26, TR_PG_CARRY_OID },         { 1043, TR_PG_CARRY_STRING }, { 1082, TR_PG_CARRY_DATE },
    { 1114, TR_PG_CARRY_TIMESTAMP }, { 2950, TR_PG_CARRY_UUID },   { 1184, TR_PG_CARRY_TIMESTAMPTZ },
};

enum tr_pg_carry
tr_pg_carry_of(Oid type)
{
    for (size_t i = 0; i < sizeof carries / sizeof *carries; i++)
        if (carries[i].type == type)
            return carries[i].carry;
    return TR_PG_CARRY_TEXT;
}

/* Is the source's binary form the one this carry wants? */
static bool
same_binary(Oid source, enum tr_pg_carry carry)
{
    return carry != TR_PG_CARRY_TEXT && tr_pg_carry_of(source) == carry;
}

static int
bind_int(const char *text, size_t len, int width, bool is_signed, struct tr_buffer *out)
{
    char digits[24], *end;
    if (len == 0 || len >= sizeof digits || text[0] == ' ')
        return 1;
    memcpy(digits, text, len);
    digits[len] = '\0';
    errno = 0;
    long long n = strtoll(digits, &end, 10);
    if (errno != 0 || *end != '\0' || end == digits)
        return 1;
    long long top = width == 8 ? INT64_MAX : (INT64_C(1) << (is_signed ? width * 8 - 1 : width * 8)) - 1;
    if (n > top || n < (is_signed ? -top - 1 : 0))
        return 1;
    if (width == 2)
        tr_buffer_u16be(out, (uint16_t)n);
    else if (width == 4)
        tr_buffer_u32be(out, (uint32_t)n);
    else
        tr_buffer_u64be(out, (uint64_t)n);
    return 0;
}

static int
hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static int
bind_bytea(const char *text, size_t len, struct tr_buffer *out)
{
    if (len < 2 || text[0] != '\\' || text[1] != 'x' || len % 2 != 0)
        return 1;
    for (size_t i = 2; i < len; i += 2) {
        int high = hex_digit(text[i]), low = hex_digit(text[i + 1]);
        if (high < 0 || low < 0)
            return 1;
        tr_buffer_byte(out, (char)(high << 4 | low));
    }
    return 0;
}

static int
bind_uuid(const char *text, size_t len, struct tr_buffer *out)
{
    if (len != 36)
        return 1;
    for (size_t i = 0; i < len;) {
        if (text[i] == '-') {
            i++;
            continue;
        }
        int high = hex_digit(text[i]), low = i + 1 < len ? hex_digit(text[i + 1]) : -1;
        if (high < 0 || low < 0)
            return 1;
        tr_buffer_byte(out, (char)(high << 4 | low));
        i += 2;
    }
    return 0;
}

/* Exactly n digits; -1 otherwise. */
static int
digits(const char *text, int n)
{
    int value = 0;
    for (int i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        value = value * 10 + (text[i] - '0');
    }
    return value;
}

/* Days since 2000-01-01 of "YYYY-MM-DD" (the server has checked that the day exists); false for any other spelling. */
static bool
parse_date(const char *text, int64_t *days)
{
    int year = digits(text, 4), month = digits(text + 5, 2), day = digits(text + 8, 2);
    if (year < 1 || month < 1 || month > 12 || day < 1 || day > 31 || text[4] != '-' || text[7] != '-')
        return false;
    /* Howard Hinnant's days_from_civil: years begin in March, eras of 400 years. */
    int y = month <= 2 ? year - 1 : year;
    int era = y / 400, of_era = y - era * 400;
    int of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    *days = (int64_t)era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468 - 10957;
    return true;
}

static int
bind_timestamp(const char *text, size_t len, bool with_zone, struct tr_buffer *out)
{
    int64_t days, fraction = 0;
    if (with_zone) {
        if (len < 3 || memcmp(text + len - 3, "+00", 3) != 0)
            return 1;
        len -= 3;
    }
    if (len < 19 || len > 26 || len == 20 || !parse_date(text, &days))
        return 1;
    int hour = digits(text + 11, 2), minute = digits(text + 14, 2), second = digits(text + 17, 2);
    if (text[10] != ' ' || text[13] != ':' || text[16] != ':' || hour < 0 || minute < 0 || second < 0)
        return 1;
    if (len > 20) {
        fraction = text[19] == '.' ? digits(text + 20, (int)len - 20) : -1;
        for (size_t i = len; i < 26; i++)
            fraction *= 10;
    }
    if (fraction < 0)
        return 1;
    int64_t us = ((days * 24 + hour) * 60 + minute) * 60 + second;
    tr_buffer_u64be(out, (uint64_t)(us * 1000000 + fraction));
    return 0;
}

static int
bind_text(const char *text, size_t len, enum tr_pg_carry carry, struct tr_buffer *out)
{
    int64_t days;
    switch (carry) {
    case TR_PG_CARRY_TEXT:
    case TR_PG_CARRY_STRING: tr_buffer_add(out, text, len); return 0;
    case TR_PG_CARRY_BOOL:
        if (len != 1 || (text[0] != 't' && text[0] != 'f'))
            return 1;
        tr_buffer_byte(out, text[0] == 't');
        return 0;
    case TR_PG_CARRY_INT2: return bind_int(text, len, 2, true, out);
    case TR_PG_CARRY_INT4: return bind_int(text, len, 4, true, out);
    case TR_PG_CARRY_INT8: return bind_int(text, len, 8, true, out);
    case TR_PG_CARRY_OID: return bind_int(text, len, 4, false, out);
    case TR_PG_CARRY_BYTEA: return bind_bytea(text, len, out);
    case TR_PG_CARRY_UUID: return bind_uuid(text, len, out);
    case TR_PG_CARRY_DATE:
        if (len != 10 || !parse_date(text, &days))
            return 1;
        tr_buffer_u32be(out, (uint32_t)(int32_t)days);
        return 0;
    case TR_PG_CARRY_TIMESTAMP: return bind_timestamp(text, len, false, out);
    case TR_PG_CARRY_TIMESTAMPTZ: return bind_timestamp(text, len, true, out);
    }
    return 1;
}

int
tr_pg_value_bind(const struct tr_relation *relation, uint16_t column, const struct tr_value *value,
                 enum tr_pg_carry carry, struct tr_buffer *scratch, struct tr_buffer *out,
                 struct tr_error *err)
{
    const struct tr_column *about = &relation->columns[column];
    if (value->codec == TR_CODEC_TEXT)
        return bind_text(value->data, value->len, carry, out);
    if ((value->codec == TR_CODEC_PG_BINARY && same_binary(about->base_type_id, carry)) ||
        (value->codec == TR_CODEC_RAW && carry == TR_PG_CARRY_BYTEA)) {
        tr_buffer_add(out, value->data, value->len);
        return 0;
    }
    if (value->codec == TR_CODEC_RAW && about->logical == TR_BYTES && carry == TR_PG_CARRY_TEXT) {
        tr_buffer_add(out, "\\x", 2);
        tr_buffer_hex(out, value->data, value->len);
        return 0;
    }
    const char *text;
    size_t len;
    int rc = tr_value_text(relation, about, value, scratch, &text, &len, err);
    return rc < 0 ? rc : bind_text(text, len, carry, out);
}

/* The escapes of COPY's text format. */
static void
copy_escape(struct tr_buffer *out, const char *text, size_t len)
{
    size_t from = 0;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c != '\\' && c != '\n' && c != '\t' && c != '\r')
            continue;
        tr_buffer_add(out, text + from, i - from);
        tr_buffer_byte(out, '\\');
        tr_buffer_byte(out, c == '\\' ? '\\' : c == '\n' ? 'n' : c == '\t' ? 't' : 'r');
        from = i + 1;
    }
    tr_buffer_add(out, text + from, len - from);
}

static int
copy_value(const struct tr_relation *relation, uint16_t column, const struct tr_value *value,
           struct tr_buffer *scratch, struct tr_buffer *out, struct tr_error *err)
{
    const char *text = value->data;
    size_t len = value->len;
    if (value->codec == TR_CODEC_RAW && relation->columns[column].logical == TR_BYTES) {
        tr_buffer_add(out, "\\\\x", 3);
        tr_buffer_hex(out, text, len);
        return 0;
    }
    if (value->codec != TR_CODEC_TEXT) {
        int rc = tr_value_text(relation, &relation->columns[column], value, scratch, &text, &len, err);
        if (rc < 0)
            return rc;
    }
    copy_escape(out, text, len);
    return 0;
}

int
tr_pg_copy_row(const struct tr_pg_map *map, const struct tr_value *row, struct tr_pg_values *values,
               struct tr_buffer *out, struct tr_error *err)
{
    bool first = true;
    for (uint16_t i = 0; i < map->relation->ncolumns; i++) {
        if (map->target[i] < 0 || row[i].state == TR_ABSENT)
            continue;
        if (!first)
            tr_buffer_byte(out, '\t');
        first = false;
        const struct tr_value *value = &row[i];
        struct tr_value fitted = { 0 };
        int rc = 0;
        if (value->state == TR_PRESENT && map->fits != NULL && map->fits[i].kind != TR_PG_FIT_NONE) {
            rc = tr_pg_fit_value(values, &map->fits[i], map->relation, &map->relation->columns[i], value,
                                 &fitted, err);
            value = &fitted;
        }
        if (rc == 0 && value->state == TR_NULL)
            tr_buffer_add(out, "\\N", 2);
        else if (rc == 0)
            rc = copy_value(map->relation, i, value, &values->canonical, out, err);
        if (rc < 0)
            return rc;
    }
    tr_buffer_byte(out, '\n');
    return out->overflow ? tr_fail(err, TR_CONFLICT, "a row of %s is larger than 1 GiB", map->label) : 0;
}
