/* read.c - a connector's configuration as people keep it: JSON for Connect's REST interface, or a file of properties. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/convert/convert.h"
#include "core/memory.h"

#define FILE_BYTES_MAX (4 << 20)

static void
add_pair(struct pairs *pairs, const char *key, const char *value)
{
    /* Debezium Server says the same with prefixes. */
    static const char *const prefixes[][2] = { { "debezium.source.", "" },
                                               { "debezium.sink.kafka.producer.", "producer.override." },
                                               { "debezium.transforms", "transforms" },
                                               { "quarkus.", "quarkus." } };
    char *name = NULL;
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]) && name == NULL; i++)
        if (strncmp(key, prefixes[i][0], strlen(prefixes[i][0])) == 0)
            name = tr_asprintf("%s%s", prefixes[i][1], key + strlen(prefixes[i][0]));
    if (name == NULL)
        name = tr_strdup(key);
    for (size_t i = 0; i < pairs->count; i++) {
        if (strcmp(pairs->items[i].key, name) != 0)
            continue;
        free(name); /* the last one counts */
        free(pairs->items[i].value);
        pairs->items[i].value = tr_strdup(value);
        return;
    }
    pairs->items = tr_realloc(pairs->items, (pairs->count + 1) * sizeof(*pairs->items));
    pairs->items[pairs->count++] = (struct pair){ .key = name, .value = tr_strdup(value) };
}

void
pairs_fini(struct pairs *pairs)
{
    for (size_t i = 0; i < pairs->count; i++) {
        tr_wipe(pairs->items[i].value, strlen(pairs->items[i].value));
        free(pairs->items[i].key);
        free(pairs->items[i].value);
    }
    free(pairs->items);
    *pairs = (struct pairs){ 0 };
}

const char *
pairs_take(struct pairs *pairs, const char *key)
{
    for (size_t i = 0; i < pairs->count; i++) {
        if (strcmp(pairs->items[i].key, key) == 0) {
            pairs->items[i].used = true;
            return pairs->items[i].value;
        }
    }
    return NULL;
}

/* ---------------------------------------------------------------------------------------- JSON */

static int
add_json(struct pairs *pairs, const char *key, const json_t *value, const char *name, struct tr_error *err)
{
    char number[40];
    switch (json_typeof(value)) {
    case JSON_STRING: add_pair(pairs, key, json_string_value(value)); return 0;
    case JSON_TRUE: add_pair(pairs, key, "true"); return 0;
    case JSON_FALSE: add_pair(pairs, key, "false"); return 0;
    case JSON_NULL: return 0;
    case JSON_INTEGER:
        snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        add_pair(pairs, key, number);
        return 0;
    case JSON_REAL:
        snprintf(number, sizeof(number), "%.17g", json_real_value(value));
        add_pair(pairs, key, number);
        return 0;
    default:
        return tr_fail(err, TR_CONFIG, "%s: the value of %.100s is not a text, a number or a boolean", name,
                       key);
    }
}

static int
read_json(struct pairs *pairs, const char *text, size_t len, const char *name, struct tr_error *err)
{
    json_error_t why;
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
    if (root == NULL)
        return tr_fail(err, TR_CONFIG, "%s:%d: this is not JSON: %s", name, why.line, why.text);
    json_t *config = json_is_object(root) ? json_object_get(root, "config") : NULL;
    const json_t *label = config != NULL ? json_object_get(root, "name") : NULL;
    int rc = 0;
    if (!json_is_object(root) || (config != NULL && !json_is_object(config)))
        rc = tr_fail(err, TR_CONFIG, "%s: a connector's configuration is a map of keys and values", name);
    if (json_is_string(label))
        add_pair(pairs, "name", json_string_value(label));
    json_t *map = config != NULL ? config : root;
    for (void *at = json_object_iter(map); rc == 0 && at != NULL; at = json_object_iter_next(map, at))
        rc = add_json(pairs, json_object_iter_key(at), json_object_iter_value(at), name, err);
    json_decref(root);
    return rc;
}

/* ---------------------------------------------------------------------------------- properties */

static const char *
skip_blank(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\f'))
        at++;
    return at;
}

