/*
 * identity.c - which server a position belongs to: "flavour=mysql;uuid=UUID;server_id=N".
 *
 * GTIDs mean the same on every server of a topology, so a checkpoint with GTIDs is taken up on another one, if that one holds all of it; a file and
 * an offset mean nothing there, and leave the checkpoint. On the same server they tell whether its log is still the one that was read (same_log.c).
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "capture/mysql/internal.h"

int
tr_mysql_identity(struct tr_source *base, struct tr_identity *identity, struct tr_error *err)
{
    struct tr_mysql_source *source = tr_mysql(base);
    (void)err;
    snprintf(identity->text, sizeof identity->text, "flavour=%s;uuid=%s;server_id=%" PRIu64,
             base->class->name, source->server_uuid, source->server_id);
    return 0;
}

struct saved {
    char flavour[16];
    char uuid[40];
    uint64_t server_id;
};

static bool
parse(const char *text, struct saved *saved)
{
    memset(saved, 0, sizeof *saved);
    const char *uuid = strstr(text, ";uuid="), *id = strstr(text, ";server_id=");
    if (strncmp(text, "flavour=", 8) != 0 || uuid == NULL || id == NULL || id < uuid ||
        uuid - text - 8 >= (int)sizeof saved->flavour || id - uuid - 6 >= (int)sizeof saved->uuid)
        return false;
    memcpy(saved->flavour, text + 8, (size_t)(uuid - text - 8));
    memcpy(saved->uuid, uuid + 6, (size_t)(id - uuid - 6));
    return sscanf(id, ";server_id=%" SCNu64, &saved->server_id) == 1;
}

static bool
same_server(const struct tr_mysql_source *source, const struct saved *saved)
{
    if (saved->uuid[0] != '\0' && source->server_uuid[0] != '\0')
        return strcmp(saved->uuid, source->server_uuid) == 0;
    return saved->server_id == source->server_id;
}

/* The nodes of a cluster may all have one server id, and each has files of its own. */
static bool
same_files(const struct tr_mysql_source *source, const struct saved *saved)
{
    return same_server(source, saved) && (source->server_uuid[0] != '\0' || !source->clustered);
}

static int
other_server(struct tr_mysql_source *source, const struct saved *saved,
             const struct tr_mysql_position *position, struct tr_error *err)
{
    if (source->gtid && position->has_gtid) {
        tr_log(source->base.env->log, TR_LOG_INFO, "capture",
               "the source is another server than before (server id %" PRIu64 ", now %" PRIu64
               "): taken up by GTID",
               saved->server_id, source->server_id);
        return 0;
    }
    tr_fail(err, TR_REFUSED,
            "the checkpoint was taken from another server (server id %" PRIu64
            ", uuid %s; this one is %" PRIu64 ", %s), and "
            "without GTIDs its position means nothing here",
            saved->server_id, saved->uuid[0] != '\0' ? saved->uuid : "unknown", source->server_id,
            source->server_uuid[0] != '\0' ? source->server_uuid : "unknown");
    return tr_error_hint(
        err, "point the task to the server it was made for, or load the tables again (tailrace reload)");
}

int
tr_mysql_identity_check(struct tr_source *base, const struct tr_identity *identity, const char *text,
                        struct tr_error *err)
{
    struct tr_mysql_source *source = tr_mysql(base);
    struct tr_mysql_position position;
    struct saved saved;
    if (!parse(identity->text, &saved) || strcmp(saved.flavour, base->class->name) != 0) {
        tr_fail(err, TR_REFUSED, "the checkpoint was not taken from a %s source (\"%.100s\")",
                base->class->name, identity->text);
        return tr_error_hint(
            err,
            "the task's name was used before with another source: choose another name, or drop its state");
    }
    bool placed = tr_mysql_position_parse(text, &position);
    int rc = same_server(source, &saved) ? 0 : other_server(source, &saved, &position, err);
    if (rc == 0 && placed)
        rc = tr_mysql_log_reaches(source, &position, err);
    if (rc == 0 && placed && position.has_file && same_files(source, &saved))
        rc = tr_mysql_same_log(source, &position, err);
    if (rc == 0 && placed && position.has_file && same_files(source, &saved))
        rc = tr_mysql_all_named(source, &position, err);
    tr_mysql_position_fini(&position);
    return rc;
}

bool
tr_mysql_portable(struct tr_source *base, const struct tr_identity *identity, const char *text, char *out,
                  size_t size)
{
    struct tr_mysql_source *source = tr_mysql(base);
    struct tr_mysql_position position;
    struct saved saved;
    struct tr_buffer buffer;
    if (!parse(identity->text, &saved) || same_server(source, &saved))
        return false;
    tr_buffer_init(&buffer, size);
    bool good = tr_mysql_position_parse(text, &position) && position.has_gtid;
    position.has_file = false;
    if (good)
        tr_mysql_position_text(&position, &buffer);
    good = good && !buffer.overflow && buffer.len < size;
    if (good)
        memcpy(out, buffer.data, buffer.len + 1);
    tr_buffer_fini(&buffer);
    tr_mysql_position_fini(&position);
    return good;
}
