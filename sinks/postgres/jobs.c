/* jobs.c - a list under a mutex. */
#include "sinks/postgres/jobs.h"

#include <pthread.h>
#include <stdlib.h>

#include "core/memory.h"
#include "sinks/postgres/tables_internal.h"

/* A table whose indexes are being made. */
struct family {
    struct family *next;
    struct tr_relation *relation;
    unsigned left; /* jobs that have not ended */
};

struct job {
    struct job *next;
    struct tr_ddl_statement statement; /* its texts are ours */
    struct family *family;             /* or NULL */
};

struct tr_pg_jobs {
    pthread_mutex_t lock;
    struct job *first, **last;
    struct family *families;
};

struct tr_pg_jobs *
tr_pg_jobs_new(void)
{
    struct tr_pg_jobs *jobs = tr_calloc(1, sizeof(*jobs));
    pthread_mutex_init(&jobs->lock, NULL);
    jobs->last = &jobs->first;
    return jobs;
}

static void
job_free(struct job *job)
{
    free((char *)job->statement.schema);
    free((char *)job->statement.name);
    free((char *)job->statement.sql);
    free(job);
}

static struct job *
take(struct tr_pg_jobs *jobs)
{
    pthread_mutex_lock(&jobs->lock);
    struct job *job = jobs->first;
    if (job != NULL && (jobs->first = job->next) == NULL)
        jobs->last = &jobs->first;
    pthread_mutex_unlock(&jobs->lock);
    return job;
}

void
tr_pg_jobs_free(struct tr_pg_jobs *jobs)
{
    if (jobs == NULL)
        return;
    for (struct job *job; (job = take(jobs)) != NULL;)
        job_free(job);
    for (struct family *family = jobs->families, *next; family != NULL; family = next) {
        next = family->next;
        tr_relation_unref(family->relation);
        free(family);
    }
    pthread_mutex_destroy(&jobs->lock);
    free(jobs);
}

static struct family *
family_new(struct tr_pg_jobs *jobs, struct tr_relation *relation, unsigned count)
{
    struct family *family = tr_calloc(1, sizeof(*family));
    family->relation = tr_relation_ref(relation);
    family->left = count;
    family->next = jobs->families;
    jobs->families = family;
    return family;
}

static struct job *
job_new(const struct tr_ddl_statement *statement, struct family *family)
{
    struct job *job = tr_calloc(1, sizeof(*job));
    job->statement = *statement;
    job->statement.schema = statement->schema != NULL ? tr_strdup(statement->schema) : NULL;
    job->statement.name = tr_strdup(statement->name);
    job->statement.native = NULL;
    job->statement.sql = tr_strdup(statement->sql);
    job->family = family;
    return job;
}

void
tr_pg_jobs_add(struct tr_pg_jobs *jobs, const struct tr_ddl_statement *const *statements, unsigned count,
               struct tr_relation *relation)
{
    pthread_mutex_lock(&jobs->lock);
    struct family *family = relation != NULL && count > 0 ? family_new(jobs, relation, count) : NULL;
    for (unsigned i = 0; i < count; i++) {
        struct job *job = job_new(statements[i], family);
        *jobs->last = job;
        jobs->last = &job->next;
    }
    pthread_mutex_unlock(&jobs->lock);
}

/* The job has ended well: is its table complete with it? */
static bool
completes(struct tr_pg_jobs *jobs, struct family *family)
{
    if (family == NULL)
        return false;
    pthread_mutex_lock(&jobs->lock);
    bool last = --family->left == 0;
    pthread_mutex_unlock(&jobs->lock);
    return last;
}

int
tr_pg_jobs_run(const struct tr_postgres_sink *sink, struct tr_pg_jobs *jobs, PGconn *conn,
               struct tr_error *err)
{
    int rc = 0;
    for (struct job *job; rc == 0 && (job = take(jobs)) != NULL;) {
        const struct tr_ddl_statement *statement = &job->statement;
        rc = tr_pg_run_statements(sink, conn, &statement, 1, err);
        if (rc == 0 && completes(jobs, job->family))
            rc = tr_pg_analyze(sink, conn, job->family->relation, err);
        job_free(job);
    }
    return rc;
}
