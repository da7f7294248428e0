/*
 * file.c - lines of JSON into files, exactly once over kills.
 *
 * Behind each batch the file and its length are noted; when the bytes are synced, that state travels with the batch's checkpoint into the offset
 * store, and a restart cuts the files back to it. Compressed files get a zstd frame border at each such point, so that a cut leaves whole frames.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "core/clock.h"
#include "core/failpoint.h"
#include "core/memory.h"
#include "core/url.h"
#include "sinks/jsonl/directory.h"
#include "sinks/jsonl/jsonl.h"
#include "sinks/jsonl/lines.h"

#define WRITE_BYTES ((size_t)1 << 20)
#define SYNC_BYTES ((uint64_t)16 << 20)
#define SYNC_US INT64_C(50000)

/* Behind this batch the files end here. */
struct mark {
    uint64_t sequence;
    uint64_t length;
    unsigned number;
};

struct file_sink {
    struct tr_sink base;
    struct directory dir;
    struct lines lines;
    ZSTD_CCtx *zstd; /* NULL = not compressed */
    struct tr_buffer packed;
    bool frame_open;
    bool sync;
    uint64_t rotate;
    int fd; /* -1 = no file yet */
    unsigned number;
    bool compressed;
    uint64_t length;
    bool full;             /* a write found no room */
    bool kept;             /* something of the files was told to be durable, now or by an earlier run */
    uint64_t unsynced;     /* bytes written since the last sync */
    int64_t unsynced_from; /* monotonic, when the oldest mark was made */
    struct mark *marks;
    size_t nmarks, marks_cap;
};

static const struct tr_option file_options[] = {
    { .name = "rotate",
      .section = "target",
      .type = TR_OPTION_SIZE,
      .value = "0B",
      .help = "begin a new file when this size is reached; 0 = never" },
    { .name = "compress",
      .section = "target",
      .type = TR_OPTION_CHOICE,
      .value = "none",
      .choices = "none|zstd",
      .help = "compression of the files" },
    { .name = "fsync",
      .section = "target",
      .type = TR_OPTION_BOOL,
      .value = "true",
      .help =
          "a checkpoint only moves past what is synced to the disk; false is exactly once over kills of the program only" },
    { .name = NULL },
};

static int
write_all(struct file_sink *sink, const char *bytes, size_t len, struct tr_error *err)
{
    while (len > 0) {
        TR_FAILPOINT("sink.jsonl.write");
        ssize_t n = write(sink->fd, bytes, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            int number = errno;
            bool full = number == ENOSPC || number == EDQUOT || number == EFBIG;
            tr_fail(err, full ? TR_RETRY : TR_FATAL, "cannot write to %s (file %06u): %s", sink->dir.path,
                    sink->number, strerror(number));
            sink->full = full;
            return number == EFBIG
                       ? tr_error_hint(err, "Raise the limit on the size of a file (ulimit -f), or give"
                                            " --rotate a size below it.")
                   : full ? tr_error_hint(err, "Make room there; the task goes on by itself.")
                          : -(int)err->class;
        }
        bytes += n;
        len -= (size_t)n;
        sink->length += (uint64_t)n;
        sink->unsynced += (uint64_t)n;
    }
    return 0;
}

static int
pack(struct file_sink *sink, ZSTD_EndDirective end, struct tr_error *err)
{
    ZSTD_inBuffer in = { sink->lines.out.data, sink->lines.out.len, 0 };
    for (size_t left = 1; left > 0 || in.pos < in.size;) {
        char *room = tr_buffer_reserve(&sink->packed, ZSTD_CStreamOutSize());
        ZSTD_outBuffer out = { room, ZSTD_CStreamOutSize(), 0 };
        left = ZSTD_compressStream2(sink->zstd, &out, &in, end);
        if (ZSTD_isError(left))
            return tr_fail(err, TR_FATAL, "cannot compress: %s", ZSTD_getErrorName(left));
        int rc = write_all(sink, room, out.pos, err);
        if (rc < 0)
            return rc;
        if (end == ZSTD_e_continue && in.pos == in.size)
            break;
    }
    sink->frame_open = end != ZSTD_e_end;
    return 0;
}

static int
open_next(struct file_sink *sink, struct tr_error *err)
{
    char *name = directory_name(&sink->dir, sink->number + 1, sink->zstd != NULL);
    int fd = directory_create(&sink->dir, name, err);
    free(name);
    if (fd < 0)
        return fd;
    sink->fd = fd;
    sink->number++;
    sink->compressed = sink->zstd != NULL;
    sink->length = 0;
    return 0;
}

