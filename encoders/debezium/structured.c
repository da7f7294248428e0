/* structured.c - values with an inside: arrays, hstore, points, geometries, vectors. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encoders/debezium/internal.h"
#include "encoders/debezium/put.h"
#include "encoders/common/write.h"

/* -------------------------------------------------------------------------------------- arrays */

struct array_reader {
    const char *at;
    const char *end;
    bool quoted; /* the element just read was */
};

/* One element, unescaped, into out; stops before the comma or brace behind it. */
static bool
read_element(struct array_reader *in, struct tr_buffer *out)
{
    tr_buffer_reset(out);
    in->quoted = in->at < in->end && *in->at == '"';
    in->at += in->quoted;
    while (in->at < in->end) {
        const char *run = in->at;
        while (in->at < in->end && *in->at != '\\' &&
               (in->quoted ? *in->at != '"' : *in->at != ',' && *in->at != '}'))
            in->at++;
        tr_buffer_add(out, run, (size_t)(in->at - run));
        if (in->at == in->end)
            return false;
        if (*in->at != '\\') {
            in->at += in->quoted;
            return true;
        }
        if (++in->at == in->end)
            return false;
        tr_buffer_byte(out, *in->at++);
    }
    return false;
}

#define MAX_DIMENSIONS 6 /* PostgreSQL's own limit */

/* One element with, in Avro, the branch of its union before it. */
static bool
write_item(struct renderer *r, const struct column_plan *element, const struct array_reader *in,
           struct tr_buffer *out)
{
    size_t at = out->len;
    r->null = !in->quoted && r->element.len == 4 && memcmp(r->element.data, "NULL", 4) == 0;
    put_branch(r, out, 1);
    if (r->null && !r->avro)
        json_literal(out, "null");
    else if (!r->null &&
             !element->render(r, element, r->element.len > 0 ? r->element.data : "", r->element.len, out))
        return false;
    if (r->null && r->avro) {
        out->len = at;
        avro_long(out, 0);
    }
    r->null = false;
    return true;
}

static bool
write_array(struct renderer *r, const struct column_plan *element, struct array_reader *in, int depth,
            struct tr_buffer *out)
{
    /* Avro has no room for an array whose depth the column's type does not say. */
    if (depth > (r->avro ? 1 : MAX_DIMENSIONS) || in->at == in->end || *in->at++ != '{')
        return false;
    size_t start = out->len;
    int64_t count = 0;
    tr_buffer_byte(out, r->avro ? 0 : '[');
    if (in->at < in->end && *in->at == '}') {
        in->at++;
        put_syntax(r, out, "]");
        return true;
    }
    for (;;) {
        bool good;
        if (in->at < in->end && *in->at == '{')
            good = write_array(r, element, in, depth + 1, out);
        else
            good = read_element(in, &r->element) && write_item(r, element, in, out);
        if (!good || in->at == in->end)
            return false;
        count++;
        char next = *in->at++;
        if (next == '}')
            break;
        if (next != ',')
            return false;
        put_syntax(r, out, ",");
    }
    if (r->avro) {
        avro_patch(out, start, count);
        avro_long(out, 0);
    }
    put_syntax(r, out, "]");
    return true;
}

/* "{1,2,NULL}", "{{a,b},{c,d}}", "[0:1]={1,2}" (the bounds have no place in JSON). */
bool
render_array(struct renderer *r, const struct column_plan *plan, const char *text, size_t len,
             struct tr_buffer *out)
{
    struct array_reader in = { text, text + len, false };
    if (len > 0 && *text == '[') {
        const char *equals = memchr(text, '=', len);
        if (equals == NULL)
            return false;
        in.at = equals + 1;
    }
    return write_array(r, plan->element, &in, 1, out) && in.at == in.end;
}

/* -------------------------------------------------------------------------------------- hstore */

static bool
read_quoted(const char **at, const char *end, struct tr_buffer *out)
{
    tr_buffer_reset(out);
    if (*at == end || *(*at)++ != '"')
        return false;
    for (; *at < end && **at != '"'; (*at)++) {
        if (**at == '\\' && ++*at == end)
            return false;
        tr_buffer_byte(out, **at);
    }
    return *at < end && *(*at)++ == '"';
}

