/*
 * error.h - how a failure travels.
 *
 * A function that can fail returns 0 (or a count) for success and a negative enum tr_error_class for failure, and fills
 * the struct tr_error that is its last argument. The lowest layer sets it with tr_fail(), layers between may put
 * words before it with tr_error_prefix(), and only the pipeline decides (retry, refuse, stop) and logs it.
 */
#ifndef TR_CORE_ERROR_H
#define TR_CORE_ERROR_H

#include <stdarg.h>
#include <stddef.h>

/* What the caller must do about it. Returned negated: `return tr_fail(err, TR_RETRY, ...)` yields -TR_RETRY. */
enum tr_error_class {
    TR_NO_ERROR = 0,
    TR_RETRY = 1,  /* passing: connection lost, server starting, deadlock; try again with back-off */
    TR_FATAL = 2,  /* the task cannot go on; exit code 1 */
    TR_CONFIG = 3, /* the user's configuration or command line is wrong; exit code 2 */
    TR_REFUSED =
        4, /* going on could lose or falsify data, or a check refuses; exit code 3 from check, 1 from run */
    TR_CONFLICT =
        5, /* the sink's target disagrees with a row (missing, duplicate, unfit value); the conflict policy rules */
};

struct tr_error {
    enum tr_error_class class;
    char sqlstate[8]; /* the server's code, or empty */
    char text[1536];  /* what failed, on which table and position, why */
    char hint[1024];  /* what the operator can do, or empty */
};

#define TR_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define TR_MUST_CHECK __attribute__((warn_unused_result))

/* Forget an earlier error. thread: any. */
void tr_error_clear(struct tr_error *err);

/* Set class and text, clear hint and sqlstate; returns -class so that it can stand in a return statement. */
int tr_fail(struct tr_error *err, enum tr_error_class class, const char *fmt, ...) TR_PRINTF(3, 4);

/* Put "prefix: " before the text. Returns -err->class. */
int tr_error_prefix(struct tr_error *err, const char *fmt, ...) TR_PRINTF(2, 3);

/* Set the remedy. Returns -err->class. */
int tr_error_hint(struct tr_error *err, const char *fmt, ...) TR_PRINTF(2, 3);

/* "retry", "fatal", ... for logs. */
const char *tr_error_class_name(enum tr_error_class class);

#endif
