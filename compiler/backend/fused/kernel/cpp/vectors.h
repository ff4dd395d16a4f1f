// Vectors of numbers, loads and stores of some of their lanes, and memory that a thread keeps.
//
// Everything in these headers is in an anonymous namespace: each is included once in a library, and two libraries that a
// process has loaded, of different versions, must not share a symbol.

#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

#ifdef __AVX512F__
#include <immintrin.h>
#endif

namespace {

template <typename T> struct Vector;
template <> struct Vector<float> {
    static constexpr int lanes = 16;
    typedef float type __attribute__((vector_size(64)));
};
template <> struct Vector<double> {
    static constexpr int lanes = 8;
    typedef double type __attribute__((vector_size(64)));
};
template <typename T> using V = typename Vector<T>::type;
template <typename T> constexpr int LANES = Vector<T>::lanes;

static_assert(sizeof(V<float>) == LANES<float> * sizeof(float), "a vector of float holds its lanes and nothing else");
static_assert(sizeof(V<double>) == LANES<double> * sizeof(double), "a vector of double holds its lanes and nothing else");

template <typename T> inline V<T> load(const T* from) {
    V<T> value;
    std::memcpy(&value, from, sizeof(value));
    return value;
}
// Places of lanes in a vector.
template <typename T> struct PlaceVector;
template <> struct PlaceVector<float> {
    typedef int32_t type __attribute__((vector_size(64)));
};
template <> struct PlaceVector<double> {
    typedef int64_t type __attribute__((vector_size(64)));
};
template <typename T> using Places = typename PlaceVector<T>::type;

// Some of the lanes, and lanes in another order, where a machine has instructions for that and where it has not.
#ifdef __AVX512F__
inline V<float> load_some(const float* from, int count) {
    return (V<float>)_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1), from);
}
inline V<double> load_some(const double* from, int count) {
    return (V<double>)_mm512_maskz_loadu_pd(static_cast<__mmask8>((1u << count) - 1), from);
}
inline void store_some(float* to, V<float> value, int count) {
    _mm512_mask_storeu_ps(to, static_cast<__mmask16>((1u << count) - 1), (__m512)value);
}
inline void store_some(double* to, V<double> value, int count) {
    _mm512_mask_storeu_pd(to, static_cast<__mmask8>((1u << count) - 1), (__m512d)value);
}
constexpr bool CAN_PERMUTE = true;
inline V<float> permute(V<float> value, Places<float> places) {
    return (V<float>)_mm512_permutexvar_ps((__m512i)places, (__m512)value);
}
inline V<double> permute(V<double> value, Places<double> places) {
    return (V<double>)_mm512_permutexvar_pd((__m512i)places, (__m512d)value);
}
// Lanes of two vectors: places from LANES on are those of the second.
inline V<float> permute(V<float> first, V<float> second, Places<float> places) {
    return (V<float>)_mm512_permutex2var_ps((__m512)first, (__m512i)places, (__m512)second);
}
inline V<double> permute(V<double> first, V<double> second, Places<double> places) {
    return (V<double>)_mm512_permutex2var_pd((__m512d)first, (__m512i)places, (__m512d)second);
}
#else
constexpr bool CAN_PERMUTE = false;
template <typename T, typename P> inline T permute(T value, P places) {
    T result = {};
    for (size_t i = 0; i < sizeof(P) / sizeof(places[0]); i++) result[i] = value[places[i]];
    return result;
}
template <typename T, typename P> inline T permute(T first, T second, P places) {
    constexpr size_t lanes = sizeof(P) / sizeof(places[0]);
    T result = {};
    for (size_t i = 0; i < lanes; i++) {
        const size_t place = static_cast<size_t>(places[i]);
        result[i] = place < lanes ? first[place] : second[place - lanes];
    }
    return result;
}
template <typename T> inline V<T> load_some(const T* from, int count) {
    V<T> value = {};
    for (int i = 0; i < count; i++) value[i] = from[i];
    return value;
}
template <typename T> inline void store_some(T* to, V<T> value, int count) {
    for (int i = 0; i < count; i++) to[i] = value[i];
}
#endif

// The first `count` lanes; the others are zero.
template <typename T> inline V<T> load(const T* from, int count) {
    return count == LANES<T> ? load(from) : load_some(from, count);
}
template <typename T> inline void store(T* to, V<T> value, int count) {
    if (count == LANES<T>)
        std::memcpy(to, &value, sizeof(value));
    else
        store_some(to, value, count);
}

// How many lanes of the vector at column `first` are columns.
template <typename T> inline int columns_in(int64_t columns, int64_t first) {
    return static_cast<int>(std::min<int64_t>(columns - first, LANES<T>));
}
template <typename T> inline int64_t vectors_of(int64_t columns) { return (columns + LANES<T> - 1) / LANES<T>; }
// Columns filled up to whole vectors.
template <typename T> inline int64_t whole_vectors(int64_t columns) { return vectors_of<T>(columns) * LANES<T>; }

// A vector added to what is in memory, there maybe in double.
inline void add_to(float* to, V<float> value) { store<float>(to, load(to) + value, LANES<float>); }
inline void add_to(double* to, V<double> value) { store<double>(to, load(to) + value, LANES<double>); }
inline void add_to(double* to, V<float> value) {
    typedef float Half __attribute__((vector_size(32)));
    static_assert(LANES<float> == 2 * LANES<double>, "one vector of float is two of double");
    Half halves[2];
    std::memcpy(halves, &value, sizeof(value));
    for (int i = 0; i < 2; i++)
        store<double>(to + 8 * i, load(to + 8 * i) + __builtin_convertvector(halves[i], V<double>), 8);
}

// Buffers that live as long as the thread: their pages are mapped, and often still in the cache. They hold whatever was
// left in them.
enum Buffer {
    FILTERED,          // z of all images
    PROJECTED,         // p of all images
    FILTERED_IMAGE,    // z of one image
    IMAGE,             // dp of one image
    IMAGE_GRADIENT,    // dz of one image
    PADDED_INPUT,      // of one image and vector of columns
    PADDED_GRADIENT,   // of one image and vector of columns
    TAP_GRADIENTS,     // by item
    MATRIX_GRADIENTS,  // by image
    INPUT_GRADIENTS,   // dx of all images
    PROLOGUE_SUMS,     // by item
    PACKED_SOURCE,     // of all images
    PACKED_GRADIENT,   // of the source
    PACKED_SUM,        // y or dy of all images
    BUFFERS
};
template <typename T> T* scratch(Buffer which, int64_t size) {
    static thread_local std::vector<V<T>> buffers[BUFFERS];
    const int64_t vectors = vectors_of<T>(size);
    if (static_cast<int64_t>(buffers[which].size()) < vectors) buffers[which].resize(vectors);
    return reinterpret_cast<T*>(buffers[which].data());
}
template <typename T> V<T>* scratch_vectors(Buffer which, int64_t vectors) {
    return reinterpret_cast<V<T>*>(scratch<T>(which, vectors * LANES<T>));
}

// Calls `function` with flags as types (std::true_type or std::false_type), so that an inner loop is compiled for each
// combination of them and has no branch.
template <typename Function> inline void dispatch_bools(const Function& function) { function(); }
template <typename Function, typename... Flags>
inline void dispatch_bools(const Function& function, bool flag, Flags... flags) {
    if (flag)
        dispatch_bools([&function](auto... known) { function(std::true_type{}, known...); }, flags...);
    else
        dispatch_bools([&function](auto... known) { function(std::false_type{}, known...); }, flags...);
}

}  // namespace
