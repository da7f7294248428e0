"""The differences that are meant. Each bears the heading under which docs/debezium-differences.md says why."""

import json
import struct

from .compare import MISSING, Rule

VALUE = r"/value(\.payload)?"
ROW = VALUE + r"\.(before|after)"
FIELDS = r"/value\.schema\.fields\.(before|after)\.fields"


def whole_numbers(theirs, ours):
    return isinstance(theirs, int) and isinstance(ours, int) and theirs > 0 and ours > 0


def lost(theirs, _ours):
    return theirs is None or theirs is MISSING


def same_moment(theirs, ours):
    """Debezium's without zeros at the end of its fraction."""
    whole, _, fraction = ours.rstrip("Z").partition(".")
    digits = fraction.rstrip("0")
    return theirs == whole + ("." + digits if digits else "") + "Z"


def column(name, table="[a-z_]+", kind=r"(snapshot/r|stream/[a-z])"):
    """The paths of a column's values and of its schema."""
    where = rf"srv\.[a-z0-9_]+\.{table}/{kind}"
    return rf"{where}({ROW}|{FIELDS})\.({name})([.#\[].*)?"


ANYWHERE = [
    Rule("The program's own version", rf".*{VALUE}\.source\.version"),
    Rule("The clock", rf".*{VALUE}\.ts_(ms|us|ns)", whole_numbers),
    Rule("Where and when a snapshot was taken", rf".*/snapshot/r{VALUE}\.source\.(ts_(ms|us|ns)|lsn|pos)", whole_numbers),
]

POSTGRES_RULES = [
    *ANYWHERE,
    Rule("Where and when a snapshot was taken", rf".*/snapshot/r{VALUE}\.source\.sequence"),
    Rule("No transaction number in a snapshot", rf".*/snapshot/r{VALUE}\.source\.txId", lambda theirs, ours: ours is None),
    Rule("One id for a transaction", rf".*{VALUE}\.transaction\.id|srv\.transaction/.*/(key|value)(\.payload)?\.id",
         lambda theirs, ours: theirs.split(":")[0] == ours.split(":")[0]),
    Rule("The order of a transaction's tables", r"srv\.transaction/stream/END/value(\.payload)?\.data_collections.*"),
    Rule("Messages outside of transactions", rf"srv\.message/stream/m{VALUE}\.source\.ts_(ms|us|ns)", whole_numbers),
    Rule("Partitioned tables", r"srv\.public\.parts(_1|_2)?/stream#records"),
    Rule("Generated columns", column("twice", "made", "snapshot/r"), lambda theirs, ours: ours is MISSING),
    Rule("Defaults that are expressions", column("n?c_text|n?c_varchar_10_", "functions")),
    Rule("Quotes in a default", column("n?c_text", "defaults"), lambda theirs, ours: theirs == "it" and ours == "it's"),
    Rule("NOT NULL and defaults alone", column("c", "shape", "stream/[cd]")),
    Rule("Numbers with a negative scale", column(r"c_numeric_5__2_", "odd")),
    Rule("Arrays that are lost", column(r"c_(money|interval|point|xml|varbit|name)__"), lost),
    Rule("Arrays that are lost", column(r"c_bit_3___", "odd")),
    Rule("Arrays of several dimensions", column(r"c_integer__", "odd"), lost),
    Rule("The fraction of timetz in arrays", column(r"c_timetz__"), lambda theirs, ours: lost(theirs, ours) or theirs == "10:34:56Z"),
    Rule("Large values that did not change", column(r"c_(numeric_6_2_|numeric|double_precision|ltree)__|b|u\[0\]", kind="stream/[cud]")),
    Rule("Nulls in arrays of an enum", column(r"c_mood__") + r"|.*c_mood__\.items\.optional"),
    Rule("The type name", column("c_name"), lambda theirs, ours: not theirs),
    Rule("Geometric types as text", column("c_(box|circle|line|lseg|path|polygon)")),
    Rule("Infinite dates, and dates before 1582", column("c_date|c_timestamp", "odd")),
]
BOTH_RULES = [
    *ANYWHERE,
    Rule("The schema-change topic", r"srv/stream#records", lambda _theirs, ours: ours == []),
    Rule("Quotes in a default", column("n?vchr", "defaults"), lambda theirs, ours: theirs == "it''s" and ours == "it's"),
    Rule("Defaults of binary columns", column("n?bin", "defaults"), lambda theirs, _ours: theirs in ("YWJcMA==", "61625c30")),
    Rule("Fractions of a timestamp in a snapshot", column("n?ts[36]|n?ts6now|ts", "(defaults|odd|keys)", "snapshot/r"), same_moment),
    Rule("Fractions of a timestamp in a snapshot", r"srv\.shop\.keys/snapshot/r/key(\.payload)?\.ts", same_moment),
    Rule("FLOAT in a snapshot", column("flt", "(types|odd)", "snapshot/r"), lambda theirs, ours: abs(theirs / ours - 1) < 1e-5),
    Rule("FLOAT with digits", column("flt72", "odd")),
    Rule("Years below 100", column("d|dt", "odd")),
    Rule("A comma in an enum's label", column("en", "odd"), lambda theirs, ours: theirs == "c\\,d" and ours == "c,d"),
    Rule("BOOLEAN", column("flag", "shape")),
    Rule("Times that are no times of a day", column("t0|t3|t6", "types"), lambda theirs, ours: theirs is None and ours is not None),
]
MYSQL_RULES = {
    "mysql": [
        *BOTH_RULES,
        Rule("JSON in a snapshot", column("js", "(types|odd|required)", "snapshot/r"), lambda theirs, ours: theirs.replace(" ", "") == ours.replace(" ", "")),
        Rule("Large numbers in JSON", column("js", "odd"), lambda theirs, ours: "10000000000" in theirs and "10000000000.0" in ours),
        Rule("TRUNCATE", rf"srv\.shop\.vacant/stream/t{VALUE}\.(transaction|source\.ts_(us|ns))"),
    ],
    "mariadb": [
        *BOTH_RULES,
        Rule("Zero timestamps", column("ts", "odd"), lambda theirs, ours: ours is None),
    ],
}


