/*
 * test_sink.c - the contract that every sink passes, as far as it needs no server: a new one adds a row to `sinks`. Then what is particular to the
 * file sink: exactly once over kills, by its state in the offset store.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zstd.h>

#include "core/clock.h"
#include "core/memory.h"
#include "encoders/debezium/debezium.h"
#include "sinks/jsonl/jsonl.h"
#include "sinks/null/null.h"
#include "tests/contract/scratch.h"
#include "tests/unit/encoders/sample.h"

static const struct tr_option target_option[] = {
    { .name = "target", .section = "target", .type = TR_OPTION_STRING },
    { .name = NULL },
};

struct fixture {
    const struct tr_sink_class *class;
    struct scratch scratch;
    struct tr_settings *settings;
    struct tr_sink_env env;
    struct tr_sink *sink;
    struct tr_relation *relation;
    struct tr_error err;
    int real_stdout, pipe[2];
    uint64_t sequence; /* of the last batch made */
    uint64_t durable;  /* as the sink said */
    char *state;       /* the last one told */
    unsigned reports;
};

static void
on_durable(void *arg, uint64_t sequence, const char *sink_state)
{
    struct fixture *fx = arg;
    assert_true(sequence > fx->durable);
    assert_true(sequence <= fx->sequence);
    fx->durable = sequence;
    fx->reports++;
    free(fx->state);
    fx->state = tr_strdup(sink_state);
}

static void
on_misfit(void *arg, uint64_t count)
{
    (void)arg;
    (void)count;
}

static void
on_conflict(void *arg, const char *table, const char *what)
{
    (void)arg;
    fail_msg("no conflict is possible here: %s %s", table, what);
}

static void
set(struct fixture *fx, const char *name, const char *value)
{
    assert_int_equal(tr_settings_set(fx->settings, "target", name, value, false, "test", &fx->err), 0);
}

static void
open_sink(struct fixture *fx, const char *state)
{
    int rc = fx->class->open(&fx->env, &fx->sink, &fx->err);
    if (rc == 0 && fx->class->capabilities & TR_SINK_STATE_IN_STORE)
        rc = fx->class->resume(fx->sink, state, &fx->err);
    if (rc < 0)
        print_error("%s\n", fx->err.text);
    assert_int_equal(rc, 0);
}

static void
close_sink(struct fixture *fx)
{
    fx->class->close(fx->sink);
    fx->sink = NULL;
}

static int
setup(void **state)
{
    struct fixture *fx = tr_calloc(1, sizeof(*fx));
    fx->class = *state;
    *state = fx;
    scratch_make(&fx->scratch);
    fx->settings = tr_settings_new();
    assert_int_equal(tr_settings_add_table(fx->settings, target_option, &fx->err), 0);
    assert_int_equal(tr_settings_add_table(fx->settings, fx->class->options, &fx->err), 0);
    if (fx->class->capabilities & TR_SINK_ENCODES)
        assert_int_equal(tr_settings_add_table(fx->settings, tr_debezium_json_encoder.options, &fx->err), 0);
    char *url = tr_asprintf("file://%s/out", fx->scratch.dir);
    set(fx, "target", url);
    free(url);
    fx->env = (struct tr_sink_env){ .task = "shop",
                                    .settings = fx->settings,
                                    .source_name = "postgresql",
                                    .source_dialect = "postgresql",
                                    .source_database = "shop",
                                    .encoder = &tr_debezium_json_encoder,
                                    .memory = 1 << 20,
                                    .wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
                                    .arg = fx,
                                    .durable = on_durable,
                                    .conflict = on_conflict,
                                    .misfit = on_misfit };
    fx->relation = sample_relation(1, "public", "t", 2, (const char *[]){ "id:int32:k", "note:text" });
    fx->real_stdout = -1;
    if (fx->class == &tr_stdout_sink) {
        fflush(stdout);
        fx->real_stdout = dup(STDOUT_FILENO);
        assert_int_equal(pipe2(fx->pipe, O_CLOEXEC), 0);
        assert_int_equal(dup2(fx->pipe[1], STDOUT_FILENO), STDOUT_FILENO);
    }
    return 0;
}

