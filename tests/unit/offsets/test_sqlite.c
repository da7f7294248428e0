/* test_sqlite.c - what is particular to the embedded store: its files, damage, other versions, a full disk. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/memory.h"
#include "offsets/sqlite/sqlite.h"
#include "tests/contract/scratch.h"

struct fixture {
    struct scratch scratch;
    char *dir;
    char *database;
    struct tr_offset_store *store;
    struct tr_error err;
};

static int
open_store(struct fixture *fx)
{
    return tr_sqlite_store.open(fx->dir, "shop", NULL, &fx->store, &fx->err);
}

static void
close_store(struct fixture *fx)
{
    tr_sqlite_store.close(fx->store);
    fx->store = NULL;
}

static int
setup(void **state)
{
    struct fixture *fx = tr_calloc(1, sizeof(*fx));
    struct tr_checkpoint cp = { .position = "0/1A2B3C4", .identity = "system=7", .phase = "stream" };
    *state = fx;
    scratch_make(&fx->scratch);
    fx->dir = tr_asprintf("%s/a/b", fx->scratch.dir);
    fx->database = tr_asprintf("%s/shop.db", fx->dir);
    return open_store(fx) < 0 || tr_sqlite_store.save(fx->store, &cp, &fx->err) < 0;
}

static int
teardown(void **state)
{
    struct fixture *fx = *state;
    close_store(fx);
    scratch_remove(&fx->scratch);
    free(fx->dir);
    free(fx->database);
    free(fx);
    return 0;
}

static void
the_files_are_private(void **state)
{
    struct fixture *fx = *state;
    struct stat st;
    assert_int_equal(stat(fx->dir, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(stat(fx->database, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    char *wal = tr_asprintf("%s-wal", fx->database);
    assert_int_equal(stat(wal, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    free(wal);
}

static void
the_refusal_names_the_owner(void **state)
{
    struct fixture *fx = *state;
    struct tr_offset_store *second;
    char pid[32];
    snprintf(pid, sizeof(pid), "(pid %ld)", (long)getpid());
    assert_int_equal(tr_sqlite_store.open(fx->dir, "shop", NULL, &second, &fx->err), -TR_REFUSED);
    assert_non_null(strstr(fx->err.text, pid));
}

static void
write_at(const char *path, long offset, const char *bytes, size_t len)
{
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, len, offset), (ssize_t)len);
    close(fd);
}

static void
assert_refused(struct fixture *fx, const char *because)
{
    assert_int_equal(open_store(fx), -TR_REFUSED);
    assert_null(fx->store);
    assert_non_null(strstr(fx->err.text, because));
    assert_non_null(strstr(fx->err.text, fx->database));
    assert_true(fx->err.hint[0] != '\0');
}

static void
an_empty_file_is_damage(void **state)
{
    struct fixture *fx = *state;
    close_store(fx);
    assert_int_equal(truncate(fx->database, 0), 0);
    assert_refused(fx, "damaged");
}

static void
a_torn_file_is_damage(void **state)
{
    struct fixture *fx = *state;
    close_store(fx);
    assert_int_equal(truncate(fx->database, 6000), 0);
    assert_refused(fx, "damaged");
}

static void
garbage_is_damage(void **state)
{
    struct fixture *fx = *state;
    close_store(fx);
    write_at(fx->database, 0, "this is no database at all", 26);
    assert_refused(fx, "damaged");
}

/* SQLite's own check does not see this one: the page is well formed, the position is another. */
static void
a_flipped_bit_in_the_position_is_damage(void **state)
{
    struct fixture *fx = *state;
    size_t len;
    close_store(fx);
    char *bytes = scratch_read(fx->database, &len);
    char *at = memmem(bytes, len, "0/1A2B3C4", 9);
    assert_non_null(at);
    write_at(fx->database, at - bytes + 3, "B", 1);
    free(bytes);
    assert_refused(fx, "checksum");
}

