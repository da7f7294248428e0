/* schema_keys.c - constraints and indexes of the tables, and the objects around them that are not carried. */
#include <stdlib.h>
#include <string.h>

#include "capture/postgres/schema_internal.h"

/*
 * Constraints that a partition has from its parent come with the parent's; a foreign key that names a partitioned table has helpers of its own for
 * each partition there. The prefix of a foreign key's text is built here as the server builds it, to be cut off in C.
 */
static const char constraints_query[] =
    "SELECT c.conrelid, c.conname, c.contype, pg_get_constraintdef(c.oid), c.condeferrable, c.conkey::int2[]::text, c.conparentid <> 0,"
    " c.confrelid, rn.nspname, rc.relname, coalesce(i.indisreplident, false), obj_description(c.oid, 'pg_constraint'),"
    " CASE WHEN c.contype = 'f' THEN format('FOREIGN KEY (%s) REFERENCES %s', (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY k.place)"
    "  FROM unnest(c.conkey) WITH ORDINALITY k(num, place) JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.num), c.confrelid::regclass) END,"
    " (SELECT string_agg(a.attname, E'\\x01' ORDER BY k.place) FROM unnest(c.confkey) WITH ORDINALITY k(num, place)"
    "  JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.num), c.confupdtype, c.confdeltype, coalesce(array_length(c.confkey, 1), 0)"
    " FROM pg_constraint c LEFT JOIN pg_constraint pc ON pc.oid = c.conparentid"
    " LEFT JOIN pg_index i ON i.indexrelid = c.conindid AND c.contype IN ('p', 'u', 'x')"
    " LEFT JOIN pg_class rc ON rc.oid = c.confrelid LEFT JOIN pg_namespace rn ON rn.oid = rc.relnamespace"
    " WHERE c.conrelid = ANY ($1::oid[]) AND (c.contype IN ('p', 'u', 'x', 'f') OR (c.contype = 'c' AND NOT c.convalidated))"
    " AND pc.conrelid IS DISTINCT FROM c.conrelid ORDER BY c.conrelid, c.conname";

enum {
    K_TABLE,
    K_NAME,
    K_TYPE,
    K_TEXT,
    K_DEFERRABLE,
    K_COLUMNS,
    K_INHERITED,
    K_REF,
    K_REF_SCHEMA,
    K_REF_TABLE,
    K_IDENTITY,
    K_COMMENT,
    K_PREFIX,
    K_REF_COLUMNS,
    K_ON_UPDATE,
    K_ON_DELETE,
    K_REF_COUNT
};

static const char indexes_query[] =
    "SELECT i.indrelid, c.relname, n.nspname, pg_get_indexdef(i.indexrelid),"
    " format('CREATE %sINDEX %I ON %s%s ', CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END, c.relname, CASE WHEN c.relkind = 'I' THEN 'ONLY ' ELSE '' END, i.indrelid::regclass),"
    " i.indisunique, i.indisvalid, i.indisreplident, (string_to_array(i.indkey::text, ' ')::int2[])[1:i.indnkeyatts]::text,"
    " i.indexprs IS NOT NULL OR i.indpred IS NOT NULL, c.relispartition, obj_description(c.oid, 'pg_class')"
    " FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE i.indrelid = ANY ($1::oid[])"
    " AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u', 'x'))"
    " ORDER BY i.indrelid, c.relname";

enum {
    I_TABLE,
    I_NAME,
    I_SCHEMA,
    I_TEXT,
    I_PREFIX,
    I_UNIQUE,
    I_VALID,
    I_IDENTITY,
    I_COLUMNS,
    I_EXPRESSION,
    I_PARTITION,
    I_COMMENT
};

static const char not_carried_query[] =
    "SELECT tgrelid, 'trigger', string_agg(tgname, ', ' ORDER BY tgname), bool_or(tgenabled <> 'D') FROM pg_trigger"
    " WHERE tgrelid = ANY ($1::oid[]) AND NOT tgisinternal GROUP BY 1"
    " UNION ALL SELECT polrelid, 'policy', string_agg(polname, ', ' ORDER BY polname), false FROM pg_policy WHERE polrelid = ANY ($1::oid[]) GROUP BY 1"
    " UNION ALL SELECT ev_class, 'rule', string_agg(rulename, ', ' ORDER BY rulename), false FROM pg_rewrite WHERE ev_class = ANY ($1::oid[]) GROUP BY 1"
    " UNION ALL SELECT stxrelid, 'statistics', string_agg(stxname, ', ' ORDER BY stxname), false FROM pg_statistic_ext WHERE stxrelid = ANY ($1::oid[]) GROUP BY 1"
    " ORDER BY 1, 2";

