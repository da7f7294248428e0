/* record.c - a checkpoint as records of a compacted topic, and back. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/memory.h"
#include "offsets/kafka/internal.h"

char *
record_prefix(const char *task)
{
    struct tr_buffer out;
    char hex[4];
    tr_buffer_init(&out, TR_BUFFER_MAX);
    for (const unsigned char *at = (const unsigned char *)task; *at != '\0'; at++) {
        if (isascii(*at) && (isalnum(*at) || strchr("_.-", *at) != NULL)) {
            tr_buffer_byte(&out, (char)*at);
        } else {
            snprintf(hex, sizeof(hex), "%%%02X", *at);
            tr_buffer_text(&out, hex);
        }
    }
    tr_buffer_byte(&out, '/');
    char *prefix = tr_strndup(out.data, out.len);
    tr_buffer_fini(&out);
    return prefix;
}

static bool
take_text(char **to, const char *value)
{
    free(*to);
    *to = tr_strdup(value);
    return true;
}

/* Rare: a state is replaced by one with fewer tables. */
static void
forget_table(struct tr_checkpoint *checkpoint, const char *table)
{
    if (tr_checkpoint_table(checkpoint, table) == NULL)
        return;
    struct tr_checkpoint rest = { .position = checkpoint->position,
                                  .identity = checkpoint->identity,
                                  .sink_state = checkpoint->sink_state,
                                  .phase = checkpoint->phase };
    checkpoint->position = checkpoint->identity = checkpoint->sink_state = checkpoint->phase = NULL;
    for (size_t i = 0; i < checkpoint->ntables; i++) {
        const struct tr_table_cut *cut = &checkpoint->tables[i];
        if (strcmp(cut->table, table) != 0)
            tr_checkpoint_set_table(&rest, cut->table, cut->position, cut->done);
    }
    tr_checkpoint_fini(checkpoint);
    *checkpoint = rest;
}

/* "done", "begun", each with " POSITION" when it has one */
static bool
take_table(struct tr_checkpoint *checkpoint, const char *table, const char *value)
{
    if (value == NULL) {
        forget_table(checkpoint, table);
        return true;
    }
    size_t word = strcspn(value, " ");
    bool done = word == 4 && memcmp(value, "done", 4) == 0;
    if (!done && (word != 5 || memcmp(value, "begun", 5) != 0))
        return false;
    tr_checkpoint_set_table(checkpoint, table, value[word] == ' ' ? value + word + 1 : NULL, done);
    return true;
}

bool
record_take(struct tr_checkpoint *checkpoint, const char *what, const char *value)
{
    if (strcmp(what, "position") == 0)
        return take_text(&checkpoint->position, value);
    if (strcmp(what, "identity") == 0)
        return take_text(&checkpoint->identity, value);
    if (strcmp(what, "sink_state") == 0)
        return take_text(&checkpoint->sink_state, value);
    if (strcmp(what, "phase") == 0)
        return take_text(&checkpoint->phase, value);
    return strncmp(what, "table:", 6) == 0 && take_table(checkpoint, what + 6, value);
}

char *
record_of_table(const struct tr_table_cut *cut)
{
    const char *word = cut->done ? "done" : "begun";
    return cut->position != NULL ? tr_asprintf("%s %s", word, cut->position) : tr_strdup(word);
}
