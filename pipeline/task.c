/*
 * task.c - the life of a task: connect, see where we are, load what is missing, stream, and begin again after a passing failure.
 */
#include "pipeline/task.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/memory.h"
#include "pipeline/internal.h"
#include "schema/schema.h"

#define END_US 4250000 /* what is told to stop waits no longer for anybody: it ends within 5 s */
#define FIRST_BACKOFF_US 100000
#define ENCODED_AHEAD (16 << 20) /* bytes that wait for a sink that encodes: more is only memory */
#define LONGEST_BACKOFF_US (30 * TR_US_PER_S)
#define QUICK_BACKOFF_US \
    (1 * TR_US_PER_S) /* the longest while a server has been away for less than half a minute */

static const char *const phase_names[] = { "connecting",         "preparing",   "loading",
                                           "finishing the load", "catching up", "streaming",
                                           "draining",           "backing off", "ended" };

const char *
tr_task_phase_name(enum tr_task_phase phase)
{
    return (unsigned)phase < sizeof(phase_names) / sizeof(phase_names[0]) ? phase_names[phase] : "unknown";
}

void
tr_task_phase_set(struct tr_task *task, enum tr_task_phase phase)
{
    atomic_store(&task->count.phase, (int)phase);
}

bool
tr_task_stopping(struct tr_task *task)
{
    return atomic_load_explicit(&task->stopping, memory_order_relaxed);
}

void
tr_task_stop(struct tr_task *task)
{
    uint64_t one = 1;
    int64_t never = 0;
    atomic_compare_exchange_strong(&task->end_us, &never, tr_clock_us() + END_US);
    atomic_store(&task->stopping, true);
    ssize_t n = write(task->stop_fd, &one, sizeof(one));
    (void)n;
}

static bool
filter_wants(void *arg, const char *schema, const char *table)
{
    return tr_mapping_wants(arg, schema, table);
}

/* Its load is complete, and the stream has begun. */
static bool
task_follows(void *arg, const char *schema, const char *table)
{
    struct tr_task *task = arg;
    char *name = tr_asprintf("%s.%s", schema, table);
    const struct tr_table_cut *cut = tr_checkpoint_table(&task->checkpoint, name);
    free(name);
    return cut != NULL && cut->done && task->checkpoint.position != NULL;
}

static void
on_durable(void *arg, uint64_t sequence, const char *sink_state)
{
    struct tr_task *task = arg;
    tr_ledger_durable(&task->ledger, sequence, sink_state);
}

static void
on_conflict(void *arg, const char *table, const char *what)
{
    struct tr_task *task = arg;
    (void)table;
    (void)what;
    atomic_fetch_add(&task->count.conflicts, 1);
}

static void
on_misfit(void *arg, uint64_t count)
{
    struct tr_task *task = arg;
    atomic_fetch_add(&task->count.misfits, count);
}

static void
on_exchanged(void *arg, const char *schema, const char *table)
{
    struct tr_task *task = arg;
    char *name = tr_asprintf("%s.%s", schema, table);
    pthread_mutex_lock(&task->lock);
    tr_checkpoint_set_table(&task->exchanged, name, "", true);
    pthread_mutex_unlock(&task->lock);
    free(name);
}

static bool
setting_is(const struct tr_task *task, const char *name, const char *value)
{
    const char *text = tr_setting_string(task->config.settings, name);
    return text != NULL && strcmp(text, value) == 0;
}

int
tr_task_new(const struct tr_task_config *config, struct tr_task **out, struct tr_error *err)
{
    struct tr_task *task = tr_calloc(1, sizeof(*task));
    *out = NULL;
    task->config = *config;
    if (config->sink->variant != NULL)
        task->config.sink = config->sink->variant(config->settings);
    task->name = tr_setting_string(config->settings, "task");
    task->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    atomic_store(&task->count.lag_bytes, -1);
    pthread_mutex_init(&task->lock, NULL);
    int r = task->stop_fd < 0 ? tr_fail(err, TR_FATAL, "task: no eventfd: %s", strerror(errno)) : 0;
    if (r == 0)
        r = tr_mapping_new(config->settings, &task->mapping, err);
    if (r < 0) {
        tr_task_free(task);
        return r;
    }
    task->source_env = (struct tr_source_env){ .task = task->name,
                                               .settings = config->settings,
                                               .log = config->log,
                                               .filter = { task->mapping, filter_wants },
                                               .memory = { task, task_follows },
                                               .stop_fd = task->stop_fd };
    task->sink_env = (struct tr_sink_env){ .task = task->name,
                                           .settings = config->settings,
                                           .log = config->log,
                                           .source_name = config->source->name,
                                           .source_database = task->source_database,
                                           .source_dialect = config->source->dialect,
                                           .encoder = config->encoder,
                                           .stop_fd = task->stop_fd,
                                           .end_us = &task->end_us,
                                           .memory = (uint64_t)tr_setting_int(config->settings, "memory") / 4,
                                           .arg = task,
                                           .durable = on_durable,
                                           .conflict = on_conflict,
                                           .misfit = on_misfit,
                                           .exchanged = on_exchanged };
    *out = task;
    return 0;
}

