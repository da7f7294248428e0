/*
 * ddl_mysql.c - statements for a MySQL or MariaDB target.
 *
 * The primary key stands in CREATE TABLE: InnoDB keeps the rows in its order, and an AUTO_INCREMENT column must be a key from the start. Checks are added to the empty
 * table; other indexes follow the rows, foreign keys follow all tables (ddl_mysql_keys.c, ddl_mysql_foreign.c).
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/memory.h"
#include "schema/ddl_mysql.h"
#include "schema/expression.h"
#include "schema/key_types.h"
#include "schema/names.h"
#include "schema/own_collation.h"
#include "schema/own_column.h"

#define COMMENT_CHARACTERS 1024
#define TABLE_COMMENT_CHARACTERS 2048
#define OLDEST_MARIADB 100500
#define ROW_BYTES 60000 /* of the 65,535 that the columns of a row may take beside those stored apart */

void
tr_my_ddl_identifier(struct tr_buffer *out, const char *name)
{
    tr_buffer_byte(out, '`');
    for (; *name != '\0'; name++) {
        if (*name == '`')
            tr_buffer_byte(out, '`');
        tr_buffer_byte(out, *name);
    }
    tr_buffer_byte(out, '`');
}

void
tr_my_ddl_literal(struct tr_buffer *out, const char *text)
{
    tr_buffer_byte(out, '\'');
    for (; *text != '\0'; text++) {
        if (*text == '\'' || *text == '\\')
            tr_buffer_byte(out, *text);
        tr_buffer_byte(out, *text);
    }
    tr_buffer_byte(out, '\'');
}

bool
tr_my_ddl_is_family(const struct tr_ddl_builder *b)
{
    return strcmp(b->schema->dialect, "mysql") == 0 || strcmp(b->schema->dialect, "mariadb") == 0;
}

/* The same server at both ends: its own statement says everything. */
bool
tr_my_ddl_is_same(const struct tr_ddl_builder *b)
{
    return strcmp(b->schema->dialect, b->target.mariadb ? "mariadb" : "mysql") == 0;
}

/* Does the task give a column another type? Then the source's own statement will not do. */
bool
tr_my_ddl_has_chosen_type(const struct tr_relation *relation)
{
    for (uint16_t c = 0; c < relation->ncolumns; c++)
        if (relation->columns[c].target_type != NULL)
            return true;
    return false;
}

const char *
tr_my_ddl_database(const struct tr_ddl_builder *b, const char *schema)
{
    bool is_public = strcmp(schema, "public") == 0 && !tr_my_ddl_is_family(b);
    return is_public && b->target.public_database != NULL ? b->target.public_database : schema;
}

void
tr_my_ddl_table_name(struct tr_ddl_builder *b, const struct tr_table *table)
{
    tr_my_ddl_identifier(&b->text, tr_my_ddl_database(b, table->relation->target_schema));
    tr_buffer_byte(&b->text, '.');
    tr_my_ddl_identifier(&b->text, table->relation->target_name);
}

/* Partitions of a root come with the root, which is one table here. */
bool
tr_my_ddl_is_made(const struct tr_table *table)
{
    return table->parent == 0 && !table->relation->skip;
}

/* ---- columns */

static bool
is_textual(enum tr_logical logical)
{
    switch (logical) {
    case TR_TEXT:
    case TR_CHAR:
    case TR_BYTES:
    case TR_OTHER:
    case TR_ARRAY:
    case TR_JSON:
    case TR_JSONB:
    case TR_HSTORE:
    case TR_XML:
    case TR_RANGE:
    case TR_MULTIRANGE:
    case TR_COMPOSITE:
    case TR_LTREE:
    case TR_TSVECTOR:
    case TR_VECTOR: return true;
    default: return false;
    }
}

static bool
holds(const struct tr_object *object, uint16_t column)
{
    for (uint16_t i = 0; i < object->ncolumns; i++)
        if (object->columns[i] == column)
            return true;
    return false;
}

static unsigned
textual_columns(const struct tr_relation *relation, const uint16_t *columns, uint16_t ncolumns)
{
    unsigned n = 0;
    for (uint16_t i = 0; i < ncolumns; i++)
        n += is_textual(relation->columns[columns[i]].logical);
    return n;
}

