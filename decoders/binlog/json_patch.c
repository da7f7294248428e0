/*
 * json_patch.c - the differences that MySQL logs of a JSON document (binlog_row_value_options=PARTIAL_JSON), applied to the document before.
 *
 * Layout: MySQL sql-common/json_diff.h. Only what lies on a difference's path is taken apart; the rest is printed as it lies. Whatever does not fit
 * the document to the letter is a failure: the servers log no difference that they could not apply themselves.
 */
#include <stdlib.h>

#include "core/cursor.h"
#include "core/memory.h"
#include "decoders/binlog/internal.h"
#include "decoders/binlog/text.h"

#define MAX_LEGS 110 /* a document is at most 100 deep */

enum { OPERATION_REPLACE = 0, OPERATION_INSERT = 1, OPERATION_REMOVE = 2 };

/* A value: as it lies in the bytes, or taken apart. */
struct node {
    const uint8_t *at, *end;
    uint8_t type; /* of the binary form */
    bool apart, object;
    uint32_t count, capacity;
    struct member *members;
};

struct member {
    const char *key; /* of an object, else NULL */
    uint32_t key_len;
    struct node *node;
};

struct leg {
    bool member;
    bool from_end; /* index counts from the last element on */
    const char *key;
    uint32_t key_len;
    uint64_t index;
};

struct patch {
    struct tr_arena arena;
    struct leg legs[MAX_LEGS];
    uint32_t nlegs;
};

/* ------------------------------------------------------------------------------------------------------------- nodes */

static struct node *
new_node(struct patch *p, uint8_t type, const uint8_t *at, const uint8_t *end)
{
    struct node *node = tr_arena_zalloc(&p->arena, sizeof *node);
    node->type = type;
    node->at = at;
    node->end = end;
    return node;
}

static struct member *
make_place(struct patch *p, struct node *node, uint32_t index)
{
    if (node->count == node->capacity) {
        uint32_t capacity = node->capacity * 2 + 4;
        struct member *members = tr_arena_alloc(&p->arena, capacity * sizeof *members);
        if (node->count > 0)
            memcpy(members, node->members, node->count * sizeof *members);
        node->members = members;
        node->capacity = capacity;
    }
    memmove(&node->members[index + 1], &node->members[index], (node->count - index) * sizeof *node->members);
    node->count++;
    return &node->members[index];
}

/* Objects and arrays: see binlog_json_container. */
static bool
take_apart(struct patch *p, struct node *node)
{
    if (node->apart)
        return true;
    struct json_container c;
    if (!binlog_json_container(node->type, node->at, node->end, &c))
        return false;
    node->capacity = (uint32_t)c.count;
    node->members = tr_arena_alloc(&p->arena, node->capacity * sizeof *node->members);
    for (uint32_t i = 0; i < node->capacity; i++) {
        struct member *m = &node->members[i];
        const uint8_t *at, *end;
        uint8_t type;
        *m = (struct member){ 0 };
        if ((c.object && !binlog_json_key(&c, i, &m->key, &m->key_len)) ||
            !binlog_json_element(&c, i, &type, &at, &end))
            return false;
        m->node = new_node(p, type, at, end);
    }
    node->count = node->capacity;
    node->object = c.object;
    node->apart = true;
    return true;
}

/* Keys are in the order of their length, then of their bytes. Returns where the key stands, or would. */
static uint32_t
find_key(const struct node *node, const char *key, uint32_t len, bool *found)
{
    uint32_t low = 0, high = node->count;
    *found = false;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct member *m = &node->members[middle];
        int order = m->key_len != len ? (m->key_len < len ? -1 : 1) : memcmp(m->key, key, len);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The place that a leg names in a container; false when it is another kind of container. */
static bool
find_leg(const struct node *node, const struct leg *leg, uint32_t *place, bool *found)
{
    if (node->object != leg->member)
        return false;
    if (leg->member) {
        *place = find_key(node, leg->key, leg->key_len, found);
        return true;
    }
    *found = leg->index < node->count;
    *place = *found ? (uint32_t)leg->index : node->count;
    if (leg->from_end)
        *place = *found ? node->count - 1 - *place : 0;
    return true;
}

static bool
write_node(struct tr_buffer *out, const struct node *node)
{
    if (!node->apart)
        return binlog_json_value(out, node->type, node->at, node->end);
    tr_buffer_byte(out, node->object ? '{' : '[');
    for (uint32_t i = 0; i < node->count; i++) {
        const struct member *m = &node->members[i];
        if (i > 0)
            tr_buffer_add(out, ", ", 2);
        if (node->object) {
            binlog_json_string(out, m->key, m->key_len);
            tr_buffer_add(out, ": ", 2);
        }
        if (!write_node(out, m->node))
            return false;
    }
    tr_buffer_byte(out, node->object ? '}' : ']');
    return !out->overflow;
}

/* ------------------------------------------------------------------------------------------------------------- paths */

static int
hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

static bool
read_unicode(struct tr_cursor *cur, struct tr_buffer *out)
{
    uint32_t code = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit((char)tr_cursor_u8(cur));
        if (digit < 0)
            return false;
        code = code << 4 | (uint32_t)digit;
    }
    if (code >= 0x80) /* the servers write only control characters so */
        return false;
    tr_buffer_byte(out, (char)code);
    return true;
}

/* A name in quotes, with JSON's escapes. */
static bool
read_quoted(struct tr_cursor *cur, struct tr_buffer *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    while (!cur->failed) {
        char c = (char)tr_cursor_u8(cur);
        if (c == '"')
            return !cur->failed;
        if (c == '\\') {
            c = (char)tr_cursor_u8(cur);
            if (c == 'u') {
                if (!read_unicode(cur, out))
                    return false;
                continue;
            }
            const char *at = c != '\0' ? strchr(from, c) : NULL;
            if (at == NULL)
                return false;
            c = to[at - from];
        }
        tr_buffer_byte(out, c);
    }
    return false;
}