# Random workloads: the same differences and a few more, with values that no list foresees.
def same_object(theirs, ours):
    try:
        return isinstance(theirs, str) and isinstance(ours, str) and json.loads(theirs) == json.loads(ours)
    except ValueError:
        return False


def same_real(theirs, ours):
    """One number of four bytes."""
    try:
        return isinstance(theirs, float) and isinstance(ours, float) and struct.pack("<f", theirs) == struct.pack("<f", ours)
    except OverflowError:
        return False


def rounded(theirs, ours):
    return isinstance(theirs, int) and isinstance(ours, int) and abs(theirs - ours) <= max(1, abs(ours) >> 52)


def later(theirs, ours):
    """One place, and behind a later transaction."""
    (before, place), (our_before, our_place) = json.loads(theirs), json.loads(ours)
    return place == our_place and int(before or 0) < int(our_before)


def cut_time(theirs, ours):
    """Without what is behind milliseconds, and 24:00 as 0:00."""
    if isinstance(ours, str):
        return ours.startswith(theirs.rstrip("Z")[:12])
    scale = 1 if ours <= 86400000 and theirs < 86400000 and ours % 86400000 == theirs else 1000
    return theirs == ours // scale * scale % (86400000 * scale)


def wild(names):
    """The paths of these columns in the tables of the random workloads, in rows as in keys and headers."""
    return rf"srv\.[^/]+/(snapshot/r|stream/[a-z]+)({ROW}|/key(\.payload)?|/headers\.[a-z_.]+)\.({names})([.#\[].*)?"


