"""What is done to MySQL or MariaDB while both read it: every type, every kind of change, every kind of table."""

# column name: (type, values as SQL); each row takes the next one, then NULL
TYPES = {
    "bit1": ("bit(1)", ["b'1'", "b'0'"]),
    "bit10": ("bit(10)", ["b'1000000001'", "b'11'", "b'0'"]),
    "bit64": ("bit(64)", ["18446744073709551615"]),
    "tiny": ("tinyint", ["-128", "127"]),
    "tiny1": ("tinyint(1)", ["1", "0", "5"]),
    "utiny": ("tinyint unsigned", ["255"]),
    "bool1": ("boolean", ["true", "false"]),
    "small": ("smallint", ["-32768"]),
    "usmall": ("smallint unsigned", ["65535"]),
    "medium": ("mediumint", ["-8388608"]),
    "umedium": ("mediumint unsigned", ["16777215"]),
    "int_4": ("int", ["-2147483648", "7"]),
    "uint_4": ("int unsigned", ["4294967295"]),
    "big": ("bigint", ["-9223372036854775808"]),
    "ubig": ("bigint unsigned", ["18446744073709551615", "5"]),
    "zero": ("int(8) zerofill", ["42"]),
    "flt": ("float", ["1.5", "-0.25", "16777216"]),
    "dbl": ("double", ["1.5", "-0.1", "1e100", "3"]),
    "dbl72": ("double(7,2)", ["12345.67"]),
    "flt30": ("float(30)", ["1.5"]),
    "real_1": ("real", ["2.5"]),
    "dec102": ("decimal(10,2)", ["12345678.91", "-0.01", "0"]),
    "dec_0": ("decimal", ["42"]),
    "dec6530": ("decimal(65,30)", ["12345678901234567890123456789012345.123456789012345678901234567890"]),
    "udec": ("decimal(8,3) unsigned", ["1.5"]),
    "chr": ("char(5)", ["'ab'", "''", "'abcde'"]),
    "vchr": ("varchar(30)", ["''", "'Zürich €𝄞'", "'a\"b\\\\c\\nd'"]),
    "latin": ("varchar(20) character set latin1", ["'Zürich'"]),
    "nchr": ("national char(4)", ["'é'"]),
    "tinytxt": ("tinytext", ["'t'"]),
    "txt": ("text", ["'text'", "repeat('x', 3000)"]),
    "mediumtxt": ("mediumtext", ["'m'"]),
    "longtxt": ("longtext", ["'l'"]),
    "bin": ("binary(4)", ["x'0102'", "x'01020304'"]),
    "vbin": ("varbinary(8)", ["x'00ff'", "''"]),
    "blb": ("blob", ["x'fbefbe'"]),
    "tinyblb": ("tinyblob", ["x'00'"]),
    "longblb": ("longblob", ["x'01'"]),
    "d": ("date", ["'2024-02-29'", "'1969-12-31'", "'9999-12-31'", "'1000-01-01'"]),
    "t0": ("time", ["'12:34:56'", "'-838:59:59'", "'838:59:59'"]),
    "t3": ("time(3)", ["'12:34:56.789'"]),
    "t6": ("time(6)", ["'12:34:56.789012'", "'-00:00:00.000001'"]),
    "dt": ("datetime", ["'2024-02-29 12:34:56'", "'1969-12-31 23:59:59'"]),
    "dt3": ("datetime(3)", ["'2024-02-29 12:34:56.789'"]),
    "dt6": ("datetime(6)", ["'2024-02-29 12:34:56.789012'", "'1969-12-31 23:59:59.999999'"]),
    "ts": ("timestamp", ["'2024-02-29 12:34:56'"]),
    "ts3": ("timestamp(3)", ["'2024-02-29 12:34:56.789'"]),
    "ts6": ("timestamp(6)", ["'2024-02-29 12:34:56.789012'"]),
    "y": ("year", ["2024", "1901", "2155"]),
    "js": ("json", ["'{\"b\":  1, \"a\": [1.50, null, true, \"x\"]}'", "'null'", "'\"é\"'", "'12345678901'"]),
    "en": ("enum('small','it''s','big one')", ["'small'", "'it''s'"]),
    "st": ("set('a','b','c')", ["'a,c'", "''"]),
    "pt": ("point", ["ST_GeomFromText('POINT(1 2.5)')"]),
    "ln": ("linestring", ["ST_GeomFromText('LINESTRING(0 0,1 1)')"]),
    "poly": ("polygon", ["ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))')"]),
    "geom": ("geometry", ["ST_GeomFromText('POINT(3 4)')", "ST_GeomFromText('LINESTRING(0 0,2 2)')"]),
    "coll": ("geometrycollection", ["ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1))')"]),
}
MARIADB_TYPES = {"uid": ("uuid", ["'00000000-0000-0000-0000-000000000001'"])}
MYSQL_TYPES = {"vec": ("vector(3)", ["string_to_vector('[1,2.5,-3]')"])}
# Where Debezium's snapshot and stream differ, or where it is wrong.
ODD = {
    "flt": ("float", ["1.1", "3.4028235e38", "1e-20"]),
    "flt72": ("float(7,2)", ["12345.67", "1.1"]),
    "ts3": ("timestamp(3)", ["'2024-02-29 12:34:56.120'"]),
    "ts6": ("timestamp(6)", ["'2024-02-29 12:34:56'"]),
    "y": ("year", ["70"]),
    "d": ("date", ["'0000-00-00'", "'1000-01-01'", "'0050-01-01'"]),
    "dt": ("datetime", ["'0000-00-00 00:00:00'", "'9999-12-31 23:59:59'", "'0050-01-01 00:00:00'"]),
    "ts": ("timestamp null", ["'0000-00-00 00:00:00'"]),
    "en": ("enum('c,d','e')", ["'c,d'", "'e'", "0"]),
    "js": ("json", ["'{\"n\": 1e10, \"z\": 0.1}'", "'[]'"]),
}
DEFAULTS = {
    "bit1": ("bit(1)", "b'1'"), "bit4": ("bit(4)", "b'1010'"), "tiny": ("tinyint", "7"), "bool1": ("boolean", "true"), "small": ("smallint", "-5"),
    "int_4": ("int", "42"), "uint_4": ("int unsigned", "4294967295"), "big": ("bigint", "10000000000"), "ubig": ("bigint unsigned", "5"), "flt": ("float", "1.5"),
    "dbl": ("double", "2.5"), "dec102": ("decimal(10,2)", "1.5"), "chr": ("char(5)", "'ab'"), "vchr": ("varchar(10)", "'it''s'"), "bin": ("binary(3)", "'ab'"),
    "d": ("date", "'2024-02-29'"), "t0": ("time", "'12:34:56'"), "t3": ("time(3)", "'12:34:56.5'"), "dt": ("datetime", "'2024-02-29 12:34:56'"),
    "dt3": ("datetime(3)", "'2024-02-29 12:34:56.5'"), "dt6": ("datetime(6)", "'2024-02-29 12:34:56.5'"), "ts": ("timestamp null", "'2024-02-29 12:34:56'"),
    "ts3": ("timestamp(3) null", "'2024-02-29 12:34:56.5'"), "y": ("year", "2024"), "en": ("enum('a','b')", "'b'"), "st": ("set('a','b')", "'a,b'"),
    "now": ("timestamp null", "CURRENT_TIMESTAMP"), "dtnow": ("datetime", "CURRENT_TIMESTAMP"), "ts6now": ("timestamp(6) null", "CURRENT_TIMESTAMP(6)"),
}
NO_DEFAULT_ALLOWED = ()


