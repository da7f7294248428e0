/*
 * loop.c - two tasks that lead the same tables in opposite directions would bring each other's changes back for ever: that is refused.
 *
 * Each attempt first tells at its target which server it reads and which tables, and shows that it is at work there (sink->announce); then it looks at its source for a task that
 * has told there that it reads this one's target. Told before looked: of two that begin at the same moment one at least sees the other. Who comes second is refused, before any
 * change. Beside the stream the look is repeated, for what was not to be seen then (a lock that a proxy hides, an account that may not read): now somebody counts only
 * when its checkpoint moves, so that one who is refused himself, at his start, does not end the task that was there first.
 *
 * A task that has ended leaves its row, which does not move: the way back after a cutover is free. Circles of three and more tasks are not seen.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/memory.h"
#include "pipeline/internal.h"

#define SERVER_MAX 1024
#define LINGER_US (2 * TR_US_PER_S) /* how long a server may take to notice that a process has ended */
#define COMPARE_INTERVAL_US (60 * TR_US_PER_S)
#define NAMED 3 /* tables that a message names */

/* What is known of another task, so as to see it move. */
struct known {
    char *task, *position;
    int64_t compared_us; /* monotonic: when its tables were compared with ours */
};

struct tr_loop {
    char target[SERVER_MAX];
    struct known *known;
    size_t count;
};

/* --- which tables --- */

struct shared {
    uint32_t count;
    struct tr_buffer names;
};

static void
share(struct shared *shared, const struct tr_relation *relation)
{
    if (shared->count < NAMED)
        tr_buffer_printf(&shared->names, "%s%s.%s", shared->count > 0 ? ", " : "", relation->schema,
                         relation->name);
    shared->count++;
}

/* The tables that both carry, each to where the other takes it from. */
static int
compare_tables(struct tr_task *task, const struct tr_sink *sink, struct tr_source *source, const char *scope,
               struct shared *shared, struct tr_error *err)
{
    struct tr_relation_list list = { 0 };
    const char *moved = task->config.sink->moved != NULL ? task->config.sink->moved(sink) : NULL;
    shared->count = 0;
    tr_buffer_init(&shared->names, TR_BUFFER_MAX);
    int r = task->config.source->relations(source, &list, err);
    for (size_t i = 0; r == 0 && i < list.count; i++) {
        struct tr_relation *relation = list.items[i];
        tr_mapping_route(task->mapping, relation);
        if (!relation->skip && (moved == NULL || strcmp(moved, relation->schema) != 0) &&
            tr_mapping_in_scope(scope, relation->schema, relation->name))
            share(shared, relation);
    }
    tr_relation_list_free(&list);
    return r;
}

/* --- what is said --- */

static void
describe(char *text, size_t size, const struct tr_other *other, const struct shared *shared)
{
    char more[40] = "";
    if (shared->count > NAMED)
        snprintf(more, sizeof more, " and %u more", shared->count - NAMED);
    snprintf(
        text, size,
        "task \"%.128s\" leads from this task's target to its source (it stands at %.200s), and both carry %.600s%s",
        other->task, other->position != NULL ? other->position : "no position yet", shared->names.data, more);
}

static const char remedy[] =
    "give each direction tables of its own; or end that task for good (`tailrace drop`) before this one leads back";

static int
refuse(const struct tr_other *other, const struct shared *shared, struct tr_error *err)
{
    char text[1200];
    describe(text, sizeof text, other, shared);
    tr_fail(err, TR_REFUSED, "a loop: %s: each change would come back to where it was made", text);
    if (other->connection == 0)
        return tr_error_hint(err, "%s", remedy);
    return tr_error_hint(
        err,
        "%s. It is connected to this task's source (connection %llu there): if its machine is gone, end that connection",
        remedy, (unsigned long long)other->connection);
}

static void
tell_ended(const struct tr_task *task, const struct tr_other *other, const struct shared *shared)
{
    char text[1200];
    describe(text, sizeof text, other, shared);
    tr_log(task->config.log, TR_LOG_WARNING, "pipeline",
           "%s; it is not at work now, and must not be again while this one is: %s", text, remedy);
}

static void
tell_hidden(const struct tr_task *task)
{
    tr_log(
        task->config.log, TR_LOG_WARNING, "pipeline",
        "the tables of tailrace at the source may not be read: a task that leads back from this one's target would not be noticed (%s)",
        task->config.source->hidden);
}

/* --- what is known --- */

static void
remember(struct tr_loop *loop, const struct tr_other *other, int64_t compared_us)
{
    struct known *known = NULL;
    for (size_t i = 0; i < loop->count && known == NULL; i++)
        if (strcmp(loop->known[i].task, other->task) == 0)
            known = &loop->known[i];
    if (known == NULL) {
        loop->known = tr_realloc(loop->known, (loop->count + 1) * sizeof(*loop->known));
        known = &loop->known[loop->count++];
        *known = (struct known){ .task = tr_strdup(other->task) };
    }
    free(known->position);
    known->position = tr_strdup(other->position);
    known->compared_us = compared_us;
}

