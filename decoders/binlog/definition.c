/*
 * definition.c - what a clause of ALTER TABLE says of columns: those that it adds, with their type and what the rows that are there hold from then on, those that it
 * defines anew, and those that it drops.
 *
 * The log tells a new column's default nowhere else, and the catalogue may know a later one, or the column no more. A definition with anything in it that is not
 * understood is left out: then the table's next row tells what it can.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "decoders/binlog/scan.h"
#include "decoders/binlog/text.h"
#include "decoders/binlog/types.h"

struct definition {
    struct scan *s;
    struct tr_arena *arena; /* of the relation */
    struct tr_column column;
    bool null, has_default; /* as written */
};

/* ------------------------------------------------------------------------------------------- types */

/* The name of the type as the catalogue has it, with the size that goes without saying; NULL = not known by another name. */
static const char *
usual_name(const char *word)
{
    static const char *const names[][2] = {
        { "integer", "int" },          { "int1", "tinyint" },        { "int2", "smallint" },
        { "int3", "mediumint" },       { "middleint", "mediumint" }, { "int4", "int" },
        { "int8", "bigint" },          { "dec", "decimal" },         { "fixed", "decimal" },
        { "numeric", "decimal" },      { "bool", "tinyint(1)" },     { "boolean", "tinyint(1)" },
        { "real", "double" },          { "float4", "float" },        { "float8", "double" },
        { "character", "char" },       { "nchar", "char" },          { "nvarchar", "varchar" },
        { "varcharacter", "varchar" },
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcasecmp(names[i][0], word) == 0)
            return names[i][1];
    return word;
}

