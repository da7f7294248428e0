/* connection.c - connect, pin the session, run a statement. See connection.h; text helpers and failures are in text.c. */
#include "clients/mysql/connection.h"

#include <errmsg.h>
#include <errno.h>
#include <fcntl.h>
#include <mysqld_error.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/aside.h"
#include "core/clock.h"
#include "core/memory.h"
#include "core/url.h"

#define CONNECT_TIMEOUT_US (15 * TR_US_PER_S)
#define DEFAULT_PORT 3306
#define SYSTEM_CA_FILE "/etc/ssl/certs/ca-certificates.crt"
#define TCP_TIMEOUT_MS 60000
#define SQL_MAX ((size_t)1 << 16)

/* --------------------------------------------------------------------------------------------------------- the group */

/* The library closes a socket that failed, and its number may be another's a moment later: what is shut down is a descriptor of our own. */
struct member {
    MYSQL *conn;
    int fd;
};

struct tr_mysql_group {
    pthread_mutex_t lock;
    struct member *members;
    size_t count, capacity;
    bool interrupted;
    int event_fd; /* readable once it is */
    int stop_fd;  /* borrowed */
    int quit_fd;  /* ends the watcher */
    pthread_t watcher;
    bool watched;
    _Atomic int64_t linger_us;
};

static bool
readable_within(int fd, int other_fd, int64_t wait_us)
{
    struct pollfd fds[2] = { { .fd = fd, .events = POLLIN }, { .fd = other_fd, .events = POLLIN } };
    int n;
    do
        n = poll(fds, 2, wait_us < 0 ? -1 : (int)(wait_us / 1000));
    while (n < 0 && errno == EINTR);
    return fds[0].revents != 0;
}

/* Calls of the library know nothing of an order to stop: the sockets under them are shut down. */
static void *
watch_stop(void *arg)
{
    struct tr_mysql_group *group = arg;
    if (!readable_within(group->quit_fd, group->stop_fd, -1) &&
        !readable_within(group->quit_fd, -1, atomic_load(&group->linger_us)))
        tr_mysql_interrupt(group);
    return NULL;
}

struct tr_mysql_group *
tr_mysql_group_new(int stop_fd)
{
    struct tr_mysql_group *group = tr_calloc(1, sizeof *group);
    pthread_mutex_init(&group->lock, NULL);
    group->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    group->quit_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    group->stop_fd = stop_fd;
    group->watched = stop_fd > 0 && group->quit_fd >= 0 &&
                     pthread_create(&group->watcher, NULL, watch_stop, group) == 0;
    return group;
}

void
tr_mysql_group_linger(struct tr_mysql_group *group, int64_t linger_us)
{
    atomic_store(&group->linger_us, linger_us);
}

void
tr_mysql_group_free(struct tr_mysql_group *group)
{
    if (group == NULL)
        return;
    if (group->watched) {
        eventfd_write(group->quit_fd, 1);
        pthread_join(group->watcher, NULL);
    }
    if (group->event_fd >= 0)
        close(group->event_fd);
    if (group->quit_fd >= 0)
        close(group->quit_fd);
    pthread_mutex_destroy(&group->lock);
    free(group->members);
    free(group);
}

void
tr_mysql_interrupt(struct tr_mysql_group *group)
{
    pthread_mutex_lock(&group->lock);
    group->interrupted = true;
    eventfd_write(group->event_fd, 1);
    for (size_t i = 0; i < group->count; i++)
        shutdown(group->members[i].fd, SHUT_RDWR);
    pthread_mutex_unlock(&group->lock);
}

bool
tr_mysql_interrupted(struct tr_mysql_group *group)
{
    pthread_mutex_lock(&group->lock);
    bool interrupted = group->interrupted;
    pthread_mutex_unlock(&group->lock);
    return interrupted;
}

