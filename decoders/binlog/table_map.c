/*
 * table_map.c - which table the rows that follow belong to.
 *
 * A table map comes before every statement's rows. Its id is of this log file only; the table is known by
 * its name, and the same bytes mean the same shape. A new shape is worked out when the first row of it
 * comes, so that tables that the task does not want, or that a statement only reads, cost nothing.
 */
#include <stdlib.h>

#include "core/memory.h"
#include "decoders/binlog/internal.h"

void
binlog_forget_ids(struct binlog *d)
{
    d->ids.count = d->ids.last = 0;
    d->ids.over = false;
}

void
binlog_end_statement(struct binlog *d)
{
    d->ids.over = true;
}

void
binlog_release_tables(struct binlog *d)
{
    for (uint32_t i = 0; i < d->nbuckets; i++) {
        for (struct table *t = d->buckets[i], *next; t != NULL; t = next) {
            next = t->next;
            tr_relation_unref(t->relation);
            tr_relation_unref(t->used);
            free(t->steps);
            free(t->wire);
            free(t->database);
            free(t->name);
            free(t);
        }
    }
    free(d->buckets);
    free(d->ids.items);
}

static struct table_id *
find_id(struct binlog *d, uint64_t id)
{
    struct table_ids *ids = &d->ids;
    for (uint32_t k = 0, i = ids->last; k < ids->count; k++, i = i + 1 < ids->count ? i + 1 : 0) {
        if (ids->items[i].id == id) {
            ids->last = i;
            return &ids->items[i];
        }
    }
    return NULL;
}

struct table *
binlog_find_id(struct binlog *d, uint64_t id)
{
    struct table_id *found = find_id(d, id);
    return found != NULL ? found->table : NULL;
}

#define KEPT_IDS 256 /* from one statement to the next: each tells anew those that it needs */
#define MAX_IDS \
    262144 /* of one statement, which tells those of all tables that its session has locked; older ones give way */

static void
bind_id(struct binlog *d, uint64_t id, struct table *table)
{
    struct table_ids *ids = &d->ids;
    struct table_id *found = find_id(d, id);
    if (found == NULL && ids->count < MAX_IDS) {
        if (ids->count == ids->capacity) {
            ids->capacity = ids->capacity > 0 ? ids->capacity * 2 : 16;
            ids->items = tr_realloc(ids->items, ids->capacity * sizeof *ids->items);
        }
        found = &ids->items[ids->count++];
    } else if (found == NULL) {
        ids->last = (ids->last + 1) % MAX_IDS;
        found = &ids->items[ids->last];
    }
    *found = (struct table_id){ id, table };
}

static uint64_t
hash_name(const char *database, size_t database_len, const char *name, size_t name_len)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < database_len; i++)
        h = (h ^ (uint8_t)database[i]) * UINT64_C(0x100000001b3);
    h = (h ^ 0xff) * UINT64_C(0x100000001b3);
    for (size_t i = 0; i < name_len; i++)
        h = (h ^ (uint8_t)name[i]) * UINT64_C(0x100000001b3);
    return h;
}

static void
grow_buckets(struct binlog *d)
{
    uint32_t n = d->nbuckets > 0 ? d->nbuckets * 2 : 64;
    struct table **buckets = tr_calloc(n, sizeof(struct table *));
    for (uint32_t i = 0; i < d->nbuckets; i++) {
        for (struct table *t = d->buckets[i], *next; t != NULL; t = next) {
            next = t->next;
            t->next = buckets[t->hash & (n - 1)];
            buckets[t->hash & (n - 1)] = t;
        }
    }
    free(d->buckets);
    d->buckets = buckets;
    d->nbuckets = n;
}

struct table *
binlog_table(struct binlog *d, const char *database, size_t database_len, const char *name, size_t name_len)
{
    uint64_t hash = hash_name(database, database_len, name, name_len);
    if (d->ntables >= d->nbuckets)
        grow_buckets(d);
    struct table **bucket = &d->buckets[hash & (d->nbuckets - 1)];
    for (struct table *t = *bucket; t != NULL; t = t->next)
        if (t->hash == hash && strlen(t->name) == name_len && memcmp(t->name, name, name_len) == 0 &&
            strlen(t->database) == database_len && memcmp(t->database, database, database_len) == 0)
            return t;
    struct table *t = tr_calloc(1, sizeof *t);
    *t = (struct table){ .next = *bucket, .hash = hash, .slot = UINT32_MAX };
    t->database = tr_strndup(database, database_len);
    t->name = tr_strndup(name, name_len);
    t->unwanted = d->format.wants != NULL && !d->format.wants(d->format.arg, t->database, t->name);
    *bucket = t;
    d->ntables++;
    return t;
}

