/* option.c - the settings of one task: tables of options, and the values that were given for them. */
#include "core/option.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/memory.h"

#define NAME_BYTES 63
#define ITEMS_MAX 10000

/* One option and what it was set to; without `set` the default, parsed when the table was added. */
struct setting {
    const struct tr_option *option;
    bool set;
    char *text;     /* STRING, CHOICE; NULL = none */
    int64_t number; /* INT, SIZE, DURATION, BOOL */
    char **items;   /* LIST */
    size_t nitems;
};

struct tr_settings {
    struct setting *items;
    size_t count;
};

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit size_units[] = {
    { "", 1 },
    { "B", 1 },
    { "kB", 1000 },
    { "KB", 1000 },
    { "KiB", INT64_C(1) << 10 },
    { "MB", 1000000 },
    { "MiB", INT64_C(1) << 20 },
    { "GB", 1000000000 },
    { "GiB", INT64_C(1) << 30 },
    { "TB", INT64_C(1000000000000) },
    { "TiB", INT64_C(1) << 40 },
    { NULL, 0 },
};

static const struct unit duration_units[] = {
    { "us", 1 },
    { "ms", 1000 },
    { "s", 1000000 },
    { "min", INT64_C(60000000) },
    { "h", INT64_C(3600000000) },
    { "d", INT64_C(86400000000) },
    { NULL, 0 },
};

struct tr_settings *
tr_settings_new(void)
{
    return tr_calloc(1, sizeof(struct tr_settings));
}

static void
clear_value(struct setting *setting)
{
    bool secret = setting->option->secret;
    if (secret && setting->text != NULL)
        tr_wipe(setting->text, strlen(setting->text));
    free(setting->text);
    for (size_t i = 0; i < setting->nitems; i++) {
        if (secret)
            tr_wipe(setting->items[i], strlen(setting->items[i]));
        free(setting->items[i]);
    }
    free(setting->items);
    setting->text = NULL;
    setting->items = NULL;
    setting->nitems = 0;
}

void
tr_settings_free(struct tr_settings *settings)
{
    if (settings == NULL)
        return;
    for (size_t i = 0; i < settings->count; i++)
        clear_value(&settings->items[i]);
    free(settings->items);
    free(settings);
}

/* ------------------------------------------------------------------------------- parsing of values */

/* What every message about a value begins with; a secret's text stays out of it. */
static int
fail_value(const struct tr_option *option, const char *text, const char *origin, struct tr_error *err,
           const char *why)
{
    if (option->secret)
        return tr_fail(err, TR_CONFIG, "%s: the value of %s %s", origin, option->name, why);
    return tr_fail(err, TR_CONFIG, "%s: the value '%.200s' of %s %s", origin, text, option->name, why);
}

/* "1", "-5", "1.5": digits into *whole, at most 6 digits of a fraction into *millionths. Returns what follows, or NULL. */
static const char *
parse_digits(const char *text, int64_t *whole, int64_t *millionths)
{
    char *end;
    const char *digits = *text == '-' || *text == '+' ? text + 1 : text;
    *millionths = 0;
    if (*digits < '0' || *digits > '9')
        return NULL;
    errno = 0;
    *whole = strtoll(text, &end, 10);
    if (errno != 0)
        return NULL;
    if (*end != '.')
        return end;
    const char *p = end + 1;
    for (int64_t weight = 100000; *p >= '0' && *p <= '9'; p++, weight /= 10) {
        if (weight == 0)
            return NULL;
        *millionths += weight * (*p - '0');
    }
    return p > end + 1 && *text != '-' ? p : NULL;
}

static const struct unit *
find_unit(const struct unit *units, const char *name)
{
    for (; units->name != NULL; units++)
        if (strcmp(units->name, name) == 0)
            return units;
    return NULL;
}

