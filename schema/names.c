/* names.c - names that are cut or joined, without two becoming one, and alike at every run. */
#include "schema/names.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/memory.h"

#define DIGITS 8

static uint64_t
digest(const char *text)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (; *text != '\0'; text++)
        h = (h ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
    return h ^ h >> 32;
}

/* As many bytes as there is room for, never inside a character. */
static size_t
whole_characters(const char *text, size_t room)
{
    size_t len = strlen(text);
    if (len <= room)
        return len;
    for (len = room; len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80;)
        len--;
    return len;
}

static const char *
told_apart(struct tr_arena *arena, const char *name, const char *identity, size_t most)
{
    char *text = tr_asprintf("%.*s_%08x", (int)whole_characters(name, most - DIGITS - 1), name,
                             (unsigned)(digest(identity) & 0xffffffff));
    const char *kept = tr_arena_strdup(arena, text);
    free(text);
    return kept;
}

const char *
tr_name_cut(struct tr_arena *arena, const char *name, const char *identity, size_t most)
{
    return strlen(name) <= most ? tr_arena_strdup(arena, name) : told_apart(arena, name, identity, most);
}

/* Has the table something that is named with its name before it, and this behind? */
static bool
has_part(const struct tr_table *table, const char *suffix)
{
    if (strcmp(suffix, "pkey") == 0 && table->relation->nkeys > 0)
        return true;
    for (uint32_t i = 0; i < table->nobjects; i++)
        if ((table->objects[i].kind == TR_OBJECT_UNIQUE || table->objects[i].kind == TR_OBJECT_INDEX) &&
            strcmp(table->objects[i].name, suffix) == 0)
            return true;
    for (uint16_t c = 0; c < table->relation->ncolumns; c++)
        if (table->relation->columns[c].logical == TR_ENUM &&
            strcmp(table->relation->columns[c].name, suffix) == 0)
            return true;
    return false;
}

static bool
is_taken(const struct tr_schema *schema, const struct tr_relation *relation, const char *name)
{
    for (uint32_t t = 0; t < schema->ntables; t++) {
        const struct tr_relation *other = schema->tables[t].relation;
        size_t len = strlen(other->target_name);
        if (strncmp(name, other->target_name, len) != 0 ||
            strcmp(other->target_schema, relation->target_schema) != 0)
            continue;
        if (name[len] == '\0')
            return true;
        if (name[len] == '_' && (other == relation ? strcmp(name + len + 1, "pkey") == 0
                                                   : has_part(&schema->tables[t], name + len + 1)))
            return true;
    }
    return false;
}

const char *
tr_name_joined(struct tr_arena *arena, const struct tr_schema *schema, const struct tr_relation *relation,
               const char *suffix, size_t most)
{
    char *name = tr_asprintf("%s_%s", relation->target_name, suffix);
    char *identity = tr_asprintf("%s\x01%s", relation->target_name, suffix);
    const char *kept = strlen(name) > most || is_taken(schema, relation, name)
                           ? told_apart(arena, name, identity, most)
                           : tr_arena_strdup(arena, name);
    free(name);
    free(identity);
    return kept;
}

const char *
tr_name_alone(struct tr_arena *arena, const struct tr_schema *schema, const struct tr_relation *relation,
              enum tr_object_kind kind, const char *name, size_t most)
{
    for (uint32_t t = 0; t < schema->ntables; t++) {
        const struct tr_table *table = &schema->tables[t];
        if (table->relation == relation ||
            strcmp(table->relation->target_schema, relation->target_schema) != 0)
            continue;
        for (uint32_t i = 0; i < table->nobjects; i++)
            if (table->objects[i].kind == kind && table->objects[i].name != NULL &&
                strcasecmp(table->objects[i].name, name) == 0)
                return tr_name_joined(arena, schema, relation, name, most);
    }
    return tr_name_cut(arena, name, name, most);
}
