// PPO's minibatches for an actor and a critic that are perceptrons, from the forward pass to Adam, in one call.
//
// `agents/ppo.py` is the same in torch, and a test holds one against the other. There a minibatch of a small network is
// some hundred calls that each take longer than their arithmetic.

#include "training/networks/perceptrons.hpp"

using namespace regimen;

namespace {

constexpr float MASKED_LOGIT = -1e9f;  // heads.MASKED_LOGIT
constexpr float HALF_LOG_2PI = 0.918938533204672742f;

inline void forbid(float* logits, const uint8_t* mask, int count) {
    for (int i = 0; i < count; i++) logits[i] = mask[i] ? logits[i] : MASKED_LOGIT;
}

// Logits [count] become log-probabilities in `log_p`, which may be the same array.
inline void log_softmax(const float* logits, int count, float* log_p) {
    const float most = *std::max_element(logits, logits + count);
    float sum = 0.0f;
    for (int i = 0; i < count; i++) sum += std::exp(logits[i] - most);
    const float shift = most + std::log(sum);
    for (int i = 0; i < count; i++) log_p[i] = logits[i] - shift;
}

inline float gaussian_log_prob(const float* mean, const float* log_std, int count, const float* action) {
    float log_prob = 0.0f;
    for (int i = 0; i < count; i++) {
        const float z = (action[i] - mean[i]) * std::exp(-log_std[i]);
        log_prob -= 0.5f * z * z + log_std[i] + HALF_LOG_2PI;
    }
    return log_prob;
}

// What `update` measures of each minibatch, in this order.
enum Measured { LOSS, NORM, POLICY_LOSS, ENTROPY, KL, CLIPPED, VALUE_LOSS, MEASURES };

}  // namespace

