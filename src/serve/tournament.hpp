#pragma once
// Which of n players has the smallest key, the lowest number first among equals; changing one key takes log2(n) comparisons.
#include <bit>
#include <cstdint>
#include <vector>

namespace jevons::serve {

class Tournament {
 public:
  /// n >= 1 players, all with the largest key.
  explicit Tournament(std::size_t n) : leaves_{std::bit_ceil(n)}, key_(leaves_, INT64_MAX), winner_(leaves_) {
    for (std::size_t node = leaves_; node-- > 1;)
      winner_[node] = std::uint32_t(node * 2 >= leaves_ ? node * 2 - leaves_ : winner_[node * 2]);
  }
  std::uint32_t first() const { return leaves_ == 1 ? 0 : winner_[1]; }
  std::int64_t key(std::uint32_t player) const { return key_[player]; }
  std::int64_t first_key() const { return key_[first()]; }

  void set(std::uint32_t player, std::int64_t key) {
    if (key_[player] == key) return;
    key_[player] = key;
    for (std::size_t node = (player + leaves_) / 2; node >= 1; node /= 2) {
      const std::uint32_t a = contender(2 * node), b = contender(2 * node + 1);
      winner_[node] = key_[b] < key_[a] ? b : a;  // a < b
    }
  }

 private:
  std::uint32_t contender(std::size_t node) const { return node >= leaves_ ? std::uint32_t(node - leaves_) : winner_[node]; }
  std::size_t leaves_;
  std::vector<std::int64_t> key_;
  std::vector<std::uint32_t> winner_;  // of inner nodes, [1] the root
};

}  // namespace jevons::serve
