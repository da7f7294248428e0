/*
 * statement.c - which tables a DDL statement names, and where: so that a sink can run it under other names.
 *
 * Only statements that make, change or drop tables and their indexes are looked at; all others stay TR_VERB_OTHER. The
 * text is read as tokens (words, names in quotes, texts, single characters), which is enough to find every name.
 */
#include <string.h>
#include <strings.h>

#include "decoders/binlog/scan.h"

/* [database.]table is the next thing: one more of the statement's tables. */
static bool
take_table(struct scan *s)
{
    struct tr_event *event = s->event;
    struct token first = binlog_next(s), second = first;
    struct scan ahead = *s;
    struct token dot = binlog_next(&ahead);
    if (!binlog_is_name(&first))
        return false;
    bool qualified = binlog_is_mark(&dot, '.');
    if (qualified) {
        second = binlog_next(&ahead);
        s->at = ahead.at;
    }
    if (!binlog_is_name(&second))
        return false;
    if (event->ddl.ntables == s->capacity) {
        struct tr_ddl_table *more = tr_arena_zalloc(s->arena, (s->capacity + 4) * 2 * sizeof *more);
        if (event->ddl.ntables > 0)
            memcpy(more, event->ddl.tables, event->ddl.ntables * sizeof *more);
        event->ddl.tables = more;
        s->capacity = (s->capacity + 4) * 2;
    }
    struct tr_ddl_table *table = &event->ddl.tables[event->ddl.ntables++];
    table->schema = table->target_schema = qualified ? binlog_name_of(s, &first) : event->ddl.database;
    table->name = table->target_name = binlog_name_of(s, &second);
    table->at = (uint32_t)(first.from - event->ddl.text);
    table->len = (uint32_t)(second.to - first.from);
    return true;
}

/* [IF EXISTS] a [TO] b */
static void
take_column_names(struct scan *s, bool with_to)
{
    struct scan ahead = *s;
    struct tr_event *event = s->event;
    if (!binlog_if_exists(&ahead))
        return;
    struct token from = binlog_next(&ahead);
    if (with_to && !binlog_accept(&ahead, "TO"))
        return;
    struct token to = binlog_next(&ahead);
    if (!binlog_is_name(&from) || !binlog_is_name(&to))
        return;
    if (event->ddl.nrenames == s->renames) {
        s->renames = 2 * s->renames + 4;
        struct tr_ddl_rename *more = tr_arena_zalloc(s->arena, s->renames * sizeof *more);
        if (event->ddl.nrenames > 0)
            memcpy(more, event->ddl.renames, event->ddl.nrenames * sizeof *more);
        event->ddl.renames = more;
    }
    struct tr_ddl_rename *rename = (struct tr_ddl_rename *)&event->ddl.renames[event->ddl.nrenames];
    *rename = (struct tr_ddl_rename){ binlog_name_of(s, &from), binlog_name_of(s, &to) };
    event->ddl.nrenames += strcmp(rename->from, rename->to) != 0;
    s->at = ahead.at;
}

/* What an action of ALTER TABLE does to columns; true when it has been taken whole. Indexes, constraints and options of the table leave them alone. */
static bool
take_columns(struct scan *s, const struct token *t)
{
    static const char *const columns[] = { "CHANGE", "MODIFY", "COLUMN", "FIRST", "AFTER", "CONVERT", NULL };
    struct scan ahead = *s;
    struct token what = binlog_next(&ahead);
    bool add = binlog_is_word(t, "ADD") || binlog_is_word(t, "DROP");
    s->event->ddl.reshapes = s->event->ddl.reshapes || binlog_is_any(t, columns) ||
                             (add && (!binlog_is_no_column(&what) || binlog_is_word(&what, "PRIMARY")));
    if (binlog_is_word(t, "CHANGE")) {
        binlog_accept(s, "COLUMN");
        take_column_names(s, false);
    } else if (binlog_is_word(t, "RENAME") && binlog_is_word(&what, "COLUMN")) {
        s->event->ddl.reshapes = true;
        s->at = ahead.at;
        take_column_names(s, true);
        return true;
    }
    return false;
}

/* DROP PARTITION p, EXCHANGE PARTITION p WITH TABLE t, CONVERT PARTITION p TO TABLE t and back, IMPORT TABLESPACE: rows come or go with what holds them. */
static bool
moves_rows(const struct scan *s, const struct token *t)
{
    static const char *const actions[] = { "DROP",   "TRUNCATE", "EXCHANGE", "CONVERT",
                                           "IMPORT", "DISCARD",  NULL };
    static const char *const things[] = { "PARTITION", "TABLE", "TABLESPACE", NULL };
    struct scan ahead = *s;
    struct token what = binlog_next(&ahead);
    return binlog_is_any(t, actions) && binlog_is_any(&what, things);
}

