/*
 * shadow.c - the tables that online schema changes make beside the one they alter.
 *
 * gh-ost and pt-online-schema-change copy a table into another one and exchange their names in the end. What is written to the copy is in the log like
 * anything else, and says nothing that the table's own rows do not say.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/mysql/internal.h"
#include "core/memory.h"

/* A server that cannot be asked makes nothing a shadow. */
static bool
exists(struct tr_mysql_source *source, const char *database, const char *table)
{
    struct tr_buffer sql;
    struct tr_error ignored;
    char *found = NULL;
    tr_buffer_init(&sql, 8192);
    tr_buffer_text(&sql, "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = ");
    tr_mysql_literal(&sql, database, strlen(database));
    tr_buffer_text(&sql, " AND TABLE_NAME = ");
    tr_mysql_literal(&sql, table, strlen(table));
    bool answered = tr_mysql_ask_text(source, sql.data, &found, &ignored) == 0 && found != NULL;
    tr_buffer_fini(&sql);
    free(found);
    return answered;
}

/* Once for each name. */
static void
say(struct tr_mysql_source *source, const char *database, const char *table, const char *base)
{
    char *name = tr_asprintf("%s.%s", database, table);
    for (size_t i = 0; i < source->nshadows; i++)
        if (strcmp(source->shadows[i], name) == 0) {
            free(name);
            return;
        }
    source->shadows = tr_realloc(source->shadows, (source->nshadows + 1) * sizeof(char *));
    source->shadows[source->nshadows++] = name;
    tr_log(
        source->base.env->log, TR_LOG_WARNING, "capture",
        "table %s bears the name that an online schema change of %s.%s gives to its copy: it is left out (shadow_tables: carry takes it in)",
        name, database, base);
}

bool
tr_mysql_is_shadow(struct tr_mysql_source *source, const char *database, const char *table)
{
    char base[260];
    if (source->carry_shadows || !tr_mysql_copied_table(table, base, sizeof base) ||
        !exists(source, database, base))
        return false;
    say(source, database, table, base);
    return true;
}

void
tr_mysql_shadows_fini(struct tr_mysql_source *source)
{
    while (source->nshadows > 0)
        free(source->shadows[--source->nshadows]);
    free(source->shadows);
}
