/*
 * charset.c - collation numbers and conversion to UTF-8.
 *
 * The numbers are those that information_schema.collations of the servers shows. Single-byte sets go by
 * our tables (charset_tables.c), the others by iconv, under the names that glibc has for the same set;
 * where a set of that name differs in some codes, these stand in a table, too. Every code was compared with
 * what a server makes of it, except those of the wide sets.
 */
#include "decoders/binlog/charset.h"

#include <errno.h>
#include <iconv.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const struct charset charsets[] = {
    { "utf8mb4", CHARSET_UTF8, 4, NULL },
    { "utf8mb3", CHARSET_UTF8, 3, NULL },
    { "binary", CHARSET_BINARY, 1, NULL },
    { "ucs2", CHARSET_WIDE, 2, "UCS-2BE" },
    { "utf16", CHARSET_WIDE, 4, "UTF-16BE" },
    { "utf16le", CHARSET_WIDE, 4, "UTF-16LE" },
    { "utf32", CHARSET_WIDE, 4, "UTF-32BE" },
    { "big5", CHARSET_ODD, 2, "BIG5" },
    { "gb2312", CHARSET_ICONV, 2, "EUC-CN" },
    { "gbk", CHARSET_ICONV, 2, "GBK" },
    { "gb18030", CHARSET_ODD, 4, "GB18030" },
    { "euckr", CHARSET_ICONV, 2, "CP949" },
    { "sjis", CHARSET_ODD, 2, "SJIS" },
    { "cp932", CHARSET_ICONV, 2, "CP932" },
    { "ujis", CHARSET_ODD, 3, "EUC-JP" },
    { "eucjpms", CHARSET_ICONV, 3, "EUC-JP-MS" },
    /* single bytes: their codes stand in tr_binlog_single_byte */
    { "latin1", CHARSET_SINGLE, 1, NULL },
    { "ascii", CHARSET_SINGLE, 1, NULL },
    { "armscii8", CHARSET_SINGLE, 1, NULL },
    { "cp1250", CHARSET_SINGLE, 1, NULL },
    { "cp1251", CHARSET_SINGLE, 1, NULL },
    { "cp1256", CHARSET_SINGLE, 1, NULL },
    { "cp1257", CHARSET_SINGLE, 1, NULL },
    { "cp850", CHARSET_SINGLE, 1, NULL },
    { "cp852", CHARSET_SINGLE, 1, NULL },
    { "cp866", CHARSET_SINGLE, 1, NULL },
    { "dec8", CHARSET_SINGLE, 1, NULL },
    { "geostd8", CHARSET_SINGLE, 1, NULL },
    { "greek", CHARSET_SINGLE, 1, NULL },
    { "hebrew", CHARSET_SINGLE, 1, NULL },
    { "hp8", CHARSET_SINGLE, 1, NULL },
    { "keybcs2", CHARSET_SINGLE, 1, NULL },
    { "koi8r", CHARSET_SINGLE, 1, NULL },
    { "koi8u", CHARSET_SINGLE, 1, NULL },
    { "latin2", CHARSET_SINGLE, 1, NULL },
    { "latin5", CHARSET_SINGLE, 1, NULL },
    { "latin7", CHARSET_SINGLE, 1, NULL },
    { "macce", CHARSET_SINGLE, 1, NULL },
    { "macroman", CHARSET_SINGLE, 1, NULL },
    { "swe7", CHARSET_SINGLE, 1, NULL },
    { "tis620", CHARSET_SINGLE, 1, NULL },
};

#define NCHARSETS (sizeof charsets / sizeof *charsets)

struct collations {
    uint16_t first, last;
    const char *charset;
};

