// What the algebra of sums needs beyond torch, for channels-last images on the CPU: rows are pixels, columns channels,
// and a row begins `ld` numbers after the one before, so that an image may be some columns of a wider one.
//
//   depthwise    z = w * relu(scale x + shift), and its gradients
//   moments      mean and variance of each column
//   term         a whole term of a sum: y += share * norm(matrix * depthwise), and all its gradients
//
// Work is split into items that do not depend on the number of threads, and what is summed over items is summed in their
// order, so that results are the same for any number of threads. Built by kernel.py with whatever C++ compiler is there;
// plain pointers, so that no header of torch is needed.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

namespace {

template <typename T> struct Vector;
template <> struct Vector<float> {
    static constexpr int width = 16;
    typedef float type __attribute__((vector_size(64)));
};
template <> struct Vector<double> {
    static constexpr int width = 8;
    typedef double type __attribute__((vector_size(64)));
};
template <typename T> using V = typename Vector<T>::type;

template <typename T> inline V<T> load(const T* from) {
    V<T> value;
    std::memcpy(&value, from, sizeof(value));
    return value;
}
template <typename T> inline V<T> load(const T* from, int count) {
    if (count == Vector<T>::width) return load(from);
    V<T> value = {};
    for (int i = 0; i < count; i++) value[i] = from[i];
    return value;
}
template <typename T> inline void store(T* to, V<T> value, int count) {
    if (count == Vector<T>::width)
        std::memcpy(to, &value, sizeof(value));
    else
        for (int i = 0; i < count; i++) to[i] = value[i];
}
template <typename T> inline int columns_in(int64_t c, int64_t first) {
    return static_cast<int>(std::min<int64_t>(c - first, Vector<T>::width));
}

// ---------------------------------------------------------------- depthwise

enum Kind : int64_t { CONVOLUTION = 0, MAX_POOL = 1, AVG_POOL = 2, AVG_POOL_COUNTING_PAD = 3 };

// A filter: a depthwise convolution, or a pool, which has no weight. Images are (h, w, c), rows of pixels ld apart.
struct Geometry {
    int64_t n, h, w, c, kind, k, stride, dilation, pad, ho, wo, ldx, ldz;
};

// The taps of a block of columns, as vectors; mirrored for the gradient of the input.
template <typename T>
void gather_taps(const T* w, int64_t first, int count, int64_t taps, bool mirrored, V<T>* to) {
    for (int64_t tap = 0; tap < taps; tap++) {
        V<T> value = {};
        for (int i = 0; i < count; i++) value[i] = w[(first + i) * taps + tap];
        to[mirrored ? taps - 1 - tap : tap] = value;
    }
}

// out(y, x) = sum of taps(ky, kx) * in(y * STRIDE + ky * dilation, x * STRIDE + kx * dilation), handed to `emit`.
template <typename T, int K, int STRIDE, int STEP, typename Emit>
inline void correlate_step(const V<T>* in, int64_t width, const V<T>* taps, int64_t dilation, int64_t y, int64_t x,
                           const Emit& emit) {
    V<T> sum[STEP] = {};
    for (int ky = 0; ky < K; ky++) {
        const V<T>* row = in + (y * STRIDE + ky * dilation) * width + x * STRIDE;
#pragma GCC unroll 8
        for (int kx = 0; kx < K; kx++) {
            const V<T> tap = taps[ky * K + kx];
            const V<T>* at = row + kx * dilation;
#pragma GCC unroll 16
            for (int i = 0; i < STEP; i++) sum[i] += tap * at[i * STRIDE];
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < STEP; i++) emit(y, x + i, sum[i]);
}

template <typename T, int K, int STRIDE, typename Emit>
inline void correlate_all(const V<T>* in, int64_t width, const V<T>* taps, int64_t dilation, int64_t rows, int64_t columns,
                   const Emit& emit) {
    for (int64_t y = 0; y < rows; y++) {
        int64_t x = 0;
        for (; x + 8 <= columns; x += 8) correlate_step<T, K, STRIDE, 8>(in, width, taps, dilation, y, x, emit);
        for (; x < columns; x++) correlate_step<T, K, STRIDE, 1>(in, width, taps, dilation, y, x, emit);
    }
}

template <typename T, int STRIDE, typename Emit>
inline void correlate(const V<T>* in, int64_t width, const V<T>* taps, const Geometry& g, int64_t rows, int64_t columns,
               const Emit& emit) {
    if (g.k == 1) correlate_all<T, 1, STRIDE>(in, width, taps, g.dilation, rows, columns, emit);
    if (g.k == 3) correlate_all<T, 3, STRIDE>(in, width, taps, g.dilation, rows, columns, emit);
    if (g.k == 5) correlate_all<T, 5, STRIDE>(in, width, taps, g.dilation, rows, columns, emit);
    if (g.k == 7) correlate_all<T, 7, STRIDE>(in, width, taps, g.dilation, rows, columns, emit);
}

// The padded, activated input of one image and block of columns: it fits into the cache, and no loop behind it needs a
// bound or a branch.
template <typename T> struct Padded {
    int64_t width;
    std::vector<V<T>> data;  // its border stays as it is, its inside is written for every item

    explicit Padded(const Geometry& g)
        : width(g.w + 2 * g.pad),
          data((g.h + 2 * g.pad) * width,
               V<T>{} + (g.kind == MAX_POOL ? -std::numeric_limits<T>::infinity() : static_cast<T>(0))) {}

    void fill(const Geometry& g, const T* x, const T* scale, const T* shift, bool relu, int64_t image, int64_t first,
              int count) {
        const V<T> s = scale ? load(scale + first, count) : V<T>{};
        const V<T> t = scale ? load(shift + first, count) : V<T>{};
        for (int64_t row = 0; row < g.h; row++) {
            const T* from = x + (image * g.h + row) * g.w * g.ldx + first;
            V<T>* to = data.data() + (row + g.pad) * width + g.pad;
            for (int64_t column = 0; column < g.w; column++, from += g.ldx) {
                V<T> value = load(from, count);
                if (scale) value = value * s + t;
                to[column] = relu ? (value > 0 ? value : V<T>{}) : value;
            }
        }
    }
};

// to[c] = the sum over items of parts[item][block][which], in double: many parts of one size would lose digits.
template <typename T, typename To>
void add_up(const std::vector<V<T>>& parts, int64_t n, int64_t c, int64_t per_item, int64_t which, To* to, int64_t step) {
    constexpr int width = Vector<T>::width;
    const int64_t blocks = (c + width - 1) / width;
    for (int64_t block = 0; block < blocks; block++) {
        double sum[width] = {};
        for (int64_t item = 0; item < n; item++) {
            const V<T> part = parts[(item * blocks + block) * per_item + which];
            for (int i = 0; i < width; i++) sum[i] += part[i];
        }
        const int64_t first = block * width;
        for (int i = 0; i < columns_in<T>(c, first); i++) to[(first + i) * step] = static_cast<To>(sum[i]);
    }
}

// One over the pixels under a pool's window.
template <typename T> inline T one_over(const Geometry& g, int64_t y, int64_t x) {
    const int64_t top = y * g.stride - g.pad, left = x * g.stride - g.pad;
    const int64_t rows = std::min(top + g.k, g.h) - std::max<int64_t>(top, 0);
    const int64_t columns = std::min(left + g.k, g.w) - std::max<int64_t>(left, 0);
    return 1 / static_cast<T>(g.kind == AVG_POOL ? rows * columns : g.k * g.k);
}

template <typename T, typename Emit> inline void pool(const Geometry& g, const Padded<T>& input, const Emit& emit) {
    for (int64_t y = 0; y < g.ho; y++)
        for (int64_t x = 0; x < g.wo; x++) {
            const V<T>* const at = input.data.data() + y * g.stride * input.width + x * g.stride;
            V<T> value = at[0];
            if (g.kind == MAX_POOL) {
                for (int64_t ky = 0; ky < g.k; ky++)
                    for (int64_t kx = 0; kx < g.k; kx++) {
                        const V<T> other = at[ky * input.width + kx];
                        value = other > value ? other : value;
                    }
            } else {
                value = V<T>{};
                for (int64_t ky = 0; ky < g.k; ky++)
                    for (int64_t kx = 0; kx < g.k; kx++) value += at[ky * input.width + kx];
                value *= one_over<T>(g, y, x);
            }
            emit(y, x, value);
        }
}

// dx of a pool, added up in `to`, as wide as the padded input: the first of equal values takes a maximum's gradient.
template <typename T>
void pool_backward(const Geometry& g, const Padded<T>& input, const T* dz, int64_t first, int count, V<T>* to) {
    for (int64_t y = 0; y < g.ho; y++)
        for (int64_t x = 0; x < g.wo; x++) {
            const int64_t start = y * g.stride * input.width + x * g.stride;
            V<T> gradient = load(dz + (y * g.wo + x) * g.ldz + first, count);
            if (g.kind == MAX_POOL) {
                const V<T>* const at = input.data.data() + start;
                V<T> value = at[0];
                for (int64_t ky = 0; ky < g.k; ky++)
                    for (int64_t kx = 0; kx < g.k; kx++) {
                        const V<T> other = at[ky * input.width + kx];
                        value = other > value ? other : value;
                    }
                for (int64_t ky = 0; ky < g.k; ky++)
                    for (int64_t kx = 0; kx < g.k; kx++) {
                        const int64_t place = ky * input.width + kx;
                        const V<T> here = at[place] == value ? gradient : V<T>{};
                        to[start + place] += here;
                        gradient -= here;  // what is given away is not given twice
                    }
            } else {
                gradient *= one_over<T>(g, y, x);
                for (int64_t ky = 0; ky < g.k; ky++)
                    for (int64_t kx = 0; kx < g.k; kx++) to[start + ky * input.width + kx] += gradient;
            }
        }
}

// One image and block of columns of z = w * relu(scale x + shift); the result is the sum of z.
template <typename T>
V<T> filter_item(const Geometry& g, Padded<T>& input, V<T>* taps, const T* x, const T* scale, const T* shift, bool relu,
                 const T* w, T* z, int64_t image, int64_t first) {
    const int count = columns_in<T>(g.c, first);
    T* const to = z + image * g.ho * g.wo * g.ldz + first;
    V<T> sum = {}, row = {};
    if (g.k == 1) {  // no filter at all: nothing has to be padded
        const V<T> s = scale ? load(scale + first, count) : V<T>{}, t = scale ? load(shift + first, count) : V<T>{};
        const T* const from = x + image * g.h * g.w * g.ldx + first;
        for (int64_t y = 0; y < g.h; y++) {
            row = V<T>{};
            for (int64_t pixel = y * g.w; pixel < (y + 1) * g.w; pixel++) {
                V<T> value = load(from + pixel * g.ldx, count);
                if (scale) value = value * s + t;
                if (relu) value = value > 0 ? value : V<T>{};
                row += value;
                store(to + pixel * g.ldz, value, count);
            }
            sum += row;
        }
        return sum;
    }
    input.fill(g, x, scale, shift, relu, image, first, count);
    // Copies: what is captured by reference would be read again behind every store.
    const int64_t width_z = g.wo, ldz = g.ldz;
    const auto emit = [=, &sum, &row](int64_t y, int64_t xx, V<T> value) {
        if (xx == 0) {  // row by row: a long sum in one go would lose digits
            sum += row;
            row = V<T>{};
        }
        row += value;
        store(to + (y * width_z + xx) * ldz, value, count);
    };
    if (g.kind != CONVOLUTION) {
        pool<T>(g, input, emit);
        return sum + row;
    }
    gather_taps<T>(w, first, count, g.k * g.k, false, taps);
    if (g.stride == 1) correlate<T, 1>(input.data.data(), input.width, taps, g, g.ho, g.wo, emit);
    if (g.stride == 2) correlate<T, 2>(input.data.data(), input.width, taps, g, g.ho, g.wo, emit);
    return sum + row;
}

template <typename T>
void depthwise_forward(const Geometry& g, const T* x, const T* scale, const T* shift, bool relu, const T* w, T* z,
                       int threads) {
    constexpr int width = Vector<T>::width;
    const int64_t blocks = (g.c + width - 1) / width;
#pragma omp parallel num_threads(threads)
    {
        Padded<T> input(g);
        std::vector<V<T>> taps(g.k * g.k);
#pragma omp for schedule(static)
        for (int64_t item = 0; item < g.n * blocks; item++)
            filter_item<T>(g, input, taps.data(), x, scale, shift, relu, w, z, item / blocks, item % blocks * width);
    }
}

// The gradients of the taps of one item: sums[ky][kx] = sum of in(y * STRIDE + ky * dilation, ...) * dz(y, x), in several
// sums each, so that no addition waits for the one before. dz lies STRIDE apart.
template <typename T, int K, int STRIDE>
void tap_gradients(const Geometry& g, const V<T>* in, int64_t width, const V<T>* dz, int64_t dz_row, V<T>* sums) {
    constexpr int ALONG = K == 3 ? 4 : 2;
    for (int64_t ky = 0; ky < K; ky++) {
        V<T> sum[ALONG][K] = {};
        for (int64_t y = 0; y < g.ho; y++) {
            const V<T>* row = in + (y * STRIDE + ky * g.dilation) * width;
            const V<T>* gradient = dz + y * dz_row;
            int64_t x = 0;
            for (; x + ALONG <= g.wo; x += ALONG)
                for (int i = 0; i < ALONG; i++) {
                    const V<T> value = gradient[(x + i) * STRIDE];
                    for (int64_t kx = 0; kx < K; kx++) sum[i][kx] += value * row[(x + i) * STRIDE + kx * g.dilation];
                }
            for (; x < g.wo; x++)
                for (int64_t kx = 0; kx < K; kx++)
                    sum[0][kx] += gradient[x * STRIDE] * row[x * STRIDE + kx * g.dilation];
        }
        for (int64_t kx = 0; kx < K; kx++) {
            V<T> total = sum[0][kx];
            for (int i = 1; i < ALONG; i++) total += sum[i][kx];
            sums[ky * K + kx] = total;
        }
    }
}

template <typename T, int K>
void tap_gradients(const Geometry& g, const V<T>* in, int64_t width, const V<T>* dz, int64_t dz_row, V<T>* sums) {
    if (g.stride == 1) tap_gradients<T, K, 1>(g, in, width, dz, dz_row, sums);
    if (g.stride == 2) tap_gradients<T, K, 2>(g, in, width, dz, dz_row, sums);
}

// Where the gradients of a filter go: dx gets that of scale x + shift (added where `add`), `taps` and `totals` those of
// each item's taps, and the sums of its dx and of the product of that with x - center. All may be null.
template <typename T> struct FilterGradients {
    T* dx;
    int64_t lddx;
    bool add;
    V<T>* taps;
    V<T>* totals;
};

// What the gradients of an item need, once for each thread.
template <typename T> struct Workspace {
    int64_t border, wide;
    Padded<T> input;
    std::vector<V<T>> taps, gradient;  // between strides and at the border the gradient stays zero

    explicit Workspace(const Geometry& g)
        : border((g.k - 1) * g.dilation - g.pad), wide(g.w + (g.k - 1) * g.dilation), input(g), taps(g.k * g.k),
          gradient((g.h + (g.k - 1) * g.dilation) * wide) {}
};

// The gradients of one image and block of columns; without a filter (k is 1) the taps have none. dz is that image's, (ho wo, c), rows g.ldz apart. Before a pool stands
// neither norm nor ReLU, and its dx is wanted.
template <typename T>
void filter_item_backward(const Geometry& g, Workspace<T>& work, const T* x, const T* scale, const T* shift,
                          const T* center, bool relu, const T* w, const T* dz, const FilterGradients<T>& d, int64_t image,
                          int64_t first) {
    const int count = columns_in<T>(g.c, first);
    const int64_t item = image * ((g.c + Vector<T>::width - 1) / Vector<T>::width) + first / Vector<T>::width;
    if (g.k == 1) {  // no filter: the gradient goes through the activation as it is
        const V<T> s = scale ? load(scale + first, count) : V<T>{}, t = scale ? load(shift + first, count) : V<T>{};
        const V<T> middle = d.totals ? load(center + first, count) : V<T>{};
        V<T> plain = {}, product = {};
        const int64_t pixels = image * g.h * g.w;
        for (int64_t pixel = 0; d.dx && pixel < g.h * g.w; pixel++) {
            const V<T> from = load(x + (pixels + pixel) * g.ldx + first, count);
            V<T> value = load(dz + pixel * g.ldz + first, count);
            if (relu) value = (scale ? from * s + t : from) > 0 ? value : V<T>{};
            if (d.totals) {
                plain += value;
                product += value * (from - middle);
            }
            T* const to = d.dx + (pixels + pixel) * d.lddx + first;
            if (d.add) value += load(to, count);
            store(to, value, count);
        }
        if (d.totals) {
            d.totals[item * 2] = plain;
            d.totals[item * 2 + 1] = product;
        }
        return;
    }
    work.input.fill(g, x, scale, shift, relu, image, first, count);
    if (g.kind != CONVOLUTION) {
        std::vector<V<T>>& to = work.gradient;  // as wide as the padded input here
        to.assign(work.input.data.size(), V<T>{});
        pool_backward<T>(g, work.input, dz, first, count, to.data());
        for (int64_t pixel = 0; pixel < g.h * g.w; pixel++) {
            T* const out = d.dx + (image * g.h * g.w + pixel) * d.lddx + first;
            V<T> value = to[(pixel / g.w + g.pad) * work.input.width + pixel % g.w + g.pad];
            if (d.add) value += load(out, count);
            store(out, value, count);
        }
        return;
    }
    V<T>* const start = work.gradient.data() + work.border * work.wide + work.border;
    for (int64_t y = 0; y < g.ho; y++) {
        const T* from = dz + y * g.wo * g.ldz + first;
        V<T>* to = start + y * g.stride * work.wide;
        for (int64_t xx = 0; xx < g.wo; xx++, from += g.ldz) to[xx * g.stride] = load(from, count);
    }
    if (d.taps) {
        V<T>* to = d.taps + item * g.k * g.k;
        const V<T>* in = work.input.data.data();
        if (g.k == 3) tap_gradients<T, 3>(g, in, work.input.width, start, g.stride * work.wide, to);
        if (g.k == 5) tap_gradients<T, 5>(g, in, work.input.width, start, g.stride * work.wide, to);
        if (g.k == 7) tap_gradients<T, 7>(g, in, work.input.width, start, g.stride * work.wide, to);
    }
    if (!d.dx) return;
    gather_taps<T>(w, first, count, g.k * g.k, true, work.taps.data());
    V<T> plain = {}, product = {};
    const V<T> middle = d.totals ? load(center + first, count) : V<T>{};
    const int64_t width_x = g.w, ldx = g.ldx, lddx = d.lddx, padded = work.input.width, pixels = image * g.h * g.w;
    T* const to = d.dx + pixels * lddx + first;
    const T* const from = x + pixels * ldx + first;
    const V<T>* const active = relu ? work.input.data.data() + g.pad * padded + g.pad : nullptr;
    const bool counts = d.totals != nullptr, add = d.add;
    correlate<T, 1>(work.gradient.data(), work.wide, work.taps.data(), g, g.h, g.w,
                    [=, &plain, &product](int64_t y, int64_t xx, V<T> value) {
                        const int64_t pixel = y * width_x + xx;
                        if (active) value = active[y * padded + xx] > 0 ? value : V<T>{};
                        if (counts) {
                            plain += value;
                            product += value * (load(from + pixel * ldx, count) - middle);
                        }
                        if (add) value += load(to + pixel * lddx, count);
                        store(to + pixel * lddx, value, count);
                    });
    if (counts) {
        d.totals[item * 2] = plain;
        d.totals[item * 2 + 1] = product;
    }
}

// Sums over images in their order: of the taps' gradients to dw, of the totals to `totals` (2, c).
template <typename T>
void add_up_items(const Geometry& g, const std::vector<V<T>>& taps, T* dw, const std::vector<V<T>>& sums, T* totals) {
    const int64_t size = g.k * g.k;
    for (int64_t tap = 0; dw && tap < size; tap++) add_up<T>(taps, g.n, g.c, size, tap, dw + tap, size);
    for (int64_t which = 0; totals && which < 2; which++) add_up<T>(sums, g.n, g.c, 2, which, totals + which * g.c, 1);
}

template <typename T>
void depthwise_backward(const Geometry& g, const T* x, const T* scale, const T* shift, const T* center, bool relu,
                        const T* w, const T* dz, T* dx, int64_t lddx, bool add, T* dw, T* totals, int threads) {
    constexpr int width = Vector<T>::width;
    const int64_t blocks = (g.c + width - 1) / width;
    std::vector<V<T>> taps(dw ? g.n * blocks * g.k * g.k : 0), sums(totals ? g.n * blocks * 2 : 0);
    const FilterGradients<T> to{dx, lddx, add, dw ? taps.data() : nullptr, totals ? sums.data() : nullptr};
#pragma omp parallel num_threads(threads)
    {
        Workspace<T> work(g);
#pragma omp for schedule(static)
        for (int64_t item = 0; item < g.n * blocks; item++) {
            const int64_t image = item / blocks;
            filter_item_backward<T>(g, work, x, scale, shift, center, relu, w, dz + image * g.ho * g.wo * g.ldz, to, image,
                                    item % blocks * width);
        }
    }
    add_up_items<T>(g, taps, dw, sums, totals);
}

// ---------------------------------------------------------------- columns

constexpr int64_t CHUNK = 128;  // rows that one item takes

// The mean of each column, then the mean square of what is left of it: E[x^2] - E[x]^2 would cancel. `rate` is
// 1 / sqrt(variance + eps).
template <typename T>
void moments(int64_t m, int64_t c, int64_t ld, const T* x, double eps, T* mean, T* variance, T* rate, int threads) {
    constexpr int width = Vector<T>::width;
    const int64_t blocks = (c + width - 1) / width, chunks = (m + CHUNK - 1) / CHUNK;
    std::vector<V<T>> parts(chunks * blocks);
    std::vector<double> sums(c);
    for (int pass = 0; pass < 2; pass++) {
#pragma omp parallel for schedule(static) num_threads(threads)
        for (int64_t chunk = 0; chunk < chunks; chunk++) {
            const int64_t end = std::min(m, (chunk + 1) * CHUNK);
            for (int64_t block = 0; block < blocks; block++) {
                const int64_t first = block * width;
                const int count = columns_in<T>(c, first);
                const V<T> middle = pass ? load(mean + first, count) : V<T>{};
                V<T> sum[4] = {};
                for (int64_t row = chunk * CHUNK; row < end; row++) {
                    const V<T> value = load(x + row * ld + first, count) - middle;
                    sum[row & 3] += pass ? value * value : value;
                }
                parts[chunk * blocks + block] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
            }
        }
        add_up<T>(parts, chunks, c, 1, 0, sums.data(), 1);
        for (int64_t i = 0; i < c; i++) {
            const double value = sums[i] / static_cast<double>(m);
            (pass ? variance : mean)[i] = static_cast<T>(value);
            if (pass) rate[i] = static_cast<T>(1 / std::sqrt(value + eps));
        }
    }
}

// g = scale g + slope x + shift, column by column.
template <typename T>
void affine(int64_t m, int64_t c, int64_t ldg, T* g, int64_t ldx, const T* x, const T* scale, const T* slope,
            const T* shift, int threads) {
    constexpr int width = Vector<T>::width;
    const int64_t chunks = (m + CHUNK - 1) / CHUNK;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t chunk = 0; chunk < chunks; chunk++) {
        const int64_t end = std::min(m, (chunk + 1) * CHUNK);
        for (int64_t first = 0; first < c; first += width) {
            const int count = columns_in<T>(c, first);
            const V<T> s = load(scale + first, count), q = load(slope + first, count), t = load(shift + first, count);
            for (int64_t row = chunk * CHUNK; row < end; row++) {
                T* to = g + row * ldg + first;
                store(to, load(to, count) * s + load(x + row * ldx + first, count) * q + t, count);
            }
        }
    }
}

// ---------------------------------------------------------------- terms that are their source, weighted

template <typename T> struct Plain {
    int64_t count, m, c, ldy, is_first, threads;
    const int64_t *pitches;  // of the sources
    const T* const* sources;
    const T* const* weights;  // null is 1
};

// y = [y +] sum of weights[i] * sources[i].
template <typename T> void plain_forward(const Plain<T>& p, T* y) {
    constexpr int width = Vector<T>::width;
    const int64_t chunks = (p.m + CHUNK - 1) / CHUNK;
#pragma omp parallel for schedule(static) num_threads(static_cast<int>(p.threads))
    for (int64_t chunk = 0; chunk < chunks; chunk++) {
        const int64_t end = std::min(p.m, (chunk + 1) * CHUNK);
        for (int64_t i = 0; i < p.count; i++) {
            const T weight = p.weights[i] ? *p.weights[i] : 1;
            const T* const x = p.sources[i];
            const int64_t ldx = p.pitches[i], ldy = p.ldy;
            const bool add = i > 0 || !p.is_first;
            for (int64_t first = 0; first < p.c; first += width) {
                const int count = columns_in<T>(p.c, first);
                for (int64_t row = chunk * CHUNK; row < end; row++) {
                    V<T> value = load(x + row * ldx + first, count) * weight;
                    T* const to = y + row * ldy + first;
                    if (add) value += load(to, count);
                    store(to, value, count);
                }
            }
        }
    }
}

// total = the sums of dy by columns; products[i] = the sum of dy * sources[i]; gradients[i] = [gradients[i] +] weights[i]
// * dy. Any of them may be null.
template <typename T>
void plain_backward(const Plain<T>& p, const T* dy, T* total, T* const* products, T* const* gradients,
                    const int64_t* pitches, const int64_t* adds) {
    constexpr int width = Vector<T>::width;
    const int64_t chunks = (p.m + CHUNK - 1) / CHUNK, blocks = (p.c + width - 1) / width, count = p.count;
    std::vector<V<T>> parts(chunks * count), sums(chunks * blocks);
#pragma omp parallel for schedule(static) num_threads(static_cast<int>(p.threads))
    for (int64_t chunk = 0; chunk < chunks; chunk++) {
        const int64_t end = std::min(p.m, (chunk + 1) * CHUNK), ldy = p.ldy;
        for (int64_t first = 0; first < p.c; first += width) {
            const int columns = columns_in<T>(p.c, first);
            const T* const from = dy + first;
            V<T> sum[4] = {};
            for (int64_t row = chunk * CHUNK; row < end; row++) sum[row & 3] += load(from + row * ldy, columns);
            sums[chunk * blocks + first / width] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
            for (int64_t i = 0; i < count; i++) {
                const T* const x = p.sources[i] + first;
                const int64_t ldx = p.pitches[i];
                V<T> product[4] = {};
                for (int64_t row = chunk * CHUNK; products[i] && row < end; row++)
                    product[row & 3] += load(from + row * ldy, columns) * load(x + row * ldx, columns);
                parts[chunk * count + i] += (product[0] + product[1]) + (product[2] + product[3]);
                if (!gradients[i]) continue;
                const T weight = p.weights[i] ? *p.weights[i] : 1;
                T* const to = gradients[i] + first;
                const int64_t ld = pitches[i];
                const bool add = adds[i];
                for (int64_t row = chunk * CHUNK; row < end; row++) {
                    V<T> value = load(from + row * ldy, columns) * weight;
                    if (add) value += load(to + row * ld, columns);
                    store(to + row * ld, value, columns);
                }
            }
        }
    }
    if (total) add_up<T>(sums, chunks, p.c, 1, 0, total, 1);
    for (int64_t i = 0; i < count; i++) {
        if (!products[i]) continue;
        V<T> sum = {};
        for (int64_t chunk = 0; chunk < chunks; chunk++) sum += parts[chunk * count + i];
        T all = 0;
        for (int k = 0; k < width; k++) all += sum[k];
        *products[i] = all;
    }
}

// y = [y +] scale x + shift by columns.
template <typename T>
void scaled_forward(int64_t m, int64_t c, int64_t ldx, const T* x, const T* scale, const T* shift, int add, int64_t ldy,
                    T* y, int threads) {
    constexpr int width = Vector<T>::width;
    const int64_t chunks = (m + CHUNK - 1) / CHUNK;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t chunk = 0; chunk < chunks; chunk++) {
        const int64_t end = std::min(m, (chunk + 1) * CHUNK);
        for (int64_t first = 0; first < c; first += width) {
            const int count = columns_in<T>(c, first);
            const V<T> s = load(scale + first, count), t = load(shift + first, count);
            for (int64_t row = chunk * CHUNK; row < end; row++) {
                V<T> value = load(x + row * ldx + first, count) * s + t;
                T* const to = y + row * ldy + first;
                if (add) value += load(to, count);
                store(to, value, count);
            }
        }
    }
}

