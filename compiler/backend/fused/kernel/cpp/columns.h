// Sums and scalings of the columns (channels) of the pixels of one image. A row is a pixel; a row begins `pitch` numbers
// after the one before.

#pragma once

#include "vectors.h"

namespace {

constexpr int64_t CHUNK = 128;  // rows that are read while they are in the cache

// to[column * step] = the sum over items of parts[item][vector][which], in double: many parts of one size would lose
// digits. `per_item` is how many parts an item has for each vector of columns.
template <typename T, typename To>
void add_up(const V<T>* parts, int64_t items, int64_t columns, int64_t per_item, int64_t which, To* to, int64_t step) {
    const int64_t vectors = vectors_of<T>(columns);
    for (int64_t vector = 0; vector < vectors; vector++) {
        double sum[LANES<T>] = {};
        for (int64_t item = 0; item < items; item++) {
            const V<T> part = parts[(item * vectors + vector) * per_item + which];
            for (int i = 0; i < LANES<T>; i++) sum[i] += part[i];
        }
        const int64_t first = vector * LANES<T>;
        for (int i = 0; i < columns_in<T>(columns, first); i++) to[(first + i) * step] = static_cast<To>(sum[i]);
    }
}

// Adds to `to` the sums over rows of what `value_of(row, first column, how many)` gives, in double after few rows: an
// error of a mean is the same error in every pixel, in the same direction.
template <typename T, typename ValueOf>
inline void sum_rows(int64_t rows, int64_t columns, double* to, const ValueOf& value_of) {
    constexpr int64_t SOME = 64;
    for (int64_t first = 0; first < columns; first += LANES<T>) {
        const int count = columns_in<T>(columns, first);
        double total[LANES<T>] = {};
        for (int64_t start = 0; start < rows; start += SOME) {
            const int64_t end = std::min(rows, start + SOME);
            V<T> sum[4] = {};
            int64_t row = start;
            for (; row + 4 <= end; row += 4)
                for (int i = 0; i < 4; i++) sum[i] += value_of(row + i, first, count);
            for (; row < end; row++) sum[0] += value_of(row, first, count);
            add_to(total, (sum[0] + sum[1]) + (sum[2] + sum[3]));
        }
        for (int i = 0; i < count; i++) to[first + i] += total[i];
    }
}

// The sums of the columns of x, and those of the squares of x without its mean: E[x^2] - E[x]^2 would cancel.
template <typename T>
void sums_and_squares(int64_t rows, int64_t columns, int64_t pitch, const T* x, double* sums, double* squares) {
    std::fill_n(sums, columns, 0.0);
    std::fill_n(squares, columns, 0.0);
    sum_rows<T>(rows, columns, sums,
                [=](int64_t row, int64_t first, int count) { return load(x + row * pitch + first, count); });
    std::vector<T> means(columns);
    for (int64_t i = 0; i < columns; i++) means[i] = static_cast<T>(sums[i] / static_cast<double>(rows));
    const T* const mean = means.data();
    sum_rows<T>(rows, columns, squares, [=](int64_t row, int64_t first, int count) {
        const V<T> value = load(x + row * pitch + first, count) - load(mean + first, count);
        return value * value;
    });
}

// Rows in memory.
template <typename T> struct Rows {
    T* data;
    int64_t pitch;

    Rows<const T> read() const { return {data, pitch}; }
};

// y = [y +] scale x + shift, column by column.
template <typename T>
void scale_rows(int64_t rows, int64_t columns, Rows<const T> x, const T* scale, const T* shift, bool add, Rows<T> y) {
    for (int64_t first = 0; first < columns; first += LANES<T>) {
        const int count = columns_in<T>(columns, first);
        const V<T> factor = load(scale + first, count), offset = load(shift + first, count);
        for (int64_t row = 0; row < rows; row++) {
            V<T> value = load(x.data + row * x.pitch + first, count) * factor + offset;
            T* const to = y.data + row * y.pitch + first;
            if (add) value += load(to, count);
            store(to, value, count);
        }
    }
}

// The coefficients of a norm's backward pass, by column: the gradient of what it reads is affine in that of what it gives
// and in what it reads.
template <typename T> struct Affine {
    std::vector<T> scale, slope, shift;
};

// y = [y +] scale gradient + slope x + shift, column by column.
template <typename T>
void affine_rows(int64_t rows, int64_t columns, Rows<const T> gradient, Rows<const T> x, const Affine<T>& affine,
                 bool add, Rows<T> y) {
    for (int64_t first = 0; first < columns; first += LANES<T>) {
        const int count = columns_in<T>(columns, first);
        const V<T> scale = load(affine.scale.data() + first, count), slope = load(affine.slope.data() + first, count);
        const V<T> shift = load(affine.shift.data() + first, count);
        for (int64_t row = 0; row < rows; row++) {
            V<T> value = load(gradient.data + row * gradient.pitch + first, count) * scale +
                         load(x.data + row * x.pitch + first, count) * slope + shift;
            T* const to = y.data + row * y.pitch + first;
            if (add) value += load(to, count);
            store(to, value, count);
        }
    }
}

}  // namespace