/* Another table that an action of ALTER TABLE names: RENAME TO t, EXCHANGE PARTITION p WITH TABLE t. */
static bool
take_action(struct scan *s, const struct token *t)
{
    static const char *const parts[] = { "COLUMN", "INDEX", "KEY", "CONSTRAINT", "PARTITION", NULL };
    s->event->ddl.moves_rows = s->event->ddl.moves_rows || moves_rows(s, t);
    if (binlog_is_word(t, "TABLE"))
        return take_table(s);
    if (take_columns(s, t))
        return true;
    if (!binlog_is_word(t, "RENAME"))
        return true;
    struct scan ahead = *s;
    struct token what = binlog_next(&ahead);
    if (binlog_is_any(&what, parts))
        return true;
    s->event->ddl.reshapes = true;
    if (binlog_is_word(&what, "TO") || binlog_is_word(&what, "AS") || binlog_is_mark(&what, '='))
        s->at = ahead.at;
    bool known = take_table(s);
    if (known)
        s->event->ddl.tables[s->event->ddl.ntables - 1].renamed = true;
    return known;
}

/* Is the token behind this one an index's name? It may be a function's, too: KEY nextval (a). */
static bool
names_index(const struct token *before)
{
    static const char *const words[] = { "KEY",     "INDEX",  "UNIQUE", "FULLTEXT",
                                         "SPATIAL", "VECTOR", "EXISTS", NULL };
    return binlog_is_any(before, words);
}

/* nextval(s), lastval(s), setval(s, ...), NEXT VALUE FOR s, PREVIOUS VALUE FOR s: the sequence is named, too. False when what follows the word is no such call. */
static bool
take_sequence(struct scan *s, const struct token *t, int *depth)
{
    static const char *const functions[] = { "NEXTVAL", "LASTVAL", "SETVAL", NULL };
    static const char *const values[] = { "NEXT", "PREVIOUS", NULL };
    struct scan ahead = *s;
    struct token open = binlog_next(&ahead);
    bool call = binlog_is_any(t, functions) && binlog_is_mark(&open, '(');
    if (!call &&
        !(binlog_is_any(t, values) && binlog_is_word(&open, "VALUE") && binlog_accept(&ahead, "FOR")))
        return false;
    if (!take_table(&ahead))
        return false;
    s->at = ahead.at;
    s->capacity = ahead.capacity;
    *depth += call;
    return true;
}

/* In the clause of a new column, of which `computed` is set behind DEFAULT: does its server give each row that is there a value of its own? */
static void
note_values(const struct scan *s, const struct token *t, bool *computed)
{
    static const char *const functions[] = { "UUID",     "UUID_SHORT", "UUID_V4",      "UUID_V7",
                                             "SYS_GUID", "RAND",       "RANDOM_BYTES", NULL };
    struct scan ahead = *s;
    struct token open = binlog_next(&ahead);
    *computed = *computed || binlog_is_word(t, "DEFAULT");
    if (*computed && binlog_is_any(t, functions) && binlog_is_mark(&open, '('))
        s->event->ddl.numbers = true;
    if (binlog_is_word(t, "AUTO_INCREMENT"))
        s->event->ddl.counts = true;
}

/* What follows the table's own name: other tables by name. */
static bool
take_rest(struct scan *s, bool alter)
{
    int depth = 0;
    bool first = true, known = true, clause = alter, adds = false, computed = false;
    struct token t = { TOKEN_OTHER, "", "" }, before = t;
    for (struct scan at = *s; known; at = *s) {
        before = t;
        t = binlog_next(s);
        if (t.kind == TOKEN_END)
            break;
        if (clause) {
            binlog_read_clause(at);
            adds = binlog_is_word(&t, "ADD");
            computed = false;
        }
        if (adds)
            note_values(s, &t, &computed);
        clause = alter && depth == 0 && binlog_is_mark(&t, ',');
        depth += binlog_is_mark(&t, '(') ? 1 : binlog_is_mark(&t, ')') ? -1 : 0;
        if (!names_index(&before) && take_sequence(s, &t, &depth)) {
            s->event->ddl.numbers = s->event->ddl.numbers || adds;
            continue;
        }
        if (binlog_is_word(&t, "REFERENCES") || (!alter && first && binlog_is_word(&t, "LIKE")))
            known = take_table(s);
        else if (alter && depth == 0)
            known = take_action(s, &t);
        first = first && binlog_is_mark(&t, '(');
    }
    return known;
}

/* MariaDB: [WAIT n | NOWAIT], for the table's lock */
static bool
skip_wait(struct scan *s)
{
    if (binlog_accept(s, "WAIT"))
        return binlog_next(s).kind == TOKEN_WORD;
    binlog_accept(s, "NOWAIT");
    return true;
}

/* INDEX [IF ...] name [USING type] ON table */
static bool
take_index(struct scan *s)
{
    if (!binlog_if_exists(s))
        return false;
    for (struct token t = binlog_next(s); t.kind != TOKEN_END; t = binlog_next(s))
        if (binlog_is_word(&t, "ON"))
            return take_table(s);
    return false;
}

