/* Gini importances of a random forest on binned features, for two classes.

   The same forest, bit for bit, as `forest_plain.importance`, which says what is computed; here it is only fast.
   Integers are exact and every double comes from one multiplication or one addition at a time, in the same order
   there and here, so this file must be compiled without fused multiply-add (-ffp-contract=off).

   Memory: the codes of one feature are one row of bytes, so that a node reads its rows' codes from a few cache
   lines; a node's rows lie side by side, each with its packed weight (count in the low half, count of the positive
   class in the high half), so that one addition fills both histograms. */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030b0000
#include <Python.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MAX_BINS 256
#define MAX_DEPTH 30
#define GOLDEN 0x9e3779b97f4a7c15ULL
#define COUNT(packed) ((uint32_t)(packed))
#define POSITIVE(packed) ((uint32_t)((packed) >> 32))

/* SplitMix64's finalizer (Steele, Lea and Flood 2014): draw k of key is mix(key + k * GOLDEN). */
static uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

static uint64_t draw(uint64_t key, uint64_t k) { return mix(key + k * GOLDEN); }

/* A uniform integer below `bound` from 32 random bits. */
static uint32_t below(uint32_t bits, uint32_t bound) { return (uint32_t)(((uint64_t)bits * bound) >> 32); }

typedef struct {
    uint32_t start, end; /* its rows */
    uint64_t packed;     /* their weight */
    uint64_t number;     /* 1 is the root, 2i and 2i + 1 are the children of i */
} Node;

typedef struct {
    const uint8_t *codes; /* (features, rows) */
    uint32_t rows, features, tried;
    int bins, depth;
    const uint32_t *members; /* rows of the negative class, then rows of the positive class */
    uint32_t negatives;
    double *inverse; /* inverse[w] = 1 / w */
    uint32_t *row, *row_aside; /* rows of the tree in the order of its nodes */
    uint64_t *weight, *weight_aside, *drawn;
    uint32_t *seen, stamp; /* seen[f] == stamp: f was tried at this node */
    Node *level, *next;
    uint32_t *split_feature; /* splits of the tree, in the order of the nodes */
    double *split_gain;
} Forest;

/* Impurity times weight, halved: what the split of a node has to lower. */
static double spread(const Forest *f, uint64_t packed) {
    uint64_t w = COUNT(packed), p = POSITIVE(packed);
    return (double)(p * (w - p)) * f->inverse[w];
}

/* The rows that a tree is grown on: n draws, each class with probability 1/2. */
static Node bootstrap(Forest *f, uint64_t key) {
    Node root = {0, 0, 0, 1};
    memset(f->drawn, 0, f->rows * sizeof *f->drawn);
    for (uint32_t k = 0; k < f->rows; k++) {
        uint64_t bits = draw(key, k + 1);
        int positive = (int)(bits >> 63);
        uint32_t size = positive ? f->rows - f->negatives : f->negatives;
        uint32_t i = f->members[(positive ? f->negatives : 0) + below((uint32_t)bits, size)];
        f->drawn[i] += 1 + ((uint64_t)positive << 32);
    }
    for (uint32_t i = 0; i < f->rows; i++) {
        if (f->drawn[i]) {
            f->row[root.end] = i;
            f->weight[root.end++] = f->drawn[i];
            root.packed += f->drawn[i];
        }
    }
    return root;
}

/* Look for a better cut of the node by one feature; the cut, or -1. Cut b sends codes <= b to the left. */
static int best_cut(const Forest *f, const Node *node, const uint8_t *codes, double *best, uint64_t *left_packed) {
    uint64_t histogram[MAX_BINS], left = 0;
    int cut = -1, last = f->bins - 1;
    memset(histogram, 0, f->bins * sizeof *histogram);
    for (uint32_t k = node->start; k < node->end; k++) histogram[codes[f->row[k]]] += f->weight[k];
    for (int b = 0; b < last; b++) {
        left += histogram[b];
        /* Where all rows are on one side this is 0 * infinity, not a number, which is not below the best either. */
        double cost = spread(f, left) + spread(f, node->packed - left);
        if (cost < *best) {
            *best = cost;
            *left_packed = left;
            cut = b;
        }
    }
    return cut;
}

/* Split a node by the best cut of `tried` random features. False: a leaf. */
static int split(Forest *f, const Node *node, uint64_t tree_key, Node children[2], uint32_t *feature, double *gain) {
    uint64_t key = draw(tree_key, node->number), left_packed = 0;
    double best = INFINITY;
    int cut = -1;
    f->stamp++;
    for (uint32_t found = 0, k = 1; found < f->tried; k++) {
        uint32_t candidate = below((uint32_t)(draw(key, k) >> 32), f->features);
        if (f->seen[candidate] == f->stamp) continue;
        f->seen[candidate] = f->stamp;
        found++;
        int c = best_cut(f, node, f->codes + (size_t)candidate * f->rows, &best, &left_packed);
        if (c >= 0) {
            cut = c;
            *feature = candidate;
        }
    }
    if (cut < 0) return 0;
    *gain = spread(f, node->packed) - best;
    if (*gain < 0) *gain = 0;

    const uint8_t *codes = f->codes + (size_t)*feature * f->rows;
    uint32_t middle = node->start, aside = 0;
    for (uint32_t k = node->start; k < node->end; k++) {
        if (codes[f->row[k]] <= cut) {
            f->row[middle] = f->row[k];
            f->weight[middle++] = f->weight[k];
        } else {
            f->row_aside[aside] = f->row[k];
            f->weight_aside[aside++] = f->weight[k];
        }
    }
    memcpy(f->row + middle, f->row_aside, aside * sizeof *f->row);
    memcpy(f->weight + middle, f->weight_aside, aside * sizeof *f->weight);
    children[0] = (Node){node->start, middle, left_packed, 2 * node->number};
    children[1] = (Node){middle, node->end, node->packed - left_packed, 2 * node->number + 1};
    return 1;
}

