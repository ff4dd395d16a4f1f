// Depthwise convolution of channels-last images, with what stands before it: b = relu(scale * x + shift), z = w * b.
//
// One work item is one image and one block of channels, as many as a vector holds. Its input is gathered once, activated,
// into a padded scratch image that fits into the cache; every loop behind that is free of bounds and of branches. Sums over
// images are kept an image each and added in order, so that results do not depend on the number of threads.
//
// Built by kernel.py with whatever C++ compiler is there; plain pointers, so that no header of torch is needed.

#include <cstdint>
#include <cstring>
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

struct Geometry {
    int64_t n, h, w, c, k, stride, dilation, pad, ho, wo;
};

template <typename T> struct Block {
    using V = typename Vector<T>::type;
    static constexpr int width = Vector<T>::width;

    static V load(const T* from, int count) {
        V value = {};
        if (count == width)
            std::memcpy(&value, from, sizeof(V));
        else
            for (int i = 0; i < count; i++) value[i] = from[i];
        return value;
    }
    static void store(T* to, V value, int count) {
        if (count == width)
            std::memcpy(to, &value, sizeof(V));
        else
            for (int i = 0; i < count; i++) to[i] = value[i];
    }
    static V positive(V value) { return value > 0 ? value : V{}; }
};

// The taps of a block of channels, as vectors; mirrored for the gradient of the input.
template <typename T>
void gather_taps(const T* w, int64_t first, int count, int64_t taps, bool mirrored, typename Vector<T>::type* to) {
    for (int64_t tap = 0; tap < taps; tap++) {
        typename Vector<T>::type value = {};
        for (int i = 0; i < count; i++) value[i] = w[(first + i) * taps + tap];
        to[mirrored ? taps - 1 - tap : tap] = value;
    }
}

// out(y, x) = sum of taps(ky, kx) * in(y * stride + ky * dilation, x * stride + kx * dilation), handed to `emit`.
template <typename T, int STEP, typename Emit>
void correlate_step(const typename Vector<T>::type* in, int64_t width, const typename Vector<T>::type* taps,
                    const Geometry& g, int64_t stride, int64_t y, int64_t x, const Emit& emit) {
    using V = typename Vector<T>::type;
    V sum[STEP] = {};
    for (int64_t ky = 0; ky < g.k; ky++) {
        const V* row = in + (y * stride + ky * g.dilation) * width + x * stride;
        for (int64_t kx = 0; kx < g.k; kx++) {
            const V tap = taps[ky * g.k + kx];
            const V* at = row + kx * g.dilation;
            for (int i = 0; i < STEP; i++) sum[i] += tap * at[i * stride];
        }
    }
    for (int i = 0; i < STEP; i++) emit(y, x + i, sum[i]);
}

template <typename T, typename Emit>
void correlate(const typename Vector<T>::type* in, int64_t width, const typename Vector<T>::type* taps,
               const Geometry& g, int64_t stride, int64_t rows, int64_t columns, const Emit& emit) {
    for (int64_t y = 0; y < rows; y++) {
        int64_t x = 0;
        for (; x + 8 <= columns; x += 8) correlate_step<T, 8>(in, width, taps, g, stride, y, x, emit);
        for (; x + 4 <= columns; x += 4) correlate_step<T, 4>(in, width, taps, g, stride, y, x, emit);
        for (; x < columns; x++) correlate_step<T, 1>(in, width, taps, g, stride, y, x, emit);
    }
}

