/*
 * query.c - statements in the log: the edges of transactions, DDL, and what must not be there as text.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/memory.h"
#include "decoders/binlog/internal.h"

/* A query event, taken apart. `text` is not NUL-terminated. */
struct query {
    const char *database;
    size_t database_len;
    const char *text;
    size_t len;
    uint32_t thread_id;
    struct binlog_session session;
    uint8_t *malloced; /* holds the text of a compressed one */
};

/*
 * Query: uint32 thread, uint32 seconds it took, uint8 length of the database's name, uint16 error, uint16
 * length of the variables, those, the name, NUL, the text; in MariaDB's compressed form the text is
 * packed.
 */
static int
parse_query(struct binlog *d, struct binlog_frame *f, struct query *q, struct tr_error *err)
{
    *q = (struct query){ .thread_id = (uint32_t)tr_cursor_le(&f->cur, 4) };
    tr_cursor_le(&f->cur, 4);
    q->database_len = tr_cursor_u8(&f->cur);
    tr_cursor_le(&f->cur, 2);
    size_t variables_len = tr_cursor_le(&f->cur, 2);
    const uint8_t *variables = tr_cursor_bytes(&f->cur, variables_len);
    q->database = (const char *)tr_cursor_bytes(&f->cur, q->database_len);
    tr_cursor_u8(&f->cur);
    if (f->cur.failed)
        return binlog_fail(d, f, err, "it ends too early");
    binlog_read_session(&q->session, tr_cursor(variables, variables_len));
    if (f->type == EVENT_QUERY_COMPRESSED) {
        int rc = binlog_uncompress(d, f, &q->malloced, &q->len, err);
        q->text = (const char *)q->malloced;
        return rc;
    }
    q->len = tr_cursor_left(&f->cur);
    q->text = (const char *)tr_cursor_bytes(&f->cur, q->len);
    return 0;
}

/* ---------------------------------------------------------------- words of a statement */

struct words {
    const char *at, *end;
};

/*
 * Over blanks and comments; what stands in a comment for some versions of the server only is read as if it
 * stood there plainly.
 */
static void
skip_blanks(struct words *w)
{
    while (w->at < w->end) {
        size_t left = (size_t)(w->end - w->at);
        if (strchr(" \t\r\n\f\v", *w->at) != NULL) {
            w->at++;
        } else if (left >= 3 && memcmp(w->at, "/*!", 3) == 0) {
            for (w->at += 3; w->at < w->end && *w->at >= '0' && *w->at <= '9';)
                w->at++;
        } else if (left >= 4 && memcmp(w->at, "/*M!", 4) == 0) {
            for (w->at += 4; w->at < w->end && *w->at >= '0' && *w->at <= '9';)
                w->at++;
        } else if (left >= 2 && memcmp(w->at, "/*", 2) == 0) {
            const char *close = memmem(w->at + 2, left - 2, "*/", 2);
            w->at = close != NULL ? close + 2 : w->end;
        } else if (left >= 2 && memcmp(w->at, "*/", 2) == 0) {
            w->at += 2;
        } else if (*w->at == '#' || (left >= 3 && memcmp(w->at, "-- ", 3) == 0)) {
            const char *newline = memchr(w->at, '\n', left);
            w->at = newline != NULL ? newline + 1 : w->end;
        } else {
            return;
        }
    }
}

static bool
word_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '$' || (c & 0x80);
}

/* The next word as it stands, "" when there is none. */
static void
next_word(struct words *w, char *word, size_t size)
{
    size_t n = 0;
    skip_blanks(w);
    for (; w->at < w->end && word_byte(*w->at); w->at++)
        if (n + 1 < size)
            word[n++] = *w->at;
    word[n] = '\0';
}

/* Passes over the word when it is the next one. */
static bool
accept(struct words *w, const char *word)
{
    struct words ahead = *w;
    char next[32];
    next_word(&ahead, next, sizeof next);
    if (strcasecmp(next, word) != 0)
        return false;
    *w = ahead;
    return true;
}

