/*
 * sqlite.c - the embedded offset store.
 *
 * WAL journal with synchronous=FULL: one fsync per save, and a save is durable when it returns. A database is made under another name and
 * renamed when complete, so that an empty or half-made file under the real name is damage and never "a new task". Rows carry a checksum of
 * their own, because SQLite's checks see broken pages but not a flipped bit inside a position.
 */
#include "offsets/sqlite/sqlite.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "core/clock.h"
#include "core/failpoint.h"
#include "core/memory.h"
#include "offsets/sqlite/files.h"

#define APPLICATION_ID 0x7472616c /* "tral" */
#define SCHEMA_VERSION 1
#define STR_(x) #x
#define STR(x) STR_(x)

enum statement {
    BEGIN,
    COMMIT,
    ROLLBACK,
    LOAD,
    LOAD_TABLES,
    SAVE,
    SAVE_POSITION,
    DELETE_TABLES,
    SAVE_TABLE,
    STATEMENTS
};

static const char *const statement_sql[STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [LOAD] =
        "SELECT position, sink_state, identity, phase, position_sum, task_sum FROM checkpoint WHERE id = 1",
    [LOAD_TABLES] = "SELECT table_name, position, done, sum FROM table_cut ORDER BY number",
    [SAVE] =
        "INSERT INTO checkpoint (id, position, sink_state, position_sum, updated_us, identity, phase, task_sum)"
        " VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (id) DO UPDATE SET position = ?1, sink_state = ?2,"
        " position_sum = ?3, updated_us = ?4, identity = ?5, phase = ?6, task_sum = ?7",
    [SAVE_POSITION] =
        "UPDATE checkpoint SET position = ?1, sink_state = ?2, position_sum = ?3, updated_us = ?4 WHERE id = 1",
    [DELETE_TABLES] = "DELETE FROM table_cut",
    [SAVE_TABLE] =
        "INSERT OR REPLACE INTO table_cut (number, table_name, position, done, sum) VALUES (?1, ?2, ?3, ?4, ?5)",
};

static const char schema_sql[] =
    "PRAGMA journal_mode=DELETE; PRAGMA synchronous=FULL;"
    "BEGIN;"
    "CREATE TABLE checkpoint (id INTEGER PRIMARY KEY CHECK (id = 1), position TEXT, sink_state TEXT,"
    " position_sum INTEGER NOT NULL, updated_us INTEGER NOT NULL, identity TEXT, phase TEXT, task_sum INTEGER NOT NULL) STRICT;"
    "CREATE TABLE table_cut (number INTEGER PRIMARY KEY, table_name TEXT NOT NULL UNIQUE, position TEXT, done INTEGER NOT NULL,"
    " sum INTEGER NOT NULL) STRICT;"
    "PRAGMA application_id=" STR(APPLICATION_ID) "; PRAGMA user_version=" STR(SCHEMA_VERSION) ";"
                                                                                              "COMMIT;";

struct sqlite_store {
    struct tr_offset_store base;
    struct state_files files;
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENTS];
    struct tr_checkpoint saved; /* what the tables hold: only what differs is written */
    bool has_row;               /* there is a checkpoint row, so save_position has what to update */
};

static const char damaged_hint[] =
    "Do not start over from nothing: restore the file (with its -wal) from a backup, or, when the target keeps its own checkpoint, "
    "remove it; otherwise remove it and reload the task.";

/* The errno behind an I/O error: of the write-ahead log, else of the database. SQLite's own copy is often overwritten by then. */
static int
io_errno(sqlite3 *db)
{
    int number = 0;
    sqlite3_file *log = NULL;
    if (db == NULL)
        return 0;
    sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
    if (log != NULL && log->pMethods != NULL)
        log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &number);
    if (number == 0)
        sqlite3_file_control(db, "main", SQLITE_FCNTL_LAST_ERRNO, &number);
    return number != 0 ? number : sqlite3_system_errno(db);
}