WILD_POSTGRES = [
    Rule("The order of an hstore's pairs", wild("c_hstore(__)?#order|c_hstore__\\[[0-9]+\\]#order")),
    Rule("The order of an hstore's pairs", wild("c_hstore(__)?"), same_object),
    Rule("The digits of a real", wild("c_real(__)?"), same_real),
    Rule("Long intervals", wild("c_interval"), rounded),
    Rule("The fraction of times in arrays", wild("c_time__"), cut_time),
    Rule("Infinite dates, and dates before 1582", rf"srv\..*({ROW}|/key(\.payload)?|/headers\.[a-z_.]+)\..*",
         lambda theirs, ours: theirs != ours and ours in ("infinity", "-infinity")),
    Rule("Infinite times in arrays", wild("c_timestamp(tz)?__")),
    Rule("The first row of a snapshot", rf".*/snapshot/r{VALUE}\.source\.snapshot", lambda theirs, ours: ours == "first" and theirs != "last"),
    Rule("What was left out of the stream", rf".*/stream/.*{VALUE}\.source\.sequence", later),
]


def same_float(theirs, ours):
    """One number of four bytes, or its six digits."""
    return same_real(theirs, ours) or abs(theirs / ours - 1) < 1e-5


def zeros_cut(theirs, ours):
    return isinstance(theirs, str) and isinstance(ours, str) and ours.endswith("Z") and same_moment(theirs, ours)


def begun_before(theirs, ours):
    return isinstance(theirs, int) and isinstance(ours, int) and theirs < ours


WILD_BOTH = [
    Rule("The order of a transaction's tables", r"srv\.transaction/stream/END/value(\.payload)?\.data_collections.*"),
    Rule("The first row of a snapshot", rf".*/snapshot/r{VALUE}\.source\.snapshot", lambda theirs, ours: ours == "first" and theirs != "last"),
    Rule("The digits of a real", rf"srv\..*/stream/.*({ROW}|/key(\.payload)?)\..*", same_real),
    Rule("FLOAT in a snapshot", rf"srv\..*/snapshot/r{ROW}\..*", lambda theirs, ours: isinstance(theirs, float) and isinstance(ours, float) and same_float(theirs, ours)),
    Rule("Fractions of a timestamp in a snapshot", rf"srv\..*/snapshot/r({ROW}|/key(\.payload)?)\..*", zeros_cut),
    Rule("Times that are no times of a day", wild("t0|t6"), lambda theirs, ours: theirs is None and ours is not None),
]
WILD_MYSQL = {
    "mysql": [
        *WILD_BOTH,
        Rule("JSON in a snapshot", rf"srv\..*/snapshot/r{ROW}\..*", same_object),
        Rule("Escapes in JSON", rf"srv\..*/stream/.*{ROW}\..*", same_object),
    ],
    "mariadb": [
        *WILD_BOTH,
        Rule("The time of a change", rf".*/stream/[a-z]+{VALUE}\.source\.ts_(ms|us|ns)", begun_before),
    ],
}
# Debezium's own tables.
FIXTURES_POSTGRES = [
    Rule("The order of an hstore's pairs", rf"srv\.public\.hstore_.*{ROW}\.hs.*", same_object),
    Rule("Infinite dates, and dates before 1582", rf"srv\.public\.time_table/snapshot/r{ROW}\.date_.inf"),
]
DDL = r"srv\.[ab]_[a-z0-9_]+\.[^/]+/(snapshot|stream)/[a-z]/.*"
FIXTURES_MYSQL = [
    Rule("BOOLEAN", DDL, lambda theirs, ours: (theirs, ours) == ("boolean", "int16") or (isinstance(theirs, bool) and theirs == ours)),
    Rule("FLOAT with digits", DDL, lambda theirs, ours: (theirs, ours) in (("double", "float"), ("float", "double"))),
    Rule("Years below 100", r"srv\.[ab]_year_test\..*"),
    Rule("Shapes out of statements", r"srv\.b_(json_test|unsigned_integer_test)\..*"),
    Rule("Zero timestamps", DDL, lambda theirs, ours: str(theirs).startswith("1970-01-01T00:00:00") and (ours is None or str(ours).endswith("Z"))),
]
