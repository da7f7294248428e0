/*
 * ddl_mysql_sequence.c - sequences of a MariaDB target; MySQL has none.
 *
 * From MariaDB all come as they are. A column of PostgreSQL that counts by a sequence of its own is AUTO_INCREMENT here; one that several columns ask, or that belongs to none,
 * becomes a sequence, and so does what a table's second such column asks.
 */
#include <inttypes.h>
#include <string.h>

#include "schema/ddl_mysql.h"
#include "schema/sequence.h"

#define TYPES_SINCE 110500            /* CREATE SEQUENCE ... AS type */
#define LEAST (-INT64_MAX)            /* of a sequence in MariaDB */
#define MOST (INT64_MAX - INT64_C(1)) /* likewise */

static bool
carries(const struct tr_ddl_builder *b)
{
    return b->target.mariadb && (strcmp(b->schema->dialect, "mariadb") == 0 || !tr_my_ddl_is_family(b));
}

/* ---- what the columns of PostgreSQL ask */

/* Does the column own the sequence that its default asks? */
static bool
owns(const struct tr_table *table, const struct tr_column *column, const struct tr_sequence_call *call)
{
    for (uint32_t i = 0; i < table->nobjects; i++) {
        const struct tr_object *object = &table->objects[i];
        if (object->kind == TR_OBJECT_SEQUENCE && object->owned_column != NULL &&
            strcmp(object->owned_column, column->name) == 0 && strcmp(object->name, call->name) == 0 &&
            call->schema != NULL && strcmp(object->schema, call->schema) == 0)
            return true;
    }
    return false;
}

static bool
calls(struct tr_ddl_builder *b, const struct tr_column *column, struct tr_sequence_call *call)
{
    return column->auto_increment && column->default_expression != NULL &&
           tr_sequence_regclass(&b->ddl->arena, column->default_expression, call);
}

/* owned: those that a column owns, of which the first of a table counts by itself; else the others. */
static void
mark_asked(struct tr_ddl_builder *b, const struct tr_table *table, bool *asked, bool owned)
{
    bool counts = false;
    for (uint16_t c = 0; c < table->relation->ncolumns; c++) {
        const struct tr_column *column = &table->relation->columns[c];
        struct tr_sequence_call call;
        if (!calls(b, column, &call) || owns(table, column, &call) != owned)
            continue;
        const struct tr_object *object = owned && !counts && !b->any_asked
                                             ? NULL
                                             : tr_sequence_called(b->schema, &call, "");
        if (object != NULL && (!owned || counts)) {
            asked[object - b->schema->objects] = true;
            b->any_asked = true;
        }
        counts = counts || (owned && (object == NULL || !asked[object - b->schema->objects]));
    }
}

void
tr_my_ddl_find_asked(struct tr_ddl_builder *b)
{
    const struct tr_schema *schema = b->schema;
    if (b->asked != NULL || !carries(b) || tr_my_ddl_is_family(b))
        return;
    bool *asked = tr_arena_zalloc(&b->ddl->arena, schema->nobjects + 1);
    for (int owned = 0; owned < 2; owned++)
        for (uint32_t t = 0; t < schema->ntables; t++)
            if (tr_my_ddl_is_made(&schema->tables[t]))
                mark_asked(b, &schema->tables[t], asked, owned == 1);
    b->asked = asked;
}

const struct tr_object *
tr_my_ddl_asks(struct tr_ddl_builder *b, const struct tr_column *column)
{
    struct tr_sequence_call call;
    if (!b->any_asked || !calls(b, column, &call))
        return NULL;
    const struct tr_object *object = tr_sequence_called(b->schema, &call, "");
    return object != NULL && b->asked[object - b->schema->objects] ? object : NULL;
}

/* ---- making them */

bool
tr_my_ddl_has_sequence(const struct tr_ddl_builder *b, const struct tr_object *object)
{
    return object->kind == TR_OBJECT_SEQUENCE && carries(b) &&
           (tr_my_ddl_is_family(b) || (b->asked != NULL && b->asked[object - b->schema->objects]));
}

