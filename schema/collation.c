/* collation.c - collations that one of MySQL and MariaDB has, and the nearest that the other has. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "schema/collation.h"

#define UCA_1400 \
    101000 /* MariaDB's utf8mb4_uca1400_... came with 10.10; MySQL's utf8mb4_0900_... are close to them */

/* The languages of both, in utf8mb4_XX_0900_... and in utf8mb4_uca1400_XXX_... */
static const struct {
    const char *mysql, *mariadb;
} languages[] = {
    { "cs", "czech" },      { "da", "danish" },    { "de_pb", "german2" },    { "eo", "esperanto" },
    { "es", "spanish" },    { "et", "estonian" },  { "es_trad", "spanish2" }, { "hr", "croatian" },
    { "hu", "hungarian" },  { "is", "icelandic" }, { "la", "roman" },         { "lt", "lithuanian" },
    { "lv", "latvian" },    { "nb", "danish" },    { "pl", "polish" },        { "ro", "romanian" },
    { "sk", "slovak" },     { "sl", "slovenian" }, { "sv", "swedish" },       { "tr", "turkish" },
    { "vi", "vietnamese" },
};

static bool
holds(const char *text, const char *word)
{
    return text != NULL && strstr(text, word) != NULL;
}

const char *
tr_collation_binary(const struct tr_convert_target *target)
{
    return target->mariadb ? "utf8mb4_nopad_bin" : "utf8mb4_0900_bin";
}

const char *
tr_collation_folded(const struct tr_convert_target *target)
{
    if (!target->mariadb)
        return "utf8mb4_0900_as_ci";
    return target->version >= UCA_1400 ? "utf8mb4_uca1400_nopad_as_ci" : "utf8mb4_unicode_520_nopad_ci";
}

/* "_XX_" or "_XXX_" in the name: a language's number, or -1. */
static int
language_of(const char *name, bool of_mysql)
{
    char word[32];
    for (size_t i = 0; name != NULL && i < sizeof languages / sizeof *languages; i++) {
        if (of_mysql)
            snprintf(word, sizeof word, "utf8mb4_%s_0900_", languages[i].mysql);
        else
            snprintf(word, sizeof word, "_uca1400_%s_", languages[i].mariadb);
        if (holds(name, word))
            return (int)i;
    }
    return -1;
}

/* MariaDB's for one of MySQL's. */
static void
nearest_of_mariadb(const char *name, const struct tr_convert_target *target, char *out, size_t size)
{
    bool accents = holds(name, "_as_"), cases = holds(name, "_cs");
    int language = language_of(name, true);
    if (target->version < UCA_1400)
        snprintf(out, size, "%s", cases ? tr_collation_binary(target) : "utf8mb4_unicode_520_nopad_ci");
    else
        snprintf(out, size, "utf8mb4_uca1400_%s%snopad_%s_%s",
                 language < 0 ? "" : languages[language].mariadb, language < 0 ? "" : "_",
                 accents ? "as" : "ai", cases ? "cs" : "ci");
}

/* MySQL's for one of MariaDB's; of a language it has _ai_ci and _as_cs. */
static void
nearest_of_mysql(const char *name, char *out, size_t size)
{
    bool accents = holds(name, "_as_") || holds(name, "_ai_cs"), cases = holds(name, "_cs");
    int language = language_of(name, false);
    if (language >= 0)
        snprintf(out, size, "utf8mb4_%s_0900_%s", languages[language].mysql, accents ? "as_cs" : "ai_ci");
    else if (holds(name, "_1400_") || holds(name, "uca1400_") || holds(name, "nopad_"))
        snprintf(out, size, "utf8mb4_0900_%s", cases ? "as_cs" : accents ? "as_ci" : "ai_ci");
    else
        snprintf(out, size, "%s",
                 holds(name, "croatian_mysql561") ? "utf8mb4_croatian_ci" : "utf8mb4_unicode_520_ci");
}

void
tr_collation_nearest(const char *name, const struct tr_convert_target *target, char *out, size_t size)
{
    if (holds(name, "_bin"))
        snprintf(out, size, "%s", tr_collation_binary(target));
    else if (target->mariadb)
        nearest_of_mariadb(name, target, out, size);
    else
        nearest_of_mysql(name, out, size);
}