/* "{1,3}" attribute numbers into indexes of the relation's columns. False when one is not among them (not published). Zero stands for an expression. */
static bool
map_columns(struct tr_schema_read *read, const struct tr_relation *relation, const char *text,
            struct tr_object *object)
{
    uint16_t columns[1664];
    uint16_t count = 0;
    bool whole = true;
    for (const char *at = text; at != NULL && *at != '\0' && count < sizeof(columns) / sizeof(columns[0]);
         at++) {
        char *end;
        unsigned long number = strtoul(at, &end, 10);
        if (end == at)
            continue;
        at = end;
        bool found = number == 0;
        for (uint16_t c = 0; c < relation->ncolumns && number > 0; c++) {
            if (relation->columns[c].number != number)
                continue;
            columns[count++] = c;
            found = true;
            break;
        }
        whole = whole && found;
        if (*at == '\0')
            break;
    }
    object->columns = (const uint16_t *)tr_arena_copy(&read->schema->arena, columns,
                                                      count * sizeof(columns[0]));
    object->ncolumns = count;
    return whole;
}

static const char *
action_name(char action)
{
    switch (action) {
    case 'c': return "CASCADE";
    case 'n': return "SET NULL";
    case 'd': return "SET DEFAULT";
    case 'r': return "RESTRICT";
    default: return "NO ACTION";
    }
}

static enum tr_object_kind
constraint_kind(char type)
{
    switch (type) {
    case 'p': return TR_OBJECT_PRIMARY_KEY;
    case 'u': return TR_OBJECT_UNIQUE;
    case 'x': return TR_OBJECT_EXCLUSION;
    case 'c': return TR_OBJECT_CHECK;
    default: return TR_OBJECT_FOREIGN_KEY;
    }
}

/* Fills the foreign key's part. False when it cannot be carried (a note says so). */
static bool
foreign_key(struct tr_schema_read *read, const PGresult *res, int row, uint32_t table,
            struct tr_object *object)
{
    const char *text = PQgetvalue(res, row, K_TEXT), *prefix = PQgetvalue(res, row, K_PREFIX);
    size_t len = strlen(prefix);
    object->ref_schema = tr_schema_cell(read, res, row, K_REF_SCHEMA);
    object->ref_table = tr_schema_cell(read, res, row, K_REF_TABLE);
    object->ref = tr_schema_table_of(read, tr_schema_oid(res, row, K_REF));
    object->on_update = action_name(PQgetvalue(res, row, K_ON_UPDATE)[0]);
    object->on_delete = action_name(PQgetvalue(res, row, K_ON_DELETE)[0]);
    if (object->ref == 0) {
        tr_schema_note(read, tr_schema_name_of(read, table),
                       "foreign key %s is not made: it refers to %s.%s, which is not part of the task",
                       object->name, object->ref_schema, object->ref_table);
        return false;
    }
    if (strncmp(text, prefix, len) != 0 || text[len] != '(') {
        tr_schema_note(read, tr_schema_name_of(read, table),
                       "foreign key %s is not made: its form is not known: %s", object->name, text);
        return false;
    }
    object->native = tr_arena_strdup(&read->schema->arena, text + len);
    char *names = tr_arena_strdup(&read->schema->arena, PQgetvalue(res, row, K_REF_COLUMNS));
    size_t count = strtoul(PQgetvalue(res, row, K_REF_COUNT), NULL, 10);
    const char **columns = tr_arena_zalloc(&read->schema->arena, (count + 1) * sizeof(*columns));
    char *rest = NULL;
    for (size_t i = 0; i < count; i++)
        columns[i] = strtok_r(i == 0 ? names : NULL, "\x01", &rest);
    object->ref_columns = columns;
    return true;
}

