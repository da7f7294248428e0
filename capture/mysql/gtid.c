/* gtid.c - see gtid.h. */
#include "capture/mysql/gtid.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/cursor.h"
#include "core/memory.h"

/* One GTID or one part of a set, as it is read. */
struct part {
    struct tr_gtid_entry key; /* uuid and tag, or domain, server, sequence; no intervals */
    uint64_t from, to;        /* MySQL: inclusive */
};

void
tr_gtid_set_fini(struct tr_gtid_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        free(set->entries[i].intervals);
    free(set->entries);
    memset(set, 0, sizeof *set);
}

void
tr_gtid_set_copy(struct tr_gtid_set *to, const struct tr_gtid_set *from)
{
    *to = *from;
    to->capacity = from->count;
    to->entries = tr_calloc(from->count + 1, sizeof *to->entries);
    for (size_t i = 0; i < from->count; i++) {
        const struct tr_gtid_entry *entry = &from->entries[i];
        to->entries[i] = *entry;
        to->entries[i].capacity = entry->nintervals;
        to->entries[i].intervals = tr_calloc(entry->nintervals + 1, sizeof *entry->intervals);
        if (entry->nintervals > 0)
            memcpy(to->entries[i].intervals, entry->intervals, entry->nintervals * sizeof *entry->intervals);
    }
}

/* ----------------------------------------------------------------------------------------------------------- entries */

static int
compare_keys(enum tr_gtid_kind kind, const struct tr_gtid_entry *a, const struct tr_gtid_entry *b)
{
    if (kind == TR_GTID_MARIADB)
        return (a->domain > b->domain) - (a->domain < b->domain);
    int order = memcmp(a->uuid, b->uuid, sizeof a->uuid);
    return order != 0 ? order : strcmp(a->tag, b->tag);
}