/* In order of their numbers. MariaDB's NO PAD collations are 1024 above the one they are made of. */
static const struct collations collations[] = {
    /* clang-format off */
    { 1, 1, "big5" }, { 2, 2, "latin2" }, { 3, 3, "dec8" }, { 4, 4, "cp850" }, { 5, 5, "latin1" },
    { 6, 6, "hp8" }, { 7, 7, "koi8r" }, { 8, 8, "latin1" }, { 9, 9, "latin2" }, { 10, 10, "swe7" },
    { 11, 11, "ascii" }, { 12, 12, "ujis" }, { 13, 13, "sjis" }, { 14, 14, "cp1251" }, { 15, 15, "latin1" },
    { 16, 16, "hebrew" }, { 18, 18, "tis620" }, { 19, 19, "euckr" }, { 20, 20, "latin7" },
    { 21, 21, "latin2" }, { 22, 22, "koi8u" }, { 23, 23, "cp1251" }, { 24, 24, "gb2312" },
    { 25, 25, "greek" }, { 26, 26, "cp1250" }, { 27, 27, "latin2" }, { 28, 28, "gbk" },
    { 29, 29, "cp1257" }, { 30, 30, "latin5" }, { 31, 31, "latin1" }, { 32, 32, "armscii8" },
    { 33, 33, "utf8mb3" }, { 34, 34, "cp1250" }, { 35, 35, "ucs2" }, { 36, 36, "cp866" },
    { 37, 37, "keybcs2" }, { 38, 38, "macce" }, { 39, 39, "macroman" }, { 40, 40, "cp852" },
    { 41, 42, "latin7" }, { 43, 43, "macce" }, { 44, 44, "cp1250" }, { 45, 46, "utf8mb4" },
    { 47, 49, "latin1" }, { 50, 52, "cp1251" }, { 53, 53, "macroman" }, { 54, 55, "utf16" },
    { 56, 56, "utf16le" }, { 57, 57, "cp1256" }, { 58, 59, "cp1257" }, { 60, 61, "utf32" },
    { 62, 62, "utf16le" }, { 63, 63, "binary" }, { 64, 64, "armscii8" }, { 65, 65, "ascii" },
    { 66, 66, "cp1250" }, { 67, 67, "cp1256" }, { 68, 68, "cp866" }, { 69, 69, "dec8" },
    { 70, 70, "greek" }, { 71, 71, "hebrew" }, { 72, 72, "hp8" }, { 73, 73, "keybcs2" },
    { 74, 74, "koi8r" }, { 75, 75, "koi8u" }, { 76, 76, "utf8mb3" }, { 77, 77, "latin2" },
    { 78, 78, "latin5" }, { 79, 79, "latin7" }, { 80, 80, "cp850" }, { 81, 81, "cp852" },
    { 82, 82, "swe7" }, { 83, 83, "utf8mb3" }, { 84, 84, "big5" }, { 85, 85, "euckr" },
    { 86, 86, "gb2312" }, { 87, 87, "gbk" }, { 88, 88, "sjis" }, { 89, 89, "tis620" }, { 90, 90, "ucs2" },
    { 91, 91, "ujis" }, { 92, 93, "geostd8" }, { 94, 94, "latin1" }, { 95, 96, "cp932" },
    { 97, 98, "eucjpms" }, { 99, 99, "cp1250" }, { 101, 124, "utf16" }, { 128, 159, "ucs2" },
    { 160, 183, "utf32" }, { 192, 223, "utf8mb3" }, { 224, 247, "utf8mb4" }, { 248, 250, "gb18030" },
    { 255, 399, "utf8mb4" }, { 576, 578, "utf8mb3" }, { 608, 610, "utf8mb4" }, { 640, 642, "ucs2" },
    { 672, 674, "utf16" }, { 736, 738, "utf32" },
    /* clang-format on */
};

#define NCOLLATIONS (sizeof collations / sizeof *collations)

/* MariaDB 10.10 and later: the uca1400 collations, 256 numbers for each of five sets. */
#define UCA1400_FIRST 2048
static const char *const uca1400[] = { "utf8mb3", "utf8mb4", "ucs2", "utf16", "utf32" };

const struct charset *
binlog_charset_named(const char *name)
{
    if (strcmp(name, "utf8") == 0)
        name = "utf8mb3";
    for (size_t i = 0; i < NCHARSETS; i++)
        if (strcmp(charsets[i].name, name) == 0)
            return &charsets[i];
    return NULL;
}

const struct charset *
binlog_charset(uint32_t collation)
{
    if (collation >= UCA1400_FIRST) {
        uint32_t set = (collation - UCA1400_FIRST) / 256;
        return set < sizeof uca1400 / sizeof *uca1400 ? binlog_charset_named(uca1400[set]) : NULL;
    }
    collation &= 1023;
    for (size_t i = 0; i < NCOLLATIONS; i++)
        if (collation >= collations[i].first && collation <= collations[i].last)
            return binlog_charset_named(collations[i].charset);
    return NULL;
}

static void
add_utf8(struct tr_buffer *out, uint32_t c)
{
    if (c < 0x80) {
        tr_buffer_byte(out, (char)c);
    } else if (c < 0x800) {
        tr_buffer_byte(out, (char)(0xc0 | c >> 6));
        tr_buffer_byte(out, (char)(0x80 | (c & 0x3f)));
    } else {
        tr_buffer_byte(out, (char)(0xe0 | c >> 12));
        tr_buffer_byte(out, (char)(0x80 | (c >> 6 & 0x3f)));
        tr_buffer_byte(out, (char)(0x80 | (c & 0x3f)));
    }
}

static int
not_text(const struct charset *charset, const char *bytes, size_t len, size_t at, struct tr_error *err)
{
    tr_fail(err, TR_CONFLICT, "the byte 0x%02x at place %zu of %zu is not text in the character set %s",
            at < len ? (uint8_t)bytes[at] : 0, at, len, charset->name);
    return tr_error_hint(err, "mend the value at the source, or make the column binary");
}

static int
single_to_utf8(const struct charset *charset, const char *bytes, size_t len, struct tr_buffer *out,
               struct tr_error *err)
{
    const struct single_byte *table = tr_binlog_single_byte;
    while (table->name != NULL && strcmp(table->name, charset->name) != 0)
        table++;
    if (table->name == NULL)
        return tr_fail(err, TR_FATAL, "the character set %s has no table", charset->name);
    for (size_t i = 0; i < len; i++) {
        uint16_t code = table->code[(uint8_t)bytes[i]];
        if (code == 0 && bytes[i] != 0)
            return not_text(charset, bytes, len, i, err);
        add_utf8(out, code);
    }
    return 0;
}

