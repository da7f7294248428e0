/* avro.h - the encoder of change events in Confluent's wire format: Debezium's events in Avro, their schemas in a registry. docs/avro.md */
#ifndef TR_ENCODERS_AVRO_AVRO_H
#define TR_ENCODERS_AVRO_AVRO_H

#include "encoders/encoder.h"

extern const struct tr_encoder_class tr_debezium_avro_encoder;

#endif
