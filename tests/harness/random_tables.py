"""Random tables of PostgreSQL and a random load on them (random_load.py): types, keys, replica identities, partitions and constraints as they fall."""

import random

import psycopg2

from .postgres_types import MADE, TYPES
from .random_load import FAMILY_COLUMNS, Column, RandomClient, RandomLoad, RandomTable
from .type_matrix import POSTGRESQL, POSTGRESQL_BEFORE

# Types that a key may have; some have values that are equal and do not look alike.
KEYS = {
    "int": [str(n) for n in range(1, 60)],
    "bigint": [str(n * 10**12) for n in range(-20, 40)],
    "text": ["", "a", "A", "ä", "a b", "a\\b", "it's", "\t", "漢字", *(f"key {n}" for n in range(30))],
    "numeric": ["1", "1.0", "1.00", "2", "2.000", "NaN", "Infinity", "-Infinity", "0", "-5.5", *(f"{n}.5" for n in range(20))],
    "uuid": [f"00000000-0000-0000-0000-0000000000{n:02x}" for n in range(40)],
    "timestamptz": ["infinity", "-infinity", "4713-01-01 00:00:00+00 BC", *(f"2024-01-{n:02} 00:00:00+00" for n in range(1, 28))],
    "date": ["infinity", "0001-01-01 BC", *(f"2024-02-{n:02}" for n in range(1, 28))],
    "interval": ["1 day", "24:00:00", "1 mon", "30 days", "-1 year", *(f"{n} hours" for n in range(20))],
    "float8": ["0", "-0", "NaN", "Infinity", "-Infinity", *(f"{n}.1" for n in range(20))],
    "bytea": ["\\x", "\\x00", *(f"\\x{n:02x}ff" for n in range(20))],
    "inet": ["10.0.0.1", "10.0.0.1/8", "::1", *(f"10.1.0.{n}" for n in range(20))],
    "character(5)": ["", "a", "ab", *(f"k{n}" for n in range(20))],
    "jsonb": ["1", "1.0", "null", "{}", "[1, 2]", *(f'{{"k": {n}}}' for n in range(20))],
    "int4range": ["empty", "[1,5)", "[1,4]", "(,)", *(f"[{n},{n + 3})" for n in range(20))],
    "int[]": ["{}", "{1,NULL}", *(f"{{{n},2}}" for n in range(20))],
    "mood": ["sad", "it's", "\"quoted\"", "a,b", "\\back", ""],
    "money": [f"{n}.25" for n in range(20)],
    "time": ["24:00:00", *(f"{n:02}:00:00" for n in range(20))],
    "bit(9)": [f"{n:09b}" for n in range(30)],
    "macaddr": [f"08:00:2b:01:02:{n:02x}" for n in range(30)],
    "name": [f"n{n}" for n in range(30)],
    "boolean": ["t", "f"],
    "positive": [str(n) for n in range(1, 40)],
}
# What a column of a table under way may become, and what it may be added as.
GROWS = {"smallint": "integer", "integer": "bigint", "varchar(10)": "varchar(40)", "numeric(10,3)": "numeric(20,3)"}
ADDED = ["int", "text", "numeric", "int DEFAULT 7", "text DEFAULT 'it''s'", "jsonb", "timestamptz DEFAULT '2024-01-01 00:00:00+00'", "int[]"]

OPERATIONS = {"insert": 24, "update": 24, "delete": 10, "change_key": 8, "move_unique": 10, "swap_unique": 5, "update_big": 3,
              "bulk": 2, "truncate": 1, "huge": 0.15, "copy_row": 5, "family": 10, "replace": 6}


# Keys that the other engines have a form for: {type: (form, those values that they cannot hold)}
PLAIN_KEYS = {"int": ("text", []), "bigint": ("text", []), "text": ("text", []), "numeric": ("decimal", ["NaN", "Infinity", "-Infinity"]), "uuid": ("uuid", []),
              "timestamptz": ("moment", ["infinity", "-infinity", "4713-01-01 00:00:00+00 BC"]), "date": ("moment", ["infinity", "0001-01-01 BC"]),
              "interval": ("text", []), "bytea": ("hex", []), "character(5)": ("padded", []), "mood": ("text", []), "money": ("money", []), "time": ("moment", []),
              "bit(9)": ("bits", []), "boolean": ("bool", [])}