static const char *
usual_size(const char *name)
{
    static const char *const sizes[][2] = {
        { "char", "(1)" }, { "binary", "(1)" }, { "bit", "(1)" }, { "decimal", "(10,0)" }
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (strcmp(sizes[i][0], name) == 0)
            return sizes[i][1];
    return "";
}

/* "('a','b')" or "(10,2)", as the catalogue writes it. False when it is neither. */
static bool
read_size(struct definition *d, struct tr_buffer *spelled)
{
    struct tr_buffer text;
    bool known = true;
    struct token t = binlog_next(d->s);
    tr_buffer_init(&text, (size_t)1 << 20);
    for (t = binlog_next(d->s); known && !binlog_is_mark(&t, ')'); t = binlog_next(d->s)) {
        if (binlog_is_mark(&t, ',')) {
            tr_buffer_byte(spelled, ',');
        } else if (binlog_is_text(d->s, &t)) {
            tr_buffer_reset(&text);
            binlog_text_of(d->s, &t, &text);
            tr_buffer_byte(spelled, '\'');
            for (size_t i = 0; i < text.len; i++) {
                if (text.data[i] == '\'' || text.data[i] == '\\')
                    tr_buffer_byte(spelled, text.data[i]);
                tr_buffer_byte(spelled, text.data[i]);
                known = known && text.data[i] != '\0';
            }
            tr_buffer_byte(spelled, '\'');
        } else {
            known = t.kind == TOKEN_WORD && *t.from >= '0' && *t.from <= '9';
            tr_buffer_add(spelled, t.from, (size_t)(t.to - t.from));
        }
    }
    tr_buffer_fini(&text);
    return known;
}

static bool
opens(const struct scan *s)
{
    struct scan ahead = *s;
    struct token t = binlog_next(&ahead);
    return binlog_is_mark(&t, '(');
}

/* Words of one type: "double precision", "national character varying". */
static void
read_type_name(struct definition *d, char *name, size_t size)
{
    struct token t = binlog_next(d->s);
    if (binlog_is_word(&t, "NATIONAL"))
        t = binlog_next(d->s);
    char word[32];
    snprintf(word, sizeof word, "%.*s", (int)(t.to - t.from), t.kind == TOKEN_WORD ? t.from : "");
    for (char *p = word; *p != '\0'; p++)
        *p = (char)(*p >= 'A' && *p <= 'Z' ? *p + ('a' - 'A') : *p);
    snprintf(name, size, "%s", usual_name(word));
    if (strcmp(name, "double") == 0)
        binlog_accept(d->s, "PRECISION");
    if (strcmp(name, "char") == 0 && binlog_accept(d->s, "VARYING"))
        snprintf(name, size, "varchar");
}

static bool
read_type(struct definition *d)
{
    char name[32];
    struct tr_buffer spelled;
    read_type_name(d, name, sizeof name);
    tr_buffer_init(&spelled, TR_BUFFER_MAX);
    tr_buffer_text(&spelled, name);
    bool known = true;
    if (opens(d->s)) {
        tr_buffer_byte(&spelled, '(');
        known = read_size(d, &spelled);
        tr_buffer_byte(&spelled, ')');
    } else {
        tr_buffer_text(&spelled, usual_size(name));
    }
    if (strcmp(name, "float") == 0 && strchr(spelled.data, '(') != NULL &&
        strchr(spelled.data, ',') == NULL) {
        bool wide = atoi(strchr(spelled.data, '(') + 1) > 24; /* FLOAT(p) */
        tr_buffer_reset(&spelled);
        tr_buffer_text(&spelled, wide ? "double" : "float");
    }
    for (bool more = true; more;) {
        bool is_unsigned = binlog_accept(d->s, "UNSIGNED"), zerofill = binlog_accept(d->s, "ZEROFILL");
        more = is_unsigned || zerofill || binlog_accept(d->s, "SIGNED");
        if ((is_unsigned || zerofill) && strstr(spelled.data, " unsigned") == NULL)
            tr_buffer_text(&spelled, " unsigned");
        tr_buffer_text(&spelled, zerofill ? " zerofill" : "");
    }
    known = known && tr_binlog_describe_type(d->arena, &d->column, spelled.data);
    tr_buffer_fini(&spelled);
    return known;
}

/* ------------------------------------------------------------------------------------------- defaults */

/* A constant as a text in quotes. */
static const char *
quote(struct definition *d, const char *text, size_t len)
{
    struct tr_buffer out;
    tr_buffer_init(&out, TR_BUFFER_MAX);
    tr_buffer_byte(&out, '\'');
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\'' || text[i] == '\\')
            tr_buffer_byte(&out, text[i]);
        tr_buffer_byte(&out, text[i]);
    }
    tr_buffer_byte(&out, '\'');
    const char *copy = tr_arena_copy(d->arena, out.data, out.len);
    tr_buffer_fini(&out);
    return copy;
}

/* Seconds of "+02:00"; false when it is none. */
static bool
read_offset(const char *offset, int64_t *seconds)
{
    int hours, minutes;
    if (offset == NULL || sscanf(offset + 1, "%2d:%2d", &hours, &minutes) != 2)
        return false;
    *seconds = (int64_t)(hours * 60 + minutes) * (offset[0] == '-' ? -60 : 60);
    return offset[0] == '-' || offset[0] == '+';
}

/* What the clock of the session said, as a value of the column; NULL when that is not known. */
static const char *
moment(struct definition *d, bool utc, bool day, int digits)
{
    enum tr_logical logical = d->column.logical;
    const struct tr_event *event = d->s->event;
    int64_t offset = 0;
    uint32_t us = (uint32_t)(event->ddl.began_us % 1000000), kept = 1000000;
    struct tr_buffer text;
    bool dated = logical == TR_DATE || logical == TR_TIMESTAMP || logical == TR_TIMESTAMPTZ;
    if (event->ddl.began_us <= 0 || !dated || (day && logical == TR_TIMESTAMPTZ) ||
        (logical != TR_TIMESTAMPTZ && !utc && !read_offset(event->ddl.offset, &offset)))
        return NULL;
    for (int i = 0; i < digits && i < 6; i++)
        kept /= 10;
    tr_buffer_init(&text, 4096);
    binlog_write_moment(&text, (uint32_t)(event->ddl.began_us / 1000000 + offset), us - us % kept);
    size_t n = logical == TR_DATE || day ? 10 : text.len;
    const char *copy = tr_arena_copy(d->arena, text.data, n);
    tr_buffer_fini(&text);
    return copy;
}

