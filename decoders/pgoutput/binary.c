/*
 * binary.c - the canonical text of values in PostgreSQL's binary send format.
 *
 * The format of each type is that of its send function (src/backend/utils/adt/X.c: Xsend), the text that of
 * its output function under DateStyle ISO, IntervalStyle postgres, TimeZone UTC, extra_float_digits 3,
 * bytea_output hex.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cursor.h"
#include "decoders/pgoutput/pgoutput.h"
#include "decoders/pgoutput/types.h"

#define US_PER_SECOND INT64_C(1000000)
#define US_PER_DAY (86400 * US_PER_SECOND)

/* Writes the text of one value; a failed cursor or bytes left over are the caller's to report. False = the
 * bytes make no sense. */
typedef bool writer(struct tr_cursor *cur, struct tr_buffer *out);

static bool
write_bytes(struct tr_cursor *cur, struct tr_buffer *out)
{
    size_t len = tr_cursor_left(cur);
    tr_buffer_add(out, tr_cursor_bytes(cur, len), len);
    return true;
}

/* jsonb_send: Int8 version 1, text. */
static bool
write_jsonb(struct tr_cursor *cur, struct tr_buffer *out)
{
    return tr_cursor_u8(cur) == 1 && write_bytes(cur, out);
}

static bool
write_bytea(struct tr_cursor *cur, struct tr_buffer *out)
{
    size_t len = tr_cursor_left(cur);
    tr_buffer_add(out, "\\x", 2);
    tr_buffer_hex(out, tr_cursor_bytes(cur, len), len);
    return true;
}

static bool
write_bool(struct tr_cursor *cur, struct tr_buffer *out)
{
    tr_buffer_byte(out, tr_cursor_u8(cur) != 0 ? 't' : 'f');
    return true;
}

static bool
write_int2(struct tr_cursor *cur, struct tr_buffer *out)
{
    tr_buffer_int(out, (int16_t)tr_cursor_u16be(cur));
    return true;
}

static bool
write_int4(struct tr_cursor *cur, struct tr_buffer *out)
{
    tr_buffer_int(out, (int32_t)tr_cursor_u32be(cur));
    return true;
}

static bool
write_int8(struct tr_cursor *cur, struct tr_buffer *out)
{
    tr_buffer_int(out, (int64_t)tr_cursor_u64be(cur));
    return true;
}

static bool
write_oid(struct tr_cursor *cur, struct tr_buffer *out)
{
    tr_buffer_uint(out, tr_cursor_u32be(cur));
    return true;
}

/* Bytes as hex pairs with a colon between: macaddr (6 bytes) and macaddr8 (8 bytes). */
static bool
write_macaddr(struct tr_cursor *cur, struct tr_buffer *out)
{
    size_t len = tr_cursor_left(cur);
    for (size_t i = 0; i < len; i++) {
        uint8_t byte = tr_cursor_u8(cur);
        if (i > 0)
            tr_buffer_byte(out, ':');
        tr_buffer_hex(out, &byte, 1);
    }
    return len == 6 || len == 8;
}

static bool
write_uuid(struct tr_cursor *cur, struct tr_buffer *out)
{
    static const uint8_t groups[] = { 4, 2, 2, 2, 6 };
    for (size_t i = 0; i < sizeof groups; i++) {
        const uint8_t *bytes = tr_cursor_bytes(cur, groups[i]);
        if (bytes == NULL)
            return false;
        if (i > 0)
            tr_buffer_byte(out, '-');
        tr_buffer_hex(out, bytes, groups[i]);
    }
    return true;
}

/* bit_send: Int32 number of bits, then the bits from the highest of the first byte on. */
static bool
write_bits(struct tr_cursor *cur, struct tr_buffer *out)
{
    uint32_t nbits = tr_cursor_u32be(cur);
    if (cur->failed || tr_cursor_left(cur) != ((uint64_t)nbits + 7) / 8)
        return false;
    const uint8_t *bytes = tr_cursor_bytes(cur, tr_cursor_left(cur));
    char *to = tr_buffer_reserve(out, nbits);
    if (to == NULL)
        return true; /* the buffer remembers its overflow */
    for (uint32_t i = 0; i < nbits; i++)
        to[i] = (char)('0' + (bytes[i / 8] >> (7 - i % 8) & 1));
    to[nbits] = '\0';
    out->len += nbits;
    return true;
}

