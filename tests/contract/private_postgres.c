/* private_postgres.c - initdb and pg_ctl in a folder below /tmp; PostgreSQL refuses root, so root becomes nobody. */
#include "tests/contract/private_postgres.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define AS_NOBODY "setpriv --reuid=65534 --regid=65534 --clear-groups -- "

static bool
newest_bin(char *out, size_t size)
{
    glob_t found;
    bool there = glob("/usr/lib/postgresql/*/bin", 0, NULL, &found) == 0 && found.gl_pathc > 0;
    if (there)
        snprintf(out, size, "%s", found.gl_pathv[found.gl_pathc - 1]);
    globfree(&found);
    return there;
}

static int
run(const char *bin, const char *dir, const char *rest)
{
    char command[2048];
    snprintf(command, sizeof command, "cd %s && %s%s/%s >>%s/out 2>&1", dir, geteuid() == 0 ? AS_NOBODY : "",
             bin, rest, dir);
    return system(command);
}

bool
private_postgres_start(struct private_postgres *server, const char *extra)
{
    char bin[256], rest[768];
    if (!newest_bin(bin, sizeof bin))
        return false;
    snprintf(server->dir, sizeof server->dir, "/tmp/tailrace-pg-XXXXXX");
    if (mkdtemp(server->dir) == NULL || (geteuid() == 0 && chown(server->dir, 65534, 65534) != 0))
        abort();
    snprintf(server->url, sizeof server->url, "postgresql://postgres@/postgres?host=%s", server->dir);
    if (run(bin, server->dir, "initdb -D data -U postgres -A trust --no-sync -E UTF8 --locale=C.UTF-8") != 0)
        abort();
    snprintf(
        rest, sizeof rest,
        "pg_ctl -D data -w -t 60 -l log -o \"-c listen_addresses='' -c unix_socket_directories=%s -c fsync=off"
        " -c max_prepared_transactions=4 %s\" start",
        server->dir, extra != NULL ? extra : "");
    if (run(bin, server->dir, rest) != 0)
        abort();
    return true;
}

void
private_postgres_stop(struct private_postgres *server)
{
    char bin[256], command[128];
    if (!newest_bin(bin, sizeof bin))
        return;
    run(bin, server->dir, "pg_ctl -D data -w -m immediate stop");
    snprintf(command, sizeof command, "rm -rf %s", server->dir);
    if (system(command) != 0)
        fprintf(stderr, "could not remove %s\n", server->dir);
}