/* A call of the clock, in parentheses or not: the default as the catalogue prints it, and what rows that are there got. */
static bool
read_clock(struct definition *d)
{
    static const struct {
        const char *word, *printed;
        bool utc, day;
    } clocks[] = {
        { "CURRENT_TIMESTAMP", "current_timestamp", false, false },
        { "NOW", "current_timestamp", false, false },
        { "LOCALTIMESTAMP", "current_timestamp", false, false },
        { "LOCALTIME", "current_timestamp", false, false },
        { "UTC_TIMESTAMP", "utc_timestamp", true, false },
        { "CURDATE", "curdate", false, true },
        { "CURRENT_DATE", "curdate", false, true },
        { "UTC_DATE", "utc_date", true, true },
    };
    struct scan ahead = *d->s;
    int depth = 0, digits = 0;
    size_t i = 0;
    struct token t = binlog_next(&ahead);
    for (; binlog_is_mark(&t, '('); t = binlog_next(&ahead))
        depth++;
    while (i < sizeof clocks / sizeof *clocks && !binlog_is_word(&t, clocks[i].word))
        i++;
    if (i == sizeof clocks / sizeof *clocks)
        return false;
    if (opens(&ahead)) {
        binlog_next(&ahead);
        t = binlog_next(&ahead);
        digits = t.kind == TOKEN_WORD ? atoi(t.from) : 0;
        if (t.kind == TOKEN_WORD)
            t = binlog_next(&ahead);
        if (!binlog_is_mark(&t, ')'))
            return false;
    }
    for (; depth > 0; depth--) {
        t = binlog_next(&ahead);
        if (!binlog_is_mark(&t, ')'))
            return false; /* an expression with a clock in it */
    }
    char printed[40];
    snprintf(printed, sizeof printed, digits > 0 ? "%s(%d)" : "%s()", clocks[i].printed, digits);
    d->column.default_expression = tr_arena_strdup(d->arena, printed);
    d->column.older_value = moment(d, clocks[i].utc, clocks[i].day, digits);
    d->column.older = d->column.older_value != NULL ? TR_OLDER_VALUE : TR_OLDER_UNKNOWN;
    *d->s = ahead;
    return true;
}

/* What stands between balanced parentheses, and before them when it is a call. */
static bool
read_expression(struct definition *d)
{
    struct token t = binlog_next(d->s);
    const char *from = t.from;
    int depth = 0;
    if (t.kind == TOKEN_WORD && opens(d->s))
        t = binlog_next(d->s);
    if (!binlog_is_mark(&t, '('))
        return false;
    for (depth = 1; depth > 0; depth += binlog_is_mark(&t, '(') ? 1 : binlog_is_mark(&t, ')') ? -1 : 0) {
        t = binlog_next(d->s);
        if (t.kind == TOKEN_END)
            return false;
    }
    d->column.default_expression = tr_arena_copy(d->arena, from, (size_t)(t.to - from));
    return true;
}

/* -1.5e3, 0x41: as it stands. */
static bool
read_number(struct definition *d)
{
    struct scan *s = d->s;
    struct scan ahead = *s;
    struct token t = binlog_next(&ahead);
    const char *from = t.from, *p = from + (*from == '-' || *from == '+');
    size_t n = strspn(p, "0123456789.");
    if (n == 0 || t.kind == TOKEN_END)
        return false;
    p += n;
    if (n == 1 && p[-1] == '0' && (*p == 'x' || *p == 'X')) {
        p += 1 + strspn(p + 1, "0123456789abcdefABCDEF");
    } else if (*p == 'e' || *p == 'E') {
        p += 1 + (p[1] == '-' || p[1] == '+');
        p += strspn(p, "0123456789");
    }
    if (p < s->end && strchr(" \t\r\n,;)/#-", *p) == NULL)
        return false;
    d->column.default_expression = tr_arena_copy(d->arena, from, (size_t)(p - from));
    s->at = p;
    return true;
}

