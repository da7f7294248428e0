/* ddl.c - the list of dialects, and what all of them share: the list of statements and the printed script. */
#include "schema/ddl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/memory.h"
#include "core/text.h"
#include "schema/ddl_internal.h"
#include "schema/own_column.h"
#include "schema/sequence.h"

static const struct tr_ddl_dialect *const dialects[] = { &tr_ddl_postgresql, &tr_ddl_postgresql_from_mysql,
                                                         &tr_ddl_mysql, &tr_ddl_mariadb };

#define INNODB_COLUMNS 1017 /* of a table */
#define NAME_HINT "rename it at the source, or leave the table out of the task's tables"
#define DIALECTS (sizeof(dialects) / sizeof(dialects[0]))

static bool
listed(const char *list, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = list; at != NULL; at = strchr(at, '|')) {
        at += *at == '|';
        if (strncmp(at, word, len) == 0 && (at[len] == '\0' || at[len] == '|'))
            return true;
    }
    return false;
}

static const struct tr_ddl_dialect *
dialect_find(const struct tr_schema *schema, const char *name, struct tr_error *err)
{
    bool known = false;
    for (size_t i = 0; i < DIALECTS; i++) {
        bool same = strcmp(dialects[i]->name, name) == 0;
        known = known || same;
        if (same && listed(dialects[i]->sources, schema->dialect))
            return dialects[i];
    }
    if (known) {
        tr_fail(err, TR_CONFIG, "tables of a %s source cannot be made as %s tables", schema->dialect, name);
        tr_error_hint(err, "make the tables at the target yourself and run with schema: expect");
        return NULL;
    }
    tr_fail(err, TR_CONFIG, "no tables can be made in the dialect \"%s\"", name);
    return NULL;
}

void
tr_ddl_add(struct tr_ddl_builder *builder, struct tr_ddl_statement statement)
{
    struct tr_ddl *ddl = builder->ddl;
    if (ddl->count == builder->capacity) {
        builder->capacity = builder->capacity > 0 ? 2 * builder->capacity : 64;
        ddl->statements = tr_realloc(ddl->statements, builder->capacity * sizeof(*ddl->statements));
    }
    statement.sql = tr_arena_copy(&ddl->arena, builder->text.data, builder->text.len);
    ddl->statements[ddl->count++] = statement;
    tr_buffer_reset(&builder->text);
}

void
tr_ddl_note(struct tr_ddl_builder *builder, const struct tr_relation *relation, const char *column,
            const char *fmt, ...)
{
    struct tr_ddl *ddl = builder->ddl;
    char object[400], text[1200];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    snprintf(object, sizeof object, "%s.%s%s%s", relation->schema, relation->name, column != NULL ? "." : "",
             column != NULL ? column : "");
    if (ddl->nnotes == builder->notes_capacity) {
        builder->notes_capacity = builder->notes_capacity > 0 ? 2 * builder->notes_capacity : 16;
        ddl->notes = tr_realloc(ddl->notes, builder->notes_capacity * sizeof(*ddl->notes));
    }
    ddl->notes[ddl->nnotes++] = (struct tr_schema_note){ .object = tr_arena_strdup(&ddl->arena, object),
                                                         .text = tr_arena_strdup(&ddl->arena, text) };
}

void
tr_ddl_note_sequence(struct tr_ddl_builder *builder, const struct tr_object *sequence, const char *text)
{
    struct tr_relation named = { .schema = sequence->schema, .name = sequence->name };
    tr_ddl_note(builder, &named, NULL, "%s", text);
}

bool
tr_ddl_sequence_fit(struct tr_ddl_builder *builder, const struct tr_object *sequence, int64_t least,
                    int64_t most, struct tr_object *fit)
{
    if (!tr_sequence_fit(sequence, least, most, fit)) {
        tr_ddl_note_sequence(builder, sequence,
                             "sequence is not carried: its numbers are beyond those of the target");
        return false;
    }
    if (sequence->is_unsigned && fit->maximum != sequence->maximum)
        tr_ddl_note_sequence(builder, sequence, "ends at the target's last number, before the source's");
    return true;
}

const char *
tr_ddl_short(struct tr_ddl_builder *builder, const char *text)
{
    struct tr_buffer out;
    tr_buffer_init(&out, 4096);
    bool blank = false;
    for (; *text != '\0' && out.len < 300; text++) {
        bool space = *text == '\n' || *text == ' ' || *text == '\t';
        if (!space || !blank)
            tr_buffer_byte(&out, space ? ' ' : *text);
        blank = space;
    }
    while (*text != '\0' && out.len > 0 && ((unsigned char)out.data[out.len - 1] & 0xc0) == 0x80)
        out.len--;
    tr_buffer_text(&out, *text != '\0' ? "..." : "");
    const char *kept = tr_arena_copy(&builder->ddl->arena, out.len > 0 ? out.data : "", out.len);
    tr_buffer_fini(&out);
    return kept;
}

