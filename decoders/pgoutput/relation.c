/*
 * relation.c - what the server tells about tables and types before it sends rows of them.
 *
 * Layouts: PostgreSQL manual, "Logical Replication Message Formats".
 */
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "decoders/pgoutput/internal.h"
#include "decoders/pgoutput/types.h"

/* A type that is not built in, by the name the server gave. */
struct named_type {
    char *schema;
    char *name;
};

struct described *
find_relation(struct pgoutput *d, uint32_t oid)
{
    if (d->last != NULL && d->last->oid == oid)
        return d->last;
    struct described *found = oid_map_get(&d->relations, oid);
    if (found != NULL)
        d->last = found;
    return found;
}

void
forget_relations(struct pgoutput *d)
{
    for (uint32_t i = 0; i < d->relations.capacity; i++) {
        struct described *known = d->relations.slots[i].item;
        if (known != NULL)
            known->announced = false;
    }
}

void
release_relations(struct pgoutput *d)
{
    for (uint32_t i = 0; i < d->relations.capacity; i++) {
        struct described *known = d->relations.slots[i].item;
        if (known == NULL)
            continue;
        tr_relation_unref(known->relation);
        tr_relation_unref(known->used);
        free(known->wire);
        free(known);
    }
    for (uint32_t i = 0; i < d->types.capacity; i++) {
        struct named_type *type = d->types.slots[i].item;
        if (type == NULL)
            continue;
        free(type->schema);
        free(type->name);
        free(type);
    }
    free(d->relations.slots);
    free(d->types.slots);
}

/* The server leaves the name of the schema pg_catalog out. */
static const char *
schema_name(const char *wire)
{
    return *wire != '\0' ? wire : "pg_catalog";
}

/*
 * Type: [Int32 xid], Int32 oid, String schema (empty = pg_catalog), String name. Sent for types that are not
 * built in.
 */
int
read_type(struct pgoutput *d, struct frame *f, struct tr_error *err)
{
    uint32_t oid = tr_cursor_u32be(&f->cur);
    const char *schema = tr_cursor_string(&f->cur, NULL);
    const char *name = tr_cursor_string(&f->cur, NULL);
    int rc = frame_whole(f, err);
    if (rc < 0)
        return rc;
    if (oid == 0)
        return frame_fail(f, err, "its oid is 0");
    struct named_type *type = oid_map_get(&d->types, oid);
    if (type == NULL) {
        type = tr_calloc(1, sizeof *type);
        oid_map_put(&d->types, oid, type);
    }
    free(type->schema);
    free(type->name);
    type->schema = tr_strdup(schema_name(schema));
    type->name = tr_strdup(name);
    return 0;
}

/* What is known of a column's type without the catalogue: built-in types wholly, others by their name. */
static void
describe_type(struct pgoutput *d, struct tr_arena *arena, struct tr_column *column)
{
    tr_pg_describe(column, arena);
    const struct named_type *type = column->type_name == NULL ? oid_map_get(&d->types, column->type_id)
                                                              : NULL;
    if (type != NULL) {
        column->type_schema = tr_arena_strdup(arena, type->schema);
        column->type_name = column->native = tr_arena_strdup(arena, type->name);
        column->logical = tr_pg_logical(type->name, '\0', '\0');
    } else if (column->type_name == NULL) {
        column->type_name = column->native = "unknown";
    }
}

/*
 * A column of a Relation message: Int8 flags (1 = part of the replica identity), String name, Int32 type oid,
 * Int32 type modifier.
 */
static int
read_column(struct pgoutput *d, struct frame *f, struct tr_arena *arena, struct tr_column *column,
            uint16_t *identity, struct tr_error *err)
{
    uint8_t flags = tr_cursor_u8(&f->cur);
    size_t len;
    const char *name = tr_cursor_string(&f->cur, &len);
    column->type_id = tr_cursor_u32be(&f->cur);
    column->type_mod = (int32_t)tr_cursor_u32be(&f->cur);
    if (f->cur.failed)
        return frame_fail(f, err, "it ends too early");
    if (flags > 1)
        return frame_fail(f, err, "column %s: its flags 0x%02x are not known", name, flags);
    column->name = tr_arena_copy(arena, name, len);
    column->identity = flags == 1 ? ++*identity : 0;
    describe_type(d, arena, column);
    return 0;
}

/*
 * Relation: [Int32 xid], Int32 oid, String schema (empty = pg_catalog), String name, Int8 replica identity (d
 * n f i as in pg_class.relreplident), Int16 number of columns, then the columns.
 */
