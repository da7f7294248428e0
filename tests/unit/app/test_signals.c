/* test_signals.c - the first signal asks, the second ends the process. Each case in a child of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/signals.h"

struct fds {
    int to_parent, from_parent;
};

static void
tell(void *arg, int signal)
{
    const struct fds *fds = arg;
    char c = (char)signal;
    if (write(fds->to_parent, &c, 1) != 1)
        _exit(77);
    /* Hang, as a log line on a stopped terminal would; until the parent has its say. */
    if (read(fds->from_parent, &c, 1) < 0)
        _exit(78);
}

/* A child that waits for signals and ends with 5 when the parent lets go. */
static pid_t
start_child(int *told, int *release)
{
    int up[2], down[2];
    assert_int_equal(pipe(up), 0);
    assert_int_equal(pipe(down), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct fds fds = { up[1], down[0] };
        struct tr_signals *signals;
        struct tr_error err;
        char c = 'r';
        close(down[1]);
        tr_signals_block();
        if (tr_signals_start(tell, &fds, &signals, &err) < 0 || write(up[1], &c, 1) != 1)
            _exit(79);
        while (read(down[0], &c, 1) > 0)
            ;
        tr_signals_end(signals);
        _exit(5);
    }
    close(up[1]);
    close(down[0]);
    *told = up[0];
    *release = down[1];
    char c = 0;
    assert_int_equal(read(*told, &c, 1), 1);
    assert_int_equal(c, 'r');
    return pid;
}

static int
status_of(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void
test_first_signal_asks(void **state)
{
    int told, release;
    char c;
    (void)state;
    pid_t pid = start_child(&told, &release);
    kill(pid, SIGINT);
    assert_int_equal(read(told, &c, 1), 1);
    assert_int_equal(c, SIGINT);
    close(release);
    assert_int_equal(status_of(pid), 5);
    close(told);
}

static void
test_second_signal_ends(void **state)
{
    int told, release;
    char c;
    (void)state;
    pid_t pid = start_child(&told, &release);
    kill(pid, SIGTERM);
    assert_int_equal(read(told, &c, 1), 1);
    kill(pid, SIGTERM);
    assert_int_equal(status_of(pid), 1);
    close(told);
    close(release);
}

/* nohup: the shell that started us may end. */
static void
test_ignored_hangup(void **state)
{
    int told, release;
    char c;
    (void)state;
    signal(SIGHUP, SIG_IGN);
    pid_t pid = start_child(&told, &release);
    signal(SIGHUP, SIG_DFL);
    kill(pid, SIGHUP);
    kill(pid, SIGUSR1);
    kill(pid, SIGUSR2);
    kill(pid, SIGTERM);
    assert_int_equal(read(told, &c, 1), 1);
    assert_int_equal(c, SIGTERM);
    kill(pid, SIGHUP);
    close(release);
    assert_int_equal(status_of(pid), 5);
    close(told);
}

static void
test_no_signal(void **state)
{
    int told, release;
    (void)state;
    pid_t pid = start_child(&told, &release);
    close(release);
    assert_int_equal(status_of(pid), 5);
    close(told);
}

int
main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_first_signal_asks),
                                        cmocka_unit_test(test_second_signal_ends),
                                        cmocka_unit_test(test_ignored_hangup),
                                        cmocka_unit_test(test_no_signal) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
