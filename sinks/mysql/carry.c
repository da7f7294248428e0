/*
 * carry.c - DDL statements of the same engine, run at the target under the names that mapping gives.
 *
 * A statement commits by itself, so that it cannot share a transaction with the checkpoint. Before it is run, tailrace.ddl_step says which statement of the log it
 * is and how its tables looked; a process that finds its own entry after a crash compares: tables that look different have seen it already.
 */
#include <mysqld_error.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/failpoint.h"
#include "core/memory.h"
#include "schema/own_collation.h"
#include "sinks/mysql/apply.h"

#define LOCK_SECONDS 60

struct carry {
    struct tr_mysql_sink *sink;
    const struct tr_sql_group *group;
    const struct tr_event *event;
    char place[700]; /* of the statement in the source's log */
    struct tr_buffer sql, text;
};

static bool
same_engine(const struct tr_mysql_sink *sink)
{
    const char *dialect = sink->base.env->source_dialect;
    return dialect != NULL && strcmp(dialect, tr_my_dialect(sink)) == 0;
}

/* The pair at i of a renaming: a table takes a name under which the task has loaded it since. So its rows are there already, and the target's old one is to go. */
static bool
is_gone(const struct tr_event *event, uint32_t i)
{
    const struct tr_ddl_table *from = &event->ddl.tables[i], *to = from + 1;
    return event->ddl.verb == TR_VERB_RENAME_TABLE && i % 2 == 0 && i + 1 < event->ddl.ntables &&
           from->wanted && to->ours && !to->left_out && !to->wanted;
}

/* A renaming that brings in a table from outside, or takes one out, is no renaming here. */
static int
is_renaming(struct tr_mysql_sink *sink, const struct tr_event *event, bool *is, struct tr_error *err)
{
    int rc = 0;
    *is = true;
    for (uint32_t i = 0; rc == 0 && *is && i + 1 < event->ddl.ntables; i += 2) {
        const struct tr_ddl_table *from = &event->ddl.tables[i], *to = from + 1;
        if (is_gone(event, i))
            rc = tr_my_is_loaded(sink, to->schema, to->name, is, err);
        else
            *is = from->wanted && to->wanted;
    }
    return rc;
}

static bool
is_drop(const struct tr_event *event)
{
    return event->ddl.verb == TR_VERB_DROP_TABLE || event->ddl.verb == TR_VERB_DROP_SEQUENCE;
}

static int
is_wanted(struct tr_mysql_sink *sink, const struct tr_event *event, bool *wanted, struct tr_error *err)
{
    *wanted = event->ddl.tables[0].wanted;
    for (uint32_t i = 0; is_drop(event) && i < event->ddl.ntables; i++)
        *wanted = *wanted || event->ddl.tables[i].wanted;
    return event->ddl.verb == TR_VERB_RENAME_TABLE ? is_renaming(sink, event, wanted, err) : 0;
}

/* ------------------------------------------------------------------------------------------- the statement */

static void
write_drop(struct carry *c)
{
    const char *comma = "";
    bool sequence = c->event->ddl.verb == TR_VERB_DROP_SEQUENCE;
    tr_buffer_text(&c->sql, sequence ? "DROP SEQUENCE IF EXISTS " : "DROP TABLE IF EXISTS ");
    for (uint32_t i = 0; i < c->event->ddl.ntables; i++) {
        const struct tr_ddl_table *table = &c->event->ddl.tables[i];
        if (!table->wanted)
            continue;
        tr_buffer_text(&c->sql, comma);
        tr_mysql_qualified(&c->sql, table->target_schema, table->target_name);
        comma = ", ";
    }
}

/* Out of the way first, so that other tables of the statement can take its name; dropped behind it. */
static void
write_gone(struct carry *c, uint32_t i)
{
    const struct tr_ddl_table *from = &c->event->ddl.tables[i];
    char name[48];
    snprintf(name, sizeof name, "tailrace_gone_%016llx",
             (unsigned long long)tr_hash_bytes(i, from->target_name, strlen(from->target_name)));
    tr_mysql_qualified(&c->sql, from->target_schema, name);
}