/* Hand the lines gathered so far to the file. */
static int
write_lines(struct file_sink *sink, bool frame_border, struct tr_error *err)
{
    int rc = 0;
    if (sink->lines.out.len == 0 && !(frame_border && sink->frame_open))
        return 0;
    if (sink->fd < 0)
        rc = open_next(sink, err);
    if (rc == 0 && sink->zstd != NULL)
        rc = pack(sink, frame_border ? ZSTD_e_end : ZSTD_e_continue, err);
    else if (rc == 0)
        rc = write_all(sink, sink->lines.out.data, sink->lines.out.len, err);
    tr_buffer_reset(&sink->lines.out);
    return rc;
}

static int
drain_lines(void *arg, struct tr_error *err)
{
    return write_lines(arg, false, err);
}

/* ------------------------------------------------------------------------------------- durable */

static void
report(struct file_sink *sink)
{
    for (size_t i = 0; i < sink->nmarks; i++) {
        const struct mark *mark = &sink->marks[i];
        if (mark->number == 0) {
            sink->base.env->durable(sink->base.env->arg, mark->sequence, "");
            continue;
        }
        char *name = directory_name(&sink->dir, mark->number, sink->compressed);
        char *state = tr_asprintf("file=%s;length=%" PRIu64, name, mark->length);
        sink->base.env->durable(sink->base.env->arg, mark->sequence, state);
        sink->kept = true;
        free(state);
        free(name);
    }
    sink->nmarks = 0;
}

/* All that was written is durable, and said so. */
static int
sync_now(struct file_sink *sink, struct tr_error *err)
{
    if (sink->nmarks == 0)
        return 0;
    TR_FAILPOINT("sink.jsonl.sync");
    if (sink->sync && sink->unsynced > 0 && fdatasync(sink->fd) < 0)
        return tr_fail(err, errno == ENOSPC || errno == EDQUOT ? TR_RETRY : TR_FATAL,
                       "cannot sync %s (file %06u): %s", sink->dir.path, sink->number, strerror(errno));
    TR_FAILPOINT("sink.jsonl.synced");
    sink->unsynced = 0;
    report(sink);
    return 0;
}

static void
add_mark(struct file_sink *sink, uint64_t sequence)
{
    if (sink->nmarks == sink->marks_cap) {
        sink->marks_cap = sink->marks_cap > 0 ? 2 * sink->marks_cap : 64;
        sink->marks = tr_realloc(sink->marks, sink->marks_cap * sizeof(*sink->marks));
    }
    if (sink->nmarks == 0)
        sink->unsynced_from = tr_clock_us();
    sink->marks[sink->nmarks++] = (struct mark){ sequence, sink->length, sink->fd >= 0 ? sink->number : 0 };
}

/* Only at a checkpoint, so that no transaction's lines are spread over two files without need. */
static int
rotate(struct file_sink *sink, struct tr_error *err)
{
    int rc = sync_now(sink, err);
    if (rc < 0)
        return rc;
    if (close(sink->fd) < 0)
        rc = tr_fail(err, TR_FATAL, "cannot close %s (file %06u): %s", sink->dir.path, sink->number,
                     strerror(errno));
    sink->fd = -1;
    return rc < 0 ? rc : open_next(sink, err);
}

/* ---------------------------------------------------------------------------------------- life */

static void
file_close(struct tr_sink *base)
{
    struct file_sink *sink = (struct file_sink *)base;
    struct tr_error ignored;
    if (sink == NULL)
        return;
    if (sink->fd >= 0)
        close(sink->fd);
    /* What a full disk cut off before any checkpoint is of no use to anybody, and the next attempt needs the room. */
    if (sink->full && !sink->kept)
        (void)directory_remove_files(&sink->dir, &ignored);
    lines_close(&sink->lines);
    tr_buffer_fini(&sink->packed);
    ZSTD_freeCCtx(sink->zstd);
    directory_close(&sink->dir);
    free(sink->marks);
    free(sink);
}

static int
open_directory(struct file_sink *sink, struct tr_error *err)
{
    struct tr_url url;
    const struct tr_sink_env *env = sink->base.env;
    const char *text = tr_setting_string(env->settings, "target");
    int rc = tr_url_parse(text, &url, err);
    if (rc < 0)
        return rc;
    if (strncmp(text + strcspn(text, ":"), ":/", 2) != 0 || url.path == NULL || url.path[0] == '\0' ||
        (url.host != NULL && url.host[0] != '\0')) {
        tr_fail(err, TR_CONFIG, "the target names no directory");
        rc = tr_error_hint(err, "Write file:///absolute/directory, with three slashes.");
    } else {
        char *path = tr_asprintf("/%s", url.path);
        rc = directory_open(&sink->dir, path, env->task, env->log, err);
        free(path);
    }
    tr_url_fini(&url);
    return rc;
}