static enum tr_ddl_verb
create(struct scan *s)
{
    static const char *const kinds[] = {
        "ONLINE", "OFFLINE", "UNIQUE", "FULLTEXT", "SPATIAL", "VECTOR", NULL
    };
    bool replaces = binlog_accept(s, "OR");
    if (replaces && !binlog_accept(s, "REPLACE"))
        return TR_VERB_OTHER;
    struct token t = binlog_next(s);
    while (binlog_is_any(&t, kinds))
        t = binlog_next(s);
    if (binlog_is_word(&t, "TABLE")) {
        s->event->ddl.reshapes = replaces;
        return binlog_if_exists(s) && take_table(s) && take_rest(s, false) ? TR_VERB_CREATE_TABLE
                                                                           : TR_VERB_OTHER;
    }
    if (binlog_is_word(&t, "SEQUENCE"))
        return binlog_if_exists(s) && take_table(s) ? TR_VERB_CREATE_SEQUENCE : TR_VERB_OTHER;
    return binlog_is_word(&t, "INDEX") && take_index(s) ? TR_VERB_CREATE_INDEX : TR_VERB_OTHER;
}

static enum tr_ddl_verb
drop(struct scan *s)
{
    while (binlog_accept(s, "ONLINE") || binlog_accept(s, "OFFLINE"))
        continue;
    if (binlog_accept(s, "INDEX"))
        return take_index(s) ? TR_VERB_DROP_INDEX : TR_VERB_OTHER;
    if (binlog_accept(s, "DATABASE") || binlog_accept(s, "SCHEMA")) {
        struct token name = binlog_if_exists(s) ? binlog_next(s) : (struct token){ TOKEN_END, NULL, NULL };
        s->event->ddl.drops = binlog_is_name(&name) ? binlog_name_of(s, &name) : NULL;
        return TR_VERB_OTHER;
    }
    bool sequence = binlog_accept(s, "SEQUENCE");
    if ((!sequence && !binlog_accept(s, "TABLE") && !binlog_accept(s, "TABLES")) || !binlog_if_exists(s))
        return TR_VERB_OTHER;
    for (struct token t = { TOKEN_OTHER, ",", NULL }; binlog_is_mark(&t, ','); t = binlog_next(s))
        if (!take_table(s))
            return TR_VERB_OTHER;
    return sequence ? TR_VERB_DROP_SEQUENCE : TR_VERB_DROP_TABLE;
}

static enum tr_ddl_verb
alter(struct scan *s)
{
    for (;;) {
        if (binlog_accept(s, "IGNORE"))
            s->event->ddl.moves_rows = true; /* of rows that are alike under a new key one stays */
        else if (!binlog_accept(s, "ONLINE") && !binlog_accept(s, "OFFLINE"))
            break;
    }
    if (binlog_accept(s, "SEQUENCE"))
        return binlog_if_exists(s) && take_table(s) ? TR_VERB_ALTER_SEQUENCE : TR_VERB_OTHER;
    bool known = binlog_accept(s, "TABLE") && binlog_if_exists(s) && take_table(s) && skip_wait(s) &&
                 take_rest(s, true);
    return known ? TR_VERB_ALTER_TABLE : TR_VERB_OTHER;
}

static enum tr_ddl_verb
rename_tables(struct scan *s)
{
    if ((!binlog_accept(s, "TABLE") && !binlog_accept(s, "TABLES")) || !binlog_if_exists(s))
        return TR_VERB_OTHER;
    for (struct token t = { TOKEN_OTHER, ",", NULL }; binlog_is_mark(&t, ','); t = binlog_next(s))
        if (!take_table(s) || !skip_wait(s) || !binlog_accept(s, "TO") || !take_table(s))
            return TR_VERB_OTHER;
    return TR_VERB_RENAME_TABLE;
}

void
binlog_read_tables(struct tr_arena *arena, struct tr_event *event)
{
    struct scan s = { arena, event, event->ddl.text, event->ddl.text + strlen(event->ddl.text), 0, 0 };
    event->ddl.tables = NULL;
    event->ddl.renames = NULL;
    event->ddl.nrenames = 0;
    event->ddl.defined = NULL;
    event->ddl.columns = NULL;
    event->ddl.reshapes = event->ddl.numbers = event->ddl.counts = false;
    event->ddl.drops = NULL;
    event->ddl.ntables = 0;
    enum tr_ddl_verb verb = binlog_accept(&s, "ALTER")    ? alter(&s)
                            : binlog_accept(&s, "CREATE") ? create(&s)
                            : binlog_accept(&s, "DROP")   ? drop(&s)
                            : binlog_accept(&s, "RENAME") ? rename_tables(&s)
                                                          : TR_VERB_OTHER;
    event->ddl.verb = (uint8_t)verb;
    event->ddl.reshapes = event->ddl.reshapes || verb == TR_VERB_DROP_TABLE || verb == TR_VERB_RENAME_TABLE;
    if (verb == TR_VERB_OTHER)
        event->ddl.ntables = 0;
}
