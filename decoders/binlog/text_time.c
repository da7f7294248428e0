/*
 * text_time.c - dates and times, in the storage of MySQL 5.5 and before and in that since 5.6.
 *
 * Values that no calendar has (0000-00-00, 2024-02-00) keep MySQL's own text. Trailing zeros of a fraction
 * go, as in PostgreSQL.
 */
#include "decoders/binlog/text.h"
#include "decoders/binlog/types.h"

/* n as exactly `width` digits (more when it needs them). */
static void
write_digits(struct tr_buffer *out, uint32_t n, int width)
{
    char text[10];
    int i = 10;
    for (; n > 0 || width > 0; n /= 10, width--)
        text[--i] = (char)('0' + n % 10);
    tr_buffer_add(out, text + i, (size_t)(10 - i));
}

void
binlog_write_date(struct tr_buffer *out, const struct moment *m)
{
    write_digits(out, m->year, 4);
    tr_buffer_byte(out, '-');
    write_digits(out, m->month, 2);
    tr_buffer_byte(out, '-');
    write_digits(out, m->day, 2);
}

void
binlog_write_time(struct tr_buffer *out, const struct moment *m)
{
    if (m->negative)
        tr_buffer_byte(out, '-');
    write_digits(out, m->hour, 2);
    tr_buffer_byte(out, ':');
    write_digits(out, m->minute, 2);
    tr_buffer_byte(out, ':');
    write_digits(out, m->second, 2);
}

void
binlog_write_fraction(struct tr_buffer *out, uint32_t us)
{
    int width = 6;
    if (us == 0)
        return;
    for (; us % 10 == 0; us /= 10)
        width--;
    tr_buffer_byte(out, '.');
    write_digits(out, us, width);
}

static void
write_datetime(struct tr_buffer *out, const struct moment *m)
{
    binlog_write_date(out, m);
    tr_buffer_byte(out, ' ');
    binlog_write_time(out, m);
    binlog_write_fraction(out, m->us);
}

/* Days since 1970-01-01 to a date of the Gregorian calendar; eras of 400 years begin in March. */
static void
civil_from_days(uint32_t days, struct moment *m)
{
    uint32_t z = days + 719468, era = z / 146097, doe = z % 146097;
    uint32_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    uint32_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    m->day = doy - (153 * mp + 2) / 5 + 1;
    m->month = mp < 10 ? mp + 3 : mp - 9;
    m->year = yoe + era * 400 + (m->month <= 2);
}

void
binlog_write_moment(struct tr_buffer *out, uint32_t seconds, uint32_t us)
{
    struct moment m = { .us = us };
    civil_from_days(seconds / 86400, &m);
    m.hour = seconds / 3600 % 24;
    m.minute = seconds / 60 % 60;
    m.second = seconds % 60;
    write_datetime(out, &m);
}

/* Seconds since 1970 in UTC; 0 is MySQL's zero timestamp. */
static bool
write_timestamp(struct tr_buffer *out, uint32_t seconds, uint32_t us)
{
    if (seconds == 0 && us == 0) {
        tr_buffer_text(out, "0000-00-00 00:00:00");
        return true;
    }
    binlog_write_moment(out, seconds, us);
    tr_buffer_text(out, "+00");
    return us < 1000000;
}

static bool
plausible(const struct moment *m)
{
    return m->month <= 12 && m->day <= 31 && m->hour <= 23 && m->minute <= 59 && m->second <= 59 &&
           m->us < 1000000;
}

/* Hundredths, ten-thousandths or microseconds, high byte first. */
static uint32_t
read_fraction(const uint8_t *bytes, size_t width)
{
    static const uint32_t scale[] = { 0, 10000, 100, 1 };
    return width <= 3 ? (uint32_t)binlog_load_be(bytes, width) * scale[width] : UINT32_MAX;
}

/* DATE, 3 bytes: day 5 bits, month 4, year. */
static bool
text_date(struct tr_buffer *out, const uint8_t *b)
{
    uint32_t n = (uint32_t)binlog_load_le(b, 3);
    struct moment m = { .year = n >> 9, .month = n >> 5 & 15, .day = n & 31 };
    binlog_write_date(out, &m);
    return plausible(&m);
}

/* The old DATETIME, 8 bytes: the decimal number yyyymmddhhmmss. */
static bool
text_old_datetime(struct tr_buffer *out, const uint8_t *b)
{
    uint64_t n = binlog_load_le(b, 8);
    uint32_t date = (uint32_t)(n / 1000000 % 100000000), time = (uint32_t)(n % 1000000);
    struct moment m = { .year = date / 10000, .month = date / 100 % 100, .day = date % 100 };
    m.hour = time / 10000, m.minute = time / 100 % 100, m.second = time % 100;
    write_datetime(out, &m);
    return plausible(&m) && n < UINT64_C(100000000000000);
}

/*
 * DATETIME, 5 bytes with the sign's bit set: year * 13 + month 17 bits, day 5, hour 5, minute 6, second 6;
 * then the fraction.
 */
static bool
text_datetime(struct tr_buffer *out, const uint8_t *b, size_t len)
{
    uint64_t n = binlog_load_be(b, 5);
    if (!(n >> 39))
        return false;
    uint32_t ym = (uint32_t)(n >> 22 & 0x1ffff);
    struct moment m = { .year = ym / 13, .month = ym % 13, .day = n >> 17 & 31, .hour = n >> 12 & 31 };
    m.minute = n >> 6 & 63, m.second = n & 63, m.us = read_fraction(b + 5, len - 5);
    write_datetime(out, &m);
    return plausible(&m);
}

