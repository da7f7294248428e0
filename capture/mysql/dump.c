/*
 * dump.c - the bytes of the server's dump thread.
 *
 * The client library connects and sends the command; the stream behind it is read here, straight from the socket in large pieces, and events
 * are handed out where they lie. With TLS the library must read: a thread of its own does, and passes the packets on through a socket
 * pair in their own framing, so that the reading below is the same.
 *
 * Packet: uint24 length, uint8 number, payload; a payload of 2^24 - 1 bytes goes on in the next packet. The payload begins with 0 (an event
 * follows), 0xfe (the end) or 0xff (an error).
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "capture/mysql/internal.h"
#include "core/clock.h"
#include "core/memory.h"

#define FIRST_BUFFER ((size_t)1 << 20)
#define KEPT_BUFFER ((size_t)4 << 20) /* a larger one was for one event, and is given back */
#define MAX_EVENT (((size_t)1 << 30) + ((size_t)1 << 20))
#define PACKET_HEADER 4
#define PACKET_MAX 0xffffffU
#define RECEIVE_BUFFER (4 << 20)
#define SILENT_PERIODS 3 /* heartbeats that may be missing */
#define LEAST_PATIENCE_US (10 * TR_US_PER_S)
#define ID_WAIT_PERIODS 3 /* heartbeats, of which a server needs two to see that its reader is gone */
#define ID_WAIT_US (3 * TR_US_PER_S)
#define LONGEST_ID_WAIT_US (30 * TR_US_PER_S)
#define COMMAND_DUMP 18
#define COMMAND_DUMP_GTID 30

/* Naps: see tr_postgres_reading. A server that sends event by event costs a wake-up each unless we let some gather. */
#define NAP_US 250
#define NAP_IF_WITHIN_US 500
#define BUSY_WAKES 8

struct tr_mysql_dump {
    MYSQL *conn;
    int fd; /* what is read: the socket, or our end of the pair */
    uint8_t *buffer;
    size_t capacity;
    size_t start, end; /* bytes not handed out yet */
    size_t skip;       /* of them, those that the last packet occupies: gone at the next call */
    uint8_t number;    /* of the next packet */
    bool numbered;
    int64_t heard_us; /* monotonic */
    int64_t patience_us;
    int64_t dry_us;
    int busy;       /* times in a row that the socket did not stay empty for long */
    uint32_t id;    /* ours, as a replica */
    pthread_t pump; /* TLS */
    bool pumping;
    int pump_fd; /* its end of the pair */
};

/* -------------------------------------------------------------------------------------------------------- TLS: the pump */

static bool
send_all(int fd, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        bytes += n;
        len -= (size_t)n;
    }
    return true;
}

/* As the server would have sent it, without numbers: the library has checked those. */
static bool
pass_on(int fd, const uint8_t *payload, size_t len)
{
    for (;;) {
        size_t part = len < PACKET_MAX ? len : PACKET_MAX;
        uint8_t header[PACKET_HEADER] = { (uint8_t)part, (uint8_t)(part >> 8), (uint8_t)(part >> 16), 0 };
        if (!send_all(fd, header, sizeof header) || !send_all(fd, payload, part))
            return false;
        if (part < PACKET_MAX)
            return true;
        payload += part;
        len -= part;
    }
}

/* The library has taken an error packet apart: it is put together again for the reader. */
static void
pass_error(struct tr_mysql_dump *dump)
{
    uint8_t packet[600];
    unsigned number = mysql_errno(dump->conn);
    int len = snprintf((char *)packet + 3, sizeof packet - 3, "#%.5s%.500s", mysql_sqlstate(dump->conn),
                       mysql_error(dump->conn));
    packet[0] = 0xff;
    packet[1] = (uint8_t)number;
    packet[2] = (uint8_t)(number >> 8);
    pass_on(dump->pump_fd, packet, 3 + (size_t)len);
}

