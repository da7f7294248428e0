/* text.c - identifiers, literals and failures of MySQL and MariaDB. See connection.h. */
#include <errmsg.h>
#include <mysqld_error.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "clients/mysql/connection.h"

void
tr_mysql_identifier(struct tr_buffer *buf, const char *name)
{
    tr_buffer_byte(buf, '`');
    for (const char *stop; (stop = strchr(name, '`')) != NULL; name = stop + 1) {
        tr_buffer_add(buf, name, (size_t)(stop - name) + 1);
        tr_buffer_byte(buf, '`');
    }
    tr_buffer_text(buf, name);
    tr_buffer_byte(buf, '`');
}

void
tr_mysql_qualified(struct tr_buffer *buf, const char *database, const char *name)
{
    tr_mysql_identifier(buf, database);
    tr_buffer_byte(buf, '.');
    tr_mysql_identifier(buf, name);
}

void
tr_mysql_server_text(MYSQL_RES *res, char *text, size_t size)
{
    size_t len = (size_t)snprintf(text, size, "mysql");
    for (MYSQL_ROW row; (row = mysql_fetch_row(res)) != NULL && len < size;)
        len += (size_t)snprintf(text + len, size - len, ";%s=%s", row[0], row[1] != NULL ? row[1] : "");
}

bool
tr_mysql_copied_table(const char *name, char *table, size_t size)
{
    static const char *const endings[] = { "_gho", "_ghc", "_del", "_new", "_old" };
    static const size_t most_underscores = 10; /* pt-osc puts one more in front while the name is taken */
    size_t len = strlen(name), front = strspn(name, "_");
    if (front == 0 || front > most_underscores || len - front <= 4)
        return false;
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++)
        if (strcmp(name + len - 4, endings[i]) == 0)
            return snprintf(table, size, "%.*s", (int)(len - front - 4), name + front) < (int)size;
    return false;
}

static char
escape_of(char c)
{
    switch (c) {
    case '\0': return '0';
    case '\n': return 'n';
    case '\r': return 'r';
    case '\032': return 'Z';
    case '\'':
    case '\\': return c;
    default: return 0;
    }
}

void
tr_mysql_literal(struct tr_buffer *buf, const char *text, size_t len)
{
    tr_buffer_byte(buf, '\'');
    for (size_t i = 0; i < len; i++) {
        char escape = escape_of(text[i]);
        if (escape != 0)
            tr_buffer_byte(buf, '\\');
        tr_buffer_byte(buf, escape != 0 ? escape : text[i]);
    }
    tr_buffer_byte(buf, '\'');
}

enum tr_error_class
tr_mysql_classify(unsigned number, const char *sqlstate)
{
    /* What is not listed is fatal: the statement was ours, and it will fail again. */
    switch (number) {
    case 0: /* libmariadb gives no number to some losses of the connection */
    case CR_CONNECTION_ERROR:
    case CR_CONN_HOST_ERROR:
    case CR_SERVER_GONE_ERROR:
    case CR_SERVER_LOST:
    case CR_SSL_CONNECTION_ERROR: /* of one that stood: its server is gone */
    case 2055:                    /* CR_SERVER_LOST_EXTENDED */
    case CR_OUT_OF_MEMORY:
    case ER_CON_COUNT_ERROR:
    case ER_OUT_OF_RESOURCES:
    case ER_TOO_MANY_USER_CONNECTIONS:
    case ER_USER_LIMIT_REACHED:
    case ER_SERVER_SHUTDOWN:
    case ER_NORMAL_SHUTDOWN:
    case ER_NET_READ_ERROR:
    case ER_NET_READ_INTERRUPTED:
    case ER_NET_ERROR_ON_WRITE:
    case ER_NET_WRITE_INTERRUPTED:
    case ER_NEW_ABORTING_CONNECTION:
    case ER_QUERY_INTERRUPTED:
    case 1927: /* connection was killed (MariaDB) */
    case ER_LOCK_WAIT_TIMEOUT:
    case ER_LOCK_DEADLOCK:
    case ER_XA_RBDEADLOCK:
    case ER_LOCK_TABLE_FULL:
    case ER_DISK_FULL:
    case ER_RECORD_FILE_FULL:
    case ER_OPTION_PREVENTS_STATEMENT: /* read-only: a failover under way */
    case 1836:                         /* ER_READ_ONLY_MODE */
    case 3024:                         /* a statement's time limit */
    case 3032:                         /* offline_mode: work on the server is under way */
    case 3101:                         /* a group's certification rolled the transaction back */
    case 3169:                         /* session was killed (MySQL) */
    case 4031:                         /* idle for longer than wait_timeout (MySQL 8.0.24) */
    case ER_TABLE_DEF_CHANGED: return TR_RETRY;
    default: break;
    }
    if (strncmp(sqlstate, "22", 2) == 0 || strncmp(sqlstate, "23", 2) == 0 || strncmp(sqlstate, "08", 2) == 0)
        return sqlstate[0] == '0' ? TR_RETRY : TR_CONFLICT;
    switch (number) {
    case ER_DUP_ENTRY:
    case ER_DATA_TOO_LONG:
    case ER_WARN_DATA_OUT_OF_RANGE:
    case 1265: /* data truncated */
    case ER_TRUNCATED_WRONG_VALUE_FOR_FIELD:
    case ER_TRUNCATED_WRONG_VALUE:
    case ER_BAD_NULL_ERROR:
    case ER_NO_REFERENCED_ROW_2:
    case ER_ROW_IS_REFERENCED_2:
    case 3140: /* invalid JSON text */
    case 3819: /* check constraint (MySQL) */
    case 4025: /* check constraint (MariaDB) */ return TR_CONFLICT;
    default: return TR_FATAL;
    }
}

