/*
 * prepared.h - prepared transactions of a source that logs them before their decision (XA): held by name, as frames in the spool.
 *
 * Nothing of this survives a restart, and no position waits for it: a branch of which nothing is held when it is committed is looked up in the
 * source's log, from the decision backwards, file by file, each at most once. So a branch that nobody ever decides costs its bytes here, and neither
 * holds a checkpoint back nor makes a restart read from it on. thread: capture.
 */
#ifndef TR_PIPELINE_PREPARED_H
#define TR_PIPELINE_PREPARED_H

#include "capture/source.h"
#include "pipeline/spool.h"

struct tr_prepared;

/* Both are borrowed for the life of it. */
struct tr_prepared *tr_prepared_new(struct tr_spool *spool, struct tr_source *source,
                                    struct tr_decoder *decoder);
void tr_prepared_free(struct tr_prepared *prepared); /* NULL is allowed; what is held is left to the spool */

/* Has a branch begun whose end has not come? Then the next frame belongs to it. */
bool tr_prepared_open(const struct tr_prepared *prepared);
/*
 * A frame of one of the roles TR_ROLE_PREPARED_*, or a plain one of the branch that is open. A branch that bears the name of one that is held takes its
 * place. 1 = the frame is to be taken as a plain one.
 */
int tr_prepared_frame(struct tr_prepared *prepared, const struct tr_frame *frame,
                      const struct tr_frame_peek *peek, struct tr_error *err);
/* The frames of a branch that is held; NULL = nothing of it is. Ends it when it is open (one phase). */
struct tr_spool_txn *tr_prepared_find(struct tr_prepared *prepared, const char *gid);
/* It is decided: forget it. */
void tr_prepared_drop(struct tr_prepared *prepared, const char *gid);
/*
 * A branch that is committed at `order` and not held: read back in the log until it is found, holding all that is undecided on the way.
 * Refuses when the log no longer reaches back to it.
 */
int tr_prepared_search(struct tr_prepared *prepared, const char *gid, uint64_t order, struct tr_error *err);

#endif