static void
restore_stdout(struct fixture *fx)
{
    if (fx->real_stdout < 0)
        return;
    dup2(fx->real_stdout, STDOUT_FILENO);
    close(fx->real_stdout);
    close(fx->pipe[0]);
    close(fx->pipe[1]);
    fx->real_stdout = -1;
}

static int
teardown(void **state)
{
    struct fixture *fx = *state;
    fx->class->close(fx->sink);
    restore_stdout(fx);
    close(fx->env.wake_fd);
    tr_relation_unref(fx->relation);
    tr_settings_free(fx->settings);
    scratch_remove(&fx->scratch);
    free(fx->state);
    free(fx);
    return 0;
}

/* One transaction with `rows` inserts; ids count on from *next. checkpoint false: a slice that ends inside its transaction. */
static struct tr_batch *
make_batch(struct fixture *fx, int *next, int rows, bool checkpoint)
{
    struct tr_batch *batch = tr_batch_new();
    struct tr_txn *txn = sample_txn(batch);
    txn->ends = checkpoint;
    for (int i = 0; i < rows; i++) {
        char id[16], note[64];
        snprintf(id, sizeof(id), "%d", ++*next);
        snprintf(note, sizeof(note), "a row like any other, number %d", *next);
        sample_event(batch, TR_INSERT, fx->relation, NULL,
                     sample_row(batch, 2, (const char *[]){ id, note }));
    }
    batch->sequence = ++fx->sequence;
    if (checkpoint)
        batch->checkpoint = "0/800";
    return batch;
}

static void
write_batch(struct fixture *fx, int *next, int rows, bool checkpoint)
{
    int rc = fx->class->write(fx->sink, make_batch(fx, next, rows, checkpoint), &fx->err);
    if (rc < 0)
        print_error("%s\n", fx->err.text);
    assert_int_equal(rc, 0);
}

static int64_t
deadline(void)
{
    return tr_clock_us() + 5 * TR_US_PER_S;
}

/* --------------------------------------------------------------------------------- every sink */

static void
what_was_flushed_is_durable(void **state)
{
    struct fixture *fx = *state;
    int next = 0;
    open_sink(fx, "");
    for (int i = 0; i < 3; i++)
        write_batch(fx, &next, 10, true);
    assert_int_equal(fx->class->flush(fx->sink, deadline(), &fx->err), 0);
    assert_int_equal(fx->durable, 3);
    write_batch(fx, &next, 1, true);
    assert_int_equal(fx->class->poll(fx->sink, 0, &fx->err), 0);
    assert_int_equal(fx->durable, 4);
}

static void
an_empty_batch_moves_the_checkpoint(void **state)
{
    struct fixture *fx = *state;
    open_sink(fx, "");
    struct tr_batch *batch = tr_batch_new();
    batch->sequence = ++fx->sequence;
    batch->checkpoint = "0/900";
    assert_int_equal(fx->class->write(fx->sink, batch, &fx->err), 0);
    assert_int_equal(fx->class->flush(fx->sink, deadline(), &fx->err), 0);
    assert_int_equal(fx->durable, 1);
}

static void
poll_returns_when_woken(void **state)
{
    struct fixture *fx = *state;
    open_sink(fx, "");
    uint64_t one = 1;
    assert_int_equal(write(fx->env.wake_fd, &one, sizeof(one)), sizeof(one));
    int64_t before = tr_clock_us();
    assert_int_equal(fx->class->poll(fx->sink, 60 * TR_US_PER_S, &fx->err), 0);
    assert_true(tr_clock_us() - before < 30 * TR_US_PER_S);
}

static void
closing_with_work_in_flight_says_nothing_more(void **state)
{
    struct fixture *fx = *state;
    int next = 0;
    open_sink(fx, "");
    write_batch(fx, &next, 1, true);
    uint64_t durable = fx->durable;
    close_sink(fx);
    assert_int_equal(fx->durable, durable);
}

/* -------------------------------------------------------------------------------- stdout only */

