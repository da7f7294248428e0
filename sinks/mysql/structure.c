/* structure.c - arrays, hstore and geometries of PostgreSQL in the forms that MySQL has for them. */
#include <string.h>

#include "core/text.h"
#include "sinks/mysql/apply.h"

#define DEPTH_MAX 6 /* PostgreSQL's MAXDIM */

static bool
is_number(enum tr_logical logical)
{
    return (logical >= TR_INT8 && logical <= TR_DECIMAL) || logical == TR_OID;
}

static void
element_json(const char *text, size_t len, bool quoted, enum tr_logical element, struct tr_buffer *out)
{
    if (!quoted && len == 4 && memcmp(text, "NULL", 4) == 0) {
        tr_buffer_text(out, "null");
    } else if (element == TR_BOOL && len == 1) {
        tr_buffer_text(out, text[0] == 't' ? "true" : "false");
    } else if (is_number(element) && tr_text_is_number(text, len)) {
        tr_buffer_add(out, text, len);
    } else if (element == TR_JSON || element == TR_JSONB) {
        tr_buffer_add(out, text, len);
    } else {
        tr_buffer_byte(out, '"');
        tr_text_json(out, text, len);
        tr_buffer_byte(out, '"');
    }
}

/* One element from p on, quoted or plain; the end behind it, or NULL. */
static const char *
element(const char *p, const char *end, char delimiter, enum tr_logical logical, struct tr_buffer *out)
{
    struct tr_buffer text;
    bool is_quoted = *p == '"';
    tr_buffer_init(&text, TR_BUFFER_MAX);
    p += is_quoted;
    while (p < end && (is_quoted ? *p != '"' : *p != delimiter && *p != '}')) {
        p += *p == '\\' && p + 1 < end;
        tr_buffer_byte(&text, *p++);
    }
    bool closed = p < end;
    element_json(text.len > 0 ? text.data : "", text.len, is_quoted, logical, out);
    tr_buffer_fini(&text);
    return closed ? p + is_quoted : NULL;
}

bool
tr_my_array_json(const char *text, size_t len, char delimiter, enum tr_logical logical, struct tr_buffer *out)
{
    const char *p = text, *end = text + len;
    int depth = 0;
    bool after = false;       /* an element or an inner array has just ended */
    if (p < end && *p == '[') /* "[0:2]={...}": lower bounds */
        p = memchr(p, '=', len) != NULL ? (const char *)memchr(p, '=', len) + 1 : end;
    if (p == end || *p != '{')
        return false;
    for (char last = delimiter; p != NULL && p < end; last = after ? '\0' : p[-1]) {
        if (*p == '}' ? !after && last != '{' : after != (*p == delimiter))
            return false;
        after = false;
        if (*p == '{') {
            if (++depth > DEPTH_MAX)
                return false;
            tr_buffer_byte(out, '[');
            p++;
        } else if (*p == '}') {
            tr_buffer_byte(out, ']');
            p++;
            if (--depth == 0)
                return p == end;
            after = true;
        } else if (*p == delimiter) {
            tr_buffer_byte(out, ',');
            p++;
        } else {
            p = element(p, end, delimiter, logical, out);
            after = true;
        }
    }
    return false;
}

/* A quoted word of an hstore's text; the end behind it, or NULL. */
static const char *
word(const char *p, const char *end, struct tr_buffer *out)
{
    struct tr_buffer text;
    if (p >= end || *p++ != '"')
        return NULL;
    tr_buffer_init(&text, TR_BUFFER_MAX);
    while (p < end && *p != '"') {
        p += *p == '\\' && p + 1 < end;
        tr_buffer_byte(&text, *p++);
    }
    tr_buffer_byte(out, '"');
    tr_text_json(out, text.len > 0 ? text.data : "", text.len);
    tr_buffer_byte(out, '"');
    tr_buffer_fini(&text);
    return p < end ? p + 1 : NULL;
}

bool
tr_my_hstore_json(const char *text, size_t len, struct tr_buffer *out)
{
    const char *p = text, *end = text + len;
    tr_buffer_byte(out, '{');
    while (p < end) {
        p = word(p, end, out);
        if (p == NULL || end - p < 2 || p[0] != '=' || p[1] != '>')
            return false;
        p += 2;
        tr_buffer_byte(out, ':');
        if (end - p >= 4 && memcmp(p, "NULL", 4) == 0) {
            tr_buffer_text(out, "null");
            p += 4;
        } else if ((p = word(p, end, out)) == NULL) {
            return false;
        }
        if (p < end) {
            if (end - p < 3 || p[0] != ',' || p[1] != ' ')
                return false;
            p += 2;
            tr_buffer_byte(out, ',');
        }
    }
    tr_buffer_byte(out, '}');
    return true;
}

/* ------------------------------------------------------------------------------------------- geometry */

#define EWKB_Z 0x80000000u
#define EWKB_M 0x40000000u
#define EWKB_SRID 0x20000000u

static int
digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static uint32_t
word_at(const unsigned char *p, bool little)
{
    return little ? (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24
                  : (uint32_t)p[3] | (uint32_t)p[2] << 8 | (uint32_t)p[1] << 16 | (uint32_t)p[0] << 24;
}

static void
put_little(struct tr_buffer *out, uint32_t n)
{
    for (int i = 0; i < 4; i++, n >>= 8)
        tr_buffer_byte(out, (char)(n & 0xff));
}

/* Byte order, type with flags, SRID when flagged, then the coordinates. PostGIS puts the flags on the outermost geometry and, for the dimensions, on its parts. */
static bool
restamp(const unsigned char *wkb, size_t len, struct tr_buffer *out)
{
    if (len < 9 || wkb[0] != 1) /* PostGIS prints little-endian on every machine that matters */
        return false;
    uint32_t type = word_at(wkb + 1, true), srid = 0;
    size_t body = 5;
    if ((type & (EWKB_Z | EWKB_M)) != 0)
        return false;
    if ((type & EWKB_SRID) != 0) {
        srid = word_at(wkb + 5, true);
        body = 9;
    }
    put_little(out, srid);
    tr_buffer_byte(out, 1);
    put_little(out, type & ~EWKB_SRID);
    tr_buffer_add(out, wkb + body, len - body);
    return true;
}

bool
tr_my_geometry(const char *hex, size_t len, struct tr_buffer *out)
{
    struct tr_buffer wkb;
    bool known = len % 2 == 0;
    tr_buffer_init(&wkb, TR_BUFFER_MAX);
    for (size_t i = 0; i + 1 < len && known; i += 2) {
        int high = digit(hex[i]), low = digit(hex[i + 1]);
        known = high >= 0 && low >= 0;
        if (known)
            tr_buffer_byte(&wkb, (char)(high << 4 | low));
    }
    known = known && wkb.len > 0 && restamp((const unsigned char *)wkb.data, wkb.len, out);
    tr_buffer_fini(&wkb);
    return known;
}