/* SQLite's verdict as ours. The text never holds values. */
static int
fail_sqlite(const struct sqlite_store *store, int rc, const char *what, struct tr_error *err)
{
    const char *file = store->files.database;
    const char *why = store->db != NULL ? sqlite3_errmsg(store->db) : sqlite3_errstr(rc);
    int system = io_errno(store->db);
    switch (rc & 0xff) {
    case SQLITE_FULL:
        tr_fail(err, TR_RETRY, "cannot %s %s: no space left on the device", what, file);
        return tr_error_hint(err, "Free space where the state directory is; the task goes on by itself.");
    case SQLITE_IOERR:
        if (system == ENOSPC || system == EDQUOT || system == EFBIG) {
            tr_fail(err, TR_RETRY, "cannot %s %s: %s", what, file, strerror(system));
            return tr_error_hint(err, "Free space where the state directory is; the task goes on by itself.");
        }
        return tr_fail(err, TR_FATAL, "cannot %s %s: %s (%s)", what, file, why,
                       system != 0 ? strerror(system) : "I/O error");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        tr_fail(err, TR_REFUSED, "cannot %s %s: the state is damaged (%s)", what, file, why);
        return tr_error_hint(err, "%s", damaged_hint);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        tr_fail(err, TR_REFUSED, "cannot %s %s: another program has the database open", what, file);
        return tr_error_hint(err, "Close the program (a sqlite3 shell?) that has it open.");
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
        tr_fail(err, TR_CONFIG, "cannot %s %s: %s", what, file, system != 0 ? strerror(system) : why);
        return tr_error_hint(err, "It must be a plain file, not a link, that this user may read and write.");
    default: return tr_fail(err, TR_FATAL, "cannot %s %s: %s", what, file, why);
    }
}

static int
fail_dropped(const struct sqlite_store *store, struct tr_error *err)
{
    return tr_fail(err, TR_FATAL, "the state %s was dropped", store->files.database);
}

static int
fail_damaged(const struct sqlite_store *store, const char *why, struct tr_error *err)
{
    tr_fail(err, TR_REFUSED, "the state %s is damaged: %s", store->files.database, why);
    return tr_error_hint(err, "%s", damaged_hint);
}

/* Text and its absence differ, and texts do not run into each other. */
static uLong
sum_text(uLong sum, const char *text)
{
    if (text == NULL)
        return crc32(sum, (const Bytef *)"N", 1);
    sum = crc32(sum, (const Bytef *)"T", 1);
    return crc32(sum, (const Bytef *)text, (uInt)strlen(text) + 1);
}

static sqlite3_int64
sum_pair(const char *a, const char *b)
{
    return (sqlite3_int64)sum_text(sum_text(crc32(0, NULL, 0), a), b);
}

static sqlite3_int64
sum_cut(const char *table, const char *position, bool done)
{
    return (sqlite3_int64)sum_text(sum_text(sum_text(crc32(0, NULL, 0), table), position),
                                   done ? "done" : "begun");
}

static void
bind_text(sqlite3_stmt *statement, int at, const char *text)
{
    if (text == NULL)
        sqlite3_bind_null(statement, at);
    else
        sqlite3_bind_text(statement, at, text, -1, SQLITE_STATIC);
}

/* Run a statement that returns no rows; bound texts need live only until then. */
static int
run(struct sqlite_store *store, enum statement which, const char *what, struct tr_error *err)
{
    sqlite3_stmt *statement = store->statements[which];
    int result = sqlite3_step(statement) == SQLITE_DONE
                     ? 0
                     : fail_sqlite(store, sqlite3_extended_errcode(store->db), what, err);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return result;
}

/* One integer that a PRAGMA answers, or -1. */
static sqlite3_int64
pragma_int(struct sqlite_store *store, const char *sql, int *rc)
{
    sqlite3_stmt *statement = NULL;
    sqlite3_int64 n = -1;
    *rc = sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL);
    if (*rc == SQLITE_OK && (*rc = sqlite3_step(statement)) == SQLITE_ROW) {
        n = sqlite3_column_int64(statement, 0);
        *rc = SQLITE_OK;
    }
    sqlite3_finalize(statement);
    return n;
}

static int
exec(struct sqlite_store *store, const char *sql, const char *what, struct tr_error *err)
{
    int rc = sqlite3_exec(store->db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : fail_sqlite(store, sqlite3_extended_errcode(store->db), what, err);
}

static int
open_file(struct sqlite_store *store, const char *path, struct tr_error *err)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
    int rc = sqlite3_open_v2(path, &store->db, flags, NULL);
    if (rc != SQLITE_OK)
        return fail_sqlite(store, rc, "open", err);
    sqlite3_extended_result_codes(store->db, 1);
    return 0;
}

