/* The vector code for avx2. */
#define FAST2D_ISA avx2
#include "engine.inc"
