/*
 * retype.c - a column of MySQL or MariaDB gets another type: what the target's column becomes, and what becomes of the rows that are there (docs/ddl.md).
 *
 * No log tells what MODIFY did to older rows. Carried is what gives the same values here: a wider type, and conversions that both engines do alike. A narrower type changes no value that it
 * can hold; so the target's column stays wide, unless there are values that the source cannot have any more.
 */
#include <stdio.h>
#include <string.h>

#include "sinks/postgres/change.h"

struct retype {
    struct tr_pg_change *c;
    const struct tr_column *column; /* at the source */
    const struct tr_pg_column *here;
    const char *wanted;     /* as the target spells its type */
    struct tr_buffer name;  /* quoted */
    struct tr_buffer extra; /* a condition */
};

/* ------------------------------------------------------------------------------------------- types */

static bool
begins(const char *text, const char *const *words)
{
    for (; *words != NULL; words++)
        if (strncmp(text, *words, strlen(*words)) == 0)
            return true;
    return false;
}

static const char *const numbers[] = { "smallint", "integer", "bigint", "numeric", NULL };
static const char *const floats[] = { "real", "double precision", NULL };
static const char *const texts[] = { "char", "text", "varchar", NULL };
static const char *const moments[] = { "timestamp", "time", NULL };
static const char *const dates[] = { "date", NULL };

/* Conversions of which both engines make the same, or which fail here: of a number's text, of halves when digits go. */
static bool
converts(const struct retype *r, const char **using)
{
    const char *from = r->here->native, *to = r->wanted;
    bool number = begins(from, numbers), text = begins(to, texts);
    *using = "";
    if (number && (begins(to, numbers) || strcmp(to, "double precision") == 0))
        return true;
    if (begins(from, floats) && strcmp(to, "double precision") == 0)
        return true;
    if (begins(from, dates) && strncmp(to, "timestamp", 9) == 0 && strstr(to, "with time zone") == NULL)
        return true;
    *using = "::text";
    return text && (number || begins(from, dates) || r->here->holds.kind == 'e');
}

/* ------------------------------------------------------------------------------------------- older rows */

static const struct {
    enum tr_logical logical;
    const char *range;
} ranges[] = {
    { TR_INT8, "-128 AND 127" },
    { TR_UINT8, "0 AND 255" },
    { TR_INT16, "-32768 AND 32767" },
    { TR_UINT16, "0 AND 65535" },
    { TR_INT24, "-8388608 AND 8388607" },
    { TR_UINT24, "0 AND 16777215" },
    { TR_INT32, "-2147483648 AND 2147483647" },
    { TR_UINT32, "0 AND 4294967295" },
    { TR_INT64, "-9223372036854775808 AND 9223372036854775807" },
    { TR_UINT64, "0 AND 18446744073709551615" },
    { TR_YEAR, "1901 AND 2155" },
};

static void
write_labels(const struct retype *r, struct tr_buffer *out)
{
    for (uint32_t i = 0; i < r->column->nlabels; i++) {
        tr_buffer_text(out, i > 0 ? ", " : "");
        tr_pg_literal(out, r->column->labels[i]);
    }
}

/* A set's labels in the order that its type says. */
static void
write_set(const struct retype *r, struct tr_buffer *out)
{
    tr_buffer_text(out, "coalesce((SELECT string_agg(u.l, ',' ORDER BY u.n) FROM unnest(ARRAY[");
    write_labels(r, out);
    tr_buffer_printf(out,
                     "]::text[]) WITH ORDINALITY u(l, n) WHERE u.l = ANY (string_to_array(%s, ','))), '')",
                     r->name.data);
}

/* What the source makes of older rows and its words tell: NULL = nothing. */
static bool
write_mended(const struct retype *r, struct tr_buffer *out)
{
    const struct tr_column *column = r->column;
    const char *name = r->name.data, *here = r->here->native;
    if (column->logical == TR_DECIMAL && strncmp(here, "numeric", 7) == 0 && column->scale >= 0)
        tr_buffer_printf(out, "round(%s, %d)", name, column->scale);
    else if (column->logical == TR_CHAR && begins(here, texts) && strncmp(here, "character(", 10) != 0)
        tr_buffer_printf(out, "rtrim(%s, ' ')", name);
    else if (column->logical == TR_BYTES && strcmp(column->type_name, "binary") == 0 &&
             strcmp(here, "bytea") == 0 && column->length > 0)
        tr_buffer_printf(out, "%s || decode(repeat('00', greatest(%d - octet_length(%s), 0)), 'hex')", name,
                         column->length, name);
    else if (column->logical == TR_SET && begins(here, texts))
        write_set(r, out);
    else
        return false;
    return true;
}

