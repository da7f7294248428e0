/* schema_objects.c - what tables need to be there before them: schemas, extensions, functions, types, sequences. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "capture/postgres/schema.h"
#include "capture/postgres/schema_internal.h"
#include "core/memory.h"

/* The types of all columns, and what those are made of. */
#define TYPES_NEEDED                                                                                                                                    \
    "WITH RECURSIVE need(oid) AS (SELECT DISTINCT atttypid FROM pg_attribute WHERE attrelid = ANY ($1::oid[]) AND attnum > 0 AND NOT attisdropped"      \
    " UNION SELECT x.oid FROM need n JOIN pg_type t ON t.oid = n.oid CROSS JOIN LATERAL (SELECT t.typelem WHERE t.typelem <> 0 AND t.typcategory = 'A'" \
    "  UNION ALL SELECT t.typbasetype WHERE t.typtype = 'd'"                                                                                            \
    "  UNION ALL SELECT a.atttypid FROM pg_attribute a WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped"       \
    "  UNION ALL SELECT r.rngsubtype FROM pg_range r WHERE r.rngtypid = t.oid%s) x(oid))"

#define MULTIRANGES "  UNION ALL SELECT r.rngtypid FROM pg_range r WHERE r.rngmultitypid = t.oid"

#define OF_EXTENSION \
    "SELECT FROM pg_depend e WHERE e.deptype = 'e' AND e.refclassid = 'pg_extension'::regclass"

/* Types that are neither built in nor an extension's, in an order that a walk over their parts (last column) completes. */
static const char types_query[] = TYPES_NEEDED
    " SELECT t.oid, n.nspname, t.typname, t.typtype, CASE t.typtype"
    "  WHEN 'e' THEN 'AS ENUM (' || coalesce((SELECT string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid), '') || ')'"
    "  WHEN 'd' THEN 'AS ' || format_type(t.typbasetype, t.typtypmod)"
    "   || coalesce((SELECT ' COLLATE ' || quote_ident(cn.nspname) || '.' || quote_ident(co.collname) FROM pg_collation co JOIN pg_namespace cn ON cn.oid = co.collnamespace"
    "     JOIN pg_type b ON b.oid = t.typbasetype WHERE co.oid = t.typcollation AND t.typcollation <> b.typcollation), '')"
    "   || coalesce(' DEFAULT ' || pg_get_expr(t.typdefaultbin, 0), '') || CASE WHEN t.typnotnull THEN ' NOT NULL' ELSE '' END"
    "   || coalesce((SELECT string_agg(' CONSTRAINT ' || quote_ident(conname) || ' ' || regexp_replace(pg_get_constraintdef(c.oid), ' NOT VALID$', ''), '' ORDER BY conname)"
    "     FROM pg_constraint c WHERE c.contypid = t.oid AND c.contype = 'c'), '')"
    "  WHEN 'c' THEN CASE WHEN cl.relkind = 'c' THEN 'AS (' || coalesce((SELECT string_agg(quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod)"
    "     || CASE WHEN a.attcollation <> 0 AND a.attcollation <> at.typcollation THEN (SELECT ' COLLATE ' || quote_ident(cn.nspname) || '.' || quote_ident(co.collname)"
    "       FROM pg_collation co JOIN pg_namespace cn ON cn.oid = co.collnamespace WHERE co.oid = a.attcollation) ELSE '' END, ', ' ORDER BY a.attnum)"
    "    FROM pg_attribute a JOIN pg_type at ON at.oid = a.atttypid WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped), '') || ')' END"
    "  WHEN 'r' THEN (SELECT 'AS RANGE (SUBTYPE = ' || format_type(r.rngsubtype, NULL)"
    "     || CASE WHEN oc.opcdefault THEN '' ELSE ', SUBTYPE_OPCLASS = ' || quote_ident(ocn.nspname) || '.' || quote_ident(oc.opcname) END"
    "     || coalesce(', COLLATION = ' || (SELECT quote_ident(cn.nspname) || '.' || quote_ident(co.collname) FROM pg_collation co JOIN pg_namespace cn ON cn.oid = co.collnamespace"
    "       JOIN pg_type s ON s.oid = r.rngsubtype WHERE co.oid = r.rngcollation AND r.rngcollation <> s.typcollation), '')"
    "     || CASE WHEN r.rngsubdiff <> 0 THEN ', SUBTYPE_DIFF = ' || r.rngsubdiff::regproc ELSE '' END%s || ')'"
    "    FROM pg_range r JOIN pg_opclass oc ON oc.oid = r.rngsubopc JOIN pg_namespace ocn ON ocn.oid = oc.opcnamespace WHERE r.rngtypid = t.oid AND r.rngcanonical = 0) END,"
    " obj_description(t.oid, 'pg_type'), (SELECT string_agg(CASE WHEN e.typelem <> 0 AND e.typcategory = 'A' THEN e.typelem ELSE e.oid END::text, ' ') FROM pg_type e"
    "  WHERE e.oid = t.typbasetype OR e.oid IN (SELECT a.atttypid FROM pg_attribute a WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped)"
    "   OR e.oid IN (SELECT r.rngsubtype FROM pg_range r WHERE r.rngtypid = t.oid))"
    " FROM need JOIN pg_type t ON t.oid = need.oid JOIN pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_class cl ON cl.oid = t.typrelid"
    " WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND t.typtype IN ('e', 'd', 'c', 'r', 'b') AND NOT (t.typelem <> 0 AND t.typcategory = 'A')"
    " AND NOT EXISTS (" OF_EXTENSION " AND e.classid = 'pg_type'::regclass AND e.objid = t.oid)"
    " ORDER BY n.nspname, t.typname";

