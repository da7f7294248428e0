/*
 * upkeep.c - what a stream needs beside the log, while it runs.
 *
 * - What foreign keys change is in no log of some sources: where the target lacks such a key, that is said, once.
 * - The values of sequences are in no log: every now and then, and when the stop is reached, they are asked for and set.
 * - Another task may begin to lead back what this one brings (loop.c): looked for every second.
 * - Foreign keys between tables of different cuts hold only when the stream has passed the newest cut: then they are checked.
 * - A table that joins (new at the source, or to be loaded again) is copied while the others are followed. Until it is complete its changes are passed over and
 *   nothing more is acknowledged. Then the stream comes to rest at S; the table's cut is C; every other table gets the cut S; and the next attempt begins at C. So the
 *   one rule of all loads, "skip a table's changes up to its cut", does this too, and there is nothing else to remember.
 *
 * All of it on a second source and a second sink, which share nothing with those of the stream.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/failpoint.h"
#include "core/memory.h"
#include "pipeline/internal.h"
#include "schema/schema.h"

#define TICK_US (1 * TR_US_PER_S)
#define LOOK_INTERVAL_US (10 * TR_US_PER_S)
#define LOOP_INTERVAL_US (1 * TR_US_PER_S)
#define SHARE 50 /* a round takes at most this part of the time, however large the catalogue is */
#define LONGEST_PAUSE_US (60 * TR_US_PER_S)

struct tr_upkeep {
    struct tr_task *task;
    pthread_t thread;
    bool started;
    int stop_fd;          /* eventfd: give up at once */
    int wake_fd;          /* eventfd: the last round is due */
    _Atomic bool cancel;  /* the same as stop_fd, for loops */
    _Atomic bool final;   /* the stop was reached */
    _Atomic bool over;    /* the thread has ended by itself */
    pthread_mutex_t lock; /* guards source */
    struct tr_source_env source_env;
    struct tr_sink_env sink_env;
    struct tr_source *source;
    struct tr_sink *sink;
    struct tr_schema *schema;   /* whose sequences are followed; NULL = to be read */
    struct tr_checkpoint known; /* tables that are done, or begun */
    struct tr_checkpoint all;   /* every table of the task, as of the last look: its names */
    struct tr_checkpoint
        joining; /* the tables that are being loaded; names only. While there are any, the source's filter lets only them through */
    struct tr_cut cut; /* theirs, once they are complete */
    bool complete;
    bool keys_due;      /* foreign keys wait for the stream to pass the newest cut */
    bool sequences_off; /* the target refuses to have them set */
    bool told_new;
    int64_t sequences_us, look_us, loop_us, retry_us,
        pause_us; /* monotonic: when they are due; how long the last pause was */
    int result;
    struct tr_error error;
};

static bool
wants(void *arg, const char *schema, const char *table)
{
    struct tr_upkeep *u = arg;
    if (!tr_mapping_wants(u->task->mapping, schema, table))
        return false;
    if (u->joining.ntables == 0)
        return true;
    char *name = tr_asprintf("%s.%s", schema, table);
    bool joins = tr_checkpoint_table(&u->joining, name) != NULL;
    free(name);
    return joins;
}

static const struct tr_source_class *
source_class(const struct tr_upkeep *u)
{
    return u->task->config.source;
}

static const struct tr_sink_class *
sink_class(const struct tr_upkeep *u)
{
    return u->task->config.sink;
}

/* --- both ends --- */

static void
close_ends(struct tr_upkeep *u)
{
    pthread_mutex_lock(&u->lock);
    struct tr_source *source = u->source;
    u->source = NULL;
    pthread_mutex_unlock(&u->lock);
    if (u->sink != NULL)
        sink_class(u)->close(u->sink);
    u->sink = NULL;
    if (source != NULL)
        source_class(u)->close(source);
}

