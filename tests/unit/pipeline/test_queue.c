/* test_queue.c - order, the bound on bytes, and the wake-up. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pipeline/queue.h"

static bool
is_readable(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    return poll(&p, 1, 0) == 1;
}

static void
batches_leave_in_order_and_are_charged_until_freed(void **state)
{
    (void)state;
    struct tr_queue queue;
    assert_int_equal(tr_queue_init(&queue, 100), 0);
    struct tr_batch *a = tr_batch_new(), *b = tr_batch_new();
    assert_true(tr_queue_has_room(&queue));
    tr_queue_push(&queue, a);
    tr_queue_push(&queue, b);
    assert_false(tr_queue_has_room(&queue));
    assert_ptr_equal(tr_queue_pop(&queue), a);
    assert_ptr_equal(tr_queue_pop(&queue), b);
    assert_false(tr_queue_has_room(&queue)); /* popped, but the sink still holds them */
    tr_batch_free(a);
    tr_batch_free(b);
    assert_true(tr_queue_has_room(&queue));
    tr_queue_fini(&queue);
}

static void
only_a_waiting_consumer_is_woken(void **state)
{
    (void)state;
    struct tr_queue queue;
    assert_int_equal(tr_queue_init(&queue, 1 << 20), 0);
    tr_queue_push(&queue, tr_batch_new());
    assert_false(is_readable(queue.wake_fd));
    tr_batch_free(tr_queue_pop(&queue));
    assert_null(tr_queue_pop(&queue));
    tr_queue_push(&queue, tr_batch_new());
    assert_true(is_readable(queue.wake_fd));
    tr_queue_drain_wake(&queue);
    assert_false(is_readable(queue.wake_fd));
    tr_queue_fini(&queue); /* frees what is left */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_leave_in_order_and_are_charged_until_freed),
        cmocka_unit_test(only_a_waiting_consumer_is_woken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
