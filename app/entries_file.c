/*
 * entries_file.c - a task file: a mapping of keys to values, lists, or sections of the same.
 *
 * Two levels are all there is, so the events of libyaml are read straight into the flat list. Anchors, aliases and tags have no use here and
 * are refused, which leaves nothing in the format that could grow.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

#include "app/entries.h"
#include "core/buffer.h"
#include "core/memory.h"
#include "core/text.h"

#define FILE_BYTES_MAX (1 << 20)
#define ENTRIES_MAX 1000
#define VALUES_MAX 10000

struct reader {
    yaml_parser_t yaml;
    const char *name; /* of the file */
    const char *text;
    size_t len;
    struct tr_entries *entries;
    struct tr_error *err;
};

static int fail_at(struct reader *r, size_t line, const char *fmt, ...) TR_PRINTF(3, 4);

static int
fail_at(struct reader *r, size_t line, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    return tr_fail(r->err, TR_CONFIG, "%s:%zu: %s", r->name, line, text);
}

/* The reader reports an offset where the scanner reports a line. */
static size_t
line_of_offset(const struct reader *r, size_t offset)
{
    size_t line = 1;
    for (size_t i = 0; i < offset && i < r->len; i++)
        line += r->text[i] == '\n';
    return line;
}

static int
next_event(struct reader *r, yaml_event_t *event)
{
    if (yaml_parser_parse(&r->yaml, event))
        return 0;
    const char *problem = r->yaml.problem != NULL ? r->yaml.problem : "it cannot be read";
    if (r->yaml.error == YAML_MEMORY_ERROR)
        return tr_fail(r->err, TR_FATAL, "%s: out of memory", r->name);
    if (r->yaml.error == YAML_READER_ERROR)
        return fail_at(r, line_of_offset(r, r->yaml.problem_offset), "not valid UTF-8 text: %s", problem);
    int rc = fail_at(r, r->yaml.problem_mark.line + 1, "not valid YAML: %s", problem);
    if (strstr(problem, "cannot start any token") != NULL || strstr(problem, "alphabetic or numeric") != NULL)
        tr_error_hint(r->err, "put a value that begins with %%, *, & or @ into quotes: \"%%\"");
    return rc;
}

/* What no event of a task file may carry. */
static int
check_plain(struct reader *r, const yaml_event_t *event)
{
    const yaml_char_t *anchor = NULL, *tag = NULL;
    size_t line = event->start_mark.line + 1;
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        fail_at(r, line, "an alias (*name) is not read here");
        return tr_error_hint(r->err, "put a pattern that begins with * into quotes: \"*\"");
    case YAML_SCALAR_EVENT:
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
        break;
    default: break;
    }
    if (anchor != NULL)
        return fail_at(r, line, "an anchor (&name) is not read here");
    return tag != NULL ? fail_at(r, line, "a tag (!name) is not read here") : 0;
}

