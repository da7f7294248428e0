/* sqlite.h - the embedded offset store: one SQLite file per task below the state directory. docs/offset-store.md */
#ifndef TR_OFFSETS_SQLITE_SQLITE_H
#define TR_OFFSETS_SQLITE_SQLITE_H

#include "offsets/offset_store.h"

/* `where` is a directory; it is made (0700) when missing. thread: one at a time. */
extern const struct tr_offset_store_class tr_sqlite_store;

#endif