static int
group_add(struct tr_mysql_group *group, MYSQL *conn, struct tr_error *err)
{
    int fd = fcntl((int)mysql_get_socket(conn), F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return tr_fail(err, TR_RETRY, "cannot watch a connection: %s", strerror(errno));
    pthread_mutex_lock(&group->lock);
    bool interrupted = group->interrupted;
    if (!interrupted) {
        if (group->count == group->capacity) {
            group->capacity = group->capacity > 0 ? group->capacity * 2 : 8;
            group->members = tr_realloc(group->members, group->capacity * sizeof *group->members);
        }
        group->members[group->count++] = (struct member){ conn, fd };
    }
    pthread_mutex_unlock(&group->lock);
    if (interrupted)
        close(fd);
    return interrupted ? tr_fail(err, TR_RETRY, "interrupted") : 0;
}

static void
group_remove(struct tr_mysql_group *group, const MYSQL *conn)
{
    if (group == NULL)
        return;
    pthread_mutex_lock(&group->lock);
    for (size_t i = 0; i < group->count; i++)
        if (group->members[i].conn == conn) {
            close(group->members[i].fd);
            group->members[i] = group->members[--group->count];
            break;
        }
    pthread_mutex_unlock(&group->lock);
}

/* --------------------------------------------------------------------------------------------------------------- TLS */

enum tls_mode { TLS_DISABLE, TLS_PREFER, TLS_REQUIRE, TLS_VERIFY_CA, TLS_VERIFY_FULL };

static const char *
param(const struct tr_url *url, const char *name, const char *other)
{
    const char *value = tr_url_param(url, name);
    return value != NULL ? value : tr_url_param(url, other);
}

static int
tls_mode(const struct tr_url *url, bool local, enum tls_mode *mode, struct tr_error *err)
{
    static const struct {
        const char *name;
        enum tls_mode mode;
    } names[] = {
        { "disable", TLS_DISABLE },         { "disabled", TLS_DISABLE },
        { "prefer", TLS_PREFER },           { "preferred", TLS_PREFER },
        { "require", TLS_REQUIRE },         { "required", TLS_REQUIRE },
        { "verify-ca", TLS_VERIFY_CA },     { "verify_ca", TLS_VERIFY_CA },
        { "verify-full", TLS_VERIFY_FULL }, { "verify_identity", TLS_VERIFY_FULL },
    };
    const char *given = param(url, "sslmode", "ssl-mode");
    *mode = local ? TLS_PREFER : TLS_VERIFY_FULL;
    if (given == NULL)
        return 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcasecmp(given, names[i].name) == 0) {
            *mode = names[i].mode;
            return 0;
        }
    tr_fail(err, TR_CONFIG, "sslmode \"%.40s\" is not known", given);
    return tr_error_hint(err, "it is one of disable, prefer, require, verify-ca, verify-full");
}

static void
set_tls(MYSQL *conn, const struct tr_url *url, enum tls_mode mode)
{
    my_bool yes = 1, no = 0;
    const char *ca = param(url, "sslrootcert", "ssl-ca");
    const char *cert = param(url, "sslcert", "ssl-cert"), *key = param(url, "sslkey", "ssl-key");
    if (mode == TLS_DISABLE || mode == TLS_PREFER)
        return; /* prefer is for this host alone: nothing to hide from, and no certificate to verify */
    if (mode >= TLS_VERIFY_CA && ca == NULL && access(SYSTEM_CA_FILE, R_OK) == 0)
        ca = SYSTEM_CA_FILE;
    mysql_optionsv(conn, MYSQL_OPT_SSL_ENFORCE, &yes);
    mysql_optionsv(conn, MYSQL_OPT_TLS_VERSION, "TLSv1.2,TLSv1.3");
    if (cert != NULL)
        mysql_optionsv(conn, MYSQL_OPT_SSL_CERT, cert);
    if (key != NULL)
        mysql_optionsv(conn, MYSQL_OPT_SSL_KEY, key);
    if (mode >= TLS_VERIFY_CA)
        mysql_optionsv(conn, MYSQL_OPT_SSL_CA, ca); /* with an authority named the chain is checked */
    mysql_optionsv(conn, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, mode == TLS_VERIFY_FULL ? &yes : &no);
}

/*
 * A server chooses how the client proves itself, and may ask for the password as it is (mysql_clear_password, dialog) or by a hash that is soon undone
 * (mysql_old_password). Whoever is not known to be the server gets neither: these are the ways that are left then.
 */
static const char proofs[] =
    "mysql_native_password,caching_sha2_password,sha256_password,client_ed25519,parsec,auth_gssapi_client";

static void
set_proofs(MYSQL *conn, const struct tr_url *url, enum tls_mode mode)
{
    const char *socket_path = tr_url_param(url, "socket");
    if (mode < TLS_VERIFY_CA && socket_path == NULL)
        mysql_optionsv(conn, MARIADB_OPT_RESTRICTED_AUTH, proofs);
}

/* ------------------------------------------------------------------------------------------------------- connecting */

static int
url_params_known(const struct tr_url *url, struct tr_error *err)
{
    static const char *const known[] = { "sslmode",  "ssl-mode", "sslrootcert", "ssl-ca", "sslcert",
                                         "ssl-cert", "sslkey",   "ssl-key",     "socket", "connect_timeout" };
    for (int i = 0; i < url->nparams; i++) {
        bool found = false;
        for (size_t k = 0; k < sizeof known / sizeof known[0] && !found; k++)
            found = strcmp(url->params[i].key, known[k]) == 0;
        if (!found) {
            tr_fail(err, TR_CONFIG, "the URL's parameter \"%.60s\" is not known", url->params[i].key);
            return tr_error_hint(err,
                                 "known are sslmode, sslrootcert, sslcert, sslkey, socket, connect_timeout");
        }
    }
    return 0;
}