/* "256MiB", "1.5 h": number, optional blank, unit. False with *why set. */
static bool
parse_quantity(const char *text, const struct unit *units, const char *names, int64_t *number,
               const char **why)
{
    int64_t whole, millionths;
    const char *rest = parse_digits(text, &whole, &millionths);
    *why = names;
    if (rest == NULL)
        return false;
    while (*rest == ' ')
        rest++;
    const struct unit *unit = find_unit(units, rest);
    if (unit == NULL && *rest == '\0' && whole == 0 && millionths == 0) {
        *number = 0;
        return true;
    }
    if (unit == NULL)
        return false;
    *why = "is too large";
    if (__builtin_mul_overflow(whole, unit->factor, number))
        return false;
    /* At most 10^6 * 2^40, which fits. */
    return !__builtin_add_overflow(*number, millionths * unit->factor / 1000000, number);
}

static bool
parse_number(const struct tr_option *option, const char *text, int64_t *number, const char **why)
{
    int64_t millionths;
    if (option->type == TR_OPTION_SIZE)
        return parse_quantity(
            text, size_units,
            "is not a size; write a number and a unit: B, kB, MB, GB, TB, KiB, MiB, GiB, TiB", number, why);
    if (option->type == TR_OPTION_DURATION)
        return parse_quantity(text, duration_units,
                              "is not a duration; write a number and a unit: us, ms, s, min, h, d", number,
                              why);
    const char *rest = parse_digits(text, number, &millionths);
    *why = "is not a whole number";
    return rest != NULL && *rest == '\0' && strchr(text, '.') == NULL;
}

/* A number as the option's help would write it, for the bounds in messages. */
static void
show_number(const struct tr_option *option, int64_t number, char *out, size_t size)
{
    const struct unit *units = option->type == TR_OPTION_SIZE ? size_units : duration_units, *best = NULL;
    if (option->type != TR_OPTION_INT)
        for (const struct unit *u = units; u->name != NULL; u++)
            if (number != 0 && number % u->factor == 0 && (best == NULL || u->factor > best->factor))
                best = u;
    if (best == NULL)
        snprintf(out, size, "%lld", (long long)number);
    else
        snprintf(out, size, "%lld%s", (long long)(number / best->factor), best->name);
}

static int
set_number(struct setting *setting, const char *text, const char *origin, struct tr_error *err)
{
    const struct tr_option *option = setting->option;
    const char *why;
    char low[32], high[32], bounds[128];
    int64_t number, min = option->min, max = option->max;
    if (!parse_number(option, text, &number, &why))
        return fail_value(option, text, origin, err, why);
    if (min == 0 && max == 0)
        max = INT64_MAX;
    if (number < min || number > max) {
        show_number(option, min, low, sizeof(low));
        show_number(option, max, high, sizeof(high));
        if (max == INT64_MAX)
            snprintf(bounds, sizeof(bounds), "is less than %s", low);
        else
            snprintf(bounds, sizeof(bounds), "is not between %s and %s", low, high);
        return fail_value(option, text, origin, err, bounds);
    }
    setting->number = number;
    return 0;
}

static int
set_bool(struct setting *setting, const char *text, const char *origin, struct tr_error *err)
{
    static const char *const words[] = { "false", "true", "no", "yes", "off", "on" };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcasecmp(text, words[i]) == 0) {
            setting->number = (int64_t)(i & 1);
            return 0;
        }
    }
    return fail_value(setting->option, text, origin, err,
                      "is neither true nor false (yes, no, on and off are read too)");
}

static bool
is_choice(const char *choices, const char *text)
{
    size_t len = strlen(text);
    for (const char *choice = choices; len > 0;) {
        const char *end = strchrnul(choice, '|');
        if ((size_t)(end - choice) == len && memcmp(choice, text, len) == 0)
            return true;
        if (*end == '\0')
            break;
        choice = end + 1;
    }
    return false;
}

static int
set_text(struct setting *setting, const char *text, const char *origin, struct tr_error *err)
{
    const struct tr_option *option = setting->option;
    if (option->type == TR_OPTION_CHOICE && !is_choice(option->choices, text)) {
        char why[512];
        snprintf(why, sizeof(why), "is not one of %s", option->choices);
        return fail_value(option, text, origin, err, why);
    }
    char *copy = tr_strdup(text);
    clear_value(setting);
    setting->text = copy;
    return 0;
}

