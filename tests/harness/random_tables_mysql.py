"""Random tables of MySQL or MariaDB and a random load on them (random_load.py): types, keys, character sets and partitions as they fall."""

import random
import tempfile

import pymysql

from .random_load import FAMILY_COLUMNS, Column, RandomClient, RandomLoad, RandomTable
from .type_matrix import MARIADB_ONLY, MYSQL

# Columns: as in the type matrix, but of moderate size, and texts with an order of their own.
TYPES = {name: entry for name, entry in MYSQL.items() if entry[0] != "geometry" and name not in ("mediumtext", "longtext", "mediumblob", "longblob")}
TYPES.update({
    "text": ("text", ["''", "'it''s'", "REPEAT('ä', 2000)"]), "longtext": ("text", ["'\U0001F600'", "REPEAT('y', 3000)"]),
    "blob": ("hex", ["x'5c0a0927'", "REPEAT(x'00', 3000)"]), "mediumblob": ("hex", ["REPEAT(x'ff', 700)"]),
    "varchar(30) COLLATE utf8mb4_general_ci": ("text", ["'a'", "'A'", "'ä'", "'a '", "'\U0001F600'"]),
})
# the clients live in several time zones
TYPES["timestamp NULL"] = ("moment", ["'1971-01-01 00:00:01'", "'2037-01-19 03:14:07'"])
TYPES["timestamp(6) NULL"] = ("moment", ["'1971-01-01 00:00:01.000001'", "'2037-01-19 03:14:07.999999'"])
ONLY = {"mariadb": {name: MARIADB_ONLY[name] for name in ("uuid", "inet6", "inet4")}, "mysql": {}}
# What PostgreSQL has no form for.
ODD = {"date": ["'0000-00-00'", "'2024-00-10'", "'2024-02-31'"], "datetime(6)": ["'0000-00-00'", "'2024-02-31 01:02:03.5'"],
       "time(6)": ["'838:59:59'", "'-838:59:59'", "'-00:00:00.000001'"], "varchar(40)": ["'\\0'"], "year": ["0"]}

KEYS = {
    "int": ("text", [str(n) for n in range(1, 60)]),
    "bigint unsigned": ("text", ["0", "18446744073709551615", *(str(2**63 + n) for n in range(40))]),
    "varchar(30) COLLATE utf8mb4_unicode_ci": ("text", ["''", "'a'", "'A'", "'ä'", "'b'", "'B '", "'漢字'", "'\\\\'", *(f"'Key {n}'" for n in range(30))]),
    "varchar(30) COLLATE utf8mb4_bin": ("text", ["''", "'a'", "'A'", "'\U0001F600'", *(f"'k{n}'" for n in range(30))]),
    "char(5) CHARACTER SET latin1": ("padded", ["''", "'ab'", *(f"'ö{n}'" for n in range(30))]),
    "decimal(20,5)": ("decimal", ["0", "-1.5", "99999.00001", *(f"{n}.5" for n in range(30))]),
    "datetime(6)": ("moment", [f"'2024-01-{n:02} 00:00:00.00000{n % 10}'" for n in range(1, 29)]),
    "timestamp(3)": ("moment", [f"'2024-03-{n:02} 02:30:00.5'" for n in range(1, 29)]),
    "date": ("moment", [f"'2024-02-{n:02}'" for n in range(1, 29)]),
    "varbinary(8)": ("hex", ["x''", "x'00'", "x'0000'", *(f"x'{n:02x}ff'" for n in range(30))]),
    "binary(4)": ("hex", ["x'00'", *(f"x'{n:02x}ff'" for n in range(30))]),
    "enum('a','b','c','it''s')": ("text", ["'a'", "'b'", "'c'", "'it''s'"]),
    "smallint": ("text", [str(n) for n in range(-20, 20)]),
    "bit(9)": ("bits", [f"b'{n:09b}'" for n in range(30)]),
}
GROWS = {"tinyint": "smallint", "smallint": "int", "int": "bigint", "varchar(10)": "varchar(40)", "decimal(8,2)": "decimal(20,2)", "smallint unsigned": "int unsigned"}
ADDED = {"int": "text", "varchar(20) DEFAULT 'it''s'": "text", "decimal(12,3) NOT NULL DEFAULT 1.5": "decimal", "datetime(6)": "moment", "json": "json",
         "bigint unsigned DEFAULT 18446744073709551615": "text", "bit(4) DEFAULT b'101'": "bits", "double DEFAULT 0.1": "float", "date DEFAULT '2024-01-01'": "moment",
         "enum('x','y') DEFAULT 'y'": "text", "set('x','y') DEFAULT 'x,y'": "text", "datetime(3) DEFAULT '2024-01-01 00:00:00'": "moment", "text": "text",
         "varbinary(10) DEFAULT 'a'": "hex", "time(3) NOT NULL DEFAULT '12:00:00.5'": "moment", "tinyint(1) NOT NULL DEFAULT 1": "text"}