static int
open_source(struct tr_upkeep *u, struct tr_error *err)
{
    struct tr_source *source;
    if (u->source != NULL)
        return 0;
    int r = source_class(u)->open(&u->source_env, &source, err);
    pthread_mutex_lock(&u->lock);
    u->source = source;
    pthread_mutex_unlock(&u->lock);
    return r;
}

static int
open_ends(struct tr_upkeep *u, struct tr_error *err)
{
    int r = open_source(u, err);
    if (r == 0 && u->sink == NULL) {
        r = sink_class(u)->open(&u->sink_env, &u->sink, err);
        if (r == 0 && sink_class(u)->join != NULL)
            r = sink_class(u)->join(u->sink, u->task->sink, err);
    }
    return r;
}

static int
read_schema(struct tr_upkeep *u, struct tr_error *err)
{
    tr_schema_free(u->schema);
    u->schema = NULL;
    int r = source_class(u)->schema(u->source, &u->schema, err);
    for (uint32_t i = 0; r == 0 && i < u->schema->ntables; i++) {
        struct tr_relation *relation = u->schema->tables[i].relation;
        bool skip = relation->skip; /* partitions come with their root */
        tr_mapping_route(u->task->mapping, relation);
        relation->skip = skip;
    }
    return r;
}

/* --- sequences --- */

static int
sequences(struct tr_upkeep *u, struct tr_error *err)
{
    int r = open_ends(u, err);
    bool fresh = u->schema == NULL;
    if (r == 0)
        r = fresh ? read_schema(u, err) : source_class(u)->sequences(u->source, u->schema, err);
    if (r < 0) {
        tr_schema_free(u->schema); /* one may have been dropped */
        u->schema = NULL;
        return r;
    }
    return r > 0 || fresh ? sink_class(u)->set_sequences(u->sink, u->schema, err) : 0;
}

/* Not to be able to read one was no reason to stop before; now somebody is about to write at the target. */
static void
tell_unread(const struct tr_upkeep *u)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < u->schema->nobjects; i++)
        count += u->schema->objects[i].kind == TR_OBJECT_SEQUENCE && !u->schema->objects[i].value_known;
    if (count > 0)
        tr_log(
            u->task->config.log, TR_LOG_WARNING, "pipeline",
            "%u sequences may not be read at the source, and stay as they are at the target (check names them, and the grants): set them before the target is written to",
            count);
}

/* --- foreign keys --- */

/* Were the tables loaded as of different cuts? Only then did anything have to wait. */
static bool
cuts_differ(const struct tr_checkpoint *checkpoint)
{
    for (size_t i = 1; i < checkpoint->ntables; i++)
        if (strcmp(checkpoint->tables[i].position, checkpoint->tables[0].position) != 0)
            return true;
    return false;
}

static bool
passed_all_cuts(struct tr_upkeep *u)
{
    pthread_mutex_lock(&u->task->lock);
    char *saved = tr_strdup(u->task->saved);
    pthread_mutex_unlock(&u->task->lock);
    bool passed = saved != NULL;
    for (size_t i = 0; passed && i < u->known.ntables; i++)
        passed = !u->known.tables[i].done ||
                 tr_cut_passed(source_class(u), u->known.tables[i].position, saved);
    free(saved);
    return passed;
}

static int
settle(struct tr_upkeep *u, struct tr_error *err)
{
    int r = open_ends(u, err);
    if (r == 0)
        r = read_schema(u, err);
    if (r == 0)
        r = sink_class(u)->settle(u->sink, u->schema, err);
    return r;
}

/* Once in a process, beside the stream that begins. A server that cannot be asked now is asked by the next attempt. */
static void
tell_cascades(struct tr_upkeep *u)
{
    struct tr_error failure;
    if (u->task->told_cascades || sink_class(u)->compare_cascades == NULL ||
        source_class(u)->hides_cascades == NULL)
        return;
    int r = open_ends(u, &failure);
    if (r == 0 && source_class(u)->hides_cascades(u->source)) {
        r = read_schema(u, &failure);
        if (r == 0)
            r = sink_class(u)->compare_cascades(u->sink, u->schema, &failure);
        tr_schema_free(u->schema);
        u->schema = NULL;
    }
    u->task->told_cascades = r != -TR_RETRY;
    if (r < 0 && !atomic_load(&u->cancel))
        tr_log_error(u->task->config.log, r == -TR_RETRY ? TR_LOG_DEBUG : TR_LOG_WARNING, "pipeline",
                     &failure);
    if (r < 0 || sink_class(u)->join == NULL)
        close_ends(u);
}

