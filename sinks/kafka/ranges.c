/* ranges.c - where the messages of a Kafka transaction stand, by the delivery reports; and as text, for the task's state. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/memory.h"
#include "sinks/kafka/internal.h"

struct part *
ranges_add(struct ranges *ranges, const char *topic, size_t len, int32_t partition)
{
    if (ranges->count == ranges->cap) {
        ranges->cap = ranges->cap > 0 ? 2 * ranges->cap : 16;
        ranges->parts = tr_realloc(ranges->parts, ranges->cap * sizeof(*ranges->parts));
    }
    struct part *part = &ranges->parts[ranges->count++];
    *part = (struct part){ .topic = tr_strndup(topic, len), .partition = partition };
    return part;
}

void
ranges_add_run(struct ranges *ranges, struct part *part, int64_t first, int64_t last)
{
    /* A power of two is full. */
    if ((part->nruns & (part->nruns - 1)) == 0)
        part->runs = tr_realloc(part->runs, (part->nruns > 0 ? 2 * part->nruns : 1) * sizeof(*part->runs));
    part->runs[part->nruns++] = (struct run){ first, last };
    ranges->nruns++;
}

int64_t
ranges_end(const struct part *part)
{
    return part->nruns > 0 ? part->runs[part->nruns - 1].last : -1;
}

const struct part *
ranges_find(const struct ranges *ranges, const char *topic, int32_t partition)
{
    for (size_t i = 0; i < ranges->count; i++) {
        if (ranges->parts[i].partition == partition && strcmp(ranges->parts[i].topic, topic) == 0)
            return &ranges->parts[i];
    }
    return NULL;
}

void
ranges_fini(struct ranges *ranges)
{
    for (size_t i = 0; i < ranges->count; i++) {
        free(ranges->parts[i].topic);
        free(ranges->parts[i].runs);
    }
    free(ranges->parts);
    *ranges = (struct ranges){ 0 };
}

/* The place of before may be that of another transaction, or of a part that another topic has now. */
static struct part *
part_of(struct ranges *ranges, const rd_kafka_message_t *report)
{
    struct places *places = rd_kafka_topic_opaque(report->rkt);
    uint32_t *place = &places->of[report->partition];
    if (*place != 0 && *place <= ranges->count) {
        struct part *part = &ranges->parts[*place - 1];
        if (part->partition == report->partition && part->places == places)
            return part;
    }
    const char *name = rd_kafka_topic_name(report->rkt);
    struct part *part = ranges_add(ranges, name, strlen(name), report->partition);
    part->places = places;
    *place = (uint32_t)ranges->count;
    return part;
}

bool
ranges_note(struct ranges *ranges, const rd_kafka_message_t *report)
{
    const struct places *places = rd_kafka_topic_opaque(report->rkt);
    if (report->offset < 0 || places == NULL || report->partition < 0 || report->partition >= places->count)
        return false;
    struct part *part = part_of(ranges, report);
    if (part->nruns > 0 && part->runs[part->nruns - 1].last + 1 == report->offset)
        part->runs[part->nruns - 1].last++;
    else
        ranges_add_run(ranges, part, report->offset, report->offset);
    return true;
}

/* ---------------------------------------------------------------------------------------- text */

static int
by_topic(const void *a, const void *b)
{
    const struct part *left = a, *right = b;
    int order = strcmp(left->topic, right->topic);
    return order != 0 ? order : (left->partition > right->partition) - (left->partition < right->partition);
}

char *
ranges_text(const struct ranges *ranges)
{
    struct tr_buffer text;
    tr_buffer_init(&text, TR_BUFFER_MAX);
    struct part *parts = tr_calloc(ranges->count + 1, sizeof(*parts));
    if (ranges->count > 0)
        memcpy(parts, ranges->parts, ranges->count * sizeof(*parts));
    qsort(parts, ranges->count, sizeof(*parts), by_topic);
    for (size_t i = 0; i < ranges->count; i++) {
        if (i == 0 || strcmp(parts[i].topic, parts[i - 1].topic) != 0)
            tr_buffer_printf(&text, "%s%s", i > 0 ? "\n" : "", parts[i].topic);
        tr_buffer_printf(&text, " %" PRId32, parts[i].partition);
        for (size_t r = 0; r < parts[i].nruns; r++)
            tr_buffer_printf(&text, "%c%" PRId64 "-%" PRId64, r > 0 ? ',' : ':', parts[i].runs[r].first,
                             parts[i].runs[r].last);
    }
    free(parts);
    char *made = tr_strndup(text.data != NULL ? text.data : "", text.len);
    tr_buffer_fini(&text);
    return made;
}

/* A number from 0 to INT64_MAX, followed by one of these. */
static bool
take_number(const char **at, const char *ends, int64_t *number)
{
    char *end;
    if (**at < '0' || **at > '9')
        return false;
    *number = strtoll(*at, &end, 10);
    *at = end;
    return **at == '\0' || strchr(ends, **at) != NULL;
}

static bool
parse_part(struct ranges *ranges, const char *topic, size_t len, const char **at)
{
    int64_t partition, first, last, before = -1;
    if (!take_number(at, ":", &partition) || **at != ':' || partition > INT32_MAX)
        return false;
    struct part *part = ranges_add(ranges, topic, len, (int32_t)partition);
    do {
        (*at)++;
        if (!take_number(at, "-", &first) || **at != '-')
            return false;
        (*at)++;
        if (!take_number(at, ", \n", &last) || first <= before || last < first)
            return false;
        ranges_add_run(ranges, part, first, last);
        before = last;
    } while (**at == ',');
    return true;
}

bool
ranges_parse(struct ranges *ranges, const char *text)
{
    *ranges = (struct ranges){ 0 };
    while (*text != '\0') {
        size_t len = strcspn(text, " \n");
        const char *topic = text;
        text += len;
        bool whole = len > 0 && *text == ' ';
        while (whole && *text == ' ') {
            text++;
            whole = parse_part(ranges, topic, len, &text);
        }
        if (!whole || (*text != '\n' && *text != '\0')) {
            ranges_fini(ranges);
            return false;
        }
        text += *text == '\n';
    }
    return true;
}
