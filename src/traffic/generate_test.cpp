#include "traffic/generate.hpp"

#include <gtest/gtest.h>

#include <chrono>

namespace jevons::traffic {
namespace {

TEST(Generate, SpeedProbe) {
  ClassSpec c;
  c.arrivals.rate_per_s = 4;
  c.input = Fixed{1000};
  c.output = Fixed{200};
  for (int i = 0; i < 3; ++i) {
    const auto t0 = std::chrono::steady_clock::now();
    const auto r = generate({{c}, 1'000'000}, Seed{1});
    const auto t1 = std::chrono::steady_clock::now();
    ASSERT_TRUE(r);
    printf("%.2f ms  %.4f\n", std::chrono::duration<double>(t1 - t0).count() * 1e3, double(r->arrival.back()) * 1e-9 / 1e6);
  }
}

}  // namespace
}  // namespace jevons::traffic
