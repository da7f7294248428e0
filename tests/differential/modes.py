"""The configurations in which the two are compared: every handling mode that Debezium has, a few at once in each."""

# name: Debezium's keys. tailrace's are the same with underscores; what differs in name or is a converter's is in OURS.
MODES = {
    "default": {"x.schemas": "true"},
    "text": {"x.schemas": "true", "decimal.handling.mode": "string", "binary.handling.mode": "base64", "provide.transaction.metadata": "true",
             "tombstones.on.delete": "false", "skipped.operations": "none"},
    "double": {"x.schemas": "true", "decimal.handling.mode": "double", "binary.handling.mode": "hex", "time.precision.mode": "connect"},
    "nano": {"x.schemas": "false", "time.precision.mode": "nanoseconds", "binary.handling.mode": "base64-url-safe"},
    "iso": {"x.schemas": "true", "time.precision.mode": "isostring", "skipped.operations": "none"},
    "micro": {"x.schemas": "true", "time.precision.mode": "microseconds"},
}
POSTGRES = {
    "text": {"interval.handling.mode": "string", "hstore.handling.mode": "map"},
    "double": {"include.unknown.datatypes": "true", "time.precision.mode": "adaptive_time_microseconds"},
    # Where nanoseconds end (1677, 2262) Debezium's connector stops, and so it does in this mode at a delete in a table with a timestamp NOT NULL.
    "nano": {"table.exclude.list": "public.odd,public.required,public.defaults,public.functions", "unavailable.value.placeholder": "hex:3f3f", "money.fraction.digits": "2"},
    "micro": {"time.precision.mode": "connect", "binary.handling.mode": "base64"},
}
MYSQL = {
    "text": {"bigint.unsigned.handling.mode": "precise"},
    "nano": {"table.exclude.list": "shop.odd"},
}


def modes_for(own):
    return {name: {**common, **own.get(name, {})} for name, common in MODES.items()}


def ours(debezium):
    """tailrace's options for Debezium's keys."""
    options = {"replace_null_with_default": True}
    for key, value in debezium.items():
        if key == "table.exclude.list":
            continue
        options["schemas_enable" if key == "x.schemas" else key.replace(".", "_")] = {"true": True, "false": False}.get(value, value)
    options.setdefault("include_unknown_datatypes", False)
    return options

CHOICES = {
    "x.schemas": ["true", "false"],
    "decimal.handling.mode": ["precise", "double", "string"],
    "binary.handling.mode": ["bytes", "base64", "base64-url-safe", "hex"],
    "time.precision.mode": ["adaptive", "adaptive_time_microseconds", "connect", "microseconds", "isostring"],
    "provide.transaction.metadata": ["true", "false"],
    "tombstones.on.delete": ["true", "false"],
    "skipped.operations": ["none", "t", "t,d", "u"],
}
POSTGRES_CHOICES = {"interval.handling.mode": ["numeric", "string"], "hstore.handling.mode": ["json", "map"], "include.unknown.datatypes": ["true", "false"],
                    "money.fraction.digits": ["2", "2", "0"], "unavailable.value.placeholder": ["__debezium_unavailable_value", "hex:00ff", "é"]}
MYSQL_CHOICES = {"time.precision.mode": ["adaptive_time_microseconds", "connect", "microseconds", "isostring"], "bigint.unsigned.handling.mode": ["long", "precise"]}


def random_modes(rng, kind):
    """Debezium's defaults, and three choices of one value each."""
    choices = {**CHOICES, **(POSTGRES_CHOICES if kind == "postgres" else MYSQL_CHOICES)}
    return {"default": {"x.schemas": "true"}, **{f"mode{number}": {key: rng.choice(values) for key, values in choices.items()} for number in range(3)}}
