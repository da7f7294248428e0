/*
 * attributes.h - which attribute of today's catalogue is which column of a table as the log described it.
 *
 * A column keeps its number (pg_attribute.attnum) for life, numbers are never used again, and dropped attributes stay in the catalogue without their name. So the
 * columns of an old description are today's attributes in the same order, without those that were dropped before or came later.
 */
#ifndef TR_CAPTURE_POSTGRES_ATTRIBUTES_H
#define TR_CAPTURE_POSTGRES_ATTRIBUTES_H

#include <stdbool.h>
#include <stddef.h>

struct tr_postgres_attribute {
    const char *name; /* NULL: dropped */
    bool optional; /* the log may not have it: dropped, generated, or not in the publication's column list */
};

/*
 * place[i] becomes the index of column i among the attributes (ordered by number), or -1 where more than one would do. An attribute that is
 * not optional must have been there whenever a younger one was; among what this leaves, equal names count. Pure; any thread.
 */
void tr_postgres_align(const char *const *columns, size_t ncolumns,
                       const struct tr_postgres_attribute *attributes, size_t nattributes, int *place);

#endif