/* Can the node be split: two rows of two classes? */
static int is_mixed(const Node *node) {
    return node->end - node->start > 1 && POSITIVE(node->packed) && POSITIVE(node->packed) != COUNT(node->packed);
}

/* Grow a tree level by level and add its importances, which sum to 1, to `out`. */
static void grow(Forest *f, uint64_t tree_key, double *out) {
    uint32_t count = 0, splits = 0;
    double total = 0;
    Node root = bootstrap(f, draw(tree_key, 0));
    if (is_mixed(&root)) f->level[count++] = root;
    for (int depth = 0; depth < f->depth && count; depth++) {
        uint32_t next = 0;
        for (uint32_t i = 0; i < count; i++) {
            Node children[2];
            if (!split(f, &f->level[i], tree_key, children, &f->split_feature[splits], &f->split_gain[splits])) continue;
            total += f->split_gain[splits++];
            for (int side = 0; side < 2; side++)
                if (is_mixed(&children[side])) f->next[next++] = children[side];
        }
        Node *swap = f->level;
        f->level = f->next;
        f->next = swap;
        count = next;
    }
    if (total > 0)
        for (uint32_t s = 0; s < splits; s++) out[f->split_feature[s]] += f->split_gain[s] / total;
}

static int allocate(Forest *f) {
    size_t n = f->rows;
    f->inverse = malloc((n + 1) * sizeof *f->inverse);
    f->row = malloc(n * sizeof *f->row);
    f->row_aside = malloc(n * sizeof *f->row_aside);
    f->weight = malloc(n * sizeof *f->weight);
    f->weight_aside = malloc(n * sizeof *f->weight_aside);
    f->drawn = malloc(n * sizeof *f->drawn);
    f->seen = calloc(f->features, sizeof *f->seen);
    f->level = malloc(n * sizeof *f->level); /* mixed nodes hold two rows or more: there are fewer than rows */
    f->next = malloc(n * sizeof *f->next);
    f->split_feature = malloc(n * sizeof *f->split_feature); /* a tree on n rows has fewer than n splits */
    f->split_gain = malloc(n * sizeof *f->split_gain);
    return f->inverse && f->row && f->row_aside && f->weight && f->weight_aside && f->drawn && f->seen && f->level &&
           f->next && f->split_feature && f->split_gain;
}

static void release(Forest *f) {
    void *all[] = {f->inverse, f->row, f->row_aside, f->weight, f->weight_aside, f->drawn, f->seen,
                   f->level, f->next, f->split_feature, f->split_gain};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

static const char *refusal(const Forest *f, const Py_buffer *codes, const Py_buffer *members, const Py_buffer *out) {
    if (!f->rows || !f->features || (uint64_t)codes->len != (uint64_t)f->rows * f->features)
        return "codes must be uint8 (features, rows)";
    if (members->len != (Py_ssize_t)(f->rows * sizeof(uint32_t))) return "members must be uint32 (rows)";
    if (out->len != (Py_ssize_t)(f->features * sizeof(double))) return "out must be float64 (features)";
    if (!f->negatives || f->negatives >= f->rows) return "both classes must have rows";
    if (!f->tried || f->tried > f->features) return "tried must lie in 1..features";
    if (f->bins < 2 || f->bins > MAX_BINS) return "bins must lie in 2..256";
    if (f->depth < 1 || f->depth > MAX_DEPTH) return "depth must lie in 1..30";
    for (uint32_t i = 0; i < f->rows; i++)
        if (f->members[i] >= f->rows) return "members must be rows";
    for (Py_ssize_t i = 0; i < codes->len; i++)
        if (f->codes[i] >= f->bins) return "codes must lie below bins";
    return NULL;
}

PyDoc_STRVAR(importance_doc,
             "importance(codes, members, negatives, features, bins, trees, depth, tried, seed, out)\n\n"
             "Add each tree's importances to `out`; see forest_plain.importance.");

static PyObject *importance(PyObject *module, PyObject *args) {
    Py_buffer codes, members, out;
    unsigned int trees;
    unsigned long long seed;
    Forest f = {0};
    (void)module;
    if (!PyArg_ParseTuple(args, "y*y*IIiIiIKw*", &codes, &members, &f.negatives, &f.features, &f.bins, &trees, &f.depth,
                          &f.tried, &seed, &out))
        return NULL;
    f.codes = codes.buf;
    f.members = members.buf;
    f.rows = (uint32_t)(members.len / (Py_ssize_t)sizeof(uint32_t));
    const char *why = refusal(&f, &codes, &members, &out);
    int memory = 1;
    if (!why) {
        Py_BEGIN_ALLOW_THREADS
        memory = allocate(&f);
        if (memory) {
            f.inverse[0] = INFINITY;
            for (uint32_t w = 1; w <= f.rows; w++) f.inverse[w] = 1.0 / w;
            for (unsigned int t = 0; t < trees; t++) grow(&f, draw(seed, (uint64_t)t + 1), out.buf);
        }
        release(&f);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&codes);
    PyBuffer_Release(&members);
    PyBuffer_Release(&out);
    if (why) {
        PyErr_SetString(PyExc_ValueError, why);
        return NULL;
    }
    if (!memory) return PyErr_NoMemory();
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {{"importance", importance, METH_VARARGS, importance_doc}, {NULL, NULL, 0, NULL}};

static struct PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "_forest",
    .m_doc = "Gini importances of a random forest on binned features.",
    .m_size = 0,
    .m_methods = methods,
};

PyMODINIT_FUNC PyInit__forest(void) { return PyModuleDef_Init(&definition); }
