/* Remembers what a power cut would take back.
 *
 * Preloaded into the hub. Before a database file is changed, what the change overwrites goes to a log; when the file is
 * synced, a mark follows. After a kill the test undoes everything that no mark stands behind: a disk that has lost its power
 * has kept what was synced and need not have kept anything else. With HXA_POWER_DEAF set syncs leave no mark, as if they had
 * never been asked for. With HXA_POWER_SYNC_US set every sync takes that many microseconds longer. System calls are made directly, so that nothing here is intercepted itself.
 *
 * A record: 'W', or 'S' for a sync; length of the path (4 bytes); offset, size of the file before, length of what follows
 * (8 bytes each); the path; the bytes that were there.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int log_fd = -1;

static int tracked(int fd, char *path, size_t room) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, room - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    char *base = strrchr(path, '/');
    if (!base || !strstr(base, ".db") || strstr(base, "-shm")) return 0;
    if (log_fd < 0) {
        const char *name = getenv("HXA_POWER_LOG");
        if (!name) return 0;
        log_fd = (int)syscall(SYS_openat, AT_FDCWD, name, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    }
    return log_fd >= 0;
}

static void record(char kind, const char *path, uint64_t offset, uint64_t size, const void *old, uint64_t length) {
    uint32_t path_length = (uint32_t)strlen(path);
    size_t total = 1 + 4 + 24 + path_length + length;
    char *bytes = malloc(total), *at = bytes;
    if (!bytes) abort();
    *at++ = kind;
    memcpy(at, &path_length, 4), at += 4;
    memcpy(at, &offset, 8), at += 8;
    memcpy(at, &size, 8), at += 8;
    memcpy(at, &length, 8), at += 8;
    memcpy(at, path, path_length), at += path_length;
    if (length) memcpy(at, old, length);
    if (syscall(SYS_write, log_fd, bytes, total) != (long)total) abort();
    free(bytes);
}

/* Remembers `length` bytes from `offset` of a file that is about to change. */
static void remember(int fd, const char *path, uint64_t offset, uint64_t length) {
    struct stat status;
    if (fstat(fd, &status)) abort();
    uint64_t size = (uint64_t)status.st_size;
    uint64_t there = offset >= size ? 0 : (size - offset < length ? size - offset : length);
    char *old = malloc(there + 1);
    if (!old || (there && syscall(SYS_pread64, fd, old, there, offset) != (long)there)) abort();
    record('W', path, offset, size, old, there);
    free(old);
}

static long changing(int fd, uint64_t offset, uint64_t length, long (*change)(int, const void *, size_t, off_t), const void *buffer, size_t count, off_t at) {
    char path[4096];
    if (!tracked(fd, path, sizeof path)) return change(fd, buffer, count, at);
    pthread_mutex_lock(&lock);
    remember(fd, path, offset, length);
    long outcome = change(fd, buffer, count, at);
    pthread_mutex_unlock(&lock);
    return outcome;
}

static long real_pwrite(int fd, const void *buffer, size_t count, off_t at) { return syscall(SYS_pwrite64, fd, buffer, count, at); }
static long real_write(int fd, const void *buffer, size_t count, off_t at) { (void)at; return syscall(SYS_write, fd, buffer, count); }
static long real_truncate(int fd, const void *buffer, size_t count, off_t at) { (void)buffer, (void)count; return syscall(SYS_ftruncate, fd, at); }

ssize_t pwrite(int fd, const void *buffer, size_t count, off_t at) { return changing(fd, (uint64_t)at, count, real_pwrite, buffer, count, at); }
ssize_t pwrite64(int fd, const void *buffer, size_t count, off64_t at) { return changing(fd, (uint64_t)at, count, real_pwrite, buffer, count, at); }
int ftruncate(int fd, off_t size) { return (int)changing(fd, (uint64_t)size, UINT64_MAX / 2, real_truncate, NULL, 0, size); }
int ftruncate64(int fd, off64_t size) { return ftruncate(fd, size); }

ssize_t write(int fd, const void *buffer, size_t count) {
    off_t at = (off_t)syscall(SYS_lseek, fd, 0, SEEK_CUR);
    if (at < 0) return syscall(SYS_write, fd, buffer, count);
    return changing(fd, (uint64_t)at, count, real_write, buffer, count, at);
}

static int synced(int fd, long call) {
    char path[4096];
    const char *pause = getenv("HXA_POWER_SYNC_US");
    if (pause) usleep((useconds_t)atoi(pause));
    long outcome = syscall(call, fd);
    if (outcome == 0 && !getenv("HXA_POWER_DEAF") && tracked(fd, path, sizeof path)) {
        pthread_mutex_lock(&lock);
        record('S', path, 0, 0, NULL, 0);
        pthread_mutex_unlock(&lock);
    }
    return (int)outcome;
}

int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }
