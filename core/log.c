/*
 * log.c - one event, one line, one write().
 *
 * A line is at most PIPE_BUF bytes: a pipe that poll() calls writable has room for that much, so the write neither blocks nor
 * is mixed with another thread's line.
 */
#include "core/log.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/buffer.h"
#include "core/clock.h"
#include "core/text.h"

#define LINE_MAX_BYTES PIPE_BUF
#define TAIL_ROOM 64 /* for the mark of a cut line and its end */

static const char *const level_names[] = {
    [TR_LOG_ERROR] = "error",
    [TR_LOG_WARNING] = "warning",
    [TR_LOG_INFO] = "info",
    [TR_LOG_DEBUG] = "debug",
};

void
tr_log_init(struct tr_log *log, int fd, enum tr_log_level level, enum tr_log_format format, const char *task)
{
    *log = (struct tr_log){ .fd = fd, .level = level, .format = format };
    snprintf(log->task, sizeof(log->task), "%s", task == NULL ? "" : task);
}

static void
add_time(struct tr_buffer *line)
{
    int64_t now = tr_wall_clock_us();
    time_t seconds = (time_t)(now / TR_US_PER_S);
    struct tm tm;
    char text[32];
    gmtime_r(&seconds, &tm);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    tr_buffer_printf(line, "%s.%03dZ", text, (int)(now % TR_US_PER_S / 1000));
}

static void
add_json_member(struct tr_buffer *line, const char *name, const char *text)
{
    tr_buffer_printf(line, ",\"%s\":\"", name);
    tr_text_json(line, text, strlen(text));
    tr_buffer_byte(line, '"');
}

/* The longest beginning of `text` whose escaped form fits into `room` bytes; cut between characters. */
static size_t
fitting(const struct tr_log *log, const char *text, size_t room)
{
    struct tr_buffer one;
    size_t used = 0, i = 0, len = strlen(text);
    tr_buffer_init(&one, 64);
    while (i < len) {
        size_t n = tr_utf8_length(text + i, len - i);
        n = n == 0 ? 1 : n;
        tr_buffer_reset(&one);
        (log->format == TR_LOG_JSON ? tr_text_json : tr_text_printable)(&one, text + i, n);
        if (used + one.len > room)
            break;
        used += one.len;
        i += n;
    }
    tr_buffer_fini(&one);
    return i;
}

/* Append escaped text without passing `limit` in all; a cut is marked. */
static void
add_bounded(struct tr_log *log, struct tr_buffer *line, const char *text, size_t limit)
{
    size_t room = line->len < limit ? limit - line->len : 0;
    size_t take = fitting(log, text, room);
    (log->format == TR_LOG_JSON ? tr_text_json : tr_text_printable)(line, text, take);
    if (text[take] != '\0')
        tr_buffer_text(line, "...");
}

static void
write_line(struct tr_log *log, const struct tr_buffer *line)
{
    struct pollfd ready = { .fd = log->fd, .events = POLLOUT };
    if (log->clear != NULL)
        log->clear(log->arg);
    bool written = false;
    if (poll(&ready, 1, 0) == 1 && (ready.revents & POLLOUT) != 0) {
        ssize_t n;
        do
            n = write(log->fd, line->data, line->len);
        while (n < 0 && errno == EINTR);
        written = n == (ssize_t)line->len;
    }
    if (!written)
        atomic_fetch_add_explicit(&log->dropped, 1, memory_order_relaxed);
    if (log->draw != NULL)
        log->draw(log->arg);
}

static void
begin_line(struct tr_log *log, struct tr_buffer *line, enum tr_log_level level, const char *component)
{
    if (log->format == TR_LOG_JSON) {
        tr_buffer_text(line, "{\"time\":\"");
        add_time(line);
        tr_buffer_printf(line, "\",\"level\":\"%s\"", level_names[level]);
        if (log->task[0] != '\0')
            add_json_member(line, "task", log->task);
        add_json_member(line, "component", component);
        tr_buffer_text(line, ",\"message\":\"");
        return;
    }
    add_time(line);
    tr_buffer_printf(line, " %-7s ", level_names[level]);
    if (log->task[0] != '\0') {
        tr_text_printable(line, log->task, strlen(log->task));
        tr_buffer_byte(line, ' ');
    }
    tr_buffer_printf(line, "%s: ", component);
}

/* `err` gives the members that only an error has, or is NULL. */
static void
emit(struct tr_log *log, enum tr_log_level level, const char *component, const char *message,
     const struct tr_error *err)
{
    struct tr_buffer line;
    const size_t limit = LINE_MAX_BYTES - TAIL_ROOM;
    bool hint = err != NULL && err->hint[0] != '\0';
    tr_buffer_init(&line, LINE_MAX_BYTES);
    begin_line(log, &line, level, component);
    /* A hint keeps a quarter of the line when the message is so long that both do not fit. */
    add_bounded(log, &line, message, hint ? limit - LINE_MAX_BYTES / 4 : limit);
    if (log->format == TR_LOG_JSON) {
        tr_buffer_byte(&line, '"');
        if (err != NULL)
            add_json_member(&line, "class", tr_error_class_name(err->class));
        if (err != NULL && err->sqlstate[0] != '\0')
            add_json_member(&line, "sqlstate", err->sqlstate);
        if (hint) {
            tr_buffer_text(&line, ",\"hint\":\"");
            add_bounded(log, &line, err->hint, limit);
            tr_buffer_byte(&line, '"');
        }
        tr_buffer_text(&line, "}\n");
    } else {
        if (hint) {
            tr_buffer_text(&line, " (hint: ");
            add_bounded(log, &line, err->hint, limit);
            tr_buffer_byte(&line, ')');
        }
        tr_buffer_byte(&line, '\n');
    }
    write_line(log, &line);
    tr_buffer_fini(&line);
}

void
tr_log(struct tr_log *log, enum tr_log_level level, const char *component, const char *fmt, ...)
{
    if (level > log->level)
        return;
    char message[LINE_MAX_BYTES];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    emit(log, level, component, message, NULL);
}

void
tr_log_error(struct tr_log *log, enum tr_log_level level, const char *component, const struct tr_error *err)
{
    if (level > log->level)
        return;
    emit(log, level, component, err->text, err);
}
