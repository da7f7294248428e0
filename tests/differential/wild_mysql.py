"""A random workload for MySQL and MariaDB: tables of every type, random values, transactions that mix all kinds of changes."""

from .wild import bits, clock, digits, document, floating, integer, json_number, json_text, name, octets, text, word


def string(made):
    """As a literal: MySQL's escapes, so that control characters and backslashes arrive."""
    return "'" + made.replace("\\", "\\\\").replace("'", "''").replace("\x1a", "\\Z") + "'"


def number(width, signed=True):
    return lambda rng: str(integer(rng, width, signed))


def decimal(precision, scale, unsigned=False):
    return lambda rng: digits(rng, precision, scale, unsigned)


def letters(most):
    return lambda rng: string(text(rng, most).rstrip(" "))


def latin(rng):
    return string("".join(rng.choices("abcäöüéßÿñ 0'\"", k=rng.randint(0, 15))).rstrip(" "))


def raw(most):
    return lambda rng: "x'" + octets(rng, most).hex() + "'"


def date(rng):
    return f"'{rng.choice([1000, 1582, 1969, 1970, 2024, 9999, rng.randint(1000, 9999)]):04}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}'"


def moment(fraction, low=1000, high=9999):
    def one(rng):
        year = rng.choice([low, high, 2024, rng.randint(low, high)])
        return f"'{year:04}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02} {fixed(rng, fraction)}'"
    return one


def fixed(rng, fraction):
    """A time of the day whose fraction fits the column, so that nothing is rounded into another day."""
    whole, _, part = clock(rng).partition(".")
    return whole + ("." + part[:fraction] if fraction and part else "")


def long_time(fraction):
    def one(rng):
        hours = rng.choice([0, 12, 23, rng.randrange(24)])
        rest = fixed(rng, fraction)[3:]
        return f"'{hours:02}:{rest}'"
    return one


def any_time(fraction):
    """What is no time of a day, too."""
    def one(rng):
        sign = rng.choice(["", "-"])
        return rng.choice([f"'{sign}838:59:59'", f"'{sign}{rng.randrange(24, 838)}:{fixed(rng, fraction)[3:]}'", long_time(fraction)(rng)])
    return one


def json_any(rng):
    """Numbers that one printer prints like the other: the rest is told in the hand-made workload."""
    return string(json_text(document(rng, number=json_number), rng))


def several(*members):
    return lambda rng: "'" + ",".join(each for each in members if rng.random() < 0.4) + "'"


def chosen(*values):
    return lambda rng: rng.choice(values)


def coordinate(rng):
    return floating(rng, 8)


def point(rng):
    return f"ST_GeomFromText('POINT({coordinate(rng)} {coordinate(rng)})')"


def line(rng):
    return "ST_GeomFromText('LINESTRING(" + ",".join(f"{n} {rng.randint(-90, 90)}" for n in range(rng.randint(2, 9))) + ")')"


def polygon(rng):
    a = rng.randint(1, 80)
    return f"ST_GeomFromText('POLYGON((0 0,{a} 0,{a} {a},0 0))')"


TYPES = {
    "bit1": ("bit(1)", lambda rng: f"b'{bits(rng, 1)}'"),
    "bit7": ("bit(7)", lambda rng: f"b'{bits(rng, 7)}'"),
    "bit33": ("bit(33)", lambda rng: f"b'{bits(rng, 33)}'"),
    "bit64": ("bit(64)", lambda rng: f"b'{bits(rng, 64)}'"),
    "tiny": ("tinyint", number(8)),
    "tiny1": ("tinyint(1)", number(8)),
    "utiny": ("tinyint unsigned", number(8, False)),
    "small": ("smallint", number(16)),
    "usmall": ("smallint unsigned", number(16, False)),
    "medium": ("mediumint", number(24)),
    "umedium": ("mediumint unsigned", number(24, False)),
    "int_4": ("int", number(32)),
    "uint_4": ("int unsigned", number(32, False)),
    "zero": ("int(11) unsigned zerofill", number(32, False)),
    "big": ("bigint", number(64)),
    "ubig": ("bigint unsigned", number(64, False)),
    "flt": ("float", lambda rng: floating(rng, 4)),
    "dbl": ("double", lambda rng: floating(rng, 8)),
    "dec1": ("decimal(1,0)", decimal(1, 0)),
    "dec10": ("decimal(10,10)", decimal(10, 10)),
    "dec18": ("decimal(18,9)", decimal(18, 9)),
    "dec19": ("decimal(19,0)", decimal(19, 0)),
    "dec38": ("decimal(38,5)", decimal(38, 5)),
    "dec65": ("decimal(65,30)", decimal(65, 30)),
    "udec": ("decimal(20,3) unsigned", decimal(20, 3, True)),
    "chr": ("char(8)", letters(8)),
    "vchr": ("varchar(60)", letters(60)),
    "vchrb": ("varchar(60) character set utf8mb4 collate utf8mb4_bin", letters(60)),
    "latin": ("varchar(20) character set latin1", latin),
    "tinytxt": ("tinytext", letters(40)),
    "txt": ("text", lambda rng: rng.choice([letters(200)(rng), f"repeat('x', {rng.choice([255, 256, 8000])})"])),
    "mediumtxt": ("mediumtext", lambda rng: rng.choice([letters(60)(rng), f"repeat('é', {rng.choice([32767, 32768, 70000])})"]) if rng.random() < 0.3 else "''"),
    "longtxt": ("longtext", letters(60)),
    "bin": ("binary(6)", raw(6)),
    "vbin": ("varbinary(300)", raw(300)),
    "tinyblb": ("tinyblob", raw(30)),
    "blb": ("blob", raw(300)),
    "mediumblb": ("mediumblob", raw(60)),
    "longblb": ("longblob", raw(60)),
    "d": ("date", date),
    "t0": ("time", any_time(0)),
    "t2": ("time(2)", long_time(2)),
    "t6": ("time(6)", any_time(6)),
    "dt": ("datetime", moment(0)),
    "dt1": ("datetime(1)", moment(1)),
    "dt4": ("datetime(4)", moment(4)),
    "dt6": ("datetime(6)", moment(6)),
    "ts": ("timestamp", moment(0, 1971, 2037)),
    "ts2": ("timestamp(2)", moment(2, 1971, 2037)),
    "ts6": ("timestamp(6)", moment(6, 1971, 2037)),
    "y": ("year", lambda rng: str(rng.choice([1901, 2155, rng.randint(1901, 2155)]))),
    "js": ("json", json_any),
    "en": ("enum('small','it''s','big one','','é中')", chosen("'small'", "'it''s'", "''", "'é中'", "3")),
    "st": ("set('a','b b','c''d','é')", several("a", "b b", "c''d", "é")),
    "pt": ("point", point),
    "ln": ("linestring", line),
    "poly": ("polygon", polygon),
    "geom": ("geometry", lambda rng: rng.choice([point, line, polygon])(rng)),
}
MARIADB_TYPES = {"uid": ("uuid", lambda rng: "'" + rng.randbytes(16).hex() + "'")}
KEYS = ["small", "ubig", "dec18", "vchrb", "bin", "d", "dt6", "ts2", "en", "y", "t2", "uint_4", "dbl"]


