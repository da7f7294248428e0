/* topic.c - names of topics, and columns of keys. */
#include "encoders/common/topic.h"

#include <string.h>

#include "core/buffer.h"
#include "core/pattern.h"

#define TOPIC_MAX 249

static const char *const places[] = { "{prefix}", "{database}", "{schema}", "{table}" };
enum place { PREFIX, DATABASE, SCHEMA, TABLE, NPLACES };

/* Which place begins here? NPLACES = none. */
static enum place
place_at(const char *text)
{
    enum place place = PREFIX;
    while (place < NPLACES && strncmp(text, places[place], strlen(places[place])) != 0)
        place++;
    return place;
}

static int
check_template(const char *option, const char *text, struct tr_error *err)
{
    if (text[0] == '\0')
        return tr_fail(err, TR_CONFIG, "%s: a topic without a name", option);
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '{' && place_at(at) == NPLACES) {
            tr_fail(err, TR_CONFIG, "%s: \"%.200s\" has a place that is not known, at \"%.40s\"", option,
                    text, at);
            return tr_error_hint(err, "the places are {prefix}, {database}, {schema} and {table}");
        }
    }
    return 0;
}

static int
check_keys(const char *text, struct tr_error *err)
{
    while (text != NULL && *text != '\0') {
        size_t len = strcspn(text, ";");
        const char *colon = memchr(text, ':', len);
        if (colon == NULL || colon == text || colon == text + len - 1)
            return tr_fail(err, TR_CONFIG,
                           "message_key_columns: \"%.*s\" is not of the form PATTERN:COLUMN,COLUMN",
                           (int)(len < 200 ? len : 200), text);
        text += len + (text[len] == ';');
    }
    return 0;
}

static const char *
given(const struct tr_settings *settings, const char *name)
{
    if (settings == NULL || tr_settings_find(settings, "target", name) == NULL)
        return NULL;
    const char *text = tr_setting_string(settings, name);
    return text != NULL && text[0] != '\0' ? text : NULL;
}

int
topic_namer_init(struct topic_namer *namer, const struct tr_encoder_env *env, struct tr_error *err)
{
    const char *prefix = given(env->settings, "topic_prefix"),
               *delimiter = given(env->settings, "topic_delimiter");
    *namer = (struct topic_namer){ .prefix = prefix != NULL ? prefix : env->prefix,
                                   .delimiter = delimiter != NULL ? delimiter : ".",
                                   .name_template = given(env->settings, "topic"),
                                   .key_columns = given(env->settings, "message_key_columns") };
    if (env->settings != NULL && tr_settings_find(env->settings, "target", "topic_routes") != NULL)
        namer->nroutes = tr_setting_list(env->settings, "topic_routes", &namer->routes);
    int rc = namer->name_template != NULL ? check_template("topic", namer->name_template, err) : 0;
    for (size_t i = 0; rc == 0 && i < namer->nroutes; i++) {
        const char *equals = strchr(namer->routes[i], '=');
        rc = equals != NULL && equals > namer->routes[i]
                 ? check_template("topic_routes", equals + 1, err)
                 : tr_fail(err, TR_CONFIG, "topic_routes: \"%.200s\" is not of the form PATTERN=TOPIC",
                           namer->routes[i]);
    }
    return rc < 0 ? rc : check_keys(namer->key_columns, err);
}

/* In place: what Kafka does not allow in a topic's name becomes a _, one for each of Java's characters. Returns the new length. */
static size_t
allowed_name(char *name, size_t len)
{
    size_t to = 0;
    for (size_t i = 0; i < len;) {
        unsigned char ch = (unsigned char)name[i++];
        bool allowed = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') ||
                       ch == '.' || ch == '_' || ch == '-';
        /* What is inside a character goes before anything is written over it. */
        while (i < len && ((unsigned char)name[i] & 0xc0) == 0x80)
            i++;
        name[to++] = allowed ? (char)ch : '_';
        if (ch >= 0xf0 && to < i) /* four bytes are two in Java */
            name[to++] = '_';
    }
    return to;
}

static const char *
clean(struct tr_arena *arena, struct tr_buffer *name)
{
    name->len = name->len > 0 ? allowed_name(name->data, name->len) : 0;
    const char *topic = tr_arena_copy(arena, name->len > 0 ? name->data : "",
                                      name->len < TOPIC_MAX ? name->len : TOPIC_MAX);
    tr_buffer_fini(name);
    return topic;
}

const char *
topic_join(struct tr_arena *arena, const char *delimiter, const char *a, const char *b, const char *c)
{
    struct tr_buffer name;
    const char *parts[] = { a, b, c };
    tr_buffer_init(&name, 4096);
    for (size_t i = 0; i < 3; i++) {
        if (parts[i] == NULL)
            continue;
        if (i > 0)
            tr_buffer_text(&name, delimiter);
        tr_buffer_text(&name, parts[i]);
    }
    return clean(arena, &name);
}

static bool
pattern_fits(const char *rule, size_t len, const struct tr_relation *relation)
{
    char pattern[512];
    if (len >= sizeof(pattern))
        return false;
    memcpy(pattern, rule, len);
    pattern[len] = '\0';
    while (len > 0 && pattern[len - 1] == ' ')
        pattern[--len] = '\0';
    return tr_pattern_match(pattern + strspn(pattern, " "), relation->schema, relation->name);
}

