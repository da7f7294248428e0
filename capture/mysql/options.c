/* options.c - the settings of a MySQL or MariaDB source. */
#include "capture/mysql/internal.h"

const struct tr_option tr_mysql_options[] = {
    { .name = "server_id",
      .section = "source",
      .type = TR_OPTION_INT,
      .min = 1,
      .max = UINT32_MAX,
      .help =
          "MySQL, MariaDB: the id under which the log is read, unlike that of any server or replica (default: drawn at random)" },
    { .name = "gtid",
      .section = "source",
      .type = TR_OPTION_CHOICE,
      .value = "auto",
      .choices = "auto|off",
      .help = "MySQL, MariaDB: positions by GTID where the server writes them, or by file and offset only" },
    { .name = "heartbeat",
      .section = "source",
      .type = TR_OPTION_DURATION,
      .value = "1s",
      .min = 100000,
      .max = INT64_C(600000000),
      .help =
          "MySQL, MariaDB: how often an idle server says that it is there; three missing ones end the connection" },
    { .name = "lock_wait",
      .section = "source",
      .type = TR_OPTION_DURATION,
      .value = "10s",
      .min = 1000000,
      .max = INT64_C(3600000000),
      .help = "MySQL, MariaDB: the longest wait for the locks under which a cut is taken" },
    { .name = "cut_lock",
      .section = "source",
      .type = TR_OPTION_CHOICE,
      .value = "auto",
      .choices = "auto|none|tables|global",
      .help =
          "MySQL, MariaDB: what is locked for the moment of a cut: none (MariaDB alone), the task's tables, or everything; auto takes the "
          "first that works" },
    { .name = "part_size",
      .section = "source",
      .type = TR_OPTION_SIZE,
      .value = "128MiB",
      .min = 1 << 20,
      .max = INT64_C(1) << 50,
      .help = "MySQL, MariaDB: tables larger than this are read in parts, by ranges of their key" },
    { .name = NULL },
};
