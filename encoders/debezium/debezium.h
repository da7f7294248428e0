/* json.h - the encoder of change events in the form that consumers of Debezium's JSON already read. docs/events.md */
#ifndef TR_ENCODERS_DEBEZIUM_DEBEZIUM_H
#define TR_ENCODERS_DEBEZIUM_DEBEZIUM_H

#include "encoders/encoder.h"

extern const struct tr_encoder_class tr_debezium_json_encoder;
extern const struct tr_encoder_class tr_plain_json_encoder; /* the new row and a few facts; no envelope */

#endif
