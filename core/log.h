/*
 * log.h - one event, one line, to a file descriptor.
 *
 * A log belongs to a task; there is no global one. Lines never hold row data or secrets. A write that would block
 * (a full pipe) is dropped and counted, so that a stuck reader of our log never stops the pipeline.
 */
#ifndef TR_CORE_LOG_H
#define TR_CORE_LOG_H

#include <stdatomic.h>
#include <stdbool.h>

#include "core/error.h"

enum tr_log_level { TR_LOG_ERROR, TR_LOG_WARNING, TR_LOG_INFO, TR_LOG_DEBUG };
enum tr_log_format { TR_LOG_TEXT, TR_LOG_JSON };

struct tr_log {
    int fd;
    enum tr_log_level level; /* lines above it are not written */
    enum tr_log_format format;
    char task[128];
    _Atomic unsigned long dropped;
    /* Called around a line when a progress display owns the terminal: clear(arg) before, draw(arg) after. May be NULL. */
    void (*clear)(void *arg);
    void (*draw)(void *arg);
    void *arg;
};

void tr_log_init(struct tr_log *log, int fd, enum tr_log_level level, enum tr_log_format format,
                 const char *task);

/* One line: time, level, component ("capture", "sink", ...), message. Control bytes are escaped. thread: any. */
void tr_log(struct tr_log *log, enum tr_log_level level, const char *component, const char *fmt, ...)
    TR_PRINTF(4, 5);

/* An error with its hint. */
void tr_log_error(struct tr_log *log, enum tr_log_level level, const char *component,
                  const struct tr_error *err);

#endif