/* 'text', b'101', x'41' */
static bool
read_text(struct definition *d)
{
    struct scan ahead = *d->s;
    struct token t = binlog_next(&ahead);
    char kind = t.kind == TOKEN_WORD && t.to - t.from == 1 ? *t.from : '\0';
    if (kind != '\0')
        t = binlog_next(&ahead);
    if (!binlog_is_text(d->s, &t) || (kind != '\0' && strchr("bBxX", kind) == NULL))
        return false;
    struct tr_buffer text;
    tr_buffer_init(&text, TR_BUFFER_MAX);
    binlog_text_of(d->s, &t, &text);
    const char *bytes = text.len > 0 ? text.data : "";
    if (kind == 'b' || kind == 'B')
        d->column.default_expression = tr_arena_copy(d->arena, t.from - 1, (size_t)(t.to - t.from) + 1);
    else if (kind != '\0')
        d->column.default_expression = text.len > 0 ? quote(d, bytes, text.len) : "''";
    else
        d->column.default_expression = quote(d, bytes, text.len);
    bool known = memchr(bytes, '\0', text.len) == NULL;
    if (known && (kind == 'x' || kind == 'X') && text.len > 0) { /* 0x41, as the catalogue prints it */
        struct tr_buffer hex;
        tr_buffer_init(&hex, TR_BUFFER_MAX);
        tr_buffer_text(&hex, "0x");
        tr_buffer_add(&hex, bytes, text.len);
        d->column.default_expression = tr_arena_copy(d->arena, hex.data, hex.len);
        tr_buffer_fini(&hex);
    }
    tr_buffer_fini(&text);
    *d->s = ahead;
    t = binlog_next(&ahead);
    return known && !binlog_is_text(d->s, &t); /* 'a' 'b' is one text */
}

static bool
read_default(struct definition *d)
{
    struct scan *s = d->s;
    d->has_default = true;
    if (binlog_accept(s, "NULL"))
        return true;
    if (binlog_accept(s, "TRUE") || binlog_accept(s, "FALSE")) {
        d->column.default_expression = s->at[-2] == 'u' || s->at[-2] == 'U' ? "1" : "0";
        return true;
    }
    return read_clock(d) || read_number(d) || read_text(d) || read_expression(d);
}

/* What the server puts into rows that are there, where a column is NOT NULL and has no default. Zero dates and the like have no form elsewhere: then it counts as not known. */
static void
take_implicit(struct definition *d)
{
    struct tr_column *column = &d->column;
    const char *value = NULL;
    switch (column->logical) {
    case TR_CHAR:
    case TR_TEXT:
    case TR_SET: value = ""; break;
    case TR_BYTES: value = strcmp(column->type_name, "binary") != 0 ? "\\x" : NULL; break;
    case TR_ENUM: value = column->nlabels > 0 ? column->labels[0] : NULL; break;
    case TR_JSON: break; /* null at MySQL, an empty text at MariaDB, and the log does not say whose it is */
    case TR_TIME: value = "00:00:00"; break;
    case TR_UUID: value = "00000000-0000-0000-0000-000000000000"; break;
    case TR_INET: value = strcmp(column->type_name, "inet4") == 0 ? "0.0.0.0" : "::"; break;
    case TR_YEAR: value = "0"; break;
    default: value = column->logical >= TR_INT8 && column->logical <= TR_DECIMAL ? "0" : NULL; break;
    }
    column->older = value != NULL ? TR_OLDER_VALUE : TR_OLDER_UNKNOWN;
    column->older_value = value;
    column->default_unknown = value == NULL;
}

