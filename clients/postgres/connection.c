/* connection.c - connect, wait, run a statement. See connection.h; text helpers and failures are in text.c and failure.c. */
#include "clients/postgres/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "core/aside.h"
#include "core/clock.h"
#include "core/memory.h"

#define CONNECT_TIMEOUT_US (15 * TR_US_PER_S)
#define CANCEL_WAIT_US (TR_US_PER_S / 2) /* several of them fit into the five seconds of a stop */
#define CONNINFO_MAX ((size_t)1 << 16)
#define SYSTEM_CA_FILE "/etc/ssl/certs/ca-certificates.crt"

/* The session as every value is rendered in it (law 4). Spaces would need escapes, so none are used. */
static const char pinned_options[] =
    "-c DateStyle=ISO,MDY -c IntervalStyle=postgres -c TimeZone=UTC -c extra_float_digits=3"
    " -c bytea_output=hex -c lc_monetary=C -c search_path=pg_catalog -c row_security=off"
    " -c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0"
    " -c standard_conforming_strings=on -c quote_all_identifiers=off";

/* The same once more after the connection stands: PGDATESTYLE and its like, and poolers, override the startup packet. */
static const struct {
    const char *name;
    const char *value;
    int since; /* server_version_num */
} pinned_settings[] = {
    { "DateStyle", "ISO, MDY", 0 },
    { "IntervalStyle", "postgres", 0 },
    { "TimeZone", "UTC", 0 },
    { "extra_float_digits", "3", 0 },
    { "bytea_output", "hex", 0 },
    { "lc_monetary", "C", 0 },
    { "search_path", "pg_catalog", 0 },
    { "row_security", "off", 0 },
    { "statement_timeout", "0", 0 },
    { "lock_timeout", "0", 0 },
    { "idle_in_transaction_session_timeout", "0", 0 },
    { "standard_conforming_strings", "on", 0 },
    { "client_encoding", "UTF8", 0 },
    { "xmloption", "content", 0 },
    /* queries of the catalogue are estimated high, and compiling one takes longer than running it */
    { "jit", "off", 0 },
    { "idle_session_timeout", "0", 140000 },
    { "transaction_timeout", "0", 170000 },
};

/* ------------------------------------------------------------------------------------------- the connection string */

static void
add_keyword(struct tr_buffer *out, const char *key, const char *value)
{
    tr_buffer_text(out, key);
    tr_buffer_text(out, "='");
    for (; *value != '\0'; value++) {
        if (*value == '\'' || *value == '\\')
            tr_buffer_byte(out, '\\');
        tr_buffer_byte(out, *value);
    }
    tr_buffer_text(out, "' ");
}

static const char *
given(const PQconninfoOption *options, const char *key)
{
    for (; options->keyword != NULL; options++)
        if (strcmp(options->keyword, key) == 0)
            return options->val != NULL && options->val[0] != '\0' ? options->val : NULL;
    return NULL;
}

/* Does every host of the list stay on this machine? An absent one is libpq's socket directory. */
static bool
hosts_are_local(const char *hosts)
{
    while (hosts != NULL && *hosts != '\0') {
        size_t len = strcspn(hosts, ",");
        bool local = len == 0 || hosts[0] == '/' || hosts[0] == '@' ||
                     (len > 4 && strncmp(hosts, "127.", 4) == 0) ||
                     (len == 3 && strncmp(hosts, "::1", 3) == 0) ||
                     (len == 9 && strncasecmp(hosts, "localhost", 9) == 0);
        if (!local)
            return false;
        hosts += len;
        hosts += *hosts == ',';
    }
    return true;
}

/* verify-full wants a root certificate; where the user has none of his own the system's store is meant. */
static void
add_tls(struct tr_buffer *out, const PQconninfoOption *url)
{
    const char *mode = given(url, "sslmode");
    if (mode == NULL) {
        mode = hosts_are_local(given(url, "host")) && hosts_are_local(given(url, "hostaddr")) ? "prefer"
                                                                                              : "verify-full";
        add_keyword(out, "sslmode", mode);
    }
    if (strncmp(mode, "verify-", 7) != 0 || given(url, "sslrootcert") != NULL)
        return;
    const char *home = getenv("HOME");
    char *own = home != NULL ? tr_asprintf("%s/.postgresql/root.crt", home) : NULL;
    if ((own == NULL || access(own, R_OK) != 0) && access(SYSTEM_CA_FILE, R_OK) == 0)
        add_keyword(out, "sslrootcert", SYSTEM_CA_FILE);
    free(own);
}

