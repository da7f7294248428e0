/*
 * replication.c - the stream itself: START_REPLICATION, frames in, status out.
 *
 * Protocol: "Streaming Replication Protocol" in PostgreSQL's manual. The server sends CopyData that begins with 'w' (XLogData: start, end,
 * time, bytes) or 'k' (keepalive: end, time, reply wanted); we send 'r' (standby status: written, flushed, applied, time, reply wanted).
 *
 * Reading in bursts: a walsender pays a send() per row, and a reader that sleeps in poll() makes each of them a wake-up. So when messages
 * come faster than they are waited for, the reader naps a short while instead of polling, and finds many at once; when the stream is
 * calm it blocks in poll(), so that a lone commit arrives without delay. A backlog is also known by its age: the commit time that a begin
 * message carries against the time the server sent it, both of the server's clock. And on loopback the receive window is small: once it is
 * closed, rows gather in the sender's buffer and leave in large segments, instead of each going down the whole network stack by itself; naps are
 * long enough there for this to be most of them. See docs/source-postgresql.md, "Reading in bursts".
 */
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

#include "capture/postgres/internal.h"
#include "core/clock.h"
#include "core/cursor.h"
#include "core/failpoint.h"

#define QUICK_US 200   /* the socket fills again within this: no pause worth a poll() */
#define QUICK_ENTER 16 /* so many times in a row: a backlog, not a small transaction */
#define NAP_MIN_US 50
#define NAP_START_US 300
#define NAP_MAX_US 500
#define NAP_WORTH_BYTES 512 /* a nap that brought less than this was not worth it... */
#define NAP_POOR_MAX \
    3 /* ...and so many in a row end the napping; a walsender that reads a page of log is no calm yet */
#define NAP_POOR_BEHIND 10   /* the same in a backlog: the server may be reading what is not for us */
#define FULL_READ_BYTES 6144 /* libpq reads at least 8 KiB at a time when there is as much */
#define NEAR_US 200          /* round trips below this: loopback, or the same rack */
#define LOOPBACK_MSS 32768   /* segments larger than any network's */
#define LOOPBACK_BUFFER \
    (64 << 10) /* smaller, and a full one drops small segments, which take many times their bytes of it */
#define FAR_BUFFER (4 << 20)
#define BEHIND_US 50000     /* commits older than this when they are sent: a backlog */
#define ACK_PAUSE_US 100000 /* between two status messages that only move the position */

/* ----------------------------------------------------------------------------------------------------------- start */

static int
protocol_of(int server_version)
{
    return server_version >= 160000 ? 4 : server_version >= 150000 ? 3 : server_version >= 140000 ? 2 : 1;
}

static bool
choice_is(const struct tr_postgres_source *source, const char *option, const char *value)
{
    const char *set = tr_setting_string(source->base.env->settings, option);
    return set != NULL && strcmp(set, value) == 0;
}

int
tr_postgres_negotiate(struct tr_postgres_source *source, struct tr_error *err)
{
    int newest = protocol_of(source->server_version);
    int limit = (int)tr_setting_int(source->base.env->settings, "protocol");
    source->format.protocol = limit < newest ? limit : newest;
    source->format.streaming = source->format.protocol >= 2 && !choice_is(source, "streaming", "off");
    source->format.binary = source->server_version >= 140000 && choice_is(source, "binary", "on");
    if (choice_is(source, "streaming", "on") && !source->format.streaming)
        return tr_fail(err, TR_CONFIG, "streaming: on needs PostgreSQL 14 or later, the source is %d",
                       source->server_version / 10000);
    if (choice_is(source, "origin", "none") && source->server_version < 160000)
        return tr_fail(err, TR_CONFIG, "origin: none needs PostgreSQL 16 or later, the source is %d",
                       source->server_version / 10000);
    return 0;
}

