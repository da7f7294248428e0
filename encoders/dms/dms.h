/* dms.h - the encoder of change events in the form of AWS DMS's messages. docs/dms-json.md */
#ifndef TR_ENCODERS_DMS_DMS_H
#define TR_ENCODERS_DMS_DMS_H

#include "encoders/encoder.h"

extern const struct tr_encoder_class tr_dms_json_encoder;

#endif
