// The terms of a call as they are computed: those of images of few channels on packs of them.

#pragma once

#include "terms.h"

namespace {

// Sources, sum and gradients of packed images are in memory of the thread that makes this; terms point there. Where a
// term changes the number of channels, or they are many, all are as they were.
template <typename T> struct PackedTerms {
    int64_t sources = 0;  // how many there may be
    Packing packing{0, 0, 1, 0};
    const Term* terms;
    Tensors<T> tensors;

  private:
    struct Source {
        int64_t number, rows, pitch, start;  // `start`: where its packs begin among those of all
    };
    std::vector<Term> packed;
    std::vector<Source> read;  // each once
    std::vector<T*> places;
    int64_t sum_rows = 0, size = 0;
    T *memory = nullptr, *sum_memory = nullptr, *gradient_memory = nullptr;
    Tensors<T> given;

  public:
    PackedTerms(const Term* terms, int64_t count, const Tensors<T>& all, bool backward)
        : terms(terms), tensors(all), given(all) {
        for (int64_t i = 0; i < count; i++) sources = std::max(sources, terms[i].source + 1);
        const int64_t channels = terms[0].out_channels, images = terms[0].geometry.images;
        packing = {images, channels, 1, channels};
        for (int64_t i = 0; i < count; i++)
            if (terms[i].geometry.channels != channels || terms[i].out_channels != channels || terms[i].first_column)
                return;
        packing = Packing::of<T>(images, channels);
        if (!packing.packs()) return;
        const int64_t packs = images / packing.abreast;
        std::vector<char> is_read(sources);
        for (int64_t i = 0; i < count; i++) {
            Term term = terms[i];
            Geometry& geometry = term.geometry;
            if (!is_read[term.source]) {
                is_read[term.source] = 1;
                read.push_back({term.source, geometry.input_pixels(), geometry.input_pitch, size});
                size += packs * geometry.input_pixels() * packing.columns;
            }
            sum_rows = geometry.pixels();
            geometry.images = packs;
            geometry.channels = geometry.input_pitch = geometry.output_pitch = term.out_channels = packing.columns;
            packed.push_back(term);
        }
        memory = scratch<T>(PACKED_SOURCES, size);
        sum_memory = scratch<T>(PACKED_SUM, packs * sum_rows * packing.columns);
        if (backward) gradient_memory = scratch<T>(PACKED_GRADIENTS, size);
        places.resize(2 * sources);
        for (const Source& source : read) places[source.number] = memory + source.start;
        this->terms = packed.data();
        tensors.sources = places.data();
    }

    // The sum, or its gradient, from an image of packs on.
    Rows<T> sum(int64_t pack) const { return {sum_memory + pack * sum_rows * packing.columns, packing.columns}; }

    // Where gradients go before they are handed on.
    Tensors<T> gradients(const Tensors<T>& to) {
        if (!packing.packs()) return to;
        for (const Source& source : read)
            places[sources + source.number] = to.sources[source.number] ? gradient_memory + source.start : nullptr;
        return {places.data() + sources, to.parameters, to.mixing};
    }

    // What threads do together; a pack is always the same thread's, so nobody has to wait.
    void read_sources() const {
        for (const Source& source : read)
            each_pack([&](int64_t pack) {
                const int64_t size = source.rows * packing.columns;
                pack_rows<T>(packing, pack, source.rows, {given.sources[source.number], source.pitch},
                             memory + source.start + pack * size);
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
    // Those of sources that had a gradient `before` are added.
    void write_gradients(const Tensors<T>& to, const std::vector<int64_t>& before) const {
        for (const Source& source : read) {
            T* const target = to.sources[source.number];
            if (!target) continue;
            each_pack([&](int64_t pack) {
                const int64_t size = source.rows * packing.columns;
                unpack_rows<T>(packing, pack, source.rows, gradient_memory + source.start + pack * size,
                               before[source.number], {target, packing.channels});
            });
        }
    }

  private:
    template <typename Function> void each_pack(const Function& function) const {
        const int64_t packs = packing.images / packing.abreast;
#pragma omp for schedule(static) nowait
        for (int64_t pack = 0; pack < packs; pack++) function(pack);
    }
};

}  // namespace