/* A name, in quotes (doubled inside) or plain. False when there is none or it is too long. */
static bool
next_name(struct words *w, char *name, size_t size)
{
    skip_blanks(w);
    if (w->at == w->end)
        return false;
    char quote = *w->at;
    if (quote != '`' && quote != '"') {
        next_word(w, name, size);
        return name[0] != '\0';
    }
    size_t n = 0;
    for (w->at++; w->at < w->end; w->at++) {
        if (*w->at == quote) {
            w->at++;
            if (w->at == w->end || *w->at != quote) {
                name[n] = '\0';
                return n > 0;
            }
        }
        if (n + 1 >= size)
            return false;
        name[n++] = *w->at;
    }
    return false;
}

struct table_name {
    char database[260];
    char table[260];
};

/* [database.]table; the default database when none is named. */
static bool
next_table(struct words *w, const struct query *q, struct table_name *t)
{
    if (!next_name(w, t->table, sizeof t->table))
        return false;
    skip_blanks(w);
    if (w->at < w->end && *w->at == '.') {
        w->at++;
        memcpy(t->database, t->table, sizeof t->database);
        return next_name(w, t->table, sizeof t->table);
    }
    snprintf(t->database, sizeof t->database, "%.*s", (int)q->database_len, q->database);
    return t->database[0] != '\0';
}

/* Behind the text in quotes at `at`; a quote is doubled inside, or behind a backslash. */
static const char *
behind_text(const char *at, const char *end)
{
    char quote = *at++;
    for (; at < end; at++) {
        if (*at == '\\' && quote != '`')
            at++;
        else if (*at == quote && (at + 1 == end || at[1] != quote))
            return at + 1;
        else if (*at == quote)
            at++;
    }
    return end;
}

/* MariaDB's SET STATEMENT name = value, ... FOR statement: what counts is behind FOR. The settings were those of its session. */
static void
leave_settings_out(struct query *q)
{
    struct words w = { q->text, q->text + q->len };
    int depth = 0;
    if (!accept(&w, "SET") || !accept(&w, "STATEMENT"))
        return;
    while (skip_blanks(&w), w.at < w.end) {
        if (depth == 0 && accept(&w, "FOR")) {
            skip_blanks(&w);
            q->text = w.at;
            q->len = (size_t)(w.end - w.at);
            return;
        }
        if (strchr("'\"`", *w.at) != NULL) {
            w.at = behind_text(w.at, w.end);
        } else if (word_byte(*w.at)) {
            while (w.at < w.end && word_byte(*w.at))
                w.at++;
        } else {
            depth += *w.at == '(' ? 1 : *w.at == ')' ? -1 : 0;
            w.at++;
        }
    }
}

/* ---------------------------------------------------------------- kinds of statements */

enum statement {
    STATEMENT_OTHER, /* DDL, or what is not known: handed on as it is */
    STATEMENT_BEGIN,
    STATEMENT_COMMIT,
    STATEMENT_ROLLBACK,
    STATEMENT_ROLLBACK_TO,
    STATEMENT_SAVEPOINT,
    STATEMENT_RELEASE,
    STATEMENT_XA_START,
    STATEMENT_XA_END,
    STATEMENT_XA_COMMIT,
    STATEMENT_XA_COMMIT_ONE_PHASE,
    STATEMENT_XA_ROLLBACK,
    STATEMENT_TRUNCATE,
    STATEMENT_DML,
    STATEMENT_ADMIN, /* accounts and upkeep: nothing of it concerns tables */
};

static enum statement
after_rollback(struct words *w)
{
    accept(w, "WORK");
    if (!accept(w, "TO"))
        return STATEMENT_ROLLBACK;
    accept(w, "SAVEPOINT");
    return STATEMENT_ROLLBACK_TO;
}

