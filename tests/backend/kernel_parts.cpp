// The parts of the C++ kernel against plain loops in double; `test_kernel.py` compiles and runs this.

#include <cstdio>
#include <cstdlib>

#include "filter_gradients.h"
#include "layout.h"
#include "packs.h"
#include "products.h"

namespace {

int failures = 0;

void expect(const char* what, double found, double expected, double tolerance) {
    if (std::abs(found - expected) <= tolerance * (1 + std::abs(expected))) return;
    if (failures++ < 20) std::printf("%s: %.9g, expected %.9g\n", what, found, expected);
}

template <typename T> std::vector<T> random_numbers(int64_t count) {
    static uint64_t state = 88172645463325252u;
    std::vector<T> numbers(count);
    for (T& number : numbers) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        number = static_cast<T>(state % 2000) / 1000 - 1;
    }
    return numbers;
}

template <typename T> constexpr double TOLERANCE = sizeof(T) == 4 ? 1e-5 : 1e-13;

// out = x A and total = x' y, of rows that are wider than what is read of them.
template <typename T> void products(int64_t rows, int64_t height, int64_t vectors) {
    const int64_t width = vectors * LANES<T>, pitch = height + 3, tall = whole_vectors<T>(height);
    const auto x = random_numbers<T>(rows * pitch), matrix = random_numbers<T>(height * width);
    std::vector<T> out(rows * (width + 5));
    multiply_rows<T>(rows, height, {x.data(), pitch}, width, matrix.data(), {out.data(), width + 5});
    for (int64_t row = 0; row < rows; row++)
        for (int64_t j = 0; j < width; j++) {
            double sum = 0;
            for (int64_t i = 0; i < height; i++)
                sum += static_cast<double>(x[row * pitch + i]) * matrix[i * width + j];
            expect("multiply_rows", out[row * (width + 5) + j], sum, height * TOLERANCE<T>);
        }
    const auto left = random_numbers<T>(rows * tall), right = random_numbers<T>(rows * width);
    std::vector<T> total(tall * width);
    outer_rows<T>(rows, tall, {left.data(), tall}, width, {right.data(), width}, total.data());
    for (int64_t i = 0; i < tall; i++)
        for (int64_t j = 0; j < width; j++) {
            double sum = 0;
            for (int64_t row = 0; row < rows; row++)
                sum += static_cast<double>(left[row * tall + i]) * right[row * width + j];
            expect("outer_rows", total[i * width + j], sum, rows * TOLERANCE<T>);
        }
    const std::vector<T> turned = padded_matrix(matrix.data(), height, width, true);
    for (int64_t j = 0; j < width; j++)
        for (int64_t i = 0; i < tall; i++)
            expect("padded_matrix", turned[j * tall + i], i < height ? matrix[i * width + j] : 0, 0);
}

// A matrix with the pixels of packs, its transpose, and its gradient, against one image after the other.
template <typename T> void packed_products(int64_t images, int64_t channels) {
    const int64_t rows = 11;
    const Packing packing{images, channels, LANES<T> / channels, LANES<T>};
    const int64_t packs = images / packing.abreast, size = rows * packing.columns;
    const auto x = random_numbers<T>(images * rows * channels), y = random_numbers<T>(images * rows * channels);
    const auto matrix = random_numbers<T>(channels * channels);
    std::vector<T> left(packs * size), right(packs * size), out(packs * size), back = y;
    std::vector<V<T>> totals(packs * channels);
    for (const bool transposed : {false, true}) {
        const PackedMatrix<T> packed(packing, matrix.data(), transposed);
        for (int64_t pack = 0; pack < packs; pack++) {
            pack_rows<T>(packing, pack, rows, {x.data(), channels}, left.data() + pack * size);
            pack_rows<T>(packing, pack, rows, {y.data(), channels}, right.data() + pack * size);
            packed.multiply(rows, left.data() + pack * size, out.data() + pack * size);
            packed.outer(rows, left.data() + pack * size, right.data() + pack * size, totals.data() + pack * channels);
            unpack_rows<T>(packing, pack, rows, out.data() + pack * size, transposed, {back.data(), channels});
        }
        for (int64_t at = 0; at < images * rows; at++)
            for (int64_t o = 0; o < channels; o++) {
                double sum = transposed ? y[at * channels + o] : 0;
                for (int64_t i = 0; i < channels; i++)
                    sum += static_cast<double>(x[at * channels + i]) * matrix[transposed ? i * channels + o : o * channels + i];
                expect("packed product", back[at * channels + o], sum, 10 * TOLERANCE<T>);
            }
        back = y;
        for (int64_t o = 0; o < channels; o++) {
            std::vector<T> row(channels);
            packed.add_up_outer(packing, totals.data(), channels, o, row.data());
            for (int64_t i = 0; i < channels; i++) {
                double sum = 0;
                for (int64_t at = 0; at < images * rows; at++)
                    sum += static_cast<double>(x[at * channels + o]) * y[at * channels + i];
                expect("packed outer", row[i], sum, 100 * TOLERANCE<T>);
            }
        }
    }
}