/* Where the key is, or belongs. */
static bool
find(const struct tr_gtid_set *set, const struct tr_gtid_entry *key, size_t *at)
{
    size_t low = 0, high = set->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = compare_keys(set->kind, &set->entries[middle], key);
        if (order == 0) {
            *at = middle;
            return true;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *at = low;
    return false;
}

static struct tr_gtid_entry *
entry_for(struct tr_gtid_set *set, const struct tr_gtid_entry *key)
{
    size_t at;
    if (find(set, key, &at))
        return &set->entries[at];
    if (set->count == set->capacity) {
        set->capacity = set->capacity > 0 ? set->capacity * 2 : 4;
        set->entries = tr_realloc(set->entries, set->capacity * sizeof *set->entries);
    }
    memmove(&set->entries[at + 1], &set->entries[at], (set->count - at) * sizeof *set->entries);
    set->entries[at] = *key;
    set->count++;
    return &set->entries[at];
}

static void
insert_interval(struct tr_gtid_entry *entry, size_t at, struct tr_gtid_interval interval)
{
    if (entry->nintervals == entry->capacity) {
        entry->capacity = entry->capacity > 0 ? entry->capacity * 2 : 2;
        entry->intervals = tr_realloc(entry->intervals, entry->capacity * sizeof *entry->intervals);
    }
    memmove(&entry->intervals[at + 1], &entry->intervals[at],
            (entry->nintervals - at) * sizeof *entry->intervals);
    entry->intervals[at] = interval;
    entry->nintervals++;
}

/* The last interval is where nearly every new number belongs, so the search begins there. */
static void
add_interval(struct tr_gtid_entry *entry, uint64_t from, uint64_t to)
{
    size_t at = entry->nintervals;
    while (at > 0 && entry->intervals[at - 1].from > from)
        at--;
    if (at > 0 && entry->intervals[at - 1].to >= from)
        at--;
    else
        insert_interval(entry, at, (struct tr_gtid_interval){ from, to });
    struct tr_gtid_interval *into = &entry->intervals[at];
    if (into->to < to)
        into->to = to;
    size_t next = at + 1;
    while (next < entry->nintervals && entry->intervals[next].from <= into->to) {
        if (entry->intervals[next].to > into->to)
            into->to = entry->intervals[next].to;
        next++;
    }
    memmove(&entry->intervals[at + 1], &entry->intervals[next],
            (entry->nintervals - next) * sizeof *entry->intervals);
    entry->nintervals -= next - (at + 1);
}

static bool
has_interval(const struct tr_gtid_entry *entry, uint64_t from, uint64_t to)
{
    for (size_t i = entry->nintervals; i > 0; i--)
        if (entry->intervals[i - 1].from <= from)
            return entry->intervals[i - 1].to >= to;
    return false;
}

/* ----------------------------------------------------------------------------------------------------------- reading */

static const char *
skip_blanks(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    return p;
}

static const char *
read_number(const char *p, const char *end, uint64_t *n)
{
    const char *start = p;
    *n = 0;
    for (; p < end && *p >= '0' && *p <= '9'; p++) {
        if (*n > (UINT64_MAX - 9) / 10)
            return NULL;
        *n = *n * 10 + (uint64_t)(*p - '0');
    }
    return p > start ? p : NULL;
}

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static const char *
read_uuid(const char *p, const char *end, uint8_t *uuid)
{
    for (int i = 0; i < 16; i++) {
        if ((i == 4 || i == 6 || i == 8 || i == 10) && (p >= end || *p++ != '-'))
            return NULL;
        if (end - p < 2 || hex_digit(p[0]) < 0 || hex_digit(p[1]) < 0)
            return NULL;
        uuid[i] = (uint8_t)(hex_digit(p[0]) << 4 | hex_digit(p[1]));
        p += 2;
    }
    return p;
}

/* A tag begins with a letter or an underscore, a number does not. */
static const char *
read_tag(const char *p, const char *end, char *tag)
{
    size_t len = 0;
    for (; p < end && *p != ':' && *p != ',' && *p != ' '; p++) {
        char c = *p >= 'A' && *p <= 'Z' ? (char)(*p | 0x20) : *p;
        if (len >= 32 || !((c >= 'a' && c <= 'z') || c == '_' || (c >= '0' && c <= '9' && len > 0)))
            return NULL;
        tag[len++] = c;
    }
    tag[len] = '\0';
    return len > 0 ? p : NULL;
}

/* "d-s-n" */
static const char *
read_mariadb(const char *p, const char *end, struct part *part)
{
    uint64_t domain, server;
    if ((p = read_number(p, end, &domain)) == NULL || p >= end || *p++ != '-' ||
        (p = read_number(p, end, &server)) == NULL || p >= end || *p++ != '-' ||
        (p = read_number(p, end, &part->key.sequence)) == NULL || domain > UINT32_MAX || server > UINT32_MAX)
        return NULL;
    part->key.domain = (uint32_t)domain;
    part->key.server = (uint32_t)server;
    return p;
}

/* Behind "uuid": ":[tag:]n[-m]" */
static const char *
read_interval(const char *p, const char *end, struct part *part)
{
    p = skip_blanks(p, end);
    if (p < end && (*p < '0' || *p > '9')) {
        if ((p = read_tag(p, end, part->key.tag)) == NULL || p >= end || *p++ != ':')
            return NULL;
        p = skip_blanks(p, end);
    }
    if ((p = read_number(p, end, &part->from)) == NULL)
        return NULL;
    part->to = part->from;
    if (p < end && *p == '-' && (p = read_number(p + 1, end, &part->to)) == NULL)
        return NULL;
    return part->from > 0 && part->to >= part->from && part->to < INT64_MAX ? skip_blanks(p, end) : NULL;
}

static const char *
add_mysql(struct tr_gtid_set *set, const char *p, const char *end)
{
    struct part part = { 0 };
    if ((p = read_uuid(p, end, part.key.uuid)) == NULL)
        return NULL;
    p = skip_blanks(p, end);
    if (p >= end || *p != ':')
        return NULL;
    while (p != NULL && p < end && *p == ':') {
        if ((p = read_interval(p + 1, end, &part)) != NULL)
            add_interval(entry_for(set, &part.key), part.from, part.to + 1);
    }
    return p;
}

static const char *
add_mariadb(struct tr_gtid_set *set, const char *p, const char *end)
{
    struct part part = { 0 };
    if ((p = read_mariadb(p, end, &part)) == NULL)
        return NULL;
    struct tr_gtid_entry *entry = entry_for(set, &part.key);
    if (entry->sequence <= part.key.sequence) {
        entry->sequence = part.key.sequence;
        entry->server = part.key.server;
    }
    return skip_blanks(p, end);
}

/* MariaDB's have their first hyphen before ten digits are over, and no colon. */
static enum tr_gtid_kind
kind_of(const char *p, const char *end)
{
    return memchr(p, ':', (size_t)(end - p)) != NULL ? TR_GTID_MYSQL : TR_GTID_MARIADB;
}

bool
tr_gtid_set_add(struct tr_gtid_set *set, const char *text, size_t len)
{
    const char *p = text, *end = text + len;
    while ((p = skip_blanks(p, end)) < end) {
        enum tr_gtid_kind kind = kind_of(p, end);
        if (set->kind != TR_GTID_EMPTY && set->kind != kind)
            return false;
        set->kind = kind;
        p = kind == TR_GTID_MYSQL ? add_mysql(set, p, end) : add_mariadb(set, p, end);
        if (p == NULL || (p < end && *p++ != ','))
            return false;
    }
    return true;
}

bool
tr_gtid_set_has(const struct tr_gtid_set *set, const char *gtid)
{
    const char *end = gtid + strlen(gtid), *p;
    struct part part = { 0 };
    size_t at;
    if (set->kind == TR_GTID_MARIADB)
        return read_mariadb(gtid, end, &part) != NULL && find(set, &part.key, &at) &&
               set->entries[at].sequence >= part.key.sequence;
    return set->kind == TR_GTID_MYSQL && (p = read_uuid(gtid, end, part.key.uuid)) != NULL && p < end &&
           *p == ':' && read_interval(p + 1, end, &part) != NULL && find(set, &part.key, &at) &&
           has_interval(&set->entries[at], part.from, part.to + 1);
}

bool
tr_gtid_set_contains(const struct tr_gtid_set *set, const struct tr_gtid_set *part)
{
    if (part->count > 0 && part->kind != set->kind)
        return false;
    for (size_t i = 0; i < part->count; i++) {
        const struct tr_gtid_entry *want = &part->entries[i];
        size_t at;
        if (!find(set, want, &at))
            return false;
        const struct tr_gtid_entry *have = &set->entries[at];
        if (set->kind == TR_GTID_MARIADB && have->sequence < want->sequence)
            return false;
        for (size_t k = 0; k < want->nintervals; k++)
            if (!has_interval(have, want->intervals[k].from, want->intervals[k].to))
                return false;
    }
    return true;
}

/* ----------------------------------------------------------------------------------------------------------- writing */

static void
write_uuid(struct tr_buffer *out, const uint8_t *uuid)
{
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            tr_buffer_byte(out, '-');
        tr_buffer_hex(out, &uuid[i], 1);
    }
}

