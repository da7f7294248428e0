/*
 * own_collation.c - collations of a newer MariaDB in a statement that an older one is to run.
 *
 * MariaDB 10.10 brought those of Unicode 14 (utf8mb4_uca1400_ai_ci and its many kin, the default from 11.5 on), and 10.6 called utf8 utf8mb3. SHOW CREATE TABLE and what people
 * write name them outside of quotes. A nearest one must not take texts for equal that were two, or a unique key would refuse rows: what tells case or accents apart compares by
 * bytes there, and the others by Unicode 5.2, since the collations before it take all characters of four bytes for one.
 */
#include "schema/own_collation.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define WITH_UCA1400 101001
#define WITH_UTF8MB3 100600
#define NAME_MAX_LEN 64

static bool
word_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '$' || (c & 0x80);
}

static bool
ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n >= m && strcasecmp(name + n - m, end) == 0;
}

/* The name that the target knows, when it does not know this one. */
static bool
nearest(const char *name, unsigned long version, char *out, size_t size)
{
    const char *rest = strchr(name, '_');
    if (rest == NULL)
        return false;
    int set = (int)(rest - name);
    bool renamed = version < WITH_UTF8MB3 && strncasecmp(name, "utf8mb3_", 8) == 0;
    bool newer = version < WITH_UCA1400 && strncasecmp(rest, "_uca1400_", 9) == 0;
    const char *charset = renamed ? "utf8" : name;
    set = renamed ? 4 : set;
    if (newer) {
        const char *pad = strcasestr(rest, "_nopad_") != NULL ? "_nopad" : "";
        snprintf(out, size, ends_with(rest, "_ai_ci") ? "%.*s_unicode_520%s_ci" : "%.*s%s_bin", set, charset,
                 pad);
    } else if (renamed) {
        snprintf(out, size, "utf8%s", rest);
    }
    return newer || renamed;
}

/* Behind the quoted text that begins at p; a quote inside is doubled, or stands behind a backslash. */
static const char *
behind_quoted(const char *p, const char *end)
{
    char quote = *p++;
    for (; p < end; p++) {
        if (*p == '\\' && quote != '`')
            p++;
        else if (*p == quote)
            return p + 1;
    }
    return end;
}

static void
tell(struct tr_buffer *told, const char *name, const char *instead)
{
    char text[2 * NAME_MAX_LEN + 32];
    snprintf(text, sizeof text, "%s becomes %s", name, instead);
    if (told->len == 0 || strstr(told->data, text) == NULL)
        tr_buffer_printf(told, "%s%s", told->len > 0 ? ", " : "", text);
}

static bool
may_have_any(const char *sql, size_t len, const struct tr_convert_target *target)
{
    if (!target->mariadb || target->version == 0 || target->version >= WITH_UCA1400)
        return false;
    return memmem(sql, len, "uca1400", 7) != NULL || memmem(sql, len, "UCA1400", 7) != NULL ||
           memmem(sql, len, "utf8mb3_", 8) != NULL || memmem(sql, len, "UTF8MB3_", 8) != NULL;
}

bool
tr_own_collations(const char *sql, size_t len, const struct tr_convert_target *target, struct tr_buffer *out,
                  struct tr_buffer *told)
{
    const char *p = sql, *end = sql + len, *done = sql;
    char name[NAME_MAX_LEN], instead[NAME_MAX_LEN + 16];
    bool any = false;
    if (!may_have_any(sql, len, target))
        return false;
    while (p < end) {
        if (*p == '\'' || *p == '"' || *p == '`') {
            p = behind_quoted(p, end);
            continue;
        }
        const char *word = p;
        while (p < end && word_byte(*p))
            p++;
        if (p == word) {
            p++;
            continue;
        }
        if ((size_t)(p - word) >= sizeof name)
            continue;
        snprintf(name, sizeof name, "%.*s", (int)(p - word), word);
        if (!nearest(name, target->version, instead, sizeof instead))
            continue;
        tr_buffer_add(out, done, (size_t)(word - done));
        tr_buffer_text(out, instead);
        tell(told, name, instead);
        done = p;
        any = true;
    }
    if (any)
        tr_buffer_add(out, done, (size_t)(end - done));
    return any;
}
