/* text.c - identifiers, literals, log sequence numbers and failures of PostgreSQL. See connection.h. */
#include <stdio.h>
#include <string.h>

#include "clients/postgres/connection.h"

static void
quoted(struct tr_buffer *buf, const char *text, char quote)
{
    tr_buffer_byte(buf, quote);
    for (const char *stop; (stop = strchr(text, quote)) != NULL; text = stop + 1) {
        tr_buffer_add(buf, text, (size_t)(stop - text) + 1);
        tr_buffer_byte(buf, quote);
    }
    tr_buffer_text(buf, text);
    tr_buffer_byte(buf, quote);
}

void
tr_pg_identifier(struct tr_buffer *buf, const char *name)
{
    quoted(buf, name, '"');
}

void
tr_pg_qualified(struct tr_buffer *buf, const char *schema, const char *name)
{
    quoted(buf, schema, '"');
    tr_buffer_byte(buf, '.');
    quoted(buf, name, '"');
}

void
tr_pg_literal(struct tr_buffer *buf, const char *text)
{
    if (strchr(text, '\\') == NULL) {
        quoted(buf, text, '\'');
        return;
    }
    tr_buffer_text(buf, "E'");
    for (; *text != '\0'; text++) {
        if (*text == '\'' || *text == '\\')
            tr_buffer_byte(buf, *text);
        tr_buffer_byte(buf, *text);
    }
    tr_buffer_byte(buf, '\'');
}

void
tr_pg_lsn_text(uint64_t lsn, char *out)
{
    snprintf(out, 24, "%X/%X", (unsigned)(lsn >> 32), (unsigned)lsn);
}

/* One to eight hex digits; where they end, or NULL. */
static const char *
hex_half(const char *text, uint64_t *half)
{
    int digits = 0;
    *half = 0;
    for (;; text++, digits++) {
        char c = *text;
        int n = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
        if (n < 0)
            return digits > 0 ? text : NULL;
        if (digits == 8)
            return NULL;
        *half = *half << 4 | (uint64_t)n;
    }
}

bool
tr_pg_lsn_parse(const char *text, uint64_t *lsn)
{
    uint64_t high, low;
    if (text == NULL || (text = hex_half(text, &high)) == NULL || *text++ != '/')
        return false;
    if ((text = hex_half(text, &low)) == NULL || *text != '\0')
        return false;
    *lsn = high << 32 | low;
    return true;
}

enum tr_error_class
tr_pg_classify(const char *sqlstate)
{
    /* First match rules; what is not listed is fatal: the statement was ours, and it will fail again. */
    static const struct {
        const char *prefix;
        enum tr_error_class class;
    } table[] = {
        { "08", TR_RETRY },    /* connection exception */
        { "40", TR_RETRY },    /* deadlock, serialization failure */
        { "53", TR_RETRY },    /* no space, no memory, too many connections */
        { "57P0", TR_RETRY },  /* shutdown, crash, starting up, database dropped, idle session */
        { "57014", TR_RETRY }, /* somebody cancelled it */
        { "55P03", TR_RETRY }, /* lock not available */
        { "55006", TR_RETRY }, /* object in use: a slot's former owner is still there */
        { "25P03", TR_RETRY }, /* idle in transaction */
        { "25P04", TR_RETRY }, /* transaction timeout */
        { "25006", TR_RETRY }, /* read-only: a failover under way */
        { "22", TR_CONFLICT }, /* the value does not fit */
        { "23", TR_CONFLICT }, /* constraint */
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strncmp(sqlstate, table[i].prefix, strlen(table[i].prefix)) == 0)
            return table[i].class;
    return TR_FATAL;
}

/* libpq's own message: its first line alone, for DETAIL and CONTEXT may hold row values. */
static size_t
first_line(const char *message)
{
    size_t len = strcspn(message, "\n");
    while (len > 0 && (message[len - 1] == '\n' || message[len - 1] == ' '))
        len--;
    return len;
}

/*
 * Messages of class 22 (data exceptions) quote the row's value: invalid input syntax for type integer: "...". What is between the first quote and the
 * last goes. 22023 is about parameters of statements, which are ours.
 */
static int
fail_without_value(struct tr_error *err, const char *prefix, const char *message, const char *sqlstate)
{
    enum tr_error_class class = tr_pg_classify(sqlstate);
    bool quotes_value = strncmp(sqlstate, "22", 2) == 0 && strcmp(sqlstate, "22023") != 0;
    const char *open = quotes_value ? strchr(message, '"') : NULL;
    const char *close = open != NULL ? strrchr(message, '"') : NULL;
    if (close == open)
        return tr_fail(err, class, "%s: %s (%s)", prefix, message, sqlstate);
    return tr_fail(err, class, "%s: %.*s\"...%s (%s)", prefix, (int)(open - message), message, close,
                   sqlstate);
}

int
tr_pg_fail(struct tr_error *err, PGconn *conn, const PGresult *res, const char *fmt, ...)
{
    char prefix[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(prefix, sizeof prefix, fmt, args);
    va_end(args);
    const char *sqlstate = res != NULL ? PQresultErrorField(res, PG_DIAG_SQLSTATE) : NULL;
    const char *primary = res != NULL ? PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    if (sqlstate == NULL || primary == NULL) {
        const char *message = res != NULL ? PQresultErrorMessage(res) : "";
        if (message[0] == '\0' && conn != NULL)
            message = PQerrorMessage(conn);
        bool lost = conn == NULL || PQstatus(conn) == CONNECTION_BAD || res == NULL;
        size_t len = first_line(message);
        return tr_fail(err, lost ? TR_RETRY : TR_FATAL, "%s: %.*s", prefix, len > 0 ? (int)len : 20,
                       len > 0 ? message : "no answer was given");
    }
    int rc = fail_without_value(err, prefix, primary, sqlstate);
    snprintf(err->sqlstate, sizeof err->sqlstate, "%s", sqlstate);
    const char *hint = PQresultErrorField(res, PG_DIAG_MESSAGE_HINT);
    if (hint != NULL)
        tr_error_hint(err, "%s", hint);
    return rc;
}
