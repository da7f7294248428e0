/* help.h - help, the manual page and the options' reference, all made from the tables that validate. */
#ifndef TR_APP_HELP_H
#define TR_APP_HELP_H

#include "app/registry.h"
#include "core/buffer.h"

enum tr_help_format { TR_HELP_TEXT, TR_HELP_MAN, TR_HELP_MARKDOWN };

/* `tailrace --help`: commands and connectors. */
void tr_help_overview(const struct tr_registry *registry, struct tr_buffer *out);

/* `tailrace COMMAND --help`: about the command, then all options by section and connector. False when there is no such command. */
bool tr_help_command(const struct tr_registry *registry, const char *command, struct tr_buffer *out);

/* Every option in the chosen form; TR_HELP_MAN is the whole page tailrace(1). */
void tr_help_reference(const struct tr_registry *registry, enum tr_help_format format, struct tr_buffer *out);

#endif