/* libpq would ask the environment; the name of the operating system's user is what it falls back to as well. */
static void
add_user(struct tr_buffer *out, const PQconninfoOption *url)
{
    struct passwd entry, *found = NULL;
    char space[4096];
    const char *user = given(url, "user");
    if (user == NULL && getpwuid_r(geteuid(), &entry, space, sizeof space, &found) == 0 && found != NULL) {
        user = found->pw_name;
        add_keyword(out, "user", user);
    }
    if (user != NULL && given(url, "dbname") == NULL)
        add_keyword(out, "dbname", user);
}

/* Keywords of ours: they replace the user's (first list) or stand in for what he left out (second list). */
static void
add_ours(struct tr_buffer *out, const struct tr_pg_config *config, const PQconninfoOption *url)
{
    static const struct {
        const char *key;
        const char *value;
    } defaults[] = {
        { "keepalives_idle", "30" },
        { "keepalives_interval", "10" },
        { "keepalives_count", "3" },
        { "tcp_user_timeout", "60000" },
        { "gssencmode", "disable" },
        { "passfile", "/dev/null/none" }, /* a path that cannot exist: no file is asked for the password */
    };
    struct tr_buffer options;
    tr_buffer_init(&options, CONNINFO_MAX);
    if (given(url, "options") != NULL)
        tr_buffer_printf(&options, "%s ", given(url, "options"));
    tr_buffer_text(&options, pinned_options);
    if (config->extra_options != NULL)
        tr_buffer_printf(&options, " %s", config->extra_options);
    add_keyword(out, "options", options.data);
    tr_buffer_fini(&options);
    add_keyword(out, "client_encoding", "UTF8");
    if (config->replication)
        add_keyword(out, "replication", "database");
    if (given(url, "application_name") == NULL)
        add_keyword(out, "application_name",
                    config->application_name != NULL ? config->application_name : "tailrace");
    for (size_t i = 0; i < sizeof defaults / sizeof defaults[0]; i++)
        if (given(url, defaults[i].key) == NULL)
            add_keyword(out, defaults[i].key, defaults[i].value);
}

static bool
is_ours(const char *key)
{
    static const char *const keys[] = { "options", "client_encoding", "replication", "service" };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strcmp(keys[i], key) == 0)
            return true;
    return false;
}

static bool
has_keyword(const struct tr_buffer *out, const char *key)
{
    char *needle = tr_asprintf("%s='", key);
    bool found = false;
    for (const char *p = out->data; p != NULL && !found; p = p != NULL ? p + 1 : NULL) {
        p = strstr(p, needle);
        found = p != NULL && (p == out->data || p[-1] == ' ');
    }
    free(needle);
    return found;
}

/*
 * A string rather than arrays: only there an empty value keeps libpq from looking into the environment. Names that have
 * a compiled-in default get that, so that no PG* variable of the operator's shell changes what the task connects to.
 */
static int
build_conninfo(const struct tr_pg_config *config, const PQconninfoOption *url, struct tr_buffer *out,
               struct tr_error *err)
{
    if (given(url, "service") != NULL || getenv("PGSERVICE") != NULL)
        return tr_fail(err, TR_CONFIG, "PostgreSQL service files are not used"),
               tr_error_hint(err, "name host, database and user in the URL, and unset PGSERVICE");
    for (const PQconninfoOption *o = url; o->keyword != NULL; o++)
        if (o->val != NULL && o->val[0] != '\0' && !is_ours(o->keyword))
            add_keyword(out, o->keyword, o->val);
    add_tls(out, url);
    add_user(out, url);
    add_ours(out, config, url);
    PQconninfoOption *known = PQconndefaults();
    for (const PQconninfoOption *o = known; o != NULL && o->keyword != NULL; o++)
        if (o->envvar != NULL && strcmp(o->keyword, "service") != 0 && !has_keyword(out, o->keyword))
            add_keyword(out, o->keyword, o->compiled != NULL ? o->compiled : "");
    PQconninfoFree(known);
    return out->overflow ? tr_fail(err, TR_CONFIG, "the PostgreSQL URL is too long") : 0;
}

