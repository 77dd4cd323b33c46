/* The divergence on the avx512 instruction set: setup.py compiles it with the flags of this file. */

#include "divergence_kernel.h"

int divergence_avx512(divergence_task *task) { return run(task); }
