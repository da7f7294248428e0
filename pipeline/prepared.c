/* prepared.c - see prepared.h. */
#include "pipeline/prepared.h"

#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

#define FIRST_KEY (UINT64_C(1) << 63) /* in the spool, beside the numbers of streamed transactions */

struct branch {
    struct branch *next;
    char *gid;
    uint64_t key; /* of its frames in the spool */
};

struct list {
    struct branch *first;
    struct branch *open; /* one of them, or NULL */
};

struct names {
    char **items;
    size_t count, capacity;
};

struct tr_prepared {
    struct tr_spool *spool;
    struct tr_source *source;
    struct tr_decoder *decoder;
    uint64_t next_key;
    struct list held;
    uint64_t searched;    /* the log has been read back to here; 0 = not at all */
    struct list scan;     /* of the part of the log that is being read */
    struct names decided; /* in what was read, by decisions of branches that began before it */
    struct names decided_here;
};

struct tr_prepared *
tr_prepared_new(struct tr_spool *spool, struct tr_source *source, struct tr_decoder *decoder)
{
    struct tr_prepared *prepared = tr_calloc(1, sizeof(*prepared));
    prepared->spool = spool;
    prepared->source = source;
    prepared->decoder = decoder;
    prepared->next_key = FIRST_KEY;
    return prepared;
}

/* --- lists --- */

static struct branch **
place_of(struct list *list, const char *gid)
{
    struct branch **link = &list->first;
    while (*link != NULL && strcmp((*link)->gid, gid) != 0)
        link = &(*link)->next;
    return link;
}

static void
remove_branch(struct tr_prepared *prepared, struct list *list, const char *gid)
{
    struct branch **link = place_of(list, gid), *branch = *link;
    if (branch == NULL)
        return;
    *link = branch->next;
    if (list->open == branch)
        list->open = NULL;
    struct tr_spool_txn *frames = tr_spool_find(prepared->spool, branch->key);
    if (frames != NULL)
        tr_spool_drop(prepared->spool, frames);
    free(branch->gid);
    free(branch);
}

static void
begin_branch(struct tr_prepared *prepared, struct list *list, const char *gid)
{
    remove_branch(prepared, list, gid);
    struct branch *branch = tr_calloc(1, sizeof(*branch));
    branch->gid = tr_strdup(gid);
    branch->key = prepared->next_key++;
    branch->next = list->first;
    list->first = list->open = branch;
    tr_spool_begin(prepared->spool, branch->key);
}

static void
lose_open(struct tr_prepared *prepared, struct list *list)
{
    if (list->open != NULL)
        remove_branch(prepared, list, list->open->gid);
}

static int
add_frame(struct tr_prepared *prepared, struct list *list, const struct tr_frame *frame, size_t keep,
          struct tr_error *err)
{
    struct tr_spool_frame kept = { .data = frame->data,
                                   .len = keep > 0 ? keep : frame->len,
                                   .order = frame->order };
    return tr_spool_add(prepared->spool, tr_spool_begin(prepared->spool, list->open->key), &kept, err);
}

/* 1 = a plain frame, of no branch. */
static int
take_frame(struct tr_prepared *prepared, struct list *list, const struct tr_frame *frame,
           const struct tr_frame_peek *peek, struct tr_error *err)
{
    int r = 0;
    switch (peek->role) {
    case TR_ROLE_PREPARED_BEGIN:
        lose_open(prepared, list);
        begin_branch(prepared, list, peek->gid);
        return 0;
    case TR_ROLE_PREPARED_WHOLE:
        lose_open(prepared, list);
        begin_branch(prepared, list, peek->gid);
        r = add_frame(prepared, list, frame, peek->keep, err);
        list->open = NULL;
        return r;
    case TR_ROLE_PREPARED_END: list->open = NULL; return 0;
    case TR_ROLE_PREPARED_LOST: lose_open(prepared, list); return 1;
    default: return list->open != NULL ? add_frame(prepared, list, frame, peek->keep, err) : 1;
    }
}

/* --- names --- */

static bool
has_name(const struct names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->items[i], name) == 0)
            return true;
    return false;
}

static void
add_name(struct names *names, const char *name)
{
    if (names->count == names->capacity) {
        names->capacity = names->capacity > 0 ? names->capacity * 2 : 16;
        names->items = tr_realloc(names->items, names->capacity * sizeof(*names->items));
    }
    names->items[names->count++] = tr_strdup(name);
}