static void
a_reader_that_stalls_blocks_nothing(void **state)
{
    struct fixture *fx = *state;
    if (fx->class != &tr_stdout_sink)
        return;
    int next = 0;
    open_sink(fx, "");
    for (int i = 0; i < 20; i++)
        write_batch(fx, &next, 500, true);
    assert_true(fx->durable < 20);
    assert_int_equal(fx->class->flush(fx->sink, tr_clock_us() + 10000, &fx->err), -TR_RETRY);
    char *piece = tr_malloc(1 << 20);
    size_t lines = 0;
    while (fx->durable < 20) {
        ssize_t n = read(fx->pipe[0], piece, 1 << 20);
        assert_true(n > 0);
        for (ssize_t k = 0; k < n; k++)
            lines += piece[k] == '\n';
        assert_int_equal(fx->class->poll(fx->sink, 0, &fx->err), 0);
    }
    fcntl(fx->pipe[0], F_SETFL, O_NONBLOCK);
    for (ssize_t n; (n = read(fx->pipe[0], piece, 1 << 20)) > 0;)
        for (ssize_t k = 0; k < n; k++)
            lines += piece[k] == '\n';
    assert_int_equal(lines, 10000);
    free(piece);
}

static void
a_reader_that_left_is_a_clear_error(void **state)
{
    struct fixture *fx = *state;
    if (fx->class != &tr_stdout_sink)
        return;
    int next = 0;
    signal(SIGPIPE, SIG_IGN);
    open_sink(fx, "");
    close(fx->pipe[0]);
    fx->pipe[0] = -1;
    assert_int_equal(fx->class->write(fx->sink, make_batch(fx, &next, 1, true), &fx->err), -TR_FATAL);
    assert_non_null(strstr(fx->err.text, "reader has gone"));
}

/* ---------------------------------------------------------------------------------- file only */

/* All lines of all files in order, as one text; compressed files are unpacked. */
static char *
read_out(struct fixture *fx)
{
    struct tr_buffer all;
    tr_buffer_init(&all, 1 << 28);
    for (unsigned n = 1; n < 1000; n++) {
        char name[64];
        size_t len;
        snprintf(name, sizeof(name), "out/shop-%06u.jsonl", n);
        char *text = scratch_read(scratch_path(&fx->scratch, name), &len);
        if (text != NULL)
            tr_buffer_add(&all, text, len);
        free(text);
        snprintf(name, sizeof(name), "out/shop-%06u.jsonl.zst", n);
        text = scratch_read(scratch_path(&fx->scratch, name), &len);
        for (size_t at = 0; text != NULL && at < len;) {
            size_t frame = ZSTD_findFrameCompressedSize(text + at, len - at), room = 1 << 24;
            assert_false(ZSTD_isError(frame));
            char *to = tr_buffer_reserve(&all, room);
            size_t got = ZSTD_decompress(to, room, text + at, frame);
            assert_false(ZSTD_isError(got));
            all.len += got;
            at += frame;
        }
        free(text);
    }
    char *copy = tr_strndup(all.len > 0 ? all.data : "", all.len);
    tr_buffer_fini(&all);
    return copy;
}

/* Exactly the ids 1..last, each in one whole line, in order. */
static void
assert_rows(struct fixture *fx, int last)
{
    char *text = read_out(fx), *at = text;
    for (int id = 1; id <= last; id++) {
        char start[96];
        snprintf(
            start, sizeof(start),
            "{\"topic\":\"shop.public.t\",\"key\":{\"id\":%d},\"value\":{\"before\":null,\"after\":{\"id\":%d,",
            id, id);
        if (strncmp(at, start, strlen(start)) != 0)
            fail_msg("row %d of %d: %.120s", id, last, at);
        at = strchr(at, '\n') + 1;
        assert_true(at[-2] == '}');
    }
    assert_string_equal(at, "");
    free(text);
}

static void
a_restart_cuts_back_to_the_checkpoint(void **state)
{
    struct fixture *fx = *state;
    int next = 0;
    open_sink(fx, "");
    write_batch(fx, &next, 100, true);
    assert_int_equal(fx->class->flush(fx->sink, deadline(), &fx->err), 0);
    char *saved = tr_strdup(fx->state);
    write_batch(fx, &next, 50, true);  /* durable, but its checkpoint was not saved */
    write_batch(fx, &next, 50, false); /* half a transaction */
    close_sink(fx);
    next = 100;
    open_sink(fx, saved);
    free(saved);
    write_batch(fx, &next, 70, true);
    assert_int_equal(fx->class->flush(fx->sink, deadline(), &fx->err), 0);
    assert_rows(fx, 170);
}

