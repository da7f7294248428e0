/* others.c - which server this is, and which tasks carry something to it: database tailrace, which tasks make at their target. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/mysql/internal.h"

int
tr_mysql_server(struct tr_source *base, char *text, size_t size, struct tr_error *err)
{
    struct tr_mysql_source *source = tr_mysql(base);
    MYSQL_RES *res;
    source->heeds_others = true;
    int rc = tr_mysql_ask(source, TR_MYSQL_SERVER_SQL, &res, err);
    if (rc < 0)
        return rc;
    tr_mysql_server_text(res, text, size);
    mysql_free_result(res);
    return 0;
}

/* Only what this account may use is listed. To ask for a table that it may not read would be counted, and perhaps told, each time. */
static int
look(struct tr_mysql_source *source, bool *there, struct tr_error *err)
{
    char *count = NULL;
    int rc = tr_mysql_ask_text(
        source,
        "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'tailrace' AND table_name IN ('checkpoint', 'task_scope')",
        &count, err);
    *there = rc == 0 && count != NULL && strcmp(count, "2") == 0;
    free(count);
    return rc;
}

/* The log names a table that every task writes to at its target, for the first time. An account that may not see it would not see a task that leads back either. */
void
tr_mysql_saw_state(struct tr_mysql_source *source)
{
    struct tr_error ignored;
    bool there;
    if (!source->heeds_others || source->saw_state || source->dump == NULL)
        return;
    source->saw_state = true;
    if (look(source, &there, &ignored) < 0 || there)
        return;
    tr_log(
        source->base.env->log, TR_LOG_WARNING, "capture",
        "another task writes to this source, and the tables of tailrace there may not be read: should it lead back from this one's target, that would not be noticed (%s)",
        source->base.class->hidden);
}

int
tr_mysql_others(struct tr_source *base, const char *server, struct tr_others *others, struct tr_error *err)
{
    struct tr_mysql_source *source = tr_mysql(base);
    struct tr_buffer sql;
    MYSQL_RES *res;
    bool there;
    *others = (struct tr_others){ 0 };
    int rc = look(source, &there, err);
    if (rc < 0 || !there)
        return rc;
    tr_buffer_init(&sql, TR_BUFFER_MAX);
    tr_buffer_text(
        &sql,
        "SELECT s.task, c.position, s.scope, IS_USED_LOCK(" TR_MYSQL_PRESENCE_SQL(
            "c.task",
            "c.epoch") ")"
                       " FROM tailrace.task_scope s JOIN tailrace.checkpoint c ON c.task = s.task WHERE s.server = ");
    tr_mysql_literal(&sql, server, strlen(server));
    tr_buffer_text(&sql, " ORDER BY 1");
    rc = tr_mysql_ask(source, sql.data, &res, err);
    tr_buffer_fini(&sql);
    /* Rights on a part of it, or dropped meanwhile. */
    if (rc < 0 && (strcmp(err->sqlstate, "42000") == 0 || strcmp(err->sqlstate, "42S02") == 0)) {
        others->hidden = strcmp(err->sqlstate, "42000") == 0;
        tr_error_clear(err);
        return 0;
    }
    if (rc < 0)
        return rc;
    for (MYSQL_ROW row; (row = mysql_fetch_row(res)) != NULL;) {
        struct tr_other other = { .task = row[0],
                                  .position = row[1],
                                  .scope = row[2],
                                  .connection = row[3] != NULL ? strtoull(row[3], NULL, 10) : 0 };
        tr_others_add(others, &other);
    }
    mysql_free_result(res);
    return 0;
}
