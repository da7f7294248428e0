/* owner.c - who has a task: a process is known by the machine's boot, its namespace of processes, its number and when it began. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "offsets/kafka/internal.h"

struct owner {
    char boot[40];
    uint64_t space, token, began;
    int pid;
    char host[72];
};

/* "-" where the system does not tell: then no two are thought to be on one machine. */
static void
read_boot(char *boot, size_t size)
{
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    snprintf(boot, size, "-");
    if (file == NULL)
        return;
    if (fgets(boot, (int)size, file) == NULL || boot[0] == '\n')
        snprintf(boot, size, "-");
    boot[strcspn(boot, "\n ")] = '\0';
    fclose(file);
}

static uint64_t
process_space(void)
{
    struct stat st;
    return stat("/proc/self/ns/pid", &st) == 0 ? (uint64_t)st.st_ino : 0;
}

/* In clock ticks since boot; 0 = there is no such process. */
static uint64_t
process_began(int pid)
{
    char path[48], text[1024] = "";
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    if (fgets(text, sizeof(text), file) == NULL)
        text[0] = '\0';
    fclose(file);
    /* Field 22, counted from behind the name in parentheses; field 3 is the state. */
    const char *at = strrchr(text, ')');
    if (at == NULL || at[1] != ' ' || at[2] == 'Z' || at[2] == 'X')
        return 0;
    for (int field = 2; at != NULL && field < 22; field++)
        at = strchr(at + 1, ' ');
    return at != NULL ? strtoull(at + 1, NULL, 10) : 0;
}

void
owner_name(char *text, size_t size)
{
    char boot[40], host[65] = "";
    uint64_t token = 0;
    read_boot(boot, sizeof(boot));
    gethostname(host, sizeof(host) - 1);
    if (getrandom(&token, sizeof(token), 0) != sizeof(token))
        token = (uint64_t)getpid();
    snprintf(text, size, "token=%016" PRIx64 " boot=%s space=%" PRIu64 " pid=%d began=%" PRIu64 " host=%s",
             token, boot, process_space(), (int)getpid(), process_began(getpid()),
             host[0] != '\0' ? host : "-");
}

static bool
parse(const char *text, struct owner *owner)
{
    memset(owner, 0, sizeof(*owner));
    return sscanf(text, "token=%" SCNx64 " boot=%39s space=%" SCNu64 " pid=%d began=%" SCNu64 " host=%71s",
                  &owner->token, owner->boot, &owner->space, &owner->pid, &owner->began, owner->host) == 6;
}

bool
owner_same(const char *a, const char *b)
{
    struct owner first, second;
    return parse(a, &first) && parse(b, &second) && first.token == second.token;
}

bool
owner_is_dead(const char *owner)
{
    struct owner parsed;
    char boot[40];
    read_boot(boot, sizeof(boot));
    if (!parse(owner, &parsed) || strcmp(boot, "-") == 0 || parsed.space == 0 || parsed.pid <= 0)
        return false;
    return strcmp(parsed.boot, boot) == 0 && parsed.space == process_space() &&
           process_began(parsed.pid) != parsed.began;
}

void
owner_describe(const char *owner, char *text, size_t size)
{
    struct owner parsed;
    if (parse(owner, &parsed))
        snprintf(text, size, "process %d on host %s", parsed.pid, parsed.host);
    else
        snprintf(text, size, "a process that tells nothing of itself");
}
