/* grants.c - "GRANT SELECT, INSERT (`a`) ON `shop`.* TO `u`@`%`". See grants.h. */
#include "clients/mysql/grants.h"

#include <string.h>

#define GRANTS_MAX ((size_t)1 << 20)

/* Where `what` begins outside of quotes and parentheses; NULL = nowhere. */
static const char *
find_outside(const char *text, const char *what)
{
    size_t len = strlen(what);
    char quote = '\0';
    int depth = 0;
    for (; *text != '\0'; text++) {
        if (quote == '\0' && depth == 0 && strncmp(text, what, len) == 0)
            return text;
        if (quote != '\0')
            quote = *text == quote ? '\0' : quote;
        else if (*text == '`' || *text == '\'' || *text == '"')
            quote = *text;
        else
            depth += (*text == '(') - (*text == ')');
    }
    return NULL;
}

/* Is it one of "A, B (`c`), D", whole? */
static bool
lists(const char *list, size_t len, const char *privilege)
{
    size_t want = strlen(privilege);
    while (len > 0) {
        const char *end = find_outside(list, ", ");
        size_t n = end != NULL && (size_t)(end - list) < len ? (size_t)(end - list) : len;
        if (n == want && strncmp(list, privilege, n) == 0)
            return true;
        list += n < len ? n + 2 : n;
        len -= n < len ? n + 2 : n;
    }
    return false;
}

/* One quoted part of a scope against a name; *end is what follows it. Databases may be patterns: % and _, unless a backslash stands before. */
static bool
part_matches(const char *part, const char *name, bool pattern, const char **end)
{
    const char *star = NULL, *again = NULL;
    if (*part++ != '`')
        return false;
    for (;;) {
        bool over = *part == '\0' || (*part == '`' && part[1] != '`');
        bool escaped = pattern && !over && *part == '\\' && part[1] != '\0';
        const char *at = escaped || *part == '`' ? part + 1 : part;
        if (over && *name == '\0') {
            *end = *part == '`' ? part + 1 : part;
            return true;
        }
        if (!over && pattern && !escaped && *part == '%') {
            star = ++part;
            again = name;
        } else if (!over && *name != '\0' && ((pattern && !escaped && *part == '_') || *at == *name)) {
            part = at + 1;
            name++;
        } else if (star != NULL && *again != '\0') {
            part = star;
            name = ++again;
        } else {
            return false;
        }
    }
}

static bool
covers(const char *scope, const char *database, const char *table)
{
    const char *end;
    if (strncmp(scope, "*.* ", 4) == 0)
        return true;
    if (database == NULL || !part_matches(scope, database, true, &end) || *end != '.')
        return false;
    if (end[1] == '*')
        return true;
    return table != NULL && part_matches(end + 1, table, false, &end);
}

void
tr_mysql_grants_add(struct tr_mysql_grants *grants, const char *line)
{
    if (grants->lines.data == NULL)
        tr_buffer_init(&grants->lines, GRANTS_MAX);
    if (strncmp(line, "GRANT ", 6) != 0 || strncmp(line, "GRANT PROXY ", 12) == 0)
        return; /* MySQL's partial REVOKE and the like take away what is rarely missed */
    if (find_outside(line, " ON ") == NULL) {
        grants->roles = true;
        return;
    }
    tr_buffer_text(&grants->lines, line);
    tr_buffer_byte(&grants->lines, '\0');
}

int
tr_mysql_grants_read(MYSQL *conn, struct tr_mysql_grants *grants, struct tr_error *err)
{
    MYSQL_RES *res;
    MYSQL_ROW row;
    *grants = (struct tr_mysql_grants){ .roles = false };
    int rc = tr_mysql_query(conn, "SHOW GRANTS", &res, err);
    if (rc < 0)
        return rc;
    while (res != NULL && (row = mysql_fetch_row(res)) != NULL)
        if (row[0] != NULL)
            tr_mysql_grants_add(grants, row[0]);
    mysql_free_result(res);
    return 0;
}

void
tr_mysql_grants_fini(struct tr_mysql_grants *grants)
{
    if (grants->lines.data != NULL)
        tr_buffer_fini(&grants->lines);
}

bool
tr_mysql_granted(const struct tr_mysql_grants *grants, const char *privilege, const char *database,
                 const char *table)
{
    if (grants->roles)
        return true;
    for (size_t at = 0; at < grants->lines.len; at += strlen(grants->lines.data + at) + 1) {
        const char *list = grants->lines.data + at + 6, *on = find_outside(list, " ON ");
        size_t len = (size_t)(on - list);
        if (covers(on + 4, database, table) &&
            (lists(list, len, privilege) || lists(list, len, "ALL PRIVILEGES")))
            return true;
    }
    return false;
}

void
tr_mysql_account(struct tr_buffer *buf, const char *current_user)
{
    const char *at = strrchr(current_user, '@');
    size_t len = at != NULL ? (size_t)(at - current_user) : strlen(current_user);
    tr_mysql_literal(buf, current_user, len);
    if (at != NULL) {
        tr_buffer_byte(buf, '@');
        tr_mysql_literal(buf, at + 1, strlen(at + 1));
    }
}