static void
clear_names(struct names *names)
{
    while (names->count > 0)
        free(names->items[--names->count]);
}

/* --- what is held --- */

static void
free_list(struct tr_prepared *prepared, struct list *list)
{
    while (list->first != NULL)
        remove_branch(prepared, list, list->first->gid);
}

void
tr_prepared_free(struct tr_prepared *prepared)
{
    if (prepared == NULL)
        return;
    free_list(prepared, &prepared->held);
    free_list(prepared, &prepared->scan);
    clear_names(&prepared->decided);
    clear_names(&prepared->decided_here);
    free(prepared->decided.items);
    free(prepared->decided_here.items);
    free(prepared);
}

bool
tr_prepared_open(const struct tr_prepared *prepared)
{
    return prepared->held.open != NULL;
}

int
tr_prepared_frame(struct tr_prepared *prepared, const struct tr_frame *frame,
                  const struct tr_frame_peek *peek, struct tr_error *err)
{
    return take_frame(prepared, &prepared->held, frame, peek, err);
}

struct tr_spool_txn *
tr_prepared_find(struct tr_prepared *prepared, const char *gid)
{
    struct branch *branch = *place_of(&prepared->held, gid);
    if (branch == NULL)
        return NULL;
    if (prepared->held.open == branch)
        prepared->held.open = NULL;
    return tr_spool_begin(prepared->spool, branch->key);
}

/* What was searched is not searched again, and did not see this decision. */
void
tr_prepared_drop(struct tr_prepared *prepared, const char *gid)
{
    bool held = *place_of(&prepared->held, gid) != NULL;
    if (held)
        remove_branch(prepared, &prepared->held, gid);
    else if (prepared->searched != 0)
        add_name(&prepared->decided, gid);
}

/* --- the search --- */

static int
visit(void *arg, const struct tr_frame *frame, struct tr_error *err)
{
    struct tr_prepared *prepared = arg;
    struct tr_frame_peek peek;
    struct list *scan = &prepared->scan;
    int r = prepared->decoder->class->peek(prepared->decoder, frame->data, frame->len, scan->open != NULL,
                                           &peek, err);
    if (r < 0)
        return r;
    if (peek.role != TR_ROLE_COMMIT_PREPARED && peek.role != TR_ROLE_ROLLBACK_PREPARED) {
        r = take_frame(prepared, scan, frame, &peek, err);
        return r < 0 ? r : 0;
    }
    if (*place_of(scan, peek.gid) != NULL)
        remove_branch(prepared, scan, peek.gid);
    else
        add_name(&prepared->decided_here, peek.gid);
    return 0;
}

/* What the part that was read leaves undecided, unless a later part decided it or holds one of the same name. */
static void
take_over(struct tr_prepared *prepared)
{
    struct list *scan = &prepared->scan;
    lose_open(prepared, scan);
    while (scan->first != NULL) {
        struct branch *branch = scan->first;
        if (has_name(&prepared->decided, branch->gid) || *place_of(&prepared->held, branch->gid) != NULL) {
            remove_branch(prepared, scan, branch->gid);
            continue;
        }
        scan->first = branch->next;
        branch->next = prepared->held.first;
        prepared->held.first = branch;
    }
    for (size_t i = 0; i < prepared->decided_here.count; i++)
        add_name(&prepared->decided, prepared->decided_here.items[i]);
    clear_names(&prepared->decided_here);
}

int
tr_prepared_search(struct tr_prepared *prepared, const char *gid, uint64_t order, struct tr_error *err)
{
    const struct tr_log_visitor visitor = { prepared, visit };
    int r = 1;
    if (prepared->searched == 0)
        prepared->searched = order;
    tr_log(prepared->source->env->log, TR_LOG_INFO, "pipeline",
           "looking back in the log for the prepared transaction %s", gid);
    while (r > 0 && *place_of(&prepared->held, gid) == NULL) {
        r = prepared->source->class->reread(prepared->source, &prepared->searched, &visitor, err);
        if (r < 0) {
            free_list(prepared, &prepared->scan);
            clear_names(&prepared->decided_here);
            return r;
        }
        take_over(prepared);
    }
    if (*place_of(&prepared->held, gid) != NULL)
        return 0;
    tr_fail(
        err, TR_REFUSED,
        "the prepared transaction %s is committed, but it was prepared before this task read the log, and the "
        "server's log no longer reaches back to its changes",
        gid);
    return tr_error_hint(
        err, "load the tables again (tailrace reload); have the server keep its log for longer than its "
             "longest prepared transaction");
}