static int
reshaped(struct binlog *d, const struct binlog_frame *f, struct table *table, struct tr_error *err)
{
    const struct tr_relation *relation = table->relation;
    table->stale = true;
    if (relation == NULL || relation->skip || relation->named_at <= f->order)
        return 0;
    tr_fail(
        err, TR_REFUSED,
        "table %s.%s was changed at %s:%llu, and the columns of rows from before it were told by the shape that it has got since",
        table->database, table->name, d->file, (unsigned long long)TR_BINLOG_OFFSET(f->order));
    return tr_error_hint(
        err, "SET GLOBAL binlog_row_metadata = 'FULL' on the source, end the sessions that were open before, "
             "and load the table again (tailrace reload)");
}

static int
reshaped_all(struct binlog *d, const struct binlog_frame *f, const char *database, struct tr_error *err)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < d->nbuckets; i++)
        for (struct table *t = d->buckets[i]; rc == 0 && t != NULL; t = t->next)
            rc = strcmp(t->database, database) == 0 ? reshaped(d, f, t, err) : 0;
    return rc;
}

int
binlog_reshaped(struct binlog *d, const struct binlog_frame *f, const struct tr_event *statement,
                struct tr_error *err)
{
    int rc = statement->ddl.drops != NULL ? reshaped_all(d, f, statement->ddl.drops, err) : 0;
    for (uint32_t i = 0; rc == 0 && statement->ddl.reshapes && i < statement->ddl.ntables; i++) {
        const char *database = statement->ddl.tables[i].schema, *name = statement->ddl.tables[i].name;
        rc = reshaped(d, f, binlog_table(d, database, strlen(database), name, strlen(name)), err);
    }
    return rc;
}

static void
remember_wire(struct table *table, const uint8_t *wire, size_t len)
{
    if (table->wire_len == len && memcmp(table->wire, wire, len) == 0)
        return;
    table->wire = tr_realloc(table->wire, len);
    memcpy(table->wire, wire, len);
    table->wire_len = len;
    table->stale = true;
}

/*
 * Table map: uint48 id (uint32 in very old logs), uint16 flags, then what shape.c reads.
 */
int
binlog_read_table_map(struct binlog *d, struct binlog_frame *f, struct tr_error *err)
{
    uint64_t id = tr_cursor_le(&f->cur, d->table_id_size);
    tr_cursor_le(&f->cur, 2);
    if (d->ids.over && d->ids.count > KEPT_IDS)
        binlog_forget_ids(d);
    d->ids.over = false;
    const uint8_t *wire = f->cur.at;
    size_t wire_len = tr_cursor_left(&f->cur);
    struct table *known = binlog_find_id(d, id);
    if (known != NULL && !f->cur.failed && known->wire_len == wire_len &&
        memcmp(known->wire, wire, wire_len) == 0)
        return 0;
    size_t database_len = tr_cursor_u8(&f->cur);
    const uint8_t *database = tr_cursor_bytes(&f->cur, database_len);
    tr_cursor_u8(&f->cur);
    size_t name_len = tr_cursor_u8(&f->cur);
    const uint8_t *name = tr_cursor_bytes(&f->cur, name_len);
    tr_cursor_u8(&f->cur);
    if (f->cur.failed)
        return binlog_fail(d, f, err, "it ends too early");
    if (database_len == 0 || name_len == 0 || memchr(database, 0, database_len) != NULL ||
        memchr(name, 0, name_len) != NULL)
        return binlog_fail(d, f, err, "the name of its table cannot be");
    struct table *table = binlog_table(d, (const char *)database, database_len, (const char *)name, name_len);
    remember_wire(table, wire, wire_len);
    bind_id(d, id, table);
    return 0;
}

/* ---------------------------------------------------------------- relations */

/* The catalogue and the pipeline have their say before anybody sees the relation. */
static int
complete(struct binlog *d, struct tr_relation *relation, const struct tr_relation *previous,
         struct tr_error *err)
{
    const struct tr_catalog *catalog = &d->base.config.catalog;
    uint16_t ncolumns = relation->ncolumns;
    relation->version = previous != NULL && previous->ncolumns > 0 ? previous->version + 1 : 1;
    int rc = catalog->complete != NULL ? catalog->complete(catalog->arg, relation, err) : 0;
    if (rc < 0)
        return rc;
    if (ncolumns != 0 && relation->ncolumns != ncolumns) {
        tr_fail(err, TR_REFUSED,
                "table %s.%s has %u columns in the log and %u in the catalogue: it was altered in between",
                relation->schema, relation->name, ncolumns, relation->ncolumns);
        return tr_error_hint(
            err, "SET GLOBAL binlog_row_metadata = 'FULL' on the source, and load the table again");
    }
    tr_relation_index_keys(relation);
    return 0;
}