/* The exchange is behind us at the target. Names that could not be looked at now wait for another time. */
static void
tell_indexes(struct tr_upkeep *u)
{
    struct tr_task *task = u->task;
    struct tr_error failure;
    pthread_mutex_lock(&task->lock);
    struct tr_checkpoint due = task->exchanged;
    task->exchanged = (struct tr_checkpoint){ 0 };
    pthread_mutex_unlock(&task->lock);
    if (due.ntables == 0 || sink_class(u)->compare_indexes == NULL) {
        tr_checkpoint_fini(&due);
        return;
    }
    int r = open_ends(u, &failure);
    if (r == 0)
        r = read_schema(u, &failure);
    for (uint32_t i = 0; r == 0 && i < u->schema->ntables; i++) {
        const struct tr_relation *relation = u->schema->tables[i].relation;
        char *name = tr_asprintf("%s.%s", relation->schema, relation->name);
        if (!relation->skip && tr_checkpoint_table(&due, name) != NULL)
            r = sink_class(u)->compare_indexes(u->sink, &u->schema->tables[i], &failure);
        free(name);
    }
    tr_schema_free(u->schema);
    u->schema = NULL;
    pthread_mutex_lock(&task->lock);
    for (size_t i = 0; r == -TR_RETRY && i < due.ntables; i++)
        tr_checkpoint_set_table(&task->exchanged, due.tables[i].table, "", true);
    pthread_mutex_unlock(&task->lock);
    tr_checkpoint_fini(&due);
    if (r < 0 && !atomic_load(&u->cancel))
        tr_log_error(task->config.log, r == -TR_RETRY ? TR_LOG_DEBUG : TR_LOG_WARNING, "pipeline", &failure);
    if (r < 0 || sink_class(u)->join == NULL)
        close_ends(u);
}

/* --- tables that join --- */

static void
tell_new(struct tr_upkeep *u, const char *table)
{
    if (!u->told_new)
        tr_log(
            u->task->config.log, TR_LOG_WARNING, "pipeline",
            "table %s is new at the source and not part of the stream: ddl is not apply; a new start loads it",
            table);
    u->told_new = true;
}

/* Which tables of the task are not done. */
static int
find_joining(struct tr_upkeep *u, struct tr_error *err)
{
    struct tr_relation_list list = { 0 };
    int r = source_class(u)->relations(u->source, &list, err);
    if (r < 0)
        return r;
    tr_checkpoint_fini(&u->all);
    for (size_t i = 0; i < list.count; i++) {
        struct tr_relation *relation = list.items[i];
        tr_mapping_route(u->task->mapping, relation);
        if (relation->skip)
            continue;
        char *name = tr_asprintf("%s.%s", relation->schema, relation->name);
        const struct tr_table_cut *known = tr_checkpoint_table(&u->known, name);
        tr_checkpoint_set_table(&u->all, name, "", true);
        if (known == NULL && !u->task->takes_new)
            tell_new(u, name);
        else if (known == NULL || !known->done)
            tr_checkpoint_set_table(&u->joining, name, "", false);
        free(name);
    }
    tr_relation_list_free(&list);
    return 0;
}

/* Nothing is acknowledged from before the cut is taken until the stream has gone back to it. */
static int
load_joining(struct tr_upkeep *u, struct tr_error *err)
{
    struct tr_beside beside = { u->source, u->sink, &u->known, &u->cancel };
    atomic_store(&u->task->hold, true);
    int r = source_class(u)->prepare(u->source, NULL, err);
    TR_FAILPOINT("upkeep.join.prepared");
    if (r == 0)
        r = tr_load_beside(u->task, &beside, &u->cut, err);
    TR_FAILPOINT("upkeep.join.loaded");
    u->complete = r == 0;
    if (r < 0)
        atomic_store(&u->task->hold, false);
    return r;
}