OPERATIONS = {"insert": 24, "update": 24, "delete": 10, "change_key": 8, "shift_keys": 2, "move_unique": 10, "swap_unique": 4, "upsert": 8, "replace": 8,
              "bulk": 2, "again": 5, "truncate": 0.7, "huge": 0.3, "family": 10, "copy": 5, "joined": 4, "load_data": 2}
SHAPES = {"add": 8, "rename": 4, "drop": 4, "grow": 3, "label": 2, "index": 3, "default": 1, "convert": 1, "table": 3, "like": 2, "online": 3}
DONE_FOR = (1020, 1205, 1213, 1399, 1613, 1614)


class Table(RandomTable):
    def __init__(self, rng, number, engine, odd):
        super().__init__(rng, number, KEYS, ["int"])
        self.name, self.odd = f"t{number}", odd
        self.types = {**TYPES, **ONLY[engine]}
        kinds = [rng.choice(list(self.types)) for _ in range(rng.randrange(1, 12))]
        self.columns = [Column(f"c{i}", kind, self.literals(kind)) for i, kind in enumerate(kinds)]
        self.grows, self.labels = rng.choice(list(GROWS)), ["'p'", "'q'"]
        self.partitions = rng.choice([None, None, None, None, f"KEY ({self.keys[0]}) PARTITIONS 3", "HASH (k0) PARTITIONS 4" if self.key_kinds[0] == "int" else None])
        self.unique = rng.choice([None, "uq", "uq", "uq, us", "us"]) if not self.partitions else None
        self.generated = rng.choice([None, None, "STORED", "VIRTUAL"])
        self.charset = rng.choice(["utf8mb4", "utf8mb4", "latin1", "utf8mb3"])
        self.forms = {name: KEYS[kind][0] for name, kind in zip(self.keys, self.key_kinds)}
        self.forms |= {column.name: self.types[column.kind][0] for column in self.columns}
        self.forms |= {"grows": "decimal" if "decimal" in self.grows else "text", "big": "hex"}

    def literals(self, kind):
        """Those that a target can hold; some come more often."""
        return self.types[kind][1] + (ODD.get(kind, []) if self.odd else [])

    def create(self):
        lines = [f"{name} {kind} NOT NULL" for name, kind in zip(self.keys, self.key_kinds)]
        lines += [f"{column.name} {column.kind}" for column in self.columns]
        lines += [f"grows {self.grows}", "uq int", "us varchar(12) COLLATE utf8mb4_unicode_ci", "plain varchar(20)", "mood enum('p','q')", "big longblob"]
        if self.generated:
            lines.append(f"gen bigint AS (coalesce(uq, 0) * 2) {self.generated}")
        if self.keyed:
            lines.append(f"PRIMARY KEY ({', '.join(self.keys)})")
        if self.unique:
            lines.append(f"UNIQUE KEY u ({self.unique})")
        return f"CREATE TABLE {self.name} ({', '.join(lines)}) CHARACTER SET {self.charset}" + (f" PARTITION BY {self.partitions}" if self.partitions else "")

    def extra(self):
        """The columns that came under way."""
        return [name for name in self.forms if name[0] == "x"]

    def key_values(self, rng):
        return [rng.choice(KEYS[kind][1]) for kind in self.key_kinds]

    def row(self, rng, verb="INSERT"):
        values = dict(zip(self.keys, self.key_values(rng))) | {column.name: column.value(rng) for column in self.columns}
        values["uq"] = self.unique_value(rng)
        values["us"] = rng.choice(["NULL", f"'Us {rng.randrange(60)}'", f"'us {rng.randrange(60)}'"])
        values["plain"] = rng.choice(["NULL", "'\u00e4\u00df'", "'A'", "''"])
        values["mood"] = rng.choice(["NULL", *self.labels])
        values["grows"] = rng.choice(["NULL", "1", "100"])
        return f"{verb} INTO {self.name} ({', '.join(values)}) VALUES ({', '.join(values.values())})"

    def some(self, rng):
        if rng.random() < 0.15:
            low = rng.randrange(200)
            return f"WHERE uq BETWEEN {low} AND {low + 15}"
        return f"ORDER BY RAND() LIMIT {rng.choice([1, 1, 1, 4])}"

    def a_row(self):
        return "ORDER BY RAND() LIMIT 1"

    def twin(self, name):
        """What CREATE TABLE name LIKE this one makes."""
        twin = Table.__new__(Table)
        twin.__dict__.update({**self.__dict__, "name": name, "forms": dict(self.forms)})
        return twin


