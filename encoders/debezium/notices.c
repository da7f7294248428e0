/* notices.c - records that are of no table: signs of life, and the statements that changed the schema. As JSON. */
#include <string.h>

#include "core/clock.h"
#include "encoders/common/write.h"
#include "encoders/debezium/internal.h"
#include "encoders/debezium/options.h"

int
debezium_heartbeat(struct tr_encoder *base, const struct tr_emit *emit, struct tr_error *err)
{
    struct json_encoder *enc = (struct json_encoder *)base;
    struct tr_buffer *key = &enc->key, *value = &enc->value;
    tr_buffer_reset(key);
    tr_buffer_reset(value);
    if (enc->schemas) {
        schema_of_heartbeat(true, key);
        schema_of_heartbeat(false, value);
    }
    json_literal(key, "{\"serverName\":");
    tr_json_string(key, enc->prefix, strlen(enc->prefix));
    tr_buffer_text(key, enc->schemas ? "}}" : "}");
    json_literal(value, "{\"ts_ms\":");
    tr_buffer_int(value, tr_wall_clock_us() / 1000);
    tr_buffer_text(value, enc->schemas ? "}}" : "}");
    const struct tr_message message = { .topic = enc->heartbeat_topic,
                                        .key = key->data,
                                        .key_len = key->len,
                                        .value = value->data,
                                        .value_len = value->len,
                                        .first_partition = true };
    return emit->message(emit->arg, &message, err);
}

bool
debezium_wants_shapes(const struct tr_settings *settings)
{
    return json_option_bool(settings, "include_schema_changes");
}

/* Where the tables are that it changes; a statement of no table is of its default database. */
const char *
ddl_database(const struct tr_event *event)
{
    const char *database = event->ddl.ntables > 0 ? event->ddl.tables[0].schema : event->ddl.database;
    return database != NULL ? database : "";
}

/* The source block's `table`: all that change, under the names that they have behind the statement. */
static void
name_tables(const struct tr_event *event, struct tr_buffer *out)
{
    struct tr_buffer names;
    tr_buffer_init(&names, TR_BUFFER_MAX);
    for (uint32_t i = CHANGE_FIRST; change_next(event, &i);) {
        tr_buffer_text(&names, names.len > 0 ? "," : "");
        tr_buffer_text(&names, event->ddl.tables[i].name);
    }
    json_literal(out, ",\"table\":");
    if (names.len > 0)
        tr_json_string(out, names.data, names.len);
    else
        json_literal(out, "null");
    json_literal(out, ",\"server_id\":");
    tr_buffer_fini(&names);
}

/* The statement as the log has it, and the shapes that its tables have behind it. */
int
debezium_ddl(struct json_encoder *enc, const struct tr_batch *batch, const struct tr_txn *txn,
             const struct tr_event *event, const struct tr_emit *emit, struct tr_error *err)
{
    struct tr_buffer *key = &enc->key, *value = &enc->value, table;
    const char *database = ddl_database(event);
    tr_buffer_reset(key);
    tr_buffer_reset(value);
    if (enc->schemas) {
        schema_of_change(enc, true, key);
        schema_of_change(enc, false, value);
    }
    json_literal(key, "{\"databaseName\":");
    tr_json_string(key, database, strlen(database));
    tr_buffer_text(key, enc->schemas ? "}}" : "}");
    tr_buffer_byte(value, '{');
    tr_buffer_init(&table, TR_BUFFER_MAX);
    name_tables(event, &table);
    source_append(enc, batch, txn, event, table.data, (uint32_t)table.len, value);
    tr_buffer_fini(&table);
    tail_append(enc, true, value);
    json_literal(value, ",\"databaseName\":");
    tr_json_string(value, database, strlen(database));
    json_literal(value, ",\"schemaName\":null,\"ddl\":");
    tr_json_string(value, event->ddl.text, strlen(event->ddl.text));
    json_literal(value, ",\"tableChanges\":");
    changes_append(event, value);
    tr_buffer_byte(value, '}');
    if (enc->schemas)
        tr_buffer_byte(value, '}');
    if (value->overflow)
        return tr_fail(err, TR_REFUSED,
                       "a statement that changes the schema passes the limit of 1 GiB as JSON");
    const struct tr_message message = { .topic = enc->change_topic,
                                        .key = key->data,
                                        .key_len = key->len,
                                        .value = value->data,
                                        .value_len = value->len,
                                        .event = event,
                                        .first_partition = true };
    return emit->message(emit->arg, &message, err);
}
