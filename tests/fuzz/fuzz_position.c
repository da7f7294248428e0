/*
 * fuzz_position.c - any bytes as a set of GTIDs, in text or as the server sends it, and as a position: what is read is written, and read again as the same.
 *
 * Input: uint8 (bit 0: the server's bytes), then the text.
 */
#include <stdlib.h>
#include <string.h>

#include "capture/mysql/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must_hold(bool claim)
{
    if (!claim)
        abort();
}

/* A set in its normal form is read as the set that it was, and contains itself. */
static void
walk_set(const struct tr_gtid_set *set)
{
    struct tr_gtid_set again = { 0 };
    struct tr_buffer text, more;
    tr_buffer_init(&text, 1 << 22);
    tr_buffer_init(&more, 1 << 22);
    tr_gtid_set_text(set, &text);
    must_hold(tr_gtid_set_add(&again, text.len > 0 ? text.data : "", text.len));
    tr_gtid_set_text(&again, &more);
    must_hold(text.len == more.len && (text.len == 0 || memcmp(text.data, more.data, text.len) == 0));
    must_hold(tr_gtid_set_contains(set, &again) && tr_gtid_set_contains(&again, set));
    tr_gtid_set_fini(&again);
    if (set->kind == TR_GTID_MYSQL) {
        struct tr_gtid_set decoded = { 0 };
        tr_buffer_reset(&more);
        tr_gtid_set_encode(set, &more);
        must_hold(tr_gtid_set_decode(&decoded, (const uint8_t *)more.data, more.len));
        must_hold(tr_gtid_set_contains(set, &decoded) && tr_gtid_set_contains(&decoded, set));
        tr_gtid_set_fini(&decoded);
    }
    tr_buffer_fini(&text);
    tr_buffer_fini(&more);
}

static void
walk_position(const char *text)
{
    struct tr_mysql_position position, again;
    struct tr_buffer out;
    int64_t time;
    tr_buffer_init(&out, 1 << 22);
    if (tr_mysql_position_parse(text, &position)) {
        tr_mysql_position_text(&position, &out);
        must_hold(tr_mysql_position_parse(out.data, &again));
        must_hold(again.has_gtid == position.has_gtid && again.has_file == position.has_file);
        must_hold(!position.has_file || again.offset == position.offset);
        tr_mysql_position_fini(&again);
        must_hold(tr_mysql_compare(text, out.data) == 0);
    }
    tr_mysql_position_fini(&position);
    (void)tr_mysql_time_parse(text, &time);
    tr_buffer_fini(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tr_gtid_set set = { 0 };
    if (size < 1)
        return 0;
    if (data[0] & 1) {
        if (tr_gtid_set_decode(&set, data + 1, size - 1))
            walk_set(&set);
    } else if (memchr(data + 1, '\0', size - 1) == NULL) {
        char *text = strndup((const char *)data + 1, size - 1);
        if (tr_gtid_set_add(&set, text, size - 1))
            walk_set(&set);
        walk_position(text);
        free(text);
    }
    tr_gtid_set_fini(&set);
    return 0;
}
