/* loader.h - rows of the full load into tables: functions of struct tr_sink_class (sinks/sink.h). */
#ifndef TR_SINKS_MYSQL_LOADER_H
#define TR_SINKS_MYSQL_LOADER_H

#include "sinks/sink.h"

bool tr_my_loader_accepts(struct tr_sink *sink, const struct tr_relation *relation, const char *format);
int tr_my_loader_open(struct tr_sink *sink, const struct tr_relation *relation, const char *format,
                      struct tr_loader **loader, struct tr_error *err);
int tr_my_loader_write(struct tr_loader *loader, const char *data, size_t len, struct tr_error *err);
int tr_my_loader_rows(struct tr_loader *loader, const struct tr_batch *batch, struct tr_error *err);
int tr_my_loader_finish(struct tr_loader *loader, const struct tr_table_cut *table_done,
                        struct tr_error *err);
void tr_my_loader_close(struct tr_loader *loader);

#endif