/* The replication grammar knows no E'': quotes are doubled, and that is all. */
static void
replication_literal(struct tr_buffer *sql, const char *text)
{
    tr_buffer_byte(sql, '\'');
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            tr_buffer_byte(sql, '\'');
        tr_buffer_byte(sql, *text);
    }
    tr_buffer_byte(sql, '\'');
}

static void
start_command(const struct tr_postgres_source *source, uint64_t position, struct tr_buffer *sql)
{
    char lsn[24];
    struct tr_buffer publication;
    tr_buffer_init(&publication, 1024);
    tr_pg_identifier(&publication, source->publication); /* the plugin reads a list of identifiers */
    tr_pg_lsn_text(position, lsn);
    tr_buffer_text(sql, "START_REPLICATION SLOT ");
    tr_pg_identifier(sql, source->slot);
    tr_buffer_printf(sql, " LOGICAL %s (proto_version '%d', publication_names ", lsn,
                     source->format.protocol);
    replication_literal(sql, publication.data);
    if (source->format.streaming)
        tr_buffer_printf(sql, ", streaming '%s'", source->format.protocol >= 4 ? "parallel" : "on");
    if (source->format.binary)
        tr_buffer_text(sql, ", binary 'true'");
    if (source->server_version >= 140000 && tr_setting_bool(source->base.env->settings, "messages"))
        tr_buffer_text(sql, ", messages 'true'");
    if (source->server_version >= 160000)
        tr_buffer_printf(sql, ", origin '%s'", tr_setting_string(source->base.env->settings, "origin"));
    tr_buffer_byte(sql, ')');
    tr_buffer_fini(&publication);
}

/*
 * The ways to a server. A nap in a backlog lasts until the sender's buffer holds so much; one that brought more was too long, for the sender must not
 * wait for us. TCP's buffer grows to megabytes, a Unix socket's holds about two hundred rows. The receive buffer: on loopback one whose window closes at
 * once, see above; near, what the kernel makes of it; far, one that lets the line be filled.
 */
static const struct tr_postgres_way WAYS[] = {
    [TR_POSTGRES_UNIX] = { .nap_us = 500, .full_bytes = 12 << 10 },
    [TR_POSTGRES_LOOPBACK] = { .nap_us = 20000, .full_bytes = 1 << 20, .receive_buffer = LOOPBACK_BUFFER },
    [TR_POSTGRES_NEAR] = { .nap_us = 20000, .full_bytes = 1 << 20 },
    [TR_POSTGRES_FAR] = { .nap_us = 5000, .full_bytes = 256 << 10, .receive_buffer = FAR_BUFFER },
};

static const struct tr_postgres_way *
way_to_server(int fd)
{
    struct tcp_info info;
    socklen_t len = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
        return &WAYS[TR_POSTGRES_UNIX];
    /* the least that was seen: the mean holds delayed acknowledgements and a busy machine's pauses */
    if (info.tcpi_min_rtt >= NEAR_US)
        return &WAYS[TR_POSTGRES_FAR];
    return &WAYS[info.tcpi_advmss >= LOOPBACK_MSS ? TR_POSTGRES_LOOPBACK : TR_POSTGRES_NEAR];
}

/* The kernel gives less where net.core.rmem_max says so: then its own growing of the buffer is the better deal, and nothing is set. */
static void
size_receive_buffer(int fd, int size)
{
    FILE *limit = fopen("/proc/sys/net/core/rmem_max", "re");
    long most = 0;
    if (limit != NULL) {
        if (fscanf(limit, "%ld", &most) != 1)
            most = 0;
        fclose(limit);
    }
    if (most >= size)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
}

static void
choose_way(struct tr_postgres_source *source)
{
    int fd = PQsocket(source->repl);
    source->reading.way = way_to_server(fd);
    if (source->reading.way->receive_buffer > 0)
        size_receive_buffer(fd, source->reading.way->receive_buffer);
}