// sums[c] = the sum over rows of a (b - center), column by column.
template <typename T>
void column_products(int64_t m, int64_t c, int64_t lda, const T* a, int64_t ldb, const T* b, const T* center, T* sums,
                     int threads) {
    constexpr int width = Vector<T>::width;
    const int64_t chunks = (m + CHUNK - 1) / CHUNK, blocks = (c + width - 1) / width;
    std::vector<V<T>> parts(chunks * blocks);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t chunk = 0; chunk < chunks; chunk++) {
        const int64_t end = std::min(m, (chunk + 1) * CHUNK);
        for (int64_t first = 0; first < c; first += width) {
            const int count = columns_in<T>(c, first);
            const V<T> middle = load(center + first, count);
            V<T> sum[4] = {};
            for (int64_t row = chunk * CHUNK; row < end; row++)
                sum[row & 3] += load(a + row * lda + first, count) * (load(b + row * ldb + first, count) - middle);
            parts[chunk * blocks + first / width] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
        }
    }
    add_up<T>(parts, chunks, c, 1, 0, sums, 1);
}

// ---------------------------------------------------------------- small matrices; widths are whole vectors

// Rows of p columns, copied together less an offset, so that scalars and vectors are read from one place.
template <typename T>
void copy_rows(const T* from, int64_t rows, int64_t ld, int64_t c, const T* offset, V<T>* to) {
    const int64_t blocks = c / Vector<T>::width;
    for (int64_t row = 0; row < rows; row++)
        for (int64_t b = 0; b < blocks; b++) {
            const V<T> value = load(from + row * ld + b * Vector<T>::width);
            to[row * blocks + b] = offset ? value - load(offset + b * Vector<T>::width) : value;
        }
}