static enum statement
after_xa(const struct words *start)
{
    struct words w = *start;
    if (accept(&w, "START") || accept(&w, "BEGIN"))
        return STATEMENT_XA_START;
    if (accept(&w, "END"))
        return STATEMENT_XA_END;
    if (accept(&w, "ROLLBACK"))
        return STATEMENT_XA_ROLLBACK;
    if (!accept(&w, "COMMIT"))
        return STATEMENT_OTHER;
    size_t left = (size_t)(w.end - w.at);
    return left > 9 && strncasecmp(w.end - 9, "ONE PHASE", 9) == 0 ? STATEMENT_XA_COMMIT_ONE_PHASE
                                                                   : STATEMENT_XA_COMMIT;
}

static bool
any_of(const char *word, const char *const *list)
{
    for (; *list != NULL; list++)
        if (strcasecmp(word, *list) == 0)
            return true;
    return false;
}

static enum statement
after_ddl_word(struct words w)
{
    static const char *const objects[] = {
        "USER", "ROLE", "SERVER", "RESOURCE", "INSTANCE", "LOGFILE", NULL
    };
    if (accept(&w, "OR"))
        accept(&w, "REPLACE");
    char object[32];
    next_word(&w, object, sizeof object);
    return any_of(object, objects) ? STATEMENT_ADMIN : STATEMENT_OTHER;
}

/* What the statement is; *w stands behind the words that say so. */
static enum statement
classify(struct words *w)
{
    static const char *const dml[] = { "INSERT", "UPDATE", "DELETE", "REPLACE", "LOAD", "WITH",
                                       "CALL",   "DO",     "SELECT", "VALUES",  NULL };
    static const char *const ddl[] = { "CREATE", "ALTER", "DROP", "RENAME", NULL };
    static const char *const admin[] = { "GRANT",     "REVOKE", "SET",   "FLUSH", "ANALYZE",
                                         "OPTIMIZE",  "REPAIR", "CHECK", "RESET", "INSTALL",
                                         "UNINSTALL", "KILL",   "PURGE", "CACHE", NULL };
    char word[32];
    next_word(w, word, sizeof word);
    if (strcasecmp(word, "BEGIN") == 0)
        return STATEMENT_BEGIN;
    if (strcasecmp(word, "START") == 0)
        return accept(w, "TRANSACTION") ? STATEMENT_BEGIN : STATEMENT_OTHER;
    if (strcasecmp(word, "COMMIT") == 0)
        return STATEMENT_COMMIT;
    if (strcasecmp(word, "ROLLBACK") == 0)
        return after_rollback(w);
    if (strcasecmp(word, "SAVEPOINT") == 0)
        return STATEMENT_SAVEPOINT;
    if (strcasecmp(word, "RELEASE") == 0)
        return STATEMENT_RELEASE;
    if (strcasecmp(word, "XA") == 0)
        return after_xa(w);
    if (strcasecmp(word, "TRUNCATE") == 0) {
        accept(w, "TABLE");
        return STATEMENT_TRUNCATE;
    }
    if (any_of(word, dml))
        return STATEMENT_DML;
    if (any_of(word, ddl))
        return after_ddl_word(*w);
    return any_of(word, admin) ? STATEMENT_ADMIN : STATEMENT_OTHER;
}

/* ---------------------------------------------------------------- statements with rows */

/* The one table that the statement writes to, when its beginning tells. */
static bool
written_table(const struct query *q, struct table_name *t)
{
    static const char *const noise[] = { "LOW_PRIORITY", "HIGH_PRIORITY", "DELAYED", "IGNORE",
                                         "QUICK",        "INTO",          "FROM",    NULL };
    struct words w = { q->text, q->text + q->len };
    char word[32];
    next_word(&w, word, sizeof word);
    bool update = strcasecmp(word, "UPDATE") == 0;
    if (!update && strcasecmp(word, "INSERT") != 0 && strcasecmp(word, "REPLACE") != 0 &&
        strcasecmp(word, "DELETE") != 0)
        return false;
    for (struct words ahead = w;; w = ahead) {
        next_word(&ahead, word, sizeof word);
        if (!any_of(word, noise))
            break;
    }
    if (!next_table(&w, q, t))
        return false;
    return !update || accept(&w, "SET"); /* else several tables, or an alias */
}

