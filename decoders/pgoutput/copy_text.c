/* copy_text.c - the escapes of COPY's text format undone, in one copy of the row. */
#include "decoders/pgoutput/copy_text.h"

#include <string.h>

static int
row_fail(const struct tr_relation *relation, struct tr_error *err, const char *why)
{
    return tr_fail(err, TR_FATAL, "table %s.%s: a row of the copy cannot be read: %s", relation->schema,
                   relation->name, why);
}

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* \x and one or two hexadecimal digits; without any it is an x. */
static const char *
unescape_hex(const char *p, const char *end, char *to)
{
    int n = 0, byte = 0;
    for (; n < 2 && p < end && hex_digit(*p) >= 0; n++)
        byte = byte * 16 + hex_digit(*p++);
    *to = n > 0 ? (char)byte : 'x';
    return p;
}

/* One to three octal digits; p stands behind the first. */
static const char *
unescape_octal(const char *p, const char *end, char *to)
{
    int byte = p[-1] - '0';
    for (int n = 1; n < 3 && p < end && *p >= '0' && *p <= '7'; n++)
        byte = byte * 8 + (*p++ - '0');
    *to = (char)byte;
    return p;
}

/* What stands behind a backslash; returns where the field goes on, or NULL at the end of the row. */
static const char *
unescape(const char *p, const char *end, char *to)
{
    if (p == end)
        return NULL;
    char c = *p++;
    switch (c) {
    case 'b': *to = '\b'; return p;
    case 'f': *to = '\f'; return p;
    case 'n': *to = '\n'; return p;
    case 'r': *to = '\r'; return p;
    case 't': *to = '\t'; return p;
    case 'v': *to = '\v'; return p;
    case 'x': return unescape_hex(p, end, to);
    default:
        if (c >= '0' && c <= '7')
            return unescape_octal(p, end, to);
        *to = c;
        return p;
    }
}

/* The bytes in place, from the first backslash on; returns their end, or NULL. */
static char *
unescape_field(char *field, char *end)
{
    const char *p = memchr(field, '\\', (size_t)(end - field));
    if (p == NULL)
        return end;
    char *to = field + (p - field);
    while (p < end) {
        if (*p != '\\') {
            *to++ = *p++;
            continue;
        }
        p = unescape(p + 1, end, to++);
        if (p == NULL)
            return NULL;
    }
    return to;
}

/* A field as it stands in the row: \N alone is null. */
static bool
read_field(char *field, char *end, struct tr_value *value)
{
    if (end - field == 2 && field[0] == '\\' && field[1] == 'N') {
        *value = (struct tr_value){ .state = TR_NULL };
        return true;
    }
    end = unescape_field(field, end);
    if (end == NULL)
        return false;
    *end = '\0'; /* on the tab, the escapes' gain, or the spare byte */
    *value = (struct tr_value){ field, (uint32_t)(end - field), TR_PRESENT, TR_CODEC_TEXT };
    return true;
}

int
tr_pg_copy_text_row(const struct tr_relation *relation, const char *line, size_t len, struct tr_batch *batch,
                    struct tr_value **values, struct tr_error *err)
{
    *values = NULL;
    if (len > 0 && line[len - 1] == '\n')
        len--;
    if (len > UINT32_MAX)
        return row_fail(relation, err, "it is too long");
    if (memchr(line, '\n', len) != NULL)
        return row_fail(relation, err, "a newline stands inside it");
    char *field = tr_arena_copy(&batch->arena, line, len);
    char *end = field + len;
    struct tr_value *row = tr_arena_alloc(&batch->arena, relation->ncolumns * sizeof *row);
    if (relation->ncolumns == 0) {
        *values = row;
        return len == 0 ? 0 : row_fail(relation, err, "it has columns, the table has none");
    }
    for (uint16_t i = 0; i < relation->ncolumns; i++) {
        /* A tab inside a value is written as \t, so that every tab ends a column. */
        char *tab = memchr(field, '\t', (size_t)(end - field));
        bool last = i + 1 == relation->ncolumns;
        if ((tab == NULL) != last)
            return row_fail(relation, err,
                            last ? "it has more columns than the table"
                                 : "it has fewer columns than the table");
        if (!read_field(field, last ? end : tab, &row[i]))
            return row_fail(relation, err, "it ends in a backslash");
        field = last ? end : tab + 1;
    }
    *values = row;
    return 0;
}

int
tr_pg_copy_text_read(struct tr_relation *relation, const char *line, size_t len, struct tr_batch *batch,
                     struct tr_error *err)
{
    struct tr_value *values;
    int rc = tr_pg_copy_text_row(relation, line, len, batch, &values, err);
    if (rc < 0)
        return rc;
    if (batch->nrelations == 0 || batch->relations[batch->nrelations - 1] != relation)
        tr_batch_hold(batch, relation);
    struct tr_event *event = tr_batch_event(batch);
    event->kind = TR_READ;
    event->relation = relation;
    event->after = values;
    batch->rows++;
    return 0;
}

void
tr_pg_copy_text_init(struct tr_pg_copy_text *copy, size_t max_row)
{
    tr_buffer_init(&copy->rest, max_row);
}

void
tr_pg_copy_text_fini(struct tr_pg_copy_text *copy)
{
    tr_buffer_fini(&copy->rest);
}

/* The row that began in an earlier piece. */
static int
finish_row(struct tr_pg_copy_text *copy, struct tr_relation *relation, const char *data, size_t len,
           struct tr_batch *batch, struct tr_error *err)
{
    tr_buffer_add(&copy->rest, data, len);
    if (copy->rest.overflow)
        return row_fail(relation, err, "it passes the limit of a row");
    int rc = tr_pg_copy_text_read(relation, copy->rest.data, copy->rest.len, batch, err);
    tr_buffer_reset(&copy->rest);
    return rc;
}

int
tr_pg_copy_text_feed(struct tr_pg_copy_text *copy, struct tr_relation *relation, const char *data, size_t len,
                     struct tr_batch *batch, struct tr_error *err)
{
    int rows = 0;
    const char *newline;
    while (len > 0 && (newline = memchr(data, '\n', len)) != NULL) {
        size_t line = (size_t)(newline - data) + 1;
        int rc = copy->rest.len > 0 ? finish_row(copy, relation, data, line, batch, err)
                                    : tr_pg_copy_text_read(relation, data, line, batch, err);
        if (rc < 0)
            return rc;
        data += line;
        len -= line;
        rows++;
    }
    if (len > 0)
        tr_buffer_add(&copy->rest, data, len);
    return copy->rest.overflow ? row_fail(relation, err, "it passes the limit of a row") : rows;
}

int
tr_pg_copy_text_end(struct tr_pg_copy_text *copy, const struct tr_relation *relation, struct tr_error *err)
{
    return copy->rest.len > 0 ? row_fail(relation, err, "the stream ended inside it") : 0;
}