/* ---------------------------------------------------------------- floating point */

/* What differs between float4 and float8. */
struct float_kind {
    int digits;      /* decimal digits that always survive the way there and back (FLT_DIG, DBL_DIG) */
    int max_digits;  /* enough for every value */
    int fixed_below; /* exponents from this on are printed as d.ddde+xx */
    double smallest_normal;
    double (*read)(const char *text);
    double (*neighbour)(double value, bool up);
};

static double
read_float8(const char *text)
{
    return strtod(text, NULL);
}

static double
read_float4(const char *text)
{
    return strtof(text, NULL);
}

static double
neighbour_float8(double value, bool up)
{
    return nextafter(value, up ? INFINITY : 0);
}

static double
neighbour_float4(double value, bool up)
{
    return nextafterf((float)value, up ? INFINITY : 0);
}

static const struct float_kind float4_kind = { 6, 9, 6, 0x1p-126, read_float4, neighbour_float4 };
static const struct float_kind float8_kind = { 15, 17, 15, 0x1p-1022, read_float8, neighbour_float8 };

/*
 * Does the decimal stand exactly half-way between the value and a neighbour? strtod() rounds such a one to
 * even, so it may come back as the value; PostgreSQL does not rely on that and takes the next longer decimal.
 * 60 digits tell: a decimal of 17 digits cannot agree with a 54-bit binary fraction so far without being
 * equal to it.
 */
static bool
on_the_fence(double value, const char *decimal, const struct float_kind *kind)
{
    for (int up = 0; up <= 1; up++) {
        long double half = ((long double)value + (long double)kind->neighbour(value, up)) / 2;
        char exact[96];
        if (strtold(decimal, NULL) != half)
            continue;
        snprintf(exact, sizeof exact, "%.60Le", half);
        const char *mark = strchr(decimal, 'e');
        size_t digits = (size_t)(mark - decimal);
        /* the same digits as far as the decimal goes, zeros from there on, the same exponent */
        if (strncmp(exact, decimal, digits) == 0 &&
            strspn(exact + digits, "0.") == strcspn(exact + digits, "e") &&
            atoi(strchr(exact, 'e') + 1) == atoi(mark + 1))
            return true;
    }
    return false;
}

/* The decimal one unit of its last digit higher: at a power of two the nearest one may fall below the
 * narrower gap. */
static void
next_decimal(char text[static 48])
{
    char *mark = strchr(text, 'e');
    for (char *p = mark - 1; p >= text; p--) {
        if (*p == '.')
            continue;
        if (*p != '9') {
            ++*p;
            return;
        }
        *p = '0';
    }
    text[0] = '1'; /* 9.99e5 became 0.00e5: 1.00e6 */
    int exponent = atoi(mark + 1) + 1;
    snprintf(mark, 16, "e%+03d", exponent);
}

/* The shortest decimal that comes back as the value, d.ddde+xx; value is finite and above zero. */
static void
shortest(double value, const struct float_kind *kind, char text[static 48])
{
    int first = value < kind->smallest_normal ? 1 : kind->digits; /* below it fewer digits are certain */
    for (int digits = first; digits <= kind->max_digits; digits++) {
        snprintf(text, 48, "%.*e", digits - 1, value);
        if (kind->read(text) == value && !on_the_fence(value, text, kind))
            return;
        int exponent;
        if (frexp(value, &exponent) != 0.5)
            continue;
        next_decimal(text);
        if (kind->read(text) == value && !on_the_fence(value, text, kind))
            return;
    }
}

/* d.ddde+xx into what %g would make of it: fixed notation for exponents from -4 up to the kind's limit. */
static void
write_decimal(char *text, const struct float_kind *kind, struct tr_buffer *out)
{
    char digits[24];
    int n = 0;
    char *mark = strchr(text, 'e');
    int exponent = atoi(mark + 1);
    for (char *p = text; p < mark; p++) {
        if (*p != '.')
            digits[n++] = *p;
    }
    while (n > 1 && digits[n - 1] == '0')
        n--;
    if (exponent < -4 || exponent >= kind->fixed_below) {
        tr_buffer_byte(out, digits[0]);
        if (n > 1)
            tr_buffer_byte(out, '.');
        tr_buffer_add(out, digits + 1, (size_t)(n - 1));
        tr_buffer_printf(out, "e%+03d", exponent);
        return;
    }
    if (exponent < 0)
        tr_buffer_add(out, "0.000", (size_t)(1 - exponent));
    for (int i = 0; i < n || i <= exponent; i++) {
        if (i == exponent + 1 && exponent >= 0)
            tr_buffer_byte(out, '.');
        tr_buffer_byte(out, i < n ? digits[i] : '0');
    }
}