/* Returns 1 when tables were loaded and the stream is to turn. */
static int
look(struct tr_upkeep *u, struct tr_error *err)
{
    tr_checkpoint_fini(&u->joining);
    atomic_store(&u->task->look, false);
    int r = open_ends(u, err);
    if (r == 0)
        r = find_joining(u, err);
    if (r < 0 || u->joining.ntables == 0)
        return r;
    r = load_joining(u, err);
    return r < 0 ? r : 1;
}

static void
take_over_table(struct tr_upkeep *u, const char *table, const char *reached)
{
    struct tr_checkpoint *checkpoint = &u->task->checkpoint;
    const struct tr_table_cut *cut = tr_checkpoint_table(checkpoint, table);
    if (tr_checkpoint_table(&u->joining, table) != NULL || (cut != NULL && !cut->done))
        return;
    if (cut == NULL || source_class(u)->compare(cut->position, reached) < 0)
        tr_checkpoint_set_table(checkpoint, table, reached, true);
}

int
tr_upkeep_take_over(struct tr_upkeep *u, struct tr_error *err)
{
    struct tr_task *task = u->task;
    struct tr_checkpoint *checkpoint = &task->checkpoint;
    if (!u->complete)
        return 0;
    char *reached = tr_strdup(checkpoint->position);
    if (source_class(u)->compare(u->cut.position, reached) < 0) {
        for (size_t i = 0; i < u->all.ntables; i++)
            take_over_table(u, u->all.tables[i].table, reached);
        for (size_t i = 0; i < checkpoint->ntables; i++)
            take_over_table(u, checkpoint->tables[i].table, reached);
        free(checkpoint->position);
        checkpoint->position = tr_strdup(u->cut.position);
    }
    for (size_t i = 0; i < u->joining.ntables; i++)
        tr_checkpoint_set_table(checkpoint, u->joining.tables[i].table, u->cut.position, true);
    tr_log(task->config.log, TR_LOG_INFO, "pipeline", "%zu tables join the stream as of %s; it stood at %s",
           u->joining.ntables, u->cut.position, reached);
    free(reached);
    TR_FAILPOINT("upkeep.take_over");
    return tr_save_checkpoint(task, err);
}

/* --- rounds --- */

static int64_t
due_again(int64_t began, int64_t interval)
{
    int64_t now = tr_clock_us(), rest = (now - began) * SHARE;
    return now + (rest > interval ? rest : interval);
}

/* A failure that passes is tried again, more and more seldom, with new connections. */
static int
put_off(struct tr_upkeep *u, int result, struct tr_error *err)
{
    if (result != -TR_RETRY)
        return result;
    if (!atomic_load(&u->cancel))
        tr_log_error(u->task->config.log, u->pause_us == 0 ? TR_LOG_WARNING : TR_LOG_DEBUG, "pipeline", err);
    close_ends(u);
    u->pause_us = u->pause_us == 0                     ? TICK_US
                  : u->pause_us * 2 < LONGEST_PAUSE_US ? u->pause_us * 2
                                                       : LONGEST_PAUSE_US;
    u->retry_us = tr_clock_us() + u->pause_us;
    return 0;
}

static int
round_of_sequences(struct tr_upkeep *u, struct tr_error *err)
{
    int64_t began = tr_clock_us();
    int64_t interval = tr_setting_int(u->task->config.settings, "sequences");
    if (interval == 0 || u->sequences_off || source_class(u)->sequences == NULL || began < u->sequences_us)
        return 0;
    int r = sequences(u, err);
    u->sequences_us = due_again(began, interval);
    if (r < 0 && r != -TR_RETRY) {
        tr_log_error(u->task->config.log, TR_LOG_WARNING, "pipeline", err);
        u->sequences_off = true;
        r = 0;
    }
    return r;
}

