// What the algebra of sums needs beyond torch, for channels-last images on the CPU: rows are pixels, columns channels,
// and a row begins `ld` numbers after the one before, so that an image may be some columns of a wider one.
//
//   depthwise    z = w * relu(scale x + shift), and its gradients
//   plain        terms of a sum that are their source, weighted, all at once
//   terms        whole terms of a sum: y += share * norm(matrix * depthwise), each part where it is there, and all their
//                gradients
//
// Work is split into items that do not depend on the number of threads, and what is summed over items is summed in their
// order, so that results are the same for any number of threads. Built by kernel.py with whatever C++ compiler is there;
// plain pointers, so that no header of torch is needed.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
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
template <typename T> inline int64_t whole_vectors(int64_t c) {
    return (c + Vector<T>::width - 1) / Vector<T>::width * Vector<T>::width;
}

// Buffers that live as long as the thread: their pages are there, and often still in the cache. What they hold is
// whatever was left there.
enum Buffer { OF_Z, OF_P, OF_IMAGE, OF_DZ, OF_INPUT, OF_GRADIENT, OF_TAPS, OF_MATRICES, OF_DX, OF_BEFORE, BUFFERS };
template <typename T> T* scratch(Buffer which, int64_t size) {
    static thread_local std::vector<V<T>> buffers[BUFFERS];
    const int64_t vectors = whole_vectors<T>(size) / Vector<T>::width;
    if (static_cast<int64_t>(buffers[which].size()) < vectors) buffers[which].resize(vectors);
    return reinterpret_cast<T*>(buffers[which].data());
}
template <typename T> V<T>* scratch_vectors(Buffer which, int64_t vectors) {
    return reinterpret_cast<V<T>*>(scratch<T>(which, vectors * Vector<T>::width));
}

// Calls f with facts as types, so that an inner loop is compiled for each of them and asks nothing.
template <typename F> inline void knowing(const F& f) { f(); }
template <typename F, typename... Facts> inline void knowing(const F& f, bool fact, Facts... facts) {
    if (fact)
        knowing([&f](auto... known) { f(std::true_type{}, known...); }, facts...);
    else
        knowing([&f](auto... known) { f(std::false_type{}, known...); }, facts...);
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

// ---------------------------------------------------------------- depthwise

enum Kind : int64_t { CONVOLUTION = 0, MAX_POOL = 1, AVG_POOL = 2, AVG_POOL_COUNTING_PAD = 3 };

// A filter: a depthwise convolution, or a pool, which has no weight. With k = 1 there is none, and only every stride-th
// pixel is taken from `-pad` on. Images are (h, w, c), rows of pixels ld apart.
struct Geometry {
    int64_t n, h, w, c, kind, k, stride, dilation, pad, ho, wo, ldx, ldz;

    int64_t pixels() const { return ho * wo; }
    int64_t taken(int64_t y, int64_t x) const { return (y * stride - pad) * w + x * stride - pad; }
};

// The taps of each block of columns, as vectors; mirrored for the gradient of the input.
template <typename T> struct Taps {
    int64_t size;
    std::vector<V<T>> data;

    Taps(const T* w, const Geometry& g, bool mirrored) : size(g.k * g.k) {
        if (!w) return;
        data.resize(whole_vectors<T>(g.c) / Vector<T>::width * size);
        T* const to = reinterpret_cast<T*>(data.data());
        for (int64_t i = 0; i < g.c; i++) {
            const int64_t start = i / Vector<T>::width * size * Vector<T>::width + i % Vector<T>::width;
            for (int64_t tap = 0; tap < size; tap++)
                to[start + (mirrored ? size - 1 - tap : tap) * Vector<T>::width] = w[i * size + tap];
        }
    }

    const V<T>* of(int64_t first) const { return data.data() + first / Vector<T>::width * size; }
};

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
    if (g.k == 3) correlate_all<T, 3, STRIDE>(in, width, taps, g.dilation, rows, columns, emit);
    if (g.k == 5) correlate_all<T, 5, STRIDE>(in, width, taps, g.dilation, rows, columns, emit);
    if (g.k == 7) correlate_all<T, 7, STRIDE>(in, width, taps, g.dilation, rows, columns, emit);
}