/* Make the database aside and move it into place when it is whole. */
static int
create(struct sqlite_store *store, struct tr_error *err)
{
    int rc = state_files_new_draft(&store->files, err);
    if (rc == 0)
        rc = open_file(store, store->files.draft, err);
    if (rc == 0)
        rc = exec(store, schema_sql, "make", err);
    if (sqlite3_close(store->db) != SQLITE_OK && rc == 0)
        rc = tr_fail(err, TR_FATAL, "cannot close %s", store->files.draft);
    store->db = NULL;
    if (rc == 0)
        rc = state_files_publish_draft(&store->files, err);
    return rc;
}

/* Is it ours, of a version we know, and whole? */
static int
verify(struct sqlite_store *store, struct tr_error *err)
{
    int rc;
    sqlite3_int64 id = pragma_int(store, "PRAGMA application_id", &rc);
    if (rc != SQLITE_OK)
        return fail_sqlite(store, rc, "read", err);
    if (id != APPLICATION_ID)
        return fail_damaged(
            store, id == 0 ? "it is empty, or no state of tailrace" : "it belongs to another program", err);
    sqlite3_int64 version = pragma_int(store, "PRAGMA user_version", &rc);
    if (rc != SQLITE_OK)
        return fail_sqlite(store, rc, "read", err);
    if (version > SCHEMA_VERSION) {
        tr_fail(err, TR_REFUSED,
                "the state %s was written by a newer tailrace (format %lld, this one knows %d)",
                store->files.database, (long long)version, SCHEMA_VERSION);
        return tr_error_hint(err, "Run the newer version, or give another state directory.");
    }
    if (version < 1)
        return fail_damaged(store, "its format is not known", err);
    sqlite3_stmt *statement = NULL;
    rc = sqlite3_prepare_v2(store->db, "PRAGMA quick_check(1)", -1, &statement, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(statement);
    int result = 0;
    if (rc != SQLITE_ROW)
        result = fail_sqlite(store, rc, "check", err);
    else if (strcmp((const char *)sqlite3_column_text(statement, 0), "ok") != 0)
        result = fail_damaged(store, (const char *)sqlite3_column_text(statement, 0), err);
    sqlite3_finalize(statement);
    return result;
}

static int
open_database(struct sqlite_store *store, struct tr_error *err)
{
    int rc = access(store->files.database, F_OK) < 0 && errno == ENOENT ? create(store, err) : 0;
    if (rc == 0)
        rc = open_file(store, store->files.database, err);
    /* Exclusive locking spares the shared memory file; the lock file already keeps others out. */
    if (rc == 0)
        rc = exec(store, "PRAGMA locking_mode=EXCLUSIVE", "open", err);
    if (rc == 0)
        rc = verify(store, err);
    if (rc == 0)
        rc = exec(store, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA trusted_schema=OFF",
                  "open", err);
    for (int i = 0; rc == 0 && i < STATEMENTS; i++) {
        int prepared = sqlite3_prepare_v3(store->db, statement_sql[i], -1, SQLITE_PREPARE_PERSISTENT,
                                          &store->statements[i], NULL);
        if (prepared != SQLITE_OK)
            rc = fail_damaged(store, sqlite3_errmsg(store->db), err);
    }
    return rc;
}

static void
close_database(struct sqlite_store *store)
{
    for (int i = 0; i < STATEMENTS; i++) {
        sqlite3_finalize(store->statements[i]);
        store->statements[i] = NULL;
    }
    sqlite3_close(store->db);
    store->db = NULL;
}

static void
sqlite_store_close(struct tr_offset_store *base)
{
    struct sqlite_store *store = (struct sqlite_store *)base;
    if (store == NULL)
        return;
    close_database(store);
    state_files_close(&store->files);
    tr_checkpoint_fini(&store->saved);
    free(store);
}

static char *
column_copy(sqlite3_stmt *statement, int column)
{
    return tr_strdup((const char *)sqlite3_column_text(statement, column));
}

static int
load_tables(struct sqlite_store *store, struct tr_checkpoint *checkpoint, struct tr_error *err)
{
    sqlite3_stmt *statement = store->statements[LOAD_TABLES];
    int rc, result = 0;
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW && result == 0) {
        const char *table = (const char *)sqlite3_column_text(statement, 0);
        const char *position = (const char *)sqlite3_column_text(statement, 1);
        bool done = sqlite3_column_int(statement, 2) != 0;
        if (table == NULL || sqlite3_column_int64(statement, 3) != sum_cut(table, position, done))
            result = fail_damaged(store, "the checksum of a table's cut is wrong", err);
        else
            tr_checkpoint_set_table(checkpoint, table, position, done);
    }
    if (result == 0 && rc != SQLITE_DONE)
        result = fail_sqlite(store, rc, "read", err);
    sqlite3_reset(statement);
    return result;
}

