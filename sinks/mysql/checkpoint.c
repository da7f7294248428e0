/*
 * checkpoint.c - the task's state in the target: tailrace.checkpoint and tailrace.table_cut.
 *
 * Every group of changes moves the checkpoint in its own transaction (worker.c). `epoch` fences: whoever loads the checkpoint raises it, and a commit under an
 * older epoch fails. Raising it waits for a commit of the older process that is under way, so that what is read is the truth.
 */
#include <mysqld_error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "sinks/mysql/internal.h"

#define SQL_MAX ((size_t)1 << 24)

static const char *const make_sql[] = {
    "CREATE DATABASE IF NOT EXISTS tailrace CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
    "CREATE TABLE IF NOT EXISTS tailrace.checkpoint (task VARCHAR(128) NOT NULL PRIMARY KEY, position LONGTEXT, identity LONGTEXT, phase VARCHAR(32),"
    " epoch BIGINT UNSIGNED NOT NULL DEFAULT 0, updated_at DATETIME(6) NOT NULL) ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
    "CREATE TABLE IF NOT EXISTS tailrace.table_cut (task VARCHAR(128) NOT NULL, table_name VARCHAR(600) NOT NULL, position LONGTEXT, done TINYINT(1) NOT NULL,"
    " PRIMARY KEY (task, table_name)) ENGINE=InnoDB ROW_FORMAT=DYNAMIC CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
};
/* A state of before this table, of an account that may not make it, does without. */
static const char make_fresh_sql[] =
    "CREATE TABLE IF NOT EXISTS tailrace.table_fresh (task VARCHAR(128) NOT NULL, table_name VARCHAR(600) NOT NULL, statement BIGINT UNSIGNED NOT NULL,"
    " shown BIGINT UNSIGNED NOT NULL, PRIMARY KEY (task, table_name)) ENGINE=InnoDB ROW_FORMAT=DYNAMIC CHARACTER SET utf8mb4 COLLATE utf8mb4_bin";

static void
text(struct tr_buffer *sql, const char *value)
{
    if (value == NULL)
        tr_buffer_text(sql, "NULL");
    else
        tr_mysql_literal(sql, value, strlen(value));
}

/* "... %s ..." with each %s a literal; NULL stands for NULL. */
static int
run(MYSQL *conn, MYSQL_RES **res, struct tr_error *err, const char *format, const char *const *values)
{
    struct tr_buffer sql;
    tr_buffer_init(&sql, SQL_MAX);
    for (const char *p = format; *p != '\0'; p++) {
        if (p[0] == '%' && p[1] == 's') {
            text(&sql, *values++);
            p++;
        } else {
            tr_buffer_byte(&sql, *p);
        }
    }
    int rc = tr_mysql_query(conn, sql.data, res, err);
    tr_buffer_fini(&sql);
    return rc;
}

int
tr_my_state_tables(struct tr_mysql_sink *sink, struct tr_error *err)
{
    char *count = NULL;
    if (sink->state_tables)
        return 0;
    int rc = tr_mysql_query_text(
        sink->meta,
        "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'tailrace' AND table_name IN ('checkpoint', 'table_cut')"
        " AND engine = 'InnoDB'",
        &count, err);
    bool there = rc == 0 && count != NULL && strcmp(count, "2") == 0;
    free(count);
    for (size_t i = 0; rc == 0 && !there && i < sizeof make_sql / sizeof *make_sql; i++)
        rc = tr_mysql_query(sink->meta, make_sql[i], NULL, err);
    if (rc < 0) {
        tr_error_prefix(err, "making the tables of database tailrace at the target");
        if (strcmp(err->sqlstate, "42000") == 0)
            tr_error_hint(err, "GRANT ALL ON tailrace.* TO the target's account (docs/sink-mysql.md)");
        return -(int)err->class;
    }
    rc = tr_mysql_query(sink->meta, make_fresh_sql, NULL, err);
    if (rc == -TR_RETRY)
        return rc;
    if (rc < 0)
        tr_error_clear(err);
    sink->fresh_table = rc == 0;
    sink->state_tables = true;
    return 0;
}