static int
iconv_to_utf8(const struct charset *charset, const char *bytes, size_t len, struct tr_buffer *out,
              struct tr_error *err)
{
    iconv_t cd = iconv_open("UTF-8", charset->iconv);
    if (cd == (iconv_t)-1)
        return tr_fail(err, TR_FATAL, "the C library cannot convert from the character set %s (%s)",
                       charset->name, charset->iconv);
    char *in = (char *)(uintptr_t)bytes;
    size_t left = len;
    int rc = 0;
    while (left > 0 && rc == 0) {
        size_t room = left * 3 + 16;
        char *to = tr_buffer_reserve(out, room);
        if (to == NULL)
            break; /* the buffer remembers its overflow */
        char *end = to;
        size_t r = iconv(cd, &in, &left, &end, &room);
        out->len += (size_t)(end - to);
        *end = '\0';
        if (r == (size_t)-1 && errno != E2BIG)
            rc = not_text(charset, bytes, len, (size_t)(in - bytes), err);
    }
    iconv_close(cd);
    return rc;
}

/* ---------------------------------------------------------------- iconv, but for some codes */

/* Bytes of the character that stands there, in big5, gb18030, sjis and ujis. */
static size_t
odd_length(const struct charset *charset, const char *bytes, size_t left)
{
    uint8_t first = (uint8_t)bytes[0];
    bool sjis = strcmp(charset->name, "sjis") == 0;
    if (first < 0x80 || (sjis && first >= 0xa1 && first <= 0xdf)) /* half-width kana */
        return 1;
    if (charset->max_bytes == 4)
        return left > 1 && bytes[1] >= '0' && bytes[1] <= '9' ? 4 : 2;
    return charset->max_bytes == 3 && first == 0x8f ? 3 : 2;
}

/* Rows 85 to 94 of both planes of ujis are the users' own, and lie in Unicode's private area. */
static uint32_t
private_ujis(const struct charset *charset, uint32_t code)
{
    uint32_t row = code >> 8 & 0xff, cell = code & 0xff;
    if (charset->max_bytes != 3 || row < 0xf5 || row > 0xfe || cell < 0xa1 || cell > 0xfe || code < 0xf5a1)
        return 0;
    return (code >> 16 == 0x8f ? 0xe3ac : 0xe000) + (row - 0xf5) * 94 + cell - 0xa1;
}

static int
compare_odd(const void *a, const void *b)
{
    const struct odd_code *x = a, *y = b;
    int order = strcmp(x->charset, y->charset);
    return order != 0 ? order : (x->code > y->code) - (x->code < y->code);
}

/* One character; false when it is none. */
static bool
odd_character(const struct charset *charset, iconv_t cd, const char *bytes, size_t n, struct tr_buffer *out)
{
    struct odd_code key = { charset->name, 0, 0 };
    for (size_t i = 0; i < n; i++)
        key.code = key.code << 8 | (uint8_t)bytes[i];
    const struct odd_code *odd = bsearch(&key, tr_binlog_odd_codes, tr_binlog_odd_code_count, sizeof key,
                                         compare_odd);
    uint32_t unicode = odd != NULL                 ? odd->unicode
                       : n == 1 && key.code < 0x80 ? key.code
                                                   : private_ujis(charset, key.code);
    if (unicode != 0 || key.code == 0) {
        add_utf8(out, unicode);
        return true;
    }
    char utf8[16], *to = utf8, *in = (char *)(uintptr_t)bytes;
    size_t left = n, room = sizeof utf8;
    if (odd != NULL || iconv(cd, &in, &left, &to, &room) != 0)
        return false;
    tr_buffer_add(out, utf8, sizeof utf8 - room);
    return true;
}

static int
odd_to_utf8(const struct charset *charset, const char *bytes, size_t len, struct tr_buffer *out,
            struct tr_error *err)
{
    iconv_t cd = iconv_open("UTF-8", charset->iconv);
    if (cd == (iconv_t)-1)
        return tr_fail(err, TR_FATAL, "the C library cannot convert from the character set %s (%s)",
                       charset->name, charset->iconv);
    int rc = 0;
    for (size_t at = 0, n; at < len && rc == 0; at += n) {
        n = odd_length(charset, bytes + at, len - at);
        if (n > len - at || !odd_character(charset, cd, bytes + at, n, out))
            rc = not_text(charset, bytes, len, at, err);
    }
    iconv_close(cd);
    return rc;
}

int
binlog_to_utf8(const struct charset *charset, const char *bytes, size_t len, struct tr_buffer *out,
               struct tr_error *err)
{
    switch (charset->kind) {
    case CHARSET_SINGLE: return single_to_utf8(charset, bytes, len, out, err);
    case CHARSET_ODD: return odd_to_utf8(charset, bytes, len, out, err);
    case CHARSET_WIDE:
    case CHARSET_ICONV: return iconv_to_utf8(charset, bytes, len, out, err);
    default: tr_buffer_add(out, bytes, len); return 0;
    }
}
