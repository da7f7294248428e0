/* help.c - see help.h. */
#include "tests/unit/decoders/binlog/help.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct log
log_open(const struct tr_binlog_format *format)
{
    struct log log = { .order = TR_BINLOG_ORDER(1, 4) };
    struct tr_decoder_config config = { .source_format = format };
    assert_int_equal(tr_binlog_decoder.open(&config, &log.decoder, &log.err), 0);
    log.batch = tr_batch_new();
    return log;
}

void
log_close(struct log *log)
{
    tr_batch_free(log->batch);
    tr_binlog_decoder.close(log->decoder);
}

size_t
log_event(uint8_t *to, uint8_t type, uint16_t flags, const void *body, size_t len)
{
    uint32_t time = 1700000000, total = (uint32_t)(19 + len);
    memset(to, 0, 19);
    memcpy(to, &time, 4);
    to[4] = type;
    to[5] = 7; /* server id */
    memcpy(to + 9, &total, 4);
    memcpy(to + 17, &flags, 2);
    memcpy(to + 19, body, len);
    return 19 + len;
}

int
log_feed(struct log *log, uint8_t type, uint16_t flags, const void *body, size_t len)
{
    uint8_t event[4096];
    size_t n = log_event(event, type, flags, body, len);
    int rc = tr_binlog_decoder.decode(log->decoder, event, n, log->order, false, log->batch, &log->err);
    log->order += n;
    return rc;
}

int
log_feed_query(struct log *log, const char *database, const char *text)
{
    uint8_t body[2048] = { 0 };
    size_t db = strlen(database), len = strlen(text);
    body[8] = (uint8_t)db;
    memcpy(body + 13, database, db);
    memcpy(body + 14 + db, text, len);
    return log_feed(log, 2, 0, body, 14 + db + len);
}

/* id 5, table m.t (a int, b varchar(10) utf8mb4), key a, with names */
static const uint8_t map_t[] = { 5,  0, 0, 0, 0, 0, 1, 0, 1,  'm', 0, 1, 't', 0, 2,   3, 15, 2,
                                 40, 0, 2, 1, 1, 0, 2, 1, 45, 4,   4, 1, 'a', 1, 'b', 8, 1,  0 };

int
log_feed_insert(struct log *log, uint8_t a)
{
    uint8_t rows[] = { 5, 0, 0, 0, 0, 0, 1, 0, 2, 0, 2, 3, 0, a, 0, 0, 0, 2, 'h', 'i' };
    int rc = log_feed(log, 19, 0, map_t, sizeof map_t);
    return rc < 0 ? rc : log_feed(log, 30, 0, rows, sizeof rows);
}
