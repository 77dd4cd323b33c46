/* The compiled form of evaluators/divergence.py for two groups: checks what it is given, picks the instruction set. */

#define PY_SSIZE_T_CLEAN
#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030b0000
#endif
#include <Python.h>

#include "divergence.h"

#define MAX_MANUFACTURERS 64
#define MAX_BINS 4096
#define MAX_ROWS (1 << 26) /* times 16, in 8 bytes, it still fits 32 bits */

typedef int (*kernel)(divergence_task *);

static int best_set(void) {
#ifdef DIVERGENCE_X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx2"))
        return 2;
    if (__builtin_cpu_supports("avx2")) return 1;
#endif
    return 0;
}

static kernel kernel_of(int set) {
#ifdef DIVERGENCE_X86
    if (set == 2) return divergence_avx512;
    if (set == 1) return divergence_avx2;
#endif
    (void)set;
    return divergence_baseline;
}

/* What is wrong with the task, or NULL: nothing may be read or written out of bounds. */
static const char *refusal(const divergence_task *t, Py_ssize_t order, Py_ssize_t inside, Py_ssize_t codes,
                           Py_ssize_t counts, Py_ssize_t own, Py_ssize_t others, Py_ssize_t share, Py_ssize_t out,
                           Py_ssize_t effective) {
    const int64_t cells = t->rows * t->replicates;
    if (t->rows < 1 || t->rows > MAX_ROWS || t->replicates < 1 || t->features < 0 || t->contrasts < 1 ||
        t->replicates > INT32_MAX || t->features > INT32_MAX || t->contrasts > INT16_MAX)
        return "sizes out of range";
    if (t->padded % DIVERGENCE_CHUNK || t->padded < t->rows || t->padded >= t->rows + DIVERGENCE_CHUNK)
        return "order must be padded to a multiple of CHUNK";
    if (t->manufacturers < 2 || t->manufacturers > MAX_MANUFACTURERS) return "manufacturers must lie in 2..64";
    if (t->bins < 2 || t->bins > MAX_BINS) return "bins must lie in 2..4096";
    if (order != t->features * t->padded * 4) return "order must be int32 (features, padded)";
    if (t->inside && inside != t->features * t->padded * 8) return "inside must be int64 (features, padded)";
    if (codes != (t->fixed_codes ? t->rows : cells) * 2) return "codes must be int16 (rows) or (rows, replicates)";
    if (t->counts && counts != cells * 4) return "counts must be int32 (rows, replicates)";
    if (own != t->contrasts * 4) return "own must be int32 (contrasts)";
    if (others != t->contrasts * t->manufacturers) return "others must be uint8 (contrasts, manufacturers)";
    if (share != t->contrasts * 8) return "share must be float64 (contrasts)";
    if (out != t->features * t->contrasts * t->replicates * 8) return "out must be float64 (features, contrasts, replicates)";
    if (t->effective && effective != out) return "effective must be shaped as out";
    for (int64_t i = 0; i < t->features * t->padded; i++)
        if (t->order[i] < 0 || t->order[i] > t->rows) return "order must hold rows";
    for (int64_t i = 0; i < codes / 2; i++)
        if (t->codes[i] < 0 || t->codes[i] >= t->manufacturers) return "codes must be manufacturers";
    for (int64_t b = 0; t->counts && b < t->replicates; b++) {
        int64_t sum = 0;
        for (int64_t r = 0; r < t->rows; r++) {
            if (t->counts[r * t->replicates + b] < 0) return "counts must not be negative";
            sum += t->counts[r * t->replicates + b];
        }
        if (sum >= 1LL << 30) return "counts are too large";
    }
    for (int64_t c = 0; c < t->contrasts; c++) {
        int some = 0;
        if (t->own[c] < 0 || t->own[c] >= t->manufacturers) return "own must be manufacturers";
        for (int64_t m = 0; m < t->manufacturers; m++) some += t->others[c * t->manufacturers + m] == 1;
        if (!some || t->others[c * t->manufacturers + t->own[c]]) return "others must be one or more, without own";
        for (int64_t m = 0; m < t->manufacturers; m++)
            if (t->others[c * t->manufacturers + m] > 1) return "others must be 0 or 1";
    }
    return NULL;
}