/* ------------------------------------------------------------------------------------------- generated columns */

/* A token as every session reads it: names in back-ticks, texts in single quotes, backslashes doubled. */
static void
spell_token(struct definition *d, const struct token *t, struct tr_buffer *out)
{
    bool text = binlog_is_text(d->s, t);
    struct tr_buffer value;
    if (!text && t->kind != TOKEN_NAME) {
        tr_buffer_add(out, t->from, (size_t)(t->to - t->from));
        return;
    }
    char quote = text ? '\'' : '`';
    tr_buffer_init(&value, TR_BUFFER_MAX);
    if (text)
        binlog_text_of(d->s, t, &value);
    else
        tr_buffer_text(&value, binlog_name_of(d->s, t));
    tr_buffer_byte(out, quote);
    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] == quote || (text && value.data[i] == '\\'))
            tr_buffer_byte(out, value.data[i]);
        tr_buffer_byte(out, value.data[i]);
    }
    tr_buffer_byte(out, quote);
    tr_buffer_fini(&value);
}

/* [GENERATED ALWAYS] AS (expression) [VIRTUAL | STORED | PERSISTENT], of which AS (expression) is told here. `||` means one thing or another by the session. */
static bool
read_generated(struct definition *d)
{
    struct scan *s = d->s;
    struct tr_buffer out;
    struct token t = binlog_next(s);
    const char *end = t.to;
    bool known = binlog_is_mark(&t, '(');
    int depth = known;
    tr_buffer_init(&out, TR_BUFFER_MAX);
    while (known && depth > 0) {
        t = binlog_next(s);
        depth += binlog_is_mark(&t, '(') ? 1 : binlog_is_mark(&t, ')') ? -1 : 0;
        known = t.kind != TOKEN_END && !(binlog_is_mark(&t, '|') && *end == '|');
        if (known && depth > 0) {
            tr_buffer_text(&out, t.from > end && out.len > 0 ? " " : "");
            spell_token(d, &t, &out);
        }
        end = t.to;
    }
    d->column.generated = true;
    d->column.logged = TR_LOGGED_IN_FULL; /* until it is said to be stored */
    d->column.generation = tr_arena_copy(d->arena, out.len > 0 ? out.data : "", out.len);
    known = known && !out.overflow && out.len > 0 && memchr(out.data, '\0', out.len) == NULL;
    tr_buffer_fini(&out);
    return known;
}

/* ------------------------------------------------------------------------------------------- the clause */

/* Over what bears neither on the type nor on values. */
static bool
skip_attribute(struct definition *d)
{
    static const char *const alone[] = { "VISIBLE", "INVISIBLE", "ENFORCED", "FIRST", "COMPRESSED", NULL };
    static const char *const valued[] = { "COMMENT", "COLUMN_FORMAT", "STORAGE", "AFTER", "SRID", NULL };
    struct scan ahead = *d->s;
    struct token t = binlog_next(&ahead);
    if (binlog_is_any(&t, valued))
        t = binlog_next(&ahead);
    else if (!binlog_is_any(&t, alone))
        return false;
    *d->s = ahead;
    return true;
}

static bool
ends(const struct scan *s)
{
    struct scan ahead = *s;
    struct token t = binlog_next(&ahead);
    return t.kind == TOKEN_END || binlog_is_mark(&t, ',') || binlog_is_mark(&t, ')') ||
           binlog_is_mark(&t, ';');
}

/* "(...)", if that is what comes next. False when it does not end. */
static bool
skip_parentheses(struct scan *s)
{
    int depth = 0;
    if (!opens(s))
        return true;
    do {
        struct token t = binlog_next(s);
        if (t.kind == TOKEN_END)
            return false;
        depth += binlog_is_mark(&t, '(') ? 1 : binlog_is_mark(&t, ')') ? -1 : 0;
    } while (depth > 0);
    return true;
}