void
tr_my_ddl_sequence_name(struct tr_ddl_builder *b, const struct tr_object *object)
{
    tr_my_ddl_identifier(&b->text, tr_my_ddl_database(b, object->schema));
    tr_buffer_byte(&b->text, '.');
    tr_my_ddl_identifier(&b->text, object->name);
}

static void
write_number(struct tr_buffer *out, const char *word, const struct tr_object *s, int64_t number)
{
    if (s->is_unsigned)
        tr_buffer_printf(out, "%s%" PRIu64, word, (uint64_t)number);
    else
        tr_buffer_printf(out, "%s%" PRId64, word, number);
}

/* Numbers above 2^63 need a server that has sequences of a type. */
static bool
fit(struct tr_ddl_builder *b, const struct tr_object *object, bool say, struct tr_object *s)
{
    bool typed = tr_my_ddl_is_family(b) && object->native != NULL && b->target.version >= TYPES_SINCE;
    *s = *object;
    if (typed)
        return true;
    s->native = NULL;
    bool fits = say ? tr_ddl_sequence_fit(b, object, LEAST, MOST, s)
                    : tr_sequence_fit(object, LEAST, MOST, s);
    s->native = NULL;
    return fits;
}

void
tr_my_ddl_sequence(struct tr_ddl_builder *b, const struct tr_object *object)
{
    struct tr_object s;
    if (!fit(b, object, true, &s))
        return;
    tr_buffer_text(&b->text, "CREATE SEQUENCE ");
    tr_my_ddl_sequence_name(b, object);
    if (s.native != NULL)
        tr_buffer_printf(&b->text, " AS %s", s.native);
    write_number(&b->text, " START WITH ", &s, s.start);
    write_number(&b->text, " MINVALUE ", &s, s.minimum);
    write_number(&b->text, " MAXVALUE ", &s, s.maximum);
    tr_buffer_printf(&b->text, " INCREMENT BY %" PRId64, s.increment);
    if (s.cache > 1 || (s.cache == 1 && tr_my_ddl_is_family(b)))
        tr_buffer_printf(&b->text, " CACHE %" PRId64, s.cache);
    else
        tr_buffer_text(&b->text, " NOCACHE");
    tr_buffer_printf(&b->text, " %s ENGINE=InnoDB", s.cycle ? "CYCLE" : "NOCYCLE");
    tr_my_ddl_comment(b, &(struct tr_relation){ .schema = s.schema, .name = s.name }, NULL,
                      " COMMENT=", s.comment, 2048);
    tr_ddl_add(b, (struct tr_ddl_statement){ .phase = TR_DDL_BEFORE,
                                             .kind = TR_OBJECT_SEQUENCE,
                                             .schema = tr_my_ddl_database(b, s.schema),
                                             .name = s.name,
                                             .table = TR_DDL_NO_TABLE });
}

/* SETVAL never goes back: a target that went on by itself keeps its place. */
static void
build_value(struct tr_ddl_builder *b, const struct tr_object *object)
{
    struct tr_object s;
    if (!object->value_known || !fit(b, object, false, &s))
        return;
    tr_buffer_text(&b->text, "SELECT SETVAL(");
    tr_my_ddl_sequence_name(b, object);
    write_number(&b->text, ", ", &s, s.last_value);
    tr_buffer_printf(&b->text, ", %d, %" PRId64 ")", s.is_called, s.round);
    tr_ddl_add(b, (struct tr_ddl_statement){ .phase = TR_DDL_END,
                                             .kind = TR_OBJECT_SEQUENCE,
                                             .schema = tr_my_ddl_database(b, s.schema),
                                             .name = s.name,
                                             .table = TR_DDL_NO_TABLE });
}

void
tr_my_ddl_sequence_end(struct tr_ddl_builder *b, const struct tr_object *object)
{
    if (tr_my_ddl_has_sequence(b, object))
        build_value(b, object);
    else if (tr_my_ddl_is_family(b))
        tr_ddl_note_sequence(b, object, "sequence is not carried: the target has none");
    else if (object->ref == 0)
        tr_ddl_note_sequence(b, object,
                             b->target.mariadb
                                 ? "sequence is not carried: no column is made that counts by it"
                                 : "sequence is not carried: no column owns it");
}
