"""What random loads have in common, whichever engine they run on: clients that do one thing after the other as the seed has it, and how the two ends are compared.

    load = RandomTables(database, seed=7).create()      # random_tables.py or random_tables_mysql.py
    load.start(); ... kill things ...; load.stop()
    assert not load.unequal(source, target)

What a table is like and what a client does next comes from the seed; which rows it meets depends on the other clients.
"""

import contextlib
import random
import threading
from collections import Counter

from .pairs import describe
from .type_matrix import read_bag

# On tables with foreign keys between them; what else there is differs between the engines.
FAMILY = [
    "UPDATE {grand} SET id = {n} WHERE id = {m}", "UPDATE {parent} SET id = {n} WHERE id = {m}", "DELETE FROM {grand} WHERE id = {n}",
    "DELETE FROM {parent} WHERE id = {n}", "DELETE FROM {loose} WHERE id = {n}", "DELETE FROM {child} WHERE parent = {n}",
    "UPDATE {loose} SET parent = {n} WHERE id = {m}",
]
FAMILY_COLUMNS = {"grand": ("id", "v"), "parent": ("id", "grand", "v"), "child": ("parent", "n", "v"), "loose": ("id", "parent", "up")}


class Column:
    """A column without a part in the key."""

    def __init__(self, name, kind, literals):
        self.name, self.kind, self.literals = name, kind, literals

    def value(self, rng):
        return "NULL" if rng.random() < 0.15 else rng.choice(self.literals)


class RandomTable:
    """What one table is like: the part that the seed decides in the same way for all engines."""

    def __init__(self, rng, number, key_kinds, usual):
        self.number = number
        self.keyed = rng.random() < 0.85
        self.key_kinds = [rng.choice(list(key_kinds)) for _ in range(rng.choices([1, 2, 3], [6, 3, 1])[0])]
        if rng.random() < 0.4:
            self.key_kinds[0] = rng.choice([kind for kind in usual if kind in key_kinds])
        self.keys = [f"k{i}" for i in range(len(self.key_kinds))]
        self.added = 0

    def writes(self):
        """May rows be changed and deleted?"""
        return True

    def key_values(self, rng):
        raise NotImplementedError

    def some(self, rng):
        """The end of an UPDATE or DELETE of one random row, or of a few."""
        raise NotImplementedError

    def a_row(self):
        """The end of an UPDATE of one random row."""
        raise NotImplementedError

    @staticmethod
    def unique_value(rng):
        return "NULL" if rng.random() < 0.3 else str(rng.randrange(200))


class RandomLoad:
    """The tables and the clients. start and stop from one thread."""

    client = None       # the class of its clients
    schema = None       # where its tables are, at both ends

    def __init__(self, database, seed, clients=3, two_phase=True, huge=1 << 20, pause=0.005):
        self.database, self.seed, self.clients, self.two_phase, self.huge, self.pause = database, seed, clients, two_phase, huge, pause
        self.tables = []
        self.counts, self.refused, self.failures = Counter(), Counter(), []
        self.shapes = True    # ALTER TABLE and TRUNCATE are allowed: a load under way begins again for each
        self.ends = False     # a client whose server has gone comes again
        self.stopping = threading.Event()
        self._threads = []

    def start(self):
        self.stopping.clear()
        self._threads = [threading.Thread(target=self.client(self, number).run, daemon=True) for number in range(self.clients)]
        for thread in self._threads:
            thread.start()
        return self

    def stop(self):
        self.stopping.set()
        for thread in self._threads:
            thread.join(90)
            assert not thread.is_alive(), "a client did not end"
        assert not self.failures, self.failures[:3]

    @property
    def commits(self):
        return self.counts["commits"]

    def forms(self):
        """{table: {column: form}} as type_matrix.py has forms; columns that are not named are texts."""
        raise NotImplementedError

    def unequal(self, source, target):
        """What differs between two databases, in words: each table a bag of rows, as both servers print them in one form."""
        found = []
        for name, known in self.forms().items():
            places = f"{self.schema}.{name}"
            columns, there = (sorted(column for (column,) in database.sql(
                f"SELECT column_name FROM information_schema.columns WHERE table_schema = '{self.schema}' AND table_name = '{name}'")) for database in (source, target))
            if set(columns) - set(there):
                found.append(f"{name}: the target lacks {sorted(set(columns) - set(there))}")
                continue
            forms = {column: known.get(column, "text") for column in columns}
            left, right = (read_bag(database.sql, places, forms, database.server.kind == "pg") for database in (source, target))
            if left != right:
                found.append(describe(name, columns, left - right, right - left))
        return found