static bool
write_float(double value, const struct float_kind *kind, struct tr_buffer *out)
{
    char text[48];
    if (isnan(value)) {
        tr_buffer_text(out, "NaN");
        return true;
    }
    if (signbit(value)) {
        tr_buffer_byte(out, '-');
        value = -value;
    }
    if (isinf(value)) {
        tr_buffer_text(out, "Infinity");
    } else if (value == 0) {
        tr_buffer_byte(out, '0');
    } else {
        shortest(value, kind, text);
        write_decimal(text, kind, out);
    }
    return true;
}

static bool
write_float4(struct tr_cursor *cur, struct tr_buffer *out)
{
    uint32_t bits = tr_cursor_u32be(cur);
    float value;
    memcpy(&value, &bits, sizeof value);
    return write_float(value, &float4_kind, out);
}

static bool
write_float8(struct tr_cursor *cur, struct tr_buffer *out)
{
    uint64_t bits = tr_cursor_u64be(cur);
    double value;
    memcpy(&value, &bits, sizeof value);
    return write_float(value, &float8_kind, out);
}

/* ---------------------------------------------------------------- numeric */

#define NUMERIC_POSITIVE 0x0000
#define NUMERIC_NEGATIVE 0x4000
#define NUMERIC_NAN 0xC000
#define NUMERIC_PINF 0xD000
#define NUMERIC_NINF 0xF000

static uint16_t
numeric_digit(const uint8_t *digits, int ndigits, int i)
{
    return i >= 0 && i < ndigits ? (uint16_t)(digits[2 * i] << 8 | digits[2 * i + 1]) : 0;
}

/*
 * numeric_send: Int16 number of digits, Int16 weight of the first, Int16 sign, Int16 decimals shown, then the
 * digits, each Int16 in base 10000.
 */
static bool
write_numeric(struct tr_cursor *cur, struct tr_buffer *out)
{
    int ndigits = tr_cursor_u16be(cur);
    int weight = (int16_t)tr_cursor_u16be(cur);
    uint16_t sign = tr_cursor_u16be(cur);
    int scale = tr_cursor_u16be(cur);
    const uint8_t *digits = tr_cursor_bytes(cur, (size_t)ndigits * 2);
    if (digits == NULL)
        return false;
    switch (sign) {
    case NUMERIC_NAN: tr_buffer_text(out, "NaN"); return true;
    case NUMERIC_PINF: tr_buffer_text(out, "Infinity"); return true;
    case NUMERIC_NINF: tr_buffer_text(out, "-Infinity"); return true;
    case NUMERIC_NEGATIVE: tr_buffer_byte(out, '-'); break;
    case NUMERIC_POSITIVE: break;
    default: return false;
    }
    for (int i = 0; i < ndigits; i++) {
        if (numeric_digit(digits, ndigits, i) > 9999)
            return false;
    }
    if (weight < 0)
        tr_buffer_byte(out, '0');
    for (int i = 0; i <= weight; i++)
        tr_buffer_printf(out, i == 0 ? "%u" : "%04u", numeric_digit(digits, ndigits, i));
    if (scale == 0)
        return true;
    tr_buffer_byte(out, '.');
    for (int i = weight + 1, left = scale; left > 0; i++, left -= 4) {
        char four[8];
        snprintf(four, sizeof four, "%04u", numeric_digit(digits, ndigits, i));
        tr_buffer_add(out, four, left < 4 ? (size_t)left : 4);
    }
    return true;
}

/* ---------------------------------------------------------------- date and time */

/* Days since 2000-01-01 to a date of the proleptic Gregorian calendar, with a year 0 (Howard Hinnant's
 * arithmetic on eras). */