void
tr_gtid_set_text(const struct tr_gtid_set *set, struct tr_buffer *out)
{
    tr_buffer_add(out, "", 0);
    for (size_t i = 0; i < set->count; i++) {
        const struct tr_gtid_entry *entry = &set->entries[i];
        if (i > 0)
            tr_buffer_byte(out, ',');
        if (set->kind == TR_GTID_MARIADB) {
            tr_buffer_printf(out, "%" PRIu32 "-%" PRIu32 "-%" PRIu64, entry->domain, entry->server,
                             entry->sequence);
            continue;
        }
        write_uuid(out, entry->uuid);
        if (entry->tag[0] != '\0') {
            tr_buffer_byte(out, ':');
            tr_buffer_text(out, entry->tag);
        }
        for (size_t k = 0; k < entry->nintervals; k++) {
            tr_buffer_byte(out, ':');
            tr_buffer_uint(out, entry->intervals[k].from);
            if (entry->intervals[k].to - entry->intervals[k].from > 1) {
                tr_buffer_byte(out, '-');
                tr_buffer_uint(out, entry->intervals[k].to - 1);
            }
        }
    }
}

static void
put_le(struct tr_buffer *out, uint64_t n, int width)
{
    for (int i = 0; i < width; i++)
        tr_buffer_byte(out, (char)(n >> (8 * i)));
}