/* The old TIME, 3 bytes signed: the decimal number hhhmmss. */
static bool
text_old_time(struct tr_buffer *out, const uint8_t *b)
{
    int32_t n = (int32_t)((uint32_t)binlog_load_le(b, 3) << 8) >> 8;
    struct moment m = { .negative = n < 0 };
    uint32_t abs = (uint32_t)(n < 0 ? -n : n);
    m.hour = abs / 10000, m.minute = abs / 100 % 100, m.second = abs % 100;
    binlog_write_time(out, &m);
    return m.hour <= 838 && m.minute <= 59 && m.second <= 59;
}

/*
 * TIME, 3 bytes and the fraction's as one number, whose middle is zero: hour 10 bits, minute 6, second 6,
 * fraction.
 */
static bool
text_time(struct tr_buffer *out, const uint8_t *b, size_t len)
{
    static const uint32_t scale[] = { 0, 10000, 100, 1 };
    unsigned fraction_bits = (unsigned)(len - 3) * 8;
    int64_t n = (int64_t)binlog_load_be(b, len) - (INT64_C(0x800000) << fraction_bits);
    struct moment m = { .negative = n < 0 };
    uint64_t abs = (uint64_t)(n < 0 ? -n : n), hms = abs >> fraction_bits;
    m.us = (uint32_t)(abs & ((UINT64_C(1) << fraction_bits) - 1)) * scale[len - 3];
    m.hour = hms >> 12 & 1023, m.minute = hms >> 6 & 63, m.second = hms & 63;
    binlog_write_time(out, &m);
    binlog_write_fraction(out, m.us);
    return m.hour <= 838 && m.minute <= 59 && m.second <= 59 && m.us < 1000000;
}

/* ------------------------------------------------------ MariaDB's own storage of fractions (mysql56_temporal_format = OFF) */

#define LAST_SECOND 3020399 /* 838:59:59 */

static uint64_t
shift(uint32_t digits)
{
    uint64_t n = 1;
    for (; digits < 6; digits++)
        n *= 10;
    return n;
}

size_t
binlog_hires_size(uint8_t type, uint32_t digits)
{
    static const uint8_t datetime[] = { 8, 6, 6, 7, 7, 7, 8 }, time[] = { 3, 4, 4, 5, 5, 5, 6 };
    if (digits > 6)
        return 0;
    return type == TYPE_DATETIME ? datetime[digits] : type == TYPE_TIME ? time[digits] : 4 + (digits + 1) / 2;
}

/* High byte first: a moment as one number, ((((year * 13 + month) * 32 + day) * 24 + hour) * 60 + minute) * 60 + second, and the digits of its fraction; TIME's zero in the middle. */
static bool
text_hires(struct tr_buffer *out, uint8_t type, const uint8_t *b, size_t len, uint32_t digits)
{
    uint64_t unit = shift(digits);
    if (len != binlog_hires_size(type, digits))
        return false;
    if (type == TYPE_TIMESTAMP)
        return write_timestamp(out, (uint32_t)binlog_load_be(b, 4),
                               (uint32_t)(binlog_load_be(b + 4, len - 4) * unit));
    int64_t n = (int64_t)binlog_load_be(b, len);
    if (n < 0 || n > INT64_MAX / (int64_t)unit)
        return false;
    n *= (int64_t)unit;
    if (type == TYPE_TIME)
        n -= (LAST_SECOND + 1) * INT64_C(1000000);
    struct moment m = { .negative = n < 0 };
    uint64_t abs = (uint64_t)(n < 0 ? -n : n), seconds = abs / 1000000;
    m.us = (uint32_t)(abs % 1000000), m.second = seconds % 60, m.minute = seconds / 60 % 60;
    if (type == TYPE_TIME) {
        m.hour = (uint32_t)(seconds / 3600);
        binlog_write_time(out, &m);
        binlog_write_fraction(out, m.us);
        return seconds <= LAST_SECOND;
    }
    uint64_t days = seconds / 86400;
    m.hour = seconds / 3600 % 24, m.day = days % 32, m.month = days / 32 % 13,
    m.year = (uint32_t)(days / 32 / 13);
    write_datetime(out, &m);
    return plausible(&m) && m.year <= 9999;
}

bool
binlog_text_temporal(struct tr_buffer *out, uint8_t type, const uint8_t *b, size_t len, uint32_t digits)
{
    size_t fraction = (digits + 1) / 2;
    if (digits > 0 && (type == TYPE_DATETIME || type == TYPE_TIME || type == TYPE_TIMESTAMP))
        return text_hires(out, type, b, len, digits);
    switch (type) {
    case TYPE_DATE:
    case TYPE_NEWDATE: return len == 3 && text_date(out, b);
    case TYPE_DATETIME: return len == 8 && text_old_datetime(out, b);
    case TYPE_TIME: return len == 3 && text_old_time(out, b);
    case TYPE_TIMESTAMP: return len == 4 && write_timestamp(out, (uint32_t)binlog_load_le(b, 4), 0);
    case TYPE_DATETIME2: return len == 5 + fraction && len <= 8 && text_datetime(out, b, len);
    case TYPE_TIME2: return len == 3 + fraction && len <= 6 && text_time(out, b, len);
    case TYPE_TIMESTAMP2:
        return len == 4 + fraction && len <= 7 &&
               write_timestamp(out, (uint32_t)binlog_load_be(b, 4), read_fraction(b + 4, len - 4));
    default: return false;
    }
}
