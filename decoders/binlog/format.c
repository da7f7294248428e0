/*
 * format.c - events about the log itself, and those that must not be in the log of a captured server.
 */
#include <stdio.h>

#include "decoders/binlog/internal.h"

int
binlog_read_ignored(struct binlog *d, struct binlog_frame *f, struct tr_error *err)
{
    (void)d, (void)f, (void)err;
    return 0;
}

/* What a statement in the log needs to run; the statement itself is judged (query.c). */
int
binlog_read_statement_data(struct binlog *d, struct binlog_frame *f, struct tr_error *err)
{
    return binlog_read_ignored(d, f, err);
}

int
binlog_read_load_query(struct binlog *d, struct binlog_frame *f, struct tr_error *err)
{
    binlog_refuse(d, f, err, "LOAD DATA was logged as a statement: its rows are not in the log");
    return tr_error_hint(
        err, "SET GLOBAL binlog_format = 'ROW' on the source, end the sessions that were open before, and "
             "load again");
}

/*
 * Incident: uint16 number, uint8 length, text. The server says that changes are missing from its log.
 */
int
binlog_read_incident(struct binlog *d, struct binlog_frame *f, struct tr_error *err)
{
    uint16_t number = (uint16_t)tr_cursor_le(&f->cur, 2);
    size_t len = tr_cursor_left(&f->cur) > 0 ? tr_cursor_u8(&f->cur) : 0;
    const uint8_t *text = tr_cursor_bytes(&f->cur, len);
    binlog_refuse(d, f, err, "the server reports that changes are missing from its log (incident %u: %.*s)",
                  number, text != NULL ? (int)len : 0, text != NULL ? (const char *)text : "");
    return tr_error_hint(err, "load the tables again: what is missing cannot be read anywhere");
}

int
binlog_read_encryption(struct binlog *d, struct binlog_frame *f, struct tr_error *err)
{
    binlog_refuse(d, f, err, "the events behind it are encrypted");
    return tr_error_hint(err, "read the log through the server, which decrypts it, not from its files");
}

/*
 * Rotate: uint64 position, the rest is the name of the next file. The dump thread begins with an
 * artificial one.
 */
int
binlog_read_rotate(struct binlog *d, struct binlog_frame *f, struct tr_error *err)
{
    tr_cursor_le(&f->cur, 8);
    size_t len = tr_cursor_left(&f->cur);
    const uint8_t *name = tr_cursor_bytes(&f->cur, len);
    if (name == NULL || len == 0 || len >= sizeof d->file || memchr(name, 0, len) != NULL)
        return binlog_fail(d, f, err, "the name of the next file is missing or too long");
    memcpy(d->file, name, len);
    d->file[len] = '\0';
    return 0;
}

/*
 * Format description: uint16 version of the log (4), char[50] version of the server, uint32 time of
 * creation (0 = sent again in the middle of a file), uint8 length of the header (19), uint8 for each type
 * of event the length of its fixed part, uint8 algorithm of the checksums, uint32 own checksum.
 */
int
binlog_read_format(struct binlog *d, struct binlog_frame *f, struct tr_error *err)
{
    uint16_t version = (uint16_t)tr_cursor_le(&f->cur, 2);
    const uint8_t *server = tr_cursor_bytes(&f->cur, 50);
    uint32_t created = (uint32_t)tr_cursor_le(&f->cur, 4);
    uint8_t header = tr_cursor_u8(&f->cur);
    if (f->cur.failed || tr_cursor_left(&f->cur) < EVENT_TABLE_MAP)
        return binlog_fail(d, f, err, "it ends too early");
    if (version != 4 || header != HEADER_SIZE)
        return binlog_refuse(d, f, err, "version %u of the log with headers of %u bytes is not known",
                             version, header);
    snprintf(d->server_version, sizeof d->server_version, "%.50s", (const char *)server);
    if (strstr(d->server_version, "MariaDB") != NULL)
        d->format.flavour = TR_BINLOG_MARIADB;
    d->table_id_size = f->cur.at[EVENT_TABLE_MAP - 1] == 6 ? 4 : 6;
    binlog_forget_ids(d);
    if (created != 0 && d->in_txn && !d->held && !(f->flags & EVENT_ARTIFICIAL)) {
        int rc = binlog_undo(d, f, NULL,
                             err); /* the server died while it wrote the transaction, and rolled it back */
        return rc < 0 ? rc : binlog_commit(d, f, err);
    }
    return 0;
}