static void
civil_date(int64_t days, int64_t *year, int *month, int *day)
{
    days += 730425; /* from 0000-03-01 */
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t in_era = days - era * 146097;
    int64_t of_era = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    int64_t of_year = in_era - (365 * of_era + of_era / 4 - of_era / 100);
    int64_t shifted = (5 * of_year + 2) / 153; /* March is 0 */
    *day = (int)(of_year - (153 * shifted + 2) / 5 + 1);
    *month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
    *year = of_era + era * 400 + (*month <= 2);
}

/* Returns whether " BC" must follow at the end of the whole text. */
static bool
put_date(int64_t days, struct tr_buffer *out)
{
    int64_t year;
    int month, day;
    civil_date(days, &year, &month, &day);
    bool bc = year <= 0;
    tr_buffer_printf(out, "%04lld-%02d-%02d", (long long)(bc ? 1 - year : year), month, day);
    return bc;
}

/* .ffffff without trailing zeros */
static void
put_fraction(int64_t us, struct tr_buffer *out)
{
    if (us == 0)
        return;
    char text[16];
    int n = snprintf(text, sizeof text, ".%06lld", (long long)us);
    while (text[n - 1] == '0')
        n--;
    tr_buffer_add(out, text, (size_t)n);
}

static void
put_time(int64_t us, struct tr_buffer *out)
{
    int64_t seconds = us / US_PER_SECOND;
    tr_buffer_printf(out, "%02lld:%02d:%02d", (long long)(seconds / 3600), (int)(seconds / 60 % 60),
                     (int)(seconds % 60));
    put_fraction(us % US_PER_SECOND, out);
}

static bool
write_infinity(bool positive, struct tr_buffer *out)
{
    tr_buffer_text(out, positive ? "infinity" : "-infinity");
    return true;
}

/* date_send: Int32 days since 2000-01-01. */
static bool
write_date(struct tr_cursor *cur, struct tr_buffer *out)
{
    int32_t days = (int32_t)tr_cursor_u32be(cur);
    if (days == INT32_MAX || days == INT32_MIN)
        return write_infinity(days > 0, out);
    if (put_date(days, out))
        tr_buffer_text(out, " BC");
    return true;
}

/* time_send: Int64 microseconds since midnight; 24:00:00 is allowed. */
static bool
write_time(struct tr_cursor *cur, struct tr_buffer *out)
{
    int64_t us = (int64_t)tr_cursor_u64be(cur);
    if (us < 0 || us > US_PER_DAY)
        return false;
    put_time(us, out);
    return true;
}

/* timetz_send: Int64 microseconds since midnight, Int32 seconds west of UTC. */
static bool
write_timetz(struct tr_cursor *cur, struct tr_buffer *out)
{
    if (!write_time(cur, out))
        return false;
    int32_t west = (int32_t)tr_cursor_u32be(cur);
    if (west <= -86400 || west >= 86400)
        return false;
    int seconds = abs(west);
    tr_buffer_printf(out, "%c%02d", west > 0 ? '-' : '+', seconds / 3600);
    if (seconds % 3600 != 0)
        tr_buffer_printf(out, ":%02d", seconds / 60 % 60);
    if (seconds % 60 != 0)
        tr_buffer_printf(out, ":%02d", seconds % 60);
    return true;
}

/* timestamp_send, timestamptz_send: Int64 microseconds since 2000-01-01. */
static bool
put_timestamp(struct tr_cursor *cur, const char *zone, struct tr_buffer *out)
{
    int64_t us = (int64_t)tr_cursor_u64be(cur);
    if (us == INT64_MAX || us == INT64_MIN)
        return write_infinity(us > 0, out);
    int64_t of_day = us % US_PER_DAY;
    bool bc = put_date(us / US_PER_DAY - (of_day < 0), out);
    tr_buffer_byte(out, ' ');
    put_time(of_day < 0 ? of_day + US_PER_DAY : of_day, out);
    tr_buffer_text(out, zone);
    tr_buffer_text(out, bc ? " BC" : "");
    return true;
}

static bool
write_timestamp(struct tr_cursor *cur, struct tr_buffer *out)
{
    return put_timestamp(cur, "", out);
}

static bool
write_timestamptz(struct tr_cursor *cur, struct tr_buffer *out)
{
    return put_timestamp(cur, "+00", out);
}