/* The text of a scalar, which must be text: `what` is the key it belongs to. */
static int
check_scalar(struct reader *r, const yaml_event_t *event, const char *what)
{
    size_t line = event->start_mark.line + 1;
    const char *value = (const char *)event->data.scalar.value;
    if (memchr(value, '\0', event->data.scalar.length) != NULL)
        return fail_at(r, line, "the value of %.100s holds a NUL byte", what);
    if (event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return 0;
    if (value[0] == '\0' || strcmp(value, "~") == 0 || strcmp(value, "null") == 0) {
        fail_at(r, line, "%.100s has no value", what);
        return tr_error_hint(
            r->err,
            "remove the key to have the default, or write \"\" for an empty text, \"null:\" for the target null");
    }
    return 0;
}

static int
add_entry(struct reader *r, const char *section, const char *name, size_t line, struct tr_entry **entry)
{
    char origin[300];
    const struct tr_entry *first = tr_entries_find(r->entries, section, name);
    if (first != NULL)
        return tr_fail(r->err, TR_CONFIG, "%s:%zu: key %.100s is given twice, first at %s", r->name, line,
                       name, first->origin);
    if (r->entries->count == ENTRIES_MAX)
        return fail_at(r, line, "there are too many keys");
    snprintf(origin, sizeof(origin), "%.255s:%zu", r->name, line);
    *entry = tr_entries_add(r->entries, section, name, origin);
    return 0;
}

static int
read_list(struct reader *r, struct tr_entry *entry)
{
    entry->is_list = true;
    for (;;) {
        yaml_event_t event;
        int rc = next_event(r, &event);
        if (rc < 0)
            return rc;
        bool end = event.type == YAML_SEQUENCE_END_EVENT;
        size_t line = event.start_mark.line + 1;
        rc = check_plain(r, &event);
        if (rc == 0 && !end && event.type != YAML_SCALAR_EVENT)
            rc = fail_at(r, line, "the list of %.100s may hold texts only", entry->name);
        if (rc == 0 && !end && entry->nvalues == VALUES_MAX)
            rc = fail_at(r, line, "the list of %.100s is too long", entry->name);
        if (rc == 0 && !end)
            rc = check_scalar(r, &event, entry->name);
        if (rc == 0 && !end)
            tr_entry_value(entry, (const char *)event.data.scalar.value);
        yaml_event_delete(&event);
        if (rc < 0 || end)
            return rc;
    }
}

static int read_mapping(struct reader *r, const char *section);

static int
read_value(struct reader *r, const char *section, const char *key, size_t line)
{
    yaml_event_t event;
    struct tr_entry *entry = NULL;
    int rc = next_event(r, &event);
    if (rc < 0)
        return rc;
    yaml_event_type_t type = event.type;
    rc = check_plain(r, &event);
    if (rc == 0)
        rc = add_entry(r, section, key, line, &entry);
    if (rc == 0 && type == YAML_SCALAR_EVENT && (rc = check_scalar(r, &event, key)) == 0)
        tr_entry_value(entry, (const char *)event.data.scalar.value);
    yaml_event_delete(&event);
    if (rc < 0 || type == YAML_SCALAR_EVENT)
        return rc;
    if (type == YAML_SEQUENCE_START_EVENT)
        return read_list(r, entry);
    if (section[0] != '\0')
        return fail_at(r, line, "%.100s takes a value or a list, not a mapping", key);
    entry->is_section = true;
    return read_mapping(r, key);
}

static int
read_mapping(struct reader *r, const char *section)
{
    for (;;) {
        yaml_event_t event;
        int rc = next_event(r, &event);
        if (rc < 0)
            return rc;
        bool end = event.type == YAML_MAPPING_END_EVENT;
        size_t line = event.start_mark.line + 1;
        rc = check_plain(r, &event);
        if (rc == 0 && !end && event.type != YAML_SCALAR_EVENT)
            rc = fail_at(r, line, "a key must be plain text");
        if (rc == 0 && !end)
            rc = check_scalar(r, &event, "a key");
        if (rc == 0 && !end)
            rc = read_value(r, section, (const char *)event.data.scalar.value, line);
        yaml_event_delete(&event);
        if (rc < 0 || end)
            return rc;
    }
}

/* The document's only node must be a mapping; a file with nothing but comments is an empty one. */
static int
read_document(struct reader *r)
{
    for (int documents = 0;;) {
        yaml_event_t event;
        int rc = next_event(r, &event);
        if (rc < 0)
            return rc;
        yaml_event_type_t type = event.type;
        size_t line = event.start_mark.line + 1;
        rc = check_plain(r, &event);
        if (rc == 0 && type == YAML_DOCUMENT_START_EVENT && ++documents > 1)
            rc = fail_at(r, line, "there is more than one document in it");
        bool empty = type == YAML_SCALAR_EVENT && event.data.scalar.length == 0;
        yaml_event_delete(&event);
        if (rc == 0 && (type == YAML_SEQUENCE_START_EVENT || (type == YAML_SCALAR_EVENT && !empty)))
            rc = fail_at(r, line, "a task file is made of lines `key: value`");
        if (rc == 0 && type == YAML_MAPPING_START_EVENT)
            rc = read_mapping(r, "");
        if (rc < 0 || type == YAML_STREAM_END_EVENT)
            return rc;
    }
}

int
tr_entries_parse(struct tr_entries *entries, const char *text, size_t len, const char *name,
                 struct tr_error *err)
{
    struct reader r = { .name = name, .entries = entries, .err = err };
    if (len > FILE_BYTES_MAX)
        return tr_fail(err, TR_CONFIG, "%s: larger than 1 MiB; this is no task file", name);
    if (!yaml_parser_initialize(&r.yaml))
        return tr_fail(err, TR_FATAL, "%s: out of memory", name);
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) { /* what some editors put before UTF-8 */
        text += 3;
        len -= 3;
    }
    r.text = text;
    r.len = len;
    yaml_parser_set_input_string(&r.yaml, (const unsigned char *)text, len);
    yaml_parser_set_encoding(&r.yaml, YAML_UTF8_ENCODING);
    int rc = read_document(&r);
    yaml_parser_delete(&r.yaml);
    return rc;
}

static int
read_all(int fd, const char *path, struct tr_buffer *buf, struct tr_error *err)
{
    for (;;) {
        char *to = tr_buffer_reserve(buf, 65536);
        if (to == NULL)
            return tr_fail(err, TR_CONFIG, "%s: larger than 1 MiB; this is no task file", path);
        ssize_t n = read(fd, to, 65536);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return tr_fail(err, TR_CONFIG, "cannot read the task file %s: %s", path, strerror(errno));
        if (n == 0)
            return 0;
        buf->len += (size_t)n;
    }
}

int
tr_entries_read_file(struct tr_entries *entries, const char *path, struct tr_error *err)
{
    struct tr_buffer buf;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return tr_fail(err, TR_CONFIG, "cannot open the task file %s: %s", path, strerror(errno));
    tr_buffer_init(&buf, FILE_BYTES_MAX + 131072);
    int rc = read_all(fd, path, &buf, err);
    close(fd);
    if (rc == 0)
        rc = tr_entries_parse(entries, buf.data != NULL ? buf.data : "", buf.len, path, err);
    if (buf.data != NULL)
        tr_wipe(buf.data, buf.len);
    tr_buffer_fini(&buf);
    return rc;
}