static bool
is_port(const char *text, size_t len)
{
    int port = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9' || port > 65535)
            return false;
        port = 10 * port + text[i] - '0';
    }
    return len == 0 || (port >= 1 && port <= 65535);
}

/*
 * What libpq would find out at each attempt, and tell in its own words: a password with a plain @ or / in it leaves its end in the place of the
 * host, or its beginning in the place of the port.
 */
static int
check_url(const PQconninfoOption *url, struct tr_error *err)
{
    static const char *const modes[] = {
        "disable", "allow", "prefer", "require", "verify-ca", "verify-full"
    };
    static const char encode[] =
        "in user and password the characters @ : / ? # %% are written %%40 %%3A %%2F %%3F %%23 %%25";
    const char *hosts = given(url, "host"), *ports = given(url, "port"), *mode = given(url, "sslmode");
    for (size_t i = 1; hosts != NULL && hosts[i] != '\0'; i++)
        if (hosts[i] == '@' && hosts[i - 1] != ',') /* what begins with one is an abstract socket */
            return tr_fail(err, TR_CONFIG, "the PostgreSQL URL has more than one @ before the host"),
                   tr_error_hint(err, encode);
    for (const char *port = ports; port != NULL; port = *port != '\0' ? port + 1 : NULL) {
        size_t len = strcspn(port, ",");
        if (!is_port(port, len))
            return tr_fail(err, TR_CONFIG, "the port in the PostgreSQL URL is not a number from 1 to 65535"),
                   tr_error_hint(err, encode);
        port += len;
        if (*port == '\0')
            break;
    }
    for (size_t i = 0; mode != NULL && strcmp(mode, modes[i]) != 0;)
        if (++i == sizeof modes / sizeof modes[0])
            return tr_fail(err, TR_CONFIG, "sslmode \"%.40s\" is not known", mode),
                   tr_error_hint(err, "it is one of disable, allow, prefer, require, verify-ca, verify-full");
    return 0;
}

/* ------------------------------------------------------------------------------------------------------ connecting */

static void
ignore_notice(void *arg, const PGresult *res)
{
    (void)arg;
    (void)res;
}