def types_for(kind):
    return {**TYPES, **(MARIADB_TYPES if kind == "mariadb" else MYSQL_TYPES)}


def table(name, types, suffix="", key="id int PRIMARY KEY"):
    columns = []
    for column, (native, _values) in types.items():
        base, _, null = native.partition(" null")
        columns.append(f"{column} {base}{suffix or (' NULL' if null or native.startswith('timestamp') else '')}")
    return f"CREATE TABLE {name} ({key}, {', '.join(columns)})"


def rows(name, types, first):
    most = max(len(values) for _native, values in types.values())
    for number in range(most + 1):
        cells = [values[number] if number < len(values) else "NULL" for _native, values in types.values()]
        yield f"INSERT INTO {name} VALUES ({first + number}, {', '.join(cells)})"


def full_row(name, types, identifier):
    return f"INSERT INTO {name} VALUES ({identifier}, {', '.join(values[0] for _native, values in types.values())})"


def setup(kind):
    types = types_for(kind)
    yield "SET sql_mode = ''"
    yield "CREATE TABLE sync (id int PRIMARY KEY)"
    yield table("types", types)
    yield table("required", types, " NOT NULL")
    yield table("odd", ODD)
    yield "CREATE TABLE defaults (id int AUTO_INCREMENT PRIMARY KEY, " + ", ".join(
        f"{name} {native.replace(' null', '')}{' NULL' if native.startswith('timestamp') else ''} DEFAULT {default},"
        f" n{name} {native.replace(' null', '')} NOT NULL DEFAULT {default}" for name, (native, default) in DEFAULTS.items()) + ")"
    yield "CREATE TABLE composite (v text, b int, a varchar(5), PRIMARY KEY (a, b))"
    yield "CREATE TABLE nokey (id int, v text)"
    yield "CREATE TABLE uniq (id int NOT NULL, v text, UNIQUE KEY u (id))"
    yield "CREATE TABLE uniq_null (id int, v text, UNIQUE KEY u (id))"
    yield "CREATE TABLE uniq_part (v varchar(20) NOT NULL, id int, UNIQUE KEY u (v(3)))"
    yield "CREATE TABLE uniq_two (id int NOT NULL, w int NOT NULL, x int, UNIQUE KEY z (w), UNIQUE KEY a (id), UNIQUE KEY n (x))"
    yield "CREATE TABLE `Odd näme.$` (`Id` int PRIMARY KEY, `sp ace` text, `q``uote` int, `ü` int)"
    yield "CREATE TABLE shape (id int PRIMARY KEY, a int, b varchar(10) DEFAULT 'x')"
    yield "CREATE TABLE made (id int PRIMARY KEY, base int, twice int AS (base * 2) STORED, thrice int AS (base * 3) VIRTUAL)"
    yield "CREATE TABLE child (id int PRIMARY KEY, up int, FOREIGN KEY (up) REFERENCES sync (id) ON DELETE CASCADE)"
    yield "CREATE TABLE vacant (id int PRIMARY KEY)"
    yield "CREATE TABLE `keys` (ts timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3), d date, n decimal(6,2), e enum('a','b'), b binary(3), v text, PRIMARY KEY (ts, d, n, e, b))"
    yield "INSERT INTO sync VALUES (0)"
    yield from rows("types", types, 1)
    yield full_row("required", types, 1)
    yield from rows("odd", ODD, 1)
    yield "INSERT INTO defaults () VALUES ()"
    yield "INSERT INTO defaults (id, " + ", ".join(DEFAULTS) + ") VALUES (50" + ", NULL" * len(DEFAULTS) + ")"
    yield "INSERT INTO composite VALUES ('x', 1, 'a'), ('y', 2, 'a')"
    yield "INSERT INTO nokey VALUES (1, 'a'), (2, NULL)"
    yield "INSERT INTO uniq VALUES (1, 'a')"
    yield "INSERT INTO uniq_null VALUES (1, 'a'), (NULL, 'b')"
    yield "INSERT INTO uniq_part VALUES ('abcdef', 1)"
    yield "INSERT INTO uniq_two VALUES (1, 10, 100)"
    yield "INSERT INTO `Odd näme.$` VALUES (1, 'x', 2, 3)"
    yield "INSERT INTO shape VALUES (1, 1, 'one')"
    yield "INSERT INTO made (id, base) VALUES (1, 21)"
    yield "INSERT INTO `keys` VALUES ('2024-02-29 12:00:00.5', '2024-02-29', 1.50, 'a', 'ab', 'x')"