static void *
pump_main(void *arg)
{
    struct tr_mysql_dump *dump = arg;
    for (;;) {
        unsigned long len = mysql_net_read_packet(dump->conn);
        if ((unsigned)len == (unsigned)packet_error) {
            pass_error(dump);
            break;
        }
        if (!pass_on(dump->pump_fd, dump->conn->net.read_pos, len))
            break;
    }
    shutdown(dump->pump_fd, SHUT_RDWR);
    return NULL;
}

static int
start_pump(struct tr_mysql_dump *dump, struct tr_error *err)
{
    int pair[2], size = RECEIVE_BUFFER;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return tr_fail(err, TR_FATAL, "source: no socket pair: %s", strerror(errno));
    dump->fd = pair[0];
    dump->pump_fd = pair[1];
    setsockopt(dump->pump_fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    dump->pumping = pthread_create(&dump->pump, NULL, pump_main, dump) == 0;
    return dump->pumping ? 0 : tr_fail(err, TR_FATAL, "source: no thread for reading the log");
}

static void
stop_pump(struct tr_mysql_dump *dump)
{
    if (dump->pump_fd < 0)
        return;
    shutdown((int)mysql_get_socket(dump->conn), SHUT_RDWR);
    shutdown(dump->fd, SHUT_RDWR);
    if (dump->pumping)
        pthread_join(dump->pump, NULL);
    close(dump->fd);
    close(dump->pump_fd);
}

/* --------------------------------------------------------------------------------------------------------- opening */

/*
 * A server throws out who reads its log under an id that comes once more, and MariaDB has been seen to crash over that: so an id is used once. Replicas of
 * people have small numbers; a random one of the upper half meets nobody's.
 */
static uint32_t
draw_id(const struct tr_mysql_source *source)
{
    uint32_t id = 0;
    do {
        if (getrandom(&id, sizeof id, GRND_NONBLOCK) != sizeof id)
            id = (uint32_t)tr_clock_us() * 2654435761U;
        id = (id & 0x3fffffff) | 0x80000000U;
    } while (id == source->own_id || id == source->server_id);
    return id;
}

/*
 * An id that the user gave is taken up again by every connection. The one before it may still be there: the server notices the end of its reader at a heartbeat. It is
 * waited for by a lock that it holds by name, and which goes with it. Who holds it for longer is another task, or is cut off from us: the server throws it out.
 */
static int
wait_for_id(struct tr_mysql_source *source, struct tr_mysql_dump *dump, struct tr_error *err)
{
    char sql[128], *got;
    int64_t wait_us = ID_WAIT_PERIODS * source->heartbeat_us + ID_WAIT_US;
    if (wait_us > LONGEST_ID_WAIT_US)
        wait_us = LONGEST_ID_WAIT_US;
    snprintf(sql, sizeof sql, "SELECT GET_LOCK('tailrace server id %" PRIu32 "', %" PRId64 ".%06d)", dump->id,
             wait_us / TR_US_PER_S, (int)(wait_us % TR_US_PER_S));
    int rc = tr_mysql_query_text(dump->conn, sql, &got, err);
    if (rc < 0)
        return tr_error_prefix(err, "source: cannot wait for server id %" PRIu32, dump->id);
    if (got == NULL || strcmp(got, "1") != 0)
        tr_log(source->base.env->log, TR_LOG_WARNING, "capture",
               "server id %" PRIu32 " is still in use after %" PRId64
               " s: whoever reads the log under it is thrown out",
               dump->id, wait_us / TR_US_PER_S);
    free(got);
    return 0;
}

static void
random_uuid(char *out, size_t size)
{
    uint8_t b[16];
    if (getrandom(b, sizeof b, 0) != sizeof b)
        memset(b, 0x5a, sizeof b);
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    snprintf(out, size, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
             b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

/* What a replica tells its primary, in user variables. CRC32 says that we know checksums; files without them come without. */
static void
session_variables(const struct tr_mysql_source *source, const struct tr_mysql_position *from, bool by_gtid,
                  int64_t heartbeat_us, struct tr_buffer *sql)
{
    char uuid[40];
    int64_t period_ns = heartbeat_us * 1000;
    tr_buffer_printf(sql, "SET @master_binlog_checksum = 'CRC32', @master_heartbeat_period = %" PRId64,
                     period_ns);
    if (source->mariadb) {
        tr_buffer_text(sql, ", @mariadb_slave_capability = 4");
        if (!by_gtid)
            return;
        tr_buffer_text(
            sql,
            ", @slave_gtid_strict_mode = 1, @slave_gtid_ignore_duplicates = 0, @slave_connect_state = '");
        tr_gtid_set_text(&from->set, sql);
        tr_buffer_text(sql, "'");
        return;
    }
    random_uuid(uuid, sizeof uuid);
    tr_buffer_printf(sql,
                     ", @source_binlog_checksum = 'CRC32', @source_heartbeat_period = %" PRId64
                     ", @slave_uuid = '%s', @replica_uuid = '%s'",
                     period_ns, uuid, uuid);
}

static void
put_le(struct tr_buffer *out, uint64_t n, int width)
{
    for (int i = 0; i < width; i++)
        tr_buffer_byte(out, (char)(n >> (8 * i)));
}

/*
 * COM_BINLOG_DUMP: uint32 position, uint16 flags, uint32 server id, name of the file.
 * COM_BINLOG_DUMP_GTID: uint16 flags, uint32 server id, uint32 length of a name, that, uint64 position, uint32 length of a set, that.
 */
static int
send_command(const struct tr_mysql_source *source, struct tr_mysql_dump *dump,
             const struct tr_mysql_position *from, bool by_gtid, struct tr_error *err)
{
    struct tr_buffer command, set;
    bool with_set = by_gtid && !source->mariadb;
    tr_buffer_init(&command, (size_t)64 << 20);
    tr_buffer_init(&set, (size_t)32 << 20);
    if (with_set) {
        tr_gtid_set_encode(&from->set, &set);
        put_le(&command, 0, 2);
        put_le(&command, dump->id, 4);
        put_le(&command, 0, 4);
        put_le(&command, 4, 8);
        put_le(&command, set.len, 4);
        tr_buffer_add(&command, set.data, set.len);
    } else {
        put_le(&command, by_gtid ? 4 : from->offset, 4);
        put_le(&command, 0, 2);
        put_le(&command, dump->id, 4);
        tr_buffer_text(&command, by_gtid ? "" : from->file);
    }
    int failed = dump->conn->methods->db_command(dump->conn, with_set ? COMMAND_DUMP_GTID : COMMAND_DUMP,
                                                 command.data, command.len, 1, NULL);
    tr_buffer_fini(&command);
    tr_buffer_fini(&set);
    return failed ? tr_mysql_fail(err, dump->conn, "source: cannot ask for the log") : 0;
}

static int
prepare_session(struct tr_mysql_source *source, struct tr_mysql_dump *dump,
                const struct tr_mysql_position *from, bool by_gtid, int64_t heartbeat_us,
                struct tr_error *err)
{
    struct tr_buffer sql;
    tr_buffer_init(&sql, (size_t)32 << 20);
    session_variables(source, from, by_gtid, heartbeat_us, &sql);
    int rc = sql.overflow ? tr_fail(err, TR_FATAL, "source: the GTID set is too long")
                          : tr_mysql_query(dump->conn, sql.data, NULL, err);
    tr_buffer_fini(&sql);
    return rc < 0 ? tr_error_prefix(err, "source: cannot set up the log's connection") : 0;
}

int
tr_mysql_dump_open(struct tr_mysql_source *source, const struct tr_mysql_position *from, int64_t heartbeat_us,
                   bool second, struct tr_mysql_dump **out, struct tr_error *err)
{
    bool given = source->own_id != 0 && !second;
    bool by_gtid = source->gtid && from->has_gtid;
    struct tr_mysql_dump *dump = tr_calloc(1, sizeof *dump);
    int size = RECEIVE_BUFFER;
    *out = NULL;
    dump->id = given ? source->own_id : draw_id(source);
    dump->fd = dump->pump_fd = -1;
    dump->patience_us = heartbeat_us * SILENT_PERIODS > LEAST_PATIENCE_US ? heartbeat_us * SILENT_PERIODS
                                                                          : LEAST_PATIENCE_US;
    dump->capacity = FIRST_BUFFER;
    dump->buffer = tr_malloc(dump->capacity);
    int rc = tr_mysql_source_connect(source, "log", &dump->conn, err);
    if (rc == 0)
        rc = prepare_session(source, dump, from, by_gtid, heartbeat_us, err);
    if (rc == 0 && given && source->mariadb) /* MySQL tells replicas apart by their uuid, and ours is drawn */
        rc = wait_for_id(source, dump, err);
    if (rc == 0) {
        dump->fd = (int)mysql_get_socket(dump->conn);
        setsockopt(dump->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
        rc = send_command(source, dump, from, by_gtid, err);
    }
    if (rc == 0 && mysql_get_ssl_cipher(dump->conn) != NULL)
        rc = start_pump(dump, err);
    dump->heard_us = tr_clock_us();
    if (rc < 0)
        tr_mysql_dump_close(source, dump);
    else
        *out = dump;
    return rc;
}

void
tr_mysql_dump_close(struct tr_mysql_source *source, struct tr_mysql_dump *dump)
{
    if (dump == NULL)
        return;
    stop_pump(dump);
    if (dump->conn != NULL) /* its server thread waits for nothing we say: no farewell */
        shutdown((int)mysql_get_socket(dump->conn), SHUT_RDWR);
    tr_mysql_close(source->group, dump->conn);
    free(dump->buffer);
    free(dump);
}

/* ---------------------------------------------------------------------------------------------------------- errors */

static int
refused(struct tr_mysql_source *source, uint32_t id, const char *message, struct tr_error *err)
{
    if (strstr(message, "same server_uuid") != NULL || strstr(message, "same server_id") != NULL ||
        strstr(message, "same server id") != NULL) {
        tr_fail(err, id == source->own_id ? TR_REFUSED : TR_RETRY,
                "source: another client took over server id %" PRIu32 ": %s", id, message);
        return tr_error_hint(
            err,
            "give each task and replica of this server an id of its own (server_id; without it one is drawn)");
    }
    if (strstr(message, "purged") != NULL || strstr(message, "Could not find first log file") != NULL ||
        strstr(message, "not in the master's binlog") != NULL ||
        strstr(message, "impossible position") != NULL || strstr(message, "position > file size") != NULL ||
        strstr(message, "more GTIDs than") != NULL) {
        tr_fail(err, TR_REFUSED,
                "source: the server no longer has the log from the task's position on, or never had it: %s",
                message);
        return tr_error_hint(
            err, "load the tables again (tailrace reload); have the server keep its log for longer "
                 "(binlog_expire_logs_seconds), and the task run more often");
    }
    if (strstr(message, "anonymous transaction") != NULL)
        return tr_mysql_nameless(err, message);
    if (strstr(message, "max_allowed_packet") != NULL) {
        tr_fail(err, TR_FATAL, "source: the server cannot send an event of its log: %s", message);
        return tr_error_hint(err, "SET GLOBAL max_allowed_packet = 1073741824 on the source");
    }
    tr_fail(err, TR_FATAL, "source: the server ended the log: %s", message);
    if (strstr(message, "bogus data") != NULL || strstr(message, "event entry exceeded") != NULL)
        tr_error_hint(
            err,
            "no event begins at the task's position: the log was begun anew or restored under the same name, or is damaged; "
            "compare source and target, and load the tables again (tailrace reload)");
    return -TR_FATAL;
}

/* Error: 0xff, uint16 number, '#', char[5] SQLSTATE, text. */
static int
server_error(struct tr_mysql_source *source, uint32_t id, const uint8_t *payload, size_t len,
             struct tr_error *err)
{
    char message[512], sqlstate[6] = "HY000";
    unsigned number = len >= 3 ? payload[1] | (unsigned)payload[2] << 8 : 0;
    size_t at = 3;
    if (len >= 9 && payload[3] == '#') {
        memcpy(sqlstate, payload + 4, 5);
        at = 9;
    }
    snprintf(message, sizeof message, "%.*s", len > at ? (int)(len - at < 500 ? len - at : 500) : 0,
             (const char *)payload + at);
    if (number == 1236 || number == 4052) /* MariaDB's own number for a server id in use */
        return refused(source, id, message, err);
    int rc = tr_mysql_fail_with(err, number, sqlstate, message, "source: the log was not sent");
    if (number == 1227 || number == 1045 || number == 1044)
        return tr_error_hint(
            err, source->mariadb
                     ? "GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO the account of the task"
                     : "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO the account of the task");
    return rc;
}

/* --------------------------------------------------------------------------------------------------------- reading */

/* Room behind `end` for what is missing of a packet of `need` bytes in all. */
static void
make_room(struct tr_mysql_dump *dump, size_t need)
{
    size_t have = dump->end - dump->start, least = FIRST_BUFFER / 4;
    size_t want = need + least > FIRST_BUFFER ? need + least : FIRST_BUFFER;
    if (have == 0 && dump->capacity > KEPT_BUFFER && want < KEPT_BUFFER) {
        dump->buffer = tr_realloc(dump->buffer, FIRST_BUFFER);
        dump->capacity = FIRST_BUFFER;
    }
    if (dump->start > 0 &&
        (have == 0 || dump->start + need > dump->capacity || dump->capacity - dump->end < least)) {
        memmove(dump->buffer, dump->buffer + dump->start, have);
        dump->start = 0;
        dump->end = have;
    }
    if (dump->start + need <= dump->capacity && dump->end < dump->capacity)
        return;
    dump->buffer = tr_realloc(dump->buffer, dump->start + want);
    dump->capacity = dump->start + want;
}

/* 1 = bytes came, 0 = none are there. */
static int
receive(struct tr_mysql_dump *dump, size_t need, struct tr_error *err)
{
    make_room(dump, need);
    for (;;) {
        ssize_t n = recv(dump->fd, dump->buffer + dump->end, dump->capacity - dump->end, MSG_DONTWAIT);
        if (n > 0) {
            dump->end += (size_t)n;
            return 1;
        }
        if (n == 0)
            return tr_fail(err, TR_RETRY, "source: the server closed the connection of its log");
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return 0;
        if (errno != EINTR)
            return tr_fail(err, TR_RETRY, "source: the connection of the log was lost: %s", strerror(errno));
    }
}

/* 1 = readable, 0 = not within wait_us. */
static int
wait_readable(struct tr_mysql_source *source, struct tr_mysql_dump *dump, int64_t wait_us,
              struct tr_error *err)
{
    struct pollfd fds[2] = { { .fd = dump->fd, .events = POLLIN },
                             { .fd = source->interrupt_fd, .events = POLLIN } };
    struct timespec wait = { wait_us / TR_US_PER_S, wait_us % TR_US_PER_S * 1000 };
    int n = ppoll(fds, 2, &wait, NULL);
    if (n < 0 && errno != EINTR)
        return tr_fail(err, TR_RETRY, "source: cannot wait for the log: %s", strerror(errno));
    if (n > 0 && fds[1].revents != 0)
        return tr_fail(err, TR_RETRY, "interrupted");
    if (n > 0)
        return 1;
    if (tr_clock_us() - dump->heard_us <= dump->patience_us)
        return 0;
    tr_fail(err, TR_RETRY,
            "source: nothing was heard from the server for %" PRId64 " s, not even a heartbeat",
            (tr_clock_us() - dump->heard_us) / TR_US_PER_S);
    return tr_error_hint(err, "the connection is half open; it is made anew");
}

/*
 * A whole payload, which may lie in several packets: the headers between its parts are closed up in place. 1 = it is there (*payload, *len),
 * 0 = more bytes are needed (*need in all).
 */
static int
whole_payload(struct tr_mysql_dump *dump, uint8_t **payload, size_t *len, size_t *need, struct tr_error *err)
{
    size_t have = dump->end - dump->start, at = 0, parts = 0;
    const uint8_t *bytes = dump->buffer + dump->start;
    *need = PACKET_HEADER;
    for (size_t part = PACKET_MAX; part == PACKET_MAX; parts++) {
        if (have < at + PACKET_HEADER) {
            *need = at + PACKET_HEADER;
            return 0;
        }
        part = bytes[at] | (size_t)bytes[at + 1] << 8 | (size_t)bytes[at + 2] << 16;
        at += PACKET_HEADER + part;
        *need = at;
        if (at > MAX_EVENT)
            return tr_fail(err, TR_REFUSED, "source: an event of the log is larger than 1 GiB");
    }
    if (have < at)
        return 0;
    uint8_t *to = dump->buffer + dump->start + PACKET_HEADER;
    *payload = to;
    *len = at - PACKET_HEADER * parts;
    dump->skip = at;
    for (size_t i = 1; i < parts; i++) { /* parts before the last are all of the largest size */
        const uint8_t *from = dump->buffer + dump->start + i * (PACKET_MAX + PACKET_HEADER) + PACKET_HEADER;
        size_t part = i + 1 < parts ? PACKET_MAX : at - i * (PACKET_MAX + PACKET_HEADER) - PACKET_HEADER;
        memmove(to + i * PACKET_MAX, from, part);
    }
    return 1;
}

/* The socket ran dry. A source that keeps waking us for little is left alone for a moment, so that more comes at once. */
static int64_t
nap(struct tr_mysql_dump *dump, int64_t wait_us)
{
    int64_t now = tr_clock_us();
    dump->busy = now - dump->dry_us < NAP_IF_WITHIN_US ? dump->busy + 1 : 0;
    dump->dry_us = now;
    if (dump->busy < BUSY_WAKES || wait_us < NAP_US)
        return wait_us;
    struct timespec rest = { 0, NAP_US * 1000 };
    nanosleep(&rest, NULL);
    return wait_us - NAP_US;
}

static int
fill(struct tr_mysql_source *source, struct tr_mysql_dump *dump, size_t need, int64_t *wait_us,
     struct tr_error *err)
{
    int rc = receive(dump, need, err);
    if (rc == 0 && *wait_us > 0) {
        int64_t deadline = tr_clock_us() + *wait_us;
        rc = wait_readable(source, dump, nap(dump, *wait_us), err);
        if (rc > 0)
            rc = receive(dump, need, err);
        *wait_us = deadline - tr_clock_us();
    }
    if (rc > 0)
        dump->heard_us = tr_clock_us();
    return rc;
}

int
tr_mysql_dump_next(struct tr_mysql_source *source, struct tr_mysql_dump *dump, struct tr_mysql_packet *packet,
                   int64_t wait_us, struct tr_error *err)
{
    uint8_t *payload = NULL;
    size_t len = 0, need;
    dump->start += dump->skip;
    dump->skip = 0;
    int rc;
    while ((rc = whole_payload(dump, &payload, &len, &need, err)) == 0)
        if ((rc = fill(source, dump, need, &wait_us, err)) <= 0)
            return rc;
    if (rc < 0)
        return rc;
    if (len > 0 && payload[0] == 0) {
        *packet = (struct tr_mysql_packet){ payload + 1, len - 1 };
        return 1;
    }
    if (len > 0 && payload[0] == 0xff)
        return server_error(source, dump->id, payload, len, err);
    if (len > 0 && payload[0] == 0xfe)
        return tr_fail(err, TR_RETRY,
                       "source: the server ended the log: it shuts down, or the connection was killed");
    return tr_fail(err, TR_RETRY, "source: the server sent something else than its log");
}