enum { Y_OID, Y_SCHEMA, Y_NAME, Y_TYPE, Y_NATIVE, Y_COMMENT, Y_PARTS };

/* Extensions that own a type of a column, or anything that a column, default, constraint or index of the tables leans on. */
static const char extensions_query[] = TYPES_NEEDED
    ", used(classid, objid) AS (SELECT 'pg_type'::regclass::oid, oid FROM need"
    " UNION SELECT d.refclassid, d.refobjid FROM pg_depend d WHERE d.refobjid >= 16384 AND ("
    "  (d.classid = 'pg_class'::regclass AND d.objid IN (SELECT unnest($1::oid[]) UNION ALL SELECT indexrelid FROM pg_index WHERE indrelid = ANY ($1::oid[])))"
    "  OR (d.classid = 'pg_attrdef'::regclass AND d.objid IN (SELECT oid FROM pg_attrdef WHERE adrelid = ANY ($1::oid[])))"
    "  OR (d.classid = 'pg_constraint'::regclass AND d.objid IN (SELECT oid FROM pg_constraint WHERE conrelid = ANY ($1::oid[])))))"
    " SELECT DISTINCT x.extname, n.nspname FROM used u JOIN pg_depend e ON e.classid = u.classid AND e.objid = u.objid AND e.deptype = 'e' AND e.refclassid = 'pg_extension'::regclass"
    " JOIN pg_extension x ON x.oid = e.refobjid JOIN pg_namespace n ON n.oid = x.extnamespace WHERE x.extname <> 'plpgsql' ORDER BY 1";

/* Functions of the user's own in defaults, generated columns, checks and indexes; collations of columns. */
static const char required_query[] =
    "SELECT 'f', p.oid::regprocedure::text, min(d.what) FROM (SELECT refobjid, adrelid::regclass::text AS what FROM pg_depend JOIN pg_attrdef a ON a.oid = objid"
    "  WHERE classid = 'pg_attrdef'::regclass AND refclassid = 'pg_proc'::regclass AND a.adrelid = ANY ($1::oid[])"
    " UNION ALL SELECT refobjid, c.conrelid::regclass::text FROM pg_depend JOIN pg_constraint c ON c.oid = objid"
    "  WHERE classid = 'pg_constraint'::regclass AND refclassid = 'pg_proc'::regclass AND c.conrelid = ANY ($1::oid[])"
    " UNION ALL SELECT refobjid, i.indrelid::regclass::text FROM pg_depend JOIN pg_index i ON i.indexrelid = objid"
    "  WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_proc'::regclass AND i.indrelid = ANY ($1::oid[])) d(oid, what)"
    " JOIN pg_proc p ON p.oid = d.oid WHERE p.oid >= 16384 AND NOT EXISTS (" OF_EXTENSION
    " AND e.classid = 'pg_proc'::regclass AND e.objid = p.oid) GROUP BY p.oid"
    " UNION ALL SELECT 'c', quote_ident(n.nspname) || '.' || quote_ident(co.collname), min(a.attrelid::regclass::text) FROM pg_attribute a JOIN pg_collation co ON co.oid = a.attcollation"
    "  JOIN pg_namespace n ON n.oid = co.collnamespace WHERE a.attrelid = ANY ($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped AND co.oid >= 16384 GROUP BY n.nspname, co.collname"
    " ORDER BY 1, 2";

