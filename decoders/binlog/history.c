/*
 * history.c - tables of MariaDB that keep the history of their rows (WITH SYSTEM VERSIONING), and the columns that no catalogue lists.
 *
 * Each row has a column that tells until when it held; a row that is there has the latest time there is. A deletion is logged as an update of that column, and
 * an update adds the old row once more, as one that is over. What is carried are the rows that are there.
 */
#include "decoders/binlog/internal.h"
#include "decoders/binlog/types.h"

static bool
is_period_column(const struct tr_column *column, const char *name)
{
    const struct storage *st = column->detail;
    return strcmp(column->name, name) == 0 && st != NULL && st->type == TYPE_TIMESTAMP2 && st->meta == 6 &&
           column->not_null;
}

/* WITH SYSTEM VERSIONING alone adds two columns behind all others that the catalogue does not list, and the second one to the key. */
static bool
has_period_of_its_own(const struct tr_relation *relation)
{
    uint16_t n = relation->ncolumns;
    if (n < 3 || !is_period_column(&relation->columns[n - 2], "row_start") ||
        !is_period_column(&relation->columns[n - 1], "row_end"))
        return false;
    return relation->columns[n - 1].default_unknown &&
           (relation->nkeys == 0 || relation->columns[n - 1].key > 0);
}

/* A unique key over long texts adds a column with their hash, behind all others. */
static bool
ends_with_hash(const struct tr_relation *relation)
{
    if (relation->ncolumns < 2)
        return false;
    const struct tr_column *last = &relation->columns[relation->ncolumns - 1];
    const struct storage *st = last->detail;
    return strncmp(last->name, "DB_ROW_HASH_", 12) == 0 && st != NULL && st->type == TYPE_LONGLONG &&
           last->default_unknown;
}

void
binlog_leave_hidden_out(const struct binlog *d, struct table *table, struct tr_relation *relation)
{
    table->logged = relation->ncolumns;
    table->row_end = 0;
    if (d->format.flavour != TR_BINLOG_MARIADB)
        return;
    while (ends_with_hash(relation))
        relation->ncolumns--;
    if (has_period_of_its_own(relation)) {
        table->row_end = relation->ncolumns;
        relation->ncolumns = (uint16_t)(relation->ncolumns - 2);
    }
    for (uint16_t i = 0; i < relation->ncolumns && table->row_end == 0; i++)
        if (relation->columns[i].row_end)
            table->row_end = (uint16_t)(i + 1);
    if (table->row_end > 0) {
        struct tr_column *end = (struct tr_column *)(uintptr_t)&relation->columns[table->row_end - 1];
        end->key = 0; /* the rows that are there are told apart without it */
        end->identity = relation->nkeys > 0 ? 0 : end->identity;
    }
    if (table->row_end > 0 || relation->ncolumns < table->logged)
        tr_relation_index_keys(relation);
}

/* All bits of the seconds (31, or 32 in newer servers) and 999,999 millionths; or of a transaction's number all bits. */
static bool
holds(const struct table *table, const struct tr_value *row)
{
    static const uint8_t latest[] = { 0xff, 0xff, 0xff, 0x0f, 0x42, 0x3f };
    const struct tr_value *end = &row[table->row_end - 1];
    if (end->state != TR_PRESENT || (end->len != 7 && end->len != 8))
        return end->state == TR_ABSENT;
    const uint8_t *at = (const uint8_t *)end->data;
    return end->len == 7 ? (at[0] | 0x80) == 0xff && memcmp(at + 1, latest, sizeof latest) == 0
                         : memcmp(at, "\xff\xff\xff\xff\xff\xff\xff\xff", 8) == 0;
}

bool
binlog_is_of_present(const struct table *table, const struct tr_value *before, const struct tr_value **after,
                     enum tr_event_kind *kind)
{
    bool was = before != NULL && holds(table, before);
    bool is = *after != NULL && holds(table, *after);
    if (!was && !is)
        return false;
    *kind = !was ? TR_INSERT : is ? TR_UPDATE : TR_DELETE;
    if (!is)
        *after = NULL;
    return true;
}