static int
round_of_keys(struct tr_upkeep *u, struct tr_error *err)
{
    if (!u->keys_due || !passed_all_cuts(u))
        return 0;
    int r = settle(u, err);
    if (r == -TR_RETRY)
        return r;
    if (r < 0)
        tr_log_error(u->task->config.log, TR_LOG_WARNING, "pipeline", err);
    u->keys_due = false;
    return 0;
}

static int
round_of_tables(struct tr_upkeep *u, struct tr_error *err)
{
    int64_t began = tr_clock_us();
    if (!u->task->joins || (began < u->look_us && !atomic_load(&u->task->look)))
        return 0;
    int r = look(u, err);
    u->look_us = due_again(began, LOOK_INTERVAL_US);
    if (r < 0)
        atomic_store(&u->task->look, true); /* the next try need not wait for its turn */
    return r;
}

/* A source that cannot be asked now is asked later: the stream itself will meet what is wrong with it. */
static int
round_of_loops(struct tr_upkeep *u, struct tr_error *err)
{
    int64_t began = tr_clock_us();
    if (u->task->loop == NULL || began < u->loop_us || u->joining.ntables > 0)
        return 0;
    int r = open_source(u, err);
    if (r == 0)
        r = tr_loop_watch(u->task, u->source, err);
    u->loop_us = due_again(began, r < 0 ? LONGEST_PAUSE_US : LOOP_INTERVAL_US);
    if (r == 0 || r == -TR_REFUSED)
        return r;
    if (!atomic_load(&u->cancel))
        tr_log_error(u->task->config.log, TR_LOG_DEBUG, "pipeline", err);
    close_ends(u);
    return 0;
}

/* 1 = the stream shall turn. */
static int
rounds(struct tr_upkeep *u, struct tr_error *err)
{
    if (tr_reload_asked(u->task))
        return 1;
    if (tr_clock_us() < u->retry_us)
        return 0;
    int r = round_of_tables(u, err);
    if (r == 0)
        r = round_of_keys(u, err);
    if (r == 0)
        r = round_of_sequences(u, err);
    if (r == 0)
        u->pause_us = 0;
    return r < 0 ? put_off(u, r, err) : r;
}

/* The stop was reached: what the log does not tell is brought to the source's state of now. */
static int
last_round(struct tr_upkeep *u, struct tr_error *err)
{
    int r = 0;
    bool drained = strcmp(tr_setting_string(u->task->config.settings, "stop"), "drained") == 0;
    tr_checkpoint_fini(&u->joining);
    /* Drained is beyond every cut, also where the last commit that moved the checkpoint lies before one. */
    if (u->keys_due && (drained || passed_all_cuts(u)))
        r = settle(u, err);
    tr_schema_free(u->schema); /* tables and sequences may have come */
    u->schema = NULL;
    if (r == 0)
        r = sequences(u, err);
    if (r == 0)
        tell_unread(u);
    if (r < 0 && r != -TR_RETRY) {
        bool ours = strcmp(tr_setting_string(u->task->config.settings, "schema"), "create") == 0;
        if (!ours)
            tr_log_error(u->task->config.log, TR_LOG_WARNING, "pipeline", err);
        r = ours ? r : 0;
    }
    return r;
}

static int
upkeep_loop(struct tr_upkeep *u)
{
    bool able = sink_class(u)->join != NULL;
    struct pollfd fds[2] = { { .fd = u->stop_fd, .events = POLLIN }, { .fd = u->wake_fd, .events = POLLIN } };
    tell_cascades(u);
    for (;;) {
        if (poll(fds, 2, (int)(TICK_US / 1000)) < 0 && errno != EINTR)
            return tr_fail(&u->error, TR_FATAL, "upkeep: cannot wait: %s", strerror(errno));
        if (atomic_load(&u->cancel))
            return 0;
        tell_indexes(u);
        if (atomic_load(&u->final))
            return sink_class(u)->set_sequences != NULL ? last_round(u, &u->error) : 0;
        int r = able ? rounds(u, &u->error) : tr_reload_asked(u->task);
        if (r == 0)
            r = round_of_loops(u, &u->error);
        if (r != 0 && !atomic_load(&u->cancel))
            atomic_store(&u->task->turn, true); /* the stream comes to rest, whatever the reason */
        if (r != 0)
            return r < 0 ? r : 0;
    }
}

