/*
 * A preload library between a program and the C library's file calls. Tests build it (tests/shim/record.rs) and
 * steer it through the environment, which is read once at start, and through files, which are looked at on every
 * call, so that a test can act while the program runs:
 *
 *   WAYPOST_SHIM_PREFIX      only files below this canonical folder are touched; without it nothing is
 *   WAYPOST_SHIM_GATE        while this file exists, fsync and fdatasync do not begin
 *   WAYPOST_SHIM_WAITING     this file exists exactly while at least one sync is held by the gate
 *   WAYPOST_SHIM_FAIL        while this file exists, fsync and fdatasync fail with EIO
 *   WAYPOST_SHIM_FAIL_AFTER  number of syncs that succeed; every later one fails with EIO
 *   WAYPOST_SHIM_FULL        while this file exists, writes fail with ENOSPC
 *   WAYPOST_SHIM_RECORD      every change is appended to this file, which must lie outside of the prefix
 *
 * The record is a sequence of entries in the order of their effects. All numbers are little endian:
 *
 *   u32 magic 0x31525057 ("WPR1")   u8 operation   u8 zero[3]
 *   u64 number                      u64 offset     u64 length
 *   u32 bytes of path               u32 bytes of data
 *   path, relative to the prefix    data
 *
 *   operation          offset         length                        data
 *   1 create           -              -                             -
 *   2 truncate         -              size of the file afterwards   -
 *   3 write            where          how much                      what
 *   4 rename           -              -                             new path
 *   5 unlink           -              -                             -
 *   6 sync begins      -              -                             -
 *   7 sync has ended   -              number of its begin           -
 *   8 make folder      -              -                             -
 *   9 remove folder    -              -                             -
 *
 * The number is the process id in the upper half and a counter in the lower. A program that starts others, or is
 * started again, goes on in the same record.
 *
 * Each entry is one append under one lock, which the change itself is made under too, so the size of the record at
 * any moment is a moment in the life of the program: what a client was told before the record grew to N bytes was
 * told before the entry that ends at N.
 *
 * Not seen: memory-mapped files (SQLite's -shm is rebuilt anyway) and system calls made without the C library,
 * which is how the crate rustix works on Linux. Writing below the prefix by copy_file_range, sendfile and splice is
 * refused with ENOSYS, EINVAL and EINVAL, so that callers fall back to plain writes.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum operation {
    CREATE = 1, TRUNCATE, WRITE, RENAME, UNLINK, SYNC_BEGINS, SYNC_ENDED, MAKE_FOLDER, REMOVE_FOLDER
};

#define MAGIC 0x31525057u
#define HEADER 40

static char prefix[PATH_MAX];
static size_t prefix_length;
static const char *gate, *waiting, *fail, *full;
static long fail_after = -1;
static long syncs;
static int held;
static int record = -1;
static uint32_t entries;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* The next definition of a function, looked up once per call site. */
#define REAL(result, name, ...)                                       \
    static result (*real)(__VA_ARGS__);                               \
    if (!real) real = (result (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

static int real_open(const char *path, int flags, mode_t mode) {
    REAL(int, open64, const char *, int, ...);
    return real(path, flags, mode);
}

static ssize_t real_write(int fd, const void *data, size_t length) {
    REAL(ssize_t, write, int, const void *, size_t);
    return real(fd, data, length);
}

static const char *setting(const char *name) {
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

__attribute__((constructor)) static void start(void) {
    const char *folder = setting("WAYPOST_SHIM_PREFIX");
    if (!folder || !realpath(folder, prefix)) return;
    prefix_length = strlen(prefix);
    gate = setting("WAYPOST_SHIM_GATE");
    waiting = setting("WAYPOST_SHIM_WAITING");
    fail = setting("WAYPOST_SHIM_FAIL");
    full = setting("WAYPOST_SHIM_FULL");
    const char *after = setting("WAYPOST_SHIM_FAIL_AFTER");
    if (after) fail_after = strtol(after, NULL, 10);
    const char *file = setting("WAYPOST_SHIM_RECORD");
    if (file) {
        record = real_open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (record < 0) abort();
    }
}

static int exists(const char *path) {
    return path && access(path, F_OK) == 0;
}

/* Gives the part of a canonical path below the prefix, or NULL. */
static const char *below(const char *path) {
    if (!prefix_length || strncmp(path, prefix, prefix_length)) return NULL;
    if (path[prefix_length] == 0) return path + prefix_length;
    return path[prefix_length] == '/' ? path + prefix_length + 1 : NULL;
}

/* Gives the path of an open file below the prefix, or NULL; a file that was unlinked has none. */
static const char *path_of(int fd, char out[PATH_MAX]) {
    if (!prefix_length) return NULL;
    int before = errno;
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, out, PATH_MAX - 1);
    errno = before;
    if (length < 0) return NULL;
    out[length] = 0;
    const char *gone = " (deleted)";
    size_t tail = strlen(gone);
    if ((size_t)length > tail && !strcmp(out + length - tail, gone)) return NULL;
    return below(out);
}

/* Gives the path of a name, whose last part need not exist, below the prefix, or NULL. */
static const char *path_named(int folder, const char *name, char out[PATH_MAX]) {
    if (!prefix_length || !name) return NULL;
    int before = errno;
    char whole[PATH_MAX + 64], parent[PATH_MAX];
    if (name[0] == '/' || folder == AT_FDCWD) snprintf(whole, sizeof whole, "%s", name);
    else snprintf(whole, sizeof whole, "/proc/self/fd/%d/%s", folder, name);
    size_t end = strlen(whole);
    while (end > 1 && whole[end - 1] == '/') whole[--end] = 0;
    char *slash = strrchr(whole, '/');
    const char *base = slash ? slash + 1 : whole;
    const char *found = NULL;
    if (slash == whole) strcpy(parent, "");
    else if (slash) { *slash = 0; if (!realpath(whole, parent)) goto done; }
    else if (!realpath(".", parent)) goto done;
    if (snprintf(out, PATH_MAX, "%s/%s", parent, base) < PATH_MAX) found = below(out);
done:
    errno = before;
    return found;
}

/* Appends one entry. The caller holds the lock. A record that cannot be kept would prove nothing: stop. */
static uint64_t note(enum operation operation, const char *path, uint64_t offset, uint64_t length,
                     const void *data, size_t data_length) {
    if (record < 0) return 0;
    int before = errno;
    uint32_t path_bytes = (uint32_t)strlen(path), data_bytes = (uint32_t)data_length, magic = MAGIC;
    uint64_t number = (uint64_t)getpid() << 32 | entries++;
    size_t total = HEADER + path_bytes + data_length;
    unsigned char *entry = calloc(1, total);
    if (!entry) abort();
    memcpy(entry, &magic, 4);
    entry[4] = (unsigned char)operation;
    memcpy(entry + 8, &number, 8);
    memcpy(entry + 16, &offset, 8);
    memcpy(entry + 24, &length, 8);
    memcpy(entry + 32, &path_bytes, 4);
    memcpy(entry + 36, &data_bytes, 4);
    memcpy(entry + HEADER, path, path_bytes);
    if (data_length) memcpy(entry + HEADER + path_bytes, data, data_length);
    if (real_write(record, entry, total) != (ssize_t)total) abort();
    free(entry);
    errno = before;
    return number;
}

static int out_of_space(const char *path) {
    if (!path || !exists(full)) return 0;
    errno = ENOSPC;
    return 1;
}

/* ---- syncs ---- */

static void wait_at_the_gate(void) {
    if (!exists(gate)) return;
    pthread_mutex_lock(&lock);
    if (held++ == 0 && waiting) {
        int fd = real_open(waiting, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (fd >= 0) close(fd);
    }
    pthread_mutex_unlock(&lock);
    while (exists(gate)) usleep(1000);
    pthread_mutex_lock(&lock);
    if (--held == 0 && waiting) {
        REAL(int, unlink, const char *);
        real(waiting);
    }
    pthread_mutex_unlock(&lock);
}

static int synced(int fd, int (*real)(int)) {
    char buffer[PATH_MAX];
    const char *path = path_of(fd, buffer);
    if (!path) return real(fd);
    wait_at_the_gate();
    pthread_mutex_lock(&lock);
    int fails = exists(fail) || (fail_after >= 0 && syncs >= fail_after);
    syncs++;
    uint64_t begin = fails ? 0 : note(SYNC_BEGINS, path, 0, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    if (fails) {
        errno = EIO;
        return -1;
    }
    int result = real(fd);
    if (result == 0) {
        pthread_mutex_lock(&lock);
        note(SYNC_ENDED, path, 0, begin, NULL, 0);
        pthread_mutex_unlock(&lock);
    }
    return result;
}

int fsync(int fd) {
    REAL(int, fsync, int);
    return synced(fd, real);
}

int fdatasync(int fd) {
    REAL(int, fdatasync, int);
    return synced(fd, real);
}

/* ---- creation ---- */

/* Opens through `again` and notes what that did to the file. */
static int opened(int folder, const char *name, int flags, mode_t mode,
                  int (*again)(int, const char *, int, mode_t)) {
    if (!prefix_length || !(flags & (O_CREAT | O_TRUNC)) || (flags & O_TMPFILE) == O_TMPFILE)
        return again(folder, name, flags, mode);
    char buffer[PATH_MAX];
    pthread_mutex_lock(&lock);
    int before = errno;
    struct stat found;
    int was_there = fstatat(folder, name, &found, 0) == 0;
    errno = before;
    int fd = again(folder, name, flags, mode);
    const char *path = fd < 0 ? NULL : path_of(fd, buffer);
    if (path && !was_there) note(CREATE, path, 0, 0, NULL, 0);
    else if (path && (flags & O_TRUNC)) note(TRUNCATE, path, 0, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return fd;
}

static int again_open(int folder, const char *name, int flags, mode_t mode) {
    REAL(int, openat64, int, const char *, int, ...);
    return real(folder, name, flags, mode);
}

#define MODE(last)                                                    \
    mode_t mode = 0;                                                  \
    if (flags & (O_CREAT | O_TMPFILE)) {                              \
        va_list rest;                                                 \
        va_start(rest, last);                                         \
        mode = va_arg(rest, mode_t);                                  \
        va_end(rest);                                                 \
    }

int open(const char *name, int flags, ...) {
    MODE(flags)
    return opened(AT_FDCWD, name, flags, mode, again_open);
}

int open64(const char *name, int flags, ...) {
    MODE(flags)
    return opened(AT_FDCWD, name, flags | O_LARGEFILE, mode, again_open);
}

int openat(int folder, const char *name, int flags, ...) {
    MODE(flags)
    return opened(folder, name, flags, mode, again_open);
}

int openat64(int folder, const char *name, int flags, ...) {
    MODE(flags)
    return opened(folder, name, flags | O_LARGEFILE, mode, again_open);
}

int creat(const char *name, mode_t mode) {
    return opened(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode, again_open);
}

int creat64(const char *name, mode_t mode) {
    return creat(name, mode);
}

/* ---- writes ---- */

/* Where a plain write of this file goes. */
static uint64_t position_of(int fd) {
    struct stat found;
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0 && (flags & O_APPEND) && fstat(fd, &found) == 0) return (uint64_t)found.st_size;
    off_t at = lseek(fd, 0, SEEK_CUR);
    return at < 0 ? 0 : (uint64_t)at;
}

ssize_t write(int fd, const void *data, size_t length) {
    char buffer[PATH_MAX];
    const char *path = path_of(fd, buffer);
    if (!path) return real_write(fd, data, length);
    if (out_of_space(path)) return -1;
    pthread_mutex_lock(&lock);
    uint64_t offset = position_of(fd);
    ssize_t done = real_write(fd, data, length);
    if (done > 0) note(WRITE, path, offset, (uint64_t)done, data, (size_t)done);
    pthread_mutex_unlock(&lock);
    return done;
}

static ssize_t written_at(int fd, const void *data, size_t length, off64_t offset) {
    REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t);
    char buffer[PATH_MAX];
    const char *path = path_of(fd, buffer);
    if (!path) return real(fd, data, length, offset);
    if (out_of_space(path)) return -1;
    pthread_mutex_lock(&lock);
    ssize_t done = real(fd, data, length, offset);
    if (done > 0) note(WRITE, path, (uint64_t)offset, (uint64_t)done, data, (size_t)done);
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) {
    return written_at(fd, data, length, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) {
    return written_at(fd, data, length, offset);
}

/* A vector below the prefix is written by its first part that is not empty: a short write, which callers expect. */
static const struct iovec *first_part(const struct iovec *parts, int count) {
    for (int i = 0; i < count; i++)
        if (parts[i].iov_len) return &parts[i];
    return NULL;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(ssize_t, writev, int, const struct iovec *, int);
    char buffer[PATH_MAX];
    const struct iovec *part = path_of(fd, buffer) ? first_part(parts, count) : NULL;
    return part ? write(fd, part->iov_base, part->iov_len) : real(fd, parts, count);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) {
    REAL(ssize_t, pwritev64, int, const struct iovec *, int, off64_t);
    char buffer[PATH_MAX];
    const struct iovec *part = path_of(fd, buffer) ? first_part(parts, count) : NULL;
    return part ? written_at(fd, part->iov_base, part->iov_len, offset) : real(fd, parts, count, offset);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
    return pwritev64(fd, parts, count, offset);
}

ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t length, unsigned flags) {
    REAL(ssize_t, copy_file_range, int, off64_t *, int, off64_t *, size_t, unsigned);
    char buffer[PATH_MAX];
    if (!path_of(out, buffer)) return real(in, from, out, to, length, flags);
    errno = ENOSYS;
    return -1;
}

ssize_t sendfile64(int out, int in, off64_t *from, size_t length) {
    REAL(ssize_t, sendfile64, int, int, off64_t *, size_t);
    char buffer[PATH_MAX];
    if (!path_of(out, buffer)) return real(out, in, from, length);
    errno = EINVAL;
    return -1;
}

ssize_t sendfile(int out, int in, off_t *from, size_t length) {
    return sendfile64(out, in, (off64_t *)from, length);
}

ssize_t splice(int in, off64_t *from, int out, off64_t *to, size_t length, unsigned flags) {
    REAL(ssize_t, splice, int, off64_t *, int, off64_t *, size_t, unsigned);
    char buffer[PATH_MAX];
    if (!path_of(out, buffer)) return real(in, from, out, to, length, flags);
    errno = EINVAL;
    return -1;
}

/* ---- sizes ---- */

int ftruncate64(int fd, off64_t length) {
    REAL(int, ftruncate64, int, off64_t);
    char buffer[PATH_MAX];
    const char *path = path_of(fd, buffer);
    if (!path) return real(fd, length);
    pthread_mutex_lock(&lock);
    int result = real(fd, length);
    if (result == 0) note(TRUNCATE, path, 0, (uint64_t)length, NULL, 0);
    pthread_mutex_unlock(&lock);
    return result;
}

int ftruncate(int fd, off_t length) {
    return ftruncate64(fd, length);
}

int truncate64(const char *name, off64_t length) {
    int fd = open(name, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    int result = ftruncate64(fd, length), why = errno;
    close(fd);
    errno = why;
    return result;
}

int truncate(const char *name, off_t length) {
    return truncate64(name, length);
}

/* Space that is reserved shows only in the size of the file. */
static int reserved(int fd, int result) {
    char buffer[PATH_MAX];
    const char *path = result ? NULL : path_of(fd, buffer);
    struct stat found;
    if (path && fstat(fd, &found) == 0) {
        pthread_mutex_lock(&lock);
        note(TRUNCATE, path, 0, (uint64_t)found.st_size, NULL, 0);
        pthread_mutex_unlock(&lock);
    }
    return result;
}

int posix_fallocate64(int fd, off64_t offset, off64_t length) {
    REAL(int, posix_fallocate64, int, off64_t, off64_t);
    char buffer[PATH_MAX];
    if (out_of_space(path_of(fd, buffer))) return ENOSPC;
    return reserved(fd, real(fd, offset, length));
}

int posix_fallocate(int fd, off_t offset, off_t length) {
    return posix_fallocate64(fd, offset, length);
}

/* Modes other than plain growth change bytes in ways the record has no entry for. */
int fallocate64(int fd, int mode, off64_t offset, off64_t length) {
    REAL(int, fallocate64, int, int, off64_t, off64_t);
    char buffer[PATH_MAX];
    const char *path = path_of(fd, buffer);
    if (out_of_space(path)) return -1;
    if (path && mode) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return reserved(fd, real(fd, mode, offset, length));
}

int fallocate(int fd, int mode, off_t offset, off_t length) {
    return fallocate64(fd, mode, offset, length);
}

/* ---- names ---- */

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags) {
    REAL(int, renameat2, int, const char *, int, const char *, unsigned);
    char from_buffer[PATH_MAX], to_buffer[PATH_MAX];
    const char *from_path = path_named(from_folder, from, from_buffer);
    const char *to_path = path_named(to_folder, to, to_buffer);
    if (!from_path && !to_path) return real(from_folder, from, to_folder, to, flags);
    if (!from_path || !to_path) {
        /* Half of it would be missing from the record; callers copy instead. */
        errno = EXDEV;
        return -1;
    }
    pthread_mutex_lock(&lock);
    int result = real(from_folder, from, to_folder, to, flags);
    if (result == 0) note(RENAME, from_path, 0, 0, to_path, strlen(to_path));
    pthread_mutex_unlock(&lock);
    return result;
}

int rename(const char *from, const char *to) {
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int renameat(int from_folder, const char *from, int to_folder, const char *to) {
    return renameat2(from_folder, from, to_folder, to, 0);
}

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags) {
    REAL(int, linkat, int, const char *, int, const char *, int);
    char buffer[PATH_MAX];
    if (!path_named(to_folder, to, buffer)) return real(from_folder, from, to_folder, to, flags);
    errno = EPERM; /* What file systems without hard links answer. */
    return -1;
}

int link(const char *from, const char *to) {
    return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int unlinkat(int folder, const char *name, int flags) {
    REAL(int, unlinkat, int, const char *, int);
    char buffer[PATH_MAX];
    const char *path = path_named(folder, name, buffer);
    if (!path) return real(folder, name, flags);
    pthread_mutex_lock(&lock);
    int result = real(folder, name, flags);
    if (result == 0) note(flags & AT_REMOVEDIR ? REMOVE_FOLDER : UNLINK, path, 0, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return result;
}

int unlink(const char *name) {
    return unlinkat(AT_FDCWD, name, 0);
}

int rmdir(const char *name) {
    return unlinkat(AT_FDCWD, name, AT_REMOVEDIR);
}

int remove(const char *name) {
    struct stat found;
    if (lstat(name, &found)) return -1;
    return S_ISDIR(found.st_mode) ? rmdir(name) : unlink(name);
}

int mkdirat(int folder, const char *name, mode_t mode) {
    REAL(int, mkdirat, int, const char *, mode_t);
    char buffer[PATH_MAX];
    const char *path = path_named(folder, name, buffer);
    if (!path) return real(folder, name, mode);
    pthread_mutex_lock(&lock);
    int result = real(folder, name, mode);
    if (result == 0) note(MAKE_FOLDER, path, 0, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return result;
}

int mkdir(const char *name, mode_t mode) {
    return mkdirat(AT_FDCWD, name, mode);
}
