/* grants.h - what SHOW GRANTS says of an account, line by line. Pure but for tr_mysql_grants_read(). */
#ifndef TR_CLIENTS_MYSQL_GRANTS_H
#define TR_CLIENTS_MYSQL_GRANTS_H

#include "clients/mysql/connection.h"

struct tr_mysql_grants {
    struct tr_buffer lines; /* each ended by a NUL */
    bool roles; /* a role is granted: what it brings is not told, so nothing can be said to be missing */
};

/* The grants of the connection's own account. tr_mysql_grants_fini in any case. */
int tr_mysql_grants_read(MYSQL *conn, struct tr_mysql_grants *grants, struct tr_error *err);
void tr_mysql_grants_add(struct tr_mysql_grants *grants, const char *line); /* for tests too */
void tr_mysql_grants_fini(struct tr_mysql_grants *grants);

/*
 * Is the privilege ("SELECT", "REPLICATION SLAVE") granted, for all databases (database NULL), a whole database (table NULL) or a table? One that
 * is granted for columns alone does not count. True where a role may bring it.
 */
bool tr_mysql_granted(const struct tr_mysql_grants *grants, const char *privilege, const char *database,
                      const char *table);

/* 'user'@'host' of a CURRENT_USER(), as GRANT takes it. */
void tr_mysql_account(struct tr_buffer *buf, const char *current_user);

#endif