static bool
skip_literal(const char **at, const char *end, const char *literal)
{
    size_t len = strlen(literal);
    if ((size_t)(end - *at) < len || memcmp(*at, literal, len) != 0)
        return false;
    *at += len;
    return true;
}

/* `"a"=>"1", "b"=>NULL` -> {"a":"1","b":null} */
static bool
write_hstore(struct renderer *r, const char *at, const char *end, struct tr_buffer *out)
{
    tr_buffer_byte(out, '{');
    for (bool first = true; at < end; first = false) {
        if (!first) {
            if (!skip_literal(&at, end, ", "))
                return false;
            tr_buffer_byte(out, ',');
        }
        if (!read_quoted(&at, end, &r->bytes))
            return false;
        tr_json_string(out, r->bytes.len > 0 ? r->bytes.data : "", r->bytes.len);
        tr_buffer_byte(out, ':');
        if (!skip_literal(&at, end, "=>"))
            return false;
        if (skip_literal(&at, end, "NULL")) {
            json_literal(out, "null");
            continue;
        }
        if (!read_quoted(&at, end, &r->bytes))
            return false;
        tr_json_string(out, r->bytes.len > 0 ? r->bytes.data : "", r->bytes.len);
    }
    tr_buffer_byte(out, '}');
    return true;
}

/* The same as a map of optional strings: count, pairs, 0. */
static bool
avro_hstore(struct renderer *r, const char *at, const char *end, struct tr_buffer *out)
{
    size_t start = out->len;
    int64_t count = 0;
    tr_buffer_byte(out, 0);
    for (; at < end; count++) {
        if ((count > 0 && !skip_literal(&at, end, ", ")) || !read_quoted(&at, end, &r->bytes))
            return false;
        avro_string(out, r->bytes.len > 0 ? r->bytes.data : "", r->bytes.len);
        if (!skip_literal(&at, end, "=>"))
            return false;
        bool null = skip_literal(&at, end, "NULL");
        avro_long(out, !null);
        if (null)
            continue;
        if (!read_quoted(&at, end, &r->bytes))
            return false;
        avro_string(out, r->bytes.len > 0 ? r->bytes.data : "", r->bytes.len);
    }
    if (count == 0)
        return true;
    avro_patch(out, start, count);
    avro_long(out, 0);
    return true;
}

bool
render_hstore(struct renderer *r, const struct column_plan *plan, const char *text, size_t len,
              struct tr_buffer *out)
{
    (void)plan;
    if (r->modes.hstore_map)
        return (r->avro ? avro_hstore : write_hstore)(r, text, text + len, out);
    tr_buffer_reset(&r->object);
    if (!write_hstore(r, text, text + len, &r->object) || r->object.overflow)
        return false;
    put_string(r, out, r->object.data, r->object.len);
    return true;
}

/* ------------------------------------------------------------------------------------ geometry */

static bool
read_double(const char **at, const char *end, double *number)
{
    char text[64], *stop;
    size_t len = 0;
    while (*at + len < end && (*at)[len] != ',' && (*at)[len] != ')')
        len++;
    if (len == 0 || len >= sizeof(text))
        return false;
    memcpy(text, *at, len);
    text[len] = '\0';
    *number = strtod(text, &stop);
    *at += len;
    return *stop == '\0';
}

#define EWKB_SRID UINT32_C(0x20000000)
#define WKB_POINT 1
#define WKB_POINT_SIZE 21

static void
put_srid(struct renderer *r, uint32_t srid, struct tr_buffer *out)
{
    put_syntax(r, out, ",\"srid\":");
    put_branch(r, out, srid != 0);
    if (srid != 0)
        put_int(r, out, srid);
    else
        put_syntax(r, out, "null");
    put_syntax(r, out, "}");
}

static uint32_t
wkb_u32(const char *bytes, bool little)
{
    uint32_t n;
    memcpy(&n, bytes, 4);
    return little ? n : __builtin_bswap32(n);
}

