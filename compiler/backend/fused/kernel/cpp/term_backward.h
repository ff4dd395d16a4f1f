// Terms backward: all gradients of share * norm(matrix * z), with z = filter * relu(before(x)).

#pragma once

#include "filter_gradients.h"
#include "packed_terms.h"

namespace {

// The gradient of a sum from a term's first column on, and the sums of its columns over all pixels.
template <typename T> struct SumGradient {
    Rows<const T> rows;
    const double* total;

    Rows<const T> image(const Geometry& geometry, int64_t number) const {
        return {rows.data + number * geometry.pixels() * rows.pitch, rows.pitch};
    }
};

// Which gradients of a term have to be computed: that of z, `products` of p with that of the sum, that of the matrix.
struct Wanted {
    bool input, products, matrix;

    template <typename T> Wanted(const Term& term, const TermTensors<T>& gradients) {
        input = gradients.x || gradients.filter || gradients.gamma_before || gradients.beta_before;
        matrix = gradients.matrix;
        products = gradients.share;
        if (term.moments >= 0) products = products || input || matrix || gradients.gamma || gradients.beta;
    }
    bool any() const { return input || products || matrix; }
};

// One term. Every thread is in here; what it shares with others is in the workspace. The gradient of p is affine in that
// of the sum, dy, and in p: dp = scale dy + slope (p - mean) + shift.
template <typename T> class TermBackward {
    const TermPass<T>& pass;
    const Geometry& geometry;
    const TermTensors<T>&inputs, &gradients;
    const SumGradient<T> dy;
    const bool add;  // whether the gradient of x is added to what is there
    const Wanted wanted;
    const NormMoments norm, norm_before;
    const int64_t in_channels, out_channels, pixels;  // columns of packs, where images are packed
    const Prologue<T> prologue;
    const TermBuffers<T> buffers;
    std::vector<T> mean;  // of p, zero without a norm, or where p is given as it is normed

  public:
    TermBackward(const TermPass<T>& pass, const TermTensors<T>& gradients, const SumGradient<T>& dy, bool add,
                 const Wanted& wanted)
        : pass(pass), geometry(pass.geometry()), inputs(pass.inputs), gradients(gradients), dy(dy), add(add),
          wanted(wanted), norm(pass.norm()), norm_before(pass.norm_before()), in_channels(geometry.channels),
          out_channels(pass.term.out_channels), pixels(geometry.pixels()),
          prologue(pass.packing, pass.in_channels(), inputs, norm_before.mean, norm_before.rate),
          buffers(pass, {nullptr, 0}, false) {
        if (norm.mean && !pass.normed) mean.assign(norm.mean, norm.mean + pass.out_channels());
        repeat(mean, pass.packing);
        mean.resize(out_channels);
    }

    // `turn` counts what threads meet for.
    void run(int64_t& turn) const {
        double* const sums = pass.workspace.sums_of(turn++, 0);
        reduce_products(sums);
        // Also, no thread adds up the term before any more.
#pragma omp barrier
        const Affine<T> affine = norm_gradients(sums);
        if (!wanted.input && !wanted.matrix) return;
        const FilterGradients<T> to = filter_gradients();
        input_gradients(affine, to);
        if (!wanted.matrix && !to.taps && !to.sums) return;
#pragma omp barrier
        weight_gradients(to);
        if (to.sums) prologue_gradients(to);
    }

  private:
    // z and p of every image, where they are not kept, and for each image the sums of dy * (p - mean) by columns.
    void reduce_products(double* sums) const {
        const Projection<T> projection(pass, true, wanted.products && !pass.normed);
        FilterStage<T> stage(pass, prologue);
#pragma omp for schedule(static) nowait
        for (int64_t image = 0; image < geometry.images; image++) {
            if (!pass.normed) buffers.make(geometry, stage, projection, wanted.products, image);
            std::fill_n(sums + image * out_channels, out_channels, 0.0);
            if (!wanted.products) continue;
            const Rows<const T> p = buffers.projected.rows(image), gradient = dy.image(geometry, image);
            const T* const center = mean.data();
            sum_rows<T>(pixels, out_channels, sums + image * out_channels,
                        [=](int64_t row, int64_t first, int count) {
                            return load(gradient.data + row * gradient.pitch + first, count) *
                                   (load(p.data + row * p.pitch + first, count) - load(center + first, count));
                        });
        }
    }

    // From the products by images: the gradients of the share and of the norm's parameters, and the coefficients of dp.
    Affine<T> norm_gradients(const double* sums) const {
        const int64_t images = pass.packing.images, channels = pass.out_channels();
        const Place place(pass.packing, channels);
        const double share = inputs.share ? *inputs.share : 1, count = static_cast<double>(images * pixels);
        const double* const total = dy.total;
        double to_share = 0;
        Affine<T> affine{std::vector<T>(channels, static_cast<T>(share)), std::vector<T>(channels),
                         std::vector<T>(channels)};
        for (int64_t i = 0; wanted.products && i < channels; i++) {
            double product = 0;
            for (int64_t image = 0; image < images; image++) product += sums[place.of(image, i)];
            if (!norm.mean) {
                to_share += product;
                continue;
            }
            const double gamma = inputs.gamma ? inputs.gamma[i] : 1, rate = norm.rate[i], factor = share * gamma * rate;
            // What is given as it is normed is (p - mean) * rate.
            const double unit = pass.normed ? 1 / rate : 1;
            product *= unit;
            to_share += product * gamma * rate + (inputs.beta ? total[i] * inputs.beta[i] : 0);
            affine.scale[i] = static_cast<T>(factor);
            affine.slope[i] = static_cast<T>(-product * factor * rate * rate * unit / count);
            affine.shift[i] = static_cast<T>(-affine.scale[i] * total[i] / count);
#pragma omp master
            {
                if (gradients.gamma) gradients.gamma[i] = static_cast<T>(product * rate * share);
                if (gradients.beta) gradients.beta[i] = static_cast<T>(total[i] * share);
            }
        }
#pragma omp master
        if (gradients.share) *gradients.share = static_cast<T>(to_share);
        for (std::vector<T>* values : {&affine.scale, &affine.slope, &affine.shift}) repeat(*values, pass.packing);
        return affine;
    }

    // Where the gradients of the filter go: what the norm before it rescales is not yet what is added.
    FilterGradients<T> filter_gradients() const {
        SharedWorkspace<T>& workspace = pass.workspace;
        V<T>* const taps = inputs.filter && gradients.filter ? workspace.tap_gradients : nullptr;
        if (norm_before.mean)
            return {workspace.input_gradients, in_channels, workspace.input_gradients_size, false, taps,
                    workspace.prologue_sums,   prologue.center.data()};
        return {gradients.x, in_channels, geometry.input_pixels() * in_channels, add, taps, nullptr, nullptr};
    }

    // dp of one image, (pixels, whole vectors of columns).
    void projected_gradient(const Affine<T>& affine, int64_t image, Rows<T> to) const {
        const Rows<const T> p = buffers.projected.rows(image), gradient = dy.image(geometry, image);
        const bool has_norm = norm.mean;
        for (int64_t first = 0; first < out_channels; first += LANES<T>) {
            const int count = columns_in<T>(out_channels, first);
            const V<T> scale = load(affine.scale.data() + first, count), slope = load(affine.slope.data() + first, count);
            const V<T> shift = load(affine.shift.data() + first, count), center = load(mean.data() + first, count);
            for (int64_t row = 0; row < pixels; row++) {
                V<T> value = load(gradient.data + row * gradient.pitch + first, count) * scale;
                if (has_norm) value += (load(p.data + row * p.pitch + first, count) - center) * slope + shift;
                store<T>(to.data + row * to.pitch + first, value, LANES<T>);
            }
        }
    }

    // For every image dp, and from it the gradients of the matrix, of z and of what the filter reads.
    void input_gradients(const Affine<T>& affine, const FilterGradients<T>& to) const {
        const int64_t out_columns = buffers.projected.columns, in_columns = buffers.filtered.columns;
        const Projection<T> projection(pass, false, wanted.input);
        const PackedMatrix<T> turns(pass.packing);
        const FilterInput<T> input = prologue.of(inputs.x, pass.term.relu);
        const Taps<T> mirrored(wanted.input ? inputs.filter : nullptr, geometry, pass.in_channels(), true);
        GradientBuffers<T> work(geometry);
        FilterStage<T> stage(pass, prologue);
        const Rows<T> dp{scratch<T>(IMAGE, pixels * out_columns), out_columns};
        const Rows<T> dz = inputs.matrix ? Rows<T>{scratch<T>(IMAGE_GRADIENT, pixels * in_columns), in_columns} : dp;
        Geometry of_dz = geometry;
        of_dz.output_pitch = dz.pitch;
#pragma omp for schedule(static) nowait
        for (int64_t image = 0; image < geometry.images; image++) {
            projected_gradient(affine, image, dp);
            T* const to_matrix = pass.workspace.matrix_gradients + image * out_columns * in_columns;
            if (wanted.matrix) {
                const Rows<const T> z =
                    buffers.passes ? buffers.make_filtered(geometry, stage, image) : buffers.filtered.rows(image);
                if (pass.packing.packs())
                    turns.outer(pixels, dp.data, z.data, reinterpret_cast<V<T>*>(to_matrix));
                else
                    outer_rows<T>(pixels, out_columns, dp.read(), in_columns, z, to_matrix);
            }
            if (!wanted.input) continue;
            if (inputs.matrix)
                projection.multiply(pixels, {dp.data, dp.pitch}, in_columns, dz);
            if (geometry.side == 1)
                take_backward<T>(of_dz, input, dz.data, to, {image, 0}, vectors_of<T>(in_channels));
            for (int64_t first = 0; geometry.side > 1 && first < in_channels; first += LANES<T>)
                filter_item_backward<T>(of_dz, work, input, mirrored, dz.data, to, {image, first});
        }
    }

    // The gradients of the matrix and of the taps, added up over images.
    void weight_gradients(const FilterGradients<T>& to) const {
        const int64_t out_columns = buffers.projected.columns, in_columns = buffers.filtered.columns;
        const int64_t channels = in_channels, taps = geometry.taps();
        const Packing& packing = pass.packing;
        if (wanted.matrix && packing.packs()) {
            const PackedMatrix<T> turns(packing);
            const V<T>* const totals = reinterpret_cast<V<T>*>(pass.workspace.matrix_gradients);
#pragma omp for schedule(static) nowait
            for (int64_t o = 0; o < packing.channels; o++)
                turns.add_up_outer(packing, totals, in_columns, o, gradients.matrix + o * packing.channels);
        } else if (wanted.matrix) {
#pragma omp for schedule(static) nowait
            for (int64_t o = 0; o < out_channels; o++) {
                std::vector<double> row(channels);
                for (int64_t image = 0; image < geometry.images; image++) {
                    const T* const part = pass.workspace.matrix_gradients + (image * out_columns + o) * in_columns;
                    for (int64_t i = 0; i < channels; i++) row[i] += part[i];
                }
                for (int64_t i = 0; i < channels; i++) gradients.matrix[o * channels + i] = static_cast<T>(row[i]);
            }
        }
        if (!to.taps) return;
#pragma omp for schedule(static) nowait
        for (int64_t tap = 0; tap < taps; tap++)
            add_up_images(to.taps, taps, tap, gradients.filter + tap, taps);
    }

    // to[channel * step] = the sum over images of parts[item][which], `per_item` for each.
    template <typename To>
    void add_up_images(const V<T>* parts, int64_t per_item, int64_t which, To* to, int64_t step) const {
        if (pass.packing.packs())
            add_up_packs<T>(pass.packing, parts, per_item, which, to, step);
        else
            add_up<T>(parts, geometry.images, in_channels, per_item, which, to, step);
    }

    // Through the norm before the filter: the gradients of its parameters and of x.
    void prologue_gradients(const FilterGradients<T>& to) const {
        const int64_t channels = pass.in_channels(), inputs_count = geometry.input_pixels();
        std::vector<double> plain(channels), product(channels);
        add_up_images(to.sums, 2, 0, plain.data(), 1);
        add_up_images(to.sums, 2, 1, product.data(), 1);
        const double values = static_cast<double>(pass.packing.images * inputs_count);
        Affine<T> affine{prologue.scale, std::vector<T>(channels), std::vector<T>(channels)};
        for (int64_t i = 0; i < channels; i++) {
            const double rate = norm_before.rate[i], factor = prologue.scale[i];
            affine.slope[i] = static_cast<T>(-factor * rate * rate * product[i] / values);
            affine.shift[i] = static_cast<T>(-affine.slope[i] * norm_before.mean[i] - factor * plain[i] / values);
#pragma omp master
            {
                if (gradients.gamma_before) gradients.gamma_before[i] = static_cast<T>(product[i] * rate);
                if (gradients.beta_before) gradients.beta_before[i] = static_cast<T>(plain[i]);
            }
        }
        if (!gradients.x) return;
        repeat(affine.slope, pass.packing);
        repeat(affine.shift, pass.packing);
        const int64_t pitch = geometry.input_pitch;
#pragma omp for schedule(static) nowait
        for (int64_t image = 0; image < geometry.images; image++)
            affine_rows<T>(inputs_count, in_channels, {to.image(image), in_channels},
                           {inputs.x + image * inputs_count * pitch, pitch}, affine, add,
                           {gradients.x + image * inputs_count * in_channels, in_channels});
    }
};

// All gradients of terms. `kept` are as the forward pass left them; `normed` is that of TermPass, for the one term. Of a source, the first gradient is written and the
// others are added; `has_gradient` says which have one.
template <typename T>
void terms_backward(const Term* terms, int64_t count, const Tensors<T>& all, double* moments, const SumGradient<T>& dy,
                    T* const* kept, T* normed, const Tensors<T>& gradients, int64_t* has_gradient, int threads) {
    PackedTerms<T> packed(terms, count, all, true);
    const Packing& packing = packed.packing;
    SharedWorkspace<T> workspace(packed.terms, count, true);
    std::vector<char> adds;
    for (int64_t i = 0; i < count; i++) {
        adds.push_back(has_gradient[terms[i].source] != 0);
        if (gradients.sources[terms[i].source]) has_gradient[terms[i].source] = 1;
    }
    const Tensors<T> to_tensors = packed.gradients(gradients);
    const Rows<const T> rows = packing.packs() ? packed.sum(0).read() : dy.rows;
#pragma omp parallel num_threads(threads)
    {
        packed.read_sum(dy.rows);
        for (int64_t i = 0, turn = 0; i < count; i++) {
            const Term& term = packed.terms[i];
            packed.read_source(i);
            const TermTensors<T> to(term, to_tensors);
            const Wanted wanted(term, to);
            if (!wanted.any()) continue;
            const TermPass<T> pass{term,    packing,   TermTensors<T>(term, packed.tensors),
                                   moments, workspace, kept[i],
                                   packing.packs() ? nullptr : normed};
            const SumGradient<T> of_term{{rows.data + term.first_column, rows.pitch}, dy.total + term.first_column};
            TermBackward<T>(pass, to, of_term, adds[i] && !packing.packs(), wanted).run(turn);
            packed.write_gradient(i, gradients, adds[i]);
        }
    }
}

}  // namespace