// A vector added to what is in memory, there maybe in double.
inline void add_to(float* to, V<float> value) { store<float>(to, load(to) + value, Vector<float>::width); }
inline void add_to(double* to, V<double> value) { store<double>(to, load(to) + value, Vector<double>::width); }
inline void add_to(double* to, V<float> value) {
    typedef float Half __attribute__((vector_size(32)));
    Half halves[2];
    std::memcpy(halves, &value, sizeof(value));
    for (int i = 0; i < 2; i++)
        store<double>(to + 8 * i, load(to + 8 * i) + __builtin_convertvector(halves[i], V<double>), 8);
}

// total[i][j] += sum over rows of a[row][i] b[row][j], for BLOCKS vectors of j from `first` on.
template <typename T, int BLOCKS, typename To>
void outer_tile(int64_t rows, int64_t p, const V<T>* a, int64_t q, const V<T>* b, int64_t first, To* total) {
    constexpr int width = Vector<T>::width, TILE = BLOCKS == 1 ? width : BLOCKS == 2 ? 8 : 4;
    const int64_t wide = q / width;
    for (int64_t tile = 0; tile < p; tile += TILE) {
        V<T> sum[TILE][BLOCKS] = {};
        for (int64_t row = 0; row < rows; row++) {
            const T* scalars = reinterpret_cast<const T*>(a) + row * p + tile;
            const V<T>* at = b + row * wide + first;
            for (int i = 0; i < TILE; i++)
                for (int j = 0; j < BLOCKS; j++) sum[i][j] += scalars[i] * at[j];
        }
        for (int i = 0; i < TILE; i++)
            for (int j = 0; j < BLOCKS; j++) {
                To* to = total + (tile + i) * q + (first + j) * width;
                add_to(to, sum[i][j]);
            }
    }
}