static int
drop_gone(struct carry *c, struct tr_error *err)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < c->event->ddl.ntables; i++) {
        if (!is_gone(c->event, i))
            continue;
        tr_buffer_reset(&c->sql);
        tr_buffer_text(&c->sql, "DROP TABLE IF EXISTS ");
        write_gone(c, i);
        rc = tr_mysql_query(c->sink->meta, c->sql.data, NULL, err);
    }
    return rc;
}

/* CREATE TABLE ... AS SELECT is logged with a clause for the server's own replicas: its rows come in the same transaction. */
static size_t
without_start(const char *text)
{
    static const char clause[] = "START TRANSACTION";
    size_t len = strlen(text), n = sizeof clause - 1;
    while (len > 0 && strchr(" \t\r\n;", text[len - 1]) != NULL)
        len--;
    return len > n && strncasecmp(text + len - n, clause, n) == 0 ? len - n : len;
}

/* Those of a newer server than this one. */
static void
know_collations(struct carry *c)
{
    struct tr_buffer known, told;
    const struct tr_ddl_table *table = &c->event->ddl.tables[0];
    tr_buffer_init(&known, TR_BUFFER_MAX);
    tr_buffer_init(&told, TR_BUFFER_MAX);
    if (tr_own_collations(c->sql.data, c->sql.len, &c->sink->target, &known, &told)) {
        tr_buffer_reset(&c->sql);
        tr_buffer_add(&c->sql, known.data, known.len);
        tr_log(c->sink->base.env->log, TR_LOG_WARNING, "sink",
               "table %s.%s: the source's statement names collations that the target does not know: %s",
               table->target_schema, table->target_name, told.data);
    }
    tr_buffer_fini(&known);
    tr_buffer_fini(&told);
}

static void
write_statement(struct carry *c)
{
    const char *text = c->event->ddl.text;
    size_t at = 0, len = without_start(text);
    tr_buffer_reset(&c->sql);
    if (is_drop(c->event)) {
        write_drop(c);
        return;
    }
    for (uint32_t i = 0; i < c->event->ddl.ntables; i++) {
        const struct tr_ddl_table *table = &c->event->ddl.tables[i];
        tr_buffer_add(&c->sql, text + at, table->at - at);
        if (i > 0 && is_gone(c->event, i - 1))
            write_gone(c, i - 1);
        else
            tr_mysql_qualified(&c->sql, table->target_schema, table->target_name);
        at = table->at + table->len;
    }
    tr_buffer_add(&c->sql, text + at, len > at ? len - at : 0);
    know_collations(c);
}

/* ------------------------------------------------------------------------------------------- the step in the state */

/* Was this very statement begun before, and on which shape? */
static int
read_step(struct carry *c, bool *begun, uint64_t *shape, struct tr_error *err)
{
    char *known = NULL;
    *begun = false;
    int rc = tr_my_state_table_ddl(c->sink, err);
    if (rc < 0)
        return rc;
    tr_buffer_reset(&c->text);
    tr_buffer_text(&c->text, "SELECT shape FROM tailrace.ddl_step WHERE task = ");
    tr_mysql_literal(&c->text, c->sink->base.env->task, strlen(c->sink->base.env->task));
    tr_buffer_text(&c->text, " AND place = ");
    tr_mysql_literal(&c->text, c->place, strlen(c->place));
    rc = tr_mysql_query_text(c->sink->meta, c->text.data, &known, err);
    *begun = known != NULL;
    *shape = known != NULL ? strtoull(known, NULL, 10) : 0;
    free(known);
    return rc;
}

/* The old name of the table that has the name of table i behind the statement; NULL where none has, or one that is loaded since. */
static const struct tr_ddl_table *
renamed_from(const struct tr_event *event, uint32_t i)
{
    const struct tr_ddl_table *tables = event->ddl.tables;
    bool pair = event->ddl.verb == TR_VERB_RENAME_TABLE && i % 2 == 1 && !is_gone(event, i - 1);
    bool alone = event->ddl.verb == TR_VERB_ALTER_TABLE && i > 0 && tables[i].renamed;
    return !tables[i].ours ? NULL : pair ? &tables[i - 1] : alone ? &tables[0] : NULL;
}

