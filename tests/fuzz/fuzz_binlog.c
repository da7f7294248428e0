/*
 * fuzz_binlog.c - any bytes as events of a binary log: events or an error come out, never a crash, and
 * every value can be rendered or refused.
 *
 * Input: uint8 (bit 0: checksums are on and not mended; bit 1: decisions of XA branches open them, as when
 * they were held), then events as uint8 type, uint16 length of the body, body. Lengths in the header are
 * right, for a wrong one is refused at once and would hide the rest; and the types 229 to 235 are 165 to 171
 * with what is compressed in them plain here, for changed bytes of zlib are damage and nothing else.
 *
 * Changes are made to one event at a time, so that those in front of it stay good. With FUZZ_EVENT=31 in the
 * environment only events of that type are changed, and each input has some.
 */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "decoders/binlog/binlog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

#define PACKED 64 /* between an event's number and that of its plain form */

static int
complete(void *arg, struct tr_relation *relation, struct tr_error *err)
{
    (void)arg, (void)relation, (void)err;
    return 0;
}

static void
render_row(const struct tr_relation *relation, const struct tr_value *row, struct tr_buffer *scratch)
{
    struct tr_error err = { 0 };
    for (uint16_t i = 0; row != NULL && i < relation->ncolumns; i++) {
        const char *text;
        size_t len;
        if (row[i].state == TR_PRESENT)
            (void)!tr_value_text(relation, &relation->columns[i], &row[i], scratch, &text, &len, &err);
    }
}

static void
render_batch(const struct tr_batch *batch)
{
    struct tr_buffer scratch;
    tr_buffer_init(&scratch, 1 << 22);
    for (uint32_t i = 0; i < batch->nevents; i++) {
        if (batch->events[i].kind > TR_DELETE)
            continue;
        render_row(batch->events[i].relation, batch->events[i].before, &scratch);
        render_row(batch->events[i].relation, batch->events[i].after, &scratch);
    }
    tr_buffer_fini(&scratch);
}

static size_t
load16(const uint8_t *at)
{
    return at[0] | (size_t)at[1] << 8;
}

/* Where the bytes begin that MariaDB compresses in an event of this type. */
static size_t
head_of(uint8_t type, const uint8_t *body, size_t len)
{
    size_t at = 8;
    if (type == 165)
        return len < 13 ? len : 13 + load16(body + 11) + body[8] + 1;
    if (type >= 169)
        at += len < at + 2 ? 2 : load16(body + at);
    size_t columns = at < len ? body[at] : 0;
    return at + 1 + (columns + 7) / 8 * ((type - 166) % 3 == 1 ? 2 : 1);
}

static void
write_head(uint8_t *frame, uint8_t type, size_t len)
{
    uint32_t total = (uint32_t)len;
    memset(frame, 0, 19);
    frame[4] = type;
    memcpy(frame + 9, &total, sizeof total);
}

static uint8_t *
packed_frame(uint8_t type, const uint8_t *body, size_t len, size_t *size)
{
    size_t head = head_of(type, body, len);
    head = head < len ? head : len;
    uLongf packed = compressBound(len - head);
    uint8_t *frame = malloc(19 + head + 4 + packed), *at = frame + 19 + head;
    memcpy(frame + 19, body, head);
    at[0] = 0x83;
    for (int i = 0; i < 3; i++)
        at[1 + i] = (uint8_t)((len - head) >> (16 - 8 * i));
    if (compress2(at + 4, &packed, body + head, len - head, 1) != Z_OK)
        abort();
    *size = 19 + head + 4 + packed;
    write_head(frame, type, *size);
    return realloc(frame, *size);
}

static uint8_t *
frame_of(uint8_t type, const uint8_t *body, size_t len, size_t *size)
{
    if (type >= 165 + PACKED && type <= 171 + PACKED)
        return packed_frame((uint8_t)(type - PACKED), body, len, size);
    uint8_t *frame = malloc(19 + len);
    write_head(frame, type, 19 + len);
    memcpy(frame + 19, body, len);
    *size = 19 + len;
    return frame;
}

static int
decode_frame(struct tr_decoder *decoder, const uint8_t *frame, size_t len, bool holds, uint64_t order,
             struct tr_batch *batch, struct tr_error *err)
{
    struct tr_frame_peek peek;
    int rc = tr_binlog_decoder.peek(decoder, frame, len, false, &peek, err);
    if (holds && rc == 0 && peek.role == TR_ROLE_COMMIT_PREPARED &&
        tr_binlog_decoder.begin_from_commit(decoder, frame, len, batch, err) < 0)
        return -1;
    if (holds && tr_binlog_decoder.in_transaction(decoder))
        (void)!tr_binlog_decoder.peek(decoder, frame, len, true, &peek, err);
    return tr_binlog_decoder.decode(decoder, frame, len, order, false, batch, err);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tr_binlog_format format = { .checksum = size > 0 && (data[0] & 1), .max_payload = 1 << 22 };
    struct tr_decoder_config config = { .catalog = { .complete = complete },
                                        .max_value = 1 << 20,
                                        .source_format = &format };
    struct tr_decoder *decoder;
    struct tr_error err = { 0 };
    struct tr_batch *batch = tr_batch_new();
    if (tr_binlog_decoder.open(&config, &decoder, &err) < 0)
        abort();
    uint64_t order = TR_BINLOG_ORDER(1, 4);
    for (size_t at = 1; at + 3 <= size;) {
        uint8_t type = data[at];
        size_t len = load16(data + at + 1), frame_len;
        at += 3;
        if (len > size - at)
            len = size - at;
        uint8_t *frame = frame_of(type, data + at, len, &frame_len);
        int rc = decode_frame(decoder, frame, frame_len, data[0] & 2, order, batch, &err);
        free(frame);
        if (rc < 0)
            break;
        at += len;
        order += frame_len;
    }
    render_batch(batch);
    tr_batch_free(batch);
    tr_binlog_decoder.close(decoder);
    return 0;
}