FAMILY = [
    "CREATE TABLE grand (id int PRIMARY KEY, v varchar(200))",
    "CREATE TABLE parent (id int PRIMARY KEY, grand int, v varchar(200), FOREIGN KEY (grand) REFERENCES grand (id) {rule})",
    "CREATE TABLE child (parent int, n int, v varchar(20), PRIMARY KEY (parent, n), FOREIGN KEY (parent) REFERENCES parent (id) {rule})",
    "CREATE TABLE loose (id int PRIMARY KEY, parent int, up int, FOREIGN KEY (parent) REFERENCES parent (id) {null})",
]
CASCADES = {"rule": "ON UPDATE CASCADE ON DELETE CASCADE", "null": "ON UPDATE CASCADE ON DELETE SET NULL"}


class RandomMysqlTables(RandomLoad):
    """The tables and the clients; target is the engine that they are carried to."""

    def __init__(self, database, seed, target, tables=8, **options):
        super().__init__(database, seed, **options)
        rng = random.Random(seed)
        self.client, self.schema = Client, database.name
        self.engine, self.target = database.server.kind, target
        self.tables = [Table(rng, number, self.engine, target != "postgresql") for number in range(tables)]
        self.cascades = self.engine == "mysql" and database.one("SELECT VERSION()") >= "9.6"    # those before do not log what cascades
        # between engines, what the log alone tells enough of: a default is known of columns that the source has still, and types as of the last start
        self.changes = set(SHAPES) - (set() if target == self.engine else {"rename", "drop"} | ({"grow", "label"} if target != "postgresql" else set()))
        self.truncates = True
        self.made = {}          # tables made under way
        self.statements = []

    def create(self):
        rules = CASCADES if self.cascades else {"rule": "", "null": ""}
        for statement in [table.create() for table in self.tables] + [text.format(**rules) for text in FAMILY]:
            self.database.sql(statement)
        return self

    def forms(self):
        return {table.name: table.forms for table in [*self.tables, *self.made.values()]} | {name: {} for name in FAMILY_COLUMNS}

    def settle(self):
        """One more row for each table: between engines a change of its shape becomes known with the next change of its rows."""
        rng = random.Random(self.seed)
        with self.database.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SET SESSION sql_mode = 'ALLOW_INVALID_DATES'")
            for table in [*self.tables, *self.made.values()]:
                cursor.execute(table.row(rng, "REPLACE"))


