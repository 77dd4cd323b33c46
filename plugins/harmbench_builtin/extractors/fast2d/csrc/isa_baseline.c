/* The vector code for baseline. */
#define FAST2D_ISA baseline
#include "engine.inc"
