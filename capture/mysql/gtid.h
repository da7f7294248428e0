/*
 * gtid.h - sets of global transaction identifiers, MySQL's and MariaDB's, with their arithmetic.
 *
 * MySQL: "uuid:1-5:9,uuid:tag:1-3": any numbers of any server may be missing. MariaDB: "0-1-100,1-2-7": for each domain the last number
 * and its server; all before it are contained. An empty text is an empty set of either kind.
 */
#ifndef TR_CAPTURE_MYSQL_GTID_H
#define TR_CAPTURE_MYSQL_GTID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buffer.h"

struct tr_gtid_interval {
    uint64_t from, to; /* to is exclusive */
};

struct tr_gtid_entry {
    uint8_t uuid[16];                   /* MySQL */
    char tag[33];                       /* MySQL 8.3 and later, or empty */
    struct tr_gtid_interval *intervals; /* MySQL: ascending, neither touching nor overlapping */
    size_t nintervals, capacity;
    uint32_t domain, server; /* MariaDB */
    uint64_t sequence;       /* MariaDB */
};

enum tr_gtid_kind { TR_GTID_EMPTY = 0, TR_GTID_MYSQL, TR_GTID_MARIADB };

struct tr_gtid_set {
    enum tr_gtid_kind kind;
    struct tr_gtid_entry *entries; /* MySQL by uuid and tag, MariaDB by domain */
    size_t count, capacity;
};

void tr_gtid_set_fini(struct tr_gtid_set *set);
void tr_gtid_set_copy(struct tr_gtid_set *to, const struct tr_gtid_set *from); /* into an empty one */

/* Add all that the text names (a set, or a single one). False, and the set may hold a part of it, when it is none or of the other kind. */
bool tr_gtid_set_add(struct tr_gtid_set *set, const char *text, size_t len);

/* The normal form, which both servers read. */
void tr_gtid_set_text(const struct tr_gtid_set *set, struct tr_buffer *out);

/* Is everything in `part` in `set`? */
bool tr_gtid_set_contains(const struct tr_gtid_set *set, const struct tr_gtid_set *part);
/* Is this one GTID in it? Without allocation. */
bool tr_gtid_set_has(const struct tr_gtid_set *set, const char *gtid);

/* What COM_BINLOG_DUMP_GTID carries (MySQL). */
void tr_gtid_set_encode(const struct tr_gtid_set *set, struct tr_buffer *out);
/* The same read back, into an empty set: what the log's own previous GTIDs event carries (MySQL). False, and nothing is in the set, when it is damaged. */
bool tr_gtid_set_decode(struct tr_gtid_set *set, const uint8_t *bytes, size_t len);

#endif
