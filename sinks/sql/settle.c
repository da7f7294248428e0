/* settle.c - a change that does not fit the target: the policy, and the words for the operator (careful.h). */
#include <stdio.h>
#include <string.h>

#include "core/text.h"
#include "sinks/sql/careful.h"

#define KEY_MAX 4096

enum tr_sql_conflict_policy
tr_sql_conflict_policy(const char *text)
{
    return strcmp(text, "overwrite") == 0 ? TR_SQL_CONFLICT_OVERWRITE
           : strcmp(text, "skip") == 0    ? TR_SQL_CONFLICT_SKIP
                                          : TR_SQL_CONFLICT_STOP;
}

void
tr_sql_key_text(const struct tr_sql_map *map, const struct tr_value *image, struct tr_buffer *out)
{
    const struct tr_relation *relation = map->relation;
    struct tr_buffer scratch;
    struct tr_error ignored;
    tr_buffer_init(&scratch, TR_BUFFER_MAX);
    for (uint16_t i = 0; i < map->nkey; i++) {
        const struct tr_column *column = &relation->columns[map->key[i]];
        const struct tr_value *value = &image[map->key[i]];
        const char *text = NULL;
        size_t len = 0;
        tr_buffer_printf(out, "%s%s=", i > 0 ? ", " : "", column->name);
        if (value->state != TR_PRESENT ||
            tr_value_text(relation, column, value, &scratch, &text, &len, &ignored) < 0)
            tr_buffer_text(out, value->state == TR_NULL ? "NULL" : "?");
        else
            tr_text_printable(out, text, len < 64 ? len : 64);
    }
    if (map->nkey == 0)
        tr_buffer_text(out, "no key");
    tr_buffer_fini(&scratch);
}

static const char *
verb(const struct tr_event *event)
{
    return event->kind == TR_UPDATE ? "update" : event->kind == TR_DELETE ? "delete" : "insert";
}

static void
position_text(const struct tr_sql_careful *c, const struct tr_event *event, char out[24])
{
    if (strcmp(c->apply->env->source_name, "postgresql") == 0)
        snprintf(out, 24, "%X/%X", (unsigned)(event->position >> 32), (unsigned)event->position);
    else
        snprintf(out, 24, "%llu", (unsigned long long)event->position);
}

int
tr_sql_refuse_row(const struct tr_sql_careful *c, const struct tr_sql_map *map, const struct tr_event *event,
                  const char *key, const struct tr_error *failure, struct tr_error *err)
{
    const struct tr_error copy = *failure;
    char position[24];
    position_text(c, event, position);
    tr_fail(err, TR_CONFLICT, "%s: the %s of the row with %s at %s does not fit the target: %s", map->label,
            verb(event), key, position, copy.text);
    memcpy(err->sqlstate, copy.sqlstate, sizeof err->sqlstate);
    if (!c->driver->advise(map, &copy, err))
        tr_error_hint(err,
                      "mend the row at the target and start again, or set on_conflict to overwrite or skip");
    return -TR_CONFLICT;
}

static int
stop(const struct tr_sql_careful *c, const struct tr_sql_change *change, const struct tr_value *image,
     const struct tr_error *failure, struct tr_error *err)
{
    struct tr_buffer key;
    tr_buffer_init(&key, KEY_MAX);
    tr_sql_key_text(change->map, image, &key);
    int rc = tr_sql_refuse_row(c, change->map, change->event, key.data, failure, err);
    tr_buffer_fini(&key);
    return rc;
}

static void
tell(struct tr_sql_careful *c, const struct tr_sql_change *change, const struct tr_value *image,
     const char *what, const struct tr_error *failure)
{
    const struct tr_sink_env *env = c->apply->env;
    struct tr_buffer key;
    char position[24];
    tr_buffer_init(&key, KEY_MAX);
    tr_sql_key_text(change->map, image, &key);
    position_text(c, change->event, position);
    tr_log(env->log, TR_LOG_WARNING, "sink", "%s: %s of the row with %s at %s %s: %s", change->map->label,
           verb(change->event), key.data, position, what, failure->text);
    tr_buffer_fini(&key);
    c->apply->counts.conflicts++;
    env->conflict(env->arg, change->map->label, what);
}

int
tr_sql_settle(struct tr_sql_careful *c, const struct tr_sql_change *change, const struct tr_value *image,
              const struct tr_error *failure, struct tr_error *err)
{
    if (c->policy == TR_SQL_CONFLICT_STOP)
        return stop(c, change, image, failure, err);
    if (c->policy == TR_SQL_CONFLICT_OVERWRITE) {
        struct tr_error again;
        int rc = c->driver->overwrite(c, change, failure, &again);
        if (rc < 0 && again.class == TR_CONFLICT)
            return stop(c, change, image, &again, err);
        if (rc < 0) {
            *err = again;
            return rc;
        }
    }
    tell(c, change, image, c->policy == TR_SQL_CONFLICT_OVERWRITE ? "overwritten" : "skipped", failure);
    return 0;
}
