/*
 * failpoint.h - places where a test build can be made to die or to see an error.
 *
 * TR_FAILPOINT("sink.postgres.commit.sent") marks a step. In a normal build it is nothing. In a build with
 * TR_FAILPOINTS the environment rules: TR_FAILPOINT=NAME:N kills the process with SIGKILL at the N-th passage of NAME,
 * TR_FAILPOINT_TRACE=FILE appends each name at its first passage, so that a test can learn all names of a workload.
 * Names are area.connector.step, stable, and listed in docs/testing.md by that trace, not by hand.
 */
#ifndef TR_CORE_FAILPOINT_H
#define TR_CORE_FAILPOINT_H

#ifdef TR_FAILPOINTS
void tr_failpoint(const char *name);
#define TR_FAILPOINT(name) tr_failpoint(name)
#else
#define TR_FAILPOINT(name) ((void)0)
#endif

#endif
