/*
 * position.c - positions of these sources: "gtid=SET;file=NAME;pos=N".
 *
 * The set says which transactions are contained, and is what counts where both have one; file and offset say the same for one server's log,
 * serve servers without GTIDs, and people. Either may be missing.
 */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/mysql/internal.h"
#include "core/memory.h"

#define TEXT_MAX ((size_t)16 << 20)

void
tr_mysql_position_fini(struct tr_mysql_position *position)
{
    tr_gtid_set_fini(&position->set);
    memset(position, 0, sizeof *position);
}

/* The value behind "key=", up to the next semicolon; NULL when the text does not begin with it. */
static const char *
field(const char *text, const char *key, size_t *len)
{
    size_t n = strlen(key);
    if (strncmp(text, key, n) != 0 || text[n] != '=')
        return NULL;
    *len = strcspn(text + n + 1, ";");
    return text + n + 1;
}

static bool
parse_offset(const char *text, size_t len, uint64_t *offset)
{
    *offset = 0;
    if (len == 0 || len > 15)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        *offset = *offset * 10 + (uint64_t)(text[i] - '0');
    }
    return *offset < UINT64_C(1) << 40;
}

bool
tr_mysql_position_parse(const char *text, struct tr_mysql_position *position)
{
    size_t len;
    const char *value;
    memset(position, 0, sizeof *position);
    if (text == NULL)
        return false;
    if ((value = field(text, "gtid", &len)) != NULL) {
        position->has_gtid = true;
        if (!tr_gtid_set_add(&position->set, value, len))
            return false;
        text = value + len + (value[len] == ';');
    }
    if ((value = field(text, "file", &len)) == NULL)
        return position->has_gtid && *text == '\0';
    if (len == 0 || len >= sizeof position->file || value[len] != ';')
        return false;
    position->has_file = true;
    memcpy(position->file, value, len);
    position->file[len] = '\0';
    value = field(value + len + 1, "pos", &len);
    return value != NULL && value[len] == '\0' && parse_offset(value, len, &position->offset);
}

void
tr_mysql_position_text(const struct tr_mysql_position *position, struct tr_buffer *out)
{
    if (position->has_gtid) {
        tr_buffer_text(out, "gtid=");
        tr_gtid_set_text(&position->set, out);
    }
    if (position->has_file)
        tr_buffer_printf(out, "%sfile=%s;pos=%" PRIu64, position->has_gtid ? ";" : "", position->file,
                         position->offset);
}

static int
compare_orders(const struct tr_mysql_position *a, const struct tr_mysql_position *b)
{
    uint64_t left = tr_mysql_position_order(a), right = tr_mysql_position_order(b);
    return left < right ? -1 : left > right;
}

/*
 * By their sets; where neither contains the other, or none is there, by place in the log. Equal sets are equal places, whatever else
 * (rotations, checkpoints of the server) lies between them.
 */
static int
compare(const struct tr_mysql_position *a, const struct tr_mysql_position *b)
{
    if (a->has_gtid && b->has_gtid) {
        bool in_b = tr_gtid_set_contains(&b->set, &a->set), in_a = tr_gtid_set_contains(&a->set, &b->set);
        if (in_a || in_b)
            return in_a && in_b ? 0 : in_b ? -1 : 1;
    }
    return a->has_file && b->has_file ? compare_orders(a, b) : INT_MIN;
}

int
tr_mysql_compare(const char *a, const char *b)
{
    struct tr_mysql_position left, right;
    bool good = tr_mysql_position_parse(a, &left);
    good = tr_mysql_position_parse(b, &right) && good;
    int order = good ? compare(&left, &right) : INT_MIN;
    tr_mysql_position_fini(&left);
    tr_mysql_position_fini(&right);
    return order;
}

/* The same position is asked for again and again while a table is behind its cut: it is parsed once. */
static const struct tr_mysql_position *
covers_position(struct tr_mysql_source *source, const char *text)
{
    if (source->covers_text != NULL && strcmp(source->covers_text, text) == 0)
        return &source->covers_position;
    free(source->covers_text);
    source->covers_text = NULL;
    tr_mysql_position_fini(&source->covers_position);
    if (!tr_mysql_position_parse(text, &source->covers_position))
        return NULL;
    source->covers_text = tr_strdup(text);
    return &source->covers_position;
}

bool
tr_mysql_covers(struct tr_source *base, const char *text, const struct tr_txn *txn)
{
    const struct tr_mysql_position *position = covers_position(tr_mysql(base), text);
    if (position == NULL)
        return false;
    if (position->has_gtid && txn->gtid != NULL)
        return tr_gtid_set_has(&position->set, txn->gtid);
    return position->has_file && txn->commit_order != 0 &&
           txn->commit_order < tr_mysql_position_order(position);
}

/* ------------------------------------------------------------------------------------------------------ checkpoints */

void
tr_mysql_fold(struct tr_mysql_progress *progress, uint64_t order)
{
    while (progress->count > 0 && progress->pending[progress->first].order < order) {
        const char *gtid = progress->pending[progress->first].gtid;
        if (progress->gtid)
            tr_gtid_set_add(&progress->set, gtid, strlen(gtid));
        progress->first = (progress->first + 1) % progress->capacity;
        progress->count--;
    }
}

static int
write_position(struct tr_mysql_progress *progress, const char *file, uint64_t offset, struct tr_arena *arena,
               const char **text, struct tr_error *err)
{
    struct tr_mysql_position position = {
        .set = progress->set, .has_gtid = progress->gtid, .has_file = file[0] != '\0', .offset = offset
    };
    snprintf(position.file, sizeof position.file, "%s", file);
    struct tr_buffer out;
    tr_buffer_init(&out, TEXT_MAX);
    tr_mysql_position_text(&position, &out);
    int rc = out.overflow ? tr_fail(err, TR_FATAL, "source: the position has more than 16 MiB of GTIDs") : 0;
    *text = tr_arena_copy(arena, out.data != NULL ? out.data : "", out.len);
    tr_buffer_fini(&out);
    return rc;
}

int
tr_mysql_checkpoint(struct tr_source *base, struct tr_batch *batch, const char **position,
                    struct tr_error *err)
{
    struct tr_mysql_progress *progress = &tr_mysql(base)->progress;
    for (uint32_t i = batch->ntxns; i > 0; i--) {
        const struct tr_txn *txn = &batch->txns[i - 1];
        if (!txn->ends)
            continue;
        tr_mysql_fold(progress, txn->end_order);
        return write_position(progress, txn->file != NULL ? txn->file : progress->file,
                              TR_BINLOG_OFFSET(txn->end_order), &batch->arena, position, err);
    }
    return tr_fail(err, TR_FATAL, "source: a batch without a commit has no checkpoint");
}

/* The frame is the newest thing read, so the file is the one in hand. Its `end` may be beyond all orders when a stop was reached. */
int
tr_mysql_keepalive_checkpoint(struct tr_source *base, const struct tr_frame *frame, struct tr_batch *batch,
                              const char **position, struct tr_error *err)
{
    struct tr_mysql_progress *progress = &tr_mysql(base)->progress;
    uint64_t order = TR_BINLOG_ORDER(progress->file_number, progress->offset);
    if (frame->end < order)
        order = frame->end;
    tr_mysql_fold(progress, order);
    return write_position(progress, progress->file, TR_BINLOG_OFFSET(order), &batch->arena, position, err);
}