static unsigned
hex4(const char *at, const char *end)
{
    char digits[5] = "";
    if (end - at < 4)
        return 0;
    memcpy(digits, at, 4);
    return (unsigned)strtoul(digits, NULL, 16);
}

static void
add_utf8(struct tr_buffer *out, unsigned code)
{
    if (code < 0x80) {
        tr_buffer_byte(out, (char)code);
    } else if (code < 0x800) {
        tr_buffer_byte(out, (char)(0xC0 | code >> 6));
        tr_buffer_byte(out, (char)(0x80 | (code & 63)));
    } else {
        tr_buffer_byte(out, (char)(0xE0 | code >> 12));
        tr_buffer_byte(out, (char)(0x80 | (code >> 6 & 63)));
        tr_buffer_byte(out, (char)(0x80 | (code & 63)));
    }
}

/* Up to the key's end, or the line's; a backslash at the line's end joins the next. Returns where it stopped. */
static const char *
read_word(const char *at, const char *end, bool key, struct tr_buffer *out)
{
    while (at < end && *at != '\n' && *at != '\r') {
        if (key && (*at == '=' || *at == ':' || *at == ' ' || *at == '\t'))
            break;
        if (*at != '\\' || at + 1 == end) {
            tr_buffer_byte(out, *at++);
            continue;
        }
        at++;
        if (*at == '\r' || *at == '\n') {
            at += *at == '\r' && at + 1 < end && at[1] == '\n' ? 2 : 1;
            at = skip_blank(at, end);
            continue;
        }
        if (*at == 'u') {
            add_utf8(out, hex4(at + 1, end));
            at += end - at > 4 ? 5 : end - at;
            continue;
        }
        tr_buffer_byte(out, *at == 't' ? '\t' : *at == 'n' ? '\n' : *at == 'r' ? '\r' : *at);
        at++;
    }
    return at;
}

static int
read_properties(struct pairs *pairs, const char *text, size_t len, const char *name, struct tr_error *err)
{
    const char *at = text, *end = text + len;
    struct tr_buffer key, value;
    tr_buffer_init(&key, TR_BUFFER_MAX);
    tr_buffer_init(&value, TR_BUFFER_MAX);
    while (at < end) {
        at = skip_blank(at, end);
        tr_buffer_reset(&key);
        tr_buffer_reset(&value);
        if (at < end && (*at == '#' || *at == '!')) {
            while (at < end && *at != '\n')
                at++;
        } else {
            at = read_word(at, end, true, &key);
            at = skip_blank(at, end);
            if (at < end && (*at == '=' || *at == ':'))
                at = skip_blank(at + 1, end);
            at = read_word(at, end, false, &value);
            while (value.len > 0 && isspace((unsigned char)value.data[value.len - 1]))
                value.data[--value.len] = '\0';
            if (key.len > 0)
                add_pair(pairs, key.data, value.len > 0 ? value.data : "");
        }
        while (at < end && (*at == '\n' || *at == '\r'))
            at++;
    }
    if (value.data != NULL)
        tr_wipe(value.data, value.cap);
    tr_buffer_fini(&key);
    tr_buffer_fini(&value);
    return pairs->count > 0 ? 0 : tr_fail(err, TR_CONFIG, "%s holds no keys", name);
}

int
pairs_parse(struct pairs *pairs, const char *text, size_t len, const char *name, struct tr_error *err)
{
    size_t first = 0;
    while (first < len && isspace((unsigned char)text[first]))
        first++;
    if (memchr(text, '\0', len) != NULL)
        return tr_fail(err, TR_CONFIG, "%s is not a text", name);
    if (first < len && (text[first] == '{' || text[first] == '['))
        return read_json(pairs, text, len, name, err);
    return read_properties(pairs, text, len, name, err);
}

/* ------------------------------------------------------------------------------------ offsets */

static int
postgres_start(const json_t *offset, char **start, struct tr_error *err)
{
    if (!json_is_integer(json_object_get(offset, "lsn")))
        return tr_fail(err, TR_CONFIG, "the offset has no lsn: it is none of a PostgreSQL connector");
    /* The slot's own place is at or before it; what the slot has not given away cannot be lost. */
    *start = tr_strdup("slot");
    return 0;
}