void
tr_task_free(struct tr_task *task)
{
    if (task == NULL)
        return;
    if (task->stop_fd >= 0)
        close(task->stop_fd);
    tr_mapping_free(task->mapping);
    pthread_mutex_destroy(&task->lock);
    free(task->saved);
    tr_loop_free(task->loop);
    tr_checkpoint_fini(&task->exchanged);
    free(task);
}

uint32_t
tr_task_table_number(struct tr_task *task, const char *schema, const char *name)
{
    char *full = tr_asprintf("%s.%s", schema, name);
    uint32_t known = tr_names_find(&task->table_names, full);
    if (known != TR_NAMES_NONE) {
        free(full);
        return known + 1;
    }
    if ((task->ntables & (task->ntables - 1)) == 0) /* full: capacities are powers of two */
        task->tables = tr_realloc(task->tables, (task->ntables > 0 ? 2 * (size_t)task->ntables : 1) *
                                                    sizeof(*task->tables));
    task->tables[task->ntables] = (struct tr_table_state){ .name = full };
    tr_names_add(&task->table_names, full, task->ntables);
    return ++task->ntables;
}

/* --- one attempt --- */

static void
close_attempt(struct tr_task *task)
{
    /* The sink first: it may still report what became durable. */
    if (task->sink != NULL)
        task->config.sink->close(task->sink);
    if (task->source != NULL)
        task->config.source->close(task->source);
    task->sink = NULL;
    task->source = NULL;
    tr_queue_fini(&task->queue);
    tr_ledger_fini(&task->ledger);
    for (uint32_t i = 0; i < task->ntables; i++) {
        free(task->tables[i].name);
        free(task->tables[i].cut);
    }
    free(task->tables);
    tr_names_fini(&task->table_names);
    task->tables = NULL;
    task->ntables = 0;
    atomic_store(&task->nguarded, 0);
    atomic_store(&task->halt, false);
    atomic_store(&task->look, false);
    atomic_store(&task->hold, false);
    tr_checkpoint_fini(&task->checkpoint);
    memset(&task->checkpoint, 0, sizeof(task->checkpoint));
}

/* Read what is saved. The sink's word wins where it keeps the checkpoint, but a target that has forgotten what the store remembers is refused. */
static int
load_checkpoint(struct tr_task *task, struct tr_error *err)
{
    int r = task->config.store->load(task->store, &task->checkpoint, err);
    if (r < 0 || !(task->config.sink->capabilities & TR_SINK_KEEPS_CHECKPOINT))
        return r;
    struct tr_checkpoint kept;
    memset(&kept, 0, sizeof(kept));
    r = task->config.sink->load_checkpoint(task->sink, &kept, err);
    if (r < 0)
        return r;
    if (task->checkpoint.position != NULL && kept.position == NULL && !tr_reload_halfway(task, &kept)) {
        tr_fail(
            err, TR_REFUSED,
            "the target has no checkpoint of task %s, but this task had reached %s: the target was replaced or restored",
            task->name, task->checkpoint.position);
        tr_error_hint(err, "if it is to be filled anew, run `tailrace drop` for the task first");
        tr_checkpoint_fini(&kept);
        return -TR_REFUSED;
    }
    bool known = task->checkpoint.position != NULL;
    tr_checkpoint_fini(&task->checkpoint);
    task->checkpoint = kept;
    /* On a new machine, or with a new state directory, the copy begins with all that the target knows. */
    return known || kept.position == NULL ? 0 : task->config.store->save(task->store, &task->checkpoint, err);
}