// Adds to `total` (p, q) the products of the columns of some rows of a and b, the means of b's taken off both.
template <typename T, typename To>
void outer_rows(int64_t m, int64_t p, int64_t lda, const T* a, int64_t q, int64_t ldb, const T* b, const T* mean,
                To* total, std::vector<V<T>>& left, std::vector<V<T>>& right) {
    constexpr int width = Vector<T>::width;
    // In double after few rows: what becomes of a covariance may cancel.
    const int64_t step = sizeof(To) > sizeof(T) ? 64 : CHUNK;
    const bool same = a == b;
    left.resize(CHUNK * p / width);
    if (!same) right.resize(CHUNK * q / width);
    for (int64_t start = 0; start < m; start += CHUNK) {
        const int64_t rows = std::min(m - start, CHUNK);
        copy_rows(a + start * lda, rows, lda, p, mean, left.data());
        if (!same) copy_rows(b + start * ldb, rows, ldb, q, mean, right.data());
        const int64_t wide = q / width;
        for (int64_t row = 0; row < rows; row += step) {
            const int64_t some = std::min(step, rows - row);
            const V<T>* const scalars = left.data() + row * p / width;
            const V<T>* const vectors = (same ? left.data() : right.data()) + row * wide;
            int64_t first = 0;
            for (; first + 4 <= wide; first += 4) outer_tile<T, 4>(some, p, scalars, q, vectors, first, total);
            for (; first + 2 <= wide; first += 2) outer_tile<T, 2>(some, p, scalars, q, vectors, first, total);
            for (; first < wide; first++) outer_tile<T, 1>(some, p, scalars, q, vectors, first, total);
        }
    }
}

