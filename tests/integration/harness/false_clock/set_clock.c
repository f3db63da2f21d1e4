/* Tells a program that its clock was set, as the kernel does, when the file of libfaketime changes.
 *
 * libfaketime changes the time that a program reads, but the kernel knows nothing of it: no timer
 * with TFD_TIMER_CANCEL_ON_SET is cancelled (timerfd_create(2)). Preloaded before libfaketime, this
 * cancels the timer: it becomes readable, and read(2) fails with ECANCELED, or the next
 * timerfd_settime(2) does, which sets the timer all the same. Only the timer set last is watched.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define CANCEL_ON_SET 2 /* TFD_TIMER_CANCEL_ON_SET */
#define INTERVAL 20     /* milliseconds between two looks at the file: inotify misses overlays */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static volatile int timer = -1;
static int cancelled;
static char before[256];

static ssize_t read_next(int descriptor, void *buffer, size_t size)
{
    static ssize_t (*next)(int, void *, size_t);
    if (!next)
        next = dlsym(RTLD_NEXT, "read");
    return next(descriptor, buffer, size);
}

static int set_next(int descriptor, int flags, const struct itimerspec *value,
                    struct itimerspec *old)
{
    static int (*next)(int, int, const struct itimerspec *, struct itimerspec *);
    if (!next)
        next = dlsym(RTLD_NEXT, "timerfd_settime");
    return next(descriptor, flags, value, old);
}

/* Reads the whole file; zero if it cannot be read or is empty, as while it is written. */
static int content(char *text)
{
    const char *path = getenv("FAKETIME_TIMESTAMP_FILE");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t size = 0;
    memset(text, 0, sizeof before);
    if (file >= 0) {
        size = read_next(file, text, sizeof before - 1);
        close(file);
    }
    return size > 0;
}

static void *look(void *unused)
{
    char now[sizeof before];
    const struct itimerspec at_once = {.it_value = {.tv_nsec = 1}};
    for (;;) {
        poll(NULL, 0, INTERVAL);
        if (!content(now) || !memcmp(now, before, sizeof before))
            continue;
        memcpy(before, now, sizeof before);
        pthread_mutex_lock(&lock);
        cancelled = 1;
        set_next(timer, 0, &at_once, NULL);
        pthread_mutex_unlock(&lock);
    }
    return unused;
}

static void start(void)
{
    pthread_t thread;
    content(before);
    if (pthread_create(&thread, NULL, look, NULL))
        abort();
}

int timerfd_settime(int descriptor, int flags, const struct itimerspec *value,
                    struct itimerspec *old)
{
    int result;
    if (!(flags & CANCEL_ON_SET))
        return set_next(descriptor, flags, value, old);
    pthread_once(&once, start);
    pthread_mutex_lock(&lock);
    timer = descriptor;
    result = set_next(descriptor, flags & ~CANCEL_ON_SET, value, old);
    if (cancelled && !result) {
        cancelled = 0;
        errno = ECANCELED;
        result = -1;
    }
    pthread_mutex_unlock(&lock);
    return result;
}

ssize_t read(int descriptor, void *buffer, size_t size)
{
    ssize_t result;
    if (descriptor != timer)
        return read_next(descriptor, buffer, size);
    pthread_mutex_lock(&lock);
    result = read_next(descriptor, buffer, size);
    if (cancelled) {
        cancelled = 0;
        errno = ECANCELED;
        result = -1;
    }
    pthread_mutex_unlock(&lock);
    return result;
}