static const char sequences_query[] =
    "SELECT c.oid, n.nspname, c.relname, format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache, s.seqcycle,"
    " o.refobjid, a.attname, o.deptype, obj_description(c.oid, 'pg_class'), has_sequence_privilege(c.oid, 'SELECT')"
    " FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
    " LEFT JOIN pg_depend o ON o.classid = 'pg_class'::regclass AND o.objid = c.oid AND o.objsubid = 0 AND o.refclassid = 'pg_class'::regclass AND o.deptype IN ('a', 'i')"
    " LEFT JOIN pg_attribute a ON a.attrelid = o.refobjid AND a.attnum = o.refobjsubid"
    " WHERE o.refobjid = ANY ($1::oid[]) OR c.oid IN (SELECT d.refobjid FROM pg_attrdef f JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid"
    "  AND d.refclassid = 'pg_class'::regclass WHERE f.adrelid = ANY ($1::oid[])) ORDER BY n.nspname, c.relname";

enum {
    S_OID,
    S_SCHEMA,
    S_NAME,
    S_TYPE,
    S_START,
    S_INCREMENT,
    S_MIN,
    S_MAX,
    S_CACHE,
    S_CYCLE,
    S_OWNER,
    S_COLUMN,
    S_DEPEND,
    S_COMMENT,
    S_READABLE
};

#define VALUES_AT_ONCE 500

static bool
has_multiranges(const struct tr_schema_read *read)
{
    return read->source->server_version >= 140000;
}

/* A query text with %s for what depends on the server's version. */
static int
versioned_query(struct tr_schema_read *read, const char *format, const char *first, const char *second,
                PGresult **res)
{
    struct tr_buffer sql;
    tr_buffer_init(&sql, (size_t)1 << 20);
    const char *parts[] = { first, second };
    size_t part = 0;
    for (const char *at = format; *at != '\0'; at++) {
        if (at[0] == '%' && at[1] == 's' && part < 2) {
            tr_buffer_text(&sql, has_multiranges(read) ? parts[part] : "");
            part++;
            at++;
        } else {
            tr_buffer_byte(&sql, *at);
        }
    }
    int rc = tr_schema_query(read, sql.data, res);
    tr_buffer_fini(&sql);
    return rc;
}

/* ---- schemas, extensions, functions */

/* Everything that is made lies in the schema of a table, a type, a sequence or an extension. */
int
tr_schema_read_schemas(struct tr_schema_read *read)
{
    static const char query[] = TYPES_NEEDED
        " SELECT DISTINCT n.nspname FROM pg_namespace n WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_toast%' AND (n.oid IN (SELECT relnamespace FROM pg_class WHERE oid = ANY ($1::oid[]))"
        " OR n.oid IN (SELECT t.typnamespace FROM need JOIN pg_type t USING (oid))"
        " OR n.oid IN (SELECT c.relnamespace FROM pg_attrdef f JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid AND d.refclassid = 'pg_class'::regclass"
        "  JOIN pg_class c ON c.oid = d.refobjid AND c.relkind = 'S' WHERE f.adrelid = ANY ($1::oid[]))) ORDER BY 1";
    PGresult *res = NULL;
    int rc = versioned_query(read, query, MULTIRANGES, "", &res);
    for (int row = 0; rc == 0 && row < PQntuples(res); row++) {
        struct tr_object object = { .kind = TR_OBJECT_SCHEMA };
        object.name = object.schema = tr_schema_cell(read, res, row, 0);
        tr_schema_push(&read->objects, &object);
    }
    PQclear(res);
    return rc;
}

static void
need_schema(struct tr_schema_read *read, const char *name)
{
    for (uint32_t i = 0; i < read->objects.count; i++)
        if (read->objects.items[i].kind == TR_OBJECT_SCHEMA && strcmp(read->objects.items[i].name, name) == 0)
            return;
    if (strcmp(name, "pg_catalog") == 0)
        return;
    struct tr_object object = { .kind = TR_OBJECT_SCHEMA, .name = name, .schema = name };
    tr_schema_push(&read->objects, &object);
}

int
tr_schema_read_extensions(struct tr_schema_read *read)
{
    PGresult *res = NULL;
    int rc = versioned_query(read, extensions_query, MULTIRANGES, "", &res);
    for (int row = 0; rc == 0 && row < PQntuples(res); row++)
        need_schema(read, tr_schema_cell(read, res, row, 1));
    for (int row = 0; rc == 0 && row < PQntuples(res); row++) {
        struct tr_object object = { .kind = TR_OBJECT_EXTENSION };
        object.name = tr_schema_cell(read, res, row, 0);
        object.schema = tr_schema_cell(read, res, row, 1);
        tr_schema_push(&read->objects, &object);
    }
    PQclear(res);
    return rc;
}

