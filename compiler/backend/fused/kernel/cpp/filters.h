// Filters: z = w * relu(scale x + shift), a depthwise convolution or a pool; images are channels-last.

#pragma once

#include <limits>

#include "vectors.h"

namespace {

// The numbers are those of `Kind` in filters.py.
enum Kind : int64_t { CONVOLUTION = 0, MAX_POOL = 1, AVG_POOL = 2, AVG_POOL_COUNTING_PADDING = 3 };

// The sizes of a filter's input (images, height, width, channels) and output, and its window of side x side pixels. With
// side 1 there is no window: every stride-th pixel is taken, from `-padding` on. A pool has no weight. A pixel begins
// `pitch` numbers after the one before, so that an image may be some columns of a wider one.
struct Geometry {
    int64_t images, height, width, channels, kind, side, stride, dilation, padding, out_height, out_width;
    int64_t input_pitch, output_pitch;

    int64_t pixels() const { return out_height * out_width; }
    int64_t input_pixels() const { return height * width; }
    int64_t taps() const { return side * side; }
    // The input pixel that output pixel (y, x) takes where there is no window.
    int64_t taken(int64_t y, int64_t x) const { return (y * stride - padding) * width + x * stride - padding; }
};

// What a filter reads: relu(scale x + shift). Without a norm before it `scale` and `shift` are null.
template <typename T> struct FilterInput {
    const T *x, *scale, *shift;
    bool relu;

    const T* image(const Geometry& geometry, int64_t number) const {
        return x + number * geometry.input_pixels() * geometry.input_pitch;
    }
};

// What a thread computes at a time: of one image the vector of columns from `first` on.
struct Item {
    int64_t image, first;
};

// The taps of each vector of columns; mirrored for the gradient of the input.
template <typename T> struct Taps {
    int64_t size;
    std::vector<V<T>> data;

    // `weight` is (channels, side, side), or null; the columns of a pack have its channels again and again.
    Taps(const T* weight, const Geometry& geometry, bool mirrored)
        : Taps(weight, geometry, geometry.channels, mirrored) {}
    Taps(const T* weight, const Geometry& geometry, int64_t channels, bool mirrored) : size(geometry.taps()) {
        if (!weight) return;
        data.resize(vectors_of<T>(geometry.channels) * size);
        T* const to = reinterpret_cast<T*>(data.data());
        for (int64_t i = 0; i < geometry.channels; i++) {
            const int64_t start = i / LANES<T> * size * LANES<T> + i % LANES<T>;
            for (int64_t tap = 0; tap < size; tap++)
                to[start + (mirrored ? size - 1 - tap : tap) * LANES<T>] = weight[i % channels * size + tap];
        }
    }

    const V<T>* of(int64_t first) const { return data.data() + first / LANES<T> * size; }
};

// out(y, x) = sum of taps(ky, kx) * in(y * STRIDE + ky * dilation, x * STRIDE + kx * dilation), handed to `emit`, for
// STEP values of x.
template <typename T, int SIDE, int STRIDE, int STEP, typename Emit>
inline void correlate_step(const V<T>* in, int64_t width, const V<T>* taps, int64_t dilation, int64_t y, int64_t x,
                           const Emit& emit) {
    V<T> sum[STEP] = {};
    for (int ky = 0; ky < SIDE; ky++) {
        const V<T>* row = in + (y * STRIDE + ky * dilation) * width + x * STRIDE;
#pragma GCC unroll 8
        for (int kx = 0; kx < SIDE; kx++) {
            const V<T> tap = taps[ky * SIDE + kx];
            const V<T>* at = row + kx * dilation;
#pragma GCC unroll 16
            for (int i = 0; i < STEP; i++) sum[i] += tap * at[i * STRIDE];
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < STEP; i++) emit(y, x + i, sum[i]);
}

template <typename T, int SIDE, int STRIDE, typename Emit>
inline void correlate_all(const V<T>* in, int64_t width, const V<T>* taps, int64_t dilation, int64_t rows,
                          int64_t columns, const Emit& emit) {
    for (int64_t y = 0; y < rows; y++) {
        int64_t x = 0;
        for (; x + 8 <= columns; x += 8) correlate_step<T, SIDE, STRIDE, 8>(in, width, taps, dilation, y, x, emit);
        for (; x < columns; x++) correlate_step<T, SIDE, STRIDE, 1>(in, width, taps, dilation, y, x, emit);
    }
}

// The same for all rows x columns pixels; `in` is `width` vectors wide.
template <typename T, int STRIDE, typename Emit>
inline void correlate(const V<T>* in, int64_t width, const V<T>* taps, const Geometry& geometry, int64_t rows,
                      int64_t columns, const Emit& emit) {
    if (geometry.side == 3) correlate_all<T, 3, STRIDE>(in, width, taps, geometry.dilation, rows, columns, emit);
    if (geometry.side == 5) correlate_all<T, 5, STRIDE>(in, width, taps, geometry.dilation, rows, columns, emit);
    if (geometry.side == 7) correlate_all<T, 7, STRIDE>(in, width, taps, geometry.dilation, rows, columns, emit);
}

// The padded, activated input of an item: it fits into the cache, and no loop behind it needs a bound or a branch. A
// thread has one of them at a time.
template <typename T> struct PaddedInput {
    int64_t width, height;
    V<T>* data;  // its border stays as it is, its inside is written for every item

    explicit PaddedInput(const Geometry& geometry)
        : width(geometry.width + 2 * geometry.padding), height(geometry.height + 2 * geometry.padding),
          data(scratch_vectors<T>(PADDED_INPUT, geometry.side == 1 ? 0 : width * height)) {
        const int64_t padding = geometry.padding;
        const T outside = geometry.kind == MAX_POOL ? -std::numeric_limits<T>::infinity() : static_cast<T>(0);
        const V<T> border = V<T>{} + outside;
        for (int64_t row = 0; geometry.side > 1 && row < height; row++) {
            V<T>* const to = data + row * width;
            const bool inside = row >= padding && row < geometry.height + padding;
            std::fill_n(to, inside ? padding : width, border);
            if (inside) std::fill_n(to + padding + geometry.width, padding, border);
        }
    }

    void fill(const Geometry& geometry, const FilterInput<T>& input, Item item, int count) {
        const bool scaled = input.scale, relu = input.relu;
        const int64_t padding = geometry.padding, pitch = geometry.input_pitch;
        const V<T> scale = scaled ? load(input.scale + item.first, count) : V<T>{};
        const V<T> shift = scaled ? load(input.shift + item.first, count) : V<T>{};
        const T* const image = input.image(geometry, item.image) + item.first;
        for (int64_t row = 0; row < geometry.height; row++) {
            const T* from = image + row * geometry.width * pitch;
            V<T>* to = data + (row + padding) * width + padding;
            for (int64_t column = 0; column < geometry.width; column++, from += pitch) {
                V<T> value = load(from, count);
                if (scaled) value = value * scale + shift;
                to[column] = relu ? (value > 0 ? value : V<T>{}) : value;
            }
        }
    }
};

// One over the pixels under a pool's window.
template <typename T> inline T one_over_window(const Geometry& geometry, int64_t y, int64_t x) {
    const int64_t side = geometry.side;
    const int64_t top = y * geometry.stride - geometry.padding, left = x * geometry.stride - geometry.padding;
    const int64_t rows = std::min(top + side, geometry.height) - std::max<int64_t>(top, 0);
    const int64_t columns = std::min(left + side, geometry.width) - std::max<int64_t>(left, 0);
    return 1 / static_cast<T>(geometry.kind == AVG_POOL ? rows * columns : side * side);
}

// The largest of each column under a window that begins `at` in an image `width` vectors wide.
template <typename T> inline V<T> largest_in_window(const V<T>* at, int64_t width, int64_t side) {
    V<T> value = at[0];
    for (int64_t ky = 0; ky < side; ky++)
        for (int64_t kx = 0; kx < side; kx++) {
            const V<T> other = at[ky * width + kx];
            value = other > value ? other : value;
        }
    return value;
}

template <typename T, typename Emit>
inline void pool(const Geometry& geometry, const PaddedInput<T>& input, const Emit& emit) {
    for (int64_t y = 0; y < geometry.out_height; y++)
        for (int64_t x = 0; x < geometry.out_width; x++) {
            const V<T>* const at = input.data + y * geometry.stride * input.width + x * geometry.stride;
            if (geometry.kind == MAX_POOL) {
                emit(y, x, largest_in_window<T>(at, input.width, geometry.side));
                continue;
            }
            V<T> value = {};
            for (int64_t ky = 0; ky < geometry.side; ky++)
                for (int64_t kx = 0; kx < geometry.side; kx++) value += at[ky * input.width + kx];
            value *= one_over_window<T>(geometry, y, x);
            emit(y, x, value);
        }
}

// Some vectors of columns of an image without a window: nothing has to be padded, and pixels are read one after the other.
template <typename T>
void take(const Geometry& geometry, const FilterInput<T>& input, T* output, int64_t out_columns, Item item,
          int64_t vectors) {
    const T* const image = input.image(geometry, item.image);
    const T *const scale = input.scale, *const shift = input.shift;
    const int64_t first = item.first, end = first + vectors * LANES<T>;
    dispatch_bools(
        [=, &geometry](auto scaled, auto relu) {
            for (int64_t y = 0; y < geometry.out_height; y++)
                for (int64_t x = 0; x < geometry.out_width; x++) {
                    const T* const from = image + geometry.taken(y, x) * geometry.input_pitch;
                    T* const to = output + (y * geometry.out_width + x) * geometry.output_pitch;
                    for (int64_t column = first; column < end; column += LANES<T>) {
                        const int count = columns_in<T>(geometry.channels, column);
                        V<T> value = load(from + column, count);
                        if (scaled) value = value * load(scale + column, count) + load(shift + column, count);
                        if (relu) value = value > 0 ? value : V<T>{};
                        store(to + column, value, columns_in<T>(out_columns, column));
                    }
                }
        },
        scale != nullptr, input.relu);
}

// One item of z = w * relu(scale x + shift). `output` is that image's z, (out_height out_width, out_columns): columns that
// x has not are zero.
template <typename T>
void filter_item(const Geometry& geometry, PaddedInput<T>& padded, const Taps<T>& taps, const FilterInput<T>& input,
                 T* output, int64_t out_columns, Item item) {
    if (geometry.side == 1) return take<T>(geometry, input, output, out_columns, item, 1);
    const int wide = columns_in<T>(out_columns, item.first);
    padded.fill(geometry, input, item, columns_in<T>(geometry.channels, item.first));
    // Copies: what is captured by reference would be read again behind every store.
    T* const to = output + item.first;
    const int64_t out_width = geometry.out_width, pitch = geometry.output_pitch;
    dispatch_bools(
        [&](auto is_whole) {
            const auto emit = [=](int64_t y, int64_t x, V<T> value) {
                store(to + (y * out_width + x) * pitch, value, is_whole ? LANES<T> : wide);
            };
            if (geometry.kind != CONVOLUTION) return pool<T>(geometry, padded, emit);
            const V<T>* const in = padded.data;
            const int64_t rows = geometry.out_height;
            if (geometry.stride == 1)
                correlate<T, 1>(in, padded.width, taps.of(item.first), geometry, rows, out_width, emit);
            if (geometry.stride == 2)
                correlate<T, 2>(in, padded.width, taps.of(item.first), geometry, rows, out_width, emit);
        },
        wide == LANES<T>);
}

// z = w * relu(scale x + shift) of all images.
template <typename T>
void filter_forward(const Geometry& geometry, const FilterInput<T>& input, const T* weight, T* output, int threads) {
    const int64_t vectors = vectors_of<T>(geometry.channels);
    const Taps<T> taps(weight, geometry, false);
#pragma omp parallel num_threads(threads)
    {
        PaddedInput<T> padded(geometry);
#pragma omp for schedule(static)
        for (int64_t number = 0; number < geometry.images * vectors; number++) {
            const Item item{number / vectors, number % vectors * LANES<T>};
            filter_item<T>(geometry, padded, taps, input,
                           output + item.image * geometry.pixels() * geometry.output_pitch, geometry.channels, item);
        }
    }
}

}  // namespace