static struct tr_relation *
new_relation(struct table *table)
{
    struct tr_relation *relation = tr_relation_new();
    relation->id = table->hash;
    relation->schema = relation->target_schema = tr_arena_strdup(&relation->arena, table->database);
    relation->name = relation->target_name = tr_arena_strdup(&relation->arena, table->name);
    relation->replica_identity = 'f';
    relation->codec = &tr_binlog_codec;
    return relation;
}

static int
introduce(struct binlog *d, struct tr_relation *relation, const struct tr_relation *previous,
          struct tr_error *err)
{
    const struct tr_decoder_hooks *hooks = &d->base.config.hooks;
    return hooks->relation != NULL ? hooks->relation(hooks->arg, relation, previous, err) : 0;
}

static int
build(struct binlog *d, struct binlog_frame *f, struct table *table, struct tr_relation *relation,
      struct step **steps, struct tr_error *err)
{
    int rc = binlog_fill_relation(d, f, table, relation, err);
    if (rc == 0)
        rc = complete(d, relation, table->relation, err);
    if (rc == 0)
        rc = binlog_plan(d, table, relation, steps, err);
    if (rc == 0)
        binlog_leave_hidden_out(d, table, relation);
    return rc == 0 ? introduce(d, relation, table->relation, err) : rc;
}

static bool
same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool
same_column(const struct tr_column *a, const struct tr_column *b)
{
    if (!same_text(a->native, b->native) || !same_text(a->charset, b->charset) || a->logical != b->logical ||
        a->not_null != b->not_null || a->nlabels != b->nlabels)
        return false;
    for (uint32_t i = 0; i < a->nlabels; i++)
        if (strcmp(a->labels[i], b->labels[i]) != 0)
            return false;
    return true;
}

/* A table map may differ while the table is the same: the server was told to log more or less about it. */
static bool
same_table(const struct tr_relation *a, const struct tr_relation *b)
{
    if (!tr_relation_same_shape(a, b))
        return false;
    for (uint16_t i = 0; i < a->ncolumns; i++)
        if (!same_column(&a->columns[i], &b->columns[i]))
            return false;
    return true;
}

void
binlog_use(struct binlog *d, struct binlog_frame *f, struct table *table, int *flags)
{
    struct tr_relation *previous = table->used;
    if (previous == table->relation)
        return;
    table->used = tr_relation_ref(table->relation);
    if (previous != NULL && previous->ncolumns > 0 && !same_table(previous, table->relation)) {
        tr_batch_hold(f->batch, previous);
        binlog_hold(f, table);
        struct tr_event *event = binlog_add_event(d, f, TR_SCHEMA);
        event->relation = table->relation;
        event->schema.previous = previous;
        *flags |= TR_DECODED_ROW;
    }
    tr_relation_unref(previous);
}

int
binlog_refresh(struct binlog *d, struct binlog_frame *f, struct table *table, struct tr_error *err)
{
    struct tr_relation *relation = new_relation(table), *previous = table->relation;
    struct step *steps = NULL;
    int rc = build(d, f, table, relation, &steps, err);
    if (rc < 0) {
        free(steps);
        tr_relation_unref(relation);
        return rc;
    }
    free(table->steps);
    table->steps = steps;
    table->relation = relation;
    table->stale = false;
    table->slot = UINT32_MAX;
    tr_relation_unref(previous);
    return 0;
}

int
binlog_relation_by_name(struct binlog *d, struct table *table, struct tr_error *err)
{
    struct tr_relation *relation = new_relation(table);
    int rc = complete(d, relation, NULL, err);
    if (rc == 0)
        rc = introduce(d, relation, NULL, err);
    if (rc < 0) {
        tr_relation_unref(relation);
        return rc;
    }
    table->relation = relation;
    table->stale = true; /* its rows need a table map */
    return 0;
}

/*
 * The batch's reference, taken once. A new batch may well stand at the address of an old one: so the slot
 * is checked.
 */
void
binlog_hold(struct binlog_frame *f, struct table *table)
{
    struct tr_batch *batch = f->batch;
    if (table->slot < batch->nrelations && batch->relations[table->slot] == table->relation)
        return;
    tr_batch_hold(batch, table->relation);
    for (table->slot = batch->nrelations - 1; batch->relations[table->slot] != table->relation;)
        table->slot--;
}
