/* test_copy.c - COPY's text and binary formats: escapes, nulls, and streams that are not what they should be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "decoders/pgoutput/copy_binary.h"
#include "decoders/pgoutput/copy_text.h"

struct fixture {
    struct tr_relation *relation; /* two columns */
    struct tr_batch *batch;
    struct tr_error err;
};

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->relation = tr_relation_new();
    f->relation->columns = tr_arena_zalloc(&f->relation->arena, 2 * sizeof(struct tr_column));
    f->relation->ncolumns = 2;
    f->relation->schema = "shop";
    f->relation->name = "item";
    f->batch = tr_batch_new();
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;
    tr_batch_free(f->batch);
    tr_relation_unref(f->relation);
    free(f);
    return 0;
}

/* The line stands in memory of its own size, so that a sanitizer sees a byte too many. */
static int
read_line(struct fixture *f, const char *line, struct tr_value **values)
{
    size_t len = strlen(line);
    char *copy = malloc(len > 0 ? len : 1);
    memcpy(copy, line, len);
    int rc = tr_pg_copy_text_row(f->relation, copy, len, f->batch, values, &f->err);
    free(copy);
    return rc;
}

static void
text_rows(void **state)
{
    struct fixture *f = *state;
    struct tr_value *v;
    assert_int_equal(read_line(f, "1\thello\n", &v), 0);
    assert_string_equal(v[0].data, "1");
    assert_string_equal(v[1].data, "hello");
    assert_int_equal(v[1].len, 5);
    assert_int_equal(read_line(f, "\\N\t", &v), 0); /* null and empty are two things */
    assert_int_equal(v[0].state, TR_NULL);
    assert_int_equal(v[1].state, TR_PRESENT);
    assert_int_equal(v[1].len, 0);
    assert_int_equal(read_line(f, "\\\\N\t\\NN\n", &v),
                     0); /* a text of two characters, and one that only begins like null */
    assert_string_equal(v[0].data, "\\N");
    assert_string_equal(v[1].data, "NN");
    assert_int_equal(read_line(f, "a\\tb\\nc\\rd\\\\e\\bf\\fg\\vh\ti\\x41\\x4gj\\101\\7k\\q\\xz", &v), 0);
    assert_string_equal(v[0].data, "a\tb\nc\rd\\e\bf\fg\vh");
    assert_string_equal(v[1].data, "iA\x04gjA\7kqxz");
}

static void
bad_text_rows(void **state)
{
    static const char *const lines[] = { "1", "1\n", "1\t2\t3", "1\t2\\", "1\n2\t3", "" };
    struct fixture *f = *state;
    struct tr_value *v;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        assert_int_equal(read_line(f, lines[i], &v), -TR_FATAL);
        assert_non_null(strstr(f->err.text, "shop.item"));
        assert_null(v);
    }
}

static void
text_stream_with_limits(void **state)
{
    struct fixture *f = *state;
    struct tr_pg_copy_text copy;
    char large[1000];
    memset(large, 'x', sizeof large);
    tr_pg_copy_text_init(&copy, 300);
    assert_int_equal(tr_pg_copy_text_feed(&copy, f->relation, "1\ta\n2\tb\n3", 9, f->batch, &f->err), 2);
    assert_int_equal(tr_pg_copy_text_end(&copy, f->relation, &f->err), -TR_FATAL);
    assert_int_equal(tr_pg_copy_text_feed(&copy, f->relation, "\tc\n", 3, f->batch, &f->err), 1);
    assert_int_equal(tr_pg_copy_text_end(&copy, f->relation, &f->err), 0);
    assert_string_equal(f->batch->events[2].after[0].data, "3");
    assert_int_equal(f->batch->events[2].kind, TR_READ);
    assert_int_equal(f->batch->nrelations, 1);
    assert_int_equal(f->batch->rows, 3);
    assert_int_equal(tr_pg_copy_text_feed(&copy, f->relation, large, sizeof large, f->batch, &f->err),
                     -TR_FATAL);
    tr_pg_copy_text_fini(&copy);
}

#define HEADER           \
    "PGCOPY\n\377\r\n\0" \
    "\0\0\0\0"           \
    "\0\0\0\0"

static int
feed_binary(struct fixture *f, const char *bytes, size_t len)
{
    struct tr_pg_copy_binary copy;
    tr_pg_copy_binary_init(&copy, 100);
    int rc = tr_pg_copy_binary_feed(&copy, f->relation, bytes, len, f->batch, &f->err);
    if (rc >= 0 && tr_pg_copy_binary_end(&copy, f->relation, &f->err) < 0)
        rc = -1000;
    tr_pg_copy_binary_fini(&copy);
    return rc;
}

#define FEED(f, bytes) feed_binary(f, bytes, sizeof bytes - 1)

static void
binary_streams(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(FEED(f, HEADER "\377\377"), 0);
    assert_int_equal(FEED(f, HEADER "\0\2\0\0\0\1x\377\377\377\377"
                                    "\377\377"),
                     1);
    assert_string_equal(f->batch->events[0].after[0].data, "x");
    assert_int_equal(f->batch->events[0].after[0].codec, TR_CODEC_PG_BINARY);
    assert_int_equal(f->batch->events[0].after[1].state, TR_NULL);
    assert_int_equal(FEED(f, HEADER "\0\2\0\0\0\0\0\0\0\1y"
                                    "\377\377"),
                     1);
    assert_int_equal(f->batch->events[1].after[0].len, 0);
    assert_string_equal(f->batch->events[1].after[1].data, "y");
    assert_int_equal(FEED(f, HEADER), -1000);                                   /* no trailer */
    assert_int_equal(FEED(f, HEADER "\0\2\0\0\0\1x"), -1000);                   /* half a row */
    assert_int_equal(FEED(f, "PGCOPX"), -TR_FATAL);                             /* signature */
    assert_int_equal(FEED(f, "PGCOPY\n\377\r\n\0\0\1\0\0\0\0\0\0"), -TR_FATAL); /* OIDs: a critical flag */
    assert_int_equal(FEED(f, HEADER "\0\3"), -TR_FATAL);                        /* columns */
    assert_int_equal(FEED(f, HEADER "\0\2\377\377\377\376"), -TR_FATAL);        /* length -2 */
    assert_int_equal(FEED(f, HEADER "\377\377x"), -TR_FATAL);                   /* behind the trailer */
    char large[sizeof HEADER + 300] = HEADER "\0\2\0\0\2\0";
    assert_int_equal(feed_binary(f, large, sizeof large), -TR_FATAL); /* the limit of a row */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = { TEST(text_rows), TEST(bad_text_rows), TEST(text_stream_with_limits),
                                        TEST(binary_streams) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