// to = the sum over images of parts, (size) each, divided by `by`; inside a parallel region.
template <typename From, typename To>
void add_up_parts(const std::vector<From>& parts, int64_t n, int64_t size, double by, To* to) {
    constexpr int width = 8;
#pragma omp for schedule(static)
    for (int64_t at = 0; at < size; at += width) {
        double sum[width] = {};
        for (int64_t image = 0; image < n; image++)
            for (int i = 0; i < width; i++) sum[i] += parts[image * size + at + i];
        for (int i = 0; i < width; i++) to[at + i] = static_cast<To>(sum[i] / by);
    }
}

// Some rows and BLOCKS vectors of out = [out +] a A + b B + c.
template <typename T, int BLOCKS, int ROWS>
inline void combine_tile(int64_t ka, int64_t lda, const T* a, const T* A, int64_t kb, int64_t ldb, const T* b, const T* B,
                         const T* c, bool add, int64_t columns, int64_t ldo, T* out) {
    constexpr int width = Vector<T>::width;
    V<T> sum[ROWS][BLOCKS];
    for (int r = 0; r < ROWS; r++)
        for (int j = 0; j < BLOCKS; j++) sum[r][j] = c ? load(c + j * width) : V<T>{};
    for (int64_t k = 0; k < ka; k++)
        for (int j = 0; j < BLOCKS; j++) {
            const V<T> matrix = load(A + k * columns + j * width);
            for (int r = 0; r < ROWS; r++) sum[r][j] += a[r * lda + k] * matrix;
        }
    for (int64_t k = 0; b && k < kb; k++)
        for (int j = 0; j < BLOCKS; j++) {
            const V<T> matrix = load(B + k * columns + j * width);
            for (int r = 0; r < ROWS; r++) sum[r][j] += b[r * ldb + k] * matrix;
        }
    for (int r = 0; r < ROWS; r++)
        for (int j = 0; j < BLOCKS; j++) {
            // Only now, in one addition: a large sum would lose digits with every product.
            if (add) sum[r][j] += load(out + r * ldo + j * width);
            store<T>(out + r * ldo + j * width, sum[r][j], width);
        }
}