static double
wkb_double(const char *bytes, bool little)
{
    uint64_t n;
    double number;
    memcpy(&n, bytes, 8);
    if (!little)
        n = __builtin_bswap64(n);
    memcpy(&number, &n, 8);
    return number;
}

/* MySQL's own form in r->bytes: the SRID, little-endian, and behind it the WKB. */
static bool
split_mysql_geometry(struct tr_buffer *bytes, uint32_t *srid)
{
    if (bytes->len < 9 || (unsigned char)bytes->data[4] > 1)
        return false;
    *srid = wkb_u32(bytes->data, true);
    memmove(bytes->data, bytes->data + 4, bytes->len - 4);
    bytes->len -= 4;
    return true;
}

/* Hex of EWKB, as PostGIS prints it, into r->bytes: the SRID goes out of the bytes. */
static bool
read_ewkb(struct renderer *r, const char *text, size_t len, uint32_t *srid)
{
    struct tr_buffer *bytes = &r->bytes;
    *srid = 0;
    if (len > 2 && text[0] == '\\' && text[1] == 'x') {
        text += 2;
        len -= 2;
    }
    tr_buffer_reset(bytes);
    if (!json_unhex(bytes, text, len))
        return false;
    if (r->modes.mysql)
        return split_mysql_geometry(bytes, srid);
    if (bytes->len < 5 || (unsigned char)bytes->data[0] > 1)
        return false;
    bool little = bytes->data[0] == 1;
    uint32_t type = wkb_u32(bytes->data + 1, little);
    if (!(type & EWKB_SRID))
        return true;
    if (bytes->len < 9)
        return false;
    *srid = wkb_u32(bytes->data + 5, little);
    type &= ~EWKB_SRID;
    type = little ? type : __builtin_bswap32(type);
    memcpy(bytes->data + 1, &type, 4);
    memmove(bytes->data + 5, bytes->data + 9, bytes->len - 9);
    bytes->len -= 4;
    return true;
}

/* A point in binary (MySQL, MariaDB). */
static bool
binary_point(struct renderer *r, const char *text, size_t len, struct tr_buffer *out)
{
    uint32_t srid;
    if (!read_ewkb(r, text, len, &srid))
        return false;
    const char *wkb = r->bytes.data;
    bool little = wkb[0] == 1;
    if (r->bytes.len != WKB_POINT_SIZE || wkb_u32(wkb + 1, little) != WKB_POINT)
        return false;
    put_syntax(r, out, "{\"x\":");
    put_double(r, out, wkb_double(wkb + 5, little));
    put_syntax(r, out, ",\"y\":");
    put_double(r, out, wkb_double(wkb + 13, little));
    put_syntax(r, out, ",\"wkb\":");
    put_branch(r, out, 1);
    put_bytes(r, out, wkb, WKB_POINT_SIZE);
    put_srid(r, srid, out);
    return true;
}

/* "(1,2.5)" */
bool
render_point(struct renderer *r, const struct column_plan *plan, const char *text, size_t len,
             struct tr_buffer *out)
{
    const char *at = text, *end = text + len, *x, *y;
    double xy[2];
    uint8_t wkb[WKB_POINT_SIZE] = { 1, WKB_POINT }; /* little-endian */
    (void)plan;
    if (at == end || *at++ != '(')
        return binary_point(r, text, len, out);
    x = at;
    if (!read_double(&at, end, &xy[0]) || at == end || *at != ',')
        return false;
    y = ++at;
    if (!read_double(&at, end, &xy[1]) || end - at != 1 || *at != ')')
        return false;
    memcpy(wkb + 5, xy, 16);
    put_syntax(r, out, "{\"x\":");
    if (!put_number(r, x, (size_t)(y - 1 - x), 8, out))
        return false;
    put_syntax(r, out, ",\"y\":");
    if (!put_number(r, y, (size_t)(at - y), 8, out))
        return false;
    put_syntax(r, out, ",\"wkb\":");
    put_branch(r, out, 1);
    put_bytes(r, out, wkb, sizeof(wkb));
    put_srid(r, 0, out);
    return true;
}

