// No guarded memory is to be had, as where a process has as many pages with guards as the kernel allows.
#include <stddef.h>
void *sodium_malloc(const size_t size) { (void)size; return NULL; }
