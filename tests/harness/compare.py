"""Are two databases equal, by the content of their rows?

Tables are compared as bags of rows: the order does not matter, duplicates do. Two PostgreSQL databases are
compared by a hash that each server computes; any other pair by the text of every column, in this process.
"""

import hashlib
from collections import Counter

SHOWN_ROWS = 5


class Difference(Exception):
    """A table cannot be compared at all (it is missing, or its columns differ)."""


def differences(source, target, tables, normalize=None, ignore_columns=(), kept=None):
    """What differs, as a list of texts; empty when the tables hold the same rows.

    source and target are connections (psycopg2 or pymysql). tables is a list of names ("public.t"), or of
    (source name, target name) pairs. normalize maps a column's name to a function on its text (or None),
    applied to both sides, for pairs of engines that print a value differently. kept is the beginning of the names of columns that may
    stand at the target alone: a column that the source drops is kept there.
    """
    left, right = _side(source), _side(target)
    found = []
    for table in tables:
        names = (table, table) if isinstance(table, str) else table
        try:
            found += _compare_table(left, right, *names, normalize or {}, ignore_columns, kept)
        except Difference as problem:
            found.append(str(problem))
    return found


def equal_by_content(source, target, tables, **kwargs):
    """Fails with the first differing rows of each table unless all tables are equal."""
    found = differences(source, target, tables, **kwargs)
    assert not found, "source and target differ:\n" + "\n".join(found)


def row_count(connection, table):
    return _side(connection).query(f"SELECT count(*) FROM {_side(connection).quote(table)}")[0][0]


def _compare_table(left, right, left_name, right_name, normalize, ignore, kept):
    columns = [c for c in left.columns(left_name) if c not in ignore]
    other = [c for c in right.columns(right_name) if c not in ignore and (c in columns or kept is None or not c.startswith(kept))]
    if columns != other:
        only = f"only at the source: {sorted(set(columns) - set(other))}, only at the target: {sorted(set(other) - set(columns))}"
        raise Difference(f"{left_name}: columns differ ({only})")
    if left.dialect == right.dialect == "postgres" and not normalize:
        if left.digest(left_name, columns) == right.digest(right_name, columns):
            return []
    bags = [side.bag(name, columns, normalize) for side, name in ((left, left_name), (right, right_name))]
    if bags[0] == bags[1]:
        return []
    return _describe((left, right), (left_name, right_name), columns, normalize, bags)


def _describe(sides, names, columns, normalize, bags):
    missing, extra = bags[0] - bags[1], bags[1] - bags[0]
    lines = [f"{names[0]}: {sum(bags[0].values())} rows at the source, {sum(bags[1].values())} at the target; "
             f"{sum(missing.values())} rows are only at the source, {sum(extra.values())} only at the target"]
    for side, name, bag, label in ((sides[0], names[0], missing, "source"), (sides[1], names[1], extra, "target")):
        lines += [f"  {label} only: {_short(row)}" for row in side.rows_with(name, columns, normalize, bag)]
    return lines


def _short(row):
    return ", ".join(f"{name}={value if value is None or len(value) <= 60 else value[:57] + '...'!s}"
                     for name, value in row)


def _digest(values):
    """A hash of one row's texts that keeps null and the empty text, and neighbours, apart."""
    state = hashlib.blake2b(digest_size=16)
    for value in values:
        raw = b"" if value is None else value.encode("utf-8", "surrogateescape")
        state.update(b"%d:" % (-1 if value is None else len(raw)))
        state.update(raw)
    return state.digest()


class _Side:
    """One database, read as text. Subclasses know the dialect."""

    def __init__(self, connection):
        self.connection = connection

    def query(self, text, params=None):
        with self.connection.cursor() as cursor:
            cursor.execute(text, params)
            return cursor.fetchall()

    def texts(self, table, columns):
        raise NotImplementedError

    def rows(self, table, columns, normalize):
        functions = [normalize.get(column) for column in columns]
        for row in self.texts(table, columns):
            yield [function(value) if function else value for function, value in zip(functions, row)]

    def bag(self, table, columns, normalize):
        return Counter(_digest(row) for row in self.rows(table, columns, normalize))

    def rows_with(self, table, columns, normalize, bag):
        """The first few rows whose digests are in the bag."""
        wanted, found = Counter(bag), []
        for row in self.rows(table, columns, normalize):
            if len(found) == SHOWN_ROWS or not wanted:
                break
            digest = _digest(row)
            if wanted[digest] > 0:
                wanted[digest] -= 1
                found.append(list(zip(columns, row)))
        return found


