/*
 * spool.c - per transaction a list of sealed blocks on disk, then the newest frames in memory.
 *
 * A frame is a header (length, shape, order, subxid) and its bytes. When all transactions together pass the limit, the one with most
 * memory writes its frames as a block. Blocks are read back whole, one at a time: their size is bounded by the spill step.
 */
#include "pipeline/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/buffer.h"
#include "core/failpoint.h"
#include "core/memory.h"

#define KEY_BYTES 32
#define NONCE_BYTES 12
#define TAG_BYTES 16
#define BLOCK_MAX ((size_t)4 << 20) /* a transaction's memory is written in blocks of about this size */

struct header {
    uint32_t len;
    uint32_t shape;
    uint64_t order;
    uint64_t subxid;
};

struct block {
    uint64_t offset;
    uint64_t number; /* makes the nonce */
    size_t len;      /* plain and sealed alike, without the tag */
    uint8_t tag[TAG_BYTES];
};

struct tr_spool_txn {
    struct tr_spool_txn *next;
    uint64_t xid;
    struct block *blocks;
    size_t nblocks, blocks_cap;
    struct tr_buffer memory;
    uint64_t *aborted; /* sorted when read */
    size_t naborted, aborted_cap;
    bool aborted_sorted;
    size_t at_block; /* reading: index of the block in `page`, nblocks = memory */
    size_t at;       /* offset in it */
    bool page_loaded;
};

struct tr_spool {
    char *directory;
    int fd; /* -1 until the first spill */
    uint8_t key[KEY_BYTES];
    uint64_t blocks_written;
    uint64_t file_end, live_bytes, spilled;
    size_t memory, limit;
    struct tr_spool_txn *txns;
    uint8_t *page; /* one decrypted block */
    size_t page_cap;
};

struct tr_spool *
tr_spool_new(const char *directory, size_t memory_limit)
{
    struct tr_spool *spool = tr_calloc(1, sizeof(*spool));
    spool->directory = tr_strdup(directory);
    spool->fd = -1;
    spool->limit = memory_limit;
    return spool;
}

static void
txn_free(struct tr_spool_txn *txn)
{
    tr_buffer_fini(&txn->memory);
    free(txn->blocks);
    free(txn->aborted);
    free(txn);
}

void
tr_spool_clear(struct tr_spool *spool)
{
    while (spool->txns != NULL)
        tr_spool_drop(spool, spool->txns);
}

void
tr_spool_free(struct tr_spool *spool)
{
    if (spool == NULL)
        return;
    tr_spool_clear(spool);
    if (spool->fd >= 0)
        close(spool->fd);
    tr_wipe(spool->key, sizeof(spool->key));
    free(spool->page);
    free(spool->directory);
    free(spool);
}

struct tr_spool_txn *
tr_spool_find(struct tr_spool *spool, uint64_t xid)
{
    struct tr_spool_txn *txn = spool->txns;
    while (txn != NULL && txn->xid != xid)
        txn = txn->next;
    return txn;
}

struct tr_spool_txn *
tr_spool_begin(struct tr_spool *spool, uint64_t xid)
{
    struct tr_spool_txn *txn = tr_spool_find(spool, xid);
    if (txn != NULL)
        return txn;
    txn = tr_calloc(1, sizeof(*txn));
    txn->xid = xid;
    tr_buffer_init(&txn->memory, (size_t)1 << 40);
    txn->next = spool->txns;
    spool->txns = txn;
    return txn;
}

/* A file that has no name from the start; where the file system cannot do that, one whose name is removed at once. */
static int
open_file(struct tr_spool *spool, struct tr_error *err)
{
    if (RAND_bytes(spool->key, KEY_BYTES) != 1)
        return tr_fail(err, TR_FATAL, "spill: the system gave no random bytes for a key");
    spool->fd = open(spool->directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (spool->fd < 0) {
        char *name = tr_asprintf("%s/spill-XXXXXX", spool->directory);
        spool->fd = mkostemp(name, O_CLOEXEC);
        if (spool->fd >= 0)
            unlink(name);
        free(name);
    }
    if (spool->fd < 0)
        return tr_fail(err, TR_FATAL, "spill: cannot make a file in %s: %s", spool->directory,
                       strerror(errno));
    return 0;
}

static void
nonce_of(uint64_t number, uint8_t nonce[NONCE_BYTES])
{
    memset(nonce, 0, NONCE_BYTES);
    memcpy(nonce, &number, sizeof(number));
}

/* Seal or open in place of `to`; false when the tag does not fit. */
static bool
crypt_block(const struct tr_spool *spool, struct block *block, const uint8_t *from, uint8_t *to, bool seal)
{
    uint8_t nonce[NONCE_BYTES];
    int n = 0;
    nonce_of(block->number, nonce);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    bool ok = ctx != NULL && EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, spool->key, nonce, seal) == 1;
    for (size_t at = 0; ok && at < block->len; at += (size_t)n) {
        size_t step = block->len - at < BLOCK_MAX ? block->len - at : BLOCK_MAX;
        ok = EVP_CipherUpdate(ctx, to + at, &n, from + at, (int)step) == 1;
    }
    if (ok && !seal)
        ok = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, block->tag) == 1;
    ok = ok && EVP_CipherFinal_ex(ctx, to, &n) == 1;
    if (ok && seal)
        ok = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, block->tag) == 1;
    EVP_CIPHER_CTX_free(ctx);
    return ok;
}