/*
 * A table is known by its name at the source: under the new one a later run would take it for a table that it has yet to load. Written before the statement is run, so
 * that no kill comes between; a run that begins there makes no table that is loaded (tables.c).
 */
static int
move_cuts(struct carry *c, struct tr_error *err)
{
    int rc = 0;
    for (uint32_t i = 1; rc == 0 && i < c->event->ddl.ntables; i++) {
        const struct tr_ddl_table *from = renamed_from(c->event, i);
        if (from != NULL)
            rc = tr_my_move_cut(c->sink, c->sink->meta, from, &c->event->ddl.tables[i], err);
    }
    return rc;
}

/* The mark of a table that the task has made goes with its name. */
static int
move_marks(struct carry *c, struct tr_error *err)
{
    int rc = 0;
    for (uint32_t i = 1; rc == 0 && i < c->event->ddl.ntables; i++) {
        const struct tr_ddl_table *from = renamed_from(c->event, i), *to = &c->event->ddl.tables[i];
        bool made = false;
        if (from == NULL)
            continue;
        struct tr_relation old = { .schema = from->schema, .name = from->name },
                           now = { .schema = to->schema, .name = to->name };
        rc = tr_my_was_made(c->sink, &old, &made, err);
        if (rc == 0 && made)
            rc = tr_my_unmark_made(c->sink, &old, err);
        if (rc == 0)
            rc = made ? tr_my_mark_made(c->sink, &now, err) : tr_my_unmark_made(c->sink, &now, err);
    }
    return rc;
}

static int
write_step(struct carry *c, uint64_t shape, struct tr_error *err)
{
    MYSQL *conn = c->sink->meta;
    struct tr_error ignored;
    tr_buffer_reset(&c->text);
    tr_buffer_text(&c->text, "REPLACE INTO tailrace.ddl_step (task, place, shape) VALUES (");
    tr_mysql_literal(&c->text, c->sink->base.env->task, strlen(c->sink->base.env->task));
    tr_buffer_text(&c->text, ", ");
    tr_mysql_literal(&c->text, c->place, strlen(c->place));
    tr_buffer_printf(&c->text, ", %llu)", (unsigned long long)shape);
    int rc = tr_mysql_query(conn, "START TRANSACTION", NULL, err);
    if (rc == 0)
        rc = tr_my_check_epoch(c->sink, conn, err);
    if (rc == 0)
        rc = tr_mysql_query(conn, c->text.data, NULL, err);
    if (rc == 0)
        rc = move_cuts(c, err);
    if (rc == 0)
        rc = tr_mysql_query(conn, "COMMIT", NULL, err);
    if (rc < 0)
        tr_mysql_query(conn, "ROLLBACK", NULL, &ignored);
    return rc;
}

/* ------------------------------------------------------------------------------------------- running it */

/* Errors that say: what the statement makes is there, what it removes is not. A load that read the source's catalogue later brings that about. */
static bool
is_so_already(unsigned number)
{
    return number == ER_TABLE_EXISTS_ERROR || number == ER_BAD_TABLE_ERROR || number == ER_DUP_FIELDNAME ||
           number == ER_DUP_KEYNAME || number == ER_CANT_DROP_FIELD_OR_KEY || number == ER_MULTIPLE_PRI_KEY ||
           number == 1826 /* foreign key of that name */ || number == 4091 /* no such sequence */;
}

static int
refuse(struct carry *c, struct tr_error *err)
{
    tr_error_prefix(err, "carrying a statement of the source to the target (%.300s)", c->sql.data);
    err->class = TR_REFUSED;
    tr_error_hint(
        err,
        "bring the target's table to the shape that the statement gives it, and start again with ddl: ignore until the stream is past it");
    return -TR_REFUSED;
}

