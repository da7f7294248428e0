/* progress_line.c - the words and figures of a status; no I/O, no clock. */
#include <math.h>
#include <string.h>

#include "app/progress.h"
#include "core/clock.h"
#include "core/text.h"

#define BAR_MIN 10
#define BAR_MAX 40

static double
rate_of(double old, uint64_t before, uint64_t now, double seconds, double keep)
{
    double fresh = now > before ? (double)(now - before) / seconds : 0;
    /* The first rate is taken as it is: rising from nothing it would be too low for as long as it is young. */
    return old == 0 ? fresh : old * keep + fresh * (1 - keep);
}

void
tr_rates_sample(struct tr_rates *rates, const struct tr_task_status *status, int64_t now_us,
                int64_t half_life_us)
{
    double seconds = (double)(now_us - rates->at_us) / (double)TR_US_PER_S;
    if (rates->at_us != 0 && seconds > 0) {
        double keep = exp2(-(double)(now_us - rates->at_us) / (double)half_life_us);
        rates->load_rows_s = rate_of(rates->load_rows_s, rates->load_rows, status->load_rows, seconds, keep);
        rates->load_bytes_s = rate_of(rates->load_bytes_s, rates->load_bytes, status->load_bytes, seconds,
                                      keep);
        rates->rows_s = rate_of(rates->rows_s, rates->rows, status->rows, seconds, keep);
        rates->transactions_s = rate_of(rates->transactions_s, rates->transactions, status->transactions,
                                        seconds, keep);
    }
    rates->at_us = now_us;
    rates->load_rows = status->load_rows;
    rates->load_bytes = status->load_bytes;
    rates->rows = status->rows;
    rates->transactions = status->transactions;
}

/* 1234567 -> "1.23 M" with the unit's letter last; small numbers as they are. */
static void
add_scaled(struct tr_buffer *out, double n, const char *unit)
{
    static const char *const letters[] = { "", "k", "M", "G", "T", "P" };
    size_t i = 0;
    while (n >= 999.5 && i + 1 < sizeof(letters) / sizeof(letters[0])) {
        n /= 1000;
        i++;
    }
    int digits = i == 0 || n >= 99.95 ? 0 : 1;
    tr_buffer_printf(out, "%.*f %s%s", digits, n, letters[i], unit);
    if (unit[0] == '\0' && i == 0)
        out->data[--out->len] = '\0';
}

/* "0:42", "1:02:03" */
static void
add_duration(struct tr_buffer *out, double seconds)
{
    uint64_t s = seconds < 0 ? 0 : seconds > 3.6e6 ? 3600000 : (uint64_t)(seconds + 0.5);
    if (s >= 3600)
        tr_buffer_printf(out, "%llu:%02llu:%02llu", (unsigned long long)(s / 3600),
                         (unsigned long long)(s / 60 % 60), (unsigned long long)(s % 60));
    else
        tr_buffer_printf(out, "%llu:%02llu", (unsigned long long)(s / 60), (unsigned long long)(s % 60));
}

/* Part of the load that is done, 0..1; by bytes where the source estimates them. Negative = not known. */
static double
load_fraction(const struct tr_task_status *s)
{
    double done = (double)s->load_bytes, all = (double)s->load_bytes_expected;
    if (s->load_bytes_expected == 0) {
        done = (double)s->load_rows;
        all = (double)s->load_rows_expected;
    }
    if (all <= 0)
        return -1;
    return done >= all ? 1 : done / all;
}

static void
add_bar(struct tr_buffer *out, double fraction, int width)
{
    int full = (int)(fraction * width);
    tr_buffer_byte(out, '[');
    for (int i = 0; i < width; i++)
        tr_buffer_byte(out, i < full ? '#' : '-');
    tr_buffer_text(out, "] ");
}

/* What an operator wants most stands first: a narrow terminal shows the beginning. */
static void
add_load_words(struct tr_buffer *out, const struct tr_task_status *s, const struct tr_rates *r,
               double fraction)
{
    bool by_bytes = s->load_bytes_expected > 0;
    double speed = by_bytes ? r->load_bytes_s : r->load_rows_s;
    double all = by_bytes ? (double)s->load_bytes_expected : (double)s->load_rows_expected;
    if (fraction >= 0)
        tr_buffer_printf(out, "%d%%, ", (int)(fraction * 100));
    if (fraction >= 0 && fraction < 1 && speed > 0) {
        tr_buffer_text(out, "left ");
        add_duration(out, all * (1 - fraction) / speed);
        tr_buffer_text(out, ", ");
    }
    tr_buffer_printf(out, "%llu of %llu tables, ", (unsigned long long)s->load_tables_done,
                     (unsigned long long)s->load_tables);
    add_scaled(out, (double)s->load_rows, "");
    tr_buffer_text(out, " rows, ");
    add_scaled(out, r->load_rows_s, "rows/s, ");
    add_scaled(out, r->load_bytes_s, "B/s");
}