/* Which messages hold a value of the row, and what stands before it. Quotes may be in the value itself, so what follows it counts too. */
static const struct value_message {
    unsigned number;
    const char *before;
} value_messages[] = {
    { ER_DUP_ENTRY, "'" },
    { 1586 /* duplicate entry, with the key's name */, "'" },
    { 1582, "'" },
    { ER_TRUNCATED_WRONG_VALUE_FOR_FIELD, "'" },
    { ER_TRUNCATED_WRONG_VALUE, "'" },
    { 1367 /* illegal value found during parsing */, "'" },
    { 1411 /* incorrect value for a function */, "'" },
    { ER_NO_PARTITION_FOR_GIVEN_VALUE, "for value " },
    { 1690 /* an expression is out of range, and stands there with its numbers */, "in '" },
};

/* Where the value ends: before the last of what the server puts behind one, else at the last quote; without quotes, or when it may be cut, at the end. */
static char *
value_end(char *value, bool quoted, bool cut)
{
    static const char *const behind[] = { "' for key", "' for column", "' for function", "' value found" };
    char *end = NULL;
    if (!quoted)
        return value + strlen(value);
    for (size_t i = 0; i < sizeof behind / sizeof behind[0]; i++)
        for (char *p = value; (p = strstr(p, behind[i])) != NULL; p++)
            end = p;
    return end != NULL ? end : cut ? value + strlen(value) : strrchr(value, '\'');
}

#define MESSAGE_MAX 500                /* bytes of the server's message that we keep */
#define MESSAGE_CUT (MESSAGE_MAX - 20) /* servers cut theirs at about 512, at a character */

/* The value goes, the rest stays. `message` has room for three bytes more. */
static void
hide_values(unsigned number, char *message)
{
    for (size_t i = 0; i < sizeof value_messages / sizeof value_messages[0]; i++) {
        const struct value_message *known = &value_messages[i];
        char *value = number == known->number ? strstr(message, known->before) : NULL;
        if (value == NULL)
            continue;
        value += strlen(known->before);
        char *end = value_end(value, value[-1] == '\'', strlen(message) >= MESSAGE_CUT);
        if (end == NULL || end == value)
            return;
        memmove(value + 3, end, strlen(end) + 1);
        memcpy(value, "...", 3);
        return;
    }
}

static int
fail_at(struct tr_error *err, unsigned number, const char *sqlstate, const char *message, const char *fmt,
        va_list args)
{
    char prefix[512], text[640];
    vsnprintf(prefix, sizeof prefix, fmt, args);
    snprintf(text, MESSAGE_MAX + 1, "%s", message[0] != '\0' ? message : "the connection was lost");
    hide_values(number, text);
    enum tr_error_class class = tr_mysql_classify(number, sqlstate);
    tr_fail(err, class, "%s: %s (%u, %s)", prefix, text, number, sqlstate);
    snprintf(err->sqlstate, sizeof err->sqlstate, "%.5s", sqlstate);
    return -(int)class;
}

int
tr_mysql_fail_with(struct tr_error *err, unsigned number, const char *sqlstate, const char *message,
                   const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int rc = fail_at(err, number, sqlstate, message, fmt, args);
    va_end(args);
    return rc;
}

int
tr_mysql_fail(struct tr_error *err, MYSQL *conn, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int rc = fail_at(err, mysql_errno(conn), mysql_sqlstate(conn), mysql_error(conn), fmt, args);
    va_end(args);
    return rc;
}