static int
fill_relation(struct pgoutput *d, struct frame *f, struct tr_relation *relation, struct tr_error *err)
{
    struct tr_arena *arena = &relation->arena;
    relation->id = tr_cursor_u32be(&f->cur);
    const char *schema = tr_cursor_string(&f->cur, NULL);
    const char *name = tr_cursor_string(&f->cur, NULL);
    uint8_t identity_kind = tr_cursor_u8(&f->cur);
    uint16_t n = tr_cursor_u16be(&f->cur);
    if (f->cur.failed || tr_cursor_left(&f->cur) < (size_t)n * 10)
        return frame_fail(f, err, "it ends too early");
    if (identity_kind == 0 || strchr("dnfi", identity_kind) == NULL)
        return frame_fail(f, err, "table %s.%s: the replica identity 0x%02x is not known", schema, name,
                          identity_kind);
    relation->schema = relation->target_schema = tr_arena_strdup(arena, schema_name(schema));
    relation->name = relation->target_name = tr_arena_strdup(arena, name);
    relation->replica_identity = (char)identity_kind;
    relation->codec = &tr_pg_codec;
    struct tr_column *columns = tr_arena_zalloc(arena, n * sizeof *columns);
    uint16_t identity = 0;
    for (uint16_t i = 0; i < n; i++) {
        int rc = read_column(d, f, arena, &columns[i], &identity, err);
        if (rc < 0)
            return rc;
    }
    relation->columns = columns;
    relation->ncolumns = n;
    return frame_whole(f, err);
}

/* The catalogue and the pipeline have their say before anybody sees the relation. */
static int
complete_relation(struct pgoutput *d, struct tr_relation *relation, const struct tr_relation *previous,
                  struct tr_error *err)
{
    const struct tr_catalog *catalog = &d->base.config.catalog;
    const struct tr_decoder_hooks *hooks = &d->base.config.hooks;
    uint16_t ncolumns = relation->ncolumns;
    relation->version = previous != NULL ? previous->version + 1 : 1;
    int rc = catalog->complete != NULL ? catalog->complete(catalog->arg, relation, err) : 0;
    if (rc < 0)
        return rc;
    if (relation->ncolumns != ncolumns) /* rows are read by the server's count */
        return tr_fail(err, TR_FATAL, "table %s.%s: the catalogue changed the number of its columns",
                       relation->schema, relation->name);
    tr_relation_index_keys(relation);
    return hooks->relation != NULL ? hooks->relation(hooks->arg, relation, previous, err) : 0;
}

/*
 * A row of a shape that differs from the shape of the row before it: said in its place among the changes. Told by use and not when the
 * server describes the table, for a description may come from a subtransaction that was rolled back.
 */
void
use_relation(struct pgoutput *d, struct frame *f, struct described *known)
{
    struct tr_relation *used = known->used;
    if (used == known->relation)
        return;
    known->used = tr_relation_ref(known->relation);
    if (used != NULL && !tr_relation_same_shape(used, known->relation)) {
        tr_batch_hold(f->batch, used);
        hold_relation(f, known);
        struct tr_event *event = add_event(d, f, TR_SCHEMA);
        event->relation = known->relation;
        event->schema.previous = used;
    }
    tr_relation_unref(used);
}

static struct described *
new_described(struct pgoutput *d, uint32_t oid)
{
    struct described *known = tr_calloc(1, sizeof *known);
    known->oid = oid;
    oid_map_put(&d->relations, oid, known);
    return known;
}

static void
adopt(struct described *known, struct tr_relation *relation, const uint8_t *wire, size_t wire_len)
{
    tr_relation_unref(known->relation);
    free(known->wire);
    known->wire = tr_malloc(wire_len);
    memcpy(known->wire, wire, wire_len);
    known->wire_len = wire_len;
    known->relation = relation;
    known->slot = UINT32_MAX;
    known->announced = true;
}

/*
 * The server repeats the message after every invalidation of its cache and in every session. The same bytes
 * mean the same shape, and the relation stays the one that everybody has prepared for.
 */
int
read_relation(struct pgoutput *d, struct frame *f, struct tr_error *err)
{
    const uint8_t *wire = f->cur.at;
    size_t wire_len = tr_cursor_left(&f->cur);
    struct tr_cursor ahead = f->cur;
    uint32_t oid = tr_cursor_u32be(&ahead);
    if (oid == 0)
        return frame_fail(f, err, "its oid is 0 or it ends too early");
    struct described *known = find_relation(d, oid);
    if (known != NULL && known->wire_len == wire_len && memcmp(known->wire, wire, wire_len) == 0) {
        known->announced = true;
        return 0;
    }
    struct tr_relation *relation = tr_relation_new();
    int rc = fill_relation(d, f, relation, err);
    if (rc == 0)
        rc = complete_relation(d, relation, known != NULL ? known->relation : NULL, err);
    if (rc < 0) {
        tr_relation_unref(relation);
        if (known != NULL)
            known->announced = false; /* its rows no longer have the shape we know */
        return rc;
    }
    if (known == NULL)
        known = new_described(d, oid);
    adopt(known, relation, wire, wire_len);
    return 0;
}