void
tr_ddl_note_generated(struct tr_ddl_builder *builder, const struct tr_relation *relation,
                      const struct tr_column *column, const char *expression, const char *reason)
{
    bool plain = tr_column_arrives(column);
    tr_ddl_note(builder, relation, column->name, "is generated as %s: %s, for %s%s",
                expression != NULL ? tr_ddl_short(builder, expression) : "nobody knows what",
                plain ? "it becomes a plain column, filled with the source's values"
                      : "the column is not made",
                reason, plain ? "" : ", and the log does not have its values");
}

const char *
tr_ddl_check_text(struct tr_ddl_builder *builder, const char *native, const char **tail)
{
    const char *open = native != NULL && strncasecmp(native, "CHECK (", 7) == 0 ? native + 6 : NULL;
    const char *close = open != NULL ? tr_own_group_end(open, open + strlen(open)) : NULL;
    if (close == NULL)
        return NULL;
    if (tail != NULL)
        *tail = close + (*close == ' ');
    return tr_arena_copy(&builder->ddl->arena, open + 1, (size_t)(close - open - 2));
}

/* The options of the table: behind the line that closes its columns. */
static const char *
own_options(const struct tr_table *table)
{
    const char *at = table->create != NULL ? strstr(table->create, "\n) ") : NULL;
    for (const char *next = at; next != NULL; next = strstr(next + 1, "\n) "))
        at = next;
    return at != NULL ? at + 2 : "";
}

int64_t
tr_ddl_own_counter(const struct tr_table *table)
{
    static const char word[] = " AUTO_INCREMENT=";
    const char *at = strstr(own_options(table), word), *comment = strstr(own_options(table), " COMMENT='");
    return at != NULL && (comment == NULL || at < comment) ? strtoll(at + strlen(word), NULL, 10) : 0;
}

void
tr_ddl_note_own(struct tr_ddl_builder *builder, const struct tr_table *table)
{
    const struct tr_relation *relation = table->relation;
    const char *options = own_options(table);
    if (strstr(options, "PARTITION BY") != NULL)
        tr_ddl_note(builder, relation, NULL, "is partitioned at the source and becomes one table");
    if (strstr(options, "WITH SYSTEM VERSIONING") != NULL)
        tr_ddl_note(
            builder, relation, NULL,
            "keeps its history at the source (system versioning); the target has its present rows only");
    if (table->has_triggers)
        tr_ddl_note(
            builder, relation, NULL,
            "triggers are not carried: what they do at the source comes as changes; make them anew before the target is written to");
}

const char *
tr_ddl_prefixed_primary(struct tr_arena *arena, const struct tr_table *table)
{
    for (uint32_t i = 0; i < table->nobjects; i++) {
        const char *native = table->objects[i].native;
        const char *open = table->objects[i].kind == TR_OBJECT_PRIMARY_KEY && native != NULL
                               ? strchr(native, '(')
                               : NULL;
        const char *close = open != NULL ? tr_own_group_end(open, open + strlen(open)) : NULL;
        if (close != NULL && strstr(open, "`(") != NULL)
            return tr_arena_copy(arena, open, (size_t)(close - open));
    }
    return NULL;
}

bool
tr_ddl_leads_to_key(const struct tr_table *parent, const struct tr_object *object)
{
    const struct tr_relation *relation = parent->relation;
    for (uint32_t k = 0; k <= parent->nobjects; k++) {
        const struct tr_object *key = k < parent->nobjects ? &parent->objects[k] : NULL;
        const uint16_t *columns = key != NULL ? key->columns : relation->keys;
        uint16_t count = key != NULL ? key->ncolumns : relation->nkeys, found = 0;
        bool partial = key != NULL && (key->kind != TR_OBJECT_UNIQUE || key->has_expression ||
                                       (key->native != NULL && strstr(key->native, "`(") != NULL));
        if (count != object->ncolumns || partial)
            continue;
        for (uint16_t i = 0; i < count; i++)
            for (uint16_t r = 0; r < count; r++)
                found += strcmp(relation->columns[columns[i]].name, object->ref_columns[r]) == 0;
        if (found == count)
            return true;
    }
    return false;
}

