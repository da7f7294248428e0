"""A random workload for PostgreSQL: tables of every type, random values, transactions that mix all kinds of changes."""

from .postgres_workload import ENUM, EXTENSIONS, column
from .wild import Digits, bits, clock, day, digits, document, floating, integer, json_number, json_text, name, octets, text, word


def real(rng, width):
    return rng.choice(["NaN", "Infinity", "-Infinity", *[floating(rng, width)] * 9])


def numeric(rng):
    """Any numeric, up to hundreds of digits."""
    if rng.random() < 0.2:
        return rng.choice(["NaN", "Infinity", "-Infinity", "0", "0.000", "1500", "-0.00000000000000000001", "1" + "0" * 130, "-" + "9" * 700 + "." + "7" * 90])
    precision = rng.choice([1, 5, 18, 19, 38, 39, 60, 200])
    return digits(rng, precision, rng.randint(0, precision))


def timestamp(rng, low=1583):
    return f"{day(rng, [low, 9999])} {clock(rng)}"


def endless(rng):
    return rng.choice(["infinity", "-infinity", *[timestamp(rng)] * 8])


def shift(rng):
    return rng.choice(["+00", "+02", "-05:30", "+14", "-12", "+15:59", "-15:59"])


def interval(rng):
    sign = lambda: rng.choice(["", "-"])  # noqa: E731
    return rng.choice(["0", "178000000 years", "-178000000 years", "1 mon", "-1 day", "2562047:47:16.854775",
                       f"{sign()}{rng.randrange(300)} years {sign()}{rng.randrange(12)} mons {sign()}{rng.randrange(400)} days {sign()}{rng.randrange(900)}:{clock(rng)[3:]}"])


def json_any(rng):
    def number(rng):
        return rng.choice([json_number(rng), Digits("1e400"), Digits("-0.0"), Digits("1.50"), Digits("1E+2"), Digits("9" * 60), Digits("0.1e-7")])
    return json_text(document(rng, number=number), rng)


def hstore(rng):
    pairs = {text(rng, 8): rng.choice([None, text(rng, 8)]) for _ in range(rng.randrange(4))}

    def quoted(part):
        return '"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return ", ".join(f"{quoted(k)}=>{'NULL' if v is None else quoted(v)}" for k, v in pairs.items())


def span(make, order=None):
    """A range of two of these values."""
    def one(rng):
        pair = sorted((make(rng), make(rng)), key=order)
        if rng.random() < 0.1:
            return "empty"
        ends = [rng.choice(["", value, value, value]) for value in pair]
        return rng.choice("[(") + ",".join(f'"{end}"' if end else "" for end in ends) + rng.choice("])")
    return one


def array(make):
    def one(rng):
        items = []
        for _ in range(rng.choice([0, 1, 2, 5])):
            value = make(rng)
            items.append("NULL" if rng.random() < 0.2 else '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"')
        return "{" + ",".join(items) + "}"
    return one


def address(rng):
    bits_of = rng.randrange(33)
    four = f"{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(256)}"
    return rng.choice([four, f"{four}/{bits_of}", "0.0.0.0/0", "::", "::ffff:1.2.3.4", "fe80::1/64", "2001:db8:0:0:1:0:0:1", "255.255.255.255"])


def network(rng):
    return rng.choice(["10.0.0.0/8", "0.0.0.0/0", "192.168.1.0/24", "2001:db8::/32", "::/0", f"{rng.randrange(256)}.0.0.0/8", "1.2.3.4/32"])


def hexes(rng, n):
    return ":".join(f"{rng.randrange(256):02x}" for _ in range(n))


def point(rng):
    return f"({floating(rng, 8)},{floating(rng, 8)})"


def vector(rng):
    words = [word(rng, 5) for _ in range(rng.randrange(4))]
    return " ".join(f"'{w}'" + rng.choice(["", ":1", ":2A,5B", ":16383"]) for w in words)


def chosen(*values):
    return lambda rng: rng.choice(values)


