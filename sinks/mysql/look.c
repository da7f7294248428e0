/* look.c - how the tables of a statement look at the target: a hash that is another one when the statement has been run. */
#include <mysqld_error.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "sinks/mysql/apply.h"

/* "AUTO_INCREMENT=7" is no part of a table's shape: a crash of the server may change it. */
static void
add_shape(struct tr_buffer *out, const char *create)
{
    const char *counter = strstr(create, " AUTO_INCREMENT=");
    if (counter == NULL) {
        tr_buffer_text(out, create);
        return;
    }
    tr_buffer_add(out, create, (size_t)(counter - create));
    counter += strlen(" AUTO_INCREMENT=");
    tr_buffer_text(out, counter + strspn(counter, "0123456789"));
}

/* As InnoDB spells it in its dictionary; false for what its file system's character set has other words for. */
static bool
dictionary_name(struct tr_buffer *out, const char *name)
{
    for (const unsigned char *p = (const unsigned char *)name; *p != '\0'; p++) {
        if (*p >= 0x80)
            return false;
        tr_buffer_printf(out, isalnum(*p) || *p == '_' ? "%c" : "@%04x", *p);
    }
    return true;
}

/*
 * Tables and partitions that are exchanged may look the same before and after: then the numbers tell that InnoDB has given each of its tables. Whoever may not read them (without
 * PROCESS) does without.
 */
static int
add_numbers(struct tr_mysql_sink *sink, const struct tr_ddl_table *table, struct tr_buffer *out,
            struct tr_error *err)
{
    struct tr_buffer name, sql;
    char *numbers = NULL;
    int rc = 0;
    tr_buffer_init(&name, 4096);
    tr_buffer_init(&sql, 16384);
    bool known = dictionary_name(&name, table->target_schema);
    tr_buffer_byte(&name, '/');
    if (known && dictionary_name(&name, table->target_name)) {
        tr_buffer_reset(&sql);
        tr_buffer_printf(
            &sql,
            "SELECT SUM(CRC32(CONCAT(NAME, '=', TABLE_ID))) FROM information_schema.%s WHERE NAME = '%s' OR NAME LIKE '%s#p#%%'",
            sink->target.mariadb ? "INNODB_SYS_TABLES" : "INNODB_TABLES", name.data, name.data);
        rc = tr_mysql_query_text(sink->meta, sql.data, &numbers, err);
    }
    if (rc < 0 && err->class != TR_RETRY) {
        tr_error_clear(err);
        rc = 0;
    }
    tr_buffer_text(out, numbers != NULL ? numbers : "");
    free(numbers);
    tr_buffer_fini(&name);
    tr_buffer_fini(&sql);
    return rc;
}

int
tr_my_look(struct tr_mysql_sink *sink, const struct tr_event *event, uint64_t *shape, struct tr_error *err)
{
    MYSQL *conn = sink->meta;
    struct tr_buffer shown, sql;
    int rc = 0;
    bool exchanges = event->ddl.ntables > 1 &&
                     (event->ddl.verb == TR_VERB_RENAME_TABLE || event->ddl.moves_rows);
    tr_buffer_init(&shown, TR_BUFFER_MAX);
    tr_buffer_init(&sql, 16384);
    for (uint32_t i = 0; rc == 0 && i < event->ddl.ntables; i++) {
        const struct tr_ddl_table *table = &event->ddl.tables[i];
        MYSQL_RES *res = NULL;
        tr_buffer_reset(&sql);
        tr_buffer_text(&sql, "SHOW CREATE TABLE ");
        tr_mysql_qualified(&sql, table->target_schema, table->target_name);
        rc = tr_mysql_query(conn, sql.data, &res, err);
        unsigned number = rc < 0 ? mysql_errno(conn) : 0;
        if (number == ER_NO_SUCH_TABLE || number == ER_BAD_DB_ERROR)
            rc = 0;
        MYSQL_ROW row = rc == 0 && res != NULL ? mysql_fetch_row(res) : NULL;
        add_shape(&shown, row != NULL && row[1] != NULL ? row[1] : "none");
        tr_buffer_byte(&shown, '\n');
        mysql_free_result(res);
        if (rc == 0 && exchanges)
            rc = add_numbers(sink, table, &shown, err);
    }
    *shape = tr_hash_bytes(0, shown.len > 0 ? shown.data : "", shown.len);
    tr_buffer_fini(&shown);
    tr_buffer_fini(&sql);
    return rc;
}
