/* test_sql_apply.c - the order in which groups are applied and committed, with a database that does what the test says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/memory.h"
#include "sinks/sql/apply.h"
#include "tests/unit/encoders/sample.h"

#define WORKERS 3
#define GROUPS 8

/* What a group's next run comes to, by its number: one letter a run, '.' once there are no more. */
enum outcome { WAITS = 'w', READY = '.', CONFLICT = 'c', DEADLOCK = 'd' };

struct database {
    struct tr_sql_apply apply;
    struct tr_sql_worker workers[WORKERS];
    struct tr_settings *settings;
    struct tr_log log;
    struct tr_sink_env env;
    struct tr_error error;
    char script[GROUPS][32];
    char journal[512]; /* what was done, in order */
    uint64_t flushed;  /* the sequence that is on disk */
    uint64_t told;     /* the sequence that the task was told of */
    uint64_t sequence; /* of the last batch */
    bool forced, stops;
};

static struct database *
of(struct tr_sql_apply *apply)
{
    return (struct database *)apply;
}

static void
note(struct tr_sql_apply *apply, const char *what, const struct tr_sql_group *group)
{
    struct database *db = of(apply);
    size_t len = strlen(db->journal);
    snprintf(db->journal + len, sizeof db->journal - len, "%s%s %llu", len > 0 ? ", " : "", what,
             (unsigned long long)group->plan.number);
}

static int
open_worker(struct tr_sql_apply *apply, struct tr_sql_worker *worker, struct tr_error *err)
{
    (void)apply;
    (void)worker;
    (void)err;
    return 0;
}

static void
fails(struct tr_sql_apply *apply, struct tr_sql_worker *worker, enum outcome outcome)
{
    tr_fail(&worker->failure, TR_CONFLICT, "group %llu", (unsigned long long)worker->group->plan.number);
    snprintf(worker->failure.sqlstate, sizeof worker->failure.sqlstate, "%s",
             outcome == DEADLOCK ? "40P01" : "23505");
    tr_sql_worker_failed(apply, worker);
    worker->state = TR_SQL_AGAIN;
}

static int
turn(struct tr_sql_apply *apply, bool *moved, struct tr_error *err)
{
    (void)err;
    for (int i = 0; i < WORKERS; i++) {
        struct tr_sql_worker *worker = &of(apply)->workers[i];
        if (worker->state == TR_SQL_FAILED) {
            worker->state = TR_SQL_AGAIN;
            *moved = true;
        }
        if (worker->state != TR_SQL_RUN)
            continue;
        char *script = of(apply)->script[worker->group->plan.number];
        if (script[0] == WAITS)
            continue;
        *moved = true;
        if (script[0] == CONFLICT || script[0] == DEADLOCK) {
            fails(apply, worker, (enum outcome)script[0]);
            memmove(script, script + 1, strlen(script));
        } else {
            worker->state = TR_SQL_READY;
        }
    }
    return 0;
}

static bool
waits(const struct tr_sql_worker *worker, struct pollfd *fd)
{
    (void)worker;
    (void)fd;
    return false;
}

static void
yield(struct tr_sql_apply *apply, struct tr_sql_worker *worker)
{
    if (worker->state != TR_SQL_RUN && worker->state != TR_SQL_READY)
        return;
    note(apply, "yield", worker->group);
    worker->told_to_yield = true;
    tr_sql_worker_failed(apply, worker);
}

static int
commit(struct tr_sql_apply *apply, struct tr_sql_worker *worker, struct tr_error *err)
{
    (void)err;
    note(apply, "commit", worker->group);
    worker->state = TR_SQL_COMMIT;
    return 0;
}

static bool
committed(const struct tr_sql_worker *worker)
{
    (void)worker;
    return true;
}

static int
prepare(struct tr_sql_apply *apply, struct tr_sql_group *group, struct tr_error *err)
{
    (void)err;
    note(apply, "plan", group);
    return 0;
}

