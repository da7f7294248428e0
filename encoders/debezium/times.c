/* times.c - the JSON of dates, times and intervals, from their canonical text. */
#include <stdlib.h>
#include <string.h>

#include "encoders/common/temporal.h"
#include "encoders/common/write.h"
#include "encoders/debezium/internal.h"
#include "encoders/debezium/put.h"

/* MySQL's dates that are none are a null that may or may not stand there: the column's default, else the epoch. */
static bool
zero_date(struct renderer *r, const struct column_plan *plan, const char *epoch, struct tr_buffer *out)
{
    bool required = plan->column->not_null;
    const char *text = required ? plan->fallback : plan->null; /* NULL: the default itself is such a date */
    size_t len = required ? plan->fallback_len : plan->null_len;
    if (text != NULL && !r->avro)
        tr_buffer_add(out, text, len);
    else if (!required)
        put_null(r, out);
    else if (text != NULL && text[0] == '"')
        put_string(r, out, text + 1, len - 2);
    else if (text != NULL)
        put_int(r, out, strtoll(text, NULL, 10));
    else if (epoch == NULL)
        put_int(r, out, 0);
    else
        put_string(r, out, epoch, strlen(epoch));
    return true;
}

/* What PostgreSQL's own day numbers for the infinities become when moved to 1970 in 32 bits: readers know these. */
#define DATE_INFINITY -2147472692
#define DATE_MINUS_INFINITY -2147472691

RENDER(render_date)
{
    struct moment m;
    if (!parse_date_time(text, len, &m))
        return false;
    if (m.zero)
        return zero_date(r, plan, NULL, out);
    put_int(r, out, m.infinite == 0 ? m.days : m.infinite > 0 ? DATE_INFINITY : DATE_MINUS_INFINITY);
    return true;
}

RENDER(render_date_iso)
{
    struct moment m;
    if (!parse_date_time(text, len, &m))
        return false;
    if (m.infinite != 0)
        return render_string(r, plan, text, len, out);
    if (m.zero)
        return zero_date(r, plan, "1970-01-01Z", out);
    size_t begin = put_string_begin(r, out);
    format_iso_date(out, &m);
    tr_buffer_byte(out, 'Z');
    put_string_end(r, out, begin);
    return true;
}

/* A time of the day in microseconds * multiply / divide. */
static bool
render_time_in(struct renderer *r, const char *text, size_t len, int64_t multiply, int64_t divide,
               struct tr_buffer *out)
{
    struct moment m;
    if (!parse_time(text, len, &m) || m.offset_s != 0)
        return false;
    put_int(r, out, m.us * multiply / divide);
    return true;
}

RENDER(render_time_ms)
{
    return render_time_in(r, text, len, 1, 1000, out);
}

RENDER(render_time_us)
{
    return render_time_in(r, text, len, 1, 1, out);
}

RENDER(render_time_ns)
{
    return render_time_in(r, text, len, 1000, 1, out);
}

/* MySQL's times are signed and pass a day, which ISO 8601 has no form for: -838:59:59Z. */
RENDER(render_time_iso)
{
    struct moment m;
    if (!parse_time(text, len, &m) || m.offset_s != 0)
        return false;
    int64_t us = m.us < 0 ? -m.us : m.us, days = r->modes.mysql ? us / US_PER_DAY : 0;
    size_t begin = put_string_begin(r, out);
    if (m.us < 0)
        tr_buffer_byte(out, '-');
    size_t hours = out->len;
    format_iso_time(out, us, -1);
    if (days > 0) { /* the two digits of the hour give way to all of them */
        char rest[16];
        size_t len_rest = out->len - hours - 2;
        memcpy(rest, out->data + hours + 2, len_rest);
        out->len = hours;
        tr_buffer_int(out, us / INT64_C(3600000000));
        tr_buffer_add(out, rest, len_rest);
    }
    tr_buffer_byte(out, 'Z');
    put_string_end(r, out, begin);
    return true;
}

/* The infinities in microseconds, as PostgreSQL's JDBC driver and so Debezium spell them. */
#define TIMESTAMP_INFINITY INT64_C(9223372036825200000)
#define TIMESTAMP_MINUS_INFINITY INT64_C(-9223372036832400000)

