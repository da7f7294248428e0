/*
 * session.c - what a query event says of the session that ran the statement: by it the same words mean the same thing again.
 */
#include <stdio.h>

#include "core/memory.h"
#include "decoders/binlog/internal.h"

#define EXPLICIT_TIMESTAMPS (1U << 24) /* of MariaDB's flags */

static void
skip_strings(struct tr_cursor *cur, unsigned count)
{
    while (count-- > 0)
        while (!cur->failed && tr_cursor_u8(cur) != 0)
            continue;
}

/*
 * Status variables: a byte that says which, then its value; in no order that could be relied on. Behind one that is not known nothing can be read. Sources:
 * "Query_event" of MySQL's and MariaDB's documentation.
 */
void
binlog_read_session(struct binlog_session *s, struct tr_cursor cur)
{
    enum { ALL_DATABASES = 254 };
    s->sql_mode = -1;
    while (!cur.failed && tr_cursor_left(&cur) > 0) {
        unsigned count;
        switch (tr_cursor_u8(&cur)) {
        case 0: s->flags = (uint32_t)tr_cursor_le(&cur, 4); break;
        case 1: s->sql_mode = (int64_t)tr_cursor_le(&cur, 8); break;
        case 2: tr_cursor_bytes(&cur, tr_cursor_u8(&cur) + 1U); break; /* catalog with NUL */
        case 3:                                                        /* auto_increment */
            s->increment = (uint16_t)tr_cursor_le(&cur, 2);
            s->increment_offset = (uint16_t)tr_cursor_le(&cur, 2);
            break;
        case 4: /* client, connection, server */
            s->collation = (uint32_t)tr_cursor_le(&cur, 2);
            tr_cursor_bytes(&cur, 4);
            break;
        case 5:
            s->time_zone_len = tr_cursor_u8(&cur);
            s->time_zone = (const char *)tr_cursor_bytes(&cur, s->time_zone_len);
            break;
        case 6: tr_cursor_bytes(&cur, tr_cursor_u8(&cur)); break;   /* catalog */
        case 7: s->locale = (uint16_t)tr_cursor_le(&cur, 2); break; /* language of names of days */
        case 8: tr_cursor_bytes(&cur, 2); break;                    /* collation of the database */
        case 9: tr_cursor_bytes(&cur, 8); break;                    /* tables of a multi-table update */
        case 10: tr_cursor_bytes(&cur, 4); break;                   /* length of LOAD DATA's file */
        case 11:                                                    /* definer: user, host */
            tr_cursor_bytes(&cur, tr_cursor_u8(&cur));
            tr_cursor_bytes(&cur, tr_cursor_u8(&cur));
            break;
        case 12: /* databases that are changed */
            count = tr_cursor_u8(&cur);
            skip_strings(&cur, count == ALL_DATABASES ? 0 : count);
            break;
        case 13: /* MySQL and MariaDB: microseconds */
        case 128: s->micros = (uint32_t)tr_cursor_le(&cur, 3); break;
        case 16: /* explicit_defaults_for_timestamp */
            s->timestamps = tr_cursor_u8(&cur) != 0 ? TR_TIMESTAMPS_EXPLICIT : TR_TIMESTAMPS_IMPLICIT;
            break;
        case 17:                                   /* number of the DDL's transaction */
        case 129: tr_cursor_bytes(&cur, 8); break; /* the same of MariaDB */
        case 18: s->utf8mb4_collation = (uint16_t)tr_cursor_le(&cur, 2); break;
        case 19:                                   /* sql_require_primary_key */
        case 20: tr_cursor_bytes(&cur, 1); break;  /* default_table_encryption */
        case 130: tr_cursor_bytes(&cur, 2); break; /* MariaDB: more flags of the GTID */
        case 131: /* MariaDB: character_set_collations, which stands before most others */
            s->ncollations = tr_cursor_u8(&cur);
            s->collations = tr_cursor_bytes(&cur, s->ncollations * 4U);
            break;
        default: return;
        }
    }
    if (cur.failed) {
        s->time_zone = NULL;
        s->collations = NULL;
    }
}

/* Of MariaDB the numbers of those that its session set; what is not told there is none. */
static const char *
write_collations(const struct binlog *d, struct tr_arena *arena, const struct binlog_session *s)
{
    char text[256 * 6], *at = text;
    text[0] = '\0';
    if (d->format.flavour != TR_BINLOG_MARIADB) {
        if (s->utf8mb4_collation == 0)
            return NULL;
        snprintf(text, sizeof text, "%u", s->utf8mb4_collation);
        return tr_arena_strdup(arena, text);
    }
    for (unsigned i = 0; s->collations != NULL && i < s->ncollations; i++) {
        unsigned number = s->collations[i * 4 + 2] | (unsigned)s->collations[i * 4 + 3] << 8;
        at += snprintf(at, sizeof text - (size_t)(at - text), "%s%u", i > 0 ? "," : "", number);
    }
    return tr_arena_strdup(arena, text);
}

void
binlog_give_session(const struct binlog *d, struct binlog_frame *f, const struct binlog_session *s,
                    struct tr_event *event)
{
    struct tr_arena *arena = &f->batch->arena;
    event->ddl.time_zone = s->time_zone != NULL ? tr_arena_copy(arena, s->time_zone, s->time_zone_len) : NULL;
    event->ddl.began_us = (int64_t)f->timestamp * 1000000 + (s->micros < 1000000 ? s->micros : 0);
    event->ddl.sql_mode = s->sql_mode;
    struct tr_ddl_settings *settings = tr_arena_zalloc(arena, sizeof *settings);
    event->ddl.settings = settings;
    settings->increment = s->increment;
    settings->increment_offset = s->increment_offset;
    settings->locale = s->locale;
    settings->collations = write_collations(d, arena, s);
    settings->timestamps = s->timestamps;
    if (d->format.flavour == TR_BINLOG_MARIADB)
        settings->timestamps = (s->flags & EXPLICIT_TIMESTAMPS) != 0 ? TR_TIMESTAMPS_EXPLICIT
                                                                     : TR_TIMESTAMPS_IMPLICIT;
}