static int
check_name(const struct tr_relation *relation, const char *what, const char *name, size_t most,
           struct tr_error *err)
{
    if (strlen(name) <= most)
        return 0;
    tr_fail(err, TR_REFUSED, "%s.%s: the name of the %s \"%s\" has %zu bytes; the target takes %zu",
            relation->schema, relation->name, what, name, strlen(name), most);
    return tr_error_hint(err, NAME_HINT);
}

/* A name that is cut would be found by no row. */
static int
check_lengths(const struct tr_relation *relation, size_t most, struct tr_error *err)
{
    int rc = check_name(relation, "schema", relation->target_schema, most, err);
    if (rc == 0)
        rc = check_name(relation, "table", relation->target_name, most, err);
    for (uint16_t i = 0; rc == 0 && i < relation->ncolumns; i++)
        rc = check_name(relation, "column", relation->columns[i].name, most, err);
    return rc;
}

static int
check_blank(const struct tr_relation *relation, const char *what, const char *name, struct tr_error *err)
{
    size_t len = strlen(name);
    if (len == 0 || name[len - 1] != ' ')
        return 0;
    tr_fail(err, TR_REFUSED,
            "%s.%s: the name of the %s \"%s\" ends with a blank, which the target takes in no name",
            relation->schema, relation->name, what, name);
    return tr_error_hint(err, NAME_HINT);
}

/* MySQL and MariaDB: columns are told apart without case, and InnoDB has a limit to them. */
static int
check_folded(const struct tr_relation *relation, struct tr_error *err)
{
    int rc = check_blank(relation, "table", relation->target_name, err);
    if (rc == 0 && (relation->ncolumns == 0 || relation->ncolumns > INNODB_COLUMNS)) {
        tr_fail(err, TR_REFUSED, "%s.%s: it has %u columns; a table of the target has 1 to %d",
                relation->schema, relation->name, relation->ncolumns, INNODB_COLUMNS);
        return tr_error_hint(err, "leave the table out of the task's tables");
    }
    for (uint16_t i = 0; rc == 0 && i < relation->ncolumns; i++) {
        const char *name = relation->columns[i].name;
        rc = check_blank(relation, "column", name, err);
        for (uint16_t k = 0; rc == 0 && k < i; k++)
            if (strcasecmp(name, relation->columns[k].name) == 0) {
                tr_fail(
                    err, TR_REFUSED,
                    "%s.%s: the columns \"%s\" and \"%s\" have one name at the target, which does not look at case",
                    relation->schema, relation->name, relation->columns[k].name, name);
                rc = tr_error_hint(err, NAME_HINT);
            }
    }
    return rc;
}

static int
check_names(const struct tr_ddl_dialect *printer, const struct tr_relation *relation, struct tr_error *err)
{
    int rc = relation->skip || printer->name_max == 0 ? 0 : check_lengths(relation, printer->name_max, err);
    return rc == 0 && !relation->skip && printer->folds_names ? check_folded(relation, err) : rc;
}

int
tr_ddl_names_fit(const struct tr_schema *schema, const char *dialect, uint32_t table, struct tr_error *err)
{
    const struct tr_ddl_dialect *printer = dialect_find(schema, dialect, err);
    return printer == NULL ? -(int)err->class : check_names(printer, schema->tables[table].relation, err);
}

static int
builder_init(struct tr_ddl_builder *builder, const struct tr_schema *schema, const char *dialect,
             const struct tr_convert_target *target, const struct tr_ddl_dialect **printer,
             struct tr_error *err)
{
    *printer = dialect_find(schema, dialect, err);
    if (*printer == NULL)
        return -(int)err->class;
    for (uint32_t t = 0; t < schema->ntables; t++) {
        int rc = check_names(*printer, schema->tables[t].relation, err);
        if (rc < 0)
            return rc;
    }
    *builder = (struct tr_ddl_builder){ .schema = schema, .ddl = tr_calloc(1, sizeof(struct tr_ddl)) };
    if (target != NULL)
        builder->target = *target;
    tr_arena_init(&builder->ddl->arena);
    tr_buffer_init(&builder->text, TR_BUFFER_MAX);
    return 0;
}

static int
builder_finish(struct tr_ddl_builder *builder, struct tr_ddl **ddl, struct tr_error *err)
{
    bool overflow = builder->text.overflow;
    tr_buffer_fini(&builder->text);
    if (overflow) {
        tr_ddl_free(builder->ddl);
        return tr_fail(err, TR_FATAL, "a statement that makes a table would be larger than 1 GiB");
    }
    *ddl = builder->ddl;
    return 0;
}