static int
carefully(struct tr_sql_apply *apply, struct tr_sql_group *group, struct tr_error *err)
{
    (void)err;
    note(apply, "one by one", group);
    return 0;
}

static void
finished(struct tr_sql_apply *apply, const struct tr_sql_group *group)
{
    (void)apply;
    (void)group;
}

static int
durable(struct tr_sql_apply *apply, bool force, uint64_t *sequence, struct tr_error *err)
{
    struct database *db = of(apply);
    (void)err;
    db->forced = db->forced || force;
    if (force)
        db->flushed = apply->committed;
    if (db->flushed > *sequence)
        *sequence = db->flushed;
    return 0;
}

static int
unblock(struct tr_sql_apply *apply, struct tr_sql_worker *head, int64_t waited_us, bool *moved,
        struct tr_error *err)
{
    (void)apply;
    (void)head;
    (void)waited_us;
    (void)moved;
    (void)err;
    return 0;
}

static bool
passing(const struct tr_error *failure)
{
    return strcmp(failure->sqlstate, "40P01") == 0;
}

static bool
changes_shape(const struct tr_event *event)
{
    (void)event;
    return false;
}

static bool
stopping(struct tr_sql_apply *apply)
{
    return of(apply)->stops;
}

static int64_t
patience(struct tr_sql_apply *apply, int64_t wait_us)
{
    return of(apply)->stops ? 0 : wait_us;
}

static int
give_up(struct tr_error *err)
{
    return tr_fail(err, TR_RETRY, "given up");
}

static const struct tr_sql_driver driver = {
    .changes_shape = changes_shape,
    .open = open_worker,
    .turn = turn,
    .waits = waits,
    .yield = yield,
    .commit = commit,
    .committed = committed,
    .prepare = prepare,
    .carefully = carefully,
    .finished = finished,
    .durable = durable,
    .unblock = unblock,
    .passing = passing,
    .stopping = stopping,
    .patience = patience,
    .give_up = give_up,
};

static void
on_durable(void *arg, uint64_t sequence, const char *state)
{
    struct database *db = arg;
    (void)state;
    assert_true(sequence > db->told && sequence <= db->flushed);
    db->told = sequence;
}

static const struct tr_option options[] = {
    { .name = "workers", .type = TR_OPTION_INT, .value = "3", .min = 1, .max = 64 },
    { .name = "group_rows", .type = TR_OPTION_INT, .value = "2000", .min = 1, .max = 100000 },
    { .name = NULL },
};

static int
setup(void **state)
{
    struct database *db = tr_calloc(1, sizeof *db);
    db->settings = tr_settings_new();
    assert_int_equal(tr_settings_add_table(db->settings, options, &db->error), 0);
    tr_log_init(&db->log, 2, TR_LOG_ERROR, TR_LOG_TEXT, "test");
    db->env = (struct tr_sink_env){ .task = "test",
                                    .settings = db->settings,
                                    .log = &db->log,
                                    .memory = 64 << 20,
                                    .wake_fd = -1,
                                    .arg = db,
                                    .durable = on_durable };
    assert_int_equal(
        tr_sql_apply_open(&db->apply, &db->env, &driver, db->workers, sizeof *db->workers, &db->error), 0);
    *state = db;
    return 0;
}

static int
teardown(void **state)
{
    struct database *db = *state;
    tr_sql_apply_fini(&db->apply);
    tr_settings_free(db->settings);
    free(db);
    return 0;
}

/* A transaction that makes a group of its own. */
static int
write_group(struct database *db)
{
    struct tr_batch *batch = tr_batch_new();
    for (int i = 0; i < 2000; i++)
        sample_event(batch, TR_INSERT, NULL, NULL, NULL);
    batch->checkpoint = "1";
    batch->sequence = ++db->sequence;
    return tr_sql_apply_write(&db->apply, batch, &db->error);
}

static void
script(struct database *db, int group, const char *outcomes)
{
    snprintf(db->script[group], sizeof db->script[group], "%s", outcomes);
}