// The padded, activated input of one image and block of channels.
template <typename T> struct Padded {
    using V = typename Vector<T>::type;
    std::vector<V> data;
    int64_t width = 0;

    void fill(const Geometry& g, const T* x, const T* scale, const T* shift, bool relu, int64_t image, int64_t first,
              int count) {
        width = g.w + 2 * g.pad;
        data.assign((g.h + 2 * g.pad) * width, V{});
        const V s = scale ? Block<T>::load(scale + first, count) : V{};
        const V t = scale ? Block<T>::load(shift + first, count) : V{};
        for (int64_t row = 0; row < g.h; row++) {
            const T* from = x + ((image * g.h + row) * g.w) * g.c + first;
            V* to = data.data() + (row + g.pad) * width + g.pad;
            for (int64_t column = 0; column < g.w; column++, from += g.c) {
                V value = Block<T>::load(from, count);
                if (scale) value = value * s + t;
                to[column] = relu ? Block<T>::positive(value) : value;
            }
        }
    }
};

template <typename T>
void forward(const Geometry& g, const T* x, const T* scale, const T* shift, int relu, const T* w, T* z, int threads) {
    using V = typename Vector<T>::type;
    constexpr int width = Vector<T>::width;
    const int64_t blocks = (g.c + width - 1) / width, taps = g.k * g.k;
#pragma omp parallel num_threads(threads)
    {
        Padded<T> input;
        std::vector<V> weights(taps);
#pragma omp for schedule(static)
        for (int64_t item = 0; item < g.n * blocks; item++) {
            const int64_t image = item / blocks, first = item % blocks * width;
            const int count = static_cast<int>(g.c - first < width ? g.c - first : width);
            input.fill(g, x, scale, shift, relu, image, first, count);
            gather_taps<T>(w, first, count, taps, false, weights.data());
            T* to = z + image * g.ho * g.wo * g.c + first;
            correlate<T>(input.data.data(), input.width, weights.data(), g, g.stride, g.ho, g.wo,
                         [&](int64_t y, int64_t xx, V value) {
                             Block<T>::store(to + (y * g.wo + xx) * g.c, value, count);
                         });
        }
    }
}

// The gradients of the taps of one item: sums[ky][kx] += in(y * stride + ky * dilation, ...) * dz(y, x).
template <typename T, int K>
void tap_gradients(const Geometry& g, const typename Vector<T>::type* in, int64_t width,
                   const typename Vector<T>::type* dz, int64_t dz_row, int64_t dz_step, typename Vector<T>::type* sums) {
    using V = typename Vector<T>::type;
    for (int64_t ky = 0; ky < K; ky++) {
        V sum[K] = {};
        for (int64_t y = 0; y < g.ho; y++) {
            const V* row = in + (y * g.stride + ky * g.dilation) * width;
            const V* gradient = dz + y * dz_row;
            for (int64_t x = 0; x < g.wo; x++) {
                const V value = gradient[x * dz_step];
                for (int64_t kx = 0; kx < K; kx++) sum[kx] += value * row[x * g.stride + kx * g.dilation];
            }
        }
        for (int64_t kx = 0; kx < K; kx++) sums[ky * K + kx] = sum[kx];
    }
}

