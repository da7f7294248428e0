/*
 * fuzz_array.c - any text as a PostgreSQL array, hstore or geometry, as a target of MySQL's family takes it: JSON that a parser reads, or no.
 *
 * Input: uint8 (the element's type), then the text.
 */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "sinks/mysql/apply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must_be_json(const struct tr_buffer *out)
{
    json_error_t why;
    json_t *value = json_loadb(out->data, out->len, JSON_DECODE_INT_AS_REAL, &why);
    /* 1e999 is a number by the grammar, and too large for this parser */
    if (value == NULL && json_error_code(&why) != json_error_numeric_overflow)
        abort();
    json_decref(value);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || memchr(data, '\0', size) != NULL) /* no text of PostgreSQL has one */
        return 0;
    const char *text = (const char *)data + 1;
    json_t *valid = json_stringn(text, size - 1);
    struct tr_buffer out;
    tr_buffer_init(&out, 1 << 24);
    /* an element that is JSON itself goes as it is: the server has checked it */
    enum tr_logical element = data[0] % TR_LOGICAL_COUNT;
    if (element == TR_JSON || element == TR_JSONB)
        element = TR_TEXT;
    if (tr_my_array_json(text, size - 1, data[0] & 0x80 ? ';' : ',', element, &out) && valid != NULL)
        must_be_json(&out);
    tr_buffer_reset(&out);
    if (tr_my_hstore_json(text, size - 1, &out) && valid != NULL)
        must_be_json(&out);
    tr_buffer_reset(&out);
    (void)tr_my_geometry(text, size - 1, &out);
    tr_buffer_fini(&out);
    json_decref(valid);
    return 0;
}
