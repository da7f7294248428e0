/*
 * jobs.h - statements that end a load and may run side by side: indexes of one table, checks of foreign keys.
 *
 * Whoever adds jobs runs them too, and every thread that has nothing else to do helps. A job that fails is reported by the thread that ran it; the others go on
 * with theirs.
 */
#ifndef TR_SINKS_POSTGRES_JOBS_H
#define TR_SINKS_POSTGRES_JOBS_H

#include "schema/ddl.h"
#include "sinks/postgres/internal.h"

struct tr_pg_jobs; /* opaque */

struct tr_pg_jobs *tr_pg_jobs_new(void);
void tr_pg_jobs_free(struct tr_pg_jobs *jobs); /* NULL is allowed; what was not run is forgotten */

/* Copies of these statements. relation: their table, which is analysed after the last of them; NULL = nothing is. thread: any. */
void tr_pg_jobs_add(struct tr_pg_jobs *jobs, const struct tr_ddl_statement *const *statements, unsigned count,
                    struct tr_relation *relation);

/* Run jobs on this connection until none is left; those of other threads may still be at work then. thread: any, each with a connection of its own. */
int tr_pg_jobs_run(const struct tr_postgres_sink *sink, struct tr_pg_jobs *jobs, PGconn *conn,
                   struct tr_error *err);

#endif