/* Whoever holds the slot may be our own predecessor whose server process has not noticed its end yet: wait, with a bound. */
static int
wait_for_slot(struct tr_postgres_source *source, int64_t deadline, struct tr_error *err)
{
    struct tr_postgres_slot slot;
    int rc = tr_postgres_slot_look(source, &slot, err);
    if (rc < 0)
        return rc;
    if (!slot.active)
        return 0;
    if (source->busy_since_us == 0) {
        source->busy_since_us = tr_clock_us();
        tr_log(source->base.env->log, TR_LOG_WARNING, "capture",
               "slot %s is in use by server process %d: waiting for it", source->slot, slot.active_pid);
    }
    if (tr_clock_us() >= deadline) {
        tr_fail(err, TR_REFUSED,
                "slot %s is in use by server process %d: two readers would each get a part of the changes",
                source->slot, slot.active_pid);
        return tr_error_hint(err,
                             "stop the other task, or, when it is gone: SELECT pg_terminate_backend(%d);",
                             slot.active_pid);
    }
    rc = tr_pg_wait(source->query, false, source->interrupt_fd, 200000, err);
    return rc < 0 ? rc : 0;
}

/* What the server cannot give again is no matter of retrying. */
static int
refuse_lost(const struct tr_postgres_source *source, int rc, struct tr_error *err)
{
    if (strcmp(err->sqlstate, "42704") == 0) {
        err->class = TR_REFUSED;
        return tr_error_hint(
            err,
            "the log is decoded with the catalogue of its time, so publication %s made anew does not bring back "
            "what came before it: load the tables again (tailrace reload --all)",
            source->publication);
    }
    if (strcmp(err->sqlstate, "58P01") == 0 || strcmp(err->sqlstate, "55000") == 0) {
        err->class = TR_REFUSED;
        return tr_error_hint(
            err,
            "the server no longer holds the log that the task needs: load the tables again (tailrace reload --all), and "
            "see max_slot_wal_keep_size");
    }
    return rc;
}

static int
send_start(struct tr_postgres_source *source, const char *sql, struct tr_error *err)
{
    int64_t deadline = tr_clock_us() + tr_setting_int(source->base.env->settings, "slot_timeout");
    for (;;) {
        PGresult *res;
        int rc = tr_pg_exec(source->repl, source->interrupt_fd, sql, &res, err);
        if (rc == 0 && PQresultStatus(res) != PGRES_COPY_BOTH)
            rc = tr_fail(err, TR_FATAL, "the server did not begin to stream");
        if (rc == 0)
            PQclear(res);
        if (rc == 0 || strcmp(err->sqlstate, "55006") != 0)
            return rc < 0 ? (tr_error_prefix(err, "cannot stream from slot %s", source->slot),
                             refuse_lost(source, rc, err))
                          : 0;
        rc = wait_for_slot(source, deadline, err);
        if (rc < 0)
            return rc;
    }
}

/* A06, A08, A22: what the slot has confirmed is gone for us; a position before it would leave a gap that nobody sees. */
static int
check_reach(struct tr_postgres_source *source, uint64_t position, struct tr_error *err)
{
    struct tr_postgres_slot slot;
    int rc = tr_postgres_slot_look(source, &slot, err);
    if (rc == 0)
        rc = tr_postgres_slot_fit(source, &slot, err);
    if (rc < 0)
        return rc;
    char have[24], want[24];
    tr_pg_lsn_text(slot.confirmed_lsn, have);
    tr_pg_lsn_text(position, want);
    if (position < slot.confirmed_lsn) {
        tr_fail(
            err, TR_REFUSED,
            "slot %s reaches back to %s only, the task would go on from %s: changes between them are lost for it",
            source->slot, have, want);
        return tr_error_hint(
            err,
            "the slot was made anew or moved by another reader, or the target was restored from a backup: load the "
            "tables again (tailrace reload --all), or drop the task's state and start anew");
    }
    source->acknowledged = source->wanted_ack = slot.confirmed_lsn;
    return 0;
}