static void
set_text(char **to, const char *text)
{
    free(*to);
    *to = tr_strdup(text);
}

/* Rows that were loaded as of a cut which the stream has yet to come to must be of this server's history, too. */
static int
check_cuts(struct tr_task *task, const struct tr_identity *saved, const char *position, struct tr_error *err)
{
    const struct tr_source_class *class = task->config.source;
    char text[TR_POSITION_MAX];
    int r = 0;
    for (size_t i = 0; r == 0 && position != NULL && i < task->checkpoint.ntables; i++) {
        const struct tr_table_cut *cut = &task->checkpoint.tables[i];
        bool moved = class->portable != NULL &&
                     class->portable(task->source, saved, cut->position, text, sizeof text);
        if (!cut->done || class->compare(cut->position, position) <= 0)
            continue;
        r = class->identity_check(task->source, saved, moved ? text : cut->position, err);
        if (r < 0)
            tr_error_prefix(err, "table %s, whose rows were loaded later than where the stream stands",
                            cut->table);
    }
    return r;
}

/* Nor does a cut's part that holds for one server alone mean anything on another one. */
static void
move_cuts(struct tr_task *task, const struct tr_identity *saved)
{
    const struct tr_source_class *class = task->config.source;
    char portable[TR_POSITION_MAX];
    for (size_t i = 0; i < task->checkpoint.ntables; i++) {
        const struct tr_table_cut *cut = &task->checkpoint.tables[i];
        if (class->portable(task->source, saved, cut->position, portable, sizeof portable))
            tr_checkpoint_set_table(&task->checkpoint, cut->table, portable, cut->done);
    }
}

/* The source failed over: the position's part that holds for one server alone goes, before the new one's is read. */
static int
move_to_server(struct tr_task *task, const struct tr_identity *saved, const char *position,
               struct tr_error *err)
{
    const struct tr_source_class *class = task->config.source;
    struct tr_identity identity;
    char portable[TR_POSITION_MAX];
    if (class->portable == NULL || position == NULL ||
        !class->portable(task->source, saved, position, portable, sizeof portable))
        return 0;
    int r = class->identity(task->source, &identity, err);
    if (r < 0)
        return r;
    set_text(&task->checkpoint.identity, identity.text);
    set_text(&task->checkpoint.position, portable);
    move_cuts(task, saved);
    return tr_save_checkpoint(task, err);
}

static int
open_both(struct tr_task *task, bool *whole, struct tr_error *err)
{
    tr_task_phase_set(task, TR_PHASE_CONNECTING);
    task->sink_env.wake_fd = task->queue.wake_fd;
    int r = task->config.sink->open(&task->sink_env, &task->sink, err);
    if (r < 0)
        return r;
    if ((r = load_checkpoint(task, err)) < 0)
        return r;
    if ((r = tr_reload_take(task, whole, err)) < 0)
        return r;
    if ((r = task->config.source->open(&task->source_env, &task->source, err)) < 0)
        return r;
    if (task->source->database !=
        NULL) /* no batch has been made yet: the sink's thread is not there to read it */
        snprintf(task->source_database, sizeof(task->source_database), "%s", task->source->database);
    struct tr_identity saved = { "" };
    if (task->checkpoint.identity == NULL)
        return 0;
    snprintf(saved.text, sizeof(saved.text), "%s", task->checkpoint.identity);
    /* A task that only loads does not go on from a position: nothing at the source has to have been kept for it. */
    const char *position = setting_is(task, "mode", "full-load") ? NULL : task->checkpoint.position;
    r = task->config.source->identity_check(task->source, &saved, position, err);
    if (r == 0)
        r = check_cuts(task, &saved, position, err);
    return r < 0 ? r : move_to_server(task, &saved, position, err);
}

static int
begin_at(struct tr_task *task, const char *position, const char *phase, struct tr_error *err)
{
    struct tr_identity identity;
    int r = task->config.source->identity(task->source, &identity, err);
    if (r < 0)
        return r;
    set_text(&task->checkpoint.position, position);
    set_text(&task->checkpoint.identity, identity.text);
    set_text(&task->checkpoint.phase, phase);
    return 0;
}

/* Where a stream without a checkpoint begins, and what is saved before anything is written. */
int
tr_first_checkpoint(struct tr_task *task, const char *position, const char *phase, struct tr_error *err)
{
    int r = begin_at(task, position, phase, err);
    return r < 0 ? r : tr_save_checkpoint(task, err);
}