static int
failed(struct carry *c, unsigned number, bool begun, uint64_t before, struct tr_error *err)
{
    struct tr_error later;
    uint64_t now = before;
    if (err->class == TR_RETRY || number == ER_LOCK_WAIT_TIMEOUT || number == ER_LOCK_DEADLOCK) {
        err->class = TR_RETRY;
        return -TR_RETRY;
    }
    /* an earlier process was killed while the server went on with it */
    if (begun && tr_my_look(c->sink, c->event, &now, &later) == 0 && now != before)
        return 0;
    if (!is_so_already(number))
        return refuse(c, err);
    tr_log(c->sink->base.env->log, TR_LOG_WARNING, "sink",
           "the source's statement is not run again at the target, where it is so already: %.300s (%.200s)",
           c->sql.data, err->text);
    return 0;
}

static int
limit_wait(struct carry *c, struct tr_error *err)
{
    char sql[80];
    snprintf(sql, sizeof sql, "SET SESSION lock_wait_timeout = %d", LOCK_SECONDS);
    return tr_mysql_query(c->sink->meta, sql, NULL, err);
}

static int
run(struct carry *c, bool begun, uint64_t before, struct tr_error *err)
{
    const struct tr_ddl_table *table = &c->event->ddl.tables[0];
    int rc = limit_wait(c, err);
    if (rc == 0 &&
        (c->event->ddl.verb == TR_VERB_CREATE_TABLE || c->event->ddl.verb == TR_VERB_CREATE_SEQUENCE)) {
        tr_buffer_reset(&c->text);
        tr_buffer_text(&c->text, "CREATE DATABASE IF NOT EXISTS ");
        tr_mysql_identifier(&c->text, table->target_schema);
        rc = tr_mysql_query(c->sink->meta, c->text.data, NULL, err);
    }
    if (rc < 0)
        return rc;
    TR_FAILPOINT("sink.mysql.ddl.before");
    rc = tr_my_take_session(c->sink, c->event, c->sql.data, err);
    if (rc < 0)
        return rc;
    rc = mysql_real_query(c->sink->meta, c->sql.data, (unsigned long)c->sql.len) != 0
             ? tr_mysql_fail(err, c->sink->meta, "statement failed")
             : 0;
    unsigned number = rc < 0 ? mysql_errno(c->sink->meta) : 0;
    /* also before a failure is looked into: a table is shown in other words under another sql_mode and time zone */
    struct tr_error left;
    if (tr_my_leave_session(c->sink, c->event, &left) < 0 && rc == 0) {
        *err = left;
        return -(int)err->class;
    }
    if (rc < 0 && (rc = failed(c, number, begun, before, err)) < 0)
        return rc;
    TR_FAILPOINT("sink.mysql.ddl.after");
    tr_log(c->sink->base.env->log, TR_LOG_INFO, "sink", "carried from the source: %.500s", c->sql.data);
    return 0;
}

/* A table that begins in the stream has its cut there: no later run is to load it. */
static int
record_new_table(struct carry *c, struct tr_error *err)
{
    const struct tr_ddl_table *table = &c->event->ddl.tables[0];
    if (c->event->ddl.verb != TR_VERB_CREATE_TABLE || c->group->checkpoint == NULL)
        return 0;
    char *name = tr_asprintf("%s.%s", table->schema, table->name);
    struct tr_table_cut cut = { name, c->group->checkpoint, true };
    int rc = tr_my_record_cut(c->sink, c->sink->meta, &cut, err);
    free(name);
    return rc;
}

/* Rows and checkpoint share a transaction, which only InnoDB has part in: as in the load, a table of another engine is one of InnoDB here. */
static int
make_transactional(struct carry *c, struct tr_error *err)
{
    const struct tr_ddl_table *table = &c->event->ddl.tables[0];
    struct tr_my_table *made = NULL;
    if (c->event->ddl.verb != TR_VERB_CREATE_TABLE && c->event->ddl.verb != TR_VERB_ALTER_TABLE)
        return 0;
    int rc = tr_my_table_read(c->sink->meta, table->target_schema, table->target_name, &made, err);
    if (rc == 0 && made != NULL && !made->transactional) {
        tr_buffer_reset(&c->sql);
        tr_buffer_text(&c->sql, "ALTER TABLE ");
        tr_mysql_qualified(&c->sql, table->target_schema, table->target_name);
        tr_buffer_text(&c->sql, " ENGINE=InnoDB");
        rc = tr_mysql_query(c->sink->meta, c->sql.data, NULL, err);
        if (rc == 0)
            tr_log(
                c->sink->base.env->log, TR_LOG_WARNING, "sink",
                "the source made table %s.%s in %s, which has no transactions: it is one of InnoDB at the target",
                table->target_schema, table->target_name, made->engine);
        else if (err->class != TR_RETRY)
            rc = refuse(c, err);
    }
    tr_my_table_free(made);
    return rc;
}