static void
rotated_files_hold_whole_checkpoints(void **state)
{
    struct fixture *fx = *state;
    int next = 0;
    set(fx, "rotate", "64KiB");
    open_sink(fx, "");
    char *saved = NULL;
    for (int i = 0; i < 20; i++) {
        write_batch(fx, &next, 100, true);
        if (i == 9) {
            assert_int_equal(fx->class->flush(fx->sink, deadline(), &fx->err), 0);
            saved = tr_strdup(fx->state);
        }
    }
    close_sink(fx);
    next = 1000; /* the files written behind the checkpoint must go */
    open_sink(fx, saved);
    free(saved);
    write_batch(fx, &next, 10, true);
    assert_int_equal(fx->class->flush(fx->sink, deadline(), &fx->err), 0);
    struct stat st;
    assert_int_equal(stat(scratch_path(&fx->scratch, "out/shop-000002.jsonl"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_rows(fx, 1010);
}

static void
compressed_files_are_cut_at_frames(void **state)
{
    struct fixture *fx = *state;
    int next = 0;
    set(fx, "compress", "zstd");
    open_sink(fx, "");
    write_batch(fx, &next, 60, false);
    write_batch(fx, &next, 40, true);
    write_batch(fx, &next, 100, true);
    assert_int_equal(fx->class->flush(fx->sink, deadline(), &fx->err), 0);
    char *saved = tr_strdup(fx->state);
    write_batch(fx, &next, 5000, false);
    close_sink(fx);
    next = 200;
    open_sink(fx, saved);
    write_batch(fx, &next, 10, true);
    assert_int_equal(fx->class->flush(fx->sink, deadline(), &fx->err), 0);
    assert_rows(fx, 210);
    close_sink(fx);
    free(saved);
    saved = tr_strdup(fx->state);
    set(fx, "compress", "none"); /* from here on plain, in a file of its own */
    open_sink(fx, saved);
    free(saved);
    write_batch(fx, &next, 10, true);
    assert_int_equal(fx->class->flush(fx->sink, deadline(), &fx->err), 0);
    char *plain = scratch_read(scratch_path(&fx->scratch, "out/shop-000002.jsonl"), NULL);
    assert_non_null(plain);
    assert_non_null(strstr(plain, "{\"id\":211}"));
    free(plain);
}

static void
a_shorter_or_missing_file_is_refused(void **state)
{
    struct fixture *fx = *state;
    int next = 0;
    open_sink(fx, "");
    write_batch(fx, &next, 100, true);
    assert_int_equal(fx->class->flush(fx->sink, deadline(), &fx->err), 0);
    close_sink(fx);
    static const char *const bad[] = {
        "file=shop-000001.jsonl;length=99999999", "file=../x;length=1",
        "file=other-000001.jsonl;length=1",       "nonsense",
        "file=shop-000001.jsonl;length=-1",       "file=shop-000007.jsonl;length=0"
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(fx->class->open(&fx->env, &fx->sink, &fx->err), 0);
        assert_int_equal(fx->class->resume(fx->sink, bad[i], &fx->err), -TR_REFUSED);
        close_sink(fx);
    }
    assert_rows(fx, 100); /* nothing was touched */
    assert_int_equal(truncate(scratch_path(&fx->scratch, "out/shop-000001.jsonl"), 10), 0);
    assert_int_equal(fx->class->open(&fx->env, &fx->sink, &fx->err), 0);
    assert_int_equal(fx->class->resume(fx->sink, fx->state, &fx->err), -TR_REFUSED);
    assert_true(fx->err.hint[0] != '\0');
}

static void
a_link_in_the_place_of_the_file_is_not_followed(void **state)
{
    struct fixture *fx = *state;
    int next = 0;
    open_sink(fx, "");
    write_batch(fx, &next, 1, true);
    assert_int_equal(fx->class->flush(fx->sink, deadline(), &fx->err), 0);
    close_sink(fx);
    const char *path = scratch_path(&fx->scratch, "out/shop-000001.jsonl"),
               *elsewhere = scratch_path(&fx->scratch, "elsewhere");
    assert_int_equal(rename(path, elsewhere), 0);
    assert_int_equal(symlink(elsewhere, path), 0);
    assert_int_equal(fx->class->open(&fx->env, &fx->sink, &fx->err), 0);
    assert_int_equal(fx->class->resume(fx->sink, fx->state, &fx->err), -TR_REFUSED);
}

static void
files_of_an_unknown_run_are_moved_aside(void **state)
{
    struct fixture *fx = *state;
    int next = 0;
    open_sink(fx, "");
    write_batch(fx, &next, 5, true);
    assert_int_equal(fx->class->flush(fx->sink, deadline(), &fx->err), 0);
    close_sink(fx);
    next = 0;
    open_sink(fx, "");
    write_batch(fx, &next, 3, true);
    assert_int_equal(fx->class->flush(fx->sink, deadline(), &fx->err), 0);
    assert_rows(fx, 3);
    int aside = 0;
    DIR *list = opendir(scratch_path(&fx->scratch, "out"));
    for (struct dirent *entry; (entry = readdir(list)) != NULL;)
        aside += strncmp(entry->d_name, "shop-000001.jsonl.aside-", 24) == 0;
    closedir(list);
    assert_int_equal(aside, 1);
}

/* A limit on the file size stands for the full disk. */
static void
a_full_disk_is_a_retry(void **state)
{
    struct fixture *fx = *state;
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit small = { 20000, RLIM_INFINITY }, large = { RLIM_INFINITY, RLIM_INFINITY };
        int next = 0;
        signal(SIGXFSZ, SIG_IGN);
        open_sink(fx, "");
        write_batch(fx, &next, 10, true);
        if (fx->class->flush(fx->sink, deadline(), &fx->err) < 0)
            _exit(1);
        char *saved = tr_strdup(fx->state);
        setrlimit(RLIMIT_FSIZE, &small);
        if (fx->class->write(fx->sink, make_batch(fx, &next, 1000, true), &fx->err) != -TR_RETRY ||
            fx->durable != 1)
            _exit(2);
        setrlimit(RLIMIT_FSIZE, &large);
        close_sink(fx);
        next = 10;
        open_sink(fx, saved);
        write_batch(fx, &next, 1000, true);
        if (fx->class->flush(fx->sink, deadline(), &fx->err) < 0)
            _exit(3);
        _exit(0);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_rows(fx, 1010);
}

#define CASE(f) \
    {           \
#f, f   \
    }
struct contract_case {
    const char *name;
    CMUnitTestFunction function;
};

static const struct tr_sink_class *const sinks[] = { &tr_null_sink, &tr_jsonl_sink, &tr_stdout_sink };

static const struct contract_case every[] = {
    CASE(what_was_flushed_is_durable),
    CASE(an_empty_batch_moves_the_checkpoint),
    CASE(poll_returns_when_woken),
    CASE(closing_with_work_in_flight_says_nothing_more),
};

static const struct contract_case of_stdout[] = { CASE(a_reader_that_stalls_blocks_nothing),
                                                  CASE(a_reader_that_left_is_a_clear_error) };

static const struct contract_case of_files[] = {
    CASE(a_restart_cuts_back_to_the_checkpoint),
    CASE(rotated_files_hold_whole_checkpoints),
    CASE(compressed_files_are_cut_at_frames),
    CASE(a_shorter_or_missing_file_is_refused),
    CASE(a_link_in_the_place_of_the_file_is_not_followed),
    CASE(files_of_an_unknown_run_are_moved_aside),
    CASE(a_full_disk_is_a_retry),
};

static struct CMUnitTest tests[64];
static char names[64][96];
static size_t ntests;

static void
add(const struct tr_sink_class *class, const struct contract_case *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        snprintf(names[ntests], sizeof(names[0]), "%s_%s", class->name, list[i].name);
        tests[ntests] = (struct CMUnitTest){ names[ntests], list[i].function, setup, teardown,
                                             (void *)class };
        ntests++;
    }
}

#define COUNT(list) (sizeof(list) / sizeof(list[0]))

int
main(void)
{
    for (size_t i = 0; i < COUNT(sinks); i++)
        add(sinks[i], every, COUNT(every));
    add(&tr_stdout_sink, of_stdout, COUNT(of_stdout));
    add(&tr_jsonl_sink, of_files, COUNT(of_files));
    return _cmocka_run_group_tests("sinks", tests, ntests, NULL, NULL);
}
