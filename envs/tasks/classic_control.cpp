// Gymnasium's classic control as compiled steps, bit for bit its own and those of the files of their names beside this.
//
// The operations and their order are those of the files in NumPy, which say where they come from. A state is [S, N]
// float64, so that variable i of environment n is at state[i * stride + n]. An episode's first observation comes from
// there too: Acrobot's is computed in float32.

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace {

constexpr double PI = 3.141592653589793;

// As Gymnasium squares its scalars: with the pow of C, which rounds otherwise than x * x, once in a thousand.
inline double squared(double x) {
    const volatile double two = 2.0;
    return std::pow(x, two);
}

// As NumPy's %: of the sign of the divisor, which is positive.
inline double modulo(double x, double divisor) {
    const double rest = std::fmod(x, divisor);
    return rest < 0.0 ? rest + divisor : rest;
}

inline double clip(double x, double low, double high) { return std::min(std::max(x, low), high); }

}  // namespace

extern "C" {

void cartpole_step(int64_t count, double* state, const void* actions, double* reward, uint8_t* terminated) {
    constexpr double GRAVITY = 9.8, CART_MASS = 1.0, POLE_MASS = 0.1, HALF_LENGTH = 0.5, FORCE = 10.0, STEP_S = 0.02;
    constexpr double TOTAL_MASS = POLE_MASS + CART_MASS, POLE_MASS_LENGTH = POLE_MASS * HALF_LENGTH;
    constexpr double X_LIMIT = 2.4, ANGLE_LIMIT = 12 * 2 * PI / 360;
    const int64_t* action = static_cast<const int64_t*>(actions);
    for (int64_t n = 0; n < count; n++) {
        double &x = state[n], &x_speed = state[count + n], &angle = state[2 * count + n], &angle_speed = state[3 * count + n];
        const double cosine = std::cos(angle), sine = std::sin(angle);
        const double force = action[n] * (2 * FORCE) - FORCE;
        const double pushed = (force + POLE_MASS_LENGTH * (angle_speed * angle_speed) * sine) / TOTAL_MASS;
        const double angle_acceleration = (GRAVITY * sine - cosine * pushed) /
                                          (HALF_LENGTH * (4.0 / 3.0 - POLE_MASS * (cosine * cosine) / TOTAL_MASS));
        const double x_acceleration = pushed - POLE_MASS_LENGTH * angle_acceleration * cosine / TOTAL_MASS;
        x = x + STEP_S * x_speed;
        x_speed = x_speed + STEP_S * x_acceleration;
        angle = angle + STEP_S * angle_speed;
        angle_speed = angle_speed + STEP_S * angle_acceleration;
        reward[n] = 1.0;
        terminated[n] = std::fabs(x) > X_LIMIT || std::fabs(angle) > ANGLE_LIMIT;
    }
}

void cartpole_observe(int64_t count, int64_t stride, const double* state, float* obs) {
    for (int64_t n = 0; n < count; n++)
        for (int i = 0; i < 4; i++) obs[4 * n + i] = state[i * stride + n];
}

void mountain_car_step(int64_t count, double* state, const void* actions, double* reward, uint8_t* terminated) {
    constexpr double FORCE = 0.001, GRAVITY = 0.0025, LEFT = -1.2, RIGHT = 0.6, GOAL = 0.5, SPEED_LIMIT = 0.07;
    const int64_t* action = static_cast<const int64_t*>(actions);
    for (int64_t n = 0; n < count; n++) {
        double &position = state[n], &speed = state[count + n];
        speed = clip(speed + ((action[n] - 1) * FORCE + std::cos(3 * position) * -GRAVITY), -SPEED_LIMIT, SPEED_LIMIT);
        position = clip(position + speed, LEFT, RIGHT);
        if (position == LEFT && speed < 0) speed = 0.0;
        reward[n] = -1.0;
        terminated[n] = position >= GOAL && speed >= 0;
    }
}

void mountain_car_observe(int64_t count, int64_t stride, const double* state, float* obs) {
    for (int64_t n = 0; n < count; n++)
        for (int i = 0; i < 2; i++) obs[2 * n + i] = state[i * stride + n];
}

void mountain_car_continuous_step(int64_t count, double* state, const void* actions, double* reward, uint8_t* terminated) {
    constexpr double POWER = 0.0015, GRAVITY = 0.0025;
    constexpr float LEFT = -1.2f, RIGHT = 0.6f, GOAL = 0.45f, SPEED_LIMIT = 0.07f, FORCE_LIMIT = 1.0f;
    const float* action = static_cast<const float*>(actions);
    for (int64_t n = 0; n < count; n++) {
        double &position = state[n], &speed = state[count + n], &single = state[2 * count + n];
        const bool rounds = single != 0.0;
        const auto rounded = [&](double value) { return rounds ? double(float(value)) : value; };
        const float force = action[n], limited = std::min(std::max(force, -FORCE_LIMIT), FORCE_LIMIT);
        const double slope = GRAVITY * std::cos(rounded(3 * position));
        const double push = limited == force ? double(limited * float(POWER) - float(slope)) : double(limited) * POWER - slope;
        speed = clip(rounded(speed + rounded(push)), -SPEED_LIMIT, SPEED_LIMIT);
        position = clip(float(position + speed), LEFT, RIGHT);
        if (position == LEFT && speed < 0) speed = 0.0;
        terminated[n] = position >= GOAL && speed >= 0;
        reward[n] = (terminated[n] ? 100.0 : 0.0) - double(force) * double(force) * 0.1;
        speed = float(speed);
        single = 1.0;
    }
}

void mountain_car_continuous_observe(int64_t count, int64_t stride, const double* state, float* obs) {
    mountain_car_observe(count, stride, state, obs);
}

void pendulum_step(int64_t count, double* state, const void* actions, double* reward, uint8_t* terminated) {
    constexpr double GRAVITY = 10.0, MASS = 1.0, LENGTH = 1.0, STEP_S = 0.05, SPEED_LIMIT = 8.0;
    constexpr float TORQUE_LIMIT = 2.0f;
    const float* action = static_cast<const float*>(actions);
    for (int64_t n = 0; n < count; n++) {
        double &angle = state[n], &speed = state[count + n];
        const float torque = std::min(std::max(action[n], -TORQUE_LIMIT), TORQUE_LIMIT);
        const double normal = modulo(angle + PI, 2 * PI) - PI;
        const volatile float two = 2.0f;
        const float torque_squared = std::pow(torque, two);
        const double cost = squared(normal) + 0.1 * squared(speed) + double(0.001f * torque_squared);
        const double acceleration = 3 * GRAVITY / (2 * LENGTH) * std::sin(angle) + double(float(3.0 / (MASS * LENGTH * LENGTH)) * torque);
        const double faster = clip(speed + acceleration * STEP_S, -SPEED_LIMIT, SPEED_LIMIT);
        angle = angle + faster * STEP_S;
        speed = faster;
        reward[n] = -cost;
        terminated[n] = 0;
    }
}

void pendulum_observe(int64_t count, int64_t stride, const double* state, float* obs) {
    for (int64_t n = 0; n < count; n++) {
        obs[3 * n] = std::cos(state[n]);
        obs[3 * n + 1] = std::sin(state[n]);
        obs[3 * n + 2] = state[stride + n];
    }
}

namespace {

struct Arm {
    double angle_1, angle_2, speed_1, speed_2;
};

Arm derivatives(const Arm& s, double torque) {
    constexpr double CENTER = 0.5, GRAVITY = 9.8;
    const double cosine = std::cos(s.angle_2), sine = std::sin(s.angle_2), half_sine = CENTER * sine;
    const double d1 = CENTER * CENTER + (1.0 + CENTER * CENTER + cosine) + 1.0 + 1.0;
    const double d2 = CENTER * CENTER + CENTER * cosine + 1.0;
    const double phi2 = CENTER * GRAVITY * std::cos(s.angle_1 + s.angle_2 - PI / 2);
    const double phi1 = -half_sine * squared(s.speed_2) - s.speed_2 * s.speed_1 * sine +
                        (CENTER + 1.0) * GRAVITY * std::cos(s.angle_1 - PI / 2) + phi2;
    const double acceleration_2 = (torque + d2 / d1 * phi1 - half_sine * squared(s.speed_1) - phi2) /
                                  (CENTER * CENTER + 1.0 - squared(d2) / d1);
    const double acceleration_1 = -(d2 * acceleration_2 + phi1) / d1;
    return {s.speed_1, s.speed_2, acceleration_1, acceleration_2};
}

Arm plus(const Arm& s, double factor, const Arm& k) {
    return {s.angle_1 + factor * k.angle_1, s.angle_2 + factor * k.angle_2, s.speed_1 + factor * k.speed_1,
            s.speed_2 + factor * k.speed_2};
}

double wrapped(double angle) {
    while (std::fabs(angle) > PI) angle -= std::copysign(2 * PI, angle);
    return angle;
}

}  // namespace

void acrobot_step(int64_t count, double* state, const void* actions, double* reward, uint8_t* terminated) {
    constexpr double STEP_S = 0.2, LIMIT_1 = 4 * PI, LIMIT_2 = 9 * PI;
    const int64_t* action = static_cast<const int64_t*>(actions);
    for (int64_t n = 0; n < count; n++) {
        const Arm s = {state[n], state[count + n], state[2 * count + n], state[3 * count + n]};
        const double torque = action[n] - 1.0;
        const Arm k1 = derivatives(s, torque), k2 = derivatives(plus(s, STEP_S / 2.0, k1), torque);
        const Arm k3 = derivatives(plus(s, STEP_S / 2.0, k2), torque), k4 = derivatives(plus(s, STEP_S, k3), torque);
        const auto next = [&](double Arm::*of) {
            return s.*of + STEP_S / 6.0 * (k1.*of + 2 * (k2.*of) + 2 * (k3.*of) + k4.*of);
        };
        const double angle_1 = wrapped(next(&Arm::angle_1)), angle_2 = wrapped(next(&Arm::angle_2));
        state[n] = angle_1;
        state[count + n] = angle_2;
        state[2 * count + n] = clip(next(&Arm::speed_1), -LIMIT_1, LIMIT_1);
        state[3 * count + n] = clip(next(&Arm::speed_2), -LIMIT_2, LIMIT_2);
        state[4 * count + n] = 0.0;
        terminated[n] = -std::cos(angle_1) - std::cos(angle_2 + angle_1) > 1.0;
        reward[n] = terminated[n] ? 0.0 : -1.0;
    }
}

void acrobot_observe(int64_t count, int64_t stride, const double* state, float* obs) {
    for (int64_t n = 0; n < count; n++, obs += 6) {
        const double angle_1 = state[n], angle_2 = state[stride + n];
        obs[0] = std::cos(angle_1);
        obs[1] = std::sin(angle_1);
        obs[2] = std::cos(angle_2);
        obs[3] = std::sin(angle_2);
        obs[4] = state[2 * stride + n];
        obs[5] = state[3 * stride + n];
    }
}

}  // extern "C"