/* ON UPDATE CURRENT_TIMESTAMP(3), CHECK (...), REFERENCES t (c) ON DELETE CASCADE, [PRIMARY] KEY, UNIQUE [KEY] */
static bool
skip_rule(struct definition *d)
{
    struct scan *s = d->s;
    if (binlog_accept(s, "REFERENCES")) {
        while (!ends(s))
            if (!opens(s))
                binlog_next(s);
            else if (!skip_parentheses(s))
                return false;
        return true;
    }
    if (binlog_accept(s, "CHECK"))
        return opens(s) && skip_parentheses(s);
    if (binlog_accept(s, "ON"))
        return binlog_accept(s, "UPDATE") && binlog_next(s).kind == TOKEN_WORD && skip_parentheses(s);
    if (binlog_accept(s, "UNIQUE") || binlog_accept(s, "PRIMARY")) {
        binlog_accept(s, "KEY");
        return true;
    }
    return binlog_accept(s, "KEY");
}

static bool
read_charset(struct definition *d)
{
    struct scan *s = d->s;
    bool collate = binlog_accept(s, "COLLATE");
    if (!collate && !binlog_accept(s, "CHARSET") &&
        !(binlog_accept(s, "CHARACTER") && binlog_accept(s, "SET")))
        return false;
    struct token t = binlog_next(s);
    const char *name = tr_arena_strdup(d->arena, binlog_name_of(s, &t));
    if (collate)
        d->column.collation = name;
    else
        d->column.charset = name;
    return true;
}

/* Behind the name. Rows that are there get numbers from AUTO_INCREMENT that only the source knows. */
static bool
read_definition(struct definition *d, enum tr_ddl_action action)
{
    struct scan *s = d->s;
    bool known = read_type(d);
    while (known && !ends(s)) {
        if (binlog_accept(s, "NOT"))
            known = d->column.not_null = binlog_accept(s, "NULL");
        else if (binlog_accept(s, "NULL"))
            d->null = true;
        else if (binlog_accept(s, "DEFAULT"))
            known = read_default(d);
        else if (binlog_accept(s, "AUTO_INCREMENT"))
            d->column.auto_increment = true;
        else if (binlog_accept(s, "GENERATED"))
            known = binlog_accept(s, "ALWAYS");
        else if (binlog_accept(s, "AS"))
            known = read_generated(d);
        else if (binlog_accept(s, "STORED") || binlog_accept(s, "PERSISTENT"))
            d->column.stored = true;
        else if (binlog_accept(s, "VIRTUAL"))
            d->column.stored = false;
        else
            known = read_charset(d) || skip_attribute(d) || skip_rule(d);
    }
    if (d->column.stored)
        d->column.logged = TR_LOGGED_ALWAYS;
    if (!known || action != TR_DDL_ADD || d->column.generated)
        return known;
    if (d->column.not_null && !d->has_default)
        take_implicit(d);
    /* without a word about NULL it depends on a setting of the server's */
    bool settled = d->column.logical != TR_TIMESTAMPTZ || d->has_default || d->null;
    return settled && !d->column.auto_increment;
}

static void
add(const struct scan *s, enum tr_ddl_action action, const char *from, const struct definition *d)
{
    struct tr_event *event = s->event;
    struct tr_relation *relation = event->ddl.defined;
    uint16_t n = relation->ncolumns;
    if (n == UINT16_MAX)
        return;
    if ((n & (n - 1)) == 0) { /* room for twice as many */
        struct tr_column *columns = tr_arena_zalloc(&relation->arena, (2u * n + 1) * sizeof *columns);
        struct tr_ddl_column *more = tr_arena_zalloc(&relation->arena, (2u * n + 1) * sizeof *more);
        if (n > 0) {
            memcpy(columns, relation->columns, n * sizeof *columns);
            memcpy(more, event->ddl.columns, n * sizeof *more);
        }
        relation->columns = columns;
        event->ddl.columns = more;
    }
    ((struct tr_column *)(uintptr_t)relation->columns)[n] = d->column;
    ((struct tr_ddl_column *)(uintptr_t)event->ddl.columns)[n] = (struct tr_ddl_column){ (uint8_t)action,
                                                                                         from };
    relation->ncolumns++;
}

