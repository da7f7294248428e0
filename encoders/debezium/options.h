/* options.h - the settings of the format. */
#ifndef TR_ENCODERS_DEBEZIUM_OPTIONS_H
#define TR_ENCODERS_DEBEZIUM_OPTIONS_H

#include "core/option.h"

extern const struct tr_option json_options[];

const char *json_option_text(const struct tr_settings *settings,
                             const char *name); /* NULL when unset and without default */
bool json_option_bool(const struct tr_settings *settings, const char *name);
int json_option_int(const struct tr_settings *settings, const char *name);
int json_option_choice(const struct tr_settings *settings,
                       const char *name); /* its place among the choices, from 0 */

#endif