/* A state of before this table knows of no table that was made. */
static int
state_table_made(struct tr_mysql_sink *sink, struct tr_error *err)
{
    if (sink->made_table)
        return 0;
    int rc = tr_mysql_query(
        sink->meta,
        "CREATE TABLE IF NOT EXISTS tailrace.table_made (task VARCHAR(128) NOT NULL, table_name VARCHAR(600) NOT NULL, PRIMARY KEY (task, table_name))"
        " ENGINE=InnoDB ROW_FORMAT=DYNAMIC CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        NULL, err);
    sink->made_table = rc == 0;
    return rc < 0 ? tr_error_prefix(err, "making table tailrace.table_made at the target") : 0;
}

int
tr_my_mark_made(struct tr_mysql_sink *sink, const struct tr_relation *relation, struct tr_error *err)
{
    char *name = tr_asprintf("%s.%s", relation->schema, relation->name);
    const char *values[] = { sink->base.env->task, name };
    int rc = state_table_made(sink, err);
    if (rc == 0)
        rc = run(sink->meta, NULL, err,
                 "INSERT IGNORE INTO tailrace.table_made (task, table_name) VALUES (%s, %s)", values);
    free(name);
    return rc;
}

int
tr_my_was_made(struct tr_mysql_sink *sink, const struct tr_relation *relation, bool *made,
               struct tr_error *err)
{
    char *name = tr_asprintf("%s.%s", relation->schema, relation->name);
    const char *values[] = { sink->base.env->task, name };
    MYSQL_RES *res = NULL;
    int rc = state_table_made(sink, err);
    if (rc == 0)
        rc = run(sink->meta, &res, err,
                 "SELECT 1 FROM tailrace.table_made WHERE task = %s AND table_name = %s", values);
    *made = rc == 0 && mysql_num_rows(res) > 0;
    mysql_free_result(res);
    free(name);
    return rc;
}

int
tr_my_unmark_made(struct tr_mysql_sink *sink, const struct tr_relation *relation, struct tr_error *err)
{
    char *name = tr_asprintf("%s.%s", relation->schema, relation->name);
    const char *values[] = { sink->base.env->task, name };
    int rc = run(sink->meta, NULL, err, "DELETE FROM tailrace.table_made WHERE task = %s AND table_name = %s",
                 values);
    if (rc == 0 && sink->fresh_table)
        rc = run(sink->meta, NULL, err,
                 "DELETE FROM tailrace.table_fresh WHERE task = %s AND table_name = %s", values);
    free(name);
    return rc;
}

int
tr_my_mark_fresh(struct tr_mysql_sink *sink, const struct tr_relation *relation, uint64_t statement,
                 uint64_t shown, struct tr_error *err)
{
    char first[24], second[24];
    if (!sink->fresh_table)
        return 0;
    char *name = tr_asprintf("%s.%s", relation->schema, relation->name);
    snprintf(first, sizeof first, "%llu", (unsigned long long)statement);
    snprintf(second, sizeof second, "%llu", (unsigned long long)shown);
    const char *values[] = { sink->base.env->task, name, first, second };
    int rc = run(
        sink->meta, NULL, err,
        "REPLACE INTO tailrace.table_fresh (task, table_name, statement, shown) VALUES (%s, %s, %s, %s)",
        values);
    free(name);
    return rc;
}

int
tr_my_fresh_tables(struct tr_mysql_sink *sink, MYSQL_RES **res, struct tr_error *err)
{
    const char *values[] = { sink->base.env->task };
    *res = NULL;
    if (!sink->fresh_table)
        return 0;
    int rc = state_table_made(sink, err);
    return rc < 0
               ? rc
               : run(sink->meta, res, err,
                     "SELECT f.table_name, f.statement, f.shown, c.done IS NOT NULL FROM tailrace.table_fresh f"
                     " JOIN tailrace.table_made m ON m.task = f.task AND m.table_name = f.table_name"
                     " LEFT JOIN tailrace.table_cut c ON c.task = f.task AND c.table_name = f.table_name"
                     " WHERE f.task = %s AND COALESCE(c.done, 0) = 0",
                     values);
}

/* A table that has been loaded in full is not made anew any more, also when it is to be loaded again: the operator may have added to it. */
static int
forget_fresh(struct tr_mysql_sink *sink, struct tr_error *err)
{
    const char *task = sink->base.env->task, *values[] = { task, task };
    return !sink->fresh_table ? 0
                              : run(sink->meta, NULL, err,
                                    "DELETE FROM tailrace.table_fresh WHERE task = %s AND table_name IN"
                                    " (SELECT table_name FROM tailrace.table_cut WHERE task = %s AND done)",
                                    values);
}

int
tr_my_is_loaded(struct tr_mysql_sink *sink, const char *schema, const char *name, bool *loaded,
                struct tr_error *err)
{
    char *full = tr_asprintf("%s.%s", schema, name);
    const char *values[] = { sink->base.env->task, full };
    MYSQL_RES *res = NULL;
    int rc = run(sink->meta, &res, err,
                 "SELECT 1 FROM tailrace.table_cut WHERE task = %s AND table_name = %s AND done", values);
    *loaded = rc == 0 && mysql_num_rows(res) > 0;
    mysql_free_result(res);
    free(full);
    return rc;
}

int
tr_my_state_table_ddl(struct tr_mysql_sink *sink, struct tr_error *err)
{
    if (sink->ddl_table)
        return 0;
    int rc = tr_mysql_query(
        sink->meta,
        "CREATE TABLE IF NOT EXISTS tailrace.ddl_step (task VARCHAR(128) NOT NULL PRIMARY KEY, place VARCHAR(700) NOT NULL,"
        " shape BIGINT UNSIGNED NOT NULL) ENGINE=InnoDB ROW_FORMAT=DYNAMIC CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        NULL, err);
    sink->ddl_table = rc == 0;
    return rc < 0 ? tr_error_prefix(err, "making table tailrace.ddl_step at the target") : 0;
}

static int
load_cuts(struct tr_mysql_sink *sink, struct tr_checkpoint *checkpoint, struct tr_error *err)
{
    MYSQL_RES *res = NULL;
    const char *values[] = { sink->base.env->task };
    int rc = run(sink->meta, &res, err,
                 "SELECT table_name, position, done FROM tailrace.table_cut WHERE task = %s", values);
    for (MYSQL_ROW row; rc == 0 && (row = mysql_fetch_row(res)) != NULL;)
        tr_checkpoint_set_table(checkpoint, row[0], row[1] != NULL ? row[1] : "", row[2][0] == '1');
    mysql_free_result(res);
    return rc;
}

static int
raise_epoch(struct tr_mysql_sink *sink, struct tr_error *err)
{
    const char *values[] = { sink->base.env->task };
    int rc = tr_mysql_query(sink->meta, "SET SESSION innodb_lock_wait_timeout = 10", NULL, err);
    if (rc == 0)
        rc = run(
            sink->meta, NULL, err,
            "INSERT INTO tailrace.checkpoint (task, epoch, updated_at) VALUES (%s, 1, UTC_TIMESTAMP(6)) ON DUPLICATE KEY UPDATE epoch = epoch + 1",
            values);
    if (rc < 0)
        return tr_error_prefix(err, "taking over the task \"%s\" at the target", sink->base.env->task);
    return tr_mysql_query(sink->meta, "SET SESSION innodb_lock_wait_timeout = 50", NULL, err);
}

int
tr_my_load_checkpoint(struct tr_sink *base, struct tr_checkpoint *checkpoint, struct tr_error *err)
{
    struct tr_mysql_sink *sink = (struct tr_mysql_sink *)base;
    MYSQL_RES *res = NULL;
    const char *values[] = { base->env->task };
    memset(checkpoint, 0, sizeof(*checkpoint));
    int rc = tr_my_state_tables(sink, err);
    if (rc == 0)
        tr_my_end_lost(sink);
    if (rc == 0)
        rc = tr_mysql_query(sink->meta, "START TRANSACTION", NULL, err);
    if (rc == 0)
        rc = raise_epoch(sink, err);
    if (rc == 0)
        rc = run(sink->meta, &res, err,
                 "SELECT position, identity, phase, epoch FROM tailrace.checkpoint WHERE task = %s", values);
    MYSQL_ROW row = rc == 0 ? mysql_fetch_row(res) : NULL;
    if (rc == 0 && row == NULL)
        rc = tr_fail(err, TR_RETRY, "the target lost the checkpoint of task \"%s\" as it was read",
                     base->env->task);
    if (rc == 0) {
        checkpoint->position = tr_strdup(row[0]);
        checkpoint->identity = tr_strdup(row[1]);
        checkpoint->phase = tr_strdup(row[2]);
        sink->epoch = strtoull(row[3], NULL, 10);
    }
    mysql_free_result(res);
    if (rc == 0)
        rc = tr_mysql_query(sink->meta, "COMMIT", NULL, err);
    if (rc == 0)
        rc = load_cuts(sink, checkpoint, err);
    if (rc < 0) {
        struct tr_error ignored;
        tr_mysql_query(sink->meta, "ROLLBACK", NULL, &ignored);
        tr_checkpoint_fini(checkpoint);
    }
    return rc;
}

static int
save(struct tr_mysql_sink *sink, const struct tr_checkpoint *checkpoint, struct tr_error *err)
{
    char epoch[24];
    const char *task = sink->base.env->task;
    const char *make[] = { task };
    snprintf(epoch, sizeof epoch, "%llu", (unsigned long long)sink->epoch);
    const char *values[] = { checkpoint->position, checkpoint->identity, checkpoint->phase, task, epoch };
    int rc = run(
        sink->meta, NULL, err,
        "INSERT IGNORE INTO tailrace.checkpoint (task, epoch, updated_at) VALUES (%s, 0, UTC_TIMESTAMP(6))",
        make);
    if (rc == 0)
        rc = run(
            sink->meta, NULL, err,
            "UPDATE tailrace.checkpoint SET position = %s, identity = %s, phase = %s, updated_at = UTC_TIMESTAMP(6) WHERE task = %s AND epoch = %s",
            values);
    if (rc == 0 && tr_my_matched(sink->meta) != 1)
        rc = tr_my_taken_over(sink, err);
    if (rc == 0)
        rc = forget_fresh(sink, err);
    if (rc == 0)
        rc = run(sink->meta, NULL, err, "DELETE FROM tailrace.table_cut WHERE task = %s", make);
    for (size_t i = 0; rc == 0 && i < checkpoint->ntables; i++)
        rc = tr_my_record_cut(sink, sink->meta, &checkpoint->tables[i], err);
    return rc;
}

int
tr_my_save_checkpoint(struct tr_sink *base, const struct tr_checkpoint *checkpoint, struct tr_error *err)
{
    struct tr_mysql_sink *sink = (struct tr_mysql_sink *)base;
    int rc = tr_my_state_tables(sink, err);
    if (rc == 0)
        rc = tr_mysql_query(sink->meta, "START TRANSACTION", NULL, err);
    if (rc < 0)
        return rc;
    rc = save(sink, checkpoint, err);
    if (rc == 0)
        return tr_mysql_query(sink->meta, "COMMIT", NULL, err);
    struct tr_error ignored;
    tr_mysql_query(sink->meta, "ROLLBACK", NULL, &ignored);
    return tr_error_prefix(err, "saving the checkpoint at the target");
}

int
tr_my_record_cut(const struct tr_mysql_sink *sink, MYSQL *conn, const struct tr_table_cut *cut,
                 struct tr_error *err)
{
    const char *values[] = { sink->base.env->task, cut->table, cut->position, cut->done ? "1" : "0" };
    return run(conn, NULL, err,
               "INSERT INTO tailrace.table_cut (task, table_name, position, done) VALUES (%s, %s, %s, %s)"
               " ON DUPLICATE KEY UPDATE position = VALUES(position), done = VALUES(done)",
               values);
}

/* "schema.from" has the name "schema.to" from now on. By REPLACE, for names may be exchanged. */
int
tr_my_move_cut(struct tr_mysql_sink *sink, MYSQL *conn, const struct tr_ddl_table *from,
               const struct tr_ddl_table *to, struct tr_error *err)
{
    const char *task = sink->base.env->task;
    char *old = tr_asprintf("%s.%s", from->schema, from->name),
         *name = tr_asprintf("%s.%s", to->schema, to->name);
    const char *copied[] = { name, task, old }, *gone[] = { task, old };
    int rc = run(
        conn, NULL, err,
        "REPLACE INTO tailrace.table_cut (task, table_name, position, done)"
        " SELECT task, %s, position, done FROM tailrace.table_cut WHERE task = %s AND table_name = %s AND done",
        copied);
    if (rc == 0)
        rc = run(conn, NULL, err,
                 "DELETE FROM tailrace.table_cut WHERE task = %s AND table_name = %s AND done", gone);
    free(old);
    free(name);
    return rc;
}

int
tr_my_taken_over(const struct tr_mysql_sink *sink, struct tr_error *err)
{
    tr_fail(err, TR_FATAL, "another process has taken over the task \"%s\" at the target",
            sink->base.env->task);
    return tr_error_hint(err, "only one tailrace may run a task; stop one of the two");
}

int
tr_my_check_epoch(const struct tr_mysql_sink *sink, MYSQL *conn, struct tr_error *err)
{
    char epoch[24];
    MYSQL_RES *res = NULL;
    if (sink->epoch == 0)
        return 0;
    snprintf(epoch, sizeof epoch, "%llu", (unsigned long long)sink->epoch);
    const char *values[] = { sink->base.env->task, epoch };
    int rc = run(conn, &res, err,
                 "SELECT 1 FROM tailrace.checkpoint WHERE task = %s AND epoch = %s LOCK IN SHARE MODE",
                 values);
    if (rc == 0 && mysql_num_rows(res) != 1)
        rc = tr_my_taken_over(sink, err);
    mysql_free_result(res);
    return rc;
}

/* ROW_COUNT() is 1 when the row was there under our epoch; otherwise the exponent is an error (1690), and the COMMIT behind it is not run. */
void
tr_my_commit_sql(const struct tr_mysql_sink *sink, const char *position, struct tr_buffer *out)
{
    tr_buffer_text(out, "UPDATE tailrace.checkpoint SET position = ");
    text(out, position);
    tr_buffer_text(
        out,
        ", phase = 'stream', updated_at = GREATEST(UTC_TIMESTAMP(6), updated_at + INTERVAL 1 MICROSECOND) WHERE task = ");
    text(out, sink->base.env->task);
    tr_buffer_printf(out, " AND epoch = %llu;SET @tailrace = EXP(800 * (ROW_COUNT() <> 1));COMMIT",
                     (unsigned long long)sink->epoch);
}

int
tr_my_drop(struct tr_sink *base, struct tr_error *err)
{
    struct tr_mysql_sink *sink = (struct tr_mysql_sink *)base;
    const char *values[] = { base->env->task };
    char *there = NULL;
    int rc = tr_mysql_query_text(
        sink->meta,
        "SELECT 1 FROM information_schema.tables WHERE table_schema = 'tailrace' AND table_name = 'checkpoint'",
        &there, err);
    bool known = there != NULL;
    free(there);
    if (rc < 0 || !known)
        return rc;
    struct tr_error ignored;
    run(sink->meta, NULL, &ignored, "DELETE FROM tailrace.ddl_step WHERE task = %s",
        values); /* it may be missing */
    run(sink->meta, NULL, &ignored, "DELETE FROM tailrace.copy_column WHERE task = %s", values);
    run(sink->meta, NULL, &ignored, "DELETE FROM tailrace.copy_statement WHERE task = %s", values);
    run(sink->meta, NULL, &ignored, "DELETE FROM tailrace.table_made WHERE task = %s", values);
    run(sink->meta, NULL, &ignored, "DELETE FROM tailrace.table_fresh WHERE task = %s", values);
    run(sink->meta, NULL, &ignored, "DELETE FROM tailrace.column_place WHERE task = %s", values);
    run(sink->meta, NULL, &ignored, "DELETE FROM tailrace.task_scope WHERE task = %s", values);
    rc = run(sink->meta, NULL, err, "DELETE FROM tailrace.table_cut WHERE task = %s", values);
    if (rc == 0)
        rc = run(sink->meta, NULL, err, "DELETE FROM tailrace.checkpoint WHERE task = %s", values);
    there = NULL;
    if (rc == 0)
        rc = tr_mysql_query_text(sink->meta, "SELECT 1 FROM tailrace.checkpoint LIMIT 1", &there, err);
    /* The last task takes the tables with it, if they are ours to drop. */
    if (rc == 0 && there == NULL &&
        tr_mysql_query(
            sink->meta,
            "DROP TABLE IF EXISTS tailrace.checkpoint, tailrace.table_cut, tailrace.table_made, tailrace.table_fresh, tailrace.ddl_step, tailrace.copy_column,"
            " tailrace.copy_statement, tailrace.column_place, tailrace.task_scope",
            NULL, &ignored) == 0) {
        tr_mysql_query(sink->meta, "DROP DATABASE tailrace", NULL, &ignored);
        sink->state_tables = sink->made_table = sink->fresh_table = sink->ddl_table = sink->shape_table =
            false;
    }
    free(there);
    return rc;
}