def changes(kind):
    """Lists of statements: each list is one transaction. None: everything must have been read before the next one (DDL)."""
    types = types_for(kind)
    yield list(rows("types", types, 101))
    yield list(rows("odd", ODD, 101))
    yield ["UPDATE types SET int_4 = 42", "DELETE FROM types WHERE id = 1"]
    yield ["UPDATE types SET id = 1000 WHERE id = 2"]
    yield [full_row("required", types, 2), "UPDATE required SET txt = 'other'", "DELETE FROM required"]
    yield ["INSERT INTO defaults (id) VALUES (100)",
           "INSERT INTO defaults (id, " + ", ".join(DEFAULTS) + ") VALUES (150" + ", NULL" * len(DEFAULTS) + ")", "DELETE FROM defaults WHERE id = 1"]
    yield ["INSERT INTO composite VALUES ('z', 3, 'b')", "UPDATE composite SET v = 'changed'", "UPDATE composite SET b = b + 10 WHERE a = 'a'",
           "DELETE FROM composite WHERE a = 'b'"]
    yield ["INSERT INTO nokey VALUES (3, 'c')", "UPDATE nokey SET v = 'd' WHERE id = 1", "DELETE FROM nokey WHERE id = 2"]
    yield ["INSERT INTO uniq VALUES (2, 'b')", "UPDATE uniq SET v = 'c' WHERE id = 1", "UPDATE uniq SET id = 3 WHERE id = 2", "DELETE FROM uniq"]
    yield ["INSERT INTO uniq_null VALUES (2, 'b')", "UPDATE uniq_null SET id = 3 WHERE id = 2", "DELETE FROM uniq_null"]
    yield ["INSERT INTO uniq_part VALUES ('bcdefg', 2)", "UPDATE uniq_part SET id = 3 WHERE id = 2", "DELETE FROM uniq_part"]
    yield ["INSERT INTO uniq_two VALUES (2, 20, 200)", "UPDATE uniq_two SET id = 3 WHERE id = 2", "UPDATE uniq_two SET w = 21 WHERE w = 20", "DELETE FROM uniq_two"]
    yield ["INSERT INTO `Odd näme.$` VALUES (2, 'y', 3, 4)", "DELETE FROM `Odd näme.$` WHERE `Id` = 1"]
    yield ["INSERT INTO made (id, base) VALUES (2, 4)", "UPDATE made SET base = 5 WHERE id = 1", "DELETE FROM made WHERE id = 2"]
    yield ["INSERT INTO `keys` VALUES ('2024-02-29 12:00:00', '2024-02-29', -1.50, 'b', 'abc', 'x')", "UPDATE `keys` SET n = 3 WHERE e = 'b'", "DELETE FROM `keys`"]
    yield ["INSERT INTO vacant VALUES (1)", "SAVEPOINT s", "INSERT INTO vacant VALUES (2)", "ROLLBACK TO s", "INSERT INTO vacant VALUES (3), (4), (5)"]
    yield ["INSERT INTO vacant VALUES (6) ON DUPLICATE KEY UPDATE id = 7", "REPLACE INTO vacant VALUES (6)"]
    yield None
    yield ["TRUNCATE TABLE vacant"]
    yield ["INSERT INTO vacant VALUES (9)"]
    # changes of shape
    yield None
    yield ["ALTER TABLE shape ADD COLUMN c decimal(6,2) DEFAULT 1.5 AFTER id"]
    yield ["INSERT INTO shape VALUES (2, 2.25, 2, 'two')", "UPDATE shape SET a = 5 WHERE id = 1"]
    yield None
    yield ["ALTER TABLE shape CHANGE a renamed int"]
    yield ["INSERT INTO shape VALUES (3, 3, 3, 'three')"]
    yield None
    yield ["ALTER TABLE shape MODIFY renamed bigint NOT NULL"]
    yield ["INSERT INTO shape VALUES (4, 4, 4, 'four')"]
    yield None
    yield ["ALTER TABLE shape DROP COLUMN b, ADD COLUMN flag boolean"]
    yield ["INSERT INTO shape VALUES (5, 5, 5, true)", "DELETE FROM shape WHERE id = 5"]
    yield None
    yield ["CREATE TABLE later (id int PRIMARY KEY, e enum('x','y') NOT NULL DEFAULT 'y', t timestamp NULL)"]
    yield ["INSERT INTO later VALUES (1, 'x', '2024-02-29 12:34:56')"]
    yield None
    yield ["DROP TABLE later"]
    yield None
