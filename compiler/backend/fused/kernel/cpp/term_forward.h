// Terms forward: y += share * norm(matrix * z), with z = filter * relu(before(x)).

#pragma once

#include "packed_terms.h"

namespace {

// One term of a sum. Every thread is in here; what it shares with others is in the workspace.
template <typename T> class TermForward {
    const TermPass<T>& pass;
    const Term& term;
    const Geometry& geometry;
    const Rows<T> sum;    // y, from the term's first column on
    const bool is_first;  // whether the term is written to y, not added

  public:
    TermForward(const TermPass<T>& pass, Rows<T> sum, bool is_first)
        : pass(pass), term(pass.term), geometry(term.geometry), sum(sum), is_first(is_first) {}

    // `turn` counts what threads meet for.
    void run(int64_t& turn) const {
        if (term.moments_before >= 0 || term.moments >= 0) turn++;
        const Prologue<T> prologue = normed_before(turn);
        // The first term is computed where the sum will be.
        const bool in_place = is_first && term.out_channels % LANES<T> == 0;
        const TermBuffers<T> buffers(pass, {in_place ? sum.data : nullptr, sum.pitch}, true);
        double *const sums = pass.workspace.sums_of(turn, 2), *const squares = pass.workspace.sums_of(turn, 3);
        make_images(prologue, buffers, sums, squares);
        if (term.moments >= 0) {
#pragma omp barrier
            add_normed(buffers, sums, squares);
        } else if (pass.inputs.share || buffers.projected.data != sum.data) {
            const T share = pass.inputs.share ? *pass.inputs.share : 1;
            add_scaled(buffers, std::vector<T>(term.out_channels, share), std::vector<T>(term.out_channels));
        }
    }

  private:
    // The moments of x that the norm before the filter takes.
    Prologue<T> normed_before(int64_t turn) const {
        const int64_t channels = geometry.channels, pixels = geometry.input_pixels();
        if (term.moments_before < 0) return Prologue<T>(pass.packing, channels, pass.inputs, nullptr, nullptr);
        double *const sums = pass.workspace.sums_of(turn, 0), *const squares = pass.workspace.sums_of(turn, 1);
        const int64_t pitch = geometry.input_pitch;
#pragma omp for schedule(static)
        for (int64_t image = 0; image < geometry.images; image++)
            sums_and_squares<T>(pixels, channels, pitch, pass.inputs.x + image * pixels * pitch,
                                sums + image * channels, squares + image * channels);
        const JoinedMoments joined(pass.packing, pixels, sums, squares, term.eps_before, pass.in_channels(),
                                   pass.norm_before());
        return Prologue<T>(pass.packing, pass.in_channels(), pass.inputs, joined.mean.data(), joined.rate.data());
    }

    // z and p of every image, and the sums and squares of the columns of p where a norm reads them.
    void make_images(const Prologue<T>& prologue, const TermBuffers<T>& buffers, double* sums, double* squares) const {
        const int64_t channels = term.out_channels;
        const Projection<T> projection(pass, true, true);
        FilterStage<T> stage(pass, prologue);
#pragma omp for schedule(static) nowait
        for (int64_t image = 0; image < geometry.images; image++) {
            buffers.make(geometry, stage, projection, true, image);
            if (term.moments >= 0)
                sums_and_squares<T>(geometry.pixels(), channels, buffers.projected.pitch,
                                    buffers.projected.image(image), sums + image * channels,
                                    squares + image * channels);
        }
    }

    // y = [y +] share * norm(p).
    void add_normed(const TermBuffers<T>& buffers, const double* sums, const double* squares) const {
        const int64_t channels = pass.out_channels();
        const TermTensors<T>& inputs = pass.inputs;
        const T share = inputs.share ? *inputs.share : 1;
        const JoinedMoments joined(pass.packing, geometry.pixels(), sums, squares, term.eps, channels, pass.norm());
        std::vector<T> scale(channels), shift(channels);
        for (int64_t i = 0; i < channels; i++) {
            scale[i] = static_cast<T>(share * joined.rate[i] * (inputs.gamma ? inputs.gamma[i] : 1));
            const double beta = inputs.beta ? static_cast<double>(share) * inputs.beta[i] : 0;
            shift[i] = static_cast<T>(beta - joined.mean[i] * scale[i]);
        }
        repeat(scale, pass.packing);
        repeat(shift, pass.packing);
        add_scaled(buffers, scale, shift);
    }

    // y = [y +] scale p + shift.
    void add_scaled(const TermBuffers<T>& buffers, const std::vector<T>& scale, const std::vector<T>& shift) const {
        const int64_t pixels = geometry.pixels();
#pragma omp for schedule(static) nowait
        for (int64_t image = 0; image < geometry.images; image++)
            scale_rows<T>(pixels, term.out_channels, buffers.projected.rows(image), scale.data(), shift.data(),
                          !is_first, {sum.data + image * pixels * sum.pitch, sum.pitch});
    }
};

// y = [y +] the sum of terms; those of `kept` that are not null are where to keep z.
template <typename T>
void terms_forward(const Term* terms, int64_t count, const Tensors<T>& all, double* moments, Rows<T> y, bool is_first,
                   T* const* kept, int threads) {
    const PackedTerms<T> packed(terms, count, all, false);
    const Packing& packing = packed.packing;
    SharedWorkspace<T> workspace(packed.terms, count, false);
    const Rows<T> sum = packing.packs() ? packed.sum(0) : y;
#pragma omp parallel num_threads(threads)
    {
        for (int64_t i = 0, turn = 0; i < count; i++) {
            const Term& term = packed.terms[i];
            packed.read_source(i);
            const TermPass<T> pass{term, packing, TermTensors<T>(term, packed.tensors), moments, workspace, kept[i]};
            const bool writes = i == 0 && (is_first || packing.packs());
            TermForward<T>(pass, {sum.data + term.first_column, sum.pitch}, writes).run(turn);
        }
        packed.write_sum(is_first, y);
    }
}

}  // namespace
