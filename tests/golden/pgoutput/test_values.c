/* test_values.c - a value in PostgreSQL's binary format has the very text that PostgreSQL prints for it; and
 * the types are those of a server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/memory.h"
#include "decoders/pgoutput/copy_binary.h"
#include "decoders/pgoutput/copy_text.h"
#include "decoders/pgoutput/types.h"
#include "tests/unit/decoders/pgoutput_help.h"

/* The columns of a .types file: "oid typmod name typtype". */
static struct tr_relation *
load_relation(const char *name)
{
    size_t len;
    char *file = tr_asprintf("%s.types", name), *text = read_golden(file, &len), *at = text;
    struct tr_relation *relation = tr_relation_new();
    struct tr_column *columns = tr_arena_zalloc(&relation->arena, 100 * sizeof *columns);
    char type[64], kind;
    unsigned oid;
    int modifier, used;
    while (sscanf(at, "%u %d %63s %c\n%n", &oid, &modifier, type, &kind, &used) == 4) {
        struct tr_column *column = &columns[relation->ncolumns++];
        column->name = tr_arena_strdup(&relation->arena, type);
        column->type_id = oid;
        column->type_mod = modifier;
        tr_pg_describe(column, &relation->arena);
        if (column->type_name == NULL) {
            column->type_name = column->name;
            column->logical = tr_pg_logical(type, kind, '\0');
        }
        at += used;
    }
    assert_true(*at == '\0' && relation->ncolumns > 0);
    relation->columns = columns;
    relation->schema = "public";
    relation->name = tr_arena_strdup(&relation->arena, name);
    relation->codec = &tr_pg_codec;
    free(text);
    free(file);
    return relation;
}

static struct tr_batch *
load_text(struct tr_relation *relation, const char *name)
{
    struct tr_pg_copy_text copy;
    struct tr_batch *batch = tr_batch_new();
    struct tr_error err;
    size_t len;
    char *file = tr_asprintf("%s.txt", name), *text = read_golden(file, &len);
    tr_pg_copy_text_init(&copy, 1 << 20);
    for (size_t at = 0; at < len; at += 7) { /* cut into pieces anywhere */
        if (tr_pg_copy_text_feed(&copy, relation, text + at, len - at < 7 ? len - at : 7, batch, &err) < 0)
            fail_msg("%s", err.text);
    }
    assert_int_equal(tr_pg_copy_text_end(&copy, relation, &err), 0);
    tr_pg_copy_text_fini(&copy);
    free(text);
    free(file);
    return batch;
}

static struct tr_batch *
load_binary(struct tr_relation *relation, const char *name, size_t piece)
{
    struct tr_pg_copy_binary copy;
    struct tr_batch *batch = tr_batch_new();
    struct tr_error err;
    size_t len;
    char *file = tr_asprintf("%s.bin", name), *bytes = read_golden(file, &len);
    tr_pg_copy_binary_init(&copy, 1 << 20);
    for (size_t at = 0; at < len; at += piece) {
        if (tr_pg_copy_binary_feed(&copy, relation, bytes + at, len - at < piece ? len - at : piece, batch,
                                   &err) < 0)
            fail_msg("%s", err.text);
    }
    assert_int_equal(tr_pg_copy_binary_end(&copy, relation, &err), 0);
    tr_pg_copy_binary_fini(&copy);
    free(bytes);
    free(file);
    return batch;
}

static void
compare_value(const struct tr_relation *relation, uint16_t i, const struct tr_value *binary,
              const struct tr_value *text, struct tr_buffer *scratch)
{
    struct tr_error err;
    const char *got;
    size_t len;
    assert_int_equal(binary->state, text->state);
    if (binary->state != TR_PRESENT)
        return;
    assert_int_equal(binary->codec, TR_CODEC_PG_BINARY);
    if (tr_value_text(relation, &relation->columns[i], binary, scratch, &got, &len, &err) < 0)
        fail_msg("%s (it should be %s)", err.text, text->data);
    if (len != text->len || memcmp(got, text->data, len) != 0)
        fail_msg("%s: got %s, PostgreSQL prints %s", relation->columns[i].name, got, text->data);
}

