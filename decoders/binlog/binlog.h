/*
 * binlog.h - the binary log of MySQL 5.6 to 9 and MariaDB 10 to 12, turned into events.
 *
 * A frame is one event as it lies in the log: the header of 19 bytes, the body, and the checksum when the
 * log has one (what a dump packet holds behind its OK byte). Layouts: MySQL's libs/mysql/binlog/event,
 * MariaDB's "Replication Protocol" pages; each reader in this folder repeats the one it reads. What the
 * decoder promises beyond decoders/decoder.h (docs/binlog.md tells why):
 *
 * - tr_txn.commit_order is where the transaction begins in the log (its GTID event), file number << 40 |
 *   offset, and is known from the first event on; end_order is where the log goes on behind the commit.
 *   tr_event.position is the offset of the log event.
 * - Text in utf8 is TR_CODEC_TEXT, binary strings, blobs and geometry are TR_CODEC_RAW, both in place and
 *   without a NUL behind them; all else is TR_CODEC_NATIVE and read by tr_binlog_codec on demand.
 * - Rows that ROLLBACK TO or ROLLBACK undid are taken out of the batch again; when they have left in an
 *   earlier one: refused.
 * - XA: peek() tells TR_ROLE_PREPARED_BEGIN ... TR_ROLE_ROLLBACK_PREPARED; decode() refuses a branch that
 *   nobody held.
 */
#ifndef TR_DECODERS_BINLOG_BINLOG_H
#define TR_DECODERS_BINLOG_BINLOG_H

#include <stdbool.h>

#include "decoders/decoder.h"

enum tr_binlog_flavour { TR_BINLOG_MYSQL = 0, TR_BINLOG_MARIADB };

/*
 * What capture knows before the first frame: tr_decoder_config.source_format points to it; copied by open.
 * NULL = all zero.
 */
struct tr_binlog_format {
    enum tr_binlog_flavour flavour; /* until a format description names the server */
    bool
        /* CRC32 behind each event until a format description says otherwise (the first rotate comes
         * before it) */
        checksum;
    bool
        /* binlog_row_metadata=FULL is expected: a table of the task without column names is refused */
        full_metadata;
    char file[512];     /* name of the log file until a rotate event says it, for messages and tr_txn.file */
    size_t max_payload; /* ceiling for an uncompressed transaction or event; 0 = 1 GiB */
    /*
     * Is this table of the task? Spares the catalogue for others, and tells which statements must not be
     * in the log. NULL = every table.
     */
    bool (*wants)(void *arg, const char *database, const char *table);
    void *arg;
};

extern const struct tr_decoder_class tr_binlog_decoder;

/* Reads the TR_CODEC_NATIVE values of relations that this decoder made. */
extern const struct tr_codec tr_binlog_codec;

/*
 * The number at the end of a log file's name ("mysql-bin.000012" is 12), or 0. It is the high part of an
 * order.
 */
uint64_t tr_binlog_file_number(const char *file);

#define TR_BINLOG_ORDER(number, offset) ((uint64_t)(number) << 40 | (uint64_t)(offset))
#define TR_BINLOG_OFFSET(order) ((uint64_t)(order) & ((UINT64_C(1) << 40) - 1))

#endif