static bool
same(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* Its checkpoint has moved since the last look. One that is new has, when it has a position. */
static bool
moved(const struct tr_loop *loop, const struct tr_other *other, int64_t *compared_us)
{
    *compared_us = 0;
    for (size_t i = 0; i < loop->count; i++)
        if (strcmp(loop->known[i].task, other->task) == 0) {
            *compared_us = loop->known[i].compared_us;
            return !same(loop->known[i].position, other->position);
        }
    return other->position != NULL;
}

void
tr_loop_free(struct tr_loop *loop)
{
    if (loop == NULL)
        return;
    for (size_t i = 0; i < loop->count; i++) {
        free(loop->known[i].task);
        free(loop->known[i].position);
    }
    free(loop->known);
    free(loop);
}

/* --- at the start --- */

/* One that is at work now, though it may be about to end: the server has perhaps not noticed yet. */
static int
look_again(struct tr_task *task, struct tr_others *others, struct tr_error *err)
{
    int64_t until = tr_clock_us() + LINGER_US;
    for (;;) {
        bool present = false;
        int r = task->config.source->others(task->source, task->loop->target, others, err);
        for (size_t i = 0; r == 0 && i < others->count; i++)
            present = present || others->items[i].connection != 0;
        if (r < 0 || !present || tr_task_stopping(task) || tr_clock_us() > until)
            return r;
        struct pollfd fd = { .fd = task->stop_fd, .events = POLLIN };
        poll(&fd, 1, 100);
        tr_others_free(others);
    }
}

static int
judge(struct tr_task *task, const struct tr_other *other, struct tr_error *err)
{
    struct shared shared;
    int r = compare_tables(task, task->sink, task->source, other->scope, &shared, err);
    if (r == 0 && shared.count > 0 && other->connection != 0)
        r = refuse(other, &shared, err);
    else if (r == 0 && shared.count > 0 && !task->told_loop)
        tell_ended(task, other, &shared);
    tr_buffer_fini(&shared.names);
    remember(task->loop, other, shared.count == 0 ? tr_clock_us() : 0);
    return r;
}

static int
announce(struct tr_task *task, const char *server, struct tr_error *err)
{
    const struct tr_sink_class *sink = task->config.sink;
    char *scope = tr_mapping_scope(task->mapping, task->source->only,
                                   sink->moved != NULL ? sink->moved(task->sink) : NULL);
    int r = sink->announce(task->sink, server, scope, err);
    free(scope);
    return r;
}

static int
refuse_itself(struct tr_error *err)
{
    tr_fail(err, TR_REFUSED, "the target is the source: both URLs lead to the same server and database");
    return tr_error_hint(err, "name another server, or another database, as the target");
}

int
tr_loop_enter(struct tr_task *task, struct tr_error *err)
{
    char server[SERVER_MAX];
    struct tr_others others = { 0 };
    if (task->config.sink->server == NULL || task->config.source->server == NULL)
        return 0;
    tr_loop_free(task->loop);
    task->loop = tr_calloc(1, sizeof(*task->loop));
    int r = task->config.sink->server(task->sink, task->loop->target, SERVER_MAX, err);
    if (r == 0)
        r = task->config.source->server(task->source, server, sizeof server, err);
    if (r == 0 && strcmp(server, task->loop->target) == 0)
        r = refuse_itself(err);
    if (r == 0)
        r = announce(task, server, err);
    if (r == 0)
        r = look_again(task, &others, err);
    if (r == 0 && others.hidden && !task->told_loop)
        tell_hidden(task);
    for (size_t i = 0; r == 0 && i < others.count; i++)
        r = judge(task, &others.items[i], err);
    tr_others_free(&others);
    task->told_loop = task->told_loop || r == 0;
    return r;
}

/* --- beside the stream --- */

static int
judge_moved(struct tr_task *task, struct tr_source *source, const struct tr_other *other,
            struct tr_error *err)
{
    struct shared shared;
    int64_t compared_us, now = tr_clock_us();
    if (!moved(task->loop, other, &compared_us))
        return 0;
    if (compared_us > 0 && now - compared_us < COMPARE_INTERVAL_US)
        return 0;
    int r = compare_tables(task, task->sink, source, other->scope, &shared, err);
    if (r == 0 && shared.count > 0)
        r = refuse(other, &shared, err);
    tr_buffer_fini(&shared.names);
    if (r == 0)
        remember(task->loop, other, now);
    return r;
}

int
tr_loop_watch(struct tr_task *task, struct tr_source *source, struct tr_error *err)
{
    struct tr_others others = { 0 };
    int r = task->config.source->others(source, task->loop->target, &others, err);
    for (size_t i = 0; r == 0 && i < others.count; i++)
        r = judge_moved(task, source, &others.items[i], err);
    tr_others_free(&others);
    return r;
}

/* --- tailrace check --- */

int
tr_loop_check(struct tr_task *task, const struct tr_findings *findings, struct tr_error *err)
{
    char target[SERVER_MAX], text[1400];
    struct tr_others others = { 0 };
    if (task->config.sink->server == NULL || task->config.source->server == NULL)
        return 0;
    int r = task->config.sink->server(task->sink, target, sizeof target, err);
    if (r == 0)
        r = task->config.source->others(task->source, target, &others, err);
    if (r == 0 && others.hidden)
        findings->add(
            findings->arg, TR_FINDING_WARNING, "loop-hidden", NULL,
            "the tables of tailrace at the source may not be read: a task that leads back from this one's target would not be noticed",
            task->config.source->hidden);
    for (size_t i = 0; r == 0 && i < others.count; i++) {
        const struct tr_other *other = &others.items[i];
        struct shared shared;
        r = compare_tables(task, task->sink, task->source, other->scope, &shared, err);
        if (r == 0 && shared.count > 0) {
            describe(text, sizeof text, other, &shared);
            snprintf(text + strlen(text), sizeof text - strlen(text), ": %s",
                     other->connection != 0
                         ? "it is at work, and this task refuses to begin"
                         : "it is not at work now, and must not be again while this one is");
            findings->add(findings->arg, other->connection != 0 ? TR_FINDING_ERROR : TR_FINDING_WARNING,
                          "loop", other->task, text, NULL);
        }
        tr_buffer_fini(&shared.names);
    }
    tr_others_free(&others);
    return r;
}