static void
add_constraint(struct tr_schema_read *read, const PGresult *res, int row)
{
    uint32_t table = tr_schema_table_of(read, tr_schema_oid(res, row, K_TABLE));
    if (table == 0 || (read->schema->tables[table - 1].parent > 0 && tr_schema_bool(res, row, K_INHERITED)))
        return;
    const struct tr_relation *relation = read->schema->tables[--table].relation;
    struct tr_object object = { .kind = constraint_kind(PQgetvalue(res, row, K_TYPE)[0]),
                                .is_constraint = true };
    object.schema = relation->schema;
    object.name = tr_schema_cell(read, res, row, K_NAME);
    object.native = tr_schema_cell(read, res, row, K_TEXT);
    object.deferrable = tr_schema_bool(res, row, K_DEFERRABLE);
    object.is_replica_identity = tr_schema_bool(res, row, K_IDENTITY);
    object.comment = tr_schema_cell(read, res, row, K_COMMENT);
    if (object.kind == TR_OBJECT_CHECK)
        object.expression = object.native;
    if (!map_columns(read, relation, PQgetvalue(res, row, K_COLUMNS), &object)) {
        tr_schema_note(read, tr_schema_name_of(read, table),
                       "%s %s is not made: one of its columns is not published",
                       tr_object_kind_name(object.kind), object.name);
        return;
    }
    if (object.kind == TR_OBJECT_FOREIGN_KEY && !foreign_key(read, res, row, table, &object))
        return;
    tr_schema_push(&read->table_objects[table], &object);
}

int
tr_schema_read_constraints(struct tr_schema_read *read)
{
    PGresult *res = NULL;
    int rc = tr_schema_query(read, constraints_query, &res);
    for (int row = 0; rc == 0 && row < PQntuples(res); row++)
        add_constraint(read, res, row);
    PQclear(res);
    return rc;
}

static void
add_index(struct tr_schema_read *read, const PGresult *res, int row)
{
    uint32_t table = tr_schema_table_of(read, tr_schema_oid(res, row, I_TABLE));
    const char *text = PQgetvalue(res, row, I_TEXT), *prefix = PQgetvalue(res, row, I_PREFIX);
    size_t len = strlen(prefix);
    if (table == 0 || (read->schema->tables[table - 1].parent > 0 && tr_schema_bool(res, row, I_PARTITION)))
        return;
    const struct tr_relation *relation = read->schema->tables[--table].relation;
    struct tr_object object = { .kind = tr_schema_bool(res, row, I_UNIQUE) ? TR_OBJECT_UNIQUE
                                                                           : TR_OBJECT_INDEX };
    object.schema = tr_schema_cell(read, res, row, I_SCHEMA);
    object.name = tr_schema_cell(read, res, row, I_NAME);
    object.has_expression = tr_schema_bool(res, row, I_EXPRESSION);
    object.is_replica_identity = tr_schema_bool(res, row, I_IDENTITY);
    object.comment = tr_schema_cell(read, res, row, I_COMMENT);
    const char *why = NULL;
    if (strncmp(text, prefix, len) != 0)
        why = "its form is not known";
    else if (!tr_schema_bool(res, row, I_VALID))
        why = "it is invalid at the source";
    else if (!map_columns(read, relation, PQgetvalue(res, row, I_COLUMNS), &object))
        why = "one of its columns is not published";
    if (why != NULL) {
        tr_schema_note(read, tr_schema_name_of(read, table), "index %s is not made: %s", object.name, why);
        return;
    }
    object.native = tr_arena_strdup(&read->schema->arena, text + len);
    tr_schema_push(&read->table_objects[table], &object);
}

int
tr_schema_read_indexes(struct tr_schema_read *read)
{
    PGresult *res = NULL;
    int rc = tr_schema_query(read, indexes_query, &res);
    for (int row = 0; rc == 0 && row < PQntuples(res); row++)
        add_index(read, res, row);
    PQclear(res);
    return rc;
}

int
tr_schema_read_not_carried(struct tr_schema_read *read)
{
    PGresult *res = NULL;
    int rc = tr_schema_query(read, not_carried_query, &res);
    for (int row = 0; rc == 0 && row < PQntuples(res); row++) {
        uint32_t table = tr_schema_table_of(read, tr_schema_oid(res, row, 0));
        if (table == 0)
            continue;
        tr_schema_note(read, tr_schema_name_of(read, table - 1), "%s not carried: %s",
                       PQgetvalue(res, row, 1), PQgetvalue(res, row, 2));
        if (strcmp(PQgetvalue(res, row, 1), "trigger") == 0)
            read->schema->tables[table - 1].has_triggers = tr_schema_bool(res, row, 3);
    }
    PQclear(res);
    if (rc == 0 && read->schema->ntables > 0)
        tr_schema_note(
            read, "owners and grants",
            "not carried: what is made at the target belongs to the role that tailrace connects as");
    return rc;
}