/*
 * uint64 number of servers, then for each byte[16] uuid, uint64 number of intervals, each uint64 first and uint64 behind the last. With tags
 * (MySQL 8.3 and later) the count stands in bits 8 to 55 between two ones, and behind each uuid a tag: its length times two in a byte, its bytes.
 */
void
tr_gtid_set_encode(const struct tr_gtid_set *set, struct tr_buffer *out)
{
    bool tagged = false;
    for (size_t i = 0; i < set->count; i++)
        tagged = tagged || set->entries[i].tag[0] != '\0';
    put_le(out, tagged ? UINT64_C(1) << 56 | (uint64_t)set->count << 8 | 1 : set->count, 8);
    for (size_t i = 0; i < set->count; i++) {
        const struct tr_gtid_entry *entry = &set->entries[i];
        tr_buffer_add(out, entry->uuid, sizeof entry->uuid);
        if (tagged) {
            tr_buffer_byte(out, (char)(strlen(entry->tag) << 1));
            tr_buffer_text(out, entry->tag);
        }
        put_le(out, entry->nintervals, 8);
        for (size_t k = 0; k < entry->nintervals; k++) {
            put_le(out, entry->intervals[k].from, 8);
            put_le(out, entry->intervals[k].to, 8);
        }
    }
}

/* The text of one server's part: "uuid:tag:1-5:7". */
static bool
decode_entry(struct tr_cursor *cur, bool tagged, struct tr_buffer *text)
{
    const uint8_t *uuid = tr_cursor_bytes(cur, 16);
    size_t tag_len = tagged ? tr_cursor_u8(cur) >> 1 : 0;
    const uint8_t *tag = tr_cursor_bytes(cur, tag_len);
    uint64_t n = tr_cursor_le(cur, 8);
    if (cur->failed || n == 0 || n > tr_cursor_left(cur) / 16)
        return false;
    tr_buffer_reset(text);
    write_uuid(text, uuid);
    if (tag_len > 0) {
        tr_buffer_byte(text, ':');
        tr_buffer_add(text, tag, tag_len);
    }
    for (; n > 0; n--) {
        uint64_t from = tr_cursor_le(cur, 8), to = tr_cursor_le(cur, 8);
        if (from == 0 || to <= from)
            return false;
        tr_buffer_printf(text, ":%" PRIu64 "-%" PRIu64, from, to - 1);
    }
    return !cur->failed && !text->overflow;
}

bool
tr_gtid_set_decode(struct tr_gtid_set *set, const uint8_t *bytes, size_t len)
{
    struct tr_cursor cur = tr_cursor(bytes, len);
    uint64_t count = tr_cursor_le(&cur, 8);
    bool tagged = count >> 56 == 1;
    if (tagged)
        count = count >> 8 & ((UINT64_C(1) << 48) - 1);
    struct tr_buffer text;
    tr_buffer_init(&text, (size_t)16 << 20);
    bool good = !cur.failed;
    for (; good && count > 0; count--)
        good = decode_entry(&cur, tagged, &text) && tr_gtid_set_add(set, text.data, text.len);
    tr_buffer_fini(&text);
    good = good && tr_cursor_left(&cur) == 0;
    if (!good)
        tr_gtid_set_fini(set);
    return good;
}