static bool
read_member(struct patch *p, struct tr_cursor *cur, struct leg *leg)
{
    struct tr_buffer name;
    bool good = true;
    tr_buffer_init(&name, (size_t)1 << 20);
    if (tr_cursor_left(cur) > 0 && *cur->at == '"') {
        tr_cursor_u8(cur);
        good = read_quoted(cur, &name);
    } else {
        while (tr_cursor_left(cur) > 0 && *cur->at != '.' && *cur->at != '[')
            tr_buffer_byte(&name, (char)tr_cursor_u8(cur));
        good = name.len > 0;
    }
    leg->member = true;
    leg->key_len = (uint32_t)name.len;
    leg->key = tr_arena_copy(&p->arena, name.data != NULL ? name.data : "", name.len);
    tr_buffer_fini(&name);
    return good;
}

static bool
read_index(struct tr_cursor *cur, struct leg *leg)
{
    uint64_t n = 0;
    size_t digits = 0;
    leg->member = false;
    leg->from_end = tr_cursor_left(cur) > 4 && memcmp(cur->at, "last", 4) == 0;
    if (leg->from_end) {
        tr_cursor_bytes(cur, 4);
        digits = *cur->at != '-';
        if (digits == 0)
            tr_cursor_u8(cur);
    }
    for (; tr_cursor_left(cur) > 0 && *cur->at >= '0' && *cur->at <= '9' && n < UINT32_MAX; digits++)
        n = n * 10 + (uint64_t)(tr_cursor_u8(cur) - '0');
    leg->index = n;
    return digits > 0 && tr_cursor_u8(cur) == ']' && !cur->failed;
}

/* "$.name.\"a name\"[7]" */
static bool
read_path(struct patch *p, const uint8_t *text, size_t len)
{
    struct tr_cursor cur = tr_cursor(text, len);
    p->nlegs = 0;
    if (tr_cursor_u8(&cur) != '$')
        return false;
    while (tr_cursor_left(&cur) > 0) {
        if (p->nlegs == MAX_LEGS)
            return false;
        struct leg *leg = &p->legs[p->nlegs++];
        uint8_t c = tr_cursor_u8(&cur);
        if (c == '.' ? !read_member(p, &cur, leg) : c != '[' || !read_index(&cur, leg))
            return false;
    }
    return p->nlegs > 0 && !cur.failed;
}

/* ------------------------------------------------------------------------------------------------------- differences */

/* The container that the last leg of the path stands in. */
static struct node *
parent_of(struct patch *p, struct node *root)
{
    struct node *node = root;
    for (uint32_t i = 0;; i++) {
        uint32_t place;
        bool found;
        if (!take_apart(p, node))
            return NULL;
        if (i + 1 == p->nlegs)
            return node;
        if (!find_leg(node, &p->legs[i], &place, &found) || !found)
            return NULL;
        node = node->members[place].node;
    }
}

static bool
apply(struct patch *p, struct node *root, uint8_t operation, struct node *value)
{
    struct node *parent = parent_of(p, root);
    const struct leg *leg = &p->legs[p->nlegs - 1];
    uint32_t place;
    bool found;
    if (parent == NULL || !find_leg(parent, leg, &place, &found))
        return false;
    switch (operation) {
    case OPERATION_REPLACE:
        if (found)
            parent->members[place].node = value;
        return found;
    case OPERATION_INSERT:
        if (found && leg->member)
            return false;
        *make_place(p, parent, place) = (struct member){ leg->key, leg->key_len, value };
        return true;
    default:
        if (!found)
            return false;
        memmove(&parent->members[place], &parent->members[place + 1],
                (parent->count - place - 1) * sizeof *parent->members);
        parent->count--;
        return true;
    }
}

/* uint8 operation, packed length, path, and unless it removes: packed length, value (uint8 type, bytes). */
static bool
apply_next(struct patch *p, struct node *root, struct tr_cursor *cur)
{
    uint8_t operation = tr_cursor_u8(cur);
    uint64_t path_len = binlog_packed(cur);
    const uint8_t *path = tr_cursor_bytes(cur, path_len);
    struct node *value = NULL;
    if (operation > OPERATION_REMOVE || path == NULL || !read_path(p, path, (size_t)path_len))
        return false;
    if (operation != OPERATION_REMOVE) {
        uint64_t len = binlog_packed(cur);
        const uint8_t *bytes = tr_cursor_bytes(cur, len);
        if (bytes == NULL || len == 0)
            return false;
        value = new_node(p, bytes[0], bytes + 1, bytes + len);
    }
    return !cur->failed && apply(p, root, operation, value);
}

bool
binlog_json_patch(const uint8_t *before, size_t before_len, const uint8_t *differences, size_t len,
                  struct tr_buffer *out)
{
    static const uint8_t null_document[] = { 4, 0 }; /* a literal */
    struct patch *p = tr_calloc(1, sizeof *p);
    struct tr_cursor cur = tr_cursor(differences, len);
    bool good = true;
    tr_arena_init(&p->arena);
    if (before_len ==
        0) { /* what INSERT IGNORE, or a new column that is NOT NULL, leaves behind: MySQL reads it as null */
        before = null_document;
        before_len = sizeof null_document;
    }
    struct node *root = new_node(p, before[0], before + 1, before + before_len);
    while (good && tr_cursor_left(&cur) > 0)
        good = apply_next(p, root, &cur);
    good = good && write_node(out, root) && !out->overflow;
    tr_arena_fini(&p->arena);
    free(p);
    return good;
}
