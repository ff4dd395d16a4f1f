// Terms of a sum that are their source, times a weight: all of them at once.

#pragma once

#include "columns.h"

#include <numeric>

namespace {

// Rows are pixels; the structure is that of layout.py.
template <typename T> struct PlainTerms {
    int64_t count, rows, columns, sum_pitch, is_first, threads;
    const int64_t* pitches;  // of the sources
    const T* const* sources;
    const T* const* weights;  // null is 1

    T weight(int64_t term) const { return weights[term] ? *weights[term] : 1; }
};

// Terms of which several pixels are one row, so that a row fills whole vectors: where no tensor has gaps between pixels.
template <typename T> struct JoinedRows {
    int64_t pixels = 1;  // in a row
    PlainTerms<T> terms;
    std::vector<int64_t> pitches, gradient_pitches;

    // `gradients` are the pitches of the terms' gradients, or null.
    JoinedRows(const PlainTerms<T>& given, const int64_t* gradients) : terms(given) {
        const auto has_gaps = [&](int64_t pitch) { return pitch && pitch != given.columns; };
        const int64_t most = LANES<T> / std::gcd(given.columns, static_cast<int64_t>(LANES<T>));
        bool dense = given.rows % most == 0 && !has_gaps(given.sum_pitch);
        for (int64_t i = 0; i < given.count; i++)
            dense = dense && !has_gaps(given.pitches[i]) && !(gradients && has_gaps(gradients[i]));
        if (dense) pixels = most;
        for (int64_t i = 0; i < given.count; i++) {
            pitches.push_back(given.pitches[i] * pixels);
            if (gradients) gradient_pitches.push_back(gradients[i] * pixels);
        }
        terms.rows /= pixels;
        terms.columns *= pixels;
        terms.sum_pitch *= pixels;
        terms.pitches = pitches.data();
    }
};

// y = [y +] sum of weights[i] * sources[i].
template <typename T> void plain_forward(const PlainTerms<T>& given, T* y) {
    const JoinedRows<T> joined(given, nullptr);
    const PlainTerms<T>& terms = joined.terms;
    const int64_t chunks = (terms.rows + CHUNK - 1) / CHUNK;
#pragma omp parallel for schedule(static) num_threads(static_cast<int>(terms.threads))
    for (int64_t chunk = 0; chunk < chunks; chunk++) {
        const int64_t end = std::min(terms.rows, (chunk + 1) * CHUNK);
        for (int64_t i = 0; i < terms.count; i++) {
            const T weight = terms.weight(i);
            const T* const x = terms.sources[i];
            const int64_t pitch = terms.pitches[i], sum_pitch = terms.sum_pitch;
            const bool add = i > 0 || !terms.is_first;
            for (int64_t first = 0; first < terms.columns; first += LANES<T>) {
                const int count = columns_in<T>(terms.columns, first);
                for (int64_t row = chunk * CHUNK; row < end; row++) {
                    V<T> value = load(x + row * pitch + first, count) * weight;
                    T* const to = y + row * sum_pitch + first;
                    if (add) value += load(to, count);
                    store(to, value, count);
                }
            }
        }
    }
}

// Where the gradients of plain terms go; `products` are those of the weights, `sources` those of the sources, added where
// `adds`. Any of the tensors may be null.
template <typename T> struct PlainGradients {
    T* const* products;
    T* const* sources;
    const int64_t* pitches;
    const int64_t* adds;
};

// The sums of some rows, from `from` to before `to`: of dy, and for each term the gradients of its source and, into
// `products`, the sum of dy * source.
template <typename T>
void plain_backward_rows(const PlainTerms<T>& terms, const T* dy, const PlainGradients<T>& gradients, int64_t from,
                         int64_t to, V<T>* sums, V<T>* products) {
    const int64_t dy_pitch = terms.sum_pitch;
    for (int64_t first = 0; first < terms.columns; first += LANES<T>) {
        const int count = columns_in<T>(terms.columns, first);
        const T* const gradient = dy + first;
        V<T> sum[4] = {};
        for (int64_t row = from; row < to; row++) sum[row & 3] += load(gradient + row * dy_pitch, count);
        sums[first / LANES<T>] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
        for (int64_t i = 0; i < terms.count; i++) {
            const T* const x = terms.sources[i] + first;
            const int64_t x_pitch = terms.pitches[i];
            V<T> product[4] = {};
            for (int64_t row = from; gradients.products[i] && row < to; row++)
                product[row & 3] += load(gradient + row * dy_pitch, count) * load(x + row * x_pitch, count);
            products[i] += (product[0] + product[1]) + (product[2] + product[3]);
            if (!gradients.sources[i]) continue;
            const T weight = terms.weight(i);
            T* const target = gradients.sources[i] + first;
            const int64_t pitch = gradients.pitches[i];
            const bool add = gradients.adds[i];
            for (int64_t row = from; row < to; row++) {
                V<T> value = load(gradient + row * dy_pitch, count) * weight;
                if (add) value += load(target + row * pitch, count);
                store(target + row * pitch, value, count);
            }
        }
    }
}

// total = the sums of dy by columns, where it is not null; and the gradients.
template <typename T>
void plain_backward(const PlainTerms<T>& given, const T* dy, double* total, const PlainGradients<T>& to) {
    const JoinedRows<T> joined(given, to.pitches);
    const PlainTerms<T>& terms = joined.terms;
    const PlainGradients<T> gradients{to.products, to.sources, joined.gradient_pitches.data(), to.adds};
    const int64_t chunks = (terms.rows + CHUNK - 1) / CHUNK, vectors = vectors_of<T>(terms.columns);
    const int64_t count = terms.count;
    std::vector<V<T>> products(chunks * count), sums(chunks * vectors);
#pragma omp parallel for schedule(static) num_threads(static_cast<int>(terms.threads))
    for (int64_t chunk = 0; chunk < chunks; chunk++)
        plain_backward_rows<T>(terms, dy, gradients, chunk * CHUNK, std::min(terms.rows, (chunk + 1) * CHUNK),
                               sums.data() + chunk * vectors, products.data() + chunk * count);
    if (total) {
        std::vector<double> by_column(terms.columns);
        add_up<T>(sums.data(), chunks, terms.columns, 1, 0, by_column.data(), 1);
        std::fill_n(total, given.columns, 0.0);
        for (int64_t i = 0; i < terms.columns; i++) total[i % given.columns] += by_column[i];
    }
    for (int64_t i = 0; i < count; i++) {
        if (!gradients.products[i]) continue;
        V<T> sum = {};
        for (int64_t chunk = 0; chunk < chunks; chunk++) sum += products[chunk * count + i];
        T all = 0;
        for (int lane = 0; lane < LANES<T>; lane++) all += sum[lane];
        *gradients.products[i] = all;
    }
}

}  // namespace