static void
set_options(MYSQL *conn, const struct tr_mysql_config *config, const struct tr_url *url)
{
    int64_t timeout_us = config->connect_timeout_us > 0 ? config->connect_timeout_us : CONNECT_TIMEOUT_US;
    const char *given = tr_url_param(url, "connect_timeout");
    unsigned seconds = (unsigned)((timeout_us + TR_US_PER_S - 1) / TR_US_PER_S);
    if (given != NULL && atoi(given) > 0)
        seconds = (unsigned)atoi(given);
    mysql_optionsv(conn, MYSQL_OPT_CONNECT_TIMEOUT, &seconds);
    if (config->read_timeout_us > 0) {
        seconds = (unsigned)((config->read_timeout_us + TR_US_PER_S - 1) / TR_US_PER_S);
        mysql_optionsv(conn, MYSQL_OPT_READ_TIMEOUT, &seconds);
    }
    unsigned infile = config->local_infile;
    mysql_optionsv(conn, MYSQL_OPT_LOCAL_INFILE, &infile);
    mysql_optionsv(conn, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    my_bool no = 0;
    mysql_optionsv(conn, MYSQL_OPT_RECONNECT, &no);
    mysql_optionsv(conn, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name",
                   config->program_name != NULL ? config->program_name : "tailrace");
}

/* A server that goes away in the middle of the handshake comes back; a certificate stays what it is. */
static bool
is_cut_short(const char *why)
{
    static const char *const words[] = { "unexpected eof", "reset by peer", "Broken pipe", "timed out" };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strstr(why, words[i]) != NULL)
            return true;
    return false;
}

static int
connect_failed(MYSQL *conn, const char *host, bool encrypted, struct tr_error *err)
{
    unsigned number = mysql_errno(conn);
    const char *why = mysql_error(conn);
    const char *hint = tr_mysql_login_hint(number, why, encrypted);
    enum tr_error_class class = tr_mysql_classify(number, mysql_sqlstate(conn));
    if (number == CR_PLUGIN_NOT_ALLOWED || (number == CR_SSL_CONNECTION_ERROR && !is_cut_short(why)))
        class = TR_FATAL;
    if (number == CR_PLUGIN_NOT_ALLOWED) /* the library names the plugin wrongly */
        why = "it asks for the password itself, or for a form that shows it";
    tr_fail(err, class, "cannot connect to %s: %.500s (%u)", host, why, number);
    snprintf(err->sqlstate, sizeof err->sqlstate, "%.5s", mysql_sqlstate(conn));
    if (hint != NULL)
        tr_error_hint(err, "%s", hint);
    return -(int)class;
}

static void
set_socket_options(int fd)
{
    int on = 1, idle = 30, interval = 10, count = 3;
    unsigned timeout = TCP_TIMEOUT_MS;
    /* A unix socket refuses these, and needs none of them. */
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof timeout);
}

/* What the client library says of its character set a server may overrule (init_connect, character_set_client_handshake): then every text would be stored as another one. */
static int
pin_session(MYSQL *conn, const struct tr_mysql_config *config, struct tr_error *err)
{
    struct tr_buffer sql;
    tr_buffer_init(&sql, SQL_MAX);
    tr_buffer_printf(
        &sql,
        "SET SESSION time_zone = '+00:00', sql_mode = '%s', autocommit = 1, wait_timeout = 86400, net_read_timeout = 3600,"
        " net_write_timeout = 3600, sql_quote_show_create = 1, group_concat_max_len = 16777216, character_set_client = utf8mb4,"
        " character_set_connection = utf8mb4, character_set_results = utf8mb4, sql_safe_updates = 0, sql_select_limit = DEFAULT,"
        " completion_type = NO_CHAIN, unique_checks = 1, sql_big_selects = 1, %s",
        config->sql_mode != NULL ? config->sql_mode : TR_MYSQL_SQL_MODE,
        tr_mysql_is_mariadb(conn) ? "max_statement_time = 0"
                                  : "max_execution_time = 0, information_schema_stats_expiry = 0");
    int rc = tr_mysql_query(conn, sql.data, NULL, err);
    tr_buffer_fini(&sql);
    if (rc == 0)
        return 0;
    const char *hint = tr_mysql_login_hint(mysql_errno(conn), mysql_error(conn),
                                           true); /* a password expired */
    if (hint != NULL)
        tr_error_hint(err, "%s", hint);
    return tr_error_prefix(err, "cannot set up the session");
}

