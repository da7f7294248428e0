/* temporal.c - dates, times and intervals out of their canonical text. */
#include "encoders/common/temporal.h"

#include <string.h>

#include "encoders/common/write.h"

struct reader {
    const char *at;
    const char *end;
};

static bool
read_char(struct reader *in, char c)
{
    if (in->at >= in->end || *in->at != c)
        return false;
    in->at++;
    return true;
}

/* At most `max` digits; returns how many were read. */
static int
read_digits(struct reader *in, int max, int64_t *number)
{
    int n = 0;
    for (*number = 0; n < max && in->at < in->end && *in->at >= '0' && *in->at <= '9'; n++)
        *number = *number * 10 + (*in->at++ - '0');
    return n;
}

static bool
read_word(struct reader *in, const char *word)
{
    size_t len = strlen(word);
    if ((size_t)(in->end - in->at) < len || memcmp(in->at, word, len) != 0)
        return false;
    in->at += len;
    return true;
}

/* Howard Hinnant's arithmetic of the proleptic Gregorian calendar: years begin in March, eras last 400 years. */
static int64_t
days_from_civil(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static bool
read_date(struct reader *in, struct moment *moment)
{
    int64_t year, month, day;
    if (read_digits(in, 7, &year) < 4 || !read_char(in, '-') || read_digits(in, 2, &month) != 2 ||
        !read_char(in, '-') || read_digits(in, 2, &day) != 2 || month > 12 || day > 31)
        return false;
    moment->year = (int32_t)year;
    moment->month = (int)month;
    moment->day = (int)day;
    moment->zero = month == 0 || day == 0;
    return true;
}

static bool
read_time(struct reader *in, int64_t *us)
{
    int64_t hours, minutes, seconds, fraction = 0;
    if (read_digits(in, 10, &hours) < 2 || !read_char(in, ':') || read_digits(in, 2, &minutes) != 2 ||
        !read_char(in, ':') || read_digits(in, 2, &seconds) != 2 || minutes > 59 || seconds > 60)
        return false;
    if (read_char(in, '.')) {
        int digits = read_digits(in, 6, &fraction);
        if (digits == 0)
            return false;
        for (; digits < 6; digits++)
            fraction *= 10;
    }
    *us = ((hours * 60 + minutes) * 60 + seconds) * 1000000 + fraction;
    return true;
}

/* "+02", "-03:30", "+05:53:28", or nothing. */
static bool
read_offset(struct reader *in, int32_t *offset)
{
    int64_t hours, minutes = 0, seconds = 0;
    bool west = in->at < in->end && *in->at == '-';
    *offset = 0;
    if (!west && (in->at >= in->end || *in->at != '+'))
        return true;
    in->at++;
    if (read_digits(in, 2, &hours) != 2 || (read_char(in, ':') && read_digits(in, 2, &minutes) != 2) ||
        (read_char(in, ':') && read_digits(in, 2, &seconds) != 2))
        return false;
    *offset = (int32_t)((hours * 60 + minutes) * 60 + seconds);
    if (west)
        *offset = -*offset;
    return true;
}

static bool
read_infinity(struct reader *in, int *infinite)
{
    if (read_word(in, "infinity"))
        *infinite = 1;
    else if (read_word(in, "-infinity"))
        *infinite = -1;
    return *infinite != 0;
}

bool
parse_date_time(const char *text, size_t len, struct moment *moment)
{
    struct reader in = { text, text + len };
    *moment = (struct moment){ 0 };
    if (read_infinity(&in, &moment->infinite))
        return in.at == in.end;
    if (!read_date(&in, moment))
        return false;
    if (in.end - in.at > 3 && (read_char(&in, ' ') || read_char(&in, 'T')) &&
        (!read_time(&in, &moment->us) || !read_offset(&in, &moment->offset_s)))
        return false;
    if (read_word(&in, " BC"))
        moment->year = 1 - moment->year;
    if (!moment->zero)
        moment->days = days_from_civil(moment->year, moment->month, moment->day);
    return in.at == in.end;
}

bool
parse_time(const char *text, size_t len, struct moment *moment)
{
    struct reader in = { text, text + len };
    *moment = (struct moment){ 0 };
    bool negative = read_char(&in, '-');
    if (!read_time(&in, &moment->us) || !read_offset(&in, &moment->offset_s))
        return false;
    if (negative)
        moment->us = -moment->us;
    return in.at == in.end;
}

int64_t
moment_epoch_us(const struct moment *moment)
{
    return moment->days * US_PER_DAY + moment->us - moment->offset_s * INT64_C(1000000);
}

void
format_iso_date(struct tr_buffer *out, const struct moment *moment)
{
    int64_t year = moment->year < 0 ? -(int64_t)moment->year : moment->year;
    const char *sign = moment->year < 0 ? "-" : moment->year > 9999 ? "+" : "";
    tr_buffer_printf(out, "%s%04lld-%02d-%02d", sign, (long long)year, moment->month, moment->day);
}

void
format_iso_time(struct tr_buffer *out, int64_t us, int digits)
{
    int64_t seconds = us / 1000000;
    char text[32] = "00:00:00.000000";
    int64_t part[3] = { seconds / 3600 % 24, seconds / 60 % 60, seconds % 60 };
    for (int i = 0; i < 3; i++) {
        text[i * 3] = (char)('0' + part[i] / 10);
        text[i * 3 + 1] = (char)('0' + part[i] % 10);
    }
    int64_t fraction = us % 1000000;
    for (int i = 14; i > 8; i--, fraction /= 10)
        text[i] = (char)('0' + fraction % 10);
    if (digits < 0)
        for (digits = 6; digits > 0 && text[8 + digits] == '0';)
            digits--;
    tr_buffer_add(out, text, digits > 0 ? 9 + (size_t)digits : 8);
}

/* ---------------------------------------------------------------------------------- intervals */

static bool
read_unit(struct reader *in, int64_t number, struct interval *interval)
{
    if (read_word(in, " year"))
        interval->months += number * 12;
    else if (read_word(in, " mon"))
        interval->months += number;
    else if (read_word(in, " day"))
        interval->days += number;
    else
        return false;
    read_char(in, 's');
    return in->at == in->end || read_char(in, ' ');
}

bool
parse_interval(const char *text, size_t len, struct interval *interval)
{
    struct reader in = { text, text + len };
    *interval = (struct interval){ 0 };
    if (read_infinity(&in, &interval->infinite))
        return in.at == in.end;
    while (in.at < in.end) {
        struct reader start;
        int64_t number;
        bool negative = read_char(&in, '-');
        if (!negative)
            read_char(&in, '+');
        start = in;
        if (read_digits(&in, 12, &number) == 0)
            return false;
        if (in.at < in.end && *in.at == ':') {
            in = start;
            if (!read_time(&in, &interval->us))
                return false;
            if (negative)
                interval->us = -interval->us;
            return in.at == in.end;
        }
        if (!read_unit(&in, negative ? -number : number, interval))
            return false;
    }
    return len > 0;
}

int64_t
interval_us(const struct interval *interval)
{
    if (interval->infinite != 0)
        return interval->infinite > 0 ? INT64_MAX : INT64_MIN;
    /* A month of 30.4375 days has 2629800 seconds. */
    __int128 us = (__int128)interval->months * 2629800 * 1000000 + (__int128)interval->days * US_PER_DAY +
                  interval->us;
    if (us > INT64_MAX)
        return INT64_MAX;
    return us < INT64_MIN ? INT64_MIN : (int64_t)us;
}

void
format_iso_interval(struct tr_buffer *out, const struct interval *interval)
{
    if (interval->infinite != 0) {
        tr_buffer_text(out, interval->infinite > 0 ? "infinity" : "-infinity");
        return;
    }
    int64_t minutes = interval->us / 60000000, us = interval->us % 60000000;
    tr_buffer_printf(out, "P%lldY%lldM%lldDT%lldH%lldM", (long long)(interval->months / 12),
                     (long long)(interval->months % 12), (long long)interval->days, (long long)(minutes / 60),
                     (long long)(minutes % 60));
    if (us < 0) {
        tr_buffer_byte(out, '-');
        us = -us;
    }
    char seconds[16] = "";
    struct tr_buffer time = { .data = seconds, .cap = sizeof(seconds), .max = sizeof(seconds) };
    format_iso_time(&time, us, -1);
    size_t skip = seconds[6] == '0' ? 7 : 6; /* "00:00:06.78" -> "6.78" */
    tr_buffer_add(out, seconds + skip, time.len - skip);
    tr_buffer_byte(out, 'S');
}
