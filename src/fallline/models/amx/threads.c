/* Torch's threads, of the OpenMP library that it has loaded. */
#include "tiles.h"
#include <sys/syscall.h>
#include <unistd.h>

typedef void (*Team)(void (*)(void *), void *, unsigned, unsigned);
static Team team;
static int (*number)(void), (*size)(void);

/* Takes GOMP_parallel, omp_get_thread_num and omp_get_num_threads of that library, and asks Linux
 * for the use of tiles; returns 0 if it grants it. */
EXPORTED int tiles_open(Team parallel, int (*thread_number)(void), int (*threads)(void)) {
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    team = parallel;
    number = thread_number;
    size = threads;
    return (int)syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA);
}

void run(void (*work)(void *), void *job, int threads) { team(work, job, (unsigned)threads, 0); }

int thread(void) { return number(); }

int team_size(void) { return size(); }

long from(long items) { return items * number() / size(); }

long to(long items) { return items * (number() + 1) / size(); }