int
tr_postgres_start(struct tr_source *base, const char *position, struct tr_error *err)
{
    struct tr_postgres_source *source = tr_postgres(base);
    uint64_t lsn;
    if (!tr_pg_lsn_parse(position, &lsn))
        return tr_fail(err, TR_REFUSED, "\"%s\" is not a position of a PostgreSQL source", position);
    int rc = check_reach(source, lsn, err);
    tr_postgres_stream_end(source);
    if (rc == 0 && source->repl == NULL)
        rc = tr_postgres_connect(source, "stream", true, &source->repl, err);
    if (rc < 0)
        return rc;
    struct tr_buffer sql;
    tr_buffer_init(&sql, 8192);
    start_command(source, lsn, &sql);
    TR_FAILPOINT("capture.postgresql.start");
    rc = send_start(source, sql.data, err);
    tr_buffer_fini(&sql);
    if (rc < 0)
        return rc;
    PQsetnonblocking(source->repl, 1);
    prctl(PR_SET_TIMERSLACK, 1000UL); /* this thread's naps are to be as short as asked */
    choose_way(source);
    source->streaming = true;
    source->server_end = lsn;
    source->status_us = tr_clock_us();
    return 0;
}

void
tr_postgres_stream_end(struct tr_postgres_source *source)
{
    if (source->reading.message != NULL)
        PQfreemem(source->reading.message);
    source->reading = (struct tr_postgres_reading){ 0 };
    source->reply_requested = false;
    if (!source->streaming)
        return;
    source->streaming = false;
    tr_pg_close(source->repl);
    source->repl = NULL;
}

/* ------------------------------------------------------------------------------------------------------------ read */

static void
set_behind(struct tr_postgres_reading *reading, bool behind)
{
    reading->behind = behind;
    if (behind && reading->nap_us == 0)
        reading->nap_us = NAP_START_US;
}

/*
 * How old is what the server sends? Begin: Byte1 'B', Int64 LSN, Int64 commit time, Int32 xid. Stream Start (Byte1 'S', Int32 xid, Int8 first) brings a large
 * transaction that is still open, so that nobody waits for its rows.
 */
static void
note_age(struct tr_postgres_reading *reading, const struct tr_frame *frame)
{
    if (frame->len == 6 && frame->data[0] == 'S')
        set_behind(reading, true);
    if (frame->len < 17 || frame->data[0] != 'B')
        return;
    struct tr_cursor cur = tr_cursor(frame->data + 9, 8);
    uint64_t committed_us = tr_cursor_u64be(&cur) +
                            (uint64_t)TR_PG_EPOCH_US; /* unsigned: a hostile clock may wrap */
    set_behind(reading, (int64_t)((uint64_t)frame->sent_us - committed_us) > BEHIND_US);
}

static int
unwrap(struct tr_postgres_source *source, const char *data, size_t len, struct tr_frame *frame,
       struct tr_error *err)
{
    struct tr_cursor cur = tr_cursor(data, len);
    uint8_t kind = tr_cursor_u8(&cur);
    if (kind == 'w') {
        frame->kind = TR_FRAME_LOG;
        frame->order = tr_cursor_u64be(&cur);
        frame->end = tr_cursor_u64be(&cur);
    } else if (kind == 'k') {
        frame->kind = TR_FRAME_KEEPALIVE;
        frame->order = frame->end = tr_cursor_u64be(&cur);
    } else {
        return tr_fail(err, TR_FATAL, "the server sent a replication message of the unknown kind 0x%02x",
                       kind);
    }
    frame->sent_us = (int64_t)(tr_cursor_u64be(&cur) + (uint64_t)TR_PG_EPOCH_US);
    if (kind == 'k' && tr_cursor_u8(&cur) != 0)
        source->reply_requested = true;
    if (cur.failed)
        return tr_fail(err, TR_FATAL, "the server sent a replication message of %zu bytes that is cut short",
                       len);
    frame->data = cur.at;
    frame->len = tr_cursor_left(&cur);
    if (frame->end > source->server_end)
        source->server_end = frame->end;
    note_age(&source->reading, frame);
    return 1;
}

