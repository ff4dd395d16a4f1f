// What the forward and the backward pass of whole terms have in common. A term is share * norm(p), with p = matrix * z and
// z = filter * relu(before(x)), each part where it is there.

#pragma once

#include <cmath>

#include "filters.h"
#include "packs.h"
#include "products.h"

namespace {

enum Parameter { GAMMA_BEFORE, BETA_BEFORE, FILTER, MATRIX, GAMMA, BETA, PARAMETERS };

// A term as plain data, see layout.py: its sizes, and where among all tensors its own are; -1 for what is not there. What
// its norm reads, p, has `out_channels`, and is added to the sum from column `first_column` on.
struct Term {
    Geometry geometry;
    int64_t out_channels, relu, source, weight, parameters[PARAMETERS], first_column, moments_before, moments;
    double eps_before, eps;

    bool has_filter() const { return geometry.side != 1 || geometry.stride != 1 || geometry.padding != 0; }
    bool has(Parameter parameter) const { return parameters[parameter] >= 0; }
};

static_assert(sizeof(Geometry) == 13 * sizeof(int64_t), "thirteen numbers without gaps");
static_assert(std::is_standard_layout<Term>::value && std::is_trivially_copyable<Term>::value,
              "terms come from Python as bytes");
static_assert(sizeof(double) == sizeof(int64_t), "a term is numbers of one size");

// What the places of a term point to: all tensors, or all their gradients.
template <typename T> struct Tensors {
    T* const* sources;
    T* const* parameters;
    T* mixing;
};

// The tensors of a term, or their gradients; null for what is not there or not wanted.
template <typename T> struct TermTensors {
    T *x, *gamma_before, *beta_before, *filter, *matrix, *gamma, *beta, *share;

    TermTensors(const Term& term, const Tensors<T>& all)
        : x(all.sources[term.source]), gamma_before(at(term, all, GAMMA_BEFORE)),
          beta_before(at(term, all, BETA_BEFORE)), filter(at(term, all, FILTER)), matrix(at(term, all, MATRIX)),
          gamma(at(term, all, GAMMA)), beta(at(term, all, BETA)),
          share(all.mixing && term.weight >= 0 ? all.mixing + term.weight : nullptr) {}

    static T* at(const Term& term, const Tensors<T>& all, Parameter parameter) {
        return term.has(parameter) ? all.parameters[term.parameters[parameter]] : nullptr;
    }
};

// What a norm takes from its columns: their means, 1 / sqrt(variance + eps), and behind them the unbiased variances, which
// only the running statistics follow. Null for a norm that is not there.
struct NormMoments {
    double *mean = nullptr, *rate = nullptr, *variance = nullptr;

    NormMoments(double* all, int64_t place, int64_t columns) {
        if (place < 0) return;
        mean = all + place;
        rate = mean + columns;
        variance = rate + columns;
    }
};

// The moments of all images, from the sums and squares of each, by image and channel. Every thread joins them for itself,
// which is faster than to wait for one that does; the first leaves them where others want them.
struct JoinedMoments {
    std::vector<double> mean, rate;

