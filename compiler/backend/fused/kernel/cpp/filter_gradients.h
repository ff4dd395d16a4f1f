// The gradients of filters.h: those of the taps, of scale x + shift, and what the norm before a filter needs of the latter.

#pragma once

#include "columns.h"
#include "filters.h"

namespace {

// Where the gradients of a filter go. All pointers may be null.
template <typename T> struct FilterGradients {
    T* input;                     // of scale x + shift, added where `add`
    int64_t pitch, image_stride;  // of `input`: numbers from pixel to pixel, and from image to image
    bool add;
    V<T>* taps;     // of each item's taps
    V<T>* sums;     // of each item: the sum of its input gradient, and of the product of that with x - center
    const T* center;  // by column; read for `sums` only

    T* image(int64_t number) const { return input + number * image_stride; }
};

// What a thread needs for the gradients of an item.
template <typename T> struct GradientBuffers {
    int64_t border, width, size;
    PaddedInput<T> input;
    V<T>* gradient;  // between strides and at the border it stays zero; for a pool, as wide as the input

    explicit GradientBuffers(const Geometry& geometry)
        : border(reach(geometry) - geometry.padding), width(geometry.width + reach(geometry)),
          size((geometry.height + reach(geometry)) * width), input(geometry) {
        if (geometry.kind != CONVOLUTION) size = input.width * input.height;
        if (geometry.side == 1) size = 0;
        gradient = scratch_vectors<T>(PADDED_GRADIENT, size);
        std::fill_n(gradient, size, V<T>{});
    }

    // How many pixels a window is longer than one pixel.
    static int64_t reach(const Geometry& geometry) { return (geometry.side - 1) * geometry.dilation; }
};

// The gradients of the taps of one item: sums[ky][kx] = sum of in(y * STRIDE + ky * dilation, ...) * gradient(y, x), in
// several sums each, so that no addition waits for the one before. Pixels of the gradient lie STRIDE apart.
template <typename T, int SIDE, int STRIDE>
void tap_gradients_of(const Geometry& geometry, const PaddedInput<T>& input, const V<T>* gradient, int64_t gradient_row,
                      V<T>* sums) {
    constexpr int ALONG = SIDE == 3 ? 4 : 2;
    for (int64_t ky = 0; ky < SIDE; ky++) {
        V<T> sum[ALONG][SIDE] = {};
        for (int64_t y = 0; y < geometry.out_height; y++) {
            const V<T>* row = input.data + (y * STRIDE + ky * geometry.dilation) * input.width;
            const V<T>* from = gradient + y * gradient_row;
            int64_t x = 0;
            for (; x + ALONG <= geometry.out_width; x += ALONG)
                for (int i = 0; i < ALONG; i++) {
                    const V<T> value = from[(x + i) * STRIDE];
                    for (int64_t kx = 0; kx < SIDE; kx++)
                        sum[i][kx] += value * row[(x + i) * STRIDE + kx * geometry.dilation];
                }
            for (; x < geometry.out_width; x++)
                for (int64_t kx = 0; kx < SIDE; kx++)
                    sum[0][kx] += from[x * STRIDE] * row[x * STRIDE + kx * geometry.dilation];
        }
        for (int64_t kx = 0; kx < SIDE; kx++) {
            V<T> total = sum[0][kx];
            for (int i = 1; i < ALONG; i++) total += sum[i][kx];
            sums[ky * SIDE + kx] = total;
        }
    }
}

template <typename T, int SIDE>
void tap_gradients(const Geometry& geometry, const PaddedInput<T>& input, const V<T>* gradient, int64_t gradient_row,
                   V<T>* sums) {
    if (geometry.stride == 1) tap_gradients_of<T, SIDE, 1>(geometry, input, gradient, gradient_row, sums);
    if (geometry.stride == 2) tap_gradients_of<T, SIDE, 2>(geometry, input, gradient, gradient_row, sums);
}

// The gradient of a pool's input, added up in `to`, as wide as the padded input: the first of equal values takes a
// maximum's gradient. `output` is that image's gradient of z.
template <typename T>
void pool_backward(const Geometry& geometry, const PaddedInput<T>& input, const T* output, Item item, int count,
                   V<T>* to) {
    const int64_t side = geometry.side, width = input.width;
    for (int64_t y = 0; y < geometry.out_height; y++)
        for (int64_t x = 0; x < geometry.out_width; x++) {
            const int64_t start = y * geometry.stride * width + x * geometry.stride;
            V<T> gradient = load(output + (y * geometry.out_width + x) * geometry.output_pitch + item.first, count);
            if (geometry.kind == MAX_POOL) {
                const V<T>* const at = input.data + start;
                const V<T> value = largest_in_window<T>(at, width, side);
                for (int64_t ky = 0; ky < side; ky++)
                    for (int64_t kx = 0; kx < side; kx++) {
                        const int64_t place = ky * width + kx;
                        const V<T> part = at[place] == value ? gradient : V<T>{};
                        to[start + place] += part;
                        gradient -= part;  // what is given away is not given twice
                    }
            } else {
                gradient *= one_over_window<T>(geometry, y, x);
                for (int64_t ky = 0; ky < side; ky++)
                    for (int64_t kx = 0; kx < side; kx++) to[start + ky * width + kx] += gradient;
            }
        }
}

// The index of an item among all.
template <typename T> inline int64_t number_of(const Geometry& geometry, Item item) {
    return item.image * vectors_of<T>(geometry.channels) + item.first / LANES<T>;
}

// Some vectors of columns of an image without a window: the gradient goes through the activation as it is.
template <typename T>
void take_backward(const Geometry& geometry, const FilterInput<T>& input, const T* output, const FilterGradients<T>& to,
                   Item item, int64_t vectors) {
    if (!to.input) return;
    const T *const source = input.image(geometry, item.image), *const center = to.center;
    const T *const scale = input.scale, *const shift = input.shift;
    T* const target = to.image(item.image);
    V<T>* const sums = to.sums ? to.sums + number_of<T>(geometry, item) * 2 : nullptr;
    const int64_t first = item.first, end = first + vectors * LANES<T>, pitch = to.pitch;
    if (!to.add && geometry.pixels() != geometry.input_pixels())
        for (int64_t pixel = 0; pixel < geometry.input_pixels(); pixel++)
            for (int64_t column = first; column < end; column += LANES<T>)
                store(target + pixel * pitch + column, V<T>{}, columns_in<T>(geometry.channels, column));
    if (sums) std::fill_n(sums, 2 * vectors, V<T>{});
    dispatch_bools(
        [=, &geometry](auto scaled, auto relu, auto has_sums, auto add) {
            for (int64_t y = 0; y < geometry.out_height; y++)
                for (int64_t x = 0; x < geometry.out_width; x++) {
                    const int64_t pixel = geometry.taken(y, x);
                    const T* const from = source + pixel * geometry.input_pitch;
                    const T* const gradient = output + (y * geometry.out_width + x) * geometry.output_pitch;
                    T* const at = target + pixel * pitch;
                    for (int64_t column = first; column < end; column += LANES<T>) {
                        const int count = columns_in<T>(geometry.channels, column);
                        V<T> value = load(gradient + column, count);
                        if (relu || has_sums) {
                            const V<T> read = load(from + column, count);
                            V<T> active = read;
                            if (scaled) active = read * load(scale + column, count) + load(shift + column, count);
                            if (relu) value = active > 0 ? value : V<T>{};
                            if (has_sums) {
                                V<T>* const sum = sums + (column - first) / LANES<T> * 2;
                                sum[0] += value;
                                sum[1] += value * (read - load(center + column, count));
                            }
                        }
                        if (add) value += load(at + column, count);
                        store(at + column, value, count);
                    }
                }
        },
        scale != nullptr, input.relu, sums != nullptr, to.add);
}

// One item of a pool, before which stands neither norm nor ReLU, and whose input gradient is wanted.
template <typename T>
void pool_item_backward(const Geometry& geometry, GradientBuffers<T>& buffers, const T* output,
                        const FilterGradients<T>& to, Item item) {
    const int count = columns_in<T>(geometry.channels, item.first);
    const int64_t padding = geometry.padding;
    std::fill_n(buffers.gradient, buffers.size, V<T>{});
    pool_backward<T>(geometry, buffers.input, output, item, count, buffers.gradient);
    for (int64_t pixel = 0; pixel < geometry.input_pixels(); pixel++) {
        T* const at = to.image(item.image) + pixel * to.pitch + item.first;
        const int64_t y = pixel / geometry.width, x = pixel % geometry.width;
        V<T> value = buffers.gradient[(y + padding) * buffers.input.width + x + padding];
        if (to.add) value += load(at, count);
        store(at, value, count);
    }
}

// The input gradient of one item of a convolution: its output's, between zeros, correlated with the mirrored taps.
template <typename T>
void convolution_input_gradient(const Geometry& geometry, const GradientBuffers<T>& buffers, const FilterInput<T>& input,
                                const V<T>* mirrored, const FilterGradients<T>& gradients, Item item) {
    const int count = columns_in<T>(geometry.channels, item.first);
    V<T> plain = {}, product = {};
    const V<T> center = gradients.sums ? load(gradients.center + item.first, count) : V<T>{};
    const int64_t width = geometry.width, input_pitch = geometry.input_pitch, pitch = gradients.pitch;
    const int64_t padded = buffers.input.width;
    T* const to = gradients.image(item.image) + item.first;
    const T* const from = input.image(geometry, item.image) + item.first;
    const V<T>* const active = buffers.input.data + geometry.padding * padded + geometry.padding;
    const auto run = [&](auto is_active, auto adds, auto sums, auto columns) {
        correlate<T, 1>(buffers.gradient, buffers.width, mirrored, geometry, geometry.height, geometry.width,
                        [=, &plain, &product](int64_t y, int64_t x, V<T> value) {
                            const int64_t pixel = y * width + x;
                            if (is_active) value = active[y * padded + x] > 0 ? value : V<T>{};
                            if (sums) {
                                plain += value;
                                product += value * (load(from + pixel * input_pitch, columns) - center);
                            }
                            if (adds) value += load(to + pixel * pitch, columns);
                            store(to + pixel * pitch, value, columns);
                        });
    };
    // Whole vectors are compiled for each case, so that nothing is asked per pixel.
    const std::integral_constant<int, LANES<T>> whole;
    if (count < whole)
        run(input.relu, gradients.add, gradients.sums != nullptr, count);
    else
        dispatch_bools([&](auto... flags) { run(flags..., whole); }, input.relu, gradients.add,
                       gradients.sums != nullptr);
    if (!gradients.sums) return;
    gradients.sums[number_of<T>(geometry, item) * 2] = plain;
    gradients.sums[number_of<T>(geometry, item) * 2 + 1] = product;
}

// The gradients of one item. `output` is that image's gradient of z, (out_height out_width, channels).
template <typename T>
void filter_item_backward(const Geometry& geometry, GradientBuffers<T>& buffers, const FilterInput<T>& input,
                          const Taps<T>& mirrored, const T* output, const FilterGradients<T>& to, Item item) {
    if (geometry.side == 1) return take_backward<T>(geometry, input, output, to, item, 1);
    const int count = columns_in<T>(geometry.channels, item.first);
    buffers.input.fill(geometry, input, item, count);
    if (geometry.kind != CONVOLUTION) return pool_item_backward<T>(geometry, buffers, output, to, item);
    V<T>* const start = buffers.gradient + buffers.border * buffers.width + buffers.border;
    const int64_t row = geometry.stride * buffers.width;
    for (int64_t y = 0; y < geometry.out_height; y++) {
        const T* from = output + y * geometry.out_width * geometry.output_pitch + item.first;
        V<T>* at = start + y * row;
        for (int64_t x = 0; x < geometry.out_width; x++, from += geometry.output_pitch)
            at[x * geometry.stride] = load(from, count);
    }
    if (to.taps) {
        V<T>* const taps = to.taps + number_of<T>(geometry, item) * geometry.taps();
        if (geometry.side == 3) tap_gradients<T, 3>(geometry, buffers.input, start, row, taps);
        if (geometry.side == 5) tap_gradients<T, 5>(geometry, buffers.input, start, row, taps);
        if (geometry.side == 7) tap_gradients<T, 7>(geometry, buffers.input, start, row, taps);
    }
    if (to.input) convolution_input_gradient<T>(geometry, buffers, input, mirrored.of(item.first), to, item);
}

// The gradients of all images. `weight_gradient` is as the weight, `sums` (2, channels) is FilterGradients::sums of all
// items; either may be null.
template <typename T>
void filter_backward(const Geometry& geometry, const FilterInput<T>& input, const T* weight, const T* output,
                     FilterGradients<T> to, T* weight_gradient, T* sums, int threads) {
    const int64_t vectors = vectors_of<T>(geometry.channels), items = geometry.images * vectors, taps = geometry.taps();
    std::vector<V<T>> item_sums(sums ? items * 2 : 0);
    to.taps = weight_gradient ? scratch_vectors<T>(TAP_GRADIENTS, items * taps) : nullptr;
    to.sums = sums ? item_sums.data() : nullptr;
    const Taps<T> mirrored(weight, geometry, true);
#pragma omp parallel num_threads(threads)
    {
        GradientBuffers<T> buffers(geometry);
#pragma omp for schedule(static)
        for (int64_t number = 0; number < items; number++) {
            const Item item{number / vectors, number % vectors * LANES<T>};
            filter_item_backward<T>(geometry, buffers, input, mirrored,
                                    output + item.image * geometry.pixels() * geometry.output_pitch, to, item);
        }
    }
    const int64_t images = geometry.images, channels = geometry.channels;
    for (int64_t tap = 0; weight_gradient && tap < taps; tap++)
        add_up<T>(to.taps, images, channels, taps, tap, weight_gradient + tap, taps);
    for (int64_t which = 0; sums && which < 2; which++)
        add_up<T>(to.sums, images, channels, 2, which, sums + which * channels, 1);
}

}  // namespace