/* In which keys is the column, and with how many texts does it share the narrowest? */
static enum tr_convert_use
use_of(const struct tr_table *table, uint16_t column, bool crowded, unsigned *share)
{
    const struct tr_relation *relation = table->relation;
    bool keyed = relation->columns[column].key > 0;
    *share = keyed ? textual_columns(relation, relation->keys, relation->nkeys) : 1;
    for (uint32_t i = 0; i < table->nobjects; i++) {
        const struct tr_object *object = &table->objects[i];
        if ((object->kind != TR_OBJECT_UNIQUE && object->kind != TR_OBJECT_FOREIGN_KEY &&
             object->kind != TR_OBJECT_PRIMARY_KEY) ||
            object->has_expression || !holds(object, column))
            continue;
        unsigned texts = textual_columns(relation, object->columns, object->ncolumns);
        keyed = true;
        *share = texts > *share ? texts : *share;
    }
    return keyed ? TR_CONVERT_KEYED : crowded ? TR_CONVERT_CROWDED : TR_CONVERT_PLAIN;
}

/* MariaDB's json is a longtext whose check says json_valid(column). */
static bool
is_json_alias(struct tr_arena *arena, const struct tr_table *table, const struct tr_column *column)
{
    struct tr_own_column own;
    char *valid = tr_asprintf("json_valid(`%s`)", column->name);
    bool json = column->logical == TR_TEXT && column->target_type == NULL &&
                tr_own_column(arena, table, column->name, &own) && own.check != NULL &&
                strcmp(own.check, valid) == 0;
    free(valid);
    return json;
}

struct tr_column
tr_ddl_plain_column(struct tr_arena *arena, const struct tr_table *table, uint16_t index, bool *json)
{
    struct tr_column column = table->relation->columns[index];
    *json = is_json_alias(arena, table, &column);
    if (*json) {
        column.logical = TR_JSON;
        column.native = column.type_name = "json";
        column.charset = column.collation = NULL;
    }
    return column;
}

void
tr_my_ddl_column_type(const struct tr_ddl_builder *b, const struct tr_table *table, uint16_t column,
                      bool crowded, struct tr_buffer *type, struct tr_buffer *note)
{
    unsigned share;
    bool json;
    enum tr_convert_use use = use_of(table, column, crowded, &share);
    struct tr_column plain = tr_ddl_plain_column(&b->ddl->arena, table, column, &json);
    tr_buffer_reset(type);
    tr_buffer_reset(note);
    enum tr_logical linked = b->key_types != NULL ? b->key_types[table - b->schema->tables][column]
                                                  : plain.logical;
    bool wider = linked != plain.logical && plain.target_type == NULL;
    plain.logical = wider ? linked : plain.logical;
    tr_convert_to_mysql(b->schema->dialect, &plain, &b->target, use, share, type, note);
    if (wider)
        tr_buffer_printf(note, "becomes %s, as the other end of a foreign key is", type->data);
}

static bool
is_crowded(const struct tr_ddl_builder *b, const struct tr_table *table, struct tr_buffer *type,
           struct tr_buffer *note)
{
    uint32_t bytes = 0;
    for (uint16_t c = 0; c < table->relation->ncolumns && !tr_my_ddl_is_family(b); c++) {
        tr_my_ddl_column_type(b, table, c, false, type, note);
        bytes += tr_convert_row_bytes(type->data);
    }
    return bytes > ROW_BYTES;
}

/* The column that counts by itself: the first such integer. */
int
tr_my_ddl_counting_column(struct tr_ddl_builder *b, const struct tr_relation *relation)
{
    for (uint16_t c = 0; c < relation->ncolumns; c++) {
        enum tr_logical logical = relation->columns[c].logical;
        if (relation->columns[c].auto_increment && logical >= TR_INT8 && logical <= TR_UINT64 &&
            tr_my_ddl_asks(b, &relation->columns[c]) == NULL)
            return c;
    }
    return -1;
}