static bool
render_timestamp_in(struct renderer *r, const struct column_plan *plan, const char *text, size_t len,
                    int64_t multiply, int64_t divide, struct tr_buffer *out)
{
    struct moment m;
    int64_t n;
    if (!parse_date_time(text, len, &m))
        return false;
    if (m.zero)
        return zero_date(r, plan, NULL, out);
    n = moment_epoch_us(&m);
    if (m.infinite != 0)
        n = (m.infinite > 0 ? TIMESTAMP_INFINITY : TIMESTAMP_MINUS_INFINITY) / divide;
    else if (divide > 1)
        n = n >= 0 ? n / divide : -((divide - 1 - n) / divide);
    else if (__builtin_mul_overflow(n, multiply, &n))
        n = m.days < 0 ? INT64_MIN : INT64_MAX; /* nanoseconds end in 1677 and 2262 */
    put_int(r, out, n);
    return true;
}

RENDER(render_timestamp_ms)
{
    return render_timestamp_in(r, plan, text, len, 1, 1000, out);
}

RENDER(render_timestamp_us)
{
    return render_timestamp_in(r, plan, text, len, 1, 1, out);
}

RENDER(render_timestamp_ns)
{
    return render_timestamp_in(r, plan, text, len, 1000, 1, out);
}

static bool
render_iso(struct renderer *r, const struct column_plan *plan, const char *text, size_t len, int digits,
           struct tr_buffer *out)
{
    struct moment m;
    if (!parse_date_time(text, len, &m))
        return false;
    if (m.infinite != 0) {
        put_string(r, out, text, len);
        return true;
    }
    if (m.zero)
        return zero_date(r, plan, "1970-01-01T00:00:00Z", out);
    if (m.offset_s !=
        0) { /* canonical text is in UTC; a foreign offset is moved there where the day does not change */
        m.us -= m.offset_s * INT64_C(1000000);
        if (m.us < 0 || m.us >= US_PER_DAY)
            return false;
    }
    size_t begin = put_string_begin(r, out);
    format_iso_date(out, &m);
    tr_buffer_byte(out, 'T');
    format_iso_time(out, m.us, digits);
    tr_buffer_byte(out, 'Z');
    put_string_end(r, out, begin);
    return true;
}

RENDER(render_timestamp_iso)
{
    return render_iso(r, plan, text, len, -1, out);
}

RENDER(render_timestamptz)
{
    return render_iso(r, plan, text, len, plan->scale, out);
}

RENDER(render_timetz)
{
    struct moment m;
    if (!parse_time(text, len, &m))
        return false;
    int64_t us = m.us - m.offset_s * INT64_C(1000000);
    us = (us % US_PER_DAY + US_PER_DAY) % US_PER_DAY;
    size_t begin = put_string_begin(r, out);
    format_iso_time(out, us, -1);
    tr_buffer_byte(out, 'Z');
    put_string_end(r, out, begin);
    return true;
}

RENDER(render_interval_us)
{
    struct interval interval;
    if (!parse_interval(text, len, &interval))
        return false;
    put_int(r, out, interval_us(&interval));
    return true;
}

RENDER(render_interval_iso)
{
    struct interval interval;
    if (!parse_interval(text, len, &interval))
        return false;
    size_t begin = put_string_begin(r, out);
    format_iso_interval(out, &interval);
    put_string_end(r, out, begin);
    return true;
}

/* -------------------------------------------------------------------------------------- choice */

static render_fn
time_renderer(const struct value_modes *modes, int scale)
{
    switch (modes->time) {
    case TIME_CONNECT: return render_time_ms;
    case TIME_NANOSECONDS: return render_time_ns;
    case TIME_ISOSTRING: return render_time_iso;
    case TIME_ADAPTIVE: return scale >= 0 && scale <= 3 && !modes->mysql ? render_time_ms : render_time_us;
    default: return render_time_us;
    }
}

static render_fn
timestamp_renderer(const struct value_modes *modes, int scale)
{
    switch (modes->time) {
    case TIME_CONNECT: return render_timestamp_ms;
    case TIME_NANOSECONDS: return render_timestamp_ns;
    case TIME_ISOSTRING: return render_timestamp_iso;
    case TIME_MICROSECONDS: return render_timestamp_us;
    default: return scale >= 0 && scale <= 3 ? render_timestamp_ms : render_timestamp_us;
    }
}

render_fn
temporal_renderer(const struct value_modes *modes, const struct tr_column *column, enum tr_logical logical)
{
    switch (logical) {
    case TR_DATE: return modes->time == TIME_ISOSTRING ? render_date_iso : render_date;
    case TR_TIME: return time_renderer(modes, column->scale);
    case TR_TIMETZ: return render_timetz;
    case TR_TIMESTAMP: return timestamp_renderer(modes, column->scale);
    case TR_TIMESTAMPTZ: return render_timestamptz;
    default: return modes->interval_string ? render_interval_iso : render_interval_us;
    }
}