template <typename T, int BLOCKS, int ROWS>
void combine_columns(int64_t rows, int64_t ka, int64_t lda, const T* a, const T* A, int64_t kb, int64_t ldb, const T* b,
                     const T* B, const T* c, bool add, int64_t columns, int64_t ldo, T* out) {
    int64_t row = 0;
    for (; row + ROWS <= rows; row += ROWS)
        combine_tile<T, BLOCKS, ROWS>(ka, lda, a + row * lda, A, kb, ldb, b ? b + row * ldb : b, B, c, add, columns, ldo,
                                      out + row * ldo);
    for (; row < rows; row++)
        combine_tile<T, BLOCKS, 1>(ka, lda, a + row * lda, A, kb, ldb, b ? b + row * ldb : b, B, c, add, columns, ldo,
                                   out + row * ldo);
}

// out = [out +] a A + b B + c by rows; b and c may be null.
template <typename T>
void combine_rows(int64_t rows, int64_t ka, int64_t lda, const T* a, const T* A, int64_t kb, int64_t ldb, const T* b,
                  const T* B, const T* c, bool add, int64_t columns, int64_t ldo, T* out) {
    constexpr int width = Vector<T>::width;
    const int64_t blocks = columns / width;
    int64_t j = 0;
    for (; j + 4 <= blocks; j += 4)
        combine_columns<T, 4, 6>(rows, ka, lda, a, A + j * width, kb, ldb, b, B + j * width, c ? c + j * width : c, add,
                                 columns, ldo, out + j * width);
    for (; j + 2 <= blocks; j += 2)
        combine_columns<T, 2, 8>(rows, ka, lda, a, A + j * width, kb, ldb, b, B + j * width, c ? c + j * width : c, add,
                                 columns, ldo, out + j * width);
    for (; j < blocks; j++)
        combine_columns<T, 1, 12>(rows, ka, lda, a, A + j * width, kb, ldb, b, B + j * width, c ? c + j * width : c, add,
                                  columns, ldo, out + j * width);
}

// c = a b for row-major matrices of whole vectors: (p, q) and (q, r).
template <typename T>
void product(int64_t p, int64_t q, int64_t r, const T* a, const T* b, T* c) {
    combine_rows<T>(p, q, q, a, b, 0, 0, nullptr, b, nullptr, false, r, r, c);
}

// ---------------------------------------------------------------- a term of a sum

// y += share * norm(matrix * z), z = filter * relu(before(x)), each part where its pointer is not null. See algebra.py.
struct Term {
    Geometry g;
    int64_t co, ldy, relu, is_first, threads;
    double eps_before, eps;
};

template <typename T> struct Inputs {
    const T *x, *gamma_before, *beta_before, *filter, *matrix, *gamma, *beta, *share;
};
template <typename T> struct Moments {
    T *mean_before, *rate_before, *mean;  // null where there is no norm
    double* covariance;                   // in double: what the matrix makes of it may cancel
    T* rate;
};

// What the filter reads is scaled and shifted by the norm before it; a term without a filter has one of a single tap, 1.
template <typename T> struct Prologue {
    std::vector<T> scale, shift, one;

    Prologue(const Term& t, const Inputs<T>& in, const Moments<T>& kept) {
        if (!in.filter) one.assign(t.g.c, 1);
        if (!kept.mean_before) return;
        scale.resize(t.g.c);
        shift.resize(t.g.c);
        for (int64_t i = 0; i < t.g.c; i++) {
            scale[i] = kept.rate_before[i] * (in.gamma_before ? in.gamma_before[i] : 1);
            shift[i] = (in.beta_before ? in.beta_before[i] : 0) - kept.mean_before[i] * scale[i];
        }
    }
    const T* scales() const { return scale.empty() ? nullptr : scale.data(); }
    const T* shifts() const { return shift.empty() ? nullptr : shift.data(); }
    const T* taps(const Inputs<T>& in) const { return in.filter ? in.filter : one.data(); }
};

// Buffers that live as long as the thread: their pages are there, and often still in the cache.
template <typename T> T* scratch(int which, int64_t size) {
    static thread_local std::vector<T> buffers[2];
    if (static_cast<int64_t>(buffers[which].size()) < size) buffers[which].resize(size);
    return buffers[which].data();
}

template <typename T> std::vector<T> transposed(const T* a, int64_t p, int64_t q) {
    std::vector<T> to(p * q);
    for (int64_t i = 0; i < p; i++)
        for (int64_t j = 0; j < q; j++) to[j * p + i] = a[i * q + j];
    return to;
}

// matrix * covariance, in double.
template <typename T>
std::vector<double> spread_of(const T* matrix, int64_t co, int64_t ci, const double* covariance) {
    const std::vector<double> exact(matrix, matrix + co * ci);
    std::vector<double> to(co * ci);
    product<double>(co, ci, ci, exact.data(), covariance, to.data());
    return to;
}

