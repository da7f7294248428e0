/* private_postgres.h - a PostgreSQL server of a test program's own: a folder, a socket, gone at its end. */
#ifndef TR_TESTS_PRIVATE_POSTGRES_H
#define TR_TESTS_PRIVATE_POSTGRES_H

#include <stdbool.h>

struct private_postgres {
    char dir[64];
    char url[160]; /* of database postgres */
};

/* False when PostgreSQL is not installed; aborts the test when it is and does not start. extra: more "-c name=value". */
bool private_postgres_start(struct private_postgres *server, const char *extra);
void private_postgres_stop(struct private_postgres *server);

#endif
