// What the algebra of sums needs beyond torch, for channels-last images on the CPU: rows are pixels, columns channels.
//
//   filters.h, filter_gradients.h   z = w * relu(scale x + shift), and its gradients
//   plain_terms.h                   terms of a sum that are their source, weighted, all at once
//   term_forward.h, term_backward.h whole terms of a sum: y += share * norm(matrix * z), and all their gradients
//   norm.h                          a norm by itself
//
// Work is split into items that do not depend on the number of threads, and what is summed over items is summed in their
// order, so that results are the same for any number of threads. Built by build.py with whatever C++ compiler is there;
// plain pointers, so that no header of torch is needed.

#include "filter_gradients.h"
#include "layout.h"
#include "norm.h"
#include "plain_terms.h"
#include "term_backward.h"
#include "term_forward.h"

namespace {

template <typename Structure> Structure read(const void* from) {
    Structure value;
    std::memcpy(&value, from, sizeof(value));
    return value;
}

}  // namespace

// ---------------------------------------------------------------- what Python calls; structures come as their bytes

extern "C" const char* layouts() {
    static const std::string text = layout_text();
    return text.c_str();
}

#define EXPORTED(T, NAME)                                                                                             \
    extern "C" int lanes_##NAME() { return LANES<T>; }                                                                \
    extern "C" void filter_forward_##NAME(const void* geometry, const T* x, const T* scale, const T* shift, int relu, \
                                          const T* weight, T* z, int threads) {                                       \
        filter_forward<T>(read<Geometry>(geometry), {x, scale, shift, relu != 0}, weight, z, threads);                \
    }                                                                                                                 \
    extern "C" void filter_backward_##NAME(const void* geometry, const T* x, const T* scale, const T* shift,          \
                                           const T* center, int relu, const T* weight, const T* dz, T* dx,            \
                                           int64_t dx_pitch, int add, T* dw, T* sums, int threads) {                  \
        const Geometry sizes = read<Geometry>(geometry);                                                              \
        const FilterGradients<T> to{dx,      dx_pitch, sizes.input_pixels() * dx_pitch, add != 0,                     \
                                    nullptr, nullptr,  center};                                                       \
        filter_backward<T>(sizes, {x, scale, shift, relu != 0}, weight, dz, to, dw, sums, threads);                   \
    }                                                                                                                 \
    extern "C" void plain_forward_##NAME(const void* terms, T* y) { plain_forward<T>(read<PlainTerms<T>>(terms), y); } \
    extern "C" void plain_backward_##NAME(const void* terms, const T* dy, double* total, T* const* products,          \
                                          T* const* sources, const int64_t* pitches, const int64_t* adds) {           \
        plain_backward<T>(read<PlainTerms<T>>(terms), dy, total, {products, sources, pitches, adds});                 \
    }                                                                                                                 \
    extern "C" void terms_forward_##NAME(const void* terms, int64_t count, T* const* sources, T* const* parameters,   \
                                         T* mixing, double* moments, T* y, int64_t y_pitch, int is_first,             \
                                         T* const* kept, int threads) {                                               \
        terms_forward<T>(static_cast<const Term*>(terms), count, {sources, parameters, mixing}, moments,              \
                         {y, y_pitch}, is_first != 0, kept, threads);                                                 \
    }                                                                                                                 \
    extern "C" void terms_backward_##NAME(const void* terms, int64_t count, T* const* sources, T* const* parameters,  \
                                          T* mixing, double* moments, const T* dy, int64_t dy_pitch,                  \
                                          const double* total, T* const* kept, T* normed, T* const* to_sources,       \
                                          T* const* to_parameters, T* to_mixing, int64_t* has_gradient,               \
                                          int threads) {                                                              \
        terms_backward<T>(static_cast<const Term*>(terms), count, {sources, parameters, mixing}, moments,             \
                          {{dy, dy_pitch}, total}, kept, normed, {to_sources, to_parameters, to_mixing}, has_gradient,        \
                          threads);                                                                                   \
    }                                                                                                                 \
    extern "C" void norm_forward_##NAME(int64_t pixels, int64_t channels, const T* x, const T* weight, const T* bias, \
                                        T* running_mean, T* running_variance, double momentum, double eps, T* y,      \
                                        T* mean, T* rate, int threads) {                                              \
        norm_forward<T>({pixels, channels}, x, {weight, bias, running_mean, running_variance, momentum}, eps, y, mean, \
                        rate, threads);                                                                               \
    }                                                                                                                 \
    extern "C" void norm_backward_##NAME(int64_t pixels, int64_t channels, const T* dy, const T* x, const T* weight,  \
                                         const T* mean, const T* rate, T* dx, T* dweight, T* dbias, int threads) {    \
        norm_backward<T>({pixels, channels}, dy, x, weight, mean, rate, dx, dweight, dbias, threads);                 \
    }

EXPORTED(float, f32)
EXPORTED(double, f64)
