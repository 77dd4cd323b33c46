/* The Python module `_engine`: plans, and features of maps and of filtered images. Limited API, so that one build
 * serves every Python from 3.11 on. Arrays come as C-contiguous buffers, whose shapes engine.py has checked; the GIL is
 * released while features are computed. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <math.h>

#include "fast2d.h"

static const char PLAN[] = "fast2d.plan", WORK[] = "fast2d.work";

static void plan_gone(PyObject *capsule) { plan_free(PyCapsule_GetPointer(capsule, PLAN)); }
static void work_gone(PyObject *capsule) { work_free(PyCapsule_GetPointer(capsule, WORK)); }

static int has_isa(int isa) {
#ifdef FAST2D_X86
    if (isa == 2)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
    if (isa == 1)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
#endif
    return isa == 0;
}

static const engine_t *engine_of(int isa) {
#ifdef FAST2D_X86
    if (isa == 2) return &engine_avx512;
    if (isa == 1) return &engine_avx2;
#endif
    (void)isa;
    return &engine_baseline;
}

PyDoc_STRVAR(instruction_sets_doc, "instruction_sets() -> names of the sets that this build and machine have, by rank");

static PyObject *instruction_sets(PyObject *self, PyObject *none) {
    (void)self; (void)none;
    PyObject *list = PyList_New(0);
    for (int isa = 0; list && isa < 3; isa++) {
        if (!has_isa(isa)) continue;
        PyObject *name = PyUnicode_FromString(engine_of(isa)->name);
        if (!name || PyList_Append(list, name)) Py_CLEAR(list);
        Py_XDECREF(name);
    }
    return list;
}

static int buffer(PyObject *array, Py_buffer *view, Py_ssize_t bytes, int writable) {
    if (PyObject_GetBuffer(array, view, PyBUF_C_CONTIGUOUS | (writable ? PyBUF_WRITABLE : 0))) return -1;
    if (view->len >= bytes) return 0;
    PyErr_Format(PyExc_ValueError, "a buffer of %zd bytes where %zd are needed", view->len, bytes);
    PyBuffer_Release(view);
    return -1;
}

PyDoc_STRVAR(plan_doc, "plan(mask, rows, columns, row_mm, column_mm) -> (capsule, pixels)");

static PyObject *plan(PyObject *self, PyObject *args) {
    (void)self;
    PyObject *mask;
    Py_ssize_t rows, columns;
    double row_mm, column_mm;
    Py_buffer view;
    if (!PyArg_ParseTuple(args, "Onndd", &mask, &rows, &columns, &row_mm, &column_mm)) return NULL;
    if (buffer(mask, &view, rows * columns, 0)) return NULL;
    plan_t *p;
    Py_BEGIN_ALLOW_THREADS
    p = plan_new(view.buf, rows, columns, row_mm, column_mm);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&view);
    if (!p) return PyErr_NoMemory();
    PyObject *capsule = PyCapsule_New(p, PLAN, plan_gone);
    if (!capsule) { plan_free(p); return NULL; }
    return Py_BuildValue("(NL)", capsule, (long long)p->n);
}

PyDoc_STRVAR(shape_doc, "shape(plan, out float64 (9,))");

static PyObject *shape(PyObject *self, PyObject *args) {
    (void)self;
    PyObject *capsule, *out;
    Py_buffer view;
    if (!PyArg_ParseTuple(args, "OO", &capsule, &out)) return NULL;
    plan_t *p = PyCapsule_GetPointer(capsule, PLAN);
    if (!p || buffer(out, &view, N_SHAPE * sizeof(double), 1)) return NULL;
    int error;
    Py_BEGIN_ALLOW_THREADS
    error = shape2d(p, view.buf);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&view);
    if (error) return PyErr_NoMemory();
    Py_RETURN_NONE;
}

PyDoc_STRVAR(work_doc, "workspace() -> capsule; serves one call at a time");

static PyObject *workspace(PyObject *self, PyObject *none) {
    (void)self; (void)none;
    work_t *w = work_new();
    if (!w) return PyErr_NoMemory();
    PyObject *capsule = PyCapsule_New(w, WORK, work_gone);
    if (!capsule) work_free(w);
    return capsule;
}

/* What both kinds of call share. */
typedef struct {
    work_t *w;
    const plan_t *p;
    const engine_t *engine;
    settings_t settings;
    Py_buffer distances, out;
    Py_ssize_t count;
} job_t;

static int job_begin(job_t *j, PyObject *work, PyObject *plan, int isa, PyObject *settings, PyObject *out) {
    PyObject *distances;
    if (!(j->w = PyCapsule_GetPointer(work, WORK)) || !(j->p = PyCapsule_GetPointer(plan, PLAN))) return -1;
    if (!has_isa(isa)) {
        PyErr_SetString(PyExc_ValueError, "this machine or build does not have that instruction set");
        return -1;
    }
    j->engine = engine_of(isa);
    if (!PyArg_ParseTuple(settings, "idpO", &j->settings.bins, &j->settings.width, &j->settings.symmetrical, &distances))
        return -1;
    if (buffer(distances, &j->distances, 0, 0)) return -1;
    if (buffer(out, &j->out, j->count * N_FEATURES * (Py_ssize_t)sizeof(double), 1)) {
        PyBuffer_Release(&j->distances);
        return -1;
    }
    j->settings.distances = j->distances.buf;
    j->settings.n_distances = (int)(j->distances.len / (Py_ssize_t)sizeof(int32_t));
    return 0;
}