static void
sql(const char *path, const char *text)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void
a_newer_format_is_refused(void **state)
{
    struct fixture *fx = *state;
    close_store(fx);
    sql(fx->database, "PRAGMA user_version = 99");
    assert_refused(fx, "newer tailrace");
}

static void
a_foreign_database_is_refused(void **state)
{
    struct fixture *fx = *state;
    close_store(fx);
    sql(fx->database, "PRAGMA application_id = 5");
    assert_refused(fx, "another program");
}

static void
a_link_is_not_followed(void **state)
{
    struct fixture *fx = *state;
    close_store(fx);
    const char *elsewhere = scratch_path(&fx->scratch, "elsewhere.db");
    assert_int_equal(rename(fx->database, elsewhere), 0);
    assert_int_equal(symlink(elsewhere, fx->database), 0);
    assert_int_equal(open_store(fx), -TR_CONFIG);
}

static void
a_draft_left_by_a_kill_is_made_anew(void **state)
{
    struct fixture *fx = *state;
    close_store(fx);
    char *draft = tr_asprintf("%s.new", fx->database);
    assert_int_equal(unlink(fx->database), 0);
    write_at(draft, 0, "half made", 9);
    assert_int_equal(open_store(fx), 0);
    assert_int_equal(access(draft, F_OK), -1);
    struct tr_checkpoint cp;
    assert_int_equal(tr_sqlite_store.load(fx->store, &cp, &fx->err), 0);
    assert_null(cp.position);
    tr_checkpoint_fini(&cp);
    free(draft);
}

/* A limit on the file size stands for the full disk. In a child: the limit is the process's. */
static void
a_full_disk_is_a_retry_and_the_old_state_stands(void **state)
{
    struct fixture *fx = *state;
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGXFSZ, SIG_IGN);
        struct rlimit small = { 16384, RLIM_INFINITY }, large = { RLIM_INFINITY, RLIM_INFINITY };
        setrlimit(RLIMIT_FSIZE, &small);
        int rc = 0;
        for (int i = 0; i < 100 && rc == 0; i++)
            rc = tr_sqlite_store.save_position(fx->store, "0/2", NULL, &fx->err);
        if (rc != -TR_RETRY || strstr(fx->err.hint, "Free space") == NULL)
            _exit(1);
        struct tr_checkpoint cp;
        if (tr_sqlite_store.load(fx->store, &cp, &fx->err) < 0 || strcmp(cp.identity, "system=7") != 0)
            _exit(2);
        setrlimit(RLIMIT_FSIZE, &large);
        _exit(tr_sqlite_store.save_position(fx->store, "0/3", NULL, &fx->err) < 0 ? 3 : 0);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void
drop_leaves_no_file(void **state)
{
    struct fixture *fx = *state;
    assert_int_equal(tr_sqlite_store.drop(fx->store, &fx->err), 0);
    close_store(fx);
    assert_int_equal(rmdir(fx->dir), 0);
}

static void
a_directory_that_cannot_be_made_is_a_configuration_error(void **state)
{
    struct fixture *fx = *state;
    struct tr_offset_store *store;
    assert_int_equal(tr_sqlite_store.open("/proc/no/such", "shop", NULL, &store, &fx->err), -TR_CONFIG);
    assert_int_equal(tr_sqlite_store.open("", "shop", NULL, &store, &fx->err), -TR_CONFIG);
    assert_int_equal(tr_sqlite_store.open(fx->dir, "", NULL, &store, &fx->err), -TR_CONFIG);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(the_files_are_private),
        CASE(the_refusal_names_the_owner),
        CASE(an_empty_file_is_damage),
        CASE(a_torn_file_is_damage),
        CASE(garbage_is_damage),
        CASE(a_flipped_bit_in_the_position_is_damage),
        CASE(a_newer_format_is_refused),
        CASE(a_foreign_database_is_refused),
        CASE(a_link_is_not_followed),
        CASE(a_draft_left_by_a_kill_is_made_anew),
        CASE(a_full_disk_is_a_retry_and_the_old_state_stands),
        CASE(drop_leaves_no_file),
        CASE(a_directory_that_cannot_be_made_is_a_configuration_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
