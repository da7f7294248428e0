/* tables.h - the target's tables, made before the load and finished after it: functions of struct tr_sink_class (sinks/sink.h). */
#ifndef TR_SINKS_MYSQL_TABLES_H
#define TR_SINKS_MYSQL_TABLES_H

#include "schema/ddl.h"
#include "sinks/mysql/internal.h"

int tr_my_prepare_tables(struct tr_sink *sink, const struct tr_schema *schema, struct tr_error *err);
int tr_my_reset_table(struct tr_sink *sink, const struct tr_relation *relation, struct tr_error *err);
int tr_my_finish_table(struct tr_sink *sink, const struct tr_schema *schema,
                       const struct tr_relation *relation, struct tr_error *err);
int tr_my_finish_tables(struct tr_sink *sink, const struct tr_schema *schema, struct tr_error *err);
/* fresh.c. The statements have made the table: until it is loaded in full it is made anew when they are others. */
int tr_my_note_fresh(struct tr_mysql_sink *sink, const struct tr_schema *schema, const struct tr_ddl *ddl,
                     uint32_t table, struct tr_error *err);
/* Drop such tables that were made by other statements than those, where nothing in them is somebody else's. Others are left alone. */
int tr_my_drop_outgrown(struct tr_mysql_sink *sink, const struct tr_schema *schema, const struct tr_ddl *ddl,
                        struct tr_error *err);
int tr_my_set_sequences(struct tr_sink *sink, const struct tr_schema *schema, struct tr_error *err);
int tr_my_compare_cascades(struct tr_sink *sink, const struct tr_schema *schema, struct tr_error *err);
int tr_my_compare_indexes(struct tr_sink *sink, const struct tr_table *table, struct tr_error *err);

#endif