static int
set_phase(struct tr_task *task, const char *phase, struct tr_error *err)
{
    if (task->checkpoint.phase != NULL && strcmp(task->checkpoint.phase, phase) == 0)
        return 0;
    set_text(&task->checkpoint.phase, phase);
    return tr_save_checkpoint(task, err);
}

/* Which tables have a cut that the stream, beginning at the checkpoint, has not passed. */
static void
guard_tables(struct tr_task *task)
{
    for (size_t i = 0; i < task->checkpoint.ntables; i++) {
        const struct tr_table_cut *cut = &task->checkpoint.tables[i];
        const char *dot = strchr(cut->table, '.');
        bool passed = tr_cut_passed(task->config.source, cut->position, task->checkpoint.position);
        if (dot == NULL)
            continue;
        char *schema = tr_strndup(cut->table, (size_t)(dot - cut->table));
        uint32_t number = tr_task_table_number(task, schema, dot + 1);
        struct tr_table_state *table = &task->tables[number - 1];
        free(schema);
        table->known = true;
        table->pending = task->joins && !cut->done;
        if (passed)
            continue;
        table->cut_short = !cut->done && !table->pending;
        set_text(&table->cut, cut->position);
        atomic_fetch_add(&task->nguarded, 1);
    }
}

static int
resume_sink(struct tr_task *task, struct tr_error *err)
{
    if (!(task->config.sink->capabilities & TR_SINK_STATE_IN_STORE))
        return 0;
    const char *state = task->checkpoint.sink_state != NULL ? task->checkpoint.sink_state : "";
    return task->config.sink->resume(task->sink, state, err);
}

/* mode full-load: a cut, the rows, the end. Nothing is made at the source. */
static int
load_only(struct tr_task *task, struct tr_error *err)
{
    int r = tr_load_run(task, NULL, err);
    bool nothing = task->checkpoint.position == NULL; /* no table matched */
    return r < 0 || nothing ? r : set_phase(task, "ended", err);
}

/* The stream has a place to begin at, and the tables' definitions are still to be sent. */
static const char phase_shapes[] = "shapes";

static bool
starts_now(const struct tr_task *task)
{
    const char *start = tr_setting_string(task->config.settings, "start");
    return start == NULL || strcmp(start, "now") == 0;
}

/* Patterns may wait for tables to come; a misspelt database does not come, and a task without any tables would end as if all had been well. One that was left since is in the log. */
static int
check_place(struct tr_task *task, bool load, struct tr_error *err)
{
    const struct tr_source_class *source = task->config.source;
    bool first = task->checkpoint.position == NULL && (load || starts_now(task));
    return first && source->exists != NULL ? source->exists(task->source, err) : 0;
}

static int
prepare_stream(struct tr_task *task, bool load, struct tr_cut *cut, struct tr_error *err)
{
    char position[TR_POSITION_MAX];
    const struct tr_source_class *source = task->config.source;
    const char *start = tr_setting_string(task->config.settings, "start");
    /* Whoever begins elsewhere than now has been told of the tables before. */
    bool shapes = !load && starts_now(task) && tr_statement_shapes_wanted(task);
    int r = source->prepare(task->source, load ? cut : NULL, err);
    if (r < 0 || task->checkpoint.position != NULL)
        return r;
    if (shapes && (r = source->cut(task->source, cut, err)) < 0)
        return r;
    if (cut->position[0] != '\0')
        snprintf(position, sizeof(position), "%s", cut->position);
    else
        r = source->start_position(task->source,
                                   load            ? "slot"
                                   : start != NULL ? start
                                                   : "now",
                                   position, sizeof(position), err);
    if (r < 0)
        return r;
    /* A load saves it when its tables are begun: until then it can be refused, and nothing has happened. */
    return load ? begin_at(task, position, "load", err)
                : tr_first_checkpoint(task, position, shapes ? phase_shapes : "stream", err);
}

/* A start that is refused before anything was saved leaves nothing at the source: a slot that nobody reads would retain the log for ever. */
static void
take_back(struct tr_task *task, int r)
{
    struct tr_error ignored;
    if (r == -TR_RETRY || task->recorded || task->config.source->unprepare == NULL)
        return;
    if (task->config.source->unprepare(task->source, &ignored) < 0)
        tr_log_error(task->config.log, TR_LOG_WARNING, "pipeline", &ignored);
}

