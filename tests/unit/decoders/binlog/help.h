/*
 * help.h - what the tests of the binlog decoder share: a decoder with its batch, and events made by hand.
 */
#ifndef TR_TESTS_BINLOG_HELP_H
#define TR_TESTS_BINLOG_HELP_H

#include "core/batch.h"
#include "decoders/binlog/binlog.h"

struct log {
    struct tr_decoder *decoder;
    struct tr_batch *batch;
    struct tr_error err;
    uint64_t order;
};

/* format may be NULL. Ends the test when the decoder cannot be opened. */
struct log log_open(const struct tr_binlog_format *format);
void log_close(struct log *log);

/* An event of server 7 with this body; returns its length. */
size_t log_event(uint8_t *to, uint8_t type, uint16_t flags, const void *body, size_t len);
/* The event is decoded, and the log goes on behind it. */
int log_feed(struct log *log, uint8_t type, uint16_t flags, const void *body, size_t len);
int log_feed_query(struct log *log, const char *database, const char *text);
/* A row (a, 'hi') of table m.t (a int PRIMARY KEY, b varchar(10)), behind its table map. */
int log_feed_insert(struct log *log, uint8_t a);

#endif
