/* dump.h - a binlog file decoded into lines of text: what the golden files hold. */
#ifndef TR_TESTS_GOLDEN_BINLOG_DUMP_H
#define TR_TESTS_GOLDEN_BINLOG_DUMP_H

#include <stddef.h>
#include <stdint.h>

#include "core/buffer.h"
#include "core/error.h"
#include "decoders/binlog/binlog.h"

/*
 * Every event, transaction and value of a whole log file (with its magic), as lines. Stops at the first
 * error.
 */
int binlog_dump(const uint8_t *file, size_t len, const struct tr_decoder_config *config,
                struct tr_buffer *out, struct tr_error *err);

/* The whole file in malloc'ed memory; NULL when it cannot be read. */
uint8_t *binlog_dump_load(const char *path, size_t *len);

#endif