static bool
system_database(const char *name, size_t len)
{
    static const char *const names[] = { "mysql", "sys", "information_schema", "performance_schema" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i]) == len && memcmp(names[i], name, len) == 0)
            return true;
    return false;
}

/* Rows that were logged as a statement: refused unless it is certain that they are not the task's. */
static int
judge_dml(struct binlog *d, struct binlog_frame *f, const struct query *q, struct tr_error *err)
{
    struct table_name t = { 0 };
    bool known = written_table(q, &t);
    if (known && system_database(t.database, strlen(t.database)))
        return 0;
    if (known && d->format.wants != NULL && !d->format.wants(d->format.arg, t.database, t.table))
        return 0;
    if (known)
        binlog_refuse(
            d, f, err,
            "table %s.%s was changed by a statement that was logged as text: its rows are not in the log",
            t.database, t.table);
    else
        binlog_refuse(d, f, err,
                      "a statement in database %.*s was logged as text: its rows are not in the log",
                      (int)q->database_len, q->database);
    return tr_error_hint(
        err, "SET GLOBAL binlog_format = 'ROW' on the source, end the sessions that were open before, and "
             "load the table again");
}

/* A truncate is told as such, and empties exactly the table it names. */
static int
add_truncate(struct binlog *d, struct binlog_frame *f, const struct query *q, struct words *w,
             struct tr_error *err)
{
    struct table_name t;
    if (!next_table(w, q, &t))
        return binlog_fail(d, f, err, "the name of the table to truncate cannot be read");
    struct table *table = binlog_table(d, t.database, strlen(t.database), t.table, strlen(t.table));
    if (d->format.wants != NULL && !d->format.wants(d->format.arg, t.database, t.table))
        return 0;
    int rc = table->relation == NULL ? binlog_relation_by_name(d, table, err) : 0;
    struct tr_txn *txn;
    if (rc < 0 || (rc = binlog_current(d, f, &txn, err)) < 0)
        return rc;
    struct tr_relation *relation = table->relation;
    const struct tr_decoder_hooks *hooks = &d->base.config.hooks;
    if (relation->skip || (atomic_load_explicit(&relation->guarded, memory_order_relaxed) &&
                           hooks->wanted != NULL && !hooks->wanted(hooks->arg, relation, txn)))
        return 0;
    struct tr_relation **list = tr_arena_alloc(&f->batch->arena, sizeof(struct tr_relation *));
    list[0] = relation;
    binlog_use(d, f, table, &(int){ 0 });
    binlog_hold(f, table);
    struct tr_event *event = binlog_add_event(d, f, TR_TRUNCATE);
    event->relation = relation;
    event->truncate.relations = list;
    event->truncate.nrelations = 1;
    return TR_DECODED_ROW;
}

/* Of tables whose rows do not come, as of an online schema change's copy, the statements do not either. */
static void
leave_out_tables(struct binlog *d, struct tr_event *event)
{
    for (uint32_t i = 0; i < event->ddl.ntables; i++) {
        struct tr_ddl_table *table = &event->ddl.tables[i];
        table->left_out =
            binlog_table(d, table->schema, strlen(table->schema), table->name, strlen(table->name))->unwanted;
    }
}

/* A zone may have any name, and SYSTEM is another one on each server: what the clock showed is told by the offset alone. */
static int
find_offset(struct binlog *d, struct tr_arena *arena, struct tr_event *event, struct tr_error *err)
{
    const struct tr_catalog *catalog = &d->base.config.catalog;
    const char *zone = event->ddl.time_zone;
    char offset[8] = "";
    int rc = 0;
    if (zone == NULL)
        return 0;
    if (zone[0] == '+' || zone[0] == '-')
        snprintf(offset, sizeof offset, "%s", zone);
    else if (catalog->offset != NULL)
        rc = catalog->offset(catalog->arg, zone, event->ddl.began_us, offset, err);
    event->ddl.offset = offset[0] != '\0' ? tr_arena_strdup(arena, offset) : NULL;
    return rc;
}

