/* The divergence on the avx2 instruction set: setup.py compiles it with the flags of this file. */

#include "divergence_kernel.h"

int divergence_avx2(divergence_task *task) { return run(task); }