int
tr_ddl_new_at(const struct tr_schema *schema, const char *dialect, const struct tr_convert_target *target,
              uint32_t only_table, struct tr_ddl **ddl, struct tr_error *err)
{
    const struct tr_ddl_dialect *printer;
    struct tr_ddl_builder builder;
    *ddl = NULL;
    int rc = builder_init(&builder, schema, dialect, target, &printer, err);
    if (rc < 0)
        return rc;
    if (only_table != TR_DDL_NO_TABLE) {
        printer->build(&builder, TR_DDL_TABLE_AFTER, only_table);
        return builder_finish(&builder, ddl, err);
    }
    printer->build(&builder, TR_DDL_BEFORE, TR_DDL_NO_TABLE);
    for (uint32_t t = 0; t < schema->ntables; t++)
        printer->build(&builder, TR_DDL_TABLE_AFTER, t);
    printer->build(&builder, TR_DDL_END, TR_DDL_NO_TABLE);
    return builder_finish(&builder, ddl, err);
}

int
tr_ddl_new(const struct tr_schema *schema, const char *dialect, struct tr_ddl **ddl, struct tr_error *err)
{
    return tr_ddl_new_at(schema, dialect, NULL, TR_DDL_NO_TABLE, ddl, err);
}

int
tr_ddl_new_for_table(const struct tr_schema *schema, const char *dialect, uint32_t table, struct tr_ddl **ddl,
                     struct tr_error *err)
{
    return tr_ddl_new_at(schema, dialect, NULL, table, ddl, err);
}

void
tr_ddl_free(struct tr_ddl *ddl)
{
    if (ddl == NULL)
        return;
    free(ddl->statements);
    free(ddl->notes);
    tr_arena_fini(&ddl->arena);
    free(ddl);
}

/* One line each, whatever a name of the source has in it. */
static void
add_line(struct tr_buffer *report, const char *object, const char *text)
{
    tr_text_printable(report, object, strlen(object));
    tr_buffer_text(report, ": ");
    tr_text_printable(report, text, strlen(text));
    tr_buffer_byte(report, '\n');
}

static void
report_object(const struct tr_object *object, struct tr_buffer *report)
{
    bool type = object->kind == TR_OBJECT_TYPE && object->native == NULL;
    if (!type && object->kind != TR_OBJECT_FUNCTION && object->kind != TR_OBJECT_COLLATION)
        return;
    char *name = tr_asprintf("%s %s%s%s", tr_object_kind_name(object->kind), type ? object->schema : "",
                             type ? "." : "", object->name);
    char *text = tr_asprintf("must exist at the target already%s%s",
                             object->comment != NULL ? ", used by " : "",
                             object->comment != NULL ? object->comment : "");
    add_line(report, name, text);
    free(name);
    free(text);
}

static void
print_report(const struct tr_schema *schema, const struct tr_ddl *ddl, bool same, struct tr_buffer *report)
{
    for (uint32_t i = 0; i < schema->nobjects && same; i++) /* another server does without them */
        report_object(&schema->objects[i], report);
    for (uint32_t i = 0; i < schema->nnotes; i++)
        add_line(report, schema->notes[i].object, schema->notes[i].text);
    for (uint32_t i = 0; i < ddl->nnotes; i++)
        add_line(report, ddl->notes[i].object, ddl->notes[i].text);
}

int
tr_schema_print_ddl(const struct tr_schema *schema, const char *dialect,
                    const struct tr_convert_target *target, struct tr_buffer *out, struct tr_buffer *report,
                    struct tr_error *err)
{
    static const char *const titles[] = {
        [TR_DDL_BEFORE] = "-- before the rows\n",
        [TR_DDL_TABLE_AFTER] = "\n-- after the rows of each table\n",
        [TR_DDL_END] = "\n-- when all tables are filled\n",
    };
    struct tr_ddl *ddl;
    int rc = tr_ddl_new_at(schema, dialect, target, TR_DDL_NO_TABLE, &ddl, err);
    if (rc < 0)
        return rc;
    for (uint32_t i = 0; i < ddl->count; i++) {
        const struct tr_ddl_statement *statement = &ddl->statements[i];
        if (i == 0 || statement->phase != ddl->statements[i - 1].phase)
            tr_buffer_text(out, titles[statement->phase]);
        tr_buffer_text(out, statement->sql);
        tr_buffer_text(out, ";\n");
    }
    print_report(schema, ddl, strcmp(schema->dialect, dialect) == 0, report);
    tr_ddl_free(ddl);
    return 0;
}
