/* A stand-in for the CUDA driver: one GPU of compute capability 9.0, whose memory is the host's. */
#include <stdlib.h>
#include <string.h>

typedef unsigned long long address;

static long held; /* allocations that were not freed */

int cuInit(unsigned flags) { return flags != 0; }
int cuDeviceGet(int *device, int ordinal) { *device = 0; return ordinal != 0; }
int cuDeviceGetName(char *name, int size, int device) { strncpy(name, "Stand-in GPU", size); return device != 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    *value = attribute == 75 ? 9 : attribute == 76 ? 0 : attribute == 16 ? 4 : -1;
    return device != 0;
}
int cuDevicePrimaryCtxRetain(void **context, int device) { *context = (void *)0x11; return device != 0; }
int cuCtxSetCurrent(void *context) { return context != (void *)0x11; }
int cuStreamCreate(void **stream, unsigned flags) { *stream = (void *)0x7fff00000022; return flags != 1; }
/* As late as a GPU may: copies to it wait for the stream, copies from it are there after cuStreamSynchronize. */
static struct { void *to; const void *from; size_t size; } pending[64];
static int waiting;
static int queue(void *to, const void *from, size_t size, void *stream) {
    if (stream != (void *)0x7fff00000022 || waiting == 64) return 400; /* CUDA_ERROR_INVALID_HANDLE */
    pending[waiting].to = to;
    pending[waiting].from = from;
    pending[waiting++].size = size;
    return 0;
}
void stand_in_run(void) { /* what a kernel launched on the stream waits for */
    for (int i = 0; i < waiting; i++) memcpy(pending[i].to, pending[i].from, pending[i].size);
    waiting = 0;
}
int cuStreamSynchronize(void *stream) { stand_in_run(); return stream != (void *)0x7fff00000022; }
int cuMemAlloc_v2(address *at, size_t size) {
    if (size == 0) return 1; /* CUDA_ERROR_INVALID_VALUE */
    if (size > (size_t)1 << 40) return 2; /* CUDA_ERROR_OUT_OF_MEMORY */
    held++;
    *at = (address)(size_t)malloc(size);
    return 0;
}
int cuMemcpyHtoDAsync_v2(address to, const void *from, size_t size, void *stream) {
    return queue((void *)(size_t)to, from, size, stream);
}
int cuMemcpyDtoHAsync_v2(void *to, address from, size_t size, void *stream) {
    return queue(to, (const void *)(size_t)from, size, stream);
}
int cuMemFree_v2(address at) { held--; free((void *)(size_t)at); return 0; }
long stand_in_held(void) { return held; }
