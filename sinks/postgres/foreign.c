/* foreign.c - the columns of another engine's tables as PostgreSQL would have them: for changes of shape on the way. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/memory.h"
#include "schema/convert.h"
#include "sinks/postgres/shape.h"

static void
translate(struct tr_arena *arena, const char *dialect, struct tr_column *column)
{
    struct tr_buffer type, note;
    tr_buffer_init(&type, (size_t)1 << 20);
    tr_buffer_init(&note, (size_t)1 << 20);
    column->default_expression = tr_convert_quoted_default(arena, dialect, column);
    tr_convert_to_postgresql(column, NULL, &type, &note);
    column->native = tr_arena_strdup(arena, type.data);
    if (column->default_expression != NULL) {
        tr_buffer_reset(&note);
        bool known = tr_convert_default_to_postgresql(column, type.data, &note);
        /* one that cannot be said is kept as it is: it counts as a call, and the column as one that cannot be added */
        column->default_expression = known ? tr_arena_strdup(arena, note.data) : "unknown()";
    }
    column->logical = column->logical == TR_ENUM ? TR_TEXT : column->logical;
    tr_buffer_fini(&type);
    tr_buffer_fini(&note);
}

struct tr_relation *
tr_pg_translated(const struct tr_postgres_sink *sink, struct tr_relation *relation)
{
    if (sink->from_postgresql)
        return tr_relation_ref(relation);
    struct tr_relation *copy = tr_relation_new();
    struct tr_column *columns = tr_arena_alloc(&copy->arena, (relation->ncolumns + 1u) * sizeof *columns);
    copy->id = relation->id;
    copy->schema = tr_arena_strdup(&copy->arena, relation->schema);
    copy->name = tr_arena_strdup(&copy->arena, relation->name);
    copy->target_schema = tr_arena_strdup(&copy->arena, relation->target_schema);
    copy->target_name = tr_arena_strdup(&copy->arena, relation->target_name);
    for (uint16_t i = 0; i < relation->ncolumns; i++) {
        columns[i] = relation->columns[i];
        translate(&copy->arena, sink->base.env->source_dialect, &columns[i]);
    }
    copy->columns = columns;
    copy->ncolumns = relation->ncolumns;
    return copy;
}

/* ------------------------------------------------------------------------------------------- types by their names */

struct type_text {
    char name[40];
    int a, b; /* the numbers in its parentheses, -1 = none */
};

/* "varchar(10)" and "character varying(10)" are one. */
static struct type_text
parse(const char *text)
{
    static const char *const alike[][2] = { { "varchar", "character varying" },
                                            { "char", "character" },
                                            { "time without time zone", "time" },
                                            { "timestamp without time zone", "timestamp" } };
    struct type_text t = { "", -1, -1 };
    const char *open = strchr(text, '('), *close = open != NULL ? strchr(open, ')') : NULL;
    if (close == NULL)
        snprintf(t.name, sizeof t.name, "%s", text);
    else
        snprintf(t.name, sizeof t.name, "%.*s%s", (int)(open - text), text, close + 1);
    if (close != NULL && sscanf(open, "(%d,%d", &t.a, &t.b) < 1)
        t.a = -1;
    for (size_t i = 0; i < sizeof alike / sizeof *alike; i++)
        if (strcmp(t.name, alike[i][0]) == 0)
            snprintf(t.name, sizeof t.name, "%s", alike[i][1]);
    return t;
}

static int
rank(const struct type_text *t)
{
    static const char *const integers[] = { "smallint", "integer", "bigint" };
    for (int i = 0; i < 3; i++)
        if (strcmp(t->name, integers[i]) == 0)
            return i;
    return strcmp(t->name, "numeric") == 0 && t->a >= 20 && t->b == 0 ? 3 : -1;
}

bool
tr_pg_types_alike(const char *one, const char *other)
{
    struct type_text a = parse(one), b = parse(other);
    return strcmp(a.name, b.name) == 0 && a.a == b.a && (a.b > 0 ? a.b : 0) == (b.b > 0 ? b.b : 0);
}

bool
tr_pg_type_widens(const char *from, const char *to)
{
    struct type_text a = parse(from), b = parse(to);
    int low = rank(&a), high = rank(&b);
    if (low >= 0 && high > low)
        return true;
    bool text = strcmp(a.name, "character varying") == 0;
    bool padded = strcmp(a.name, "character") == 0; /* blanks at its end do not count, here as there */
    if ((text || padded) && strcmp(b.name, "text") == 0)
        return true;
    if (padded && (strcmp(b.name, a.name) == 0 || strcmp(b.name, "character varying") == 0))
        return a.a >= 0 && b.a >= a.a;
    if (strcmp(a.name, b.name) != 0)
        return false;
    if (strcmp(a.name, "numeric") == 0)
        return a.a >= 0 && (b.a < 0 || (b.b >= a.b && b.a - b.b >= a.a - a.b));
    return (text || strncmp(a.name, "time", 4) == 0) && a.a >= 0 && (b.a < 0 || b.a >= a.a);
}