struct host {
    char name[256];
    unsigned port;
};

/* "[::1]:3306", "db1:3306", "db1"; the next of the list, or false. */
static bool
next_host(const char **list, struct host *host)
{
    if (**list == '\0')
        return false;
    const char *start = *list, *end = strchrnul(start, ','), *colon = end;
    bool bracket = *start == '[';
    const char *close = bracket ? memchr(start, ']', (size_t)(end - start)) : NULL;
    for (const char *p = close != NULL ? close : start; p < end; p++)
        if (*p == ':')
            colon = p;
    size_t len = (size_t)((close != NULL ? close : colon) - start) - bracket;
    snprintf(host->name, sizeof host->name, "%.*s", (int)(len < 255 ? len : 255), start + bracket);
    host->port = colon < end && atoi(colon + 1) > 0 ? (unsigned)atoi(colon + 1) : DEFAULT_PORT;
    *list = *end == ',' ? end + 1 : end;
    return true;
}

/* One attempt at one host. */
static int
connect_host(const struct tr_mysql_config *config, const struct tr_url *url, const struct host *host,
             enum tls_mode mode, MYSQL **out, struct tr_error *err)
{
    MYSQL *conn = mysql_init(NULL);
    if (conn == NULL)
        return tr_fail(err, TR_RETRY, "out of memory for a connection");
    const char *socket_path = tr_url_param(url, "socket");
    const char *name = socket_path != NULL ? NULL : host->name[0] != '\0' ? host->name : NULL;
    const char *database = config->no_database || url->path == NULL || url->path[0] == '\0' ? NULL
                                                                                            : url->path;
    set_options(conn, config, url);
    set_tls(conn, url, mode);
    set_proofs(conn, url, mode);
    /* A name of "localhost" means the unix socket to the library; who writes a port means TCP. */
    if (name != NULL && strcmp(name, "localhost") == 0 && socket_path == NULL)
        name = "127.0.0.1";
    char shown[300];
    if (socket_path != NULL)
        snprintf(shown, sizeof shown, "%s", socket_path);
    else
        snprintf(shown, sizeof shown, "%s:%u", host->name, host->port);
    if (mysql_real_connect(conn, name, url->user, url->password != NULL ? url->password : "", database,
                           host->port, socket_path, CLIENT_REMEMBER_OPTIONS) == NULL) {
        int rc = connect_failed(conn, shown, mode >= TLS_REQUIRE || socket_path != NULL, err);
        mysql_close(conn);
        return rc;
    }
    int rc = 0;
    if (mode >= TLS_REQUIRE && mysql_get_ssl_cipher(conn) == NULL)
        rc = tr_fail(err, TR_FATAL, "cannot connect to %s: the server offers no encryption", shown);
    set_socket_options((int)mysql_get_socket(conn));
    if (rc == 0)
        rc = pin_session(conn, config, err);
    if (rc < 0)
        mysql_close(conn);
    else
        *out = conn;
    return rc;
}

/* After a failover the server that was the primary may be back, as a replica. */
static int
refuse_read_only(MYSQL *conn, const struct host *host, struct tr_error *err)
{
    char *answer = NULL;
    int rc = tr_mysql_query_text(conn, "SELECT @@global.read_only IN ('0', 'OFF')", &answer, err);
    bool writable = answer != NULL && strcmp(answer, "1") == 0;
    free(answer);
    if (rc < 0 || writable)
        return rc;
    tr_fail(err, TR_RETRY, "%s:%u is read-only and takes no changes", host->name, host->port);
    return tr_error_hint(err, "one of the hosts in the URL is to be the primary: SET GLOBAL read_only = OFF");
}

static pthread_once_t library_once = PTHREAD_ONCE_INIT;

static void
start_library(void)
{
    mysql_library_init(0, NULL, NULL); /* not safe in several threads at once */
}

static int
connect_any(const struct tr_mysql_config *config, MYSQL **conn, struct tr_error *err)
{
    struct tr_url url;
    enum tls_mode mode = TLS_VERIFY_FULL;
    int rc = tr_url_parse(config->url, &url, err);
    if (rc < 0)
        return rc;
    rc = url_params_known(&url, err);
    bool local = tr_url_is_local(&url) || tr_url_param(&url, "socket") != NULL;
    if (rc == 0)
        rc = tls_mode(&url, local, &mode, err);
    const char *list = url.hosts != NULL && url.hosts[0] != '\0' ? url.hosts : "127.0.0.1";
    bool several = strchr(list, ',') != NULL;
    struct host host;
    bool again = rc == 0;
    while (again && *conn == NULL && next_host(&list, &host)) {
        rc = connect_host(config, &url, &host, mode, conn, err);
        if (rc == 0 && several && config->writable && (rc = refuse_read_only(*conn, &host, err)) < 0) {
            mysql_close(*conn);
            *conn = NULL;
        }
        again = rc == -TR_RETRY;
    }
    tr_url_fini(&url);
    return rc;
}

