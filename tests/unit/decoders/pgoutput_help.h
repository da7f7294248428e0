/* pgoutput_help.h - what the tests of the pgoutput decoder share: captured frames, a small assembler, a text
 * form of events. */
#ifndef TR_TESTS_PGOUTPUT_HELP_H
#define TR_TESTS_PGOUTPUT_HELP_H

#include "core/buffer.h"
#include "decoders/pgoutput/pgoutput.h"

struct captured_frame {
    uint64_t order;
    uint32_t len;
    const uint8_t *data;
};

struct captured {
    char *bytes;
    struct captured_frame *frames;
    size_t count;
};

/* A file beside the tests, whole and with a NUL behind it; the caller frees it. Ends the test when it cannot
 * be read. */
char *read_golden(const char *name, size_t *len);
void load_captured(struct captured *captured, const char *name);
void free_captured(struct captured *captured);

/* Called before each whole frame is decoded; may be NULL. */
typedef void before_decode(void *arg, struct tr_decoder *decoder, const struct captured_frame *frame,
                           bool in_stream, struct tr_batch *batch);

/* Peek and decode everything in order: what is streamed or prepared is held until its commit. Ends the test
 * at an error. */
void assemble(struct tr_decoder *decoder, const struct captured *captured, struct tr_batch *batch,
              before_decode *before, void *arg);

/* One line per transaction and event. */
void render_batch(const struct tr_batch *batch, struct tr_buffer *out);

#endif
