/* load_internal.h - shared by load.c (the whole), load_bulk.c (sinks that load by themselves) and load_rows.c (rows through the queue). */
#ifndef TR_PIPELINE_LOAD_INTERNAL_H
#define TR_PIPELINE_LOAD_INTERNAL_H

#include <pthread.h>

#include "pipeline/internal.h"
#include "schema/schema.h"

#define ROWS_BATCH_BYTES ((size_t)512 << 10)
#define MAX_PARTS 64 /* of one table */

struct load_table {
    struct tr_relation *relation; /* borrowed from the list */
    char *name;
    uint32_t parts_left; /* not yet committed */
    uint64_t weight;     /* bytes of its rows and of the indexes that follow them, roughly */
    size_t next_part,
        end_part;     /* in the list of all parts: the next of its own to be loaded, and behind the last */
    unsigned readers; /* at work on it */
};

struct load_part {
    struct load_table *table;
    struct tr_table_part part;
};

struct load {
    struct tr_task *task;
    struct tr_source *source; /* the task's own, or those of a load beside the stream */
    struct tr_sink *sink;
    const struct tr_checkpoint *known; /* which tables are done, which were begun */
    const _Atomic bool *cancel;        /* beside the stream: the attempt is over; else NULL */
    struct tr_schema *schema;
    struct tr_relation_list relations;
    struct load_table *tables;
    size_t ntables;
    struct load_part *parts;
    size_t nparts;
    struct load_table **order; /* the tables, those first that take longest */
    size_t first_open;         /* all before it in this order have no part left to begin */
    struct tr_cut cut;
    pthread_mutex_t
        lock; /* guards first_open, of tables next_part, readers and parts_left, failed, error, of_parts */
    struct
        part_sums { /* estimates of all parts and of those that have ended, and what came; with what earlier attempts had brought */
        uint64_t rows_all, bytes_all, rows_ended, bytes_ended, rows_came, bytes_came, rows_before,
            bytes_before;
    } of_parts;
    bool
        by_rows; /* what is left is told by rows alone: the bytes that are counted have nothing to do with those on the source's disk */
    bool no_rows; /* only what makes the tables is sent */
    int ended_fd; /* eventfd: readable when the load is over */
    bool failed;
    struct tr_error error;
};

/* Split every table into max parts at most, and sum up the estimates. */
int tr_load_plan(struct load *load, int max, struct tr_error *err);

/* A part has ended with so many rows and bytes; what is still to come is estimated anew. thread: any. */
void tr_load_learn_sizes(struct load *load, const struct tr_table_part *part, uint64_t rows, uint64_t bytes);

/* load_bulk.c: every part of every table by the sink's loaders, then the rest of the schema. thread: control, which starts and joins the readers. */
int tr_load_in_bulk(struct load *load, struct tr_error *err);
/* The rest of the schema, once all rows are there. */
int tr_load_finish(struct load *load, struct tr_error *err);
/* Write down the state of a table at the target, by a load without rows. */
int tr_load_record(struct load *load, struct load_table *table, bool is_done, struct tr_error *err);

/* Every table's rows through the queue, one table after the other. thread: control, which starts and joins the sink's. */
int tr_load_through_queue(struct load *load, struct tr_error *err);

#endif
