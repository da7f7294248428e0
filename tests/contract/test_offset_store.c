/*
 * test_offset_store.c - the contract that every offset store passes. A new store adds a row to `stores`.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/memory.h"
#include "offsets/offset_store.h"
#include "offsets/kafka/kafka.h"
#include "offsets/sqlite/sqlite.h"
#include "tests/contract/scratch.h"

struct fixture {
    const struct tr_offset_store_class *class;
    struct scratch scratch;
    rd_kafka_t *host; /* of the mock brokers */
    rd_kafka_mock_cluster_t *mock;
    char where[300];
    struct tr_offset_store *store;
    _Atomic int64_t end_us;
    struct tr_error err;
};

/* ---------------------------------------------------------------- a place for each of the stores */

static void
in_a_directory(struct fixture *fx)
{
    scratch_make(&fx->scratch);
    snprintf(fx->where, sizeof(fx->where), "%s", fx->scratch.dir);
}

/* librdkafka's own, in this process; the topic is made beforehand, for they do not know that request. */
static void
at_mock_brokers(struct fixture *fx)
{
    char why[256];
    fx->host = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), why, sizeof(why));
    assert_non_null(fx->host);
    fx->mock = rd_kafka_mock_cluster_new(fx->host, 1);
    assert_int_equal(rd_kafka_mock_topic_create(fx->mock, "offsets", 1, 1), RD_KAFKA_RESP_ERR_NO_ERROR);
    snprintf(fx->where, sizeof(fx->where), "kafka://%s/offsets", rd_kafka_mock_cluster_bootstraps(fx->mock));
}

struct store {
    const struct tr_offset_store_class *class;
    void (*place)(struct fixture *fx);
};

static const struct store stores[] = {
    { &tr_sqlite_store, in_a_directory },
    { &tr_kafka_store, at_mock_brokers },
};

static int
setup(void **state)
{
    struct fixture *fx = tr_calloc(1, sizeof(*fx));
    const struct store *store = *state;
    fx->class = store->class;
    store->place(fx);
    *state = fx;
    return fx->class->open(fx->where, "shop", &fx->end_us, &fx->store, &fx->err);
}

static int
teardown(void **state)
{
    struct fixture *fx = *state;
    fx->class->close(fx->store);
    if (fx->scratch.dir[0] != '\0')
        scratch_remove(&fx->scratch);
    if (fx->mock != NULL)
        rd_kafka_mock_cluster_destroy(fx->mock);
    if (fx->host != NULL)
        rd_kafka_destroy(fx->host);
    free(fx);
    return 0;
}

static void
reopen(struct fixture *fx)
{
    fx->class->close(fx->store);
    assert_int_equal(fx->class->open(fx->where, "shop", NULL, &fx->store, &fx->err), 0);
}

static void
save_sample(struct fixture *fx)
{
    struct tr_checkpoint cp = { .position = tr_strdup("0/1A2B3C4"),
                                .identity = tr_strdup("system=7"),
                                .phase = tr_strdup("load") };
    tr_checkpoint_set_table(&cp, "public.a", "0/10", true);
    tr_checkpoint_set_table(&cp, "public.b", NULL, false);
    assert_int_equal(fx->class->save(fx->store, &cp, &fx->err), 0);
    tr_checkpoint_fini(&cp);
}

static struct tr_checkpoint
load(struct fixture *fx)
{
    struct tr_checkpoint cp;
    assert_int_equal(fx->class->load(fx->store, &cp, &fx->err), 0);
    return cp;
}

static void
a_new_store_is_empty(void **state)
{
    struct fixture *fx = *state;
    struct tr_checkpoint cp = load(fx);
    assert_null(cp.position);
    assert_null(cp.identity);
    assert_int_equal(cp.ntables, 0);
    tr_checkpoint_fini(&cp);
}

static void
what_was_saved_is_loaded(void **state)
{
    struct fixture *fx = *state;
    save_sample(fx);
    for (int again = 0; again < 2; again++) {
        struct tr_checkpoint cp = load(fx);
        assert_string_equal(cp.position, "0/1A2B3C4");
        assert_string_equal(cp.identity, "system=7");
        assert_string_equal(cp.phase, "load");
        assert_null(cp.sink_state);
        assert_int_equal(cp.ntables, 2);
        assert_true(tr_checkpoint_table(&cp, "public.a")->done);
        assert_string_equal(tr_checkpoint_table(&cp, "public.a")->position, "0/10");
        assert_false(tr_checkpoint_table(&cp, "public.b")->done);
        assert_null(tr_checkpoint_table(&cp, "public.b")->position);
        tr_checkpoint_fini(&cp);
        reopen(fx);
    }
}

