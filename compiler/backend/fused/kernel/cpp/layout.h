// The layouts of the structures that Python writes, as text that Python compares with its own (layout.py).

#pragma once

#include <cstddef>
#include <string>

#include "plain_terms.h"
#include "terms.h"

namespace {

// A line for each structure, "NAME SIZE", and for each of its fields, "NAME.FIELD OFFSET SIZE".
class LayoutText {
    std::string text;

  public:
    LayoutText& structure(const char* name, size_t size) {
        text += std::string(name) + " " + std::to_string(size) + "\n";
        return *this;
    }
    LayoutText& field(const char* name, size_t offset, size_t size) {
        text += std::string(name) + " " + std::to_string(offset) + " " + std::to_string(size) + "\n";
        return *this;
    }
    const std::string& str() const { return text; }
};

#define STRUCTURE(TYPE) structure(#TYPE, sizeof(TYPE))
#define FIELD(TYPE, NAME) field(#TYPE "." #NAME, offsetof(TYPE, NAME), sizeof(TYPE::NAME))

inline std::string layout_text() {
    using PlainTerms = ::PlainTerms<float>;
    static_assert(sizeof(PlainTerms) == sizeof(::PlainTerms<double>), "pointers have one size");
    LayoutText text;
    text.STRUCTURE(Geometry)
        .FIELD(Geometry, images)
        .FIELD(Geometry, height)
        .FIELD(Geometry, width)
        .FIELD(Geometry, channels)
        .FIELD(Geometry, kind)
        .FIELD(Geometry, side)
        .FIELD(Geometry, stride)
        .FIELD(Geometry, dilation)
        .FIELD(Geometry, padding)
        .FIELD(Geometry, out_height)
        .FIELD(Geometry, out_width)
        .FIELD(Geometry, input_pitch)
        .FIELD(Geometry, output_pitch);
    text.STRUCTURE(Term)
        .FIELD(Term, geometry)
        .FIELD(Term, out_channels)
        .FIELD(Term, relu)
        .FIELD(Term, source)
        .FIELD(Term, weight)
        .FIELD(Term, parameters)
        .FIELD(Term, first_column)
        .FIELD(Term, moments_before)
        .FIELD(Term, moments)
        .FIELD(Term, eps_before)
        .FIELD(Term, eps);
    text.STRUCTURE(PlainTerms)
        .FIELD(PlainTerms, count)
        .FIELD(PlainTerms, rows)
        .FIELD(PlainTerms, columns)
        .FIELD(PlainTerms, sum_pitch)
        .FIELD(PlainTerms, is_first)
        .FIELD(PlainTerms, threads)
        .FIELD(PlainTerms, pitches)
        .FIELD(PlainTerms, sources)
        .FIELD(PlainTerms, weights);
    return text.str();
}

#undef STRUCTURE
#undef FIELD

}  // namespace