// dx gets the gradient before the scale (added where `add`), dw the taps', and for a scaled input `sums` the sums of
// that gradient and of its product with x - center, channel by channel. dw and sums may be null.
template <typename T>
void backward(const Geometry& g, const T* x, const T* scale, const T* shift, const T* center, int relu, const T* w,
              const T* dz, T* dx, int add, T* dw, T* sums, int threads) {
    using V = typename Vector<T>::type;
    constexpr int width = Vector<T>::width;
    const int64_t blocks = (g.c + width - 1) / width, taps = g.k * g.k;
    const int64_t border = (g.k - 1) * g.dilation - g.pad;
    const int64_t wide = g.w + (g.k - 1) * g.dilation, high = g.h + (g.k - 1) * g.dilation;
    std::vector<V> every(dw ? g.n * blocks * taps : 0), totals(sums ? g.n * blocks * 2 : 0);
#pragma omp parallel num_threads(threads)
    {
        Padded<T> input;
        std::vector<V> weights(taps), gradient;
#pragma omp for schedule(static)
        for (int64_t item = 0; item < g.n * blocks; item++) {
            const int64_t image = item / blocks, first = item % blocks * width;
            const int count = static_cast<int>(g.c - first < width ? g.c - first : width);
            input.fill(g, x, scale, shift, relu, image, first, count);
            gradient.assign(high * wide, V{});
            for (int64_t y = 0; y < g.ho; y++) {
                const T* from = dz + ((image * g.ho + y) * g.wo) * g.c + first;
                V* to = gradient.data() + (y * g.stride + border) * wide + border;
                for (int64_t xx = 0; xx < g.wo; xx++, from += g.c) to[xx * g.stride] = Block<T>::load(from, count);
            }
            if (dw) {
                const V* start = gradient.data() + border * wide + border;
                V* to = every.data() + item * taps;
                const int64_t row = g.stride * wide, step = g.stride;
                if (g.k == 3) tap_gradients<T, 3>(g, input.data.data(), input.width, start, row, step, to);
                if (g.k == 5) tap_gradients<T, 5>(g, input.data.data(), input.width, start, row, step, to);
                if (g.k == 7) tap_gradients<T, 7>(g, input.data.data(), input.width, start, row, step, to);
            }
            if (dx) {
                gather_taps<T>(w, first, count, taps, true, weights.data());
                V plain = {}, product = {};
                const V middle = sums ? Block<T>::load(center + first, count) : V{};
                const int64_t start = image * g.h * g.w * g.c + first;
                correlate<T>(gradient.data(), wide, weights.data(), g, 1, g.h, g.w, [&](int64_t y, int64_t xx, V value) {
                    const int64_t at = start + (y * g.w + xx) * g.c;
                    if (relu) value = input.data[(y + g.pad) * input.width + xx + g.pad] > 0 ? value : V{};
                    if (sums) {
                        plain += value;
                        product += value * (Block<T>::load(x + at, count) - middle);
                    }
                    if (add) value += Block<T>::load(dx + at, count);
                    Block<T>::store(dx + at, value, count);
                });
                if (sums) {
                    totals[item * 2] = plain;
                    totals[item * 2 + 1] = product;
                }
            }
        }
    }
    for (int64_t block = 0; block < blocks; block++) {
        const int64_t first = block * width;
        const int count = static_cast<int>(g.c - first < width ? g.c - first : width);
        for (int64_t tap = 0; dw && tap < taps; tap++) {
            V sum = {};
            for (int64_t image = 0; image < g.n; image++) sum += every[(image * blocks + block) * taps + tap];
            for (int i = 0; i < count; i++) dw[(first + i) * taps + tap] = sum[i];
        }
        for (int64_t which = 0; sums && which < 2; which++) {
            V sum = {};
            for (int64_t image = 0; image < g.n; image++) sum += totals[(image * blocks + block) * 2 + which];
            for (int i = 0; i < count; i++) sums[which * g.c + first + i] = sum[i];
        }
    }
}

}  // namespace

#define EXPORTED(T, SUFFIX)                                                                                           \
    extern "C" void depthwise_forward_##SUFFIX(const int64_t* sizes, const T* x, const T* scale, const T* shift,      \
                                               int relu, const T* w, T* z, int threads) {                             \
        Geometry g;                                                                                                   \
        std::memcpy(&g, sizes, sizeof(Geometry));                                                                     \
        forward<T>(g, x, scale, shift, relu, w, z, threads);                                                          \
    }                                                                                                                 \
    extern "C" void depthwise_backward_##SUFFIX(const int64_t* sizes, const T* x, const T* scale, const T* shift,     \
                                                const T* center, int relu, const T* w, const T* dz, T* dx, int add,   \
                                                T* dw, T* sums, int threads) {                                        \
        Geometry g;                                                                                                   \
        std::memcpy(&g, sizes, sizeof(Geometry));                                                                     \
        backward<T>(g, x, scale, shift, center, relu, w, dz, dx, add, dw, sums, threads);                             \
    }

EXPORTED(float, f32)
EXPORTED(double, f64)