class RandomClient:
    """One connection, and what it does."""

    operations = {}    # how often each is done
    error = Exception  # what the driver raises
    options = {}       # of its connection
    gone = ()          # codes of errors after which the transaction is gone

    def __init__(self, load, number):
        self.load, self.number, self.rng, self.step = load, number, random.Random(load.seed * 1009 + number), 0

    # ---- what an engine says for itself
    def code(self, error):
        raise NotImplementedError

    def set_up(self, cursor):
        raise NotImplementedError

    def begin(self, cursor, name):
        """Begins a transaction, in two phases under that name if there is one."""

    def end(self, connection, cursor, name, keep):
        raise NotImplementedError

    def undo(self, connection, cursor, name):
        raise NotImplementedError

    def ddl(self, cursor):
        raise NotImplementedError

    # ---- one after the other
    def run(self):
        try:
            while not self.load.stopping.is_set():
                try:
                    self.session()
                except self.error as error:
                    if not self.load.ends:
                        raise
                    self.load.refused[f"session {self.code(error)}"] += 1
                    self.load.stopping.wait(0.1)
        except Exception as error:  # pylint: disable=broad-except
            self.load.failures.append(repr(error))

    def session(self):
        with contextlib.closing(self.load.database.connect(autocommit=False, **self.options)) as connection, connection.cursor() as cursor:
            self.set_up(cursor)
            while not self.load.stopping.wait(self.load.pause * 2 * self.rng.random()):
                self.transaction(connection, cursor)

    def transaction(self, connection, cursor):
        done, self.step = [], self.step + 1
        name = f"rt-{self.load.database.name}-{self.number}-{self.step}" if self.load.two_phase and self.rng.random() < 0.05 else None
        try:
            if self.load.shapes and self.number == 0 and self.rng.random() < 0.06:
                done.append("ddl")
                self.ddl(cursor)
            self.begin(cursor, name)
            for _ in range(self.rng.choice([1, 1, 1, 2, 3, 8])):
                self.statement(cursor, done)
            self.end(connection, cursor, name, self.rng.random() >= (0.25 if name else 0.06))
            self.load.counts.update(["commits", *done])
        except self.error as error:
            self.load.refused[f"{done[-1:]} {self.code(error)}"] += 1
            self.undo(connection, cursor, name)

    def statement(self, cursor, done):
        """One operation under a savepoint, which is rolled back when it fails, and now and then when it does not."""
        names, weights = zip(*self.operations.items())
        name = self.rng.choices(names, weights)[0]
        done.append(name)
        cursor.execute("SAVEPOINT s")
        try:
            getattr(self, "do_" + name)(cursor, self.rng.choice(self.load.tables))
            if self.rng.random() < 0.08:
                cursor.execute("ROLLBACK TO SAVEPOINT s")
            cursor.execute("RELEASE SAVEPOINT s")
        except self.error as error:
            if self.code(error) in self.gone:
                raise
            cursor.execute("ROLLBACK TO SAVEPOINT s")
            self.load.refused[f"{name} {self.code(error)}"] += 1

    # ---- operations that all engines write alike
    def do_update(self, cursor, table):
        if table.writes():
            some = self.rng.sample(table.columns, self.rng.randrange(1, len(table.columns) + 1))
            sets = ", ".join(f"{column.name} = {column.value(self.rng)}" for column in some)
            cursor.execute(f"UPDATE {table.name} SET {sets} {table.some(self.rng)}")

    def do_delete(self, cursor, table):
        if table.writes():
            cursor.execute(f"DELETE FROM {table.name} {table.some(self.rng)}")

    def do_change_key(self, cursor, table):
        if table.writes():
            values = ", ".join(f"{name} = {value}" for name, value in zip(table.keys, table.key_values(self.rng)))
            cursor.execute(f"UPDATE {table.name} SET {values} {table.a_row()}")

    def do_move_unique(self, cursor, table):
        """A unique value goes from one row to another, in one transaction or in two."""
        if table.writes():
            value = self.rng.randrange(200)
            if self.rng.random() < 0.7:
                cursor.execute(f"UPDATE {table.name} SET uq = NULL WHERE uq = {value}")
            else:
                cursor.execute(f"DELETE FROM {table.name} WHERE uq = {value}")
            self.between(cursor)
            cursor.execute(f"UPDATE {table.name} SET uq = {value} {table.a_row()}")

    def between(self, cursor):
        """May end the transaction, and begin another with its savepoint."""

    def do_family(self, cursor, _table):
        names = {name: self.family_name(name) for name in FAMILY_COLUMNS}
        n, m, p = (self.rng.randrange(30) for _ in range(3))
        cursor.execute(self.rng.choice(FAMILY + self.family).format(n=n, m=m, p=p, **names))

    family = []    # more of them

    def family_name(self, name):
        return name