PyDoc_STRVAR(add_doc, "add(order, inside, codes, counts, own, others, share, out, effective, sizes, tolerance, set)\n\n"
                      "Add divergences to `out` (see divergence.h). sizes: features, padded, rows, replicates,\n"
                      "contrasts, manufacturers, bins, fixed_codes, wide. set: 0 baseline, 1 AVX2, 2 AVX-512,\n"
                      "-1 the best. Returns for how many contrasts of groups of replicates 32 bits were enough;\n"
                      "None, `out` then being worthless, when fixed point cannot hold the rows.");

static PyObject *add(PyObject *module, PyObject *args) {
    enum { ORDER, INSIDE, CODES, COUNTS, OWN, OTHERS, SHARE, OUT, EFFECTIVE, BUFFERS };
    PyObject *given[BUFFERS];
    Py_buffer view[BUFFERS] = {0};
    divergence_task t = {0};
    long long n[9];
    int set, status = 0, ok = 1;
    const char *why = NULL;
    (void)module;
    if (!PyArg_ParseTuple(args, "OOOOOOOOO(LLLLLLLLL)di", &given[0], &given[1], &given[2], &given[3], &given[4],
                          &given[5], &given[6], &given[7], &given[8], &n[0], &n[1], &n[2], &n[3], &n[4], &n[5], &n[6],
                          &n[7], &n[8], &t.tolerance, &set))
        return NULL;
    for (int i = 0; i < BUFFERS && ok; i++) {
        if ((i == INSIDE || i == COUNTS || i == EFFECTIVE) && given[i] == Py_None) continue;
        const int flags = i == OUT || i == EFFECTIVE ? PyBUF_CONTIG : PyBUF_CONTIG_RO;
        ok = PyObject_GetBuffer(given[i], &view[i], flags) == 0;
    }
    if (ok) {
        t.features = n[0], t.padded = n[1], t.rows = n[2], t.replicates = n[3];
        t.contrasts = n[4], t.manufacturers = n[5], t.bins = (int)n[6], t.fixed_codes = n[7] != 0, t.wide = n[8] != 0;
        t.order = view[ORDER].buf, t.inside = view[INSIDE].buf, t.codes = view[CODES].buf;
        t.counts = view[COUNTS].buf, t.own = view[OWN].buf, t.others = view[OTHERS].buf;
        t.share = view[SHARE].buf, t.out = view[OUT].buf, t.effective = view[EFFECTIVE].buf;
        Py_BEGIN_ALLOW_THREADS
        why = set > best_set() ? "this processor lacks the instruction set"
                               : refusal(&t, view[ORDER].len, view[INSIDE].len, view[CODES].len, view[COUNTS].len,
                                         view[OWN].len, view[OTHERS].len, view[SHARE].len, view[OUT].len,
                                         view[EFFECTIVE].len);
        if (!why) status = kernel_of(set < 0 ? best_set() : set)(&t);
        Py_END_ALLOW_THREADS
    }
    for (int i = 0; i < BUFFERS; i++)
        if (view[i].obj) PyBuffer_Release(&view[i]);
    if (!ok) return NULL;
    if (why) {
        PyErr_SetString(PyExc_ValueError, why);
        return NULL;
    }
    if (status == 1) return PyErr_NoMemory();
    if (status) Py_RETURN_NONE;
    return PyLong_FromLongLong(t.narrow);
}

static PyObject *sets(PyObject *module, PyObject *nothing) {
    (void)module, (void)nothing;
    return PyLong_FromLong(best_set() + 1);
}

static PyMethodDef methods[] = {
    {"add", add, METH_VARARGS, add_doc},
    {"sets", sets, METH_NOARGS, "How many instruction sets there are on this processor."},
    {NULL, NULL, 0, NULL},
};

static int fill(PyObject *module) { return PyModule_AddIntConstant(module, "CHUNK", DIVERGENCE_CHUNK); }

static PyModuleDef_Slot slots[] = {{Py_mod_exec, fill}, {0, NULL}};

static struct PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "_divergence",
    .m_doc = "Jensen-Shannon divergence of two groups for many replicates.",
    .m_size = 0,
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit__divergence(void) { return PyModuleDef_Init(&definition); }