/* The stream is over: an error of the server's, its shutdown, or a lost connection. */
static int
stream_over(struct tr_postgres_source *source, int n, struct tr_error *err)
{
    PGresult *res = PQgetResult(source->repl);
    if (n == -1 && (res == NULL || PQresultStatus(res) != PGRES_FATAL_ERROR)) {
        PQclear(res);
        return tr_fail(err, TR_RETRY, "source: the server ended the stream");
    }
    int rc = tr_pg_fail(err, source->repl, res, "source: the stream from slot %s broke off", source->slot);
    PQclear(res);
    return refuse_lost(source, rc, err);
}

static void
nap(int64_t us)
{
    struct timespec wait = { us / TR_US_PER_S, us % TR_US_PER_S * 1000 };
    clock_nanosleep(CLOCK_MONOTONIC, 0, &wait, NULL);
}

/* Polling so far: does the socket fill so fast that napping pays? */
static void
judge_polling(struct tr_postgres_reading *reading, uint64_t burst)
{
    if (burst == 0)
        return;
    int64_t now = tr_clock_us();
    reading->quick = now - reading->dry_us < QUICK_US ? reading->quick + 1 : 0;
    reading->dry_us = now;
    reading->poor = 0;
    if (reading->quick >= QUICK_ENTER)
        reading->nap_us = NAP_START_US;
}

/* A nap must not outlast the room in the buffers on the way, or the sender waits for us. */
static void
judge_nap(struct tr_postgres_reading *reading, uint64_t burst)
{
    const struct tr_postgres_way *way = reading->way;
    int64_t longest = reading->behind ? way->nap_us : NAP_MAX_US;
    reading->quick = 0;
    reading->poor = burst < NAP_WORTH_BYTES ? reading->poor + 1 : 0;
    if (burst > way->full_bytes)
        reading->nap_us = reading->nap_us * 3 / 4;
    else if (burst > NAP_WORTH_BYTES && burst < way->full_bytes / 2)
        reading->nap_us = reading->nap_us * 9 / 8;
    if (reading->nap_us > longest)
        reading->nap_us = longest;
    if (reading->nap_us < NAP_MIN_US)
        reading->nap_us = NAP_MIN_US;
    if (reading->poor >= (reading->behind ? NAP_POOR_BEHIND : NAP_POOR_MAX)) {
        reading->behind = false;
        reading->nap_us = 0;
    }
}

/* The socket has run dry: decide how the next bytes are waited for, by what came since it was dry before. */
static void
judge_burst(struct tr_postgres_reading *reading)
{
    uint64_t burst = reading->burst;
    reading->burst = 0;
    if (reading->nap_us == 0)
        judge_polling(reading, burst);
    else
        judge_nap(reading, burst);
}

/*
 * In a calm stream each commit is a few small segments. The kernel may put off acknowledging them for 40 ms, and a sender whose congestion window is small just
 * then holds the next commit back for so long. It forgets what it was told as soon as it has acknowledged: hence before each read. tcp(7), TCP_QUICKACK.
 */