/* What the task made of a table whose load never came to an end is in the way of one that gets its name: the source had it no more at the next start. */
static int
clear_way(struct carry *c, struct tr_error *err)
{
    int rc = 0;
    for (uint32_t i = 1; rc == 0 && c->event->ddl.verb == TR_VERB_RENAME_TABLE && i < c->event->ddl.ntables;
         i += 2) {
        const struct tr_ddl_table *to = &c->event->ddl.tables[i];
        struct tr_relation named = { .schema = to->schema, .name = to->name };
        bool made = false, loaded = false;
        if (to->wanted)
            rc = tr_my_was_made(c->sink, &named, &made, err);
        if (rc == 0 && made)
            rc = tr_my_is_loaded(c->sink, to->schema, to->name, &loaded, err);
        if (rc < 0 || !made || loaded)
            continue;
        tr_buffer_reset(&c->sql);
        tr_buffer_text(&c->sql, "DROP TABLE IF EXISTS ");
        tr_mysql_qualified(&c->sql, to->target_schema, to->target_name);
        rc = tr_mysql_query(c->sink->meta, c->sql.data, NULL, err);
        if (rc == 0) /* once: the next table of this name is another one */
            rc = tr_my_unmark_made(c->sink, &named, err);
    }
    return rc;
}

/*
 * An earlier process may have been killed while the server was at the statement, and the server goes on with it: whoever gets the table's lock comes after it. What may
 * not be locked is not waited for.
 */
static int
wait_for_earlier(struct carry *c, struct tr_error *err)
{
    const struct tr_ddl_table *table = &c->event->ddl.tables[0];
    int rc = limit_wait(c, err);
    tr_buffer_reset(&c->text);
    tr_buffer_text(&c->text, "LOCK TABLES ");
    tr_mysql_qualified(&c->text, table->target_schema, table->target_name);
    tr_buffer_text(&c->text, " WRITE");
    if (rc == 0)
        rc = tr_mysql_query(c->sink->meta, c->text.data, NULL, err);
    if (rc == 0)
        return tr_mysql_query(c->sink->meta, "UNLOCK TABLES", NULL, err);
    unsigned number = mysql_errno(c->sink->meta);
    if (err->class == TR_RETRY || number == ER_LOCK_WAIT_TIMEOUT)
        return -(int)(err->class = TR_RETRY);
    tr_error_clear(err);
    return 0;
}

static int
carry(struct carry *c, struct tr_error *err)
{
    uint64_t before = 0, now = 0;
    bool begun = false;
    int rc = clear_way(c, err);
    if (rc == 0)
        rc = read_step(c, &begun, &before, err);
    if (rc == 0 && begun)
        rc = wait_for_earlier(c, err);
    if (rc == 0)
        rc = tr_my_look(c->sink, c->event, &now, err);
    if (rc == 0 && !begun)
        rc = write_step(c, before = now, err);
    if (rc == 0 && !begun)
        rc = move_marks(c, err);
    write_statement(c);
    if (rc == 0 && before == now)
        rc = run(c, begun, before, err);
    if (rc == 0)
        rc = drop_gone(c, err);
    if (rc == 0)
        rc = make_transactional(c, err);
    if (rc == 0)
        rc = record_new_table(c, err);
    for (uint32_t i = 0; i < c->event->ddl.ntables; i++)
        tr_my_map_forget(c->sink->apply, c->event->ddl.tables[i].target_schema,
                         c->event->ddl.tables[i].target_name);
    return rc;
}

