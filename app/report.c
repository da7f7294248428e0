/* report.c - the findings of check, for people and for programs. */
#include <stdlib.h>
#include <string.h>

#include "app/commands.h"
#include "core/memory.h"
#include "core/text.h"

#define TEXT_INDENT "    "

/* From the worst to the mildest. */
static const struct {
    enum tr_finding_level level;
    const char *name;
    const char *plural;
} levels[] = {
    { TR_FINDING_ERROR, "error", "errors" },
    { TR_FINDING_WARNING, "warning", "warnings" },
    { TR_FINDING_NOTE, "note", "notes" },
};

#define NLEVELS (sizeof(levels) / sizeof(levels[0]))

static bool
same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

void
tr_report_add(void *arg, enum tr_finding_level level, const char *id, const char *object, const char *text,
              const char *sql)
{
    struct tr_report *report = arg;
    for (size_t i = 0; i < report->count; i++) {
        const struct tr_finding *old = &report->items[i];
        if (old->level == level && same_text(old->id, id) && same_text(old->object, object) &&
            same_text(old->text, text))
            return;
    }
    report->items = tr_realloc(report->items, (report->count + 1) * sizeof(*report->items));
    report->items[report->count++] = (struct tr_finding){
        .level = level,
        .id = tr_strdup(id),
        .object = tr_strdup(object),
        .text = tr_strdup(text),
        .sql = tr_strdup(sql),
    };
    report->levels[level]++;
}

void
tr_report_fini(struct tr_report *report)
{
    for (size_t i = 0; i < report->count; i++) {
        free(report->items[i].id);
        free(report->items[i].object);
        free(report->items[i].text);
        free(report->items[i].sql);
    }
    free(report->items);
    *report = (struct tr_report){ 0 };
}

/* Each line of a text indented; names in it come from a server, so control bytes are shown, not sent. */
static void
add_lines(struct tr_buffer *out, const char *text)
{
    while (*text != '\0') {
        const char *end = strchrnul(text, '\n');
        tr_buffer_text(out, TEXT_INDENT);
        tr_text_printable(out, text, (size_t)(end - text));
        tr_buffer_byte(out, '\n');
        text = *end == '\n' ? end + 1 : end;
    }
}

static void
add_finding(struct tr_buffer *out, const char *level, const struct tr_finding *finding)
{
    tr_buffer_printf(out, "%s: ", level);
    if (finding->object != NULL) {
        tr_text_printable(out, finding->object, strlen(finding->object));
        tr_buffer_text(out, ": ");
    }
    tr_buffer_printf(out, "[%s]\n", finding->id);
    add_lines(out, finding->text);
    if (finding->sql != NULL) {
        tr_buffer_text(out, "  to mend it:\n");
        add_lines(out, finding->sql);
    }
    tr_buffer_byte(out, '\n');
}

void
tr_report_text(const struct tr_report *report, struct tr_buffer *out)
{
    for (size_t l = 0; l < NLEVELS; l++)
        for (size_t i = 0; i < report->count; i++)
            if (report->items[i].level == levels[l].level)
                add_finding(out, levels[l].name, &report->items[i]);
    for (size_t l = 0; l < NLEVELS; l++) {
        size_t n = report->levels[levels[l].level];
        tr_buffer_printf(out, "%zu %s%s", n, n == 1 ? levels[l].name : levels[l].plural,
                         l + 1 < NLEVELS ? ", " : "\n");
    }
}

static void
add_member(struct tr_buffer *out, const char *name, const char *text)
{
    tr_buffer_printf(out, ",\"%s\":", name);
    if (text == NULL) {
        tr_buffer_text(out, "null");
        return;
    }
    tr_buffer_byte(out, '"');
    tr_text_json(out, text, strlen(text));
    tr_buffer_byte(out, '"');
}

void
tr_report_json(const struct tr_report *report, const char *task, struct tr_buffer *out)
{
    const char *separator = "";
    tr_buffer_text(out, "{\"task\":\"");
    tr_text_json(out, task, strlen(task));
    tr_buffer_printf(out, "\",\"errors\":%zu,\"warnings\":%zu,\"notes\":%zu,\"findings\":[",
                     report->levels[TR_FINDING_ERROR], report->levels[TR_FINDING_WARNING],
                     report->levels[TR_FINDING_NOTE]);
    for (size_t l = 0; l < NLEVELS; l++) {
        for (size_t i = 0; i < report->count; i++) {
            const struct tr_finding *finding = &report->items[i];
            if (finding->level != levels[l].level)
                continue;
            tr_buffer_printf(out, "%s{\"level\":\"%s\"", separator, levels[l].name);
            add_member(out, "id", finding->id);
            add_member(out, "object", finding->object);
            add_member(out, "text", finding->text);
            add_member(out, "sql", finding->sql);
            tr_buffer_byte(out, '}');
            separator = ",";
        }
    }
    tr_buffer_text(out, "]}\n");
}
