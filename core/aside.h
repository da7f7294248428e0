/*
 * aside.h - a call that nothing can end (a look-up of a name, a handshake), made in a thread of its own, which is left behind when it is no longer waited for.
 */
#ifndef TR_CORE_ASIDE_H
#define TR_CORE_ASIDE_H

#include <stdint.h>

#include "core/error.h"

struct tr_aside {
    void *arg;                  /* all that the call uses: on the heap, for it may outlive its caller */
    void (*work)(void *arg);    /* thread: its own */
    void (*discard)(void *arg); /* frees arg and what work made, when the caller has left. thread: work's */
};

/*
 * Run work. Returns 1 when it is done, and arg is the caller's again; 0 when wait_us (negative = no limit) passed before, or -TR_RETRY "interrupted" when interrupt_fd (-1 =
 * none) became readable: arg is then work's and discard's, and not to be touched. A call that was left goes on for as long as it takes. thread: any.
 */
int tr_aside_run(const struct tr_aside *aside, int interrupt_fd, int64_t wait_us, struct tr_error *err);

#endif