// The moments of columns far from zero, where E[x^2] - E[x]^2 would cancel.
template <typename T> void moments(int64_t rows, int64_t columns) {
    const int64_t pitch = columns + 1;
    auto x = random_numbers<T>(rows * pitch);
    for (T& number : x) number += 1000;
    std::vector<double> sums(columns), squares(columns);
    sums_and_squares<T>(rows, columns, pitch, x.data(), sums.data(), squares.data());
    for (int64_t i = 0; i < columns; i++) {
        double sum = 0, square = 0;
        for (int64_t row = 0; row < rows; row++) sum += x[row * pitch + i];
        for (int64_t row = 0; row < rows; row++) square += std::pow(x[row * pitch + i] - sum / rows, 2);
        expect("sums", sums[i], sum, TOLERANCE<T>);
        expect("squares", squares[i], square, 100 * TOLERANCE<T>);
    }
}

// z = w * relu(scale x + shift), or a pool of x; and the sum of dz * z, whose gradients are asked for.
template <typename T> struct Filtered {
    Geometry g;
    std::vector<T> x, scale, shift, weight, dz;
    std::vector<double> z;

    double active(int64_t image, int64_t y, int64_t column, int64_t c) const {
        const double value = x[((image * g.height + y) * g.width + column) * g.input_pitch + c];
        if (g.kind != CONVOLUTION) return value;
        return std::max(0.0, scale[c] * value + shift[c]);
    }

    void run() {
        z.assign(g.images * g.pixels() * g.channels, 0);
        for (int64_t at = 0; at < g.images * g.pixels() * g.channels; at++) {
            const int64_t c = at % g.channels, pixel = at / g.channels;
            const int64_t image = pixel / g.pixels(), oy = pixel / g.out_width % g.out_height, ox = pixel % g.out_width;
            double sum = 0, largest = -1e30, count = 0;
            for (int64_t tap = 0; tap < g.taps(); tap++) {
                const int64_t y = oy * g.stride - g.padding + tap / g.side * g.dilation;
                const int64_t column = ox * g.stride - g.padding + tap % g.side * g.dilation;
                if (y < 0 || y >= g.height || column < 0 || column >= g.width) continue;
                const double value = active(image, y, column, c);
                sum += g.kind == CONVOLUTION ? value * weight[c * g.taps() + tap] : value;
                largest = std::max(largest, value);
                count++;
            }
            if (g.kind == AVG_POOL) sum /= count;
            if (g.kind == AVG_POOL_COUNTING_PADDING) sum /= g.taps();
            z[at] = g.kind == MAX_POOL ? largest : sum;
        }
    }

    double loss() {
        run();
        double sum = 0;
        for (size_t at = 0; at < z.size(); at++) sum += z[at] * dz[at];
        return sum;
    }

    // The gradient of the loss in a number that it is linear in, around where it is.
    double slope(T& number) {
        const T before = number, step = static_cast<T>(1e-3);
        number = before + step;
        const double above = loss(), width = number;
        number = before - step;
        const double below = loss(), apart = width - number;
        number = before;
        return (above - below) / apart;
    }
};

