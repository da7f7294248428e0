/*
 * copy_text.h - rows of COPY ... TO STDOUT in the text format: columns between tabs, \N for null, backslash
 * escapes.
 *
 * PostgreSQL manual, COPY, "Text Format". Pure; any thread.
 */
#ifndef TR_DECODERS_PGOUTPUT_COPY_TEXT_H
#define TR_DECODERS_PGOUTPUT_COPY_TEXT_H

#include "core/batch.h"
#include "core/buffer.h"
#include "core/error.h"

/*
 * One row without or with its newline, which is what one CopyData message holds. *values: relation->ncolumns
 * values in the batch's arena, TR_CODEC_TEXT, a NUL behind each. The COPY must have named exactly the
 * relation's columns in their order.
 */
int tr_pg_copy_text_row(const struct tr_relation *relation, const char *line, size_t len,
                        struct tr_batch *batch, struct tr_value **values, struct tr_error *err) TR_MUST_CHECK;

/* The same as a TR_READ event of the batch, which takes its reference. */
int tr_pg_copy_text_read(struct tr_relation *relation, const char *line, size_t len, struct tr_batch *batch,
                         struct tr_error *err) TR_MUST_CHECK;

/* A stream of rows cut into pieces anywhere. */
struct tr_pg_copy_text {
    struct tr_buffer rest; /* the row whose newline has not come yet */
};

void tr_pg_copy_text_init(struct tr_pg_copy_text *copy, size_t max_row);
void tr_pg_copy_text_fini(struct tr_pg_copy_text *copy);

/* Append the complete rows as TR_READ events. Returns their number. */
int tr_pg_copy_text_feed(struct tr_pg_copy_text *copy, struct tr_relation *relation, const char *data,
                         size_t len, struct tr_batch *batch, struct tr_error *err) TR_MUST_CHECK;

/* The stream is over: fails when it ended inside a row. */
int tr_pg_copy_text_end(struct tr_pg_copy_text *copy, const struct tr_relation *relation,
                        struct tr_error *err) TR_MUST_CHECK;

#endif