/* The message names the server's code in verbose form: "FATAL:  28P01: password authentication failed". */
static void
take_sqlstate(char *message, char *sqlstate)
{
    static const char code[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    for (char *p = message; (p = strstr(p, ":  ")) != NULL; p++)
        if (strspn(p + 3, code) == 5 && p[8] == ':') {
            memcpy(sqlstate, p + 3, 5);
            sqlstate[5] = '\0';
            memmove(p + 2, p + 9, strlen(p + 9) + 1);
        }
    char *location = strstr(message, "\nLOCATION:");
    if (location != NULL)
        *location = '\0';
    for (size_t n = strlen(message); n > 0 && (message[n - 1] == '\n' || message[n - 1] == ' '); n--)
        message[n - 1] = '\0';
    for (char *p = message; *p != '\0'; p++) /* one line: libpq asks back on lines of their own */
        if (*p == '\n' || *p == '\t')
            *p = ' ';
}

static int
connect_failed(PGconn *conn, struct tr_error *err)
{
    char sqlstate[6] = "";
    char *message = tr_strdup(PQerrorMessage(conn));
    take_sqlstate(message, sqlstate);
    enum tr_error_class class = sqlstate[0] != '\0' ? tr_pg_classify(sqlstate) : TR_RETRY;
    const char *hint = NULL;
    if (PQconnectionNeedsPassword(conn)) {
        class = TR_FATAL;
        hint = "the server asks for a password: give it in the URL by ${VARIABLE} or file:";
    } else if (sqlstate[0] == '\0' &&
               (strstr(message, "certificate") != NULL || strstr(message, "support SSL") != NULL ||
                strstr(message, "sslmode") != NULL)) {
        class = TR_FATAL;
        hint =
            "connections off this host are encrypted and the server's certificate is verified; give sslrootcert=FILE in the "
            "URL, or sslmode=disable where plain text is acceptable";
    } else if (sqlstate[0] == '\0' && (strstr(message, "invalid response to SSL negotiation") != NULL ||
                                       strstr(message, "expected authentication request") != NULL)) {
        class = TR_FATAL;
        hint = "what answers there is no PostgreSQL server: check host and port";
    } else if (strncmp(sqlstate, "28", 2) == 0) {
        class = TR_FATAL;
        hint =
            "check user, password and the server's pg_hba.conf (a replication connection to a database needs the REPLICATION "
            "attribute and an ordinary pg_hba.conf line for that database)";
    } else if (strcmp(sqlstate, "42501") == 0) {
        hint = "grant the right that is missing; to stream, the role needs: ALTER ROLE <role> REPLICATION";
    } else if (strcmp(sqlstate, "3D000") == 0) {
        hint = "name an existing database in the URL";
    }
    tr_fail(err, class, "cannot connect to PostgreSQL: %s", message);
    memcpy(err->sqlstate, sqlstate, sizeof sqlstate);
    if (hint != NULL)
        tr_error_hint(err, "%s", hint);
    free(message);
    return -(int)class;
}

/* What connecting needs and yields, on its own: libpq looks names up for as long as it takes, and may have to be left behind at that. */
struct attempt {
    struct tr_buffer conninfo;
    int64_t timeout_us;
    PGconn *conn;
    int rc;
    struct tr_error err;
};

static int
connect_wait(PGconn *conn, int64_t timeout_us, struct tr_error *err)
{
    int64_t deadline = tr_clock_us() + timeout_us;
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;
    while (status != PGRES_POLLING_OK) {
        if (status == PGRES_POLLING_FAILED)
            return connect_failed(conn, err);
        int64_t left = deadline - tr_clock_us();
        struct pollfd fd = { .fd = PQsocket(conn),
                             .events = status == PGRES_POLLING_READING ? POLLIN : POLLOUT };
        int n = left > 0 ? poll(&fd, 1, (int)(left / 1000) + 1) : 0;
        if (n < 0 && errno != EINTR)
            return tr_fail(err, TR_RETRY, "cannot wait for PostgreSQL: %s", strerror(errno));
        if (n == 0)
            return tr_fail(err, TR_RETRY, "PostgreSQL at %s did not answer in time",
                           PQhost(conn) != NULL ? PQhost(conn) : "?");
        if (n > 0)
            status = PQconnectPoll(conn);
    }
    return 0;
}

static void
attempt_main(void *arg)
{
    struct attempt *attempt = arg;
    PGconn *conn = attempt->conn = PQconnectStart(attempt->conninfo.data);
    if (conn == NULL) {
        attempt->rc = tr_fail(&attempt->err, TR_RETRY, "out of memory for a PostgreSQL connection");
        return;
    }
    PQsetNoticeReceiver(conn, ignore_notice, NULL);
    PQsetErrorVerbosity(conn, PQERRORS_VERBOSE);
    attempt->rc = PQstatus(conn) == CONNECTION_BAD ? connect_failed(conn, &attempt->err)
                                                   : connect_wait(conn, attempt->timeout_us, &attempt->err);
    PQsetErrorVerbosity(conn, PQERRORS_DEFAULT);
}

static void
attempt_free(struct attempt *attempt)
{
    if (attempt->conninfo.data != NULL)
        tr_wipe(attempt->conninfo.data, attempt->conninfo.len);
    tr_buffer_fini(&attempt->conninfo);
    free(attempt);
}

static void
attempt_discard(void *arg)
{
    struct attempt *attempt = arg;
    tr_pg_close(attempt->conn);
    attempt_free(attempt);
}

/* One statement sets all and shows what now stands. */
static int
pin_session(PGconn *conn, int interrupt_fd, struct tr_error *err)
{
    enum { COUNT = sizeof pinned_settings / sizeof pinned_settings[0] };
    struct tr_buffer sql;
    tr_buffer_init(&sql, CONNINFO_MAX);
    int version = PQserverVersion(conn), asked[COUNT], n = 0;
    for (int i = 0; i < COUNT; i++)
        if (version >= pinned_settings[i].since) {
            tr_buffer_printf(&sql, "%s pg_catalog.set_config('%s', '%s', false)", n == 0 ? "SELECT" : ",",
                             pinned_settings[i].name, pinned_settings[i].value);
            asked[n++] = i;
        }
    PGresult *res = NULL;
    int rc = tr_pg_exec(conn, interrupt_fd, sql.data, &res, err);
    tr_buffer_fini(&sql);
    if (rc < 0)
        return tr_error_prefix(err, "cannot set up the session");
    for (int i = 0; i < n && rc == 0; i++)
        if (PQntuples(res) != 1 || strcmp(PQgetvalue(res, 0, i), pinned_settings[asked[i]].value) != 0)
            rc = tr_fail(err, TR_FATAL, "the server keeps its own %s: \"%s\" instead of \"%s\"",
                         pinned_settings[asked[i]].name, PQntuples(res) == 1 ? PQgetvalue(res, 0, i) : "",
                         pinned_settings[asked[i]].value);
    PQclear(res);
    return rc;
}

static int
new_attempt(const struct tr_pg_config *config, struct attempt **out, struct tr_error *err)
{
    char *why = NULL;
    PQconninfoOption *url = PQconninfoParse(config->url, &why);
    *out = NULL;
    if (url == NULL) {
        /* libpq's message would repeat parts of the URL, and with them the password */
        PQfreemem(why);
        return tr_fail(err, TR_CONFIG, "the PostgreSQL URL cannot be read"),
               tr_error_hint(
                   err,
                   "it reads postgresql://user:password@host:port/database?sslmode=verify-full, with special "
                   "characters as %%XX");
    }
    struct attempt *attempt = tr_calloc(1, sizeof *attempt);
    attempt->timeout_us = config->connect_timeout_us > 0 ? config->connect_timeout_us : CONNECT_TIMEOUT_US;
    tr_buffer_init(&attempt->conninfo, CONNINFO_MAX);
    int rc = check_url(url, err);
    if (rc == 0)
        rc = build_conninfo(config, url, &attempt->conninfo, err);
    PQconninfoFree(url);
    if (rc == 0)
        *out = attempt;
    else
        attempt_free(attempt);
    return rc;
}

int
tr_pg_connect(const struct tr_pg_config *config, PGconn **conn, struct tr_error *err)
{
    struct attempt *attempt;
    *conn = NULL;
    int rc = new_attempt(config, &attempt, err);
    if (rc < 0)
        return rc;
    rc = tr_aside_run(&(struct tr_aside){ attempt, attempt_main, attempt_discard }, config->interrupt_fd, -1,
                      err);
    if (rc <= 0)
        return rc;
    *conn = attempt->conn;
    rc = attempt->rc;
    if (rc < 0)
        *err = attempt->err;
    attempt_free(attempt);
    if (rc == 0)
        rc = pin_session(*conn, config->interrupt_fd, err);
    if (rc < 0) {
        tr_pg_close(*conn);
        *conn = NULL;
    }
    return rc;
}

void
tr_pg_close(PGconn *conn)
{
    if (conn != NULL)
        PQfinish(conn);
}

struct cancellation {
    PGcancel *handle;
    int done_fd; /* closed when it is over */
};

static void *
cancel_main(void *arg)
{
    struct cancellation *self = arg;
    char ignored[256];
    PQcancel(self->handle, ignored, sizeof ignored);
    PQfreeCancel(self->handle);
    close(self->done_fd);
    free(self);
    return NULL;
}

/* libpq 15 can cancel only with calls that block, and nothing ends them: so a thread of its own makes them, and may be left behind. */
void
tr_pg_cancel(PGconn *conn)
{
    int ends[2];
    pthread_t thread;
    PGcancel *handle = PQgetCancel(conn);
    if (handle == NULL)
        return;
    if (pipe2(ends, O_CLOEXEC) < 0) {
        PQfreeCancel(handle);
        return;
    }
    struct cancellation *self = tr_calloc(1, sizeof *self);
    *self = (struct cancellation){ handle, ends[1] };
    if (pthread_create(&thread, NULL, cancel_main, self) == 0) {
        struct pollfd fd = { .fd = ends[0] }; /* POLLHUP always counts */
        pthread_detach(thread);
        poll(&fd, 1, (int)(CANCEL_WAIT_US / 1000));
    } else {
        PQfreeCancel(handle);
        close(ends[1]);
        free(self);
    }
    close(ends[0]);
}

/* ------------------------------------------------------------------------------------------ waiting and statements */

/* Bytes that OpenSSL has taken off the socket already: poll() would not see them. */
static bool
tls_has_input(PGconn *conn)
{
    SSL *tls = PQsslInUse(conn) ? PQsslStruct(conn, "OpenSSL") : NULL;
    return tls != NULL && SSL_pending(tls) > 0;
}

int
tr_pg_wait(PGconn *conn, bool for_write, int interrupt_fd, int64_t wait_us, struct tr_error *err)
{
    if (tls_has_input(conn))
        return 1;
    struct pollfd fds[2] = { { .fd = PQsocket(conn), .events = (short)(POLLIN | (for_write ? POLLOUT : 0)) },
                             { .fd = interrupt_fd, .events = POLLIN } };
    if (fds[0].fd < 0)
        return tr_pg_fail(err, conn, NULL, "connection lost");
    struct timespec wait = { wait_us / TR_US_PER_S, wait_us % TR_US_PER_S * 1000 };
    int n = ppoll(fds, 2, wait_us < 0 ? NULL : &wait, NULL);
    if (n < 0 && errno != EINTR)
        return tr_fail(err, TR_RETRY, "cannot wait for PostgreSQL: %s", strerror(errno));
    if (n > 0 && interrupt_fd >= 0 && fds[1].revents != 0)
        return tr_fail(err, TR_RETRY, "interrupted");
    return n > 0;
}

static bool
result_ok(const PGresult *res)
{
    switch (PQresultStatus(res)) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_SINGLE_TUPLE:
    case PGRES_EMPTY_QUERY:
    case PGRES_COPY_OUT:
    case PGRES_COPY_IN:
    case PGRES_COPY_BOTH: return true;
    default: return false;
    }
}