/* part: of several statements that one of the source becomes; 0 = the first, or all of it */
static void
name_place(struct carry *c, uint32_t part)
{
    const struct tr_txn *txn = &c->group->first->txns[0];
    char suffix[16] = "";
    if (part > 0)
        snprintf(suffix, sizeof suffix, "/%u", part);
    if (txn->gtid != NULL)
        snprintf(c->place, sizeof c->place, "%s%s", txn->gtid, suffix);
    else
        snprintf(c->place, sizeof c->place, "%s:%llu%s", txn->file != NULL ? txn->file : "",
                 (unsigned long long)txn->commit_order, suffix);
}

bool
tr_my_carries_statements(const struct tr_mysql_sink *sink)
{
    return sink->ddl == TR_MY_DDL_APPLY && same_engine(sink);
}

int
tr_my_carry_clauses(struct tr_mysql_sink *sink, const struct tr_sql_group *group,
                    const struct tr_event *session, const struct tr_ddl_table *of, const char *clauses,
                    uint32_t part, struct tr_error *err)
{
    static const char head[] = "ALTER TABLE ";
    struct tr_ddl_table named = *of;
    struct tr_event own = { .kind = TR_DDL };
    struct carry c = { .sink = sink, .group = group, .event = &own };
    char *text = tr_asprintf("%st%s", head, clauses);
    named.at = sizeof head - 1;
    named.len = 1;
    own.ddl.text = text;
    own.ddl.tables = &named;
    own.ddl.ntables = 1;
    own.ddl.verb = TR_VERB_ALTER_TABLE;
    own.ddl.began_us = session->ddl.began_us;
    own.ddl.time_zone = session->ddl.time_zone;
    own.ddl.offset = session->ddl.offset;
    own.ddl.sql_mode = session->ddl.sql_mode;
    own.ddl.settings = session->ddl.settings;
    tr_buffer_init(&c.sql, TR_BUFFER_MAX);
    tr_buffer_init(&c.text, TR_BUFFER_MAX);
    name_place(&c, part);
    int rc = carry(&c, err);
    tr_buffer_fini(&c.sql);
    tr_buffer_fini(&c.text);
    free(text);
    return rc;
}

/* Of another engine of the family: what the statement says of columns, in this server's words. */
static int
carry_columns(struct tr_mysql_sink *sink, const struct tr_sql_group *group, const struct tr_event *event,
              struct tr_error *err)
{
    const struct tr_ddl_table *of = &event->ddl.tables[0];
    struct tr_event session = *event;
    struct tr_my_table *table = NULL;
    struct tr_buffer clauses;
    bool any = false;
    session.ddl.sql_mode = -1; /* the words are ours */
    session.ddl.settings = NULL;
    int rc = tr_my_table_read(sink->meta, of->target_schema, of->target_name, &table, err);
    if (rc < 0 || table == NULL)
        return rc;
    tr_buffer_init(&clauses, TR_BUFFER_MAX);
    rc = tr_my_translate(sink, event, table, &clauses, &any, err);
    if (rc == 0 && any)
        rc = tr_my_carry_clauses(sink, group, &session, of, clauses.data, 0, err);
    tr_buffer_fini(&clauses);
    tr_my_table_free(table);
    return rc;
}

/* A table that was left out has taken the place of one of ours: what was done to its indexes has passed us by. */
static void
tell_exchange(const struct tr_mysql_sink *sink, const struct tr_event *event)
{
    const struct tr_sink_env *env = sink->base.env;
    if (event->ddl.verb != TR_VERB_RENAME_TABLE || !tr_my_carries_statements(sink) || env->exchanged == NULL)
        return;
    for (uint32_t i = 0; i + 1 < event->ddl.ntables; i += 2)
        if (!event->ddl.tables[i].wanted && event->ddl.tables[i + 1].wanted)
            env->exchanged(env->arg, event->ddl.tables[i + 1].schema, event->ddl.tables[i + 1].name);
}

