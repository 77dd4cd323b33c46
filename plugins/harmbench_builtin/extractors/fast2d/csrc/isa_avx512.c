/* The vector code for avx512. */
#define FAST2D_ISA avx512
#include "engine.inc"