static int
binlog_start(const json_t *offset, char **start, struct tr_error *err)
{
    const char *gtids = json_string_value(json_object_get(offset, "gtids"));
    const char *file = json_string_value(json_object_get(offset, "file"));
    const json_t *pos = json_object_get(offset, "pos");
    if (gtids != NULL && gtids[0] != '\0')
        *start = tr_asprintf("gtid:%s", gtids);
    else if (file != NULL && json_is_integer(pos))
        *start = tr_asprintf("binlog:%s:%" JSON_INTEGER_FORMAT, file, json_integer_value(pos));
    else
        return tr_fail(err, TR_CONFIG,
                       "the offset has neither gtids nor file and pos: it is none of a MySQL connector");
    return 0;
}

static int
start_of(const json_t *root, const char *scheme, char **start, struct tr_error *err)
{
    const json_t *list = json_object_get(root, "offsets"), *offset = root;
    if (json_is_array(list)) {
        if (json_array_size(list) != 1)
            return tr_fail(err, TR_CONFIG, "there are offsets of %zu partitions, not of one",
                           json_array_size(list));
        offset = json_object_get(json_array_get(list, 0), "offset");
    }
    if (!json_is_object(offset))
        return tr_fail(err, TR_CONFIG, "there is no offset in it: the connector has not begun");
    const json_t *snapshot = json_object_get(offset, "snapshot");
    if (snapshot != NULL && !json_is_false(snapshot) && !json_is_null(snapshot) &&
        !json_is_true(json_object_get(offset, "snapshot_completed"))) {
        tr_fail(err, TR_CONFIG, "the offset is one of an initial snapshot that has not ended");
        return tr_error_hint(err, "let it end, or convert without the offset and load the tables again");
    }
    return strcmp(scheme, "postgresql") == 0 ? postgres_start(offset, start, err)
                                             : binlog_start(offset, start, err);
}

int
offsets_parse(const char *text, size_t len, const char *name, const char *scheme, char **start,
              struct tr_error *err)
{
    json_error_t why;
    json_t *root = json_loadb(text, len, 0, &why);
    *start = NULL;
    if (root == NULL)
        return tr_fail(err, TR_CONFIG, "%s:%d: this is not JSON: %s", name, why.line, why.text);
    int rc = start_of(root, scheme, start, err);
    json_decref(root);
    return rc < 0 ? tr_error_prefix(err, "%s", name) : 0;
}

static int
read_file(const char *path, struct tr_buffer *out, struct tr_error *err)
{
    char piece[8192];
    size_t n;
    bool standard = strcmp(path, "-") == 0;
    FILE *file = standard ? stdin : fopen(path, "re");
    tr_buffer_init(out, FILE_BYTES_MAX);
    if (file == NULL)
        return tr_fail(err, TR_CONFIG, "cannot read %s: %s", path, strerror(errno));
    while ((n = fread(piece, 1, sizeof(piece), file)) > 0 && !out->overflow)
        tr_buffer_add(out, piece, n);
    bool bad = ferror(file) != 0;
    int number = errno;
    tr_wipe(piece, sizeof(piece));
    if (!standard)
        fclose(file);
    if (bad)
        return tr_fail(err, TR_CONFIG, "cannot read %s: %s", path, strerror(number));
    if (out->overflow)
        return tr_fail(err, TR_CONFIG, "%s is larger than 4 MiB; this is no connector's configuration", path);
    return 0;
}

static void
end_file(struct tr_buffer *text)
{
    if (text->data != NULL)
        tr_wipe(text->data, text->cap);
    tr_buffer_fini(text);
}

int
pairs_read(struct pairs *pairs, const char *path, struct tr_error *err)
{
    struct tr_buffer text;
    int rc = read_file(path, &text, err);
    if (rc == 0)
        rc = pairs_parse(pairs, text.data != NULL ? text.data : "", text.len, path, err);
    end_file(&text);
    return rc;
}

int
offsets_read(const char *path, const char *scheme, char **start, struct tr_error *err)
{
    struct tr_buffer text;
    *start = NULL;
    int rc = read_file(path, &text, err);
    if (rc == 0)
        rc = offsets_parse(text.data != NULL ? text.data : "", text.len, path, scheme, start, err);
    end_file(&text);
    return rc;
}
