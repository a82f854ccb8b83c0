/* Torch's threads, of the OpenMP library that it has loaded. */
#include "shared.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

typedef void (*Team)(void (*)(void *), void *, unsigned, unsigned);
static Team team;
static int (*number)(void);
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t of_thread; /* what is given back when a thread ends */

static void make_key(void) {
    if (pthread_key_create(&of_thread, free)) abort();
}

/* Takes GOMP_parallel and omp_get_thread_num of that library; returns 0 if products may be
 * computed. */
EXPORTED int kernel_open(Team parallel, int (*thread_number)(void)) {
    team = parallel;
    number = thread_number;
    pthread_once(&once, make_key);
    return ask_for_products();
}

struct share {
    _Alignas(64) atomic_long taken; /* on a cache line of its own */
};

struct queue {
    struct share *shares;
    int threads, mine;
};

long take(struct queue *queue, long items) {
    for (int i = 0; i < queue->threads; i++) {
        int whose = (queue->mine + i) % queue->threads;
        long first = items * whose / queue->threads;
        long count = items * (whose + 1) / queue->threads - first;
        atomic_long *taken = &queue->shares[whose].taken;
        if (atomic_load(taken) >= count) continue;
        long item = atomic_fetch_add(taken, 1);
        if (item < count) return first + item;
    }
    return -1;
}

struct call {
    void (*work)(void *, struct queue *);
    void *job;
    struct share *shares;
    int threads;
};

static void begin(void *call) {
    const struct call *c = call;
    struct queue queue = {c->shares, c->threads, number()};
    c->work(c->job, &queue);
}

void run(void (*work)(void *, struct queue *), void *job, int threads) {
    struct share shares[threads];
    for (int i = 0; i < threads; i++) atomic_init(&shares[i].taken, 0);
    struct call c = {work, job, shares, threads};
    team(begin, &c, (unsigned)threads, 0);
}

void *thread_space(size_t bytes) {
    static _Thread_local void *space;
    static _Thread_local size_t room;
    if (room < bytes) {
        free(space);
        space = aligned_alloc(64, (bytes + 63) / 64 * 64);
        if (!space || pthread_setspecific(of_thread, space)) abort();
        room = bytes;
    }
    return space;
}