ADDED_FORMS = {"numeric": "decimal", "jsonb": "json", "timestamptz DEFAULT '2024-01-01 00:00:00+00'": "moment", "int[]": "array"}


def quote(text):
    return "'" + text.replace("'", "''") + "'"


def types_of(target):
    """{type: literals}, keys alike, and {type: form}, for a target of that engine."""
    if target == "postgresql":
        types = {name: [f"{quote(value)}::{name}" for value in values] for name, values in TYPES.items() if name not in ("cid", "xid", "tid")}
        return types, {kind: [f"{quote(value)}::{kind}" for value in values] for kind, values in KEYS.items()}, {}
    types = {name: [f"CAST({value} AS {name})" for value in values] for name, (_, values) in POSTGRESQL.items() if values}
    keys = {kind: [f"{quote(value)}::{kind}" for value in KEYS[kind] if value not in without] for kind, (_, without) in PLAIN_KEYS.items()}
    return types, keys, {name: form for name, (form, _) in {**POSTGRESQL, **PLAIN_KEYS}.items()}


class Table(RandomTable):
    """What one table is like."""

    def __init__(self, rng, number, ddl, target="postgresql"):
        types, self.literals, self.forms_of = types_of(target)
        super().__init__(rng, number, self.literals, ["int", "bigint", "text", "uuid"])
        self.name = f"rt.t{number}"
        self.identity = "default" if self.keyed and rng.random() < 0.6 else rng.choice(["full", "index", "nothing", "full"])
        self.partitions = rng.choice([None, None, None, "hash", "list", "range"]) if self.identity != "index" else None
        if self.partitions == "hash" and self.key_kinds[0] in ("money", "bit(9)"):
            self.partitions = "list"
        self.parent = not self.partitions and self.identity != "index" and rng.random() < 0.12
        self.unique = rng.choice([None, "plain", "plain", "deferrable", "nulls", "partial", "expression", "exclusion"])
        self.parent = self.parent and target == "postgresql"
        if self.partitions or self.parent:
            self.unique = None
        if self.identity != "full" and self.unique == "expression":
            self.unique = "plain"
        kinds = [rng.choice(list(types)) for _ in range(rng.randrange(1, 9))]
        self.columns = [Column(f"c{i}", kind, types[kind]) for i, kind in enumerate(kinds)]
        kind = rng.choice(list(GROWS))
        self.columns.append(Column("grows", kind, types.get(kind) or ["NULL"]))
        self.generated = rng.random() < 0.3
        self.serial = rng.choice([None, None, "ALWAYS", "BY DEFAULT"])
        self.changes = ddl and not self.partitions and not self.parent
        self.forms = {name: self.forms_of.get(kind, "text") for name, kind in zip(self.keys, self.key_kinds)}
        self.forms |= {column.name: self.forms_of.get(column.kind, "text") for column in self.columns}

    def writes(self):
        """May rows be changed and deleted? Without a replica identity the server forbids it."""
        return self.identity != "nothing"

    def create(self):
        lines = [f"{name} {kind} NOT NULL" for name, kind in zip(self.keys, self.key_kinds)]
        lines += [f"{column.name} {column.kind}" for column in self.columns]
        lines += ["uq int", "big text"]
        if self.generated:
            lines.append("gen int GENERATED ALWAYS AS (coalesce(uq, 0) * 2) STORED")
        if self.serial:
            lines.append(f"serial bigint GENERATED {self.serial} AS IDENTITY")
        key = ", ".join(self.keys)
        if self.keyed:
            lines.append(f"PRIMARY KEY ({key})")
        if self.unique in ("plain", "deferrable", "nulls"):
            how = {"plain": "", "deferrable": " DEFERRABLE INITIALLY DEFERRED", "nulls": ""}[self.unique]
            lines.append(("UNIQUE NULLS NOT DISTINCT (uq)" if self.unique == "nulls" else "UNIQUE (uq)") + how)
        if self.unique == "exclusion":
            lines.append("EXCLUDE USING btree (uq WITH =)")
        sql = [f"CREATE TABLE {self.name} ({', '.join(lines)})"]
        if self.partitions:
            sql[0] += f" PARTITION BY {self.partitions} ({self.keys[0]})"
            sql += self.make_partitions()
        sql.append(f"ALTER TABLE {self.name} ALTER big SET STORAGE EXTERNAL")
        if self.unique == "partial":
            sql.append(f"CREATE UNIQUE INDEX ON {self.name} (uq) WHERE uq % 2 = 0")
        if self.unique == "expression":
            sql.append(f"CREATE UNIQUE INDEX ON {self.name} ((uq / 2))")
        if self.identity == "index":
            sql.append(f"CREATE UNIQUE INDEX ri{self.number} ON {self.name} ({key})")
        if self.parent:
            sql.append(f"CREATE TABLE {self.name}c (extra text) INHERITS ({self.name})")
            if self.keyed:
                sql.append(f"ALTER TABLE {self.name}c ADD PRIMARY KEY ({key})")
            sql.append(f"CREATE VIEW {self.name}_only AS SELECT * FROM ONLY {self.name}")
        words = {"default": "DEFAULT", "full": "FULL", "nothing": "NOTHING", "index": f"USING INDEX ri{self.number}"}
        for name in self.parts():
            sql.append(f"ALTER TABLE {name} REPLICA IDENTITY {words[self.identity]}")
        return ";\n".join(sql)

    def parts(self):
        """The tables whose replica identity counts."""
        if self.partitions:
            return [self.name, *(f"{self.name}p{i}" for i in range(3))]
        return [self.name, self.name + "c"] if self.parent else [self.name]

    def make_partitions(self):
        if self.partitions == "hash":
            return [f"CREATE TABLE {self.name}p{i} PARTITION OF {self.name} FOR VALUES WITH (MODULUS 3, REMAINDER {i})" for i in range(3)]
        one, two = self.literals[self.key_kinds[0]][0], self.literals[self.key_kinds[0]][-1]
        if self.partitions == "list":
            bounds = [f"FOR VALUES IN ({one})", f"FOR VALUES IN ({two})", "DEFAULT"]
        else:
            bounds = ["FOR VALUES FROM (MINVALUE) TO (LEAST)", "FOR VALUES FROM (LEAST) TO (MAXVALUE)", "DEFAULT"]
            bounds = [bound.replace("LEAST", two) for bound in bounds]
        return [f"CREATE TABLE {self.name}p{i} PARTITION OF {self.name} {bound}" for i, bound in enumerate(bounds)]

    def key_values(self, rng):
        return [rng.choice(self.literals[kind]) for kind in self.key_kinds]

    def row(self, rng, where=None):
        """INSERT of one new row."""
        names = self.keys + [column.name for column in self.columns] + ["uq"]
        values = self.key_values(rng) + [column.value(rng) for column in self.columns] + [self.unique_value(rng)]
        if rng.random() < 0.2:
            names.append("big")
            values.append(f"repeat(md5('{rng.random()}'), {rng.randrange(1, 400)})")
        name = where or self.name
        return f"INSERT INTO {name} ({', '.join(names)}) VALUES ({', '.join(values)})"

    def some(self, rng):
        if rng.random() < 0.15:
            return f"WHERE uq BETWEEN {(low := rng.randrange(200))} AND {low + 15}"
        return self.a_row()

    def a_row(self):
        return (f"WHERE (tableoid, ctid) = (SELECT tableoid, ctid FROM {self.name} OFFSET"
                f" floor(random() * (SELECT count(*) FROM {self.name})) LIMIT 1)")


