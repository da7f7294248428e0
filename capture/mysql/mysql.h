/* mysql.h - the sources of MySQL (8.0 and later) and MariaDB (10.5 and later): the binary log, snapshots by SELECT. See docs/source-mysql.md. */
#ifndef TR_CAPTURE_MYSQL_MYSQL_H
#define TR_CAPTURE_MYSQL_MYSQL_H

#include "capture/source.h"

extern const struct tr_source_class tr_mysql_source;
extern const struct tr_source_class tr_mariadb_source;

#endif