static void
binary_has_the_servers_text(void **state)
{
    const char *name = *state;
    struct tr_relation *relation = load_relation(name);
    struct tr_batch *text = load_text(relation, name);
    struct tr_batch *binary = load_binary(relation, name, 1 << 20), *pieces = load_binary(relation, name, 5);
    struct tr_buffer scratch;
    tr_buffer_init(&scratch, TR_BUFFER_MAX);
    assert_true(text->nevents > 10);
    assert_int_equal(text->nevents, text->rows);
    assert_int_equal(text->nevents, binary->nevents);
    assert_int_equal(text->nevents, pieces->nevents);
    for (uint32_t e = 0; e < text->nevents; e++) {
        for (uint16_t i = 0; i < relation->ncolumns; i++) {
            compare_value(relation, i, &binary->events[e].after[i], &text->events[e].after[i], &scratch);
            compare_value(relation, i, &pieces->events[e].after[i], &text->events[e].after[i], &scratch);
        }
    }
    tr_buffer_fini(&scratch);
    tr_batch_free(text);
    tr_batch_free(binary);
    tr_batch_free(pieces);
    tr_relation_unref(relation);
}

/* Bytes of a wrong length are refused by every type, and none reads past them. */
static void
short_values_are_refused(void **state)
{
    (void)state;
    struct tr_relation *relation = load_relation("golden_values");
    struct tr_batch *batch = load_binary(relation, "golden_values", 1 << 20);
    struct tr_buffer out;
    struct tr_error err;
    size_t refused = 0;
    tr_buffer_init(&out, 1 << 20);
    for (uint16_t i = 0; i < relation->ncolumns; i++) {
        enum tr_logical logical = relation->columns[i].logical;
        bool open_ended = logical == TR_TEXT || logical == TR_CHAR || logical == TR_BYTES ||
                          logical == TR_JSON || logical == TR_JSONB || logical == TR_ENUM;
        struct tr_value value = batch->events[0].after[i];
        assert_int_equal(value.state, TR_PRESENT);
        for (uint32_t len = 0; !open_ended && len < value.len; len++) {
            if (logical == TR_MACADDR && len == 6)
                continue; /* the shorter of its two types */
            char *copy = tr_malloc(len > 0 ? len : 1);
            memcpy(copy, value.data, len);
            struct tr_value cut = { copy, len, TR_PRESENT, TR_CODEC_PG_BINARY };
            tr_buffer_reset(&out);
            assert_int_equal(relation->codec->text(&relation->columns[i], &cut, &out, &err), -TR_FATAL);
            free(copy);
            refused++;
        }
    }
    assert_true(refused > 100);
    tr_buffer_fini(&out);
    tr_batch_free(batch);
    tr_relation_unref(relation);
}

/* types.tsv: name, oid, array oid, typtype, typcategory, format_type. */
static void
types_are_the_servers(void **state)
{
    (void)state;
    size_t len;
    char *text = read_golden("types.tsv", &len), *rest = text, *line;
    int known = 0;
    while ((line = strsep(&rest, "\n")) != NULL && *line != '\0') {
        const char *name = strsep(&line, "\t");
        uint32_t oid = (uint32_t)strtoul(strsep(&line, "\t"), NULL, 10);
        uint32_t array = (uint32_t)strtoul(strsep(&line, "\t"), NULL, 10);
        char kind = *strsep(&line, "\t");
        strsep(&line, "\t");
        const struct tr_pg_type *type = tr_pg_type_by_oid(oid);
        if (strcmp(name, "aclitem") == 0 || strcmp(name, "gtsvector") == 0)
            continue;
        if (type == NULL)
            fail_msg("%s is not in the table", name);
        assert_string_equal(type->name, name);
        assert_int_equal(type->array_oid, array);
        assert_ptr_equal(tr_pg_array_element(array), type);
        assert_string_equal(type->sql != NULL ? type->sql : type->name, line);
        assert_int_equal(tr_pg_logical(name, kind, '\0'), type->logical);
        known++;
    }
    assert_true(known > 60);
    free(text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        { "values", binary_has_the_servers_text, NULL, NULL, (void *)"golden_values" },
        { "floats", binary_has_the_servers_text, NULL, NULL, (void *)"golden_floats" },
        cmocka_unit_test(short_values_are_refused),
        cmocka_unit_test(types_are_the_servers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