/* "1 year", "-2 mons", "+3 days": a plus where the part before was negative, so that the sign of each is
 * told. */
static void
put_interval_part(int64_t n, const char *unit, bool *started, bool *negative, struct tr_buffer *out)
{
    if (n == 0)
        return;
    tr_buffer_printf(out, "%s%s%lld %s%s", *started ? " " : "", *negative && n > 0 ? "+" : "", (long long)n,
                     unit, n == 1 ? "" : "s");
    *started = true;
    *negative = n < 0;
}

/* interval_send: Int64 microseconds, Int32 days, Int32 months. All three at an extreme: infinity (17 and
 * later). */
static bool
write_interval(struct tr_cursor *cur, struct tr_buffer *out)
{
    int64_t us = (int64_t)tr_cursor_u64be(cur);
    int32_t days = (int32_t)tr_cursor_u32be(cur);
    int32_t months = (int32_t)tr_cursor_u32be(cur);
    if ((us == INT64_MAX && days == INT32_MAX && months == INT32_MAX) ||
        (us == INT64_MIN && days == INT32_MIN && months == INT32_MIN))
        return write_infinity(us > 0, out);
    bool started = false, negative = false;
    put_interval_part(months / 12, "year", &started, &negative, out);
    put_interval_part(months % 12, "mon", &started, &negative, out);
    put_interval_part(days, "day", &started, &negative, out);
    if (started && us == 0)
        return true;
    tr_buffer_text(out, started ? " " : "");
    tr_buffer_text(out, us < 0 ? "-" : negative ? "+" : "");
    uint64_t size = us < 0 ? 0 - (uint64_t)us : (uint64_t)us;
    uint64_t seconds = size / (uint64_t)US_PER_SECOND;
    tr_buffer_printf(out, "%02llu:%02d:%02d", (unsigned long long)(seconds / 3600), (int)(seconds / 60 % 60),
                     (int)(seconds % 60));
    put_fraction((int64_t)(size % (uint64_t)US_PER_SECOND), out);
    return true;
}

/* ---------------------------------------------------------------- which type by which writer */

static writer *const writers[TR_LOGICAL_COUNT] = {
    [TR_BOOL] = write_bool,
    [TR_INT16] = write_int2,
    [TR_INT32] = write_int4,
    [TR_INT64] = write_int8,
    [TR_OID] = write_oid,
    [TR_FLOAT32] = write_float4,
    [TR_FLOAT64] = write_float8,
    [TR_DECIMAL] = write_numeric,
    [TR_CHAR] = write_bytes,
    [TR_TEXT] = write_bytes,
    [TR_ENUM] = write_bytes,
    [TR_JSON] = write_bytes,
    [TR_JSONB] = write_jsonb,
    [TR_BYTES] = write_bytea,
    [TR_BIT] = write_bits,
    [TR_VARBIT] = write_bits,
    [TR_DATE] = write_date,
    [TR_TIME] = write_time,
    [TR_TIMETZ] = write_timetz,
    [TR_TIMESTAMP] = write_timestamp,
    [TR_TIMESTAMPTZ] = write_timestamptz,
    [TR_INTERVAL] = write_interval,
    [TR_UUID] = write_uuid,
    [TR_MACADDR] = write_macaddr,
};

static int
codec_text(const struct tr_column *column, const struct tr_value *value, struct tr_buffer *out,
           struct tr_error *err)
{
    const char *type = column->type_name != NULL ? column->type_name : "unknown";
    if (value->codec != TR_CODEC_PG_BINARY)
        return tr_fail(err, TR_FATAL, "codec %u is not PostgreSQL's binary format", value->codec);
    if (!tr_pg_binary_known(column) || writers[column->logical] == NULL) {
        tr_fail(err, TR_FATAL, "binary of type %s is not known", type);
        return tr_error_hint(err, "set binary: off at the source");
    }
    struct tr_cursor cur = tr_cursor(value->data, value->len);
    bool sense = writers[column->logical](&cur, out);
    if (!sense || cur.failed || cur.at != cur.end)
        return tr_fail(err, TR_FATAL, "%u bytes are not a binary value of type %s", value->len, type);
    return 0;
}

const struct tr_codec tr_pg_codec = { .name = "postgresql", .text = codec_text };