template <typename T> void filters(int64_t kind, int64_t side, int64_t stride, int64_t dilation, int64_t channels) {
    Geometry g{2, 7, 8, channels, kind, side, stride, dilation, dilation * (side / 2), 0, 0, channels + 2, channels};
    g.out_height = (g.height + 2 * g.padding - dilation * (side - 1) - 1) / stride + 1;
    g.out_width = (g.width + 2 * g.padding - dilation * (side - 1) - 1) / stride + 1;
    Filtered<T> expected{g,
                         random_numbers<T>(g.images * g.input_pixels() * g.input_pitch),
                         random_numbers<T>(channels),
                         random_numbers<T>(channels),
                         random_numbers<T>(channels * side * side),
                         random_numbers<T>(g.images * g.pixels() * channels),
                         {}};
    const bool is_pool = kind != CONVOLUTION;
    const FilterInput<T> input{expected.x.data(), is_pool ? nullptr : expected.scale.data(),
                               is_pool ? nullptr : expected.shift.data(), !is_pool};
    const T* const weight = is_pool ? nullptr : expected.weight.data();
    std::vector<T> z(g.images * g.pixels() * channels);
    filter_forward<T>(g, input, weight, z.data(), 2);
    expected.run();
    for (size_t at = 0; at < z.size(); at++) expect("filter_forward", z[at], expected.z[at], 50 * TOLERANCE<T>);
    if (sizeof(T) == 4) return;  // slopes need the digits of double
    std::vector<T> dx(g.images * g.input_pixels() * channels), dw(weight ? channels * side * side : 0), sums(2 * channels);
    const FilterGradients<T> to{dx.data(), channels, g.input_pixels() * channels, false, nullptr, nullptr,
                                expected.shift.data()};
    filter_backward<T>(g, input, weight, expected.dz.data(), to, weight ? dw.data() : nullptr,
                       is_pool ? nullptr : sums.data(), 2);
    for (size_t at = 0; at < dw.size(); at += 5)
        expect("taps", dw[at], expected.slope(expected.weight[at]), 1e-8);
    for (int64_t at = 0; at < g.images * g.input_pixels() * channels; at += 37) {
        const int64_t pixel = at / channels, c = at % channels;
        const double factor = is_pool ? 1 : expected.scale[c];
        T& number = expected.x[pixel * g.input_pitch + c];
        if (!is_pool && std::abs(expected.scale[c] * number + expected.shift[c]) < 2e-3) continue;  // at the corner
        expect("input", dx[at] * factor, expected.slope(number), 1e-8);
    }
    for (int64_t c = 0; c < channels && !is_pool; c++) {
        double plain = 0, product = 0;
        for (int64_t pixel = 0; pixel < g.images * g.input_pixels(); pixel++) {
            plain += dx[pixel * channels + c];
            product += dx[pixel * channels + c] * (expected.x[pixel * g.input_pitch + c] - expected.shift[c]);
        }
        expect("sum of gradients", sums[c], plain, 1e-11);
        expect("sum of products", sums[channels + c], product, 1e-11);
    }
}

void flags() {
    int seen = 0;
    for (int number = 0; number < 8; number++)
        dispatch_bools([&](auto a, auto b, auto c) { seen += number == 4 * a + 2 * b + c; }, number & 4, number & 2,
                       number & 1);
    expect("dispatch_bools", seen, 8, 0);
}

template <typename T> void all() {
    for (int64_t vectors : {1, 2, 3, 7})
        for (int64_t height : {1, 5, 16, 33}) products<T>(vectors == 1 ? 300 : 21, height, vectors);
    for (int64_t channels : {1, 3, 4}) packed_products<T>(LANES<T> / channels * 3, channels);
    for (int64_t columns : {1, 8, 16, 19}) moments<T>(131, columns);
    for (int64_t side : {3, 5, 7})
        for (int64_t stride : {1, 2})
            for (int64_t dilation : {1, 2}) filters<T>(CONVOLUTION, side, stride, dilation, side == 3 ? 19 : 8);
    for (int64_t kind : {MAX_POOL, AVG_POOL, AVG_POOL_COUNTING_PADDING})
        for (int64_t stride : {1, 2}) filters<T>(kind, 3, stride, 1, 17);
}

}  // namespace

int main(int count, char**) {
    if (count > 1) {  // any argument asks for the layouts
        std::fputs(layout_text().c_str(), stdout);
        return 0;
    }
    flags();
    all<float>();
    all<double>();
    return failures != 0;
}
