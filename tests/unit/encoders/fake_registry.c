/* fake_registry.c - a schema registry for C tests. A client waits for its answer, so what a test reads between two requests does not move. */
#include "tests/unit/encoders/fake_registry.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/memory.h"

#define MAX_SCHEMAS 256

struct fake_registry {
    int fd, stop_fd;
    pthread_t thread;
    char url[64];
    char path[512];
    _Atomic unsigned count;
    unsigned first_id, nschemas;
    char *schemas[MAX_SCHEMAS];
    _Atomic(const char *) response;
};

static unsigned
id_of(struct fake_registry *fake, const char *body)
{
    json_t *json = json_loads(body, 0, NULL);
    const char *schema = json_string_value(json_object_get(json, "schema"));
    unsigned i = 0;
    while (schema != NULL && i < fake->nschemas && strcmp(fake->schemas[i], schema) != 0)
        i++;
    if (schema != NULL && i == fake->nschemas && i < MAX_SCHEMAS)
        fake->schemas[fake->nschemas++] = tr_strdup(schema);
    json_decref(json);
    return fake->first_id + i;
}

static void
answer(struct fake_registry *fake, int fd, const char *request, const char *body)
{
    char text[256], json[64];
    const char *response = atomic_load(&fake->response);
    sscanf(request, "%*s %511s", fake->path);
    atomic_fetch_add(&fake->count, 1);
    if (response == NULL) {
        snprintf(json, sizeof(json), "{\"id\":%u}", id_of(fake, body));
        snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
                 strlen(json), json);
        response = text;
    }
    ssize_t n = send(fd, response, strlen(response), MSG_NOSIGNAL);
    (void)n;
}

/* Reads one request to the end of its body. */
static void
serve(struct fake_registry *fake, int fd)
{
    struct tr_buffer in;
    tr_buffer_init(&in, 1 << 24);
    for (;;) {
        char *to = tr_buffer_reserve(&in, 65536);
        ssize_t n = recv(fd, to, 65536, 0);
        if (n <= 0)
            break;
        in.len += (size_t)n;
        in.data[in.len] = '\0';
        const char *end = strstr(in.data, "\r\n\r\n"), *length = strcasestr(in.data, "content-length:");
        size_t body = length != NULL ? (size_t)atol(length + 15) : 0;
        if (end != NULL && in.len >= (size_t)(end + 4 - in.data) + body) {
            answer(fake, fd, in.data, end + 4);
            break;
        }
    }
    tr_buffer_fini(&in);
    shutdown(fd, SHUT_RDWR);
    close(fd);
}

static void *
run(void *arg)
{
    struct fake_registry *fake = arg;
    for (;;) {
        struct pollfd fds[2] = { { .fd = fake->fd, .events = POLLIN },
                                 { .fd = fake->stop_fd, .events = POLLIN } };
        poll(fds, 2, -1);
        if (fds[1].revents != 0)
            return NULL;
        int fd = accept(fake->fd, NULL, NULL);
        if (fd >= 0)
            serve(fake, fd);
    }
}

struct fake_registry *
fake_registry_start(unsigned first_id)
{
    struct fake_registry *fake = tr_calloc(1, sizeof(*fake));
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(at);
    fake->first_id = first_id;
    fake->stop_fd = eventfd(0, EFD_CLOEXEC);
    fake->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fake->fd, (struct sockaddr *)&at, len) < 0 || listen(fake->fd, 16) < 0 ||
        getsockname(fake->fd, (struct sockaddr *)&at, &len) < 0 ||
        pthread_create(&fake->thread, NULL, run, fake) != 0)
        abort();
    snprintf(fake->url, sizeof(fake->url), "http://127.0.0.1:%d", ntohs(at.sin_port));
    return fake;
}

void
fake_registry_stop(struct fake_registry *fake)
{
    if (fake == NULL)
        return;
    eventfd_write(fake->stop_fd, 1);
    pthread_join(fake->thread, NULL);
    close(fake->fd);
    close(fake->stop_fd);
    for (unsigned i = 0; i < fake->nschemas; i++)
        free(fake->schemas[i]);
    free(fake);
}

const char *
fake_registry_url(const struct fake_registry *fake)
{
    return fake->url;
}

void
fake_registry_say(struct fake_registry *fake, const char *response)
{
    atomic_store(&fake->response, response);
}

unsigned
fake_registry_count(const struct fake_registry *fake)
{
    return atomic_load(&fake->count);
}

const char *
fake_registry_path(const struct fake_registry *fake)
{
    return fake->path;
}

const char *
fake_registry_schema(const struct fake_registry *fake, unsigned id)
{
    return id >= fake->first_id && id - fake->first_id < fake->nschemas ? fake->schemas[id - fake->first_id]
                                                                        : NULL;
}
