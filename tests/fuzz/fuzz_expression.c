/*
 * fuzz_expression.c - any text as a check, default, generated column or index expression of one engine, for another: a translation that is closed in
 * itself (quotes and parentheses), or a reason.
 *
 * Input: uint8 (which engines, which use), then the text.
 */
#include <stdlib.h>
#include <string.h>

#include "schema/expression.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tr_column columns[] = {
    { .name = "id", .native = "integer", .logical = TR_INT32, .not_null = true },
    { .name = "name", .native = "text", .logical = TR_TEXT, .length = -1 },
    { .name = "price", .native = "numeric(10,2)", .logical = TR_DECIMAL, .precision = 10, .scale = 2 },
    { .name = "seen", .native = "timestamp", .logical = TR_TIMESTAMP, .scale = 6 },
    { .name = "born", .native = "date", .logical = TR_DATE },
    { .name = "Odd \"`name", .native = "boolean", .logical = TR_BOOL },
};

/* What leaves the text of a constant or a parenthesis open would swallow the DDL behind it. */
static void
must_be_closed(const char *text, bool mysql)
{
    char quote = 0;
    int depth = 0;
    for (const char *p = text; *p != '\0'; p++) {
        if (quote != 0 && mysql && quote == '\'' && *p == '\\' && p[1] != '\0')
            p++;
        else if (quote != 0)
            quote = *p == quote ? 0 : quote;
        else if (*p == '\'' || *p == '"' || *p == '`')
            quote = *p;
        else
            depth += (*p == '(') - (*p == ')');
        if (depth < 0)
            abort();
    }
    if (quote != 0 || depth != 0)
        abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const dialects[] = { "postgresql", "mysql", "mariadb" };
    static const struct tr_relation relation = {
        .schema = "s", .name = "t", .columns = columns, .ncolumns = sizeof columns / sizeof *columns
    };
    if (size < 2 || memchr(data, '\0', size) != NULL)
        return 0;
    struct tr_expression e = {
        .relation = data[0] & 1 ? &relation : NULL,
        .from = dialects[(data[0] >> 1) % 3],
        .to = dialects[(data[0] >> 3) % 3],
        .use = (data[0] >> 5) % 4,
        .column = data[0] & 0x80 ? &columns[size % relation.ncolumns] : NULL,
    };
    char *text = strndup((const char *)data + 1, size - 1);
    struct tr_buffer out;
    struct tr_arena arena;
    tr_buffer_init(&out, 1 << 22);
    tr_arena_init(&arena);
    if (tr_expression_translate(&e, text, &out))
        must_be_closed(out.len > 0 ? out.data : "", strcmp(e.to, "postgresql") != 0);
    else if (e.reason[0] == '\0')
        abort();
    (void)tr_expression_is_shared(text, true);
    (void)tr_expression_bare(&arena, text);
    tr_arena_fini(&arena);
    tr_buffer_fini(&out);
    free(text);
    return 0;
}