/* Read what the file holds; *has_row says whether anything was ever saved. */
static int
read_all(struct sqlite_store *store, struct tr_checkpoint *checkpoint, bool *has_row, struct tr_error *err)
{
    *checkpoint = (struct tr_checkpoint){ 0 };
    sqlite3_stmt *statement = store->statements[LOAD];
    int rc = sqlite3_step(statement), result = 0;
    *has_row = rc == SQLITE_ROW;
    if (rc == SQLITE_ROW) {
        checkpoint->position = column_copy(statement, 0);
        checkpoint->sink_state = column_copy(statement, 1);
        checkpoint->identity = column_copy(statement, 2);
        checkpoint->phase = column_copy(statement, 3);
        if (sqlite3_column_int64(statement, 4) != sum_pair(checkpoint->position, checkpoint->sink_state) ||
            sqlite3_column_int64(statement, 5) != sum_pair(checkpoint->identity, checkpoint->phase))
            result = fail_damaged(store, "the checksum of the checkpoint is wrong", err);
    } else if (rc != SQLITE_DONE) {
        result = fail_sqlite(store, rc, "read", err);
    }
    sqlite3_reset(statement);
    if (result == 0)
        result = load_tables(store, checkpoint, err);
    if (result < 0)
        tr_checkpoint_fini(checkpoint);
    return result;
}

static int
sqlite_store_open(const char *where, const char *task, const _Atomic int64_t *end_us,
                  struct tr_offset_store **out, struct tr_error *err)
{
    struct sqlite_store *store = tr_calloc(1, sizeof(*store));
    (void)end_us; /* nothing here waits */
    *out = NULL;
    store->base.class = &tr_sqlite_store;
    store->files.lock_fd = -1;
    int rc = state_files_open(&store->files, where, task, err);
    if (rc == 0)
        rc = open_database(store, err);
    if (rc == 0)
        rc = read_all(store, &store->saved, &store->has_row, err);
    if (rc < 0) {
        sqlite_store_close(&store->base);
        return rc;
    }
    *out = &store->base;
    return 0;
}

static int
sqlite_store_load(struct tr_offset_store *base, struct tr_checkpoint *checkpoint, struct tr_error *err)
{
    struct sqlite_store *store = (struct sqlite_store *)base;
    *checkpoint = (struct tr_checkpoint){ 0 };
    return store->db != NULL ? read_all(store, checkpoint, &store->has_row, err) : fail_dropped(store, err);
}

static bool
same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static int
save_table(struct sqlite_store *store, size_t number, const struct tr_table_cut *cut, struct tr_error *err)
{
    sqlite3_stmt *statement = store->statements[SAVE_TABLE];
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)number);
    bind_text(statement, 2, cut->table);
    bind_text(statement, 3, cut->position);
    sqlite3_bind_int(statement, 4, cut->done);
    sqlite3_bind_int64(statement, 5, sum_cut(cut->table, cut->position, cut->done));
    return run(store, SAVE_TABLE, "save a table's cut in", err);
}

