/* tests/sim/machine_disk.c -- tests/queue/sim_disk.c with memory of its own: a disk outlives the processes that use it. */
#include <stdlib.h>

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_reallocarray(void *p, size_t n, size_t size);
void __real_free(void *p);

#define malloc		__real_malloc
#define calloc		__real_calloc
#define realloc		__real_realloc
#define reallocarray	__real_reallocarray
#define free		__real_free

#include "tests/queue/sim_disk.c"
