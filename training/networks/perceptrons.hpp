// Perceptrons and their gradients on one thread: products of small matrices that stay in the cache.
//
// The bias and the activation are added, and the slope is multiplied, while results are still in registers. Matrices are
// row-major. Rows have a length that is a multiple of LANE; what is beyond the true width is zero.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

namespace regimen {

constexpr int VECTOR = 8;          // floats that are computed at once
constexpr int LANE = 2 * VECTOR;   // columns of one tile
constexpr int TILE_ROWS = 6;       // 6 x 16 results of a product are kept in registers
constexpr float LOG_STD_LOW = -20.0f, LOG_STD_HIGH = 2.0f;  // heads.LOG_STD_RANGE

typedef float Vector __attribute__((vector_size(4 * VECTOR), aligned(4), may_alias));

inline Vector load(const float* from) { return *reinterpret_cast<const Vector*>(from); }
inline void store(float* to, Vector values) { *reinterpret_cast<Vector*>(to) = values; }
inline Vector all(float value) { return Vector{} + value; }
inline int padded(int width) { return (width + LANE - 1) / LANE * LANE; }

// The rational function that Eigen and XLA use: off by less than 4e-7.
inline Vector tanh(Vector x) {
    const Vector limit = all(7.90531110763549805f);
    x = x < -limit ? -limit : x;
    x = x > limit ? limit : x;
    const Vector square = x * x;
    Vector above = all(-2.76076847742355e-16f);
    above = above * square + 2.00018790482477e-13f;
    above = above * square + -8.60467152213735e-11f;
    above = above * square + 5.12229709037114e-08f;
    above = above * square + 1.48572235717979e-05f;
    above = above * square + 6.37261928875436e-04f;
    above = above * square + 4.89352455891786e-03f;
    Vector below = all(1.19825839466702e-06f);
    below = below * square + 1.18534705686654e-04f;
    below = below * square + 2.26843463243900e-03f;
    below = below * square + 4.89352518554385e-03f;
    return x * above / below;
}

// What is done to each result of a product before it is stored.
enum After { NOTHING, BIAS, BIAS_TANH, BIAS_RELU, SLOPE_OF_TANH, SLOPE_OF_RELU };

// ROWS x LANE results: to[m][n] = after(sum over k of left[m][k] * right[k][n]); the left matrix may lie transposed.
template <int ROWS, After AFTER, bool TRANSPOSED>
inline __attribute__((always_inline)) void tile(
    int depth, const float* __restrict left, long left_stride, const float* __restrict right, long right_stride,
    float* __restrict to, long to_stride, const float* __restrict beside) {
    Vector sums[ROWS][2];
    for (int m = 0; m < ROWS; m++)
        for (int half = 0; half < 2; half++) sums[m][half] = Vector{};
    for (int k = 0; k < depth; k++) {
        const Vector first = load(right + k * right_stride), second = load(right + k * right_stride + VECTOR);
        for (int m = 0; m < ROWS; m++) {
            const Vector value = all(TRANSPOSED ? left[k * left_stride + m] : left[m * left_stride + k]);
            sums[m][0] += value * first;
            sums[m][1] += value * second;
        }
    }
    for (int m = 0; m < ROWS; m++)
        for (int half = 0; half < 2; half++) {
            Vector sum = sums[m][half];
            if (AFTER == BIAS || AFTER == BIAS_TANH || AFTER == BIAS_RELU) sum += load(beside + half * VECTOR);
            if (AFTER == BIAS_TANH) sum = tanh(sum);
            if (AFTER == BIAS_RELU) sum = sum > 0.0f ? sum : Vector{} + sum * 0.0f;  // a NaN stays one
            if (AFTER == SLOPE_OF_TANH || AFTER == SLOPE_OF_RELU) {
                const Vector output = load(beside + m * to_stride + half * VECTOR);
                if (AFTER == SLOPE_OF_TANH) sum *= 1.0f - output * output;
                if (AFTER == SLOPE_OF_RELU) sum = output > 0.0f ? sum : Vector{} + sum * 0.0f;
            }
            store(to + m * to_stride + half * VECTOR, sum);
        }
}

// to [rows, columns] = after(left [rows, depth] @ right [depth, columns]); `beside` is the bias [columns], or the
// outputs [rows, columns] of the layer whose slope is multiplied.
template <After AFTER, bool TRANSPOSED>
void multiply(int rows, int columns, int depth, const float* left, long left_stride, const float* right,
              long right_stride, float* to, long to_stride, const float* beside) {
    constexpr bool IS_BIAS = AFTER == BIAS || AFTER == BIAS_TANH || AFTER == BIAS_RELU;
    for (int n = 0; n < columns; n += LANE) {
        int m = 0;
        const auto at = [&](int row) { return left + (TRANSPOSED ? row : row * left_stride); };
        const auto near = [&](int row) { return beside ? beside + n + (IS_BIAS ? 0 : row * to_stride) : nullptr; };
        for (; m + TILE_ROWS <= rows; m += TILE_ROWS)
            tile<TILE_ROWS, AFTER, TRANSPOSED>(depth, at(m), left_stride, right + n, right_stride,
                                               to + m * to_stride + n, to_stride, near(m));
        for (; m < rows; m++)
            tile<1, AFTER, TRANSPOSED>(depth, at(m), left_stride, right + n, right_stride, to + m * to_stride + n,
                                       to_stride, near(m));
    }
}

struct Parameter {
    float *value, *mean, *square;  // torch's: the parameter and Adam's moments
};

struct Layer {
    int inputs, outputs, inputs_padded, outputs_padded;
    std::vector<float> weight, transposed, bias;                   // [outputs, inputs], [inputs, outputs], [outputs]
    std::vector<float> weight_gradient, bias_gradient;             // [outputs, inputs], [outputs]
    std::vector<float> output, gradient;                           // [rows, outputs]