/* What one of the two takes as it is, the other wants in parentheses. */
static void
write_own_default(struct tr_ddl_builder *b, const struct tr_relation *relation,
                  const struct tr_column *column, const char *type, const char *text)
{
    bool constant = strchr("'-0123456789", text[0]) != NULL || strncasecmp(text, "b'", 2) == 0 ||
                    strncasecmp(text, "x'", 2) == 0;
    bool apart = constant && (strcasestr(type, "text") != NULL || strcasestr(type, "blob") != NULL ||
                              strncasecmp(type, "json", 4) == 0);
    bool moment = strncasecmp(text, "current_timestamp", 17) == 0;
    if (tr_my_ddl_is_same(b) &&
        !tr_expression_is_shared(text, b->target.mariadb)) /* uuid(), nextval(`db`.`s`) */
        tr_buffer_printf(&b->text, text[0] == '(' ? " DEFAULT %s" : " DEFAULT (%s)", text);
    else if (!tr_expression_is_shared(text, b->target.mariadb))
        tr_ddl_note(b, relation, column->name,
                    "default %s is not carried: the target may not know its functions",
                    tr_ddl_short(b, text));
    else if (text[0] == '(' || moment || (constant && (!apart || b->target.mariadb)))
        tr_buffer_printf(&b->text, " DEFAULT %s", tr_expression_bare(&b->ddl->arena, text));
    else
        tr_buffer_printf(&b->text, " DEFAULT (%s)", tr_expression_bare(&b->ddl->arena, text));
}

/* The options of a sequence that AUTO_INCREMENT does not have. */
static void
note_sequence(struct tr_ddl_builder *b, const struct tr_table *table, const struct tr_column *column)
{
    if (column->identity_always)
        tr_ddl_note(b, table->relation, column->name,
                    "is GENERATED ALWAYS at the source; the target takes a number of the writer's own");
    for (uint32_t i = 0; i < table->nobjects; i++) {
        const struct tr_object *sequence = &table->objects[i];
        if (sequence->kind != TR_OBJECT_SEQUENCE || sequence->owned_column == NULL ||
            strcmp(sequence->owned_column, column->name) != 0)
            continue;
        if (sequence->increment != 1 || sequence->cycle)
            tr_ddl_note(
                b, table->relation, column->name,
                "counts in steps of %lld%s at the source; the target counts by ones (auto_increment_increment)",
                (long long)sequence->increment, sequence->cycle ? ", and begins again at its end," : "");
    }
}

static void
write_default(struct tr_ddl_builder *b, const struct tr_relation *relation, const struct tr_column *column,
              const char *type)
{
    const char *text = column->default_expression;
    struct tr_buffer value;
    if (text == NULL || strncmp(text, "NULL::", 6) == 0 || strcasecmp(text, "NULL") == 0)
        return;
    if (tr_my_ddl_is_family(b)) {
        write_own_default(b, relation, column, type, text);
        return;
    }
    const struct tr_object *sequence = tr_my_ddl_asks(b, column);
    if (sequence != NULL) {
        tr_buffer_text(&b->text, " DEFAULT nextval(");
        tr_my_ddl_sequence_name(b, sequence);
        tr_buffer_byte(&b->text, ')');
        return;
    }
    tr_buffer_init(&value, (size_t)1 << 20);
    if (column->auto_increment)
        tr_ddl_note(b, relation, column->name,
                    "counts by a sequence at the source; the target does so for one column of a table only");
    else if (tr_convert_default_to_mysql(column, type, &b->target, &value))
        tr_buffer_printf(&b->text, " DEFAULT %s", value.data);
    else
        tr_ddl_note(b, relation, column->name, "default %s is not carried", tr_ddl_short(b, text));
    tr_buffer_fini(&value);
}

static bool
translate_generated(struct tr_ddl_builder *b, const struct tr_table *table, const struct tr_column *column,
                    const char *text, struct tr_buffer *out)
{
    struct tr_expression e = { .relation = table->relation,
                               .from = "postgresql",
                               .to = "mysql",
                               .use = TR_EXPRESSION_GENERATED,
                               .column = column };
    if (text == NULL || tr_expression_translate(&e, text, out))
        return text != NULL;
    tr_ddl_note_generated(b, table->relation, column, text, e.reason);
    return false;
}

