/* expression_shared.c - expressions that mean the same to MySQL and MariaDB, and the one spelling for both. */
#include <string.h>

#include "core/buffer.h"
#include "schema/expression_lex.h"

/* "as time", "as datetime" without a number of digits: MySQL rounds a fraction of a second, MariaDB cuts it off. */
static bool
drops_fraction(const struct tr_lexer *p)
{
    const char *type = p->at + strspn(p->at, " ");
    size_t len = strspn(type, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_");
    return tr_lex_is(p, "as") && (tr_lex_then(p, "time") || tr_lex_then(p, "datetime")) && type[len] != '(';
}

bool
tr_expression_is_shared(const char *text, bool to_mariadb)
{
    /* MySQL has the hashes no more, and prints its own form of what it extracts: 1.5 for 1.50; from there MariaDB takes it as it stands. */
    static const char *const mariadb[] = { "json_extract", "json_unquote", "md5", "sha", "sha1", NULL };
    static const char *const shared[] = { "abs",
                                          "acos",
                                          "adddate",
                                          "ascii",
                                          "asin",
                                          "atan",
                                          "and",
                                          "between",
                                          "bin",
                                          "bit_length",
                                          "case",
                                          "cast",
                                          "ceil",
                                          "ceiling",
                                          "char",
                                          "char_length",
                                          "character_length",
                                          "coalesce",
                                          "concat",
                                          "concat_ws",
                                          "conv",
                                          "convert",
                                          "cos",
                                          "cot",
                                          "crc32",
                                          "curdate",
                                          "current_date",
                                          "current_timestamp",
                                          "curtime",
                                          "date",
                                          "date_add",
                                          "date_sub",
                                          "date_format",
                                          "datediff",
                                          "datetime",
                                          "day",
                                          "dayname",
                                          "dayofmonth",
                                          "dayofweek",
                                          "dayofyear",
                                          "decimal",
                                          "degrees",
                                          "div",
                                          "elt",
                                          "else",
                                          "exp",
                                          "field",
                                          "find_in_set",
                                          "floor",
                                          "format",
                                          "from_unixtime",
                                          "hex",
                                          "hour",
                                          "if",
                                          "ifnull",
                                          "in",
                                          "inet_aton",
                                          "inet_ntoa",
                                          "insert",
                                          "instr",
                                          "interval",
                                          "is",
                                          "isnull",
                                          "json_length",
                                          "json_valid",
                                          "last_day",
                                          "lcase",
                                          "left",
                                          "length",
                                          "like",
                                          "ln",
                                          "locate",
                                          "log",
                                          "log10",
                                          "log2",
                                          "lower",
                                          "lpad",
                                          "ltrim",
                                          "makedate",
                                          "microsecond",
                                          "mid",
                                          "minute",
                                          "mod",
                                          "month",
                                          "monthname",
                                          "not",
                                          "now",
                                          "nullif",
                                          "octet_length",
                                          "or",
                                          "ord",
                                          "pi",
                                          "position",
                                          "pow",
                                          "power",
                                          "quarter",
                                          "quote",
                                          "radians",
                                          "rand",
                                          "repeat",
                                          "replace",
                                          "reverse",
                                          "right",
                                          "round",
                                          "rpad",
                                          "rtrim",
                                          "second",
                                          "sha2",
                                          "sign",
                                          "sin",
                                          "space",
                                          "sqrt",
                                          "strcmp",
                                          "str_to_date",
                                          "substr",
                                          "substring",
                                          "substring_index",
                                          "tan",
                                          "then",
                                          "time",
                                          "timestamp",
                                          "timestampdiff",
                                          "to_days",
                                          "trim",
                                          "truncate",
                                          "ucase",
                                          "unhex",
                                          "unix_timestamp",
                                          "upper",
                                          "utc_date",
                                          "utc_timestamp",
                                          "uuid",
                                          "varchar",
                                          "week",
                                          "weekday",
                                          "when",
                                          "xor",
                                          "year",
                                          "yearweek",
                                          NULL };
    struct tr_expression none = { .from = "mysql", .to = "mysql" };
    struct tr_arena arena;
    struct tr_lexer p = { .e = &none, .arena = &arena, .at = text };
    bool good = true;
    tr_arena_init(&arena);
    for (tr_lex_next(&p); good && p.kind != TOKEN_END; tr_lex_next(&p)) {
        bool call = p.kind == TOKEN_WORD && tr_lex_then(&p, "(");
        bool known = !call || tr_lex_among(p.text, shared) || (to_mariadb && tr_lex_among(p.text, mariadb));
        good = p.kind != TOKEN_BAD && known && !drops_fraction(&p) && !tr_lex_is(&p, "json") &&
               !tr_lex_is(&p, "->") && !tr_lex_is(&p, "->>") && !tr_lex_is(&p, "member") &&
               !tr_lex_is(&p, "regexp") && !tr_lex_is(&p, "rlike"); /* of two kinds */
    }
    tr_arena_fini(&arena);
    return good;
}

const char *
tr_expression_bare(struct tr_arena *arena, const char *text)
{
    static const char introducer[] = "_utf8mb4'";
    struct tr_buffer out;
    bool quoted = false;
    tr_buffer_init(&out, (size_t)1 << 20);
    for (; *text != '\0'; text++) {
        if (!quoted && strncmp(text, introducer, strlen(introducer)) == 0)
            text += strlen(introducer) - 1;
        quoted = *text == '\'' ? !quoted : quoted;
        tr_buffer_byte(&out, *text);
        if (quoted && *text == '\\' && text[1] != '\0')
            tr_buffer_byte(&out, *++text);
    }
    const char *kept = tr_arena_copy(arena, out.len > 0 ? out.data : "", out.len);
    tr_buffer_fini(&out);
    return kept;
}
