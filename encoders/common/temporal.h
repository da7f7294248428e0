/* temporal.h - dates, times and intervals out of their canonical text (docs/values.md). */
#ifndef TR_ENCODERS_COMMON_TEMPORAL_H
#define TR_ENCODERS_COMMON_TEMPORAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buffer.h"

#define US_PER_DAY INT64_C(86400000000)

struct moment {
    int infinite; /* +1, -1; 0 = an ordinary one */
    bool zero;    /* MySQL's 0000-00-00 or a month or day of zero: no date at all */
    int32_t year; /* astronomical: 1 BC is 0 */
    int month, day;
    int64_t days;     /* since 1970-01-01, proleptic Gregorian */
    int64_t us;       /* of the day; a time alone may pass 24 h and be negative (MySQL) */
    int32_t offset_s; /* east of UTC; 0 when the text has none */
};

/* "2024-02-29", "2024-02-29 12:34:56.789", "... +02:30", "0044-03-15 BC", "infinity". False when it is something else. */
bool parse_date_time(const char *text, size_t len, struct moment *moment);

/* "12:34:56.789", "24:00:00", "-838:59:59", "12:34:56+02". */
bool parse_time(const char *text, size_t len, struct moment *moment);

/* us = days * 86400e6 + us - offset. Every date that PostgreSQL has fits. */
int64_t moment_epoch_us(const struct moment *moment);

/* ISO forms as Java prints them: years past 9999 with +, before 0 with -. digits: of the fraction; -1 = as many as needed. */
void format_iso_date(struct tr_buffer *out, const struct moment *moment);
void format_iso_time(struct tr_buffer *out, int64_t us_of_day, int digits);

struct interval {
    int infinite;
    int64_t months;
    int64_t days;
    int64_t us;
};

/* "1 year 2 mons -3 days +04:05:06.78" (IntervalStyle postgres). */
bool parse_interval(const char *text, size_t len, struct interval *interval);

/* Microseconds with a month of 365.25 / 12 days, ends of the range for what passes it. */
int64_t interval_us(const struct interval *interval);

/* P1Y2M3DT4H5M6.78S */
void format_iso_interval(struct tr_buffer *out, const struct interval *interval);

#endif