/* One item without the blanks around it; a backslash keeps the comma, blank or backslash behind it. */
static const char *
next_item(const char *text, char *item)
{
    char *keep = item;
    while (*text == ' ' || *text == '\t' || *text == '\n')
        text++;
    while (*text != '\0' && *text != ',') {
        bool escaped = *text == '\\' && (text[1] == ',' || text[1] == '\\' || text[1] == ' ');
        if (escaped)
            text++;
        *item++ = *text;
        if (escaped || (*text != ' ' && *text != '\t' && *text != '\n'))
            keep = item;
        text++;
    }
    *keep = '\0';
    return *text == ',' ? text + 1 : text;
}

static int
set_list(struct setting *setting, const char *text, bool append, const char *origin, struct tr_error *err)
{
    size_t size = strlen(text) + 1;
    char *item = tr_malloc(size);
    int rc = 0;
    if (!append)
        clear_value(setting);
    while (*text != '\0' && rc == 0) {
        text = next_item(text, item);
        if (item[0] == '\0') {
            rc = fail_value(setting->option, text, origin, err, "has an empty item");
        } else if (setting->nitems == ITEMS_MAX) {
            rc = fail_value(setting->option, item, origin, err, "is one item too many");
        } else {
            setting->items = tr_realloc(setting->items, (setting->nitems + 2) * sizeof(char *));
            setting->items[setting->nitems++] = tr_strdup(item);
            setting->items[setting->nitems] = NULL;
        }
    }
    tr_wipe(item, size);
    free(item);
    return rc;
}

static int
set_value(struct setting *setting, const char *text, bool append, const char *origin, struct tr_error *err)
{
    switch (setting->option->type) {
    case TR_OPTION_INT:
    case TR_OPTION_SIZE:
    case TR_OPTION_DURATION: return set_number(setting, text, origin, err);
    case TR_OPTION_BOOL: return set_bool(setting, text, origin, err);
    case TR_OPTION_LIST: return set_list(setting, text, append, origin, err);
    case TR_OPTION_STRING:
    case TR_OPTION_CHOICE: break;
    }
    return set_text(setting, text, origin, err);
}

/* ---------------------------------------------------------------------------------- tables and names */

/* Keys are written with underscores, flags may have dashes. */
static bool
same_name(const char *a, const char *b)
{
    for (; *a != '\0' && *b != '\0'; a++, b++)
        if ((*a == '-' ? '_' : *a) != (*b == '-' ? '_' : *b))
            return false;
    return *a == *b;
}

static struct setting *
find_setting(const struct tr_settings *settings, const char *section, const char *name)
{
    for (size_t i = 0; i < settings->count; i++) {
        const struct tr_option *option = settings->items[i].option;
        if ((section == NULL || strcmp(option->section, section) == 0) && same_name(option->name, name))
            return &settings->items[i];
    }
    return NULL;
}

static int
add_option(struct tr_settings *settings, const struct tr_option *option, struct tr_error *err)
{
    if (find_setting(settings, option->section, option->name) != NULL)
        return tr_fail(err, TR_FATAL, "option %s of section '%s' is in two tables", option->name,
                       option->section);
    if (strlen(option->name) > NAME_BYTES || (option->type == TR_OPTION_CHOICE && option->choices == NULL))
        return tr_fail(err, TR_FATAL, "option %s of section '%s' is not well-formed", option->name,
                       option->section);
    settings->items = tr_realloc(settings->items, (settings->count + 1) * sizeof(*settings->items));
    struct setting *setting = &settings->items[settings->count++];
    *setting = (struct setting){ .option = option };
    return option->value == NULL ? 0 : set_value(setting, option->value, false, "default", err);
}

int
tr_settings_add_table(struct tr_settings *settings, const struct tr_option *table, struct tr_error *err)
{
    int rc = 0;
    for (; table != NULL && table->name != NULL && rc == 0; table++)
        rc = add_option(settings, table, err);
    return rc;
}

int
tr_settings_set(struct tr_settings *settings, const char *section, const char *name, const char *text,
                bool append, const char *origin, struct tr_error *err)
{
    struct setting *setting = find_setting(settings, section, name);
    if (setting == NULL) {
        const char *near = tr_settings_suggest(settings, section, name);
        tr_fail(err, TR_CONFIG, "%s: unknown option %.100s", origin, name);
        return near == NULL ? -TR_CONFIG : tr_error_hint(err, "did you mean %s?", near);
    }
    /* The first value the user gives to a list replaces the default, even where it would append. */
    int rc = set_value(setting, text, append && setting->set, origin, err);
    if (rc == 0)
        setting->set = true;
    return rc;
}

