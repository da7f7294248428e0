/*
 * test_prepared.c - branches are held, dropped, and found again in the log.
 *
 * The log is a list of words, one a frame: "B:x" begins branch x, "E:x" ends it, "W:x" is one as a whole, "C:x" and "R:x" decide it, "L" says that the
 * open one has no end; anything else is a plain frame. Files of it end with NULL.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pipeline/prepared.h"

static int
peek_word(struct tr_decoder *decoder, const uint8_t *data, size_t len, bool in_stream,
          struct tr_frame_peek *peek, struct tr_error *err)
{
    static const struct {
        char letter;
        enum tr_frame_role role;
    } roles[] = { { 'B', TR_ROLE_PREPARED_BEGIN },    { 'E', TR_ROLE_PREPARED_END },
                  { 'W', TR_ROLE_PREPARED_WHOLE },    { 'C', TR_ROLE_COMMIT_PREPARED },
                  { 'R', TR_ROLE_ROLLBACK_PREPARED }, { 'L', TR_ROLE_PREPARED_LOST } };
    (void)decoder, (void)in_stream, (void)err;
    memset(peek, 0, sizeof(*peek));
    for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
        if (data[0] == (uint8_t)roles[i].letter)
            peek->role = roles[i].role;
    if (len > 2 && data[1] == ':')
        snprintf(peek->gid, sizeof(peek->gid), "%.*s", (int)len - 2, (const char *)data + 2);
    return 0;
}

struct fake {
    struct tr_source base;
    const char *const *const *files;
    unsigned nreads;
    unsigned fail_at; /* which reading fails; 0 = none */
};

/* `before` is the number of files that are still to be read, from 1000 on. */
static int
reread_words(struct tr_source *source, uint64_t *before, const struct tr_log_visitor *visitor,
             struct tr_error *err)
{
    struct fake *fake = (struct fake *)source;
    uint64_t file = *before - 1000;
    if (++fake->nreads == fake->fail_at)
        return tr_fail(err, TR_RETRY, "the connection was lost");
    if (file == 0)
        return 0;
    for (const char *const *word = fake->files[file - 1]; *word != NULL; word++) {
        struct tr_frame frame = { .data = (const uint8_t *)*word, .len = strlen(*word) };
        assert_int_equal(visitor->frame(visitor->arg, &frame, err), 0);
    }
    *before = 1000 + file - 1;
    return 1;
}

struct bench {
    struct tr_source_class class;
    struct tr_source_env env;
    struct tr_log log;
    struct fake source;
    struct tr_decoder_class decoder_class;
    struct tr_decoder decoder;
    struct tr_spool *spool;
    struct tr_prepared *prepared;
    struct tr_error err;
};

static struct bench *
setup(const char *const *const *files)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    bench->class.reread = reread_words;
    bench->source.base.class = &bench->class;
    bench->source.base.env = &bench->env;
    bench->env.log = &bench->log;
    tr_log_init(&bench->log, 2, TR_LOG_ERROR, TR_LOG_TEXT, "test");
    bench->source.files = files;
    bench->decoder_class.peek = peek_word;
    bench->decoder.class = &bench->decoder_class;
    bench->spool = tr_spool_new("/tmp", 1 << 20);
    bench->prepared = tr_prepared_new(bench->spool, &bench->source.base, &bench->decoder);
    return bench;
}

static void
teardown(struct bench *bench)
{
    tr_prepared_free(bench->prepared);
    assert_int_equal(tr_spool_memory(bench->spool), 0); /* what was held is given back */
    tr_spool_free(bench->spool);
    free(bench);
}

/* The words up to NULL, as the stream brings them; returns how many were plain. */
static unsigned
stream(struct bench *bench, ...)
{
    unsigned plain = 0;
    const char *word;
    va_list words;
    va_start(words, bench);
    while ((word = va_arg(words, const char *)) != NULL) {
        struct tr_frame frame = { .data = (const uint8_t *)word, .len = strlen(word) };
        struct tr_frame_peek peek;
        peek_word(NULL, frame.data, frame.len, false, &peek, NULL);
        if (peek.role == TR_ROLE_ROLLBACK_PREPARED) {
            tr_prepared_drop(bench->prepared, peek.gid);
            continue;
        }
        int r = tr_prepared_frame(bench->prepared, &frame, &peek, &bench->err);
        assert_true(r >= 0);
        plain += (unsigned)r;
    }
    va_end(words);
    return plain;
}

