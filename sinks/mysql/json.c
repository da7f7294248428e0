/*
 * json.c - documents with decimals. MySQL keeps 19.90 in JSON as the decimal that it is when a function has put it there, and reads it in a text as the double 19.9: so such a
 * document is written as the calls that make it.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sinks/mysql/apply.h"

#define DEPTH_MAX 128 /* the server's limit is 100 */
#define DIGITS_MAX 65 /* of a decimal, and of those behind the point */
#define FRACTION_MAX 30

static size_t
number_length(const char *p, const char *end)
{
    const char *start = p;
    while (p < end && (isdigit((unsigned char)*p) || strchr("+-.eE", *p) != NULL))
        p++;
    return (size_t)(p - start);
}

/* Does a double print itself so? */
static bool
is_double(const char *number)
{
    char shortest[40];
    double value = strtod(number, NULL);
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(shortest, sizeof shortest, "%.*g", digits, value);
        if (strtod(shortest, NULL) == value)
            break;
    }
    if (strchr(shortest, '.') == NULL && strchr(shortest, 'e') == NULL)
        strcat(shortest, ".0");
    return strcmp(shortest, number) == 0;
}

/* Not a number that the server reads from a text without changing it. */
static bool
is_decimal(const char *text, size_t len)
{
    char number[DIGITS_MAX + 4], *end;
    const char *point = memchr(text, '.', len);
    size_t digits = len - (*text == '-') - (point != NULL),
           fraction = point != NULL ? (size_t)(text + len - point - 1) : 0;
    if (memchr(text, 'e', len) != NULL || memchr(text, 'E', len) != NULL || digits > DIGITS_MAX ||
        fraction > FRACTION_MAX || (point == NULL && digits < 19))
        return false;
    memcpy(number, text, len);
    number[len] = '\0';
    if (point != NULL)
        return !is_double(number);
    errno = 0;
    if (*number == '-')
        strtoll(number, &end, 10);
    else
        strtoull(number, &end, 10);
    return errno != 0;
}

/* Behind the closing quote. */
static const char *
past_string(const char *p, const char *end)
{
    for (p++; p < end && *p != '"'; p++)
        p += *p == '\\' && p + 1 < end;
    return p < end ? p + 1 : end;
}

bool
tr_my_json_has_decimals(const char *text, size_t len)
{
    for (const char *p = text, *end = text + len; p < end;) {
        if (*p == '"') {
            p = past_string(p, end);
        } else if (*p == '-' || isdigit((unsigned char)*p)) {
            size_t n = number_length(p, end);
            if (is_decimal(p, n))
                return true;
            p += n;
        } else {
            p++;
        }
    }
    return false;
}

/* ------------------------------------------------------------------------------------------- as calls */

struct writer {
    const char *p, *end;
    struct tr_buffer *out;
    struct tr_buffer text; /* of a string, decoded */
    int depth;
};

static unsigned
four_digits(const char *p)
{
    char digits[5] = "";
    memcpy(digits, p, 4);
    return (unsigned)strtoul(digits, NULL, 16);
}

static void
put_character(struct tr_buffer *out, unsigned c)
{
    if (c < 0x80) {
        tr_buffer_byte(out, (char)c);
    } else if (c < 0x800) {
        tr_buffer_byte(out, (char)(0xc0 | c >> 6));
        tr_buffer_byte(out, (char)(0x80 | (c & 0x3f)));
    } else if (c < 0x10000) {
        tr_buffer_byte(out, (char)(0xe0 | c >> 12));
        tr_buffer_byte(out, (char)(0x80 | (c >> 6 & 0x3f)));
        tr_buffer_byte(out, (char)(0x80 | (c & 0x3f)));
    } else {
        tr_buffer_byte(out, (char)(0xf0 | c >> 18));
        tr_buffer_byte(out, (char)(0x80 | (c >> 12 & 0x3f)));
        tr_buffer_byte(out, (char)(0x80 | (c >> 6 & 0x3f)));
        tr_buffer_byte(out, (char)(0x80 | (c & 0x3f)));
    }
}

