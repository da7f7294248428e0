/* dump.c - see dump.h. */
#include "tests/golden/binlog/dump.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "core/text.h"

uint8_t *
binlog_dump_load(const char *path, size_t *len)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return NULL;
    fseek(file, 0, SEEK_END);
    *len = (size_t)ftell(file);
    rewind(file);
    uint8_t *bytes = tr_malloc(*len + 1);
    size_t got = fread(bytes, 1, *len, file);
    fclose(file);
    if (got == *len)
        return bytes;
    free(bytes);
    return NULL;
}

static int
dump_value(const struct tr_relation *relation, uint16_t i, const struct tr_value *value,
           struct tr_buffer *scratch, struct tr_buffer *out, struct tr_error *err)
{
    const struct tr_column *column = &relation->columns[i];
    tr_buffer_printf(out, "    %s=", column->name);
    if (value->state == TR_ABSENT) {
        tr_buffer_text(out, "(absent)\n");
        return 0;
    }
    if (value->state == TR_NULL) {
        tr_buffer_text(out, "(null)\n");
        return 0;
    }
    const char *text;
    size_t len;
    int rc = tr_value_text(relation, column, value, scratch, &text, &len, err);
    if (rc < 0)
        return rc;
    tr_buffer_byte(out, '\'');
    tr_text_json(out, text, len);
    tr_buffer_text(out, "'\n");
    return 0;
}

static int
dump_row(const char *title, const struct tr_event *event, const struct tr_value *row,
         struct tr_buffer *scratch, struct tr_buffer *out, struct tr_error *err)
{
    if (row == NULL)
        return 0;
    tr_buffer_printf(out, "  %s\n", title);
    for (uint16_t i = 0; i < event->relation->ncolumns; i++) {
        int rc = dump_value(event->relation, i, &row[i], scratch, out, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static void
dump_shape(const struct tr_relation *relation, struct tr_buffer *out)
{
    tr_buffer_printf(out, "shape %s.%s version %u\n", relation->schema, relation->name, relation->version);
    for (uint16_t i = 0; i < relation->ncolumns; i++) {
        const struct tr_column *c = &relation->columns[i];
        tr_buffer_printf(out, "    %s: %s, %s, charset %s, key %u, identity %u%s%s", c->name, c->native,
                         tr_logical_name(c->logical), c->charset != NULL ? c->charset : "-", c->key,
                         c->identity, c->not_null ? ", not null" : "", c->invisible ? ", invisible" : "");
        for (uint32_t k = 0; k < c->nlabels; k++)
            tr_buffer_printf(out, " '%s'", c->labels[k]);
        tr_buffer_byte(out, '\n');
    }
}

static int
dump_event(const struct tr_event *event, struct tr_buffer *scratch, struct tr_buffer *out,
           struct tr_error *err)
{
    static const char *const names[] = {
        [TR_INSERT] = "insert", [TR_UPDATE] = "update", [TR_DELETE] = "delete"
    };
    int rc;
    switch (event->kind) {
    case TR_INSERT:
    case TR_UPDATE:
    case TR_DELETE:
        tr_buffer_printf(out, "%s %s.%s row %u before %u\n", names[event->kind], event->relation->schema,
                         event->relation->name, event->row, event->before_kind);
        rc = dump_row("before", event, event->before, scratch, out, err);
        return rc < 0 ? rc : dump_row("after", event, event->after, scratch, out, err);
    case TR_SCHEMA:
        tr_buffer_printf(out, "schema %s.%s\n", event->relation->schema, event->relation->name);
        break;
    case TR_TRUNCATE:
        tr_buffer_printf(out, "truncate %s.%s\n", event->relation->schema, event->relation->name);
        break;
    case TR_DDL:
        tr_buffer_printf(out, "ddl in '%s': ", event->ddl.database);
        tr_text_json(out, event->ddl.text, strlen(event->ddl.text));
        tr_buffer_byte(out, '\n');
        break;
    default: tr_buffer_printf(out, "event of kind %u\n", event->kind);
    }
    return 0;
}

/* The batch after each frame: transactions that ended, with what they held. */
static int
dump_batch(const struct tr_batch *batch, struct tr_buffer *out, struct tr_error *err)
{
    struct tr_buffer scratch;
    tr_buffer_init(&scratch, TR_BUFFER_MAX);
    int rc = 0;
    for (uint32_t t = 0; t < batch->ntxns && rc == 0; t++) {
        const struct tr_txn *txn = &batch->txns[t];
        tr_buffer_printf(out, "transaction %s%s%s\n", txn->gtid != NULL ? txn->gtid : "anonymous",
                         txn->begins ? "" : " (continued)", txn->ends ? "" : " (open)");
        const struct tr_relation *shown = NULL;
        for (uint32_t i = 0; i < txn->nevents && rc == 0; i++) {
            const struct tr_event *event = &batch->events[txn->first_event + i];
            if (event->kind < TR_READ && event->relation != shown)
                dump_shape(shown = event->relation, out);
            rc = dump_event(event, &scratch, out, err);
        }
    }
    tr_buffer_fini(&scratch);
    return rc;
}

int
binlog_dump(const uint8_t *file, size_t len, const struct tr_decoder_config *config, struct tr_buffer *out,
            struct tr_error *err)
{
    struct tr_decoder *decoder;
    struct tr_batch *batch = tr_batch_new();
    int rc = tr_binlog_decoder.open(config, &decoder, err);
    for (size_t at = 4; rc >= 0 && at + 19 <= len;) {
        size_t n = (size_t)file[at + 9] | (size_t)file[at + 10] << 8 | (size_t)file[at + 11] << 16 |
                   (size_t)file[at + 12] << 24;
        if (n > len - at)
            n = len - at;
        rc = tr_binlog_decoder.decode(decoder, file + at, n, TR_BINLOG_ORDER(1, at), false, batch, err);
        at += n;
        if (rc >= 0 && !tr_binlog_decoder.in_transaction(decoder)) {
            rc = dump_batch(batch, out, err);
            tr_batch_free(batch);
            batch = tr_batch_new();
        }
    }
    tr_batch_free(batch);
    tr_binlog_decoder.close(decoder);
    return rc;
}
