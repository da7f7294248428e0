/* notices.c - records that are of no table: signs of life, and the statements that changed the schema. As JSON. */
#include <string.h>
#include <strings.h>

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

/* Where the table is that it changes, behind the statement; a statement of no table is of its default database. */
const char *
ddl_database(const struct tr_event *event)
{
    uint32_t at = CHANGE_FIRST;
    bool changes = change_next(event, &at);
    const char *database = changes                  ? event->ddl.tables[at].schema
                           : event->ddl.ntables > 0 ? event->ddl.tables[0].schema
                                                    : event->ddl.database;
    return database != NULL ? database : "";
}

/* What kind of thing a statement is about that is of no table, by the first word that tells: CREATE DEFINER=`a`@`b` VIEW. Or NULL. */
static const char *
ddl_object(const char *text)
{
    static const char *const objects[] = { "DATABASE", "SCHEMA",   "VIEW",    "PROCEDURE",
                                           "FUNCTION", "TRIGGER",  "PACKAGE", "TEMPORARY",
                                           "EVENT",    "SEQUENCE", "SERVER",  "TABLE" };
    while (*text != '\0') {
        size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_");
        for (size_t i = 0; i < sizeof(objects) / sizeof(objects[0]); i++)
            if (strlen(objects[i]) == len && strncasecmp(text, objects[i], len) == 0)
                return objects[i];
        const char *close = *text == '`' || *text == '\'' || *text == '"' ? strchr(text + 1, *text) : NULL;
        text = close != NULL ? close + 1 : text + (len > 0 ? len : 1);
    }
    return NULL;
}

/* Debezium's reader passes over what has no rows to follow. */
static bool
is_told(const struct tr_event *event)
{
    static const char *const silent[] = {
        "VIEW", "PROCEDURE", "FUNCTION", "TRIGGER", "PACKAGE", "TEMPORARY"
    };
    const char *object = event->ddl.verb == TR_VERB_OTHER ? ddl_object(event->ddl.text) : NULL;
    for (size_t i = 0; object != NULL && i < sizeof(silent) / sizeof(silent[0]); i++)
        if (strcmp(object, silent[i]) == 0)
            return false;
    return true;
}

/* The source block's `table`: all that change, under the names that they have behind the statement. */
static void
name_tables(const struct tr_event *event, struct tr_buffer *out)
{
    struct tr_buffer names;
    const char *object = event->ddl.verb == TR_VERB_OTHER ? ddl_object(event->ddl.text) : NULL;
    tr_buffer_init(&names, TR_BUFFER_MAX);
    for (uint32_t i = CHANGE_FIRST; change_next(event, &i);) {
        tr_buffer_text(&names, names.len > 0 ? "," : "");
        tr_buffer_text(&names, event->ddl.tables[i].name);
    }
    json_literal(out, ",\"table\":");
    if (event->ddl.verb == TR_VERB_OTHER &&
        (object == NULL || strcmp(object, "DATABASE") == 0 || strcmp(object, "SCHEMA") == 0) &&
        strncasecmp(event->ddl.text, "ALTER", 5) != 0)
        json_literal(out, "null");
    else
        tr_json_string(out, names.len > 0 ? names.data : "", names.len);
    json_literal(out, ",\"server_id\":");
    tr_buffer_fini(&names);
}

/* One of the tables of a statement that changes several, as a statement of its own. */
static void
part_of_statement(const struct tr_event *event, uint32_t at, struct tr_buffer *out)
{
    const struct tr_ddl_table *table = &event->ddl.tables[at];
    const char *text = event->ddl.text;
    if (event->ddl.verb == TR_VERB_RENAME_TABLE) {
        json_literal(out, "RENAME TABLE ");
        tr_buffer_add(out, text + table[-1].at, table->at + table->len - table[-1].at);
        return;
    }
    const char *exists = strcasestr(text, "EXISTS");
    bool guarded = exists != NULL && exists < text + event->ddl.tables[0].at;
    tr_buffer_text(out, guarded ? "DROP TABLE IF EXISTS " : "DROP TABLE ");
    const char *const names[] = { table->schema, table->name };
    for (int i = 0; i < 2; i++) {
        tr_buffer_text(out, i > 0 ? ".`" : "`");
        for (const char *c = names[i]; *c != '\0'; c++) {
            tr_buffer_text(out, *c == '`' ? "`" : "");
            tr_buffer_byte(out, *c);
        }
        tr_buffer_byte(out, '`');
    }
}

struct change {
    struct json_encoder *enc;
    const struct tr_batch *batch;
    const struct tr_txn *txn;
    const struct tr_event *event;
    const struct tr_emit *emit;
};

/* A statement, and the shape that its table `at` has behind it. */
static int
emit_change(const struct change *change, uint32_t at, const char *text, size_t len, struct tr_error *err)
{
    struct json_encoder *enc = change->enc;
    const struct tr_event *event = change->event;
    struct tr_buffer *key = &enc->key, *value = &enc->value, table;
    const char *database = at < event->ddl.ntables ? event->ddl.tables[at].schema : ddl_database(event);
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
    source_append(enc, change->batch, change->txn, event, table.data, (uint32_t)table.len, value);
    tr_buffer_fini(&table);
    tail_append(enc, true, value);
    json_literal(value, ",\"databaseName\":");
    tr_json_string(value, database, strlen(database));
    json_literal(value, ",\"schemaName\":null,\"ddl\":");
    tr_json_string(value, text, len);
    json_literal(value, ",\"tableChanges\":");
    changes_append(event, at, value);
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
    return change->emit->message(change->emit->arg, &message, err);
}

/* The statement as the log has it; of one that renames or drops tables a record for each. */
int
debezium_ddl(struct json_encoder *enc, const struct tr_batch *batch, const struct tr_txn *txn,
             const struct tr_event *event, const struct tr_emit *emit, struct tr_error *err)
{
    const struct change change = { enc, batch, txn, event, emit };
    uint32_t at = CHANGE_FIRST;
    if (!is_told(event))
        return 0;
    if (event->ddl.verb != TR_VERB_RENAME_TABLE && event->ddl.verb != TR_VERB_DROP_TABLE) {
        bool changes = change_next(event, &at);
        return emit_change(&change, changes ? at : CHANGE_FIRST, event->ddl.text, strlen(event->ddl.text),
                           err);
    }
    struct tr_buffer part;
    int rc = 0;
    tr_buffer_init(&part, TR_BUFFER_MAX);
    while (rc == 0 && change_next(event, &at)) {
        tr_buffer_reset(&part);
        part_of_statement(event, at, &part);
        rc = emit_change(&change, at, part.data, part.len, err);
    }
    tr_buffer_fini(&part);
    return rc;
}