/* From now on the group's runs come to this. */
static void
go_on(struct database *db, int group, const char *outcomes)
{
    script(db, group, outcomes);
    assert_int_equal(tr_sql_apply_poll(&db->apply, 0, &db->error), 0);
}

static void
test_groups_commit_in_the_source_s_order(void **state)
{
    struct database *db = *state;
    script(db, 1, "w");
    assert_int_equal(write_group(db), 0);
    assert_int_equal(write_group(db), 0);
    assert_string_equal(db->journal, "plan 1, plan 2");
    assert_int_equal(db->workers[1].state, TR_SQL_READY); /* it is done, and waits for its turn */
    go_on(db, 1, "");
    assert_string_equal(db->journal, "plan 1, plan 2, commit 1, commit 2");
    assert_int_equal(db->apply.counts.rows, 4000);
    assert_null(db->apply.head);
}

static void
test_what_fails_before_its_turn_runs_again(void **state)
{
    struct database *db = *state;
    script(db, 1, "w");
    script(db, 2, "c");
    assert_int_equal(write_group(db), 0);
    assert_int_equal(write_group(db), 0);
    assert_int_equal(db->workers[1].state, TR_SQL_AGAIN);
    go_on(db, 1, "");
    assert_string_equal(db->journal, "plan 1, plan 2, commit 1, commit 2");
    assert_int_equal(db->apply.counts.early, 1);
    assert_int_equal(db->apply.counts.careful, 0);
}

static void
test_a_conflict_of_the_head_goes_one_by_one(void **state)
{
    struct database *db = *state;
    script(db, 1, "w");
    assert_int_equal(write_group(db), 0);
    assert_int_equal(write_group(db), 0);
    go_on(db, 1, "c");
    assert_string_equal(db->journal, "plan 1, plan 2, yield 2, one by one 1, commit 2");
    assert_int_equal(db->apply.counts.careful, 1);
    assert_int_equal(db->apply.counts.early, 0); /* it was asked to */
}

static void
test_a_deadlock_of_the_head_passes(void **state)
{
    struct database *db = *state;
    script(db, 1, "ddd");
    assert_int_equal(write_group(db), 0);
    assert_string_equal(db->journal, "plan 1, commit 1");
    script(db, 2, "dddddddddddddddddddddd"); /* once too often: then it counts as a conflict */
    assert_int_equal(write_group(db), 0);
    assert_string_equal(db->journal, "plan 1, commit 1, plan 2, one by one 2");
}

static void
test_the_task_hears_of_what_is_on_disk_alone(void **state)
{
    struct database *db = *state;
    assert_int_equal(write_group(db), 0);
    assert_int_equal(write_group(db), 0);
    assert_int_equal(db->apply.committed, 2);
    assert_int_equal(db->told, 0);
    db->flushed = 1;
    assert_int_equal(tr_sql_apply_poll(&db->apply, 0, &db->error), 0);
    assert_int_equal(db->told, 1);
    assert_false(db->forced);
    assert_int_equal(tr_sql_apply_flush(&db->apply, INT64_MAX, &db->error), 0);
    assert_true(db->forced);
    assert_int_equal(db->told, 2);
}

static void
test_a_stop_waits_for_nobody(void **state)
{
    struct database *db = *state;
    script(db, 1, "w");
    assert_int_equal(write_group(db), 0);
    db->stops = true;
    assert_int_equal(tr_sql_apply_flush(&db->apply, INT64_MAX, &db->error), -TR_RETRY);
    assert_non_null(strstr(db->error.text, "did not take the last changes in time"));
    for (int i = 0; i < 12; i++)
        assert_int_equal(write_group(db), 0);  /* full, and no one to take it */
    assert_int_equal(db->apply.next_group, 2); /* no connection is opened any more */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_groups_commit_in_the_source_s_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_fails_before_its_turn_runs_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_conflict_of_the_head_goes_one_by_one, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_deadlock_of_the_head_passes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_task_hears_of_what_is_on_disk_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_stop_waits_for_nobody, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