/* Which values of the target's column the source's cannot have; false: whatever is here may be there. */
static bool
write_misfit(const struct retype *r, struct tr_buffer *out)
{
    const struct tr_column *column = r->column;
    const char *name = r->name.data, *here = r->here->native;
    bool number = begins(here, numbers), text = begins(here, texts);
    for (size_t i = 0; number && i < sizeof ranges / sizeof *ranges; i++)
        if (ranges[i].logical == column->logical) {
            tr_buffer_printf(out, "%s NOT BETWEEN %s", name, ranges[i].range);
            if (column->logical == TR_YEAR)
                tr_buffer_printf(out, " AND %s <> 0", name);
            return true;
        }
    if (column->logical == TR_DECIMAL && number && column->precision > 0)
        tr_buffer_printf(out, "abs(%s) >= 1e%d%s%s%s", name,
                         column->precision - (column->scale > 0 ? column->scale : 0),
                         column->is_unsigned ? " OR " : "", column->is_unsigned ? name : "",
                         column->is_unsigned ? " < 0" : "");
    else if ((column->logical == TR_TEXT || column->logical == TR_CHAR) && text && column->length >= 0)
        tr_buffer_printf(out, "char_length(%s) > %d", name, column->length);
    else if (column->logical == TR_BYTES && strcmp(here, "bytea") == 0 && column->length >= 0)
        tr_buffer_printf(out, "octet_length(%s) > %d", name, column->length);
    else if (column->logical == TR_ENUM && (text || r->here->holds.kind == 'e') && column->nlabels > 0) {
        tr_buffer_printf(out, "%s::text NOT IN ('', ", name);
        write_labels(r, out);
        tr_buffer_byte(out, ')');
    } else if (begins(here, moments) && tr_pg_type_widens(r->wanted, here))
        tr_buffer_printf(out, "%s <> %s::%s", name, name, r->wanted);
    else
        return false;
    return true;
}

/* The rows that are there take what the source's have by now. */
static int
mend_rows(struct retype *r, struct tr_error *err)
{
    struct tr_pg_change *c = r->c;
    struct tr_buffer value;
    tr_buffer_init(&value, (size_t)1 << 20);
    int rc = 0;
    if (write_mended(r, &value)) {
        tr_buffer_text(&c->sql, "UPDATE ");
        tr_pg_qualified(&c->sql, c->table->schema, c->table->name);
        tr_buffer_printf(&c->sql, " SET %s = %s WHERE %s <> %s", r->name.data, value.data, r->name.data,
                         value.data);
        rc = tr_pg_change_run(c, err);
    }
    tr_buffer_fini(&value);
    return rc;
}

static int
check_rows(struct retype *r, struct tr_error *err)
{
    struct tr_pg_change *c = r->c;
    PGresult *res = NULL;
    tr_buffer_text(&c->sql, "SELECT EXISTS (SELECT FROM ");
    tr_pg_qualified(&c->sql, c->table->schema, c->table->name);
    tr_buffer_text(&c->sql, " WHERE ");
    bool any = false;
    int rc = write_misfit(r, &c->sql);
    tr_buffer_byte(&c->sql, ')');
    rc = rc != 0 ? tr_pg_ask(c->sink, c->conn, c->sql.data, &res, err) : 0;
    if (rc == 0 && res != NULL)
        any = PQgetvalue(res, 0, 0)[0] == 't';
    PQclear(res);
    tr_buffer_reset(&c->sql);
    if (rc < 0 || !any)
        return rc;
    tr_fail(
        err, TR_REFUSED,
        "table %s.%s: the source made column \"%s\" %s, the target's has values that this cannot hold, and what the source made of them is in no log",
        c->table->schema, c->table->name, r->column->name, r->column->native);
    return tr_error_hint(err, "order `tailrace reload --table %s.%s` and start again", c->after->schema,
                         c->after->name);
}

/* ------------------------------------------------------------------------------------------- the type */

/* Columns that compute themselves from this one, as clauses that take them away and as those that make them again; then what hangs on them. */
static const char computed_sql[] =
    "WITH g AS (SELECT a.attnum, a.attname, format('%I %s GENERATED ALWAYS AS (%s) %s%s', a.attname, format_type(a.atttypid, a.atttypmod), pg_get_expr(d.adbin, d.adrelid),"
    "   CASE a.attgenerated WHEN 's' THEN 'STORED' ELSE 'VIRTUAL' END, CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END) AS made"
    "  FROM pg_attribute a JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum WHERE a.attrelid = $1::oid AND a.attgenerated <> '' AND EXISTS ("
    "   SELECT FROM pg_depend p WHERE p.refclassid = 'pg_class'::regclass AND p.refobjid = a.attrelid AND p.refobjsubid = $2::int"
    "   AND (p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid OR p.classid = 'pg_class'::regclass AND p.objid = a.attrelid AND p.objsubid = a.attnum)))"
    " SELECT (SELECT string_agg(format('DROP COLUMN %I, ', attname), '' ORDER BY attnum) FROM g), (SELECT string_agg(', ADD COLUMN ' || made, '' ORDER BY attnum) FROM g),"
    " coalesce((SELECT string_agg('; ' || pg_get_indexdef(i.indexrelid), '') FROM pg_index i WHERE i.indrelid = $1::oid AND EXISTS (SELECT FROM g WHERE g.attnum = ANY (i.indkey))"
    "   AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.conrelid = i.indrelid)), '') ||"
    " coalesce((SELECT string_agg(format('; ALTER TABLE %s ADD CONSTRAINT %I %s', k.conrelid::regclass, k.conname, pg_get_constraintdef(k.oid)), '') FROM pg_constraint k"
    "   WHERE k.conrelid = $1::oid AND k.contype <> 'n' AND EXISTS (SELECT FROM g WHERE g.attnum = ANY (k.conkey))), '') ||"
    " coalesce((SELECT string_agg(format('; COMMENT ON COLUMN %s.%I IS %L', $1::oid::regclass, attname, col_description($1::oid, attnum)), '') FROM g"
    "   WHERE col_description($1::oid, attnum) IS NOT NULL), '')";