static void
save_replaces_all_of_it(void **state)
{
    struct fixture *fx = *state;
    save_sample(fx);
    struct tr_checkpoint cp = { .phase = tr_strdup("stream") };
    tr_checkpoint_set_table(&cp, "public.b", "0/20", true);
    assert_int_equal(fx->class->save(fx->store, &cp, &fx->err), 0);
    tr_checkpoint_fini(&cp);
    reopen(fx);
    cp = load(fx);
    assert_null(cp.position);
    assert_null(cp.identity);
    assert_string_equal(cp.phase, "stream");
    assert_int_equal(cp.ntables, 1);
    assert_string_equal(tr_checkpoint_table(&cp, "public.b")->position, "0/20");
    tr_checkpoint_fini(&cp);
}

static void
a_table_is_added_and_another_finished(void **state)
{
    struct fixture *fx = *state;
    save_sample(fx);
    struct tr_checkpoint cp = load(fx);
    tr_checkpoint_set_table(&cp, "public.b", "0/30", true);
    tr_checkpoint_set_table(&cp, "public.c", "0/40", false);
    assert_int_equal(fx->class->save(fx->store, &cp, &fx->err), 0);
    tr_checkpoint_fini(&cp);
    reopen(fx);
    cp = load(fx);
    assert_int_equal(cp.ntables, 3);
    assert_string_equal(tr_checkpoint_table(&cp, "public.a")->position, "0/10");
    assert_true(tr_checkpoint_table(&cp, "public.b")->done);
    assert_string_equal(tr_checkpoint_table(&cp, "public.c")->position, "0/40");
    tr_checkpoint_fini(&cp);
}

static void
save_position_keeps_the_rest(void **state)
{
    struct fixture *fx = *state;
    save_sample(fx);
    assert_int_equal(fx->class->save_position(fx->store, "0/99", "file=a;length=7", &fx->err), 0);
    reopen(fx);
    struct tr_checkpoint cp = load(fx);
    assert_string_equal(cp.position, "0/99");
    assert_string_equal(cp.sink_state, "file=a;length=7");
    assert_string_equal(cp.identity, "system=7");
    assert_int_equal(cp.ntables, 2);
    tr_checkpoint_fini(&cp);
}

/* The child dies without closing anything right after save_position returned. */
static void
a_saved_position_survives_a_kill(void **state)
{
    struct fixture *fx = *state;
    save_sample(fx);
    fx->class->close(fx->store);
    fx->store = NULL;
    pid_t pid = fork();
    if (pid == 0) {
        struct tr_error err;
        int bad = fx->class->open(fx->where, "shop", NULL, &fx->store, &err);
        char position[32];
        for (int i = 1; bad == 0 && i <= 300; i++) {
            snprintf(position, sizeof(position), "0/%X", i);
            bad = fx->class->save_position(fx->store, position, NULL, &err);
        }
        _exit(bad != 0);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(fx->class->open(fx->where, "shop", NULL, &fx->store, &fx->err), 0);
    struct tr_checkpoint cp = load(fx);
    assert_string_equal(cp.position, "0/12C");
    tr_checkpoint_fini(&cp);
}

static void
a_second_owner_is_refused(void **state)
{
    struct fixture *fx = *state;
    struct tr_offset_store *second = NULL;
    assert_int_equal(fx->class->open(fx->where, "shop", NULL, &second, &fx->err), -TR_REFUSED);
    assert_null(second);
    assert_true(fx->err.hint[0] != '\0');
}

static void
tasks_do_not_see_each_other(void **state)
{
    struct fixture *fx = *state;
    static const char *const names[] = { "shop2", "Shop", "sh/op", "sh%2Fop", ".shop", "shöp" };
    save_sample(fx);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct tr_offset_store *other;
        struct tr_checkpoint cp = { .position = (char *)names[i] };
        assert_int_equal(fx->class->open(fx->where, names[i], NULL, &other, &fx->err), 0);
        assert_int_equal(fx->class->save(other, &cp, &fx->err), 0);
        fx->class->close(other);
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct tr_offset_store *other;
        struct tr_checkpoint cp;
        assert_int_equal(fx->class->open(fx->where, names[i], NULL, &other, &fx->err), 0);
        assert_int_equal(fx->class->load(other, &cp, &fx->err), 0);
        assert_string_equal(cp.position, names[i]);
        tr_checkpoint_fini(&cp);
        fx->class->close(other);
    }
}