static int
add_ddl(struct binlog *d, struct binlog_frame *f, const struct query *q, struct tr_error *err)
{
    const struct charset *charset = q->session.collation != 0 ? binlog_charset(q->session.collation) : NULL;
    struct tr_arena *arena = &f->batch->arena;
    const char *text;
    if (charset == NULL || charset->kind == CHARSET_UTF8 || charset->kind == CHARSET_BINARY) {
        text = tr_arena_copy(arena, q->text, q->len);
    } else {
        struct tr_buffer utf8;
        tr_buffer_init(&utf8, binlog_max_payload(d));
        int rc = binlog_to_utf8(charset, q->text, q->len, &utf8, err);
        text = rc == 0 ? tr_arena_copy(arena, utf8.data != NULL ? utf8.data : "", utf8.len) : NULL;
        tr_buffer_fini(&utf8);
        if (rc < 0)
            return tr_error_prefix(err, "binlog: the statement at %s:%llu", d->file,
                                   (unsigned long long)TR_BINLOG_OFFSET(f->order));
    }
    struct tr_event *event = binlog_add_event(d, f, TR_DDL);
    event->ddl.database = tr_arena_copy(arena, q->database, q->database_len);
    event->ddl.text = text;
    binlog_give_session(d, f, &q->session, event);
    int rc = find_offset(d, arena, event, err);
    if (rc < 0)
        return rc;
    binlog_read_tables(arena, event);
    if (event->ddl.defined != NULL) {
        tr_batch_hold(f->batch, event->ddl.defined);
        tr_relation_unref(event->ddl.defined);
    }
    leave_out_tables(d, event);
    rc = binlog_reshaped(d, f, event, err);
    return rc < 0 ? rc : TR_DECODED_ROW;
}

/* ---------------------------------------------------------------- dispatch */

/* A statement that is a transaction of its own, or stands in the open one. */
static int
statement_with_edges(struct binlog *d, struct binlog_frame *f, const struct query *q, enum statement kind,
                     struct words *w, struct tr_error *err)
{
    bool alone = !d->in_txn, undecided = d->announced.set && d->announced.undecided;
    int edges = alone ? binlog_begin(d, f, err) : 0;
    if (edges < 0)
        return edges;
    if (alone)
        f->batch->txns[f->batch->ntxns - 1].thread_id = q->thread_id;
    struct tr_txn *txn;
    int rc = binlog_current(d, f, &txn, err);
    if (alone && undecided)
        kind = STATEMENT_ADMIN;
    if (rc == 0 && kind == STATEMENT_DML)
        rc = judge_dml(d, f, q, err);
    else if (rc == 0 && kind == STATEMENT_TRUNCATE)
        rc = add_truncate(d, f, q, w, err);
    else if (rc == 0 && kind == STATEMENT_OTHER)
        rc = add_ddl(d, f, q, err);
    if (rc < 0 || !alone)
        return rc;
    int end = binlog_commit(d, f, err);
    return end < 0 ? end : edges | rc | end;
}

static int
begin(struct binlog *d, struct binlog_frame *f, const struct query *q, struct tr_error *err)
{
    if (d->in_txn && d->held)
        return 0;
    int rc = binlog_begin(d, f, err);
    if (rc < 0)
        return rc;
    d->txn.thread_id = f->batch->txns[f->batch->ntxns - 1].thread_id = q->thread_id;
    return rc;
}

static int
savepoint(struct binlog *d, struct binlog_frame *f, enum statement kind, struct words *w,
          struct tr_error *err)
{
    char name[260];
    struct tr_txn *txn;
    if (!next_name(w, name, sizeof name))
        return binlog_fail(d, f, err, "the name of its savepoint cannot be read");
    int rc = binlog_current(d, f, &txn, err);
    if (rc < 0)
        return rc;
    if (kind == STATEMENT_ROLLBACK_TO)
        return binlog_undo(d, f, name, err);
    binlog_savepoint(d, name);
    return 0;
}