def quote(title):
    return "`" + title.replace("`", "``") + "`"


class Table:
    def __init__(self, rng, title, types, key="id", required=False):
        self.rng, self.title, self.types, self.key, self.required = rng, title, dict(types), key.split("|") if key else [], required
        self.ids, self.last = [], 0
        self.columns = {each: each for each in types}

    def rename(self, names):
        self.columns = dict(zip(names, self.columns.values()))

    def strict(self, each):
        return self.required or each in self.key

    def create(self):
        parts = ["id int NOT NULL" if "id" in self.key or self.rng.random() < 0.5 else "id int"]
        for each, kind in self.columns.items():
            parts.append(f"{quote(each)} {self.types[kind][0]} {'NOT NULL' if self.strict(each) else 'NULL'}")
        if self.key:
            parts.append("PRIMARY KEY (" + ", ".join(quote(each) for each in self.key) + ")")
        yield f"CREATE TABLE {self.title} ({', '.join(parts)})"

    def literal(self, each):
        if not self.strict(each) and self.rng.random() < 0.15:
            return "NULL"
        return self.types[self.columns[each]][1](self.rng)

    def insert(self):
        self.last += 1
        self.ids.append(self.last)
        verb = self.rng.choice(["INSERT INTO", "INSERT INTO", "REPLACE INTO"])
        return f"{verb} {self.title} VALUES ({', '.join([str(self.last), *map(self.literal, self.columns)])})"

    def update(self):
        some = self.rng.sample(list(self.columns), min(len(self.columns), self.rng.choice([1, 2, 5, 100])))
        return f"UPDATE {self.title} SET {', '.join(f'{quote(each)} = {self.literal(each)}' for each in some)} WHERE id = {self.rng.choice(self.ids)}"

    def move(self):
        self.last += 1
        old = self.rng.choice(self.ids)
        self.ids.append(self.last)
        return f"UPDATE {self.title} SET id = {self.last} WHERE id = {old}"

    def delete(self):
        return f"DELETE FROM {self.title} WHERE id = {self.rng.choice(self.ids)}"

    def change(self):
        if not self.ids:
            return self.insert()
        return self.rng.choice([self.insert, self.insert, self.update, self.update, self.delete, self.move])()


class Workload:
    def __init__(self, rng, kind):
        self.rng = rng
        every = {**TYPES, **(MARIADB_TYPES if kind == "mariadb" else {})}

        def some(count):
            return {each: every[each] for each in rng.sample(list(every), count)}
        # A zero and a NOT NULL time that is none of a day stop Debezium in some modes.
        need = {each: made for each, made in some(30).items() if each not in ("t0", "t6")}
        keys = rng.sample(KEYS, 3)
        keyed = {**some(8), **{each: every[each] for each in keys}}
        calm = [each for each in every if each not in ("t0", "t6")]
        odd = Table(rng, quote(name(rng, False)), {each: every[each] for each in rng.sample(calm, 6)})
        odd.rename([f"{n}{name(rng, False)}" if n % 2 else f"{name(rng, False)}{n}" for n in range(6)])
        self.tables = [Table(rng, "wild_all", every), Table(rng, "wild_need", need, required=True), Table(rng, "wild_bare", some(12), key=""),
                       Table(rng, "wild_keys", keyed, key="|".join(keys)), Table(rng, f"wild_{word(rng)}", some(20)), odd]

    def setup(self):
        yield "SET sql_mode = ''"
        yield "CREATE TABLE sync (id int PRIMARY KEY)"
        yield "INSERT INTO sync VALUES (0)"
        for table in self.tables:
            yield from table.create()
            for _ in range(self.rng.choice([0, 1, 4, 12])):
                yield table.insert()

    def changes(self, transactions):
        for _ in range(transactions):
            statements = []
            for _ in range(self.rng.choice([1, 1, 2, 5, 20])):
                statements.append(self.rng.choice(self.tables).change())
                if self.rng.random() < 0.05:
                    statements += ["SAVEPOINT s", self.rng.choice(self.tables).insert(), "ROLLBACK TO s"]
            yield statements
