/*
 * fuzz_convert.c - any bytes as the configuration of a Debezium connector, or as its offsets: a task file that this program reads, or a message.
 *
 * Input: uint8 (bit 0: offsets), then the file.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "app/config.h"
#include "app/convert/convert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
convert_offsets(const char *text, size_t len)
{
    static const char *const schemes[] = { "postgresql", "mysql", "mariadb" };
    struct tr_error err;
    for (size_t i = 0; i < 3; i++) {
        char *start = NULL;
        if (offsets_parse(text, len, "fuzz", schemes[i], &start, &err) == 0 && start == NULL)
            abort();
        free(start);
    }
}

/* References to files and to the environment would be followed. */
static void
must_be_read(const struct tr_buffer *yaml)
{
    struct tr_entries entries = { 0 };
    struct tr_error err;
    if (memmem(yaml->data, yaml->len, "${", 2) == NULL &&
        tr_entries_parse(&entries, yaml->data, yaml->len, "converted.yaml", &err) < 0)
        abort();
    tr_entries_fini(&entries);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    const char *text = (const char *)data + 1;
    if (data[0] & 1) {
        convert_offsets(text, size - 1);
        return 0;
    }
    const struct convert_wish wish = { .brokers = data[0] & 2 ? "127.0.0.1:9092" : NULL,
                                       .take_over = data[0] & 4 };
    struct pairs pairs = { 0 };
    struct tr_buffer yaml, warnings;
    struct tr_error err;
    size_t lost = 0;
    tr_buffer_init(&yaml, 1 << 22);
    tr_buffer_init(&warnings, 1 << 22);
    if (pairs_parse(&pairs, text, size - 1, "fuzz", &err) == 0 &&
        convert_debezium(tr_registry(), &pairs, &wish, &yaml, &warnings, &lost, &err) == 0)
        must_be_read(&yaml);
    pairs_fini(&pairs);
    tr_buffer_fini(&yaml);
    tr_buffer_fini(&warnings);
    return 0;
}
