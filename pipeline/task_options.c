/* task_options.c - the settings that every task has, whatever its connectors. */
#include "pipeline/task.h"

const struct tr_option tr_task_options[] = {
    { .name = "task", .section = "", .type = TR_OPTION_STRING, .value = "tailrace", .help = "name of the task; its state, slot and publication are kept under it" },
    { .name = "mode", .section = "", .type = TR_OPTION_CHOICE, .value = "full-load-and-cdc", .choices = "full-load|full-load-and-cdc|cdc", .help = "copy the tables, copy and then follow them, or follow only" },
    { .name = "source", .section = "source", .type = TR_OPTION_STRING, .secret = true, .help = "URL of the source: postgresql://user@host:port/database (key `url` in a file)" },
    { .name = "target", .section = "target", .type = TR_OPTION_STRING, .secret = true, .help = "URL of the target: postgresql://, stdout:, file:///directory, null: (key `url` in a file)" },
    { .name = "tables", .section = "tables", .type = TR_OPTION_LIST, .value = "%", .help = "tables to carry: schema.name patterns, % and * stand for any run of characters (key `include` in a file)" },
    { .name = "exclude", .section = "tables", .type = TR_OPTION_LIST, .help = "tables to leave out, after the includes" },
    { .name = "state", .section = "", .type = TR_OPTION_STRING, .value = "./tailrace-state", .help = "directory of the embedded offset store and of spill files" },
    { .name = "start", .section = "", .type = TR_OPTION_STRING, .help = "where mode cdc begins when there is no checkpoint: now, slot (all that an existing slot has kept), lsn:X, snapshot:NAME, time:T" },
    { .name = "stop", .section = "", .type = TR_OPTION_STRING, .value = "never", .help = "when to end: never, drained (all that was committed when the run began is applied), lsn:X, time:T" },
    { .name = "workers", .section = "", .type = TR_OPTION_INT, .value = "4", .min = 1, .max = 64, .help = "connections that apply changes at the same time, in commit order" },
    { .name = "readers", .section = "", .type = TR_OPTION_INT, .value = "4", .min = 1, .max = 64, .help = "connections that copy tables at the same time in the full load" },
    { .name = "memory", .section = "", .type = TR_OPTION_SIZE, .value = "256MiB", .min = 16 << 20, .max = INT64_C(1) << 40, .help = "budget for changes in flight; beyond it reading pauses, and open transactions spill to disk, encrypted" },
    { .name = "ddl", .section = "", .type = TR_OPTION_CHOICE, .value = "apply", .choices = "apply|ignore|stop", .help = "what to do when a table's shape changes at the source; apply carries over what cannot lose data" },
    { .name = "schema", .section = "", .type = TR_OPTION_CHOICE, .value = "create", .choices = "create|expect", .help = "make missing tables at the target, or expect them there" },
    { .name = "on_existing", .section = "", .type = TR_OPTION_CHOICE, .value = "stop", .choices = "stop|truncate|append", .help = "what the full load does with a target table that already has rows" },
    { .name = "on_conflict", .section = "", .type = TR_OPTION_CHOICE, .value = "stop", .choices = "stop|overwrite|skip", .help = "what to do when the target disagrees with a change: missing row, duplicate key, value that does not fit" },
    { .name = "retry_max", .section = "", .type = TR_OPTION_DURATION, .value = "0s", .help = "give up when retrying has lasted this long without progress; 0 = never" },
    { .name = "retain_warning", .section = "", .type = TR_OPTION_SIZE, .value = "8GiB", .help = "warn when the source has to retain more log than this for the task" },
    { .name = NULL },
};
