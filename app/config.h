/*
 * config.h - from what the user wrote (a task file, flags) to validated settings and chosen connectors.
 *
 * Two passes: the URLs' schemes pick the connectors, then their option tables are known and everything is validated by them.
 */
#ifndef TR_APP_CONFIG_H
#define TR_APP_CONFIG_H

#include "app/entries.h"
#include "app/registry.h"
#include "core/option.h"

/* Options of the process rather than of the task: logging and progress. */
extern const struct tr_option tr_process_options[];

struct tr_config {
    struct tr_settings *settings; /* task, process and both connectors */
    struct tr_settings *command;  /* the command's own options (tr_config_request.command_options) */
    const struct tr_source_class *source;
    const struct tr_sink_class *sink;
    const struct tr_encoder_class *encoder;    /* for a sink that publishes, else NULL */
    const struct tr_offset_store_class *store; /* NULL only in a registry without stores */
    char **notes;                              /* warnings for the log once there is one */
    size_t nnotes;
};

struct tr_config_request {
    const struct tr_registry *registry;
    const struct tr_option *command_options; /* section "command"; may be NULL */
    int argc;                                /* what follows the command's name */
    char **argv;                             /* secrets in it are overwritten once they are read */
};

/* The whole way. TR_CONFIG with file and line, or the flag, in the message. tr_config_fini in any case. */
int tr_config_load(const struct tr_config_request *request, struct tr_config *config, struct tr_error *err);
void tr_config_fini(struct tr_config *config);

/* --- its parts, for tests --- */

/* Split the command line: flags into `flags`, the one task file (or NULL) into *file (borrowed from argv). */
int tr_config_parse_flags(const struct tr_config_request *request, struct tr_entries *flags,
                          const char **file, struct tr_error *err);

/* Choose connectors and validate; flags win over the file. */
int tr_config_build(const struct tr_config_request *request, const struct tr_entries *file,
                    const struct tr_entries *flags, struct tr_config *config, struct tr_error *err);

/* --- shared by its files --- */

/* All options of all connectors; of several with one section and name the first. For names and bools before the connectors are known. */
struct tr_settings *tr_config_all_options(const struct tr_registry *registry);

/* Which option a flag means. *negated: it was --no-NAME of a bool. NULL with err set when none or several fit. */
const struct tr_option *tr_config_flag_option(const struct tr_settings *settings, const char *flag,
                                              bool *negated, struct tr_error *err);

/* Overwrite the secret parts of argv, so that the process list does not show them. */
void tr_config_hide_secrets(const struct tr_config_request *request);

#endif
