/* structured.c - values with an inside: arrays, hstore, points, geometries, vectors. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encoders/debezium/internal.h"
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

static bool
write_array(struct renderer *r, const struct column_plan *element, struct array_reader *in, int depth,
            struct tr_buffer *out)
{
    if (depth > MAX_DIMENSIONS || in->at == in->end || *in->at++ != '{')
        return false;
    tr_buffer_byte(out, '[');
    if (in->at < in->end && *in->at == '}') {
        in->at++;
        tr_buffer_byte(out, ']');
        return true;
    }
    for (;;) {
        bool good = true;
        if (in->at < in->end && *in->at == '{')
            good = write_array(r, element, in, depth + 1, out);
        else if (!read_element(in, &r->element))
            good = false;
        else if (!in->quoted && r->element.len == 4 && memcmp(r->element.data, "NULL", 4) == 0)
            json_literal(out, "null");
        else
            good = element->render(r, element, r->element.len > 0 ? r->element.data : "", r->element.len,
                                   out);
        if (!good || in->at == in->end)
            return false;
        char next = *in->at++;
        if (next == '}')
            break;
        if (next != ',')
            return false;
        tr_buffer_byte(out, ',');
    }
    tr_buffer_byte(out, ']');
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
        json_string(out, r->bytes.len > 0 ? r->bytes.data : "", r->bytes.len);
        tr_buffer_byte(out, ':');
        if (!skip_literal(&at, end, "=>"))
            return false;
        if (skip_literal(&at, end, "NULL")) {
            json_literal(out, "null");
            continue;
        }
        if (!read_quoted(&at, end, &r->bytes))
            return false;
        json_string(out, r->bytes.len > 0 ? r->bytes.data : "", r->bytes.len);
    }
    tr_buffer_byte(out, '}');
    return true;
}

bool
render_hstore(struct renderer *r, const struct column_plan *plan, const char *text, size_t len,
              struct tr_buffer *out)
{
    (void)plan;
    if (r->modes.hstore_map)
        return write_hstore(r, text, text + len, out);
    tr_buffer_reset(&r->object);
    if (!write_hstore(r, text, text + len, &r->object) || r->object.overflow)
        return false;
    json_string(out, r->object.data, r->object.len);
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

/* "(1,2.5)" */
bool
render_point(struct renderer *r, const struct column_plan *plan, const char *text, size_t len,
             struct tr_buffer *out)
{
    const char *at = text, *end = text + len, *x, *y;
    double xy[2];
    uint8_t wkb[21] = { 1, 1 }; /* little-endian, Point */
    if (at == end || *at++ != '(')
        return render_geometry(r, plan, text, len, out);
    x = at;
    if (!read_double(&at, end, &xy[0]) || at == end || *at != ',')
        return false;
    y = ++at;
    if (!read_double(&at, end, &xy[1]) || end - at != 1 || *at != ')')
        return false;
    memcpy(wkb + 5, xy, 16);
    json_literal(out, "{\"x\":");
    render_float(r, plan, x, (size_t)(y - 1 - x), out);
    json_literal(out, ",\"y\":");
    render_float(r, plan, y, (size_t)(at - y), out);
    json_literal(out, ",\"wkb\":");
    json_base64(out, wkb, sizeof(wkb), false);
    json_literal(out, ",\"srid\":null}");
    return true;
}

#define EWKB_SRID UINT32_C(0x20000000)

static uint32_t
wkb_u32(const char *bytes, bool little)
{
    uint32_t n;
    memcpy(&n, bytes, 4);
    return little ? n : __builtin_bswap32(n);
}

/* Hex of EWKB, as PostGIS prints it: the SRID goes out of the bytes into a field of its own. */
bool
render_geometry(struct renderer *r, const struct column_plan *plan, const char *text, size_t len,
                struct tr_buffer *out)
{
    (void)plan;
    struct tr_buffer *bytes = &r->bytes;
    uint32_t type, srid = 0;
    if (len > 2 && text[0] == '\\' && text[1] == 'x') {
        text += 2;
        len -= 2;
    }
    tr_buffer_reset(bytes);
    if (!json_unhex(bytes, text, len) || bytes->len < 5 || (unsigned char)bytes->data[0] > 1)
        return false;
    bool little = bytes->data[0] == 1;
    type = wkb_u32(bytes->data + 1, little);
    if (type & EWKB_SRID) {
        if (bytes->len < 9)
            return false;
        srid = wkb_u32(bytes->data + 5, little);
        type &= ~EWKB_SRID;
        type = little ? type : __builtin_bswap32(type);
        memcpy(bytes->data + 1, &type, 4);
        memmove(bytes->data + 5, bytes->data + 9, bytes->len - 9);
        bytes->len -= 4;
    }
    json_literal(out, "{\"wkb\":");
    json_base64(out, bytes->data, bytes->len, false);
    json_literal(out, ",\"srid\":");
    if (srid != 0)
        tr_buffer_uint(out, srid);
    else
        json_literal(out, "null");
    tr_buffer_byte(out, '}');
    return true;
}

/* ------------------------------------------------------------------------------------- vectors */

/* One number up to the next of ",}]"; false when it is none. */
static bool
write_component(struct renderer *r, const char **at, const char *end, struct tr_buffer *out)
{
    size_t len = 0;
    while (*at + len < end && strchr(",]}", (*at)[len]) == NULL)
        len++;
    bool good = render_float(r, NULL, *at, len, out);
    *at += len;
    return good && *at < end;
}

/* "[1,2.5,3]" */
bool
render_vector(struct renderer *r, const struct column_plan *plan, const char *text, size_t len,
              struct tr_buffer *out)
{
    (void)plan;
    const char *at = text, *end = text + len;
    if (len < 2 || *at++ != '[' || end[-1] != ']')
        return false;
    tr_buffer_byte(out, '[');
    while (*at != ']') {
        if (!write_component(r, &at, end, out) || (*at != ',' && *at != ']'))
            return false;
        if (*at == ',') {
            tr_buffer_byte(out, ',');
            at++;
        }
    }
    tr_buffer_byte(out, ']');
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

/* "{1:0.5,3:2}/5" -> {"dimensions":5,"vector":[[1,0.5],[3,2.0]]}: keys of a Connect map that are no strings make pairs. */
bool
render_sparsevec(struct renderer *r, const struct column_plan *plan, const char *text, size_t len,
                 struct tr_buffer *out)
{
    (void)plan;
    const char *slash = memrchr(text, '/', len), *at = text, *end = slash;
    if (slash == NULL || len < 4 || *at++ != '{' || slash[-1] != '}' || slash + 1 == text + len)
        return false;
    if (slash + 1 + digit_run(slash + 1, text + len) != text + len)
        return false;
    json_literal(out, "{\"dimensions\":");
    tr_buffer_add(out, slash + 1, (size_t)(text + len - slash - 1));
    json_literal(out, ",\"vector\":[");
    while (*at != '}') {
        const char *colon = memchr(at, ':', (size_t)(end - at));
        if (colon == NULL || colon == at || digit_run(at, colon) != (size_t)(colon - at))
            return false;
        tr_buffer_byte(out, '[');
        tr_buffer_add(out, at, (size_t)(colon - at));
        tr_buffer_byte(out, ',');
        at = colon + 1;
        if (!write_component(r, &at, end, out) || (*at != ',' && *at != '}'))
            return false;
        tr_buffer_byte(out, ']');
        if (*at == ',') {
            tr_buffer_byte(out, ',');
            at++;
        }
    }
    json_literal(out, "]}");
    return at + 1 == end;
}