// z, and with `mean` its mean and covariance: image by image about the image's own mean, while it is in the cache, and
// what the means differ by is added in the end.
template <typename T>
void filter_with_moments(const Geometry& g, const Inputs<T>& in, const Prologue<T>& before, bool relu, T* z, T* mean,
                         double* covariance, int threads) {
    constexpr int width = Vector<T>::width;
    const int64_t c = g.c, pixels = g.ho * g.wo;
    std::vector<T> means(mean ? g.n * c : 0), parts(mean ? g.n * c * c : 0);
#pragma omp parallel num_threads(threads)
    {
        Padded<T> input(g);
        std::vector<V<T>> taps(g.k * g.k), left, right;
#pragma omp for schedule(static)
        for (int64_t image = 0; image < g.n; image++) {
            for (int64_t first = 0; first < c; first += width) {
                const V<T> sum = filter_item<T>(g, input, taps.data(), in.x, before.scales(), before.shifts(), relu,
                                                before.taps(in), z, image, first);
                if (mean) store<T>(means.data() + image * c + first, sum / static_cast<T>(pixels), width);
            }
            const T* const of_image = z + image * pixels * g.ldz;
            if (mean)
                outer_rows<T, T>(pixels, c, g.ldz, of_image, c, g.ldz, of_image, means.data() + image * c,
                              parts.data() + image * c * c, left, right);
        }
        if (mean) add_up_parts(parts, g.n, c * c, static_cast<double>(g.n * pixels), covariance);
    }
    if (!mean) return;
    for (int64_t i = 0; i < c; i++) {
        double sum = 0;
        for (int64_t image = 0; image < g.n; image++) sum += means[image * c + i];
        mean[i] = static_cast<T>(sum / static_cast<double>(g.n));
    }
    std::vector<V<T>> left, right;
    std::vector<double> between(c * c);
    outer_rows<T, double>(g.n, c, c, means.data(), c, c, means.data(), mean, between.data(), left, right);
    for (int64_t i = 0; i < c * c; i++) covariance[i] += between[i] / static_cast<double>(g.n);
}

// z goes to `z`, or to scratch where that is null; `variance_before`, `mean_out` and `variance` get what running
// statistics follow.
template <typename T>
void term_forward(const Term& t, const Inputs<T>& in, const Moments<T>& kept, T* y, T* z, T* variance_before, T* mean_out,
                  T* variance) {
    const Geometry& g = t.g;
    const int threads = static_cast<int>(t.threads);
    const int64_t ci = g.c, co = t.co, m = g.n * g.ho * g.wo;
    if (kept.mean_before) {
        moments<T>(g.n * g.h * g.w, ci, g.ldx, in.x, t.eps_before, kept.mean_before, variance_before, kept.rate_before,
                   threads);
    }
    const Prologue<T> before(t, in, kept);
    if (!z) z = scratch<T>(0, m * ci);
    filter_with_moments<T>(g, in, before, t.relu, z, kept.mean, kept.covariance, threads);
    std::vector<T> used(in.matrix, in.matrix + co * ci), shift(kept.mean ? co : 0);
    const T share = in.share ? *in.share : 1;
    std::vector<T> scale(co, share);
    if (kept.mean) {
        const std::vector<double> spread = spread_of(in.matrix, co, ci, kept.covariance);
        for (int64_t o = 0; o < co; o++) {
            double sum = 0, middle = 0;
            for (int64_t i = 0; i < ci; i++) {
                sum += spread[o * ci + i] * in.matrix[o * ci + i];
                middle += static_cast<double>(in.matrix[o * ci + i]) * kept.mean[i];
            }
            variance[o] = static_cast<T>(sum);
            mean_out[o] = static_cast<T>(middle);
            kept.rate[o] = static_cast<T>(1 / std::sqrt(sum + t.eps));
            scale[o] = share * kept.rate[o] * (in.gamma ? in.gamma[o] : 1);
            shift[o] = static_cast<T>(share * (in.beta ? in.beta[o] : 0) - scale[o] * middle);
        }
    }
    for (int64_t o = 0; o < co; o++)
        for (int64_t i = 0; i < ci; i++) used[o * ci + i] *= scale[o];
    const std::vector<T> matrix = transposed(used.data(), co, ci);
    const int64_t chunks = (m + CHUNK - 1) / CHUNK;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t chunk = 0; chunk < chunks; chunk++) {
        const int64_t start = chunk * CHUNK;
        combine_rows<T>(std::min(m - start, CHUNK), ci, ci, z + start * ci, matrix.data(), 0, 0, nullptr, matrix.data(),
                        shift.empty() ? nullptr : shift.data(), !t.is_first, co, t.ldy, y + start * t.ldy);
    }
}

template <typename T> struct Outputs {
    T *x, *gamma_before, *beta_before, *filter, *matrix, *gamma, *beta, *share;  // null where not wanted
};

