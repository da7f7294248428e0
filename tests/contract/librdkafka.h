/*
 * librdkafka.h - test programs that run librdkafka's threads.
 *
 * They are not instrumented: the thread sanitizer cannot follow them, reports what is none or crashes. Under it such a program skips all of its tests.
 */
#ifndef TR_TESTS_LIBRDKAFKA_H
#define TR_TESTS_LIBRDKAFKA_H

#ifdef __SANITIZE_THREAD__
#define THREAD_SANITIZER 1
#else
#define THREAD_SANITIZER 0
#endif

static inline void
not_under_the_thread_sanitizer(void **state)
{
    (void)state;
    print_message(
        "skip: librdkafka's threads are not instrumented, the thread sanitizer cannot follow them\n");
    skip();
}

/* In place of cmocka_run_group_tests(tests, NULL, NULL), as a whole program. */
#define RUN_WITH_LIBRDKAFKA(tests)                                                              \
    do {                                                                                        \
        const struct CMUnitTest none_[] = { cmocka_unit_test(not_under_the_thread_sanitizer) }; \
        return THREAD_SANITIZER ? cmocka_run_group_tests(none_, NULL, NULL)                     \
                                : cmocka_run_group_tests(tests, NULL, NULL);                    \
    } while (0)

#endif