FAMILY = """
CREATE TABLE rt.grand (id int PRIMARY KEY, v text);
CREATE TABLE rt.parent (id int PRIMARY KEY, grand int REFERENCES rt.grand ON UPDATE CASCADE ON DELETE CASCADE, v text);
CREATE TABLE rt.child (parent int REFERENCES rt.parent ON UPDATE CASCADE ON DELETE CASCADE DEFERRABLE, n int, v text, PRIMARY KEY (parent, n));
CREATE TABLE rt.loose (id int PRIMARY KEY, parent int REFERENCES rt.parent ON UPDATE CASCADE ON DELETE SET NULL, up int REFERENCES rt.loose ON DELETE SET NULL);
"""


class RandomTables(RandomLoad):
    """The tables and the clients. ddl is False, True for changes of which the log alone tells enough, or "all"."""

    schema = "rt"

    def __init__(self, database, seed, tables=8, ddl=True, target="postgresql", **options):
        super().__init__(database, seed, **options)
        rng = random.Random(seed)
        self.client, self.target = Client, target
        self.tables = [Table(rng, number, ddl, target) for number in range(tables)]
        self.every_change = ddl == "all"

    def names(self):
        """For the comparison with another PostgreSQL: a parent's own rows are what a view of the source shows."""
        found = []
        for table in self.tables:
            found += [(table.name + "_only", table.name), table.name + "c"] if table.parent else [table.name]
        return found + [f"rt.{name}" for name in FAMILY_COLUMNS]

    def forms(self):
        return {f"t{table.number}": table.forms for table in self.tables} | {name: {} for name in FAMILY_COLUMNS}

    def create(self):
        self.database.sql("CREATE SCHEMA rt")
        self.database.sql(MADE if self.target == "postgresql" else POSTGRESQL_BEFORE)
        for table in self.tables:
            self.database.sql(table.create())
        self.database.sql(FAMILY)
        return self

    def settle(self):
        """One more row for each table: a change of its shape becomes known with the next change of its rows."""
        rng = random.Random(self.seed)
        for table in self.tables:
            for _ in range(50):
                try:
                    self.database.sql(table.row(rng))
                    break
                except psycopg2.Error:
                    continue


