#include "savings/attribution.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "base/random.hpp"

namespace jevons::savings {
namespace {

TEST(Shapley, GloveGame) {
  // One left glove (player 0), two right gloves (1, 2); a pair is worth 1. Known values: 2/3, 1/6, 1/6.
  const std::vector<double> v{0, 0, 0, 1, 0, 1, 0, 1};  // masks 011, 101, 111 hold a pair
  const auto s = shapley(v);
  EXPECT_NEAR(s[0], 2.0 / 3, 1e-15);
  EXPECT_NEAR(s[1], 1.0 / 6, 1e-15);
  EXPECT_NEAR(s[2], 1.0 / 6, 1e-15);
}

TEST(Shapley, SumsToTheTotalAndIgnoresOrder) {
  Stream random(Seed{3}, 0, Draw::test, 0);
  for (int n = 1; n <= 8; ++n) {
    std::vector<double> v(std::size_t{1} << n);
    for (auto& x : v) x = random.uniform() * 1e6;
    const auto s = shapley(v);
    EXPECT_NEAR(std::accumulate(s.begin(), s.end(), 0.0), v.back() - v.front(), 1e-9 * 1e6);
    // Swap players 0 and n-1: their values swap with them.
    std::vector<double> swapped(v.size());
    for (std::size_t m = 0; m < v.size(); ++m) {
      const std::size_t low = m & 1, high = (m >> (n - 1)) & 1;
      std::size_t t = m & ~(std::size_t{1} | (std::size_t{1} << (n - 1)));
      if (n == 1) t = 0;
      swapped[t | high | (low << (n - 1))] = v[m];
    }
    const auto w = shapley(swapped);
    EXPECT_NEAR(w[0], s[std::size_t(n - 1)], 1e-6);
    EXPECT_NEAR(w[std::size_t(n - 1)], s[0], 1e-6);
  }
}

TEST(Lmdi, HandWorkedProduct) {
  // V = a b: 2*3 = 6 -> 4*6 = 24. L(24,6) = 18/ln 4 = 12.984; each factor doubled contributes 12.984*ln 2 = 9.
  const auto c = lmdi(std::vector<std::vector<double>>{{2, 3}}, std::vector<std::vector<double>>{{4, 6}});
  EXPECT_NEAR(c[0], 9, 1e-12);
  EXPECT_NEAR(c[1], 9, 1e-12);
}

TEST(Lmdi, LeavesNoResidual) {
  Stream random(Seed{5}, 0, Draw::test, 1);
  for (int round = 0; round < 200; ++round) {
    std::vector<std::vector<double>> before(4, std::vector<double>(5)), after = before;
    double change = 0, size = 0;
    for (std::size_t t = 0; t < 4; ++t) {
      double v0 = 1, v1 = 1;
      for (std::size_t x = 0; x < 5; ++x) {
        before[t][x] = std::exp(4 * random.uniform() - 2);
        after[t][x] = round % 2 ? before[t][x] * (1 + 1e-6 * random.uniform()) : std::exp(4 * random.uniform() - 2);
        v0 *= before[t][x];
        v1 *= after[t][x];
      }
      change += v1 - v0;
      size += v0 + v1;
    }
    const auto c = lmdi(before, after);
    EXPECT_NEAR(std::accumulate(c.begin(), c.end(), 0.0), change, 1e-12 * size);
  }
}

}  // namespace
}  // namespace jevons::savings