/* ---------------------------------------------------------------- changes of one event */

#define MAX_EVENTS 1024

struct input {
    uint8_t *data;
    size_t size, max;
    size_t at[MAX_EVENTS]; /* where each event begins */
    size_t count;
};

static void
find_events(struct input *in)
{
    in->count = 0;
    for (size_t at = 1; at + 3 <= in->size && in->count < MAX_EVENTS; at += 3 + load16(in->data + at + 1))
        in->at[in->count++] = at;
}

static size_t
end_of(const struct input *in, size_t i)
{
    size_t end = in->at[i] + 3 + load16(in->data + in->at[i] + 1);
    return end < in->size ? end : in->size;
}

/* Bytes `from` to `to` give way to others. */
static void
replace(struct input *in, size_t from, size_t to, const uint8_t *bytes, size_t len)
{
    if (len > in->max - (in->size - (to - from)))
        return;
    memmove(in->data + from + len, in->data + to, in->size - to);
    memcpy(in->data + from, bytes, len);
    in->size += len - (to - from);
}

static void
change_body(struct input *in, size_t i)
{
    static uint8_t event[3 + UINT16_MAX];
    size_t from = in->at[i], to = end_of(in, i), len = to - from - 3, room = len + 1 + len / 2 + 64;
    memcpy(event, in->data + from, to - from);
    len = LLVMFuzzerMutate(event + 3, len, room < UINT16_MAX ? room : UINT16_MAX);
    event[1] = (uint8_t)len;
    event[2] = (uint8_t)(len >> 8);
    replace(in, from, to, event, 3 + len);
}

static void
copy_event(struct input *in, size_t i, size_t to)
{
    static uint8_t event[3 + UINT16_MAX];
    size_t len = end_of(in, i) - in->at[i];
    memcpy(event, in->data + in->at[i], len);
    replace(in, in->at[to], in->at[to], event, len);
}

/* Rows events of the three forms, and of those that are compressed, have nearly the same body. */
static uint8_t
like(uint8_t type, unsigned random)
{
    static const uint8_t v1[] = { 23, 24, 25, 166 + PACKED, 167 + PACKED, 168 + PACKED };
    static const uint8_t v2[] = { 30, 31, 32, 39, 169 + PACKED, 170 + PACKED, 171 + PACKED };
    if (type >= 23 && type <= 25)
        return v1[random % sizeof v1];
    if (type >= 30 && type <= 32)
        return v2[random % sizeof v2];
    return type == 2 ? 165 + PACKED : (uint8_t)random;
}

/* An event that may be changed: of the type that is asked for, which one is made to be if there is none. */
static size_t
pick(struct input *in, unsigned random)
{
    const char *asked = getenv("FUZZ_EVENT");
    uint8_t type = asked != NULL ? (uint8_t)strtoul(asked, NULL, 10) : 0;
    size_t first = random % in->count;
    for (size_t k = 0; type != 0 && k < in->count; k++)
        if (in->data[in->at[(first + k) % in->count]] == type)
            return (first + k) % in->count;
    for (size_t k = 0; type != 0 && k < in->count; k++) {
        size_t i = (first + k) % in->count;
        for (unsigned r = 0; r < 7; r++)
            if (like(in->data[in->at[i]], r) == type) {
                in->data[in->at[i]] = type;
                return i;
            }
    }
    if (type != 0)
        in->data[in->at[first]] = type;
    return first;
}

size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    struct input in = { .data = data, .size = size, .max = max_size };
    find_events(&in);
    if (in.count == 0 || seed % 16 == 0)
        return LLVMFuzzerMutate(data, size, max_size);
    unsigned random = seed / 16;
    size_t i = pick(&in, random);
    switch (seed % 16) {
    case 1: data[0] = (uint8_t)random; break;
    case 2: replace(&in, in.at[i], end_of(&in, i), data, 0); break;
    case 3: copy_event(&in, i, random / 7 % in.count); break;
    case 4:
        if (getenv("FUZZ_EVENT") == NULL)
            data[in.at[i]] = like(data[in.at[i]], random / 7);
        break;
    default: change_body(&in, i); break;
    }
    return in.size;
}