int
tr_schema_read_required(struct tr_schema_read *read)
{
    PGresult *res = NULL;
    int rc = tr_schema_query(read, required_query, &res);
    for (int row = 0; rc == 0 && row < PQntuples(res); row++) {
        struct tr_object object = { .kind = PQgetvalue(res, row, 0)[0] == 'f' ? TR_OBJECT_FUNCTION
                                                                              : TR_OBJECT_COLLATION };
        object.name = tr_schema_cell(read, res, row, 1);
        object.schema = "";
        object.comment = tr_schema_cell(read, res, row, 2);
        tr_schema_push(&read->objects, &object);
    }
    PQclear(res);
    return rc;
}

/* ---- types */

static int
row_of_type(const PGresult *res, unsigned long oid)
{
    for (int row = 0; row < PQntuples(res); row++)
        if (tr_schema_oid(res, row, Y_OID) == oid)
            return row;
    return -1;
}

/* Parts first. PostgreSQL allows no cycles here but through arrays of the type itself, which `seen` ends. */
static void
push_type(struct tr_schema_read *read, const PGresult *res, int row, bool *seen)
{
    if (seen[row])
        return;
    seen[row] = true;
    const char *parts = tr_schema_peek(res, row, Y_PARTS);
    for (char *end; parts != NULL && *parts != '\0'; parts = *end == ' ' ? end + 1 : end) {
        int part = row_of_type(res, strtoul(parts, &end, 10));
        if (end == parts)
            break;
        if (part >= 0)
            push_type(read, res, part, seen);
    }
    struct tr_object object = { .kind = PQgetvalue(res, row, Y_TYPE)[0] == 'd' ? TR_OBJECT_DOMAIN
                                                                               : TR_OBJECT_TYPE };
    object.schema = tr_schema_cell(read, res, row, Y_SCHEMA);
    object.name = tr_schema_cell(read, res, row, Y_NAME);
    object.native = tr_schema_cell(read, res, row, Y_NATIVE);
    object.comment = tr_schema_cell(read, res, row, Y_COMMENT);
    tr_schema_push(&read->objects, &object);
}

int
tr_schema_read_types(struct tr_schema_read *read)
{
    PGresult *res = NULL;
    int rc = versioned_query(
        read, types_query, MULTIRANGES,
        " || ', MULTIRANGE_TYPE_NAME = ' || (SELECT quote_ident(mn.nspname) || '.' || quote_ident(m.typname) FROM pg_type m"
        " JOIN pg_namespace mn ON mn.oid = m.typnamespace WHERE m.oid = r.rngmultitypid)",
        &res);
    if (rc == 0 && PQntuples(res) > 0) {
        bool *seen = tr_calloc((size_t)PQntuples(res), sizeof(*seen));
        for (int row = 0; row < PQntuples(res); row++)
            push_type(read, res, row, seen);
        free(seen);
    }
    PQclear(res);
    return rc;
}

/* ---- sequences */

static int64_t
number(const PGresult *res, int row, int column)
{
    return strtoll(PQgetvalue(res, row, column), NULL, 10);
}

static const char *
sequence_text(struct tr_schema_read *read, const struct tr_object *object, const char *type)
{
    struct tr_buffer text;
    tr_buffer_init(&text, 1024);
    tr_buffer_printf(&text,
                     "AS %s START WITH %" PRId64 " INCREMENT BY %" PRId64 " MINVALUE %" PRId64
                     " MAXVALUE %" PRId64 " CACHE %" PRId64 "%s",
                     type, object->start, object->increment, object->minimum, object->maximum, object->cache,
                     object->cycle ? " CYCLE" : "");
    const char *copy = tr_arena_copy(&read->schema->arena, text.data, text.len);
    tr_buffer_fini(&text);
    return copy;
}

static struct tr_object
sequence_object(struct tr_schema_read *read, const PGresult *res, int row)
{
    struct tr_object object = { .kind = TR_OBJECT_SEQUENCE };
    object.schema = tr_schema_cell(read, res, row, S_SCHEMA);
    object.name = tr_schema_cell(read, res, row, S_NAME);
    object.comment = tr_schema_cell(read, res, row, S_COMMENT);
    object.start = number(res, row, S_START);
    object.increment = number(res, row, S_INCREMENT);
    object.minimum = number(res, row, S_MIN);
    object.maximum = number(res, row, S_MAX);
    object.cache = number(res, row, S_CACHE);
    object.cycle = tr_schema_bool(res, row, S_CYCLE);
    object.native = sequence_text(read, &object, PQgetvalue(res, row, S_TYPE));
    object.ref = tr_schema_table_of(read, tr_schema_oid(res, row, S_OWNER));
    if (object.ref > 0) {
        const struct tr_relation *relation = read->schema->tables[object.ref - 1].relation;
        object.ref_schema = relation->schema;
        object.ref_table = relation->name;
        object.owned_column = tr_schema_cell(read, res, row, S_COLUMN);
        object.is_identity = PQgetvalue(res, row, S_DEPEND)[0] == 'i';
    }
    return object;
}

