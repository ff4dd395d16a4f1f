// A batch norm by itself, in train mode: of all pixels of all images, whose rows are dense.

#pragma once

#include <cmath>

#include "columns.h"

namespace {

constexpr int64_t NORM_ROWS = 1024;  // of an item: what is added up over items does not depend on the number of threads

// The pixels of a norm as rows: those of few channels lie side by side in a row, so that vectors are full.
template <typename T> struct NormRows {
    int64_t channels, pixels, folds, rows, columns;

    NormRows(int64_t pixels, int64_t channels) : channels(channels), pixels(pixels) {
        const int64_t fit = channels < LANES<T> && LANES<T> % channels == 0 ? LANES<T> / channels : 1;
        folds = pixels % fit == 0 ? fit : 1;
        rows = pixels / folds;
        columns = channels * folds;
    }

    int64_t items() const { return (rows + NORM_ROWS - 1) / NORM_ROWS; }

    // Calls `function` with the first row of each item and with how many it has.
    template <typename Function> void each_item(int threads, const Function& function) const {
        const int64_t count = items();
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1 && count > 1)
        for (int64_t item = 0; item < count; item++)
            function(item, item * NORM_ROWS, std::min(NORM_ROWS, rows - item * NORM_ROWS));
    }

    // The sums over pixels of what `value_of(row, first column, how many)` gives, by channel.
    template <typename ValueOf> std::vector<double> sums(int threads, const ValueOf& value_of) const {
        const int64_t width = whole_vectors<T>(columns), own = columns;
        std::vector<double> parts(items() * width, 0.0), total(channels, 0.0);
        double* const to = parts.data();
        each_item(threads, [=, &value_of](int64_t item, int64_t start, int64_t count) {
            sum_rows<T>(count, own, to + item * width, [=, &value_of](int64_t row, int64_t first, int some) {
                return value_of(start + row, first, some);
            });
        });
        for (int64_t item = 0; item < items(); item++)
            for (int64_t i = 0; i < columns; i++) total[i % channels] += parts[item * width + i];
        return total;
    }

    // A number for each column, from one for each channel.
    template <typename ValueOf> std::vector<T> by_column(const ValueOf& value_of) const {
        std::vector<T> values(whole_vectors<T>(columns), T(0));
        for (int64_t i = 0; i < columns; i++) values[i] = static_cast<T>(value_of(i % channels));
        return values;
    }
};

// What a norm has learned, and what follows the batches; null for what it has not.
template <typename T> struct NormState {
    const T *weight, *bias;
    T *running_mean, *running_variance;
    double momentum;
};

// y = (x - mean) / sqrt(variance + eps) [* weight + bias]; mean and rate, 1 / sqrt(variance + eps), are kept for the
// gradients, and the running statistics follow the mean and the unbiased variance.
template <typename T>
void norm_forward(const NormRows<T>& of, const T* x, const NormState<T>& state, double eps, T* y, T* mean, T* rate,
                  int threads) {
    const int64_t columns = of.columns;
    const double count = static_cast<double>(of.pixels);
    const std::vector<double> sums = of.sums(threads, [=](int64_t row, int64_t first, int some) {
        return load(x + row * columns + first, some);
    });
    const std::vector<T> means = of.by_column([&](int64_t i) { return sums[i] / count; });
    const T* const centre = means.data();
    const std::vector<double> squares = of.sums(threads, [=](int64_t row, int64_t first, int some) {
        const V<T> value = load(x + row * columns + first, some) - load(centre + first, some);
        return value * value;
    });
    std::vector<double> scale(of.channels), shift(of.channels);
    for (int64_t i = 0; i < of.channels; i++) {
        const double left = sums[i] / count - static_cast<double>(means[i]);  // by rounding
        const double variance = squares[i] / count - left * left;
        mean[i] = means[i];
        rate[i] = static_cast<T>(1 / std::sqrt(variance + eps));
        scale[i] = (state.weight ? static_cast<double>(state.weight[i]) : 1.0) / std::sqrt(variance + eps);
        shift[i] = (state.bias ? static_cast<double>(state.bias[i]) : 0.0) - left * scale[i];
        if (state.running_mean == nullptr) continue;
        const double unbiased = variance * count / (count - 1);
        state.running_mean[i] += static_cast<T>(state.momentum * (sums[i] / count - state.running_mean[i]));
        state.running_variance[i] += static_cast<T>(state.momentum * (unbiased - state.running_variance[i]));
    }
    const std::vector<T> scales = of.by_column([&](int64_t i) { return scale[i]; });
    const std::vector<T> shifts = of.by_column([&](int64_t i) { return shift[i]; });
    const T *const factor = scales.data(), *const offset = shifts.data();
    of.each_item(threads, [=](int64_t, int64_t start, int64_t rows) {
        for (int64_t first = 0; first < columns; first += LANES<T>) {
            const int some = columns_in<T>(columns, first);
            const V<T> middle = load(centre + first), slope = load(factor + first), level = load(offset + first);
            for (int64_t row = start; row < start + rows; row++) {
                const T* const from = x + row * columns + first;
                store(y + row * columns + first, (load(from, some) - middle) * slope + level, some);
            }
        }
    });
}

// The gradients of a norm: of what it reads, its weight and its bias, each where it is not null.
template <typename T>
void norm_backward(const NormRows<T>& of, const T* dy, const T* x, const T* weight, const T* mean, const T* rate, T* dx,
                   T* dweight, T* dbias, int threads) {
    const int64_t columns = of.columns;
    const double count = static_cast<double>(of.pixels);
    const std::vector<T> means = of.by_column([&](int64_t i) { return mean[i]; });
    const T* const centre = means.data();
    const std::vector<double> sums = of.sums(threads, [=](int64_t row, int64_t first, int some) {
        return load(dy + row * columns + first, some);
    });
    const std::vector<double> products = of.sums(threads, [=](int64_t row, int64_t first, int some) {
        return load(dy + row * columns + first, some) *
               (load(x + row * columns + first, some) - load(centre + first, some));
    });
    for (int64_t i = 0; i < of.channels; i++) {
        if (dweight) dweight[i] = static_cast<T>(products[i] * static_cast<double>(rate[i]));
        if (dbias) dbias[i] = static_cast<T>(sums[i]);
    }
    if (dx == nullptr) return;
    const auto factor = [&](int64_t i) {
        return (weight ? static_cast<double>(weight[i]) : 1.0) * static_cast<double>(rate[i]);
    };
    const std::vector<T> scales = of.by_column(factor);
    const std::vector<T> slopes = of.by_column([&](int64_t i) {
        const double each = static_cast<double>(rate[i]);
        return -factor(i) * each * each * products[i] / count;
    });
    const std::vector<T> shifts = of.by_column([&](int64_t i) { return -factor(i) * sums[i] / count; });
    const T *const scale = scales.data(), *const slope = slopes.data(), *const shift = shifts.data();
    of.each_item(threads, [=](int64_t, int64_t start, int64_t rows) {
        for (int64_t first = 0; first < columns; first += LANES<T>) {
            const int some = columns_in<T>(columns, first);
            const V<T> middle = load(centre + first), a = load(scale + first), b = load(slope + first);
            const V<T> c = load(shift + first);
            for (int64_t row = start; row < start + rows; row++) {
                const int64_t at = row * columns + first;
                store(dx + at, load(dy + at, some) * a + (load(x + at, some) - middle) * b + c, some);
            }
        }
    });
}

}  // namespace
