/* sequence.h - calls of sequences in the defaults of columns: which sequence, and where in the text. */
#ifndef TR_SCHEMA_SEQUENCE_H
#define TR_SCHEMA_SEQUENCE_H

#include "core/arena.h"
#include "schema/schema.h"

struct tr_sequence_call {
    const char *schema, *name; /* in the arena; schema NULL = not said */
    bool next;                 /* nextval; else lastval */
    const char *from, *to;     /* the call in the text */
};

/* The first nextval(`db`.`s`) or lastval(...) in MariaDB's own text, which prints NEXT VALUE FOR and PREVIOUS VALUE FOR so, too. False = there is none. */
bool tr_sequence_call(struct tr_arena *arena, const char *text, struct tr_sequence_call *call);

/* Is all of the text such a call, but for parentheses around it? */
bool tr_sequence_alone(struct tr_arena *arena, const char *text, struct tr_sequence_call *call);

/* Is all of the text nextval('schema.s'::regclass), as PostgreSQL prints it? */
bool tr_sequence_regclass(struct tr_arena *arena, const char *text, struct tr_sequence_call *call);

/* The sequence of the schema that is called, of a table in `from`; NULL = it is not part of it. */
const struct tr_object *tr_sequence_called(const struct tr_schema *schema,
                                           const struct tr_sequence_call *call, const char *from);

/*
 * The sequence as a server has it whose numbers go from `least` to `most`: bounds cut, and one that has come to its end stands at the last number it gave out; one that has yet to
 * come to the bounds begins there. False: none of its numbers is among them.
 */
bool tr_sequence_fit(const struct tr_object *sequence, int64_t least, int64_t most, struct tr_object *fit);

#endif
