/* jsonl.h - changes as lines of JSON, into files (exactly once) or to standard output (at least once). docs/sink-file.md */
#ifndef TR_SINKS_JSONL_JSONL_H
#define TR_SINKS_JSONL_JSONL_H

#include "sinks/sink.h"

extern const struct tr_sink_class tr_jsonl_sink;  /* file:///directory */
extern const struct tr_sink_class tr_stdout_sink; /* stdout: */

#endif
