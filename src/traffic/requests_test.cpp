#include "traffic/requests.hpp"

#include <gtest/gtest.h>

namespace jevons::traffic {
namespace {

TEST(Requests, WalksBlocksRunByRunUpToTheLimit) {
  Prefixes p{16, {0, 2, 2, 3}, {{100, 2}, {7, 3}, {50, 1}}};
  const auto walk = [&](RequestId r, std::int64_t limit) {
    std::vector<BlockId> out;
    for_each_block(p, r, limit, [&](BlockId id) { out.push_back(id); });
    return out;
  };
  EXPECT_EQ(walk(0, 99), (std::vector<BlockId>{100, 101, 7, 8, 9}));
  EXPECT_EQ(walk(0, 3), (std::vector<BlockId>{100, 101, 7}));
  EXPECT_TRUE(walk(1, 99).empty());
  EXPECT_TRUE(walk(2, 0).empty());
}

}  // namespace
}  // namespace jevons::traffic