static PyObject *job_end(job_t *j, int error) {
    PyBuffer_Release(&j->distances);
    PyBuffer_Release(&j->out);
    if (error) return PyErr_NoMemory();
    Py_RETURN_NONE;
}

/* Features of the values in the workspace, NaN where there are none; only lack of memory ends a job. */
static int one_map(job_t *j, Py_ssize_t k) {
    double *out = (double *)j->out.buf + k * N_FEATURES;
    const int error = j->engine->features(j->w, j->p, &j->settings, out);
    if (error)
        for (int f = 0; f < N_FEATURES; f++) out[f] = (double)NAN;
    return error == NO_MEMORY;
}

PyDoc_STRVAR(extract_doc,
             "extract(workspace, plan, isa, (bins, width, symmetrical, distances int32), out (K, 93), maps (K, H, W),\n"
             "K); a map without features gives NaN");

static PyObject *extract(PyObject *self, PyObject *args) {
    (void)self;
    PyObject *work, *plan, *settings, *out, *maps;
    int isa, error = DONE;
    job_t j;
    Py_buffer view;
    if (!PyArg_ParseTuple(args, "OOiO!OOn", &work, &plan, &isa, &PyTuple_Type, &settings, &out, &maps, &j.count))
        return NULL;
    if (job_begin(&j, work, plan, isa, settings, out)) return NULL;
    const Py_ssize_t pixels = (Py_ssize_t)(j.p->rows * j.p->columns);
    if (buffer(maps, &view, j.count * pixels * (Py_ssize_t)sizeof(double), 0)) {
        PyBuffer_Release(&j.distances);
        PyBuffer_Release(&j.out);
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    error = work_fit(j.w, j.p);
    for (Py_ssize_t k = 0; !error && k < j.count; k++) {
        const double *map = (const double *)view.buf + k * pixels;
        j.w->next_map = k + 1 < j.count ? map + pixels : NULL;
        j.engine->gather(j.w, j.p, map);
        error = one_map(&j, k);
    }
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&view);
    return job_end(&j, error);
}

PyDoc_STRVAR(filtered_doc,
             "extract_filtered(workspace, plan, isa, settings, out (K, 93), padded image with a slack of 64 values,\n"
             "row length, kernels (K, h, w), K, h, w, bias (K,)); a map without features gives NaN");

static PyObject *extract_filtered(PyObject *self, PyObject *args) {
    (void)self;
    PyObject *work, *plan, *settings, *out, *image, *kernels, *bias;
    Py_ssize_t row, h, wd;
    int isa, error = DONE;
    job_t j;
    Py_buffer view[3];
    if (!PyArg_ParseTuple(args, "OOiO!OOnOnnnO", &work, &plan, &isa, &PyTuple_Type, &settings, &out, &image, &row,
                          &kernels, &j.count, &h, &wd, &bias))
        return NULL;
    if (job_begin(&j, work, plan, isa, settings, out)) return NULL;
    const Py_ssize_t real = sizeof(double);
    const Py_ssize_t sizes[3] = {((Py_ssize_t)(j.p->rows + h - 1) * row + SLACK) * real, j.count * h * wd * real,
                                 j.count * real};
    PyObject *arrays[3] = {image, kernels, bias};
    for (int b = 0; b < 3; b++)
        if (buffer(arrays[b], view + b, sizes[b], 0)) {
            while (b--) PyBuffer_Release(view + b);
            PyBuffer_Release(&j.distances);
            PyBuffer_Release(&j.out);
            return NULL;
        }
    Py_BEGIN_ALLOW_THREADS
    error = work_fit(j.w, j.p);
    j.w->next_map = NULL;
    for (Py_ssize_t k = 0; !error && k < j.count; k++) {
        j.engine->filter(j.w, j.p, view[0].buf, row, (const double *)view[1].buf + k * h * wd, h, wd,
                         ((const double *)view[2].buf)[k]);
        error = one_map(&j, k);
    }
    Py_END_ALLOW_THREADS
    for (int b = 0; b < 3; b++) PyBuffer_Release(view + b);
    return job_end(&j, error);
}

PyDoc_STRVAR(increments_doc, "increments(indices uint16, repeats): as many bare counter increments, for the benchmark");

static PyObject *increments(PyObject *self, PyObject *args) {
    (void)self;
    PyObject *indices;
    Py_ssize_t repeats;
    Py_buffer view;
    uint32_t last;
    if (!PyArg_ParseTuple(args, "On", &indices, &repeats)) return NULL;
    if (buffer(indices, &view, sizeof(uint16_t), 0)) return NULL;
    Py_BEGIN_ALLOW_THREADS
    last = bare_increments(view.buf, (int64_t)(view.len / (Py_ssize_t)sizeof(uint16_t)), repeats);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&view);
    return PyLong_FromUnsignedLong(last);
}

static PyMethodDef methods[] = {{"instruction_sets", instruction_sets, METH_NOARGS, instruction_sets_doc},
                                {"plan", plan, METH_VARARGS, plan_doc},
                                {"shape", shape, METH_VARARGS, shape_doc},
                                {"increments", increments, METH_VARARGS, increments_doc},
                                {"workspace", workspace, METH_NOARGS, work_doc},
                                {"extract", extract, METH_VARARGS, extract_doc},
                                {"extract_filtered", extract_filtered, METH_VARARGS, filtered_doc},
                                {NULL, NULL, 0, NULL}};

static PyModuleDef_Slot slots[] = {{0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_engine", "PyRadiomics' features of 2-D maps; see engine.py.", 0, methods, slots,
    NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__engine(void) {
#ifdef FAST2D_X86
    __builtin_cpu_init();
#endif
    return PyModuleDef_Init(&definition);
}