/* What connecting needs and yields, on its own: the library looks names up and shakes hands for as long as it likes, and may have to be left behind. */
struct attempt {
    struct tr_mysql_config config; /* its texts are copies */
    MYSQL *conn;
    int rc;
    struct tr_error err;
};

static void
attempt_main(void *arg)
{
    struct attempt *attempt = arg;
    attempt->rc = connect_any(&attempt->config, &attempt->conn, &attempt->err);
}

static void
attempt_free(struct attempt *attempt)
{
    char *url = (char *)attempt->config.url;
    tr_wipe(url, strlen(url));
    free(url);
    free((char *)attempt->config.program_name);
    free((char *)attempt->config.sql_mode);
    free(attempt);
}

static void
attempt_discard(void *arg)
{
    struct attempt *attempt = arg;
    if (attempt->conn != NULL)
        mysql_close(attempt->conn);
    attempt_free(attempt);
}

/* Given up when the group is interrupted; on success the connection belongs to it. */
static int
connect_in_group(const struct tr_mysql_config *config, MYSQL **conn, struct tr_error *err)
{
    if (tr_mysql_interrupted(config->group))
        return tr_fail(err, TR_RETRY, "interrupted");
    struct attempt *attempt = tr_calloc(1, sizeof *attempt);
    attempt->config = *config;
    attempt->config.group = NULL;
    attempt->config.url = tr_strdup(config->url);
    attempt->config.program_name = config->program_name != NULL ? tr_strdup(config->program_name) : NULL;
    attempt->config.sql_mode = config->sql_mode != NULL ? tr_strdup(config->sql_mode) : NULL;
    int rc = tr_aside_run(&(struct tr_aside){ attempt, attempt_main, attempt_discard },
                          config->group->event_fd, -1, err);
    if (rc <= 0)
        return rc;
    *conn = attempt->conn;
    rc = attempt->rc;
    if (rc < 0)
        *err = attempt->err;
    attempt_free(attempt);
    if (rc == 0)
        rc = group_add(config->group, *conn, err);
    if (rc < 0 && *conn != NULL) {
        mysql_close(*conn);
        *conn = NULL;
    }
    return rc;
}

int
tr_mysql_connect(const struct tr_mysql_config *config, MYSQL **conn, struct tr_error *err)
{
    *conn = NULL;
    pthread_once(&library_once, start_library);
    return config->group != NULL ? connect_in_group(config, conn, err) : connect_any(config, conn, err);
}

void
tr_mysql_close(struct tr_mysql_group *group, MYSQL *conn)
{
    if (conn == NULL)
        return;
    group_remove(group, conn);
    mysql_close(conn);
}

/* -------------------------------------------------------------------------------------------------------- statements */

bool
tr_mysql_is_mariadb(MYSQL *conn)
{
    const char *version = mysql_get_server_info(conn);
    return version != NULL && strcasestr(version, "mariadb") != NULL;
}

unsigned long
tr_mysql_version(MYSQL *conn)
{
    return mysql_get_server_version(conn);
}

int
tr_mysql_query(MYSQL *conn, const char *sql, MYSQL_RES **res, struct tr_error *err)
{
    if (res != NULL)
        *res = NULL;
    if (mysql_real_query(conn, sql, (unsigned long)strlen(sql)) != 0)
        return tr_mysql_fail(err, conn, "statement failed");
    MYSQL_RES *rows = mysql_store_result(conn);
    if (rows == NULL && mysql_errno(conn) != 0)
        return tr_mysql_fail(err, conn, "statement failed");
    if (res != NULL)
        *res = rows;
    else
        mysql_free_result(rows);
    return 0;
}

int
tr_mysql_query_text(MYSQL *conn, const char *sql, char **text, struct tr_error *err)
{
    MYSQL_RES *res;
    *text = NULL;
    int rc = tr_mysql_query(conn, sql, &res, err);
    if (rc < 0 || res == NULL)
        return rc;
    MYSQL_ROW row = mysql_fetch_row(res);
    if (row != NULL)
        *text = tr_strdup(row[0]);
    mysql_free_result(res);
    return 0;
}
