/* The divergence on the baseline instruction set: setup.py compiles it with the flags of this file. */

#include "divergence_kernel.h"

int divergence_baseline(divergence_task *task) { return run(task); }