static bool
is_copy(const PGresult *res)
{
    ExecStatusType status = PQresultStatus(res);
    return status == PGRES_COPY_OUT || status == PGRES_COPY_IN || status == PGRES_COPY_BOTH;
}

static int
await_result(PGconn *conn, int interrupt_fd, struct tr_error *err)
{
    for (;;) {
        int unsent = PQflush(conn);
        if (unsent < 0)
            return tr_pg_fail(err, conn, NULL, "cannot send to PostgreSQL");
        if (unsent == 0 && !PQisBusy(conn))
            return 0;
        int rc = tr_pg_wait(conn, unsent > 0, interrupt_fd, -1, err);
        if (rc < 0)
            return rc;
        if (PQconsumeInput(conn) == 0)
            return tr_pg_fail(err, conn, NULL, "connection lost");
    }
}

/* All results of what was sent; the last one, or the first that failed, is what counts. A COPY ends it: its data follow. */
static int
collect(PGconn *conn, int interrupt_fd, PGresult **out, struct tr_error *err)
{
    PGresult *kept = NULL;
    for (;;) {
        int rc = await_result(conn, interrupt_fd, err);
        if (rc < 0) {
            PQclear(kept);
            return rc;
        }
        PGresult *res = PQgetResult(conn);
        if (res == NULL)
            break;
        if (kept != NULL && !result_ok(kept)) {
            PQclear(res);
            continue;
        }
        PQclear(kept);
        kept = res;
        if (is_copy(res))
            break;
    }
    if (kept == NULL || !result_ok(kept)) {
        int rc = tr_pg_fail(err, conn, kept, "statement failed");
        PQclear(kept);
        return rc;
    }
    if (out != NULL)
        *out = kept;
    else
        PQclear(kept);
    return 0;
}

int
tr_pg_exec(PGconn *conn, int interrupt_fd, const char *sql, PGresult **res, struct tr_error *err)
{
    if (res != NULL)
        *res = NULL;
    if (PQsendQuery(conn, sql) == 0)
        return tr_pg_fail(err, conn, NULL, "cannot send a statement");
    return collect(conn, interrupt_fd, res, err);
}

int
tr_pg_exec_params(PGconn *conn, int interrupt_fd, const char *sql, int nparams, const char *const *params,
                  PGresult **res, struct tr_error *err)
{
    if (res != NULL)
        *res = NULL;
    if (PQsendQueryParams(conn, sql, nparams, NULL, params, NULL, NULL, 0) == 0)
        return tr_pg_fail(err, conn, NULL, "cannot send a statement");
    return collect(conn, interrupt_fd, res, err);
}