bool
tr_my_ddl_lacks(const struct tr_ddl_builder *b, const struct tr_table *table, uint16_t column)
{
    struct tr_own_column own;
    return !tr_column_arrives(&table->relation->columns[column]) &&
           !(tr_own_column(&b->ddl->arena, table, table->relation->columns[column].name, &own) &&
             own.generated != NULL && tr_expression_is_shared(own.generated, b->target.mariadb));
}

/* False when the expression does not translate, which is said. */
static bool
write_generated(struct tr_ddl_builder *b, const struct tr_table *table, const struct tr_column *column,
                const char *type, const char *comment)
{
    struct tr_own_column own = { .stored = true };
    struct tr_buffer expression;
    bool known;
    tr_buffer_init(&expression, (size_t)1 << 20);
    if (tr_my_ddl_is_family(b)) {
        known = tr_own_column(&b->ddl->arena, table, column->name, &own) && own.generated != NULL;
        if (known && !tr_expression_is_shared(own.generated, b->target.mariadb)) {
            tr_ddl_note_generated(b, table->relation, column, own.generated,
                                  "the target may not know its functions, or give something else");
            known = false;
        }
        tr_buffer_text(&expression, known ? tr_expression_bare(&b->ddl->arena, own.generated) : "");
    } else {
        known = translate_generated(b, table, column, column->default_expression, &expression);
    }
    if (known) {
        tr_my_ddl_identifier(&b->text, column->name);
        tr_buffer_printf(&b->text, " %s GENERATED ALWAYS AS (%s) %s", type, expression.data,
                         own.stored ? "STORED" : "VIRTUAL");
        tr_my_ddl_comment(b, table->relation, column->name, " COMMENT ", comment, COMMENT_CHARACTERS);
    }
    tr_buffer_fini(&expression);
    return known;
}

void
tr_my_ddl_comment(struct tr_ddl_builder *b, const struct tr_relation *relation, const char *column,
                  const char *word, const char *comment, size_t characters)
{
    if (comment == NULL || comment[0] == '\0')
        return;
    size_t len = 0, count = 0;
    for (; comment[len] != '\0'; len++) {
        count += ((unsigned char)comment[len] & 0xc0) != 0x80;
        if (count > characters)
            break;
    }
    if (comment[len] != '\0')
        tr_ddl_note(b, relation, column,
                    "its comment is cut to %zu characters, the most that the target keeps", characters);
    tr_buffer_text(&b->text, word);
    tr_my_ddl_literal(&b->text, tr_arena_copy(&b->ddl->arena, comment, len));
}

/* What only the source's own statement says of the column. */
static void
write_own_rest(struct tr_ddl_builder *b, const struct tr_own_column *own)
{
    if (own->on_update != NULL)
        tr_buffer_printf(&b->text, " ON UPDATE %s", own->on_update);
    bool hides = b->target.mariadb || b->target.version == 0 || b->target.version >= 80023;
    if (own->invisible && hides)
        tr_buffer_text(&b->text, " INVISIBLE");
}

static bool
write_column(struct tr_ddl_builder *b, const struct tr_table *table, uint16_t index, const char *type,
             bool counting)
{
    bool json;
    const struct tr_relation *relation = table->relation;
    struct tr_column column = tr_ddl_plain_column(&b->ddl->arena, table, index, &json);
    const char *comment = table->column_comments != NULL ? table->column_comments[index] : NULL;
    struct tr_own_column own = { .default_text = NULL };
    if (column.generated && write_generated(b, table, &column, type, comment))
        return true;
    if (!tr_column_arrives(&column))
        return false;
    if (tr_my_ddl_is_family(b) && tr_own_column(&b->ddl->arena, table, column.name, &own))
        column.default_expression = own.default_text;
    else if (column.generated) /* PostgreSQL's catalogue has the expression there */
        column.default_expression = NULL;
    tr_my_ddl_identifier(&b->text, column.name);
    tr_buffer_printf(&b->text, " %s%s", type, column.not_null || column.key > 0 ? " NOT NULL" : " NULL");
    if (counting) {
        tr_buffer_text(&b->text, " AUTO_INCREMENT");
        note_sequence(b, table, &column);
    } else {
        write_default(b, relation, &column, type);
    }
    write_own_rest(b, &own);
    tr_my_ddl_comment(b, relation, column.name, " COMMENT ", comment, COMMENT_CHARACTERS);
    return true;
}

