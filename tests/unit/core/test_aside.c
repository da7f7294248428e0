/* test_aside.c - a call in a thread of its own is waited for, or left behind and cleared away by itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/aside.h"

struct job {
    int gate; /* the work reads it: that blocks until something is written */
    int gone; /* the discarding writes it */
    uint64_t answer;
};

static void
work(void *arg)
{
    struct job *job = arg;
    eventfd_read(job->gate, &job->answer);
}

static void
discard(void *arg)
{
    struct job *job = arg;
    eventfd_write(job->gone, job->answer);
    free(job);
}

static struct job *
new_job(int gate, int gone)
{
    struct job *job = calloc(1, sizeof *job);
    assert_non_null(job);
    *job = (struct job){ .gate = gate, .gone = gone };
    return job;
}

static void
what_ends_is_the_callers(void **state)
{
    struct tr_error err;
    int gate = eventfd(7, 0);
    struct job *job = new_job(gate, -1);
    (void)state;
    assert_int_equal(tr_aside_run(&(struct tr_aside){ job, work, discard }, -1, -1, &err), 1);
    assert_int_equal(job->answer, 7);
    free(job);
    close(gate);
}

/* Whoever leaves takes nothing along: the work ends later, and what it had is freed by its own thread. */
static void
leave(int interrupt_fd, int64_t wait_us, int expected)
{
    struct tr_error err;
    eventfd_t answer = 0;
    int gate = eventfd(0, 0), gone = eventfd(0, 0);
    struct job *job = new_job(gate, gone);
    assert_int_equal(tr_aside_run(&(struct tr_aside){ job, work, discard }, interrupt_fd, wait_us, &err),
                     expected);
    eventfd_write(gate, 9);
    assert_int_equal(eventfd_read(gone, &answer), 0);
    assert_int_equal(answer, 9);
    close(gate);
    close(gone);
}

static void
an_interrupt_leaves_it_behind(void **state)
{
    int interrupt = eventfd(1, 0);
    (void)state;
    leave(interrupt, -1, -TR_RETRY);
    close(interrupt);
}

static void
so_does_the_end_of_the_time(void **state)
{
    (void)state;
    leave(-1, 1000, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_ends_is_the_callers),
        cmocka_unit_test(an_interrupt_leaves_it_behind),
        cmocka_unit_test(so_does_the_end_of_the_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