class Client(RandomClient):
    operations, error, gone, options = OPERATIONS, pymysql.Error, DONE_FOR, {"local_infile": True}
    family = [
        "INSERT INTO {grand} VALUES ({n}, 'g') ON DUPLICATE KEY UPDATE v = left(concat(v, 'g'), 150)",
        "INSERT INTO {parent} VALUES ({n}, {m}, 'p') ON DUPLICATE KEY UPDATE v = left(concat(v, 'p'), 150)",
        "INSERT IGNORE INTO {child} VALUES ({p}, 1, 'c'), ({p}, 2, 'c'), ({p}, {n}, 'c')",
        "INSERT INTO {loose} VALUES ({n}, {m}, NULL) ON DUPLICATE KEY UPDATE up = id"]

    def code(self, error):
        return error.args[0] if error.args else None

    def set_up(self, cursor):
        zone = ["+00:00", "+05:30", "-08:00"][self.number % 3]
        cursor.execute(f"SET SESSION time_zone = '{zone}', lock_wait_timeout = 2, innodb_lock_wait_timeout = 2")
        if self.load.target != "postgresql":
            cursor.execute("SET SESSION sql_mode = 'ALLOW_INVALID_DATES'")
        cursor.execute("XA RECOVER")
        for row in cursor.fetchall():    # of a connection that its server took along
            name = row[3] if isinstance(row[3], str) else row[3].decode()
            if name.startswith(f"rt-{self.load.database.name}-{self.number}-"):
                cursor.execute(f"XA {self.rng.choice(['COMMIT', 'ROLLBACK'])} '{name}'")

    def begin(self, cursor, name):
        cursor.execute(f"XA START '{name}'" if name else "BEGIN")

    def end(self, connection, cursor, name, keep):
        if not name:
            return connection.commit() if keep else connection.rollback()
        for statement in ("END", "PREPARE", "COMMIT" if keep else "ROLLBACK"):
            cursor.execute(f"XA {statement} '{name}'")
        return None

    def undo(self, connection, cursor, name):
        for statement in ([f"XA END '{name}'", f"XA ROLLBACK '{name}'"] if name else []) + ["ROLLBACK"]:
            try:
                cursor.execute(statement)
            except pymysql.Error:
                if not connection.open:
                    raise

    def do_insert(self, cursor, table):
        for _ in range(self.rng.randrange(1, 4)):
            cursor.execute(table.row(self.rng, self.rng.choice(["INSERT", "INSERT IGNORE"])))

    def do_replace(self, cursor, table):
        cursor.execute(table.row(self.rng, "REPLACE"))

    def do_upsert(self, cursor, table):
        column = self.rng.choice(table.columns)
        cursor.execute(table.row(self.rng) + f" ON DUPLICATE KEY UPDATE {column.name} = {column.value(self.rng)}"
                       + self.rng.choice(["", f", uq = {self.rng.randrange(200)}", f", {table.keys[0]} = {table.key_values(self.rng)[0]}"]))

    def do_shift_keys(self, cursor, table):
        # without a key each row of the target is found by reading the whole table
        if table.keyed and table.key_kinds[0] in ("int", "smallint", "decimal(20,5)"):
            cursor.execute(f"UPDATE {table.name} SET k0 = k0 + 1 ORDER BY k0 DESC")

    def do_swap_unique(self, cursor, table):
        a, b = self.rng.sample(range(200), 2)
        for old, new in ((a, 1000), (b, a), (1000, b)):
            cursor.execute(f"UPDATE {table.name} SET uq = {new} WHERE uq = {old}")

    def do_huge(self, cursor, table):
        cursor.execute(f"UPDATE {table.name} SET big = REPEAT(x'5c09ff00', {self.rng.randrange(1, self.load.huge // 4)}) ORDER BY RAND() LIMIT 1")

    def do_again(self, cursor, table):
        """A row is deleted and comes again as it was."""
        names = ", ".join(table.keys + [column.name for column in table.columns] + ["uq", "us", "plain", "big"])
        cursor.execute(f"SELECT {', '.join(table.keys)} FROM {table.name} ORDER BY RAND() LIMIT 1")
        row = cursor.fetchone()
        if row:
            where = " AND ".join(f"{name} = %s" for name in table.keys)
            cursor.execute("DROP TEMPORARY TABLE IF EXISTS again")
            cursor.execute(f"CREATE TEMPORARY TABLE again SELECT {names} FROM {table.name} WHERE {where} LIMIT 1", row)
            cursor.execute(f"DELETE FROM {table.name} WHERE {where} LIMIT 1", row)
            cursor.execute(f"INSERT INTO {table.name} ({names}) SELECT {names} FROM again")

    def do_bulk(self, cursor, table):
        if table.key_kinds[0] == "int" or not table.keyed:
            first = self.rng.randrange(1000, 10**8)
            rest = table.key_values(self.rng)[1:]
            number = table.key_kinds[0] == "int"
            count = self.rng.choice([50, 600, 2000] if table.keyed else [50])
            rows = [f"({', '.join([str(first + i) if number else table.key_values(self.rng)[0], *rest])})" for i in range(count)]
            cursor.execute(f"INSERT INTO {table.name} ({', '.join(table.keys)}) VALUES {', '.join(rows)}")
            if number and self.rng.random() < 0.8:
                cursor.execute(f"DELETE FROM {table.name} WHERE k0 >= {first + 20}")

    def do_truncate(self, cursor, table):
        if self.load.truncates and self.load.shapes:
            cursor.execute(f"TRUNCATE {table.name}")
            cursor.execute("SAVEPOINT s")
            self.load.statements.append(f"TRUNCATE {table.name}")

    def do_copy(self, cursor, table):
        """INSERT ... SELECT from the table itself or another."""
        names = [column.name for column in table.columns if self.rng.random() < 0.7] + ["uq", "plain"]
        cursor.execute(f"{self.rng.choice(['INSERT', 'INSERT IGNORE', 'REPLACE'])} INTO {table.name} ({', '.join(table.keys + names)})"
                       f" SELECT {', '.join(table.key_values(self.rng) + names)} FROM {table.name} ORDER BY RAND() LIMIT {1 if table.keyed else 7}")

    def do_joined(self, cursor, table):
        """One statement that changes, or empties of some rows, two tables."""
        other, low = self.rng.choice(self.load.tables), self.rng.randrange(200)
        if other is table:
            return
        where = f"{table.name} a JOIN {other.name} b ON a.uq = b.uq"
        column = self.rng.choice(table.columns)
        cursor.execute(self.rng.choice([
            f"UPDATE {where} SET a.{column.name} = {column.value(self.rng)}, b.grows = 2 WHERE a.uq BETWEEN {low} AND {low + 30}",
            f"UPDATE {where} SET a.uq = NULL, b.plain = 'joined' WHERE a.uq = {low}",
            f"DELETE a, b FROM {where} WHERE a.uq BETWEEN {low} AND {low + 3}"]))

    def do_load_data(self, cursor, table):
        if table.key_kinds[0] != "int":
            return
        with tempfile.NamedTemporaryFile("w", suffix=".tsv") as file:
            file.writelines(f"{self.rng.randrange(80)}\t{self.rng.choice([self.rng.randrange(200), chr(92) + 'N'])}\n" for _ in range(self.rng.randrange(1, 30)))
            file.flush()
            rest = ", ".join(f"{name} = {value}" for name, value in zip(table.keys[1:], table.key_values(self.rng)[1:]))
            cursor.execute(f"LOAD DATA LOCAL INFILE '{file.name}' {self.rng.choice(['REPLACE', 'IGNORE'])} INTO TABLE {table.name} (k0, uq)"
                           + (f" SET {rest}" if rest else ""))

    # ---- changes of shape; each statement commits by itself
    def ddl(self, cursor):
        table = self.rng.choice(self.load.tables)
        names, weights = zip(*((name, weight) for name, weight in SHAPES.items() if name in self.load.changes))
        what = self.rng.choices(names, weights)[0]
        table.added += 1
        getattr(self, "shape_" + what)(cursor, table, f"x{table.added}")

    def shape_add(self, cursor, table, new):
        kind = self.rng.choice(list(ADDED))
        rest = self.rng.choice(["", " FIRST", " AFTER uq", f", ADD INDEX i{table.added} (uq, {table.keys[0]}), COMMENT 'x'"])
        table.forms[new] = ADDED[kind]
        self.alter(cursor, f"ALTER TABLE {table.name} ADD COLUMN {new} {kind}{rest}")

    def shape_rename(self, cursor, table, new):
        names = table.extra()
        if names:
            name = self.rng.choice(names)
            table.forms[new] = table.forms[name]
            self.alter(cursor, f"ALTER TABLE {table.name} RENAME COLUMN {name} TO {new}")
            del table.forms[name]

    def shape_drop(self, cursor, table, _new):
        names = table.extra()
        if names:
            name = self.rng.choice(names)
            self.alter(cursor, f"ALTER TABLE {table.name} DROP COLUMN {name}")
            del table.forms[name]

    def shape_grow(self, cursor, table, _new):
        kind = GROWS.get(table.grows)
        if kind:
            self.alter(cursor, f"ALTER TABLE {table.name} MODIFY COLUMN grows {kind}")
            table.grows = kind

    def shape_label(self, cursor, table, _new):
        labels = [*table.labels, f"'l{table.added}'"]
        self.alter(cursor, f"ALTER TABLE {table.name} MODIFY COLUMN mood enum({', '.join(labels)})")
        table.labels = labels    # INSERT IGNORE of one that is not there yet leaves a value that PostgreSQL has no form for

    def shape_index(self, cursor, table, _new):
        self.alter(cursor, f"CREATE INDEX i{table.added} ON {table.name} (uq, {table.keys[0]})")
        if self.rng.random() < 0.5:
            self.alter(cursor, f"DROP INDEX i{table.added} ON {table.name}")

    def shape_default(self, cursor, table, _new):
        self.alter(cursor, f"ALTER TABLE {table.name} ALTER COLUMN plain SET DEFAULT 'd{table.added}'")

    def shape_convert(self, cursor, table, _new):
        if self.load.target == self.load.engine:
            self.alter(cursor, f"ALTER TABLE {table.name} CONVERT TO CHARACTER SET utf8mb4" + self.rng.choice(["", " COLLATE utf8mb4_unicode_ci"]))

    def shape_table(self, cursor, table, _new):
        """Renamed, and back again; rows come in between."""
        if self.load.target != self.load.engine:
            return
        self.alter(cursor, f"RENAME TABLE {table.name} TO {table.name}_away")
        try:
            cursor.execute(table.row(self.rng, "REPLACE").replace(f"INTO {table.name} ", f"INTO {table.name}_away "))
            cursor.connection.commit()
        finally:
            cursor.execute("SET SESSION lock_wait_timeout = 50")
            self.alter(cursor, f"RENAME TABLE {table.name}_away TO {table.name}")
            cursor.execute("SET SESSION lock_wait_timeout = 2")

    def shape_like(self, cursor, table, _new):
        if self.load.target == self.load.engine and len(self.load.made) < 5:
            twin = table.twin(f"m{len(self.load.made)}")
            self.alter(cursor, f"CREATE TABLE {twin.name} LIKE {table.name}")
            self.load.made[twin.name] = twin
            for _ in range(5):
                cursor.execute(twin.row(self.rng, "REPLACE"))

    def shape_online(self, cursor, table, new):
        """As pt-online-schema-change does it: a copy with one column more, kept up to date by triggers, takes the table's place."""
        kind, name, copy = self.rng.choice(list(ADDED)), table.name, f"_{table.name}_new"
        if not table.keyed:
            return
        names = table.keys + [column.name for column in table.columns] + ["grows", "mood", "uq", "us", "plain", "big", *table.extra()]
        columns, fresh = ", ".join(names), ", ".join(f"NEW.{column}" for column in names)
        key = " AND ".join(f"{copy}.{column} <=> OLD.{column}" for column in table.keys)
        moved = " AND ".join(f"OLD.{column} <=> NEW.{column}" for column in table.keys)
        try:
            for statement in (
                    f"CREATE TABLE {copy} LIKE {name}", f"ALTER TABLE {copy} ADD COLUMN {new} {kind}",
                    f"CREATE TRIGGER {name}_del AFTER DELETE ON {name} FOR EACH ROW DELETE IGNORE FROM {copy} WHERE {key}",
                    f"CREATE TRIGGER {name}_upd AFTER UPDATE ON {name} FOR EACH ROW BEGIN DELETE IGNORE FROM {copy} WHERE NOT ({moved}) AND {key};"
                    f" REPLACE INTO {copy} ({columns}) VALUES ({fresh}); END",
                    f"CREATE TRIGGER {name}_ins AFTER INSERT ON {name} FOR EACH ROW REPLACE INTO {copy} ({columns}) VALUES ({fresh})",
                    f"INSERT IGNORE INTO {copy} ({columns}) SELECT {columns} FROM {name} LOCK IN SHARE MODE"):
                cursor.execute(statement)
            cursor.connection.commit()
            table.forms[new] = ADDED[kind]
            self.alter(cursor, f"RENAME TABLE {name} TO _{name}_old, {copy} TO {name}")
        finally:
            cursor.connection.rollback()
            for statement in [f"DROP TRIGGER IF EXISTS {name}_{event}" for event in ("ins", "upd", "del")] + [f"DROP TABLE IF EXISTS {copy}, _{name}_old"]:
                cursor.execute("SET SESSION lock_wait_timeout = 50")
                cursor.execute(statement)
            cursor.execute("SET SESSION lock_wait_timeout = 2")

    def alter(self, cursor, statement):
        self.load.statements.append(statement)
        cursor.execute(statement)