    Layer(int inputs, int outputs, int rows)
        : inputs(inputs), outputs(outputs), inputs_padded(padded(inputs)), outputs_padded(padded(outputs)),
          weight(outputs * inputs_padded), transposed(inputs * outputs_padded), bias(outputs_padded),
          weight_gradient(outputs * inputs_padded), bias_gradient(outputs_padded),
          output(rows * outputs_padded), gradient(rows * outputs_padded) {}

    void read(const float* from_weight, const float* from_bias) {
        for (int out = 0; out < outputs; out++)
            std::memcpy(&weight[out * inputs_padded], from_weight + out * inputs, 4 * inputs);
        for (int in = 0; in < inputs; in++)
            for (int out = 0; out < outputs; out++) transposed[in * outputs_padded + out] = from_weight[out * inputs + in];
        std::memcpy(bias.data(), from_bias, 4 * outputs);
    }
};

struct Perceptron {
    std::vector<Layer> layers;
    bool is_tanh;

    Perceptron(int inputs, int hidden_layers, const int32_t* hidden, int outputs, bool is_tanh, int rows)
        : is_tanh(is_tanh) {
        for (int i = 0; i <= hidden_layers; i++) {
            const int width = i < hidden_layers ? hidden[i] : outputs;
            layers.emplace_back(inputs, width, rows);
            inputs = width;
        }
    }

    void read(const Parameter* parameters) {
        for (size_t i = 0; i < layers.size(); i++) layers[i].read(parameters[2 * i].value, parameters[2 * i + 1].value);
    }

    // The outputs [rows, padded] of inputs [rows, padded].
    float* forward(int rows, const float* inputs) {
        for (size_t i = 0; i < layers.size(); i++) {
            Layer& layer = layers[i];
            const auto apply = i + 1 == layers.size() ? multiply<BIAS, false>
                               : is_tanh              ? multiply<BIAS_TANH, false>
                                                      : multiply<BIAS_RELU, false>;
            apply(rows, layer.outputs_padded, layer.inputs, inputs, layer.inputs_padded, layer.transposed.data(),
                  layer.outputs_padded, layer.output.data(), layer.outputs_padded, layer.bias.data());
            inputs = layer.output.data();
        }
        return layers.back().output.data();
    }

    // From the gradient of the last layer's outputs to those of all weights and biases.
    void backward(int rows, const float* inputs) {
        for (size_t i = layers.size(); i-- > 0;) {
            Layer& layer = layers[i];
            const float* before = i ? layers[i - 1].output.data() : inputs;
            multiply<NOTHING, true>(layer.outputs, layer.inputs_padded, rows, layer.gradient.data(),
                                    layer.outputs_padded, before, layer.inputs_padded, layer.weight_gradient.data(),
                                    layer.inputs_padded, nullptr);
            std::fill(layer.bias_gradient.begin(), layer.bias_gradient.end(), 0.0f);
            for (int row = 0; row < rows; row++)
                for (int out = 0; out < layer.outputs_padded; out++)
                    layer.bias_gradient[out] += layer.gradient[row * layer.outputs_padded + out];
            if (!i) break;
            const auto apply = is_tanh ? multiply<SLOPE_OF_TANH, false> : multiply<SLOPE_OF_RELU, false>;
            apply(rows, layer.inputs_padded, layer.outputs, layer.gradient.data(), layer.outputs_padded,
                  layer.weight.data(), layer.inputs_padded, layers[i - 1].gradient.data(), layer.inputs_padded, before);
        }
    }
};

}  // namespace regimen
