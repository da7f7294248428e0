/* fit_choose.c - which of a source column's values a column of PostgreSQL may be unable to hold: decided once per column, from both types. */
#include "sinks/postgres/fit.h"

#include <string.h>

#define HEADER 4 /* of a type modifier */

static void
range(struct tr_pg_fit *fit, int64_t minimum, int64_t maximum)
{
    fit->kind = TR_PG_FIT_INTEGER;
    fit->minimum = minimum;
    fit->maximum = maximum;
}

/* Is every number of the source's type one of the target's? */
static bool
covers(const struct tr_pg_fit *fit, enum tr_logical logical)
{
    static const struct {
        int64_t minimum, maximum;
    } of[TR_LOGICAL_COUNT] = {
        [TR_INT8] = { INT8_MIN, INT8_MAX },    [TR_UINT8] = { 0, UINT8_MAX },
        [TR_INT16] = { INT16_MIN, INT16_MAX }, [TR_UINT16] = { 0, UINT16_MAX },
        [TR_INT24] = { -(1 << 23), 1 << 23 },  [TR_UINT24] = { 0, 1 << 24 },
        [TR_INT32] = { INT32_MIN, INT32_MAX }, [TR_UINT32] = { 0, UINT32_MAX },
        [TR_INT64] = { INT64_MIN, INT64_MAX }, [TR_YEAR] = { 0, 2155 },
        [TR_OID] = { 0, UINT32_MAX },
    };
    return of[logical].maximum != 0 && of[logical].minimum >= fit->minimum &&
           of[logical].maximum <= fit->maximum;
}

static bool
is_integer(enum tr_logical logical)
{
    return (logical >= TR_INT8 && logical <= TR_UINT64) || logical == TR_YEAR || logical == TR_OID;
}

static bool
is_number(enum tr_logical logical)
{
    return is_integer(logical) || logical == TR_DECIMAL || logical == TR_FLOAT32 || logical == TR_FLOAT64;
}

static void
choose_number(struct tr_pg_fit *fit, const struct tr_column *source, const struct tr_pg_target_type *target)
{
    if (!is_number(source->logical) && source->logical != TR_BIT)
        return;
    switch (target->oid) {
    case 21: range(fit, INT16_MIN, INT16_MAX); break;
    case 23: range(fit, INT32_MIN, INT32_MAX); break;
    case 20: range(fit, INT64_MIN, INT64_MAX); break;
    case 26: range(fit, 0, UINT32_MAX); break;
    case 1700: fit->kind = TR_PG_FIT_NUMERIC; break;
    default: fit->kind = TR_PG_FIT_REAL; break;
    }
    if (fit->kind == TR_PG_FIT_INTEGER && covers(fit, source->logical))
        fit->kind = TR_PG_FIT_NONE;
    if (fit->kind == TR_PG_FIT_REAL && source->logical != TR_FLOAT64 && source->logical != TR_DECIMAL)
        fit->kind = TR_PG_FIT_NONE;
    if (fit->kind != TR_PG_FIT_NUMERIC)
        return;
    if (target->modifier < HEADER) {
        fit->kind = source->logical == TR_BIT ? TR_PG_FIT_NUMERIC : TR_PG_FIT_NONE;
        return;
    }
    fit->precision = (target->modifier - HEADER) >> 16 & 0xffff;
    fit->scale = (target->modifier - HEADER) & 0x7ff;
    if (fit->scale > 1000) /* eleven bits with a sign, since 15 */
        fit->scale -= 2048;
    bool narrower = source->logical == TR_DECIMAL && source->precision > 0 && source->scale >= 0 &&
                    source->scale <= fit->scale &&
                    source->precision - source->scale <= fit->precision - fit->scale;
    if (narrower || (source->logical == TR_UINT64 && fit->precision - fit->scale >= 20))
        fit->kind = TR_PG_FIT_NONE;
}