static int
decided_elsewhere(struct binlog *d, struct binlog_frame *f, struct tr_error *err)
{
    if (d->in_txn && d->held)
        return binlog_commit(d, f, err);
    binlog_refuse(d, f, err, "it commits an XA branch that was prepared before, of which nothing was kept");
    return tr_error_hint(err, "load the tables of the branch again (tailrace reload)");
}

static int
run_statement(struct binlog *d, struct binlog_frame *f, const struct query *q, struct tr_error *err)
{
    struct words w = { q->text, q->text + q->len };
    enum statement kind = classify(&w);
    int rc;
    switch (kind) {
    case STATEMENT_BEGIN:
    case STATEMENT_XA_START: return begin(d, f, q, err);
    case STATEMENT_XA_COMMIT_ONE_PHASE:
    case STATEMENT_COMMIT: return binlog_commit(d, f, err);
    case STATEMENT_ROLLBACK: rc = binlog_undo(d, f, NULL, err); return rc < 0 ? rc : binlog_commit(d, f, err);
    case STATEMENT_SAVEPOINT:
    case STATEMENT_ROLLBACK_TO: return savepoint(d, f, kind, &w, err);
    case STATEMENT_RELEASE:
    case STATEMENT_XA_END: return 0;
    case STATEMENT_XA_COMMIT: return decided_elsewhere(d, f, err);
    /* what was held is dropped; its own place in the log counts as a transaction without changes */
    case STATEMENT_XA_ROLLBACK:
    default: return statement_with_edges(d, f, q, kind, &w, err);
    }
}

int
binlog_read_query(struct binlog *d, struct binlog_frame *f, struct tr_error *err)
{
    struct query q;
    int rc = parse_query(d, f, &q, err);
    if (rc == 0) {
        leave_settings_out(&q);
        rc = run_statement(d, f, &q, err);
    }
    free(q.malloced);
    return rc;
}

/* The identifier as it stands behind the words: X'..',X'..',1. */
static void
peek_xid(struct words w, struct tr_frame_peek *peek)
{
    char word[32];
    next_word(&w, word, sizeof word); /* START, COMMIT, ROLLBACK */
    skip_blanks(&w);
    uint8_t parts[2][256];
    size_t lens[2] = { 0, 0 };
    uint32_t format = 1;
    for (size_t part = 0; part < 2 && w.end - w.at >= 2 && (w.at[0] == 'X' || w.at[0] == 'x'); part++) {
        const char *digits = w.at + 2;
        const char *close = memchr(digits, '\'', (size_t)(w.end - digits));
        if (close == NULL)
            return;
        for (; digits + 1 < close && lens[part] < sizeof parts[part]; digits += 2) {
            char two[3] = { digits[0], digits[1], '\0' };
            parts[part][lens[part]++] = (uint8_t)strtoul(two, NULL, 16);
        }
        w.at = close + 1;
        if (w.at < w.end && *w.at == ',')
            w.at++;
        skip_blanks(&w);
    }
    if (w.at < w.end && *w.at >= '0' && *w.at <= '9') {
        next_word(&w, word, sizeof word);
        format = (uint32_t)strtoul(word, NULL, 10);
    }
    binlog_xid_text(peek, format, parts[0], lens[0], parts[1], lens[1]);
}

int
binlog_peek_query(struct binlog *d, struct binlog_frame *f, struct tr_frame_peek *peek, struct tr_error *err)
{
    struct query q;
    int rc = parse_query(d, f, &q, err);
    if (rc < 0)
        return rc;
    struct words w = { q.text, q.text + q.len };
    if (q.len >= 4 && strncasecmp(q.text, "XA ", 3) == 0) {
        switch (classify(&w)) {
        case STATEMENT_XA_START: peek->role = TR_ROLE_PREPARED_BEGIN; break;
        case STATEMENT_XA_COMMIT: peek->role = TR_ROLE_COMMIT_PREPARED; break;
        case STATEMENT_XA_ROLLBACK: peek->role = TR_ROLE_ROLLBACK_PREPARED; break;
        default: break;
        }
        if (peek->role != TR_ROLE_PLAIN)
            peek_xid(w, peek);
    }
    free(q.malloced);
    return 0;
}
