/* login.c - what to do when a server does not let us in: by its error number, and by whether the connection was encrypted. See connection.h. */
#include <errmsg.h>
#include <mysqld_error.h>
#include <string.h>

#include "clients/mysql/connection.h"

static const char plain_denied[] =
    "check user and password, that the account may connect from this host, and whether it demands encryption (REQUIRE SSL): then add "
    "sslmode=require, or verify-full, to the URL";

static const struct login_failure {
    unsigned number;
    const char *hint;
} failures[] = {
    { ER_ACCESS_DENIED_ERROR, "check user and password, and that the account may connect from this host" },
    { ER_HOST_NOT_PRIVILEGED, "check user and password, and that the account may connect from this host" },
    { 1698 /* no password was asked for */,
      "the account logs in by its operating system user (unix_socket, auth_socket), or its password is missing: connect on the server's own host by "
      "?socket=PATH, running as that user, or give the account a password" },
    { 1820 /* ER_MUST_CHANGE_PASSWORD */,
      "the account's password has expired: ALTER USER ... IDENTIFIED BY a new one, and PASSWORD EXPIRE NEVER for a task that goes on for long" },
    { 1862 /* ER_MUST_CHANGE_PASSWORD_LOGIN */,
      "the account's password has expired: ALTER USER ... IDENTIFIED BY a new one, and PASSWORD EXPIRE NEVER for a task that goes on for long" },
    { 3118 /* ER_ACCOUNT_HAS_BEEN_LOCKED */, "on the server: ALTER USER ... ACCOUNT UNLOCK" },
    { 4151 /* the same, MariaDB */, "on the server: ALTER USER ... ACCOUNT UNLOCK" },
    { 3159 /* ER_SECURE_TRANSPORT_REQUIRED */,
      "the server takes encrypted connections alone (require_secure_transport): add sslmode=require, or verify-full, to the URL" },
    { ER_BAD_DB_ERROR, "name an existing database in the URL" },
    { ER_DBACCESS_DENIED_ERROR, "grant the account a right on that database, or name none in the URL" },
    { ER_HOST_IS_BLOCKED, "on the server: FLUSH HOSTS" },
    { CR_SSL_CONNECTION_ERROR,
      "connections off this host are encrypted and the server's certificate is verified; give sslrootcert=FILE in the URL, or "
      "sslmode=disable where plain text is acceptable" },
    { CR_PLUGIN_NOT_ALLOWED,
      "nothing proves that this is the right server: connect with sslmode=verify-full, or by its unix socket (?socket=PATH); or give the "
      "account another way to log in" },
};

/* The library gives the server's last number, 1045, to a plugin that it cannot load itself. */
static const char *
missing_plugin(const char *message)
{
    if (strstr(message, "lugin") == NULL ||
        (strstr(message, "could not be loaded") == NULL && strstr(message, "cannot be loaded") == NULL))
        return NULL;
    if (strstr(message, "parsec") != NULL)
        return "the client library on this machine lacks the account's way to log in: parsec comes with MariaDB Connector/C 3.4 (Debian 13's libmariadb3); "
               "or give the account another one: ALTER USER ... IDENTIFIED VIA ed25519 USING PASSWORD(...)";
    return "the client library on this machine lacks the account's way to log in: install its plugins (Debian: libmariadb3 has client_ed25519, "
           "caching_sha2_password, sha256_password; mariadb-plugin-gssapi-client has Kerberos), or give the account another one";
}

const char *
tr_mysql_login_hint(unsigned number, const char *message, bool encrypted)
{
    const char *hint = missing_plugin(message);
    if (hint != NULL)
        return hint;
    if (number == ER_ACCESS_DENIED_ERROR && !encrypted)
        return plain_denied;
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++)
        if (failures[i].number == number)
            return failures[i].hint;
    return NULL;
}