/* ALTER COLUMN ... TYPE; PostgreSQL does not take it for a column from which another is computed, so those are made again around it. */
static int
write_alter(struct retype *r, const char *using, struct tr_error *err)
{
    struct tr_pg_change *c = r->c;
    char oid[16], number[16];
    PGresult *res = NULL;
    snprintf(oid, sizeof oid, "%u", c->table->oid);
    snprintf(number, sizeof number, "%u", r->here->number);
    const char *params[] = { oid, number };
    int rc = tr_pg_ask_params(c->sink, c->conn, computed_sql, 2, params, &res, err);
    if (rc < 0)
        return rc;
    tr_pg_change_alter(&c->sql, c->table);
    tr_buffer_printf(&c->sql, "%sALTER COLUMN %s TYPE %s", PQgetvalue(res, 0, 0), r->name.data, r->wanted);
    if (using[0] != '\0')
        tr_buffer_printf(&c->sql, " USING %s%s", r->name.data, using);
    tr_buffer_printf(&c->sql, "%s%s", PQgetvalue(res, 0, 1), PQgetvalue(res, 0, 2));
    PQclear(res);
    return 0;
}

static int
alter_type(struct retype *r, const char *using, struct tr_error *err)
{
    int rc = write_alter(r, using, err);
    return rc < 0 ? rc : tr_pg_change_run(r->c, err);
}

static int
refuse(struct retype *r, struct tr_error *err)
{
    struct tr_pg_change *c = r->c;
    bool any;
    char using[96];
    int rc = tr_pg_change_has_rows(c, &any, err);
    if (rc < 0)
        return rc;
    snprintf(using, sizeof using, "::text::%.80s", r->wanted);
    if (!any)
        return alter_type(r, using, err);
    rc = write_alter(r, using, err);
    if (rc < 0)
        return rc;
    tr_fail(
        err, TR_REFUSED,
        "table %s.%s: the source made column \"%s\" %s; what that made of the rows that are there is in no log",
        c->table->schema, c->table->name, r->column->name, r->column->native);
    return tr_error_hint(err, "run at the target: %s; order `tailrace reload --table %s.%s` and start again",
                         c->sql.data, c->after->schema, c->after->name);
}

/* A number that is shown with zeros before it is a text with zeros. */
static bool
may_be_padded(const struct retype *r)
{
    const struct tr_pg_change *c = r->c;
    const struct tr_pg_shape_column *before = c->before != NULL
                                                  ? tr_pg_shape_then(c->before, c->after, r->column)
                                                  : NULL;
    return begins(r->here->native, numbers) && (before == NULL || strstr(before->native, "zerofill") != NULL);
}

static int
change(struct retype *r, struct tr_error *err)
{
    const char *here = r->here->native, *using = "";
    bool labelled = r->column->logical == TR_ENUM, alike = labelled || tr_pg_types_alike(here, r->wanted);
    bool widens = !alike && tr_pg_type_widens(here, r->wanted);
    bool holds = alike || tr_pg_type_widens(r->wanted, here); /* it was made wide enough */
    if ((labelled && !begins(here, texts) && r->here->holds.kind != 'e') ||
        (!widens && !holds && (!converts(r, &using) || (using[0] != '\0' && may_be_padded(r)))))
        return refuse(r, err);
    int rc = holds ? mend_rows(r, err) : 0;
    if (rc == 0)
        rc = check_rows(r, err);
    return rc < 0 || holds ? rc : alter_type(r, using, err);
}

int
tr_pg_change_type(struct tr_pg_change *c, const struct tr_column *column, int at, struct tr_error *err)
{
    struct retype r = { .c = c, .column = column, .here = &c->table->columns[at] };
    r.wanted = c->translated->columns[column - c->after->columns].native;
    if (column->logical == TR_UINT64 && column->auto_increment)
        r.wanted = "bigint";                              /* a column that counts */
    if (r.here->generated || column->target_type != NULL) /* the task's own type stays */
        return 0;
    tr_buffer_init(&r.name, 4096);
    tr_pg_identifier(&r.name, column->name);
    int rc = change(&r, err);
    tr_buffer_fini(&r.name);
    return rc;
}
