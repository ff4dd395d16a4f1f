// Products of matrices with the pixels of one image. A row is a pixel; widths are whole vectors.

#pragma once

#include "columns.h"

namespace {

// total[i][j] += sum over rows of left[row][i] right[row][j], for BLOCKS vectors of j.
template <typename T, int BLOCKS>
void outer_tile(int64_t rows, int64_t height, Rows<const T> left, Rows<const T> right, Rows<T> total) {
    constexpr int TILE = BLOCKS == 1 ? LANES<T> : BLOCKS == 2 ? 8 : 4;
    static_assert(LANES<T> % TILE == 0, "tiles of rows of the total fill whole vectors");
    for (int64_t tile = 0; tile < height; tile += TILE) {
        V<T> sum[TILE][BLOCKS] = {};
        for (int64_t row = 0; row < rows; row++) {
            const T* const scalars = left.data + row * left.pitch + tile;
            const T* const at = right.data + row * right.pitch;
            for (int j = 0; j < BLOCKS; j++) {
                const V<T> vector = load(at + j * LANES<T>);
                for (int i = 0; i < TILE; i++) sum[i][j] += scalars[i] * vector;
            }
        }
        for (int i = 0; i < TILE; i++)
            for (int j = 0; j < BLOCKS; j++) {
                T* const to = total.data + (tile + i) * total.pitch + j * LANES<T>;
                store<T>(to, load(to) + sum[i][j], LANES<T>);
            }
    }
}

// total = left' right, (height, width), summed over rows.
template <typename T>
void outer_rows(int64_t rows, int64_t height, Rows<const T> left, int64_t width, Rows<const T> right, T* total) {
    const int64_t vectors = width / LANES<T>;
    std::fill_n(total, height * width, static_cast<T>(0));
    for (int64_t start = 0; start < rows; start += CHUNK) {
        const int64_t some = std::min(rows - start, CHUNK);
        const Rows<const T> a{left.data + start * left.pitch, left.pitch};
        const T* const b = right.data + start * right.pitch;
        const auto tile = [&](auto blocks, int64_t j) {
            outer_tile<T, blocks>(some, height, a, {b + j * LANES<T>, right.pitch}, {total + j * LANES<T>, width});
        };
        int64_t j = 0;
        for (; j + 4 <= vectors; j += 4) tile(std::integral_constant<int, 4>{}, j);
        for (; j + 2 <= vectors; j += 2) tile(std::integral_constant<int, 2>{}, j);
        for (; j < vectors; j++) tile(std::integral_constant<int, 1>{}, j);
    }
}

// sum += x A for STEP of the rows of A, ROWS rows of x and BLOCKS vectors.
template <typename T, int BLOCKS, int ROWS, int STEP>
inline void multiply_step(Rows<const T> x, Rows<const T> matrix, V<T> (&sum)[ROWS][BLOCKS]) {
    V<T> part[STEP][BLOCKS];
    for (int i = 0; i < STEP; i++)
        for (int j = 0; j < BLOCKS; j++) part[i][j] = load(matrix.data + i * matrix.pitch + j * LANES<T>);
    const T* row = x.data;
    for (int r = 0; r < ROWS; r++, row += x.pitch)
        for (int i = 0; i < STEP; i++)
            for (int j = 0; j < BLOCKS; j++) sum[r][j] += row[i] * part[i][j];
}

// ROWS rows and BLOCKS vectors of out = x A, A of `height` rows.
template <typename T, int BLOCKS, int ROWS>
inline void multiply_tile(int64_t height, Rows<const T> x, Rows<const T> matrix, Rows<T> out) {
    constexpr int STEP = 4 / BLOCKS;
    static_assert(STEP * BLOCKS == 4, "a step reads four vectors of the matrix");
    V<T> sum[ROWS][BLOCKS] = {};
    const auto step = [&](auto steps, int64_t i) {
        multiply_step<T, BLOCKS, ROWS, steps>({x.data + i, x.pitch}, {matrix.data + i * matrix.pitch, matrix.pitch},
                                              sum);
    };
    int64_t i = 0;
    for (; i + STEP <= height; i += STEP) step(std::integral_constant<int, STEP>{}, i);
    for (; i < height; i++) step(std::integral_constant<int, 1>{}, i);
    for (int r = 0; r < ROWS; r++)
        for (int j = 0; j < BLOCKS; j++) store<T>(out.data + r * out.pitch + j * LANES<T>, sum[r][j], LANES<T>);
}

template <typename T, int BLOCKS, int ROWS>
void multiply_columns(int64_t rows, int64_t height, Rows<const T> x, Rows<const T> matrix, Rows<T> out) {
    const auto from = [&](int64_t row) { return Rows<const T>{x.data + row * x.pitch, x.pitch}; };
    const auto to = [&](int64_t row) { return Rows<T>{out.data + row * out.pitch, out.pitch}; };
    int64_t row = 0;
    for (; row + ROWS <= rows; row += ROWS) multiply_tile<T, BLOCKS, ROWS>(height, from(row), matrix, to(row));
    for (; row < rows; row++) multiply_tile<T, BLOCKS, 1>(height, from(row), matrix, to(row));
}

// out = x A for rows of `height` numbers; A is (height, width).
template <typename T>
void multiply_rows(int64_t rows, int64_t height, Rows<const T> x, int64_t width, const T* matrix, Rows<T> out) {
    const int64_t vectors = width / LANES<T>;
    const auto columns = [&](auto blocks, auto tall, int64_t j) {
        multiply_columns<T, blocks, tall>(rows, height, x, {matrix + j * LANES<T>, width},
                                          {out.data + j * LANES<T>, out.pitch});
    };
    int64_t j = 0;
    for (; j + 2 <= vectors; j += 2) columns(std::integral_constant<int, 2>{}, std::integral_constant<int, 8>{}, j);
    if (j < vectors) columns(std::integral_constant<int, 1>{}, std::integral_constant<int, 16>{}, j);
}

// A matrix (height, width) filled up with zeros to whole vectors of columns; its transpose where `transposed`.
template <typename T>
std::vector<T> padded_matrix(const T* matrix, int64_t height, int64_t width, bool transposed) {
    const int64_t columns = whole_vectors<T>(transposed ? height : width);
    std::vector<T> to((transposed ? width : height) * columns);
    for (int64_t i = 0; i < height; i++)
        for (int64_t j = 0; j < width; j++) to[transposed ? j * columns + i : i * columns + j] = matrix[i * width + j];
    return to;
}

}  // namespace
