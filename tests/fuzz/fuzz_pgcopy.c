/*
 * fuzz_pgcopy.c - any bytes give rows of a copy or an error, however they are cut; and any bytes give the
 * text of a value or an error. Input: Int8 bit 0 binary, the rest the size of the pieces; then the stream.
 * The table has one column of each type with a binary reader.
 */
#include <stdlib.h>

#include "decoders/pgoutput/copy_binary.h"
#include "decoders/pgoutput/copy_text.h"
#include "decoders/pgoutput/pgoutput.h"
#include "decoders/pgoutput/types.h"

static const uint32_t oids[] = { 16,   21,   23,   20,   26,   700,  701,  1700, 25,   1042, 17, 114,
                                 3802, 2950, 1082, 1083, 1266, 1114, 1184, 1186, 1560, 829,  774 };

#define NCOLUMNS (sizeof oids / sizeof oids[0])

static struct tr_relation *
new_relation(void)
{
    struct tr_relation *relation = tr_relation_new();
    struct tr_column *columns = tr_arena_zalloc(&relation->arena, NCOLUMNS * sizeof *columns);
    for (size_t i = 0; i < NCOLUMNS; i++) {
        columns[i].name = "c";
        columns[i].type_id = oids[i];
        columns[i].type_mod = -1;
        tr_pg_describe(&columns[i], &relation->arena);
    }
    relation->columns = columns;
    relation->ncolumns = NCOLUMNS;
    relation->schema = relation->name = "t";
    relation->codec = &tr_pg_codec;
    return relation;
}

static void
touch_rows(const struct tr_batch *batch, struct tr_buffer *scratch)
{
    struct tr_error err;
    const char *text;
    size_t len;
    for (uint32_t e = 0; e < batch->nevents; e++) {
        const struct tr_relation *relation = batch->events[e].relation;
        for (uint16_t i = 0; i < relation->ncolumns; i++) {
            const struct tr_value *value = &batch->events[e].after[i];
            if (value->state != TR_PRESENT)
                continue;
            if (value->data[value->len] != '\0')
                abort();
            int rc = tr_value_text(relation, &relation->columns[i], value, scratch, &text, &len, &err);
            (void)rc;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    bool binary = (data[0] & 1) != 0;
    size_t piece = (size_t)(data[0] >> 1) + 1;
    struct tr_relation *relation = new_relation();
    struct tr_batch *batch = tr_batch_new();
    struct tr_pg_copy_binary b;
    struct tr_pg_copy_text t;
    struct tr_buffer scratch;
    struct tr_error err;
    tr_pg_copy_binary_init(&b, 1 << 16);
    tr_pg_copy_text_init(&t, 1 << 16);
    tr_buffer_init(&scratch, 1 << 20);
    int rc = 0;
    for (size_t at = 1; rc >= 0 && at < size; at += piece) {
        const char *bytes = (const char *)data + at;
        size_t len = size - at < piece ? size - at : piece;
        rc = binary ? tr_pg_copy_binary_feed(&b, relation, bytes, len, batch, &err)
                    : tr_pg_copy_text_feed(&t, relation, bytes, len, batch, &err);
    }
    rc = binary ? tr_pg_copy_binary_end(&b, relation, &err) : tr_pg_copy_text_end(&t, relation, &err);
    touch_rows(batch, &scratch);
    tr_buffer_fini(&scratch);
    tr_pg_copy_text_fini(&t);
    tr_pg_copy_binary_fini(&b);
    tr_batch_free(batch);
    tr_relation_unref(relation);
    return 0;
}
