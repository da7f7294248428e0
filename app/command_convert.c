/* command_convert.c - `tailrace convert`: a Debezium connector's configuration as a task file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/commands.h"
#include "app/convert/convert.h"
#include "core/memory.h"

struct wishes {
    struct pairs pairs;
    struct convert_wish wish;
    const char *offset; /* a file */
    bool strict;
    size_t files;
};

/* The value of `--name VALUE` or `--name=VALUE`, or NULL when argv[*i] is another flag. */
static const char *
flag_value(int argc, char **argv, int *i, const char *name)
{
    size_t len = strlen(name);
    if (strncmp(argv[*i], name, len) != 0)
        return NULL;
    if (argv[*i][len] == '=')
        return argv[*i] + len + 1;
    return argv[*i][len] == '\0' && *i + 1 < argc ? argv[++*i] : NULL;
}

static int
take_word(struct wishes *wishes, int argc, char **argv, int *i, struct tr_error *err)
{
    const char *value;
    if (strcmp(argv[*i], "--strict") == 0) {
        wishes->strict = true;
    } else if (strcmp(argv[*i], "--take-over") == 0) {
        wishes->wish.take_over = true;
    } else if ((value = flag_value(argc, argv, i, "--brokers")) != NULL) {
        wishes->wish.brokers = value;
    } else if ((value = flag_value(argc, argv, i, "--offset")) != NULL) {
        wishes->offset = value;
    } else if (argv[*i][0] == '-' && argv[*i][1] != '\0') {
        tr_fail(err, TR_CONFIG, "unknown option %.100s, or one without its value", argv[*i]);
        return tr_error_hint(err, "tailrace help convert lists them");
    } else {
        wishes->files++;
        return pairs_read(&wishes->pairs, argv[*i], err);
    }
    return 0;
}

static bool
is_postgres(struct pairs *pairs)
{
    const char *class = pairs_take(pairs, "connector.class");
    return class != NULL && strstr(class, "ostgres") != NULL;
}

/* Where the connector stands, as a `start`. */
static int
find_start(struct wishes *wishes, char **start, struct tr_error *err)
{
    bool postgres = is_postgres(&wishes->pairs);
    int rc = 0;
    *start = NULL;
    if (wishes->offset != NULL)
        rc = offsets_read(wishes->offset, postgres ? "postgresql" : "mysql", start, err);
    else if (wishes->wish.take_over && postgres)
        *start = tr_strdup("slot");
    else if (wishes->wish.take_over) {
        tr_fail(err, TR_CONFIG, "--take-over needs to know where the connector stands");
        rc = tr_error_hint(err, "give --offset FILE with what GET /connectors/NAME/offsets answers");
    }
    wishes->wish.start = *start;
    wishes->wish.take_over = postgres && *start != NULL;
    return rc;
}

static int
print_warnings(const struct tr_buffer *warnings)
{
    for (const char *at = warnings->len > 0 ? warnings->data : ""; *at != '\0';) {
        size_t len = strcspn(at, "\n");
        fprintf(stderr, "warning: not carried over: %.*s\n", (int)len, at);
        at += len + (at[len] == '\n');
    }
    return 0;
}

int
tr_command_convert(const struct tr_registry *registry, int argc, char **argv, struct tr_error *err)
{
    struct wishes wishes = { 0 };
    struct tr_buffer yaml, warnings;
    char *start = NULL;
    size_t lost = 0;
    int rc = 0;
    tr_buffer_init(&yaml, TR_BUFFER_MAX);
    tr_buffer_init(&warnings, TR_BUFFER_MAX);
    for (int i = 0; i < argc && rc == 0; i++)
        rc = take_word(&wishes, argc, argv, &i, err);
    if (rc == 0 && wishes.files == 0) {
        rc = tr_fail(err, TR_CONFIG, "no file is given");
        tr_error_hint(
            err, "tailrace convert connector.json [connect-distributed.properties]; - is standard input");
    }
    if (rc == 0)
        rc = find_start(&wishes, &start, err);
    if (rc == 0)
        rc = convert_debezium(registry, &wishes.pairs, &wishes.wish, &yaml, &warnings, &lost, err);
    if (rc == 0)
        rc = tr_print(yaml.data, yaml.len, err);
    if (rc == 0)
        print_warnings(&warnings);
    if (yaml.data != NULL)
        tr_wipe(yaml.data, yaml.len);
    tr_buffer_fini(&yaml);
    tr_buffer_fini(&warnings);
    pairs_fini(&wishes.pairs);
    free(start);
    return rc < 0 ? rc : lost > 0 && wishes.strict ? TR_EXIT_DIFFERENT : TR_EXIT_DONE;
}