class Client(RandomClient):
    operations, error, gone = OPERATIONS, psycopg2.Error, ("40P01", "55P03")
    family = [
        "INSERT INTO {grand} VALUES ({n}, 'g') ON CONFLICT (id) DO UPDATE SET v = {grand}.v || 'g'",
        "INSERT INTO {parent} VALUES ({n}, {m}, 'p') ON CONFLICT (id) DO UPDATE SET v = {parent}.v || 'p'",
        "INSERT INTO {child} SELECT {n}, i, 'c' FROM generate_series(1, 5) i ON CONFLICT DO NOTHING",
        "INSERT INTO {loose} VALUES ({n}, {m}, NULL) ON CONFLICT (id) DO UPDATE SET up = {loose}.id",
        "UPDATE {loose} SET up = (SELECT min(id) FROM {loose}) WHERE id = {n}"]

    def code(self, error):
        return error.pgcode

    def family_name(self, name):
        return f"rt.{name}"

    def set_up(self, cursor):
        cursor.execute("SET lock_timeout = '1s'; SET search_path = public")
        cursor.connection.commit()

    def end(self, connection, cursor, name, keep):
        if not name:
            return connection.commit() if keep else connection.rollback()
        cursor.execute("PREPARE TRANSACTION %s", (name,))
        connection.rollback()
        connection.autocommit = True
        cursor.execute(("COMMIT" if keep else "ROLLBACK") + " PREPARED %s", (name,))
        connection.autocommit = False
        return None

    def undo(self, connection, cursor, name):
        connection.rollback()

    def between(self, cursor):
        if self.rng.random() < 0.5:
            cursor.connection.commit()
            cursor.execute("SAVEPOINT s")

    # ---- operations
    def do_insert(self, cursor, table):
        where = table.name + "c" if table.parent and self.rng.random() < 0.5 else None
        for _ in range(self.rng.randrange(1, 4)):
            cursor.execute(f"{table.row(self.rng, where)} ON CONFLICT DO NOTHING" if table.unique != "deferrable" else table.row(self.rng, where))

    def do_swap_unique(self, cursor, table):
        if table.writes() and table.unique in ("deferrable", None):
            a, b = self.rng.sample(range(200), 2)
            statement = self.rng.choice([f"uq = CASE uq WHEN {a} THEN {b} ELSE {a} END WHERE uq IN ({a}, {b})",
                                         f"uq = uq + 1 WHERE uq BETWEEN {a} AND {a + 20}"])
            cursor.execute(f"UPDATE {table.name} SET {statement}")

    def do_update_big(self, cursor, table):
        if table.writes():
            cursor.execute(f"UPDATE {table.name} SET big = repeat(md5(random()::text), {self.rng.randrange(60, 600)}) {table.some(self.rng)}")

    def do_huge(self, cursor, table):
        if table.writes():
            cursor.execute(f"UPDATE {table.name} SET big = repeat(md5(random()::text), {self.rng.randrange(1, self.load.huge // 32)})"
                           f" WHERE ctid = (SELECT ctid FROM {table.name} LIMIT 1)")

    def do_copy_row(self, cursor, table):
        """A row is deleted and comes again as it was, or nearly."""
        if table.writes():
            names = ", ".join(table.keys + [column.name for column in table.columns] + ["uq", "big"])
            kinds = "TEMP TABLE again ON COMMIT DROP"
            cursor.execute(f"DROP TABLE IF EXISTS again; CREATE {kinds} AS SELECT {names} FROM ONLY {table.name} {table.some(self.rng)} LIMIT 1")
            keys = " AND ".join(f"t.{name} = again.{name}" for name in table.keys)
            cursor.execute(f"DELETE FROM {table.name} t USING pg_temp.again WHERE {keys}")
            cursor.execute(f"INSERT INTO {table.name} ({names}) SELECT {names} FROM pg_temp.again")

    def do_replace(self, cursor, table):
        """DELETE and INSERT of one key, INSERT and DELETE of another, an UPDATE of what was just written."""
        if table.writes():
            cursor.execute(table.row(self.rng))
            cursor.execute(f"UPDATE {table.name} SET uq = {self.rng.randrange(200)} {table.some(self.rng)}")
            keys = " AND ".join(f"{name} = {value}" for name, value in zip(table.keys, table.key_values(self.rng)))
            cursor.execute(f"DELETE FROM {table.name} WHERE {keys}")
            cursor.execute(table.row(self.rng))

    def do_bulk(self, cursor, table):
        if "int" in table.key_kinds[:1] or not table.keyed:
            values = ["i"] + table.key_values(self.rng)[1:] if "int" in table.key_kinds[:1] else table.key_values(self.rng)
            first = self.rng.randrange(1000, 10**8)
            last = first + self.rng.choice([50, 600, 3000])
            cursor.execute(f"INSERT INTO {table.name} ({', '.join(table.keys)}) SELECT {', '.join(values)} FROM generate_series({first}, {last}) i")
            if table.writes() and table.keyed and self.rng.random() < 0.8:
                cursor.execute(f"DELETE FROM {table.name} WHERE k0 BETWEEN {first} + 20 AND {last}")

    def do_truncate(self, cursor, _table):
        if not self.load.shapes:
            return
        some = self.rng.sample(self.load.tables, self.rng.randrange(1, 3))
        names = [other.name for other in some] + (["rt.parent"] if self.rng.random() < 0.5 else [])
        cursor.execute(f"TRUNCATE {', '.join(names)} {self.rng.choice(['', 'RESTART IDENTITY'])} CASCADE")

    def ddl(self, cursor):
        """A change of shape. A task that lags behind a column that was dropped, renamed or made again may have to ask its operator."""
        tables = [table for table in self.load.tables if table.changes]
        if not tables:
            return
        table = self.rng.choice(tables)
        what = self.rng.choices(["add", "grow", "drop", "again", "rename"], [5, 4, 3, 0.3, 2] if self.load.every_change else [5, 4, 0, 0, 0])[0]
        if what == "add" or (what in ("drop", "again", "rename") and table.added == 0):
            table.added += 1
            self.add(cursor, table, f"x{table.added}")
        elif what == "drop":
            cursor.execute(f"ALTER TABLE {table.name} DROP IF EXISTS x{self.rng.randrange(table.added) + 1}")
        elif what == "again":
            name = f"x{self.rng.randrange(table.added) + 1}"
            cursor.execute(f"ALTER TABLE {table.name} DROP IF EXISTS {name}")
            self.add(cursor, table, name)
        elif what == "rename":
            table.added += 1
            name = f"x{self.rng.randrange(table.added - 1) + 1}"
            cursor.execute(f"ALTER TABLE {table.name} RENAME {name} TO x{table.added}")
            table.forms[f"x{table.added}"] = table.forms.get(name, "text")
        else:
            cursor.execute(f"SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = '{table.name}'::regclass AND attname = 'grows'")
            kind = GROWS.get(cursor.fetchone()[0])
            if kind:
                cursor.execute(f"ALTER TABLE {table.name} ALTER grows TYPE {kind}")

    def add(self, cursor, table, name):
        # a default of a time is not carried to another engine
        kind = self.rng.choice([added for added in ADDED if self.load.target == "postgresql" or "timestamptz" not in added])
        cursor.execute(f"ALTER TABLE {table.name} ADD {name} {kind}")
        table.forms[name] = ADDED_FORMS.get(kind, "text")
