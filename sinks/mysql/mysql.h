/* mysql.h - the sink that applies changes to a MySQL or MariaDB database. See docs/sink-mysql.md. */
#ifndef TR_SINKS_MYSQL_MYSQL_H
#define TR_SINKS_MYSQL_MYSQL_H

#include "sinks/sink.h"

/* One sink under two names: what the server really is, is asked of the server; the dialects differ in the tables that they make. */
extern const struct tr_sink_class tr_mysql_sink;
extern const struct tr_sink_class tr_mariadb_sink;

#endif