class _PostgresSide(_Side):
    dialect = "postgres"

    def __init__(self, connection):
        super().__init__(connection)
        with connection.cursor() as cursor:
            cursor.execute("SET DateStyle = 'ISO, YMD'; SET TimeZone = 'UTC'; SET IntervalStyle = 'postgres';"
                           "SET extra_float_digits = 3; SET bytea_output = 'hex'; SET client_encoding = 'UTF8'")

    @staticmethod
    def quote(table):
        return ".".join('"' + part.replace('"', '""') + '"' for part in _parts(table, "public"))

    def columns(self, table):
        found = self.query("SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0"
                           " AND NOT attisdropped ORDER BY attname COLLATE \"C\"", (self.quote(table),))
        if not found:
            raise Difference(f"{table}: there is no such table in {self.connection.info.dbname}")
        return [name for (name,) in found]

    @staticmethod
    def column_list(columns):
        return ", ".join('"' + c.replace('"', '""').replace("%", "%%") + '"::text' for c in columns)

    def digest(self, table, columns):
        """Count of rows and the sum of their hashes, computed by the server."""
        half = "sum(('x' || substr(h, {}, 16))::bit(64)::bigint::numeric)"
        return self.query(f"SELECT count(*), {half.format(1)}, {half.format(17)} FROM (SELECT"
                          f" md5(ROW({self.column_list(columns)})::text) AS h FROM {self.quote(table)}) rows", ())[0]

    def texts(self, table, columns):
        if self.connection.autocommit:
            # A named cursor needs a transaction; WITH HOLD would store the table.
            with self.connection.cursor() as cursor:
                cursor.execute(f"SELECT {self.column_list(columns)} FROM {self.quote(table)}", ())
                yield from cursor
            return
        with self.connection.cursor("tailrace_compare") as cursor:
            cursor.itersize = 5000
            cursor.execute(f"SELECT {self.column_list(columns)} FROM {self.quote(table)}", ())
            yield from cursor


class _MysqlSide(_Side):
    dialect = "mysql"

    def __init__(self, connection):
        super().__init__(connection)
        with connection.cursor() as cursor:
            cursor.execute("SET SESSION time_zone = '+00:00'")

    def parts(self, table):
        database = self.connection.db
        return _parts(table, database.decode() if isinstance(database, bytes) else database)

    def quote(self, table):
        return ".".join("`" + part.replace("`", "``") + "`" for part in self.parts(table))

    def columns(self, table):
        found = self.query("SELECT column_name FROM information_schema.columns"
                           " WHERE table_schema = %s AND table_name = %s", self.parts(table))
        if not found:
            raise Difference(f"{table}: there is no such table")
        return sorted((name for (name,) in found), key=lambda name: name.encode())

    def texts(self, table, columns):
        names = ", ".join("`" + c.replace("`", "``") + "`" for c in columns)
        converters, self.connection.decoders = self.connection.decoders, {}  # no conversion: the server's own text
        try:
            rows = self.query(f"SELECT {names} FROM {self.quote(table)}")
        finally:
            self.connection.decoders = converters
        for row in rows:
            yield [value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value for value in row]


def _parts(table, default_schema):
    """("schema", "table") of "schema.table", "table", or of such a pair itself."""
    if not isinstance(table, str):
        return tuple(table)
    schema, dot, name = table.partition(".")
    return (schema, name) if dot else (default_schema, schema)


def _side(connection):
    return _PostgresSide(connection) if hasattr(connection, "autocommit") and hasattr(connection, "info") \
        else _MysqlSide(connection)