/* Rows moved between a table that was loaded before the statement and one that was loaded after it: neither to run it nor to leave it out is right. */
static int
check_moved(const struct tr_mysql_sink *sink, const struct tr_event *event, struct tr_error *err)
{
    const struct tr_ddl_table *table = &event->ddl.tables[0];
    if (!event->ddl.moves_rows || !tr_my_carries_statements(sink))
        return 0;
    for (uint32_t i = 1; i < event->ddl.ntables; i++) {
        const struct tr_ddl_table *other = &event->ddl.tables[i];
        if (!table->ours || !other->ours || table->left_out || other->left_out ||
            table->wanted == other->wanted)
            continue;
        tr_fail(
            err, TR_REFUSED,
            "the source moved rows between %s.%s and %s.%s, of which one was loaded before that and the other after it: %.200s",
            table->schema, table->name, other->schema, other->name, event->ddl.text);
        return tr_error_hint(err, "order `tailrace reload --table %s.%s,%s.%s` and start again",
                             table->schema, table->name, other->schema, other->name);
    }
    return 0;
}

/* A key by which both servers read the rows in the same order. */
static bool
has_order(const struct tr_my_table *table)
{
    for (uint16_t i = 0; i < table->nuniques; i++)
        if (table->uniques[i].addresses)
            return true;
    return false;
}

/* Would the target give rows that are there other values than the source did? */
static int
check_values(struct tr_mysql_sink *sink, const struct tr_event *event, struct tr_error *err)
{
    const struct tr_ddl_table *of = &event->ddl.tables[0];
    struct tr_my_table *table = NULL;
    bool differ = false;
    if (!event->ddl.numbers && !event->ddl.counts)
        return 0;
    int rc = tr_my_table_read(sink->meta, of->target_schema, of->target_name, &table, err);
    if (rc == 0 && table != NULL && (event->ddl.numbers || !has_order(table)))
        rc = tr_my_has_rows(sink, table, &differ, err);
    tr_my_table_free(table);
    if (rc < 0 || !differ)
        return rc;
    tr_fail(
        err, TR_REFUSED,
        "the source gave each row of %s.%s a value of its own, and only the source knows which row got which: %.300s",
        of->schema, of->name, event->ddl.text);
    return tr_error_hint(
        err, "run the statement at the target, order `tailrace reload --table %s.%s`, and start again",
        of->schema, of->name);
}

int
tr_my_carry_statement(struct tr_mysql_sink *sink, const struct tr_sql_group *group,
                      const struct tr_event *event, struct tr_error *err)
{
    if (event->ddl.ntables == 0 || event != &group->first->events[0])
        return 0;
    bool wanted = false;
    int rc = check_moved(sink, event, err);
    if (rc == 0)
        rc = tr_my_copies(sink, group, event, err);
    if (rc == 0)
        rc = is_wanted(sink, event, &wanted, err);
    if (rc < 0)
        return rc;
    if (!wanted) {
        tell_exchange(sink, event);
        return 0;
    }
    if (sink->ddl == TR_MY_DDL_STOP) {
        tr_fail(err, TR_REFUSED, "the source changed table %s.%s: %.300s", event->ddl.tables[0].schema,
                event->ddl.tables[0].name, event->ddl.text);
        return tr_error_hint(err,
                             "change the target's table to match and start again with ddl: apply or ignore");
    }
    if (!tr_my_carries_statements(
            sink)) { /* another engine: the rows that come show how the shapes differ, and little else */
        bool columns = sink->ddl == TR_MY_DDL_APPLY && event->ddl.verb == TR_VERB_ALTER_TABLE &&
                       (event->ddl.nrenames > 0 || event->ddl.defined != NULL);
        if (sink->ddl == TR_MY_DDL_APPLY && !columns)
            return tr_my_note_gone(sink, event, err);
        return columns ? carry_columns(sink, group, event, err) : 0;
    }
    rc = check_values(sink, event, err);
    if (rc < 0)
        return rc;
    struct carry c = { .sink = sink, .group = group, .event = event };
    name_place(&c, 0);
    tr_buffer_init(&c.sql, TR_BUFFER_MAX);
    tr_buffer_init(&c.text, TR_BUFFER_MAX);
    rc = carry(&c, err);
    tr_buffer_fini(&c.sql);
    tr_buffer_fini(&c.text);
    return rc;
}