/* p is at the backslash; returns what stands behind the escape. */
static const char *
escape(struct writer *w, const char *p)
{
    static const char letters[] = "bfnrt", codes[] = "\b\f\n\r\t";
    const char *at = strchr(letters, p[1]);
    if (p[1] != 'u' || w->end - p < 6) {
        tr_buffer_byte(&w->text, at != NULL ? codes[at - letters] : p[1]);
        return p + 2;
    }
    unsigned c = four_digits(p + 2);
    p += 6;
    if (c >= 0xd800 && c < 0xdc00 && w->end - p >= 6 && p[0] == '\\' && p[1] == 'u') {
        c = 0x10000 + ((c - 0xd800) << 10) + (four_digits(p + 2) - 0xdc00);
        p += 6;
    }
    put_character(&w->text, c);
    return p;
}

static void
string(struct writer *w)
{
    const char *end = past_string(w->p, w->end), *p = w->p + 1;
    tr_buffer_reset(&w->text);
    while (p < end - 1) {
        if (*p == '\\' && p + 1 < end - 1)
            p = escape(w, p);
        else
            tr_buffer_byte(&w->text, *p++);
    }
    tr_mysql_literal(w->out, w->text.len > 0 ? w->text.data : "", w->text.len);
    w->p = end;
}

/* A double keeps its kind by an exponent. */
static void
number(struct writer *w)
{
    size_t n = number_length(w->p, w->end);
    bool is_whole = memchr(w->p, '.', n) == NULL,
         has_exponent = memchr(w->p, 'e', n) != NULL || memchr(w->p, 'E', n) != NULL;
    tr_buffer_add(w->out, w->p, n);
    tr_buffer_text(w->out, is_whole || has_exponent || is_decimal(w->p, n) ? "" : "e0");
    w->p += n;
}

static bool value(struct writer *w);

static void
blanks(struct writer *w)
{
    while (w->p < w->end && strchr(" \t\r\n", *w->p) != NULL)
        w->p++;
}

static bool
members(struct writer *w, char close)
{
    bool good = w->depth++ < DEPTH_MAX;
    tr_buffer_text(w->out, close == '}' ? "JSON_OBJECT(" : "JSON_ARRAY(");
    w->p++;
    blanks(w);
    for (bool first = true; good && w->p < w->end && *w->p != close; first = false) {
        if (!first && *w->p++ != ',')
            return false;
        tr_buffer_text(w->out, first ? "" : ",");
        good = value(w);
        if (good && close == '}') {
            good = w->p < w->end && *w->p++ == ':';
            tr_buffer_byte(w->out, ',');
            good = good && value(w);
        }
    }
    tr_buffer_byte(w->out, ')');
    w->depth--;
    good = good && w->p < w->end;
    w->p += good;
    return good;
}

static bool
value(struct writer *w)
{
    bool good = true;
    blanks(w);
    if (w->p == w->end)
        return false;
    if (*w->p == '{' || *w->p == '[') {
        good = members(w, *w->p == '{' ? '}' : ']');
    } else if (*w->p == '"') {
        string(w);
    } else if (*w->p == '-' || isdigit((unsigned char)*w->p)) {
        number(w);
    } else {
        size_t n = 0;
        while (w->p + n < w->end && islower((unsigned char)w->p[n]))
            n++;
        good = (n == 4 && (memcmp(w->p, "true", 4) == 0 || memcmp(w->p, "null", 4) == 0)) ||
               (n == 5 && memcmp(w->p, "false", 5) == 0);
        tr_buffer_add(w->out, w->p, good ? n : 0);
        w->p += n;
    }
    blanks(w);
    return good;
}

bool
tr_my_json_calls(const char *text, size_t len, struct tr_buffer *out)
{
    struct writer w = { .p = text, .end = text + len, .out = out };
    size_t before = out->len;
    blanks(&w);
    bool scalar = w.p < w.end && *w.p != '{' && *w.p != '[';
    tr_buffer_init(&w.text, TR_BUFFER_MAX);
    tr_buffer_text(out, scalar ? "CAST(" : "");
    bool good = value(&w) && w.p == w.end;
    tr_buffer_text(out, scalar ? " AS JSON)" : "");
    tr_buffer_fini(&w.text);
    if (!good)
        out->len = before;
    return good;
}
