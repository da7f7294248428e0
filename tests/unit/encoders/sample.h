/* sample.h - small relations and events for tests of encoders and sinks. */
#ifndef TR_TESTS_UNIT_ENCODERS_SAMPLE_H
#define TR_TESTS_UNIT_ENCODERS_SAMPLE_H

#include "core/batch.h"

/* "name:type[:flags]": type is a logical type's name; flags k = primary key, n = not null. Modifiers are set on the result by the caller. */
struct tr_relation *sample_relation(uint32_t number, const char *schema, const char *name, int ncolumns,
                                    const char *const *columns);

/* Values from texts; NULL = null, SAMPLE_ABSENT = absent. In the batch's arena. */
extern const char SAMPLE_ABSENT[];
const struct tr_value *sample_row(struct tr_batch *batch, int ncolumns, const char *const *texts);

/* An open transaction with xid 7, commit 2000, end 2048, at 2024-02-29 12:34:56.789012. */
struct tr_txn *sample_txn(struct tr_batch *batch);

/* One more event; the batch holds the relation. Position 1999. */
struct tr_event *sample_event(struct tr_batch *batch, enum tr_event_kind kind, struct tr_relation *relation,
                              const struct tr_value *before, const struct tr_value *after);

#endif