/* Tables are only ever added at the end or changed in place; anything else writes them all anew. */
static int
save_tables(struct sqlite_store *store, const struct tr_checkpoint *checkpoint, struct tr_error *err)
{
    const struct tr_checkpoint *old = &store->saved;
    size_t kept = checkpoint->ntables >= old->ntables ? old->ntables : 0;
    for (size_t i = 0; i < kept; i++)
        if (strcmp(old->tables[i].table, checkpoint->tables[i].table) != 0)
            kept = 0;
    int rc = kept == 0 && old->ntables > 0 ? run(store, DELETE_TABLES, "save tables in", err) : 0;
    for (size_t i = 0; rc == 0 && i < checkpoint->ntables; i++) {
        const struct tr_table_cut *cut = &checkpoint->tables[i];
        if (i < kept && old->tables[i].done == cut->done && same_text(old->tables[i].position, cut->position))
            continue;
        rc = save_table(store, i, cut, err);
    }
    return rc;
}

static void
bind_position(sqlite3_stmt *statement, const char *position, const char *sink_state)
{
    bind_text(statement, 1, position);
    bind_text(statement, 2, sink_state);
    sqlite3_bind_int64(statement, 3, sum_pair(position, sink_state));
    sqlite3_bind_int64(statement, 4, tr_wall_clock_us());
}

static int
save_all(struct sqlite_store *store, const struct tr_checkpoint *checkpoint, struct tr_error *err)
{
    int rc = run(store, BEGIN, "save in", err);
    if (rc == 0)
        rc = save_tables(store, checkpoint, err);
    if (rc == 0) {
        sqlite3_stmt *statement = store->statements[SAVE];
        bind_position(statement, checkpoint->position, checkpoint->sink_state);
        bind_text(statement, 5, checkpoint->identity);
        bind_text(statement, 6, checkpoint->phase);
        sqlite3_bind_int64(statement, 7, sum_pair(checkpoint->identity, checkpoint->phase));
        rc = run(store, SAVE, "save in", err);
    }
    TR_FAILPOINT("offsets.sqlite.save.commit");
    if (rc == 0)
        rc = run(store, COMMIT, "save in", err);
    return rc;
}

/* A failed COMMIT or statement leaves the transaction open unless SQLite ended it already. */
static void
roll_back(struct sqlite_store *store)
{
    struct tr_error ignored;
    if (sqlite3_get_autocommit(store->db) == 0)
        (void)run(store, ROLLBACK, "roll back", &ignored);
}

static int
sqlite_store_save(struct tr_offset_store *base, const struct tr_checkpoint *checkpoint, struct tr_error *err)
{
    struct sqlite_store *store = (struct sqlite_store *)base;
    if (store->db == NULL)
        return fail_dropped(store, err);
    int rc = save_all(store, checkpoint, err);
    if (rc < 0) {
        roll_back(store);
        return rc;
    }
    TR_FAILPOINT("offsets.sqlite.save.done");
    struct tr_checkpoint copy;
    tr_checkpoint_copy(&copy, checkpoint);
    tr_checkpoint_fini(&store->saved);
    store->saved = copy;
    store->has_row = true;
    return 0;
}

static int
sqlite_store_save_position(struct tr_offset_store *base, const char *position, const char *sink_state,
                           struct tr_error *err)
{
    struct sqlite_store *store = (struct sqlite_store *)base;
    if (store->db == NULL)
        return fail_dropped(store, err);
    if (!store->has_row)
        return tr_fail(err, TR_FATAL,
                       "the state %s has no checkpoint to move on: its identity was never saved",
                       store->files.database);
    bind_position(store->statements[SAVE_POSITION], position, sink_state);
    TR_FAILPOINT("offsets.sqlite.position.commit");
    int rc = run(store, SAVE_POSITION, "save the position in", err);
    if (rc < 0)
        roll_back(store);
    TR_FAILPOINT("offsets.sqlite.position.done");
    return rc;
}

/* Nothing is left behind; all that the store can do afterwards is be closed. */
static int
sqlite_store_drop(struct tr_offset_store *base, struct tr_error *err)
{
    struct sqlite_store *store = (struct sqlite_store *)base;
    close_database(store);
    return state_files_remove(&store->files, err);
}

const struct tr_offset_store_class tr_sqlite_store = {
    .name = "sqlite",
    .schemes = NULL,
    .open = sqlite_store_open,
    .close = sqlite_store_close,
    .load = sqlite_store_load,
    .save = sqlite_store_save,
    .save_position = sqlite_store_save_position,
    .drop = sqlite_store_drop,
};
