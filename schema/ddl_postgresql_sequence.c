/* ddl_postgresql_sequence.c - sequences of a PostgreSQL target. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "schema/ddl_postgresql.h"
#include "schema/sequence.h"

void
tr_pg_ddl_sequence(struct tr_ddl_builder *b, const struct tr_object *object)
{
    struct tr_object s;
    struct tr_buffer *out = &b->text;
    if (!tr_ddl_sequence_fit(b, object, INT64_MIN, INT64_MAX, &s))
        return;
    tr_buffer_text(out, "CREATE SEQUENCE ");
    qualified(out, s.schema, s.name);
    tr_buffer_printf(out,
                     " AS bigint START WITH %" PRId64 " INCREMENT BY %" PRId64 " MINVALUE %" PRId64
                     " MAXVALUE %" PRId64 " CACHE %" PRId64 "%s",
                     s.start, s.increment != 0 ? s.increment : 1, s.minimum, s.maximum,
                     s.cache > 0 ? s.cache : 1, s.cycle ? " CYCLE" : "");
    if (s.increment == 0)
        tr_ddl_note_sequence(b, object,
                             "counts by the server's auto_increment_increment; the target counts by ones");
    if (s.comment != NULL) {
        tr_buffer_text(out, ";\nCOMMENT ON SEQUENCE ");
        qualified(out, s.schema, s.name);
        tr_buffer_text(out, " IS ");
        literal(out, s.comment);
    }
    tr_ddl_add(b, (struct tr_ddl_statement){ .phase = TR_DDL_BEFORE,
                                             .kind = TR_OBJECT_SEQUENCE,
                                             .schema = s.schema,
                                             .name = s.name,
                                             .table = TR_DDL_NO_TABLE });
}

bool
tr_pg_ddl_nextval(struct tr_ddl_builder *b, const char *from, const char *text, struct tr_buffer *out)
{
    struct tr_sequence_call call;
    struct tr_buffer name;
    struct tr_object fit;
    if (!tr_sequence_alone(&b->ddl->arena, text, &call) || !call.next)
        return false;
    const struct tr_object *object = tr_sequence_called(b->schema, &call, from);
    if (object == NULL || !tr_sequence_fit(object, INT64_MIN, INT64_MAX, &fit))
        return false;
    tr_buffer_init(&name, 4096);
    qualified(&name, object->schema, object->name);
    tr_buffer_text(out, "nextval(");
    literal(out, name.data);
    tr_buffer_byte(out, ')');
    tr_buffer_fini(&name);
    return true;
}

/* An ascending sequence is only ever moved up, so that a target that went on by itself hands out no number twice. What is not called is given out next. */
void
tr_pg_ddl_sequence_value(struct tr_ddl_builder *b, const struct tr_object *object)
{
    struct tr_buffer *out = &b->text;
    struct tr_object fit = *object;
    const struct tr_table *owner = object->ref > 0 ? &b->schema->tables[object->ref - 1] : NULL;
    if (!object->value_known || (object->is_identity && owner == NULL))
        return;
    if (strcmp(b->schema->dialect, "postgresql") != 0 && !tr_sequence_fit(object, INT64_MIN, INT64_MAX, &fit))
        return;
    object = &fit;
    struct tr_buffer name;
    tr_buffer_init(&name, 4096);
    if (object->is_identity)
        qualified(&name, owner->relation->target_schema, owner->relation->target_name);
    else
        qualified(&name, object->schema, object->name);
    tr_buffer_printf(
        out,
        "SELECT setval(q.seq, CASE WHEN q.keep THEN q.last ELSE %" PRId64
        " END, CASE WHEN q.keep THEN q.called ELSE %s END) FROM (SELECT s.seqrelid::regclass AS seq, ",
        object->last_value, object->is_called ? "true" : "false");
    tr_buffer_printf(
        out,
        "pg_sequence_last_value(s.seqrelid) AS last, true AS called, COALESCE(pg_sequence_last_value(s.seqrelid) %s %" PRId64
        ", false) AS keep FROM pg_sequence s WHERE s.seqrelid = ",
        object->increment < 0 ? (object->is_called ? "<" : "<=") : (object->is_called ? ">" : ">="),
        object->last_value);
    if (object->is_identity) {
        tr_buffer_text(out, "pg_get_serial_sequence(");
        literal(out, name.data);
        tr_buffer_text(out, ", ");
        literal(out, object->owned_column);
        tr_buffer_text(out, ")::regclass) q");
    } else {
        literal(out, name.data);
        tr_buffer_text(out, "::regclass) q");
    }
    tr_buffer_fini(&name);
    char reached[24];
    snprintf(reached, sizeof reached, "%" PRId64, object->last_value);
    tr_ddl_add(b, (struct tr_ddl_statement){
                      .phase = TR_DDL_END,
                      .kind = TR_OBJECT_SEQUENCE,
                      .schema = object->schema,
                      .name = object->name,
                      .table = TR_DDL_NO_TABLE,
                      .native = object->is_called ? tr_arena_strdup(&b->ddl->arena, reached) : NULL });
}