static const char *
template_of(const struct topic_namer *namer, const struct tr_relation *relation)
{
    for (size_t i = 0; i < namer->nroutes; i++) {
        const char *equals = strchr(namer->routes[i], '=');
        if (pattern_fits(namer->routes[i], (size_t)(equals - namer->routes[i]), relation))
            return equals + 1 + strspn(equals + 1, " ");
    }
    return namer->name_template;
}

const char *
topic_of_table(const struct topic_namer *namer, struct tr_arena *arena, const struct tr_relation *relation)
{
    const char *at = template_of(namer, relation);
    const char *const values[] = { [PREFIX] = namer->prefix,
                                   [DATABASE] = relation->database != NULL ? relation->database
                                                                           : relation->schema,
                                   [SCHEMA] = relation->schema,
                                   [TABLE] = relation->name };
    struct tr_buffer name;
    if (at == NULL)
        return topic_join(arena, namer->delimiter, namer->prefix, relation->schema, relation->name);
    tr_buffer_init(&name, 4096);
    while (*at != '\0') {
        enum place place = place_at(at);
        if (place == NPLACES) {
            tr_buffer_byte(&name, *at++);
            continue;
        }
        tr_buffer_text(&name, values[place]);
        at += strlen(places[place]);
    }
    return clean(arena, &name);
}

bool
topic_is_shared(const struct topic_namer *namer, const struct tr_relation *relation)
{
    const char *name_template = template_of(namer, relation);
    return name_template != NULL &&
           (strstr(name_template, places[TABLE]) == NULL || strstr(name_template, places[SCHEMA]) == NULL);
}

/* ---------------------------------------------------------------------------------------- keys */

/* The columns that the setting names for this table, `a,b`; NULL = none. */
static const char *
named_keys(const struct topic_namer *namer, const struct tr_relation *relation, size_t *len)
{
    const char *rule = namer->key_columns;
    while (rule != NULL && *rule != '\0') {
        size_t whole = strcspn(rule, ";");
        const char *colon = memchr(rule, ':', whole);
        if (pattern_fits(rule, (size_t)(colon - rule), relation)) {
            *len = whole - (size_t)(colon + 1 - rule);
            return colon + 1;
        }
        rule += whole + (rule[whole] == ';');
    }
    return NULL;
}

static int
find_columns(const struct tr_relation *relation, const char *names, size_t len, uint16_t *keys,
             uint16_t *nkeys, struct tr_error *err)
{
    const char *end = names + len;
    while (names < end) {
        char name[256];
        size_t part = strcspn(names, ",;"), skip = strspn(names, " ");
        size_t n = part > skip ? part - skip : 0;
        while (n > 0 && names[skip + n - 1] == ' ')
            n--;
        if (n >= sizeof(name))
            n = sizeof(name) - 1;
        memcpy(name, names + skip, n);
        name[n] = '\0';
        int column = tr_relation_column(relation, name);
        if (column < 0 || *nkeys == relation->ncolumns)
            return tr_fail(err, TR_CONFIG, "message_key_columns: table %s.%s has no column \"%s\"",
                           relation->schema, relation->name, name);
        keys[(*nkeys)++] = (uint16_t)column;
        names += part + (names + part < end);
    }
    return 0;
}

/* The column's 1-based place in what stands for the primary key. */
static uint16_t
substitute_place(const struct tr_relation *relation, uint16_t column)
{
    return relation->replica_identity == 'i' ? relation->columns[column].identity
                                             : relation->columns[column].unique;
}

int
topic_key_columns(const struct topic_namer *namer, struct tr_arena *arena, const struct tr_relation *relation,
                  const uint16_t **keys, uint16_t *nkeys, struct tr_error *err)
{
    size_t len = 0;
    const char *names = named_keys(namer, relation, &len);
    *keys = relation->keys;
    *nkeys = relation->nkeys;
    /* What a delete shows must be able to name what an insert wrote. */
    bool logged = relation->nkeys > 0;
    for (uint16_t k = 0; k < relation->nkeys; k++)
        logged &= relation->columns[relation->keys[k]].identity != 0;
    if (names == NULL && (logged || (relation->nkeys > 0 && relation->replica_identity != 'i')))
        return 0;
    uint16_t *list = tr_arena_zalloc(arena, relation->ncolumns * sizeof(*list) + 1);
    *keys = list;
    *nkeys = 0;
    if (names != NULL)
        return find_columns(relation, names, len, list, nkeys, err);
    for (uint16_t place = 1; place <= relation->ncolumns; place++)
        for (uint16_t i = 0; i < relation->ncolumns; i++)
            if (substitute_place(relation, i) == place)
                list[(*nkeys)++] = i;
    return 0;
}

int
topic_fail_key(const struct tr_relation *relation, const char *column, struct tr_error *err)
{
    tr_fail(err, TR_REFUSED, "table %s.%s: the source's log does not hold the key column %s of a changed row",
            relation->schema, relation->name, column);
    return tr_error_hint(
        err,
        "Columns of message_key_columns must be in the replica identity: ALTER TABLE %s.%s REPLICA "
        "IDENTITY FULL (or USING INDEX).",
        relation->schema, relation->name);
}