// The padded, activated input of one image and block of columns: it fits into the cache, and no loop behind it needs a
// bound or a branch. A thread has one of them at a time.
template <typename T> struct Padded {
    int64_t width, height;
    V<T>* data;  // its border stays as it is, its inside is written for every item

    explicit Padded(const Geometry& g)
        : width(g.w + 2 * g.pad), height(g.h + 2 * g.pad),
          data(scratch_vectors<T>(OF_INPUT, g.k == 1 ? 0 : width * height)) {
        const V<T> border = V<T>{} + (g.kind == MAX_POOL ? -std::numeric_limits<T>::infinity() : static_cast<T>(0));
        for (int64_t row = 0; g.k > 1 && row < height; row++) {
            V<T>* const to = data + row * width;
            const bool inside = row >= g.pad && row < g.h + g.pad;
            std::fill_n(to, inside ? g.pad : width, border);
            if (inside) std::fill_n(to + g.pad + g.w, g.pad, border);
        }
    }

    void fill(const Geometry& g, const T* x, const T* scale, const T* shift, bool relu, int64_t image, int64_t first,
              int count) {
        const V<T> s = scale ? load(scale + first, count) : V<T>{};
        const V<T> t = scale ? load(shift + first, count) : V<T>{};
        for (int64_t row = 0; row < g.h; row++) {
            const T* from = x + (image * g.h + row) * g.w * g.ldx + first;
            V<T>* to = data + (row + g.pad) * width + g.pad;
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
void add_up(const V<T>* parts, int64_t n, int64_t c, int64_t per_item, int64_t which, To* to, int64_t step) {
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
            const V<T>* const at = input.data + y * g.stride * input.width + x * g.stride;
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
                const V<T>* const at = input.data + start;
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

// One image and block of columns of z = w * relu(scale x + shift). z is that image's, (ho wo, cz): columns that x has not
// are zero.
template <typename T>
void filter_item(const Geometry& g, Padded<T>& input, const Taps<T>& taps, const T* x, const T* scale, const T* shift,
                 bool relu, T* z, int64_t cz, int64_t image, int64_t first) {
    const int count = columns_in<T>(g.c, first), wide = columns_in<T>(cz, first);
    T* const to = z + first;
    if (g.k == 1) {  // nothing has to be padded
        const V<T> s = scale ? load(scale + first, count) : V<T>{}, t = scale ? load(shift + first, count) : V<T>{};
        const T* const from = x + image * g.h * g.w * g.ldx + first;
        for (int64_t y = 0; y < g.ho; y++)
            for (int64_t xx = 0; xx < g.wo; xx++) {
                V<T> value = load(from + g.taken(y, xx) * g.ldx, count);
                if (scale) value = value * s + t;
                if (relu) value = value > 0 ? value : V<T>{};
                store(to + (y * g.wo + xx) * g.ldz, value, wide);
            }
        return;
    }
    input.fill(g, x, scale, shift, relu, image, first, count);
    // Copies: what is captured by reference would be read again behind every store.
    const int64_t width_z = g.wo, ldz = g.ldz;
    knowing(
        [&](auto is_whole) {
            const auto emit = [=](int64_t y, int64_t xx, V<T> value) {
                store(to + (y * width_z + xx) * ldz, value, is_whole ? Vector<T>::width : wide);
            };
            if (g.kind != CONVOLUTION) return pool<T>(g, input, emit);
            const V<T>* const in = input.data;
            if (g.stride == 1) correlate<T, 1>(in, input.width, taps.of(first), g, g.ho, g.wo, emit);
            if (g.stride == 2) correlate<T, 2>(in, input.width, taps.of(first), g, g.ho, g.wo, emit);
        },
        wide == Vector<T>::width);
}

template <typename T>
void depthwise_forward(const Geometry& g, const T* x, const T* scale, const T* shift, bool relu, const T* w, T* z,
                       int threads) {
    constexpr int width = Vector<T>::width;
    const int64_t blocks = (g.c + width - 1) / width;
    const Taps<T> taps(w, g, false);
#pragma omp parallel num_threads(threads)
    {
        Padded<T> input(g);
#pragma omp for schedule(static)
        for (int64_t item = 0; item < g.n * blocks; item++)
            filter_item<T>(g, input, taps, x, scale, shift, relu, z + item / blocks * g.pixels() * g.ldz, g.c,
                           item / blocks, item % blocks * width);
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
    int64_t lddx, step;  // from pixel to pixel, and from image to image
    bool add;
    V<T>* taps;
    V<T>* totals;
};

// What the gradients of an item need, once for each thread.
template <typename T> struct Workspace {
    int64_t border, wide, size;
    Padded<T> input;
    V<T>* gradient;  // between strides and at the border it stays zero; for a pool, as wide as the input

    explicit Workspace(const Geometry& g)
        : border((g.k - 1) * g.dilation - g.pad), wide(g.w + (g.k - 1) * g.dilation),
          size((g.h + (g.k - 1) * g.dilation) * wide), input(g) {
        if (g.kind != CONVOLUTION) size = input.width * input.height;
        if (g.k == 1) size = 0;
        gradient = scratch_vectors<T>(OF_GRADIENT, size);
        std::fill_n(gradient, size, V<T>{});
    }
};

// The gradients of one image and block of columns; without a filter (k is 1) the taps have none. dz is that image's,
// (ho wo, c), rows g.ldz apart. Before a pool stands neither norm nor ReLU, and its dx is wanted.
template <typename T>
void filter_item_backward(const Geometry& g, Workspace<T>& work, const T* x, const T* scale, const T* shift,
                          const T* center, bool relu, const Taps<T>& mirrored, const T* dz,
                          const FilterGradients<T>& d, int64_t image, int64_t first) {
    const int count = columns_in<T>(g.c, first);
    const int64_t item = image * ((g.c + Vector<T>::width - 1) / Vector<T>::width) + first / Vector<T>::width;
    if (g.k == 1) {  // the gradient goes through the activation as it is
        if (!d.dx) return;
        const V<T> s = scale ? load(scale + first, count) : V<T>{}, t = scale ? load(shift + first, count) : V<T>{};
        const V<T> middle = d.totals ? load(center + first, count) : V<T>{};
        const T* const source = x + image * g.h * g.w * g.ldx + first;
        T* const target = d.dx + image * d.step + first;
        if (!d.add && g.pixels() != g.h * g.w)
            for (int64_t pixel = 0; pixel < g.h * g.w; pixel++) store(target + pixel * d.lddx, V<T>{}, count);
        V<T> plain = {}, product = {};
        for (int64_t y = 0; y < g.ho; y++)
            for (int64_t xx = 0; xx < g.wo; xx++) {
                const int64_t pixel = g.taken(y, xx);
                V<T> value = load(dz + (y * g.wo + xx) * g.ldz + first, count);
                if (relu || d.totals) {
                    const V<T> from = load(source + pixel * g.ldx, count);
                    if (relu) value = (scale ? from * s + t : from) > 0 ? value : V<T>{};
                    if (d.totals) {
                        plain += value;
                        product += value * (from - middle);
                    }
                }
                T* const to = target + pixel * d.lddx;
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
        V<T>* const to = work.gradient;
        std::fill_n(to, work.size, V<T>{});
        pool_backward<T>(g, work.input, dz, first, count, to);
        for (int64_t pixel = 0; pixel < g.h * g.w; pixel++) {
            T* const out = d.dx + image * d.step + pixel * d.lddx + first;
            V<T> value = to[(pixel / g.w + g.pad) * work.input.width + pixel % g.w + g.pad];
            if (d.add) value += load(out, count);
            store(out, value, count);
        }
        return;
    }
    V<T>* const start = work.gradient + work.border * work.wide + work.border;
    for (int64_t y = 0; y < g.ho; y++) {
        const T* from = dz + y * g.wo * g.ldz + first;
        V<T>* to = start + y * g.stride * work.wide;
        for (int64_t xx = 0; xx < g.wo; xx++, from += g.ldz) to[xx * g.stride] = load(from, count);
    }
    if (d.taps) {
        V<T>* to = d.taps + item * g.k * g.k;
        const V<T>* in = work.input.data;
        if (g.k == 3) tap_gradients<T, 3>(g, in, work.input.width, start, g.stride * work.wide, to);
        if (g.k == 5) tap_gradients<T, 5>(g, in, work.input.width, start, g.stride * work.wide, to);
        if (g.k == 7) tap_gradients<T, 7>(g, in, work.input.width, start, g.stride * work.wide, to);
    }
    if (!d.dx) return;
    V<T> plain = {}, product = {};
    const V<T> middle = d.totals ? load(center + first, count) : V<T>{};
    const int64_t width_x = g.w, ldx = g.ldx, lddx = d.lddx, padded = work.input.width;
    T* const to = d.dx + image * d.step + first;
    const T* const from = x + image * g.h * g.w * ldx + first;
    const V<T>* const active = work.input.data + g.pad * padded + g.pad;
    const auto run = [&](auto is_active, auto adds, auto counts, auto columns) {
        correlate<T, 1>(work.gradient, work.wide, mirrored.of(first), g, g.h, g.w,
                        [=, &plain, &product](int64_t y, int64_t xx, V<T> value) {
                            const int64_t pixel = y * width_x + xx;
                            if (is_active) value = active[y * padded + xx] > 0 ? value : V<T>{};
                            if (counts) {
                                plain += value;
                                product += value * (load(from + pixel * ldx, columns) - middle);
                            }
                            if (adds) value += load(to + pixel * lddx, columns);
                            store(to + pixel * lddx, value, columns);
                        });
    };
    // Whole vectors are compiled for each case, so that nothing is asked per pixel.
    const std::integral_constant<int, Vector<T>::width> whole;
    if (count < whole)
        run(relu, d.add, d.totals != nullptr, count);
    else
        knowing([&](auto... facts) { run(facts..., whole); }, relu, d.add, d.totals != nullptr);
    if (!d.totals) return;
    d.totals[item * 2] = plain;
    d.totals[item * 2 + 1] = product;
}

// Sums over images in their order: of the taps' gradients to dw, of the totals to `totals` (2, c).
template <typename T>
void add_up_items(const Geometry& g, const V<T>* taps, T* dw, const V<T>* sums, T* totals) {
    const int64_t size = g.k * g.k;
    for (int64_t tap = 0; dw && tap < size; tap++) add_up<T>(taps, g.n, g.c, size, tap, dw + tap, size);
    for (int64_t which = 0; totals && which < 2; which++) add_up<T>(sums, g.n, g.c, 2, which, totals + which * g.c, 1);
}

template <typename T>
void depthwise_backward(const Geometry& g, const T* x, const T* scale, const T* shift, const T* center, bool relu,
                        const T* w, const T* dz, T* dx, int64_t lddx, bool add, T* dw, T* totals, int threads) {
    constexpr int width = Vector<T>::width;
    const int64_t blocks = (g.c + width - 1) / width;
    V<T>* const taps = dw ? scratch_vectors<T>(OF_TAPS, g.n * blocks * g.k * g.k) : nullptr;
    std::vector<V<T>> sums(totals ? g.n * blocks * 2 : 0);
    const FilterGradients<T> to{dx, lddx, g.h * g.w * lddx, add, taps, totals ? sums.data() : nullptr};
    const Taps<T> mirrored(w, g, true);
#pragma omp parallel num_threads(threads)
    {
        Workspace<T> work(g);
#pragma omp for schedule(static)
        for (int64_t item = 0; item < g.n * blocks; item++) {
            const int64_t image = item / blocks;
            filter_item_backward<T>(g, work, x, scale, shift, center, relu, mirrored, dz + image * g.ho * g.wo * g.ldz, to,
                                    image, item % blocks * width);
        }
    }
    add_up_items<T>(g, taps, dw, sums.data(), totals);
}

// ---------------------------------------------------------------- columns

constexpr int64_t CHUNK = 128;  // rows that one item takes

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
void plain_backward(const Plain<T>& p, const T* dy, double* total, T* const* products, T* const* gradients,
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
    if (total) add_up<T>(sums.data(), chunks, p.c, 1, 0, total, 1);
    for (int64_t i = 0; i < count; i++) {
        if (!products[i]) continue;
        V<T> sum = {};
        for (int64_t chunk = 0; chunk < chunks; chunk++) sum += parts[chunk * count + i];
        T all = 0;
        for (int k = 0; k < width; k++) all += sum[k];
        *products[i] = all;
    }
}

// ---------------------------------------------------------------- matrices on pixels

// total[i][j] += sum over rows of a[row][i] b[row][j], for BLOCKS vectors of j.
template <typename T, int BLOCKS>
void outer_tile(int64_t rows, int64_t p, int64_t lda, const T* a, int64_t ldb, const T* b, int64_t ldt, T* total) {
    constexpr int width = Vector<T>::width, TILE = BLOCKS == 1 ? width : BLOCKS == 2 ? 8 : 4;
    for (int64_t tile = 0; tile < p; tile += TILE) {
        V<T> sum[TILE][BLOCKS] = {};
        for (int64_t row = 0; row < rows; row++) {
            const T* const scalars = a + row * lda + tile;
            const T* const at = b + row * ldb;
            for (int j = 0; j < BLOCKS; j++) {
                const V<T> vector = load(at + j * width);
                for (int i = 0; i < TILE; i++) sum[i][j] += scalars[i] * vector;
            }
        }
        for (int i = 0; i < TILE; i++)
            for (int j = 0; j < BLOCKS; j++) {
                T* const to = total + (tile + i) * ldt + j * width;
                store<T>(to, load(to) + sum[i][j], width);
            }
    }
}

// total = a' b, (p, q), of some rows; p and q are whole vectors.
template <typename T>
void outer_rows(int64_t m, int64_t p, int64_t lda, const T* a, int64_t q, int64_t ldb, const T* b, T* total) {
    constexpr int width = Vector<T>::width;
    const int64_t wide = q / width;
    std::fill_n(total, p * q, static_cast<T>(0));
    for (int64_t start = 0; start < m; start += CHUNK) {
        const int64_t rows = std::min(m - start, CHUNK);
        const T *const left = a + start * lda, *const right = b + start * ldb;
        int64_t j = 0;
        for (; j + 4 <= wide; j += 4)
            outer_tile<T, 4>(rows, p, lda, left, ldb, right + j * width, q, total + j * width);
        for (; j + 2 <= wide; j += 2)
            outer_tile<T, 2>(rows, p, lda, left, ldb, right + j * width, q, total + j * width);
        for (; j < wide; j++) outer_tile<T, 1>(rows, p, lda, left, ldb, right + j * width, q, total + j * width);
    }
}

// sum += a A for STEP of the rows of A, ROWS rows and BLOCKS vectors.
template <typename T, int BLOCKS, int ROWS, int STEP>
inline void multiply_step(int64_t lda, const T* a, const T* A, int64_t columns, V<T> (&sum)[ROWS][BLOCKS]) {
    V<T> matrix[STEP][BLOCKS];
    for (int i = 0; i < STEP; i++)
        for (int j = 0; j < BLOCKS; j++) matrix[i][j] = load(A + i * columns + j * Vector<T>::width);
    for (int r = 0; r < ROWS; r++, a += lda)
        for (int i = 0; i < STEP; i++)
            for (int j = 0; j < BLOCKS; j++) sum[r][j] += a[i] * matrix[i][j];
}

// ROWS rows and BLOCKS vectors of out = a A.
template <typename T, int BLOCKS, int ROWS>
inline void multiply_tile(int64_t k, int64_t lda, const T* a, const T* A, int64_t columns, int64_t ldo, T* out) {
    constexpr int width = Vector<T>::width, STEP = 4 / BLOCKS;
    V<T> sum[ROWS][BLOCKS] = {};
    int64_t i = 0;
    for (; i + STEP <= k; i += STEP) multiply_step<T, BLOCKS, ROWS, STEP>(lda, a + i, A + i * columns, columns, sum);
    for (; i < k; i++) multiply_step<T, BLOCKS, ROWS, 1>(lda, a + i, A + i * columns, columns, sum);
    for (int r = 0; r < ROWS; r++)
        for (int j = 0; j < BLOCKS; j++) store<T>(out + r * ldo + j * width, sum[r][j], width);
}

template <typename T, int BLOCKS, int ROWS>
void multiply_columns(int64_t rows, int64_t k, int64_t lda, const T* a, const T* A, int64_t columns, int64_t ldo,
                      T* out) {
    int64_t row = 0;
    for (; row + ROWS <= rows; row += ROWS)
        multiply_tile<T, BLOCKS, ROWS>(k, lda, a + row * lda, A, columns, ldo, out + row * ldo);
    for (; row < rows; row++) multiply_tile<T, BLOCKS, 1>(k, lda, a + row * lda, A, columns, ldo, out + row * ldo);
}

// out = a A for rows of k numbers; A is (k, columns), whole vectors.
template <typename T>
void multiply_rows(int64_t rows, int64_t k, int64_t lda, const T* a, const T* A, int64_t columns, int64_t ldo, T* out) {
    constexpr int width = Vector<T>::width;
    const int64_t blocks = columns / width;
    int64_t j = 0;
    for (; j + 2 <= blocks; j += 2)
        multiply_columns<T, 2, 8>(rows, k, lda, a, A + j * width, columns, ldo, out + j * width);
    if (j < blocks) multiply_columns<T, 1, 16>(rows, k, lda, a, A + j * width, columns, ldo, out + j * width);
}

// ---------------------------------------------------------------- columns of the pixels of one image

// Adds to `to` what `each(row, first column, how many)` gives, in double after few rows: what is off in a mean is off in
// every pixel, in the same direction.
template <typename T, typename Each> inline void sum_rows(int64_t rows, int64_t c, double* to, const Each& each) {
    constexpr int64_t SOME = 64;
    for (int64_t first = 0; first < c; first += Vector<T>::width) {
        const int count = columns_in<T>(c, first);
        double total[Vector<T>::width] = {};
        for (int64_t start = 0; start < rows; start += SOME) {
            const int64_t end = std::min(rows, start + SOME);
            V<T> sum[4] = {};
            int64_t row = start;
            for (; row + 4 <= end; row += 4)
                for (int i = 0; i < 4; i++) sum[i] += each(row + i, first, count);
            for (; row < end; row++) sum[0] += each(row, first, count);
            add_to(total, (sum[0] + sum[1]) + (sum[2] + sum[3]));
        }
        for (int i = 0; i < count; i++) to[first + i] += total[i];
    }
}

// The sums of the columns of some rows, and those of the squares of what is left of them without their mean: E[x^2] -
// E[x]^2 would cancel.
template <typename T>
void sums_and_squares(int64_t rows, int64_t c, int64_t ld, const T* x, double* sums, double* squares) {
    std::fill_n(sums, c, 0.0);
    std::fill_n(squares, c, 0.0);
    sum_rows<T>(rows, c, sums, [=](int64_t row, int64_t first, int count) { return load(x + row * ld + first, count); });
    std::vector<T> middle(c);
    for (int64_t i = 0; i < c; i++) middle[i] = static_cast<T>(sums[i] / static_cast<double>(rows));
    const T* const mean = middle.data();
    sum_rows<T>(rows, c, squares, [=](int64_t row, int64_t first, int count) {
        const V<T> value = load(x + row * ld + first, count) - load(mean + first, count);
        return value * value;
    });
}

// y = [y +] scale x + shift, column by column.
template <typename T>
void scale_rows(int64_t rows, int64_t c, int64_t ldx, const T* x, const T* scale, const T* shift, bool add, int64_t ldy,
                T* y) {
    for (int64_t first = 0; first < c; first += Vector<T>::width) {
        const int count = columns_in<T>(c, first);
        const V<T> s = load(scale + first, count), t = load(shift + first, count);
        for (int64_t row = 0; row < rows; row++) {
            V<T> value = load(x + row * ldx + first, count) * s + t;
            T* const to = y + row * ldy + first;
            if (add) value += load(to, count);
            store(to, value, count);
        }
    }
}

// y = [y +] scale g + slope x + shift, column by column.
template <typename T>
void affine_rows(int64_t rows, int64_t c, int64_t ldg, const T* g, int64_t ldx, const T* x, const T* scale,
                 const T* slope, const T* shift, bool add, int64_t ldy, T* y) {
    for (int64_t first = 0; first < c; first += Vector<T>::width) {
        const int count = columns_in<T>(c, first);
        const V<T> s = load(scale + first, count), q = load(slope + first, count), t = load(shift + first, count);
        for (int64_t row = 0; row < rows; row++) {
            V<T> value = load(g + row * ldg + first, count) * s + load(x + row * ldx + first, count) * q + t;
            T* const to = y + row * ldy + first;
            if (add) value += load(to, count);
            store(to, value, count);
        }
    }
}

// ---------------------------------------------------------------- terms of a sum

// A term, share * norm(matrix * z) with z = filter * relu(before(x)), each part where it is there, as plain data: see
// algebra_kernel.py. What the norm reads, p = matrix * z, is (m, co), and is added to the sum from column `first` on.
// Places are those of parameters: gamma and beta of the norm before, filter, matrix, gamma and beta of the norm. Moments
// of norms have places too. What is not there is at -1.
struct Term {
    Geometry g;
    int64_t co, relu, source, weight, places[6], first, moments_before, moments;
    double eps_before, eps;

    bool has_filter() const { return g.k != 1 || g.stride != 1 || g.pad != 0; }
};

// What places point to.
template <typename T> struct Tensors {
    T* const* sources;
    T* const* parameters;
    T* mixing;
};

// The tensors of a term, or where their gradients go; null for what is not there or not wanted.
template <typename T> struct Parts {
    T *x, *gamma_before, *beta_before, *filter, *matrix, *gamma, *beta, *share;

    Parts(const Term& t, const Tensors<T>& all)
        : x(all.sources[t.source]), gamma_before(at(t, all, 0)), beta_before(at(t, all, 1)), filter(at(t, all, 2)),
          matrix(at(t, all, 3)), gamma(at(t, all, 4)), beta(at(t, all, 5)),
          share(all.mixing && t.weight >= 0 ? all.mixing + t.weight : nullptr) {}

    static T* at(const Term& t, const Tensors<T>& all, int part) {
        return t.places[part] < 0 ? nullptr : all.parameters[t.places[part]];
    }
};

// What a norm takes from its columns: their means, 1 / sqrt(variance + eps), and behind them the unbiased variances, which
// only the running statistics follow.
struct Moments {
    double *mean = nullptr, *rate = nullptr, *variance = nullptr;

    Moments(double* all, int64_t place, int64_t c) {
        if (place < 0) return;
        mean = all + place;
        rate = mean + c;
        variance = rate + c;
    }
};

// The moments of n images, from the sums and squares of each. Every thread joins them for itself, which is faster than to
// wait for one that does; the first leaves them where others want them.
struct Joined {
    std::vector<double> mean, rate;

    Joined(int64_t n, int64_t rows, int64_t c, const double* sums, const double* squares, double eps, const Moments& to)
        : mean(c), rate(c) {
        std::vector<double> variance(c);
        const double each = static_cast<double>(rows), images = static_cast<double>(n), all = images * each;
        for (int64_t i = 0; i < n * c; i++) mean[i % c] += sums[i];
        for (double& value : mean) value /= all;
        for (int64_t image = 0; image < n; image++)
            for (int64_t i = 0; i < c; i++) {
                const double apart = sums[image * c + i] / each - mean[i];
                variance[i] += squares[image * c + i] / all + apart * apart / images;
            }
        for (int64_t i = 0; i < c; i++) rate[i] = 1 / std::sqrt(variance[i] + eps);
#pragma omp master
        {
            std::copy(mean.begin(), mean.end(), to.mean);
            std::copy(rate.begin(), rate.end(), to.rate);
            for (int64_t i = 0; i < c; i++) to.variance[i] = variance[i] * (all / (all - 1));
        }
    }
};

// What the filter reads is scaled and shifted by the norm before it, whose mean and rate these are.
template <typename T> struct Prologue {
    std::vector<T> scale, shift, middle;

    Prologue(int64_t c, const Parts<T>& in, const double* mean, const double* rate) {
        for (int64_t i = 0; mean && i < c; i++) {
            scale.push_back(static_cast<T>(rate[i] * (in.gamma_before ? in.gamma_before[i] : 1)));
            // Of the factor as it is rounded: what is off here is off in every pixel.
            shift.push_back(static_cast<T>((in.beta_before ? in.beta_before[i] : 0) - mean[i] * scale[i]));
            middle.push_back(static_cast<T>(mean[i]));
        }
    }
    const T* scales() const { return scale.empty() ? nullptr : scale.data(); }
    const T* shifts() const { return shift.empty() ? nullptr : shift.data(); }
    const T* means() const { return middle.empty() ? nullptr : middle.data(); }
};

// The matrix (co, ci) for products with whole vectors, filled up with zeros; `turned` is its transpose.
template <typename T> std::vector<T> filled_up(const T* a, int64_t co, int64_t ci, bool turned) {
    const int64_t columns = whole_vectors<T>(turned ? co : ci);
    std::vector<T> to((turned ? ci : co) * columns);
    for (int64_t o = 0; o < co; o++)
        for (int64_t i = 0; i < ci; i++) to[turned ? i * columns + o : o * columns + i] = a[o * ci + i];
    return to;
}

// Memory that the threads which compute a sum have in common. An image is always the same thread's, and so is its part of
// z, p and dx, whatever the term; threads meet only where something is added up over images. Sums by images are in one of
// two places in turn, since a slow thread may still read those before.
template <typename T> struct Room {
    T *z, *p, *dx, *matrices;
    V<T>*taps, *before;
    std::vector<double> sums;
    int64_t of_z = 0, of_p = 0, of_dx = 0, each = 0;  // numbers for an image; the last, for all of them

    Room(const Term* terms, int64_t count, bool backward) {
        int64_t images = 0, of_matrices = 0, of_taps = 0, of_before = 0;
        for (int64_t i = 0; i < count; i++) {
            const Term& t = terms[i];
            const int64_t cz = whole_vectors<T>(t.g.c), cp = whole_vectors<T>(t.co), pixels = t.g.pixels();
            const int64_t items = t.g.n * cz / Vector<T>::width;
            images = t.g.n;
            each = std::max(each, images * std::max(t.g.c, t.co));
            if (backward || t.places[3] < 0) of_z = std::max(of_z, pixels * cz);
            if (t.places[3] >= 0) of_p = std::max(of_p, pixels * cp);
            if (!backward) continue;
            if (t.places[3] >= 0) of_matrices = std::max(of_matrices, images * cp * cz);
            if (t.places[2] >= 0) of_taps = std::max(of_taps, items * t.g.k * t.g.k);
            if (t.moments_before < 0) continue;
            of_dx = std::max(of_dx, t.g.h * t.g.w * whole_vectors<T>(t.g.c));
            of_before = std::max(of_before, items * 2);
        }
        z = scratch<T>(OF_Z, images * of_z);
        p = scratch<T>(OF_P, images * of_p);
        dx = scratch<T>(OF_DX, images * of_dx);
        matrices = scratch<T>(OF_MATRICES, of_matrices);
        taps = scratch_vectors<T>(OF_TAPS, of_taps);
        before = scratch_vectors<T>(OF_BEFORE, of_before);
        sums.resize(8 * each);
    }

    double* sums_of(int64_t turn, int which) { return sums.data() + (turn % 2 * 4 + which) * each; }
};

// What a term reads of an image (z), and what its norm reads of that (p): either may be memory of somebody else.
template <typename T> struct Stages {
    bool makes_z, makes_p, passes;
    int64_t cz, cp, ldz, ldp, step_z, step_p;  // steps are those from image to image
    T *z, *p;

    // Without anything before the matrix, z is x; without a matrix p is z. `kept` is z, to be written or, where it
    // `is_there`, read; p is computed to `place`, where that is not null. With `once`, z is only read for p, and a thread
    // has a place for one image.
    Stages(const Term& t, const Parts<T>& in, const Room<T>& room, T* kept, bool is_there, T* place, int64_t ld, bool once)
        : makes_z((t.relu || t.moments_before >= 0 || t.has_filter() || (in.matrix && t.g.c % Vector<T>::width)) &&
                  !is_there),
          makes_p(in.matrix), passes(once && makes_z && makes_p && !kept), cz(whole_vectors<T>(t.g.c)),
          cp(whole_vectors<T>(t.co)), ldz(cz), ldp(cp), step_z(room.of_z), step_p(room.of_p), z(room.z), p(room.p) {
        const int64_t pixels = t.g.pixels();
        if (kept) {
            z = kept;
            step_z = pixels * ldz;
        } else if (!makes_z) {
            z = in.x;
            ldz = t.g.ldx;
            step_z = pixels * ldz;
        } else if (!makes_p && place) {
            z = place;
            cz = t.co;
            ldz = ld;
            step_z = pixels * ldz;
        }
        if (!makes_p) {
            p = z;
            ldp = ldz;
            step_p = step_z;
        } else if (place) {
            p = place;
            ldp = ld;
            step_p = pixels * ldp;
        }
    }

    T* z_of(int64_t image) const { return z + image * step_z; }
    T* p_of(int64_t image) const { return p + image * step_p; }

    void make(Geometry g, const Parts<T>& in, const Prologue<T>& before, bool relu, Padded<T>& input,
              const Taps<T>& taps, const T* turned, bool wants_p, int64_t image) const {
        g.ldz = ldz;
        T* const to = passes ? scratch<T>(OF_IMAGE, g.pixels() * cz) : z_of(image);
        for (int64_t first = 0; makes_z && first < g.c; first += Vector<T>::width)
            filter_item<T>(g, input, taps, in.x, before.scales(), before.shifts(), relu, to, cz, image, first);
        if (makes_p && wants_p) multiply_rows<T>(g.pixels(), g.c, ldz, to, turned, cp, ldp, p_of(image));
    }
};

// Adds a term to y, or writes it there. Every thread is in here; `keep` is where to keep z, or null. `turn` counts what
// threads meet for.
template <typename T>
void term_forward(const Term& t, int64_t& turn, const Parts<T>& in, double* moments, Room<T>& room, T* y, int64_t ldy,
                  bool is_first, T* keep) {
    const Geometry& g = t.g;
    const int64_t co = t.co, pixels = g.pixels(), inputs = g.h * g.w;
    if (t.moments_before >= 0 || t.moments >= 0) turn++;
    double *sums = room.sums_of(turn, 0), *squares = room.sums_of(turn, 1);
    std::vector<double> mean_before, rate_before;
    if (t.moments_before >= 0) {
#pragma omp for schedule(static)
        for (int64_t image = 0; image < g.n; image++)
            sums_and_squares<T>(inputs, g.c, g.ldx, in.x + image * inputs * g.ldx, sums + image * g.c,
                                squares + image * g.c);
        Joined joined(g.n, inputs, g.c, sums, squares, t.eps_before, Moments(moments, t.moments_before, g.c));
        mean_before.swap(joined.mean);
        rate_before.swap(joined.rate);
    }
    const Prologue<T> before(g.c, in, mean_before.empty() ? nullptr : mean_before.data(), rate_before.data());
    // The first term is computed where the sum will be.
    T* const place = is_first && co % Vector<T>::width == 0 ? y : nullptr;
    const Stages<T> stages(t, in, room, keep, false, place, ldy, true);
    const std::vector<T> turned = in.matrix ? filled_up(in.matrix, co, g.c, true) : std::vector<T>();
    const Taps<T> taps(in.filter, g, false);
    Padded<T> input(g);
    sums = room.sums_of(turn, 2);
    squares = room.sums_of(turn, 3);
#pragma omp for schedule(static) nowait
    for (int64_t image = 0; image < g.n; image++) {
        stages.make(g, in, before, t.relu, input, taps, turned.data(), true, image);
        if (t.moments >= 0)
            sums_and_squares<T>(pixels, co, stages.ldp, stages.p_of(image), sums + image * co, squares + image * co);
    }
    const T share = in.share ? *in.share : 1;
    std::vector<T> scale(co, share), shift(co);
    if (t.moments >= 0) {
#pragma omp barrier
        const Joined joined(g.n, pixels, co, sums, squares, t.eps, Moments(moments, t.moments, co));
        for (int64_t o = 0; o < co; o++) {
            scale[o] = static_cast<T>(share * joined.rate[o] * (in.gamma ? in.gamma[o] : 1));
            const double beta = in.beta ? static_cast<double>(share) * in.beta[o] : 0;
            shift[o] = static_cast<T>(beta - joined.mean[o] * scale[o]);
        }
    } else if (!in.share && stages.p == y) {
        return;
    }
#pragma omp for schedule(static) nowait
    for (int64_t image = 0; image < g.n; image++)
        scale_rows<T>(pixels, co, stages.ldp, stages.p_of(image), scale.data(), shift.data(), !is_first, ldy,
                      y + image * pixels * ldy);
}

// y = [y +] the sum of terms; those of `kept` that are not null are where to keep z.
template <typename T>
void terms_forward(const Term* terms, int64_t count, const Tensors<T>& all, double* moments, T* y, int64_t ldy,
                   bool is_first, T* const* kept, int threads) {
    Room<T> room(terms, count, false);
#pragma omp parallel num_threads(threads)
    for (int64_t i = 0, turn = 0; i < count; i++)
        term_forward<T>(terms[i], turn, Parts<T>(terms[i], all), moments, room, y + terms[i].first, ldy,
                        is_first && i == 0, kept[i]);
}

// Writes a term's gradients to `d`, that of x added where `add`. Every thread is in here. `z` is as the forward pass left
// it, or null to compute it again; `total` is the sum of dy over its rows.
template <typename T>
void term_backward(const Term& t, int64_t& turn, const Parts<T>& in, double* all_moments, Room<T>& room, const T* dy,
                   int64_t ldy, const double* total, T* z, const Parts<T>& d, bool add) {
    const Geometry& g = t.g;
    const int64_t ci = g.c, co = t.co, pixels = g.pixels(), inputs = g.h * g.w;
    const Moments norm(all_moments, t.moments, co), norm_before(all_moments, t.moments_before, ci);
    const bool wants_input = d.x || d.filter || d.gamma_before || d.beta_before;
    const bool wants_products = norm.mean ? wants_input || d.matrix || d.gamma || d.beta || d.share : d.share != nullptr;
    if (!wants_products && !wants_input && !d.matrix) return;
    const Prologue<T> before(ci, in, norm_before.mean, norm_before.rate);
    const Stages<T> stages(t, in, room, z, z != nullptr, nullptr, 0, false);
    const int64_t ldp = stages.ldp, cp = stages.cp, cz = stages.cz;
    std::vector<T> turned, matrix, middle(norm.mean, norm.mean ? norm.mean + co : nullptr);
    middle.resize(co);
    if (in.matrix && wants_products) turned = filled_up(in.matrix, co, ci, true);
    if (in.matrix && wants_input) matrix = filled_up(in.matrix, co, ci, false);
    const T* const mean = middle.data();
    double* const sums = room.sums_of(turn++, 0);
    {
        const Taps<T> taps(in.filter, g, false);
        Padded<T> input(g);
#pragma omp for schedule(static) nowait
        for (int64_t image = 0; image < g.n; image++) {
            stages.make(g, in, before, t.relu, input, taps, turned.data(), wants_products, image);
            const T *const p = stages.p_of(image), *const gradient = dy + image * pixels * ldy;
            std::fill_n(sums + image * co, co, 0.0);
            if (wants_products)
                sum_rows<T>(pixels, co, sums + image * co, [=](int64_t row, int64_t first, int count) {
                    return load(gradient + row * ldy + first, count) *
                           (load(p + row * ldp + first, count) - load(mean + first, count));
                });
        }
    }
    // Also, nobody adds up the term before any more.
#pragma omp barrier
    // dp = scale dy + slope (p - mean) + rest
    const double share = in.share ? *in.share : 1, m = static_cast<double>(g.n * pixels);
    double to_share = 0;
    std::vector<T> scale(co, static_cast<T>(share)), slope(co), rest(co);
    for (int64_t o = 0; wants_products && o < co; o++) {
        double product = 0;
        for (int64_t image = 0; image < g.n; image++) product += sums[image * co + o];
        if (!norm.mean) {
            to_share += product;
            continue;
        }
        const double gamma = in.gamma ? in.gamma[o] : 1, rate = norm.rate[o], factor = share * gamma * rate;
        to_share += product * gamma * rate + (in.beta ? total[o] * in.beta[o] : 0);
        scale[o] = static_cast<T>(factor);
        slope[o] = static_cast<T>(-product * factor * rate * rate / m);
        rest[o] = static_cast<T>(-scale[o] * total[o] / m);
#pragma omp master
        {
            if (d.gamma) d.gamma[o] = static_cast<T>(product * rate * share);
            if (d.beta) d.beta[o] = static_cast<T>(total[o] * share);
        }
    }
#pragma omp master
    if (d.share) *d.share = static_cast<T>(to_share);
    if (!wants_input && !d.matrix) return;
    T* const dw = in.filter ? d.filter : nullptr;
    // What the norm before a filter rescales is not yet what is added.
    T* const dx = norm_before.mean ? room.dx : d.x;
    const int64_t step_dx = norm_before.mean ? room.of_dx : inputs * ci;
    const FilterGradients<T> to{dx, ci, step_dx, add && dx == d.x, dw ? room.taps : nullptr, norm_before.mean ? room.before : nullptr};
    {
        const Taps<T> mirrored(wants_input ? in.filter : nullptr, g, true);
        Workspace<T> work(g);
        T* const dp = scratch<T>(OF_IMAGE, pixels * cp);
        T* const dz = in.matrix ? scratch<T>(OF_DZ, pixels * cz) : dp;
        Geometry of_dz = g;
        of_dz.ldz = in.matrix ? cz : cp;
#pragma omp for schedule(static) nowait
        for (int64_t image = 0; image < g.n; image++) {
            const T *const p = stages.p_of(image), *const gradient = dy + image * pixels * ldy;
            for (int64_t first = 0; first < co; first += Vector<T>::width) {
                const int count = columns_in<T>(co, first);
                const V<T> s = load(scale.data() + first, count), q = load(slope.data() + first, count);
                const V<T> r = load(rest.data() + first, count), centre = load(mean + first, count);
                for (int64_t row = 0; row < pixels; row++) {
                    V<T> value = load(gradient + row * ldy + first, count) * s;
                    if (norm.mean) value += (load(p + row * ldp + first, count) - centre) * q + r;
                    store<T>(dp + row * cp + first, value, Vector<T>::width);
                }
            }
            if (d.matrix)
                outer_rows<T>(pixels, cp, cp, dp, cz, stages.ldz, stages.z_of(image),
                              room.matrices + image * cp * cz);
            if (!wants_input) continue;
            if (in.matrix) multiply_rows<T>(pixels, co, cp, dp, matrix.data(), cz, cz, dz);
            for (int64_t first = 0; first < ci; first += Vector<T>::width)
                filter_item_backward<T>(of_dz, work, in.x, before.scales(), before.shifts(), before.means(), t.relu,
                                        mirrored, dz, to, image, first);
        }
    }
    if (!d.matrix && !dw && !norm_before.mean) return;
#pragma omp barrier
    if (d.matrix) {
#pragma omp for schedule(static) nowait
        for (int64_t o = 0; o < co; o++) {
            std::vector<double> row(ci);
            for (int64_t image = 0; image < g.n; image++)
                for (int64_t i = 0; i < ci; i++) row[i] += room.matrices[(image * cp + o) * cz + i];
            for (int64_t i = 0; i < ci; i++) d.matrix[o * ci + i] = static_cast<T>(row[i]);
        }
    }
    if (dw) {
        const int64_t size = g.k * g.k;
#pragma omp for schedule(static) nowait
        for (int64_t tap = 0; tap < size; tap++) add_up<T>(room.taps, g.n, ci, size, tap, dw + tap, size);
    }
    if (!norm_before.mean) return;
    std::vector<double> plain(ci), product(ci);
    add_up<T>(room.before, g.n, ci, 2, 0, plain.data(), 1);
    add_up<T>(room.before, g.n, ci, 2, 1, product.data(), 1);
    const double values = static_cast<double>(g.n * inputs);
    std::vector<T> slope_x(ci), rest_x(ci);
    for (int64_t i = 0; i < ci; i++) {
        const double rate = norm_before.rate[i], factor = before.scale[i];
        slope_x[i] = static_cast<T>(-factor * rate * rate * product[i] / values);
        rest_x[i] = static_cast<T>(-slope_x[i] * norm_before.mean[i] - factor * plain[i] / values);
#pragma omp master
        {
            if (d.gamma_before) d.gamma_before[i] = static_cast<T>(product[i] * rate);
            if (d.beta_before) d.beta_before[i] = static_cast<T>(plain[i]);
        }
    }
    if (!d.x) return;
#pragma omp for schedule(static) nowait
    for (int64_t image = 0; image < g.n; image++)
        affine_rows<T>(inputs, ci, ci, dx + image * step_dx, g.ldx, in.x + image * inputs * g.ldx,
                       before.scale.data(), slope_x.data(), rest_x.data(), add, ci, d.x + image * inputs * ci);
}

// All gradients of terms. `kept` are as the forward pass left them. Of a source, the first gradient is written and the
// others are added; `there` says which have one.
template <typename T>
void terms_backward(const Term* terms, int64_t count, const Tensors<T>& all, double* moments, const T* dy, int64_t ldy,
                    const double* total, T* const* kept, const Tensors<T>& gradients, int64_t* there, int threads) {
    Room<T> room(terms, count, true);
    std::vector<char> adds;
    for (int64_t i = 0; i < count; i++) {
        adds.push_back(there[terms[i].source] != 0);
        if (gradients.sources[terms[i].source]) there[terms[i].source] = 1;
    }
#pragma omp parallel num_threads(threads)
    for (int64_t i = 0, turn = 0; i < count; i++)
        term_backward<T>(terms[i], turn, Parts<T>(terms[i], all), moments, room, dy + terms[i].first, ldy,
                         total + terms[i].first, kept[i], Parts<T>(terms[i], gradients), adds[i]);
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
    extern "C" void plain_forward_##NAME(const void* plain, T* y) { plain_forward<T>(read<Plain<T>>(plain), y); }     \
    extern "C" void plain_backward_##NAME(const void* plain, const T* dy, double* total, T* const* products,          \
                                          T* const* gradients, const int64_t* pitches, const int64_t* adds) {         \
        plain_backward<T>(read<Plain<T>>(plain), dy, total, products, gradients, pitches, adds);                      \
    }                                                                                                                 \
    extern "C" void terms_forward_##NAME(const void* terms, int64_t count, T* const* sources, T* const* parameters,   \
                                         T* mixing, double* moments, T* y, int64_t ldy, int is_first, T* const* kept, \
                                         int threads) {                                                               \
        terms_forward<T>(static_cast<const Term*>(terms), count, Tensors<T>{sources, parameters, mixing}, moments, y,  \
                         ldy, is_first, kept, threads);                                                               \
    }                                                                                                                 \
    extern "C" void terms_backward_##NAME(const void* terms, int64_t count, T* const* sources, T* const* parameters,  \
                                          T* mixing, double* moments, const T* dy, int64_t ldy, const double* total,  \
                                          T* const* kept, T* const* to_sources, T* const* to_parameters,              \
                                          T* to_mixing, int64_t* there, int threads) {                                \
        terms_backward<T>(static_cast<const Term*>(terms), count, Tensors<T>{sources, parameters, mixing}, moments,   \
                          dy, ldy, total, kept, Tensors<T>{to_sources, to_parameters, to_mixing}, there, threads);    \
    }

EXPORTED(float, f32)
EXPORTED(double, f64)