/* wkb and, in a field of its own, the SRID */
bool
render_geometry(struct renderer *r, const struct column_plan *plan, const char *text, size_t len,
                struct tr_buffer *out)
{
    uint32_t srid;
    (void)plan;
    if (!read_ewkb(r, text, len, &srid))
        return false;
    put_syntax(r, out, "{\"wkb\":");
    put_bytes(r, out, r->bytes.data, r->bytes.len);
    put_srid(r, srid, out);
    return true;
}

/* ------------------------------------------------------------------------------------- vectors */

/* One number up to the next of ",}]"; false when it is none. */
static bool
write_component(struct renderer *r, const char **at, const char *end, int width, struct tr_buffer *out)
{
    size_t len = 0;
    while (*at + len < end && strchr(",]}", (*at)[len]) == NULL)
        len++;
    bool good = put_number(r, *at, len, width, out);
    *at += len;
    return good && *at < end;
}

/* Behind the elements of an array of Avro, whose count is put before them. */
static void
end_array(struct renderer *r, size_t start, int64_t count, struct tr_buffer *out)
{
    put_syntax(r, out, "]");
    if (!r->avro || count == 0)
        return;
    avro_patch(out, start, count);
    avro_long(out, 0);
}

/* "[1,2.5,3]" */
bool
render_vector(struct renderer *r, const struct column_plan *plan, const char *text, size_t len,
              struct tr_buffer *out)
{
    const char *at = text, *end = text + len;
    size_t start = out->len;
    int64_t count = 0;
    if (len < 2 || *at++ != '[' || end[-1] != ']')
        return false;
    tr_buffer_byte(out, r->avro ? 0 : '[');
    for (; *at != ']'; count++) {
        if (!write_component(r, &at, end, plan->float_width, out) || (*at != ',' && *at != ']') ||
            (*at == ',' && at[1] == ']'))
            return false;
        if (*at == ',') {
            put_syntax(r, out, ",");
            at++;
        }
    }
    end_array(r, start, count, out);
    return at + 1 == end;
}

/* Decimal digits up to `end`. */
static size_t
digit_run(const char *at, const char *end)
{
    size_t n = 0;
    while (at + n < end && at[n] >= '0' && at[n] <= '9')
        n++;
    return n;
}

static bool
put_small(struct renderer *r, const char *digits, size_t len, struct tr_buffer *out)
{
    int64_t n = 0;
    if (len == 0 || len > 9)
        return false;
    for (size_t i = 0; i < len; i++)
        n = n * 10 + (digits[i] - '0');
    put_int(r, out, n);
    return true;
}

/* "{1:0.5,3:2}/5" -> {"dimensions":5,"vector":[[1,0.5],[3,2.0]]}: keys of a Connect map that are no strings make pairs. */
bool
render_sparsevec(struct renderer *r, const struct column_plan *plan, const char *text, size_t len,
                 struct tr_buffer *out)
{
    (void)plan;
    const char *slash = memrchr(text, '/', len), *at = text, *end = slash;
    if (slash == NULL || len < 4 || *at++ != '{' || slash[-1] != '}' || slash + 1 == text + len)
        return false;
    size_t ndigits = digit_run(slash + 1, text + len);
    put_syntax(r, out, "{\"dimensions\":");
    if (slash + 1 + ndigits != text + len || !put_small(r, slash + 1, ndigits, out))
        return false;
    put_syntax(r, out, ",\"vector\":");
    size_t start = out->len;
    int64_t count = 0;
    tr_buffer_byte(out, r->avro ? 0 : '[');
    for (; *at != '}'; count++) {
        const char *colon = memchr(at, ':', (size_t)(end - at));
        if (colon == NULL || digit_run(at, colon) != (size_t)(colon - at))
            return false;
        put_syntax(r, out, "[");
        if (!put_small(r, at, (size_t)(colon - at), out))
            return false;
        put_syntax(r, out, ",");
        at = colon + 1;
        if (!write_component(r, &at, end, 8, out) || (*at != ',' && *at != '}') ||
            (*at == ',' && at[1] == '}'))
            return false;
        put_syntax(r, out, "]");
        if (*at == ',') {
            put_syntax(r, out, ",");
            at++;
        }
    }
    end_array(r, start, count, out);
    put_syntax(r, out, "}");
    return at + 1 == end;
}
