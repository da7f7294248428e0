/* avro.c - the bytes of Avro's binary encoding that are more than a line. */
#include "encoders/common/avro.h"

#include "core/text.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are copied as they lie in memory");

/* How many bytes from here on are valid UTF-8. */
static size_t
valid_run(const char *text, size_t len)
{
    size_t i = 0;
    while (i < len) {
        uint64_t word;
        if (i + 8 <= len && (memcpy(&word, text + i, 8), (word & UINT64_C(0x8080808080808080)) == 0)) {
            i += 8;
        } else if ((unsigned char)text[i] < 0x80) {
            i++;
        } else {
            size_t n = tr_utf8_length(text + i, len - i);
            if (n == 0)
                break;
            i += n;
        }
    }
    return i;
}

void
avro_string(struct tr_buffer *out, const char *text, size_t len)
{
    size_t run = valid_run(text, len), at = out->len;
    if (run == len) {
        avro_bytes(out, text, len);
        return;
    }
    tr_buffer_byte(out, 0);
    for (;;) {
        tr_buffer_add(out, text, run);
        text += run;
        len -= run;
        if (len == 0)
            break;
        tr_buffer_add(out, "\xEF\xBF\xBD", 3);
        text++;
        len--;
        run = valid_run(text, len);
    }
    avro_patch(out, at, (int64_t)(out->len - at) - 1);
}

void
avro_float(struct tr_buffer *out, float number)
{
    tr_buffer_add(out, &number, sizeof(number));
}

void
avro_double(struct tr_buffer *out, double number)
{
    tr_buffer_add(out, &number, sizeof(number));
}

void
avro_patch(struct tr_buffer *out, size_t at, int64_t n)
{
    char bytes[AVRO_LONG_MAX_BYTES];
    size_t len = avro_long_bytes(bytes, n);
    if (out->overflow || tr_buffer_reserve(out, len) == NULL)
        return;
    if (len > 1)
        memmove(out->data + at + len, out->data + at + 1, out->len - at - 1);
    memcpy(out->data + at, bytes, len);
    out->len += len - 1;
}
