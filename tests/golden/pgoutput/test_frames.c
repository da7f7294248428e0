/*
 * test_frames.c - what a real server sent, decoded, is what was done there; and no frame of it can be cut
 * anywhere unnoticed.
 *
 * TR_UPDATE_GOLDEN=1 writes the expectations anew; read the difference before it is committed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/memory.h"
#include "tests/unit/decoders/pgoutput_help.h"

static struct tr_decoder *
new_decoder(void)
{
    struct tr_decoder_config config = { .max_value = 1 << 20 };
    struct tr_decoder *decoder;
    struct tr_error err;
    assert_int_equal(tr_pgoutput_decoder.open(&config, &decoder, &err), 0);
    return decoder;
}

static void
compare_golden(const char *name, const struct tr_buffer *got)
{
    char *file = tr_asprintf("%s.events", name);
    if (getenv("TR_UPDATE_GOLDEN") != NULL) {
        char *path = tr_asprintf("tests/golden/pgoutput/%s", file);
        FILE *out = fopen(path, "wb");
        assert_non_null(out);
        assert_int_equal(fwrite(got->data, 1, got->len, out), got->len);
        fclose(out);
        free(path);
    }
    size_t len;
    char *expected = read_golden(file, &len);
    assert_string_equal(got->data, expected);
    assert_int_equal(got->len, len);
    free(expected);
    free(file);
}

static void
decoded_is_what_was_done(void **state)
{
    const char *name = *state;
    char *file = tr_asprintf("%s.frames", name);
    struct captured captured;
    struct tr_buffer got;
    struct tr_decoder *decoder = new_decoder();
    struct tr_batch *batch = tr_batch_new();
    tr_buffer_init(&got, TR_BUFFER_MAX);
    load_captured(&captured, file);
    assemble(decoder, &captured, batch, NULL, NULL);
    assert_false(tr_pgoutput_decoder.in_transaction(decoder));
    for (uint32_t i = 1; i < batch->ntxns; i++)
        assert_true(batch->txns[i - 1].end_order <= batch->txns[i].commit_order);
    tr_pgoutput_decoder.close(decoder); /* the batch lives on without its decoder */
    render_batch(batch, &got);
    compare_golden(name, &got);
    tr_batch_free(batch);
    tr_buffer_fini(&got);
    free_captured(&captured);
    free(file);
}

/* Every proper beginning of the frame is refused, and so is the frame with a byte more. Each stands in memory
 * of its own size. */
static void
cut_everywhere(void *arg, struct tr_decoder *decoder, const struct captured_frame *frame, bool in_stream,
               struct tr_batch *batch)
{
    size_t *cuts = arg;
    struct tr_error err;
    for (size_t len = 0; len <= frame->len + 1; len++) {
        if (len == frame->len)
            continue;
        if (len > 200 && len + 200 < frame->len) /* the inside of a long value */
            continue;
        uint8_t *copy = tr_malloc(len > 0 ? len : 1);
        memcpy(copy, frame->data, len < frame->len ? len : frame->len);
        if (len > frame->len)
            copy[frame->len] = 0;
        tr_error_clear(&err);
        uint32_t events = batch->nevents;
        int rc = decoder->class->decode(decoder, copy, len, frame->order, in_stream, batch, &err);
        if (rc >= 0)
            fail_msg("%zu of %u bytes of a '%c' frame were taken for a whole one", len, frame->len,
                     frame->data[0]);
        assert_int_equal(rc, -TR_FATAL);
        assert_true(strlen(err.text) > 0);
        assert_int_equal(batch->nevents, events);
        free(copy);
        ++*cuts;
    }
}

static void
no_cut_is_unnoticed(void **state)
{
    char *file = tr_asprintf("%s.frames", (const char *)*state);
    struct captured captured;
    struct tr_decoder *decoder = new_decoder();
    struct tr_batch *batch = tr_batch_new();
    size_t cuts = 0;
    load_captured(&captured, file);
    assemble(decoder, &captured, batch, cut_everywhere, &cuts);
    assert_true(cuts > captured.count * 10);
    tr_pgoutput_decoder.close(decoder);
    tr_batch_free(batch);
    free_captured(&captured);
    free(file);
}

#define BOTH(name)                                                           \
    { "decoded " name, decoded_is_what_was_done, NULL, NULL, (void *)name }, \
    {                                                                        \
        "cut " name, no_cut_is_unnoticed, NULL, NULL, (void *)name           \
    }

int
main(void)
{
    const struct CMUnitTest tests[] = { BOTH("plain_v1"), BOTH("binary_v3"), BOTH("streamed_v2"),
                                        BOTH("prepared_v3") };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
