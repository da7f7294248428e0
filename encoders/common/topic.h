/* topic.h - under which topic a table's events go, and by which columns they are keyed: what all formats share. docs/sink-kafka.md */
#ifndef TR_ENCODERS_COMMON_TOPIC_H
#define TR_ENCODERS_COMMON_TOPIC_H

#include "core/arena.h"
#include "core/relation.h"
#include "encoders/encoder.h"

/* Rows of every format's table of options. */
#define TOPIC_OPTIONS                                                                                         \
    { .name = "topic_prefix",                                                                                 \
      .section = "target",                                                                                    \
      .type = TR_OPTION_STRING,                                                                               \
      .help = "logical name: the first part of every topic, and source.name (default: the task's name)" },    \
        { .name = "topic_delimiter",                                                                          \
          .section = "target",                                                                                \
          .type = TR_OPTION_STRING,                                                                           \
          .value = ".",                                                                                       \
          .help = "between the parts of a topic's name" },                                                    \
        { .name = "topic",                                                                                    \
          .section = "target",                                                                                \
          .type = TR_OPTION_STRING,                                                                           \
          .help =                                                                                             \
              "name of a table's topic, with {prefix}, {database}, {schema} and {table} filled in (default: " \
              "{prefix}.{schema}.{table})" },                                                                 \
        { .name = "topic_routes",                                                                             \
          .section = "target",                                                                                \
          .type = TR_OPTION_LIST,                                                                             \
          .help = "other topics for some tables: PATTERN=TOPIC, the first that fits counts" },                \
    {                                                                                                         \
        .name = "message_key_columns", .section = "target", .type = TR_OPTION_STRING,                         \
        .help = "key columns other than the primary key: PATTERN:COLUMN,COLUMN;PATTERN:COLUMN"                \
    }

struct topic_namer {
    const char *prefix, *delimiter;
    const char *name_template; /* NULL = the default */
    const char *const *routes;
    size_t nroutes;
    const char *key_columns; /* NULL = none */
};

/* From the settings; borrows them. Refuses a place that is not known, a route or a key that is none. */
int topic_namer_init(struct topic_namer *namer, const struct tr_encoder_env *env, struct tr_error *err);

/* `a.b.c` with what Kafka does not allow replaced and no longer than it allows; NULL parts are left out. In the arena. */
const char *topic_join(struct tr_arena *arena, const char *delimiter, const char *a, const char *b,
                       const char *c);

/* The topic of a table: its route, else the template, else prefix, schema and table. In the arena. */
const char *topic_of_table(const struct topic_namer *namer, struct tr_arena *arena,
                           const struct tr_relation *relation);

/* Does more than one table land there, so that keys need not be unique? */
bool topic_is_shared(const struct topic_namer *namer, const struct tr_relation *relation);

/*
 * The columns of a message's key: those that message_key_columns names for the table, else the primary key, else those of the index that the
 * replica identity names (also where a primary key is not in it), else of a unique index. Refuses a column that the table has not.
 */
int topic_key_columns(const struct topic_namer *namer, struct tr_arena *arena,
                      const struct tr_relation *relation, const uint16_t **keys, uint16_t *nkeys,
                      struct tr_error *err);

/* A key that is not known would be another row's, or none's: refuses it. */
int topic_fail_key(const struct tr_relation *relation, const char *column, struct tr_error *err);

#endif