    JoinedMoments(const Packing& packing, int64_t rows, const double* sums, const double* squares, double eps,
                  int64_t columns, const NormMoments& to)
        : mean(columns), rate(columns) {
        const int64_t images = packing.images;
        const Place place(packing, columns);
        std::vector<double> variance(columns);
        const double each = static_cast<double>(rows), count = static_cast<double>(images), all = count * each;
        for (int64_t image = 0; image < images; image++)
            for (int64_t i = 0; i < columns; i++) mean[i] += sums[place.of(image, i)];
        for (double& value : mean) value /= all;
        for (int64_t image = 0; image < images; image++)
            for (int64_t i = 0; i < columns; i++) {
                const int64_t at = place.of(image, i);
                const double apart = sums[at] / each - mean[i];
                variance[i] += squares[at] / all + apart * apart / count;
            }
        for (int64_t i = 0; i < columns; i++) rate[i] = 1 / std::sqrt(variance[i] + eps);
#pragma omp master
        {
            std::copy(mean.begin(), mean.end(), to.mean);
            std::copy(rate.begin(), rate.end(), to.rate);
            for (int64_t i = 0; i < columns; i++) to.variance[i] = variance[i] * (all / (all - 1));
        }
    }
};

// What the norm before a filter does to x: scale x + shift. `center` is its mean; all are by column of a pack, and empty
// without a norm.
template <typename T> struct Prologue {
    std::vector<T> scale, shift, center;

    // `mean` and `rate` are those of the norm, by channel, or null.
    Prologue(const Packing& packing, int64_t columns, const TermTensors<T>& inputs, const double* mean,
             const double* rate) {
        for (int64_t i = 0; mean && i < columns; i++) {
            scale.push_back(static_cast<T>(rate[i] * (inputs.gamma_before ? inputs.gamma_before[i] : 1)));
            // Of the factor as it is rounded: what is off here is off in every pixel.
            shift.push_back(static_cast<T>((inputs.beta_before ? inputs.beta_before[i] : 0) - mean[i] * scale[i]));
            center.push_back(static_cast<T>(mean[i]));
        }
        for (std::vector<T>* values : {&scale, &shift, &center}) repeat(*values, packing);
    }
    FilterInput<T> of(const T* x, bool relu) const {
        return scale.empty() ? FilterInput<T>{x, nullptr, nullptr, relu}
                             : FilterInput<T>{x, scale.data(), shift.data(), relu};
    }
};

// Whether z, where it is not kept, is made for each image when it is read: behind a matrix p is what is read again, and
// in the backward pass, which reads z too, it costs no more to make than to read where there is no window.
inline bool passes_filtered(const Term& term, bool backward) {
    return term.has(MATRIX) && (!backward || term.geometry.side == 1);
}

// Memory that the threads which compute a sum have in common. An image is always the same thread's, and so is its part of
// z, p and dx, whatever the term; threads meet only where something is added up over images. Sums by images are in one of
// two places in turn, since a slow thread may still read those before.
template <typename T> struct SharedWorkspace {
    T *filtered, *projected, *input_gradients, *matrix_gradients;
    V<T>*tap_gradients, *prologue_sums;
    std::vector<double> sums;
    // How many numbers are an image's, and of sums all images'.
    int64_t filtered_size = 0, projected_size = 0, input_gradients_size = 0, sums_size = 0;

    SharedWorkspace(const Term* terms, int64_t count, bool backward) {
        int64_t images = 0, matrices = 0, taps = 0, prologue = 0;
        for (int64_t i = 0; i < count; i++) {
            const Term& term = terms[i];
            const Geometry& geometry = term.geometry;
            const int64_t in_columns = whole_vectors<T>(geometry.channels);
            const int64_t out_columns = whole_vectors<T>(term.out_channels), pixels = geometry.pixels();
            const int64_t items = geometry.images * in_columns / LANES<T>;
            images = geometry.images;
            sums_size = std::max(sums_size, images * std::max(geometry.channels, term.out_channels));
            if (!passes_filtered(term, backward)) filtered_size = std::max(filtered_size, pixels * in_columns);
            if (term.has(MATRIX)) projected_size = std::max(projected_size, pixels * out_columns);
            if (!backward) continue;
            if (term.has(MATRIX)) matrices = std::max(matrices, images * out_columns * in_columns);
            if (term.has(FILTER)) taps = std::max(taps, items * geometry.taps());
            if (term.moments_before < 0) continue;
            input_gradients_size = std::max(input_gradients_size, geometry.input_pixels() * in_columns);
            prologue = std::max(prologue, items * 2);
        }
        filtered = scratch<T>(FILTERED, images * filtered_size);
        projected = scratch<T>(PROJECTED, images * projected_size);
        input_gradients = scratch<T>(INPUT_GRADIENTS, images * input_gradients_size);
        matrix_gradients = scratch<T>(MATRIX_GRADIENTS, matrices);
        tap_gradients = scratch_vectors<T>(TAP_GRADIENTS, taps);
        prologue_sums = scratch_vectors<T>(PROLOGUE_SUMS, prologue);
        sums.resize(8 * sums_size);
    }

    double* sums_of(int64_t turn, int which) { return sums.data() + (turn % 2 * 4 + which) * sums_size; }
};

// A term and what its passes share. Of packed images its sizes are those of packs. In the forward pass `kept` is where z is to be kept, in the backward pass it is what
// was kept; null where z is not kept.
template <typename T> struct TermPass {
    const Term& term;
    const Packing& packing;
    TermTensors<T> inputs;
    double* moments;
    SharedWorkspace<T>& workspace;
    T* kept;
    T* normed = nullptr;  // in the backward pass: the norm of p, without parameters, from which p follows; null to compute p

    const Geometry& geometry() const { return term.geometry; }
    // The channels of an image.
    int64_t in_channels() const { return packing.packs() ? packing.channels : geometry().channels; }
    int64_t out_channels() const { return packing.packs() ? packing.channels : term.out_channels; }
    NormMoments norm() const { return NormMoments(moments, term.moments, out_channels()); }
    NormMoments norm_before() const { return NormMoments(moments, term.moments_before, in_channels()); }
};

// What a thread needs to compute z.
template <typename T> struct FilterStage {
    FilterInput<T> input;
    Taps<T> taps;
    PaddedInput<T> padded;

    FilterStage(const TermPass<T>& pass, const Prologue<T>& prologue)
        : input(prologue.of(pass.inputs.x, pass.term.relu)),
          taps(pass.inputs.filter, pass.geometry(), pass.in_channels(), false),
          padded(pass.geometry()) {}
};

// The matrix of a term, or its transpose, for products with rows of pixels; without one it is not used.
template <typename T> struct Projection {
    int64_t height;
    std::vector<T> matrix;
    std::vector<PackedMatrix<T>> packed;  // one, or none where images are not packed

    Projection(const TermPass<T>& pass, bool is_forward, bool is_wanted) : height(0) {
        if (!pass.inputs.matrix || !is_wanted) return;
        const int64_t out = pass.out_channels(), in = pass.in_channels();
        height = is_forward ? in : out;
        if (pass.packing.packs())
            packed.emplace_back(pass.packing, pass.inputs.matrix, !is_forward);
        else
            matrix = padded_matrix(pass.inputs.matrix, out, in, is_forward);
    }
    void multiply(int64_t rows, Rows<const T> x, int64_t columns, Rows<T> out) const {
        if (packed.empty())
            multiply_rows<T>(rows, height, x, columns, matrix.data(), out);
        else
            packed[0].multiply(rows, x.data, out.data);
    }
};

// Rows of pixels of several images; `columns` of each row belong to them.
template <typename T> struct Images {
    T* data;
    int64_t columns, pitch, image_stride;

    T* image(int64_t number) const { return data + number * image_stride; }
    Rows<const T> rows(int64_t number) const { return {image(number), pitch}; }
};

// Where z (`filtered`) and p (`projected`) of a term are: in the workspace, or in memory of somebody else.
template <typename T> struct TermBuffers {
    bool makes_filtered, makes_projected, passes;
    Images<T> filtered, projected;

    // Without anything before the matrix, z is x; without a matrix p is z. In the forward pass p is computed to `sum`,
    // where that is not null. Where z passes, a thread has a place for one image.
    TermBuffers(const TermPass<T>& pass, Rows<T> sum, bool is_forward) {
        const Term& term = pass.term;
        const Geometry& geometry = term.geometry;
        const int64_t pixels = geometry.pixels();
        const int64_t in_columns = whole_vectors<T>(geometry.channels);
        const int64_t out_columns = whole_vectors<T>(term.out_channels);
        const bool is_padded = pass.inputs.matrix && geometry.channels % LANES<T>;
        const bool is_x = !term.relu && term.moments_before < 0 && !term.has_filter() && !is_padded;
        makes_filtered = !is_x && (is_forward || !pass.kept);
        makes_projected = pass.inputs.matrix;
        passes = makes_filtered && !pass.kept && (pass.normed || passes_filtered(term, !is_forward));
        if (pass.kept)
            filtered = {pass.kept, in_columns, in_columns, pixels * in_columns};
        else if (!makes_filtered)
            filtered = {pass.inputs.x, in_columns, geometry.input_pitch, pixels * geometry.input_pitch};
        else if (!makes_projected && sum.data)
            filtered = {sum.data, term.out_channels, sum.pitch, pixels * sum.pitch};
        else
            filtered = {pass.workspace.filtered, in_columns, in_columns, pass.workspace.filtered_size};
        if (pass.normed) {
            projected = {pass.normed, out_columns, term.out_channels, pixels * term.out_channels};
        } else if (!makes_projected) {
            projected = filtered;
            projected.columns = out_columns;
        } else if (sum.data) {
            projected = {sum.data, out_columns, sum.pitch, pixels * sum.pitch};
        } else {
            projected = {pass.workspace.projected, out_columns, out_columns, pass.workspace.projected_size};
        }
    }

    // Computes z of an image and, where `wants_projected`, p.
    void make(const Geometry& geometry, FilterStage<T>& stage, const Projection<T>& projection, bool wants_projected,
              int64_t image) const {
        if (passes && !wants_projected) return;
        const Rows<const T> z = make_filtered(geometry, stage, image);
        if (makes_projected && wants_projected)
            projection.multiply(geometry.pixels(), z, projected.columns, {projected.image(image), projected.pitch});
    }
    // z of an image, computed where it is not there.
    Rows<const T> make_filtered(Geometry geometry, FilterStage<T>& stage, int64_t image) const {
        if (!makes_filtered) return filtered.rows(image);
        geometry.output_pitch = filtered.pitch;
        T* const to =
            passes ? scratch<T>(FILTERED_IMAGE, geometry.pixels() * filtered.columns) : filtered.image(image);
        if (geometry.side == 1)
            take<T>(geometry, stage.input, to, filtered.columns, {image, 0}, vectors_of<T>(geometry.channels));
        for (int64_t first = 0; geometry.side > 1 && first < geometry.channels; first += LANES<T>)
            filter_item<T>(geometry, stage.padded, stage.taps, stage.input, to, filtered.columns, {image, first});
        return {to, filtered.pitch};
    }
};

}  // namespace
