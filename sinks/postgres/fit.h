/*
 * fit.h - a value of another engine, or of another type, as the target's column takes it.
 *
 * What a column of the target cannot hold is found here, before the server sees it, so that the error names the column and the value, and so that `on_value` can
 * say otherwise. Which check a column needs is chosen once per map; most need none.
 */
#ifndef TR_SINKS_POSTGRES_FIT_H
#define TR_SINKS_POSTGRES_FIT_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/buffer.h"
#include "core/relation.h"

enum tr_pg_value_policy { TR_PG_VALUE_STOP, TR_PG_VALUE_NULL, TR_PG_VALUE_CLAMP };

enum tr_pg_fit_kind {
    TR_PG_FIT_NONE = 0, /* the value is right as it is */
    TR_PG_FIT_TEXT,     /* NUL, too many characters */
    TR_PG_FIT_INTEGER,
    TR_PG_FIT_NUMERIC,
    TR_PG_FIT_REAL,
    TR_PG_FIT_BOOL,
    TR_PG_FIT_DATE,
    TR_PG_FIT_TIMESTAMP,
    TR_PG_FIT_TIME,
    TR_PG_FIT_JSONB,          /* no \u0000 */
    TR_PG_FIT_UUID,           /* from 16 bytes */
    TR_PG_FIT_BIT,            /* another number of bits */
    TR_PG_FIT_ENUM,           /* MySQL's empty label of values that were none */
    TR_PG_FIT_LABELS,         /* a set as an array */
    TR_PG_FIT_GEOMETRY,       /* MySQL's form as PostGIS's EWKB, in hex */
    TR_PG_FIT_GEOMETRY_BYTES, /* the same as bytea */
};

/* The target's column, domains resolved. */
struct tr_pg_target_type {
    Oid oid;
    int32_t modifier; /* atttypmod, or -1 */
    char kind;        /* pg_type.typtype */
    bool is_array;
    bool not_null;
    const char *name; /* bare name: "geometry" */
    const char *text; /* with its modifier, for messages; the caller keeps it */
};

struct tr_pg_fit {
    enum tr_pg_fit_kind kind;
    int64_t minimum, maximum;
    int32_t length;           /* characters or bits; -1 = not limited */
    int32_t precision, scale; /* -1 = not limited */
    bool not_null, zone;
    const char *type;
};

struct tr_pg_values {
    enum tr_pg_value_policy policy;
    struct tr_buffer canonical, converted; /* scratch */
    uint64_t misfits;                      /* values that were stored otherwise, by the policy */
};

void tr_pg_values_init(struct tr_pg_values *values, enum tr_pg_value_policy policy);
void tr_pg_values_fini(struct tr_pg_values *values);

/* Which check the pair of columns needs. same_engine: the source is PostgreSQL. Pure. */
struct tr_pg_fit tr_pg_fit_choose(const struct tr_column *source, const struct tr_pg_target_type *target,
                                  bool same_engine);

/*
 * A present value as the column takes it: *out is text or NULL, and valid until the next call. Only for a fit other than NONE. -TR_CONFLICT when the column
 * cannot hold it and the policy is to stop; the error names column and value.
 */
int tr_pg_fit_value(struct tr_pg_values *values, const struct tr_pg_fit *fit,
                    const struct tr_relation *relation, const struct tr_column *source,
                    const struct tr_value *value, struct tr_value *out, struct tr_error *err);

#endif
