// A rollout of many copies of an environment with a policy that is a perceptron, in one call: choosing, stepping, storing.
//
// `agents.acting.collector.Group` does the same step by step, and tests hold one against the other.

#include "training/networks/perceptrons.hpp"

using namespace regimen;

constexpr int32_t BAD_ACTION = 1, BAD_STEP = 2;

extern "C" {

// A vector environment (envs/vectors/batched.py): how it is stepped, and where it is.
struct Environments {
    void (*step)(int64_t count, double* state, const void* action, double* reward, uint8_t* terminated);
    void (*observe)(int64_t count, int64_t stride, const double* state, float* obs);
    int64_t count, state_size, obs_size, time_limit;
    double* state;           // [S, N]
    int64_t* episode;        // [N]
    int64_t* episode_steps;  // [N]
    // Of the next episodes of each environment, that of episode e at [e % ahead]; those before `drawn` are there.
    int64_t ahead;
    const double* first_state;  // [N, ahead, S]
    const float* first_obs;     // [N, ahead, obs_size]
    const int64_t* drawn;       // [N]
};

// How the policy turns outputs into actions.
struct Acting {
    int32_t is_categorical, outputs, normalizes;
    const double *mean, *scale;       // [obs_size] of the observations
    const float* log_std;             // [outputs], within its bounds
    const float *low, *high, *factor, *middle;  // [outputs]: the environment's action is action * factor + middle, clipped
};

// [T, N, ...] each, and T + 1 rows of what is seen; of the episodes that end [T * N] at most.
struct Rollout {
    float* obs;
    uint8_t* is_first;
    void* action;
    float* reward;
    uint8_t *terminated, *truncated;
    int64_t ends;
    int64_t* final_index;
    float* final_obs;
    double* ended_return;
    int64_t* ended_length;
    double* episode_return;   // [N], of the running episodes
    int64_t* episode_length;  // [N]
};

Perceptron* actor(int32_t inputs, int32_t hidden_layers, const int32_t* hidden, int32_t outputs, int32_t is_tanh, int32_t rows) {
    return new Perceptron(inputs, hidden_layers, hidden, outputs, is_tanh, rows);
}

void actor_free(Perceptron* perceptron) { delete perceptron; }

// Steps `from` to `horizon`, with `noise` [T, N, outputs]. Returns how far it came: less far than the horizon where an
// environment has no next episode drawn, or where an action, a reward or what is seen is not finite, which `is_bad` tells.
int64_t collect(Perceptron* perceptron, const Parameter* parameters, const Acting* acting, Environments* envs,
                Rollout* out, int64_t from, int64_t horizon, const float* noise, int32_t* is_bad) {
    const int64_t N = envs->count, S = envs->state_size, I = envs->obs_size, A = acting->outputs;
    const int64_t stride = perceptron->layers.back().outputs_padded, width = perceptron->layers[0].inputs_padded;
    perceptron->read(parameters);
    std::vector<float> seen(N * width), deviation(A), action(N * A);
    std::vector<double> reward(N);
    if (!acting->is_categorical)
        for (int64_t i = 0; i < A; i++) deviation[i] = std::exp(acting->log_std[i]);
    *is_bad = 0;
    for (int64_t t = from; t < horizon; t++) {
        for (int64_t n = 0; n < N; n++)
            if (envs->drawn[n] <= envs->episode[n] + 1) return t;
        const float* obs = out->obs + t * N * I;
        for (int64_t n = 0; n < N; n++)
            for (int64_t i = 0; i < I; i++) {
                const float value = obs[n * I + i];
                const double normal = acting->normalizes ? (value - acting->mean[i]) * acting->scale[i] : value;
                seen[n * width + i] = acting->normalizes ? std::min(std::max(normal, -10.0), 10.0) : value;
            }
        const float* outputs = perceptron->forward(N, seen.data());
        const float* drawn = noise + t * N * A;
        const void* taken;
        bool good = true;
        if (acting->is_categorical) {
            int64_t* choice = static_cast<int64_t*>(out->action) + t * N;
            for (int64_t n = 0; n < N; n++) {
                int64_t best = 0;
                float most = outputs[n * stride] + drawn[n * A];
                for (int64_t i = 1; i < A && most == most; i++) {  // the first that is not a number, as in NumPy
                    const float score = outputs[n * stride + i] + drawn[n * A + i];
                    if (!(score <= most)) most = score, best = i;
                }
                choice[n] = best;
            }
            taken = choice;
        } else {
            float* own = static_cast<float*>(out->action) + t * N * A;
            for (int64_t n = 0; n < N; n++)
                for (int64_t i = 0; i < A; i++) {
                    const float raw = outputs[n * stride + i] + deviation[i] * drawn[n * A + i];
                    own[n * A + i] = raw;
                    const volatile float scaled = raw * acting->factor[i];  // which rounds by itself, as in NumPy
                    const float inside = scaled + acting->middle[i];
                    const float within = inside < acting->low[i] ? acting->low[i] : inside;
                    action[n * A + i] = within > acting->high[i] ? acting->high[i] : within;
                    good &= bool(std::isfinite(action[n * A + i]));
                }
            taken = action.data();
        }
        if (!good) {
            *is_bad = BAD_ACTION;
            return t;
        }
        uint8_t *terminated = out->terminated + t * N, *truncated = out->truncated + t * N;
        envs->step(N, envs->state, taken, reward.data(), terminated);
        float* next = out->obs + (t + 1) * N * I;
        envs->observe(N, N, envs->state, next);
        bool sound = true;
        for (int64_t n = 0; n < N; n++) sound &= bool(std::isfinite(reward[n]));
        for (int64_t i = 0; i < N * I; i++) sound &= bool(std::isfinite(next[i]));
        if (!sound) {
            *is_bad = BAD_STEP;
            return t;
        }
        for (int64_t n = 0; n < N; n++) {
            out->reward[t * N + n] = reward[n];
            out->episode_return[n] += reward[n];
            out->episode_length[n]++;
            truncated[n] = ++envs->episode_steps[n] >= envs->time_limit;
            const bool ended = terminated[n] || truncated[n];
            out->is_first[(t + 1) * N + n] = ended;
            if (!ended) continue;
            const int64_t end = out->ends++;
            out->final_index[2 * end] = t;
            out->final_index[2 * end + 1] = n;
            std::memcpy(out->final_obs + end * I, next + n * I, 4 * I);
            out->ended_return[end] = out->episode_return[n];
            out->ended_length[end] = out->episode_length[n];
            out->episode_return[n] = 0.0;
            out->episode_length[n] = 0;
            envs->episode_steps[n] = 0;
            const int64_t place = n * envs->ahead + ++envs->episode[n] % envs->ahead;
            for (int64_t i = 0; i < S; i++) envs->state[i * N + n] = envs->first_state[place * S + i];
            std::memcpy(next + n * I, envs->first_obs + place * I, 4 * I);
        }
    }
    return horizon;
}

}  // extern "C"