const struct tr_option *
tr_settings_find(const struct tr_settings *settings, const char *section, const char *name)
{
    const struct setting *setting = find_setting(settings, section, name);
    return setting == NULL ? NULL : setting->option;
}

/* Edit distance where a swap of neighbours counts once, over at most 64 x 64 characters. */
static size_t
distance(const char *a, const char *b)
{
    size_t la = strlen(a), lb = strlen(b);
    size_t rows[3][NAME_BYTES + 2];
    if (la > NAME_BYTES || lb > NAME_BYTES)
        return SIZE_MAX;
    for (size_t j = 0; j <= lb; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= la; i++) {
        size_t *now = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            char ca = a[i - 1] == '-' ? '_' : a[i - 1], cb = b[j - 1] == '-' ? '_' : b[j - 1];
            size_t best = last[j - 1] + (ca != cb);
            best = last[j] + 1 < best ? last[j] + 1 : best;
            best = now[j - 1] + 1 < best ? now[j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            now[j] = best;
        }
    }
    return rows[la % 3][lb];
}

const char *
tr_settings_suggest(const struct tr_settings *settings, const char *section, const char *name)
{
    const char *best = NULL;
    size_t nearest = strlen(name) / 3 < 2 ? 2 : strlen(name) / 3;
    if (strlen(name) < 3)
        nearest = 1;
    for (size_t i = 0; i < settings->count; i++) {
        const struct tr_option *option = settings->items[i].option;
        if (section != NULL && strcmp(option->section, section) != 0)
            continue;
        size_t d = distance(name, option->name);
        if (d < nearest || (d == nearest && best == NULL)) {
            nearest = d;
            best = option->name;
        }
    }
    return best;
}

/* ------------------------------------------------------------------------------------------- getters */

static void
bug(const char *name, const char *what)
{
    fprintf(stderr, "tailrace: bug: option %s %s\n", name, what);
    abort();
}

/* `name`, or "section.name" where two sections have it. */
static const struct setting *
get(const struct tr_settings *settings, const char *name)
{
    const struct setting *found = NULL;
    const char *dot = strchr(name, '.');
    size_t prefix = dot != NULL ? (size_t)(dot - name) : 0;
    for (size_t i = 0; i < settings->count; i++) {
        const struct tr_option *option = settings->items[i].option;
        if (dot != NULL && (strlen(option->section) != prefix || memcmp(option->section, name, prefix) != 0))
            continue;
        if (strcmp(option->name, dot != NULL ? dot + 1 : name) != 0)
            continue;
        if (found != NULL)
            bug(name, "is in two sections; ask for section.name");
        found = &settings->items[i];
    }
    if (found == NULL)
        bug(name, "is in no table");
    return found;
}

const char *
tr_setting_string(const struct tr_settings *settings, const char *name)
{
    const struct setting *setting = get(settings, name);
    if (setting->option->type != TR_OPTION_STRING && setting->option->type != TR_OPTION_CHOICE)
        bug(name, "is not a string");
    return setting->text;
}

int64_t
tr_setting_int(const struct tr_settings *settings, const char *name)
{
    const struct setting *setting = get(settings, name);
    enum tr_option_type type = setting->option->type;
    if (type != TR_OPTION_INT && type != TR_OPTION_SIZE && type != TR_OPTION_DURATION)
        bug(name, "is not a number");
    return setting->number;
}

bool
tr_setting_bool(const struct tr_settings *settings, const char *name)
{
    const struct setting *setting = get(settings, name);
    if (setting->option->type != TR_OPTION_BOOL)
        bug(name, "is not a bool");
    return setting->number != 0;
}

size_t
tr_setting_list(const struct tr_settings *settings, const char *name, const char *const **items)
{
    const struct setting *setting = get(settings, name);
    if (setting->option->type != TR_OPTION_LIST)
        bug(name, "is not a list");
    *items = (const char *const *)setting->items;
    return setting->nitems;
}

bool
tr_setting_is_set(const struct tr_settings *settings, const char *name)
{
    return get(settings, name)->set;
}