static int
file_open(const struct tr_sink_env *env, struct tr_sink **out, struct tr_error *err)
{
    struct file_sink *sink = tr_calloc(1, sizeof(*sink));
    sink->base.class = &tr_jsonl_sink;
    sink->base.env = env;
    sink->fd = sink->dir.fd = -1;
    sink->sync = tr_setting_bool(env->settings, "fsync");
    sink->rotate = (uint64_t)tr_setting_int(env->settings, "rotate");
    sink->lines.drain = drain_lines;
    sink->lines.arg = sink;
    sink->lines.high = WRITE_BYTES;
    tr_buffer_init(&sink->packed, 1 << 20);
    if (strcmp(tr_setting_string(env->settings, "compress"), "zstd") == 0)
        sink->zstd = ZSTD_createCCtx();
    *out = NULL;
    int rc = open_directory(sink, err);
    if (rc == 0)
        rc = lines_open(&sink->lines, env, err);
    if (rc < 0) {
        file_close(&sink->base);
        return rc;
    }
    *out = &sink->base;
    return 0;
}

/* "file=shop-000001.jsonl;length=1234" */
static bool
parse_state(const char *state, char **name, uint64_t *length)
{
    const char *semicolon = strstr(state, ";length=");
    char *end;
    if (strncmp(state, "file=", 5) != 0 || semicolon == NULL || strchr(state, '/') != NULL)
        return false;
    errno = 0;
    *length = strtoull(semicolon + 8, &end, 10);
    if (end == semicolon + 8 || *end != '\0' || errno != 0 || *length > INT64_MAX)
        return false;
    *name = tr_strndup(state + 5, (size_t)(semicolon - state - 5));
    return true;
}

static int
file_resume(struct tr_sink *base, const char *state, struct tr_error *err)
{
    struct file_sink *sink = (struct file_sink *)base;
    char *name;
    uint64_t length;
    if (state[0] == '\0')
        return directory_set_aside(&sink->dir, err);
    sink->kept = true;
    if (!parse_state(state, &name, &length))
        return tr_fail(err, TR_REFUSED, "the checkpoint's state of the target is none of a file: \"%.100s\"",
                       state);
    int fd = directory_cut_back(&sink->dir, name, length, &sink->number, &sink->compressed, err);
    free(name);
    if (fd < 0)
        return fd;
    sink->fd = fd;
    sink->length = length;
    if (sink->compressed == (sink->zstd != NULL))
        return 0;
    close(fd); /* `compress` was changed: go on in a new file */
    sink->fd = -1;
    return open_next(sink, err);
}

static int
file_write(struct tr_sink *base, struct tr_batch *batch, struct tr_error *err)
{
    struct file_sink *sink = (struct file_sink *)base;
    bool border = batch->checkpoint != NULL || batch->load_table != NULL;
    uint64_t sequence = batch->sequence;
    int rc = lines_batch(&sink->lines, batch, err);
    tr_batch_free(batch);
    if (rc == 0)
        rc = write_lines(sink, border, err);
    if (rc < 0)
        return rc;
    if (border)
        add_mark(sink, sequence);
    if (border && sink->rotate > 0 && sink->fd >= 0 && sink->length >= sink->rotate)
        return rotate(sink, err);
    if (sink->unsynced >= SYNC_BYTES || (sink->nmarks > 0 && tr_clock_us() - sink->unsynced_from >= SYNC_US))
        return sync_now(sink, err);
    return 0;
}

/* Called when nothing is waiting: the moment to sync, so that a lone commit is durable at once. */
static int
file_poll(struct tr_sink *base, int64_t wait_us, struct tr_error *err)
{
    struct file_sink *sink = (struct file_sink *)base;
    if (sink->nmarks > 0)
        return sync_now(sink, err);
    struct pollfd wake = { .fd = base->env->wake_fd, .events = POLLIN };
    poll(&wake, 1, (int)(wait_us / 1000));
    return 0;
}

static int
file_flush(struct tr_sink *base, int64_t deadline_us, struct tr_error *err)
{
    (void)deadline_us;
    return sync_now((struct file_sink *)base, err);
}

const struct tr_sink_class tr_jsonl_sink = {
    .name = "file",
    .schemes = "file",
    .capabilities = TR_SINK_STATE_IN_STORE | TR_SINK_ENCODES,
    .options = file_options,
    .open = file_open,
    .close = file_close,
    .resume = file_resume,
    .write = file_write,
    .poll = file_poll,
    .flush = file_flush,
};