static void
ten_thousand_tables_are_kept(void **state)
{
    struct fixture *fx = *state;
    struct tr_checkpoint cp = { .position = tr_strdup("0/1") };
    char name[32];
    for (int i = 0; i < 10000; i++) {
        snprintf(name, sizeof(name), "public.t%d", i);
        tr_checkpoint_set_table(&cp, name, "0/1", i % 2 == 0);
    }
    assert_int_equal(fx->class->save(fx->store, &cp, &fx->err), 0);
    tr_checkpoint_fini(&cp);
    reopen(fx);
    cp = load(fx);
    assert_int_equal(cp.ntables, 10000);
    assert_false(tr_checkpoint_table(&cp, "public.t9999")->done);
    assert_true(tr_checkpoint_table(&cp, "public.t9998")->done);
    tr_checkpoint_fini(&cp);
}

static void
a_dropped_task_is_forgotten(void **state)
{
    struct fixture *fx = *state;
    save_sample(fx);
    assert_int_equal(fx->class->drop(fx->store, &fx->err), 0);
    assert_int_equal(fx->class->save_position(fx->store, "0/1", NULL, &fx->err), -TR_FATAL);
    reopen(fx);
    struct tr_checkpoint cp = load(fx);
    assert_null(cp.position);
    assert_int_equal(cp.ntables, 0);
    tr_checkpoint_fini(&cp);
}

/* Servers that have gone hold nobody up who is told to end, neither in what it saves nor in what it gives back. */
static void
an_end_is_not_held_up(void **state)
{
    struct fixture *fx = *state;
    save_sample(fx);
    int64_t began_us = tr_clock_us();
    fx->end_us = began_us + 200000;
    if (fx->mock != NULL) {
        rd_kafka_mock_broker_set_down(fx->mock, 1);
        assert_int_equal(fx->class->save_position(fx->store, "0/2", NULL, &fx->err), -TR_RETRY);
        assert_int_equal(fx->class->save_position(fx->store, "0/2", NULL, &fx->err), -TR_RETRY);
    }
    fx->class->close(fx->store);
    fx->store = NULL;
    assert_true(tr_clock_us() - began_us < 1500000);
}

#define CASE(f) \
    {           \
#f, f   \
    }
static const struct {
    const char *name;
    CMUnitTestFunction function;
} cases[] = {
    CASE(a_new_store_is_empty),         CASE(what_was_saved_is_loaded),
    CASE(save_replaces_all_of_it),      CASE(a_table_is_added_and_another_finished),
    CASE(save_position_keeps_the_rest), CASE(a_saved_position_survives_a_kill),
    CASE(a_second_owner_is_refused),    CASE(tasks_do_not_see_each_other),
    CASE(ten_thousand_tables_are_kept), CASE(a_dropped_task_is_forgotten),
    CASE(an_end_is_not_held_up),
};

#if defined(__SANITIZE_THREAD__)
#define UNWATCHED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNWATCHED 1
#endif
#endif
#ifndef UNWATCHED
#define UNWATCHED 0
#endif

/* librdkafka's threads are not instrumented: the thread sanitizer cannot follow them, so the last store is left out there. */
#define NCASES (sizeof(cases) / sizeof(cases[0]))
#define NSTORES (sizeof(stores) / sizeof(stores[0]) - UNWATCHED)

int
main(void)
{
    struct CMUnitTest tests[NCASES * NSTORES];
    char names[NCASES * NSTORES][96];
    for (size_t i = 0; i < NCASES * NSTORES; i++) {
        const struct store *store = &stores[i / NCASES];
        snprintf(names[i], sizeof(names[i]), "%s_%s", store->class->name, cases[i % NCASES].name);
        tests[i] = (struct CMUnitTest){ names[i], cases[i % NCASES].function, setup, teardown,
                                        (void *)store };
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
