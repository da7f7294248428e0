/*
 * snapshot.h - tables copied as of a cut: functions of struct tr_source_class (capture/source.h documents them).
 *
 * A part is a range of heap blocks of one table: from = oid << 32 | first block, to = oid << 32 | block behind the last (0xFFFFFFFF = to the end),
 * where oid is the table's own or, for a partitioned table, a leaf's. {0, UINT64_MAX} is the table whole.
 */
#ifndef TR_CAPTURE_POSTGRES_SNAPSHOT_H
#define TR_CAPTURE_POSTGRES_SNAPSHOT_H

#include "capture/source.h"

int tr_postgres_table_parts(struct tr_source *source, const struct tr_relation *relation,
                            struct tr_table_part *parts, int max, struct tr_error *err);
int tr_postgres_reader_open(struct tr_source *source, const struct tr_cut *cut,
                            const struct tr_relation *relation, const struct tr_table_part *part,
                            const char *format, struct tr_table_reader **reader, struct tr_error *err);
int tr_postgres_reader_read(struct tr_table_reader *reader, const char **data, size_t *len,
                            struct tr_error *err);
uint64_t tr_postgres_reader_count(const struct tr_table_reader *reader);
int tr_postgres_reader_rows(struct tr_table_reader *reader, struct tr_batch *batch, size_t max_bytes,
                            struct tr_error *err);
void tr_postgres_reader_close(struct tr_table_reader *reader);

#endif
