// Images of few channels side by side: several of them are one image of a whole vector, so that few lanes are idle.

#pragma once

#include "columns.h"

namespace {

// How images of a call are packed. Of a pack of `abreast` images of `channels` channels, image i has the columns from
// i * channels on; what is left of the vector is idle. With one abreast nothing is packed.
struct Packing {
    int64_t images, channels, abreast, columns;

    // The most that fit into a vector, of as many in every pack; lanes have to be permuted in one instruction.
    template <typename T> static Packing of(int64_t images, int64_t channels) {
        int64_t abreast = CAN_PERMUTE ? std::max<int64_t>(1, LANES<T> / channels) : 1;
        while (images % abreast) abreast--;
        return {images, channels, abreast, abreast > 1 ? LANES<T> : channels};
    }
    bool packs() const { return abreast > 1; }
};

// Where among numbers by pack and column those of an image and channel are; where nothing is packed, by image and column.
struct Place {
    int64_t abreast, channels, columns;

    Place(const Packing& packing, int64_t channels)
        : abreast(packing.abreast), channels(channels), columns(packing.packs() ? packing.columns : channels) {}
    int64_t of(int64_t image, int64_t channel) const {
        return image / abreast * columns + image % abreast * channels + channel;
    }
};

// Values by channel, once for each image of a pack; what is idle is zero.
template <typename T> void repeat(std::vector<T>& values, const Packing& packing) {
    if (!packing.packs() || values.empty()) return;
    const int64_t channels = packing.channels;
    values.resize(packing.columns);
    for (int64_t i = channels; i < packing.abreast * channels; i++) values[i] = values[i - channels];
}

// Vectors of ABREAST pixels each: pixel j of vector i becomes pixel i of vector j. So a pixel of each of several images
// becomes a row of their pack, and a row of a pack a pixel of each image.
template <typename T, int ABREAST> class PixelTranspose {
    static constexpr int CHANNELS = LANES<T> / ABREAST;
    Places<T> low[ABREAST], high[ABREAST];  // by how far vectors are apart that exchange pixels

  public:
    PixelTranspose() {
        for (int step = 1; step < ABREAST; step *= 2)
            for (int lane = 0; lane < LANES<T>; lane++) {
                const bool is_odd = lane / CHANNELS & step;
                low[step][lane] = is_odd ? LANES<T> + lane - step * CHANNELS : lane;
                high[step][lane] = is_odd ? LANES<T> + lane : lane + step * CHANNELS;
            }
    }
    void run(V<T>* vectors) const {
        for (int step = 1; step < ABREAST; step *= 2)
            for (int i = 0; i < ABREAST; i++) {
                if (i & step) continue;
                const V<T> first = vectors[i], second = vectors[i + step];
                vectors[i] = permute(first, second, low[step]);
                vectors[i + step] = permute(first, second, high[step]);
            }
    }
};

// Calls `function` with ABREAST as a type, where pixels of the images of a pack fill a vector and have no gaps between
// them; the rows that `function` leaves, or 0.
template <typename T, typename Function>
inline int64_t dispatch_abreast(const Packing& packing, int64_t pitch, const Function& function) {
    if (pitch != packing.channels || packing.abreast * packing.channels != LANES<T>) return 0;
    switch (packing.abreast) {
    case 2: return function(std::integral_constant<int, 2>{});
    case 4: return function(std::integral_constant<int, 4>{});
    case 8: return function(std::integral_constant<int, 8>{});
    default: return 0;
    }
}

// Of one pack, (rows, columns), from images of `rows` pixels.
template <typename T> void pack_rows(const Packing& packing, int64_t pack, int64_t rows, Rows<const T> images, T* to) {
    const int count = static_cast<int>(packing.channels);
    const int64_t columns = packing.columns, idle = columns - packing.abreast * count;
    const T* const first = images.data + pack * packing.abreast * rows * images.pitch;
    const int64_t done = dispatch_abreast<T>(packing, images.pitch, [=](auto abreast) {
        const PixelTranspose<T, abreast> transpose;
        int64_t row = 0;
        for (; row + abreast <= rows; row += abreast) {
            V<T> pixels[abreast];
            for (int i = 0; i < abreast; i++) pixels[i] = load(first + (i * rows + row) * count);
            transpose.run(pixels);
            for (int i = 0; i < abreast; i++) store<T>(to + (row + i) * columns, pixels[i], LANES<T>);
        }
        return row;
    });
    for (int64_t row = 0; idle && row < rows; row++) store(to + row * columns, V<T>{}, LANES<T>);
    for (int64_t i = 0; i < packing.abreast; i++) {
        const T* const from = first + i * rows * images.pitch;
        for (int64_t row = done; row < rows; row++)
            store_some(to + row * columns + i * count, load_some(from + row * images.pitch, count), count);
    }
}

// The way back: written to the images, or added where `add`.
template <typename T>
void unpack_rows(const Packing& packing, int64_t pack, int64_t rows, const T* from, bool add, Rows<T> images) {
    const int count = static_cast<int>(packing.channels);
    T* const first = images.data + pack * packing.abreast * rows * images.pitch;
    const int64_t done = dispatch_abreast<T>(packing, images.pitch, [=](auto abreast) {
        const PixelTranspose<T, abreast> transpose;
        int64_t row = 0;
        for (; row + abreast <= rows; row += abreast) {
            V<T> pixels[abreast];
            for (int i = 0; i < abreast; i++) pixels[i] = load(from + (row + i) * LANES<T>);
            transpose.run(pixels);
            for (int i = 0; i < abreast; i++) {
                T* const at = first + (i * rows + row) * count;
                store<T>(at, add ? pixels[i] + load(at) : pixels[i], LANES<T>);
            }
        }
        return row;
    });
    for (int64_t i = 0; i < packing.abreast; i++) {
        T* const to = first + i * rows * images.pitch;
        for (int64_t row = done; row < rows; row++) {
            V<T> value = load_some(from + row * packing.columns + i * count, count);
            T* const at = to + row * images.pitch;
            if (add) value += load_some(at, count);
            store_some(at, value, count);
        }
    }
}

// to[channel * step] = the sum over packs and their images of parts[pack][which], `per_pack` for each.
template <typename T, typename To>
void add_up_packs(const Packing& packing, const V<T>* parts, int64_t per_pack, int64_t which, To* to, int64_t step) {
    double sum[LANES<T>];
    add_up<T>(parts, packing.images / packing.abreast, LANES<T>, per_pack, which, sum, 1);
    for (int64_t channel = 0; channel < packing.channels; channel++) {
        double total = 0;
        for (int64_t i = 0; i < packing.abreast; i++) total += sum[i * packing.channels + channel];
        to[channel * step] = static_cast<To>(total);
    }
}

// A square matrix for packs. Turn s gives lane o of each image the value of its channel (o + s) % channels: the sum over
// turns, each times its factors, is the product with every pixel of a pack.
template <typename T> struct PackedMatrix {
    static constexpr int64_t STEP = 4;  // turns at once; the last ones may have no meaning
    int64_t channels;
    std::vector<Places<T>> turns;
    std::vector<V<T>> factors;

    explicit PackedMatrix(const Packing& packing) : channels(packing.channels) {
        turns.resize((channels + STEP - 1) / STEP * STEP);
        for (int64_t turn = 0; turn < static_cast<int64_t>(turns.size()); turn++)
            for (int64_t lane = 0; lane < LANES<T>; lane++)
                turns[turn][lane] = lane < packing.abreast * channels ? column(lane, turn) : lane;
    }
    // Of a matrix (channels, channels), or its transpose.
    PackedMatrix(const Packing& packing, const T* matrix, bool transposed) : PackedMatrix(packing) {
        factors.resize(channels);
        for (int64_t turn = 0; turn < channels; turn++)
            for (int64_t lane = 0; lane < packing.abreast * channels; lane++) {
                const int64_t row = lane % channels, from = column(lane, turn) % channels;
                factors[turn][lane] = transposed ? matrix[from * channels + row] : matrix[row * channels + from];
            }
    }
    int64_t column(int64_t lane, int64_t turn) const {
        return lane / channels * channels + (lane + turn) % channels;
    }

    // out = the product with each of some rows.
    template <int ROWS> void multiply_some(const T* x, T* out) const {
        V<T> value[ROWS], sum[ROWS] = {};
        for (int r = 0; r < ROWS; r++) value[r] = load(x + r * LANES<T>);
        for (int64_t turn = 0; turn < channels; turn++) {
            const Places<T> places = turns[turn];
            const V<T> factor = factors[turn];
            for (int r = 0; r < ROWS; r++) sum[r] += permute(value[r], places) * factor;
        }
        for (int r = 0; r < ROWS; r++) store<T>(out + r * LANES<T>, sum[r], LANES<T>);
    }
    void multiply(int64_t rows, const T* x, T* out) const {
        int64_t row = 0;
        for (; row + 8 <= rows; row += 8) multiply_some<8>(x + row * LANES<T>, out + row * LANES<T>);
        for (; row < rows; row++) multiply_some<1>(x + row * LANES<T>, out + row * LANES<T>);
    }

    // total[turn] = the sum over rows of left times right turned.
    void outer(int64_t rows, const T* left, const T* right, V<T>* total) const {
        for (int64_t first = 0; first < channels; first += STEP) {
            V<T> sum[STEP] = {};
            for (int64_t row = 0; row < rows; row++) {
                const V<T> factor = load(left + row * LANES<T>), value = load(right + row * LANES<T>);
                for (int64_t i = 0; i < STEP; i++) sum[i] += factor * permute(value, turns[first + i]);
            }
            std::copy_n(sum, std::min(STEP, channels - first), total + first);
        }
    }
    // Row `row` of the gradient of the matrix, from `total` of all packs, `pitch` vectors apart.
    void add_up_outer(const Packing& packing, const V<T>* totals, int64_t pitch, int64_t row, T* to) const {
        for (int64_t turn = 0; turn < channels; turn++) {
            double sum = 0;
            for (int64_t image = 0; image < packing.images; image++)
                sum += totals[image / packing.abreast * pitch + turn][image % packing.abreast * channels + row];
            to[(row + turn) % channels] = static_cast<T>(sum);
        }
    }
};

}  // namespace