static int
refuse_unfinished_load(struct tr_task *task, struct tr_error *err)
{
    tr_fail(err, TR_REFUSED, "the full load of task %s is not finished, and mode cdc would leave it so",
            task->name);
    return tr_error_hint(err, "run it with mode full-load-and-cdc, or forget it with `tailrace drop`");
}

/* Can tables be loaded while this stream runs? */
static bool
may_join(const struct tr_task *task)
{
    return (task->config.sink->capabilities & TR_SINK_LOADS) && task->config.sink->join != NULL &&
           setting_is(task, "stop", "never");
}

static int
run_attempt(struct tr_task *task, struct tr_error *err)
{
    bool load = !setting_is(task, "mode", "cdc");
    struct tr_cut cut = { .position = "" };
    bool whole = false;
    int r = open_both(task, &whole, err);
    if (r == 0)
        r = tr_loop_enter(task, err);
    if (r == 0 && whole)
        r = task->config.source->drop(task->source, err);
    if (r == 0 && whole)
        r = tr_reload_taken(task, err);
    if (r == 0)
        r = resume_sink(task, err);
    if (r == 0)
        r = check_place(task, load, err);
    if (r < 0)
        return r;
    tr_task_phase_set(task, TR_PHASE_PREPARING);
    if (setting_is(task, "mode", "full-load"))
        return load_only(task, err);
    if (!load && task->checkpoint.phase != NULL && strcmp(task->checkpoint.phase, "load") == 0)
        return refuse_unfinished_load(task, err);
    task->recorded = task->checkpoint.position != NULL;
    r = prepare_stream(task, load, &cut, err);
    /* A stream that runs already is not held up by a table that joins it, unless it is to end soon. */
    bool beside = may_join(task) && task->checkpoint.phase != NULL &&
                  strcmp(task->checkpoint.phase, "stream") == 0;
    if (r == 0 && load && !beside)
        r = tr_load_run(task, &cut, err);
    if (r == 0 && task->checkpoint.phase != NULL && strcmp(task->checkpoint.phase, phase_shapes) == 0)
        r = tr_load_definitions(task, &cut, err);
    if (r == 0)
        r = set_phase(task, "stream", err);
    if (r < 0) {
        take_back(task, r);
        return r;
    }
    task->joins = load && may_join(task);
    task->takes_new = task->joins && setting_is(task, "ddl", "apply");
    guard_tables(task);
    return tr_stream_run(task, task->checkpoint.position, err);
}

/* --- again and again --- */

/* A server that restarts is met again at once; one that stays away is asked more and more seldom: after a thirtieth of the time that it has been gone. */
static int64_t
longer(int64_t wait_us, int64_t gone_us)
{
    int64_t most = gone_us / 30 > QUICK_BACKOFF_US ? gone_us / 30 : QUICK_BACKOFF_US;
    if (most > LONGEST_BACKOFF_US)
        most = LONGEST_BACKOFF_US;
    return wait_us * 2 < most ? wait_us * 2 : most;
}

/* Wait out the back-off; false when the task is to stop instead. */
static bool
back_off(struct tr_task *task, int64_t wait_us)
{
    uint32_t random = 0;
    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
        random = (uint32_t)tr_clock_us();
    int64_t jittered = wait_us / 2 + (int64_t)(random % (uint32_t)(wait_us / 1000 + 1)) * 1000 / 2;
    struct pollfd fd = { .fd = task->stop_fd, .events = POLLIN };
    tr_task_phase_set(task, TR_PHASE_BACKING_OFF);
    poll(&fd, 1, (int)(jittered / 1000) + 1);
    return !tr_task_stopping(task);
}

/* A database's sink makes large groups of what waits; one that encodes takes changes one by one. */
static int64_t
queue_limit(const struct tr_task *task)
{
    int64_t half = tr_setting_int(task->config.settings, "memory") / 2;
    bool encodes = (task->config.sink->capabilities & TR_SINK_ENCODES) != 0;
    return encodes && half > ENCODED_AHEAD ? ENCODED_AHEAD : half;
}

static int
attempt(struct tr_task *task, struct tr_error *err)
{
    tr_error_clear(err);
    task->progressed = false;
    atomic_store(&task->turn, false);
    tr_ledger_init(&task->ledger);
    int r = tr_queue_init(&task->queue, queue_limit(task)) < 0
                ? tr_fail(err, TR_FATAL, "task: no eventfd: %s", strerror(errno))
                : run_attempt(task, err);
    close_attempt(task);
    return r;
}