static void
choose_moment(struct tr_pg_fit *fit, const struct tr_column *source, const struct tr_pg_target_type *target,
              bool same_engine)
{
    enum tr_logical logical = source->logical;
    bool dated = logical == TR_DATE || logical == TR_TIMESTAMP || logical == TR_TIMESTAMPTZ;
    fit->scale = target->modifier >= 0 ? target->modifier : 6;
    fit->zone = target->oid == 1184;
    if (target->oid == 1083) {
        if (logical == TR_TIME)
            fit->kind = TR_PG_FIT_TIME;
    } else if (dated) {
        fit->kind = target->oid == 1082 ? TR_PG_FIT_DATE : TR_PG_FIT_TIMESTAMP;
    }
    bool same = same_engine && (source->scale < 0 || source->scale <= fit->scale) &&
                (target->oid != 1082 || logical == TR_DATE);
    if (same)
        fit->kind = TR_PG_FIT_NONE;
}

static void
choose_text(struct tr_pg_fit *fit, const struct tr_column *source, const struct tr_pg_target_type *target,
            bool same_engine)
{
    bool textual = source->logical == TR_TEXT || source->logical == TR_CHAR;
    fit->length = target->oid != 25 && target->modifier >= HEADER ? target->modifier - HEADER : -1;
    bool shorter = fit->length >= 0 && !(textual && source->length >= 0 && source->length <= fit->length);
    if (shorter || (!same_engine && textual))
        fit->kind = TR_PG_FIT_TEXT;
}

static void
choose_other(struct tr_pg_fit *fit, const struct tr_column *source, const struct tr_pg_target_type *target,
             bool same_engine)
{
    bool spatial = strcmp(target->name, "geometry") == 0 || strcmp(target->name, "geography") == 0;
    bool geometry = source->logical == TR_GEOMETRY && !same_engine;
    if (target->is_array && source->logical == TR_SET)
        fit->kind = TR_PG_FIT_LABELS;
    else if (target->kind == 'e' && source->logical == TR_ENUM && !same_engine)
        fit->kind = TR_PG_FIT_ENUM;
    else if (geometry && spatial)
        fit->kind = TR_PG_FIT_GEOMETRY;
    else if (geometry && (target->oid == 17 || target->oid == 25))
        fit->kind = target->oid == 17 ? TR_PG_FIT_GEOMETRY_BYTES : TR_PG_FIT_GEOMETRY;
}

struct tr_pg_fit
tr_pg_fit_choose(const struct tr_column *source, const struct tr_pg_target_type *target, bool same_engine)
{
    struct tr_pg_fit fit = {
        .length = -1, .precision = -1, .scale = -1, .not_null = target->not_null, .type = target->text
    };
    if (same_engine && source->base_type_id == target->oid && source->type_mod == target->modifier)
        return fit;
    choose_other(&fit, source, target, same_engine);
    if (fit.kind != TR_PG_FIT_NONE)
        return fit;
    switch (target->oid) {
    case 16:
        if (source->logical != TR_BOOL && (is_integer(source->logical) || source->logical == TR_BIT))
            fit.kind = TR_PG_FIT_BOOL;
        break;
    case 20:
    case 21:
    case 23:
    case 26:
    case 700:
    case 1700: choose_number(&fit, source, target); break;
    case 25:
    case 1042:
    case 1043: choose_text(&fit, source, target, same_engine); break;
    case 1082:
    case 1083:
    case 1114:
    case 1184: choose_moment(&fit, source, target, same_engine); break;
    case 1560:
    case 1562:
        fit.length = target->modifier;
        if (source->logical == TR_BIT && target->modifier >= 0 && source->length != target->modifier)
            fit.kind = TR_PG_FIT_BIT;
        break;
    case 2950:
        if (source->logical == TR_BYTES)
            fit.kind = TR_PG_FIT_UUID;
        break;
    case 3802:
        if (!same_engine)
            fit.kind = TR_PG_FIT_JSONB;
        break;
    default: break;
    }
    return fit;
}