SIMPLE = {
    "boolean": chosen("true", "false"),
    "smallint": lambda rng: str(integer(rng, 16)),
    "integer": lambda rng: str(integer(rng, 32)),
    "bigint": lambda rng: str(integer(rng, 64)),
    "oid": lambda rng: str(integer(rng, 32, False)),
    "real": lambda rng: real(rng, 4),
    "double precision": lambda rng: real(rng, 8),
    "numeric": numeric,
    "numeric(1,0)": lambda rng: digits(rng, 1, 0),
    "numeric(5,5)": lambda rng: digits(rng, 5, 5),
    "numeric(18,3)": lambda rng: digits(rng, 18, 3),
    "numeric(38,0)": lambda rng: digits(rng, 38, 0),
    "numeric(39,12)": lambda rng: digits(rng, 39, 12),
    "numeric(300,100)": lambda rng: digits(rng, 300, 100),
    "money": lambda rng: rng.choice(["92233720368547758.07", "-92233720368547758.08", "0", "-0.01", digits(rng, 10, 2)]),
    "char(6)": lambda rng: text(rng, 6),
    "varchar(20)": lambda rng: text(rng, 20),
    "text": lambda rng: rng.choice([text(rng), text(rng), "x" * rng.choice([126, 127, 2000, 70000]) if rng.random() < 0.2 else text(rng, 200)]),
    "citext": text,
    '"char"': chosen("x", "", "é"[:0], "~"),
    "bytea": lambda rng: "\\x" + octets(rng, 100).hex(),
    "bit(1)": lambda rng: bits(rng, 1),
    "bit(8)": lambda rng: bits(rng, 8),
    "bit(33)": lambda rng: bits(rng, 33),
    "bit(64)": lambda rng: bits(rng, 64),
    "bit varying": lambda rng: bits(rng, rng.randint(1, 90)),
    "varbit(17)": lambda rng: bits(rng, rng.randint(1, 17)),
    "date": lambda rng: day(rng, [1583, 9999]),
    "time": lambda rng: rng.choice([clock(rng), "24:00:00"]),
    "time(0)": lambda rng: clock(rng),
    "time(2)": lambda rng: clock(rng),
    "time(5)": lambda rng: clock(rng),
    "timetz": lambda rng: clock(rng) + shift(rng),
    "timetz(3)": lambda rng: clock(rng) + shift(rng),
    "timestamp": endless,
    "timestamp(0)": endless,
    "timestamp(1)": endless,
    "timestamp(4)": endless,
    "timestamptz": lambda rng: rng.choice([timestamp(rng) + shift(rng), "infinity", "-infinity", "294276-12-31 23:59:59.999999+00"]),
    "timestamptz(0)": lambda rng: timestamp(rng) + shift(rng),
    "timestamptz(2)": lambda rng: timestamp(rng) + shift(rng),
    "interval": interval,
    "uuid": lambda rng: rng.choice(["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", rng.randbytes(16).hex()]),
    "json": json_any,
    "jsonb": json_any,
    "xml": lambda rng: rng.choice(["<a/>", "<a>&lt;&amp;é</a>", "<!-- c --><b x='1'>\n</b>", "plain"]),
    "mood": chosen("sad", "ok", "it's", "a,b"),
    "inet": address,
    "cidr": network,
    "macaddr": lambda rng: hexes(rng, 6),
    "macaddr8": lambda rng: hexes(rng, 8),
    "ltree": lambda rng: ".".join(word(rng) for _ in range(rng.randrange(5))),
    "tsvector": vector,
    "int4range": span(lambda rng: str(rng.randint(-10 ** 9, 10 ** 9)), int),
    "int8range": span(lambda rng: str(rng.randint(-10 ** 18, 10 ** 18)), int),
    "numrange": span(lambda rng: digits(rng, 12, 4), float),
    "tsrange": span(timestamp),
    "tstzrange": span(lambda rng: timestamp(rng) + "+00"),
    "daterange": span(lambda rng: day(rng, [1583, 9999])),
    "hstore": hstore,
    "point": point,
    "posint": lambda rng: str(rng.randint(1, 2 ** 31 - 1)),
    "price": lambda rng: digits(rng, 8, 2),
}
ARRAYS = ["smallint", "integer", "bigint", "oid", "text", "varchar(20)", "char(6)", "numeric(18,3)", "real", "double precision", "boolean", "date", "uuid", "json", "jsonb", "time",
          "timestamp", "timestamptz", "bytea", "inet", "cidr", "macaddr", "int4range", "daterange", "citext", "hstore"]
ALL = {**SIMPLE, **{f"{one}[]": array(SIMPLE[one]) for one in ARRAYS}}
# What no NOT NULL column may hold lest Debezium stops: numbers that are none.
FINITE = {"numeric": lambda rng: digits(rng, 30, rng.randint(0, 30))}
KEYS = ["smallint", "bigint", "numeric(18,3)", "text", "bytea", "date", "timestamp", "timestamptz", "uuid", "mood", "boolean",
        "char(6)", "inet", "time", "interval", "varchar(20)", "oid"]