static int
attempts(struct tr_task *task, struct tr_error *err)
{
    int64_t wait_us = FIRST_BACKOFF_US, since = tr_clock_us();
    int64_t patience = tr_setting_int(task->config.settings, "retry_max");
    for (;;) {
        int r = attempt(task, err);
        bool turned = r == 0 && atomic_load(&task->turn) && !tr_task_stopping(task);
        if ((r == 0 && !turned) || (r == -TR_RETRY && tr_task_stopping(task)))
            return 0;
        if (turned) {
            wait_us = FIRST_BACKOFF_US;
            since = tr_clock_us();
            continue;
        }
        if (r != -TR_RETRY)
            return r;
        if (task->progressed) {
            wait_us = FIRST_BACKOFF_US;
            since = tr_clock_us();
        }
        if (patience > 0 && tr_clock_us() - since > patience)
            return tr_error_prefix(err, "no progress for longer than retry_max");
        tr_log_error(task->config.log, TR_LOG_WARNING, "pipeline", err);
        pthread_mutex_lock(&task->lock);
        snprintf(task->message, sizeof(task->message), "%.250s", err->text);
        pthread_mutex_unlock(&task->lock);
        atomic_fetch_add(&task->count.retries, 1);
        if (!back_off(task, wait_us))
            return 0;
        wait_us = longer(wait_us, tr_clock_us() - since);
    }
}

/* A store elsewhere may be away for a while. A stop meanwhile ends without a store and without an error. */
static int
open_store(struct tr_task *task, struct tr_error *err)
{
    int64_t wait_us = FIRST_BACKOFF_US, since = tr_clock_us();
    int64_t patience = tr_setting_int(task->config.settings, "retry_max");
    const char *place = tr_task_store_place(task->config.settings);
    for (;;) {
        int r = task->config.store->open(place, task->name, &task->end_us, &task->store, err);
        if (r != -TR_RETRY)
            return r;
        if (patience > 0 && tr_clock_us() - since > patience)
            return tr_error_prefix(err, "no progress for longer than retry_max");
        tr_log_error(task->config.log, TR_LOG_WARNING, "pipeline", err);
        if (!back_off(task, wait_us))
            return 0;
        wait_us = wait_us * 2 < LONGEST_BACKOFF_US ? wait_us * 2 : LONGEST_BACKOFF_US;
    }
}

int
tr_task_run(struct tr_task *task, struct tr_error *err)
{
    int r = open_store(task, err);
    if (r == 0 && task->store != NULL) {
        r = attempts(task, err);
        task->config.store->close(task->store);
    }
    tr_task_phase_set(task, TR_PHASE_ENDED);
    return r;
}

void
tr_task_status(struct tr_task *task, struct tr_task_status *status)
{
    const struct tr_task_counters *count = &task->count;
    memset(status, 0, sizeof(*status));
    status->phase = (enum tr_task_phase)atomic_load(&count->phase);
    status->load_tables = atomic_load(&count->load_tables);
    status->load_tables_done = atomic_load(&count->load_tables_done);
    status->load_rows = atomic_load(&count->load_rows);
    status->load_rows_expected = atomic_load(&count->load_rows_expected);
    status->load_bytes = atomic_load(&count->load_bytes);
    status->load_bytes_expected = atomic_load(&count->load_bytes_expected);
    status->transactions = atomic_load(&count->transactions);
    status->rows = atomic_load(&count->rows);
    status->bytes = atomic_load(&count->bytes);
    status->rows_durable = atomic_load(&count->rows_durable);
    status->conflicts = atomic_load(&count->conflicts);
    status->misfits = atomic_load(&count->misfits);
    status->retries = atomic_load(&count->retries);
    status->lag_bytes = atomic_load(&count->lag_bytes);
    status->lag_us = atomic_load(&count->lag_us);
    pthread_mutex_lock(&task->lock);
    snprintf(status->checkpoint, sizeof(status->checkpoint), "%s", task->saved != NULL ? task->saved : "");
    memcpy(status->acknowledged, task->acknowledged, sizeof(status->acknowledged));
    memcpy(status->message, task->message, sizeof(status->message));
    pthread_mutex_unlock(&task->lock);
}