static void
acknowledge_at_once(struct tr_postgres_source *source)
{
    int on = 1;
    if (source->reading.nap_us == 0)
        setsockopt(PQsocket(source->repl), IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

/* Nothing is there. 1 = look into the socket (again), 0 = the caller's time is up. */
static int
rest(struct tr_postgres_source *source, int64_t left_us, bool look, struct tr_error *err)
{
    int64_t nap_us = source->reading.nap_us;
    if (left_us <= 0)
        return look;
    if (nap_us == 0)
        return tr_pg_wait(source->repl, false, source->interrupt_fd, left_us, err);
    nap(nap_us < left_us ? nap_us : left_us);
    return 1;
}

int
tr_postgres_read(struct tr_source *base, struct tr_frame *frame, int64_t wait_us, struct tr_error *err)
{
    struct tr_postgres_source *source = tr_postgres(base);
    struct tr_postgres_reading *reading = &source->reading;
    int64_t deadline = 0;
    if (reading->message != NULL)
        PQfreemem(reading->message);
    reading->message = NULL;
    if (!source->streaming)
        return tr_fail(err, TR_FATAL, "source: read before start");
    for (bool looked = false;; looked = true) {
        int n = PQgetCopyData(source->repl, &reading->message, 1);
        reading->taken += n > 0 ? (uint64_t)n + 5 : 0;
        if (n > 0)
            return unwrap(source, reading->message, (size_t)n, frame, err);
        if (n < 0)
            return stream_over(source, n, err);
        bool more = reading->taken >= FULL_READ_BYTES; /* the last read was full: the kernel has the rest */
        reading->burst += reading->taken;
        reading->taken = 0;
        if (!more) {
            /* In a burst a caller who does not wait is told at once, and looks into the socket the second time only. */
            bool look = !looked && (reading->nap_us == 0 || reading->judged);
            if (!reading->judged)
                judge_burst(reading);
            reading->judged = true;
            if (wait_us > 0 && deadline == 0)
                deadline = tr_clock_us() + wait_us;
            int rc = rest(source, wait_us > 0 ? deadline - tr_clock_us() : 0, look, err);
            if (rc <= 0)
                return rc;
        }
        reading->judged = false;
        acknowledge_at_once(source);
        if (PQconsumeInput(source->repl) == 0)
            return stream_over(source, -2, err);
    }
}

/* ----------------------------------------------------------------------------------------------------- acknowledge */

static void
put_u64(uint8_t *to, uint64_t n)
{
    n = __builtin_bswap64(n);
    memcpy(to, &n, sizeof n);
}

static int
send_status(struct tr_postgres_source *source, uint64_t lsn, bool ask, struct tr_error *err)
{
    uint8_t status[34] = { 'r' };
    status[33] = ask;          /* a keepalive in return: how far has the server read? */
    put_u64(status + 1, lsn);  /* written */
    put_u64(status + 9, lsn);  /* flushed: what the slot's confirmed position becomes */
    put_u64(status + 17, lsn); /* applied */
    put_u64(status + 25, (uint64_t)(tr_wall_clock_us() - TR_PG_EPOCH_US));
    TR_FAILPOINT("capture.postgresql.acknowledge");
    int rc = PQputCopyData(source->repl, (const char *)status, sizeof status);
    if (rc < 0 || (rc > 0 && PQflush(source->repl) < 0))
        return tr_pg_fail(err, source->repl, NULL, "source: cannot send the position to the server");
    if (rc == 0)
        return 0; /* the socket is full: the server is busy sending, the next call tries again */
    source->acknowledged = lsn;
    source->status_us = tr_clock_us();
    source->reply_requested = false;
    return 0;
}

int
tr_postgres_acknowledge(struct tr_source *base, const char *position, bool urgent, struct tr_error *err)
{
    struct tr_postgres_source *source = tr_postgres(base);
    uint64_t lsn = source->wanted_ack;
    if (!source->streaming)
        return 0;
    if (position != NULL && !tr_pg_lsn_parse(position, &lsn))
        return tr_fail(err, TR_FATAL, "source: \"%s\" to acknowledge is not a position", position);
    if (lsn < source->wanted_ack)
        return tr_fail(err, TR_FATAL, "source: the position to acknowledge, %s, went backwards", position);
    source->wanted_ack = lsn;
    int64_t quiet_us = tr_clock_us() - source->status_us;
    bool moved = lsn > source->acknowledged;
    if (!urgent && !source->reply_requested && quiet_us < (moved ? ACK_PAUSE_US : source->status_interval_us))
        return 0;
    return send_status(source, lsn, !moved && !urgent && !source->reply_requested, err);
}