/* Columns that PostgreSQL computes are in no log: the target computes them too, or does without. */
static void
write_computed(struct tr_ddl_builder *b, const struct tr_table *table)
{
    struct tr_buffer type, note;
    tr_buffer_init(&type, (size_t)1 << 20);
    tr_buffer_init(&note, (size_t)1 << 16);
    for (uint16_t c = 0; c < table->ncomputed; c++) {
        size_t before = b->text.len;
        tr_buffer_reset(&type);
        tr_buffer_reset(&note);
        tr_convert_to_mysql(b->schema->dialect, &table->computed[c], &b->target, TR_CONVERT_PLAIN, 1, &type,
                            &note);
        tr_buffer_text(&b->text, ", ");
        if (!write_generated(b, table, &table->computed[c], type.data, NULL))
            b->text.len = before;
    }
    tr_buffer_fini(&type);
    tr_buffer_fini(&note);
}

/*
 * The key that a counting column needs from the beginning: the source's own, where that is one of this column alone. Any other gets a name that no index of the source has, for
 * one that is there under its name is not made again.
 */
static void
write_counting_key(struct tr_ddl_builder *b, const struct tr_table *table, int counting)
{
    const char *column = table->relation->columns[counting].name, *name = column;
    for (uint32_t i = 0; i < table->nobjects; i++) {
        const struct tr_object *object = &table->objects[i];
        bool index = object->kind == TR_OBJECT_UNIQUE || object->kind == TR_OBJECT_INDEX;
        if (index && tr_my_ddl_is_family(b) && object->native != NULL && object->ncolumns == 1 &&
            !object->has_expression && object->columns[0] == counting) {
            tr_buffer_printf(&b->text, ", %s", object->native);
            return;
        }
        if (index && strcasecmp(object->name, column) == 0)
            name = tr_name_joined(&b->ddl->arena, b->schema, table->relation, column, TR_NAME_MYSQL);
    }
    tr_buffer_text(&b->text, ", KEY ");
    tr_my_ddl_identifier(&b->text, name);
    tr_buffer_text(&b->text, " (");
    tr_my_ddl_identifier(&b->text, column);
    tr_buffer_byte(&b->text, ')');
}

static void
write_primary_key(struct tr_ddl_builder *b, const struct tr_table *table, int counting)
{
    const struct tr_relation *relation = table->relation;
    const char *own = tr_my_ddl_is_family(b) ? tr_ddl_prefixed_primary(&b->ddl->arena, table) : NULL;
    if (own != NULL)
        tr_buffer_printf(&b->text, ", PRIMARY KEY %s", own);
    for (uint16_t k = 0; own == NULL && k < relation->nkeys; k++) {
        tr_buffer_text(&b->text, k > 0 ? ", " : ", PRIMARY KEY (");
        tr_my_ddl_identifier(&b->text, relation->columns[relation->keys[k]].name);
    }
    tr_buffer_text(&b->text, own == NULL && relation->nkeys > 0 ? ")" : "");
    if (counting >= 0 && (relation->nkeys == 0 || relation->keys[0] != counting))
        write_counting_key(b, table, counting);
}

static void
add_table(struct tr_ddl_builder *b, uint32_t index)
{
    const struct tr_relation *relation = b->schema->tables[index].relation;
    tr_ddl_add(b, (struct tr_ddl_statement){ .phase = TR_DDL_BEFORE,
                                             .kind = TR_OBJECT_TABLE,
                                             .schema = tr_my_ddl_database(b, relation->target_schema),
                                             .name = relation->target_name,
                                             .table = index });
}

/* Behind "ENGINE=" or "ENGINE = ": the name of an engine without transactions? Its length, or 0. */
static size_t
foreign_engine(const char *at)
{
    size_t len = strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_");
    return len == 6 && strncasecmp(at, "InnoDB", 6) == 0 ? 0 : len;
}

/* "NAME=word" of the table's options that only its old engine knows? Its length, or 0. */
static size_t
foreign_option(const char *at)
{
    static const char *const names[] = { " ROW_FORMAT=", " PAGE_CHECKSUM=", " TRANSACTIONAL=" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strncmp(at, names[i], strlen(names[i])) == 0)
            return strlen(names[i]) + strcspn(at + strlen(names[i]), " \n");
    return 0;
}