// `z` as the forward pass left it, or null to compute it again; `total` is the sum of dy over its rows. The gradient of x
// goes to d.x, added there where `add` (never with a norm before the filter).
template <typename T>
void term_backward(const Term& t, const Inputs<T>& in, const Moments<T>& kept, const T* dy, const T* total, const T* z,
                   const Outputs<T>& d, int64_t lddx, bool add) {
    const Geometry& g = t.g;
    const int threads = static_cast<int>(t.threads);
    const int64_t ci = g.c, co = t.co, m = g.n * g.ho * g.wo;
    const Prologue<T> before(t, in, kept);
    const T share = in.share ? *in.share : 1;
    std::vector<T> from_matrix(co * ci), used(in.matrix, in.matrix + co * ci), to_z, shift;
    T* const again = z ? nullptr : scratch<T>(0, m * ci);
    if (!z) z = again;
    std::vector<T> parts(g.n * co * ci);
    const int64_t pixels = g.ho * g.wo;
#pragma omp parallel num_threads(threads)
    {
        Padded<T> input(g);
        std::vector<V<T>> taps(g.k * g.k), left, right;
#pragma omp for schedule(static)
        for (int64_t image = 0; image < g.n; image++) {
            for (int64_t first = 0; again && first < ci; first += Vector<T>::width)
                filter_item<T>(g, input, taps.data(), in.x, before.scales(), before.shifts(), t.relu, before.taps(in), again,
                               image, first);
            outer_rows<T, T>(pixels, co, t.ldy, dy + image * pixels * t.ldy, ci, g.ldz, z + image * pixels * g.ldz, nullptr,
                          parts.data() + image * co * ci, left, right);
        }
        add_up_parts(parts, g.n, co * ci, 1, from_matrix.data());
    }
    T to_share = 0;
    if (!kept.mean) {
        for (int64_t i = 0; i < co * ci; i++) {
            to_share += from_matrix[i] * in.matrix[i];
            if (d.matrix) d.matrix[i] = share * from_matrix[i];
            used[i] *= share;
        }
    } else {
        const std::vector<double> spread = spread_of(in.matrix, co, ci, kept.covariance);
        std::vector<T> slope(co), weighed(co * ci);
        for (int64_t o = 0; o < co; o++) {
            const T gamma = in.gamma ? in.gamma[o] : 1, rate = kept.rate[o];
            T* row = from_matrix.data() + o * ci;
            const T* weights = in.matrix + o * ci;
            T to_scale = 0;
            for (int64_t i = 0; i < ci; i++) {
                row[i] -= total[o] * kept.mean[i];  // the product with z - mean
                to_scale += row[i] * weights[i];
            }
            to_share += to_scale * gamma * rate + (in.beta ? total[o] * in.beta[o] : 0);
            if (d.gamma) d.gamma[o] = to_scale * rate * share;
            if (d.beta) d.beta[o] = total[o] * share;
            const T to_variance = to_scale * gamma * share * rate * rate * rate / -2, scale = share * gamma * rate;
            slope[o] = 2 * to_variance / static_cast<T>(m);
            for (int64_t i = 0; i < ci; i++) {
                if (d.matrix)
                    d.matrix[o * ci + i] = scale * row[i] + static_cast<T>(2 * to_variance * spread[o * ci + i]);
                used[o * ci + i] *= scale;
                weighed[o * ci + i] = slope[o] * weights[i];
            }
        }
        // dz = dy used + (z - mean) W' diag(slope) W - mean of dy used
        to_z.resize(ci * ci);
        product<T>(ci, co, ci, transposed(in.matrix, co, ci).data(), weighed.data(), to_z.data());
        shift.resize(ci);
        for (int64_t i = 0; i < ci; i++) {
            T sum = 0;
            for (int64_t o = 0; o < co; o++) sum += total[o] * used[o * ci + i];
            sum /= static_cast<T>(m);
            for (int64_t k = 0; k < ci; k++) sum += kept.mean[k] * to_z[k * ci + i];
            shift[i] = -sum;
        }
    }
    if (d.share) *d.share = to_share;
    if (!d.x && !d.filter && !d.gamma_before && !d.beta_before) return;
    const int64_t items = g.n * ci / Vector<T>::width;
    T* const dw = in.filter ? d.filter : nullptr;
    std::vector<V<T>> taps(dw ? items * g.k * g.k : 0), sums(kept.mean_before ? items * 2 : 0);
    std::vector<T> totals(kept.mean_before ? 2 * ci : 0);
    const FilterGradients<T> to{d.x, lddx, add, dw ? taps.data() : nullptr, kept.mean_before ? sums.data() : nullptr};
#pragma omp parallel num_threads(threads)
    {
        Workspace<T> work(g);
        std::vector<T> dz(pixels * ci);
#pragma omp for schedule(static)
        for (int64_t image = 0; image < g.n; image++) {
            combine_rows<T>(pixels, co, t.ldy, dy + image * pixels * t.ldy, used.data(), ci, g.ldz,
                            to_z.empty() ? nullptr : z + image * pixels * g.ldz, to_z.data(),
                            shift.empty() ? nullptr : shift.data(), false, ci, ci, dz.data());
            for (int64_t first = 0; first < ci; first += Vector<T>::width)
                filter_item_backward<T>(g, work, in.x, before.scales(), before.shifts(), kept.mean_before, t.relu,
                                        before.taps(in), dz.data(), to, image, first);
        }
    }
    add_up_items<T>(g, taps, dw, sums, totals.empty() ? nullptr : totals.data());
    if (!kept.mean_before) return;
    const T count = static_cast<T>(g.n * g.h * g.w);
    std::vector<T> slope(ci), rest(ci);
    for (int64_t i = 0; i < ci; i++) {
        const T rate = kept.rate_before[i], plain = totals[i], with_x = totals[ci + i];
        if (d.gamma_before) d.gamma_before[i] = with_x * rate;
        if (d.beta_before) d.beta_before[i] = plain;
        slope[i] = -before.scale[i] * rate * rate * with_x / count;
        rest[i] = -slope[i] * kept.mean_before[i] - before.scale[i] * plain / count;
    }
    affine<T>(g.n * g.h * g.w, ci, lddx, d.x, g.ldx, in.x, before.scale.data(), slope.data(), rest.data(), threads);
}

template <typename S> S read(const void* from) {
    S value;
    std::memcpy(&value, from, sizeof(value));
    return value;
}

}  // namespace

// ---------------------------------------------------------------- what Python calls; structures come as their bytes

#define EXPORTED(T, NAME)                                                                                             \
    extern "C" int width_##NAME() { return Vector<T>::width; }                                                        \
    extern "C" void depthwise_forward_##NAME(const void* geometry, const T* x, const T* scale, const T* shift,        \
                                             int relu, const T* w, T* z, int threads) {                               \
        depthwise_forward<T>(read<Geometry>(geometry), x, scale, shift, relu, w, z, threads);                         \
    }                                                                                                                 \
    extern "C" void depthwise_backward_##NAME(const void* geometry, const T* x, const T* scale, const T* shift,       \
                                              const T* center, int relu, const T* w, const T* dz, T* dx,              \
                                              int64_t lddx, int add, T* dw, T* totals, int threads) {                 \
        depthwise_backward<T>(read<Geometry>(geometry), x, scale, shift, center, relu, w, dz, dx, lddx, add, dw,      \
                              totals, threads);                                                                       \
    }                                                                                                                 \
    extern "C" void moments_##NAME(int64_t m, int64_t c, int64_t ld, const T* x, double eps, T* mean, T* variance,    \
                                   T* rate, int threads) {                                                            \
        moments<T>(m, c, ld, x, eps, mean, variance, rate, threads);                                                  \
    }                                                                                                                 \
    extern "C" void plain_forward_##NAME(const void* plain, T* y) { plain_forward<T>(read<Plain<T>>(plain), y); }     \
    extern "C" void plain_backward_##NAME(const void* plain, const T* dy, T* total, T* const* products,               \
                                          T* const* gradients, const int64_t* pitches, const int64_t* adds) {         \
        plain_backward<T>(read<Plain<T>>(plain), dy, total, products, gradients, pitches, adds);                      \
    }                                                                                                                 \
    extern "C" void scaled_forward_##NAME(int64_t m, int64_t c, int64_t ldx, const T* x, const T* scale,              \
                                          const T* shift, int add, int64_t ldy, T* y, int threads) {                  \
        scaled_forward<T>(m, c, ldx, x, scale, shift, add, ldy, y, threads);                                          \
    }                                                                                                                 \
    extern "C" void column_products_##NAME(int64_t m, int64_t c, int64_t lda, const T* a, int64_t ldb, const T* b,    \
                                           const T* center, T* sums, int threads) {                                   \
        column_products<T>(m, c, lda, a, ldb, b, center, sums, threads);                                              \
    }                                                                                                                 \
    extern "C" void affine_##NAME(int64_t m, int64_t c, int64_t ldg, T* g, int64_t ldx, const T* x, const T* scale,   \
                                  const T* slope, const T* shift, int threads) {                                      \
        affine<T>(m, c, ldg, g, ldx, x, scale, slope, shift, threads);                                                \
    }                                                                                                                 \
    extern "C" void term_forward_##NAME(const void* term, const void* inputs, const void* kept, T* y, T* z,           \
                                        T* variance_before, T* mean_out, T* variance) {                               \
        term_forward<T>(read<Term>(term), read<Inputs<T>>(inputs), read<Moments<T>>(kept), y, z, variance_before,     \
                        mean_out, variance);                                                                          \
    }                                                                                                                 \
    extern "C" void term_backward_##NAME(const void* term, const void* inputs, const void* kept, const T* dy,         \
                                         const T* total, const T* z, const void* outputs, int64_t lddx, int add) {    \
        term_backward<T>(read<Term>(term), read<Inputs<T>>(inputs), read<Moments<T>>(kept), dy, total, z,             \
                         read<Outputs<T>>(outputs), lddx, add);                                                       \
    }

EXPORTED(float, f32)
EXPORTED(double, f64)
