/* finding.h - what `tailrace check` learns from sources and sinks: what would stop or hurt, and what mends it. */
#ifndef TR_CORE_FINDING_H
#define TR_CORE_FINDING_H

enum tr_finding_level { TR_FINDING_NOTE, TR_FINDING_WARNING, TR_FINDING_ERROR };

struct tr_findings {
    void *arg;
    /*
     * One finding: a stable id ("postgresql-wal-level"), what it is about (a table or NULL), what would happen, the SQL that
     * mends it or NULL.
     */
    void (*add)(void *arg, enum tr_finding_level level, const char *id, const char *object, const char *text,
                const char *sql);
};

#endif