/* `tailrace schema` does not ask the target for its version: it says what an old one would get. */
static const char *
with_known_collations(struct tr_ddl_builder *b, const struct tr_table *table)
{
    struct tr_buffer out, told;
    struct tr_convert_target oldest = { .mariadb = b->target.mariadb, .version = OLDEST_MARIADB };
    bool known = b->target.version != 0;
    const char *create = table->create;
    tr_buffer_init(&out, TR_BUFFER_MAX);
    tr_buffer_init(&told, TR_BUFFER_MAX);
    if (tr_own_collations(create, strlen(create), known ? &b->target : &oldest, &out, &told)) {
        if (known)
            create = tr_arena_copy(&b->ddl->arena, out.data, out.len);
        tr_ddl_note(b, table->relation, NULL,
                    known ? "has collations that the target does not know: %s"
                          : "has collations that older servers do not know; at one of these %s",
                    told.data);
    }
    tr_buffer_fini(&out);
    tr_buffer_fini(&told);
    return create;
}

/*
 * The source's own statement. Only InnoDB can take part in a transaction with the checkpoint: a table of another engine is made in InnoDB. The
 * options stand behind the columns, those of partitions too; texts among them (COMMENT) are passed over.
 */
static void
copy_definition(struct tr_ddl_builder *b, const struct tr_table *table)
{
    static const char behind[] = "\n) ENGINE=";
    const char *create = with_known_collations(b, table), *end = strstr(create, behind);
    const char *engine = end != NULL ? end + strlen(behind) : NULL;
    size_t len = engine != NULL ? foreign_engine(engine) : 0;
    if (len == 0) {
        tr_buffer_printf(&b->text, " %s", create);
        return;
    }
    tr_ddl_note(b, table->relation, NULL,
                "is kept by %.*s at the source, which has no transactions, and by InnoDB at the target",
                (int)len, engine);
    tr_buffer_printf(&b->text, " %.*sInnoDB", (int)(engine - create), create);
    bool quoted = false;
    for (const char *at = engine + len; *at != '\0';) {
        size_t skip = quoted ? 0 : foreign_option(at);
        quoted = quoted != (*at == '\'');
        if (!quoted && strncmp(at, "ENGINE = ", 9) == 0) {
            tr_buffer_text(&b->text, "ENGINE = InnoDB");
            skip = 9 + strspn(at + 9, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_");
        } else if (skip == 0) {
            tr_buffer_byte(&b->text, *at);
        }
        at += skip > 0 ? skip : 1;
    }
}

static void
build_table(struct tr_ddl_builder *b, uint32_t index)
{
    const struct tr_table *table = &b->schema->tables[index];
    const struct tr_relation *relation = table->relation;
    struct tr_buffer type, note;
    if (tr_my_ddl_is_same(b) && table->create != NULL && !tr_my_ddl_has_chosen_type(relation)) {
        tr_buffer_text(&b->text, "CREATE TABLE ");
        tr_my_ddl_table_name(b, table);
        copy_definition(b, table);
        add_table(b, index);
        return;
    }
    tr_buffer_init(&type, (size_t)1 << 20);
    tr_buffer_init(&note, (size_t)1 << 16);
    bool crowded = is_crowded(b, table, &type, &note), any = false;
    int counting = tr_my_ddl_counting_column(b, relation);
    tr_buffer_text(&b->text, "CREATE TABLE ");
    tr_my_ddl_table_name(b, table);
    tr_buffer_text(&b->text, " (");
    for (uint16_t c = 0; c < relation->ncolumns; c++) {
        size_t before = b->text.len;
        tr_my_ddl_column_type(b, table, c, crowded, &type, &note);
        tr_buffer_text(&b->text, any ? ", " : "");
        if (!write_column(b, table, c, type.data, c == counting)) {
            b->text.len = before;
            continue;
        }
        any = true;
        if (note.len > 0)
            tr_ddl_note(b, relation, relation->columns[c].name, "%s: %s",
                        relation->columns[c].native != NULL ? relation->columns[c].native : "value",
                        note.data);
    }
    write_computed(b, table);
    write_primary_key(b, table, counting);
    tr_buffer_text(&b->text, ") ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 ROW_FORMAT=DYNAMIC");
    tr_my_ddl_comment(b, relation, NULL, " COMMENT=", table->comment, TABLE_COMMENT_CHARACTERS);
    if (relation->kind == 'p')
        tr_ddl_note(b, relation, NULL, "is partitioned at the source and becomes one table");
    if (tr_my_ddl_is_family(b))
        tr_ddl_note_own(b, table);
    add_table(b, index);
    tr_buffer_fini(&type);
    tr_buffer_fini(&note);
}

/* ---- databases */

static bool
database_listed(const struct tr_ddl_builder *b, const char *name)
{
    for (uint32_t i = 0; i < b->ddl->count; i++)
        if (b->ddl->statements[i].kind == TR_OBJECT_SCHEMA && strcmp(b->ddl->statements[i].name, name) == 0)
            return true;
    return false;
}

/* own: what the database says at a source of the same engine, or NULL. It is for tables that the stream makes; those of the load say all themselves. */
static void
build_database(struct tr_ddl_builder *b, const char *schema, const char *own)
{
    const char *database = tr_my_ddl_database(b, schema);
    if (database_listed(b, database))
        return;
    tr_buffer_text(&b->text, "CREATE DATABASE IF NOT EXISTS ");
    tr_my_ddl_identifier(&b->text, database);
    tr_buffer_byte(&b->text, ' ');
    if (own == NULL || !tr_my_ddl_is_same(b)) {
        tr_buffer_text(&b->text, "CHARACTER SET utf8mb4");
    } else {
        struct tr_buffer told;
        tr_buffer_init(&told, TR_BUFFER_MAX);
        if (!tr_own_collations(own, strlen(own), &b->target, &b->text, &told))
            tr_buffer_text(&b->text, own);
        tr_buffer_fini(&told);
    }
    tr_ddl_add(b, (struct tr_ddl_statement){ .phase = TR_DDL_BEFORE,
                                             .kind = TR_OBJECT_SCHEMA,
                                             .schema = database,
                                             .name = database,
                                             .table = TR_DDL_NO_TABLE });
}

static void
build_before(struct tr_ddl_builder *b)
{
    const struct tr_schema *schema = b->schema;
    for (uint32_t t = 0; t < schema->ntables; t++)
        if (tr_my_ddl_is_made(&schema->tables[t]))
            build_database(b, schema->tables[t].relation->target_schema, schema->tables[t].database);
    for (uint32_t i = 0; i < schema->nobjects; i++)
        if (tr_my_ddl_has_sequence(b, &schema->objects[i])) {
            build_database(b, schema->objects[i].schema, NULL);
            tr_my_ddl_sequence(b, &schema->objects[i]);
        }
    for (uint32_t t = 0; t < schema->ntables; t++)
        if (tr_my_ddl_is_made(&schema->tables[t])) {
            build_table(b, t);
            tr_my_ddl_checks(b, t);
        }
}

static void
build(struct tr_ddl_builder *builder, enum tr_ddl_phase phase, uint32_t table)
{
    if (builder->key_types == NULL && !tr_my_ddl_is_family(builder))
        builder->key_types = tr_key_types(&builder->ddl->arena, builder->schema);
    if (phase != TR_DDL_TABLE_AFTER)
        tr_my_ddl_find_asked(builder);
    if (phase == TR_DDL_BEFORE)
        build_before(builder);
    else if (phase == TR_DDL_TABLE_AFTER)
        tr_my_ddl_after(builder, table);
    else
        tr_my_ddl_end(builder);
}

static void
build_mariadb(struct tr_ddl_builder *builder, enum tr_ddl_phase phase, uint32_t table)
{
    builder->target.mariadb = true;
    build(builder, phase, table);
}

const struct tr_ddl_dialect tr_ddl_mysql = {
    .name = "mysql", .sources = "postgresql|mysql|mariadb", .folds_names = true, .build = build
};
const struct tr_ddl_dialect tr_ddl_mariadb = {
    .name = "mariadb", .sources = "postgresql|mysql|mariadb", .folds_names = true, .build = build_mariadb
};
