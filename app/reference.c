/* reference.c - ${NAME}, ${file:/path} and file:/path in values: how secrets stay out of task files and of the process list. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/entries.h"
#include "core/buffer.h"
#include "core/memory.h"

#define SECRET_BYTES_MAX 65536
#define VALUE_BYTES_MAX (1 << 20)

static int
read_secret(int fd, const char *path, struct tr_buffer *out, struct tr_error *err)
{
    for (;;) {
        char *to = tr_buffer_reserve(out, 4096);
        if (to == NULL || out->len > SECRET_BYTES_MAX)
            return tr_fail(err, TR_CONFIG, "the file %s is larger than 64 KiB", path);
        ssize_t n = read(fd, to, 4096);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return tr_fail(err, TR_CONFIG, "cannot read %s: %s", path, strerror(errno));
        if (n == 0)
            break;
        out->len += (size_t)n;
    }
    /* An editor's last newline is not part of a password. */
    while (out->len > 0 && (out->data[out->len - 1] == '\n' || out->data[out->len - 1] == '\r'))
        out->len--;
    if (out->len > 0 && memchr(out->data, '\0', out->len) != NULL)
        return tr_fail(err, TR_CONFIG, "the file %s holds a NUL byte", path);
    return 0;
}

static int
open_secret(const char *path, char **note, struct tr_error *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        int saved = errno;
        if (fd >= 0)
            close(fd);
        return tr_fail(err, TR_CONFIG, "cannot open the file %s: %s", path, strerror(saved));
    }
    if (note != NULL && *note == NULL && S_ISREG(st.st_mode) && (st.st_mode & 007) != 0)
        *note = tr_asprintf("the secret in %s can be read by every user of this machine; chmod 600 it", path);
    return fd;
}

/* The content of a file, without the newline at its end. */
static int
file_content(const char *path, struct tr_buffer *out, char **note, struct tr_error *err)
{
    if (path[0] == '\0')
        return tr_fail(err, TR_CONFIG, "a file: reference names no file");
    int fd = open_secret(path, note, err);
    if (fd < 0)
        return fd;
    int rc = read_secret(fd, path, out, err);
    close(fd);
    return rc;
}

static bool
is_variable_name(const char *name)
{
    if (!isalpha((unsigned char)name[0]) && name[0] != '_')
        return false;
    for (; *name != '\0'; name++)
        if (!isalnum((unsigned char)*name) && *name != '_')
            return false;
    return true;
}

/* What stands between ${ and }. */
static int
lookup(const char *name, struct tr_buffer *out, char **note, struct tr_error *err)
{
    if (strncmp(name, "file:", 5) == 0)
        return file_content(name + 5, out, note, err);
    if (!is_variable_name(name)) {
        tr_fail(err, TR_CONFIG, "${%.100s} is not the name of an environment variable", name);
        return tr_error_hint(err, "write ${NAME}, ${file:/path}, or $${ for the characters themselves");
    }
    const char *value = getenv(name);
    if (value == NULL)
        return tr_fail(err, TR_CONFIG, "the environment variable %s is not set", name);
    tr_buffer_text(out, value);
    return 0;
}

/* A plain password put between :// and @ must not be read as the URL's own punctuation. */
static void
add_encoded(struct tr_buffer *out, const struct tr_buffer *value)
{
    for (size_t i = 0; i < value->len; i++) {
        unsigned char c = (unsigned char)value->data[i];
        if (isalnum(c) || strchr("-._~", c) != NULL)
            tr_buffer_byte(out, (char)c);
        else
            tr_buffer_printf(out, "%%%02X", c);
    }
}

static const char *
reference_end(const char *p)
{
    return p[0] == '$' && p[1] == '{' ? strchr(p, '}') : NULL;
}

/* Does the text from here reach an @ before the authority ends? References in between are stepped over. */
static bool
at_follows(const char *p)
{
    while (*p != '\0' && *p != '/' && *p != '?') {
        if (*p == '@')
            return true;
        const char *end = reference_end(p);
        p = end != NULL ? end + 1 : p + 1;
    }
    return false;
}

static int
expand_one(const char *name, bool encode, struct tr_buffer *out, char **note, struct tr_error *err)
{
    struct tr_buffer value;
    tr_buffer_init(&value, VALUE_BYTES_MAX);
    int rc = lookup(name, &value, note, err);
    if (rc == 0 && encode)
        add_encoded(out, &value);
    else if (rc == 0 && value.len > 0)
        tr_buffer_add(out, value.data, value.len);
    if (value.data != NULL)
        tr_wipe(value.data, value.len);
    tr_buffer_fini(&value);
    return rc;
}

static int
expand_all(const char *text, bool is_url, struct tr_buffer *out, char **note, struct tr_error *err)
{
    bool in_authority = false;
    for (const char *p = text; *p != '\0';) {
        const char *end = reference_end(p);
        if (strncmp(p, "$${", 3) == 0) {
            tr_buffer_text(out, "${");
            p += 3;
        } else if (p[0] == '$' && p[1] == '{' && end == NULL) {
            return tr_fail(err, TR_CONFIG, "a ${ has no closing brace");
        } else if (end != NULL) {
            char *name = tr_strndup(p + 2, (size_t)(end - p - 2));
            int rc = expand_one(name, is_url && in_authority && at_follows(end + 1), out, note, err);
            free(name);
            if (rc < 0)
                return rc;
            p = end + 1;
        } else {
            if (strncmp(p, "://", 3) == 0)
                in_authority = true;
            tr_buffer_byte(out, *p++);
        }
    }
    return 0;
}

int
tr_reference_expand(const char *text, bool is_url, bool whole_file, char **out, char **note,
                    struct tr_error *err)
{
    struct tr_buffer buf;
    int rc;
    *out = NULL;
    tr_buffer_init(&buf, VALUE_BYTES_MAX);
    if (whole_file && strncmp(text, "file:", 5) == 0)
        rc = file_content(text + 5, &buf, note, err);
    else
        rc = expand_all(text, is_url, &buf, note, err);
    if (rc == 0 && buf.overflow)
        rc = tr_fail(err, TR_CONFIG, "a value is longer than 1 MiB");
    if (rc == 0)
        *out = buf.len > 0 ? tr_strndup(buf.data, buf.len) : tr_strdup("");
    if (buf.data != NULL)
        tr_wipe(buf.data, buf.len);
    tr_buffer_fini(&buf);
    return rc;
}