class Table:
    """Its columns, its rows' numbers, and statements that change it."""

    def __init__(self, rng, title, types, key="id", identity="default", required=False):
        self.rng, self.title, self.types, self.key, self.identity, self.required = rng, title, dict(types), key, identity, required
        self.ids, self.last = [], 0
        self.columns = {column(native): native for native in types}

    def rename(self, names):
        """Other names for the columns."""
        self.columns = {other: native for other, native in zip(names, self.columns.values())}

    def create(self):
        null = " NOT NULL" if self.required else ""
        parts = ["id int NOT NULL" if self.key == "id" or self.rng.random() < 0.5 else "id int"]
        parts += [f"{quote(each)} {native}{' NOT NULL' if each in self.key.split('|') else null}" for each, native in self.columns.items()]
        if self.key and self.identity != "index":
            parts.append("PRIMARY KEY (" + ", ".join(quote(each) for each in self.key.split("|")) + ")")
        yield f"CREATE TABLE {self.title} ({', '.join(parts)})"
        if self.identity == "index":
            yield f"CREATE UNIQUE INDEX by_{self.title} ON {self.title} (" + ", ".join(quote(each) for each in self.key.split("|")) + ")"
            yield f"ALTER TABLE {self.title} REPLICA IDENTITY USING INDEX by_{self.title}"
        elif self.identity != "default":
            yield f"ALTER TABLE {self.title} REPLICA IDENTITY {self.identity}"

    def literal(self, each):
        native = self.columns[each]
        strict = self.required or each in self.key.split("|")
        if not strict and self.rng.random() < 0.15:
            return "NULL"
        made = (FINITE.get(native) if strict else None) or self.types[native]
        return "'" + made(self.rng).replace("'", "''") + f"'::{native}"

    def insert(self):
        self.last += 1
        self.ids.append(self.last)
        return f"INSERT INTO {self.title} VALUES ({', '.join([str(self.last), *map(self.literal, self.columns)])}) ON CONFLICT DO NOTHING"

    def update(self):
        some = self.rng.sample(list(self.columns), min(len(self.columns), self.rng.choice([1, 2, 5, 100])))
        if self.identity != "full" and self.identity != "default":
            some = [each for each in some if each not in self.key.split("|")] or some[:1]
        return f"UPDATE {self.title} SET {', '.join(f'{quote(each)} = {self.literal(each)}' for each in some)} WHERE id = {self.rng.choice(self.ids)}"

    def move(self):
        self.last += 1
        old = self.rng.choice(self.ids)
        self.ids.append(self.last)
        return f"UPDATE {self.title} SET id = {self.last} WHERE id = {old}"

    def delete(self):
        return f"DELETE FROM {self.title} WHERE id = {self.rng.choice(self.ids)}"

    def change(self):
        if not self.ids or self.identity == "nothing":
            return self.insert()
        return self.rng.choice([self.insert, self.insert, self.update, self.update, self.delete, self.move])()


def quote(title):
    return '"' + title.replace('"', '""') + '"'


def some(rng, count, of=None):
    names = rng.sample(list(of or ALL), count)
    return {each: ALL[each] for each in names}


class Workload:
    def __init__(self, rng):
        self.rng = rng
        composite = some(rng, 12, SIMPLE)
        keys = [each for each in rng.sample(KEYS, 3)]
        composite.update({each: ALL[each] for each in keys})
        key = "|".join(column(each) for each in keys)
        by = some(rng, 10, SIMPLE)
        by["text"] = SIMPLE["text"]
        odd = Table(rng, quote(name(rng)), some(rng, 6, SIMPLE))
        odd.rename([f"{number}{name(rng)}" if number % 2 else name(rng) + str(number) for number in range(6)])
        far = Table(rng, f"{quote(self.schema)}.{quote(name(rng))}", some(rng, 6, SIMPLE))
        self.tables = [Table(rng, "wild_all", ALL), Table(rng, "wild_full", some(rng, 40), identity="full"), Table(rng, "wild_need", some(rng, 60), required=True),
                       Table(rng, "wild_bare", some(rng, 15), key="", identity="full"), Table(rng, "wild_none", some(rng, 15), key="", identity="nothing"),
                       Table(rng, "wild_index", by, key="id", identity="index"), Table(rng, "wild_keys", composite, key=key), odd, far]

    schema = "Schémä 𝄞.2"

    def setup(self):
        yield from (f"CREATE EXTENSION {each}" for each in EXTENSIONS)
        yield ENUM
        yield "CREATE DOMAIN posint AS int CHECK (VALUE > 0)"
        yield "CREATE DOMAIN price AS numeric(8,2)"
        yield f"CREATE SCHEMA {quote(self.schema)}"
        yield "CREATE TABLE sync (id int PRIMARY KEY)"
        yield "INSERT INTO sync VALUES (0)"
        for table in self.tables:
            yield from table.create()
            for _ in range(self.rng.choice([0, 1, 4, 12])):
                yield table.insert()

    def message(self):
        text_of = text(self.rng, 30).replace("'", "''").replace("\0", "")
        return f"SELECT pg_logical_emit_message({self.rng.choice(['true', 'false'])}, 'p{word(self.rng)}', '{text_of}')"

    def changes(self, transactions):
        for _ in range(transactions):
            statements = []
            for _ in range(self.rng.choice([1, 1, 2, 5, 20])):
                statements.append(self.rng.choice(self.tables).change())
                if self.rng.random() < 0.05:
                    statements += ["SAVEPOINT s", self.rng.choice(self.tables).insert(), "ROLLBACK TO s"]
            if self.rng.random() < 0.1:
                statements.append(self.message())
            if self.rng.random() < 0.03:
                statements.append(f"TRUNCATE {self.rng.choice(self.tables).title}")
            yield statements