static struct tr_relation *
subject(const struct scan *s)
{
    struct tr_event *event = s->event;
    if (event->ddl.defined != NULL)
        return event->ddl.defined;
    struct tr_relation *relation = event->ddl.defined = tr_relation_new();
    relation->schema = relation->target_schema = tr_arena_strdup(&relation->arena,
                                                                 event->ddl.tables[0].schema);
    relation->name = relation->target_name = tr_arena_strdup(&relation->arena, event->ddl.tables[0].name);
    return relation;
}

/* name definition. False when the clause is at an end that is not understood. */
static bool
take_definition(struct scan *s, enum tr_ddl_action action, bool renames)
{
    struct definition d = { .s = s, .arena = &subject(s)->arena };
    struct token t = binlog_next(s);
    if (!binlog_is_name(&t))
        return false;
    const char *from = tr_arena_strdup(d.arena, binlog_name_of(s, &t));
    if (renames)
        t = binlog_next(s);
    if (!binlog_is_name(&t))
        return false;
    d.column.name = tr_arena_strdup(d.arena, binlog_name_of(s, &t));
    if (!read_definition(&d, action))
        return false;
    add(s, action, action == TR_DDL_DEFINE ? from : NULL, &d);
    return true;
}

/* ADD [COLUMN] [IF NOT EXISTS] a int, ADD [COLUMN] (a int, b int) */
static void
take_added(struct scan *s)
{
    struct scan ahead = *s;
    struct token t = binlog_next(&ahead);
    if (!binlog_is_mark(&t, '(')) {
        if (binlog_if_exists(s))
            take_definition(s, TR_DDL_ADD, false);
        return;
    }
    do {
        *s = ahead;
        struct scan item = *s;
        t = binlog_next(&item);
        if (binlog_is_no_column(&t) || !take_definition(s, TR_DDL_ADD, false))
            return;
        ahead = *s;
        t = binlog_next(&ahead);
    } while (binlog_is_mark(&t, ','));
}

/* DROP [COLUMN] [IF EXISTS] a [RESTRICT | CASCADE] */
static void
take_dropped(struct scan *s)
{
    struct definition d = { .s = s };
    struct token t;
    if (!binlog_if_exists(s))
        return;
    t = binlog_next(s);
    if (!binlog_accept(s, "RESTRICT"))
        binlog_accept(s, "CASCADE");
    if (!binlog_is_name(&t) || !ends(s))
        return;
    d.column.name = tr_arena_strdup(&subject(s)->arena, binlog_name_of(s, &t));
    add(s, TR_DDL_DROP, NULL, &d);
}

bool
binlog_is_no_column(const struct token *t)
{
    static const char *const others[] = { "INDEX",   "KEY",        "UNIQUE",  "FULLTEXT",
                                          "SPATIAL", "CONSTRAINT", "PRIMARY", "FOREIGN",
                                          "CHECK",   "PARTITION",  "VECTOR",  NULL };
    return binlog_is_any(t, others);
}

void
binlog_read_clause(struct scan s)
{
    struct token t = binlog_next(&s);
    struct scan ahead = s;
    struct token what = binlog_next(&ahead);
    bool add = binlog_is_word(&t, "ADD"), drop = binlog_is_word(&t, "DROP");
    bool change = binlog_is_word(&t, "CHANGE"), modify = binlog_is_word(&t, "MODIFY");
    if ((!add && !drop && !change && !modify) || ((add || drop) && binlog_is_no_column(&what)))
        return;
    binlog_accept(&s, "COLUMN");
    if (add)
        take_added(&s);
    else if (drop)
        take_dropped(&s);
    else if (binlog_if_exists(&s))
        take_definition(&s, TR_DDL_DEFINE, change);
}