static int
write_all(struct tr_spool *spool, const uint8_t *bytes, size_t len, struct tr_error *err)
{
    for (size_t done = 0; done < len;) {
        TR_FAILPOINT("spool.write");
        ssize_t n = pwrite(spool->fd, bytes + done, len - done, (off_t)(spool->file_end + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            tr_fail(err, errno == ENOSPC ? TR_RETRY : TR_FATAL, "spill: cannot write to %s: %s",
                    spool->directory, strerror(errno));
            return tr_error_hint(
                err,
                "an open transaction at the source is larger than the memory budget; give the state directory more "
                "room or raise `memory`");
        }
        done += (size_t)n;
    }
    return 0;
}

static void
page_room(struct tr_spool *spool, size_t len)
{
    if (spool->page_cap >= len)
        return;
    free(spool->page);
    spool->page = tr_malloc(len);
    spool->page_cap = len;
}

/* Seal and write one run of whole frames. */
static int
spill_block(struct tr_spool *spool, struct tr_spool_txn *txn, const char *frames, size_t len,
            struct tr_error *err)
{
    struct block block = { .offset = spool->file_end, .number = ++spool->blocks_written, .len = len };
    page_room(spool, len);
    if (!crypt_block(spool, &block, (const uint8_t *)frames, spool->page, true))
        return tr_fail(err, TR_FATAL, "spill: encryption failed");
    int r = write_all(spool, spool->page, len, err);
    if (r < 0)
        return r;
    if (txn->nblocks == txn->blocks_cap) {
        txn->blocks_cap = txn->blocks_cap > 0 ? txn->blocks_cap * 2 : 16;
        txn->blocks = tr_realloc(txn->blocks, txn->blocks_cap * sizeof(*txn->blocks));
    }
    txn->blocks[txn->nblocks++] = block;
    spool->file_end += len;
    spool->live_bytes += len;
    spool->spilled += len;
    return 0;
}

/* How many bytes of whole frames make a block: at least one frame, at most about BLOCK_MAX. */
static size_t
block_length(const char *frames, size_t len)
{
    size_t at = 0;
    while (at < len) {
        struct header header;
        memcpy(&header, frames + at, sizeof(header));
        size_t next = at + sizeof(header) + header.len;
        if (at > 0 && next > BLOCK_MAX)
            break;
        at = next;
    }
    return at;
}

/* Write all frames that the transaction has in memory. */
static int
spill(struct tr_spool *spool, struct tr_spool_txn *txn, struct tr_error *err)
{
    int r = spool->fd < 0 ? open_file(spool, err) : 0;
    size_t at = 0;
    while (r == 0 && at < txn->memory.len) {
        size_t len = block_length(txn->memory.data + at, txn->memory.len - at);
        r = spill_block(spool, txn, txn->memory.data + at, len, err);
        at += len;
    }
    spool->memory -= txn->memory.len;
    tr_buffer_fini(&txn->memory);
    return r;
}

static struct tr_spool_txn *
largest(struct tr_spool *spool)
{
    struct tr_spool_txn *most = spool->txns;
    for (struct tr_spool_txn *txn = spool->txns; txn != NULL; txn = txn->next)
        if (txn->memory.len > most->memory.len)
            most = txn;
    return most;
}

int
tr_spool_add(struct tr_spool *spool, struct tr_spool_txn *txn, const struct tr_spool_frame *frame,
             struct tr_error *err)
{
    if (frame->len > UINT32_MAX)
        return tr_fail(err, TR_FATAL, "spill: a frame of %zu bytes", frame->len);
    struct header header = { (uint32_t)frame->len, frame->shape, frame->order, frame->subxid };
    tr_buffer_add(&txn->memory, &header, sizeof(header));
    tr_buffer_add(&txn->memory, frame->data, frame->len);
    spool->memory += sizeof(header) + frame->len;
    /* Blocks small enough to be read back one by one: the limit rules, and so does the block size once anything is on disk. */
    if (spool->memory > spool->limit || (txn->nblocks > 0 && txn->memory.len > BLOCK_MAX))
        return spill(spool, spool->memory > spool->limit ? largest(spool) : txn, err);
    return 0;
}

void
tr_spool_abort_subxid(struct tr_spool_txn *txn, uint64_t subxid)
{
    if (txn->naborted == txn->aborted_cap) {
        txn->aborted_cap = txn->aborted_cap > 0 ? txn->aborted_cap * 2 : 8;
        txn->aborted = tr_realloc(txn->aborted, txn->aborted_cap * sizeof(*txn->aborted));
    }
    txn->aborted[txn->naborted++] = subxid;
    txn->aborted_sorted = false;
}

static int
by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static bool
is_aborted(struct tr_spool_txn *txn, uint64_t subxid)
{
    if (txn->naborted == 0)
        return false;
    if (!txn->aborted_sorted)
        qsort(txn->aborted, txn->naborted, sizeof(*txn->aborted), by_number);
    txn->aborted_sorted = true;
    return bsearch(&subxid, txn->aborted, txn->naborted, sizeof(*txn->aborted), by_number) != NULL;
}

void
tr_spool_rewind(struct tr_spool_txn *txn)
{
    txn->at_block = txn->at = 0;
    txn->page_loaded = false;
}

static int
load_block(struct tr_spool *spool, struct block *block, struct tr_error *err)
{
    uint8_t *sealed = tr_malloc(block->len);
    size_t done = 0;
    while (done < block->len) {
        ssize_t n = pread(spool->fd, sealed + done, block->len - done, (off_t)(block->offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    page_room(spool, block->len);
    bool ok = done == block->len && crypt_block(spool, block, sealed, spool->page, false);
    free(sealed);
    return ok ? 0
              : tr_fail(err, TR_FATAL, "spill: a block of %zu bytes in %s came back damaged", block->len,
                        spool->directory);
}

/* Where the next header stands: the loaded block, or the frames in memory. NULL = the end. */
static int
place(struct tr_spool *spool, struct tr_spool_txn *txn, const uint8_t **base, size_t *len,
      struct tr_error *err)
{
    while (txn->at_block < txn->nblocks) {
        struct block *block = &txn->blocks[txn->at_block];
        if (!txn->page_loaded) {
            int r = load_block(spool, block, err);
            if (r < 0)
                return r;
            txn->page_loaded = true;
        }
        if (txn->at < block->len) {
            *base = spool->page;
            *len = block->len;
            return 1;
        }
        txn->at_block++;
        txn->at = 0;
        txn->page_loaded = false;
    }
    *base = (const uint8_t *)txn->memory.data;
    *len = txn->memory.len;
    return txn->at < txn->memory.len;
}

int
tr_spool_next(struct tr_spool *spool, struct tr_spool_txn *txn, struct tr_spool_frame *frame,
              struct tr_error *err)
{
    const uint8_t *base;
    size_t len;
    int r;
    while ((r = place(spool, txn, &base, &len, err)) > 0) {
        struct header header;
        memcpy(&header, base + txn->at, sizeof(header));
        frame->data = base + txn->at + sizeof(header);
        frame->len = header.len;
        frame->order = header.order;
        frame->subxid = header.subxid;
        frame->shape = header.shape != 0;
        txn->at += sizeof(header) + header.len;
        if (frame->shape || !is_aborted(txn, frame->subxid))
            return 1;
    }
    return r;
}

void
tr_spool_drop(struct tr_spool *spool, struct tr_spool_txn *txn)
{
    struct tr_spool_txn **link = &spool->txns;
    while (*link != txn)
        link = &(*link)->next;
    *link = txn->next;
    spool->memory -= txn->memory.len;
    for (size_t i = 0; i < txn->nblocks; i++)
        spool->live_bytes -= txn->blocks[i].len;
    txn_free(txn);
    if (spool->live_bytes == 0 && spool->fd >= 0 && spool->file_end > 0 && ftruncate(spool->fd, 0) == 0)
        spool->file_end = 0;
}

size_t
tr_spool_memory(const struct tr_spool *spool)
{
    return spool->memory;
}

uint64_t
tr_spool_spilled(const struct tr_spool *spool)
{
    return spool->spilled;
}