extern "C" {

struct Settings {
    float clip_range, value_coefficient, entropy_coefficient, max_grad_norm;  // the last one is 0 for no clipping
    double learning_rate, beta1, beta2, epsilon;
    int32_t normalizes_advantage;
};

struct Kernel {
    int inputs, inputs_padded, outputs, rows;
    bool is_categorical;
    Perceptron actor, critic;
    std::vector<float> seen, log_std, log_std_gradient, advantage;
    std::vector<int64_t> choices;

    Kernel(int inputs, int hidden_layers, const int32_t* hidden, int outputs, bool is_tanh, bool is_categorical, int rows)
        : inputs(inputs), inputs_padded(padded(inputs)), outputs(outputs), rows(rows), is_categorical(is_categorical),
          actor(inputs, hidden_layers, hidden, outputs, is_tanh, rows),
          critic(inputs, hidden_layers, hidden, 1, is_tanh, rows), seen(rows * inputs_padded), log_std(outputs),
          log_std_gradient(outputs), advantage(rows) {}

    // Parameters are those of the actor's layers, of the critic's, and log_std where actions are Gaussian.
    int count() const { return 2 * (actor.layers.size() + critic.layers.size()) + !is_categorical; }

    void read(const Parameter* parameters) {
        actor.read(parameters);
        critic.read(parameters + 2 * actor.layers.size());
        if (is_categorical) return;
        const float* raw = parameters[count() - 1].value;
        for (int i = 0; i < outputs; i++) log_std[i] = std::min(std::max(raw[i], LOG_STD_LOW), LOG_STD_HIGH);
    }

    void see(int count, const float* features, const int64_t* chosen) {
        for (int row = 0; row < count; row++)
            std::memcpy(&seen[row * inputs_padded], features + chosen[row] * inputs, 4 * inputs);
    }
};

Kernel* ppo_kernel(int32_t inputs, int32_t hidden_layers, const int32_t* hidden, int32_t outputs, int32_t is_tanh,
                   int32_t is_categorical, int32_t rows) {
    return new Kernel(inputs, hidden_layers, hidden, outputs, is_tanh, is_categorical, rows);
}

void ppo_kernel_free(Kernel* kernel) { delete kernel; }

// The value of each of `count` samples and the log-probability of its action; either may be null. `mask` [count,
// outputs] is 0 where an action is not allowed; null: all are.
void ppo_kernel_evaluate(Kernel* kernel, const Parameter* parameters, int64_t count, const float* features,
                         const void* actions, const uint8_t* mask, float* value, float* log_prob) {
    Kernel& k = *kernel;
    k.read(parameters);
    for (int64_t start = 0; start < count; start += k.rows) {
        const int rows = std::min<int64_t>(k.rows, count - start);
        for (int row = 0; row < rows; row++)
            std::memcpy(&k.seen[row * k.inputs_padded], features + (start + row) * k.inputs, 4 * k.inputs);
        if (value) {
            const float* outputs = k.critic.forward(rows, k.seen.data());
            for (int row = 0; row < rows; row++) value[start + row] = outputs[row * LANE];
        }
        if (!log_prob) continue;
        float* outputs = k.actor.forward(rows, k.seen.data());
        const int stride = k.actor.layers.back().outputs_padded;
        for (int row = 0; row < rows; row++) {
            float* own = outputs + row * stride;
            if (k.is_categorical) {
                if (mask) forbid(own, mask + (start + row) * k.outputs, k.outputs);
                log_softmax(own, k.outputs, own);
                log_prob[start + row] = own[static_cast<const int64_t*>(actions)[start + row]];
            } else {
                const float* action = static_cast<const float*>(actions) + (start + row) * k.outputs;
                log_prob[start + row] = gaussian_log_prob(own, k.log_std.data(), k.outputs, action);
            }
        }
    }
}

// `minibatches` gradient steps, each on `rows` samples that `chosen` names. Returns how many were made: fewer where a
// loss or a gradient is not finite, in which step no parameter has changed.
//
// `steps` is Adam's count before the first. `measured` [minibatches, MEASURES] and `norms` [count()] of the last step
// are written.
int64_t ppo_kernel_update(Kernel* kernel, const Parameter* parameters, const Settings* settings, int64_t steps,
                          const float* features, const void* actions, const uint8_t* mask, const float* old_log_prob,
                          const float* advantage, const float* target, const int64_t* chosen, int64_t rows,
                          int64_t minibatches, double* measured, double* norms) {
    Kernel& k = *kernel;
    const Settings& s = *settings;
    Layer &actor_end = k.actor.layers.back(), &critic_end = k.critic.layers.back();
    const float each = 1.0f / rows;
    const float* raw_log_std = k.is_categorical ? nullptr : parameters[k.count() - 1].value;
    for (int64_t step = 0; step < minibatches; step++, chosen += rows, measured += MEASURES) {
        k.read(parameters);
        k.see(rows, features, chosen);
        double total = 0.0, squares = 0.0;
        for (int row = 0; row < rows; row++) total += k.advantage[row] = advantage[chosen[row]];
        if (s.normalizes_advantage) {
            const float mean = total / rows;
            for (int row = 0; row < rows; row++) squares += double(k.advantage[row] - mean) * (k.advantage[row] - mean);
            const float scale = rows > 1 ? 1.0f / (float(std::sqrt(squares / (rows - 1))) + 1e-8f) : 1.0f;
            for (int row = 0; row < rows; row++) k.advantage[row] = (k.advantage[row] - mean) * scale;
        }

        float* outputs = k.actor.forward(rows, k.seen.data());
        const float* values = k.critic.forward(rows, k.seen.data());
        double policy_loss = 0.0, entropies = 0.0, kl = 0.0, clipped = 0.0, value_loss = 0.0;
        std::fill(k.log_std_gradient.begin(), k.log_std_gradient.end(), 0.0f);
        for (int row = 0; row < rows; row++) {
            float* own = outputs + row * actor_end.outputs_padded;
            float* gradient = &actor_end.gradient[row * actor_end.outputs_padded];
            float log_prob = 0.0f, entropy = 0.0f;
            int64_t choice = 0;
            const float* action = nullptr;
            if (k.is_categorical) {
                choice = static_cast<const int64_t*>(actions)[chosen[row]];
                if (mask) forbid(own, mask + chosen[row] * k.outputs, k.outputs);
                log_softmax(own, k.outputs, gradient);  // log-probabilities, for now
                for (int i = 0; i < k.outputs; i++) entropy -= std::exp(gradient[i]) * gradient[i];
                log_prob = gradient[choice];
            } else {
                action = static_cast<const float*>(actions) + chosen[row] * k.outputs;
                log_prob = gaussian_log_prob(own, k.log_std.data(), k.outputs, action);
                for (int i = 0; i < k.outputs; i++) entropy += k.log_std[i] + HALF_LOG_2PI + 0.5f;
            }

            // Equation 7 of Schulman et al. 2017; where the clipped ratio is the smaller one there is no gradient.
            const float log_ratio = log_prob - old_log_prob[chosen[row]], ratio = std::exp(log_ratio);
            const float bounded = std::min(std::max(ratio, 1.0f - s.clip_range), 1.0f + s.clip_range);
            const bool clipped_is_less = bounded * k.advantage[row] < ratio * k.advantage[row];
            const float surrogate = (clipped_is_less ? bounded : ratio) * k.advantage[row];
            const float of_log_prob = ratio * (clipped_is_less ? 0.0f : -each * k.advantage[row]);  // not a number of inf
            if (k.is_categorical) {
                for (int i = 0; i < k.outputs; i++) {
                    const float log_p = gradient[i], p = std::exp(log_p);
                    gradient[i] = of_log_prob * ((i == choice) - p) + each * s.entropy_coefficient * p * (log_p + entropy);
                }
            } else {
                for (int i = 0; i < k.outputs; i++) {
                    const float inverse = std::exp(-k.log_std[i]), z = (action[i] - own[i]) * inverse;
                    gradient[i] = of_log_prob * z * inverse;
                    const float of_log_std = of_log_prob * (z * z - 1.0f) - each * s.entropy_coefficient;
                    // Beyond a bound only what leads back, sample by sample as in training.networks.bounds.
                    if (of_log_std < 0.0f ? raw_log_std[i] <= LOG_STD_HIGH : raw_log_std[i] >= LOG_STD_LOW)
                        k.log_std_gradient[i] += of_log_std;
                }
            }
            const float error = values[row * critic_end.outputs_padded] - target[chosen[row]];
            critic_end.gradient[row * critic_end.outputs_padded] = 2.0f * each * s.value_coefficient * error;

            policy_loss -= surrogate;
            entropies += entropy;
            kl += ratio - 1.0f - log_ratio;
            clipped += ratio != bounded;
            value_loss += error * error;
        }
        k.actor.backward(rows, k.seen.data());
        k.critic.backward(rows, k.seen.data());

        // The norm of every gradient, and of all of them.
        std::vector<std::pair<float*, std::pair<int, int>>> gradients;  // where, and its rows and columns
        for (Perceptron* network : {&k.actor, &k.critic})
            for (Layer& layer : network->layers) {
                gradients.push_back({layer.weight_gradient.data(), {layer.outputs, layer.inputs}});
                gradients.push_back({layer.bias_gradient.data(), {1, layer.outputs}});
            }
        if (!k.is_categorical) gradients.push_back({k.log_std_gradient.data(), {1, k.outputs}});
        double norm = 0.0;
        for (size_t i = 0; i < gradients.size(); i++) {
            const auto [values, shape] = gradients[i];
            const int stride = padded(shape.second);
            double sum = 0.0;
            for (int row = 0; row < shape.first; row++) {
                float partial = 0.0f;
                for (int column = 0; column < shape.second; column++)
                    partial += values[row * stride + column] * values[row * stride + column];
                sum += partial;
            }
            norms[i] = std::sqrt(sum);
            norm += sum;
        }
        norm = std::sqrt(norm);

        measured[LOSS] = (policy_loss + s.value_coefficient * value_loss - s.entropy_coefficient * entropies) * each;
        measured[NORM] = norm;
        measured[POLICY_LOSS] = policy_loss * each;
        measured[ENTROPY] = entropies * each;
        measured[KL] = kl * each;
        measured[CLIPPED] = clipped * each;
        measured[VALUE_LOSS] = value_loss * each;
        if (!std::isfinite(measured[LOSS] + norm)) return step;

        // Adam (Kingma and Ba 2015, algorithm 1).
        const float scale = s.max_grad_norm > 0.0f ? std::min(1.0, s.max_grad_norm / (norm + 1e-6)) : 1.0;
        const double count = steps + step + 1;
        const float rate = s.learning_rate / (1.0 - std::pow(s.beta1, count));
        const float correction = 1.0 / std::sqrt(1.0 - std::pow(s.beta2, count));
        const float new_mean = 1.0 - s.beta1, new_square = 1.0 - s.beta2, kept = s.beta2, epsilon = s.epsilon;
        for (size_t i = 0; i < gradients.size(); i++) {
            const auto [values, shape] = gradients[i];
            const int stride = padded(shape.second);
            for (int row = 0; row < shape.first; row++) {
                const float* __restrict gradient = values + row * stride;
                float* __restrict value = parameters[i].value + row * shape.second;
                float* __restrict mean = parameters[i].mean + row * shape.second;
                float* __restrict square = parameters[i].square + row * shape.second;
                for (int column = 0; column < shape.second; column++) {
                    const float own = gradient[column] * scale;
                    mean[column] += new_mean * (own - mean[column]);
                    square[column] = kept * square[column] + new_square * own * own;
                    value[column] -= rate * mean[column] / (std::sqrt(square[column]) * correction + epsilon);
                }
            }
        }
    }
    return minibatches;
}

}  // extern "C"