/* The values of some sequences, one query: pg_sequences hides whether one was called. Returns 1 when one is new. */
static int
ask_values(struct tr_postgres_source *source, struct tr_object *const *sequences, size_t count,
           struct tr_error *err)
{
    struct tr_buffer sql;
    PGresult *res = NULL;
    int changed = 0;
    if (count == 0)
        return 0;
    tr_buffer_init(&sql, (size_t)1 << 20);
    for (size_t i = 0; i < count; i++) {
        tr_buffer_printf(&sql, "%sSELECT %zu, last_value, is_called FROM ", i > 0 ? " UNION ALL " : "", i);
        tr_pg_qualified(&sql, sequences[i]->schema, sequences[i]->name);
    }
    int rc = tr_postgres_query(source, sql.data, 0, NULL, &res, err);
    for (int row = 0; rc == 0 && row < PQntuples(res); row++) {
        struct tr_object *object = sequences[number(res, row, 0)];
        int64_t value = number(res, row, 1);
        bool called = tr_schema_bool(res, row, 2);
        changed |= value != object->last_value || called != object->is_called;
        object->last_value = value;
        object->is_called = called;
        object->value_known = true;
    }
    PQclear(res);
    tr_buffer_fini(&sql);
    return rc < 0 ? rc : changed;
}

static int
read_values(struct tr_schema_read *read, struct tr_object *const *sequences, size_t count)
{
    int rc = ask_values(read->source, sequences, count, read->err);
    return rc < 0 ? rc : 0;
}

int
tr_postgres_sequences(struct tr_source *base, struct tr_schema *schema, struct tr_error *err)
{
    struct tr_object *some[VALUES_AT_ONCE];
    size_t count = 0;
    int rc = 0, changed = 0;
    for (uint32_t i = 0; rc >= 0 && i <= schema->nobjects; i++) {
        /* The schema is ours, made on the heap, and lent to be changed. */
        struct tr_object *object = i < schema->nobjects ? (struct tr_object *)(uintptr_t)&schema->objects[i]
                                                        : NULL;
        if (object != NULL && object->kind == TR_OBJECT_SEQUENCE && object->value_known)
            some[count++] = object;
        if (count < VALUES_AT_ONCE && object != NULL)
            continue;
        rc = ask_values(tr_postgres(base), some, count, err);
        changed |= rc > 0;
        count = 0;
    }
    return rc < 0 ? tr_error_prefix(err, "source: cannot read the values of sequences") : changed;
}

static int
read_all_values(struct tr_schema_read *read, const PGresult *res, uint32_t first)
{
    struct tr_object *some[VALUES_AT_ONCE];
    size_t count = 0;
    int rc = 0;
    for (int row = 0; rc == 0 && row < PQntuples(res); row++) {
        struct tr_object *object = &read->objects.items[first + (uint32_t)row];
        if (!tr_schema_bool(res, row, S_READABLE)) {
            tr_schema_note(
                read, object->name,
                "the sequence's value is not carried: the source's role may not read it (GRANT SELECT ON SEQUENCE)");
            continue;
        }
        some[count++] = object;
        if (count < VALUES_AT_ONCE)
            continue;
        rc = read_values(read, some, count);
        count = 0;
    }
    return rc == 0 ? read_values(read, some, count) : rc;
}

int
tr_schema_read_sequences(struct tr_schema_read *read)
{
    PGresult *res = NULL;
    int rc = tr_schema_query(read, sequences_query, &res);
    uint32_t first = read->objects.count;
    for (int row = 0; rc == 0 && row < PQntuples(res); row++) {
        struct tr_object object = sequence_object(read, res, row);
        tr_schema_push(&read->objects, &object);
    }
    if (rc == 0)
        rc = read_all_values(read, res, first);
    for (uint32_t i = first; rc == 0 && i < read->objects.count; i++)
        if (read->objects.items[i].ref > 0)
            tr_schema_push(&read->table_objects[read->objects.items[i].ref - 1], &read->objects.items[i]);
    PQclear(res);
    return rc;
}
