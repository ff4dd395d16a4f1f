// The terms of a call as they are computed: those of images of few channels on packs of them.

#pragma once

#include "terms.h"

namespace {

// The sum of packed images, and the source and its gradient of one term at a time, are in memory of the thread that makes
// this; terms point there. Where a term changes the number of channels, or they are many, all are as they were.
template <typename T> struct PackedTerms {
    int64_t sources = 0;  // how many there may be
    Packing packing{0, 0, 1, 0};
    const Term* terms;
    Tensors<T> tensors;

  private:
    std::vector<Term> packed;
    std::vector<T*> places;
    int64_t sum_rows = 0;
    T *source_memory = nullptr, *sum_memory = nullptr, *gradient_memory = nullptr;
    const Term* given;
    Tensors<T> given_tensors;

  public:
    PackedTerms(const Term* terms, int64_t count, const Tensors<T>& all, bool backward)
        : terms(terms), tensors(all), given(terms), given_tensors(all) {
        for (int64_t i = 0; i < count; i++) sources = std::max(sources, terms[i].source + 1);
        const int64_t channels = terms[0].out_channels, images = terms[0].geometry.images;
        packing = {images, channels, 1, channels};
        for (int64_t i = 0; i < count; i++)
            if (terms[i].geometry.channels != channels || terms[i].out_channels != channels || terms[i].first_column)
                return;
        packing = Packing::of<T>(images, channels);
        if (!packing.packs()) return;
        const int64_t packs = images / packing.abreast;
        int64_t rows = 0;
        for (int64_t i = 0; i < count; i++) {
            Term term = terms[i];
            Geometry& geometry = term.geometry;
            rows = std::max(rows, geometry.input_pixels());
            sum_rows = geometry.pixels();
            geometry.images = packs;
            geometry.channels = geometry.input_pitch = geometry.output_pitch = term.out_channels = packing.columns;
            packed.push_back(term);
        }
        source_memory = scratch<T>(PACKED_SOURCE, packs * rows * packing.columns);
        sum_memory = scratch<T>(PACKED_SUM, packs * sum_rows * packing.columns);
        if (backward) gradient_memory = scratch<T>(PACKED_GRADIENT, packs * rows * packing.columns);
        places.resize(2 * sources);
        std::fill_n(places.begin(), sources, source_memory);
        this->terms = packed.data();
        tensors.sources = places.data();
    }

    // The sum, or its gradient, from an image of packs on.
    Rows<T> sum(int64_t pack) const { return {sum_memory + pack * sum_rows * packing.columns, packing.columns}; }

    // Where gradients go before they are handed on.
    Tensors<T> gradients(const Tensors<T>& to) {
        if (!packing.packs()) return to;
        for (int64_t i = 0; i < sources; i++) places[sources + i] = to.sources[i] ? gradient_memory : nullptr;
        return {places.data() + sources, to.parameters, to.mixing};
    }

    // What threads do together; a pack is always the same thread's, so nobody has to wait.
    void read_source(int64_t term) const {
        if (!packing.packs() || (term && given[term].source == given[term - 1].source)) return;
        const Term& of = given[term];
        const int64_t rows = of.geometry.input_pixels();
        each_pack([&](int64_t pack) {
            pack_rows<T>(packing, pack, rows, {given_tensors.sources[of.source], of.geometry.input_pitch},
                         source_memory + pack * rows * packing.columns);
        });
    }
    void read_sum(Rows<const T> from) const {
        if (packing.packs())
            each_pack([&](int64_t pack) { pack_rows<T>(packing, pack, sum_rows, from, sum(pack).data); });
    }
    void write_sum(bool is_first, Rows<T> to) const {
        if (packing.packs())
            each_pack([&](int64_t pack) { unpack_rows<T>(packing, pack, sum_rows, sum(pack).data, !is_first, to); });
    }
    // Of the source of a term, written or added.
    void write_gradient(int64_t term, const Tensors<T>& to, bool add) const {
        T* const target = to.sources[given[term].source];
        if (!packing.packs() || !target) return;
        const int64_t rows = given[term].geometry.input_pixels();
        each_pack([&](int64_t pack) {
            unpack_rows<T>(packing, pack, rows, gradient_memory + pack * rows * packing.columns, add,
                           {target, packing.channels});
        });
    }

  private:
    template <typename Function> void each_pack(const Function& function) const {
        const int64_t packs = packing.images / packing.abreast;
#pragma omp for schedule(static) nowait
        for (int64_t pack = 0; pack < packs; pack++) function(pack);
    }
};

}  // namespace