static void *
upkeep_main(void *arg)
{
    struct tr_upkeep *u = arg;
    u->result = upkeep_loop(u);
    close_ends(u);
    atomic_store(&u->over, true);
    tr_ledger_kick(&u->task->ledger);
    return NULL;
}

/* --- from the control thread --- */

int
tr_upkeep_start(struct tr_task *task, struct tr_upkeep **out, struct tr_error *err)
{
    struct tr_upkeep *u = tr_calloc(1, sizeof(*u));
    int64_t now = tr_clock_us();
    *out = u;
    u->task = task;
    pthread_mutex_init(&u->lock, NULL);
    u->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    u->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    u->source_env = task->source_env;
    u->source_env.filter = (struct tr_table_filter){ u, wants };
    u->source_env.memory = (struct tr_table_memory){ 0 }; /* those that join are loaded now */
    u->source_env.stop_fd = u->stop_fd;
    u->sink_env = task->sink_env;
    u->sink_env.stop_fd = u->stop_fd;
    u->sink_env.wake_fd = -1;
    tr_checkpoint_copy(&u->known, &task->checkpoint);
    u->keys_due = cuts_differ(&u->known) && sink_class(u)->settle != NULL;
    u->sequences_us = now + tr_setting_int(task->config.settings, "sequences");
    if (u->stop_fd < 0 || u->wake_fd < 0)
        return tr_fail(err, TR_FATAL, "upkeep: no eventfd: %s", strerror(errno));
    int r = pthread_create(&u->thread, NULL, upkeep_main, u);
    u->started = r == 0;
    return r == 0 ? 0 : tr_fail(err, TR_FATAL, "upkeep: no thread: %s", strerror(r));
}

bool
tr_upkeep_over(const struct tr_upkeep *u)
{
    return atomic_load(&u->over);
}

static void
cancel(struct tr_upkeep *u)
{
    atomic_store(&u->cancel, true);
    eventfd_write(u->stop_fd, 1);
    pthread_mutex_lock(&u->lock);
    if (u->source != NULL)
        source_class(u)->interrupt(u->source);
    pthread_mutex_unlock(&u->lock);
}

/* The last round may take its time, but not when the task is told to stop. */
static void
await_last_round(struct tr_upkeep *u)
{
    struct pollfd fd = { .fd = u->task->stop_fd, .events = POLLIN };
    atomic_store(&u->final, true);
    eventfd_write(u->wake_fd, 1);
    while (!atomic_load(&u->over) && poll(&fd, 1, 10) <= 0)
        ;
}

int
tr_upkeep_end(struct tr_upkeep *u, bool reached, struct tr_error *err)
{
    if (u == NULL || !u->started)
        return 0;
    if (reached)
        await_last_round(u);
    cancel(u);
    pthread_join(u->thread, NULL);
    u->started = false;
    if (u->result < 0)
        *err = u->error;
    return u->result;
}

void
tr_upkeep_free(struct tr_upkeep *u)
{
    if (u == NULL)
        return;
    struct tr_error ignored;
    tr_upkeep_end(u, false, &ignored);
    tr_schema_free(u->schema);
    tr_checkpoint_fini(&u->known);
    tr_checkpoint_fini(&u->all);
    tr_checkpoint_fini(&u->joining);
    if (u->stop_fd >= 0)
        close(u->stop_fd);
    if (u->wake_fd >= 0)
        close(u->wake_fd);
    pthread_mutex_destroy(&u->lock);
    free(u);
}