/* What is held of a branch, its frames one behind the other; "-" when nothing is. */
static void
assert_held(struct bench *bench, const char *gid, const char *expected)
{
    char text[256] = "";
    struct tr_spool_txn *txn = tr_prepared_find(bench->prepared, gid);
    struct tr_spool_frame frame;
    if (txn == NULL) {
        assert_string_equal("-", expected);
        return;
    }
    tr_spool_rewind(txn);
    while (tr_spool_next(bench->spool, txn, &frame, &bench->err) == 1)
        strncat(text, (const char *)frame.data, frame.len);
    assert_string_equal(text, expected);
}

static void
branches_are_held_by_name(void **state)
{
    (void)state;
    struct bench *bench = setup(NULL);
    assert_int_equal(stream(bench, "p", "B:x", "1", "2", "E:x", "p", "W:y", "B:z", "3", "E:z", NULL), 2);
    assert_false(tr_prepared_open(bench->prepared));
    assert_held(bench, "x", "12");
    assert_held(bench, "y", "W:y");
    tr_prepared_drop(bench->prepared, "x");
    assert_held(bench, "x", "-");
    stream(bench, "B:z", "4", "E:z", NULL); /* the name anew: what bore it was decided unseen */
    assert_held(bench, "z", "4");
    stream(bench, "B:x", "5", NULL); /* one phase: the decision is the end */
    assert_true(tr_prepared_open(bench->prepared));
    assert_held(bench, "x", "5");
    assert_false(tr_prepared_open(bench->prepared));
    teardown(bench);
}

static void
a_branch_without_an_end_is_forgotten(void **state)
{
    (void)state;
    struct bench *bench = setup(NULL);
    assert_int_equal(stream(bench, "B:x", "1", "L", "p", NULL), 2);
    assert_held(bench, "x", "-");
    stream(bench, "B:x", "1", "B:y", "2", "E:y", NULL);
    assert_held(bench, "x", "-");
    assert_held(bench, "y", "2");
    teardown(bench);
}

static void
a_branch_is_found_in_the_log(void **state)
{
    (void)state;
    static const char *const oldest[] = {
        "B:old", "1", "E:old", "B:again", "2", "E:again", "W:undone", NULL
    };
    static const char *const middle[] = { "R:again", "B:again", "3",      "E:again", "B:gone", "4",
                                          "E:gone",  "C:gone",  "B:late", "5",       "E:late", NULL };
    static const char *const newest[] = { "p", "R:undone", "B:held", "0", "E:held", "B:torn", "6", NULL };
    static const char *const *const files[] = { oldest, middle, newest };
    struct bench *bench = setup(files);
    stream(bench, "B:held", "7", "E:held", NULL);
    assert_int_equal(tr_prepared_search(bench->prepared, "late", 1003, &bench->err), 0);
    assert_int_equal(bench->source.nreads, 2);
    assert_held(bench, "late", "5");
    assert_held(bench, "again", "3");
    assert_held(bench, "held", "7"); /* what the stream brought stands */
    assert_held(bench, "gone", "-");
    assert_held(bench, "torn", "-");
    tr_prepared_drop(bench->prepared, "late");
    tr_prepared_drop(bench->prepared, "again");
    tr_prepared_drop(bench->prepared, "never seen, rolled back");
    assert_int_equal(tr_prepared_search(bench->prepared, "old", 5000, &bench->err), 0);
    assert_int_equal(bench->source.nreads, 3); /* what was read is not read again */
    assert_held(bench, "old", "1");
    assert_held(bench, "again", "-"); /* the oldest file's was decided behind it */
    assert_held(bench, "undone", "-");
    teardown(bench);
}

static void
what_the_log_no_longer_has_is_refused(void **state)
{
    (void)state;
    static const char *const only[] = { "B:x", "1", "E:x", NULL };
    static const char *const *const files[] = { only };
    struct bench *bench = setup(files);
    bench->source.fail_at = 1;
    assert_int_equal(tr_prepared_search(bench->prepared, "x", 1001, &bench->err), -TR_RETRY);
    bench->source.fail_at = 0;
    assert_int_equal(tr_prepared_search(bench->prepared, "y", 1001, &bench->err), -TR_REFUSED);
    assert_non_null(strstr(bench->err.text, "transaction y is committed"));
    assert_non_null(strstr(bench->err.hint, "tailrace reload"));
    assert_held(bench, "x", "1");
    teardown(bench);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(branches_are_held_by_name),
        cmocka_unit_test(a_branch_without_an_end_is_forgotten),
        cmocka_unit_test(a_branch_is_found_in_the_log),
        cmocka_unit_test(what_the_log_no_longer_has_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