/* The bar takes what the words leave, within its bounds. */
static void
add_load(struct tr_buffer *out, const struct tr_task_status *s, const struct tr_rates *r, int width)
{
    struct tr_buffer words;
    double fraction = load_fraction(s);
    tr_buffer_init(&words, 4096);
    add_load_words(&words, s, r, fraction);
    int room = width - (int)(out->len + words.len) - 3, most = width / 4 < BAR_MAX ? width / 4 : BAR_MAX;
    int bar = room < most ? room : most;
    if (width > 0 && fraction >= 0)
        add_bar(out, fraction, bar < BAR_MIN ? BAR_MIN : bar);
    tr_buffer_add(out, words.data, words.len);
    tr_buffer_fini(&words);
}

static void
add_stream(struct tr_buffer *out, const struct tr_task_status *s, const struct tr_rates *r)
{
    add_scaled(out, r->rows_s, "rows/s, ");
    add_scaled(out, r->transactions_s, "tx/s");
    if (s->lag_us >= 0)
        tr_buffer_printf(out, ", lag %.*f s", s->lag_us < 10 * TR_US_PER_S ? 3 : 0,
                         (double)s->lag_us / (double)TR_US_PER_S);
    if (s->lag_bytes >= 0) {
        tr_buffer_text(out, ", ");
        add_scaled(out, (double)s->lag_bytes, "B behind");
    }
    if (s->conflicts > 0)
        tr_buffer_printf(out, ", %llu conflicts", (unsigned long long)s->conflicts);
    if (s->misfits > 0)
        tr_buffer_printf(out, ", %llu values stored otherwise", (unsigned long long)s->misfits);
    if (s->load_tables_done < s->load_tables) /* beside the stream */
        tr_buffer_printf(out, ", loading %llu of %llu tables", (unsigned long long)s->load_tables_done,
                         (unsigned long long)s->load_tables);
    if (s->checkpoint[0] != '\0') {
        tr_buffer_text(out, ", checkpoint ");
        tr_text_printable(out, s->checkpoint, strnlen(s->checkpoint, sizeof(s->checkpoint)));
    }
}

/* Cut to the columns of the terminal, so that the line does not wrap: behind a whole figure, or else behind a whole character. */
static void
cut(struct tr_buffer *out, int width, bool figures)
{
    size_t i = 0;
    for (int columns = 0; i < out->len && columns < width; columns++) {
        size_t n = tr_utf8_length(out->data + i, out->len - i);
        i += n == 0 ? 1 : n;
    }
    if (i < out->len) {
        size_t whole = figures ? i : 0;
        while (whole > 0 && out->data[whole] != ',')
            whole--;
        out->len = whole > 0 ? whole : i;
        out->data[out->len] = '\0';
    }
}

void
tr_progress_line(const struct tr_task_status *s, const struct tr_rates *rates, int width,
                 struct tr_buffer *out)
{
    tr_buffer_printf(out, "%s", tr_task_phase_name(s->phase));
    switch (s->phase) {
    case TR_PHASE_LOADING:
    case TR_PHASE_FINISHING_LOAD:
        tr_buffer_text(out, width > 0 ? " " : ": ");
        add_load(out, s, rates, width);
        break;
    case TR_PHASE_CATCHING_UP:
    case TR_PHASE_STREAMING:
    case TR_PHASE_DRAINING:
        tr_buffer_text(out, ": ");
        add_stream(out, s, rates);
        break;
    case TR_PHASE_BACKING_OFF:
        if (s->message[0] != '\0') {
            tr_buffer_text(out, ": ");
            tr_text_printable(out, s->message, strnlen(s->message, sizeof(s->message)));
        }
        break;
    case TR_PHASE_CONNECTING:
    case TR_PHASE_PREPARING:
    case TR_PHASE_ENDED: break;
    }
    if (width > 0)
        cut(out, width, s->phase != TR_PHASE_BACKING_OFF);
}

static void
add_count(struct tr_buffer *out, uint64_t n, const char *one, const char *many)
{
    tr_buffer_printf(out, "%llu %s", (unsigned long long)n, n == 1 ? one : many);
}

void
tr_progress_summary(const struct tr_task_status *s, int64_t duration_us, struct tr_buffer *out)
{
    if (s->load_tables > 0) {
        add_count(out, s->load_rows, "row", "rows");
        tr_buffer_text(out, " loaded in ");
        add_count(out, s->load_tables_done, "table", "tables");
        tr_buffer_text(out, ", ");
    }
    add_count(out, s->rows, "change", "changes");
    tr_buffer_text(out, " in ");
    add_count(out, s->transactions, "transaction", "transactions");
    if (s->conflicts > 0) {
        tr_buffer_text(out, ", ");
        add_count(out, s->conflicts, "conflict", "conflicts");
    }
    if (s->misfits > 0) {
        tr_buffer_text(out, ", ");
        add_count(out, s->misfits, "value stored otherwise", "values stored otherwise");
    }
    if (s->retries > 0) {
        tr_buffer_text(out, ", ");
        add_count(out, s->retries, "retry", "retries");
    }
    tr_buffer_printf(out, ", %.1f s, checkpoint ", (double)duration_us / (double)TR_US_PER_S);
    if (s->checkpoint[0] == '\0')
        tr_buffer_text(out, "none");
    else
        tr_text_printable(out, s->checkpoint, strnlen(s->checkpoint, sizeof(s->checkpoint)));
}
